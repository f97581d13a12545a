//! What became of those whom a flagged credential made, from the record of each.

use domain::child::{Child, Made};
use domain::history::Kept;
use domain::ids::{AccountId, Parse, UniqueId};
use domain::made::Became;
use domain::outcome::Failure;
use futures_util::future::join_all;

use super::{Ledger, string};

impl Ledger {
    /// What is known of one of them, with whose record says so: the user itself, or the key's owner where that is known.
    pub async fn became(
        &self,
        account: &AccountId,
        maker: &UniqueId,
        child: &Child,
    ) -> Result<(Became, Option<(UniqueId, Kept)>), Failure> {
        match &child.made {
            Made::User { id, .. } => {
                let kept = self.kept_by_id(account, id).await?;
                Ok((Became::of_user(child, maker, account, &kept), Some((id.clone(), kept))))
            }
            Made::Key { id, .. } => {
                let Some(owner) = self.id_of(account, &format!("key/{id}")).await? else {
                    return Ok((Became::Nothing, None));
                };
                let kept = self.kept_by_id(account, &owner).await?;
                Ok((Became::of_key(id, &kept), Some((owner, kept))))
            }
        }
    }

    /// The same of all whom somebody made.
    pub async fn all_became(&self, account: &AccountId, maker: &UniqueId, children: &[Child]) -> Vec<(Child, Became)> {
        let one = |it: Child| async move {
            let became = self.became(account, maker, &it).await;
            (it, became.map_or_else(|failure| Became::Unread(failure.to_string()), |it| it.0))
        };
        join_all(children.iter().cloned().map(one)).await
    }

    /// Whom a response to that principal, or a restore after it, led to.
    pub async fn id_of(&self, account: &AccountId, principal: &str) -> Result<Option<UniqueId>, Failure> {
        let item = self.item(&Self::lock_id(account, principal)).await?;
        let contained = string(&item, "record_id").and_then(|it| it.rsplit('#').next().map(str::to_owned));
        let id = contained.or_else(|| string(&item, "restored_id"));
        Ok(id.and_then(|it| UniqueId::parse(&it).ok()))
    }
}
