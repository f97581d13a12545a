//! The guardrail on demand: a service control policy that the operator prepared, attached to the account of whoever
//! fights back, and detached once nobody there does.
//!
//! INVARIANT: what somebody else attached is never detached, nor is ours as long as one identity that it was attached
//! for is open. `tests/test_guardrail_on_demand.py` holds it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::ids::AccountId;
use crate::text;

/// Organizations says that a policy is attached before IAM's hosts know it: seconds to minutes, without a bound.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
const BINDS_AFTER: u32 = 5;
/// Over so much of the settle time reversals must have gone on.
const GOES_ON: u32 = 4;
/// How long it stays when all is held: whoever waited for it to go has so long to be found.
pub const LINGERS_MILLIS: i64 = 3_600_000;
/// Whoever was not told of it by the alert of a response.
const FIRST_WORD_MILLIS: i64 = 15 * 60_000;
const DAY_MILLIS: i64 = 24 * 3_600_000;

/// How long containment must have been seen to hold from the moment it was attached.
pub fn binding(settle: Duration) -> Duration {
    settle * BINDS_AFTER
}

/// What became of it in one response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// The invocation ended before it was attached.
    Wanted,
    /// By this response, or for it too; `at` in milliseconds since 1970.
    Attached {
        policy: String,
        at: i64,
    },
    /// By somebody else.
    WasThere {
        policy: String,
    },
    Failed {
        why: String,
    },
}

impl Standing {
    /// Whether it is attached, by whom ever.
    pub fn is_there(&self) -> bool {
        matches!(self, Self::Attached { .. } | Self::WasThere { .. })
    }

    /// What the first line of the alert says.
    pub fn headline(&self) -> Option<String> {
        match self {
            Self::Attached { policy, .. } => Some(format!("GUARDRAIL {policy} ATTACHED to the account")),
            Self::Failed { .. } => Some("GUARDRAIL NOT ATTACHED".to_owned()),
            Self::Wanted | Self::WasThere { .. } => None,
        }
    }

    pub fn words(&self, account: &AccountId) -> String {
        match self {
            Self::Wanted => "the guardrail was wanted, and the time was up before it was attached".to_owned(),
            Self::Attached { policy, .. } => format!(
                "the guardrail {policy} is attached to account {account}: nobody there but our roles lifts a quarantine. \
                 It is detached an hour after the last identity that it is for was seen to be held, or once that one is \
                 restored"
            ),
            Self::WasThere { policy } => format!(
                "the guardrail {policy} was attached to account {account} already, by somebody else: it stays there"
            ),
            Self::Failed { why } => {
                format!("the guardrail could not be attached to account {account}: {}", text::line(why, 600))
            }
        }
    }

    /// Whether it must have held for longer than until now before it is said to hold.
    pub fn is_awaited(&self, settle: Duration, now: i64) -> bool {
        match self {
            Self::Wanted => true,
            Self::Attached { at, .. } => {
                now.saturating_sub(*at) < i64::try_from(binding(settle).as_millis()).unwrap_or(i64::MAX)
            }
            Self::WasThere { .. } | Self::Failed { .. } => false,
        }
    }
}

/// When it is wanted.
#[derive(Debug, Default)]
pub struct Trigger {
    /// When the first reversal was seen, and how many there had been by then.
    first: Option<(Duration, usize)>,
}

impl Trigger {
    /// Whether putting back does not win: reversals go on after a few seconds. `now`: since the response began.
    pub fn sees(&mut self, reversals: usize, settle: Duration, now: Duration) -> bool {
        if reversals == 0 {
            return false;
        }
        let (at, count) = *self.first.get_or_insert((now, reversals));
        reversals > count && now.saturating_sub(at) >= settle / GOES_ON
    }
}

/// What Organizations' answer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It is attached already.
    IsThere,
    /// There is nothing to detach.
    IsNotThere,
    /// Another try may help.
    Again,
    /// A person has to, and what.
    Never(&'static str),
}

/// By its error code.
/// <https://docs.aws.amazon.com/organizations/latest/APIReference/API_AttachPolicy.html#API_AttachPolicy_Errors>
pub fn answer(code: &str) -> Answer {
    match code {
        "DuplicatePolicyAttachmentException" => Answer::IsThere,
        "PolicyNotAttachedException" => Answer::IsNotThere,
        "ConstraintViolationException" => Answer::Never(
            "the account has as many service control policies as AWS lets be attached to it: detach one, or attach the \
             guardrail to its organisational unit",
        ),
        "PolicyTypeNotEnabledException" => {
            Answer::Never("service control policies are not enabled in the organisation's root")
        }
        "PolicyNotFoundException" => Answer::Never("GUARDRAIL_POLICY_ID names no policy of the organisation"),
        "TargetNotFoundException" => Answer::Never("the account is not in the organisation"),
        "AWSOrganizationsNotInUseException" => Answer::Never("the account of GUARDRAIL_ROLE_ARN is in no organisation"),
        "AccessDenied" | "AccessDeniedException" => Answer::Never(
            "the role of GUARDRAIL_ROLE_ARN is not there, does not trust this function, may not, or is neither in the \
             management account nor in that of a delegated policy administrator: see guardrail-role.yaml",
        ),
        "ConcurrentModificationException"
        | "PolicyChangesInProgressException"
        | "FinalizingOrganizationException"
        | "TooManyRequestsException" => Answer::Again,
        it if is_lost(it) => Answer::Again,
        _ => Answer::Never("look at the role of GUARDRAIL_ROLE_ARN, and attach the guardrail by hand"),
    }
}

/// Whether AWS may have done it all the same.
pub fn is_lost(code: &str) -> bool {
    const LOST: &[&str] = &["InternalFailure", "NoConnection", "ServiceException", "Timeout", "UnreadableAnswer"];
    LOST.contains(&code) || code.starts_with("HTTP5")
}

/// Where the account is the management account.
pub const BINDS_NOT: &str = "it is the organisation's management account, in which no service control policy binds";

/// How one identity that it was attached for stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stands {
    /// It has not been seen to be held, and why.
    Open(String),
    /// Since when, in milliseconds since 1970.
    Held(i64),
    Restored,
}

/// What is done about one that is attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Next {
    /// One is open: people are told, or have been.
    Stays {
        is_to_be_told: bool,
    },
    /// All are held; until then it lingers.
    Lingers(i64),
    Detach,
}

/// All times in milliseconds since 1970.
pub fn next(each: &[Stands], attached_at: i64, told_at: Option<i64>, now: i64) -> Next {
    if each.iter().any(|it| matches!(it, Stands::Open(_))) {
        let due = told_at.map_or(attached_at + FIRST_WORD_MILLIS, |it| it + DAY_MILLIS);
        return Next::Stays { is_to_be_told: now >= due };
    }
    let held = each.iter().filter_map(|it| if let Stands::Held(at) = it { Some(*at) } else { None }).max();
    match held.map(|it| it + LINGERS_MILLIS) {
        Some(until) if now < until => Next::Lingers(until),
        _ => Next::Detach,
    }
}

/// What people are told of it apart from a response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    pub subject: String,
    pub text: String,
    pub attributes: Vec<(&'static str, String)>,
}

impl Told {
    fn new(account: &AccountId, words: &str, verdict: &str, text: String) -> Self {
        Self {
            subject: text::subject(&format!("Guardrail {words}: account {account}")),
            text,
            attributes: vec![
                ("kind", "guardrail".to_owned()),
                ("account", account.to_string()),
                ("verdict", verdict.to_owned()),
            ],
        }
    }

    /// Told daily, as long as one is open. `open`: the records, and why.
    pub fn stays(account: &AccountId, policy: &str, open: &[(String, String)]) -> Self {
        let open: String = open.iter().map(|(who, why)| format!("- {}: {why}\n", name(who))).collect();
        let text = format!(
            "The guardrail {policy} is still attached to account {account}, because this is open there:\n{open}\n\
             What to do: look at each of them with `status`, then `contain` it again, close its suspects, or `restore` \
             it: the guardrail is detached by itself after that. Detached by hand it stays off."
        );
        Self::new(account, "still attached", "GuardrailAttached", text)
    }

    pub fn detached(account: &AccountId, policy: &str, held_for: &[String]) -> Self {
        let who: Vec<_> = held_for.iter().map(|it| name(it)).collect();
        let text = format!(
            "The guardrail {policy} was detached from account {account}: all that it was attached for are held, or \
             restored: {}. What holds them from now on is the quarantine alone.",
            who.join(", ")
        );
        Self::new(account, "detached", "GuardrailDetached", text)
    }

    pub fn was_taken(account: &AccountId, policy: &str, open: &[(String, String)]) -> Self {
        let open: String = open.iter().map(|(who, why)| format!("- {}: {why}\n", name(who))).collect();
        let text = format!(
            "The guardrail {policy} was attached to account {account}, and somebody else has detached it while this was \
             open there:\n{open}\nIt is not attached again by itself. What to do: if nobody of yours did, look at who \
             may detach policies of the organisation; attach it by hand where it is needed."
        );
        Self::new(account, "was detached by somebody else", "GuardrailTaken", text)
    }
}

/// `record#<account>#<unique ID>` without what is known.
fn name(record: &str) -> &str {
    record.rsplit('#').next().unwrap_or(record)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::parsed;

    const SETTLE: Duration = Duration::from_secs(12);
    const HOUR: i64 = 3_600_000;

    #[test]
    fn it_is_wanted_where_reversals_go_on_for_a_few_seconds() {
        let second = Duration::from_secs(1);
        let mut trigger = Trigger::default();
        assert!(!trigger.sees(0, SETTLE, second * 2));
        assert!(!trigger.sees(2, SETTLE, second * 3), "the first");
        assert!(!trigger.sees(5, SETTLE, second * 4), "within a moment");
        assert!(!trigger.sees(2, SETTLE, second * 60), "none came after it");
        assert!(trigger.sees(3, SETTLE, second * 6));
    }

    #[test]
    fn nothing_is_said_to_hold_before_it_can_bind() {
        let attached = Standing::Attached { policy: "p-guardrail0".to_owned(), at: 1_000 };
        assert!(attached.is_awaited(SETTLE, 60_999));
        assert!(!attached.is_awaited(SETTLE, 61_000));
        assert!(Standing::Wanted.is_awaited(SETTLE, i64::MAX));
        let failed = Standing::Failed { why: String::new() };
        assert!(!failed.is_awaited(SETTLE, 0), "what is not attached is not waited for");
    }

    #[test]
    fn it_stays_as_long_as_one_is_open_and_people_are_told_daily() {
        let each = [Stands::Held(0), Stands::Open("NotContained".to_owned()), Stands::Restored];
        let is_told = |told, now| next(&each, 0, told, now) == Next::Stays { is_to_be_told: true };
        assert!(!is_told(None, HOUR / 4 - 1) && is_told(None, HOUR / 4));
        assert!(!is_told(Some(HOUR), HOUR * 25 - 1) && is_told(Some(HOUR), HOUR * 25));
    }

    #[test]
    fn it_is_detached_with_the_last_an_hour_after_that_was_held() {
        let each = [Stands::Held(HOUR), Stands::Held(HOUR * 2), Stands::Restored];
        assert_eq!(next(&each, 0, None, HOUR * 3 - 1), Next::Lingers(HOUR * 3));
        assert_eq!(next(&each, 0, None, HOUR * 3), Next::Detach);
        assert_eq!(next(&[Stands::Restored], 0, None, 1), Next::Detach, "a person has looked");
    }

    #[test]
    fn every_answer_of_organizations_has_one_of_ours() {
        for code in ["ConcurrentModificationException", "PolicyChangesInProgressException", "TooManyRequestsException"]
        {
            assert_eq!(answer(code), Answer::Again, "{code}");
        }
        assert_eq!(answer("DuplicatePolicyAttachmentException"), Answer::IsThere);
        assert_eq!(answer("PolicyNotAttachedException"), Answer::IsNotThere);
        let words = [
            ("ConstraintViolationException", "as many service control policies"),
            ("PolicyTypeNotEnabledException", "not enabled"),
            ("AccessDeniedException", "guardrail-role.yaml"),
            ("PolicyNotFoundException", "GUARDRAIL_POLICY_ID"),
            ("TargetNotFoundException", "not in the organisation"),
            ("InvalidInputException", "by hand"),
        ];
        for (code, words) in words {
            assert!(matches!(answer(code), Answer::Never(it) if it.contains(words)), "{code}");
        }
    }

    #[test]
    fn people_are_told_in_which_account_and_for_whom() {
        let account: AccountId = parsed("111122223333");
        let open = [("record#111122223333#AIDACKCEVSQ6C2EXAMPLE".to_owned(), "NotContained".to_owned())];
        let told = Told::stays(&account, "p-guardrail0", &open);
        assert!(told.subject.contains("111122223333"), "{}", told.subject);
        assert!(told.text.contains("- AIDACKCEVSQ6C2EXAMPLE: NotContained\n"), "{}", told.text);
    }
}
