//! CloudTrail's `CreateUser`, as EventBridge delivers it.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>

use serde_json::Value;

use super::eligibility;
use super::node::Node;
use super::{DecodeError, Judged};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccountId, Arn, Parse, Partition, PrincipalName, Region, UniqueId};
use crate::settings::{DRILL_PATH, Responder};
use crate::text;
use crate::told::{Digest, ToldFinding, Urgency};

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    vec![one(&event.get("detail"), settings)]
}

/// A user of whose creation an event tells, whoever made it: what the daily sweep asks the ledger for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CreatedUser {
    pub account: AccountId,
    pub name: PrincipalName,
    /// In seconds since 1970.
    pub at: i64,
}

/// Of an event as EventBridge hands it over; `None` for every other, and for what can't be read in full.
pub fn created_user(payload: &Value) -> Option<CreatedUser> {
    let root = Node::root(payload);
    let detail = root.get("detail");
    let is_creation = root.get("source").text() == Some("aws.iam")
        && detail.get("eventName").text() == Some("CreateUser")
        && !detail.get("errorCode").is_present();
    let user = detail.at("responseElements.user");
    let arn = Arn::parse(user.get("arn").text()?).filter(|_| is_creation)?;
    let (account, name) = (AccountId::parse(arn.account).ok()?, PrincipalName::parse(arn.kind_and_name()?.1).ok()?);
    Some(CreatedUser { account, name, at: detail.get("eventTime").time()?.secs() })
}

fn one(detail: &Node, settings: &Responder) -> Result<Judged, DecodeError> {
    let name = detail.get("eventName").required()?;
    if name != "CreateUser" {
        return Ok(Judged::Ignored(format!("no playbook reacts to the API call `{}`", text::line(name, 80))));
    }
    if detail.get("errorCode").is_present() {
        return Ok(Judged::ignored("the CreateUser call failed: the user it names, if there is one, is another's"));
    }
    let user = detail.at("responseElements.user");
    let arn_node = user.get("arn");
    let arn = Arn::parse(arn_node.required()?).ok_or_else(|| arn_node.malformed("a user ARN"))?;
    let account = AccountId::parse(arn.account).map_err(|_| arn_node.malformed("a user ARN with an account ID"))?;
    let partition = Partition::parse(arn.partition).map_err(|it| arn_node.malformed(it.expected))?;
    let name: PrincipalName = user.get("userName").require()?;
    let id: UniqueId = user.get("userId").require()?;
    if arn.kind_and_name() != Some(("user", name.as_str())) {
        return Err(arn_node.malformed("the ARN of the user in `userName`"));
    }
    if !id.is_user() {
        return Err(user.get("userId").malformed("a user's unique ID (`AIDA…`)"));
    }
    let recipient = detail.get("recipientAccountId");
    if recipient.parse::<AccountId>()?.is_some_and(|it| it != account) {
        return Err(recipient.malformed("the account of the created user"));
    }
    let creator = creator(&detail.get("userIdentity"));
    if let Some(reason) = creator.as_deref().and_then(|arn| eligibility::ignored_creator(arn, settings)) {
        return Ok(Judged::Ignored(reason));
    }
    let is_drills = creator.as_deref().is_some_and(|it| settings.untouchable.is_drill_role(it))
        && settings.eligibility.drill_account.as_ref() == Some(&account)
        && arn.resource.strip_prefix("user").is_some_and(|it| it.starts_with(DRILL_PATH));
    let region: Region = detail.get("awsRegion").require()?;
    let finding = Finding {
        id: detail.get("eventID").required()?.to_owned(),
        source: Source::CloudTrail,
        threat: Threat::UnauthorizedUser,
        severity: Severity::HIGH,
        account,
        partition,
        region,
        title: format!("IAM user {name} was created by {}", creator.as_deref().unwrap_or("an unknown principal")),
        principal: Principal::User { name: Some(name), id: Some(id) },
        access_key: None,
        kind: "CreateUser".to_owned(),
        occurred_at: detail.get("eventTime").time(),
        creator: Some(creator.unwrap_or_else(|| "unknown".to_owned())),
        security_hub: None,
    };
    if is_drills {
        let why = "the drill's role made it, under the drill's path: a drill is held about once a week".to_owned();
        let urgency = Urgency::Digest(Digest::Daily);
        return Ok(Judged::Told(Box::new(ToldFinding { finding, urgency, says: "A user of a drill", why })));
    }
    Ok(Judged::from(finding))
}

/// Of a session, the role or user behind it: the session's own ARN drops the role's path and ends
/// in a name that its caller chose.
fn creator(identity: &Node) -> Option<String> {
    let issuer = identity.at("sessionContext.sessionIssuer.arn").text();
    issuer.or_else(|| identity.get("arn").text()).or_else(|| identity.get("invokedBy").text()).map(str::to_owned)
}
