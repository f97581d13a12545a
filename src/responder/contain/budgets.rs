//! What all fights of an account may write together, whichever events they came with: one process, one budget for
//! each account. Those of other processes are known by nothing but IAM's throttle.

use std::collections::HashMap;
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use domain::containment::contest::Budget;
use domain::containment::watch::Moment;
use domain::ids::AccountId;

static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
static BUDGETS: LazyLock<Mutex<HashMap<AccountId, Budget>>> = LazyLock::new(Mutex::default);

/// As what decides counts it: since this process had its first.
pub(super) fn now() -> Moment {
    BEGAN.elapsed()
}

pub(super) fn of<T>(account: &AccountId, with: impl FnOnce(&mut Budget) -> T) -> T {
    let mut budgets = BUDGETS.lock().unwrap_or_else(PoisonError::into_inner);
    with(budgets.entry(account.clone()).or_default())
}

/// A strike in the account, until it is dropped: fights leave IAM to it.
pub(super) struct Strike {
    account: AccountId,
    began: Moment,
}

impl Strike {
    pub(super) fn begin(account: &AccountId) -> Self {
        let began = now();
        of(account, |it| it.strike_begins(began));
        Self { account: account.clone(), began }
    }
}

impl Drop for Strike {
    fn drop(&mut self) {
        of(&self.account, |it| it.strike_ends(self.began));
    }
}
