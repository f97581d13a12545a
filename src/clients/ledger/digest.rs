//! What people are told of without a containment: which matter was told when, and the lines of the digests
//! that are yet to be sent.
//!
//! `told#<hash of the matter>` is taken before its alert is sent and marked after: of many copies of one
//! finding one tells, and one that failed to is told by its retry. `digest#hourly` and `digest#daily` keep at
//! most twenty lines of each severity and count the rest, so that no flood fills an item.

use std::time::Duration;

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::finding::Severity;
use domain::outcome::Failure;
use domain::told::{DIGEST_LINES, Digest};
use sha2::{Digest as _, Sha256};

use super::{Item, Ledger, int, millis_now, number, set, text};
use crate::errors::{failure, is};

/// How long another invocation may take to send what it took.
const TAKEN_FOR: i64 = 60_000;

const BANDS: [&str; 4] = ["critical", "high", "medium", "low"];

fn band(severity: Severity) -> &'static str {
    match severity.label() {
        "CRITICAL" => "critical",
        "HIGH" => "high",
        "MEDIUM" => "medium",
        _ => "low",
    }
}

/// What is to be sent, gravest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pending {
    bands: Vec<(&'static str, Vec<String>)>,
    /// How many were only counted.
    pub more: u64,
}

impl Pending {
    pub fn lines(&self) -> Vec<String> {
        self.bands.iter().flat_map(|(_, lines)| lines).cloned().collect()
    }
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
    pub async fn take_to_tell(&self, matter: &str, again_after: Duration) -> Result<bool, Failure> {
        let now = millis_now();
        let taken = self
            .update(&Self::told_id(matter))
            .update_expression("SET taken_at = :now, holder = :me, expires = :expires")
            .condition_expression(
                "(attribute_not_exists(told_at) OR told_at < :stale) AND \
                 (attribute_not_exists(taken_at) OR taken_at < :lapsed OR holder = :me)",
            )
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":stale", number(now - as_millis(again_after)))
            .expression_attribute_values(":lapsed", number(now - TAKEN_FOR))
            .expression_attribute_values(":expires", number((now + as_millis(again_after)) / 1_000 + 86_400))
            .send()
            .await;
        match taken {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// People were told.
    pub async fn note_told(&self, matter: &str) -> Result<(), Failure> {
        let noted = self
            .update(&Self::told_id(matter))
            .update_expression("SET told_at = :now")
            .expression_attribute_values(":now", number(millis_now()))
            .send()
            .await;
        noted.map(|_| ()).map_err(|it| failure(&it))
    }

    /// Adds a line, or counts it where there are enough of its severity. The same line twice is one.
    pub async fn add_to_digest(&self, which: Digest, severity: Severity, line: &str) -> Result<(), Failure> {
        let id = format!("digest#{}", which.word());
        let band = band(severity);
        let added = self
            .update(&id)
            .update_expression("ADD #band :lines SET since = if_not_exists(since, :now)")
            .condition_expression("attribute_not_exists(#band) OR size(#band) < :max OR contains(#band, :line)")
            .expression_attribute_names("#band", band)
            .expression_attribute_values(":lines", set(line))
            .expression_attribute_values(":line", text(line))
            .expression_attribute_values(":max", number(DIGEST_LINES))
            .expression_attribute_values(":now", number(millis_now()))
            .send()
            .await;
        match added {
            Ok(_) => return Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => {}
            Err(error) => return Err(failure(&error)),
        }
        let counted = self
            .update(&id)
            .update_expression("ADD more :one")
            .expression_attribute_values(":one", number(1))
            .send()
            .await;
        counted.map(|_| ()).map_err(|it| failure(&it))
    }

    /// What is due, for us alone for a minute. `None` when there is nothing, or the last one is too young.
    pub async fn take_digest(&self, which: Digest) -> Result<Option<Pending>, Failure> {
        let now = millis_now();
        // The schedule is no clock: a digest a few minutes early is not two in an hour.
        let due = now - as_millis(period(which)) + as_millis(period(which) / 12);
        let mut condition = "(attribute_exists(critical) OR attribute_exists(high) OR attribute_exists(medium) OR \
                             attribute_exists(low)) AND (attribute_not_exists(sent_at) OR sent_at < :due) AND \
                             (attribute_not_exists(sending) OR sending < :now)"
            .to_owned();
        if which == Digest::Daily {
            condition.push_str(" AND since < :due");
        }
        let taken = self
            .update(&format!("digest#{}", which.word()))
            .update_expression("SET sending = :until")
            .condition_expression(condition)
            .expression_attribute_values(":until", number(now + TAKEN_FOR))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":due", number(due))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match taken {
            Ok(output) => Ok(Some(pending(&output.attributes.unwrap_or_default()))),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Takes out what was sent, and leaves what came meanwhile.
    pub async fn clear_digest(&self, which: Digest, sent: &Pending) -> Result<(), Failure> {
        let mut request = self
            .update(&format!("digest#{}", which.word()))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":sent", number(-i64::try_from(sent.more).unwrap_or(i64::MAX)));
        let mut deletions = Vec::new();
        for (band, lines) in &sent.bands {
            deletions.push(format!("{band} :{band}"));
            request = request.expression_attribute_values(format!(":{band}"), AttributeValue::Ss(lines.clone()));
        }
        let expression = format!("SET sent_at = :now REMOVE sending ADD more :sent DELETE {}", deletions.join(", "));
        request.update_expression(expression).send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}

fn pending(item: &Item) -> Pending {
    let lines = |band: &'static str| {
        let mut lines = item.get(band)?.as_ss().ok()?.clone();
        lines.sort();
        Some((band, lines))
    };
    Pending {
        bands: BANDS.into_iter().filter_map(lines).collect(),
        more: u64::try_from(int(item, "more")).unwrap_or_default(),
    }
}
