//! Who can make itself an administrator, as far as one policy document tells.

use serde_json::Value;

use crate::glob::{meet, pieces};
use crate::policy_document::{decoded, statements, texts};

/// By each of these whoever may do it to an identity or policy of its choice can give itself everything. The
/// second is what it is done to.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html>
const ESCALATIONS: &[(&str, &str)] = &[
    ("iam:attachuserpolicy", "user"),
    ("iam:putuserpolicy", "user"),
    ("iam:createaccesskey", "user"),
    ("iam:createloginprofile", "user"),
    ("iam:updateloginprofile", "user"),
    ("iam:attachgrouppolicy", "group"),
    ("iam:putgrouppolicy", "group"),
    ("iam:addusertogroup", "group"),
    ("iam:attachrolepolicy", "role"),
    ("iam:putrolepolicy", "role"),
    ("iam:updateassumerolepolicy", "role"),
    ("iam:createpolicyversion", "policy"),
    ("iam:setdefaultpolicyversion", "policy"),
];

/// Those of a credential give nothing new to whoever may only do it to itself.
const OF_A_CREDENTIAL: &[&str] = &["iam:createaccesskey", "iam:createloginprofile", "iam:updateloginprofile"];

/// Whether a statement allows everything, or one of what gives everything, however its actions and resources are
/// written. Conditions are taken to hold. What can't be read as a policy is taken to do so.
///
/// It does not follow `iam:PassRole` and `sts:AssumeRole` to the roles that they lead to.
pub fn grants_administrator(document: &str) -> bool {
    let Ok(policy) = serde_json::from_str::<Value>(&decoded(document)) else { return true };
    statements(&policy).into_iter().any(grants)
}

fn grants(statement: &Value) -> bool {
    statement.get("Effect") == Some(&Value::from("Allow"))
        && ESCALATIONS.iter().any(|(action, kind)| allows(statement, action) && reaches(statement, action, kind))
}

fn allows(statement: &Value, action: &str) -> bool {
    let covers = |field: &Value| texts(Some(field)).iter().any(|it| overlap(&it.to_ascii_lowercase(), action));
    match statement.get("NotAction") {
        Some(all_but) => !covers(all_but),
        None => statement.get("Action").is_some_and(covers),
    }
}

fn reaches(statement: &Value, action: &str, kind: &str) -> bool {
    let is_own = |it: &str| OF_A_CREDENTIAL.contains(&action) && it.ends_with("${aws:username}");
    match statement.get("NotResource") {
        Some(all_but) => !texts(Some(all_but)).iter().any(|it| it.chars().all(|c| c == '*')),
        None => texts(statement.get("Resource")).iter().any(|it| !is_own(it) && can_be(it, kind)),
    }
}

/// Whether the pattern of a resource matches any identity or policy of that kind.
fn can_be(pattern: &str, kind: &str) -> bool {
    let fields: Vec<_> = pattern.splitn(6, ':').collect();
    match fields.as_slice() {
        ["arn", _, service, region, _, resource] => {
            overlap(service, "iam") && overlap(region, "") && overlap(resource, &format!("{kind}/*"))
        }
        // A wildcard can stand for more than one field.
        _ => {
            let partition =
                fields.get(1).filter(|it| it.starts_with("aws") && !it.contains(['*', '?'])).unwrap_or(&"aws");
            overlap(pattern, &format!("arn:{partition}:iam::1:{kind}/*"))
        }
    }
}

/// Whether there is a text that both match; a variable (`${aws:username}`) is taken to be any text.
fn overlap(a: &str, b: &str) -> bool {
    let pattern = |it: &str| {
        let mut parts = it.split("${");
        let mut text = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            text.push('*');
            text.push_str(part.split_once('}').map_or(part, |(_, rest)| rest));
        }
        pieces(&text)
    };
    meet(&pattern(a), &pattern(b)).is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(statement: &str) -> String {
        format!(r#"{{"Version":"2012-10-17","Statement":{statement}}}"#)
    }

    #[test]
    fn administrator_access_is_whatever_gives_it() {
        for it in [
            r#"{"Effect":"Allow","Action":"*","Resource":"*"}"#,
            r#"[{"Effect":"Deny","Action":"s3:*","Resource":"*"},{"Effect":"Allow","Action":["IAM:*"],"Resource":["*"]}]"#,
            r#"{"Effect":"Allow","NotAction":"s3:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","NotAction":["iam:List*","iam:Get*"],"Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*:*","NotResource":"arn:aws:s3:::b"}"#,
            r#"{"Effect":"Allow","Action":"i?m:*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"iam:?*","Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":["iam:Attach*","iam:Put*","iam:Create*"],"Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"iam:PutUserPolicy","Resource":"arn:aws:iam::*:user/${aws:username}"}"#,
            r#"{"Effect":"Allow","Action":"iam:*","Resource":["arn:aws:iam::*:user/*","arn:aws:iam::*:role/*"]}"#,
            r#"{"Effect":"Allow","Action":"iam:SetDefaultPolicyVersion","Resource":"arn:aws:iam::111122223333:policy/team/*"}"#,
            r#"{"Effect":"Allow","Action":"iam:CreateAccessKey","Resource":"arn:aws:iam::*:user/*"}"#,
            r#"{"Effect":"Allow","Action":"iam:AddUserToGroup","Resource":"arn:aws:iam::*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws-cn:iam::*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws*"}"#,
        ] {
            assert!(grants_administrator(&policy(it)), "{it}");
        }
        assert!(grants_administrator("no policy"));
    }

    #[test]
    fn whoever_can_only_do_its_work_is_no_administrator() {
        for it in [
            r#"{"Effect":"Allow","Action":"s3:*","Resource":"*"}"#,
            r#"{"Effect":"Deny","Action":"*","Resource":"*"}"#,
            r#"{"Effect":"Allow","NotAction":["iam:*"],"Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::b/*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws:s3:::*"}"#,
            r#"{"Effect":"Allow","Action":"*","Resource":"arn:aws-cn:s3*"}"#,
            r#"{"Effect":"Allow","Action":["iam:Get*","iam:List*","iam:CreateServiceLinkedRole"],"Resource":"*"}"#,
            r#"{"Effect":"Allow","Action":["iam:CreateAccessKey","iam:*LoginProfile"],"Resource":"arn:aws:iam::*:user/${aws:username}"}"#,
            r#"{"Effect":"Allow","Action":"iam:*","Resource":"arn:aws:iam::*:mfa/*"}"#,
            r#"{"Effect":"Allow","Action":"iam:AttachUserPolicy","Resource":"arn:aws:iam::*:role/*"}"#,
        ] {
            assert!(!grants_administrator(&policy(it)), "{it}");
        }
    }

    #[test]
    fn two_patterns_overlap_where_one_text_matches_both() {
        for (a, b) in
            [("*", "iam:x"), ("iam:?*", "iam:x"), ("a*c", "*b*"), ("", ""), ("*", ""), ("a?", "*b"), ("a*", "a")]
        {
            assert!(overlap(a, b) && overlap(b, a), "{a} {b}");
        }
        for (a, b) in [("iam:?*", "iam:"), ("a*c", "ab"), ("s3", "iam"), ("?", ""), ("a*", "b*c")] {
            assert!(!overlap(a, b) && !overlap(b, a), "{a} {b}");
        }
    }
}
