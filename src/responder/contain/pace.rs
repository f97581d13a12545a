//! How long it has held, and when to look again.

use std::time::{Duration, Instant};

/// Poll interval of the barriers while all is quiet.
const CALM: Duration = Duration::from_secs(1);
/// Poll interval right after a reversal: the shorter the gap, the smaller the window that the attacker
/// has four seconds later.
const FIGHT: Duration = Duration::from_millis(100);
/// Poll interval while throttled.
const THROTTLED: Duration = Duration::from_secs(4);

pub(super) struct Clock {
    settle: Duration,
    /// Since when nothing was seen to be missing.
    since: Instant,
    pause: Duration,
    /// What the pause grows to while all is quiet.
    calm: Duration,
}

impl Clock {
    pub(super) fn start(settle: Duration) -> Self {
        Self { settle, since: Instant::now(), pause: CALM, calm: CALM }
    }

    pub(super) fn has_settled(&self) -> bool {
        self.rest().is_zero()
    }

    pub(super) fn rest(&self) -> Duration {
        self.settle.saturating_sub(self.since.elapsed())
    }

    /// Something was missing and was put back.
    pub(super) fn restart(&mut self) {
        *self = Self { since: Instant::now(), pause: FIGHT, ..*self };
    }

    /// What could not be read was not seen to hold. Whoever is throttled looks less often from then on, so
    /// that there are enough calls for all that are held in the account.
    pub(super) fn doubt(&mut self, throttled: bool) {
        let calm = if throttled { THROTTLED } else { self.calm };
        *self = Self { since: Instant::now(), pause: calm, calm, ..*self };
    }

    /// Waiting longer changes nothing.
    pub(super) fn finish(&mut self) {
        self.settle = Duration::ZERO;
    }

    pub(super) fn calm_down(&mut self) {
        self.calm = self.calm.mul_f64(0.95).max(CALM);
        self.pause = (self.pause * 2).min(self.calm);
    }

    /// Waits for the next look. Its moment is not to be foreseen: an attacker who knew it could put a
    /// barrier back just for the look.
    pub(super) async fn pause(&self) {
        let pause = self.pause.mul_f64(0.5 + fastrand::f64() / 2.0);
        tokio::time::sleep(pause.min(self.rest())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_was_missing_or_unread_starts_the_time_anew() {
        let mut clock = Clock::start(Duration::from_secs(60));
        for start_again in [Clock::restart, |it: &mut Clock| it.doubt(true)] {
            clock.since = Instant::now().checked_sub(Duration::from_secs(61)).unwrap();
            assert!(clock.has_settled());
            start_again(&mut clock);
            assert!(!clock.has_settled());
        }
    }

    #[test]
    fn whoever_is_throttled_looks_less_often_for_a_while() {
        let mut clock = Clock::start(Duration::from_secs(60));
        clock.doubt(true);
        clock.calm_down();
        assert!(clock.pause > CALM * 3);
        for _ in 0..100 {
            clock.calm_down();
        }
        assert_eq!(clock.pause, CALM);
    }

    #[test]
    fn the_pace_slows_down_to_once_a_second() {
        let mut clock = Clock::start(Duration::from_secs(60));
        clock.restart();
        for _ in 0..10 {
            clock.calm_down();
        }
        assert_eq!(clock.pause, CALM);
    }
}
