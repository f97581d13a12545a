//! What another version of a policy allows on more resources than now: of actions that are allowed on some already.

use std::collections::BTreeSet;

use super::answer::Answer;
use super::asking::Asker;
use super::catalogue::PASS;
use super::could::Could;
use super::resources::{is_of_others, resources};
use super::rules::{More, Placed};
use super::versions::{Gain, is_customers};

/// Actions that are being compared, one by one: whoever asks may do something else in between.
pub struct Widening<'a> {
    base: &'a Asker<'a>,
    other: &'a Asker<'a>,
    /// Of which another version is asked about.
    policy: &'a str,
    left: Vec<&'static str>,
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
        // A role that is passed is compared by its name.
        let actions = could.ways_of_both(then).flat_map(|(_, it)| it.actions.iter().copied()).filter(|it| *it != PASS);
        let asked: BTreeSet<_> = actions.filter(|it| resources(it).is_some()).collect();
        Self { base, other, policy, left: asked.into_iter().collect(), gains: Vec::new(), not_known: Vec::new() }
    }

    /// Compares the next action; whether there was one.
    pub fn step(&mut self) -> bool {
        let Some(action) = self.left.pop() else { return false };
        match self.more(action) {
            Answer::No => {}
            Answer::NotKnown => self.not_known.push(action),
            answer => self.gains.push(Gain::new(&format!("use {action} on more resources"), answer)),
        }
        true
    }

    /// What it gains, and of which actions that is not known.
    pub fn end(self) -> (Vec<Gain>, Vec<&'static str>) {
        (self.gains, self.not_known)
    }

    fn more(&self, action: &'static str) -> Answer {
        let ways = self.ways(action);
        if ways.is_empty() {
            return Answer::No;
        }
        let rules = |asker: &'a Asker<'a>| asker.holdings.rules_about(action, &asker.holdings.context);
        let (base, other) = (rules(self.base), rules(self.other));
        let there = self.numbers(self.base);
        let (template, but) = (self.base.template(action), is_of_others(action).then_some(self.base.arn));
        let ask = |by: More, surely: bool| {
            let beyond = other.beyond(&base, by, surely, &|it| there.contains(&it));
            beyond.all().may_to_some(&template, but).answer
        };
        let is_sure = base.are_sure() && other.are_sure();
        let mut best = Answer::No;
        for by in ways {
            let surely = ask(by, true);
            if surely == Answer::Yes {
                return Answer::Yes;
            }
            // It may depend, and only where nothing allows it as it is.
            let perhaps = if is_sure { surely } else { ask(by, false) };
            let unknown = [surely, perhaps].contains(&Answer::NotKnown).then_some(Answer::NotKnown);
            best = best.max(if perhaps > Answer::NotKnown { perhaps } else { unknown.unwrap_or(Answer::No) });
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
