//! What is done while people are asked, where the settings want that: the reversible deny of a playbook and its mark,
//! and nothing that a restore can't take back. A key that is deactivated stays so, and waits for the answer.

use super::{Case, Plan, Playbook, compromised_credential, unauthorized_user};
use crate::change::Change;
use crate::coverage::Kind;
use crate::finding::Threat;
use crate::identity::{IdentityKind, Observed};
use crate::outcome::{Done, Outcome};
use crate::question::Barrier;

static COMPROMISED_CREDENTIAL: Playbook = Playbook {
    strike: |case, observed| deny((compromised_credential::PLAYBOOK.strike)(case, observed)),
    plan: |case, observed| only_deny(compromised_credential::PLAYBOOK.plan, case, observed),
    ..compromised_credential::PLAYBOOK
};

static UNAUTHORIZED_USER: Playbook = Playbook {
    strike: |case, observed| deny((unauthorized_user::PLAYBOOK.strike)(case, observed)),
    plan: |case, observed| only_deny(unauthorized_user::PLAYBOOK.plan, case, observed),
    ..unauthorized_user::PLAYBOOK
};

/// The part of a threat's playbook that holds an identity back while somebody is asked, where there is one.
pub fn select(threat: Threat) -> Option<&'static Playbook> {
    match threat {
        Threat::CompromisedCredential => Some(&COMPROMISED_CREDENTIAL),
        Threat::UnauthorizedUser => Some(&UNAUTHORIZED_USER),
        Threat::OverprivilegedUser
        | Threat::RootAccessKey
        | Threat::UnusedUser
        | Threat::MissingMfa
        | Threat::PlantedKey => None,
    }
}

/// What holds an identity back once that was done.
pub fn barrier(kind: IdentityKind, done: &[Done<Change>]) -> Barrier {
    let is_denied = |it: &Done<Change>| {
        let is_deny = matches!(it.deed, Change::AttachDenyAllToRole { .. });
        is_deny && matches!(it.outcome, Outcome::Applied { .. } | Outcome::AlreadyDone { .. })
    };
    match kind {
        IdentityKind::Role if !done.iter().any(is_denied) => Barrier::Revocation,
        IdentityKind::User | IdentityKind::Role => Barrier::Deny,
    }
}

fn deny(changes: Vec<Change>) -> Vec<Change> {
    let is_deny = |it: &Change| Kind::of(it).is_none_or(Kind::is_reversible_deny);
    changes.into_iter().filter(is_deny).collect()
}

fn only_deny(plan: fn(&Case, &Observed) -> Plan, case: &Case, observed: &Observed) -> Plan {
    let Plan { changes, notes, suspects } = plan(case, observed);
    Plan { changes: deny(changes), notes, suspects }
}

#[cfg(test)]
mod tests {
    use super::super::tests::case;
    use super::*;
    use crate::fixtures::{finding, identity, observed};
    use crate::outcome::Deed;

    #[test]
    fn nothing_is_done_that_can_not_be_taken_back() {
        for threat in [Threat::CompromisedCredential, Threat::UnauthorizedUser] {
            let (finding, identity) = (finding(threat), identity(IdentityKind::User));
            let case = case(&finding, &identity);
            let playbook = select(threat).unwrap();
            let names = |it: Vec<Change>| it.iter().map(Change::name).collect::<Vec<_>>();
            assert_eq!(names((playbook.strike)(&case, &observed())), ["AttachDenyAll"]);
            assert_eq!(names((playbook.plan)(&case, &observed()).changes), ["AttachDenyAll", "Tag"]);
        }
    }
}
