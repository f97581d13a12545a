//! What to look up to know whether something is still there: by its unique ID where it has one, so that another of the
//! same name does not pass for it.

use serde_json::Value;

use crate::ids::{AccountId, Parse};
use crate::text;

/// Something in IAM that an event made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Thing {
    User {
        name: String,
        id: Option<String>,
    },
    Role {
        name: String,
        id: Option<String>,
    },
    /// Whom a role trusts: those of other accounts, as the event wrote them.
    Trust {
        role: String,
        lets_in: Vec<String>,
    },
    AccessKey {
        user: String,
        id: String,
    },
    /// A service-specific credential, an SSH key or a signing certificate.
    Credential {
        user: String,
        id: String,
    },
    Password {
        user: String,
    },
    MfaDevice {
        user: String,
        serial: String,
    },
    Attached {
        to: Holder,
        policy: String,
    },
    Inline {
        of: Holder,
        policy: String,
    },
    Member {
        user: String,
        group: String,
    },
    Policy {
        arn: String,
        id: Option<String>,
    },
    PolicyVersion {
        arn: String,
        version: String,
    },
    InstanceProfile {
        name: String,
        id: Option<String>,
    },
    SamlProvider {
        arn: String,
    },
    OidcProvider {
        arn: String,
    },
}

/// Who has a policy, by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    User(String),
    Role(String),
    Group(String),
}

/// What was found of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Now {
    There,
    /// It is there, and does not work.
    Inactive,
    /// Another one bears its name.
    Replaced,
    Changed,
    Gone,
    /// Why not.
    NotRead(String),
}

impl Now {
    pub fn words(&self) -> String {
        match self {
            Self::There => "still there".to_owned(),
            Self::Inactive => "still there, and inactive".to_owned(),
            Self::Replaced => "made anew: another one bears the name".to_owned(),
            Self::Changed => "changed since".to_owned(),
            Self::Gone => "gone".to_owned(),
            Self::NotRead(why) => format!("could not be read ({})", text::line(why, 200)),
        }
    }
}

/// The longest that IAM takes.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AttachUserPolicy.html>
const LONGEST_ARN: usize = 2_048;

/// What an event of IAM's made. `None`: nothing that is looked up. `lets_in`: whom a trust policy in it lets in.
pub(super) fn thing(name: &str, request: &Value, response: &Value, lets_in: Vec<String>) -> Option<Thing> {
    // One that was cut would never be found again.
    let of = |it: &Value, path: &str| it.pointer(path).and_then(Value::as_str).map(|it| text::cut(it, LONGEST_ARN));
    let given = |field: &str| of(request, &format!("/{field}"));
    let answered = |path: &str| of(response, path);
    let user = || given("userName").or_else(|| USERS.iter().find_map(|it| answered(it)));
    let holder = || {
        let role = || given("roleName").map(Holder::Role);
        given("userName").map(Holder::User).or_else(role).or_else(|| given("groupName").map(Holder::Group))
    };
    Some(match name {
        "CreateUser" => Thing::User { name: user()?, id: answered("/user/userId") },
        "CreateRole" => Thing::Role { name: given("roleName")?, id: answered("/role/roleId") },
        // Who of the own account is trusted is not compared.
        "UpdateAssumeRolePolicy" if lets_in.is_empty() => return None,
        "UpdateAssumeRolePolicy" => Thing::Trust { role: given("roleName")?, lets_in },
        "CreateAccessKey" => Thing::AccessKey { user: user()?, id: answered("/accessKey/accessKeyId")? },
        "UpdateAccessKey" => Thing::AccessKey { user: user()?, id: given("accessKeyId")? },
        "CreateLoginProfile" | "UpdateLoginProfile" => Thing::Password { user: user()? },
        "EnableMFADevice" => Thing::MfaDevice { user: user()?, serial: given("serialNumber")? },
        "AttachUserPolicy" | "AttachRolePolicy" | "AttachGroupPolicy" => {
            Thing::Attached { to: holder()?, policy: given("policyArn")? }
        }
        "PutUserPolicy" | "PutRolePolicy" | "PutGroupPolicy" => {
            Thing::Inline { of: holder()?, policy: given("policyName")? }
        }
        "AddUserToGroup" => Thing::Member { user: user()?, group: given("groupName")? },
        "CreatePolicy" => Thing::Policy { arn: answered("/policy/arn")?, id: answered("/policy/policyId") },
        "CreatePolicyVersion" => {
            Thing::PolicyVersion { arn: given("policyArn")?, version: answered("/policyVersion/versionId")? }
        }
        "SetDefaultPolicyVersion" => Thing::PolicyVersion { arn: given("policyArn")?, version: given("versionId")? },
        "CreateInstanceProfile" => Thing::InstanceProfile {
            name: given("instanceProfileName")?,
            id: answered("/instanceProfile/instanceProfileId"),
        },
        "CreateSAMLProvider" => Thing::SamlProvider { arn: answered("/sAMLProviderArn")? },
        "CreateOpenIDConnectProvider" => Thing::OidcProvider { arn: answered("/openIDConnectProviderArn")? },
        _ => Thing::Credential { user: user()?, id: CREDENTIALS.iter().find_map(|it| answered(it))? },
    })
}

/// A request that names no user is about the caller itself: the answer says whom.
const USERS: &[&str] = &[
    "/accessKey/userName",
    "/loginProfile/userName",
    "/serviceSpecificCredential/userName",
    "/sSHPublicKey/userName",
    "/certificate/userName",
];

const CREDENTIALS: &[&str] = &[
    "/serviceSpecificCredential/serviceSpecificCredentialId",
    "/sSHPublicKey/sSHPublicKeyId",
    "/certificate/certificateId",
];

/// Whether a policy names now whom it was written with: IAM keeps an account's number as the ARN of its root.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html#principal-accounts>
pub fn is_same_principal(written: &str, now: &str) -> bool {
    written == now || (AccountId::parse(written).is_ok() && now.ends_with(&format!(":iam::{written}:root")))
}

/// The user that it is about.
pub(super) fn user(request: &Value, response: &Value) -> Option<String> {
    let named = request.get("userName").and_then(Value::as_str);
    let user = named.or_else(|| USERS.iter().find_map(|it| response.pointer(it)?.as_str()))?;
    Some(text::cut(user, 300))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_account_is_the_same_by_its_number_and_by_its_root() {
        assert!(is_same_principal("444455556666", "arn:aws:iam::444455556666:root"));
        assert!(is_same_principal("*", "*") && !is_same_principal("*", "arn:aws:iam::444455556666:root"));
        assert!(!is_same_principal("444455556666", "arn:aws:iam::444455556666:user/root"));
    }

    #[test]
    fn what_an_event_made_is_looked_up_by_its_unique_id() {
        let made = |name, request: Value, response: Value| thing(name, &request, &response, Vec::new());
        assert_eq!(
            made("CreateUser", json!({"userName": "mallory"}), json!({"user": {"userId": "AIDAM"}})),
            Some(Thing::User { name: "mallory".to_owned(), id: Some("AIDAM".to_owned()) })
        );
        // Without a name it is the caller's own.
        let key = json!({"accessKey": {"userName": "alice", "accessKeyId": "AKIA1"}});
        let expected = Thing::AccessKey { user: "alice".to_owned(), id: "AKIA1".to_owned() };
        assert_eq!(made("CreateAccessKey", Value::Null, key), Some(expected));
        let attached = made("AttachRolePolicy", json!({"roleName": "r", "policyArn": "arn:x"}), Value::Null);
        assert_eq!(attached, Some(Thing::Attached { to: Holder::Role("r".to_owned()), policy: "arn:x".to_owned() }));
        let ssh = json!({"sSHPublicKey": {"userName": "alice", "sSHPublicKeyId": "APKA1"}});
        let expected = Thing::Credential { user: "alice".to_owned(), id: "APKA1".to_owned() };
        assert_eq!(made("UploadSSHPublicKey", json!({"userName": "alice"}), ssh), Some(expected));
        // Whom of its own account a role trusts is not compared, and whoever is let in is never cut.
        assert_eq!(made("UpdateAssumeRolePolicy", json!({"roleName": "r"}), Value::Null), None);
        let long = format!("arn:aws:iam::111122223333:policy/{}p", "deep/".repeat(100));
        let attached = made("AttachRolePolicy", json!({"roleName": "r", "policyArn": long}), Value::Null);
        assert_eq!(attached, Some(Thing::Attached { to: Holder::Role("r".to_owned()), policy: long }));
        // What the event does not tell is not looked up.
        assert_eq!(made("CreateAccessKey", Value::Null, Value::Null), None);
        assert_eq!(made("DeactivateMFADevice", json!({"userName": "alice"}), Value::Null), None);
    }
}
