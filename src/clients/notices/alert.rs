//! SNS: the alert that a person reads on a phone.

use aws_sdk_sns::Client;
use aws_sdk_sns::operation::RequestId;
use aws_sdk_sns::types::MessageAttributeValue;
use domain::outcome::Outcome;
use domain::text;

use crate::errors::failure;

/// Publishes a text that is safe already, with attributes that subscribers filter by.
pub async fn publish(
    sns: &Client,
    topic: &str,
    subject: &str,
    message: &str,
    attributes: &[(&'static str, String)],
) -> Outcome {
    let mut request = sns.publish().topic_arn(topic).subject(text::subject(subject)).message(message);
    // SNS refuses the whole message for an attribute without a value.
    for (name, value) in attributes.iter().filter(|(_, value)| !value.trim().is_empty()) {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        match value {
            Ok(value) => request = request.message_attributes(*name, value),
            Err(_) => {
                return Outcome::Skipped { reason: format!("the attribute {name} could not be built") };
            }
        }
    }
    match request.send().await {
        Ok(output) => Outcome::Applied { detail: format!("request {}", output.request_id().unwrap_or("unknown")) },
        Err(error) => Outcome::Failed(failure(&error)),
    }
}
