//! Requests for approval after they were asked: decided by command, woken up for, carried out, expired, listed.
//!
//! Whoever wakes us is believed nothing but an ID. The ledger is read, everything is checked again, and the plan is
//! made anew from what is observed then.

use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::{End, Ledger};
use clients::notices::alert;
use clients::round_trips::CallLog;
use domain::approval::decision::{Decided, Decider};
use domain::approval::reported::REQUESTER;
use domain::approval::request::{Asked, Request, State};
use domain::approval::words::{self, Alert};
use domain::command::Decide;
use domain::containment::grouping::Group;
use domain::containment::relay::Relay;
use domain::containment::report::Report;
use domain::decision::{Decision, is_own};
use domain::finding::{Finding, Source};
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::settings::Responder;
use domain::verdict::Verdict;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;

use crate::contain::contain;
use crate::contain::turns::Turns;
use crate::invocation::Call;
use crate::invocation::now_millis;

mod card;
mod carry_out;
mod expiry;
mod list;
mod offer;
mod report;
mod show;
mod sweep;

pub(crate) use show::list;
pub(crate) use sweep::{Earlier, supersede};

/// How many are read or looked at side by side, and how many are read in one run.
const PARALLEL: usize = 8;
const MOST: usize = 2_000;
const MOST_OFFERS: i32 = 50;
/// When what failed is tried again; each time twice as long after, at most so long.
const PAUSE: i64 = 60_000;
const LONGEST_PAUSE: i64 = 30 * 60_000;
/// A decision that nobody was woken by is found within two minutes: so long after the expiry it can still be begun.
const LATE: i64 = 5 * 60_000;
/// What fails for as long is given up, with a word.
const GIVEN_UP: i64 = 24 * 3_600_000;
/// What one attempt needs at the least.
const ENOUGH: Duration = Duration::from_secs(30);

/// What became of a command.
pub(crate) struct Answered {
    pub(crate) decision: Result<Value, Failure>,
    pub(crate) reports: Vec<Report>,
    pub(crate) failed: Vec<String>,
}

/// One look at requests.
struct Desk<'a> {
    aws: &'a Aws,
    home: Home,
    ledger: Ledger,
    settings: &'a Responder,
    call: &'a Call,
}

type Looked = (Vec<Report>, Vec<String>);

impl<'a> Desk<'a> {
    fn new(aws: &'a Aws, settings: &'a Responder, call: &'a Call) -> Self {
        let home = Home::new(aws, &CallLog::default());
        let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
        Self { aws, home, ledger, settings, call }
    }
}

/// A person answers by command; what was approved is carried out at once.
pub(crate) async fn decide(aws: &Aws, settings: &Responder, command: &Decide, call: &Call) -> Answered {
    let desk = Desk::new(aws, settings, call);
    let decision = if command.is_approval { Decision::Approve } else { Decision::Decline };
    let decided = match desk.decide(command, decision).await {
        Ok(it) => it,
        Err(failure) => return Answered { decision: Err(failure), reports: Vec::new(), failed: Vec::new() },
    };
    let (reports, failed) = match decided {
        Decided::Now => desk.look_at(&command.request).await,
        Decided::Counted { .. } => {
            desk.show_vote(&command.request).await;
            Looked::default()
        }
        _ => Looked::default(),
    };
    let seen = match &decided {
        // What was done while people were asked stays.
        Decided::Expired => desk.ledger.request(&command.request).await.ok().flatten(),
        _ => None,
    };
    let answer = show::decided(&command.request, decision, &decided, seen.as_ref());
    tracing::warn!(request = command.request.as_str(), answer = answer.to_string(), "answered by command");
    Answered { decision: Ok(answer), reports, failed }
}

/// Somebody decided, or reported.
pub(crate) async fn wake_up(aws: &Aws, settings: &Responder, call: &Call, id: &RequestId) -> Looked {
    let desk = Desk::new(aws, settings, call);
    // Who asks is telling people, or has; the list of what is due sees to what was not told.
    match desk.ledger.request(id).await {
        Ok(Some(it)) if it.state(now_millis()) == State::Waiting => {
            desk.show(&it).await;
            Looked::default()
        }
        Ok(Some(_)) => desk.look_at(id).await,
        Ok(None) => desk.read_report(id).await,
        Err(failure) => (Vec::new(), vec![format!("request {id}: {failure}")]),
    }
}

/// What is to be looked at: decisions that nobody was woken by, what expired, people who were not told; and after
/// all of that what was reported.
///
/// INVARIANT: what whoever decides writes can neither put a request off nor hide it: every open one is read.
/// `tests/test_front_thieves.py` holds it.
pub(crate) async fn due(
    aws: &Aws,
    settings: &Responder,
    call: &Call,
    reports: &mut Vec<Report>,
    failed: &mut Vec<String>,
) {
    let desk = Desk::new(aws, settings, call);
    let (open, offers) = tokio::join!(desk.ledger.requests_open(MOST), desk.ledger.offers_due(MOST_OFFERS));
    let mut all = Vec::new();
    for listed in [open.map(|it| it.requests), offers.map(|it| it.into_iter().map(|id| (id, 0)).collect())] {
        match listed {
            Ok(it) => all.extend(it),
            Err(failure) => failed.push(format!("listing the open requests: {failure}")),
        }
    }
    let read = |(id, due_at): (RequestId, i64)| {
        let desk = &desk;
        async move {
            let found = desk.ledger.request(&id).await;
            // Whoever decides may put `due_at` off.
            let again_at = found.as_ref().ok().and_then(|it| it.as_ref()?.again_at);
            (found, due_at.min(again_at.unwrap_or(due_at)) <= now_millis())
        }
    };
    let read: Vec<_> = stream::iter(all).map(read).buffer_unordered(PARALLEL).collect().await;
    let (mut listed, mut single, mut reported) = (Vec::new(), Vec::new(), Vec::new());
    for (found, is_due) in read {
        match found {
            Ok(Some(it)) if list::is_untold(&it) && is_due => listed.push(it),
            Ok(Some(it)) => match it.state(now_millis()) {
                // It failed, and is tried again less and less often.
                _ if it.is_put_off(now_millis()) => {}
                State::Reported if is_due => reported.push(it.id),
                State::Waiting if is_due => single.push(it.id),
                State::Reported | State::Waiting => {}
                _ => single.push(it.id),
            },
            Ok(None) => {}
            Err(failure) => failed.push(format!("reading a request: {failure}")),
        }
    }
    if let Err(failure) = desk.tell_list(listed).await {
        failed.push(format!("telling of the requests that are not asked singly: {failure}"));
    }
    let look = |id: RequestId| {
        let desk = &desk;
        async move { desk.look_at(&id).await }
    };
    for ids in [single, reported] {
        let looked: Vec<_> = stream::iter(ids).map(look).buffer_unordered(PARALLEL).collect().await;
        for (more, failures) in looked {
            reports.extend(more);
            failed.extend(failures);
        }
    }
    let (more, failures) = desk.read_reports().await;
    reports.extend(more);
    failed.extend(failures);
}

/// Who asked, and whom it is about.
fn about(asked: &Asked) -> [&str; 4] {
    [&asked.requester, &asked.target.name, &asked.target.arn, asked.target.id.as_str()]
}

impl Desk<'_> {
    async fn decide(&self, command: &Decide, decision: Decision) -> Result<Decided, Failure> {
        let refused = |code: &str, message: String| Failure { code: code.to_owned(), message, retryable: false };
        let Some(request) = self.ledger.request(&command.request).await? else { return Ok(Decided::NotFound) };
        if let Some(other) = &request.joined {
            let message = format!("request {} is part of {other}: decide that one", command.request);
            return Err(refused("Joined", message));
        }
        let Some(asked) = &request.asked else { return Ok(Decided::NotWaiting) };
        if decision == Decision::Approve && is_own([command.by.as_str()], &about(asked)) {
            let message = "who asked for it, and whom it is about, can't approve it: somebody else has to".to_owned();
            return Err(refused("OwnRequest", message));
        }
        let by = Decider::by_command(&command.by, &command.reason);
        self.ledger.decide(&command.request, &asked.plan_hash, decision, &by).await
    }

    /// Looks at one request, if there is something to do and nobody else is at it.
    async fn look_at(&self, id: &RequestId) -> Looked {
        match self.try_look(id).await {
            Ok(it) => it,
            Err(failure) => (Vec::new(), vec![format!("request {id}: {failure}")]),
        }
    }

    async fn try_look(&self, id: &RequestId) -> Result<Looked, Failure> {
        // Before it is taken: whoever forges a wake-up must not hold up who comes with a decision.
        let seen = self.ledger.request(id).await?;
        let is_idle = |it: &Request| match it.state(now_millis()) {
            State::Waiting => it.told_at.is_some() || it.asked.is_none(),
            State::Done | State::Failed => true,
            // Told already, and over.
            State::Declined | State::Expired => it.ended.is_some(),
            State::Reported => it.joined.is_some(),
            State::Approved => false,
            State::Offered => it.offer.as_ref().is_none_or(|it| it.opened.is_none()),
        };
        let is_up = |it: &Request| !is_idle(it) && !it.is_put_off(now_millis());
        let Some(seen) = seen.filter(|it| is_up(it) && self.call.left() >= ENOUGH) else {
            return Ok(Looked::default());
        };
        let begins = (seen.state(now_millis()) == State::Approved && !is_late(&seen)).then_some(&seen);
        let Some(request) = self.ledger.take_request(id, self.call.deadline, begins).await? else {
            return Ok(Looked::default());
        };
        if let Some(offer) = &request.offer {
            return self.look_at_offer(&request, offer).await;
        }
        match (request.state(now_millis()), &request.asked, &request.ruling, &request.reported) {
            (State::Reported, _, _, Some(reported)) => self.ask_for_report(&request, reported).await,
            (State::Waiting, Some(asked), ..) => self.ask_again(&request, asked).await,
            (State::Approved, Some(asked), Some(ruling), _) => self.carry_out(&request, asked, ruling).await,
            (State::Declined, Some(asked), Some(ruling), _) => {
                let alert = words::declined(&request, asked, ruling);
                self.end(&request, &alert, State::Declined, "Declined", &ruling.by).await
            }
            (State::Expired, Some(asked), ..) if sweep::is_only_its(asked) => self.let_pass(&request).await,
            (State::Expired, Some(asked), ..) => self.expire(&request, asked).await,
            _ => self.ledger.leave_request(id, Some(now_millis() + PAUSE)).await.map(|()| Looked::default()),
        }
    }

    /// It is over once people were told.
    async fn end(
        &self,
        request: &Request,
        alert: &Alert,
        state: State,
        verdict: &str,
        reason: &str,
    ) -> Result<Looked, Failure> {
        tracing::warn!(request = request.id.as_str(), state = state.word(), reason, "{}", alert.subject);
        if let Err(failure) = self.publish(alert, Some(request)).await {
            self.ledger.leave_request(&request.id, Some(now_millis() + PAUSE)).await?;
            return Err(failure);
        }
        self.close(request, &End { state, verdict, reason }).await?;
        Ok(Looked::default())
    }

    /// By the topic and in Slack, in the thread of whom it is about.
    async fn publish(&self, it: &Alert, request: Option<&Request>) -> Result<(), Failure> {
        let published = async {
            let topic = self.settings.common.alert_topic_arn.as_ref()?;
            Some(alert::publish(&self.home.sns, topic, &it.subject, &it.text, &it.attributes).await)
        };
        let posted = async { Some(self.post(it, request?).await) };
        let (published, posted) = tokio::join!(published, posted);
        let failed = published.into_iter().chain(posted.flatten()).find_map(|it| match it {
            Outcome::Failed(failure) => Some(failure),
            _ => None,
        });
        failed.map_or(Ok(()), Err)
    }

    /// People may not have been told of it.
    async fn ask_again(&self, request: &Request, asked: &Asked) -> Result<Looked, Failure> {
        let is_reported = asked.finding.source == Source::Report;
        let requester = is_reported.then(|| REQUESTER.to_owned());
        let relay = self.relay_of(request, asked);
        let requester = requester.or_else(|| relay.requester.clone());
        let relay = relay.asking(request.id.clone(), requester);
        let relay = Relay { told_trouble: request.told_trouble.clone(), ..relay };
        let (reports, failed) = self.contain(&relay).await;
        let is_asked = failed.is_empty() && reports.first().is_some_and(|it| it.verdict == Verdict::Waiting);
        self.note_trouble(request, &reports).await?;
        // Where nobody could be told, or nothing is left to ask, it is looked at again, until it expires.
        let at = (!is_asked).then(|| (now_millis() + pause(request)).min(asked.expires_at));
        self.ledger.leave_request(&request.id, at).await?;
        Ok((reports, failed))
    }

    fn relay(&self, id: &RequestId, lead: &Finding, others: &[Finding]) -> Relay {
        let group = Group { lead: lead.clone(), others: others.to_vec() };
        // Two about one identity must not pass for one holder of its lease.
        Relay::new(group, format!("{}/{id}", self.call.request_id))
    }

    /// What somebody wanted asked stays that, however often it is taken up.
    fn relay_of(&self, request: &Request, asked: &Asked) -> Relay {
        let opened_by = asked.opened_by.clone();
        let requester = opened_by.as_ref().map(|_| asked.requester.clone());
        Relay { opened_by, requester, ..self.relay(&request.id, &asked.finding, &asked.others) }
    }

    async fn contain(&self, relay: &Relay) -> Looked {
        Box::pin(contain(self.aws, self.settings, relay, self.call, &Turns::new(1))).await
    }

    /// What people know of what failed, for them not to be told the same again.
    async fn note_trouble(&self, request: &Request, reports: &[Report]) -> Result<(), Failure> {
        let Some(report) = reports.first().filter(|it| it.verdict != Verdict::InProgress) else { return Ok(()) };
        if report.told_trouble == request.told_trouble {
            return Ok(());
        }
        self.ledger.note_trouble(&request.id, report.told_trouble.as_deref()).await
    }
}

/// Whether it was approved, and nobody has begun to carry it out in time.
fn is_late(request: &Request) -> bool {
    let is_over = |it: &Asked| now_millis() > it.expires_at + LATE;
    !request.is_begun && request.asked.as_ref().is_some_and(is_over)
}

/// Until what failed is tried again.
fn pause(request: &Request) -> i64 {
    PAUSE.saturating_mul(1 << request.attempts.clamp(0, 10)).min(LONGEST_PAUSE)
}
