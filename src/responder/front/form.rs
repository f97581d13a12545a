//! The report form: pages, the counters of its lock-out, and a report as a request that the responder looks at.

use std::time::Duration;

use aws_lambda_events::lambda_function_urls::LambdaFunctionUrlRequest;
use domain::approval::request::{Reported, request_id};
use domain::outcome::Failure;
use domain::settings::{self, Secret};
use front::Key;
use front::form::lockout::{Counters, LIMIT, Tries};
use front::form::{
    Account, Attempt, Checked, Credential, Form, Link, Nonce, Received, Report, Served, State, Submission, Target,
    Visit, unavailable,
};
use front::http::Response;

use super::{Desk, now};

/// What a person waits for before they try again.
const WITHIN: Duration = Duration::from_secs(8);
/// For waking the responder, which nothing depends on.
const FOR_THE_EVENT: Duration = Duration::from_secs(2);

/// What one request works with.
struct Round<'a> {
    desk: &'a Desk,
    form: Form,
    /// Of the invocation.
    request_id: &'a str,
}

pub(super) async fn answer(
    desk: &Desk,
    settings: &settings::Form,
    event: LambdaFunctionUrlRequest,
    request_id: &str,
) -> Response {
    let answered = tokio::time::timeout(WITHIN, tried(desk, settings, event, request_id)).await;
    answered.unwrap_or_else(|_| {
        tracing::error!("a request to the form was not answered in time");
        unavailable()
    })
}

/// A password that is wrong may be the new one.
async fn tried(desk: &Desk, settings: &settings::Form, event: LambdaFunctionUrlRequest, request_id: &str) -> Response {
    let secret = match desk.parameters.get(&settings.secret_parameter).await {
        Ok(it) => it,
        Err(failure) => return unreadable(&settings.secret_parameter, &failure.to_string()),
    };
    let first = once(desk, settings, &secret, event.clone(), request_id).await;
    if first.status != 401 || !event.headers.contains_key("authorization") {
        return first;
    }
    match desk.parameters.anew(&settings.secret_parameter).await {
        Ok(Some(anew)) if anew != secret => once(desk, settings, &anew, event, request_id).await,
        _ => first,
    }
}

async fn once(
    desk: &Desk,
    settings: &settings::Form,
    secret: &Secret,
    event: LambdaFunctionUrlRequest,
    request_id: &str,
) -> Response {
    let key = match desk.parameters.get(&settings.key_parameter).await.map(|it| Key::new(&it)) {
        Ok(Ok(it)) => it,
        Ok(Err(unfit)) => return unreadable(&settings.key_parameter, &unfit.to_string()),
        Err(failure) => return unreadable(&settings.key_parameter, &failure.to_string()),
    };
    let credential = match Credential::new(&settings.user, secret) {
        Ok(it) => it,
        Err(unfit) => return unreadable(&settings.secret_parameter, &unfit.to_string()),
    };
    let account = |(id, name): &(_, String)| Account { id: Clone::clone(id), name: name.clone() };
    let accounts = settings.accounts.iter().map(account).collect();
    let form = Form { credential, key, accounts, origin: settings.origin.clone() };
    Round { desk, form, request_id }.answer(event).await
}

fn unreadable(parameter: &str, why: &str) -> Response {
    tracing::error!(parameter, "the form's parameter can't be used: {why}");
    unavailable()
}

impl Round<'_> {
    async fn answer(&self, event: LambdaFunctionUrlRequest) -> Response {
        let visit = match self.form.receive(event, now()) {
            Received::Answer(response) => return response,
            Received::State(link) => return self.state(&link).await,
            Received::Visit(visit) => visit,
            Received::Check(attempt) => match self.check(attempt).await {
                Ok(Checked::Visit(visit)) => visit,
                Ok(Checked::Answer(response)) => {
                    tracing::warn!(outcome = "refused", status = response.status, "somebody was not let into the form");
                    return response;
                }
                Err(failure) => {
                    tracing::error!("a try could not be counted: {failure}");
                    return unavailable();
                }
            },
        };
        self.serve(&visit).await
    }

    /// Counted before the password is looked at.
    async fn check(&self, attempt: Attempt) -> Result<Checked, Failure> {
        let counters = attempt.counters().clone();
        let tries = self.count(&counters, 1).await?;
        let checked = self.form.check(attempt, tries, now());
        if let Checked::Visit(_) = checked {
            self.count(&counters, -1).await?;
        }
        Ok(checked)
    }

    async fn count(&self, counters: &Counters, by: i64) -> Result<Tries, Failure> {
        let own = self.desk.ledger.count_try(&counters.own, by, counters.expires).await?;
        let all = match own > LIMIT {
            true => 0,
            false => self.desk.ledger.count_try(&counters.all, by, counters.expires).await?,
        };
        Ok(Tries { own, all })
    }

    async fn serve(&self, visit: &Visit) -> Response {
        let Some(nonce) = nonce() else { return unavailable() };
        match self.form.serve(visit, &nonce, now()) {
            Served::Answer(response) => response,
            Served::Create(submission) => self.keep(&submission, &nonce).await,
        }
    }

    /// Tried again with the same page, it is the same report: the open one about the same is joined.
    async fn keep(&self, submission: &Submission, nonce: &Nonce) -> Response {
        let Some(id) = request_id(&[&hex::encode(nonce), self.request_id]) else { return unavailable() };
        let reported = reported(&submission.report);
        match self.desk.ledger.report(&id, &reported).await {
            Ok(kept) => {
                let (request, is_joined) = (kept.request.as_str(), kept.is_joined);
                tracing::warn!(request, is_joined, network = reported.network, "somebody reported");
                self.desk.wake_responder(&kept.request, FOR_THE_EVENT).await;
                self.form.created(&kept.request, now())
            }
            Err(failure) => {
                tracing::error!("a report could not be kept: {failure}");
                self.form.unavailable(submission, nonce, now())
            }
        }
    }

    /// Of the request that it is a part of, where it is one.
    async fn state(&self, link: &Link) -> Response {
        let found = match self.desk.ledger.standing(&link.request).await {
            Ok(Some(it)) => match &it.joined {
                Some(other) => self.desk.ledger.standing(other).await,
                None => Ok(Some(it)),
            },
            other => other,
        };
        match found {
            Ok(standing) => self.form.state(link, standing.map(|it| State::of(&it, now())).as_ref()),
            Err(failure) => {
                tracing::error!(request = link.request.as_str(), "a request could not be read: {failure}");
                unavailable()
            }
        }
    }
}

fn reported(it: &Report) -> Reported {
    let (user, role, access_key) = match &it.target {
        Target::User { name, access_key } => (name.clone(), None, access_key.clone()),
        Target::Role { name } => (None, Some(name.clone()), None),
    };
    let (text, by, network) = (it.text.clone(), it.by.clone(), it.network.as_str().to_owned());
    let at = crate::invocation::now_millis();
    Reported { account: it.account.clone(), user, role, access_key, text, by, network, at }
}

/// `None`, where the system has nothing random: no page is worth much then.
fn nonce() -> Option<Nonce> {
    let mut nonce = Nonce::default();
    match getrandom::fill(&mut nonce) {
        Ok(()) => Some(nonce),
        Err(error) => {
            tracing::error!("nothing random is to be had: {error}");
            None
        }
    }
}
