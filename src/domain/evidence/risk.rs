//! How grave it is, by written rules: the highest level of which a rule holds, with every rule that holds.

use serde::Serialize;

use super::answer::Answer;
use super::assume::Attempt;
use super::behaviour::Did;
use super::chain::Link;
use super::could::{Could, Found};
use super::facts::Looked;
use super::left::Left;
use super::persistence::Gravity;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Level {
    Low,
    Medium,
    High,
    Critical,
}

impl Level {
    /// From `word`; `None` where an older version wrote none.
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Low, Self::Medium, Self::High, Self::Critical].into_iter().find(|it| it.word() == word)
    }

    pub fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Risk {
    pub level: Level,
    pub because: Vec<&'static str>,
}

/// What it is judged by.
pub struct Known<'a> {
    pub could: &'a Could,
    pub did: &'a Did,
    /// All of it, whatever the report has room for.
    pub left: &'a [Left],
    pub sessions: &'a [Link],
    pub looked: &'a [Looked],
    /// What else could not be read.
    pub unread: &'a [String],
    /// An earlier revision found something that this one does not have.
    pub has_lost: bool,
    /// A response did not end well.
    pub is_open: bool,
    /// Of the revision before.
    pub before: Option<Level>,
}

/// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_accounts_access.html>
const MEMBERS: &[&str] = &["role/OrganizationAccountAccessRole", "role/AWSControlTowerExecution"];

pub fn risk(known: &Known<'_>) -> Risk {
    let Known { could, did, left, .. } = known;
    let suspects = || left.iter().filter(|it| !it.is_on_itself);
    let has = |gravity: Gravity| left.iter().any(|it| it.trace.gravity == gravity);
    let some = |answer: Answer| answer != Answer::No;
    let gives_more = could.versions_that_give_more().next().is_some();
    let can_escalate = some(could.administrator.answer) || could.escalations.iter().any(Found::is_open) || gives_more;
    let reaches = !could.secrets.found().is_empty() || !could.data.found().is_empty();
    let elsewhere = could.roles_elsewhere.found();
    // The names that AWS gives to what is an administrator in each account of an organisation.
    let is_over_members = |it: &Attempt| MEMBERS.iter().any(|role| it.roles.ends_with(role));
    let is_not_followed = known.sessions.iter().any(|it| it.not_followed.is_some());
    let is_incomplete = is_not_followed || known.looked.iter().any(|it| it.missing.is_some());
    let is_version_unknown = could.versions.iter().any(|it| it.not_known.is_some());
    let is_unread =
        !could.unread.is_empty() || !could.not_asked.is_empty() || !known.unread.is_empty() || is_version_unknown;
    let rules = [
        (Level::Critical, "the identity is not seen to be contained", known.is_open),
        (Level::Critical, "it took sight: logging or detection was changed", has(Gravity::TakesSight)),
        (Level::Critical, "it took away what held somebody back", has(Gravity::Lifts)),
        (Level::Critical, "it let in somebody of another account", left.iter().any(|it| !it.trace.lets_in.is_empty())),
        (Level::Critical, "it made a session of an account's root user", known.sessions.iter().any(Link::is_of_root)),
        (
            Level::Critical,
            "it left something that gives access, and could make itself an administrator",
            can_escalate && suspects().next().is_some(),
        ),
        (Level::High, "it left something that gives access", suspects().next().is_some()),
        (Level::High, "it could do everything, or give itself more", can_escalate),
        (Level::High, "another version of a policy, which it could make count, gives it more", gives_more),
        (
            Level::High,
            "AWS's own simulation allows it to get more rights, which nothing read of its policies does",
            could.simulation.allows_more_rights(),
        ),
        (
            Level::High,
            "what it did could not be read at all, in some region or in any",
            known.looked.iter().any(Looked::is_blind) || !known.looked.iter().any(|it| it.pages > 0),
        ),
        (
            Level::High,
            "it may try the role by which an organisation administers other accounts",
            elsewhere.iter().any(is_over_members),
        ),
        (Level::Medium, "it may try roles of other accounts", !elsewhere.is_empty()),
        (Level::Medium, "it could reach secrets or data", reaches),
        (
            Level::Medium,
            "AWS's own simulation allows what nothing read of its policies does",
            could.simulation.allows_more(),
        ),
        (Level::Medium, "it acted in a way that is new for it", !did.new.is_empty()),
        (Level::Medium, "not everything that it did could be looked up", is_incomplete),
        (Level::Medium, "not everything that decides could be read or asked", is_unread),
        (Level::Medium, "an earlier revision found what was not seen again", known.has_lost),
    ];
    let held = rules.into_iter().filter(|(_, _, holds)| *holds).map(|(level, why, _)| (level, why));
    let mut held: Vec<_> = held.collect();
    let level = held.iter().map(|(level, _)| *level).max().unwrap_or(Level::Low);
    // Who can keep a revision from reading must not make it calmer by that.
    let graver = known.before.filter(|it| *it > level && (is_incomplete || is_unread || known.has_lost));
    held.extend(graver.map(|it| (it, "an earlier revision was graver, and this one could not see all of it again")));
    Risk { level: graver.unwrap_or(level), because: held.into_iter().map(|(_, why)| why).collect() }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evidence::left::tests::made;
    use crate::evidence::report::tests::{READER, contained, leaving, looked, report, report_with};
    use crate::fixtures::identity;
    use crate::identity::IdentityKind;

    #[test]
    fn a_report_that_could_not_read_cloudtrail_is_of_no_low_risk() {
        let refused = "AccessDeniedException: not authorized to perform cloudtrail:LookupEvents";
        let alice = identity(IdentityKind::User);
        let made = |looked: Vec<Looked>| {
            report_with(&alice, Vec::new(), &contained(120), |_, found| found.looked = looked.clone())
        };
        let report = made(vec![looked(Some(refused))]);
        assert!(!report.is_provisional);
        assert!(report.risk.level > Level::Low, "{:?}", report.summary);
        // One region that could be read makes another that could not no better.
        assert_eq!(made(vec![looked(None), looked(Some(refused))]).risk.level, Level::High);
        let cut_short = Looked { pages: 3, ..looked(Some("the time ran out")) };
        assert_eq!(made(vec![looked(None), cut_short]).risk.level, Level::Medium);
        assert_eq!(made(vec![looked(None)]).risk.level, Level::Low);
        let unread = report_with(&alice, Vec::new(), &contained(120), |_, found| found.unread = vec!["x".to_owned()]);
        assert_eq!(unread.risk.level, Level::Medium);
    }

    #[test]
    fn the_level_does_not_sink_while_something_is_not_seen() {
        let alice = identity(IdentityKind::User);
        let first = report(READER, vec![leaving("mallory", "lets in x", Some("AIDAM"))], Vec::new(), &contained(120));
        let next = |events: Vec<_>, missing: Option<&str>| {
            let looked = Looked { pages: 1, ..looked(missing) };
            report_with(&alice, events, &contained(120), |_, found| {
                found.before = Some(first.gist());
                found.looked = vec![looked.clone()];
            })
        };
        let blind = next(Vec::new(), Some("the time ran out"));
        assert_eq!(blind.risk.level, first.risk.level);
        assert!(blind.risk.because.iter().any(|it| it.contains("an earlier revision was graver")));
        // Out of the period by now: it is not seen again either.
        assert_eq!(next(Vec::new(), None).risk.level, first.risk.level);
    }

    #[test]
    fn what_takes_sight_lets_in_or_lifts_is_critical() {
        let stranger = "arn:aws:iam::444455556666:root";
        let all = [
            ("ec2", "DeleteFlowLogs", json!({})),
            ("cloudtrail", "StopLogging", json!({"name": "audit"})),
            ("guardduty", "UpdateDetector", json!({"detectorId": "d", "enable": false})),
            (
                "lambda",
                "AddPermission20150331v2",
                json!({"functionName": "f", "principal": "444455556666", "action": "lambda:InvokeFunction"}),
            ),
            ("kms", "CreateGrant", json!({"keyId": "k", "granteePrincipal": stranger})),
            ("iam", "DeleteRolePolicy", json!({"roleName": "app", "policyName": "AWSRevokeOlderSessions"})),
            ("iam", "DetachRolePolicy", json!({"roleName": "app", "policyArn": "arn:aws:iam::aws:policy/AWSDenyAll"})),
        ];
        for (service, name, request) in all {
            let event = made(service, name, 100, request, Value::Null);
            let report = report(READER, vec![event], Vec::new(), &contained(120));
            assert_eq!(report.risk.level, Level::Critical, "{name} {:?}", report.risk.because);
            assert_eq!(report.suspects().len(), 1, "{name}");
        }
        // What it denied is not known.
        let deleted = json!({"userName": "bob", "policyName": "deny"});
        let event = made("iam", "DeleteUserPolicy", 100, deleted, Value::Null);
        assert_eq!(report(READER, vec![event], Vec::new(), &contained(120)).risk.level, Level::High);
    }
}
