//! A request that expired while its identity is denied everything: nobody may have been awake, so that the incident
//! is started again.

use std::time::SystemTime;

use clients::notices::incident;
use domain::approval::request::Asked;
use domain::containment::escalation;
use domain::containment::message::Message;
use domain::containment::playbooks;
use domain::containment::progress::Progress;
use domain::ids::RequestId;
use domain::notice::Notice;
use domain::outcome::{Failure, Outcome};
use domain::verdict::Verdict;

use super::Desk;

impl Desk<'_> {
    /// The token of an incident changes every quarter of an hour, so that this one is another.
    pub(super) async fn repeat_incident(&self, asked: &Asked, id: &RequestId) -> Result<(), Failure> {
        let Some(playbook) = playbooks::select(asked.threat()) else { return Ok(()) };
        let mut progress =
            Progress { question: Some(asked.question(id, &self.settings.function_name)), ..Progress::default() };
        progress.conclude(Verdict::Waiting, "the request EXPIRED, nobody decided: it stays denied everything");
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
