//! What is known of one response so far. It outlives a response that runs out of time, so that the
//! report tells what was done until then.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;
use sha2::{Digest, Sha256};

use super::contest::Fought;
use crate::acknowledgement::Watch;
use crate::change::Change;
use crate::finding::Finding;
use crate::guardrail::Standing;
use crate::history::Past;
use crate::identity::{Identity, IdentityKind, Observed};
use crate::notice::Notice;
use crate::outcome::{Done, Log, Outcome};
use crate::question::Question;
use crate::suspects::Suspect;
use crate::verdict::Verdict;

#[derive(Debug, Default)]
pub struct Progress {
    /// What the finding tells, in few bytes.
    pub matter: String,
    pub identity: Option<Identity>,
    /// The snapshot: the state before anything was taken away; what was added is in `changes`.
    pub snapshot: Option<Observed>,
    pub changes: Log<Change>,
    pub notices: Log<Notice>,
    /// What an earlier response to the same identity left.
    pub past: Past,
    /// Who made it, or made that one, and was not seen to be held when this began.
    pub maker_at_large: Option<String>,
    /// The ledger told it. Otherwise somebody may be open whom nobody here knows of.
    pub is_past_known: bool,
    /// What was done and then undone by somebody else, each time it was seen.
    pub reversals: Vec<String>,
    /// How often something was undone before those that are kept.
    pub undone_before: usize,
    /// What it took to put it back again and again; absent where nobody undid anything.
    pub fought: Option<Fought>,
    /// Up to when the role's sessions were revoked first, in this invocation or one before it.
    pub first_cutoff: Option<DateTime>,
    /// Others who bore the name when something was written by it: each with what it got, for a report and an alert of
    /// its own.
    pub namesakes: Vec<Self>,
    /// What became of the guardrail; absent where it was not wanted.
    pub guardrail: Option<Standing>,
    pub notes: Vec<String>,
    /// What the playbook's changes don't stop, known from the start.
    pub suspects: Vec<Suspect>,
    /// Those that this response found first, to be kept.
    pub new_suspects: Vec<Suspect>,
    /// When the last look for them began, in milliseconds since 1970.
    pub looked_at: Option<i64>,
    /// Who only could have acted for the attacker: told, at most 20, and never in a verdict.
    pub leads: Vec<String>,
    /// What still lets the identity act.
    pub open: Vec<String>,
    /// The changes that were read to be missing last: for a person to make.
    pub to_do: Vec<Change>,
    /// That everything could be read then.
    pub is_read_back: bool,
    /// What people are asked.
    pub question: Option<Question>,
    /// Somebody is to acknowledge the alert, or has.
    pub watch: Option<Watch>,
    /// That somebody is to acknowledge it could not be kept: it is told again.
    pub is_unwatched: bool,
    /// Who approved it, and under which request.
    pub approved: Option<String>,
    /// The approval does not cover what the finding leads to now.
    pub is_uncovered: bool,
    /// Our settings spare the identity: nothing that it did itself, or that passes by itself.
    pub is_spared: bool,
    /// Why it has not ended well, as far as people know of it.
    pub told_trouble: Option<String>,
    pub verdict: Option<Verdict>,
    pub reason: Option<String>,
    /// The response in the ledger that this one is, or goes on with.
    pub response: Option<String>,
    /// Only then may anything be taken away.
    pub is_snapshot_saved: bool,
    /// Another invocation goes on, and tells how it ended.
    pub is_handed_over: bool,
    /// When the last full read began that showed everything in place, in milliseconds since 1970.
    pub held_at: Option<i64>,
    /// What was meant to be taken away and was read to be there still, as `Change::words_of_record`: who takes it
    /// from now on is not this response.
    pub not_taken: Vec<String>,
    /// What the report on the identity is called that follows, without its revision.
    pub evidence: Option<String>,
    /// What the ledger could not do. It holds up nothing that adds, and makes the invocation an error.
    pub ledger_failed: Vec<String>,
    /// What has to be tried again.
    pub failed: Vec<String>,
}

impl Progress {
    pub fn times_undone(&self) -> usize {
        self.undone_before + self.reversals.len()
    }

    pub fn conclude(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.verdict = Some(verdict);
        self.reason = Some(reason.into());
    }

    /// Says that AWS put off so many calls: then what is missing is missing for that.
    pub fn throttled(&mut self, times: usize) {
        if times == 0 {
            return;
        }
        let words = format!("IAM throttled: {times} calls were put off");
        match &mut self.reason {
            Some(reason) if !self.verdict.is_some_and(Verdict::is_success) => {
                reason.push_str("; ");
                reason.push_str(&words);
            }
            _ => self.notes.push(words),
        }
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict.unwrap_or(Verdict::NotContained)
    }

    /// Whether this response did anything, or somebody undid something.
    pub fn has_done(&self) -> bool {
        let changed = |it: &Done<Change>| it.deed.contains() && !matches!(it.outcome, Outcome::AlreadyDone { .. });
        !self.reversals.is_empty() || self.changes.all().iter().any(changed)
    }

    /// Whether the response to `own` answers what another finding about the same identity tells: it was seen before
    /// all was last seen to hold, and of a role before the time up to which its sessions are revoked for that.
    pub fn has_answered(&self, own: &Finding, other: &Finding) -> bool {
        let Some(seen) = other.occurred_at.filter(|_| other.threat.is_behaviour()) else { return true };
        let is_held = seen.to_millis().is_ok_and(|seen| self.held_at.is_some_and(|held| seen <= held));
        if self.identity.as_ref().is_none_or(|it| it.kind == IdentityKind::User) {
            return is_held;
        }
        let revoked = self.changes.all().into_iter().filter_map(|it| match (it.deed, it.outcome) {
            (Change::RevokeSessions { issued_before, .. }, Outcome::Applied { .. } | Outcome::AlreadyDone { .. }) => {
                Some(issued_before.secs())
            }
            _ => None,
        });
        is_held && revoked.chain(own.occurred_at.map(|it| it.secs())).max().is_none_or(|until| seen.secs() <= until)
    }

    /// What there is to tell, in few bytes: the verdict, and who is suspected.
    pub fn news(&self) -> String {
        if self.verdict() == Verdict::Refused {
            return format!("{} {}", self.verdict().name(), digest(&format!("{} {:?}", self.matter, self.reason)));
        }
        format!("{} {}", self.verdict().name(), self.who_is_suspected()).trim_end().to_owned()
    }

    /// Who, in few bytes; empty where nobody is.
    pub fn who_is_suspected(&self) -> String {
        let suspects = &self.past.suspects;
        if suspects.is_empty() {
            return String::new();
        }
        let who: Vec<_> = suspects.open.keys().map(String::as_str).collect();
        digest(&format!("{} {}", who.join(" "), suspects.more))
    }

    /// Whether there is more to tell than what people were told of: news is what was not delivered, and
    /// whatever did not succeed is told each time.
    pub fn has_news(&self) -> bool {
        let is_told = self.past.told.as_deref() == Some(self.news().as_str());
        !(is_told && self.can_be_old())
    }

    /// Why it has not ended well, in few bytes, whatever times and numbers the errors name; `None` where it has.
    pub fn trouble(&self) -> Option<String> {
        let is_well = self.verdict().is_success() || self.verdict() == Verdict::Waiting;
        if is_well && self.failed.is_empty() && self.ledger_failed.is_empty() {
            return None;
        }
        let lines = self.open.iter().chain(&self.failed).chain(&self.ledger_failed).chain(&self.reason);
        let lines: BTreeSet<String> = lines.map(|it| it.chars().filter(|it| !it.is_ascii_digit()).collect()).collect();
        Some(format!("{} {}", self.verdict().name(), digest(&format!("{lines:?}"))))
    }

    /// What people know once this response is over: that of the last alert which reached them. What Slack is to get
    /// later they know by the topic, or not yet where there is none.
    pub fn told(&self) -> Option<String> {
        let notices = self.notices.all();
        let last = |is: fn(&Notice) -> bool| notices.iter().rev().find(|it| is(&it.deed)).map(|it| &it.outcome);
        let topic = last(|it| matches!(it, Notice::PublishAlert { .. }));
        let slack = last(|it| matches!(it, Notice::PostToSlack { .. }));
        if matches!(slack, Some(Outcome::Failed(_))) || self.is_unwatched {
            return None;
        }
        match (topic.or(slack)?, self.has_news()) {
            (Outcome::Applied { .. } | Outcome::AlreadyDone { .. }, _) => Some(self.news()),
            (Outcome::Skipped { .. }, false) => self.past.told.clone(),
            _ => None,
        }
    }

    /// Whether what there is to tell may have been told: nothing was done since, and it ended well.
    pub fn can_be_old(&self) -> bool {
        let is_answer = self.verdict().is_success() || self.verdict() == Verdict::Refused;
        is_answer && !self.has_done()
    }

    /// Whether the rotation was started after what was done last.
    pub fn is_rotated(&self) -> bool {
        let is_start = |it: &Done<Notice>| {
            let is_started = matches!(it.outcome, Outcome::Applied { .. } | Outcome::AlreadyDone { .. });
            is_started && matches!(it.deed, Notice::StartRotation { .. })
        };
        self.notices.all().iter().any(is_start) || (self.past.is_rotated && !self.has_done())
    }

    /// Whether everybody who is to be told by an alert or an incident was.
    pub fn is_delivered(&self) -> bool {
        self.has_reached(|it| !matches!(it, Notice::StartRotation { .. } | Notice::UpdateFinding(_)))
    }

    /// A failure is not the last word, and what Slack is to get later is no alert where there is no other.
    fn has_reached(&self, counts: fn(&Notice) -> bool) -> bool {
        let notices = self.notices.all();
        let has_topic = notices.iter().any(|it| matches!(it.deed, Notice::PublishAlert { .. }));
        let is_missing = |it: &Done<Notice>| match it.outcome {
            Outcome::Failed(_) => true,
            Outcome::Later { .. } => !has_topic,
            _ => false,
        };
        !self.is_unwatched && !notices.iter().any(|it| counts(&it.deed) && is_missing(it))
    }

    /// Whether people were told by an alert, whatever became of the incident: an alert that reached them is not sent
    /// again for that. Where there is none, the incident is what tells them.
    pub fn is_alerted(&self) -> bool {
        let is_sent = |it: &Done<Notice>| is_alert(&it.deed) && !matches!(it.outcome, Outcome::Skipped { .. });
        if self.notices.all().iter().any(is_sent) { self.has_reached(is_alert) } else { self.is_delivered() }
    }

    /// Everything that was applied, as the ledger keeps it.
    pub fn applied(&self) -> Vec<String> {
        let changes = self.changes.applied().iter().map(Done::line).collect::<Vec<_>>();
        let notices = self.notices.applied().iter().map(Done::line).collect::<Vec<_>>();
        [changes, notices].concat()
    }

    /// Whether it was struck: something holds the identity back now because of us.
    pub fn has_struck(&self) -> bool {
        self.changes.applied().iter().any(|it| it.deed.contains())
    }

    /// The incident that this response started.
    pub fn incident(&self) -> Option<String> {
        self.notices.applied().into_iter().find_map(|it| match (it.deed, it.outcome) {
            (Notice::StartIncident { .. } | Notice::OpenOpsItem, Outcome::Applied { detail }) => Some(detail),
            _ => None,
        })
    }
}

fn is_alert(notice: &Notice) -> bool {
    matches!(notice, Notice::PublishAlert { .. } | Notice::PostToSlack { .. })
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text)).chars().take(16).collect()
}

/// What tells one finding's behaviour from its next: a source updates a finding under the same ID.
pub fn matter(finding: &Finding) -> String {
    digest(&format!("{} {:?} {}", finding.id, finding.occurred_at.map(|it| it.to_string()), finding.threat.playbook()))
}
