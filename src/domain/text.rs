//! Other people's text, made safe for each place it is shown in.
//!
//! User names, titles and session names are written by whoever is being contained. Every sink has
//! its own rules; what breaks them is replaced, never dropped silently.
//!
//! INVARIANT: a name, title or session name reaches a sink only through here. `tests/test_notices.py` holds it.

/// One line of printable text for logs, reports and messages: control characters, line breaks and
/// the invisible characters that reorder text become `?`, and it is cut to `max` characters.
pub fn line(text: &str, max: usize) -> String {
    cut(&text.chars().map(|c| if is_plain(c) { c } else { '?' }).collect::<String>(), max)
}

fn is_plain(c: char) -> bool {
    let reorders_or_hides = matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{e0000}'..='\u{e007f}');
    !c.is_control() && !reorders_or_hides
}

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
    for c in line(text, max).chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            // These are markup nowhere, and most names are made of them.
            '-' | '/' | '.' | ',' | '=' | ';' | '\'' | '"' if !safe.is_empty() => safe.push(c),
            c if c.is_ascii_punctuation() => safe.extend(['\\', c]),
            c => safe.push(c),
        }
    }
    safe
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
        assert_eq!(defanged("https://203.0.113.9"), "https[:]//203[.]0[.]113[.]9");
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
