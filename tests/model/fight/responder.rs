//! The responder's loop, as `contain/hold.rs` and `contain/contest.rs` have it: looks with what they find put back, and
//! beside them the writes of a fight and the reads of the ID.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use domain::containment::contest::{Budget, Contest, IN_FLIGHT, Step, choose};
use domain::containment::watch::Watch;

use super::Setting;
use super::attacker::{Attacker, Tactic};
use super::iam::{Iam, Random, State};

const SETTLE: f64 = 12.0;
/// What a call takes.
const TAKES: (f64, f64) = (0.03, 0.12);
/// Calls of a look, and of a full one.
const LIGHT: usize = 3;
const FULL: usize = 14;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Contained,
    NotContained,
    Gone,
}

pub(crate) struct Run {
    pub(crate) ending: Ending,
    pub(crate) is_contained: bool,
    pub(crate) attacker_writes: usize,
    pub(crate) writes: usize,
    pub(crate) throttled: usize,
    pub(crate) calls: usize,
    pub(crate) silent: usize,
    pub(crate) latest_stray: f64,
    pub(crate) seconds: f64,
}

/// What is written again.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Barrier {
    Deny,
    Key(usize),
}

const KEYS: [Barrier; 2] = [Barrier::Key(0), Barrier::Key(1)];

#[derive(Debug, Clone, Copy, PartialEq)]
enum Event {
    Strike,
    Poll,
    Junk,
    Look,
    /// The answers to a look's reads.
    Looked {
        is_full: bool,
        is_last: bool,
    },
    /// What a look put back is there.
    PutBack {
        is_last: bool,
    },
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
    End,
}

pub(crate) struct Fight {
    setting: Setting,
    random: Random,
    iam: Iam,
    attacker: Attacker,
    watch: Watch,
    contest: Contest,
    budget: Budget,
    queue: BinaryHeap<Reverse<(u64, u64)>>,
    events: Vec<Event>,
    /// The name by which it is known.
    name: usize,
    looked: f64,
    in_flight: usize,
    is_asking: bool,
    is_reading: bool,
    deleted_at: Option<f64>,
    strays: usize,
    latest_stray: f64,
    calls: usize,
    ending: Option<(Ending, f64)>,
    now: f64,
}

fn moment(at: f64) -> Duration {
    Duration::from_secs_f64(at.max(0.0))
}

impl Fight {
    pub(crate) fn new(setting: Setting, seed: u64) -> Self {
        let attacker = Attacker { tactic: setting.tactic, lag: setting.lag, writes: 0 };
        Self {
            setting,
            random: Random::new(seed),
            iam: Iam::new(setting.bucket),
            attacker,
            watch: Watch::start(moment(SETTLE), Duration::ZERO),
            contest: Contest::new(moment(SETTLE), None, Duration::ZERO),
            budget: Budget::default(),
            queue: BinaryHeap::new(),
            events: Vec::new(),
            name: 0,
            looked: -100.0,
            in_flight: 0,
            is_asking: false,
            is_reading: false,
            deleted_at: None,
            strays: 0,
            latest_stray: 0.0,
            calls: 0,
            ending: None,
            now: 0.0,
        }
    }

    fn later(&mut self, after: f64, event: Event) {
        let micros = ((self.now + after.max(0.0)) * 1e6).round();
        self.queue.push(Reverse((micros as u64, self.events.len() as u64)));
        self.events.push(event);
    }

    fn latency(&mut self) -> f64 {
        self.random.between(TAKES.0, TAKES.1)
    }

    /// How long calls side by side take, with what the SDK tries again; `None` where one gave up.
    fn calls(&mut self, count: usize, attempts: usize) -> Option<f64> {
        let mut longest: f64 = 0.0;
        let mut is_answered = true;
        for _ in 0..count {
            let mut takes = self.latency();
            let mut attempt = 1;
            loop {
                self.calls += 1;
                if self.iam.answers(self.now + if attempt > 1 { takes } else { 0.0 }) {
                    break;
                }
                if attempt == attempts {
                    is_answered = false;
                    break;
                }
                takes += self.random.unit() * (0.2 * f64::from(1 << attempt.min(6))).min(2.0) + TAKES.0;
                attempt += 1;
            }
            longest = longest.max(takes);
        }
        is_answered.then_some(longest)
    }

    pub(crate) fn run(mut self) -> Run {
        self.later(0.0, Event::Strike);
        let first = self.random.between(0.0, self.setting.poll);
        self.later(first, Event::Poll);
        if self.setting.tactic == Tactic::Spends {
            self.later(0.0, Event::Junk);
        }
        while let Some(Reverse((micros, number))) = self.queue.pop() {
            self.now = micros as f64 / 1e6;
            let event = self.events[number as usize];
            assert!(number < 200_000, "{event:?} at {} {:?}", self.now, self.contest);
            if event == Event::End {
                break;
            }
            self.handle(event);
        }
        let (ending, seconds) = self.ending.unwrap();
        let is_contained =
            !(0..2).any(|key| self.iam.lets(key, self.now, self.setting.lag.1)) || ending == Ending::Gone;
        let fought = self.contest.fought(moment(self.now)).unwrap_or_default();
        Run {
            ending,
            is_contained,
            attacker_writes: self.attacker.writes,
            writes: fought.writes,
            throttled: fought.throttled,
            calls: self.calls,
            // What the namesake got is told with the verdict that the identity is gone.
            silent: if ending == Ending::Gone { 0 } else { self.strays },
            latest_stray: self.latest_stray,
            seconds,
        }
    }

    fn handle(&mut self, event: Event) {
        let now = moment(self.now);
        let is_over = self.ending.is_some();
        match event {
            Event::Strike => {
                self.calls += 3;
                self.iam.change(self.now, |it| *it = State { is_denied: true, keys: [false, false], ..*it });
                let pause = self.watch.pause(now, self.random.unit());
                self.later(pause.as_secs_f64(), Event::Look);
            }
            Event::Poll => {
                if self.setting.tactic.is_awake(self.now, self.looked) {
                    self.attacker.poll(&mut self.iam, self.now, &mut self.random);
                    if self.iam.now().is_deleted {
                        self.deleted_at.get_or_insert(self.now);
                    }
                }
                let wait = self.setting.poll * self.random.between(0.97, 1.03);
                self.later(wait, Event::Poll);
            }
            Event::Junk => {
                self.iam.answers(self.now);
                self.later(0.01, Event::Junk);
            }
            _ if is_over => {
                if let Event::Reaches(barrier, name) = event {
                    self.reaches(barrier, name);
                }
            }
            Event::Look => self.look(),
            Event::Looked { is_full, is_last } => self.looked(is_full, is_last),
            Event::PutBack { is_last } => {
                if !is_last {
                    self.contest.reversed(now);
                    self.watch.restart(now);
                    self.wake();
                    self.pause();
                }
            }
            Event::Ask => {
                self.is_asking = false;
                self.ask();
            }
            Event::Reaches(barrier, name) => self.reaches(barrier, name),
            Event::Answered { is_throttled } => {
                self.in_flight -= 1;
                self.contest.written(is_throttled, now);
                if is_throttled {
                    self.budget.throttled(now);
                }
                self.wake();
            }
            Event::ReadId => {
                self.is_reading = true;
                let began = self.now;
                match self.calls(1, 1) {
                    Some(takes) => self.later(takes, Event::IdRead { began }),
                    None => {
                        self.budget.throttled(now);
                        if self.contest.is_on(now) {
                            self.later(0.1, Event::ReadId);
                        } else {
                            self.is_reading = false;
                        }
                    }
                }
            }
            Event::IdRead { began } => {
                self.is_reading = false;
                if self.is_there() {
                    self.contest.id_seen(moment(began));
                } else {
                    self.contest.id_lost();
                }
                self.wake();
            }
            Event::Found => {
                self.name = self.iam.name;
                // The search has read it.
                self.contest.id_seen(now);
                self.contest.reversed(now);
                self.watch.restart(now);
                self.wake();
                self.pause();
            }
            Event::End => {}
        }
    }

    /// The name by which it is known leads to it.
    fn is_there(&self) -> bool {
        !self.iam.now().is_deleted && self.iam.name == self.name
    }

    fn pause(&mut self) {
        let pause = self.watch.pause(moment(self.now), self.random.unit());
        self.later(pause.as_secs_f64(), Event::Look);
    }

    fn is_late(&self) -> bool {
        self.now >= self.setting.until
    }

    fn look(&mut self) {
        if let Some(until) = self.contest.hidden_until() {
            self.watch.was_hidden(until);
        }
        let is_last = self.is_late();
        let is_full = self.watch.has_settled(moment(self.now)) || is_last;
        match self.calls(if is_full { FULL } else { LIGHT }, if is_full { 20 } else { 4 }) {
            Some(takes) => {
                self.later(takes, Event::Looked { is_full, is_last });
            }
            None => {
                self.watch.doubt(true, moment(self.now));
                self.pause();
            }
        }
    }

    fn looked(&mut self, is_full: bool, is_last: bool) {
        self.looked = self.now;
        if !self.is_there() {
            self.contest.id_lost();
            if self.iam.now().is_deleted {
                // Those that are under way are waited for, and whoever bears the name now is looked at.
                self.ending = Some((Ending::Gone, self.now));
                return self.later(1.0, Event::End);
            }
            if is_last {
                return self.conclude(Ending::NotContained);
            }
            let takes = self.calls(2, 20).unwrap_or(2.0);
            return self.later(takes * 2.0, Event::Found);
        }
        let began = self.now - TAKES.0;
        self.contest.id_seen(moment(began));
        let state = self.iam.now();
        let missing = usize::from(!state.is_denied) + state.keys.iter().filter(|it| **it).count();
        if missing == 0 && (is_full || is_last) && self.watch.has_settled(moment(self.now)) {
            return self.conclude(Ending::Contained);
        }
        if is_last {
            self.put_back(missing);
            return self.conclude(Ending::NotContained);
        }
        if missing > 0 {
            let takes = self.put_back(missing);
            self.later(takes, Event::PutBack { is_last });
        } else {
            self.watch.calm_down();
            self.pause();
        }
    }

    fn put_back(&mut self, count: usize) -> f64 {
        let takes = self.calls(count, 20).unwrap_or(2.0);
        let half = takes / 2.0;
        let name = self.name;
        self.later(half, Event::Reaches(Barrier::Deny, name));
        for key in KEYS {
            self.later(half, Event::Reaches(key, name));
        }
        takes
    }

    fn conclude(&mut self, ending: Ending) {
        self.ending = Some((ending, self.now));
        self.later(3.0 * self.setting.lag.1, Event::End);
    }

    fn reaches(&mut self, barrier: Barrier, name: usize) {
        if self.iam.now().is_deleted {
            // Whoever bears the name now gets the deny; the keys are not theirs.
            if barrier == Barrier::Deny {
                self.strays += 1;
                self.latest_stray = self.latest_stray.max(self.now - self.deleted_at.unwrap());
            }
            return;
        }
        if self.iam.name != name {
            return;
        }
        self.iam.change(self.now, |it| match barrier {
            Barrier::Deny => it.is_denied = true,
            Barrier::Key(n) => it.keys[n] = false,
        });
    }

    /// The writer has something to decide.
    fn wake(&mut self) {
        if !self.is_asking {
            self.is_asking = true;
            self.later(0.0, Event::Ask);
        }
    }

    fn ask(&mut self) {
        let now = moment(self.now);
        if let Some(due) = self.contest.id_due(now)
            && !self.is_reading
        {
            self.is_reading = true;
            self.later(due.saturating_sub(now).as_secs_f64(), Event::ReadId);
        }
        if self.in_flight >= IN_FLIGHT {
            return;
        }
        match self.contest.next(&mut self.budget, now, self.random.unit()) {
            Step::Write(turn) => {
                let barrier = *choose(&[Barrier::Deny], &KEYS, turn).unwrap();
                let takes = self.latency();
                self.in_flight += 1;
                self.calls += 1;
                let is_throttled = !self.iam.answers(self.now);
                if !is_throttled {
                    let name = self.name;
                    self.later(takes / 2.0, Event::Reaches(barrier, name));
                }
                self.later(takes, Event::Answered { is_throttled });
                self.wake();
            }
            Step::Wait(time) => {
                self.is_asking = true;
                // As fine as the runtime's timer.
                self.later(time.as_secs_f64().max(0.001), Event::Ask);
            }
            Step::Rest => {}
        }
    }
}
