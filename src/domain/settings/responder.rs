//! The settings of the function that contains.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::reader::{
    Reader, arn, document, finding_response, flag, function_name, generator, limits, parsed, playbook_mode, product,
    remediation_role, seconds, severity,
};
use super::{Common, FindingResponse, IdentityPattern, Mode, Part, Pattern, Untouchable};
use crate::finding::Threat;
use crate::ids::AccountId;

#[derive(Debug, Clone)]
pub struct Responder {
    pub common: Common,
    /// This is the function for what can wait.
    pub is_hygiene: bool,
    pub mode: Mode,
    /// By playbook ID; the others follow `mode`.
    pub playbook_modes: BTreeMap<&'static str, Mode>,
    pub untouchable: Untouchable,
    pub protected_principals: Vec<IdentityPattern>,
    pub eligibility: Eligibility,
    /// How long containment must be seen to hold.
    pub settle: Duration,
    pub options: Options,
    /// Distinct principals that may be contained automatically in an hour: in one account, in all.
    pub max_containments: (u32, u32),
    pub notices: Notices,
    /// Whom to send commands to.
    pub function_name: String,
    /// The function that reports on whom was contained; absent where none is wanted.
    pub investigator: Option<String>,
}

/// Which events count.
#[derive(Debug, Clone)]
pub struct Eligibility {
    pub min_severity: f64,
    /// What the operator says of GuardDuty's types and families, on top of the defaults.
    pub finding_responses: Vec<FindingResponse>,
    pub simulation: bool,
    /// Where drills are held; absent where there are none.
    pub drill_account: Option<AccountId>,
    pub trusted_creators: Vec<IdentityPattern>,
    pub trusted_products: Vec<Pattern>,
    pub generator_threats: Vec<(Pattern, Threat)>,
    pub custom_action_arn: Option<String>,
}

/// What the settings add to the responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    pub remove_login_profile: bool,
    pub quarantine_roles: bool,
}

/// Whom and what else to tell; the topic of the alerts is every function's.
#[derive(Debug, Clone)]
pub struct Notices {
    pub response_plan_arn: Option<String>,
    pub ops_items: bool,
    pub rotation_document: Option<String>,
    pub resolved_on_success: bool,
}

/// Prowler's generator IDs are its check IDs. Its check of unused console access is left out: the
/// playbook deactivates access keys, which that check says nothing about.
/// <https://hub.prowler.com>
const DEFAULT_GENERATORS: &str = "prowler-iam_user_administrator_access_policy=overprivileged-user,\
                                  prowler-iam_user_accesskey_unused=unused-user";

const NOWHERE: &str = "$FUNCTION";

impl Responder {
    pub(super) fn read(read: &mut Reader, part: Part) -> Self {
        let member_role = remediation_role(read);
        Self {
            is_hygiene: part == Part::Hygiene,
            mode: read.optional("MODE", Mode::from_str).unwrap_or(Mode::Observe),
            playbook_modes: read.list("PLAYBOOK_MODES", playbook_mode).into_iter().collect(),
            common: Common::read(read, member_role),
            untouchable: Untouchable::read(read),
            protected_principals: read.list("PROTECTED_PRINCIPALS", IdentityPattern::parse),
            eligibility: Eligibility::read(read),
            settle: Duration::from_secs_f64(read.optional("SETTLE_SECONDS", seconds).unwrap_or(12.0)),
            options: Options {
                remove_login_profile: read.optional("REMOVE_LOGIN_PROFILE", flag).unwrap_or(false),
                quarantine_roles: read.optional("QUARANTINE_ROLES", flag).unwrap_or(false),
            },
            max_containments: read.optional("MAX_CONTAINMENTS_PER_HOUR", limits).unwrap_or((5, 20)),
            // Lambda sets it; elsewhere it is the README's. The function for what can wait takes no commands, and
            // is called after the one that does.
            function_name: read
                .optional("AWS_LAMBDA_FUNCTION_NAME", |it| Ok(it.trim_end_matches("-hygiene").to_owned()))
                .unwrap_or_else(|| NOWHERE.to_owned()),
            investigator: read.optional("INVESTIGATOR_FUNCTION", function_name),
            notices: Notices {
                response_plan_arn: read.optional("RESPONSE_PLAN_ARN", |it| arn(it, "ssm-incidents")),
                ops_items: read.optional("OPS_ITEMS", flag).unwrap_or(true),
                rotation_document: read.optional("ROTATION_DOCUMENT", document),
                resolved_on_success: read.optional("RESOLVED_ON_SUCCESS", flag).unwrap_or(false),
            },
        }
    }

    /// By which it invokes itself when a fight outlasts an invocation. Absent where it does not: then the
    /// event is tried again.
    pub fn own_name(&self) -> Option<String> {
        let part = if self.is_hygiene { "-hygiene" } else { "" };
        (self.function_name != NOWHERE).then(|| format!("{}{part}", self.function_name))
    }

    /// Whether anything is contained, so that people are told.
    pub fn enforces_any(&self) -> bool {
        Threat::ALL.iter().any(|it| self.mode_of(it.playbook()) == Mode::Enforce)
    }

    pub fn mode_of(&self, playbook: &str) -> Mode {
        self.playbook_modes.get(playbook).copied().unwrap_or(self.mode)
    }
}

impl Eligibility {
    fn read(read: &mut Reader) -> Self {
        let mut generator_threats = read.list("GENERATOR_PLAYBOOKS", generator);
        generator_threats.extend(DEFAULT_GENERATORS.split(',').filter_map(|it| generator(it).ok()));
        Self {
            min_severity: read.optional("MIN_SEVERITY", severity).unwrap_or(7.0),
            finding_responses: read.list("FINDING_RESPONSES", finding_response),
            simulation: read.optional("SIMULATION", flag).unwrap_or(false),
            drill_account: read.optional("DRILL_ACCOUNT", parsed),
            trusted_creators: read.list("TRUSTED_CREATORS", IdentityPattern::parse),
            trusted_products: read.list_or("TRUSTED_PRODUCTS", "product/aws/*", product),
            generator_threats,
            custom_action_arn: read.optional("CUSTOM_ACTION_ARN", |it| arn(it, "securityhub")),
        }
    }
}
