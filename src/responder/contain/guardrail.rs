//! Whether the guardrail is wanted: where putting back does not win, or an accomplice is seen. Nothing is said to hold
//! before it can bind.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use domain::containment::progress::Progress;
use domain::guardrail::{Standing, Trigger};
use domain::identity::Read;
use domain::outcome::Failure;
use domain::settings::{self, Common, Responder};
use domain::suspects::{Suspect, Suspects};
use tokio::sync::oneshot;

use crate::invocation::now_millis;

/// Whether it is wanted in this response, and what became of it.
pub(super) struct Guardrail<'a> {
    pub(super) common: &'a Common,
    /// Absent where the operator did not allow it, or nobody fights.
    pub(super) allowed: Option<&'a settings::Guardrail>,
    settle: Duration,
    began: Instant,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    trigger: Trigger,
    /// Until it is wanted, or the fight is over.
    want: Option<oneshot::Sender<()>>,
    is_wanted: bool,
    standing: Option<Standing>,
}

impl State {
    fn want(&mut self) {
        self.is_wanted = true;
        if let Some(want) = self.want.take() {
            // Nobody listens only when the whole response has ended.
            let _ = want.send(());
        }
    }

    fn so_far(&self) -> Option<Standing> {
        self.standing.clone().or_else(|| self.is_wanted.then_some(Standing::Wanted))
    }
}

impl<'a> Guardrail<'a> {
    /// `before`: what became of it in the invocations before this one.
    pub(super) fn new(settings: &'a Responder, may_attach: bool, before: Option<Standing>) -> Self {
        let is_wanted = before == Some(Standing::Wanted);
        let standing = before.filter(|_| !is_wanted);
        Self {
            common: &settings.common,
            allowed: settings.guardrail.as_ref().filter(|_| may_attach),
            settle: settings.settle,
            began: Instant::now(),
            state: Mutex::new(State { is_wanted, standing, ..State::default() }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it can't be said yet that what is held is held: looked at before each look at the identity.
    pub(super) fn is_awaited(&self, progress: &Progress) -> bool {
        if self.allowed.is_none() {
            return false;
        }
        let mut state = self.state();
        let is_needed = state.trigger.sees(progress.times_undone(), self.settle, self.began.elapsed());
        if is_needed && state.so_far().is_none() {
            state.want();
        }
        state.so_far().is_some_and(|it| it.is_awaited(self.settle, now_millis()))
    }

    /// Whether it is wanted from now on for somebody who may act for the attacker.
    pub(super) fn sees_accomplice(
        &self,
        found: &Read<Vec<Suspect>>,
        known: &Result<Suspects, Failure>,
        progress: &Progress,
    ) -> bool {
        if self.allowed.is_none() {
            return false;
        }
        // Those whom a person closed are none.
        let mut open = known.as_ref().unwrap_or(&progress.past.suspects).clone();
        open.add(found.as_ref().cloned().unwrap_or_default());
        let mut state = self.state();
        let is_news = !open.is_empty() && state.so_far().is_none();
        if is_news {
            state.want();
        }
        is_news
    }

    /// The fight is over: what is not wanted by now is not.
    pub(super) fn is_over(&self) {
        self.state().want.take();
    }

    /// For the invocation that goes on, and for what people are told.
    pub(super) fn so_far(&self) -> Option<Standing> {
        self.state().so_far()
    }

    pub(super) fn is_now(&self, standing: Standing) {
        self.state().standing = Some(standing);
    }

    /// Told once it is wanted; an error where the fight is over before that.
    pub(super) fn listen(&self) -> oneshot::Receiver<()> {
        let (want, wanted) = oneshot::channel();
        let mut state = self.state();
        state.want = Some(want);
        if state.is_wanted {
            state.want();
        }
        wanted
    }
}
