//! The verdict, from a full read and nothing else.

use std::time::Duration;

use domain::change::Change;
use domain::containment::playbooks::Plan;
use domain::containment::progress::Progress;
use domain::identity::{Observed, Read};
use domain::suspects::Suspect;
use domain::verdict::Verdict;

use super::pace::Clock;

/// What the playbook would still do, given what is there now, is what is still open.
pub(super) fn judge(
    missing: &[Change],
    after: &Observed,
    suspects: Read<Vec<Suspect>>,
    settle: Duration,
    progress: &mut Progress,
) {
    let mut unread = unread(after);
    unread.extend(suspects.as_ref().err().map(|it| format!("{} ({})", it.what, it.why)));
    progress.open = missing.iter().map(|it| format!("still to do: {it}")).collect();
    progress.open.extend(unread.iter().map(|it| format!("could not be read back: {it}")));
    progress.failed = progress.changes.failures();
    progress.failed.extend(progress.open.clone());
    let found = progress.suspects.iter().cloned().chain(suspects.unwrap_or_default()).collect();
    let suspects = &mut progress.past.suspects;
    let new = suspects.add(found);
    let suspects = suspects.words();
    progress.new_suspects.extend(new);
    progress.open.extend(suspects.iter().cloned());
    match () {
        () if !missing.is_empty() => {
            progress.conclude(Verdict::NotContained, "the state that was read back is not the wanted one");
        }
        () if !unread.is_empty() => progress.conclude(Verdict::Unverified, "not everything could be read back"),
        () if !suspects.is_empty() => {
            progress.conclude(
                Verdict::SuspectsOpen,
                "what was wanted is in place, and does not stop everything: look at each suspect, then send `close-suspect`",
            );
        }
        () => {
            let held = settle.as_secs();
            progress.conclude(Verdict::Contained, format!("everything wanted is in place, and has held for {held} s"));
        }
    }
}

/// All may be in place when the time is up, but not for long enough to say that it holds.
pub(super) fn check_time(clock: &Clock, progress: &mut Progress) {
    if !clock.has_settled() && matches!(progress.verdict, Some(Verdict::Contained | Verdict::SuspectsOpen)) {
        let reason = format!("the time was up {} s before it had held long enough", clock.rest().as_secs() + 1);
        progress.open.push(reason.clone());
        progress.failed.push(reason.clone());
        progress.conclude(Verdict::NotContained, reason);
    }
}

/// Another try fails the same way: a person must know now.
pub(super) fn is_hopeless(missing: &[Change], progress: &Progress) -> bool {
    !missing.is_empty() && missing.iter().all(|it| progress.changes.failed_for_good(it))
}

/// What a plan wants that holds the identity back, without what is only not known.
pub(super) fn missing(plan: &Plan, observed: &Observed) -> Vec<Change> {
    let is_known = |it: &&Change| match it {
        Change::AttachDenyAll { .. } => observed.attached.is_ok() && observed.profile.is_ok(),
        Change::AttachDenyAllToRole { .. } => observed.attached.is_ok(),
        Change::RevokeSessions { .. } => observed.revoked_before.is_ok(),
        _ => true,
    };
    plan.changes.iter().filter(|it| it.contains()).filter(is_known).cloned().collect()
}

pub(super) fn unread(observed: &Observed) -> Vec<String> {
    observed.unreadable().iter().map(|it| format!("{} ({})", it.what, it.why)).collect()
}
