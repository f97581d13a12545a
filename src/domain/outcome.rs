//! What became of a change or a notice.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_types::DateTime;
use serde::Serialize;
use serde_json::json;

use crate::text;

#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// `observe` mode: it would be done.
    Planned,
    Applied {
        detail: String,
    },
    /// It was so already.
    AlreadyDone {
        detail: String,
    },
    Skipped {
        reason: String,
    },
    /// It is kept in the ledger, and done by the schedule.
    Later {
        reason: String,
    },
    Failed(Failure),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// AWS's error code, or `Timeout` and the like where no answer came.
    pub code: String,
    pub message: String,
    pub retryable: bool,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.message.is_empty() { f.write_str(&self.code) } else { write!(f, "{}: {}", self.code, self.message) }
    }
}

impl Failure {
    /// What was to be changed, or what with, does not exist.
    pub fn is_gone(&self) -> bool {
        self.code == "NoSuchEntity"
    }

    /// AWS asks for fewer calls.
    pub fn is_throttled(&self) -> bool {
        self.code.starts_with("Throttling")
            || ["TooManyRequestsException", "RequestLimitExceeded"].contains(&self.code.as_str())
    }

    /// AWS does not let the caller do it, or does not take its credentials.
    pub fn is_refused(&self) -> bool {
        ["AccessDenied", "InvalidClientTokenId", "ExpiredToken"].contains(&self.code.as_str())
    }

    /// A quota stands in the way; another road may be open.
    pub fn is_quota(&self) -> bool {
        self.code == "LimitExceeded"
    }
}

impl Outcome {
    pub fn word(&self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Applied { .. } => "applied",
            Self::AlreadyDone { .. } => "already-done",
            Self::Skipped { .. } => "skipped",
            Self::Later { .. } => "later",
            Self::Failed(_) => "failed",
        }
    }

    pub fn detail(&self) -> String {
        match self {
            Self::Planned => String::new(),
            Self::Applied { detail } | Self::AlreadyDone { detail } => detail.clone(),
            Self::Skipped { reason } | Self::Later { reason } => reason.clone(),
            Self::Failed(failure) => failure.to_string(),
        }
    }

    pub fn is_applied(&self) -> bool {
        matches!(self, Self::Applied { .. })
    }
}

/// Something that is done: a change to an identity, or a notice to people.
pub trait Deed: Clone + fmt::Display {
    fn name(&self) -> &'static str;
    fn target(&self) -> String;
    /// Whether it is the same deed, whatever date it carries.
    fn is_same(&self, other: &Self) -> bool;
}

/// A deed and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Done<D> {
    pub deed: D,
    pub outcome: Outcome,
    pub at: DateTime,
}

impl<D: Deed> Done<D> {
    /// As the ledger keeps it: with the request ID that CloudTrail has too.
    pub fn line(&self) -> String {
        json!({
            "at": self.at.to_string(),
            "action": self.deed.name(),
            "target": self.deed.target(),
            "outcome": self.outcome.word(),
            "detail": self.outcome.detail(),
        })
        .to_string()
    }
}

/// Every deed and its outcome, kept the moment it is known. Writes that run side by side share it.
#[derive(Debug)]
pub struct Log<D>(Arc<Mutex<Vec<Done<D>>>>);

impl<D> Default for Log<D> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Vec::new())))
    }
}

impl<D: Deed> Log<D> {
    /// The same log, for whoever does something beside.
    #[must_use]
    pub fn shared(&self) -> Self {
        Self(Arc::clone(&self.0))
    }

    pub fn push(&self, done: Done<D>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(done);
    }

    pub fn all(&self) -> Vec<Done<D>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    pub fn applied(&self) -> Vec<Done<D>> {
        self.all().into_iter().filter(|it| it.outcome.is_applied()).collect()
    }

    /// Whether the same was done before, or was found done.
    pub fn has_done(&self, deed: &D) -> bool {
        let held = |it: &Done<D>| {
            matches!(it.outcome, Outcome::Applied { .. } | Outcome::AlreadyDone { .. }) && it.deed.is_same(deed)
        };
        self.all().iter().any(held)
    }

    /// What became of it the last time.
    fn last(&self, deed: &D) -> Option<Outcome> {
        self.all().into_iter().rev().find(|it| it.deed.is_same(deed)).map(|it| it.outcome)
    }

    /// Why its last try failed, if it did.
    pub fn failure(&self, deed: &D) -> Option<Failure> {
        match self.last(deed) {
            Some(Outcome::Failed(failure)) => Some(failure),
            _ => None,
        }
    }

    /// Whether its last try was left for later.
    pub fn was_put_off(&self, deed: &D) -> bool {
        matches!(self.last(deed), Some(Outcome::Skipped { .. }))
    }

    /// Whether its last try failed in a way that another try can't mend. What is gone may have another name for a
    /// moment.
    pub fn failed_for_good(&self, deed: &D) -> bool {
        self.failure(deed).is_some_and(|it| !it.retryable && !it.is_gone())
    }

    /// Each deed once, with its last outcome and how often it came to that: in a fight the same is done
    /// over and over.
    pub fn summary(&self) -> Vec<Summary> {
        let mut summary: Vec<(Done<D>, usize)> = Vec::new();
        for done in self.all() {
            let is_same = |it: &Done<D>| it.deed.is_same(&done.deed) && it.outcome.word() == done.outcome.word();
            match summary.iter_mut().find(|(it, _)| is_same(it)) {
                Some((last, times)) => (*last, *times) = (done, *times + 1),
                None => summary.push((done, 1)),
            }
        }
        summary.iter().map(|(done, times)| Summary::of(done, *times)).collect()
    }

    /// What failed and was not done since, in words.
    pub fn failures(&self) -> Vec<String> {
        let all = self.all();
        let is_mended = |n: usize, deed: &D| {
            let later = all.iter().skip(n + 1);
            later.filter(|it| it.deed.is_same(deed)).any(|it| !matches!(it.outcome, Outcome::Failed(_)))
        };
        let failed = all.iter().enumerate().filter_map(|(n, it)| match &it.outcome {
            Outcome::Failed(failure) if !is_mended(n, &it.deed) => Some(format!("{}: {failure}", it.deed)),
            _ => None,
        });
        let mut failed: Vec<_> = failed.collect();
        failed.dedup();
        failed
    }
}

/// One deed in a report. Others read these names: changing one is a line in the CHANGELOG.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    pub action: &'static str,
    pub target: String,
    pub outcome: &'static str,
    /// How often it came to that; more than once when somebody undid it.
    pub times: usize,
    pub detail: String,
    /// The same for a message that people read.
    #[serde(skip)]
    pub words: String,
}

impl Summary {
    fn of<D: Deed>(done: &Done<D>, times: usize) -> Self {
        let is_plan = done.outcome == Outcome::Planned;
        Self {
            action: done.deed.name(),
            target: text::line(&done.deed.target(), 512),
            outcome: done.outcome.word(),
            times,
            detail: if is_plan { format!("would {}", done.deed) } else { done.outcome.detail() },
            words: words(done, times),
        }
    }
}

fn words<D: Deed>(done: &Done<D>, times: usize) -> String {
    let (detail, outcome) = (text::line(&done.outcome.detail(), 300), done.outcome.word());
    let words = text::line(&done.deed.to_string(), 400);
    let times = if times > 1 { format!(" {times} times") } else { String::new() };
    if detail.is_empty() {
        format!("[{outcome}{times}] {words}")
    } else {
        format!("[{outcome}{times}] {words} ({detail})")
    }
}
