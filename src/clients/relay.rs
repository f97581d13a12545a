//! Hands a fight on: the function invokes itself, and does not wait.

use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use domain::containment::relay::Relay;
use domain::outcome::Failure;
use serde_json::json;

use crate::accounts::Home;
use crate::errors::failure;

/// What handing on needs, on the function itself.
pub const PERMISSION: &str = "lambda:InvokeFunction";

/// Invokes the function with what it needs to go on.
pub async fn hand_over(home: &Home, function: &str, relay: &Relay) -> Result<(), Failure> {
    let payload = Blob::new(json!({"continue": relay}).to_string());
    let request = home.lambda().invoke().function_name(function).invocation_type(InvocationType::Event);
    request.payload(payload).send().await.map(|_| ()).map_err(|it| failure(&it))
}
