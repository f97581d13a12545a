//! What a restore holds of the identity.

use std::time::SystemTime;

use clients::ledger::{Acquired, IdentityLease, Kind, Lease, Ledger};
use domain::containment::admission::Held;
use domain::identity::Identity;
use domain::ids::AccountId;
use domain::outcome::Failure;

/// What a restore holds: everything that a finding may call the identity by, then the identity itself. Whoever
/// comes by any name meanwhile waits for it.
#[derive(Default)]
pub(super) struct Leases {
    names: Vec<Lease>,
    pub(super) identity: Option<IdentityLease>,
}

impl Leases {
    /// All of them, or who has one. What a response that was killed left undone is taken up after the restore.
    pub(super) async fn acquire(
        &mut self,
        ledger: &Ledger,
        account: &AccountId,
        identity: &Identity,
        names: &[String],
        until: SystemTime,
    ) -> Result<Option<Held>, Failure> {
        let acquire = |name| ledger.acquire_to_restore(account, name, identity, until);
        let acquired = futures_util::future::join_all(names.iter().map(|it| acquire(it))).await;
        let mut busy = Ok(None);
        for acquired in acquired {
            match acquired {
                Ok(Acquired::Lease(name)) => self.names.push(name),
                Ok(Acquired::Busy { held, .. }) => busy = busy.map(|_| Some(held)),
                Err(failure) => busy = Err(failure),
            }
        }
        for name in &mut self.names {
            for left in name.left() {
                ledger.put_due(left, Kind::Unfinished, 0).await?;
            }
            name.left_is_listed();
        }
        busy
    }

    /// What could not be released: it runs out.
    pub(super) async fn release(&self, ledger: &Ledger, is_restored: bool) -> Vec<Failure> {
        let identity = async {
            match &self.identity {
                Some(lease) => ledger.let_go(lease).await,
                None => Ok(()),
            }
        };
        let release = |lease| async move {
            let lease: &Lease = lease;
            let is_finished = !lease.memory.is_resumed || is_restored;
            ledger.release(lease, None, None, is_finished).await
        };
        let names = futures_util::future::join_all(self.names.iter().map(release));
        let (identity, names) = tokio::join!(identity, names);
        std::iter::once(identity).chain(names).filter_map(Result::err).collect()
    }
}

/// Everything that a finding may call the identity by, as the leases name it.
pub(super) fn names(identity: &Identity, former: Option<&str>, keys: Vec<String>) -> Vec<String> {
    let kind = identity.kind.word();
    let mut names = vec![format!("{kind}/{}", identity.id)];
    for name in std::iter::once(identity.name.as_str()).chain(former) {
        names.extend([format!("{kind}/{name}"), format!("user-or-role/{name}")]);
    }
    names.extend(keys.into_iter().map(|key| format!("key/{key}")));
    names.sort();
    names.dedup();
    names
}
