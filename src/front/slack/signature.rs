//! Whether Slack said it: an HMAC over the raw body and the time.
//! <https://docs.slack.dev/authentication/verifying-requests-from-slack>
//!
//! It covers neither path, method, query nor other headers, so that none of them says anything about what is
//! decided. Within five minutes the same request holds again: the ledger's conditional write is what stops a replay.

use aws_smithy_types::DateTime;
use domain::settings::Secret;
use hmac::Mac;

use crate::http::Request;
use crate::mac::keyed;

/// How far Slack's clock and ours may be apart, and how late a request may come.
pub const TOLERANCE_SECONDS: i64 = 300;

/// One signing secret, or two while one replaces the other: Slack stops using the old one at once, our caches don't.
#[derive(Debug, Clone)]
pub struct SigningSecrets(Vec<Secret>);

/// With an empty secret anybody could sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected one signing secret of 16 to 128 letters and digits, or two separated by a comma")]
pub struct NoSigningSecret;

impl SigningSecrets {
    /// From the parameter's value: `<secret>` or `<new secret>,<old secret>`.
    pub fn parse(value: &Secret) -> Result<Self, NoSigningSecret> {
        let secrets: Vec<_> = value.expose().trim().split(',').map(str::trim).collect();
        let is_secret = |it: &&str| (16..=128).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_alphanumeric());
        if secrets.len() > 2 || !secrets.iter().all(is_secret) {
            return Err(NoSigningSecret);
        }
        Ok(Self(secrets.into_iter().map(|it| Secret::new(it.to_owned())).collect()))
    }

    /// Whether one of the secrets signed exactly these bytes, at most five minutes ago. The body is not looked at
    /// in any other way.
    pub fn have_signed(&self, request: &Request, now: DateTime) -> bool {
        let Some(sent) = request.header("x-slack-request-timestamp").filter(|it| is_timestamp(it)) else {
            return false;
        };
        let is_recent = sent.parse::<i64>().is_ok_and(|it| (now.secs() - it).abs() <= TOLERANCE_SECONDS);
        let Some(claimed) = request.header("x-slack-signature").and_then(claimed) else { return false };
        // Every secret is tried, so that the time tells nothing of which it was.
        let is_signed = self.0.iter().fold(false, |is_signed, secret| {
            let mut mac = keyed(secret.expose().as_bytes());
            for part in [b"v0:", sent.as_bytes(), b":", &request.body] {
                mac.update(part);
            }
            is_signed | mac.verify_slice(&claimed).is_ok()
        });
        is_recent & is_signed
    }
}

/// 1 to 12 digits and nothing else: a sign or a space parses in some languages, and signs differently.
fn is_timestamp(text: &str) -> bool {
    (1..=12).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit())
}

/// `v0=` and 64 lower-case hexadecimal digits. Two headers, joined by a comma, are none.
fn claimed(text: &str) -> Option<Vec<u8>> {
    let digits = text.strip_prefix("v0=").filter(|it| it.len() == 64 && crate::mac::is_lower_hex(it))?;
    hex::decode(digits).ok()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::http::tests::event;

    const SECRET: &str = "8f742231b10e8888abcd99yyyzzz85a5";
    const SENT: i64 = 1_531_420_618;
    const BODY: &str = "token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text=&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c";
    const SIGNATURE: &str = "v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503";

    pub(in crate::slack) fn sign(secret: &str, at: &str, body: &[u8]) -> String {
        let mut mac = keyed(secret.as_bytes());
        mac.update(format!("v0:{at}:").as_bytes());
        mac.update(body);
        format!("v0={}", hex::encode(mac.finalize().into_bytes()))
    }

    fn secrets(text: &str) -> Result<SigningSecrets, NoSigningSecret> {
        SigningSecrets::parse(&Secret::new(text.to_owned()))
    }

    fn request(at: &str, signature: &str, body: &[u8]) -> Request {
        let headers = [("x-slack-request-timestamp", at), ("x-slack-signature", signature)];
        Request::read(event("POST", "/", &headers, body), 1 << 20).unwrap()
    }

    fn holds(at: &str, signature: &str, body: &[u8], now: i64) -> bool {
        secrets(SECRET).unwrap().have_signed(&request(at, signature, body), DateTime::from_secs(now))
    }

    #[test]
    fn slacks_published_example_holds() {
        assert!(holds(&SENT.to_string(), SIGNATURE, BODY.as_bytes(), SENT));
        assert_eq!(sign(SECRET, &SENT.to_string(), BODY.as_bytes()), SIGNATURE);
    }

    #[test]
    fn a_body_that_arrives_as_text_holds_too() {
        let mut text =
            event("POST", "/", &[("x-slack-request-timestamp", "1531420618"), ("x-slack-signature", SIGNATURE)], b"");
        (text.is_base64_encoded, text.body) = (false, Some(BODY.to_owned()));
        let request = Request::read(text, 1 << 20).unwrap();
        assert!(secrets(SECRET).unwrap().have_signed(&request, DateTime::from_secs(SENT)));
    }

    #[test]
    fn five_minutes_are_the_limit_either_way() {
        for (after, is_good) in [(300, true), (301, false), (-300, true), (-301, false), (i64::from(u32::MAX), false)] {
            assert_eq!(holds(&SENT.to_string(), SIGNATURE, BODY.as_bytes(), SENT + after), is_good, "{after}");
        }
    }

    /// Each is signed for exactly what it says, so that only its form can refuse it.
    #[test]
    fn a_timestamp_is_digits_and_nothing_else() {
        for at in [
            "+1531420618",
            " 1531420618",
            "1531420618 ",
            "-1531420618",
            "0x5b47",
            "1531420618.0",
            "",
            "1531420618,1531420618",
            "0001531420618",
            "1e9",
            "１５３",
        ] {
            assert!(!is_timestamp(at), "{at}");
            if at.is_ascii() {
                assert!(!holds(at, &sign(SECRET, at, BODY.as_bytes()), BODY.as_bytes(), SENT), "{at}");
            }
        }
        assert!(holds("001531420618", &sign(SECRET, "001531420618", b"x"), b"x", SENT));
    }

    #[test]
    fn a_signature_has_one_form() {
        let digits = &SIGNATURE[3..];
        for signature in [
            String::new(),
            digits.to_owned(),
            format!("v1={digits}"),
            format!("v0={}", digits.to_uppercase()),
            format!("v0={digits}00"),
            format!("v0={}", &digits[..62]),
            format!("{SIGNATURE},{SIGNATURE}"),
            "v0=".to_owned(),
        ] {
            assert!(!holds(&SENT.to_string(), &signature, BODY.as_bytes(), SENT), "{signature}");
        }
    }

    #[test]
    fn a_header_that_was_sent_twice_is_refused() {
        for name in ["x-slack-signature", "x-slack-request-timestamp"] {
            let headers = [("x-slack-request-timestamp", "1531420618"), ("x-slack-signature", SIGNATURE)];
            let mut twice = event("POST", "/", &headers, BODY.as_bytes());
            let again = twice.headers[name].clone();
            twice.headers.append(name, again);
            let request = Request::read(twice, 1 << 20).unwrap();
            assert!(!secrets(SECRET).unwrap().have_signed(&request, DateTime::from_secs(SENT)), "{name}");
        }
    }

    #[test]
    fn two_secrets_hold_while_one_replaces_the_other() {
        let both = secrets(&format!("{}, {SECRET}", "n".repeat(32))).unwrap();
        for (secret, is_good) in [(SECRET, true), (&*"n".repeat(32), true), (&*"o".repeat(32), false), ("", false)] {
            let request = request(&SENT.to_string(), &sign(secret, &SENT.to_string(), b"x"), b"x");
            assert_eq!(both.have_signed(&request, DateTime::from_secs(SENT)), is_good, "{secret}");
        }
    }

    #[test]
    fn an_empty_secret_is_refused() {
        for bad in [
            "",
            " ",
            ",",
            &format!("{SECRET},"),
            &format!(",{SECRET}"),
            "changeme",
            &format!("{SECRET},{SECRET},{SECRET}"),
            "with space inside!",
        ] {
            assert_eq!(secrets(bad).err(), Some(NoSigningSecret), "{bad}");
        }
    }

    /// Of 100,000 bad ones none holds, of 10,000 good ones all do.
    #[test]
    fn no_bad_request_holds_and_every_good_one_does() {
        let ours = secrets(SECRET).unwrap();
        let now = DateTime::from_secs(SENT);
        let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
        let (mut accepted, mut refused) = (0, 0);
        for n in 0..110_000_u32 {
            let mut body: Vec<u8> = (0..32 + chance.below(64)).map(|_| chance.byte()).collect();
            let late = i64::from(chance.below(600)) - 300;
            let mut at = (SENT + late).to_string();
            let mut signature = sign(SECRET, &at, &body);
            let is_good = n % 11 == 0;
            if !is_good {
                match chance.below(7) {
                    0 => flip(&mut body, &mut chance),
                    1 => body.truncate(body.len() - 1),
                    2 => body.push(chance.byte()),
                    3 => at = (SENT + late + 1 + i64::from(chance.below(200))).to_string(),
                    4 => {
                        at = (SENT + 301 + i64::from(chance.below(1_000_000))).to_string();
                        signature = sign(SECRET, &at, &body);
                    }
                    5 => signature = sign(&format!("{:032x}", chance.next()), &at, &body),
                    _ => {
                        let (n, digit) = (3 + chance.below(64) as usize, chance.below(16));
                        let digit = char::from_digit(digit, 16).unwrap().to_string();
                        let other =
                            if signature[n..=n] == digit { if digit == "0" { "1" } else { "0" } } else { &digit };
                        signature.replace_range(n..=n, other);
                    }
                }
            }
            let holds = ours.have_signed(&request_of(&at, &signature, body), now);
            accepted += u32::from(holds && !is_good);
            refused += u32::from(!holds && is_good);
        }
        assert_eq!((accepted, refused), (0, 0));
    }

    /// Without the JSON of an event, of which 110,000 would be slow.
    fn request_of(at: &str, signature: &str, body: Vec<u8>) -> Request {
        let mut event = aws_lambda_events::lambda_function_urls::LambdaFunctionUrlRequest::default();
        event.headers.insert("x-slack-request-timestamp", at.parse().unwrap());
        event.headers.insert("x-slack-signature", signature.parse().unwrap());
        let mut request = Request::read(event, 1 << 20).unwrap();
        request.body = body;
        request
    }

    fn flip(body: &mut [u8], chance: &mut Chance) {
        let at = chance.below(u32::try_from(body.len()).unwrap()) as usize;
        body[at] ^= 1 << chance.below(8);
    }

    /// The same numbers each time.
    struct Chance(u64);

    impl Chance {
        fn next(&mut self) -> u64 {
            self.0 ^= self.0 << 13;
            self.0 ^= self.0 >> 7;
            self.0 ^= self.0 << 17;
            self.0
        }

        fn below(&mut self, n: u32) -> u32 {
            u32::try_from(self.next() % u64::from(n)).unwrap()
        }

        fn byte(&mut self) -> u8 {
            self.next().to_le_bytes()[3]
        }
    }
}
