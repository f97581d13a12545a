//! How long it has held, and when to look again.
//!
//! Moments are counted from when the hold began: what decides reads no clock.

use std::time::Duration;

/// Since the hold began.
pub type Moment = Duration;

/// Poll interval of the barriers while all is quiet.
const CALM: Duration = Duration::from_secs(1);
/// The same once somebody has undone something: what is undone then is seen before it is used often.
const WARY: Duration = Duration::from_millis(400);
/// Poll interval right after a reversal: the shorter the gap, the smaller the window that the attacker
/// has four seconds later.
const FIGHT: Duration = Duration::from_millis(100);
/// Poll interval while throttled.
const THROTTLED: Duration = Duration::from_secs(4);

#[derive(Debug, Clone)]
pub struct Watch {
    settle: Duration,
    /// Since when nothing was seen to be missing, nor was anything written that hides whether it was.
    since: Moment,
    pause: Duration,
    /// What the pause grows to while all is quiet.
    calm: Duration,
    /// What that comes down to.
    calmest: Duration,
    /// Waiting longer changes nothing, as it was seen last.
    is_finished: bool,
}

impl Watch {
    pub fn start(settle: Duration, now: Moment) -> Self {
        Self { settle, since: now, pause: CALM, calm: CALM, calmest: CALM, is_finished: false }
    }

    pub fn has_settled(&self, now: Moment) -> bool {
        self.rest(now).is_zero()
    }

    pub fn rest(&self, now: Moment) -> Duration {
        self.settle.saturating_sub(now.saturating_sub(self.since))
    }

    /// Something was missing and was put back.
    pub fn restart(&mut self, now: Moment) {
        *self =
            Self { since: now, pause: FIGHT, calm: self.calm.min(WARY), calmest: WARY, is_finished: false, ..*self };
    }

    /// Something was written again without a look at whether it was there: what was undone before that moment may
    /// have been seen by nobody, and lets an attacker act for as long as IAM takes to enforce.
    pub fn was_hidden(&mut self, until: Moment) {
        self.since = self.since.max(until);
    }

    /// What could not be read was not seen to hold. Whoever is throttled looks less often from then on, so
    /// that there are enough calls for all that are held in the account.
    pub fn doubt(&mut self, throttled: bool, now: Moment) {
        let calm = if throttled { THROTTLED } else { self.calm };
        *self = Self { since: now, pause: calm, calm, is_finished: false, ..*self };
    }

    /// Waiting longer changes nothing: it is time for the last look, which is none that it has held.
    pub fn finish(&mut self) {
        self.is_finished = true;
    }

    pub fn is_finished(&self) -> bool {
        self.is_finished
    }

    pub fn calm_down(&mut self) {
        self.calm = self.calm.mul_f64(0.95).max(self.calmest);
        self.pause = (self.pause * 2).min(self.calm);
    }

    /// How long to wait for the next look; `random` is from 0 to 1. Its moment is not to be foreseen: an attacker
    /// who knew it could put a barrier back just for the look.
    pub fn pause(&self, now: Moment, random: f64) -> Duration {
        self.pause.mul_f64(0.5 + random / 2.0).min(self.rest(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn whatever_was_missing_unread_or_hidden_starts_the_time_anew() {
        let start_again: [fn(&mut Watch, Moment); 3] =
            [Watch::restart, |it, now| it.doubt(true, now), |it, now| it.was_hidden(now)];
        for start_again in start_again {
            let mut watch = Watch::start(MINUTE, Duration::ZERO);
            assert!(watch.has_settled(MINUTE));
            start_again(&mut watch, MINUTE);
            assert!(!watch.has_settled(MINUTE * 2 - Duration::from_millis(1)) && watch.has_settled(MINUTE * 2));
        }
    }

    /// Otherwise what could not be put back for a moment would count as held from the next moment on.
    #[test]
    fn what_waiting_does_not_change_has_not_held_by_that() {
        let mut watch = Watch::start(MINUTE, Duration::ZERO);
        watch.finish();
        assert!(watch.is_finished() && !watch.has_settled(Duration::from_secs(1)));
        watch.restart(MINUTE);
        assert!(!watch.is_finished() && !watch.has_settled(MINUTE + Duration::from_secs(1)));
        assert!(watch.has_settled(MINUTE * 2));
    }

    #[test]
    fn what_could_not_be_read_is_looked_at_again_though_waiting_had_nothing_to_change() {
        let mut watch = Watch::start(MINUTE, Duration::ZERO);
        watch.finish();
        watch.doubt(false, MINUTE);
        assert!(!watch.is_finished());
    }

    #[test]
    fn what_was_hidden_earlier_changes_nothing() {
        let mut watch = Watch::start(MINUTE, Duration::from_secs(5));
        watch.was_hidden(Duration::from_secs(3));
        assert!(watch.has_settled(MINUTE + Duration::from_secs(5)));
    }

    #[test]
    fn whoever_is_throttled_looks_less_often_for_a_while() {
        let mut watch = Watch::start(MINUTE, Duration::ZERO);
        watch.doubt(true, Duration::ZERO);
        watch.calm_down();
        assert!(watch.pause > CALM * 3);
        for _ in 0..100 {
            watch.calm_down();
        }
        assert_eq!(watch.pause, CALM);
    }

    #[test]
    fn the_pace_slows_down_to_once_a_second_where_nobody_undid_anything() {
        let mut watch = Watch::start(MINUTE, Duration::ZERO);
        watch.calm_down();
        assert_eq!(watch.pause, CALM);
        watch.restart(Duration::ZERO);
        assert_eq!(watch.pause, FIGHT);
        for _ in 0..10 {
            watch.calm_down();
        }
        assert_eq!(watch.pause, WARY);
    }

    #[test]
    fn right_after_a_reversal_it_looks_often_and_then_half_as_often_each_time() {
        let mut watch = Watch::start(MINUTE, Duration::ZERO);
        watch.restart(Duration::ZERO);
        let mut paces = Vec::new();
        for _ in 0..4 {
            paces.push(watch.pause.as_millis());
            watch.calm_down();
        }
        assert_eq!(paces, [100, 200, 400, 400]);
        watch.doubt(false, Duration::ZERO);
        assert_eq!(watch.pause, WARY, "what could not be read is looked at as calmly as before");
        watch.doubt(true, Duration::ZERO);
        watch.calm_down();
        assert_eq!(watch.pause, THROTTLED.mul_f64(0.95));
    }

    #[test]
    fn the_next_look_comes_after_half_the_pause_to_all_of_it_and_at_the_end_at_the_latest() {
        let watch = Watch::start(MINUTE, Duration::from_secs(1));
        let pause = |now, random| watch.pause(now, random).as_millis();
        let early = Duration::from_secs(2);
        assert_eq!((pause(early, 0.0), pause(early, 0.5), pause(early, 1.0)), (500, 750, 1_000));
        let late = MINUTE + Duration::from_millis(900);
        assert_eq!((pause(late, 0.0), pause(late + Duration::from_millis(100), 1.0)), (100, 0));
        assert_eq!(watch.rest(late).as_millis(), 100);
    }
}
