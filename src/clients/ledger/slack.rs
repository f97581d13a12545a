//! What Slack is to get: `slack#<account>#<unique ID>` is the thread of one target, with its messages in their order
//! until Slack has them.
//!
//! A message is kept before it is sent, and taken off after Slack said so: of a crash in between comes a second one,
//! and never none. One invocation at a time sends those of a thread, so that they stay in order.

use std::time::SystemTime;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::ids::RequestId;
use domain::outcome::Failure;
use domain::slack::{Accepted, Alert};
use serde::{Deserialize, Serialize};

use super::due::GRACE_MILLIS;
use super::{Item, Ledger, holds, int, millis, millis_now, number, string, text};
use crate::errors::{failure, is};

/// What Slack is to get has a list of its own in the index: it must stand before no finding.
const BUCKET: &str = "slack";
/// An item holds 400 KB, and a message 10.
const MOST_WAITING: usize = 20;
/// One that is rendered from its request has a hundred bytes.
const MOST_CARDS: usize = 80;
/// After so long a thread is not continued: nobody looks there any more.
const KEPT_SECONDS: i64 = 30 * 24 * 3_600;

/// A message that Slack is to get.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waiting {
    pub id: String,
    /// In milliseconds since 1970.
    pub at: i64,
    pub alert: Alert,
    /// Instead of the alert: rendered when it is sent, so that nothing that stands here makes a button.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub card: Option<CardOf>,
    /// It stands in the channel by itself.
    #[serde(default)]
    pub is_apart: bool,
}

/// What a message shows that is changed from then on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum CardOf {
    Request(RequestId),
    /// A critical alert: the whole of it waits here too, for whoever can't read it in the ledger.
    Watched(RequestId),
    /// Those that are not asked singly.
    List,
}

/// Of a card that tells nothing new.
pub const NO_NEWS: News<'static> = News { words: "-", can_be_old: false };

impl Waiting {
    /// It is rendered from the ledger, and has few bytes.
    fn is_small(&self) -> bool {
        matches!(self.card, Some(CardOf::Request(_) | CardOf::List))
    }
}

/// What a message tells, in few bytes.
#[derive(Debug, Clone, Copy)]
pub struct News<'a> {
    pub words: &'a str,
    /// It need not be said where it was the last thing said.
    pub can_be_old: bool,
}

/// What became of a message that is to be kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    Waits,
    /// It tells what the one before it told, which may wait itself.
    Said {
        waits: bool,
    },
    /// Too many wait: it is counted.
    Counted,
}

/// A thread that is ours alone for a while.
#[derive(Debug, Clone, Default)]
pub struct Thread {
    pub id: String,
    /// Of the channel and of the first message in it.
    pub channel: Option<String>,
    pub ts: Option<String>,
    /// The next one first.
    pub waiting: Vec<Waiting>,
    /// How many there was no room for.
    pub left_out: i64,
    pub attempts: i64,
}

impl Ledger {
    /// The ID of a target's thread begins with `target#`: a role that may say something there can touch no other.
    fn slack_id(thread: &str) -> String {
        format!("slack#{thread}")
    }

    /// Keeps a message behind those of the thread that wait.
    pub async fn keep_for_slack(&self, thread: &str, it: &Waiting, news: News<'_>) -> Result<Kept, Failure> {
        let id = Self::slack_id(thread);
        let json = serde_json::to_string(it).unwrap_or_default();
        // A card tells nothing of what alerts say, unless it is an alert itself.
        let is_news = it.card.is_none() || news.words != NO_NEWS.words;
        let mut condition = "(attribute_not_exists(waiting) OR size(waiting) < :most)".to_owned();
        if news.can_be_old {
            condition.push_str(" AND (attribute_not_exists(said) OR said <> :news)");
        }
        let mut expression = "SET waiting = list_append(if_not_exists(waiting, :none), :one), due_bucket = :bucket, \
                              due_at = if_not_exists(due_at, :now)"
            .to_owned();
        let mut request = self.update(&id);
        if is_news {
            expression.push_str(", said = :news");
            request = request.expression_attribute_values(":news", text(news.words));
        }
        let sent = request
            .update_expression(format!("{expression} REMOVE expires"))
            .condition_expression(condition)
            .expression_attribute_values(":one", AttributeValue::L(vec![text(json)]))
            .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":most", number(if it.is_small() { MOST_CARDS } else { MOST_WAITING }))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Kept::Waits),
            Err(error) => match error.as_service_error() {
                Some(UpdateItemError::ConditionalCheckFailedException(old)) => {
                    let said = old.item().and_then(|it| string(it, "said"));
                    if news.can_be_old && said.as_deref() == Some(news.words) {
                        return Ok(Kept::Said { waits: old.item().is_some_and(|it| it.contains_key("waiting")) });
                    }
                    let counted = self.update(&id).update_expression("ADD left_out :one");
                    let counted = counted.expression_attribute_values(":one", number(1)).send().await;
                    counted.map(|_| Kept::Counted).map_err(|it| failure(&it))
                }
                _ => Err(failure(&error)),
            },
        }
    }

    /// The threads with something that is to be sent now, the oldest first.
    pub async fn due_for_slack(&self, most: i32) -> Result<Vec<String>, Failure> {
        let request = self.query(BUCKET, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        let items = found.map_err(|it| failure(&it))?.items.unwrap_or_default();
        let ids = items.iter().filter_map(|it| string(it, "id"));
        Ok(ids.filter_map(|it| it.strip_prefix("slack#").map(str::to_owned)).collect())
    }

    /// Takes a thread until `until`. `None`: another invocation has it, or nothing waits.
    pub async fn take_thread(&self, thread: &str, until: SystemTime) -> Result<Option<Thread>, Failure> {
        let id = Self::slack_id(thread);
        let request = self
            .update(&id)
            .update_expression("SET holder = :me, lease_until = :until, due_at = :again")
            .condition_expression(
                "attribute_exists(due_bucket) AND \
                 (attribute_not_exists(lease_until) OR lease_until < :now OR holder = :me)",
            )
            .expression_attribute_values(":again", number(millis(until) + GRACE_MILLIS));
        Ok(self.take_item(request, until).await?.map(|it| thread_of(thread, &it)))
    }

    /// Slack has the first message that waited: what waits now. `root`: it begins the thread. `None`: the thread is
    /// somebody else's by now.
    pub async fn has_sent(
        &self,
        taken: &Thread,
        channel: &str,
        root: Option<&Accepted>,
    ) -> Result<Option<Thread>, Failure> {
        let mut expression = "SET attempts = :zero".to_owned();
        let mut request = self.update(&Self::slack_id(&taken.id)).expression_attribute_values(":zero", number(0));
        if let Some(accepted) = root {
            expression.push_str(", channel = :channel, thread_ts = :ts");
            request = request
                .expression_attribute_values(":channel", text(channel))
                .expression_attribute_values(":ts", text(&accepted.ts));
        }
        self.take_off(taken, request.update_expression(format!("{expression} REMOVE waiting[0]"))).await
    }

    /// The first message is given up, or shows what Slack has.
    pub async fn drop_first(&self, taken: &Thread) -> Result<Option<Thread>, Failure> {
        self.take_off(taken, self.update(&Self::slack_id(&taken.id)).update_expression("REMOVE waiting[0]")).await
    }

    async fn take_off(
        &self,
        taken: &Thread,
        request: aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder,
    ) -> Result<Option<Thread>, Failure> {
        let sent = request
            .condition_expression("holder = :me")
            .expression_attribute_values(":me", text(&self.owner))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Some(thread_of(&taken.id, &output.attributes.unwrap_or_default()))),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Nothing waits any more, and the thread is everybody's. False: something came meanwhile.
    pub async fn rest_thread(&self, taken: &Thread) -> Result<bool, Failure> {
        let request = self
            .update(&Self::slack_id(&taken.id))
            .update_expression(
                "SET expires = :expires REMOVE waiting, due_bucket, due_at, holder, lease_until, attempts, left_out",
            )
            .condition_expression("holder = :me AND size(waiting) = :zero")
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS))
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":zero", number(0));
        holds(request).await
    }

    /// What waits stays so until `at`, in milliseconds since 1970.
    pub async fn put_thread_off(&self, taken: &Thread, at: i64) -> Result<(), Failure> {
        let request = self
            .update(&Self::slack_id(&taken.id))
            .update_expression("SET due_at = :at REMOVE holder, lease_until ADD attempts :one")
            .condition_expression("holder = :me")
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":me", text(&self.owner));
        holds(request).await.map(|_| ())
    }
}

/// Only we write here; what an earlier version wrote and nobody can read any more is said to be so, in its place.
fn waiting(json: &str) -> Waiting {
    serde_json::from_str(json).unwrap_or_else(|_| Waiting {
        id: String::new(),
        at: 0,
        alert: Alert::new("A message that could not be read", "", "Look at the alerts of the topic"),
        card: None,
        is_apart: false,
    })
}

fn thread_of(id: &str, item: &Item) -> Thread {
    let all = item.get("waiting").and_then(|it| it.as_l().ok()).into_iter().flatten();
    Thread {
        id: id.to_owned(),
        channel: string(item, "channel"),
        ts: string(item, "thread_ts"),
        waiting: all.map(|it| waiting(it.as_s().map_or("", String::as_str))).collect(),
        left_out: int(item, "left_out"),
        attempts: int(item, "attempts"),
    }
}
