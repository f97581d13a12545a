//! Secret access keys that people paste where they should not: found before anything is stored or shown.

/// What stands in the place of one.
pub(super) const REMOVED: &str = "[secret removed]";

/// The text without what looks like a secret access key, or like the longer session token; `None` where there is
/// none. 40 or more characters of base64, with upper and lower case letters: a hash in hexadecimal digits is none.
/// A long path can look like one: better a path removed than a secret stored.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>
pub(super) fn without_secrets(text: &str) -> Option<String> {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '+';
    let is_secret = |run: &str| {
        run.len() >= 40 && run.bytes().any(|b| b.is_ascii_uppercase()) && run.bytes().any(|b| b.is_ascii_lowercase())
    };
    let (mut clean, mut rest, mut found) = (String::new(), text, false);
    while !rest.is_empty() {
        let (run, after) = rest.split_at(rest.find(|c| !is_base64(c)).unwrap_or(rest.len()));
        if is_secret(run) {
            found = true;
            clean.push_str(REMOVED);
        } else {
            clean.push_str(run);
        }
        let (between, after) = after.split_at(after.find(is_base64).unwrap_or(after.len()));
        clean.push_str(between);
        rest = after;
    }
    found.then_some(clean)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

    #[test]
    fn a_secret_key_is_removed_wherever_it_stands() {
        for (text, clean) in [
            (SECRET.to_owned(), REMOVED.to_owned()),
            (format!("AKIAIOSFODNN7EXAMPLE {SECRET}"), format!("AKIAIOSFODNN7EXAMPLE {REMOVED}")),
            (format!("AKIAIOSFODNN7EXAMPLE/{SECRET}"), REMOVED.to_owned()),
            (format!("aws_secret_access_key={SECRET}\nx"), format!("aws_secret_access_key={REMOVED}\nx")),
            (format!("\"{SECRET}\", '{SECRET}'"), format!("\"{REMOVED}\", '{REMOVED}'")),
            (format!("ü{SECRET}ü"), format!("ü{REMOVED}ü")),
            (format!("{SECRET}=="), format!("{REMOVED}==")),
        ] {
            assert_eq!(without_secrets(&text), Some(clean));
        }
    }

    #[test]
    fn what_is_none_stays() {
        for text in [
            "",
            "AKIAIOSFODNN7EXAMPLE",
            "I pushed my key in commit 2fd4e1c67a2d28fced849ee1bb76e7391b93eb12 to github.com/acme/shop",
            &SECRET[..39],
            REMOVED,
        ] {
            assert_eq!(without_secrets(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_secret_is_left(before in "[ -~é]{0,40}", secret in "[A-Za-z0-9/+]{38}[a-z][A-Z]", after in "[ -~é]{0,40}") {
            let clean = without_secrets(&format!("{before}{secret}{after}")).unwrap();
            prop_assert!(!clean.contains(&secret));
            prop_assert_eq!(without_secrets(&clean), None);
        }
    }
}
