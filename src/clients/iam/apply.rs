//! The only writer: a change becomes one AWS call, and its answer an outcome.
//!
//! "Already so" is success. Every call names its user: IAM acts on the caller when the name is left
//! out.

use aws_sdk_iam::operation::RequestId;
use aws_sdk_iam::types::{StatusType, Tag};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use domain::change::{Change, INCIDENT_TAG, REVOCATION_POLICY};
use domain::identity::{CredentialKind, IdentityKind};
use domain::ids::PrincipalName;
use domain::outcome::Outcome;
use domain::policy_document::revocation;

use super::IamWrite;
use crate::errors::{self, failure, retry_conflicts};

/// Applies one change to an identity.
pub async fn apply(iam: &IamWrite, change: &Change) -> Outcome {
    match change {
        Change::AttachDenyAll { user, policy } | Change::HoldConsole { user, policy } => {
            done(retry_conflicts(|| iam.attach_user_policy().user_name(user.as_str()).policy_arn(policy).send()).await)
        }
        Change::SetDenyAllBoundary { user, policy } => done(
            retry_conflicts(|| {
                iam.put_user_permissions_boundary().user_name(user.as_str()).permissions_boundary(policy).send()
            })
            .await,
        ),
        Change::DeactivateAccessKey { user, key } => gone_is_done(
            retry_conflicts(|| {
                let request = iam.update_access_key().user_name(user.as_str()).access_key_id(key.as_str());
                request.status(StatusType::Inactive).send()
            })
            .await,
        ),
        Change::DetachPolicy { user, policy } => gone_is_done(
            retry_conflicts(|| iam.detach_user_policy().user_name(user.as_str()).policy_arn(policy).send()).await,
        ),
        Change::LeaveGroup { user, group } => gone_is_done(
            retry_conflicts(|| iam.remove_user_from_group().user_name(user.as_str()).group_name(group).send()).await,
        ),
        Change::DeactivateCredential { user, kind, id } => {
            let status = StatusType::Inactive;
            match kind {
                CredentialKind::ServiceSpecific => gone_is_done(
                    retry_conflicts(|| {
                        let request = iam.update_service_specific_credential().user_name(user.as_str());
                        request.service_specific_credential_id(id).status(status.clone()).send()
                    })
                    .await,
                ),
                CredentialKind::SshKey => gone_is_done(
                    retry_conflicts(|| {
                        let request = iam.update_ssh_public_key().user_name(user.as_str());
                        request.ssh_public_key_id(id).status(status.clone()).send()
                    })
                    .await,
                ),
                CredentialKind::SigningCertificate => gone_is_done(
                    retry_conflicts(|| {
                        let request = iam.update_signing_certificate().user_name(user.as_str());
                        request.certificate_id(id).status(status.clone()).send()
                    })
                    .await,
                ),
            }
        }
        Change::DeleteLoginProfile { user } => {
            gone_is_done(retry_conflicts(|| iam.delete_login_profile().user_name(user.as_str()).send()).await)
        }
        Change::AttachDenyAllToRole { role, policy } => {
            done(retry_conflicts(|| iam.attach_role_policy().role_name(role.as_str()).policy_arn(policy).send()).await)
        }
        Change::RevokeSessions { role, issued_before } => {
            let document = revocation(issued_before);
            let put = || {
                let request = iam.put_role_policy().role_name(role.as_str()).policy_name(REVOCATION_POLICY);
                request.policy_document(&document).send()
            };
            done(retry_conflicts(put).await)
        }
        Change::Tag { kind, name, tags } => tag(iam, *kind, name, tags).await,
        Change::AttachPolicy { user, policy } => {
            done(retry_conflicts(|| iam.attach_user_policy().user_name(user.as_str()).policy_arn(policy).send()).await)
        }
        Change::JoinGroup { user, group } => {
            done(retry_conflicts(|| iam.add_user_to_group().user_name(user.as_str()).group_name(group).send()).await)
        }
        Change::RestoreBoundary { user, policy: Some(policy) } => done(
            retry_conflicts(|| {
                iam.put_user_permissions_boundary().user_name(user.as_str()).permissions_boundary(policy).send()
            })
            .await,
        ),
        Change::RestoreBoundary { user, policy: None } => gone_is_done(
            retry_conflicts(|| iam.delete_user_permissions_boundary().user_name(user.as_str()).send()).await,
        ),
        Change::LiftDenyAll { kind: IdentityKind::User, name, policy } => gone_is_done(
            retry_conflicts(|| iam.detach_user_policy().user_name(name.as_str()).policy_arn(policy).send()).await,
        ),
        Change::LiftDenyAll { kind: IdentityKind::Role, name, policy } => gone_is_done(
            retry_conflicts(|| iam.detach_role_policy().role_name(name.as_str()).policy_arn(policy).send()).await,
        ),
        Change::LiftConsoleHold { user, policy } => gone_is_done(
            retry_conflicts(|| iam.detach_user_policy().user_name(user.as_str()).policy_arn(policy).send()).await,
        ),
        Change::LiftRevocation { role } => gone_is_done(
            retry_conflicts(|| iam.delete_role_policy().role_name(role.as_str()).policy_name(REVOCATION_POLICY).send())
                .await,
        ),
        Change::Untag { kind: IdentityKind::User, name, keys } => done(
            retry_conflicts(|| iam.untag_user().user_name(name.as_str()).set_tag_keys(Some(keys.clone())).send()).await,
        ),
        Change::Untag { kind: IdentityKind::Role, name, keys } => done(
            retry_conflicts(|| iam.untag_role().role_name(name.as_str()).set_tag_keys(Some(keys.clone())).send()).await,
        ),
    }
}

fn done<T: RequestId, E: ProvideErrorMetadata>(result: Result<T, SdkError<E, HttpResponse>>) -> Outcome {
    match result {
        Ok(output) => Outcome::Applied { detail: format!("request {}", output.request_id().unwrap_or("unknown")) },
        Err(error) => Outcome::Failed(failure(&error)),
    }
}

/// For what takes something away: when it is gone, it is gone. That the identity itself is still
/// the same one is checked by the next read.
fn gone_is_done<T: RequestId, E: ProvideErrorMetadata>(result: Result<T, SdkError<E, HttpResponse>>) -> Outcome {
    match result {
        Err(error) if errors::is(&error, "NoSuchEntity") => Outcome::AlreadyDone { detail: "it is gone".to_owned() },
        other => done(other),
    }
}

/// With all of ours, or where fifty leave no room for them, with the mark alone: the restore role asks for it. That
/// there is no room for that either is a note, and no failure to contain.
async fn tag(iam: &IamWrite, kind: IdentityKind, name: &PrincipalName, tags: &[(String, String)]) -> Outcome {
    match send_tags(iam, kind, name, tags).await {
        Outcome::Failed(failure) if failure.is_quota() => {
            let mark: Vec<_> = tags.iter().filter(|(key, _)| key == INCIDENT_TAG).cloned().collect();
            match send_tags(iam, kind, name, &mark).await {
                Outcome::Applied { detail } => Outcome::Applied { detail: format!("{INCIDENT_TAG} alone, {detail}") },
                Outcome::Failed(second) if second.is_quota() => Outcome::Skipped { reason: failure.to_string() },
                other => other,
            }
        }
        other => other,
    }
}

async fn send_tags(iam: &IamWrite, kind: IdentityKind, name: &PrincipalName, tags: &[(String, String)]) -> Outcome {
    let tags = tags.iter().map(|(key, value)| Tag::builder().key(key).value(value).build());
    let Ok(tags) = tags.collect::<Result<Vec<_>, _>>() else {
        return Outcome::Skipped { reason: "a tag could not be built".to_owned() };
    };
    let name = name.as_str();
    match kind {
        IdentityKind::User => {
            done(retry_conflicts(|| iam.tag_user().user_name(name).set_tags(Some(tags.clone())).send()).await)
        }
        IdentityKind::Role => {
            done(retry_conflicts(|| iam.tag_role().role_name(name).set_tags(Some(tags.clone())).send()).await)
        }
    }
}
