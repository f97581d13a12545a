//! Whom a report names as suspects: each is kept before people are told of it, whoever holds the identity, and no
//! verdict stands on one that could not be kept.

use clients::ledger::{Ledger, Named};
use domain::containment::progress::Progress;
use domain::suspects::Suspects;
use domain::verdict::Verdict;

use super::closing::Closing;

const NOT_KEPT: &str = "what was wanted is in place, and who is suspected could not be kept in the ledger";

impl Closing<'_> {
    /// INVARIANT: a success is said only after its suspects were kept. `tests/test_suspects.py` holds it.
    pub(super) async fn keep_suspects(&self, progress: &mut Progress) {
        let Some(identity) = &progress.identity else { return };
        let record = Ledger::record_of(identity);
        let known = &progress.past.suspects;
        // What the finding tells is open also where the time ran out before the last look.
        let untold = progress.suspects.iter().filter(|it| !known.knows(it)).cloned();
        let suspects: Vec<_> = progress.new_suspects.iter().cloned().chain(untold).collect();
        let named_at = progress.looked_at.map(Suspects::named_at);
        let named = Named { suspects, more: known.more, more_since: known.more_since, named_at };
        if let Err(failure) = self.ledger.keep_suspects(&record, &named).await {
            progress.ledger_failed.push(format!("keeping who is suspected: {failure}"));
            if progress.verdict().is_success() {
                progress.held_at = None;
                progress.conclude(Verdict::Unverified, NOT_KEPT);
            }
            return;
        }
        let unkept = &progress.past.unkept;
        if !unkept.is_empty()
            && unkept.iter().all(|it| known.knows(it))
            && let Err(failure) = self.ledger.forget_unkept(&record, unkept).await
        {
            progress.ledger_failed.push(format!("clearing up who was suspected: {failure}"));
        }
    }
}
