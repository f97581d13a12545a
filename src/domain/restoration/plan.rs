//! What takes a containment back: pure, from the snapshot, the state now, and what was meant to be done in
//! between.

use aws_smithy_types::DateTime;
use serde_json::Value;

use super::drift::{Case, ids, names, without};
use crate::change::{Change, INCIDENT_TAG, OUR_TAGS, REVOCATION_POLICY};
use crate::history::Kept;
use crate::identity::{Identity, Observed};

/// The longest that a role's session lasts.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-settings.html>
const LONGEST_SESSION: i64 = 12 * 3_600;

/// What to do, in the order to do it in: each only when those before it succeeded, so that the deny
/// is lifted from nobody who is only half restored.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Undoing {
    pub rejoin: Vec<Change>,
    pub boundary: Vec<Change>,
    pub lift: Vec<Change>,
    /// Last, because our tag is what lets the restore role change the identity. One after the other.
    pub tags: Vec<Change>,
    /// What changed since, and not by us.
    pub drift: Vec<String>,
    /// What stays as the containment left it, and how to replace it.
    pub stays: Vec<String>,
}

impl Undoing {
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.rejoin.iter().chain(&self.boundary).chain(&self.lift).chain(&self.tags)
    }
}

/// The access keys that it had.
pub fn keys(kept: &Kept) -> Vec<String> {
    kept.before.as_ref().and_then(|it| ids(it, "access_keys")).unwrap_or_default()
}

pub fn plan(identity: &Identity, now: &Observed, kept: &Kept, deny_all: &str, time: DateTime) -> Undoing {
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

impl Case<'_> {
    fn rejoin(&self) -> Vec<Change> {
        let user = &self.identity.name;
        if !self.is_user() {
            return Vec::new();
        }
        let attached = names(self.before, "attached_policies").unwrap_or_default();
        let groups = names(self.before, "groups").unwrap_or_default();
        let policies = without(&attached, self.attached()).cloned();
        let policies = policies.map(|policy| Change::AttachPolicy { user: user.clone(), policy });
        let groups = without(&groups, self.groups()).cloned();
        policies.chain(groups.map(|group| Change::JoinGroup { user: user.clone(), group })).collect()
    }

    fn boundary(&self) -> Vec<Change> {
        let now = self.now.profile.as_ref().ok().and_then(|it| it.boundary.as_deref());
        match self.former_boundary() {
            Some(former) if self.is_user() && now == Some(self.deny_all) && former.as_deref() != now => {
                vec![Change::RestoreBoundary { user: self.identity.name.clone(), policy: former }]
            }
            _ => Vec::new(),
        }
    }

    fn lift_deny(&self) -> Vec<Change> {
        let is_there = |it: &[String]| it.iter().any(|arn| arn == self.deny_all);
        let was_there = names(self.before, "attached_policies").is_some_and(|it| is_there(&it));
        if was_there || !is_there(self.attached()) {
            return Vec::new();
        }
        let (kind, name) = (self.identity.kind, self.identity.name.clone());
        vec![Change::LiftDenyAll { kind, name, policy: self.deny_all.to_owned() }]
    }

    /// Sessions that were stolen must not come to life again: the revocation goes only when none of
    /// them can still be alive.
    fn revocation(&self, time: DateTime) -> (Option<Change>, Option<String>) {
        let was_there =
            names(self.before, "inline_policies").unwrap_or_default().iter().any(|it| it == REVOCATION_POLICY);
        let Ok(Some(cutoff)) = &self.now.revoked_before else { return (None, None) };
        if was_there {
            return (None, None);
        }
        if cutoff.secs() + LONGEST_SESSION <= time.secs() {
            return (Some(Change::LiftRevocation { role: self.identity.name.clone() }), None);
        }
        let role = &self.identity.name;
        let until = DateTime::from_secs(cutoff.secs() + LONGEST_SESSION);
        let words = format!(
            "the sessions of role {role} from before {cutoff} stay revoked; none of them is left after {until}: then \
             remove the policy with `aws iam delete-role-policy --role-name {role} --policy-name {REVOCATION_POLICY}`"
        );
        (None, Some(words))
    }

    fn tags(&self) -> Vec<Change> {
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
        let put_back = (!put_back.is_empty()).then(|| Change::Tag { kind, name: name.clone(), tags: put_back });
        let remove = (!remove.is_empty()).then(|| Change::Untag { kind, name: name.clone(), keys: remove });
        let marks_last = former.contains_key(INCIDENT_TAG);
        if marks_last {
            remove.into_iter().chain(put_back).collect()
        } else {
            put_back.into_iter().chain(remove).collect()
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::fixtures::{identity, observed};
    use crate::history;
    use crate::identity::IdentityKind;
    use crate::outcome::Deed;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

    fn kept(before: &Observed, planned: &[&str]) -> Kept {
        Kept {
            before: Some(history::snapshot(before)),
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
        assert_eq!(undoing.changes().count(), 0);
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
            undo(&now, &kept).tags.iter().map(Change::name).collect::<Vec<_>>()
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
