//! What decided about an identity before it was contained: from its snapshots and what is found now, without what our
//! own responses put there.

use serde_json::Value;

use crate::change::{REVOCATION_POLICY, console_hold};
use crate::history::{DENY_UNCLEAR, FORMER_REVOCATION, Kept};
use crate::identity::{Observed, PolicyNames, Read};
use crate::text;

/// What is to be read, and what is to be said about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// The permissions boundary apart.
    pub names: PolicyNames,
    pub boundary: Option<String>,
    /// An inline policy whose text only the snapshot has.
    pub former: Option<String>,
    pub notes: Vec<String>,
    /// Lists that could not be read.
    pub unread: Vec<String>,
}

/// Both what it had before the first response and what it has now: an attacker may have taken more meanwhile.
pub fn before(kept: &Kept, now: &Observed, deny_all: &str) -> Before {
    let first = kept.responses.first().map(|it| &it.before);
    let mut before = Before::default();
    before.names.policies = both(first, "attached_policies", &now.attached, &mut before);
    before.names.inline = both(first, "inline_policies", &now.inline, &mut before);
    before.names.groups = both(first, "groups", &now.groups, &mut before);
    before.boundary = boundary(first.and_then(|it| it.get("permissions_boundary")), now, deny_all, &mut before);
    let Some(first) = first else { return before };
    let was_there = |field: &str, name: &str| list(first, field).is_some_and(|it| it.iter().any(|it| it == name));
    let is_unclear = first.get(DENY_UNCLEAR).is_some();
    let is_quarantine = kept.responses.iter().any(|it| it.is_quarantine());
    if is_quarantine && (is_unclear || !was_there("attached_policies", deny_all)) {
        before.names.policies.retain(|it| it != deny_all);
        if is_unclear {
            before.notes.push("whether `AWSDenyAll` was attached before is not known: it is left out".to_owned());
        }
    }
    let meant = |change: &str| kept.responses.iter().any(|it| it.planned.iter().any(|it| it.starts_with(change)));
    if let Some(hold) = kept.arn.as_deref().and_then(console_hold).filter(|_| meant("HoldConsole "))
        && !was_there("attached_policies", &hold)
        // Once somebody wrote something else into it, it is no hold.
        && now.is_held == Ok(true)
    {
        before.names.policies.retain(|it| *it != hold);
    }
    if before.boundary.as_deref() == Some(deny_all) && first.get("permissions_boundary").is_none_or(Value::is_object) {
        before.boundary = None;
        before.notes.push("the former permissions boundary is not known: `AWSDenyAll` stands there now".to_owned());
    }
    if meant("RevokeSessions ") {
        match &now.revoked_before {
            // Somebody wrote something else under its name since.
            Ok(_) if now.not_a_revocation.is_some() => {}
            Ok(_) => before.names.inline.retain(|it| it != REVOCATION_POLICY),
            Err(error) => {
                before.names.inline.retain(|it| it != REVOCATION_POLICY);
                before.unread.push(format!("inline policy {REVOCATION_POLICY} ({})", error.why));
            }
        }
        before.former = first.get(FORMER_REVOCATION).and_then(Value::as_str).map(str::to_owned);
    }
    before.notes.push(
        "judged as it was before containment, without what the responses put there; the texts of policies and groups are \
         those of now"
            .to_owned(),
    );
    before
}

/// The one that bounded it all the time: what was taken from it or exchanged since the first response bounds nothing.
fn boundary(former: Option<&Value>, now: &Observed, deny_all: &str, before: &mut Before) -> Option<String> {
    let now = now.profile.as_ref().map(|it| it.boundary.clone());
    match (former, now) {
        (Some(Value::Null), _) => None,
        (Some(Value::String(had)), Ok(now)) => match now {
            // Ours stands in its place.
            Some(now) if now == *had || now == deny_all => Some(had.clone()),
            now => {
                let since = now.map_or_else(|| "was taken away".to_owned(), |it| format!("was exchanged for {it}"));
                before.notes.push(format!(
                    "the permissions boundary {had} {since} since the first response: it bounds none of these answers"
                ));
                None
            }
        },
        (Some(Value::String(had)), Err(error)) => {
            let why = text::line(&error.why.to_string(), 200);
            before.notes.push(format!("permissions boundary as in the snapshot: now it is {why}"));
            Some(had.clone())
        }
        (_, Ok(now)) => now,
        (_, Err(error)) => {
            before.unread.push(format!("permissions boundary ({})", error.why));
            None
        }
    }
}

fn both(first: Option<&Value>, field: &str, now: &Read<Vec<String>>, before: &mut Before) -> Vec<String> {
    let former = first.and_then(|it| list(it, field));
    let mut names = former.clone().unwrap_or_default();
    match now {
        Ok(now) => {
            let new: Vec<_> = now.iter().filter(|it| !names.contains(it)).cloned().collect();
            names.extend(new);
        }
        Err(error) if former.is_none() => before.unread.push(format!("{error}")),
        Err(error) => before.notes.push(format!(
            "{} as in the snapshot: now it is {}",
            error.what,
            text::line(&error.why.to_string(), 200)
        )),
    }
    names
}

fn list(snapshot: &Value, field: &str) -> Option<Vec<String>> {
    let items = snapshot.get(field)?.as_array()?;
    Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::fixtures::observed;
    use crate::history::{Response, snapshot};
    use crate::identity::Unreadable;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

    fn kept(snapshot: Value) -> Kept {
        let response = Response::new("compromised-credential", "f", DateTime::from_secs(1), snapshot);
        Kept { responses: vec![response], ..Kept::default() }
    }

    #[test]
    fn what_containment_did_is_left_out_and_what_was_taken_is_there() {
        let mut now = observed();
        now.attached = Ok(vec![DENY_ALL.to_owned(), "arn:planted".to_owned()]);
        now.groups = Ok(Vec::new());
        let found = before(&kept(snapshot(&observed())), &now, DENY_ALL);
        assert_eq!(found.names.policies, ["arn:aws:iam::aws:policy/AdministratorAccess", "arn:planted"]);
        assert_eq!((found.names.groups, found.unread), (vec!["developers".to_owned()], Vec::new()));
        // Nobody contained it: a deny is somebody's.
        let found = before(&Kept::default(), &now, DENY_ALL);
        assert!(found.names.policies.contains(&DENY_ALL.to_owned()) && found.notes.is_empty());
        // It was there before.
        let found = before(&kept(snapshot(&now)), &now, DENY_ALL);
        assert!(found.names.policies.contains(&DENY_ALL.to_owned()));
    }

    #[test]
    fn the_hold_of_a_console_is_left_out_where_a_response_put_it_there() {
        let hold = "arn:aws:iam::111122223333:policy/SecurityRequireMfa";
        let mut now = observed();
        now.attached = Ok(vec![hold.to_owned()]);
        let mut kept = kept(snapshot(&observed()));
        kept.arn = Some("arn:aws:iam::111122223333:user/alice".to_owned());
        // Somebody else's.
        assert!(before(&kept, &now, DENY_ALL).names.policies.contains(&hold.to_owned()));
        kept.responses[0].planned.insert("HoldConsole alice".to_owned());
        // It says something else by now, or nobody knows what.
        assert!(before(&kept, &now, DENY_ALL).names.policies.contains(&hold.to_owned()));
        now.is_held = Err(Unreadable::not_read("hold"));
        assert!(before(&kept, &now, DENY_ALL).names.policies.contains(&hold.to_owned()));
        now.is_held = Ok(true);
        assert!(!before(&kept, &now, DENY_ALL).names.policies.contains(&hold.to_owned()));
        kept.responses[0].before = snapshot(&now);
        assert!(before(&kept, &now, DENY_ALL).names.policies.contains(&hold.to_owned()));
    }

    /// By the name alone nothing is ours.
    #[test]
    fn a_policy_that_bears_our_revocations_name_is_left_out_only_where_it_is_ours() {
        let mut now = observed();
        now.inline = Ok(vec![REVOCATION_POLICY.to_owned()]);
        let mut kept = kept(snapshot(&observed()));
        assert!(before(&kept, &now, DENY_ALL).names.inline.contains(&REVOCATION_POLICY.to_owned()));
        kept.responses[0].planned.insert("RevokeSessions app 2026-01-01T00:00:00Z".to_owned());
        assert!(!before(&kept, &now, DENY_ALL).names.inline.contains(&REVOCATION_POLICY.to_owned()));
        // What somebody wrote over it is no revocation.
        now.not_a_revocation = Some("{}".to_owned());
        assert!(before(&kept, &now, DENY_ALL).names.inline.contains(&REVOCATION_POLICY.to_owned()));
        (now.revoked_before, now.not_a_revocation) = (Err(Unreadable::not_read("revocation")), None);
        assert_eq!(before(&kept, &now, DENY_ALL).unread.len(), 1);
    }

    #[test]
    fn what_could_not_be_read_is_said() {
        let nothing = Observed::nothing_read();
        assert_eq!(before(&Kept::default(), &nothing, DENY_ALL).unread.len(), 4);
        let found = before(&kept(snapshot(&observed())), &nothing, DENY_ALL);
        assert_eq!((found.unread.len(), found.notes.len()), (0, 4));
        let mut groups = observed();
        groups.groups = Err(Unreadable::not_read("groups"));
        assert_eq!(before(&Kept::default(), &groups, DENY_ALL).unread, ["groups (not read yet)"]);
    }

    #[test]
    fn the_former_boundary_counts() {
        let mut had = observed();
        had.profile.as_mut().unwrap().boundary = Some("arn:own".to_owned());
        let mut now = observed();
        now.profile.as_mut().unwrap().boundary = Some(DENY_ALL.to_owned());
        assert_eq!(before(&kept(snapshot(&had)), &now, DENY_ALL).boundary.as_deref(), Some("arn:own"));
        assert_eq!(before(&kept(snapshot(&observed())), &now, DENY_ALL).boundary, None);
        let unknown = before(&kept(snapshot(&Observed::nothing_read())), &now, DENY_ALL);
        assert!(unknown.boundary.is_none() && unknown.notes.iter().any(|it| it.contains("boundary is not known")));
    }

    /// The list of what it had is both of before and now; the boundary too must not be better than what is there.
    #[test]
    fn a_boundary_that_was_taken_away_since_the_first_response_bounds_nothing() {
        let mut had = observed();
        had.profile.as_mut().unwrap().boundary = Some("arn:own".to_owned());
        let response = Response::new("missing-mfa", "f", DateTime::from_secs(1), snapshot(&had));
        let kept = Kept { responses: vec![response], ..Kept::default() };
        let mut now = observed();
        for boundary in [None, Some("arn:wider")] {
            now.profile.as_mut().unwrap().boundary = boundary.map(str::to_owned);
            let found = before(&kept, &now, DENY_ALL);
            assert_eq!(found.boundary, None);
            assert!(found.notes.iter().any(|it| it.contains("arn:own") && it.contains("bounds none")), "{found:?}");
        }
        now.profile.as_mut().unwrap().boundary = Some("arn:own".to_owned());
        assert_eq!(before(&kept, &now, DENY_ALL).boundary.as_deref(), Some("arn:own"));
    }
}
