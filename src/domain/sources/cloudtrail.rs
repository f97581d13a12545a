//! CloudTrail's `CreateUser`, as EventBridge delivers it.
//! <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-service-event-cloudtrail.html>

use super::eligibility;
use super::node::Node;
use super::{DecodeError, Judged};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccountId, Arn, Parse, Partition, PrincipalName, Region, UniqueId};
use crate::settings::{CREATED_BY_DRILLS, DRILL_PATH, Responder};
use crate::text;
use crate::told::{Digest, ToldFinding, Urgency};

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    match one(&event.get("detail"), settings) {
        Ok(all) => all.into_iter().map(Ok).collect(),
        Err(error) => vec![Err(error)],
    }
}

fn one(detail: &Node, settings: &Responder) -> Result<Vec<Judged>, DecodeError> {
    let name = detail.get("eventName").required()?;
    if name != "CreateUser" {
        let reason = format!("no playbook reacts to the API call `{}`", text::line(name, 80));
        return Ok(vec![Judged::Ignored(reason)]);
    }
    if detail.get("errorCode").is_present() {
        let reason = "the CreateUser call failed: the user it names, if there is one, is another's";
        return Ok(vec![Judged::ignored(reason)]);
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
        return Ok(vec![Judged::Ignored(reason)]);
    }
    let is_alarm = name.as_str().starts_with(CREATED_BY_DRILLS);
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
        began_at: None,
        parent: None,
    };
    if is_drills {
        let why = "the drill's role made it, under the drill's path: a drill is held about once a week".to_owned();
        let urgency = Urgency::Digest(Digest::Daily);
        // What a drill makes to see that somebody answers is contained as anybody's; people are not called for it.
        let alarm = is_alarm.then(|| Judged::from(Finding { source: Source::Drill, ..finding.clone() }));
        let told = Judged::Told(Box::new(ToldFinding { finding, urgency, says: "A user of a drill", why }));
        return Ok(alarm.into_iter().chain([told]).collect());
    }
    Ok(vec![Judged::from(finding)])
}

/// Of a session, the role or user behind it: the session's own ARN drops the role's path and ends
/// in a name that its caller chose.
fn creator(identity: &Node) -> Option<String> {
    let issuer = identity.at("sessionContext.sessionIssuer.arn").text();
    issuer.or_else(|| identity.get("arn").text()).or_else(|| identity.get("invokedBy").text()).map(str::to_owned)
}
