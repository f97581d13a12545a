//! What an event leaves behind that gives access, or takes sight: each is a suspect for a person to look at.

use serde::Serialize;
use serde_json::Value;

use super::remains::{self, Thing};
use super::signs::{IDS, OBJECTS, SIGNS, UNBOUNDING, is_of_identities, takes_sight};
use super::strangers::lets_in;
use crate::change::REVOCATION_POLICY;
use crate::text;

/// How grave it is. The last is the gravest: where a list is cut, that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Gravity {
    /// It gives access to a resource, or by one.
    OfResource,
    /// It gives access to somebody, or more of it.
    OfIdentity,
    LetsIn,
    /// It took away what held somebody back.
    Lifts,
    TakesSight,
}

/// What somebody created or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// In words: `created user`.
    pub what: &'static str,
    pub gravity: Gravity,
    /// Its name or ARN, as the request has it.
    pub object: String,
    /// Its unique ID, where the answer has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    /// Whom or what it gives.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Those of other accounts, and everybody, each whole.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lets_in: Vec<String>,
    /// The user that it is about, where it is about one: it may be the identity itself.
    #[serde(skip)]
    pub user: Option<String>,
    #[serde(skip)]
    pub role: Option<String>,
    /// What to look up to know whether it is still there.
    #[serde(skip)]
    pub thing: Option<Thing>,
}

/// These give access only where they say that it is to be active.
const ACTIVATIONS: &[&str] =
    &["UpdateAccessKey", "UpdateSSHPublicKey", "UpdateServiceSpecificCredential", "UpdateSigningCertificate"];
/// These give access only where what they take away denied.
const DETACHMENTS: &[&str] = &["DetachRolePolicy", "DetachUserPolicy"];
/// So many of those who are let in are in the words; all are in the JSON.
const MOST_NAMED: usize = 5;

/// What an event, which succeeded, leaves behind; nothing in most cases.
pub(super) fn trace(source: &str, name: &str, event: &Value) -> Option<Trace> {
    let service = source.strip_suffix(".amazonaws.com")?;
    let (_, signs) = SIGNS.iter().find(|(it, _)| *it == service)?;
    let unversioned = if service == "lambda" { without_version(name) } else { name };
    let (_, what) = signs.iter().find(|(it, _)| *it == unversioned)?;
    let (request, response) = (&event["requestParameters"], &event["responseElements"]);
    let given = |field: &str| request.get(field).and_then(Value::as_str).map(|it| text::cut(it, 300));
    let is_active = given("status").as_deref() == Some("Active");
    let denies = ["policyArn", "permissionsBoundary"].iter().any(|it| given(it).is_some_and(|it| is_deny(&it)));
    let is_detachment = DETACHMENTS.contains(&name);
    if (ACTIVATIONS.contains(&name) && !is_active)
        || (is_detachment && !denies)
        || (["Attach", "Put"].iter().any(|it| name.starts_with(it)) && denies)
    {
        return None;
    }
    let is_revocation = name == "DeleteRolePolicy" && given("policyName").as_deref() == Some(REVOCATION_POLICY);
    let user = if service == "iam" { remains::user(request, response) } else { None };
    let object = OBJECTS.iter().find_map(|it| given(it)).or_else(|| user.clone()).unwrap_or_default();
    let account = event.get("recipientAccountId").and_then(Value::as_str).unwrap_or_default();
    let lets_in = lets_in(service, unversioned, request, account);
    let details = ["policyArn", "policyName", "groupName", "accessKeyId", "versionId", "granteePrincipal", "principal"];
    let details = details.iter().filter_map(|it| given(it));
    let mut details: Vec<_> = details.filter(|it| *it != object && !lets_in.contains(it)).collect();
    if !lets_in.is_empty() {
        let mut named: Vec<_> = lets_in.iter().take(MOST_NAMED).map(|it| text::cut(it, 200)).collect();
        let more = lets_in.len().saturating_sub(MOST_NAMED);
        named.extend((more > 0).then(|| format!("{more} more")));
        // Behind long names a count would be cut off.
        let count = if more > 0 { format!("{} of other accounts: ", lets_in.len()) } else { String::new() };
        details.push(format!("lets in {count}{}", named.join(", ")));
    }
    let gravity = if takes_sight(service, unversioned) {
        Gravity::TakesSight
    } else if is_detachment || is_revocation || (service == "iam" && UNBOUNDING.contains(&name)) {
        Gravity::Lifts
    } else if !lets_in.is_empty() {
        Gravity::LetsIn
    } else if is_of_identities(service) {
        Gravity::OfIdentity
    } else {
        Gravity::OfResource
    };
    Some(Trace {
        what: if is_revocation { "lifted the revocation of sessions from role" } else { what },
        gravity,
        object,
        unique_id: IDS.iter().find_map(|it| response.pointer(it)?.as_str()).map(|it| text::distinct(it, 300)),
        detail: details.join(", "),
        user,
        role: given("roleName"),
        thing: if service == "iam" { remains::thing(name, request, response, lets_in.clone()) } else { None },
        lets_in,
    })
}

/// AWS's own policies that hold somebody back, ours among them.
fn is_deny(policy: &str) -> bool {
    let name = policy.rsplit('/').next().unwrap_or_default();
    policy.contains(":iam::aws:policy/") && (name == "AWSDenyAll" || name.starts_with("AWSCompromisedKeyQuarantine"))
}

/// `CreateFunction20150331`, `AddPermission20150331v2`.
fn without_version(name: &str) -> &str {
    name.find(|c: char| c.is_ascii_digit()).and_then(|at| name.get(..at)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn found(source: &str, name: &str, request: Value, response: Value) -> Option<Trace> {
        let event =
            json!({"recipientAccountId": "111122223333", "requestParameters": request, "responseElements": response});
        trace(&format!("{source}.amazonaws.com"), name, &event)
    }

    #[test]
    fn what_gives_access_is_a_trace_with_its_unique_id() {
        let user =
            found("iam", "CreateUser", json!({"userName": "mallory"}), json!({"user": {"userId": "AIDAMALLORY"}}))
                .unwrap();
        assert_eq!(
            (user.what, user.object.as_str(), user.unique_id.as_deref()),
            ("created user", "mallory", Some("AIDAMALLORY"))
        );
        let attached =
            found("iam", "AttachUserPolicy", json!({"userName": "mallory", "policyArn": "arn:x"}), Value::Null)
                .unwrap();
        assert_eq!((attached.detail.as_str(), attached.unique_id), ("arn:x", None));
        assert!(found("lambda", "CreateFunction20150331", json!({"functionName": "f"}), Value::Null).is_some());
        assert!(found("lambda", "AddPermission20150331v2", json!({"functionName": "f"}), Value::Null).is_some());
        assert!(found("cloudtrail", "StopLogging", json!({"name": "t"}), Value::Null).is_some());
        assert!(found("iam", "UpdateAccessKey", json!({"status": "Inactive"}), Value::Null).is_none());
        assert!(found("iam", "UpdateAccessKey", json!({"status": "Active"}), Value::Null).is_some());
        let deny = json!({"userName": "alice", "policyArn": "arn:aws:iam::aws:policy/AWSDenyAll"});
        assert_eq!(
            found("iam", "DetachUserPolicy", deny.clone(), Value::Null).unwrap().what,
            "lifted a deny from user"
        );
        assert!(found("iam", "AttachUserPolicy", deny, Value::Null).is_none());
        let other = json!({"userName": "alice", "policyArn": "arn:aws:iam::aws:policy/ReadOnlyAccess"});
        assert!(found("iam", "DetachUserPolicy", other, Value::Null).is_none());
        let own = found(
            "iam",
            "CreateAccessKey",
            Value::Null,
            json!({"accessKey": {"userName": "alice", "accessKeyId": "AKIA1"}}),
        );
        assert_eq!(own.unwrap().user.as_deref(), Some("alice"));
        assert!(found("iam", "ListUsers", Value::Null, Value::Null).is_none());
        // The same name is another service's.
        assert_eq!(
            found("identitystore", "CreateUser", json!({"userName": "m"}), Value::Null).unwrap().what,
            "created Identity Center user"
        );
    }

    #[test]
    fn a_foreign_trust_is_named() {
        let trust = json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": "arn:aws:iam::444455556666:root"}, "Action": "sts:AssumeRole"}]});
        let role = found(
            "iam",
            "CreateRole",
            json!({"roleName": "r", "assumeRolePolicyDocument": trust.to_string()}),
            Value::Null,
        )
        .unwrap();
        assert_eq!(role.detail, "lets in arn:aws:iam::444455556666:root");
    }

    fn trusting(all: &[String]) -> Trace {
        let trust = json!({"Statement": {"Effect": "Allow", "Principal": {"AWS": all}, "Action": "sts:AssumeRole"}});
        let request = json!({"roleName": "r", "policyDocument": trust.to_string()});
        found("iam", "UpdateAssumeRolePolicy", request, Value::Null).unwrap()
    }

    #[test]
    fn whom_a_role_lets_in_is_kept_whole_so_that_it_is_found_again() {
        let stranger = format!("arn:aws:iam::444455556666:role/{}/partner", "deep/".repeat(40).trim_end_matches('/'));
        let trace = trusting(std::slice::from_ref(&stranger));
        assert_eq!(trace.lets_in, [stranger.as_str()]);
        assert_eq!(trace.thing, Some(Thing::Trust { role: "r".to_owned(), lets_in: vec![stranger] }));
    }

    #[test]
    fn each_stranger_whom_a_role_lets_in_is_named_or_counted() {
        let all: Vec<_> = (1..=6).map(|n| format!("arn:aws:iam::22222222222{n}:root")).collect();
        let trace = trusting(&all);
        assert!(trace.detail.starts_with("lets in 6 of other accounts: ") && trace.detail.ends_with("1 more"));
        assert_eq!(trace.lets_in, all);
    }

    #[test]
    fn lifting_a_revocation_is_a_trace_like_lifting_a_deny() {
        let request = |policy: &str| json!({"roleName": "app", "policyName": policy});
        let lifted = found("iam", "DeleteRolePolicy", request("AWSRevokeOlderSessions"), Value::Null).unwrap();
        assert_eq!((lifted.what, lifted.gravity), ("lifted the revocation of sessions from role", Gravity::Lifts));
        // What another one denied nobody can say.
        let other = found("iam", "DeleteRolePolicy", request("own"), Value::Null).unwrap();
        assert_eq!((other.what, other.gravity), ("deleted an inline policy of role", Gravity::OfIdentity));
        let boundary = json!({"userName": "alice", "policyName": "deny"});
        assert!(found("iam", "DeleteUserPolicy", boundary, Value::Null).is_some());
        let denied = json!({"userName": "alice", "permissionsBoundary": "arn:aws:iam::aws:policy/AWSDenyAll"});
        assert!(found("iam", "PutUserPermissionsBoundary", denied, Value::Null).is_none());
    }
}
