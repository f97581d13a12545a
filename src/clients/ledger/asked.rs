//! Which requests are open about an identity, and which people are asked singly. Written by the responder alone.
//!
//! `asked#<account>#<unique ID>` names the open request about an identity, so that a second finding asks no second
//! time, and those that a graver one came before. `asked#singly#<account>#<playbook>` holds those that people are
//! asked singly. `asked#list` says when people were told of the others.

use aws_sdk_dynamodb::types::{ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::approval::request::{Asked, Request};
use domain::finding::{Finding, Severity, Source};
use domain::ids::{AccountId, Parse, RequestId, UniqueId};
use domain::outcome::Failure;

use super::cards::LIST;
use super::requests::KEPT_SECONDS;
use super::{Item, Ledger, holds, int, millis_now, number, refused, set, string, strings, text};
use crate::errors::{failure, is};

/// How often a place is tried for while others come and go.
const TRIES: usize = 10;
/// Places of what is over that are given back by one write.
const MOST_PRUNED: usize = 50;

/// Whose the open request about an identity is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aimed {
    /// `before`: others that were open about it, and may be still.
    Ours {
        before: Vec<RequestId>,
    },
    Others(RequestId),
}

impl Ledger {
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
            .update_expression(
                "SET request_id = :id, gravity = :gravity, runs_until = :until, expires = :expires ADD requests :one",
            )
            .condition_expression(condition)
            .expression_attribute_values(":id", text(id.as_str()))
            .expression_attribute_values(":one", set(id.as_str()))
            .expression_attribute_values(":gravity", number(gravity))
            .expression_attribute_values(":until", number(asked.expires_at))
            .expression_attribute_values(":expires", number(asked.expires_at / 1_000 + KEPT_SECONDS))
            .expression_attribute_values(":now", number(millis_now()))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let before = strings(&output.attributes.unwrap_or_default(), "requests");
                let before = before.iter().filter_map(|it| RequestId::parse(it).ok()).filter(|it| it != id).collect();
                Ok(Aimed::Ours { before })
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                let item = refused(error);
                let other = string(&item, "request_id").and_then(|it| RequestId::parse(&it).ok());
                Ok(other.map_or(Aimed::Ours { before: Vec::new() }, Aimed::Others))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// The request about an identity that was open last.
    pub async fn last_asked(&self, account: &AccountId, identity: &UniqueId) -> Result<Option<Request>, Failure> {
        let item = self.item(&aimed_at(account, identity)).await?;
        match string(&item, "request_id").and_then(|it| RequestId::parse(&it).ok()) {
            Some(id) => self.request(&id).await,
            None => Ok(None),
        }
    }

    /// The request is over, or was never asked: what comes next about its identity begins anew.
    pub async fn aim_no_more(&self, id: &RequestId, asked: &Asked) -> Result<(), Failure> {
        let item = aimed_at(&asked.finding.account, &asked.target.id);
        self.point_no_more(&item, id).await?;
        let request = self.update(&item).update_expression("DELETE requests :id");
        let request = request
            .condition_expression("contains(requests, :one)")
            .expression_attribute_values(":id", set(id.as_str()))
            .expression_attribute_values(":one", text(id.as_str()));
        holds(request).await.map(|_| ())
    }

    /// Whether people are asked singly: of a threat in an account only so many are at a time. One that is graver
    /// than all of them always is, so that decoys don't bury it.
    pub async fn take_single(&self, id: &RequestId, asked: &Asked, most: usize) -> Result<bool, Failure> {
        let (item, severity) = (singly(&asked.finding), rank(asked.finding.severity));
        for _ in 0..TRIES {
            let seen = self.item(&item).await?;
            let (over, open): (Vec<_>, Vec<_>) = places(&seen).partition(|it| it.until <= millis_now());
            if open.iter().any(|it| it.name == place(id)) {
                return Ok(true);
            }
            if open.len() >= most && open.iter().any(|it| it.severity >= severity) {
                return Ok(false);
            }
            let over: Vec<_> = over.iter().take(MOST_PRUNED).collect();
            let names: Vec<_> = (0..over.len()).map(|it| format!(", #over{it}")).collect();
            let mut request = self.update(&item).expression_attribute_names("#place", place(id));
            for (number, it) in over.iter().enumerate() {
                request = request.expression_attribute_names(format!("#over{number}"), it.name);
            }
            let removed = names.concat();
            let removed = removed.strip_prefix(", ").map(|it| format!(" REMOVE {it}")).unwrap_or_default();
            let request = request
                .update_expression(format!("SET #place = :place{removed} ADD changes :one"))
                .condition_expression("attribute_not_exists(changes) OR changes = :seen")
                .expression_attribute_values(":place", text(format!("{severity} {}", asked.expires_at)))
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":seen", number(int(&seen, "changes")));
            if holds(request).await? {
                return Ok(true);
            }
        }
        // So many others come at the same time: one too many that is told singly is better than one too few.
        Ok(true)
    }

    /// It is asked singly no more, or never was.
    pub async fn leave_single(&self, id: &RequestId, finding: &Finding) -> Result<(), Failure> {
        let free = self
            .update(&singly(finding))
            .update_expression("REMOVE #place ADD changes :one")
            .condition_expression("attribute_exists(#place)")
            .expression_attribute_names("#place", place(id))
            .expression_attribute_values(":one", number(1));
        holds(free).await.map(|_| ())
    }

    /// Whether the list of those that are not asked singly may be sent now: not too often, but for one that is graver
    /// than what stood in the last.
    pub async fn take_list(&self, every_millis: i64, gravest: Severity) -> Result<bool, Failure> {
        let now = millis_now();
        let request = self
            .update(LIST)
            .update_expression("SET told_at = :now, gravest = :gravest")
            .condition_expression("attribute_not_exists(told_at) OR told_at < :before OR gravest < :gravest")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":gravest", number(rank(gravest)))
            .expression_attribute_values(":before", number(now - every_millis));
        holds(request).await
    }

    /// It could not be sent.
    pub async fn give_list_back(&self) -> Result<(), Failure> {
        let sent = self.update(LIST).update_expression("REMOVE told_at").send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }
}

/// DynamoDB compares whole numbers alike on every side.
fn rank(it: Severity) -> i64 {
    (it.0.clamp(0.0, 10.0) * 100.0).round() as i64
}

fn aimed_at(account: &AccountId, identity: &UniqueId) -> String {
    format!("asked#{account}#{identity}")
}

/// What one that is asked singly has: an attribute of its own, with its severity and the time until which it is open.
struct Place<'a> {
    name: &'a str,
    severity: i64,
    until: i64,
}

const PLACE: &str = "place#";

fn place(id: &RequestId) -> String {
    format!("{PLACE}{id}")
}

fn places(item: &Item) -> impl Iterator<Item = Place<'_>> {
    item.iter().filter(|(name, _)| name.starts_with(PLACE)).map(|(name, value)| {
        let read = |it: &String| it.split_once(' ').and_then(|(a, b)| a.parse().ok().zip(b.parse().ok()));
        // One that can't be read is over.
        let (severity, until) = value.as_s().ok().and_then(read).unwrap_or_default();
        Place { name, severity, until }
    })
}

/// Whoever can report must not take the places of what was found.
fn singly(finding: &Finding) -> String {
    let kind = if finding.source == Source::Report { "report" } else { finding.threat.playbook() };
    format!("asked#singly#{}#{kind}", finding.account)
}
