//! The order of a restore: what gives back, then what frees, then the marks; and a full read before and after
//! what frees, because somebody may have waited for just that moment.

use clients::accounts::Member;
use clients::ledger::IdentityLease;
use domain::change::Change;
use domain::identity::Identity;
use domain::outcome::Outcome;
use domain::restoration::plan::Undoing;
use domain::restoration::report::{Progress, Verdict};
use domain::restoration::taken::Taken;
use futures_util::StreamExt;
use futures_util::stream;

use super::Attempt;
use super::writers::Writers;
use crate::note::note;

/// IAM takes parallel writes to one user, within reason.
const PARALLEL_WRITES: usize = 8;

const CHANGED: &str = "it changed while it was being restored, and the deny stays: look at each difference, then send \
                       the command with `force`";
const CHANGED_AND_FREE: &str = "it changed while the deny was being lifted, and it is free now: look at each difference \
                                at once, and send `contain` unless all of them are yours";

/// What a restore works on, and with.
pub(super) struct Work<'a> {
    pub(super) member: &'a Member,
    pub(super) writers: &'a Writers,
    pub(super) identity: &'a Identity,
    /// `None`: what an earlier restore left.
    pub(super) taken: Option<&'a Taken>,
    pub(super) lease: &'a IdentityLease,
}

impl Attempt<'_> {
    /// What is left to do, and `None` when something changed while the restore was at it: somebody waited for it,
    /// and nobody has seen that difference yet.
    pub(super) async fn look_again(&self, work: &Work<'_>, progress: &mut Progress) -> Option<Undoing> {
        let Work { member, identity, taken, .. } = work;
        let Some(taken) = taken else { return self.look_at_leftover(work, progress).await };
        let done = progress.changes.applied().iter().map(|it| it.deed.words_of_record()).collect();
        let left = self.plan(member, identity, &Taken { done, ..(*taken).clone() }, progress).await?;
        let new: Vec<_> = left.drift.iter().filter(|it| !progress.drift.contains(it)).cloned().collect();
        if new.is_empty() {
            return Some(left);
        }
        let is_lifted = progress.changes.applied().iter().any(|it| it.deed.frees());
        progress.failed.extend(new.iter().cloned());
        progress.drift.extend(new);
        progress.conclude(Verdict::NotRestored, if is_lifted { CHANGED_AND_FREE } else { CHANGED });
        None
    }

    /// Each part only when the one before succeeded, and nothing changed meanwhile: whoever is only half restored
    /// stays denied, and keeps the mark by which the next try may go on.
    pub(super) async fn apply_in_order(&self, work: &Work<'_>, undoing: Undoing, progress: &mut Progress) {
        let Undoing { rejoin, boundary, lift, tags, .. } = undoing;
        let frees = !boundary.is_empty() || !lift.is_empty();
        if !self.apply_all(work, rejoin, progress).await {
            return;
        }
        if frees && self.look_again(work, progress).await.is_none() {
            return;
        }
        for part in [boundary, lift] {
            if !self.apply_all(work, part, progress).await {
                return;
            }
        }
        if frees {
            let Some(left) = self.look_again(work, progress).await else { return };
            // Done, and not so: it keeps the mark.
            if left.boundary.iter().chain(&left.lift).any(|it| !self.is_given_up(it, progress)) {
                return;
            }
        }
        // Whichever takes the mark away comes last, and only after the others.
        for change in tags {
            if !self.apply_all(work, vec![change], progress).await {
                return;
            }
        }
    }

    /// In parallel. False when one of them stands in the way of what follows.
    ///
    /// INVARIANT: nothing is given back, freed or unmarked unless the identity was still ours just before. A response
    /// to something new takes it from us, and its deny, revocation and mark are not ours to take away.
    /// `tests/test_restore_taken_over.py` holds it. Nothing follows on what another got by the name.
    async fn apply_all(&self, work: &Work<'_>, changes: Vec<Change>, progress: &mut Progress) -> bool {
        if changes.is_empty() {
            return true;
        }
        if let Some(stopped) = self.stopped(work.lease).await {
            progress.failed.push(stopped.clone());
            progress.conclude(Verdict::NotRestored, stopped);
            return false;
        }
        let so_far = &*progress;
        let one = async |change: &Change| {
            let outcome = work.writers.write(&work.member.read, work.identity, change).await;
            let fails = matches!(outcome, Outcome::Failed(_));
            note(&so_far.changes, change.clone(), outcome);
            fails && !self.is_given_up(change, so_far)
        };
        let failed: Vec<_> = stream::iter(&changes).map(one).buffer_unordered(PARALLEL_WRITES).collect().await;
        self.still_leads(work, &changes, progress).await && !failed.contains(&true)
    }
}
