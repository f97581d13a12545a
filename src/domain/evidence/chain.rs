//! From whom to whom: the sessions that an identity made, and those that they made, breadth first, in other accounts
//! too. A role's name finds nothing in CloudTrail; the keys that were minted do.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::trail::Event;
use crate::ids::Arn;

/// How far sessions are followed.
pub const MOST_DEPTH: usize = 3;
/// How many are.
pub const MOST_KEYS: usize = 20;
/// In how many accounts beside the identity's own.
pub const MOST_ACCOUNTS: usize = 5;

/// A session that was followed, or could not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    pub key: String,
    pub session: String,
    /// In which it acts.
    pub account: String,
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

/// A session to look up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Next {
    pub account: String,
    pub key: String,
}

impl Link {
    /// It acts as the root user of its account.
    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user-privileged-task.html>
    pub fn is_of_root(&self) -> bool {
        Arn::parse(&self.session).is_some_and(|it| it.resource == "root")
    }

    /// Until when it may live, in seconds since 1970, whatever holds back whoever made it. `None`: it is one of its
    /// maker's own, and denied with it.
    pub fn outlives_its_maker_until(&self) -> Option<i64> {
        let seconds = if self.is_of_root() { MOST_ROOT_SECONDS } else { MOST_SESSION_SECONDS };
        (self.role.is_some() || self.is_of_root()).then(|| self.at.saturating_add(seconds))
    }
}

/// The longest that a role's session lasts.
const MOST_SESSION_SECONDS: i64 = 12 * 3_600;
/// The longest that one of a member account's root does.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoot.html>
const MOST_ROOT_SECONDS: i64 = 15 * 60;

/// Whom the report is about, and every session of it that is known.
#[derive(Debug, Clone, Default)]
pub struct Chain {
    links: BTreeMap<String, Link>,
    /// The keys of those that are followed: a few of any number of links, which are not gone through for each event.
    followed: BTreeSet<String>,
    next: Vec<Next>,
}

impl Chain {
    /// Takes in the events of the identity and of its sessions, the newest first. `home`: the identity's account.
    ///
    /// A role's session outlives the deny of whoever made it, and one of the user itself does not: those are followed
    /// first, so that no number of the others, which cost one call each, takes their place.
    pub fn add(&mut self, events: &[&Event], home: &str) {
        let (roles, own): (Vec<&Event>, Vec<&Event>) =
            events.iter().copied().partition(|it| it.minted.as_ref().is_some_and(|it| it.role.is_some()));
        for event in roles.into_iter().chain(own) {
            let Some(minted) = &event.minted else { continue };
            if self.links.contains_key(&minted.key) {
                continue;
            }
            let maker = self.links.get(&event.actor.key);
            let depth = maker.map_or(1, |it| it.depth + 1);
            // A session of a user, and one without an ARN, stays in its maker's account.
            let of_session = Arn::parse(&minted.session).map(|it| it.account).filter(|it| !it.is_empty());
            let account = of_session.or(maker.map(|it| it.account.as_str())).unwrap_or(home).to_owned();
            let not_followed = self.too_far(&account, home, depth);
            if not_followed.is_none() {
                self.followed.insert(minted.key.clone());
                self.next.push(Next { account: account.clone(), key: minted.key.clone() });
            }
            let link = Link {
                key: minted.key.clone(),
                session: minted.session.clone(),
                account,
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

    fn too_far(&self, account: &str, home: &str, depth: usize) -> Option<String> {
        let others: BTreeSet<_> = self.followed().map(|it| it.account.as_str()).filter(|it| *it != home).collect();
        if depth > MOST_DEPTH {
            Some(format!("more than {MOST_DEPTH} sessions deep"))
        } else if self.followed().count() >= MOST_KEYS {
            Some(format!("more than {MOST_KEYS} sessions"))
        } else if account != home && !others.contains(account) && others.len() >= MOST_ACCOUNTS {
            Some(format!("it acts in account {account}, and {MOST_ACCOUNTS} other accounts are looked at"))
        } else {
            None
        }
    }

    /// The sessions to look up next: each once.
    pub fn take_next(&mut self) -> Vec<Next> {
        std::mem::take(&mut self.next)
    }

    /// It could not be looked at.
    pub fn give_up(&mut self, key: &str, why: &str) {
        if let Some(link) = self.links.get_mut(key) {
            link.not_followed = Some(why.to_owned());
            self.followed.remove(key);
        }
    }

    /// Of all of them: what one did that was not followed is the identity's all the same, where it is found.
    pub fn keys(&self) -> BTreeSet<String> {
        self.links.keys().cloned().collect()
    }

    fn followed(&self) -> impl Iterator<Item = &Link> {
        self.followed.iter().filter_map(|it| self.links.get(it))
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

    fn next(chain: &mut Chain) -> Vec<(String, String)> {
        chain.take_next().into_iter().map(|it| (it.account, it.key)).collect()
    }

    fn in_one(keys: &[&str]) -> Vec<(String, String)> {
        keys.iter().map(|it| ("1".to_owned(), (*it).to_owned())).collect()
    }

    #[test]
    fn sessions_are_followed_breadth_first_each_once() {
        let mut chain = Chain::default();
        let (a, b) = (minting("AKIA", "ASIA1", "1"), minting("AKIA", "ASIA2", "1"));
        chain.add(&[&a, &b, &a], "1");
        assert_eq!(next(&mut chain), in_one(&["ASIA1", "ASIA2"]));
        chain.add(&[&a, &b, &minting("ASIA2", "ASIA3", "1")], "1");
        assert_eq!(next(&mut chain), in_one(&["ASIA3"]));
        chain.add(&[&minting("ASIA3", "ASIA4", "1")], "1");
        chain.add(&[&minting("ASIA4", "ASIA5", "1")], "1");
        let depths: Vec<_> = chain.links().iter().map(|it| it.depth).collect();
        assert_eq!(depths, [1, 1, 2, 3, 4]);
        assert!(chain.links()[4].not_followed.as_ref().unwrap().contains("deep"));
        assert_eq!((chain.keys().len(), chain.followed().count()), (5, 4));
    }

    /// Sessions of the user itself are denied with it, and cost one call each; a role's outlives the deny.
    #[test]
    fn a_roles_session_is_followed_before_any_number_of_the_users_own() {
        let mut all: Vec<_> = (0..MOST_KEYS).map(|n| minting("AKIA", &format!("ASIA{n:02}"), "1")).collect();
        let mut admin = minting("AKIA", "ASIAADMIN", "1");
        admin.minted.as_mut().unwrap().role = Some("arn:aws:iam::1:role/admin".to_owned());
        all.push(admin);
        let mut chain = Chain::default();
        chain.add(&all.iter().collect::<Vec<_>>(), "1");
        assert_eq!(next(&mut chain)[0].1, "ASIAADMIN");
        // What was not followed counts where it is found.
        assert_eq!((chain.keys().len(), chain.followed().count()), (MOST_KEYS + 1, MOST_KEYS));
    }

    #[test]
    fn what_is_not_followed_is_said() {
        let mut chain = Chain::default();
        let many: Vec<_> = (0..25).map(|n| minting("AKIA", &format!("ASIA{n:02}"), "1")).collect();
        chain.add(&many.iter().collect::<Vec<_>>(), "1");
        assert_eq!((chain.take_next().len(), chain.links().len()), (MOST_KEYS, 25));
        chain.give_up("ASIA00", "the time ran out");
        assert_eq!(chain.links()[0].not_followed.as_deref(), Some("the time ran out"));
    }

    #[test]
    fn a_session_is_followed_into_other_accounts_and_not_into_every_one() {
        let mut chain = Chain::default();
        chain.add(&[&minting("AKIA", "ASIA0", "2"), &minting("ASIA0", "ASIA1", "1")], "1");
        assert_eq!(next(&mut chain), [("2".to_owned(), "ASIA0".to_owned()), ("1".to_owned(), "ASIA1".to_owned())]);
        let many: Vec<_> = (3..12).map(|n| minting("AKIA", &format!("ASIA{n:02}"), &n.to_string())).collect();
        chain.add(&many.iter().collect::<Vec<_>>(), "1");
        assert_eq!(chain.take_next().len(), MOST_ACCOUNTS - 1);
        let too_many = |it: &Link| it.not_followed.as_ref().is_some_and(|it| it.contains("other accounts"));
        assert_eq!(chain.links().iter().filter(|it| too_many(it)).count(), 9 - (MOST_ACCOUNTS - 1));
        // What has no ARN of its own acts where its maker does.
        let minted = Some(Minted { key: "ASIAX".to_owned(), session: String::new(), role: None });
        let mut bare = Event { minted, ..event("GetSessionToken", 1) };
        bare.actor.key = "ASIA0".to_owned();
        chain.add(&[&bare], "1");
        assert_eq!(next(&mut chain), [("2".to_owned(), "ASIAX".to_owned())]);
    }
}
