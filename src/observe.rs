//! The reads: which identity a claim means, and the state it is in. Changes nothing.

use std::time::Duration;

use aws_sdk_iam::Client;
use aws_sdk_iam::types::StatusType;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use serde_json::Value;

use crate::action::{Failure, REVOCATION_POLICY};
use crate::aws_error::{self, failure, incomplete};
use crate::finding::{AccessKeyId, Finding, Parse, Principal, PrincipalName, Source, UniqueId};
use crate::guard::claimed_id;
use crate::identity::{AccessKey, Identity, IdentityKind, NOT_READ, Observed, Profile, Read, Unreadable};

mod credentials;
mod denies;

/// Every IAM action that reading needs.
pub const PERMISSIONS: &[&str] = &[
    "iam:GetAccessKeyLastUsed",
    "iam:GetGroupPolicy",
    "iam:GetLoginProfile",
    "iam:GetPolicy",
    "iam:GetPolicyVersion",
    "iam:GetRole",
    "iam:GetRolePolicy",
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:ListAttachedGroupPolicies",
    "iam:ListAttachedRolePolicies",
    "iam:ListAttachedUserPolicies",
    "iam:ListGroupPolicies",
    "iam:ListGroupsForUser",
    "iam:ListMFADevices",
    "iam:ListRolePolicies",
    "iam:ListRoles",
    "iam:ListSSHPublicKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
    "iam:ListUserPolicies",
    "iam:ListUsers",
];

/// A claim that leads to nobody whom we may contain, or could not be followed.
#[derive(Debug)]
pub enum Unresolved {
    /// There is no such identity, or not the one that is meant.
    Refused(String),
    Failed(Failure),
}

impl From<Failure> for Unresolved {
    fn from(it: Failure) -> Self {
        Self::Failed(it)
    }
}

/// The identity, and as much of its state as the strike needs.
pub struct Resolved {
    pub identity: Identity,
    pub observed: Observed,
}

/// Follows a claim to the identity with its immutable ID. Names are only where the search begins.
pub async fn resolve(iam: &Client, finding: &Finding) -> Result<Resolved, Unresolved> {
    match &finding.principal {
        Principal::User { name: Some(name), id } => user_by_name(iam, finding, name, id.as_ref()).await,
        Principal::User { name: None, id: Some(id) } => user_by_id(iam, id).await,
        Principal::Role { name: Some(name), .. } => role(iam, name).await,
        Principal::Role { name: None, id: Some(id), .. } => role_by_id(iam, id).await,
        Principal::KeyOwner => key_owner(iam, finding).await,
        Principal::User { name: None, id: None } | Principal::Role { name: None, id: None, .. } => {
            Err(Unresolved::Refused("the finding gives no name to look for".to_owned()))
        }
        Principal::Root => Err(Unresolved::Refused("root has no IAM identity".to_owned())),
        Principal::NotContainable { reason } => Err(Unresolved::Refused(reason.clone())),
    }
}

async fn user_by_name(
    iam: &Client,
    finding: &Finding,
    name: &PrincipalName,
    id: Option<&UniqueId>,
) -> Result<Resolved, Unresolved> {
    match read_user(iam, name, finding.source == Source::CloudTrail).await? {
        // The finding's user may have been renamed, and another may bear the name now.
        found if found.as_ref().is_none_or(|it| id.is_some_and(|id| *id != it.identity.id)) => {
            if let Some(id) = id {
                match user_by_id(iam, id).await {
                    Err(Unresolved::Refused(_)) => {}
                    other => return other,
                }
            }
            match found {
                Some(namesake) => Ok(namesake),
                None => Err(Unresolved::Refused(format!("there is no user `{name}` in account {}", finding.account))),
            }
        }
        Some(found) => {
            refuse_foreign_key(finding, &found)?;
            Ok(found)
        }
        None => Err(Unresolved::Refused(format!("there is no user `{name}` in account {}", finding.account))),
    }
}

/// Without a unique ID in the finding, the key is what tells the user from a namesake.
fn refuse_foreign_key(finding: &Finding, found: &Resolved) -> Result<(), Unresolved> {
    let Some(key) = finding.access_key.as_ref().filter(|it| it.is_long_term()) else {
        return Ok(());
    };
    match &found.observed.keys {
        Ok(keys) if claimed_id(&finding.principal).is_none() && !keys.iter().any(|it| it.id == *key) => {
            Err(Unresolved::Refused(format!(
                "access key {key} is none of user `{}`'s: whether this is the user whom the finding means can't be told",
                found.identity.name
            )))
        }
        _ => Ok(()),
    }
}

/// How long the strike waits to see whether the deny is there already.
const PATIENCE: Duration = Duration::from_millis(800);

/// The user, its keys and its policies, in one round trip. `None` when there is no such user.
async fn read_user(iam: &Client, name: &PrincipalName, just_created: bool) -> Result<Option<Resolved>, Failure> {
    let mut pause = Duration::from_millis(250);
    loop {
        let (user, keys, attached) = tokio::join!(
            iam.get_user().user_name(name.as_str()).send(),
            access_keys(iam, name),
            tokio::time::timeout(PATIENCE, attached_user_policies(iam, name))
        );
        let attached = attached.unwrap_or_else(|_| Err(not_yet("attached policies")));
        let user = match user {
            Ok(it) => it.user.ok_or_else(|| incomplete("GetUser gave no user"))?,
            // A new user is not visible everywhere at once.
            Err(error) if just_created && pause <= Duration::from_secs(4) && aws_error::is(&error, "NoSuchEntity") => {
                tokio::time::sleep(pause).await;
                pause *= 2;
                continue;
            }
            Err(error) if aws_error::is(&error, "NoSuchEntity") => return Ok(None),
            Err(error) => return Err(failure(&error)),
        };
        let identity = user_identity(&user)?;
        let observed = Observed { profile: Ok(user_profile(&user)), keys, attached, ..nothing_read() };
        return Ok(Some(Resolved { identity, observed }));
    }
}

/// The same identity under the name it has now. Roles can't be renamed.
pub async fn find_again(iam: &Client, identity: &Identity) -> Result<Identity, Unresolved> {
    match identity.kind {
        IdentityKind::User => Ok(user_by_id(iam, &identity.id).await?.identity),
        IdentityKind::Role => Err(Unresolved::Refused(format!("the role with the unique ID {} is gone", identity.id))),
    }
}

async fn user_by_id(iam: &Client, id: &UniqueId) -> Result<Resolved, Unresolved> {
    let mut pages = iam.list_users().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|it| failure(&it))?;
        if let Some(user) = page.users.iter().find(|it| it.user_id == id.as_str()) {
            let name = PrincipalName::parse(&user.user_name).map_err(|_| incomplete("ListUsers gave an odd name"))?;
            let found = read_user(iam, &name, false).await?;
            return found.ok_or_else(|| Unresolved::Failed(incomplete("IAM lists the user and does not find it")));
        }
    }
    Err(Unresolved::Refused(format!("no user has the unique ID {id}")))
}

async fn key_owner(iam: &Client, finding: &Finding) -> Result<Resolved, Unresolved> {
    let Some(key) = &finding.access_key else {
        return Err(Unresolved::Refused("the finding names neither a principal nor a key".to_owned()));
    };
    let foreign = || Unresolved::Refused(format!("access key {key} belongs to no user of account {}", finding.account));
    let used = match iam.get_access_key_last_used().access_key_id(key.as_str()).send().await {
        Ok(it) => it,
        // AWS answers AccessDenied for keys of other accounts, and models no error at all.
        Err(error) if aws_error::is(&error, "NoSuchEntity") => return Err(foreign()),
        Err(error) => return Err(Unresolved::Failed(failure(&error))),
    };
    let name = used.user_name().filter(|it| !it.is_empty()).ok_or_else(foreign)?;
    let name = PrincipalName::parse(name).map_err(|_| incomplete("GetAccessKeyLastUsed gave an odd name"))?;
    let found = read_user(iam, &name, false).await?.ok_or_else(foreign)?;
    refuse_foreign_key(finding, &found)?;
    Ok(found)
}

async fn role(iam: &Client, name: &PrincipalName) -> Result<Resolved, Unresolved> {
    let (role, revoked_before) =
        tokio::join!(iam.get_role().role_name(name.as_str()).send(), revoked_before(iam, name));
    let role = match role {
        Ok(it) => it.role.ok_or_else(|| incomplete("GetRole gave no role"))?,
        Err(error) if aws_error::is(&error, "NoSuchEntity") => {
            return Err(Unresolved::Refused(format!("there is no role `{name}`")));
        }
        Err(error) => return Err(Unresolved::Failed(failure(&error))),
    };
    let identity = Identity {
        kind: IdentityKind::Role,
        name: PrincipalName::parse(&role.role_name).map_err(|_| incomplete("GetRole gave an odd name"))?,
        id: UniqueId::parse(&role.role_id).map_err(|_| incomplete("GetRole gave an odd ID"))?,
        arn: role.arn.clone(),
        path: role.path.clone(),
        created: Some(role.create_date),
    };
    let observed = Observed { profile: Ok(role_profile(&role)), revoked_before, ..nothing_read() };
    Ok(Resolved { identity, observed })
}

async fn role_by_id(iam: &Client, id: &UniqueId) -> Result<Resolved, Unresolved> {
    let mut pages = iam.list_roles().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|it| failure(&it))?;
        if let Some(found) = page.roles.iter().find(|it| it.role_id == id.as_str()) {
            let name = PrincipalName::parse(&found.role_name).map_err(|_| incomplete("ListRoles gave an odd name"))?;
            return role(iam, &name).await;
        }
    }
    Err(Unresolved::Refused(format!("no role has the unique ID {id}")))
}

fn not_yet(what: &'static str) -> Unreadable {
    Unreadable { what, why: NOT_READ.to_owned(), retryable: true, is_gone: false }
}

fn nothing_read() -> Observed {
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

fn user_identity(user: &aws_sdk_iam::types::User) -> Result<Identity, Failure> {
    Ok(Identity {
        kind: IdentityKind::User,
        name: PrincipalName::parse(&user.user_name).map_err(|_| incomplete("GetUser gave an odd name"))?,
        id: UniqueId::parse(&user.user_id).map_err(|_| incomplete("GetUser gave an odd ID"))?,
        arn: user.arn.clone(),
        path: user.path.clone(),
        created: Some(user.create_date),
    })
}

fn user_profile(user: &aws_sdk_iam::types::User) -> Profile {
    let boundary = user.permissions_boundary().and_then(|it| it.permissions_boundary_arn()).map(str::to_owned);
    Profile { boundary, tags: tags(user.tags()) }
}

fn role_profile(role: &aws_sdk_iam::types::Role) -> Profile {
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

async fn access_keys(iam: &Client, user: &PrincipalName) -> Read<Vec<AccessKey>> {
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

async fn attached_user_policies(iam: &Client, user: &PrincipalName) -> Read<Vec<String>> {
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
async fn revoked_before(iam: &Client, role: &PrincipalName) -> Read<Option<DateTime>> {
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
