//! One account's sweep: its credential report, the few users whom it shows without MFA, and the rows of the ledger.
//! It reads IAM and changes nothing there.

mod organisation;

use std::collections::BTreeMap;
use std::time::{Instant, SystemTime};

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use clients::accounts::{Aws, Home, Member};
use clients::iam::credential_report;
use clients::ledger::Ledger;
use clients::ledger::sweep::{Head, Taken};
use clients::patience::Patience;
use clients::round_trips::CallLog;
use domain::command::Sweep as Command;
use domain::day::Day;
use domain::hygiene::account::{Count, Entry, Sweep, Swept, candidates};
use domain::hygiene::credential_report::{CredentialReport, User, parse};
use domain::hygiene::digest::Summary;
use domain::hygiene::ladder::Memory;
use domain::hygiene::problems::{self, Limits, Problem};
use domain::ids::{AccountId, Partition};
use domain::problem::Kind;
use domain::session_policy::Scope;
use domain::settings::{Responder, Sweeper};
use domain::sources::CreatedUser;
use domain::text;
use serde::Serialize;

use crate::invocation::Call;

pub(crate) use organisation::{begin, end};

/// How many entries an answer shows: a function's answer holds 6 MB.
const MOST_SHOWN: usize = 5_000;

/// Others read these names: changing one is a line in the CHANGELOG.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// Absent when all accounts are meant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    pub day: String,
    /// What came of it, in words.
    pub outcome: String,
    /// The rows were written, and the next sweep goes on from them.
    pub is_recorded: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_baseline: Option<bool>,
    /// When the credential report was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_of: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub users: Option<u32>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub kinds: BTreeMap<Kind, Count>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub entries: Vec<Entry>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub unreadable: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub service_credentials: BTreeMap<String, u32>,
    /// Those to sweep, in the answer to `sweep-accounts`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<AccountId>>,
    /// Every attempt of every call to AWS.
    pub calls: usize,
}

/// Why an account was not swept.
struct Failed {
    message: String,
    /// Another try in a few minutes can help.
    is_worth_a_try: bool,
}

impl Failed {
    fn for_good(message: impl Into<String>) -> Self {
        Self { message: message.into(), is_worth_a_try: false }
    }
}

impl From<domain::outcome::Failure> for Failed {
    fn from(failure: domain::outcome::Failure) -> Self {
        Self { message: failure.to_string(), is_worth_a_try: failure.retryable }
    }
}

pub(crate) async fn sweep(aws: &Aws, settings: &Sweeper, command: &Command, call: &Call) -> (Report, Vec<String>) {
    let calls = CallLog::default();
    let until = Instant::now() + call.budget();
    let home = Home::new(aws, &calls).patient(Patience::until(until));
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let today = command.day.unwrap_or_else(|| Day::of(DateTime::from(SystemTime::now())));
    let trip = Trip { home: &home, ledger: &ledger, settings, account: &command.account, today, until };
    let mut report = Report { account: Some(command.account.clone()), day: today.to_string(), ..Report::default() };
    let mut failed = Vec::new();
    let ended = match command.day {
        Some(_) => trip.sweep_for_good(call, &mut report).await,
        None => trip.look(&mut report).await,
    };
    if let Err(why) = ended {
        report.outcome = format!("not swept: {}", text::line(&why.message, 400));
        match command.day {
            // What no other try can mend is in the digest, and no error.
            Some(day) => {
                if let Err(failure) = ledger.note_sweep_failed(&command.account, day, &report.outcome).await {
                    failed.push(format!("keeping why it was not swept: {failure}"));
                }
                failed.extend(why.is_worth_a_try.then(|| report.outcome.clone()));
            }
            None => failed.push(report.outcome.clone()),
        }
    }
    report.calls = calls.round_trips().calls;
    tracing::info!(
        account = command.account.as_str(),
        day = report.day,
        calls = report.calls,
        "sweep: {}",
        report.outcome
    );
    (report, failed)
}

/// Keeps of which users' creation an event told, so that a sweep can name the others.
pub(crate) async fn note_created(aws: &Aws, settings: &Responder, created: &[CreatedUser], call: &Call) -> Vec<String> {
    if created.is_empty() {
        return Vec::new();
    }
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let noted = futures_util::future::join_all(created.iter().map(|it| ledger.note_created(it))).await;
    let failed = noted.into_iter().filter_map(Result::err);
    failed.map(|it| format!("keeping that an event told of a new user: {it}")).collect()
}

struct Trip<'a> {
    home: &'a Home,
    ledger: &'a Ledger,
    settings: &'a Sweeper,
    account: &'a AccountId,
    today: Day,
    until: Instant,
}

/// What an account's sweep found, before it is judged.
struct Found {
    as_of: DateTime,
    swept: Swept,
    users: u32,
    unreadable: Vec<String>,
    service_credentials: BTreeMap<String, u32>,
}

impl Trip<'_> {
    /// Sweeps the account for the day, once.
    async fn sweep_for_good(&self, call: &Call, report: &mut Report) -> Result<(), Failed> {
        let head = match self.ledger.take_sweep(self.account, self.today, call.left()).await? {
            Taken::Ours(head) => head,
            Taken::Done(_) => {
                "swept already".clone_into(&mut report.outcome);
                return Ok(());
            }
            Taken::Others => {
                let message = "another invocation sweeps it".to_owned();
                return Err(Failed { message, is_worth_a_try: true });
            }
        };
        let found = self.find(&head).await?;
        let summary = found.summary(head.day.is_none());
        let text = serde_json::to_string(&summary).map_err(|it| Failed::for_good(it.to_string()))?;
        let mut lines = Vec::new();
        for memory in &found.swept.memories {
            lines.push(serde_json::to_string(&memory).map_err(|it| Failed::for_good(it.to_string()))?);
        }
        self.ledger.keep_sweep(self.account, &head, self.today, &lines, &text).await?;
        report.is_recorded = true;
        // The state machine's children hand nothing on: the digest reads the ledger.
        found.tell(report, head.day.is_none());
        report.entries.clear();
        Ok(())
    }

    /// Shows what a sweep would find, and keeps nothing.
    async fn look(&self, report: &mut Report) -> Result<(), Failed> {
        let head = self.ledger.sweep_head(self.account).await?;
        let found = self.find(&head).await?;
        found.tell(report, head.day.is_none());
        Ok(())
    }

    async fn find(&self, head: &Head) -> Result<Found, Failed> {
        let memory = async {
            let parts = self.ledger.sweep_memory(self.account, head).await?;
            remembered(&parts)
        };
        let (member, memories) = tokio::join!(self.assume(), memory);
        let (member, memories) = (member?, memories?);
        let (fetched, others) = tokio::join!(
            credential_report::fetch(&member.read, self.until),
            credential_report::service_credentials(&member.read)
        );
        let fetched = fetched?;
        let read = parse(&fetched.content, self.account).map_err(|it| Failed::for_good(it.to_string()))?;
        drop(fetched.content);
        let limits = Limits { key_max_age: self.settings.key_max_age_days, unused: self.settings.unused_days };
        let mut problems = problems::find(&read, limits, self.today);
        problems.extend(self.unseen(&read, head, fetched.generated, &memories).await?);
        let confirmations = credential_report::confirm(&member.read, candidates(&problems), self.until).await;
        let mut unreadable = read.unreadable;
        let service_credentials = others.unwrap_or_else(|it| {
            unreadable.push(it.to_string());
            BTreeMap::new()
        });
        if read.root.is_none() {
            unreadable.push("the credential report has no row for root".to_owned());
        }
        let has_unreadable_rows = unreadable.iter().any(|it| it.starts_with("row "));
        let (settings, today) = (self.settings, self.today);
        let sweep = Sweep { settings, today, problems, confirmations: &confirmations, memories, has_unreadable_rows };
        Ok(Found {
            as_of: fetched.generated,
            swept: sweep.judge(),
            users: u32::try_from(read.users.len()).unwrap_or(u32::MAX),
            unreadable,
            service_credentials,
        })
    }

    /// Users that came since the last sweep, and of whom no event told; and those that an earlier one named so.
    async fn unseen(
        &self,
        report: &CredentialReport,
        head: &Head,
        as_of: DateTime,
        memories: &BTreeMap<String, Memory>,
    ) -> Result<Vec<Problem>, Failed> {
        let last = head.summary.as_deref().and_then(|it| serde_json::from_str::<Summary>(it).ok());
        let last = last.and_then(|it| DateTime::from_str(&it.as_of, Format::DateTime).ok());
        let suspects = problems::maybe_unseen(report, last, as_of, |id| memories.contains_key(id));
        let names: Vec<_> = suspects.iter().map(|it| it.name.clone()).collect();
        let told = self.ledger.created_users(self.account, &names).await?;
        let is_told = |user: &User| told.get(user.name.as_str()).is_some_and(|at| problems::is_its_event(user, *at));
        Ok(suspects.into_iter().filter(|it| !is_told(it)).map(Problem::unseen).collect())
    }

    async fn assume(&self) -> Result<Member, Failed> {
        let partition = Partition::of_region(&self.settings.common.region);
        Ok(self.home.assume(&self.settings.common, self.account, &partition, &Scope::Sweep).await?)
    }
}

/// One line each: the problem's ID and its memory.
fn remembered(parts: &[String]) -> Result<BTreeMap<String, Memory>, Failed> {
    let lines = parts.iter().flat_map(|it| it.lines());
    let parsed: Result<_, _> = lines.map(serde_json::from_str::<(String, Memory)>).collect();
    parsed.map_err(|it| Failed::for_good(format!("the ledger's memory of the account can't be read: {it}")))
}

impl Found {
    fn summary(&self, is_baseline: bool) -> Summary {
        let (told, more) = Summary::told(&self.swept);
        Summary {
            as_of: self.as_of.to_string(),
            is_baseline,
            users: self.users,
            kinds: self.swept.kinds.clone(),
            asked: u32::try_from(self.swept.asked().count()).unwrap_or(u32::MAX),
            told,
            more,
            unreadable: self.unreadable.iter().take(20).cloned().collect(),
            service_credentials: self.service_credentials.clone(),
        }
    }

    fn tell(self, report: &mut Report, is_baseline: bool) {
        let asked = self.swept.asked().count();
        let problems = self.swept.entries.len();
        report.outcome = format!("swept: {} users, {problems} problems, {asked} to ask a person about", self.users);
        report.is_baseline = Some(is_baseline);
        report.as_of = Some(self.as_of.to_string());
        report.users = Some(self.users);
        report.kinds = self.swept.kinds;
        report.entries = self.swept.entries;
        report.entries.truncate(MOST_SHOWN);
        report.unreadable = self.unreadable;
        report.service_credentials = self.service_credentials;
    }
}
