//! Handing a fight on to the next invocation, before the time of this one is up.
//!
//! INVARIANT: two looks of a fight are less than 3 s apart, over invocations too. `tests/test_flood.py` holds it.

use clients::relay;
use domain::containment::progress::Progress;
use domain::containment::relay::Relay;
use domain::verdict::Verdict;

use super::strike::Engine;

impl Engine<'_> {
    /// Whether another invocation goes on from here. The lease stays with it, and it tells how it ended.
    pub(super) async fn hand_over(&self, progress: &mut Progress) -> bool {
        let (Some(function), Some(_)) = (self.own_name, self.ledger) else { return false };
        let Some(next) = self.relay.next(progress) else {
            progress.notes.push("it has gone on for too long to be handed on once more".to_owned());
            return false;
        };
        let next = Relay { guardrail: self.guardrail.so_far(), ..next };
        match relay::hand_over(self.home, function, &next).await {
            Ok(()) => {
                progress.is_handed_over = true;
                let reason = "it has not held for long enough yet: another invocation goes on, under the same lease";
                progress.conclude(Verdict::InProgress, reason);
                true
            }
            Err(failure) => {
                progress.failed.push(format!("handing on to another invocation: {failure}"));
                false
            }
        }
    }
}
