//! The strike: what stops the attacker goes out first, before anything is read that it does not need;
//! then everything else that the playbook plans, what takes away only once the snapshot is saved.
//!
//! INVARIANT: nothing is written before the target is resolved to its unique ID, and the ID agrees with the
//! finding's (`tests/test_refusals.py`); nothing is taken away before the snapshot is saved
//! (`tests/test_crashes.py`).

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::DateTime;
use clients::accounts::{Home, Member};
use clients::iam::apply::apply;
use clients::iam::observe;
use clients::iam::resolve::Resolved;
use clients::ledger::{Hold, IdentityLease, Lease, Ledger, Named};
use domain::approval::request::Struck;
use domain::change::Change;
use domain::containment::admission::Held;
use domain::containment::barriers::with_first_cutoff;
use domain::containment::playbooks::{Case, Plan, Playbook, holding};
use domain::containment::progress::Progress;
use domain::containment::relay::Relay;
use domain::containment::snapshot;
use domain::finding::{Finding, Threat};
use domain::identity::{Identity, Observed};
use domain::outcome::{Deed, Failure, Log, Outcome};
use domain::settings::{Mode, Options};
use domain::verdict::Verdict;
use futures_util::StreamExt;
use futures_util::stream;
use tokio::sync::oneshot;

use super::guardrail::Guardrail;
use super::judge::unread;
use super::known::Known;
use super::sought::{Sought, lost};
use super::turns::Turn;
use crate::invocation::now_millis;
use crate::note::note;

/// IAM takes parallel writes to one user, within reason.
const PARALLEL_WRITES: usize = 8;

/// How long after IAM could not say where a user is it is asked again.
const DOUBT: Duration = Duration::from_secs(1);

/// How often a user is looked for anew before a person has to.
pub(super) const MOST_RENAMES: usize = 4;

/// What one containment works with.
pub(super) struct Engine<'a> {
    pub(super) member: &'a Member,
    pub(super) home: &'a Home,
    pub(super) relay: &'a Relay,
    /// By which it invokes itself, where it does.
    pub(super) own_name: Option<&'a str>,
    pub(super) turn: &'a Turn<'a>,
    pub(super) playbook: &'a Playbook,
    pub(super) finding: &'a Finding,
    pub(super) now: DateTime,
    pub(super) settle: Duration,
    pub(super) options: Options,
    /// When the verdict must be in.
    pub(super) until: Instant,
    /// Absent where it could not be reached: then nothing is taken away.
    pub(super) ledger: Option<&'a Ledger>,
    /// A previous attempt applied containment and stopped before saving the snapshot.
    pub(super) is_resumed: bool,
    /// Another invocation has begun the fight.
    pub(super) is_continued: bool,
    pub(super) lease: Option<&'a Lease>,
    pub(super) lease_until: SystemTime,
    pub(super) identity_lease: &'a OnceLock<IdentityLease>,
    pub(super) guardrail: &'a Guardrail<'a>,
}

/// Up to when a role's sessions are revoked: by us now, or by what was found.
fn cutoff(strike: &[Change], changes: &[Change], before: &Observed) -> Option<DateTime> {
    let ours = strike.iter().chain(changes).find_map(|it| match it {
        Change::RevokeSessions { issued_before, .. } => Some(*issued_before),
        _ => None,
    });
    ours.or(before.revoked_before.clone().ok().flatten())
}

impl Engine<'_> {
    /// Gives back who has the identity, when it is another's and the finding is too.
    /// `struck`: where people are to be asked about whom was struck.
    pub(super) async fn run(
        &self,
        mode: Mode,
        resolved: Resolved,
        struck: Option<oneshot::Sender<Known>>,
        progress: &mut Progress,
    ) -> Option<Held> {
        match mode {
            Mode::Observe | Mode::Approve => {
                self.foresee(&resolved.identity, progress).await;
                None
            }
            Mode::Enforce => self.enforce(resolved, struck, progress).await,
        }
    }

    pub(super) fn case<'b>(&'b self, identity: &'b Identity) -> Case<'b> {
        Case { finding: self.finding, identity, now: self.now, options: self.options }
    }

    pub(super) async fn observe(&self, identity: &Identity) -> Observed {
        let iam = &self.member.read;
        let observed = observe::observe(iam, identity, self.playbook.detaches).await;
        match self.finding.threat {
            Threat::MissingMfa if self.options.holds_console => observe::with_hold(iam, identity, observed).await,
            _ => observed,
        }
    }

    /// The plan, and nothing of it done.
    async fn foresee(&self, identity: &Identity, progress: &mut Progress) {
        let Some((identity, observed)) = self.observe_anew(identity.clone(), None, progress).await else { return };
        let identity = &identity;
        let Plan { changes, notes, suspects } = (self.playbook.plan)(&self.case(identity), &observed);
        progress.open.extend(suspects.into_iter().map(|it| it.words));
        for change in changes {
            note(&progress.changes, change, Outcome::Planned);
        }
        progress.notes.extend(notes);
        progress.notes.extend(unread(&observed).iter().map(|it| format!("could not be read: {it}")));
        progress.snapshot = Some(observed);
        progress.conclude(Verdict::Observed, "nothing was changed: the mode is `observe`");
    }

    async fn enforce(
        &self,
        resolved: Resolved,
        to_ask: Option<oneshot::Sender<Known>>,
        progress: &mut Progress,
    ) -> Option<Held> {
        let Resolved { identity, observed: known, .. } = resolved;
        let case = self.case(&identity);
        let mut strike = with_first_cutoff((self.playbook.strike)(&case, &known), &case, progress.first_cutoff);
        // A boundary of the user's own is replaced only after it was kept.
        let may_replace = known.profile.as_ref().is_ok_and(|it| it.boundary.is_none());
        let words = strike.iter().map(Change::words_of_record).collect();
        let looked = now_millis();
        // In this order: the reads must not take the open connections before the deny does.
        let ((), held, (room, before)) = tokio::join!(
            biased;
            async {
                self.apply_all(strike.clone(), may_replace, &progress.changes).await;
                self.turn.struck();
            },
            self.hold_identity(&identity, words),
            async { (self.turn.room().await, self.observe(&identity).await) }
        );
        match held {
            Ok(None) => {}
            Ok(Some(Hold::Mine(_, past))) => {
                progress.past = *past;
                progress.is_past_known = true;
            }
            Ok(Some(Hold::Others(held))) => {
                self.leave_suspects(&identity, &known, progress).await;
                return Some(held);
            }
            Err(failure) => progress.ledger_failed.push(format!("taking the identity in the ledger: {failure}")),
        }
        let struck = identity.clone();
        let found = self.observe_anew(identity, Some(before), progress).await;
        let is_elsewhere = found.as_ref().is_none_or(|(it, _)| it.name != struck.name);
        if is_elsewhere && strike.iter().any(|it| progress.changes.has_done(it)) {
            self.tell_of_namesakes(&struck, progress).await;
        }
        let (identity, mut before) = found?;
        if identity.name != struck.name {
            // What was meant for the former name is planned anew for this one.
            strike.clear();
        }
        let case = self.case(&identity);
        if known.revoked_before.is_ok() {
            before.revoked_before.clone_from(&known.revoked_before);
            before.not_a_revocation.clone_from(&known.not_a_revocation);
        }
        let Plan { changes, notes, suspects } = (self.playbook.plan)(&case, &before);
        let mut changes = with_first_cutoff(changes, &case, progress.first_cutoff);
        progress.first_cutoff = progress.first_cutoff.or_else(|| cutoff(&strike, &changes, &before));
        let is_held = strike.is_empty() && !changes.iter().any(Change::contains) && unread(&before).is_empty();
        let is_begun = self.is_continued || self.is_resumed;
        let is_answered =
            is_held && !is_begun && progress.past.has_answered(self.finding.threat, self.finding.occurred_at);
        let seen_held = is_answered.then(|| before.clone());
        progress.notes.extend(notes);
        progress.suspects = suspects;
        let deny_all = self.finding.partition.deny_all_policy();
        let mut before = snapshot::before_strike(known, before, &deny_all, identity.kind);
        if self.is_resumed || !progress.past.intents.is_empty() {
            snapshot::without_ours(&mut before, &deny_all, &progress.past.intent());
        }
        let mut planned: Vec<_> = strike.iter().chain(&changes).cloned().collect();
        planned.extend(strike.iter().filter(|it| !progress.changes.has_done(it)).filter_map(Change::stand_in));
        // The read beside the strike may have been too early to see it.
        changes.retain(|it| !strike.iter().any(|struck| struck.is_same(it)));
        let (is_saved, saved) = oneshot::channel();
        let is_kept = self.goes_on_with_contents(&progress.past.responses);
        let beside = self.beside(identity.clone(), before.clone(), is_kept, saved);
        let guarded = self.attach_guardrail(&identity, self.guardrail.listen());
        let fight = async {
            self.apply_recorded(changes, planned, &identity, &before, progress).await;
            let _ = is_saved.send((progress.response.clone(), progress.past.responses.clone()));
            self.ask(to_ask, &identity, &before, progress);
            let put_off = strike.into_iter().filter(|it| progress.changes.was_put_off(it)).collect();
            self.apply_taking(put_off, progress).await;
            progress.snapshot = Some(before.clone());
            drop(room);
            match &seen_held {
                Some(observed) => self.judge_at_once(&case, observed, looked, progress).await,
                None => self.hold(identity.clone(), progress).await,
            }
            self.guardrail.is_over();
        };
        let ((), found, ()) = tokio::join!(fight, beside, guarded);
        found.tell(progress);
        progress.guardrail = self.guardrail.so_far();
        None
    }

    /// People are asked while what was done is held: whoever fights that puts no question off.
    fn ask(&self, to_ask: Option<oneshot::Sender<Known>>, identity: &Identity, before: &Observed, progress: &Progress) {
        let (Some(to_ask), Some(response)) = (to_ask, progress.response.clone()) else { return };
        let changes = progress.changes.all();
        let known = Known {
            member: self.member.clone(),
            identity: identity.clone(),
            before: before.clone(),
            struck: Some(Struck { response, barrier: holding::barrier(identity.kind, &changes) }),
            changes,
            others: self.relay.group.others.clone(),
        };
        // Nobody is there to ask only when the whole response has ended.
        let _ = to_ask.send(known);
    }

    /// A full read of the identity, under the name it has by now: others of the event were waited for, and whoever
    /// took the name meanwhile is nobody's containment. `None`: it is gone, and the verdict is in.
    async fn observe_anew(
        &self,
        mut identity: Identity,
        mut observed: Option<Observed>,
        progress: &mut Progress,
    ) -> Option<(Identity, Observed)> {
        for _ in 0..MOST_RENAMES {
            let read = match observed.take() {
                Some(it) => it,
                None => self.observe(&identity).await,
            };
            if !read.is_gone() {
                return Some((identity, read));
            }
            match self.find_again(&identity, progress).await {
                Sought::Found(found) => identity = found,
                Sought::Gone => return None,
                Sought::Unknown(failure) if self.is_late() => {
                    lost(&failure, progress);
                    return None;
                }
                // It is read anew under the name that it had.
                Sought::Unknown(_) => tokio::time::sleep(DOUBT).await,
            }
        }
        let reason = "it was renamed over and over during the response, or could not be looked for";
        progress.failed.push(reason.to_owned());
        progress.conclude(Verdict::Unverified, reason);
        None
    }

    /// What only this finding tells is kept with the identity, whoever holds it.
    async fn leave_suspects(&self, identity: &Identity, known: &Observed, progress: &mut Progress) {
        let suspects = (self.playbook.plan)(&self.case(identity), known).suspects;
        let named = Named { suspects, ..Named::default() };
        if let Some(ledger) = self.ledger
            && let Err(failure) = ledger.keep_suspects(&Ledger::record_of(identity), &named).await
        {
            progress.ledger_failed.push(format!("keeping who is suspected: {failure}"));
        }
    }

    /// The lease on the identity itself, with what is meant to be done, and whom the lease on its name is
    /// about: beside the strike, which waits for neither.
    async fn hold_identity(&self, identity: &Identity, strike: Vec<String>) -> Result<Option<Hold>, Failure> {
        let Some(ledger) = self.ledger else { return Ok(None) };
        let noted = async {
            if let Some(lease) = self.lease
                && let Err(failure) = ledger.note_struck(lease, identity).await
            {
                tracing::warn!("whoever comes by the same name will strike too: {failure}");
            }
        };
        let held = async {
            let held = ledger.hold(identity, self.finding, strike, self.lease_until).await?;
            if let Hold::Mine(lease, _) = &held {
                let _ = self.identity_lease.set(lease.clone());
            }
            Ok(held)
        };
        let (held, ()) = tokio::join!(held, noted);
        held.map(Some)
    }

    /// What adds goes on beside saving the snapshot; what takes away comes after, and only if it
    /// was kept.
    async fn apply_recorded(
        &self,
        changes: Vec<Change>,
        planned: Vec<Change>,
        identity: &Identity,
        before: &Observed,
        progress: &mut Progress,
    ) {
        let (adding, taking): (Vec<_>, Vec<_>) = changes.into_iter().partition(Change::is_additive);
        let (kept, ()) = tokio::join!(
            self.save_snapshot(identity, before, &planned, &progress.past),
            self.apply_all(adding, false, &progress.changes)
        );
        progress.is_snapshot_saved = kept.is_ok();
        match kept {
            Ok(response) => progress.response = Some(response),
            Err(why) => progress.ledger_failed.push(format!("saving the snapshot: {why}")),
        }
        self.apply_taking(taking, progress).await;
    }

    pub(super) async fn apply_taking(&self, taking: Vec<Change>, progress: &Progress) {
        if progress.is_snapshot_saved {
            return self.apply_all(taking, true, &progress.changes).await;
        }
        for change in taking {
            note(
                &progress.changes,
                change,
                Outcome::Skipped { reason: "the snapshot is not saved in the ledger".to_owned() },
            );
        }
    }

    pub(super) async fn apply_all(&self, changes: Vec<Change>, may_replace: bool, done: &Log<Change>) {
        let one = |change: Change| self.apply_one(change, may_replace, done);
        stream::iter(changes).map(one).buffer_unordered(PARALLEL_WRITES).collect::<()>().await;
    }

    async fn try_on(&self, change: &Change) -> Outcome {
        if let Change::HoldConsole { policy, .. } = change
            && let Err(failure) = observe::check_hold(&self.member.read, policy).await
        {
            return Outcome::Failed(failure);
        }
        let once = || async {
            match apply(&self.member.write, change).await {
                Outcome::Failed(failure) => Err(failure),
                outcome => Ok(outcome),
            }
        };
        let patience = &self.member.patience;
        let outcome = if change.contains() { patience.urgently(once).await } else { patience.with(once).await };
        outcome.unwrap_or_else(Outcome::Failed)
    }

    /// Where no policy can be attached any more, the boundary is the other slot. `may_replace`: there
    /// is none, or it was kept.
    async fn apply_one(&self, change: Change, may_replace: bool, done: &Log<Change>) {
        let outcome = self.try_on(&change).await;
        match (&change, outcome) {
            (Change::AttachDenyAll { .. }, Outcome::Failed(failure)) if failure.is_quota() && !may_replace => {
                let reason = format!("{failure}; the permissions boundary is used once the user's own one is kept");
                note(done, change, Outcome::Skipped { reason });
            }
            (Change::AttachDenyAll { user, policy }, Outcome::Failed(failure)) if failure.is_quota() => {
                let boundary = Change::SetDenyAllBoundary { user: user.clone(), policy: policy.clone() };
                let reason = format!("{failure}; tried instead: {boundary}");
                note(done, change, Outcome::Skipped { reason });
                let outcome = self.try_on(&boundary).await;
                note(done, boundary, outcome);
            }
            (Change::RevokeSessions { role, .. }, Outcome::Failed(failure)) if failure.is_quota() => {
                let policy = self.finding.partition.deny_all_policy();
                let deny = Change::AttachDenyAllToRole { role: role.clone(), policy };
                let reason = format!("{failure}; tried instead: {deny}");
                note(done, change, Outcome::Skipped { reason });
                let outcome = self.try_on(&deny).await;
                note(done, deny, outcome);
            }
            (_, outcome) => note(done, change, outcome),
        }
    }
}
