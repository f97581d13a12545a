//! CloudWatch metrics by way of the log: one line in the embedded metric format, and no call.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use serde_json::{Map, Value, json};

use crate::report::{Report, Verdict};

pub const NAMESPACE: &str = "IamResponder";

/// Every metric and its unit. The template's alarms and dashboard are compared with it by a test.
pub const METRICS: &[(&str, &str)] = &[
    ("BehaviourToEvent", "Milliseconds"),
    ("TimeToBarrier", "Milliseconds"),
    ("TimeToContain", "Milliseconds"),
    ("Contained", "Count"),
    ("NotContained", "Count"),
    ("Refused", "Count"),
    ("Deferred", "Count"),
    ("Reversals", "Count"),
    ("Failures", "Count"),
];

/// What one response adds; nothing for one that another invocation makes, or that changed nothing on
/// purpose.
pub fn line(report: &Report, failures: usize, now_millis: i64) -> Option<Value> {
    let counted = match report.verdict {
        Verdict::Contained | Verdict::SuspectsOpen => "Contained",
        // What was not seen to be contained is not.
        Verdict::NotContained | Verdict::Unverified => "NotContained",
        Verdict::Refused => "Refused",
        Verdict::Deferred => "Deferred",
        Verdict::Observed | Verdict::InProgress => return None,
    };
    let mut values = Map::new();
    let mut put = |name: &str, value: Option<Value>| {
        if let Some(value) = value {
            values.insert(name.to_owned(), value);
        }
    };
    put(counted, Some(json!(1)));
    put("BehaviourToEvent", report.timings_ms.behaviour_to_start.filter(|it| *it >= 0).map(Value::from));
    put("TimeToBarrier", report.timings_ms.first_barrier.map(Value::from));
    put("TimeToContain", (counted == "Contained").then(|| json!(report.timings_ms.verdict)));
    put("Reversals", Some(json!(report.times_undone)));
    put("Failures", Some(json!(failures)));
    let metrics: Vec<_> = METRICS
        .iter()
        .filter(|(name, _)| values.contains_key(*name))
        .map(|(name, unit)| json!({"Name": name, "Unit": unit}))
        .collect();
    values.insert("Playbook".to_owned(), json!(report.playbook));
    values.insert("Account".to_owned(), json!(report.account));
    let directive = json!({
        "Namespace": NAMESPACE,
        "Dimensions": [[], ["Playbook"], ["Playbook", "Account"]],
        "Metrics": metrics,
    });
    values.insert("_aws".to_owned(), json!({"Timestamp": now_millis, "CloudWatchMetrics": [directive]}));
    Some(Value::Object(values))
}
