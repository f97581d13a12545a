//! Between the sweep of the accounts and the digest: all rows are counted, and what is to be asked or done becomes
//! messages of the queue for hygiene, which the state machine sends. It asks nobody itself. What is handed on are the
//! accounts, and then the share of each: all problems together may be more than a state machine holds.

use std::collections::BTreeMap;

use clients::accounts::Aws;
use clients::ledger::Ledger;
use domain::command::{OfAccount, Release as Command};
use domain::day::Day;
use domain::hygiene::budget::Budget;
use domain::hygiene::release::{Release, Share, Tally};
use domain::hygiene::summary::Summary;
use domain::ids::{AccountId, Parse};
use domain::outcome::Failure;
use domain::problem::Kind;
use domain::settings::{Mode, Release as Settings, Responder};
use futures_util::stream::{self, StreamExt, TryStreamExt};

use super::Report;
use super::step::{Step, heads};
use crate::invocation::Call;

const PARALLEL_WRITES: usize = 16;

/// Answers what is to be asked; the same again where it is asked twice.
pub(crate) async fn release(aws: &Aws, settings: &Responder, command: &Command, call: &Call) -> (Report, Vec<String>) {
    let report = Report { day: command.run.day.to_string(), accounts: Some(Vec::new()), ..Report::default() };
    let mut step = Step::new(aws, &settings.common.ledger_table, call, report);
    match decide(&step.ledger, settings, command).await {
        Ok(Ok((release, accounts))) => {
            step.report.outcome = words(&release);
            step.report.is_recorded = true;
            step.report.accounts = Some(accounts);
        }
        Ok(Err(why)) => why.clone_into(&mut step.report.outcome),
        Err(failure) => step.fail(format!("nobody was asked: {failure}")),
    }
    let (report, failed) = step.ended();
    tracing::warn!(day = report.day, calls = report.calls, "sweep: {}", report.outcome);
    (report, failed)
}

async fn decide(
    ledger: &Ledger,
    settings: &Responder,
    command: &Command,
) -> Result<Result<(Release, Vec<AccountId>), &'static str>, Failure> {
    let Some(limits) = &settings.sweep else { return Ok(Err("nothing is asked for by a sweep here")) };
    let kept = ledger.run(command.run.day).await?;
    let is_its = kept.execution.as_ref() == Some(&command.run.execution);
    match &command.by {
        None if !is_its => return Ok(Err("another execution sweeps this day, or has")),
        Some(by) if !is_to_release(kept.release.as_deref(), by) => {
            return Ok(Err("nobody is asked by a person's release: the day was not stopped"));
        }
        _ => {}
    }
    let accounts: Vec<AccountId> = kept.accounts.iter().filter_map(|it| AccountId::parse(it).ok()).collect();
    let tally = count(ledger, settings, limits, &command.run.day.to_string(), &accounts).await?;
    let budget = Budget { max_actions: limits.max_actions, max_share: limits.max_share };
    let (release, shares) = tally.release(budget, command.by.clone());
    let before = kept.release.as_deref().and_then(|it| serde_json::from_str(it).ok());
    let release = release.after(before.as_ref());
    let begun_by = kept.begun_by.or(kept.execution).unwrap_or_default();
    keep(ledger, command.run.day, &begun_by, &shares).await?;
    let json = serde_json::to_string(&release).unwrap_or_default();
    ledger.note_release(command.run.day, &json).await?;
    Ok(Ok((release, shares.into_keys().collect())))
}

/// What is released is kept before anybody hears of it.
async fn keep(ledger: &Ledger, day: Day, begun_by: &str, shares: &BTreeMap<AccountId, Share>) -> Result<(), Failure> {
    let one =
        |(account, share): (AccountId, String)| async move { ledger.keep_share(&account, day, begun_by, &share).await };
    let texts = shares.iter().map(|(account, it)| (account.clone(), serde_json::to_string(it).unwrap_or_default()));
    let kept = stream::iter(texts.collect::<Vec<_>>()).map(one).buffer_unordered(PARALLEL_WRITES);
    kept.try_collect::<()>().await
}

/// Which problems of an account were released: the messages of the queue.
pub(crate) async fn share(aws: &Aws, settings: &Responder, command: &OfAccount, call: &Call) -> (Report, Vec<String>) {
    let day = command.day.to_string();
    let report = Report { account: Some(command.account.clone()), day, ..Report::default() };
    let mut step = Step::new(aws, &settings.common.ledger_table, call, report);
    match step.ledger.share(&command.account, command.day).await {
        Ok(kept) => {
            let share = kept.and_then(|(_, share)| serde_json::from_str::<Share>(&share).ok()).unwrap_or_default();
            let problems = share.problems();
            step.report.outcome = format!("{} of it are asked about, done or told", problems.len());
            step.report.problems = Some(problems);
        }
        Err(failure) => step.fail(format!("nobody was asked: {failure}")),
    }
    step.ended()
}

/// A person releases what was stopped; that they did may have to be answered twice.
fn is_to_release(kept: Option<&str>, by: &str) -> bool {
    let release = kept.and_then(|it| serde_json::from_str::<Release>(it).ok());
    release.is_some_and(|it| it.stopped.is_some() || it.by.as_deref() == Some(by))
}

/// The rows of this day; those of an account that was not swept ask for nothing.
async fn count(
    ledger: &Ledger,
    settings: &Responder,
    limits: &Settings,
    day: &str,
    accounts: &[AccountId],
) -> Result<Tally, Failure> {
    let mut tally = Tally::default();
    let mut read = heads(ledger, accounts);
    while let Some(some) = read.try_next().await? {
        for (account, head) in some {
            let summary = head.summary.filter(|_| head.day.as_deref() == Some(day));
            if let Some(summary) = summary.and_then(|it| serde_json::from_str::<Summary>(&it).ok()) {
                tally.add(&account, &summary, |kind| mode_of(settings, limits, kind));
                if limits.owner_tag.is_some() && settings.common.slack_channel.is_some() {
                    tally.tell_owners(&account, &summary);
                }
            }
        }
    }
    Ok(tally)
}

/// What is done about a kind of problem; `None` where it is only reported.
pub(super) fn mode_of(settings: &Responder, limits: &Settings, kind: Kind) -> Option<Mode> {
    let threat = kind.threat().filter(|_| limits.acts_on.contains(&kind))?;
    match settings.mode_of(threat.playbook()) {
        // Who made it is not known.
        Mode::Enforce if kind.is_urgent() => Some(Mode::Approve),
        mode => Some(mode),
    }
}

fn words(release: &Release) -> String {
    match &release.stopped {
        Some(why) => format!("stopped: {why}"),
        None => format!("{} are asked about, {} are done unasked", release.asked, release.enforced),
    }
}
