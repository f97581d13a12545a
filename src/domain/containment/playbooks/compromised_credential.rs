//! A credential is in the wrong hands: its user is denied everything and loses every key, its
//! role's sessions are revoked.

use std::time::Duration;

use aws_smithy_types::DateTime;

use super::{
    Case, Escalation, Plan, Playbook, QUARANTINED, deactivate_keys, disarm, has_no_room_for_the_mark, left_in_place,
    quarantine, tag,
};
use crate::change::Change;
use crate::finding::{Principal, Threat};
use crate::identity::{IdentityKind, Observed};
use crate::suspects::Suspect;
use crate::text;

pub(super) const PLAYBOOK: Playbook = Playbook {
    id: Threat::CompromisedCredential.playbook(),
    title: "Compromised credential",
    threat: Threat::CompromisedCredential,
    strike,
    plan,
    escalation: &[Escalation::Rotation, Escalation::Incident, Escalation::SecurityHub, Escalation::Alert],
    has_adversary: true,
    detaches: false,
};

fn strike(case: &Case, observed: &Observed) -> Vec<Change> {
    match case.identity.kind {
        IdentityKind::User => {
            let named = case.finding.access_key.as_ref();
            let named_key = |it: &Change| matches!(it, Change::DeactivateAccessKey { key, .. } if Some(key) == named);
            let keys = deactivate_keys(case, observed).into_iter().filter(named_key);
            quarantine(case, observed).into_iter().chain(keys).collect()
        }
        IdentityKind::Role => revoke(case, observed).into_iter().collect(),
    }
}

fn plan(case: &Case, observed: &Observed) -> Plan {
    let mut changes: Vec<Change> = match case.identity.kind {
        IdentityKind::User => {
            let keys = deactivate_keys(case, observed);
            quarantine(case, observed).into_iter().chain(keys).chain(disarm(case, observed)).collect()
        }
        IdentityKind::Role => revoke(case, observed).into_iter().chain(quarantine_role(case, observed)).collect(),
    };
    changes.extend(tag(case, observed, QUARANTINED));
    let notes = match case.identity.kind {
        IdentityKind::User => left_in_place(case, observed),
        IdentityKind::Role if has_no_room_for_the_mark(observed) => vec![NO_ROOM.to_owned()],
        IdentityKind::Role if case.options.quarantine_roles || observed.is_denied_everything() => Vec::new(),
        IdentityKind::Role => vec![
            "whoever may assume the role can still get new sessions: check its trust policy and where it runs"
                .to_owned(),
        ],
    };
    Plan { changes, notes, suspects: new_sessions(case, observed).into_iter().collect() }
}

const NO_ROOM: &str = "all fifty tags of the role are others', so that it can't be marked, and without the mark anybody could \
                       delete the revocation: hence the deny of everything, new sessions too";

/// Seen after an earlier revocation: somebody gets new sessions, and revoking those up to now stops
/// nobody who gets the next one.
fn new_sessions(case: &Case, observed: &Observed) -> Option<Suspect> {
    let (Ok(Some(cutoff)), Some(seen)) = (&observed.revoked_before, case.finding.occurred_at) else { return None };
    let is_denied = case.options.quarantine_roles || has_no_room_for_the_mark(observed);
    if case.identity.kind != IdentityKind::Role || is_denied || seen.secs() <= cutoff.secs() {
        return None;
    }
    let session = match &case.finding.principal {
        Principal::Role { session: Some(session), .. } if session.starts_with("i-") => {
            format!("isolate the instance {}, take its profile away", text::line(session, 64))
        }
        Principal::Role { session: Some(session), .. } => {
            format!("find out who takes sessions named `{}`", text::line(session, 64))
        }
        _ => "find out where it runs".to_owned(),
    };
    let words = format!(
        "revoking is not enough: something was seen at {seen}, after the sessions up to {cutoff} were revoked. Unless \
         those were only refused calls, whoever is behind it gets new sessions: {session}, and take out of the trust \
         policy of role {} whoever should not be in it",
        case.identity.name
    );
    Some(Suspect { id: "new-sessions".to_owned(), words, since: seen.to_millis().unwrap_or_default() })
}

/// Where the settings ask for it, and where a revocation could not be protected.
fn quarantine_role(case: &Case, observed: &Observed) -> Option<Change> {
    let policy = case.finding.partition.deny_all_policy();
    let wanted = case.options.quarantine_roles || has_no_room_for_the_mark(observed);
    let role = || case.identity.name.clone();
    (wanted && !observed.is_attached(&policy)).then(|| Change::AttachDenyAllToRole { role: role(), policy })
}

/// Sessions from before the finding are what was stolen. Thirty seconds on top, as AWS's console
/// does, for clocks that differ.
fn revoke(case: &Case, observed: &Observed) -> Option<Change> {
    // A time to come can't be reached by any revocation.
    let stolen_until = case.finding.occurred_at.unwrap_or(case.now).secs().min(case.now.secs());
    if matches!(observed.revoked_before, Ok(Some(cutoff)) if cutoff.secs() >= stolen_until) {
        return None;
    }
    // Where the inline policies are full, the deny stands in for the revocation. A boundary is never ours.
    if observed.is_attached(&case.finding.partition.deny_all_policy()) {
        return None;
    }
    let cutoff = case.now.secs().saturating_add(Duration::from_secs(30).as_secs().cast_signed());
    Some(Change::RevokeSessions { role: case.identity.name.clone(), issued_before: DateTime::from_secs(cutoff) })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{case, words};
    use super::*;
    use crate::fixtures::{finding, identity, observed};
    use crate::identity::Unreadable;

    fn check(kind: IdentityKind, observed: &Observed) -> (Vec<String>, Vec<String>) {
        let (finding, identity) = (finding(Threat::CompromisedCredential), identity(kind));
        let case = case(&finding, &identity);
        (words(&strike(&case, observed)), words(&plan(&case, observed).changes))
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
    fn a_boundary_counts_as_the_quarantine_where_nothing_more_can_be_attached() {
        let mut observed = observed();
        observed.profile.as_mut().unwrap().boundary = Some("arn:aws:iam::aws:policy/AWSDenyAll".to_owned());
        let is_attached =
            |observed: &Observed| check(IdentityKind::User, observed).1.iter().any(|it| it.starts_with("attach"));
        assert!(is_attached(&observed));
        observed.attached.as_mut().unwrap().extend((0..9).map(|n| format!("arn:aws:iam::aws:policy/P{n}")));
        assert!(!is_attached(&observed));
    }

    #[test]
    fn a_role_that_can_not_be_marked_is_denied_everything() {
        let mut observed = observed();
        let denies =
            |observed: &Observed| check(IdentityKind::Role, observed).1.iter().any(|it| it.starts_with("attach"));
        observed.profile.as_mut().unwrap().tags = (0..50).map(|n| (format!("t{n}"), String::new())).collect();
        assert!(denies(&observed));
        observed.profile.as_mut().unwrap().tags[0].0 = "SECURITYINCIDENT".to_owned();
        assert!(!denies(&observed));
        observed.profile.as_mut().unwrap().tags = Vec::new();
        assert!(!denies(&observed));
    }

    #[test]
    fn unreadable_keys_do_not_hold_up_the_deny() {
        let mut observed = observed();
        observed.keys = Err(Unreadable::not_read("access keys"));
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

    #[test]
    fn a_session_after_the_revocation_is_said_to_be_open() {
        let (mut finding, identity) = (finding(Threat::CompromisedCredential), identity(IdentityKind::Role));
        finding.principal =
            Principal::Role { name: Some(identity.name.clone()), id: None, session: Some("i-0abc\n".to_owned()) };
        let mut observed = observed();
        let mut suspects = |cutoff: i64| {
            observed.revoked_before = Ok(Some(DateTime::from_secs(cutoff)));
            plan(&case(&finding, &identity), &observed).suspects
        };
        assert_eq!(suspects(1_000), Vec::new());
        assert!(suspects(999)[0].words.contains("isolate the instance i-0abc?"));
    }
}
