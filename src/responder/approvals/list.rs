//! Requests that are more than are asked singly: one list of them, by the topic and in Slack.

use domain::acknowledgement::Watched;
use domain::approval::request::{Request, State};
use domain::approval::words::{self, Alert};
use domain::containment::escalation;
use domain::finding::Severity;
use domain::outcome::Failure;
use domain::told;

use super::{Desk, PAUSE};
use crate::acknowledge;
use crate::invocation::now_millis;
use crate::slack;

/// How often the topic gets it at most.
const EVERY: i64 = 10 * 60_000;
/// Whoever has decided so many of those that are critical in a list, the gravest first, has seen it.
const MOST_WATCHED: usize = 50;

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
        let told = async {
            let alert = self.watch_list(&untold, alert).await?;
            self.publish(&alert, None).await
        };
        if let Err(failure) = told.await {
            self.ledger.give_list_back().await?;
            return Err(failure);
        }
        for it in &untold {
            self.ledger.note_asked(&it.id).await?;
        }
        Ok(())
    }

    /// Has the list repeated to others, unless somebody acknowledges it or decides what is critical in it: once, however
    /// many that are. What the alert says of that is added to it.
    async fn watch_list(&self, listed: &[Request], mut alert: Alert) -> Result<Alert, Failure> {
        let is_critical =
            |it: &&Request| it.asked.as_ref().is_some_and(|it| escalation::is_critical_question(&it.finding));
        let requests: Vec<_> = listed.iter().filter(is_critical).take(MOST_WATCHED).map(|it| it.id.clone()).collect();
        let is_repeated = self.settings.notices.escalation_topic_arn.is_some() && !requests.is_empty();
        let Some(id) = acknowledge::id_of_list(&requests).filter(|_| is_repeated) else { return Ok(alert) };
        let Alert { subject, text, attributes } = alert.clone();
        let told = told::Alert { subject, text, attributes };
        let watched = Watched { requests, ..Watched::new(&told, slack::LIST, now_millis()) };
        let watch = acknowledge::watch(&self.home, self.settings, &self.call.request_id, &id, &watched).await?;
        alert.text = [vec![alert.text], watch.lines(&self.settings.function_name)].concat().join("\n");
        Ok(alert)
    }
}
