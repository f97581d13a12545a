//! GuardDuty findings, from the bus (camelCase), from its API (PascalCase) and simulated.
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html>

use serde_json::Value;

use super::eligibility::{self, Standing};
use super::identity::{Claim, principal};
use super::node::Node;
use super::{DecodeError, Judged};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccessKeyId, AccountId, Arn, Parse, Partition, Region};
use crate::settings::Responder;
use crate::text;

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    one(&event.get("detail"), settings, Source::GuardDuty).unwrap_or_else(|error| vec![Err(error)])
}

/// Anybody who may call PutEvents can send this, so that it counts only where it is asked for.
pub(super) fn decode_simulation(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    if !settings.eligibility.simulation {
        return vec![Ok(Judged::ignored("simulated findings are off: SIMULATION is not `true`"))];
    }
    one(&event.get("detail"), settings, Source::Simulation).unwrap_or_else(|error| vec![Err(error)])
}

type Findings = Result<Vec<Result<Judged, DecodeError>>, DecodeError>;

fn one(detail: &Node, settings: &Responder, source: Source) -> Findings {
    let kind = detail.get("type").required()?;
    let ignored = |reason: String| Ok(vec![Ok(Judged::Ignored(reason))]);
    let service = detail.get("service");
    let standing = Standing {
        is_sample: is_sample(&service, detail.get("title").text()),
        not_open: service.get("archived").is_true().then(|| "the finding is archived".to_owned()),
        ..Standing::default()
    };
    if let Some(reason) = standing.why_ignored() {
        return ignored(reason);
    }
    if !concerns_credentials(kind) {
        return ignored(format!("the GuardDuty type `{}` is not about IAM credentials", text::line(kind, 120)));
    }
    let severity = detail.get("severity").number().ok_or_else(|| detail.get("severity").malformed("a number"))?;
    if let Some(reason) =
        eligibility::ignored_severity(Severity(severity), &severity.to_string(), &settings.eligibility)
    {
        return ignored(reason);
    }
    let finding = |account, principal, access_key| -> Result<Judged, DecodeError> {
        let region: Region = detail.get("region").require()?;
        Ok(Judged::from(Finding {
            id: detail.get("arn").optional()?.map_or_else(|| detail.get("id").required(), Ok)?.to_owned(),
            source,
            threat: threat(&principal),
            severity: Severity(severity),
            account,
            partition: partition(detail, &region)?,
            region,
            principal,
            access_key,
            kind: kind.to_owned(),
            title: detail.get("title").text().unwrap_or(kind).to_owned(),
            occurred_at: service.get("eventLastSeen").time().or_else(|| detail.get("updatedAt").time()),
            creator: None,
            security_hub: None,
        }))
    };
    let account: AccountId = detail.get("accountId").require()?;
    if is_attack_sequence(kind) {
        let actors = sequence_actors(&service.at("detection.sequence"), &account)?;
        return Ok(actors.into_iter().map(|it| finding(it.account, it.principal, it.access_key)).collect());
    }
    let details = detail.at("resource.accessKeyDetails");
    if !details.is_present() {
        return Err(details.malformed("an object"));
    }
    let access_key = details.get("accessKeyId").parse()?;
    let principal = principal(&Claim {
        kind: details.get("userType"),
        name: details.get("userName"),
        principal_id: details.get("principalId"),
        access_key: access_key.clone(),
    })?;
    Ok(vec![finding(account, principal, access_key)])
}

/// `UnauthorizedAccess:IAMUser/TorIPCaller`, and the attack sequences; types about buckets and
/// instances carry an access key too, but their remedy lies there. Types that AWS adds later keep
/// the form, so that it is matched and not a list.
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html>
pub(super) fn concerns_credentials(kind: &str) -> bool {
    let resource = kind.split_once(':').and_then(|(_, rest)| rest.split('/').next());
    is_attack_sequence(kind) || matches!(resource, Some("IAMUser" | "IAM"))
}

pub(super) fn is_attack_sequence(kind: &str) -> bool {
    kind.starts_with("AttackSequence:")
}

pub(super) fn threat(principal: &Principal) -> Threat {
    match principal {
        Principal::Root => Threat::RootAccessKey,
        Principal::User { .. } | Principal::Role { .. } | Principal::KeyOwner | Principal::NotContainable { .. } => {
            Threat::CompromisedCredential
        }
    }
}

/// The flag has been a boolean and a string of JSON; the title prefix is AWS's own.
/// <https://docs.aws.amazon.com/guardduty/latest/ug/sample_findings.html>
pub(super) fn is_sample(service: &Node, title: Option<&str>) -> bool {
    let info = service.get("additionalInfo");
    info.get("sample").is_true()
        || info.get("value").text().is_some_and(says_sample)
        || title.is_some_and(|it| it.starts_with("[SAMPLE]"))
}

pub(super) fn says_sample(json: &str) -> bool {
    serde_json::from_str::<Value>(json).is_ok_and(|it| it.get("sample") == Some(&Value::Bool(true)))
}

fn partition(detail: &Node, region: &Region) -> Result<Partition, DecodeError> {
    let arn = detail.get("arn");
    let in_arn = arn.text().and_then(Arn::parse).map(|it| it.partition);
    match (detail.get("partition").parse::<Partition>()?, in_arn) {
        (Some(stated), Some(other)) if stated.as_str() != other => {
            Err(detail.get("partition").malformed("the same partition as in the ARN"))
        }
        (Some(stated), _) => Ok(stated),
        (None, Some(other)) => Partition::parse(other).map_err(|it| arn.malformed(it.expected)),
        (None, None) => Ok(Partition::of_region(region)),
    }
}

pub(super) struct Actor {
    pub(super) account: AccountId,
    pub(super) principal: Principal,
    pub(super) access_key: Option<AccessKeyId>,
}

/// Everyone who acted in an attack sequence. A sequence may have several actors; none is preferred.
/// The text of the finding may name them as well, but text must not drive an action.
/// <https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Actor.html>
pub(super) fn sequence_actors(sequence: &Node, account: &AccountId) -> Result<Vec<Actor>, DecodeError> {
    let mut actors: Vec<Actor> = Vec::new();
    for actor in sequence.get("actors").items() {
        let user = actor.get("user");
        if !user.is_present() {
            continue;
        }
        let access_key = user.get("credentialUid").parse::<AccessKeyId>()?;
        let named = principal(&Claim {
            kind: user.get("type"),
            name: user.get("name"),
            principal_id: user.get("uid"),
            access_key: access_key.clone(),
        })?;
        let found = Actor { account: owner(sequence, &user, account)?, principal: named, access_key };
        if !actors.iter().any(|it| {
            it.account == found.account && it.principal == found.principal && it.access_key == found.access_key
        }) {
            actors.push(found);
        }
    }
    if actors.is_empty() {
        let reason = "the attack sequence names no identity in its structured fields".to_owned();
        actors.push(Actor {
            account: account.clone(),
            principal: Principal::NotContainable { reason },
            access_key: None,
        });
    }
    Ok(actors)
}

/// An actor's own account is "not necessarily the account that owns the identity", so that the
/// access key among the sequence's resources comes first.
fn owner(sequence: &Node, user: &Node, account: &AccountId) -> Result<AccountId, DecodeError> {
    let uid = user.get("uid").text();
    let is_same = |it: &Node| uid.is_some() && it.at("data.accessKey.principalId").text() == uid;
    if let Some(resource) = sequence.get("resources").items().iter().find(|it| is_same(it))
        && let Some(owner) = resource.get("accountId").parse()?
    {
        return Ok(owner);
    }
    Ok(user.at("account.uid").parse()?.unwrap_or_else(|| account.clone()))
}
