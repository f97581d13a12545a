//! Each role against the calls of its function, both ways.

use std::collections::BTreeSet;

use clients::iam::{drill_user, observe, resolve};
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
    assert_eq!(allowed(resource("template", "RestorerRole")), ledger.chain(own).collect());
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

#[test]
fn the_investigators_roles_may_do_what_the_code_does_and_change_nothing() {
    let role = resource("member", "SecurityInvestigatorRole");
    let reads: BTreeSet<_> = clients::sessions::investigation_reads().into_iter().collect();
    assert_eq!(allowed(role), reads);
    let is_read = |it: &&&str| ["iam:Get", "iam:List", "cloudtrail:Lookup"].iter().any(|read| it.starts_with(read));
    assert!(reads.iter().all(|it| is_read(&it)), "{reads:?}");
    let own = ["logs:CreateLogStream", "logs:PutLogEvents", "sts:AssumeRole", "sns:Publish"];
    let ledger = clients::ledger::PERMISSIONS.iter().copied();
    assert_eq!(allowed(resource("template", "InvestigatorRole")), ledger.chain(own).collect());
    let writes = statements(resource("template", "InvestigatorRole"));
    let writes = writes.into_iter().find(|it| it["Action"] == "dynamodb:UpdateItem").unwrap();
    let keys = &writes["Condition"]["ForAllValues:StringLike"]["dynamodb:LeadingKeys"];
    assert_eq!(many(keys), ["evidence#*", "suspects#*"], "a verdict is none of its business");
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
        ("SecurityInvestigatorRole", &["InvestigatorRoleArn"]),
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
