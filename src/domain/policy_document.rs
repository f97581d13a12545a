//! IAM policy documents, read and written: the revocation of a role's sessions, and denies.
//!
//! IAM hands documents out URL-encoded.

use std::borrow::Cow;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// What AWS's console writes for "Revoke active sessions".
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_revoke-sessions.html>
pub fn revocation(issued_before: &DateTime) -> String {
    json!({
        "Version": "2012-10-17",
        "Statement": [{
            "Effect": "Deny",
            "Action": ["*"],
            "Resource": ["*"],
            "Condition": {"DateLessThan": {"aws:TokenIssueTime": issued_before.to_string()}},
        }],
    })
    .to_string()
}

/// The date of a policy that denies everything to older sessions, and does nothing else: what we and AWS's
/// console write, to the letter. `None` for any other text. Every key of a condition must match, so that one
/// more can make it apply to nobody; and another statement beside it may allow anything.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-logic-multiple-context-keys-or-values.html>
pub fn revoked_before(document: &str) -> Option<DateTime> {
    let policy: Value = serde_json::from_str(&decoded(document)).ok()?;
    let policy = only(&policy, &["Version", "Id", "Statement"])?;
    let statement = match policy.get("Statement")? {
        Value::Array(statements) => sole(statements)?,
        single => single,
    };
    let statement = only(statement, &["Sid", "Effect", "Action", "Resource", "Condition"])?;
    let is_everything = |field: &str| match statement.get(field) {
        Some(Value::Array(it)) => sole(it).is_some_and(|it| it == "*"),
        Some(it) => it == "*",
        None => false,
    };
    if statement.get("Effect")? != "Deny" || !is_everything("Action") || !is_everything("Resource") {
        return None;
    }
    let dates =
        only(only(statement.get("Condition")?, &["DateLessThan"])?.get("DateLessThan")?, &["aws:TokenIssueTime"])?;
    let date = dates.get("aws:TokenIssueTime")?.as_str()?;
    DateTime::from_str(date, Format::DateTimeWithOffset).ok()
}

/// An object with no other fields than these.
fn only<'a>(value: &'a Value, fields: &[&str]) -> Option<&'a serde_json::Map<String, Value>> {
    value.as_object().filter(|it| it.keys().all(|key| fields.contains(&key.as_str())))
}

fn sole(items: &[Value]) -> Option<&Value> {
    items.first().filter(|_| items.len() == 1)
}

/// The text as somebody could write it again: decoded, and without what does not count.
pub fn readable(document: &str) -> String {
    let text = decoded(document);
    serde_json::from_str::<Value>(&text).map_or_else(|_| text.to_string(), |it| it.to_string())
}

pub fn decoded(document: &str) -> Cow<'_, str> {
    percent_decode_str(document).decode_utf8_lossy()
}

/// Whether a statement denies something. What can't be read as a policy is taken to do so.
pub fn has_deny(document: &str) -> bool {
    let text = decoded(document);
    let Ok(policy) = serde_json::from_str::<Value>(&text) else { return true };
    match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().any(|it| it.get("Effect") != Some(&Value::from("Allow"))),
        Some(single) => single.get("Effect") != Some(&Value::from("Allow")),
        None => true,
    }
}

/// Whether it denies and does nothing else. What can't be read as a policy is taken not to.
pub fn only_denies(document: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(&decoded(document)) else { return false };
    let statements = statements(&policy);
    !statements.is_empty() && statements.iter().all(|it| it.get("Effect") == Some(&Value::from("Deny")))
}

/// What tells a document from another: the hash of its statements, however they are spaced.
pub fn fingerprint(document: &str) -> String {
    hex::encode(Sha256::digest(readable(document)))
}

/// Whether a trust policy lets this principal in by its ARN.
pub fn trusts(document: &str, arn: &str) -> bool {
    let text = decoded(document);
    let Ok(policy) = serde_json::from_str::<Value>(&text) else { return false };
    let names = |statement: &Value| {
        let principals = texts(statement.get("Principal").and_then(|it| it.get("AWS")));
        statement.get("Effect") == Some(&Value::from("Allow")) && principals.contains(&arn)
    };
    statements(&policy).into_iter().any(names)
}

pub(crate) fn statements(policy: &Value) -> Vec<&Value> {
    match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        single => single.into_iter().collect(),
    }
}

/// IAM takes one text for a list of one.
pub(crate) fn texts(field: Option<&Value>) -> Vec<&str> {
    match field {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        single => single.and_then(Value::as_str).into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_allows_anything_does_more_than_deny() {
        let policy = |statements: &str| format!(r#"{{"Version":"2012-10-17","Statement":{statements}}}"#);
        let (deny, allow) = (r#"{"Effect":"Deny"}"#, r#"{"Effect":"Allow"}"#);
        assert!(only_denies(&policy(deny)) && only_denies(&policy(&format!("[{deny},{deny}]"))));
        for other in [policy(allow), policy(&format!("[{deny},{allow}]")), policy("[]"), "no policy".to_owned()] {
            assert!(!only_denies(&other), "{other}");
        }
    }

    #[test]
    fn only_a_real_revocation_counts() {
        let policy = |effect: &str, condition: &str| {
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"{effect}","Action":["*"],"Resource":["*"],"Condition":{condition}}}]}}"#
            )
        };
        let date = r#"{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T06:00:00Z"}}"#;
        assert_eq!(revoked_before(&policy("Deny", date)).unwrap().secs(), 1_795_240_800);
        assert_eq!(revoked_before(&policy("Allow", date)), None);
        for weakened in [
            r#"{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T06:00:00Z"},"Bool":{"aws:SecureTransport":"false"}}"#,
            r#"{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T06:00:00Z","aws:CurrentTime":"2020-01-01T00:00:00Z"}}"#,
            r#"{"DateLessThan":{"aws:CurrentTime":"2026-11-21T06:00:00Z"}}"#,
        ] {
            assert_eq!(revoked_before(&policy("Deny", weakened)), None, "{weakened}");
        }
        let beside = policy("Deny", date).replace("]}", r#",{"Effect":"Allow","Action":"*","Resource":"*"}]}"#);
        for weakened in [
            beside.as_str(),
            &policy("Deny", date).replace(r#""Action":["*"]"#, r#""NotAction":["*"]"#),
            &policy("Deny", date).replace(r#""Resource":["*"]"#, r#""Resource":["*"],"Principal":"*""#),
            &policy("Deny", date).replace(r#""Action":["*"]"#, r#""Action":"s3:*""#),
        ] {
            assert_eq!(revoked_before(weakened), None, "{weakened}");
        }
        assert!(revoked_before(&policy("Deny", date).replace(r#"["*"]"#, r#""*""#)).is_some());
        assert_eq!(revoked_before("%7B%7D"), None);
    }

    #[test]
    fn what_is_written_is_read() {
        let cutoff = DateTime::from_secs(1_795_240_800);
        assert_eq!(revoked_before(&revocation(&cutoff)), Some(cutoff));
    }

    #[test]
    fn a_deny_anywhere_counts_and_so_does_what_is_unclear() {
        let policy = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
        assert!(!has_deny(&policy(r#"[{"Effect":"Allow","Action":"*","Resource":"*"}]"#)));
        assert!(!has_deny(&policy(r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#)));
        assert!(has_deny(&policy(r#"[{"Effect":"Allow"},{"Effect":"Deny"}]"#)));
        assert!(has_deny(&policy(r#"{"Effect":"Deny"}"#)));
        assert!(has_deny("%7B%7D") && has_deny("no policy"));
    }

    #[test]
    fn spaces_and_order_are_no_content() {
        let same = fingerprint(r#"{"Version":"2012-10-17","Statement":[]}"#);
        assert_eq!(fingerprint("%7B %22Statement%22: [], %22Version%22: %222012-10-17%22 %7D"), same);
        assert_ne!(fingerprint(r#"{"Version":"2012-10-17","Statement":[{}]}"#), same);
    }

    #[test]
    fn a_trust_policy_names_whom_it_lets_in() {
        let alice = "arn:aws:iam::111122223333:user/alice";
        let policy = |effect: &str, principal: &str| {
            format!(r#"{{"Statement":[{{"Effect":"{effect}","Principal":{principal},"Action":"sts:AssumeRole"}}]}}"#)
        };
        assert!(trusts(&policy("Allow", &format!(r#"{{"AWS":"{alice}"}}"#)), alice));
        assert!(trusts(&policy("Allow", &format!(r#"{{"AWS":["other","{alice}"]}}"#)), alice));
        assert!(!trusts(&policy("Deny", &format!(r#"{{"AWS":"{alice}"}}"#)), alice));
        assert!(!trusts(&policy("Allow", r#"{"AWS":"arn:aws:iam::111122223333:user/alice2"}"#), alice));
        assert!(!trusts(&policy("Allow", r#""*""#), alice));
    }
}
