//! GuardDuty's finding types: what each says of a credential, and what is done about it by default.
//!
//! Whatever type AWS adds has an answer: by its family, or by the last rows. A test holds that each type of
//! the list beside this file (`guardduty_types.txt`) has a row, and which contain by default.
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-active.html>

use crate::finding::Severity;
use crate::settings::Eligibility;
use crate::text;
use crate::told::Answer;

/// What a finding says of the credential that it names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// It is in somebody else's hands.
    Stolen,
    /// Its holder does what it never did, or what intruders do.
    Unusual,
    /// Somebody tries out what it may do.
    Probing,
    /// It did something to data or workloads; the actor is often a job or a node.
    Elsewhere,
    /// The root user acted.
    RootUse,
    /// What it did left something badly configured.
    Configuration,
    /// Nothing: the remedy lies at an instance, a container or a database.
    Nothing,
}

impl Says {
    pub const ALL: [Self; 7] = [
        Self::Stolen,
        Self::Unusual,
        Self::Probing,
        Self::Elsewhere,
        Self::RootUse,
        Self::Configuration,
        Self::Nothing,
    ];

    pub const fn words(self) -> &'static str {
        match self {
            Self::Stolen => "A credential in somebody else's hands",
            Self::Unusual => "Unusual use of a credential",
            Self::Probing => "A credential being probed",
            Self::Elsewhere => "A credential's acts on data or workloads",
            Self::RootUse => "Use of the root user",
            Self::Configuration => "A risky configuration",
            Self::Nothing => "Not about a credential",
        }
    }

    /// Whether its holder did something, which began at a time.
    pub const fn is_behaviour(self) -> bool {
        !matches!(self, Self::Configuration | Self::Nothing)
    }

    /// The default: whether it contains from MIN_SEVERITY on, and the answers from HIGH on and below.
    const fn default(self) -> (bool, Answer, Answer) {
        match self {
            Self::Stolen => (true, Answer::Alert, Answer::Alert),
            Self::Unusual | Self::Probing => (true, Answer::Alert, Answer::Digest),
            Self::Elsewhere => (false, Answer::Alert, Answer::Digest),
            Self::RootUse => (true, Answer::DailyAlert, Answer::DailyAlert),
            Self::Configuration => (false, Answer::DailyDigest, Answer::DailyDigest),
            Self::Nothing => (false, Answer::Count, Answer::Count),
        }
    }
}

const ATTACK_SEQUENCE: &str = "AttackSequence";

/// `Purpose:Family/Name`.
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html>
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuardDutyType {
    pub purpose: String,
    pub family: String,
    pub name: String,
}

impl std::fmt::Display for GuardDutyType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}/{}", self.purpose, self.family, self.name)
    }
}

impl GuardDutyType {
    pub fn parse(text: &str) -> Option<Self> {
        let (purpose, rest) = text.split_once(':')?;
        let (family, name) = rest.split_once('/')?;
        Self::of(purpose, family, name)
    }

    /// From Security Hub, which prefixes a taxonomy and turns the slash into a dash, into a dot in its
    /// second taxonomy, or leaves it: `TTPs/Initial Access/UnauthorizedAccess:IAMUser-TorIPCaller`,
    /// `TTPs/Discovery/IAMUser-AnomalousBehavior`, `TTPs/AnomalousBehavior/Discovery:Kubernetes-PermissionChecked`.
    /// <https://docs.aws.amazon.com/guardduty/latest/ug/securityhub-integration.html>
    pub fn of_security_hub(text: &str) -> Option<Self> {
        let (before, own) = match text.split_once(':') {
            Some((before, rest)) => match before.rsplit_once('/') {
                Some((taxonomy, purpose)) => (taxonomy, Some((purpose, rest))),
                None => ("", Some((before, rest))),
            },
            None => text.rsplit_once('/').map(|(before, _)| (before, None))?,
        };
        let last = |it: &str| it.rsplit('/').next().unwrap_or_default().to_owned();
        let (purpose, rest) = match own {
            Some((purpose, rest)) => (purpose.to_owned(), rest),
            // The tactic stands for the purpose, in words.
            None => (last(before).replace(' ', ""), text.rsplit('/').next()?),
        };
        let at = rest.find(['/', '-', '.'])?;
        let (family, name) = (rest.get(..at)?, rest.get(at + 1..)?);
        match last(before).as_str() {
            anomalous @ "AnomalousBehavior" if !name.starts_with(anomalous) => {
                Self::of(&purpose, family, &format!("{anomalous}.{name}"))
            }
            _ => Self::of(&purpose, family, name),
        }
    }

    fn of(purpose: &str, family: &str, name: &str) -> Option<Self> {
        let is_word = |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric());
        let is_name =
            |it: &str| !it.is_empty() && it.bytes().all(|b| b.is_ascii_alphanumeric() || b".!&-_/".contains(&b));
        (is_word(purpose) && is_word(family) && is_name(name)).then(|| Self {
            purpose: purpose.to_owned(),
            family: family.to_owned(),
            name: name.to_owned(),
        })
    }

    /// What FINDING_RESPONSES calls its family: attack sequences are one, whatever they are about.
    fn group(&self) -> &str {
        if self.purpose == ATTACK_SEQUENCE { ATTACK_SEQUENCE } else { &self.family }
    }

    /// `has_actor`: the finding names an IAM identity that acted.
    pub fn says(&self, has_actor: bool) -> Says {
        match self.row() {
            Some(says) => says,
            // A type that AWS added later.
            None if has_actor => Says::Elsewhere,
            None => Says::Nothing,
        }
    }

    /// What the first row that fits says.
    pub fn row(&self) -> Option<Says> {
        let fits = |(purpose, family, name, _): &&(&str, &str, &str, Says)| {
            let whole = |pattern: &str, text: &str| pattern == "*" || pattern == text;
            let starts = name.strip_suffix('*').map_or(*name == self.name, |it| self.name.starts_with(it));
            whole(purpose, &self.purpose) && whole(family, &self.family) && starts
        };
        ROWS.iter().find(fits).map(|(.., says)| *says)
    }
}

/// Purpose, family, name and what it says; `*` stands for anything, at the end of a name for any rest.
/// The first row that fits counts.
const ROWS: &[(&str, &str, &str, Says)] = &[
    // Several signals together say that somebody else acts.
    ("AttackSequence", "*", "*", Says::Stolen),
    // IAM: https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-iam.html
    ("Policy", "IAMUser", "RootCredentialUsage", Says::RootUse),
    ("Policy", "IAMUser", "ShortTermRootCredentialUsage", Says::RootUse),
    ("CredentialAccess", "IAMUser", "CompromisedCredentials", Says::Stolen),
    ("UnauthorizedAccess", "IAMUser", "ConsoleLogin*", Says::Stolen),
    ("UnauthorizedAccess", "IAMUser", "InstanceCredentialExfiltration*", Says::Stolen),
    ("UnauthorizedAccess", "IAMUser", "ResourceCredentialExfiltration*", Says::Stolen),
    ("*", "IAMUser", "MaliciousIPCaller*", Says::Stolen),
    ("*", "IAMUser", "TorIPCaller*", Says::Stolen),
    ("PenTest", "IAMUser", "*", Says::Probing),
    // AI Protection: https://docs.aws.amazon.com/guardduty/latest/ug/findings-ai-protection.html
    ("Impact", "IAMUser", "PromptInjection*", Says::Probing),
    ("*", "IAMUser", "*", Says::Unusual),
    // Custom detection rules: one API call that somebody wanted to hear of, which an administrator makes too.
    // https://docs.aws.amazon.com/guardduty/latest/ug/findings-custom-detection-rules.html
    ("*", "IAM", "*", Says::Elsewhere),
    // What was changed, and not that somebody else changed it.
    ("Policy", "*", "*", Says::Configuration),
    // Malware in an object or a backup: the scan names it, nobody acted.
    ("Object", "*", "*", Says::Nothing),
    ("*", "*", "MaliciousFile*", Says::Nothing),
    ("*", "*", "SuspiciousFile*", Says::Nothing),
    // https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-types-s3.html
    ("*", "S3", "*", Says::Elsewhere),
    // https://docs.aws.amazon.com/guardduty/latest/ug/guardduty-finding-types-eks-audit-logs.html
    ("*", "Kubernetes", "*", Says::Elsewhere),
    // Custom detection rules about other services name who called.
    ("*", "*", "UnsecuredCredentials", Says::Elsewhere),
    ("*", "*", "ModifyAuthenticationProcess", Says::Elsewhere),
    ("*", "*", "DisableOrModifyTools", Says::Elsewhere),
    ("*", "*", "ModifyCloudResourceHierarchy", Says::Elsewhere),
    ("*", "*", "CommandAndScriptingInterpreter", Says::Elsewhere),
    ("*", "*", "TransferDataToCloudAccount", Says::Elsewhere),
    ("*", "*", "ResourceHijacking", Says::Elsewhere),
    ("*", "*", "ExploitPublicFacingApplication", Says::Elsewhere),
    ("*", "*", "RemoteServices", Says::Elsewhere),
    ("*", "*", "BootOrLogonInitializationScripts", Says::Elsewhere),
    ("*", "*", "ExternalRemoteServices", Says::Elsewhere),
    ("*", "*", "AccountManipulation", Says::Elsewhere),
    ("*", "*", "CompromiseAccounts", Says::Elsewhere),
    // Traffic of an instance, processes in a container, logins to a database, calls of a function: what IAM
    // could do about it is not known from the finding.
    ("*", "EC2", "*", Says::Nothing),
    ("*", "ECS", "*", Says::Nothing),
    ("*", "Container", "*", Says::Nothing),
    ("*", "Lambda", "*", Says::Nothing),
    ("*", "Runtime", "*", Says::Nothing),
    ("*", "RDS", "*", Says::Nothing),
];

/// What is done about a finding of this type, and why when it is less than to contain.
pub(super) fn answer(it: &GuardDutyType, severity: Severity, says: Says, settings: &Eligibility) -> (Answer, String) {
    if let Some(answer) = said(it, severity, settings) {
        return (answer, "FINDING_RESPONSES says so of this finding".to_owned());
    }
    let (contains, high, below) = says.default();
    let min = settings.min_severity;
    match () {
        () if contains && severity.0 >= min => (Answer::Contain, String::new()),
        () => {
            let answer = if severity >= Severity::HIGH { high } else { below };
            let why = if contains {
                format!("severity {} is below MIN_SEVERITY {min}", severity.0)
            } else {
                format!("findings of the family {} are contained only where FINDING_RESPONSES says so", it.group())
            };
            (answer, why)
        }
    }
}

/// What the operator said of the type counts before what he said of its family; of several, the one from the
/// highest severity on.
fn said(it: &GuardDutyType, severity: Severity, settings: &Eligibility) -> Option<Answer> {
    let said = |wanted: &str| {
        let of = settings.finding_responses.iter().filter(|it| it.of == wanted && severity.0 >= it.from);
        of.max_by(|a, b| a.from.total_cmp(&b.from)).map(|it| it.answer)
    };
    said(&it.to_string()).or_else(|| said(it.group()))
}

/// Whether the operator asked to be told even where a finding names nobody, or is about no credential.
pub(super) fn is_asked_for(it: &GuardDutyType, severity: Severity, settings: &Eligibility) -> bool {
    matches!(said(it, severity, settings), Some(Answer::Alert | Answer::Digest))
}

/// The types that are known, one a line; retired ones have a dash before them. AWS adds to them: what is not among
/// them is no error.
const KNOWN: &str = include_str!("guardduty_types.txt");

/// Those that GuardDuty still makes.
fn known() -> impl Iterator<Item = GuardDutyType> {
    KNOWN.lines().filter(|it| !it.starts_with('-')).filter_map(GuardDutyType::parse)
}

/// What of FINDING_RESPONSES does nothing, or is likely a slip of the pen, in words for the log. No error: what
/// worked before an upgrade must work after it, and AWS adds types and families that this list does not have.
pub fn doubtful_responses(settings: &Eligibility) -> Vec<String> {
    let all = settings.finding_responses.iter();
    all.filter_map(|it| Some(format!("FINDING_RESPONSES: `{}`: {}", text::line(&it.of, 120), doubt(&it.of)?))).collect()
}

fn doubt(of: &str) -> Option<String> {
    let is_type = of.contains(':');
    let fitting: Vec<GuardDutyType> =
        known().filter(|it| if is_type { it.to_string() == of } else { it.group() == of }).collect();
    if fitting.is_empty() {
        let what = if is_type { "type" } else { "family" };
        let mut names = known().map(|it| if is_type { it.to_string() } else { it.family });
        let near = names.find(|it| it.eq_ignore_ascii_case(of) || it.starts_with(&format!("{of}.")));
        return Some(match near {
            Some(near) => format!("GuardDuty has no such {what}; did you mean `{near}`?"),
            None => format!("no such {what} of GuardDuty's is known"),
        });
    }
    let nobodys = fitting.iter().filter(|it| it.row() == Some(Says::Nothing)).count();
    (nobodys * 2 > fitting.len())
        .then(|| "the template's rule leaves out findings of this family that name no IAM identity".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::tests::config;

    fn answer_of(settings: &[(&str, &str)], kind: &str, severity: f64) -> Answer {
        let kind = GuardDutyType::parse(kind).unwrap();
        answer(&kind, Severity(severity), kind.says(true), &config(settings).unwrap().eligibility).0
    }

    #[test]
    fn security_hubs_names_lead_to_guarddutys() {
        for (hub, own) in [
            ("TTPs/Initial Access/UnauthorizedAccess:IAMUser-TorIPCaller", "UnauthorizedAccess:IAMUser/TorIPCaller"),
            (
                "Effects/Data Exfiltration/UnauthorizedAccess:IAMUser-InstanceCredentialExfiltration.OutsideAWS",
                "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            ),
            (
                "Effects/Data Exfiltration/UnauthorizedAccess:IAMUser.InstanceCredentialExfiltration.OutsideAWS",
                "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.OutsideAWS",
            ),
            (
                "TTPs/Privilege Escalation/PrivilegeEscalation:IAMUser.AdministrativePermissions",
                "PrivilegeEscalation:IAMUser/AdministrativePermissions",
            ),
            ("TTPs/Discovery/IAMUser-AnomalousBehavior", "Discovery:IAMUser/AnomalousBehavior"),
            ("TTPs/Initial Access/IAMUser-AnomalousBehavior", "InitialAccess:IAMUser/AnomalousBehavior"),
            ("TTPs/PenTest:IAMUser/KaliLinux", "PenTest:IAMUser/KaliLinux"),
            ("TTPs/AttackSequence:IAM/CompromisedCredentials", "AttackSequence:IAM/CompromisedCredentials"),
            ("TTPs/Exfiltration:S3-AnomalousBehavior", "Exfiltration:S3/AnomalousBehavior"),
            (
                "TTPs/AnomalousBehavior/CredentialAccess:Kubernetes-SecretsAccessed",
                "CredentialAccess:Kubernetes/AnomalousBehavior.SecretsAccessed",
            ),
            ("Exfiltration:IAMUser/AnomalousBehavior", "Exfiltration:IAMUser/AnomalousBehavior"),
        ] {
            assert_eq!(GuardDutyType::of_security_hub(hub).map(|it| it.to_string()).as_deref(), Some(own), "{hub}");
        }
        for none in ["", "TTPs", "Threats", "TTPs/Discovery", ":", "a:b", "TTPs/x y:IAMUser-z"] {
            assert_eq!(GuardDutyType::of_security_hub(none), None, "{none}");
        }
    }

    #[test]
    fn clear_theft_below_the_threshold_is_put_to_a_person() {
        for kind in [
            "UnauthorizedAccess:IAMUser/TorIPCaller",
            "Recon:IAMUser/MaliciousIPCaller.Custom",
            "UnauthorizedAccess:IAMUser/ConsoleLoginSuccess.B",
            "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS",
        ] {
            for severity in [2.0, 5.0] {
                assert_eq!(answer_of(&[], kind, severity), Answer::Alert, "{kind}");
            }
            assert_eq!(answer_of(&[], kind, 8.0), Answer::Contain, "{kind}");
        }
        assert_eq!(answer_of(&[], "Discovery:IAMUser/AnomalousBehavior", 2.0), Answer::Digest);
        assert_eq!(answer_of(&[], "Policy:IAMUser/RootCredentialUsage", 2.0), Answer::DailyAlert);
        assert_eq!(answer_of(&[], "Exfiltration:S3/AnomalousBehavior", 8.0), Answer::Alert);
        assert_eq!(answer_of(&[], "Discovery:S3/AnomalousBehavior", 2.0), Answer::Digest);
        assert_eq!(answer_of(&[], "Policy:S3/BucketPublicAccessGranted", 8.0), Answer::DailyDigest);
        assert_eq!(answer_of(&[("MIN_SEVERITY", "9.5")], "Impact:IAMUser/AnomalousBehavior", 8.0), Answer::Alert);
    }

    #[test]
    fn settings_go_by_type_before_family_and_by_severity() {
        let settings = [(
            "FINDING_RESPONSES",
            "S3=contain@7,Exfiltration:S3/MaliciousIPCaller=alert,IAMUser=digest,\
             UnauthorizedAccess:IAMUser/TorIPCaller=contain",
        )];
        assert_eq!(answer_of(&settings, "Exfiltration:S3/AnomalousBehavior", 8.0), Answer::Contain);
        assert_eq!(answer_of(&settings, "Exfiltration:S3/AnomalousBehavior", 5.0), Answer::Digest);
        assert_eq!(answer_of(&settings, "Exfiltration:S3/MaliciousIPCaller", 8.0), Answer::Alert);
        assert_eq!(answer_of(&settings, "Impact:IAMUser/AnomalousBehavior", 8.0), Answer::Digest);
        assert_eq!(answer_of(&settings, "UnauthorizedAccess:IAMUser/TorIPCaller", 2.0), Answer::Contain);
    }

    #[test]
    fn attack_sequences_are_a_family_of_their_own() {
        for setting in ["IAM=count", "S3=digest"] {
            let settings = [("FINDING_RESPONSES", setting)];
            for kind in ["AttackSequence:IAM/CompromisedCredentials", "AttackSequence:S3/CompromisedData"] {
                assert_eq!(answer_of(&settings, kind, 9.0), Answer::Contain, "{setting}");
            }
        }
        let settings = [("FINDING_RESPONSES", "AttackSequence=alert,IAM=count")];
        assert_eq!(answer_of(&settings, "AttackSequence:IAM/CompromisedCredentials", 9.0), Answer::Alert);
        assert_eq!(answer_of(&settings, "Persistence:IAM/AccountManipulation", 9.0), Answer::Count);
    }

    #[test]
    fn what_does_nothing_is_doubted_in_words() {
        let doubts = |text: &str| doubtful_responses(&config(&[("FINDING_RESPONSES", text)]).unwrap().eligibility);
        for (text, said) in [
            ("IamUser=contain", "`IamUser`: GuardDuty has no such family; did you mean `IAMUser`?"),
            ("Unicorn=alert", "`Unicorn`: no such family"),
            ("UnauthorizedAccess:IAMUser/TorIPCaler=contain", "`UnauthorizedAccess:IAMUser/TorIPCaler`: no such type"),
            (
                "UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration=contain",
                "did you mean `UnauthorizedAccess:IAMUser/InstanceCredentialExfiltration.InsideAWS`?",
            ),
            ("Runtime=alert", "`Runtime`: the template's rule leaves out findings"),
        ] {
            let [doubt] = &*doubts(text) else { panic!("{text}: {:?}", doubts(text)) };
            assert!(doubt.contains(said), "{doubt}");
        }
        let fit = "IAMUser=contain@4,S3=alert,Kubernetes=count,IAM=digest,AttackSequence=alert,\
                   UnauthorizedAccess:IAMUser/TorIPCaller=contain";
        assert_eq!(doubts(fit), Vec::<String>::new());
    }
}
