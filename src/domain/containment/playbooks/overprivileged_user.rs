//! A user holds administrator access it should not have: keys off, policies and groups gone.
//! What was there is in the report.

use super::{Case, Escalation, Plan, Playbook, REMEDIATED, deactivate_keys, is_user, left_in_place, tag};
use crate::change::Change;
use crate::finding::Threat;
use crate::identity::Observed;
use crate::text;

pub(super) const PLAYBOOK: Playbook = Playbook {
    id: Threat::OverprivilegedUser.playbook(),
    title: "Overprivileged user",
    threat: Threat::OverprivilegedUser,
    strike,
    plan,
    escalation: &[Escalation::SecurityHub, Escalation::Alert],
    has_adversary: false,
    detaches: true,
};

/// The keys go first: a key that still works could put back what is detached.
fn strike(case: &Case, observed: &Observed) -> Vec<Change> {
    if is_user(case) { deactivate_keys(case, observed) } else { Vec::new() }
}

fn plan(case: &Case, observed: &Observed) -> Plan {
    if !is_user(case) {
        return Plan::default();
    }
    let user = &case.identity.name;
    let deny_all = case.finding.partition.deny_all_policy();
    // Where it is not known which of them hold a Deny, none is taken away.
    let may_go = |it: &&String| observed.denying.as_ref().is_ok_and(|denying| !denying.contains(it));
    // The quarantine of another playbook stays where it is.
    let attached = observed.attached.iter().flatten().filter(|it| **it != deny_all);
    let policies = attached.filter(may_go).map(|it| Change::DetachPolicy { user: user.clone(), policy: it.clone() });
    let groups = observed.groups.iter().flatten().filter(may_go);
    let groups = groups.map(|it| Change::LeaveGroup { user: user.clone(), group: it.clone() });
    let mut notes = left_in_place(case, observed);
    let denying = observed.denying.iter().flatten().filter(|it| **it != deny_all);
    notes.extend(denying.map(|it| format!("left in place, because it holds a Deny: {}", text::line(it, 300))));
    let may_not_go = |it: &&String| match it.split_once(' ') {
        Some(("policy" | "group", name)) => observed.denying.iter().flatten().any(|denying| denying == name),
        _ => true,
    };
    let granting = observed.granting.iter().flatten().filter(may_not_go);
    notes.extend(granting.map(|it| format!("grants administrator access, and is left: {}", text::line(it, 300))));
    let changes = deactivate_keys(case, observed).into_iter().chain(policies).chain(groups);
    Plan { changes: changes.chain(tag(case, observed, REMEDIATED)).collect(), notes, ..Plan::default() }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{case, words};
    use super::*;
    use crate::fixtures::{finding, identity, observed};
    use crate::identity::{IdentityKind, Unreadable};

    #[test]
    fn keys_go_first_then_everything_attached() {
        let (finding, identity) = (finding(Threat::OverprivilegedUser), identity(IdentityKind::User));
        let case = case(&finding, &identity);
        let mut observed = observed();
        observed.attached.as_mut().unwrap().push("arn:aws:iam::aws:policy/AWSDenyAll".to_owned());
        assert_eq!(strike(&case, &observed).len(), 2);
        let plan = plan(&case, &observed);
        assert_eq!(
            words(&plan.changes)[2..],
            [
                "detach policy arn:aws:iam::aws:policy/AdministratorAccess from user alice",
                "remove user alice from group developers",
                "tag user alice with SecurityIncident, RemediationDate, FindingId",
            ]
        );
        assert_eq!(plan.notes[1..], ["inline policies are left in place: s3"]);
    }

    #[test]
    fn what_is_left_and_grants_administrator_access_is_named() {
        let (finding, identity) = (finding(Threat::OverprivilegedUser), identity(IdentityKind::User));
        let mut observed = observed();
        observed.denying = Ok(vec!["developers".to_owned()]);
        let admin = "policy arn:aws:iam::aws:policy/AdministratorAccess".to_owned();
        observed.granting = Ok(vec!["inline policy s3".to_owned(), admin, "group developers".to_owned()]);
        let notes = plan(&case(&finding, &identity), &observed).notes;
        let left: Vec<_> =
            notes.iter().filter_map(|it| it.strip_prefix("grants administrator access, and is left: ")).collect();
        assert_eq!(left, ["inline policy s3", "group developers"]);
    }

    #[test]
    fn what_holds_a_deny_is_left() {
        let (finding, identity) = (finding(Threat::OverprivilegedUser), identity(IdentityKind::User));
        let case = case(&finding, &identity);
        let mut observed = observed();
        observed.denying = Ok(vec!["developers".to_owned()]);
        let plan = plan(&case, &observed);
        assert!(!plan.changes.iter().any(|it| matches!(it, Change::LeaveGroup { .. })));
        assert!(plan.notes.contains(&"left in place, because it holds a Deny: developers".to_owned()));
        observed.denying = Err(Unreadable::not_read("policy documents"));
        assert!(super::plan(&case, &observed).changes.iter().all(Change::is_additive));
    }
}
