//! A credential is in the wrong hands: its user is denied everything and loses every key, its
//! role's sessions are revoked.

use std::time::Duration;

use aws_smithy_types::DateTime;

use super::{Case, Escalation, Plan, Playbook, QUARANTINED, deactivate_keys, disarm, left_in_place, quarantine, tag};
use crate::action::Action;
use crate::finding::Threat;
use crate::identity::{IdentityKind, Observed};

pub(super) const PLAYBOOK: Playbook = Playbook {
    id: "compromised-credential",
    title: "Compromised credential",
    threat: Threat::CompromisedCredential,
    strike,
    plan,
    escalation: &[Escalation::Rotation, Escalation::Incident, Escalation::SecurityHub, Escalation::Alert],
    has_adversary: true,
    detaches: false,
};

fn strike(case: &Case, observed: &Observed) -> Vec<Action> {
    match case.identity.kind {
        IdentityKind::User => {
            let named = case.finding.access_key.as_ref();
            let named_key = |it: &Action| matches!(it, Action::DeactivateAccessKey { key, .. } if Some(key) == named);
            let keys = deactivate_keys(case, observed).into_iter().filter(named_key);
            quarantine(case, observed).into_iter().chain(keys).collect()
        }
        IdentityKind::Role => revoke(case, observed).into_iter().collect(),
    }
}

fn plan(case: &Case, observed: &Observed) -> Plan {
    let mut actions: Vec<Action> = match case.identity.kind {
        IdentityKind::User => {
            let keys = deactivate_keys(case, observed);
            quarantine(case, observed).into_iter().chain(keys).chain(disarm(case, observed)).collect()
        }
        IdentityKind::Role => revoke(case, observed).into_iter().chain(quarantine_role(case, observed)).collect(),
    };
    actions.extend(tag(case, observed, QUARANTINED));
    let notes = match case.identity.kind {
        IdentityKind::User => left_in_place(case, observed),
        IdentityKind::Role if case.options.quarantine_roles => Vec::new(),
        IdentityKind::Role => vec![
            "whoever may assume the role can still get new sessions: check its trust policy and where it runs"
                .to_owned(),
        ],
    };
    Plan { actions, notes }
}

fn quarantine_role(case: &Case, observed: &Observed) -> Option<Action> {
    let policy = case.finding.partition.deny_all_policy();
    let wanted = case.options.quarantine_roles && !observed.has_barrier(&policy);
    wanted.then(|| Action::AttachDenyAllToRole { role: case.identity.name.clone(), policy })
}

/// Sessions from before the finding are what was stolen. Thirty seconds on top, as AWS's console
/// does, for clocks that differ.
fn revoke(case: &Case, observed: &Observed) -> Option<Action> {
    let stolen_until = case.finding.occurred_at.unwrap_or(case.now);
    if matches!(observed.revoked_before, Ok(Some(cutoff)) if cutoff.secs() >= stolen_until.secs()) {
        return None;
    }
    let cutoff = case.now.secs().saturating_add(Duration::from_secs(30).as_secs().cast_signed());
    Some(Action::RevokeSessions { role: case.identity.name.clone(), issued_before: DateTime::from_secs(cutoff) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::Unreadable;
    use crate::playbooks::tests::{case, finding, identity, observed, words};

    fn check(kind: IdentityKind, observed: &Observed) -> (Vec<String>, Vec<String>) {
        let (finding, identity) = (finding(Threat::CompromisedCredential), identity(kind));
        let case = case(&finding, &identity);
        (words(&strike(&case, observed)), words(&plan(&case, observed).actions))
    }

    #[test]
    fn the_deny_and_the_named_key_come_first() {
        let (strike, plan) = check(IdentityKind::User, &observed());
        assert_eq!(
            strike,
            [
                "attach arn:aws:iam::aws:policy/AWSDenyAll to user alice",
                "deactivate access key AKIAIOSFODNN7EXAMPLE of user alice",
            ]
        );
        assert!(plan.contains(&"deactivate access key AKIAI44QH8DHBEXAMPLE of user alice".to_owned()));
        assert!(plan.last().unwrap().starts_with("tag user alice"));
    }

    #[test]
    fn nothing_is_left_to_do_once_contained() {
        let mut observed = observed();
        observed.attached.as_mut().unwrap().push("arn:aws:iam::aws:policy/AWSDenyAll".to_owned());
        observed.keys.as_mut().unwrap().iter_mut().for_each(|it| it.active = false);
        let (strike, plan) = check(IdentityKind::User, &observed);
        assert!(strike.is_empty());
        assert_eq!(plan.len(), 1, "only the tag is missing: {plan:?}");
    }

    #[test]
    fn a_boundary_that_denies_everything_counts_as_the_quarantine() {
        let mut observed = observed();
        observed.profile.as_mut().unwrap().boundary = Some("arn:aws:iam::aws:policy/AWSDenyAll".to_owned());
        assert!(!check(IdentityKind::User, &observed).1.iter().any(|it| it.starts_with("attach")));
    }

    #[test]
    fn unreadable_keys_do_not_hold_up_the_deny() {
        let mut observed = observed();
        observed.keys =
            Err(Unreadable { what: "access keys", why: "Throttling".to_owned(), retryable: true, is_gone: false });
        assert_eq!(check(IdentityKind::User, &observed).0.len(), 1);
    }

    #[test]
    fn sessions_are_revoked_up_to_thirty_seconds_from_now_and_only_once() {
        let mut observed = observed();
        let (strike, _) = check(IdentityKind::Role, &observed);
        assert_eq!(strike, ["revoke the sessions of role app issued before 1970-01-01T00:33:50Z"]);
        observed.revoked_before = Ok(Some(DateTime::from_secs(1_000)));
        assert!(check(IdentityKind::Role, &observed).0.is_empty());
        observed.revoked_before = Ok(Some(DateTime::from_secs(999)));
        assert_eq!(check(IdentityKind::Role, &observed).0.len(), 1);
    }
}
