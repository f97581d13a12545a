//! Which roles an identity may assume: its own policies, and whom each role trusts.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html>

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::Value;

use super::answer::{Answer, Decision, Holdings, few_keys, is_zero};
use super::condition::{Context, Truth};
use super::document::Document;
use super::rules::Rules;
use crate::ids::Arn;
use crate::policy_document::texts;

/// A role that it may assume.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Assumable {
    pub role: String,
    pub answer: Answer,
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<String>,
    /// Keys beyond those listed.
    #[serde(skip_serializing_if = "is_zero")]
    pub more_keys: usize,
    /// By what.
    pub why: String,
}

/// Roles of other accounts that its own policies let it try, as they name them. Whom those roles trust nobody can read
/// from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Attempt {
    pub roles: String,
    #[serde(flatten)]
    pub decision: Decision,
}

/// How far a trust policy goes towards an identity.
struct Trust {
    /// It names the user itself, or everybody: the user's own policies need not say anything, and what its boundary
    /// leaves out does not matter.
    to_user: Truth,
    /// It names the role itself: its own policies need not say anything.
    to_role: Truth,
    /// It names a session of the role, by the name that whoever assumes it chose: like a user.
    to_session: Truth,
    /// It names the account.
    to_account: Truth,
    denied: Truth,
}

/// Which roles of its own account an identity, a role or a user by its ARN, may assume: asked one by one, so that
/// whoever asks may do something else in between.
pub struct Assuming<'a> {
    context: &'a Context,
    arn: &'a str,
    rules: Rules<'a>,
    found: Vec<Assumable>,
    looks: usize,
    not_asked: usize,
}

impl<'a> Assuming<'a> {
    pub fn new(holdings: &'a Holdings, arn: &'a str) -> Self {
        let rules = holdings.rules_about(ASSUME, &holdings.context);
        Self { context: &holdings.context, arn, rules, found: Vec::new(), looks: 0, not_asked: 0 }
    }

    /// About one role, and whom it trusts.
    pub fn ask(&mut self, role: &str, trust: &str) {
        let question = self.rules.all();
        let mut found = |answer, depends_on, why: &str| {
            let (depends_on, more_keys) = few_keys(depends_on);
            self.found.push(Assumable { role: role.to_owned(), answer, depends_on, more_keys, why: why.to_owned() });
        };
        let trust = match Document::parse(trust) {
            Ok(it) => self::trust(&it, self.context, self.arn, role),
            Err(why) => {
                return found(Answer::NotKnown, BTreeSet::new(), &format!("its trust policy can't be read: {why}"));
            }
        };
        if [&trust.to_user, &trust.to_role, &trust.to_session, &trust.to_account].iter().all(|it| **it == Truth::No) {
            return;
        }
        self.looks += question.looks();
        if self.looks > MOST_LOOKS {
            self.not_asked += 1;
            return;
        }
        let not_denied = Truth::any([question.denies(role), trust.denied]).negated();
        let by_session = Truth::all([trust.to_session, not_denied.clone()]);
        let by_name = Truth::any([
            Truth::all([trust.to_user, not_denied.clone()]),
            Truth::all([trust.to_role, question.limits_allow(role), not_denied.clone()]),
        ]);
        let own = question.may(role);
        let own_allows = match own.answer {
            Answer::Yes => Truth::Yes,
            Answer::No => Truth::No,
            Answer::Depends => Truth::Depends(own.depends_on),
            Answer::NotKnown => Truth::depends("what could not be read"),
        };
        let with_own = Truth::all([trust.to_account, own_allows, not_denied]);
        let why = if by_name != Truth::No {
            "its trust policy names the identity"
        } else if with_own == Truth::Yes || by_session == Truth::No {
            "its trust policy names the account, and the identity's own policies allow it"
        } else {
            "its trust policy names a session of the identity, and whoever assumes that chooses the session's name"
        };
        match Truth::any([by_name, with_own, by_session]) {
            Truth::No => {}
            Truth::Yes => found(Answer::Yes, BTreeSet::new(), why),
            Truth::Depends(keys) => found(Answer::Depends, keys, why),
        }
    }

    pub fn end(mut self) -> Assumed {
        let all = self.found.iter().map(|it| (it.role.clone(), it.answer)).collect();
        let more = self.found.len().saturating_sub(MOST_ROLES);
        self.found.truncate(MOST_ROLES);
        let not_asked = (self.not_asked > 0).then(|| {
            format!(
                "of {} roles that trust it or its account: whether it may assume them, since there are too many roles \
                 and statements",
                self.not_asked
            )
        });
        Assumed { roles: self.found, more, all, not_asked }
    }
}

/// All that it may assume: the first of them, how many more, and what was not asked.
pub struct Assumed {
    pub roles: Vec<Assumable>,
    pub more: usize,
    /// Each with its answer.
    pub all: BTreeMap<String, Answer>,
    pub not_asked: Option<String>,
}

/// Roles beyond so many are counted.
const MOST_ROLES: usize = 50;

/// Roles times what statements name: the report has half a minute for all of its questions.
pub(super) const MOST_LOOKS: usize = 200_000;

fn trust(document: &Document, context: &Context, arn: &str, role: &str) -> Trust {
    let (mut user, mut own_role, mut account, mut denied) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut session = Vec::new();
    for statement in &document.statements {
        let truth = || statement.applies(ASSUME, role, context);
        let by_session = || Truth::all([Truth::depends("sts:RoleSessionName"), truth()]);
        let named = named(statement.principal.as_ref(), arn);
        if !statement.is_allow {
            denied.extend(named.last().map(|it| if *it == Names::Session { by_session() } else { truth() }));
            continue;
        }
        for name in named {
            match name {
                Names::User => user.push(truth()),
                Names::Role => own_role.push(truth()),
                Names::Session => session.push(by_session()),
                Names::Account => account.push(truth()),
            }
        }
    }
    Trust {
        to_user: Truth::any(user),
        to_role: Truth::any(own_role),
        to_session: Truth::any(session),
        to_account: Truth::any(account),
        denied: Truth::any(denied),
    }
}

pub(super) const ASSUME: &str = "sts:AssumeRole";

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Names {
    Account,
    /// Of the role.
    Session,
    Role,
    /// The user's own ARN, or everybody.
    User,
}

fn named(principal: Option<&Value>, arn: &str) -> BTreeSet<Names> {
    let (Some(principal), Some(own)) = (principal, Arn::parse(arn)) else { return BTreeSet::new() };
    let root = format!("arn:{}:iam::{}:root", own.partition, own.account);
    // A session's ARN has the role's name without its path.
    let name = own.resource.strip_prefix("role/").and_then(|it| it.rsplit('/').next());
    let sessions = name.map(|it| format!("arn:{}:sts::{}:assumed-role/{it}/", own.partition, own.account));
    let one = |named: &str| match named {
        "*" => Some(Names::User),
        it if it == arn && own.resource.starts_with("user/") => Some(Names::User),
        it if it == arn => Some(Names::Role),
        it if it == root || it == own.account => Some(Names::Account),
        it if sessions.as_ref().is_some_and(|sessions| it.starts_with(sessions)) => Some(Names::Session),
        _ => None,
    };
    let all = principal.as_str().map_or_else(|| texts(principal.get("AWS")), |it| vec![it]);
    all.into_iter().filter_map(one).collect()
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

/// The services that a trust policy lets in; none where it can't be read.
pub(super) fn services(trust: &str) -> Vec<String> {
    let Ok(document) = Document::parse(trust) else { return Vec::new() };
    let letting = document.statements.iter().filter(|it| it.is_allow && it.is_about(ASSUME));
    let named = letting.filter_map(|it| it.principal.as_ref()).flat_map(|it| texts(it.get("Service")));
    named.map(str::to_owned).collect()
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

    fn assumable(holdings: &Holdings, arn: &str, role: &str, trust: &str) -> Option<Assumable> {
        let mut assuming = Assuming::new(holdings, arn);
        assuming.ask(role, trust);
        assuming.found.pop()
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

    /// A session's name is the caller's choice.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html>
    #[test]
    fn a_role_that_trusts_a_session_of_the_role_may_be_assumed_by_it() {
        let trust = json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": "arn:aws:sts::111122223333:assumed-role/app/deploy"}}});
        let found = assumable(&Holdings::default(), SELF, ROLE, &trust.to_string()).unwrap();
        assert_eq!(
            (found.answer, found.depends_on.first().unwrap().as_str()),
            (Answer::Depends, "sts:RoleSessionName")
        );
        // Its own policies need not say anything, and the name has no path.
        let elsewhere = "arn:aws:iam::111122223333:role/team/app";
        let bounded = Holdings { limits: vec![vec![policy("Allow", "s3:*")]], ..Holdings::default() };
        assert_eq!(assumable(&bounded, elsewhere, ROLE, &trust.to_string()).unwrap().answer, Answer::Depends);
        assert!(
            assumable(&Holdings::default(), "arn:aws:iam::111122223333:role/ap", ROLE, &trust.to_string()).is_none()
        );
    }

    /// A thousand roles that trust the account, and as many statements as a user can have.
    #[test]
    fn roles_beyond_what_may_be_looked_at_are_counted_and_not_asked_about() {
        let patterns: Vec<_> = (0..500).map(|it| format!("arn:aws:iam::*:role/{it}-*")).collect();
        let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": patterns});
        let document = json!({"Version": "2012-10-17", "Statement": statement}).to_string();
        let holdings = Holdings { policies: vec![Policy::new("policy", "p", None, &document)], ..Holdings::default() };
        let root = trust("Allow", &json!({"AWS": "111122223333"}));
        let by_account = json!({"Version": "2012-10-17", "Statement": root}).to_string();
        let mut assuming = Assuming::new(&holdings, USER);
        let asked = MOST_LOOKS / 500;
        for n in 0..asked + 7 {
            assuming.ask(&format!("arn:aws:iam::111122223333:role/{n}-x"), &by_account);
        }
        let found = assuming.end();
        assert_eq!((found.roles.len(), found.more), (50, asked - 50));
        assert!(found.not_asked.unwrap().starts_with("of 7 roles that trust it"));
    }
}
