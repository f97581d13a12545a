//! Whom a report is about: as IAM says, or as the ledger knew it where it was deleted or IAM can't be read.

use clients::iam::IamRead;
use clients::iam::resolve::{self, Claimed, Unresolved};
use clients::ledger::Ledger;
use domain::command::Subject;
use domain::history::Kept;
use domain::identity::{Identity, IdentityKind, Read, Unreadable};
use domain::ids::{Parse, PrincipalName, UniqueId};
use domain::outcome::Failure;

pub(super) struct Whom {
    pub(super) identity: Identity,
    /// What responses left, where the ledger could be read.
    pub(super) kept: Read<Kept>,
    /// IAM does not know it any more.
    pub(super) is_gone: bool,
    /// What could not be read, in words.
    pub(super) unread: Vec<String>,
}

/// `iam`: of the identity's account, or why it can't be entered.
pub(super) async fn whom(iam: Result<&IamRead, Failure>, ledger: &Ledger, subject: &Subject) -> Result<Whom, Failure> {
    let failure = match iam {
        Ok(iam) => match found(iam, subject).await {
            Ok(identity) => return Ok(there(ledger, identity).await),
            Err(Unresolved::Refused(reason)) => {
                Failure { code: "NotFound".to_owned(), message: reason, retryable: false }
            }
            Err(Unresolved::Failed(failure)) => failure,
        },
        Err(failure) => failure,
    };
    let Some((identity, kept)) = remembered(ledger, subject).await? else { return Err(failure) };
    let is_gone = failure.code == "NotFound";
    let unread = if is_gone { Vec::new() } else { vec![format!("IAM in account {} ({failure})", subject.account)] };
    Ok(Whom { identity, kept: Ok(kept), is_gone, unread })
}

/// INVARIANT: whoever bears the name now is not taken for the one that is meant. `tests/test_report.py` holds it.
async fn found(iam: &IamRead, subject: &Subject) -> Result<Identity, Unresolved> {
    let claimed =
        Claimed { account: &subject.account, principal: &subject.principal, access_key: None, visible_by: None };
    let identity = resolve::resolve(iam, claimed).await?.identity;
    match subject.principal.unique_id().filter(|it| **it != identity.id) {
        Some(id) => Err(Unresolved::Refused(format!("there is no {id} in account {} any more", subject.account))),
        None => Ok(identity),
    }
}

async fn there(ledger: &Ledger, identity: Identity) -> Whom {
    let kept = ledger.kept(&identity).await.map_err(|failure| Unreadable::failed("the ledger", failure));
    let unread = kept.as_ref().err().map(|it| format!("the ledger, and with it what was contained ({})", it.why));
    Whom { identity, kept, is_gone: false, unread: unread.into_iter().collect() }
}

/// Whom the record of a response is about.
async fn remembered(ledger: &Ledger, subject: &Subject) -> Result<Option<(Identity, Kept)>, Failure> {
    let record = match subject.principal.unique_id() {
        Some(id) => Some(Ledger::record_id(&subject.account, id.as_str())),
        None => ledger.record_of_name(&subject.account, &subject.principal.target_key()).await?,
    };
    let Some(record) = record else { return Ok(None) };
    let kept = ledger.kept_of(&record).await?;
    let id = record.rsplit('#').next().and_then(|it| UniqueId::parse(it).ok());
    let name = kept.principal.as_deref().and_then(|it| PrincipalName::parse(it).ok());
    Ok(match (id, name, kept.arn.clone()) {
        (Some(id), Some(name), Some(arn)) => {
            let kind = if id.is_user() { IdentityKind::User } else { IdentityKind::Role };
            Some((Identity { kind, name, id, arn, path: "/".to_owned(), created: None }, kept))
        }
        _ => None,
    })
}
