//! The report form: pages, the counters of its lock-out, and a report that the responder reads.

use std::time::{Duration, SystemTime};

use aws_lambda_events::lambda_function_urls::LambdaFunctionUrlRequest;
use domain::approval::reported::Reported;
use domain::approval::request::request_id;
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
    settings: &'a settings::Form,
    held: &'a Held,
    /// When the request came.
    began: SystemTime,
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

/// A password that is wrong may be the new one; one that is right may have been replaced.
async fn tried(desk: &Desk, settings: &settings::Form, event: LambdaFunctionUrlRequest, request_id: &str) -> Response {
    let began = SystemTime::now();
    let held = match Held::read(desk, settings).await {
        Ok(it) => it,
        Err(response) => return response,
    };
    let first = match once(desk, settings, &held, began, event.clone(), request_id).await {
        Ok(it) => it,
        Err(Replaced) => return again(desk, settings, event, request_id).await,
    };
    if first.status != 401 || !event.headers.contains_key("authorization") {
        return first;
    }
    match desk.parameters.anew(&settings.secret_parameter).await {
        Ok(Some(anew)) if anew != held.secret => again(desk, settings, event, request_id).await,
        _ => first,
    }
}

/// With what the parameters are now.
async fn again(desk: &Desk, settings: &settings::Form, event: LambdaFunctionUrlRequest, request_id: &str) -> Response {
    let began = SystemTime::now();
    let held = match Held::read(desk, settings).await {
        Ok(it) => it,
        Err(response) => return response,
    };
    once(desk, settings, &held, began, event, request_id).await.unwrap_or_else(|Replaced| {
        tracing::warn!("the form's parameters change faster than a request is answered");
        unavailable()
    })
}

/// The parameters' values, which may have been replaced since.
struct Held {
    secret: Secret,
    key: Secret,
}

/// What would let somebody in was replaced.
struct Replaced;

impl Held {
    async fn read(desk: &Desk, settings: &settings::Form) -> Result<Self, Response> {
        let get = |parameter| async move {
            let got: Result<Secret, Failure> = desk.parameters.get(parameter).await;
            got.map_err(|it| unreadable(parameter, &it.to_string()))
        };
        let (secret, key) = tokio::join!(get(&settings.secret_parameter), get(&settings.key_parameter));
        Ok(Self { secret: secret?, key: key? })
    }

    /// Read anew by the request, unless it has read them itself.
    async fn is_current(&self, round: &Round<'_>) -> Result<bool, Failure> {
        let (parameters, settings) = (&round.desk.parameters, round.settings);
        let (secret, key) = tokio::join!(
            parameters.is_current(&settings.secret_parameter, &self.secret, round.began),
            parameters.is_current(&settings.key_parameter, &self.key, round.began)
        );
        Ok(secret? && key?)
    }
}

async fn once(
    desk: &Desk,
    settings: &settings::Form,
    held: &Held,
    began: SystemTime,
    event: LambdaFunctionUrlRequest,
    request_id: &str,
) -> Result<Response, Replaced> {
    let key = match Key::new(&held.key) {
        Ok(it) => it,
        Err(unfit) => return Ok(unreadable(&settings.key_parameter, &unfit.to_string())),
    };
    let credential = match Credential::new(&settings.user, &held.secret) {
        Ok(it) => it,
        Err(unfit) => return Ok(unreadable(&settings.secret_parameter, &unfit.to_string())),
    };
    let account = |(id, name): &(_, String)| Account { id: Clone::clone(id), name: name.clone() };
    let accounts = settings.accounts.iter().map(account).collect();
    let form = Form { credential, key, accounts, origin: settings.origin.clone() };
    Round { desk, settings, held, began, form, request_id }.answer(event).await
}

fn unreadable(parameter: &str, why: &str) -> Response {
    tracing::error!(parameter, "the form's parameter can't be used: {why}");
    unavailable()
}

impl Round<'_> {
    async fn answer(&self, event: LambdaFunctionUrlRequest) -> Result<Response, Replaced> {
        let visit = match self.form.receive(event, now()) {
            Received::Answer(response) => return Ok(response),
            Received::State(link) => return self.where_current(self.state(&link)).await,
            Received::Visit(visit) => visit,
            Received::Check(attempt) => match self.check(attempt).await {
                Ok(Checked::Visit(visit)) => visit,
                Ok(Checked::Answer(response)) => {
                    tracing::warn!(outcome = "refused", status = response.status, "somebody was not let into the form");
                    return Ok(response);
                }
                Err(failure) => {
                    tracing::error!("a try could not be counted: {failure}");
                    return Ok(unavailable());
                }
            },
        };
        self.where_current(self.serve(&visit)).await
    }

    /// Only where what lets somebody in is what the parameters have now.
    async fn where_current(&self, answered: impl Future<Output = Response>) -> Result<Response, Replaced> {
        match self.held.is_current(self).await {
            Ok(true) => Ok(answered.await),
            Ok(false) => Err(Replaced),
            Err(failure) => {
                tracing::error!("the form's parameters can't be read: {failure}");
                Ok(unavailable())
            }
        }
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

    /// Tried again by Lambda, it is the same report.
    async fn keep(&self, submission: &Submission, nonce: &Nonce) -> Response {
        let Some(id) = request_id(&[&hex::encode(nonce), self.request_id]) else { return unavailable() };
        let reported = reported(&submission.report);
        match self.desk.ledger.put_report(&id, &reported).await {
            Ok(()) => {
                tracing::warn!(request = id.as_str(), network = reported.network, "somebody reported");
                self.desk.wake_responder(&id, FOR_THE_EVENT).await;
                self.form.created(&id, now())
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
