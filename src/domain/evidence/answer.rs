//! May the identity do this? From its policies and what bounds them: yes, no, or by which keys it depends.
//!
//! What is not read here can only change a yes to a no, or add what a resource's own policy gives: service and
//! resource control policies, and policies of resources.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::condition::Context;
use super::document::{Policy, Statement};
use crate::text::cut;

/// Everything that decides what an identity may do.
#[derive(Debug, Clone, Default)]
pub struct Holdings {
    /// Inline and attached, its groups' among them.
    pub policies: Vec<Policy>,
    /// What must allow it too, such as the permissions boundary: each of them.
    pub limits: Vec<Vec<Policy>>,
    pub context: Context,
    /// What could not be read, in words: with it, "no" is not known.
    pub unread: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    No,
    /// Something that could not be read decides.
    NotKnown,
    Depends,
    Yes,
}

impl Answer {
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "yes",
            Self::No => "no",
            Self::Depends => "depends on a condition",
            Self::NotKnown => "not known",
        }
    }
}

/// A statement that grants, or denies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Grant {
    pub kind: &'static str,
    pub policy: String,
    /// By its `Sid`, or `#` and its number.
    pub statement: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// It names all resources but these.
    #[serde(skip_serializing_if = "is_false")]
    pub all_but: bool,
    pub resources: Vec<String>,
    /// Resources that it names beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_resources: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub answer: Answer,
    /// The condition keys that it depends on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<String>,
    /// Keys beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_keys: usize,
    /// What allows it, and where it is denied what denies it: the numbers of statements, as `grants` names them.
    pub by: Vec<usize>,
    /// Statements about it beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_by: usize,
}

impl Decision {
    pub(super) fn of(answer: Answer) -> Self {
        Self { answer, depends_on: BTreeSet::new(), more_keys: 0, by: Vec::new(), more_by: 0 }
    }

    pub(super) fn no() -> Self {
        Self::of(Answer::No)
    }

    /// What a person reads, and a report holds: the rest is counted.
    pub(super) fn in_short(mut self) -> Self {
        let (keys, more) = few_keys(self.depends_on);
        (self.depends_on, self.more_keys) = (keys, self.more_keys + more);
        self.more_by += self.by.len().saturating_sub(MOST_TOGETHER);
        self.by.truncate(MOST_TOGETHER);
        self
    }
}

/// The first of the keys, and how many more there are. Others chose their names.
pub(super) fn few_keys(keys: BTreeSet<String>) -> (BTreeSet<String>, usize) {
    let more = keys.len().saturating_sub(MOST_KEYS);
    (keys.into_iter().take(MOST_KEYS).map(|it| cut(&it, LONGEST_KEY)).collect(), more)
}

impl Holdings {
    /// The context of a request that passes a role to this service.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_iam-condition-keys.html>
    pub(super) fn passing_to(&self, service: &str) -> Context {
        self.context.clone().with("iam:PassedToService", &[service])
    }

    /// Whether the identity may do this to this resource.
    pub fn may(&self, action: &str, resource: &str) -> Decision {
        self.rules_about(action, &self.context).all().may(resource)
    }

    /// Whether there is any resource, of those that the template matches, that the identity may do this to; apart
    /// from `but`.
    pub fn may_to_some(&self, action: &str, template: &str, but: Option<&str>) -> Decision {
        self.rules_about(action, &self.context).all().may_to_some(template, but)
    }

    pub(super) fn is_all_read(&self) -> bool {
        self.unread.is_empty() && self.policies.iter().chain(self.limits.iter().flatten()).all(|it| it.document.is_ok())
    }

    /// The statements of these numbers, each once. Of what they name, as much as a report has room for.
    pub fn grants(&self, numbers: &BTreeSet<usize>) -> BTreeMap<usize, Grant> {
        let policies = self.policies.iter().chain(self.limits.iter().flatten());
        let statements = policies.flat_map(|policy| {
            policy.document.iter().flat_map(move |it| it.statements.iter().map(move |it| (policy, it)))
        });
        let mut room = MOST_RESOURCE_BYTES;
        let named = statements.enumerate().filter(|(number, _)| numbers.contains(number));
        named.map(|(number, (policy, statement))| (number, Grant::of(policy, statement, &mut room))).collect()
    }

    /// Documents that are none, in words.
    pub fn malformed(&self) -> Vec<String> {
        let all = self.policies.iter().chain(self.limits.iter().flatten());
        let words =
            |it: &Policy| Some(format!("{} {}: {}", it.origin.kind, it.origin.name, it.document.as_ref().err()?));
        all.filter_map(words).collect()
    }
}

/// More than that nobody reads for one answer of one action.
pub(super) const MOST_GRANTS: usize = 10;
/// What needs several actions is granted by several.
const MOST_TOGETHER: usize = 20;
const MOST_KEYS: usize = 20;
const LONGEST_KEY: usize = 128;
/// Of one statement, and of its policy's and its own name.
const MOST_RESOURCES: usize = 10;
const LONGEST_RESOURCE: usize = 300;
const LONGEST_NAME: usize = 700;
/// Of all of them: the whole report is an answer of 6 MB.
const MOST_RESOURCE_BYTES: usize = 200_000;

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(it: &bool) -> bool {
    !it
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
pub(super) fn is_zero(it: &usize) -> bool {
    *it == 0
}

impl Grant {
    fn of(policy: &Policy, statement: &Statement, room: &mut usize) -> Self {
        let (all_but, written) = statement.written();
        let mut resources = Vec::new();
        for resource in written.iter().take(MOST_RESOURCES) {
            let resource = cut(resource, LONGEST_RESOURCE);
            let Some(left) = room.checked_sub(resource.len()) else { break };
            *room = left;
            resources.push(resource);
        }
        Self {
            kind: policy.origin.kind,
            policy: cut(&policy.origin.name, LONGEST_NAME),
            statement: cut(&statement.name, LONGEST_RESOURCE),
            group: policy.origin.group.clone(),
            all_but,
            more_resources: written.len() - resources.len(),
            resources,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const BUCKET: &str = "arn:aws:s3:::b";
    const OBJECT: &str = "arn:aws:s3:::b/key";

    fn policy(version: &str, statements: &[Value]) -> Policy {
        Policy::new("policy", "p", None, &json!({"Version": version, "Statement": statements}).to_string())
    }

    fn holdings(statements: &[Value]) -> Holdings {
        Holdings { policies: vec![policy("2012-10-17", statements)], ..Holdings::default() }
    }

    fn allow(action: &str, resource: &str) -> Value {
        json!({"Effect": "Allow", "Action": action, "Resource": resource})
    }

    fn conditional(effect: &str, condition: &Value) -> Value {
        json!({"Effect": effect, "Action": "*", "Resource": "*", "Condition": condition})
    }

    // AWS's documented outcomes: cases known to go wrong.
    // https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_AccessPolicyLanguage_Interplay.html

    #[test]
    fn a_boundary_is_an_intersection_and_grants_nothing() {
        let boundary = || vec![policy("2012-10-17", &[allow("s3:*", "*")])];
        let both =
            Holdings { limits: vec![boundary()], ..holdings(&[allow("s3:GetObject", "*"), allow("iam:*", "*")]) };
        assert_eq!(both.may("s3:GetObject", OBJECT).answer, Answer::Yes);
        assert_eq!(both.may("s3:PutObject", OBJECT).answer, Answer::No);
        assert_eq!(both.may("iam:CreateUser", "*").answer, Answer::No);
    }

    #[test]
    fn a_deny_of_a_limit_wins_and_is_named() {
        let deny = json!({"Sid": "NoLogs", "Effect": "Deny", "Action": "cloudtrail:*", "Resource": "*"});
        let limit = vec![policy("2012-10-17", &[allow("*", "*"), deny])];
        let found = Holdings { limits: vec![limit], ..holdings(&[allow("*", "*")]) };
        let decision = found.may("cloudtrail:StopLogging", "*");
        let by = found.grants(&decision.by.iter().copied().collect());
        assert_eq!((decision.answer, by.values().next().unwrap().statement.as_str()), (Answer::No, "NoLogs"));
        assert_eq!(found.may("s3:GetObject", OBJECT).answer, Answer::Yes);
    }

    #[test]
    fn an_allow_of_all_but_some_is_everything_else() {
        let found = holdings(&[json!({"Effect": "Allow", "NotAction": ["iam:*", "sts:*"], "Resource": "*"})]);
        assert_eq!(found.may("of-no-service:OfNoAction", "*").answer, Answer::Yes);
        assert_eq!(found.may("IAM:CreateUser", "*").answer, Answer::No);
    }

    /// The usual policy that asks for MFA denies, and grants nothing.
    #[test]
    fn a_deny_of_all_but_some_is_no_grant() {
        let mfa = json!({"BoolIfExists": {"aws:MultiFactorAuthPresent": "false"}});
        let deny = json!({"Effect": "Deny", "NotAction": "iam:ListUsers", "Resource": "*", "Condition": mfa});
        assert_eq!(holdings(std::slice::from_ref(&deny)).may("s3:GetObject", OBJECT).answer, Answer::No);
        let both = holdings(&[allow("*", "*"), deny]);
        let decision = both.may("s3:GetObject", OBJECT);
        assert_eq!(decision.answer, Answer::Depends);
        assert_eq!(decision.depends_on.first().unwrap(), "aws:MultiFactorAuthPresent");
        assert_eq!(both.may("iam:ListUsers", "*").answer, Answer::Yes);
        // A long-term key brings no such key along.
        let key = Context::default().without("aws:MultiFactorAuthPresent");
        assert_eq!(Holdings { context: key, ..both }.may("s3:GetObject", OBJECT).answer, Answer::No);
    }

    #[test]
    fn what_is_absent_holds_for_all_of_its_values_and_equals_nothing() {
        let answer = |condition: Value| {
            let context = Context::default().without("aws:TagKeys");
            Holdings { context, ..holdings(&[conditional("Allow", &condition)]) }.may("s3:GetObject", OBJECT).answer
        };
        assert_eq!(answer(json!({"ForAllValues:StringEquals": {"aws:TagKeys": ["a"]}})), Answer::Yes);
        assert_eq!(answer(json!({"ForAnyValue:StringEquals": {"aws:TagKeys": ["a"]}})), Answer::No);
        assert_eq!(answer(json!({"StringNotEquals": {"aws:TagKeys": "a"}})), Answer::Yes);
        assert_eq!(answer(json!({"StringEquals": {"aws:TagKeys": "a"}})), Answer::No);
        assert_eq!(answer(json!({"StringEqualsIfExists": {"aws:TagKeys": "a"}})), Answer::Yes);
        assert_eq!(answer(json!({"Null": {"aws:TagKeys": "true"}})), Answer::Yes);
        assert_eq!(answer(json!({"Null": {"AWS:tagkeys": true}})), Answer::Yes);
        assert_eq!(answer(json!({"StringEquals": {"aws:SourceVpc": "a"}})), Answer::Depends);
    }

    #[test]
    fn without_a_version_a_variable_is_its_own_text() {
        let own = allow("iam:CreateAccessKey", "arn:aws:iam::1:user/${aws:username}");
        let alice = "arn:aws:iam::1:user/alice";
        let context = || Context::default().with("aws:username", &["alice"]);
        let new = Holdings { context: context(), ..holdings(std::slice::from_ref(&own)) };
        assert_eq!(new.may("iam:CreateAccessKey", alice).answer, Answer::Yes);
        let old = Holdings { policies: vec![policy("2008-10-17", &[own])], ..new };
        assert_eq!(old.may("iam:CreateAccessKey", alice).answer, Answer::No);
    }

    #[test]
    fn a_buckets_arn_is_not_that_of_its_objects() {
        let found = holdings(&[allow("s3:*", "arn:aws:s3:::b/*")]);
        assert_eq!(found.may("s3:DeleteBucket", BUCKET).answer, Answer::No);
        assert_eq!(found.may("s3:GetObject", OBJECT).answer, Answer::Yes);
    }

    #[test]
    fn actions_have_no_case_and_arns_have() {
        let found = holdings(&[allow("S3:getOBJECT", "arn:aws:s3:::b/*")]);
        assert_eq!(found.may("s3:GetObject", OBJECT).answer, Answer::Yes);
        assert_eq!(found.may("s3:GetObject", "arn:aws:s3:::B/key").answer, Answer::No);
    }

    #[test]
    fn variables_and_escapes_are_filled_in() {
        let answer = |resource: &str, asked: &str| {
            let context = Context::default().with("aws:PrincipalTag/team", &["red"]).complete("aws:PrincipalTag/");
            Holdings { context, ..holdings(&[allow("s3:*", resource)]) }.may("s3:GetObject", asked).answer
        };
        assert_eq!(answer("arn:aws:s3:::b/${aws:principaltag/TEAM}/*", "arn:aws:s3:::b/red/x"), Answer::Yes);
        assert_eq!(answer("arn:aws:s3:::b/${aws:PrincipalTag/x}", "arn:aws:s3:::b/x"), Answer::No);
        assert_eq!(answer("arn:aws:s3:::b/${aws:PrincipalTag/x, 'none'}", "arn:aws:s3:::b/none"), Answer::Yes);
        assert_eq!(answer("arn:aws:s3:::b/${*}", "arn:aws:s3:::b/*"), Answer::Yes);
        assert_eq!(answer("arn:aws:s3:::b/${*}", OBJECT), Answer::No);
        assert_eq!(answer("arn:aws:s3:::b/${aws:SourceVpc}", OBJECT), Answer::Depends);
    }

    #[test]
    fn some_resource_is_enough() {
        let template = "arn:aws:iam::1:user/*";
        let some = |statements: &[Value], but| holdings(statements).may_to_some("iam:CreateAccessKey", template, but);
        let team = allow("iam:*", "arn:aws:iam::*:user/team-*");
        assert_eq!(some(std::slice::from_ref(&team), None).answer, Answer::Yes);
        assert_eq!(
            some(&[team, json!({"Effect": "Deny", "Action": "*", "Resource": "arn:aws:iam::1:user/*"})], None).answer,
            Answer::No
        );
        let itself = allow("iam:*", "arn:aws:iam::1:user/alice");
        assert_eq!(some(&[itself], Some("arn:aws:iam::1:user/alice")).answer, Answer::No);
        assert_eq!(
            some(&[json!({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::*"})], None).answer,
            Answer::Yes
        );
        assert_eq!(some(&[allow("iam:*", "arn:aws:iam::1:role/*")], None).answer, Answer::No);
    }

    #[test]
    fn what_could_not_be_read_is_no_no() {
        let mut found = holdings(&[json!({"Effect": "Deny", "Action": "s3:*", "Resource": "*"})]);
        found.policies.push(Policy::new("policy", "broken", None, "no policy"));
        assert_eq!(found.may("iam:CreateUser", "*").answer, Answer::NotKnown);
        assert_eq!(found.may_to_some("iam:CreateUser", "arn:aws:iam::1:user/*", None).answer, Answer::NotKnown);
        assert_eq!(found.may("s3:GetObject", OBJECT).answer, Answer::No);
        assert!(found.malformed()[0].starts_with("policy broken: it is no JSON"));
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-single-vs-multi-valued-context-keys.html>
    #[test]
    fn for_any_value_of_an_absent_key_is_false_negated_or_not() {
        let context = Context::default().complete("aws:PrincipalTag/");
        let deny = json!({"Effect": "Deny", "Action": "*", "Resource": "*",
            "Condition": {"ForAnyValue:StringNotEquals": {"aws:PrincipalTag/team": "red"}}});
        let holdings = Holdings { context, ..holdings(&[allow("*", "*"), deny]) };
        assert_eq!(holdings.may("iam:CreateUser", "*").answer, Answer::Yes);
    }
}
