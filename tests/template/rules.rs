//! The rules' patterns against our samples and what the decoders know, and where what they let through ends.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use domain::sources::decode;
use quamina::Quamina;
use serde_json::{Value, json};

use crate::{TEMPLATES, many, resource, support};

/// Schedules are rules too.
fn has_pattern(resource: &Value) -> bool {
    resource["Type"] == "AWS::Events::Rule" && resource["Properties"]["EventPattern"].is_object()
}

/// Rules of the deployed template on the account's own bus, by name, as the JSON that EventBridge gets.
fn patterns() -> BTreeMap<String, String> {
    let resources = TEMPLATES["template"]["Resources"].as_object().unwrap();
    let is_ours = |it: &Value| has_pattern(it) && it["Properties"]["EventBusName"].is_null();
    let rules = resources.iter().filter(|(_, it)| is_ours(it));
    let text = |it: &Value| {
        let mut pattern = it["Properties"]["EventPattern"].clone();
        resolve(&mut pattern);
        pattern.to_string()
    };
    rules.map(|(name, it)| (name.clone(), text(it))).collect()
}

/// What CloudFormation would put in, with the accounts of the samples.
fn resolve(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(text)) = fields.get("Fn::Sub") {
                let text = text.replace("${AWS::Partition}", "aws").replace("${AWS::Region}", "us-east-1");
                *value = Value::from(text.replace("${AWS::AccountId}", "999988887777"));
                return;
            }
            if fields.get("Ref").is_some_and(|it| it == "AWS::AccountId") {
                *value = Value::from("999988887777");
                return;
            }
            fields.values_mut().for_each(resolve);
        }
        Value::Array(items) => items.iter_mut().for_each(resolve),
        _ => {}
    }
}

/// What Security Hub imports goes to both functions, whose rules are the same: it can't tell unused users
/// apart. The rules of the one for what can wait stand beside the others.
fn is_beside(rule: &str) -> bool {
    rule.starts_with("UnusedUsers")
}

/// The rules' patterns in a matcher that isn't ours. It knows no `anything-but` of wildcards, so that a pattern with
/// one is three: what its other conditions match, whatever has the field, and what is excluded of that.
struct Rules {
    quamina: Quamina<String>,
    excluding: BTreeSet<String>,
}

impl Rules {
    fn new() -> Self {
        let (mut quamina, mut excluding) = (Quamina::new(), BTreeSet::new());
        for (name, pattern) in patterns() {
            let mut pattern: Value = serde_json::from_str(&pattern).unwrap();
            if let Some(conditions) = pattern.pointer_mut("/detail/type").and_then(Value::as_array_mut)
                && let Some(at) = conditions.iter().position(|it| it.get("anything-but").is_some())
            {
                let excluded = conditions.remove(at)["anything-but"]["wildcard"].clone();
                let excluded: Vec<Value> =
                    excluded.as_array().unwrap().iter().map(|it| json!({"wildcard": it})).collect();
                for (kind, types) in [("any", json!([{"exists": true}])), ("excluded", json!(excluded))] {
                    let mut other = pattern.clone();
                    other["detail"]["type"] = types;
                    quamina.add_pattern(format!("{name}/{kind}"), &other.to_string()).unwrap();
                }
                excluding.insert(name.clone());
            }
            quamina.add_pattern(name, &pattern.to_string()).unwrap();
        }
        Self { quamina, excluding }
    }

    fn matching(&mut self, event: &[u8]) -> Vec<String> {
        let matched: BTreeSet<String> = self.quamina.matches_for_event(event).unwrap().into_iter().collect();
        let has = |name: &String, kind: &str| matched.contains(&format!("{name}/{kind}"));
        let besides = self.excluding.iter().filter(|it| has(it, "any") && !has(it, "excluded")).cloned();
        let plain = matched.iter().filter(|it| !it.contains('/')).cloned();
        plain.chain(besides).collect::<BTreeSet<_>>().into_iter().collect()
    }
}

fn matching(event: &[u8]) -> Vec<String> {
    Rules::new().matching(event)
}

#[test]
fn each_sample_matches_exactly_one_rule() {
    let mut matched = BTreeSet::new();
    for entry in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("events")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        // Commands don't come over EventBridge, and GuardDuty never sends its API's shape.
        let is_event = path.extension().is_some_and(|it| it == "json");
        if !is_event || name.starts_with("command-") || name.ends_with("-api-shape") {
            continue;
        }
        let rules = matching(&std::fs::read(&path).unwrap());
        let (hygiene, others): (Vec<_>, Vec<_>) = rules.iter().partition(|it| is_beside(it));
        let is_imported =
            others.iter().any(|it| ["ResponderSecurityHub", "ResponderSecurityHubV2"].contains(&it.as_str()));
        assert_eq!((others.len(), hygiene.len()), (1, usize::from(is_imported)), "{name}: {rules:?}");
        matched.extend(rules);
    }
    assert_eq!(matched.len(), patterns().len(), "a rule without a sample: {matched:?}");
}

/// Whatever the decoder makes something of, the rules let through: every GuardDuty type, known or not, in
/// every shape in which it arrives.
#[test]
fn rules_let_through_what_is_decoded() {
    let all = support::settings("responder", &[]);
    let mut rules = Rules::new();
    let new = [
        "Collection:IAMUser/New",
        "Collection:IAM/New",
        "Collection:S3/New",
        "AttackSequence:DynamoDB/New",
        "AttackSequence:EC2/New",
        "Exfiltration:DynamoDB/AnomalousBehavior",
        "CredentialAccess:SecretsManager/AnomalousBehavior",
        "Impact:Bedrock/CostHarvesting",
        "Policy:EC2/New",
    ];
    let types = support::guardduty_types().into_iter().chain(new.map(str::to_owned));
    let (mut let_through, mut kept_out) = (0, 0);
    for kind in types {
        for shape in support::Shape::ALL {
            let event = support::event(&kind, 8.0, shape);
            let decoded = decode(&event, &all);
            let mut rules = rules.matching(event.to_string().as_bytes());
            rules.retain(|it| !is_beside(it));
            if decoded.ignored.is_empty() {
                assert_eq!(rules.len(), 1, "{kind} as {shape:?}");
                let_through += 1;
            } else if rules.is_empty() {
                kept_out += 1;
            }
        }
    }
    assert!(let_through > 500 && kept_out > 80, "{let_through} {kept_out}");
}

/// The types of resources that a Security Hub finding may name somebody by.
#[test]
fn rules_let_through_every_resource_that_is_decoded() {
    for kind in ["AwsIamAccessKey", "AWSIAMAccessKey", "AWS::IAM::AccessKey"] {
        let mut event = support::sample("security-hub-guardduty-exfiltration-iam-user-anomalous-behavior");
        event["detail"]["findings"][0]["Resources"][0]["Type"] = kind.into();
        assert_eq!(decode(&event, &support::settings("responder", &[])).findings.len(), 1, "{kind}");
        let mut rules = matching(event.to_string().as_bytes());
        rules.sort();
        assert_eq!(rules, ["ResponderSecurityHub", "UnusedUsers"], "{kind}");
    }
}

/// What a member account forwards, what the forwarding bus takes and what the account's own bus takes
/// is the same.
#[test]
fn what_members_forward_comes_by_both_buses() {
    let pattern = |template: &str, rule: &str| &resource(template, rule)["EventPattern"];
    assert_eq!(pattern("template", "ResponderSecurityHub"), pattern("template", "UnusedUsers"));
    assert_eq!(pattern("template", "ResponderSecurityHubV2"), pattern("template", "UnusedUsersV2"));
    for (own, forwarded, members) in [
        ("CreatedUsers", "ForwardedCreatedUsers", "ForwardCreateUser"),
        ("ResponderHealth", "ResponderForwardedHealth", "ForwardHealth"),
    ] {
        let own = pattern("template", own);
        assert!(own.is_object());
        assert_eq!(own, pattern("template", forwarded));
        assert_eq!(own, pattern("member", members));
        assert_eq!(resource("template", forwarded)["EventBusName"]["Fn::GetAtt"][0], "ForwardedEvents");
    }
    let policy = &resource("template", "ForwardedEvents")["Policy"]["Statement"][0];
    assert_eq!(policy["Action"], "events:PutEvents");
    assert_eq!(policy["Condition"]["StringEquals"]["aws:PrincipalOrgID"]["Ref"], "OrganizationId");
}

/// AWS Health tells of IAM in the region where IAM's events arrive, and in another if that is in trouble.
#[test]
fn health_is_forwarded_from_its_backup_region_too() {
    let regions = &TEMPLATES["member"]["Mappings"]["Iam"]["aws"];
    assert_eq!((&regions["Region"], &regions["Backup"]), (&Value::from("us-east-1"), &Value::from("us-west-2")));
    let resources = TEMPLATES["member"]["Resources"].as_object().unwrap();
    for name in ["ForwardHealth", "ForwarderRole", "NotForwarded", "NotForwardedPolicy", "NotForwardedAlarm"] {
        assert_eq!(resources[name]["Condition"], "ForwardsHealth", "{name}");
    }
    assert_eq!(resources["ForwardCreateUser"]["Condition"], "Forwards");
}

/// The guardrail protects the forwarding rules and their role by these names.
#[test]
fn what_forwards_bears_a_name_that_the_guardrail_protects() {
    let guardrail = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("guardrail-scp.json")).unwrap();
    assert!(guardrail.contains(":rule/iam-responder-forward-*\""));
    assert!(guardrail.contains(":role/iam-responder-forwarder-*\""));
    for (_, rule) in TEMPLATES["member"]["Resources"].as_object().unwrap().iter().filter(|(_, it)| has_pattern(it)) {
        assert!(rule["Properties"]["Name"].as_str().unwrap().starts_with("iam-responder-forward-"), "{rule}");
    }
    let role = &resource("member", "ForwarderRole")["RoleName"]["Fn::Sub"];
    assert!(role.as_str().unwrap().starts_with("iam-responder-forwarder"));
}

#[test]
fn rules_keep_out_what_they_can() {
    for name in [
        "cloudtrail-create-user-failed",
        "security-hub-suppressed",
        "security-hub-archived",
        "security-hub-v2-resolved",
        "security-hub-other-custom-action",
        "guardduty-runtime",
        "schedule-event",
        "health-scheduled-maintenance",
    ] {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/inputs/ignored/{name}.json"));
        assert_eq!(matching(&std::fs::read(path).unwrap()), Vec::<String>::new(), "{name}");
    }
}

/// What can wait is polled by so many at most; a message that fails comes again only after its function
/// could have ended, and is kept in the end.
#[test]
fn what_can_wait_has_a_queue_of_its_own() {
    let queue = resource("template", "HygieneQueue");
    let function = resource("template", "Hygiene");
    let timeout = function["Timeout"].as_u64().unwrap();
    assert!(queue["VisibilityTimeout"].as_u64().unwrap() >= 6 * timeout);
    assert!(queue["RedrivePolicy"]["deadLetterTargetArn"].is_object());
    let mapping = resource("template", "HygieneMessages");
    assert_eq!((&mapping["BatchSize"], &mapping["ScalingConfig"]["MaximumConcurrency"]), (&1.into(), &10.into()));
    assert!(function["ReservedConcurrentExecutions"].is_null());
    let responder = resource("template", "Responder");
    assert_eq!(responder["Timeout"], 300);
    assert_eq!(responder["ReservedConcurrentExecutions"]["Fn::If"][0], "HasReservedConcurrency");
    assert_eq!(TEMPLATES["template"]["Parameters"]["ReservedConcurrency"]["Default"], 100);
    let resources = TEMPLATES["template"]["Resources"].as_object().unwrap();
    let to_queue: BTreeSet<&str> = resources
        .iter()
        .filter(|(_, it)| it["Type"] == "AWS::Events::Rule")
        .filter(|(_, it)| it["Properties"]["Targets"][0]["Arn"]["Fn::GetAtt"][0] == "HygieneQueue")
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(to_queue, BTreeSet::from(["CreatedUsers", "ForwardedCreatedUsers", "UnusedUsers", "UnusedUsersV2"]));
    let may_send =
        &resource("template", "HygieneQueuePolicy")["PolicyDocument"]["Statement"][0]["Condition"]["ArnEquals"];
    let may_send: BTreeSet<&str> =
        many(&may_send["aws:SourceArn"]).into_iter().map(|it| it["Fn::GetAtt"][0].as_str().unwrap()).collect();
    assert_eq!(may_send, to_queue);
}

#[test]
fn what_fails_for_good_is_kept() {
    for template in ["template", "member"] {
        let resources = TEMPLATES[template]["Resources"].as_object().unwrap();
        for (name, rule) in resources.iter().filter(|(_, it)| has_pattern(it)) {
            for target in rule["Properties"]["Targets"].as_array().unwrap() {
                assert!(target["DeadLetterConfig"]["Arn"].is_object(), "{name}");
            }
        }
    }
    let resources = TEMPLATES["template"]["Resources"].as_object().unwrap();
    let is_responders = |it: &Value| {
        it["Type"] == "AWS::Lambda::EventInvokeConfig" && it["Properties"]["FunctionName"]["Ref"] == "Responder"
    };
    let (_, invoke) = resources.iter().find(|(_, it)| is_responders(it)).unwrap();
    assert!(invoke["Properties"]["DestinationConfig"]["OnFailure"]["Destination"].is_object());
    assert_eq!(invoke["Properties"]["MaximumRetryAttempts"], 2);
    let function = resource("template", "Responder");
    assert_eq!(function["Runtime"], "provided.al2023");
    assert_eq!(function["Architectures"][0]["Ref"], "Architecture");
    assert_eq!(TEMPLATES["template"]["Parameters"]["Architecture"]["Default"], "arm64");
}
