//! Which problems an account's users have, by the credential report alone. Who can sign in without MFA is confirmed
//! before anybody is told: the report may be four hours old.

use std::fmt::Write;

use aws_smithy_types::DateTime;

use super::credential_report::{CredentialReport, Key, Root, Used, User};
use crate::day::Day;
use crate::ids::PrincipalName;
use crate::problem::Kind;

/// From how many days on something is too old, or unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub key_max_age: u32,
    pub unused: u32,
}

/// One problem of one user, or of root. Each has a ladder of its own.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub kind: Kind,
    /// The same every day while it is the same problem: it holds when the user or the key was created, so that a
    /// namesake and a new key begin anew.
    pub id: String,
    /// Absent of root's.
    pub user: Option<PrincipalName>,
    pub arn: String,
    /// Of the user, or of the key that it is about.
    pub created: DateTime,
    pub facts: String,
    /// Something is left that a playbook could deactivate.
    pub has_active_keys: bool,
}

impl Problem {
    fn of_user(kind: Kind, user: &User, facts: String) -> Self {
        Self::new(kind, user, user.created, facts)
    }

    fn of_key(kind: Kind, user: &User, key: &Key, facts: String) -> Self {
        Self::new(kind, user, key.created, facts)
    }

    fn new(kind: Kind, user: &User, created: DateTime, facts: String) -> Self {
        Self {
            kind,
            id: format!("{}/{}@{}", kind.name(), user.name, created.secs()),
            user: Some(user.name.clone()),
            arn: user.arn.clone(),
            created,
            facts,
            has_active_keys: user.active_keys().next().is_some(),
        }
    }

    fn of_root(kind: Kind, root: &Root, facts: String) -> Self {
        Self {
            kind,
            id: format!("{}/root", kind.name()),
            user: None,
            arn: String::new(),
            created: DateTime::from_secs(0),
            facts,
            has_active_keys: root.active_keys > 0,
        }
    }

    /// A user of whose creation no event was seen.
    pub fn unseen(user: &User) -> Self {
        Self::of_user(Kind::UnseenUser, user, format!("created at {}", user.created))
    }

    /// A key of whose creation or activation no event was seen.
    pub fn unseen_key(user: &User, key: &Key) -> Self {
        Self::of_key(Kind::UnseenKey, user, key, format!("created at {}, used {}", key.created, when(key.used)))
    }

    /// The same where it could not be read whether one told of it.
    pub fn with_doubt(mut self, why: &str) -> Self {
        let _ = write!(self.facts, "; whether an event told of it could not be read: {why}");
        self
    }
}

/// Everything that the report says by itself.
pub fn find(report: &CredentialReport, limits: Limits, today: Day) -> Vec<Problem> {
    let mut found = report.root.as_ref().map(of_root).unwrap_or_default();
    for user in &report.users {
        found.extend(of_user(user, limits, today));
    }
    // Two keys of one second have one ID: each is a problem all the same.
    let mut ids = std::collections::BTreeSet::new();
    for problem in &mut found {
        while !ids.insert(problem.id.clone()) {
            problem.id.push_str("/2");
        }
    }
    found
}

fn of_root(root: &Root) -> Vec<Problem> {
    let mut found = Vec::new();
    if root.active_keys > 0 {
        found.push(Problem::of_root(Kind::RootAccessKey, root, format!("{} active", root.active_keys)));
    }
    // Reports that do not say whether there is a password are of accounts that have one.
    if !root.has_mfa && root.has_password != Some(false) {
        found.push(Problem::of_root(Kind::RootWithoutMfa, root, "no MFA device".to_owned()));
    }
    found
}

fn of_user(user: &User, limits: Limits, today: Day) -> Vec<Problem> {
    let mut found = Vec::new();
    // Who has no password is a program as far as the console goes: it would break, and nobody signs in as it.
    if user.has_password && !user.has_mfa {
        let facts = format!("signed in {}; {}", when(user.password_used), key_words(user));
        found.push(Problem::of_user(Kind::MissingMfa, user, facts));
    }
    found.extend(unused(user, limits, today));
    for key in user.active_keys() {
        let age = today.since(Day::of(key.created));
        if age > limits.key_max_age {
            let facts = format!("{age} days old, used {}", when(key.used));
            found.push(Problem::of_key(Kind::OldKey, user, key, facts));
        }
    }
    if let (2.., Some(newest)) =
        (user.active_keys().count(), user.active_keys().max_by_key(|it| (it.created.secs(), it.created.subsec_nanos())))
    {
        found.push(Problem::of_key(Kind::TwoActiveKeys, user, newest, key_words(user)));
    }
    found
}

/// One problem of the user where nothing of it is used; otherwise one for each part that is not.
fn unused(user: &User, limits: Limits, today: Day) -> Vec<Problem> {
    // What was never used counts from when it came into being: a key of yesterday is not unused.
    let is_unused = |used: Used, since: DateTime| {
        let last = match used {
            Used::At(time) => Day::of(time).max(Day::of(since)),
            Used::Never => Day::of(since),
            Used::Unknown => return false,
        };
        today.since(last) > limits.unused
    };
    let has_password = user.has_password;
    let since = user.password_changed.filter(|it| it.secs() > user.created.secs()).unwrap_or(user.created);
    let is_password_unused = has_password && is_unused(user.password_used, since);
    let keys: Vec<_> = user.active_keys().filter(|it| is_unused(it.used, it.created)).collect();
    let has_keys = user.active_keys().next().is_some();
    if has_keys && keys.len() == user.active_keys().count() && (is_password_unused || !has_password) {
        return vec![Problem::of_user(Kind::UnusedUser, user, key_words(user))];
    }
    let of_key = |key: &Key| Problem::of_key(Kind::UnusedKey, user, key, format!("used {}", when(key.used)));
    let mut found: Vec<_> = keys.into_iter().map(of_key).collect();
    if is_password_unused {
        let facts = format!("signed in {}", when(user.password_used));
        found.push(Problem::of_user(Kind::UnusedPassword, user, facts));
    }
    found
}

fn when(used: Used) -> String {
    match used {
        Used::At(time) => format!("on {}", Day::of(time)),
        Used::Never => "never".to_owned(),
        Used::Unknown => "at a time that AWS does not say".to_owned(),
    }
}

fn key_words(user: &User) -> String {
    let each: Vec<_> =
        user.active_keys().map(|it| format!("a key of {} used {}", Day::of(it.created), when(it.used))).collect();
    if each.is_empty() { "no active key".to_owned() } else { each.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::super::credential_report::tests::{NO_KEY, report_of, user_row};
    use super::*;
    use crate::fixtures::parsed;

    const LIMITS: Limits = Limits { key_max_age: 90, unused: 90 };

    fn found(rows: &[String]) -> Vec<String> {
        let problems = find(&report_of(rows), LIMITS, parsed("2026-11-29"));
        problems.into_iter().map(|it| it.id.split('@').next().unwrap().to_owned()).collect()
    }

    fn key(created: &str, used: &str) -> String {
        format!("true,{created}T10:00:00Z,{used}")
    }

    #[test]
    fn only_who_can_sign_in_is_missing_mfa() {
        let fresh = key("2026-11-01", "2026-11-28T10:00:00Z,eu-central-1".split(',').next().unwrap());
        let rows = [
            user_row("alice", "true,2026-11-28T10:00:00Z", "false", &fresh, NO_KEY),
            user_row("bob", "true,2026-11-28T10:00:00Z", "true", &fresh, NO_KEY),
            user_row("robot", "false,N/A", "false", &fresh, NO_KEY),
        ];
        assert_eq!(found(&rows), ["missing-mfa/alice"]);
    }

    #[test]
    fn what_was_never_used_counts_from_its_creation() {
        let (new, old) = (key("2026-11-28", "N/A"), key("2026-08-01", "N/A"));
        let rows = [
            user_row("new", "false,N/A", "false", &new, NO_KEY),
            user_row("old", "false,N/A", "false", &old, NO_KEY),
            user_row("half", "false,N/A", "false", &old, &new),
        ];
        let expected = ["unused-user/old", "old-key/old", "unused-key/half", "old-key/half", "two-active-keys/half"];
        assert_eq!(found(&rows), expected);
    }

    #[test]
    fn a_user_of_whom_anything_is_used_is_no_unused_user() {
        let unused = key("2026-08-29", "2026-08-30T10:00:00Z");
        let rows = [
            user_row("console", "true,2026-11-20T10:00:00Z", "true", &unused, NO_KEY),
            user_row("unsaid", "true,not_supported", "true", &unused, NO_KEY),
            user_row("gone", "true,no_information", "true", &unused, NO_KEY),
            user_row("password", "true,2024-02-01T10:00:00Z", "true", NO_KEY, NO_KEY),
        ];
        let of_use: Vec<_> = found(&rows).into_iter().filter(|it| it.starts_with("unused")).collect();
        let expected = ["unused-key/console", "unused-key/unsaid", "unused-user/gone", "unused-password/password"];
        assert_eq!(of_use, expected);
    }

    #[test]
    fn a_password_of_yesterday_is_not_unused() {
        let row = user_row("alice", "true,no_information", "true", NO_KEY, NO_KEY);
        let new = row.replace("no_information,2024-01-01T10:00:00+00:00", "no_information,2026-11-28T10:00:00Z");
        assert_eq!((found(std::slice::from_ref(&row)).len(), found(std::slice::from_ref(&new)).len()), (1, 0));
        assert_ne!(row, new);
    }

    #[test]
    fn a_new_key_is_a_new_problem() {
        let id = |created: &str| {
            let row = user_row("robot", "false,N/A", "false", &key(created, "2026-11-28T10:00:00Z"), NO_KEY);
            find(&report_of(&[row]), LIMITS, parsed("2026-11-29"))[0].id.clone()
        };
        assert_ne!(id("2026-08-01"), id("2026-08-02"));
        let same = key("2026-11-01", "2026-11-28T10:00:00Z");
        let old = key("2026-01-01", "2026-11-28T10:00:00Z");
        let rows =
            [user_row("twins", "false,N/A", "false", &old, &old), user_row("x", "false,N/A", "false", &same, NO_KEY)];
        let ids: std::collections::BTreeSet<_> =
            find(&report_of(&rows), LIMITS, parsed("2026-11-29")).into_iter().map(|it| it.id).collect();
        assert_eq!(ids.len(), 3);
    }

    #[test]
    fn roots_credentials_are_problems_where_there_are_any() {
        let root = |has_password, has_mfa, active_keys| {
            let found = of_root(&Root { has_password, has_mfa, active_keys });
            found.into_iter().map(|it| it.kind).collect::<Vec<_>>()
        };
        assert_eq!(root(Some(false), false, 0), []);
        assert_eq!(root(Some(true), true, 1), [Kind::RootAccessKey]);
        assert_eq!(root(None, false, 2), [Kind::RootAccessKey, Kind::RootWithoutMfa]);
    }
}
