//! Hands a fight on, or the report about whom was contained: the function invokes itself or the investigating one, and
//! does not wait.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use domain::containment::relay::Relay;
use domain::outcome::Failure;
use serde_json::json;

use crate::accounts::Home;
use crate::errors::failure;

/// What handing on needs, on the function itself.
pub const PERMISSION: &str = "lambda:InvokeFunction";

/// Asks the investigating function for a report, and does not wait for it.
pub async fn ask_for_report(home: &Home, function: &str, command: &str) -> Result<(), Failure> {
    let payload = Blob::new(command);
    let request = home.lambda().invoke().function_name(function).invocation_type(InvocationType::Event);
    request.payload(payload).send().await.map(|_| ()).map_err(|it| failure(&it))
}

/// Invokes the function with what it needs to go on.
pub async fn hand_over(home: &Home, function: &str, relay: &Relay) -> Result<(), Failure> {
    let payload = Blob::new(json!({"continue": relay}).to_string());
    let request = home.lambda().invoke().function_name(function).invocation_type(InvocationType::Event);
    request.payload(payload).send().await.map(|_| ()).map_err(|it| failure(&it))
}
