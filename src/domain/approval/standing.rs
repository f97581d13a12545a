//! How far a request has come, and nothing of whom it is about: what the form shows to who reported.

use super::request::{Ruling, State, state};
use crate::ids::RequestId;
use crate::verdict::Verdict;

/// The attributes that it is read from: the form's role may read no other (`dynamodb:Attributes`).
pub const ATTRIBUTES: &[&str] = &[
    "id",
    "asked_at",
    "begun",
    "decided_at",
    "decided_by",
    "decision",
    "ended_as",
    "ended_at",
    "expires_at",
    "is_resumed",
    "joined",
    "struck",
    "verdict",
];

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// How it ended; absent as long as it is open.
    pub ended: Option<State>,
    pub ruling: Option<Ruling>,
    /// Milliseconds since 1970, as all times here. Absent where nobody was asked.
    pub expires_at: Option<i64>,
    pub ended_at: Option<i64>,
    pub verdict: Option<Verdict>,
    /// Something was done to the identity while people were asked.
    pub is_struck: bool,
    /// What was approved may have been done in part, before it ended.
    pub is_resumed: bool,
    /// Another request that asks for the same: how far that has come is how far this has.
    pub joined: Option<RequestId>,
}

impl Standing {
    pub fn state(&self, now: i64) -> State {
        state(self.ended, self.expires_at, self.ruling.as_ref(), now)
    }
}
