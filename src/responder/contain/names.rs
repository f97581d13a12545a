//! To whom the names lead that are written to, as far as this response has seen: `domain` decides what follows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use domain::change::Change;
use domain::containment::names::Names;
use domain::containment::watch::Moment;
use domain::identity::Identity;
use domain::outcome::{Failure, Outcome};

use super::budgets;

/// Of one response; whoever writes beside has the same.
#[derive(Clone, Default)]
pub(super) struct ByName {
    names: Arc<Mutex<Names>>,
    /// Those that are written side by side ask once.
    pub(super) asking: Arc<tokio::sync::Mutex<()>>,
}

impl ByName {
    pub(super) fn seen(&self, identity: &Identity, began: Moment) {
        self.names().seen(identity, began);
    }

    /// The same of a read that was answered then.
    pub(super) fn seen_at(&self, identity: &Identity, answered: Instant) {
        self.seen(identity, budgets::now().saturating_sub(answered.elapsed()));
    }

    pub(super) fn lost(&self, identity: &Identity) {
        self.names().lost(identity);
    }

    /// Whatever its answer, unless that says that nothing was done. `None`: none came.
    pub(super) fn written(&self, identity: &Identity, change: &Change, outcome: Option<&Outcome>) {
        let may_be_done = match outcome {
            None | Some(Outcome::Applied { .. }) => true,
            Some(Outcome::Failed(failure)) => is_passing(failure),
            Some(_) => false,
        };
        if may_be_done {
            self.names().written(identity, change, budgets::now());
        }
    }

    pub(super) fn strays(&self, identity: &Identity) -> Vec<Change> {
        self.names().strays(identity)
    }

    pub(super) fn names(&self) -> MutexGuard<'_, Names> {
        self.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// No answer came, or none that says what became of it.
pub(super) fn is_passing(failure: &Failure) -> bool {
    failure.retryable && !failure.is_throttled()
}
