//! IAM policy documents, read and written: the revocation of a role's sessions, and denies.
//!
//! IAM hands documents out URL-encoded.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

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

/// The date of a policy that denies everything to older sessions; `None` for any other text, which
/// revokes nothing.
pub fn revoked_before(document: &str) -> Option<DateTime> {
    let decoded = percent_decode_str(document).decode_utf8().ok()?;
    let policy: Value = serde_json::from_str(&decoded).ok()?;
    let statement = match policy.get("Statement")? {
        Value::Array(statements) => statements.first()?,
        single => single,
    };
    let is_everything = |field: &str| match statement.get(field) {
        Some(Value::Array(it)) => it.iter().any(|it| it == "*"),
        Some(it) => it == "*",
        None => false,
    };
    if statement.get("Effect")? != "Deny" || !is_everything("Action") || !is_everything("Resource") {
        return None;
    }
    let conditions = statement.get("Condition")?.as_object().filter(|it| it.len() == 1)?;
    let date = conditions.get("DateLessThan")?.get("aws:TokenIssueTime")?.as_str()?;
    DateTime::from_str(date, Format::DateTimeWithOffset).ok()
}

/// Whether a statement denies something. What can't be read as a policy is taken to do so.
pub fn has_deny(document: &str) -> bool {
    let text = percent_decode_str(document).decode_utf8_lossy();
    let Ok(policy) = serde_json::from_str::<Value>(&text) else { return true };
    match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().any(|it| it.get("Effect") != Some(&Value::from("Allow"))),
        Some(single) => single.get("Effect") != Some(&Value::from("Allow")),
        None => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let weakened =
            r#"{"DateLessThan":{"aws:TokenIssueTime":"2026-11-21T06:00:00Z"},"Bool":{"aws:SecureTransport":"false"}}"#;
        assert_eq!(revoked_before(&policy("Deny", weakened)), None);
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
}
