//! Notes a deed the moment its outcome is known: in the log of the response and in that of the function; and in the end
//! the whole report.

use std::time::SystemTime;

use domain::containment::report::Report;
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

pub(crate) fn report(report: &Report) {
    let json = serde_json::to_string(report).unwrap_or_default();
    tracing::info!(
        playbook = report.playbook,
        verdict = ?report.verdict,
        report = json,
        "{} {:?}: {}",
        report.playbook,
        report.verdict,
        report.reason
    );
}
