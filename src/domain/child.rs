//! What a flagged credential made, and by whose containment it is answered: the vocabulary of `CONTAIN_CHILDREN`.
//!
//! A credential is flagged, never a role or a name: every user that a pipeline's role ever made is not its thief's.

use aws_smithy_types::DateTime;
use serde::{Deserialize, Serialize};

use crate::ids::{AccessKeyId, AccountId, Partition, PrincipalName, Region, UniqueId};

/// Whose calls count.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Flagged {
    /// This access key or session, and no other of the identity.
    Key(AccessKeyId),
    /// Every key of this user, who was made with a flagged credential.
    User(UniqueId),
}

/// One of a line: whoever was contained, and the response to it. What it made is answered as long as that is in force.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Link {
    pub id: UniqueId,
    pub response: String,
}

/// A flagged credential of somebody who was contained. Several findings may flag several, or one since another time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mark {
    pub flagged: Flagged,
    /// What it did from then on counts, in seconds since 1970.
    pub since: i64,
    /// The finding that flagged it.
    pub finding: String,
    /// From the first, whose places are taken, to its own.
    pub line: Vec<Link>,
}

/// As a report is told of it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Followed {
    pub response: String,
    pub flagged: Flagged,
    pub since: i64,
}

/// Where the ledger keeps whose calls are looked for: those of one response's identity.
pub fn item(account: &AccountId, link: &Link) -> String {
    format!("children#{account}#{}#{}", link.id, link.response)
}

/// Who was contained.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Maker {
    pub account: AccountId,
    pub partition: Partition,
    pub region: Region,
    pub id: UniqueId,
    pub name: PrincipalName,
    /// By which response: what it made is of no concern to another.
    pub response: String,
}

impl Maker {
    /// Its own place in a line.
    pub fn link(&self) -> Link {
        Link { id: self.id.clone(), response: self.response.clone() }
    }
}

/// Why somebody is contained for what somebody else did.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Parent {
    /// Who made it.
    pub id: UniqueId,
    pub name: PrincipalName,
    /// With which credential.
    pub access_key: AccessKeyId,
    /// The finding that the maker was contained for.
    pub finding: String,
    /// By which call, as CloudTrail has it.
    pub event: String,
    /// From the first, one of whose places it takes, to who made it.
    pub line: Vec<Link>,
}

impl Parent {
    /// For people.
    pub fn words(&self) -> String {
        let Self { id, name, access_key, event, .. } = self;
        format!("made with access key {access_key} of {name} ({id}), CloudTrail event {event}")
    }
}

/// What somebody made, as the record of its maker keeps it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Child {
    pub event: String,
    pub made: Made,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Made {
    /// A user that was not there before.
    User { id: UniqueId, name: PrincipalName },
    /// A key for a user that was there: it is nobody's fault to be given one.
    Key { id: AccessKeyId, user: PrincipalName },
}

impl Child {
    /// Of a user that was made.
    pub fn id(&self) -> Option<&UniqueId> {
        match &self.made {
            Made::User { id, .. } => Some(id),
            Made::Key { .. } => None,
        }
    }

    pub fn words(&self) -> String {
        let event = &self.event;
        match &self.made {
            Made::User { id, name } => format!("user {name} ({id}), event {event}"),
            Made::Key { id, user } => format!("access key {id} of user {user}, event {event}"),
        }
    }
}

/// How long after a containment what it made is still looked for: the last report on it comes after two hours, and
/// CloudTrail's records some minutes later.
pub const WATCHED_MILLIS: i64 = 3 * 3_600_000;

/// So many of what somebody may have made are looked at for an answer. Whoever is gone, spared or nobody's is none.
pub const MOST_LOOKED_AT: usize = 60;

/// When the behaviour of a finding began, as far as it says.
pub fn began(began_at: Option<DateTime>, occurred_at: Option<DateTime>) -> Option<DateTime> {
    match (began_at, occurred_at) {
        (Some(began), Some(seen)) if began.secs() > seen.secs() => Some(seen),
        (began, seen) => began.or(seen),
    }
}
