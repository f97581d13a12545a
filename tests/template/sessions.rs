//! Each session policy against the calls that it is for, and all of a role's against the role, both ways.

use std::collections::BTreeSet;

use clients::sessions;
use domain::change::Change;
use domain::containment::guard::DRILL_PATH;
use domain::identity::{Identity, IdentityKind};
use domain::ids::{AccountId, Parse, Partition, PrincipalName, UniqueId};
use domain::notice::Notice;
use domain::session_policy::{self, Scope};
use serde_json::Value;

use crate::calls::{changes, gives_back, is_home, notices};
use crate::{TEMPLATES, allowed, many, resource};

/// The actions of a session policy, each of which fits into what STS takes.
fn of_session(policy: &str) -> BTreeSet<String> {
    assert!(policy.len() <= session_policy::MOST, "{} characters", policy.len());
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    statements.iter().flat_map(|it| many(&it["Action"])).map(|it| it.as_str().unwrap().to_owned()).collect()
}

fn of_scope(scope: &Scope) -> BTreeSet<String> {
    of_session(&scope.policy(&sessions::reads(scope), &account(), &Partition::parse("aws-us-gov").unwrap()))
}

fn account() -> AccountId {
    AccountId::parse("111122223333").unwrap()
}

fn longest_name() -> PrincipalName {
    PrincipalName::parse(&"n".repeat(64)).unwrap()
}

fn owned(actions: impl IntoIterator<Item = &'static str>) -> BTreeSet<String> {
    actions.into_iter().map(str::to_owned).collect()
}

fn is_about_a_role(change: &Change) -> bool {
    matches!(
        change,
        Change::RevokeSessions { .. }
            | Change::AttachDenyAllToRole { .. }
            | Change::Tag { kind: IdentityKind::Role, .. }
            | Change::LiftRevocation { .. }
            | Change::LiftDenyAll { kind: IdentityKind::Role, .. }
            | Change::Untag { kind: IdentityKind::Role, .. }
    )
}

/// Each scope against the changes of its kind, both ways.
#[test]
fn a_session_may_do_what_it_is_for_and_nothing_else() {
    let changes = changes();
    let contains = |it: &&Change| !gives_back(it);
    let writes = |is_for: fn(&Change) -> bool| {
        owned(changes.iter().filter(contains).filter(|it| is_for(it)).map(Change::permission))
    };
    let (users, role) = (Scope::Users, Scope::Role(longest_name()));
    for (scope, writes) in [
        (&Scope::Look, BTreeSet::new()),
        (&Scope::Observe, BTreeSet::new()),
        (&Scope::Sweep, BTreeSet::new()),
        (&users, writes(|it| !is_about_a_role(it))),
        (&role, writes(is_about_a_role)),
    ] {
        let reads = owned(sessions::reads(scope));
        let is_read =
            |it: &String| ["iam:Get", "iam:List", "iam:GenerateCredentialReport"].iter().any(|r| it.starts_with(r));
        assert!(reads.iter().all(is_read), "{reads:?}");
        assert_eq!(of_scope(scope), reads.union(&writes).cloned().collect(), "{scope:?}");
    }
}

/// What the runbook of `member-role.yaml` calls, which runs in the session that starts it, and starting it.
#[test]
fn the_session_of_the_rotation_may_do_what_the_runbook_does_and_nothing_else() {
    let runbook = serde_json::to_string(&TEMPLATES["member"]["Resources"]["RotationRunbook"]).unwrap();
    let calls =
        runbook.match_indices(r#""Api":""#).filter_map(|(at, found)| runbook[at + found.len()..].split('"').next());
    let needed: BTreeSet<_> = calls.map(|it| format!("iam:{it}")).collect();
    let notices = notices();
    let start = owned(notices.iter().filter(|it| !is_home(it)).map(Notice::permission));
    assert_eq!(rotation(), needed.union(&start).cloned().collect());
}

fn rotation() -> BTreeSet<String> {
    let (name, id) = (longest_name(), UniqueId::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap());
    let arn = format!("arn:aws:iam::{}:user/{name}", account());
    let identity = Identity { kind: IdentityKind::User, name, id, arn, path: "/".to_owned(), created: None };
    of_session(&session_policy::rotation("Runbook", &identity, &account(), &Partition::parse("aws").unwrap()))
}

/// Who made what is read in a session that reads nothing else.
fn look_up() -> BTreeSet<String> {
    of_session(&session_policy::investigation(&[clients::cloudtrail::PERMISSION]))
}

/// Together they need the whole role.
#[test]
fn the_sessions_of_a_role_need_all_that_it_may_do_and_nothing_else() {
    let [users, role] = [Scope::Users, Scope::Role(longest_name())].map(|it| of_scope(&it));
    let both: BTreeSet<_> = users.union(&role).cloned().chain(rotation()).chain(look_up()).collect();
    assert_eq!(owned(allowed(resource("member", "SecurityRemediationRole"))), both);
    assert!(of_scope(&Scope::Observe).is_subset(&both) && of_scope(&Scope::Look).is_subset(&both));

    let mut restore = of_scope(&Scope::Look);
    for kind in [IdentityKind::User, IdentityKind::Role] {
        let (name, id) = (longest_name(), UniqueId::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap());
        let arn = format!("arn:aws:iam::{}:{}/{name}", account(), kind.word());
        let identity = Identity { kind, name, id, arn, path: "/".to_owned(), created: None };
        let changes = changes();
        let is_mine = |it: &&Change| is_about_a_role(it) == (kind == IdentityKind::Role);
        let restores = changes.iter().filter(|it| gives_back(it) || matches!(it, Change::Tag { .. })).filter(is_mine);
        for piece in session_policy::pieces(restores, &identity) {
            restore.extend(of_session(&piece.policy));
        }
    }
    assert_eq!(owned(allowed(resource("member", "SecurityRestoreRole"))), restore);

    assert_eq!(owned(allowed(resource("member", "SecuritySweepRole"))), of_scope(&Scope::Sweep));

    let guardrail = session_policy::guardrail("p-guardrail0", &account(), &Partition::parse("aws").unwrap());
    assert_eq!(owned(allowed(resource("guardrail", "SecurityGuardrailRole"))), of_session(&guardrail));

    let drill = session_policy::drill(DRILL_PATH, "drill-1", "drill-", &account(), &Partition::parse("aws").unwrap());
    assert_eq!(owned(allowed(resource("member", "SecurityDrillRole"))), of_session(&drill));
}
