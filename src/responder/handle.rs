//! One payload, down to what it asks for and back up as one response.

use aws_lambda_events::event::sqs::SqsEvent;
use domain::command::Command;
use domain::containment::grouping::{group, left_to_another};
use domain::containment::relay::Relay;
use domain::containment::report::Report;
use domain::payload;
use domain::settings::{Responder, Settings};
use domain::sources::{DecodeError, Decoded, credential_event, decode};
use domain::text;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tracing::Instrument;

use crate::acknowledge;
use crate::approvals;
use crate::contain::contain;
use crate::contain::turns::Turns;
use crate::drill::{self, drill};
use crate::due;
use crate::investigate::{self, investigate};
use crate::invocation::{Call, Context, Error};
use crate::lift;
use crate::restore::restore;
use crate::status::status;
use crate::suspects;
use crate::sweep;
use crate::tell;

/// The response of one invocation.
#[derive(Debug, Default, Serialize)]
pub struct Response {
    pub reports: Vec<Report>,
    pub ignored: Vec<Ignored>,
    /// What people are told of and nobody is contained for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<tell::Entry>,
    /// Only in the answer to the command `restore`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<domain::restoration::report::Report>,
    /// Only in the answer to the command `drill`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<drill::Report>,
    /// Only in the answers to the commands of the daily sweep.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sweep: Option<sweep::Report>,
    /// How many findings the command `drop-deferred` dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<usize>,
    /// Only in the answer to the command `close-suspect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Value>,
    /// Only in the answer to the command `ack`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acknowledgement: Option<Value>,
    /// Only in the answer to the commands `approve` and `decline`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Value>,
    /// Only in the answer to the command `requests`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<Value>,
    /// How many of them did not fit into it, if any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests_not_shown: Option<usize>,
    /// Only in the answer to the command `report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evidence: Option<investigate::Answer>,
    /// Only in the answer to the command `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

#[derive(Debug, Serialize)]
pub struct Ignored {
    pub reason: String,
}

/// Responds to one payload. Everything that can be done is done before an error is returned.
pub async fn handle(context: &Context, payload: Value, call: &Call) -> Result<Response, Error> {
    let settings = match &context.settings {
        Ok(it) => it,
        Err(error) => return Err(error.clone().into()),
    };
    context.aws.during(Box::pin(dispatch(context, settings, payload, call))).await
}

async fn dispatch(context: &Context, settings: &Settings, payload: Value, call: &Call) -> Result<Response, Error> {
    if let (Settings::Responder(settings), Some(relay)) = (settings, payload.get("continue"))
        && settings.own_name().is_some()
    {
        return go_on(context, settings, relay, call).await;
    }
    let events = events(payload);
    let decoded = events.iter().map(|it| read(it, settings)).fold(Decoded::default(), Decoded::and);
    match (&decoded.command, settings) {
        (Some(command), _) => answer(context, settings, command, call).await,
        (None, Settings::Responder(settings)) => {
            let seen: Vec<_> = events.iter().filter(|_| settings.is_hygiene).filter_map(credential_event).collect();
            let (response, unnoted) = tokio::join!(
                respond(context, settings, decoded, call),
                sweep::note_events(&context.aws, settings, &seen, call)
            );
            match response {
                Ok(response) => finished(response, unnoted),
                failed => failed,
            }
        }
        // They take commands only: the decoder says what is wrong with anything else.
        (None, Settings::Restorer(_) | Settings::Driller(_) | Settings::Sweeper(_) | Settings::Investigator(_)) => {
            Err(Error::Malformed(decoded.malformed))
        }
    }
}

/// What a person asked for.
async fn answer(context: &Context, settings: &Settings, command: &Command, call: &Call) -> Result<Response, Error> {
    match (command, settings) {
        (Command::Restore(command), Settings::Restorer(settings)) => {
            let (report, failed) = restore(&context.aws, settings, command, call).await;
            finished(Response { restore: Some(report), ..Response::default() }, failed)
        }
        (Command::LiftDeclined, Settings::Restorer(settings)) => {
            finished(Response::default(), lift::lift_declined(&context.aws, settings, call).await)
        }
        (Command::Drill { kind, if_older_than_days }, Settings::Driller(settings)) => {
            let (report, failed) = drill(&context.aws, settings, *kind, *if_older_than_days, call).await;
            finished(Response { drill: Some(report), ..Response::default() }, failed)
        }
        (Command::Sweep(command), Settings::Sweeper(settings)) => {
            command.day.map_or(Ok(()), |day| sweep::check_day(settings, day))?;
            swept(sweep::sweep(&context.aws, settings, command, call).await)
        }
        (Command::SweepAccounts(run), Settings::Sweeper(settings)) => {
            sweep::check_day(settings, run.day)?;
            swept(sweep::begin(&context.aws, settings, run, call).await)
        }
        (Command::SweepRelease(command), Settings::Responder(settings)) => {
            swept(sweep::release(&context.aws, settings, command, call).await)
        }
        (Command::SweepShare(command), Settings::Responder(settings)) => {
            swept(sweep::share(&context.aws, settings, command, call).await)
        }
        (Command::SweepAct(command), Settings::Responder(settings)) => {
            let (reports, failed) = sweep::act(&context.aws, settings, command, call).await;
            finished(Response { reports, ..Response::default() }, failed)
        }
        (Command::SweepDigest(end), Settings::Sweeper(settings)) => {
            swept(sweep::end(&context.aws, settings, end, call).await)
        }
        (Command::Report(command), Settings::Investigator(settings)) => {
            // What failed is in the answer, beside the report.
            match investigate(&context.aws, settings, command, call).await {
                Ok((evidence, failed)) => {
                    finished(Response { evidence: Some(evidence), ..Response::default() }, failed)
                }
                Err(failure) => Err(Error::Incomplete(vec![failure.to_string()])),
            }
        }
        (Command::Due, Settings::Responder(settings)) => {
            let (reports, failed) = due::take_up(&context.aws, settings, call).await;
            finished(Response { reports, ..Response::default() }, failed)
        }
        (Command::DropDeferred(command), Settings::Responder(settings)) => {
            let (dropped, failed) = due::drop_deferred(&context.aws, settings, command, call).await;
            finished(Response { dropped: Some(dropped), ..Response::default() }, failed)
        }
        (Command::CloseSuspect(command), Settings::Responder(settings)) => {
            match suspects::close(&context.aws, settings, command, call).await {
                Ok(closed) => Ok(Response { closed: Some(closed), ..Response::default() }),
                Err(failure) => Err(Error::Incomplete(vec![failure.to_string()])),
            }
        }
        (Command::Digest, Settings::Responder(settings)) => {
            finished(Response::default(), tell::send_due_digests(&context.aws, settings, call).await)
        }
        (Command::Acknowledge(command), Settings::Responder(settings)) => {
            match acknowledge::acknowledge(&context.aws, settings, command, call).await {
                Ok((answer, failed)) => {
                    finished(Response { acknowledgement: Some(answer), ..Response::default() }, failed)
                }
                Err(failure) => Err(Error::Incomplete(vec![failure.to_string()])),
            }
        }
        (Command::Acknowledged(alert), Settings::Responder(settings)) => {
            finished(Response::default(), acknowledge::woken(&context.aws, settings, call, alert).await)
        }
        (Command::Decide(command), Settings::Responder(settings)) => {
            let decided = approvals::decide(&context.aws, settings, command, call).await;
            let decision = decided.decision.map_err(|it| Error::Incomplete(vec![it.to_string()]))?;
            let response = Response { decision: Some(decision), reports: decided.reports, ..Response::default() };
            finished(response, decided.failed)
        }
        (Command::Requests, Settings::Responder(settings)) => {
            match approvals::list(&context.aws, settings, call).await {
                Ok((requests, more)) => {
                    let requests_not_shown = Some(more).filter(|it| *it > 0);
                    Ok(Response { requests: Some(requests), requests_not_shown, ..Response::default() })
                }
                Err(failure) => Err(Error::Incomplete(vec![failure.to_string()])),
            }
        }
        (Command::WakeUp(request), Settings::Responder(settings)) => {
            let (reports, failed) = approvals::wake_up(&context.aws, settings, call, request).await;
            finished(Response { reports, ..Response::default() }, failed)
        }
        (Command::Status(subject), Settings::Responder(_) | Settings::Restorer(_)) => {
            match status(&context.aws, settings, subject, call).await {
                Ok(status) => Ok(Response { status: Some(status), ..Response::default() }),
                Err(failure) => Err(Error::Incomplete(vec![failure.to_string()])),
            }
        }
        (_, _) => Err(Error::Incomplete(vec!["this command is for another function".to_owned()])),
    }
}

fn swept((report, failed): (sweep::Report, Vec<String>)) -> Result<Response, Error> {
    finished(Response { sweep: Some(report), ..Response::default() }, failed)
}

fn finished(response: Response, failed: Vec<String>) -> Result<Response, Error> {
    if failed.is_empty() { Ok(response) } else { Err(Error::Incomplete(failed)) }
}

/// What arrived by way of a queue is inside the bodies of its messages; anything else is an event itself.
fn events(payload: Value) -> Vec<Value> {
    if payload.get("Records").is_none() {
        return vec![payload];
    }
    match serde_json::from_value::<SqsEvent>(payload.clone()) {
        Ok(batch) => {
            let bodies = batch.records.into_iter().map(|it| it.body.unwrap_or_default());
            bodies.map(|it| parse(&it)).collect()
        }
        Err(_) => vec![payload],
    }
}

/// What is no JSON is malformed, and says so.
pub fn parse(text: &str) -> Value {
    payload::read(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

/// What Security Hub imports goes to two functions: people are told by one of them, also of what is wrong.
fn read(event: &Value, settings: &Settings) -> Decoded {
    let mut decoded = decode(event, settings);
    let is_hygiene = matches!(settings, Settings::Responder(it) if it.is_hygiene);
    if is_hygiene && event.get("source").and_then(Value::as_str) == Some("aws.securityhub") {
        decoded.told.clear();
        decoded.malformed.clear();
    }
    decoded
}

/// A fight that outlasted the invocation before this one.
async fn go_on(context: &Context, settings: &Responder, relay: &Value, call: &Call) -> Result<Response, Error> {
    let relay = Relay::deserialize(relay).map_err(|it| {
        let (path, event) = ("continue".to_owned(), "continue".to_owned());
        Error::Malformed(vec![DecodeError { path, problem: text::line(&it.to_string(), 200), event }])
    })?;
    let (reports, failed) = in_span(context, settings, &relay, call, &Turns::new(1)).await;
    finished(Response { reports, ..Response::default() }, failed)
}

/// Responds to an event: one response for each identity, side by side.
async fn respond(context: &Context, settings: &Responder, decoded: Decoded, call: &Call) -> Result<Response, Error> {
    let mut ignored = decoded.ignored;
    let mut relays = Vec::new();
    for group in group(decoded.findings, |it| settings.mode_of(it.playbook())) {
        match left_to_another(settings, &group.lead) {
            Some(reason) => ignored.push(reason.to_owned()),
            None => {
                // Two that turn out to be one identity must not pass for one holder of its lease.
                let holder = match relays.len() {
                    0 => call.request_id.clone(),
                    number => format!("{}/{number}", call.request_id),
                };
                relays.push(Relay::new(group, holder));
            }
        }
    }
    for reason in &ignored {
        tracing::info!(outcome = "ignored", reason, "ignored: {reason}");
    }
    let ignored = ignored.into_iter().map(|reason| Ignored { reason }).collect();
    let mut response = Response { ignored, ..Response::default() };
    let mut failed = Vec::new();
    let turns = Turns::new(relays.len());
    let each = relays.iter().map(|relay| in_span(context, settings, relay, call, &turns));
    let contained = futures_util::future::join_all(each);
    let (ended, (told, untold)) = tokio::join!(contained, tell::tell(&context.aws, settings, &decoded.told, call));
    response.told = told;
    for (reports, failures) in ended {
        response.reports.extend(reports);
        failed.extend(failures);
    }
    let is_malformed_alone = response.reports.is_empty() && untold.is_empty();
    failed.extend(untold);
    if !decoded.malformed.is_empty() {
        failed.extend(decoded.malformed.iter().map(ToString::to_string));
        if is_malformed_alone {
            return Err(Error::Malformed(decoded.malformed));
        }
    }
    finished(response, failed)
}

async fn in_span(
    context: &Context,
    settings: &Responder,
    relay: &Relay,
    call: &Call,
    turns: &Turns,
) -> (Vec<Report>, Vec<String>) {
    let finding = &relay.group.lead;
    let span = tracing::info_span!(
        "finding",
        finding = text::line(&finding.id, 512),
        account = finding.account.as_str(),
        principal = finding.principal.target_key()
    );
    contain(&context.aws, settings, relay, call, turns).instrument(span).await
}
