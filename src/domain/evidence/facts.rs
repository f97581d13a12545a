//! What a report is made of: whom it is about, what was found out, and what follows from that without judgement.

use aws_smithy_types::DateTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::behaviour::{Did, Seen, time};
use super::chain::Link;
use super::could::Could;
use super::left::Left;
use super::trail::Event;
use crate::history::Kept;
use crate::identity::{Identity, IdentityKind};
use crate::ids::AccountId;
use crate::verdict::Verdict;

/// Whom it is about, and the period.
#[derive(Debug, Clone)]
pub struct About<'a> {
    pub identity: &'a Identity,
    pub account: &'a AccountId,
    /// Seconds since 1970, as all times here.
    pub from: i64,
    pub to: i64,
    /// When what is suspected began.
    pub since: Option<i64>,
    /// When somebody was told first.
    pub detected: Option<i64>,
    /// How many reports there were, with this one.
    pub revision: i64,
}

/// What was looked up in CloudTrail, and how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looked {
    pub region: String,
    /// The one attribute of the look-up: `Username=alice`.
    pub by: String,
    pub events: usize,
    pub pages: usize,
    /// Why it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Everything that was found out.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    pub kept: &'a Kept,
    pub could: Could,
    /// Of the identity and its sessions, each once.
    pub events: Vec<Event>,
    pub sessions: Vec<Link>,
    pub looked: Vec<Looked>,
    /// What else could not be read, in words.
    pub unread: Vec<String>,
    /// Whether what was left behind is still there, by its event's ID.
    pub exists: Vec<(String, String)>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Containment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// When everything was read to be in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<String>,
    pub responses: Vec<Value>,
    /// What was done, with the request IDs that CloudTrail has too.
    pub actions: Vec<Value>,
}

/// For other programs: as they are, and not for a person to click.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Indicators {
    pub addresses: Vec<String>,
    pub user_agents: Vec<String>,
    pub access_keys: Vec<String>,
    pub identities: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contained: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_detect: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_contain: Option<i64>,
}

pub(super) fn containment(kept: &Kept) -> Containment {
    let at = |millis: i64| DateTime::from_millis(millis).to_string();
    let responses = kept
        .responses
        .iter()
        .map(|it| json!({"id": it.id, "finding": it.finding, "at": at(it.at), "verdict": it.verdict}));
    Containment {
        verdict: kept.verdict,
        read_at: kept.held_at.map(at),
        responses: responses.collect(),
        actions: kept.applied.clone(),
    }
}

pub(super) fn contained_at(kept: &Kept) -> Option<i64> {
    kept.held_at.filter(|_| kept.verdict.is_some_and(Verdict::is_success)).map(|it| it / 1_000)
}

pub(super) fn times(about: &About<'_>, kept: &Kept) -> Times {
    let contained = contained_at(kept);
    let between = |a: Option<i64>, b: Option<i64>| Some((b? - a?).max(0));
    Times {
        began: about.since.map(time),
        detected: about.detected.map(time),
        contained: contained.map(time),
        seconds_to_detect: between(about.since, about.detected),
        seconds_to_contain: between(about.detected, contained),
    }
}

pub(super) fn indicators(did: &Did, found: &Found<'_>, left: &[Left]) -> Indicators {
    let values = |seen: &[Seen]| seen.iter().map(|it| it.value.clone()).collect();
    let mut keys: Vec<_> = found.events.iter().map(|it| it.actor.key.clone()).filter(|it| !it.is_empty()).collect();
    keys.extend(found.sessions.iter().map(|it| it.key.clone()));
    keys.sort();
    keys.dedup();
    let identities = left.iter().filter_map(|it| it.trace.unique_id.clone()).collect();
    Indicators {
        addresses: values(&did.addresses),
        user_agents: values(&did.user_agents),
        access_keys: keys,
        identities,
    }
}

pub(super) fn not_looked_at(found: &Found<'_>) -> Vec<String> {
    let mut missing = vec![
        "data events (objects in S3, items of DynamoDB, invocations of functions): CloudTrail's event history has none"
            .to_owned(),
        "service and resource control policies, and policies of resources".to_owned(),
    ];
    let mut regions: Vec<_> = found.looked.iter().map(|it| it.region.as_str()).collect();
    regions.sort_unstable();
    regions.dedup();
    missing.push(if regions.is_empty() {
        "CloudTrail, in any region".to_owned()
    } else {
        format!("CloudTrail in other regions than {}", regions.join(", "))
    });
    missing.extend(found.unread.iter().cloned());
    missing
}

pub(super) fn undo(about: &About<'_>) -> String {
    let field = if about.identity.kind == IdentityKind::User { "user" } else { "role" };
    let command =
        json!({"command": "restore", "account": about.account, field: about.identity.name, "by": "…", "reason": "…"});
    format!("send the restoring function {command}; keys stay inactive")
}
