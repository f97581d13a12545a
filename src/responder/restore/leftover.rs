//! What a restore leaves of a role for twelve hours: the revocation of its stolen sessions, and the mark that protects
//! it. The same command, sent again after that, takes both away.

use clients::accounts::Member;
use clients::iam::observe;
use domain::finding::Threat;
use domain::history::Kept;
use domain::identity::{Identity, IdentityKind, Observed};
use domain::outcome::Outcome;
use domain::restoration::plan::{self, Undoing};
use domain::restoration::report::{Progress, Verdict};
use domain::settings::Mode;

use super::order::Work;
use super::writers::Writers;
use super::{Attempt, Leases};
use crate::note::note;

const CHANGED: &str = "it changed while what an earlier restore left was being taken away: look at it, then send the \
                       command again";

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
        let is_restored = progress.verdict == Some(Verdict::NothingToDo) && kept.restored.is_some();
        if !is_restored || identity.kind != IdentityKind::Role {
            return;
        }
        let Some(undoing) = self.plan_leftover(member, identity, progress).await else { return };
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
        let Some(lease) = leases.as_ref().and_then(|it| it.identity.as_ref()) else { return };
        // What was read without the lease may be old.
        let Some(undoing) = self.plan_leftover(member, identity, progress).await else { return };
        let writers = match Writers::assume(self, identity, undoing.changes()).await {
            Ok(it) => it,
            Err(failure) => return progress.fail("taking the restore role", &failure),
        };
        let work = Work { member, writers: &writers, identity, taken: None, lease };
        // `NothingToDo` no longer, and what it comes to is not known yet.
        progress.verdict = None;
        self.apply_in_order(&work, undoing, progress).await;
        if progress.verdict.is_some() {
            return;
        }
        let Some(left) = self.look_at_leftover(&work, progress).await else { return };
        progress.failed.extend(progress.changes.failures());
        progress.failed.extend(left.changes().map(|it| format!("still to do: {it}")));
        // A response to something new may have begun after the last of it.
        let stopped = self.stopped(lease).await;
        progress.failed.extend(stopped.clone());
        match (left.changes().next(), stopped) {
            (None, None) => progress.conclude(
                Verdict::Restored,
                "none of the revoked sessions is left: the revocation and the mark, which an earlier restore left, are gone",
            ),
            (_, Some(stopped)) => progress.conclude(Verdict::NotRestored, stopped),
            (Some(_), None) => {
                progress.conclude(Verdict::NotRestored, "what an earlier restore left could not be taken away");
            }
        }
    }

    /// What can be taken away now. `None`: nothing, or it could not be read, and then the verdict says so.
    async fn plan_leftover(&self, member: &Member, identity: &Identity, progress: &mut Progress) -> Option<Undoing> {
        let now = self.read_leftover(member, identity, progress).await?;
        match plan::leftover(identity, &now, self.now)? {
            Ok(undoing) => Some(undoing),
            Err(stays) => {
                progress.stays = vec![stays];
                None
            }
        }
    }

    /// What is left of it while it is being taken away, and `None` when somebody changed it meanwhile.
    pub(super) async fn look_at_leftover(&self, work: &Work<'_>, progress: &mut Progress) -> Option<Undoing> {
        let now = self.read_leftover(work.member, work.identity, progress).await?;
        let left = plan::leftover_still(work.identity, &now, self.now);
        if left.is_none() {
            progress.failed.push(CHANGED.to_owned());
            progress.conclude(Verdict::NotRestored, CHANGED);
        }
        left
    }

    async fn read_leftover(&self, member: &Member, identity: &Identity, progress: &mut Progress) -> Option<Observed> {
        let now = observe::observe(&member.read, identity, false).await;
        let unread: Vec<_> = now.unreadable().iter().map(ToString::to_string).collect();
        if unread.is_empty() {
            return Some(now);
        }
        let reason = format!("could not be read: {}", unread.join(", "));
        progress.failed.push(reason.clone());
        progress.conclude(Verdict::NotRestored, reason);
        None
    }
}
