//! The sweep's one message of a day: who was warned, what waits for a person, which accounts were not swept.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::{Deserialize, Serialize};

use super::account::{Count, Entry, Swept};
use super::accounts::Skipped;
use super::budget::{self, Asked, Budget};
use super::ladder::Step;
use crate::day::Day;
use crate::problem::Kind;
use crate::text;

/// How many of an account's entries are kept by name for the digest; the others are counted.
const MOST_OF_ACCOUNT: usize = 100;
/// How many lines each part of the message has, and how many accounts its table: SNS takes 256 KB.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const MOST_LINES: usize = 150;
const MOST_ROWS: usize = 300;
const MOST_JSON: usize = 350_000;

/// What an account's sweep leaves for the digest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Summary {
    /// When the credential report was made.
    pub as_of: String,
    /// The first sweep of the account.
    pub is_baseline: bool,
    pub users: u32,
    pub kinds: BTreeMap<Kind, Count>,
    /// How many users a person is asked about.
    pub asked: u32,
    pub told: Vec<Entry>,
    /// How many more are not in `told`.
    #[serde(default)]
    pub more: usize,
    /// Rows of the report, and credentials, that could not be read.
    #[serde(default)]
    pub unreadable: Vec<String>,
    /// Credentials that the report does not have, by their service.
    #[serde(default)]
    pub service_credentials: BTreeMap<String, u32>,
}

impl Summary {
    /// Requests before all others, since they are what a person has to decide.
    pub fn told(swept: &Swept) -> (Vec<Entry>, usize) {
        let mut told: Vec<_> = swept.entries.iter().filter(|it| is_told(it)).cloned().collect();
        told.sort_by_key(|it| !it.step.is_asked());
        let more = told.len().saturating_sub(MOST_OF_ACCOUNT);
        told.truncate(MOST_OF_ACCOUNT);
        (told, more)
    }
}

/// By name: what happens today, and what nobody was warned of.
fn is_told(entry: &Entry) -> bool {
    entry.step.is_told() || is_listed_by_name(entry)
}

fn is_listed_by_name(entry: &Entry) -> bool {
    entry.kind.is_urgent() && entry.step == Step::Listed
}

/// A day's sweep of all accounts, one account after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    pub day: Day,
    pub seconds: i64,
    pub accounts: usize,
    pub users: u64,
    pub kinds: BTreeMap<Kind, Count>,
    /// Why nothing is asked for, though there is something to ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    pub not_swept: Vec<Skipped>,
    /// Their first sweep: they ask nothing.
    pub baselines: Vec<String>,
    /// Who is told of by name, with the account.
    pub told: Vec<(String, Entry)>,
    pub more: usize,
    pub unreadable: Vec<String>,
    pub rows: Vec<Row>,
    #[serde(skip)]
    asked: Vec<Asked>,
}

/// One account in numbers; those without any problem have none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub account: String,
    pub users: u32,
    pub kinds: BTreeMap<Kind, Count>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub service_credentials: BTreeMap<String, u32>,
}

impl Digest {
    pub fn new(day: Day, not_swept: Vec<Skipped>) -> Self {
        Self {
            day,
            seconds: 0,
            accounts: 0,
            users: 0,
            kinds: BTreeMap::new(),
            stopped: None,
            not_swept,
            baselines: Vec::new(),
            told: Vec::new(),
            more: 0,
            unreadable: Vec::new(),
            rows: Vec::new(),
            asked: Vec::new(),
        }
    }

    pub fn add(&mut self, account: &str, summary: Summary) {
        self.accounts += 1;
        self.users += u64::from(summary.users);
        for (kind, count) in &summary.kinds {
            let all = self.kinds.entry(*kind).or_default();
            all.now += count.now;
            all.new += count.new;
            all.left += count.left;
        }
        if summary.is_baseline {
            self.baselines.push(account.to_owned());
        }
        if summary.asked > 0 {
            self.asked.push(Asked { account: account.to_owned(), asked: summary.asked, users: summary.users });
        }
        self.more += summary.more;
        self.told.extend(summary.told.into_iter().map(|it| (account.to_owned(), it)));
        self.unreadable.extend(summary.unreadable.iter().map(|it| format!("{account}: {it}")));
        let has_problems = summary.kinds.values().any(|it| *it != Count::default());
        if has_problems || !summary.service_credentials.is_empty() {
            let (users, kinds) = (summary.users, summary.kinds);
            let service_credentials = summary.service_credentials;
            self.rows.push(Row { account: account.to_owned(), users, kinds, service_credentials });
        }
    }

    /// Counts what is asked for, when all accounts are in: before the first action.
    pub fn finish(mut self, budget: Budget, seconds: i64) -> Self {
        self.stopped = budget::exceeded(budget, &self.asked);
        self.seconds = seconds;
        self.told.sort_by(|a, b| (rank(&a.1), &a.0).cmp(&(rank(&b.1), &b.0)));
        self.more += self.told.len().saturating_sub(MOST_LINES * 3);
        self.told.truncate(MOST_LINES * 3);
        // The worst accounts first, where not all have room.
        self.rows.sort_by_key(|it| std::cmp::Reverse(it.kinds.values().map(|it| u64::from(it.now)).sum::<u64>()));
        self.rows.truncate(MOST_ROWS);
        self
    }

    /// The same for programs. An item of the ledger holds 400 KB, so that less is named where that is not enough.
    pub fn json(&self) -> String {
        let mut shown = self.clone();
        loop {
            let json = serde_json::to_string(&shown).unwrap_or_default();
            let longest = shown.told.len().max(shown.rows.len()).max(shown.unreadable.len()).max(shown.not_swept.len());
            if json.len() < MOST_JSON || longest == 0 {
                return json;
            }
            let half = longest / 2;
            shown.more += shown.told.len().saturating_sub(half);
            shown.told.truncate(half);
            shown.rows.truncate(half);
            shown.unreadable.truncate(half);
            shown.not_swept.truncate(half);
        }
    }

    pub fn asked(&self) -> u64 {
        self.asked.iter().map(|it| u64::from(it.asked)).sum()
    }

    pub fn subject(&self) -> String {
        let warned = self.told.iter().filter(|(_, it)| matches!(it.step, Step::Warned { .. })).count();
        let asked = match &self.stopped {
            Some(_) => "STOPPED".to_owned(),
            None => format!("{} to decide", self.asked()),
        };
        let failed = match self.not_swept.len() {
            0 => String::new(),
            n => format!(", {n} accounts NOT swept"),
        };
        format!("iam-responder sweep {}: {asked}, {warned} warned{failed}", self.day)
    }

    pub fn text(&self) -> String {
        let mut out =
            format!("Sweep of {}: {} accounts, {} users, {} s.\n", self.day, self.accounts, self.users, self.seconds);
        if let Some(stopped) = &self.stopped {
            let _ = write!(
                out,
                "\nSTOPPED: {stopped}. Nothing is asked for today. If that many are right, raise the limit; if not, \
                 look for what changed since yesterday.\n"
            );
        }
        let skipped: Vec<_> = self.not_swept.iter().map(|it| format!("{}: {}", it.account, it.reason)).collect();
        section(&mut out, "NOT SWEPT", &skipped);
        for (title, is_in) in PARTS {
            let of = self.told.iter().filter(|(_, it)| is_in(it));
            section(&mut out, title, &of.map(|(account, it)| line(account, it)).collect::<Vec<_>>());
        }
        section(&mut out, "COULD NOT BE READ", &self.unreadable);
        section(&mut out, "FIRST SWEEP, A BASELINE", &self.baselines);
        if self.more > 0 {
            let _ = writeln!(out, "\n{} more are counted below and not named.", self.more);
        }
        let rows: Vec<_> = self.rows.iter().map(Row::words).collect();
        section(&mut out, "BY ACCOUNT (since the sweep before: + new, - gone)", &rows);
        if self.kinds.values().all(|it| *it == Count::default()) && self.not_swept.is_empty() {
            out.push_str("\nNo problems.\n");
        }
        out
    }
}

type Part = (&'static str, fn(&Entry) -> bool);

const PARTS: [Part; 6] = [
    ("WAITS FOR A PERSON", |it| matches!(it.step, Step::Asked { .. })),
    ("NEW, AND NO EVENT TOLD OF IT", is_listed_by_name),
    ("REMINDED", |it| matches!(it.step, Step::Reminded { .. })),
    ("WARNED", |it| matches!(it.step, Step::Warned { .. })),
    ("COULD NOT BE CONFIRMED", |it| matches!(it.step, Step::Unconfirmed { .. })),
    ("NO PROBLEM ANY MORE", |it| matches!(it.step, Step::Left { .. })),
];

fn rank(entry: &Entry) -> usize {
    PARTS.iter().position(|(_, is_in)| is_in(entry)).unwrap_or(PARTS.len())
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title} ({})", lines.len());
    for line in lines.iter().take(MOST_LINES) {
        let _ = writeln!(out, "- {}", text::line(line, 400));
    }
    if let Some(more @ 1..) = lines.len().checked_sub(MOST_LINES) {
        let _ = writeln!(out, "- and {more} more");
    }
}

fn line(account: &str, entry: &Entry) -> String {
    let who = entry.user.as_ref().map_or_else(|| "root".to_owned(), ToString::to_string);
    let created = entry.created.map(|it| format!(", created {it}")).unwrap_or_default();
    let facts = if entry.facts.is_empty() { String::new() } else { format!(" ({})", entry.facts) };
    let step = match &entry.step {
        Step::Warned { days_left } | Step::Reminded { days_left } => format!("; {days_left} days left"),
        Step::Asked { time: 1 } => "; asked today".to_owned(),
        Step::Asked { time } => format!("; asked {time} times"),
        Step::Unconfirmed { reason } | Step::Left { reason } => format!("; {reason}"),
        _ => String::new(),
    };
    format!("{account} {who}{created}: {}{facts}{step}", entry.kind.words())
}

impl Row {
    fn words(&self) -> String {
        let one = |(kind, count): (&Kind, &Count)| {
            let change = match (count.new, count.left) {
                (0, 0) => String::new(),
                (new, left) => format!(" (+{new} -{left})"),
            };
            format!("{} {}{change}", kind.name(), count.now)
        };
        let kinds = self.kinds.iter().filter(|(_, it)| **it != Count::default()).map(one);
        let services = self.service_credentials.iter().map(|(service, n)| format!("{n} credentials of {service}"));
        let all: Vec<_> = kinds.chain(services).collect();
        format!("{}: {} users; {}", self.account, self.users, all.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::parsed;

    const BUDGET: Budget = Budget { max_actions: 5, max_share: 50 };

    fn entry(user: &str, step: Step) -> Entry {
        Entry {
            kind: Kind::MissingMfa,
            user: Some(parsed(user)),
            arn: format!("arn:aws:iam::111122223333:user/{user}"),
            created: Some(parsed("2024-01-01")),
            facts: "signed in never".to_owned(),
            first: parsed("2026-11-22"),
            step,
        }
    }

    fn summary(told: Vec<Entry>) -> Summary {
        let asked = u32::try_from(told.iter().filter(|it| it.step.is_asked()).count()).unwrap();
        let kinds = [(Kind::MissingMfa, Count { now: 3, new: 1, left: 2 })].into();
        Summary { as_of: "a".to_owned(), users: 20, kinds, asked, told, ..Summary::default() }
    }

    fn digest(told: Vec<Entry>) -> Digest {
        let skipped = Skipped { account: "444455556666".to_owned(), reason: "its state is SUSPENDED".to_owned() };
        let mut digest = Digest::new(parsed("2026-11-29"), vec![skipped]);
        digest.add("111122223333", summary(told));
        digest.add("777788889999", Summary { users: 1, is_baseline: true, ..Summary::default() });
        digest.finish(BUDGET, 42)
    }

    #[test]
    fn it_says_who_was_warned_what_waits_and_what_was_not_swept() {
        let told = vec![
            entry("alice", Step::Warned { days_left: 7 }),
            entry("bob", Step::Asked { time: 2 }),
            entry("carol", Step::Left { reason: "MFA is on".to_owned() }),
        ];
        let digest = digest(told);
        assert_eq!(digest.subject(), "iam-responder sweep 2026-11-29: 1 to decide, 1 warned, 1 accounts NOT swept");
        let text = digest.text();
        for line in [
            "Sweep of 2026-11-29: 2 accounts, 21 users, 42 s.",
            "- 444455556666: its state is SUSPENDED",
            "- 111122223333 alice, created 2024-01-01: can sign in to the console without MFA (signed in never); 7 days left",
            "- 111122223333 bob, created 2024-01-01: can sign in to the console without MFA (signed in never); asked 2 times",
            "- 111122223333: 20 users; missing-mfa 3 (+1 -2)",
            "- 777788889999",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(text.find("WAITS FOR A PERSON").unwrap() < text.find("WARNED").unwrap());
    }

    #[test]
    fn too_much_stops_it_and_says_so() {
        let many = (0..6).map(|n| entry(&format!("u{n}"), Step::Asked { time: 1 })).collect();
        let digest = digest(many);
        assert!(digest.stopped.as_ref().unwrap().contains("SWEEP_MAX_ACTIONS"));
        assert!(digest.subject().contains("STOPPED") && digest.text().contains("Nothing is asked for today"));
    }

    #[test]
    fn it_stays_within_what_sns_takes_and_counts_the_rest() {
        let long =
            |n| Entry { facts: "x".repeat(300), ..entry(&format!("user-{n:040}"), Step::Warned { days_left: 7 }) };
        let mut digest = Digest::new(parsed("2026-11-29"), Vec::new());
        for n in 0..10_000 {
            let told = vec![long(n), entry("zoe", Step::Asked { time: 1 })];
            digest.add(&format!("{n:012}"), Summary { unreadable: vec!["r".repeat(900)], ..summary(told) });
        }
        let digest = digest.finish(BUDGET, 1);
        let text = digest.text();
        assert!(text.len() < 250_000, "{}", text.len());
        assert!(text.contains("WAITS FOR A PERSON") && text.contains("more are counted below"));
        assert_eq!(digest.asked(), 10_000);
        assert!(digest.json().len() < MOST_JSON && digest.json().len() > MOST_JSON / 10);
    }

    #[test]
    fn what_an_account_asks_for_is_kept_before_the_rest() {
        let entries = (0..200).map(|n| {
            let step = if n == 199 { Step::Asked { time: 1 } } else { Step::Warned { days_left: 1 } };
            entry(&format!("u{n}"), step)
        });
        let (told, more) = Summary::told(&Swept { entries: entries.collect(), ..Swept::default() });
        assert_eq!((told.len(), more), (100, 100));
        assert!(told[0].step.is_asked());
    }

    #[test]
    fn a_summary_comes_back_from_the_ledger_as_it_was() {
        let summary = summary(vec![entry("alice", Step::Warned { days_left: 7 }), entry("b", Step::Joined)]);
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
    }
}
