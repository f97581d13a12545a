//! What happens when, in virtual time: the attacker's polls, the two responses, CloudTrail, the reports and the
//! schedule of what is due.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::time::Duration;

use domain::containment::relay;
use domain::evidence::revision;

use super::attacker::{Attacker, Tactic};
use super::iam::{ACCOMPLICE, Iam, Random, VICTIM};
use super::responder::{Ended, Responder, Step};
use super::{Guardrail, Help, Setting};

/// What a call takes.
pub(crate) const TAKES: (f64, f64) = (0.03, 0.12);
/// From a report's being asked for to the calls that it names.
const REPORT: (f64, f64) = (5.0, 45.0);
/// The schedule of what is due.
const MINUTE: f64 = 60.0;
/// From the schedule to the strike: the call is read in CloudTrail once more.
const TO_STRIKE: (f64, f64) = (2.0, 5.0);
/// How long the last put-back may be under way.
const PUT_BACK: f64 = 2.0;
/// Lambda tries an invocation that failed again after a minute, and after two.
const RETRIES: u32 = 2;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    Contained,
    SuspectsOpen,
    NotContained,
    Gone,
}

pub(crate) struct Run {
    pub(crate) ending: Ending,
    pub(crate) is_contained: bool,
    /// It said `Contained` of the victim, who is not, or while the accomplice is at large.
    pub(crate) is_false: bool,
    /// It said so of the accomplice, who was free again within three lags.
    pub(crate) is_child_false: bool,
    pub(crate) attacker_writes: usize,
    /// When a call with the victim's keys was let through last.
    pub(crate) used_at: f64,
    /// When the guardrail began to bind, and the accomplice was struck.
    pub(crate) bound_at: Option<f64>,
    pub(crate) child_at: Option<f64>,
    pub(crate) writes: usize,
    pub(crate) throttled: usize,
    pub(crate) calls: usize,
    pub(crate) silent: usize,
    pub(crate) latest_stray: f64,
    pub(crate) seconds: f64,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Event {
    /// With the keys of one of the two.
    Poll(usize),
    Junk,
    /// Of a response, and in which of its invocations.
    Of(usize, usize, Step),
    /// Three lags after a verdict on the accomplice.
    CheckChild,
    /// A report is made.
    Report {
        asked: f64,
    },
    End,
}

struct Due {
    micros: u64,
    number: u64,
    event: Event,
}

impl Ord for Due {
    /// The next is the greatest.
    fn cmp(&self, other: &Self) -> Ordering {
        (other.micros, other.number).cmp(&(self.micros, self.number))
    }
}

impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Due {}

pub(crate) struct World {
    pub(crate) setting: Setting,
    pub(crate) random: Random,
    pub(crate) iam: Iam,
    pub(crate) attacker: Attacker,
    pub(crate) now: f64,
    pub(crate) calls: usize,
    /// When the guardrail was attached on demand.
    pub(crate) attached_at: Option<f64>,
    queue: BinaryHeap<Due>,
    count: u64,
}

pub(crate) fn moment(at: f64) -> Duration {
    Duration::from_secs_f64(at.max(0.0))
}

impl World {
    pub(crate) fn new(setting: Setting, seed: u64) -> Self {
        let binds_at = (setting.guardrail == Guardrail::Before).then_some(-1_000.0);
        Self {
            setting,
            random: Random::new(seed),
            iam: Iam::new(setting.bucket, binds_at),
            attacker: Attacker::new(setting.tactic, setting.lag, setting.gap, setting.help != Help::None),
            now: 0.0,
            calls: 0,
            attached_at: None,
            queue: BinaryHeap::new(),
            count: 0,
        }
    }

    pub(crate) fn later(&mut self, after: f64, event: Event) {
        let micros = ((self.now + after.max(0.0)) * 1e6).round() as u64;
        self.queue.push(Due { micros, number: self.count, event });
        self.count += 1;
    }

    pub(crate) fn latency(&mut self) -> f64 {
        self.random.between(TAKES.0, TAKES.1)
    }

    /// How long calls side by side take, with what the SDK tries again; `None` where one gave up.
    pub(crate) fn calls(&mut self, count: usize, attempts: usize) -> Option<f64> {
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
}

/// One run, from the strike to the last verdict on the victim.
pub(crate) struct Fight {
    world: World,
    responses: [Responder; 2],
    /// When CloudTrail tells of whom the flagged key made, from then on.
    told_after: f64,
    /// When the report was asked for last.
    asked: f64,
    /// At which second of a minute the schedule comes.
    tick: f64,
    is_child_known: bool,
    is_child_false: bool,
}

impl Fight {
    pub(crate) fn new(setting: Setting, seed: u64) -> Self {
        // What only these need is drawn apart, so that a fight without them is the same.
        let mut apart = Random::new(seed ^ 0xC1D2);
        let told_after = cloudtrail(&mut apart);
        let more = if setting.is_handed_on { (relay::MOST, RETRIES) } else { (0, 0) };
        Self {
            world: World::new(setting, seed),
            responses: [VICTIM, ACCOMPLICE].map(|who| Responder::new(who, more, &setting)),
            told_after,
            asked: 0.0,
            tick: apart.between(0.0, MINUTE),
            is_child_known: false,
            is_child_false: false,
        }
    }

    pub(crate) fn run(mut self) -> Run {
        let world = &mut self.world;
        world.later(0.0, Event::Of(VICTIM, 0, Step::Strike));
        let first = world.random.between(0.0, world.setting.poll);
        world.later(first, Event::Poll(VICTIM));
        if world.setting.tactic == Tactic::Spends {
            world.later(0.0, Event::Junk);
        }
        while let Some(Due { micros, event, .. }) = self.world.queue.pop() {
            self.world.now = micros as f64 / 1e6;
            assert!(self.world.count < 5_000_000, "{event:?} at {} {:?}", self.world.now, self.world.setting);
            if event == Event::End {
                break;
            }
            self.handle(event);
        }
        self.judge()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Poll(by) => self.poll(by),
            Event::Junk => {
                self.world.iam.answers(self.world.now);
                self.world.later(0.01, Event::Junk);
            }
            Event::Of(who, number, step) => {
                let [victim, accomplice] = &mut self.responses;
                let response = if who == VICTIM { victim } else { accomplice };
                response.handle(number, step, &mut self.world);
                let asks_early = who == VICTIM && response.take_handed_on();
                if let Some(ended) = response.take_ended() {
                    self.told(who, ended);
                }
                if asks_early {
                    self.report_follows();
                }
            }
            Event::CheckChild => self.check_child(),
            Event::Report { asked } => self.report(asked),
            Event::End => {}
        }
    }

    fn told(&mut self, who: usize, ended: Ended) {
        let rest = 3.0 * self.world.setting.lag.1;
        if who == ACCOMPLICE {
            return self.world.later(rest, Event::CheckChild);
        }
        self.report_follows();
        if ended.is_final {
            self.world.later(if ended.ending == Ending::Gone { 1.0 } else { rest }, Event::End);
        }
    }

    /// Without who made it held it is none that is called contained.
    fn check_child(&mut self) {
        let begun = self.responses[ACCOMPLICE].began_at;
        let is_held = |it: &Ending| matches!(it, Ending::Contained | Ending::SuspectsOpen);
        if self.responses[VICTIM].ended.as_ref().is_none_or(|(it, at)| !is_held(it) || Some(*at) > begun) {
            return;
        }
        if let Some((Ending::Contained, at)) = self.responses[ACCOMPLICE].ended {
            self.is_child_false |= self.world.iam.was_free_since(ACCOMPLICE, at);
        }
    }

    fn poll(&mut self, by: usize) {
        let world = &mut self.world;
        if world.setting.tactic.is_awake(world.now, self.responses[VICTIM].looked) {
            world.attacker.poll(by, &mut world.iam, world.now, &mut world.random);
            if world.iam.now(VICTIM).is_deleted {
                self.responses[VICTIM].deleted_at.get_or_insert(world.now);
            }
        }
        let wait = world.setting.poll * world.random.between(0.97, 1.03);
        if by == VICTIM && world.attacker.made_at == Some(world.now) {
            world.later(wait, Event::Poll(ACCOMPLICE));
        }
        world.later(wait, Event::Poll(by));
    }

    fn report_follows(&mut self) {
        if self.world.setting.help == Help::ChildrenContained && !self.is_child_known {
            let (asked, takes) = (self.world.now, self.world.random.between(REPORT.0, REPORT.1));
            self.asked = asked;
            self.world.later(takes, Event::Report { asked });
        }
    }

    /// It names what CloudTrail tells by now, and the next run of the schedule takes that up. When it is made again is
    /// said by who asked last.
    fn report(&mut self, asked: f64) {
        let now = self.world.now;
        if self.is_child_known {
            return;
        }
        if self.world.attacker.made_at.is_some_and(|it| it + self.told_after <= now) {
            self.is_child_known = true;
            let to_tick = (self.tick - now).rem_euclid(MINUTE);
            let to_strike = self.world.random.between(TO_STRIKE.0, TO_STRIKE.1);
            self.world.later(to_tick + to_strike, Event::Of(ACCOMPLICE, 0, Step::Strike));
        } else if let Some(next) = revision::next_pass(asked as i64, now as i64).filter(|_| asked >= self.asked) {
            self.world.later(next as f64 - now, Event::Report { asked });
        }
    }

    fn judge(mut self) -> Run {
        let since_child = self.responses[ACCOMPLICE].ended.map(|(_, at)| self.world.now - at);
        if since_child.is_some_and(|it| it < 3.0 * self.world.setting.lag.1) {
            self.check_child();
        }
        let Self { world, responses, is_child_false, .. } = self;
        let high = world.setting.lag.1;
        let [victim, accomplice] = responses;
        let (ending, seconds) = victim.ended.unwrap();
        let works = |who| (0..2).any(|key| world.iam.lets(who, key, world.now, high));
        let is_gone = ending == Ending::Gone;
        // What the last look put back takes a moment to be there.
        let is_contained = is_gone || !(works(VICTIM) || world.iam.was_free_since(VICTIM, seconds + PUT_BACK));
        let is_at_large = works(ACCOMPLICE);
        let is_false = ending == Ending::Contained && (!is_contained || is_at_large);
        let fought = victim.contest.fought(moment(world.now)).unwrap_or_default();
        Run {
            ending,
            is_contained,
            is_false,
            is_child_false,
            attacker_writes: world.attacker.writes,
            used_at: world.attacker.used_at,
            bound_at: world.iam.binds_at.filter(|it| *it > 0.0),
            child_at: accomplice.began_at,
            writes: fought.writes,
            throttled: fought.throttled,
            calls: world.calls,
            // What the namesake got is told with the verdict that the identity is gone.
            silent: if is_gone { 0 } else { victim.strays },
            latest_stray: victim.latest_stray,
            seconds,
        }
    }
}

/// How late CloudTrail's event history tells of a call: five minutes on the average, says AWS, and without a bound;
/// in one run of twenty as late as it was once measured.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html>
fn cloudtrail(random: &mut Random) -> f64 {
    if random.unit() < 0.05 {
        return random.between(25.0, 85.0) * MINUTE;
    }
    MINUTE - 4.0 * MINUTE * (1.0 - random.unit()).ln()
}
