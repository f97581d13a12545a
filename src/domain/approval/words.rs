//! What people are told of a request beside the alert of its response: a list of those that are too many, that one
//! expired, was declined or was carried out.

use aws_smithy_types::DateTime;

use super::request::{Asked, Reported, Request};
use crate::finding::Severity;
use crate::ids::RequestId;
use crate::question::command;
use crate::text;

/// A finished alert, safe for SNS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alert {
    pub subject: String,
    pub text: String,
    pub attributes: Vec<(&'static str, String)>,
}

/// How many of a list are shown; the command `requests` has them all.
pub const LIST_LINES: usize = 50;

fn who(asked: &Asked) -> String {
    let target = &asked.target;
    format!("{} {} ({}) in account {}", target.kind.word(), target.name, target.id, asked.finding.account)
}

fn alert(asked: &Asked, verdict: &'static str, words: &str, lines: Vec<String>) -> Alert {
    let finding = &asked.finding;
    let (severity, playbook) = (finding.severity.label(), asked.threat().playbook());
    let head = format!("[{severity}] {playbook}: {} - {words}", who(asked));
    Alert {
        subject: text::subject(&format!("{words}: {playbook}: {} ({})", asked.target.name, finding.account)),
        text: [vec![head, String::new()], lines].concat().join("\n"),
        attributes: vec![
            ("severity", severity.to_owned()),
            ("playbook", playbook.to_owned()),
            ("account", finding.account.to_string()),
            ("verdict", verdict.to_owned()),
        ],
    }
}

fn about(id: &RequestId, asked: &Asked) -> Vec<String> {
    let finding = &asked.finding;
    vec![
        format!("Request: {id}"),
        format!("Finding: {} ({})", text::line(&finding.kind, 200), text::line(&finding.id, 512)),
        format!("Said: {}", text::line(&finding.title, 300)),
    ]
}

/// Somebody declined: nothing more is done.
pub fn declined(id: &RequestId, asked: &Asked, by: &str, at: i64) -> Alert {
    let mut lines = about(id, asked);
    lines.push(format!("Declined by {} at {}", text::line(by, 500), DateTime::from_millis(at)));
    lines.push(match &asked.struck {
        Some(response) => format!(
            "The deny of the response {response} is lifted by the restoring function within a minute or two, which \
             tells of it"
        ),
        None => "Nothing was done under this request, and nothing more will be for this finding".to_owned(),
    });
    alert(asked, "Declined", "DECLINED", lines)
}

/// Declined, and the deny could not be lifted by itself.
pub fn not_lifted(id: &RequestId, asked: &Asked, why: &str, drift: &[String]) -> Alert {
    let mut lines = about(id, asked);
    lines.push("Declined, and it is STILL denied everything".to_owned());
    lines.push(format!("Not lifted: {}", text::line(why, 1_000)));
    lines.extend(drift.iter().take(20).map(|it| format!("- {}", text::line(it, 300))));
    lines.push("What to do: look at each difference, then send `restore` to the restoring function".to_owned());
    alert(asked, "NotRestored", "DECLINED, STILL DENIED", lines)
}

/// Nobody decided in time.
pub fn expired(id: &RequestId, asked: &Asked, function: &str) -> Alert {
    let mut lines = about(id, asked);
    lines.push(format!("Nobody decided until {}", DateTime::from_millis(asked.expires_at)));
    if let Some(response) = &asked.struck {
        lines.push(format!("It STAYS denied everything, since nobody may have been awake (response {response})"));
    } else {
        lines.push("Nothing was done under this request".to_owned());
    }
    lines.push(String::new());
    lines.push("To contain it all the same:".to_owned());
    lines.push(contain(asked, function));
    alert(asked, "Expired", "EXPIRED, nobody decided", lines)
}

fn contain(asked: &Asked, function: &str) -> String {
    let payload = serde_json::json!({
        "command": "contain",
        "account": asked.finding.account,
        asked.target.kind.word(): asked.target.id,
        "reason": "the request expired",
    });
    format!("echo '{payload}' | aws lambda invoke --function-name {function} --payload fileb:///dev/stdin answer.json")
}

/// It was approved, and could not be carried out as it was approved.
pub fn not_carried_out(id: &RequestId, asked: &Asked, by: &str, why: &str) -> Alert {
    let mut lines = about(id, asked);
    lines.push(format!("Approved by {}", text::line(by, 500)));
    lines.push(format!("Not carried out: {}", text::line(why, 1_000)));
    lines.push("Where it goes on, it is asked anew under a request of its own".to_owned());
    alert(asked, "Refused", "NOT CARRIED OUT", lines)
}

/// Of a report that did not come to a question: who reported what, and why nothing can be approved.
pub fn not_asked(id: &RequestId, reported: &Reported, why: &str) -> Alert {
    let line = |what: &str, it: Option<String>| it.map(|it| format!("{what}: {it}"));
    let claimed = [
        line("User", reported.user.as_ref().map(ToString::to_string)),
        line("Role", reported.role.as_ref().map(ToString::to_string)),
        line("Access key", reported.access_key.as_ref().map(ToString::to_string)),
    ];
    let mut lines = vec![
        format!("A report about account {} could not be asked for approval: nothing was changed", reported.account),
        String::new(),
        format!("Request: {id}"),
        format!("Reported by {} from {}", text::line(&reported.by, 100), text::line(&reported.network, 60)),
    ];
    lines.extend(claimed.into_iter().flatten());
    lines.push(format!("Said: {}", text::line(&reported.text, 500)));
    lines.push(format!("Why: {}", text::line(why, 1_000)));
    lines.push("What to do: find out which identity is meant, and send the command `contain`".to_owned());
    Alert {
        subject: text::subject(&format!("REPORT NOT CLEAR, nothing was changed ({})", reported.account)),
        text: lines.join("\n"),
        attributes: vec![("account", reported.account.to_string()), ("verdict", "Refused".to_owned())],
    }
}

/// The gravest first, then the oldest: decoys must not bury the real one.
pub fn in_order(requests: &mut [Request]) {
    let rank = |it: &Request| {
        let asked = it.asked.as_ref();
        let severity = asked.map_or(0.0, |it| it.finding.severity.0.clamp(0.0, 10.0));
        let gravity = asked.map_or(0, |it| it.threat().gravity());
        (u8::MAX - gravity, 1_000 - (severity * 100.0).round() as i64, asked.map_or(0, |it| it.asked_at))
    };
    requests.sort_by_key(rank);
}

/// Many that wait, in one message.
pub fn list(requests: &[Request], function: &str) -> Alert {
    let asked: Vec<_> = requests.iter().filter_map(|it| Some((&it.id, it.asked.as_ref()?))).collect();
    let gravest = asked.iter().map(|(_, it)| it.finding.severity).fold(Severity(0.0), |a, b| if b > a { b } else { a });
    let mut lines = vec![
        format!("{} more responses wait for approval than are asked singly", asked.len()),
        String::new(),
        "The gravest first:".to_owned(),
    ];
    lines.extend(asked.iter().take(LIST_LINES).map(|(id, it)| {
        let severity = it.finding.severity.label();
        let until = DateTime::from_millis(it.expires_at);
        format!("- [{severity}] {}: {}, until {until}: {id}", it.threat().playbook(), who(it))
    }));
    let more = asked.len().saturating_sub(LIST_LINES);
    if more > 0 {
        lines.push(format!("- and {more} more"));
    }
    lines.push(String::new());
    lines.push("The command `requests` lists everything that waits. To decide one, with its ID:".to_owned());
    lines.extend(asked.first().map(|(id, _)| command("approve", id, function)));
    lines.extend(asked.first().map(|(id, _)| command("decline", id, function)));
    Alert {
        subject: text::subject(&format!("WAITING FOR APPROVAL: {} more than are asked singly", asked.len())),
        text: text::cut(&lines.join("\n"), 100_000),
        attributes: vec![("severity", gravest.label().to_owned()), ("verdict", "Waiting".to_owned())],
    }
}
