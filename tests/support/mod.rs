//! What the tests of events share: settings, the samples, and an event of every GuardDuty type.

#![allow(dead_code, reason = "each test binary uses its part")]
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at the first surprise")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use domain::settings::Settings;
use serde_json::{Value, json};

/// The settings of the samples, with these on top.
pub(crate) fn settings(part: &str, more: &[(&str, &str)]) -> Settings {
    let base = [
        ("PART", part),
        ("MODE", "enforce"),
        ("EXTERNAL_ID", "an-external-id-of-the-tests"),
        ("RESPONDER_ROLE_ARN", "arn:aws:iam::999988887777:role/iam-responder"),
        ("AWS_REGION", "us-east-1"),
        ("LEDGER_TABLE", "ledger"),
        ("SIMULATION", "true"),
        ("DRILL_ACCOUNT", "111122223333"),
        ("TRUSTED_PRODUCTS", "product/aws/*,product/prowler/prowler,product/*/default"),
        ("TRUSTED_CREATORS", "arn:aws:iam::*:role/Terraform"),
        ("CUSTOM_ACTION_ARN", "arn:aws:securityhub:us-east-1:999988887777:action/custom/ContainIdentity"),
    ];
    let all: BTreeMap<_, _> = base.into_iter().chain(more.iter().copied()).collect();
    Settings::from_lookup(|name| all.get(name).map(|it| (*it).to_owned())).unwrap()
}

pub(crate) fn files(folder: &str) -> Vec<(String, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|it| it.unwrap().path()).collect();
    // Beside the events lie what is made into some, and the script that makes them new.
    paths.retain(|it| it.extension().is_some_and(|it| it == "json"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        (name, serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    };
    paths.into_iter().map(read).collect()
}

pub(crate) fn sample(name: &str) -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("events/{name}.json"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Every type of the checked-in list, retired ones included.
pub(crate) fn guardduty_types() -> Vec<String> {
    let list = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/domain/sources/guardduty_types.txt");
    let text = std::fs::read_to_string(list).unwrap();
    let types = text.lines().filter(|it| !it.is_empty() && !it.starts_with('#'));
    types.map(|it| it.trim_start_matches('-').to_owned()).collect()
}

/// How a finding arrives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    Native,
    /// Security Hub's, with GuardDuty's slash as this.
    Hub(char),
    V2,
}

impl Shape {
    pub(crate) const ALL: [Self; 5] = [Self::Native, Self::Hub('-'), Self::Hub('.'), Self::Hub('/'), Self::V2];
}

/// A finding of the type about alice, in the shape in which it arrives.
pub(crate) fn event(kind: &str, severity: f64, shape: Shape) -> Value {
    const BASE: &str = "guardduty-exfiltration-iam-user-anomalous-behavior";
    match shape {
        Shape::Native => {
            let mut event = sample(BASE);
            event["detail"]["type"] = json!(kind);
            event["detail"]["severity"] = json!(severity);
            event
        }
        Shape::Hub(slash) => {
            let mut event = sample(&format!("security-hub-{BASE}"));
            let finding = &mut event["detail"]["findings"][0];
            let at = kind.find('/').unwrap();
            let types = json!([format!("TTPs/Initial Access/{}{slash}{}", &kind[..at], &kind[at + 1..])]);
            finding["Types"] = types;
            finding["Severity"] = json!({"Label": label(severity)});
            event
        }
        Shape::V2 => {
            let mut event = sample(&format!("security-hub-v2-{BASE}"));
            let finding = &mut event["detail"]["findings"][0];
            finding["finding_info"]["types"] = json!(["Threats", kind]);
            let id = match severity {
                it if it >= 9.0 => 5,
                it if it >= 7.0 => 4,
                it if it >= 4.0 => 3,
                _ => 2,
            };
            finding["severity_id"] = json!(id);
            event
        }
    }
}

fn label(severity: f64) -> &'static str {
    match severity {
        it if it >= 9.0 => "CRITICAL",
        it if it >= 7.0 => "HIGH",
        it if it >= 4.0 => "MEDIUM",
        _ => "LOW",
    }
}
