//! The reads: the state that an identity is in. Changes nothing.

use aws_sdk_iam::types::StatusType;
use domain::change::{REVOCATION_POLICY, console_hold};
use domain::identity::{
    AccessKey, Contents, Identity, IdentityKind, Observed, PolicyNames, Profile, Read, Unreadable, Why,
};
use domain::ids::{AccessKeyId, Parse, PrincipalName};
use domain::outcome::Failure;
use domain::policy_document;

use super::contents::{self, Depth};
use super::{IamRead, credentials};
use crate::errors::{self, incomplete, unreadable};

/// Every IAM action that reading a user's state needs.
pub const USER_PERMISSIONS: &[&str] = &[
    "iam:GetLoginProfile",
    "iam:GetUser",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListGroupsForUser",
    "iam:ListMFADevices",
    "iam:ListSSHPublicKeys",
    "iam:ListServiceSpecificCredentials",
    "iam:ListSigningCertificates",
    "iam:ListUserPolicies",
];

/// Every IAM action that reading a role's state needs.
pub const ROLE_PERMISSIONS: &[&str] =
    &["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListRolePolicies"];

/// On top of either, for what the policies say.
pub const CONTENTS_PERMISSIONS: &[&str] = &["iam:GetPolicy"];

/// On top of a user's, for what its own policies and its groups say.
pub const USER_CONTENTS_PERMISSIONS: &[&str] =
    &["iam:GetGroupPolicy", "iam:GetUserPolicy", "iam:ListAttachedGroupPolicies", "iam:ListGroupPolicies"];

/// On top of these, for what takes policies and groups away: which of them hold a Deny or grant
/// administrator access.
pub const STATEMENTS_PERMISSIONS: &[&str] = &["iam:GetPolicyVersion"];

pub(super) fn user_profile(user: &aws_sdk_iam::types::User) -> Profile {
    let boundary = user.permissions_boundary().and_then(|it| it.permissions_boundary_arn()).map(str::to_owned);
    Profile { boundary, tags: tags(user.tags()), trust: None }
}

pub(super) fn role_profile(role: &aws_sdk_iam::types::Role) -> Profile {
    let boundary = role.permissions_boundary().and_then(|it| it.permissions_boundary_arn()).map(str::to_owned);
    let trust = role.assume_role_policy_document().map(policy_document::fingerprint);
    Profile { boundary, tags: tags(role.tags()), trust }
}

fn tags(tags: &[aws_sdk_iam::types::Tag]) -> Vec<(String, String)> {
    tags.iter().map(|it| (it.key().to_owned(), it.value().to_owned())).collect()
}

/// The whole state, read in parallel, of the identity and of no namesake that took its place. What IAM
/// throttles is read again.
pub async fn observe(iam: &IamRead, identity: &Identity, with_statements: bool) -> Observed {
    own(whole(&iam.unhurried(), identity, with_statements).await)
}

/// What was read by a name that is another's belongs to that one.
fn own(observed: Observed) -> Observed {
    if observed.is_gone() { Observed { profile: observed.profile, ..Observed::nothing_read() } } else { observed }
}

async fn whole(iam: &IamRead, identity: &Identity, with_statements: bool) -> Observed {
    let name = &identity.name;
    match identity.kind {
        IdentityKind::User => {
            let (profile, keys, attached, inline, groups, credentials, login, mfa_devices) = tokio::join!(
                iam.patiently(|| same_user(iam, identity)),
                iam.patiently(|| access_keys(iam, name)),
                iam.patiently(|| attached_user_policies(iam, name)),
                iam.patiently(|| inline_user_policies(iam, name)),
                iam.patiently(|| groups(iam, name)),
                iam.patiently(|| credentials::other(iam, name)),
                iam.patiently(|| credentials::login(iam, name)),
                iam.patiently(|| credentials::mfa_devices(iam, name))
            );
            let observed = Observed {
                profile,
                keys,
                credentials,
                login,
                mfa_devices,
                attached,
                inline,
                groups,
                ..nothing_of_a_user()
            };
            if with_statements && !observed.is_gone() {
                add_statements(iam, identity, observed).await
            } else {
                observed
            }
        }
        IdentityKind::Role => {
            let (profile, attached, inline, revocation) = tokio::join!(
                iam.patiently(|| same_role(iam, identity)),
                iam.patiently(|| attached_role_policies(iam, name)),
                iam.patiently(|| inline_role_policies(iam, name)),
                iam.patiently(|| revocation(iam, name))
            );
            with_revocation(Observed { profile, attached, inline, ..nothing_of_a_user() }, revocation)
        }
    }
}

async fn add_statements(iam: &IamRead, identity: &Identity, observed: Observed) -> Observed {
    match iam.patiently(|| read_statements(iam, identity, &observed)).await {
        Ok(found) => Observed {
            contents: Ok(found.contents),
            denying: Ok(found.denying),
            granting: Ok(found.granting),
            ..observed
        },
        Err(error) => {
            let (denying, granting) = (Err(error.clone()), Err(error.clone()));
            Observed { contents: Err(error), denying, granting, ..observed }
        }
    }
}

async fn read_statements(iam: &IamRead, identity: &Identity, observed: &Observed) -> Read<contents::Found> {
    let mut found = contents::read(iam, identity, observed.policy_names()?, Depth::Statements).await?;
    // The boundary is among what is read, and is no policy that the user holds.
    let attached = observed.attached.as_deref().unwrap_or_default();
    let boundary = observed.profile.as_ref().ok().and_then(|it| it.boundary.as_ref());
    if let Some(boundary) = boundary.filter(|it| !attached.contains(it)) {
        found.granting.retain(|it| *it != format!("policy {boundary}"));
        found.denying.retain(|it| it != boundary);
    }
    Ok(found)
}

/// Whether the policy that holds the console back may be attached: as it was edited, it may give anything.
pub async fn check_hold(iam: &IamRead, policy: &str) -> Result<(), Failure> {
    let refused = |message, retryable| Err(Failure { code: "HoldNotOurs".to_owned(), message, retryable });
    match contents::only_denies(iam, policy).await.map_err(|it| it.why) {
        Ok(true) => Ok(()),
        Ok(false) => refused(format!("{policy} was edited, and does more than deny: nobody gets it"), false),
        Err(Why::Gone(failure) | Why::Throttled(failure) | Why::Failed(failure)) => Err(failure),
        Err(why) => refused(format!("{policy}: {why}"), true),
    }
}

/// Whether what is attached under the name of the hold of the console is that: whoever administers the account may edit it.
pub async fn with_hold(iam: &IamRead, identity: &Identity, observed: Observed) -> Observed {
    let hold = console_hold(&identity.arn).unwrap_or_default();
    let is_held = match &observed.attached {
        Ok(attached) if attached.contains(&hold) => contents::only_denies(iam, &hold).await,
        Ok(_) => Ok(false),
        Err(error) => Err(error.clone()),
    };
    Observed { is_held, ..observed }
}

/// What tells the content of policies and groups from another. Reads nothing of AWS's own policies.
pub async fn contents(iam: &IamRead, identity: &Identity, names: PolicyNames) -> Read<Contents> {
    Ok(contents::read(iam, identity, names, Depth::Versions).await?.contents)
}

/// The light pass: only what holds the identity back, and its keys. What IAM throttles is left for the
/// next pass.
pub async fn barriers(iam: &IamRead, identity: &Identity) -> Observed {
    let name = &identity.name;
    match identity.kind {
        IdentityKind::User => {
            let (profile, keys, attached) =
                tokio::join!(same_user(iam, identity), access_keys(iam, name), attached_user_policies(iam, name));
            own(Observed { profile, keys, attached, ..Observed::nothing_read() })
        }
        IdentityKind::Role => {
            let (profile, attached, revocation) =
                tokio::join!(same_role(iam, identity), attached_role_policies(iam, name), revocation(iam, name));
            own(with_revocation(Observed { profile, attached, ..Observed::nothing_read() }, revocation))
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
        revoked_before: Ok(None),
        denying: Ok(Vec::new()),
        granting: Ok(Vec::new()),
        ..Observed::nothing_read()
    }
}

fn replaced(identity: &Identity) -> Unreadable {
    let why = format!("the name `{}` belongs to another unique ID than {} now", identity.name, identity.id);
    Unreadable { what: "profile", why: Why::Replaced(why) }
}

/// Whether the name still leads to the identity.
pub async fn is_there(iam: &IamRead, identity: &Identity) -> Read<()> {
    match identity.kind {
        IdentityKind::User => same_user(iam, identity).await.map(|_| ()),
        IdentityKind::Role => same_role(iam, identity).await.map(|_| ()),
    }
}

async fn same_user(iam: &IamRead, identity: &Identity) -> Read<Profile> {
    let output = iam.get_user().user_name(identity.name.as_str()).send().await.map_err(unreadable("profile"))?;
    match output.user() {
        Some(user) if user.user_id() == identity.id.as_str() => Ok(user_profile(user)),
        _ => Err(replaced(identity)),
    }
}

async fn same_role(iam: &IamRead, identity: &Identity) -> Read<Profile> {
    let output = iam.get_role().role_name(identity.name.as_str()).send().await.map_err(unreadable("profile"))?;
    match output.role() {
        Some(role) if role.role_id() == identity.id.as_str() => Ok(role_profile(role)),
        _ => Err(replaced(identity)),
    }
}

pub(super) async fn access_keys(iam: &IamRead, user: &PrincipalName) -> Read<Vec<AccessKey>> {
    let mut found = Vec::new();
    let mut items = iam.list_access_keys().user_name(user.as_str()).into_paginator().items().send();
    while let Some(key) = items.next().await {
        let key = key.map_err(unreadable("access keys"))?;
        let id = AccessKeyId::parse(key.access_key_id().unwrap_or_default());
        let odd = |_| Unreadable::failed("access keys", incomplete("ListAccessKeys gave an odd ID"));
        // Whatever is not inactive may work.
        found.push(AccessKey { id: id.map_err(odd)?, active: key.status() != Some(&StatusType::Inactive) });
    }
    Ok(found)
}

pub(super) async fn attached_user_policies(iam: &IamRead, user: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_attached_user_policies().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable("attached policies"))?;
        found.extend(page.attached_policies().iter().filter_map(|it| it.policy_arn()).map(str::to_owned));
    }
    Ok(found)
}

pub(super) async fn attached_role_policies(iam: &IamRead, role: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_attached_role_policies().role_name(role.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable("attached policies"))?;
        found.extend(page.attached_policies().iter().filter_map(|it| it.policy_arn()).map(str::to_owned));
    }
    Ok(found)
}

async fn inline_user_policies(iam: &IamRead, user: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_user_policies().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        found.extend(page.map_err(unreadable("inline policies"))?.policy_names);
    }
    Ok(found)
}

async fn inline_role_policies(iam: &IamRead, role: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_role_policies().role_name(role.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        found.extend(page.map_err(unreadable("inline policies"))?.policy_names);
    }
    Ok(found)
}

pub(super) async fn groups(iam: &IamRead, user: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_groups_for_user().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        found.extend(page.map_err(unreadable("groups"))?.groups.into_iter().map(|it| it.group_name));
    }
    Ok(found)
}

/// What stands under the name of a revocation: its text, if there is any.
pub(super) async fn revocation(iam: &IamRead, role: &PrincipalName) -> Read<Option<String>> {
    match iam.get_role_policy().role_name(role.as_str()).policy_name(REVOCATION_POLICY).send().await {
        Ok(output) => Ok(Some(output.policy_document)),
        Err(error) if errors::is(&error, "NoSuchEntity") => Ok(None),
        Err(error) => Err(unreadable("session revocation")(error)),
    }
}

/// Only what revokes sessions, and does nothing else, counts as a revocation.
pub(super) fn with_revocation(observed: Observed, text: Read<Option<String>>) -> Observed {
    let revoked_before = text.as_ref().map_err(Clone::clone);
    let revoked_before = revoked_before.map(|it| it.as_deref().and_then(policy_document::revoked_before));
    let is_other = matches!(revoked_before, Ok(None));
    let not_a_revocation = text.ok().flatten().filter(|_| is_other).map(|it| policy_document::readable(&it));
    Observed { revoked_before, not_a_revocation, ..observed }
}
