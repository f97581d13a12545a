//! A request was declined whose identity was denied everything while people were asked: the deny is lifted by the
//! restoring function, as a restore of that one response. The responder can lift nothing.

use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::ledger::slack::News;
use clients::notices::alert;
use clients::round_trips::CallLog;
use domain::approval::request::{Asked, Request, Ruling, State, Struck};
use domain::approval::words::{self, Alert, LiftFailed};
use domain::command::{Restore, Subject};
use domain::decision::Decision;
use domain::finding::Principal;
use domain::identity::IdentityKind;
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::restoration::report::{Report, Verdict};
use domain::settings::Restorer;
use domain::text;

use crate::invocation::{Call, now_millis};
use crate::restore::restore;
use crate::slack::{self, Poster};

/// In one run: the next one comes in a minute.
const MOST: i32 = 10;
const PAUSE: i64 = 60_000;
/// What fails is tried again as long after as it has failed for, at most so long.
const LONGEST_PAUSE: i64 = 30 * 60_000;
/// What fails for as long is given up, with a word.
const GIVEN_UP: i64 = 24 * 3_600_000;
/// What one restore needs at the least.
const ENOUGH: Duration = Duration::from_secs(20);

/// What has to be tried again.
pub(crate) async fn lift_declined(aws: &Aws, settings: &Restorer, call: &Call) -> Vec<String> {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let ids = match ledger.requests_to_lift(MOST).await {
        Ok(it) => it,
        Err(failure) => return vec![format!("listing what was declined: {failure}")],
    };
    let mut failed = Vec::new();
    for id in ids {
        if call.left() < ENOUGH {
            break;
        }
        if let Err(failure) = lift(aws, &home, &ledger, settings, call, &id).await {
            failed.push(format!("request {id}: {failure}"));
        }
    }
    failed
}

/// One request that was declined.
struct Lift<'a> {
    home: &'a Home,
    ledger: &'a Ledger,
    settings: &'a Restorer,
    call: &'a Call,
    id: &'a RequestId,
    request: &'a Request,
    asked: &'a Asked,
    struck: &'a Struck,
}

async fn lift(
    aws: &Aws,
    home: &Home,
    ledger: &Ledger,
    settings: &Restorer,
    call: &Call,
    id: &RequestId,
) -> Result<(), Failure> {
    if !ledger.take_lift(id, now_millis() + PAUSE).await? {
        return Ok(());
    }
    let Some(request) = ledger.request(id).await? else { return Ok(()) };
    let is_declined = request.ended == Some(State::Declined);
    let (Some(asked), Some(ruling @ Ruling { decision: Decision::Decline, .. }), true) =
        (&request.asked, &request.ruling, is_declined)
    else {
        return ledger.note_lifted(id, "not declined").await;
    };
    let Some(struck) = &asked.struck else { return ledger.note_lifted(id, "nothing to lift").await };
    let it = Lift { home, ledger, settings, call, id, request: &request, asked, struck };
    if let Some(verdict) = &request.lifted {
        return it.tell(verdict).await;
    }
    let kept = ledger.kept_by_id(&asked.finding.account, &asked.target.id).await?;
    match kept.responses.iter().find(|it| it.id == struck.response) {
        // An earlier run did it, and ended before it could say so.
        None if kept.restored.as_ref().is_some_and(|it| it.reason == reason(id)) => it.tell("Restored").await,
        // Somebody contained it since: a decline takes back no more than what was done while people were asked.
        Some(response) if !response.only_denies() => {
            it.give_up("Refused", "more was done since, under the same response", &[]).await
        }
        _ => it.restore(aws, &command(asked, ruling, &struck.response, id)).await,
    }
}

impl Lift<'_> {
    async fn restore(&self, aws: &Aws, command: &Restore) -> Result<(), Failure> {
        let (report, failed) = restore(aws, self.settings, command, self.call).await;
        let verdict = format!("{:?}", report.verdict);
        match report.verdict {
            Verdict::Restored | Verdict::NothingToDo if failed.is_empty() => {
                self.ledger.note_lifted(self.id, &verdict).await
            }
            // Its own alert may not have been sent.
            Verdict::Restored | Verdict::NothingToDo => {
                self.ledger.put_lift_off(self.id, now_millis() + PAUSE, Some(&verdict)).await?;
                Err(Failure { code: "NotTold".to_owned(), message: failed.join("; "), retryable: true })
            }
            Verdict::Observed => {
                let why = "the restoring function's mode is `observe`: it changes nothing";
                self.give_up(&verdict, why, &report.drift).await
            }
            Verdict::InProgress | Verdict::NotRestored if self.fails_for() > GIVEN_UP => {
                let facts = [failed, report.drift].concat();
                self.publish(&self.failed(&report.reason, &facts, true)).await?;
                self.ledger.note_lifted(self.id, &verdict).await
            }
            // Another is at it, and nothing failed: it is looked at again in a minute.
            Verdict::InProgress => Ok(()),
            Verdict::NotRestored => self.try_again(&report, &failed).await,
            // Of who changed meanwhile nobody knows what is in force.
            Verdict::Drifted => {
                self.publish(&self.failed(&report.reason, &report.drift, true)).await?;
                self.ledger.note_lifted(self.id, &verdict).await
            }
            Verdict::Refused => self.give_up(&verdict, &report.reason, &report.drift).await,
        }
    }

    /// People are told of each trouble once, and it is tried again ever more rarely.
    async fn try_again(&self, report: &Report, failed: &[String]) -> Result<(), Failure> {
        let at = now_millis() + self.fails_for().clamp(PAUSE, LONGEST_PAUSE);
        // Whom a write met by the name is in what failed, and not in the reason.
        let trouble = trouble(&[std::slice::from_ref(&report.reason), failed].concat().join("; "));
        if self.request.lift_trouble.as_ref() == Some(&trouble) {
            tracing::warn!(request = self.id.as_str(), "what was declined is not lifted yet: {}", report.reason);
            return self.ledger.put_lift_off(self.id, at, None).await;
        }
        self.publish(&self.failed(&report.reason, failed, false)).await?;
        self.ledger.note_lift_trouble(self.id, at, &trouble).await
    }

    fn fails_for(&self) -> i64 {
        let now = now_millis();
        now - self.request.ended_at.unwrap_or(now)
    }

    fn failed(&self, why: &str, facts: &[String], is_given_up: bool) -> Alert {
        words::lift_failed(self.id, self.asked, &LiftFailed { why, facts, is_given_up })
    }

    /// It is lifted, and over once people were told.
    async fn tell(&self, verdict: &str) -> Result<(), Failure> {
        let alert = words::lifted(self.id, self.asked, self.struck.barrier, verdict);
        if let Err(failure) = self.publish(&alert).await {
            self.ledger.put_lift_off(self.id, now_millis() + PAUSE, Some(verdict)).await?;
            return Err(failure);
        }
        self.ledger.note_lifted(self.id, verdict).await
    }

    /// A person has to look at it.
    async fn give_up(&self, verdict: &str, why: &str, drift: &[String]) -> Result<(), Failure> {
        let alert = words::not_lifted(self.id, self.asked, self.struck.barrier, why, drift);
        self.publish(&alert).await?;
        self.ledger.note_lifted(self.id, verdict).await
    }

    async fn publish(&self, it: &Alert) -> Result<(), Failure> {
        let published = async {
            let topic = self.settings.common.alert_topic_arn.as_ref()?;
            Some(alert::publish(&self.home.sns, topic, &it.subject, &it.text, &it.attributes).await)
        };
        let posted = async {
            let poster = Poster::new(self.home, &self.settings.common, None)?;
            let thread = domain::slack::thread_of_id(&self.asked.finding.account, &self.asked.target.id);
            let told = slack::told(&it.subject, &it.text, &self.call.request_id);
            Some(poster.post(&thread, told, News { words: &it.subject, can_be_old: true }).await)
        };
        let (published, posted) = tokio::join!(published, posted);
        let failed = published.into_iter().chain(posted).find_map(|it| match it {
            Outcome::Failed(failure) => Some(failure),
            _ => None,
        });
        failed.map_or(Ok(()), Err)
    }
}

/// The same trouble again has other times and numbers.
fn trouble(reason: &str) -> String {
    text::line(reason, 500).chars().filter(|it| !it.is_ascii_digit()).collect()
}

/// What the restore says in the ledger, by which it is known again.
fn reason(id: &RequestId) -> String {
    format!("request {id} was declined")
}

fn command(asked: &Asked, ruling: &Ruling, response: &str, id: &RequestId) -> Restore {
    let unique_id = Some(asked.target.id.clone());
    let principal = match asked.target.kind {
        IdentityKind::User => Principal::User { name: None, id: unique_id },
        IdentityKind::Role => Principal::Role { name: None, id: unique_id, session: None },
    };
    let (account, partition) = (asked.finding.account.clone(), asked.finding.partition.clone());
    Restore {
        subject: Subject { account, partition, principal },
        reason: reason(id),
        by: ruling.by.clone(),
        response: Some(response.to_owned()),
        force: false,
        children: false,
        is_lift: true,
    }
}
