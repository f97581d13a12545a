//! What decided about an identity before it was contained: from its snapshots and what is found now, without what our
//! own responses put there.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::document::{Denies, Policy};
use crate::change::{REVOCATION_POLICY, console_hold};
use crate::history::{CONTENTS, DENY_UNCLEAR, FORMER_REVOCATION, Kept, Response, cut_policy};
use crate::identity::{Observed, PolicyNames, Read, is_aws_own};
use crate::text;

/// What is to be read, and what is to be said about it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// The permissions boundary apart.
    pub names: PolicyNames,
    pub boundary: Option<String>,
    /// Those of the names that came since the first response: what they deny came too late.
    pub since: PolicyNames,
    /// Those of which nobody knows whether they did.
    pub undated: PolicyNames,
    /// What each policy and group said when a response found it, as `Contents`; `None`: that was not kept.
    pub contents: BTreeMap<String, BTreeSet<Option<String>>>,
    /// An inline policy whose text only the snapshot has.
    pub former: Option<String>,
    pub notes: Vec<String>,
    /// Lists that could not be read.
    pub unread: Vec<String>,
    /// What was there before and can't be told from what is there now, in words: with it, "no" is not known.
    pub unknown: Vec<String>,
}

/// Why what a policy or a group says now may not be what it said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    Edited,
    /// Nobody knows: what it said is in no snapshot.
    NotKept,
}

/// One of the lists.
type Of = fn(&mut PolicyNames) -> &mut Vec<String>;

impl Before {
    /// The policy with as much of it as counts: what came since can only add to what the identity could do before.
    pub fn dated(&self, policy: Policy) -> Policy {
        let (list, name) = place(&policy);
        let is_in = |names: &PolicyNames| list(names).iter().any(|it| it == name);
        match (is_in(&self.since), is_in(&self.undated) || self.changed(&policy).is_some()) {
            (true, _) => policy.with_denies(Denies::TooLate),
            (_, true) => policy.with_denies(Denies::Undated),
            _ => policy,
        }
    }

    /// Which policy or group may say something else than a response found, if one may.
    pub fn changed(&self, policy: &Policy) -> Option<(Changed, String)> {
        let kind = match (&policy.origin.group, policy.origin.kind) {
            (Some(_), _) => "group",
            (None, "boundary") => "policy",
            (None, kind) => kind,
        };
        self.differs(format!("{kind} {}", place(policy).1), policy.fingerprint.as_ref()?)
    }

    /// By its kind and name. A group of which nothing is left differs too.
    pub fn differs(&self, words: String, fingerprint: &str) -> Option<(Changed, String)> {
        let had = self.contents.get(&words)?;
        let is_edited = had.iter().flatten().any(|it| it != fingerprint);
        let changed = if is_edited { Some(Changed::Edited) } else { had.contains(&None).then_some(Changed::NotKept) };
        Some((changed?, words))
    }

    /// What they allowed may be gone by now: with one of them, "no" is not known.
    pub fn doubt(&mut self, changed: &BTreeSet<(Changed, String)>) {
        for (why, words) in [
            (Changed::Edited, "what these said before containment: they were edited since a response found them"),
            (
                Changed::NotKept,
                "what these said before containment: no response kept it, and they may have been edited",
            ),
        ] {
            let these: Vec<_> = changed.iter().filter(|it| it.0 == why).map(|it| it.1.as_str()).collect();
            if !these.is_empty() {
                self.unknown.push(format!("{words}: {}", text::line(&these.join(", "), 500)));
            }
        }
    }

    /// What one response found them to say. Everybody has the same of AWS's own.
    fn add_contents(&mut self, found: &Value) {
        let none = Map::new();
        let contents = found.get(CONTENTS).and_then(Value::as_object).unwrap_or(&none);
        let boundary = found.get("permissions_boundary").and_then(Value::as_str).map(str::to_owned);
        let policies = list(found, "attached_policies").unwrap_or_default().into_iter().chain(boundary);
        let of = |kind: &'static str, names: Vec<String>| names.into_iter().map(move |it| format!("{kind} {it}"));
        let all = of("policy", policies.filter(|it| !is_aws_own(it)).collect())
            .chain(of("inline policy", list(found, "inline_policies").unwrap_or_default()))
            .chain(of("group", list(found, "groups").unwrap_or_default()));
        for words in all {
            let said = contents.get(&words).and_then(Value::as_str).map(str::to_owned);
            self.contents.entry(words).or_default().insert(said);
        }
    }

    /// Of what is left in the lists.
    fn note_later(&mut self) {
        for (later, words) in [
            (&self.since, "came since the first response, and what they deny is left out"),
            (&self.undated, "may have come since the first response, and what they deny depends on that"),
        ] {
            let of = [
                (&later.policies, &self.names.policies, "policy"),
                (&later.inline, &self.names.inline, "inline policy"),
                (&later.groups, &self.names.groups, "group"),
            ];
            let left = of.into_iter().flat_map(|(later, names, kind)| {
                later.iter().filter(move |it| names.contains(it)).map(move |it| format!("{kind} {it}"))
            });
            let left: Vec<_> = left.collect();
            if !left.is_empty() {
                self.notes.push(format!("these {words}: {}", text::line(&left.join(", "), 500)));
            }
        }
    }
}

/// The list in which it is named, and by what.
fn place(policy: &Policy) -> (fn(&PolicyNames) -> &Vec<String>, &String) {
    match (&policy.origin.group, policy.origin.kind) {
        (Some(group), _) => (|it| &it.groups, group),
        (None, "inline policy") => (|it| &it.inline, &policy.origin.name),
        _ => (|it| &it.policies, &policy.origin.name),
    }
}

/// Both what it had before each response and what it has now: an attacker may have taken more meanwhile, and something
/// out since.
pub fn before(kept: &Kept, now: &Observed, deny_all: &str) -> Before {
    let first = kept.responses.first().map(|it| &it.before);
    let mut before = Before::default();
    all(&kept.responses, ("attached_policies", &now.attached), |it| &mut it.policies, &mut before);
    all(&kept.responses, ("inline_policies", &now.inline), |it| &mut it.inline, &mut before);
    all(&kept.responses, ("groups", &now.groups), |it| &mut it.groups, &mut before);
    before.boundary = boundary(&kept.responses, now, deny_all, &mut before);
    let Some(first) = first else { return before };
    kept.responses.iter().for_each(|it| before.add_contents(&it.before));
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
        && before.names.policies.contains(&hold)
    {
        // Once somebody wrote something else into it, it is no hold.
        if now.is_held != Ok(false) {
            before.names.policies.retain(|it| *it != hold);
        }
        before.unread.extend(now.is_held.as_ref().err().map(|it| format!("policy {hold} ({})", it.why)));
    }
    if before.boundary.as_deref() == Some(deny_all) && first.get("permissions_boundary").is_none_or(Value::is_object) {
        before.boundary = None;
        before.notes.push("the former permissions boundary is not known: `AWSDenyAll` stands there now".to_owned());
    }
    if meant("RevokeSessions ") {
        // We write over it: what it said is kept as it was.
        before.contents.remove(&format!("inline policy {REVOCATION_POLICY}"));
        let former = first.get(FORMER_REVOCATION).and_then(Value::as_str);
        let text = now.not_a_revocation.as_deref().map(cut_policy);
        match &now.revoked_before {
            // Nobody wrote over it.
            Ok(_) if text.is_some() && text.as_deref() == former => {}
            // Somebody wrote something else under its name since.
            Ok(_) if text.is_some() => before.since.inline.push(REVOCATION_POLICY.to_owned()),
            Ok(_) => before.names.inline.retain(|it| it != REVOCATION_POLICY),
            Err(error) => {
                before.names.inline.retain(|it| it != REVOCATION_POLICY);
                before.unread.push(format!("inline policy {REVOCATION_POLICY} ({})", error.why));
            }
        }
        before.former = former.map(str::to_owned);
    }
    before.note_later();
    before.notes.push(
        "judged as it was before containment, without what the responses put there; the texts of policies and groups are \
         those of now"
            .to_owned(),
    );
    before
}

/// The one that bounded it all the time: what was taken from it or exchanged since the first response bounds nothing.
fn boundary(responses: &[Response], now: &Observed, deny_all: &str, before: &mut Before) -> Option<String> {
    let first = responses.first().map(|it| &it.before);
    let former = first.and_then(|it| it.get("permissions_boundary"));
    let is_same = responses.iter().all(|it| it.before.get("permissions_boundary") == former);
    let now = now.profile.as_ref().map(|it| it.boundary.clone());
    match (former, now) {
        (Some(Value::Null), _) => None,
        (Some(Value::String(had)), _) if !is_same => {
            before.notes.push(format!(
                "the permissions boundary {had} was not seen at every response: it bounds none of these answers"
            ));
            None
        }
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
        (_, Ok(Some(now))) if first.is_some() && now != deny_all => {
            before.notes.push(format!(
                "whether the permissions boundary {now} was there before containment is not known: it bounds none of \
                 these answers"
            ));
            None
        }
        (_, Ok(now)) => now,
        (_, Err(error)) => {
            before.unread.push(format!("permissions boundary ({})", error.why));
            None
        }
    }
}

fn all(responses: &[Response], (field, now): (&str, &Read<Vec<String>>), of: Of, before: &mut Before) {
    let found: Vec<_> = responses.iter().map(|it| list(&it.before, field)).collect();
    let had = found.first().cloned().flatten();
    let mut names: Vec<String> = Vec::new();
    for name in found.iter().flatten().flatten().chain(now.iter().flatten()) {
        if !names.contains(name) {
            names.push(name.clone());
        }
    }
    let new = names.iter().filter(|it| !had.iter().flatten().any(|had| had == *it)).cloned().collect();
    *of(&mut before.names) = names;
    match (responses.first(), &had) {
        (None, _) => {}
        (Some(_), Some(_)) => *of(&mut before.since) = new,
        (Some(_), None) => *of(&mut before.undated) = new,
    }
    if found.contains(&None) {
        // What was among them and is not any more nobody knows.
        let field = field.replace('_', " ");
        before.unknown.push(format!("which {field} it had before containment: a response could not read them"));
    }
    match now {
        Ok(_) => {}
        Err(error) if had.is_none() => before.unread.push(format!("{error}")),
        Err(error) => before.notes.push(format!(
            "{} as in the snapshot: now it is {}",
            error.what,
            text::line(&error.why.to_string(), 200)
        )),
    }
}

fn list(snapshot: &Value, field: &str) -> Option<Vec<String>> {
    let items = snapshot.get(field)?.as_array()?;
    Some(items.iter().filter_map(Value::as_str).map(str::to_owned).collect())
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use serde_json::json;

    use super::super::answer::{Answer, Holdings};
    use super::*;
    use crate::fixtures::observed;
    use crate::history::{Response, snapshot};
    use crate::identity::Unreadable;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
    const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";
    const ALL: &str = r#"{"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*", "Resource": "*"}}"#;

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
    fn what_came_since_adds_what_it_allows_and_takes_nothing_by_what_it_denies() {
        let both = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
            {"Effect": "Deny", "Action": "s3:*", "Resource": "*"},
        ]});
        let policy = |kind, name: &str, group| Policy::new(kind, name, group, &both.to_string());
        let mut now = observed();
        now.attached.as_mut().unwrap().push("arn:late".to_owned());
        now.inline.as_mut().unwrap().push("late".to_owned());
        now.groups.as_mut().unwrap().push("late".to_owned());
        let answer = |before: &Before, policy: Policy| {
            let policies = vec![before.dated(policy), Policy::new("policy", "arn:all", None, ALL)];
            Holdings { policies, ..Holdings::default() }.may("s3:GetObject", "arn:aws:s3:::b/k").answer
        };
        let late = [
            policy("policy", "arn:late", None),
            policy("inline policy", "late", None),
            policy("policy", "arn:any", Some("late")),
        ];
        let found = before(&kept(snapshot(&observed())), &now, DENY_ALL);
        assert!(
            found.notes.iter().any(|it| it.contains("policy arn:late, inline policy late, group late")),
            "{found:?}"
        );
        for one in late.clone() {
            assert_eq!(answer(&found, one.clone()), Answer::Yes);
            assert!(found.dated(one).allowing().unwrap().contains("iam:*"));
        }
        // What it had before stays whole.
        assert_eq!(answer(&found, policy("policy", "arn:any", Some("developers"))), Answer::No);
        // When it came nobody knows.
        let undated = before(&kept(snapshot(&Observed::nothing_read())), &now, DENY_ALL);
        assert!(late.clone().into_iter().all(|it| answer(&undated, it) == Answer::Depends));
        // Nobody contained it: all of it is its own.
        let own = before(&Kept::default(), &now, DENY_ALL);
        assert!(late.into_iter().all(|it| answer(&own, it) == Answer::No));
    }

    #[test]
    fn what_was_edited_since_or_is_not_known_denies_nothing_surely() {
        let mut had = observed();
        (had.attached, had.inline) = (Ok(vec!["arn:own".to_owned(), ADMINISTRATOR.to_owned()]), Ok(Vec::new()));
        had.contents = Ok([("policy arn:own".to_owned(), "ANPA v1".to_owned())].into());
        let version = |version: &str, kind| {
            let print = Some(format!("ANPA {version}"));
            Policy { fingerprint: print, ..Policy::new(kind, "arn:own", None, "{}") }
        };
        let mut kept = kept(snapshot(&had));
        let found = before(&kept, &observed(), DENY_ALL);
        assert_eq!(found.changed(&version("v1", "policy")), None);
        for kind in ["policy", "boundary"] {
            let changed = found.changed(&version("v2", kind));
            assert_eq!(changed, Some((Changed::Edited, "policy arn:own".to_owned())));
        }
        assert_eq!(found.dated(version("v1", "policy")).denies, Denies::Count);
        assert_eq!(found.dated(version("v2", "policy")).denies, Denies::Undated);
        // Whichever response found something else.
        let mut then = had.clone();
        then.contents = Ok([("policy arn:own".to_owned(), "ANPA v2".to_owned())].into());
        kept.responses.push(Response { before: snapshot(&then), ..kept.responses[0].clone() });
        let found = before(&kept, &observed(), DENY_ALL);
        assert_eq!(found.changed(&version("v1", "policy")).unwrap().0, Changed::Edited);
        then.contents = Err(Unreadable::not_read("contents"));
        kept.responses[1].before = snapshot(&then);
        let mut found = before(&kept, &observed(), DENY_ALL);
        let changed = found.changed(&version("v1", "policy")).unwrap();
        assert_eq!((changed.0, found.dated(version("v1", "policy")).denies), (Changed::NotKept, Denies::Undated));
        found.doubt(&[changed, (Changed::Edited, "group admins".to_owned())].into());
        let unknown = &found.unknown;
        assert!(unknown[0].ends_with("response found them: group admins"), "{unknown:?}");
        assert!(unknown[1].ends_with("may have been edited: policy arn:own"), "{unknown:?}");
        // AWS's own are the same for everybody.
        assert!(!found.contents.contains_key(&format!("policy {ADMINISTRATOR}")));
    }

    #[test]
    fn a_group_of_which_nothing_is_left_is_another() {
        let mut had = observed();
        had.contents = Ok([("group developers".to_owned(), "then".to_owned())].into());
        let found = before(&kept(snapshot(&had)), &observed(), DENY_ALL);
        let group = || "group developers".to_owned();
        assert_eq!(found.differs(group(), "nothing"), Some((Changed::Edited, group())));
        assert_eq!(found.differs(group(), "then"), None);
        assert_eq!(found.differs("group late".to_owned(), "any"), None);
    }

    /// Given between two responses, and taken away after the second.
    #[test]
    fn what_only_a_later_response_found_is_there_as_well() {
        let mut then = observed();
        then.attached.as_mut().unwrap().push("arn:meanwhile".to_owned());
        let mut kept = kept(snapshot(&observed()));
        kept.responses.push(Response { before: snapshot(&then), ..kept.responses[0].clone() });
        let found = before(&kept, &observed(), DENY_ALL);
        assert_eq!(found.names.policies, [ADMINISTRATOR, "arn:meanwhile"]);
        assert_eq!(found.since.policies, ["arn:meanwhile"]);
        assert_eq!((found.unknown.len(), found.names.groups), (0, vec!["developers".to_owned()]));
    }

    #[test]
    fn of_a_list_that_no_response_could_read_no_no_is_known() {
        let found = before(&kept(snapshot(&Observed::nothing_read())), &observed(), DENY_ALL);
        assert_eq!((found.unknown.len(), found.unread.len()), (3, 0));
        assert!(found.unknown[0].starts_with("which attached policies it had"), "{found:?}");
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
        // It says something else by now. Where nobody knows what, that is said, and it is none of its own.
        assert!(before(&kept, &now, DENY_ALL).names.policies.contains(&hold.to_owned()));
        now.is_held = Err(Unreadable::not_read("hold"));
        let unknown = before(&kept, &now, DENY_ALL);
        assert!(!unknown.names.policies.contains(&hold.to_owned()) && unknown.unread.len() == 1, "{unknown:?}");
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
        // What somebody wrote over it is no revocation, and came since.
        now.not_a_revocation = Some("{}".to_owned());
        let over = before(&kept, &now, DENY_ALL);
        let name = REVOCATION_POLICY.to_owned();
        assert!(over.names.inline.contains(&name) && over.since.inline.contains(&name), "{over:?}");
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
        now.profile.as_mut().unwrap().boundary = Some("arn:some".to_owned());
        let undated = before(&kept(snapshot(&Observed::nothing_read())), &now, DENY_ALL);
        assert!(
            undated.boundary.is_none() && undated.notes.iter().any(|it| it.contains("boundary arn:some was there"))
        );
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
        // Put back after a later response found it without.
        let mut between = kept.clone();
        between.responses.push(Response { before: snapshot(&observed()), ..kept.responses[0].clone() });
        let found = before(&between, &now, DENY_ALL);
        assert!(found.boundary.is_none() && found.notes[0].contains("not seen at every response"), "{found:?}");
    }
}
