//! CloudWatch metrics by way of the log: one line in the embedded metric format, and no call.
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>

use std::io::Write;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use domain::command::DrillKind;
use domain::containment::report::Report;
use domain::finding::Source;
use domain::verdict::Verdict;
use serde_json::{Map, Value, json};

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
    ("DrillPassed", "Count"),
    ("DrillTimeToContain", "Milliseconds"),
    ("DaysSinceDrill", "None"),
    ("CreationDrillPassed", "Count"),
    ("CreationDrillTimeToContain", "Milliseconds"),
    ("DaysSinceCreationDrill", "None"),
];

/// What one response adds; nothing for one that another invocation makes, that changed nothing on
/// purpose, or that was a drill, which is measured from outside.
pub fn of_response(report: &Report, failures: usize) -> Option<Value> {
    let counted = match report.verdict {
        _ if report.source == Source::Drill => return None,
        Verdict::Contained | Verdict::SuspectsOpen => "Contained",
        // What was not seen to be contained is not.
        Verdict::NotContained | Verdict::Unverified => "NotContained",
        Verdict::Refused => "Refused",
        Verdict::Deferred => "Deferred",
        Verdict::Observed | Verdict::InProgress | Verdict::Waiting => return None,
    };
    let times = &report.timings_ms;
    let values = [
        (counted, Some(json!(1))),
        ("BehaviourToEvent", times.behaviour_to_start.filter(|it| *it >= 0).map(Value::from)),
        ("TimeToBarrier", times.first_barrier.map(Value::from)),
        ("TimeToContain", (counted == "Contained").then(|| json!(times.verdict))),
        ("Reversals", Some(json!(report.times_undone))),
        ("Failures", Some(json!(failures))),
    ];
    let dimensions = [("Playbook", report.playbook), ("Account", report.account.as_str())];
    Some(line(values.into_iter(), &dimensions))
}

/// What a drill adds: whether it passed, where one was held.
pub fn of_drill(
    kind: DrillKind,
    has_passed: Option<bool>,
    key_stopped_after_ms: Option<u64>,
    days_since_passed: Option<f64>,
) -> Value {
    let [passed, time, days] = match kind {
        DrillKind::Reported => ["DrillPassed", "DrillTimeToContain", "DaysSinceDrill"],
        DrillKind::Created => ["CreationDrillPassed", "CreationDrillTimeToContain", "DaysSinceCreationDrill"],
    };
    let values = [
        (passed, has_passed.map(|it| json!(u8::from(it)))),
        (time, key_stopped_after_ms.map(Value::from)),
        (days, days_since_passed.map(Value::from)),
    ];
    line(values.into_iter(), &[])
}

/// Straight to the log: CloudWatch reads the line only as it is.
pub fn log(line: Option<Value>) {
    if let Some(line) = line {
        // A log that can't be written must not fail what was done.
        let _ = writeln!(std::io::stdout(), "{line}");
    }
}

fn line(values: impl Iterator<Item = (&'static str, Option<Value>)>, dimensions: &[(&str, &str)]) -> Value {
    let mut fields: Map<String, Value> = values.filter_map(|(name, value)| Some((name.to_owned(), value?))).collect();
    let unit = |name: &str| METRICS.iter().find(|(it, _)| *it == name).map_or("None", |(_, unit)| unit);
    let metrics: Vec<_> = fields.keys().map(|name| json!({"Name": name, "Unit": unit(name)})).collect();
    let names: Vec<_> = dimensions.iter().map(|(name, _)| *name).collect();
    // In all, and by each dimension within those before it.
    let sets: Vec<_> = (0..=names.len()).filter_map(|n| names.get(..n)).collect();
    let directive = json!({"Namespace": NAMESPACE, "Dimensions": sets, "Metrics": metrics});
    fields.extend(dimensions.iter().map(|(name, value)| ((*name).to_owned(), json!(value))));
    let now = DateTime::from(SystemTime::now()).to_millis().unwrap_or_default();
    fields.insert("_aws".to_owned(), json!({"Timestamp": now, "CloudWatchMetrics": [directive]}));
    Value::Object(fields)
}
