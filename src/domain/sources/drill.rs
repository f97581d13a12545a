//! The drill's own alarm. Whoever may put events on the bus can send one: it reaches only the users of
//! drills, in the account for drills.

use super::node::Node;
use super::{DecodeError, Judged};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::ids::{AccountId, Partition};
use crate::settings::Responder;

pub const SOURCE: &str = "custom.iam-responder.drill";
pub const DETAIL_TYPE: &str = "Drill";

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    vec![one(&event.get("detail"), settings)]
}

fn one(detail: &Node, settings: &Responder) -> Result<Judged, DecodeError> {
    let account: AccountId = detail.get("account").require()?;
    if settings.eligibility.drill_account.as_ref() != Some(&account) {
        return Ok(Judged::ignored("a drill in another account than DRILL_ACCOUNT"));
    }
    let principal =
        Principal::User { name: Some(detail.get("user").require()?), id: Some(detail.get("userId").require()?) };
    Ok(Judged::from(Finding {
        id: detail.get("id").required()?.to_owned(),
        source: Source::Drill,
        threat: Threat::CompromisedCredential,
        severity: Severity::HIGH,
        account,
        partition: Partition::of_region(&settings.common.region),
        region: settings.common.region.clone(),
        principal,
        access_key: Some(detail.get("accessKeyId").require()?),
        kind: "drill".to_owned(),
        title: "A drill".to_owned(),
        occurred_at: detail.get("time").time(),
        creator: None,
        security_hub: None,
        began_at: None,
        parent: None,
    }))
}
