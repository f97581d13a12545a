//! What a user can act with beside access keys. All of it outlives the key that leaked.

use aws_sdk_iam::types::StatusType;
use domain::identity::{Credential, CredentialKind, Read};
use domain::ids::PrincipalName;

use super::IamRead;
use crate::errors::{is, unreadable};

const WHAT: &str = "other credentials";

pub(super) async fn other(iam: &IamRead, user: &PrincipalName) -> Read<Vec<Credential>> {
    let (service, ssh, certificates) =
        tokio::join!(service_specific(iam, user), ssh_keys(iam, user), signing_certificates(iam, user));
    Ok([service?, ssh?, certificates?].concat())
}

fn credential(kind: CredentialKind, id: &str, status: Option<&StatusType>) -> Credential {
    // Whatever is not inactive may work.
    Credential { kind, id: id.to_owned(), active: !matches!(status, Some(StatusType::Inactive | StatusType::Expired)) }
}

async fn service_specific(iam: &IamRead, user: &PrincipalName) -> Read<Vec<Credential>> {
    let mut found = Vec::new();
    let mut marker = None;
    loop {
        let request = iam.list_service_specific_credentials().user_name(user.as_str()).set_marker(marker);
        let page = match request.send().await {
            Ok(it) => it,
            Err(error) if is(&error, "NotSupportedService") => return Ok(found),
            Err(error) => return Err(unreadable(WHAT)(error)),
        };
        let kind = CredentialKind::ServiceSpecific;
        let one = |it: &aws_sdk_iam::types::ServiceSpecificCredentialMetadata| {
            credential(kind, it.service_specific_credential_id(), Some(it.status()))
        };
        found.extend(page.service_specific_credentials().iter().map(one));
        marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}

async fn ssh_keys(iam: &IamRead, user: &PrincipalName) -> Read<Vec<Credential>> {
    let mut found = Vec::new();
    let mut pages = iam.list_ssh_public_keys().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable(WHAT))?;
        let one = |it: &aws_sdk_iam::types::SshPublicKeyMetadata| {
            credential(CredentialKind::SshKey, it.ssh_public_key_id(), Some(it.status()))
        };
        found.extend(page.ssh_public_keys().iter().map(one));
    }
    Ok(found)
}

async fn signing_certificates(iam: &IamRead, user: &PrincipalName) -> Read<Vec<Credential>> {
    let mut found = Vec::new();
    let mut pages = iam.list_signing_certificates().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable(WHAT))?;
        let one = |it: &aws_sdk_iam::types::SigningCertificate| {
            credential(CredentialKind::SigningCertificate, it.certificate_id(), Some(it.status()))
        };
        found.extend(page.certificates().iter().map(one));
    }
    Ok(found)
}

pub(super) async fn login(iam: &IamRead, user: &PrincipalName) -> Read<bool> {
    match iam.get_login_profile().user_name(user.as_str()).send().await {
        Ok(_) => Ok(true),
        Err(error) if is(&error, "NoSuchEntity") => Ok(false),
        Err(error) => Err(unreadable("console password")(error)),
    }
}

pub(super) async fn mfa_devices(iam: &IamRead, user: &PrincipalName) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_mfa_devices().user_name(user.as_str()).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable("MFA devices"))?;
        found.extend(page.mfa_devices().iter().map(|it| it.serial_number().to_owned()));
    }
    Ok(found)
}
