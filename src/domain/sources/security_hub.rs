//! Security Hub's findings in the AWS Security Finding Format.
//! <https://docs.aws.amazon.com/securityhub/latest/userguide/securityhub-cwe-event-formats.html>

use serde_json::Value;

use super::eligibility::{self, Standing};
use super::guardduty::Actor;
use super::guardduty_types::{self, GuardDutyType, Says};
use super::node::Node;
use super::resource::{self, Identity, KeyDetails, Owner, Resource};
use super::seen::seen;
use super::{DecodeError, Judged, MAX_ITEMS, controls, guardduty};
use crate::finding::{Finding, HubReference, Principal, Severity, Source, Threat};
use crate::ids::{AccountId, Arn, Parse, Partition, Region};
use crate::notice::{UPDATED_BY, answered_version};
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
    let pressed = event.get("resources").items().next().and_then(|it| it.text());
    if pressed.is_none() || pressed != settings.eligibility.custom_action_arn.as_deref() {
        return vec![Ok(Judged::ignored("the custom action is not the one in CUSTOM_ACTION_ARN"))];
    }
    each(event, |finding| {
        let standing = Standing { is_sample: is_sample(finding), ..Standing::default() };
        if let Some(reason) = standing.why_ignored() {
            return Ok(ignored(reason));
        }
        let product = Product::of(finding)?;
        finding.get("Resources").list_of_at_most(MAX_ITEMS)?;
        // What the press needs no severity for.
        let severity = severity(finding).unwrap_or(Severity::HIGH);
        let about = About { source: Source::SecurityHubCustomAction, threat: Threat::CompromisedCredential, severity };
        Ok(judged(build(finding, &product, about)?, Judged::from))
    })
}

type AllJudged = Vec<Result<Judged, DecodeError>>;

fn each<'a>(event: &Node<'a>, judge: impl Fn(&Node<'a>) -> Result<AllJudged, DecodeError>) -> AllJudged {
    match event.at("detail.findings").bounded_items(MAX_ITEMS) {
        Ok(findings) => findings.flat_map(|it| judge(&it).unwrap_or_else(|error| vec![Err(error)])).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn ignored(reason: String) -> AllJudged {
    vec![Ok(Judged::Ignored(reason))]
}

/// What could not be read beside a finding matters as much as the finding does.
fn judged(built: Built, judge: impl Fn(Finding) -> Judged) -> AllJudged {
    let judged: AllJudged = match built {
        Ok(all) => all.into_iter().map(|it| it.map(&judge)).collect(),
        Err(reason) => return ignored(reason),
    };
    let is_ignored = |it: &Judged| matches!(it, Judged::Ignored(_));
    let is_left_alone = judged.iter().any(Result::is_ok) && judged.iter().flatten().all(is_ignored);
    judged.into_iter().filter(|it| it.is_ok() || !is_left_alone).collect()
}

fn imported(finding: &Node, settings: &Responder) -> Result<AllJudged, DecodeError> {
    let standing = Standing {
        is_sample: is_sample(finding),
        is_ours: is_ours(finding),
        not_open: not_open(finding)?,
        has_passed: has_passed(finding),
    };
    if let Some(reason) = standing.why_ignored() {
        return Ok(ignored(reason));
    }
    let product = Product::of(finding)?;
    if let Some(reason) = eligibility::ignored_product(&product.name, &settings.eligibility) {
        return Ok(ignored(reason));
    }
    finding.get("Resources").list_of_at_most(MAX_ITEMS)?;
    if product.is_aws("guardduty") {
        return guardduty_finding(finding, &product, settings);
    }
    let Some(threat) = threat(finding, &product, settings) else {
        let kind = text::line(&kind(finding, &product), 160);
        return Ok(ignored(format!("no playbook reacts to `{kind}` from `{}`", text::line(&product.name, 120))));
    };
    let severity = severity(finding)?;
    let is_control = controls::control(finding).as_deref().is_some_and(|it| controls::threat(it).is_some());
    if let Some(reason) = eligibility::ignored_state(severity, severity.label(), is_control, &settings.eligibility) {
        return Ok(ignored(reason));
    }
    let about = About { source: Source::SecurityHub, threat, severity };
    Ok(judged(build(finding, &product, about)?, Judged::from))
}

/// Our note tells that nothing happened since only while nothing did: a source updates its finding under the
/// same ID, also while we respond, and our own update leaves `UpdatedAt` as it is. The note says which version it
/// answers.
/// <https://docs.aws.amazon.com/securityhub/1.0/APIReference/API_BatchUpdateFindings.html>
fn is_ours(finding: &Node) -> bool {
    let (noted, updated) = (finding.at("Note.UpdatedAt").time(), finding.get("UpdatedAt").time());
    let answered = finding.at("Note.Text").text().and_then(answered_version);
    let is_older = match (answered, noted, updated) {
        (Some(answered), _, Some(updated)) => answered < updated,
        (None, Some(noted), Some(updated)) => noted.secs() < updated.secs(),
        _ => false,
    };
    finding.at("Note.UpdatedBy").text() == Some(UPDATED_BY) && !is_older
}

/// GuardDuty's findings of other regions arrive only here.
fn guardduty_finding(finding: &Node, product: &Product, settings: &Responder) -> Result<AllJudged, DecodeError> {
    let types = finding.get("Types");
    let named = || types.items().filter_map(|it| it.text());
    let kind = named().find_map(GuardDutyType::of_security_hub).ok_or_else(|| types.malformed("a GuardDuty type"))?;
    let has_actor = finding.get("Resources").items().any(|it| is_identity(&it));
    let says = kind.says(has_actor);
    let severity = severity(finding);
    let asks = |it: &Severity| guardduty_types::is_asked_for(&kind, *it, &settings.eligibility);
    let is_asked_for = severity.as_ref().is_ok_and(asks);
    if !is_asked_for && (says == Says::Nothing || (says == Says::Elsewhere && !has_actor)) {
        return Ok(ignored(guardduty::not_about_credentials(&kind)));
    }
    let severity = severity?;
    let about = About { source: Source::SecurityHub, threat: Threat::CompromisedCredential, severity };
    Ok(judged(build(finding, product, about)?, |it| guardduty::judge(&kind, says, it, &settings.eligibility)))
}

/// One, or what may be one and can't be read.
fn is_identity(resource: &Node) -> bool {
    resource.get("Type").optional().map_or(true, |it| {
        matches!(it, Some("AwsIamUser" | "AwsIamRole" | "AwsIamAccessKey" | "AWSIAMAccessKey" | "AWS::IAM::AccessKey"))
    })
}

/// A state that is none of AWS's is no reason to leave a finding alone.
fn not_open(finding: &Node) -> Result<Option<String>, DecodeError> {
    let record = finding.get("RecordState");
    match record.optional()? {
        None | Some("ACTIVE") => {}
        Some(state @ "ARCHIVED") => return Ok(Some(format!("its record state is `{state}`"))),
        Some(_) => return Err(record.malformed("`ACTIVE` or `ARCHIVED`")),
    }
    // Before 2020 the workflow was one word.
    let (new, old) = (finding.at("Workflow.Status"), finding.get("WorkflowState"));
    let workflow = if new.is_present() { new } else { old };
    match workflow.optional()? {
        None | Some("NEW") => Ok(None),
        Some(status @ ("NOTIFIED" | "RESOLVED" | "SUPPRESSED" | "ASSIGNED" | "IN_PROGRESS" | "DEFERRED")) => {
            Ok(Some(format!("its workflow status is `{status}`")))
        }
        Some(_) => Err(workflow.malformed("a workflow status")),
    }
}

/// Only a control that failed asks for something.
fn has_passed(finding: &Node) -> bool {
    finding.at("Compliance.Status").text().is_some_and(|it| it != "FAILED")
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

/// What is known of a finding before it is read whom it names.
#[derive(Clone, Copy)]
struct About {
    source: Source,
    threat: Threat,
    severity: Severity,
}

/// One for each identity that it names, or why it is left alone.
type Built = Result<Vec<Result<Finding, DecodeError>>, String>;

fn build(finding: &Node, product: &Product, about: About) -> Result<Built, DecodeError> {
    let kind = kind(finding, product);
    let stated: AccountId = finding.get("AwsAccountId").require()?;
    if product.own_account().is_some_and(|it| it != stated) {
        return Ok(Err("an account's own findings count only about that account".to_owned()));
    }
    let found = identities(finding, product, stated, &kind)?;
    let region = match finding.get("Region").parse::<Region>()? {
        Some(region) => region,
        None => Region::parse(product.region).map_err(|it| finding.get("Region").malformed(it.expected))?,
    };
    let id = finding.get("Id").required()?;
    // Of several actors none may say in the finding's name that all is done.
    let is_alone = found.iter().filter(|it| it.is_ok()).count() == 1;
    let hub = HubReference {
        id: id.to_owned(),
        product_arn: product.arn.to_owned(),
        region: region.clone(),
        updated_at: finding.get("UpdatedAt").time().map(|it| it.to_string()),
    };
    // A state began at no time that says whose doing it is.
    let began_at = finding.get("FirstObservedAt").time().filter(|_| is_behaviour(finding, product, &kind));
    let finding = |found: Identity| {
        let times = [finding.get("LastObservedAt"), finding.get("UpdatedAt")];
        Ok(Finding {
            source: about.source,
            threat: if found.principal == Principal::Root { Threat::RootAccessKey } else { about.threat },
            severity: about.severity,
            occurred_at: seen(&found.principal, found.access_key.as_ref(), times)?,
            account: found.account,
            partition: product.partition.clone(),
            principal: found.principal,
            access_key: found.access_key,
            title: finding.get("Title").text().unwrap_or(&kind).to_owned(),
            kind: kind.clone(),
            creator: None,
            security_hub: is_alone.then(|| hub.clone()),
            began_at,
            parent: None,
            id: id.to_owned(),
            region: region.clone(),
        })
    };
    Ok(Ok(found.into_iter().map(|it| it.and_then(&finding)).collect()))
}

/// Somebody did something, as GuardDuty says.
fn is_behaviour(finding: &Node, product: &Product, kind: &str) -> bool {
    let has_actor = finding.get("Resources").items().any(|it| is_identity(&it));
    product.is_aws("guardduty") && GuardDutyType::parse(kind).is_some_and(|it| it.says(has_actor).is_behaviour())
}

fn threat(finding: &Node, product: &Product, settings: &Responder) -> Option<Threat> {
    // What can't be read may be one.
    let is_user = |it: Node| it.get("Type").optional().map_or(true, |it| it == Some("AwsIamUser"));
    let is_about_user = finding.get("Resources").items().any(is_user);
    if let Some(control) = controls::control(finding) {
        return controls::threat(&control).filter(|it| *it == Threat::RootAccessKey || is_about_user);
    }
    if !is_about_user {
        return None;
    }
    if product.own_account().is_some() && finding.get("Title").text() == Some(SIMULATION_TITLE) {
        return Some(Threat::OverprivilegedUser);
    }
    // Access Analyzer's generator ID is the analyzer's ARN; the type says what was found.
    let is_unused_key = |it: Node| it.text().is_some_and(|it| it.ends_with("/Unused IAM User Access Key"));
    if product.is_aws("access-analyzer") && finding.get("Types").items().any(is_unused_key) {
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

/// What the finding is about, in the product's own words: GuardDuty's type, a control, a generator.
fn kind(finding: &Node, product: &Product) -> String {
    let types = || finding.get("Types").items().filter_map(|it| it.text());
    if product.is_aws("guardduty")
        && let Some(kind) = types().find_map(GuardDutyType::of_security_hub)
    {
        return kind.to_string();
    }
    let generator = || finding.get("GeneratorId").text().or_else(|| types().next()).unwrap_or("unknown").to_owned();
    controls::control(finding).unwrap_or_else(generator)
}

/// Older events say it only in GuardDuty's additional information: as JSON, or in a field of its own. No
/// other product field counts: some of them repeat the attacker's user agent.
fn is_sample(finding: &Node) -> bool {
    let info = |field: &str| finding.get("ProductFields").get(&format!("aws/guardduty/service/additionalInfo{field}"));
    let says_so = |it: &Node| it.text().is_some_and(guardduty::says_sample);
    finding.get("Sample").is_true()
        || finding.get("Title").text().is_some_and(|it| it.starts_with("[SAMPLE]"))
        || info("/sample").value().is_some_and(|it| *it == Value::Bool(true) || it.as_str() == Some("true"))
        || finding.get("Resources").items().any(|it| guardduty::is_generated(&it.get("Id")))
        || says_so(&info("/value"))
        || says_so(&info(""))
}

/// The label wins: GuardDuty's low findings arrive as LOW with a normalized 40. GuardDuty's own
/// number is finer than both.
fn severity(finding: &Node) -> Result<Severity, DecodeError> {
    let severity = finding.get("Severity");
    let label = severity.get("Label");
    if let Some(text) = label.optional()? {
        return Severity::of_label(text).ok_or_else(|| label.malformed("a severity label"));
    }
    let normalized = severity.get("Normalized").number().map(|it| match it {
        it if it >= 90.0 => Severity::CRITICAL,
        it if it >= 70.0 => Severity::HIGH,
        it => Severity(it / 10.0),
    });
    normalized.ok_or_else(|| severity.malformed("a label or a normalized severity"))
}

/// Whom it names, and what of that can't be read: of an attack sequence everybody who acted, else the one whom all
/// resources name.
fn identities(finding: &Node, product: &Product, stated: AccountId, kind: &str) -> Result<Vec<Actor>, DecodeError> {
    let is_sequence = product.is_aws("guardduty") && kind.starts_with("AttackSequence:");
    let mut acted = Vec::new();
    if is_sequence {
        acted = guardduty::sequence_actors(&finding.at("Detection.Sequence"), &stated)?;
        if acted.iter().any(Result::is_ok) {
            return Ok(acted);
        }
    }
    let owner = Owner { stated: &stated, is_aggregator: product.name.starts_with("product/aws/") };
    let by_resources = resource::identity(finding.get("Resources").items().map(|it| resource(&it)), &owner)?;
    let named = match by_resources.identity {
        Some(identity) => identity,
        None if is_sequence => return Ok(guardduty::or_nobody(acted, stated)),
        None => {
            let nobody = "none of the finding's resources is an IAM identity".to_owned();
            let is_root = controls::control(finding).as_deref() == Some("IAM.4");
            let principal = if is_root { Principal::Root } else { Principal::NotContainable { reason: nobody } };
            Identity { account: stated, principal, access_key: None }
        }
    };
    acted.push(Ok(named));
    acted.extend(by_resources.unreadable.into_iter().map(Err));
    Ok(acted)
}

fn resource<'a>(resource: &Node<'a>) -> Resource<'a> {
    let own = |user: &str, role: &str| match resource.get("Type").text() {
        Some("AwsIamRole") => resource.at("Details.AwsIamRole").get(role),
        _ => resource.at("Details.AwsIamUser").get(user),
    };
    let details = resource.at("Details.AwsIamAccessKey");
    let name = details.get("PrincipalName");
    Resource {
        kind: resource.get("Type"),
        id: resource.get("Id"),
        own_name: own("UserName", "RoleName"),
        own_id: own("UserId", "RoleId"),
        key: KeyDetails {
            kind: details.get("PrincipalType"),
            name: if name.is_said() { name } else { details.get("UserName") },
            principal_id: details.get("PrincipalId"),
            access_key: details.get("AccessKeyId"),
            account: details.get("AccountId"),
            issuer: details.at("SessionContext.SessionIssuer"),
        },
    }
}
