//! The settings of the function that looks through the users of every account once a day.

use std::fmt;

use super::reader::{
    Reader, holds_console, kind_to_act_on, organizational_unit, parsed, percent, sweep_role, tag_key, whole_number,
};
use super::{Common, IdentityPattern};
use crate::day::Day;
use crate::ids::{AccountId, Parse};
use crate::problem::Kind;
use crate::text;

#[derive(Debug, Clone)]
pub struct Sweeper {
    pub common: Common,
    /// Who is listed as protected, and never warned or asked about. By ARN: a credential report has no unique IDs.
    pub protected_principals: Vec<IdentityPattern>,
    pub exempt: Vec<Exempt>,
    /// From how many days on an access key is old.
    pub key_max_age_days: u32,
    /// From how many days on a credential is unused.
    pub unused_days: u32,
    /// How long people have, from the warning to the request.
    pub mfa_grace_days: u32,
    /// What answers missing MFA holds the console back, and takes no key away.
    pub holds_console: bool,
    /// The kinds of problems that are asked about; the others are reported.
    pub acts_on: Vec<Kind>,
    /// The accounts to sweep; empty means those of the organisation.
    pub accounts: Vec<AccountId>,
    pub include_units: Vec<String>,
    pub exclude_units: Vec<String>,
}

/// A user who need not mend a problem: why, and until when. Without an end it would be forgotten.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exempt {
    pub who: IdentityPattern,
    pub until: Day,
    pub reason: String,
}

pub(super) fn exempt(read: &mut Reader) -> Vec<Exempt> {
    read.list("EXEMPT", Exempt::parse)
}

fn acts_on(read: &mut Reader) -> Vec<Kind> {
    read.list_or("SWEEP_ACTS_ON", Kind::MissingMfa.name(), kind_to_act_on)
}

/// What the function for hygiene needs to ask for what a sweep found.
#[derive(Debug, Clone)]
pub struct Release {
    /// How many actions a sweep of all accounts may ask for.
    pub max_actions: u32,
    /// And of an account's users, in per cent.
    pub max_share: u32,
    /// The kinds of problems that are asked about; the others are reported.
    pub acts_on: Vec<Kind>,
    /// The key of the tag that names a user's owner in Slack.
    pub owner_tag: Option<String>,
}

impl Release {
    pub(super) fn read(read: &mut Reader) -> Self {
        Self {
            max_actions: read.optional("SWEEP_MAX_ACTIONS", whole_number).unwrap_or(20),
            max_share: read.optional("SWEEP_MAX_SHARE", percent).unwrap_or(20),
            acts_on: acts_on(read),
            owner_tag: read.optional("OWNER_TAG", tag_key),
        }
    }
}

/// As people are told of it.
impl fmt::Display for Exempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exempt until {}: {}", self.until, self.reason)
    }
}

impl Exempt {
    /// The last day is one of them.
    pub fn spares(&self, arn: &str, today: Day) -> bool {
        self.until >= today && self.who.matches(arn)
    }

    /// What people are told of it in the week before its last day and in the week after: nobody is to be surprised.
    pub fn ends_about(&self, today: Day) -> Option<String> {
        const WEEK: u32 = 7;
        let is_near = today.plus(WEEK) >= self.until && self.until.plus(WEEK) >= today;
        is_near.then(|| {
            let word = if self.until >= today { "ends on" } else { "ended on" };
            format!("{} {word} {}: {}", self.who, self.until, self.reason)
        })
    }

    /// `arn:aws:iam::*:user/kiosk=2027-01-31 shared screen in the lobby`. The reason has no `=`, which a name may have.
    fn parse(text: &str) -> Result<Self, String> {
        const EXPECTED: &str = "expected `<ARN of a user>=<last day> <reason>`";
        let (who, rest) = text.rsplit_once('=').ok_or(EXPECTED)?;
        let (until, reason) = rest.split_once(' ').ok_or(EXPECTED)?;
        let who = IdentityPattern::parse(who)?;
        if matches!(who, IdentityPattern::Id(_)) {
            return Err("a unique ID is in no credential report: expected an ARN".to_owned());
        }
        let reason = text::line(reason.trim(), 200);
        if reason.is_empty() {
            return Err(EXPECTED.to_owned());
        }
        Ok(Self { who, until: Day::parse(until).map_err(|it| it.to_string())?, reason })
    }
}

impl Sweeper {
    pub(super) fn read(read: &mut Reader) -> Self {
        let member_role = sweep_role(read);
        Self {
            common: Common::read(read, member_role),
            protected_principals: read.list("PROTECTED_PRINCIPALS", IdentityPattern::parse),
            exempt: exempt(read),
            key_max_age_days: read.optional("KEY_MAX_AGE_DAYS", whole_number).unwrap_or(90),
            unused_days: read.optional("UNUSED_DAYS", whole_number).unwrap_or(90),
            mfa_grace_days: read.optional("MFA_GRACE_DAYS", whole_number).unwrap_or(7),
            holds_console: read.optional("MISSING_MFA_ACTION", holds_console).unwrap_or(false),
            acts_on: acts_on(read),
            accounts: read.list("SWEEP_ACCOUNTS", parsed),
            include_units: read.list("SWEEP_UNITS", organizational_unit),
            exclude_units: read.list("SWEEP_UNITS_EXCEPT", organizational_unit),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_are_told_a_week_before_and_after_that_an_exemption_ends() {
        let exempt = Exempt::parse("arn:aws:iam::*:user/kiosk=2026-11-29 lobby").unwrap();
        let told = |day: &str| exempt.ends_about(Day::parse(day).unwrap());
        assert_eq!((told("2026-11-21"), told("2026-12-07")), (None, None));
        assert_eq!(told("2026-11-29").unwrap(), "arn:aws:iam::*:user/kiosk ends on 2026-11-29: lobby");
        assert_eq!(told("2026-11-22"), told("2026-11-29"));
        assert_eq!(told("2026-12-06").unwrap(), "arn:aws:iam::*:user/kiosk ended on 2026-11-29: lobby");
    }

    #[test]
    fn an_exemption_has_a_reason_and_an_end() {
        let exempt = Exempt::parse("arn:aws:iam::*:user/a=b=2027-01-31 shared screen").unwrap();
        assert!(exempt.who.matches("arn:aws:iam::111122223333:user/a=b"));
        assert_eq!((exempt.until.to_string().as_str(), exempt.reason.as_str()), ("2027-01-31", "shared screen"));
        for bad in [
            "arn:aws:iam::*:user/kiosk",
            "arn:aws:iam::*:user/kiosk=2027-01-31",
            "arn:aws:iam::*:user/kiosk=2027-01-31  ",
            "arn:aws:iam::*:user/kiosk=never ever",
            "kiosk=2027-01-31 screen",
            "AIDACKCEVSQ6C2EXAMPLE=2027-01-31 screen",
        ] {
            assert!(Exempt::parse(bad).is_err(), "{bad}");
        }
    }
}
