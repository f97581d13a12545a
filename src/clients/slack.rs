//! Slack's Web API, on the connections of everything else: one request, one answer, and no retry of its own. What is
//! made of an answer is the domain's.
//!
//! INVARIANT: the bot token goes to Slack and nowhere else: the host is fixed. Only where a simulated AWS stands for
//! every service does it stand for Slack too, and the token is the one that it gave out itself. No output has it.
//! `tests/test_slack.py` holds it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use domain::outcome::Failure;
use domain::settings::Secret;
use domain::slack::{Accepted, Message, Place, Refused, Trouble, read};

use crate::connections::Connections;
use crate::parameters::{EMPTY, Parameters};

const BASE: &str = "https://slack.com/api/";
/// Beside a simulated AWS.
const SIMULATED: &str = "/_slack/api/";

/// Slack answers within a second or is in trouble.
const PATIENCE: Duration = Duration::from_secs(4);
/// How long nothing is sent after Slack hung or was not there, where it does not say how long.
const REST: Duration = Duration::from_secs(30);
/// An answer has a few hundred bytes, and the message again.
const LONGEST_ANSWER: usize = 1 << 20;

/// What lives as long as the process: until when Slack is not to be asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    resting_until: Option<SystemTime>,
}

pub struct Slack {
    connections: Connections,
    parameters: Parameters,
    /// The name of the parameter with the token.
    parameter: String,
    base: String,
    kept: Kept,
}

impl Slack {
    pub(crate) fn new(
        connections: &Connections,
        parameters: Parameters,
        parameter: &str,
        endpoint_url: Option<&str>,
        kept: &Kept,
    ) -> Self {
        let base = endpoint_url.map(|it| format!("{}{SIMULATED}", it.trim_end_matches('/')));
        Self {
            connections: connections.clone(),
            parameters,
            parameter: parameter.to_owned(),
            base: base.unwrap_or_else(|| BASE.to_owned()),
            kept: kept.clone(),
        }
    }

    /// Sends a message. A token that Slack refuses is read anew once, and the message sent with the new one.
    pub async fn send(&self, channel: &str, place: Place<'_>, message: &Message) -> Result<Accepted, Refused> {
        let body = message.body(channel, place).to_string();
        let token = self.parameters.get(&self.parameter).await.map_err(|it| unread(&it))?;
        let sent = self.post(place.method(), &body, &token).await;
        let sent = match sent {
            Err(it) if it.trouble == Trouble::Secret => {
                match self.parameters.anew(&self.parameter).await.map_err(|it| unread(&it))? {
                    Some(anew) if anew != token => self.post(place.method(), &body, &anew).await,
                    _ => Err(it),
                }
            }
            sent => sent,
        };
        if let Err(Refused { trouble: Trouble::Later { after }, .. }) = &sent {
            self.rest(after.map_or(REST, Duration::from_secs));
        }
        sent
    }

    async fn post(&self, method: &str, body: &str, token: &Secret) -> Result<Accepted, Refused> {
        let later = |code: &str| refused(code, Trouble::Later { after: None });
        let mut request = HttpRequest::new(SdkBody::from(body));
        let is_built = request.set_method("POST").is_ok() && request.set_uri(format!("{}{method}", self.base)).is_ok();
        let headers = request.headers_mut();
        let is_built = is_built
            && headers.try_insert("authorization", format!("Bearer {}", token.expose())).is_ok()
            && headers.try_insert("content-type", "application/json; charset=utf-8").is_ok();
        if !is_built {
            return Err(refused("the token is not one that a header takes", Trouble::Secret));
        }
        let connector = self.connections.current();
        let answer = async {
            let response = connector.call(request).await.map_err(|_| later("the connection to Slack failed"))?;
            let status = response.status().as_u16();
            let retry_after = response.headers().get("retry-after").map(str::to_owned);
            let mut stream = ByteStream::new(response.into_body());
            let mut bytes = Vec::new();
            while let Some(chunk) = stream.next().await {
                bytes.extend_from_slice(&chunk.map_err(|_| later("Slack's answer broke off"))?);
                if bytes.len() > LONGEST_ANSWER {
                    return Err(later("Slack's answer has no end"));
                }
            }
            read(status, retry_after.as_deref(), &bytes)
        };
        tokio::time::timeout(PATIENCE, answer).await.unwrap_or_else(|_| Err(later("Slack did not answer in time")))
    }

    fn rest(&self, pause: Duration) {
        self.state(|it| it.resting_until = Some(SystemTime::now() + pause));
    }

    /// Whether Slack was in trouble a moment ago: a response does not wait for it again.
    pub fn is_resting(&self) -> bool {
        self.state(|it| it.resting_until).is_some_and(|it| SystemTime::now() < it)
    }

    fn state<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        change(&mut self.kept.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// What can't be mended by waiting is the configuration's.
fn unread(failure: &Failure) -> Refused {
    let trouble = if failure.retryable && failure.code != "ParameterNotFound" {
        Trouble::Later { after: None }
    } else {
        Trouble::Secret
    };
    match failure.code.as_str() {
        EMPTY => refused("the parameter of the token is empty", trouble),
        code => refused(&format!("reading the token: {code}"), trouble),
    }
}

fn refused(code: &str, trouble: Trouble) -> Refused {
    Refused { code: code.to_owned(), trouble }
}

#[cfg(test)]
mod tests {
    use crate::accounts::{Aws, Home};
    use crate::round_trips::CallLog;

    async fn base(endpoint_url: Option<&str>) -> String {
        let home = Home::new(&Aws::load(Some("http://127.0.0.1:1")).await, &CallLog::default());
        home.slack("/a/token", endpoint_url).base
    }

    /// The token is a parameter of the AWS that it is read from: where that is simulated, so is the token.
    #[tokio::test]
    async fn the_token_goes_to_slack_or_to_where_it_came_from() {
        assert_eq!(base(None).await, "https://slack.com/api/");
        assert_eq!(base(Some("http://127.0.0.1:5001/")).await, "http://127.0.0.1:5001/_slack/api/");
    }
}
