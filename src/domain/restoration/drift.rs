//! What changed since a containment, and not by us.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::change::{Change, REVOCATION_POLICY};
use crate::identity::{Identity, IdentityKind, Observed};

/// The snapshot, the state now, and what was meant to be done in between.
pub(super) struct Case<'a> {
    pub(super) identity: &'a Identity,
    pub(super) now: &'a Observed,
    pub(super) before: &'a Value,
    pub(super) planned: &'a BTreeSet<String>,
    pub(super) deny_all: &'a str,
}

/// Absent when it could not be read at the time.
pub(super) fn names(before: &Value, field: &str) -> Option<Vec<String>> {
    before.get(field)?.as_array()?.iter().map(|it| it.as_str().map(str::to_owned)).collect()
}

pub(super) fn ids(before: &Value, field: &str) -> Option<Vec<String>> {
    before.get(field)?.as_array()?.iter().map(|it| it.get("id")?.as_str().map(str::to_owned)).collect()
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

    pub(super) fn was_taken(&self, action: &Change) -> bool {
        self.planned.contains(&action.words_of_record())
    }

    pub(super) fn detached(&self, policy: &str) -> bool {
        let user = self.identity.name.clone();
        self.was_taken(&Change::DetachPolicy { user, policy: policy.to_owned() })
    }

    pub(super) fn left(&self, group: &str) -> bool {
        let user = self.identity.name.clone();
        self.was_taken(&Change::LeaveGroup { user, group: group.to_owned() })
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
        let mut found = Vec::new();
        let unknown = ["attached_policies", "inline_policies", "groups"]
            .into_iter()
            .filter(|it| names(self.before, it).is_none());
        found.extend(unknown.map(|it| format!("the {} before are not known: they could not be read", words(it))));
        self.changed("policy", "attached_policies", self.attached(), &|it| self.detached(it), &mut found);
        self.changed("group", "groups", self.groups(), &|it| self.left(it), &mut found);
        let inline = self.now.inline.as_deref().unwrap_or_default();
        self.changed("inline policy", "inline_policies", inline, &|_| false, &mut found);
        let devices = self.now.mfa_devices.as_deref().unwrap_or_default();
        self.changed("MFA device", "mfa_devices", devices, &|_| false, &mut found);
        self.boundary_drift(&mut found);
        self.credential_drift(&mut found);
        found
    }

    fn changed(
        &self,
        what: &str,
        field: &str,
        now: &[String],
        was_taken: &dyn Fn(&str) -> bool,
        found: &mut Vec<String>,
    ) {
        let Some(before) = names(self.before, field) else { return };
        let is_ours = |it: &str| it == self.deny_all || (!self.is_user() && it == REVOCATION_POLICY);
        let added = without(now, &before).filter(|it| !is_ours(it));
        found.extend(added.map(|it| format!("{what} {it} was added since")));
        let missing = without(&before, now).filter(|it| !was_taken(it) && !is_ours(it));
        found.extend(missing.map(|it| format!("{what} {it} was taken away since, and not by us")));
    }

    fn boundary_drift(&self, found: &mut Vec<String>) {
        let now = self.now.profile.as_ref().ok().and_then(|it| it.boundary.clone());
        match self.former_boundary() {
            Some(former) if now == former || now.as_deref() == Some(self.deny_all) => {}
            Some(_) => found.push(match now {
                Some(arn) => format!("the permissions boundary was set to {arn} since"),
                None => "the permissions boundary was removed since".to_owned(),
            }),
            None => found.push("the permissions boundary before is not known: it could not be read".to_owned()),
        }
    }

    fn credential_drift(&self, found: &mut Vec<String>) {
        let before = ids(self.before, "access_keys").unwrap_or_default();
        for key in self.now.keys.iter().flatten() {
            if !before.iter().any(|it| it == key.id.as_str()) {
                found.push(format!("access key {} was created since", key.id));
            } else if key.active {
                found.push(format!("access key {} was activated since", key.id));
            }
        }
        let before = ids(self.before, "other_credentials").unwrap_or_default();
        for it in self.now.credentials.iter().flatten() {
            if !before.contains(&it.id) {
                found.push(format!("{} {} was created since", it.kind.word(), it.id));
            }
        }
        if self.now.login == Ok(true) && self.before.get("console_password") == Some(&Value::Bool(false)) {
            found.push("a console password was set since".to_owned());
        }
    }
}

fn words(field: &str) -> String {
    field.replace('_', " ")
}
