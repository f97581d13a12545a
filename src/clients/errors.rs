//! AWS's errors: what went wrong in one line, and whether another try can help.

use std::fmt::Debug;
use std::future::Future;
use std::time::Duration;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use domain::identity::Unreadable;
use domain::outcome::Failure;
use domain::text;

/// An answer that lacks what AWS's own model promises.
pub fn incomplete(what: &str) -> Failure {
    Failure { code: "IncompleteAnswer".to_owned(), message: what.to_owned(), retryable: true }
}

/// Codes that no retry can mend: a person or another finding has to.
const PERMANENT: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "InvalidAccessException",
    "NoSuchEntity",
    "LimitExceeded",
    "UnmodifiableEntity",
    "InvalidInput",
    "InvalidInputException",
    "MalformedPolicyDocument",
    "PolicyNotAttachable",
    "ValidationError",
    "ValidationException",
    "InvalidParameter",
    "NotFound",
    "ResourceNotFoundException",
    "AutomationDefinitionNotFoundException",
    "InvalidAutomationExecutionParametersException",
    "OpsItemInvalidParameterException",
    "OpsItemAccessDeniedException",
    "OpsItemLimitExceededException",
    "RegionDisabledException",
];

pub fn failure<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> Failure {
    let (code, message) = match error {
        SdkError::ServiceError(it) => {
            let status = it.raw().status().as_u16();
            let code = it.err().code().map_or_else(|| format!("HTTP{status}"), str::to_owned);
            (code, it.err().message().unwrap_or_default().to_owned())
        }
        SdkError::TimeoutError(_) => ("Timeout".to_owned(), "AWS did not answer in time".to_owned()),
        SdkError::DispatchFailure(_) => ("NoConnection".to_owned(), "the connection to AWS failed".to_owned()),
        SdkError::ResponseError(_) => ("UnreadableAnswer".to_owned(), "AWS's answer could not be read".to_owned()),
        _ => ("RequestNotBuilt".to_owned(), "the request could not be made".to_owned()),
    };
    let retryable = !PERMANENT.contains(&code.as_str());
    Failure { code, message: text::line(&message, 300), retryable }
}

pub fn is<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>, code: &str) -> bool {
    error.as_service_error().and_then(ProvideErrorMetadata::code) == Some(code)
}

/// What could not be read, for `map_err`.
pub(crate) fn unreadable<E: ProvideErrorMetadata>(
    what: &'static str,
) -> impl Fn(SdkError<E, HttpResponse>) -> Unreadable {
    move |error| Unreadable::failed(what, failure(&error))
}

/// Tries again on the conflicts that the SDK does not retry: two writes to one identity at the same
/// time, and credentials that were made a moment ago.
pub async fn retry_conflicts<T, E, F>(mut call: impl FnMut() -> F) -> Result<T, SdkError<E, HttpResponse>>
where
    E: ProvideErrorMetadata + Debug,
    F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let mut pause = Duration::from_millis(50);
    loop {
        match call().await {
            Err(error) if pause < Duration::from_secs(3) && is_conflict(&error) => {
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            other => return other,
        }
    }
}

fn is_conflict<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    is(error, "ConcurrentModification") || is(error, "EntityTemporarilyUnmodifiable")
}
