//! What the commands about requests answer.

use aws_smithy_types::DateTime;
use clients::accounts::Aws;
use domain::approval::decision::Decided;
use domain::approval::request::Request;
use domain::approval::words;
use domain::decision::Decision;
use domain::ids::RequestId;
use domain::outcome::Failure;
use domain::settings::Responder;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};

use super::{Desk, MOST, PARALLEL};
use crate::invocation::Call;
use crate::invocation::now_millis;

fn time(millis: i64) -> String {
    DateTime::from_millis(millis).to_string()
}

/// What a decision came to; whoever comes second is told who was first.
pub(super) fn decided(id: &RequestId, decision: Decision, decided: &Decided) -> Value {
    let (what, more) = match decided {
        Decided::Now => (decision.to_string(), json!({})),
        Decided::Counted { still_needed } => ("counted".to_owned(), json!({"still_needed": still_needed})),
        Decided::SameApprover => {
            let why = "this approver has approved already: another one is needed, and all commands are one";
            ("same-approver".to_owned(), json!({"reason": why}))
        }
        Decided::Before { decision, by, at } => {
            ("already-decided".to_owned(), json!({"decision": decision, "by": by, "at": time(*at)}))
        }
        Decided::Expired => ("expired".to_owned(), json!({"reason": "nobody decided in time: nothing was changed"})),
        Decided::Own => {
            ("own-request".to_owned(), json!({"reason": "who asked, and whom it is about, does not decide"}))
        }
        Decided::OtherPlan => ("other-plan".to_owned(), json!({"reason": "what is asked is not what was shown"})),
        Decided::NotFound => {
            ("not-found".to_owned(), json!({"reason": "there is no such request: the command `requests` lists them"}))
        }
        Decided::NotWaiting => ("not-waiting".to_owned(), json!({"reason": "it waits for nobody"})),
    };
    let mut answer = json!({"request": id, "outcome": what});
    if let (Some(fields), Some(more)) = (answer.as_object_mut(), more.as_object()) {
        fields.extend(more.clone());
    }
    answer
}

/// Everything that is open, the gravest first.
pub(crate) async fn list(aws: &Aws, settings: &Responder, call: &Call) -> Result<Value, Failure> {
    let desk = Desk::new(aws, settings, call);
    let read = |id: RequestId| {
        let desk = &desk;
        async move { desk.ledger.request(&id).await }
    };
    let ids = desk.ledger.requests_open(MOST).await?;
    let read: Vec<_> = stream::iter(ids).map(read).buffer_unordered(PARALLEL).collect().await;
    let mut requests: Vec<Request> = read.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    words::in_order(&mut requests);
    Ok(requests.iter().map(one).collect())
}

fn one(it: &Request) -> Value {
    let state = it.state(now_millis()).word();
    match (&it.asked, &it.reported) {
        (Some(asked), _) => json!({
            "request": it.id,
            "state": state,
            "account": asked.finding.account,
            "principal": {"type": asked.target.kind, "name": asked.target.name, "id": asked.target.id},
            "playbook": asked.threat().playbook(),
            "severity": asked.finding.severity.label(),
            "requester": asked.requester,
            "since": time(asked.asked_at),
            "expires": time(asked.expires_at),
            "still_needed": asked.needed - i64::try_from(it.approvers.len()).unwrap_or(i64::MAX),
            "plan": asked.plan,
        }),
        (None, Some(reported)) => json!({
            "request": it.id,
            "state": state,
            "account": reported.account,
            "requester": reported.by,
            "since": time(reported.at),
        }),
        (None, None) => json!({"request": it.id, "state": state}),
    }
}
