//! Whom of another account an event lets in, wherever its request names them. Conditions are not judged: who is let in
//! under one is let in.

use serde_json::Value;

use super::assume::foreigners;
use crate::ids::Arn;
use crate::policy_document::{decoded, texts};

/// Each whole, and once. `event`: without the version that Lambda's bear. `account`: whose the resource is.
pub(super) fn lets_in(service: &str, event: &str, request: &Value, account: &str) -> Vec<String> {
    let policy = |field: &str| of_policy(&request[field], account);
    let named = |fields: &[&str]| {
        let all = fields.iter().filter_map(|path| request.pointer(path)).flat_map(|it| texts(Some(it)));
        all.filter(|it| is_foreign(it, account)).map(str::to_owned).collect()
    };
    let mut found: Vec<String> = match (service, event) {
        ("iam", "CreateRole") => policy("assumeRolePolicyDocument"),
        ("iam", "UpdateAssumeRolePolicy") => policy("policyDocument"),
        ("s3", "PutBucketPolicy") => policy("bucketPolicy"),
        ("kms", "PutKeyPolicy") => policy("policy"),
        ("secretsmanager", "PutResourcePolicy") => policy("resourcePolicy"),
        ("ecr", "SetRepositoryPolicy") => policy("policyText"),
        ("kms", "CreateGrant") => named(&["/granteePrincipal"]),
        // A service is let in for whose resource it acts.
        ("lambda", "AddPermission") => named(&["/principal", "/sourceAccount", "/sourceArn"]),
        ("lambda", "AddLayerVersionPermission") => named(&["/principal"]),
        ("ec2", "ModifySnapshotAttribute") => shared(&request["createVolumePermission"], account),
        ("ec2", "ModifyImageAttribute") => shared(&request["launchPermission"], account),
        ("rds", "ModifyDBSnapshotAttribute" | "ModifyDBClusterSnapshotAttribute") => named(&["/valuesToAdd"]),
        ("ssm", "ModifyDocumentPermission") => named(&["/accountIdsToAdd"]),
        ("ram", "CreateResourceShare" | "AssociateResourceShare") => named(&["/principals"]),
        ("eks", "CreateAccessEntry") => named(&["/principalArn"]),
        _ => Vec::new(),
    };
    found.sort();
    found.dedup();
    found
}

/// A document, or the text of one.
fn of_policy(policy: &Value, account: &str) -> Vec<String> {
    let parsed = policy.as_str().map(|it| serde_json::from_str(&decoded(it)).unwrap_or_default());
    foreigners(parsed.as_ref().unwrap_or(policy), account)
}

/// The accounts to which a snapshot or an image was given, or `all`.
fn shared(permission: &Value, account: &str) -> Vec<String> {
    let items = permission.pointer("/add/items").and_then(Value::as_array);
    let of_item = |it: &Value| {
        let fields = ["userId", "group", "organizationArn", "organizationalUnitArn"];
        fields.iter().filter_map(|field| it.get(*field)?.as_str().map(str::to_owned)).collect::<Vec<_>>()
    };
    items.into_iter().flatten().flat_map(of_item).filter(|it| is_foreign(it, account)).collect()
}

/// A service is nobody's account; a resource without an account in its ARN, as a bucket, tells of none.
fn is_foreign(named: &str, account: &str) -> bool {
    match Arn::parse(named) {
        Some(arn) => !arn.account.is_empty() && arn.account != account,
        None => named != account && !named.ends_with(".amazonaws.com") && !named.ends_with(".amazonaws.com.cn"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whoever_is_of_another_account_is_named() {
        let stranger = "444455556666";
        let root = json!({"Statement": [{"Effect": "Allow", "Principal": {"AWS": [stranger, "111122223333"]}, "Action": "*"}]});
        let text = root.to_string();
        let items = json!({"add": {"items": [{"userId": stranger}, {"userId": "111122223333"}]}});
        let all = [
            ("iam", "CreateRole", json!({"assumeRolePolicyDocument": text})),
            ("iam", "UpdateAssumeRolePolicy", json!({"policyDocument": text})),
            ("s3", "PutBucketPolicy", json!({"bucketPolicy": root})),
            ("kms", "PutKeyPolicy", json!({"policy": text})),
            ("secretsmanager", "PutResourcePolicy", json!({"resourcePolicy": text})),
            ("ecr", "SetRepositoryPolicy", json!({"policyText": text})),
            ("kms", "CreateGrant", json!({"granteePrincipal": stranger})),
            ("lambda", "AddPermission", json!({"principal": stranger})),
            (
                "lambda",
                "AddPermission",
                json!({"principal": "s3.amazonaws.com", "sourceArn": "arn:aws:s3:::b", "sourceAccount": stranger}),
            ),
            ("lambda", "AddLayerVersionPermission", json!({"principal": stranger})),
            ("ec2", "ModifySnapshotAttribute", json!({"createVolumePermission": items})),
            ("ec2", "ModifyImageAttribute", json!({"launchPermission": items})),
            ("rds", "ModifyDBSnapshotAttribute", json!({"valuesToAdd": [stranger, "111122223333"]})),
            ("ssm", "ModifyDocumentPermission", json!({"accountIdsToAdd": [stranger]})),
            ("ram", "AssociateResourceShare", json!({"principals": [stranger]})),
        ];
        for (service, event, request) in all {
            assert_eq!(lets_in(service, event, &request, "111122223333"), [stranger], "{service} {event}");
        }
        let everybody = json!({"createVolumePermission": {"add": {"items": [{"group": "all"}]}}});
        assert_eq!(lets_in("ec2", "ModifySnapshotAttribute", &everybody, "111122223333"), ["all"]);
    }

    #[test]
    fn nobody_of_the_own_account_and_no_service_is_a_stranger() {
        let own = "arn:aws:iam::111122223333:role/app";
        for (service, event, request) in [
            (
                "lambda",
                "AddPermission",
                json!({"principal": "events.amazonaws.com", "sourceArn": "arn:aws:events:eu-west-1:111122223333:rule/r"}),
            ),
            ("lambda", "AddPermission", json!({"principal": "s3.amazonaws.com", "sourceArn": "arn:aws:s3:::bucket"})),
            ("kms", "CreateGrant", json!({"granteePrincipal": own})),
            ("kms", "CreateGrant", json!({"granteePrincipal": "dynamodb.eu-west-1.amazonaws.com"})),
            (
                "s3",
                "PutBucketPolicy",
                json!({"bucketPolicy": {"Statement": {"Effect": "Deny", "Principal": "*", "Action": "*"}}}),
            ),
            ("iam", "CreateRole", Value::Null),
        ] {
            assert_eq!(lets_in(service, event, &request, "111122223333"), Vec::<String>::new(), "{service} {event}");
        }
    }
}
