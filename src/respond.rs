//! One invocation, from payload to response: the steps in their order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_smithy_types::DateTime;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tracing::Instrument;

use crate::accounts::{Home, Member};
use crate::action::{Action, Done, Failure, Outcome};
use crate::calls::CallLog;
use crate::command::Command;
use crate::config::{Config, ConfigError, Mode};
use crate::decode::{DecodeError, decode};
use crate::drill::drill;
use crate::escalate::{Scene, escalate, update_waiting};
use crate::finding::Finding;
use crate::guard;
use crate::identity::Identity;
use crate::ledger::{Claim, Ending, Lease, Ledger};
use crate::metrics;
use crate::playbooks::{self, Playbook};
use crate::reconcile::Engine;
use crate::record::Record;
use crate::report::{Ignored, Report, Response, Timings, Verdict, millis};
use crate::resolve::{self, Unresolved};
use crate::restore::restore;
use crate::status::status;
use crate::text;

/// What lives as long as the process.
pub struct Context {
    /// Kept when it is invalid: every invocation then fails with all the problems named, instead of
    /// a process that dies over and over.
    pub config: Result<Config, ConfigError>,
    pub sdk: SdkConfig,
}

/// Why an invocation must not count as done: Lambda tries again, and what fails for good lands in
/// the dead-letter queue with its event.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Configuration(#[from] ConfigError),
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Malformed(Vec<DecodeError>),
    #[error("not everything succeeded: {}", .0.iter().map(|it| text::line(it, 500)).collect::<Vec<_>>().join("; "))]
    Incomplete(Vec<String>),
}

impl From<Error> for Diagnostic {
    fn from(error: Error) -> Self {
        let kind = match &error {
            Error::Configuration(_) => "InvalidConfiguration",
            Error::Malformed(_) => "MalformedEvent",
            Error::Incomplete(_) => "ResponseIncomplete",
        };
        Self { error_type: kind.to_owned(), error_message: error.to_string() }
    }
}

/// What Lambda says of an invocation.
pub struct Call {
    pub request_id: String,
    pub deadline: SystemTime,
}

/// Kept back from Lambda's time for the notices and the report.
pub(crate) const RESERVE: Duration = Duration::from_secs(10);

/// Responds to one payload. Everything that can be done is done before an error is returned.
pub async fn handle(context: &Context, payload: Value, call: &Call) -> Result<Response, Error> {
    let config = match &context.config {
        Ok(it) => it,
        Err(error) => return Err(error.clone().into()),
    };
    let decoded = decode(&payload, config);
    if let Some(command) = &decoded.command {
        return answer(context, config, command, call).await;
    }
    for reason in &decoded.ignored {
        tracing::info!(outcome = "ignored", reason, "ignored: {reason}");
    }
    let mut response = Response {
        reports: Vec::new(),
        ignored: decoded.ignored.into_iter().map(|reason| Ignored { reason }).collect(),
        ..Response::default()
    };
    let mut failed = Vec::new();
    // Findings about one identity go one after the other, identities side by side.
    let mut by_identity: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for finding in decoded.findings {
        let key = format!("{}/{}", finding.account, finding.principal.claim_key());
        by_identity.entry(key).or_default().push(finding);
    }
    let one_identity = |findings: Vec<Finding>| async move {
        let mut ended = Vec::new();
        for finding in findings {
            let span = tracing::info_span!(
                "finding",
                finding = text::line(&finding.id, 512),
                account = finding.account.as_str(),
                principal = finding.principal.claim_key()
            );
            ended.push(respond(context, config, &finding, call).instrument(span).await);
        }
        ended
    };
    let ended = futures_util::future::join_all(by_identity.into_values().map(one_identity)).await;
    for (report, failures) in ended.into_iter().flatten() {
        response.reports.push(report);
        failed.extend(failures);
    }
    if !decoded.malformed.is_empty() {
        failed.extend(decoded.malformed.iter().map(ToString::to_string));
        if response.reports.is_empty() {
            return Err(Error::Malformed(decoded.malformed));
        }
    }
    if failed.is_empty() { Ok(response) } else { Err(Error::Incomplete(failed)) }
}

/// What a person asked for.
async fn answer(context: &Context, config: &Config, command: &Command, call: &Call) -> Result<Response, Error> {
    match command {
        Command::Restore(it) => {
            let (report, failed) = restore(&context.sdk, config, it, call).await;
            let response = Response { restore: Some(report), ..Response::default() };
            if failed.is_empty() { Ok(response) } else { Err(Error::Incomplete(failed)) }
        }
        Command::Drill { if_older_than_days } => {
            let (report, failed) = drill(&context.sdk, config, *if_older_than_days, call).await;
            let response = Response { drill: Some(report), ..Response::default() };
            if failed.is_empty() { Ok(response) } else { Err(Error::Incomplete(failed)) }
        }
        Command::Status(subject) => match status(&context.sdk, config, subject, call).await {
            Ok(status) => Ok(Response { status: Some(status), ..Response::default() }),
            Err(failure) => Err(Error::Incomplete(vec![failure.to_string()])),
        },
    }
}

/// Responds to one finding: its report, and what has to be tried again.
async fn respond(context: &Context, config: &Config, finding: &Finding, call: &Call) -> (Report, Vec<String>) {
    let started = Instant::now();
    let now = DateTime::from(SystemTime::now());
    let Some(playbook) = playbooks::select(finding.threat) else {
        unreachable!("a test holds that every threat has a playbook")
    };
    let mode = config.mode_of(playbook.id);
    let calls = CallLog::default();
    let home = Home::new(&context.sdk, &calls);
    let ledger = Ledger::new(home.dynamodb.clone(), &config.ledger_table, &call.request_id);
    let left = call.deadline.duration_since(SystemTime::now()).unwrap_or_default();
    let budget = left.checked_sub(RESERVE).unwrap_or(left / 2);
    // The last read and its verdict come before the time-out.
    let until = started + budget.mul_f64(0.9);
    let attempt = Attempt {
        config,
        home: &home,
        ledger: &ledger,
        playbook,
        mode,
        finding,
        now,
        until,
        lease_until: call.deadline,
    };
    let mut progress = Progress::default();
    if tokio::time::timeout(budget, attempt.contain(&mut progress)).await.is_err() {
        let reason = format!("the time ran out after {} s", budget.as_secs());
        let record = &mut progress.record;
        record.failed.push(reason.clone());
        // A verdict that is in came from a full read.
        if record.verdict.is_none() {
            record.conclude(if record.done.is_empty() { Verdict::NotContained } else { Verdict::Unverified }, reason);
        }
    }
    let verdict_at = started.elapsed();

    let Progress { mut record, member, lease, is_quiet } = progress;
    let scene = Scene { config, home: &home, member: member.as_ref(), playbook, finding, now };
    let left = call.deadline.duration_since(SystemTime::now()).unwrap_or_default();
    let told = async {
        if !is_quiet {
            escalate(&scene, mode, &mut record).await;
        }
        if let Some(lease) = lease {
            close(&ledger, &lease, &scene, &mut record).await;
        }
    };
    if tokio::time::timeout(left.mul_f64(0.8), told).await.is_err() {
        record.failed.push("the time ran out before everyone was told".to_owned());
    }
    record.failed.append(&mut record.ledger_failed);
    let timings = Timings {
        behaviour_to_start: finding.occurred_at.map(|it| (now.secs() - it.secs()).saturating_mul(1_000)),
        first_barrier: calls.first_barrier_at().map(|it| millis(it.duration_since(started))),
        verdict: millis(verdict_at),
        total: millis(started.elapsed()),
    };
    let report = record.report(finding, playbook, mode, timings, calls.round_trips());
    log_report(&report);
    metrics::log(metrics::of_response(&report, record.failed.len()));
    (report, record.failed)
}

/// Leaves the outcome in the ledger, gives the claim back, and sees to the findings that others left.
async fn close(ledger: &Ledger, lease: &Lease, scene: &Scene<'_>, record: &mut Record) {
    let done = record.done.all();
    let incident = done.iter().find_map(|it| match (&it.action, &it.outcome) {
        (Action::StartIncident { .. } | Action::OpenOpsItem, Outcome::Applied { detail }) => Some(detail.clone()),
        _ => None,
    });
    let verdict = record.verdict().name();
    let applied =
        done.iter().filter(|it| matches!(it.outcome, Outcome::Applied { .. })).take(200).map(Done::line).collect();
    // A principal that was left alone stays a new one for the breaker.
    let was_left_alone = matches!(record.verdict(), Verdict::Refused | Verdict::Deferred);
    let ending = record.identity.as_ref().filter(|_| !was_left_alone);
    let ending = ending.map(|identity| Ending { identity, verdict, incident: incident.as_deref(), applied });
    let has_struck = done.iter().any(|it| it.action.contains() && matches!(it.outcome, Outcome::Applied { .. }));
    let is_finished = record.is_before_kept || !(has_struck || lease.is_resumed);
    match ledger.close(lease, ending, is_finished).await {
        Ok(waiting) => update_waiting(scene, waiting, record).await,
        Err(failure) => record.ledger_failed.push(format!("closing the ledger: {failure}")),
    }
}

/// What must outlive a time-out.
#[derive(Default)]
struct Progress {
    record: Record,
    member: Option<Member>,
    lease: Option<Lease>,
    /// Another one tells, or has told.
    is_quiet: bool,
}

/// One response on its way to a verdict.
struct Attempt<'a> {
    config: &'a Config,
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
    /// Claim and assume, resolve, guard, reconcile. Leaves its verdict in the record.
    async fn contain(&self, progress: &mut Progress) {
        let Progress { record, member, lease, is_quiet } = progress;
        if let Some(reason) = guard::refuse_claim(self.config, self.finding) {
            return record.conclude(Verdict::Refused, reason);
        }
        let (session, claim) =
            tokio::join!(self.home.assume(self.config, &self.finding.account, &self.finding.partition), self.claim());
        let mut ledger = None;
        match claim {
            Ok(Some(Claim::Won(won))) => {
                *lease = Some(won);
                ledger = Some(self.ledger);
            }
            Ok(Some(Claim::Busy { owner })) => {
                *is_quiet = true;
                return record.conclude(Verdict::InProgress, format!("already being contained by invocation {owner}"));
            }
            Ok(None) => {}
            Err(failure) => record.ledger_failed.push(format!("claiming the principal: {failure}")),
        }
        let member = match session {
            Ok(it) => member.insert(it),
            Err(failure) => {
                record.failed.push(failure.to_string());
                return record.conclude(Verdict::NotContained, failure.to_string());
            }
        };
        let (resolved, admitted) =
            tokio::join!(resolve::resolve(&member.iam, self.finding.into()), self.admit(lease.as_ref()));
        let resolved = match resolved {
            Ok(it) => it,
            Err(Unresolved::Refused(reason)) => return record.conclude(Verdict::Refused, reason),
            Err(Unresolved::Failed(failure)) => {
                record.failed.push(format!("finding the identity: {failure}"));
                return record
                    .conclude(Verdict::NotContained, format!("the identity could not be looked up: {failure}"));
            }
        };
        record.identity = Some(resolved.identity.clone());
        if let Some(reason) = guard::refuse_identity(self.config, self.finding, &resolved.identity) {
            return record.conclude(Verdict::Refused, reason);
        }
        if let Some(reason) = self.refuse_restored(lease.as_ref(), &resolved.identity) {
            *is_quiet = true;
            return record.conclude(Verdict::Refused, reason);
        }
        if !admitted {
            return self.defer(record, is_quiet).await;
        }
        let engine = Engine {
            member,
            playbook: self.playbook,
            finding: self.finding,
            now: self.now,
            settle: self.config.settle,
            options: self.config.options,
            until: self.until,
            ledger,
            is_resumed: lease.as_ref().is_some_and(|it| it.is_resumed),
        };
        engine.run(self.mode, resolved, record).await;
    }

    fn refuse_restored(&self, lease: Option<&Lease>, identity: &Identity) -> Option<String> {
        guard::refuse_restored(lease?.restored.as_ref(), self.finding, identity, self.now)
    }

    /// `observe` mode writes nothing, the ledger included.
    async fn claim(&self) -> Result<Option<Claim>, Failure> {
        match self.mode {
            Mode::Observe => Ok(None),
            Mode::Enforce => self.ledger.claim(self.finding, self.lease_until).await.map(Some),
        }
    }

    /// Whether the breaker lets it through. A person's word always does, as does what was counted
    /// before. A breaker that can't be read is open; where the whole ledger is out of reach there is
    /// no lease, and what adds is done all the same.
    async fn admit(&self, lease: Option<&Lease>) -> bool {
        let by_person = guard::goes_through(self.finding.source);
        match lease {
            Some(lease) if !by_person && !lease.is_known => {
                self.ledger.admit(self.finding, self.config.max_containments).await.unwrap_or(false)
            }
            _ => true,
        }
    }

    /// Kept, told once an hour, and left for a person's `contain`.
    async fn defer(&self, record: &mut Record, is_quiet: &mut bool) {
        let (account, all) = self.config.max_containments;
        record.conclude(
            Verdict::Deferred,
            format!("more than {account} principals of the account or {all} in all this hour: `contain` goes through"),
        );
        match self.ledger.defer(self.finding).await {
            Ok(is_first) => *is_quiet = !is_first,
            Err(failure) => record.ledger_failed.push(format!("keeping the deferred finding: {failure}")),
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
