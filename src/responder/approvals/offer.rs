//! An offer under an alert: somebody clicked it, and people are asked, or it ran out.
//!
//! INVARIANT: a click on an offer changes nothing of any identity: it becomes a request, which others decide.
//! `tests/test_approvals_offer.py` holds it.

use clients::ledger::End;
use domain::approval::offer::{Offer, Opened};
use domain::approval::request::{Request, State, request_id};
use domain::containment::relay::Relay;
use domain::outcome::Failure;
use domain::settings::Mode;
use domain::verdict::Verdict;

use super::{Desk, Looked, pause};
use crate::invocation::now_millis;

impl Desk<'_> {
    pub(super) async fn look_at_offer(&self, request: &Request, offer: &Offer) -> Result<Looked, Failure> {
        let Some(opened) = &offer.opened else {
            let end = End { state: State::Expired, verdict: "Expired", reason: "nobody clicked it" };
            return self.close(request, &end).await.map(|()| Looked::default());
        };
        if let Some(why) = self.obstacle_to_ask(offer, opened) {
            let end = End { state: State::Failed, verdict: Verdict::Refused.name(), reason: why };
            return self.close(request, &end).await.map(|()| Looked::default());
        }
        self.ask_for_offer(request, offer, opened).await
    }

    fn obstacle_to_ask(&self, offer: &Offer, opened: &Opened) -> Option<&'static str> {
        match () {
            () if opened.at >= offer.expires_at => Some("it had run out"),
            () if !offer.is_whole() => Some("what the ledger has is not what was shown"),
            () if self.settings.mode_of(offer.finding.threat.playbook()) == Mode::Observe => {
                Some("the mode is `observe` now: nobody is asked")
            }
            () => None,
        }
    }

    async fn ask_for_offer(&self, request: &Request, offer: &Offer, opened: &Opened) -> Result<Looked, Failure> {
        // The same however often it is tried.
        let Some(id) = request_id(&["offer", request.id.as_str()]) else { return Ok(Looked::default()) };
        let relay = self.relay(&request.id, &offer.finding, &[]).asking(id, Some(opened.by.clone()));
        let relay = Relay { opened_by: Some(opened.user.clone().unwrap_or_default()), ..relay };
        let ((reports, failed), ()) = tokio::join!(self.contain(&relay), self.show(request));
        let report = reports.first().filter(|_| failed.is_empty());
        let (state, verdict, reason) = match report {
            Some(it) if it.verdict == Verdict::Waiting => {
                let asked = it.request.clone().unwrap_or_default();
                (State::Done, it.verdict.name(), format!("request {asked}, which another approver decides"))
            }
            Some(it) if it.verdict != Verdict::InProgress => (State::Failed, it.verdict.name(), it.reason.clone()),
            _ if now_millis() < offer.expires_at => {
                self.ledger.leave_request(&request.id, Some(now_millis() + pause(request))).await?;
                return Ok((reports, failed));
            }
            _ => (State::Failed, Verdict::NotContained.name(), failed.join("; ")),
        };
        self.close(request, &End { state, verdict, reason: &reason }).await?;
        Ok((reports, failed))
    }
}
