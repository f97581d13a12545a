//! Each role against the calls of its function, both ways.

use std::collections::BTreeSet;

use clients::iam::{credential_report, drill_user, observe, resolve};
use clients::ledger::{decision, lockout, reports};
use clients::{events, parameters};
use domain::approval::{request, standing};
use domain::change::Change;
use domain::notice::Notice;
use serde_json::Value;

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
        ("FormRole", "KeepReports", "request#*", request::REPORT_ATTRIBUTES),
        ("FormRole", "SeeHowFarRequestsAre", "request#*", standing::ATTRIBUTES),
        ("FormRole", "CountTries", "lockout#*", lockout::ATTRIBUTES),
        ("SlackEndpointRole", "DecideRequests", "request#*", domain::approval::decision::ATTRIBUTES),
    ] {
        let (keys, named) = bounds(role, sid);
        assert_eq!((keys, named), (BTreeSet::from([key]), attributes.iter().copied().collect()), "{sid}");
    }
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
    let rows = statements.find(|it| many(&it["Action"]).contains(&&Value::from("dynamodb:UpdateItem"))).unwrap();
    assert_eq!(rows["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"], serde_json::json!(["sweep#*"]));
}

/// Who starts the sweep can start nothing else, and the state machine invokes nothing but the sweeper.
#[test]
fn the_state_machine_invokes_the_sweeper_and_nothing_else() {
    let role = resource("template", "SweepRole");
    let needed = ["lambda:InvokeFunction", "states:DescribeExecution", "states:StartExecution", "states:StopExecution"];
    assert_eq!(allowed(role), needed.into());
    for statement in statements(role) {
        let resource = statement["Resource"].to_string();
        assert!(
            resource.contains(r#"["Sweeper","Arn"]"#) || resource.contains("${AWS::StackName}-sweep"),
            "{resource}"
        );
    }
    let starter = resource("template", "SweepStarterRole");
    assert_eq!(allowed(starter), ["sqs:SendMessage", "states:StartExecution"].into());
    let definition = &resource("template", "Sweep")["Definition"]["States"];
    let child = &definition["SweepAccounts"]["ItemProcessor"]["States"]["SweepAccount"];
    for task in [&definition["ListAccounts"], child, &definition["Digest"]] {
        assert_eq!(task["Parameters"]["FunctionName"]["Fn::GetAtt"], serde_json::json!(["Sweeper", "Arn"]));
        let longest = task["TimeoutSeconds"].as_u64().unwrap();
        assert!(longest > resource("template", "Sweeper")["Timeout"].as_u64().unwrap());
        assert!(many(&task["Retry"][0]["ErrorEquals"]).contains(&&Value::from("ResponseIncomplete")));
    }
    // Its children hand nothing on: ten thousand of them would not fit into the state.
    assert_eq!(child["ResultSelector"], serde_json::json!({}));
    assert_eq!(definition["SweepAccounts"]["ItemProcessor"]["ProcessorConfig"]["Mode"], "DISTRIBUTED");
}

#[test]
fn the_member_role_may_do_what_the_code_does_and_nothing_else() {
    let (changes, notices) = (changes(), notices());
    let writes = changes.iter().filter(|it| !gives_back(it)).map(Change::permission);
    let runbook = notices.iter().filter(|it| !is_home(it)).map(Notice::permission);
    let reads = [reads(), observe::STATEMENTS_PERMISSIONS.to_vec(), resolve::KEY_PERMISSIONS.to_vec()].concat();
    let needed: BTreeSet<_> = reads.into_iter().chain(writes).chain(runbook).collect();
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

/// It does nothing that the responder's may not do, but for taking from its queue; and less of it.
#[test]
fn the_role_for_hygiene_may_do_less_than_the_responders() {
    let hygiene = allowed(resource("template", "HygieneRole"));
    let more: Vec<_> = hygiene.difference(&allowed(resource("template", "ResponderRole"))).copied().collect();
    assert_eq!(more, ["sqs:DeleteMessage", "sqs:GetQueueAttributes", "sqs:ReceiveMessage"]);
    assert!(!hygiene.contains("sqs:SendMessage"));
    assert!(!hygiene.iter().any(|it| it.starts_with("ssm")), "its playbooks open no incident");
}

#[test]
fn a_function_that_responds_may_invoke_itself_and_no_other() {
    let own = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}";
    for (role, part) in [("ResponderRole", ""), ("HygieneRole", "-hygiene")] {
        let mut statements = statements(resource("template", role)).into_iter();
        let statement = statements.find(|it| it["Action"] == "lambda:InvokeFunction").unwrap();
        assert_eq!(statement["Resource"]["Fn::Sub"], format!("{own}{part}"));
    }
    assert_eq!(resource("template", "Responder")["FunctionName"]["Ref"], "AWS::StackName");
    assert_eq!(resource("template", "Hygiene")["FunctionName"]["Fn::Sub"], "${AWS::StackName}-hygiene");
}

#[test]
fn nothing_but_the_deny_can_be_attached() {
    let statements = statements(resource("member", "SecurityRemediationRole"));
    for (action, operator, key) in [
        ("iam:AttachUserPolicy", "ArnEquals", "iam:PolicyARN"),
        ("iam:AttachRolePolicy", "ArnEquals", "iam:PolicyARN"),
        ("iam:PutUserPermissionsBoundary", "StringEquals", "iam:PermissionsBoundary"),
    ] {
        let allows = statements.iter().filter(|it| it["Effect"] == "Allow");
        let of: Vec<_> = allows.filter(|it| many(&it["Action"]).contains(&&Value::from(action))).collect();
        assert_eq!(of.len(), 1, "{action}");
        let arn = of[0]["Condition"][operator][key]["Fn::Sub"].as_str().unwrap();
        assert_eq!(arn, "arn:${AWS::Partition}:iam::aws:policy/AWSDenyAll", "{action}");
    }
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
    assert_eq!(kept, [format!("{ours}AWSDenyAll"), format!("{ours}AWSCompromisedKeyQuarantine*")]);
}

#[test]
fn each_member_role_trusts_whom_it_is_for_with_the_external_id_in_the_organisation() {
    for (role, trusted) in [
        ("SecurityRemediationRole", ["ResponderRoleArn", "HygieneRoleArn"].as_slice()),
        ("SecurityRestoreRole", &["RestorerRoleArn"]),
        ("SecuritySweepRole", &["SweeperRoleArn"]),
    ] {
        let trust = &resource("member", role)["AssumeRolePolicyDocument"]["Statement"];
        assert_eq!(trust.as_array().unwrap().len(), 1);
        let principals: Vec<_> = many(&trust[0]["Principal"]["AWS"]).into_iter().map(|it| &it["Ref"]).collect();
        assert_eq!(principals, trusted);
        assert_eq!(trust[0]["Condition"]["StringEquals"]["sts:ExternalId"]["Ref"], "ExternalId");
        assert_eq!(trust[0]["Condition"]["StringEquals"]["aws:PrincipalOrgID"]["Ref"], "OrganizationId");
    }
    let external_id = &TEMPLATES["template"]["Parameters"]["ExternalId"];
    assert!(external_id.get("Default").is_none() && external_id["NoEcho"] == true);
}
