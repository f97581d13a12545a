//! What we were told: one finding, whatever service it came from.
//!
//! Every identifier here is validated by its constructor, so that the rest of the code can put it
//! into an API call or an ARN without asking again. Nothing in this file trusts that a name still
//! belongs to the identity it once belonged to: that is `observe::resolve`'s job.

use std::fmt;

use aws_smithy_types::DateTime;
use serde::{Serialize, Serializer};

/// A string that is not what its place needs. The value itself is left out on purpose: it may be
/// hostile, and it may be a secret in the wrong field.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {expected}")]
pub struct Invalid {
    pub expected: &'static str,
}

macro_rules! validated {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        pub struct $name(String);

        impl $name {
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl Parse for $name {
            const EXPECTED: &'static str = $expected;
            fn parse(text: &str) -> Result<Self, Invalid> {
                let check: fn(&str) -> bool = $check;
                if check(text) {
                    Ok(Self(text.to_owned()))
                } else {
                    Err(Invalid { expected: Self::EXPECTED })
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

/// A type with one textual form.
pub trait Parse: Sized {
    const EXPECTED: &'static str;
    fn parse(text: &str) -> Result<Self, Invalid>;
}

validated!(
    /// Twelve digits. Leading zeros count, which is why it is never a number.
    AccountId,
    "a 12-digit account ID",
    |s| s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit())
);

validated!(
    /// `aws`, `aws-us-gov`, `aws-cn` and their like: the second part of every ARN.
    Partition,
    "an AWS partition such as `aws`",
    |s| s == "aws"
        || s.strip_prefix("aws-").is_some_and(|rest| {
            (2..=20).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-')
        })
);

impl Partition {
    /// The partition of a region, for events that carry no ARN.
    /// <https://docs.aws.amazon.com/whitepapers/latest/aws-fault-isolation-boundaries/partitions.html>
    pub fn of_region(region: &Region) -> Self {
        Self(
            match region.as_str() {
                it if it.starts_with("cn-") => "aws-cn",
                it if it.starts_with("us-gov-") => "aws-us-gov",
                _ => "aws",
            }
            .to_owned(),
        )
    }

    /// The AWS-managed policy that denies everything; nobody can edit its text.
    pub fn deny_all_policy(&self) -> String {
        format!("arn:{self}:iam::aws:policy/AWSDenyAll")
    }
}

validated!(
    /// A region code such as `eu-central-1`.
    Region,
    "an AWS region code",
    |s| s.len() <= 32
        && s.split('-').count() >= 3
        && s.split('-').all(|part| !part.is_empty()
            && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()))
        && s.ends_with(|last: char| last.is_ascii_digit())
);

validated!(
    /// `AKIA…` (long-term) or `ASIA…` (temporary). Stricter than IAM's own pattern, which would
    /// let GuardDuty's `GeneratedFindingAccessKeyId` through.
    AccessKeyId,
    "an access key ID (`AKIA` or `ASIA` and 16 more characters)",
    |s| s.len() == 20
        && (s.starts_with("AKIA") || s.starts_with("ASIA"))
        && s.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
);

impl AccessKeyId {
    /// Long-term keys can be set inactive; temporary ones can't be touched at all.
    pub fn is_long_term(&self) -> bool {
        self.0.starts_with("AKIA")
    }
}

validated!(
    /// The name of an IAM user or role, without its path.
    PrincipalName,
    "an IAM name (1 to 64 of A-Z, a-z, 0-9 and +=,.@_-)",
    |s| (1..=64).contains(&s.len())
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b))
);

validated!(
    /// The immutable ID of a user (`AIDA…`) or a role (`AROA…`): the only thing that tells a
    /// principal from a namesake.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>
    UniqueId,
    "an IAM unique ID (`AIDA…` or `AROA…`)",
    |s| (16..=128).contains(&s.len())
        && (s.starts_with("AIDA") || s.starts_with("AROA"))
        && s.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
);

impl UniqueId {
    pub fn is_user(&self) -> bool {
        self.0.starts_with("AIDA")
    }
}

/// An ARN in its six parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arn<'a> {
    pub partition: &'a str,
    pub service: &'a str,
    pub region: &'a str,
    pub account: &'a str,
    pub resource: &'a str,
}

impl<'a> Arn<'a> {
    pub fn parse(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(6, ':');
        if parts.next()? != "arn" {
            return None;
        }
        let arn = Self {
            partition: parts.next()?,
            service: parts.next()?,
            region: parts.next()?,
            account: parts.next()?,
            resource: parts.next()?,
        };
        (!arn.partition.is_empty() && !arn.service.is_empty() && !arn.resource.is_empty()).then_some(arn)
    }

    /// `user/team/alice` is (`user`, `alice`): the path is no part of the name.
    pub fn kind_and_name(&self) -> Option<(&'a str, &'a str)> {
        let (kind, rest) = self.resource.split_once('/')?;
        Some((kind, rest.rsplit('/').next()?))
    }
}

/// Who told us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    GuardDuty,
    SecurityHub,
    SecurityHubCustomAction,
    SecurityHubV2,
    CloudTrail,
    Health,
    Simulation,
    Drill,
    Command,
}

/// Why we act. Each threat has exactly one playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threat {
    CompromisedCredential,
    OverprivilegedUser,
    RootAccessKey,
    UnusedUser,
    UnauthorizedUser,
}

impl Threat {
    /// Somebody did something at a time; the others are states that last until they are mended.
    pub fn is_behaviour(self) -> bool {
        matches!(self, Self::CompromisedCredential | Self::UnauthorizedUser)
    }
}

/// GuardDuty's scale: 1.0-3.9 low, 4.0-6.9 medium, 7.0-8.9 high, 9.0-10.0 critical.
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html>
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub struct Severity(pub f64);

impl Severity {
    pub const CRITICAL: Self = Self(9.0);
    pub const HIGH: Self = Self(7.0);

    /// Security Hub's label, as the lower bound of the same band.
    pub fn of_label(label: &str) -> Option<Self> {
        match label {
            "CRITICAL" => Some(Self::CRITICAL),
            "HIGH" => Some(Self::HIGH),
            "MEDIUM" => Some(Self(4.0)),
            "LOW" => Some(Self(1.0)),
            "INFORMATIONAL" => Some(Self(0.0)),
            _ => None,
        }
    }

    pub fn label(self) -> &'static str {
        match self.0 {
            s if s >= 9.0 => "CRITICAL",
            s if s >= 7.0 => "HIGH",
            s if s >= 4.0 => "MEDIUM",
            s if s >= 1.0 => "LOW",
            _ => "INFORMATIONAL",
        }
    }
}

impl Serialize for Severity {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.0)
    }
}

/// Whom the finding names: a claim, not yet an identity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum Principal {
    /// At least one of name and ID is present.
    User {
        name: Option<PrincipalName>,
        id: Option<UniqueId>,
    },
    /// At least one of name and ID is present. The session is the part after the colon of the
    /// principal ID: whoever assumed the role chose it, so it is data and never a key.
    Role {
        name: Option<PrincipalName>,
        id: Option<UniqueId>,
        session: Option<String>,
    },
    /// Only a long-term access key is known; IAM tells its owner.
    KeyOwner,
    Root,
    /// Nobody whom an IAM edit could contain, and why: a person has to act.
    NotContainable {
        reason: String,
    },
}

impl Principal {
    /// Which identity this is about, as far as the finding says: findings with the same key are
    /// handled one after the other.
    pub fn claim_key(&self) -> String {
        let text = |name: &Option<PrincipalName>, id: &Option<UniqueId>| match (id, name) {
            (_, Some(name)) => name.to_string(),
            (Some(id), None) => id.to_string(),
            (None, None) => String::new(),
        };
        match self {
            Self::User { name, id } => format!("user/{}", text(name, id)),
            Self::Role { name, id, .. } => format!("role/{}", text(name, id)),
            Self::KeyOwner => "key".to_owned(),
            Self::Root => "root".to_owned(),
            Self::NotContainable { .. } => "-".to_owned(),
        }
    }
}

/// How Security Hub knows the finding, echoed as it came: the product ARN is never built by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HubReference {
    pub id: String,
    pub product_arn: String,
    pub region: Region,
}

/// One thing to respond to. `account` owns the identity; it comes from the finding's own fields,
/// never from the envelope, which names whose bus received it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Finding {
    pub id: String,
    pub source: Source,
    pub threat: Threat,
    pub severity: Severity,
    pub account: AccountId,
    pub partition: Partition,
    pub region: Region,
    pub principal: Principal,
    pub access_key: Option<AccessKeyId>,
    /// The service's own name for what happened, such as a GuardDuty type or a control ID.
    pub kind: String,
    /// Written by others, attackers among them. For people to read, never to decide by.
    pub title: String,
    #[serde(serialize_with = "rfc3339")]
    pub occurred_at: Option<DateTime>,
    /// The ARN of whoever created the user.
    pub creator: Option<String>,
    pub security_hub: Option<HubReference>,
}

fn rfc3339<S: Serializer>(time: &Option<DateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(it) => serializer.collect_str(it),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts<T: Parse>(good: &[&str], bad: &[&str]) {
        for it in good {
            assert!(T::parse(it).is_ok(), "{it:?} should be {}", T::EXPECTED);
        }
        for it in bad {
            assert!(T::parse(it).is_err(), "{it:?} should not be {}", T::EXPECTED);
        }
    }

    #[test]
    fn identifiers_are_exact() {
        accepts::<AccountId>(
            &["017622104382"],
            &["17622104382", "1234567890123", "12345678901a", "", "１２３４５６７８９０１２"],
        );
        accepts::<AccessKeyId>(
            &["AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE"],
            &[
                "GeneratedFindingAccessKeyId",
                "ASIAIM",
                "AKIAIOSFODNN7EXAMPL€",
                "AKIAIOSFODNN7EXAMPLE\n",
                "AIDAIOSFODNN7EXAMPLE",
            ],
        );
        accepts::<UniqueId>(
            &["AIDACKCEVSQ6C2EXAMPLE", "AROADBQP57FF2AEXAMPLE"],
            &["alice", "AIDA", "AROADBQP57FF2AEXAMPLE:session"],
        );
        accepts::<PrincipalName>(&["alice", "a+b=c,d.e@f_g-h"], &["", "team/alice", "al ice", "alice\n", "álice", "*"]);
        accepts::<Region>(
            &["us-east-1", "us-gov-west-1", "ap-southeast-3"],
            &["us-east", "us-east-1 ", "US-EAST-1", "../..-1", "us--1"],
        );
        accepts::<Partition>(&["aws", "aws-cn", "aws-us-gov"], &["aws:", "gcp", "aws-", "aws-*"]);
    }

    #[test]
    fn long_names_are_refused() {
        assert!(PrincipalName::parse(&"a".repeat(64)).is_ok());
        assert!(PrincipalName::parse(&"a".repeat(65)).is_err());
    }

    #[test]
    fn an_arn_gives_the_name_without_its_path() {
        let arn = Arn::parse("arn:aws:iam::111122223333:user/team/red/alice").unwrap();
        assert_eq!(arn.kind_and_name(), Some(("user", "alice")));
        assert_eq!(arn.account, "111122223333");
        assert_eq!(Arn::parse("AWS::IAM::AccessKey:AKIAIOSFODNN7EXAMPLE"), None);
    }

    #[test]
    fn partitions_follow_regions() {
        let partition = |region| Partition::of_region(&Region::parse(region).unwrap()).to_string();
        assert_eq!(partition("us-gov-west-1"), "aws-us-gov");
        assert_eq!(partition("cn-north-1"), "aws-cn");
        assert_eq!(partition("eu-west-1"), "aws");
    }
}
