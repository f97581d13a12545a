//! One payload, down to what it asks for and back up as one response.

use std::collections::BTreeMap;

use domain::command::Command;
use domain::containment::report::Report;
use domain::finding::Finding;
use domain::settings::{Responder, Settings};
use domain::sources::{Decoded, decode};
use domain::text;
use serde::Serialize;
use serde_json::Value;
use tracing::Instrument;

use crate::contain::contain;
use crate::drill::{self, drill};
use crate::due;
use crate::invocation::{Call, Context, Error};
use crate::restore::restore;
use crate::status::status;
use crate::suspects;
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
    /// How many findings the command `drop-deferred` dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<usize>,
    /// Only in the answer to the command `close-suspect`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub closed: Option<Value>,
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
    let decoded = decode(&payload, settings);
    match (&decoded.command, settings) {
        (Some(command), _) => answer(context, settings, command, call).await,
        (None, Settings::Responder(settings)) => respond(context, settings, decoded, call).await,
        // They take commands only: the decoder says what is wrong with anything else.
        (None, Settings::Restorer(_) | Settings::Driller(_)) => Err(Error::Malformed(decoded.malformed)),
    }
}

/// What a person asked for.
async fn answer(context: &Context, settings: &Settings, command: &Command, call: &Call) -> Result<Response, Error> {
    match (command, settings) {
        (Command::Restore(command), Settings::Restorer(settings)) => {
            let (report, failed) = restore(&context.aws, settings, command, call).await;
            finished(Response { restore: Some(report), ..Response::default() }, failed)
        }
        (Command::Drill { if_older_than_days }, Settings::Driller(settings)) => {
            let (report, failed) = drill(&context.aws, settings, *if_older_than_days, call).await;
            finished(Response { drill: Some(report), ..Response::default() }, failed)
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
        (Command::Status(subject), Settings::Responder(_) | Settings::Restorer(_)) => {
            match status(&context.aws, settings, subject, call).await {
                Ok(status) => Ok(Response { status: Some(status), ..Response::default() }),
                Err(failure) => Err(Error::Incomplete(vec![failure.to_string()])),
            }
        }
        (_, _) => Err(Error::Incomplete(vec!["this command is for another function".to_owned()])),
    }
}

fn finished(response: Response, failed: Vec<String>) -> Result<Response, Error> {
    if failed.is_empty() { Ok(response) } else { Err(Error::Incomplete(failed)) }
}

/// Responds to an event: findings about one identity go one after the other, identities side by side.
async fn respond(context: &Context, settings: &Responder, decoded: Decoded, call: &Call) -> Result<Response, Error> {
    for reason in &decoded.ignored {
        tracing::info!(outcome = "ignored", reason, "ignored: {reason}");
    }
    let mut response = Response {
        reports: Vec::new(),
        ignored: decoded.ignored.into_iter().map(|reason| Ignored { reason }).collect(),
        ..Response::default()
    };
    let mut failed = Vec::new();
    let mut by_identity: BTreeMap<String, Vec<Finding>> = BTreeMap::new();
    for finding in decoded.findings {
        let key = format!("{}/{}", finding.account, finding.principal.target_key());
        by_identity.entry(key).or_default().push(finding);
    }
    let one_identity = |findings: Vec<Finding>| async move {
        let mut ended = Vec::new();
        for finding in findings {
            let span = tracing::info_span!(
                "finding",
                finding = text::line(&finding.id, 512),
                account = finding.account.as_str(),
                principal = finding.principal.target_key()
            );
            ended.push(contain(&context.aws, settings, &finding, call).instrument(span).await);
        }
        ended
    };
    let contained = futures_util::future::join_all(by_identity.into_values().map(one_identity));
    let (ended, (told, untold)) = tokio::join!(contained, tell::tell(&context.aws, settings, &decoded.told, call));
    response.told = told;
    for (report, failures) in ended.into_iter().flatten() {
        response.reports.push(report);
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
