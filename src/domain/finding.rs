//! What we were told: one finding, whatever service it came from.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::child::{self, Parent};
use crate::ids::{AccessKeyId, AccountId, Partition, PrincipalName, Region, UniqueId};
use crate::text;

/// Who told us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
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
    /// Somebody reported it with the form.
    Report,
    /// The daily sweep found it.
    Sweep,
    /// A credential made it that somebody was contained for.
    Child,
}

impl Source {
    /// As a report writes it.
    pub fn word(self) -> &'static str {
        match self {
            Self::GuardDuty => "guard-duty",
            Self::SecurityHub => "security-hub",
            Self::SecurityHubCustomAction => "security-hub-custom-action",
            Self::SecurityHubV2 => "security-hub-v2",
            Self::CloudTrail => "cloud-trail",
            Self::Health => "health",
            Self::Simulation => "simulation",
            Self::Drill => "drill",
            Self::Command => "command",
            Self::Report => "report",
            Self::Sweep => "sweep",
            Self::Child => "child",
        }
    }
}

/// Why we act. Each threat has exactly one playbook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Threat {
    CompromisedCredential,
    OverprivilegedUser,
    RootAccessKey,
    UnusedUser,
    UnauthorizedUser,
    MissingMfa,
    PlantedKey,
}

impl Threat {
    pub const ALL: [Self; 7] = [
        Self::CompromisedCredential,
        Self::OverprivilegedUser,
        Self::RootAccessKey,
        Self::UnusedUser,
        Self::UnauthorizedUser,
        Self::MissingMfa,
        Self::PlantedKey,
    ];

    /// The ID of the playbook that answers it: the same in PLAYBOOK_MODES, the README and every report.
    pub const fn playbook(self) -> &'static str {
        match self {
            Self::CompromisedCredential => "compromised-credential",
            Self::OverprivilegedUser => "overprivileged-user",
            Self::RootAccessKey => "root-access-key",
            Self::UnusedUser => "unused-user",
            Self::UnauthorizedUser => "unauthorized-user",
            Self::MissingMfa => "missing-mfa",
            Self::PlantedKey => "planted-key",
        }
    }

    /// Whether its playbook denies the identity everything, or a role's older sessions.
    pub fn is_quarantine(self) -> bool {
        matches!(self, Self::CompromisedCredential | Self::UnauthorizedUser)
    }

    /// How much an answer to it holds back: an answer to a graver threat is one to a lesser as well, about
    /// the same identity. Whoever is denied everything can neither use a key nor a policy.
    pub const fn gravity(self) -> u8 {
        match self {
            Self::CompromisedCredential => 4,
            Self::UnauthorizedUser => 3,
            Self::OverprivilegedUser => 2,
            // Less than any other: it does nothing to who has turned MFA on.
            Self::UnusedUser | Self::MissingMfa => 1,
            // Nobody else's answer reaches root, and root's reaches nobody else. One key's answers nothing else, another
            // key of the same owner included.
            Self::RootAccessKey | Self::PlantedKey => 0,
        }
    }

    /// Whether an answer to this threat answers the other one too.
    pub const fn covers(self, other: Self) -> bool {
        match (self, other) {
            (Self::RootAccessKey, Self::RootAccessKey) => true,
            // What is done about MFA may leave keys as they are.
            (Self::RootAccessKey | Self::PlantedKey, _)
            | (_, Self::RootAccessKey)
            | (Self::MissingMfa, Self::UnusedUser | Self::PlantedKey) => false,
            _ => self.gravity() >= other.gravity(),
        }
    }

    /// From a playbook's ID.
    pub fn of_playbook(id: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|it| it.playbook() == id)
    }

    /// Somebody did something at a time; the others are states that last until they are mended.
    pub fn is_behaviour(self) -> bool {
        matches!(self, Self::CompromisedCredential | Self::UnauthorizedUser | Self::PlantedKey)
    }
}

/// GuardDuty's scale: 1.0-3.9 low, 4.0-6.9 medium, 7.0-8.9 high, 9.0-10.0 critical.
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings-severity.html>
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Deserialize)]
#[serde(transparent)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// A name without a word on whether a user or a role bears it. IAM tells: a name that both bear, or
    /// nobody, leads to nobody.
    UserOrRole {
        name: PrincipalName,
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
    pub fn unique_id(&self) -> Option<&UniqueId> {
        match self {
            Self::User { id, .. } | Self::Role { id, .. } => id.as_ref(),
            Self::UserOrRole { .. } | Self::KeyOwner | Self::Root | Self::NotContainable { .. } => None,
        }
    }

    pub fn name(&self) -> Option<&PrincipalName> {
        match self {
            Self::User { name, .. } | Self::Role { name, .. } => name.as_ref(),
            Self::UserOrRole { name } => Some(name),
            Self::KeyOwner | Self::Root | Self::NotContainable { .. } => None,
        }
    }

    /// Which identity this is about, as far as the finding says: findings with the same key are
    /// handled one after the other.
    pub fn target_key(&self) -> String {
        let text = |name: &Option<PrincipalName>, id: &Option<UniqueId>| match (id, name) {
            (_, Some(name)) => name.to_string(),
            (Some(id), None) => id.to_string(),
            (None, None) => String::new(),
        };
        match self {
            Self::User { name, id } => format!("user/{}", text(name, id)),
            Self::Role { name, id, .. } => format!("role/{}", text(name, id)),
            Self::UserOrRole { name } => format!("user-or-role/{name}"),
            Self::KeyOwner => "key".to_owned(),
            Self::Root => "root".to_owned(),
            Self::NotContainable { .. } => "-".to_owned(),
        }
    }
}

/// How Security Hub knows the finding, echoed as it came: the product ARN is never built by hand.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HubReference {
    pub id: String,
    pub product_arn: String,
    pub region: Region,
    /// When its source wrote the version that we saw, as RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub updated_at: Option<String>,
}

/// One thing to respond to. `account` owns the identity; it comes from the finding's own fields,
/// never from the envelope, which names whose bus received it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    #[serde(serialize_with = "rfc3339", deserialize_with = "from_rfc3339")]
    pub occurred_at: Option<DateTime>,
    /// When a behaviour was seen first, where the finding tells of one and says so: `occurred_at` is the last time.
    #[serde(
        default,
        skip_serializing_if = "Option::is_none",
        serialize_with = "rfc3339",
        deserialize_with = "from_rfc3339"
    )]
    pub began_at: Option<DateTime>,
    /// The ARN of whoever created the user.
    pub creator: Option<String>,
    pub security_hub: Option<HubReference>,
    /// Whose containment it follows from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
}

impl Finding {
    /// When the behaviour began, as far as the finding says.
    pub fn began(&self) -> Option<DateTime> {
        child::began(self.began_at, self.occurred_at)
    }

    /// As the ledger keeps it for whoever takes it up again: what others wrote is cut, so that no item grows
    /// past what it may hold.
    pub fn kept(&self) -> String {
        let mut kept = self.clone();
        for text in [&mut kept.title, &mut kept.kind].into_iter().chain(kept.creator.as_mut()) {
            *text = text::cut(text, 500);
        }
        if let Principal::NotContainable { reason } = &mut kept.principal {
            *reason = text::cut(reason, 1_000);
        }
        serde_json::json!(kept).to_string()
    }

    /// From what `kept` made. Valid, or not read at all.
    pub fn from_kept(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    /// The access key, or nothing.
    pub fn access_key_text(&self) -> &str {
        self.access_key.as_ref().map_or("", AccessKeyId::as_str)
    }
}

fn rfc3339<S: Serializer>(time: &Option<DateTime>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(it) => serializer.collect_str(it),
        None => serializer.serialize_none(),
    }
}

fn from_rfc3339<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<DateTime>, D::Error> {
    let text = Option::<String>::deserialize(deserializer)?;
    text.map(|it| DateTime::from_str(&it, Format::DateTime).map_err(serde::de::Error::custom)).transpose()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{finding, parsed};

    #[test]
    fn what_the_ledger_kept_is_the_same_finding() {
        let mut finding = finding(Threat::UnauthorizedUser);
        finding.occurred_at = Some(DateTime::from_secs_and_nanos(1_000, 250_000_000));
        finding.creator = Some("arn:aws:iam::111122223333:role/Admin".to_owned());
        let region = parsed("us-east-1");
        finding.security_hub = Some(HubReference {
            id: "f".to_owned(),
            product_arn: "p".to_owned(),
            region,
            updated_at: Some("1970-01-01T00:00:01.250Z".to_owned()),
        });
        for principal in [
            finding.principal.clone(),
            Principal::Role { name: Some(parsed("app")), id: None, session: Some("s\n".to_owned()) },
            Principal::KeyOwner,
            Principal::Root,
            Principal::NotContainable { reason: "federated".to_owned() },
        ] {
            finding.principal = principal;
            assert_eq!(Finding::from_kept(&finding.kept()).unwrap(), finding);
        }
        assert_eq!(Finding::from_kept(&finding.kept().replace("111122223333", "everywhere")), None);
        finding.title = "x".repeat(100_000);
        assert!(finding.kept().len() < 2_000);
    }

    #[test]
    fn an_answer_covers_what_is_no_graver() {
        use Threat::{
            CompromisedCredential, MissingMfa, OverprivilegedUser, PlantedKey, RootAccessKey, UnauthorizedUser,
            UnusedUser,
        };
        let users = [CompromisedCredential, UnauthorizedUser, OverprivilegedUser, UnusedUser, MissingMfa];
        for (n, it) in users.into_iter().enumerate() {
            let covered: Vec<_> =
                Threat::ALL.into_iter().filter(|other| it.covers(*other) && *other != PlantedKey).collect();
            assert!(users.iter().skip(n).all(|other| covered.contains(other)) && covered.len() == users.len() - n);
        }
        assert!(RootAccessKey.covers(RootAccessKey) && !RootAccessKey.covers(UnusedUser));
        // One key says nothing of another, and who loses every key loses this one.
        assert!(Threat::ALL.into_iter().all(|it| !PlantedKey.covers(it)));
        assert!(CompromisedCredential.covers(PlantedKey) && !MissingMfa.covers(PlantedKey));
    }

    #[test]
    fn a_label_is_the_band_from_its_lower_bound_on() {
        for (label, lowest, below) in
            [("CRITICAL", 9.0, "HIGH"), ("HIGH", 7.0, "MEDIUM"), ("MEDIUM", 4.0, "LOW"), ("LOW", 1.0, "INFORMATIONAL")]
        {
            assert_eq!(Severity::of_label(label), Some(Severity(lowest)));
            assert_eq!((Severity(lowest).label(), Severity(lowest - 0.1).label()), (label, below));
        }
        assert_eq!(Severity::of_label("INFORMATIONAL"), Some(Severity(0.0)));
        assert_eq!((Severity(0.0).label(), Severity::of_label("SEVERE")), ("INFORMATIONAL", None));
    }
}
