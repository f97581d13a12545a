//! The templates against the code: permissions both ways, environment variables both ways, and rule
//! patterns against our own samples, with a pattern matcher that isn't ours.

#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends at the first surprise")]

mod calls;
mod documents;
mod roles;
mod rules;
mod sessions;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;

use serde_json::Value;

/// All templates as CloudFormation: SAM's own translator made the first.
pub(crate) static TEMPLATES: LazyLock<Value> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".venv/bin/python");
    assert!(python.exists(), "run `make test`: it installs what translates the template");
    let output = Command::new(python).args(["-m", "tests.harness.templates"]).current_dir(root).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
});

pub(crate) fn resource(template: &str, name: &str) -> &'static Value {
    &TEMPLATES[template]["Resources"][name]["Properties"]
}

pub(crate) fn many(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(items) => items.iter().collect(),
        single => vec![single],
    }
}

/// The statements of a role's policies, those behind a condition included.
pub(crate) fn statements(role: &'static Value) -> Vec<&'static Value> {
    let policies = role["Policies"].as_array().unwrap();
    let of = policies.iter().flat_map(|it| it["PolicyDocument"]["Statement"].as_array().unwrap());
    of.map(|it| it.get("Fn::If").map_or(it, |it| &it[1])).collect()
}

pub(crate) fn allowed(role: &'static Value) -> BTreeSet<&'static str> {
    let allows = statements(role).into_iter().filter(|it| it["Effect"] == "Allow");
    allows.flat_map(|it| many(&it["Action"])).map(|it| it.as_str().unwrap()).collect()
}
