//! Which roles an identity may assume: its own policies, and whom each role trusts.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html>

use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Holdings};
use super::condition::Truth;
use super::document::Document;
use crate::ids::Arn;
use crate::policy_document::texts;

/// A role that it may assume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumable {
    pub role: String,
    pub answer: Answer,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<String>,
    /// By what.
    pub why: String,
}

/// How far a trust policy goes towards an identity.
struct Trust {
    /// It names the user itself, or everybody: the user's own policies need not say anything, and what its boundary
    /// leaves out does not matter.
    to_user: Truth,
    /// It names the role itself: its own policies need not say anything.
    to_role: Truth,
    /// It names the account.
    to_account: Truth,
    denied: Truth,
}

/// Whether the identity, a role or a user by its ARN, may assume a role of the same account. `None`: it may not.
pub fn assumable(holdings: &Holdings, arn: &str, role: &str, trust: &str) -> Option<Assumable> {
    let found = |answer, depends_on, why: &str| {
        Some(Assumable { role: role.to_owned(), answer, depends_on, why: why.to_owned() })
    };
    let trust = match Document::parse(trust) {
        Ok(it) => self::trust(&it, holdings, arn, role),
        Err(why) => return found(Answer::NotKnown, BTreeSet::new(), &format!("its trust policy can't be read: {why}")),
    };
    let not_denied = || Truth::any([holdings.denies(ASSUME, role), trust.denied.clone()]).negated();
    let by_name = Truth::any([
        Truth::all([trust.to_user, not_denied()]),
        Truth::all([trust.to_role, holdings.limits_allow(ASSUME, role), not_denied()]),
    ]);
    let own = holdings.may(ASSUME, role);
    let own_allows = match own.answer {
        Answer::Yes => Truth::Yes,
        Answer::No => Truth::No,
        Answer::Depends => Truth::Depends(own.depends_on),
        Answer::NotKnown => Truth::depends("what could not be read"),
    };
    let with_own = Truth::all([trust.to_account, own_allows, not_denied()]);
    let why = if by_name == Truth::No {
        "its trust policy names the account, and the identity's own policies allow it"
    } else {
        "its trust policy names the identity"
    };
    match Truth::any([by_name, with_own]) {
        Truth::No => None,
        Truth::Yes => found(Answer::Yes, BTreeSet::new(), why),
        Truth::Depends(keys) => found(Answer::Depends, keys, why),
    }
}

fn trust(document: &Document, holdings: &Holdings, arn: &str, role: &str) -> Trust {
    let (mut user, mut own_role, mut account, mut denied) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for statement in &document.statements {
        let truth = || statement.applies(ASSUME, role, &holdings.context);
        match names(statement.principal.as_ref(), arn) {
            Names::Nobody => {}
            _ if !statement.is_allow => denied.push(truth()),
            Names::User => user.push(truth()),
            Names::Role => own_role.push(truth()),
            Names::Account => account.push(truth()),
        }
    }
    Trust {
        to_user: Truth::any(user),
        to_role: Truth::any(own_role),
        to_account: Truth::any(account),
        denied: Truth::any(denied),
    }
}

const ASSUME: &str = "sts:AssumeRole";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Names {
    Nobody,
    Account,
    Role,
    /// The user's own ARN, or everybody.
    User,
}

fn names(principal: Option<&Value>, arn: &str) -> Names {
    let (Some(principal), Some(own)) = (principal, Arn::parse(arn)) else { return Names::Nobody };
    let root = format!("arn:{}:iam::{}:root", own.partition, own.account);
    let one = |named: &str| match named {
        "*" => Names::User,
        it if it == arn && own.resource.starts_with("user/") => Names::User,
        it if it == arn => Names::Role,
        it if it == root || it == own.account => Names::Account,
        _ => Names::Nobody,
    };
    if let Some(text) = principal.as_str() {
        return one(text);
    }
    texts(principal.get("AWS")).into_iter().map(one).max().unwrap_or(Names::Nobody)
}

/// Principals of other accounts, and everybody, whom a trust policy lets in: a back door if somebody put them there.
pub fn foreigners(trust: &Value, account: &str) -> Vec<String> {
    let statements = crate::policy_document::statements(trust);
    let allowing = statements.into_iter().filter(|it| it.get("Effect") == Some(&Value::from("Allow")));
    let mut found = Vec::new();
    for principal in allowing.filter_map(|it| it.get("Principal")) {
        let named = if principal == "*" { vec!["*"] } else { texts(principal.get("AWS")) };
        let is_foreign = |it: &&str| *it == "*" || Arn::parse(it).map_or(*it, |it| it.account) != account;
        found.extend(named.into_iter().filter(is_foreign).map(str::to_owned));
        found.extend(texts(principal.get("Federated")).into_iter().map(str::to_owned));
    }
    found
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::document::Policy;

    const USER: &str = "arn:aws:iam::111122223333:user/alice";
    const SELF: &str = "arn:aws:iam::111122223333:role/app";
    const ROLE: &str = "arn:aws:iam::111122223333:role/target";

    fn trust(effect: &str, principal: &Value) -> Value {
        json!({"Effect": effect, "Principal": principal, "Action": "sts:AssumeRole"})
    }

    fn policy(effect: &str, action: &str) -> Policy {
        let document =
            json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": action, "Resource": "*"}});
        Policy::new("policy", "p", None, &document.to_string())
    }

    fn answer(holdings: &Holdings, arn: &str, statements: &[Value]) -> Answer {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        assumable(holdings, arn, ROLE, &document).map_or(Answer::No, |it| it.answer)
    }

    #[test]
    fn a_user_that_is_named_needs_nothing_of_its_own_and_an_account_does() {
        let nothing = Holdings::default();
        let own = Holdings { policies: vec![policy("Allow", "sts:*")], ..Holdings::default() };
        let root = json!({"AWS": "arn:aws:iam::111122223333:root"});
        for named in [json!({"AWS": [ROLE, USER]}), json!("*"), json!({"AWS": "*"})] {
            assert_eq!(answer(&nothing, USER, &[trust("Allow", &named)]), Answer::Yes, "{named}");
        }
        for named in [root.clone(), json!({"AWS": "111122223333"})] {
            assert_eq!(answer(&nothing, USER, &[trust("Allow", &named)]), Answer::No);
            assert_eq!(answer(&own, USER, &[trust("Allow", &named)]), Answer::Yes);
        }
        for named in [json!({"Service": "ec2.amazonaws.com"}), json!({"AWS": "arn:aws:iam::444455556666:root"})] {
            assert_eq!(answer(&own, USER, &[trust("Allow", &named)]), Answer::No);
        }
        assert_eq!(answer(&own, USER, &[trust("Allow", &root), trust("Deny", &json!({"AWS": USER}))]), Answer::No);
        let denied = Holdings { policies: vec![policy("Deny", "sts:*")], ..Holdings::default() };
        assert_eq!(answer(&denied, USER, &[trust("Allow", &json!({"AWS": USER}))]), Answer::No);
        let unread = Holdings { unread: vec!["group g".to_owned()], ..Holdings::default() };
        assert_eq!(answer(&unread, USER, &[trust("Allow", &root)]), Answer::Depends);
    }

    /// What a boundary leaves out holds a role back that is named, and no user that is.
    #[test]
    fn a_boundary_holds_back_a_role_and_no_user_that_is_named() {
        let bounded = Holdings { limits: vec![vec![policy("Allow", "s3:*")]], ..Holdings::default() };
        assert_eq!(answer(&bounded, USER, &[trust("Allow", &json!({"AWS": USER}))]), Answer::Yes);
        assert_eq!(answer(&bounded, SELF, &[trust("Allow", &json!({"AWS": SELF}))]), Answer::No);
        let free = Holdings::default();
        assert_eq!(answer(&free, SELF, &[trust("Allow", &json!({"AWS": SELF}))]), Answer::Yes);
        let denying = Holdings { limits: vec![vec![policy("Deny", "sts:*")]], ..Holdings::default() };
        assert_eq!(answer(&denying, USER, &[trust("Allow", &json!({"AWS": USER}))]), Answer::No);
    }

    #[test]
    fn an_external_id_is_a_condition() {
        let mut statement = trust("Allow", &json!({"AWS": USER}));
        statement["Condition"] = json!({"StringEquals": {"sts:ExternalId": "x"}});
        let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        let found = assumable(&Holdings::default(), USER, ROLE, &document).unwrap();
        assert_eq!((found.answer, found.depends_on.first().unwrap().as_str()), (Answer::Depends, "sts:ExternalId"));
        assert_eq!(assumable(&Holdings::default(), USER, ROLE, "{}").unwrap().answer, Answer::NotKnown);
    }

    #[test]
    fn who_is_let_in_from_elsewhere_is_named() {
        let of = |principal: Value| foreigners(&json!({"Statement": [trust("Allow", &principal)]}), "111122223333");
        assert_eq!(of(json!({"AWS": [USER, "arn:aws:iam::444455556666:root", "444455556666"]})).len(), 2);
        assert_eq!(of(json!("*")), ["*"]);
        assert_eq!(of(json!({"Federated": "arn:aws:iam::111122223333:saml-provider/x"})).len(), 1);
        assert!(of(json!({"AWS": "111122223333", "Service": "ec2.amazonaws.com"})).is_empty());
    }
}
