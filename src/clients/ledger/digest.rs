//! What people are told of without a containment: which matter was told when, and the lines of the digests
//! that are yet to be sent.
//!
//! `told#<hash of the matter>` is taken before its alert is sent and marked after: of many copies of one
//! finding one tells, and one that failed to leaves it to the next. `digest#hourly` and `digest#daily` keep at
//! most twenty lines of each severity, each of another identity, and count the rest, so that no flood fills an
//! item and nobody's noise another's line. A digest is moved out of them before it is sent, into the `out_`
//! attributes: what fails is sent again, and what comes meanwhile is for the next one.

use std::time::Duration;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::finding::Severity;
use domain::outcome::Failure;
use domain::told::{DIGEST_LINES, Digest, Line};
use sha2::{Digest as _, Sha256};

use super::{Item, Ledger, digest as hash, holds, int, millis_now, number, set, text};
use crate::errors::{failure, is};

/// How long another invocation may take to send what it took.
const TAKEN_FOR: i64 = 60_000;

/// How many findings of a band's identities are told apart; beyond them they are only counted.
const MAX_FINDINGS: usize = 400;

const BANDS: [&str; 4] = ["critical", "high", "medium", "low"];

fn band(severity: Severity) -> &'static str {
    match severity.label() {
        "CRITICAL" => "critical",
        "HIGH" => "high",
        "MEDIUM" => "medium",
        _ => "low",
    }
}

/// Whose matter it is to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    Ours,
    /// People were told, then.
    Told(i64),
    /// Another invocation is about to tell them, and may fail to.
    Others,
}

/// One finding for a digest.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub identity: &'a str,
    pub finding: &'a str,
    pub line: &'a str,
}

/// What is to be sent, gravest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    pub lines: Vec<Line>,
    /// How many findings were only counted.
    pub more: u64,
}

fn period(which: Digest) -> Duration {
    match which {
        Digest::Hourly => Duration::from_secs(3_600),
        Digest::Daily => Duration::from_secs(24 * 3_600),
    }
}

fn as_millis(it: Duration) -> i64 {
    i64::try_from(it.as_millis()).unwrap_or(i64::MAX)
}

impl Ledger {
    fn told_id(matter: &str) -> String {
        format!("told#{}", hex::encode(Sha256::digest(matter)))
    }

    /// Whether the matter is ours to tell now: it was not told within `again_after`, and nobody is at it.
    pub async fn take_to_tell(&self, matter: &str, again_after: Duration) -> Result<Taken, Failure> {
        let now = millis_now();
        let stale = now - as_millis(again_after);
        let taken = self
            .update(&Self::told_id(matter))
            .update_expression("SET taken_at = :now, holder = :me, expires = :expires")
            .condition_expression(
                "(attribute_not_exists(told_at) OR told_at < :stale) AND \
                 (attribute_not_exists(taken_at) OR taken_at < :lapsed OR holder = :me)",
            )
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":stale", number(stale))
            .expression_attribute_values(":lapsed", number(now - TAKEN_FOR))
            .expression_attribute_values(":expires", number((now + as_millis(again_after)) / 1_000 + 86_400))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match taken {
            Ok(_) => Ok(Taken::Ours),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(it)) => {
                    let told_at = it.item().map(|it| int(it, "told_at")).filter(|it| *it >= stale);
                    Ok(told_at.map_or(Taken::Others, Taken::Told))
                }
                _ => Err(failure(&error)),
            },
        }
    }

    /// People were told, now or earlier.
    pub async fn note_told(&self, matter: &str, earlier: Option<i64>) -> Result<(), Failure> {
        let noted = self
            .update(&Self::told_id(matter))
            .update_expression("SET told_at = :now")
            .expression_attribute_values(":now", number(earlier.unwrap_or_else(millis_now)))
            .send()
            .await;
        noted.map(|_| ()).map_err(|it| failure(&it))
    }

    /// People were not told: whoever comes next tells them, and waits for nobody.
    pub async fn leave_untold(&self, matter: &str) -> Result<(), Failure> {
        let request = self
            .update(&Self::told_id(matter))
            .update_expression("REMOVE taken_at")
            .condition_expression("holder = :me")
            .expression_attribute_values(":me", text(&self.owner));
        holds(request).await.map(|_| ())
    }

    /// Adds what a finding says of an identity: a line where the identity has none in its band, else one more
    /// finding of it. The same finding twice is one. Where there are enough of either it is counted.
    pub async fn add_to_digest(&self, which: Digest, severity: Severity, it: Entry<'_>) -> Result<(), Failure> {
        let id = item_id(which);
        let band = band(severity);
        let identity = hash(it.identity);
        let finding = format!("{identity}:{}", hash(it.finding));
        let request = || {
            self.update(&id)
                .expression_attribute_names("#who", format!("{band}_who"))
                .expression_attribute_names("#findings", format!("{band}_findings"))
                .expression_attribute_values(":identity", text(&identity))
                .expression_attribute_values(":finding", set(&finding))
                .expression_attribute_values(":now", number(millis_now()))
        };
        let first = request()
            .update_expression(
                "ADD #band :line, #who :identities, #findings :finding SET since = if_not_exists(since, :now)",
            )
            .condition_expression("(attribute_not_exists(#who) OR size(#who) < :max) AND NOT contains(#who, :identity)")
            .expression_attribute_names("#band", band)
            .expression_attribute_values(":line", set(format!("{identity}|{}", it.line)))
            .expression_attribute_values(":identities", set(&identity))
            .expression_attribute_values(":max", number(DIGEST_LINES));
        let another = request()
            .update_expression("ADD #findings :finding SET since = if_not_exists(since, :now)")
            .condition_expression("contains(#who, :identity) AND (size(#findings) < :max OR contains(#findings, :one))")
            .expression_attribute_values(":one", text(&finding))
            .expression_attribute_values(":max", number(MAX_FINDINGS));
        let counted = self
            .update(&id)
            .update_expression("ADD more :one SET since = if_not_exists(since, :now)")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":now", number(millis_now()));
        for request in [first, another, counted] {
            match request.send().await {
                Ok(_) => return Ok(()),
                Err(error) if is(&error, "ConditionalCheckFailedException") => {}
                Err(error) => return Err(failure(&error)),
            }
        }
        Ok(())
    }

    /// What is due, for us alone for a minute: what an earlier one took and could not send, or what has come
    /// since. It is moved out of what is added to, so that whatever comes meanwhile is for the next digest. `None`
    /// when there is nothing, or the last one is too young.
    pub async fn take_digest(&self, which: Digest) -> Result<Option<Pending>, Failure> {
        match self.take_again(which).await? {
            Some(taken) => Ok(Some(taken)),
            None => self.take_new(which).await,
        }
    }

    async fn take_again(&self, which: Digest) -> Result<Option<Pending>, Failure> {
        let now = millis_now();
        let request = self
            .update(&item_id(which))
            .update_expression("SET sending = :until")
            .condition_expression("attribute_exists(out_more) AND sending < :now")
            .expression_attribute_values(":until", number(now + TAKEN_FOR))
            .expression_attribute_values(":now", number(now));
        taken(request).await
    }

    async fn take_new(&self, which: Digest) -> Result<Option<Pending>, Failure> {
        let now = millis_now();
        // The schedule is no clock: a digest a few minutes early is not two in an hour.
        let due = now - as_millis(period(which)) + as_millis(period(which) / 12);
        let some = each_of_them(|it| format!("attribute_exists({it})"), " OR ");
        let mut condition = format!(
            "({some}) AND attribute_not_exists(out_more) AND (attribute_not_exists(sent_at) OR sent_at < :due)"
        );
        if which == Digest::Daily {
            condition.push_str(" AND since < :due");
        }
        let moved = each_of_them(|it| format!("out_{it} = if_not_exists({it}, :nothing)"), ", ");
        let expression = format!("SET sending = :until, {moved} REMOVE {}, since", attributes().join(", "));
        let request = self
            .update(&item_id(which))
            .update_expression(expression)
            .condition_expression(condition)
            .expression_attribute_values(":until", number(now + TAKEN_FOR))
            .expression_attribute_values(":due", number(due))
            .expression_attribute_values(":nothing", AttributeValue::Null(true));
        taken(request).await
    }

    /// It was sent.
    pub async fn clear_digest(&self, which: Digest) -> Result<(), Failure> {
        let out = each_of_them(|it| format!("out_{it}"), ", ");
        let cleared = self
            .update(&item_id(which))
            .update_expression(format!("SET sent_at = :now REMOVE sending, {out}"))
            .expression_attribute_values(":now", number(millis_now()))
            .send()
            .await;
        cleared.map(|_| ()).map_err(|it| failure(&it))
    }
}

async fn taken(request: UpdateItemFluentBuilder) -> Result<Option<Pending>, Failure> {
    match request.return_values(ReturnValue::AllNew).send().await {
        Ok(output) => Ok(Some(pending(&output.attributes.unwrap_or_default()))),
        Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

fn item_id(which: Digest) -> String {
    format!("digest#{}", which.word())
}

/// Everything that is moved from what is added to into what is sent.
fn attributes() -> Vec<String> {
    let bands = BANDS.iter().flat_map(|it| [(*it).to_owned(), format!("{it}_who"), format!("{it}_findings")]);
    bands.chain(["more".to_owned()]).collect()
}

/// An expression of each of them.
fn each_of_them(expression: impl Fn(&str) -> String, between: &str) -> String {
    attributes().iter().map(|it| expression(it)).collect::<Vec<_>>().join(between)
}

/// The gravest first; of an identity with lines in several bands the gravest, with the findings of all.
fn pending(item: &Item) -> Pending {
    let all = |name: String| item.get(&name).and_then(|it| it.as_ss().ok()).cloned().unwrap_or_default();
    let mut lines: Vec<(String, Line)> = Vec::new();
    for band in BANDS {
        let findings = all(format!("out_{band}_findings"));
        let mut of_band = all(format!("out_{band}"));
        of_band.sort();
        for line in of_band {
            // A line of an earlier version has no identity before it, and may have any text.
            let (identity, text) = match line.split_once('|') {
                Some((identity, text)) if identity.len() == 16 && !identity.starts_with('[') => (identity, text),
                _ => (line.as_str(), line.as_str()),
            };
            let of_it = findings.iter().filter(|it| it.split(':').next() == Some(identity)).count();
            let count = u64::try_from(of_it.max(1)).unwrap_or(u64::MAX);
            match lines.iter_mut().find(|(it, _)| it == identity) {
                Some((_, graver)) => graver.findings += count,
                None => lines.push((identity.to_owned(), Line { text: text.to_owned(), findings: count })),
            }
        }
    }
    Pending {
        lines: lines.into_iter().map(|(_, line)| line).collect(),
        more: u64::try_from(int(item, "out_more")).unwrap_or_default(),
    }
}
