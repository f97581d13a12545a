//! How far a request has come, and nothing of whom it is about: what the form shows to who reported.

use super::request::{Ruling, State, state};
use crate::ids::RequestId;
use crate::verdict::Verdict;

/// The attributes that it is read from: the form's role may read no other (`dynamodb:Attributes`).
pub const ATTRIBUTES: &[&str] = &[
    "id",
    "decided_at",
    "decided_by",
    "decision",
    "ended_at",
    "expires_at",
    "joined",
    "report_of",
    "state",
    "verdict",
];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// What the responder wrote last; absent for a report that it has not looked at.
    pub stored: Option<State>,
    pub ruling: Option<Ruling>,
    /// Milliseconds since 1970, as all times here.
    pub expires_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub verdict: Option<Verdict>,
    /// Another request that asks for the same: how far that has come is how far this has.
    pub joined: Option<RequestId>,
}

impl Standing {
    pub fn state(&self, now: i64) -> State {
        state(self.stored, self.ruling.as_ref(), self.expires_at, now)
    }
}
