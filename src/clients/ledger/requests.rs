//! Requests for approval: `request#<id>`, what is asked and how far it has come.
//!
//! Beside it, written by the responder alone: `asked#<account>#<unique ID>` names the open request about an
//! identity, so that a second finding asks no second time; `asked#singly#<account>#<playbook>` holds those that
//! people are asked singly.
//!
//! All that is open is in the index `due`, in a bucket of its own: with the time at which it is to be looked at.

use std::time::SystemTime;

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use domain::approval::request::{Asked, Request, State};
use domain::finding::Finding;
use domain::ids::{AccountId, Parse, RequestId, UniqueId};
use domain::outcome::Failure;

use super::cards::LIST;
use super::due::GRACE_MILLIS;
use super::request_item::request;
use super::{Item, Ledger, millis, millis_now, number, set, string, text};
use crate::errors::{failure, is};

/// What waits for people, or for us because of them.
pub(super) const BUCKET: &str = "request";
/// When people are told of a request again whose alert may have been lost.
const UNTOLD_MILLIS: i64 = 60_000;
/// How long a request is kept that has ended.
const KEPT_SECONDS: i64 = 90 * 24 * 3_600;
/// Declined, and denied everything until the restoring function has lifted that.
const LIFT: &str = "lift";
/// Findings about the same identity that are kept with a request.
const MOST_OTHERS: usize = 20;

/// Whose the open request about an identity is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aimed {
    Ours,
    Others(RequestId),
}

/// How a request ended.
#[derive(Debug)]
pub struct End<'a> {
    pub state: State,
    pub verdict: &'a str,
    pub reason: &'a str,
}

impl Ledger {
    pub async fn request(&self, id: &RequestId) -> Result<Option<Request>, Failure> {
        Ok(request(id, &self.item(&Self::request_item(id)).await?))
    }

    /// Stores what is asked, once: whatever a retry saw, people were shown the first. What is told in a list is due
    /// at once, for the list. `false`: it was there.
    pub async fn ask(&self, id: &RequestId, asked: &Asked) -> Result<bool, Failure> {
        let list = |it: &[String]| AttributeValue::L(it.iter().map(text).collect());
        let kinds: Vec<_> = asked.kinds.iter().filter_map(|it| serde_json::to_string(it).ok()).collect();
        let (finding, target) = (&asked.finding, &asked.target);
        let due_at = if asked.is_beyond { asked.asked_at } else { asked.asked_at + UNTOLD_MILLIS };
        let mut expression =
            "SET #state = :waiting, finding = :finding, other_findings = :others, target_kind = :kind, \
             target_name = :name, target_id = :unique_id, target_arn = :arn, plan_words = :plan, plan_kinds = :kinds, \
             plan_hash = :hash, affected = :affected, requester = :requester, needed = :needed, \
             still_needed = :needed, asked_at = :asked_at, expires_at = :expires_at, is_beyond = :is_beyond, \
             account = :account, threat = :threat, target = :target, due_bucket = :bucket, due_at = :due_at"
                .to_owned();
        let others = AttributeValue::L(asked.others.iter().map(|it| text(it.kept())).collect());
        let mut request = self.update(&Self::request_item(id));
        if let Some(struck) = &asked.struck {
            expression.push_str(", struck = :struck");
            request = request.expression_attribute_values(":struck", text(struck));
        }
        // What stood there before it was asked decides nothing.
        expression.push_str(" REMOVE decision, decided_by, decided_at, approvers, votes");
        let request = request
            .update_expression(expression)
            .condition_expression("attribute_not_exists(#state)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":waiting", text(State::Waiting.word()))
            .expression_attribute_values(":finding", text(finding.kept()))
            .expression_attribute_values(":others", others)
            .expression_attribute_values(":kind", text(target.kind.word()))
            .expression_attribute_values(":name", text(&target.name))
            .expression_attribute_values(":unique_id", text(target.id.as_str()))
            .expression_attribute_values(":arn", text(&target.arn))
            .expression_attribute_values(":plan", list(&asked.plan))
            .expression_attribute_values(":kinds", list(&kinds))
            .expression_attribute_values(":hash", text(&asked.plan_hash))
            .expression_attribute_values(":affected", list(&asked.affected))
            .expression_attribute_values(":requester", text(&asked.requester))
            .expression_attribute_values(":needed", number(asked.needed))
            .expression_attribute_values(":asked_at", number(asked.asked_at))
            .expression_attribute_values(":expires_at", number(asked.expires_at))
            .expression_attribute_values(":is_beyond", AttributeValue::Bool(asked.is_beyond))
            .expression_attribute_values(":account", text(finding.account.as_str()))
            .expression_attribute_values(":threat", text(asked.threat().playbook()))
            .expression_attribute_values(":target", text(format!("{}/{}", target.kind.word(), target.name)))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":due_at", number(due_at));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Makes this the open request about an identity, unless another one is that asks for as much. `instead_of`: the
    /// caller has seen that that one is over, or was never asked.
    pub async fn aim(&self, id: &RequestId, asked: &Asked, instead_of: Option<&RequestId>) -> Result<Aimed, Failure> {
        let gravity = asked.threat().gravity();
        let mut condition = "attribute_not_exists(runs_until) OR runs_until < :now OR gravity < :gravity OR \
                             request_id = :id"
            .to_owned();
        let mut request = self.update(&aimed_at(&asked.finding.account, &asked.target.id));
        if let Some(over) = instead_of {
            condition.push_str(" OR request_id = :over");
            request = request.expression_attribute_values(":over", text(over.as_str()));
        }
        let sent = request
            .update_expression("SET request_id = :id, gravity = :gravity, runs_until = :until, expires = :expires")
            .condition_expression(condition)
            .expression_attribute_values(":id", text(id.as_str()))
            .expression_attribute_values(":gravity", number(gravity))
            .expression_attribute_values(":until", number(asked.expires_at))
            .expression_attribute_values(":expires", number(asked.expires_at / 1_000 + KEPT_SECONDS))
            .expression_attribute_values(":now", number(millis_now()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Aimed::Ours),
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                let item = match error.into_service_error() {
                    UpdateItemError::ConditionalCheckFailedException(it) => it.item.unwrap_or_default(),
                    _ => Item::new(),
                };
                let other = string(&item, "request_id").and_then(|it| RequestId::parse(&it).ok());
                Ok(other.map_or(Aimed::Ours, Aimed::Others))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// The item names the request as the open one no more, if it did: what comes next begins anew.
    pub(super) async fn point_no_more(&self, item: &str, id: &RequestId) -> Result<(), Failure> {
        let request = self
            .update(item)
            .update_expression("REMOVE runs_until")
            .condition_expression("request_id = :id")
            .expression_attribute_values(":id", text(id.as_str()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Whether people are asked singly: of a threat in an account only so many are at a time.
    pub async fn take_single(&self, id: &RequestId, finding: &Finding, most: i64) -> Result<bool, Failure> {
        let request = self
            .update(&singly(finding))
            .update_expression("ADD requests :id")
            .condition_expression(
                "attribute_not_exists(requests) OR size(requests) < :most OR contains(requests, :one)",
            )
            .expression_attribute_values(":id", set(id.as_str()))
            .expression_attribute_values(":one", text(id.as_str()))
            .expression_attribute_values(":most", number(most));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// It is asked singly no more, or never was.
    pub async fn leave_single(&self, id: &RequestId, finding: &Finding) -> Result<(), Failure> {
        let free = self.update(&singly(finding)).update_expression("DELETE requests :id");
        let freed = free.expression_attribute_values(":id", set(id.as_str())).send().await;
        freed.map(|_| ()).map_err(|it| failure(&it))
    }

    /// Keeps a finding with the open request about its identity, for when that is carried out. False: it was there.
    /// `struck`: the response by which the identity is denied everything since, for a decline to lift.
    pub async fn join(&self, open: &Request, finding: &Finding, struck: Option<&str>) -> Result<bool, Failure> {
        let Some(asked) = &open.asked else { return Ok(false) };
        if let Some(struck) = struck.filter(|_| asked.struck.is_none()) {
            let request = self
                .update(&Self::request_item(&open.id))
                .update_expression("SET struck = if_not_exists(struck, :struck)")
                .condition_expression("attribute_exists(plan_hash)")
                .expression_attribute_values(":struck", text(struck));
            request.send().await.map_err(|it| failure(&it))?;
        }
        let is_kept = std::iter::once(&asked.finding).chain(&asked.others).any(|it| it.id == finding.id);
        if is_kept || asked.others.len() >= MOST_OTHERS {
            return Ok(false);
        }
        let request = self
            .update(&Self::request_item(&open.id))
            .update_expression("SET other_findings = list_append(other_findings, :finding)")
            .condition_expression("attribute_exists(plan_hash)")
            .expression_attribute_values(":finding", AttributeValue::L(vec![text(finding.kept())]));
        request.send().await.map(|_| true).map_err(|it| failure(&it))
    }

    /// A report that asks for what another request asks: it ends as that one does.
    pub async fn note_joined(&self, id: &RequestId, other: &RequestId) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression(
                "SET #state = :done, joined = :other, expires = :expires \
                 REMOVE due_bucket, due_at, holder, lease_until",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":done", text(State::Waiting.word()))
            .expression_attribute_values(":other", text(other.as_str()))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }

    /// People know that it waits: it is looked at again when it expires, or was decided.
    pub async fn note_asked(&self, id: &RequestId) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET told_at = if_not_exists(told_at, :now), due_at = expires_at")
            .condition_expression("#state = :waiting AND attribute_not_exists(decision)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":waiting", text(State::Waiting.word()))
            .expression_attribute_values(":now", number(millis_now()));
        match request.send().await {
            Ok(_) => Ok(()),
            // Decided meanwhile: it is due for that.
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// What is to be looked at now, the oldest first.
    pub async fn requests_due(&self, most: i32) -> Result<Vec<RequestId>, Failure> {
        let request = self.query(BUCKET, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        Ok(ids(found.map_err(|it| failure(&it))?.items.unwrap_or_default()))
    }

    /// Everything that is open.
    pub async fn requests_open(&self, most: i32) -> Result<Vec<RequestId>, Failure> {
        let found = self.query(BUCKET, most).key_condition_expression("due_bucket = :bucket").send().await;
        Ok(ids(found.map_err(|it| failure(&it))?.items.unwrap_or_default()))
    }

    /// What is declined and still denied everything, the oldest first.
    pub async fn requests_to_lift(&self, most: i32) -> Result<Vec<RequestId>, Failure> {
        let request = self.query(LIFT, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        Ok(ids(found.map_err(|it| failure(&it))?.items.unwrap_or_default()))
    }

    /// It was lifted, or why it can't be; `at`: when it is tried again.
    pub async fn note_lifted(&self, id: &RequestId, verdict: &str, at: Option<i64>) -> Result<(), Failure> {
        let request = self.update(&Self::request_item(id)).expression_attribute_values(":lift", text(LIFT));
        let request = match at {
            Some(at) => request.update_expression("SET due_at = :at").expression_attribute_values(":at", number(at)),
            None => request
                .update_expression("SET lifted = :verdict REMOVE due_bucket, due_at")
                .expression_attribute_values(":verdict", text(verdict)),
        };
        match request.condition_expression("due_bucket = :lift").send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Takes it until `until`, so that nobody else looks at it, and gives it as it is then. `None`: another has it,
    /// or it is over.
    pub async fn take_request(&self, id: &RequestId, until: SystemTime) -> Result<Option<Request>, Failure> {
        let sent = self
            .update(&Self::request_item(id))
            .update_expression("SET holder = :me, lease_until = :until, due_at = :again")
            .condition_expression(
                "attribute_exists(due_bucket) AND (attribute_not_exists(lease_until) OR lease_until < :now)",
            )
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":until", number(millis(until)))
            .expression_attribute_values(":again", number(millis(until) + GRACE_MILLIS))
            .expression_attribute_values(":now", number(millis_now()))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllNew)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(request(id, &output.attributes.unwrap_or_default())),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Gives it back, to be looked at again at `at`.
    pub async fn leave_request(&self, id: &RequestId, at: Option<i64>) -> Result<(), Failure> {
        let mut expression = "REMOVE holder, lease_until".to_owned();
        let mut request = self.update(&Self::request_item(id));
        if let Some(at) = at {
            expression = format!("SET due_at = :at {expression} ADD attempts :one");
            request =
                request.expression_attribute_values(":at", number(at)).expression_attribute_values(":one", number(1));
        }
        let request = request
            .update_expression(expression)
            .condition_expression("holder = :me")
            .expression_attribute_values(":me", text(&self.owner));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Whether the list of those that are not asked singly may be sent now.
    pub async fn take_list(&self, every_millis: i64) -> Result<bool, Failure> {
        let now = millis_now();
        let request = self
            .update(LIST)
            .update_expression("SET told_at = :now")
            .condition_expression("attribute_not_exists(told_at) OR told_at < :before")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":before", number(now - every_millis));
        match request.send().await {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// It could not be sent.
    pub async fn give_list_back(&self) -> Result<(), Failure> {
        let sent = self.update(LIST).update_expression("REMOVE told_at").send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// It is looked at again at `at`, by whoever comes then.
    pub async fn put_request_off(&self, id: &RequestId, at: i64) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET due_at = :at")
            .condition_expression("attribute_exists(due_bucket) AND attribute_not_exists(decision)")
            .expression_attribute_values(":at", number(at));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// It is over. Its place among those that are asked singly is free, and its identity is nobody's any more.
    pub async fn end_request(&self, it: &Request, end: &End<'_>) -> Result<(), Failure> {
        if let Some(reported) = &it.reported {
            self.close_report(&it.id, reported).await?;
        }
        if let Some(asked) = &it.asked {
            self.point_no_more(&aimed_at(&asked.finding.account, &asked.target.id), &it.id).await?;
            self.leave_single(&it.id, &asked.finding).await?;
        }
        let is_struck = it.asked.as_ref().is_some_and(|it| it.struck.is_some());
        let mut expression = "SET #state = :state, verdict = :verdict, ended_reason = :reason, ended_at = :now, \
                              expires = :expires"
            .to_owned();
        let mut request = self.update(&Self::request_item(&it.id));
        if end.state == State::Declined && is_struck {
            // The restoring function lifts what was done meanwhile.
            expression.push_str(", due_bucket = :lift, due_at = :now REMOVE holder, lease_until");
            request = request.expression_attribute_values(":lift", text(LIFT));
        } else {
            expression.push_str(" REMOVE due_bucket, due_at, holder, lease_until");
        }
        let request = request
            .update_expression(expression)
            .condition_expression("holder = :me")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", text(end.state.word()))
            .expression_attribute_values(":verdict", text(end.verdict))
            .expression_attribute_values(":reason", text(end.reason))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS))
            .expression_attribute_values(":me", text(&self.owner));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }
}

fn aimed_at(account: &AccountId, identity: &UniqueId) -> String {
    format!("asked#{account}#{identity}")
}

fn singly(finding: &Finding) -> String {
    format!("asked#singly#{}#{}", finding.account, finding.threat.playbook())
}

fn ids(items: Vec<Item>) -> Vec<RequestId> {
    let id = |it: &Item| RequestId::parse(string(it, "id")?.strip_prefix("request#")?).ok();
    items.iter().filter_map(id).collect()
}
