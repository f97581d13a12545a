//! Every call that the code makes, by what it is for.

use aws_smithy_types::DateTime;
use clients::iam::{observe, resolve};
use domain::change::Change;
use domain::finding::HubReference;
use domain::identity::{CredentialKind, IdentityKind};
use domain::ids::{AccessKeyId, Parse, PrincipalName, Region};
use domain::notice::Notice;

/// One of each change. The match makes a new variant fail to compile here until it is added.
pub(crate) fn changes() -> Vec<Change> {
    let name = || PrincipalName::parse("alice").unwrap();
    let text = String::new;
    let tag = |kind| Change::Tag { kind, name: name(), tags: Vec::new() };
    let credential = |kind| Change::DeactivateCredential { user: name(), kind, id: text() };
    let lift = |kind| Change::LiftDenyAll { kind, name: name(), policy: text() };
    let untag = |kind| Change::Untag { kind, name: name(), keys: Vec::new() };
    let all = vec![
        Change::AttachDenyAll { user: name(), policy: text() },
        Change::SetDenyAllBoundary { user: name(), policy: text() },
        Change::DeactivateAccessKey { user: name(), key: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap() },
        credential(CredentialKind::ServiceSpecific),
        credential(CredentialKind::SshKey),
        credential(CredentialKind::SigningCertificate),
        Change::DeleteLoginProfile { user: name() },
        Change::AttachDenyAllToRole { role: name(), policy: text() },
        Change::DetachPolicy { user: name(), policy: text() },
        Change::LeaveGroup { user: name(), group: text() },
        Change::RevokeSessions { role: name(), issued_before: DateTime::from_secs(0) },
        tag(IdentityKind::User),
        tag(IdentityKind::Role),
        Change::AttachPolicy { user: name(), policy: text() },
        Change::JoinGroup { user: name(), group: text() },
        Change::RestoreBoundary { user: name(), policy: Some(text()) },
        Change::RestoreBoundary { user: name(), policy: None },
        lift(IdentityKind::User),
        lift(IdentityKind::Role),
        Change::HoldConsole { user: name(), policy: text() },
        Change::LiftConsoleHold { user: name(), policy: text() },
        Change::LiftRevocation { role: name() },
        untag(IdentityKind::User),
        untag(IdentityKind::Role),
    ];
    for change in &all {
        match change {
            Change::AttachDenyAll { .. }
            | Change::SetDenyAllBoundary { .. }
            | Change::DeactivateAccessKey { .. }
            | Change::DeactivateCredential { .. }
            | Change::DeleteLoginProfile { .. }
            | Change::AttachDenyAllToRole { .. }
            | Change::DetachPolicy { .. }
            | Change::LeaveGroup { .. }
            | Change::RevokeSessions { .. }
            | Change::Tag { .. }
            | Change::AttachPolicy { .. }
            | Change::JoinGroup { .. }
            | Change::RestoreBoundary { .. }
            | Change::LiftDenyAll { .. }
            | Change::HoldConsole { .. }
            | Change::LiftConsoleHold { .. }
            | Change::LiftRevocation { .. }
            | Change::Untag { .. } => {}
        }
    }
    all
}

/// The same for notices.
pub(crate) fn notices() -> Vec<Notice> {
    let text = String::new;
    let region = Region::parse("us-east-1").unwrap();
    let all = vec![
        Notice::StartRotation { document: text(), user: PrincipalName::parse("alice").unwrap() },
        Notice::StartIncident { response_plan: text() },
        Notice::OpenOpsItem,
        Notice::UpdateFinding(HubReference { id: text(), product_arn: text(), region, updated_at: None }),
        Notice::PublishAlert { topic: text() },
        Notice::PostToSlack { channel: text() },
    ];
    for notice in &all {
        match notice {
            Notice::StartRotation { .. }
            | Notice::StartIncident { .. }
            | Notice::OpenOpsItem
            | Notice::UpdateFinding(_)
            | Notice::PublishAlert { .. }
            | Notice::PostToSlack { .. } => {}
        }
    }
    all
}

/// The runbook is started in the member account, everybody else is told from home.
pub(crate) fn is_home(notice: &&Notice) -> bool {
    !matches!(notice, Notice::StartRotation { .. })
}

/// What only a restore does.
pub(crate) fn gives_back(change: &Change) -> bool {
    matches!(
        change,
        Change::AttachPolicy { .. }
            | Change::JoinGroup { .. }
            | Change::RestoreBoundary { .. }
            | Change::LiftDenyAll { .. }
            | Change::LiftConsoleHold { .. }
            | Change::LiftRevocation { .. }
            | Change::Untag { .. }
    )
}

/// What both roles read.
pub(crate) fn reads() -> Vec<&'static str> {
    let observe = [observe::USER_PERMISSIONS, observe::USER_CONTENTS_PERMISSIONS, observe::ROLE_PERMISSIONS];
    [observe.concat(), observe::CONTENTS_PERMISSIONS.to_vec(), resolve::PERMISSIONS.to_vec()].concat()
}
