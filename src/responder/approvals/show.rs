//! What the commands about requests answer.

use aws_smithy_types::DateTime;
use clients::accounts::Aws;
use domain::approval::decision::Decided;
use domain::approval::request::{Asked, Request};
use domain::approval::words;
use domain::decision::Decision;
use domain::finding::Source;
use domain::ids::RequestId;
use domain::outcome::Failure;
use domain::settings::Responder;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};

use super::{Desk, PARALLEL};
use crate::invocation::Call;
use crate::invocation::now_millis;

/// How many are read for the list.
const MOST_LISTED: usize = 5_000;
/// Lambda takes an answer of 6 MB.
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
const MOST_BYTES: usize = 5_000_000;

fn time(millis: i64) -> String {
    DateTime::from_millis(millis).to_string()
}

/// What a decision came to; whoever comes second is told who was first. `seen`: the request as it is now, of one that
/// expired.
pub(super) fn decided(id: &RequestId, decision: Decision, decided: &Decided, seen: Option<&Request>) -> Value {
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
        Decided::Expired => ("expired".to_owned(), json!({"reason": words::too_late(seen)})),
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

/// Everything that is open, the gravest first, as far as an answer holds it; and how many more there are.
pub(crate) async fn list(aws: &Aws, settings: &Responder, call: &Call) -> Result<(Value, usize), Failure> {
    let desk = Desk::new(aws, settings, call);
    let read = |(id, _): (RequestId, i64)| {
        let desk = &desk;
        async move { desk.ledger.request(&id).await }
    };
    let open = desk.ledger.requests_open(MOST_LISTED).await?;
    let read: Vec<_> = stream::iter(open.requests).map(read).buffer_unordered(PARALLEL).collect().await;
    let mut requests: Vec<Request> = read.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
    words::in_order(&mut requests);
    let (mut shown, mut bytes) = (Vec::new(), 0);
    for it in requests.iter().map(one) {
        bytes += it.to_string().len();
        if bytes > MOST_BYTES {
            break;
        }
        shown.push(it);
    }
    let more = open.more + requests.len() - shown.len();
    Ok((Value::Array(shown), more))
}

/// What people reported about it, in their words.
fn reported(asked: &Asked) -> Vec<&str> {
    let findings = std::iter::once(&asked.finding).chain(&asked.others);
    findings.filter(|it| it.source == Source::Report).map(|it| it.title.as_str()).collect()
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
            "reported": reported(asked),
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
