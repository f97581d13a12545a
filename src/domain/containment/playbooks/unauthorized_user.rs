//! A user was created by someone who isn't trusted to: denied everything before its first use. The
//! creator is the actual suspect, and the alert says who that is.

use super::{
    Case, Escalation, Plan, Playbook, QUARANTINED, deactivate_keys, disarm, is_user, left_in_place, quarantine, tag,
};
use crate::change::Change;
use crate::finding::Threat;
use crate::identity::Observed;
use crate::text;

pub(super) const PLAYBOOK: Playbook = Playbook {
    id: Threat::UnauthorizedUser.playbook(),
    title: "Unauthorised user created",
    threat: Threat::UnauthorizedUser,
    strike,
    plan,
    escalation: &[Escalation::Alert],
    has_adversary: true,
    detaches: false,
};

fn strike(case: &Case, observed: &Observed) -> Vec<Change> {
    if !is_user(case) {
        return Vec::new();
    }
    quarantine(case, observed).into_iter().chain(deactivate_keys(case, observed)).collect()
}

fn plan(case: &Case, observed: &Observed) -> Plan {
    if !is_user(case) {
        return Plan::default();
    }
    let mut notes = left_in_place(case, observed);
    if let Some(creator) = &case.finding.creator {
        notes.push(format!("created by {}: check that principal, it is the actual suspect", text::line(creator, 400)));
    }
    let tag = tag(case, observed, QUARANTINED);
    Plan {
        changes: strike(case, observed).into_iter().chain(disarm(case, observed)).chain(tag).collect(),
        notes,
        ..Plan::default()
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::case;
    use super::*;
    use crate::fixtures::{finding, identity, observed};
    use crate::identity::IdentityKind;
    use crate::outcome::Deed;

    #[test]
    fn the_user_is_quarantined_and_the_creator_named() {
        let (mut finding, identity) = (finding(Threat::UnauthorizedUser), identity(IdentityKind::User));
        finding.creator = Some("arn:aws:iam::111122223333:role/Admin".to_owned());
        let case = case(&finding, &identity);
        let names: Vec<_> = strike(&case, &observed()).iter().map(Change::name).collect();
        assert_eq!(names, ["AttachDenyAll", "DeactivateAccessKey", "DeactivateAccessKey"]);
        assert!(plan(&case, &observed()).notes.iter().any(|it| it.contains("role/Admin")));
    }
}
