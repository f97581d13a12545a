//! Blocks within Slack's limits. What does not fit is counted, and the reader is told where it is.
//!
//! <https://docs.slack.dev/reference/block-kit/blocks>

use serde_json::{Value, json};

use super::{ENVELOPE, MOST_BYTES, Message};
use crate::text;

/// Of the escaped fallback, in bytes.
const LONGEST_FALLBACK: usize = 1_500;
/// Of a header, in characters, after escaping.
const LONGEST_HEADER: usize = 150;
/// Of one line, in characters.
const LONGEST_LINE: usize = 600;
/// What the last words take, about what was left out.
const LAST_WORDS: usize = 500;

/// A rich text that grows line by line until the message is full.
pub(super) struct Body {
    elements: Vec<Value>,
    bytes: usize,
    most: usize,
    left_out: usize,
}

impl Body {
    /// `beside`: the bytes of everything else in the message.
    pub(super) fn new(beside: usize) -> Self {
        let most = MOST_BYTES.saturating_sub(ENVELOPE + LONGEST_FALLBACK + LAST_WORDS + beside);
        Self { elements: Vec::new(), bytes: 0, most, left_out: 0 }
    }

    pub(super) fn line(&mut self, line: &str) {
        self.section(line, false);
    }

    pub(super) fn bold(&mut self, line: &str) {
        self.section(line, true);
    }

    fn section(&mut self, line: &str, is_bold: bool) {
        let mut element = plain_run(line, LONGEST_LINE);
        if is_bold && let Some(fields) = element.as_object_mut() {
            fields.insert("style".to_owned(), json!({"bold": true}));
        }
        self.add(json!({"type": "rich_text_section", "elements": [element]}));
    }

    /// One item of a list; those that follow each other are one list.
    pub(super) fn item(&mut self, item: &str) {
        let section = json!({"type": "rich_text_section", "elements": [plain_run(item, LONGEST_LINE)]});
        let last = self.elements.last_mut().filter(|it| it["type"] == "rich_text_list" && self.left_out == 0);
        match last.and_then(|it| it.get_mut("elements")).and_then(Value::as_array_mut) {
            Some(items) => {
                let bytes = size(&section) + 1;
                if self.bytes + bytes > self.most {
                    self.left_out += 1;
                } else {
                    self.bytes += bytes;
                    items.push(section);
                }
            }
            None => self.add(json!({"type": "rich_text_list", "style": "bullet", "elements": [section]})),
        }
    }

    /// A command, as it is sent.
    pub(super) fn command(&mut self, command: &str) {
        self.add(json!({"type": "rich_text_preformatted", "elements": [plain_run(command, 2_500)]}));
    }

    /// From the first one that does not fit on, nothing is added: a gap in the middle would not be seen.
    fn add(&mut self, element: Value) {
        let bytes = size(&element) + 1;
        if self.left_out > 0 || self.bytes + bytes > self.most {
            self.left_out += 1;
            return;
        }
        self.bytes += bytes;
        self.elements.push(element);
    }

    /// So many lines more than were added are left out.
    pub(super) fn leave_out(&mut self, lines: usize) {
        self.left_out += lines;
    }

    /// The block, with where to find what was left out.
    pub(super) fn block(mut self, rest: &str) -> Value {
        if self.left_out > 0 {
            let words = format!("And {} more lines: {rest}", self.left_out);
            let mut run = plain_run(&words, 300);
            if let Some(fields) = run.as_object_mut() {
                fields.insert("style".to_owned(), json!({"italic": true}));
            }
            self.elements.push(json!({"type": "rich_text_section", "elements": [run]}));
        }
        json!({"type": "rich_text", "elements": self.elements})
    }
}

/// Slack refuses an empty run.
fn plain_run(text: &str, max: usize) -> Value {
    let line = text::line(text, max);
    json!({"type": "text", "text": if line.is_empty() { " " } else { line.as_str() }})
}

pub(super) fn size(value: &Value) -> usize {
    value.to_string().len()
}

pub(super) fn header(text: &str) -> Value {
    json!({"type": "header", "text": plain_text(&escaped(text, LONGEST_HEADER))})
}

/// Slack refuses an empty one.
pub(super) fn plain_text(escaped: &str) -> Value {
    json!({"type": "plain_text", "emoji": false, "text": if escaped.trim().is_empty() { "iam-responder" } else { escaped }})
}

/// A small line under the rest.
pub(super) fn context(text: &str) -> Value {
    json!({"type": "context", "elements": [plain_text(&escaped(text, 300))]})
}

/// What a notification shows: the lines, escaped.
pub(super) fn fallback(lines: &[&str]) -> String {
    let lines = lines.iter().map(|it| text::line(it, LONGEST_FALLBACK)).collect::<Vec<_>>().join("\n");
    let text = escape(&lines, LONGEST_FALLBACK);
    if text.trim().is_empty() { "iam-responder".to_owned() } else { text }
}

/// One line with Slack's three special characters as entities, in at most `max` bytes: never cut within an entity.
pub(super) fn escaped(text: &str, max: usize) -> String {
    escape(&text::line(text, max), max)
}

fn escape(text: &str, max: usize) -> String {
    let (mut escaped, mut is_cut) = (String::new(), false);
    for c in text.chars() {
        let mut buffer = [0; 4];
        let piece = match c {
            '&' => "&amp;",
            '<' => "&lt;",
            '>' => "&gt;",
            c => c.encode_utf8(&mut buffer),
        };
        if escaped.len() + piece.len() + CUT.len() > max {
            is_cut = true;
            break;
        }
        escaped.push_str(piece);
    }
    if is_cut {
        escaped.push_str(CUT);
    }
    escaped
}

const CUT: &str = "...";

/// The message of these blocks.
pub(super) fn message(text: String, blocks: Vec<Value>) -> Message {
    Message { text, blocks }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn an_entity_is_never_cut() {
        assert_eq!(escaped("<!channel>", 100), "&lt;!channel&gt;");
        assert_eq!(escaped("a&&&&&&", 12), "a&amp;...");
    }

    proptest! {
        #[test]
        fn what_is_escaped_has_nothing_for_slack_to_read(text in any::<String>(), max in 3_usize..400) {
            let escaped = escaped(&text, max);
            prop_assert!(escaped.len() <= max);
            prop_assert!(!escaped.contains(['<', '>', '\n']));
            for (at, _) in escaped.match_indices('&') {
                let rest = &escaped[at..];
                prop_assert!(["&amp;", "&lt;", "&gt;"].iter().any(|it| rest.starts_with(it)), "{escaped}");
            }
        }
    }
}
