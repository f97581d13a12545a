//! What the form hands out signed: the hidden field of a page, the link to a state, the cookie of a browser that
//! was let in. None is kept anywhere, so that a guess costs a signature and no read of the ledger.

use aws_smithy_types::DateTime;
use domain::ids::{Parse, RequestId};

use crate::mac::{Key, Purpose, is_lower_hex};

/// How long a page may be open before it is sent.
const PAGE_SECONDS: i64 = 60 * 60;
/// How long a link shows a state.
const LINK_SECONDS: i64 = 24 * 60 * 60;
/// How long a browser is known.
pub(super) const DEVICE_SECONDS: i64 = 90 * 24 * 60 * 60;

/// Random bytes, as many as a token needs, of this request's own.
pub type Nonce = [u8; 16];

/// What a submission's hidden field says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    Ours,
    /// Ours, and open for too long: it is shown again, with what was typed.
    Old,
    Forged,
}

/// `<expiry>.<nonce>.<signature over user, expiry and nonce>`.
pub(super) fn page(key: &Key, user: &str, nonce: &Nonce, now: DateTime) -> String {
    let (expiry, nonce) = ((now.secs() + PAGE_SECONDS).to_string(), hex::encode(nonce));
    let signature = key.sign(Purpose::Submission, &[user, &expiry, &nonce]);
    format!("{expiry}.{nonce}.{signature}")
}

pub(super) fn read_page(key: &Key, user: &str, token: &str, now: DateTime) -> Page {
    let Some((expiry, nonce, signature)) = parts(token) else { return Page::Forged };
    let Some(until) = seconds(expiry) else { return Page::Forged };
    match key.is_signed(Purpose::Submission, &[user, expiry, nonce], signature) {
        true if until > now.secs() && until <= now.secs() + PAGE_SECONDS => Page::Ours,
        true => Page::Old,
        false => Page::Forged,
    }
}

/// `<request>.<expiry>.<signature>`: who has it sees how far the request has come, until it expires.
pub(super) fn link(key: &Key, request: &str, now: DateTime) -> String {
    let expiry = (now.secs() + LINK_SECONDS).to_string();
    let signature = key.sign(Purpose::StateLink, &[request, &expiry]);
    format!("{request}.{expiry}.{signature}")
}

/// The request that a link shows.
pub(super) fn read_link(key: &Key, token: &str, now: DateTime) -> Option<RequestId> {
    let (request, expiry, signature) = parts(token)?;
    let is_good = key.is_signed(Purpose::StateLink, &[request, expiry], signature)
        && seconds(expiry).is_some_and(|it| it > now.secs());
    RequestId::parse(request).ok().filter(|_| is_good)
}

/// Until when a link works that was read before.
pub(super) fn expiry(token: &str) -> Option<DateTime> {
    parts(token).and_then(|it| seconds(it.1)).map(DateTime::from_secs)
}

/// `<expiry>.<nonce>.<signature over user, expiry and nonce>`.
pub(super) fn device(key: &Key, user: &str, nonce: &Nonce, now: DateTime) -> String {
    let (expiry, nonce) = ((now.secs() + DEVICE_SECONDS).to_string(), hex::encode(nonce));
    let signature = key.sign(Purpose::Device, &[user, &expiry, &nonce]);
    format!("{expiry}.{nonce}.{signature}")
}

/// The number of a browser that was let in as this user.
pub(super) fn read_device(key: &Key, user: &str, token: &str, now: DateTime) -> Option<String> {
    let (expiry, nonce, signature) = parts(token)?;
    let is_good = key.is_signed(Purpose::Device, &[user, expiry, nonce], signature)
        && seconds(expiry).is_some_and(|it| it > now.secs());
    (is_good && nonce.len() == 32 && is_lower_hex(nonce)).then(|| nonce.to_owned())
}

fn parts(token: &str) -> Option<(&str, &str, &str)> {
    let mut parts = token.split('.');
    let three = (parts.next()?, parts.next()?, parts.next()?);
    (token.len() <= 200 && parts.next().is_none()).then_some(three)
}

/// Digits and nothing else.
fn seconds(text: &str) -> Option<i64> {
    let is_number = (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    is_number.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use domain::settings::Secret;

    use super::super::credential::tests::key;
    use super::*;

    const REQUEST: &str = "abcdefghijklmnopqrstuvwxyz";

    fn at(seconds: i64) -> DateTime {
        DateTime::from_secs(1_795_914_000 + seconds)
    }

    #[test]
    fn a_page_is_sent_by_whom_it_was_shown_to_and_in_time() {
        let token = page(&key(), "report", &[1; 16], at(0));
        assert_eq!(read_page(&key(), "report", &token, at(1)), Page::Ours);
        assert_eq!(read_page(&key(), "report", &token, at(PAGE_SECONDS - 1)), Page::Ours);
        assert_eq!(read_page(&key(), "report", &token, at(PAGE_SECONDS)), Page::Old);
        assert_eq!(read_page(&key(), "other", &token, at(1)), Page::Forged);
        let later = token.replacen("1795", "2795", 1);
        let other = Key::new(&Secret::new("ffeeddccbbaa99887766554433221100".to_owned())).unwrap();
        assert_eq!(read_page(&other, "report", &token, at(1)), Page::Forged);
        for bad in [
            "",
            ".",
            "..",
            &later,
            &token[..token.len() - 1],
            &format!("{token}.x"),
            &device(&key(), "report", &[1; 16], at(0)),
        ] {
            assert_eq!(read_page(&key(), "report", bad, at(1)), Page::Forged, "{bad}");
        }
        assert_ne!(token, page(&key(), "report", &[2; 16], at(0)));
    }

    #[test]
    fn a_link_shows_its_own_request_for_a_day() {
        let token = link(&key(), REQUEST, at(0));
        assert_eq!(read_link(&key(), &token, at(LINK_SECONDS - 1)).unwrap().as_str(), REQUEST);
        assert_eq!(read_link(&key(), &token, at(LINK_SECONDS)), None);
        let other = token.replace(REQUEST, "abcdefghijklmnopqrstuvwxy2");
        for bad in ["", REQUEST, &other, &token.replacen("1796", "2796", 1), &token.to_uppercase()] {
            assert_eq!(read_link(&key(), bad, at(1)), None, "{bad}");
        }
        assert_eq!(read_link(&key(), &link(&key(), "record#1#AIDA", at(0)), at(1)), None);
    }

    #[test]
    fn a_browser_is_known_as_one_user() {
        let token = device(&key(), "report", &[9; 16], at(0));
        assert_eq!(read_device(&key(), "report", &token, at(1)), Some("09".repeat(16)));
        assert_eq!(read_device(&key(), "other", &token, at(1)), None);
        assert_eq!(read_device(&key(), "report", &token, at(DEVICE_SECONDS)), None);
        assert_eq!(read_device(&key(), "report", &page(&key(), "report", &[9; 16], at(0)), at(1)), None);
    }
}
