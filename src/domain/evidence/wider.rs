//! What another version of a policy allows on more resources than now: of actions that are allowed on some already, and
//! of the roles of other accounts.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::Answer;
use super::asked::GUARDED;
use super::asking::Asker;
use super::assume::ASSUME;
use super::catalogue::PASS;
use super::could::Could;
use super::resources::{is_of_others, resources};
use super::rules::{More, Placed, Question};
use super::versions::{Gain, is_customers};

/// Actions that are being compared, one by one: whoever asks may do something else in between.
pub struct Widening<'a> {
    base: &'a Asker<'a>,
    other: &'a Asker<'a>,
    /// Of which another version is asked about.
    policy: &'a str,
    left: Vec<&'static str>,
    /// The patterns by which roles of other accounts may be tried as it is.
    tried: BTreeMap<String, Answer>,
    gains: Vec<Gain>,
    not_known: Vec<&'static str>,
}

impl<'a> Widening<'a> {
    /// The same identity as it is and with another version of the policy, and what was answered of both.
    pub fn new(
        (base, could): (&'a Asker<'a>, &Could),
        (other, then): (&'a Asker<'a>, &Could),
        policy: &'a str,
    ) -> Self {
        let of_ways = could.ways_of_both(then).flat_map(|(_, it)| it.actions.iter().copied());
        let is_administrator = |it: &Could| it.administrator.answer > Answer::NotKnown;
        let guarded = if is_administrator(could) && is_administrator(then) { GUARDED } else { &[] };
        let guarded = guarded.iter().copied().filter(|it| !could.administrator_but.contains(it));
        // A role that is passed, and one of its own account that is assumed, is compared by its name.
        let actions = of_ways.chain(guarded).filter(|it| ![PASS, ASSUME].contains(it) && resources(it).is_some());
        let elsewhere = (!then.uncut.roles_elsewhere.is_empty()).then_some(ASSUME);
        let asked: BTreeSet<_> = actions.chain(elsewhere).collect();
        Self {
            base,
            other,
            policy,
            left: asked.into_iter().collect(),
            tried: could.uncut.roles_elsewhere.clone(),
            gains: Vec::new(),
            not_known: Vec::new(),
        }
    }

    /// Compares the next action; whether there was one.
    pub fn step(&mut self) -> bool {
        let Some(action) = self.left.pop() else { return false };
        let more = if action == ASSUME { self.more_roles_elsewhere() } else { self.more_resources(action) };
        for (what, answer) in more {
            match answer {
                Answer::No => {}
                Answer::NotKnown if self.not_known.contains(&action) => {}
                Answer::NotKnown => self.not_known.push(action),
                answer => self.gains.push(Gain::new(&what, answer)),
            }
        }
        true
    }

    /// What it gains, and of which actions that is not known.
    pub fn end(self) -> (Vec<Gain>, Vec<&'static str>) {
        (self.gains, self.not_known)
    }

    fn more_resources(&self, action: &'static str) -> BTreeMap<String, Answer> {
        let (template, but) = (self.base.template(action), is_of_others(action).then_some(self.base.arn));
        let ask = |beyond: &Question<'_, '_>| {
            let answer = beyond.may_to_some(&template, but).answer;
            BTreeMap::from([(format!("use {action} on more resources"), answer)])
        };
        self.more(action, &ask)
    }

    /// By each pattern of its own policies: what bounds it, and what is denied to it, may have changed by the version too.
    fn more_roles_elsewhere(&self) -> BTreeMap<String, Answer> {
        let (anywhere, own) = self.base.elsewhere();
        let ask = |beyond: &Question<'_, '_>| {
            let found = beyond.patterns_to_some(&anywhere, &own).into_iter();
            found.map(|(roles, it)| (roles, it.answer)).collect()
        };
        let found = self.more(ASSUME, &ask).into_iter();
        let words = |(roles, answer): (String, Answer)| {
            let has_some = self.tried.get(&roles).is_some_and(|it| *it >= answer);
            let more = if has_some { "more roles" } else { "roles" };
            (format!("try {more} of other accounts, {roles}"), answer)
        };
        found.map(words).collect()
    }

    /// `ask`: about what only the other version allows, what it gains by it, in words.
    fn more(
        &self,
        action: &'static str,
        ask: &dyn Fn(&Question<'_, '_>) -> BTreeMap<String, Answer>,
    ) -> BTreeMap<String, Answer> {
        let rules = |asker: &'a Asker<'a>| asker.holdings.rules_about(action, &asker.holdings.context);
        let (base, other) = (rules(self.base), rules(self.other));
        let there = self.numbers(self.base);
        let ask = |by: More, surely: bool| ask(&other.beyond(&base, by, surely, &|it| there.contains(&it)).all());
        let is_sure = base.are_sure() && other.are_sure();
        let mut best: BTreeMap<String, Answer> = BTreeMap::new();
        for by in self.ways(action) {
            let surely = ask(by, true);
            let is_all_sure = !surely.is_empty() && surely.values().all(|it| *it == Answer::Yes);
            // It may depend, and only where nothing allows it as it is.
            let perhaps = if is_sure || is_all_sure { surely.clone() } else { ask(by, false) };
            let whats: BTreeSet<_> = surely.keys().chain(perhaps.keys()).collect();
            for what in whats {
                let of = |all: &BTreeMap<String, Answer>| all.get(what).copied().unwrap_or(Answer::No);
                let answer = match (of(&surely), of(&perhaps)) {
                    (Answer::Yes, _) => Answer::Yes,
                    (_, perhaps) if perhaps > Answer::NotKnown => perhaps,
                    (Answer::NotKnown, _) | (_, Answer::NotKnown) => Answer::NotKnown,
                    _ => Answer::No,
                };
                let so_far = best.entry(what.clone()).or_insert(Answer::No);
                *so_far = answer.max(*so_far);
            }
        }
        best
    }

    /// By what that version could allow more of it.
    fn ways(&self, action: &str) -> Vec<More> {
        let about = |asker: &'a Asker<'a>| -> Vec<Placed<'a>> {
            let numbers = self.numbers(asker);
            let all = asker.holdings.placed().into_iter();
            all.filter(|it| numbers.contains(&it.number) && it.statement.is_about(action)).collect()
        };
        let allowing = about(self.other).into_iter().filter(|it| it.statement.is_allow);
        let layers: BTreeSet<_> = allowing.map(|it| it.layer()).collect();
        let denies_less = about(self.base).iter().any(|it| !it.statement.is_allow);
        layers.into_iter().map(More::Allowed).chain(denies_less.then_some(More::NotDenied)).collect()
    }

    /// Of the statements of the policy.
    fn numbers(&self, asker: &Asker<'_>) -> BTreeSet<usize> {
        let all = asker.holdings.policies.iter().chain(asker.holdings.limits.iter().flatten());
        let each = all.flat_map(|policy| {
            let is_it = is_customers(policy) && policy.origin.name == self.policy;
            policy.document.iter().flat_map(move |it| it.statements.iter().map(move |_| is_it))
        });
        each.enumerate().filter(|(_, is_it)| *is_it).map(|(number, _)| number).collect()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evidence::answer::Holdings;
    use crate::evidence::document::Policy;
    use crate::fixtures::parsed;

    const TEAM: &str = "arn:aws:iam::111122223333:policy/team";
    const READ: &str = "secretsmanager:GetSecretValue";
    const DEMO: &str = "arn:aws:secretsmanager:*:111122223333:secret:demo-*";

    fn policy(kind: &'static str, name: &str, statements: &Value) -> Policy {
        Policy::new(kind, name, None, &json!({"Version": "2012-10-17", "Statement": statements}).to_string())
    }

    fn statement(effect: &str, resource: &str) -> Value {
        json!({"Effect": effect, "Action": READ, "Resource": resource})
    }

    fn depends(mut statement: Value) -> Value {
        statement["Condition"] = json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}});
        statement
    }

    fn widened(has: &Holdings, statements: &Value) -> Vec<(String, Answer)> {
        let text = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let other = has.with_version(TEAM, &text).unwrap();
        let (account, partition, arn) = (parsed("111122223333"), parsed("aws"), "arn:aws:iam::111122223333:user/alice");
        let base = Asker { holdings: has, account: &account, partition: &partition, arn };
        let other = Asker { holdings: &other, ..base };
        let mut widening = Widening::new((&base, &base.ask()), (&other, &other.ask()), TEAM);
        while widening.step() {}
        let (gains, not_known) = widening.end();
        assert!(not_known.is_empty(), "{not_known:?}");
        gains.into_iter().map(|it| (it.what, it.answer)).collect()
    }

    fn holdings(statements: &Value) -> Holdings {
        Holdings { policies: vec![policy("policy", TEAM, statements)], ..Holdings::default() }
    }

    fn more(answer: Answer) -> Vec<(String, Answer)> {
        vec![(format!("use {READ} on more resources"), answer)]
    }

    #[test]
    fn more_resources_of_the_same_action_are_a_gain_and_fewer_or_the_same_are_none() {
        let has = holdings(&statement("Allow", DEMO));
        assert_eq!(widened(&has, &statement("Allow", "*")), more(Answer::Yes));
        assert_eq!(
            widened(&has, &statement("Allow", "arn:aws:secretsmanager:*:111122223333:secret:prod-*")),
            more(Answer::Yes)
        );
        let all_but = json!({"Effect": "Allow", "Action": READ, "NotResource": DEMO});
        assert_eq!(widened(&has, &all_but), more(Answer::Yes));
        for less in ["arn:aws:secretsmanager:eu-*:111122223333:secret:demo-??", DEMO, "arn:aws:s3:::b"] {
            assert!(widened(&has, &statement("Allow", less)).is_empty(), "{less}");
        }
        let all = holdings(&statement("Allow", "*"));
        assert!(widened(&all, &all_but).is_empty());
        let both = json!([statement("Allow", "*"), statement("Deny", DEMO)]);
        assert!(widened(&all, &both).is_empty());
        assert!(widened(&holdings(&both), &all_but).is_empty());
    }

    #[test]
    fn what_no_version_denies_any_more_is_a_gain() {
        let has = holdings(&json!([statement("Allow", "*"), statement("Deny", DEMO)]));
        assert_eq!(widened(&has, &statement("Allow", "*")), more(Answer::Yes));
        let mut denied = has.clone();
        denied.policies.push(policy("inline policy", "own", &statement("Deny", DEMO)));
        assert!(widened(&denied, &statement("Allow", "*")).is_empty());
    }

    #[test]
    fn a_boundary_caps_what_it_gains_and_is_a_policy_that_has_versions() {
        let mut has = holdings(&statement("Allow", DEMO));
        has.limits = vec![vec![policy("boundary", "arn:aws:iam::111122223333:policy/b", &statement("Allow", DEMO))]];
        assert!(widened(&has, &statement("Allow", "*")).is_empty());
        let has = Holdings {
            policies: vec![policy("inline policy", "own", &statement("Allow", "*"))],
            limits: vec![vec![policy("boundary", TEAM, &statement("Allow", DEMO))]],
            ..Holdings::default()
        };
        assert_eq!(widened(&has, &statement("Allow", "*")), more(Answer::Yes));
    }

    /// Its patterns may be the same: what is denied, and what bounds them, decides too.
    #[test]
    fn roles_of_other_accounts_are_compared_by_what_each_side_allows() {
        let roles = |effect: &str, pattern: &str| {
            let role = format!("arn:aws:iam::444455556666:role/{pattern}");
            json!({"Effect": effect, "Action": "sts:AssumeRole", "Resource": role})
        };
        let (all, reader) = (roles("Allow", "*"), roles("Allow", "reader"));
        let some = json!([all, roles("Deny", "prod-*")]);
        let gained = |what: &str| vec![(format!("try {what}"), Answer::Yes)];
        let more = "more roles of other accounts, arn:aws:iam::444455556666:role/*";
        assert_eq!(widened(&holdings(&some), &all), gained(more));
        let new = "roles of other accounts, arn:aws:iam::444455556666:role/*";
        assert_eq!(widened(&holdings(&reader), &all), gained(new));
        for less in [&some, &reader, &all, &json!([])] {
            assert!(widened(&holdings(&all), less).is_empty(), "{less}");
        }
        let bounded = Holdings {
            policies: vec![policy("inline policy", "own", &all)],
            limits: vec![vec![policy("boundary", TEAM, &reader)]],
            ..Holdings::default()
        };
        assert_eq!(widened(&bounded, &all), gained(more));
    }

    #[test]
    fn what_guardrails_deny_an_administrator_is_compared_by_resources() {
        let all = json!({"Effect": "Allow", "Action": "*", "Resource": "*"});
        let guard = json!({"Effect": "Deny", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::prod-*"});
        let gained = widened(&holdings(&json!([all, guard])), &all);
        assert_eq!(gained, [("use s3:DeleteBucket on more resources".to_owned(), Answer::Yes)]);
    }

    #[test]
    fn by_a_condition_it_is_allowed_on_more_perhaps() {
        let has = holdings(&statement("Allow", DEMO));
        let both = json!([statement("Allow", DEMO), depends(statement("Allow", "*"))]);
        assert_eq!(widened(&has, &both), more(Answer::Depends));
        assert_eq!(widened(&holdings(&both), &statement("Allow", "*")), more(Answer::Yes));
        assert!(widened(&holdings(&both), &both).is_empty());
    }

    /// By a tag of the session, that its maker chooses.
    #[test]
    fn what_a_key_puts_into_a_name_is_the_same_on_both_sides() {
        let own = |name: &str| statement("Allow", &format!("arn:aws:secretsmanager:*:111122223333:secret:{name}"));
        let has = holdings(&json!([own("demo"), own("${aws:PrincipalTag/team}")]));
        assert!(widened(&has, &own("${aws:PrincipalTag/team}")).is_empty());
        assert_eq!(widened(&has, &own("${aws:PrincipalTag/other}")), more(Answer::Depends));
    }
}
