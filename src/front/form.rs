//! The form, by which somebody reports a stolen credential: from a request to an answer, in steps between which the
//! caller does what only it can.
//!
//! 1. [`Form::receive`]: routes, refuses what comes from another page, reads who claims to be there.
//! 2. [`Form::check`], after the try was counted: the lock-out, then the password. A generated secret that is right
//!    needs neither.
//! 3. [`Form::serve`]: the page, the page with its mistakes, or a report.
//! 4. [`Form::created`] after the report was kept, or [`Form::unavailable`]; [`Form::state`] for who has a link.
//!
//! INVARIANT: nothing is hashed before the request was seen to come from our own page and the lock-out let it pass;
//! an unknown user and a wrong password get the same answer for the same work. Held by `tests` below.

use aws_lambda_events::lambda_function_urls::LambdaFunctionUrlRequest;
use aws_smithy_types::DateTime;
use domain::ids::{AccountId, RequestId};

use crate::Key;
use crate::fields::Fields;
use crate::http::{Request, Response, Unfit};

mod credential;
mod frame;
pub mod lockout;
mod page;
mod pasted;
mod report;
mod state;
mod tokens;

pub use credential::{Credential, UnfitCredential};
pub use report::{Report, Target};
pub use state::State;
pub use tokens::Nonce;

use credential::Presented;
use frame::notice;
use lockout::{Counters, Guest, Network, Tries};
use page::Above;
use report::Typed;

/// Six fields, the longest of 500 characters.
pub const MAX_BODY: usize = 8 * 1024;

const STATE: &str = "/state/";
const DEVICE: &str = "__Host-device";

/// The settings of the form.
#[derive(Debug, Clone)]
pub struct Form {
    pub credential: Credential,
    /// What pages, links and cookies are signed with.
    pub key: Key,
    /// What can be chosen. Another account's ID can be typed.
    pub accounts: Vec<Account>,
    /// Where the pages are, such as `https://report.example.com`; `None` is the Function URL itself.
    pub origin: Option<String>,
}

/// An account, and what people call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    pub id: AccountId,
    pub name: String,
}

#[derive(Debug)]
pub enum Received {
    Answer(Response),
    /// Count a try in both [`Attempt::counters`], then [`Form::check`].
    Check(Attempt),
    /// Let in: [`Form::serve`].
    Visit(Visit),
    /// Read that request of the ledger, then [`Form::state`].
    State(Link),
}

#[derive(Debug)]
pub enum Checked {
    /// The try stays counted.
    Answer(Response),
    /// Let in: take the try back, then [`Form::serve`].
    Visit(Visit),
}

#[derive(Debug)]
pub enum Served {
    Answer(Response),
    /// Keep it, or join the open request about the same, then [`Form::created`].
    Create(Submission),
}

/// Somebody who says that they know the password.
pub struct Attempt {
    presented: Presented,
    /// Whether the password was compared already, since that costs nothing.
    is_wrong: bool,
    guest: Guest,
    visit: Visit,
    counters: Counters,
}

/// Without what was presented.
impl std::fmt::Debug for Attempt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Attempt").field("counters", &self.counters).finish_non_exhaustive()
    }
}

impl Attempt {
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}

/// Somebody who was let in, and what they want.
#[derive(Debug, Clone)]
pub struct Visit {
    network: Network,
    /// Whether their browser is to be known from now on.
    is_new_device: bool,
    wants: Wants,
}

#[derive(Debug, Clone)]
enum Wants {
    Page,
    /// What was typed, and whether the page was open for too long.
    Send {
        fields: Fields,
        is_old: bool,
    },
}

/// A report to be kept.
#[derive(Debug, Clone)]
pub struct Submission {
    pub report: Report,
    typed: Typed,
}

/// A link to a state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// The request's ID, which is ours: the link is signed.
    pub request: RequestId,
    token: String,
}

impl Form {
    pub fn receive(&self, event: LambdaFunctionUrlRequest, now: DateTime) -> Received {
        let request = match Request::read(event, MAX_BODY) {
            Ok(it) => it,
            Err(Unfit::TooLarge) => {
                return Received::Answer(notice(413, "Too long", "Nothing was sent. Go back, and write less."));
            }
            Err(Unfit::Malformed) => return Received::Answer(malformed()),
        };
        let token = request.path.strip_prefix(STATE);
        match (request.method.as_str(), request.path.as_str(), token) {
            ("GET", _, Some(token)) => match tokens::read_link(&self.key, token, now) {
                Some(of) => Received::State(Link { request: of, token: token.to_owned() }),
                None => Received::Answer(nothing_here()),
            },
            ("GET", "/", _) => self.identify(&request, None, now),
            ("POST", "/", _) => self.submitted(&request, now),
            (_, "/", _) => Received::Answer(not_allowed("GET, POST")),
            (_, _, Some(_)) => Received::Answer(not_allowed("GET")),
            _ => Received::Answer(nothing_here()),
        }
    }

    /// Everything that can be refused without a secret comes first.
    fn submitted(&self, request: &Request, now: DateTime) -> Received {
        if !self.is_from_our_page(request) {
            return Received::Answer(foreign());
        }
        match Fields::read(&request.body).filter(|_| request.is_form()) {
            Some(fields) => self.identify(request, Some(fields), now),
            None => Received::Answer(malformed()),
        }
    }

    /// What a browser says about where a form comes from. One that says nothing is told apart by its token.
    fn is_from_our_page(&self, request: &Request) -> bool {
        let ours = self.origin.clone().unwrap_or_else(|| format!("https://{}", request.host));
        let says = |name, is_good: &dyn Fn(&str) -> bool| match request.has_header(name) {
            true => request.header(name).is_some_and(is_good),
            false => true,
        };
        says("sec-fetch-site", &|it| it == "same-origin" || it == "none") && says("origin", &|it| it == ours)
    }

    fn identify(&self, request: &Request, fields: Option<Fields>, now: DateTime) -> Received {
        let Some(presented) = request.header("authorization").and_then(Presented::read) else {
            return Received::Answer(who_are_you());
        };
        let wants = match fields {
            None => Wants::Page,
            Some(fields) => match tokens::read_page(&self.key, &presented.user, fields.get("token"), now) {
                tokens::Page::Forged => return Received::Answer(foreign()),
                page => Wants::Send { fields, is_old: page == tokens::Page::Old },
            },
        };
        let network = Network::of(request.source);
        let read = |it| tokens::read_device(&self.key, self.credential.user(), it, now);
        let device = request.cookies(DEVICE).find_map(read);
        let is_new_device = device.is_none() && !self.credential.is_generated();
        let visit = Visit { network: network.clone(), is_new_device, wants };
        if self.credential.is_generated() && self.credential.is(&presented, &self.key) {
            return Received::Visit(visit);
        }
        let guest = device.map_or(Guest::Network(network), Guest::Known);
        let counters = guest.counters(now);
        Received::Check(Attempt { is_wrong: self.credential.is_generated(), presented, guest, visit, counters })
    }

    /// `tries`: the counters with this one.
    pub fn check(&self, attempt: Attempt, tries: Tries, now: DateTime) -> Checked {
        if let Some(seconds) = attempt.guest.locked_out(tries, now) {
            let page = notice(429, "Too many tries", "Wait for a minute, then try again.");
            return Checked::Answer(page.with("retry-after", seconds.to_string()));
        }
        match !attempt.is_wrong && self.credential.is(&attempt.presented, &self.key) {
            true => Checked::Visit(attempt.visit),
            false => Checked::Answer(who_are_you()),
        }
    }

    /// `nonce`: random bytes that were used for nothing else.
    pub fn serve(&self, visit: &Visit, nonce: &Nonce, now: DateTime) -> Served {
        let token = tokens::page(&self.key, self.credential.user(), nonce, now);
        let render = |typed: &Typed, above| page::render(typed, &self.accounts, &token, above);
        let mut page = match &visit.wants {
            Wants::Page => render(&Typed::default(), Above::Nothing),
            Wants::Send { fields, is_old } => {
                let mut typed = Typed::read(fields);
                match typed.check(&self.accounts, self.credential.user(), &visit.network) {
                    Some(report) if !is_old => return Served::Create(Submission { report, typed }),
                    Some(_) => render(&typed, Above::Old),
                    None => render(&typed, Above::Mistakes),
                }
            }
        };
        if visit.is_new_device {
            let token = tokens::device(&self.key, self.credential.user(), nonce, now);
            let age = tokens::DEVICE_SECONDS;
            page.cookies.push(format!("{DEVICE}={token}; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age={age}"));
        }
        Served::Answer(page)
    }

    /// To the page that shows how far the request comes, which is this report's or the open one that it joined.
    pub fn created(&self, request: &RequestId, now: DateTime) -> Response {
        Response::empty(303).with("location", format!("{STATE}{}", tokens::link(&self.key, request.as_str(), now)))
    }

    /// The report could not be kept: the page, with what was typed.
    pub fn unavailable(&self, submission: &Submission, nonce: &Nonce, now: DateTime) -> Response {
        let token = tokens::page(&self.key, self.credential.user(), nonce, now);
        page::render(&submission.typed, &self.accounts, &token, Above::Unavailable)
    }

    /// `None`: the ledger knows no such request.
    pub fn state(&self, link: &Link, state: Option<&State>) -> Response {
        match (state, tokens::expiry(&link.token)) {
            (Some(state), Some(until)) => state::render(state, &link.token, until),
            _ => nothing_here(),
        }
    }
}

/// The counters or the ledger can't be reached. Nobody is let in.
pub fn unavailable() -> Response {
    notice(503, "Not available", "Try again in a moment, or call the security team.")
}

fn who_are_you() -> Response {
    let words = "The name and the password of the report form are needed. The security team has them.";
    notice(401, "Who are you?", words).with("www-authenticate", "Basic realm=\"Report\", charset=\"UTF-8\"")
}

fn foreign() -> Response {
    notice(403, "Not sent", "Open the form anew, and send it from there.")
}

fn malformed() -> Response {
    notice(400, "Not understood", "Nothing was sent. Open the form anew, and send it from there.")
}

/// The same for an address that never was, a link that expired, and one that somebody made up.
fn nothing_here() -> Response {
    notice(404, "Nothing here", "There is nothing at this address, or no longer.")
}

fn not_allowed(allowed: &'static str) -> Response {
    notice(405, "Not understood", "That can't be done here.").with("allow", allowed)
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use domain::ids::Parse;
    use domain::settings::Secret;

    use super::credential::tests::{GENERATED, authorization, hashed, key};
    use super::*;
    use crate::http::tests::event;

    const OURS: &str = "https://abc.lambda-url.eu-central-1.on.aws";
    const REQUEST: &str = "abcdefghijklmnopqrstuvwxyz";
    const NONCE: Nonce = [3; 16];

    fn now() -> DateTime {
        DateTime::from_secs(1_795_914_007)
    }

    fn form(secret: &str) -> Form {
        let credential = Credential::new("report", &Secret::new(secret.to_owned())).unwrap();
        Form { credential, key: key(), accounts: report::tests::accounts(), origin: None }
    }

    fn get(form: &Form, path: &str, headers: &[(&str, &str)]) -> Received {
        form.receive(event("GET", path, headers, b""), now())
    }

    fn post(form: &Form, headers: &[(&str, &str)], body: &str) -> Received {
        let usual = [
            ("content-type", "application/x-www-form-urlencoded"),
            ("origin", OURS),
            ("sec-fetch-site", "same-origin"),
        ];
        let kept = usual.into_iter().filter(|it| !headers.iter().any(|other| other.0 == it.0));
        let headers: Vec<_> = kept.chain(headers.iter().copied().filter(|it| it.1 != "-")).collect();
        form.receive(event("POST", "/", &headers, body.as_bytes()), now())
    }

    fn body(form: &Form, rest: &str) -> String {
        format!("token={}&{rest}", tokens::page(&form.key, "report", &NONCE, now()))
    }

    const GOOD: &str = "account=111122223333&user=alice&access-key=AKIAIOSFODNN7EXAMPLE&text=pushed+to+GitHub";

    fn answer(received: Received) -> Response {
        match received {
            Received::Answer(it) => it,
            other => panic!("{other:?}"),
        }
    }

    fn visit(received: Received) -> Visit {
        match received {
            Received::Visit(it) => it,
            other => panic!("{other:?}"),
        }
    }

    fn attempt(received: Received) -> Attempt {
        match received {
            Received::Check(it) => it,
            other => panic!("{other:?}"),
        }
    }

    const FIRST: Tries = Tries { own: 1, all: 1 };

    #[test]
    fn a_report_goes_from_the_page_to_its_state() {
        let form = form(GENERATED);
        let authorization = authorization("report", GENERATED);
        let headers = [("authorization", authorization.as_str())];
        let Served::Answer(page) = form.serve(&visit(get(&form, "/", &headers)), &NONCE, now()) else { panic!() };
        assert_eq!((page.status, page.cookies.len()), (200, 0));
        let token = page.body.split("name=\"token\" value=\"").nth(1).unwrap().split('"').next().unwrap();
        let sent = post(&form, &headers, &format!("token={token}&{GOOD}"));
        let Served::Create(submission) = form.serve(&visit(sent), &NONCE, now()) else { panic!() };
        assert_eq!(submission.report.account.as_str(), "111122223333");
        assert_eq!((submission.report.by.as_str(), submission.report.network.as_str()), ("report", "203.0.113.0/24"));
        let response = form.created(&RequestId::parse(REQUEST).unwrap(), now());
        assert_eq!(response.status, 303);
        let place = response.header("location").unwrap();
        let Received::State(link) = get(&form, place, &[]) else { panic!() };
        assert_eq!(link.request.as_str(), REQUEST);
        let shown = form.state(&link, Some(&State::Reported));
        assert!(shown.status == 200 && shown.body.contains("Received") && shown.body.contains(place));
        assert!(shown.body.contains("until 2026-11-30 01:00:07 UTC"));
        assert_eq!(form.state(&link, None), answer(get(&form, "/state/made-up", &[])));
        let failed = form.unavailable(&submission, &NONCE, now());
        assert!(
            failed.status == 503 && failed.body.contains("value=\"alice\"") && failed.body.contains("pushed to GitHub")
        );
    }

    #[test]
    fn a_form_of_another_page_is_refused_before_anything_is_compared() {
        let form = form(&hashed("right", 7168, 5));
        let authorization = authorization("report", "right");
        let refused = |headers: &[(&str, &str)], body: &str| {
            let headers = [&[("authorization", authorization.as_str())], headers].concat();
            let answer = answer(post(&form, &headers, body));
            assert_eq!(answer.status, 403);
            answer
        };
        let good = body(&form, GOOD);
        let one = refused(&[("origin", "https://evil.example")], &good);
        for headers in [
            [("origin", "null")],
            [("origin", "")],
            [("origin", "https://abc.lambda-url.eu-central-1.on.aws.evil.example")],
            [("origin", "http://abc.lambda-url.eu-central-1.on.aws")],
            [("sec-fetch-site", "cross-site")],
            [("sec-fetch-site", "same-site")],
            [("sec-fetch-site", "same-origin,same-origin")],
        ] {
            assert_eq!(refused(&headers, &good), one, "{headers:?}");
        }
        assert_eq!(refused(&[], GOOD), one);
        let foreign = tokens::page(&form.key, "somebody", &NONCE, now());
        assert_eq!(refused(&[], &format!("token={foreign}&{GOOD}")), one);
        // A browser that says neither has the token all the same.
        attempt(post(&form, &[("authorization", &authorization), ("origin", "-"), ("sec-fetch-site", "-")], &good));
        let elsewhere = Form { origin: Some("https://report.example.com".to_owned()), ..form.clone() };
        let headers = [("authorization", authorization.as_str()), ("origin", "https://report.example.com")];
        attempt(post(&elsewhere, &headers, &good));
        assert_eq!(answer(post(&elsewhere, &[("authorization", &authorization)], &good)).status, 403);
    }

    #[test]
    fn a_wrong_password_and_an_unknown_user_get_one_answer() {
        for (form, right) in [(form(GENERATED), GENERATED), (form(&hashed("right", 7168, 5)), "right")] {
            let tried = |user: &str, password: &str| {
                let header = authorization(user, password);
                let attempt = attempt(get(&form, "/", &[("authorization", &header)]));
                assert!(!format!("{attempt:?}").contains(password));
                match form.check(attempt, FIRST, now()) {
                    Checked::Answer(it) => it,
                    Checked::Visit(_) => panic!("let in"),
                }
            };
            let wrong = tried("report", "wrong");
            assert_eq!((wrong.status, tried("nobody", right)), (401, wrong.clone()));
            assert_eq!(answer(get(&form, "/", &[])), wrong);
            assert_eq!(answer(get(&form, "/", &[("authorization", "Basic x")])), wrong);
            assert_eq!(wrong.header("www-authenticate"), Some("Basic realm=\"Report\", charset=\"UTF-8\""));
        }
    }

    #[test]
    fn a_password_is_not_looked_at_once_there_were_too_many_tries() {
        let form = form(&hashed("right", 7168, 5));
        let header = authorization("report", "right");
        let tried =
            |own| form.check(attempt(get(&form, "/", &[("authorization", &header)])), Tries { own, all: own }, now());
        let Checked::Visit(visit) = tried(lockout::LIMIT) else { panic!("not let in") };
        let Checked::Answer(locked) = tried(lockout::LIMIT + 1) else { panic!("let in") };
        assert_eq!((locked.status, locked.header("retry-after")), (429, Some("53")));
        // The browser that was let in has tries of its own.
        let Served::Answer(page) = form.serve(&visit, &NONCE, now()) else { panic!() };
        let [cookie] = page.cookies.as_slice() else { panic!("{:?}", page.cookies) };
        assert!(cookie.contains("; Path=/; Secure; HttpOnly; SameSite=Strict; Max-Age="));
        let cookie = cookie.split(';').next().unwrap();
        let known = attempt(get(&form, "/", &[("authorization", &header), ("cookie", cookie)]));
        assert!(known.counters().own.starts_with("lockout#device-0303"), "{:?}", known.counters());
        let Checked::Visit(visit) = form.check(known, FIRST, now()) else { panic!("not let in") };
        let Served::Answer(page) = form.serve(&visit, &NONCE, now()) else { panic!() };
        assert_eq!(page.cookies.len(), 0);
        let stranger = attempt(get(&form, "/", &[("authorization", &header), ("cookie", "__Host-device=1.2.3")]));
        assert_eq!(stranger.counters().own, "lockout#203.0.113.0/24#29931900");
    }

    /// By what it takes at best, against what hashing takes at best, so that no load of the machine matters.
    #[test]
    #[expect(clippy::disallowed_methods, reason = "measures, and decides nothing")]
    fn what_is_refused_costs_no_hash() {
        let form = form(&hashed("right", 7168, 5));
        let header = authorization("report", "right");
        let headers = [("authorization", header.as_str())];
        let forged = [headers[0], ("origin", "https://evil.example")];
        let took = |act: &dyn Fn()| {
            let once = |_| {
                let started = Instant::now();
                act();
                started.elapsed()
            };
            (0..10).map(once).min().unwrap()
        };
        let check = |own| drop(form.check(attempt(get(&form, "/", &headers)), Tries { own, all: own }, now()));
        let hashing = took(&|| check(1));
        assert!(took(&|| check(6)) * 2 < hashing, "a locked out guest");
        assert!(took(&|| drop(post(&form, &forged, &body(&form, GOOD)))) * 2 < hashing, "a form of another page");
        assert!(took(&|| drop(get(&form, "/", &headers))) * 2 < hashing, "a try that is not counted yet");
        let unknown = authorization("nobody", "right");
        let unknown = || form.check(attempt(get(&form, "/", &[("authorization", &unknown)])), FIRST, now());
        assert!(took(&|| drop(unknown())) * 2 > hashing, "an unknown user costs what a known one does");
    }

    /// Whoever knows it is let in whatever a crowd does, since that needs no counter.
    #[test]
    fn a_generated_secret_is_let_in_without_a_count() {
        let form = form(GENERATED);
        visit(get(&form, "/", &[("authorization", &authorization("report", GENERATED))]));
        let wrong = attempt(get(&form, "/", &[("authorization", &authorization("report", "x"))]));
        let Checked::Answer(locked) = form.check(wrong, Tries { own: 6, all: 6 }, now()) else { panic!("let in") };
        assert_eq!(locked.status, 429);
    }

    #[test]
    fn mistakes_are_shown_with_what_was_typed_and_no_secret_is() {
        let form = form(GENERATED);
        let header = authorization("report", GENERATED);
        let sent = |rest: &str| {
            let visit = visit(post(&form, &[("authorization", &header)], &body(&form, rest)));
            match form.serve(&visit, &NONCE, now()) {
                Served::Answer(it) => it,
                Served::Create(it) => panic!("{it:?}"),
            }
        };
        let page = sent("account=444455556666&user=al+ice&text=%3Cscript%3E%22x");
        assert_eq!(page.status, 422);
        assert!(page.body.contains("value=\"444455556666\" selected") && page.body.contains("Payments &lt;b&gt;"));
        assert!(
            page.body.contains("value=\"al ice\"") && page.body.contains("aria-describedby=\"user-hint user-wrong\"")
        );
        assert!(page.body.contains("&lt;script&gt;&quot;x") && !page.body.contains("<script"));
        assert!(page.body.contains("href=\"#user\"") && page.body.contains("id=\"user\""));
        assert!(page.body.contains("<title>Not sent: "));
        let secret = "wJalrXUtnFEMI%2FK7MDENG%2FbPxRfiCYEXAMPLEKEY";
        let page = sent(&format!("account=111122223333&user=alice&text=key+AKIAIOSFODNN7EXAMPLE+{secret}"));
        assert_eq!(page.status, 422);
        assert!(!page.body.contains("wJalr") && page.body.contains("key AKIAIOSFODNN7EXAMPLE [secret removed]"));
        assert!(page.body.contains("make a new one"));
    }

    #[test]
    fn a_page_that_was_open_for_too_long_is_shown_again() {
        let form = form(GENERATED);
        let old = tokens::page(&form.key, "report", &NONCE, DateTime::from_secs(now().secs() - 3601));
        let header = authorization("report", GENERATED);
        let visit = visit(post(&form, &[("authorization", &header)], &format!("token={old}&{GOOD}")));
        let Served::Answer(page) = form.serve(&visit, &NONCE, now()) else { panic!("was sent") };
        assert!(
            page.status == 422 && page.body.contains("open for too long") && page.body.contains("pushed to GitHub")
        );
    }

    #[test]
    fn there_is_one_page_and_its_states() {
        let form = form(GENERATED);
        let header = authorization("report", GENERATED);
        let asked = |method: &str, path: &str| {
            answer(form.receive(event(method, path, &[("authorization", &header)], b""), now()))
        };
        for path in ["", "/x", "//", "/index.html", "/state", "/state/", "/favicon.ico", "/../", "/state/x/y"] {
            assert_eq!(asked("GET", path).status, 404, "{path}");
        }
        for method in ["PUT", "DELETE", "OPTIONS", "HEAD", "get", ""] {
            let answer = asked(method, "/");
            assert_eq!((answer.status, answer.header("allow")), (405, Some("GET, POST")), "{method}");
        }
        assert_eq!(asked("POST", "/state/x").header("allow"), Some("GET"));
        assert_eq!(answer(post(&form, &[("authorization", &header)], &"a".repeat(8193))).status, 413);
        assert_eq!(
            answer(post(&form, &[("authorization", &header), ("content-type", "text/plain")], &body(&form, GOOD)))
                .status,
            400
        );
        assert_eq!(answer(post(&form, &[("authorization", &header)], &body(&form, "text=1&text=2"))).status, 400);
        assert_eq!(answer(post(&form, &[("authorization", &header)], &body(&form, "text=%FF"))).status, 400);
    }

    proptest::proptest! {
        /// Nobody who knows nothing gets in, whatever they send.
        #[test]
        fn any_request_is_answered_and_none_is_let_in(
            method in "GET|POST|[A-Z]{0,7}",
            path in "/|/state/[ -~]{0,80}|[ -~]{0,40}",
            names in proptest::collection::vec("authorization|cookie|origin|sec-fetch-site|content-type|[a-z]{1,9}", 0..5),
            values in proptest::collection::vec("Basic [A-Za-z0-9+/=]{0,90}|[ -~]{0,60}", 5),
            body in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300),
        ) {
            let form = form(GENERATED);
            let headers: Vec<_> = names.iter().zip(&values).map(|(name, value)| (name.as_str(), value.as_str())).collect();
            match form.receive(event(&method, &path, &headers, &body), now()) {
                Received::Answer(it) => proptest::prop_assert!(matches!(it.status, 400 | 401 | 403 | 404 | 405)),
                Received::Check(it) => match form.check(it, FIRST, now()) {
                    Checked::Answer(it) => proptest::prop_assert_eq!(it.status, 401),
                    Checked::Visit(_) => panic!("let in"),
                },
                other => panic!("let in: {other:?}"),
            }
        }
    }

    /// The longest report that is allowed fits, however it is encoded.
    #[test]
    fn the_longest_report_fits() {
        let form = form(GENERATED);
        let text = "%F0%9F%98%80".repeat(500);
        let sent = body(
            &form,
            &format!("account=111122223333&other-account=111122223333&user={}&text={text}", "%2B".repeat(64)),
        );
        let header = authorization("report", GENERATED);
        let visit = visit(post(&form, &[("authorization", &header)], &sent));
        assert!(matches!(form.serve(&visit, &NONCE, now()), Served::Create(_)));
    }
}
