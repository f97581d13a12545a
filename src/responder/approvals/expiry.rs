//! A request that expired. Where its identity is held back meanwhile nobody may have been awake, so that the incident
//! is started again.
//!
//! INVARIANT: that it expired is told whether or not an incident can be opened, and each is done once.
//! `tests/test_approvals_strike.py` holds it.

use std::time::SystemTime;

use clients::ledger::End;
use clients::notices::incident;
use domain::approval::request::{Asked, Request, State};
use domain::approval::words;
use domain::containment::escalation;
use domain::containment::message::Message;
use domain::containment::playbooks;
use domain::containment::progress::Progress;
use domain::notice::Notice;
use domain::outcome::{Failure, Outcome};
use domain::verdict::Verdict;

use super::{Desk, GIVEN_UP, Looked, pause};
use crate::invocation::now_millis;

impl Desk<'_> {
    pub(super) async fn expire(&self, request: &Request, asked: &Asked) -> Result<Looked, Failure> {
        let end = End { state: State::Expired, verdict: "Expired", reason: "nobody decided" };
        let alert = words::expired(request, asked, &self.settings.function_name);
        if asked.struck.is_none() {
            return self.end(request, &alert, end.state, end.verdict, end.reason).await;
        }
        let (mut known, now) = (request.expiry, now_millis());
        let mut failed = None;
        if known.told_at.is_none() {
            match self.publish(&alert, Some(request)).await {
                Ok(()) => known.told_at = Some(now),
                Err(failure) => failed = Some(failure),
            }
        }
        if known.incident_at.is_none() {
            match self.repeat_incident(request, asked).await {
                Ok(()) => known.incident_at = Some(now),
                // It was tried for a day, and people know.
                Err(failure) if known.told_at.is_some_and(|it| now - it > GIVEN_UP) => {
                    tracing::error!(request = request.id.as_str(), "no incident for what expired: {failure}");
                }
                Err(failure) => failed = Some(failure),
            }
        }
        if let Some(failure) = failed {
            self.ledger.note_expiry(&request.id, known).await?;
            self.ledger.leave_request(&request.id, Some(now_millis() + pause(request))).await?;
            return Err(failure);
        }
        tracing::warn!(request = request.id.as_str(), has_incident = known.incident_at.is_some(), "{}", alert.subject);
        self.close(request, &end).await?;
        Ok(Looked::default())
    }

    /// The token of an incident changes every quarter of an hour, so that this one is another.
    async fn repeat_incident(&self, request: &Request, asked: &Asked) -> Result<(), Failure> {
        let Some(playbook) = playbooks::select(asked.threat()) else { return Ok(()) };
        let mut progress = Progress {
            question: Some(asked.question(&request.id, &self.settings.function_name)),
            ..Progress::default()
        };
        let stays = asked.struck.as_ref().map_or("", |it| it.barrier.stays());
        progress.conclude(Verdict::Waiting, format!("the request EXPIRED, nobody decided. {stays}"));
        let message = Message::render(
            &asked.finding,
            playbook,
            &progress,
            &self.settings.function_name,
            SystemTime::now().into(),
        );
        for notice in escalation::planned(self.settings, playbook, &asked.finding, None) {
            let outcome = match notice {
                Notice::StartIncident { response_plan } => {
                    incident::start(&self.home.incidents, &response_plan, &message).await
                }
                Notice::OpenOpsItem => incident::open_ops_item(&self.home.ssm, &message).await,
                Notice::StartRotation { .. }
                | Notice::UpdateFinding(_)
                | Notice::PublishAlert { .. }
                | Notice::PostToSlack { .. } => continue,
            };
            if let Outcome::Failed(failure) = outcome {
                return Err(failure);
            }
        }
        Ok(())
    }
}
