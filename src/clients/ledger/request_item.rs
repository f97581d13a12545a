//! A request as the ledger's item holds it.

use std::collections::BTreeSet;

use aws_sdk_dynamodb::types::AttributeValue;
use domain::approval::offer::{Offer, Opened};
use domain::approval::reported::Reported;
use domain::approval::request::{Asked, Begun, Expiry, Request, Ruling, State, Struck, Target};
use domain::decision::Wish;
use domain::finding::Finding;
use domain::identity::IdentityKind;
use domain::ids::{Parse, RequestId, UniqueId};
use domain::question::Barrier;
use serde::{Deserialize, Serialize};

use super::cards::card;
use super::{Item, int, string, strings};

/// The responder's own copy of what whoever decides may write too, since the condition of their one write names it.
///
/// INVARIANT: nothing that whoever decides can write makes a request another's, later, or over.
/// `tests/test_front_thieves.py` holds it.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Sealed {
    arn: String,
    barred: BTreeSet<String>,
    expires_at: i64,
    name: String,
    plan_hash: String,
    requester: String,
}

impl Sealed {
    pub(super) fn of(asked: &Asked) -> Self {
        Self {
            arn: asked.target.arn.clone(),
            barred: asked.barred.clone(),
            expires_at: asked.expires_at,
            name: asked.target.name.clone(),
            plan_hash: asked.plan_hash.clone(),
            requester: asked.requester.clone(),
        }
    }
}

/// Valid, or not read at all: what is asked is acted upon.
pub(super) fn request(id: &RequestId, item: &Item) -> Option<Request> {
    let time = |name: &str| item.contains_key(name).then(|| int(item, name));
    let (votes, approvers) =
        begun(item).map_or_else(|| (list(item, "votes"), strings(item, "approvers")), |it| (it.votes, it.approvers));
    let it = Request {
        id: id.clone(),
        ended: ended(item),
        reported: string(item, "reported").and_then(|it| Reported::read(&it, i64::MAX)),
        asked: asked(item),
        offer: offer(item),
        ruling: ruling(item),
        votes,
        approvers,
        verdict: string(item, "verdict"),
        reason: string(item, "ended_reason"),
        joined: string(item, "joined").and_then(|it| RequestId::parse(&it).ok()),
        told_at: time("told_at"),
        ended_at: time("ended_at"),
        attempts: int(item, "attempts"),
        lifted: string(item, "lifted"),
        lift_trouble: string(item, "lift_trouble"),
        expiry: Expiry { told_at: time("expiry_told_at"), incident_at: time("expiry_incident_at") },
        is_begun: item.contains_key("is_begun"),
        is_resumed: item.contains_key("is_resumed"),
        again_at: time("again_at"),
        told_trouble: string(item, "told_trouble"),
        card: card(item),
    };
    let is_there = it.reported.is_some() || it.asked.is_some() || it.offer.is_some() || it.ended.is_some();
    is_there.then_some(it)
}

/// The responder alone writes that a request ended. `state` is there for whoever decides.
pub(super) fn ended(item: &Item) -> Option<State> {
    string(item, "ended_as").filter(|_| item.contains_key("ended_at"))?.parse().ok()
}

/// INVARIANT: what whoever decides writes after it was begun changes nothing. `tests/test_front_thieves.py` holds it.
pub(super) fn ruling(item: &Item) -> Option<Ruling> {
    if let Some(begun) = begun(item) {
        return Some(begun.ruling());
    }
    let decision = string(item, "decision").and_then(|it| it.parse().ok())?;
    Some(Ruling { decision, by: string(item, "decided_by").unwrap_or_default(), at: int(item, "decided_at") })
}

fn begun(item: &Item) -> Option<Begun> {
    serde_json::from_str(&string(item, "begun")?).ok()
}

fn asked(item: &Item) -> Option<Asked> {
    let finding = |it: &String| Finding::from_kept(it);
    let kinds = list(item, "plan_kinds");
    let sealed: Sealed = serde_json::from_str(&string(item, "sealed")?).ok()?;
    // Whoever decides can end it early: that is told.
    let expires_at = if item.contains_key("expires_at") { int(item, "expires_at") } else { 0 };
    Some(Asked {
        finding: string(item, "finding").as_ref().and_then(finding)?,
        others: list(item, "other_findings").iter().filter_map(finding).collect(),
        target: Target {
            kind: match string(item, "target_kind")?.as_str() {
                "user" => IdentityKind::User,
                "role" => IdentityKind::Role,
                _ => return None,
            },
            name: sealed.name,
            id: UniqueId::parse(&string(item, "target_id")?).ok()?,
            arn: sealed.arn,
        },
        plan: list(item, "plan_words"),
        kinds: kinds.iter().map(|it| serde_json::from_str(it).ok()).collect::<Option<_>>()?,
        plan_hash: sealed.plan_hash,
        affected: list(item, "affected"),
        requester: sealed.requester,
        needed: int(item, "needed"),
        asked_at: int(item, "asked_at"),
        expires_at: sealed.expires_at.min(expires_at),
        struck: struck(item),
        barred: sealed.barred,
        opened_by: string(item, "opened_by"),
        is_beyond: item.get("is_beyond") == Some(&AttributeValue::Bool(true)),
    })
}

fn struck(item: &Item) -> Option<Struck> {
    let barrier = string(item, "barrier").and_then(|it| it.parse().ok()).unwrap_or(Barrier::Deny);
    Some(Struck { response: string(item, "struck")?, barrier })
}

fn offer(item: &Item) -> Option<Offer> {
    Some(Offer {
        finding: string(item, "finding").as_deref().and_then(Finding::from_kept)?,
        subject: string(item, "offer_subject")?,
        text: string(item, "offer_text")?,
        hash: string(item, "plan_hash")?,
        expires_at: int(item, "expires_at"),
        opened: opened(item),
    })
}

fn opened(item: &Item) -> Option<Opened> {
    string(item, "decision").filter(|it| it == Wish::Open.word())?;
    let user = strings(item, "approvers").first().and_then(|it| it.rsplit('/').next()).map(str::to_owned);
    Some(Opened { by: string(item, "decided_by").unwrap_or_default(), user, at: int(item, "decided_at") })
}

fn list(item: &Item, name: &str) -> Vec<String> {
    let list = item.get(name).and_then(|it| it.as_l().ok()).into_iter().flatten();
    list.filter_map(|it| it.as_s().ok().cloned()).collect()
}
