//! Findings of the newer Security Hub, in the Open Cybersecurity Schema Framework.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-v2-eventbridge.html>

use super::eligibility::{self, Standing};
use super::guardduty::concerns_credentials;
use super::identity::{Claim, contradiction, merge, principal, text_name_or_id};
use super::node::Node;
use super::{DecodeError, Judged};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccessKeyId, AccountId, Arn, Partition, Region};
use crate::settings::Responder;
use crate::text;

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    match event.at("detail.findings").required_items() {
        Ok(findings) => findings.iter().map(|it| one(it, settings)).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn one(finding: &Node, settings: &Responder) -> Result<Judged, DecodeError> {
    let info = finding.get("finding_info");
    let title = info.get("title").text();
    let standing = Standing {
        is_sample: title.is_some_and(|it| it.starts_with("[SAMPLE]")),
        not_open: not_open(finding).map(str::to_owned),
        ..Standing::default()
    };
    if let Some(reason) = standing.why_ignored() {
        return Ok(Judged::Ignored(reason));
    }
    let product = finding.at("metadata.product.uid");
    let product_arn = product.required()?;
    let service = Arn::parse(product_arn)
        .filter(|it| it.service == "securityhub")
        .and_then(|it| it.resource.strip_prefix("productv2/"))
        .ok_or_else(|| product.malformed("a product ARN"))?;
    if let Some(reason) = eligibility::ignored_product(&format!("product/{service}"), &settings.eligibility) {
        return Ok(Judged::Ignored(reason));
    }
    let types = info.get("types").items();
    let guardduty_type = types.iter().filter_map(Node::text).find(|it| concerns_credentials(it));
    let control = finding.at("compliance.control").text();
    let (threat, kind, own_severity) = match (service, guardduty_type, control) {
        ("aws/guardduty", Some(kind), _) => (Threat::CompromisedCredential, kind, false),
        (_, _, Some("IAM.4")) => (Threat::RootAccessKey, "IAM.4", true),
        (_, _, Some(kind @ ("IAM.8" | "IAM.22"))) => (Threat::UnusedUser, kind, true),
        _ => {
            let what = control.or_else(|| types.first().and_then(Node::text)).unwrap_or("a finding");
            return Ok(Judged::Ignored(format!(
                "no playbook reacts to `{}` from `{}`",
                text::line(what, 160),
                text::line(service, 120)
            )));
        }
    };
    let severity = severity(finding)?;
    let too_low = eligibility::ignored_severity(severity, severity.label(), &settings.eligibility);
    if let Some(reason) = too_low.filter(|_| !own_severity) {
        return Ok(Judged::Ignored(reason));
    }
    let account: AccountId = finding.at("cloud.account.uid").require()?;
    let (account, principal, access_key) = identity(finding, account, threat)?;
    let region: Region = finding.at("cloud.region").require()?;
    Ok(Judged::from(Finding {
        id: info.get("uid").required()?.to_owned(),
        source: Source::SecurityHubV2,
        threat: if principal == Principal::Root { Threat::RootAccessKey } else { threat },
        severity,
        account,
        partition: Partition::of_region(&region),
        region,
        principal,
        access_key,
        kind: kind.to_owned(),
        title: title.unwrap_or(kind).to_owned(),
        occurred_at: info
            .get("last_seen_time")
            .time()
            .or_else(|| info.get("modified_time").time())
            .or_else(|| info.get("created_time").time()),
        creator: None,
        security_hub: None,
    }))
}

/// Activities: 1 create, 2 update, 3 close. Statuses: 1 new.
fn not_open(finding: &Node) -> Option<&'static str> {
    if finding.get("activity_id").number() == Some(3.0) {
        return Some("the finding is closed");
    }
    finding.get("status_id").number().is_some_and(|it| it != 1.0).then_some("its status is not New")
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

type Identity = (AccountId, Principal, Option<AccessKeyId>);

fn identity(finding: &Node, account: AccountId, threat: Threat) -> Result<Identity, DecodeError> {
    let mut found: Option<Identity> = None;
    for resource in finding.get("resources").items() {
        let Some((principal, key)) = resource_identity(&resource)? else {
            continue;
        };
        let owner = resource.at("owner.account.uid").parse()?.unwrap_or_else(|| account.clone());
        found = Some(match found {
            None => (owner, principal, key),
            Some((a, p, k)) if a == owner && (k.is_none() || key.is_none() || k == key) => {
                (a, merge(p, principal), k.or(key))
            }
            Some((a, ..)) => (a, contradiction("it names two different identities"), None),
        });
    }
    Ok(found.unwrap_or_else(|| {
        let reason = "none of the finding's resources is an IAM identity".to_owned();
        let principal =
            if threat == Threat::RootAccessKey { Principal::Root } else { Principal::NotContainable { reason } };
        (account, principal, None)
    }))
}

/// Two forms occur for keys: type `AWS::IAM::AccessKey` with the bare key as its ID, and
/// `AwsIamAccessKey` with the user's ARN as its ID.
fn resource_identity(resource: &Node) -> Result<Option<(Principal, Option<AccessKeyId>)>, DecodeError> {
    let is_key = match resource.get("type").optional()? {
        Some("AWS::IAM::AccessKey" | "AwsIamAccessKey") => true,
        Some("AWS::IAM::User" | "AwsIamUser" | "AWS::IAM::Role" | "AwsIamRole") => false,
        _ => return Ok(None),
    };
    let uid = resource.get("uid");
    let text = uid.required()?;
    if let Some(arn) = Arn::parse(text) {
        let malformed = || uid.malformed("the ARN of an IAM user or role");
        let (kind, name) = arn.kind_and_name().ok_or_else(malformed)?;
        let (name, id) = text_name_or_id(name).map_err(|_| malformed())?;
        let key = resource.at("data.accessKeyId").parse()?;
        return match kind {
            "user" => Ok(Some((Principal::User { name, id }, key))),
            "role" => Ok(Some((Principal::Role { name, id, session: None }, key))),
            _ => Err(malformed()),
        };
    }
    if !is_key {
        return Err(uid.malformed("the ARN of an IAM user or role"));
    }
    let access_key: AccessKeyId = uid.require()?;
    let details = resource.at("data.accessKeyDetails");
    let name = [resource.at("user.name"), details.get("userName")].into_iter().find(Node::is_present);
    let id = [resource.at("user.uid"), details.get("principalId")].into_iter().find(Node::is_present);
    let kind = [resource.at("user.type"), details.get("userType")].into_iter().find(Node::is_present);
    let named = principal(&Claim {
        kind: kind.unwrap_or_else(|| resource.at("user.type")),
        name: name.unwrap_or_else(|| resource.at("user.name")),
        principal_id: id.unwrap_or_else(|| resource.at("user.uid")),
        access_key: Some(access_key.clone()),
    })?;
    Ok(Some((named, Some(access_key))))
}
