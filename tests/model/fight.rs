//! The fight of docs/attacker.md in virtual time: thousands of runs in seconds, each the same for the same seed.
//!
//!     FIGHTS=10000 cargo test --release --locked -p domain --test fight -- --nocapture
//!
//! prints the table; with `ROW=3` the one row of a test that takes long. The pace, the budget, how long it must hold,
//! when the guardrail is wanted and how long it is waited for, how often a fight is handed on and when a report is
//! made again are the code that ships (`contest.rs`, `watch.rs`, `guardrail.rs`, `relay.rs`, `suspects.rs`,
//! `revision.rs`); IAM, its lag and throttle, the attacker, CloudTrail and the order of a look are modelled here.
//! What a call may do is decided by the state of `lag` ago, drawn anew for each call. It may be wrong where the real
//! loop does something in another order: `tests/experiments/attacker.py` plays some of the settings against the real
//! binary.

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
#[path = "fight/table.rs"]
mod table;
#[path = "fight/world.rs"]
mod world;

use attacker::Tactic;
use table::{header, play, row, rows, runs};
use world::Fight;

/// Who helps: an administrator whom the flagged key makes before the strike is enforced, and who goes on for ever.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Help {
    None,
    AtLarge,
    /// Contained as a child once CloudTrail tells of it, with `CONTAIN_CHILDREN`.
    ChildrenContained,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Guardrail {
    None,
    Before,
    OnDemand,
}

/// Seconds as they would be on AWS.
#[derive(Debug, Clone, Copy)]
struct Setting {
    tactic: Tactic,
    poll: f64,
    /// How long the barriers are off, for who puts them back.
    gap: f64,
    lag: (f64, f64),
    settle: f64,
    /// Calls a second that IAM answers for the account, all kinds together.
    bucket: Option<f64>,
    /// When the verdict must be in, or the fight is handed on.
    until: f64,
    is_handed_on: bool,
    help: Help,
    guardrail: Guardrail,
}

/// Of 300 s that the function may run ten are kept for the notices, and a tenth of the rest for the end.
const PLAIN: Setting = Setting {
    tactic: Tactic::Strip,
    poll: 0.5,
    gap: 0.12,
    lag: (4.0, 4.0),
    settle: 12.0,
    bucket: Some(50.0),
    until: 261.0,
    is_handed_on: false,
    help: Help::None,
    guardrail: Guardrail::None,
};
const LAGS: [(f64, f64); 2] = [(4.0, 4.0), (2.0, 6.0)];
const DEMANDED: Setting = Setting { guardrail: Guardrail::OnDemand, ..PLAIN };

/// Whoever puts back, by the lag as that one knows it and the settle time: how long the barriers are off, and how
/// often it tries where it can be let through. The best for it of those that were tried.
const PUT_BACK: [((f64, f64), f64, f64, f64); 8] = [
    ((4.0, 4.0), 12.0, 0.05, 0.005),
    ((4.0, 4.0), 40.0, 0.08, 0.005),
    ((3.9, 4.1), 12.0, 0.12, 0.005),
    ((3.9, 4.1), 40.0, 0.08, 0.005),
    ((3.5, 4.5), 12.0, 0.3, 0.005),
    ((3.5, 4.5), 40.0, 0.3, 0.02),
    ((2.0, 6.0), 12.0, 0.12, 0.02),
    ((2.0, 6.0), 40.0, 0.12, 0.02),
];

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

/// Once it binds nobody takes the deny off, however fast: what was let through after that was decided by a state of
/// before.
#[test]
fn with_the_guardrail_on_demand_it_is_won_once_that_binds() {
    let runs = runs(10);
    header();
    for lag in LAGS {
        for poll in [0.5, 0.2, 0.05] {
            for bucket in [50.0, 15.0, 5.0] {
                let setting = Setting { poll, lag, bucket: Some(bucket), ..DEMANDED };
                let it = row(setting, runs);
                assert_eq!((it.contained, it.is_false, it.is_untrue), (runs, 0, 0), "{setting:?}: {it:?}");
            }
        }
    }
}

/// At large it keeps the victim's keys active under the deny: contained, and never said to be.
#[test]
fn an_accomplice_at_large_is_stopped_by_the_guardrail_alone() {
    let runs = runs(10);
    header();
    for guardrail in [Guardrail::None, Guardrail::OnDemand, Guardrail::Before] {
        for (poll, lag) in [(0.5, (4.0, 4.0)), (0.5, (2.0, 6.0)), (0.2, (4.0, 4.0)), (0.05, (4.0, 4.0))] {
            let it = row(Setting { poll, lag, help: Help::AtLarge, guardrail, ..PLAIN }, runs);
            assert_eq!((it.is_false, it.said), (0, 0), "{it:?}");
            match guardrail {
                // Faster, they take each other's calls from what IAM answers.
                Guardrail::None => assert!(poll < 0.2 || it.contained == 0, "{it:?}"),
                _ => assert_eq!(it.contained, runs, "{it:?}"),
            }
        }
    }
}

/// It is found by the report, and that is asked for when the fight is first handed on, and when a verdict is in.
/// Without the guardrail the two free each other: none is called contained while the other is not seen to be held.
#[test]
fn an_accomplice_who_is_contained_as_a_child_loses_the_fight() {
    let runs = runs(1);
    let mut all = Vec::new();
    for guardrail in [Guardrail::OnDemand, Guardrail::None] {
        for (poll, lag) in [(0.5, (4.0, 4.0)), (0.5, (2.0, 6.0)), (0.2, (4.0, 4.0))] {
            let help = Help::ChildrenContained;
            all.push(Setting { poll, lag, help, guardrail, is_handed_on: true, ..PLAIN });
        }
    }
    for (setting, it) in rows(all, runs) {
        assert_eq!((it.is_false, it.is_untrue, it.is_child_false), (0, 0, 0), "{it:?}");
        assert!(setting.guardrail == Guardrail::None || it.contained == runs, "{it:?}");
    }
}

/// What SECURITY.md says is not held: a look sees a state, and this attacker leaves none to see. Under the guardrail
/// it can take nothing off. If the first part begins to fail, the documents say too little of the responder.
#[test]
fn who_puts_back_before_a_look_is_seen_by_chance_alone() {
    let runs = runs(20);
    header();
    for (lag, settle, gap, poll) in PUT_BACK {
        let with = |guardrail| Setting { tactic: Tactic::PutsBack, poll, gap, lag, guardrail, settle, ..PLAIN };
        let open = row(with(Guardrail::None), runs);
        assert!(lag != (4.0, 4.0) || settle > 12.0 || open.is_false > runs / 4, "{open:?}");
        if settle > 12.0 {
            continue;
        }
        row(with(Guardrail::OnDemand), runs);
        let guarded = row(with(Guardrail::Before), runs);
        assert_eq!((guarded.contained, guarded.is_false), (runs, 0), "{guarded:?}");
    }
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

/// The same with an accomplice, with the guardrail, and with both.
#[test]
fn nor_with_an_accomplice_or_the_guardrail() {
    let runs = runs(1);
    header();
    for guardrail in [Guardrail::None, Guardrail::OnDemand, Guardrail::Before] {
        for help in [Help::None, Help::AtLarge, Help::ChildrenContained] {
            for tactic in Tactic::ALL.into_iter().filter(|_| guardrail != Guardrail::None || help != Help::None) {
                for poll in [0.05, 0.5] {
                    for lag in LAGS {
                        let setting = Setting { tactic, poll, lag, help, guardrail, ..PLAIN };
                        let it = row(setting, runs);
                        assert_eq!((it.is_false, it.silent), (0, 0), "{setting:?}");
                        let is_held = it.contained == runs && it.is_untrue == 0;
                        assert!(guardrail == Guardrail::None || is_held, "{setting:?}: {it:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn the_same_seed_is_the_same_fight() {
    let setting = Setting { bucket: Some(15.0), ..PLAIN };
    let fought = |seed| Fight::new(setting, seed).run();
    let runs: Vec<_> = [7, 7, 8].map(fought).iter().map(|it| (it.seconds, it.calls)).collect();
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
    assert_eq!(play(setting, 8).seconds, (0..8).map(|it| fought(it).seconds).sum::<f64>());
}
