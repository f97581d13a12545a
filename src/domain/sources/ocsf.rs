//! Findings of the newer Security Hub, in the Open Cybersecurity Schema Framework.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-v2-eventbridge.html>

use super::eligibility::{self, Standing};
use super::guardduty_types::{self, GuardDutyType, Says};
use super::node::Node;
use super::resource::{self, Identity, KeyDetails, Owner, Resource};
use super::seen::seen;
use super::{DecodeError, Judged, MAX_ITEMS, controls, guardduty};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccountId, Arn, Partition, Region};
use crate::settings::Responder;
use crate::text;

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    match event.at("detail.findings").bounded_items(MAX_ITEMS) {
        Ok(findings) => findings.flat_map(|it| judged(&it, settings)).collect(),
        Err(error) => vec![Err(error)],
    }
}

/// The finding, and what could not be read beside what it needs.
fn judged(finding: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    let mut beside = Vec::new();
    let judged = one(finding, settings, &mut beside);
    if matches!(judged, Ok(Judged::Ignored(_))) {
        beside.clear();
    }
    std::iter::once(judged).chain(beside.into_iter().map(Err)).collect()
}

/// What a finding is about.
enum Matter {
    GuardDuty(GuardDutyType, Says),
    Control(String, Threat),
}

fn one(finding: &Node, settings: &Responder, beside: &mut Vec<DecodeError>) -> Result<Judged, DecodeError> {
    let info = finding.get("finding_info");
    let title = info.get("title").text();
    let standing = Standing {
        is_sample: title.is_some_and(|it| it.starts_with("[SAMPLE]"))
            || finding.get("resources").items().any(|it| guardduty::is_generated(&it.get("uid"))),
        not_open: not_open(finding)?.map(str::to_owned),
        has_passed: has_passed(finding),
        ..Standing::default()
    };
    if let Some(reason) = standing.why_ignored() {
        return Ok(Judged::Ignored(reason));
    }
    let product = finding.at("metadata.product.uid");
    let uid = product.required()?;
    let arn = Arn::parse(uid).filter(|it| it.service == "securityhub");
    // Others' findings have any name; AWS's own have an ARN.
    let Some(service) = arn.and_then(|it| it.resource.strip_prefix("productv2/")) else {
        return Ok(Judged::Ignored(format!("its product `{}` is not in TRUSTED_PRODUCTS", text::line(uid, 120))));
    };
    let product = format!("product/{service}");
    if let Some(reason) = eligibility::ignored_product(&product, &settings.eligibility) {
        return Ok(Judged::Ignored(reason));
    }
    finding.get("resources").list_of_at_most(MAX_ITEMS)?;
    let Some(matter) = matter(finding, service)? else {
        // The word for the class of the finding comes before its type.
        let types = || info.get("types").items().filter_map(|it| it.text());
        let control = finding.at("compliance.control").text();
        let what = control.or_else(|| types().find(|it| it.contains([':', '/'])).or_else(|| types().last()));
        return Ok(Judged::Ignored(format!(
            "no playbook reacts to `{}` from `{}`",
            text::line(what.unwrap_or("a finding"), 160),
            text::line(service, 120)
        )));
    };
    let is_behaviour = matches!(&matter, Matter::GuardDuty(_, says) if says.is_behaviour());
    let (kind, threat) = match &matter {
        Matter::GuardDuty(kind, Says::Nothing) if !is_asked_for(kind, finding, settings) => {
            return Ok(Judged::Ignored(guardduty::not_about_credentials(kind)));
        }
        Matter::GuardDuty(kind, _) => (kind.to_string(), Threat::CompromisedCredential),
        Matter::Control(control, threat) => (control.clone(), *threat),
    };
    let severity = severity(finding)?;
    if matches!(matter, Matter::Control(..))
        && let Some(reason) = eligibility::ignored_state(severity, severity.label(), true, &settings.eligibility)
    {
        return Ok(Judged::Ignored(reason));
    }
    let stated: AccountId = finding.at("cloud.account.uid").require()?;
    let found = identity(finding, stated, &product, threat, beside)?;
    let region: Region = finding.at("cloud.region").require()?;
    let times = ["last_seen_time", "modified_time", "created_time"].map(|it| info.get(it));
    let occurred_at = seen(&found.principal, found.access_key.as_ref(), times)?;
    let finding = Finding {
        id: info.get("uid").required()?.to_owned(),
        source: Source::SecurityHubV2,
        threat: if found.principal == Principal::Root { Threat::RootAccessKey } else { threat },
        severity,
        account: found.account,
        partition: Partition::of_region(&region),
        region,
        principal: found.principal,
        access_key: found.access_key,
        title: title.unwrap_or(&kind).to_owned(),
        kind,
        occurred_at,
        creator: None,
        security_hub: None,
        began_at: info.get("first_seen_time").time().filter(|_| is_behaviour),
        parent: None,
    };
    Ok(match matter {
        Matter::GuardDuty(kind, says) => guardduty::judge(&kind, says, finding, &settings.eligibility),
        Matter::Control(..) => Judged::from(finding),
    })
}

fn matter(finding: &Node, service: &str) -> Result<Option<Matter>, DecodeError> {
    if service == "aws/guardduty" {
        let types = finding.at("finding_info.types");
        let kind = types.items().filter_map(|it| it.text()).find_map(GuardDutyType::of_security_hub);
        let kind = kind.ok_or_else(|| types.malformed("a GuardDuty type"))?;
        let has_actor = finding.get("resources").items().any(|it| is_identity(&it));
        let says = match kind.says(has_actor) {
            Says::Elsewhere if !has_actor => Says::Nothing,
            says => says,
        };
        return Ok(Some(Matter::GuardDuty(kind, says)));
    }
    let control = finding.at("compliance.control").text();
    Ok(control.and_then(|it| Some(Matter::Control(it.to_owned(), controls::threat(it)?))))
}

fn is_asked_for(kind: &GuardDutyType, finding: &Node, settings: &Responder) -> bool {
    severity(finding).is_ok_and(|it| guardduty_types::is_asked_for(kind, it, &settings.eligibility))
}

/// One, or what may be one and can't be read.
fn is_identity(resource: &Node) -> bool {
    resource.get("type").optional().map_or(true, |it| {
        matches!(
            it,
            Some(
                "AWS::IAM::User"
                    | "AwsIamUser"
                    | "AWS::IAM::Role"
                    | "AwsIamRole"
                    | "AWS::IAM::AccessKey"
                    | "AwsIamAccessKey"
            )
        )
    })
}

/// Activities: 1 create, 2 update, 3 close. Statuses: 1 new, 2 in progress, 3 suppressed, 4 resolved,
/// 5 archived, 0 and 99 none of them.
fn not_open(finding: &Node) -> Result<Option<&'static str>, DecodeError> {
    if finding.get("activity_id").number() == Some(3.0) {
        return Ok(Some("the finding is closed"));
    }
    let status = finding.get("status_id");
    match status.number().map(|it| it as i64) {
        Some(1) => Ok(None),
        Some(0 | 2..=5 | 99) => Ok(Some("its status is not New")),
        None if !status.is_present() => Ok(None),
        _ => Err(status.malformed("an OCSF status (0 to 5, or 99)")),
    }
}

/// Only a control that failed asks for something. Status IDs: 1 pass, 2 warning, 3 fail.
/// <https://schema.ocsf.io/1.6.0/objects/compliance>
fn has_passed(finding: &Node) -> bool {
    let compliance = finding.get("compliance");
    let by_id = compliance.get("status_id").number().is_some_and(|it| it != 3.0);
    let is_fail = |it: &str| it.eq_ignore_ascii_case("fail") || it.eq_ignore_ascii_case("failed");
    by_id || compliance.get("status").text().is_some_and(|it| !is_fail(it))
}

/// <https://schema.ocsf.io/1.6.0/dictionary#severity_id>
fn severity(finding: &Node) -> Result<Severity, DecodeError> {
    let id = finding.get("severity_id");
    match id.number().map(|it| it as i64) {
        Some(5 | 6) => Ok(Severity::CRITICAL),
        Some(4) => Ok(Severity::HIGH),
        Some(3) => Ok(Severity(4.0)),
        Some(2) => Ok(Severity(1.0)),
        Some(0 | 1 | 99) => Ok(Severity(0.0)),
        _ => Err(id.malformed("an OCSF severity (0 to 6, or 99)")),
    }
}

fn identity(
    finding: &Node,
    stated: AccountId,
    product: &str,
    threat: Threat,
    beside: &mut Vec<DecodeError>,
) -> Result<Identity, DecodeError> {
    let owner = Owner { stated: &stated, is_aggregator: product.starts_with("product/aws/") };
    let found = resource::identity(finding.get("resources").items().map(|it| resource(&it)), &owner)?;
    beside.extend(found.unreadable);
    if let Some(identity) = found.identity {
        return Ok(identity);
    }
    let reason = "none of the finding's resources is an IAM identity".to_owned();
    let principal =
        if threat == Threat::RootAccessKey { Principal::Root } else { Principal::NotContainable { reason } };
    Ok(Identity { account: stated, principal, access_key: None })
}

fn resource<'a>(resource: &Node<'a>) -> Resource<'a> {
    let details = resource.at("data.accessKeyDetails");
    let either = |own: Node<'a>, other: Node<'a>| if own.is_said() { own } else { other };
    Resource {
        kind: resource.get("type"),
        id: resource.get("uid"),
        own_name: resource.at("data.userName"),
        own_id: resource.at("data.userId"),
        key: KeyDetails {
            kind: either(resource.at("user.type"), details.get("userType")),
            name: either(resource.at("user.name"), details.get("userName")),
            principal_id: either(resource.at("user.uid"), details.get("principalId")),
            access_key: either(resource.at("data.accessKeyId"), details.get("accessKeyId")),
            account: resource.at("owner.account.uid"),
            issuer: either(resource.at("session.issuer"), details.at("sessionContext.sessionIssuer")),
        },
    }
}
