//! How a response ended. Never better than what was read back.

use std::str::FromStr;

use serde::Serialize;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Everything the playbook wants was read to be in place, and to have held for the settle time.
    Contained,
    /// The identity itself is contained, but somebody created others meanwhile.
    SuspectsOpen,
    NotContained,
    /// Something that decides could not be read.
    Unverified,
    /// Protected, not containable, or not the identity that was meant: nothing was written.
    Refused,
    /// `observe` mode: nothing was written.
    Observed,
    /// Another invocation is at it, and sees to this finding too.
    InProgress,
    /// The circuit breaker is open: kept, and left for a person.
    Deferred,
    /// `approve` mode: people were asked.
    Waiting,
}

impl Verdict {
    pub const ALL: [Self; 9] = [
        Self::Contained,
        Self::SuspectsOpen,
        Self::NotContained,
        Self::Unverified,
        Self::Refused,
        Self::Observed,
        Self::InProgress,
        Self::Deferred,
        Self::Waiting,
    ];

    pub fn words(self) -> &'static str {
        match self {
            Self::Contained => "contained",
            Self::SuspectsOpen => "identity contained, SUSPECTS OPEN",
            Self::NotContained => "NOT CONTAINED",
            Self::Unverified => "NOT VERIFIED",
            Self::Refused => "refused, nothing was changed",
            Self::Observed => "observed, nothing was changed",
            Self::InProgress => "already being contained",
            Self::Deferred => "DEFERRED, nothing done yet",
            Self::Waiting => "WAITING FOR APPROVAL",
        }
    }

    /// As reports and the ledger write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Contained => "Contained",
            Self::SuspectsOpen => "SuspectsOpen",
            Self::NotContained => "NotContained",
            Self::Unverified => "Unverified",
            Self::Refused => "Refused",
            Self::Observed => "Observed",
            Self::InProgress => "InProgress",
            Self::Deferred => "Deferred",
            Self::Waiting => "Waiting",
        }
    }

    /// Whether everything that the playbook wants of the identity was applied and read back.
    pub fn is_success(self) -> bool {
        matches!(self, Self::Contained | Self::SuspectsOpen)
    }
}

impl FromStr for Verdict {
    type Err = ();

    fn from_str(name: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.name() == name).ok_or(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ledger_gives_back_what_was_written() {
        for verdict in Verdict::ALL {
            assert_eq!(verdict.name().parse(), Ok(verdict));
            assert_eq!(serde_json::json!(verdict), verdict.name());
        }
        assert_eq!("contained".parse::<Verdict>(), Err(()));
    }
}
