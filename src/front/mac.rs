//! HMAC-SHA256: what was said by whoever holds a key, and whether two texts are one, in constant time.

use domain::settings::Secret;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// What a token is for. It is a part of what is signed, so that no token of one kind passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Submission,
    StateLink,
    Device,
    Comparison,
}

impl Purpose {
    fn word(self) -> &'static str {
        match self {
            Self::Submission => "submission",
            Self::StateLink => "state-link",
            Self::Device => "device",
            Self::Comparison => "comparison",
        }
    }
}

/// The secret that the form's tokens are signed with.
#[derive(Clone)]
pub struct Key([u8; 32]);

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[hidden]")
    }
}

/// Too short to be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected a generated secret of 32 to 128 lower-case hexadecimal digits")]
pub struct NotGenerated;

impl Key {
    /// From a generated secret of at least 128 bits, as hexadecimal digits.
    pub fn new(secret: &Secret) -> Result<Self, NotGenerated> {
        if !is_generated(secret.expose()) {
            return Err(NotGenerated);
        }
        Ok(Self(Sha256::digest(secret.expose().trim()).into()))
    }

    /// The signature over `parts`, each with its length, so that none can run into the next.
    fn over(&self, purpose: Purpose, parts: &[&str]) -> Hmac<Sha256> {
        let mut mac = keyed(&self.0);
        for part in [purpose.word()].iter().chain(parts) {
            mac.update(&(part.len() as u64).to_be_bytes());
            mac.update(part.as_bytes());
        }
        mac
    }

    /// 128 bits of the signature, which is what a token needs, as 32 hexadecimal digits.
    pub(crate) fn sign(&self, purpose: Purpose, parts: &[&str]) -> String {
        let bytes = self.over(purpose, parts).finalize().into_bytes();
        hex::encode(bytes.get(..16).unwrap_or_default())
    }

    /// Whether `signature` is the one over `parts`, in constant time.
    pub(crate) fn is_signed(&self, purpose: Purpose, parts: &[&str], signature: &str) -> bool {
        let is_canonical = signature.len() == 32 && is_lower_hex(signature);
        let bytes = hex::decode(signature).unwrap_or_default();
        is_canonical & self.over(purpose, parts).verify_truncated_left(&bytes).is_ok()
    }

    /// Whether two texts are one. What it takes says nothing of how much of them agrees.
    pub(crate) fn is_same(&self, a: &str, b: &str) -> bool {
        let of_b = self.over(Purpose::Comparison, &[b]).finalize().into_bytes();
        self.over(Purpose::Comparison, &[a]).verify_slice(&of_b).is_ok()
    }
}

/// HMAC takes a key of any length.
pub(crate) fn keyed(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).unwrap_or_else(|_| unreachable!("HMAC takes a key of any length"))
}

/// Whether this was made by a generator, and not thought of by a person: 128 bits or more in hexadecimal
/// digits, and not a pattern.
pub(crate) fn is_generated(text: &str) -> bool {
    let text = text.trim();
    let kinds = text.bytes().collect::<std::collections::BTreeSet<_>>().len();
    (32..=128).contains(&text.len()) && is_lower_hex(text) && kinds >= 8
}

pub(crate) fn is_lower_hex(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Key {
        Key::new(&Secret::new(text.to_owned())).unwrap()
    }

    #[test]
    fn a_signature_is_for_one_key_one_purpose_and_these_parts() {
        let (ours, other) = (key("0123456789abcdef0123456789abcdef"), key("0123456789abcdef0123456789abcdee"));
        let signed = ours.sign(Purpose::StateLink, &["ab", "c"]);
        assert_eq!(signed.len(), 32);
        assert!(ours.is_signed(Purpose::StateLink, &["ab", "c"], &signed));
        assert!(!other.is_signed(Purpose::StateLink, &["ab", "c"], &signed));
        assert!(!ours.is_signed(Purpose::Submission, &["ab", "c"], &signed));
        assert!(!ours.is_signed(Purpose::StateLink, &["a", "bc"], &signed));
        for bad in ["", &signed[..30], &signed.to_uppercase(), &format!("{signed}00"), &"0".repeat(32), "zz"] {
            assert!(!ours.is_signed(Purpose::StateLink, &["ab", "c"], bad), "{bad}");
        }
    }

    #[test]
    fn what_a_person_thinks_of_is_no_key() {
        for bad in ["", "   ", "correct horse battery staple", &"0".repeat(32), &"01".repeat(16), "0123456789abcdef"] {
            assert_eq!(Key::new(&Secret::new(bad.to_owned())).err(), Some(NotGenerated), "{bad}");
        }
        assert_eq!(format!("{:?}", key("0123456789abcdef0123456789abcdef")), "[hidden]");
    }

    #[test]
    fn equal_is_equal() {
        let key = key("0123456789abcdef0123456789abcdef");
        assert!(key.is_same("report", "report"));
        assert!(!key.is_same("report", "report "));
        assert!(!key.is_same("", "report"));
    }
}
