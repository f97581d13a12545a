//! Requests for approval: `request#<id>`, what is asked and how far it has come.
//!
//! `asked.rs` has what says beside it which of them are open about an identity, and which are asked singly.
//!
//! All that is open is in the index `due`, in a bucket of its own: with the time at which it is to be looked at.

use std::time::SystemTime;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::approval::request::{Asked, Begun, Expiry, Request, State, Struck};
use domain::decision::Decision;
use domain::finding::{Finding, Source};
use domain::ids::{Parse, RequestId};
use domain::outcome::Failure;
use serde_json::json;

use super::due::{FREE, GRACE_MILLIS};
use super::request_item::{Sealed, request};
use super::{Item, Ledger, holds, millis, millis_now, number, string, text};
use crate::errors::{failure, is};

/// What waits for people, or for us because of them.
pub(super) const BUCKET: &str = "request";
/// When people are told of a request again whose alert may have been lost.
const UNTOLD_MILLIS: i64 = 60_000;
/// How long a request is kept that has ended.
pub(super) const KEPT_SECONDS: i64 = 90 * 24 * 3_600;
/// Declined, and denied everything until the restoring function has lifted that.
pub(super) const LIFT: &str = "lift";
/// Findings about the same identity that are kept with a request, and as many reports.
const MOST_OTHERS: usize = 20;

/// How a request ended.
#[derive(Debug)]
pub struct End<'a> {
    pub state: State,
    pub verdict: &'a str,
    pub reason: &'a str,
}

/// What became of a finding that joins a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Joined {
    /// It is kept with the request since now.
    Kept,
    /// It was there, or there is no room for it.
    Known,
    /// The request was declined, or is over: nothing joins it.
    Over,
}

/// Whether the restoring function has to lift something of a request that ended.
#[derive(Clone, Copy)]
enum Lifts {
    Struck,
    Nothing,
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
             account = :account, threat = :threat, target = :target, sealed = :sealed, due_bucket = :bucket, \
             due_at = :due_at"
                .to_owned();
        let others = AttributeValue::L(asked.others.iter().map(|it| text(it.kept())).collect());
        let mut request = self.update(&Self::request_item(id));
        if let Some(Struck { response, barrier }) = &asked.struck {
            expression.push_str(", struck = :struck, barrier = :barrier");
            request = request.expression_attribute_values(":struck", text(response));
            request = request.expression_attribute_values(":barrier", text(barrier.word()));
        }
        if !asked.barred.is_empty() {
            expression.push_str(", barred = :barred");
            let barred = AttributeValue::Ss(asked.barred.iter().cloned().collect());
            request = request.expression_attribute_values(":barred", barred);
        }
        if let Some(opened_by) = &asked.opened_by {
            expression.push_str(", opened_by = :opened_by");
            request = request.expression_attribute_values(":opened_by", text(opened_by));
        }
        // What stood there before it was asked decides nothing.
        expression.push_str(" REMOVE decision, decided_by, decided_at, approvers, votes");
        let request = request
            .update_expression(expression)
            .condition_expression("attribute_not_exists(asked_at)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":waiting", text(State::Waiting.word()))
            .expression_attribute_values(":sealed", text(json!(Sealed::of(asked)).to_string()))
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
        holds(request).await
    }

    /// The item names the request as the open one no more, if it did: what comes next begins anew.
    pub(super) async fn point_no_more(&self, item: &str, id: &RequestId) -> Result<(), Failure> {
        let request = self
            .update(item)
            .update_expression("REMOVE runs_until")
            .condition_expression("request_id = :id")
            .expression_attribute_values(":id", text(id.as_str()));
        holds(request).await.map(|_| ())
    }

    /// Keeps a finding with the open request about its identity, for when that is carried out. `struck`: what holds
    /// the identity back since, for a decline to lift.
    ///
    /// INVARIANT: what holds an identity back joins no request that was declined, or is over.
    /// `tests/test_approvals_strike.py` holds it.
    pub async fn join(&self, open: &Request, finding: &Finding, struck: Option<&Struck>) -> Result<Joined, Failure> {
        let Some(asked) = &open.asked else { return Ok(Joined::Over) };
        let is_kept = std::iter::once(&asked.finding).chain(&asked.others).any(|it| it.id == finding.id);
        let alike = |it: &&Finding| (it.source == Source::Report) == (finding.source == Source::Report);
        let keeps = !is_kept && asked.others.iter().filter(alike).count() < MOST_OTHERS;
        let mut set = Vec::new();
        let mut request = self.update(&Self::request_item(&open.id));
        if let Some(struck) = struck {
            // Another one may say already by which response.
            set.push("struck = if_not_exists(struck, :struck), barrier = if_not_exists(barrier, :barrier)");
            request = request
                .expression_attribute_values(":struck", text(&struck.response))
                .expression_attribute_values(":barrier", text(struck.barrier.word()));
        }
        if keeps {
            set.push("other_findings = list_append(other_findings, :finding)");
            request = request.expression_attribute_values(":finding", AttributeValue::L(vec![text(finding.kept())]));
        }
        if set.is_empty() {
            return Ok(Joined::Known);
        }
        let request = request
            .update_expression(format!("SET {}", set.join(", ")))
            .condition_expression(
                "attribute_exists(asked_at) AND attribute_not_exists(ended_at) AND \
                 (decision = :approve OR (attribute_not_exists(decision) AND expires_at > :now))",
            )
            .expression_attribute_values(":approve", text(Decision::Approve.word()))
            .expression_attribute_values(":now", number(millis_now()));
        match request.send().await {
            Ok(_) if keeps => Ok(Joined::Kept),
            Ok(_) => Ok(Joined::Known),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(Joined::Over),
            Err(error) => Err(failure(&error)),
        }
    }

    /// A report that asks for what another request asks: it ends as that one does.
    pub async fn note_joined(&self, id: &RequestId, other: &RequestId) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET joined = :other, expires = :expires REMOVE due_bucket, due_at, holder, lease_until")
            .expression_attribute_values(":other", text(other.as_str()))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }

    /// People know that it waits: it is looked at again when it expires, or was decided.
    pub async fn note_asked(&self, id: &RequestId) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET told_at = if_not_exists(told_at, :now), due_at = if_not_exists(expires_at, :now)")
            .condition_expression(
                "attribute_exists(asked_at) AND attribute_not_exists(ended_at) AND attribute_not_exists(decision)",
            )
            .expression_attribute_values(":now", number(millis_now()));
        // Decided meanwhile: it is due for that.
        holds(request).await.map(|_| ())
    }

    /// Takes it until `until`, so that nobody else looks at it, and gives it as it is then. `None`: another has it,
    /// or it is over. `begins`: as it was approved in time; it goes on whenever it is taken up again, as it was first.
    pub async fn take_request(
        &self,
        id: &RequestId,
        until: SystemTime,
        begins: Option<&Request>,
    ) -> Result<Option<Request>, Failure> {
        let mut expression = "SET holder = :me, lease_until = :until, due_at = :again, again_at = :again".to_owned();
        let mut update = self.update(&Self::request_item(id));
        if let Some((seen, begun)) = begins.and_then(|it| Some((it, Begun::of(it)?))) {
            expression.push_str(", is_begun = :yes, begun = if_not_exists(begun, :begun)");
            if seen.is_begun {
                expression.push_str(", is_resumed = :yes");
            }
            update = update
                .expression_attribute_values(":yes", AttributeValue::Bool(true))
                .expression_attribute_values(":begun", text(json!(begun).to_string()));
        }
        let update = update
            .update_expression(expression)
            .condition_expression(FREE)
            .expression_attribute_values(":again", number(millis(until) + GRACE_MILLIS));
        Ok(self.take_item(update, until).await?.and_then(|it| request(id, &it)))
    }

    /// What people were told of an approval that could not be carried out yet, for them not to be told again.
    pub async fn note_trouble(&self, id: &RequestId, told: Option<&str>) -> Result<(), Failure> {
        let request = self.update(&Self::request_item(id)).condition_expression("holder = :me");
        let request = request.expression_attribute_values(":me", text(&self.owner));
        let request = match told {
            Some(told) => {
                request.update_expression("SET told_trouble = :told").expression_attribute_values(":told", text(told))
            }
            None => request.update_expression("REMOVE told_trouble"),
        };
        holds(request).await.map(|_| ())
    }

    /// What people know of a request that expired, for them not to be told the same again.
    pub async fn note_expiry(&self, id: &RequestId, known: Expiry) -> Result<(), Failure> {
        let all = [("expiry_told_at", known.told_at), ("expiry_incident_at", known.incident_at)];
        let all: Vec<_> = all.into_iter().filter_map(|(name, at)| Some((name, at?))).collect();
        if all.is_empty() {
            return Ok(());
        }
        let set: Vec<_> = all.iter().map(|(name, _)| format!("{name} = :{name}")).collect();
        let mut request = self.update(&Self::request_item(id)).update_expression(format!("SET {}", set.join(", ")));
        for (name, at) in all {
            request = request.expression_attribute_values(format!(":{name}"), number(at));
        }
        let request = request.expression_attribute_values(":me", text(&self.owner));
        holds(request.condition_expression("holder = :me")).await.map(|_| ())
    }

    /// Gives it back, to be looked at again at `at`, since it failed.
    pub async fn leave_request(&self, id: &RequestId, at: Option<i64>) -> Result<(), Failure> {
        self.give_request_back(id, at, " ADD attempts :one").await
    }

    /// Gives it back, to be looked at again at `at`: another is at it, and nothing failed.
    pub async fn postpone_request(&self, id: &RequestId, at: i64) -> Result<(), Failure> {
        self.give_request_back(id, Some(at), "").await
    }

    async fn give_request_back(&self, id: &RequestId, at: Option<i64>, counted: &str) -> Result<(), Failure> {
        let mut expression = "REMOVE holder, lease_until".to_owned();
        let mut request = self.update(&Self::request_item(id));
        if let Some(at) = at {
            expression = format!("SET due_at = :at, again_at = :at {expression}{counted}");
            request = request.expression_attribute_values(":at", number(at));
            if !counted.is_empty() {
                request = request.expression_attribute_values(":one", number(1));
            }
        }
        let request = request
            .update_expression(expression)
            .condition_expression("holder = :me")
            .expression_attribute_values(":me", text(&self.owner));
        holds(request).await.map(|_| ())
    }

    /// It is looked at again at `at`, by whoever comes then.
    pub async fn put_request_off(&self, id: &RequestId, at: i64) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET due_at = :at")
            .condition_expression("attribute_exists(due_bucket) AND attribute_not_exists(decision)")
            .expression_attribute_values(":at", number(at));
        holds(request).await.map(|_| ())
    }

    /// It is over. Its place among those that are asked singly is free, and its identity is nobody's any more.
    pub async fn end_request(&self, it: &Request, end: &End<'_>) -> Result<(), Failure> {
        if let Some(asked) = &it.asked {
            self.aim_no_more(&it.id, asked).await?;
            self.leave_single(&it.id, &asked.finding).await?;
        }
        if end.state != State::Declined {
            return holds(self.ending(&it.id, end, Lifts::Nothing).condition_expression("holder = :me"))
                .await
                .map(|_| ());
        }
        let is_unstruck = "holder = :me AND attribute_not_exists(struck)";
        if holds(self.ending(&it.id, end, Lifts::Nothing).condition_expression(is_unstruck)).await? {
            return Ok(());
        }
        let is_struck = "holder = :me AND attribute_exists(struck)";
        holds(self.ending(&it.id, end, Lifts::Struck).condition_expression(is_struck)).await.map(|_| ())
    }

    fn ending(&self, id: &RequestId, end: &End<'_>, lifts: Lifts) -> UpdateItemFluentBuilder {
        let mut expression = "SET #state = :state, ended_as = :state, verdict = :verdict, ended_reason = :reason, \
                              ended_at = :now, expires = :expires"
            .to_owned();
        let mut request = self.update(&Self::request_item(id));
        match lifts {
            // The restoring function lifts what was done meanwhile.
            Lifts::Struck => {
                expression.push_str(", due_bucket = :lift, due_at = :now REMOVE holder, lease_until");
                request = request.expression_attribute_values(":lift", text(LIFT));
            }
            Lifts::Nothing => expression.push_str(" REMOVE due_bucket, due_at, holder, lease_until"),
        }
        request
            .update_expression(expression)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":state", text(end.state.word()))
            .expression_attribute_values(":verdict", text(end.verdict))
            .expression_attribute_values(":reason", text(end.reason))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS))
            .expression_attribute_values(":me", text(&self.owner))
    }
}

pub(super) fn ids(items: Vec<Item>) -> Vec<RequestId> {
    let id = |it: &Item| RequestId::parse(string(it, "id")?.strip_prefix("request#")?).ok();
    items.iter().filter_map(id).collect()
}
