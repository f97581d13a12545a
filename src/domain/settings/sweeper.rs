//! The settings of the function that looks through the users of every account once a day.

use super::reader::{Reader, kind_to_act_on, organizational_unit, parsed, percent, sweep_role, whole_number};
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
    /// How many actions a sweep of all accounts may ask for.
    pub max_actions: u32,
    /// And of an account's users, in per cent.
    pub max_share: u32,
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

impl Exempt {
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
            common: Common::without_slack(read, member_role),
            protected_principals: read.list("PROTECTED_PRINCIPALS", IdentityPattern::parse),
            exempt: read.list("EXEMPT", Exempt::parse),
            key_max_age_days: read.optional("KEY_MAX_AGE_DAYS", whole_number).unwrap_or(90),
            unused_days: read.optional("UNUSED_DAYS", whole_number).unwrap_or(90),
            mfa_grace_days: read.optional("MFA_GRACE_DAYS", whole_number).unwrap_or(7),
            max_actions: read.optional("SWEEP_MAX_ACTIONS", whole_number).unwrap_or(20),
            max_share: read.optional("SWEEP_MAX_SHARE", percent).unwrap_or(20),
            acts_on: read.list_or("SWEEP_ACTS_ON", Kind::MissingMfa.name(), kind_to_act_on),
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
