//! Others who bore the name when something was written by it: IAM's writes go by name, and an attacker can give it to
//! another between a read and a write. What they got has a record, a report, an alert and a way back of its own.

use clients::iam::observe;
use clients::iam::resolve::{self, Resolved};
use clients::ledger::{Ending, Hold, IdentityLease};
use domain::change::Change;
use domain::containment::names;
use domain::containment::playbooks::Playbook;
use domain::containment::progress::Progress;
use domain::containment::report::Report;
use domain::finding::Finding;
use domain::history::Past;
use domain::identity::{Identity, Observed};
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
        let strays = self.by_name.strays(identity);
        self.strays_are_told(identity);
        for _ in progress.namesakes.len()..MOST_LOOKS {
            match self.bearer(identity).await {
                Ok(Bearer::Other(other)) => {
                    let is_told = |it: &Progress| it.identity.as_ref().is_some_and(|it| it.id == other.identity.id);
                    if progress.namesakes.iter().any(is_told) {
                        return;
                    }
                    let Some(share) = self.share(identity, &other, &strays, progress).await else { return };
                    let (id, name) = (other.identity.id.clone(), other.identity.name.clone());
                    let words = if share.got.is_empty() { "may have lost by it" } else { "was written to by it" };
                    progress
                        .notes
                        .push(format!("{name} ({id}), who bears the name now, {words}: see the alert of its own"));
                    let told = self.record(identity, other.identity, share, progress).await;
                    progress.namesakes.push(told);
                    // The mark went by name too.
                    match resolve::bearer(&self.member.read, identity.kind, &identity.name).await {
                        Ok(Some(now)) if now.identity.id != id => {}
                        Ok(_) => return,
                        Err(failure) => return unread(&failure, identity, progress),
                    }
                }
                // Whoever bore it has another name by now, or its own again.
                Ok(Bearer::Nobody) => {
                    let words = of_nobody_knows_whom(&identity.name);
                    if !progress.notes.contains(&words) {
                        progress.notes.push(words);
                    }
                    return;
                }
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

    /// What of it is another's now; `None` where nothing is.
    async fn share(
        &self,
        identity: &Identity,
        other: &Resolved,
        strays: &[Change],
        progress: &Progress,
    ) -> Option<Share> {
        // What is denied to it by a containment of its own is not for people to take back. Where that is not known, they
        // are told.
        let own = match self.ledger {
            Some(ledger) => ledger.past(&other.identity).await.unwrap_or_default(),
            None => Past::default(),
        };
        let case = self.case(identity);
        let revoked = strays.iter().find_map(|it| match it {
            Change::RevokeSessions { issued_before, .. } => Some(*issued_before),
            _ => None,
        });
        // A strike that is under way is not noted yet.
        let cutoff = progress.first_cutoff.or(revoked);
        let got = |it: &Observed| names::got(&case, it, &own, cutoff);
        if got(&other.observed).is_empty() && strays.iter().all(Change::is_additive) {
            return None;
        }
        // A restore compares with all of it.
        let whole = self.observe(&other.identity).await;
        let observed = if whole.is_gone() { other.observed.clone() } else { whole };
        let (got, lost) = (got(&observed), names::may_have_lost(strays.to_vec(), &observed));
        (!got.is_empty() || !lost.is_empty()).then_some(Share { observed, own, got, lost })
    }

    /// Keeps what it got as a response of its own, so that `restore` and `status` know it, and marks it for that.
    async fn record(&self, identity: &Identity, other: Identity, share: Share, progress: &Progress) -> Progress {
        let Share { observed, own, got, lost } = share;
        let mut told = Progress { matter: progress.matter.clone(), is_past_known: true, ..Progress::default() };
        let detail = format!("by the name, meant for {}", identity.id);
        for change in &got {
            let outcome = Outcome::Applied { detail: detail.clone() };
            told.changes.push(Done { deed: change.clone(), outcome, at: std::time::SystemTime::now().into() });
        }
        let case = self.case(&other);
        // Without it no restore changes anything.
        let mark = (self.playbook.plan)(&case, &observed).changes.into_iter();
        let mark: Vec<_> = mark.filter(|it| matches!(it, Change::Tag { .. }) && !got.is_empty()).collect();
        let planned: Vec<_> = got.iter().chain(&mark).cloned().collect();
        told.open.extend(
            lost.iter().map(|it| format!("may have been done to it by the name, and no restore gives it back: {it}")),
        );
        told.identity = Some(other.clone());
        let before = names::without(&got, &case, &observed);
        let kept = self.keep(&other, &before, &planned).await;
        told.conclude(Verdict::Unverified, reason(identity, &other, &got, &own));
        match kept {
            Ok(Some(kept)) => {
                self.apply_all(&other, mark, false, &told.changes).await;
                told.is_snapshot_saved = true;
                told.response = Some(kept.response.clone());
                let applied = told.changes.applied().iter().map(Done::line).collect();
                if let Err(failure) = self.close_for(&other, &kept, applied).await {
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

    /// How a response to that one itself ended stays what it is.
    async fn close_for(&self, other: &Identity, kept: &Kept, applied: Vec<String>) -> Result<(), Failure> {
        let Some(ledger) = self.ledger else { return Ok(()) };
        if kept.is_its_own {
            ledger.keep_applied(&kept.lease, applied).await?;
            return ledger.let_go(&kept.lease).await;
        }
        let ending = Ending {
            identity: other,
            verdict: Verdict::Unverified,
            incident: None,
            held_at: None,
            response: Some(&kept.response),
            not_taken: &[],
            applied,
            told: None,
            is_rotated: false,
        };
        ledger.close(&kept.lease, &ending).await.map(|_| ())
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
        let is_its_own = past.responses.iter().any(|it| it.id == response);
        Ok(Some(Kept { lease, response, is_its_own }))
    }
}

fn reason(identity: &Identity, other: &Identity, got: &[Change], own: &Past) -> String {
    let bears = format!("it bears the name {} that {} bore during its containment", other.name, identity.id);
    if got.is_empty() {
        return format!(
            "{bears}, and may have lost what was taken away by that name: look at who gave it the name, and give it back by \
             hand where it was there"
        );
    }
    let way_back = if own.responses.is_empty() {
        "take it back with `restore` where it did nothing".to_owned()
    } else {
        let own: Vec<_> = own.responses.iter().map(|it| it.id.as_str()).collect();
        format!("take no more than that back: its own containment ({}) stays", own.join(", "))
    };
    format!("{bears}, and got what was written by that name: look at who gave it the name, and {way_back}")
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
    /// One that began before, about that one itself.
    is_its_own: bool,
}

/// What another has of what was meant for somebody else.
struct Share {
    observed: Observed,
    /// What responses to that one itself left.
    own: Past,
    got: Vec<Change>,
    /// What it may have lost.
    lost: Vec<Change>,
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
