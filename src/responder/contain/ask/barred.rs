//! Which approvers are whom a request is about. The function that takes their clicks reads no IAM, and compares no
//! more than what the request says.

use std::collections::BTreeSet;

use clients::accounts::Member;
use clients::iam::resolve;
use domain::decision::is_own;
use domain::identity::{Identity, IdentityKind};
use domain::ids::Arn;

use super::Attempt;

/// Whether an approver is whom a request is about.
enum Own {
    No,
    Yes,
    /// It could not be told, and why: as good as yes.
    Unknown(String),
}

impl Attempt<'_> {
    /// The approvers who don't decide about this identity, and what people should know of that.
    ///
    /// INVARIANT: an approver whose user was renamed does not decide about it. `tests/test_approvals_own.py` holds it.
    pub(super) async fn barred(&self, member: &Member, identity: &Identity) -> (BTreeSet<String>, Vec<String>) {
        let known = &self.settings.approvals.identities;
        let each = known.iter().map(|(user, own)| async move { (user, self.is_own(member, identity, own).await) });
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

    /// Only users are renamed: of another who bears the name that was written down, the unique ID tells.
    async fn is_own(&self, member: &Member, identity: &Identity, own: &str) -> Own {
        if is_own([own], &[&identity.arn, identity.id.as_str()]) {
            return Own::Yes;
        }
        let arn = Arn::parse(own).filter(|it| it.account == self.finding.account.as_str());
        let Some(("user", name)) = arn.and_then(|it| it.kind_and_name()) else { return Own::No };
        if identity.kind != IdentityKind::User {
            return Own::No;
        }
        match resolve::user_id(&member.read, name).await {
            Ok(Some(id)) if id == identity.id.as_str() => Own::Yes,
            Ok(Some(_)) => Own::No,
            Ok(None) => Own::Unknown(format!("there is no user `{name}` any more, and it may be this one")),
            Err(failure) => Own::Unknown(format!("whether it is user `{name}` could not be read: {failure}")),
        }
    }
}
