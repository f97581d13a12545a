//! Asks for the report about whom was contained, once everything else is done: whether it can be had changes nothing of
//! the containment.

use std::time::Duration;

use aws_smithy_types::DateTime;
use clients::accounts::Home;
use clients::relay;
use domain::command::{Report, Subject};
use domain::containment::progress::Progress;
use domain::finding::{Finding, Principal, Source};
use domain::identity::IdentityKind;
use domain::settings::Responder;

/// Asking is one call, and nobody waits for it longer.
const PATIENCE: Duration = Duration::from_secs(3);

/// Where this response changed something, in this invocation or in one before it, and does not go on.
pub(super) async fn ask_for_report(
    settings: &Responder,
    home: &Home,
    finding: &Finding,
    progress: &Progress,
    now: DateTime,
    is_continued: bool,
) {
    let (Some(function), Some(identity)) = (&settings.investigator, &progress.identity) else { return };
    let is_news = is_continued || !progress.changes.applied().is_empty();
    if !is_news || progress.is_handed_over || finding.source == Source::Drill {
        return;
    }
    let (name, id) = (Some(identity.name.clone()), Some(identity.id.clone()));
    let principal = match identity.kind {
        IdentityKind::User => Principal::User { name, id },
        IdentityKind::Role => Principal::Role { name, id, session: None },
    };
    let report = Report {
        subject: Subject { account: finding.account.clone(), partition: finding.partition.clone(), principal },
        region: finding.region.clone(),
        access_key: finding.access_key.clone(),
        since: finding.occurred_at,
        detected: Some(now),
    };
    let asked = tokio::time::timeout(PATIENCE, relay::ask_for_report(home, function, &report)).await;
    let problem = match asked {
        Ok(Ok(())) => return,
        Ok(Err(failure)) => failure.to_string(),
        Err(_) => "AWS did not answer in time".to_owned(),
    };
    tracing::warn!("the report on what it did could not be asked for, send the command `report`: {problem}");
}
