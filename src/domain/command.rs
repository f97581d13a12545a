//! What a person asks for with `aws lambda invoke`, beside a containment.

use crate::finding::Principal;
use crate::ids::{AccountId, Partition};

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Take a containment back.
    Restore(Restore),
    /// Tell what is known of an identity.
    Status(Subject),
    /// Hold a fire drill, unless the last one that passed is younger.
    Drill { if_older_than_days: f64 },
    /// Send the digests that are due.
    Digest,
}

/// An identity as a person names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    pub account: AccountId,
    pub partition: Partition,
    pub principal: Principal,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Restore {
    pub subject: Subject,
    pub reason: String,
    pub by: String,
    /// The response to take back, by its ID in the ledger; the last where none is named.
    pub response: Option<String>,
    /// Also when the identity changed since it was contained.
    pub force: bool,
}
