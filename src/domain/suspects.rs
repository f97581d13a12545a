//! Who else may act for the attacker: kept with the identity until a person closes each one.
//!
//! A suspect is backed by an event, or came into being from a day before the first response on: a time
//! of weeks ago would make one of every role of a pipeline.
//!
//! INVARIANT: a person closes what a report has named, and nothing that came after it. `tests/test_suspects.py`
//! holds it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How long before the first response somebody may have been made for it.
pub const WINDOW_MILLIS: i64 = 24 * 3_600_000;
/// How many are kept one by one; the others are counted.
pub const MOST: usize = 200;
/// What a person calls all of them at once, those that are only counted included.
pub const ALL: &str = "all";

/// How late IAM may list somebody, and how far its clock may be from ours.
const LISTED_LATE_MILLIS: i64 = 10_000;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspect {
    /// What a person closes it by: a unique ID, or what the suspicion is.
    pub id: String,
    pub words: String,
    /// Since when there is one, in milliseconds since 1970; 0 where nobody knows. Of a suspicion, what it was seen in
    /// last: a closure is about what was seen until then.
    pub since: i64,
}

/// Everybody suspected around one identity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Suspects {
    /// By ID.
    pub open: BTreeMap<String, Suspect>,
    /// Those whom a person closed, by ID, and up to which `since`.
    pub closed: BTreeMap<String, i64>,
    /// How many more there were than are kept.
    pub more: usize,
    /// The latest `since` of those that are only counted.
    pub more_since: i64,
    /// Whoever came into being until then was in a report: the last that found somebody.
    pub named_at: i64,
    /// Until when a person closed all of them, in milliseconds since 1970.
    pub all_closed_at: i64,
}

/// What a person's command closes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closing {
    /// By ID, and up to which `since`.
    pub closed: BTreeMap<String, i64>,
    /// How many that are only counted.
    pub more: usize,
    /// Until when all are closed.
    pub all_closed_at: i64,
}

impl Suspect {
    /// As a record keeps it whose suspects could not be kept in their own place.
    pub fn short(&self) -> String {
        format!("{} {}", self.since, self.id)
    }

    /// One that an earlier try named and could not keep.
    pub fn of_short(short: &str) -> Option<Self> {
        let (since, id) = short.split_once(' ')?;
        let words = format!("open suspect: {id}, named by an earlier try, which could not keep it: see the alerts");
        Some(Self { id: id.to_owned(), words, since: since.parse().ok()? })
    }

    /// Stands for all of an earlier response that said there were some, of whom the ledger has none.
    pub fn unknown() -> Self {
        let words = "open suspects of an earlier response are not in the ledger: see its alert for who they are";
        Self { id: "unknown-suspects".to_owned(), words: words.to_owned(), since: 0 }
    }
}

impl Suspects {
    /// Since when whoever came into being is one, in milliseconds since 1970.
    pub fn from(first_response: Option<i64>, now: i64) -> i64 {
        first_response.unwrap_or(now).min(now).saturating_sub(WINDOW_MILLIS)
    }

    /// Until when whoever came into being is in a list that was read from then on.
    pub fn named_at(looked: i64) -> i64 {
        looked.saturating_sub(LISTED_LATE_MILLIS)
    }

    /// Whether a person closed it, as it is now.
    pub fn is_closed(&self, it: &Suspect) -> bool {
        let is_closed = self.closed.get(&it.id).is_some_and(|until| it.since <= *until);
        is_closed || (it.since > 0 && it.since <= self.all_closed_at)
    }

    /// Whether it is open or closed already, as it is now.
    pub fn knows(&self, it: &Suspect) -> bool {
        self.is_closed(it) || self.open.get(&it.id).is_some_and(|known| it.since <= known.since)
    }

    /// Adds those that are not known, and returns those that are to be kept anew.
    pub fn add(&mut self, found: Vec<Suspect>) -> Vec<Suspect> {
        let mut added = Vec::new();
        let mut more = 0;
        for it in found {
            if self.knows(&it) {
                continue;
            }
            if self.open.len() >= MOST && !self.open.contains_key(&it.id) {
                more += 1;
                self.more_since = self.more_since.max(it.since);
                continue;
            }
            self.open.insert(it.id.clone(), it.clone());
            added.push(it);
        }
        self.more = self.more.max(more);
        added
    }

    pub fn is_empty(&self) -> bool {
        self.open.is_empty() && self.more == 0
    }

    /// There is none, and there never was one.
    pub fn is_untouched(&self) -> bool {
        self.is_empty() && self.closed.is_empty() && self.all_closed_at == 0
    }

    /// What is closed with this ID, or with all; `None` where nothing is open.
    pub fn closing(&self, which: &str) -> Option<Closing> {
        if which != ALL {
            let it = self.open.get(which)?;
            let closed = BTreeMap::from([(it.id.clone(), it.since)]);
            return Some(Closing { closed, more: 0, all_closed_at: self.all_closed_at });
        }
        if self.is_empty() {
            return None;
        }
        let closed = self.open.values().map(|it| (it.id.clone(), it.since)).collect();
        let all_closed_at = self.all_closed_at.max(self.named_at).max(self.more_since);
        Some(Closing { closed, more: self.more, all_closed_at })
    }

    pub fn words(&self) -> Vec<String> {
        let rest = (self.more > 0)
            .then(|| format!("open suspect: {} more, who are not listed (`{ALL}` closes them)", self.more));
        self.open.values().map(|it| it.words.clone()).chain(rest).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn suspect(n: usize) -> Suspect {
        Suspect { id: format!("AIDA{n}"), words: format!("user {n}"), since: 1_000 }
    }

    fn close(suspects: &mut Suspects, which: &str) {
        let Closing { closed, more: _, all_closed_at } = suspects.closing(which).unwrap();
        suspects.open.retain(|id, _| !closed.contains_key(id));
        suspects.closed.extend(closed);
        if which == ALL {
            (suspects.more, suspects.more_since) = (0, 0);
        }
        suspects.all_closed_at = all_closed_at;
    }

    #[test]
    fn only_a_person_takes_one_away() {
        let mut suspects = Suspects::default();
        assert_eq!(suspects.add(vec![suspect(1), suspect(2)]).len(), 2);
        assert_eq!(suspects.add(vec![suspect(2)]), Vec::new());
        assert_eq!(suspects.words(), ["user 1", "user 2"]);
        close(&mut suspects, "AIDA1");
        assert_eq!(suspects.closing("AIDA1"), None);
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
        close(&mut suspects, ALL);
        suspects.add((0..MOST + 3).map(suspect).collect());
        assert!(suspects.is_empty() && !suspects.is_untouched());
    }

    #[test]
    fn a_suspicion_is_closed_for_what_was_seen_until_then() {
        let sessions = |since| Suspect { id: "new-sessions".to_owned(), words: format!("seen at {since}"), since };
        let mut suspects = Suspects::default();
        suspects.add(vec![sessions(5)]);
        // What was seen later is the same suspicion, and the words are the newest.
        assert_eq!(suspects.add(vec![sessions(7)]).len(), 1);
        assert_eq!(suspects.words(), ["seen at 7"]);
        close(&mut suspects, "new-sessions");
        assert_eq!(suspects.add(vec![sessions(7), sessions(6)]), Vec::new());
        assert_eq!(suspects.add(vec![sessions(8)]).len(), 1);
    }

    #[test]
    fn all_are_those_whom_a_report_has_named() {
        let mut suspects = Suspects { named_at: 900, ..Suspects::default() };
        assert_eq!(suspects.closing(ALL), None);
        suspects.add(vec![suspect(1)]);
        close(&mut suspects, ALL);
        assert_eq!(suspects.add(vec![suspect(1)]), Vec::new());
        // Made before the person's command, and in no report.
        assert_eq!(suspects.add(vec![suspect(2)]).len(), 1);
    }

    #[test]
    fn one_that_could_not_be_kept_is_remembered_by_its_id() {
        let it = suspect(1);
        let again = Suspect::of_short(&it.short()).unwrap();
        assert_eq!((again.id, again.since), (it.id, it.since));
        assert_eq!(Suspect::of_short("?"), None);
    }

    #[test]
    fn the_window_begins_a_day_before_the_first_response() {
        let day = WINDOW_MILLIS;
        assert_eq!(Suspects::from(None, 5 * day), 4 * day);
        assert_eq!(Suspects::from(Some(2 * day), 5 * day), day);
    }
}
