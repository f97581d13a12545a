//! The sweep's one message of a day: who was warned, what waits for a person, which accounts were not swept.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::{Count, Entry};
use super::accounts::Skipped;
use super::release::Release;
use super::summary::Summary;
use crate::day::Day;
use crate::problem::Kind;

mod words;

use words::rank;

/// How many lines each part of the message has, and how many accounts its table: SNS takes 256 KB.
/// <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
const MOST_LINES: usize = 150;
const MOST_ROWS: usize = 300;
const MOST_BYTES: usize = 240_000;
const MOST_JSON: usize = 350_000;

/// A day's sweep of all accounts, one account after the other.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Digest {
    pub day: Day,
    pub seconds: i64,
    pub accounts: usize,
    pub users: u64,
    pub kinds: BTreeMap<Kind, Count>,
    /// How many users the accounts' rows ask about.
    pub to_ask: u64,
    /// What the function that asks made of it; absent where it was not heard of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<Release>,
    /// Not everything that was released was sent to the queue.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_partly_sent: bool,
    /// When the oldest credential report was made that it tells of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    /// Those that end within a week, or ended within the last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exemptions: Vec<String>,
    pub not_swept: Vec<Skipped>,
    /// Their first sweep: they ask nothing.
    pub baselines: Vec<String>,
    /// Who is told of by name, with the account.
    pub told: Vec<(String, Entry)>,
    pub more: usize,
    pub unreadable: Vec<String>,
    pub rows: Vec<Row>,
}

/// One account in numbers; those without any problem have none.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Row {
    pub account: String,
    /// When its credential report was made.
    #[serde(default)]
    pub as_of: String,
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
            to_ask: 0,
            release: None,
            is_partly_sent: false,
            as_of: None,
            exemptions: Vec::new(),
            not_swept,
            baselines: Vec::new(),
            told: Vec::new(),
            more: 0,
            unreadable: Vec::new(),
            rows: Vec::new(),
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
        self.to_ask += u64::from(summary.asked);
        // Both are of one form, which sorts as the times do.
        if self.as_of.as_ref().is_none_or(|it| *it > summary.as_of) {
            self.as_of = Some(summary.as_of.clone());
        }
        self.more += summary.more;
        self.told.extend(summary.told.into_iter().map(|it| (account.to_owned(), it)));
        self.unreadable.extend(summary.unreadable.iter().map(|it| format!("{account}: {it}")));
        let has_problems = summary.kinds.values().any(|it| *it != Count::default());
        if has_problems || !summary.service_credentials.is_empty() {
            let Summary { as_of, users, kinds, service_credentials, .. } = summary;
            self.rows.push(Row { account: account.to_owned(), as_of, users, kinds, service_credentials });
        }
    }

    /// When all accounts are in.
    pub fn finish(mut self, release: Option<Release>, seconds: i64) -> Self {
        self.release = release;
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
}

#[cfg(test)]
mod tests {
    use super::super::step::{Ending, Step};
    use super::*;
    use crate::fixtures::parsed;

    fn asked(time: u32) -> Step {
        Step::Asked { time, last: None }
    }

    fn entry(user: &str, step: Step) -> Entry {
        Entry {
            kind: Kind::MissingMfa,
            id: format!("missing-mfa/{user}@5"),
            note: None,
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
        let release = Release { asked: usize::try_from(digest.to_ask).unwrap(), ..Release::default() };
        digest.finish(Some(release), 42)
    }

    #[test]
    fn it_says_who_was_warned_what_waits_and_what_was_not_swept() {
        let told = vec![
            entry("alice", Step::Warned { days_left: 7 }),
            entry("bob", asked(2)),
            entry("carol", Step::Left { reason: "MFA is on".to_owned() }),
        ];
        let digest = digest(told);
        assert_eq!(digest.subject(), "iam-responder sweep 2026-11-29: 1 to decide, 1 warned, 1 accounts NOT swept");
        let text = digest.text();
        for line in [
            "Sweep of 2026-11-29: 2 accounts, 21 users, 42 s.",
            "- 444455556666: its state is SUSPENDED",
            "- 111122223333 alice, created 2024-01-01: can sign in to the console without MFA (signed in never); 7 days left",
            "- 111122223333 bob, created 2024-01-01: can sign in to the console without MFA (signed in never); request 2",
            "- 111122223333: 20 users; missing-mfa 3 (+1 -2)",
            "- 777788889999",
        ] {
            assert!(text.lines().any(|it| it == line), "{line}\n{text}");
        }
        assert!(text.find("WAITS FOR A PERSON").unwrap() < text.find("WARNED").unwrap());
    }

    #[test]
    fn it_says_what_was_made_of_what_is_asked_for() {
        let told = |release: Option<Release>| {
            let mut digest = Digest::new(parsed("2026-11-29"), Vec::new());
            digest.add("111122223333", summary(vec![entry("a", asked(1)), entry("b", asked(3))]));
            let digest = digest.finish(release, 1);
            (digest.subject().split(": ").nth(1).unwrap().to_owned(), digest.text())
        };
        let release = Release { asked: 2, ..Release::default() };
        let (subject, text) = told(Some(release.clone()));
        assert!(subject.starts_with("2 to decide") && !text.contains("mode"), "{text}");
        let (subject, text) = told(Some(Release { stopped: Some("2 are too many".to_owned()), ..Release::default() }));
        assert!(subject.starts_with("STOPPED") && text.contains("STOPPED: 2 are too many. Nobody is asked"), "{text}");
        assert!(text.contains(r#"{"release":{"by":"YOUR NAME","reason":"WHY"},"scheduled":"2026-11-29"}"#), "{text}");
        let (subject, text) = told(Some(Release { asked: 1, enforced: 1, ..Release::default() }));
        assert!(subject.starts_with("1 to decide, 1 done unasked") && text.contains("their mode is `enforce`"));
        let (_, text) = told(Some(Release { asked: 1, ..Release::default() }));
        assert!(text.contains("the mode of the others is `observe`"), "{text}");
        let (_, text) = told(Some(Release { by: Some("Dana: a migration".to_owned()), ..release }));
        assert!(text.contains("Released by Dana: a migration"));
        let (subject, text) = told(None);
        assert!(subject.starts_with("NOBODY WAS ASKED") && text.contains("or the next sweep asks"));
    }

    #[test]
    fn it_says_that_not_everything_was_sent() {
        let mut digest = digest(vec![entry("a", asked(1))]);
        digest.is_partly_sent = true;
        assert!(
            digest.subject().contains("NOT EVERYBODY WAS ASKED") && digest.text().contains("NOT EVERYBODY WAS ASKED")
        );
    }

    #[test]
    fn it_says_how_requests_ended() {
        let ended = Step::Ended { ending: Ending::Declined { by: "Dana".to_owned() }, is_news: true };
        let again = Step::Asked { time: 2, last: Some(Ending::Expired) };
        let spared = Entry { note: Some("it was exempt".to_owned()), ..entry("c", Step::Warned { days_left: 7 }) };
        let refused = Ending::Refused { reason: "it is in PROTECTED_PRINCIPALS".to_owned() };
        let refused = entry("e", Step::Ended { ending: refused, is_news: true });
        let told = vec![entry("a", ended), entry("b", again), spared, entry("d", Step::Overdue), refused];
        let text = digest(told).text();
        assert!(text.contains("PROTECTED, AND NOT ASKED ABOUT (1)") && text.contains("DECIDED (1)"), "{text}");
        for end in [
            "; nobody is asked: it is in PROTECTED_PRINCIPALS",
            "; declined by Dana",
            "; request 2; the last one: nobody decided",
            "; 7 days left; it was exempt",
        ] {
            assert!(text.lines().any(|it| it.ends_with(end)), "{end}\n{text}");
        }
        assert!(text.contains("OVERDUE, AND NO KEY TO TAKE AWAY (1)"));
    }

    #[test]
    fn it_stays_within_what_sns_takes_and_counts_the_rest() {
        let long =
            |n| Entry { facts: "x".repeat(300), ..entry(&format!("user-{n:040}"), Step::Warned { days_left: 7 }) };
        let mut digest = Digest::new(parsed("2026-11-29"), Vec::new());
        for n in 0..10_000 {
            let told = vec![long(n), entry("zoe", asked(1))];
            digest.add(&format!("{n:012}"), Summary { unreadable: vec!["r".repeat(900)], ..summary(told) });
        }
        let digest = digest.finish(None, 1);
        let text = digest.text();
        assert!(text.len() < 250_000, "{}", text.len());
        assert!(text.contains("WAITS FOR A PERSON") && text.contains("more are counted below"));
        assert_eq!(digest.to_ask, 10_000);
        assert!(digest.json().len() < MOST_JSON && digest.json().len() > MOST_JSON / 10);
    }
}
