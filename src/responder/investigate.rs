//! A report on one identity: what it could do, what it did, what it left behind.
//!
//! A trip of its own function, with roles that only read: it can't delay, fail or change a containment.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::cloudtrail::Span;
use clients::iam::{IamRead, observe};
use clients::ledger::evidence::Begun;
use clients::ledger::{Ledger, Named};
use clients::patience::Patience;
use clients::round_trips::CallLog;
use domain::child::Followed;
use domain::command::Report;
use domain::containment::guard;
use domain::evidence::children;
use domain::evidence::facts::{About, Found};
use domain::evidence::prose::Prose;
use domain::evidence::remains::Now;
use domain::evidence::report::Evidence;
use domain::evidence::revision::{self, Gist};
use domain::evidence::standing::{self, Standing};
use domain::identity::Observed;
use domain::ids::{Parse, Partition, Region};
use domain::outcome::Failure;
use domain::settings::Investigator;
use domain::suspects::Suspect;
use domain::text;
use serde::Serialize;
use serde_json::Value;
use tokio::time::Instant;

use crate::invocation::Call;

mod accounts;
mod answers;
mod could;
mod look;
mod prose;
mod simulate;
mod store;
mod tell;
mod versions;
mod whom;

use accounts::Accounts;
use whom::Whom;

/// The first report is to be there within a minute of the containment.
const LOOKING: Duration = Duration::from_secs(40);
/// After that, whether what was left behind is still there.
const LOOKING_AFTER: Duration = Duration::from_secs(8);

#[derive(Debug, Serialize)]
pub struct Answer {
    pub report: Value,
    pub markdown: String,
    pub html: String,
    pub sha256: String,
    /// Where its HTML is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<String>,
    /// Those that came to light by it.
    pub new_suspects: Vec<String>,
    /// What could not be done with it: kept, or told.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub failed: Vec<String>,
    /// No part of the report.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prose: Option<Prose>,
}

/// The report, and what failed that nobody tries again. A part that can't be read says so in the report; whoever asked
/// gets it, whatever else could be done with it.
pub(crate) async fn investigate(
    aws: &Aws,
    settings: &Investigator,
    command: &Report,
    call: &Call,
) -> Result<(Answer, Vec<String>), Failure> {
    let (subject, account) = (&command.subject, &command.subject.account);
    if let Some(reason) = guard::refuse_account(&settings.untouchable, account) {
        return Err(Failure { code: "Refused".to_owned(), message: reason, retryable: false });
    }
    let until = Instant::now() + LOOKING.min(call.budget().mul_f64(0.8));
    let home = Home::new(aws, &CallLog::default()).patient(Patience::until(until.into_std()));
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let mut accounts = Accounts::new(&home, settings, &subject.partition, regions(settings, command));
    let entered = accounts.enter(account).await;
    let iam = accounts.iam(account).cloned();
    let mut whom = whom::whom(entered.and(iam.as_ref().ok_or_else(nobody)), &ledger, subject).await?;
    let record = Ledger::record_of(&whom.identity);
    let now = DateTime::from(SystemTime::now());
    let from = now.secs().saturating_sub(i64::try_from(settings.lookback.as_secs()).unwrap_or(i64::MAX));
    let span = Span { from: DateTime::from_secs(from), to: now, until, share: until };
    let seen = observed(iam.as_ref(), &whom).await;
    whom.look_again(&ledger).await;
    let begun = ledger.begin_evidence(&record).await;
    let followed = followed(begun.as_ref().ok(), &whom, command);
    let (could, looked) = tokio::join!(
        could::could(iam.as_ref(), &ledger, &whom, &seen, (account, &subject.partition), until),
        look::look(&mut accounts, &whom, &seen, (command, &followed), span)
    );
    let until = Instant::now() + LOOKING_AFTER.min(call.budget().mul_f64(0.5));
    let exists = look::exists(&accounts, &looked.events, until).await;
    let mut failed = Vec::new();
    if let Err(unread) = &whom.kept {
        failed.push(format!("reading what was contained: {}", unread.why));
    }
    let begun = begun.unwrap_or_else(|failure| {
        failed.push(format!("counting the reports: {failure}"));
        Begun { revision: 1, ..Begun::default() }
    });
    let mut unread = std::mem::take(&mut whom.unread);
    let lacking = lifted(&ledger, &mut whom, &seen, &subject.partition, &mut unread).await;
    let seconds = |time: Option<DateTime>| time.map(|it| it.secs());
    let about = About {
        identity: &whom.identity,
        account,
        from,
        to: now.secs(),
        since: seconds(command.since),
        detected: seconds(command.detected),
        revision: begun.revision,
        again_at: begun.asked_at.and_then(|it| revision::next_pass(it / 1_000, now.secs())),
        gone: whom.is_gone.then(|| look::gone(&whom.identity, looked.deleted)),
    };
    // Who bears the name now was made by another call.
    let is_gone = |it: &Now| matches!(it, Now::Gone | Now::Replaced);
    let gone: BTreeSet<_> = exists.iter().filter(|it| is_gone(&it.1)).map(|it| it.0.clone()).collect();
    let responses: BTreeSet<_> = followed.iter().map(|it| it.response.as_str()).collect();
    let seen_calls = ledger.seen_calls(account, &whom.identity.id, &responses).await.unwrap_or_else(|failure| {
        failed.push(format!("reading what was looked at that it made: {failure}"));
        BTreeSet::new()
    });
    let made = children::made(&looked.events, &followed, about.detected, &gone, &seen_calls);
    let made_by_it = whom.made(&ledger, account).await;
    let found = Found {
        standing: Standing { kept: whom.kept.as_ref().map_err(Clone::clone), lacking, made: made_by_it },
        could,
        events: looked.events,
        sessions: looked.chain.links(),
        looked: looked.looked,
        unread,
        exists,
        before: begun.gist.clone(),
    };
    let report = Evidence::of(&about, found);
    // A report that was asked for is of one that was contained.
    let is_contained = whom.kept.as_ref().map_or(begun.asked_at.is_some(), |it| !it.responses.is_empty());
    let suspects = if is_contained { report.suspects() } else { Vec::new() };
    let new = keep(&ledger, &record, suspects, &begun).await.unwrap_or_else(|failure| {
        failed.push(format!("keeping the suspects: {failure}"));
        Vec::new()
    });
    let link = match store::store(&home, settings, &report).await {
        Ok(link) => link,
        Err(failure) => {
            failed.push(format!("keeping the report: {failure}"));
            None
        }
    };
    let gist = report.gist().after(begun.gist.as_ref());
    let pass = begun.asked_at.map(|it| it + revision::next_pass(it / 1_000, now.secs()).unwrap_or_default());
    let ids: Vec<_> = new.iter().map(|it| it.id.clone()).collect();
    let matter = gist.matter(pass, &ids, link.as_deref());
    // A pass that is made again because something failed is no news by itself.
    let known = if command.detected.is_some() { begun.told.clone() } else { BTreeMap::new() };
    let telling = tell::Telling { home: &home, settings, of: (account, &whom.identity), request_id: &call.request_id };
    let (told, untold) = telling.tell(&report, link.as_deref(), &new, &matter, known).await;
    let is_told = untold.is_empty();
    failed.extend(untold);
    let gist: Option<&Gist> = is_told.then_some(&gist);
    if let Err(failure) = ledger.keep_told(&record, &told, gist, &made).await {
        failed.push(format!("noting what people were told: {failure}"));
    }
    tell::log(&report);
    // What failed is due again as it is.
    if let Some(asked_at) = begun.asked_at.filter(|_| failed.is_empty()) {
        let next = revision::next_pass(asked_at / 1_000, now.secs()).map(|it| it.saturating_mul(1_000));
        if let Err(failure) = ledger.end_evidence(&record, asked_at, next).await {
            failed.push(format!("noting when it is due again: {failure}"));
        }
    }
    let prose = prose::prose(&home, settings, &report, call).await;
    if let Some(prose) = &prose {
        telling.tell_prose(&report, prose).await;
    }
    let new_suspects = new.into_iter().map(|it| it.words).collect();
    for failure in &failed {
        tracing::error!(report = report.id, "not everything succeeded: {}", text::line(failure, 500));
    }
    // The list asks again for what is on it, and a person sees what failed.
    let is_asked_again = begun.asked_at.is_some() || command.detected.is_none();
    let lost = if is_asked_again { Vec::new() } else { failed.clone() };
    Ok((
        Answer {
            markdown: report.markdown_with(prose.as_ref()),
            html: report.html(),
            sha256: report.sha256(),
            link,
            new_suspects,
            failed,
            prose,
            report: report.json(),
        },
        lost,
    ))
}

/// Of which credentials it names what they made, for the responder: those of responses in force, and only where a
/// containment asked for the report. Whoever asks for one to read it has nobody contained by that.
fn followed(begun: Option<&Begun>, whom: &Whom, command: &Report) -> Vec<Followed> {
    let begun = begun.filter(|it| it.asked_at.is_some() && command.detected.is_some());
    let is_in_force = |it: &Followed| {
        whom.kept.as_ref().map_or(true, |kept| kept.responses.iter().any(|response| response.id == it.response))
    };
    begun.iter().flat_map(|it| &it.followed).filter(|it| is_in_force(it)).cloned().collect()
}

fn nobody() -> Failure {
    Failure { code: "NotEntered".to_owned(), message: "the account was not entered".to_owned(), retryable: true }
}

/// What the identity is and has now.
async fn observed(iam: Option<&IamRead>, whom: &Whom) -> Observed {
    match iam {
        _ if whom.is_gone => Observed::gone(),
        Some(iam) => {
            let seen = observe::observe(iam, &whom.identity, false).await;
            observe::with_hold(iam, &whom.identity, seen).await
        }
        None => Observed::nothing_read(),
    }
}

/// What of the containment is not in place any more, in words. What somebody restored meanwhile is none of it.
async fn lifted(
    ledger: &Ledger,
    whom: &mut Whom,
    seen: &Observed,
    partition: &Partition,
    unread: &mut Vec<String>,
) -> Vec<String> {
    let deny_all = partition.deny_all_policy();
    let Some(kept) = whom.kept.as_ref().ok().filter(|_| !whom.is_gone) else { return Vec::new() };
    let (mut lacking, not_read) = standing::lacking(kept, &whom.identity, seen, &deny_all);
    unread.extend(not_read);
    if let Some(kept) = ledger.kept(&whom.identity).await.ok().filter(|_| !lacking.is_empty()) {
        (lacking, _) = standing::lacking(&kept, &whom.identity, seen, &deny_all);
        whom.kept = Ok(kept);
    }
    lacking
}

/// Where IAM's events are first, then the finding's, our own, and those that the operator named, then all that AWS
/// switches on in every account: whoever makes a session chooses in which it is recorded.
fn regions(settings: &Investigator, command: &Report) -> Vec<Region> {
    let iam = command.subject.partition.iam_region().unwrap_or(settings.common.region.as_str());
    let mut all: Vec<_> = Region::parse(iam).into_iter().collect();
    let named = settings.regions.iter().chain([&command.region, &settings.common.region]);
    let default = DEFAULT_REGIONS.iter().filter_map(|it| Region::parse(it).ok());
    let all_named = named.cloned().chain(default);
    for region in all_named.filter(|it| Partition::of_region(it) == command.subject.partition) {
        if !all.contains(&region) {
            all.push(region);
        }
    }
    all
}

/// Those that nobody has to opt into.
/// <https://docs.aws.amazon.com/accounts/latest/reference/manage-acct-regions.html>
const DEFAULT_REGIONS: &[&str] = &[
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "ap-northeast-1",
    "ap-northeast-2",
    "ap-northeast-3",
    "ap-south-1",
    "ap-southeast-1",
    "ap-southeast-2",
    "ca-central-1",
    "eu-central-1",
    "eu-north-1",
    "eu-west-1",
    "eu-west-2",
    "eu-west-3",
    "sa-east-1",
    "us-gov-east-1",
    "us-gov-west-1",
    "cn-north-1",
    "cn-northwest-1",
];

/// Those of whom people are to be told: those that are not known yet, and that no person closed, and those of whom telling
/// failed. A verdict that ended stays as it is.
async fn keep(ledger: &Ledger, record: &str, found: Vec<Suspect>, begun: &Begun) -> Result<Vec<Suspect>, Failure> {
    if found.is_empty() {
        return Ok(found);
    }
    let mut known = ledger.known_suspects(record).await?;
    let mut new = known.add(found.clone());
    if !new.is_empty() {
        let untold = begun.untold.iter().cloned().chain(new.iter().map(|it| it.id.clone())).collect();
        ledger.note_untold(record, &untold).await?;
    }
    if !new.is_empty() || known.more > 0 {
        let named = Named { suspects: new.clone(), more: known.more, more_since: known.more_since, named_at: None };
        ledger.keep_suspects(record, &named).await?;
    }
    let is_untold =
        |it: &Suspect| begun.untold.contains(&it.id) && known.open.contains_key(&it.id) && !new.contains(it);
    let untold: Vec<_> = found.into_iter().filter(is_untold).collect();
    new.extend(untold);
    Ok(new)
}
