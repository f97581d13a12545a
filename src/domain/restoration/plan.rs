//! What takes a containment back: pure, from the snapshot, the state now, and what was meant to be done in
//! between.
//!
//! INVARIANT: what one response took is given back, and nothing that another one or a person took.
//! `tests/test_restore_responses.py` holds it.

use aws_smithy_types::DateTime;
use serde_json::Value;

use super::drift::{Case, meant, without};
use super::held::LONGEST_SESSION;
use super::taken::{Taken, names};
use crate::change::{Change, FINDING_TAG, INCIDENT_TAG, QUARANTINED, REMEDIATED, REVOCATION_POLICY, is_our_tag};
use crate::history::{FORMER_REVOCATION, Response};
use crate::identity::{Identity, IdentityKind, Observed};

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
    /// Why none of it can be done, and what to do first.
    pub obstacle: Option<String>,
}

impl Undoing {
    pub fn changes(&self) -> impl Iterator<Item = &Change> {
        self.rejoin.iter().chain(&self.boundary).chain(&self.lift).chain(&self.tags)
    }
}

pub fn plan(identity: &Identity, now: &Observed, taken: &Taken, deny_all: &str, time: DateTime) -> Undoing {
    let case = Case { identity, now, before: &taken.response.before, taken, deny_all };
    let (rejoin, boundary) = (case.rejoin(), case.boundary());
    let (mut lift, mut stays) = (Vec::new(), case.stays());
    let ((deny, why), (revocation, words)) = (case.lift_deny(), case.revocation(time));
    lift.extend(deny.into_iter().chain(case.lift_console_hold()).chain(revocation));
    stays.extend(why.into_iter().chain(words));
    let mut drift = case.drift();
    drift.extend(case.held_drift(time));
    drift.extend(case.revived(time, &lift));
    let tags = case.tags(case.keeps_revocation(time));
    let undoing = Undoing { rejoin, boundary, lift, tags, drift, stays, obstacle: None };
    let obstacle = case.no_mark().filter(|_| undoing.changes().next().is_some());
    Undoing { obstacle, ..undoing }
}

impl Case<'_> {
    fn rejoin(&self) -> Vec<Change> {
        let user = &self.identity.name;
        if !self.is_user() {
            return Vec::new();
        }
        let attached = names(self.before, "attached_policies").unwrap_or_default();
        let groups = names(self.before, "groups").unwrap_or_default();
        // What somebody else took since is theirs, and `force` is no word about it.
        let policies = without(&attached, self.attached()).filter(|it| self.gives_back(&self.detach(it))).cloned();
        let policies = policies.map(|policy| Change::AttachPolicy { user: user.clone(), policy });
        let groups = without(&groups, self.groups()).filter(|it| self.gives_back(&self.leave(it))).cloned();
        policies.chain(groups.map(|group| Change::JoinGroup { user: user.clone(), group })).collect()
    }

    /// Another response that stays in force and wants the identity held back.
    fn holder(&self) -> Option<&Response> {
        self.taken.left.iter().rfind(|it| it.is_quarantine())
    }

    fn boundary(&self) -> Vec<Change> {
        let now = self.now.profile.as_ref().ok().and_then(|it| it.boundary.as_deref());
        match self.former_boundary() {
            Some(former)
                if self.is_user()
                    && self.taken.response.is_quarantine()
                    && self.holder().is_none()
                    && now == Some(self.deny_all)
                    && self.is_boundary_ours()
                    && former.as_deref() != now =>
            {
                vec![Change::RestoreBoundary { user: self.identity.name.clone(), policy: former }]
            }
            _ => Vec::new(),
        }
    }

    /// The change, or why it stays.
    fn lift_deny(&self) -> (Option<Change>, Option<String>) {
        let is_there = |it: &[String]| it.iter().any(|arn| arn == self.deny_all);
        let was_there = names(self.before, "attached_policies").is_some_and(|it| is_there(&it));
        if was_there || !is_there(self.attached()) || !self.taken.response.is_quarantine() {
            return (None, None);
        }
        let (kind, name) = (self.identity.kind, self.identity.name.clone());
        if let Some(holder) = self.holder() {
            let words = format!("{} stays attached: the response {} holds {name} too", self.deny_all, holder.id);
            return (None, Some(words));
        }
        (Some(Change::LiftDenyAll { kind, name, policy: self.deny_all.to_owned() }), None)
    }

    /// What the response attached, unless another one holds the console back too.
    fn lift_console_hold(&self) -> Option<Change> {
        let meant_it = |it: &Response| meant(it, "HoldConsole").next().is_some();
        let was_there = names(self.before, "attached_policies").unwrap_or_default();
        let policy = self.attached().iter().find(|it| self.is_console_hold(it) && !was_there.contains(it))?;
        let is_only_ones = meant_it(&self.taken.response) && !self.taken.left.iter().any(meant_it);
        let user = self.identity.name.clone();
        is_only_ones.then(|| Change::LiftConsoleHold { user, policy: policy.clone() })
    }

    /// Where a role's inline policies were full, the deny alone holds its stolen sessions back: who lifts it while
    /// one of them can be alive must know.
    fn revived(&self, time: DateTime, lift: &[Change]) -> Option<String> {
        let was_revoked = self.is_revoked();
        let until = DateTime::from_secs(self.taken.last_seen / 1_000 + LONGEST_SESSION);
        let lifts = lift.iter().any(|it| matches!(it, Change::LiftDenyAll { .. }));
        (lifts && !self.is_user() && !was_revoked && until.secs() > time.secs()).then(|| {
            format!(
                "only {} holds back the sessions of role {} from before the containment, which can be alive until \
                 {until}: with `force` they work again",
                self.deny_all, self.identity.name
            )
        })
    }

    /// The revocation, where it is for this restore to see to. One that was there before and still counts may be
    /// what an earlier restore left.
    fn own_revocation(&self, time: DateTime) -> Option<DateTime> {
        let was_there =
            names(self.before, "inline_policies").unwrap_or_default().iter().any(|it| it == REVOCATION_POLICY);
        let cutoff = self.now.revoked_before.as_ref().ok().copied().flatten()?;
        let is_ours =
            !was_there || is_young(cutoff, time) || meant(&self.taken.response, "RevokeSessions").next().is_some();
        (is_ours && self.taken.response.is_quarantine() && !self.is_user()).then_some(cutoff)
    }

    /// Sessions that were stolen must not come to life again: the revocation goes only when none of
    /// them can still be alive. The change, or why it stays.
    fn revocation(&self, time: DateTime) -> (Option<Change>, Vec<String>) {
        let Some(cutoff) = self.own_revocation(time) else { return (None, Vec::new()) };
        let role = &self.identity.name;
        let former = self.before.get(FORMER_REVOCATION).and_then(Value::as_str);
        let mut words: Vec<_> = former.map(|it| format!(
            "{REVOCATION_POLICY} of role {role} said something else before the containment, which is not put back: {it}"
        )).into_iter().collect();
        if let Some(holder) = self.holder() {
            words.push(format!("{REVOCATION_POLICY} stays: the response {} holds role {role} too", holder.id));
            return (None, words);
        }
        if !is_young(cutoff, time) {
            return (Some(Change::LiftRevocation { role: role.clone() }), words);
        }
        words.push(stays_revoked(role.as_str(), cutoff));
        (None, words)
    }

    /// Without our mark, anybody in the account could take the revocation away that stays.
    fn keeps_revocation(&self, time: DateTime) -> bool {
        self.holder().is_none() && self.own_revocation(time).is_some_and(|it| is_young(it, time))
    }

    /// IAM refuses the restore role whatever bears no mark; only who contains can set it.
    fn no_mark(&self) -> Option<String> {
        let tags = self.now.profile.as_ref().map(|it| it.tags.as_slice()).unwrap_or_default();
        if tags.iter().any(|(key, value)| key == INCIDENT_TAG && is_mark(value)) {
            return None;
        }
        let (kind, name, mark) = (self.identity.kind.word(), &self.identity.name, &self.taken.response.mark);
        let room = match tags.len() {
            50.. => {
                format!(
                    "make room with `aws iam untag-{kind} --{kind}-name {name} --tag-keys ...` (it has fifty; a tag that is \
                     missing then asks for `force`), "
                )
            }
            _ => String::new(),
        };
        Some(format!(
            "{kind} `{name}` bears no tag `{INCIDENT_TAG}`, and nothing without it can be restored: {room}set it with `aws \
             iam tag-{kind} --{kind}-name {name} --tags Key={INCIDENT_TAG},Value={mark}`, then send the command again"
        ))
    }

    fn tags(&self, keeps_mark: bool) -> Vec<Change> {
        let (kind, name) = (self.identity.kind, &self.identity.name);
        let now = self.now.profile.as_ref().map(|it| it.tags.clone()).unwrap_or_default();
        if let Some(marks) = self.taken.left.iter().rfind(|it| it.is_quarantine()).or(self.taken.left.last()) {
            return self.marks_of(marks, &now);
        }
        let former = self.before.get("tags").and_then(Value::as_object).cloned().unwrap_or_default();
        let (mut put_back, mut remove) = (Vec::new(), Vec::new());
        let goes = |key: &str| is_our_tag(key) && !(keeps_mark && key == INCIDENT_TAG);
        for (key, value) in now.iter().filter(|(key, _)| goes(key)) {
            match former.iter().find(|(it, _)| it.eq_ignore_ascii_case(key)) {
                Some((old_key, old)) if old_key == key && old == value => {}
                Some((old_key, old)) => put_back.push((old_key.clone(), old.as_str().unwrap_or_default().to_owned())),
                None => remove.push(key.clone()),
            }
        }
        // Whichever takes our mark away comes last.
        let put_back = (!put_back.is_empty()).then(|| Change::Tag { kind, name: name.clone(), tags: put_back });
        let remove = (!remove.is_empty()).then(|| Change::Untag { kind, name: name.clone(), keys: remove });
        let marks_last = former.keys().any(|it| it.eq_ignore_ascii_case(INCIDENT_TAG));
        if marks_last {
            remove.into_iter().chain(put_back).collect()
        } else {
            put_back.into_iter().chain(remove).collect()
        }
    }

    /// The tags tell of a response that stays in force, and let the restore role take that one back too.
    fn marks_of(&self, it: &Response, now: &[(String, String)]) -> Vec<Change> {
        let wanted = [(INCIDENT_TAG, &it.mark), (FINDING_TAG, &it.finding)];
        let differs = |(key, value): &(&str, &String)| now.iter().any(|(k, v)| k == key && v != *value);
        let tags: Vec<_> = wanted.into_iter().filter(differs).map(|(k, v)| (k.to_owned(), v.clone())).collect();
        let (kind, name) = (self.identity.kind, self.identity.name.clone());
        if tags.is_empty() { Vec::new() } else { vec![Change::Tag { kind, name, tags }] }
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

/// Whether sessions that it revokes can still be alive.
fn is_young(cutoff: DateTime, time: DateTime) -> bool {
    cutoff.secs() + LONGEST_SESSION > time.secs()
}

fn stays_revoked(role: &str, cutoff: DateTime) -> String {
    let until = DateTime::from_secs(cutoff.secs() + LONGEST_SESSION);
    format!(
        "the sessions of role {role} from before {cutoff} stay revoked, and the tag {INCIDENT_TAG} stays, which protects \
         that; none of them is left after {until}: then send the same `restore` again, and both go"
    )
}

/// What an earlier restore of a role left for as long as stolen sessions can be alive: the revocation and the mark.
/// `None`: it left nothing, or somebody has changed it.
pub fn leftover(identity: &Identity, now: &Observed, time: DateTime) -> Option<Result<Undoing, String>> {
    let (kind, name) = (identity.kind, identity.name.clone());
    let tags = now.profile.as_ref().map(|it| it.tags.as_slice()).unwrap_or_default();
    let is_marked = tags.iter().any(|(key, value)| key == INCIDENT_TAG && is_mark(value));
    let cutoff =
        now.revoked_before.as_ref().ok().copied().flatten().filter(|_| is_marked && kind == IdentityKind::Role)?;
    if is_young(cutoff, time) {
        return Some(Err(stays_revoked(name.as_str(), cutoff)));
    }
    leftover_still(identity, now, time).map(Ok)
}

/// What of it is still to do while it is being taken away. `None`: somebody has revoked sessions anew.
pub fn leftover_still(identity: &Identity, now: &Observed, time: DateTime) -> Option<Undoing> {
    let (kind, name) = (identity.kind, identity.name.clone());
    let cutoff = now.revoked_before.as_ref().ok().copied().flatten();
    if now.not_a_revocation.is_some() || cutoff.is_some_and(|it| is_young(it, time)) {
        return None;
    }
    let tags = now.profile.as_ref().map(|it| it.tags.as_slice()).unwrap_or_default();
    let keys: Vec<_> = tags.iter().map(|(key, _)| key.clone()).filter(|it| is_our_tag(it)).collect();
    let lift = cutoff.map(|_| Change::LiftRevocation { role: name.clone() }).into_iter().collect();
    let tags = if keys.is_empty() { Vec::new() } else { vec![Change::Untag { kind, name, keys }] };
    Some(Undoing { lift, tags, ..Undoing::default() })
}

fn is_mark(value: &str) -> bool {
    value == QUARANTINED || value == REMEDIATED
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;
    use crate::change::OUR_TAGS;
    use crate::fixtures::{identity, observed};
    use crate::history;
    use crate::outcome::Deed;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

    fn taken(playbook: &str, before: &Observed, planned: &[&str]) -> Taken {
        let mut response = Response::new(playbook, "f", DateTime::from_secs(1_000), history::snapshot(before));
        response.planned = planned.iter().map(|it| (*it).to_owned()).collect();
        Taken { response, left: Vec::new(), given_back: BTreeSet::new(), last_seen: 1_000_000, done: BTreeSet::new() }
    }

    fn kept(before: &Observed, planned: &[&str]) -> Taken {
        taken("compromised-credential", before, planned)
    }

    fn undo(now: &Observed, taken: &Taken) -> Undoing {
        plan(&identity(IdentityKind::User), now, taken, DENY_ALL, DateTime::from_secs(1_000_000))
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
            kept.response.before["tags"] = tags;
            undo(&now, &kept).tags.iter().map(Change::name).collect::<Vec<_>>()
        };
        assert_eq!(order(json!({})), ["Untag"]);
        assert_eq!(order(json!({"SecurityIncident": "theirs"})), ["Untag", "Tag"]);
        assert_eq!(order(json!({"FindingId": "theirs"})), ["Tag", "Untag"]);
        // What is there as it was before is left alone.
        assert_eq!(order(json!({"FindingId": "ours"})), ["Untag"]);
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

    fn beside(mut taken: Taken, other: Taken, other_began: i64) -> Taken {
        taken.left.push(Response { at: other_began, ..other.response });
        taken
    }

    #[test]
    fn only_what_this_response_took_comes_back() {
        let before = observed();
        let mut now = before.clone();
        let policy = now.attached.as_mut().unwrap().remove(0);
        now.groups.as_mut().unwrap().clear();
        let (detached, left) = (format!("DetachPolicy {policy}"), "LeaveGroup group/developers");
        let names = |taken: &Taken| undo(&now, taken).rejoin.iter().map(Change::name).collect::<Vec<_>>();
        assert_eq!(names(&taken("overprivileged-user", &before, &[&detached, left])), ["AttachPolicy", "JoinGroup"]);
        assert_eq!(names(&taken("overprivileged-user", &before, &[left])), ["JoinGroup"]);
        assert_eq!(names(&taken("overprivileged-user", &before, &[])), Vec::<&str>::new());
        // What a later one took too stays with that one; what an earlier one took as well was given meanwhile.
        let (this, other) = (|| taken("overprivileged-user", &before, &[&detached]), || kept(&before, &[&detached]));
        assert_eq!(names(&beside(this(), other(), 2_000_000)), Vec::<&str>::new());
        assert_eq!(names(&beside(this(), other(), 1)), ["AttachPolicy"]);
    }

    /// IAM has one tag where keys differ by case alone, so that ours took the place of theirs.
    #[test]
    fn a_tag_that_ours_replaced_comes_back_as_it_was_written() {
        let mut now = observed();
        now.profile.as_mut().unwrap().tags = vec![(INCIDENT_TAG.to_owned(), QUARANTINED.to_owned())];
        let mut kept = kept(&observed(), &[]);
        kept.response.before["tags"] = json!({"securityincident": "theirs"});
        let [Change::Tag { tags, .. }] = &undo(&now, &kept).tags[..] else { panic!("{:?}", undo(&now, &kept).tags) };
        assert_eq!(tags[..], [("securityincident".to_owned(), "theirs".to_owned())]);
    }

    #[test]
    fn the_deny_stays_as_long_as_one_response_wants_it() {
        let mut now = observed();
        now.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let quarantine = || kept(&observed(), &[]);
        let undoing = undo(&now, &beside(quarantine(), quarantine(), 1));
        assert!(undoing.lift.is_empty() && !undoing.drift.iter().any(|it| it.contains(DENY_ALL)));
        assert!(undoing.stays.iter().any(|it| it.contains("compromised-credential@")));
        let hygiene = taken("unused-user", &observed(), &[]);
        assert!(undo(&now, &beside(hygiene.clone(), quarantine(), 1)).lift.is_empty());
        assert_eq!(undo(&now, &beside(quarantine(), hygiene, 1)).lift.len(), 1);
    }

    #[test]
    fn the_marks_of_a_response_that_stays_are_put_back() {
        let mut now = observed();
        now.profile.as_mut().unwrap().tags = OUR_TAGS.iter().map(|it| ((*it).to_owned(), "ours".to_owned())).collect();
        let taken = beside(kept(&observed(), &[]), taken("unused-user", &observed(), &[]), 1);
        let [Change::Tag { tags, .. }] = &undo(&now, &taken).tags[..] else { panic!("{:?}", undo(&now, &taken).tags) };
        let expected = [(INCIDENT_TAG, REMEDIATED), (FINDING_TAG, "f")].map(|(k, v)| (k.to_owned(), v.to_owned()));
        assert_eq!(tags[..], expected);
        // A mark that is right is not written again.
        let mut marked = |value: &str| {
            now.profile.as_mut().unwrap().tags =
                [(INCIDENT_TAG, REMEDIATED), (FINDING_TAG, value)].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
            undo(&now, &taken).tags
        };
        let [Change::Tag { tags, .. }] = &marked("ours")[..] else { panic!("{:?}", marked("ours")) };
        assert_eq!(tags[..], [(FINDING_TAG.to_owned(), "f".to_owned())]);
        assert_eq!(marked("f"), NOTHING);
    }

    #[test]
    fn what_bears_no_mark_says_what_to_do_first() {
        let mut now = observed();
        now.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let obstacle = |now: &Observed| undo(now, &kept(&observed(), &[])).obstacle;
        assert!(obstacle(&now).unwrap().contains("tag-user --user-name alice"));
        now.profile.as_mut().unwrap().tags.push((INCIDENT_TAG.to_owned(), QUARANTINED.to_owned()));
        assert_eq!(obstacle(&now), None);
        assert_eq!(obstacle(&observed()), None);
    }

    const NOW: i64 = 1_000_000;
    const NOTHING: [Change; 0] = [];

    fn role(now: &Observed, taken: &Taken) -> Undoing {
        plan(&identity(IdentityKind::Role), now, taken, DENY_ALL, DateTime::from_secs(NOW))
    }

    fn hold() -> String {
        crate::change::console_hold(&identity(IdentityKind::User).arn).unwrap()
    }

    #[test]
    fn what_stays_says_how_to_replace_it() {
        use crate::identity::{Credential, CredentialKind};
        let mut before = observed();
        before.login = Ok(true);
        let mut now = observed();
        now.keys.as_mut().unwrap()[0].active = false;
        let credential = |id: &str, active| Credential { kind: CredentialKind::SshKey, id: id.to_owned(), active };
        now.credentials = Ok(vec![credential("APKAOFF", false), credential("APKAON", true)]);
        let stays = |now: &Observed, before: &Observed| undo(now, &kept(before, &[])).stays;
        let said = stays(&now, &before);
        assert_eq!(said.len(), 3, "{said:?}");
        assert!(said[0].contains("AKIAIOSFODNN7EXAMPLE stays inactive") && said[0].contains("--user-name alice"));
        assert_eq!(said[1], "SSH key APKAOFF stays inactive: create another, then delete it");
        assert!(said[2].contains("the console password is gone"));
        // Where there was none, or it is there, it is not gone.
        assert_eq!(stays(&now, &observed()).len(), 2);
        now.login = Ok(true);
        assert_eq!(stays(&now, &before).len(), 2);
    }

    #[test]
    fn where_there_is_no_room_for_the_mark_it_is_said_how_to_make_some() {
        let mut now = observed();
        now.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let mut obstacle = |tags: usize, value: &str| {
            let mut all: Vec<_> = (1..tags).map(|n| (format!("tag-{n}"), String::new())).collect();
            all.push((INCIDENT_TAG.to_owned(), value.to_owned()));
            now.profile.as_mut().unwrap().tags = all;
            undo(&now, &kept(&observed(), &[])).obstacle
        };
        assert!(obstacle(50, "theirs").unwrap().contains("make room with `aws iam untag-user --user-name alice"));
        let said = obstacle(49, "theirs").unwrap();
        assert!(!said.contains("make room") && said.contains(&format!("Key={INCIDENT_TAG},Value={QUARANTINED}")));
        assert_eq!((obstacle(50, QUARANTINED), obstacle(50, REMEDIATED)), (None, None));
    }

    #[test]
    fn the_boundary_of_before_comes_back_where_ours_took_its_place_and_nobody_needs_that() {
        let with = |boundary: Option<&str>| {
            let mut it = observed();
            it.profile.as_mut().unwrap().boundary = boundary.map(str::to_owned);
            it
        };
        let ours = ["SetDenyAllBoundary user/alice"];
        let (now, none) = (with(Some(DENY_ALL)), with(None));
        let restored = |policy: Option<&str>| {
            let user = identity(IdentityKind::User).name;
            vec![Change::RestoreBoundary { user, policy: policy.map(str::to_owned) }]
        };
        let boundary = |now: &Observed, taken: &Taken| undo(now, taken).boundary;
        assert_eq!(boundary(&now, &kept(&none, &ours)), restored(None));
        assert_eq!(boundary(&now, &kept(&with(Some("arn:former")), &ours)), restored(Some("arn:former")));
        // It was there before, somebody set another, it is none of ours, or another response wants it.
        assert_eq!(boundary(&now, &kept(&now, &ours)), NOTHING);
        assert_eq!(boundary(&with(Some("arn:other")), &kept(&none, &ours)), NOTHING);
        assert_eq!(boundary(&now, &taken("unused-user", &none, &ours)), NOTHING);
        assert_eq!(boundary(&now, &beside(kept(&none, &ours), kept(&none, &[]), 1)), NOTHING);
        assert_eq!(role(&now, &kept(&none, &ours)).boundary, NOTHING);
        let mut attached = now.clone();
        attached.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        assert_eq!(boundary(&attached, &kept(&none, &[])), NOTHING);
        assert_eq!(boundary(&attached, &kept(&none, &ours)), restored(None));
    }

    #[test]
    fn the_console_is_given_back_by_the_last_who_holds_it() {
        let mut now = observed();
        now.attached.as_mut().unwrap().push(hold());
        let meant = |planned: &[&str]| taken("missing-mfa", &observed(), planned);
        let lifts = |taken: &Taken| undo(&now, taken).lift.iter().map(Change::name).collect::<Vec<_>>();
        let holds = ["HoldConsole user/alice"];
        assert_eq!(lifts(&meant(&holds)), ["LiftConsoleHold"]);
        assert_eq!(lifts(&meant(&[])), Vec::<&str>::new());
        assert_eq!(lifts(&beside(meant(&holds), meant(&holds), 1)), Vec::<&str>::new());
        assert_eq!(lifts(&taken("missing-mfa", &now, &holds)), Vec::<&str>::new());
    }

    #[test]
    fn who_lifts_a_roles_deny_while_a_stolen_session_can_be_alive_is_told() {
        let mut now = observed();
        now.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let mut taken = kept(&observed(), &[]);
        let mut revives = |now: &Observed, seconds_ago: i64, kind| {
            taken.last_seen = (NOW - seconds_ago) * 1_000;
            let drift = plan(&identity(kind), now, &taken, DENY_ALL, DateTime::from_secs(NOW)).drift;
            drift.iter().any(|it| it.contains("with `force` they work again"))
        };
        assert!(revives(&now, LONGEST_SESSION - 1, IdentityKind::Role));
        assert!(!revives(&now, LONGEST_SESSION, IdentityKind::Role));
        assert!(!revives(&now, 1, IdentityKind::User));
        assert!(!revives(&observed(), 1, IdentityKind::Role));
        now.revoked_before = Ok(Some(DateTime::from_secs(NOW - 1)));
        assert!(!revives(&now, 1, IdentityKind::Role));
    }

    #[test]
    fn a_revocation_that_stays_says_why_and_keeps_its_mark() {
        let mut now = observed();
        now.revoked_before = Ok(Some(DateTime::from_secs(NOW - 1)));
        now.profile.as_mut().unwrap().tags =
            [INCIDENT_TAG, FINDING_TAG].map(|it| (it.to_owned(), QUARANTINED.to_owned())).to_vec();
        let untagged = |undoing: &Undoing| match &undoing.tags[..] {
            [Change::Untag { keys, .. }] => keys.clone(),
            other => panic!("{other:?}"),
        };
        let young = role(&now, &kept(&observed(), &[]));
        assert_eq!((young.lift.len(), untagged(&young)), (0, vec![FINDING_TAG.to_owned()]));
        assert!(
            young.stays.iter().any(|it| it.contains("none of them is left after 1970-01-13T01:46:39Z")),
            "{young:?}"
        );
        let held = role(&now, &beside(kept(&observed(), &[]), kept(&observed(), &[]), 1));
        assert!(held.stays.iter().any(|it| it.contains("stays: the response compromised-credential@")), "{held:?}");
        now.revoked_before = Ok(Some(DateTime::from_secs(NOW - LONGEST_SESSION)));
        let old = role(&now, &kept(&observed(), &[]));
        assert_eq!((old.lift.len(), untagged(&old).len()), (1, 2));
        let former = Observed { not_a_revocation: Some("{}".to_owned()), ..observed() };
        let said = role(&now, &kept(&former, &[])).stays;
        assert!(said.iter().any(|it| it.contains("said something else before the containment")), "{said:?}");
        assert_eq!(undo(&now, &kept(&observed(), &[])).lift, NOTHING);
        assert_eq!(role(&now, &taken("unused-user", &observed(), &[])).lift, NOTHING);
    }

    #[test]
    fn a_revocation_that_was_there_before_is_ours_where_it_counts_still_or_was_meant() {
        let mut before = observed();
        before.inline.as_mut().unwrap().push(REVOCATION_POLICY.to_owned());
        let mut now = before.clone();
        let mut lifts = |seconds_ago: i64, planned: &[&str]| {
            now.revoked_before = Ok(Some(DateTime::from_secs(NOW - seconds_ago)));
            let undoing = role(&now, &kept(&before, planned));
            (undoing.lift.len(), undoing.stays.iter().any(|it| it.contains("stay revoked")))
        };
        assert_eq!(lifts(LONGEST_SESSION, &[]), (0, false));
        assert_eq!(lifts(LONGEST_SESSION - 1, &[]), (0, true));
        assert_eq!(lifts(LONGEST_SESSION, &["RevokeSessions role/app 1970-01-01T00:00:00Z"]), (1, false));
    }

    #[test]
    fn what_an_earlier_restore_left_of_a_role_goes_once_no_session_is_alive() {
        let mut now = observed();
        now.revoked_before = Ok(Some(DateTime::from_secs(NOW)));
        let at = |now: &Observed, kind, time| leftover(&identity(kind), now, DateTime::from_secs(time));
        let over = NOW + LONGEST_SESSION;
        assert_eq!(at(&now, IdentityKind::Role, over), None, "it bears no mark");
        now.profile.as_mut().unwrap().tags =
            [(INCIDENT_TAG, "theirs"), ("team", QUARANTINED)].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        assert_eq!(at(&now, IdentityKind::Role, over), None, "it bears somebody else's");
        now.profile.as_mut().unwrap().tags =
            vec![(INCIDENT_TAG.to_owned(), QUARANTINED.to_owned()), ("team".to_owned(), String::new())];
        assert_eq!(at(&now, IdentityKind::User, over), None);
        assert!(at(&now, IdentityKind::Role, over - 1).unwrap().unwrap_err().contains("stay revoked"));
        let undoing = at(&now, IdentityKind::Role, over).unwrap().unwrap();
        let names: Vec<_> = undoing.changes().map(Change::name).collect();
        assert_eq!(names, ["LiftRevocation", "Untag"]);
        let [Change::Untag { keys, .. }] = &undoing.tags[..] else { panic!("{:?}", undoing.tags) };
        assert_eq!(keys[..], [INCIDENT_TAG.to_owned()]);
        // While it is being taken away: what is gone need not go, and what was revoked anew stays.
        let still = |now: &Observed| leftover_still(&identity(IdentityKind::Role), now, DateTime::from_secs(over));
        let lifted = Observed { revoked_before: Ok(None), ..now.clone() };
        assert_eq!(still(&lifted).unwrap().changes().map(Change::name).collect::<Vec<_>>(), ["Untag"]);
        assert_eq!(still(&Observed { revoked_before: Ok(None), ..observed() }).unwrap().changes().count(), 0);
        assert_eq!(still(&Observed { revoked_before: Ok(Some(DateTime::from_secs(NOW + 1))), ..now.clone() }), None);
        assert_eq!(still(&Observed { not_a_revocation: Some("{}".to_owned()), ..now }), None);
    }
}
