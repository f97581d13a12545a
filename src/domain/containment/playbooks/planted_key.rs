//! Somebody who is contained made an existing user a key: the key is deactivated, and its owner left alone. Otherwise
//! whoever may make keys could quarantine anybody by making them one.
//!
//! INVARIANT: it plans the one key that the finding names, and nothing else. `tests/test_children.py` holds it.

use super::{Case, Escalation, Plan, Playbook, deactivate_keys, is_user};
use crate::change::Change;
use crate::finding::Threat;
use crate::identity::Observed;

pub(super) const PLAYBOOK: Playbook = Playbook {
    id: Threat::PlantedKey.playbook(),
    title: "Planted access key",
    threat: Threat::PlantedKey,
    strike,
    plan,
    escalation: &[Escalation::Alert],
    has_adversary: false,
    detaches: false,
};

fn strike(case: &Case, observed: &Observed) -> Vec<Change> {
    if !is_user(case) {
        return Vec::new();
    }
    let named = case.finding.access_key.as_ref();
    let is_named = |it: &Change| matches!(it, Change::DeactivateAccessKey { key, .. } if Some(key) == named);
    deactivate_keys(case, observed).into_iter().filter(is_named).collect()
}

const OWNER: &str = "its owner is a suspect and not denied: whoever has the key may have been given it. Look at what it was \
                     used for, delete it, and send `contain` for the user if that is wanted; nothing activates the key again";

fn plan(case: &Case, observed: &Observed) -> Plan {
    if !is_user(case) {
        return Plan::default();
    }
    Plan { changes: strike(case, observed), notes: vec![OWNER.to_owned()], ..Plan::default() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{case, words};
    use super::*;
    use crate::fixtures::{finding, identity, observed, parsed};
    use crate::identity::IdentityKind;

    #[test]
    fn the_one_key_is_deactivated_and_its_owner_left_alone() {
        let (mut finding, user) = (finding(Threat::PlantedKey), identity(IdentityKind::User));
        let changes = |finding: &_| plan(&case(finding, &user), &observed()).changes;
        assert_eq!(words(&changes(&finding)), ["deactivate access key AKIAIOSFODNN7EXAMPLE of user alice"]);
        finding.access_key = Some(parsed("AKIAOTHEROTHEROTHER0"));
        assert_eq!(changes(&finding), []);
        finding.access_key = None;
        assert_eq!(changes(&finding), []);
    }
}
