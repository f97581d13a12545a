//! What every trip works with: what lives as long as the process, what Lambda says of one invocation,
//! and why an invocation must not count as done.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clients::accounts::Aws;
use domain::settings::{Settings, SettingsError};
use domain::sources::DecodeError;
use domain::text;
use lambda_runtime::Diagnostic;

/// What lives as long as the process.
pub struct Context {
    /// Kept when they are invalid: every invocation then fails with all the problems named, instead of
    /// a process that dies over and over.
    pub settings: Result<Settings, SettingsError>,
    pub aws: Aws,
}

/// Why an invocation must not count as done: Lambda tries again, and what fails for good lands in
/// the dead-letter queue with its event.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Configuration(#[from] SettingsError),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Malformed(Vec<DecodeError>),
    #[error("not everything succeeded: {}", .0.iter().map(|it| text::line(it, 500)).collect::<Vec<_>>().join("; "))]
    Incomplete(Vec<String>),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Configuration(_) => "InvalidConfiguration",
            Error::Malformed(_) => "MalformedEvent",
            Error::Incomplete(_) => "ResponseIncomplete",
        };
        Self { error_type: kind.to_owned(), error_message: error.to_string() }
    }
}

/// What Lambda says of an invocation.
pub struct Call {
    pub request_id: String,
    pub deadline: SystemTime,
}

impl Call {
    /// Until Lambda ends the invocation.
    pub(crate) fn left(&self) -> Duration {
        self.deadline.duration_since(SystemTime::now()).unwrap_or_default()
    }

    /// The same without what is kept back for the notices and the report.
    pub(crate) fn budget(&self) -> Duration {
        let left = self.left();
        left.checked_sub(RESERVE).unwrap_or(left / 2)
    }
}

/// In milliseconds since 1970, as the ledger counts.
pub(crate) fn now_millis() -> i64 {
    millis(SystemTime::now())
}

pub(crate) fn millis(it: SystemTime) -> i64 {
    let it = it.duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(it.as_millis()).unwrap_or(i64::MAX)
}

/// Kept back from Lambda's time for the notices and the report.
pub(crate) const RESERVE: Duration = Duration::from_secs(10);
