//! A wake-up by the functions that face the internet: somebody decided, reported, or acknowledged an alert.
//!
//! Whoever may put events on the bus can send one. It can only make us look at a request or an alert that the ledger has.

use super::node::Node;
use super::{DecodeError, Judged};
use crate::command::Command;
use crate::ids::{Arn, Parse, RequestId};
use crate::settings::Responder;

pub const SOURCE: &str = "iam-responder.front";
pub const DETAIL_TYPE: &str = "Request";

pub(super) fn decode(event: &Node, settings: &Responder) -> Vec<Result<Judged, DecodeError>> {
    let own = Arn::parse(&settings.untouchable.responder_role_arn).map(|it| it.account);
    let id = |path: &str| event.at(path).text().and_then(|it| RequestId::parse(it).ok());
    vec![Ok(match (id("detail.request"), id("detail.alert")) {
        _ if own.is_none() || event.get("account").text() != own => Judged::ignored("a wake-up from another account"),
        (Some(id), _) => Judged::Command(Command::WakeUp(id)),
        (None, Some(id)) => Judged::Command(Command::Acknowledged(id)),
        // Trying again would not make it one of ours.
        (None, None) => Judged::ignored("a wake-up that names no request"),
    })]
}
