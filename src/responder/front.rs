//! What faces the internet: one request of a Function URL, one answer. `front` says what is to be done, this does it:
//! secrets, a few items of the ledger, and the event that wakes the responder.
//!
//! INVARIANT: no failure becomes a success for the caller, and none tells a reason; nothing here can touch an
//! identity, or anything of the ledger but requests, who acknowledged alerts, and the form's counters. `tests/test_front.py` holds it.

use std::time::{Duration, SystemTime};

use aws_lambda_events::lambda_function_urls::{LambdaFunctionUrlRequest, LambdaFunctionUrlResponse};
use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::events;
use clients::ledger::Ledger;
use clients::parameters::Parameters;
use clients::round_trips::CallLog;
use domain::ids::RequestId;
use domain::settings::{Front, SettingsError};
use serde_json::{Value, json};

use crate::invocation::Error;

mod form;
mod slack;

/// The source of the event that wakes the responder, of which that believes the request's ID alone.
pub const SOURCE: &str = "iam-responder.front";
pub const DETAIL_TYPE: &str = "Request";

/// What lives as long as the process.
pub struct Entrance {
    /// Kept when they are invalid: every request then fails, and the log names all the problems.
    pub settings: Result<Front, SettingsError>,
    pub aws: Aws,
}

/// What one request works with.
struct Desk {
    home: Home,
    ledger: Ledger,
    parameters: Parameters,
}

/// Answers one request. An error is a bare 502 for the caller.
pub async fn answer(
    entrance: &Entrance,
    event: LambdaFunctionUrlRequest,
    request_id: &str,
) -> Result<LambdaFunctionUrlResponse, Error> {
    let settings = entrance.settings.as_ref().map_err(Clone::clone)?;
    let home = Home::new(&entrance.aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), settings.ledger_table(), request_id);
    let desk = Desk { parameters: home.parameters(), home, ledger };
    let answered = async {
        match settings {
            Front::Form(settings) => form::answer(&desk, settings, event, request_id).await,
            Front::Slack(settings) => slack::answer(&desk, settings, event).await,
        }
    };
    Ok(entrance.aws.during(Box::pin(answered)).await.into())
}

impl Desk {
    /// Should it fail, the list of what is due finds the request within two minutes.
    async fn wake_responder(&self, request: &RequestId, within: Duration) {
        self.wake(request, json!({"request": request}), within).await;
    }

    /// The same for an alert that somebody acknowledged: it is found when it would have been repeated.
    async fn wake_for_alert(&self, alert: &RequestId, within: Duration) {
        self.wake(alert, json!({"alert": alert}), within).await;
    }

    async fn wake(&self, id: &RequestId, detail: Value, within: Duration) {
        let sent = tokio::time::timeout(within, events::put(&self.home, SOURCE, DETAIL_TYPE, &detail)).await;
        let why = match sent {
            Ok(Ok(())) => return,
            Ok(Err(failure)) => failure.to_string(),
            Err(_) => "no answer in time".to_owned(),
        };
        tracing::warn!(request = id.as_str(), "the responder was not woken, and looks by itself: {why}");
    }
}

fn now() -> DateTime {
    SystemTime::now().into()
}
