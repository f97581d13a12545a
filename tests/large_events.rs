//! Events may be 1 MB since 2025: decoding one takes a few times its size, whatever fills it.
//! <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>

#![cfg(target_os = "linux")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test ends at the first surprise")]
#![expect(clippy::print_stdout, reason = "the figures are the point")]

mod support;

use std::ffi::OsStr;
use std::fs;
use std::process::Command;
use std::time::Duration;

use domain::sources::decode;
use serde_json::{Value, json};

const SIZE: usize = 1_000_000;

/// Set where this binary runs as the process that decodes one event and nothing else: memory that a test once
/// had is not given back.
const EVENT: &str = "DECODE_THIS_EVENT";

/// The process's peak of resident memory, in bytes.
fn peak() -> usize {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|it| it.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * 1_024
}

/// What decoding an event takes on top of its text.
fn decode_alone(path: &OsStr) {
    let settings = support::settings("responder", &[]);
    let bytes = fs::read(path).unwrap();
    let before = peak();
    let started = std::time::Instant::now();
    let payload: Value = serde_json::from_slice(&bytes).unwrap();
    let parsed = peak().saturating_sub(before);
    let decoded = decode(&payload, &settings);
    let all = decoded.findings.len() + decoded.told.len() + decoded.ignored.len() + decoded.malformed.len();
    assert!(all > 0);
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
    println!("took={took:?}");
    println!("taken={parsed},{}", peak().saturating_sub(before + parsed));
}

/// By parsing, and by decoding on top of it.
fn taken(bytes: &[u8]) -> (usize, usize) {
    let path = std::env::temp_dir().join(format!("large-event-{}.json", std::process::id()));
    fs::write(&path, bytes).unwrap();
    let test = "a_large_event_is_decoded_within_a_few_times_its_size";
    let mut child = Command::new(std::env::current_exe().unwrap());
    let all = child.args(["--exact", test, "--nocapture"]).env(EVENT, &path).output().unwrap();
    fs::remove_file(&path).unwrap();
    let output = String::from_utf8(all.stdout.clone()).unwrap();
    let errors = String::from_utf8_lossy(&all.stderr).into_owned();
    let taken = output.split("taken=").nth(1).unwrap_or_else(|| panic!("{output} {errors}"));
    let (parsed, decoded) = taken.split_whitespace().next().unwrap().split_once(',').unwrap();
    (parsed.parse().unwrap(), decoded.parse().unwrap())
}

/// Fills the list at the pointer with copies until the event has its size.
fn filled(mut event: Value, pointer: &str, copy: &Value) -> Value {
    let room = SIZE - event.to_string().len();
    let copies = room / (copy.to_string().len() + 1);
    *event.pointer_mut(pointer).unwrap() = vec![copy.clone(); copies].into();
    event
}

#[test]
fn a_large_event_is_decoded_within_a_few_times_its_size() {
    if let Some(path) = std::env::var_os(EVENT) {
        return decode_alone(&path);
    }
    const GUARDDUTY: &str = "guardduty-exfiltration-iam-user-anomalous-behavior";
    const HUB: &str = "security-hub-guardduty-exfiltration-iam-user-anomalous-behavior";
    let mut long = support::sample(GUARDDUTY);
    long["detail"]["description"] = json!("x".repeat(SIZE - long.to_string().len()));
    let resource = support::sample(HUB)["detail"]["findings"][0]["Resources"][0].clone();
    let finding = support::sample(HUB)["detail"]["findings"][0].clone();
    let sequence = support::sample("guardduty-attack-sequence-iam-compromised-credentials");
    let actor = sequence["detail"]["service"]["detection"]["sequence"]["actors"][0].clone();
    let mut signals = sequence.clone();
    signals["detail"]["service"]["detection"]["sequence"]["signals"] = json!([]);
    let signal = json!({"uid": "arn:aws:guardduty:us-east-1:111122223333:detector/d/finding/f", "type": "FINDING", "severity": 5});
    let entity = json!({"entityValue": "AKIAIOSFODNN7EXAMPLE"});
    let health = support::sample("health-risk-credentials-exposed-own-bus");
    let mut unread = support::sample(HUB);
    unread["detail"]["findings"][0]["Resources"] = json!([]);
    // How many times its size: what is parsed of short values takes more than text, whoever parses it.
    let cases = [
        ("a long text", long, 2),
        ("many resources", filled(support::sample(HUB), "/detail/findings/0/Resources", &resource), 14),
        ("many findings", filled(support::sample(HUB), "/detail/findings", &finding), 14),
        ("many signals", filled(signals, "/detail/service/detection/sequence/signals", &signal), 14),
        ("many actors", filled(sequence, "/detail/service/detection/sequence/actors", &actor), 14),
        ("many entities", filled(health, "/detail/affectedEntities", &entity), 25),
        ("empty resources", filled(unread, "/detail/findings/0/Resources", &json!({})), 14),
        ("empty findings", filled(support::sample(HUB), "/detail/findings", &json!({})), 14),
        ("zeros", filled(support::sample(HUB), "/detail/findings", &json!(0)), 20),
    ];
    for (what, event, times) in cases {
        let bytes = serde_json::to_vec(&event).unwrap();
        assert!((SIZE - 3_000..=SIZE).contains(&bytes.len()), "{what}: {}", bytes.len());
        let (parsed, decoded) = taken(&bytes);
        let in_sizes = |it: usize| it as f64 / SIZE as f64;
        println!("{what}: {:.1} times its size to parse, {:.1} to decode", in_sizes(parsed), in_sizes(decoded));
        assert!(parsed > SIZE / 4 && parsed <= times * SIZE, "{what}: {parsed} bytes to parse");
        assert!(decoded <= 2 * SIZE, "{what}: {decoded} bytes to decode");
    }
}
