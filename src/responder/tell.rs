//! Tells people of what nobody is contained for: an alert for what must not wait, a line in a digest for the
//! rest, and an alert for each event that could not be read.

use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::ledger::digest::{self, Taken};
use clients::ledger::slack::News;
use clients::notices::alert;
use clients::round_trips::CallLog;
use domain::acknowledgement::{Watch, Watched};
use domain::approval::offer::{self, Offer};
use domain::approval::request::request_id;
use domain::finding::{Finding, Severity};
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::settings::{Mode, Responder};
use domain::text;
use domain::told::{self, Alert, Digest, Told, ToldFinding, Unreadable, Urgency};
use serde::Serialize;

use crate::acknowledge;
use crate::invocation::Call;
use crate::invocation::now_millis;
use crate::own;
use crate::slack::{self, Poster};

/// Of one finding or event, what became of telling it.
#[derive(Debug, Serialize)]
pub struct Entry {
    pub finding_id: String,
    /// The finding's type.
    pub kind: String,
    pub account: String,
    /// `alert`, `daily-alert`, `hourly-digest`, `daily-digest`, or `unreadable`.
    pub how: String,
    pub outcome: &'static str,
    pub detail: String,
}

/// The same matter is told again after a day: what goes on is news then.
const AGAIN: Duration = Duration::from_secs(24 * 3_600);

/// An event keeps its ID through all its retries, and never comes again after them.
const NEVER_AGAIN: Duration = Duration::from_secs(30 * 24 * 3_600);

/// The longest pause before it is asked again whether another invocation has told; as long in all.
const MOMENT: Duration = Duration::from_secs(2);

/// How long people can be asked by a click under an alert, in milliseconds.
const OFFERED: i64 = 24 * 3_600_000;

/// How many are told side by side.
const AT_ONCE: usize = 8;

/// Tells of each; gives what became of it, and what has to be tried again.
pub(crate) async fn tell(aws: &Aws, settings: &Responder, told: &[Told], call: &Call) -> (Vec<Entry>, Vec<String>) {
    if told.is_empty() {
        return (Vec::new(), Vec::new());
    }
    let home = Home::new(aws, &CallLog::default());
    // Each for itself: two of one event may be one matter.
    let teller = |number: usize| Teller {
        settings,
        home: &home,
        ledger: Ledger::new(
            home.dynamodb.clone(),
            &settings.common.ledger_table,
            &format!("{}/told/{number}", call.request_id),
        ),
        request_id: &call.request_id,
    };
    let tellers: Vec<Teller> = (0..told.len()).map(teller).collect();
    let all: Vec<_> = told.iter().zip(&tellers).collect();
    let (mut entries, mut failed) = (Vec::new(), Vec::new());
    let tell_all = async {
        for some in all.chunks(AT_ONCE) {
            let ended = futures_util::future::join_all(some.iter().map(|(it, teller)| teller.one(it))).await;
            for ((it, _), outcome) in some.iter().zip(ended) {
                if let Outcome::Failed(failure) = &outcome {
                    failed.push(format!("telling of `{}`: {failure}", id(it)));
                }
                let entry = entry(it, &outcome);
                tracing::info!(
                    outcome = entry.outcome,
                    how = entry.how,
                    finding = entry.finding_id,
                    kind = entry.kind,
                    account = entry.account,
                    "told, not contained: {}",
                    entry.detail
                );
                entries.push(entry);
            }
        }
    };
    if tokio::time::timeout(call.left().mul_f64(0.8), tell_all).await.is_err() {
        failed.push("the time ran out before people were told of every finding".to_owned());
    }
    (entries, failed)
}

/// Sends the digests that are due, if there is something in them.
pub(crate) async fn send_due_digests(aws: &Aws, settings: &Responder, call: &Call) -> Vec<String> {
    if !settings.common.has_alerts() {
        return Vec::new();
    }
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let teller = Teller { settings, home: &home, ledger, request_id: &call.request_id };
    let mut failed = Vec::new();
    for which in Digest::ALL {
        if let Err(failure) = teller.send_digest(which).await {
            failed.push(format!("the {} digest: {failure}", which.word()));
        }
    }
    failed
}

struct Teller<'a> {
    settings: &'a Responder,
    home: &'a Home,
    ledger: Ledger,
    request_id: &'a str,
}

/// Where an alert stands in Slack.
#[derive(Clone, Copy)]
enum Stand<'a> {
    Thread { thread: &'a str, matter: &'a str, finding: &'a Finding },
    Apart(&'a str),
}

/// What became of it.
#[derive(Clone, Copy)]
enum Telling {
    Done,
    /// People know it since then, by another name.
    Before(i64),
    Failed,
}

impl Teller<'_> {
    async fn one(&self, told: &Told) -> Outcome {
        let is_told = match told {
            Told::Finding(it) => self.settings.mode_of(it.finding.threat.playbook()) != Mode::Observe,
            // Which playbook's it is can't be read.
            Told::Unreadable(_) => self.settings.responds_to_any(),
        };
        // `observe` mode writes nothing and tells nobody: its reports are what people look at.
        if !is_told {
            return Outcome::Planned;
        }
        match told {
            Told::Finding(it) => match it.urgency {
                Urgency::Alert | Urgency::DailyAlert => {
                    let (matters, alert) = (it.matters(), it.alert(&self.settings.function_name));
                    let thread = domain::slack::thread(&it.finding.account, None, &it.finding);
                    let matter = matters.first().map_or("", String::as_str);
                    let stand = Stand::Thread { thread: &thread, matter, finding: &it.finding };
                    self.alert(&matters, AGAIN, &alert, stand).await
                }
                Urgency::Digest(which) => self.line(it, which).await,
            },
            Told::Unreadable(it) => {
                self.alert(&[it.matter()], NEVER_AGAIN, &it.alert(), Stand::Apart("unreadable")).await
            }
        }
    }

    /// Once for each matter; where one is known by several names, any of them is enough.
    async fn alert(&self, matters: &[String], again_after: Duration, it: &Alert, stand: Stand<'_>) -> Outcome {
        if !self.settings.common.has_alerts() {
            return nobody();
        }
        let (mut ours, mut told_at, mut failed) = (Vec::new(), None, None);
        for matter in matters {
            match self.take(matter, again_after).await {
                Ok(Taken::Ours) => ours.push(matter),
                Ok(Taken::Told(at)) => told_at = told_at.max(Some(at)),
                // Who has it may fail to tell: this one is tried again, and finds out.
                Ok(Taken::Others) => {
                    self.note(&ours, Telling::Failed).await;
                    return Outcome::Failed(being_told());
                }
                // Told twice is better than not at all.
                Err(failure) => failed = Some(failure),
            }
        }
        if let Some(at) = told_at {
            let noted = self.note(&ours, Telling::Before(at)).await;
            return noted.map_or_else(already_told, Outcome::Failed);
        }
        let (watch, unwatched) = match self.watch(it, stand).await {
            Ok(it) => (it, None),
            Err(failure) => (None, Some(failure)),
        };
        let with_watch = watch.as_ref().map(|watch| Alert {
            text: [vec![it.text.clone()], watch.lines(&self.settings.function_name)].concat().join("\n"),
            ..it.clone()
        });
        let sent = self.send(with_watch.as_ref().unwrap_or(it), stand).await;
        if let (Some(watch), Stand::Thread { thread, .. }) = (&watch, stand)
            && !watch.is_shown
            && let Some(poster) = Poster::asking(self.home, self.settings, false)
        {
            // Behind the alert, which may have a button of its own.
            if let Outcome::Failed(failure) = poster.show_watched(thread, &watch.id).await {
                tracing::warn!(alert = watch.id.as_str(), "the alert goes without its button: {failure}");
            }
        }
        // What is kept for Slack is not lost, and nobody else's to tell.
        let is_sent = matches!(sent, Outcome::Applied { .. } | Outcome::AlreadyDone { .. } | Outcome::Later { .. });
        // Told again rather than never repeated to others.
        let is_told = is_sent && unwatched.is_none();
        let noted = self.note(&ours, if is_told { Telling::Done } else { Telling::Failed }).await;
        failed.or(unwatched).or(noted).filter(|_| is_sent).map_or(sent, Outcome::Failed)
    }

    /// Has what is of critical severity repeated to others, unless somebody acknowledges it. `None`: it is not.
    async fn watch(&self, it: &Alert, stand: Stand<'_>) -> Result<Option<Watch>, Failure> {
        let Stand::Thread { thread, matter, finding } = stand else { return Ok(None) };
        let is_repeated = self.settings.notices.escalation_topic_arn.is_some();
        let is_critical = finding.severity >= Severity::CRITICAL;
        let id =
            acknowledge::id_of(thread, matter, ["Told", "", ""], now_millis()).filter(|_| is_repeated && is_critical);
        let Some(id) = id else { return Ok(None) };
        let barred = own::of_alert((self.home, self.settings), finding, None, None, false).await;
        let watched = Watched { is_beside: true, barred, ..Watched::new(it, thread, now_millis()) };
        acknowledge::watch(self.home, self.settings, self.request_id, &id, &watched).await.map(Some)
    }

    /// By the topic and in Slack at the same time. What became of the topic's alert, where there is one; what could
    /// not be kept for Slack is a failure.
    async fn send(&self, it: &Alert, stand: Stand<'_>) -> Outcome {
        let common = &self.settings.common;
        let published = async {
            let topic = common.alert_topic_arn.as_ref()?;
            Some(alert::publish(&self.home.sns, topic, &it.subject, &it.text, &it.attributes).await)
        };
        let posted = async {
            let poster = Poster::asking(self.home, self.settings, false)?;
            let alert = slack::told(&it.subject, &it.text, self.request_id);
            Some(match stand {
                Stand::Thread { thread, matter, finding } => match self.offer(it, finding).await {
                    Some(id) => poster.show_offer(thread, &id).await,
                    None => {
                        // The same is told again after a day.
                        let words = format!("{matter}|{}", now_millis() / 86_400_000);
                        poster.post(thread, alert, News { words: &words, can_be_old: true }).await
                    }
                },
                Stand::Apart(queue) => poster.post_apart(queue, alert).await,
            })
        };
        match tokio::join!(published, posted) {
            (None, None) => nobody(),
            (Some(it), None) | (None, Some(it)) => it,
            (Some(_), Some(Outcome::Failed(failure))) => Outcome::Failed(failure),
            (Some(it), Some(_)) => it,
        }
    }

    /// Has a click under the alert ask people about the finding. `None`: nobody can be asked about, or it could not
    /// be kept, and the alert goes without.
    async fn offer(&self, it: &Alert, finding: &Finding) -> Option<RequestId> {
        // A finding may name several, each with an alert of its own.
        let id = request_id(&["offer", self.request_id, &finding.kept()])?;
        if !offer::can_be_asked(finding) {
            return None;
        }
        let offer = Offer::new(finding, &it.subject, &it.text, now_millis() + OFFERED);
        match self.ledger.offer(&id, &offer).await {
            Ok(true) => Some(id),
            Ok(false) => {
                tracing::warn!(request = id.as_str(), "the alert goes without its button: the offer is another's");
                None
            }
            Err(failure) => {
                tracing::warn!(request = id.as_str(), "the alert goes without its button: {failure}");
                None
            }
        }
    }

    /// Sent before it is cleared: of a crash in between comes a second one, and never none.
    async fn send_digest(&self, which: Digest) -> Result<(), Failure> {
        let Some(pending) = self.ledger.take_digest(which).await? else { return Ok(()) };
        if let Some(it) = told::digest(which, &pending.lines, pending.more)
            && let Outcome::Failed(failure) = self.send(&it, Stand::Apart("digest")).await
        {
            return Err(failure);
        }
        self.ledger.clear_digest(which).await
    }

    /// Another invocation that has it takes a moment to tell.
    async fn take(&self, matter: &str, again_after: Duration) -> Result<Taken, Failure> {
        let mut pause = Duration::from_millis(100);
        loop {
            let taken = self.ledger.take_to_tell(matter, again_after).await?;
            if taken != Taken::Others || pause > MOMENT {
                return Ok(taken);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
    }

    async fn note(&self, matters: &[&String], telling: Telling) -> Option<Failure> {
        let mut failed = None;
        for matter in matters {
            let noted = match telling {
                Telling::Done => self.ledger.note_told(matter, None).await,
                Telling::Before(at) => self.ledger.note_told(matter, Some(at)).await,
                Telling::Failed => self.ledger.leave_untold(matter).await,
            };
            failed = failed.or(noted.err());
        }
        failed
    }

    async fn line(&self, it: &ToldFinding, which: Digest) -> Outcome {
        if !self.settings.common.has_alerts() {
            return nobody();
        }
        let entry = digest::Entry { identity: &it.line_of(), finding: &it.finding.id, line: &it.line() };
        match self.ledger.add_to_digest(which, it.finding.severity, entry).await {
            Ok(()) => Outcome::Applied { detail: format!("in the {} digest", which.word()) },
            Err(failure) => Outcome::Failed(failure),
        }
    }
}

fn being_told() -> Failure {
    Failure {
        code: "BeingTold".to_owned(),
        message: "another invocation is telling people of it, and has not ended".to_owned(),
        retryable: true,
    }
}

fn already_told() -> Outcome {
    Outcome::AlreadyDone { detail: "people were told of it".to_owned() }
}

fn nobody() -> Outcome {
    Outcome::Skipped { reason: "neither ALERT_TOPIC_ARN nor SLACK_CHANNEL is set".to_owned() }
}

fn id(told: &Told) -> String {
    let id = match told {
        Told::Finding(it) => &it.finding.id,
        Told::Unreadable(it) => &it.event_id,
    };
    text::line(id, 300)
}

fn entry(told: &Told, outcome: &Outcome) -> Entry {
    let (kind, account, how, why) = match told {
        Told::Finding(it) => (&it.finding.kind, it.finding.account.to_string(), it.urgency.to_string(), it.why.clone()),
        Told::Unreadable(Unreadable { kind, account, problems, .. }) => {
            (kind, text::line(account, 40), "unreadable".to_owned(), problems.join("; "))
        }
    };
    Entry {
        finding_id: id(told),
        kind: text::line(kind, 200),
        account,
        how,
        outcome: outcome.word(),
        detail: text::line(&format!("{why}: {}", outcome.detail()), 500),
    }
}
