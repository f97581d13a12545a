//! Secrets in SSM's parameter store: cached for five minutes, read anew once when one is refused, and read anew for
//! whom one lets in.
//! <https://docs.aws.amazon.com/systems-manager/latest/userguide/secure-string-parameter-kms-encryption.html>
//!
//! INVARIANT: nobody is let in by a secret that was replaced: what is cached only refuses. `tests/test_front.py` holds
//! it.
//!
//! INVARIANT: whoever sends bad requests brings about no reads: one is read anew once a minute at most, and a failure
//! to read is kept for a moment too. `tests/test_front.py` holds it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use domain::outcome::Failure;
use domain::settings::Secret;

use crate::errors::failure;

/// What reading a secret takes, on the parameter.
pub const PERMISSION: &str = "ssm:GetParameter";

/// The code of a failure: there is such a parameter, and nothing in it.
pub const EMPTY: &str = "EmptyParameter";

/// How long a value is used before the parameter is read again.
const KEPT: Duration = Duration::from_secs(300);
/// A refused value is read anew no sooner: whoever brings about refusals must not bring about reads.
const READ_ANEW: Duration = Duration::from_secs(60);

/// What lives as long as the process.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<HashMap<String, State>>>);

#[derive(Debug, Clone, Default)]
struct State {
    read: Option<(Result<Secret, Failure>, SystemTime)>,
    read_anew: Option<SystemTime>,
}

pub struct Parameters {
    ssm: aws_sdk_ssm::Client,
    kept: Kept,
    /// How long nothing is tried again after a read that failed.
    pause: Duration,
}

impl Parameters {
    pub(crate) fn new(ssm: &aws_sdk_ssm::Client, kept: &Kept, pause: Duration) -> Self {
        Self { ssm: ssm.clone(), kept: kept.clone(), pause }
    }

    pub async fn get(&self, name: &str) -> Result<Secret, Failure> {
        match self.state(name, |it| it.read.clone()) {
            Some((Ok(secret), at)) if is_younger(at, KEPT) => Ok(secret),
            Some((Err(failure), at)) if is_younger(at, self.pause) => Err(failure),
            _ => self.read(name).await,
        }
    }

    /// Whether a value that lets somebody in still is the parameter's, read since `began`.
    pub async fn is_current(&self, name: &str, value: &Secret, began: SystemTime) -> Result<bool, Failure> {
        let read = self.state(name, |it| it.read.clone().filter(|it| it.1 >= began));
        let now = match read {
            Some((now, _)) => now,
            None => self.read(name).await,
        };
        now.map(|it| it == *value)
    }

    /// After a refusal. `None`: it was read anew a moment ago.
    pub async fn anew(&self, name: &str) -> Result<Option<Secret>, Failure> {
        let may_read = self.state(name, |it| {
            let may = it.read_anew.is_none_or(|at| !is_younger(at, READ_ANEW));
            if may {
                it.read_anew = Some(SystemTime::now());
            }
            may
        });
        if may_read { self.read(name).await.map(Some) } else { Ok(None) }
    }

    async fn read(&self, name: &str) -> Result<Secret, Failure> {
        let sent = self.ssm.get_parameter().name(name).with_decryption(true).send().await;
        let value = sent.map_err(|it| failure(&it)).map(|it| it.parameter.and_then(|it| it.value).unwrap_or_default());
        let secret = value.and_then(|it| match it.trim() {
            "" => Err(Failure { code: EMPTY.to_owned(), message: "it is empty".to_owned(), retryable: false }),
            text => Ok(Secret::new(text.to_owned())),
        });
        self.state(name, |it| it.read = Some((secret.clone(), SystemTime::now())));
        secret
    }

    fn state<T>(&self, name: &str, change: impl FnOnce(&mut State) -> T) -> T {
        let mut all = self.kept.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(all.entry(name.to_owned()).or_default())
    }
}

/// By the wall clock, since the others may stand still in a frozen process; one that was set back says nothing.
fn is_younger(at: SystemTime, age: Duration) -> bool {
    at.elapsed().is_ok_and(|it| it < age)
}
