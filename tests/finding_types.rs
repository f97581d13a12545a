//! GuardDuty's types, all of them: each has a row, the same answer in whichever shape it arrives, and what
//! contains by default is a snapshot.

#![expect(clippy::panic, reason = "a test ends at the first surprise")]

mod support;

use std::collections::BTreeMap;

use domain::settings::Settings;
use domain::sources::decode;
use domain::sources::guardduty_types::{GuardDutyType, Says};
use domain::told::Told;
use support::{Shape, event, guardduty_types, settings};

/// What becomes of a finding of the type, in a word.
fn answer(kind: &str, severity: f64, shape: Shape, settings: &Settings) -> String {
    let decoded = decode(&event(kind, severity, shape), settings);
    assert!(decoded.malformed.is_empty(), "{kind} as {shape:?}: {:?}", decoded.malformed);
    match (decoded.findings.as_slice(), decoded.told.as_slice(), decoded.ignored.as_slice()) {
        ([finding], [], []) => {
            assert_eq!(finding.kind, kind);
            "CONTAIN".to_owned()
        }
        ([], [Told::Finding(told)], []) => {
            assert_eq!(told.finding.kind, kind);
            told.urgency.to_string()
        }
        ([], [], [reason]) => {
            assert!(reason.contains("is not about IAM credentials"), "{reason}");
            "counted".to_owned()
        }
        _ => panic!("{kind} as {shape:?}: {decoded:?}"),
    }
}

const SEVERITIES: [f64; 4] = [2.0, 5.0, 8.0, 9.0];

#[test]
fn every_type_has_a_row() {
    let types = guardduty_types();
    assert!(types.len() > 200);
    for kind in types {
        let parsed = GuardDutyType::parse(&kind).unwrap_or_else(|| panic!("{kind}"));
        assert!(parsed.row().is_some(), "no row for {kind}");
        assert_eq!(parsed.to_string(), kind);
    }
}

/// From LOW to CRITICAL, with the defaults. A change here is a change for every operator: what did not
/// contain yesterday must not contain after an upgrade.
#[test]
fn what_each_type_does_by_default() {
    let defaults = settings("responder", &[]);
    let mut answers = BTreeMap::new();
    for kind in guardduty_types() {
        let each = SEVERITIES.map(|it| answer(&kind, it, Shape::Native, &defaults));
        if each.iter().any(|it| it != "counted") {
            answers.insert(kind, each.join(", "));
        }
    }
    insta::assert_json_snapshot!("answers", answers);
}

/// The rule of the first release: whatever is about IAM users and credentials, from MIN_SEVERITY on.
#[test]
fn nothing_contains_by_default_that_did_not_before() {
    let defaults = settings("responder", &[]);
    for kind in guardduty_types() {
        let parsed = GuardDutyType::parse(&kind).unwrap();
        let did = parsed.purpose == "AttackSequence" || matches!(parsed.family.as_str(), "IAMUser" | "IAM");
        for severity in SEVERITIES {
            let does = answer(&kind, severity, Shape::Native, &defaults) == "CONTAIN";
            assert!(!does || (did && severity >= 7.0), "{kind} at {severity}");
        }
    }
}

#[test]
fn a_type_has_the_same_answer_in_every_shape() {
    let defaults = settings("responder", &[]);
    for kind in guardduty_types() {
        for severity in SEVERITIES {
            let native = answer(&kind, severity, Shape::Native, &defaults);
            for shape in Shape::ALL {
                assert_eq!(answer(&kind, severity, shape, &defaults), native, "{kind} at {severity} as {shape:?}");
            }
        }
    }
}

/// Whatever AWS adds: no type that names an identity is left without a word.
#[test]
fn a_type_that_is_not_known_yet_is_told() {
    let defaults = settings("responder", &[]);
    for (kind, low, high) in [
        ("Collection:IAMUser/SomethingNew", "hourly-digest", "CONTAIN"),
        ("Collection:IAM/SomethingNew", "hourly-digest", "alert"),
        ("Collection:DynamoDB/SomethingNew", "hourly-digest", "alert"),
        ("AttackSequence:DynamoDB/SomethingNew", "alert", "CONTAIN"),
        ("Policy:DynamoDB/SomethingNew", "daily-digest", "daily-digest"),
    ] {
        for shape in Shape::ALL {
            assert_eq!(answer(kind, 2.0, shape, &defaults), low, "{kind} as {shape:?}");
            assert_eq!(answer(kind, 8.0, shape, &defaults), high, "{kind} as {shape:?}");
        }
    }
}

#[test]
fn a_family_can_be_contained_by_setting() {
    let wanted = settings("responder", &[("FINDING_RESPONSES", "S3=contain@7,Kubernetes=count")]);
    assert_eq!(answer("Exfiltration:S3/AnomalousBehavior", 8.0, Shape::Native, &wanted), "CONTAIN");
    assert_eq!(answer("Exfiltration:S3/AnomalousBehavior", 5.0, Shape::Native, &wanted), "hourly-digest");
    let counted = decode(&event("Impact:Kubernetes/TorIPCaller", 8.0, Shape::Native), &wanted);
    assert!(counted.ignored[0].contains("FINDING_RESPONSES"), "{counted:?}");
    let wrong = std::panic::catch_unwind(|| settings("responder", &[("FINDING_RESPONSES", "S3=delete")]));
    assert!(wrong.is_err());
}

/// The table of docs/findings.md says of each kind what contains, what is told and what is counted.
#[test]
fn the_documents_say_what_each_kind_does() {
    let findings = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/findings.md")).unwrap();
    let defaults = settings("responder", &[]);
    for (says, example) in [
        (Says::Stolen, "UnauthorizedAccess:IAMUser/TorIPCaller"),
        (Says::Unusual, "Discovery:IAMUser/AnomalousBehavior"),
        (Says::Probing, "PenTest:IAMUser/KaliLinux"),
        (Says::Elsewhere, "Exfiltration:S3/AnomalousBehavior"),
        (Says::RootUse, "Policy:IAMUser/RootCredentialUsage"),
        (Says::Configuration, "Policy:S3/BucketPublicAccessGranted"),
        (Says::Nothing, "UnauthorizedAccess:EC2/SSHBruteForce"),
    ] {
        assert_eq!(GuardDutyType::parse(example).unwrap().row(), Some(says));
        let row = findings.lines().find(|it| it.starts_with(&format!("| {} |", says.words())));
        let row = row.unwrap_or_else(|| panic!("no row for {}", says.words()));
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let words = |severity| match answer(example, severity, Shape::Native, &defaults).as_str() {
            "CONTAIN" => "contained",
            "alert" => "alert",
            "daily-alert" => "one alert a day for each account",
            "hourly-digest" => "hourly digest",
            "daily-digest" => "daily digest",
            _ => "counted",
        };
        assert_eq!((cells[3], cells[4]), (words(8.0), words(5.0)), "{row}");
    }
    assert_eq!(Says::ALL.len(), 7);
}
