//! Who is suspected around an identity, until a person closes each one: in an item beside its record, since an
//! item holds 400 KB and 200 ARNs are half of that.
//!
//! INVARIANT: only a person's command closes one. `tests/test_suspects.py` holds it.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::outcome::Failure;
use domain::suspects::{ALL, Suspect, Suspects};
use serde_json::{Value, json};

use super::{Item, Ledger, int, millis_now, number, text};
use crate::errors::{failure, is};

/// How many closed ones are kept one by one.
const MOST_CLOSED: usize = 200;

/// An expression has at most 4 KB.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const MOST_AT_ONCE: usize = 50;

impl Ledger {
    /// Makes the place for them where there is none, and gives those that are known.
    pub async fn open_suspects(&self, record: &str) -> Result<Suspects, Failure> {
        let request = self
            .update(&item_of(record))
            .update_expression(
                "SET suspects = if_not_exists(suspects, :none), closed_suspects = if_not_exists(closed_suspects, :none)",
            )
            .expression_attribute_values(":none", AttributeValue::M(HashMap::new()))
            .return_values(ReturnValue::AllNew);
        let output = request.send().await.map_err(|it| failure(&it))?;
        Ok(suspects(&output.attributes.unwrap_or_default()))
    }

    /// Adds suspects to an identity that was held: that made the place for them. `more`: how many are only counted.
    pub(super) async fn add_suspects(&self, record: &str, suspects: &[Suspect], more: usize) -> Result<(), Failure> {
        let id = item_of(record);
        let add = |suspects: &[Suspect]| {
            let mut request = self.update(&id);
            let mut sets = Vec::new();
            for (n, suspect) in suspects.iter().enumerate() {
                sets.push(format!("suspects.#s{n} = :s{n}"));
                request = request
                    .expression_attribute_names(format!("#s{n}"), &suspect.id)
                    .expression_attribute_values(format!(":s{n}"), text(&suspect.words));
            }
            request.update_expression(format!("SET {}", sets.join(", "))).send()
        };
        let added = futures_util::future::join_all(suspects.chunks(MOST_AT_ONCE).map(add)).await;
        added.into_iter().try_for_each(|it| it.map(|_| ()).map_err(|it| failure(&it)))?;
        if more > 0 {
            let request = self.update(&id).update_expression("SET suspects_more = :more");
            request.expression_attribute_values(":more", number(more)).send().await.map_err(|it| failure(&it))?;
        }
        Ok(())
    }

    /// Adds suspects to an identity that somebody else holds, if anybody does.
    pub async fn keep_suspects(&self, record: &str, suspects: &[Suspect], more: usize) -> Result<(), Failure> {
        self.open_suspects(record).await?;
        self.add_suspects(record, suspects, more).await
    }

    /// Those that are open, and of those that a person closed who and why: one JSON value each.
    pub async fn suspects_of(&self, record: &str) -> Result<(Suspects, Vec<Value>), Failure> {
        let item = self.item(&item_of(record)).await?;
        Ok((suspects(&item), closed(&item)))
    }

    /// Closes a suspect of the record, or all of them, with who did it and why. False when there is no such
    /// one, or too many were closed one by one: `all` closes those too.
    pub async fn close_suspect(&self, record: &str, suspect: &str, by: &str, reason: &str) -> Result<bool, Failure> {
        let (at, id) = (millis_now(), item_of(record));
        let closure = json!({"suspect": suspect, "by": by, "reason": reason, "at": at}).to_string();
        let request = if suspect == ALL {
            let closed = HashMap::from([(ALL.to_owned(), text(closure))]);
            self.update(&id)
                .update_expression(
                    "SET suspects = :none, closed_suspects = :closed, all_closed_at = :at REMOVE suspects_more",
                )
                .condition_expression("attribute_exists(suspects)")
                .expression_attribute_values(":none", AttributeValue::M(HashMap::new()))
                .expression_attribute_values(":closed", AttributeValue::M(closed))
                .expression_attribute_values(":at", number(at))
        } else {
            self.update(&id)
                .update_expression("SET closed_suspects.#id = :closure REMOVE suspects.#id")
                .condition_expression("attribute_exists(suspects.#id) AND size(closed_suspects) < :most")
                .expression_attribute_names("#id", suspect)
                .expression_attribute_values(":closure", text(closure))
                .expression_attribute_values(":most", number(MOST_CLOSED))
        };
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }
}

/// `suspects#<account>#<unique ID>`, beside `record#<account>#<unique ID>`.
fn item_of(record: &str) -> String {
    format!("suspects#{}", record.trim_start_matches("record#"))
}

fn closed(item: &Item) -> Vec<Value> {
    let closed = item.get("closed_suspects").and_then(|it| it.as_m().ok()).into_iter().flatten();
    closed.filter_map(|(_, it)| serde_json::from_str(it.as_s().ok()?).ok()).collect()
}

fn suspects(item: &Item) -> Suspects {
    let map = |name: &str| item.get(name).and_then(|it| it.as_m().ok()).into_iter().flatten();
    Suspects {
        open: map("suspects").filter_map(|(id, it)| Some((id.clone(), it.as_s().ok()?.clone()))).collect(),
        closed: map("closed_suspects").map(|(id, _)| id.clone()).collect(),
        more: usize::try_from(int(item, "suspects_more")).unwrap_or_default(),
        all_closed_at: int(item, "all_closed_at"),
    }
}
