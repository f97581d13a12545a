//! The credential report of an account, and what confirms the few of its users whom it shows without MFA.
//!
//! AWS makes a report at most every four hours, one for everybody in the account; until then the old one comes.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use aws_sdk_iam::types::{ReportStateType, StatusType, SummaryKeyType};
use aws_smithy_types::DateTime;
use domain::hygiene::confirmation::Confirmation;
use domain::hygiene::cross_check::Counted;
use domain::hygiene::unseen::Listed;
use domain::identity::{Read, Unreadable};
use domain::ids::{AccessKeyId, Parse, PrincipalName};
use domain::outcome::Failure;
use futures_util::stream::{self, StreamExt};

use super::{IamRead, credentials, observe};
use crate::errors::{failure, incomplete, is, unreadable};

/// Every IAM action of the role for sweeps.
pub const PERMISSIONS: &[&str] = &[
    "iam:GenerateCredentialReport",
    "iam:GetAccountSummary",
    "iam:GetCredentialReport",
    "iam:GetLoginProfile",
    "iam:ListAccessKeys",
    "iam:ListMFADevices",
    "iam:ListServiceSpecificCredentials",
];

/// Seconds in small accounts, minutes in large ones: whoever needs longer is asked again later.
const PAUSES: [u64; 4] = [1, 2, 4, 8];

/// IAM's limits are the account's own, whose programs call it too.
const PARALLEL_READS: usize = 4;

/// What the account must not be asked for again at once.
pub const NOT_READY: &str = "ReportNotReady";

/// A report, and when it was made.
pub struct Fetched {
    pub content: Vec<u8>,
    pub generated: DateTime,
}

/// Asks for a report and waits for it, for as long as there are pauses and time.
pub async fn fetch(iam: &IamRead, until: Instant) -> Result<Fetched, Failure> {
    let mut pauses = PAUSES.into_iter().map(Duration::from_secs);
    let mut is_asked_for = false;
    loop {
        // Who asked has to wait; whoever else may have asked is the same to us.
        let mut is_ready = is_asked_for;
        if !is_asked_for {
            is_ready = generate(iam).await?;
            is_asked_for = true;
        }
        if is_ready && let Some(fetched) = get(iam, &mut is_asked_for).await? {
            return Ok(fetched);
        }
        match pauses.next().filter(|it| Instant::now() + *it < until) {
            Some(pause) => tokio::time::sleep(pause).await,
            None => {
                let message = "IAM is still making the credential report".to_owned();
                return Err(Failure { code: NOT_READY.to_owned(), message, retryable: true });
            }
        }
    }
}

/// Whether there is one to get.
async fn generate(iam: &IamRead) -> Result<bool, Failure> {
    match iam.patiently(|| iam.generate_credential_report().send()).await {
        Ok(output) => Ok(output.state() == Some(&ReportStateType::Complete)),
        // So many were asked for that one is there or on its way.
        Err(error) if is(&error, "LimitExceeded") => Ok(true),
        Err(error) => Err(failure(&error)),
    }
}

async fn get(iam: &IamRead, is_asked_for: &mut bool) -> Result<Option<Fetched>, Failure> {
    match iam.patiently(|| iam.get_credential_report().send()).await {
        Ok(output) => {
            let content = output.content.ok_or_else(|| incomplete("GetCredentialReport gave no content"))?;
            let generated = output.generated_time.ok_or_else(|| incomplete("GetCredentialReport gave no time"))?;
            Ok(Some(Fetched { content: content.into_inner(), generated }))
        }
        Err(error) if is(&error, "ReportInProgress") => Ok(None),
        Err(error) if is(&error, "ReportNotPresent") || is(&error, "ReportExpired") => {
            *is_asked_for = false;
            Ok(None)
        }
        Err(error) => Err(failure(&error)),
    }
}

/// Three reads for each, a few side by side, while there is time; who is not in the answer was not read.
pub async fn confirm(
    iam: &IamRead,
    users: Vec<PrincipalName>,
    until: Instant,
) -> BTreeMap<PrincipalName, Confirmation> {
    let one = |user: PrincipalName| async move {
        if Instant::now() >= until {
            return None;
        }
        let (mfa_devices, login, keys) = tokio::join!(
            iam.patiently(|| credentials::mfa_devices(iam, &user)),
            iam.patiently(|| credentials::login(iam, &user)),
            iam.patiently(|| observe::access_keys(iam, &user))
        );
        Some((user, Confirmation { login, mfa_devices, keys }))
    };
    stream::iter(users).map(one).buffer_unordered(PARALLEL_READS).filter_map(std::future::ready).collect().await
}

/// The keys of each of these users, with when they were created: a report has no IDs. One read for each, while there is
/// time.
pub async fn keys(iam: &IamRead, users: BTreeSet<PrincipalName>, until: Instant) -> BTreeMap<PrincipalName, Listed> {
    let one = |user: PrincipalName| async move {
        let late = || Err(Unreadable::not_read("access keys"));
        let listed = if Instant::now() < until { iam.patiently(|| keys_of(iam, &user)).await } else { late() };
        (user, listed)
    };
    stream::iter(users).map(one).buffer_unordered(PARALLEL_READS).collect().await
}

async fn keys_of(iam: &IamRead, user: &PrincipalName) -> Listed {
    let mut found = Vec::new();
    let mut items = iam.list_access_keys().user_name(user.as_str()).into_paginator().items().send();
    while let Some(key) = items.next().await {
        let key = key.map_err(unreadable("access keys"))?;
        let id = AccessKeyId::parse(key.access_key_id().unwrap_or_default());
        let read = id.ok().zip(key.create_date().map(|it| it.secs()));
        found
            .push(read.ok_or_else(|| Unreadable::failed("access keys", incomplete("ListAccessKeys gave an odd key")))?);
    }
    Ok(found)
}

/// What IAM itself counts of the account.
pub async fn account_summary(iam: &IamRead) -> Read<Counted> {
    let read = iam.patiently(|| iam.get_account_summary().send()).await;
    let summary = read.map_err(unreadable("account summary"))?;
    let number = |key: SummaryKeyType| summary.summary_map().and_then(|it| it.get(&key)).map(|it| i64::from(*it));
    Ok(Counted {
        users: number(SummaryKeyType::Users),
        root_has_mfa: number(SummaryKeyType::AccountMfaEnabled).map(|it| it > 0),
        root_has_keys: number(SummaryKeyType::AccountAccessKeysPresent).map(|it| it > 0),
    })
}

/// How many service-specific credentials of all users work, by the service: the report does not have them.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListServiceSpecificCredentials.html>
pub async fn service_credentials(iam: &IamRead) -> Read<BTreeMap<String, u32>> {
    let mut found = BTreeMap::new();
    let mut marker = None;
    loop {
        let request = || iam.list_service_specific_credentials().all_users(true).set_marker(marker.clone());
        let page = match iam.patiently(|| request().send()).await {
            Ok(page) => page,
            Err(error) if is(&error, "NotSupportedService") => return Ok(found),
            Err(error) => return Err(unreadable("service-specific credentials")(error)),
        };
        let active = |status: &StatusType| !matches!(status, StatusType::Inactive | StatusType::Expired);
        for credential in page.service_specific_credentials().iter().filter(|it| active(it.status())) {
            *found.entry(credential.service_name().to_owned()).or_default() += 1;
        }
        marker = page.marker().filter(|_| page.is_truncated()).map(str::to_owned);
        if marker.is_none() {
            return Ok(found);
        }
    }
}
