//! Security Hub: the finding's workflow, and an honest note under it.

use aws_sdk_securityhub::types::{AwsSecurityFindingIdentifier, NoteUpdate, WorkflowStatus, WorkflowUpdate};

use super::{Scene, succeeded};
use crate::action::{Action, Failure, Outcome};
use crate::aws_error::failure;
use crate::decode::UPDATED_BY;
use crate::finding::{Finding, Region, Threat};
use crate::report::Summary;
use crate::text;

pub(super) fn plan(finding: &Finding) -> Option<Action> {
    let it = finding.security_hub.clone()?;
    Some(Action::UpdateFinding { id: it.id, product_arn: it.product_arn, region: it.region })
}

/// The status changes only after success. For root, success is that a person was told: nothing else
/// can be done from here.
pub(super) async fn update(
    scene: &Scene<'_>,
    summary: &Summary<'_>,
    id: &str,
    product_arn: &str,
    region: &Region,
) -> Outcome {
    let status = match () {
        () if scene.finding.threat == Threat::RootAccessKey => Some(WorkflowStatus::Notified),
        () if !succeeded(summary.record) => None,
        () if scene.config.resolved_on_success => Some(WorkflowStatus::Resolved),
        () => Some(WorkflowStatus::Notified),
    };
    let identifier = AwsSecurityFindingIdentifier::builder().id(id).product_arn(product_arn).build();
    let note = NoteUpdate::builder().text(summary.note(512)).updated_by(UPDATED_BY).build();
    let mut request =
        scene.home.security_hub(region).batch_update_findings().finding_identifiers(identifier).note(note);
    if let Some(status) = status.clone() {
        request = request.workflow(WorkflowUpdate::builder().status(status).build());
    }
    let output = match request.send().await {
        Ok(it) => it,
        Err(error) => return Outcome::Failed(failure(&error)),
    };
    // Security Hub answers 200 for findings that it did not update.
    match output.unprocessed_findings().first() {
        Some(unprocessed) => {
            let code = unprocessed.error_code().unwrap_or("Unprocessed").to_owned();
            let message = text::line(unprocessed.error_message().unwrap_or_default(), 300);
            let retryable = matches!(code.as_str(), "ConcurrentUpdateError" | "InternalFailure" | "FindingNotFound");
            Outcome::Failed(Failure { code, message, retryable })
        }
        None => Outcome::Applied {
            detail: match status {
                Some(status) => format!("workflow {status}, with a note"),
                None => "a note; the workflow status was left".to_owned(),
            },
        },
    }
}
