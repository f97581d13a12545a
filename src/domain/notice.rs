//! Whom and what else to tell of a response, one variant each: words, and the permission.

use std::fmt;

use crate::finding::HubReference;
use crate::ids::PrincipalName;
use crate::outcome::Deed;

/// The signature under everything we write to a finding; what bears it is not news to us.
pub const UPDATED_BY: &str = "iam-responder";

#[derive(Debug, Clone, PartialEq)]
pub enum Notice {
    StartRotation { document: String, user: PrincipalName },
    StartIncident { response_plan: String },
    OpenOpsItem,
    UpdateFinding(HubReference),
    PublishAlert { topic: String },
}

/// What becomes of a Security Hub finding's workflow status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workflow {
    Notified,
    Resolved,
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
        }
    }

    fn target(&self) -> String {
        match self {
            Self::StartRotation { document, .. } => document.clone(),
            Self::StartIncident { response_plan } => response_plan.clone(),
            Self::OpenOpsItem => "ops-center".to_owned(),
            Self::UpdateFinding(finding) => finding.id.clone(),
            Self::PublishAlert { topic } => topic.clone(),
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
        }
    }
}
