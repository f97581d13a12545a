//! Serves the report form on loopback, with a ledger in memory, for the tests in a browser. It does what the
//! function will do between the steps of `front::form`, and nothing of Lambda's.
//!
//! `pages <credential> [<account>=<name> ...]` prints its port. `POST /_sim/state/<word>` says how far every report
//! has come; `POST /_sim/stop` stops the clock, so that no minute ends meanwhile.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a server for tests ends at the first surprise"
)]

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::SystemTime;

use aws_lambda_events::lambda_function_urls::{LambdaFunctionUrlRequest, LambdaFunctionUrlResponse};
use aws_smithy_types::{DateTime, base64};
use domain::ids::{AccountId, Parse, RequestId};
use domain::settings::Secret;
use front::Key;
use front::form::lockout::{Counters, LIMIT, Tries};
use front::form::{Account, Checked, Credential, Form, Nonce, Received, Served, State, Visit};
use front::http::Response;
use serde_json::{Map, Value, json};

struct Ledger {
    counters: HashMap<String, u32>,
    reports: Vec<String>,
    state: State,
    stopped: Option<DateTime>,
}

impl Ledger {
    fn now(&self) -> DateTime {
        self.stopped.unwrap_or_else(now)
    }

    fn count(&mut self, counters: &Counters, by: i32) -> Tries {
        let mut add = |key: &str| {
            let count = self.counters.entry(key.to_owned()).or_default();
            *count = count.checked_add_signed(by).unwrap();
            *count
        };
        let own = add(&counters.own);
        Tries { own, all: if own > LIMIT { 0 } else { add(&counters.all) } }
    }
}

fn main() {
    let mut arguments = std::env::args().skip(1);
    let credential = arguments.next().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let host = listener.local_addr().unwrap().to_string();
    let account = |text: String| {
        let (id, name) = text.split_once('=').unwrap();
        Account { id: AccountId::parse(id).unwrap(), name: name.to_owned() }
    };
    let form = Form {
        credential: Credential::new("report", &Secret::new(credential)).unwrap(),
        key: Key::new(&Secret::new("00112233445566778899aabbccddeeff".to_owned())).unwrap(),
        accounts: arguments.map(account).collect(),
        origin: Some(format!("http://{host}")),
    };
    let mut ledger = Ledger { counters: HashMap::new(), reports: Vec::new(), state: State::Reported, stopped: None };
    println!("{}", listener.local_addr().unwrap().port());
    for stream in listener.incoming() {
        let mut stream = stream.unwrap();
        // A browser opens connections that it may never use.
        stream.set_read_timeout(Some(std::time::Duration::from_millis(500))).unwrap();
        let Some(event) = request(&mut stream, &host) else { continue };
        let path = event.raw_path.clone().unwrap();
        let response = match path.strip_prefix("/_sim/") {
            Some("reports") => Response { body: json!(ledger.reports).to_string(), ..Response::empty(200) },
            Some("stop") => {
                ledger.stopped = Some(now());
                Response::empty(204)
            }
            Some(word) => {
                ledger.state = state(word.trim_start_matches("state/"));
                Response::empty(204)
            }
            None => answer(&form, &mut ledger, event),
        };
        // Whoever hung up wants no answer.
        let _ = respond(&mut stream, response.into());
    }
}

/// The trip that the function makes.
fn answer(form: &Form, ledger: &mut Ledger, event: LambdaFunctionUrlRequest) -> Response {
    let visit = match form.receive(event, ledger.now()) {
        Received::Answer(it) => return it,
        Received::State(link) => return form.state(&link, Some(&ledger.state)),
        Received::Visit(it) => it,
        Received::Check(attempt) => {
            let counters = attempt.counters().clone();
            let tries = ledger.count(&counters, 1);
            match form.check(attempt, tries, ledger.now()) {
                Checked::Answer(it) => return it,
                Checked::Visit(it) => {
                    ledger.count(&counters, -1);
                    it
                }
            }
        }
    };
    serve(form, ledger, &visit)
}

fn serve(form: &Form, ledger: &mut Ledger, visit: &Visit) -> Response {
    match form.serve(visit, &nonce(), ledger.now()) {
        Served::Answer(it) => it,
        Served::Create(it) if it.report.text == "the ledger is down" => form.unavailable(&it, &nonce(), ledger.now()),
        Served::Create(it) => {
            ledger.reports.push(format!("{:?}", it.report));
            form.created(&RequestId::parse("abcdefghijklmnopqrstuvwxyz").unwrap(), ledger.now())
        }
    }
}

fn state(word: &str) -> State {
    let (by, at) = ("Dana (Slack U02)".to_owned(), now());
    match word {
        "reported" => State::Reported,
        "waiting" => State::Waiting { until: DateTime::from_secs(at.secs() + 3600), is_struck: false },
        "struck" => State::Waiting { until: DateTime::from_secs(at.secs() + 3600), is_struck: true },
        "approved" => State::Approved { by, at },
        "contained" => State::Contained { by, at },
        "suspects-open" => State::SuspectsOpen { by, at },
        "not-contained" => State::NotContained { by, at },
        "not-carried-out" => State::NotCarriedOut { by, at, is_resumed: false },
        "in-place" => State::InPlace { at },
        "passed-on" => State::PassedOn { at },
        "declined" => State::Declined { by, at },
        "expired" => State::Expired { at },
        "failed" => State::Failed { at },
        _ => panic!("{word}"),
    }
}

/// HTTP/1.1, as Lambda hands it over.
fn request(stream: &mut TcpStream, host: &str) -> Option<LambdaFunctionUrlRequest> {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    if reader.read_line(&mut line).unwrap_or_default() == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = Map::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_lowercase(), json!(value.trim()));
    }
    let length = headers.get("content-length").and_then(Value::as_str).map_or(0, |it| it.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = target.split('?').next()?;
    let http =
        json!({"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""});
    let event = json!({
        "version": "2.0", "rawPath": path, "headers": headers, "body": base64::encode(body), "isBase64Encoded": true,
        "requestContext": {"domainName": host, "timeEpoch": now().secs() * 1000, "http": http},
    });
    Some(serde_json::from_value(event).unwrap())
}

fn respond(stream: &mut TcpStream, response: LambdaFunctionUrlResponse) -> std::io::Result<()> {
    let body = response.body.unwrap_or_default();
    let mut head =
        format!("HTTP/1.1 {} X\r\ncontent-length: {}\r\nconnection: close\r\n", response.status_code, body.len());
    for (name, value) in &response.headers {
        head += &format!("{name}: {}\r\n", value.to_str().unwrap());
    }
    for cookie in &response.cookies {
        head += &format!("set-cookie: {cookie}\r\n");
    }
    stream.write_all(format!("{head}\r\n{body}").as_bytes())
}

#[expect(clippy::disallowed_methods, reason = "the caller of `front` has the clock")]
fn now() -> DateTime {
    DateTime::from(SystemTime::now())
}

#[expect(clippy::disallowed_methods, reason = "and what is random")]
fn nonce() -> Nonce {
    let mut bytes = Nonce::default();
    File::open("/dev/urandom").unwrap().read_exact(&mut bytes).unwrap();
    bytes
}
