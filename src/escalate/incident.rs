//! Incident Manager where there is a response plan, an OpsItem where there is none: AWS closed
//! Incident Manager to new customers in November 2025.
//! <https://docs.aws.amazon.com/incident-manager/latest/userguide/incident-manager-availability-change.html>

use std::collections::HashMap;

use aws_sdk_ssm::types::{OpsItemDataType, OpsItemDataValue};
use aws_sdk_ssmincidents::types::{ItemIdentifier, ItemType, ItemValue, RelatedItem, TriggerDetails};
use serde_json::json;

use super::{Scene, incident_token};
use crate::action::{Action, Outcome};
use crate::aws_error::{failure, is};
use crate::config::Config;
use crate::finding::{Arn, Severity};
use crate::report::{Summary, Verdict};
use crate::text;

pub(super) fn plan(config: &Config) -> Option<Action> {
    match &config.response_plan_arn {
        Some(plan) => Some(Action::StartIncident { response_plan: plan.clone() }),
        None => config.ops_items.then_some(Action::OpenOpsItem),
    }
}

/// 1 is critical: also whatever could not be contained.
fn impact(summary: &Summary) -> i32 {
    match summary.verdict() {
        Verdict::NotContained | Verdict::Unverified | Verdict::SuspectsOpen => 1,
        _ if !summary.record.reversals.is_empty() => 1,
        Verdict::Contained | Verdict::Refused | Verdict::Observed | Verdict::InProgress | Verdict::Deferred => {
            match summary.finding.severity {
                it if it >= Severity::CRITICAL => 1,
                it if it >= Severity::HIGH => 2,
                _ => 3,
            }
        }
    }
}

pub(super) async fn start(scene: &Scene<'_>, summary: &Summary<'_>, response_plan: &str) -> Outcome {
    let identity = summary.record.identity.as_ref();
    let raw = json!({
        "finding": text::line(&scene.finding.id, 1_000),
        "type": text::line(&scene.finding.kind, 200),
        "playbook": scene.playbook.id,
        "account": scene.finding.account,
        "verdict": summary.verdict(),
    });
    let seen = scene.finding.occurred_at.unwrap_or(scene.now);
    let mut trigger = TriggerDetails::builder().source("iam-responder").timestamp(seen).raw_data(raw.to_string());
    // Incident Manager refuses the whole request for an ARN of another form.
    let is_aws_arn = scene.finding.id.starts_with("arn:aws") && scene.finding.id.len() <= 1_000;
    if is_aws_arn && Arn::parse(&scene.finding.id).is_some() {
        trigger = trigger.trigger_arn(&scene.finding.id);
    }
    let not_built = || Outcome::Skipped { reason: "the incident could not be built".to_owned() };
    let Ok(trigger) = trigger.build() else {
        return not_built();
    };
    let mut request = scene.home.incidents.start_incident().response_plan_arn(response_plan);
    request = request.client_token(incident_token(scene.finding, identity, scene.now));
    request = request.title(text::line(&summary.headline(), 200)).impact(impact(summary)).trigger_details(trigger);
    for (title, arn) in related(summary) {
        let identifier =
            ItemIdentifier::builder().r#type(ItemType::InvolvedResource).value(ItemValue::Arn(arn)).build();
        let Ok(identifier) = identifier else { return not_built() };
        request = request.related_items(RelatedItem::builder().identifier(identifier).title(title).build());
    }
    match request.send().await {
        Ok(output) => Outcome::Applied { detail: output.incident_record_arn().to_owned() },
        Err(error) => Outcome::Failed(failure(&error)),
    }
}

fn related(summary: &Summary) -> Vec<(&'static str, String)> {
    let identity = summary.record.identity.iter().map(|it| ("The contained identity", it.arn.clone()));
    let creator = summary.finding.creator.iter().map(|it| ("Who created it", it.clone()));
    identity.chain(creator).filter(|(_, arn)| Arn::parse(arn).is_some()).collect()
}

/// One OpsItem for a principal as long as it is open: OpsCenter knows by the deduplication string.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/OpsCenter-working-deduplication.html>
pub(super) async fn open_ops_item(scene: &Scene<'_>, summary: &Summary<'_>) -> Outcome {
    let identity = summary.record.identity.as_ref();
    let principal = identity.map_or_else(|| scene.finding.principal.claim_key(), |it| it.id.to_string());
    let text_data =
        |value: String, kind: OpsItemDataType| OpsItemDataValue::builder().value(value).r#type(kind).build();
    let dedup = json!({"dedupString": format!("iam-responder/{}/{principal}", scene.finding.account)}).to_string();
    let mut data = HashMap::from([("/aws/dedup".to_owned(), text_data(dedup, OpsItemDataType::SearchableString))]);
    let resources: Vec<_> = related(summary).into_iter().map(|(_, arn)| json!({"arn": arn})).collect();
    if !resources.is_empty() {
        data.insert(
            "/aws/resources".to_owned(),
            text_data(json!(resources).to_string(), OpsItemDataType::SearchableString),
        );
    }
    let request = scene.home.ssm.create_ops_item().source("iam-responder").category("Security");
    let request =
        request.title(text::line(&summary.headline(), 1_024)).description(text::cut(&summary.message(), 2_048));
    match request.severity(impact(summary).to_string()).set_operational_data(Some(data)).send().await {
        Ok(output) => Outcome::Applied { detail: output.ops_item_id().unwrap_or("opened").to_owned() },
        Err(error) if is(&error, "OpsItemAlreadyExistsException") => {
            Outcome::AlreadyDone { detail: "one is open already".to_owned() }
        }
        Err(error) => Outcome::Failed(failure(&error)),
    }
}
