//! What is said in Slack, and what is made of Slack's answers. Pure: a message is rendered from finished texts, and
//! sending it is the clients'.
//!
//! INVARIANT: a name, title or session name stands only in `plain_text` and `rich_text` elements, which Slack never
//! parses, and in the escaped fallback. `tests/test_slack.py` holds it.
//! <https://docs.slack.dev/messaging/formatting-message-text>

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

mod alert;
mod answer;
mod blocks;
mod offer;
mod request;
mod thread;
mod watched;

pub use alert::{Alert, alert};
pub use answer::{Accepted, Refused, Trouble, read};
pub use offer::{Offer, Offered, offer};
pub use request::{Decided, Request, Waiting, list, request};
pub use thread::{thread, thread_of, thread_of_id};
pub use watched::{Standing, Watched, watched};

/// A whole message, as JSON. Slack refuses blocks of more than about 13,200 characters altogether.
/// <https://docs.slack.dev/reference/methods/chat.postMessage>
pub const MOST_BYTES: usize = 10_000;

/// What channel, thread and flags take of it.
pub(crate) const ENVELOPE: usize = 400;

/// A rendered message. The text is what a notification shows and a screen reader reads, and what is sent alone when
/// Slack does not take the blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub text: String,
    pub blocks: Vec<Value>,
}

/// Where a message goes.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    Channel,
    /// Under the thread's first message.
    Thread(&'a str),
    /// Instead of this message.
    Instead(&'a str),
}

impl Place<'_> {
    pub const fn method(self) -> &'static str {
        match self {
            Self::Channel | Self::Thread(_) => "chat.postMessage",
            Self::Instead(_) => "chat.update",
        }
    }
}

impl Message {
    /// What is sent. Nothing in it is looked up, linked or unfolded by Slack.
    pub fn body(&self, channel: &str, place: Place) -> Value {
        let mut body = json!({"channel": channel, "text": self.text, "parse": "none", "link_names": false});
        if let Some(fields) = body.as_object_mut() {
            // Left out they would stay as they were.
            fields.insert("blocks".to_owned(), json!(self.blocks));
            match place {
                Place::Channel => {}
                Place::Thread(ts) => drop(fields.insert("thread_ts".to_owned(), json!(ts))),
                Place::Instead(ts) => drop(fields.insert("ts".to_owned(), json!(ts))),
            }
            if !matches!(place, Place::Instead(_)) {
                for flag in ["unfurl_links", "unfurl_media", "mrkdwn"] {
                    fields.insert(flag.to_owned(), json!(false));
                }
            }
        }
        body
    }

    /// What tells it from another: what Slack shows already is not sent again.
    pub fn mark(&self) -> String {
        let whole = json!([self.text, self.blocks]).to_string();
        hex::encode(Sha256::digest(whole)).chars().take(32).collect()
    }

    /// The same without blocks, for when Slack does not take them: an alert must not be lost for its looks.
    pub fn plain(&self) -> Self {
        Self { text: self.text.clone(), blocks: Vec::new() }
    }
}
