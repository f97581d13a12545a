//! An alert about whom nobody contained, with the button that has people asked; later who clicked it and what came
//! of that.

use serde_json::json;

use super::Message;
use super::alert::{Alert, alert_with};
use super::blocks::{context, escaped, plain_text};
use crate::decision::{self, Wish};

/// What a person may have asked.
#[derive(Debug, Clone, Copy)]
pub struct Offer<'a> {
    pub id: &'a str,
    /// Of the finding.
    pub hash: &'a str,
    pub alert: &'a Alert,
    /// Whom the confirmation names.
    pub subject: &'a str,
    pub standing: Offered<'a>,
}

/// What became of an offer.
#[derive(Debug, Clone, Copy)]
pub enum Offered<'a> {
    Open {
        until: &'a str,
    },
    Opened {
        by: &'a str,
    },
    /// People were asked, or why they could not be.
    Ended {
        by: &'a str,
        outcome: &'a str,
    },
    RanOut {
        at: &'a str,
    },
}

pub fn offer(it: &Offer) -> Message {
    let more = match it.standing {
        Offered::Open { until } => {
            let words =
                format!("People are asked, and nothing is done before another approver says so: {}", it.subject);
            let button = json!({
                "type": "button",
                "action_id": Wish::Open.word(),
                "text": plain_text("Contain…"),
                "value": decision::button(it.id, it.hash, Wish::Open),
                "confirm": {
                    "title": plain_text("Ask for approval?"),
                    "text": plain_text(&escaped(&words, 300)),
                    "confirm": plain_text("Ask"),
                    "deny": plain_text("Back"),
                },
            });
            vec![
                json!({"type": "actions", "block_id": "offer", "elements": [button]}),
                context(&format!("It can be asked for until {until}")),
            ]
        }
        Offered::Opened { by } => vec![context(&format!("{by} has people asked. It is being looked up"))],
        Offered::Ended { by, outcome } => vec![context(&format!("{by} had people asked: {outcome}"))],
        Offered::RanOut { at } => {
            vec![context(&format!("This offer ran out at {at}: send the command `contain` instead"))]
        }
    };
    alert_with(it.alert, more)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slack::{MOST_BYTES, Place};

    const HASH: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

    fn shown(text: &str, standing: Offered) -> Message {
        let alert = Alert::new("Stolen, not contained: user alice", text, "the log");
        let id = "abcdefghijklmnopqrstuvwxyz";
        offer(&Offer { id, hash: HASH, alert: &alert, subject: "user alice", standing })
    }

    #[test]
    fn only_an_open_offer_has_a_button_and_each_says_how_it_stands() {
        let open = shown("x", Offered::Open { until: "03:00" });
        let button = &open.blocks[3]["elements"][0];
        assert_eq!(button["value"], format!("v1|abcdefghijklmnopqrstuvwxyz|{HASH}|open"));
        assert_eq!((&button["action_id"], &button["text"]["text"]), (&json!("open"), &json!("Contain…")));
        for (standing, words) in [
            (Offered::Opened { by: "dana" }, "dana has people asked"),
            (Offered::Ended { by: "dana", outcome: "request x" }, "dana had people asked: request x"),
            (Offered::RanOut { at: "03:00" }, "ran out at 03:00"),
        ] {
            let message = shown("x", standing);
            assert!(!message.blocks.iter().any(|it| it["type"] == "actions"));
            assert!(message.blocks.last().is_some_and(|it| it.to_string().contains(words)));
        }
    }

    #[test]
    fn no_alert_is_too_long_for_its_button() {
        let text = "line of an alert\n".repeat(1_000);
        let message = shown(&text, Offered::Open { until: "03:00" });
        assert!(message.body("C1", Place::Channel).to_string().len() <= MOST_BYTES);
        assert!(message.blocks.iter().any(|it| it["type"] == "actions"));
    }
}
