//! Each role against the calls of its function, both ways.

use std::collections::BTreeSet;

use clients::iam::{credential_report, drill_user, observe, resolve};
use clients::ledger::{decision, lockout, reports};
use clients::{events, parameters};
use domain::approval::{reported, standing};
use domain::change::{CONSOLE_HOLD, Change};
use domain::notice::Notice;
use serde_json::{Value, json};

use crate::calls::{changes, gives_back, is_home, notices, reads};
use crate::{TEMPLATES, allowed, many, resource, statements};

#[test]
fn the_restore_role_may_do_what_the_code_does_and_nothing_else() {
    let changes = changes();
    let is_restores = |it: &&Change| gives_back(it) || matches!(it, Change::Tag { .. });
    let writes = changes.iter().filter(is_restores).map(Change::permission);
    let needed: BTreeSet<_> = reads().into_iter().chain(writes).collect();
    assert_eq!(allowed(resource("member", "SecurityRestoreRole")), needed);
    let ledger = clients::ledger::PERMISSIONS.iter().copied();
    let own = ["logs:CreateLogStream", "logs:PutLogEvents", "sts:AssumeRole", "sns:Publish"];
    // It lists what was declined, where people are asked while the deny holds.
    let listed = clients::ledger::DUE_PERMISSIONS.iter().copied();
    assert_eq!(allowed(resource("template", "RestorerRole")), ledger.chain(listed).chain(own).collect());
}

/// What gives permissions is bound to the mark of a containment, wherever IAM lets it be.
#[test]
fn only_who_was_contained_is_given_anything_back() {
    let reads = ["iam:Get", "iam:List"];
    for statement in statements(resource("member", "SecurityRestoreRole")) {
        let actions: Vec<_> = many(&statement["Action"]).into_iter().map(|it| it.as_str().unwrap()).collect();
        let is_read = actions.iter().all(|it| reads.iter().any(|read| it.starts_with(read)));
        if statement["Effect"] == "Deny" || is_read || actions == ["iam:AddUserToGroup"] {
            continue;
        }
        let marks = &statement["Condition"]["StringEquals"]["aws:ResourceTag/SecurityIncident"];
        assert_eq!(many(marks), ["AutomatedSecurityQuarantine", "AutoRemediated"], "{actions:?}");
    }
}

#[test]
fn the_drills_roles_may_do_what_the_code_does_and_only_to_users_of_drills() {
    let role = resource("member", "SecurityDrillRole");
    assert_eq!(allowed(role), drill_user::PERMISSIONS.iter().copied().collect());
    for statement in statements(role).into_iter().filter(|it| it["Action"] != "iam:ListUsers") {
        let users = "arn:${AWS::Partition}:iam::${AWS::AccountId}:user/iam-responder-drill/*";
        assert_eq!(statement["Resource"]["Fn::Sub"], users);
    }
    let home = ["logs:CreateLogStream", "logs:PutLogEvents", "sts:AssumeRole", "sns:Publish", "events:PutEvents"];
    let ledger = clients::ledger::PERMISSIONS.iter().copied();
    assert_eq!(allowed(resource("template", "DrillerRole")), ledger.chain(home).collect());
}

/// What faces the internet can assume nothing, changes no identity, and touches only requests: by keys and attributes.
#[test]
fn what_faces_the_internet_may_do_what_the_code_does_and_nothing_else() {
    let own = ["logs:CreateLogStream", "logs:PutLogEvents", events::PERMISSION, parameters::PERMISSION];
    for (role, ledger) in [("FormRole", reports::PERMISSIONS), ("SlackEndpointRole", decision::PERMISSIONS)] {
        assert_eq!(allowed(resource("template", role)), ledger.iter().copied().chain(own).collect(), "{role}");
    }
    let bounds = |role, sid: &str| {
        let mut statements = statements(resource("template", role)).into_iter();
        let condition = &statements.find(|it| it["Sid"] == sid).unwrap()["Condition"];
        let keys = many(&condition["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]);
        let attributes = many(&condition["ForAllValues:StringEquals"]["dynamodb:Attributes"]);
        let texts =
            |them: Vec<&'static Value>| them.into_iter().map(|it| it.as_str().unwrap()).collect::<BTreeSet<_>>();
        (texts(keys), texts(attributes))
    };
    for (role, sid, key, attributes) in [
        ("FormRole", "KeepReports", "report#*", reported::ATTRIBUTES),
        ("FormRole", "SeeThatReportsAreThere", "report#*", reports::SEEN),
        ("FormRole", "SeeHowFarRequestsAre", "request#*", standing::ATTRIBUTES),
        ("FormRole", "CountTries", "lockout#*", lockout::ATTRIBUTES),
        ("SlackEndpointRole", "DecideRequests", "request#*", domain::approval::decision::ATTRIBUTES),
        ("SlackEndpointRole", "AcknowledgeAlerts", "acked#*", domain::acknowledgement::ATTRIBUTES),
    ] {
        let (keys, named) = bounds(role, sid);
        assert_eq!((keys, named), (BTreeSet::from([key]), attributes.iter().copied().collect()), "{sid}");
    }
    // What the form writes, and who acknowledges, is in no index but the one that is read last.
    let ledger = &resource("template", "Ledger")["GlobalSecondaryIndexes"];
    let index = ledger.as_array().unwrap().iter().find(|it| it["IndexName"] == "due").unwrap();
    let keys = index["KeySchema"].as_array().unwrap().iter().map(|it| it["AttributeName"].as_str().unwrap());
    let written = [reported::ATTRIBUTES, lockout::ATTRIBUTES, domain::acknowledgement::ATTRIBUTES].concat();
    assert_eq!(keys.filter(|it| written.contains(it)).count(), 0);
    for role in ["FormRole", "SlackEndpointRole"] {
        let mut statements = statements(resource("template", role)).into_iter();
        let wakes = &statements.find(|it| it["Action"] == events::PERMISSION).unwrap()["Condition"]["StringEquals"];
        assert_eq!(wakes["events:source"], iam_responder::front::SOURCE);
        assert_eq!(wakes["events:detail-type"], iam_responder::front::DETAIL_TYPE);
    }
    let wakes = &resource("template", "ResponderApprovals")["EventPattern"];
    assert_eq!(wakes["source"][0], iam_responder::front::SOURCE);
    assert_eq!(wakes["detail-type"][0], iam_responder::front::DETAIL_TYPE);
}

/// Since October 2025 AWS asks for two permissions; the second would open the function to whoever invokes it, were it
/// not for `InvokedViaFunctionUrl`. <https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html>
#[test]
fn a_function_url_is_open_to_the_internet_and_the_function_is_not() {
    let resources = TEMPLATES["template"]["Resources"].as_object().unwrap();
    let properties =
        |kind: &'static str| resources.values().filter(move |it| it["Type"] == kind).map(|it| &it["Properties"]);
    let urls: Vec<_> =
        properties("AWS::Lambda::Url").map(|it| it["TargetFunctionArn"]["Ref"].as_str().unwrap()).collect();
    assert_eq!(BTreeSet::from_iter(urls.iter().copied()), BTreeSet::from(["Form", "SlackEndpoint"]));
    for url in properties("AWS::Lambda::Url") {
        assert_eq!((&url["AuthType"], &url["Cors"]), (&"NONE".into(), &Value::Null));
    }
    let open: Vec<_> = properties("AWS::Lambda::Permission").filter(|it| it["Principal"] == "*").collect();
    assert_eq!(open.len(), 4);
    for function in urls {
        let of: Vec<_> = open.iter().filter(|it| it["FunctionName"]["Ref"] == function).collect();
        let url = of.iter().find(|it| it["Action"] == "lambda:InvokeFunctionUrl").unwrap();
        assert_eq!(url["FunctionUrlAuthType"], "NONE", "{function}");
        let invoke = of.iter().find(|it| it["Action"] == "lambda:InvokeFunction").unwrap();
        assert_eq!(invoke["InvokedViaFunctionUrl"], true, "{function}");
        let function = resource("template", function);
        assert_eq!(function["ReservedConcurrentExecutions"]["Fn::If"][1], 5);
    }
    for (name, it) in resources.iter().filter(|it| it.0.starts_with("Form") || it.0.starts_with("SlackEndpoint")) {
        assert!(
            it["Condition"] == "HasForm" || it["Condition"] == "HasSlackEndpoint",
            "{name} is there without its parameters"
        );
    }
}

#[test]
fn the_sweeps_roles_may_read_and_write_rows_of_their_own_and_nothing_else() {
    let role = resource("member", "SecuritySweepRole");
    assert_eq!(allowed(role), credential_report::PERMISSIONS.iter().copied().collect());
    // Making a report is no change: IAM calls it a read.
    let reads = ["iam:Get", "iam:List", "iam:GenerateCredentialReport"];
    assert!(allowed(role).iter().all(|it| reads.iter().any(|read| it.starts_with(read))));
    let home = ["logs:CreateLogStream", "logs:PutLogEvents", "sts:AssumeRole", "sns:Publish"];
    let ledger = clients::ledger::PERMISSIONS.iter().copied();
    let needed =
        ledger.chain(home).chain([clients::organizations::PERMISSION, clients::ledger::sweep::PERMISSION]).collect();
    assert_eq!(allowed(resource("template", "SweeperRole")), needed);
    let mut statements = statements(resource("template", "SweeperRole")).into_iter();
    let rows = statements.find(|it| it["Sid"] == "KeepItsRows").unwrap();
    assert_eq!(rows["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"], serde_json::json!(["sweep#*"]));
    let slack = statements.find(|it| it["Sid"] == "KeepWhatSlackIsToGet").unwrap();
    let leading = &slack["Condition"]["ForAllValues:StringEquals"]["dynamodb:LeadingKeys"];
    assert_eq!((leading, &slack["Action"]), (&serde_json::json!(["slack#sweep"]), &"dynamodb:UpdateItem".into()));
}

/// Who starts the sweep can start nothing else. The state machine invokes nothing but the sweeper and who asks, and sends
/// to nobody but to the latter.
#[test]
fn the_state_machine_invokes_the_sweeper_and_who_asks_and_nothing_else() {
    let role = resource("template", "SweepRole");
    let needed = [
        "lambda:InvokeFunction",
        "sqs:SendMessage",
        "states:DescribeExecution",
        "states:StartExecution",
        "states:StopExecution",
    ];
    assert_eq!(allowed(role), needed.into());
    for statement in statements(role) {
        for it in many(&statement["Resource"]) {
            let named =
                it["Fn::GetAtt"][0].as_str().is_some_and(|it| ["Sweeper", "Hygiene", "HygieneQueue"].contains(&it));
            assert!(named || it.to_string().contains("${AWS::StackName}-sweep"), "{it}");
        }
    }
    let starter = resource("template", "SweepStarterRole");
    assert_eq!(allowed(starter), ["sqs:SendMessage", "states:StartExecution"].into());
    let definition = &resource("template", "Sweep")["Definition"]["States"];
    let child = &definition["SweepAccounts"]["ItemProcessor"]["States"]["SweepAccount"];
    let sweepers = [&definition["ListAccounts"], child, &definition["Digest"]].map(|it| (it, "Sweeper"));
    let share = &definition["AskForEach"]["ItemProcessor"]["States"]["Share"];
    let asking = [&definition["Release"], share].map(|it| (it, "Hygiene"));
    for (task, function) in sweepers.into_iter().chain(asking) {
        assert_eq!(task["Parameters"]["FunctionName"]["Fn::GetAtt"], serde_json::json!([function, "Arn"]));
        let longest = task["TimeoutSeconds"].as_u64().unwrap();
        assert!(longest > resource("template", function)["Timeout"].as_u64().unwrap());
        assert!(many(&task["Retry"][0]["ErrorEquals"]).contains(&&Value::from("ResponseIncomplete")));
    }
    // Its children hand nothing on: ten thousand of them would not fit into the state.
    assert_eq!(child["ResultSelector"], serde_json::json!({}));
    assert_eq!(definition["SweepAccounts"]["ItemProcessor"]["ProcessorConfig"]["Mode"], "DISTRIBUTED");
}

#[test]
fn the_investigators_roles_may_do_what_the_code_does_and_change_nothing() {
    let role = resource("member", "SecurityInvestigatorRole");
    let reads: BTreeSet<_> = clients::sessions::investigation_reads().into_iter().collect();
    assert_eq!(allowed(role), reads);
    let is_read = |it: &&&str| {
        ["iam:Get", "iam:List", "iam:Simulate", "cloudtrail:Lookup"].iter().any(|read| it.starts_with(read))
    };
    assert!(reads.iter().all(|it| is_read(&it)), "{reads:?}");
    let home = ["logs:CreateLogStream", "logs:PutLogEvents", "sts:AssumeRole", "sns:Publish", "s3:PutObject"];
    let ledger = clients::ledger::PERMISSIONS.iter().copied();
    let needed = ledger.chain(home).chain([clients::bedrock::PERMISSION]).collect();
    assert_eq!(allowed(resource("template", "InvestigatorRole")), needed);
    let condition = |sid: &str| {
        let mut statements = statements(resource("template", "InvestigatorRole")).into_iter();
        &statements.find(|it| it["Sid"] == sid).unwrap()["Condition"]
    };
    let keys = |sid| many(&condition(sid)["ForAllValues:StringLike"]["dynamodb:LeadingKeys"]);
    assert_eq!(
        keys("KeepSuspectsAndWhatIsSaid"),
        ["slack#target#*", "suspects#*"],
        "a verdict is none of its business"
    );
    assert_eq!(keys("KeepTheGist"), ["evidence#*"]);
    let attributes = many(&condition("KeepTheGist")["ForAllValues:StringEquals"]["dynamodb:Attributes"]);
    assert_eq!(attributes, clients::ledger::evidence::ATTRIBUTES, "it can put nothing on a list");
}

#[test]
fn the_member_role_may_do_what_the_code_does_and_nothing_else() {
    let (changes, notices) = (changes(), notices());
    let writes = changes.iter().filter(|it| !gives_back(it)).map(Change::permission);
    let runbook = notices.iter().filter(|it| !is_home(it)).map(Notice::permission);
    let reads = [reads(), observe::STATEMENTS_PERMISSIONS.to_vec(), resolve::KEY_PERMISSIONS.to_vec()].concat();
    let trail = [clients::cloudtrail::PERMISSION];
    let needed: BTreeSet<_> = reads.into_iter().chain(writes).chain(runbook).chain(trail).collect();
    assert_eq!(allowed(resource("member", "SecurityRemediationRole")), needed);
}

#[test]
fn the_responders_role_may_do_what_the_code_does_and_nothing_else() {
    let notices = notices();
    let notices = notices.iter().filter(is_home).map(Notice::permission);
    // What Lambda itself does with the role.
    let platform = ["logs:CreateLogStream", "logs:PutLogEvents", "sqs:SendMessage"];
    let ledger = clients::ledger::PERMISSIONS.iter().chain(clients::ledger::DUE_PERMISSIONS).copied();
    let own = ["sts:AssumeRole", clients::relay::PERMISSION];
    let needed: BTreeSet<_> = notices.chain(platform).chain(ledger).chain(own).collect();
    assert_eq!(allowed(resource("template", "ResponderRole")), needed);
}

/// Alerts to one topic, what nobody acknowledged to the operator's, and nothing to any other.
#[test]
fn only_the_responder_repeats_alerts_and_to_one_topic_alone() {
    for (role, topics) in [
        ("ResponderRole", vec!["AlertTopic", "EscalationTopicArn"]),
        ("HygieneRole", vec!["AlertTopic"]),
        ("RestorerRole", vec!["AlertTopic"]),
    ] {
        let publishes = statements(resource("template", role)).into_iter().filter(|it| it["Action"] == "sns:Publish");
        let to: Vec<_> = publishes.map(|it| it["Resource"]["Ref"].as_str().unwrap()).collect();
        assert_eq!(to, topics, "{role}");
    }
}

/// It does nothing that the responder's may not do, but for taking from its queue; and less of it.
#[test]
fn the_role_for_hygiene_may_do_less_than_the_responders() {
    let hygiene = allowed(resource("template", "HygieneRole"));
    let more: Vec<_> = hygiene.difference(&allowed(resource("template", "ResponderRole"))).copied().collect();
    let counting = clients::ledger::sweep::PERMISSION;
    assert_eq!(more, [counting, "sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]);
    assert!(!hygiene.contains("sqs:SendMessage"));
    assert!(!hygiene.iter().any(|it| it.starts_with("ssm")), "its playbooks open no incident");
}

/// It attaches and detaches the one policy, to accounts; the responder's role may take it where there is a policy.
#[test]
fn the_guardrails_role_may_do_what_the_code_does_with_the_one_policy_and_nothing_else() {
    let role = resource("guardrail", "SecurityGuardrailRole");
    assert_eq!(allowed(role), clients::guardrail::PERMISSIONS.iter().copied().collect());
    let attaches = statements(role).into_iter().find(|it| it["Sid"] == "AttachTheGuardrail").unwrap();
    let resources: Vec<_> = many(&attaches["Resource"]).into_iter().map(|it| it["Fn::Sub"].as_str().unwrap()).collect();
    let of = "arn:${AWS::Partition}:organizations::*:";
    assert_eq!(
        resources,
        [
            format!("{of}policy/${{OrganizationId}}/service_control_policy/${{GuardrailPolicyId}}"),
            format!("{of}account/${{OrganizationId}}/*"),
        ]
    );
    let policies = resource("template", "ResponderRole")["Policies"][0]["PolicyDocument"]["Statement"].as_array();
    let takes = policies.unwrap().iter().find(|it| it["Fn::If"][1]["Sid"] == "AssumeTheGuardrailsRole").unwrap();
    assert_eq!(takes["Fn::If"][0], "HasGuardrail");
    assert_eq!(takes["Fn::If"][1]["Resource"]["Ref"], "GuardrailRoleArn");
}

#[test]
fn a_function_that_responds_may_invoke_itself_and_who_reports_and_no_other() {
    let own = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}";
    for (role, part) in [("ResponderRole", ""), ("HygieneRole", "-hygiene")] {
        let statements = statements(resource("template", role)).into_iter();
        let invokes = statements.filter(|it| it["Action"] == "lambda:InvokeFunction");
        let functions: Vec<_> = invokes.map(|it| it["Resource"]["Fn::Sub"].as_str().unwrap()).collect();
        let reports = (part.is_empty()).then(|| format!("{own}-investigator"));
        assert_eq!(functions, [format!("{own}{part}")].into_iter().chain(reports).collect::<Vec<_>>());
    }
    assert_eq!(resource("template", "Investigator")["FunctionName"]["Fn::Sub"], "${AWS::StackName}-investigator");
    assert_eq!(resource("template", "Responder")["FunctionName"]["Ref"], "AWS::StackName");
    assert_eq!(resource("template", "Hygiene")["FunctionName"]["Fn::Sub"], "${AWS::StackName}-hygiene");
}

#[test]
fn nothing_but_the_deny_can_be_attached() {
    let statements = statements(resource("member", "SecurityRemediationRole"));
    let deny_all = "arn:${AWS::Partition}:iam::aws:policy/AWSDenyAll";
    let hold = format!("arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:policy/{CONSOLE_HOLD}");
    for (action, operator, key, allowed) in [
        ("iam:AttachUserPolicy", "ArnEquals", "iam:PolicyARN", vec![deny_all, &hold]),
        ("iam:AttachRolePolicy", "ArnEquals", "iam:PolicyARN", vec![deny_all]),
        ("iam:PutUserPermissionsBoundary", "StringEquals", "iam:PermissionsBoundary", vec![deny_all]),
    ] {
        let allows = statements.iter().filter(|it| it["Effect"] == "Allow");
        let of = allows.filter(|it| many(&it["Action"]).contains(&&Value::from(action)));
        let arns: Vec<_> = of.map(|it| it["Condition"][operator][key]["Fn::Sub"].as_str().unwrap()).collect();
        assert_eq!(arns, allowed, "{action}");
    }
    // It says nothing but `Deny`.
    let document = &resource("member", "SecurityRequireMfa")["PolicyDocument"];
    assert_eq!(resource("member", "SecurityRequireMfa")["ManagedPolicyName"], CONSOLE_HOLD);
    assert!(document["Statement"].as_array().unwrap().iter().all(|it| it["Effect"] == "Deny"));
    for statement in statements.iter().filter(|it| it["Effect"] == "Allow") {
        for action in many(&statement["Action"]) {
            let action = action.as_str().unwrap();
            assert!(!action.contains('*'), "{action}");
            assert!(!["iam:PutUserPolicy", "iam:CreateAccessKey", "iam:PassRole"].contains(&action), "{action}");
        }
    }
}

#[test]
fn neither_our_deny_nor_awss_quarantine_can_be_taken_away_by_the_remediation_role() {
    let statements = statements(resource("member", "SecurityRemediationRole"));
    let takes =
        |it: &&&Value| it["Effect"] == "Allow" && many(&it["Action"]).contains(&&Value::from("iam:DetachUserPolicy"));
    let takes: Vec<_> = statements.iter().filter(takes).collect();
    assert_eq!(takes.len(), 1);
    let kept: Vec<_> = many(&takes[0]["Condition"]["ArnNotLike"]["iam:PolicyARN"]);
    let kept: Vec<_> = kept.into_iter().map(|it| it["Fn::Sub"].as_str().unwrap()).collect();
    let ours = "arn:${AWS::Partition}:iam::aws:policy/";
    let hold = format!("arn:${{AWS::Partition}}:iam::${{AWS::AccountId}}:policy/{CONSOLE_HOLD}");
    assert_eq!(kept, [format!("{ours}AWSDenyAll"), format!("{ours}AWSCompromisedKeyQuarantine*"), hold]);
}

#[test]
fn each_member_role_trusts_whom_it_is_for_with_the_external_id_in_the_organisation() {
    for (template, role, trusted) in [
        ("member", "SecurityRemediationRole", ["ResponderRoleArn", "HygieneRoleArn"].as_slice()),
        ("member", "SecurityRestoreRole", &["RestorerRoleArn"]),
        ("member", "SecuritySweepRole", &["SweeperRoleArn"]),
        ("member", "SecurityInvestigatorRole", &["InvestigatorRoleArn"]),
        ("guardrail", "SecurityGuardrailRole", &["ResponderRoleArn"]),
    ] {
        let trust = &resource(template, role)["AssumeRolePolicyDocument"]["Statement"];
        assert_eq!(trust.as_array().unwrap().len(), 1);
        let principals: Vec<_> = many(&trust[0]["Principal"]["AWS"]).into_iter().map(|it| &it["Ref"]).collect();
        assert_eq!(principals, trusted);
        // While it is being changed, the next one too.
        let taken = &trust[0]["Condition"]["StringEquals"]["sts:ExternalId"]["Fn::If"];
        let names: Vec<_> = many(&taken[1]).into_iter().map(|it| &it["Ref"]).collect();
        assert_eq!((&taken[0], &taken[2]["Ref"]), (&json!("ChangesExternalId"), &json!("ExternalId")));
        assert_eq!(names, ["ExternalId", "NextExternalId"]);
        assert_eq!(trust[0]["Condition"]["StringEquals"]["aws:PrincipalOrgID"]["Ref"], "OrganizationId");
    }
    let external_id = &TEMPLATES["template"]["Parameters"]["ExternalId"];
    assert!(external_id.get("Default").is_none() && external_id["NoEcho"] == true);
}
