//! Which approvers are whom something is about: nobody decides about themselves, or says of an alert about themselves
//! that it was seen. The function that takes clicks reads no IAM, and compares no more than what it is given here.
//!
//! INVARIANT: an approver whose user was renamed is still whom it is about. `tests/test_approvals_own.py` and
//! `tests/test_acknowledged.py` hold it.

use std::collections::{BTreeMap, BTreeSet};

use clients::accounts::{Home, Member};
use clients::iam::resolve;
use domain::containment::escalation::{self, user_of};
use domain::decision::is_own;
use domain::finding::{Finding, Principal};
use domain::identity::{Identity, IdentityKind};
use domain::session_policy::Scope;
use domain::settings::Responder;

/// Whether an approver is whom it is about.
enum Own {
    No,
    Yes,
    /// It could not be told, and why: as good as yes.
    Unknown(String),
}

/// The approvers who don't decide about an identity of the account, and what people should know of that. `known`: what
/// approvers are in AWS.
pub(crate) async fn of_identity(
    known: &BTreeMap<String, String>,
    finding: &Finding,
    member: &Member,
    identity: &Identity,
) -> (BTreeSet<String>, Vec<String>) {
    let each = known.iter().map(|(user, own)| async move {
        if is_own([own.as_str()], &[&identity.arn, identity.id.as_str()]) {
            return (user, Own::Yes);
        }
        // Only users are renamed: of another who bears the name that was written down, the unique ID tells.
        match user_of(own, finding).filter(|_| identity.kind == IdentityKind::User) {
            Some(name) => (user, of_user(member, name, identity.id.as_str()).await),
            None => (user, Own::No),
        }
    });
    let (mut barred, mut unclear) = (BTreeSet::new(), Vec::new());
    for (user, own) in futures_util::future::join_all(each).await {
        match own {
            Own::No => continue,
            Own::Yes => unclear.push(format!("{user} does not decide about it: it is their own identity")),
            Own::Unknown(why) => unclear.push(format!("{user} does not decide about it: {why}")),
        }
        barred.insert(user.clone());
    }
    (barred, unclear)
}

/// The approvers who don't acknowledge an alert. `member`: the session by which it was looked at, where there was one;
/// another is only opened where an approver could be a user that was renamed. `is_hurried`: there is no time for that.
pub(crate) async fn of_alert(
    (home, settings): (&Home, &Responder),
    finding: &Finding,
    identity: Option<&Identity>,
    member: Option<&Member>,
    is_hurried: bool,
) -> BTreeSet<String> {
    let known = &settings.approvals.identities;
    let mut barred = escalation::barred(known, finding, identity);
    let target = identity.map(|it| it.id.as_str()).or(finding.principal.unique_id().map(|it| it.as_str()));
    let Some(target) = target else { return barred };
    let others = known.iter().filter(|(user, _)| !barred.contains(*user));
    let users = others.filter_map(|(user, own)| Some((user.clone(), user_of(own, finding)?)));
    let users: Vec<_> = users.collect();
    if users.is_empty() || !may_be_a_user(finding, identity) {
        return barred;
    }
    let opened = match member {
        None if !is_hurried => {
            home.assume(&settings.common, &finding.account, &finding.partition, &Scope::Observe).await.ok()
        }
        _ => None,
    };
    let member = member.filter(|_| !is_hurried).or(opened.as_ref());
    let each = users.into_iter().map(|(user, name)| async move {
        let own = match member {
            Some(member) => of_user(member, name, target).await,
            None => Own::Unknown("the account could not be looked into".to_owned()),
        };
        (user, own)
    });
    let own = futures_util::future::join_all(each).await;
    barred.extend(own.into_iter().filter(|(_, own)| !matches!(own, Own::No)).map(|(user, _)| user));
    barred
}

fn may_be_a_user(finding: &Finding, identity: Option<&Identity>) -> bool {
    match (identity, &finding.principal) {
        (Some(identity), _) => identity.kind == IdentityKind::User,
        (None, principal) => matches!(principal, Principal::User { .. }),
    }
}

/// Whether the user of that name, by now, is the target. Where nobody bears it any more, it may be.
async fn of_user(member: &Member, name: &str, target: &str) -> Own {
    match resolve::user_id(&member.read, name).await {
        Ok(Some(id)) if id.as_str() == target => Own::Yes,
        Ok(Some(_)) => Own::No,
        Ok(None) => Own::Unknown(format!("there is no user `{name}` any more, and it may be this one")),
        Err(failure) => Own::Unknown(format!("whether it is user `{name}` could not be read: {failure}")),
    }
}
