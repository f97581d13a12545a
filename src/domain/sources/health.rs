//! AWS Health's risk events: a key of ours was found where it must not be.
//!
//! They are global: they arrive in us-east-1, as a copy in us-west-2, and where there is an organisational
//! view once more. All of them have the same event ARN, and lead to the same identity.
//! <https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html>

use super::identity::{merge, name_or_id};
use super::node::Node;
use super::seen::seen;
use super::{DecodeError, Judged, MAX_ITEMS};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccessKeyId, AccountId, Arn, Parse, Partition, Region};
use crate::settings::Responder;
use crate::text;

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    all(event, settings).unwrap_or_else(|error| vec![Err(error)])
}

/// Whom one entity names.
type Named = (Principal, Option<AccessKeyId>);

fn all(event: &Node, settings: &Responder) -> Result<Vec<Result<Judged, DecodeError>>, DecodeError> {
    let detail = event.get("detail");
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
    let account = owner(event)?;
    let named = named(&detail, &account)?;
    // Neither is needed to find whose a key is.
    let region = detail.get("eventRegion").parse::<Region>().ok().flatten();
    let region = region.unwrap_or_else(|| settings.common.region.clone());
    let ids = [detail.get("eventArn"), detail.get("communicationId"), event.get("id")];
    let id = match ids.iter().find_map(|it| it.text()) {
        Some(id) => id,
        None => detail.get("eventArn").required()?,
    };
    let finding = |(principal, access_key): Named| {
        let times = [detail.get("lastUpdatedTime"), detail.get("startTime")];
        let occurred_at = seen(&principal, access_key.as_ref(), times)?;
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
            occurred_at,
            creator: None,
            security_hub: None,
            began_at: None,
            parent: None,
        }))
    };
    Ok(named.into_iter().map(|it| it.and_then(finding)).collect())
}

/// Events of the organisational view name the account. Where none is named, the event is about the account
/// whose bus got it: the only place where the envelope counts. IAM knows no foreign key there.
fn owner(event: &Node) -> Result<AccountId, DecodeError> {
    let affected = event.at("detail.affectedAccount").parse::<AccountId>()?;
    let stated = event.at("detail.eventMetadata.accountId").parse::<AccountId>();
    let own = event.at("detail.accountId").parse::<AccountId>();
    match (affected, stated, own) {
        (Some(account), ..) => Ok(account),
        (None, Ok(Some(a)), Ok(Some(b))) if a != b => {
            Err(event.at("detail.accountId").malformed("the account of the event's metadata"))
        }
        (None, stated, own) => match stated?.or(own?) {
            Some(account) => Ok(account),
            None => event.get("account").require(),
        },
    }
}

/// Each entity is judged alone, and so is the key of the metadata: what one says, or that it can't be read, hides
/// no other.
fn named(detail: &Node, account: &AccountId) -> Result<Vec<Result<Named, DecodeError>>, DecodeError> {
    let list = detail.get("affectedEntities");
    let mut named: Vec<Result<Named, DecodeError>> = Vec::new();
    if list.is_present() && !list.is_empty_list() {
        for entity in list.bounded_items(MAX_ITEMS)? {
            let found = entity_claim(&entity.get("entityValue"), account);
            if !named.contains(&found) {
                named.push(found);
            }
        }
    }
    let metadata = detail.get("eventMetadata");
    // IAM knows whose a key is, so that a name which can't be read is not needed.
    let user = match name_or_id(&metadata.get("userName")) {
        Ok((name, id)) if name.is_some() || id.is_some() => Some(Principal::User { name, id }),
        Ok(_) | Err(_) => None,
    };
    let public_key = metadata.get("publicKey").parse::<AccessKeyId>();
    let has_key = |it: &Result<Named, DecodeError>, key: &AccessKeyId| matches!(it, Ok((_, Some(own))) if own == key);
    let described = match &public_key {
        Ok(Some(key)) => named.iter().position(|it| has_key(it, key)),
        // They describe one key: of several entities they can't say which.
        Ok(None) | Err(_) => (named.len() == 1).then_some(0),
    };
    if let (Some(Ok((principal, _))), Some(user)) = (described.and_then(|n| named.get_mut(n)), &user)
        && !matches!(principal, Principal::NotContainable { .. })
    {
        *principal = merge(principal.clone(), user.clone());
    }
    match public_key {
        Ok(Some(key)) if described.is_none() => named.push(Ok((user.unwrap_or_else(|| owner_of(&key)), Some(key)))),
        Ok(_) => {}
        Err(error) => named.push(Err(error)),
    }
    // That it is about an account matters only where it is about nobody in it.
    if named.iter().any(|it| !is_nobody(it)) {
        named.retain(|it| !is_nobody(it));
    }
    if named.is_empty() {
        let reason = "the Health event names no access key".to_owned();
        named.push(Ok((Principal::NotContainable { reason }, None)));
    }
    Ok(named)
}

fn is_nobody(it: &Result<Named, DecodeError>) -> bool {
    matches!(it, Ok((Principal::NotContainable { .. }, None)))
}

fn owner_of(key: &AccessKeyId) -> Principal {
    if key.is_long_term() {
        return Principal::KeyOwner;
    }
    let reason = "the Health event names a temporary access key and not whose it is".to_owned();
    Principal::NotContainable { reason }
}

/// A bare key ID; an ARN of a user or role; in hand-made variants `IAM_USER/alice/AKIA…`. An account ID is
/// what events about the account as a whole name.
fn entity_claim(value: &Node, account: &AccountId) -> Result<Named, DecodeError> {
    let text = value.required()?;
    let malformed = || value.malformed(AccessKeyId::EXPECTED);
    if text.starts_with("arn:") {
        return arn_claim(value, text, account);
    }
    if AccountId::parse(text).is_ok() {
        let reason = "the Health event is about an account and names no identity".to_owned();
        return Ok((Principal::NotContainable { reason }, None));
    }
    let parts: Vec<&str> = text.splitn(4, '/').collect();
    match parts.as_slice() {
        [key] => {
            let key = AccessKeyId::parse(key).map_err(|_| malformed())?;
            Ok((owner_of(&key), Some(key)))
        }
        ["IAM_USER", user, key] => {
            let name = Some(Parse::parse(user).map_err(|_| malformed())?);
            Ok((Principal::User { name, id: None }, Some(AccessKeyId::parse(key).map_err(|_| malformed())?)))
        }
        _ => Err(malformed()),
    }
}

fn arn_claim(value: &Node, text: &str, account: &AccountId) -> Result<Named, DecodeError> {
    let malformed = || value.malformed("the ARN of an IAM user or role of the affected account");
    let arn = Arn::parse(text).filter(|it| it.service == "iam" && it.account == account.as_str());
    let (kind, name) = arn.and_then(|it| it.kind_and_name()).ok_or_else(malformed)?;
    let (name, id) = super::identity::text_name_or_id(name).map_err(|_| malformed())?;
    match kind {
        "user" => Ok((Principal::User { name, id }, None)),
        "role" => Ok((Principal::Role { name, id, session: None }, None)),
        _ => Err(malformed()),
    }
}
