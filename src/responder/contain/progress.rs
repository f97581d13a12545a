//! What must outlive a time-out.

use std::sync::OnceLock;

use clients::accounts::Member;
use clients::ledger::{IdentityLease, Lease, Memory};
use domain::containment::progress::Progress;

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
}
