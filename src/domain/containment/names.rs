//! By which name an identity may be written to, and what another who bore it got. IAM's writes go by name, and a name
//! can become another's.
//!
//! INVARIANT: what was written since a read has last shown the unique ID may be with another, whatever its answer was
//! (`what_was_written_since_the_last_read_may_be_with_another`).

use std::collections::BTreeMap;

use aws_smithy_types::DateTime;
use serde_json::Value;

use super::contest::ID_HOLDS;
use super::playbooks::Case;
use super::watch::Moment;
use crate::change::{Change, FINDING_TAG, INCIDENT_TAG, console_hold, is_our_tag};
use crate::history::{Past, Response};
use crate::identity::{Identity, IdentityKind, Observed};
use crate::ids::{PrincipalName, UniqueId};
use crate::outcome::Deed;
use crate::text;

/// What is known of the names of those who are written to.
#[derive(Debug, Default)]
pub struct Names(BTreeMap<(UniqueId, PrincipalName), Seen>);

#[derive(Debug, Default)]
struct Seen {
    /// When the last read began that showed the ID under the name.
    at: Option<Moment>,
    /// What was written by it, and when that ended, where no read has begun since that showed the ID.
    since: Vec<(Moment, Change)>,
}

impl Names {
    /// A read that began then has shown the ID under the name.
    pub fn seen(&mut self, identity: &Identity, began: Moment) {
        let seen = self.of(identity);
        seen.at = seen.at.max(Some(began));
        seen.since.retain(|(ended, _)| *ended >= began);
    }

    /// The name leads to it, as a read has shown a moment ago.
    pub fn is_sure(&self, identity: &Identity, now: Moment) -> bool {
        self.known(identity).and_then(|it| it.at).is_some_and(|it| now.saturating_sub(it) < ID_HOLDS)
    }

    /// A read that has begun since then has shown it.
    pub fn is_seen_since(&self, identity: &Identity, moment: Moment) -> bool {
        self.known(identity).and_then(|it| it.at).is_some_and(|it| it >= moment)
    }

    /// The name led to another, or to nobody.
    pub fn lost(&mut self, identity: &Identity) {
        self.of(identity).at = None;
    }

    /// A write has ended, and may have done what it says.
    pub fn written(&mut self, identity: &Identity, change: &Change, ended: Moment) {
        let since = &mut self.of(identity).since;
        // In a fight the same is written over and over.
        since.retain(|(_, it)| it != change);
        since.push((ended, change.clone()));
    }

    /// What may be with whoever else bears the name.
    pub fn strays(&self, identity: &Identity) -> Vec<Change> {
        self.known(identity).into_iter().flat_map(|it| &it.since).map(|(_, it)| it.clone()).collect()
    }

    /// Whoever bears the name was looked at, or people learn of it.
    pub fn strays_are_told(&mut self, identity: &Identity) {
        self.of(identity).since.clear();
    }

    fn known(&self, identity: &Identity) -> Option<&Seen> {
        self.0.get(&(identity.id.clone(), identity.name.clone()))
    }

    fn of(&mut self, identity: &Identity) -> &mut Seen {
        self.0.entry((identity.id.clone(), identity.name.clone())).or_default()
    }
}

/// What is ours of what another holds who bears the identity's name, and is not of its own containment.
pub fn got(case: &Case, other: &Observed, own: &Past, first_cutoff: Option<DateTime>) -> Vec<Change> {
    let policy = case.finding.partition.deny_all_policy();
    let name = || case.identity.name.clone();
    let kind = case.identity.kind;
    let tags = other.profile.as_ref().map_or(&[][..], |it| it.tags.as_slice());
    let finding = text::tag_value(&case.finding.id);
    let is_marked = tags.iter().any(|(key, _)| key == INCIDENT_TAG)
        && tags.iter().any(|(key, value)| key == FINDING_TAG && *value == finding);
    let mark = is_marked.then(|| {
        let tags = tags.iter().filter(|(key, _)| is_our_tag(key)).cloned().collect();
        Change::Tag { kind, name: name(), tags }
    });
    let mut all = match kind {
        IdentityKind::User => {
            let hold = console_hold(&case.identity.arn).filter(|it| other.is_attached(it));
            let hold = hold.map(|policy| Change::HoldConsole { user: name(), policy });
            let deny = Change::AttachDenyAll { user: name(), policy: policy.clone() };
            let boundary = Change::SetDenyAllBoundary { user: name(), policy: policy.clone() };
            let is_there = [(deny, other.is_attached(&policy)), (boundary, other.is_boundary(&policy))];
            is_there.into_iter().filter_map(|(it, is_there)| is_there.then_some(it)).chain(hold).collect::<Vec<_>>()
        }
        IdentityKind::Role => {
            let cutoff = other.revoked_before.clone().ok().flatten().filter(|it| Some(*it) == first_cutoff);
            let revoked = cutoff.map(|issued_before| Change::RevokeSessions { role: name(), issued_before });
            let deny = other.is_attached(&policy).then(|| Change::AttachDenyAllToRole { role: name(), policy });
            deny.into_iter().chain(revoked).collect()
        }
    };
    all.extend(mark);
    all.retain(|it| !is_its_own(it, own));
    all
}

/// Whether a response to that one itself meant to do it, or found it there.
fn is_its_own(change: &Change, own: &Past) -> bool {
    let meant = own.responses.iter().flat_map(|it| &it.planned).chain(own.intents.values().flatten());
    let words = change.words_of_record();
    let is_same = |it: &&String| match change {
        // It is the moment that counts.
        Change::RevokeSessions { .. } => **it == words,
        // Under whatever name it had then.
        _ => it.split(' ').next() == Some(change.name()),
    };
    meant.filter(is_same).count() > 0 || own.responses.iter().any(|it| had(it, change))
}

fn had(response: &Response, change: &Change) -> bool {
    let field = |name: &str| response.before.get(name);
    match change {
        Change::AttachDenyAll { policy, .. }
        | Change::AttachDenyAllToRole { policy, .. }
        | Change::HoldConsole { policy, .. } => {
            let attached = field("attached_policies").and_then(Value::as_array);
            attached.is_some_and(|it| it.iter().any(|it| it == policy))
        }
        Change::SetDenyAllBoundary { policy, .. } => field("permissions_boundary").is_some_and(|it| it == policy),
        _ => false,
    }
}

/// What may have been taken from it by the name: it has it no more, or never had it.
pub fn may_have_lost(strays: Vec<Change>, other: &Observed) -> Vec<Change> {
    let has = |it: &Change| match it {
        Change::DetachPolicy { policy, .. } => other.is_attached(policy),
        Change::LeaveGroup { group, .. } => other.groups.as_ref().is_ok_and(|it| it.contains(group)),
        Change::DeleteLoginProfile { .. } => other.login == Ok(true),
        _ => true,
    };
    strays.into_iter().filter(|it| !it.is_additive() && !has(it)).collect()
}

/// Its state without what it got: of one that was there before us, whether it had that too was read by nobody.
pub fn without(got: &[Change], case: &Case, other: &Observed) -> Observed {
    let is_deny = |it: &Change| matches!(it, Change::AttachDenyAll { .. } | Change::AttachDenyAllToRole { .. });
    let is_older = case.identity.created.is_none_or(|it| it.secs() < case.now.secs());
    let is_deny_unclear = is_older && got.iter().any(is_deny);
    let mut before = Observed { is_deny_unclear, ..other.clone() };
    for change in got {
        match change {
            Change::AttachDenyAll { policy, .. }
            | Change::AttachDenyAllToRole { policy, .. }
            | Change::HoldConsole { policy, .. } => {
                before.attached.iter_mut().for_each(|it| it.retain(|it| it != policy));
            }
            Change::SetDenyAllBoundary { policy, .. } => {
                before.profile.iter_mut().for_each(|it| drop(it.boundary.take_if(|it| it == policy)));
            }
            Change::Tag { .. } => {
                before.profile.iter_mut().for_each(|it| it.tags.retain(|(key, _)| !is_our_tag(key)));
            }
            _ => {}
        }
    }
    before
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::playbooks::tests::case;
    use super::*;
    use crate::change::QUARANTINED;
    use crate::finding::Threat;
    use crate::fixtures::{finding, identity, observed};
    use crate::history::snapshot;
    use crate::ids::Parse;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
    const ADMIN: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

    fn at(millis: u64) -> Moment {
        Duration::from_millis(millis)
    }

    fn deny() -> Change {
        let user = identity(IdentityKind::User).name;
        Change::AttachDenyAll { user, policy: DENY_ALL.to_owned() }
    }

    #[test]
    fn what_was_written_since_the_last_read_may_be_with_another() {
        let (alice, mut names) = (identity(IdentityKind::User), Names::default());
        assert!(!names.is_sure(&alice, at(0)), "it was not read yet");
        names.seen(&alice, at(100));
        assert!(names.is_sure(&alice, at(599)) && !names.is_sure(&alice, at(600)));
        names.written(&alice, &deny(), at(1_500));
        // That began before the write ended.
        names.seen(&alice, at(1_400));
        assert_eq!(names.strays(&alice), [deny()]);
        names.seen(&alice, at(1_600));
        assert!(names.strays(&alice).is_empty());
        names.written(&alice, &deny(), at(1_700));
        names.written(&alice, &deny(), at(1_800));
        assert_eq!(names.strays(&alice), [deny()]);
        names.strays_are_told(&alice);
        assert!(names.strays(&alice).is_empty() && names.is_sure(&alice, at(1_800)));
        names.lost(&alice);
        assert!(!names.is_sure(&alice, at(1_800)));
    }

    #[test]
    fn a_name_that_leads_to_one_says_nothing_of_another_who_bears_it() {
        let (alice, mut names) = (identity(IdentityKind::User), Names::default());
        names.seen(&alice, at(100));
        let other = Identity { id: UniqueId::parse("AIDAI44QH8DHBEXAMPLE1").unwrap(), ..alice };
        assert!(!names.is_sure(&other, at(100)) && names.strays(&other).is_empty());
    }

    fn denied() -> Observed {
        let mut it = observed();
        it.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        it
    }

    fn response(planned: &str, before: &Observed) -> Past {
        let id = "compromised-credential";
        let response = Response::new(id, "f", DateTime::from_secs(0), snapshot(before));
        let planned = [planned.to_owned()].into();
        Past { responses: vec![Response { planned, ..response }], ..Past::default() }
    }

    #[test]
    fn what_its_own_containment_meant_or_found_is_not_got_by_the_name() {
        let (finding, alice) = (finding(Threat::CompromisedCredential), identity(IdentityKind::User));
        let case = case(&finding, &alice);
        assert_eq!(got(&case, &denied(), &Past::default(), None), [deny()]);
        assert_eq!(got(&case, &observed(), &Past::default(), None), []);
        // Under the name that it had then.
        assert_eq!(got(&case, &denied(), &response("AttachDenyAll user/another", &observed()), None), []);
        assert_eq!(got(&case, &denied(), &response("Tag user/another", &denied()), None), []);
        assert_eq!(got(&case, &denied(), &response("DeactivateAccessKey A", &observed()), None), [deny()]);
        let meant = [("unused-user".to_owned(), ["AttachDenyAll user/another".to_owned()].into())].into();
        assert_eq!(got(&case, &denied(), &Past { intents: meant, ..Past::default() }, None), []);
    }

    #[test]
    fn a_role_has_got_the_revocation_of_our_moment_and_no_other() {
        let (finding, app) = (finding(Threat::CompromisedCredential), identity(IdentityKind::Role));
        let (case, cutoff) = (case(&finding, &app), DateTime::from_secs(1_500));
        let revoked = Observed { revoked_before: Ok(Some(cutoff)), ..observed() };
        let [revocation] = got(&case, &revoked, &Past::default(), Some(cutoff)).try_into().unwrap();
        assert_eq!(got(&case, &revoked, &Past::default(), Some(DateTime::from_secs(1_501))), []);
        let own = response(&revocation.words_of_record(), &observed());
        assert_eq!(got(&case, &revoked, &own, Some(cutoff)), []);
        let other = response("RevokeSessions role/app 1970-01-01T00:00:00Z", &observed());
        assert_eq!(got(&case, &revoked, &other, Some(cutoff)), [revocation]);
    }

    #[test]
    fn the_mark_alone_is_got_too_and_no_part_of_the_state_before() {
        let (finding, alice) = (finding(Threat::CompromisedCredential), identity(IdentityKind::User));
        let case = case(&finding, &alice);
        let mut other = denied();
        let tag = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        other.profile.as_mut().unwrap().tags =
            vec![tag(INCIDENT_TAG, QUARANTINED), tag(FINDING_TAG, &text::tag_value(&finding.id)), tag("team", "blue")];
        let found = got(&case, &other, &Past::default(), None);
        assert!(matches!(&found[..], [Change::AttachDenyAll { .. }, Change::Tag { tags, .. }] if tags.len() == 2));
        let before = without(&found, &case, &other);
        assert_eq!((before.attached, before.profile.unwrap().tags), (observed().attached, vec![tag("team", "blue")]));
        other.profile.as_mut().unwrap().tags[1].1 = "another".to_owned();
        assert_eq!(got(&case, &other, &Past::default(), None), [deny()]);
    }

    #[test]
    fn what_it_has_still_was_not_taken_from_it() {
        let user = identity(IdentityKind::User).name;
        let detach = |policy: &str| Change::DetachPolicy { user: user.clone(), policy: policy.to_owned() };
        let leave = |group: &str| Change::LeaveGroup { user: user.clone(), group: group.to_owned() };
        let password = Change::DeleteLoginProfile { user: user.clone() };
        let mut other = observed();
        (other.attached, other.groups, other.login) =
            (Ok(vec![ADMIN.to_owned()]), Ok(vec!["developers".to_owned()]), Ok(true));
        let strays = vec![detach(ADMIN), detach("P"), leave("developers"), leave("G"), password.clone(), deny()];
        assert_eq!(may_have_lost(strays.clone(), &other), [detach("P"), leave("G")]);
        other.login = Ok(false);
        assert_eq!(may_have_lost(strays, &other), [detach("P"), leave("G"), password]);
    }
}
