//! The snapshot: the state before a response, from reads that the strike may have overtaken.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::change::{CONSOLE_HOLD, Change, REVOCATION_POLICY, is_our_tag};
use crate::history::Response;
use crate::identity::{IdentityKind, Observed};
use crate::verdict::Verdict;

/// The state as it was before the strike: from the reads before it, and from those beside it only
/// what the strike does not change.
pub fn before_strike(known: Observed, beside: Observed, deny_all: &str, kind: IdentityKind) -> Observed {
    let without = |ours: &str, it: Vec<String>| it.into_iter().filter(|name| name != ours).collect();
    let is_deny_unclear = known.attached.is_err() && beside.is_attached(deny_all);
    let attached = known.attached.or_else(|_| beside.attached.map(|it| without(deny_all, it)));
    let was_there = matches!(known.revoked_before, Ok(Some(_))) || known.not_a_revocation.is_some();
    let is_kept = kind == IdentityKind::User || was_there;
    let inline = beside.inline.map(|it| if is_kept { it } else { without(REVOCATION_POLICY, it) });
    let not_a_revocation = known.not_a_revocation;
    let (keys, profile) = (known.keys.or(beside.keys), known.profile.or(beside.profile));
    Observed { attached, inline, keys, profile, not_a_revocation, is_deny_unclear, ..beside }
}

/// What an earlier try put in place is no part of the snapshot. `intent`: what that one meant to do, as
/// `Change::words_of_record`; empty where it is not known.
pub fn without_ours(before: &mut Observed, deny_all: &str, intent: &BTreeSet<String>) {
    let is_known = !intent.is_empty();
    let meant = |change: &str| intent.iter().any(|it| it.split(' ').next() == Some(change));
    // A role whose inline policies are full is denied everything instead.
    let denies = meant("AttachDenyAll") || meant("RevokeSessions");
    let was_attached = before.is_attached(deny_all);
    if !is_known || denies {
        for names in [&mut before.attached, &mut before.inline].into_iter().flatten() {
            names.retain(|it| it != deny_all && it != REVOCATION_POLICY);
        }
        before.is_deny_unclear = before.is_deny_unclear || (!is_known && was_attached);
    }
    if meant("HoldConsole") {
        without_hold(before);
    }
    if let Ok(profile) = &mut before.profile {
        // It is the second choice, where nothing more can be attached.
        if !is_known || (denies && !was_attached) {
            profile.boundary.take_if(|it| it == deny_all);
        }
        profile.tags.retain(|(key, _)| !is_our_tag(key));
    }
}

fn without_hold(before: &mut Observed) {
    let is_hold = |it: &str| it.ends_with(&format!(":policy/{CONSOLE_HOLD}"));
    if let Ok(attached) = &mut before.attached {
        attached.retain(|it| !is_hold(it));
    }
}

/// As many as a record keeps open, and bytes of them beside which another begins: an item of the ledger holds
/// 400 KB, and one response with the longest names that IAM takes is half of that.
const MOST_OPEN: usize = 6;
const MOST_OPEN_BYTES: usize = 100_000;

/// Of what one response meant to do: an attacker who makes one key after the other adds a line each time. Twenty
/// policies and ten groups with the longest names that IAM takes are 20 KB. A restore names what it does not find
/// among the planned as taken by somebody else.
const MOST_PLANNED_BYTES: usize = 24_000;

/// Of the words, those that are not known and for which there is room beside the known.
pub fn within_bounds(words: impl Iterator<Item = String>, known: &BTreeSet<String>) -> BTreeSet<String> {
    let mut bytes: usize = known.iter().map(String::len).sum();
    let new = words.filter(|it| !known.contains(it));
    new.take_while(|it| {
        bytes += it.len();
        bytes <= MOST_PLANNED_BYTES
    })
    .collect()
}

fn has_room(open: &[Response]) -> bool {
    open.len() < MOST_OPEN && open.iter().map(bytes).sum::<usize>() < MOST_OPEN_BYTES
}

fn bytes(it: &Response) -> usize {
    it.before.to_string().len() + it.planned.iter().map(String::len).sum::<usize>()
}

/// Which of the open responses these changes are part of; `None` when they begin one of their own.
///
/// A try after one that did not end well goes on with it, and what only holds the identity back again is part
/// of the containment that it was undone from. Whoever takes policies and groups away again, after that ended
/// well, takes what somebody gave meanwhile: that comes back without what was taken for good before. `is_meant`: a try
/// of the playbook ended before its snapshot, and what it did is no other response's to take back.
pub fn belongs_to<'a>(
    open: &'a [Response],
    playbook: &str,
    changes: &[Change],
    is_meant: bool,
) -> Option<&'a Response> {
    let takes = changes.iter().any(|it| matches!(it, Change::DetachPolicy { .. } | Change::LeaveGroup { .. }));
    let changes_nothing = !changes.iter().any(Change::contains);
    let ended_well = |it: &Response| it.verdict.is_some_and(Verdict::is_success);
    match open.iter().rfind(|it| it.playbook == playbook) {
        Some(last) if takes && ended_well(last) && has_room(open) => None,
        Some(last) => Some(last),
        None if changes_nothing && !is_meant => open.last(),
        None => None,
    }
}

/// What open responses put in place is no part of a later one's snapshot: it goes when the last of them is
/// taken back.
pub fn without_theirs(before: &mut Observed, open: &[Response], deny_all: &str) {
    let Some(first) = open.first() else { return };
    let had = |it: &Response, field: &str, name: &str| {
        it.before.get(field).and_then(Value::as_array).is_some_and(|names| names.iter().any(|it| it == name))
    };
    let is_ours = |field: &str, name: &str| open.iter().any(|it| it.is_quarantine() && !had(it, field, name));
    if let Ok(attached) = &mut before.attached {
        attached.retain(|it| it != deny_all || !is_ours("attached_policies", it));
    }
    if open.iter().any(|it| it.planned.iter().any(|it| it.starts_with("HoldConsole "))) {
        without_hold(before);
    }
    if let Ok(inline) = &mut before.inline {
        // Of roles alone.
        let has_revoked = |it: &Response| it.planned.iter().any(|it| it.starts_with("RevokeSessions "));
        inline.retain(|it| it != REVOCATION_POLICY || !open.iter().any(has_revoked) || !is_ours("inline_policies", it));
    }
    let Ok(profile) = &mut before.profile else { return };
    if profile.boundary.as_deref() == Some(deny_all) {
        let former =
            open.iter().filter(|it| it.is_quarantine()).find_map(|it| match it.before.get("permissions_boundary") {
                Some(Value::String(arn)) => Some(Some(arn.clone())),
                Some(Value::Null) => Some(None),
                _ => None,
            });
        profile.boundary = former.unwrap_or_else(|| profile.boundary.take());
    }
    profile.tags.retain(|(key, _)| !is_our_tag(key));
    let former = first.before.get("tags").and_then(Value::as_object).into_iter().flatten();
    profile.tags.extend(former.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::observed;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

    #[test]
    fn what_the_strike_did_is_no_part_of_it() {
        let mut beside = observed();
        beside.inline.as_mut().unwrap().push(REVOCATION_POLICY.to_owned());
        beside.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let known = Observed { revoked_before: Ok(None), ..Observed::nothing_read() };
        let before = before_strike(known, beside.clone(), DENY_ALL, IdentityKind::Role);
        assert_eq!((before.inline, before.attached), (observed().inline, observed().attached));
        let known =
            Observed { revoked_before: Ok(Some(aws_smithy_types::DateTime::from_secs(0))), ..Observed::nothing_read() };
        assert_eq!(before_strike(known, beside.clone(), DENY_ALL, IdentityKind::Role).inline, beside.inline);
    }

    fn response(playbook: &str, before: &Observed, verdict: Option<Verdict>) -> Response {
        let now = aws_smithy_types::DateTime::from_secs(1_000);
        Response { verdict, ..Response::new(playbook, "finding", now, crate::history::snapshot(before)) }
    }

    #[test]
    fn nor_is_what_another_response_did() {
        let first = response("compromised-credential", &observed(), Some(Verdict::Contained));
        let mut before = observed();
        before.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let profile = before.profile.as_mut().unwrap();
        profile.boundary = Some(DENY_ALL.to_owned());
        profile.tags = vec![("SecurityIncident".to_owned(), String::new()), ("team".to_owned(), String::new())];
        let mut theirs = before.clone();
        without_theirs(&mut theirs, std::slice::from_ref(&first), DENY_ALL);
        assert_eq!(theirs.attached, observed().attached);
        let profile = theirs.profile.unwrap();
        assert_eq!((profile.boundary, profile.tags), (None, vec![("team".to_owned(), String::new())]));
        // A deny that was there before any of them is somebody else's.
        let mut others = before.clone();
        let first = response("compromised-credential", &before, None);
        without_theirs(&mut others, std::slice::from_ref(&first), DENY_ALL);
        assert_eq!(others.attached, before.attached);
        // A playbook that attaches no deny has put none there.
        let mut others = before.clone();
        let first = response("unused-user", &observed(), None);
        without_theirs(&mut others, std::slice::from_ref(&first), DENY_ALL);
        assert_eq!(others.attached, before.attached);
    }

    #[test]
    fn what_is_taken_again_is_a_response_of_its_own() {
        let user = || crate::fixtures::parsed("alice");
        let takes = [Change::DetachPolicy { user: user(), policy: "arn".to_owned() }];
        let holds = [Change::AttachDenyAll { user: user(), policy: DENY_ALL.to_owned() }];
        let open = |verdict| [response("overprivileged-user", &observed(), verdict)];
        let belongs =
            |verdict, playbook, changes: &[Change]| belongs_to(&open(verdict), playbook, changes, false).is_some();
        assert!(!belongs(Some(Verdict::Contained), "overprivileged-user", &takes));
        assert!(belongs(Some(Verdict::NotContained), "overprivileged-user", &takes));
        assert!(belongs(None, "overprivileged-user", &takes));
        assert!(belongs(Some(Verdict::Contained), "overprivileged-user", &holds));
        assert!(!belongs(Some(Verdict::Contained), "compromised-credential", &holds));
        assert!(belongs(Some(Verdict::Contained), "compromised-credential", &[]));
        assert!(belongs_to(&[], "compromised-credential", &[], false).is_none());
        let lesser = [response("unused-user", &observed(), Some(Verdict::Contained))];
        assert!(belongs_to(&lesser, "compromised-credential", &[], true).is_none());
        assert!(belongs_to(&lesser, "compromised-credential", &[], false).is_some());
        let many = vec![response("overprivileged-user", &observed(), Some(Verdict::Contained)); MOST_OPEN];
        assert!(belongs_to(&many, "overprivileged-user", &takes, false).is_some());
        let mut large = open(Some(Verdict::Contained));
        large[0].before = "x".repeat(MOST_OPEN_BYTES).into();
        assert!(belongs_to(&large, "overprivileged-user", &takes, false).is_some());
    }

    #[test]
    fn what_was_meant_to_be_done_has_a_length_that_nobody_else_decides() {
        let words = |from: usize| (from..).map(|n| format!("DeactivateAccessKey {n:0>500}"));
        let known = within_bounds(words(0), &BTreeSet::new());
        assert_eq!(known.len(), MOST_PLANNED_BYTES / 520);
        assert_eq!(within_bounds(words(0), &known), BTreeSet::new());
        let few: BTreeSet<_> = words(0).take(2).collect();
        assert_eq!(within_bounds(words(1).take(2), &few), words(2).take(1).collect());
    }

    #[test]
    fn nor_is_what_an_earlier_try_did() {
        let mut before = observed();
        before.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let profile = before.profile.as_mut().unwrap();
        profile.tags = vec![("SecurityIncident".to_owned(), String::new()), ("team".to_owned(), String::new())];
        let without = |before: &Observed, intent: &[&str]| {
            let mut before = before.clone();
            without_ours(&mut before, DENY_ALL, &intent.iter().map(|it| (*it).to_owned()).collect());
            before
        };
        let ours = without(&before, &["AttachDenyAll user/alice"]);
        assert_eq!((ours.attached, ours.is_deny_unclear), (observed().attached, false));
        assert_eq!(ours.profile.unwrap().tags, [("team".to_owned(), String::new())]);
        // What it did not mean to do was there before it; what it meant is not known.
        let theirs = without(&before, &["DeactivateAccessKey AKIAIOSFODNN7EXAMPLE"]);
        assert_eq!((theirs.attached, theirs.is_deny_unclear), (before.attached.clone(), false));
        let unclear = without(&before, &[]);
        assert_eq!((unclear.attached, unclear.is_deny_unclear), (observed().attached, true));
        // The boundary stood in for what could not be attached.
        before.profile.as_mut().unwrap().boundary = Some(DENY_ALL.to_owned());
        assert!(without(&before, &["AttachDenyAll user/alice"]).profile.unwrap().boundary.is_some());
        before.attached.as_mut().unwrap().pop();
        assert!(without(&before, &["AttachDenyAll user/alice"]).profile.unwrap().boundary.is_none());
    }

    #[test]
    fn a_deny_that_was_seen_only_beside_the_strike_is_nobodys_for_sure() {
        let mut beside = observed();
        beside.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let before = |known| before_strike(known, beside.clone(), DENY_ALL, IdentityKind::User);
        assert!(before(Observed::nothing_read()).is_deny_unclear);
        assert!(!before(Observed { attached: observed().attached, ..Observed::nothing_read() }).is_deny_unclear);
    }

    /// It is a role's name for a policy, and a user's may be called so.
    #[test]
    fn a_users_inline_policy_is_never_ours() {
        let mut beside = observed();
        beside.inline.as_mut().unwrap().push(REVOCATION_POLICY.to_owned());
        let before = before_strike(Observed::nothing_read(), beside.clone(), DENY_ALL, IdentityKind::User);
        assert_eq!(before.inline, beside.inline);
    }

    #[test]
    fn what_was_read_before_the_strike_counts_before_what_was_read_beside_it() {
        let mut known = observed();
        known.keys.as_mut().unwrap().clear();
        known.profile.as_mut().unwrap().boundary = Some("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned());
        known.attached.as_mut().unwrap().push("arn:aws:iam::aws:policy/ReadOnlyAccess".to_owned());
        known.not_a_revocation = Some("{}".to_owned());
        let mut beside = Observed { login: Ok(true), ..observed() };
        beside.inline.as_mut().unwrap().push(REVOCATION_POLICY.to_owned());
        let before = before_strike(known.clone(), beside.clone(), DENY_ALL, IdentityKind::Role);
        assert_eq!((&before.keys, &before.profile, &before.attached), (&known.keys, &known.profile, &known.attached));
        // What stood under our name and said something else was somebody's.
        assert_eq!((&before.not_a_revocation, &before.inline), (&known.not_a_revocation, &beside.inline));
        assert_eq!((before.login, before.groups), (Ok(true), beside.groups.clone()));
        let read_later = before_strike(Observed::nothing_read(), beside.clone(), DENY_ALL, IdentityKind::User);
        assert_eq!((read_later.keys, read_later.profile), (beside.keys, beside.profile));
    }

    fn intent(changes: &[&str]) -> BTreeSet<String> {
        changes.iter().map(|it| (*it).to_owned()).collect()
    }

    fn hold() -> String {
        crate::change::console_hold("arn:aws:iam::111122223333:user/alice").unwrap()
    }

    #[test]
    fn a_revocation_and_a_hold_that_an_earlier_try_meant_are_no_part_of_it() {
        let mut before = observed();
        before.inline.as_mut().unwrap().push(REVOCATION_POLICY.to_owned());
        before.attached.as_mut().unwrap().push(hold());
        let without = |changes: &[&str]| {
            let mut it = Observed { is_deny_unclear: true, ..before.clone() };
            without_ours(&mut it, DENY_ALL, &intent(changes));
            assert!(it.is_deny_unclear, "what was unclear stays so");
            (it.inline.unwrap(), it.attached.unwrap())
        };
        let (with_revocation, with_hold) = (before.inline.clone().unwrap(), before.attached.clone().unwrap());
        let (inline, attached) = (observed().inline.unwrap(), observed().attached.unwrap());
        assert_eq!(without(&["RevokeSessions app 2026"]), (inline.clone(), with_hold.clone()));
        assert_eq!(without(&["HoldConsole alice"]), (with_revocation, attached));
        assert_eq!(without(&[]), (inline, with_hold));
    }

    #[test]
    fn a_boundary_that_denies_everything_is_somebody_elses_unless_nothing_is_known() {
        let mut before = observed();
        before.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        before.profile.as_mut().unwrap().boundary = Some(DENY_ALL.to_owned());
        let boundary = |changes: &[&str], attached: bool| {
            let mut it = before.clone();
            it.attached.as_mut().unwrap().truncate(if attached { 9 } else { 1 });
            without_ours(&mut it, DENY_ALL, &intent(changes));
            it.profile.unwrap().boundary.is_some()
        };
        assert!(!boundary(&[], true) && !boundary(&[], false));
        assert!(boundary(&["DeactivateAccessKey k"], false) && boundary(&["AttachDenyAll alice"], true));
        let mut other = before.clone();
        other.attached = observed().attached;
        other.profile.as_mut().unwrap().boundary = Some("arn:other".to_owned());
        without_ours(&mut other, DENY_ALL, &intent(&["AttachDenyAll alice"]));
        assert_eq!(other.profile.unwrap().boundary.as_deref(), Some("arn:other"));
    }

    #[test]
    fn what_others_hold_and_revoked_is_no_part_of_a_later_snapshot() {
        let planned = |changes: &[&str], before: &Observed| {
            let it = response("compromised-credential", before, Some(Verdict::Contained));
            [Response { planned: intent(changes), ..it }]
        };
        let mut before = observed();
        before.inline.as_mut().unwrap().push(REVOCATION_POLICY.to_owned());
        before.attached.as_mut().unwrap().push(hold());
        let without = |open: &[Response]| {
            let mut it = before.clone();
            without_theirs(&mut it, open, DENY_ALL);
            (it.inline == before.inline, it.attached == before.attached)
        };
        assert_eq!(without(&[]), (true, true));
        assert_eq!(without(&planned(&["AttachDenyAll alice"], &observed())), (true, true));
        assert_eq!(without(&planned(&["RevokeSessions app 2026"], &observed())), (false, true));
        assert_eq!(without(&planned(&["HoldConsole alice"], &observed())), (true, false));
        // It was there before the response that would have put it there.
        assert_eq!(without(&planned(&["RevokeSessions app 2026"], &before)), (true, true));
    }

    #[test]
    fn what_others_replaced_is_as_it_was_before_them() {
        let mut first = observed();
        let profile = first.profile.as_mut().unwrap();
        profile.boundary = Some("arn:former".to_owned());
        profile.tags = vec![("FindingId".to_owned(), "theirs".to_owned())];
        let open = [response("compromised-credential", &first, None)];
        let later = |boundary: &str| {
            let mut it = observed();
            let profile = it.profile.as_mut().unwrap();
            profile.boundary = Some(boundary.to_owned());
            profile.tags = vec![("FindingId".to_owned(), "ours".to_owned())];
            without_theirs(&mut it, &open, DENY_ALL);
            it.profile.unwrap()
        };
        let profile = later(DENY_ALL);
        assert_eq!(profile.boundary.as_deref(), Some("arn:former"));
        assert_eq!(profile.tags, [("FindingId".to_owned(), "theirs".to_owned())]);
        assert_eq!(later("arn:other").boundary.as_deref(), Some("arn:other"));
        // Of one whose boundary could not be read nothing is known, and what is there stays.
        let unread = [response("compromised-credential", &Observed::nothing_read(), None)];
        let mut it = observed();
        it.profile.as_mut().unwrap().boundary = Some(DENY_ALL.to_owned());
        without_theirs(&mut it, &unread, DENY_ALL);
        assert_eq!(it.profile.unwrap().boundary.as_deref(), Some(DENY_ALL));
    }

    #[test]
    fn a_record_has_room_up_to_its_bounds() {
        let takes = [Change::LeaveGroup { user: crate::fixtures::parsed("alice"), group: "g".to_owned() }];
        let begins = |open: &[Response]| belongs_to(open, "overprivileged-user", &takes, false).is_none();
        let one = response("overprivileged-user", &observed(), Some(Verdict::Contained));
        assert!(begins(&vec![one.clone(); MOST_OPEN - 1]));
        // With the quotes around it.
        let of = |bytes: usize, planned: &[&str]| Response {
            before: "x".repeat(bytes - 2).into(),
            planned: intent(planned),
            ..one.clone()
        };
        assert!(begins(&[of(MOST_OPEN_BYTES - 1, &[])]) && !begins(&[of(MOST_OPEN_BYTES, &[])]));
        assert!(!begins(&[of(MOST_OPEN_BYTES - 10, &["0123456789"])]));
        let words = |bytes: usize| within_bounds(std::iter::once("x".repeat(bytes)), &BTreeSet::new()).len();
        assert_eq!((words(MOST_PLANNED_BYTES), words(MOST_PLANNED_BYTES + 1)), (1, 0));
    }
}
