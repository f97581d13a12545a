//! What earlier responses and restores left: read from the ledger, decided by here.

use std::collections::{BTreeMap, BTreeSet};

use aws_smithy_types::DateTime;
use serde::Serialize;
use serde_json::{Value, json};

use crate::change::OUR_TAGS;
use crate::identity::{Observed, Profile, Unreadable};
use crate::verdict::Verdict;

/// What an earlier response left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    pub verdict: Option<Verdict>,
    pub incident: Option<String>,
    /// When it was last read to be in place, all of it: milliseconds since 1970.
    pub held_at: Option<i64>,
}

impl Past {
    /// Whether what was seen at that time was answered: it had been held since, when it was last read.
    pub fn has_answered(&self, seen: Option<DateTime>) -> bool {
        match (self.held_at, seen.and_then(|it| it.to_millis().ok())) {
            (Some(held), Some(seen)) => self.verdict.is_some_and(Verdict::is_success) && seen <= held,
            _ => false,
        }
    }
}

/// A person took the containment back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// In seconds since 1970.
    pub at: i64,
    pub unique_id: String,
    /// The finding was responded to, or seen, before that.
    pub is_noted: bool,
}

/// Everything that is kept of an identity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// The snapshot. Absent when it was never contained, or was restored since.
    pub before: Option<Value>,
    /// What the responses meant to do, as `Change::words_of_record`.
    pub planned: BTreeSet<String>,
    /// The name it had when it was contained.
    pub principal: Option<String>,
    pub arn: Option<String>,
    pub verdict: Option<Verdict>,
    pub incident: Option<String>,
    /// Milliseconds since 1970, as all times here.
    pub first_seen: Option<i64>,
    pub last_seen: Option<i64>,
    /// One JSON value a change, the oldest first.
    pub applied: Vec<Value>,
    pub restored: Option<Restoration>,
}

/// Who took a containment back, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Restoration {
    pub at: i64,
    pub by: String,
    pub reason: String,
    pub applied: Vec<String>,
}

/// As the ledger and the report keep it, for whoever has to put it back.
pub fn snapshot(observed: &Observed) -> Value {
    fn read<T: Serialize>(it: &Result<T, Unreadable>) -> Value {
        match it {
            Ok(it) => json!(it),
            Err(unreadable) => json!({"unreadable": unreadable.why.to_string()}),
        }
    }
    json!({
        "access_keys": read(&observed.keys),
        "attached_policies": read(&observed.attached),
        "inline_policies": read(&observed.inline),
        "groups": read(&observed.groups),
        "other_credentials": read(&observed.credentials),
        "console_password": read(&observed.login),
        "mfa_devices": read(&observed.mfa_devices),
        "tags": read(&observed.profile.as_ref().map(our_tags).map_err(Clone::clone)),
        "permissions_boundary": read(&observed.profile.as_ref().map(|it| it.boundary.clone()).map_err(Clone::clone)),
    })
}

/// The tags that a response writes over.
fn our_tags(profile: &Profile) -> BTreeMap<String, String> {
    profile.tags.iter().filter(|(key, _)| OUR_TAGS.contains(&key.as_str())).cloned().collect()
}
