//! The settings: the only file that knows the names of environment variables.
//!
//! Read once. All problems are reported together, by name, so that one deployment mends them all.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use crate::finding::{AccountId, Arn, Parse, Partition, PrincipalName, Region, Threat};
use crate::playbooks::{self, Options};

mod values;

pub use values::{IdentityPattern, Mode, Part, Pattern, Secret};

#[derive(Debug, Clone)]
pub struct Config {
    pub part: Part,
    pub mode: Mode,
    /// By playbook ID; the others follow `mode`.
    pub playbook_modes: BTreeMap<&'static str, Mode>,
    pub external_id: Secret,
    pub remediation_role_name: String,
    pub restore_role_name: String,
    pub drill_role_name: String,
    pub responder_role_arn: String,
    pub restorer_role_arn: Option<String>,
    /// Where drills are held; absent where there are none.
    pub drill_account: Option<AccountId>,
    pub region: Region,
    pub min_severity: f64,
    /// How long containment must be seen to hold.
    pub settle: Duration,
    pub options: Options,
    pub simulation: bool,
    pub resolved_on_success: bool,
    pub member_accounts: Vec<AccountId>,
    pub protected_principals: Vec<IdentityPattern>,
    pub trusted_creators: Vec<IdentityPattern>,
    pub trusted_products: Vec<Pattern>,
    pub generator_threats: Vec<(Pattern, Threat)>,
    /// A simulated AWS. The SDK has a variable of its own for it, and panics when that is empty, which
    /// is how a template leaves one out.
    pub endpoint_url: Option<String>,
    pub ledger_table: String,
    /// Distinct principals that may be contained automatically in an hour: in one account, in all.
    pub max_containments: (u32, u32),
    pub custom_action_arn: Option<String>,
    pub alert_topic_arn: Option<String>,
    pub response_plan_arn: Option<String>,
    pub ops_items: bool,
    pub rotation_document: Option<String>,
}

/// Every problem with the settings, each with the name of its variable.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid configuration: {}", .problems.join("; "))]
pub struct ConfigError {
    pub problems: Vec<String>,
}

/// Prowler's generator IDs are its check IDs. Its check of unused console access is left out: the
/// playbook deactivates access keys, which that check says nothing about.
/// <https://hub.prowler.com>
const DEFAULT_GENERATORS: &str = "prowler-iam_user_administrator_access_policy=overprivileged-user,\
                                  prowler-iam_user_accesskey_unused=unused-user";

impl Config {
    /// Reads the settings through `lookup`. An empty variable counts as absent: that is how a
    /// template leaves an optional parameter out.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let mut read = Reader { lookup: &lookup, problems: Vec::new() };
        let config = Self {
            part: read.optional("PART", Part::from_str).unwrap_or(Part::Responder),
            mode: read.optional("MODE", Mode::from_str).unwrap_or(Mode::Observe),
            playbook_modes: read.list("PLAYBOOK_MODES", playbook_mode).into_iter().collect(),
            external_id: Secret(read.required("EXTERNAL_ID", external_id).unwrap_or_default()),
            remediation_role_name: read.role_name("REMEDIATION_ROLE_NAME", "SecurityRemediationRole"),
            restore_role_name: read.role_name("RESTORE_ROLE_NAME", "SecurityRestoreRole"),
            drill_role_name: read.role_name("DRILL_ROLE_NAME", "SecurityDrillRole"),
            responder_role_arn: read.required("RESPONDER_ROLE_ARN", |it| arn(it, "iam")).unwrap_or_default(),
            restorer_role_arn: read.optional("RESTORER_ROLE_ARN", |it| arn(it, "iam")),
            drill_account: read.optional("DRILL_ACCOUNT", parsed),
            region: read.required("AWS_REGION", parsed).unwrap_or_else(nowhere),
            min_severity: read.optional("MIN_SEVERITY", severity).unwrap_or(7.0),
            settle: Duration::from_secs_f64(read.optional("SETTLE_SECONDS", seconds).unwrap_or(12.0)),
            options: Options {
                remove_login_profile: read.optional("REMOVE_LOGIN_PROFILE", flag).unwrap_or(false),
                quarantine_roles: read.optional("QUARANTINE_ROLES", flag).unwrap_or(false),
            },
            simulation: read.optional("SIMULATION", flag).unwrap_or(false),
            resolved_on_success: read.optional("RESOLVED_ON_SUCCESS", flag).unwrap_or(false),
            member_accounts: read.list("MEMBER_ACCOUNTS", parsed),
            protected_principals: read.list("PROTECTED_PRINCIPALS", IdentityPattern::parse),
            trusted_creators: read.list("TRUSTED_CREATORS", IdentityPattern::parse),
            trusted_products: read.list_or("TRUSTED_PRODUCTS", "product/aws/*", product),
            generator_threats: Vec::new(),
            endpoint_url: read.optional("ENDPOINT_URL", url),
            ledger_table: read.required("LEDGER_TABLE", table).unwrap_or_default(),
            max_containments: read.optional("MAX_CONTAINMENTS_PER_HOUR", limits).unwrap_or((5, 20)),
            custom_action_arn: read.optional("CUSTOM_ACTION_ARN", |it| arn(it, "securityhub")),
            alert_topic_arn: read.optional("ALERT_TOPIC_ARN", |it| arn(it, "sns")),
            response_plan_arn: read.optional("RESPONSE_PLAN_ARN", |it| arn(it, "ssm-incidents")),
            ops_items: read.optional("OPS_ITEMS", flag).unwrap_or(true),
            rotation_document: read.optional("ROTATION_DOCUMENT", document),
        };
        let mut generator_threats = read.list("GENERATOR_PLAYBOOKS", generator);
        let defaults = DEFAULT_GENERATORS.split(',').filter_map(|it| generator(it).ok());
        generator_threats.extend(defaults);
        match read.problems {
            problems if problems.is_empty() => Ok(Self { generator_threats, ..config }),
            problems => Err(ConfigError { problems }),
        }
    }

    pub fn mode_of(&self, playbook: &str) -> Mode {
        self.playbook_modes.get(playbook).copied().unwrap_or(self.mode)
    }

    /// The role that this function takes in an account.
    pub fn member_role_arn(&self, account: &AccountId, partition: &Partition) -> String {
        let name = match self.part {
            Part::Responder => &self.remediation_role_name,
            Part::Restorer => &self.restore_role_name,
            Part::Driller => &self.drill_role_name,
        };
        format!("arn:{partition}:iam::{account}:role/{name}")
    }

    /// Whether it is a role that this software acts as: never a target, and what it does is no news.
    pub fn is_own_role(&self, arn: &str) -> bool {
        let home = [Some(&self.responder_role_arn), self.restorer_role_arn.as_ref()];
        let name = Arn::parse(arn).and_then(|it| it.kind_and_name());
        let is_members = |own: &str| name.is_some_and(|(kind, name)| kind == "role" && name == own);
        home.into_iter().flatten().any(|it| it == arn)
            || is_members(&self.remediation_role_name)
            || is_members(&self.restore_role_name)
            || is_members(&self.drill_role_name)
    }
}

struct Reader<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<String>,
}

impl Reader<'_> {
    fn optional<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let text = (self.lookup)(name)?;
        let text = text.trim();
        if text.is_empty() {
            return None;
        }
        parse(text).map_err(|problem| self.problems.push(format!("{name}: {problem}"))).ok()
    }

    fn role_name(&mut self, name: &str, default: &str) -> String {
        self.optional(name, parsed::<PrincipalName>).map_or_else(|| default.to_owned(), |it| it.to_string())
    }

    fn required<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        if (self.lookup)(name).is_none_or(|it| it.trim().is_empty()) {
            self.problems.push(format!("{name}: not set"));
            return None;
        }
        self.optional(name, parse)
    }

    /// Comma-separated; every bad element is a problem of its own.
    fn list<T>(&mut self, name: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        self.list_or(name, "", parse)
    }

    fn list_or<T>(&mut self, name: &str, default: &str, parse: impl Fn(&str) -> Result<T, String>) -> Vec<T> {
        let text = (self.lookup)(name).filter(|it| !it.trim().is_empty()).unwrap_or_else(|| default.to_owned());
        let elements = text.split(',').map(str::trim).filter(|it| !it.is_empty());
        let mut parsed = Vec::new();
        for (n, element) in elements.enumerate() {
            match parse(element) {
                Ok(it) => parsed.push(it),
                Err(problem) => self.problems.push(format!("{name}: element {}: {problem}", n + 1)),
            }
        }
        parsed
    }
}

fn parsed<T: Parse>(text: &str) -> Result<T, String> {
    T::parse(text).map_err(|it| it.to_string())
}

/// Only ever seen beside an error, which is what the caller gets.
fn nowhere() -> Region {
    Region::parse("us-east-1").unwrap_or_else(|_| unreachable!("a literal region"))
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err("expected `true` or `false`".to_owned()),
    }
}

fn severity(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|it| (0.0..=10.0).contains(it));
    number.ok_or_else(|| "expected a number from 0 to 10".to_owned())
}

/// IAM enforces a change some four seconds after it is visible: what is not well above that proves
/// nothing, and is for tests.
fn seconds(text: &str) -> Result<f64, String> {
    let number = text.parse::<f64>().ok().filter(|it| (0.0..=300.0).contains(it));
    number.ok_or_else(|| "expected a number of seconds from 0 to 300".to_owned())
}

/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
fn external_id(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b);
    if (2..=1224).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected 2 to 1224 letters, digits or _+=,.@:/-".to_owned())
    }
}

fn arn(text: &str, service: &str) -> Result<String, String> {
    match Arn::parse(text) {
        Some(arn) if arn.service == service => Ok(text.to_owned()),
        _ => Err(format!("expected an ARN of the service `{service}`")),
    }
}

fn url(text: &str) -> Result<String, String> {
    let is_url = text.starts_with("http://") || text.starts_with("https://");
    is_url.then(|| text.to_owned()).ok_or_else(|| "expected an http or https URL".to_owned())
}

fn table(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.".contains(&b);
    if (3..=255).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected the name of a DynamoDB table".to_owned())
    }
}

fn limits(text: &str) -> Result<(u32, u32), String> {
    let parsed = text.split_once(',').and_then(|(a, b)| Some((a.trim().parse().ok()?, b.trim().parse().ok()?)));
    parsed.ok_or_else(|| "expected two numbers, per account and in all, such as `5,20`".to_owned())
}

fn document(text: &str) -> Result<String, String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"_-.:/".contains(&b);
    if (3..=128).contains(&text.len()) && text.bytes().all(allowed) {
        Ok(text.to_owned())
    } else {
        Err("expected the name or ARN of an SSM document".to_owned())
    }
}

fn product(text: &str) -> Result<Pattern, String> {
    if text.starts_with("product/") && text.split('/').count() == 3 {
        Ok(Pattern(text.to_owned()))
    } else {
        Err("expected `product/<company>/<name>`, in which `*` stands for anything".to_owned())
    }
}

fn generator(text: &str) -> Result<(Pattern, Threat), String> {
    let (pattern, playbook) = text.rsplit_once('=').ok_or("expected `<generator ID>=<playbook>`")?;
    let threat = match playbook {
        "overprivileged-user" => Threat::OverprivilegedUser,
        "unused-user" => Threat::UnusedUser,
        _ => return Err("expected the playbook `overprivileged-user` or `unused-user`".to_owned()),
    };
    if pattern.trim_matches('*').is_empty() {
        return Err("expected a generator ID before the `=`".to_owned());
    }
    Ok((Pattern(pattern.to_owned()), threat))
}

fn playbook_mode(text: &str) -> Result<(&'static str, Mode), String> {
    let (id, mode) = text.split_once('=').ok_or("expected `<playbook>=<mode>`")?;
    let playbook = playbooks::ALL.iter().find(|it| it.id == id);
    let playbook = playbook.ok_or_else(|| {
        let known: Vec<_> = playbooks::ALL.iter().map(|it| it.id).collect();
        format!("expected one of the playbooks {}", known.join(", "))
    })?;
    Ok((playbook.id, mode.parse()?))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A valid configuration with these settings on top.
    pub(crate) fn config(settings: &[(&str, &str)]) -> Result<Config, ConfigError> {
        let base = [
            ("EXTERNAL_ID", "e2e-external-id"),
            ("RESPONDER_ROLE_ARN", "arn:aws:iam::999988887777:role/iam-responder"),
            ("AWS_REGION", "us-east-1"),
            ("LEDGER_TABLE", "ledger"),
        ];
        let all: BTreeMap<_, _> = base.into_iter().chain(settings.iter().copied()).collect();
        Config::from_lookup(|name| all.get(name).map(|it| (*it).to_owned()))
    }

    #[test]
    fn nothing_is_changed_until_the_operator_says_so() {
        let config = config(&[]).unwrap();
        assert_eq!(config.mode, Mode::Observe);
        assert!(!config.simulation);
        assert_eq!(config.min_severity, 7.0);
        assert_eq!(config.mode_of("compromised-credential"), Mode::Observe);
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
            ["MODE", "PLAYBOOK_MODES", "EXTERNAL_ID", "MIN_SEVERITY", "PROTECTED_PRINCIPALS", "ALERT_TOPIC_ARN"]
        );
    }

    #[test]
    fn secrets_stay_out_of_errors_and_debug_output() {
        let error = config(&[("EXTERNAL_ID", "s3cret with spaces")]).unwrap_err();
        assert!(!error.to_string().contains("s3cret"), "{error}");
        let config = config(&[("EXTERNAL_ID", "s3cret")]).unwrap();
        assert!(!format!("{config:?}").contains("s3cret"));
    }

    #[test]
    fn playbooks_have_their_own_modes() {
        let config = config(&[("MODE", "enforce"), ("PLAYBOOK_MODES", "unused-user=observe")]).unwrap();
        assert_eq!(config.mode_of("unused-user"), Mode::Observe);
        assert_eq!(config.mode_of("compromised-credential"), Mode::Enforce);
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
