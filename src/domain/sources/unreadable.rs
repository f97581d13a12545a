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
    let findings: Vec<Node> = match failed(&detail, malformed) {
        some if some.is_empty() => vec![detail.clone()],
        some => some,
    };
    let all = |paths: &[&str]| {
        let mut said: Vec<&str> = Vec::new();
        for finding in &findings {
            if let Some(it) = paths.iter().find_map(|it| words(finding, it).or_else(|| words(&detail, it)))
                && !said.contains(&it)
            {
                said.push(it);
            }
        }
        said.join(", ")
    };
    let account = all(&["accountId", "AwsAccountId", "cloud.account.uid", "affectedAccount", "recipientAccountId"]);
    let types = || {
        let all = findings.iter().flat_map(|it| it.get("Types").items().chain(it.at("finding_info.types").items()));
        all.filter_map(|it| it.text()).last()
    };
    let kind = all(&["type", "eventTypeCode", "eventName"]);
    Some(Unreadable {
        event_id: event.get("id").text().unwrap_or_default().to_owned(),
        source: source.to_owned(),
        account: match account.as_str() {
            "" => event.get("account").text().unwrap_or_default().to_owned(),
            _ => account,
        },
        kind: match kind.as_str() {
            "" => types().unwrap_or_default().to_owned(),
            _ => kind,
        },
        finding_id: all(&["arn", "Id", "finding_info.uid", "eventArn", "eventID", "id"]),
        problems: malformed.iter().map(|it| format!("`{}`: {}", it.path, it.problem)).collect(),
    })
}

fn words<'a>(at: &Node<'a>, path: &str) -> Option<&'a str> {
    at.at(path).text().filter(|it| !it.trim().is_empty())
}

/// Those of the event's findings that the complaints are about.
fn failed<'a>(detail: &Node<'a>, malformed: &[DecodeError]) -> Vec<Node<'a>> {
    let is_about = |finding: &Node, error: &DecodeError| {
        error.path.strip_prefix(finding.path()).is_some_and(|it| it.is_empty() || it.starts_with(['.', '[']))
    };
    let all = detail.get("findings").items();
    all.filter(|finding| malformed.iter().any(|it| is_about(finding, it))).take(MAX_NAMED).collect()
}

/// How many findings of an event one alert names.
const MAX_NAMED: usize = 20;
