//! Secret access keys that people paste where they should not: found before anything is stored or shown.

/// What stands in the place of one.
pub(super) const REMOVED: &str = "[secret removed]";

/// How often 40 characters in a row change between capital and small letters, digits and signs, from which on they
/// are random: 9,998 of 10,000 secrets do so 14 times. Words written together do so less often, of which AWS's own
/// roles have 13 in `AmazonSageMakerServiceCatalogProductsExecutionRole`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likely {
    /// Where a name stands rightly, long ones of words and a random end included.
    Name = 16,
    Text = 14,
}

/// How long a secret access key is. <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_credentials_access-keys.html>
const LENGTH: usize = 40;

/// The text without what looks like a secret access key, or like the longer session token; `None` where there is
/// none. A hash in hexadecimal digits is none.
pub(super) fn without_secrets(text: &str, likely: Likely) -> Option<String> {
    let is_base64 = |c: char| c.is_ascii_alphanumeric() || c == '/' || c == '+';
    let (mut clean, mut rest, mut found) = (String::new(), text, false);
    while !rest.is_empty() {
        let (run, after) = rest.split_at(rest.find(|c| !is_base64(c)).unwrap_or(rest.len()));
        if is_random(run.as_bytes(), likely) {
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

fn is_random(run: &[u8], likely: Likely) -> bool {
    let kind = |b: &u8| (b.is_ascii_uppercase(), b.is_ascii_lowercase(), b.is_ascii_digit());
    run.windows(LENGTH).any(|secret| {
        let changes = secret.iter().zip(secret.iter().skip(1)).filter(|(a, b)| kind(a) != kind(b)).count();
        let has_both = secret.iter().any(u8::is_ascii_uppercase) && secret.iter().any(u8::is_ascii_lowercase);
        has_both && changes >= likely as usize
    })
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
            assert_eq!(without_secrets(&text, Likely::Text), Some(clean.clone()));
            assert_eq!(without_secrets(&text, Likely::Name), Some(clean));
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
            "AmazonSageMakerServiceCatalogProductsExecutionRole",
            "ApplicationStackDeploymentPipelineRole2024",
        ] {
            assert_eq!(without_secrets(text, Likely::Text), None, "{text}");
        }
        let name = "CustomS3AutoDeleteObjectsCustomResourceProviderRole3B1BD092";
        assert_eq!(without_secrets(name, Likely::Name), None);
    }

    /// Of 10,000 made as AWS makes them.
    #[test]
    fn few_secrets_look_like_words() {
        const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let mut chance = 0x9e37_79b9_7f4a_7c15_u64;
        let mut missed = [0, 0];
        for _ in 0..10_000 {
            let secret: Vec<u8> = (0..LENGTH)
                .map(|_| {
                    chance = chance.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    DIGITS[(chance >> 58) as usize]
                })
                .collect();
            for (n, likely) in [Likely::Text, Likely::Name].into_iter().enumerate() {
                missed[n] += u32::from(!is_random(&secret, likely));
            }
        }
        assert!(missed[0] <= 5 && missed[1] <= 40, "{missed:?}");
    }

    proptest! {
        #[test]
        fn no_secret_is_left(before in "[ -~é]{0,40}", secret in "([a-z][A-Z]){2}([a-z][A-Z0-9/+]){18}", after in "[ -~é]{0,40}") {
            let clean = without_secrets(&format!("{before}{secret}{after}"), Likely::Text).unwrap();
            prop_assert!(!clean.contains(&secret));
            prop_assert_eq!(without_secrets(&clean, Likely::Text), None);
        }
    }
}
