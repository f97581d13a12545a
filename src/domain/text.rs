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

    proptest! {
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
