//! What is due: findings that wait for their turn, that somebody could not be told of, or whose response was
//! killed. Each is taken up anew, and checked anew, as if it came for the first time.
//!
//! A schedule asks every minute: whoever puts a finding on the list needs to wake nobody, so that a crash
//! between the two loses nothing.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::slack::News;
use clients::ledger::{Due, Kind, Ledger, Listed};
use clients::notices::alert;
use clients::round_trips::CallLog;
use domain::command::DropDeferred;
use domain::containment::admission::DEFERRED_MILLIS;
use domain::containment::grouping::Group;
use domain::containment::message::{self, WasDone};
use domain::containment::relay::Relay;
use domain::containment::report::Report;
use domain::finding::Principal;
use domain::history::{InForce, Kept};
use domain::outcome::{Failure, Outcome};
use domain::settings::{Mode, Responder};
use domain::verdict::Verdict;
use futures_util::StreamExt;
use futures_util::stream::{self, FuturesUnordered};

use crate::acknowledge;
use crate::approvals;
use crate::children;
use crate::contain::contain;
use crate::contain::turns::Turns;
use crate::guardrail;
use crate::invocation::Call;
use crate::invocation::now_millis;
use crate::reports_due;
use crate::slack::{self, Poster};

/// How many are taken up side by side, and of each kind in one run: the next run comes in a minute.
const PARALLEL: usize = 8;
const MOST: i32 = 50;
/// How far the list of deferred findings is read for one that there is room for.
const MOST_DEFERRED: i32 = 500;
/// The longest pause between two attempts.
const LONGEST_PAUSE: i64 = 30 * 60_000;
/// How long a run sends what Slack is to get: the next one goes on.
const FOR_SLACK: Duration = Duration::from_secs(45);
/// How long one that was put off keeps the next from its place.
const FOR_ITS_PLACE: Duration = Duration::from_secs(10);
/// Why a finding is given up.
const NO_ROOM: &str = "it waited for 24 h, and there was never room";
/// What one attempt needs at the least.
const ENOUGH: Duration = Duration::from_secs(30);

/// One run.
struct Run<'a> {
    aws: &'a Aws,
    home: &'a Home,
    ledger: &'a Ledger,
    settings: &'a Responder,
    call: &'a Call,
}

/// Takes up what is due: the reports, and what is wrong with the list itself. A finding that fails again
/// stays on the list.
pub(crate) async fn take_up(aws: &Aws, settings: &Responder, call: &Call) -> Ended {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let run = Run { aws, home: &home, ledger: &ledger, settings, call };
    let poster = Poster::asking(&home, settings, false);
    let for_slack = async {
        match &poster {
            Some(poster) => poster.deliver_due(call.left().mul_f64(0.5).min(FOR_SLACK)).await,
            None => Vec::new(),
        }
    };
    // Beside each other: none waits for another.
    let for_reports = reports_due::ask(&home, &ledger, settings);
    let for_others = acknowledge::due(&home, &ledger, settings, call);
    let guardrails = guardrail::look(&home, &ledger, settings, call);
    let for_children = children::look(aws, &home, &ledger, settings, call);
    let ((mut reports, mut failed), unsent, unasked, unrepeated, unseen, (more, unanswered)) =
        tokio::join!(run.all(), for_slack, for_reports, for_others, guardrails, for_children);
    reports.extend(more);
    failed.extend(unsent.into_iter().chain(unasked).chain(unrepeated).chain(unseen).chain(unanswered));
    (reports, failed)
}

/// The reports, and what failed.
type Ended = (Vec<Report>, Vec<String>);

impl Run<'_> {
    /// What is grave first, and what people decided; then the rest, side by side.
    async fn all(&self) -> Ended {
        let (mut reports, mut failed) = self.at_their_time(self.ledger.due_now(MOST).await).await;
        approvals::due(self.aws, self.settings, self.call, &mut reports, &mut failed).await;
        let deferred = async { self.in_their_turn(self.ledger.deferred(MOST_DEFERRED).await).await };
        let lesser = async { self.at_their_time(self.ledger.lesser_due_now(MOST).await).await };
        let (deferred, lesser) = tokio::join!(deferred, lesser);
        for (more, failures) in [deferred, lesser] {
            reports.extend(more);
            failed.extend(failures);
        }
        (reports, failed)
    }
}

/// Gives deferred findings up, with a word to people about each: how many, and what failed.
pub(crate) async fn drop_deferred(
    aws: &Aws,
    settings: &Responder,
    command: &DropDeferred,
    call: &Call,
) -> (usize, Vec<String>) {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let run = Run { aws, home: &home, ledger: &ledger, settings, call };
    let listed = match ledger.deferred(MOST_DEFERRED).await {
        Ok(it) => it,
        Err(failure) => return (0, vec![format!("listing what is deferred: {failure}")]),
    };
    let why = format!("by {}: {}", domain::text::line(&command.by, 200), domain::text::line(&command.reason, 500));
    let (mut dropped, mut failed) = (0, Vec::new());
    for listed in listed.into_iter().filter(|it| it.account == command.account.as_str()) {
        let given_up = async {
            if run.is_meant(command, &listed).await? { run.give_up_listed(&listed, &why).await } else { Ok(false) }
        };
        match given_up.await {
            Ok(is_dropped) => dropped += usize::from(is_dropped),
            Err(failure) => failed.push(format!("dropping {}: {failure}", listed.id)),
        }
    }
    (dropped, failed)
}

impl Run<'_> {
    /// Leases that ran out, notices to deliver, findings that waited: each at its time, side by side.
    async fn at_their_time(&self, listed: Result<Vec<Listed>, Failure>) -> Ended {
        let (mut reports, mut failed) = Ended::default();
        let listed = listed.unwrap_or_else(|failure| {
            failed.push(format!("listing what is due: {failure}"));
            Vec::new()
        });
        let one = |listed: Listed| async move { self.take_one(&listed, &Turns::new(1)).await };
        let ended: Vec<_> = stream::iter(listed).map(one).buffer_unordered(PARALLEL).collect().await;
        for ended in ended {
            match ended {
                Ok(report) => reports.extend(report),
                Err(failure) => failed.push(failure.to_string()),
            }
        }
        (reports, failed)
    }

    /// Deferred findings: the gravest gets its place first, and whoever has one is worked on beside the others. Where
    /// there is no room, the others of the same budget are left for the next run.
    async fn in_their_turn(&self, listed: Result<Vec<Listed>, Failure>) -> Ended {
        let (mut reports, mut failed) = Ended::default();
        let listed = listed.unwrap_or_else(|failure| {
            failed.push(format!("listing what is deferred: {failure}"));
            Vec::new()
        });
        let mut is_full: BTreeSet<(String, String)> = BTreeSet::new();
        let mut ended = Vec::new();
        let mut at_work = FuturesUnordered::new();
        for listed in listed {
            let budget = (listed.account.clone(), listed.threat.clone());
            let has_waited = now_millis() - listed.since > DEFERRED_MILLIS;
            if (is_full.contains(&budget) && !has_waited) || self.call.left() < ENOUGH {
                continue;
            }
            let turns = Arc::new(Turns::new(1));
            let (own, id) = (Arc::clone(&turns), listed.id.clone());
            at_work.push(async move { (listed.id.clone(), self.take_one(&listed, &own).await) });
            let mut placed = pin!(tokio::time::timeout(FOR_ITS_PLACE, turns.all_struck()));
            // The next one's place comes after its.
            loop {
                tokio::select! {
                    biased;
                    has_place = &mut placed => {
                        if has_place == Ok(false) {
                            is_full.insert(budget);
                        }
                        break;
                    }
                    Some((done, one)) = at_work.next() => {
                        ended.push(one);
                        // Nothing was to be done about it.
                        if done == id {
                            break;
                        }
                    }
                }
            }
            while at_work.len() >= PARALLEL {
                ended.extend(at_work.next().await.map(|(_, one)| one));
            }
        }
        ended.extend(at_work.map(|(_, one)| one).collect::<Vec<_>>().await);
        for one in ended {
            match one {
                Ok(report) => reports.extend(report),
                Err(failure) => failed.push(failure.to_string()),
            }
        }
        (reports, failed)
    }

    /// `None`: another run has it, it is not due any more, or there is no time left.
    async fn take_one(&self, listed: &Listed, turns: &Turns) -> Result<Option<Report>, Failure> {
        if self.call.left() < ENOUGH {
            return Ok(None);
        }
        if listed.is_lease() {
            let Some((due, left)) = self.ledger.abandoned(&listed.id).await? else { return Ok(None) };
            let report = self.take(listed, &due, turns).await?;
            if report.is_some() || is_old(&due) {
                self.ledger.forget_lease(&listed.id, &left).await?;
            }
            return Ok(report);
        }
        match self.ledger.take_due(listed, self.call.deadline).await? {
            Some(due) => self.take(listed, &due, turns).await,
            None => Ok(None),
        }
    }

    async fn take(&self, listed: &Listed, due: &Due, turns: &Turns) -> Result<Option<Report>, Failure> {
        let is_observed = self.settings.mode_for(&due.finding) == Mode::Observe;
        if is_old(due) && is_observed {
            return self.give_up(due, "it waited for 24 h, and its playbook only observes").await.map(|()| None);
        }
        // Whoever was contained since needs no room: the finding is answered by that.
        if is_old(due) && due.kind == Kind::Deferred && !self.is_contained(due).await {
            return self.give_up(due, NO_ROOM).await.map(|()| None);
        }
        if is_observed {
            return self.put_off(listed).await.map(|()| None);
        }
        // Two findings about one identity must not pass for one holder of its lease.
        let request_id = format!("{}/{}", self.call.request_id, Ledger::due_id(&due.finding));
        let group = Group { lead: due.finding.clone(), others: Vec::new() };
        let relay = Relay { is_due: true, ..Relay::new(group, request_id) };
        let (reports, failures) = Box::pin(contain(self.aws, self.settings, &relay, self.call, turns)).await;
        let Some(report) = reports.into_iter().next() else { return Ok(None) };
        self.after(listed, due, &report, &failures).await?;
        Ok(Some(report))
    }

    /// What only observes stays on the list, for a person who decides otherwise, and before nobody.
    async fn put_off(&self, listed: &Listed) -> Result<(), Failure> {
        if listed.is_deferred {
            return self.leave(listed).await;
        }
        self.ledger.put_off(listed, now_millis() + LONGEST_PAUSE).await
    }

    async fn leave(&self, listed: &Listed) -> Result<(), Failure> {
        if listed.is_lease() { Ok(()) } else { self.ledger.put_back(&listed.id).await }
    }

    /// Answered, left where it is, or tried again later: twice as long after each attempt, for a day.
    async fn after(&self, listed: &Listed, due: &Due, report: &Report, failures: &[String]) -> Result<(), Failure> {
        match report.verdict {
            Verdict::Deferred if is_old(due) => self.give_up(due, NO_ROOM).await,
            // The response has put it on the list anew.
            Verdict::InProgress | Verdict::Deferred => self.leave(listed).await,
            _ if failures.is_empty() => self.ledger.settle(&due.finding).await,
            _ if is_old(due) => {
                let (verdict, failures) = (report.verdict.name(), failures.join("; "));
                self.give_up(due, &format!("it failed for 24 h, the last time as {verdict}, with: {failures}")).await
            }
            _ => {
                let pause = 60_000_i64.saturating_mul(1 << due.attempts.clamp(0, 10)).min(LONGEST_PAUSE);
                if listed.is_lease() {
                    self.ledger.put_due(&due.finding, Kind::Unfinished, now_millis() + pause).await?;
                }
                self.ledger.try_again(&due.finding, now_millis() + pause).await
            }
        }
    }

    async fn give_up_listed(&self, listed: &Listed, why: &str) -> Result<bool, Failure> {
        let Some(due) = self.ledger.take_due(listed, self.call.deadline).await? else { return Ok(false) };
        self.give_up(&due, why).await.map(|()| true)
    }

    /// Off the list, once people were told.
    async fn give_up(&self, due: &Due, why: &str) -> Result<(), Failure> {
        let finding = &due.finding;
        let words = message::dropped(finding, why, self.done_about(due).await);
        tracing::error!(finding = finding.id, "{}", words.subject);
        let common = &self.settings.common;
        let published = async {
            let topic = common.alert_topic_arn.as_ref()?;
            Some(alert::publish(&self.home.sns, topic, &words.subject, &words.text, &words.attributes).await)
        };
        let posted = async {
            let poster = Poster::asking(self.home, self.settings, false)?;
            let thread = domain::slack::thread(&finding.account, None, finding);
            let alert = slack::told(&words.subject, &words.text, &self.call.request_id);
            let news = format!("Dropped {}", Ledger::due_id(finding));
            Some(poster.post(&thread, alert, News { words: &news, can_be_old: true }).await)
        };
        let (published, posted) = tokio::join!(published, posted);
        for outcome in published.into_iter().chain(posted) {
            if let Outcome::Failed(failure) = outcome {
                self.ledger.put_back(&Ledger::due_id(finding)).await?;
                return Err(failure);
            }
        }
        self.ledger.settle(finding).await
    }

    /// What the ledger has of whoever the finding names. A finding that was never taken up brought nothing about; but
    /// somebody may have contained them since, or before.
    async fn done_about(&self, due: &Due) -> WasDone {
        let is_untouched = due.kind == Kind::Deferred && due.attempts == 0;
        match self.kept(due).await {
            Ok(Some(kept)) if !kept.responses.is_empty() || kept.is_begun => WasDone::Something(kept.verdict),
            Ok(_) if is_untouched => WasDone::Nothing,
            Ok(Some(kept)) if kept.verdict.is_some() || !kept.applied.is_empty() => WasDone::Something(kept.verdict),
            Ok(Some(_) | None) | Err(_) => WasDone::Unknown,
        }
    }

    /// What is kept of whom a finding was seen to mean, or else of whom it names.
    async fn kept(&self, due: &Due) -> Result<Option<Kept>, Failure> {
        let Some(whom) = &due.whom else { return self.ledger.kept_by_name(&due.finding).await };
        match self.ledger.record_of_name(&due.finding.account, whom).await? {
            Some(record) => self.ledger.kept_of(&record).await.map(Some),
            None => self.ledger.kept_by_name(&due.finding).await,
        }
    }

    /// Whether whom a finding means was contained after it came, and is as far as the ledger knows. Where that can't be
    /// read, people are told that nobody knows.
    async fn is_contained(&self, due: &Due) -> bool {
        let kept = self.kept(due).await.ok().flatten();
        kept.is_some_and(|it| it.quarantined() == InForce::Yes && it.held_at.is_some_and(|at| at > due.since))
    }

    /// Whether a command is about a finding, however that names whom it means.
    async fn is_meant(&self, command: &DropDeferred, listed: &Listed) -> Result<bool, Failure> {
        let Some(principal) = command.principal.as_ref().map(Principal::target_key) else { return Ok(true) };
        Ok(principal == listed.target || self.ledger.deferred_whom(&listed.id).await? == Some(principal))
    }
}

fn is_old(due: &Due) -> bool {
    now_millis() - due.since > DEFERRED_MILLIS
}
