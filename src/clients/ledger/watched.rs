//! Critical alerts until somebody acknowledges them: `ack#<id>`, in a bucket of its own in the index `due` with the time
//! at which each is repeated; and `acked#<id>`, who clicked. The function that takes clicks may write the second and
//! nothing of the first: the template's condition on leading keys and attributes holds it to that.
//!
//! INVARIANT: nothing that is written by whoever takes clicks holds up a repetition, but an acknowledgement, of which
//! people are told. `tests/test_acknowledged.py` holds it.
//!
//! INVARIANT: an alert is repeated by whoever has taken it, and taken off once it was published: of a crash in between
//! comes a second one, and never none. `tests/test_acknowledged.py` holds it.

use std::time::SystemTime;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use domain::acknowledgement::{Acknowledged, LATER, Telling, Watched};
use domain::approval::card::Card;
use domain::approval::decision::{Decided, Decider};
use domain::ids::{Parse, RequestId};
use domain::outcome::Failure;
use domain::text as words;
use serde_json::json;

use super::cards::card;
use super::due::{FREE, GRACE_MILLIS};
use super::{Item, Ledger, holds, int, millis, millis_now, number, refused, string, strings, text};
use crate::errors::{failure, is};

/// It stands before no finding.
const BUCKET: &str = "ack";
/// How long it is known who acknowledged it.
const KEPT_SECONDS: i64 = 90 * 24 * 3_600;
/// What is kept of a name that whoever takes clicks wrote.
const LONGEST_NAME: usize = 500;

/// A critical alert as the ledger has it.
#[derive(Debug, Clone)]
pub struct Kept {
    pub watched: Watched,
    /// Its message in Slack.
    pub card: Option<Card>,
    /// When it is looked at next; absent once it is over.
    pub due_at: Option<i64>,
    /// How often it could not be repeated, or told of.
    pub attempts: i64,
    /// Why it is not known whether somebody clicked.
    pub unread: Option<Failure>,
}

impl Ledger {
    /// Keeps a critical alert, once: the same again gives what became of the first.
    pub async fn watch(&self, id: &RequestId, it: &Watched) -> Result<Kept, Failure> {
        let mut kept = self.keep_watched(id, it).await?;
        // By what is kept: the same again may say other words, and its button is the first one's.
        let clicked = self.open_to_clicks(id, &kept.watched).await?;
        kept.watched.acknowledged = kept.watched.acknowledged.or(clicked.filter(|_| !kept.watched.is_over));
        Ok(kept)
    }

    async fn keep_watched(&self, id: &RequestId, it: &Watched) -> Result<Kept, Failure> {
        let mut expression = "SET subject = :subject, words = :words, severity = :severity, account = :account, \
                              thread = :thread, is_beside = :is_beside, is_unsent = :is_unsent, alert_hash = :hash, told_at = :told_at, \
                              repeats_at = :at, due_bucket = :bucket, due_at = :at, expires = :expires"
            .to_owned();
        let mut request = self.update(&watched_item(id));
        if !it.requests.is_empty() {
            expression.push_str(", of_requests = :requests");
            let requests = it.requests.iter().map(ToString::to_string).collect();
            request = request.expression_attribute_values(":requests", AttributeValue::Ss(requests));
        }
        if !it.barred.is_empty() {
            expression.push_str(", barred = :barred");
            request = request.expression_attribute_values(":barred", barred(it));
        }
        let sent = request
            .update_expression(expression)
            .condition_expression("attribute_not_exists(told_at)")
            .expression_attribute_values(":subject", text(&it.subject))
            .expression_attribute_values(":words", text(&it.text))
            .expression_attribute_values(":severity", text(&it.severity))
            .expression_attribute_values(":account", text(&it.account))
            .expression_attribute_values(":thread", text(&it.thread))
            .expression_attribute_values(":is_beside", AttributeValue::Bool(it.is_beside))
            .expression_attribute_values(":is_unsent", AttributeValue::Bool(it.is_unsent))
            .expression_attribute_values(":hash", text(it.hash()))
            .expression_attribute_values(":told_at", number(it.told_at))
            .expression_attribute_values(":at", number(it.repeats_at))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":expires", expires(it))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        let first = || Kept { watched: it.clone(), card: None, due_at: Some(it.repeats_at), attempts: 0, unread: None };
        match sent {
            Ok(_) => Ok(first()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                Ok(kept(&refused(error)).unwrap_or_else(first))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// What a click is compared with, once; who clicked since.
    async fn open_to_clicks(&self, id: &RequestId, it: &Watched) -> Result<Option<Acknowledged>, Failure> {
        // What stood there before, by whoever knew what the alert would be called, acknowledges nothing.
        let mut expression =
            "SET alert_hash = :hash, told_at = :told_at, expires = :expires REMOVE acknowledged_at, acknowledged_by"
                .to_owned();
        let mut request = self.update(&clicked_item(id));
        if it.barred.is_empty() {
            expression.push_str(", barred");
        } else {
            expression = expression.replacen("SET ", "SET barred = :barred, ", 1);
            request = request.expression_attribute_values(":barred", barred(it));
        }
        let sent = request
            .update_expression(expression)
            .condition_expression("attribute_not_exists(told_at)")
            .expression_attribute_values(":hash", text(it.hash()))
            .expression_attribute_values(":told_at", number(it.told_at))
            .expression_attribute_values(":expires", expires(it))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(None),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(by_click(&refused(error))),
            Err(error) => Err(failure(&error)),
        }
    }

    /// As it is, with who clicked.
    pub async fn watched(&self, id: &RequestId) -> Result<Option<Kept>, Failure> {
        let (item, clicked) = (watched_item(id), clicked_item(id));
        let (item, clicked) = tokio::join!(self.item(&item), self.item(&clicked));
        let Some(mut kept) = kept(&item?) else { return Ok(None) };
        match clicked {
            // What comes there later, people are not told of.
            _ if kept.watched.is_over => {}
            Ok(it) => kept.watched.acknowledged = kept.watched.acknowledged.or_else(|| by_click(&it)),
            Err(failure) => kept.unread = Some(failure),
        }
        Ok(Some(kept))
    }

    /// Somebody has seen it, and says so by command: the first who does.
    pub async fn acknowledge(&self, id: &RequestId, by: &Decider) -> Result<Decided, Failure> {
        let Some(kept) = self.watched(id).await? else { return Ok(Decided::NotFound) };
        if let Some(Acknowledged { by, at, .. }) = kept.watched.acknowledged {
            return Ok(Decided::Before { decision: "ack".to_owned(), by, at });
        }
        let request = self.update(&watched_item(id));
        let is_open = "attribute_exists(told_at) AND attribute_not_exists(is_over)";
        self.write_acknowledged(request, is_open.to_owned(), None, by).await
    }

    /// Somebody has seen it, and clicks. `hash`: of what was clicked.
    pub async fn click(&self, id: &RequestId, hash: &str, by: &Decider) -> Result<Decided, Failure> {
        let mut condition = "alert_hash = :hash".to_owned();
        let mut request = self.update(&clicked_item(id)).expression_attribute_values(":hash", text(hash));
        if let Some(user) = &by.user {
            condition.push_str(" AND NOT contains(barred, :user)");
            request = request.expression_attribute_values(":user", text(user));
        }
        self.write_acknowledged(request, condition, Some(hash), by).await
    }

    async fn write_acknowledged(
        &self,
        request: UpdateItemFluentBuilder,
        condition: String,
        hash: Option<&str>,
        by: &Decider,
    ) -> Result<Decided, Failure> {
        let sent = request
            .update_expression("SET acknowledged_by = :by, acknowledged_at = :now")
            .condition_expression(format!("{condition} AND attribute_not_exists(acknowledged_at)"))
            .expression_attribute_values(":by", text(&by.words))
            .expression_attribute_values(":now", number(millis_now()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Decided::Now),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(refusal(&refused(error), hash, by)),
            Err(error) => Err(failure(&error)),
        }
    }

    /// No click counts any more: it is compared with nothing. Whether none had come.
    pub async fn close_to_clicks(&self, id: &RequestId) -> Result<bool, Failure> {
        let sent = self
            .update(&clicked_item(id))
            .update_expression("REMOVE alert_hash")
            .condition_expression("attribute_exists(told_at) AND attribute_not_exists(acknowledged_at)")
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(acknowledged(&refused(error)).is_none()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Those at which something is to be done, the oldest first; `after` which there are more.
    pub async fn watched_due(&self, most: i32, after: Option<Item>) -> Result<(Vec<RequestId>, Option<Item>), Failure> {
        let request = self.query(BUCKET, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let request = request.set_exclusive_start_key(after);
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        let found = found.map_err(|it| failure(&it))?;
        let id = |it: &Item| RequestId::parse(string(it, "id")?.strip_prefix(PREFIX)?).ok();
        Ok((found.items.unwrap_or_default().iter().filter_map(id).collect(), found.last_evaluated_key))
    }

    /// It was listed before its time: it is looked at again at `at`, unless somebody took it since it was seen.
    pub async fn correct_watched(&self, id: &RequestId, seen: &Kept, at: i64) -> Result<(), Failure> {
        let request = self
            .update(&watched_item(id))
            .update_expression("SET due_at = :at")
            .condition_expression("due_at = :seen AND (attribute_not_exists(lease_until) OR lease_until < :now)")
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":seen", number(seen.due_at.unwrap_or_default()))
            .expression_attribute_values(":now", number(millis_now()));
        holds(request).await.map(|_| ())
    }

    /// Takes it until `until`, as it is then. `None`: another has it, or it is over.
    pub async fn take_watched(&self, id: &RequestId, until: SystemTime) -> Result<Option<Kept>, Failure> {
        let request = self
            .update(&watched_item(id))
            .update_expression("SET holder = :me, lease_until = :until, due_at = :again")
            .condition_expression(FREE)
            .expression_attribute_values(":again", number(millis(until) + GRACE_MILLIS));
        Ok(self.take_item(request, until).await?.and_then(|it| kept(&it)))
    }

    /// It was published: it is looked at again at `again_at`.
    pub async fn note_repeated(&self, id: &RequestId, now: i64, again_at: i64) -> Result<(), Failure> {
        let request = self
            .update(&watched_item(id))
            .update_expression("SET repeated_at = :repeated, due_at = :again REMOVE holder, lease_until, attempts")
            .expression_attribute_values(":repeated", number(now))
            .expression_attribute_values(":again", number(again_at));
        self.change_watched(request).await
    }

    /// There is nothing to do about it until `at`.
    pub async fn leave_watched(&self, id: &RequestId, at: i64) -> Result<(), Failure> {
        let request = self.update(&watched_item(id)).update_expression("SET due_at = :at REMOVE holder, lease_until");
        self.change_watched(request.expression_attribute_values(":at", number(at))).await
    }

    /// It failed, and is tried again at `at`.
    pub async fn put_watched_off(&self, id: &RequestId, at: i64) -> Result<(), Failure> {
        let request = self
            .update(&watched_item(id))
            .update_expression("SET due_at = :at REMOVE holder, lease_until ADD attempts :one")
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":one", number(1));
        self.change_watched(request).await
    }

    /// Not all could be told who acknowledged it.
    pub async fn note_telling(&self, id: &RequestId, it: &Telling) -> Result<(), Failure> {
        let request = self.update(&watched_item(id)).update_expression("SET telling = :telling");
        self.change_watched(request.expression_attribute_values(":telling", text(json!(it).to_string()))).await
    }

    /// Nothing more is done about it. `by`: who acknowledged it, as people were told: what is written where clicks
    /// are changes nothing of that any more.
    pub async fn end_watched(&self, id: &RequestId, by: Option<&Acknowledged>) -> Result<(), Failure> {
        let (mut expression, mut condition) = ("SET is_over = :yes".to_owned(), "holder = :me");
        let mut request =
            self.update(&watched_item(id)).expression_attribute_values(":yes", AttributeValue::Bool(true));
        if let Some(it) = by {
            expression.push_str(", acknowledged_by = :by, acknowledged_at = :seen");
            request = request
                .expression_attribute_values(":by", text(words::line(&it.by, LONGEST_NAME)))
                .expression_attribute_values(":seen", number(it.at));
        } else {
            // Somebody did by command in this moment: people are told, once the lease is over.
            condition = "holder = :me AND attribute_not_exists(acknowledged_at)";
        }
        let ended = " REMOVE due_bucket, due_at, holder, lease_until, attempts, telling";
        let request = request.update_expression(expression + ended).condition_expression(condition);
        holds(request.expression_attribute_values(":me", text(&self.owner))).await.map(|_| ())
    }

    pub async fn note_watched_card(&self, id: &RequestId, it: &Card) -> Result<(), Failure> {
        self.note_shown(&watched_item(id), Some("attribute_exists(told_at)"), it).await
    }

    async fn change_watched(&self, request: UpdateItemFluentBuilder) -> Result<(), Failure> {
        let request = request.expression_attribute_values(":me", text(&self.owner));
        holds(request.condition_expression("holder = :me")).await.map(|_| ())
    }
}

const PREFIX: &str = "ack#";

fn watched_item(id: &RequestId) -> String {
    format!("{PREFIX}{id}")
}

fn clicked_item(id: &RequestId) -> String {
    format!("acked#{id}")
}

fn barred(it: &Watched) -> AttributeValue {
    AttributeValue::Ss(it.barred.iter().cloned().collect())
}

fn expires(it: &Watched) -> AttributeValue {
    number((it.repeats_at + LATER) / 1_000 + KEPT_SECONDS)
}

fn refusal(seen: &Item, hash: Option<&str>, by: &Decider) -> Decided {
    let is_barred = by.user.as_ref().is_some_and(|it| strings(seen, "barred").contains(it));
    match acknowledged(seen) {
        _ if !seen.contains_key("told_at") => Decided::NotFound,
        Some(Acknowledged { by, at, .. }) => Decided::Before { decision: "ack".to_owned(), by, at },
        None if is_barred => Decided::Own,
        None if hash.is_some() && string(seen, "alert_hash").as_deref() != hash => Decided::OtherPlan,
        None => Decided::NotWaiting,
    }
}

fn acknowledged(item: &Item) -> Option<Acknowledged> {
    let at = item.contains_key("acknowledged_at").then(|| int(item, "acknowledged_at"))?;
    Some(Acknowledged { by: string(item, "acknowledged_by").unwrap_or_default(), at, is_click: false })
}

fn by_click(item: &Item) -> Option<Acknowledged> {
    acknowledged(item).map(|it| Acknowledged::clicked(&it.by, it.at))
}

/// `None`: there is none.
fn kept(item: &Item) -> Option<Kept> {
    let is = |name: &str| item.get(name) == Some(&AttributeValue::Bool(true));
    let told_at = item.contains_key("told_at").then(|| int(item, "told_at"))?;
    let watched = Watched {
        subject: string(item, "subject").unwrap_or_default(),
        text: string(item, "words").unwrap_or_default(),
        severity: string(item, "severity").unwrap_or_default(),
        account: string(item, "account").unwrap_or_default(),
        thread: string(item, "thread").unwrap_or_default(),
        is_beside: is("is_beside"),
        is_unsent: is("is_unsent"),
        requests: strings(item, "of_requests").iter().filter_map(|it| RequestId::parse(it).ok()).collect(),
        barred: strings(item, "barred").into_iter().collect(),
        told_at,
        repeats_at: int(item, "repeats_at"),
        acknowledged: acknowledged(item),
        repeated_at: item.contains_key("repeated_at").then(|| int(item, "repeated_at")),
        telling: string(item, "telling").and_then(|it| serde_json::from_str(&it).ok()),
        is_over: is("is_over"),
    };
    let due_at = item.contains_key("due_at").then(|| int(item, "due_at"));
    Some(Kept { watched, card: card(item), due_at, attempts: int(item, "attempts"), unread: None })
}
