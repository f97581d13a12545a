//! How grave it is, by written rules: the highest level of which a rule holds, with every rule that holds.

use serde::Serialize;

use super::answer::Answer;
use super::behaviour::Did;
use super::could::Could;
use super::left::Left;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Risk {
    pub level: Level,
    pub because: Vec<&'static str>,
}

/// What `cloudtrail`, `guardduty`, `config` and their like no longer see.
const SIGHT: &[&str] =
    &["stopped", "deleted", "changed trail", "changed what it records", "hid findings", "switched off", "disabled"];

/// `is_open`: a response did not end well.
pub fn risk(could: &Could, did: &Did, left: &[Left], is_open: bool) -> Risk {
    let suspects = || left.iter().filter(|it| !it.is_on_itself);
    let some = |answer: Answer| answer != Answer::No;
    let can_escalate = some(could.administrator.answer) || !could.escalations.is_empty();
    let reaches = !could.secrets.is_empty() || !could.data.is_empty();
    let rules = [
        (Level::Critical, "the identity is not seen to be contained", is_open),
        (Level::Critical, "it took sight: logging or detection was changed", left.iter().any(takes_sight)),
        (
            Level::Critical,
            "it let in somebody of another account",
            left.iter().any(|it| it.trace.detail.contains("lets in ")),
        ),
        (
            Level::Critical,
            "it left something that gives access, and could make itself an administrator",
            can_escalate && suspects().next().is_some(),
        ),
        (Level::High, "it left something that gives access", suspects().next().is_some()),
        (Level::High, "it could do everything, or give itself more", can_escalate),
        (Level::Medium, "it could reach secrets or data", reaches),
        (Level::Medium, "it acted in a way that is new for it", !did.new.is_empty()),
        (Level::Medium, "not everything that decides could be read", !could.unread.is_empty()),
    ];
    let held: Vec<_> = rules.into_iter().filter(|(_, _, holds)| *holds).collect();
    Risk {
        level: held.iter().map(|(level, _, _)| *level).max().unwrap_or(Level::Low),
        because: held.into_iter().map(|(_, why, _)| why).collect(),
    }
}

fn takes_sight(left: &Left) -> bool {
    let is_watching = ["cloudtrail:", "guardduty:", "config:", "securityhub:", "logs:", "events:"]
        .iter()
        .any(|it| left.action.starts_with(it));
    is_watching && SIGHT.iter().any(|it| left.trace.what.starts_with(it))
}
