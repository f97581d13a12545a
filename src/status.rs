//! What is known of an identity: the ledger's record, for a person.

use std::time::SystemTime;

use aws_config::SdkConfig;
use aws_smithy_types::DateTime;
use serde_json::{Value, json};

use crate::accounts::Home;
use crate::action::Failure;
use crate::calls::CallLog;
use crate::command::Subject;
use crate::config::Config;
use crate::guard;
use crate::ledger::{Kept, Ledger};
use crate::resolve::{self, Claimed, Unresolved};
use crate::respond::Call;

/// The record of whoever bears the name now; where nobody does, of whoever was contained under it.
pub(crate) async fn status(sdk: &SdkConfig, config: &Config, subject: &Subject, call: &Call) -> Result<Value, Failure> {
    let failure = |code: &str, message: String| Failure { code: code.to_owned(), message, retryable: false };
    if let Some(reason) = guard::refuse_account(config, &subject.account) {
        return Err(failure("Refused", reason));
    }
    let left = call.deadline.duration_since(SystemTime::now()).unwrap_or_default();
    let read = tokio::time::timeout(left.mul_f64(0.8), read(sdk, config, subject, call));
    read.await.unwrap_or_else(|_| Err(failure("Timeout", "the time ran out".to_owned())))
}

async fn read(sdk: &SdkConfig, config: &Config, subject: &Subject, call: &Call) -> Result<Value, Failure> {
    let home = Home::new(sdk, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &config.ledger_table, &call.request_id);
    let member = home.assume(config, &subject.account, &subject.partition).await?;
    let claimed = Claimed { account: &subject.account, principal: &subject.principal, access_key: None, is_new: false };
    match resolve::resolve(&member.iam, claimed).await {
        Ok(found) => {
            let identity = found.identity;
            let principal = json!({"type": identity.kind, "name": identity.name, "id": identity.id});
            Ok(describe(subject, &principal, &ledger.kept(&identity).await?))
        }
        Err(Unresolved::Refused(reason)) => {
            let kept = ledger.kept_of(&subject.account, &subject.principal.claim_key()).await?.unwrap_or_default();
            let principal = json!({"arn": kept.arn, "now": reason});
            Ok(describe(subject, &principal, &kept))
        }
        Err(Unresolved::Failed(failure)) => Err(failure),
    }
}

fn describe(subject: &Subject, principal: &Value, kept: &Kept) -> Value {
    let time = |millis: Option<i64>| millis.map(|it| DateTime::from_millis(it).to_string());
    let restored = kept.restored.as_ref();
    json!({
        "account": subject.account,
        "principal": principal,
        "is_contained_by_us": kept.before.is_some(),
        "verdict": kept.verdict,
        "incident": kept.incident,
        "first_seen": time(kept.first_seen),
        "last_seen": time(kept.last_seen),
        "before": kept.before,
        "applied": kept.applied,
        "restored": restored.map(|it| json!({"at": time(Some(it.at)), "by": it.by, "reason": it.reason})),
    })
}
