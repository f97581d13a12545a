//! Whom and what else to tell of a response, one variant each: words, and the permission.

use std::fmt;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;

use crate::finding::HubReference;
use crate::ids::PrincipalName;
use crate::outcome::Deed;
use crate::text;

/// The signature under everything we write to a finding; what bears it is not news to us.
pub const UPDATED_BY: &str = "iam-responder";

#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    StartRotation {
        document: String,
        user: PrincipalName,
    },
    StartIncident {
        response_plan: String,
    },
    OpenOpsItem,
    UpdateFinding(HubReference),
    PublishAlert {
        topic: String,
    },
    /// The alert, in the thread of whom it is about.
    PostToSlack {
        channel: String,
    },
}

/// What becomes of a Security Hub finding's workflow status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workflow {
    Notified,
    Resolved,
}

/// What a note holds.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_NoteUpdate.html>
const LONGEST_NOTE: usize = 512;

const ANSWERS: &str = " (answers the version of ";

/// A note with the version of the finding that it answers.
pub fn note_on(finding: &HubReference, note: &str) -> String {
    let version = finding.updated_at.as_ref().map(|it| format!("{ANSWERS}{it})")).unwrap_or_default();
    format!("{}{version}", text::line(note, LONGEST_NOTE.saturating_sub(version.len())))
}

/// The version that a note of ours answers.
pub(crate) fn answered_version(note: &str) -> Option<DateTime> {
    let (_, version) = note.strip_suffix(')')?.rsplit_once(ANSWERS)?;
    DateTime::from_str(version, Format::DateTime).ok()
}

impl Notice {
    /// What the role that sends it must be allowed to do. `template.yaml` and `member-role.yaml` are
    /// compared with this by a test, both ways.
    pub fn permission(&self) -> &'static str {
        match self {
            Self::StartRotation { .. } => "ssm:StartAutomationExecution",
            Self::StartIncident { .. } => "ssm-incidents:StartIncident",
            Self::OpenOpsItem => "ssm:CreateOpsItem",
            Self::UpdateFinding(_) => "securityhub:BatchUpdateFindings",
            Self::PublishAlert { .. } => "sns:Publish",
            // The token's; Slack itself knows nothing of IAM.
            Self::PostToSlack { .. } => "ssm:GetParameter",
        }
    }
}

impl Deed for Notice {
    fn name(&self) -> &'static str {
        match self {
            Self::StartRotation { .. } => "StartRotation",
            Self::StartIncident { .. } => "StartIncident",
            Self::OpenOpsItem => "OpenOpsItem",
            Self::UpdateFinding(_) => "UpdateFinding",
            Self::PublishAlert { .. } => "PublishAlert",
            Self::PostToSlack { .. } => "PostToSlack",
        }
    }

    fn target(&self) -> String {
        match self {
            Self::StartRotation { document, .. } => document.clone(),
            Self::StartIncident { response_plan } => response_plan.clone(),
            Self::OpenOpsItem => "ops-center".to_owned(),
            Self::UpdateFinding(finding) => finding.id.clone(),
            Self::PublishAlert { topic } => topic.clone(),
            Self::PostToSlack { channel } => channel.clone(),
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        self == other
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartRotation { document, user } => write!(f, "start runbook {document} for user {user}"),
            Self::StartIncident { response_plan } => write!(f, "start an incident with {response_plan}"),
            Self::OpenOpsItem => write!(f, "open an OpsItem in OpsCenter"),
            Self::UpdateFinding(finding) => write!(f, "update finding {} in Security Hub", finding.id),
            Self::PublishAlert { topic } => write!(f, "publish an alert to {topic}"),
            Self::PostToSlack { channel } => write!(f, "post the alert to Slack's channel {channel}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::parsed;

    #[test]
    fn a_note_says_which_version_of_the_finding_it_answers() {
        let mut finding = HubReference {
            id: "f".to_owned(),
            product_arn: "p".to_owned(),
            region: parsed("us-east-1"),
            updated_at: Some("2026-01-02T03:04:05.678Z".to_owned()),
        };
        let note = note_on(&finding, &"x".repeat(600));
        assert_eq!(note.len(), LONGEST_NOTE);
        assert_eq!(answered_version(&note).unwrap().to_string(), "2026-01-02T03:04:05.678Z");
        finding.updated_at = None;
        assert_eq!(answered_version(&note_on(&finding, "contained (by us)")), None);
    }
}
