//! A report on one identity: what it could do, what it did, what it left behind.
//!
//! A trip of its own function, with roles that only read: it can't delay, fail or change a containment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::cloudtrail::{By, Span, Trail};
use clients::iam::holdings::{self, Documents};
use clients::iam::resolve::{self, Claimed, Unresolved};
use clients::iam::{IamRead, observe};
use clients::ledger::Ledger;
use clients::notices::alert;
use clients::patience::Patience;
use clients::round_trips::CallLog;
use domain::command::Report;
use domain::containment::guard;
use domain::evidence::answer::Holdings;
use domain::evidence::assume::assumable;
use domain::evidence::before::before;
use domain::evidence::chain::Chain;
use domain::evidence::condition::Context;
use domain::evidence::could::{Asker, Could};
use domain::evidence::facts::{About, Found, Looked};
use domain::evidence::report::Evidence;
use domain::evidence::trail::Event;
use domain::history::Kept;
use domain::identity::{Identity, IdentityKind, Observed};
use domain::ids::{Parse, Partition, Region};
use domain::outcome::{Failure, Outcome};
use domain::settings::Investigator;
use domain::suspects::Suspect;
use serde::Serialize;
use tokio::time::Instant;

use crate::invocation::Call;

/// The first report is to be there within a minute of the containment.
const LOOKING: Duration = Duration::from_secs(40);
/// Roles beyond so many are counted.
const MOST_ROLES: usize = 50;
/// CloudWatch takes an event of 256 KB, in which every quote is escaped.
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html>
const MOST_LOGGED: usize = 100_000;
/// What is created is looked at one by one.
const MOST_LOOKED_AT: usize = 20;

#[derive(Debug, Serialize)]
pub struct Answer {
    pub report: Evidence,
    pub markdown: String,
    pub sha256: String,
    /// Those that came to light by it.
    pub new_suspects: Vec<String>,
}

/// The report, and what failed that must be tried again. A part that can't be read says so in the report.
pub(crate) async fn investigate(
    aws: &Aws,
    settings: &Investigator,
    command: &Report,
    call: &Call,
) -> Result<(Answer, Vec<String>), Failure> {
    if let Some(reason) = guard::refuse_account(&settings.untouchable, &command.subject.account) {
        return Err(Failure { code: "Refused".to_owned(), message: reason, retryable: false });
    }
    let until = Instant::now() + LOOKING.min(call.budget().mul_f64(0.8));
    let home = Home::new(aws, &CallLog::default()).patient(Patience::until(until.into_std()));
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let subject = &command.subject;
    let regions = regions(settings, command);
    let (iam, mut trails) =
        home.assume_to_investigate(&settings.common, &subject.account, &subject.partition, &regions).await?;
    let claimed =
        Claimed { account: &subject.account, principal: &subject.principal, access_key: None, visible_by: None };
    let identity = match resolve::resolve(&iam, claimed).await {
        Ok(found) => found.identity,
        Err(Unresolved::Refused(reason)) => {
            return Err(Failure { code: "NotFound".to_owned(), message: reason, retryable: false });
        }
        Err(Unresolved::Failed(failure)) => return Err(failure),
    };
    let record = Ledger::record_of(&identity);
    let now = DateTime::from(SystemTime::now());
    let from = now.secs().saturating_sub(i64::try_from(settings.lookback.as_secs()).unwrap_or(i64::MAX));
    let span = Span { from: DateTime::from_secs(from), to: now, until };
    let mut unread = Vec::new();
    let ((kept, could), looked, revision) = tokio::join!(
        async {
            let kept = ledger.kept(&identity).await.unwrap_or_else(|failure| {
                unread.push(format!("the ledger, and with it what was contained ({failure})"));
                Kept::default()
            });
            let could = could(&iam, &identity, &kept, &subject.partition).await;
            (kept, could)
        },
        look(&mut trails, &identity, command, span),
        ledger.next_revision(&record)
    );
    let exists = exists(&iam, &looked.events).await;
    let mut failed = Vec::new();
    let revision = revision.unwrap_or_else(|failure| {
        failed.push(format!("counting the reports: {failure}"));
        1
    });
    let seconds = |time: Option<DateTime>| time.map(|it| it.secs());
    let about = About {
        identity: &identity,
        account: &subject.account,
        from,
        to: now.secs(),
        since: seconds(command.since),
        detected: seconds(command.detected),
        revision,
    };
    let found = Found {
        kept: &kept,
        could,
        events: looked.events,
        sessions: looked.chain.links(),
        looked: looked.looked,
        unread,
        exists,
    };
    let report = Evidence::of(&about, found);
    let new = if kept.responses.is_empty() {
        Vec::new()
    } else {
        keep(&ledger, &record, report.suspects()).await.unwrap_or_else(|failure| {
            failed.push(format!("keeping the suspects: {failure}"));
            Vec::new()
        })
    };
    if let Err(failure) = ledger.keep_evidence(&record, &report.gist().to_string()).await {
        failed.push(format!("keeping the gist: {failure}"));
    }
    if let Some(topic) = &settings.common.alert_topic_arn {
        let (title, text) = report.message(&new);
        let attributes = [
            ("kind", "evidence".to_owned()),
            ("account", subject.account.to_string()),
            ("risk", report.risk.level.word().to_owned()),
        ];
        if let Outcome::Failed(failure) = alert::publish(&home.sns, topic, &title, &text, &attributes).await {
            failed.push(format!("telling people: {failure}"));
        }
    }
    log(&report);
    let new_suspects = new.into_iter().map(|it| it.words).collect();
    Ok((Answer { markdown: report.markdown(), sha256: report.sha256(), new_suspects, report }, failed))
}

/// Where IAM's events are, the finding's, our own, and those that the operator named: each once.
fn regions(settings: &Investigator, command: &Report) -> Vec<Region> {
    let iam = match command.subject.partition.as_str() {
        "aws" => "us-east-1",
        "aws-us-gov" => "us-gov-west-1",
        "aws-cn" => "cn-north-1",
        _ => settings.common.region.as_str(),
    };
    let mut all: Vec<_> = Region::parse(iam).into_iter().collect();
    let named = settings.regions.iter().chain([&command.region, &settings.common.region]);
    for region in named.filter(|it| Partition::of_region(it) == command.subject.partition) {
        if !all.contains(region) {
            all.push(region.clone());
        }
    }
    all
}

/// Everything that decides, as it was before containment.
async fn could(iam: &IamRead, identity: &Identity, kept: &Kept, partition: &Partition) -> Could {
    let now = observe::observe(iam, identity, false).await;
    let before = before(kept, &now, &partition.deny_all_policy());
    let (Documents { policies, boundary, unread }, trusts) =
        tokio::join!(holdings::documents(iam, identity, &before), holdings::trusts(iam));
    let limits = boundary.into_iter().map(|it| vec![it]).collect();
    let holdings = Holdings { policies, limits, context: context(identity, &now), unread };
    let Ok(account) = domain::ids::AccountId::parse(domain::ids::Arn::parse(&identity.arn).map_or("", |it| it.account))
    else {
        return Could::not_known("the identity's ARN has no account");
    };
    let mut could = Asker { holdings: &holdings, account: &account, partition, arn: &identity.arn }.ask();
    could.notes = before.notes;
    match trusts {
        Ok(all) => {
            let others = all.iter().filter(|(role, _)| *role != identity.arn);
            could.roles = others.filter_map(|(role, trust)| assumable(&holdings, &identity.arn, role, trust)).collect();
            could.more_roles = could.roles.len().saturating_sub(MOST_ROLES);
            could.roles.truncate(MOST_ROLES);
        }
        Err(error) => could.unread.push(format!("whom roles trust ({})", error.why)),
    }
    could
}

/// What every request of the identity has: its attacker chooses the rest.
fn context(identity: &Identity, now: &Observed) -> Context {
    let mut context = Context::default()
        .with("aws:PrincipalArn", &[&identity.arn])
        .with("aws:PrincipalAccount", &[domain::ids::Arn::parse(&identity.arn).map_or("", |it| it.account)])
        .with("aws:SecureTransport", &["true"]);
    context = match identity.kind {
        IdentityKind::User => context
            .with("aws:username", &[identity.name.as_str()])
            .with("aws:userid", &[identity.id.as_str()])
            .with("aws:PrincipalType", &["User"]),
        IdentityKind::Role => context.without("aws:username").with("aws:PrincipalType", &["AssumedRole"]),
    };
    let Ok(profile) = &now.profile else { return context };
    // A role's session may bring tags of its own.
    if identity.kind == IdentityKind::User {
        context = context.complete("aws:PrincipalTag/");
        for (key, value) in &profile.tags {
            context = context.with(&format!("aws:PrincipalTag/{key}"), &[value]);
        }
    }
    context
}

/// What CloudTrail has.
#[derive(Default)]
struct LookedUp {
    events: Vec<Event>,
    chain: Chain,
    looked: Vec<Looked>,
}

/// The identity first, then the sessions that it made, and those that they made: each in every region, the regions
/// side by side.
async fn look(trails: &mut [Trail], identity: &Identity, command: &Report, span: Span) -> LookedUp {
    let account = command.subject.account.as_str();
    let mut by: Vec<By> = match identity.kind {
        IdentityKind::User => vec![By::Username(identity.name.to_string())],
        // Its name finds nothing: the events by which it was assumed name the keys.
        IdentityKind::Role => vec![By::Resource(identity.arn.clone())],
    };
    by.extend(command.access_key.iter().map(|it| By::AccessKey(it.to_string())));
    let mut found = LookedUp::default();
    let mut known: BTreeMap<String, Event> = BTreeMap::new();
    let mut assumed = Chain::default();
    while !by.is_empty() {
        let each = trails.iter_mut().map(|trail| async {
            let mut pages = Vec::new();
            for one in &by {
                pages.push((trail.region.clone(), one.to_string(), trail.look_up(one, span).await));
            }
            pages
        });
        for (region, words, page) in futures_util::future::join_all(each).await.into_iter().flatten() {
            let (events, pages) = (page.events.len(), page.pages);
            found.looked.push(Looked { region, by: words, events, pages, missing: page.missing });
            known.extend(page.events.into_iter().map(|it| (it.id.clone(), it)));
        }
        // Who assumed the role is somebody else, whose sessions are the role's own all the same.
        let of_role = |it: &&Event| {
            identity.kind == IdentityKind::Role
                && it.minted.as_ref().is_some_and(|it| it.role.as_deref() == Some(identity.arn.as_str()))
        };
        assumed.add(&known.values().filter(of_role).collect::<Vec<_>>(), account);
        let keys = found.chain.keys();
        let own: Vec<&Event> = known.values().filter(|it| it.is_by(identity, &keys)).collect();
        found.chain.add(&own, account);
        let next: BTreeSet<String> = assumed.take_next().into_iter().chain(found.chain.take_next()).collect();
        if Instant::now() >= span.until {
            for key in &next {
                found.chain.give_up(key, OUT_OF_TIME);
                found.looked.push(not_looked(key, OUT_OF_TIME));
            }
            break;
        }
        by = next.into_iter().map(By::AccessKey).collect();
    }
    for link in assumed.links() {
        found.looked.extend(link.not_followed.map(|why| not_looked(&link.key, &why)));
    }
    let keys = found.chain.keys();
    found.events = known.into_values().filter(|it| it.is_by(identity, &keys)).collect();
    found
}

const OUT_OF_TIME: &str = "the time ran out";

fn not_looked(key: &str, why: &str) -> Looked {
    let by = By::AccessKey(key.to_owned()).to_string();
    Looked { region: "every region".to_owned(), by, events: 0, pages: 0, missing: Some(why.to_owned()) }
}

/// Whether the users and roles that it created are still there, by their unique IDs.
async fn exists(iam: &IamRead, events: &[Event]) -> Vec<(String, String)> {
    let created = events.iter().filter_map(|event| {
        let trace = event.trace.as_ref()?;
        let kind = match trace.what {
            "created user" => "user",
            "created role" => "role",
            _ => return None,
        };
        Some((event.id.clone(), kind, trace.object.clone(), trace.unique_id.clone()?))
    });
    let each = created
        .take(MOST_LOOKED_AT)
        .map(async |(event, kind, name, id)| (event, holdings::still_there(iam, kind, &name, &id).await));
    futures_util::future::join_all(each).await
}

/// Those that are not known yet, and that no person closed. A verdict that ended stays as it is.
async fn keep(ledger: &Ledger, record: &str, found: Vec<Suspect>) -> Result<Vec<Suspect>, Failure> {
    if found.is_empty() {
        return Ok(found);
    }
    let mut suspects = ledger.open_suspects(record).await?;
    let new = suspects.add(found);
    if !new.is_empty() || suspects.more > 0 {
        ledger.keep_suspects(record, &new, suspects.more).await?;
    }
    Ok(new)
}

fn log(report: &Evidence) {
    let json = serde_json::json!(report).to_string();
    let (report_json, is_whole) =
        if json.len() <= MOST_LOGGED { (json, true) } else { (report.gist().to_string(), false) };
    tracing::info!(
        account = report.account,
        risk = report.risk.level.word(),
        sha256 = report.sha256(),
        is_whole,
        evidence = report_json,
        "evidence: {}",
        report.summary.join(" ")
    );
}
