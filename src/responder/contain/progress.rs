//! What must outlive a time-out.

use std::sync::OnceLock;

use clients::accounts::Member;
use clients::ledger::{IdentityLease, Lease, Memory};
use domain::containment::grouping::Group;
use domain::containment::progress::Progress;
use domain::finding::Finding;
use tokio::sync::oneshot;

use super::known::Known;

#[derive(Default)]
pub(super) struct Running {
    pub(super) progress: Progress,
    pub(super) member: Option<Member>,
    pub(super) lease: Option<Lease>,
    pub(super) memory: Memory,
    /// Set as soon as it is known, beside the strike: a response that runs out of time must release it.
    pub(super) identity_lease: OnceLock<IdentityLease>,
    /// Another one tells, or has told.
    pub(super) is_quiet: bool,
    /// It is kept with a question that nobody would be called for, were it not for this finding.
    pub(super) joins_lesser: bool,
    /// Those of the event that go with the lead.
    pub(super) others: Vec<Finding>,
    /// Where those that do not are sent to begin by themselves.
    pub(super) apart: Option<oneshot::Sender<Vec<Group>>>,
    /// Where people are to be asked about who was struck, while that is held.
    pub(super) struck: Option<oneshot::Sender<Known>>,
    /// Somebody else has the lease on the name.
    pub(super) is_beside: bool,
}
