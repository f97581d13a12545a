//! Other versions of the policies that an identity has: whoever may make one count has what that one allows.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html>

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Serialize;

use super::answer::{Answer, Decision, Holdings, is_zero};
use super::blocks::{Item, LONGEST_CELL};
use super::document::{Document, Policy};
use crate::identity::is_aws_own;
use crate::text::cut;

/// By which a version is made to count.
pub const SET: &str = "iam:SetDefaultPolicyVersion";

/// Of so many policies the versions are read: a policy has five at the most, one of which counts.
pub const MOST_POLICIES: usize = 10;

/// A policy of which the identity may make another version count, or of which nobody knows whether it may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settable {
    /// Its ARN.
    pub policy: String,
    pub decision: Decision,
    /// The version that was read as the one that counts; `None`: not the same one wherever the identity has it from.
    pub counted: Option<String>,
}

/// A version that does not count now: what it would give, or why nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Other {
    /// The policy's ARN.
    pub policy: String,
    /// `None`: whichever it has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Whether the identity may make it count.
    #[serde(flatten)]
    pub decision: Decision,
    /// What it could do by it and can't do without.
    pub gains: Vec<Gain>,
    #[serde(skip_serializing_if = "is_zero")]
    pub more_gains: usize,
    /// Why it could not be judged, or not in full.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_known: Option<String>,
}

/// An answer that is better with another version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Gain {
    pub what: String,
    pub answer: Answer,
}

impl Gain {
    pub(super) fn new(what: &str, answer: Answer) -> Self {
        Self { what: cut(what, LONGEST_CELL), answer }
    }
}

pub(super) const ADMINISTRATOR: &str = "be an administrator";

/// More than that nobody reads of one version.
const MOST_GAINS: usize = 10;

impl Other {
    /// Of a version that was judged. `not_known`: what could not be asked of it.
    pub fn judged(of: &Settable, version: &str, mut gains: Vec<Gain>, not_known: Option<&str>) -> Self {
        let more_gains = gains.len().saturating_sub(MOST_GAINS);
        gains.truncate(MOST_GAINS);
        let not_known = not_known.map(|it| cut(it, LONGEST_CELL));
        Self { gains, more_gains, not_known, ..Self::not_known(of, Some(version), "") }
    }

    pub fn not_known(of: &Settable, version: Option<&str>, why: &str) -> Self {
        Self {
            policy: of.policy.clone(),
            version: version.map(str::to_owned),
            decision: of.decision.clone(),
            gains: Vec::new(),
            more_gains: 0,
            not_known: Some(cut(why, LONGEST_CELL)),
        }
    }

    pub fn is_worth_telling(&self) -> bool {
        !self.gains.is_empty() || self.not_known.is_some()
    }

    pub(super) fn makes_administrator(&self) -> bool {
        self.gains.iter().any(|it| it.what == ADMINISTRATOR)
    }

    /// For people, whose policies' names others chose.
    pub(super) fn name(&self) -> String {
        let version = self.version.as_ref().map_or_else(|| "another version".to_owned(), |it| format!("version {it}"));
        format!("{version} of {}", cut(&self.policy, LONGEST_CELL))
    }

    /// What it would gain. `answer`: whether it may make the version count, in words.
    pub(super) fn item(&self, answer: &str) -> Item {
        let gains = self.gains.iter().map(|it| format!("it could {}: {}", it.what, it.answer.word()));
        let more = (self.more_gains > 0).then(|| format!("and {} more", self.more_gains));
        let what = if self.gains.is_empty() { "what it would give" } else { "what more it would give" };
        let not_known = self.not_known.iter().map(|why| format!("{what} is not known: {why}"));
        Item {
            text: format!("make {} count: {answer}", self.name()),
            under: gains.chain(more).chain(not_known).collect(),
        }
    }
}

impl Holdings {
    /// Those of its customer managed policies, the boundary among them, the surest first.
    pub fn settable(&self) -> Vec<Settable> {
        let rules = self.rules_about(SET, &self.context);
        let question = rules.all();
        let all = self.policies.iter().chain(self.limits.iter().flatten());
        let names: BTreeSet<_> = all.filter(|it| is_customers(it)).map(|it| it.origin.name.as_str()).collect();
        let asked = names.into_iter().map(|it| (it, question.may(it)));
        let may = asked.filter(|(_, decision)| decision.answer != Answer::No);
        let mut found: Vec<_> = may
            .map(|(it, decision)| Settable {
                policy: it.to_owned(),
                decision: decision.in_short(),
                counted: self.counted(it),
            })
            .collect();
        found.sort_by_key(|it| Reverse(it.decision.answer));
        found
    }

    fn counted(&self, policy: &str) -> Option<String> {
        let all = self.policies.iter().chain(self.limits.iter().flatten());
        let mut read = all.filter(|it| is_customers(it) && it.origin.name == policy).map(|it| &it.version);
        let first = read.next()?;
        read.all(|it| it == first).then(|| first.clone())?
    }

    /// As it would be if this document of the policy counted: wherever the identity has it from. Or why it is none.
    pub fn with_version(&self, policy: &str, document: &str) -> Result<Self, String> {
        let document = Document::parse(document)?;
        let mut other = self.clone();
        let all = other.policies.iter_mut().chain(other.limits.iter_mut().flatten());
        for it in all.filter(|it| is_customers(it) && it.origin.name == policy) {
            it.document = Ok(document.clone().with_denies(it.denies));
        }
        Ok(other)
    }
}

pub(super) fn is_customers(policy: &Policy) -> bool {
    ["policy", "boundary"].contains(&policy.origin.kind) && !is_aws_own(&policy.origin.name)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const TEAM: &str = "arn:aws:iam::111122223333:policy/team";

    fn policy(kind: &'static str, name: &str, statements: &Value) -> Policy {
        Policy::new(kind, name, None, &json!({"Version": "2012-10-17", "Statement": statements}).to_string())
    }

    fn allow(action: &str, resource: &str) -> Value {
        json!({"Effect": "Allow", "Action": action, "Resource": resource})
    }

    fn names(holdings: &Holdings) -> Vec<(String, Answer)> {
        holdings.settable().into_iter().map(|it| (it.policy, it.decision.answer)).collect()
    }

    #[test]
    fn only_customers_policies_that_it_has_are_settable_and_the_surest_come_first() {
        let condition = json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}});
        let depends = json!({"Effect": "Allow", "Action": "iam:SetDefault*", "Resource": "*", "Condition": condition});
        let set = json!([allow("iam:SetDefaultPolicyVersion", "arn:aws:iam::*:policy/team"), depends]);
        let aws = "arn:aws:iam::aws:policy/ReadOnlyAccess";
        let first = "arn:aws:iam::111122223333:policy/a-boundary";
        let holdings = Holdings {
            policies: vec![
                policy("inline policy", TEAM, &set),
                policy("policy", aws, &json!([])),
                policy("policy", TEAM, &json!([])),
                policy("policy", TEAM, &json!([])),
            ],
            limits: vec![vec![policy("boundary", first, &allow("*", "*"))]],
            ..Holdings::default()
        };
        assert_eq!(names(&holdings), [(TEAM.to_owned(), Answer::Yes), (first.to_owned(), Answer::Depends)]);
    }

    #[test]
    fn what_denies_or_bounds_it_makes_none_settable_and_what_was_not_read_leaves_it_open() {
        let own =
            |statements: &Value| vec![policy("inline policy", "own", statements), policy("policy", TEAM, &json!([]))];
        let set = allow("iam:*", "*");
        let denied = json!([set, {"Effect": "Deny", "Action": "iam:SetDefaultPolicyVersion", "Resource": "*"}]);
        assert!(names(&Holdings { policies: own(&denied), ..Holdings::default() }).is_empty());
        let limits = vec![vec![policy("boundary", "arn:aws:iam::aws:policy/x", &allow("s3:*", "*"))]];
        assert!(names(&Holdings { policies: own(&set), limits, ..Holdings::default() }).is_empty());
        let unread = vec!["policy x (AccessDenied)".to_owned()];
        let holdings = Holdings { policies: own(&allow("s3:*", "*")), unread, ..Holdings::default() };
        assert_eq!(names(&holdings), [(TEAM.to_owned(), Answer::NotKnown)]);
    }

    #[test]
    fn another_version_stands_wherever_the_policy_is_had_from() {
        let nothing = json!([]);
        let inline = policy("inline policy", TEAM, &nothing);
        let holdings = Holdings {
            policies: vec![policy("policy", TEAM, &nothing), inline, policy("policy", TEAM, &nothing)],
            limits: vec![vec![policy("boundary", TEAM, &nothing)]],
            ..Holdings::default()
        };
        let all = json!({"Statement": allow("s3:GetObject", "*")}).to_string();
        let other = holdings.with_version(TEAM, &all).unwrap();
        assert_eq!(other.may("s3:GetObject", "arn:aws:s3:::b/k").answer, Answer::Yes);
        let counts: Vec<_> = other.policies.iter().map(|it| it.document.as_ref().unwrap().statements.len()).collect();
        assert_eq!(counts, [1, 0, 1]);
        assert_eq!(holdings.with_version(TEAM, "{}").unwrap_err(), "it has no statements");
    }

    /// Read for a group and for itself, with a change in between: neither is left out.
    #[test]
    fn a_version_is_left_out_only_where_every_look_read_that_one() {
        let read = |version: &str| Policy { version: Some(version.to_owned()), ..policy("policy", TEAM, &json!([])) };
        let counted = |policies| Holdings { policies, ..Holdings::default() }.counted(TEAM);
        assert_eq!(counted(vec![read("v2"), read("v2")]).as_deref(), Some("v2"));
        assert_eq!(counted(vec![read("v2"), read("v1")]), None);
    }

    #[test]
    fn gains_beyond_what_anybody_reads_are_counted() {
        let of = Settable { policy: TEAM.to_owned(), decision: Decision::of(Answer::Yes), counted: None };
        let gains: Vec<_> = (0..12).map(|it| Gain::new(&it.to_string(), Answer::Yes)).collect();
        let other = Other::judged(&of, "v1", gains, None);
        assert_eq!((other.gains.len(), other.more_gains, other.is_worth_telling()), (10, 2, true));
        assert!(!Other::judged(&of, "v1", Vec::new(), None).is_worth_telling());
        let item = other.item("yes");
        assert_eq!((item.text, item.under.len()), (format!("make version v1 of {TEAM} count: yes"), 11));
    }
}
