//! What became of those whom a flagged credential made: what the record of each says now, and whether a restore of who
//! made it takes that back.
//!
//! INVARIANT: nobody is taken for a child but by its own record, and none comes back with another response than the one
//! it follows from. `tests/test_children_restored.py` holds it.

use aws_smithy_types::DateTime;
use serde_json::Value;

use crate::child::{Child, Link, Parent};
use crate::history::{Kept, Response};
use crate::ids::{AccessKeyId, AccountId, UniqueId};
use crate::text;

/// What is known of one of them.
#[derive(Debug, Clone, PartialEq)]
pub enum Became {
    /// The user is contained by this response, and for nothing else.
    Contained { response: String, parent: Parent },
    /// It is contained, and not for this alone: why, in words.
    Otherwise(String),
    /// The key was deactivated: by what, in words.
    Deactivated(String),
    /// A person took it back: when and who, in words.
    Restored(String),
    /// Nothing of it is in force: it was declined, or has not come to it.
    Nothing,
    /// Its record could not be read: why.
    Unread(String),
}

impl Became {
    /// `kept`: the user's own record.
    pub fn of_user(child: &Child, maker: &UniqueId, account: &AccountId, kept: &Kept) -> Self {
        let parent = kept.parents.iter().find(|it| it.event == child.event && it.id == *maker);
        let finding = finding(child, account);
        let is_own = |it: &&Response| it.finding == text::tag_value(&finding);
        let others: Vec<_> = kept.responses.iter().filter(|it| !is_own(it)).map(named).collect();
        let own = kept.responses.iter().find(is_own);
        match (own, parent) {
            _ if !others.is_empty() => {
                Self::Otherwise(format!("it is contained for something else: {}", others.join(", ")))
            }
            (Some(own), Some(parent)) => match beside(own, &finding, kept) {
                Some(why) => Self::Otherwise(why),
                None => Self::Contained { response: own.id.clone(), parent: parent.clone() },
            },
            (Some(own), None) => Self::Otherwise(format!("its record does not say who made it: {}", named(own))),
            (None, _) if kept.is_begun => Self::Otherwise("a response to it has begun, and has not ended".to_owned()),
            (None, Some(_)) => restored(kept).map_or(Self::Nothing, Self::Restored),
            (None, None) => Self::Nothing,
        }
    }

    /// `kept`: the record of the key's owner.
    pub fn of_key(key: &AccessKeyId, kept: &Kept) -> Self {
        let names = |it: &str| it.split([' ', '/']).any(|it| it == key.as_str());
        let takes = |it: &&Response| it.planned.iter().any(|it| it.starts_with(DEACTIVATES) && names(it));
        let response = kept.responses.iter().find(takes);
        let word = |it: &Value, field: &str| it.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let mut applied = kept.applied.iter().filter(|it| word(it, "outcome") == "applied");
        let is_applied = applied.any(|it| word(it, "action") == DEACTIVATES && names(&word(it, "target")));
        match response {
            Some(it) if is_applied || it.verdict.is_some_and(|it| it.is_success()) => {
                Self::Deactivated(format!("it was deactivated by {}", it.id))
            }
            Some(it) => Self::Otherwise(format!("{} has not been seen to deactivate it", it.id)),
            None if is_applied => Self::Deactivated("it was deactivated by a response that was taken back".to_owned()),
            None => Self::Nothing,
        }
    }

    pub fn is_in_force(&self) -> bool {
        matches!(self, Self::Contained { .. } | Self::Otherwise(_) | Self::Deactivated(_))
    }

    /// For people, where there is something to tell.
    pub fn words(&self) -> Option<String> {
        match self {
            Self::Contained { response, .. } => Some(format!("it is contained by {response}")),
            Self::Otherwise(why) => Some(why.clone()),
            Self::Deactivated(by) => Some(format!("{by}, and stays inactive: no restore activates a key")),
            Self::Unread(why) => Some(format!("whether it is contained could not be read ({why})")),
            Self::Restored(_) | Self::Nothing => None,
        }
    }
}

const DEACTIVATES: &str = "DeactivateAccessKey";

/// As `evidence::children::finding` calls it.
fn finding(child: &Child, account: &AccountId) -> String {
    format!("child/{account}/{}", child.event)
}

fn named(it: &Response) -> String {
    format!("{} (finding {})", it.id, it.finding)
}

/// What else the one response to it answered: a response of one playbook is the same for all that comes later.
fn beside(own: &Response, finding: &str, kept: &Kept) -> Option<String> {
    if let Some(other) = kept.answered.beside(&own.id, finding) {
        return Some(format!("it is contained for something else as well: {} (finding {})", own.id, other.finding));
    }
    let is_unsure = kept.is_begun || kept.answered.are_unsure();
    is_unsure.then(|| format!("it may be contained for something else as well: {}", own.id))
}

fn restored(kept: &Kept) -> Option<String> {
    let it = kept.restored.as_ref()?;
    Some(format!("restored at {} by {}", DateTime::from_millis(it.at), it.by))
}

/// Whether somebody comes back with the response that was taken back; otherwise why not. `maker`: the record of who made
/// it, as it is after that. `taken`: the response; `None` where nothing is in force any more. `line`: by which its maker
/// came back; none where the restore is about the maker itself.
pub fn follows(parent: &Parent, maker: &Kept, taken: Option<&str>, line: Option<&[Link]>) -> Result<(), String> {
    let of = parent.line.split_last().filter(|(last, _)| last.id == parent.id);
    let Some((Link { response, .. }, before)) = of else {
        return Err("its record does not say from which response it follows".to_owned());
    };
    if line.is_some_and(|it| it != before) {
        return Err("it follows from another finding than who made it".to_owned());
    }
    let is_taken = taken.is_some_and(|it| it == response);
    if !is_taken && maker.responses.iter().any(|it| it.id == *response) {
        return Err(format!("it follows from {response}, which stays in force"));
    }
    match taken {
        Some(_) if !is_taken => Err(format!("it follows from {response}, which was taken back before")),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::answered::Answered;
    use crate::child::Made;
    use crate::fixtures::parsed;
    use crate::history::Restoration;
    use crate::verdict::Verdict;

    const EVENT: &str = "0e1f2a3b-0000-4000-8000-000000000001";
    const KEY: &str = "AKIAPLANTED000EXAMPL";

    fn child() -> Child {
        Child {
            event: EVENT.to_owned(),
            made: Made::User { id: parsed("AIDAMALLORY000EXAMPLE"), name: parsed("mallory") },
        }
    }

    fn link(response: &str) -> Link {
        Link { id: parsed("AIDACKCEVSQ6C2EXAMPLE"), response: response.to_owned() }
    }

    fn parent() -> Parent {
        Parent {
            id: parsed("AIDACKCEVSQ6C2EXAMPLE"),
            name: parsed("alice"),
            access_key: parsed("AKIAIOSFODNN7EXAMPLE"),
            finding: "f1".to_owned(),
            event: EVENT.to_owned(),
            line: vec![link("compromised-credential@1970-01-01T00:00:01Z")],
        }
    }

    fn response(playbook: &str, finding: &str, at: i64) -> Response {
        Response::new(playbook, finding, DateTime::from_secs(at), Value::Null)
    }

    fn own() -> Response {
        response("unauthorized-user", &format!("child/111122223333/{EVENT}"), 100)
    }

    fn became(change: impl Fn(&mut Kept)) -> Became {
        let mut kept = Kept { responses: vec![own()], parents: vec![parent()], ..Kept::default() };
        change(&mut kept);
        Became::of_user(&child(), &parent().id, &parsed("111122223333"), &kept)
    }

    fn answered(kept: &mut Kept, response: &Response, finding: &str) {
        kept.answered = std::mem::take(&mut kept.answered).with(Answered::new(&response.id, finding));
    }

    #[test]
    fn a_child_is_one_that_is_contained_for_that_alone() {
        let contained = Became::Contained { response: own().id, parent: parent() };
        assert_eq!(became(|_| {}), contained);
        assert_eq!(became(|it| answered(it, &own(), &format!("child/111122223333/{EVENT}"))), contained);
        let of_old = response("overprivileged-user", "f9", 1);
        assert_eq!(became(|it| answered(it, &of_old, "f9")), contained);
    }

    #[test]
    fn whoever_is_contained_for_more_or_for_something_else_is_none() {
        let command = response("compromised-credential", "command/contain", 200);
        let changes: [&dyn Fn(&mut Kept); 7] = [
            &|it| it.responses.push(command.clone()),
            &|it| it.responses = vec![command.clone()],
            &|it| answered(it, &own(), "command/contain"),
            &|it| it.answered.has_others = true,
            &|it| it.parents.clear(),
            &|it| it.parents[0].id = parsed("AIDAOTHEROTHEROTHER00"),
            &|it| (0..30).for_each(|n| answered(it, &response("unused-user", "f", 300 + n), "f")),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            assert!(matches!(became(change), Became::Otherwise(_)), "{n}");
        }
    }

    #[test]
    fn nothing_is_said_of_whom_nobody_contained() {
        let restored = |it: &mut Kept| {
            let (by, reason) = ("Dana".to_owned(), String::new());
            it.restored = Some(Restoration { at: 0, by, reason, applied: Vec::new(), given_back: Vec::new() });
            it.responses.clear();
        };
        assert_eq!(became(restored), Became::Restored("restored at 1970-01-01T00:00:00Z by Dana".to_owned()));
        assert_eq!(became(|it| it.responses.clear()), Became::Nothing);
        assert_eq!(became(|it| *it = Kept::default()), Became::Nothing);
        assert_eq!((became(restored).words(), Became::Nothing.words()), (None, None));
        assert!(matches!(became(|it| (it.responses.clear(), it.is_begun = true).1), Became::Otherwise(_)));
    }

    #[test]
    fn a_key_is_inactive_where_its_owners_record_says_so() {
        let of = |planned: &str, verdict, applied: Value| {
            let mut it = response("planted-key", "f", 100);
            (it.planned, it.verdict) = ([planned.to_owned()].into(), verdict);
            Became::of_key(&parsed(KEY), &Kept { responses: vec![it], applied: vec![applied], ..Kept::default() })
        };
        let (deactivates, done) = (format!("{DEACTIVATES} {KEY}"), Some(Verdict::Contained));
        let applied = json!({"action": DEACTIVATES, "target": KEY, "outcome": "applied"});
        assert!(matches!(of(&deactivates, done, Value::Null), Became::Deactivated(_)));
        assert!(matches!(of(&deactivates, None, Value::Null), Became::Otherwise(_)));
        assert!(matches!(of(&deactivates, None, applied.clone()), Became::Deactivated(_)));
        assert!(matches!(of("Tag user/alice", done, applied), Became::Deactivated(_)));
        assert_eq!(of(&format!("{DEACTIVATES} AKIAOTHEROTHEROTHER0"), done, Value::Null), Became::Nothing);
    }

    #[test]
    fn a_child_comes_back_with_the_response_that_it_follows_from_and_with_no_other() {
        let (first, other) = (response("compromised-credential", "f1", 1), response("overprivileged-user", "f2", 2));
        let with = |in_force: &[&Response], taken: Option<&Response>| {
            let maker = Kept { responses: in_force.iter().map(|it| (*it).clone()).collect(), ..Kept::default() };
            follows(&parent(), &maker, taken.map(|it| it.id.as_str()), None).is_ok()
        };
        assert!(with(&[], Some(&first)) && with(&[&other], Some(&first)) && with(&[], None));
        assert!(!with(&[&first], Some(&other)) && !with(&[], Some(&other)));
        // A dry run takes nothing.
        assert!(with(&[&first, &other], Some(&first)) && !with(&[&first, &other], Some(&other)));
    }

    #[test]
    fn whose_record_does_not_say_what_it_follows_from_comes_back_with_nothing() {
        let of = |line| follows(&Parent { line, ..parent() }, &Kept::default(), None, None).is_ok();
        assert!(of(parent().line) && !of(Vec::new()));
        assert!(!of(vec![Link { id: parsed("AIDAOTHEROTHEROTHER00"), ..link("r") }]));
    }

    #[test]
    fn a_child_of_a_child_comes_back_in_its_own_line_only() {
        let (maker, first) = (Kept::default(), Link { id: parsed("AIDAOTHEROTHEROTHER00"), ..link("r") });
        let eve = Parent { line: [vec![first.clone()], parent().line].concat(), ..parent() };
        let of = |line: Option<&[Link]>| follows(&eve, &maker, None, line).is_ok();
        assert_eq!((of(None), of(Some(&[first])), of(Some(&[link("r")])), of(Some(&[]))), (true, true, false, false));
    }
}
