//! SNS: the alert that a person reads on a phone.

use aws_sdk_sns::operation::RequestId;
use aws_sdk_sns::types::MessageAttributeValue;

use super::Scene;
use crate::accounts::Home;
use crate::action::{Action, Outcome};
use crate::aws_error::failure;
use crate::config::Config;
use crate::report::{Summary, attributes};
use crate::text;

pub(super) fn plan(config: &Config) -> Option<Action> {
    config.alert_topic_arn.clone().map(|topic| Action::PublishAlert { topic })
}

pub(super) async fn publish(scene: &Scene<'_>, summary: &Summary<'_>, topic: &str) -> Outcome {
    send(scene.home, topic, &subject(summary), summary.message(), &attributes(summary)).await
}

/// Publishes a text that is safe already, with attributes that subscribers filter by.
pub(crate) async fn send(
    home: &Home,
    topic: &str,
    subject: &str,
    message: String,
    attributes: &[(&'static str, String)],
) -> Outcome {
    let mut request = home.sns.publish().topic_arn(topic).subject(text::subject(subject)).message(message);
    for (name, value) in attributes {
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

/// The verdict before the name: a phone shows the beginning.
fn subject(summary: &Summary) -> String {
    let (verdict, account) = (summary.verdict().words(), &summary.finding.account);
    format!("{}: {verdict}: {} ({account})", summary.playbook.title, summary.name())
}
