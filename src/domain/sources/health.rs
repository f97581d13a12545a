//! AWS Health's risk events: a key of ours was found where it must not be.
//! <https://docs.aws.amazon.com/health/latest/ug/cloudwatch-events-health.html>

use super::identity::{merge, name_or_id};
use super::node::Node;
use super::{DecodeError, Judged};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccessKeyId, AccountId, Parse, Partition, Region};
use crate::settings::Responder;
use crate::text;

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    all(&event.get("detail"), settings).unwrap_or_else(|error| vec![Err(error)])
}

fn all(detail: &Node, settings: &Responder) -> Result<Vec<Result<Judged, DecodeError>>, DecodeError> {
    let code = detail.get("eventTypeCode").required()?;
    if !code.starts_with("AWS_RISK_") {
        return Ok(vec![Ok(Judged::Ignored(format!(
            "no playbook reacts to the Health event `{}`",
            text::line(code, 80)
        )))]);
    }
    if detail.get("statusCode").text() == Some("closed") {
        return Ok(vec![Ok(Judged::ignored("the Health event is closed"))]);
    }
    let metadata = detail.get("eventMetadata");
    let account = match detail.get("affectedAccount").parse::<AccountId>()? {
        Some(account) => account,
        None => metadata
            .get("accountId")
            .parse()?
            .ok_or_else(|| detail.get("affectedAccount").malformed(AccountId::EXPECTED))?,
    };
    let mut named = Vec::new();
    for entity in detail.get("affectedEntities").items() {
        let value = entity.get("entityValue");
        named.push(entity_claim(&value)?);
    }
    let public_key = metadata.get("publicKey").parse::<AccessKeyId>()?;
    let (name, id) = name_or_id(&metadata.get("userName"))?;
    match (named.as_mut_slice(), name.is_some() || id.is_some()) {
        ([], _) if public_key.is_some() => named.push((Principal::KeyOwner, public_key)),
        // The metadata describe one key; with several entities they can't say whose they are.
        ([(principal, key)], true) => {
            *principal = match (&*key, &public_key) {
                (Some(a), Some(b)) if a != b => super::identity::contradiction("it names two different access keys"),
                _ => merge(principal.clone(), Principal::User { name, id }),
            };
        }
        _ => {}
    }
    if named.is_empty() {
        let reason = "the Health event names no access key".to_owned();
        named.push((Principal::NotContainable { reason }, None));
    }
    let region = detail.get("eventRegion").parse::<Region>()?.unwrap_or_else(|| settings.common.region.clone());
    let id = match detail.get("eventArn").optional()? {
        Some(arn) => arn,
        None => detail.get("communicationId").required()?,
    };
    Ok(named
        .into_iter()
        .map(|(principal, access_key)| {
            Ok(Judged::from(Finding {
                id: id.to_owned(),
                source: Source::Health,
                threat: Threat::CompromisedCredential,
                severity: Severity::CRITICAL,
                account: account.clone(),
                partition: Partition::of_region(&region),
                region: region.clone(),
                principal,
                access_key,
                kind: code.to_owned(),
                title: code.to_owned(),
                occurred_at: detail.get("lastUpdatedTime").time().or_else(|| detail.get("startTime").time()),
                creator: None,
                security_hub: None,
            }))
        })
        .collect())
}

/// A bare key ID, or `IAM_USER/alice/AKIA…` in hand-made variants.
fn entity_claim(value: &Node) -> Result<(Principal, Option<AccessKeyId>), DecodeError> {
    let text = value.required()?;
    let malformed = || value.malformed(AccessKeyId::EXPECTED);
    let parts: Vec<&str> = text.split('/').collect();
    match parts.as_slice() {
        [key] => Ok((Principal::KeyOwner, Some(AccessKeyId::parse(key).map_err(|_| malformed())?))),
        ["IAM_USER", user, key] => {
            let name = Some(Parse::parse(user).map_err(|_| malformed())?);
            Ok((Principal::User { name, id: None }, Some(AccessKeyId::parse(key).map_err(|_| malformed())?)))
        }
        _ => Err(malformed()),
    }
}
