//! What a report says that policies allow, against an evaluator that is not ours: the simulated AWS's, in Python.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use clients::iam::simulate::exclusion_list;
use domain::evidence::answer::{Answer, Holdings};
use domain::evidence::asked;
use domain::evidence::asking::Asker;
use domain::evidence::assume::Assuming;
use domain::evidence::catalogue::paths;
use domain::evidence::condition::Context;
use domain::evidence::document::Policy;
use domain::evidence::resources::resources;
use domain::evidence::simulating::Exclusion;
use domain::glob::{matches, pieces};
use domain::identity::IdentityKind;
use domain::ids::Parse;
use serde_json::{Value, json};

fn python(arguments: &[&str]) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let output =
        Command::new(root.join(".venv/bin/python")).arg("-m").args(arguments).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn cases() -> Vec<Value> {
    let number = std::env::var("POLICY_CASES").unwrap_or_else(|_| "3000".to_owned());
    let seed = std::env::var("POLICY_SEED").unwrap_or_else(|_| "7".to_owned());
    let Value::Array(cases) = python(&["tests.policy_cases", &number, &seed]) else { panic!("no cases") };
    cases
}

fn policies(documents: &Value) -> Vec<Policy> {
    documents.as_array().into_iter().flatten().map(|it| Policy::new("policy", "p", None, &it.to_string())).collect()
}

fn holdings(case: &Value, context: Context) -> Holdings {
    let limits = if case["boundary"].is_null() { Vec::new() } else { vec![policies(&case["boundary"])] };
    Holdings { policies: policies(&case["policies"]), limits, context, unread: Vec::new() }
}

fn known(case: &Value) -> Context {
    let absent = case["absent"].as_array().unwrap().iter();
    let context = absent.fold(Context::default(), |context, key| context.without(key.as_str().unwrap()));
    case["context"].as_object().unwrap().iter().fold(context, |context, (key, value)| match value {
        Value::Array(values) => context.with(key, &values.iter().map(|it| it.as_str().unwrap()).collect::<Vec<_>>()),
        single => context.with(key, &[single.as_str().unwrap()]),
    })
}

#[test]
fn the_reader_says_what_the_evaluator_says() {
    let (mut yes, mut no, mut depends) = (0, 0, 0);
    for case in cases() {
        let (action, resource) = (case["action"].as_str().unwrap(), case["resource"].as_str().unwrap());
        let is_allowed = case["allowed"].as_bool().unwrap();
        // All that is known: the same answer.
        let all = holdings(&case, known(&case)).may(action, resource);
        let wanted = if is_allowed { Answer::Yes } else { Answer::No };
        assert_eq!(all.answer, wanted, "{case:#}");
        // Nothing is known: a plain answer holds for every request, so also for this one.
        let none = holdings(&case, Context::default()).may(action, resource);
        match none.answer {
            Answer::Depends => {
                depends += 1;
                assert!(!none.depends_on.is_empty(), "{case:#}");
            }
            Answer::Yes => {
                yes += 1;
                assert!(is_allowed && !none.by.is_empty(), "{case:#}");
            }
            Answer::No => {
                no += 1;
                assert!(!is_allowed, "{case:#}");
            }
            Answer::NotKnown => panic!("everything was read: {case:#}"),
        }
    }
    assert!(yes > 50 && no > 500 && depends > 200, "{yes} {no} {depends}");
}

/// A misspelt action would never be granted by anybody, and one that is asked about the wrong resource neither.
#[test]
fn every_action_is_one_of_awss_and_is_asked_about_a_resource_that_it_has() {
    let known = python(&["tests.aws_actions"]);
    let mut asked: Vec<_> = paths().iter().flat_map(|it| it.actions()).collect();
    asked.sort_unstable();
    asked.dedup();
    assert!(asked.len() > 110, "{}", asked.len());
    for action in asked {
        let of_aws = known.get(action.to_lowercase()).and_then(Value::as_array);
        let of_aws = of_aws.unwrap_or_else(|| panic!("AWS has no action {action}"));
        match resources(action) {
            None => assert!(of_aws.is_empty(), "{action} has resources: {of_aws:?}"),
            Some(ours) => {
                let is_one = |it: &Value| matches(&pieces(it.as_str().unwrap()), ours);
                assert!(of_aws.iter().any(is_one), "{action} is not done to {ours}: {of_aws:?}");
            }
        }
    }
}

/// AWS's simulator is asked about what the catalogue does not have as well.
#[test]
fn aws_has_every_action_that_its_simulator_is_asked_about() {
    let known = python(&["tests.aws_actions"]);
    let actions = asked::actions();
    assert!(actions.len() > 190 && actions.iter().all(|it| !known[it.to_lowercase()].is_null()), "{actions:?}");
}

/// The SDK writes them otherwise.
#[test]
fn what_aws_is_to_leave_out_is_written_as_botocore_writes_it() {
    let (arn, name, identity) = ("arn:aws:iam::aws:policy/AWSDenyAll", "a+b=c,d@e.f_g-h", "x@y+z");
    let inline = |of, identity: &str| Exclusion::Inline { name: name.to_owned(), of, identity: identity.to_owned() };
    let left_out = [
        Exclusion::Policy(arn.to_owned()),
        Exclusion::Boundary,
        inline(IdentityKind::User, identity),
        inline(IdentityKind::Role, "app"),
    ];
    let same = json!([
        {"PolicyArn": arn},
        {"PolicyType": "permission-boundary"},
        {"InlinePolicyIdentifier": {"PolicyName": name, "AttachmentType": "user", "AttachmentName": identity}},
        {"InlinePolicyIdentifier": {"PolicyName": name, "AttachmentType": "role", "AttachmentName": "app"}},
    ]);
    let ours = exclusion_list(&left_out);
    let mut ours: Vec<_> = ours.split('&').filter(|it| !it.is_empty()).collect();
    ours.sort_unstable();
    assert_eq!(json!(ours), python(&["tests.exclusions", &same.to_string()]));
}

/// A tenth of what IAM's quotas let a user have by its 20 policies and its 10 groups' 20 each, since a debug build takes
/// more than ten times as long: every character used, and every statement with a condition and resources of its own.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
#[test]
fn a_huge_set_of_policies_is_judged_within_seconds() {
    let document = |seed: usize| {
        let mut statements = Vec::new();
        let mut length = 0;
        while length < 5_900 {
            let n = statements.len();
            let resources: Vec<_> = (0..8).map(|it| format!("arn:aws:*:*:*:*{seed}{n}{it}*?*a*")).collect();
            let statement = json!({"Effect": if n % 3 == 0 { "Deny" } else { "Allow" }, "Action": ["*:*e*t*", "iam:*"], "Resource": resources,
                "Condition": {"StringLike": {"aws:PrincipalTag/team": "*a*b*"}}});
            length += statement.to_string().len();
            statements.push(statement);
        }
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    };
    let policies = (0..22).map(|it| Policy::new("policy", &format!("p{it}"), None, &document(it))).collect();
    let holdings = Holdings { policies, ..Holdings::default() };
    let (account, partition) = (parsed("111122223333"), parsed("aws"));
    let services: Vec<_> = paths().iter().filter_map(|it| it.passes_to).collect();
    let trusts: Vec<_> = (0..1_000)
        .map(|it| {
            let principal = json!({"Service": services, "AWS": "111122223333"});
            let trust = json!({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": principal}});
            (format!("arn:aws:iam::111122223333:role/r{it}"), trust.to_string())
        })
        .collect();
    let began = Instant::now();
    let arn = "arn:aws:iam::111122223333:user/alice";
    let mut could = Asker { holdings: &holdings, account: &account, partition: &partition, arn }.ask();
    could.name_roles_to_pass(&holdings, &trusts);
    let mut assuming = Assuming::new(&holdings, arn);
    trusts.iter().for_each(|(role, trust)| assuming.ask(role, trust));
    could.add_roles(assuming.end());
    let took = began.elapsed();
    assert!(!could.escalations.found().is_empty() && could.roles.why_not().is_none());
    // Of a debug build; the report has 40 s for all that it reads.
    assert!(took < Duration::from_secs(60), "{took:?}");
}

fn parsed<T: Parse>(text: &str) -> T {
    T::parse(text).unwrap_or_else(|_| panic!("{text}"))
}
