//! Containment as a reconciliation: strike, then observe, plan and apply until observation has shown
//! nothing left to do for the settle time.
//!
//! IAM shows a change at once and enforces it some four seconds later. An attacker with the stolen
//! key can undo us in that window, so that what was put in place is read again about once a second
//! and put back, and a verdict comes only from a full read after it has held long enough: never from
//! what was written.

use std::time::{Duration, Instant};

use aws_smithy_types::DateTime;
use futures_util::StreamExt;
use futures_util::stream;

use crate::accounts::Member;
use crate::action::{Action, Failure, Outcome};
use crate::apply::apply;
use crate::before;
use crate::clock::Clock;
use crate::config::Mode;
use crate::finding::Finding;
use crate::identity::{Identity, Observed, Read};
use crate::ledger::{Ledger, Past};
use crate::observe;
use crate::playbooks::{Case, Options, Plan, Playbook};
use crate::record::{DoneLog, Record};
use crate::report::Verdict;
use crate::resolve::{self, Resolved, Unresolved};
use crate::suspects;

/// IAM takes parallel writes to one user, within reason.
const PARALLEL_WRITES: usize = 8;

/// What one reconciliation works with.
pub struct Engine<'a> {
    pub member: &'a Member,
    pub playbook: &'a Playbook,
    pub finding: &'a Finding,
    pub now: DateTime,
    pub settle: Duration,
    pub options: Options,
    /// When the verdict must be in.
    pub until: Instant,
    /// Absent where it could not be reached: then nothing is taken away.
    pub ledger: Option<&'a Ledger>,
    /// An earlier try struck, and ended before it kept the state before.
    pub is_resumed: bool,
}

impl Engine<'_> {
    pub async fn run(&self, mode: Mode, resolved: Resolved, record: &mut Record) {
        match mode {
            Mode::Observe => self.foresee(&resolved.identity, record).await,
            Mode::Enforce => self.enforce(resolved, record).await,
        }
    }

    fn case<'b>(&'b self, identity: &'b Identity) -> Case<'b> {
        Case { finding: self.finding, identity, now: self.now, options: self.options }
    }

    async fn observe(&self, identity: &Identity) -> Observed {
        observe::observe(&self.member.iam, identity, self.playbook.detaches).await
    }

    /// The plan, and nothing of it done.
    async fn foresee(&self, identity: &Identity, record: &mut Record) {
        let observed = self.observe(identity).await;
        let Plan { actions, notes, suspects } = (self.playbook.plan)(&self.case(identity), &observed);
        record.open.extend(suspects);
        for action in actions {
            record.done.push(action, Outcome::Planned);
        }
        record.notes.extend(notes);
        record.notes.extend(unread(&observed).iter().map(|it| format!("could not be read: {it}")));
        record.before = Some(observed);
        record.conclude(Verdict::Observed, "nothing was changed: the mode is `observe`");
    }

    async fn enforce(&self, resolved: Resolved, record: &mut Record) {
        let Resolved { identity, observed: known } = resolved;
        let case = self.case(&identity);
        let began = Instant::now();
        let strike = (self.playbook.strike)(&case, &known);
        // A boundary of the user's own is replaced only after it was kept.
        let may_replace = known.profile.as_ref().is_ok_and(|it| it.boundary.is_none());
        let (mut before, (), past) = tokio::join!(
            self.observe(&identity),
            self.apply_all(strike.clone(), may_replace, &record.done),
            self.past(&identity)
        );
        match past {
            Ok(past) => record.past = past,
            Err(failure) => record.ledger_failed.push(format!("reading the ledger: {failure}")),
        }
        if known.revoked_before.is_ok() {
            before.revoked_before.clone_from(&known.revoked_before);
        }
        let Plan { mut actions, notes, suspects } = (self.playbook.plan)(&case, &before);
        record.notes.extend(notes);
        record.suspects = suspects;
        let mut before = before::before_strike(known, before, &self.finding.partition.deny_all_policy());
        if self.is_resumed {
            before::without_ours(&mut before, &self.finding.partition.deny_all_policy());
        }
        let planned = strike.iter().chain(&actions).map(Action::words_of_record).collect();
        // The read beside the strike may have been too early to see it.
        actions.retain(|it| !strike.iter().any(|struck| struck.is_same(it)));
        self.apply_recorded(actions, planned, &identity, &before, record).await;
        self.apply_taking(strike.into_iter().filter(|it| record.done.was_put_off(it)).collect(), record).await;
        record.before = Some(before);
        self.hold(identity, began, record).await;
    }

    async fn past(&self, identity: &Identity) -> Result<Past, Failure> {
        match self.ledger {
            Some(ledger) => ledger.past(identity).await,
            None => Ok(Past::default()),
        }
    }

    /// What adds goes on beside keeping the before-state; what takes away comes after, and only if it
    /// was kept.
    async fn apply_recorded(
        &self,
        actions: Vec<Action>,
        planned: Vec<String>,
        identity: &Identity,
        before: &Observed,
        record: &mut Record,
    ) {
        let (adding, taking): (Vec<_>, Vec<_>) = actions.into_iter().partition(Action::is_additive);
        let keep = async {
            match self.ledger {
                Some(ledger) => {
                    let before = before::to_json(before);
                    ledger.keep_before(identity, &before, planned).await.map_err(|it| it.to_string())
                }
                None => Err("the ledger could not be reached".to_owned()),
            }
        };
        let (kept, ()) = tokio::join!(keep, self.apply_all(adding, false, &record.done));
        record.is_before_kept = kept.is_ok();
        if let Err(why) = kept {
            record.ledger_failed.push(format!("keeping the before-state: {why}"));
        }
        self.apply_taking(taking, record).await;
    }

    async fn apply_taking(&self, taking: Vec<Action>, record: &Record) {
        if record.is_before_kept {
            return self.apply_all(taking, true, &record.done).await;
        }
        for action in taking {
            record.done.push(action, Outcome::Skipped { reason: "the before-state is not in the ledger".to_owned() });
        }
    }

    /// Reads again and puts back until it has held, or nothing more can be done, or the time is up.
    async fn hold(&self, mut identity: Identity, began: Instant, record: &mut Record) {
        let mut clock = Clock::start(self.settle);
        loop {
            if clock.has_settled() || self.is_late() {
                let case = self.case(&identity);
                let (observed, suspects) = tokio::join!(self.observe(&identity), self.suspects(&case, began));
                let missing = missing(&(self.playbook.plan)(&case, &observed), &observed);
                let is_last =
                    missing.is_empty() || self.settle.is_zero() || self.is_late() || is_hopeless(&missing, record);
                if is_last {
                    self.judge(&missing, &observed, suspects, record);
                    check_time(&clock, record);
                }
                // Also when nobody will look again: what is missing now must not stay so.
                self.put_back(missing, record).await;
                if is_last {
                    return;
                }
                clock.restart();
                continue;
            }
            clock.pause().await;
            let barriers = observe::barriers(&self.member.iam, &identity).await;
            if barriers.profile.as_ref().is_err_and(|it| it.is_gone) {
                match self.find_again(&identity, record).await {
                    Some(found) => identity = found,
                    None => return,
                }
                clock.restart();
                continue;
            }
            let missing = missing(&(self.playbook.plan)(&self.case(&identity), &barriers), &barriers);
            match () {
                () if is_hopeless(&missing, record) => clock.finish(),
                () if !missing.is_empty() => {
                    self.put_back(missing, record).await;
                    clock.restart();
                }
                () if barriers.is_unknown() => clock.doubt(barriers.is_throttled()),
                () => clock.calm_down(),
            }
        }
    }

    /// The name leads to nobody, or to somebody else: the attacker renamed the user, or it is gone.
    /// Whoever bears the name now is a suspect and nobody's containment.
    async fn find_again(&self, identity: &Identity, record: &mut Record) -> Option<Identity> {
        match resolve::find_again(&self.member.iam, identity).await {
            Ok(found) => {
                record.reversals.push(format!("user {} was renamed to {}", identity.name, found.name));
                record.identity = Some(found.clone());
                return Some(found);
            }
            Err(Unresolved::Refused(reason)) => {
                let reason = format!("it vanished during the response: {reason}");
                record.open.push(format!("whoever bears the name {} now is a suspect", identity.name));
                record.conclude(Verdict::Unverified, reason);
            }
            Err(Unresolved::Failed(failure)) => {
                record.conclude(Verdict::Unverified, format!("it vanished, and could not be looked up: {failure}"));
            }
        }
        record.failed = record.done.failures();
        record.failed.extend(record.reason.clone());
        None
    }

    fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    async fn put_back(&self, missing: Vec<Action>, record: &mut Record) {
        for action in &missing {
            if record.done.has_done(action) {
                record.reversals.push(format!("was undone: {action}"));
            } else if let Action::DeactivateAccessKey { key, .. } = action
                && is_new(key.as_str(), record)
            {
                record.reversals.push(format!("access key {key} was created during the response"));
            }
        }
        let (adding, taking): (Vec<_>, Vec<_>) = missing.into_iter().partition(Action::is_additive);
        self.apply_all(adding, record.is_before_kept, &record.done).await;
        self.apply_taking(taking, record).await;
    }

    async fn apply_all(&self, actions: Vec<Action>, may_replace: bool, done: &DoneLog) {
        let one = |action: Action| self.apply_one(action, may_replace, done);
        stream::iter(actions).map(one).buffer_unordered(PARALLEL_WRITES).collect::<()>().await;
    }

    /// Where no policy can be attached any more, the boundary is the other slot. `may_replace`: there
    /// is none, or it was kept.
    async fn apply_one(&self, action: Action, may_replace: bool, done: &DoneLog) {
        let outcome = apply(self.member, &action).await;
        match (&action, outcome) {
            (Action::AttachDenyAll { .. }, Outcome::Failed(failure)) if failure.is_quota() && !may_replace => {
                let reason = format!("{failure}; the permissions boundary is used once the user's own one is kept");
                done.push(action, Outcome::Skipped { reason });
            }
            (Action::AttachDenyAll { user, policy }, Outcome::Failed(failure)) if failure.is_quota() => {
                let boundary = Action::SetDenyAllBoundary { user: user.clone(), policy: policy.clone() };
                let reason = format!("{failure}; the permissions boundary is used instead");
                done.push(action, Outcome::Skipped { reason });
                let outcome = apply(self.member, &boundary).await;
                done.push(boundary, outcome);
            }
            (_, outcome) => done.push(action, outcome),
        }
    }

    /// Whoever acts with the identity may have made others that still can.
    async fn suspects(&self, case: &Case<'_>, began: Instant) -> Read<Vec<String>> {
        if !self.playbook.has_adversary {
            return Ok(Vec::new());
        }
        suspects::since(&self.member.iam, case.identity, began.elapsed()).await
    }

    /// What the playbook would still do, given what is there now, is what is still open.
    fn judge(&self, missing: &[Action], after: &Observed, suspects: Read<Vec<String>>, record: &mut Record) {
        let mut unread = unread(after);
        unread.extend(suspects.as_ref().err().map(|it| format!("{} ({})", it.what, it.why)));
        record.open = missing.iter().map(|it| format!("still to do: {it}")).collect();
        record.open.extend(unread.iter().map(|it| format!("could not be read back: {it}")));
        record.failed = record.done.failures();
        record.failed.extend(record.open.clone());
        let mut suspects = suspects.unwrap_or_default();
        suspects.extend(record.suspects.clone());
        record.open.extend(suspects.iter().cloned());
        match () {
            () if !missing.is_empty() => {
                record.conclude(Verdict::NotContained, "the state that was read back is not the wanted one");
            }
            () if !unread.is_empty() => record.conclude(Verdict::Unverified, "not everything could be read back"),
            () if !suspects.is_empty() => {
                record.conclude(
                    Verdict::SuspectsOpen,
                    "what was wanted is in place, and does not stop everything: see what is open",
                );
            }
            () => {
                let held = self.settle.as_secs();
                record
                    .conclude(Verdict::Contained, format!("everything wanted is in place, and has held for {held} s"));
            }
        }
    }
}

/// All may be in place when the time is up, but not for long enough to say that it holds.
fn check_time(clock: &Clock, record: &mut Record) {
    if !clock.has_settled() && matches!(record.verdict, Some(Verdict::Contained | Verdict::SuspectsOpen)) {
        let reason = format!("the time was up {} s before it had held long enough", clock.rest().as_secs() + 1);
        record.open.push(reason.clone());
        record.failed.push(reason.clone());
        record.conclude(Verdict::NotContained, reason);
    }
}

/// Another try fails the same way: a person must know now.
fn is_hopeless(missing: &[Action], record: &Record) -> bool {
    !missing.is_empty() && missing.iter().all(|it| record.done.failed_for_good(it))
}

fn is_new(key: &str, record: &Record) -> bool {
    let before = record.before.as_ref().and_then(|it| it.keys.as_ref().ok());
    before.is_some_and(|keys| !keys.iter().any(|it| it.id.as_str() == key))
}

/// What a plan wants that holds the identity back, without what is only not known.
fn missing(plan: &Plan, observed: &Observed) -> Vec<Action> {
    let is_known = |it: &&Action| match it {
        Action::AttachDenyAll { .. } => observed.attached.is_ok() && observed.profile.is_ok(),
        Action::AttachDenyAllToRole { .. } => observed.attached.is_ok(),
        Action::RevokeSessions { .. } => observed.revoked_before.is_ok(),
        _ => true,
    };
    plan.actions.iter().filter(|it| it.contains()).filter(is_known).cloned().collect()
}

fn unread(observed: &Observed) -> Vec<String> {
    observed.unreadable().iter().map(|it| format!("{} ({})", it.what, it.why)).collect()
}
