//! The statements about one action, with everything decided but the resource: made once, and asked about many resources.

use std::collections::BTreeSet;

use super::answer::{Answer, Decision, Holdings};
use super::condition::{Context, Truth};
use super::document::{Resources, Statement};

/// A statement in its layer: the identity's own policies are the first, and each limit is another.
#[derive(Clone, Copy)]
pub(super) struct Placed<'a> {
    /// Among all statements of the holdings.
    pub(super) number: usize,
    layer: usize,
    pub(super) statement: &'a Statement,
}

impl Placed<'_> {
    pub(super) fn layer(&self) -> usize {
        self.layer
    }
}

/// One that may apply.
#[derive(Clone)]
pub(super) struct Rule<'a> {
    pub(super) placed: Placed<'a>,
    /// Whether its conditions hold: yes, or it depends.
    pub(super) holds: Truth,
    pub(super) resources: Resources,
    is_allow: bool,
}

impl Rule<'_> {
    pub(super) fn layer(&self) -> usize {
        self.placed.layer()
    }

    pub(super) fn is_allow(&self) -> bool {
        self.is_allow
    }
}

/// Every statement in one context.
pub(super) struct Rules<'a> {
    rules: Vec<Rule<'a>>,
    layers: usize,
    is_all_read: bool,
}

impl Holdings {
    pub(super) fn placed(&self) -> Vec<Placed<'_>> {
        let limits = self.limits.iter().enumerate().map(|(n, it)| (n + 1, it));
        let layers = std::iter::once((0, &self.policies)).chain(limits);
        let policies = layers.flat_map(|(layer, it)| it.iter().map(move |policy| (layer, policy)));
        let statements = policies.flat_map(|(layer, policy)| {
            policy.document.iter().flat_map(move |it| it.statements.iter().map(move |it| (layer, it)))
        });
        statements.enumerate().map(|(number, (layer, statement))| Placed { number, layer, statement }).collect()
    }

    /// Of some statements, in this context.
    pub(super) fn rules<'a>(&self, placed: &[Placed<'a>], context: &Context) -> Rules<'a> {
        let rule = |placed: &Placed<'a>| {
            let holds = placed.statement.holds(context);
            let resources = || placed.statement.resources(context);
            (holds != Truth::No).then(|| Rule {
                placed: *placed,
                holds,
                resources: resources(),
                is_allow: placed.statement.is_allow,
            })
        };
        Rules {
            rules: placed.iter().filter_map(rule).collect(),
            layers: self.limits.len() + 1,
            is_all_read: self.is_all_read(),
        }
    }

    /// About one action alone.
    pub(super) fn rules_about(&self, action: &str, context: &Context) -> Rules<'_> {
        let placed: Vec<_> = self.placed().into_iter().filter(|it| it.statement.is_about(action)).collect();
        self.rules(&placed, context)
    }
}

impl<'a> Rules<'a> {
    pub(super) fn about(&self, action: &str) -> Question<'_, 'a> {
        self.question(self.rules.iter().filter(|it| it.placed.statement.is_about(action)).collect())
    }

    /// Where all of them are about one action already.
    pub(super) fn all(&self) -> Question<'_, 'a> {
        self.question(self.rules.iter().collect())
    }

    /// Whether none depends on what nobody knows.
    pub(super) fn are_sure(&self) -> bool {
        self.rules.iter().all(|it| it.holds == Truth::Yes && it.resources.unknown.is_empty())
    }

    fn question<'r>(&self, rules: Vec<&'r Rule<'a>>) -> Question<'r, 'a> {
        Question { rules, layers: self.layers, is_all_read: self.is_all_read }
    }
}

/// By what another one of two sets of rules may allow more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum More {
    /// It allows more in this layer.
    Allowed(usize),
    /// It denies less.
    NotDenied,
}

impl<'a> Rules<'a> {
    /// Asks about what these allow and `base` does not: both of one action. `surely`: what is allowed here whatever the
    /// request, and there perhaps at the most. Otherwise what is allowed here perhaps, and there in no case.
    /// `is_denied_there`: of the numbers of its statements.
    ///
    /// What a key that nobody knows puts into a resource's name is the same key's on both sides.
    pub(super) fn beyond(&self, base: &Self, by: More, surely: bool, is_denied_there: &dyn Fn(usize) -> bool) -> Self {
        let is_meant = |it: &&Rule<'a>| match by {
            More::Allowed(layer) => it.is_allow && it.layer() == layer && (!surely || it.holds == Truth::Yes),
            More::NotDenied => !it.is_allow && is_denied_there(it.placed.number) && (surely || it.holds == Truth::Yes),
        };
        let meant: Vec<_> = base.rules.iter().filter(is_meant).collect();
        let unknown: BTreeSet<_> = meant.iter().flat_map(|it| it.resources.unknown.iter()).map(|(it, _)| it).collect();
        let mut rules = self.rules.clone();
        for rule in rules.iter_mut().filter(|it| it.is_allow && !it.resources.all_but) {
            rule.resources.unknown.retain(|(it, _)| !unknown.contains(it));
        }
        rules.extend(meant.into_iter().map(|it| {
            let mut rule = it.clone();
            rule.holds = Truth::Yes;
            rule.resources.unknown.clear();
            match by {
                More::Allowed(_) => rule.is_allow = false,
                // What it names has to be allowed by a layer of its own, and is by nothing else.
                More::NotDenied => (rule.is_allow, rule.placed.layer) = (true, self.layers),
            }
            rule
        }));
        let layers = self.layers + usize::from(by == More::NotDenied);
        Self { rules, layers, is_all_read: true }
    }
}

/// What decides about one action.
pub(super) struct Question<'r, 'a> {
    pub(super) rules: Vec<&'r Rule<'a>>,
    pub(super) layers: usize,
    pub(super) is_all_read: bool,
}

#[derive(Default)]
struct Layer {
    allows: Vec<Truth>,
    denies: Vec<Truth>,
    allowing: Vec<usize>,
    denying: Vec<usize>,
}

impl Layer {
    fn is_denied(&self) -> bool {
        self.denies.contains(&Truth::Yes)
    }

    /// An explicit deny wins, and without an allow nothing is allowed.
    fn truth(&self) -> Truth {
        Truth::all([Truth::any(self.allows.iter().cloned()), Truth::any(self.denies.iter().cloned()).negated()])
    }

    fn by(&self) -> &[usize] {
        if self.is_denied() { &self.denying } else { &self.allowing }
    }
}

impl Question<'_, '_> {
    /// How many patterns it costs to ask about one resource.
    pub(super) fn looks(&self) -> usize {
        self.rules.iter().map(|it| it.resources.patterns.len()).sum::<usize>().max(1)
    }

    pub(super) fn may(&self, resource: &str) -> Decision {
        let layers = self.layers(resource);
        let is_denied = layers.iter().any(Layer::is_denied);
        let is_allowed = layers.first().is_some_and(|it| !it.allows.is_empty());
        let deciding = layers.iter().skip(1).rev().find(|it| it.truth() == Truth::No).or(layers.first());
        let (answer, depends_on) = match Truth::all(layers.iter().map(Layer::truth)) {
            Truth::Yes => (Answer::Yes, BTreeSet::new()),
            Truth::Depends(keys) => (Answer::Depends, keys),
            Truth::No if !is_denied && !self.is_all_read => (Answer::NotKnown, BTreeSet::new()),
            Truth::No => (Answer::No, BTreeSet::new()),
        };
        // A deny of what nothing allows is no news.
        let by = deciding.filter(|_| is_allowed).map_or_else(Vec::new, |it| it.by().to_vec());
        Decision { depends_on, by, ..Decision::of(answer) }
    }

    /// Whether what bounds it leaves the action in, whatever its own policies say.
    pub(super) fn limits_allow(&self, resource: &str) -> Truth {
        Truth::all(self.layers(resource).iter().skip(1).map(Layer::truth))
    }

    /// Whether a statement of its own, or of what bounds it, denies it.
    pub(super) fn denies(&self, resource: &str) -> Truth {
        Truth::any(self.layers(resource).into_iter().flat_map(|it| it.denies))
    }

    fn layers(&self, resource: &str) -> Vec<Layer> {
        let resource: Vec<char> = resource.chars().collect();
        let mut layers: Vec<Layer> = std::iter::repeat_with(Layer::default).take(self.layers).collect();
        for rule in &self.rules {
            let truth = Truth::all([rule.resources.names(&resource), rule.holds.clone()]);
            let Some(layer) = layers.get_mut(rule.layer()).filter(|_| truth != Truth::No) else { continue };
            let (truths, numbers) = if rule.is_allow() {
                (&mut layer.allows, &mut layer.allowing)
            } else {
                (&mut layer.denies, &mut layer.denying)
            };
            truths.push(truth);
            numbers.push(rule.placed.number);
        }
        layers
    }
}
