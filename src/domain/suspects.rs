//! Who else may act for the attacker: kept with the identity until a person closes each one.
//!
//! A suspect is backed by an event, or came into being from a day before the first response on: a time
//! of weeks ago would make one of every role of a pipeline.

use std::collections::{BTreeMap, BTreeSet};

/// How long before the first response somebody may have been made for it.
pub const WINDOW_MILLIS: i64 = 24 * 3_600_000;
/// How many are kept one by one; the others are counted.
pub const MOST: usize = 200;
/// What a person calls all of them at once, those that are only counted included.
pub const ALL: &str = "all";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suspect {
    /// What a person closes it by: a unique ID, or what the suspicion is.
    pub id: String,
    pub words: String,
    /// Since when there is one, in milliseconds since 1970.
    pub since: i64,
}

/// Everybody suspected around one identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspects {
    /// By ID, in words.
    pub open: BTreeMap<String, String>,
    /// Those whom a person closed.
    pub closed: BTreeSet<String>,
    /// How many more there were than are kept.
    pub more: usize,
    /// Until when a person closed all of them, in milliseconds since 1970.
    pub all_closed_at: i64,
}

impl Suspects {
    /// Since when whoever came into being is one, in milliseconds since 1970.
    pub fn from(first_response: Option<i64>, now: i64) -> i64 {
        first_response.unwrap_or(now).min(now).saturating_sub(WINDOW_MILLIS)
    }

    /// Adds those that are not closed, and returns those that are to be kept anew.
    pub fn add(&mut self, found: Vec<Suspect>) -> Vec<Suspect> {
        let mut added = Vec::new();
        let mut more = 0;
        for it in found {
            let is_known = self.open.contains_key(&it.id) || self.closed.contains(&it.id);
            if is_known || (it.since > 0 && it.since <= self.all_closed_at) {
                continue;
            }
            if self.open.len() >= MOST {
                more += 1;
                continue;
            }
            self.open.insert(it.id.clone(), it.words.clone());
            added.push(it);
        }
        self.more = self.more.max(more);
        added
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.more == 0
    }

    pub fn words(&self) -> Vec<String> {
        let rest = (self.more > 0)
            .then(|| format!("open suspect: {} more, who are not listed (`{ALL}` closes them)", self.more));
        self.open.values().cloned().chain(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(n: usize) -> Suspect {
        Suspect { id: format!("AIDA{n}"), words: format!("user {n}"), since: 1_000 }
    }

    #[test]
    fn only_a_person_takes_one_away() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.add(vec![suspect(1), suspect(2)]).len(), 2);
        assert_eq!(suspects.add(vec![suspect(2)]), Vec::new());
        assert_eq!(suspects.words(), ["user 1", "user 2"]);
        suspects.open.remove("AIDA1");
        suspects.closed.insert("AIDA1".to_owned());
        assert_eq!(suspects.add(vec![suspect(1)]), Vec::new());
        assert_eq!(suspects.words(), ["user 2"]);
    }

    #[test]
    fn two_hundred_are_kept_and_the_others_counted() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.add((0..MOST + 3).map(suspect).collect()).len(), MOST);
        assert_eq!((suspects.open.len(), suspects.more), (MOST, 3));
        assert!(suspects.words().last().unwrap().contains("3 more"));
        // Found again, they are not counted twice; closed, they are not found again.
        suspects.add((0..MOST + 3).map(suspect).collect());
        assert_eq!(suspects.more, 3);
        (suspects.more, suspects.all_closed_at) = (0, 1_000);
        suspects.add((0..MOST + 3).map(suspect).collect());
        assert_eq!(suspects.more, 0);
    }

    #[test]
    fn the_window_begins_a_day_before_the_first_response() {
        let day = WINDOW_MILLIS;
        assert_eq!(Suspects::from(None, 5 * day), 4 * day);
        assert_eq!(Suspects::from(Some(2 * day), 5 * day), day);
    }
}
