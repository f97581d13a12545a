//! What a setting can be.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::finding::Threat;
use crate::ids::{AccountId, Arn, Parse, UniqueId};
use crate::told::Answer;

/// What the responder may do. Absent means [`Mode::Observe`]: nothing is changed until the
/// operator says so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Reads and reports what it would do.
    Observe,
    /// Asks people, and contains what they approve.
    Approve,
    /// Contains.
    Enforce,
}

impl FromStr for Mode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "observe" => Ok(Self::Observe),
            "enforce" => Ok(Self::Enforce),
            "approve" => Ok(Self::Approve),
            _ => Err("expected `observe`, `approve` or `enforce`".to_owned()),
        }
    }
}

/// What is done about what a playbook answers, as every function reads it: the mode for all, unless the operator chose
/// another. What takes keys from people who did nothing but forget is asked about by default, and never enforced
/// unchosen.
///
/// INVARIANT: where the mode for all is `observe`, nothing but a playbook's own mode changes anything.
/// `tests/test_modes.py` holds it.
pub(super) fn mode_of(all: Mode, playbooks: &BTreeMap<&'static str, Mode>, playbook: &str) -> Mode {
    let default = match all {
        Mode::Enforce if playbook == Threat::MissingMfa.playbook() => Mode::Approve,
        it => it,
    };
    playbooks.get(playbook).copied().unwrap_or(default)
}

/// Which of the template's functions this is, those that face the internet apart. Each has a role of its own, so that what contains can't
/// give permissions and what gives them back can't contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    Responder,
    /// Contains as well, but only what can wait: created and unused users.
    Hygiene,
    Restorer,
    Driller,
    /// Reads the users of an account once a day.
    Sweeper,
    /// Reports what an identity could do, did and left behind; changes nothing in any account.
    Investigator,
}

impl FromStr for Part {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "responder" => Ok(Self::Responder),
            "hygiene" => Ok(Self::Hygiene),
            "restorer" => Ok(Self::Restorer),
            "driller" => Ok(Self::Driller),
            "sweeper" => Ok(Self::Sweeper),
            "investigator" => Ok(Self::Investigator),
            _ => Err(
                "expected `responder`, `hygiene`, `restorer`, `driller`, `sweeper`, `investigator`, `form` or `slack`"
                    .to_owned(),
            ),
        }
    }
}

/// A value that no output may show.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(value: String) -> Self {
        Self(value)
    }

    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[hidden]")
    }
}

/// What is done about a GuardDuty type, or about a family such as `S3`, from a severity on.
#[derive(Debug, Clone, PartialEq)]
pub struct FindingResponse {
    pub of: String,
    pub answer: Answer,
    pub from: f64,
}

/// Text in which `*` stands for any characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern(pub(super) String);

impl Pattern {
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let mut parts: Vec<&str> = parts.collect();
        let Some(last) = parts.pop() else {
            return rest.is_empty();
        };
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }
}

/// An identity in the settings: a unique ID, or an ARN in which `*` may stand for the account, since
/// the same break-glass user or provisioning role exists in many of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum IdentityPattern {
    Id(UniqueId),
    Arn(String),
}

impl fmt::Display for IdentityPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => id.fmt(f),
            Self::Arn(pattern) => f.write_str(pattern),
        }
    }
}

impl IdentityPattern {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        if let Ok(id) = UniqueId::parse(text) {
            return Ok(Self::Id(id));
        }
        let arn =
            Arn::parse(text).filter(|it| it.service == "iam" && it.region.is_empty() && !it.resource.contains('*'));
        match arn {
            Some(arn) if arn.account == "*" || AccountId::parse(arn.account).is_ok() => Ok(Self::Arn(text.to_owned())),
            _ => {
                Err("expected the ARN of an IAM user or role (`*` may stand for the account) or a unique ID".to_owned())
            }
        }
    }

    /// Whether this is the identity with that ARN or unique ID.
    pub fn matches(&self, arn_or_id: &str) -> bool {
        match self {
            Self::Id(id) => id.as_str() == arn_or_id,
            Self::Arn(pattern) => match (Arn::parse(pattern), Arn::parse(arn_or_id)) {
                (Some(a), Some(b)) => {
                    (a.partition, a.service, a.resource) == (b.partition, b.service, b.resource)
                        && (a.account == "*" || a.account == b.account)
                }
                _ => false,
            },
        }
    }
}
