//! The templates against the settings that the code reads, the README and the other documents.

use std::collections::BTreeSet;
use std::path::Path;

use domain::containment::playbooks;
use domain::settings::{Front, Settings};
use domain::sources::decode;
use serde_json::{Value, json};

use crate::{TEMPLATES, resource, support};

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

/// How the documents call the functions.
const CALLED: [(&str, &str); 5] = [
    ("$FUNCTION", "responder"),
    ("$RESTORER", "restorer"),
    ("$DRILLER", "driller"),
    ("$SWEEPER", "sweeper"),
    ("$INVESTIGATOR", "investigator"),
];

/// The README and the documents, with what a pipe continues in one line.
fn documents() -> Vec<(String, String)> {
    let docs = std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")).unwrap();
    let names = docs.map(|it| format!("docs/{}", it.unwrap().file_name().into_string().unwrap()));
    let names = names.filter(|it| it.ends_with(".md")).chain(["README.md".to_owned()]);
    names.map(|it| (it.clone(), document(&it).replace("|\n", "| "))).collect()
}

/// As somebody would fill it in.
fn filled_in(payload: &str) -> Value {
    let mut payload: Value = serde_json::from_str(&payload.replace(":…", ":\"…\"")).unwrap();
    for (field, value) in payload.as_object_mut().unwrap() {
        let placed = match field.as_str() {
            "account" => "111122223333",
            "user" => "alice",
            "access_key" => "AKIAIOSFODNN7EXAMPLE",
            "suspect" => "AIDACKCEVSQ6C2EXAMPLE",
            "request" | "alert" => "abcdefghijklmnopqrstuvwxyz",
            _ => continue,
        };
        if value.as_str().is_some_and(|it| it.ends_with('…')) {
            *value = placed.into();
        }
    }
    payload
}

fn is_decoded(payload: &Value, part: &str) -> bool {
    let decoded = decode(payload, &support::settings(part, &[]));
    decoded.malformed.is_empty() && (decoded.command.is_some() || !decoded.findings.is_empty())
}

#[test]
fn every_payload_of_a_documented_command_is_one_that_its_function_decodes() {
    let mut called = BTreeSet::new();
    for (name, text) in documents() {
        for line in text.lines().filter(|it| it.contains("aws lambda invoke ")) {
            let is_called = |function: &str| line.contains(&format!("--function-name {function} "));
            let Some((function, part)) = CALLED.into_iter().find(|it| is_called(it.0)) else { continue };
            let file = line.split_once("fileb://events/").and_then(|it| it.1.split_once(' '));
            let payload = match file {
                Some((file, _)) => serde_json::from_str(&document(&format!("events/{file}"))).unwrap(),
                None => filled_in(line.split('\'').find(|it| it.starts_with('{')).unwrap_or(line)),
            };
            assert!(is_decoded(&payload, part), "{name}: {line}");
            called.insert(function);
        }
    }
    assert_eq!(called.len(), CALLED.len(), "{called:?}");
}

/// Of its input the state machine reads the day; what a person releases, it hands on.
#[test]
fn what_a_documented_start_of_the_sweep_releases_is_what_its_function_decodes() {
    let mut seen = 0;
    for (name, text) in documents() {
        for line in text.lines().filter(|it| it.contains("aws stepfunctions start-execution ")) {
            let input: Value = serde_json::from_str(line.split('\'').nth(1).unwrap()).unwrap();
            let payload = json!({
                "command": "sweep-release", "day": input["scheduled"], "execution": "e", "release": input["release"],
            });
            assert!(is_decoded(&payload, "hygiene"), "{name}: {line}");
            seen += 1;
        }
    }
    assert!(seen > 0);
}

/// What is named in the text stands for a whole payload too.
#[test]
fn every_command_that_the_documents_name_is_one_that_a_function_decodes() {
    let mut seen = 0;
    for (name, text) in documents() {
        for payload in text.split('`').filter(|it| it.starts_with("{\"command\"")) {
            let filled_in = filled_in(payload);
            assert!(CALLED.into_iter().any(|it| is_decoded(&filled_in, it.1)), "{name}: {payload}");
            seen += 1;
        }
    }
    assert!(seen > 5, "{seen}");
}
