//! Is there any resource that an action may be done to? Found by writing one, character by character, or shown not to
//! be there by running out of what could be written.
//!
//! All patterns are followed side by side, as a set of the places in which each could be: two texts that lead to the
//! same places have the same ends, so that one of them is enough. That set is a row of bits, and a character moves it on.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use super::answer::{Answer, Decision, MOST_GRANTS};
use super::condition::{Truth, plain};
use super::places::Machine;
use super::rules::{Question, Rule};
use crate::glob::{Piece, literal, matches, meet, pieces};

/// Words and patterns that are looked at for one question. Where they do not suffice, "no" is not known.
const MOST_STEPS: usize = 1_000_000;

/// With more, the steps would not reach to the end of a name.
const MOST_PATTERNS: usize = 2_000;

/// Resources times patterns that are asked about without more ado, of so many resources.
const MOST_LOOKS: usize = 20_000;
const MOST_ASKED: usize = 200;
const LEAST_ASKED: usize = 3;

/// What may stand in a name, for the one character that no pattern names.
const OTHERS: &str = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_-+=.,@";

/// How sure the answer must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Goal {
    Yes,
    /// Yes, or by some key.
    NotNo,
}

enum Reach {
    Found(String),
    Nothing,
    /// There was more to write than may be looked at.
    GaveUp,
}

impl Question<'_, '_> {
    /// Whether there is any resource, of those that the template matches, that it may be done to, apart from `but`. By
    /// every statement that allows it for one.
    pub(super) fn may_to_some(&self, template: &str, but: Option<&str>) -> Decision {
        self.best_of_some(template, but).0
    }

    /// With the resource of which that is so.
    pub(super) fn best_of_some(&self, template: &str, but: Option<&str>) -> (Decision, Option<String>) {
        let mut best = Best::default();
        // A resource such as somebody would write, for each pattern, is enough for most.
        let whole = whole(template);
        let patterns = self
            .own_allowing()
            .flat_map(|(_, it)| if it.resources.all_but { &[] } else { it.resources.patterns.as_slice() });
        let any = [whole.clone()];
        let resources: BTreeSet<String> =
            patterns.chain(&any).filter_map(|it| meet(it, &whole)).take(self.most_asked()).collect();
        resources.iter().filter(|it| Some(it.as_str()) != but).for_each(|it| best.add(it, self.may(it)));
        if best.decision.answer != Answer::Yes && self.own_allowing().next().is_some() {
            let but = but.map(literal);
            let mut search = Search::new(self, &whole, but.as_deref());
            for (at, _) in self.own_allowing() {
                let is_surely = best.decision.answer == Answer::Yes;
                let found = search.as_mut().and_then(|it| it.best(at, None, is_surely, &mut best.is_all_asked));
                found.into_iter().for_each(|it| best.add(&it, self.may(&it)));
            }
            best.is_all_asked &= search.is_some();
        }
        let is_cut = resources.len() >= self.most_asked();
        let unasked = self.own_allowing().filter(|(_, it)| is_cut && !best.by.contains(&it.placed.number)).count();
        let at = best.at.take();
        (best.end(self.is_all_read, unasked), at)
    }

    /// How many resources are asked about without more ado.
    fn most_asked(&self) -> usize {
        (MOST_LOOKS / self.looks()).clamp(LEAST_ASKED, MOST_ASKED)
    }

    /// Each pattern of its own policies by which it may be done to a resource of the template, apart from those that
    /// `but` matches. As it is written.
    pub(super) fn patterns_to_some(&self, template: &str, but: &str) -> BTreeMap<String, Decision> {
        let (but, template) = (pieces(but), whole(template));
        let mut search = Search::new(self, &template, Some(&but));
        let mut found: BTreeMap<String, Decision> = BTreeMap::new();
        for (at, rule) in self.own_allowing() {
            for (written, pattern) in named(rule) {
                let mut is_all_asked = search.is_some();
                let one = pattern.and_then(|it| only_match(rule.resources.patterns.get(it)?));
                let reached = match one {
                    // There is nothing to be searched for: hundreds of them are asked about one by one.
                    Some(one) => {
                        is_all_asked = true;
                        Some(one).filter(|it| matches(&template, it) && !matches(&but, it))
                    }
                    None => search.as_mut().and_then(|it| it.best(at, pattern, false, &mut is_all_asked)),
                };
                let decision = match reached.map(|it| self.may(&it)) {
                    Some(decision) if decision.answer <= Answer::NotKnown => continue,
                    Some(decision) => decision,
                    None if is_all_asked => continue,
                    None => Decision { by: vec![rule.placed.number], ..Decision::of(Answer::NotKnown) },
                };
                match found.get_mut(&written) {
                    Some(so_far) if so_far.answer >= decision.answer => {}
                    _ => drop(found.insert(written, decision)),
                }
            }
        }
        found
    }

    fn own_allowing(&self) -> impl Iterator<Item = (usize, &Rule<'_>)> {
        self.rules.iter().enumerate().filter(|(_, it)| it.is_allow() && it.layer() == 0).map(|(at, it)| (at, *it))
    }
}

/// The best answer so far, and the statements that it is by.
struct Best {
    decision: Decision,
    by: BTreeSet<usize>,
    /// Of the first resource that it is of.
    at: Option<String>,
    is_all_asked: bool,
}

impl Default for Best {
    fn default() -> Self {
        Self { decision: Decision::no(), by: BTreeSet::new(), at: None, is_all_asked: true }
    }
}

impl Best {
    fn add(&mut self, resource: &str, found: Decision) {
        if found.answer < self.decision.answer {
            return;
        }
        if found.answer > self.decision.answer {
            self.by.clear();
            self.at = Some(resource.to_owned());
        }
        self.by.extend(&found.by);
        self.decision = found;
    }

    fn end(mut self, is_all_read: bool, unasked: usize) -> Decision {
        if self.decision.answer == Answer::No {
            return Decision::of(if self.is_all_asked && is_all_read { Answer::No } else { Answer::NotKnown });
        }
        self.decision.more_by = self.by.len().saturating_sub(MOST_GRANTS) + unasked;
        self.decision.by = self.by.into_iter().take(MOST_GRANTS).collect();
        self.decision
    }
}

/// The template, of which nothing has an empty part.
fn whole(template: &str) -> Vec<Piece> {
    pieces(template)
        .into_iter()
        .flat_map(|it| if it == Piece::Any { vec![Piece::One, Piece::Any] } else { vec![it] })
        .collect()
}

/// What a statement names, each pattern with its place; `None`: whatever the statement names.
fn named(rule: &Rule<'_>) -> Vec<(String, Option<usize>)> {
    let (all_but, written) = rule.placed.statement.written();
    if all_but {
        return vec![(format!("all but {}", written.join(", ")), None)];
    }
    let filled = rule.resources.patterns.iter().enumerate().map(|(n, it)| (plain(it), Some(n)));
    filled.chain(rule.resources.unknown.iter().map(|(written, _)| (written.clone(), None))).collect()
}

/// The one text that a pattern without wildcards matches.
fn only_match(pattern: &[Piece]) -> Option<String> {
    pattern.iter().map(|it| if let Piece::Is(c) = it { Some(*c) } else { None }).collect()
}

/// A statement, with its patterns' places in the machine: those that match nothing of the template are left out.
struct Watched {
    layer: usize,
    is_allow: bool,
    is_sure: bool,
    all_but: bool,
    is_partly_unknown: bool,
    patterns: Vec<usize>,
    /// In the machine, by their place in the statement.
    by_place: Vec<Option<usize>>,
}

/// What is to be reached: by this statement, and by this of its patterns.
#[derive(Clone, Copy)]
struct Target {
    rule: usize,
    pattern: Option<usize>,
    goal: Goal,
}

struct Search {
    machine: Machine,
    rules: Vec<Watched>,
    layers: usize,
    template: usize,
    but: Option<usize>,
    steps: usize,
}

impl Search {
    /// `None`: there are more patterns than can be followed far enough.
    fn new(question: &Question<'_, '_>, template: &[Piece], but: Option<&[Piece]>) -> Option<Self> {
        if question.looks() > MOST_PATTERNS {
            return None;
        }
        let mut machine = Machine::default();
        let rules = question.rules.iter().map(|rule| {
            let place = |it: &Vec<Piece>| may_meet(it, template).then(|| machine.add(it));
            let by_place: Vec<_> = rule.resources.patterns.iter().map(place).collect();
            Watched {
                layer: rule.layer(),
                is_allow: rule.is_allow(),
                is_sure: rule.holds == Truth::Yes,
                all_but: rule.resources.all_but,
                is_partly_unknown: !rule.resources.unknown.is_empty(),
                patterns: by_place.iter().copied().flatten().collect(),
                by_place,
            }
        });
        let rules = rules.collect();
        let but = but.map(|it| machine.add(it));
        let template = machine.add(template);
        machine.finish();
        Some(Self { machine, rules, layers: question.layers, template, but, steps: MOST_STEPS })
    }

    /// A resource that the statement allows: surely, or where there is none perhaps.
    fn best(&mut self, rule: usize, place: Option<usize>, surely: bool, is_all_asked: &mut bool) -> Option<String> {
        let pattern = match place {
            None => None,
            Some(place) => Some(self.rules.get(rule)?.by_place.get(place).copied().flatten()?),
        };
        let goals: &[Goal] = if surely { &[Goal::Yes] } else { &[Goal::Yes, Goal::NotNo] };
        for goal in goals {
            match self.find(Target { rule, pattern, goal: *goal }) {
                Reach::Found(resource) => return Some(resource),
                Reach::Nothing => {}
                Reach::GaveUp => *is_all_asked = false,
            }
        }
        None
    }

    fn find(&mut self, target: Target) -> Reach {
        // One that takes many steps leaves some for the others.
        let mut left = self.steps / 2;
        let start = self.machine.start();
        if !self.is_open(&start, target) {
            return Reach::Nothing;
        }
        let mut seen = HashSet::from([start.clone()]);
        // Each character that was written, and after which.
        let mut written: Vec<(usize, char)> = Vec::new();
        let mut open = vec![(start, 0)];
        while let Some((places, from)) = open.pop() {
            if self.is_reached(&places, target) {
                return Reach::Found(read(&written, from));
            }
            for c in self.next(&places, target) {
                let cost = self.machine.words + self.machine.patterns.len();
                let Some(still) = left.checked_sub(cost) else { return Reach::GaveUp };
                left = still;
                self.steps = self.steps.saturating_sub(cost);
                let next = self.machine.step(&places, c);
                if self.is_open(&next, target) && seen.insert(next.clone()) {
                    written.push((from, c));
                    open.push((next, written.len()));
                }
            }
        }
        Reach::Nothing
    }

    /// Whether what was written may become such a resource.
    fn is_open(&self, places: &[u64], target: Target) -> bool {
        let machine = &self.machine;
        self.holds(target, &|it| machine.is_alive(places, it), &|it| machine.matches_whatever_follows(places, it))
    }

    /// Whether what was written is such a resource.
    fn is_reached(&self, places: &[u64], target: Target) -> bool {
        let matches = |it| self.machine.matches(places, it);
        self.holds(target, &matches, &matches)
    }

    /// `may`: a pattern may match; `must`: it does, whatever comes.
    fn holds(&self, target: Target, may: &dyn Fn(usize) -> bool, must: &dyn Fn(usize) -> bool) -> bool {
        let allows = |it: &Watched| match (it.all_but, target.goal) {
            (_, Goal::Yes) if !it.is_sure => false,
            (true, Goal::Yes) if it.is_partly_unknown => false,
            (true, _) => !it.patterns.iter().any(|it| must(*it)),
            (false, goal) => (goal == Goal::NotNo && it.is_partly_unknown) || it.patterns.iter().any(|it| may(*it)),
        };
        let denies = |it: &Watched| match (it.all_but, target.goal) {
            (_, Goal::NotNo) if !it.is_sure => false,
            (true, Goal::NotNo) if it.is_partly_unknown => false,
            (true, _) => !it.patterns.iter().any(|it| may(*it)),
            (false, goal) => (goal == Goal::Yes && it.is_partly_unknown) || it.patterns.iter().any(|it| must(*it)),
        };
        let is_bound = |layer: usize| self.rules.iter().any(|it| it.is_allow && it.layer == layer && allows(it));
        may(self.template)
            && !self.but.is_some_and(must)
            && target.pattern.is_none_or(may)
            && self.rules.get(target.rule).is_some_and(allows)
            && (1..self.layers).all(is_bound)
            && !self.rules.iter().any(|it| !it.is_allow && denies(it))
    }

    /// The characters that lead to different places; the last is tried first: the one that nobody wrote a rule about.
    fn next(&self, places: &[u64], target: Target) -> Vec<char> {
        let machine = &self.machine;
        let of_target: Vec<usize> = match (target.pattern, self.rules.get(target.rule)) {
            (Some(pattern), _) => vec![pattern],
            (None, Some(rule)) if !rule.all_but && !rule.is_partly_unknown => rule.patterns.clone(),
            _ => Vec::new(),
        };
        for patterns in [&[self.template][..], &of_target] {
            if let Some(named) = machine.only_named(places, patterns) {
                return named.into_iter().collect();
            }
        }
        let mut all = machine.named(places);
        let other = OTHERS.chars().find(|it| !machine.is_at.contains_key(it)).unwrap_or('\u{e9}');
        all.remove(&other);
        all.into_iter().chain([other]).collect()
    }
}

/// What begins so, as far as both say which character stands there.
fn may_meet(a: &[Piece], b: &[Piece]) -> bool {
    for pair in a.iter().zip(b) {
        match pair {
            (Piece::Any, _) | (_, Piece::Any) => return true,
            (Piece::Is(x), Piece::Is(y)) if x != y => return false,
            _ => {}
        }
    }
    let rest = if a.len() > b.len() { a.get(b.len()..) } else { b.get(a.len()..) };
    rest.is_none_or(|it| it.iter().all(|it| *it == Piece::Any))
}

fn read(written: &[(usize, char)], mut at: usize) -> String {
    let mut text = Vec::new();
    while let Some((before, c)) = at.checked_sub(1).and_then(|it| written.get(it)) {
        text.push(*c);
        at = *before;
    }
    text.into_iter().rev().collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::answer::Holdings;
    use super::super::document::Policy;
    use super::*;

    fn policy(statements: &[Value]) -> Policy {
        Policy::new("policy", "p", None, &json!({"Version": "2012-10-17", "Statement": statements}).to_string())
    }

    fn some(statements: &[Value]) -> Answer {
        let holdings = Holdings { policies: vec![policy(statements)], ..Holdings::default() };
        holdings.may_to_some("iam:CreateUser", "arn:aws:iam::1:user/*", None).answer
    }

    fn statement(effect: &str, resources: &[&str]) -> Value {
        let resources: Vec<_> = resources.iter().map(|it| format!("arn:aws:iam::1:user/{it}")).collect();
        json!({"Effect": effect, "Action": "*", "Resource": resources})
    }

    #[test]
    fn no_is_of_every_name_that_could_be_written() {
        assert_eq!(some(&[statement("Allow", &["a?"]), statement("Deny", &["a0", "ab"])]), Answer::Yes);
        // Short names are left, and none without a character.
        assert_eq!(some(&[statement("Allow", &["*"]), statement("Deny", &["??????*"])]), Answer::Yes);
        assert_eq!(some(&[statement("Allow", &["*"]), statement("Deny", &["?*"])]), Answer::No);
        assert_eq!(some(&[statement("Allow", &["*a", "b*"]), statement("Deny", &["*a", "b*"])]), Answer::No);
        let others = json!({"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:iam::1:user/*-b"});
        assert_eq!(some(&[statement("Allow", &["a-*"]), others.clone()]), Answer::Yes);
        assert_eq!(some(&[statement("Allow", &["a-*"]), others.clone(), statement("Deny", &["*b"])]), Answer::No);
        assert_eq!(some(&[statement("Allow", &["a-?"]), others, statement("Deny", &["a-b"])]), Answer::No);
    }

    #[test]
    fn of_a_thousand_resources_none_is_forgotten() {
        let names: Vec<_> = (0..1_000).map(|it| format!("u{it}")).collect();
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        assert_eq!(some(&[statement("Allow", &names), statement("Deny", &["u*"])]), Answer::No);
        assert_eq!(some(&[statement("Allow", &names), statement("Deny", &names[..999])]), Answer::Yes);
    }

    /// Names of which the thirtieth character from the end is an `a`, or is not: two to the thirtieth differ.
    #[test]
    fn of_more_names_than_may_be_written_no_is_not_known() {
        let far = format!("*a{}", "?".repeat(30));
        let deny = |name: &str| json!({"Effect": "Deny", "Action": "*", name: format!("arn:aws:iam::1:user/{far}")});
        assert_eq!(some(&[statement("Allow", &["*"]), deny("Resource")]), Answer::Yes);
        assert_eq!(some(&[statement("Allow", &["*"]), deny("NotResource")]), Answer::Yes);
        assert_eq!(some(&[statement("Allow", &["*"]), deny("NotResource"), deny("Resource")]), Answer::NotKnown);
    }

    /// In the letters of `a_sampled_resource`.
    fn patterns() -> impl Strategy<Value = Vec<String>> {
        proptest::collection::vec("[ab*?]{0,4}".prop_map(|it| format!("x:{it}")), 1..3)
    }

    fn statements(effects: &'static [&'static str]) -> impl Strategy<Value = Value> {
        let one = (proptest::sample::select(effects), any::<bool>(), patterns(), 0..6u8, any::<bool>());
        let one = one.prop_map(|(effect, all_but, mut patterns, condition, has_variable)| {
            if has_variable && condition == 5 {
                patterns.push("x:${aws:SourceVpc}".to_owned());
            }
            let mut made = json!({"Effect": effect, "Action": "*"});
            made[if all_but { "NotResource" } else { "Resource" }] = json!(patterns);
            if condition == 0 {
                made["Condition"] = json!({"StringEquals": {"aws:SourceVpc": "v"}});
            }
            made
        });
        proptest::collection::vec(one, 1..4).prop_map(|it| json!(it))
    }

    proptest! {
        /// One resource that it may be done to is enough.
        #[test]
        fn no_is_never_said_where_a_resource_says_otherwise(
            own in statements(&["Allow", "Allow", "Deny"]),
            limit in proptest::option::of(statements(&["Allow", "Deny"])),
            names in proptest::collection::vec("[abc]{1,5}", 20),
            but in "[ab]{1,2}",
        ) {
            let policy = |it: &Value| policy(it.as_array().unwrap());
            let limits = limit.iter().map(|it| vec![policy(it)]).collect();
            let holdings = Holdings { policies: vec![policy(&own)], limits, ..Holdings::default() };
            let but = format!("x:{but}");
            let said = holdings.may_to_some("iam:CreateUser", "x:*", Some(&but));
            prop_assert_ne!(said.answer, Answer::NotKnown);
            let asked = names.iter().map(|it| format!("x:{it}")).filter(|it| *it != but);
            for resource in asked {
                let one = holdings.may("iam:CreateUser", &resource).answer;
                prop_assert!(said.answer >= one, "{resource}: {one:?}, and of all {:?}", said.answer);
            }
            prop_assert_eq!(said.answer == Answer::No, said.by.is_empty());
        }
    }
}
