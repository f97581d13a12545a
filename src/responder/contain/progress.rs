//! What must outlive a time-out, and how a deed is noted the moment its outcome is known.

use std::time::SystemTime;

use clients::accounts::Member;
use clients::ledger::Lease;
use domain::containment::progress::Progress;
use domain::outcome::{Deed, Done, Log, Outcome};

#[derive(Default)]
pub(super) struct Running {
    pub(super) progress: Progress,
    pub(super) member: Option<Member>,
    pub(super) lease: Option<Lease>,
    /// Another one tells, or has told.
    pub(super) is_quiet: bool,
}

/// The words of the log line are those of the report.
pub(crate) fn note<D: Deed>(log: &Log<D>, deed: D, outcome: Outcome) {
    let (step, target, detail) = (deed.name(), deed.target(), outcome.detail());
    match outcome {
        Outcome::Failed(_) => tracing::error!(step, target, outcome = outcome.word(), detail, "{deed}"),
        _ => tracing::info!(step, target, outcome = outcome.word(), detail, "{deed}"),
    }
    log.push(Done { deed, outcome, at: SystemTime::now().into() });
}
