//! What is written outside a fight, and by which name: IAM's writes go by it, and it can become another's while
//! something else is waited for.
//!
//! INVARIANT: nothing is written by a name of which no read has shown the unique ID within half a second, or since it
//! was asked for, and what takes away is read for again before each try; whoever may have got something all the same is
//! looked for. What IAM throttles of what adds, and a conflict for three seconds, is tried on without (SECURITY.md).
//! `tests/test_struck_by_name.py` holds it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use clients::iam::apply::apply;
use clients::iam::observe;
use domain::change::Change;
use domain::containment::progress::Progress;
use domain::identity::{Identity, Unreadable, Why};
use domain::outcome::{Failure, Log, Outcome};
use futures_util::StreamExt;
use futures_util::stream;

use super::budgets;
use super::names::is_passing;
use super::strike::Engine;
use crate::note::note;

/// IAM takes parallel writes to one user, within reason.
const PARALLEL_WRITES: usize = 8;

/// What takes away is tried so often where no answer comes, the name read for each.
const TRIES: usize = 3;
const AGAIN: Duration = Duration::from_millis(100);

/// What is done to an identity besides.
#[derive(Clone, Copy)]
struct How {
    /// A former boundary was kept, or there is none.
    may_replace: bool,
    /// It is the strike, whose name was read for it.
    is_strike: bool,
}

impl Engine<'_> {
    /// By the name that was read for it, and nothing else is waited for.
    pub(super) async fn strike(&self, identity: &Identity, strike: Vec<Change>, may_replace: bool, done: &Log<Change>) {
        self.apply_each(identity, strike, How { may_replace, is_strike: true }, done).await;
    }

    /// All but the strike. What is not done, because the name leads elsewhere by now, is in no log: a look finds that
    /// it is missing.
    pub(super) async fn apply_all(
        &self,
        identity: &Identity,
        changes: Vec<Change>,
        may_replace: bool,
        done: &Log<Change>,
    ) {
        self.apply_each(identity, changes, How { may_replace, is_strike: false }, done).await;
    }

    pub(super) async fn apply_taking(&self, identity: &Identity, taking: Vec<Change>, progress: &Progress) {
        if progress.is_snapshot_saved {
            return self.apply_all(identity, taking, true, &progress.changes).await;
        }
        for change in taking {
            note(
                &progress.changes,
                change,
                Outcome::Skipped { reason: "the snapshot is not saved in the ledger".to_owned() },
            );
        }
    }

    async fn apply_each(&self, identity: &Identity, changes: Vec<Change>, how: How, done: &Log<Change>) {
        let one = |change: Change| self.apply_one(identity, change, how, done);
        stream::iter(changes).map(one).buffer_unordered(PARALLEL_WRITES).collect::<()>().await;
    }

    /// `None`: the name leads to another by now or to nobody, and nothing was written.
    async fn try_on(&self, identity: &Identity, change: &Change, is_strike: bool) -> Option<Outcome> {
        if let Change::HoldConsole { policy, .. } = change
            && let Err(failure) = observe::check_hold(&self.member.read, policy).await
        {
            return Some(Outcome::Failed(failure));
        }
        // What adds can be taken back, and the attacker is not left alone for it where IAM throttles.
        let is_taken = !change.is_additive();
        let write = if is_taken { self.member.write.at_once() } else { self.member.write.clone() };
        let is_known = AtomicBool::new(is_strike);
        let once = || async {
            let mut tries = 1;
            loop {
                if !is_known.load(Ordering::Relaxed) && !self.leads_to(identity, change.contains()).await? {
                    return Ok(None);
                }
                is_known.store(!is_taken, Ordering::Relaxed);
                let outcome = apply(&write, change).await;
                self.by_name.written(identity, change, Some(&outcome));
                match outcome {
                    Outcome::Failed(failure) if is_taken && tries < TRIES && is_passing(&failure) => {
                        tokio::time::sleep(AGAIN).await;
                        tries += 1;
                    }
                    Outcome::Failed(failure) => return Err(failure),
                    outcome => return Ok(Some(outcome)),
                }
            }
        };
        let patience = &self.member.patience;
        let outcome = if change.contains() { patience.urgently(once).await } else { patience.with(once).await };
        outcome.unwrap_or_else(|failure| Some(Outcome::Failed(failure)))
    }

    /// Whether the name leads to the identity: one call, unless a read has shown it within half a second, or one that
    /// was begun meanwhile, however long that took.
    async fn leads_to(&self, identity: &Identity, is_urgent: bool) -> Result<bool, Failure> {
        let asked = budgets::now();
        let _asking = self.by_name.asking.lock().await;
        {
            let names = self.by_name.names();
            if names.is_sure(identity, budgets::now()) || names.is_seen_since(identity, asked) {
                return Ok(true);
            }
        }
        let read = || async {
            let began = budgets::now();
            observe::is_there(&self.member.read, identity).await.map(|()| began)
        };
        let patience = &self.member.patience;
        match if is_urgent { patience.urgently(read).await } else { patience.with(read).await } {
            Ok(began) => {
                self.by_name.seen(identity, began);
                Ok(true)
            }
            Err(unreadable) if unreadable.is_gone() => {
                tracing::warn!("nothing more is written by the name {}: {}", identity.name, unreadable.why);
                Ok(false)
            }
            Err(unreadable) => Err(unknown(unreadable)),
        }
    }

    /// Where no policy can be attached any more, the boundary is the other slot.
    async fn apply_one(&self, identity: &Identity, change: Change, how: How, done: &Log<Change>) {
        let Some(outcome) = self.try_on(identity, &change, how.is_strike).await else { return };
        let (stand_in, reason) = match (&change, &outcome) {
            (Change::AttachDenyAll { .. }, Outcome::Failed(failure)) if failure.is_quota() && !how.may_replace => {
                let reason = format!("{failure}; the permissions boundary is used once the user's own one is kept");
                return note(done, change, Outcome::Skipped { reason });
            }
            (Change::AttachDenyAll { user, policy }, Outcome::Failed(failure)) if failure.is_quota() => {
                let boundary = Change::SetDenyAllBoundary { user: user.clone(), policy: policy.clone() };
                let reason = format!("{failure}; tried instead: {boundary}");
                (boundary, reason)
            }
            (Change::RevokeSessions { role, .. }, Outcome::Failed(failure)) if failure.is_quota() => {
                let policy = self.finding.partition.deny_all_policy();
                let deny = Change::AttachDenyAllToRole { role: role.clone(), policy };
                let reason = format!("{failure}; tried instead: {deny}");
                (deny, reason)
            }
            _ => return note(done, change, outcome),
        };
        note(done, change, Outcome::Skipped { reason });
        // The answer may have taken its time.
        if let Some(outcome) = self.try_on(identity, &stand_in, false).await {
            note(done, stand_in, outcome);
        }
    }

    /// Where something was written since a read has last shown the ID, whoever bears the name now is looked at for it.
    pub(super) async fn tell_of_strays(&self, identity: &Identity, progress: &mut Progress) {
        self.by_name.lost(identity);
        if !self.by_name.strays(identity).is_empty() {
            self.tell_of_namesakes(identity, progress).await;
        }
    }

    /// What was written after the last look, which nobody looks at any more: one call, and none where there is no such.
    pub(super) async fn look_for_strays(&self, progress: &mut Progress) {
        let Some(identity) = progress.identity.clone() else { return };
        if self.by_name.strays(&identity).is_empty() {
            return;
        }
        match observe::is_there(&self.member.read.at_once(), &identity).await {
            Ok(()) => {}
            Err(unreadable) if unreadable.is_gone() => self.tell_of_strays(&identity, progress).await,
            Err(unreadable) => progress.notes.push(format!(
                "whether the name {} led to it to the last could not be read: {}",
                identity.name, unreadable.why
            )),
        }
    }

    pub(super) fn strays_are_told(&self, identity: &Identity) {
        self.by_name.names().strays_are_told(identity);
    }
}

fn unknown(it: Unreadable) -> Failure {
    match it.why {
        Why::Throttled(failure) | Why::Failed(failure) => failure,
        why => Failure { code: "NameUnread".to_owned(), message: why.to_string(), retryable: true },
    }
}
