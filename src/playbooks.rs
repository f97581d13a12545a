//! The responses, one file each, in one flat table.
//!
//! A playbook is data and two pure functions over what was observed. It can't call AWS, because it
//! is not given a client.

use aws_smithy_types::DateTime;

use crate::action::{Action, DATE_TAG, FINDING_TAG, INCIDENT_TAG};
use crate::finding::{Finding, Threat};
use crate::identity::{Credential, Identity, IdentityKind, Observed};
use crate::text;

mod compromised_credential;
mod overprivileged_user;
pub mod root_access_key;
mod unauthorized_user;
mod unused_user;

/// One response to one threat.
pub struct Playbook {
    /// The same in the file's name, PLAYBOOK_MODES, the README and every report.
    pub id: &'static str,
    /// For people: the first words of an alert.
    pub title: &'static str,
    pub threat: Threat,
    /// What stops the attacker at once: additive, reversible, and planned from no more than the
    /// identity and its keys (or the role's former revocation).
    pub strike: fn(&Case, &Observed) -> Vec<Action>,
    /// Everything that is missing between what was observed and the state to reach. Empty when
    /// nothing is left to do.
    pub plan: fn(&Case, &Observed) -> Plan,
    pub escalation: &'static [Escalation],
    /// Somebody may be acting with the identity right now, and against us.
    pub has_adversary: bool,
    /// It takes policies and groups away, and must know which of them hold a Deny.
    pub detaches: bool,
}

/// Every playbook, in the order of the README.
pub static ALL: &[Playbook] = &[
    compromised_credential::PLAYBOOK,
    overprivileged_user::PLAYBOOK,
    root_access_key::PLAYBOOK,
    unused_user::PLAYBOOK,
    unauthorized_user::PLAYBOOK,
];

/// The playbook of a threat; each has exactly one.
pub fn select(threat: Threat) -> Option<&'static Playbook> {
    ALL.iter().find(|it| it.threat == threat)
}

/// What a playbook decides by.
pub struct Case<'a> {
    pub finding: &'a Finding,
    pub identity: &'a Identity,
    pub now: DateTime,
    pub options: Options,
}

/// What the settings add to the responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    pub remove_login_profile: bool,
    pub quarantine_roles: bool,
}

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub actions: Vec<Action>,
    /// What a person should know beside the actions.
    pub notes: Vec<String>,
    /// What the actions don't stop.
    pub suspects: Vec<String>,
}

/// Whom and what else to tell. Each is optional by configuration and none can hold up containment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escalation {
    Rotation,
    Incident,
    SecurityHub,
    Alert,
}

/// The quarantine, unless it already holds.
fn quarantine(case: &Case, observed: &Observed) -> Option<Action> {
    let policy = case.finding.partition.deny_all_policy();
    (!observed.has_barrier(&policy)).then(|| Action::AttachDenyAll { user: case.identity.name.clone(), policy })
}

fn deactivate_keys(case: &Case, observed: &Observed) -> Vec<Action> {
    let user = &case.identity.name;
    observed.active_keys().map(|key| Action::DeactivateAccessKey { user: user.clone(), key: key.clone() }).collect()
}

/// Everything else that a user acts with and that can be set inactive.
fn disarm(case: &Case, observed: &Observed) -> Vec<Action> {
    let user = &case.identity.name;
    let deactivate =
        |it: &Credential| Action::DeactivateCredential { user: user.clone(), kind: it.kind, id: it.id.clone() };
    let mut actions: Vec<_> = observed.active_credentials().map(deactivate).collect();
    if case.options.remove_login_profile && observed.login == Ok(true) {
        actions.push(Action::DeleteLoginProfile { user: user.clone() });
    }
    actions
}

/// Says on the identity itself what happened to it, for whoever finds it.
fn tag(case: &Case, observed: &Observed, incident: &str) -> Option<Action> {
    let finding_id = text::tag_value(&case.finding.id);
    let is_there = |key: &str, value: &str| {
        observed.profile.as_ref().is_ok_and(|it| it.tags.iter().any(|(k, v)| k == key && v == value))
    };
    if is_there(INCIDENT_TAG, incident) && is_there(FINDING_TAG, &finding_id) {
        return None;
    }
    let tags = vec![
        (INCIDENT_TAG.to_owned(), incident.to_owned()),
        (DATE_TAG.to_owned(), text::tag_value(&case.now.to_string())),
        (FINDING_TAG.to_owned(), finding_id),
    ];
    Some(Action::Tag { kind: case.identity.kind, name: case.identity.name.clone(), tags })
}

const QUARANTINED: &str = "AutomatedSecurityQuarantine";
const REMEDIATED: &str = "AutoRemediated";

/// What a user still has, and a person should know.
fn left_in_place(case: &Case, observed: &Observed) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(names) = observed.inline.as_ref().ok().filter(|it| !it.is_empty()) {
        notes.push(format!("inline policies are left in place: {}", text::line(&names.join(", "), 400)));
    }
    if let Some(devices) = observed.mfa_devices.as_ref().ok().filter(|it| !it.is_empty()) {
        notes.push(format!("MFA devices, check that each is known: {}", text::line(&devices.join(", "), 400)));
    }
    if observed.login == Ok(true) && !case.options.remove_login_profile {
        notes.push("there is a console password: the deny covers it, reset it before you lift the deny".to_owned());
    }
    notes
}

/// A playbook about users was given a role: nothing of it applies.
fn is_user(case: &Case) -> bool {
    case.identity.kind == IdentityKind::User
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::finding::{Parse, PrincipalName, Source, UniqueId};
    use crate::identity::{AccessKey, Profile};

    #[test]
    fn every_threat_has_exactly_one_playbook() {
        let threats = [
            Threat::CompromisedCredential,
            Threat::OverprivilegedUser,
            Threat::RootAccessKey,
            Threat::UnusedUser,
            Threat::UnauthorizedUser,
        ];
        for threat in threats {
            assert_eq!(ALL.iter().filter(|it| it.threat == threat).count(), 1, "{threat:?}");
        }
        assert_eq!(ALL.len(), threats.len());
    }

    pub(crate) fn parsed<T: Parse>(text: &str) -> T {
        T::parse(text).unwrap()
    }

    pub(crate) fn finding(threat: Threat) -> Finding {
        Finding {
            id: "arn:aws:guardduty:us-east-1:111122223333:detector/d/finding/f".to_owned(),
            source: Source::GuardDuty,
            threat,
            severity: crate::finding::Severity::HIGH,
            account: parsed("111122223333"),
            partition: parsed("aws"),
            region: parsed("us-east-1"),
            principal: crate::finding::Principal::User { name: Some(parsed("alice")), id: None },
            access_key: Some(parsed("AKIAIOSFODNN7EXAMPLE")),
            kind: "UnauthorizedAccess:IAMUser/TorIPCaller".to_owned(),
            title: "title".to_owned(),
            occurred_at: Some(DateTime::from_secs(1_000)),
            creator: None,
            security_hub: None,
        }
    }

    pub(crate) fn identity(kind: IdentityKind) -> Identity {
        let (name, id) = match kind {
            IdentityKind::User => ("alice", "AIDACKCEVSQ6C2EXAMPLE"),
            IdentityKind::Role => ("app", "AROADBQP57FF2AEXAMPLE"),
        };
        Identity {
            kind,
            name: PrincipalName::parse(name).unwrap(),
            id: UniqueId::parse(id).unwrap(),
            arn: format!("arn:aws:iam::111122223333:{}/{name}", kind.word()),
            path: "/".to_owned(),
            created: None,
        }
    }

    /// A user with two keys, three policies, two groups and an inline policy.
    pub(crate) fn observed() -> Observed {
        let key = |id, active| AccessKey { id: parsed(id), active };
        Observed {
            profile: Ok(Profile { boundary: None, tags: Vec::new() }),
            keys: Ok(vec![key("AKIAIOSFODNN7EXAMPLE", true), key("AKIAI44QH8DHBEXAMPLE", true)]),
            attached: Ok(vec!["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()]),
            inline: Ok(vec!["s3".to_owned()]),
            groups: Ok(vec!["developers".to_owned()]),
            denying: Ok(Vec::new()),
            revoked_before: Ok(None),
            credentials: Ok(Vec::new()),
            login: Ok(false),
            mfa_devices: Ok(Vec::new()),
        }
    }

    pub(crate) fn case<'a>(finding: &'a Finding, identity: &'a Identity) -> Case<'a> {
        Case { finding, identity, now: DateTime::from_secs(2_000), options: Options::default() }
    }

    pub(crate) fn words(actions: &[Action]) -> Vec<String> {
        actions.iter().map(ToString::to_string).collect()
    }
}
