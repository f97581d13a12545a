//! The settings of the function that contains.

use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

use super::investigator::bucket;
use super::reader::{
    Reader, approvals, arn, children_limit, document, finding_response, flag, function_name, generator, holds_console,
    limits, minutes, parameter, parsed, playbook_mode, policy_id, product, remediation_role, seconds, severity,
    slack_channel, whole_number,
};
use super::sweeper::{self, Exempt, Release};
use super::{Common, FindingResponse, IdentityPattern, Mode, Part, Pattern, Untouchable, mode_of};
use crate::coverage::Extras;
use crate::finding::{Finding, Source, Threat};
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
    /// Whose MFA and unused credentials nobody is to mend.
    pub exempt: Vec<Exempt>,
    /// From how many days on a credential is unused.
    pub unused_days: u32,
    /// How it asks for what a sweep found: only the function for what can wait does.
    pub sweep: Option<Release>,
    pub eligibility: Eligibility,
    /// How long containment must be seen to hold.
    pub settle: Duration,
    pub options: Options,
    /// Distinct principals that may be contained automatically in an hour: in one account, in all.
    pub max_containments: (u32, u32),
    pub notices: Notices,
    pub approvals: Approvals,
    /// Where Slack's bot token is. Only one function has it: the others leave their messages in the ledger.
    pub slack_token_parameter: Option<String>,
    /// The channel or person that is asked for approval in Slack; where it is absent, the channel of the alerts.
    pub approver_channel: Option<String>,
    /// Whom to send commands to.
    pub function_name: String,
    /// The function that reports on whom was contained; absent where none is wanted.
    pub investigator: Option<String>,
    /// Where it keeps each report: for people to find it there.
    pub evidence_bucket: Option<String>,
    /// What may be attached to the account of whoever fights back; absent where nothing may.
    pub guardrail: Option<Guardrail>,
    /// How many users whom one flagged credential made, or made keys for, are answered; absent where none are.
    pub children: Option<u32>,
}

/// A service control policy that the operator prepared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Guardrail {
    pub policy: String,
    /// The role that attaches and detaches it, and nothing else.
    pub role_arn: String,
}

impl Guardrail {
    /// Only the function that answers what is grave has it.
    fn read(read: &mut Reader, part: Part) -> Option<Self> {
        if part != Part::Responder {
            return None;
        }
        let role_arn = |it: &str| arn(it, "iam");
        match read.optional("GUARDRAIL_POLICY_ID", policy_id) {
            Some(policy) => read.required("GUARDRAIL_ROLE_ARN", role_arn).map(|role_arn| Self { policy, role_arn }),
            None => read.optional("GUARDRAIL_ROLE_ARN", role_arn).and(None),
        }
    }
}

/// How people are asked, where the mode is `approve`.
#[derive(Debug, Clone)]
pub struct Approvals {
    /// How long a request can be decided.
    pub lasts: Duration,
    /// How many different approvers a playbook takes; one where it is not named.
    pub required: BTreeMap<&'static str, i64>,
    /// The reversible deny goes in at once, and stays unless somebody declines.
    pub strike_while_waiting: bool,
    /// Who an approver in Slack is in AWS, where somebody wrote it down.
    pub identities: BTreeMap<String, String>,
}

impl Approvals {
    fn read(read: &mut Reader) -> Self {
        Self {
            lasts: Duration::from_secs(60 * read.optional("APPROVAL_MINUTES", minutes).unwrap_or(60)),
            required: read.list("APPROVALS_REQUIRED", approvals).into_iter().collect(),
            identities: super::front::identities(read),
            strike_while_waiting: read.optional("STRIKE_WHILE_WAITING", flag).unwrap_or(false),
        }
    }

    /// What a sweep asks for is asked again by the next one, a day later by the schedule: until then there is time.
    pub fn lasts_for(&self, source: Source) -> Duration {
        if source == Source::Sweep { SWEEP_LASTS } else { self.lasts }
    }

    pub fn required_for(&self, playbook: &str) -> i64 {
        self.required.get(playbook).copied().unwrap_or(1)
    }
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
    /// Who can sign in without MFA is denied that, and keeps the access keys.
    pub holds_console: bool,
}

impl From<Options> for Extras {
    fn from(it: Options) -> Self {
        Self {
            deletes_passwords: it.remove_login_profile,
            denies_roles: it.quarantine_roles,
            holds_console: it.holds_console,
        }
    }
}

/// Whom and what else to tell; the topic of the alerts is every function's.
#[derive(Debug, Clone)]
pub struct Notices {
    /// Whom a critical alert is repeated to that nobody acknowledged.
    pub escalation_topic_arn: Option<String>,
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

/// A day, and how long one sweep may be later than the one before.
const SWEEP_LASTS: Duration = Duration::from_secs(26 * 3_600);

const NOWHERE: &str = "$FUNCTION";

/// Only the function that answers what is grave has them, where reports are made: by those it learns of them.
fn children(read: &mut Reader, part: Part) -> Option<u32> {
    if part != Part::Responder {
        return None;
    }
    let most = read.optional("MAX_CHILDREN", children_limit).unwrap_or(MOST_CHILDREN);
    let is_wanted = read.optional("CONTAIN_CHILDREN", flag).unwrap_or(false);
    is_wanted.then_some(most).filter(|_| read.required("INVESTIGATOR_FUNCTION", function_name).is_some())
}

/// More than an intruder needs, and few enough to be looked at by a person.
const MOST_CHILDREN: u32 = 10;

impl Responder {
    pub(super) fn read(read: &mut Reader, part: Part) -> Self {
        let member_role = remediation_role(read);
        Self {
            is_hygiene: part == Part::Hygiene,
            mode: read.optional("MODE", Mode::from_str).unwrap_or(Mode::Observe),
            playbook_modes: read.list("PLAYBOOK_MODES", playbook_mode).into_iter().collect(),
            common: Common::read(read, member_role),
            slack_token_parameter: match (part, read.optional("SLACK_CHANNEL", slack_channel)) {
                (Part::Responder, Some(_)) => read.required("SLACK_TOKEN_PARAMETER", parameter),
                (Part::Responder, None) => read.optional("SLACK_TOKEN_PARAMETER", parameter),
                _ => None,
            },
            approver_channel: match read.optional("APPROVER_CHANNEL", slack_channel) {
                Some(it) => read.required("SLACK_CHANNEL", slack_channel).map(|_| it),
                None => None,
            },
            untouchable: Untouchable::read(read),
            protected_principals: read.list("PROTECTED_PRINCIPALS", IdentityPattern::parse),
            exempt: sweeper::exempt(read),
            unused_days: read.optional("UNUSED_DAYS", whole_number).unwrap_or(90),
            sweep: (part == Part::Hygiene).then(|| Release::read(read)),
            eligibility: Eligibility::read(read),
            settle: Duration::from_secs_f64(read.optional("SETTLE_SECONDS", seconds).unwrap_or(12.0)),
            options: Options {
                remove_login_profile: read.optional("REMOVE_LOGIN_PROFILE", flag).unwrap_or(false),
                quarantine_roles: read.optional("QUARANTINE_ROLES", flag).unwrap_or(false),
                holds_console: read.optional("MISSING_MFA_ACTION", holds_console).unwrap_or(false),
            },
            max_containments: read.optional("MAX_CONTAINMENTS_PER_HOUR", limits).unwrap_or((5, 20)),
            approvals: Approvals::read(read),
            // Lambda sets it; elsewhere it is the README's. The function for what can wait takes no commands, and
            // is called after the one that does.
            function_name: read
                .optional("AWS_LAMBDA_FUNCTION_NAME", |it| Ok(it.trim_end_matches("-hygiene").to_owned()))
                .unwrap_or_else(|| NOWHERE.to_owned()),
            investigator: read.optional("INVESTIGATOR_FUNCTION", function_name),
            guardrail: Guardrail::read(read, part),
            evidence_bucket: read.optional("EVIDENCE_BUCKET", bucket),
            children: children(read, part),
            notices: Notices {
                escalation_topic_arn: read.optional("ESCALATION_TOPIC_ARN", |it| arn(it, "sns")),
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

    /// Whether anything is contained or asked that the operator chose, so that people are told.
    pub fn responds_to_any(&self) -> bool {
        let chosen = self.playbook_modes.values().copied();
        std::iter::once(self.mode).chain(chosen).any(|it| it != Mode::Observe)
    }

    /// What is done about a finding. A report from the form is never carried out unasked, nor what a sweep says of a
    /// user whose creator nobody knows. A person's `contain` is both the question and its answer, where one approver
    /// is enough: who may send it may approve as well. A drill is held about users that are made for it.
    pub fn mode_for(&self, finding: &Finding) -> Mode {
        let playbook = finding.threat.playbook();
        match (self.mode_of(playbook), finding.source) {
            (Mode::Enforce, Source::Report) => Mode::Approve,
            (Mode::Enforce, Source::Sweep) if finding.threat == Threat::UnauthorizedUser => Mode::Approve,
            (Mode::Approve, Source::Drill) => Mode::Enforce,
            (Mode::Approve, Source::Command) if self.approvals.required_for(playbook) <= 1 => Mode::Enforce,
            (mode, _) => mode,
        }
    }

    pub fn mode_of(&self, playbook: &str) -> Mode {
        mode_of(self.mode, &self.playbook_modes, playbook)
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
