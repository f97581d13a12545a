//! What an event leaves behind that gives access, or takes sight: each is a suspect for a person to look at.

use serde::Serialize;
use serde_json::Value;

use super::assume::foreigners;
use crate::text;

/// What somebody created or changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Trace {
    /// In words: `created user`.
    pub what: &'static str,
    /// Its name or ARN, as the request has it.
    pub object: String,
    /// Its unique ID, where the answer has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unique_id: Option<String>,
    /// Whom or what it gives.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// The user that it is about, where it is about one: it may be the identity itself.
    #[serde(skip)]
    pub user: Option<String>,
    #[serde(skip)]
    pub role: Option<String>,
}

/// Service, event and what it does, in words. Lambda's events bear a version (`CreateFunction20150331`).
const SIGNS: &[(&str, &[(&str, &str)])] = &[
    (
        "iam",
        &[
            ("CreateUser", "created user"),
            ("CreateAccessKey", "created an access key of user"),
            ("UpdateAccessKey", "activated an access key of user"),
            ("CreateLoginProfile", "set a console password of user"),
            ("UpdateLoginProfile", "changed the console password of user"),
            ("CreateServiceSpecificCredential", "created a service-specific credential of user"),
            ("ResetServiceSpecificCredential", "reset a service-specific credential of user"),
            ("UploadSSHPublicKey", "uploaded an SSH key of user"),
            ("UploadSigningCertificate", "uploaded a signing certificate of user"),
            ("EnableMFADevice", "added an MFA device to user"),
            ("DeactivateMFADevice", "took an MFA device from user"),
            ("AttachUserPolicy", "attached a policy to user"),
            ("PutUserPolicy", "wrote an inline policy of user"),
            ("DeleteUserPermissionsBoundary", "removed the permissions boundary of user"),
            ("AddUserToGroup", "put into a group user"),
            ("AttachGroupPolicy", "attached a policy to group"),
            ("PutGroupPolicy", "wrote an inline policy of group"),
            ("CreateRole", "created role"),
            ("UpdateAssumeRolePolicy", "changed whom it trusts of role"),
            ("AttachRolePolicy", "attached a policy to role"),
            ("PutRolePolicy", "wrote an inline policy of role"),
            ("DeleteRolePermissionsBoundary", "removed the permissions boundary of role"),
            ("CreatePolicy", "created policy"),
            ("CreatePolicyVersion", "wrote a new version of policy"),
            ("SetDefaultPolicyVersion", "made another version count of policy"),
            ("CreateInstanceProfile", "created instance profile"),
            ("AddRoleToInstanceProfile", "put a role into instance profile"),
            ("CreateSAMLProvider", "created SAML provider"),
            ("UpdateSAMLProvider", "changed SAML provider"),
            ("CreateOpenIDConnectProvider", "created OpenID Connect provider"),
            ("AddClientIDToOpenIDConnectProvider", "added a client to OpenID Connect provider"),
            ("UpdateOpenIDConnectProviderThumbprint", "changed the thumbprint of OpenID Connect provider"),
        ],
    ),
    (
        "rolesanywhere",
        &[("CreateTrustAnchor", "created trust anchor"), ("CreateProfile", "created Roles Anywhere profile")],
    ),
    (
        "lambda",
        &[
            ("CreateFunction", "created function"),
            ("UpdateFunctionCode", "changed the code of function"),
            ("UpdateFunctionConfiguration", "changed the configuration of function"),
            ("AddPermission", "let others invoke function"),
            ("CreateFunctionUrlConfig", "gave a URL to function"),
        ],
    ),
    (
        "ec2",
        &[
            ("RunInstances", "started instance"),
            ("CreateKeyPair", "created key pair"),
            ("ImportKeyPair", "imported key pair"),
            ("ModifyInstanceAttribute", "changed instance"),
            ("AssociateIamInstanceProfile", "gave a role to instance"),
            ("ReplaceIamInstanceProfileAssociation", "changed the role of instance"),
            ("ModifySnapshotAttribute", "shared snapshot"),
            ("ModifyImageAttribute", "shared image"),
            ("DeleteFlowLogs", "deleted flow logs"),
        ],
    ),
    (
        "rds",
        &[
            ("ModifyDBSnapshotAttribute", "shared database snapshot"),
            ("ModifyDBClusterSnapshotAttribute", "shared database snapshot"),
        ],
    ),
    (
        "s3",
        &[
            ("PutBucketPolicy", "changed the policy of bucket"),
            ("PutBucketAcl", "changed the access list of bucket"),
            ("PutBucketReplication", "set up replication of bucket"),
            ("PutBucketPublicAccessBlock", "changed the public access block of bucket"),
            ("DeleteBucketPublicAccessBlock", "removed the public access block of bucket"),
            ("PutAccountPublicAccessBlock", "changed the account's public access block"),
            ("DeleteAccountPublicAccessBlock", "removed the account's public access block"),
        ],
    ),
    ("kms", &[("PutKeyPolicy", "changed the policy of key"), ("CreateGrant", "gave a grant of key")]),
    ("secretsmanager", &[("PutResourcePolicy", "changed the policy of secret")]),
    (
        "cloudtrail",
        &[
            ("StopLogging", "stopped trail"),
            ("DeleteTrail", "deleted trail"),
            ("UpdateTrail", "changed trail"),
            ("PutEventSelectors", "changed what it records of trail"),
        ],
    ),
    (
        "guardduty",
        &[
            ("DeleteDetector", "deleted detector"),
            ("UpdateDetector", "changed detector"),
            ("CreateFilter", "hid findings of detector"),
        ],
    ),
    (
        "config",
        &[
            ("StopConfigurationRecorder", "stopped configuration recorder"),
            ("DeleteConfigurationRecorder", "deleted configuration recorder"),
            ("DeleteDeliveryChannel", "deleted delivery channel"),
        ],
    ),
    ("securityhub", &[("DisableSecurityHub", "switched off Security Hub")]),
    ("logs", &[("DeleteLogGroup", "deleted log group")]),
    (
        "events",
        &[
            ("DisableRule", "disabled rule"),
            ("DeleteRule", "deleted rule"),
            ("PutTargets", "changed the targets of rule"),
        ],
    ),
    ("organizations", &[("LeaveOrganization", "left the organisation"), ("CreateAccount", "created account")]),
    ("eks", &[("CreateAccessEntry", "let somebody into cluster"), ("AssociateAccessPolicy", "gave rights in cluster")]),
    ("ecs", &[("RegisterTaskDefinition", "registered task definition")]),
    ("cloudformation", &[("CreateStack", "created stack"), ("UpdateStack", "changed stack")]),
    (
        "sso",
        &[
            ("CreateAccountAssignment", "assigned an account in Identity Center"),
            ("CreatePermissionSet", "created permission set"),
        ],
    ),
    (
        "identitystore",
        &[
            ("CreateUser", "created Identity Center user"),
            ("CreateGroupMembership", "put into an Identity Center group"),
        ],
    ),
];

/// Where a request names what it is about, the likeliest first.
const OBJECTS: &[&str] = &[
    "userName",
    "roleName",
    "groupName",
    "policyArn",
    "policyName",
    "instanceProfileName",
    "functionName",
    "bucketName",
    "keyName",
    "snapshotId",
    "imageId",
    "instanceId",
    "dBSnapshotIdentifier",
    "dBClusterSnapshotIdentifier",
    "keyId",
    "secretId",
    "detectorId",
    "configurationRecorderName",
    "logGroupName",
    "rule",
    "trailName",
    "name",
    "stackName",
    "clusterName",
    "family",
    "accountName",
    "sAMLProviderArn",
    "openIDConnectProviderArn",
    "url",
    "principalId",
];

/// Where an answer has a unique ID.
const IDS: &[&str] = &[
    "/user/userId",
    "/role/roleId",
    "/policy/policyId",
    "/accessKey/accessKeyId",
    "/instanceProfile/instanceProfileId",
    "/serviceSpecificCredential/serviceSpecificCredentialId",
    "/sSHPublicKey/sSHPublicKeyId",
    "/certificate/certificateId",
    "/instancesSet/items/0/instanceId",
    "/keyPairId",
    "/grantId",
    "/functionArn",
    "/sAMLProviderArn",
    "/openIDConnectProviderArn",
];

/// What an event, which succeeded, leaves behind; nothing in most cases.
pub(super) fn trace(source: &str, name: &str, event: &Value) -> Option<Trace> {
    let service = source.strip_suffix(".amazonaws.com")?;
    let (_, signs) = SIGNS.iter().find(|(it, _)| *it == service)?;
    let unversioned = if service == "lambda" { without_version(name) } else { name };
    let (_, what) = signs.iter().find(|(it, _)| *it == unversioned)?;
    let (request, response) = (&event["requestParameters"], &event["responseElements"]);
    let given = |field: &str| request.get(field).and_then(Value::as_str).map(|it| text::cut(it, 300));
    if name == "UpdateAccessKey" && given("status").as_deref() != Some("Active") {
        return None;
    }
    let object = OBJECTS.iter().find_map(|it| given(it)).unwrap_or_default();
    let mut details: Vec<_> =
        ["policyArn", "policyName", "groupName", "accessKeyId", "versionId", "granteePrincipal", "principal"]
            .iter()
            .filter_map(|it| given(it))
            .filter(|it| *it != object)
            .collect();
    let account = event.get("recipientAccountId").and_then(Value::as_str).unwrap_or_default();
    let trust = ["assumeRolePolicyDocument", "policyDocument"].iter().find_map(|it| request.get(*it)?.as_str());
    if let Some(trust) = trust.filter(|_| ["CreateRole", "UpdateAssumeRolePolicy"].contains(&name)) {
        let trust = serde_json::from_str::<Value>(&crate::policy_document::decoded(trust)).unwrap_or_default();
        details.extend(
            foreigners(&trust, account).into_iter().take(5).map(|it| format!("lets in {}", text::cut(&it, 200))),
        );
    }
    let unique_id = IDS.iter().find_map(|it| response.pointer(it)?.as_str()).map(|it| text::cut(it, 128));
    Some(Trace {
        what,
        object,
        unique_id,
        detail: details.join(", "),
        user: given("userName"),
        role: given("roleName"),
    })
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
}
