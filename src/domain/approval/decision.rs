//! A decision: who made it, whether it is theirs to make, and what became of it.

use crate::decision::bare;
use crate::text;

/// The attributes that a decision touches: a role that decides needs no other (`dynamodb:Attributes`).
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/specifying-conditions.html>
pub const ATTRIBUTES: &[&str] = &[
    "id",
    "approvers",
    "barred",
    "decided_at",
    "decided_by",
    "decision",
    "due_at",
    "expires_at",
    "plan_hash",
    "requester",
    "state",
    "still_needed",
    "target_arn",
    "target_name",
    "votes",
];

/// The one approver that all commands are: who invoked is in CloudTrail, and the stated name proves nothing, so
/// that one person with the right to invoke must not count twice.
pub const BY_COMMAND: &str = "command";

/// Who decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decider {
    /// What tells one approver from another: [`BY_COMMAND`], or `slack:<team>/<user>`.
    pub id: String,
    /// For people, safe to show: `Dana (as stated with the command)`.
    pub words: String,
    /// All by which this person is known: none of them is the requester's or the target's where the decision is
    /// written. Empty for a command: what is stated there is compared before.
    pub names: Vec<String>,
    /// By which a request bars its decider: Slack's user ID.
    pub user: Option<String>,
}

impl Decider {
    /// `by`: the name that the command states.
    pub fn by_command(by: &str, reason: &str) -> Self {
        let (by, reason) = (text::line(by, 100), text::line(reason, 300));
        let why = if reason.is_empty() { String::new() } else { format!(": {reason}") };
        Self::commanding(format!("{by} (as stated with the command){why}"))
    }

    /// The one approver that all commands are.
    pub fn commanding(words: String) -> Self {
        Self { id: BY_COMMAND.to_owned(), words, names: Vec::new(), user: None }
    }

    /// `user` and `team` are Slack's IDs, `name` is what that person is called there, `identity` the ARN of the same
    /// person's IAM user or role, where somebody wrote it down.
    pub fn in_slack(team: &str, user: &str, name: &str, identity: Option<&str>) -> Self {
        let (team, user) = (text::line(team, 40), text::line(user, 40));
        let id = format!("slack:{team}/{user}");
        let bare = identity.map(|it| bare(it).to_owned());
        let names = [Some(id.clone()), identity.map(str::to_owned), bare].into_iter().flatten().collect();
        let words = format!("{} (Slack {user})", text::line(name, 80));
        Self { id, words, names, user: Some(user) }
    }
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
    /// It concerns the approver's own request or identity.
    Own,
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
    fn all_commands_are_one_approver_whoever_is_stated() {
        let (one, other) = (Decider::by_command("Dana\n", "seen"), Decider::by_command("Eve", ""));
        assert_eq!(one.id, other.id);
        assert_eq!(one.words, "Dana? (as stated with the command): seen");
        let in_slack = |user| Decider::in_slack("T1", user, "dana", None);
        assert_ne!(in_slack("U1").id, in_slack("U2").id);
    }

    #[test]
    fn an_approver_in_slack_is_known_by_every_name_that_was_written_down() {
        let arn = "arn:aws:iam::111122223333:user/team/alice";
        assert_eq!(Decider::in_slack("T1", "U1", "x", Some(arn)).names, ["slack:T1/U1", arn, "alice"]);
        assert_eq!(Decider::in_slack("T1", "U1", "x", None).names, ["slack:T1/U1"]);
    }
}
