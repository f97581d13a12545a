//! A fire drill: a user of our own is reported, and its key must stop working.
//!
//! Everything but the finding is real: the rule, the responder, its roles, the account. A responder
//! whose rule never fires would otherwise go unnoticed until the day it is needed.

use std::time::{Duration, Instant, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_sdk_iam::Client;
use aws_smithy_types::DateTime;
use serde::Serialize;
use serde_json::json;

use crate::accounts::Home;
use crate::action::{Failure, Outcome};
use crate::aws_error::{self, failure, incomplete};
use crate::calls::CallLog;
use crate::config::Config;
use crate::decode::drill::{DETAIL_TYPE, SOURCE};
use crate::escalate::send_alert;
use crate::finding::{AccountId, Parse, Partition, PrincipalName, UniqueId};
use crate::guard::DRILL_PATH;
use crate::identity::{Identity, IdentityKind};
use crate::ledger::Ledger;
use crate::metrics;
use crate::report::millis;
use crate::respond::Call;

/// Every IAM action of the role in the account for drills.
pub const PERMISSIONS: &[&str] = &[
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateUser",
    "iam:DeleteAccessKey",
    "iam:DeleteUser",
    "iam:DetachUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListUsers",
];

/// What the drill's user may do before: enough to see that its key works, and harmless.
const POLICY: &str = "IAMReadOnlyAccess";

/// How long a new key takes to work, and how long containment may take to be seen.
const PATIENCE: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(250);
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
    pub reason: String,
    pub user: Option<String>,
    /// From the event to the first of the refusals that lasted, by using the key.
    pub key_stopped_after_ms: Option<u64>,
    pub days_since_passed: Option<f64>,
}

struct Drill<'a> {
    home: &'a Home,
    ledger: &'a Ledger,
    iam: &'a Client,
    account: &'a AccountId,
    partition: &'a Partition,
    /// No two drills have the same.
    id: &'a str,
}

pub async fn drill(sdk: &SdkConfig, config: &Config, if_older_than_days: f64, call: &Call) -> (Report, Vec<String>) {
    let home = Home::new(sdk, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &config.ledger_table, &call.request_id);
    let mut report = Report::default();
    let mut failed = Vec::new();
    match ledger.last_drill().await {
        Ok(last) => report.days_since_passed = last.map(days_since),
        Err(failure) => failed.push(format!("reading when the last drill passed: {failure}")),
    }
    // A little early rather than a day late: the schedule does not come to the second.
    if report.days_since_passed.is_some_and(|it| it + 0.1 < if_older_than_days) {
        report.reason = "the last drill is young enough".to_owned();
    } else {
        let left = call.deadline.duration_since(SystemTime::now()).unwrap_or_default();
        let held = tokio::time::timeout(left.mul_f64(0.9), hold(&home, &ledger, config, call, &mut report)).await;
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
                failed.extend(alert(&home, config, &report).await);
            }
        }
    }
    tracing::info!(
        report = serde_json::to_string(&report).unwrap_or_default(),
        "drill {:?}: {}",
        report.verdict,
        report.reason
    );
    metrics::log(Some(metrics::of_drill(&report)));
    (report, failed)
}

fn days_since(millis: i64) -> f64 {
    let now = DateTime::from(SystemTime::now()).to_millis().unwrap_or_default();
    Duration::from_millis(u64::try_from(now - millis).unwrap_or_default()).as_secs_f64() / 86_400.0
}

async fn hold(home: &Home, ledger: &Ledger, config: &Config, call: &Call, report: &mut Report) -> Result<(), String> {
    let account = config.drill_account.as_ref().ok_or("DRILL_ACCOUNT is not set")?;
    let partition = Partition::of_region(&config.region);
    let member = home.assume(config, account, &partition).await.map_err(|it| it.to_string())?;
    let drill = Drill { home, ledger, iam: &member.iam, account, partition: &partition, id: &call.request_id };
    // What an earlier one left, if it was cut off.
    drill.remove_all().await.map_err(|it| format!("removing what an earlier drill left: {it}"))?;
    let left = call.deadline.duration_since(SystemTime::now()).unwrap_or_default();
    let played = tokio::time::timeout(left.mul_f64(0.6), drill.play(report)).await;
    let result = played.unwrap_or_else(|_| Err("the time ran out".to_owned()));
    // Also after a failure: its key may still work.
    let removed = drill.remove_all().await.map_err(|it| format!("removing the drill's user: {it}"));
    result.and(removed)?;
    let now = DateTime::from(SystemTime::now()).to_millis().unwrap_or_default();
    ledger.keep_drill(now).await.map_err(|it| format!("keeping when it passed: {it}"))
}

impl Drill<'_> {
    async fn play(&self, report: &mut Report) -> Result<(), String> {
        let name = format!("drill-{}", self.id);
        report.user = Some(name.clone());
        let identity = self.create(&name).await.map_err(|it| format!("creating the drill's user: {it}"))?;
        let created = self.iam.create_access_key().user_name(&name).send().await;
        let key = created.map_err(|it| format!("creating its access key: {}", failure(&it)))?.access_key;
        let key = key.ok_or("CreateAccessKey gave no key")?;
        let own = self.home.iam_of(&key.access_key_id, &key.secret_access_key);
        self.wait_until_it_works(&own, &name).await?;

        let began = Instant::now();
        let sent = self.raise_alarm(&identity, &key.access_key_id).await;
        sent.map_err(|it| format!("sending the event: {it}"))?;
        report.key_stopped_after_ms = Some(wait_until_it_is_refused(&own, &name, began).await?);
        self.wait_for_the_verdict(&identity).await
    }

    async fn create(&self, name: &str) -> Result<Identity, Failure> {
        let request = self.iam.create_user().user_name(name).path(DRILL_PATH);
        let user = request.send().await.map_err(|it| failure(&it))?.user;
        let user = user.ok_or_else(|| incomplete("CreateUser gave no user"))?;
        let policy = format!("arn:{}:iam::aws:policy/{POLICY}", self.partition);
        let attached = self.iam.attach_user_policy().user_name(name).policy_arn(policy).send().await;
        attached.map_err(|it| failure(&it))?;
        Ok(Identity {
            kind: IdentityKind::User,
            name: PrincipalName::parse(name).map_err(|_| incomplete("CreateUser gave an odd name"))?,
            id: UniqueId::parse(&user.user_id).map_err(|_| incomplete("CreateUser gave an odd ID"))?,
            arn: user.arn,
            path: user.path,
            created: Some(user.create_date),
        })
    }

    async fn wait_until_it_works(&self, own: &Client, name: &str) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            match is_refused(own, name).await {
                Ok(false) => return Ok(()),
                _ if Instant::now() < end => tokio::time::sleep(PAUSE).await,
                Ok(true) => return Err("the key did not work before anything was contained".to_owned()),
                Err(failure) => return Err(format!("trying the key: {failure}")),
            }
        }
    }

    async fn raise_alarm(&self, identity: &Identity, access_key: &str) -> Result<(), Failure> {
        let detail = json!({
            "id": format!("drill/{}", self.id),
            "account": self.account,
            "user": identity.name,
            "userId": identity.id,
            "accessKeyId": access_key,
            "time": DateTime::from(SystemTime::now()).to_string(),
        });
        let entry = PutEventsRequestEntry::builder().source(SOURCE).detail_type(DETAIL_TYPE).detail(detail.to_string());
        let sent = self.home.events().put_events().entries(entry.build()).send().await.map_err(|it| failure(&it))?;
        // PutEvents succeeds as a call even where it took nothing.
        match sent.entries().iter().find_map(|it| it.error_code()) {
            Some(code) => Err(Failure { code: code.to_owned(), message: String::new(), retryable: true }),
            None => Ok(()),
        }
    }

    /// Until the responder is through: it must not see its user vanish.
    async fn wait_for_the_verdict(&self, identity: &Identity) -> Result<(), String> {
        let end = Instant::now() + PATIENCE;
        loop {
            let kept = self.ledger.kept(identity).await.map_err(|it| format!("reading the ledger: {it}"))?;
            match kept.verdict.as_deref() {
                Some("Contained") => return Ok(()),
                Some(other) => return Err(format!("the responder's verdict is `{other}`")),
                None if Instant::now() < end => tokio::time::sleep(PAUSE * 2).await,
                None => return Err("the ledger has no verdict".to_owned()),
            }
        }
    }

    /// Every user of drills: only they are under the path.
    async fn remove_all(&self) -> Result<(), Failure> {
        let mut pages = self.iam.list_users().path_prefix(DRILL_PATH).into_paginator().send();
        while let Some(page) = pages.next().await {
            for user in page.map_err(|it| failure(&it))?.users {
                self.remove(&user.user_name).await?;
            }
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), Failure> {
        let keys = self.iam.list_access_keys().user_name(name).send().await.map_err(|it| failure(&it))?;
        for key in keys.access_key_metadata().iter().filter_map(|it| it.access_key_id()) {
            let deleted = self.iam.delete_access_key().user_name(name).access_key_id(key).send().await;
            deleted.map_err(|it| failure(&it))?;
        }
        let attached =
            self.iam.list_attached_user_policies().user_name(name).send().await.map_err(|it| failure(&it))?;
        for policy in attached.attached_policies().iter().filter_map(|it| it.policy_arn()) {
            let detached = self.iam.detach_user_policy().user_name(name).policy_arn(policy).send().await;
            detached.map_err(|it| failure(&it))?;
        }
        self.iam.delete_user().user_name(name).send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}

/// Whether AWS refuses the key what its user may do. `GetCallerIdentity` would say nothing: it always
/// succeeds.
async fn is_refused(own: &Client, name: &str) -> Result<bool, Failure> {
    match own.get_user().user_name(name).send().await {
        Ok(_) => Ok(false),
        Err(error) if aws_error::is(&error, "AccessDenied") || aws_error::is(&error, "InvalidClientTokenId") => {
            Ok(true)
        }
        Err(error) => Err(failure(&error)),
    }
}

/// In milliseconds, up to the first of the refusals that lasted.
async fn wait_until_it_is_refused(own: &Client, name: &str, began: Instant) -> Result<u64, String> {
    let mut refused: Vec<Duration> = Vec::new();
    while began.elapsed() < PATIENCE {
        match is_refused(own, name).await {
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

async fn alert(home: &Home, config: &Config, report: &Report) -> Option<String> {
    let topic = config.alert_topic_arn.as_ref()?;
    let message = format!(
        "The responder did not do what it is there for: {}.\n\nUser: {}\nSee docs/operations.md, `DrillAlarm`.",
        report.reason,
        report.user.as_deref().unwrap_or("none was made")
    );
    let attributes = [("playbook", "drill".to_owned()), ("verdict", "Failed".to_owned())];
    match send_alert(home, topic, "iam-responder: DRILL FAILED", message, &attributes).await {
        Outcome::Failed(failure) => Some(format!("publishing the alert: {failure}")),
        _ => None,
    }
}
