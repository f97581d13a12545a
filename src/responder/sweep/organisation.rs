//! The two ends of a day's sweep: which accounts there are, and, when all were swept, what people are told. What lies
//! between is the state machine's.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::ledger::sweep::{AT_ONCE, Head};
use clients::notices::alert;
use clients::organizations;
use clients::round_trips::CallLog;
use domain::command::Run;
use domain::hygiene::accounts::{Chosen, Skipped, choose};
use domain::hygiene::budget::Budget;
use domain::hygiene::digest::{Digest, Summary};
use domain::ids::{AccountId, Parse};
use domain::outcome::{Failure, Outcome};
use domain::settings::Sweeper;
use domain::text;
use futures_util::stream::{self, StreamExt};

use super::Report;
use crate::invocation::Call;

/// Reads of the ledger side by side.
const PARALLEL_READS: usize = 4;

/// Lists the accounts and keeps which they are. A start that comes twice is one sweep: the second has none.
pub(crate) async fn begin(aws: &Aws, settings: &Sweeper, run: &Run, call: &Call) -> (Report, Vec<String>) {
    let calls = CallLog::default();
    let home = Home::new(aws, &calls);
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let mut report = Report { day: run.day.to_string(), ..Report::default() };
    let mut failed = Vec::new();
    match list(&home, &ledger, settings, run).await {
        Ok(Some(accounts)) => {
            report.outcome = format!("{} accounts are to be swept", accounts.len());
            report.is_recorded = true;
            report.accounts = Some(accounts);
        }
        Ok(None) => {
            "another execution sweeps this day, or has".clone_into(&mut report.outcome);
            report.accounts = Some(Vec::new());
        }
        Err(failure) => {
            report.outcome = format!("the accounts could not be listed: {failure}");
            failed.push(report.outcome.clone());
        }
    }
    report.calls = calls.round_trips().calls;
    tracing::info!(day = report.day, calls = report.calls, "sweep: {}", report.outcome);
    (report, failed)
}

async fn list(home: &Home, ledger: &Ledger, settings: &Sweeper, run: &Run) -> Result<Option<Vec<AccountId>>, Failure> {
    let chosen = if settings.accounts.is_empty() {
        choose(organizations::accounts(&home.organizations()).await?, settings)
    } else {
        Chosen { accounts: settings.accounts.clone(), ..Chosen::default() }
    };
    let ids: Vec<_> = chosen.accounts.iter().map(AccountId::as_str).collect();
    // Thousands of closed accounts must not outgrow the item.
    let mut skipped = chosen.skipped;
    if let Some(more @ 1..) = skipped.len().checked_sub(MOST_SKIPPED) {
        skipped.truncate(MOST_SKIPPED);
        skipped.push(Skipped { account: format!("{more} more"), reason: "not active either".to_owned() });
    }
    let skipped = serde_json::to_string(&skipped).unwrap_or_default();
    let is_ours = ledger.begin_run(run, &ids.join(","), &skipped).await?;
    Ok(is_ours.then_some(chosen.accounts))
}

const MOST_SKIPPED: usize = 500;

/// Counts what all accounts ask for, tells people once, and keeps the same as JSON.
pub(crate) async fn end(aws: &Aws, settings: &Sweeper, run: &Run, call: &Call) -> (Report, Vec<String>) {
    let calls = CallLog::default();
    let home = Home::new(aws, &calls);
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let mut report = Report { day: run.day.to_string(), ..Report::default() };
    let mut failed = Vec::new();
    match digest(&home, &ledger, settings, run).await {
        Ok(Some(digest)) => {
            report.outcome = digest.subject();
            report.is_recorded = true;
        }
        Ok(None) => "another execution tells of this day, or it was told".clone_into(&mut report.outcome),
        Err(failure) => {
            report.outcome = format!("the digest was not sent: {failure}");
            failed.push(report.outcome.clone());
        }
    }
    report.calls = calls.round_trips().calls;
    tracing::info!(day = report.day, calls = report.calls, "sweep: {}", report.outcome);
    (report, failed)
}

async fn digest(home: &Home, ledger: &Ledger, settings: &Sweeper, run: &Run) -> Result<Option<Digest>, Failure> {
    let kept = ledger.run(run.day).await?;
    if kept.execution.as_ref() != Some(&run.execution) || kept.is_told {
        return Ok(None);
    }
    let skipped = kept.skipped.as_deref().and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    let mut digest = Digest::new(run.day, skipped);
    let accounts: Vec<AccountId> = kept.accounts.iter().filter_map(|it| AccountId::parse(it).ok()).collect();
    let read = |some: &[AccountId]| {
        let some = some.to_vec();
        async move {
            let heads = ledger.sweep_heads(&some).await;
            (some, heads)
        }
    };
    let mut read = stream::iter(accounts.chunks(AT_ONCE)).map(read).buffered(PARALLEL_READS);
    while let Some((some, heads)) = read.next().await {
        let mut heads = heads?;
        for account in some {
            match summary(heads.remove(account.as_str()).unwrap_or_default(), run) {
                Ok(summary) => digest.add(account.as_str(), summary),
                Err(reason) => {
                    let (account, reason) = (account.to_string(), text::line(&reason, 400));
                    digest.not_swept.push(Skipped { account, reason });
                }
            }
        }
    }
    let now = DateTime::from(SystemTime::now()).to_millis().unwrap_or_default();
    let budget = Budget { max_actions: settings.max_actions, max_share: settings.max_share };
    let digest = digest.finish(budget, (now - kept.started_at).max(0) / 1_000);
    ledger.keep_digest(run.day, &digest.json()).await?;
    if let Some(topic) = &settings.common.alert_topic_arn {
        let attributes = [("playbook", "sweep".to_owned()), ("verdict", "Digest".to_owned())];
        let told = alert::publish(&home.sns, topic, &digest.subject(), &digest.text(), &attributes).await;
        if let Outcome::Failed(failure) = told {
            return Err(failure);
        }
        ledger.note_run_told(run.day).await?;
    }
    Ok(Some(digest))
}

/// An account's summary of the day, or why there is none.
fn summary(head: Head, run: &Run) -> Result<Summary, String> {
    let day = run.day.to_string();
    match (head.day, head.summary, head.failed) {
        (Some(swept), Some(summary), _) if swept == day => {
            serde_json::from_str(&summary).map_err(|it| format!("its row in the ledger can't be read: {it}"))
        }
        (_, _, Some((failed_day, reason))) if failed_day == day => Err(reason),
        (Some(swept), ..) => Err(format!("nothing came of it; it was swept last on {swept}")),
        (None, ..) => Err("nothing came of it; it was never swept".to_owned()),
    }
}
