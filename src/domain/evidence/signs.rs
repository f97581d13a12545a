//! Which events give access, or take sight, and where they name what they are about.

/// Service, event and what it does, in words. Lambda's events bear a version (`CreateFunction20150331`).
pub(super) const SIGNS: &[(&str, &[(&str, &str)])] = &[
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
            ("UpdateServiceSpecificCredential", "activated a service-specific credential of user"),
            ("UploadSSHPublicKey", "uploaded an SSH key of user"),
            ("UpdateSSHPublicKey", "activated an SSH key of user"),
            ("UploadSigningCertificate", "uploaded a signing certificate of user"),
            ("UpdateSigningCertificate", "activated a signing certificate of user"),
            ("EnableMFADevice", "added an MFA device to user"),
            ("DeactivateMFADevice", "took an MFA device from user"),
            ("CreateVirtualMFADevice", "created an MFA device for user"),
            ("AttachUserPolicy", "attached a policy to user"),
            ("PutUserPolicy", "wrote an inline policy of user"),
            ("DeleteUserPermissionsBoundary", "removed the permissions boundary of user"),
            ("PutUserPermissionsBoundary", "changed the permissions boundary of user"),
            ("DetachUserPolicy", "lifted a deny from user"),
            ("DeleteUserPolicy", "deleted an inline policy of user"),
            ("AddUserToGroup", "put into a group user"),
            ("AttachGroupPolicy", "attached a policy to group"),
            ("PutGroupPolicy", "wrote an inline policy of group"),
            ("CreateRole", "created role"),
            ("UpdateAssumeRolePolicy", "changed whom it trusts of role"),
            ("AttachRolePolicy", "attached a policy to role"),
            ("PutRolePolicy", "wrote an inline policy of role"),
            ("DeleteRolePermissionsBoundary", "removed the permissions boundary of role"),
            ("PutRolePermissionsBoundary", "changed the permissions boundary of role"),
            ("DetachRolePolicy", "lifted a deny from role"),
            ("DeleteRolePolicy", "deleted an inline policy of role"),
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
        &[
            ("CreateTrustAnchor", "created trust anchor"),
            ("CreateProfile", "created Roles Anywhere profile"),
            ("UpdateTrustAnchor", "changed trust anchor"),
            ("UpdateProfile", "changed Roles Anywhere profile"),
        ],
    ),
    (
        "lambda",
        &[
            ("CreateFunction", "created function"),
            ("UpdateFunctionCode", "changed the code of function"),
            ("UpdateFunctionConfiguration", "changed the configuration of function"),
            ("AddPermission", "let others invoke function"),
            ("AddLayerVersionPermission", "shared layer"),
            ("CreateEventSourceMapping", "had events invoke function"),
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
            ("AuthorizeSecurityGroupIngress", "opened security group"),
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
    ("ecr", &[("SetRepositoryPolicy", "changed the policy of repository")]),
    (
        "ram",
        &[("CreateResourceShare", "created resource share"), ("AssociateResourceShare", "shared resources by share")],
    ),
    ("ec2-instance-connect", &[("SendSSHPublicKey", "sent an SSH key to instance")]),
    (
        "ssm",
        &[("ModifyDocumentPermission", "shared document"), ("CreateAssociation", "had commands run by association")],
    ),
    ("cognito-identity", &[("SetIdentityPoolRoles", "gave roles to identity pool")]),
    (
        "cloudtrail",
        &[
            ("StopLogging", "stopped trail"),
            ("DeleteTrail", "deleted trail"),
            ("UpdateTrail", "changed trail"),
            ("PutEventSelectors", "changed what it records of trail"),
            ("DeleteEventDataStore", "deleted event data store"),
            ("StopEventDataStoreIngestion", "stopped event data store"),
        ],
    ),
    (
        "guardduty",
        &[
            ("DeleteDetector", "deleted detector"),
            ("UpdateDetector", "changed detector"),
            ("CreateFilter", "hid findings of detector"),
            ("UpdateFilter", "hid findings of detector"),
            ("CreateIPSet", "hid findings about addresses of detector"),
            ("UpdateIPSet", "hid findings about addresses of detector"),
            ("StopMonitoringMembers", "stopped watching accounts by detector"),
            ("DisassociateMembers", "stopped watching accounts by detector"),
            ("DeleteMembers", "stopped watching accounts by detector"),
            ("DisassociateFromAdministratorAccount", "left whoever watches the account by detector"),
            ("DisassociateFromMasterAccount", "left whoever watches the account by detector"),
        ],
    ),
    (
        "config",
        &[
            ("StopConfigurationRecorder", "stopped configuration recorder"),
            ("DeleteConfigurationRecorder", "deleted configuration recorder"),
            ("DeleteDeliveryChannel", "deleted delivery channel"),
            ("DeleteConfigRule", "deleted rule"),
        ],
    ),
    (
        "securityhub",
        &[
            ("DisableSecurityHub", "switched off Security Hub"),
            ("BatchDisableStandards", "switched off standards of Security Hub"),
            ("DisassociateMembers", "stopped watching accounts by Security Hub"),
            ("DisassociateFromAdministratorAccount", "left whoever watches the account by Security Hub"),
            ("DisassociateFromMasterAccount", "left whoever watches the account by Security Hub"),
        ],
    ),
    ("access-analyzer", &[("DeleteAnalyzer", "deleted analyzer")]),
    ("logs", &[("DeleteLogGroup", "deleted log group"), ("DeleteLogStream", "deleted log stream of group")]),
    (
        "events",
        &[
            ("DisableRule", "disabled rule"),
            ("DeleteRule", "deleted rule"),
            ("PutTargets", "changed the targets of rule"),
        ],
    ),
    (
        "organizations",
        &[
            ("LeaveOrganization", "left the organisation"),
            ("CreateAccount", "created account"),
            ("MoveAccount", "moved account"),
            ("DetachPolicy", "took a control policy from target"),
            ("DeletePolicy", "deleted control policy"),
            ("UpdatePolicy", "changed control policy"),
            ("DisablePolicyType", "switched off control policies of"),
            ("RegisterDelegatedAdministrator", "made a delegated administrator of account"),
        ],
    ),
    ("eks", &[("CreateAccessEntry", "let somebody into cluster"), ("AssociateAccessPolicy", "gave rights in cluster")]),
    ("ecs", &[("RegisterTaskDefinition", "registered task definition")]),
    ("cloudformation", &[("CreateStack", "created stack"), ("UpdateStack", "changed stack")]),
    (
        "sso",
        &[
            ("CreateAccountAssignment", "assigned an account in Identity Center"),
            ("CreatePermissionSet", "created permission set"),
            ("AttachManagedPolicyToPermissionSet", "attached a policy to permission set"),
            ("PutInlinePolicyToPermissionSet", "wrote an inline policy of permission set"),
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

/// Those after which somebody sees less: all of these services but `events`' targets, and flow logs.
const WATCHING: &[&str] = &["cloudtrail", "guardduty", "config", "securityhub", "access-analyzer", "logs", "events"];

pub(super) fn takes_sight(service: &str, event: &str) -> bool {
    (WATCHING.contains(&service) && event != "PutTargets") || (service == "ec2" && event == "DeleteFlowLogs")
}

/// Whatever else gives access is about a resource, and often cheap to make by the hundred.
const IDENTITIES: &[&str] = &["iam", "rolesanywhere", "organizations", "sso", "identitystore"];

pub(super) fn is_of_identities(service: &str) -> bool {
    IDENTITIES.contains(&service)
}

/// These take away what bounds somebody, or put something else in its place.
pub(super) const UNBOUNDING: &[&str] = &[
    "DeleteUserPermissionsBoundary",
    "PutUserPermissionsBoundary",
    "DeleteRolePermissionsBoundary",
    "PutRolePermissionsBoundary",
];

/// Where a request names what it is about, the likeliest first.
pub(super) const OBJECTS: &[&str] = &[
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
    "eventDataStore",
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
    "accountId",
    "targetId",
    "policyId",
    "rootId",
    "groupId",
    "layerName",
    "repositoryName",
    "resourceShareArn",
    "identityPoolId",
    "documentName",
    "permissionSetArn",
    "analyzerName",
    "configRuleName",
    "sAMLProviderArn",
    "openIDConnectProviderArn",
    "url",
    "principalId",
];

/// Where an answer has a unique ID.
pub(super) const IDS: &[&str] = &[
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
