//! Whether what an event made is still there: for a report. Changes nothing.

use aws_sdk_iam::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use domain::evidence::assume::foreigners;
use domain::evidence::remains::{Holder, Now, Thing, is_same_principal};
use domain::identity::{Read, Unreadable};
use domain::ids::{Arn, Parse, PrincipalName};
use domain::policy_document;

use super::contents::attached_to_group;
use super::observe::{access_keys, attached_role_policies, attached_user_policies, groups};
use super::{IamRead, credentials};
use crate::errors::unreadable;

/// On top of what reading an identity needs.
pub const PERMISSIONS: &[&str] = &["iam:GetInstanceProfile", "iam:GetOpenIDConnectProvider", "iam:GetSAMLProvider"];

const WHAT: &str = "what it left";

/// What became of it.
pub async fn now(iam: &IamRead, thing: &Thing) -> Now {
    let found = iam.patiently(|| look(iam, thing)).await;
    match found {
        Ok(now) => now,
        Err(error) if error.is_gone() => Now::Gone,
        Err(error) => Now::NotRead(error.why.to_string()),
    }
}

async fn look(iam: &IamRead, thing: &Thing) -> Read<Now> {
    match thing {
        Thing::User { name, id } => {
            let output = iam.get_user().user_name(name).send().await.map_err(unreadable(WHAT))?;
            Ok(same(id.as_deref(), output.user().map(|it| it.user_id())))
        }
        Thing::Role { name, id } => {
            let output = iam.get_role().role_name(name).send().await.map_err(unreadable(WHAT))?;
            Ok(same(id.as_deref(), output.role().map(|it| it.role_id())))
        }
        Thing::Trust { role, lets_in } => trust(iam, role, lets_in).await,
        Thing::AccessKey { user, id } => {
            let keys = access_keys(iam, &named(user)?).await?;
            Ok(working(keys.iter().find(|it| it.id.as_str() == id).map(|it| it.active)))
        }
        Thing::Credential { user, id } => {
            let all = credentials::other(iam, &named(user)?).await?;
            Ok(working(all.iter().find(|it| it.id == *id).map(|it| it.active)))
        }
        Thing::Password { user } => there(iam.get_login_profile().user_name(user).send().await),
        Thing::MfaDevice { user, serial } => Ok(listed(&credentials::mfa_devices(iam, &named(user)?).await?, serial)),
        Thing::Attached { to: Holder::User(name), policy } => {
            Ok(listed(&attached_user_policies(iam, &named(name)?).await?, policy))
        }
        Thing::Attached { to: Holder::Role(name), policy } => {
            Ok(listed(&attached_role_policies(iam, &named(name)?).await?, policy))
        }
        Thing::Attached { to: Holder::Group(name), policy } => Ok(listed(&attached_to_group(iam, name).await?, policy)),
        Thing::Inline { of: Holder::User(name), policy } => {
            there(iam.get_user_policy().user_name(name).policy_name(policy).send().await)
        }
        Thing::Inline { of: Holder::Role(name), policy } => {
            there(iam.get_role_policy().role_name(name).policy_name(policy).send().await)
        }
        Thing::Inline { of: Holder::Group(name), policy } => {
            there(iam.get_group_policy().group_name(name).policy_name(policy).send().await)
        }
        Thing::Member { user, group } => Ok(listed(&groups(iam, &named(user)?).await?, group)),
        Thing::Policy { arn, id } => {
            let output = iam.get_policy().policy_arn(arn).send().await.map_err(unreadable(WHAT))?;
            Ok(same(id.as_deref(), output.policy().and_then(|it| it.policy_id())))
        }
        Thing::PolicyVersion { arn, version } => {
            let output = iam.get_policy().policy_arn(arn).send().await.map_err(unreadable(WHAT))?;
            let current = output.policy().and_then(|it| it.default_version_id());
            Ok(if current == Some(version.as_str()) { Now::There } else { Now::Changed })
        }
        Thing::InstanceProfile { name, id } => {
            let output =
                iam.get_instance_profile().instance_profile_name(name).send().await.map_err(unreadable(WHAT))?;
            Ok(same(id.as_deref(), output.instance_profile().map(|it| it.instance_profile_id())))
        }
        Thing::SamlProvider { arn } => there(iam.get_saml_provider().saml_provider_arn(arn).send().await),
        Thing::OidcProvider { arn } => {
            there(iam.get_open_id_connect_provider().open_id_connect_provider_arn(arn).send().await)
        }
    }
}

/// Whom the role lets in now, of those that the event wrote.
async fn trust(iam: &IamRead, role: &str, lets_in: &[String]) -> Read<Now> {
    let output = iam.get_role().role_name(role).send().await.map_err(unreadable(WHAT))?;
    let role = output.role().ok_or_else(|| Unreadable::not_read(WHAT))?;
    let account = Arn::parse(role.arn()).map_or("", |it| it.account);
    let document = policy_document::decoded(role.assume_role_policy_document().unwrap_or_default());
    let trust = serde_json::from_str(&document).map_err(|_| Unreadable::not_read(WHAT))?;
    let now = foreigners(&trust, account);
    Ok(if lets_in.iter().all(|it| now.iter().any(|now| is_same_principal(it, now))) {
        Now::There
    } else {
        Now::Changed
    })
}

fn named(name: &str) -> Read<PrincipalName> {
    PrincipalName::parse(name).map_err(|_| Unreadable::not_read(WHAT))
}

fn same(made: Option<&str>, found: Option<&str>) -> Now {
    match (made, found) {
        (_, None) => Now::NotRead("the answer has no ID".to_owned()),
        (Some(made), Some(found)) if made != found => Now::Replaced,
        (_, Some(_)) => Now::There,
    }
}

fn working(active: Option<bool>) -> Now {
    match active {
        Some(true) => Now::There,
        Some(false) => Now::Inactive,
        None => Now::Gone,
    }
}

fn listed(all: &[String], one: &str) -> Now {
    if all.iter().any(|it| it == one) { Now::There } else { Now::Gone }
}

fn there<T, E: ProvideErrorMetadata>(answer: Result<T, SdkError<E, HttpResponse>>) -> Read<Now> {
    answer.map(|_| Now::There).map_err(unreadable(WHAT))
}
