//! Every message that we render is one that Slack's own reference allows.

#![cfg(test)]

use domain::question::Barrier;
use domain::slack::{
    Alert, Decided, MOST_BYTES, Message, Offer, Offered, Place, Request, Standing, Waiting, Watched, alert, list, offer,
    request, watched,
};
use serde_json::{Value, json};
use slackblocks::MessagePayload;

/// What whoever is contained may write into names and titles.
const HOSTILE: &[&str] = &[
    "",
    " ",
    "<!channel> <!here> <@U012AB3CD> <#C012AB3CD> <!subteam^S012AB3CD>",
    "<https://evil.example|Approve> https://evil.example",
    "*bold* _it_ ~no~ `code` ```block``` :skull: @channel @here",
    "&lt;!channel&gt; & &amp; <",
    "\u{202e}evil\u{200b}\u{2066}\u{0}\r\n- a fact that we never said\n\nWhat was done:\n- nothing",
    "\"quoted\\\" \u{1f480}\u{1f480}\u{1f480}",
];

fn hostile() -> Vec<String> {
    let long = HOSTILE.iter().map(|it| it.repeat(100));
    HOSTILE.iter().map(|it| (*it).to_owned()).chain(long).collect()
}

/// By another reader of Slack's reference, and in bytes.
fn check(message: &Message, what: &str) {
    for place in [Place::Channel, Place::Thread("1700000000.123456"), Place::Instead("1700000000.123456")] {
        for message in [message.clone(), message.plain()] {
            let body = message.body("C0123456789", place);
            assert!(body.to_string().len() <= MOST_BYTES, "{what}: {} bytes", body.to_string().len());
        }
    }
    let payload = json!({"channel": "C0123456789", "text": message.text, "blocks": message.blocks});
    if let Err(problem) = MessagePayload::try_from(payload) {
        panic!("{what}: {problem:?}: {:?}", message.blocks);
    }
    assert!(message.text.chars().count() <= 4_000);
    message.blocks.iter().for_each(|it| inert(it, what));
}

/// Nothing that Slack would parse holds other people's text.
fn inert(value: &Value, what: &str) {
    match value {
        Value::Object(fields) => {
            assert_ne!(fields.get("type"), Some(&json!("mrkdwn")), "{what}");
            fields.values().for_each(|it| inert(it, what));
        }
        Value::Array(items) => items.iter().for_each(|it| inert(it, what)),
        Value::String(text) => {
            let hidden = ['\u{202e}', '\u{200b}', '\u{2066}', '\u{0}', '\r'];
            assert!(!text.contains(hidden), "{what}: {text:?}");
        }
        _ => {}
    }
}

#[test]
fn an_alert_is_within_slacks_limits_whatever_stands_in_it() {
    for text in hostile() {
        for count in [0, 1, 200] {
            let items: Vec<_> = (0..count).map(|it| format!("- detach {it} {text}")).collect();
            let body = format!("[HIGH] {text}\n\nSaid: {text}\n\nWhat was done:\n{}\n\necho '{text}'", items.join("\n"));
            check(&alert(&Alert::new(&text, &body, &text)), &format!("{count} of {text:.40}"));
        }
    }
}

#[test]
fn a_request_is_within_slacks_limits_whatever_stands_in_it() {
    for text in hostile() {
        for count in [0, 1, 200] {
            let plan: Vec<_> = (0..count).map(|it| format!("detach {it} {text}")).collect();
            for decided in [
                Decided::Waiting { approvals: 0, needed: 1 },
                Decided::Waiting { approvals: 1, needed: 2 },
                Decided::Approved { by: &text, at: &text },
                Decided::Declined { by: &text, at: &text },
                Decided::Expired { at: &text },
                Decided::Done { by: &text, outcome: &text },
                Decided::Failed { by: &text, why: &text },
            ] {
                let card = request(&Request {
                    id: "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
                    plan_hash: "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
                    severity: "CRITICAL",
                    who: &text,
                    title: "Compromised credential",
                    why: &text,
                    requester: &text,
                    more_findings: count,
                    struck: (count == 1).then_some(Barrier::Deny),
                    plan: &plan,
                    affected: &plan,
                    expires: "2026-11-29 03:00 UTC",
                    rest: &text,
                    decided,
                });
                check(&card, &format!("{decided:.40?} of {count}"));
            }
        }
    }
}

#[test]
fn an_offer_under_an_alert_is_within_slacks_limits_whatever_stands_in_it() {
    for text in hostile() {
        for count in [0, 200] {
            let items: Vec<_> = (0..count).map(|it| format!("- {it} {text}")).collect();
            let alert = Alert::new(&text, &format!("[HIGH] {text}\n\nWhere to look:\n{}", items.join("\n")), &text);
            for standing in [
                Offered::Open { until: &text },
                Offered::Opened { by: &text },
                Offered::Ended { by: &text, outcome: &text },
                Offered::RanOut { at: &text },
            ] {
                let hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
                let id = "abcdefghijklmnopqrstuvwxyz";
                let message = offer(&Offer { id, hash, alert: &alert, subject: &text, standing });
                check(&message, &format!("{standing:.40?} of {count}"));
            }
            for standing in [
                Standing::Open { until: &text },
                Standing::Repeated { at: &text },
                Standing::Acknowledged { by: &text, at: &text },
                Standing::Nobody { until: &text },
            ] {
                let hash = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
                let id = "abcdefghijklmnopqrstuvwxyz";
                let message = watched(&Watched { id, hash, alert: &alert, standing });
                check(&message, &format!("{standing:.40?} of {count}"));
            }
        }
    }
}

#[test]
fn a_list_of_many_requests_is_within_slacks_limits() {
    for text in hostile() {
        let one = Waiting { id: "ABCDEFGHIJKLMNOPQRSTUVWXYZ", severity: "HIGH", title: "Unused user", who: &text, expires: "03:00 UTC" };
        for count in [0, 1, 500] {
            check(&list(&vec![one; count], &text), &format!("{count} of {text:.40}"));
        }
    }
}

/// The oracle sees what it should.
#[test]
fn what_slack_would_refuse_is_seen() {
    let long = json!({"type": "header", "text": {"type": "plain_text", "text": "x".repeat(151)}});
    let many = vec![json!({"type": "divider"}); 51];
    for blocks in [json!([long]), json!(many)] {
        assert!(MessagePayload::try_from(json!({"channel": "C0123456789", "text": "t", "blocks": blocks})).is_err());
    }
}
