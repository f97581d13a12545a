//! Slack's endpoint: a click becomes one conditional write, and wakes the responder.

use std::time::{Duration, SystemTime};

use aws_lambda_events::lambda_function_urls::LambdaFunctionUrlRequest;
use domain::approval::decision::{Decided, Decider};
use domain::decision::Wish;
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

/// A signature that does not hold may be one of a new secret; one that holds may be of one that was replaced.
async fn received(desk: &Desk, settings: &SlackEndpoint, event: LambdaFunctionUrlRequest) -> Received {
    let (parameter, began) = (&settings.signing_secret_parameter, SystemTime::now());
    let secret = match desk.parameters.get(parameter).await {
        Ok(it) => it,
        Err(failure) => return unreadable(&failure.to_string()),
    };
    let first = match endpoint(settings, &secret) {
        Ok(it) => it.receive(event.clone(), now()),
        Err(why) => return unreadable(&why),
    };
    let anew = match &first {
        Received::Refused(_, Refusal::Signature) => desk.parameters.anew(parameter).await.unwrap_or(None),
        Received::Decide(_) => match desk.parameters.is_current(parameter, &secret, began).await {
            Ok(true) => return first,
            Ok(false) => match desk.parameters.get(parameter).await {
                Ok(it) => Some(it),
                Err(failure) => return unreadable(&failure.to_string()),
            },
            Err(failure) => return unreadable(&failure.to_string()),
        },
        Received::Refused(..) | Received::Ignored(_) => return first,
    };
    match anew.filter(|it| *it != secret) {
        Some(anew) => match endpoint(settings, &anew) {
            Ok(it) => it.receive(event, now()),
            Err(why) => unreadable(&why),
        },
        None => first,
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
    let decided = async {
        match it.wish {
            Wish::Decide(decision) => desk.ledger.decide(&it.request, &it.plan_hash, decision, &by).await,
            Wish::Open => desk.ledger.open_offer(&it.request, &it.plan_hash, &by).await,
            Wish::Acknowledge => desk.ledger.click(&it.request, &it.plan_hash, &by).await,
        }
    };
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
    let (request, decision) = (it.request.as_str(), it.wish.word());
    tracing::warn!(request, decision, by = by.words, outcome = ?outcome, "somebody clicked");
    match outcome {
        Decided::Now if it.wish == Wish::Acknowledge => {
            desk.wake_for_alert(&it.request, end.saturating_duration_since(Instant::now())).await;
            slack::acknowledged()
        }
        // Of one that only counts the message is changed too: it says how many are needed still.
        Decided::Now | Decided::Counted { .. } => {
            desk.wake_responder(&it.request, end.saturating_duration_since(Instant::now())).await;
            slack::acknowledged()
        }
        // The message is to say that it ran out.
        Decided::Expired if it.wish == Wish::Open => {
            desk.wake_responder(&it.request, end.saturating_duration_since(Instant::now())).await;
            slack::not_allowed()
        }
        // The message says who decided.
        Decided::SameApprover | Decided::Before { .. } => slack::acknowledged(),
        Decided::Expired | Decided::Own | Decided::OtherPlan | Decided::NotWaiting | Decided::NotFound => {
            slack::not_allowed()
        }
    }
}
