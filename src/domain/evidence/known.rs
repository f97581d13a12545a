//! Every event that was found, by whomever, each once: whose they are is known only when the sessions are.

use std::collections::BTreeSet;

use super::trail::{Event, time};
use crate::identity::{Identity, IdentityKind};
use crate::text;

/// A user that renames itself again and again is looked up by its keys as well.
pub const MOST_NAMES: usize = 5;

/// IAM is believed some seconds longer than it knows somebody.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot.html#troubleshoot_general_eventual-consistency>
const LATE_SECONDS: i64 = 60;

#[derive(Debug, Clone, Default)]
pub struct Known {
    events: Vec<Event>,
    ids: BTreeSet<String>,
}

impl Known {
    /// As CloudTrail gives them, the newest first.
    pub fn add(&mut self, events: Vec<Event>) {
        for event in events {
            if self.ids.insert(event.id.clone()) {
                self.events.push(event);
            }
        }
    }

    /// Of the identity and of these sessions, the newest first: CloudTrail tells the order within a second by the order
    /// in which it gives them.
    pub fn of(&self, identity: &Identity, keys: &BTreeSet<String>) -> Vec<&Event> {
        newest_first(self.events.iter().filter(|it| it.is_by(identity, keys)))
    }

    /// By which sessions of this role were made, by whomever.
    pub fn assumptions(&self, role: &str) -> Vec<&Event> {
        let is_of_role = |it: &&Event| it.minted.as_ref().is_some_and(|it| it.role.as_deref() == Some(role));
        newest_first(self.events.iter().filter(is_of_role))
    }

    /// What else a user was called that had one of these names, before and after, by IAM's events of its account. Somebody
    /// else's name does no harm: acts count by the unique ID.
    pub fn other_names(&self, account: &str, names: &BTreeSet<String>) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let renamed: Vec<_> = self.of_iam(account).filter(|it| it.name == "UpdateUser").collect();
        loop {
            let is_its = |name: &String| names.contains(name) || found.contains(name);
            let pairs = renamed.iter().filter_map(|it| Some([it.target.as_ref()?, it.new_name.as_ref()?]));
            let joined = pairs.filter(|pair| pair.iter().any(|it| is_its(it)));
            let more: Vec<_> = joined.flatten().filter(|it| !is_its(it)).cloned().collect();
            if more.is_empty() || found.len() >= MOST_NAMES {
                return found.into_iter().take(MOST_NAMES).collect();
            }
            found.extend(more);
        }
    }

    /// Sessions that left something and of which nobody knows who made them, the newest first.
    pub fn unexplained(&self) -> Vec<String> {
        let minted: BTreeSet<_> = self.events.iter().filter_map(|it| it.minted.as_ref()).map(|it| &it.key).collect();
        let left = self.events.iter().filter(|it| it.trace.is_some() && it.actor.key.starts_with("ASIA"));
        let mut found = Vec::new();
        for event in newest_first(left.filter(|it| !minted.contains(&it.actor.key))) {
            if !found.contains(&event.actor.key) {
                found.push(event.actor.key.clone());
            }
        }
        found
    }

    /// By which event it was deleted, in words. Whoever had its name before or has it since is somebody else: it is the
    /// first deletion of its kind and name after the last sign of its unique ID. `seen`: when it was seen beside that.
    pub fn deletion(
        &self,
        identity: &Identity,
        account: &str,
        names: &BTreeSet<String>,
        seen: Option<i64>,
    ) -> Option<String> {
        let name = match identity.kind {
            IdentityKind::User => "DeleteUser",
            IdentityKind::Role => "DeleteRole",
        };
        let acted = self.events.iter().filter(|it| it.error.is_none() && it.is_by(identity, &BTreeSet::new()));
        let last = acted.map(|it| it.at).chain(seen).max().unwrap_or(i64::MIN);
        let deletions = self.of_iam(account).filter(|it| it.name == name);
        let its = deletions.filter(|it| it.target.as_ref().is_some_and(|it| names.contains(it)));
        let it = its.filter(|it| it.at.saturating_add(LATE_SECONDS) >= last).min_by_key(|it| it.at)?;
        let by = if it.actor.arn.is_empty() { &it.actor.principal_id } else { &it.actor.arn };
        Some(format!("deleted by {} at {}, event {}", text::line(by, 200), time(it.at), text::line(&it.id, 64)))
    }

    /// What was done by IAM in this account.
    fn of_iam(&self, account: &str) -> impl Iterator<Item = &Event> {
        let is_its = move |it: &&Event| it.source == "iam.amazonaws.com" && it.account == account && it.error.is_none();
        self.events.iter().filter(is_its)
    }
}

fn newest_first<'a>(events: impl Iterator<Item = &'a Event>) -> Vec<&'a Event> {
    let mut events: Vec<_> = events.collect();
    events.sort_by_key(|it| std::cmp::Reverse(it.at));
    events
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::report::tests::leaving;
    use crate::evidence::trail::Minted;
    use crate::evidence::trail::tests::event;
    use crate::fixtures::identity;

    const HOME: &str = "111122223333";

    fn names(of: &[&str]) -> BTreeSet<String> {
        of.iter().map(|it| (*it).to_owned()).collect()
    }

    /// By somebody else.
    fn about(name: &str, at: i64, target: &str) -> Event {
        let mut event = Event { target: Some(target.to_owned()), account: HOME.to_owned(), ..event(name, at) };
        event.actor.principal_id = "AIDABOB".to_owned();
        event.actor.arn = "arn:aws:iam::111122223333:user/bob".to_owned();
        event
    }

    fn deleted(known: Vec<Event>, kind: IdentityKind, seen: Option<i64>) -> Option<String> {
        let mut all = Known::default();
        all.add(known);
        all.deletion(&identity(kind), HOME, &names(&["alice", "app"]), seen)
    }

    #[test]
    fn a_deletion_of_another_service_or_of_a_role_is_not_the_users() {
        let own = event("ListUsers", 900);
        let of =
            |it: &Option<String>| it.as_ref().is_some_and(|it| it.starts_with("deleted by") && it.contains("user/bob"));
        let user = about("DeleteUser", 1_000, "alice");
        assert!(of(&deleted(vec![own.clone(), user.clone()], IdentityKind::User, None)));
        for other in [
            Event { source: "identitystore.amazonaws.com".to_owned(), ..user.clone() },
            Event { account: "444455556666".to_owned(), ..user.clone() },
            Event { error: Some("AccessDenied".to_owned()), ..user.clone() },
            about("DeleteRole", 1_000, "alice"),
            about("DeleteUser", 1_000, "carol"),
            // Whoever bore the name before.
            about("DeleteUser", 800, "alice"),
        ] {
            assert_eq!(deleted(vec![own.clone(), other], IdentityKind::User, None), None);
        }
        assert!(of(&deleted(vec![about("DeleteRole", 1_000, "app")], IdentityKind::Role, None)));
        // It was read to be contained after that.
        assert_eq!(deleted(vec![user.clone()], IdentityKind::User, Some(2_000)), None);
        // Whoever bears the name since is deleted too.
        let later = about("DeleteUser", 5_000, "alice");
        let found = deleted(vec![later, user.clone()], IdentityKind::User, None).unwrap();
        assert!(found.ends_with(&format!("event {}", user.id)), "{found}");
    }

    #[test]
    fn a_user_is_followed_to_the_names_that_it_had() {
        let renamed = |from: &str, to: &str| Event { new_name: Some(to.to_owned()), ..about("UpdateUser", 1, from) };
        let mut known = Known::default();
        let each = [("alice", "alicia"), ("alicia", "alison"), ("bob", "robert")];
        known.add(
            each.iter().enumerate().map(|(n, (from, to))| Event { id: n.to_string(), ..renamed(from, to) }).collect(),
        );
        assert_eq!(known.other_names(HOME, &names(&["alison"])), names(&["alice", "alicia"]));
        // One that is gone had its last name later.
        assert_eq!(known.other_names(HOME, &names(&["alice"])), names(&["alicia", "alison"]));
        assert_eq!(known.other_names("444455556666", &names(&["alison"])), names(&[]));
        // A circle, and more names than are looked up.
        let many =
            (0..20).map(|n| Event { id: format!("m{n}"), ..renamed(&format!("a{}", (n + 1) % 20), &format!("a{n}")) });
        known.add(many.collect());
        assert_eq!(known.other_names(HOME, &names(&["a0"])).len(), MOST_NAMES);
    }

    #[test]
    fn a_session_that_left_something_is_asked_after_unless_it_is_known_who_made_it() {
        let by = |id: &str, key: &str, at: i64| {
            let mut event = leaving(id, "", None);
            (event.id, event.at, event.actor.key) = (id.to_owned(), at, key.to_owned());
            event
        };
        let minted = Minted { key: "ASIAKNOWN".to_owned(), session: String::new(), role: None };
        let mut known = Known::default();
        let read = Event { trace: None, ..by("f", "ASIAREADS", 9) };
        known.add(vec![
            by("a", "ASIAOLD", 1),
            by("b", "ASIANEW", 5),
            by("c", "ASIANEW", 6),
            by("d", "ASIAKNOWN", 7),
            by("e", "AKIA", 8),
            read,
        ]);
        known.add(vec![Event { minted: Some(minted), ..event("AssumeRole", 1) }]);
        assert_eq!(known.unexplained(), ["ASIANEW", "ASIAOLD"]);
    }

    /// Which twenty sessions are looked at is not left to chance: whatever is going on now is among them.
    #[test]
    fn of_a_busy_roles_sessions_the_newest_are_followed() {
        let role = "arn:aws:iam::111122223333:role/app";
        let made = |n: usize, at: i64| {
            let minted = Minted { key: format!("ASIA{n:02}"), session: String::new(), role: Some(role.to_owned()) };
            // Its ID says nothing about when.
            Event { id: format!("{:02}", (n * 7) % 40), minted: Some(minted), ..event("AssumeRole", at) }
        };
        let mut known = Known::default();
        // A page has the newest first, within a second too.
        known.add((0..20).rev().map(|n| made(n, 100)).collect());
        known.add((20..40).rev().map(|n| made(n, 200)).collect());
        let mut chain = crate::evidence::chain::Chain::default();
        chain.add(&known.assumptions(role), HOME);
        let followed: BTreeSet<_> = chain.take_next().into_iter().map(|it| it.key).collect();
        assert_eq!(followed, (20..40).map(|n| format!("ASIA{n:02}")).collect());
        let mut chain = crate::evidence::chain::Chain::default();
        chain.add(&known.of(&identity(IdentityKind::User), &BTreeSet::new())[20..], HOME);
        let order: Vec<_> = chain.take_next().into_iter().map(|it| it.key).collect();
        assert_eq!((order[0].as_str(), order[19].as_str()), ("ASIA19", "ASIA00"));
    }
}
