//! What became of an action.

use std::fmt;

use aws_smithy_types::DateTime;
use serde_json::json;

use super::Action;

/// What became of an action.
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
            Self::Failed(_) => "failed",
        }
    }

    pub fn detail(&self) -> String {
        match self {
            Self::Planned => String::new(),
            Self::Applied { detail } | Self::AlreadyDone { detail } => detail.clone(),
            Self::Skipped { reason } => reason.clone(),
            Self::Failed(failure) => failure.to_string(),
        }
    }
}

/// An action and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Done {
    pub action: Action,
    pub outcome: Outcome,
    pub at: DateTime,
}

impl Done {
    /// As the ledger keeps it: with the request ID that CloudTrail has too.
    pub fn line(&self) -> String {
        json!({
            "at": self.at.to_string(),
            "action": self.action.name(),
            "target": self.action.target(),
            "outcome": self.outcome.word(),
            "detail": self.outcome.detail(),
        })
        .to_string()
    }
}
