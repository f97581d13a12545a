//! The templates against the code: permissions both ways, environment variables both ways, and rule
//! patterns against our own samples, with a pattern matcher that isn't ours.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at the first surprise")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use aws_smithy_types::DateTime;
use clients::iam::{drill_user, observe, resolve};
use clients::sessions;
use domain::change::Change;
use domain::containment::guard::DRILL_PATH;
use domain::containment::playbooks;
use domain::finding::HubReference;
use domain::identity::{CredentialKind, Identity, IdentityKind};
use domain::ids::{AccessKeyId, AccountId, Parse, Partition, PrincipalName, Region, UniqueId};
use domain::notice::Notice;
use domain::session_policy::{self, Scope};
use domain::settings::Settings;
use domain::sources::decode;
use quamina::Quamina;
use serde_json::{Value, json};

/// Both templates as CloudFormation: SAM's own translator made the first.
static TEMPLATES: LazyLock<Value> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "run `make test`: it installs what translates the template");
    let output = Command::new(python).args(["-m", "tests.harness.templates"]).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
});

fn resource(template: &str, name: &str) -> &'static Value {
    &TEMPLATES[template]["Resources"][name]["Properties"]
}

fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        single => vec![single],
    }
}

/// The statements of a role's policies, those behind a condition included.
fn statements(role: &'static Value) -> Vec<&'static Value> {
    let policies = role["Policies"].as_array().unwrap();
    let of = policies.iter().flat_map(|it| it["PolicyDocument"]["Statement"].as_array().unwrap());
    of.map(|it| it.get("Fn::If").map_or(it, |it| &it[1])).collect()
}

fn allowed(role: &'static Value) -> BTreeSet<&'static str> {
    let allows = statements(role).into_iter().filter(|it| it["Effect"] == "Allow");
    allows.flat_map(|it| many(&it["Action"])).map(|it| it.as_str().unwrap()).collect()
}

/// One of each change. The match makes a new variant fail to compile here until it is added.
fn changes() -> Vec<Change> {
    let name = || PrincipalName::parse("alice").unwrap();
    let text = String::new;
    let tag = |kind| Change::Tag { kind, name: name(), tags: Vec::new() };
    let credential = |kind| Change::DeactivateCredential { user: name(), kind, id: text() };
    let lift = |kind| Change::LiftDenyAll { kind, name: name(), policy: text() };
    let untag = |kind| Change::Untag { kind, name: name(), keys: Vec::new() };
    let all = vec![
        Change::AttachDenyAll { user: name(), policy: text() },
        Change::SetDenyAllBoundary { user: name(), policy: text() },
        Change::DeactivateAccessKey { user: name(), key: AccessKeyId::parse("AKIAIOSFODNN7EXAMPLE").unwrap() },
        credential(CredentialKind::ServiceSpecific),
        credential(CredentialKind::SshKey),
        credential(CredentialKind::SigningCertificate),
        Change::DeleteLoginProfile { user: name() },
        Change::AttachDenyAllToRole { role: name(), policy: text() },
        Change::DetachPolicy { user: name(), policy: text() },
        Change::LeaveGroup { user: name(), group: text() },
        Change::RevokeSessions { role: name(), issued_before: DateTime::from_secs(0) },
        tag(IdentityKind::User),
        tag(IdentityKind::Role),
        Change::AttachPolicy { user: name(), policy: text() },
        Change::JoinGroup { user: name(), group: text() },
        Change::RestoreBoundary { user: name(), policy: Some(text()) },
        Change::RestoreBoundary { user: name(), policy: None },
        lift(IdentityKind::User),
        lift(IdentityKind::Role),
        Change::LiftRevocation { role: name() },
        untag(IdentityKind::User),
        untag(IdentityKind::Role),
    ];
    for change in &all {
        match change {
            Change::AttachDenyAll { .. }
            | Change::SetDenyAllBoundary { .. }
            | Change::DeactivateAccessKey { .. }
            | Change::DeactivateCredential { .. }
            | Change::DeleteLoginProfile { .. }
            | Change::AttachDenyAllToRole { .. }
            | Change::DetachPolicy { .. }
            | Change::LeaveGroup { .. }
            | Change::RevokeSessions { .. }
            | Change::Tag { .. }
            | Change::AttachPolicy { .. }
            | Change::JoinGroup { .. }
            | Change::RestoreBoundary { .. }
            | Change::LiftDenyAll { .. }
            | Change::LiftRevocation { .. }
            | Change::Untag { .. } => {}
        }
    }
    all
}

/// The same for notices.
fn notices() -> Vec<Notice> {
    let text = String::new;
    let region = Region::parse("us-east-1").unwrap();
    let all = vec![
        Notice::StartRotation { document: text(), user: PrincipalName::parse("alice").unwrap() },
        Notice::StartIncident { response_plan: text() },
        Notice::OpenOpsItem,
        Notice::UpdateFinding(HubReference { id: text(), product_arn: text(), region }),
        Notice::PublishAlert { topic: text() },
    ];
    for notice in &all {
        match notice {
            Notice::StartRotation { .. }
            | Notice::StartIncident { .. }
            | Notice::OpenOpsItem
            | Notice::UpdateFinding(_)
            | Notice::PublishAlert { .. } => {}
        }
    }
    all
}

/// The runbook is started in the member account, everybody else is told from home.
fn is_home(notice: &&Notice) -> bool {
    !matches!(notice, Notice::StartRotation { .. })
}

/// What only a restore does.
fn gives_back(change: &Change) -> bool {
    matches!(
        change,
        Change::AttachPolicy { .. }
            | Change::JoinGroup { .. }
            | Change::RestoreBoundary { .. }
            | Change::LiftDenyAll { .. }
            | Change::LiftRevocation { .. }
            | Change::Untag { .. }
    )
}

/// What both roles read.
fn reads() -> Vec<&'static str> {
    let observe = [observe::USER_PERMISSIONS, observe::USER_CONTENTS_PERMISSIONS, observe::ROLE_PERMISSIONS];
    [observe.concat(), observe::CONTENTS_PERMISSIONS.to_vec(), resolve::PERMISSIONS.to_vec()].concat()
}

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
fn the_member_role_may_do_what_the_code_does_and_nothing_else() {
    let (changes, notices) = (changes(), notices());
    let writes = changes.iter().filter(|it| !gives_back(it)).map(Change::permission);
    let runbook = notices.iter().filter(|it| !is_home(it)).map(Notice::permission);
    let reads = [reads(), observe::STATEMENTS_PERMISSIONS.to_vec(), resolve::KEY_PERMISSIONS.to_vec()].concat();
    let needed: BTreeSet<_> = reads.into_iter().chain(writes).chain(runbook).collect();
    assert_eq!(allowed(resource("member", "SecurityRemediationRole")), needed);
}

/// The actions of a session policy, each of which fits into what STS takes.
fn of_session(policy: &str) -> BTreeSet<String> {
    assert!(policy.len() <= session_policy::MOST, "{} characters", policy.len());
    let policy: Value = serde_json::from_str(policy).unwrap();
    let statements = policy["Statement"].as_array().unwrap();
    statements.iter().flat_map(|it| many(&it["Action"])).map(|it| it.as_str().unwrap().to_owned()).collect()
}

fn of_scope(scope: &Scope) -> BTreeSet<String> {
    of_session(&scope.policy(&sessions::reads(scope), &account(), &Partition::parse("aws-us-gov").unwrap()))
}

fn account() -> AccountId {
    AccountId::parse("111122223333").unwrap()
}

fn longest_name() -> PrincipalName {
    PrincipalName::parse(&"n".repeat(64)).unwrap()
}

fn owned(actions: impl IntoIterator<Item = &'static str>) -> BTreeSet<String> {
    actions.into_iter().map(str::to_owned).collect()
}

fn is_about_a_role(change: &Change) -> bool {
    matches!(
        change,
        Change::RevokeSessions { .. }
            | Change::AttachDenyAllToRole { .. }
            | Change::Tag { kind: IdentityKind::Role, .. }
            | Change::LiftRevocation { .. }
            | Change::LiftDenyAll { kind: IdentityKind::Role, .. }
            | Change::Untag { kind: IdentityKind::Role, .. }
    )
}

/// Each scope against the changes of its kind, both ways.
#[test]
fn a_session_may_do_what_it_is_for_and_nothing_else() {
    let changes = changes();
    let contains = |it: &&Change| !gives_back(it);
    let writes = |is_for: fn(&Change) -> bool| {
        owned(changes.iter().filter(contains).filter(|it| is_for(it)).map(Change::permission))
    };
    let (users, role) = (Scope::Users, Scope::Role(longest_name()));
    for (scope, writes) in [
        (&Scope::Look, BTreeSet::new()),
        (&Scope::Observe, BTreeSet::new()),
        (&users, writes(|it| !is_about_a_role(it))),
        (&role, writes(is_about_a_role)),
    ] {
        let reads = owned(sessions::reads(scope));
        assert!(reads.iter().all(|it| it.starts_with("iam:Get") || it.starts_with("iam:List")), "{reads:?}");
        assert_eq!(of_scope(scope), reads.union(&writes).cloned().collect(), "{scope:?}");
    }
}

/// What the runbook of `member-role.yaml` calls, which runs in the session that starts it, and starting it.
#[test]
fn the_session_of_the_rotation_may_do_what_the_runbook_does_and_nothing_else() {
    let runbook = serde_json::to_string(&TEMPLATES["member"]["Resources"]["RotationRunbook"]).unwrap();
    let calls =
        runbook.match_indices(r#""Api":""#).filter_map(|(at, found)| runbook[at + found.len()..].split('"').next());
    let needed: BTreeSet<_> = calls.map(|it| format!("iam:{it}")).collect();
    let notices = notices();
    let start = owned(notices.iter().filter(|it| !is_home(it)).map(Notice::permission));
    assert_eq!(rotation(), needed.union(&start).cloned().collect());
}

fn rotation() -> BTreeSet<String> {
    let (name, id) = (longest_name(), UniqueId::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap());
    let arn = format!("arn:aws:iam::{}:user/{name}", account());
    let identity = Identity { kind: IdentityKind::User, name, id, arn, path: "/".to_owned(), created: None };
    of_session(&session_policy::rotation("Runbook", &identity, &account(), &Partition::parse("aws").unwrap()))
}

/// Together they need the whole role.
#[test]
fn the_sessions_of_a_role_need_all_that_it_may_do_and_nothing_else() {
    let [users, role] = [Scope::Users, Scope::Role(longest_name())].map(|it| of_scope(&it));
    let both: BTreeSet<_> = users.union(&role).cloned().chain(rotation()).collect();
    assert_eq!(owned(allowed(resource("member", "SecurityRemediationRole"))), both);
    assert!(of_scope(&Scope::Observe).is_subset(&both) && of_scope(&Scope::Look).is_subset(&both));

    let mut restore = of_scope(&Scope::Look);
    for kind in [IdentityKind::User, IdentityKind::Role] {
        let (name, id) = (longest_name(), UniqueId::parse("AIDACKCEVSQ6C2EXAMPLE").unwrap());
        let arn = format!("arn:aws:iam::{}:{}/{name}", account(), kind.word());
        let identity = Identity { kind, name, id, arn, path: "/".to_owned(), created: None };
        let changes = changes();
        let is_mine = |it: &&Change| is_about_a_role(it) == (kind == IdentityKind::Role);
        let restores = changes.iter().filter(|it| gives_back(it) || matches!(it, Change::Tag { .. })).filter(is_mine);
        for piece in session_policy::pieces(restores, &identity) {
            restore.extend(of_session(&piece.policy));
        }
    }
    assert_eq!(owned(allowed(resource("member", "SecurityRestoreRole"))), restore);

    let drill = session_policy::drill(DRILL_PATH, "drill-1", "drill-", &account(), &Partition::parse("aws").unwrap());
    assert_eq!(owned(allowed(resource("member", "SecurityDrillRole"))), of_session(&drill));
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
    assert!(!hygiene.contains("lambda:InvokeFunction") && !hygiene.contains("sqs:SendMessage"));
    assert!(!hygiene.iter().any(|it| it.starts_with("ssm")), "its playbooks open no incident");
    let statement = statements(resource("template", "ResponderRole"))
        .into_iter()
        .find(|it| it["Action"] == "lambda:InvokeFunction")
        .unwrap();
    let own = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}";
    assert_eq!(statement["Resource"]["Fn::Sub"], own);
    assert_eq!(resource("template", "Responder")["FunctionName"]["Ref"], "AWS::StackName");
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

fn environment(function: &str) -> BTreeSet<String> {
    let variables = &resource("template", function)["Environment"]["Variables"];
    variables.as_object().unwrap().keys().cloned().collect()
}

/// The names that a function's code reads: `settings` is the only place that knows them.
fn settings(part: &str) -> BTreeSet<String> {
    let asked = std::cell::RefCell::new(BTreeSet::new());
    let _ = Settings::from_lookup(|name| {
        asked.borrow_mut().insert(name.to_owned());
        (name == "PART").then(|| part.to_owned())
    });
    // Lambda sets the region and the function's name.
    asked.into_inner().into_iter().filter(|it| !it.starts_with("AWS_")).collect()
}

#[test]
fn the_template_sets_what_each_function_reads_and_nothing_else() {
    for (function, part) in
        [("Responder", "responder"), ("Hygiene", "hygiene"), ("Restorer", "restorer"), ("Driller", "driller")]
    {
        assert_eq!(environment(function), settings(part), "{function}");
    }
}

#[test]
fn the_readme_lists_every_setting() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let rows = readme.lines().filter_map(|it| it.strip_prefix("| `")).filter_map(|it| it.split_once('`'));
    let listed: BTreeSet<String> =
        rows.map(|(name, _)| name.to_owned()).filter(|it| it.to_uppercase() == *it).collect();
    let read: BTreeSet<_> = ["responder", "hygiene", "restorer", "driller"].into_iter().flat_map(settings).collect();
    assert_eq!(listed, read);
}

#[test]
fn the_readme_lists_every_playbook() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
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

#[test]
fn the_readmes_stack_set_has_the_parameters_that_there_are() {
    let readme = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md")).unwrap();
    let given: BTreeSet<&str> =
        readme.split("ParameterKey=").skip(1).filter_map(|it| it.split_once(',')).map(|it| it.0).collect();
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
    let operations = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md")).unwrap();
    let members = TEMPLATES["member"]["Resources"].as_object().unwrap();
    for (name, _) in resources.iter().chain(members).filter(|(_, it)| it["Type"] == "AWS::CloudWatch::Alarm") {
        assert!(operations.contains(&format!("`{name}`")), "{name} is not in docs/operations.md");
    }
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
