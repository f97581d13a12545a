//! What must outlive a time-out.

use clients::accounts::Member;
use clients::ledger::Lease;
use domain::containment::progress::Progress;

#[derive(Default)]
pub(super) struct Running {
    pub(super) progress: Progress,
    pub(super) member: Option<Member>,
    pub(super) lease: Option<Lease>,
    /// Another one tells, or has told.
    pub(super) is_quiet: bool,
}
