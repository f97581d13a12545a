//! The templates against the settings that the code reads, the README and the other documents.

use std::collections::BTreeSet;
use std::path::Path;

use domain::containment::playbooks;
use domain::settings::{Front, Settings};
use serde_json::Value;

use crate::{TEMPLATES, resource};

/// Every function of the template, and which part it is.
const FUNCTIONS: [(&str, &str); 8] = [
    ("Responder", "responder"),
    ("Hygiene", "hygiene"),
    ("Restorer", "restorer"),
    ("Driller", "driller"),
    ("Form", "form"),
    ("SlackEndpoint", "slack"),
    ("Sweeper", "sweeper"),
    ("Investigator", "investigator"),
];

fn document(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

fn environment(function: &str) -> BTreeSet<String> {
    let variables = &resource("template", function)["Environment"]["Variables"];
    variables.as_object().unwrap().keys().cloned().collect()
}

/// The names that a function's code reads: `settings` is the only place that knows them.
fn settings(part: &str) -> BTreeSet<String> {
    let asked = std::cell::RefCell::new(BTreeSet::new());
    let lookup = |name: &str| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "PART").then(|| part.to_owned())
    };
    if Front::from_lookup(lookup).is_none() {
        let _ = Settings::from_lookup(lookup);
    }
    // Lambda sets the region and the function's name.
    asked.into_inner().into_iter().filter(|it| !it.starts_with("AWS_")).collect()
}

#[test]
fn the_template_sets_what_each_function_reads_and_nothing_else() {
    for (function, part) in FUNCTIONS {
        assert_eq!(environment(function), settings(part), "{function}");
    }
}

#[test]
fn the_documents_list_every_setting() {
    let rows = document("docs/configuration.md");
    let rows = rows.lines().filter_map(|it| it.strip_prefix("| `")).filter_map(|it| it.split_once('`'));
    let listed: BTreeSet<String> =
        rows.map(|(name, _)| name.to_owned()).filter(|it| it.to_uppercase() == *it).collect();
    let read: BTreeSet<_> = FUNCTIONS.into_iter().flat_map(|it| settings(it.1)).collect();
    assert_eq!(listed, read);
}

#[test]
fn the_readme_lists_every_playbook() {
    let readme = document("README.md");
    for playbook in playbooks::ALL {
        let row = readme.lines().find(|it| it.starts_with(&format!("| `{}` |", playbook.id)));
        let row = row.unwrap_or_default();
        assert!(!row.is_empty(), "no row for {}", playbook.id);
        let escalations = [
            (playbooks::Escalation::Rotation, "rotation runbook"),
            (playbooks::Escalation::Incident, "incident"),
            (playbooks::Escalation::SecurityHub, "Security Hub"),
            (playbooks::Escalation::Alert, "alert"),
        ];
        for (escalation, words) in escalations {
            assert_eq!(playbook.escalation.contains(&escalation), row.contains(words), "{}: {words}", playbook.id);
        }
    }
}

#[test]
fn the_documented_stack_set_has_the_parameters_that_there_are() {
    let deploy = document("docs/deploy.md");
    let given: BTreeSet<&str> =
        deploy.split("ParameterKey=").skip(1).filter_map(|it| it.split_once(',')).map(|it| it.0).collect();
    let parameters = TEMPLATES["member"]["Parameters"].as_object().unwrap();
    assert!(given.iter().all(|it| parameters.contains_key(*it)), "{given:?}");
    for (name, _) in parameters.iter().filter(|(_, it)| it["Default"].is_null()) {
        assert!(given.contains(name.as_str()), "{name}");
    }
}

/// An alarm or a widget on a metric that nobody writes would stay silent for ever.
#[test]
fn alarms_and_dashboard_are_about_metrics_that_there_are() {
    let written: BTreeSet<&str> = iam_responder::metrics::METRICS.iter().map(|(name, _)| *name).collect();
    let resources = TEMPLATES["template"]["Resources"].as_object().unwrap();
    let alarms: Vec<_> = resources.values().filter(|it| it["Type"] == "AWS::CloudWatch::Alarm").collect();
    for alarm in alarms.iter().map(|it| &it["Properties"]) {
        assert_eq!(alarm["AlarmActions"][0]["Ref"], "AlertTopic");
        if alarm["Namespace"] == iam_responder::metrics::NAMESPACE {
            assert!(written.contains(alarm["MetricName"].as_str().unwrap()), "{alarm}");
        }
    }
    let body = resource("template", "Dashboard")["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    let body: Value = serde_json::from_str(body).unwrap();
    let mut shown = BTreeSet::new();
    for metric in
        body["widgets"].as_array().unwrap().iter().filter_map(|it| it["properties"]["metrics"].as_array()).flatten()
    {
        if metric[0] == iam_responder::metrics::NAMESPACE {
            shown.insert(metric[1].as_str().unwrap());
        }
    }
    assert_eq!(shown, written);
    assert_eq!(body["widgets"][0]["properties"]["metrics"][0][1], "TimeToContain");
    let operations = document("docs/operations.md");
    let members = TEMPLATES["member"]["Resources"].as_object().unwrap();
    for (name, _) in resources.iter().chain(members).filter(|(_, it)| it["Type"] == "AWS::CloudWatch::Alarm") {
        assert!(operations.contains(&format!("`{name}`")), "{name} is not in docs/operations.md");
    }
}
