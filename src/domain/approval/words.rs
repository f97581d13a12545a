//! What people are told of a request beside the alert of its response: a list of those that are too many, that one
//! expired, was declined or was carried out.

use aws_smithy_types::DateTime;

use super::request::{Asked, Request, Ruling, Struck};
use crate::command::typed;
use crate::finding::Severity;
use crate::ids::RequestId;
use crate::question::{Barrier, command};
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

/// Of what was approved and not carried out whole.
const BEGUN: &str = "An earlier try began it, and what that did stays: `status` lists it";

fn who(asked: &Asked) -> String {
    let target = &asked.target;
    format!("{} {} ({}) in account {}", target.kind.word(), target.name, target.id, asked.finding.account)
}

pub(super) fn alert(asked: &Asked, verdict: &'static str, words: &str, lines: Vec<String>) -> Alert {
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

pub(super) fn about(id: &RequestId, asked: &Asked) -> Vec<String> {
    let finding = &asked.finding;
    vec![
        format!("Request: {id}"),
        format!("Finding: {} ({})", text::line(&finding.kind, 200), text::line(&finding.id, 512)),
        format!("Said: {}", text::line(&finding.title, 300)),
    ]
}

/// Somebody declined: nothing more is done.
pub fn declined(request: &Request, asked: &Asked, ruling: &Ruling) -> Alert {
    let mut lines = about(&request.id, asked);
    lines.push(format!("Declined by {} at {}", text::line(&ruling.by, 500), DateTime::from_millis(ruling.at)));
    lines.push(match &asked.struck {
        Some(Struck { response, barrier }) => format!(
            "The {} of the response {response} is lifted by the restoring function within a minute or two, which \
             tells of it",
            barrier.word()
        ),
        None if request.is_begun => BEGUN.to_owned(),
        None => "Nothing was done under this request, and nothing more will be for this finding".to_owned(),
    });
    alert(asked, "Declined", "DECLINED", lines)
}

/// Declined, and what was done meanwhile was lifted. `verdict`: of the restore.
pub fn lifted(id: &RequestId, asked: &Asked, barrier: Barrier, verdict: &str) -> Alert {
    let mut lines = about(id, asked);
    lines.push(format!("Declined, and the {} was lifted by the restoring function: {verdict}", barrier.word()));
    lines.push("What to do: nothing; `status` lists what was given back".to_owned());
    alert(asked, "Restored", "DECLINED, LIFTED", lines)
}

/// Declined, and what was done meanwhile could not be lifted by itself.
pub fn not_lifted(id: &RequestId, asked: &Asked, barrier: Barrier, why: &str, drift: &[String]) -> Alert {
    let mut lines = about(id, asked);
    lines.push(format!("Declined, and STILL {}", barrier.is()));
    lines.push(format!("Not lifted: {}", text::line(why, 1_000)));
    lines.extend(drift.iter().take(20).map(|it| format!("- {}", text::line(it, 300))));
    lines.push("What to do: look at each difference, then send `restore` to the restoring function".to_owned());
    let words = match barrier {
        Barrier::Deny => "DECLINED, STILL DENIED",
        Barrier::Revocation => "DECLINED, STILL REVOKED",
    };
    alert(asked, "NotRestored", words, lines)
}

/// Declined, and what was done meanwhile could not be lifted: of what is in force nothing is said but what failed.
/// `is_given_up`: it is not tried any more.
pub fn lift_failed(id: &RequestId, asked: &Asked, it: &LiftFailed<'_>) -> Alert {
    let barrier = asked.struck.as_ref().map_or("deny", |it| it.barrier.word());
    let mut lines = about(id, asked);
    lines.push(match it.is_given_up {
        true => format!("Declined, and the {barrier} was NOT LIFTED: it is not tried any more"),
        false => {
            format!("Declined, and the {barrier} is NOT LIFTED yet: it is tried again for a day, ever more rarely")
        }
    });
    lines.push(format!("Why: {}", text::line(it.why, 1_000)));
    lines.extend(it.facts.iter().take(20).map(|it| format!("- {}", text::line(it, 300))));
    lines.push(match it.is_given_up {
        true => "What to do: `status` says what is in force; then send `restore` to the restoring function".to_owned(),
        false => "What to do: mend the cause; nobody is told of the same again until it is given up".to_owned(),
    });
    alert(asked, "NotRestored", "DECLINED, NOT LIFTED", lines)
}

/// Why a lift failed.
#[derive(Debug, Clone, Copy)]
pub struct LiftFailed<'a> {
    pub why: &'a str,
    pub facts: &'a [String],
    pub is_given_up: bool,
}

/// What whoever decides too late is told of what was done meanwhile. `None`: it could not be read.
pub fn too_late(request: Option<&Request>) -> String {
    let what = match request {
        Some(it) => match it.asked.as_ref().and_then(stays) {
            Some(stays) => stays,
            None if it.is_begun => BEGUN.to_owned(),
            None => "Nothing was done under this request".to_owned(),
        },
        None => "`status` says what was done meanwhile".to_owned(),
    };
    format!("nobody decided in time. {what}")
}

/// Nobody decided in time.
pub fn expired(request: &Request, asked: &Asked, function: &str) -> Alert {
    let mut lines = about(&request.id, asked);
    lines.push(format!("Nobody decided until {}", DateTime::from_millis(asked.expires_at)));
    lines.push(match &asked.struck {
        Some(it) => format!("{}, since nobody may have been awake (response {})", it.barrier.stays(), it.response),
        None if request.is_begun => BEGUN.to_owned(),
        None => "Nothing was done under this request".to_owned(),
    });
    lines.extend(to_contain(asked, function));
    alert(asked, "Expired", "EXPIRED, nobody decided", lines)
}

fn to_contain(asked: &Asked, function: &str) -> [String; 3] {
    [String::new(), "To contain it all the same:".to_owned(), contain(asked, function)]
}

/// What was done when people were asked is nothing that an end without a decline takes back.
fn stays(asked: &Asked) -> Option<String> {
    let it = asked.struck.as_ref()?;
    Some(format!("{} (response {}): `restore` takes it back", it.barrier.stays(), it.response))
}

fn contain(asked: &Asked, function: &str) -> String {
    let payload = serde_json::json!({
        "command": "contain",
        "account": asked.finding.account,
        asked.target.kind.word(): asked.target.id,
        "reason": "WHY",
    });
    typed(&payload, function)
}

/// It was approved, and could not be carried out as it was approved.
pub fn not_carried_out(request: &Request, asked: &Asked, by: &str, why: &str, function: &str) -> Alert {
    let mut lines = about(&request.id, asked);
    lines.push(format!("Approved by {}", text::line(by, 500)));
    lines.push(format!("Not carried out: {}", text::line(why, 1_000)));
    if request.is_resumed {
        lines.push(BEGUN.to_owned());
    }
    lines.extend(stays(asked));
    lines.push("Where it goes on, it is asked anew under a request of its own".to_owned());
    lines.extend(to_contain(asked, function));
    alert(asked, "Refused", "NOT CARRIED OUT", lines)
}

/// It was approved, failed for a day, and is not tried any more. `verdict`: of the last try.
pub fn given_up(id: &RequestId, asked: &Asked, by: &str, verdict: &str, why: &str, function: &str) -> Alert {
    let mut lines = about(id, asked);
    lines.push(format!("Approved by {}", text::line(by, 500)));
    lines.push(format!("It failed for 24 h, the last time as {verdict}: {}", text::line(why, 1_000)));
    lines.push("It is not tried any more: `status` lists what was done".to_owned());
    lines.extend(stays(asked));
    lines.extend(to_contain(asked, function));
    alert(asked, "NotContained", "GIVEN UP", lines)
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
