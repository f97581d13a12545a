//! What a fight writes again and again: all that holds the identity back at once, whether or not it was seen to be
//! there.

use aws_smithy_types::DateTime;

use super::playbooks::{Case, Playbook};
use crate::change::Change;
use crate::identity::Observed;

#[derive(Debug, Clone, Default, PartialEq)]
pub struct Barriers {
    /// Each of them stops everything.
    pub wholes: Vec<Change>,
    /// Each of them stops one key.
    pub parts: Vec<Change>,
}

/// `has_boundary`: the deny was put in as the boundary, where nothing more could be attached. `first_cutoff`: up to when
/// sessions were revoked first.
pub fn barriers(
    playbook: &Playbook,
    case: &Case,
    observed: &Observed,
    has_boundary: bool,
    first_cutoff: Option<DateTime>,
) -> Barriers {
    if !playbook.has_adversary {
        return Barriers::default();
    }
    let deny_all = case.finding.partition.deny_all_policy();
    let planned = (playbook.plan)(case, &undone(observed, &deny_all)).changes;
    let (mut wholes, mut parts) = (Vec::new(), Vec::new());
    for change in with_first_cutoff(planned, case, first_cutoff) {
        match &change {
            Change::AttachDenyAll { .. } | Change::AttachDenyAllToRole { .. } | Change::RevokeSessions { .. } => {
                wholes.push(change);
            }
            Change::DeactivateAccessKey { .. } => parts.push(change),
            _ => {}
        }
    }
    let name = &case.identity.name;
    let is_user = case.identity.kind == crate::identity::IdentityKind::User;
    let boundary = Change::SetDenyAllBoundary { user: name.clone(), policy: deny_all.clone() };
    if is_user && (has_boundary || observed.is_boundary(&deny_all)) {
        wholes.push(boundary);
    }
    // It stands in for a revocation for which there is no room.
    let deny = Change::AttachDenyAllToRole { role: name.clone(), policy: deny_all.clone() };
    if !is_user && observed.is_attached(&deny_all) && !wholes.contains(&deny) {
        wholes.retain(|_| !matches!(observed.revoked_before, Ok(None)));
        wholes.push(deny);
    }
    Barriers { wholes, parts }
}

/// As if somebody had undone everything.
fn undone(observed: &Observed, deny_all: &str) -> Observed {
    let mut undone = Observed { revoked_before: Ok(None), ..observed.clone() };
    if let Ok(attached) = &mut undone.attached {
        attached.retain(|it| it != deny_all);
    }
    if let Ok(profile) = &mut undone.profile {
        profile.boundary.take_if(|it| it == deny_all);
    }
    for key in undone.keys.iter_mut().flatten() {
        key.active = true;
    }
    undone
}

/// A revocation that is put back is the first one, byte for byte: a later one would cut off who came by a session
/// rightly meanwhile. Unless it does not reach what the finding tells.
pub fn with_first_cutoff(changes: Vec<Change>, case: &Case, first: Option<DateTime>) -> Vec<Change> {
    let seen = case.finding.occurred_at.map(|it| it.secs());
    let Some(first) = first.filter(|first| seen.is_none_or(|it| it <= first.secs())) else { return changes };
    let back = |change| match change {
        Change::RevokeSessions { role, .. } => Change::RevokeSessions { role, issued_before: first },
        other => other,
    };
    changes.into_iter().map(back).collect()
}

#[cfg(test)]
mod tests {
    use super::super::playbooks::select;
    use super::*;
    use crate::finding::Threat;
    use crate::fixtures::{finding, identity, observed};
    use crate::identity::IdentityKind;
    use crate::settings::Options;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

    fn words(kind: IdentityKind, threat: Threat, observed: &Observed, has_boundary: bool) -> [Vec<String>; 2] {
        let (finding, identity) = (finding(threat), identity(kind));
        let options = Options::default();
        let case = Case { finding: &finding, identity: &identity, now: DateTime::from_secs(2_000), options };
        let first = Some(DateTime::from_secs(1_500));
        let it = barriers(select(threat).unwrap(), &case, observed, has_boundary, first);
        [it.wholes, it.parts].map(|it| it.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_users_are_the_deny_and_every_key_whether_or_not_they_are_there() {
        let mut contained = observed();
        contained.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        contained.keys.as_mut().unwrap().iter_mut().for_each(|it| it.active = false);
        for observed in [observed(), contained] {
            let [wholes, parts] = words(IdentityKind::User, Threat::CompromisedCredential, &observed, false);
            assert_eq!(wholes, [format!("attach {DENY_ALL} to user alice")]);
            assert_eq!(parts.len(), 2, "{parts:?}");
        }
    }

    #[test]
    fn the_boundary_is_one_only_where_it_was_used() {
        let mut observed = observed();
        let boundary = format!("set {DENY_ALL} as the permissions boundary of user alice");
        let wholes = |it: &Observed, had| words(IdentityKind::User, Threat::CompromisedCredential, it, had)[0].clone();
        assert!(!wholes(&observed, false).contains(&boundary));
        assert!(wholes(&observed, true).contains(&boundary), "somebody has just deleted it");
        observed.profile.as_mut().unwrap().boundary = Some(DENY_ALL.to_owned());
        assert!(wholes(&observed, false).contains(&boundary));
    }

    #[test]
    fn a_role_is_revoked_up_to_the_first_moment_again() {
        let mut observed = observed();
        let role = |it: &Observed| words(IdentityKind::Role, Threat::CompromisedCredential, it, false);
        let revoked = "revoke the sessions of role app issued before 1970-01-01T00:25:00Z";
        observed.revoked_before = Ok(Some(DateTime::from_secs(1_500)));
        assert_eq!(role(&observed), [vec![revoked.to_owned()], vec![]]);
        observed.revoked_before = Ok(None);
        assert_eq!(role(&observed)[0], [revoked]);
        observed.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        assert_eq!(role(&observed)[0], [format!("attach {DENY_ALL} to role app")], "it stands in for the revocation");
    }

    #[test]
    fn a_cut_off_that_the_behaviour_came_after_is_not_the_one() {
        let (mut finding, identity) = (finding(Threat::CompromisedCredential), identity(IdentityKind::Role));
        finding.occurred_at = Some(DateTime::from_secs(1_600));
        let case = Case {
            finding: &finding,
            identity: &identity,
            now: DateTime::from_secs(2_000),
            options: Options::default(),
        };
        let revoke =
            |at| Change::RevokeSessions { role: identity.name.clone(), issued_before: DateTime::from_secs(at) };
        let with = |first| with_first_cutoff(vec![revoke(2_030)], &case, Some(DateTime::from_secs(first)));
        assert_eq!(with(1_599), [revoke(2_030)]);
        assert_eq!(with(1_600), [revoke(1_600)]);
    }

    #[test]
    fn nobody_fights_who_only_forgot_something() {
        for threat in [Threat::UnusedUser, Threat::OverprivilegedUser, Threat::MissingMfa] {
            assert_eq!(words(IdentityKind::User, threat, &observed(), true), [Vec::<String>::new(), Vec::new()]);
        }
    }
}
