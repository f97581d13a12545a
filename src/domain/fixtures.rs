//! What the unit tests start from: a finding, its identity, and the state it is in.

use aws_smithy_types::DateTime;

use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::identity::{AccessKey, Contents, Identity, IdentityKind, Observed, Profile};
use crate::ids::{Parse, PrincipalName, UniqueId};

pub(crate) fn parsed<T: Parse>(text: &str) -> T {
    T::parse(text).unwrap()
}

pub(crate) fn finding(threat: Threat) -> Finding {
    Finding {
        id: "arn:aws:guardduty:us-east-1:111122223333:detector/d/finding/f".to_owned(),
        source: Source::GuardDuty,
        threat,
        severity: Severity::HIGH,
        account: parsed("111122223333"),
        partition: parsed("aws"),
        region: parsed("us-east-1"),
        principal: Principal::User { name: Some(parsed("alice")), id: None },
        access_key: Some(parsed("AKIAIOSFODNN7EXAMPLE")),
        kind: "UnauthorizedAccess:IAMUser/TorIPCaller".to_owned(),
        title: "title".to_owned(),
        occurred_at: Some(DateTime::from_secs(1_000)),
        creator: None,
        security_hub: None,
        began_at: None,
        parent: None,
    }
}

pub(crate) fn identity(kind: IdentityKind) -> Identity {
    let (name, id) = match kind {
        IdentityKind::User => ("alice", "AIDACKCEVSQ6C2EXAMPLE"),
        IdentityKind::Role => ("app", "AROADBQP57FF2AEXAMPLE"),
    };
    Identity {
        kind,
        name: PrincipalName::parse(name).unwrap(),
        id: UniqueId::parse(id).unwrap(),
        arn: format!("arn:aws:iam::111122223333:{}/{name}", kind.word()),
        path: "/".to_owned(),
        created: None,
    }
}

/// A user with two keys, three policies, two groups and an inline policy.
pub(crate) fn observed() -> Observed {
    let key = |id, active| AccessKey { id: parsed(id), active };
    Observed {
        profile: Ok(Profile { boundary: None, tags: Vec::new(), trust: None }),
        keys: Ok(vec![key("AKIAIOSFODNN7EXAMPLE", true), key("AKIAI44QH8DHBEXAMPLE", true)]),
        attached: Ok(vec!["arn:aws:iam::aws:policy/AdministratorAccess".to_owned()]),
        inline: Ok(vec!["s3".to_owned()]),
        groups: Ok(vec!["developers".to_owned()]),
        denying: Ok(Vec::new()),
        granting: Ok(Vec::new()),
        contents: Ok(Contents::new()),
        revoked_before: Ok(None),
        credentials: Ok(Vec::new()),
        login: Ok(false),
        mfa_devices: Ok(Vec::new()),
        not_a_revocation: None,
        is_held: Ok(false),
        is_deny_unclear: false,
    }
}
