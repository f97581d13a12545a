//! Security Hub's findings in the AWS Security Finding Format.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-cwe-event-formats.html>

use serde_json::Value;

use super::eligibility::{self, Standing};
use super::guardduty;
use super::identity::{Claim, contradiction, merge, name_or_id, principal, text_name_or_id};
use super::node::Node;
use super::{DecodeError, Judged};
use crate::finding::{Finding, HubReference, Principal, Severity, Source, Threat};
use crate::ids::{AccessKeyId, AccountId, Arn, Parse, Partition, Region};
use crate::notice::UPDATED_BY;
use crate::settings::Responder;
use crate::text;

/// What the finding of our own simulation is called. Titles decide nothing else, and this one only
/// in an account's own findings.
pub const SIMULATION_TITLE: &str = "iam-responder simulation: IAM user holds administrator access";

pub(super) fn decode_imported(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    each(event, |finding| imported(finding, settings))
}

/// A person chose the finding and pressed the button that our template made: the press is the
/// approval, whatever the finding's severity and workflow. Another button means another thing.
pub(super) fn decode_custom_action(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    let pressed = event.get("resources").items().first().and_then(Node::text);
    if pressed.is_none() || pressed != settings.eligibility.custom_action_arn.as_deref() {
        return vec![Ok(Judged::ignored("the custom action is not the one in CUSTOM_ACTION_ARN"))];
    }
    each(event, |finding| {
        let standing = Standing { is_sample: is_sample(finding), ..Standing::default() };
        if let Some(reason) = standing.why_ignored() {
            return Ok(Judged::Ignored(reason));
        }
        let product = Product::of(finding)?;
        build(finding, &product, Source::SecurityHubCustomAction, Threat::CompromisedCredential)
    })
}

fn each<'a>(
    event: &Node<'a>,
    judge: impl Fn(&Node<'a>) -> Result<Judged, DecodeError>,
) -> Vec<Result<Judged, DecodeError>> {
    match event.at("detail.findings").required_items() {
        Ok(findings) => findings.iter().map(judge).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn imported(finding: &Node, settings: &Responder) -> Result<Judged, DecodeError> {
    let standing = Standing {
        is_sample: is_sample(finding),
        is_ours: is_ours(finding),
        not_open: not_open(finding),
        has_passed: finding.at("Compliance.Status").text() == Some("PASSED"),
    };
    if let Some(reason) = standing.why_ignored() {
        return Ok(Judged::Ignored(reason));
    }
    let product = Product::of(finding)?;
    if let Some(reason) = eligibility::ignored_product(&product.name, &settings.eligibility) {
        return Ok(Judged::Ignored(reason));
    }
    let Some(threat) = threat(finding, &product, settings) else {
        let kind = text::line(&kind(finding, &product), 160);
        return Ok(Judged::Ignored(format!(
            "no playbook reacts to `{kind}` from `{}`",
            text::line(&product.name, 120)
        )));
    };
    let severity = severity(finding)?;
    let too_low = eligibility::ignored_severity(severity, severity.label(), &settings.eligibility);
    if let Some(reason) = too_low.filter(|_| !at_its_own_severity(finding)) {
        return Ok(Judged::Ignored(reason));
    }
    build(finding, &product, Source::SecurityHub, threat)
}

/// Our note tells that nothing happened since only while nothing did: a source updates its finding under the
/// same ID, and our own update leaves `UpdatedAt` as it is.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html>
fn is_ours(finding: &Node) -> bool {
    let (noted, updated) = (finding.at("Note.UpdatedAt").time(), finding.get("UpdatedAt").time());
    let is_older = noted.zip(updated).is_some_and(|(noted, updated)| noted.secs() < updated.secs());
    finding.at("Note.UpdatedBy").text() == Some(UPDATED_BY) && !is_older
}

fn not_open(finding: &Node) -> Option<String> {
    if let Some(state) = finding.get("RecordState").text().filter(|it| *it != "ACTIVE") {
        return Some(format!("its record state is `{}`", text::line(state, 40)));
    }
    // Before 2020 the workflow was one word.
    let workflow = finding.at("Workflow.Status").text().or_else(|| finding.get("WorkflowState").text());
    let status = workflow.filter(|it| *it != "NEW")?;
    Some(format!("its workflow status is `{}`", text::line(status, 40)))
}

/// `product/<company>/<name>`, or `product/<account>/default` for what an account imports itself.
struct Product<'a> {
    arn: &'a str,
    region: &'a str,
    partition: Partition,
    name: String,
}

impl<'a> Product<'a> {
    fn of(finding: &Node<'a>) -> Result<Self, DecodeError> {
        let node = finding.get("ProductArn");
        let arn = node.required()?;
        let malformed = || node.malformed("a product ARN");
        let parts = Arn::parse(arn).filter(|it| it.service == "securityhub").ok_or_else(malformed)?;
        let partition = Partition::parse(parts.partition).map_err(|_| malformed())?;
        Ok(Self { arn, region: parts.region, partition, name: parts.resource.to_owned() })
    }

    fn is_aws(&self, service: &str) -> bool {
        self.name.strip_prefix("product/aws/") == Some(service)
    }

    /// The account whose own findings these are.
    fn own_account(&self) -> Option<AccountId> {
        let account = self.name.strip_prefix("product/")?.strip_suffix("/default")?;
        AccountId::parse(account).ok()
    }
}

fn build(finding: &Node, product: &Product, source: Source, threat: Threat) -> Result<Judged, DecodeError> {
    let kind = kind(finding, product);
    let is_sequence = product.is_aws("guardduty") && kind.contains("AttackSequence:");
    let identity = if is_sequence { sequence(finding)? } else { identity(finding)? };
    if product.own_account().is_some_and(|it| it != identity.account) {
        return Ok(Judged::ignored("an account's own findings count only about that account"));
    }
    let threat = if identity.principal == Principal::Root { Threat::RootAccessKey } else { threat };
    let region = match finding.get("Region").parse::<Region>()? {
        Some(region) => region,
        None => Region::parse(product.region).map_err(|it| finding.get("Region").malformed(it.expected))?,
    };
    let id = finding.get("Id").required()?.to_owned();
    Ok(Judged::from(Finding {
        source,
        threat,
        severity: severity(finding)?,
        account: identity.account,
        partition: product.partition.clone(),
        principal: identity.principal,
        access_key: identity.access_key,
        title: finding.get("Title").text().unwrap_or(&kind).to_owned(),
        kind,
        occurred_at: finding.get("LastObservedAt").time().or_else(|| finding.get("UpdatedAt").time()),
        creator: None,
        security_hub: Some(HubReference {
            id: id.clone(),
            product_arn: product.arn.to_owned(),
            region: region.clone(),
        }),
        id,
        region,
    }))
}

fn threat(finding: &Node, product: &Product, settings: &Responder) -> Option<Threat> {
    let resources = finding.get("Resources").items();
    let is_about_user = resources.iter().any(|it| it.get("Type").text() == Some("AwsIamUser"));
    if product.is_aws("guardduty") {
        return is_about_credentials(&kind(finding, product)).then_some(Threat::CompromisedCredential);
    }
    match control(finding).as_deref() {
        Some("IAM.4") => return Some(Threat::RootAccessKey),
        Some("IAM.8" | "IAM.22") => return is_about_user.then_some(Threat::UnusedUser),
        Some(_) => return None,
        None if !is_about_user => return None,
        None => {}
    }
    if product.own_account().is_some() && finding.get("Title").text() == Some(SIMULATION_TITLE) {
        return Some(Threat::OverprivilegedUser);
    }
    // Access Analyzer's generator ID is the analyzer's ARN; the type says what was found.
    let is_unused_key = |it: &Node| it.text().is_some_and(|it| it.ends_with("/Unused IAM User Access Key"));
    if product.is_aws("access-analyzer") && finding.get("Types").items().iter().any(is_unused_key) {
        return Some(Threat::UnusedUser);
    }
    let generator = finding.get("GeneratorId").text()?;
    settings
        .eligibility
        .generator_threats
        .iter()
        .find(|(pattern, _)| pattern.matches(generator))
        .map(|(_, threat)| *threat)
}

/// The controls that playbooks name are switched by PLAYBOOK_MODES and not by their severity,
/// which is MEDIUM for IAM.8 and IAM.22.
fn at_its_own_severity(finding: &Node) -> bool {
    matches!(control(finding).as_deref(), Some("IAM.4" | "IAM.8" | "IAM.22"))
}

/// The control's ID, however old the event is: its own field, or the end of the generator's ID.
fn control(finding: &Node) -> Option<String> {
    let stated =
        finding.at("Compliance.SecurityControlId").text().or_else(|| finding.at("ProductFields.ControlId").text());
    let generator = finding.get("GeneratorId").text()?;
    let is_control = generator.starts_with("security-control/") || generator.contains("/v/1.0.0/");
    let last = generator.rsplit('/').next().filter(|it| is_control && it.starts_with("IAM."));
    stated.or(last).map(str::to_owned)
}

/// What the finding is about, in the product's own words: GuardDuty's type, a control, a generator.
fn kind(finding: &Node, product: &Product) -> String {
    let types = finding.get("Types").items();
    let first_type = types.first().and_then(Node::text);
    let control = control(finding);
    let of_product = if product.is_aws("guardduty") { first_type } else { None };
    of_product
        .or(control.as_deref())
        .or(finding.get("GeneratorId").text())
        .or(first_type)
        .unwrap_or("unknown")
        .to_owned()
}

/// Security Hub prefixes GuardDuty's type with a taxonomy and turns most of its slashes into
/// dashes: `TTPs/Initial Access/UnauthorizedAccess:IAMUser-TorIPCaller`, `TTPs/Discovery/IAMUser-AnomalousBehavior`.
fn is_about_credentials(kind: &str) -> bool {
    kind.contains("AttackSequence:")
        || kind.split(['/', ':']).any(|part| part == "IAMUser" || part.starts_with("IAMUser-"))
}

/// Older events say it only in GuardDuty's additional information. No other product field counts:
/// some of them repeat the attacker's user agent.
fn is_sample(finding: &Node) -> bool {
    let fields = finding.get("ProductFields").value().and_then(Value::as_object);
    let says_so = |(key, value): (&String, &Value)| {
        key.starts_with("aws/guardduty/service/additionalInfo") && value.as_str().is_some_and(guardduty::says_sample)
    };
    finding.get("Sample").is_true()
        || finding.get("Title").text().is_some_and(|it| it.starts_with("[SAMPLE]"))
        || fields.is_some_and(|it| it.iter().any(says_so))
}

/// The label wins: GuardDuty's low findings arrive as LOW with a normalized 40. GuardDuty's own
/// number is finer than both.
fn severity(finding: &Node) -> Result<Severity, DecodeError> {
    let severity = finding.get("Severity");
    let label = severity.get("Label").text().and_then(Severity::of_label);
    let normalized = severity.get("Normalized").number().map(|it| match it {
        it if it >= 90.0 => Severity::CRITICAL,
        it if it >= 70.0 => Severity::HIGH,
        it => Severity(it / 10.0),
    });
    label.or(normalized).ok_or_else(|| severity.malformed("a label or a normalized severity"))
}

struct Identity {
    account: AccountId,
    principal: Principal,
    access_key: Option<AccessKeyId>,
}

fn sequence(finding: &Node) -> Result<Identity, DecodeError> {
    let account: AccountId = finding.get("AwsAccountId").require()?;
    let mut actors = guardduty::sequence_actors(&finding.at("Detection.Sequence"), &account)?;
    match actors.pop() {
        // GuardDuty's own event has all actors; this copy can update only one finding.
        Some(actor) if actors.is_empty() => {
            Ok(Identity { account: actor.account, principal: actor.principal, access_key: actor.access_key })
        }
        _ => Ok(Identity {
            account,
            principal: Principal::NotContainable {
                reason: "the attack sequence has several actors: GuardDuty's own event contains each of them"
                    .to_owned(),
            },
            access_key: None,
        }),
    }
}

/// Everyone whom the resources name must be the same one.
fn identity(finding: &Node) -> Result<Identity, DecodeError> {
    let stated: AccountId = finding.get("AwsAccountId").require()?;
    let mut found: Option<Identity> = None;
    for resource in finding.get("Resources").items() {
        let Some(next) = resource_identity(&resource, &stated)? else {
            continue;
        };
        found = Some(match found {
            None => next,
            Some(it) => join(it, next),
        });
    }
    match found {
        Some(identity) => Ok(identity),
        None if control(finding).as_deref() == Some("IAM.4") => {
            Ok(Identity { account: stated, principal: Principal::Root, access_key: None })
        }
        None => Ok(Identity {
            account: stated,
            principal: Principal::NotContainable {
                reason: "none of the finding's resources is an IAM identity".to_owned(),
            },
            access_key: None,
        }),
    }
}

fn join(a: Identity, b: Identity) -> Identity {
    let same_account = a.account == b.account;
    let (key, same_key) = match (a.access_key, b.access_key) {
        (Some(a), Some(b)) => (Some(a.clone()), a == b),
        (a, b) => (a.or(b), true),
    };
    let principal = if same_account && same_key {
        merge(a.principal, b.principal)
    } else {
        contradiction("it names two different identities")
    };
    Identity { account: a.account, principal, access_key: key }
}

fn resource_identity(resource: &Node, stated: &AccountId) -> Result<Option<Identity>, DecodeError> {
    match resource.get("Type").optional()? {
        Some("AwsIamUser") => arn_identity(resource, "user").map(Some),
        Some("AwsIamRole") => arn_identity(resource, "role").map(Some),
        Some("AwsIamAccessKey" | "AWSIAMAccessKey" | "AWS::IAM::AccessKey") => key_identity(resource, stated),
        _ => Ok(None),
    }
}

/// The ARN's account is the owner's; the finding's may be that of an administrator.
fn arn_identity(resource: &Node, kind: &str) -> Result<Identity, DecodeError> {
    let node = resource.get("Id");
    let malformed = || node.malformed("the ARN of an IAM user or role");
    let arn = Arn::parse(node.required()?).filter(|it| it.service == "iam").ok_or_else(malformed)?;
    let (_, name) = arn.kind_and_name().filter(|(it, _)| *it == kind).ok_or_else(malformed)?;
    let account = AccountId::parse(arn.account).map_err(|_| malformed())?;
    let (name, id_in_name) = text_name_or_id(name).map_err(|_| malformed())?;
    let principal = match kind {
        "user" => {
            let details = resource.at("Details.AwsIamUser");
            let (stated, _) = name_or_id(&details.get("UserName"))?;
            let own = Principal::User { name, id: id_in_name };
            merge(own, Principal::User { name: stated, id: details.get("UserId").parse()? })
        }
        _ => {
            let details = resource.at("Details.AwsIamRole");
            let own = Principal::Role { name, id: id_in_name, session: None };
            merge(
                own,
                Principal::Role {
                    name: details.get("RoleName").parse()?,
                    id: details.get("RoleId").parse()?,
                    session: None,
                },
            )
        }
    };
    Ok(Identity { account, principal, access_key: None })
}

/// `AWS::IAM::AccessKey:AKIA…`, a bare key ID, or `…:null` for a console session, with whose it is
/// in the details.
fn key_identity(resource: &Node, stated: &AccountId) -> Result<Option<Identity>, DecodeError> {
    let details = resource.at("Details.AwsIamAccessKey");
    let node = resource.get("Id");
    let in_id = node.required()?.rsplit(':').next().filter(|it| !matches!(*it, "null" | ""));
    let in_id = in_id.map(AccessKeyId::parse).transpose().map_err(|it| node.malformed(it.expected))?;
    let in_details = details.get("AccessKeyId").parse::<AccessKeyId>()?;
    let access_key = match (in_id, in_details) {
        (Some(a), Some(b)) if a != b => {
            return Err(details.get("AccessKeyId").malformed("the access key of the resource's ID"));
        }
        (a, b) => a.or(b),
    };
    let name = [details.get("PrincipalName"), details.get("UserName")].into_iter().find(Node::is_present);
    let named = principal(&Claim {
        kind: details.get("PrincipalType"),
        name: name.unwrap_or_else(|| details.get("PrincipalName")),
        principal_id: details.get("PrincipalId"),
        access_key: access_key.clone(),
    })?;
    let account = details.get("AccountId").parse()?.unwrap_or_else(|| stated.clone());
    Ok(Some(Identity { account, principal: named, access_key }))
}
