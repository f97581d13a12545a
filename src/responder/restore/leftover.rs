//! What a restore leaves of a role for twelve hours: the revocation of its stolen sessions, and the mark that protects
//! it. The same command, sent again after that, takes both away.

use clients::accounts::Member;
use clients::iam::observe;
use domain::finding::Threat;
use domain::history::Kept;
use domain::identity::Identity;
use domain::outcome::Outcome;
use domain::restoration::plan;
use domain::restoration::report::{Progress, Verdict};
use domain::settings::Mode;

use super::writers::Writers;
use super::{Attempt, Leases};
use crate::note::note;

impl Attempt<'_> {
    /// Nothing of ours is in force, and the verdict says so.
    pub(super) async fn clear_leftover(
        &self,
        member: &Member,
        identity: &Identity,
        (names, kept): (&[String], &Kept),
        progress: &mut Progress,
        leases: &mut Option<Leases>,
    ) {
        if progress.verdict != Some(Verdict::NothingToDo) || kept.restored.is_none() {
            return;
        }
        let now = observe::observe(&member.read, identity, false).await;
        let undoing = match plan::leftover(identity, &now, self.now) {
            None => return,
            Some(Err(stays)) => return progress.stays.push(stays),
            Some(Ok(undoing)) => undoing,
        };
        progress.mode = self.settings.mode_of(Threat::CompromisedCredential.playbook());
        if progress.mode == Mode::Observe {
            for change in undoing.changes() {
                note(&progress.changes, change.clone(), Outcome::Planned);
            }
            return progress.conclude(Verdict::Observed, "nothing was changed: the mode is `observe`");
        }
        match self.hold(identity, names, progress, leases).await {
            None => return,
            Some(kept) if !kept.responses.is_empty() => {
                return progress
                    .conclude(Verdict::InProgress, "a response has begun meanwhile: send the command again");
            }
            Some(_) => {}
        }
        let writers = match Writers::assume(self, identity, &undoing).await {
            Ok(it) => it,
            Err(failure) => return progress.fail("taking the restore role", &failure),
        };
        // The mark last: it is what lets the restore role take the revocation away.
        for change in undoing.changes() {
            let outcome = writers.apply(change).await;
            let is_done = !matches!(outcome, Outcome::Failed(_));
            note(&progress.changes, change.clone(), outcome);
            if !is_done {
                progress.failed.extend(progress.changes.failures());
                return progress.conclude(Verdict::NotRestored, "what an earlier restore left could not be taken away");
            }
        }
        let reason = "none of the revoked sessions is left: the revocation and the mark, which an earlier restore left, are gone";
        progress.conclude(Verdict::Restored, reason);
    }
}
