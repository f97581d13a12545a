//! The responder's loop, as `contain/hold.rs` and `contain/contest.rs` have it: looks with what they find put back,
//! and beside them the writes of a fight and the reads of the ID; the guardrail as `contain/guardrail.rs` has it; and
//! a fight that is handed on, as in `contain/relay.rs`.

use std::time::Duration;

use domain::containment::contest::{Budget, Contest, Fought, IN_FLIGHT, Step as Turn, choose};
use domain::containment::relay;
use domain::containment::watch::Watch;
use domain::guardrail::{Standing, Trigger};
use domain::suspects::{Suspect, Suspects};

use super::iam::{ACCOMPLICE, State, VICTIM};
use super::world::{Ending, Event, TAKES, World, moment};
use super::{Guardrail, Setting};

/// Calls of a look, and of a full one.
const LIGHT: usize = 3;
const FULL: usize = 14;
/// From the end of one invocation to the strike of the next.
const HANDING_ON: (f64, f64) = (0.3, 2.0);
/// A session in the management account, what is attached, and the attaching.
const ATTACHING: (f64, f64) = (0.8, 3.0);
/// AWS says seconds to minutes.
const BINDING: (f64, f64) = (5.0, 60.0);
/// When Lambda tries a failed invocation again.
const AGAIN: [f64; 3] = [0.0, 120.0, 60.0];

/// What is written again.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Barrier {
    Deny,
    Key(usize),
}

const KEYS: [Barrier; 2] = [Barrier::Key(0), Barrier::Key(1)];

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// An invocation begins.
    Strike,
    Look,
    /// The answers to a look's reads.
    Looked {
        has_settled: bool,
        is_last: bool,
    },
    /// What a look put back is there.
    PutBack,
    /// The writer asks what to do.
    Ask,
    /// A write reaches IAM, by a name; and its answer arrives.
    Reaches(Barrier, usize),
    Answered {
        is_throttled: bool,
    },
    ReadId,
    IdRead {
        began: f64,
    },
    Found,
    /// The guardrail is.
    Attached,
}

/// A verdict that people hear of.
#[derive(Clone, Copy)]
pub(crate) struct Ended {
    pub(crate) ending: Ending,
    /// Nothing goes on by itself.
    pub(crate) is_final: bool,
}

pub(crate) struct Responder {
    who: usize,
    /// Which invocation this is, its retries counted.
    number: usize,
    pub(crate) began_at: Option<f64>,
    /// How many more it may be handed on to, and how often Lambda tries the last one again.
    chain: u32,
    retries: u32,
    /// How long an invocation has, and when this one's time is up.
    lasts: f64,
    until: f64,
    settle: Duration,
    started: f64,
    watch: Watch,
    pub(crate) contest: Contest,
    budget: Budget,
    trigger: Trigger,
    standing: Option<Standing>,
    undone: usize,
    /// The name by which it is known.
    name: usize,
    pub(crate) looked: f64,
    in_flight: usize,
    is_asking: bool,
    is_reading: bool,
    pub(crate) deleted_at: Option<f64>,
    pub(crate) strays: usize,
    pub(crate) latest_stray: f64,
    news: Option<Ended>,
    is_first_handed_on: bool,
    pub(crate) ended: Option<(Ending, f64)>,
}

impl Responder {
    pub(crate) fn new(who: usize, (chain, retries): (u32, u32), setting: &Setting) -> Self {
        let (lasts, settle) = (setting.until, moment(setting.settle));
        Self {
            who,
            number: 0,
            began_at: None,
            chain,
            retries,
            lasts,
            until: lasts,
            settle,
            started: 0.0,
            watch: Watch::start(settle, moment(0.0)),
            contest: Contest::new(settle, None, moment(0.0)),
            budget: Budget::default(),
            trigger: Trigger::default(),
            standing: None,
            undone: 0,
            name: 0,
            looked: -100.0,
            in_flight: 0,
            is_asking: false,
            is_reading: false,
            deleted_at: None,
            strays: 0,
            latest_stray: 0.0,
            news: None,
            is_first_handed_on: false,
            ended: None,
        }
    }

    pub(crate) fn take_ended(&mut self) -> Option<Ended> {
        self.news.take()
    }

    /// Once, when it is handed on for the first time.
    pub(crate) fn take_handed_on(&mut self) -> bool {
        std::mem::take(&mut self.is_first_handed_on)
    }

    pub(crate) fn handle(&mut self, number: usize, step: Step, world: &mut World) {
        if let Step::Reaches(barrier, name) = step {
            // Also when the invocation that sent it has ended.
            return self.reaches(barrier, name, world);
        }
        if number != self.number {
            return;
        }
        let now = moment(world.now);
        match step {
            Step::Strike => self.strike(world),
            Step::Look => self.look(world),
            Step::Looked { has_settled, is_last } => self.looked(has_settled, is_last, world),
            Step::PutBack => {
                self.contest.written(false, now);
                self.restart(world);
            }
            Step::Ask => {
                self.is_asking = false;
                self.ask(world);
            }
            Step::Reaches(..) => {}
            Step::Answered { is_throttled } => {
                self.in_flight -= 1;
                self.contest.written(is_throttled, now);
                if is_throttled {
                    self.budget.throttled(now);
                }
                self.wake(world);
            }
            Step::ReadId => self.read_id(world),
            Step::IdRead { began } => {
                self.is_reading = false;
                if self.is_there(world) {
                    self.contest.id_seen(moment(began));
                } else {
                    self.contest.id_lost();
                }
                self.wake(world);
            }
            Step::Found => {
                self.undone += usize::from(self.name != world.iam.names[self.who]);
                self.name = world.iam.names[self.who];
                // The search has read it.
                self.contest.id_seen(now);
                self.contest.reversed(now);
                self.restart(world);
            }
            Step::Attached => self.attached(world),
        }
    }

    fn later(&self, after: f64, step: Step, world: &mut World) {
        world.later(after, Event::Of(self.who, self.number, step));
    }

    fn strike(&mut self, world: &mut World) {
        let now = moment(world.now);
        self.began_at.get_or_insert(world.now);
        (self.started, self.until) = (world.now, world.now + self.lasts);
        self.watch = Watch::start(self.settle, now);
        world.calls += 3;
        world.iam.change(self.who, world.now, |it| *it = State { is_denied: true, keys: [false, false], ..*it });
        let is_wanted = self.standing == Some(Standing::Wanted);
        if is_wanted {
            self.attach(world);
        }
        if self.contest.is_on(now) {
            self.contest.id_seen(now);
            self.wake(world);
        }
        self.pause(world);
    }

    /// The name by which it is known leads to it.
    fn is_there(&self, world: &World) -> bool {
        !world.iam.now(self.who).is_deleted && world.iam.names[self.who] == self.name
    }

    fn restart(&mut self, world: &mut World) {
        self.watch.restart(moment(world.now));
        self.wake(world);
        self.pause(world);
    }

    fn pause(&mut self, world: &mut World) {
        let pause = self.watch.pause(moment(world.now), world.random.unit());
        self.later(pause.as_secs_f64(), Step::Look, world);
    }

    fn look(&mut self, world: &mut World) {
        let now = moment(world.now);
        if let Some(until) = self.contest.hidden_until() {
            self.watch.was_hidden(until);
        }
        if self.is_awaited(world) && self.watch.has_settled(now) {
            self.watch.restart(now);
        }
        let (has_settled, is_last) = (self.watch.has_settled(now), world.now >= self.until);
        if is_last && !has_settled && self.chain > 0 {
            self.is_first_handed_on = self.chain == relay::MOST;
            self.chain -= 1;
            let rest = world.random.between(HANDING_ON.0, HANDING_ON.1);
            return self.go_on_after(rest, world);
        }
        let is_full = has_settled || is_last;
        match world.calls(if is_full { FULL } else { LIGHT }, if is_full { 20 } else { 4 }) {
            Some(takes) => self.later(takes, Step::Looked { has_settled, is_last }, world),
            None => {
                self.watch.doubt(true, now);
                self.pause(world);
            }
        }
    }

    /// In another invocation, which knows what it took so far.
    fn go_on_after(&mut self, rest: f64, world: &mut World) {
        let now = moment(world.now);
        let fought: Option<Fought> = self.contest.fought(now);
        self.number += 1;
        self.contest = Contest::new(self.settle, fought, moment(world.now + rest));
        self.budget = Budget::default();
        self.trigger = Trigger::default();
        (self.in_flight, self.is_asking, self.is_reading) = (0, false, false);
        self.later(rest, Step::Strike, world);
    }

    fn looked(&mut self, has_settled: bool, is_last: bool, world: &mut World) {
        self.looked = world.now;
        if !self.is_there(world) {
            self.contest.id_lost();
            if world.iam.now(self.who).is_deleted {
                // Those that are under way are waited for, and whoever bears the name now is looked at.
                return self.conclude(Ending::Gone, world);
            }
            if is_last {
                return self.conclude(Ending::NotContained, world);
            }
            let takes = world.calls(2, 20).unwrap_or(2.0);
            return self.later(takes * 2.0, Step::Found, world);
        }
        self.contest.id_seen(moment(world.now - TAKES.0));
        let missing = world.iam.now(self.who).missing();
        let is_full = has_settled || is_last;
        let has_suspects = is_full && !self.suspects(world).is_empty();
        let is_news = has_suspects && self.wants_guardrail(world);
        if is_last || (missing == 0 && has_settled && !is_news) {
            self.put_back(missing, world);
            return self.conclude(
                match () {
                    () if missing > 0 || !has_settled => Ending::NotContained,
                    () if has_suspects => Ending::SuspectsOpen,
                    () => Ending::Contained,
                },
                world,
            );
        }
        if missing > 0 {
            self.undone += missing;
            self.contest.reversed(moment(world.now));
            self.wake(world);
            let takes = self.put_back(missing, world);
            self.later(takes, Step::PutBack, world);
        } else if is_full {
            self.restart(world);
        } else {
            self.watch.calm_down();
            self.pause(world);
        }
    }

    /// Whoever came into being since a day before, as IAM lists them.
    fn suspects(&self, world: &World) -> Suspects {
        let mut all = Suspects::default();
        if let Some(at) = world.attacker.made_at.filter(|_| self.who != ACCOMPLICE) {
            let since = (at * 1_000.0) as i64;
            if since >= Suspects::from(None, (world.now * 1_000.0) as i64) {
                all.add(vec![Suspect { id: "AIDAACCOMPLICE".to_owned(), words: String::new(), since }]);
            }
        }
        all
    }

    /// Whether it can't be said yet that what is held is held.
    fn is_awaited(&mut self, world: &mut World) -> bool {
        if world.setting.guardrail != Guardrail::OnDemand {
            return false;
        }
        let since = moment(world.now - self.started);
        if self.trigger.sees(self.undone, self.settle, since) {
            self.wants_guardrail(world);
        }
        let now = (world.now * 1_000.0) as i64;
        self.standing.as_ref().is_some_and(|it| it.is_awaited(self.settle, now))
    }

    /// Gives whether it was not wanted before.
    fn wants_guardrail(&mut self, world: &mut World) -> bool {
        let is_news = world.setting.guardrail == Guardrail::OnDemand && self.standing.is_none();
        if is_news {
            self.standing = Some(Standing::Wanted);
            self.attach(world);
        }
        is_news
    }

    fn attach(&self, world: &mut World) {
        let takes = world.random.between(ATTACHING.0, ATTACHING.1);
        self.later(takes, Step::Attached, world);
    }

    fn attached(&mut self, world: &mut World) {
        let at = *world.attached_at.get_or_insert(world.now);
        if at == world.now {
            let takes = world.random.between(BINDING.0, BINDING.1);
            world.iam.binds_at = Some(at + takes);
        }
        let policy = "p-guardrail0".to_owned();
        self.standing = Some(Standing::Attached { policy, at: (at * 1_000.0) as i64 });
    }

    fn put_back(&mut self, count: usize, world: &mut World) -> f64 {
        if count == 0 {
            return 0.0;
        }
        let takes = world.calls(count, 20).unwrap_or(2.0);
        for barrier in [Barrier::Deny, Barrier::Key(0), Barrier::Key(1)] {
            self.later(takes / 2.0, Step::Reaches(barrier, self.name), world);
        }
        takes
    }

    fn conclude(&mut self, ending: Ending, world: &mut World) {
        self.ended = Some((ending, world.now));
        let is_final = ending != Ending::NotContained || self.retries == 0;
        self.news = Some(Ended { ending, is_final });
        if is_final {
            self.number += 1;
        } else {
            let after = AGAIN.get(self.retries as usize).copied().unwrap_or_default();
            self.retries -= 1;
            self.go_on_after(after, world);
        }
    }

    fn reaches(&mut self, barrier: Barrier, name: usize, world: &mut World) {
        if world.iam.now(self.who).is_deleted {
            // Whoever bears the name now gets the deny; the keys are not theirs.
            if barrier == Barrier::Deny && self.who == VICTIM {
                self.strays += 1;
                self.latest_stray = self.latest_stray.max(world.now - self.deleted_at.unwrap());
            }
            return;
        }
        if world.iam.names[self.who] != name {
            return;
        }
        world.iam.change(self.who, world.now, |it| match barrier {
            Barrier::Deny => it.is_denied = true,
            Barrier::Key(n) => it.keys[n] = false,
        });
    }

    fn read_id(&mut self, world: &mut World) {
        self.is_reading = true;
        let (began, now) = (world.now, moment(world.now));
        if let Some(takes) = world.calls(1, 1) {
            return self.later(takes, Step::IdRead { began }, world);
        }
        self.budget.throttled(now);
        if self.contest.is_on(now) {
            self.later(0.1, Step::ReadId, world);
        } else {
            self.is_reading = false;
        }
    }

    /// The writer has something to decide.
    fn wake(&mut self, world: &mut World) {
        if !self.is_asking {
            self.is_asking = true;
            self.later(0.0, Step::Ask, world);
        }
    }

    fn ask(&mut self, world: &mut World) {
        let now = moment(world.now);
        if let Some(due) = self.contest.id_due(now)
            && !self.is_reading
        {
            self.is_reading = true;
            self.later(due.saturating_sub(now).as_secs_f64(), Step::ReadId, world);
        }
        if self.in_flight >= IN_FLIGHT {
            return;
        }
        match self.contest.next(&mut self.budget, now, world.random.unit()) {
            Turn::Write(turn) => {
                let barrier = *choose(&[Barrier::Deny], &KEYS, turn).unwrap();
                let takes = world.latency();
                self.in_flight += 1;
                world.calls += 1;
                let is_throttled = !world.iam.answers(world.now);
                if !is_throttled {
                    self.later(takes / 2.0, Step::Reaches(barrier, self.name), world);
                }
                self.later(takes, Step::Answered { is_throttled }, world);
                self.wake(world);
            }
            Turn::Wait(time) => {
                self.is_asking = true;
                // As fine as the runtime's timer.
                self.later(time.as_secs_f64().max(0.001), Step::Ask, world);
            }
            Turn::Rest => {}
        }
    }
}
