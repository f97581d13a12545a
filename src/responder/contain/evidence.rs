//! Has a report made about whom was contained: it is put on the list before people hear that it follows, and asked for
//! once everything else is done. Whether it can be had changes nothing of the containment.

use std::time::Duration;

use aws_smithy_types::DateTime;
use clients::accounts::Home;
use clients::ledger::Ledger;
use clients::relay;
use domain::child::Followed;
use domain::command::{Report, Subject};
use domain::containment::progress::Progress;
use domain::evidence::objects;
use domain::finding::{Finding, Principal, Source};
use domain::identity::{Identity, IdentityKind};
use domain::outcome::Failure;
use domain::settings::Responder;

use crate::invocation::now_millis;

/// Nobody waits for it longer.
const PATIENCE: Duration = Duration::from_secs(3);
/// When the schedule asks for it, if the one that was asked for at once has not come.
const AFTER_MILLIS: i64 = 3 * 60_000;

/// A report that follows.
pub(super) struct Follows {
    /// What it is called, and where it is kept.
    pub(super) words: String,
    /// What the investigating function is sent.
    command: String,
}

/// The report that follows: where this response changed something, in this invocation or in one before it; or where
/// somebody flagged another credential. `followed`: of which it is to name what they made. While a fight goes on it is for
/// these alone, and with the verdict there is another.
///
/// INVARIANT: one that people are told of is on the list before. `tests/test_report_due.py` holds it.
pub(super) async fn list(
    settings: &Responder,
    ledger: &Ledger,
    finding: &Finding,
    progress: &Progress,
    is_begun: bool,
    followed: &[Followed],
    now: DateTime,
) -> Option<Follows> {
    let identity = progress.identity.as_ref().filter(|_| settings.investigator.is_some())?;
    let is_news = is_begun || !followed.is_empty() || !progress.changes.applied().is_empty();
    let is_early = progress.is_handed_over && followed.is_empty();
    if !is_news || is_early || finding.source == Source::Drill {
        return None;
    }
    let command = report(finding, identity, now).json().to_string();
    let (record, is_grave) = (Ledger::record_of(identity), !settings.is_hygiene);
    let at = if is_grave { now_millis() + AFTER_MILLIS } else { now_millis() };
    let listed =
        tokio::time::timeout(PATIENCE, ledger.ask_for_evidence(&record, &command, is_grave, at, followed)).await;
    let problem = match listed {
        Ok(Ok(())) => {
            let (account, id) = (&finding.account, identity.id.as_str());
            let kept = settings.evidence_bucket.as_ref();
            let kept = kept.map(|bucket| format!(", kept as s3://{bucket}/{}*", objects::folder(account.as_str(), id)));
            return Some(Follows { words: format!("{account}/{id}{}", kept.unwrap_or_default()), command });
        }
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => UNANSWERED.to_owned(),
    };
    warn(&problem);
    None
}

/// At once, and not only by the schedule. What is cheap to make waits for that, so that it takes nobody else's turn.
pub(super) async fn ask_for_report(settings: &Responder, home: &Home, follows: Option<&Follows>) {
    let (Some(function), Some(follows)) = (settings.investigator.as_ref().filter(|_| !settings.is_hygiene), follows)
    else {
        return;
    };
    match tokio::time::timeout(PATIENCE, relay::ask_for_report(home, function, &follows.command)).await {
        Ok(Ok(())) => {}
        Ok(Err(failure)) => warn(&failure.to_string()),
        Err(_) => warn(UNANSWERED),
    }
}

/// The same where the finding was answered with another's response, and flagged a credential that the report on that does
/// not know of: the schedule asks for it.
pub(super) async fn list_for_another(
    ledger: &Ledger,
    finding: &Finding,
    identity: &Identity,
    followed: &Followed,
    now: DateTime,
) -> Result<(), Failure> {
    let command = report(finding, identity, now).json().to_string();
    let followed = std::slice::from_ref(followed);
    ledger.ask_for_evidence(&Ledger::record_of(identity), &command, true, now_millis(), followed).await
}

const UNANSWERED: &str = "AWS did not answer in time";

fn warn(problem: &str) {
    tracing::warn!("the report on what it did could not be asked for at once: {problem}; if none comes, send `report`");
}

fn report(finding: &Finding, identity: &Identity, now: DateTime) -> Report {
    let (name, id) = (Some(identity.name.clone()), Some(identity.id.clone()));
    let principal = match identity.kind {
        IdentityKind::User => Principal::User { name, id },
        IdentityKind::Role => Principal::Role { name, id, session: None },
    };
    Report {
        subject: Subject { account: finding.account.clone(), partition: finding.partition.clone(), principal },
        region: finding.region.clone(),
        access_key: finding.access_key.clone(),
        since: finding.began(),
        detected: Some(now),
    }
}
