//! The verdict, from a full read and nothing else.
//!
//! INVARIANT: `Contained` only when that read came after the barriers had held for the settle time, and no
//! suspect is open. `tests/test_attacker.py` and `tests/test_suspects.py` hold it.

use std::time::Duration;

use domain::change::{Change, INCIDENT_TAG, QUARANTINED, REMEDIATED};
use domain::containment::playbooks::Plan;
use domain::containment::progress::Progress;
use domain::identity::{Observed, Read};
use domain::outcome::Outcome;
use domain::suspects::Suspect;
use domain::text;
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
    progress.not_taken = missing.iter().filter(|it| !it.is_additive()).map(Change::words_of_record).collect();
    (progress.to_do, progress.is_read_back) = (missing.to_vec(), unread.is_empty());
    progress.open = missing.iter().map(|it| format!("still to do: {it}")).collect();
    progress.open.extend(unread.iter().map(|it| format!("could not be read back: {it}")));
    let granting = still_granting(after);
    progress.open.extend(granting.iter().cloned());
    progress.failed = progress.changes.failures();
    progress.failed.extend(progress.open.clone());
    progress.notes.extend(unmarked(progress));
    let mut found: Vec<_> = progress.suspects.iter().cloned().chain(suspects.unwrap_or_default()).collect();
    if progress.is_past_known {
        found.extend(progress.past.forgotten());
    }
    let suspects = &mut progress.past.suspects;
    let new = suspects.add(found);
    let suspects = suspects.words();
    progress.new_suspects.extend(new);
    progress.open.extend(suspects.iter().cloned());
    match () {
        () if !missing.is_empty() => {
            progress.conclude(Verdict::NotContained, "the state that was read back is not the wanted one");
        }
        () if !granting.is_empty() => {
            progress.conclude(Verdict::NotContained, "what may be taken is taken, and administrator access remains");
        }
        () if !unread.is_empty() => progress.conclude(Verdict::Unverified, "not everything could be read back"),
        () if !progress.is_past_known => {
            let reason = "all is in place, and the ledger could not tell who else is suspected since before";
            progress.failed.push(reason.to_owned());
            progress.conclude(Verdict::Unverified, reason);
        }
        () if !suspects.is_empty() => {
            progress.conclude(
                Verdict::SuspectsOpen,
                "what was wanted is in place, and does not stop everything: look at each suspect, then send `close-suspect`",
            );
        }
        () if let Some(words) = &progress.maker_at_large => {
            let reason = format!("what was wanted is in place, and {words}, is not seen to be held and may undo it");
            progress.open.push(reason.clone());
            progress.conclude(Verdict::SuspectsOpen, reason);
        }
        () => {
            let held = settle.as_secs();
            progress.conclude(Verdict::Contained, format!("everything wanted is in place, and has held for {held} s"));
        }
    }
}

/// What the playbook must leave and that makes an administrator all the same: a policy or group that holds a
/// Deny too, an inline policy.
fn still_granting(after: &Observed) -> Vec<String> {
    if after.is_denied_everything() {
        return Vec::new();
    }
    let words = |it: &String| {
        format!("administrator access remains by the {}: a person must narrow it or take it away", text::line(it, 300))
    };
    after.granting.iter().flatten().map(words).collect()
}

/// The restore role changes only what bears the mark.
fn unmarked(progress: &Progress) -> Option<String> {
    let all = progress.changes.all();
    let tag = all.iter().rfind(|it| matches!(it.deed, Change::Tag { .. }))?;
    let words = "it bears no mark of the containment, because all its fifty tags are others': before a restore, remove \
                 one of them, then send `contain` again";
    matches!(tag.outcome, Outcome::Skipped { .. }).then(|| words.to_owned())
}

/// All may be in place when the time is up, but not for long enough to say that it holds. `has_settled`: when the look
/// began.
pub(super) fn check_time(has_settled: bool, clock: &Clock, progress: &mut Progress) {
    if !has_settled && matches!(progress.verdict, Some(Verdict::Contained | Verdict::SuspectsOpen)) {
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

/// The mark, where somebody removed it: without it the guardrail protects nothing, and no restore can be. One that
/// could not be set is said elsewhere.
pub(super) fn missing_mark(plan: &Plan, observed: &Observed, progress: &Progress) -> Option<Change> {
    let tags = &observed.profile.as_ref().ok()?.tags;
    let is_mark = |value: &str| value == QUARANTINED || value == REMEDIATED;
    if tags.iter().any(|(key, value)| key.eq_ignore_ascii_case(INCIDENT_TAG) && is_mark(value)) {
        return None;
    }
    let tag = plan.changes.iter().find(|it| matches!(it, Change::Tag { .. }))?;
    let could_not = progress.changes.failure(tag).is_some() || progress.changes.was_put_off(tag);
    (!could_not).then(|| tag.clone())
}

pub(super) fn unread(observed: &Observed) -> Vec<String> {
    observed.unreadable().iter().map(|it| format!("{} ({})", it.what, it.why)).collect()
}
