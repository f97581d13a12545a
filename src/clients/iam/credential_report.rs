//! The credential report of an account, and what confirms the few of its users whom it shows without MFA.
//!
//! AWS makes a report at most every four hours, one for everybody in the account; until then the old one comes.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_getting-report.html>

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use aws_sdk_iam::types::{ReportStateType, StatusType};
use aws_smithy_types::DateTime;
use domain::hygiene::account::Confirmation;
use domain::identity::Read;
use domain::ids::PrincipalName;
use domain::outcome::Failure;
use futures_util::stream::{self, StreamExt};

use super::{IamRead, credentials, observe};
use crate::errors::{failure, incomplete, is, unreadable};

/// Every IAM action of the role for sweeps.
pub const PERMISSIONS: &[&str] = &[
    "iam:GenerateCredentialReport",
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
