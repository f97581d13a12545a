//! Direct commands: what a person sends with `aws lambda invoke`.
//!
//! Only who may call `lambda:InvokeFunction` can send one. A misspelt field is an error and never
//! ignored: at three in the morning a typo must not contain the wrong identity.

use serde_json::Value;

use super::identity::name_or_id;
use super::node::Node;
use super::{DecodeError, Judged};
use crate::config::Config;
use crate::finding::{
    AccessKeyId, AccountId, Finding, Partition, Principal, PrincipalName, Region, Severity, Source, Threat,
};
use crate::text;

const CONTAIN_FIELDS: &[&str] = &["command", "account", "user", "role", "access_key", "reason", "region"];

pub(super) fn decode(root: &Node, config: &Config) -> Result<Judged, DecodeError> {
    match root.get("command").required()? {
        "contain" => contain(root, config),
        _ => Err(root.get("command").malformed("`contain`")),
    }
}

fn contain(root: &Node, config: &Config) -> Result<Judged, DecodeError> {
    let fields = root.value().and_then(Value::as_object).into_iter().flatten();
    for (field, _) in fields {
        if !CONTAIN_FIELDS.contains(&field.as_str()) {
            return Err(root
                .get(&text::line(field, 40))
                .malformed(&format!("only the fields {}", CONTAIN_FIELDS.join(", "))));
        }
    }
    let account: AccountId = root.get("account").require()?;
    let access_key = root.get("access_key").parse::<AccessKeyId>()?;
    let (user, user_id) = name_or_id(&root.get("user"))?;
    let role = root.get("role").parse::<PrincipalName>()?;
    let names_user = user.is_some() || user_id.is_some();
    let principal = match (names_user, role) {
        (true, None) => Principal::User { name: user, id: user_id },
        (false, Some(role)) => Principal::Role { name: Some(role), id: None, session: None },
        (true, Some(_)) => return Err(root.get("role").malformed("either `user` or `role`")),
        (false, None) if access_key.as_ref().is_some_and(AccessKeyId::is_long_term) => Principal::KeyOwner,
        (false, None) => return Err(root.get("user").malformed("`user`, `role` or a long-term `access_key`")),
    };
    let region = root.get("region").parse::<Region>()?.unwrap_or_else(|| config.region.clone());
    let reason = root.get("reason").optional()?.unwrap_or("no reason given");
    Ok(Judged::from(Finding {
        id: format!("command/contain/{account}/{}", subject(&principal, access_key.as_ref())),
        source: Source::Command,
        threat: Threat::CompromisedCredential,
        severity: Severity::HIGH,
        account,
        partition: Partition::of_region(&region),
        region,
        principal,
        access_key,
        kind: "contain".to_owned(),
        title: reason.to_owned(),
        occurred_at: None,
        creator: None,
        security_hub: None,
    }))
}

fn subject(principal: &Principal, access_key: Option<&AccessKeyId>) -> String {
    match (principal, access_key) {
        (Principal::KeyOwner, Some(key)) => format!("key/{key}"),
        (principal, _) => principal.claim_key(),
    }
}
