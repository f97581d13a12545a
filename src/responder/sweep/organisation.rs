//! The two ends of a day's sweep: which accounts there are, and, when all were swept, what people are told. What lies
//! between is the state machine's.

use std::time::SystemTime;

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::ledger::sweep::Head;
use clients::notices::alert;
use clients::organizations;
use domain::command::{End, Run};
use domain::hygiene::accounts::{Chosen, Skipped, choose};
use domain::hygiene::digest::Digest;
use domain::hygiene::summary::Summary;
use domain::ids::{AccountId, Parse};
use domain::outcome::{Failure, Outcome};
use domain::settings::Sweeper;
use domain::text;
use futures_util::TryStreamExt;

use super::Report;
use super::step::{Step, heads};
use crate::invocation::Call;
use crate::slack::{self, Poster};

/// Lists the accounts and keeps which they are. A start that comes twice is one sweep: the second has none.
pub(crate) async fn begin(aws: &Aws, settings: &Sweeper, run: &Run, call: &Call) -> (Report, Vec<String>) {
    let report = Report { day: run.day.to_string(), ..Report::default() };
    let mut step = Step::new(aws, &settings.common.ledger_table, call, report);
    match list(&step.home, &step.ledger, settings, run).await {
        Ok(Some(accounts)) => {
            step.report.outcome = format!("{} accounts are to be swept", accounts.len());
            step.report.is_recorded = true;
            step.report.accounts = Some(accounts);
        }
        Ok(None) => {
            "another execution sweeps this day, or has".clone_into(&mut step.report.outcome);
            step.report.accounts = Some(Vec::new());
        }
        Err(failure) => step.fail(format!("the accounts could not be listed: {failure}")),
    }
    let (report, failed) = step.ended();
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

/// Tells people once what all accounts came to, and keeps the same as JSON.
pub(crate) async fn end(aws: &Aws, settings: &Sweeper, end: &End, call: &Call) -> (Report, Vec<String>) {
    let report = Report { day: end.run.day.to_string(), ..Report::default() };
    let mut step = Step::new(aws, &settings.common.ledger_table, call, report);
    match digest(&step.home, &step.ledger, settings, end, &call.request_id).await {
        Ok(Some(digest)) => {
            step.report.outcome = digest.subject();
            step.report.is_recorded = true;
        }
        Ok(None) => "another execution tells of this day, or it was told".clone_into(&mut step.report.outcome),
        Err(failure) => step.fail(format!("the digest was not sent: {failure}")),
    }
    let (report, failed) = step.ended();
    tracing::info!(day = report.day, calls = report.calls, "sweep: {}", report.outcome);
    (report, failed)
}

async fn digest(
    home: &Home,
    ledger: &Ledger,
    settings: &Sweeper,
    End { run, is_partly_sent }: &End,
    request_id: &str,
) -> Result<Option<Digest>, Failure> {
    let kept = ledger.run(run.day).await?;
    let is_its = |it: &Option<String>| it.as_ref() == Some(&run.execution);
    if !is_its(&kept.execution) || kept.is_told || is_its(&kept.told_partly_by) {
        return Ok(None);
    }
    let skipped = kept.skipped.as_deref().and_then(|it| serde_json::from_str(it).ok()).unwrap_or_default();
    let mut digest = Digest::new(run.day, skipped);
    let accounts: Vec<AccountId> = kept.accounts.iter().filter_map(|it| AccountId::parse(it).ok()).collect();
    let mut read = heads(ledger, &accounts);
    while let Some(some) = read.try_next().await? {
        for (account, head) in some {
            match summary(head, run) {
                Ok(summary) => digest.add(account.as_str(), summary),
                Err(reason) => {
                    let (account, reason) = (account.to_string(), text::line(&reason, 400));
                    digest.not_swept.push(Skipped { account, reason });
                }
            }
        }
    }
    let now = DateTime::from(SystemTime::now()).to_millis().unwrap_or_default();
    let release = kept.release.as_deref().and_then(|it| serde_json::from_str(it).ok());
    digest.exemptions = settings.exempt.iter().filter_map(|it| it.ends_about(run.day)).collect();
    digest.is_partly_sent = *is_partly_sent;
    let digest = digest.finish(release, (now - kept.started_at).max(0) / 1_000);
    ledger.keep_digest(run.day, &digest.json()).await?;
    tell(home, settings, &digest, run, request_id).await?;
    if settings.common.has_alerts() {
        // What is not at its end is another execution's to go on with.
        if *is_partly_sent {
            ledger.note_run_told_partly(run).await?;
        } else {
            ledger.note_run_told(run.day).await?;
        }
    }
    Ok(Some(digest))
}

/// Where the digest waits for Slack.
const IN_SLACK: &str = "sweep";

/// By the topic and in Slack. A try after one that failed says it in Slack once.
async fn tell(home: &Home, settings: &Sweeper, digest: &Digest, run: &Run, request_id: &str) -> Result<(), Failure> {
    let (subject, text) = (digest.subject(), digest.text());
    let published = async {
        let topic = settings.common.alert_topic_arn.as_ref()?;
        let attributes = [("playbook", "sweep".to_owned()), ("verdict", "Digest".to_owned())];
        Some(alert::publish(&home.sns, topic, &subject, &text, &attributes).await)
    };
    let posted = async {
        let poster = Poster::new(home, &settings.common, None)?;
        let alert = slack::told(&subject, &text, request_id);
        Some(poster.post_apart_once(IN_SLACK, alert, &format!("digest {} {}", run.day, run.execution)).await)
    };
    let (published, posted) = tokio::join!(published, posted);
    let failed = published.into_iter().chain(posted).find_map(|it| match it {
        Outcome::Failed(failure) => Some(failure),
        _ => None,
    });
    failed.map_or(Ok(()), Err)
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
