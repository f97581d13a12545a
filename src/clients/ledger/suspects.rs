//! Who is suspected around an identity, until a person closes each one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::outcome::Failure;
use domain::suspects::{ALL, Suspects};
use serde_json::json;

use super::{Item, Ledger, int, millis_now, number, text};
use crate::errors::{failure, is};

/// How many closed ones are kept one by one.
const MOST_CLOSED: usize = 200;

impl Ledger {
    /// Closes a suspect of the record, or all of them, with who did it and why. False when there is no such
    /// one, or too many were closed one by one: `all` closes those too.
    pub async fn close_suspect(&self, record: &str, suspect: &str, by: &str, reason: &str) -> Result<bool, Failure> {
        let at = millis_now();
        let closure = json!({"suspect": suspect, "by": by, "reason": reason, "at": at}).to_string();
        let request = if suspect == ALL {
            let closed = HashMap::from([(ALL.to_owned(), text(closure))]);
            self.update(record)
                .update_expression(
                    "SET suspects = :none, closed_suspects = :closed, all_closed_at = :at REMOVE suspects_more",
                )
                .condition_expression("attribute_exists(suspects)")
                .expression_attribute_values(":none", AttributeValue::M(HashMap::new()))
                .expression_attribute_values(":closed", AttributeValue::M(closed))
                .expression_attribute_values(":at", number(at))
        } else {
            self.update(record)
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

pub(super) fn suspects(item: &Item) -> Suspects {
    let map = |name: &str| item.get(name).and_then(|it| it.as_m().ok()).into_iter().flatten();
    Suspects {
        open: map("suspects").filter_map(|(id, it)| Some((id.clone(), it.as_s().ok()?.clone()))).collect(),
        closed: map("closed_suspects").map(|(id, _)| id.clone()).collect(),
        more: usize::try_from(int(item, "suspects_more")).unwrap_or_default(),
        all_closed_at: int(item, "all_closed_at"),
    }
}
