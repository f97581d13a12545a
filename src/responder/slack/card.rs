//! Requests in Slack: a message of each, and one list of those that are not asked singly, changed in place.
//!
//! INVARIANT: a card is rendered from the request's own item when it is sent, and never from what waits for Slack:
//! who can write there makes no button. `tests/test_slack_requests.py` holds it.

use aws_smithy_types::DateTime;
use clients::ledger::KeptAlert;
use clients::ledger::slack::{CardOf, NO_NEWS, News, Waiting};
use domain::approval::card::Card;
use domain::approval::offer::Offer;
use domain::approval::request::{Asked, Request, Ruling, State};
use domain::approval::words;
use domain::containment::playbooks;
use domain::ids::{AccountId, RequestId, UniqueId};
use domain::outcome::{Failure, Outcome};
use domain::slack::{self, Accepted, Decided, Message, Offered, Standing};
use futures_util::StreamExt;
use futures_util::stream;

use super::Poster;
use crate::invocation::now_millis;

/// Where the list waits for Slack.
pub(crate) const LIST: &str = "requests";
/// How many open requests are read for it, and side by side.
const MOST: usize = 500;
const PARALLEL: usize = 8;

/// A message as it is to be sent.
pub(super) struct Ready {
    pub(super) message: Message,
    /// Changed in place, where it is there.
    pub(super) instead_of: Option<Card>,
    pub(super) is_apart: bool,
    /// The mark of what it shows.
    shown: String,
    is_empty_list: bool,
}

/// Whom what waits there is for, where it is for one person whom a tag names.
pub(super) fn person_of(queue: &str) -> Option<&str> {
    queue.strip_prefix("person#")
}

impl Poster<'_> {
    /// Whether people are asked where the alerts go.
    pub(crate) fn asks_here(&self) -> bool {
        self.approvers == self.channel
    }

    /// In the thread of whom it is about, where that is the same channel.
    fn queue(&self, id: &RequestId, account: &AccountId, target: &UniqueId) -> String {
        if self.asks_here() { slack::thread_of_id(account, target) } else { format!("request#{id}") }
    }

    pub(super) fn channel_of<'b>(&'b self, queue: &'b str) -> &'b str {
        if let Some(person) = person_of(queue) {
            return person;
        }
        if queue == LIST || queue.starts_with("request#") { self.approvers } else { self.channel }
    }

    /// Shows a request as it is: posts its card, or changes it.
    pub(crate) async fn show(&self, id: &RequestId, account: &AccountId, target: &UniqueId) -> Outcome {
        self.keep(&self.queue(id, account, target), self.card(id), NO_NEWS).await
    }

    /// Shows an offer under its alert, in the thread of whom that is about.
    pub(crate) async fn show_offer(&self, thread: &str, id: &RequestId) -> Outcome {
        self.keep(thread, self.card(id), NO_NEWS).await
    }

    /// To be sent by whoever comes next.
    pub(crate) async fn keep_offer(&self, thread: &str, id: &RequestId) -> Result<(), Failure> {
        self.ledger.keep_for_slack(thread, &self.card(id), NO_NEWS).await.map(|_| ())
    }

    /// Posts a critical alert with its button, as any other alert is posted.
    pub(crate) async fn post_watched(
        &self,
        thread: &str,
        id: &RequestId,
        alert: slack::Alert,
        news: News<'_>,
    ) -> Outcome {
        self.keep(thread, Waiting { card: Some(CardOf::Watched(id.clone())), ..self.waiting(alert) }, news).await
    }

    /// Shows a critical alert as it stands: posts its button, or changes it.
    pub(crate) async fn show_watched(&self, thread: &str, id: &RequestId) -> Outcome {
        let alert = slack::Alert::new("A critical alert is to be acknowledged, or was", "", "Look at the alerts");
        self.post_watched(thread, id, alert, NO_NEWS).await
    }

    pub(crate) async fn show_list(&self) -> Outcome {
        self.keep(LIST, self.list(), NO_NEWS).await
    }

    /// To be sent by whoever comes next.
    pub(crate) async fn keep_card(&self, id: &RequestId, asked: &Asked) -> Result<(), Failure> {
        let (queue, waiting) = if asked.is_beyond {
            (LIST.to_owned(), self.list())
        } else {
            (self.queue(id, &asked.finding.account, &asked.target.id), self.card(id))
        };
        self.ledger.keep_for_slack(&queue, &waiting, NO_NEWS).await.map(|_| ())
    }

    /// Its text is shown only by a version that knows no cards.
    fn card(&self, id: &RequestId) -> Waiting {
        let words = format!("Request {id} waits, or was decided");
        let alert = slack::Alert::new(&words, "", "The command `requests` lists what waits");
        Waiting { card: Some(CardOf::Request(id.clone())), ..self.waiting(alert) }
    }

    fn list(&self) -> Waiting {
        let alert = slack::Alert::new("Requests wait for approval", "", "The command `requests` lists them");
        Waiting { card: Some(CardOf::List), is_apart: true, ..self.waiting(alert) }
    }

    /// What is to be sent. `None`: Slack shows it already, or there is nothing to show.
    pub(super) async fn ready(&self, it: &Waiting) -> Result<Option<Ready>, Failure> {
        let mut stands_in = self.approvers;
        let (message, card, is_empty_list) = match &it.card {
            None => (slack::alert(&it.alert), None, false),
            Some(CardOf::Request(id)) => {
                let Some(request) = self.ledger.request(id).await? else { return Ok(None) };
                if request.offer.is_some() {
                    stands_in = self.channel;
                }
                let Some(message) = rendered(&request) else { return Ok(None) };
                (message, request.card, false)
            }
            Some(CardOf::Watched(id)) => {
                stands_in = self.channel;
                match self.ledger.watched(id).await? {
                    Some(kept) => (watched(id, &kept), kept.card, false),
                    None => (slack::alert(&it.alert), None, false),
                }
            }
            Some(CardOf::List) => {
                let requests = self.not_asked_singly().await?;
                (list(&requests), self.ledger.list_card().await?, requests.is_empty())
            }
        };
        let shown = message.mark();
        let instead_of = card.filter(|it| it.posted_to == stands_in);
        let is_nothing = is_empty_list && instead_of.is_none();
        if is_nothing || instead_of.as_ref().is_some_and(|it| it.shown == shown) {
            return Ok(None);
        }
        Ok(Some(Ready { message, instead_of, is_apart: it.is_apart, shown, is_empty_list }))
    }

    /// Before it is taken off what waits: of a crash in between comes no second one.
    pub(super) async fn note_shown(
        &self,
        it: &Waiting,
        channel: &str,
        ready: &Ready,
        accepted: &Accepted,
    ) -> Result<(), Failure> {
        let before = ready.instead_of.as_ref().map(|it| it.channel.as_str());
        let card = Card {
            posted_to: channel.to_owned(),
            channel: accepted.channel.as_deref().or(before).unwrap_or(channel).to_owned(),
            ts: accepted.ts.clone(),
            shown: ready.shown.clone(),
        };
        match &it.card {
            None => Ok(()),
            Some(CardOf::Request(id)) => self.ledger.note_card(id, &card).await,
            Some(CardOf::Watched(id)) => self.ledger.note_watched_card(id, &card).await,
            Some(CardOf::List) if ready.is_empty_list => self.ledger.forget_list_card().await,
            Some(CardOf::List) => self.ledger.note_list_card(&card).await,
        }
    }

    /// Those that wait and are told in a list, the gravest first.
    async fn not_asked_singly(&self) -> Result<Vec<Request>, Failure> {
        let read = |(id, _): (RequestId, i64)| async move { self.ledger.request(&id).await };
        let open = self.ledger.requests_open(MOST).await?;
        let read: Vec<_> = stream::iter(open.requests).map(read).buffer_unordered(PARALLEL).collect().await;
        let now = now_millis();
        let is_listed =
            |it: &Request| it.asked.as_ref().is_some_and(|it| it.is_beyond) && it.state(now) == State::Waiting;
        let mut requests: Vec<_> = read.into_iter().collect::<Result<Vec<_>, _>>()?.into_iter().flatten().collect();
        requests.retain(is_listed);
        words::in_order(&mut requests);
        Ok(requests)
    }
}

/// Whether Slack shows it as it is; also where there is nothing to show. The list is looked at each time.
pub(crate) fn is_shown(request: &Request) -> bool {
    let is_beyond = request.asked.as_ref().is_some_and(|it| it.is_beyond);
    let mark = rendered(request).map(|it| it.mark());
    !is_beyond && mark == request.card.as_ref().map(|it| it.shown.clone())
}

fn time(millis: i64) -> String {
    DateTime::from_millis(millis).to_string()
}

fn who(asked: &Asked) -> String {
    let target = &asked.target;
    format!("{} {} ({}) in account {}", target.kind.word(), target.name, target.id, asked.finding.account)
}

fn title(asked: &Asked) -> &'static str {
    playbooks::select(asked.threat()).map_or(asked.threat().playbook(), |it| it.title)
}

/// `None`: it asks nothing by itself, or is not what was asked.
fn rendered(request: &Request) -> Option<Message> {
    if let Some(it) = &request.offer {
        return offered(request, it);
    }
    let asked = request.asked.as_ref().filter(|_| request.joined.is_none())?;
    let state = request.state(now_millis());
    // What is not what was asked would not be carried out.
    if matches!(state, State::Reported | State::Offered) || (state == State::Waiting && !asked.is_whole()) {
        return None;
    }
    let ruling = request.ruling.as_ref();
    let by = match ruling {
        Some(Ruling { by, .. }) if request.votes.is_empty() => by.clone(),
        Some(Ruling { by, decision, .. }) if decision.word() == "decline" => by.clone(),
        _ => request.votes.join("; "),
    };
    let at = time(ruling.map_or(asked.expires_at, |it| it.at));
    let verdict = request.verdict.clone().unwrap_or_default();
    let outcome = match request.reason.as_deref() {
        Some(reason) if !reason.is_empty() => format!("{verdict}: {reason}"),
        _ => verdict,
    };
    let decided = match state {
        State::Reported | State::Offered | State::Waiting => {
            Decided::Waiting { approvals: request.votes.len(), needed: usize::try_from(asked.needed).unwrap_or(1) }
        }
        State::Approved => Decided::Approved { by: &by, at: &at },
        State::Declined => Decided::Declined { by: &by, at: &at },
        State::Expired => Decided::Expired { at: &at },
        State::Done => Decided::Done { by: &by, outcome: &outcome },
        State::Failed => Decided::Failed { by: &by, why: &outcome },
    };
    let who = who(asked);
    let finding = &asked.finding;
    let why = format!("{} ({})", finding.title, finding.kind);
    let expires = time(asked.expires_at);
    Some(slack::request(&slack::Request {
        id: request.id.as_str(),
        plan_hash: &asked.plan_hash,
        severity: finding.severity.label(),
        who: &who,
        title: title(asked),
        why: &why,
        requester: &asked.requester,
        more_findings: asked.others.len(),
        struck: asked.struck.as_ref().map(|it| it.barrier),
        plan: &asked.plan,
        affected: &asked.affected,
        expires: &expires,
        rest: "The command `requests` has all of it; `approve` and `decline` decide it without Slack",
        decided,
    }))
}

/// `None`: what is kept is not what was shown.
fn offered(request: &Request, it: &Offer) -> Option<Message> {
    let until = time(it.expires_at);
    let by = it.opened.as_ref().map_or("", |it| it.by.as_str());
    let outcome = request.reason.clone().unwrap_or_default();
    let standing = match (request.state(now_millis()), &it.opened) {
        (State::Offered, None) if it.is_whole() => Offered::Open { until: &until },
        (State::Offered, None) => return None,
        (State::Offered, Some(_)) => Offered::Opened { by },
        (State::Expired, _) => Offered::RanOut { at: &until },
        _ => Offered::Ended { by, outcome: &outcome },
    };
    let alert = slack::Alert::new(&it.subject, &it.text, "The whole of it: the alerts of the topic");
    let (id, hash) = (request.id.as_str(), it.hash.as_str());
    Some(slack::offer(&slack::Offer { id, hash, alert: &alert, subject: &it.subject, standing }))
}

fn watched(id: &RequestId, kept: &KeptAlert) -> Message {
    let it = &kept.watched;
    // Where it has the button alone, the alert is above it.
    let text = if it.is_beside { "Whoever has seen the alert above says so here" } else { it.text.as_str() };
    let alert = slack::Alert::new(&it.subject, text, "The whole of it: the alerts of the topic");
    let until = time(it.repeats_at);
    let at = it.acknowledged.as_ref().map_or_else(String::new, |it| time(it.at));
    let repeated = it.repeated_at.map(time);
    let standing = match (&it.acknowledged, &repeated) {
        (Some(seen), _) => Standing::Acknowledged { by: &seen.by, at: &at },
        (None, Some(at)) if it.is_over => Standing::Nobody { until: at },
        (None, Some(at)) => Standing::Repeated { at },
        (None, None) if it.is_over => Standing::Nobody { until: &until },
        (None, None) => Standing::Open { until: &until },
    };
    let (id, hash) = (id.as_str(), it.hash());
    slack::watched(&slack::Watched { id, hash: &hash, alert: &alert, standing })
}

fn list(requests: &[Request]) -> Message {
    let asked: Vec<_> = requests.iter().filter_map(|it| Some((it.id.as_str(), it.asked.as_ref()?))).collect();
    let words: Vec<_> = asked.iter().map(|(_, it)| (who(it), time(it.expires_at))).collect();
    let waiting = asked.iter().zip(&words).map(|((id, asked), (who, expires))| slack::Waiting {
        id,
        severity: asked.finding.severity.label(),
        title: title(asked),
        who,
        expires,
    });
    let waiting: Vec<_> = waiting.collect();
    slack::list(&waiting, "The command `requests` has all of it; `approve` and `decline` decide one by its ID")
}
