//! Closing a suspect: a person looked, and says so. No response ever does it.

use clients::accounts::{Aws, Home};
use clients::iam::resolve::{self, Claimed, Unresolved};
use clients::ledger::Ledger;
use clients::round_trips::CallLog;
use domain::command::CloseSuspect;
use domain::containment::guard;
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::settings::Responder;
use domain::text;
use serde_json::{Value, json};

use crate::invocation::Call;

pub(crate) async fn close(
    aws: &Aws,
    settings: &Responder,
    command: &CloseSuspect,
    call: &Call,
) -> Result<Value, Failure> {
    if let Some(reason) = guard::refuse_account(&settings.untouchable, &command.subject.account) {
        return Err(refused("Refused", reason));
    }
    let closed = tokio::time::timeout(call.left().mul_f64(0.8), run(aws, settings, command, call));
    closed.await.unwrap_or_else(|_| Err(refused("Timeout", "the time ran out".to_owned())))
}

async fn run(aws: &Aws, settings: &Responder, command: &CloseSuspect, call: &Call) -> Result<Value, Failure> {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let subject = &command.subject;
    let member = home.assume(&settings.common, &subject.account, &subject.partition, &Scope::Look).await?;
    let claimed =
        Claimed { account: &subject.account, principal: &subject.principal, access_key: None, visible_by: None };
    let record = match resolve::meant(&member.read, claimed).await {
        Ok(found) => Some(Ledger::record_of(&found.identity)),
        // Deleted since: its suspects are not.
        Err(Unresolved::Refused(_)) => ledger.record_of_name(&subject.account, &subject.principal.target_key()).await?,
        Err(Unresolved::Failed(failure)) => return Err(failure),
    };
    let record = record.ok_or_else(|| refused("NotFound", "the ledger has nothing of this identity".to_owned()))?;
    let (by, reason) = (text::line(&command.by, 64), text::line(&command.reason, 120));
    let Some(whom) = ledger.close_suspect(&record, &command.suspect, &by, &reason).await? else {
        let suspect = text::line(&command.suspect, 128);
        let hint = "`status` lists the open ones; after 200 were closed one by one, `all` closes what is left";
        return Err(refused("NotFound", format!("`{suspect}` is no open suspect of the identity: {hint}")));
    };
    let suspect = text::line(&command.suspect, 128);
    tracing::warn!(suspect, by, reason, record, ?whom, "suspect closed by a person");
    Ok(json!({"suspect": suspect, "by": by, "reason": reason, "whom": whom}))
}

fn refused(code: &str, message: String) -> Failure {
    Failure { code: code.to_owned(), message, retryable: false }
}
