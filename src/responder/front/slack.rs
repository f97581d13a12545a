//! Slack's endpoint: a click becomes one conditional write, and wakes the responder.

use std::time::Duration;

use aws_lambda_events::lambda_function_urls::LambdaFunctionUrlRequest;
use domain::approval::decision::{Decided, Decider};
use domain::settings::{Secret, SlackEndpoint};
use front::http::Response;
use front::slack::approvers::Approvers;
use front::slack::signature::SigningSecrets;
use front::slack::{self, Received, Refusal, Slack};
use tokio::time::{Instant, timeout_at};

use super::{Desk, now};

/// Slack gives a click three seconds, the way there and back included.
const WITHIN: Duration = Duration::from_millis(2_500);
/// Kept back of that for waking the responder, which nothing depends on.
const FOR_THE_EVENT: Duration = Duration::from_millis(500);

pub(super) async fn answer(desk: &Desk, settings: &SlackEndpoint, event: LambdaFunctionUrlRequest) -> Response {
    let end = Instant::now() + WITHIN;
    match timeout_at(end - FOR_THE_EVENT, received(desk, settings, event)).await {
        Ok(Received::Decide(decided)) => decide(desk, decided, end).await,
        Ok(Received::Ignored(response)) => response,
        Ok(Received::Refused(response, why)) => {
            tracing::warn!(outcome = "refused", "a request to Slack's endpoint was refused: {why}");
            response
        }
        Err(_) => {
            tracing::error!("the signing secret could not be read in time");
            slack::unavailable()
        }
    }
}

/// A signature that does not hold may be one of a new secret.
async fn received(desk: &Desk, settings: &SlackEndpoint, event: LambdaFunctionUrlRequest) -> Received {
    let parameter = &settings.signing_secret_parameter;
    let secret = match desk.parameters.get(parameter).await {
        Ok(it) => it,
        Err(failure) => return unreadable(&failure.to_string()),
    };
    let first = match endpoint(settings, &secret) {
        Ok(it) => it.receive(event.clone(), now()),
        Err(why) => return unreadable(&why),
    };
    if !matches!(first, Received::Refused(_, Refusal::Signature)) {
        return first;
    }
    match desk.parameters.anew(parameter).await {
        Ok(Some(anew)) if anew != secret => match endpoint(settings, &anew) {
            Ok(it) => it.receive(event, now()),
            Err(why) => unreadable(&why),
        },
        _ => first,
    }
}

fn unreadable(why: &str) -> Received {
    tracing::error!("the signing secret can't be used: {why}");
    Received::Ignored(slack::unavailable())
}

fn endpoint(settings: &SlackEndpoint, secret: &Secret) -> Result<Slack, String> {
    Ok(Slack {
        app: settings.app.clone(),
        team: settings.team.clone(),
        secrets: SigningSecrets::parse(secret).map_err(|it| it.to_string())?,
        approvers: Approvers::new(settings.approvers.iter().cloned(), settings.identities.clone()),
    })
}

async fn decide(desk: &Desk, it: slack::Decided, end: Instant) -> Response {
    let by = Decider::in_slack(&it.by.team, &it.by.user, &it.by.called, it.by.identity.as_deref());
    let decided = desk.ledger.decide(&it.request, &it.plan_hash, it.decision, &by);
    let outcome = match timeout_at(end - FOR_THE_EVENT, decided).await {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(failure)) => {
            tracing::error!(request = it.request.as_str(), "a decision could not be kept: {failure}");
            return slack::unavailable();
        }
        Err(_) => {
            tracing::error!(request = it.request.as_str(), "a decision could not be kept in time");
            return slack::unavailable();
        }
    };
    let (request, decision) = (it.request.as_str(), it.decision.word());
    tracing::warn!(request, decision, by = by.words, outcome = ?outcome, "somebody clicked");
    match outcome {
        // Of one that only counts the message is changed too: it says how many are needed still.
        Decided::Now | Decided::Counted { .. } => {
            desk.wake_responder(&it.request, end.saturating_duration_since(Instant::now())).await;
            slack::acknowledged()
        }
        // The message says who decided.
        Decided::SameApprover | Decided::Before { .. } => slack::acknowledged(),
        Decided::Expired | Decided::Own | Decided::OtherPlan | Decided::NotWaiting | Decided::NotFound => {
            slack::not_allowed()
        }
    }
}
