//! SNS: the alert that a person reads on a phone.

use aws_sdk_sns::operation::RequestId;
use aws_sdk_sns::types::MessageAttributeValue;

use super::Scene;
use crate::action::{Action, Outcome};
use crate::aws_error::failure;
use crate::config::Config;
use crate::report::{Summary, attributes};
use crate::text;

pub(super) fn plan(config: &Config) -> Option<Action> {
    config.alert_topic_arn.clone().map(|topic| Action::PublishAlert { topic })
}

pub(super) async fn publish(scene: &Scene<'_>, summary: &Summary<'_>, topic: &str) -> Outcome {
    let mut request = scene.home.sns.publish().topic_arn(topic);
    request = request.subject(text::subject(&subject(summary))).message(summary.message());
    for (name, value) in attributes(summary) {
        let value = MessageAttributeValue::builder().data_type("String").string_value(value).build();
        match value {
            Ok(value) => request = request.message_attributes(name, value),
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

/// The verdict before the name: a phone shows the beginning.
fn subject(summary: &Summary) -> String {
    let (verdict, account) = (summary.verdict().words(), &summary.finding.account);
    format!("{}: {verdict}: {} ({account})", summary.playbook.title, summary.name())
}
