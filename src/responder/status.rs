//! What is known of an identity: the ledger's record, for a person.

use std::collections::BTreeMap;

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::iam::resolve::{self, Claimed, Unresolved};
use clients::ledger::Ledger;
use clients::round_trips::CallLog;
use domain::child::Child;
use domain::command::Subject;
use domain::containment::guard;
use domain::history::{Kept, Response};
use domain::ids::{Parse, UniqueId};
use domain::made::Became;
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::settings::{Common, Settings};
use domain::suspects::Suspects;
use serde_json::{Value, json};

use crate::invocation::Call;

/// The record of whoever bears the name now; where nobody does, of whoever was contained under it.
pub(crate) async fn status(aws: &Aws, settings: &Settings, subject: &Subject, call: &Call) -> Result<Value, Failure> {
    let failure = |code: &str, message: String| Failure { code: code.to_owned(), message, retryable: false };
    let untouchable = match settings {
        Settings::Responder(it) => Some(&it.untouchable),
        Settings::Restorer(it) => Some(&it.untouchable),
        Settings::Driller(_) | Settings::Sweeper(_) | Settings::Investigator(_) => None,
    };
    if let Some(reason) = untouchable.and_then(|it| guard::refuse_account(it, &subject.account)) {
        return Err(failure("Refused", reason));
    }
    let read = tokio::time::timeout(call.left().mul_f64(0.8), read(aws, settings.common(), subject, call));
    read.await.unwrap_or_else(|_| Err(failure("Timeout", "the time ran out".to_owned())))
}

async fn read(aws: &Aws, common: &Common, subject: &Subject, call: &Call) -> Result<Value, Failure> {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &common.ledger_table, &call.request_id);
    let member = home.assume(common, &subject.account, &subject.partition, &Scope::Look).await?;
    let claimed =
        Claimed { account: &subject.account, principal: &subject.principal, access_key: None, visible_by: None };
    match resolve::meant(&member.read, claimed).await {
        Ok(found) => {
            let identity = found.identity;
            let principal = json!({"type": identity.kind, "name": identity.name, "id": identity.id});
            let record = Ledger::record_of(&identity);
            let (kept, suspects) = tokio::try_join!(ledger.kept(&identity), ledger.suspects_of(&record))?;
            let made = ledger.all_became(&subject.account, &identity.id, &kept.children).await;
            Ok(describe(subject, &principal, (&kept, &made), &suspects))
        }
        Err(Unresolved::Refused(reason)) => {
            let record = ledger.record_of_name(&subject.account, &subject.principal.target_key()).await?;
            let (kept, suspects) = match &record {
                Some(record) => tokio::try_join!(ledger.kept_of(record), ledger.suspects_of(record))?,
                None => Default::default(),
            };
            let made = match record.as_deref().and_then(|it| it.rsplit('#').next()).map(UniqueId::parse) {
                Some(Ok(id)) => ledger.all_became(&subject.account, &id, &kept.children).await,
                _ => Vec::new(),
            };
            let principal = json!({"arn": kept.arn, "now": reason});
            Ok(describe(subject, &principal, (&kept, &made), &suspects))
        }
        Err(Unresolved::Failed(failure)) => Err(failure),
    }
}

fn describe(
    subject: &Subject,
    principal: &Value,
    (kept, made): (&Kept, &[(Child, Became)]),
    (suspects, closed): &(Suspects, Vec<Value>),
) -> Value {
    let time = |millis: Option<i64>| millis.map(|it| DateTime::from_millis(it).to_string());
    let restored = kept.restored.as_ref();
    let open: BTreeMap<_, _> = suspects.open.iter().map(|(id, it)| (id, &it.words)).collect();
    json!({
        "account": subject.account,
        "principal": principal,
        "is_contained_by_us": !kept.responses.is_empty(),
        "verdict": kept.verdict,
        "incident": kept.incident,
        "open_suspects": open,
        "more_suspects": suspects.more,
        "closed_suspects": closed,
        "first_seen": time(kept.first_seen),
        "last_seen": time(kept.last_seen),
        "before": kept.responses.last().map(|it| &it.before),
        "children": kept.children.iter().map(Child::words).collect::<Vec<_>>(),
        "children_now": made.iter().filter_map(|(child, it)| became(child, it)).collect::<Vec<_>>(),
        "parents": kept.parents,
        "responses": kept.responses.iter().map(response).collect::<Vec<_>>(),
        "applied": kept.applied,
        "restored": restored.map(|it| json!({"at": time(Some(it.at)), "by": it.by, "reason": it.reason})),
    })
}

/// What of it is in force, or was.
fn became(child: &Child, it: &Became) -> Option<String> {
    let words = match it {
        Became::Restored(by) => by.clone(),
        it => it.words()?,
    };
    Some(format!("{}: {words}", child.words()))
}

/// What a person restores it by, and what it was about.
fn response(it: &Response) -> Value {
    json!({
        "id": it.id,
        "playbook": it.playbook,
        "finding": it.finding,
        "at": DateTime::from_millis(it.at).to_string(),
        "verdict": it.verdict,
        "before": it.before,
    })
}
