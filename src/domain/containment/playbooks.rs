//! The responses, one file each, in one flat table.
//!
//! A playbook is data and two pure functions over what was observed. It can't call AWS, because it
//! is not given a client.

use aws_smithy_types::DateTime;

use crate::change::{Change, DATE_TAG, FINDING_TAG, INCIDENT_TAG, QUARANTINED, REMEDIATED};
use crate::finding::{Finding, Threat};
use crate::identity::{Credential, Identity, IdentityKind, Observed};
use crate::settings::Options;
use crate::suspects::Suspect;
use crate::text;

mod compromised_credential;
pub mod holding;
mod missing_mfa;
mod overprivileged_user;
mod planted_key;
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
    pub strike: fn(&Case, &Observed) -> Vec<Change>,
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
    missing_mfa::PLAYBOOK,
    planted_key::PLAYBOOK,
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

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Plan {
    pub changes: Vec<Change>,
    /// What a person should know beside the changes.
    pub notes: Vec<String>,
    /// What the changes don't stop.
    pub suspects: Vec<Suspect>,
}

/// Whom and what else to tell. Each is optional by configuration and none can hold up containment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escalation {
    Rotation,
    Incident,
    SecurityHub,
    Alert,
}

/// How many policies can be attached unless AWS raised it: the boundary is a slot beside them.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
const MOST_ATTACHED: usize = 10;
const MOST_TAGS: usize = 50;

/// The quarantine, unless it already holds. A boundary holds where nothing more can be attached: it is somebody
/// else's to replace as long as it bears no mark, and what is attached is not.
fn quarantine(case: &Case, observed: &Observed) -> Option<Change> {
    let policy = case.finding.partition.deny_all_policy();
    let has_room = observed.attached.as_ref().is_ok_and(|it| it.len() < MOST_ATTACHED);
    let holds = observed.is_attached(&policy) || (observed.is_boundary(&policy) && !has_room);
    (!holds).then(|| Change::AttachDenyAll { user: case.identity.name.clone(), policy })
}

/// Whether there is no room for our mark, without which the guardrail protects nothing but what is attached.
fn has_no_room_for_the_mark(observed: &Observed) -> bool {
    let tags = observed.profile.as_ref().map_or(&[][..], |it| it.tags.as_slice());
    tags.len() >= MOST_TAGS && !tags.iter().any(|(key, _)| key.eq_ignore_ascii_case(INCIDENT_TAG))
}

fn deactivate_keys(case: &Case, observed: &Observed) -> Vec<Change> {
    let user = &case.identity.name;
    observed.active_keys().map(|key| Change::DeactivateAccessKey { user: user.clone(), key: key.clone() }).collect()
}

/// Everything else that a user acts with and that can be set inactive.
fn disarm(case: &Case, observed: &Observed) -> Vec<Change> {
    let user = &case.identity.name;
    let deactivate =
        |it: &Credential| Change::DeactivateCredential { user: user.clone(), kind: it.kind, id: it.id.clone() };
    let mut changes: Vec<_> = observed.active_credentials().map(deactivate).collect();
    if case.options.remove_login_profile && observed.login == Ok(true) {
        changes.push(Change::DeleteLoginProfile { user: user.clone() });
    }
    changes
}

/// Says on the identity itself what happened to it, for whoever finds it.
fn tag(case: &Case, observed: &Observed, incident: &str) -> Option<Change> {
    let finding_id = text::tag_value(&case.finding.id);
    let is_there = |key: &str, value: &str| {
        observed.profile.as_ref().is_ok_and(|it| it.tags.iter().any(|(k, v)| k == key && v == value))
    };
    if is_there(INCIDENT_TAG, incident) && is_there(FINDING_TAG, &finding_id) {
        return None;
    }
    // What holds less writes no quarantine's mark over.
    if incident == REMEDIATED && is_there(INCIDENT_TAG, QUARANTINED) {
        return None;
    }
    let tags = vec![
        (INCIDENT_TAG.to_owned(), incident.to_owned()),
        (DATE_TAG.to_owned(), text::tag_value(&case.now.to_string())),
        (FINDING_TAG.to_owned(), finding_id),
    ];
    Some(Change::Tag { kind: case.identity.kind, name: case.identity.name.clone(), tags })
}

/// The deny reaches the user's own sessions, and no role's.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_temp_control-access_disable-perms.html>
const ASSUMED_ROLES: &str = "sessions of roles that the user had assumed live on, for at most 12 hours: look in CloudTrail \
                             for its AssumeRole calls, and send `contain` for each of the roles";

/// What a user still has, and a person should know.
fn left_in_place(case: &Case, observed: &Observed) -> Vec<String> {
    let mut notes = vec![ASSUMED_ROLES.to_owned()];
    if let Some(names) = observed.inline.as_ref().ok().filter(|it| !it.is_empty()) {
        notes.push(format!("inline policies are left in place: {}", text::line(&names.join(", "), 400)));
    }
    if let Some(devices) = observed.mfa_devices.as_ref().ok().filter(|it| !it.is_empty()) {
        notes.push(format!("MFA devices, check that each is known: {}", text::line(&devices.join(", "), 400)));
    }
    if observed.login == Ok(true) && !case.options.remove_login_profile {
        notes.push(
            "there is a console password: nothing but the deny stops it, so reset it before you lift the deny"
                .to_owned(),
        );
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
    #[test]
    fn every_threat_has_exactly_one_playbook() {
        for threat in Threat::ALL {
            let playbooks: Vec<_> = ALL.iter().filter(|it| it.threat == threat).map(|it| it.id).collect();
            assert_eq!(playbooks, [threat.playbook()]);
        }
        assert_eq!(ALL.len(), Threat::ALL.len());
    }

    /// An approval covers what its playbook does, and nothing of a graver one.
    #[test]
    fn every_change_of_a_playbook_is_of_a_kind_that_its_approval_covers() {
        use crate::coverage::{Kind, kinds};
        use crate::fixtures::{finding, identity, observed};
        let credential =
            Credential { kind: crate::identity::CredentialKind::SshKey, id: "APKA".to_owned(), active: true };
        let state = Observed { credentials: Ok(vec![credential]), login: Ok(true), ..observed() };
        let all = |it| Options { remove_login_profile: it, quarantine_roles: it, holds_console: it };
        for options in [false, true].map(all) {
            for (playbook, kind) in ALL.iter().flat_map(|it| [(it, IdentityKind::User), (it, IdentityKind::Role)]) {
                let (finding, identity) = (finding(playbook.threat), identity(kind));
                let case = Case { options, ..case(&finding, &identity) };
                let changes = [(playbook.strike)(&case, &state), (playbook.plan)(&case, &state).changes].concat();
                let done: std::collections::BTreeSet<_> = changes.iter().filter_map(Kind::of).collect();
                assert_eq!(done, kinds(playbook.threat, kind, options.into()), "{} {kind:?}", playbook.id);
            }
        }
    }

    pub(crate) fn case<'a>(finding: &'a Finding, identity: &'a Identity) -> Case<'a> {
        Case { finding, identity, now: DateTime::from_secs(2_000), options: Options::default() }
    }

    pub(crate) fn words(changes: &[Change]) -> Vec<String> {
        changes.iter().map(ToString::to_string).collect()
    }
}
