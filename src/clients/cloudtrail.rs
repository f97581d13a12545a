//! CloudTrail's event history of one region: looked up by one attribute at a time, at the pace that AWS allows.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html>

use std::time::Duration;

use aws_sdk_cloudtrail::Client;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use aws_smithy_types::DateTime;
use domain::evidence::trail::Event;
use domain::outcome::Failure;
use tokio::time::Instant;

use crate::errors::{failure, incomplete};

/// What looking up needs.
pub const PERMISSION: &str = "cloudtrail:LookupEvents";

/// Two calls a second in each account and region, shared with everybody there.
const PACE: Duration = Duration::from_millis(510);
/// Somebody else uses the two calls.
const THROTTLED: Duration = Duration::from_secs(1);

/// The one attribute of a look-up.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum By {
    /// A user's name; a session's name for a role's session.
    Username(String),
    AccessKey(String),
    /// A name or ARN that an event is about: for a role's ARN, who assumed it.
    Resource(String),
    /// Everything that somebody changed: no number of reads hides it.
    Writes,
    /// All that was asked of one service.
    Source(String),
    /// One operation.
    Name(&'static str),
}

impl By {
    fn attribute(&self) -> Result<LookupAttribute, Failure> {
        let (key, value) = match self {
            Self::Username(it) => (LookupAttributeKey::Username, it.as_str()),
            Self::AccessKey(it) => (LookupAttributeKey::AccessKeyId, it.as_str()),
            Self::Resource(it) => (LookupAttributeKey::ResourceName, it.as_str()),
            Self::Writes => (LookupAttributeKey::ReadOnly, "false"),
            Self::Source(it) => (LookupAttributeKey::EventSource, it.as_str()),
            Self::Name(it) => (LookupAttributeKey::EventName, *it),
        };
        let attribute = LookupAttribute::builder().attribute_key(key).attribute_value(value).build();
        attribute.map_err(|_| incomplete("the look-up could not be made"))
    }
}

impl std::fmt::Display for By {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Username(it) => write!(f, "Username={it}"),
            Self::AccessKey(it) => write!(f, "AccessKeyId={it}"),
            Self::Resource(it) => write!(f, "ResourceName={it}"),
            Self::Writes => f.write_str("ReadOnly=false"),
            Self::Source(it) => write!(f, "EventSource={it}"),
            Self::Name(it) => write!(f, "EventName={it}"),
        }
    }
}

/// The history of one account in one region.
#[derive(Debug)]
pub struct Trail {
    client: Client,
    pub region: String,
    /// When the next call may go out.
    next: Instant,
}

/// The period, and until when is looked.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub from: DateTime,
    pub to: DateTime,
    pub until: Instant,
    /// The share of one look-up: after that it stops at the next page, for others to be looked up too.
    pub share: Instant,
}

/// What one look-up found, the newest first.
#[derive(Debug, Default)]
pub struct Page {
    pub events: Vec<Event>,
    pub pages: usize,
    /// Why there may be more.
    pub missing: Option<String>,
    /// Its share was used up: it can go on, by `token` where it had begun.
    pub is_stopped: bool,
    pub token: Option<String>,
}

impl Page {
    fn stop(&mut self, token: Option<String>) {
        (self.is_stopped, self.token, self.missing) = (true, token, Some(OUT_OF_TIME.to_owned()));
    }
}

/// Why something was not looked up, or not to its end.
pub const OUT_OF_TIME: &str = "the time ran out";

/// More events than that of one look-up are not kept: the function's memory is bounded.
pub const MOST_EVENTS: usize = 5_000;

impl Trail {
    pub(crate) fn new(client: Client, region: &str) -> Self {
        Self { client, region: region.to_owned(), next: Instant::now() }
    }

    /// One event by its ID. `None`: the history of this region has none, or none that can be read.
    pub async fn find(&mut self, id: &str, until: Instant) -> Result<Option<Event>, Failure> {
        let attribute = LookupAttribute::builder().attribute_key(LookupAttributeKey::EventId).attribute_value(id);
        let attribute = attribute.build().map_err(|_| incomplete("the look-up could not be made"))?;
        loop {
            tokio::time::sleep_until(self.next).await;
            self.next = Instant::now() + PACE;
            let request = self.client.lookup_events().lookup_attributes(attribute.clone());
            match request.send().await {
                Ok(page) => {
                    let mut events = page.events.unwrap_or_default().into_iter();
                    return Ok(events.find_map(|it| Event::parse(it.cloud_trail_event()?)).filter(|it| it.id == id));
                }
                Err(error) => {
                    let failure = failure(&error);
                    self.next = Instant::now() + THROTTLED;
                    if !failure.is_throttled() || self.next >= until {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// Every event by that attribute in the period, page after page, as far as the time goes. `token`: where it goes on.
    pub async fn look_up(&mut self, by: &By, mut token: Option<String>, span: Span) -> Page {
        let mut found = Page::default();
        let mut unreadable = 0;
        let attribute = match by.attribute() {
            Ok(it) => it,
            Err(failure) => return Page { missing: Some(failure.to_string()), ..found },
        };
        loop {
            if self.next.max(Instant::now()) >= span.until {
                found.missing = Some(OUT_OF_TIME.to_owned());
                break;
            }
            tokio::time::sleep_until(self.next).await;
            self.next = Instant::now() + PACE;
            let request = self
                .client
                .lookup_events()
                .lookup_attributes(attribute.clone())
                .start_time(span.from)
                .end_time(span.to)
                .max_results(50)
                .set_next_token(token.clone());
            let page = match tokio::time::timeout_at(span.until, request.send()).await {
                Err(_) => {
                    found.missing = Some(OUT_OF_TIME.to_owned());
                    break;
                }
                Ok(Err(error)) => {
                    let failure = failure(&error);
                    if failure.is_throttled() {
                        self.next = Instant::now() + THROTTLED;
                        if Instant::now() < span.share {
                            continue;
                        }
                        found.stop(token);
                        break;
                    }
                    found.missing = Some(failure.to_string());
                    break;
                }
                Ok(Ok(page)) => page,
            };
            found.pages += 1;
            for event in page.events.unwrap_or_default() {
                match event.cloud_trail_event().and_then(Event::parse) {
                    Some(event) => found.events.push(event),
                    None => unreadable += 1,
                }
            }
            token = page.next_token;
            if token.is_none() {
                break;
            }
            if found.events.len() >= MOST_EVENTS {
                found.missing = Some(format!("more than {MOST_EVENTS} events: the newest are here"));
                break;
            }
            if Instant::now() >= span.share {
                found.stop(token);
                break;
            }
        }
        if unreadable > 0 && found.missing.is_none() {
            found.missing = Some(format!("{unreadable} events could not be read"));
        }
        found
    }
}
