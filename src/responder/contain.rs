//! One finding, from the lease to the report: the steps in their order, and the time budget.

use std::time::{Instant, SystemTime};

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::iam::resolve::{self, Unresolved};
use clients::ledger::{Acquired, Ending, Lease, Ledger};
use clients::round_trips::CallLog;
use domain::containment::playbooks::{self, Playbook};
use domain::containment::progress::Progress;
use domain::containment::report::{Report, Timings, millis};
use domain::containment::{admission, guard};
use domain::finding::Finding;
use domain::identity::Identity;
use domain::outcome::Failure;
use domain::settings::{Mode, Responder};
use domain::verdict::Verdict;

use crate::invocation::Call;
use crate::metrics;
use crate::notify::{Scene, notify, update_waiting};

mod beside;
mod hold;
mod judge;
mod pace;
mod progress;
mod strike;

use progress::Running;
use strike::Engine;

/// Responds to one finding: its report, and what has to be tried again.
pub(crate) async fn contain(aws: &Aws, settings: &Responder, finding: &Finding, call: &Call) -> (Report, Vec<String>) {
    let started = Instant::now();
    let now = DateTime::from(SystemTime::now());
    let Some(playbook) = playbooks::select(finding.threat) else {
        unreachable!("a test holds that every threat has a playbook")
    };
    let mode = settings.mode_of(playbook.id);
    let calls = CallLog::default();
    let home = Home::new(aws, &calls);
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let budget = call.budget();
    // The last read and its verdict come before the time-out.
    let until = started + budget.mul_f64(0.9);
    let attempt = Attempt {
        settings,
        home: &home,
        ledger: &ledger,
        playbook,
        mode,
        finding,
        now,
        until,
        lease_until: call.deadline,
    };
    let mut running = Running::default();
    if tokio::time::timeout(budget, attempt.run(&mut running)).await.is_err() {
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

    let Running { mut progress, member, lease, is_quiet } = running;
    let scene = Scene { settings, home: &home, member: member.as_ref(), playbook, finding, now };
    let left = call.left();
    let told = async {
        if !is_quiet {
            notify(&scene, mode, &mut progress).await;
        }
        if let Some(lease) = lease {
            close(&ledger, &lease, &scene, &mut progress).await;
        }
    };
    if tokio::time::timeout(left.mul_f64(0.8), told).await.is_err() {
        progress.failed.push("the time ran out before everyone was told".to_owned());
    }
    progress.failed.append(&mut progress.ledger_failed);
    let timings = Timings {
        behaviour_to_start: finding.occurred_at.map(|it| (now.secs() - it.secs()).saturating_mul(1_000)),
        first_barrier: calls.first_barrier_at().map(|it| millis(it.duration_since(started))),
        verdict: millis(verdict_at),
        total: millis(started.elapsed()),
    };
    let report = Report::of(&progress, finding, playbook, mode, timings, calls.round_trips());
    log_report(&report);
    metrics::log(metrics::of_response(&report, progress.failed.len()));
    (report, progress.failed)
}

/// Leaves the outcome in the ledger, gives the lease back, and sees to the findings that others left.
async fn close(ledger: &Ledger, lease: &Lease, scene: &Scene<'_>, progress: &mut Progress) {
    let incident = progress.incident();
    let verdict = progress.verdict();
    let applied = progress.applied().into_iter().take(200).collect();
    // A principal that was left alone stays a new one for the breaker.
    let was_left_alone = matches!(verdict, Verdict::Refused | Verdict::Deferred);
    let ending = progress.identity.as_ref().filter(|_| !was_left_alone);
    let response = progress.response.as_deref();
    let ending = ending.map(|identity| Ending { identity, verdict, incident: incident.as_deref(), response, applied });
    let is_finished = progress.is_snapshot_saved || !(progress.has_struck() || lease.is_resumed);
    match ledger.close(lease, ending, is_finished).await {
        Ok(waiting) => update_waiting(scene, waiting, progress).await,
        Err(failure) => progress.ledger_failed.push(format!("closing the ledger: {failure}")),
    }
}

/// One response on its way to a verdict.
struct Attempt<'a> {
    settings: &'a Responder,
    home: &'a Home,
    ledger: &'a Ledger,
    playbook: &'a Playbook,
    mode: Mode,
    finding: &'a Finding,
    now: DateTime,
    until: Instant,
    lease_until: SystemTime,
}

impl Attempt<'_> {
    /// Acquires the lease and assumes the role, resolves, guards, strikes and holds. Leaves its verdict in
    /// the progress.
    async fn run(&self, running: &mut Running) {
        let Running { progress, member, lease, is_quiet } = running;
        if let Some(reason) = guard::refuse_target(self.settings, self.finding) {
            return progress.conclude(Verdict::Refused, reason);
        }
        let (session, acquired) = tokio::join!(
            self.home.assume(&self.settings.common, &self.finding.account, &self.finding.partition),
            self.acquire()
        );
        let mut ledger = None;
        match acquired {
            Ok(Some(Acquired::Lease(won))) => {
                *lease = Some(won);
                ledger = Some(self.ledger);
            }
            Ok(Some(Acquired::Busy { owner })) => {
                *is_quiet = true;
                return progress
                    .conclude(Verdict::InProgress, format!("already being contained by invocation {owner}"));
            }
            Ok(None) => {}
            Err(failure) => progress.ledger_failed.push(format!("acquiring the lease: {failure}")),
        }
        let member = match session {
            Ok(it) => member.insert(it),
            Err(failure) => {
                progress.failed.push(failure.to_string());
                return progress.conclude(Verdict::NotContained, failure.to_string());
            }
        };
        let (resolved, admitted) =
            tokio::join!(resolve::resolve(&member.read, self.finding.into()), self.admit(lease.as_ref()));
        let resolved = match resolved {
            Ok(it) => it,
            Err(Unresolved::Refused(reason)) => return progress.conclude(Verdict::Refused, reason),
            Err(Unresolved::Failed(failure)) => {
                progress.failed.push(format!("finding the identity: {failure}"));
                return progress
                    .conclude(Verdict::NotContained, format!("the identity could not be looked up: {failure}"));
            }
        };
        progress.identity = Some(resolved.identity.clone());
        if let Some(reason) = guard::refuse_identity(self.settings, self.finding, &resolved.identity) {
            return progress.conclude(Verdict::Refused, reason);
        }
        if let Some(reason) = self.refuse_restored(lease.as_ref(), &resolved.identity) {
            *is_quiet = true;
            return progress.conclude(Verdict::Refused, reason);
        }
        if !admitted {
            return self.defer(progress, is_quiet).await;
        }
        let engine = Engine {
            member,
            playbook: self.playbook,
            finding: self.finding,
            now: self.now,
            settle: self.settings.settle,
            options: self.settings.options,
            until: self.until,
            ledger,
            is_resumed: lease.as_ref().is_some_and(|it| it.is_resumed),
        };
        engine.run(self.mode, resolved, progress).await;
    }

    fn refuse_restored(&self, lease: Option<&Lease>, identity: &Identity) -> Option<String> {
        guard::refuse_restored(lease?.restored.as_ref(), self.finding, identity, self.now)
    }

    /// `observe` mode writes nothing, the ledger included.
    async fn acquire(&self) -> Result<Option<Acquired>, Failure> {
        match self.mode {
            Mode::Observe => Ok(None),
            Mode::Enforce => self.ledger.acquire(self.finding, self.lease_until).await.map(Some),
        }
    }

    /// Whether the circuit breaker lets it through. A breaker that can't be read is open; where the whole
    /// ledger is out of reach there is no lease, and what adds is done all the same.
    async fn admit(&self, lease: Option<&Lease>) -> bool {
        match lease {
            Some(lease) if admission::is_counted(self.finding.source, lease.is_known) => {
                self.ledger.admit(self.finding, self.settings.max_containments).await.unwrap_or(false)
            }
            _ => true,
        }
    }

    /// Kept, told once an hour, and left for a person's `contain`.
    async fn defer(&self, progress: &mut Progress, is_quiet: &mut bool) {
        progress.conclude(Verdict::Deferred, admission::deferred(self.settings.max_containments));
        match self.ledger.defer(self.finding).await {
            Ok(is_first) => *is_quiet = !is_first,
            Err(failure) => progress.ledger_failed.push(format!("keeping the deferred finding: {failure}")),
        }
    }
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
