//! An alert, as every other sink gets it, laid out for Slack.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Message;
use super::blocks::{Body, context, fallback, header, message, size};
use crate::text;

/// More of an alert's text than a message shows, and so little that many can wait in one item of the ledger.
const LONGEST_TEXT: usize = 8_000;

/// A finished alert, as it waits for Slack: its text and no blocks, so that whoever could write there could say
/// something and make no button. Its text has one fact a line, titles that end in a colon after an empty line, and
/// items that begin with a dash: no line of it is begun by somebody else's text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alert {
    subject: String,
    text: String,
    /// How many lines were left out already.
    more: usize,
    /// Where the whole of it is.
    rest: String,
}

impl Alert {
    pub fn new(subject: &str, text: &str, rest: &str) -> Self {
        let mut kept = String::new();
        let mut lines = text.lines().peekable();
        while let Some(line) = lines.next_if(|it| kept.len() + it.len() < LONGEST_TEXT) {
            kept.push_str(line);
            kept.push('\n');
        }
        let more = lines.filter(|it| !it.is_empty()).count();
        Self { subject: text::cut(subject, 300), text: kept, more, rest: text::cut(rest, 300) }
    }
}

pub fn alert(it: &Alert) -> Message {
    alert_with(it, Vec::new())
}

/// With more blocks under it.
pub(super) fn alert_with(alert: &Alert, more: Vec<Value>) -> Message {
    let (head, foot) = (header(&alert.subject), context(&alert.rest));
    let beside: usize = more.iter().map(|it| size(it) + 1).sum();
    let mut body = Body::new(size(&head) + size(&foot) + beside + 60);
    let mut is_after_gap = false;
    for (number, line) in alert.text.lines().enumerate() {
        match line {
            "" => {}
            // The header has it.
            line if number == 0 && line == alert.subject => {}
            line if number == 0 => body.bold(line),
            line if is_after_gap && line.ends_with(':') => body.bold(line),
            line if line.starts_with("echo '") => body.command(line),
            line => match line.strip_prefix("- ") {
                Some(item) => body.item(item),
                None => body.line(line),
            },
        }
        is_after_gap = line.is_empty();
    }
    let first = alert.text.lines().filter(|it| !it.is_empty() && *it != alert.subject).take(12);
    let lines: Vec<_> = std::iter::once(alert.subject.as_str()).chain(first).collect();
    body.leave_out(alert.more);
    message(fallback(&lines), [vec![head, body.block(&alert.rest), foot], more].concat())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::slack::{MOST_BYTES, Place};

    fn rendered(subject: &str, text: &str) -> Message {
        alert(&Alert::new(subject, text, "the log of invocation 01234567-89ab-cdef-0123-456789abcdef"))
    }

    #[test]
    fn an_alert_keeps_its_sections() {
        let message =
            rendered("contained: user alice", "[HIGH] alice - contained\n\nWhat was done:\n- a\n- b\nFact: <x>");
        let body = &message.blocks[1]["elements"];
        assert_eq!(body[0]["elements"][0]["style"]["bold"], true);
        assert_eq!(body[1]["elements"][0]["text"], "What was done:");
        assert_eq!(body[2]["elements"].as_array().unwrap().len(), 2);
        assert_eq!(body[3]["elements"][0]["text"], "Fact: <x>");
        assert!(message.text.contains("Fact: &lt;x&gt;") && !message.text.contains("<x>"));
    }

    #[test]
    fn what_does_not_fit_is_counted_and_said_where_it_is() {
        let items = (0..200).map(|it| format!("- deactivate access key number {it} of user alice")).collect::<Vec<_>>();
        let message = rendered("contained", &format!("headline\n\nWhat was done:\n{}", items.join("\n")));
        let body = message.blocks[1]["elements"].as_array().unwrap();
        let shown = body[2]["elements"].as_array().unwrap().len();
        let last = body.last().unwrap()["elements"][0]["text"].as_str().unwrap();
        assert!(shown > 40, "{shown}");
        assert!(last.starts_with(&format!("And {} more lines: the log of invocation", 200 - shown)), "{last}");
    }

    proptest! {
        #[test]
        fn no_message_is_larger_than_slack_takes(subject in any::<String>(), lines in prop::collection::vec(any::<String>(), 0..60)) {
            let message = rendered(&subject, &lines.join("\n- "));
            let body = message.body("C0123456789", Place::Thread("1700000000.123456"));
            prop_assert!(body.to_string().len() <= MOST_BYTES, "{}", body.to_string().len());
        }
    }
}
