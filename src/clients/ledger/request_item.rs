//! A request as the ledger's item holds it.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::approval::request::{Asked, Request, Ruling, State, Target};
use domain::finding::Finding;
use domain::identity::IdentityKind;
use domain::ids::{Parse, RequestId, UniqueId};

use super::cards::card;
use super::{Item, int, string, strings};

/// Valid, or not read at all: what is asked is acted upon.
pub(super) fn request(id: &RequestId, item: &Item) -> Option<Request> {
    let time = |name: &str| item.contains_key(name).then(|| int(item, name));
    let reported = string(item, "reported").and_then(|it| serde_json::from_str(&it).ok());
    let it = Request {
        id: id.clone(),
        stored: string(item, "state").and_then(|it| it.parse::<State>().ok()),
        reported,
        asked: asked(item),
        ruling: ruling(item),
        votes: list(item, "votes"),
        approvers: strings(item, "approvers"),
        verdict: string(item, "verdict"),
        reason: string(item, "ended_reason"),
        joined: string(item, "joined").and_then(|it| RequestId::parse(&it).ok()),
        told_at: time("told_at"),
        ended_at: time("ended_at"),
        attempts: int(item, "attempts"),
        card: card(item),
    };
    (it.reported.is_some() || it.stored.is_some()).then_some(it)
}

pub(super) fn ruling(item: &Item) -> Option<Ruling> {
    let decision = string(item, "decision").and_then(|it| it.parse().ok())?;
    Some(Ruling { decision, by: string(item, "decided_by").unwrap_or_default(), at: int(item, "decided_at") })
}

fn asked(item: &Item) -> Option<Asked> {
    let finding = |it: &String| Finding::from_kept(it);
    let kinds = list(item, "plan_kinds");
    Some(Asked {
        finding: string(item, "finding").as_ref().and_then(finding)?,
        others: list(item, "other_findings").iter().filter_map(finding).collect(),
        target: Target {
            kind: match string(item, "target_kind")?.as_str() {
                "user" => IdentityKind::User,
                "role" => IdentityKind::Role,
                _ => return None,
            },
            name: string(item, "target_name")?,
            id: UniqueId::parse(&string(item, "target_id")?).ok()?,
            arn: string(item, "target_arn")?,
        },
        plan: list(item, "plan_words"),
        kinds: kinds.iter().map(|it| serde_json::from_str(it).ok()).collect::<Option<_>>()?,
        plan_hash: string(item, "plan_hash")?,
        affected: list(item, "affected"),
        requester: string(item, "requester").unwrap_or_default(),
        needed: int(item, "needed"),
        asked_at: int(item, "asked_at"),
        expires_at: int(item, "expires_at"),
        struck: string(item, "struck"),
        is_beyond: item.get("is_beyond") == Some(&AttributeValue::Bool(true)),
    })
}

fn list(item: &Item, name: &str) -> Vec<String> {
    let list = item.get(name).and_then(|it| it.as_l().ok()).into_iter().flatten();
    list.filter_map(|it| it.as_s().ok().cloned()).collect()
}
