//! A fire drill: a user of our own is reported, and its key must stop working; or it is only made, by somebody who is
//! no trusted creator, and CloudTrail's own word of it must lead to the same.
//!
//! Everything but the finding is real: the rules, the buses, the functions, their roles, the account. A responder
//! whose rule never fires would otherwise go unnoticed until the day it is needed.

use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::events;
use clients::iam::drill_user::{AsHolder, DrillUsers};
use clients::ledger::Ledger;
use clients::notices::alert;
use clients::round_trips::CallLog;
use domain::command::DrillKind;
use domain::containment::report::millis;
use domain::identity::Identity;
use domain::ids::{AccessKeyId, AccountId, Partition};
use domain::outcome::{Failure, Outcome};
use domain::settings::Driller;
use domain::sources::drill::{DETAIL_TYPE, SOURCE};
use serde::Serialize;
use serde_json::json;

use crate::invocation::Call;
use crate::metrics;
use crate::slack::{self, Poster};

/// How long a new key takes to work, and how long containment may take to be seen.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);
/// How long it may take from the creation of a user to its containment: CloudTrail's events come after seconds to
/// minutes.
const UNTIL_TOLD: Duration = Duration::from_secs(180);
/// IAM's hosts learn of a change one after the other: one refusal alone says little.
const REFUSALS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    Passed,
    Failed,
}

/// Others read these names: changing one is a line in the CHANGELOG.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Absent when the last drill is young enough, and none was held.
    pub verdict: Option<Verdict>,
    /// `reported` or `created`.
    pub kind: &'static str,
    pub reason: String,
    pub user: Option<String>,
    /// From the event, or the creation of the user, to the first of the refusals that lasted, by using the key.
    pub key_stopped_after_ms: Option<u64>,
    pub days_since_passed: Option<f64>,
}

/// Where its failures wait for Slack.
const IN_SLACK: &str = "drill";

struct Drill<'a> {
    kind: DrillKind,
    home: &'a Home,
    ledger: &'a Ledger,
    users: &'a DrillUsers,
    account: &'a AccountId,
    partition: &'a Partition,
    /// No two drills have the same.
    id: &'a str,
    user: &'a str,
}

pub(crate) async fn drill(
    aws: &Aws,
    settings: &Driller,
    kind: DrillKind,
    if_older_than_days: f64,
    call: &Call,
) -> (Report, Vec<String>) {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let mut report = Report { kind: kind.word(), ..Report::default() };
    let mut failed = Vec::new();
    match ledger.last_drill(kind).await {
        Ok(last) => report.days_since_passed = last.map(days_since),
        Err(failure) => failed.push(format!("reading when the last drill passed: {failure}")),
    }
    // A little early rather than a day late: the schedule does not come to the second.
    if report.days_since_passed.is_some_and(|it| it + 0.1 < if_older_than_days) {
        report.reason = "the last drill is young enough".to_owned();
    } else {
        let held =
            tokio::time::timeout(call.left().mul_f64(0.9), hold(&home, &ledger, settings, kind, call, &mut report))
                .await;
        match held.unwrap_or_else(|_| Err("the time ran out".to_owned())) {
            Ok(()) => {
                report.verdict = Some(Verdict::Passed);
                report.reason = "the key stopped working, and the ledger says `Contained`".to_owned();
                report.days_since_passed = Some(0.0);
            }
            Err(reason) => {
                report.verdict = Some(Verdict::Failed);
                report.reason.clone_from(&reason);
                failed.push(format!("the drill failed: {reason}"));
                failed.extend(tell(&home, settings, &report, call).await);
            }
        }
    }
    tracing::info!(
        report = serde_json::to_string(&report).unwrap_or_default(),
        "drill {:?}: {}",
        report.verdict,
        report.reason
    );
    let has_passed = report.verdict.map(|it| it == Verdict::Passed);
    metrics::log(Some(metrics::of_drill(kind, has_passed, report.key_stopped_after_ms, report.days_since_passed)));
    (report, failed)
}

fn days_since(millis: i64) -> f64 {
    let now = DateTime::from(SystemTime::now()).to_millis().unwrap_or_default();
    Duration::from_millis(u64::try_from(now - millis).unwrap_or_default()).as_secs_f64() / 86_400.0
}

async fn hold(
    home: &Home,
    ledger: &Ledger,
    settings: &Driller,
    kind: DrillKind,
    call: &Call,
    report: &mut Report,
) -> Result<(), String> {
    let account = settings.drill_account.as_ref().ok_or("DRILL_ACCOUNT is not set")?;
    let partition = Partition::of_region(&settings.common.region);
    let id = &call.request_id;
    let user = DrillUsers::name(kind, id);
    let iam = home.assume_for_drills(&settings.common, account, &partition, kind, &user).await;
    let users = DrillUsers::new(iam.map_err(|it| it.to_string())?);
    let drill = Drill { kind, home, ledger, users: &users, account, partition: &partition, id, user: &user };
    // What an earlier one left, if it was cut off.
    users.remove_all(kind).await.map_err(|it| format!("removing what an earlier drill left: {it}"))?;
    let played = tokio::time::timeout(call.left().mul_f64(0.75), drill.play(report)).await;
    let result = played.unwrap_or_else(|_| Err("the time ran out".to_owned()));
    // Also after a failure: its key may still work.
    let removed = users.remove_all(kind).await.map_err(|it| format!("removing the drill's user: {it}"));
    result.and(removed)?;
    let now = DateTime::from(SystemTime::now()).to_millis().unwrap_or_default();
    ledger.keep_drill(kind, now).await.map_err(|it| format!("keeping when it passed: {it}"))
}

impl Drill<'_> {
    async fn play(&self, report: &mut Report) -> Result<(), String> {
        let name = self.user;
        report.user = Some(name.to_owned());
        let made = Instant::now();
        let created = self.users.create(name, self.partition).await;
        let identity = created.map_err(|it| format!("creating the drill's user: {it}"))?;
        let key = self.users.create_key(name).await.map_err(|it| format!("creating its access key: {it}"))?;
        let own = AsHolder::new(self.home.iam_of(&key.id, &key.secret));
        if self.kind == DrillKind::Created {
            // It may be contained before the key ever worked: that the ledger says so comes first.
            let contained = self.wait_for_the_verdict(&identity, UNTIL_TOLD).await;
            contained.map_err(|it| format!("that the user was made did not lead to its containment: {it}"))?;
            report.key_stopped_after_ms = Some(wait_until_it_is_refused(&own, name, made).await?);
            return Ok(());
        }
        self.wait_until_it_works(&own, name).await?;

        let began = Instant::now();
        let sent = self.raise_alarm(&identity, &key.id).await;
        sent.map_err(|it| format!("sending the event: {it}"))?;
        report.key_stopped_after_ms = Some(wait_until_it_is_refused(&own, name, began).await?);
        self.wait_for_the_verdict(&identity, PATIENCE).await
    }

    async fn wait_until_it_works(&self, own: &AsHolder, name: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            match own.is_refused(name).await {
                Ok(false) => return Ok(()),
                _ if Instant::now() < end => tokio::time::sleep(PAUSE).await,
                Ok(true) => return Err("the key did not work before anything was contained".to_owned()),
                Err(failure) => return Err(format!("trying the key: {failure}")),
            }
        }
    }

    async fn raise_alarm(&self, identity: &Identity, access_key: &AccessKeyId) -> Result<(), Failure> {
        let detail = json!({
            "id": format!("drill/{}", self.id),
            "account": self.account,
            "user": identity.name,
            "userId": identity.id,
            "accessKeyId": access_key,
            "time": DateTime::from(SystemTime::now()).to_string(),
        });
        events::put(self.home, SOURCE, DETAIL_TYPE, &detail).await
    }

    /// Until the responder is through: it must not see its user vanish.
    async fn wait_for_the_verdict(&self, identity: &Identity, patience: Duration) -> Result<(), String> {
        let end = Instant::now() + patience;
        loop {
            let kept = self.ledger.kept(identity).await.map_err(|it| format!("reading the ledger: {it}"))?;
            match kept.verdict {
                Some(domain::verdict::Verdict::Contained) => return Ok(()),
                Some(other) => return Err(format!("the responder's verdict is `{}`", other.name())),
                None if Instant::now() < end => tokio::time::sleep(PAUSE * 2).await,
                None => return Err("the ledger has no verdict".to_owned()),
            }
        }
    }
}

/// In milliseconds, up to the first of the refusals that lasted.
async fn wait_until_it_is_refused(own: &AsHolder, name: &str, began: Instant) -> Result<u64, String> {
    let (mut refused, end) = (Vec::new(), Instant::now() + PATIENCE);
    while Instant::now() < end {
        match own.is_refused(name).await {
            Ok(true) => refused.push(began.elapsed()),
            Ok(false) => refused.clear(),
            // Neither way: AWS did not answer.
            Err(_) => {}
        }
        if let (Some(first), true) = (refused.first(), refused.len() >= REFUSALS) {
            return Ok(millis(*first));
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(format!("the key was not seen to be refused for good within {} s of the event", PATIENCE.as_secs()))
}

async fn tell(home: &Home, settings: &Driller, report: &Report, call: &Call) -> Vec<String> {
    let subject = "iam-responder: DRILL FAILED";
    let message = format!(
        "The responder did not do what it is there for: {}.\n\nDrill: {}\nUser: {}\nSee docs/operations.md, `DrillAlarm`.",
        report.reason,
        report.kind,
        report.user.as_deref().unwrap_or("none was made")
    );
    let attributes = [("playbook", "drill".to_owned()), ("verdict", "Failed".to_owned())];
    let published = async {
        let topic = settings.common.alert_topic_arn.as_ref()?;
        Some(alert::publish(&home.sns, topic, subject, &message, &attributes).await)
    };
    let posted = async {
        let poster = Poster::new(home, &settings.common, None)?;
        Some(poster.post_apart(IN_SLACK, slack::told(subject, &message, &call.request_id)).await)
    };
    let (published, posted) = tokio::join!(published, posted);
    let failure = |outcome| match outcome {
        Outcome::Failed(failure) => Some(format!("telling that the drill failed: {failure}")),
        _ => None,
    };
    published.into_iter().chain(posted).filter_map(failure).collect()
}
