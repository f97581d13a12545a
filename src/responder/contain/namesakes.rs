//! Others who bore the name when something was written by it: IAM's writes go by name, and an attacker can give it to
//! another between a read and a write. What they got has a record, a report, an alert and a way back of its own.

use clients::iam::observe;
use clients::iam::resolve::{self, Resolved};
use clients::ledger::{Ending, Hold, IdentityLease};
use domain::change::Change;
use domain::containment::playbooks::Playbook;
use domain::containment::progress::Progress;
use domain::containment::report::Report;
use domain::finding::Finding;
use domain::identity::{Identity, IdentityKind, Observed};
use domain::ids::PrincipalName;
use domain::outcome::{Done, Failure, Outcome};
use domain::settings::Mode;
use domain::verdict::Verdict;

use super::strike::Engine;

/// How often the bearers of names are looked at that are given to one after the other.
const MOST_LOOKS: usize = 5;

/// The answer to a write does not say whom it was about.
pub(super) fn of_nobody_knows_whom(name: &PrincipalName) -> String {
    format!(
        "the name {name} led elsewhere after something was written by it, and whoever bore it for that moment may have got it: \
         look for AWSDenyAll at identities that nobody contained"
    )
}

impl Engine<'_> {
    /// Looks at whoever bears the name now. Nothing is written by it any more.
    pub(super) async fn tell_of_namesakes(&self, identity: &Identity, progress: &mut Progress) {
        for _ in progress.namesakes.len()..MOST_LOOKS {
            match self.bearer(identity).await {
                Ok(Bearer::Other(other)) => {
                    let got = self.got(identity, &other.observed, progress);
                    if got.is_empty() {
                        return;
                    }
                    let (id, name) = (other.identity.id.clone(), other.identity.name.clone());
                    let told = self.record(identity, *other, got, progress).await;
                    let words = format!("{name} ({id}), who bears the name now, was written to by it");
                    progress.notes.push(format!("{words}: see the alert of its own"));
                    progress.namesakes.push(told);
                    // The mark went by name too.
                    match resolve::bearer(&self.member.read, identity.kind, &identity.name).await {
                        Ok(Some(now)) if now.identity.id != id => {}
                        Ok(_) => return,
                        Err(failure) => return unread(&failure, identity, progress),
                    }
                }
                // Whoever bore it has another name by now, or its own again.
                Ok(Bearer::Nobody) => return progress.notes.push(of_nobody_knows_whom(&identity.name)),
                // It was read of two: each look takes time, in which it may be given on.
                Ok(Bearer::Changing) => {}
                Err(failure) => return unread(&failure, identity, progress),
            }
        }
        let name = &identity.name;
        let words = format!(
            "the name {name} is given to one after the other, and what was written by it may be with any of them: look for \
             AWSDenyAll and the mark at whoever bears it"
        );
        progress.notes.push(words.clone());
        progress.open.push(words);
    }

    /// Whoever bears the name, all of it read of one.
    async fn bearer(&self, identity: &Identity) -> Result<Bearer, Failure> {
        let look = || resolve::bearer(&self.member.read, identity.kind, &identity.name);
        let Some(found) = look().await? else { return Ok(Bearer::Nobody) };
        // Its policies were read by the name, beside its ID.
        let Some(again) = look().await? else { return Ok(Bearer::Changing) };
        match () {
            () if found.identity.id != again.identity.id => Ok(Bearer::Changing),
            () if again.identity.id == identity.id => Ok(Bearer::Nobody),
            () => Ok(Bearer::Other(Box::new(again))),
        }
    }

    /// What is ours of what another holds.
    fn got(&self, identity: &Identity, other: &Observed, progress: &Progress) -> Vec<Change> {
        let policy = self.finding.partition.deny_all_policy();
        let name = identity.name.clone();
        let has = |it: &Change| match it {
            Change::AttachDenyAll { .. } | Change::AttachDenyAllToRole { .. } => other.is_attached(&policy),
            Change::SetDenyAllBoundary { .. } => other.is_boundary(&policy),
            Change::RevokeSessions { .. } => {
                matches!(&other.revoked_before, Ok(Some(it)) if Some(*it) == progress.first_cutoff)
            }
            _ => false,
        };
        let all = match identity.kind {
            IdentityKind::User => vec![
                Change::AttachDenyAll { user: name.clone(), policy: policy.clone() },
                Change::SetDenyAllBoundary { user: name, policy: policy.clone() },
            ],
            IdentityKind::Role => {
                let revoked =
                    progress.first_cutoff.map(|it| Change::RevokeSessions { role: name.clone(), issued_before: it });
                let deny = Change::AttachDenyAllToRole { role: name, policy: policy.clone() };
                std::iter::once(deny).chain(revoked).collect()
            }
        };
        all.into_iter().filter(has).collect()
    }

    /// Keeps what it got as a response of its own, so that `restore` and `status` know it, and marks it for that.
    async fn record(&self, identity: &Identity, other: Resolved, got: Vec<Change>, progress: &Progress) -> Progress {
        let Resolved { identity: other, observed, .. } = other;
        // A restore compares with all of it.
        let whole = self.observe(&other).await;
        let observed = if whole.is_gone() { observed } else { whole };
        let mut told = Progress { matter: progress.matter.clone(), is_past_known: true, ..Progress::default() };
        let detail = format!("by the name, meant for {}", identity.id);
        for change in &got {
            let outcome = Outcome::Applied { detail: detail.clone() };
            told.changes.push(Done { deed: change.clone(), outcome, at: std::time::SystemTime::now().into() });
        }
        let case = self.case(&other);
        let mark =
            (self.playbook.plan)(&case, &observed).changes.into_iter().filter(|it| matches!(it, Change::Tag { .. }));
        let planned: Vec<_> = got.iter().cloned().chain(mark.clone()).collect();
        let reason = format!(
            "it bears the name {} that {} bore during its containment, and got what was written by that name: look at who \
             gave it the name, and take it back with `restore` where it did nothing",
            other.name, identity.id
        );
        told.conclude(Verdict::Unverified, reason);
        told.identity = Some(other.clone());
        let before = self.before(&other, &observed);
        match self.keep(&other, &before, &planned).await {
            Ok(Some(kept)) => {
                self.apply_all(mark.collect(), false, &told.changes).await;
                told.is_snapshot_saved = true;
                told.response = Some(kept.response.clone());
                let ending = Ending {
                    identity: &other,
                    verdict: Verdict::Unverified,
                    incident: None,
                    held_at: None,
                    response: Some(&kept.response),
                    not_taken: &[],
                    applied: told.changes.applied().iter().map(Done::line).collect(),
                    told: None,
                    is_rotated: false,
                };
                if let Some(ledger) = self.ledger
                    && let Err(failure) = ledger.close(&kept.lease, &ending).await
                {
                    told.ledger_failed.push(format!("closing its record: {failure}"));
                }
            }
            Ok(None) => told.notes.push("another response is at it, and has its record".to_owned()),
            Err(why) => told.ledger_failed.push(format!("keeping what it got: {why}")),
        }
        told.snapshot = Some(before);
        told.failed.append(&mut told.ledger_failed);
        told
    }

    /// Without what it got: of one that was there before us, whether it had that too was read by nobody.
    fn before(&self, other: &Identity, observed: &Observed) -> Observed {
        let deny_all = self.finding.partition.deny_all_policy();
        let is_deny_unclear = other.created.is_none_or(|it| it.secs() < self.now.secs());
        let mut before = Observed { is_deny_unclear, ..observed.clone() };
        if let Ok(attached) = &mut before.attached {
            attached.retain(|it| *it != deny_all);
        }
        if let Ok(profile) = &mut before.profile {
            profile.boundary.take_if(|it| *it == deny_all);
        }
        before
    }

    async fn keep(&self, other: &Identity, before: &Observed, planned: &[Change]) -> Result<Option<Kept>, String> {
        let ledger = self.ledger.ok_or("the ledger could not be reached")?;
        let meant = planned.iter().map(Change::words_of_record).collect();
        let held = ledger.hold(other, self.finding, meant, self.lease_until).await.map_err(|it| it.to_string())?;
        let Hold::Mine(lease, past) = held else { return Ok(None) };
        let response = self.save_snapshot(other, before, planned, &past).await?;
        // What a restore compares with; without it, it asks for `force`.
        if let Ok(names) = before.policy_names()
            && let Ok(contents) = observe::contents(&self.member.read, other, names).await
        {
            ledger.save_contents(other, &response, &contents).await.map_err(|it| it.to_string())?;
        }
        Ok(Some(Kept { lease, response }))
    }
}

/// One for each, about the same finding; what failed has to be tried again with the whole.
pub(super) fn reports(progress: &mut Progress, (finding, playbook, mode): (&Finding, &Playbook, Mode)) -> Vec<Report> {
    let mut reports = Vec::new();
    for namesake in &mut progress.namesakes {
        let (timings, calls) = Default::default();
        reports.push(Report::of(namesake, finding, playbook, mode, timings, calls));
        progress.failed.append(&mut namesake.failed);
    }
    reports
}

struct Kept {
    lease: IdentityLease,
    response: String,
}

enum Bearer {
    /// Nobody, or the identity itself.
    Nobody,
    Changing,
    Other(Box<Resolved>),
}

fn unread(failure: &Failure, identity: &Identity, progress: &mut Progress) {
    let name = &identity.name;
    let words = format!(
        "what was written by the name {name} may be with whoever bears it now, who could not be read: {failure}"
    );
    progress.notes.push(words.clone());
    progress.open.push(words);
}
