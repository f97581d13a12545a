//! A request for approval as a card: who, why, the plan, what would be affected, and two buttons; later who decided
//! and what came of it.

use serde_json::{Value, json};

use super::Message;
use super::blocks::{Body, context, escaped, fallback, header, message, plain_text, size};
use crate::decision::{self, Decision, Wish};
use crate::question::Barrier;

/// What a person is asked.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    pub id: &'a str,
    /// Of the plan, the account and the unique ID.
    pub plan_hash: &'a str,
    pub severity: &'a str,
    /// `user alice (AIDA…) in account 111122223333`
    pub who: &'a str,
    /// The playbook, in words.
    pub title: &'a str,
    /// What the finding says.
    pub why: &'a str,
    /// A person, or the finding's source.
    pub requester: &'a str,
    /// Findings about it that came since.
    pub more_findings: usize,
    /// What holds it back while it waits.
    pub struck: Option<Barrier>,
    /// In `observe` mode's words.
    pub plan: &'a [String],
    /// Last use of each key, console use, groups.
    pub affected: &'a [String],
    /// In words, with the time zone.
    pub expires: &'a str,
    /// Where the whole of it is, and how to decide without Slack.
    pub rest: &'a str,
    pub decided: Decided<'a>,
}

/// What became of a request.
#[derive(Debug, Clone, Copy)]
pub enum Decided<'a> {
    /// It waits, and so many have approved already.
    Waiting {
        approvals: usize,
        needed: usize,
    },
    Approved {
        by: &'a str,
        at: &'a str,
    },
    Declined {
        by: &'a str,
        at: &'a str,
    },
    Expired {
        at: &'a str,
    },
    /// Approved, and done: how it ended.
    Done {
        by: &'a str,
        outcome: &'a str,
    },
    /// Approved, and not done as it was approved, or not seen to hold.
    Failed {
        by: &'a str,
        why: &'a str,
    },
}

impl Decided<'_> {
    fn words(&self, struck: Option<Barrier>) -> String {
        let meanwhile = match struck {
            Some(barrier) => format!("Meanwhile {}", barrier.is()),
            None => "Nothing is changed until then".to_owned(),
        };
        let rest = struck.map_or("Nothing more is done to the identity", Barrier::stays);
        match self {
            Self::Waiting { needed, approvals } if *needed > 1 => {
                format!("WAITING for approval: {approvals} of {needed}. {meanwhile}")
            }
            Self::Waiting { .. } => format!("WAITING for approval. {meanwhile}"),
            Self::Approved { by, at } => format!("APPROVED by {by} at {at}. It is being done"),
            Self::Declined { by, at } => match struck {
                Some(barrier) => {
                    let what = barrier.word();
                    format!("DECLINED by {by} at {at}. The restoring function lifts the {what}, and tells of it")
                }
                None => format!("DECLINED by {by} at {at}. {rest}"),
            },
            Self::Expired { at } => format!("EXPIRED at {at}: nobody decided. {rest}"),
            Self::Done { by, outcome } => format!("APPROVED by {by}, and ended: {outcome}"),
            Self::Failed { by, why } => {
                let rest = struck.map_or(String::new(), |it| format!(". {}", it.stays()));
                format!("APPROVED by {by}, and NOT CARRIED OUT as approved: {why}{rest}")
            }
        }
    }

    fn word(&self) -> &'static str {
        match self {
            Self::Waiting { .. } => "Approve",
            Self::Approved { .. } => "Approved",
            Self::Declined { .. } => "Declined",
            Self::Expired { .. } => "Expired",
            Self::Done { .. } => "Done",
            Self::Failed { .. } => "Failed",
        }
    }
}

pub fn request(it: &Request) -> Message {
    let head = header(&format!("{}: {}: {}", it.decided.word(), it.title, it.who));
    let foot = context(&format!("Request {}. {}", it.id, it.rest));
    let buttons = matches!(it.decided, Decided::Waiting { .. }).then(|| buttons(it));
    let mut body = Body::new(size(&head) + size(&foot) + buttons.as_ref().map_or(0, size) + 60);
    // What cuts the rest short must not hide whom it is about and how it stands.
    body.bold(&format!("[{}] {}: {}", it.severity, it.title, it.who));
    body.line(&it.decided.words(it.struck));
    body.line(&format!("Why: {}", it.why));
    body.line(&format!("Asked by: {}", it.requester));
    if it.more_findings > 0 {
        body.line(&format!("Findings about it since: {}", it.more_findings));
    }
    if let Decided::Waiting { .. } = it.decided {
        body.line(&format!("Expires: {}", it.expires));
    }
    for (title, items) in [("What would be done:", it.plan), ("What would be affected:", it.affected)] {
        if !items.is_empty() {
            body.bold(title);
            items.iter().for_each(|it| body.item(it));
        }
    }
    let title = format!("{}: {}: {}", it.decided.word(), it.title, it.who);
    // It has no buttons.
    let (words, number) = (it.decided.words(it.struck), format!("Request {}. {}", it.id, it.rest));
    let lines = [title.as_str(), &words, it.why, &number];
    let blocks = [Some(head), Some(body.block(it.rest)), buttons, Some(foot)];
    message(fallback(&lines), blocks.into_iter().flatten().collect())
}

fn buttons(it: &Request) -> Value {
    let approve = button(it, Decision::Approve, "Approve", "primary", "Do it", &format!("{}: {}", it.title, it.who));
    let words = match it.struck {
        Some(barrier) => format!("The {} will be lifted from {}", barrier.word(), it.who),
        None => format!("Nothing more will be done to {}", it.who),
    };
    let decline = button(it, Decision::Decline, "Decline", "danger", "Decline", &words);
    json!({"type": "actions", "block_id": "decide", "elements": [approve, decline]})
}

/// A thumb on a phone asks once more.
fn button(it: &Request, decision: Decision, label: &str, style: &str, confirm: &str, words: &str) -> Value {
    json!({
        "type": "button",
        "action_id": decision.word(),
        "style": style,
        "text": plain_text(label),
        "value": decision::button(it.id, it.plan_hash, Wish::Decide(decision)),
        "confirm": {
            "title": plain_text(&format!("{label}?")),
            "text": plain_text(&escaped(words, 300)),
            "confirm": plain_text(confirm),
            "deny": plain_text("Back"),
            "style": style,
        },
    })
}

/// One of many that wait.
#[derive(Debug, Clone, Copy)]
pub struct Waiting<'a> {
    pub id: &'a str,
    pub severity: &'a str,
    pub title: &'a str,
    pub who: &'a str,
    pub expires: &'a str,
}

/// Many requests in one message, in the order in which they come: who asks for many must not bury one.
pub fn list(waiting: &[Waiting], rest: &str) -> Message {
    let words = match waiting.len() {
        0 => "No request waits in this list any more".to_owned(),
        1 => "1 more request waits for approval".to_owned(),
        many => format!("{many} more requests wait for approval"),
    };
    let (head, foot) = (header(&words), context(rest));
    let mut body = Body::new(size(&head) + size(&foot) + 60);
    body.bold(if waiting.is_empty() { &words } else { "Too many at once to ask for each. The gravest first:" });
    for it in waiting {
        body.item(&format!("[{}] {}: {} - request {}, until {}", it.severity, it.title, it.who, it.id, it.expires));
    }
    let first = waiting.iter().map(|it| format!("[{}] {}: {}", it.severity, it.title, it.who));
    let lines: Vec<_> = std::iter::once(words).chain(first.take(5)).collect();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    message(fallback(&lines), vec![head, body.block(rest), foot])
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn asked<'a>(plan: &'a [String], decided: Decided<'a>) -> Request<'a> {
        Request {
            id: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
            plan_hash: HASH,
            severity: "HIGH",
            who: "user alice (AIDACKCEVSQ6C2EXAMPLE) in account 111122223333",
            title: "Compromised credential",
            why: "a title",
            requester: "guard-duty",
            more_findings: 0,
            struck: None,
            plan,
            affected: &[],
            expires: "2026-11-29 03:00 UTC",
            rest: "the command `requests` lists what waits",
            decided,
        }
    }

    #[test]
    fn a_button_says_which_request_which_plan_and_what() {
        let message = request(&asked(&["detach a policy".to_owned()], Decided::Waiting { approvals: 0, needed: 1 }));
        let buttons = message.blocks[2]["elements"].as_array().unwrap();
        let values: Vec<_> = buttons.iter().map(|it| it["value"].as_str().unwrap()).collect();
        let value = |decision| format!("v1|ABCDEFGHIJKLMNOPQRSTUVWXYZ|{HASH}|{decision}");
        assert_eq!(values, [value("approve"), value("decline")]);
        assert!(buttons.iter().all(|it| it["confirm"]["text"]["type"] == "plain_text"));
    }

    #[test]
    fn who_decided_stands_instead_of_the_buttons() {
        for (decided, words) in [
            (Decided::Approved { by: "U1", at: "02:00 UTC" }, "APPROVED by U1"),
            (Decided::Declined { by: "U1", at: "02:00 UTC" }, "DECLINED by U1"),
            (Decided::Expired { at: "03:00 UTC" }, "EXPIRED at 03:00 UTC"),
            (Decided::Done { by: "U1", outcome: "Contained" }, "ended: Contained"),
            (Decided::Failed { by: "U1", why: "Refused" }, "NOT CARRIED OUT as approved: Refused"),
        ] {
            let message = request(&asked(&[], decided));
            assert!(message.text.contains(words) && !message.blocks.iter().any(|it| it["type"] == "actions"));
            assert!(message.blocks[1].to_string().contains(words));
        }
    }

    #[test]
    fn the_plan_never_hides_whom_it_is_about() {
        let plan: Vec<_> = (0..200).map(|it| format!("{}{it}", "x".repeat(500))).collect();
        let message = request(&asked(&plan, Decided::Waiting { approvals: 1, needed: 2 }));
        let text = message.blocks[1].to_string();
        assert!(text.contains("AIDACKCEVSQ6C2EXAMPLE") && text.contains("1 of 2") && text.contains("Expires: "));
        assert!(text.contains("more lines: the command `requests`"));
        assert!(message.blocks.iter().any(|it| it["type"] == "actions"));
    }

    #[test]
    fn what_is_denied_already_is_never_said_to_be_untouched() {
        for decided in [
            Decided::Waiting { approvals: 0, needed: 1 },
            Decided::Waiting { approvals: 1, needed: 2 },
            Decided::Declined { by: "U1", at: "02:00 UTC" },
            Decided::Expired { at: "03:00 UTC" },
            Decided::Failed { by: "U1", why: "Refused" },
        ] {
            for (barrier, words) in [(Barrier::Deny, "den"), (Barrier::Revocation, "revo")] {
                let message = request(&Request { struck: Some(barrier), ..asked(&[], decided) });
                let all = format!("{} {:?}", message.text, message.blocks);
                assert!(!all.contains("Nothing") && all.contains(words), "{all}");
                assert!(barrier == Barrier::Deny || !all.contains("denied everything"), "{all}");
            }
        }
    }
}
