//! Security Hub: the finding's workflow, and an honest note under it.

use aws_sdk_securityhub::types::{AwsSecurityFindingIdentifier, NoteUpdate, WorkflowStatus, WorkflowUpdate};
use domain::finding::HubReference;
use domain::notice::{UPDATED_BY, Workflow, note_on};
use domain::outcome::{Failure, Outcome};
use domain::text;

use crate::accounts::Home;
use crate::errors::failure;

/// Findings are updated in the region they were found in.
pub async fn update(home: &Home, finding: &HubReference, note: &str, workflow: Option<Workflow>) -> Outcome {
    let status = workflow.map(|it| match it {
        Workflow::Notified => WorkflowStatus::Notified,
        Workflow::Resolved => WorkflowStatus::Resolved,
    });
    let identifier = AwsSecurityFindingIdentifier::builder().id(&finding.id).product_arn(&finding.product_arn).build();
    let note = NoteUpdate::builder().text(note_on(finding, note)).updated_by(UPDATED_BY).build();
    let client = home.security_hub(&finding.region);
    let mut request = client.batch_update_findings().finding_identifiers(identifier).note(note);
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
