//! Whom a report is about: as IAM says, or as the ledger knew it where it was deleted or IAM can't be read.

use std::collections::BTreeSet;

use clients::iam::IamRead;
use clients::iam::resolve::{self, Claimed, Unresolved};
use clients::ledger::Ledger;
use domain::child::Child;
use domain::command::Subject;
use domain::history::Kept;
use domain::identity::{Identity, IdentityKind, Read, Unreadable};
use domain::ids::{AccountId, Parse, PrincipalName, UniqueId};
use domain::made::Became;
use domain::outcome::Failure;

pub(super) struct Whom {
    pub(super) identity: Identity,
    /// What responses left, where the ledger could be read.
    pub(super) kept: Read<Kept>,
    /// IAM does not know it any more.
    pub(super) is_gone: bool,
    /// A response is under way, or was taken back, of which what IAM showed may be only half.
    pub(super) is_amid: bool,
    /// What could not be read, in words.
    pub(super) unread: Vec<String>,
}

impl Whom {
    /// Once IAM was read, so that every response is known of which it showed anything: ours is never taken for its own.
    pub(super) async fn look_again(&mut self, ledger: &Ledger) {
        if self.is_gone {
            return;
        }
        let now = ledger.kept(&self.identity).await.map_err(|failure| Unreadable::failed("the ledger", failure));
        self.is_amid = now.as_ref().is_ok_and(|now| now.is_begun || self.is_one_over(now));
        let words = |it: &Unreadable| format!("the ledger, and with it what was contained ({})", it.why);
        self.unread.extend(now.as_ref().err().map(words));
        self.kept = now;
    }

    /// What became of those whom it made.
    pub(super) async fn made(&self, ledger: &Ledger, account: &AccountId) -> Vec<(Child, Became)> {
        let children = self.kept.as_ref().map_or(&[][..], |it| it.children.as_slice());
        ledger.all_became(account, &self.identity.id, children).await
    }

    /// One that was in force is not any more.
    fn is_one_over(&self, now: &Kept) -> bool {
        let is_over = |id: &str| now.responses.iter().all(|it| it.id != id);
        self.kept.iter().flat_map(|it| &it.responses).any(|it| is_over(&it.id))
    }

    /// Once AWS was asked about it, so that it was asked about what was read: why its answers are about something else.
    pub(super) async fn is_changed(&self, ledger: &Ledger) -> Option<&'static str> {
        if self.is_gone {
            return None;
        }
        let Ok(now) = ledger.kept(&self.identity).await else {
            return Some("whether a response to it began meanwhile could not be read");
        };
        let known: BTreeSet<_> = self.kept.iter().flat_map(|it| &it.responses).map(|it| &it.id).collect();
        let is_new = now.responses.iter().any(|it| !known.contains(&it.id));
        (now.is_begun || is_new || self.is_one_over(&now))
            .then_some("a response to it began or was taken back while AWS was asked: the next report tells")
    }
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
    Ok(Whom { identity, kept: Ok(kept), is_gone, is_amid: false, unread })
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
    Whom { identity, kept, is_gone: false, is_amid: false, unread: Vec::new() }
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
