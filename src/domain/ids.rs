//! Identifiers that are valid by construction: an account, a key, a name, an ARN.
//!
//! Every one is validated by its constructor, so that the rest of the code can put it into an API call
//! or an ARN without asking again. None says that a name still belongs to the identity it once
//! belonged to: resolving it to the unique ID does.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize};

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

        /// From what the ledger kept: valid, or not read at all.
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
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
                it if it.starts_with("eusc-") => "aws-eusc",
                it if it.starts_with("us-iso-") => "aws-iso",
                it if it.starts_with("us-isob-") => "aws-iso-b",
                it if it.starts_with("us-isof-") => "aws-iso-f",
                it if it.starts_with("eu-isoe-") => "aws-iso-e",
                _ => "aws",
            }
            .to_owned(),
        )
    }

    /// Where CloudTrail has IAM's events, which is one region in each partition; `None` where it is not known.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html>
    pub fn iam_region(&self) -> Option<&'static str> {
        match self.as_str() {
            "aws" => Some("us-east-1"),
            "aws-us-gov" => Some("us-gov-west-1"),
            "aws-cn" => Some("cn-north-1"),
            _ => None,
        }
    }

    /// The AWS-managed policy that denies everything; nobody can edit its text.
    pub fn deny_all_policy(&self) -> String {
        format!("arn:{self}:iam::aws:policy/AWSDenyAll")
    }
}

validated!(
    /// Names a request for approval: 130 bits as 26 characters of Base32, so that it fits into a link, a command
    /// and a button. It is no secret: whoever decides is asked who they are.
    RequestId,
    "a request's ID (26 of a-z and 2-7)",
    |s| s.len() == 26 && s.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
);

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
