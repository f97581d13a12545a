//! Other people's text, made safe for each place it is shown in.
//!
//! User names, titles and session names are written by whoever is being contained. Every sink has
//! its own rules; what breaks them is replaced, never dropped silently.
//!
//! INVARIANT: a name, title or session name reaches a sink only through here. `tests/test_notices.py` holds it.

use serde_json::Value;
use sha2::{Digest, Sha256};

/// One line of printable text for logs, reports and messages: control characters, line breaks and
/// the invisible characters that reorder text become `?`, and it is cut to `max` characters.
pub fn line(text: &str, max: usize) -> String {
    cut(&text.chars().map(|c| if is_plain(c) { c } else { '?' }).collect::<String>(), max)
}

/// Whether it is neither a control character nor one that hides or reorders text: Unicode's
/// `Default_Ignorable_Code_Point`, line and paragraph separators, interlinear annotations, and the empty Braille pattern.
/// <https://www.unicode.org/reports/tr44/#Default_Ignorable_Code_Point>
pub(crate) fn is_plain(c: char) -> bool {
    let reorders_or_hides = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
        | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}'
        | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    !c.is_control() && !reorders_or_hides
}

/// Every text of it without control characters, line breaks apart: programs write those differently.
pub fn clean(json: &mut Value) {
    let is_odd = |c: char| c.is_control() && c != '\n' && c != '\t';
    let cleaned = |text: &str| text.contains(is_odd).then(|| text.replace(is_odd, "?"));
    match json {
        Value::String(text) => {
            if let Some(clean) = cleaned(text) {
                *text = clean;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(clean),
        Value::Object(fields) => {
            fields.values_mut().for_each(clean);
            if fields.keys().any(|it| cleaned(it).is_some()) {
                let all = std::mem::take(fields);
                fields.extend(all.into_iter().map(|(key, value)| (cleaned(&key).unwrap_or(key), value)));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// One line of at most `max` characters by which something is known: where anything of it was cut or replaced, a hash of
/// all of it stands at the end, so that two stay two.
pub fn distinct(text: &str, max: usize) -> String {
    let clean = line(text, usize::MAX);
    if clean == text && clean.chars().count() <= max {
        return clean;
    }
    let hash = hex::encode(Sha256::digest(text));
    let hash = hash.get(..HASH).unwrap_or(&hash);
    let start: String = clean.chars().take(max.saturating_sub(HASH + 1)).collect();
    format!("{start}#{hash}")
}

/// How much of a hash `distinct` adds.
const HASH: usize = 16;

/// At most `max` characters; what was cut shows as `...`.
pub fn cut(text: &str, max: usize) -> String {
    if text.chars().count() <= max {
        return text.to_owned();
    }
    let mut kept: String = text.chars().take(max.saturating_sub(3)).collect();
    kept.push_str("...");
    kept.chars().take(max).collect()
}

/// For an SNS subject: printable ASCII, at most 99 characters, or SNS refuses the whole message.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
pub fn subject(text: &str) -> String {
    let printable = |c: char| if c.is_ascii_graphic() || c == ' ' { c } else { '?' };
    cut(text.chars().map(printable).collect::<String>().trim_start(), 99)
}

/// For the value of an IAM tag: ASCII letters, digits, spaces and `_.:/=+-@`, at most 256 characters,
/// cut at the front, because identifiers differ at their end.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_Tag.html>
pub fn tag_value(text: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == ' ' || "_.:/=+-@".contains(c);
    let clean = text.chars().map(|c| if allowed(c) { c } else { '_' });
    clean.clone().skip(clean.count().saturating_sub(256)).collect()
}

/// One line for a Markdown document: no character of it is markup, and none makes a link, an image or HTML.
/// <https://spec.commonmark.org/0.31.2/#backslash-escapes>
pub fn markdown(text: &str, max: usize) -> String {
    let mut safe = String::new();
    let text = line(text, max);
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // GitHub makes a link of what begins so, and of an address with @ even where that is escaped.
            // <https://github.github.com/gfm/#autolinks-extension->
            '.' if ends_with_www(&safe) => safe.push_str("\\."),
            '@' if safe.ends_with(is_of_address) && begins_with_host(rest.clone()) => safe.push_str("\\[\\@\\]"),
            // These are markup nowhere, and most names are made of them.
            '-' | '/' | '.' | ',' | '=' | ';' | '\'' | '"' if !safe.is_empty() => safe.push(c),
            // Before a space, and in a time: no link and no emoji begins so.
            ':' if rest.peek().is_none_or(|it| *it == ' ') => safe.push(c),
            ':' if safe.ends_with(is_digit) && rest.peek().copied().is_some_and(is_digit) => safe.push(c),
            c if c.is_ascii_punctuation() => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    safe
}

fn is_digit(c: char) -> bool {
    c.is_ascii_digit()
}

fn is_of_address(c: char) -> bool {
    c.is_ascii_alphanumeric() || ".-_+".contains(c)
}

/// What has no dot is none: a response's ID has an @ as well, and a time behind it.
fn begins_with_host(rest: impl Iterator<Item = char>) -> bool {
    let mut host = rest.take_while(|it| is_of_address(*it));
    host.next().is_some_and(|it| it.is_ascii_alphanumeric()) && host.any(|it| it == '.')
}

fn ends_with_www(text: &str) -> bool {
    text.len().checked_sub(3).and_then(|at| text.get(at..)).is_some_and(|it| it.eq_ignore_ascii_case("www"))
}

/// An address that no reader's program makes a link of.
/// <https://docs.aws.amazon.com/security-ir/latest/userguide/develop-narratives.html>
pub fn defanged(text: &str) -> String {
    text.replace("://", "[:]//").replace('.', "[.]")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_stays_one_line() {
        assert_eq!(line("alice\r\n<b>\u{202e}evil\u{2028}x", 80), "alice??<b>?evil?x");
        assert_eq!(line("abcdef", 5), "ab...");
    }

    #[test]
    fn a_tag_keeps_the_end_that_identifies() {
        let arn = format!("arn:aws:guardduty:{}/finding/0123", "x".repeat(300));
        let value = tag_value(&arn);
        assert_eq!(value.chars().count(), 256);
        assert!(value.ends_with("/finding/0123"));
        assert_eq!(tag_value("a,b#c|d(e)"), "a_b_c_d_e_");
    }

    #[test]
    fn nothing_in_markdown_is_markup() {
        assert_eq!(markdown("[x](http://evil)|<b>*a*_`", 80), "\\[x\\]\\(http\\://evil\\)\\|&lt;b&gt;\\*a\\*\\_\\`");
        assert_eq!(markdown("# - a\n- b", 80), "\\# - a\\?- b");
        assert_eq!(markdown("- alice-1", 80), "\\- alice-1");
        assert_eq!(markdown("at: 06:00:01Z, a:1, 1:a:", 80), "at: 06:00:01Z, a\\:1, 1\\:a:");
        assert_eq!(defanged("https://203.0.113.9"), "https[:]//203[.]0[.]113[.]9");
    }

    #[test]
    fn what_looks_like_a_page_or_an_address_makes_no_link_in_markdown() {
        assert_eq!(markdown("www.evil.example, WWW.x", 80), "www\\.evil.example, WWW\\.x");
        assert_eq!(markdown("www", 80), "www");
        assert_eq!(markdown("ann@evil.example", 80), "ann\\[\\@\\]evil.example");
        // What comes before is another character's escape, and no part of an address.
        assert_eq!(markdown("a_@b.c", 80), "a\\_\\[\\@\\]b.c");
        assert_eq!(markdown("@here", 80), "\\@here");
        assert_eq!(markdown("mfa@2026-11-29T16:05:56.188Z", 80), "mfa\\@2026-11-29T16:05:56.188Z");
    }

    #[test]
    fn characters_that_nobody_sees_become_question_marks() {
        for hidden in
            ['\u{34f}', '\u{115f}', '\u{3164}', '\u{ffa0}', '\u{fe00}', '\u{fff9}', '\u{e0100}', '\u{2800}', '\u{180b}']
        {
            assert_eq!(line(&format!("a{hidden}b"), 10), "a?b", "{hidden:?}");
        }
    }

    #[test]
    fn what_something_is_known_by_stays_apart() {
        assert_eq!(distinct("AIDA", 10), "AIDA");
        let long = |end: &str| distinct(&format!("{}{end}", "x".repeat(200)), 128);
        assert_eq!(long("1").chars().count(), 128);
        assert_ne!(long("1"), long("2"));
        assert_ne!(distinct("a\u{200b}", 10), distinct("a\u{200c}", 10));
        assert!(distinct("a\n", 60).starts_with("a?#"));
    }

    proptest! {
        #[test]
        fn a_line_of_markdown_has_no_bare_markup(text in any::<String>()) {
            let markdown = markdown(&text, 200);
            let mut before = ' ';
            for c in markdown.chars() {
                prop_assert!(!c.is_control() && c != '<' && c != '>');
                prop_assert!(before == '\\' || !"[]()*_`|#!{}~".contains(c), "{markdown}");
                before = if before == '\\' { ' ' } else { c };
            }
        }

        #[test]
        fn a_subject_is_always_acceptable(text in any::<String>()) {
            let subject = subject(&text);
            prop_assert!(subject.len() <= 99);
            prop_assert!(subject.bytes().all(|b| (0x20..0x7f).contains(&b)));
        }

        #[test]
        fn a_tag_value_is_always_acceptable(text in any::<String>()) {
            let value = tag_value(&text);
            prop_assert!(value.chars().count() <= 256);
            prop_assert!(value.chars().all(|c| c.is_ascii_alphanumeric() || " _.:/=+-@".contains(c)));
        }
    }
}
