//! What changed since a containment, and not by us.

use serde_json::Value;

use super::taken::{Taken, ids, names};
use crate::change::{Change, REVOCATION_POLICY, console_hold, is_our_tag};
use crate::finding::Threat;
use crate::history::{self, CONTENTS, OTHER_TAGS, Response};
use crate::identity::{Identity, IdentityKind, Observed};

/// The response that is taken back with its snapshot, those that stay in force, and the state now.
pub(super) struct Case<'a> {
    pub(super) identity: &'a Identity,
    pub(super) now: &'a Observed,
    pub(super) before: &'a Value,
    pub(super) taken: &'a Taken,
    pub(super) deny_all: &'a str,
}

pub(super) fn without<'a>(these: &'a [String], those: &'a [String]) -> impl Iterator<Item = &'a String> {
    these.iter().filter(move |it| !those.contains(it))
}

impl Case<'_> {
    pub(super) fn is_user(&self) -> bool {
        self.identity.kind == IdentityKind::User
    }

    pub(super) fn attached(&self) -> &[String] {
        self.now.attached.as_deref().unwrap_or_default()
    }

    pub(super) fn groups(&self) -> &[String] {
        self.now.groups.as_deref().unwrap_or_default()
    }

    /// Whether the response that is taken back took it.
    fn is_taken(&self, change: &Change) -> bool {
        self.taken.response.planned.contains(&change.words_of_record())
    }

    /// Whether one of ours took it, which may be one that stays in force.
    fn was_taken(&self, change: &Change) -> bool {
        self.is_taken(change) || self.taken.left.iter().any(|it| it.planned.contains(&change.words_of_record()))
    }

    /// Whether it is for this restore to give back: what a later response took too stays with that one.
    pub(super) fn gives_back(&self, change: &Change) -> bool {
        let later = self.taken.left.iter().filter(|it| it.at > self.taken.response.at);
        let mut later = later.filter(|it| it.planned.contains(&change.words_of_record()));
        self.is_taken(change) && later.next().is_none()
    }

    pub(super) fn detach(&self, policy: &str) -> Change {
        Change::DetachPolicy { user: self.identity.name.clone(), policy: policy.to_owned() }
    }

    pub(super) fn leave(&self, group: &str) -> Change {
        Change::LeaveGroup { user: self.identity.name.clone(), group: group.to_owned() }
    }

    fn was_given_back(&self, change: &Change) -> bool {
        self.taken.was_given_back(&change.words_of_record())
    }

    /// The response that is taken back, and those that stay.
    pub(super) fn responses(&self) -> impl Iterator<Item = &Response> {
        std::iter::once(&self.taken.response).chain(&self.taken.left)
    }

    /// Whether a response of ours denies it, this one or another.
    pub(super) fn is_quarantined(&self) -> bool {
        self.responses().any(|it| it.is_quarantine())
    }

    pub(super) fn is_console_hold(&self, policy: &str) -> bool {
        console_hold(&self.identity.arn).is_some_and(|it| it == policy)
    }

    /// Whether one of ours meant to do it, whatever the identity was called then.
    fn meant(&self, change: &str) -> bool {
        self.responses().any(|it| meant(it, change).next().is_some())
    }

    /// Absent when it is not known; `Some(None)` when there was none.
    pub(super) fn former_boundary(&self) -> Option<Option<String>> {
        match self.before.get("permissions_boundary")? {
            Value::Null => Some(None),
            Value::String(arn) => Some(Some(arn.clone())),
            _ => None,
        }
    }

    pub(super) fn drift(&self) -> Vec<String> {
        let mut found = self.unknown();
        let user = &self.identity.name;
        let policy = |it: &str| Ours {
            gone: self.was_taken(&self.detach(it)),
            come: (it == self.deny_all && self.is_quarantined())
                || (self.meant("HoldConsole") && self.is_console_hold(it))
                || self.was_given_back(&Change::AttachPolicy { user: user.clone(), policy: it.to_owned() }),
        };
        self.changed("policy", "attached_policies", self.attached(), &policy, &mut found);
        let group = |it: &str| Ours {
            gone: self.was_taken(&self.leave(it)),
            come: self.was_given_back(&Change::JoinGroup { user: user.clone(), group: it.to_owned() }),
        };
        self.changed("group", "groups", self.groups(), &group, &mut found);
        let inline = self.now.inline.as_deref().unwrap_or_default();
        let revocation = |it: &str| Ours { gone: false, come: self.is_revocation(it) };
        self.changed("inline policy", "inline_policies", inline, &revocation, &mut found);
        self.contents_drift(&mut found);
        let devices = self.now.mfa_devices.as_deref().unwrap_or_default();
        self.changed("MFA device", "mfa_devices", devices, &|_| Ours::default(), &mut found);
        self.trust_drift(&mut found);
        self.tag_drift(&mut found);
        self.boundary_drift(&mut found);
        self.credential_drift(&mut found);
        found
    }

    /// What could not be read at the time, so that nobody can tell whether it changed.
    fn unknown(&self) -> Vec<String> {
        let many = |it: &str| format!("the {} before are not known: they could not be read", words(it));
        let one = |it: &str| format!("the {} before is not known: it could not be read", words(it));
        let lists = ["attached_policies", "inline_policies", "groups", "mfa_devices"];
        let mut unknown: Vec<_> = lists.into_iter().filter(|it| names(self.before, it).is_none()).map(many).collect();
        let credentials = ["access_keys", "other_credentials"];
        unknown.extend(credentials.into_iter().filter(|it| ids(self.before, it).is_none()).map(many));
        if self.before.get("console_password").is_none_or(|it| !it.is_boolean()) {
            unknown.push(one("console_password"));
        }
        // A user has none; a snapshot of an older version has no tags.
        if self.before.get("trust_policy").is_some_and(Value::is_object) {
            unknown.push(one("trust_policy"));
        }
        if self.before.get(OTHER_TAGS).is_some_and(|it| it.get("unreadable").is_some()) {
            unknown.push(many("tags"));
        }
        unknown
    }

    fn is_revocation(&self, inline: &str) -> bool {
        !self.is_user() && inline == REVOCATION_POLICY && self.is_quarantined()
    }

    fn changed(&self, what: &str, field: &str, now: &[String], ours: &dyn Fn(&str) -> Ours, found: &mut Vec<String>) {
        let Some(before) = names(self.before, field) else { return };
        let added = without(now, &before).filter(|it| !ours(it).come);
        found.extend(added.map(|it| format!("{what} {it} was added since")));
        let missing = without(&before, now).filter(|it| !ours(it).gone);
        found.extend(missing.map(|it| format!("{what} {it} was taken away since, and not by us")));
    }

    /// What an intruder plants under a name that was there before.
    fn contents_drift(&self, found: &mut Vec<String>) {
        let Some(before) = self.before.get(CONTENTS).and_then(Value::as_object) else {
            return found.push("what the policies said before is not known: it could not be read".to_owned());
        };
        let Ok(now) = &self.now.contents else { return };
        let is_revocation = |it: &str| it.strip_prefix("inline policy ").is_some_and(|it| self.is_revocation(it));
        let differs = |name: &str, old: &Value| now.get(name).is_some_and(|it| old.as_str() != Some(it));
        let changed = before.iter().filter(|(name, old)| !is_revocation(name) && differs(name, old));
        found.extend(changed.map(|(name, _)| match name.strip_prefix("policy ") {
            Some(arn) => format!("policy {arn} was changed since: another version of it counts"),
            None => format!("{name} was changed since"),
        }));
    }

    fn trust_drift(&self, found: &mut Vec<String>) {
        let now = self.now.profile.as_ref().ok().and_then(|it| it.trust.as_deref());
        let before = self.before.get("trust_policy").and_then(Value::as_str);
        if before.is_some() && before != now {
            found.push("the trust policy was changed since".to_owned());
        }
    }

    /// What policies may decide by; ours apart. IAM compares keys without case.
    fn tag_drift(&self, found: &mut Vec<String>) {
        let Some(before) = self.before.get(OTHER_TAGS).and_then(Value::as_object) else { return };
        let Ok(profile) = &self.now.profile else { return };
        let now = history::other_tags(profile);
        for (key, _) in profile.tags.iter().filter(|(key, _)| !is_our_tag(key)) {
            let id = history::tag_key(key);
            match (before.get(&id).and_then(Value::as_str), now.get(&id)) {
                (None, _) => found.push(format!("tag {key} was added since")),
                (Some(old), Some(value)) if old != value => found.push(format!("tag {key} was changed since")),
                _ => {}
            }
        }
        match before.keys().filter(|it| !now.contains_key(*it)).count() {
            0 => {}
            n => found.push(format!("tags were removed since: {n}")),
        }
    }

    /// It worked before, and no response meant to deactivate keys: one that only denies while people are asked does
    /// not.
    fn was_left_active(&self, key: &str) -> bool {
        let before = self.before.get("access_keys").and_then(Value::as_array);
        let old = before.into_iter().flatten().find(|it| it.get("id").and_then(Value::as_str) == Some(key));
        let was_active = old.and_then(|it| it.get("active")) == Some(&Value::Bool(true));
        // One playbook takes a single key, all others every one that is active.
        let takes = |it: &Response| {
            let mut taken = meant(it, "DeactivateAccessKey");
            match it.playbook == Threat::PlantedKey.playbook() {
                true => taken.any(|it| it.split(' ').any(|it| it == key)),
                false => taken.next().is_some(),
            }
        };
        was_active && !self.responses().any(takes)
    }

    fn boundary_drift(&self, found: &mut Vec<String>) {
        let now = self.now.profile.as_ref().ok().and_then(|it| it.boundary.clone());
        match self.former_boundary() {
            Some(former) if now == former || (now.as_deref() == Some(self.deny_all) && self.is_boundary_ours()) => {}
            Some(_) => found.push(match now {
                Some(arn) => format!("the permissions boundary was set to {arn} since"),
                None => "the permissions boundary was removed since".to_owned(),
            }),
            None => found.push("the permissions boundary before is not known: it could not be read".to_owned()),
        }
    }

    fn credential_drift(&self, found: &mut Vec<String>) {
        let before = ids(self.before, "access_keys").unwrap_or_default();
        let had_password = self.before.get("console_password") == Some(&Value::Bool(true));
        for key in self.now.keys.iter().flatten() {
            if !before.iter().any(|it| it == key.id.as_str()) {
                found.push(format!("access key {} was created since", key.id));
            } else if key.active && !self.was_left_active(key.id.as_str()) {
                found.push(format!("access key {} was activated since", key.id));
            }
        }
        let before = self.before.get("other_credentials").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        for it in self.now.credentials.iter().flatten() {
            let user = self.identity.name.clone();
            let deactivated = Change::DeactivateCredential { user, kind: it.kind, id: it.id.clone() };
            let is_same = |old: &&Value| old.get("id").and_then(Value::as_str) == Some(&it.id);
            match before.iter().find(is_same) {
                None => found.push(format!("{} {} was created since", it.kind.word(), it.id)),
                Some(old) => {
                    let was_inactive = old.get("active") == Some(&Value::Bool(false)) || self.was_taken(&deactivated);
                    if it.active && was_inactive {
                        found.push(format!("{} {} was activated since", it.kind.word(), it.id));
                    }
                }
            }
        }
        let is_known = self.before.get("console_password").is_some_and(Value::is_boolean);
        if self.now.login == Ok(true) && is_known && (!had_password || self.meant("DeleteLoginProfile")) {
            found.push("a console password was set since".to_owned());
        }
    }
}

/// Whose doing it is that something came or went.
#[derive(Default)]
struct Ours {
    come: bool,
    gone: bool,
}

/// What a response meant to do of this kind: the rest of each line.
pub(super) fn meant<'a>(it: &'a Response, change: &'a str) -> impl Iterator<Item = &'a str> {
    let lines = it.planned.iter().filter_map(|it| it.split_once(' '));
    lines.filter(move |(name, _)| *name == change).map(|(_, rest)| rest)
}

fn words(field: &str) -> String {
    field.replace('_', " ")
}
