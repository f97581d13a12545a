//! What a sweep looks for in an account's users: every kind of problem, with the playbook that answers it, if any.

use serde::{Deserialize, Serialize};

use crate::finding::Threat;

/// What is wrong with a user's credentials, or with root's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A user can sign in to the console with a password alone.
    MissingMfa,
    /// A user of whose creation no event was seen: CloudTrail delivers its events as well as it can.
    UnseenUser,
    /// A key that was created or activated, of which no event was seen.
    UnseenKey,
    /// Nothing that a user could act with was used for long.
    UnusedUser,
    /// One of a user's keys was not used for long, while something else of it was.
    UnusedKey,
    /// A password was not used for long, while a key was.
    UnusedPassword,
    OldKey,
    /// Both of a user's keys work: whoever rotates keys needs the second for an hour.
    TwoActiveKeys,
    RootAccessKey,
    RootWithoutMfa,
}

impl Kind {
    /// The gravest first: a user with several problems is asked about for the first of them.
    pub const ALL: [Self; 10] = [
        Self::UnseenUser,
        Self::UnseenKey,
        Self::MissingMfa,
        Self::UnusedUser,
        Self::RootAccessKey,
        Self::RootWithoutMfa,
        Self::OldKey,
        Self::UnusedKey,
        Self::UnusedPassword,
        Self::TwoActiveKeys,
    ];

    /// The same in SWEEP_ACTS_ON, the digest and the ledger.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MissingMfa => "missing-mfa",
            Self::UnseenUser => "unseen-user",
            Self::UnseenKey => "unseen-key",
            Self::UnusedUser => "unused-user",
            Self::UnusedKey => "unused-key",
            Self::UnusedPassword => "unused-password",
            Self::OldKey => "old-key",
            Self::TwoActiveKeys => "two-active-keys",
            Self::RootAccessKey => "root-access-key",
            Self::RootWithoutMfa => "root-without-mfa",
        }
    }

    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.name() == name)
    }

    /// For people.
    pub const fn words(self) -> &'static str {
        match self {
            Self::MissingMfa => "can sign in to the console without MFA",
            Self::UnseenUser => "was created since the last sweep, and no event told of it",
            Self::UnseenKey => "has a key that was created or activated since the last sweep, and no event told of it",
            Self::UnusedUser => "uses none of its credentials",
            Self::UnusedKey => "has an access key that is not used",
            Self::UnusedPassword => "has a console password that is not used",
            Self::OldKey => "has an old access key",
            Self::TwoActiveKeys => "has two active access keys",
            Self::RootAccessKey => "root has an access key",
            Self::RootWithoutMfa => "root can sign in without MFA",
        }
    }

    /// What answers it, where something can be done by a playbook. An old key may be in use this minute: only its
    /// owner can rotate it; and of one that nobody knows the user may be right, which only a person can tell.
    pub const fn threat(self) -> Option<Threat> {
        match self {
            Self::MissingMfa => Some(Threat::MissingMfa),
            Self::UnusedUser => Some(Threat::UnusedUser),
            Self::UnseenUser => Some(Threat::UnauthorizedUser),
            Self::UnseenKey
            | Self::UnusedKey
            | Self::UnusedPassword
            | Self::OldKey
            | Self::TwoActiveKeys
            | Self::RootAccessKey
            | Self::RootWithoutMfa => None,
        }
    }

    /// Whether nobody is warned first: who is asked about is no employee who forgot something. Also where nobody is
    /// asked, each is told by name.
    pub const fn is_urgent(self) -> bool {
        matches!(self, Self::UnseenUser | Self::UnseenKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_known_by_its_name() {
        for kind in Kind::ALL {
            assert_eq!(Kind::of_name(kind.name()), Some(kind));
            assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        }
        assert_eq!(Kind::of_name("root"), None);
    }
}
