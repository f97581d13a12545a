//! GuardDuty findings, from the bus (camelCase), from its API (PascalCase) and simulated.
//! <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_finding-format.html>

use std::collections::BTreeMap;

use serde_json::Value;

use super::eligibility::Standing;
use super::guardduty_types::{self, GuardDutyType, Says};
use super::identity::{Claim, Issuer, Key, Named, named};
use super::node::Node;
use super::resource::{Identity, Owner};
use super::seen::seen;
use super::{DecodeError, Judged, MAX_ITEMS};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccountId, Arn, Parse, Partition, Region};
use crate::settings::{Eligibility, Responder};
use crate::text;
use crate::told::{Answer, ToldFinding};

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    one(event, settings, Source::GuardDuty).unwrap_or_else(|error| vec![Err(error)])
}

/// Anybody who may call PutEvents can send this, so that it counts only where it is asked for.
pub(super) fn decode_simulation(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    if !settings.eligibility.simulation {
        return vec![Ok(Judged::ignored("simulated findings are off: SIMULATION is not `true`"))];
    }
    one(event, settings, Source::Simulation).unwrap_or_else(|error| vec![Err(error)])
}

type Findings = Result<Vec<Result<Judged, DecodeError>>, DecodeError>;

/// What says where a finding is from, which one it is and when it was. A simulation typed by hand may have none
/// of it, and then the envelope's counts, which EventBridge wrote; of a finding that lost a part of it nothing is
/// guessed.
struct Origin<'a> {
    account: Node<'a>,
    region: Node<'a>,
    id: Node<'a>,
    time: Node<'a>,
}

impl<'a> Origin<'a> {
    fn of(event: &Node<'a>, source: Source) -> Self {
        let detail = event.get("detail");
        let is_bare =
            || ["accountId", "region", "id", "arn", "updatedAt", "service"].iter().all(|it| !detail.get(it).is_said());
        if source == Source::Simulation && is_bare() {
            let [account, region, id, time] = ["account", "region", "id", "time"].map(|it| event.get(it));
            return Self { account, region, id, time };
        }
        let [account, region, id, time] = ["accountId", "region", "id", "updatedAt"].map(|it| detail.get(it));
        Self { account, region, id, time }
    }
}

fn one(event: &Node, settings: &Responder, source: Source) -> Findings {
    let (detail, origin) = (&event.get("detail"), Origin::of(event, source));
    let kind_node = detail.get("type");
    let kind = GuardDutyType::parse(kind_node.required()?)
        .ok_or_else(|| kind_node.malformed("a finding type such as `Discovery:IAMUser/AnomalousBehavior`"))?;
    let ignored = |reason: String| Ok(vec![Ok(Judged::Ignored(reason))]);
    let service = detail.get("service");
    let standing = Standing {
        is_sample: is_sample(&service, detail.get("title").text())
            || is_generated(&detail.at("resource.accessKeyDetails.accessKeyId")),
        not_open: service.get("archived").flag()?.then(|| "the finding is archived".to_owned()),
        ..Standing::default()
    };
    if let Some(reason) = standing.why_ignored() {
        return ignored(reason);
    }
    let resource = detail.get("resource");
    let details = resource.get("accessKeyDetails");
    let says = kind.says(details.is_present());
    let severity = detail.get("severity");
    let asks = |it: f64| guardduty_types::is_asked_for(&kind, Severity(it), &settings.eligibility);
    let is_asked_for = severity.number().is_some_and(asks);
    if says == Says::Nothing && !is_asked_for {
        return ignored(not_about_credentials(&kind));
    }
    if !resource.value().is_some_and(Value::is_object) {
        return Err(resource.malformed("an object"));
    }
    let severity = severity.number().ok_or_else(|| severity.malformed("a number"))?;
    let finding = |it: Identity| -> Result<Judged, DecodeError> {
        let region: Region = origin.region.require()?;
        let times = [service.get("eventLastSeen"), origin.time.clone()];
        let finding = Finding {
            occurred_at: seen(&it.principal, it.access_key.as_ref(), times)?,
            id: detail.get("arn").optional()?.map_or_else(|| origin.id.required(), Ok)?.to_owned(),
            source,
            threat: threat(&it.principal),
            severity: Severity(severity),
            account: it.account,
            partition: partition(detail, &region)?,
            region,
            principal: it.principal,
            access_key: it.access_key,
            kind: kind.to_string(),
            title: detail.get("title").text().unwrap_or(kind_node.text().unwrap_or_default()).to_owned(),
            creator: None,
            security_hub: None,
            began_at: service.get("eventFirstSeen").time().filter(|_| says.is_behaviour()),
            parent: None,
        };
        Ok(judge(&kind, says, finding, &settings.eligibility))
    };
    let account: AccountId = origin.account.require()?;
    let mut acted = Vec::new();
    if is_attack_sequence(&kind) {
        acted = sequence_actors(&service.at("detection.sequence"), &account)?;
        if acted.iter().any(Result::is_ok) || !details.is_present() {
            return Ok(or_nobody(acted, account).into_iter().map(|it| finding(it?)).collect());
        }
    }
    if !details.is_present() && !matches!(kind.family.as_str(), "IAMUser" | "IAM") {
        let nobody = Principal::NotContainable { reason: "the finding names no IAM identity that acted".to_owned() };
        // What was changed for nobody in particular is told of all the same, and what the operator asked for.
        return match says {
            _ if is_asked_for => Ok(vec![finding(Identity { account, principal: nobody, access_key: None })]),
            Says::Configuration => Ok(vec![finding(Identity { account, principal: nobody, access_key: None })]),
            _ => ignored(format!("{}: the finding names no IAM identity that acted", not_about_credentials(&kind))),
        };
    }
    if !details.is_present() {
        return Err(details.malformed("an object"));
    }
    let named = named(&Claim {
        kind: details.get("userType"),
        name: details.get("userName"),
        principal_id: details.get("principalId"),
        access_key: Key::of(&details.get("accessKeyId")),
        issuer: Issuer { node: details.at("sessionContext.sessionIssuer"), owner: account.clone() },
    });
    acted.push(named.map(|Named { principal, access_key }| Identity { account, principal, access_key }));
    Ok(acted.into_iter().map(|it| finding(it?)).collect())
}

/// What is done about a finding of a type, whichever service brought it.
pub(super) fn judge(kind: &GuardDutyType, says: Says, finding: Finding, settings: &Eligibility) -> Judged {
    let (answer, why) = guardduty_types::answer(kind, finding.severity, says, settings);
    match (answer, answer.urgency()) {
        (Answer::Contain, _) => Judged::from(finding),
        (_, Some(urgency)) => Judged::Told(Box::new(ToldFinding { finding, urgency, says: says.words(), why })),
        (_, None) => Judged::Ignored(format!("`{}` is only counted: {why}", text::line(&finding.kind, 120))),
    }
}

pub(super) fn not_about_credentials(kind: &GuardDutyType) -> String {
    format!("the GuardDuty type `{}` is not about IAM credentials", text::line(&kind.to_string(), 120))
}

pub(super) fn is_attack_sequence(kind: &GuardDutyType) -> bool {
    kind.purpose == "AttackSequence"
}

pub(super) fn threat(principal: &Principal) -> Threat {
    match principal {
        Principal::Root => Threat::RootAccessKey,
        _ => Threat::CompromisedCredential,
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

/// What samples have in the place of a key, which is no key at all.
pub(super) fn is_generated(key: &Node) -> bool {
    key.text().is_some_and(|it| it.contains("GeneratedFindingAccessKeyId"))
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

/// Everyone who acted in an attack sequence, each judged alone; nobody where it says nothing of actors. A sequence
/// may have several actors; none is preferred. The text of the finding may name them as well, but text must not
/// drive an action.
/// <https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Actor.html>
pub(super) fn sequence_actors(sequence: &Node, account: &AccountId) -> Result<Vec<Actor>, DecodeError> {
    let list = sequence.get("actors");
    let mut actors: Vec<Actor> = Vec::new();
    if !list.is_said() || list.is_empty_list() {
        return Ok(actors);
    }
    let owners = owners(sequence)?;
    for actor in list.bounded_items(MAX_ITEMS)? {
        // An actor may be a process; one that is no object may be anybody.
        if actor.get("user").is_said() {
            let found = sequence_actor(&actor, &owners, account);
            if !actors.contains(&found) {
                actors.push(found);
            }
        }
    }
    Ok(actors)
}

pub(super) type Actor = Result<Identity, DecodeError>;

/// Whoever acted, or that nobody is named: a person must look.
pub(super) fn or_nobody(actors: Vec<Actor>, account: AccountId) -> Vec<Actor> {
    if !actors.is_empty() {
        return actors;
    }
    let reason = "the attack sequence names no identity in its structured fields".to_owned();
    vec![Ok(Identity { account, principal: Principal::NotContainable { reason }, access_key: None })]
}

fn sequence_actor(
    actor: &Node,
    owners: &BTreeMap<&str, Result<AccountId, DecodeError>>,
    account: &AccountId,
) -> Result<Identity, DecodeError> {
    let user = actor.get("user");
    let owner = match user.get("uid").text().and_then(|uid| owners.get(uid)) {
        Some(owner) => owner.clone()?,
        None => user.at("account.uid").parse()?.unwrap_or_else(|| account.clone()),
    };
    let named = named(&Claim {
        kind: user.get("type"),
        name: user.get("name"),
        principal_id: user.get("uid"),
        access_key: Key::of(&user.get("credentialUid")),
        issuer: Issuer { node: actor.at("session.issuer"), owner: owner.clone() },
    })?;
    Ok(Owner { stated: account, is_aggregator: true }.owned(Some(owner), named))
}

/// An actor's own account is "not necessarily the account that owns the identity", so that the
/// access key among the sequence's resources comes first: the owner by principal ID.
fn owners<'a>(sequence: &Node<'a>) -> Result<BTreeMap<&'a str, Result<AccountId, DecodeError>>, DecodeError> {
    let mut owners = BTreeMap::new();
    sequence.get("resources").at_most(MAX_ITEMS)?;
    for resource in sequence.get("resources").items() {
        if let Some(id) = resource.at("data.accessKey.principalId").text()
            && let Some(owner) = resource.get("accountId").parse().transpose()
        {
            owners.entry(id).or_insert(owner);
        }
    }
    Ok(owners)
}
