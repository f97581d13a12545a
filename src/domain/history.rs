//! What earlier responses and restores left: read from the ledger, decided by here.

use std::collections::{BTreeMap, BTreeSet};

use aws_smithy_types::DateTime;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::answered::Answers;
use crate::change::{INCIDENT_TAG, QUARANTINED, REMEDIATED, is_our_tag};
use crate::child::{Child, Parent};
use crate::finding::Threat;
use crate::identity::{Observed, Profile, Unreadable};
use crate::suspects::{Suspect, Suspects};
use crate::text;
use crate::verdict::Verdict;

/// What earlier responses left.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Past {
    pub verdict: Option<Verdict>,
    pub incident: Option<String>,
    /// When it was last read to be in place, all of it: milliseconds since 1970.
    pub held_at: Option<i64>,
    /// When the first response saved its snapshot, in milliseconds since 1970.
    pub first_seen: Option<i64>,
    /// What the last alert that was delivered told, as `Progress::news`. Absent as well when something was
    /// done since that nobody was told of.
    pub told: Option<String>,
    /// The rotation was started after what was done last.
    pub is_rotated: bool,
    pub suspects: Suspects,
    /// Those whom an earlier try named and could not keep where they belong.
    pub unkept: Vec<Suspect>,
    /// What responses meant to strike that ended before a snapshot was saved, by playbook, as
    /// `Change::words_of_record`.
    pub intents: BTreeMap<String, BTreeSet<String>>,
    /// A response began and did not end: what it did has not been seen to hold.
    pub is_open: bool,
    /// It was contained within a day, so that it is no new one.
    pub is_known: bool,
    /// Those that were not taken back, the oldest first.
    pub responses: Vec<Response>,
}

impl Past {
    /// Whatever was meant and is in no snapshot: it is ours when it is found now.
    pub fn intent(&self) -> BTreeSet<String> {
        self.intents.values().flatten().cloned().collect()
    }

    /// Whom nobody may forget, although the suspects that were read do not have them.
    pub fn forgotten(&self) -> Vec<Suspect> {
        let were_some = self.verdict == Some(Verdict::SuspectsOpen) && self.suspects.is_untouched();
        let unknown = (were_some && self.unkept.is_empty()).then(Suspect::unknown);
        self.unkept.iter().cloned().chain(unknown).collect()
    }

    /// Whether what was seen at that time was answered, by a response to a threat that is as grave: it had been held
    /// since, when it was last read, and nobody had to put anything back since then.
    pub fn has_answered(&self, threat: Threat, seen: Option<DateTime>) -> bool {
        let covers = |it: &Response| {
            let is_covered = Threat::of_playbook(&it.playbook).is_some_and(|it| it.covers(threat));
            is_covered && it.verdict.is_some_and(Verdict::is_success)
        };
        if self.is_open || !self.intents.is_empty() || !self.responses.iter().any(covers) {
            return false;
        }
        match (self.held_at, seen.and_then(|it| it.to_millis().ok())) {
            (Some(held), Some(seen)) => self.verdict.is_some_and(Verdict::is_success) && seen <= held,
            _ => false,
        }
    }
}

/// One response that was not taken back: its snapshot, and what it meant to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Response {
    /// Its playbook and when it began: what a person names it by.
    pub id: String,
    pub playbook: String,
    /// What it writes on the identity: the values of our tags but for the date.
    pub mark: String,
    pub finding: String,
    /// Milliseconds since 1970.
    pub at: i64,
    /// The snapshot.
    pub before: Value,
    /// What it meant to do, as `Change::words_of_record`.
    pub planned: BTreeSet<String>,
    /// How it ended; `InProgress` once a fight was handed on. Absent before that, and after a crash.
    pub verdict: Option<Verdict>,
}

impl Response {
    pub fn new(playbook: &str, finding: &str, now: DateTime, before: Value) -> Self {
        let is_quarantine = Threat::ALL.iter().any(|it| it.playbook() == playbook && it.is_quarantine());
        let at = now.to_millis().unwrap_or_default();
        Self {
            id: format!("{playbook}@{}", DateTime::from_millis(at)),
            playbook: playbook.to_owned(),
            mark: if is_quarantine { QUARANTINED } else { REMEDIATED }.to_owned(),
            finding: text::tag_value(finding),
            at,
            before,
            planned: BTreeSet::new(),
            verdict: None,
        }
    }

    /// It meant to do nothing but deny, or revoke, and to leave its mark: what is done while people are asked.
    pub fn only_denies(&self) -> bool {
        const DENIES: &[&str] =
            &["AttachDenyAll", "SetDenyAllBoundary", "RevokeSessions", "AttachDenyAllToRole", "Tag"];
        let name = |it: &String| it.split_once(' ').map_or_else(|| it.clone(), |(name, _)| name.to_owned());
        self.planned.iter().all(|it| DENIES.contains(&name(it).as_str()))
    }

    /// It wants the identity to be denied everything, or a role's sessions to stay revoked.
    pub fn is_quarantine(&self) -> bool {
        self.mark == QUARANTINED
    }
}

/// A person took the containment back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// In seconds since 1970.
    pub at: i64,
    pub unique_id: String,
    /// The finding was responded to, or seen, before that.
    pub is_noted: bool,
}

/// Everything that is kept of an identity.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Kept {
    /// Those that were not taken back, the oldest first.
    pub responses: Vec<Response>,
    /// A response struck whose snapshot is not kept: what it put there is known only in part.
    pub is_begun: bool,
    /// What restores gave back while other responses stayed in force, as `Change::words_of_record`.
    pub given_back: BTreeSet<String>,
    /// The name it had when it was contained.
    pub principal: Option<String>,
    pub arn: Option<String>,
    pub verdict: Option<Verdict>,
    pub incident: Option<String>,
    /// Milliseconds since 1970, as all times here.
    pub first_seen: Option<i64>,
    pub last_seen: Option<i64>,
    /// When it was last read to be in place, all of it.
    pub held_at: Option<i64>,
    /// One JSON value a change, the oldest first.
    pub applied: Vec<Value>,
    pub restored: Option<Restoration>,
    /// People were told of that.
    pub is_restored_told: bool,
    /// What it made with a flagged credential, and was answered.
    pub children: Vec<Child>,
    /// Whose child it is, one for each call that made it or a key of it.
    pub parents: Vec<Parent>,
    /// Which findings its responses answered, also those that were taken back.
    pub answered: Answers,
    /// A restore has the lease on it.
    pub is_being_restored: bool,
}

/// Whether what an identity made is to be answered for the sake of one response to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InForce {
    Yes,
    /// And it was not seen to hold: who made it can set it free.
    NotHeld,
    /// People are asked, it has only begun, or somebody is taking it back.
    NotYet,
    /// It was taken back.
    No,
}

impl Kept {
    pub fn in_force(&self, response: &str) -> InForce {
        let Some(response) = self.responses.iter().find(|it| it.id == response) else { return InForce::No };
        match response.verdict {
            None | Some(Verdict::Waiting | Verdict::Deferred) => InForce::NotYet,
            Some(Verdict::Refused | Verdict::Observed) => InForce::No,
            Some(_) if self.is_being_restored => InForce::NotYet,
            Some(Verdict::Contained | Verdict::SuspectsOpen) => InForce::Yes,
            Some(Verdict::NotContained | Verdict::Unverified | Verdict::InProgress) => InForce::NotHeld,
        }
    }

    /// Whether it is denied everything by a response that is in force and was seen to hold.
    pub fn quarantined(&self) -> InForce {
        let quarantines = self.responses.iter().filter(|it| it.is_quarantine());
        let all: Vec<_> = quarantines.map(|it| self.in_force(&it.id)).collect();
        [InForce::Yes, InForce::NotYet].into_iter().find(|it| all.contains(it)).unwrap_or(InForce::No)
    }
}

/// Who took a containment back, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Restoration {
    pub at: i64,
    pub by: String,
    pub reason: String,
    pub applied: Vec<String>,
    /// As `Change::words_of_record`; only where other responses stay in force.
    pub given_back: Vec<String>,
}

/// As the ledger and the report keep it, for whoever has to put it back.
pub fn snapshot(observed: &Observed) -> Value {
    fn read<T: Serialize>(it: &Result<T, Unreadable>) -> Value {
        match it {
            Ok(it) => json!(it),
            Err(unreadable) => json!({"unreadable": unreadable.why.to_string()}),
        }
    }
    let mut snapshot = json!({
        "access_keys": read(&observed.keys),
        "attached_policies": read(&observed.attached),
        "inline_policies": read(&observed.inline),
        "groups": read(&observed.groups),
        "other_credentials": read(&observed.credentials),
        "console_password": read(&observed.login),
        "mfa_devices": read(&observed.mfa_devices),
        "tags": read(&observed.profile.as_ref().map(our_tags).map_err(Clone::clone)),
        OTHER_TAGS: read(&observed.profile.as_ref().map(other_tags).map_err(Clone::clone)),
        "permissions_boundary": read(&observed.profile.as_ref().map(|it| it.boundary.clone()).map_err(Clone::clone)),
        "trust_policy": read(&observed.profile.as_ref().map(|it| it.trust.clone()).map_err(Clone::clone)),
    });
    if let Some(fields) = snapshot.as_object_mut() {
        if let Some(text) = &observed.not_a_revocation {
            fields.insert(FORMER_REVOCATION.to_owned(), json!(cut_policy(text)));
        }
        if observed.is_deny_unclear {
            fields.insert(DENY_UNCLEAR.to_owned(), json!(true));
        }
    }
    // Most responses read it later.
    if let (Some(fields), Ok(contents)) = (snapshot.as_object_mut(), &observed.contents) {
        fields.insert(CONTENTS.to_owned(), json!(contents));
    }
    snapshot
}

/// The field of a snapshot that tells the content of policies and groups from another.
pub const CONTENTS: &str = "contents";

/// The field of a snapshot that says what stood under the revocation's name and revoked nothing.
pub const FORMER_REVOCATION: &str = "former_revocation";
/// The field of a snapshot that is there when nobody knows whether the deny was there before us.
pub const DENY_UNCLEAR: &str = "deny_unclear";
/// The field of a snapshot that tells the tags which policies may decide by from others.
pub const OTHER_TAGS: &str = "other_tags";

/// IAM takes 10,240 characters for all inline policies of a role, white space apart.
const LONGEST_POLICY: usize = 20_000;

/// As a snapshot keeps it.
pub fn cut_policy(text: &str) -> String {
    text::cut(text, LONGEST_POLICY)
}

/// The tags that a response writes over. The mark of an earlier one is no state of before.
fn our_tags(profile: &Profile) -> BTreeMap<String, String> {
    let is_mark = |key: &str, value: &str| key == INCIDENT_TAG && (value == QUARANTINED || value == REMEDIATED);
    profile.tags.iter().filter(|(key, value)| is_our_tag(key) && !is_mark(key, value)).cloned().collect()
}

/// All others, each as the hashes of its key, which IAM compares without case, and of its value: fifty fill 38 KB.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/introduction_attribute-based-access-control.html>
pub fn other_tags(profile: &Profile) -> BTreeMap<String, String> {
    profile.tags.iter().filter(|(key, _)| !is_our_tag(key)).map(|(key, value)| (tag_key(key), digest(value))).collect()
}

/// As `other_tags` keeps it.
pub fn tag_key(key: &str) -> String {
    digest(&key.to_lowercase())
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text)).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_in_force_once_its_fight_was_handed_on_and_not_while_people_are_asked_or_take_it_back() {
        let with = |verdict| Response {
            verdict,
            ..Response::new("compromised-credential", "f", DateTime::from_secs(0), Value::Null)
        };
        let id = with(None).id;
        let kept =
            |verdict, is_being_restored| Kept { responses: vec![with(verdict)], is_being_restored, ..Kept::default() };
        for (verdict, wanted) in [
            (None, InForce::NotYet),
            (Some(Verdict::Waiting), InForce::NotYet),
            (Some(Verdict::InProgress), InForce::NotHeld),
            (Some(Verdict::NotContained), InForce::NotHeld),
            (Some(Verdict::Refused), InForce::No),
        ] {
            assert_eq!(kept(verdict, false).in_force(&id), wanted, "{verdict:?}");
        }
        assert_eq!(kept(Some(Verdict::InProgress), true).in_force(&id), InForce::NotYet);
        assert_eq!(Kept::default().in_force(&id), InForce::No);
    }
}
