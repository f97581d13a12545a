//! The settings: the only folder that knows the names of environment variables.
//!
//! Read once, one struct for each function of the template: none requires what it does not use. All
//! problems are reported together, by name, so that one deployment mends them all.

use std::str::FromStr;

use crate::ids::{AccountId, Arn, Partition, Region};

mod driller;
mod front;
mod investigator;
mod reader;
mod responder;
mod restorer;
mod sweeper;
mod values;

pub use driller::Driller;
pub use front::{Form, Front, SlackEndpoint};
pub use investigator::Investigator;
pub use responder::{Approvals, Eligibility, Guardrail, Notices, Options, Responder};
pub use restorer::Restorer;
pub use sweeper::{Exempt, Release, Sweeper};
pub use values::{FindingResponse, IdentityPattern, Mode, Part, Pattern, Secret};

use values::mode_of;

use reader::{Reader, arn, external_id, nowhere, parsed, slack_channel, table, url};

/// What this function of the template needs. Those that face the internet have [`Front`].
#[derive(Debug, Clone)]
pub enum Settings {
    Responder(Box<Responder>),
    Restorer(Box<Restorer>),
    Driller(Driller),
    Sweeper(Box<Sweeper>),
    Investigator(Box<Investigator>),
}

/// Every problem with the settings, each with the name of its variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid configuration: {}", .problems.join("; "))]
pub struct SettingsError {
    pub problems: Vec<String>,
}

impl Settings {
    /// Reads the settings through `lookup`. An empty variable counts as absent: that is how a
    /// template leaves an optional parameter out.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        let mut read = Reader { lookup: &lookup, problems: Vec::new() };
        let settings = match read.optional("PART", Part::from_str).unwrap_or(Part::Responder) {
            part @ (Part::Responder | Part::Hygiene) => Self::Responder(Box::new(Responder::read(&mut read, part))),
            Part::Restorer => Self::Restorer(Box::new(Restorer::read(&mut read))),
            Part::Driller => Self::Driller(Driller::read(&mut read)),
            Part::Sweeper => Self::Sweeper(Box::new(Sweeper::read(&mut read))),
            Part::Investigator => Self::Investigator(Box::new(Investigator::read(&mut read))),
        };
        if read.problems.is_empty() { Ok(settings) } else { Err(SettingsError { problems: read.problems }) }
    }

    pub fn common(&self) -> &Common {
        match self {
            Self::Responder(it) => &it.common,
            Self::Restorer(it) => &it.common,
            Self::Driller(it) => &it.common,
            Self::Sweeper(it) => &it.common,
            Self::Investigator(it) => &it.common,
        }
    }
}

/// What every function needs.
#[derive(Debug, Clone)]
pub struct Common {
    pub external_id: Secret,
    pub region: Region,
    pub ledger_table: String,
    /// The role that this function takes in an account.
    pub member_role_name: String,
    pub alert_topic_arn: Option<String>,
    /// Where alerts go in Slack.
    pub slack_channel: Option<String>,
    /// A simulated AWS, with Slack beside it. The SDK has a variable of its own for it, and panics when that is empty, which
    /// is how a template leaves one out.
    pub endpoint_url: Option<String>,
}

impl Common {
    fn read(read: &mut Reader, member_role_name: String) -> Self {
        let slack_channel = read.optional("SLACK_CHANNEL", slack_channel);
        Self { slack_channel, ..Self::without_slack(read, member_role_name) }
    }

    fn without_slack(read: &mut Reader, member_role_name: String) -> Self {
        Self {
            external_id: Secret::new(read.required("EXTERNAL_ID", external_id).unwrap_or_default()),
            region: read.required("AWS_REGION", parsed).unwrap_or_else(nowhere),
            ledger_table: read.required("LEDGER_TABLE", table).unwrap_or_default(),
            member_role_name,
            alert_topic_arn: read.optional("ALERT_TOPIC_ARN", |it| arn(it, "sns")),
            slack_channel: None,
            endpoint_url: read.optional("ENDPOINT_URL", url),
        }
    }

    /// Whether alerts go anywhere.
    pub fn has_alerts(&self) -> bool {
        self.alert_topic_arn.is_some() || self.slack_channel.is_some()
    }

    pub fn member_role_arn(&self, account: &AccountId, partition: &Partition) -> String {
        format!("arn:{partition}:iam::{account}:role/{}", self.member_role_name)
    }
}

/// Where the users of drills are, and nobody else.
pub const DRILL_PATH: &str = "/iam-responder-drill/";

/// How their names begin; and those of users whose creation itself is the alarm.
pub const DRILL_USERS: &str = "drill-";
pub const CREATED_BY_DRILLS: &str = "drill-created-";

/// What no function of ours ever touches: our own roles, and accounts outside of the list.
#[derive(Debug, Clone)]
pub struct Untouchable {
    pub responder_role_arn: String,
    pub restorer_role_arn: Option<String>,
    pub hygiene_role_arn: Option<String>,
    pub sweeper_role_arn: Option<String>,
    pub investigator_role_arn: Option<String>,
    /// The names of the roles that our functions take in member accounts.
    pub member_role_names: [String; 4],
    pub drill_role_name: String,
    /// The only account in which the drill's role is ours.
    pub drill_account: Option<AccountId>,
    /// Where not empty, nothing outside of these is touched.
    pub member_accounts: Vec<AccountId>,
}

impl Untouchable {
    fn read(read: &mut Reader) -> Self {
        Self {
            responder_role_arn: read.required("RESPONDER_ROLE_ARN", |it| arn(it, "iam")).unwrap_or_default(),
            restorer_role_arn: read.optional("RESTORER_ROLE_ARN", |it| arn(it, "iam")),
            hygiene_role_arn: read.optional("HYGIENE_ROLE_ARN", |it| arn(it, "iam")),
            sweeper_role_arn: read.optional("SWEEPER_ROLE_ARN", |it| arn(it, "iam")),
            investigator_role_arn: read.optional("INVESTIGATOR_ROLE_ARN", |it| arn(it, "iam")),
            member_role_names: [
                reader::remediation_role(read),
                reader::restore_role(read),
                reader::sweep_role(read),
                reader::investigator_role(read),
            ],
            drill_role_name: reader::drill_role(read),
            drill_account: read.optional("DRILL_ACCOUNT", parsed),
            member_accounts: read.list("MEMBER_ACCOUNTS", parsed),
        }
    }

    /// Whether it is a role that this software acts as, which is never a target. By the whole ARN: a role of
    /// that name under a path is anybody's. That it is so by name in every account takes nothing away: an
    /// identity is only ever asked about after our role of that name was assumed in its account.
    pub fn is_own_role(&self, arn: &str) -> bool {
        let home = [
            Some(&self.responder_role_arn),
            self.restorer_role_arn.as_ref(),
            self.hygiene_role_arn.as_ref(),
            self.sweeper_role_arn.as_ref(),
            self.investigator_role_arn.as_ref(),
        ];
        home.into_iter().flatten().any(|it| it == arn)
            || self.member_role_names.iter().any(|name| is_role(arn, name))
            || self.is_drill_role(arn)
    }

    pub fn is_drill_role(&self, arn: &str) -> bool {
        let account = Arn::parse(arn).map(|it| it.account);
        is_role(arn, &self.drill_role_name)
            && account.is_some()
            && account == self.drill_account.as_ref().map(AccountId::as_str)
    }
}

/// The role of that name without a path, in whichever account.
fn is_role(arn: &str, name: &str) -> bool {
    Arn::parse(arn).is_some_and(|it| it.service == "iam" && it.resource.strip_prefix("role/") == Some(name))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::finding::{Finding, Source, Threat};

    /// A valid configuration with these settings on top.
    fn settings(settings: &[(&str, &str)]) -> Result<Settings, SettingsError> {
        let base = [
            ("EXTERNAL_ID", "e2e-external-id"),
            ("RESPONDER_ROLE_ARN", "arn:aws:iam::999988887777:role/iam-responder"),
            ("AWS_REGION", "us-east-1"),
            ("LEDGER_TABLE", "ledger"),
        ];
        let all: BTreeMap<_, _> = base.into_iter().chain(settings.iter().copied()).collect();
        Settings::from_lookup(|name| all.get(name).map(|it| (*it).to_owned()))
    }

    pub(crate) fn config(given: &[(&str, &str)]) -> Result<Responder, SettingsError> {
        match settings(given)? {
            Settings::Responder(it) => Ok(*it),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn nothing_is_changed_until_the_operator_says_so() {
        let config = config(&[]).unwrap();
        assert_eq!(config.mode, Mode::Observe);
        assert!(!config.eligibility.simulation);
        assert_eq!(config.eligibility.min_severity, 7.0);
        assert_eq!(config.mode_of("compromised-credential"), Mode::Observe);
    }

    #[test]
    fn a_guardrail_is_attached_only_with_a_role_and_by_one_function() {
        let (policy, role) = (("GUARDRAIL_POLICY_ID", "p-guardrail0"), "arn:aws:iam::100000000001:role/Guardrail");
        assert_eq!(config(&[("GUARDRAIL_ROLE_ARN", role)]).unwrap().guardrail, None);
        assert!(config(&[policy]).unwrap_err().to_string().contains("GUARDRAIL_ROLE_ARN"));
        assert!(config(&[("GUARDRAIL_POLICY_ID", "guardrail"), ("GUARDRAIL_ROLE_ARN", role)]).is_err());
        let all = [policy, ("GUARDRAIL_ROLE_ARN", role)];
        assert_eq!(config(&all).unwrap().guardrail.unwrap().role_arn, role);
        assert_eq!(config(&[&all[..], &[("PART", "hygiene")]].concat()).unwrap().guardrail, None);
    }

    #[test]
    fn what_a_flagged_key_made_is_answered_only_where_that_is_wanted_and_reports_are_made() {
        let (wanted, reports) = (("CONTAIN_CHILDREN", "true"), ("INVESTIGATOR_FUNCTION", "iam-responder-investigator"));
        assert_eq!(config(&[reports]).unwrap().children, None);
        assert_eq!(config(&[reports, wanted]).unwrap().children, Some(10));
        assert_eq!(config(&[reports, wanted, ("MAX_CHILDREN", "3")]).unwrap().children, Some(3));
        assert_eq!(config(&[reports, wanted, ("PART", "hygiene")]).unwrap().children, None);
        assert!(config(&[wanted]).unwrap_err().to_string().contains("INVESTIGATOR_FUNCTION"));
        assert!(config(&[reports, wanted, ("MAX_CHILDREN", "101")]).is_err());
    }

    #[test]
    fn all_problems_are_told_at_once_by_name() {
        let error = config(&[
            ("EXTERNAL_ID", ""),
            ("MODE", "dry-run"),
            ("MIN_SEVERITY", "high"),
            ("PLAYBOOK_MODES", "unused-user=enforce,unused=observe"),
            ("PROTECTED_PRINCIPALS", "arn:aws:iam::*:user/break-glass,alice"),
            ("ALERT_TOPIC_ARN", "alerts"),
        ])
        .unwrap_err();
        let names: Vec<_> = error.problems.iter().map(|it| it.split(':').next().unwrap()).collect();
        assert_eq!(
            names,
            ["MODE", "PLAYBOOK_MODES", "EXTERNAL_ID", "ALERT_TOPIC_ARN", "PROTECTED_PRINCIPALS", "MIN_SEVERITY"]
        );
    }

    #[test]
    fn a_problem_is_told_once_whoever_reads_the_variable() {
        let bad = [("REMEDIATION_ROLE_NAME", "a role"), ("RESTORE_ROLE_NAME", "a/role"), ("DRILL_ACCOUNT", "1")];
        for part in ["responder", "restorer"] {
            let mut names: Vec<_> = settings(&[&bad[..], &[("PART", part)]].concat())
                .unwrap_err()
                .problems
                .iter()
                .map(|it| it.split(':').next().unwrap().to_owned())
                .collect();
            names.sort();
            assert_eq!(names, ["DRILL_ACCOUNT", "REMEDIATION_ROLE_NAME", "RESTORE_ROLE_NAME"], "{part}");
        }
    }

    #[test]
    fn no_function_requires_what_it_does_not_use() {
        for (part, given) in [
            ("driller", vec![("EXTERNAL_ID", "s3cret"), ("AWS_REGION", "us-east-1"), ("LEDGER_TABLE", "ledger")]),
            ("sweeper", vec![("EXTERNAL_ID", "s3cret"), ("AWS_REGION", "us-east-1"), ("LEDGER_TABLE", "ledger")]),
            (
                "restorer",
                vec![
                    ("EXTERNAL_ID", "s3cret"),
                    ("AWS_REGION", "us-east-1"),
                    ("LEDGER_TABLE", "ledger"),
                    ("RESPONDER_ROLE_ARN", "arn:aws:iam::999988887777:role/iam-responder"),
                ],
            ),
            (
                "investigator",
                vec![
                    ("EXTERNAL_ID", "s3cret"),
                    ("AWS_REGION", "us-east-1"),
                    ("LEDGER_TABLE", "ledger"),
                    ("RESPONDER_ROLE_ARN", "arn:aws:iam::999988887777:role/iam-responder"),
                ],
            ),
        ] {
            let all: BTreeMap<_, _> =
                given.into_iter().chain([("PART", part), ("MIN_SEVERITY", "none of it")]).collect();
            Settings::from_lookup(|name| all.get(name).map(|it| (*it).to_owned())).unwrap();
        }
        let error = settings(&[("PART", "front")]).unwrap_err();
        assert!(error.to_string().contains("PART"), "{error}");
    }

    #[test]
    fn secrets_stay_out_of_errors_and_debug_output() {
        let error = config(&[("EXTERNAL_ID", "s3cret with spaces")]).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        let config = config(&[("EXTERNAL_ID", "s3cret")]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn slack_is_a_channels_id_and_the_name_of_a_parameter() {
        let good = [("SLACK_CHANNEL", "C0123456789"), ("SLACK_TOKEN_PARAMETER", "/iam-responder/slack-token")];
        let config = config(&good).unwrap();
        assert_eq!(config.common.slack_channel.as_deref(), Some("C0123456789"));
        assert_eq!(config.slack_token_parameter.as_deref(), Some("/iam-responder/slack-token"));
        for bad in [
            [("SLACK_CHANNEL", "#alerts"), good[1]],
            [("SLACK_CHANNEL", "C0123456789&x"), good[1]],
            [good[0], ("SLACK_TOKEN_PARAMETER", "xoxb-s3cret")],
            [good[0], ("SLACK_TOKEN_PARAMETER", "")],
            [good[0], ("SLACK_TOKEN_PARAMETER", "/a/../b/")],
        ] {
            let error = super::tests::config(&bad).unwrap_err().to_string();
            assert!(error.contains("SLACK_") && !error.contains("s3cret"), "{error}");
        }
        // Only one function has the token.
        assert!(settings(&[good[0], ("PART", "hygiene")]).is_ok());
        // Who is asked is a person too, and only where there is an app.
        let person = ("APPROVER_CHANNEL", "U0123456789");
        assert_eq!(
            super::tests::config(&[good[0], good[1], person]).unwrap().approver_channel.as_deref(),
            Some(person.1)
        );
        assert!(super::tests::config(&[person]).unwrap_err().to_string().contains("SLACK_CHANNEL"));
    }

    #[test]
    fn roles_are_ours_by_their_whole_arn() {
        let settings = config(&[("DRILL_ACCOUNT", "111122223333")]).unwrap();
        let is_own = |arn: &str| settings.untouchable.is_own_role(arn);
        assert!(is_own("arn:aws:iam::111122223333:role/SecurityRemediationRole"));
        assert!(is_own("arn:aws:iam::111122223333:role/SecurityDrillRole"));
        assert!(is_own("arn:aws:iam::111122223333:role/SecuritySweepRole"));
        assert!(is_own("arn:aws:iam::111122223333:role/SecurityInvestigatorRole"));
        for other in [
            "arn:aws:iam::444455556666:role/SecurityDrillRole",
            "arn:aws:iam::111122223333:role/team/SecurityDrillRole",
            "arn:aws:iam::111122223333:role/team/SecurityRemediationRole",
            "arn:aws:iam::111122223333:user/SecurityRestoreRole",
            "arn:aws:sts::111122223333:role/SecurityRestoreRole",
            "arn:aws:iam::111122223333:role/team/iam-responder",
        ] {
            assert!(!is_own(other), "{other}");
        }
        assert!(!config(&[]).unwrap().untouchable.is_own_role("arn:aws:iam::111122223333:role/SecurityDrillRole"));
    }

    #[test]
    fn a_look_back_is_as_long_as_cloudtrails_history() {
        let hours = |text: &str| match settings(&[("PART", "investigator"), ("LOOKBACK_HOURS", text)]) {
            Ok(Settings::Investigator(it)) => Some(it.lookback.as_secs() / 3_600),
            _ => None,
        };
        assert_eq!([hours(""), hours("1"), hours("2160")], [Some(24), Some(1), Some(2160)]);
        assert_eq!([hours("0"), hours("2161"), hours("a day")], [None; 3]);
    }

    #[test]
    fn playbooks_have_their_own_modes() {
        let config = config(&[("MODE", "enforce"), ("PLAYBOOK_MODES", "unused-user=observe")]).unwrap();
        assert_eq!(config.mode_of("unused-user"), Mode::Observe);
        assert_eq!(config.mode_of("compromised-credential"), Mode::Enforce);
        assert_eq!(config.mode_of("missing-mfa"), Mode::Approve);
        assert!(!self::config(&[]).unwrap().responds_to_any());
    }

    #[test]
    fn both_functions_read_the_modes_alike_and_what_was_contained_can_be_taken_back() {
        let modes = |mode, playbooks| {
            let given = [("MODE", mode), ("PLAYBOOK_MODES", playbooks)];
            let restorer = match settings(&[&given[..], &[("PART", "restorer")]].concat()).unwrap() {
                Settings::Restorer(it) => it.mode_of("missing-mfa"),
                other => panic!("{other:?}"),
            };
            (config(&given).unwrap().mode_of("missing-mfa"), restorer)
        };
        assert_eq!(modes("observe", ""), (Mode::Observe, Mode::Observe));
        assert_eq!(modes("observe", "missing-mfa=approve"), (Mode::Approve, Mode::Approve));
        assert_eq!(modes("approve", ""), (Mode::Approve, Mode::Approve));
        assert_eq!(modes("enforce", ""), (Mode::Approve, Mode::Approve));
        assert_eq!(modes("enforce", "missing-mfa=observe"), (Mode::Observe, Mode::Enforce));
    }

    #[test]
    fn what_a_sweep_says_of_who_made_a_user_is_never_enforced() {
        let config = config(&[("MODE", "enforce"), ("PLAYBOOK_MODES", "missing-mfa=enforce")]).unwrap();
        let mode = |source, threat| config.mode_for(&Finding { source, ..crate::fixtures::finding(threat) });
        assert_eq!(mode(Source::Sweep, Threat::UnauthorizedUser), Mode::Approve);
        assert_eq!(mode(Source::CloudTrail, Threat::UnauthorizedUser), Mode::Enforce);
        assert_eq!(mode(Source::Sweep, Threat::MissingMfa), Mode::Enforce);
    }

    #[test]
    fn patterns_match_whole_texts() {
        let matches = |pattern: &str, text| Pattern(pattern.to_owned()).matches(text);
        assert!(matches("product/aws/*", "product/aws/guardduty"));
        assert!(!matches("product/aws/*", "xproduct/aws/guardduty"));
        assert!(!matches("product/aws/guardduty", "product/aws/guardduty2"));
        assert!(matches("product/*/default", "product/111122223333/default"));
        assert!(!matches("a*a", "a"));
        assert!(matches("*b*d", "abcd"));
        assert!(!matches("*b*b", "ab"));
    }

    #[test]
    fn identities_match_exactly_but_for_the_account() {
        let any = IdentityPattern::parse("arn:aws:iam::*:role/Terraform").unwrap();
        assert!(any.matches("arn:aws:iam::111122223333:role/Terraform"));
        assert!(!any.matches("arn:aws:iam::111122223333:role/x/Terraform"));
        assert!(!any.matches("arn:aws:iam::111122223333:user/Terraform"));
        let id = IdentityPattern::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap();
        assert!(id.matches("AIDACKCEVSQ6C2EXAMPLE"));
        assert!(IdentityPattern::parse("arn:aws:iam::*:user/*").is_err());
    }
}
