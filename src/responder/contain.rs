//! One identity's findings, from the lease to the report: the steps in their order, and the time budget.

use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home, Member};
use clients::iam::resolve::{self, Resolved, Unresolved};
use clients::ledger::Ledger;
use clients::patience::Patience;
use clients::round_trips::CallLog;
use domain::containment::admission::{Beside, Holder};
use domain::containment::guard;
use domain::containment::playbooks::{self, Playbook};
use domain::containment::progress::matter;
use domain::containment::relay::Relay;
use domain::containment::report::{Report, Timings, millis};
use domain::finding::Finding;
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::settings::{Mode, Responder};
use domain::verdict::Verdict;

use crate::invocation::Call;
use crate::metrics;
use crate::notify::Scene;

mod beside;
mod closing;
mod entry;
mod hold;
mod judge;
mod pace;
mod progress;
mod relay;
mod strike;
pub(crate) mod turns;

use closing::Closing;
pub(crate) use entry::now_millis;
use progress::Running;
use strike::Engine;
use turns::{Turn, Turns};

/// How long before the last read nothing that is throttled is tried once more.
const LAST_TRY: Duration = Duration::from_secs(2);

/// Responds to the findings about one identity: a report for each, the lead's first, and what has to be
/// tried again.
pub(crate) async fn contain(
    aws: &Aws,
    settings: &Responder,
    relay: &Relay,
    call: &Call,
    turns: &Turns,
) -> (Vec<Report>, Vec<String>) {
    let finding = &relay.group.lead;
    let started = Instant::now();
    let now = DateTime::from(SystemTime::now());
    let Some(playbook) = playbooks::select(finding.threat) else {
        unreachable!("a test holds that every threat has a playbook")
    };
    let mode = settings.mode_of(playbook.id);
    let calls = CallLog::default();
    let budget = call.budget();
    // The last read and its verdict come before the time-out.
    let until = started + budget.mul_f64(0.9);
    // One more try takes the SDK a second or two.
    let patience = Patience::until(until.checked_sub(LAST_TRY).unwrap_or(until));
    let home = Home::new(aws, &calls).patient(patience.clone());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &relay.holder);
    let attempt = Attempt {
        settings,
        home: &home,
        ledger: &ledger,
        playbook,
        mode,
        finding,
        relay,
        now,
        until,
        lease_until: call.deadline,
    };
    let mut running = Running::default();
    running.progress.reversals.clone_from(&relay.reversals);
    let run = async {
        let turn = turns.next().await;
        attempt.run(&mut running, &turn).await;
    };
    if tokio::time::timeout(budget, run).await.is_err() {
        let reason = format!("the time ran out after {} s", budget.as_secs());
        let progress = &mut running.progress;
        progress.failed.push(reason.clone());
        // A verdict that is in came from a full read.
        if progress.verdict.is_none() {
            let is_untouched = progress.changes.is_empty();
            progress.conclude(if is_untouched { Verdict::NotContained } else { Verdict::Unverified }, reason);
        }
    }
    let verdict_at = started.elapsed();
    running.progress.throttled(patience.waits());

    let Running { mut progress, member, lease, identity_lease, is_quiet, .. } = running;
    let scene = Scene { settings, home: &home, member: member.as_ref(), playbook, finding, now };
    let left = call.left();
    let (others, identity_lease) = (relay.group.others.as_slice(), identity_lease.into_inner());
    let ending = Closing { ledger: &ledger, scene: &scene, mode, others, lease, identity_lease };
    if tokio::time::timeout(left.mul_f64(0.8), ending.run(is_quiet, &mut progress)).await.is_err() {
        progress.failed.push("the time ran out before everyone was told".to_owned());
    }
    progress.failed.append(&mut progress.ledger_failed);
    if let Some(member) = member.as_ref().filter(|_| !progress.failed.is_empty()) {
        home.drop_session(member);
    }
    let timings = Timings {
        behaviour_to_start: finding.occurred_at.map(|it| (now.secs() - it.secs()).saturating_mul(1_000)),
        first_barrier: calls.first_barrier_at().map(|it| millis(it.duration_since(started))),
        verdict: millis(verdict_at),
        total: millis(started.elapsed()),
    };
    let report = |finding: &Finding| Report::of(&progress, finding, playbook, mode, timings, calls.round_trips());
    let reports: Vec<_> = relay.group.all().map(report).collect();
    if let Some(report) = reports.first() {
        log_report(report);
        metrics::log(metrics::of_response(report, progress.failed.len()));
    }
    (reports, progress.failed)
}

/// One response on its way to a verdict.
struct Attempt<'a> {
    settings: &'a Responder,
    home: &'a Home,
    ledger: &'a Ledger,
    playbook: &'a Playbook,
    mode: Mode,
    finding: &'a Finding,
    relay: &'a Relay,
    now: DateTime,
    until: Instant,
    lease_until: SystemTime,
}

impl Attempt<'_> {
    /// Acquires the lease and assumes the role, resolves, guards, strikes and holds. Leaves its verdict in
    /// the progress.
    async fn run(&self, running: &mut Running, turn: &Turn<'_>) {
        running.progress.matter = matter(self.finding);
        if let Some(reason) = guard::refuse_target(self.settings, self.finding) {
            return running.progress.conclude(Verdict::Refused, reason);
        }
        let scope = match self.mode {
            Mode::Observe => Scope::Observe,
            Mode::Enforce => Scope::of(&self.finding.principal),
        };
        let (session, acquired) = tokio::join!(self.assume(&scope), self.acquire());
        let ledger = match acquired {
            Ok(Some(acquired)) => match self.enter(acquired, running) {
                Some((held, beside)) => return self.leave(&held, beside, None, running).await,
                None => Some(self.ledger),
            },
            Ok(None) => None,
            Err(failure) => {
                running.progress.ledger_failed.push(format!("acquiring the lease: {failure}"));
                None
            }
        };
        let member = match session {
            Ok(it) => running.member.insert(it),
            Err(failure) => return without_session(&failure, running),
        };
        let (resolved, mut place) = tokio::join!(self.resolve(member, &scope), self.reserve(ledger, &running.memory));
        let is_admitted = place.is_admitted;
        let Some(resolved) = self.check(resolved, running) else {
            return self.ledger.give_back(&mut place).await;
        };
        if !is_admitted {
            return self.defer(running).await;
        }
        let identity = resolved.identity.clone();
        // The finding did not name the role, and its session is for this one role.
        let needed = Scope::for_identity(&identity);
        if self.mode == Mode::Enforce && scope != needed {
            match self.assume(&needed).await {
                Ok(it) => running.member = Some(it),
                Err(failure) => {
                    without_session(&failure, running);
                    return self.ledger.give_back(&mut place).await;
                }
            }
        }
        let Some(member) = running.member.clone() else { return };
        let engine = Engine {
            member: &member,
            home: self.home,
            relay: self.relay,
            own_name: self.settings.own_name(),
            turn,
            playbook: self.playbook,
            finding: self.finding,
            now: self.now,
            settle: self.settings.settle,
            options: self.settings.options,
            until: self.until,
            ledger,
            is_resumed: running.memory.is_resumed,
            lease: running.lease.as_ref(),
            lease_until: self.lease_until,
            identity_lease: &running.identity_lease,
        };
        if let Some(held) = engine.run(self.mode, resolved, &mut running.progress).await {
            let beside = if held.holder == Some(Holder::Restore) { Beside::After } else { Beside::Join };
            let leave = self.leave(&held, beside, Some(&identity), running);
            tokio::join!(leave, self.ledger.give_back(&mut place));
        }
    }

    async fn assume(&self, scope: &Scope) -> Result<Member, Failure> {
        self.home.assume(&self.settings.common, &self.finding.account, &self.finding.partition, scope).await
    }

    /// Once more where AWS does not take a session of an earlier response: the role was made anew, or its sessions
    /// were revoked.
    async fn resolve(&self, member: &mut Member, scope: &Scope) -> Result<Resolved, Unresolved> {
        let claimed = || resolve::Claimed::from(self.finding);
        let resolved = member.patience.with(|| resolve::resolve(&member.read, claimed())).await;
        match resolved {
            Err(Unresolved::Failed(failure)) if member.is_kept && failure.is_refused() => {
                self.home.drop_session(member);
                *member = self.assume(scope).await?;
                member.patience.with(|| resolve::resolve(&member.read, claimed())).await
            }
            other => other,
        }
    }

    /// The identity, when it may be contained; otherwise the verdict is in.
    fn check(&self, resolved: Result<Resolved, Unresolved>, running: &mut Running) -> Option<Resolved> {
        let Running { progress, memory, is_quiet, .. } = running;
        let resolved = match resolved {
            Ok(it) => it,
            Err(Unresolved::Refused(reason)) => {
                progress.conclude(Verdict::Refused, reason);
                return None;
            }
            Err(Unresolved::Failed(failure)) => {
                progress.failed.push(format!("finding the identity: {failure}"));
                progress.conclude(Verdict::NotContained, format!("the identity could not be looked up: {failure}"));
                return None;
            }
        };
        progress.identity = Some(resolved.identity.clone());
        if let Some(reason) = guard::refuse_identity(self.settings, self.finding, &resolved.identity) {
            progress.conclude(Verdict::Refused, reason);
            return None;
        }
        let restored = memory.restored.as_ref();
        if let Some(reason) = guard::refuse_restored(restored, self.finding, &resolved.identity, self.now) {
            *is_quiet = true;
            progress.conclude(Verdict::Refused, reason);
            return None;
        }
        Some(resolved)
    }
}

fn without_session(failure: &Failure, running: &mut Running) {
    running.progress.failed.push(failure.to_string());
    running.progress.conclude(Verdict::NotContained, failure.to_string());
}

fn log_report(report: &Report) {
    let json = serde_json::to_string(report).unwrap_or_default();
    tracing::info!(
        playbook = report.playbook,
        verdict = ?report.verdict,
        report = json,
        "{} {:?}: {}",
        report.playbook,
        report.verdict,
        report.reason
    );
}
