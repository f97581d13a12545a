//! A fight: beside the looks the barriers are written again and again without waiting for one, as `contest.rs` of
//! `domain` says; what is looked at is left to `hold.rs`, and decides.
//!
//! INVARIANT: nothing is written by a name of which no read has shown the unique ID within half a second, and whoever
//! else bore the name meanwhile is told of. `tests/test_contest.py` holds it.

use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use clients::iam::apply::apply;
use clients::iam::{IamRead, IamWrite, observe};
use domain::change::Change;
use domain::containment::barriers::{Barriers, barriers};
use domain::containment::contest::{Contest, Fought, IN_FLIGHT, Step, choose};
use domain::containment::progress::Progress;
use domain::containment::watch::Moment;
use domain::identity::{Identity, Observed};
use domain::ids::AccountId;
use domain::outcome::{Log, Outcome};
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::{Notify, watch};

use super::budgets;
use super::names::ByName;
use super::namesakes;
use super::strike::Engine;
use crate::note::note;

/// An answer that comes later is not waited for: the next write is long under way.
const SLOW: Duration = Duration::from_secs(2);
/// Of what was still under way when nobody fights any more.
pub(super) const ENDS_WITHIN: Duration = Duration::from_secs(3);
/// Between two tries to read the ID where IAM does not answer.
const ID_AGAIN: Duration = Duration::from_millis(100);

pub(super) struct Fight {
    account: AccountId,
    /// None of them tries again: the next comes soon, and a throttle is to be seen at once.
    read: IamRead,
    write: IamWrite,
    by_name: ByName,
    state: Mutex<State>,
    changed: Notify,
    under_way: watch::Sender<usize>,
}

struct State {
    contest: Contest,
    identity: Identity,
    barriers: Barriers,
    is_over: bool,
}

/// What the loop does next.
enum Next {
    Write(Change),
    Wait(Duration),
    Rest,
    Over,
}

impl Fight {
    /// `before`: what earlier invocations of the same fight took.
    pub(super) fn new(engine: &Engine<'_>, identity: &Identity, before: Option<Fought>) -> Self {
        let state = State {
            contest: Contest::new(engine.settle, before, budgets::now()),
            identity: identity.clone(),
            barriers: Barriers::default(),
            is_over: false,
        };
        Self {
            account: engine.finding.account.clone(),
            read: engine.member.read.at_once(),
            write: engine.member.write.at_once(),
            by_name: engine.by_name.clone(),
            state: Mutex::new(state),
            changed: Notify::new(),
            under_way: watch::Sender::new(0),
        }
    }

    /// Writes and reads the ID until it is over and nothing is under way any more.
    pub(super) async fn go_on(&self, done: &Log<Change>) {
        let mut writes = FuturesUnordered::new();
        let mut reading: Option<Pin<Box<dyn Future<Output = ()> + Send + '_>>> = None;
        loop {
            let (next, id_due) = self.next(writes.len());
            let mut wait = match next {
                Next::Write(change) => {
                    writes.push(self.write_again(change, done));
                    Some(Duration::ZERO)
                }
                Next::Wait(wait) => Some(wait),
                Next::Rest => None,
                Next::Over if writes.is_empty() => return,
                Next::Over => None,
            };
            if let Some(due) = id_due.filter(|_| reading.is_none()) {
                if due.is_zero() {
                    reading = Some(Box::pin(self.read_id()));
                } else {
                    wait = Some(wait.map_or(due, |it| it.min(due)));
                }
            }
            self.under_way.send_replace(writes.len());
            tokio::select! {
                biased;
                Some(()) = writes.next(), if !writes.is_empty() => {}
                () = async { if let Some(it) = &mut reading { it.await } }, if reading.is_some() => reading = None,
                () = self.changed.notified() => {}
                () = tokio::time::sleep(wait.unwrap_or_default()), if wait.is_some() => {}
            }
            self.under_way.send_replace(writes.len());
        }
    }

    /// What is to be written, and in how long the ID is to be read.
    fn next(&self, under_way: usize) -> (Next, Option<Duration>) {
        let now = budgets::now();
        let mut state = self.state();
        if state.is_over {
            return (Next::Over, None);
        }
        let id_due = state.contest.id_due(now).map(|due| due.saturating_sub(now));
        if under_way >= IN_FLIGHT || (state.barriers.wholes.is_empty() && state.barriers.parts.is_empty()) {
            return (Next::Rest, id_due);
        }
        let random = fastrand::f64();
        match budgets::of(&self.account, |budget| state.contest.next(budget, now, random)) {
            Step::Write(turn) => match choose(&state.barriers.wholes, &state.barriers.parts, turn).cloned() {
                Some(change) => (Next::Write(change), id_due),
                None => (Next::Rest, id_due),
            },
            Step::Wait(wait) => (Next::Wait(wait), id_due),
            Step::Rest => (Next::Rest, id_due),
        }
    }

    async fn write_again(&self, change: Change, done: &Log<Change>) {
        let identity = self.state().identity.clone();
        let outcome = tokio::time::timeout(SLOW, apply(&self.write, &change)).await;
        self.by_name.written(&identity, &change, outcome.as_ref().ok());
        let now = budgets::now();
        let is_throttled = matches!(&outcome, Ok(Outcome::Failed(failure)) if failure.is_throttled());
        if is_throttled {
            budgets::of(&self.account, |it| it.throttled(now));
        }
        {
            let mut state = self.state();
            state.contest.written(is_throttled, now);
            // There is no room for it: until the next look the others are written.
            if matches!(&outcome, Ok(Outcome::Failed(failure)) if failure.is_quota()) {
                state.barriers.wholes.retain(|it| *it != change);
            }
        }
        // What the strike or a look could not do is done by now; all else was there before, or is noted.
        if let Ok(outcome @ Outcome::Applied { .. }) = outcome
            && done.failure(&change).is_some()
        {
            note(done, change, outcome);
        }
    }

    async fn read_id(&self) {
        let (began, identity) = (budgets::now(), self.state().identity.clone());
        let read = observe::is_there(&self.read, &identity).await;
        let is_unread = {
            let mut state = self.state();
            match read {
                // It was renamed meanwhile, and found.
                _ if state.identity.name != identity.name => false,
                Ok(()) => {
                    state.contest.id_seen(began);
                    self.by_name.seen(&identity, began);
                    false
                }
                Err(unreadable) if unreadable.is_gone() => {
                    state.contest.id_lost();
                    true
                }
                Err(_) => true,
            }
        };
        if is_unread {
            tokio::time::sleep(ID_AGAIN).await;
        }
    }

    /// A look that began then has found it under its name.
    pub(super) fn seen(&self, began: Moment, engine: &Engine<'_>, observed: &Observed, progress: &mut Progress) {
        let mut state = self.state();
        state.contest.id_seen(began);
        self.by_name.seen(&state.identity, began);
        state.barriers = engine.barriers(&state.identity, observed, progress);
        progress.fought = state.contest.fought(budgets::now());
    }

    /// Somebody undid something, as a look has seen.
    pub(super) fn reversed(&self) {
        self.state().contest.reversed(budgets::now());
        self.changed.notify_one();
    }

    pub(super) fn is_on(&self) -> bool {
        self.state().contest.is_on(budgets::now())
    }

    pub(super) fn hidden_until(&self) -> Option<Moment> {
        self.state().contest.hidden_until()
    }

    /// The name leads to another or to nobody: nothing is written any more, and what is under way is waited for. Whether
    /// anything was written since a read has last shown the ID.
    pub(super) async fn lost(&self) -> bool {
        self.state().contest.id_lost();
        self.changed.notify_one();
        let mut under_way = self.under_way.subscribe();
        // Beyond that nothing is under way: each has its own time.
        let _ = tokio::time::timeout(ENDS_WITHIN, under_way.wait_for(|it| *it == 0)).await;
        self.state().contest.is_unsure()
    }

    /// It was found again, under this name.
    pub(super) fn found(&self, began: Moment, identity: &Identity) {
        let mut state = self.state();
        if state.identity.name != identity.name {
            state.barriers = Barriers::default();
            state.identity = identity.clone();
            state.contest.reversed(budgets::now());
        }
        state.contest.id_seen(began);
        self.by_name.seen(identity, began);
        self.changed.notify_one();
    }

    pub(super) fn tell(&self, progress: &mut Progress) {
        let mut state = self.state();
        progress.fought = state.contest.fought(budgets::now());
        if state.contest.is_stray() {
            progress.notes.push(namesakes::of_nobody_knows_whom(&state.identity.name));
            state.contest.strays_are_told();
        }
    }

    /// Whoever bears the name now was looked at, or people learn that nobody does.
    pub(super) fn strays_are_told(&self) {
        self.state().contest.strays_are_told();
    }

    pub(super) fn over(&self) {
        self.state().is_over = true;
        self.changed.notify_one();
    }

    /// What a look found missing was put back by the name, which may have been another's by then.
    pub(super) fn put_back(&self) {
        self.state().contest.written(false, budgets::now());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine<'_> {
    fn barriers(&self, identity: &Identity, observed: &Observed, progress: &Progress) -> Barriers {
        let policy = self.finding.partition.deny_all_policy();
        let boundary = Change::SetDenyAllBoundary { user: identity.name.clone(), policy };
        let has_boundary = progress.changes.has_done(&boundary);
        barriers(self.playbook, &self.case(identity), observed, has_boundary, progress.first_cutoff)
    }
}
