//! What a sweep does about one problem on one day, and what became of what it asked.

use serde::{Deserialize, Serialize};

use crate::day::Day;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ended {
    pub day: Day,
    pub how: Ending,
}

/// The last request about a problem: which day's sweep asked, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inquiry {
    pub day: Day,
    pub ending: Option<Ending>,
}

/// What became of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "how")]
pub enum Ending {
    /// It was approved, or needed no approval, and was done.
    Done,
    Declined {
        by: String,
    },
    /// Nobody is asked, and nothing done: our settings spare the user, by what a report does not have, as its unique ID.
    Refused {
        reason: String,
    },
    /// Nobody decided in time.
    Expired,
    /// Nothing came of it until the next sweep.
    Open,
    /// It was never made: too much was asked for on that day, or the step that asks did not come through.
    Unasked,
    /// It was approved, and not done.
    Failed {
        reason: String,
    },
}

impl Ending {
    /// Whether it came to that: the others are asked again by the next sweep.
    pub fn is_answer(&self) -> bool {
        matches!(self, Self::Done | Self::Declined { .. } | Self::Refused { .. })
    }

    /// For people.
    pub fn words(&self) -> String {
        match self {
            Self::Done => "it was done".to_owned(),
            Self::Declined { by } => format!("declined by {by}"),
            Self::Refused { reason } => format!("nobody is asked: {reason}"),
            Self::Expired => "nobody decided".to_owned(),
            Self::Open => "without an outcome".to_owned(),
            Self::Unasked => "nobody was asked".to_owned(),
            Self::Failed { reason } => format!("it was not done: {reason}"),
        }
    }
}

/// What today's sweep does about a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "step")]
pub enum Step {
    /// It is reported, and nothing is ever done about its kind.
    Listed,
    Warned {
        days_left: u32,
    },
    Reminded {
        days_left: u32,
    },
    /// It was warned about, and there is time.
    Waiting {
        days_left: u32,
    },
    /// A person is asked, for the so manieth time.
    Asked {
        time: u32,
        /// How the last request ended, where that was no answer.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<Ending>,
    },
    /// The time is up, and there is nothing that a playbook could take away: only the user, or who resets the
    /// password, mends it.
    Overdue,
    /// A person is asked about the same user for something graver.
    Joined,
    /// It is as a person left it.
    Ended {
        ending: Ending,
        /// Of this day.
        #[serde(default)]
        is_news: bool,
    },
    /// Nothing is done, for this reason.
    Spared {
        reason: String,
    },
    /// It could not be confirmed today: nothing goes on, and nothing is forgotten.
    Unconfirmed {
        reason: String,
    },
    /// It is a problem no more.
    Left {
        reason: String,
    },
}

impl Step {
    /// Whether people are told of it by name: the others are counted.
    pub fn is_told(&self) -> bool {
        match self {
            Self::Listed | Self::Waiting { .. } | Self::Joined | Self::Spared { .. } => false,
            Self::Ended { is_news, .. } => *is_news,
            Self::Warned { .. }
            | Self::Reminded { .. }
            | Self::Asked { .. }
            | Self::Overdue
            | Self::Unconfirmed { .. }
            | Self::Left { .. } => true,
        }
    }

    pub fn is_asked(&self) -> bool {
        matches!(self, Self::Asked { .. })
    }
}
