//! EventBridge: an event of our own on the account's bus. A drill sends one, and what faces the
//! internet wakes the responder.

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use domain::outcome::Failure;
use serde_json::Value;

use crate::accounts::Home;
use crate::errors::failure;

/// What sending one takes.
pub const PERMISSION: &str = "events:PutEvents";

pub async fn put(home: &Home, source: &str, detail_type: &str, detail: &Value) -> Result<(), Failure> {
    let entry = PutEventsRequestEntry::builder().source(source).detail_type(detail_type).detail(detail.to_string());
    let sent = home.events().put_events().entries(entry.build()).send().await.map_err(|it| failure(&it))?;
    // PutEvents succeeds as a call even where it took nothing.
    match sent.entries().iter().find_map(|it| it.error_code()) {
        Some(code) => Err(Failure { code: code.to_owned(), message: String::new(), retryable: true }),
        None => Ok(()),
    }
}
