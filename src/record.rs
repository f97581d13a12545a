//! What is known of one response so far. It outlives a response that runs out of time, so that the
//! report tells what was done until then.

use std::sync::{Mutex, PoisonError};
use std::time::SystemTime;

use crate::action::{Action, Done, Failure, Outcome};
use crate::identity::{Identity, Observed};
use crate::ledger::Past;
use crate::report::Verdict;

#[derive(Debug, Default)]
pub struct Record {
    pub identity: Option<Identity>,
    /// The state before anything was taken away; what was added is in `done`.
    pub before: Option<Observed>,
    pub done: DoneLog,
    /// What an earlier response to the same identity left.
    pub past: Past,
    /// What was done and then undone by somebody else, each time it was seen.
    pub reversals: Vec<String>,
    pub notes: Vec<String>,
    /// What the playbook's actions don't stop, known from the start.
    pub suspects: Vec<String>,
    /// What still lets the identity act.
    pub open: Vec<String>,
    pub verdict: Option<Verdict>,
    pub reason: Option<String>,
    /// Only then may anything be taken away.
    pub is_before_kept: bool,
    /// What the ledger could not do. It holds up nothing that adds, and makes the invocation an error.
    pub ledger_failed: Vec<String>,
    /// What has to be tried again.
    pub failed: Vec<String>,
}

impl Record {
    pub fn conclude(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.verdict = Some(verdict);
        self.reason = Some(reason.into());
    }

    /// Whether there is more to tell than that all is as an earlier response left it.
    pub fn has_news(&self) -> bool {
        let changed = |it: &Done| it.action.contains() && !matches!(it.outcome, Outcome::AlreadyDone { .. });
        self.past.verdict.as_deref() != Some("Contained")
            || self.verdict != Some(Verdict::Contained)
            || !self.reversals.is_empty()
            || self.done.all().iter().any(changed)
    }
}

/// Every action and its outcome, kept the moment it is known. Writes that run side by side share it.
#[derive(Debug, Default)]
pub struct DoneLog(Mutex<Vec<Done>>);

impl DoneLog {
    /// The words of the log line are those of the report.
    pub fn push(&self, action: Action, outcome: Outcome) {
        let (step, target, detail) = (action.name(), action.target(), outcome.detail());
        match outcome {
            Outcome::Failed(_) => tracing::error!(step, target, outcome = outcome.word(), detail, "{action}"),
            _ => tracing::info!(step, target, outcome = outcome.word(), detail, "{action}"),
        }
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Done {
            action,
            outcome,
            at: SystemTime::now().into(),
        });
    }

    pub fn all(&self) -> Vec<Done> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Whether the same was done before, or was found done.
    pub fn has_done(&self, action: &Action) -> bool {
        let held = |it: &Done| {
            matches!(it.outcome, Outcome::Applied { .. } | Outcome::AlreadyDone { .. }) && it.action.is_same(action)
        };
        self.all().iter().any(held)
    }

    /// What became of it the last time.
    fn last(&self, action: &Action) -> Option<Outcome> {
        self.all().into_iter().rev().find(|it| it.action.is_same(action)).map(|it| it.outcome)
    }

    /// Why its last try failed, if it did.
    pub fn failure(&self, action: &Action) -> Option<Failure> {
        match self.last(action) {
            Some(Outcome::Failed(failure)) => Some(failure),
            _ => None,
        }
    }

    /// Whether its last try was left for later.
    pub fn was_put_off(&self, action: &Action) -> bool {
        matches!(self.last(action), Some(Outcome::Skipped { .. }))
    }

    /// Whether its last try failed in a way that another try can't mend.
    pub fn failed_for_good(&self, action: &Action) -> bool {
        self.failure(action).is_some_and(|it| !it.retryable)
    }

    /// Each action once, with its last outcome and how often it came to that: in a fight the same is
    /// done over and over.
    pub fn summary(&self) -> Vec<(Done, usize)> {
        let mut summary: Vec<(Done, usize)> = Vec::new();
        for done in self.all() {
            let is_same = |it: &Done| it.action.is_same(&done.action) && it.outcome.word() == done.outcome.word();
            match summary.iter_mut().find(|(it, _)| is_same(it)) {
                Some((last, times)) => (*last, *times) = (done, *times + 1),
                None => summary.push((done, 1)),
            }
        }
        summary
    }

    /// What failed and was not done since, in words.
    pub fn failures(&self) -> Vec<String> {
        let all = self.all();
        let is_mended = |n: usize, action: &Action| {
            let later = all.iter().skip(n + 1);
            later.filter(|it| it.action.is_same(action)).any(|it| !matches!(it.outcome, Outcome::Failed(_)))
        };
        let failed = all.iter().enumerate().filter_map(|(n, it)| match &it.outcome {
            Outcome::Failed(failure) if !is_mended(n, &it.action) => Some(format!("{}: {failure}", it.action)),
            _ => None,
        });
        let mut failed: Vec<_> = failed.collect();
        failed.dedup();
        failed
    }
}
