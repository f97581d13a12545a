//! What an account's sweep leaves in its row, for the count of all accounts and for the digest.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::account::{Count, Entry, Swept};
use super::step::Step;
use crate::problem::Kind;

/// How many of an account's entries are kept by name; the others are counted.
const MOST_OF_ACCOUNT: usize = 100;

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

pub(super) fn is_listed_by_name(entry: &Entry) -> bool {
    entry.kind.is_urgent() && entry.step == Step::Listed
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::parsed;

    fn entry(user: &str, step: Step) -> Entry {
        Entry {
            kind: Kind::MissingMfa,
            id: format!("missing-mfa/{user}@5"),
            user: Some(parsed(user)),
            arn: format!("arn:aws:iam::111122223333:user/{user}"),
            created: Some(parsed("2024-01-01")),
            facts: "signed in never".to_owned(),
            note: None,
            first: parsed("2026-11-22"),
            step,
        }
    }

    #[test]
    fn what_an_account_asks_for_is_kept_before_the_rest() {
        let entries = (0..200).map(|n| {
            let step = if n == 199 { Step::Asked { time: 1, last: None } } else { Step::Warned { days_left: 1 } };
            entry(&format!("u{n}"), step)
        });
        let (told, more) = Summary::told(&Swept { entries: entries.collect(), ..Swept::default() });
        assert_eq!((told.len(), more), (100, 100));
        assert!(told[0].step.is_asked());
    }

    #[test]
    fn a_summary_comes_back_from_the_ledger_as_it_was() {
        let told = vec![entry("alice", Step::Warned { days_left: 7 }), entry("b", Step::Joined)];
        let kinds = [(Kind::MissingMfa, Count { now: 3, new: 1, left: 2 })].into();
        let summary = Summary { as_of: "a".to_owned(), users: 20, kinds, told, ..Summary::default() };
        let text = serde_json::to_string(&summary).unwrap();
        assert_eq!(serde_json::from_str::<Summary>(&text).unwrap(), summary);
    }
}
