//! A user can sign in to the console with a password alone: its access keys are deactivated, unless MFA was turned
//! on since somebody said so. Or, by a setting, the console is held back, and the keys work on.
//!
//! Whether it still can is read when the playbook acts: a finding is up to a day old. Who has no password is a program
//! as far as the console goes, and is left alone whatever the finding says.

use super::{Case, Escalation, Plan, Playbook, REMEDIATED, deactivate_keys, is_user, tag};
use crate::change::{Change, console_hold};
use crate::finding::Threat;
use crate::identity::Observed;

pub(super) const PLAYBOOK: Playbook = Playbook {
    id: Threat::MissingMfa.playbook(),
    title: "Console user without MFA",
    threat: Threat::MissingMfa,
    strike,
    plan,
    escalation: &[Escalation::SecurityHub, Escalation::Alert],
    has_adversary: false,
    detaches: false,
};

/// Nobody is an attacker here: nothing is done before the password and the MFA devices were read.
fn strike(_: &Case, _: &Observed) -> Vec<Change> {
    Vec::new()
}

const CONSOLE: &str = "the console stays open: the password still signs in without MFA. Only the user, or who resets \
                       the password, closes it";

const KEYS: &str = "the access keys work on: what the policy denies is done in the console without MFA, but for setting MFA \
                    up, which whoever has the password can do";

const EDITED: &str = "is attached, and somebody edited it: it does more than deny, so that it holds nothing back and may give \
                      rights. Update the StackSet's instances, or set its former version as the default one; then send \
                      the finding again";

/// Unless it is there, by what it says: whoever administers the account may edit it.
fn hold_console(case: &Case, observed: &Observed) -> (Vec<Change>, String) {
    let (Some(policy), Ok(attached)) = (console_hold(&case.identity.arn), &observed.attached) else {
        return (Vec::new(), KEYS.to_owned());
    };
    let is_edited = attached.contains(&policy) && observed.is_held == Ok(false);
    let note = if is_edited { format!("the policy {policy} {EDITED}") } else { KEYS.to_owned() };
    let hold =
        (observed.is_held == Ok(false)).then(|| Change::HoldConsole { user: case.identity.name.clone(), policy });
    (hold.into_iter().collect(), note)
}

fn plan(case: &Case, observed: &Observed) -> Plan {
    if !is_user(case) {
        return Plan::default();
    }
    let noted = |note: &str| Plan { notes: vec![note.to_owned()], ..Plan::default() };
    match (&observed.login, observed.mfa_devices.as_deref()) {
        // What could not be read is said by the verdict.
        (Err(_), _) | (_, Err(_)) => Plan::default(),
        (Ok(false), _) => noted("it has no console password, so that MFA is nothing it could use: nothing is done"),
        (Ok(true), Ok([_, ..])) => noted("MFA was turned on since: nothing is done"),
        (Ok(true), Ok([])) => {
            let (mut changes, note) = match case.options.holds_console {
                true => hold_console(case, observed),
                false => (deactivate_keys(case, observed), CONSOLE.to_owned()),
            };
            if !changes.is_empty() {
                changes.extend(tag(case, observed, REMEDIATED));
            }
            Plan { changes, ..noted(&note) }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::case;
    use super::*;
    use crate::fixtures::{finding, identity, observed};
    use crate::identity::{IdentityKind, Unreadable};
    use crate::outcome::Deed;

    fn planned(change: impl Fn(&mut Observed)) -> Plan {
        let (finding, identity) = (finding(Threat::MissingMfa), identity(IdentityKind::User));
        let mut observed = observed();
        observed.login = Ok(true);
        change(&mut observed);
        let case = case(&finding, &identity);
        assert_eq!(strike(&case, &observed), []);
        plan(&case, &observed)
    }

    #[test]
    fn who_can_sign_in_without_mfa_loses_the_keys_and_nothing_else() {
        let plan = planned(|_| {});
        let names: Vec<_> = plan.changes.iter().map(Change::name).collect();
        assert_eq!(names, ["DeactivateAccessKey", "DeactivateAccessKey", "Tag"]);
        assert!(plan.notes[0].contains("the console stays open"));
    }

    #[test]
    fn where_the_console_is_held_back_the_keys_work_on() {
        let (finding, identity) = (finding(Threat::MissingMfa), identity(IdentityKind::User));
        let options = crate::settings::Options { holds_console: true, ..Default::default() };
        let case = Case { options, ..case(&finding, &identity) };
        let mut observed = Observed { login: Ok(true), ..observed() };
        let planned = plan(&case, &observed);
        let words: Vec<_> = planned.changes.iter().map(ToString::to_string).collect();
        assert_eq!(words[0], "attach arn:aws:iam::111122223333:policy/SecurityRequireMfa to user alice");
        assert_eq!(planned.changes.len(), 2, "{words:?}");
        assert!(planned.notes[0].contains("the access keys work on"));
        observed.attached = Ok(vec!["arn:aws:iam::111122223333:policy/SecurityRequireMfa".to_owned()]);
        let edited = plan(&case, &observed);
        assert_eq!(edited.changes, planned.changes);
        assert!(edited.notes[0].contains("somebody edited it") && !edited.notes[0].contains("keys work on"));
        observed.is_held = Ok(true);
        assert_eq!(plan(&case, &observed).changes, []);
        observed.is_held = Err(Unreadable::not_read("policies"));
        assert_eq!(plan(&case, &observed).changes, []);
        observed.attached = Err(Unreadable::not_read("policies"));
        assert_eq!(plan(&case, &observed).changes, []);
    }

    #[test]
    fn who_turned_it_on_since_loses_nothing() {
        let plan = planned(|it| it.mfa_devices = Ok(vec!["arn:aws:iam::111122223333:u2f/user/alice/x".to_owned()]));
        assert_eq!((plan.changes, plan.notes), (vec![], vec!["MFA was turned on since: nothing is done".to_owned()]));
    }

    #[test]
    fn a_program_is_left_alone() {
        let plan = planned(|it| it.login = Ok(false));
        assert!(plan.changes.is_empty() && plan.notes[0].contains("no console password"));
    }

    #[test]
    fn nothing_is_done_for_what_could_not_be_read() {
        for unread in [
            planned(|it| it.login = Err(Unreadable::not_read("console password"))),
            planned(|it| it.mfa_devices = Err(Unreadable::not_read("MFA devices"))),
        ] {
            assert_eq!(unread, Plan::default());
        }
    }

    #[test]
    fn who_has_no_active_key_gets_no_mark() {
        let plan = planned(|it| it.keys.as_mut().unwrap().iter_mut().for_each(|key| key.active = false));
        assert!(plan.changes.is_empty() && plan.notes[0].contains("the console stays open"));
    }
}
