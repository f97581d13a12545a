//! Findings that do not go with the lead are responded to by themselves, beside it.

use clients::iam::resolve::Resolved;
use clients::ledger::Reservation;
use domain::containment::admission::{self, Beside, Held};
use domain::containment::grouping::{self, Found};
use domain::finding::Finding;

use super::Attempt;
use super::progress::Running;
use super::turns::Turn;

impl Attempt<'_> {
    /// Those that do not go with the lead begin now: nobody waits for another one's hold.
    pub(super) fn part(&self, resolved: &Resolved, running: &mut Running, turn: &Turn<'_>) {
        let Resolved { identity, observed } = resolved;
        let (settings, lead, restored, now) = (self.settings, self.finding, running.memory.restored.as_ref(), self.now);
        let found = Found { settings, lead, identity, observed, restored, now };
        let (others, apart) = std::mem::take(&mut running.others).into_iter().partition(|it| found.answers(it));
        running.others = others;
        self.set_apart(apart, running, turn);
    }

    /// Those that whoever holds the lease has no answer to.
    pub(super) fn part_news(&self, held: &Held, running: &mut Running, turn: &Turn<'_>) {
        let is_news = |it: &Finding| admission::beside(held, it) == Beside::Strike;
        let (apart, others) = std::mem::take(&mut running.others).into_iter().partition(is_news);
        running.others = others;
        self.set_apart(apart, running, turn);
    }

    /// The lead is not answered: the others go by themselves, and its place in the hour's budget is free.
    pub(super) async fn turn_away(&self, place: &mut Reservation, running: &mut Running, turn: &Turn<'_>) {
        self.set_apart(std::mem::take(&mut running.others), running, turn);
        self.ledger.give_back(place).await;
    }

    pub(super) fn set_apart(&self, findings: Vec<Finding>, running: &mut Running, turn: &Turn<'_>) {
        let groups = grouping::group(findings, |it| self.settings.mode_of(it.playbook()));
        if let Some(apart) = running.apart.take().filter(|_| !groups.is_empty()) {
            turn.more(groups.len());
            // Nobody is there to take them only when the whole response has ended.
            let _ = apart.send(groups);
        }
    }
}
