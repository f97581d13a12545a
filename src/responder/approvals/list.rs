//! Requests that are more than are asked singly: one list of them, by the topic and in Slack.

use domain::approval::request::{Request, State};
use domain::approval::words;
use domain::finding::Severity;
use domain::outcome::Failure;

use super::{Desk, PAUSE};
use crate::invocation::now_millis;

/// How often the topic gets it at most.
const EVERY: i64 = 10 * 60_000;

/// It waits, and stood in no list yet.
pub(super) fn is_untold(it: &Request) -> bool {
    let is_beyond = it.asked.as_ref().is_some_and(|it| it.is_beyond);
    is_beyond && it.told_at.is_none() && it.state(now_millis()) == State::Waiting
}

impl Desk<'_> {
    /// Those that are not asked singly, in one message, and not too often: decoys must not bury the real one.
    pub(super) async fn tell_list(&self, mut untold: Vec<Request>) -> Result<(), Failure> {
        if untold.is_empty() {
            return Ok(());
        }
        self.show_list().await?;
        words::in_order(&mut untold);
        let severities = untold.iter().filter_map(|it| Some(it.asked.as_ref()?.finding.severity));
        let gravest = severities.fold(Severity(0.0), |a, b| if b > a { b } else { a });
        if !self.ledger.take_list(EVERY, gravest).await? {
            for it in &untold {
                self.ledger.put_request_off(&it.id, now_millis() + PAUSE).await?;
            }
            return Ok(());
        }
        let alert = words::list(&untold, &self.settings.function_name);
        tracing::warn!("{}", alert.subject);
        if let Err(failure) = self.publish(&alert, None).await {
            self.ledger.give_list_back().await?;
            return Err(failure);
        }
        for it in &untold {
            self.ledger.note_asked(&it.id).await?;
        }
        Ok(())
    }
}
