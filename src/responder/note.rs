//! Notes a deed the moment its outcome is known: in the log of the response and in that of the function.

use std::time::SystemTime;

use domain::outcome::{Deed, Done, Log, Outcome};

/// The words of the log line are those of the report.
pub(crate) fn note<D: Deed>(log: &Log<D>, deed: D, outcome: Outcome) {
    let (step, target, detail) = (deed.name(), deed.target(), outcome.detail());
    match outcome {
        Outcome::Failed(_) => tracing::error!(step, target, outcome = outcome.word(), detail, "{deed}"),
        _ => tracing::info!(step, target, outcome = outcome.word(), detail, "{deed}"),
    }
    log.push(Done { deed, outcome, at: SystemTime::now().into() });
}
