//! One invocation, from payload to response: the steps in their order.

use std::collections::BTreeMap;
use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_smithy_types::DateTime;
use lambda_runtime::Diagnostic;
use serde_json::Value;
use tracing::Instrument;

use crate::accounts::Home;
use crate::calls::CallLog;
use crate::config::{Config, ConfigError, Mode};
use crate::decode::{DecodeError, decode};
use crate::escalate::{Scene, escalate};
use crate::finding::Finding;
use crate::guard;
use crate::observe::{self, Unresolved};
use crate::playbooks::{self, Playbook};
use crate::reconcile::Engine;
use crate::record::Record;
use crate::report::{Ignored, Report, Response, Timings, Verdict, millis};
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

/// Kept back from Lambda's time for the notices and the report.
const RESERVE: Duration = Duration::from_secs(10);

/// Responds to one payload. Everything that can be done is done before an error is returned.
pub async fn handle(context: &Context, payload: Value, deadline: SystemTime) -> Result<Response, Error> {
    let config = match &context.config {
        Ok(it) => it,
        Err(error) => return Err(error.clone().into()),
    };
    let decoded = decode(&payload, config);
    for reason in &decoded.ignored {
        tracing::info!(outcome = "ignored", reason, "ignored: {reason}");
    }
    let mut response = Response {
        reports: Vec::new(),
        ignored: decoded.ignored.into_iter().map(|reason| Ignored { reason }).collect(),
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
            ended.push(respond(context, config, &finding, deadline).instrument(span).await);
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

/// Responds to one finding: its report, and what has to be tried again.
async fn respond(context: &Context, config: &Config, finding: &Finding, deadline: SystemTime) -> (Report, Vec<String>) {
    let started = Instant::now();
    let now = DateTime::from(SystemTime::now());
    let Some(playbook) = playbooks::select(finding.threat) else {
        unreachable!("a test holds that every threat has a playbook")
    };
    let mode = config.mode_of(playbook.id);
    let calls = CallLog::default();
    let home = Home::new(&context.sdk, &calls);
    let mut record = Record::default();
    let mut member = None;

    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    let budget = left.checked_sub(RESERVE).unwrap_or(left / 2);
    // The last read and its verdict come before the time-out.
    let until = started + budget.mul_f64(0.9);
    let contained = contain(config, &home, playbook, mode, finding, now, until, &mut member, &mut record);
    if tokio::time::timeout(budget, contained).await.is_err() {
        let reason = format!("the time ran out after {} s", budget.as_secs());
        record.failed.push(reason.clone());
        record.conclude(if record.done.is_empty() { Verdict::NotContained } else { Verdict::Unverified }, reason);
    }
    let verdict_at = started.elapsed();

    let scene = Scene { config, home: &home, member: member.as_ref(), playbook, finding, now };
    let left = deadline.duration_since(SystemTime::now()).unwrap_or_default();
    if tokio::time::timeout(left.mul_f64(0.8), escalate(&scene, mode, &mut record)).await.is_err() {
        record.failed.push("the time ran out before everyone was told".to_owned());
    }
    let timings = Timings {
        behaviour_to_start: finding.occurred_at.map(|it| (now.secs() - it.secs()).saturating_mul(1_000)),
        first_barrier: calls.first_barrier_at().map(|it| millis(it.duration_since(started))),
        verdict: millis(verdict_at),
        total: millis(started.elapsed()),
    };
    let report = record.report(finding, playbook, mode, timings, calls.round_trips());
    log_report(&report);
    (report, record.failed)
}

/// Assume, resolve, guard, reconcile. Leaves its verdict in the record.
#[expect(clippy::too_many_arguments, reason = "the record and the session must outlive a time-out")]
async fn contain(
    config: &Config,
    home: &Home,
    playbook: &Playbook,
    mode: Mode,
    finding: &Finding,
    now: DateTime,
    until: Instant,
    session: &mut Option<crate::accounts::Member>,
    record: &mut Record,
) {
    if let Some(reason) = guard::refuse_claim(config, finding) {
        return record.conclude(Verdict::Refused, reason);
    }
    let member = match home.assume(config, finding).await {
        Ok(it) => session.insert(it),
        Err(failure) => {
            record.failed.push(failure.to_string());
            return record.conclude(Verdict::NotContained, failure.to_string());
        }
    };
    let resolved = match observe::resolve(&member.iam, finding).await {
        Ok(it) => it,
        Err(Unresolved::Refused(reason)) => return record.conclude(Verdict::Refused, reason),
        Err(Unresolved::Failed(failure)) => {
            record.failed.push(format!("finding the identity: {failure}"));
            return record.conclude(Verdict::NotContained, format!("the identity could not be looked up: {failure}"));
        }
    };
    record.identity = Some(resolved.identity.clone());
    if let Some(reason) = guard::refuse_identity(config, finding, &resolved.identity) {
        return record.conclude(Verdict::Refused, reason);
    }
    let engine = Engine { member, playbook, finding, now, settle: config.settle, options: config.options, until };
    engine.run(mode, resolved, record).await;
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
