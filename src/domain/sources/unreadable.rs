//! What a person is told of an event that could not be read: whatever of it still can be.

use super::node::Node;
use super::{DecodeError, is_trusted};
use crate::told::Unreadable;

/// `None` where everything was read, and for whoever is not AWS: anybody may send those, and what they send
/// ends in the dead-letter queue.
pub(super) fn told(event: &Node, malformed: &[DecodeError]) -> Option<Unreadable> {
    let source = event.get("source").text().filter(|it| is_trusted(it))?;
    if malformed.is_empty() {
        return None;
    }
    let detail = event.get("detail");
    let finding = detail.get("findings").items().next().unwrap_or_else(|| detail.clone());
    let first = |paths: &[&str]| {
        let text = |path: &&str| finding.at(path).text().or_else(|| detail.at(path).text());
        paths.iter().find_map(text).unwrap_or_default().to_owned()
    };
    let account = first(&["accountId", "AwsAccountId", "cloud.account.uid", "affectedAccount", "recipientAccountId"]);
    let types =
        || finding.get("Types").items().chain(finding.at("finding_info.types").items()).filter_map(|it| it.text());
    let kind = first(&["type", "eventTypeCode", "eventName"]);
    Some(Unreadable {
        event_id: event.get("id").text().unwrap_or_default().to_owned(),
        source: source.to_owned(),
        account: match account.as_str() {
            "" => event.get("account").text().unwrap_or_default().to_owned(),
            _ => account,
        },
        kind: match kind.as_str() {
            "" => types().last().unwrap_or_default().to_owned(),
            _ => kind,
        },
        finding_id: first(&["arn", "Id", "finding_info.uid", "eventArn", "eventID", "id"]),
        problems: malformed.iter().map(|it| format!("`{}`: {}", it.path, it.problem)).collect(),
    })
}
