//! Requests for approval after they were asked: decided by command, woken up for, carried out, expired, listed.
//!
//! Whoever wakes us is believed nothing but an ID. The ledger is read, everything is checked again, and the plan is
//! made anew from what is observed then.

use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::{End, Ledger};
use clients::notices::alert;
use clients::round_trips::CallLog;
use domain::approval::decision::{BY_COMMAND, Decided, Decider, is_own};
use domain::approval::request::{Asked, Request, Ruling, State};
use domain::approval::words::{self, Alert};
use domain::command::Decide;
use domain::containment::grouping::Group;
use domain::containment::relay::Relay;
use domain::containment::report::Report;
use domain::decision::Decision;
use domain::finding::Finding;
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::settings::{Mode, Responder};
use domain::verdict::Verdict;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;

use crate::contain::contain;
use crate::contain::turns::Turns;
use crate::invocation::Call;
use crate::invocation::now_millis;

mod card;
mod expiry;
mod list;
mod report;
mod show;

pub(crate) use show::list;

/// How many are looked at side by side, and how many are listed.
const PARALLEL: usize = 8;
const MOST: i32 = 500;
/// When what failed is tried again.
const PAUSE: i64 = 60_000;
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
    let answer = show::decided(&command.request, decision, &decided);
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
        Ok(_) => desk.look_at(id).await,
        Err(failure) => (Vec::new(), vec![format!("request {id}: {failure}")]),
    }
}

/// What is to be looked at: decisions that nobody was woken by, what expired, people who were not told.
pub(crate) async fn due(
    aws: &Aws,
    settings: &Responder,
    call: &Call,
    reports: &mut Vec<Report>,
    failed: &mut Vec<String>,
) {
    let desk = Desk::new(aws, settings, call);
    let ids = match desk.ledger.requests_due(MOST).await {
        Ok(it) => it,
        Err(failure) => return failed.push(format!("listing the requests that are due: {failure}")),
    };
    let read = |id: RequestId| {
        let desk = &desk;
        async move { desk.ledger.request(&id).await }
    };
    let read: Vec<_> = stream::iter(ids).map(read).buffer_unordered(PARALLEL).collect().await;
    let (mut listed, mut single) = (Vec::new(), Vec::new());
    for found in read {
        match found {
            Ok(Some(it)) if list::is_untold(&it) => listed.push(it),
            Ok(Some(it)) => single.push(it.id),
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
    let looked: Vec<_> = stream::iter(single).map(look).buffer_unordered(PARALLEL).collect().await;
    for (more, failures) in looked {
        reports.extend(more);
        failed.extend(failures);
    }
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
            State::Declined | State::Expired => it.ended_at.is_some(),
            State::Reported | State::Approved => false,
        };
        if seen.is_none_or(|it| is_idle(&it)) || self.call.left() < ENOUGH {
            return Ok(Looked::default());
        }
        let Some(request) = self.ledger.take_request(id, self.call.deadline).await? else {
            return Ok(Looked::default());
        };
        match (request.state(now_millis()), &request.asked, &request.ruling, &request.reported) {
            (State::Reported, _, _, Some(reported)) => self.ask_for_report(&request, reported).await,
            (State::Waiting, Some(asked), ..) => self.ask_again(&request, asked).await,
            (State::Approved, Some(asked), Some(ruling), _) => self.carry_out(&request, asked, ruling).await,
            (State::Declined, Some(asked), Some(ruling), _) => {
                let alert = words::declined(id, asked, &ruling.by, ruling.at);
                self.end(&request, &alert, State::Declined, "Declined", &ruling.by).await
            }
            (State::Expired, Some(asked), ..) => {
                let alert = words::expired(id, asked, &self.settings.function_name);
                if asked.struck.is_some()
                    && let Err(failure) = self.repeat_incident(asked, id).await
                {
                    self.ledger.leave_request(id, Some(now_millis() + PAUSE)).await?;
                    return Err(failure);
                }
                self.end(&request, &alert, State::Expired, "Expired", "nobody decided").await
            }
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
        let requester = request.reported.as_ref().map(|it| it.by.clone());
        let relay = self.relay(&request.id, &asked.finding, &asked.others).asking(request.id.clone(), requester);
        let (reports, failed) = self.contain(&relay).await;
        let is_asked = failed.is_empty() && reports.first().is_some_and(|it| it.verdict == Verdict::Waiting);
        // Where nobody could be told, or nothing is left to ask, it is looked at again, until it expires.
        let at = (!is_asked).then(|| (now_millis() + PAUSE).min(asked.expires_at));
        self.ledger.leave_request(&request.id, at).await?;
        Ok((reports, failed))
    }

    fn relay(&self, id: &RequestId, lead: &Finding, others: &[Finding]) -> Relay {
        let group = Group { lead: lead.clone(), others: others.to_vec() };
        // Two about one identity must not pass for one holder of its lease.
        Relay::new(group, format!("{}/{id}", self.call.request_id))
    }

    async fn contain(&self, relay: &Relay) -> Looked {
        Box::pin(contain(self.aws, self.settings, relay, self.call, &Turns::new(1))).await
    }

    /// What was approved, planned anew from what is observed now.
    ///
    /// INVARIANT: nothing is carried out that was not approved in time. `tests/test_approvals.py` holds it.
    async fn carry_out(&self, request: &Request, asked: &Asked, ruling: &Ruling) -> Result<Looked, Failure> {
        if let Some(why) = self.obstacle(request, asked, ruling) {
            let alert = words::not_carried_out(&request.id, asked, &ruling.by, &why);
            return self.end(request, &alert, State::Failed, "Refused", &why).await;
        }
        let by = if request.votes.is_empty() { ruling.by.clone() } else { request.votes.join("; ") };
        let relay = self.relay(&request.id, &asked.finding, &asked.others).under(asked.approval(&request.id, &by));
        // Nothing waits for what the card says.
        let ((mut reports, mut failed), ()) = tokio::join!(self.contain(&relay), self.show(request));
        let Some((verdict, reason, is_uncovered)) =
            reports.first().map(|it| (it.verdict, it.reason.clone(), it.is_uncovered))
        else {
            self.ledger.leave_request(&request.id, Some(now_millis() + PAUSE)).await?;
            return Ok((reports, failed));
        };
        if is_uncovered {
            let alert = words::not_carried_out(&request.id, asked, &ruling.by, &reason);
            self.end(request, &alert, State::Failed, verdict.name(), &reason).await?;
            let (more, failures) = self.contain(&self.relay(&request.id, &asked.finding, &asked.others)).await;
            reports.extend(more);
            failed.extend(failures);
            return Ok((reports, failed));
        }
        let is_over = failed.is_empty() && verdict != Verdict::InProgress;
        if !is_over && now_millis() - ruling.at < GIVEN_UP {
            self.ledger.leave_request(&request.id, Some(now_millis() + PAUSE)).await?;
            return Ok((reports, failed));
        }
        let state = if verdict.is_success() { State::Done } else { State::Failed };
        self.close(request, &End { state, verdict: verdict.name(), reason: &reason }).await?;
        Ok((reports, failed))
    }

    fn obstacle(&self, request: &Request, asked: &Asked, ruling: &Ruling) -> Option<String> {
        let mode = self.settings.mode_of(asked.threat().playbook());
        let is_late = request.attempts == 0 && now_millis() > asked.expires_at + LATE;
        match () {
            () if ruling.at >= asked.expires_at || is_late => Some("the request had expired".to_owned()),
            () if !asked.is_whole() => Some("what the ledger has is not what was asked".to_owned()),
            () if self.is_own(request, asked) => Some("an approver asked for it, or is whom it is about".to_owned()),
            () if mode == Mode::Observe => Some("the mode is `observe` now: nothing is changed".to_owned()),
            () => None,
        }
    }

    /// Whether somebody in Slack approved their own request, or what is done to themselves.
    fn is_own(&self, request: &Request, asked: &Asked) -> bool {
        let in_slack = request.approvers.iter().filter(|it| *it != BY_COMMAND);
        let known = in_slack.clone().filter_map(|it| self.settings.approvals.identities.get(it.rsplit('/').next()?));
        is_own(in_slack.chain(known).map(String::as_str), &about(asked))
    }
}
