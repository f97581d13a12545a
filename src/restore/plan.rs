//! What takes a containment back: pure, from the state before, the state now, and what was meant to
//! be done in between.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;
use serde_json::Value;

use crate::action::{Action, INCIDENT_TAG, OUR_TAGS, REVOCATION_POLICY};
use crate::identity::{Identity, IdentityKind, Observed};
use crate::ledger::Kept;

/// The longest that a role's session lasts.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-settings.html>
const LONGEST_SESSION: i64 = 12 * 3_600;

/// What to do, in the order to do it in: each only when those before it succeeded, so that the deny
/// is lifted from nobody who is only half restored.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Undoing {
    pub rejoin: Vec<Action>,
    pub boundary: Vec<Action>,
    pub lift: Vec<Action>,
    /// Last, because our tag is what lets the restore role change the identity. One after the other.
    pub tags: Vec<Action>,
    /// What changed since, and not by us.
    pub drift: Vec<String>,
    /// What stays as the containment left it, and how to replace it.
    pub stays: Vec<String>,
}

impl Undoing {
    pub(crate) fn actions(&self) -> impl Iterator<Item = &Action> {
        self.rejoin.iter().chain(&self.boundary).chain(&self.lift).chain(&self.tags)
    }
}

/// The access keys that it had.
pub(crate) fn keys(kept: &Kept) -> Vec<String> {
    kept.before.as_ref().and_then(|it| ids(it, "access_keys")).unwrap_or_default()
}

struct Case<'a> {
    identity: &'a Identity,
    now: &'a Observed,
    before: &'a Value,
    planned: &'a BTreeSet<String>,
    deny_all: &'a str,
}

pub(crate) fn plan(identity: &Identity, now: &Observed, kept: &Kept, deny_all: &str, time: DateTime) -> Undoing {
    let Some(before) = &kept.before else { return Undoing::default() };
    let case = Case { identity, now, before, planned: &kept.planned, deny_all };
    let (rejoin, boundary) = (case.rejoin(), case.boundary());
    let mut lift = case.lift_deny();
    let (revocation, revoked_for_now) = case.revocation(time);
    lift.extend(revocation);
    let mut stays = case.stays();
    stays.extend(revoked_for_now);
    Undoing { rejoin, boundary, lift, tags: case.tags(), drift: case.drift(), stays }
}

/// Absent when it could not be read at the time.
fn names(before: &Value, field: &str) -> Option<Vec<String>> {
    before.get(field)?.as_array()?.iter().map(|it| it.as_str().map(str::to_owned)).collect()
}

fn ids(before: &Value, field: &str) -> Option<Vec<String>> {
    before.get(field)?.as_array()?.iter().map(|it| it.get("id")?.as_str().map(str::to_owned)).collect()
}

fn without<'a>(these: &'a [String], those: &'a [String]) -> impl Iterator<Item = &'a String> {
    these.iter().filter(move |it| !those.contains(it))
}

impl Case<'_> {
    fn is_user(&self) -> bool {
        self.identity.kind == IdentityKind::User
    }

    fn attached(&self) -> &[String] {
        self.now.attached.as_deref().unwrap_or_default()
    }

    fn groups(&self) -> &[String] {
        self.now.groups.as_deref().unwrap_or_default()
    }

    fn was_taken(&self, action: &Action) -> bool {
        self.planned.contains(&action.words_of_record())
    }

    fn detached(&self, policy: &str) -> bool {
        let user = self.identity.name.clone();
        self.was_taken(&Action::DetachPolicy { user, policy: policy.to_owned() })
    }

    fn left(&self, group: &str) -> bool {
        let user = self.identity.name.clone();
        self.was_taken(&Action::LeaveGroup { user, group: group.to_owned() })
    }

    fn rejoin(&self) -> Vec<Action> {
        let user = &self.identity.name;
        if !self.is_user() {
            return Vec::new();
        }
        let attached = names(self.before, "attached_policies").unwrap_or_default();
        let groups = names(self.before, "groups").unwrap_or_default();
        let policies = without(&attached, self.attached()).cloned();
        let policies = policies.map(|policy| Action::AttachPolicy { user: user.clone(), policy });
        let groups = without(&groups, self.groups()).cloned();
        policies.chain(groups.map(|group| Action::JoinGroup { user: user.clone(), group })).collect()
    }

    /// Absent when it is not known; `Some(None)` when there was none.
    fn former_boundary(&self) -> Option<Option<String>> {
        match self.before.get("permissions_boundary")? {
            Value::Null => Some(None),
            Value::String(arn) => Some(Some(arn.clone())),
            _ => None,
        }
    }

    fn boundary(&self) -> Vec<Action> {
        let now = self.now.profile.as_ref().ok().and_then(|it| it.boundary.as_deref());
        match self.former_boundary() {
            Some(former) if self.is_user() && now == Some(self.deny_all) && former.as_deref() != now => {
                vec![Action::RestoreBoundary { user: self.identity.name.clone(), policy: former }]
            }
            _ => Vec::new(),
        }
    }

    fn lift_deny(&self) -> Vec<Action> {
        let is_there = |it: &[String]| it.iter().any(|arn| arn == self.deny_all);
        let was_there = names(self.before, "attached_policies").is_some_and(|it| is_there(&it));
        if was_there || !is_there(self.attached()) {
            return Vec::new();
        }
        let (kind, name) = (self.identity.kind, self.identity.name.clone());
        vec![Action::LiftDenyAll { kind, name, policy: self.deny_all.to_owned() }]
    }

    /// Sessions that were stolen must not come to life again: the revocation goes only when none of
    /// them can still be alive.
    fn revocation(&self, time: DateTime) -> (Option<Action>, Option<String>) {
        let was_there =
            names(self.before, "inline_policies").unwrap_or_default().iter().any(|it| it == REVOCATION_POLICY);
        let Ok(Some(cutoff)) = &self.now.revoked_before else { return (None, None) };
        if was_there {
            return (None, None);
        }
        if cutoff.secs() + LONGEST_SESSION <= time.secs() {
            return (Some(Action::LiftRevocation { role: self.identity.name.clone() }), None);
        }
        let role = &self.identity.name;
        let until = DateTime::from_secs(cutoff.secs() + LONGEST_SESSION);
        let words = format!(
            "the sessions of role {role} from before {cutoff} stay revoked; none of them is left after {until}: then \
             remove the policy with `aws iam delete-role-policy --role-name {role} --policy-name {REVOCATION_POLICY}`"
        );
        (None, Some(words))
    }

    fn tags(&self) -> Vec<Action> {
        let (kind, name) = (self.identity.kind, &self.identity.name);
        let now = self.now.profile.as_ref().map(|it| it.tags.clone()).unwrap_or_default();
        let former = self.before.get("tags").and_then(Value::as_object).cloned().unwrap_or_default();
        let (mut put_back, mut remove) = (Vec::new(), Vec::new());
        for (key, value) in now.iter().filter(|(key, _)| OUR_TAGS.contains(&key.as_str())) {
            match former.get(key).and_then(Value::as_str) {
                Some(old) if old == value => {}
                Some(old) => put_back.push((key.clone(), old.to_owned())),
                None => remove.push(key.clone()),
            }
        }
        // Whichever takes our mark away comes last.
        let put_back = (!put_back.is_empty()).then(|| Action::Tag { kind, name: name.clone(), tags: put_back });
        let remove = (!remove.is_empty()).then(|| Action::Untag { kind, name: name.clone(), keys: remove });
        let marks_last = former.contains_key(INCIDENT_TAG);
        if marks_last {
            remove.into_iter().chain(put_back).collect()
        } else {
            put_back.into_iter().chain(remove).collect()
        }
    }

    fn drift(&self) -> Vec<String> {
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

    fn stays(&self) -> Vec<String> {
        let name = &self.identity.name;
        let mut stays = Vec::new();
        for key in self.now.keys.iter().flatten().filter(|it| !it.active) {
            stays.push(format!(
                "access key {} stays inactive: create another with `aws iam create-access-key --user-name {name}`, then \
                 delete it",
                key.id
            ));
        }
        for it in self.now.credentials.iter().flatten().filter(|it| !it.active) {
            stays.push(format!("{} {} stays inactive: create another, then delete it", it.kind.word(), it.id));
        }
        if self.now.login == Ok(false) && self.before.get("console_password") == Some(&Value::Bool(true)) {
            stays.push(format!(
                "the console password is gone: set another with `aws iam create-login-profile --user-name {name} \
                 --password-reset-required --password ...`"
            ));
        }
        stays
    }
}

fn words(field: &str) -> String {
    field.replace('_', " ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::before;
    use crate::playbooks::tests::{identity, observed};

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

    fn kept(before: &Observed, planned: &[&str]) -> Kept {
        Kept {
            before: Some(before::to_json(before)),
            planned: planned.iter().map(|it| (*it).to_owned()).collect(),
            ..Kept::default()
        }
    }

    fn undo(now: &Observed, kept: &Kept) -> Undoing {
        plan(&identity(IdentityKind::User), now, kept, DENY_ALL, DateTime::from_secs(1_000_000))
    }

    #[test]
    fn an_identity_as_before_needs_nothing() {
        let mut state = observed();
        state.keys.as_mut().unwrap().iter_mut().for_each(|it| it.active = false);
        let undoing = undo(&state, &kept(&state, &[]));
        assert_eq!(undoing.actions().count(), 0);
        assert_eq!(undoing.drift, Vec::<String>::new());
        assert_eq!(undoing.stays.len(), state.keys.unwrap().len());
    }

    #[test]
    fn only_what_we_took_may_be_missing() {
        let before = observed();
        let mut now = before.clone();
        now.keys.as_mut().unwrap().clear();
        let policy = now.attached.as_mut().unwrap().remove(0);
        let ours = format!("DetachPolicy {policy}");
        assert_eq!(undo(&now, &kept(&before, &[&ours])).drift, Vec::<String>::new());
        assert_eq!(
            undo(&now, &kept(&before, &[])).drift,
            [format!("policy {policy} was taken away since, and not by us")]
        );
    }

    #[test]
    fn a_deny_that_was_there_before_stays() {
        let mut state = observed();
        state.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        assert!(undo(&state, &kept(&state, &[])).lift.is_empty());
        assert_eq!(undo(&state, &kept(&observed(), &[])).lift.len(), 1);
    }

    #[test]
    fn our_mark_goes_last() {
        let mut now = observed();
        now.profile.as_mut().unwrap().tags = OUR_TAGS.iter().map(|it| ((*it).to_owned(), "ours".to_owned())).collect();
        let order = |tags: Value| {
            let mut kept = kept(&observed(), &[]);
            kept.before.as_mut().unwrap()["tags"] = tags;
            undo(&now, &kept).tags.iter().map(Action::name).collect::<Vec<_>>()
        };
        assert_eq!(order(json!({})), ["Untag"]);
        assert_eq!(order(json!({"SecurityIncident": "theirs"})), ["Untag", "Tag"]);
        assert_eq!(order(json!({"FindingId": "theirs"})), ["Tag", "Untag"]);
    }

    #[test]
    fn sessions_stay_revoked_as_long_as_one_can_be_alive() {
        let mut now = observed();
        let mut lifted = |cutoff: i64| {
            now.revoked_before = Ok(Some(DateTime::from_secs(cutoff)));
            let kept = kept(&observed(), &[]);
            plan(&identity(IdentityKind::Role), &now, &kept, DENY_ALL, DateTime::from_secs(1_000_000)).lift.len()
        };
        assert_eq!(lifted(1_000_000 - LONGEST_SESSION), 1);
        assert_eq!(lifted(1_000_001 - LONGEST_SESSION), 0);
    }
}
