//! One account's sweep: its credential report, the few users whom it shows without MFA, and the rows of the ledger.
//! It reads IAM and changes nothing there.

mod act;
mod organisation;
mod owner;
mod release;
mod step;
mod unseen;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Instant, SystemTime};

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home, Member};
use clients::iam::credential_report;
use clients::ledger::Ledger;
use clients::ledger::sweep::{Head, Taken};
use clients::patience::Patience;
use clients::round_trips::CallLog;
use domain::command::Sweep as Command;
use domain::day::Day;
use domain::hygiene::account::{Count, Entry, Sweep, Swept, asked_about, candidates};
use domain::hygiene::credential_report::parse;
use domain::hygiene::cross_check::{differences, is_short};
use domain::hygiene::ladder::Memory;
use domain::hygiene::problems::{self, Limits};
use domain::hygiene::summary::Summary;
use domain::hygiene::unseen::inactive_keys;
use domain::ids::{AccountId, Partition};
use domain::outcome::Failure;
use domain::problem::Kind;
use domain::session_policy::Scope;
use domain::settings::{Responder, Sweeper};
use domain::sources::{CredentialEvent, DecodeError};
use domain::text;
use serde::{Deserialize, Serialize};

use crate::invocation::{Call, Error};

pub(crate) use act::act;
pub(crate) use organisation::{begin, end};
pub(crate) use release::{release, share};
use unseen::Unseen;

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
    /// Those to sweep, in the answer to `sweep-accounts`; those of which something was released, in that to
    /// `sweep-release`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accounts: Option<Vec<AccountId>>,
    /// What is to be asked or done, in the answer to `sweep-share`: each is a message of the queue for hygiene.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<String>>,
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

impl From<Failure> for Failed {
    fn from(failure: Failure) -> Self {
        Self { message: failure.to_string(), is_worth_a_try: failure.retryable }
    }
}

/// Days count, and whoever may start a sweep names one: it is held against the clock. Only in a simulated AWS days pass
/// as they are told to.
///
/// INVARIANT: no field of an event moves the day. `tests/test_sweep.py` holds it.
pub(crate) fn check_day(settings: &Sweeper, day: Day) -> Result<(), Error> {
    let now = Day::of(DateTime::from(SystemTime::now()));
    let refused = day.refuse(now).filter(|_| settings.common.endpoint_url.is_none());
    refused.map_or(Ok(()), |expected| {
        let (path, event) = ("day".to_owned(), "sweep".to_owned());
        Err(Error::Malformed(vec![DecodeError { path, problem: format!("expected {expected}"), event }]))
    })
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

/// Keeps of which users and keys an event told, so that a sweep can name the others.
pub(crate) async fn note_events(
    aws: &Aws,
    settings: &Responder,
    events: &[CredentialEvent],
    call: &Call,
) -> Vec<String> {
    if events.is_empty() {
        return Vec::new();
    }
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let noted = futures_util::future::join_all(events.iter().map(|it| ledger.note_credential_event(it))).await;
    let failed = noted.into_iter().filter_map(Result::err);
    failed.map(|it| format!("keeping that an event told of a user or key: {it}")).collect()
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
    /// For the next sweep: keys that do not work.
    inactive: BTreeSet<String>,
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
        for key in &found.inactive {
            lines.push(serde_json::to_string(key).map_err(|it| Failed::for_good(it.to_string()))?);
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
            let remembered = Remembered::read(&self.ledger.sweep_memory(self.account, head).await?)?;
            let problems = asked_about(&remembered.memories);
            let inquiries = self.ledger.sweep_inquiries(self.account, &problems).await?;
            Ok::<_, Failed>((remembered, inquiries))
        };
        let (member, memory) = tokio::join!(self.assume(), memory);
        let (member, (remembered, inquiries)) = (member?, memory?);
        let (fetched, others, counted) = tokio::join!(
            credential_report::fetch(&member.read, self.until),
            credential_report::service_credentials(&member.read),
            credential_report::account_summary(&member.read)
        );
        let fetched = fetched?;
        let read = parse(&fetched.content, self.account).map_err(|it| Failed::for_good(it.to_string()))?;
        drop(fetched.content);
        let limits = Limits { key_max_age: self.settings.key_max_age_days, unused: self.settings.unused_days };
        let mut problems = problems::find(&read, limits, self.today);
        let Unseen { problems: unseen, told_since, activated } =
            self.unseen(&member, &read, head, fetched.generated, &remembered).await?;
        problems.extend(unseen);
        let mut inactive = inactive_keys(&read);
        inactive.extend(activated);
        let memories = remembered.memories;
        let of_day = candidates(&problems, &memories);
        let confirmations = credential_report::confirm(&member.read, of_day, self.until).await;
        let counted = counted.map_err(|it| it.to_string());
        let differences = counted.as_ref().map_or_else(|it| vec![it.clone()], |it| differences(&read, *it));
        let is_short = counted.is_ok_and(|it| is_short(&read, it));
        let mut unreadable = read.unreadable;
        let service_credentials = others.unwrap_or_else(|it| {
            unreadable.push(it.to_string());
            BTreeMap::new()
        });
        if read.root.is_none() {
            unreadable.push("the credential report has no row for root".to_owned());
        }
        let has_unreadable_rows = is_short || unreadable.iter().any(|it| it.starts_with("row "));
        unreadable.extend(differences);
        let (settings, today) = (self.settings, self.today);
        let confirmations = &confirmations;
        let sweep =
            Sweep { settings, today, problems, confirmations, memories, inquiries, has_unreadable_rows, told_since };
        Ok(Found {
            as_of: fetched.generated,
            swept: sweep.judge(),
            users: u32::try_from(read.users.len()).unwrap_or(u32::MAX),
            unreadable,
            service_credentials,
            inactive,
        })
    }

    async fn assume(&self) -> Result<Member, Failed> {
        let partition = Partition::of_region(&self.settings.common.region);
        Ok(self.home.assume(&self.settings.common, self.account, &partition, &Scope::Sweep).await?)
    }
}

/// What an account's sweep knows of the one before.
#[derive(Default)]
struct Remembered {
    /// By the problems' IDs.
    memories: BTreeMap<String, Memory>,
    /// Keys that did not work.
    inactive: BTreeSet<String>,
}

/// Of the ledger's parts one line.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Problem(String, Memory),
    InactiveKey(String),
}

impl Remembered {
    fn read(parts: &[String]) -> Result<Self, Failed> {
        let mut remembered = Self::default();
        for line in parts.iter().flat_map(|it| it.lines()) {
            match serde_json::from_str(line) {
                Ok(Line::Problem(id, memory)) => {
                    remembered.memories.insert(id, memory);
                }
                Ok(Line::InactiveKey(key)) => {
                    remembered.inactive.insert(key);
                }
                Err(error) => {
                    let why = format!("the ledger's memory of the account can't be read: {error}");
                    return Err(Failed::for_good(why));
                }
            }
        }
        Ok(remembered)
    }
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
