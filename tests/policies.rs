//! What a report says that policies allow, against an evaluator that is not ours: the simulated AWS's, in Python.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

use std::path::Path;
use std::process::Command;

use domain::evidence::answer::{Answer, Holdings};
use domain::evidence::condition::Context;
use domain::evidence::document::Policy;
use serde_json::Value;

fn cases() -> Vec<Value> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let number = std::env::var("POLICY_CASES").unwrap_or_else(|_| "3000".to_owned());
    let seed = std::env::var("POLICY_SEED").unwrap_or_else(|_| "7".to_owned());
    let mut python = Command::new(root.join(".venv/bin/python"));
    let output = python.args(["-m", "tests.policy_cases", &number, &seed]).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
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
