//! From whom to whom: the sessions that an identity made, and those that they made, breadth first. A role's name finds
//! nothing in CloudTrail; the keys that were minted do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::trail::Event;
use crate::ids::Arn;

/// How far sessions are followed.
pub const MOST_DEPTH: usize = 3;
/// How many are.
pub const MOST_KEYS: usize = 20;

/// A session that was followed, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    pub key: String,
    pub session: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The event that made it, and when, in seconds since 1970.
    pub event: String,
    pub at: i64,
    /// The key that made it.
    pub by: String,
    pub depth: usize,
    /// Why it was not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_followed: Option<String>,
}

/// Whom the report is about, and every session of it that is known.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    links: BTreeMap<String, Link>,
    next: Vec<String>,
}

impl Chain {
    /// Takes in the events of the identity and of its sessions. `account`: in which they were looked up.
    pub fn add(&mut self, events: &[&Event], account: &str) {
        for event in events {
            let Some(minted) = &event.minted else { continue };
            if self.links.contains_key(&minted.key) {
                continue;
            }
            let depth = self.links.get(&event.actor.key).map_or(1, |it| it.depth + 1);
            let elsewhere = Arn::parse(&minted.session).filter(|it| !it.account.is_empty() && it.account != account);
            let not_followed = if let Some(arn) = elsewhere {
                Some(format!("it acts in account {}: ask for a report about the role there", arn.account))
            } else if depth > MOST_DEPTH {
                Some(format!("more than {MOST_DEPTH} sessions deep"))
            } else if self.followed().count() >= MOST_KEYS {
                Some(format!("more than {MOST_KEYS} sessions"))
            } else {
                None
            };
            if not_followed.is_none() {
                self.next.push(minted.key.clone());
            }
            let link = Link {
                key: minted.key.clone(),
                session: minted.session.clone(),
                role: minted.role.clone(),
                event: event.id.clone(),
                at: event.at,
                by: event.actor.key.clone(),
                depth,
                not_followed,
            };
            self.links.insert(minted.key.clone(), link);
        }
    }

    /// The keys to look up next: each once.
    pub fn take_next(&mut self) -> Vec<String> {
        std::mem::take(&mut self.next)
    }

    /// The time ran out before it was looked at.
    pub fn give_up(&mut self, key: &str, why: &str) {
        if let Some(link) = self.links.get_mut(key) {
            link.not_followed = Some(why.to_owned());
        }
    }

    pub fn keys(&self) -> BTreeSet<String> {
        self.followed().map(|it| it.key.clone()).collect()
    }

    fn followed(&self) -> impl Iterator<Item = &Link> {
        self.links.values().filter(|it| it.not_followed.is_none())
    }

    /// All of them, in the order in which they were made.
    pub fn links(&self) -> Vec<Link> {
        let mut links: Vec<_> = self.links.values().cloned().collect();
        links.sort_by(|a, b| (a.depth, a.at, &a.key).cmp(&(b.depth, b.at, &b.key)));
        links
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::trail::Minted;
    use crate::evidence::trail::tests::event;

    fn minting(by: &str, key: &str, account: &str) -> Event {
        let session = format!("arn:aws:sts::{account}:assumed-role/app/x");
        let minted = Some(Minted { key: key.to_owned(), session, role: None });
        let mut event = Event { minted, ..event("AssumeRole", 1) };
        event.actor.key = by.to_owned();
        event
    }

    #[test]
    fn sessions_are_followed_breadth_first_each_once() {
        let mut chain = Chain::default();
        let (a, b) = (minting("AKIA", "ASIA1", "1"), minting("AKIA", "ASIA2", "1"));
        chain.add(&[&a, &b, &a], "1");
        assert_eq!(chain.take_next(), ["ASIA1", "ASIA2"]);
        chain.add(&[&a, &b, &minting("ASIA2", "ASIA3", "1")], "1");
        assert_eq!(chain.take_next(), ["ASIA3"]);
        chain.add(&[&minting("ASIA3", "ASIA4", "1")], "1");
        chain.add(&[&minting("ASIA4", "ASIA5", "1")], "1");
        let depths: Vec<_> = chain.links().iter().map(|it| it.depth).collect();
        assert_eq!(depths, [1, 1, 2, 3, 4]);
        assert!(chain.links()[4].not_followed.as_ref().unwrap().contains("deep"));
        assert_eq!(chain.keys().len(), 4);
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let mut chain = Chain::default();
        let many: Vec<_> = (0..25).map(|n| minting("AKIA", &format!("ASIA{n:02}"), "1")).collect();
        chain.add(&many.iter().collect::<Vec<_>>(), "1");
        assert_eq!((chain.take_next().len(), chain.links().len()), (MOST_KEYS, 25));
        let mut chain = Chain::default();
        chain.add(&[&minting("AKIA", "ASIA1", "2")], "1");
        assert!(chain.take_next().is_empty());
        assert!(chain.links()[0].not_followed.as_ref().unwrap().contains("account 2"));
    }
}
