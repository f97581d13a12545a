//! A user's credentials lie unused: its access keys are deactivated, and nothing else is touched.

use super::{Case, Escalation, Plan, Playbook, REMEDIATED, deactivate_keys, is_user, tag};
use crate::change::Change;
use crate::finding::Threat;
use crate::identity::Observed;

pub(super) const PLAYBOOK: Playbook = Playbook {
    id: Threat::UnusedUser.playbook(),
    title: "Unused credentials",
    threat: Threat::UnusedUser,
    strike,
    plan,
    escalation: &[Escalation::SecurityHub, Escalation::Alert],
    has_adversary: false,
    detaches: false,
};

fn strike(case: &Case, observed: &Observed) -> Vec<Change> {
    if is_user(case) { deactivate_keys(case, observed) } else { Vec::new() }
}

fn plan(case: &Case, observed: &Observed) -> Plan {
    if !is_user(case) {
        return Plan::default();
    }
    let keys = deactivate_keys(case, observed).into_iter();
    Plan { changes: keys.chain(tag(case, observed, REMEDIATED)).collect(), ..Plan::default() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::case;
    use super::*;
    use crate::fixtures::{finding, identity, observed};
    use crate::identity::IdentityKind;
    use crate::outcome::Deed;

    #[test]
    fn only_keys_and_tags_are_touched() {
        let (finding, identity) = (finding(Threat::UnusedUser), identity(IdentityKind::User));
        let case = case(&finding, &identity);
        let names: Vec<_> = plan(&case, &observed()).changes.iter().map(Change::name).collect();
        assert_eq!(names, ["DeactivateAccessKey", "DeactivateAccessKey", "Tag"]);
    }
}
