//! A critical alert with the button by which somebody acknowledges it; later who did, or that it was repeated.

use serde_json::json;

use super::Message;
use super::alert::{Alert, alert_with};
use super::blocks::{context, plain_text};
use crate::decision::{self, Wish};

#[derive(Debug, Clone, Copy)]
pub struct Watched<'a> {
    pub id: &'a str,
    /// Of what was shown.
    pub hash: &'a str,
    pub alert: &'a Alert,
    pub standing: Standing<'a>,
}

/// What became of a critical alert.
#[derive(Debug, Clone, Copy)]
pub enum Standing<'a> {
    Open { until: &'a str },
    Repeated { at: &'a str },
    Acknowledged { by: &'a str, at: &'a str },
    Nobody { until: &'a str },
}

pub fn watched(it: &Watched) -> Message {
    let (words, is_open) = match it.standing {
        Standing::Open { until } => {
            (format!("Unless somebody acknowledges it by {until}, it is repeated to the escalation topic"), true)
        }
        Standing::Repeated { at } => {
            (format!("Nobody had acknowledged it: it was repeated to the escalation topic at {at}"), true)
        }
        Standing::Acknowledged { by, at } => (format!("Acknowledged by {by} at {at}"), false),
        Standing::Nobody { until } => (format!("Nobody acknowledged it until {until}"), false),
    };
    let button = json!({
        "type": "button",
        "action_id": Wish::Acknowledge.word(),
        "text": plain_text("Acknowledge"),
        "value": decision::button(it.id, it.hash, Wish::Acknowledge),
    });
    let actions = is_open.then(|| json!({"type": "actions", "block_id": "ack", "elements": [button]}));
    alert_with(it.alert, actions.into_iter().chain([context(&words)]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    #[test]
    fn who_can_still_acknowledge_it_has_a_button_and_each_says_how_it_stands() {
        let alert = Alert::new("NOT CONTAINED: user alice", "x", "the log");
        let id = "abcdefghijklmnopqrstuvwxyz";
        for (standing, words, is_open) in [
            (Standing::Open { until: "03:15" }, "by 03:15, it is repeated", true),
            (Standing::Repeated { at: "03:16" }, "repeated to the escalation topic at 03:16", true),
            (Standing::Acknowledged { by: "dana", at: "03:04" }, "Acknowledged by dana at 03:04", false),
            (Standing::Nobody { until: "03:15" }, "Nobody acknowledged it until 03:15", false),
        ] {
            let message = watched(&Watched { id, hash: HASH, alert: &alert, standing });
            let buttons: Vec<_> = message.blocks.iter().filter(|it| it["type"] == "actions").collect();
            assert_eq!(buttons.len(), usize::from(is_open));
            if let [button] = buttons.as_slice() {
                assert_eq!(button["elements"][0]["value"], format!("v1|{id}|{HASH}|ack"));
            }
            assert!(message.blocks.last().is_some_and(|it| it.to_string().contains(words)));
        }
    }
}
