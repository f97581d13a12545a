//! May the identity do this? From its policies and what bounds them: yes, no, or by which keys it depends.
//!
//! What is not read here can only change a yes to a no, or add what a resource's own policy gives: service and
//! resource control policies, and policies of resources.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html>

use std::collections::BTreeSet;

use serde::Serialize;

use super::condition::{Context, Truth};
use super::document::{Policy, Statement};
use crate::glob::{meet, pieces};

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
    pub resources: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    pub answer: Answer,
    /// The condition keys that it depends on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<String>,
    /// What allows it, and where it is denied what denies it.
    pub by: Vec<Grant>,
}

impl Decision {
    pub(super) fn no() -> Self {
        Self { answer: Answer::No, depends_on: BTreeSet::new(), by: Vec::new() }
    }
}

impl Holdings {
    /// Whether the identity may do this to this resource.
    pub fn may(&self, action: &str, resource: &str) -> Decision {
        let own = self.layer(&self.policies, action, resource);
        let (mut truths, mut by, mut is_denied) = (vec![own.truth], own.by, own.is_denied);
        let is_allowed = own.is_allowed;
        for limit in &self.limits {
            let bounded = self.layer(limit, action, resource);
            if bounded.truth == Truth::No {
                by = bounded.by;
            }
            is_denied |= bounded.is_denied;
            truths.push(bounded.truth);
        }
        let (answer, depends_on) = match Truth::all(truths) {
            Truth::Yes => (Answer::Yes, BTreeSet::new()),
            Truth::Depends(keys) => (Answer::Depends, keys),
            Truth::No if !is_denied && !self.is_all_read() => (Answer::NotKnown, BTreeSet::new()),
            Truth::No => (Answer::No, BTreeSet::new()),
        };
        // A deny of what nothing allows is no news.
        Decision { answer, depends_on, by: if is_allowed { by } else { Vec::new() } }
    }

    /// One layer: an explicit deny wins, and without an allow nothing is allowed.
    fn layer(&self, policies: &[Policy], action: &str, resource: &str) -> Layer {
        let (mut allowing, mut denying) = (Vec::new(), Vec::new());
        let (mut allows, mut denies) = (Vec::new(), Vec::new());
        for (policy, statement) in of(policies) {
            let truth = statement.applies(action, resource, &self.context);
            if truth == Truth::No {
                continue;
            }
            let (grants, truths) =
                if statement.is_allow { (&mut allowing, &mut allows) } else { (&mut denying, &mut denies) };
            grants.push(Grant::of(policy, statement));
            truths.push(truth);
        }
        let is_denied = denies.contains(&Truth::Yes);
        Layer {
            is_allowed: !allows.is_empty(),
            is_denied,
            truth: Truth::all([Truth::any(allows), Truth::any(denies).negated()]),
            by: if is_denied { denying } else { allowing },
        }
    }

    /// Whether what bounds it leaves the action in, whatever its own policies say.
    pub(super) fn limits_allow(&self, action: &str, resource: &str) -> Truth {
        Truth::all(self.limits.iter().map(|it| self.layer(it, action, resource).truth))
    }

    /// Whether a statement of its own, or of what bounds it, denies it.
    pub(super) fn denies(&self, action: &str, resource: &str) -> Truth {
        let statements = of(&self.policies).chain(self.limits.iter().flat_map(|it| of(it)));
        Truth::any(statements.filter(|(_, it)| !it.is_allow).map(|(_, it)| it.applies(action, resource, &self.context)))
    }

    fn is_all_read(&self) -> bool {
        self.unread.is_empty() && self.policies.iter().chain(self.limits.iter().flatten()).all(|it| it.document.is_ok())
    }

    /// Whether there is any resource, of those that the template matches, that the identity may do this to; apart
    /// from `but`. The best answer of a resource for each pattern that a statement allows.
    pub fn may_to_some(&self, action: &str, template: &str, but: Option<&str>) -> Decision {
        let template = pieces(template);
        let mut asked = BTreeSet::new();
        for (_, statement) in of(&self.policies).filter(|(_, it)| it.is_allow && it.is_about(action)) {
            for pattern in statement.resource_patterns(&self.context) {
                asked.extend(meet(&pattern, &template).filter(|it| Some(it.as_str()) != but));
            }
        }
        let mut best =
            Decision { answer: if self.is_all_read() { Answer::No } else { Answer::NotKnown }, ..Decision::no() };
        let mut by = BTreeSet::new();
        for resource in asked {
            let found = self.may(action, &resource);
            if found.answer > best.answer {
                by.clear();
                best = found;
                by.extend(std::mem::take(&mut best.by));
            } else if found.answer == best.answer {
                by.extend(found.by);
            }
        }
        Decision { by: by.into_iter().take(MOST_GRANTS).collect(), ..best }
    }

    /// Documents that are none, in words.
    pub fn malformed(&self) -> Vec<String> {
        let all = self.policies.iter().chain(self.limits.iter().flatten());
        let words =
            |it: &Policy| Some(format!("{} {}: {}", it.origin.kind, it.origin.name, it.document.as_ref().err()?));
        all.filter_map(words).collect()
    }
}

struct Layer {
    truth: Truth,
    is_allowed: bool,
    is_denied: bool,
    by: Vec<Grant>,
}

/// More than that nobody reads for one answer.
const MOST_GRANTS: usize = 10;

fn of(policies: &[Policy]) -> impl Iterator<Item = (&Policy, &Statement)> {
    policies
        .iter()
        .flat_map(|policy| policy.document.iter().flat_map(move |it| it.statements.iter().map(move |it| (policy, it))))
}

impl Grant {
    fn of(policy: &Policy, statement: &Statement) -> Self {
        Self {
            kind: policy.origin.kind,
            policy: policy.origin.name.clone(),
            statement: statement.name.clone(),
            group: policy.origin.group.clone(),
            resources: statement.resource_words().into_iter().take(MOST_GRANTS).collect(),
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
        assert_eq!((decision.answer, decision.by[0].statement.as_str()), (Answer::No, "NoLogs"));
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
}
