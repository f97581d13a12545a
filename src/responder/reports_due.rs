//! Reports that are due, the first one and those that revise it: the investigating function is asked for each. It makes
//! them; here nobody waits for it.

use clients::accounts::Home;
use clients::ledger::Ledger;
use clients::ledger::evidence::DueEvidence;
use clients::notices::alert;
use clients::relay;
use domain::evidence::revision;
use domain::outcome::{Failure, Outcome};
use domain::settings::Responder;

use crate::invocation::now_millis;

/// How many are asked for in one run: the next run comes in a minute, and CloudTrail answers two look-ups a second.
const MOST: i32 = 10;

/// Asks for those that are due: what failed.
pub(crate) async fn ask(home: &Home, ledger: &Ledger, settings: &Responder) -> Vec<String> {
    let Some(function) = &settings.investigator else { return Vec::new() };
    let due = match ledger.due_evidence(MOST).await {
        Ok(it) => it,
        Err(failure) => return vec![format!("listing the reports that are due: {failure}")],
    };
    let each = due.iter().map(async |id| {
        let asked = ask_for(home, ledger, settings, function, id).await;
        asked.err().map(|failure| format!("asking for the report {id}: {failure}"))
    });
    futures_util::future::join_all(each).await.into_iter().flatten().collect()
}

async fn ask_for(home: &Home, ledger: &Ledger, settings: &Responder, function: &str, id: &str) -> Result<(), Failure> {
    let Some(due) = ledger.take_evidence(id).await? else { return Ok(()) };
    if due.is_final {
        return ledger.drop_evidence(&due).await;
    }
    if revision::is_given_up(due.asked_at / 1_000, now_millis() / 1_000) {
        return give_up(home, ledger, settings, &due).await;
    }
    relay::ask_for_report(home, function, &due.command).await
}

/// Off the list, once people were told.
async fn give_up(home: &Home, ledger: &Ledger, settings: &Responder, due: &DueEvidence) -> Result<(), Failure> {
    let identity = due.id.trim_start_matches("evidence#");
    let subject = format!("Evidence: no whole report on {identity}");
    tracing::error!(identity, "{subject}");
    if let Some(topic) = &settings.common.alert_topic_arn {
        let text = format!(
            "The report on {identity} failed for hours, or could not be told: see the log of the investigating function. \
             Nothing else of the response depends on it.\n\nWhat to do: send that function\n{}",
            due.command
        );
        let attributes = [("kind", "evidence".to_owned())];
        if let Outcome::Failed(failure) = alert::publish(&home.sns, topic, &subject, &text, &attributes).await {
            return Err(failure);
        }
    }
    ledger.drop_evidence(due).await
}
