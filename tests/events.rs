//! Every sample and every bad input, decoded. Adding a file adds a test.
//!
//! `events/` holds what `sam local invoke` and the demo use: each decodes, and its finding,
//! playbook and plan are a snapshot. `tests/inputs/` holds what must change nothing, and why.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at the first surprise")]

mod support;

use std::collections::BTreeMap;
use std::sync::LazyLock;

use aws_smithy_types::DateTime;
use domain::containment::guard;
use domain::containment::playbooks::{self, Case};
use domain::finding::{Finding, Principal, Threat};
use domain::identity::{AccessKey, Contents, Identity, IdentityKind, Observed, Profile};
use domain::ids::{AccessKeyId, Parse, PrincipalName, UniqueId};
use domain::settings::{Options, Responder, Settings};
use domain::sources::{Decoded, decode};
use domain::told::Told;
use proptest::prelude::*;
use serde_json::{Value, json};
use support::files;

fn settings(part: &str) -> Settings {
    support::settings(part, &[])
}

fn responder() -> Responder {
    match settings("responder") {
        Settings::Responder(it) => *it,
        other => unreachable!("{other:?}"),
    }
}

/// The identity that the finding means, with two keys, three policies, two groups and an inline
/// policy, as IAM would show it.
fn victim(finding: &Finding) -> (Identity, Observed) {
    let (kind, name, id) = match &finding.principal {
        Principal::Role { name, id, .. } => (IdentityKind::Role, name, id),
        Principal::User { name, id } => (IdentityKind::User, name, id),
        _ => (IdentityKind::User, &None, &None),
    };
    let name = name.clone().unwrap_or_else(|| PrincipalName::parse("alice").unwrap());
    let id = id.clone().unwrap_or_else(|| UniqueId::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap());
    let key = |id| AccessKey { id: AccessKeyId::parse(id).unwrap(), active: true };
    let identity = Identity {
        kind,
        arn: format!("arn:{}:iam::{}:{}/{name}", finding.partition, finding.account, kind.word()),
        path: "/".to_owned(),
        created: Some(DateTime::from_secs(0)),
        name,
        id,
    };
    let observed = Observed {
        profile: Ok(Profile { boundary: None, tags: Vec::new(), trust: None }),
        keys: Ok(vec![key("AKIAIOSFODNN7EXAMPLE"), key("AKIAI44QH8DHBEXAMPLE")]),
        attached: Ok(["AdministratorAccess", "AmazonS3FullAccess", "IAMFullAccess"]
            .map(|it| format!("arn:aws:iam::aws:policy/{it}"))
            .to_vec()),
        inline: Ok(vec!["bucket".to_owned()]),
        groups: Ok(vec!["developers".to_owned(), "operators".to_owned()]),
        denying: Ok(Vec::new()),
        granting: Ok(Vec::new()),
        contents: Ok(Contents::new()),
        revoked_before: Ok(None),
        credentials: Ok(Vec::new()),
        login: Ok(true),
        mfa_devices: Ok(Vec::new()),
        not_a_revocation: None,
        is_held: Ok(false),
        is_deny_unclear: false,
    };
    (identity, observed)
}

fn response(finding: &Finding) -> Value {
    let playbook = playbooks::select(finding.threat).unwrap();
    let mut described = json!({"finding": finding, "playbook": playbook.id});
    if let Some(reason) = guard::refuse_target(&responder(), finding) {
        described["refused"] = json!(reason);
        return described;
    }
    let (identity, observed) = victim(finding);
    let case =
        Case { finding, identity: &identity, now: DateTime::from_secs(1_795_166_130), options: Options::default() };
    let words = |changes: Vec<_>| changes.iter().map(ToString::to_string).collect::<Vec<_>>();
    let plan = (playbook.plan)(&case, &observed);
    described["strike"] = json!(words((playbook.strike)(&case, &observed)));
    described["plan"] = json!(words(plan.changes));
    described["notes"] = json!(plan.notes);
    described
}

/// What people read, line by line.
fn words(told: &Told) -> Value {
    match told {
        Told::Finding(it) => {
            let alert = it.alert("iam-responder");
            let text: Vec<_> = alert.text.lines().collect();
            json!({"how": it.urgency.to_string(), "subject": alert.subject, "alert": text, "line": it.line()})
        }
        Told::Unreadable(it) => json!({"how": "unreadable", "alert": it.alert().text.lines().collect::<Vec<_>>()}),
    }
}

#[test]
fn every_sample_decodes_to_its_finding_playbook_and_plan() {
    let samples = files("events");
    assert!(samples.len() >= 12);
    for (name, payload) in samples {
        let part = if name.starts_with("command-restore") { "restorer" } else { "responder" };
        let Decoded { command, findings, told, ignored, malformed } = decode(&payload, &settings(part));
        if command.is_some() {
            insta::assert_debug_snapshot!(name, command);
            continue;
        }
        assert!(!(findings.is_empty() && told.is_empty()), "{name} gave no finding: {ignored:?} {malformed:?}");
        assert!(ignored.is_empty() && malformed.is_empty(), "{name}: {ignored:?} {malformed:?}");
        let told = told.iter().map(|it| json!({"told": words(it)}));
        let responses: Vec<_> = findings.iter().map(response).chain(told).collect();
        insta::assert_json_snapshot!(name, responses);
    }
}

#[test]
fn every_playbook_and_source_has_a_sample() {
    let findings: Vec<_> = files("events").iter().flat_map(|(_, it)| decode(it, &RESPONDER).findings).collect();
    // A planted key is learned of by a report, and by no event.
    for playbook in playbooks::ALL.iter().filter(|it| it.threat != Threat::PlantedKey) {
        assert!(findings.iter().any(|it| it.threat == playbook.threat), "no sample for {}", playbook.id);
    }
    let sources: std::collections::HashSet<_> = findings.iter().map(|it| it.source).collect();
    assert_eq!(sources.len(), 9, "{sources:?}");
}

#[test]
fn what_is_not_ours_is_ignored_with_a_reason() {
    let mut reasons = BTreeMap::new();
    for (name, payload) in files("tests/inputs/ignored") {
        let Decoded { findings, ignored, malformed, .. } = decode(&payload, &RESPONDER);
        assert!(findings.is_empty() && malformed.is_empty(), "{name}: {findings:?} {malformed:?}");
        reasons.insert(name, ignored);
    }
    insta::assert_json_snapshot!("ignored", reasons);
}

#[test]
fn what_is_malformed_names_its_field() {
    let mut problems = BTreeMap::new();
    for (name, payload) in files("tests/inputs/malformed") {
        let Decoded { findings, ignored, malformed, .. } = decode(&payload, &RESPONDER);
        assert!(findings.is_empty() && ignored.is_empty(), "{name}: {findings:?} {ignored:?}");
        problems.insert(name, malformed.iter().map(ToString::to_string).collect::<Vec<_>>());
    }
    insta::assert_json_snapshot!("malformed", problems);
}

#[test]
fn what_can_not_be_contained_is_refused_with_a_reason() {
    let mut reasons = BTreeMap::new();
    for (name, payload) in files("tests/inputs/refused") {
        let decoded = decode(&payload, &RESPONDER);
        let refusals: Vec<_> = decoded.findings.iter().map(|it| guard::refuse_target(&responder(), it)).collect();
        assert!(!refusals.is_empty() && refusals.iter().all(Option::is_some), "{name}: {decoded:?}");
        reasons.insert(name, refusals);
    }
    insta::assert_json_snapshot!("refused", reasons);
}

#[test]
fn simulations_count_only_when_they_are_on() {
    let mut off = responder();
    off.eligibility.simulation = false;
    off.eligibility.trusted_products.clear();
    let off = Settings::Responder(Box::new(off));
    for (name, payload) in files("events").into_iter().filter(|(name, _)| name.contains("simulation")) {
        let decoded = decode(&payload, &off);
        assert!(decoded.findings.is_empty() && !decoded.ignored.is_empty(), "{name}: {decoded:?}");
    }
}

/// What a person types by hand leaves out what the envelope says; GuardDuty leaves out nothing.
#[test]
fn only_a_simulation_takes_from_the_envelope_what_its_detail_leaves_out() {
    let samples: BTreeMap<_, _> = files("events").into_iter().collect();
    let mut event = samples["simulation-instance-credential-exfiltration-barest"].clone();
    let [finding] = &decode(&event, &RESPONDER).findings[..] else { panic!("no finding") };
    assert_eq!((finding.account.as_str(), finding.region.as_str()), ("111122223333", "us-east-1"));
    assert_eq!(finding.id, event["id"]);
    event["source"] = json!("aws.guardduty");
    let decoded = decode(&event, &RESPONDER);
    assert!(decoded.findings.is_empty() && !decoded.malformed.is_empty(), "{decoded:?}");
    event["source"] = json!("custom.guardduty.simulation");
    event["detail"]["accountId"] = json!(7);
    assert!(decode(&event, &RESPONDER).findings.is_empty(), "a field that is wrong is not one that is left out");
}

/// The user agent is the attacker's to choose.
#[test]
fn an_attacker_can_not_pass_for_a_sample() {
    let samples: BTreeMap<_, _> = files("events").into_iter().collect();
    let mut hub = samples["security-hub-guardduty-exfiltration-iam-user-anomalous-behavior"].clone();
    let fields = &mut hub["detail"]["findings"][0]["ProductFields"];
    fields["aws/guardduty/service/action/awsApiCallAction/userAgent"] = json!(r#"{"sample":true}"#);
    assert_eq!(decode(&hub, &RESPONDER).findings.len(), 1);
    let mut guardduty = samples["guardduty-exfiltration-iam-user-anomalous-behavior"].clone();
    guardduty["detail"]["service"]["action"]["awsApiCallAction"]["userAgent"] = json!(r#"{"sample":true}"#);
    assert_eq!(decode(&guardduty, &RESPONDER).findings.len(), 1);
}

/// A decoder that is handed another shape's detail must not make something of it.
#[test]
fn no_shape_is_taken_for_another() {
    let is_event = |(_, it): &(String, Value)| it.get("detail").is_some();
    let samples: Vec<_> = files("events").into_iter().filter(is_event).collect();
    let shape = |it: &Value| match (it["source"].as_str().unwrap(), it["detail-type"].as_str().unwrap()) {
        // GuardDuty's shape, whoever sends it, and ASFF, however it comes.
        (_, kind @ "GuardDuty Finding") => kind.to_owned(),
        (_, kind) if kind.starts_with("Security Hub Findings") => "asff".to_owned(),
        (_, kind) => kind.to_owned(),
    };
    for (name, envelope) in &samples {
        for (other_name, other) in &samples {
            if shape(envelope) == shape(other) {
                continue;
            }
            let mut mixed = envelope.clone();
            mixed["detail"] = other["detail"].clone();
            let decoded = decode(&mixed, &RESPONDER);
            assert!(decoded.findings.is_empty(), "{name} with the detail of {other_name}: {decoded:?}");
        }
    }
}

/// What gives permissions back takes no event, and what contains gives nothing back.
#[test]
fn each_part_takes_only_its_own() {
    let restorer = settings("restorer");
    for (name, payload) in files("events") {
        let decoded = decode(&payload, &restorer);
        let is_its_own = name.starts_with("command-restore") || name.starts_with("command-status");
        assert_eq!(decoded.command.is_some(), is_its_own, "{name}");
        assert!(decoded.findings.is_empty(), "{name}");
        assert_eq!(decoded.malformed.is_empty(), is_its_own, "{name}");
        if name.starts_with("command-restore") {
            assert!(decode(&payload, &RESPONDER).malformed[0].problem.contains("function that restores"));
        }
    }
}

static RESPONDER: LazyLock<Settings> = LazyLock::new(|| settings("responder"));
static SAMPLES: LazyLock<Vec<(String, Value)>> = LazyLock::new(|| files("events"));

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,40}".prop_map(Value::from),
        prop_oneof![Just("AKIA"), Just("root"), Just("*"), Just("arn:aws:iam::111122223333:user/x")]
            .prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map("[a-zA-Z]{1,12}", inner, 0..4).prop_map(|it| json!(it)),
        ]
    })
}

/// Every place in a document, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(k, v)| places(v, &format!("{at}/{}", k.replace('~', "~0").replace('/', "~1")), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, v)| places(v, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

proptest! {
    /// Whatever a sample is changed into: no panic, and always an answer.
    #[test]
    fn any_mutated_sample_gets_an_answer(pick in any::<prop::sample::Index>(), place in any::<prop::sample::Index>(), value in any_json()) {
        let (_, mut payload) = pick.get(&SAMPLES).clone();
        let mut found = Vec::new();
        places(&payload, "", &mut found);
        *payload.pointer_mut(place.get(found.as_slice()).as_str()).unwrap() = value;
        for part in ["responder", "restorer"] {
            let it = decode(&payload, &settings(part));
            prop_assert!(
                it.command.is_some() || !it.findings.is_empty() || !it.told.is_empty() || !it.ignored.is_empty() || !it.malformed.is_empty()
            );
        }
        let decoded = decode(&payload, &RESPONDER);
        for finding in &decoded.findings {
            let _ = response(finding);
        }
    }

    #[test]
    fn any_json_gets_an_answer(value in any_json()) {
        let decoded = decode(&value, &RESPONDER);
        prop_assert!(!decoded.malformed.is_empty());
    }
}
