//! The clock of a hold: `domain` decides how long it has held and when to look again.

use std::time::Duration;

use domain::containment::watch::Watch;

use super::budgets;

pub(super) struct Clock(Watch);

impl Clock {
    pub(super) fn start(settle: Duration) -> Self {
        Self(Watch::start(settle, budgets::now()))
    }

    pub(super) fn has_settled(&self) -> bool {
        self.0.has_settled(budgets::now())
    }

    pub(super) fn rest(&self) -> Duration {
        self.0.rest(budgets::now())
    }

    pub(super) fn restart(&mut self) {
        self.0.restart(budgets::now());
    }

    pub(super) fn was_hidden(&mut self, until: Option<Duration>) {
        if let Some(until) = until {
            self.0.was_hidden(until);
        }
    }

    pub(super) fn doubt(&mut self, throttled: bool) {
        self.0.doubt(throttled, budgets::now());
    }

    pub(super) fn finish(&mut self) {
        self.0.finish();
    }

    pub(super) fn is_finished(&self) -> bool {
        self.0.is_finished()
    }

    pub(super) fn calm_down(&mut self) {
        self.0.calm_down();
    }

    /// Waits for the next look.
    pub(super) async fn pause(&self) {
        tokio::time::sleep(self.0.pause(budgets::now(), fastrand::f64())).await;
    }
}
