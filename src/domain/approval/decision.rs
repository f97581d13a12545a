//! A decision: who made it, whether it is theirs to make, and what became of it.

use std::fmt;
use std::str::FromStr;

use crate::text;

/// The attributes that a decision touches: a role that decides needs no other (`dynamodb:Attributes`).
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>
pub const ATTRIBUTES: &[&str] = &[
    "id",
    "approvers",
    "decided_at",
    "decided_by",
    "decision",
    "due_at",
    "expires_at",
    "plan_hash",
    "state",
    "still_needed",
    "votes",
];

/// The one approver that all commands are: who invoked is in CloudTrail, and the stated name proves nothing, so
/// that one person with the right to invoke must not count twice.
pub const BY_COMMAND: &str = "command";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Decline,
}

impl Decision {
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "approved",
            Self::Decline => "declined",
        })
    }
}

impl FromStr for Decision {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        [Self::Approve, Self::Decline].into_iter().find(|it| it.word() == word).ok_or(())
    }
}

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// What tells one approver from another: [`BY_COMMAND`], or `slack:<team>/<user>`.
    pub id: String,
    /// For people, safe to show: `Dana (as stated with the command)`.
    pub words: String,
}

impl Decider {
    /// `by`: the name that the command states.
    pub fn by_command(by: &str, reason: &str) -> Self {
        let (by, reason) = (text::line(by, 100), text::line(reason, 300));
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        Self { id: BY_COMMAND.to_owned(), words: format!("{by} (as stated with the command){why}") }
    }

    /// `user` and `team` are Slack's IDs, `name` is what that person is called there.
    pub fn in_slack(team: &str, user: &str, name: &str) -> Self {
        let (team, user) = (text::line(team, 40), text::line(user, 40));
        Self { id: format!("slack:{team}/{user}"), words: format!("{} (Slack {user})", text::line(name, 80)) }
    }
}

/// Nobody decides about themselves, as far as that can be told: `names` are all by which the decider is known,
/// and `about` those of the requester and of the target.
pub fn is_own<'a>(names: impl IntoIterator<Item = &'a str>, about: &[&str]) -> bool {
    let bare = |it: &str| it.rsplit(['/', ':']).next().unwrap_or(it).trim().to_lowercase();
    let about: Vec<_> = about.iter().map(|it| bare(it)).filter(|it| !it.is_empty()).collect();
    names.into_iter().any(|it| about.contains(&bare(it)))
}

/// What a decision came to. Whoever comes second is told who was first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// It is decided now, by this.
    Now,
    /// It counts, and so many more approvers are needed.
    Counted {
        still_needed: i64,
    },
    /// This approver has approved already; another is needed.
    SameApprover,
    /// It was decided before.
    Before {
        decision: String,
        by: String,
        at: i64,
    },
    Expired,
    /// What is asked is not what was shown.
    OtherPlan,
    /// It does not wait for anybody (yet).
    NotWaiting,
    NotFound,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_decides_about_themselves_under_any_of_their_names() {
        assert!(is_own(["alice"], &["dana", "arn:aws:iam::111122223333:user/team/Alice"]));
        assert!(is_own(["slack:T1/U2", "arn:aws:iam::111122223333:user/dana"], &["dana"]));
        assert!(!is_own(["dana"], &["alice", ""]) && !is_own([""], &[""]));
    }

    #[test]
    fn all_commands_are_one_approver_whoever_is_stated() {
        let (one, other) = (Decider::by_command("Dana\n", "seen"), Decider::by_command("Eve", ""));
        assert_eq!(one.id, other.id);
        assert_eq!(one.words, "Dana? (as stated with the command): seen");
        assert_ne!(Decider::in_slack("T1", "U1", "dana").id, Decider::in_slack("T1", "U2", "dana").id);
    }
}
