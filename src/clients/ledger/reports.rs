//! Reports: `report#<id>`, as the form's function creates them, and the responder reads each of them once.
//!
//! The form's role writes nothing else, and can't be kept from overwriting a report: `PutItem` is the whole item, and
//! its condition is the caller's. So nothing of ours is in it. Those that nobody has read are in an index of their own,
//! `unread`, so that no number of them stands before anything in the list of what is due. What a report comes to is
//! the request of the same ID, which the responder makes, and of which the form reads how far it is.

use std::time::SystemTime;

use domain::approval::reported::Reported;
use domain::approval::request::State;
use domain::approval::standing::{self, Standing};
use domain::ids::{Parse, RequestId};
use domain::outcome::Failure;
use domain::verdict::Verdict;
use serde_json::json;

use super::due::GRACE_MILLIS;
use super::request_item::{ended, ruling};
use super::requests::{BUCKET, KEPT_SECONDS};
use super::{Item, Ledger, digest, holds, int, millis, millis_now, number, set, string, text};
use crate::errors::{failure, is};

/// What the form's function may do with reports, requests and its counters.
pub const PERMISSIONS: &[&str] = &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem"];

/// The attributes of a report of which the form reads that it is there.
pub const SEEN: &[&str] = &["id"];

const INDEX: &str = "unread";
const UNREAD: &str = "report";
/// The responder is woken for a report; after so long it finds it by itself.
const LOST_MILLIS: i64 = 30_000;
/// How many matters of a kind are told singly in an hour.
const MOST_TOLD: i64 = 5;
const HOUR_MILLIS: i64 = 3_600_000;

/// How people are told of a matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Telling {
    /// It is the first of this hour, or one of the first.
    Alert,
    /// Enough were told this hour, or this one was: it is counted in the digest.
    Digest,
}

impl Ledger {
    /// Creates a report.
    pub async fn put_report(&self, id: &RequestId, it: &Reported) -> Result<(), Failure> {
        let request = self
            .client
            .put_item()
            .table_name(&self.table)
            .item("id", text(report_item(id)))
            .item("reported", text(json!(it).to_string()))
            .item("unread_bucket", text(UNREAD))
            .item("unread_since", number(millis_now()))
            .condition_expression("attribute_not_exists(id)");
        match request.send().await {
            Ok(_) => Ok(()),
            // A try of ours whose answer was lost.
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// How far a request has come. A report that nobody has read has come nowhere.
    pub async fn standing(&self, id: &RequestId) -> Result<Option<Standing>, Failure> {
        let item = self.part_of(Self::request_item(id), standing::ATTRIBUTES).await?;
        match item.is_empty() {
            false => Ok(Some(read_standing(&item))),
            true => {
                let report = self.part_of(report_item(id), SEEN).await?;
                Ok((!report.is_empty()).then(Standing::default))
            }
        }
    }

    async fn part_of(&self, item: String, attributes: &[&str]) -> Result<Item, Failure> {
        let names: Vec<_> = (0..attributes.len()).map(|it| format!("#a{it}")).collect();
        let request = self.client.get_item().table_name(&self.table).key("id", text(item)).consistent_read(true);
        let request = request.projection_expression(names.join(", "));
        let named = names.into_iter().zip(attributes.iter().map(|it| (*it).to_owned())).collect();
        let sent = request.set_expression_attribute_names(Some(named)).send().await;
        Ok(sent.map_err(|it| failure(&it))?.item.unwrap_or_default())
    }

    /// What a report says, as it was kept. `None`: there is no such report, or it was read.
    pub async fn unread_report(&self, item: &str) -> Result<Option<String>, Failure> {
        let found = self.item(item).await?;
        Ok(found.contains_key("unread_bucket").then(|| string(&found, "reported").unwrap_or_default()))
    }

    /// The items of reports that nobody has read, the oldest first.
    pub async fn unread_reports(&self, most: i32) -> Result<Vec<String>, Failure> {
        let query = self.client.query().table_name(&self.table).index_name(INDEX).limit(most);
        let found = query
            .key_condition_expression("unread_bucket = :bucket AND unread_since <= :lost")
            .expression_attribute_values(":bucket", text(UNREAD))
            .expression_attribute_values(":lost", number(millis_now() - LOST_MILLIS))
            .send()
            .await;
        let items = found.map_err(|it| failure(&it))?.items.unwrap_or_default();
        Ok(items.iter().filter_map(|it| string(it, "id")).collect())
    }

    /// It was read: what it came to is elsewhere.
    pub async fn close_report(&self, item: &str) -> Result<(), Failure> {
        let request = self
            .update(item)
            .update_expression("SET expires = :expires REMOVE unread_bucket, unread_since")
            .condition_expression("attribute_exists(id)")
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS));
        holds(request).await.map(|_| ())
    }

    /// Makes the request that a report comes to, held until `until`. False: there is one of that ID.
    pub async fn open_request(&self, id: &RequestId, it: &Reported, until: SystemTime) -> Result<bool, Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression(
                "SET reported = :reported, due_bucket = :bucket, due_at = :again, holder = :me, lease_until = :until",
            )
            .condition_expression("attribute_not_exists(id)")
            .expression_attribute_values(":reported", text(json!(it).to_string()))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":again", number(millis(until) + GRACE_MILLIS))
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":until", number(millis(until)));
        holds(request).await
    }

    /// What whoever wrote an unreadable report is shown.
    pub async fn refuse_report(&self, id: &RequestId, why: &str) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression(
                "SET ended_as = :failed, ended_at = :now, verdict = :refused, ended_reason = :why, expires = :expires",
            )
            .condition_expression("attribute_not_exists(id)")
            .expression_attribute_values(":failed", text(State::Failed.word()))
            .expression_attribute_values(":refused", text(Verdict::Refused.name()))
            .expression_attribute_values(":why", text(why))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS));
        holds(request).await.map(|_| ())
    }

    /// How people are told of a matter: of a kind so many are told singly in an hour, each once.
    pub async fn take_matter(&self, kind: &str, matter: &str) -> Result<Telling, Failure> {
        let matter = digest(matter);
        let request = self
            .update(&matters(kind))
            .update_expression("SET expires = :expires ADD matters :matter")
            .condition_expression(
                "attribute_not_exists(matters) OR (size(matters) < :most AND NOT contains(matters, :one))",
            )
            .expression_attribute_values(":matter", set(&matter))
            .expression_attribute_values(":one", text(&matter))
            .expression_attribute_values(":most", number(MOST_TOLD))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS));
        match request.send().await {
            Ok(_) => Ok(Telling::Alert),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(Telling::Digest),
            Err(error) => Err(failure(&error)),
        }
    }

    /// People could not be told: the next one is told singly.
    pub async fn give_matter_back(&self, kind: &str, matter: &str) -> Result<(), Failure> {
        let request = self.update(&matters(kind)).update_expression("DELETE matters :matter");
        let given = request.expression_attribute_values(":matter", set(digest(matter))).send().await;
        given.map(|_| ()).map_err(|it| failure(&it))
    }
}

pub fn report_item(id: &RequestId) -> String {
    format!("report#{id}")
}

fn matters(kind: &str) -> String {
    format!("asked#told#{kind}#{}", millis_now() / HOUR_MILLIS)
}

fn read_standing(item: &Item) -> Standing {
    let time = |name: &str| item.contains_key(name).then(|| int(item, name));
    Standing {
        ended: ended(item),
        ruling: ruling(item),
        expires_at: time("expires_at").filter(|_| item.contains_key("asked_at")),
        ended_at: time("ended_at"),
        verdict: string(item, "verdict").and_then(|it| it.parse().ok()),
        is_struck: item.contains_key("struck"),
        is_resumed: item.contains_key("is_resumed"),
        joined: string(item, "joined").and_then(|it| RequestId::parse(&it).ok()),
    }
}
