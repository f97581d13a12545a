//! The daily sweep's rows: of each account what is remembered from day to day, of each day which accounts there are.
//!
//! `sweep#<account>` says which day was swept last, and holds the lease of who sweeps; the memory is in parts beside it,
//! since an item holds 400 KB. Two sets of parts take turns: a sweep writes those that are not in use, and then turns to
//! them in one write, so that whoever is cut off leaves the day before.
//!
//! INVARIANT: a day of an account is kept once, by whoever holds its lease. `tests/test_sweep.py` holds it.

use std::collections::BTreeMap;
use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{KeysAndAttributes, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::command::Run;
use domain::day::Day;
use domain::ids::AccountId;
use domain::outcome::Failure;

use super::{Item, Ledger, holds, int, millis_now, number, string, text};
use crate::errors::{failure, incomplete};

mod asked;
mod released;
mod seen;

/// What reading many rows at once needs beside the ledger's own.
pub const PERMISSION: &str = "dynamodb:BatchGetItem";

/// How many rows one call reads.
pub const AT_ONCE: usize = 100;

const PART_BYTES: usize = 300_000;

/// For an ended day's rows, in days: what nobody sweeps any more is forgotten.
const KEPT_DAYS: i64 = 400;

/// Of one account, as the last sweep left it.
#[derive(Debug, Clone, Default)]
pub struct Head {
    /// The last day that was swept, as text.
    pub day: Option<String>,
    version: i64,
    parts: i64,
    /// JSON.
    pub summary: Option<String>,
    /// Why the last try ended in nothing, and of which day it was.
    pub failed: Option<(String, String)>,
}

/// What became of taking an account for a day.
#[derive(Debug)]
pub enum Taken {
    Ours(Head),
    /// The day is swept already.
    Done(Head),
    /// Somebody sweeps it now.
    Others,
}

/// A day's sweep of all accounts.
#[derive(Debug, Clone, Default)]
pub struct Kept {
    /// The first execution.
    pub begun_by: Option<String>,
    /// Which has it now.
    pub execution: Option<String>,
    pub accounts: Vec<String>,
    /// JSON.
    pub skipped: Option<String>,
    /// What the function that asks made of it, as JSON.
    pub release: Option<String>,
    pub started_at: i64,
    /// It has come to its end.
    pub is_told: bool,
    /// The execution of which people were told that not everybody was asked.
    pub told_partly_by: Option<String>,
}

impl Head {
    fn is_of(&self, day: Day) -> bool {
        self.day == Some(day.to_string())
    }
}

fn head(item: &Item) -> Head {
    Head {
        day: string(item, "day"),
        version: int(item, "version"),
        parts: int(item, "parts"),
        summary: string(item, "summary"),
        failed: string(item, "failed_day").zip(string(item, "failed")),
    }
}

fn head_id(account: &AccountId) -> String {
    format!("sweep#{account}")
}

fn part_id(account: &AccountId, version: i64, part: i64) -> String {
    format!("sweep#{account}#{}#{part}", version.rem_euclid(2))
}

fn run_id(day: Day) -> String {
    format!("sweep#run#{day}")
}

fn expires() -> i64 {
    millis_now() / 1_000 + KEPT_DAYS * 86_400
}

impl Ledger {
    /// The lease on an account's day.
    pub async fn take_sweep(&self, account: &AccountId, day: Day, lasts: Duration) -> Result<Taken, Failure> {
        let (now, day) = (millis_now(), day.to_string());
        let until = now.saturating_add(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
        let taken = self
            .update(&head_id(account))
            .update_expression("SET lease_until = :until, holder = :me")
            .condition_expression(
                "(attribute_not_exists(#day) OR #day < :day) AND \
                 (attribute_not_exists(lease_until) OR lease_until < :now OR holder = :me)",
            )
            .expression_attribute_names("#day", "day")
            .expression_attribute_values(":until", number(until))
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":day", text(&day))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match taken {
            Ok(output) => Ok(Taken::Ours(head(&output.attributes.unwrap_or_default()))),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(it)) => {
                    let head = it.item().map(head).unwrap_or_default();
                    let is_done = head.day.as_ref().is_some_and(|it| *it >= day);
                    Ok(if is_done { Taken::Done(head) } else { Taken::Others })
                }
                _ => Err(failure(&error)),
            },
        }
    }

    pub async fn sweep_head(&self, account: &AccountId) -> Result<Head, Failure> {
        Ok(head(&self.item(&head_id(account)).await?))
    }

    /// Of many accounts, by their IDs; those that were never swept have none.
    pub async fn sweep_heads(&self, accounts: &[AccountId]) -> Result<BTreeMap<String, Head>, Failure> {
        let items = self.items(accounts.iter().map(head_id).collect()).await?;
        let account = |item: &Item| Some(string(item, "id")?.strip_prefix("sweep#")?.to_owned());
        Ok(items.iter().filter_map(|it| Some((account(it)?, head(it)))).collect())
    }

    /// A hundred at most, which is what DynamoDB takes, and those again that did not fit into an answer.
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
    async fn items(&self, mut left: Vec<String>) -> Result<Vec<Item>, Failure> {
        let mut found = Vec::new();
        let mut pause = Duration::from_millis(50);
        while !left.is_empty() {
            let keys = left.iter().map(|it| Item::from([("id".to_owned(), text(it))])).collect();
            let keys = KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
            let keys = keys.map_err(|it| incomplete(&it.to_string()))?;
            let answer = self.client.batch_get_item().request_items(&self.table, keys).send().await;
            let answer = answer.map_err(|it| failure(&it))?;
            found.extend(answer.responses.into_iter().flatten().flat_map(|(_, items)| items));
            let before = left.len();
            let unread = answer.unprocessed_keys.into_iter().flatten().flat_map(|(_, it)| it.keys);
            left = unread.filter_map(|it| string(&it, "id")).collect();
            if left.len() == before {
                if pause > Duration::from_secs(4) {
                    return Err(incomplete("DynamoDB put the reads off again and again"));
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
        }
        Ok(found)
    }

    /// The texts of the parts that are in use.
    pub async fn sweep_memory(&self, account: &AccountId, head: &Head) -> Result<Vec<String>, Failure> {
        let one = |part| async move {
            let item = self.item(&part_id(account, head.version, part)).await?;
            string(&item, "memory").ok_or_else(|| incomplete("a part of the sweep's memory is missing"))
        };
        futures_util::future::try_join_all((0..head.parts).map(one)).await
    }

    /// Keeps a day: the parts first, then which of them count. `lines`: one text for each problem.
    pub async fn keep_sweep(
        &self,
        account: &AccountId,
        before: &Head,
        day: Day,
        lines: &[String],
        summary: &str,
    ) -> Result<(), Failure> {
        let parts = in_parts(lines);
        let version = before.version.saturating_add(1);
        let write = |(n, part): (usize, &String)| {
            let id = part_id(account, version, i64::try_from(n).unwrap_or(i64::MAX));
            self.update(&id)
                .update_expression("SET memory = :memory, expires = :expires")
                .expression_attribute_values(":memory", text(part))
                .expression_attribute_values(":expires", number(expires()))
                .send()
        };
        for written in futures_util::future::join_all(parts.iter().enumerate().map(write)).await {
            written.map_err(|it| failure(&it))?;
        }
        let kept = self
            .update(&head_id(account))
            .update_expression(
                "SET #day = :day, version = :version, parts = :parts, summary = :summary, expires = :expires \
                 REMOVE lease_until, holder, failed, failed_day",
            )
            .condition_expression("holder = :me")
            .expression_attribute_names("#day", "day")
            .expression_attribute_values(":day", text(day.to_string()))
            .expression_attribute_values(":version", number(version))
            .expression_attribute_values(":parts", number(parts.len()))
            .expression_attribute_values(":summary", text(summary))
            .expression_attribute_values(":expires", number(expires()))
            .expression_attribute_values(":me", text(&self.owner))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match kept {
            Ok(_) => Ok(()),
            // An answer that was lost made the SDK write it twice.
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(it))
                    if it.item().map(head).is_some_and(|it| it.is_of(day) && it.version == version) =>
                {
                    Ok(())
                }
                _ => Err(failure(&error)),
            },
        }
    }

    /// Why nothing came of it, for the digest; the lease is given back.
    pub async fn note_sweep_failed(&self, account: &AccountId, day: Day, reason: &str) -> Result<(), Failure> {
        let request = self
            .update(&head_id(account))
            .update_expression("SET failed = :reason, failed_day = :day REMOVE lease_until, holder")
            .condition_expression("attribute_not_exists(holder) OR holder = :me")
            .expression_attribute_values(":reason", text(reason))
            .expression_attribute_values(":day", text(day.to_string()))
            .expression_attribute_values(":me", text(&self.owner));
        // Whoever holds it now says how it ends.
        holds(request).await.map(|_| ())
    }

    /// Begins a day, or takes it over from an execution that did not come to its end; false when another did.
    ///
    /// INVARIANT: requests bear the name of the first execution, so that whoever takes over asks nobody twice.
    /// `tests/test_sweep_between.py` holds it.
    pub async fn begin_run(&self, run: &Run, accounts: &str, skipped: &str) -> Result<bool, Failure> {
        let request = self
            .update(&run_id(run.day))
            .update_expression(
                "SET execution = :execution, accounts = :accounts, skipped = :skipped, expires = :expires, \
                 started_at = if_not_exists(started_at, :now), begun_by = if_not_exists(begun_by, :execution)",
            )
            .condition_expression(
                "attribute_not_exists(execution) OR execution = :execution OR attribute_not_exists(told_at)",
            )
            .expression_attribute_values(":execution", text(&run.execution))
            .expression_attribute_values(":accounts", text(accounts))
            .expression_attribute_values(":skipped", text(skipped))
            .expression_attribute_values(":expires", number(expires()))
            .expression_attribute_values(":now", number(millis_now()));
        holds(request).await
    }

    pub async fn run(&self, day: Day) -> Result<Kept, Failure> {
        let item = self.item(&run_id(day)).await?;
        let accounts = string(&item, "accounts").unwrap_or_default();
        Ok(Kept {
            begun_by: string(&item, "begun_by"),
            execution: string(&item, "execution"),
            accounts: accounts.split(',').filter(|it| !it.is_empty()).map(str::to_owned).collect(),
            skipped: string(&item, "skipped"),
            release: string(&item, "release"),
            started_at: int(&item, "started_at"),
            is_told: item.contains_key("told_at"),
            told_partly_by: string(&item, "told_partly_by"),
        })
    }

    /// What is made of a day, for its digest.
    pub async fn note_release(&self, day: Day, release: &str) -> Result<(), Failure> {
        let request = self.update(&run_id(day)).update_expression("SET #release = :release");
        let request = request.expression_attribute_names("#release", "release");
        let noted = request.expression_attribute_values(":release", text(release)).send().await;
        noted.map(|_| ()).map_err(|it| failure(&it))
    }

    /// The day's digest as JSON, in an item of its own: beside ten thousand accounts it would not fit.
    pub async fn keep_digest(&self, day: Day, digest: &str) -> Result<(), Failure> {
        let kept = self
            .update(&format!("sweep#digest#{day}"))
            .update_expression("SET digest = :digest, expires = :expires")
            .expression_attribute_values(":digest", text(digest))
            .expression_attribute_values(":expires", number(expires()))
            .send()
            .await;
        kept.map(|_| ()).map_err(|it| failure(&it))
    }

    /// People were told of the day, which has come to its end.
    pub async fn note_run_told(&self, day: Day) -> Result<(), Failure> {
        let request = self.update(&run_id(day)).update_expression("SET told_at = :now");
        let noted = request.expression_attribute_values(":now", number(millis_now())).send().await;
        noted.map(|_| ()).map_err(|it| failure(&it))
    }

    /// People were told that not everybody was asked: another execution may go on with the day.
    pub async fn note_run_told_partly(&self, run: &Run) -> Result<(), Failure> {
        let request = self.update(&run_id(run.day)).update_expression("SET told_partly_by = :execution");
        let noted = request.expression_attribute_values(":execution", text(&run.execution)).send().await;
        noted.map(|_| ()).map_err(|it| failure(&it))
    }
}

/// Lines together, as many as an item holds. None of them is longer than a few hundred bytes.
fn in_parts(lines: &[String]) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    for line in lines {
        match parts.last_mut() {
            Some(part) if part.len() + line.len() < PART_BYTES => {
                part.push('\n');
                part.push_str(line);
            }
            _ => parts.push(line.clone()),
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_into_one_item_is_in_several() {
        let lines: Vec<_> = (0..10_000).map(|n| format!("{n:0100}")).collect();
        let parts = in_parts(&lines);
        assert!(parts.len() == 4 && parts.iter().all(|it| it.len() < PART_BYTES));
        assert_eq!(parts.iter().flat_map(|it| it.lines()).collect::<Vec<_>>(), lines);
        assert_eq!(in_parts(&[]), Vec::<String>::new());
    }
}
