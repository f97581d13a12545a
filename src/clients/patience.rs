//! Trying on while AWS asks for fewer calls. The SDK gives up after four attempts, within a second or two;
//! an account in which many are contained at once throttles for longer than that.
//!
//! A call that is refused takes none of the account's, so that whoever asks more often is answered sooner: what the
//! strike waits for, and the strike itself, before what is only looked at.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use domain::identity::{Unreadable, Why};
use domain::outcome::Failure;

use crate::errors::failure;

/// The first pause, and the longest.
type Pace = (Duration, Duration);

const CALM: Pace = (Duration::from_secs(1), Duration::from_secs(4));
const URGENT: Pace = (Duration::from_millis(100), Duration::from_millis(400));

/// Until when to try on, and how often something was put off.
#[derive(Debug, Clone, Default)]
pub struct Patience {
    until: Option<Instant>,
    waits: Arc<AtomicUsize>,
}

impl Patience {
    pub fn until(moment: Instant) -> Self {
        Self { until: Some(moment), ..Self::default() }
    }

    /// Whether anything is tried on at all.
    pub(crate) fn tries_on(&self) -> bool {
        self.until.is_some()
    }

    /// How often a call was put off because AWS throttled.
    pub fn waits(&self) -> usize {
        self.waits.load(Ordering::Relaxed)
    }

    /// Calls again while it is throttled and there is time.
    pub async fn with<T, E: Throttled, F: Future<Output = Result<T, E>>>(
        &self,
        call: impl FnMut() -> F,
    ) -> Result<T, E> {
        self.paced(CALM, call).await
    }

    /// The same with short pauses, for what stops an attacker.
    pub async fn urgently<T, E: Throttled, F: Future<Output = Result<T, E>>>(
        &self,
        call: impl FnMut() -> F,
    ) -> Result<T, E> {
        self.paced(URGENT, call).await
    }

    /// The pauses are random: whoever was throttled together must not come back together.
    async fn paced<T, E: Throttled, F: Future<Output = Result<T, E>>>(
        &self,
        (mut pause, longest): Pace,
        mut call: impl FnMut() -> F,
    ) -> Result<T, E> {
        loop {
            let error = match call().await {
                Err(error) if error.is_throttled() => error,
                other => return other,
            };
            let wait = pause.mul_f64(0.5 + fastrand::f64() / 2.0);
            if self.until.is_none_or(|until| Instant::now() + wait >= until) {
                return Err(error);
            }
            self.waits.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(longest);
        }
    }
}

/// Whether an error says that AWS asks for fewer calls.
pub trait Throttled {
    fn is_throttled(&self) -> bool;
}

impl Throttled for Failure {
    fn is_throttled(&self) -> bool {
        Failure::is_throttled(self)
    }
}

impl Throttled for Unreadable {
    fn is_throttled(&self) -> bool {
        matches!(self.why, Why::Throttled(_))
    }
}

impl<E: ProvideErrorMetadata> Throttled for SdkError<E, HttpResponse> {
    fn is_throttled(&self) -> bool {
        failure(self).is_throttled()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn throttled() -> Failure {
        Failure { code: "Throttling".to_owned(), message: String::new(), retryable: true }
    }

    #[tokio::test]
    async fn it_tries_on_while_throttled_and_there_is_time() {
        let patience = Patience::until(Instant::now() + Duration::from_secs(5));
        let mut answers = vec![Ok(1), Err(throttled()), Err(throttled())];
        let answer = patience.with(|| std::future::ready(answers.pop().unwrap())).await;
        assert_eq!((answer, patience.waits()), (Ok(1), 2));
        let other = Failure { code: "AccessDenied".to_owned(), ..throttled() };
        let answer = patience.with(|| std::future::ready(Err::<(), _>(other.clone()))).await;
        assert_eq!((answer, patience.waits()), (Err(other), 2));
    }

    #[tokio::test]
    async fn what_is_urgent_is_asked_for_more_often() {
        let tries = async |is_urgent: bool| {
            let patience = Patience::until(Instant::now() + Duration::from_millis(1_300));
            let mut tries = 0;
            let call = || {
                tries += 1;
                std::future::ready(Err::<(), _>(throttled()))
            };
            let answer = if is_urgent { patience.urgently(call).await } else { patience.with(call).await };
            assert_eq!(answer, Err(throttled()));
            tries
        };
        let (urgent, calm) = tokio::join!(tries(true), tries(false));
        assert!(urgent >= 2 * calm, "{urgent} tries, and {calm}");
    }

    #[tokio::test]
    async fn without_time_the_first_answer_counts() {
        for patience in [Patience::default(), Patience::until(Instant::now())] {
            let answer = patience.with(|| std::future::ready(Err::<(), _>(throttled()))).await;
            assert_eq!((answer, patience.waits()), (Err(throttled()), 0));
        }
    }
}
