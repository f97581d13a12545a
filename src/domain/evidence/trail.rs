//! One CloudTrail event, as far as a report needs it. Read leniently: an event that lacks a field is still one.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-record-contents.html>
//!
//! What a call answered is not kept: `AssumeRole` answers with a session token.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::Value;

use super::persistence::{Trace, trace};
use crate::identity::Identity;
use crate::ids::{AccountId, Arn, Parse};
use crate::text;

/// What others wrote is as long as they like.
const LONGEST: usize = 300;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    /// Seconds since 1970: CloudTrail has no finer ones.
    pub at: i64,
    /// `iam.amazonaws.com`.
    pub source: String,
    pub name: String,
    /// Whose event history has it.
    pub account: String,
    pub region: String,
    pub actor: Actor,
    pub error: Option<String>,
    pub address: String,
    pub user_agent: String,
    pub is_read: bool,
    pub minted: Option<Minted>,
    /// The user or role that IAM was asked about, by name.
    pub target: Option<String>,
    /// What a user is called from now on.
    pub new_name: Option<String>,
    /// What it left that gives access, if it succeeded.
    pub trace: Option<Trace>,
}

/// Who called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Actor {
    pub arn: String,
    /// A user's unique ID, or a role's with the session's name.
    pub principal_id: String,
    pub key: String,
    /// The unique ID of the role or user that the session is of.
    pub issuer_id: String,
}

/// A session that the call made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minted {
    pub key: String,
    /// The session's ARN; of a session of root, the ARN of that root.
    pub session: String,
    /// The role's ARN, where it is one's.
    pub role: Option<String>,
}

impl Event {
    /// From the JSON text of `CloudTrailEvent`. `None`: it is no event.
    pub fn parse(text: &str) -> Option<Self> {
        let it: Value = serde_json::from_str(text).ok()?;
        let word = |path: &str| it.pointer(path).and_then(Value::as_str).map(|it| text::cut(it, LONGEST));
        let or_empty = |path: &str| word(path).unwrap_or_default();
        let actor = Actor {
            arn: or_empty("/userIdentity/arn"),
            principal_id: or_empty("/userIdentity/principalId"),
            key: or_empty("/userIdentity/accessKeyId"),
            issuer_id: or_empty("/userIdentity/sessionContext/sessionIssuer/principalId"),
        };
        let error = word("/errorCode").or_else(|| word("/errorMessage"));
        let minted = word("/responseElements/credentials/accessKeyId").filter(|_| error.is_none()).map(|key| Minted {
            key,
            session: word("/responseElements/assumedRoleUser/arn")
                .or_else(|| word("/responseElements/federatedUser/arn"))
                .or_else(|| root(&word("/requestParameters/targetPrincipal")?, &actor.arn))
                .unwrap_or_default(),
            role: word("/requestParameters/roleArn"),
        });
        let mut event = Self {
            id: word("/eventID")?,
            at: DateTime::from_str(&word("/eventTime")?, Format::DateTimeWithOffset).ok()?.secs(),
            source: or_empty("/eventSource"),
            name: word("/eventName")?,
            account: or_empty("/recipientAccountId"),
            region: or_empty("/awsRegion"),
            actor,
            error,
            address: or_empty("/sourceIPAddress"),
            user_agent: or_empty("/userAgent"),
            is_read: it.get("readOnly").is_some_and(|it| it == true || it == "true"),
            minted,
            target: word("/requestParameters/userName").or_else(|| word("/requestParameters/roleName")),
            new_name: word("/requestParameters/newUserName"),
            trace: None,
        };
        if event.error.is_none() {
            event.trace = trace(&event.source, &event.name, &it);
        }
        Some(event)
    }

    /// `iam:CreateUser`, without the version that Lambda's events bear.
    pub fn action(&self) -> String {
        let service = self.source.strip_suffix(".amazonaws.com").unwrap_or(&self.source);
        format!("{service}:{}", self.name)
    }

    /// Whether the identity did it, or a session that is followed from it. By unique ID or key: a name is also a
    /// session's that anybody may choose.
    pub fn is_by(&self, identity: &Identity, keys: &BTreeSet<String>) -> bool {
        let id = identity.id.as_str();
        let is_session =
            self.actor.principal_id.strip_prefix(id).is_some_and(|it| it.is_empty() || it.starts_with(':'));
        is_session || self.actor.issuer_id == id || keys.contains(&self.actor.key)
    }
}

/// The ARN of a member account's root: `AssumeRoot` names the account, by its ID or by that ARN, and its answer names
/// nobody.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoot.html>
fn root(target: &str, caller: &str) -> Option<String> {
    let partition = Arn::parse(caller).map_or("aws", |it| it.partition);
    let of_arn = || Arn::parse(target).map(|it| it.account).and_then(|it| AccountId::parse(it).ok());
    let account = AccountId::parse(target).ok().or_else(of_arn)?;
    Some(format!("arn:{partition}:iam::{account}:root"))
}

/// As reports have it.
pub fn time(seconds: i64) -> String {
    DateTime::from_secs(seconds).to_string()
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::identity;
    use crate::identity::IdentityKind;

    #[test]
    fn an_event_is_read_and_its_secrets_are_left() {
        let text = json!({
            "eventID": "e", "eventTime": "2026-11-21T06:00:00Z", "eventSource": "sts.amazonaws.com", "eventName": "AssumeRole",
            "awsRegion": "us-east-1", "sourceIPAddress": "198.51.100.7", "userAgent": "x".repeat(1_000), "readOnly": true,
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice", "principalId": "AIDACKCEVSQ6C2EXAMPLE",
                "accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
            "requestParameters": {"roleArn": "arn:aws:iam::111122223333:role/app"},
            "responseElements": {"credentials": {"accessKeyId": "ASIAIOSFODNN7EXAMPLE", "sessionToken": "s3cret"},
                "assumedRoleUser": {"arn": "arn:aws:sts::111122223333:assumed-role/app/x"}},
        });
        let event = Event::parse(&text.to_string()).unwrap();
        assert_eq!((event.at, event.is_read, event.user_agent.len()), (1_795_240_800, true, LONGEST));
        let minted = event.minted.clone().unwrap();
        assert_eq!(
            (minted.key.as_str(), minted.role.as_deref()),
            ("ASIAIOSFODNN7EXAMPLE", Some("arn:aws:iam::111122223333:role/app"))
        );
        assert!(!format!("{event:?}").contains("s3cret"));
        assert_eq!(event.action(), "sts:AssumeRole");
        for broken in ["", "[]", "{}", r#"{"eventID":"e","eventName":"n","eventTime":"yesterday"}"#] {
            assert_eq!(Event::parse(broken), None);
        }
    }

    #[test]
    fn a_session_of_root_is_of_the_account_that_was_asked_for() {
        let assumed = |target: &str| {
            let text = json!({
                "eventID": "e", "eventTime": "2026-11-21T06:00:00Z", "eventSource": "sts.amazonaws.com", "eventName": "AssumeRoot",
                "userIdentity": {"arn": "arn:aws-us-gov:iam::111122223333:user/alice"},
                "requestParameters": {"targetPrincipal": target},
                "responseElements": {"credentials": {"accessKeyId": "ASIAROOT"}},
            });
            Event::parse(&text.to_string()).unwrap().minted.unwrap().session
        };
        assert_eq!(assumed("222222222222"), "arn:aws-us-gov:iam::222222222222:root");
        assert_eq!(assumed("arn:aws-us-gov:iam::222222222222:root"), "arn:aws-us-gov:iam::222222222222:root");
        assert_eq!(assumed("?"), "");
    }

    #[test]
    fn an_event_is_the_identitys_by_unique_id_and_never_by_name() {
        let by = |actor: Actor, kind| {
            let event = Event { actor, ..event("x", 0) };
            event.is_by(&identity(kind), &BTreeSet::from(["ASIAFOLLOWED".to_owned()]))
        };
        let of = |principal_id: &str, issuer_id: &str, key: &str| Actor {
            arn: "arn:aws:sts::1:assumed-role/app/alice".to_owned(),
            principal_id: principal_id.to_owned(),
            key: key.to_owned(),
            issuer_id: issuer_id.to_owned(),
        };
        assert!(by(of("AIDACKCEVSQ6C2EXAMPLE", "", ""), IdentityKind::User));
        assert!(!by(of("AROADBQP57FF2AEXAMPLE:alice", "AROADBQP57FF2AEXAMPLE", ""), IdentityKind::User));
        assert!(by(of("AROADBQP57FF2AEXAMPLE:alice", "", ""), IdentityKind::Role));
        assert!(by(of("111122223333:alice", "AIDACKCEVSQ6C2EXAMPLE", ""), IdentityKind::User));
        assert!(by(of("AROAOTHER:alice", "", "ASIAFOLLOWED"), IdentityKind::User));
        assert!(!by(of("AIDACKCEVSQ6C2EXAMPLE2", "", ""), IdentityKind::User));
    }

    /// One of alice's calls.
    pub(in crate::evidence) fn event(name: &str, at: i64) -> Event {
        Event {
            id: format!("{name}-{at}"),
            at,
            source: "iam.amazonaws.com".to_owned(),
            name: name.to_owned(),
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            actor: Actor {
                principal_id: "AIDACKCEVSQ6C2EXAMPLE".to_owned(),
                key: "AKIAIOSFODNN7EXAMPLE".to_owned(),
                ..Actor::default()
            },
            error: None,
            address: "198.51.100.7".to_owned(),
            user_agent: "aws-cli".to_owned(),
            is_read: true,
            minted: None,
            target: None,
            new_name: None,
            trace: None,
        }
    }
}
