//! What CloudTrail tells of users and access keys that came into being or were activated, whoever did it: what the daily
//! sweep asks the ledger for.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html>

use serde_json::Value;

use super::node::Node;
use crate::ids::{AccessKeyId, AccountId, Arn, Parse, PrincipalName};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CredentialEvent {
    pub account: AccountId,
    pub user: PrincipalName,
    pub what: Credential,
    /// In seconds since 1970.
    pub at: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credential {
    UserCreated,
    KeyCreated(AccessKeyId),
    KeyActivated(AccessKeyId),
}

/// Of an event as EventBridge hands it over; `None` for every other, and for what can't be read in full.
pub fn credential_event(payload: &Value) -> Option<CredentialEvent> {
    let root = Node::root(payload);
    let detail = root.get("detail");
    if root.get("source").text() != Some("aws.iam") || detail.get("errorCode").is_present() {
        return None;
    }
    let at = detail.get("eventTime").time()?.secs();
    match detail.get("eventName").text()? {
        "CreateUser" => {
            let arn = Arn::parse(detail.at("responseElements.user.arn").text()?)?;
            let (account, user) = (AccountId::parse(arn.account).ok()?, parse(arn.kind_and_name()?.1)?);
            Some(CredentialEvent { account, user, what: Credential::UserCreated, at })
        }
        "CreateAccessKey" => {
            let key = detail.at("responseElements.accessKey.accessKeyId").text();
            key_event(&detail, Credential::KeyCreated(id(key?)?), at)
        }
        "UpdateAccessKey" => {
            let is_activation = detail.at("requestParameters.status").text() == Some("Active");
            let key = detail.at("requestParameters.accessKeyId").text().filter(|_| is_activation);
            key_event(&detail, Credential::KeyActivated(id(key?)?), at)
        }
        _ => None,
    }
}

/// Who names no user does it to themselves.
fn key_event(detail: &Node, what: Credential, at: i64) -> Option<CredentialEvent> {
    let named = detail.at("responseElements.accessKey.userName").text();
    let named = named.or_else(|| detail.at("requestParameters.userName").text());
    let user = named.or_else(|| detail.at("userIdentity.userName").text())?;
    let account = AccountId::parse(detail.get("recipientAccountId").text()?).ok()?;
    Some(CredentialEvent { account, user: parse(user)?, what, at })
}

fn id(key: &str) -> Option<AccessKeyId> {
    AccessKeyId::parse(key).ok()
}

fn parse(name: &str) -> Option<PrincipalName> {
    PrincipalName::parse(name).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::parsed;

    fn event(detail: Value) -> Option<CredentialEvent> {
        let mut all = json!({
            "eventTime": "1970-01-01T00:00:05Z",
            "recipientAccountId": "111122223333",
            "userIdentity": {"userName": "dana"},
        });
        all.as_object_mut().unwrap().extend(detail.as_object().unwrap().clone());
        credential_event(&json!({"source": "aws.iam", "detail": all}))
    }

    #[test]
    fn a_key_is_of_whom_the_call_names_or_of_who_calls() {
        let key = "AKIAIOSFODNN7EXAMPLE";
        let told = |detail| event(detail).map(|it| (it.user.to_string(), it.what, it.at));
        let made = Credential::KeyCreated(parsed(key));
        let made_by = |parameters: Value| json!({"eventName": "CreateAccessKey", "requestParameters": parameters, "responseElements": {"accessKey": {"accessKeyId": key}}});
        assert_eq!(told(made_by(json!({"userName": "alice"}))), Some(("alice".to_owned(), made.clone(), 5)));
        assert_eq!(told(made_by(Value::Null)), Some(("dana".to_owned(), made, 5)));
        let status = |status: &str| json!({"eventName": "UpdateAccessKey", "requestParameters": {"userName": "alice", "status": status, "accessKeyId": key}});
        let activated = Credential::KeyActivated(parsed(key));
        assert_eq!(told(status("Active")), Some(("alice".to_owned(), activated, 5)));
        assert_eq!(told(status("Inactive")), None);
        // Which key it was is what a sweep asks for.
        assert_eq!(told(json!({"eventName": "CreateAccessKey", "requestParameters": {"userName": "alice"}})), None);
    }

    #[test]
    fn what_failed_or_is_not_from_iam_tells_nothing() {
        let made = json!({"accessKey": {"accessKeyId": "AKIAIOSFODNN7EXAMPLE"}});
        assert!(event(json!({"eventName": "CreateAccessKey", "responseElements": made})).is_some());
        let failed = json!({"eventName": "CreateAccessKey", "errorCode": "AccessDenied", "responseElements": made});
        assert_eq!(event(failed), None);
        assert_eq!(event(json!({"eventName": "DeleteAccessKey"})), None);
        let forged = json!({"source": "custom", "detail": {"eventName": "CreateAccessKey", "responseElements": made}});
        assert_eq!(credential_event(&forged), None);
    }
}
