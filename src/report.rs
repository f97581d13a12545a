//! What happened, as one value: the response of the invocation, the log line, and the texts that
//! people read. Every text here is safe for its sink whatever the identity is called.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use crate::action::{Done, Outcome, Undo};
use crate::before;
use crate::calls::RoundTrips;
use crate::config::Mode;
use crate::finding::{Finding, Principal};
use crate::identity::Identity;
use crate::playbooks::Playbook;
use crate::record::Record;
use crate::text;

/// How it ended. Never better than what was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Everything the playbook wants was read to be in place, and to have held for the settle time.
    Contained,
    /// The identity itself is contained, but somebody created others meanwhile.
    SuspectsOpen,
    NotContained,
    /// Something that decides could not be read.
    Unverified,
    /// Protected, not containable, or not the identity that was meant: nothing was written.
    Refused,
    /// `observe` mode: nothing was written.
    Observed,
    /// Another invocation is at it, and sees to this finding too.
    InProgress,
    /// The circuit breaker is open: kept, and left for a person.
    Deferred,
}

impl Verdict {
    pub fn words(self) -> &'static str {
        match self {
            Self::Contained => "contained",
            Self::SuspectsOpen => "identity contained, SUSPECTS OPEN",
            Self::NotContained => "NOT CONTAINED",
            Self::Unverified => "NOT VERIFIED",
            Self::Refused => "refused, nothing was changed",
            Self::Observed => "observed, nothing was changed",
            Self::InProgress => "already being contained",
            Self::Deferred => "DEFERRED, too many containments this hour",
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Contained => "Contained",
            Self::SuspectsOpen => "SuspectsOpen",
            Self::NotContained => "NotContained",
            Self::Unverified => "Unverified",
            Self::Refused => "Refused",
            Self::Observed => "Observed",
            Self::InProgress => "InProgress",
            Self::Deferred => "Deferred",
        }
    }
}

/// The response of one invocation.
#[derive(Debug, Default, Serialize)]
pub struct Response {
    pub reports: Vec<Report>,
    pub ignored: Vec<Ignored>,
    /// Only in the answer to the command `restore`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restore: Option<crate::restore::Report>,
    /// Only in the answer to the command `drill`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub drill: Option<crate::drill::Report>,
    /// Only in the answer to the command `status`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Value>,
}

#[derive(Debug, Serialize)]
pub struct Ignored {
    pub reason: String,
}

/// One finding's response. Others read these names: changing one is a line in the CHANGELOG.
#[derive(Debug, Serialize)]
pub struct Report {
    pub finding_id: String,
    pub source: crate::finding::Source,
    pub threat: crate::finding::Threat,
    pub playbook: &'static str,
    pub mode: Mode,
    pub account: String,
    pub principal: Value,
    pub access_key: Option<String>,
    pub verdict: Verdict,
    pub reason: String,
    pub actions: Vec<ActionReport>,
    /// What somebody undid, each time it was seen: an attacker is fighting back.
    pub reversals: Vec<String>,
    #[serde(skip)]
    pub times_undone: usize,
    pub notes: Vec<String>,
    pub open: Vec<String>,
    /// What was attached, joined and active before, for whoever has to put it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    pub timings_ms: Timings,
    pub round_trips: RoundTrips,
}

#[derive(Debug, Serialize)]
pub struct ActionReport {
    pub action: &'static str,
    pub target: String,
    pub outcome: &'static str,
    /// How often it came to that; more than once when somebody undid it.
    pub times: usize,
    pub detail: String,
}

#[derive(Debug, Clone, Copy, Default, Serialize)]
pub struct Timings {
    /// From when the behaviour was seen to the start of the invocation; absent when not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub behaviour_to_start: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_barrier: Option<u64>,
    pub verdict: u64,
    pub total: u64,
}

pub fn millis(it: Duration) -> u64 {
    u64::try_from(it.as_millis()).unwrap_or(u64::MAX)
}

impl Record {
    pub fn report(
        &self,
        finding: &Finding,
        playbook: &Playbook,
        mode: Mode,
        timings_ms: Timings,
        round_trips: RoundTrips,
    ) -> Report {
        Report {
            finding_id: text::line(&finding.id, 512),
            source: finding.source,
            threat: finding.threat,
            playbook: playbook.id,
            mode,
            account: finding.account.to_string(),
            principal: principal(finding, self.identity.as_ref()),
            access_key: finding.access_key.as_ref().map(ToString::to_string),
            verdict: self.verdict(),
            reason: self.reason.clone().unwrap_or_default(),
            actions: self.done.summary().iter().map(ActionReport::from).collect(),
            reversals: counted(&self.reversals),
            times_undone: self.reversals.len(),
            notes: self.notes.clone(),
            open: self.open.clone(),
            before: self.before.as_ref().map(before::to_json),
            timings_ms,
            round_trips,
        }
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict.unwrap_or(Verdict::NotContained)
    }
}

impl From<&(Done, usize)> for ActionReport {
    fn from((done, times): &(Done, usize)) -> Self {
        let is_plan = done.outcome == Outcome::Planned;
        Self {
            action: done.action.name(),
            target: text::line(&done.action.target(), 512),
            outcome: done.outcome.word(),
            times: *times,
            detail: if is_plan { format!("would {}", done.action) } else { done.outcome.detail() },
        }
    }
}

fn principal(finding: &Finding, identity: Option<&Identity>) -> Value {
    if let Some(it) = identity {
        return json!({"type": it.kind, "name": it.name, "id": it.id});
    }
    match &finding.principal {
        Principal::User { name, id } => json!({"type": "user", "name": name, "id": id}),
        Principal::Role { name, id, .. } => json!({"type": "role", "name": name, "id": id}),
        Principal::KeyOwner => json!({"type": "unknown", "name": null, "id": null}),
        Principal::Root => json!({"type": "root", "name": "root", "id": null}),
        Principal::NotContainable { .. } => json!({"type": "not-containable", "name": null, "id": null}),
    }
}

/// `user alice (AIDA…) in account 111122223333`, with as much as is known.
pub fn who(finding: &Finding, identity: Option<&Identity>) -> String {
    let account = &finding.account;
    match (identity, &finding.principal) {
        (Some(it), _) => format!("{} {} ({}) in account {account}", it.kind.word(), it.name, it.id),
        (None, Principal::User { name: Some(name), .. }) => format!("user {name} in account {account}"),
        (None, Principal::User { id: Some(id), .. }) => format!("user {id} in account {account}"),
        (None, Principal::Role { name: Some(name), .. }) => format!("role {name} in account {account}"),
        (None, Principal::Root) => format!("the root user of account {account}"),
        (None, _) => match &finding.access_key {
            Some(key) => format!("the holder of {key} in account {account}"),
            None => format!("an identity in account {account}"),
        },
    }
}

/// What the notices say; each sink cuts and cleans it for itself.
pub struct Summary<'a> {
    pub finding: &'a Finding,
    pub playbook: &'a Playbook,
    pub record: &'a Record,
}

impl Summary<'_> {
    pub fn verdict(&self) -> Verdict {
        self.record.verdict()
    }

    fn who(&self) -> String {
        who(self.finding, self.record.identity.as_ref())
    }

    /// The shortest way to say whom this is about.
    pub fn name(&self) -> String {
        match &self.record.identity {
            Some(it) => format!("{} {}", it.kind.word(), it.name),
            None => self.finding.principal.claim_key().replace('/', " "),
        }
    }

    /// One line: severity, what happened, to whom, how it ended.
    pub fn headline(&self) -> String {
        let (severity, title) = (self.finding.severity.label(), self.playbook.title);
        format!("[{severity}] {title}: {} - {}", self.who(), self.verdict().words())
    }

    /// Plain text for a phone at night: who, what was done, what is open, how to undo, where to look.
    pub fn message(&self) -> String {
        let mut lines = vec![self.headline(), String::new()];
        lines.push(format!("Finding: {}", text::line(&self.finding.kind, 200)));
        lines.push(format!("Said: {}", text::line(&self.finding.title, 300)));
        if let Some(time) = &self.finding.occurred_at {
            lines.push(format!("Seen: {time}"));
        }
        if let Some(reason) = &self.record.reason {
            lines.push(format!("Verdict: {} - {}", self.verdict().words(), text::line(reason, 2_000)));
        }
        let times = self.record.reversals.len();
        if times > 0 {
            lines.push(String::new());
            lines.push(format!("AN ATTACKER IS FIGHTING BACK: what was done was undone {times} times, and put back."));
        }
        section(&mut lines, "What was done", self.record.done.summary().iter().map(step));
        section(&mut lines, "Undone by somebody, and put back", counted(&self.record.reversals).into_iter());
        section(&mut lines, "Still open", self.record.open.iter().cloned());
        section(&mut lines, "Failed", self.record.failed.iter().filter(|it| !self.record.open.contains(it)).cloned());
        section(&mut lines, "Good to know", self.record.notes.iter().cloned());
        section(&mut lines, "How to undo, in the account, or with `restore` all at once", self.undo());
        section(&mut lines, "Where to look", self.links());
        text::cut(&lines.join("\n"), 100_000)
    }

    fn undo(&self) -> impl Iterator<Item = String> {
        let applied = self
            .record
            .done
            .all()
            .into_iter()
            .filter(|it| matches!(it.outcome, Outcome::Applied { .. }) && it.action.contains());
        applied.map(|it| match it.action.undo() {
            Undo::By(command) => command,
            Undo::Never(why) => format!("{}: {why}", it.action.target()),
        })
    }

    fn links(&self) -> impl Iterator<Item = String> {
        let identity = self.record.identity.iter().map(|it| it.arn.clone());
        identity.chain([self.finding.id.clone()]).chain(self.finding.creator.clone())
    }

    /// At most `max` characters, for a note under a finding.
    pub fn note(&self, max: usize) -> String {
        let done =
            self.record.done.all().into_iter().filter(|it| matches!(it.outcome, Outcome::Applied { .. })).count();
        let reason = self.record.reason.as_deref().unwrap_or_default();
        let failed = match self.record.failed.first() {
            Some(first) => format!(" Failed: {} ({} in all).", text::line(first, 160), self.record.failed.len()),
            None => String::new(),
        };
        let note = format!(
            "iam-responder, playbook {}: {} - {}. {done} changes made. {}.{failed}",
            self.playbook.id,
            self.who(),
            self.verdict().words(),
            text::line(reason, 200),
        );
        text::line(&note, max)
    }
}

pub(crate) fn step((done, times): &(Done, usize)) -> String {
    let (detail, outcome) = (text::line(&done.outcome.detail(), 300), done.outcome.word());
    let words = text::line(&done.action.to_string(), 400);
    let times = if *times > 1 { format!(" {times} times") } else { String::new() };
    if detail.is_empty() {
        format!("[{outcome}{times}] {words}")
    } else {
        format!("[{outcome}{times}] {words} ({detail})")
    }
}

/// Each line once, with how often it came.
fn counted(lines: &[String]) -> Vec<String> {
    let mut counted: Vec<(&String, usize)> = Vec::new();
    for line in lines {
        match counted.iter_mut().find(|(it, _)| *it == line) {
            Some((_, times)) => *times += 1,
            None => counted.push((line, 1)),
        }
    }
    let words =
        |(line, times): (&String, usize)| if times > 1 { format!("{line} ({times} times)") } else { line.clone() };
    counted.into_iter().map(words).collect()
}

fn section(lines: &mut Vec<String>, title: &str, items: impl Iterator<Item = String>) {
    let items: Vec<_> = items.collect();
    if items.is_empty() {
        return;
    }
    lines.push(String::new());
    lines.push(format!("{title}:"));
    lines.extend(items.iter().map(|it| format!("- {}", text::line(it, 2_000))));
}

/// The attributes that subscribers of the topic filter by.
pub fn attributes(summary: &Summary) -> [(&'static str, String); 4] {
    [
        ("severity", summary.finding.severity.label().to_owned()),
        ("playbook", summary.playbook.id.to_owned()),
        ("account", summary.finding.account.to_string()),
        ("verdict", summary.verdict().name().to_owned()),
    ]
}
