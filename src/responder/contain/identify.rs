//! Whom the finding means, by the unique ID, and whether that one may be contained.

use clients::accounts::Member;
use clients::iam::resolve::{self, Resolved, Unresolved};
use domain::containment::guard;
use domain::session_policy::Scope;
use domain::verdict::Verdict;

use super::Attempt;
use super::progress::Running;

impl Attempt<'_> {
    /// Once more where AWS does not take a session of an earlier response: the role was made anew, or its sessions
    /// were revoked.
    pub(super) async fn resolve(&self, member: &mut Member, scope: &Scope) -> Result<Resolved, Unresolved> {
        let claimed = || resolve::Claimed::from(self.finding);
        let resolved = member.patience.urgently(|| resolve::resolve(&member.read, claimed())).await;
        match resolved {
            Err(Unresolved::Failed(failure)) if member.is_kept && failure.is_refused() => {
                self.home.drop_session(member);
                *member = self.assume(scope).await?;
                member.patience.urgently(|| resolve::resolve(&member.read, claimed())).await
            }
            other => other,
        }
    }

    /// The identity, when it may be contained; otherwise the verdict is in.
    pub(super) fn check(&self, resolved: Result<Resolved, Unresolved>, running: &mut Running) -> Option<Resolved> {
        let Running { progress, memory, is_quiet, .. } = running;
        let resolved = match resolved {
            Ok(it) => it,
            Err(Unresolved::Refused(reason)) => {
                progress.conclude(Verdict::Refused, reason);
                return None;
            }
            Err(Unresolved::Failed(failure)) => {
                progress.failed.push(format!("finding the identity: {failure}"));
                progress.conclude(Verdict::NotContained, format!("the identity could not be looked up: {failure}"));
                return None;
            }
        };
        progress.identity = Some(resolved.identity.clone());
        if let Some(reason) = guard::refuse_identity(self.settings, self.finding, &resolved.identity)
            .or_else(|| guard::refuse_exempt(self.settings, self.finding, &resolved.identity, self.now))
        {
            progress.is_spared = guard::is_spared(self.settings, self.finding, &resolved.identity, self.now);
            progress.conclude(Verdict::Refused, reason);
            return None;
        }
        // Who approved knew that it was restored.
        let restored = memory.restored.as_ref().filter(|_| self.relay.approval.is_none());
        if let Some(reason) = guard::refuse_restored(restored, self.finding, &resolved.identity, self.now) {
            *is_quiet = true;
            progress.conclude(Verdict::Refused, reason);
            return None;
        }
        Some(resolved)
    }
}
