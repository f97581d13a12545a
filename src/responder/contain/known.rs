//! What the engine hands to whoever asks people about whom it struck.

use clients::accounts::Member;
use domain::approval::request::Struck;
use domain::change::Change;
use domain::finding::Finding;
use domain::identity::{Identity, Observed};
use domain::outcome::Done;

/// Whom people are asked about, and what is known of it then.
pub(super) struct Known {
    pub(super) member: Member,
    pub(super) identity: Identity,
    /// The state before anything was done.
    pub(super) before: Observed,
    /// What was done at once.
    pub(super) struck: Option<Struck>,
    pub(super) changes: Vec<Done<Change>>,
    /// Findings that go with the lead.
    pub(super) others: Vec<Finding>,
}
