//! The contested mode: once somebody undoes what holds an identity back, that is written again and again without
//! waiting for a look.
//!
//! IAM enforces a change some four seconds late. Whoever undoes a barrier can use the time in which it was off, four
//! seconds later, to undo it once more. A look takes its time and so does the answer to it; writing blindly makes
//! that time as short as the pace of the writes. Where each success leads to less than one more, the attacker dies
//! out. What is written hides what was undone, so that it decides nothing: only a look does, after a settle time in
//! which nothing was hidden (`watch.rs`).
//!
//! INVARIANT: nothing is written by a name of which no read has shown the unique ID within half a second
//! (`nothing_is_written_by_a_name_that_may_be_anothers`, `tests/test_contest.py`), and a fight yields to every
//! strike in its account (`strikes_go_first`).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::watch::Moment;

/// Writes a second at the first reversal; each further one doubles it.
const FIRST_PACE: f64 = 4.0;
/// For how long a read of the unique ID is believed.
pub const ID_HOLDS: Duration = Duration::from_millis(500);
/// After so long it is read anew, so that the answer comes in time.
const ID_AGE: Duration = Duration::from_millis(250);
/// Writes of one fight that are under way at the same time.
pub const IN_FLIGHT: usize = 8;

/// What IAM is taken to accept of an account in a second, until it says otherwise: AWS publishes no figure.
const ACCEPTED: f64 = 50.0;
/// All fights of an account together, in writes a second.
const MOST: f64 = ACCEPTED / 2.0;
const LEAST: f64 = 1.0;
/// Answers to what was sent together count as one.
const ONE_THROTTLE: Duration = Duration::from_secs(1);
/// After so long without a throttle a little more is tried.
const RECOVERS_AFTER: Duration = Duration::from_secs(5);
/// By so much of itself in a second.
const RECOVERY: f64 = 1.0;
/// How long a fight waits for strikes that can't be made.
const YIELDS_FOR: Duration = Duration::from_secs(5);

/// What a fight took, for people. It goes on over invocations.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fought {
    /// From the first reversal to the end of the last fight.
    pub millis: u64,
    /// What was written without a look.
    pub writes: usize,
    /// Of these, what IAM put off.
    pub throttled: usize,
}

/// What the writer does next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// Write the barrier of this turn now.
    Write(usize),
    /// Ask again then.
    Wait(Duration),
    /// Nobody fights, or the ID has to be read first.
    Rest,
}

/// One identity's fight.
#[derive(Debug, Clone)]
pub struct Contest {
    /// How long without a reversal until it is over.
    settle: Duration,
    /// When the last reversal was seen.
    reversal: Option<Moment>,
    began: Option<Moment>,
    pace: f64,
    due: Moment,
    turn: usize,
    /// When the last read began that showed the ID under the name.
    id_read: Option<Moment>,
    /// The same, whatever was read later.
    id_was_read: Option<Moment>,
    /// When the last write ended.
    hidden_until: Option<Moment>,
    /// The name led elsewhere after something was written: whoever bore it may have got that, and nobody was told yet.
    is_stray: bool,
    before: Fought,
    fought: Fought,
}

impl Contest {
    /// `before`: what earlier invocations of the same fight took. One that was handed on goes on at full pace.
    pub fn new(settle: Duration, before: Option<Fought>, now: Moment) -> Self {
        let is_on = before.is_some();
        Self {
            settle,
            reversal: is_on.then_some(now),
            began: is_on.then_some(now),
            pace: if is_on { MOST } else { 0.0 },
            due: now,
            turn: 0,
            id_read: None,
            id_was_read: None,
            hidden_until: None,
            is_stray: false,
            before: before.unwrap_or_default(),
            fought: Fought::default(),
        }
    }

    /// A look has seen that something was undone.
    pub fn reversed(&mut self, now: Moment) {
        self.pace = if self.pace > 0.0 { (self.pace * 2.0).min(MOST) } else { FIRST_PACE };
        self.reversal = Some(now);
        self.began.get_or_insert(now);
        self.due = self.due.max(now);
    }

    pub fn is_on(&self, now: Moment) -> bool {
        self.reversal.is_some_and(|it| now.saturating_sub(it) < self.settle)
    }

    /// A read that began then has shown the ID under the name.
    pub fn id_seen(&mut self, began: Moment) {
        self.id_read = self.id_read.max(Some(began));
        self.id_was_read = self.id_was_read.max(self.id_read);
    }

    /// The name leads to another ID or to none: nothing is written any more until it was found again.
    pub fn id_lost(&mut self) {
        self.id_read = None;
        self.is_stray |= self.hidden_until.is_some();
    }

    /// Whether another may have got what was written: something was since a read has last shown the ID, or the name led
    /// elsewhere in between. That it has come back proves nothing.
    pub fn is_unsure(&self) -> bool {
        self.is_stray || self.hidden_until.is_some_and(|written| self.id_was_read.is_none_or(|read| written >= read))
    }

    pub fn is_stray(&self) -> bool {
        self.is_stray
    }

    /// People learn of whoever bore the name.
    pub fn strays_are_told(&mut self) {
        self.is_stray = false;
    }

    /// When the ID has to be read next; `None` while nobody fights.
    pub fn id_due(&self, now: Moment) -> Option<Moment> {
        self.is_on(now).then(|| self.id_read.map_or(now, |it| it + ID_AGE))
    }

    /// What to do now. `random` is from 0 to 1: when the next write comes is not to be foreseen.
    pub fn next(&mut self, budget: &mut Budget, now: Moment, random: f64) -> Step {
        let is_sure = self.id_read.is_some_and(|it| now.saturating_sub(it) < ID_HOLDS);
        if !self.is_on(now) || !is_sure {
            return Step::Rest;
        }
        if now < self.due {
            return Step::Wait(self.due - now);
        }
        if let Err(wait) = budget.take(now) {
            return Step::Wait(wait.mul_f64(0.5 + random));
        }
        let interval = Duration::from_secs_f64(1.0 / self.pace.max(LEAST));
        // Whoever comes late by less than one interval makes up for it.
        self.due = self.due.max(now.saturating_sub(interval)) + interval.mul_f64(0.5 + random);
        self.turn += 1;
        self.fought.writes += 1;
        Step::Write(self.turn - 1)
    }

    /// A write has ended.
    pub fn written(&mut self, is_throttled: bool, now: Moment) {
        self.fought.throttled += usize::from(is_throttled);
        self.hidden_until = self.hidden_until.max(Some(now));
    }

    /// Until when what was undone may have been hidden.
    pub fn hidden_until(&self) -> Option<Moment> {
        self.hidden_until
    }

    /// What it took, over all invocations; `None` where nobody fought.
    pub fn fought(&self, now: Moment) -> Option<Fought> {
        let began = self.began?;
        let end = self.reversal.map_or(now, |it| now.min(it + self.settle));
        Some(Fought {
            millis: self.before.millis + u64::try_from(end.saturating_sub(began).as_millis()).unwrap_or(u64::MAX),
            writes: self.before.writes + self.fought.writes,
            throttled: self.before.throttled + self.fought.throttled,
        })
    }
}

/// Which of the barriers is written in a turn: one that stops everything three times out of four, and each of the
/// others in turn.
pub fn choose<'a, T>(wholes: &'a [T], parts: &'a [T], turn: usize) -> Option<&'a T> {
    let (them, turn) = match turn % 4 {
        _ if parts.is_empty() => (wholes, turn),
        _ if wholes.is_empty() => (parts, turn),
        3 => (parts, turn / 4),
        _ => (wholes, turn),
    };
    turn.checked_rem(them.len()).and_then(|it| them.get(it))
}

/// What all fights of an account may write together.
#[derive(Debug, Clone)]
pub struct Budget {
    rate: f64,
    due: Moment,
    throttled: Option<Moment>,
    /// When the rate was looked at last.
    looked: Moment,
    /// Strikes in the account that have not ended, by when they began.
    strikes: Vec<Moment>,
}

impl Default for Budget {
    fn default() -> Self {
        Self { rate: MOST, due: Moment::ZERO, throttled: None, looked: Moment::ZERO, strikes: Vec::new() }
    }
}

impl Budget {
    /// Room for one write, or how long there is none.
    pub fn take(&mut self, now: Moment) -> Result<(), Duration> {
        if let Some(last) = self.strikes.iter().max()
            && now.saturating_sub(*last) < YIELDS_FOR
        {
            return Err(Duration::from_millis(50));
        }
        self.recover(now);
        if now < self.due {
            return Err(self.due - now);
        }
        let interval = Duration::from_secs_f64(1.0 / self.rate);
        self.due = self.due.max(now.saturating_sub(interval)) + interval;
        Ok(())
    }

    /// IAM asked for fewer calls.
    pub fn throttled(&mut self, now: Moment) {
        if self.throttled.is_none_or(|it| now.saturating_sub(it) >= ONE_THROTTLE) {
            self.rate = (self.rate / 2.0).max(LEAST);
            self.throttled = Some(now);
            self.looked = now;
        }
    }

    fn recover(&mut self, now: Moment) {
        let quiet_since = self.throttled.map_or(Moment::ZERO, |it| it + RECOVERS_AFTER);
        let quiet = now.saturating_sub(quiet_since.max(self.looked)).as_secs_f64();
        self.rate = (self.rate * (1.0 + RECOVERY * quiet)).min(MOST);
        self.looked = self.looked.max(now);
    }

    pub fn strike_begins(&mut self, now: Moment) {
        self.strikes.push(now);
    }

    /// Whichever strike: they are told apart by nothing but when they began.
    pub fn strike_ends(&mut self, began: Moment) {
        if let Some(n) = self.strikes.iter().position(|it| *it == began) {
            self.strikes.swap_remove(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_secs(12);

    fn at(seconds: f64) -> Moment {
        Duration::from_secs_f64(seconds)
    }

    /// How many writes there are from one second to another, the ID read all the while.
    fn writes(contest: &mut Contest, budget: &mut Budget, from: f64, to: f64) -> usize {
        let mut count = 0;
        for millis in 0..((to - from) * 1_000.0) as u64 {
            let now = at(from) + Duration::from_millis(millis);
            contest.id_seen(now);
            if matches!(contest.next(budget, now, 0.5), Step::Write(_)) {
                count += 1;
                contest.written(false, now);
            }
        }
        count
    }

    #[test]
    fn nothing_is_written_before_the_first_reversal() {
        let (mut contest, mut budget) = (Contest::new(SETTLE, None, at(0.0)), Budget::default());
        assert_eq!(writes(&mut contest, &mut budget, 0.0, 5.0), 0);
        assert_eq!((contest.fought(at(5.0)), contest.id_due(at(5.0)), contest.hidden_until()), (None, None, None));
    }

    #[test]
    fn each_reversal_makes_it_faster_up_to_half_of_what_iam_is_taken_to_accept() {
        let (mut contest, mut budget) = (Contest::new(SETTLE, None, at(0.0)), Budget::default());
        let mut paces = Vec::new();
        for n in 1..=5 {
            let now = f64::from(n) * 10.0;
            contest.reversed(at(now));
            paces.push(writes(&mut contest, &mut budget, now, now + 8.0) / 8);
        }
        assert_eq!(paces, [4, 8, 16, 25, 25]);
    }

    #[test]
    fn it_ends_when_the_settle_time_has_passed_without_a_reversal() {
        let (mut contest, mut budget) = (Contest::new(SETTLE, None, at(0.0)), Budget::default());
        contest.reversed(at(1.0));
        contest.reversed(at(5.0));
        assert!(writes(&mut contest, &mut budget, 5.0, 17.0) > 0);
        assert_eq!(writes(&mut contest, &mut budget, 17.0, 30.0), 0);
        assert!(contest.hidden_until().is_some_and(|it| it > at(16.0) && it < at(17.0)));
        assert_eq!(contest.fought(at(30.0)).map(|it| it.millis), Some(16_000));
        contest.reversed(at(31.0));
        assert!(writes(&mut contest, &mut budget, 31.0, 32.0) >= 15, "the pace of before is not forgotten");
    }

    #[test]
    fn nothing_is_written_by_a_name_that_may_be_anothers() {
        let (mut contest, mut budget) = (Contest::new(SETTLE, None, at(0.0)), Budget::default());
        contest.reversed(at(0.0));
        assert_eq!(contest.next(&mut budget, at(0.0), 0.5), Step::Rest, "the ID was not read yet");
        contest.id_seen(at(0.0));
        assert!(matches!(contest.next(&mut budget, at(0.1), 0.5), Step::Write(0)));
        assert_eq!(contest.id_due(at(0.1)), Some(at(0.25)));
        assert_eq!(contest.next(&mut budget, at(0.5), 0.5), Step::Rest);
        contest.id_seen(at(0.5));
        // An older read that was slow says nothing newer.
        contest.id_seen(at(0.1));
        assert!(matches!(contest.next(&mut budget, at(0.9), 0.5), Step::Write(1)));
        contest.id_lost();
        assert_eq!(contest.next(&mut budget, at(0.95), 0.5), Step::Rest);
    }

    #[test]
    fn what_ended_after_the_id_was_read_last_may_be_anothers() {
        let mut contest = Contest::new(SETTLE, None, at(0.0));
        contest.reversed(at(0.0));
        contest.id_seen(at(0.0));
        assert!(!contest.is_unsure());
        contest.written(false, at(0.3));
        assert!(contest.is_unsure(), "it was under way when the name was read");
        contest.id_seen(at(0.2));
        assert!(contest.is_unsure());
        contest.id_seen(at(0.4));
        assert!(!contest.is_unsure());
        contest.written(false, at(0.5));
        contest.id_lost();
        assert!(contest.is_unsure());
        // Whoever gave the name back has what was written by it.
        contest.id_seen(at(0.9));
        assert!(contest.is_stray() && contest.is_unsure());
        contest.strays_are_told();
        assert!(!contest.is_stray() && !contest.is_unsure());
    }

    #[test]
    fn when_the_next_write_comes_is_not_to_be_foreseen() {
        let gap = |random| {
            let (mut contest, mut budget) = (Contest::new(SETTLE, None, at(0.0)), Budget::default());
            contest.reversed(at(5.0));
            contest.id_seen(at(5.0));
            contest.next(&mut budget, at(5.0), random);
            match contest.next(&mut budget, at(5.0), random) {
                Step::Wait(it) => it,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!((gap(0.0), gap(0.5)), (Duration::from_millis(125), Duration::from_millis(250)));
    }

    #[test]
    fn a_throttle_halves_it_once_for_all_that_was_under_way_and_never_below_one_a_second() {
        let mut budget = Budget::default();
        for second in 0..10 {
            for _ in 0..5 {
                budget.throttled(at(f64::from(second)));
            }
            if second == 0 {
                assert!((budget.rate - MOST / 2.0).abs() < 1e-9);
            }
        }
        assert!((budget.rate - 1.0).abs() < 1e-9);
        budget.take(at(9.0)).unwrap();
        let more = (0..2_900).filter(|it| budget.take(at(9.1) + Duration::from_millis(*it)).is_ok());
        assert_eq!(more.count(), 3, "one a second");
        assert!(budget.take(at(60.0)).is_ok());
        assert!(budget.rate > 10.0, "without a throttle it comes back");
    }

    #[test]
    fn fights_of_one_account_share_its_budget() {
        let mut budget = Budget::default();
        let mut fights: Vec<_> = (0..5).map(|_| Contest::new(SETTLE, Some(Fought::default()), at(0.0))).collect();
        let mut count = [0; 5];
        for millis in 0..4_000 {
            let now = Duration::from_millis(millis);
            for (n, fight) in fights.iter_mut().enumerate() {
                fight.id_seen(now);
                let random = (millis * 7 + n as u64 * 13) % 100;
                count[n] += usize::from(matches!(fight.next(&mut budget, now, random as f64 / 100.0), Step::Write(_)));
            }
        }
        assert!((95..=102).contains(&count.iter().sum::<usize>()), "{count:?}");
    }

    #[test]
    fn strikes_go_first() {
        let mut budget = Budget::default();
        assert!(budget.take(at(1.0)).is_ok());
        budget.strike_begins(at(1.1));
        assert!(budget.take(at(2.0)).is_err());
        budget.strike_ends(at(1.1));
        assert!(budget.take(at(2.1)).is_ok());
        budget.strike_begins(at(3.0));
        assert!(budget.take(at(7.9)).is_err());
        assert!(budget.take(at(8.0)).is_ok(), "one that can't be made stops no fight for long");
    }

    #[test]
    fn what_stops_everything_is_written_most_and_nothing_is_left_out() {
        let turns = |wholes: &[&str], parts: &[&str]| {
            (0..8).filter_map(|it| choose(wholes, parts, it).map(|it| (*it).to_owned())).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(turns(&["deny"], &["a", "b"]), "deny deny deny a deny deny deny b");
        assert_eq!(turns(&[], &["a", "b"]), "a b a b a b a b");
        assert_eq!(turns(&["deny"], &[]), "deny deny deny deny deny deny deny deny");
        assert_eq!(turns(&[], &[]), "");
    }

    #[test]
    fn what_was_handed_on_goes_on_at_once_and_is_counted_with_what_was_before() {
        let before = Fought { millis: 100_000, writes: 50, throttled: 2 };
        let (mut contest, mut budget) = (Contest::new(SETTLE, Some(before), at(0.0)), Budget::default());
        let more = writes(&mut contest, &mut budget, 0.0, 2.0);
        assert!((45..=51).contains(&more), "{more}");
        let fought = contest.fought(at(2.0)).unwrap();
        assert_eq!((fought.millis, fought.writes, fought.throttled), (102_000, 50 + more, 2));
    }

    #[test]
    fn a_read_that_began_as_the_write_ended_proves_nothing() {
        let mut contest = Contest::new(SETTLE, None, at(0.0));
        contest.reversed(at(0.0));
        contest.written(false, at(0.3));
        contest.id_seen(at(0.3));
        assert!(contest.is_unsure());
        // Nor does an older one, which ends later.
        contest.id_seen(at(0.31));
        contest.id_seen(at(0.1));
        assert!(!contest.is_unsure());
    }

    #[test]
    fn the_rate_comes_back_by_as_much_as_it_was_quiet_after_five_seconds() {
        let rate = |seconds| {
            let mut budget = Budget::default();
            budget.throttled(at(10.0));
            budget.take(at(seconds)).unwrap();
            budget.rate
        };
        let is =
            |seconds, expected: f64| assert!((rate(seconds) - expected).abs() < 1e-9, "{seconds}: {}", rate(seconds));
        is(15.0, MOST / 2.0);
        is(15.5, MOST / 2.0 * 1.5);
        is(17.0, MOST);
        let mut budget = Budget::default();
        budget.throttled(at(10.0));
        for seconds in [15.2, 15.4] {
            budget.take(at(seconds)).unwrap();
        }
        assert!((budget.rate - MOST / 2.0 * 1.2 * 1.2).abs() < 1e-9, "what was counted is not counted again");
    }

    #[test]
    fn as_long_as_one_strike_goes_on_fights_wait_for_it() {
        let mut budget = Budget::default();
        for began in [1.0, 2.0, 3.0] {
            budget.strike_begins(at(began));
        }
        budget.strike_ends(at(1.0));
        budget.strike_ends(at(9.0));
        budget.strike_ends(at(3.0));
        assert_eq!(budget.take(at(6.9)), Err(Duration::from_millis(50)));
        budget.strike_ends(at(2.0));
        assert!(budget.take(at(6.9)).is_ok());
    }

    #[test]
    fn what_iam_put_off_is_counted_and_a_writer_without_room_asks_again() {
        let (mut contest, mut budget) = (Contest::new(SETTLE, None, at(0.0)), Budget::default());
        contest.reversed(at(0.0));
        contest.id_seen(at(0.0));
        assert_eq!(contest.next(&mut budget, at(0.0), 0.5), Step::Write(0));
        contest.written(true, at(0.1));
        contest.written(true, at(0.1));
        contest.written(false, at(0.2));
        // Its own turn has come, and the account has no room: another fight has taken it.
        budget.due = at(0.35);
        assert_eq!(contest.next(&mut budget, at(0.3), 0.0), Step::Wait(Duration::from_millis(25)));
        assert_eq!(contest.fought(at(0.3)), Some(Fought { millis: 300, writes: 1, throttled: 2 }));
    }
}
