//! What comes of looking for an identity whose name leads to nobody any more.

use domain::containment::progress::Progress;
use domain::identity::Identity;
use domain::outcome::Failure;
use domain::verdict::Verdict;

pub(super) enum Sought {
    Found(Identity),
    /// The verdict is in.
    Gone,
    /// IAM could not say: a doubt, and no verdict as long as there is time.
    Unknown(Failure),
}

pub(super) fn lost(failure: &Failure, progress: &mut Progress) {
    conclude_unverified(format!("it vanished, and could not be looked up: {failure}"), progress);
}

pub(super) fn conclude_unverified(reason: String, progress: &mut Progress) {
    progress.failed = progress.changes.failures();
    progress.failed.push(reason.clone());
    progress.conclude(Verdict::Unverified, reason);
}

/// The member role could not be assumed: nothing was looked for.
pub(super) fn without_session(failure: &Failure, progress: &mut Progress) {
    progress.failed.push(failure.to_string());
    progress.conclude(Verdict::NotContained, failure.to_string());
}
