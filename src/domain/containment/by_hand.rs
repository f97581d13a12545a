//! What a person types where we could not do it: for each change that is still wanted, the command that makes it.

use super::progress::Progress;
use crate::change::Change;
use crate::guardrail::Standing;
use crate::identity::Observed;
use crate::outcome::Deed;
use crate::verdict::Verdict;

/// One a line; none where nothing is known to be missing. `deny_all`: the policy that denies everything.
pub(super) fn by_hand(progress: &Progress, deny_all: &str) -> Vec<String> {
    if !matches!(progress.verdict(), Verdict::NotContained | Verdict::Unverified) {
        return Vec::new();
    }
    let not_read = not_read(progress);
    let wanted = progress.to_do.iter().chain(&not_read).map(|it| way_in(it, progress, deny_all));
    let changes = each_once(wanted, progress);
    let mut lines: Vec<_> = changes.iter().map(Change::command).collect();
    if changes.iter().any(|it| matches!(it, Change::SetDenyAllBoundary { .. }))
        && let Some(boundary) = before(progress, deny_all).and_then(|it| it.profile.ok()?.boundary)
    {
        lines.push(format!("its own permissions boundary, to be put back when it is freed: {boundary}"));
    }
    let is_guarded = progress.guardrail.as_ref().is_some_and(Standing::is_there) && !lines.is_empty();
    lines.extend(is_guarded.then(|| GUARDED.to_owned()));
    lines
}

/// By what the identity is called now: it may have been renamed since.
pub(super) fn each_once(changes: impl Iterator<Item = Change>, progress: &Progress) -> Vec<Change> {
    let mut once: Vec<Change> = Vec::new();
    for change in changes {
        let change = match &progress.identity {
            Some(it) => change.by_name(&it.name),
            None => change,
        };
        if !once.iter().any(|it| it.is_same(&change)) {
            once.push(change);
        }
    }
    once
}

/// The state before anything was done, as far as it was read. What an earlier response replaced by our boundary is in
/// its snapshot.
pub(super) fn before(progress: &Progress, deny_all: &str) -> Option<Observed> {
    let mut before = progress.snapshot.clone()?;
    if let Ok(profile) = &mut before.profile
        && profile.boundary.as_deref().is_none_or(|it| it == deny_all)
    {
        let kept = progress.past.responses.iter().filter_map(|it| it.before.get("permissions_boundary")?.as_str());
        let own = kept.filter(|it| *it != deny_all).map(str::to_owned).next();
        profile.boundary = own.or(profile.boundary.take());
    }
    Some(before)
}

const GUARDED: &str = "the guardrail lets nobody but our roles write a boundary, an inline policy or a tag of an identity that \
                       bears the mark: for those send `contain` again";

/// What could not be read back is missing as far as anybody knows, where the last try of it failed.
fn not_read(progress: &Progress) -> Vec<Change> {
    if progress.is_read_back {
        return Vec::new();
    }
    let changes = &progress.changes;
    let is_open = |it: &Change| changes.failure(it).is_some() || changes.was_put_off(it);
    changes.all().into_iter().map(|it| it.deed).filter(|it| it.contains() && is_open(it)).collect()
}

/// What stands in for a change for which IAM has no room.
fn way_in(change: &Change, progress: &Progress, deny_all: &str) -> Change {
    match change {
        Change::RevokeSessions { role, .. } if progress.changes.was_put_off(change) => {
            Change::AttachDenyAllToRole { role: role.clone(), policy: deny_all.to_owned() }
        }
        _ if progress.changes.was_put_off(change) => change.stand_in().unwrap_or_else(|| change.clone()),
        _ => change.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{identity, observed, parsed};
    use crate::history::Response;
    use crate::identity::{Identity, IdentityKind};
    use crate::outcome::{Done, Failure, Outcome};

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

    fn deny() -> Change {
        Change::AttachDenyAll { user: parsed("alice"), policy: DENY_ALL.to_owned() }
    }

    fn key() -> Change {
        Change::DeactivateAccessKey { user: parsed("alice"), key: parsed("AKIAIOSFODNN7EXAMPLE") }
    }

    fn failed() -> Outcome {
        Outcome::Failed(Failure { code: "AccessDenied".to_owned(), message: String::new(), retryable: false })
    }

    /// With what was tried, and what was read to be missing where it was.
    fn progress(tried: Vec<(Change, Outcome)>, missing: Option<Vec<Change>>) -> Progress {
        let mut progress = Progress::default();
        let at = aws_smithy_types::DateTime::from_secs(0);
        tried.into_iter().for_each(|(deed, outcome)| progress.changes.push(Done { deed, outcome, at }));
        progress.is_read_back = missing.is_some();
        progress.to_do = missing.unwrap_or_default();
        progress.conclude(Verdict::NotContained, "");
        progress
    }

    #[test]
    fn what_is_read_to_be_missing_is_what_is_typed() {
        let it = progress(vec![(deny(), failed()), (key(), failed())], Some(vec![key()]));
        assert_eq!(by_hand(&it, DENY_ALL), [key().command()]);
    }

    #[test]
    fn what_could_not_be_read_is_what_was_tried_in_vain() {
        let done = Outcome::Applied { detail: String::new() };
        let it = progress(vec![(deny(), failed()), (deny(), failed()), (key(), done)], None);
        assert_eq!(by_hand(&it, DENY_ALL), [deny().command()]);
    }

    #[test]
    fn where_iam_has_no_room_it_is_the_other_way() {
        let full = || Outcome::Skipped { reason: "LimitExceeded".to_owned() };
        let boundary = deny().stand_in().unwrap();
        let mut it = progress(vec![(deny(), full()), (boundary.clone(), failed())], Some(vec![deny()]));
        assert_eq!(by_hand(&it, DENY_ALL), [boundary.command()]);
        it.is_read_back = false;
        assert_eq!(by_hand(&it, DENY_ALL), [boundary.command()]);
        let mut before = observed();
        before.profile.as_mut().unwrap().boundary = Some("arn:own".to_owned());
        it.snapshot = Some(before);
        assert!(by_hand(&it, DENY_ALL)[1].ends_with(": arn:own"));
        let revoke =
            Change::RevokeSessions { role: parsed("app"), issued_before: aws_smithy_types::DateTime::from_secs(0) };
        let it = progress(vec![(revoke.clone(), full())], Some(vec![revoke]));
        let command = format!("aws iam attach-role-policy --role-name app --policy-arn {DENY_ALL}");
        assert_eq!(by_hand(&it, DENY_ALL), [command]);
    }

    #[test]
    fn a_boundary_that_an_earlier_response_replaced_is_in_its_snapshot() {
        let mut it = progress(Vec::new(), None);
        let of = |it: &Progress| before(it, DENY_ALL).unwrap().profile.unwrap().boundary;
        it.snapshot = Some(observed());
        assert_eq!(of(&it), None);
        let kept = serde_json::json!({"permissions_boundary": "arn:own"});
        it.past.responses = vec![Response::new("p", "f", aws_smithy_types::DateTime::from_secs(0), kept)];
        assert_eq!(of(&it).as_deref(), Some("arn:own"));
        it.snapshot.as_mut().unwrap().profile.as_mut().unwrap().boundary = Some("arn:newer".to_owned());
        assert_eq!(of(&it).as_deref(), Some("arn:newer"));
    }

    #[test]
    fn who_was_renamed_is_typed_by_the_new_name() {
        let mut it = progress(vec![(deny(), failed())], None);
        it.identity = Some(Identity { name: parsed("bob"), ..identity(IdentityKind::User) });
        assert!(by_hand(&it, DENY_ALL)[0].contains("--user-name bob "));
    }

    #[test]
    fn nothing_is_typed_about_who_is_contained_or_waits() {
        for verdict in Verdict::ALL {
            let mut it = progress(Vec::new(), Some(vec![key()]));
            it.guardrail = Some(Standing::WasThere { policy: "p-1".to_owned() });
            it.conclude(verdict, "");
            let is_open = matches!(verdict, Verdict::NotContained | Verdict::Unverified);
            assert_eq!(by_hand(&it, DENY_ALL).is_empty(), !is_open, "{verdict:?}");
        }
    }
}
