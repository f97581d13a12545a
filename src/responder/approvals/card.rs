//! What Slack shows of requests while they are decided and carried out. Whoever looks at a request sees to it; what
//! Slack does not take is sent by the schedule.
//!
//! INVARIANT: a request's last state is shown, also after a crash. `tests/test_slack_requests.py` holds it.

use clients::ledger::End;
use clients::ledger::slack::News;
use domain::approval::request::Request;
use domain::approval::words::Alert;
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::slack::{thread, thread_of_id};

use super::Desk;
use crate::slack::{self, Poster};

impl Desk<'_> {
    fn poster(&self) -> Option<Poster<'_>> {
        Poster::asking(&self.home, self.settings, false)
    }

    /// Shows it as it is, where that is news. Trouble with it is none of the response's.
    pub(super) async fn show(&self, request: &Request) {
        if let Err(failure) = self.try_show(request).await {
            tracing::warn!(request = request.id.as_str(), "the card could not be changed: {failure}");
        }
    }

    /// Somebody approved it, and it takes others too.
    pub(super) async fn show_vote(&self, id: &RequestId) {
        match self.ledger.request(id).await {
            Ok(Some(request)) => self.show(&request).await,
            Ok(None) => {}
            Err(failure) => tracing::warn!(request = id.as_str(), "the card could not be changed: {failure}"),
        }
    }

    async fn try_show(&self, request: &Request) -> Result<(), Failure> {
        let Some(poster) = self.poster() else { return Ok(()) };
        if let Some(offer) = &request.offer {
            return unless_failed(
                poster.show_offer(&thread(&offer.finding.account, None, &offer.finding), &request.id).await,
            );
        }
        let Some(asked) = &request.asked else { return Ok(()) };
        if slack::is_shown(request) {
            return Ok(());
        }
        if asked.is_beyond {
            return self.show_list().await;
        }
        unless_failed(poster.show(&request.id, &asked.finding.account, &asked.target.id).await)
    }

    pub(super) async fn show_list(&self) -> Result<(), Failure> {
        match self.poster() {
            Some(poster) => unless_failed(poster.show_list().await),
            None => Ok(()),
        }
    }

    /// It is over. That its card is to be changed is kept before, so that no crash loses it, and sent afterwards.
    pub(super) async fn close(&self, request: &Request, end: &End<'_>) -> Result<(), Failure> {
        if let (Some(poster), Some(asked)) = (self.poster(), &request.asked) {
            poster.keep_card(&request.id, asked).await?;
        }
        if let (Some(poster), Some(offer)) = (self.poster(), &request.offer) {
            poster.keep_offer(&thread(&offer.finding.account, None, &offer.finding), &request.id).await?;
        }
        self.tell_sweep(request, end).await?;
        self.ledger.end_request(request, end).await?;
        self.show_vote(&request.id).await;
        Ok(())
    }

    /// In the thread of whom it is about; what is about nobody stands by itself.
    pub(super) async fn post(&self, it: &Alert, request: &Request) -> Option<Outcome> {
        let poster = self.poster()?;
        let alert = slack::told(&it.subject, &it.text, &self.call.request_id);
        Some(match &request.asked {
            Some(asked) => {
                let thread = thread_of_id(&asked.finding.account, &asked.target.id);
                // Told once, however often it is tried.
                let news = format!("{} {}", request.id, it.subject);
                poster.post(&thread, alert, News { words: &news, can_be_old: true }).await
            }
            None => poster.post_apart("reports", alert).await,
        })
    }
}

/// What is kept for Slack is not lost.
fn unless_failed(outcome: Outcome) -> Result<(), Failure> {
    match outcome {
        Outcome::Failed(failure) => Err(failure),
        _ => Ok(()),
    }
}
