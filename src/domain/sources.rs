//! An invocation's payload, whatever its shape, into findings.
//!
//! Four outcomes and no fifth: findings to respond to, findings to *tell* a person of, ignored *with a
//! reason*, malformed *with the JSON path*. One event may hold several findings, each judged alone, so that
//! all of them can come from one payload. Malformed is told as well, when its source is one that we trust.
//! The payload is read leniently (AWS's own samples have missing fields and odd
//! times), but every field that an action will use must be present and valid.
//!
//! Does no IO and decides nothing by a title, which attackers can write.
//!
//! INVARIANT: damage to a payload leads to no other identity, to no action on less evidence and to no silence.
//! `tests/damaged_events.rs` holds it.

use serde_json::Value;

use crate::command::Command;
use crate::finding::Finding;
use crate::settings::{Responder, Settings};
use crate::text;
use crate::told::{Told, ToldFinding};

pub use credential_events::{Credential, CredentialEvent, credential_event};
pub use security_hub::SIMULATION_TITLE;

mod cloudtrail;
mod command;
mod controls;
mod credential_events;
pub mod drill;
mod eligibility;
pub mod front;
mod guardduty;
pub mod guardduty_types;
mod health;
mod identity;
mod node;
mod ocsf;
mod resource;
mod security_hub;
mod seen;
mod unreadable;

use node::Node;

/// What one payload amounts to.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    /// What a person asked for, beside a containment: then there is nothing else.
    pub command: Option<Command>,
    pub findings: Vec<Finding>,
    /// What people are told of and nobody is contained for.
    pub told: Vec<Told>,
    /// Why what is well-formed but not ours was left alone.
    pub ignored: Vec<String>,
    pub malformed: Vec<DecodeError>,
}

impl Decoded {
    /// What two payloads amount to.
    pub fn and(mut self, other: Self) -> Self {
        self.command = self.command.or(other.command);
        self.findings.extend(other.findings);
        self.told.extend(other.told);
        self.ignored.extend(other.ignored);
        self.malformed.extend(other.malformed);
        self
    }
}

/// A field that an action needs and that isn't what it must be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("malformed {event}: `{path}`: {problem}")]
pub struct DecodeError {
    /// Where in the payload, such as `detail.findings[0].AwsAccountId`.
    pub path: String,
    pub problem: String,
    /// Which event, for the person who finds it in the dead-letter queue.
    pub event: String,
}

/// What became of one of an event's findings.
enum Judged {
    Finding(Box<Finding>),
    Told(Box<ToldFinding>),
    Command(Command),
    Ignored(String),
}

impl Judged {
    fn ignored(reason: impl Into<String>) -> Self {
        Self::Ignored(reason.into())
    }
}

impl From<Finding> for Judged {
    fn from(finding: Finding) -> Self {
        Self::Finding(Box::new(finding))
    }
}

/// How much of a list is read. AWS sends one finding in most events and 20 at most; a list of thousands is
/// no list of theirs, and would take many times its size in memory.
const MAX_ITEMS: usize = 1_000;

/// Takes the whole event; its `detail` is known to be an object.
type Shape = fn(&Node, &Responder) -> Vec<Result<Judged, DecodeError>>;

/// Every event we can read: `source`, `detail-type`, decoder. Anything else is not ours.
const SHAPES: &[(&str, &str, Shape)] = &[
    ("aws.guardduty", "GuardDuty Finding", guardduty::decode),
    ("custom.guardduty.simulation", "GuardDuty Finding", guardduty::decode_simulation),
    (front::SOURCE, front::DETAIL_TYPE, front::decode),
    (drill::SOURCE, drill::DETAIL_TYPE, drill::decode),
    ("aws.securityhub", "Security Hub Findings - Imported", security_hub::decode_imported),
    ("aws.securityhub", "Security Hub Findings - Custom Action", security_hub::decode_custom_action),
    ("aws.securityhub", "Findings Imported V2", ocsf::decode),
    ("aws.iam", "AWS API Call via CloudTrail", cloudtrail::decode),
    ("aws.health", "AWS Health Event", health::decode),
    ("aws.health", "AWS Health Abuse Event", health::decode),
];

/// Reads a payload. Never panics, whatever the payload.
pub fn decode(payload: &Value, settings: &Settings) -> Decoded {
    let root = Node::root(payload);
    let judged = match judge(&root, settings) {
        Ok(judged) => judged,
        Err(error) => vec![Err(error)],
    };
    let event = describe(&root);
    let mut decoded = Decoded::default();
    for it in judged {
        match it {
            Ok(Judged::Finding(finding)) => decoded.findings.push(*finding),
            Ok(Judged::Told(told)) => decoded.told.push(Told::Finding(told)),
            Ok(Judged::Command(command)) => decoded.command = Some(command),
            Ok(Judged::Ignored(reason)) => decoded.ignored.push(reason),
            Err(error) => decoded.malformed.push(DecodeError { event: event.clone(), ..error }),
        }
    }
    if let Some(unreadable) = unreadable::told(&root, &decoded.malformed) {
        decoded.told.push(Told::Unreadable(unreadable));
    }
    decoded
}

/// Whether events of this source are AWS's word, which nobody else can send on a bus.
fn is_trusted(source: &str) -> bool {
    source.starts_with("aws.") && SHAPES.iter().any(|(it, ..)| *it == source)
}

fn judge(root: &Node, settings: &Settings) -> Result<Vec<Result<Judged, DecodeError>>, DecodeError> {
    if !root.value().is_some_and(Value::is_object) {
        return Err(root.malformed("a JSON object: an EventBridge event or a command"));
    }
    if root.get("command").is_present() {
        return Ok(vec![command::decode(root, settings)]);
    }
    let Settings::Responder(settings) = settings else {
        return Err(root.get("command").malformed("a command: this function takes no events"));
    };
    let source = root.get("source").required()?;
    let detail_type = root.get("detail-type").required()?;
    match SHAPES.iter().find(|(s, d, _)| *s == source && *d == detail_type) {
        Some((_, _, shape)) => {
            let detail = root.get("detail");
            if !detail.value().is_some_and(Value::is_object) {
                return Err(detail.malformed("an object"));
            }
            Ok(shape(root, settings))
        }
        None => {
            let what = text::line(&format!("`{detail_type}` from `{source}`"), 200);
            Ok(vec![Ok(Judged::ignored(format!("no playbook reacts to {what}")))])
        }
    }
}

/// `GuardDuty Finding event 6a7e8feb-…`, from fields that may hold anything.
fn describe(root: &Node) -> String {
    let kind = root.get("detail-type").text().or(root.get("command").text()).unwrap_or("payload");
    match root.get("id").text() {
        Some(id) => text::line(&format!("{kind} event {id}"), 200),
        None => text::line(kind, 200),
    }
}
