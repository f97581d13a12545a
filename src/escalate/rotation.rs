//! SSM Automation: the rotation runbook in the member account.

use super::{Scene, automation_token, is_user, succeeded};
use crate::action::{Action, Outcome};
use crate::aws_error::{failure, is};
use crate::config::Config;
use crate::finding::PrincipalName;
use crate::record::Record;
use crate::report::Summary;

pub(super) fn plan(config: &Config, record: &Record) -> Option<Action> {
    let user = record.identity.as_ref().filter(|it| is_user(it))?;
    let document = config.rotation_document.clone()?;
    Some(Action::StartRotation { document, user: user.name.clone() })
}

/// Only once the identity is contained: a runbook that makes new keys must not serve an attacker.
/// The runbook gets the unique ID beside the name, so that it can refuse a namesake.
pub(super) async fn start(scene: &Scene<'_>, summary: &Summary<'_>, document: &str, user: &PrincipalName) -> Outcome {
    let (Some(member), Some(identity)) = (scene.member, &summary.record.identity) else {
        return Outcome::Skipped { reason: "there is no session in the member account".to_owned() };
    };
    if !succeeded(summary.record) {
        return Outcome::Skipped { reason: "the containment did not succeed".to_owned() };
    }
    let token = automation_token(scene.finding, Some(identity), scene.now);
    let request = member.ssm.start_automation_execution().document_name(document).client_token(token);
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
