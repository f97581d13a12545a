//! In which order what was left behind is told: the gravest first, and of equals the rarest.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::persistence::{Gravity, Trace};

/// How often each kind of thing was made.
pub(super) struct Weights(BTreeMap<String, usize>);

impl Weights {
    pub(super) fn of<'a>(all: impl Iterator<Item = (&'a str, &'a Trace)>) -> Self {
        let mut counts = BTreeMap::new();
        for (action, _) in all {
            *counts.entry(action.to_owned()).or_default() += 1;
        }
        Self(counts)
    }

    /// The least is told first.
    pub(super) fn of_one(&self, action: &str, trace: &Trace) -> (Reverse<Gravity>, usize) {
        (Reverse(trace.gravity), self.0.get(action).copied().unwrap_or_default())
    }
}
