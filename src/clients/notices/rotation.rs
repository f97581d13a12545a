//! SSM Automation: the rotation runbook in the member account.

use aws_sdk_ssm::Client;
use domain::identity::Identity;
use domain::ids::PrincipalName;
use domain::outcome::Outcome;

use crate::errors::{failure, is};

/// The runbook gets the unique ID beside the name, so that it can refuse a namesake.
pub async fn start(ssm: &Client, document: &str, user: &PrincipalName, identity: &Identity, token: &str) -> Outcome {
    let request = ssm.start_automation_execution().document_name(document).client_token(token);
    let request =
        request.parameters("UserName", vec![user.to_string()]).parameters("UserId", vec![identity.id.to_string()]);
    match request.send().await {
        Ok(output) => Outcome::Applied { detail: output.automation_execution_id().unwrap_or("started").to_owned() },
        // The token stands for this principal and this quarter of an hour.
        Err(error) if is(&error, "IdempotentParameterMismatch") => {
            Outcome::AlreadyDone { detail: "it was started already".to_owned() }
        }
        Err(error) => Outcome::Failed(failure(&error)),
    }
}
