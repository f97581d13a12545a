//! IAM policy documents, read and written: the revocation of a role's sessions, and denies.
//!
//! IAM hands documents out URL-encoded.

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

/// What tells a document from another: the hash of its statements, however they are spaced.
pub fn fingerprint(document: &str) -> String {
    let text = percent_decode_str(document).decode_utf8_lossy();
    let canonical = serde_json::from_str::<Value>(&text).map_or_else(|_| text.to_string(), |it| it.to_string());
    hex::encode(Sha256::digest(canonical))
}

/// Whether a statement allows everything, or everything of IAM, on every resource: whoever may do the
/// second can give itself the first. Conditions are taken to hold. What can't be read as a policy is
/// taken to do so.
pub fn grants_administrator(document: &str) -> bool {
    let text = percent_decode_str(document).decode_utf8_lossy();
    let Ok(policy) = serde_json::from_str::<Value>(&text) else { return true };
    let grants = |statement: &Value| {
        let covers_iam = |it: &str| {
            let it = it.to_ascii_lowercase();
            it.chars().all(|c| c == '*') || matches!(it.as_str(), "iam:*" | "*:*")
        };
        let actions = texts(statement.get("Action")).iter().any(|it| covers_iam(it));
        let all_but = statement.get("NotAction");
        let all_but = all_but.is_some() && !texts(all_but).iter().any(|it| covers_iam(it));
        let resources = statement.get("NotResource").is_some()
            || texts(statement.get("Resource")).iter().any(|it| it.chars().all(|c| c == '*'));
        statement.get("Effect") == Some(&Value::from("Allow")) && (actions || all_but) && resources
    };
    statements(&policy).into_iter().any(grants)
}

/// Whether a trust policy lets this principal in by its ARN.
pub fn trusts(document: &str, arn: &str) -> bool {
    let text = percent_decode_str(document).decode_utf8_lossy();
    let Ok(policy) = serde_json::from_str::<Value>(&text) else { return false };
    let names = |statement: &Value| {
        let principals = texts(statement.get("Principal").and_then(|it| it.get("AWS")));
        statement.get("Effect") == Some(&Value::from("Allow")) && principals.contains(&arn)
    };
    statements(&policy).into_iter().any(names)
}

fn statements(policy: &Value) -> Vec<&Value> {
    match policy.get("Statement") {
        Some(Value::Array(statements)) => statements.iter().collect(),
        single => single.into_iter().collect(),
    }
}

/// IAM takes one text for a list of one.
fn texts(field: Option<&Value>) -> Vec<&str> {
    match field {
        Some(Value::Array(items)) => items.iter().filter_map(Value::as_str).collect(),
        single => single.and_then(Value::as_str).into_iter().collect(),
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

    #[test]
    fn spaces_and_order_are_no_content() {
        let same = fingerprint(r#"{"Version":"2012-10-17","Statement":[]}"#);
        assert_eq!(fingerprint("%7B %22Statement%22: [], %22Version%22: %222012-10-17%22 %7D"), same);
        assert_ne!(fingerprint(r#"{"Version":"2012-10-17","Statement":[{}]}"#), same);
    }

    #[test]
    fn administrator_access_is_everything_or_everything_of_iam_everywhere() {
        let policy = |statement: &str| format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#);
        for it in [
            r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#,
            r#"[{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Allow","Action":["IAM:*"],"Resource":["*"]}]"#,
            r#"{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*:*","NotResource":"arn:aws:s3:::b"}"#,
        ] {
            assert!(grants_administrator(&policy(it)), "{it}");
        }
        for it in [
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#,
            r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Allow","NotAction":["iam:*"],"Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/*"}"#,
        ] {
            assert!(!grants_administrator(&policy(it)), "{it}");
        }
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
