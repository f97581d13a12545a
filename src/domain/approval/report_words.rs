//! What people are told of reports beside the request that one comes to.

use super::reported::Reported;
use super::request::Asked;
use super::words::{Alert, about, alert};
use crate::ids::RequestId;
use crate::text;

/// It came to no question: who reported what, and why nothing can be approved.
pub fn not_asked(id: &RequestId, it: &Reported, why: &str) -> Alert {
    let head = format!("A report about account {} could not be asked for approval: nothing was changed", it.account);
    told("REPORT NOT CLEAR, nothing was changed", "Refused", &head, id, it, why)
}

/// Everything that would be asked for is in place.
pub fn in_place(id: &RequestId, it: &Reported, why: &str) -> Alert {
    let head = format!("What was reported in account {} needs no approval: nothing is left to be done", it.account);
    told("REPORTED, nothing is left to be done", "Observed", &head, id, it, why)
}

/// It is tried again.
pub fn not_looked_up(id: &RequestId, it: &Reported, why: &str) -> Alert {
    let head =
        format!("A report about account {} could not be looked up yet: it is tried again, for a day", it.account);
    told("REPORT NOT LOOKED UP YET", "NotContained", &head, id, it, why)
}

fn told(subject: &str, verdict: &'static str, head: &str, id: &RequestId, it: &Reported, why: &str) -> Alert {
    let line = |what: &str, it: Option<String>| it.map(|it| format!("{what}: {it}"));
    let claimed = [
        line("User", it.user.as_ref().map(ToString::to_string)),
        line("Role", it.role.as_ref().map(ToString::to_string)),
        line("Access key", it.access_key.as_ref().map(ToString::to_string)),
    ];
    let mut lines = vec![head.to_owned(), String::new(), format!("Request: {id}"), from(it)];
    lines.extend(claimed.into_iter().flatten());
    lines.push(format!("Said: {}", text::line(&it.text, 500)));
    lines.push(format!("Why: {}", text::line(why, 1_000)));
    lines.push("What to do: find out which identity is meant, and send the command `contain`".to_owned());
    Alert {
        subject: text::subject(&format!("{subject}: {}", it.subject())),
        text: lines.join("\n"),
        attributes: vec![("account", it.account.to_string()), ("verdict", verdict.to_owned())],
    }
}

fn from(it: &Reported) -> String {
    format!("Reported by {} from {}", text::line(&it.by, 100), text::line(&it.network, 60))
}

/// What somebody else says of what waits already.
pub fn joined(id: &RequestId, asked: &Asked, it: &Reported) -> Alert {
    let mut lines = about(id, asked);
    lines.push("Somebody reported the same while it waits for approval".to_owned());
    lines.push(from(it));
    lines.push(format!("Said then: {}", text::line(&it.text, 500)));
    alert(asked, "Waiting", "REPORTED AGAIN, waits for approval", lines)
}

/// What is kept as reports and is none.
pub fn unreadable(count: usize) -> Alert {
    let lines = [
        format!("{count} items that are kept as reports are none that the form writes: they were closed, and nothing"),
        "was asked or changed".to_owned(),
        String::new(),
        "What to do: if the form was not updated a moment ago, count its role as stolen (SECURITY.md)".to_owned(),
    ];
    Alert {
        subject: text::subject(&format!("{count} REPORTS UNREADABLE, nothing was changed")),
        text: lines.join("\n"),
        attributes: vec![("verdict", "Refused".to_owned())],
    }
}
