//! Incident Manager where there is a response plan, an OpsItem where there is none: AWS closed
//! Incident Manager to new customers in November 2025.
//! <https://docs.aws.amazon.com/incident-manager/latest/userguide/incident-manager-availability-change.html>

use std::collections::HashMap;

use aws_sdk_ssm::types::{OpsItemDataType, OpsItemDataValue};
use aws_sdk_ssmincidents::types::{ItemIdentifier, ItemType, ItemValue, RelatedItem, TriggerDetails};
use domain::containment::message::Message;
use domain::outcome::Outcome;
use domain::text;
use serde_json::json;

use crate::errors::{failure, is};

pub async fn start(incidents: &aws_sdk_ssmincidents::Client, response_plan: &str, message: &Message) -> Outcome {
    let fields = &message.incident;
    let trigger = TriggerDetails::builder().source("iam-responder").timestamp(fields.seen).raw_data(&fields.raw);
    let trigger = trigger.set_trigger_arn(fields.trigger_arn.clone());
    let not_built = || Outcome::Skipped { reason: "the incident could not be built".to_owned() };
    let Ok(trigger) = trigger.build() else {
        return not_built();
    };
    let mut request = incidents.start_incident().response_plan_arn(response_plan).client_token(&fields.token);
    request = request.title(text::line(&message.headline, 200)).impact(message.impact).trigger_details(trigger);
    for (title, arn) in &fields.related {
        let value = ItemValue::Arn(arn.clone());
        let identifier = ItemIdentifier::builder().r#type(ItemType::InvolvedResource).value(value).build();
        let Ok(identifier) = identifier else { return not_built() };
        request = request.related_items(RelatedItem::builder().identifier(identifier).title(*title).build());
    }
    match request.send().await {
        Ok(output) => Outcome::Applied { detail: output.incident_record_arn().to_owned() },
        Err(error) => Outcome::Failed(failure(&error)),
    }
}

/// One OpsItem for a principal as long as it is open: OpsCenter knows by the deduplication string.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/OpsCenter-working-deduplication.html>
pub async fn open_ops_item(ssm: &aws_sdk_ssm::Client, message: &Message) -> Outcome {
    let searchable =
        |value: String| OpsItemDataValue::builder().value(value).r#type(OpsItemDataType::SearchableString).build();
    let dedup = json!({"dedupString": message.incident.dedup}).to_string();
    let mut data = HashMap::from([("/aws/dedup".to_owned(), searchable(dedup))]);
    let resources: Vec<_> = message.incident.related.iter().map(|(_, arn)| json!({"arn": arn})).collect();
    if !resources.is_empty() {
        data.insert("/aws/resources".to_owned(), searchable(json!(resources).to_string()));
    }
    let request = ssm.create_ops_item().source("iam-responder").category("Security");
    let request = request.title(text::line(&message.headline, 1_024)).description(text::cut(&message.text, 2_048));
    match request.severity(message.impact.to_string()).set_operational_data(Some(data)).send().await {
        Ok(output) => Outcome::Applied { detail: output.ops_item_id().unwrap_or("opened").to_owned() },
        Err(error) if is(&error, "OpsItemAlreadyExistsException") => {
            Outcome::AlreadyDone { detail: "one is open already".to_owned() }
        }
        Err(error) => Outcome::Failed(failure(&error)),
    }
}
