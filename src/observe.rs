//! The reads: the state that an identity is in. Changes nothing.

use aws_sdk_iam::Client;
use aws_sdk_iam::types::StatusType;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::Value;

use crate::action::REVOCATION_POLICY;
use crate::aws_error::{self, failure};
use crate::finding::{AccessKeyId, Parse, PrincipalName};
use crate::identity::{AccessKey, Identity, IdentityKind, NOT_READ, Observed, Profile, Read, Unreadable};

mod credentials;
mod denies;

/// Every IAM action that reading a state needs.
pub const PERMISSIONS: &[&str] = &[
    "iam:GetLoginProfile",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:ListAttachedRolePolicies",
    "iam:ListAttachedUserPolicies",
    "iam:ListGroupsForUser",
    "iam:ListMFADevices",
    "iam:ListRolePolicies",
    "iam:ListSSHPublicKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
    "iam:ListUserPolicies",
];

/// On top of them, for what takes policies and groups away.
pub const DENIES_PERMISSIONS: &[&str] = &[
    "iam:GetGroupPolicy",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:ListAttachedGroupPolicies",
    "iam:ListGroupPolicies",
];

pub(crate) fn not_yet(what: &'static str) -> Unreadable {
    Unreadable { what, why: NOT_READ.to_owned(), retryable: true, is_gone: false }
}

pub(crate) fn nothing_read() -> Observed {
    Observed {
        profile: Err(not_yet("profile")),
        keys: Err(not_yet("access keys")),
        credentials: Err(not_yet("other credentials")),
        login: Err(not_yet("console password")),
        mfa_devices: Err(not_yet("MFA devices")),
        attached: Err(not_yet("attached policies")),
        inline: Err(not_yet("inline policies")),
        groups: Err(not_yet("groups")),
        denying: Err(not_yet("policy documents")),
        revoked_before: Err(not_yet("session revocation")),
    }
}

pub(crate) fn user_profile(user: &aws_sdk_iam::types::User) -> Profile {
    let boundary = user.permissions_boundary().and_then(|it| it.permissions_boundary_arn()).map(str::to_owned);
    Profile { boundary, tags: tags(user.tags()) }
}

pub(crate) fn role_profile(role: &aws_sdk_iam::types::Role) -> Profile {
    let boundary = role.permissions_boundary().and_then(|it| it.permissions_boundary_arn()).map(str::to_owned);
    Profile { boundary, tags: tags(role.tags()) }
}

fn tags(tags: &[aws_sdk_iam::types::Tag]) -> Vec<(String, String)> {
    tags.iter().map(|it| (it.key().to_owned(), it.value().to_owned())).collect()
}

/// The whole state, read in parallel, of the identity and of no namesake that took its place.
pub async fn observe(iam: &Client, identity: &Identity, with_denies: bool) -> Observed {
    let name = &identity.name;
    match identity.kind {
        IdentityKind::User => {
            let (profile, keys, attached, inline, groups, credentials, login, mfa_devices) = tokio::join!(
                same_user(iam, identity),
                access_keys(iam, name),
                attached_user_policies(iam, name),
                inline_user_policies(iam, name),
                groups(iam, name),
                credentials::other(iam, name),
                credentials::login(iam, name),
                credentials::mfa_devices(iam, name)
            );
            let denying = if with_denies { denies::among(iam, &attached, &groups).await } else { Ok(Vec::new()) };
            let revoked_before = Ok(None);
            Observed {
                profile,
                keys,
                credentials,
                login,
                mfa_devices,
                attached,
                inline,
                groups,
                denying,
                revoked_before,
            }
        }
        IdentityKind::Role => {
            let (profile, attached, inline, revoked_before) = tokio::join!(
                same_role(iam, identity),
                attached_role_policies(iam, name),
                inline_role_policies(iam, name),
                revoked_before(iam, name)
            );
            Observed { profile, attached, inline, revoked_before, ..nothing_of_a_user() }
        }
    }
}

/// The light pass: only what holds the identity back, and its keys.
pub async fn barriers(iam: &Client, identity: &Identity) -> Observed {
    let name = &identity.name;
    match identity.kind {
        IdentityKind::User => {
            let (profile, keys, attached) =
                tokio::join!(same_user(iam, identity), access_keys(iam, name), attached_user_policies(iam, name));
            Observed { profile, keys, attached, ..nothing_read() }
        }
        IdentityKind::Role => {
            let (profile, attached, revoked_before) =
                tokio::join!(same_role(iam, identity), attached_role_policies(iam, name), revoked_before(iam, name));
            Observed { profile, attached, revoked_before, ..nothing_read() }
        }
    }
}

fn nothing_of_a_user() -> Observed {
    Observed {
        keys: Ok(Vec::new()),
        credentials: Ok(Vec::new()),
        login: Ok(false),
        mfa_devices: Ok(Vec::new()),
        groups: Ok(Vec::new()),
        denying: Ok(Vec::new()),
        ..nothing_read()
    }
}

fn unreadable<E: ProvideErrorMetadata>(what: &'static str) -> impl Fn(SdkError<E, HttpResponse>) -> Unreadable {
    move |error| {
        let failure = failure(&error);
        Unreadable {
            what,
            why: failure.to_string(),
            retryable: failure.retryable,
            is_gone: failure.code == "NoSuchEntity",
        }
    }
}

fn replaced(identity: &Identity) -> Unreadable {
    let why = format!("the name `{}` belongs to another unique ID than {} now", identity.name, identity.id);
    Unreadable { what: "profile", why, retryable: true, is_gone: true }
}

async fn same_user(iam: &Client, identity: &Identity) -> Read<Profile> {
    let output = iam.get_user().user_name(identity.name.as_str()).send().await.map_err(unreadable("profile"))?;
    match output.user() {
        Some(user) if user.user_id() == identity.id.as_str() => Ok(user_profile(user)),
        _ => Err(replaced(identity)),
    }
}

async fn same_role(iam: &Client, identity: &Identity) -> Read<Profile> {
    let output = iam.get_role().role_name(identity.name.as_str()).send().await.map_err(unreadable("profile"))?;
    match output.role() {
        Some(role) if role.role_id() == identity.id.as_str() => Ok(role_profile(role)),
        _ => Err(replaced(identity)),
    }
}

pub(crate) async fn access_keys(iam: &Client, user: &PrincipalName) -> Read<Vec<AccessKey>> {
    let mut found = Vec::new();
    let mut items = iam.list_access_keys().user_name(user.as_str()).into_paginator().items().send();
    while let Some(key) = items.next().await {
        let key = key.map_err(unreadable("access keys"))?;
        let id = AccessKeyId::parse(key.access_key_id().unwrap_or_default());
        let odd = |_| Unreadable {
            what: "access keys",
            why: "ListAccessKeys gave an odd ID".to_owned(),
            retryable: true,
            is_gone: false,
        };
        // Whatever is not inactive may work.
        found.push(AccessKey { id: id.map_err(odd)?, active: key.status() != Some(&StatusType::Inactive) });
    }
    Ok(found)
}

pub(crate) async fn attached_user_policies(iam: &Client, user: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_attached_user_policies().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable("attached policies"))?;
        found.extend(page.attached_policies().iter().filter_map(|it| it.policy_arn()).map(str::to_owned));
    }
    Ok(found)
}

async fn attached_role_policies(iam: &Client, role: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_attached_role_policies().role_name(role.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable("attached policies"))?;
        found.extend(page.attached_policies().iter().filter_map(|it| it.policy_arn()).map(str::to_owned));
    }
    Ok(found)
}

async fn inline_user_policies(iam: &Client, user: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_user_policies().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        found.extend(page.map_err(unreadable("inline policies"))?.policy_names);
    }
    Ok(found)
}

async fn inline_role_policies(iam: &Client, role: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_role_policies().role_name(role.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        found.extend(page.map_err(unreadable("inline policies"))?.policy_names);
    }
    Ok(found)
}

async fn groups(iam: &Client, user: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_groups_for_user().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        found.extend(page.map_err(unreadable("groups"))?.groups.into_iter().map(|it| it.group_name));
    }
    Ok(found)
}

/// Up to when the role's sessions are revoked; `None` when they are not.
pub(crate) async fn revoked_before(iam: &Client, role: &PrincipalName) -> Read<Option<DateTime>> {
    match iam.get_role_policy().role_name(role.as_str()).policy_name(REVOCATION_POLICY).send().await {
        Ok(output) => Ok(cutoff(output.policy_document())),
        Err(error) if aws_error::is(&error, "NoSuchEntity") => Ok(None),
        Err(error) => Err(unreadable("session revocation")(error)),
    }
}

/// The date of a policy that denies everything to older sessions; `None` for any other text, which
/// revokes nothing.
fn cutoff(document: &str) -> Option<DateTime> {
    let decoded = percent_encoding::percent_decode_str(document).decode_utf8().ok()?;
    let policy: Value = serde_json::from_str(&decoded).ok()?;
    let statement = match policy.get("Statement")? {
        Value::Array(statements) => statements.first()?,
        single => single,
    };
    let is_everything = |field: &str| match statement.get(field) {
        Some(Value::Array(it)) => it.iter().any(|it| it == "*"),
        Some(it) => it == "*",
        None => false,
    };
    if statement.get("Effect")? != "Deny" || !is_everything("Action") || !is_everything("Resource") {
        return None;
    }
    let conditions = statement.get("Condition")?.as_object().filter(|it| it.len() == 1)?;
    let date = conditions.get("DateLessThan")?.get("aws:TokenIssueTime")?.as_str()?;
    DateTime::from_str(date, Format::DateTimeWithOffset).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_revocation_counts() {
        let policy = |effect: &str, condition: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":["*"],"Resource":["*"],"Condition":{condition}}}]}}"#
            )
        };
        let date = r#"{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T06:00:00Z"}}"#;
        assert_eq!(cutoff(&policy("Deny", date)).unwrap().secs(), 1_795_240_800);
        assert_eq!(cutoff(&policy("Allow", date)), None);
        let weakened =
            r#"{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T06:00:00Z"},"Bool":{"aws:SecureTransport":"false"}}"#;
        assert_eq!(cutoff(&policy("Deny", weakened)), None);
        assert_eq!(cutoff("%7B%7D"), None);
    }
}
