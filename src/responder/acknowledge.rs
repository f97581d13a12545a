//! Critical alerts: kept when they are told, repeated to others after a quarter of an hour by the schedule, unless a
//! person says that it was seen: with a click in Slack, or by command.
//!
//! INVARIANT: an acknowledgement changes nothing of any identity, and everybody who got the alert is told who made it.
//! `tests/test_acknowledged.py` holds it.

use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::ledger::slack::News;
use clients::notices::alert;
use clients::round_trips::CallLog;
use domain::acknowledgement::{Acknowledged, Sink, Step, Watch, Watched};
use domain::approval::decision::{Decided, Decider};
use domain::approval::request::request_id;
use domain::command::Acknowledge;
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::settings::Responder;
use domain::told::Alert;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::{Value, json};

use crate::invocation::{Call, now_millis};
use crate::slack::{self, Poster};

/// How many are looked at in one run, and side by side: the next run comes in a minute.
const MOST: i32 = 50;
const PARALLEL: usize = 8;
/// When what could not be published is tried again; each time twice as long after, at most so long.
const PAUSE: i64 = 60_000;
const LONGEST_PAUSE: i64 = 10 * 60_000;
/// How long it is waited for the responder to take up what somebody decided: whoever writes decisions may take one away.
const DECIDED_FOR: i64 = 5 * 60_000;
/// What reading on needs at the least.
const ENOUGH: Duration = Duration::from_secs(30);
const DAY: i64 = 86_400_000;

struct Desk<'a> {
    home: &'a Home,
    ledger: &'a Ledger,
    settings: &'a Responder,
    call: &'a Call,
}

/// Of the questions of an alert.
enum Standing {
    Open,
    /// Somebody wrote a decision of each, and the responder has not taken up all of them.
    Decided,
    /// The responder has taken up a decision of each: people are told of it.
    Answered,
}

/// Of an alert about the matter, with what it came to, under which approval, and who is suspected: of somebody new nobody
/// has seen the alert. One that comes again on another day is to be acknowledged again.
pub(crate) fn id_of(thread: &str, matter: &str, came_to: [&str; 3], now: i64) -> Option<RequestId> {
    let [verdict, approved, suspects] = came_to;
    request_id(&["alert", thread, matter, verdict, approved, suspects, &(now / DAY).to_string()])
}

/// Of a question, whatever finding it is told of with: it is repeated once.
pub(crate) fn id_of_question(request: &RequestId) -> Option<RequestId> {
    request_id(&["alert", "question", request.as_str()])
}

/// Of a list of questions.
pub(crate) fn id_of_list(requests: &[RequestId]) -> Option<RequestId> {
    let ids = requests.iter().map(RequestId::as_str);
    request_id(&["alert", "list"].into_iter().chain(ids).collect::<Vec<_>>())
}

/// Keeps a critical alert that is about to be told. What the alert says of that.
pub(crate) async fn watch(
    home: &Home,
    settings: &Responder,
    owner: &str,
    id: &RequestId,
    it: &Watched,
) -> Result<Watch, Failure> {
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, owner);
    let kept = ledger.watch(id, it).await?;
    Ok(kept.watched.watch(id, kept.card.is_some()))
}

/// A person says by command that it was seen: the answer, and what failed.
pub(crate) async fn acknowledge(
    aws: &Aws,
    settings: &Responder,
    command: &Acknowledge,
    call: &Call,
) -> Result<(Value, Vec<String>), Failure> {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let desk = Desk { home: &home, ledger: &ledger, settings, call };
    let by = Decider::by_command(&command.by, &command.reason);
    let decided = ledger.acknowledge(&command.alert, &by).await?;
    let answer = match &decided {
        Decided::Now => json!({"alert": command.alert, "answer": "acknowledged", "by": by.words}),
        Decided::Before { by, at, .. } => {
            let at = aws_smithy_types::DateTime::from_millis(*at).to_string();
            json!({"alert": command.alert, "answer": "acknowledged before", "by": by, "at": at})
        }
        Decided::NotWaiting => {
            let reason = "its question was decided, or nobody acknowledged it for a day after it was repeated";
            json!({"alert": command.alert, "answer": "over", "reason": reason})
        }
        _ => {
            let message = format!("there is no critical alert {}", command.alert);
            return Err(Failure { code: "NotFound".to_owned(), message, retryable: false });
        }
    };
    tracing::warn!(alert = command.alert.as_str(), answer = answer.to_string(), "acknowledged by command");
    Ok((answer, desk.look_at(&command.alert).await.err().into_iter().collect()))
}

/// Somebody clicked.
pub(crate) async fn woken(aws: &Aws, settings: &Responder, call: &Call, id: &RequestId) -> Vec<String> {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let desk = Desk { home: &home, ledger: &ledger, settings, call };
    desk.look_at(id).await.err().into_iter().collect()
}

/// Repeats those that nobody acknowledged in time, and tells who acknowledged the others: what failed.
pub(crate) async fn due(home: &Home, ledger: &Ledger, settings: &Responder, call: &Call) -> Vec<String> {
    if settings.notices.escalation_topic_arn.is_none() {
        return Vec::new();
    }
    let desk = Desk { home, ledger, settings, call };
    let look = |id: RequestId| {
        let desk = &desk;
        async move { desk.look_at(&id).await }
    };
    let mut after = None;
    loop {
        let (due, more) = match ledger.watched_due(MOST, after).await {
            Ok(it) => it,
            Err(failure) => return vec![format!("listing the alerts that nobody acknowledged: {failure}")],
        };
        let ended: Vec<_> = stream::iter(due).map(look).buffer_unordered(PARALLEL).collect().await;
        // What there is nothing to do about must not stand before the others.
        if more.is_none() || ended.iter().any(|it| *it != Ok(false)) || call.left() < ENOUGH {
            return ended.into_iter().filter_map(Result::err).collect();
        }
        after = more;
    }
}

impl Desk<'_> {
    /// Whether there was something to do.
    async fn look_at(&self, id: &RequestId) -> Result<bool, String> {
        self.try_look(id).await.map_err(|failure| format!("the critical alert {id}: {failure}"))
    }

    async fn try_look(&self, id: &RequestId) -> Result<bool, Failure> {
        // Before it is taken: whoever forges a wake-up must hold nothing up.
        let Some(seen) = self.ledger.watched(id).await? else { return Ok(false) };
        let now = now_millis();
        let (step, again_at) = (seen.watched.step(now), seen.watched.looked_at_again(now));
        match &seen.unread {
            // Repeated though somebody clicked, rather than never.
            Some(failure) if step == Step::Repeat => {
                tracing::warn!(alert = id.as_str(), "whether somebody acknowledged it could not be read: {failure}");
            }
            None if step != Step::Nothing => {}
            unread => {
                // It stands among those that are due: nobody clicked since the last look, or it could not be read.
                if seen.due_at.is_some_and(|it| it <= now) && again_at > now {
                    self.ledger.correct_watched(id, &seen, again_at).await?;
                }
                return unread.clone().map_or(Ok(false), Err);
            }
        }
        let Some(mut kept) = self.ledger.take_watched(id, self.call.deadline).await? else { return Ok(false) };
        kept.watched.acknowledged = kept.watched.acknowledged.or(seen.watched.acknowledged);
        if let Err(failure) = self.step(id, &kept.watched).await {
            let pause = PAUSE.saturating_mul(1 << kept.attempts.clamp(0, 10)).min(LONGEST_PAUSE);
            self.ledger.put_watched_off(id, now_millis() + pause).await?;
            return Err(failure);
        }
        self.show(id, &kept.watched).await;
        Ok(true)
    }

    async fn step(&self, id: &RequestId, it: &Watched) -> Result<(), Failure> {
        match it.step(now_millis()) {
            Step::Nothing => self.ledger.leave_watched(id, it.looked_at_again(now_millis())).await,
            Step::End => self.end(id).await,
            Step::TellWho => self.tell_who(id, it).await,
            Step::Repeat => match self.decided(it).await? {
                // Whoever decided has seen it, and people know that.
                Standing::Answered => self.end(id).await,
                Standing::Decided if now_millis() < it.repeats_at + DECIDED_FOR => {
                    self.ledger.leave_watched(id, now_millis() + PAUSE).await
                }
                Standing::Decided | Standing::Open => self.repeat(id, it).await,
            },
        }
    }

    /// Nobody acknowledges it any more: whoever did at the last moment is told of.
    async fn end(&self, id: &RequestId) -> Result<(), Failure> {
        if self.ledger.close_to_clicks(id).await? {
            self.ledger.end_watched(id, None).await
        } else {
            self.ledger.leave_watched(id, now_millis()).await
        }
    }

    async fn end_told(&self, id: &RequestId, it: &Acknowledged) -> Result<(), Failure> {
        self.ledger.end_watched(id, Some(it)).await?;
        // Of a later click nobody would be told. Who clicked now is told that it was before.
        if let Err(failure) = self.ledger.close_to_clicks(id).await {
            tracing::warn!(alert = id.as_str(), "a click on it is still taken, and changes nothing: {failure}");
        }
        Ok(())
    }

    async fn decided(&self, it: &Watched) -> Result<Standing, Failure> {
        let mut standing = if it.requests.is_empty() { Standing::Open } else { Standing::Answered };
        for request in &it.requests {
            match self.ledger.request(request).await? {
                Some(it) if it.is_answered() => {}
                Some(it) if it.ruling.is_some() => standing = Standing::Decided,
                _ => return Ok(Standing::Open),
            }
        }
        Ok(standing)
    }

    async fn repeat(&self, id: &RequestId, it: &Watched) -> Result<(), Failure> {
        let now = now_millis();
        let words = it.repeated(id, &self.settings.function_name, now);
        tracing::error!(alert = id.as_str(), "nobody acknowledged it, it is repeated: {}", it.subject);
        self.publish(self.settings.notices.escalation_topic_arn.as_deref(), &words).await?;
        let noted = Watched { repeated_at: Some(now), ..it.clone() };
        self.ledger.note_repeated(id, now, noted.looked_at_again(now)).await?;
        // Somebody did, while it was being repeated.
        match self.ledger.watched(id).await? {
            Some(kept) if kept.watched.acknowledged.is_some() => Box::pin(self.try_look(id)).await.map(|_| ()),
            _ => Ok(()),
        }
    }

    /// By the topic and in the thread.
    async fn tell_who(&self, id: &RequestId, it: &Watched) -> Result<(), Failure> {
        let Some(acknowledged) = &it.acknowledged else { return Ok(()) };
        let (now, mut telling) = (now_millis(), it.telling(acknowledged, now_millis()));
        let words = it.told_who(acknowledged, now);
        let is_new = |sink: Sink| !telling.is_told(sink);
        tracing::warn!(alert = id.as_str(), by = acknowledged.by, "acknowledged: {}", it.subject);
        let posted = async {
            let poster = Poster::asking(self.home, self.settings, false).filter(|_| is_new(Sink::Slack))?;
            let alert = slack::told(&words.subject, &words.text, &self.call.request_id);
            // Told once, however often it is tried, where nothing else was said since.
            let news = format!("{id} acknowledged");
            Some(poster.post(&it.thread, alert, News { words: &news, can_be_old: true }).await)
        };
        let alerts = self.settings.common.alert_topic_arn.as_deref();
        let topic = alerts.filter(|_| is_new(Sink::AlertTopic));
        // Who got the repetition need not come any more.
        let others = self.settings.notices.escalation_topic_arn.as_deref();
        let others = others.filter(|_| it.repeated_at.is_some() && others != alerts && is_new(Sink::EscalationTopic));
        let (published, others, posted) =
            tokio::join!(self.publish(topic, &words), self.publish(others, &words), posted);
        let posted = if let Some(Outcome::Failed(failure)) = posted { Err(failure) } else { Ok(()) };
        let mut failed = None;
        for (sink, told) in [(Sink::AlertTopic, published), (Sink::EscalationTopic, others), (Sink::Slack, posted)] {
            match told {
                Ok(()) => telling.note(sink),
                Err(failure) => failed = failed.or(Some(failure)),
            }
        }
        match failed {
            None => self.end_told(id, acknowledged).await,
            Some(failure) if telling.is_in_vain(now) => {
                self.end_told(id, acknowledged).await?;
                self.show(id, it).await;
                let message = format!("not all could be told for a day who acknowledged it: {}", failure.message);
                Err(Failure { message, ..failure })
            }
            Some(failure) => {
                self.ledger.note_telling(id, &telling).await?;
                Err(failure)
            }
        }
    }

    async fn publish(&self, topic: Option<&str>, it: &Alert) -> Result<(), Failure> {
        let Some(topic) = topic else { return Ok(()) };
        match alert::publish(&self.home.sns, topic, &it.subject, &it.text, &it.attributes).await {
            Outcome::Failed(failure) => Err(failure),
            _ => Ok(()),
        }
    }

    /// As it stands now. Trouble with it loses nothing: people know by other ways.
    async fn show(&self, id: &RequestId, it: &Watched) {
        // Who decides about a request has that one's buttons.
        if !it.requests.is_empty() {
            return;
        }
        let Some(poster) = Poster::asking(self.home, self.settings, false) else { return };
        if let Outcome::Failed(failure) = poster.show_watched(&it.thread, id).await {
            tracing::warn!(alert = id.as_str(), "the card could not be changed: {failure}");
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::ids::Parse;

    use super::*;

    #[test]
    fn the_same_on_another_day_is_to_be_acknowledged_again() {
        let of = |now| id_of("target#1#X", "contain X", ["NotContained", "", ""], now);
        assert!(of(0).is_some() && of(0) == of(DAY - 1) && of(0) != of(DAY));
        for other in
            [["NotContained", "dana (request x)", ""], ["NotContained", "", "somebody"], ["Unverified", "", ""]]
        {
            assert!(of(0) != id_of("target#1#X", "contain X", other, 0), "{other:?}");
        }
    }

    #[test]
    fn a_question_is_one_matter_whatever_it_is_told_of_with() {
        let [one, other] = ["a", "b"].map(|it| RequestId::parse(&it.repeat(26)).unwrap());
        assert!(id_of_question(&one).is_some() && id_of_question(&one) != id_of_question(&other));
        assert!(id_of_list(std::slice::from_ref(&one)) != id_of_list(&[one.clone(), other]));
        assert!(id_of_list(std::slice::from_ref(&one)) != id_of_question(&one));
    }
}
