//! Attaching the guardrail, beside the fight, which waits for it at no time.
//!
//! INVARIANT: it is attached only after the ledger has that it is meant to be. `tests/test_guardrail_on_demand.py`
//! holds it.

use std::time::{Duration, Instant};

use clients::guardrail::{Attached, Guardrail as Client};
use clients::ledger::{Guarded, Ledger};
use domain::guardrail::{Answer, BINDS_NOT, Standing, answer, is_lost};
use domain::identity::Identity;
use domain::ids::AccountId;
use domain::outcome::Failure;
use domain::settings;
use tokio::sync::oneshot;

use super::strike::Engine;
use crate::invocation::now_millis;

/// Another response may be attaching it, or have been killed at that.
const TURN: Duration = Duration::from_millis(500);

impl Engine<'_> {
    /// Once it is wanted. A quiet response makes no call for it.
    pub(super) async fn attach_guardrail(&self, identity: &Identity, wanted: oneshot::Receiver<()>) {
        let Some(allowed) = self.guardrail.allowed else { return };
        if wanted.await.is_err() {
            return;
        }
        let record = Ledger::record_of(identity);
        let attached = self.attach(allowed, &record);
        let left = self.until.saturating_duration_since(Instant::now());
        // What was cut short is on the list of what is due, and the next invocation's.
        if let Ok(standing) = tokio::time::timeout(left, attached).await {
            tracing::warn!(guardrail = ?standing, "the guardrail was wanted");
            self.guardrail.is_now(standing);
        }
    }

    async fn attach(&self, allowed: &settings::Guardrail, record: &str) -> Standing {
        let Some(ledger) = self.ledger else {
            let why = "the ledger could not be reached, so that nobody would know to detach it".to_owned();
            return Standing::Failed { why };
        };
        let account = &self.finding.account;
        let session = self.home.assume_for_guardrail(self.guardrail.common, allowed, account);
        let (client, guarded) = tokio::join!(session, enter(ledger, account));
        let guarded = match guarded {
            Ok(it) => it,
            Err(failure) => return Standing::Failed { why: format!("keeping it in the ledger: {failure}") },
        };
        let (standing, item) = match client {
            Ok(client) => attach(&client, ledger, account, &guarded, record).await,
            Err(failure) => (failed(&failure), Item::AsItWas),
        };
        let kept = match item {
            Item::Ours => ledger.guardrail_is_attached(account, &allowed.policy, record).await,
            Item::AsItWas => ledger.leave_guardrail(account).await,
            Item::Nothing => ledger.forget_guardrail(account).await,
        };
        match kept {
            Ok(()) => standing,
            // Nobody would know that it is for this identity too.
            Err(failure) if item == Item::Ours && guarded.attached_at.is_some() => {
                Standing::Failed { why: format!("it is there, and that could not be kept in the ledger: {failure}") }
            }
            // What was meant is there, and on the list of what is due.
            Err(failure) => {
                tracing::warn!("what became of the guardrail could not be kept in the ledger: {failure}");
                standing
            }
        }
    }
}

/// What the ledger is to say of the account.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Item {
    Ours,
    AsItWas,
    Nothing,
}

async fn attach(
    client: &Client,
    ledger: &Ledger,
    account: &AccountId,
    guarded: &Guarded,
    record: &str,
) -> (Standing, Item) {
    match attach_unless_there(client, ledger, account, guarded, record).await {
        Ok(ended) => ended,
        // Nothing was meant yet.
        Err(failure) => (failed(&failure), Item::AsItWas),
    }
}

async fn attach_unless_there(
    client: &Client,
    ledger: &Ledger,
    account: &AccountId,
    guarded: &Guarded,
    record: &str,
) -> Result<(Standing, Item), Failure> {
    let policy = client.policy().to_owned();
    if client.is_management_account().await? {
        return Ok((Standing::Failed { why: BINDS_NOT.to_owned() }, Item::AsItWas));
    }
    let is_others = !guarded.is_ours();
    if client.is_attached().await? {
        if is_others {
            return Ok((Standing::WasThere { policy }, Item::AsItWas));
        }
        // Whoever was killed between attaching and saying so: it binds from now on, at the latest.
        let at = guarded.attached_at.unwrap_or_else(now_millis);
        return Ok((Standing::Attached { policy, at }, Item::Ours));
    }
    ledger.intend_guardrail(account, &policy, record).await?;
    Ok(match client.attach().await {
        // Somebody attached it between the look and now.
        Ok(Attached::Already) if is_others => (Standing::WasThere { policy }, Item::Nothing),
        Ok(Attached::Now | Attached::Already) => (Standing::Attached { policy, at: now_millis() }, Item::Ours),
        Err(failure) if is_others && !is_lost(&failure.code) => (failed(&failure), Item::Nothing),
        // It may be there: whoever looks at what is due sees.
        Err(failure) => (failed(&failure), Item::AsItWas),
    })
}

fn failed(failure: &Failure) -> Standing {
    let why = match answer(&failure.code) {
        Answer::Never(words) => format!("{words} ({failure})"),
        Answer::Again | Answer::IsThere | Answer::IsNotThere => {
            format!("{failure}, again and again: look whether it is attached, and attach it by hand where it is not")
        }
    };
    Standing::Failed { why }
}

/// The account's guardrail, once nobody else changes it.
async fn enter(ledger: &Ledger, account: &AccountId) -> Result<Guarded, Failure> {
    loop {
        if let Some(guarded) = ledger.enter_guardrail(account).await? {
            return Ok(guarded);
        }
        tokio::time::sleep(TURN.mul_f64(0.5 + fastrand::f64())).await;
    }
}
