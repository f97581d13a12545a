//! Which response a restore takes back, and which stay in force.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::history::{Kept, Response};
use crate::identity::{Observed, PolicyNames, Read};

/// One response to take back, and those that stay in force.
#[derive(Debug, Clone, PartialEq)]
pub struct Taken {
    pub response: Response,
    /// The oldest first.
    pub left: Vec<Response>,
    /// What earlier restores gave back while this one was in force.
    pub given_back: BTreeSet<String>,
    /// When the identity was responded to last, in milliseconds since 1970.
    pub last_seen: i64,
    /// What this restore did until now, as `Change::words_of_record`.
    pub done: BTreeSet<String>,
}

/// The response that a person names, or else the last; `None` when there is none. An error says which there are.
pub fn choose(kept: &Kept, named: Option<&str>) -> Result<Option<Taken>, String> {
    let is_chosen = |it: &Response| named.is_none_or(|id| it.id == id);
    let Some(chosen) = kept.responses.iter().rposition(is_chosen) else {
        let known: Vec<_> = kept.responses.iter().map(|it| format!("`{}`", it.id)).collect();
        return match named {
            Some(_) if known.is_empty() => Err("no response to it is in force".to_owned()),
            Some(_) => Err(format!("it is none of the responses in force: {}", known.join(", "))),
            None => Ok(None),
        };
    };
    let mut left = kept.responses.clone();
    let response = left.remove(chosen);
    let last_seen = kept.last_seen.unwrap_or_default().max(response.at);
    Ok(Some(Taken { response, left, given_back: kept.given_back.clone(), last_seen, done: BTreeSet::new() }))
}

impl Taken {
    /// The access keys that it had.
    pub fn keys(&self) -> Vec<String> {
        ids(&self.response.before, "access_keys").unwrap_or_default()
    }

    /// As a restore of it keeps what it gave back: with when it began, because what came between two responses was
    /// no state before the first.
    pub fn gave_back(&self, words: &str) -> String {
        format!("{} {words}", self.response.at)
    }

    /// Whether a response that began before this one was taken back with it.
    pub(super) fn was_given_back(&self, words: &str) -> bool {
        let is_older = |at: &str| at.parse::<i64>().is_ok_and(|at| at < self.response.at);
        self.given_back.iter().filter_map(|it| it.split_once(' ')).any(|(at, given)| given == words && is_older(at))
    }

    /// What stays in force, in words.
    pub fn others(&self) -> Vec<String> {
        self.left.iter().map(|it| format!("{} (finding {})", it.id, it.finding)).collect()
    }

    /// What to compare with the snapshot: what is there now, and what was there and may come back.
    pub fn policy_names(&self, now: &Observed) -> Read<PolicyNames> {
        let mut all = now.policy_names()?;
        let before = &self.response.before;
        let boundary = before.get("permissions_boundary").and_then(Value::as_str).map(str::to_owned);
        let policies = names(before, "attached_policies").unwrap_or_default().into_iter().chain(boundary);
        all.policies.extend(policies.filter(|it| !now.attached.iter().flatten().any(|now| now == it)));
        all.policies.sort();
        all.policies.dedup();
        let groups = names(before, "groups").unwrap_or_default().into_iter();
        let missing: Vec<_> = groups.filter(|it| !all.groups.contains(it)).collect();
        all.groups.extend(missing);
        Ok(all)
    }
}

/// Absent when it could not be read at the time.
pub(super) fn names(before: &Value, field: &str) -> Option<Vec<String>> {
    before.get(field)?.as_array()?.iter().map(|it| it.as_str().map(str::to_owned)).collect()
}

pub(super) fn ids(before: &Value, field: &str) -> Option<Vec<String>> {
    before.get(field)?.as_array()?.iter().map(|it| it.get("id")?.as_str().map(str::to_owned)).collect()
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;
    use serde_json::json;

    use super::*;
    use crate::fixtures::observed;
    use crate::history;

    fn response(at: i64) -> Response {
        Response::new("unused-user", "f", DateTime::from_secs(at), history::snapshot(&observed()))
    }

    fn kept(last_seen: Option<i64>) -> Kept {
        Kept { responses: vec![response(1), response(2)], last_seen, ..Kept::default() }
    }

    #[test]
    fn the_last_is_taken_back_or_the_one_that_is_named() {
        let kept = kept(Some(9_000));
        let last = choose(&kept, None).unwrap().unwrap();
        assert_eq!((last.response.at, last.left.len(), last.left[0].at, last.last_seen), (2_000, 1, 1_000, 9_000));
        assert_eq!(last.others(), ["unused-user@1970-01-01T00:00:01Z (finding f)"]);
        let first = choose(&kept, Some("unused-user@1970-01-01T00:00:01Z")).unwrap().unwrap();
        assert_eq!((first.response.at, first.left[0].at), (1_000, 2_000));
        let known = choose(&kept, Some("x")).unwrap_err();
        assert!(known.ends_with("`unused-user@1970-01-01T00:00:01Z`, `unused-user@1970-01-01T00:00:02Z`"), "{known}");
        let none = Kept::default();
        assert_eq!(
            (choose(&none, None), choose(&none, Some("x"))),
            (Ok(None), Err("no response to it is in force".to_owned()))
        );
    }

    #[test]
    fn it_was_responded_to_last_when_this_one_began_or_later() {
        let seen = |last_seen| choose(&kept(last_seen), None).unwrap().unwrap().last_seen;
        assert_eq!((seen(None), seen(Some(1)), seen(Some(2_001))), (2_000, 2_000, 2_001));
    }

    #[test]
    fn what_was_given_back_counts_where_its_response_was_older() {
        let mut taken = choose(&kept(None), None).unwrap().unwrap();
        assert_eq!(taken.gave_back("AttachPolicy p"), "2000 AttachPolicy p");
        let mut was = |at: i64| {
            taken.given_back = [format!("{at} AttachPolicy p")].into();
            (taken.was_given_back("AttachPolicy p"), taken.was_given_back("AttachPolicy q"))
        };
        assert_eq!((was(1_999), was(2_000)), ((true, false), (false, false)));
    }

    #[test]
    fn what_is_there_and_what_may_come_back_is_compared() {
        let mut taken = choose(&kept(None), None).unwrap().unwrap();
        assert_eq!(taken.keys(), ["AKIAIOSFODNN7EXAMPLE", "AKIAI44QH8DHBEXAMPLE"]);
        taken.response.before["attached_policies"] = json!(["arn:gone", "arn:aws:iam::aws:policy/AdministratorAccess"]);
        taken.response.before["permissions_boundary"] = json!("arn:boundary");
        taken.response.before["groups"] = json!(["developers", "gone"]);
        let now = observed();
        let before = now.policy_names().unwrap();
        let names = taken.policy_names(&now).unwrap();
        assert_eq!(names.groups, ["developers", "gone"]);
        let come: Vec<_> = names.policies.iter().filter(|it| !before.policies.contains(it)).collect();
        assert_eq!(come, ["arn:boundary", "arn:gone"]);
        assert_eq!(
            names.policies.iter().filter(|it| it.ends_with("AdministratorAccess")).count(),
            before.policies.iter().filter(|it| it.ends_with("AdministratorAccess")).count()
        );
        assert!(taken.policy_names(&Observed::nothing_read()).is_err());
    }
}
