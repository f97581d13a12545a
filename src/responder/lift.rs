//! A request was declined whose identity was denied everything while people were asked: the deny is lifted by the
//! restoring function, as a restore of that one response. The responder can lift nothing.

use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::ledger::slack::News;
use clients::notices::alert;
use clients::round_trips::CallLog;
use domain::approval::request::{Asked, Ruling, State};
use domain::approval::words;
use domain::command::{Restore, Subject};
use domain::decision::Decision;
use domain::finding::Principal;
use domain::identity::IdentityKind;
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::restoration::report::Verdict;
use domain::settings::Restorer;

use crate::invocation::{Call, now_millis};
use crate::restore::restore;
use crate::slack::{self, Poster};

/// In one run: the next one comes in a minute.
const MOST: i32 = 10;
const PAUSE: i64 = 60_000;
/// What one restore needs at the least.
const ENOUGH: Duration = Duration::from_secs(20);

/// What has to be tried again.
pub(crate) async fn lift_declined(aws: &Aws, settings: &Restorer, call: &Call) -> Vec<String> {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let ids = match ledger.requests_to_lift(MOST).await {
        Ok(it) => it,
        Err(failure) => return vec![format!("listing what was declined: {failure}")],
    };
    let mut failed = Vec::new();
    for id in ids {
        if call.left() < ENOUGH {
            break;
        }
        if let Err(failure) = lift(aws, &home, &ledger, settings, call, &id).await {
            failed.push(format!("request {id}: {failure}"));
        }
    }
    failed
}

async fn lift(
    aws: &Aws,
    home: &Home,
    ledger: &Ledger,
    settings: &Restorer,
    call: &Call,
    id: &RequestId,
) -> Result<(), Failure> {
    let Some(request) = ledger.request(id).await? else { return Ok(()) };
    let is_declined = request.stored == Some(State::Declined);
    let (Some(asked), Some(ruling @ Ruling { decision: Decision::Decline, .. }), true) =
        (&request.asked, &request.ruling, is_declined)
    else {
        return ledger.note_lifted(id, "not declined", None).await;
    };
    let Some(response) = &asked.struck else { return ledger.note_lifted(id, "nothing to lift", None).await };
    let kept = ledger.kept_by_id(&asked.finding.account, &asked.target.id).await?;
    if kept.responses.iter().any(|it| it.id == *response && !it.only_denies()) {
        // Somebody contained it since: a decline takes back no more than what was done while people were asked.
        give_up(home, settings, call, id, asked, "more than the deny was done since, under the same response", &[])
            .await?;
        return ledger.note_lifted(id, "Refused", None).await;
    }
    let command = command(asked, ruling, response, id);
    let (report, _) = restore(aws, settings, &command, call).await;
    match report.verdict {
        Verdict::Restored | Verdict::NothingToDo | Verdict::Observed => {
            ledger.note_lifted(id, &format!("{:?}", report.verdict), None).await
        }
        Verdict::InProgress | Verdict::NotRestored => {
            ledger.note_lifted(id, "", Some(now_millis() + PAUSE)).await?;
            Err(Failure { code: "NotLifted".to_owned(), message: report.reason, retryable: true })
        }
        Verdict::Refused | Verdict::Drifted => {
            give_up(home, settings, call, id, asked, &report.reason, &report.drift).await?;
            ledger.note_lifted(id, &format!("{:?}", report.verdict), None).await
        }
    }
}

/// A person has to look at it.
async fn give_up(
    home: &Home,
    settings: &Restorer,
    call: &Call,
    id: &RequestId,
    asked: &Asked,
    why: &str,
    drift: &[String],
) -> Result<(), Failure> {
    let it = words::not_lifted(id, asked, why, drift);
    let published = async {
        let topic = settings.common.alert_topic_arn.as_ref()?;
        Some(alert::publish(&home.sns, topic, &it.subject, &it.text, &it.attributes).await)
    };
    let posted = async {
        let poster = Poster::new(home, &settings.common, None)?;
        let thread = domain::slack::thread_of_id(&asked.finding.account, &asked.target.id);
        let told = slack::told(&it.subject, &it.text, &call.request_id);
        Some(poster.post(&thread, told, News { words: &it.subject, can_be_old: true }).await)
    };
    let (published, posted) = tokio::join!(published, posted);
    for outcome in published.into_iter().chain(posted) {
        if let Outcome::Failed(failure) = outcome {
            return Err(failure);
        }
    }
    Ok(())
}

fn command(asked: &Asked, ruling: &Ruling, response: &str, id: &RequestId) -> Restore {
    let unique_id = Some(asked.target.id.clone());
    let principal = match asked.target.kind {
        IdentityKind::User => Principal::User { name: None, id: unique_id },
        IdentityKind::Role => Principal::Role { name: None, id: unique_id, session: None },
    };
    let (account, partition) = (asked.finding.account.clone(), asked.finding.partition.clone());
    Restore {
        subject: Subject { account, partition, principal },
        reason: format!("request {id} was declined"),
        by: ruling.by.clone(),
        response: Some(response.to_owned()),
        force: false,
    }
}
