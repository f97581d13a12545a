//! Holding: the barriers are read again about once a second and put back, until observation has shown
//! nothing left to do for the settle time.
//!
//! IAM shows a change at once and enforces it some four seconds later. An attacker with the stolen
//! key can undo us in that window, so that a verdict comes only from a full read after it has held long
//! enough: never from what was written.

use std::pin::pin;
use std::time::{Duration, Instant};

use clients::iam::resolve::{self, Unresolved};
use clients::iam::{observe, recently_created};
use clients::ledger::Ledger;
use domain::change::Change;
use domain::containment::barriers::with_first_cutoff;
use domain::containment::guard;
use domain::containment::playbooks::Case;
use domain::containment::progress::Progress;
use domain::finding::Source;
use domain::identity::{Identity, Observed, Read};
use domain::outcome::Failure;
use domain::suspects::{Suspect, Suspects};
use domain::verdict::Verdict;

use super::budgets;
use super::contest::{ENDS_WITHIN, Fight};
use super::judge::{check_time, is_hopeless, judge, missing, missing_mark};
use super::pace::Clock;
use super::sought::{Sought, conclude_unverified, lost};
use super::strike::Engine;
use crate::invocation::now_millis;

/// What another finding adds to the suspects in so short a time is told by the response to that one.
const LONG_LOOK: Duration = Duration::from_secs(2);

impl Engine<'_> {
    /// Reads again and puts back until it has held, or nothing more can be done, or the time is up. Once somebody undoes
    /// something, a fight goes on beside it.
    pub(super) async fn hold(&self, identity: Identity, progress: &mut Progress) {
        let fight = Fight::new(self, &identity, self.relay.fought.filter(|_| self.is_continued));
        let done = progress.changes.shared();
        let mut fighting = pin!(fight.go_on(&done));
        tokio::select! {
            biased;
            () = self.look_on(identity, &fight, progress) => {}
            () = &mut fighting => {}
        }
        // It ends only when it is told to, and when nothing is under way any more.
        fight.over();
        let _ = tokio::time::timeout(ENDS_WITHIN, fighting).await;
        fight.tell(progress);
        self.look_for_strays(progress).await;
    }

    async fn look_on(&self, mut identity: Identity, fight: &Fight, progress: &mut Progress) {
        let mut clock = Clock::start(self.settle);
        // Nobody knows where it is: people learn of that when the time is up.
        let mut is_lost = false;
        loop {
            clock.was_hidden(fight.hidden_until());
            let is_last_chance = self.is_late() || self.settle.is_zero();
            if self.guardrail.is_awaited(progress) && clock.has_settled() && !self.settle.is_zero() {
                clock.restart();
            }
            if self.is_late() && !clock.has_settled() && !is_lost && self.hand_over(progress).await {
                return;
            }
            // Of this moment, before the look: what the look takes is no time in which it has held.
            let has_settled = clock.has_settled();
            if has_settled || clock.is_finished() || self.is_late() {
                let _room = self.turn.look().await;
                let (looked, began, moment) = (now_millis(), Instant::now(), budgets::now());
                let case = self.case(&identity);
                let (observed, suspects, known) = tokio::join!(
                    self.observe(&identity),
                    self.suspects(&case, progress.past.first_seen),
                    self.known_suspects(&identity)
                );
                if observed.is_gone() {
                    match self.find_anew(&identity, fight, progress).await {
                        Sought::Found(found) => identity = found,
                        Sought::Gone => return,
                        Sought::Unknown(failure) if is_last_chance => return lost(&failure, progress),
                        Sought::Unknown(failure) => {
                            is_lost = true;
                            clock.doubt(failure.is_throttled());
                            continue;
                        }
                    }
                    is_lost = false;
                    clock.restart();
                    if self.is_late() {
                        let reason = "the time was up when it was found again under another name";
                        progress.failed.push(reason.to_owned());
                        return progress.conclude(Verdict::Unverified, reason);
                    }
                    continue;
                }
                fight.seen(moment, self, &observed, progress);
                let plan = (self.playbook.plan)(&case, &observed);
                let mark = missing_mark(&plan, &observed, progress);
                let missing: Vec<_> = missing(&plan, &observed).into_iter().chain(mark).collect();
                // The guardrail is attached for whoever may act for the attacker, and what is wanted must hold under it.
                let is_awaited = self.guardrail.sees_accomplice(&suspects, &known, progress);
                let is_last = (missing.is_empty() && has_settled && !is_awaited)
                    || self.settle.is_zero()
                    || self.is_late()
                    || is_hopeless(&missing, progress);
                if is_last {
                    let known = self.known_by_now(&identity, known, began).await;
                    take_known(known, looked, progress);
                    judge(&missing, &observed, suspects, self.settle, progress);
                    check_time(has_settled, &clock, progress);
                    progress.held_at = Some(looked).filter(|_| progress.verdict().is_success());
                }
                // Also when nobody will look again: what is missing now must not stay so.
                self.put_back(missing, &case, fight, progress).await;
                if is_last {
                    return;
                }
                clock.restart();
                continue;
            }
            clock.pause().await;
            let _room = self.turn.look().await;
            let moment = budgets::now();
            let barriers = observe::barriers(&self.member.read, &identity).await;
            if barriers.is_gone() {
                match self.find_anew(&identity, fight, progress).await {
                    Sought::Found(found) => {
                        (identity, is_lost) = (found, false);
                        clock.restart();
                    }
                    Sought::Gone => return,
                    // Looked for again, as long as there is time.
                    Sought::Unknown(failure) => {
                        is_lost = true;
                        clock.doubt(failure.is_throttled());
                    }
                }
                continue;
            }
            if barriers.profile.is_ok() {
                fight.seen(moment, self, &barriers, progress);
            }
            let case = self.case(&identity);
            let missing = missing(&(self.playbook.plan)(&case, &barriers), &barriers);
            match () {
                () if is_hopeless(&missing, progress) => clock.finish(),
                () if !missing.is_empty() => {
                    self.put_back(missing, &case, fight, progress).await;
                    clock.restart();
                }
                () if barriers.is_unknown() => clock.doubt(barriers.is_throttled()),
                () => clock.calm_down(),
            }
        }
    }

    /// Where the name leads to somebody else by now, or to nobody: no more is written by it, and whoever bears it is
    /// looked at for what was.
    async fn find_anew(&self, identity: &Identity, fight: &Fight, progress: &mut Progress) -> Sought {
        if fight.lost().await {
            self.tell_of_namesakes(identity, progress).await;
            fight.strays_are_told();
        }
        self.tell_of_strays(identity, progress).await;
        let began = budgets::now();
        let sought = self.find_again(identity, progress).await;
        if let Sought::Found(found) = &sought {
            fight.found(began, found);
        }
        sought
    }

    /// The same finding came again, or another about the same behaviour: all is as it was when it was last
    /// seen to hold, and that was after the behaviour. What was read is enough.
    pub(super) async fn judge_at_once(
        &self,
        case: &Case<'_>,
        observed: &Observed,
        looked: i64,
        progress: &mut Progress,
    ) {
        let began = Instant::now();
        let (suspects, known) =
            tokio::join!(self.suspects(case, progress.past.first_seen), self.known_suspects(case.identity));
        let known = self.known_by_now(case.identity, known, began).await;
        take_known(known, looked, progress);
        judge(&[], observed, suspects, self.settle, progress);
        if progress.verdict == Some(Verdict::Contained) {
            let reason = "everything wanted is in place, as it was when it was last seen to hold";
            progress.conclude(Verdict::Contained, reason);
        }
        progress.held_at = Some(looked).filter(|_| progress.verdict().is_success());
    }

    /// The name leads to nobody, or to somebody else: the attacker renamed the user, or it is gone.
    /// Whoever bears the name now is a suspect and nobody's containment. Where IAM throttles it is looked for as long
    /// as there is time.
    pub(super) async fn find_again(&self, identity: &Identity, progress: &mut Progress) -> Sought {
        let look = || resolve::find_again(&self.member.read, identity);
        match self.member.patience.urgently(look).await {
            Ok(found) => {
                if found.name != identity.name {
                    progress.reversals.push(format!("user {} was renamed to {}", identity.name, found.name));
                }
                progress.identity = Some(found.clone());
                Sought::Found(found)
            }
            Err(Unresolved::Refused(reason)) => {
                progress.open.push(format!("whoever bears the name {} now is a suspect", identity.name));
                conclude_unverified(format!("it vanished during the response: {reason}"), progress);
                Sought::Gone
            }
            Err(Unresolved::Failed(failure)) if failure.retryable => Sought::Unknown(failure),
            Err(Unresolved::Failed(failure)) => {
                lost(&failure, progress);
                Sought::Gone
            }
        }
    }

    pub(super) fn is_late(&self) -> bool {
        Instant::now() >= self.until
    }

    async fn put_back(&self, missing: Vec<Change>, case: &Case<'_>, fight: &Fight, progress: &mut Progress) {
        if missing.is_empty() {
            return;
        }
        let missing = with_first_cutoff(missing, case, progress.first_cutoff);
        let known = progress.reversals.len();
        for change in &missing {
            if progress.changes.has_done(change) {
                progress.reversals.push(format!("was undone: {change}"));
            } else if let Change::DeactivateAccessKey { key, .. } = change
                && is_new(key.as_str(), progress)
            {
                progress.reversals.push(format!("access key {key} was created during the response"));
            }
        }
        // In a fight that was handed on, what was done before is in the log of another invocation.
        if self.playbook.has_adversary && (progress.reversals.len() > known || fight.is_on()) {
            fight.reversed();
        }
        let (adding, taking): (Vec<_>, Vec<_>) = missing.into_iter().partition(Change::is_additive);
        self.apply_all(case.identity, adding, progress.is_snapshot_saved, &progress.changes).await;
        self.apply_taking(case.identity, taking, progress).await;
        fight.put_back();
    }

    /// Read with the last look: others add theirs also while the identity is ours.
    async fn known_suspects(&self, identity: &Identity) -> Result<Suspects, Failure> {
        match self.ledger {
            Some(ledger) => ledger.known_suspects(&Ledger::record_of(identity)).await,
            None => Ok(Suspects::default()),
        }
    }

    /// Of a look that took long, what was added to the ledger meanwhile too.
    async fn known_by_now(
        &self,
        identity: &Identity,
        known: Result<Suspects, Failure>,
        began: Instant,
    ) -> Result<Suspects, Failure> {
        if began.elapsed() < LONG_LOOK { known } else { self.known_suspects(identity).await }
    }

    /// Whoever acts with the identity may have made others that still can.
    async fn suspects(&self, case: &Case<'_>, first_seen: Option<i64>) -> Read<Vec<Suspect>> {
        if !self.playbook.has_adversary {
            return Ok(Vec::new());
        }
        let from = Suspects::from(first_seen, self.now.to_millis().unwrap_or_default());
        // Two drills at a time are nobody's accomplices.
        let but_under = (case.finding.source == Source::Drill).then_some(guard::DRILL_PATH);
        let read = || recently_created::since(&self.member.read, case.identity, from, but_under);
        self.member.patience.with(read).await
    }
}

/// Where they can't be told, somebody may be open.
fn take_known(known: Result<Suspects, Failure>, looked: i64, progress: &mut Progress) {
    progress.looked_at = Some(looked);
    match known {
        Ok(known) => progress.past.suspects = known,
        Err(failure) => {
            progress.is_past_known = false;
            progress.ledger_failed.push(format!("reading who is suspected: {failure}"));
        }
    }
}

fn is_new(key: &str, progress: &Progress) -> bool {
    let before = progress.snapshot.as_ref().and_then(|it| it.keys.as_ref().ok());
    before.is_some_and(|keys| !keys.iter().any(|it| it.id.as_str() == key))
}
