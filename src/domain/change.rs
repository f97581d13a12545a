//! Everything that can be done to an identity, one variant each: words and the IAM permission. What a person types for it,
//! and the way back, is in `cli.rs`.
//!
//! The list is closed and every match is exhaustive: a new change is one variant, and the compiler
//! lists what else to write. A plan is a value that one can print, compare, apply and undo.

use std::fmt;

use aws_smithy_types::DateTime;

use crate::identity::{CredentialKind, IdentityKind};
use crate::ids::{AccessKeyId, Arn, PrincipalName};
use crate::outcome::Deed;

/// The inline policy's name is AWS's own, the one its console writes for "Revoke active sessions".
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html>
pub const REVOCATION_POLICY: &str = "AWSRevokeOlderSessions";

/// The policy that `member-role.yaml` makes in every account: whoever signed in without MFA can do nothing but set it up.
/// Who may attach it can't edit it.
pub const CONSOLE_HOLD: &str = "SecurityRequireMfa";

/// The ARN of that policy in the account of the identity with this ARN.
pub fn console_hold(identity_arn: &str) -> Option<String> {
    Arn::parse(identity_arn).map(|it| format!("arn:{}:iam::{}:policy/{CONSOLE_HOLD}", it.partition, it.account))
}

/// The tags that say what happened to an identity.
pub const INCIDENT_TAG: &str = "SecurityIncident";
pub const DATE_TAG: &str = "RemediationDate";
pub const FINDING_TAG: &str = "FindingId";
/// The two values of the incident's tag: the marks that the restore role asks for.
pub const QUARANTINED: &str = "AutomatedSecurityQuarantine";
pub const REMEDIATED: &str = "AutoRemediated";
pub const OUR_TAGS: &[&str] = &[INCIDENT_TAG, DATE_TAG, FINDING_TAG];

/// Whether a response writes over this tag. IAM keeps a key's case and compares without it.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_tags.html#id_tags_rules>
pub fn is_our_tag(key: &str) -> bool {
    OUR_TAGS.iter().any(|it| it.eq_ignore_ascii_case(key))
}

#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    AttachDenyAll {
        user: PrincipalName,
        policy: String,
    },
    /// Where no managed policy can be attached any more: the boundary is a slot of its own.
    SetDenyAllBoundary {
        user: PrincipalName,
        policy: String,
    },
    /// Denies what is done in a session that was begun without MFA, which is one of the console: access keys work on.
    HoldConsole {
        user: PrincipalName,
        policy: String,
    },
    DeactivateAccessKey {
        user: PrincipalName,
        key: AccessKeyId,
    },
    /// A credential that is no access key: Bedrock and CodeCommit keys, SSH keys, certificates.
    DeactivateCredential {
        user: PrincipalName,
        kind: CredentialKind,
        id: String,
    },
    /// A password can't be restored; only where the settings ask for it.
    DeleteLoginProfile {
        user: PrincipalName,
    },
    DetachPolicy {
        user: PrincipalName,
        policy: String,
    },
    LeaveGroup {
        user: PrincipalName,
        group: String,
    },
    RevokeSessions {
        role: PrincipalName,
        issued_before: DateTime,
    },
    /// Denies a role everything, new sessions included; only where the settings ask for it.
    AttachDenyAllToRole {
        role: PrincipalName,
        policy: String,
    },
    Tag {
        kind: IdentityKind,
        name: PrincipalName,
        tags: Vec<(String, String)>,
    },
    /// From here on to `Untag`: what a restore does.
    AttachPolicy {
        user: PrincipalName,
        policy: String,
    },
    JoinGroup {
        user: PrincipalName,
        group: String,
    },
    /// The former one, or none.
    RestoreBoundary {
        user: PrincipalName,
        policy: Option<String>,
    },
    LiftDenyAll {
        kind: IdentityKind,
        name: PrincipalName,
        policy: String,
    },
    LiftConsoleHold {
        user: PrincipalName,
        policy: String,
    },
    LiftRevocation {
        role: PrincipalName,
    },
    Untag {
        kind: IdentityKind,
        name: PrincipalName,
        keys: Vec<String>,
    },
}

impl Change {
    /// How the ledger remembers that it was meant to be done; of a revocation up to when, which is the last word.
    pub fn words_of_record(&self) -> String {
        match self {
            Self::RevokeSessions { issued_before, .. } => {
                format!("{} {} {issued_before}", self.name(), self.target())
            }
            _ => format!("{} {}", self.name(), self.target()),
        }
    }

    /// What the role that does it must be allowed to do. `template.yaml` and `member-role.yaml` are
    /// compared with this by a test, both ways.
    pub fn permission(&self) -> &'static str {
        match self {
            Self::AttachDenyAll { .. } | Self::HoldConsole { .. } => "iam:AttachUserPolicy",
            Self::SetDenyAllBoundary { .. } => "iam:PutUserPermissionsBoundary",
            Self::DeactivateAccessKey { .. } => "iam:UpdateAccessKey",
            Self::DeactivateCredential { kind: CredentialKind::ServiceSpecific, .. } => {
                "iam:UpdateServiceSpecificCredential"
            }
            Self::DeactivateCredential { kind: CredentialKind::SshKey, .. } => "iam:UpdateSSHPublicKey",
            Self::DeactivateCredential { kind: CredentialKind::SigningCertificate, .. } => {
                "iam:UpdateSigningCertificate"
            }
            Self::DeleteLoginProfile { .. } => "iam:DeleteLoginProfile",
            Self::DetachPolicy { .. } => "iam:DetachUserPolicy",
            Self::LeaveGroup { .. } => "iam:RemoveUserFromGroup",
            Self::RevokeSessions { .. } => "iam:PutRolePolicy",
            Self::AttachDenyAllToRole { .. } => "iam:AttachRolePolicy",
            Self::Tag { kind: IdentityKind::User, .. } => "iam:TagUser",
            Self::Tag { kind: IdentityKind::Role, .. } => "iam:TagRole",
            Self::AttachPolicy { .. } => "iam:AttachUserPolicy",
            Self::JoinGroup { .. } => "iam:AddUserToGroup",
            Self::RestoreBoundary { policy: Some(_), .. } => "iam:PutUserPermissionsBoundary",
            Self::RestoreBoundary { policy: None, .. } => "iam:DeleteUserPermissionsBoundary",
            Self::LiftDenyAll { kind: IdentityKind::User, .. } | Self::LiftConsoleHold { .. } => "iam:DetachUserPolicy",
            Self::LiftDenyAll { kind: IdentityKind::Role, .. } => "iam:DetachRolePolicy",
            Self::LiftRevocation { .. } => "iam:DeleteRolePolicy",
            Self::Untag { kind: IdentityKind::User, .. } => "iam:UntagUser",
            Self::Untag { kind: IdentityKind::Role, .. } => "iam:UntagRole",
        }
    }

    /// Whether it only adds to what holds the identity back, and describes itself: all else needs the
    /// snapshot in the ledger first.
    pub fn is_additive(&self) -> bool {
        !matches!(self, Self::DetachPolicy { .. } | Self::LeaveGroup { .. } | Self::DeleteLoginProfile { .. })
    }

    /// What is done where IAM has no room for it: a restore must know that it may be ours.
    pub fn stand_in(&self) -> Option<Self> {
        match self {
            Self::AttachDenyAll { user, policy } => {
                Some(Self::SetDenyAllBoundary { user: user.clone(), policy: policy.clone() })
            }
            _ => None,
        }
    }

    /// Whether the identity is freer with it: what a restore does last.
    pub fn frees(&self) -> bool {
        matches!(
            self,
            Self::RestoreBoundary { .. }
                | Self::LiftDenyAll { .. }
                | Self::LiftConsoleHold { .. }
                | Self::LiftRevocation { .. }
        )
    }

    /// The IAM operations that hold an identity back at once: those of every change that only adds.
    pub const BARRIERS: &[&str] = &[
        "AttachUserPolicy",
        "AttachRolePolicy",
        "PutUserPermissionsBoundary",
        "PutRolePolicy",
        "UpdateAccessKey",
        "UpdateServiceSpecificCredential",
        "UpdateSSHPublicKey",
        "UpdateSigningCertificate",
    ];

    /// Whether the identity is freer without it. Tags hold nobody back.
    pub fn contains(&self) -> bool {
        match self {
            Self::AttachDenyAll { .. }
            | Self::SetDenyAllBoundary { .. }
            | Self::HoldConsole { .. }
            | Self::DeactivateAccessKey { .. }
            | Self::DeactivateCredential { .. }
            | Self::DeleteLoginProfile { .. }
            | Self::DetachPolicy { .. }
            | Self::LeaveGroup { .. }
            | Self::RevokeSessions { .. }
            | Self::AttachDenyAllToRole { .. } => true,
            Self::Tag { .. }
            | Self::AttachPolicy { .. }
            | Self::JoinGroup { .. }
            | Self::RestoreBoundary { .. }
            | Self::LiftDenyAll { .. }
            | Self::LiftConsoleHold { .. }
            | Self::LiftRevocation { .. }
            | Self::Untag { .. } => false,
        }
    }
}

impl Deed for Change {
    fn name(&self) -> &'static str {
        match self {
            Self::AttachDenyAll { .. } => "AttachDenyAll",
            Self::SetDenyAllBoundary { .. } => "SetDenyAllBoundary",
            Self::HoldConsole { .. } => "HoldConsole",
            Self::DeactivateAccessKey { .. } => "DeactivateAccessKey",
            Self::DeactivateCredential { .. } => "DeactivateCredential",
            Self::DeleteLoginProfile { .. } => "DeleteLoginProfile",
            Self::DetachPolicy { .. } => "DetachPolicy",
            Self::LeaveGroup { .. } => "LeaveGroup",
            Self::RevokeSessions { .. } => "RevokeSessions",
            Self::AttachDenyAllToRole { .. } => "AttachDenyAllToRole",
            Self::Tag { .. } => "Tag",
            Self::AttachPolicy { .. } => "AttachPolicy",
            Self::JoinGroup { .. } => "JoinGroup",
            Self::RestoreBoundary { .. } => "RestoreBoundary",
            Self::LiftDenyAll { .. } => "LiftDenyAll",
            Self::LiftConsoleHold { .. } => "LiftConsoleHold",
            Self::LiftRevocation { .. } => "LiftRevocation",
            Self::Untag { .. } => "Untag",
        }
    }

    fn target(&self) -> String {
        match self {
            Self::AttachDenyAll { user, .. } | Self::SetDenyAllBoundary { user, .. } => format!("user/{user}"),
            Self::DeactivateAccessKey { key, .. } => key.to_string(),
            Self::DeactivateCredential { id, .. } => id.clone(),
            Self::DeleteLoginProfile { user } => format!("user/{user}"),
            Self::RestoreBoundary { user, .. }
            | Self::HoldConsole { user, .. }
            | Self::LiftConsoleHold { user, .. } => format!("user/{user}"),
            Self::DetachPolicy { policy, .. } | Self::AttachPolicy { policy, .. } => policy.clone(),
            Self::LeaveGroup { group, .. } | Self::JoinGroup { group, .. } => format!("group/{group}"),
            Self::RevokeSessions { role, .. } | Self::AttachDenyAllToRole { role, .. } => format!("role/{role}"),
            Self::LiftRevocation { role } => format!("role/{role}"),
            Self::Tag { kind, name, .. } | Self::Untag { kind, name, .. } | Self::LiftDenyAll { kind, name, .. } => {
                format!("{}/{name}", kind.word())
            }
        }
    }

    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::RevokeSessions { role: a, .. }, Self::RevokeSessions { role: b, .. }) => a == b,
            (Self::Tag { kind: k, name: a, .. }, Self::Tag { kind: l, name: b, .. }) => k == l && a == b,
            (a, b) => a == b,
        }
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AttachDenyAll { user, policy } | Self::HoldConsole { user, policy } => {
                write!(f, "attach {policy} to user {user}")
            }
            Self::SetDenyAllBoundary { user, policy } => {
                write!(f, "set {policy} as the permissions boundary of user {user}")
            }
            Self::DeactivateAccessKey { user, key } => write!(f, "deactivate access key {key} of user {user}"),
            Self::DeactivateCredential { user, kind, id } => {
                write!(f, "deactivate {} {id} of user {user}", kind.word())
            }
            Self::DeleteLoginProfile { user } => write!(f, "delete the console password of user {user}"),
            Self::AttachDenyAllToRole { role, policy } => write!(f, "attach {policy} to role {role}"),
            Self::DetachPolicy { user, policy } => write!(f, "detach policy {policy} from user {user}"),
            Self::LeaveGroup { user, group } => write!(f, "remove user {user} from group {group}"),
            Self::RevokeSessions { role, issued_before } => {
                write!(f, "revoke the sessions of role {role} issued before {issued_before}")
            }
            Self::Tag { kind, name, tags } => {
                let keys: Vec<_> = tags.iter().map(|(key, _)| key.as_str()).collect();
                write!(f, "tag {} {name} with {}", kind.word(), keys.join(", "))
            }
            Self::AttachPolicy { user, policy } => write!(f, "attach policy {policy} to user {user}"),
            Self::JoinGroup { user, group } => write!(f, "add user {user} to group {group}"),
            Self::RestoreBoundary { user, policy: Some(policy) } => {
                write!(f, "set the former permissions boundary {policy} of user {user}")
            }
            Self::RestoreBoundary { user, policy: None } => write!(f, "remove the permissions boundary of user {user}"),
            Self::LiftDenyAll { kind, name, policy } => write!(f, "detach {policy} from {} {name}", kind.word()),
            Self::LiftConsoleHold { user, policy } => write!(f, "detach {policy} from user {user}"),
            Self::LiftRevocation { role } => write!(f, "remove {REVOCATION_POLICY} from role {role}"),
            Self::Untag { kind, name, keys } => {
                write!(f, "remove the tags {} from {} {name}", keys.join(", "), kind.word())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::parsed;

    /// What is counted as the way to the first barrier must know every barrier.
    #[test]
    fn the_barriers_are_the_operations_of_what_only_adds() {
        let (user, role, policy) = (parsed::<PrincipalName>("alice"), parsed::<PrincipalName>("app"), String::new);
        let credential = |kind| Change::DeactivateCredential { user: user.clone(), kind, id: String::new() };
        let adding = [
            Change::AttachDenyAll { user: user.clone(), policy: policy() },
            Change::AttachDenyAllToRole { role: role.clone(), policy: policy() },
            Change::SetDenyAllBoundary { user: user.clone(), policy: policy() },
            Change::RevokeSessions { role, issued_before: DateTime::from_secs(0) },
            Change::DeactivateAccessKey { user: user.clone(), key: parsed("AKIAIOSFODNN7EXAMPLE") },
            credential(CredentialKind::ServiceSpecific),
            credential(CredentialKind::SshKey),
            credential(CredentialKind::SigningCertificate),
        ];
        assert!(adding.iter().all(|it| it.contains() && it.is_additive()));
        let operations: Vec<_> = adding.iter().map(|it| it.permission().trim_start_matches("iam:")).collect();
        assert_eq!(operations, Change::BARRIERS);
    }
}
