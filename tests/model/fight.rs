//! The fight of docs/attacker.md in virtual time: thousands of runs in seconds, each the same for the same seed.
//!
//!     FIGHTS=10000 cargo test --release --locked -p domain --test fight -- --nocapture
//!
//! prints the table. The pace, the budget and the settle time are the code that ships (`contest.rs`, `watch.rs`);
//! IAM, its lag and throttle, the attacker and the order of a look are modelled here. What a call may do is decided by
//! the state of `lag` ago, drawn anew for each call. It may be wrong where the real loop does something in another
//! order: `tests/experiments/attacker.py` plays the same settings against the real binary.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test ends at the first surprise, and prints"
)]
#![expect(clippy::disallowed_methods, reason = "how many runs there are is said from outside")]

#[path = "fight/attacker.rs"]
mod attacker;
#[path = "fight/iam.rs"]
mod iam;
#[path = "fight/responder.rs"]
mod responder;

use attacker::Tactic;
use responder::Ending;

/// Seconds as they would be on AWS.
#[derive(Debug, Clone, Copy)]
struct Setting {
    tactic: Tactic,
    poll: f64,
    lag: (f64, f64),
    /// Calls a second that IAM answers for the account, all kinds together.
    bucket: Option<f64>,
    /// When the verdict must be in.
    until: f64,
}

/// Of 300 s that the function may run ten are kept for the notices, and a tenth of the rest for the end. A fight that
/// outlasts that is handed on, which is not modelled.
const PLAIN: Setting = Setting { tactic: Tactic::Strip, poll: 0.5, lag: (4.0, 4.0), bucket: Some(50.0), until: 261.0 };
const LAGS: [(f64, f64); 2] = [(4.0, 4.0), (2.0, 6.0)];

#[derive(Debug, Default, Clone, Copy)]
struct Result {
    contained: usize,
    said: usize,
    is_false: usize,
    gone: usize,
    attacker_writes: usize,
    writes: usize,
    calls: usize,
    throttled: usize,
    /// Writes that another ID got, which nobody was told of.
    silent: usize,
    latest_stray: f64,
    seconds: f64,
}

fn play(setting: Setting, runs: usize) -> Result {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = |n: usize| (n..runs).step_by(threads);
    let parts = std::thread::scope(|scope| {
        let all: Vec<_> = (0..threads)
            .map(|n| scope.spawn(move || share(n).map(|seed| one(setting, seed as u64)).collect::<Vec<_>>()))
            .collect();
        all.into_iter().flat_map(|it| it.join().unwrap()).collect::<Vec<_>>()
    });
    let mut sum = Result::default();
    for it in parts {
        sum.contained += usize::from(it.is_contained);
        sum.said += usize::from(it.ending == Ending::Contained);
        sum.gone += usize::from(it.ending == Ending::Gone);
        sum.is_false += usize::from(it.ending == Ending::Contained && !it.is_contained);
        sum.attacker_writes += it.attacker_writes;
        sum.writes += it.writes;
        sum.calls += it.calls;
        sum.throttled += it.throttled;
        sum.silent += it.silent;
        sum.latest_stray = sum.latest_stray.max(it.latest_stray);
        sum.seconds += it.seconds;
    }
    sum
}

fn one(setting: Setting, seed: u64) -> responder::Run {
    responder::Fight::new(setting, seed).run()
}

fn runs(otherwise: usize) -> usize {
    std::env::var("FIGHTS").map_or(otherwise, |it| it.parse().unwrap())
}

fn row(setting: Setting, runs: usize) -> Result {
    let it = play(setting, runs);
    let mean = |count: usize| count as f64 / runs as f64;
    let (low, high) = setting.lag;
    let lag = if low == high { format!("{low} s") } else { format!("{low}-{high} s") };
    println!(
        "| {} | {} s | {lag} | {} | {:.0} s | {:.2} % | {:.2} % | {} | {:.1} | {:.1} s | {:.0} | {:.1} | {:.0} |",
        setting.tactic.words(),
        setting.poll,
        setting.bucket.map_or_else(|| "none".to_owned(), |it| format!("{it}/s")),
        setting.until,
        100.0 * mean(it.contained),
        100.0 * mean(it.said),
        it.is_false,
        mean(it.attacker_writes),
        it.seconds / runs as f64,
        mean(it.writes),
        mean(it.throttled),
        mean(it.calls),
    );
    it
}

fn header() {
    println!(
        "| attacker | polls every | lag | IAM answers | time | contained | said so | false | attacker's writes | verdict after | rewrites | throttled | responder's calls |\n\
         | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"
    );
}

/// What docs/attacker.md says is reached.
fn goals() -> Vec<(Setting, f64)> {
    let setting = |poll, lag, bucket| Setting { poll, lag, bucket, ..PLAIN };
    let each = |lag| {
        [
            (setting(0.5, lag, Some(50.0)), 0.99),
            (setting(0.2, lag, Some(50.0)), 0.99),
            (setting(0.05, lag, None), 0.90),
            (Setting { tactic: Tactic::Thrifty, ..setting(0.5, lag, Some(50.0)) }, 0.99),
            (Setting { tactic: Tactic::Thrifty, ..setting(0.2, lag, Some(50.0)) }, 0.99),
        ]
    };
    LAGS.into_iter().flat_map(each).collect()
}

#[test]
fn it_is_won_where_it_is_said_to_be() {
    let runs = runs(100);
    header();
    for (setting, wanted) in goals() {
        let it = row(setting, runs);
        assert!(it.contained as f64 >= wanted * runs as f64, "{setting:?}: {it:?}");
        assert_eq!(it.is_false, 0, "{setting:?}");
    }
}

/// The attacker's own calls leave so little of what IAM answers that it can't be outpaced. If this begins to fail,
/// the documents say too little.
#[test]
fn what_forbids_it_against_the_fastest_is_the_throttle() {
    let runs = runs(20);
    header();
    let at = |bucket| row(Setting { poll: 0.05, bucket, ..PLAIN }, runs);
    let (throttled, free) = (at(Some(50.0)), at(None));
    assert!(throttled.contained * 10 < runs && throttled.throttled * 5 > throttled.writes, "{throttled:?}");
    assert!(free.contained * 10 >= runs * 9 && free.throttled == 0, "{free:?}");
}

/// Nothing of what an attacker does makes a verdict false, nor lets another ID keep silently what was written by name.
#[test]
fn nothing_is_ever_called_contained_that_is_not() {
    let runs = runs(3);
    header();
    let mut all = Vec::new();
    for poll in [0.05, 0.1, 0.2, 0.5, 1.0, 2.0] {
        for lag in [(4.0, 4.0), (2.0, 6.0), (1.0, 8.0)] {
            for bucket in [None, Some(50.0), Some(15.0), Some(5.0)] {
                all.push(Setting { poll, lag, bucket, ..PLAIN });
            }
        }
    }
    for tactic in Tactic::ALL.into_iter().filter(|it| *it != Tactic::Strip) {
        for poll in [0.05, 0.5] {
            for lag in [(4.0, 4.0), (2.0, 6.0), (1.0, 8.0)] {
                for bucket in [50.0, 15.0, 5.0] {
                    all.push(Setting { tactic, poll, lag, bucket: Some(bucket), ..PLAIN });
                }
            }
        }
    }
    for setting in all {
        let it = row(setting, runs);
        assert_eq!((it.is_false, it.silent), (0, 0), "{setting:?}");
        // Half a second since the last read that showed the ID, and what a call takes.
        assert!(it.latest_stray < 0.65, "{setting:?}: {it:?}");
    }
}

#[test]
fn the_same_seed_is_the_same_fight() {
    let setting = Setting { bucket: Some(15.0), ..PLAIN };
    let runs: Vec<_> = [7, 7, 8].map(|seed| one(setting, seed)).iter().map(|it| (it.seconds, it.calls)).collect();
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}
