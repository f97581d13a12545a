//! What is known of one response so far. It outlives a response that runs out of time, so that the
//! report tells what was done until then.

use crate::change::Change;
use crate::history::Past;
use crate::identity::{Identity, Observed};
use crate::notice::Notice;
use crate::outcome::{Done, Log, Outcome};
use crate::verdict::Verdict;

#[derive(Debug, Default)]
pub struct Progress {
    pub identity: Option<Identity>,
    /// The snapshot: the state before anything was taken away; what was added is in `changes`.
    pub snapshot: Option<Observed>,
    pub changes: Log<Change>,
    pub notices: Log<Notice>,
    /// What an earlier response to the same identity left.
    pub past: Past,
    /// What was done and then undone by somebody else, each time it was seen.
    pub reversals: Vec<String>,
    pub notes: Vec<String>,
    /// Who or what may be involved, for a person to look at. Never part of a verdict.
    pub leads: Vec<String>,
    /// What the playbook's changes don't stop, known from the start.
    pub suspects: Vec<String>,
    /// What still lets the identity act.
    pub open: Vec<String>,
    pub verdict: Option<Verdict>,
    pub reason: Option<String>,
    /// The response in the ledger that this one is, or goes on with.
    pub response: Option<String>,
    /// Only then may anything be taken away.
    pub is_snapshot_saved: bool,
    /// What the ledger could not do. It holds up nothing that adds, and makes the invocation an error.
    pub ledger_failed: Vec<String>,
    /// What has to be tried again.
    pub failed: Vec<String>,
}

impl Progress {
    pub fn conclude(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.verdict = Some(verdict);
        self.reason = Some(reason.into());
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict.unwrap_or(Verdict::NotContained)
    }

    /// Whether there is more to tell than that all is as an earlier response left it.
    pub fn has_news(&self) -> bool {
        let changed = |it: &Done<Change>| it.deed.contains() && !matches!(it.outcome, Outcome::AlreadyDone { .. });
        self.past.verdict != Some(Verdict::Contained)
            || self.verdict != Some(Verdict::Contained)
            || !self.reversals.is_empty()
            || self.changes.all().iter().any(changed)
    }

    /// Everything that was applied, as the ledger keeps it.
    pub fn applied(&self) -> Vec<String> {
        let changes = self.changes.applied().iter().map(Done::line).collect::<Vec<_>>();
        let notices = self.notices.applied().iter().map(Done::line).collect::<Vec<_>>();
        [changes, notices].concat()
    }

    /// Whether it was struck: something holds the identity back now because of us.
    pub fn has_struck(&self) -> bool {
        self.changes.applied().iter().any(|it| it.deed.contains())
    }

    /// The incident that this response started.
    pub fn incident(&self) -> Option<String> {
        self.notices.applied().into_iter().find_map(|it| match (it.deed, it.outcome) {
            (Notice::StartIncident { .. } | Notice::OpenOpsItem, Outcome::Applied { detail }) => Some(detail),
            _ => None,
        })
    }
}
