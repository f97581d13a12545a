//! The text of an invocation's payload or of a queue's message, as JSON.
//!
//! serde_json refuses the whole of a document for one value that nothing here needs: half of a surrogate pair, as
//! a text that was cut has it, a number beyond what a float holds, lists in lists a hundred deep. Whoever can put
//! one of these into an event, such as by a user agent, must not go free for it: there the value becomes text that
//! says so, and everything else is read.

use serde_json::{Map, Number, Value};

/// Where serde_json stops is deeper; no event of AWS's has a tenth of it.
const DEPTH: usize = 100;

/// `None`: it is not JSON.
pub fn read(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| {
        let mut reader = Reader { text, at: 0 };
        let value = reader.value(0)?;
        reader.skip_space();
        (reader.at == text.len()).then_some(value)
    })
}

struct Reader<'a> {
    text: &'a str,
    /// Always at the beginning of a character.
    at: usize,
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn next(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        self.at += self.rest().bytes().take_while(|it| b" \t\r\n".contains(it)).count();
    }

    /// Whether that was next, and is behind now.
    fn takes(&mut self, text: &str) -> bool {
        self.skip_space();
        let is_next = self.rest().starts_with(text);
        self.at += if is_next { text.len() } else { 0 };
        is_next
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        self.skip_space();
        match self.next()? {
            b'{' | b'[' if depth == DEPTH => self.skip_nested(),
            b'{' => self.object(depth),
            b'[' => self.list(depth),
            b'"' => self.string().map(Value::String),
            b't' => self.takes("true").then_some(Value::Bool(true)),
            b'f' => self.takes("false").then_some(Value::Bool(false)),
            b'n' => self.takes("null").then_some(Value::Null),
            _ => self.number(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut fields = Map::new();
        self.takes("{");
        if self.takes("}") {
            return Some(Value::Object(fields));
        }
        loop {
            self.skip_space();
            let key = self.string()?;
            if !self.takes(":") {
                return None;
            }
            fields.insert(key, self.value(depth + 1)?);
            if !self.takes(",") {
                return self.takes("}").then_some(Value::Object(fields));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.takes("[");
        if self.takes("]") {
            return Some(Value::Array(items));
        }
        loop {
            items.push(self.value(depth + 1)?);
            if !self.takes(",") {
                return self.takes("]").then_some(Value::Array(items));
            }
        }
    }

    /// Past the end of what begins here, however deep it goes.
    fn skip_nested(&mut self) -> Option<Value> {
        let mut open = 0_usize;
        loop {
            match self.next()? {
                b'"' => {
                    self.quoted()?;
                    continue;
                }
                b'{' | b'[' => open += 1,
                b'}' | b']' => open = open.saturating_sub(1),
                _ => {}
            }
            self.at += self.rest().chars().next()?.len_utf8();
            if open == 0 {
                return Some(Value::String("(nested too deep to be read)".to_owned()));
            }
        }
    }

    fn number(&mut self) -> Option<Value> {
        let length = self.rest().bytes().take_while(|it| it.is_ascii_digit() || b"+-.eE".contains(it)).count();
        let text = self.rest().get(..length).filter(|it| it.bytes().any(|it| it.is_ascii_digit()))?;
        self.at += length;
        Some(match serde_json::from_str::<Number>(text) {
            Ok(number) => Value::Number(number),
            Err(_) => Value::String(text.chars().take(40).collect()),
        })
    }

    fn string(&mut self) -> Option<String> {
        let quoted = self.quoted()?;
        serde_json::from_str(quoted).ok().or_else(|| with_whole_characters(quoted))
    }

    /// The string that begins here, with its quotes.
    fn quoted(&mut self) -> Option<&'a str> {
        let rest = self.rest();
        let mut is_escaped = false;
        let end = rest.strip_prefix('"')?.bytes().position(|it| match (is_escaped, it) {
            (true, _) => {
                is_escaped = false;
                false
            }
            (false, b'\\') => {
                is_escaped = true;
                false
            }
            (false, it) => it == b'"',
        })?;
        self.at += end + 2;
        rest.get(..end + 2)
    }
}

/// A string in which half of a pair stands for no character.
fn with_whole_characters(quoted: &str) -> Option<String> {
    let mut repaired = String::new();
    let mut rest = quoted;
    while let Some(at) = rest.find('\\') {
        let (before, escape) = rest.split_at(at);
        repaired.push_str(before);
        let unit = |from: usize| {
            let digits = escape.get(from..from + 6)?.strip_prefix("\\u")?;
            u16::from_str_radix(digits, 16).ok()
        };
        let (kept, length) = match (unit(0), unit(6)) {
            (Some(0xd800..=0xdbff), Some(0xdc00..=0xdfff)) => (escape.get(..12)?, 12),
            (Some(0xd800..=0xdfff), _) => ("\\ufffd", 6),
            (Some(_), _) => (escape.get(..6)?, 6),
            (None, _) => (escape.get(..2)?, 2),
        };
        repaired.push_str(kept);
        rest = escape.get(length..)?;
    }
    repaired.push_str(rest);
    serde_json::from_str(&repaired).ok()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_serde_json_refuses_spoils_nothing_beside_it() {
        let deep = format!("{}{}", "[".repeat(5_000), "]".repeat(5_000));
        let text = format!(
            r#" {{"a": "cut \ud83d", "b": ["\ude00\ud83d\ude00\"\\", -1e400, {deep}, {{}}, []], "c": {{"d": 1.5e3, "e": null}}}} "#
        );
        assert!(serde_json::from_str::<Value>(&text).is_err());
        let read = read(&text).unwrap();
        assert_eq!(read["a"], "cut \u{fffd}");
        assert_eq!(read["b"][0], "\u{fffd}\u{1f600}\"\\");
        assert_eq!(read["b"][1], "-1e400");
        assert!(read["b"][2].to_string().contains("too deep"));
        assert_eq!((&read["b"][3], &read["b"][4]), (&json!({}), &json!([])));
        assert_eq!(read["c"], json!({"d": 1.5e3, "e": null}));
    }

    #[test]
    fn what_is_no_json_is_none() {
        for text in ["", "{", "[1,]", "{\"a\" 1}", "\"", "\"\\ud83", "{\"a\": 1e400} x", "nul", "-", "{1: 2}", "[1 2]"]
        {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn both_ways_of_reading_give_the_same(text in "[ -~é\u{1f600}]{0,40}", number in any::<f64>()) {
            let value = json!({"k\n": [text, number, {"x": [[], {}, true, false, null]}], "n": -3});
            let written = value.to_string();
            let mut reader = Reader { text: &written, at: 0 };
            prop_assert_eq!(reader.value(0), Some(serde_json::from_str::<Value>(&written).unwrap()));
        }

        #[test]
        fn any_text_gets_an_answer(text in any::<String>(), odd in "[\\[\\]{}\":,\\\\u0-9a-fde+.-]{0,60}") {
            let _ = read(&text);
            let _ = read(&odd);
        }
    }
}
