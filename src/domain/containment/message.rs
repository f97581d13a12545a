//! What the notices say, rendered once from what is known: every sink gets a finished text that is safe
//! for it, and none looks into a response that is still going on.

use aws_smithy_types::DateTime;
use serde_json::json;

use super::by_hand::{self, by_hand};
use super::incident_token;
use super::playbooks::Playbook;
use super::progress::Progress;
use super::report::{Fight, MOST_LEADS, counted};
use crate::change::Change;
use crate::cli::Undo;
use crate::finding::{Finding, Principal, Severity};
use crate::guardrail::Standing;
use crate::identity::Identity;
use crate::ids::Arn;
use crate::outcome::{Deed, Outcome};
use crate::question::Question;
use crate::text;
use crate::verdict::Verdict;

/// One rendered message, for every sink.
#[derive(Debug, Clone, PartialEq)]
pub struct Message {
    /// For an SNS subject: the verdict before the name, because a phone shows the beginning.
    pub subject: String,
    /// One line: severity, what happened, to whom, how it ended.
    pub headline: String,
    /// Plain text for a phone at night: who, what was done, what is open, how to undo, where to look.
    pub text: String,
    /// For a note under a finding: at most 512 characters.
    pub note: String,
    /// What subscribers of the topic filter by.
    pub attributes: Vec<(&'static str, String)>,
    /// Incident Manager's scale: 1 is critical.
    pub impact: i32,
    pub incident: IncidentFields,
}

/// What an incident or OpsItem needs beside its text.
#[derive(Debug, Clone, PartialEq)]
pub struct IncidentFields {
    pub token: String,
    pub seen: DateTime,
    /// The trigger as JSON.
    pub raw: String,
    /// The finding, where it has an ARN of AWS's form: Incident Manager refuses the whole request for
    /// another.
    pub trigger_arn: Option<String>,
    /// Title and ARN.
    pub related: Vec<(&'static str, String)>,
    /// The same for one principal as long as its OpsItem is open.
    pub dedup: String,
}

impl Message {
    /// `function`: whom to send commands to.
    pub fn render(finding: &Finding, playbook: &Playbook, progress: &Progress, function: &str, now: DateTime) -> Self {
        let view = View { finding, playbook, progress, function };
        let (verdict, account) = (progress.verdict(), &finding.account);
        Self {
            subject: text::subject(&format!("{}: {}: {} ({account})", playbook.title, verdict.words(), view.name())),
            headline: view.headline(),
            text: view.text(),
            note: view.note(),
            attributes: vec![
                ("severity", finding.severity.label().to_owned()),
                ("playbook", playbook.id.to_owned()),
                ("account", account.to_string()),
                ("verdict", verdict.name().to_owned()),
            ],
            impact: view.impact(),
            incident: view.incident(now),
        }
    }
}

/// What people are told of a finding that is given up: nobody will look at it any more but they.
pub struct Dropped {
    pub subject: String,
    pub text: String,
    pub attributes: Vec<(&'static str, String)>,
}

/// One line of a digest. It holds no time of ours, so that the same finding gives the same line.
pub fn refused_line(finding: &Finding, why: &str) -> String {
    let (kind, id) = (text::line(&finding.kind, 120), text::line(&finding.id, 300));
    format!("[{}] {kind}: {} - {}: {id}", finding.severity.label(), who(finding, None), text::line(why, 200))
}

/// What the ledger has of whoever a finding names that is given up.
pub enum WasDone {
    Nothing,
    Something(Option<Verdict>),
    Unknown,
}

pub fn dropped(finding: &Finding, why: &str, done: WasDone) -> Dropped {
    let who = who(finding, None);
    let playbook = finding.threat.playbook();
    let (headline, said) = match done {
        WasDone::Nothing => ("nothing was done".to_owned(), None),
        WasDone::Something(verdict) => {
            let verdict = verdict.map_or("something was done", Verdict::name);
            (format!("the ledger says {verdict}"), Some("`status` lists what was done to it"))
        }
        WasDone::Unknown => ("what was done is not known".to_owned(), Some("`status` lists what the ledger has of it")),
    };
    let mut lines = vec![
        format!("[{}] {playbook}: {who} - DROPPED, {headline}", finding.severity.label()),
        String::new(),
        format!("Finding: {} ({})", text::line(&finding.kind, 200), text::line(&finding.id, 512)),
        format!("Said: {}", text::line(&finding.title, 300)),
        format!("Why: {}", text::line(why, 2_000)),
    ];
    lines.extend(said.map(|it| format!("What was done: {it}")));
    lines.push(
        "What to do: look at it, and send the command `contain` if it is real; the next report of it counts again"
            .to_owned(),
    );
    Dropped {
        subject: text::subject(&format!("DROPPED: {playbook}: {who}")),
        text: lines.join("\n"),
        attributes: vec![
            ("severity", finding.severity.label().to_owned()),
            ("playbook", playbook.to_owned()),
            ("account", finding.account.to_string()),
            ("verdict", "Dropped".to_owned()),
        ],
    }
}

const GUARDED: &str = "under the guardrail only `restore` lifts a deny, a boundary, a revocation or the mark: the commands \
                       here are for when it is detached";

struct View<'a> {
    finding: &'a Finding,
    playbook: &'a Playbook,
    progress: &'a Progress,
    function: &'a str,
}

impl View<'_> {
    fn verdict(&self) -> Verdict {
        self.progress.verdict()
    }

    fn who(&self) -> String {
        who(self.finding, self.progress.identity.as_ref())
    }

    /// The shortest way to say whom this is about.
    fn name(&self) -> String {
        match &self.progress.identity {
            Some(it) => format!("{} {}", it.kind.word(), it.name),
            None => self.finding.principal.target_key().replace('/', " "),
        }
    }

    fn headline(&self) -> String {
        let (severity, title) = (self.finding.severity.label(), self.playbook.title);
        let guardrail = self.progress.guardrail.as_ref().and_then(Standing::headline);
        let guardrail = guardrail.map_or_else(String::new, |it| format!("; {it}"));
        format!("[{severity}] {title}: {} - {}{guardrail}", self.who(), self.verdict().words())
    }

    fn text(&self) -> String {
        let progress = self.progress;
        let mut lines = vec![self.headline(), String::new()];
        lines.push(format!("Finding: {}", text::line(&self.finding.kind, 200)));
        lines.push(format!("Said: {}", text::line(&self.finding.title, 300)));
        if let Some(time) = &self.finding.occurred_at {
            lines.push(format!("Seen: {time}"));
        }
        if let Some(parent) = &self.finding.parent {
            lines.push(format!("Follows from: {}, {}", text::line(&parent.finding, 300), parent.words()));
        }
        if let Some(reason) = &progress.reason {
            lines.push(format!("Verdict: {} - {}", self.verdict().words(), text::line(reason, 2_000)));
        }
        if let Some(approved) = &progress.approved {
            lines.push(format!("Approved: {}", text::line(approved, 700)));
        }
        if let Some(question) = &progress.question {
            self.ask(question, &mut lines);
        }
        lines.extend(progress.watch.iter().flat_map(|it| it.lines(self.function)));
        let times = progress.times_undone();
        if times > 0 {
            lines.push(String::new());
            let how = if self.verdict().is_success() { ", and put back" } else { "" };
            lines.push(format!("AN ATTACKER IS FIGHTING BACK: what was done was undone {times} times{how}."));
            lines.extend(Fight::of(progress).map(|it| it.words()));
        }
        if let Some(guardrail) = &progress.guardrail {
            lines.push(String::new());
            lines.push(format!("Guardrail: {}", guardrail.words(&self.finding.account)));
        }
        let mut done = [progress.changes.summary(), progress.notices.summary()].concat();
        if let Some(question) = &progress.question {
            section(&mut lines, "What would be done once it is approved", question.plan.iter().cloned());
            done.retain(|it| it.outcome != Outcome::Planned.word());
        }
        section(&mut lines, "What was done", done.into_iter().map(|it| it.words));
        section(&mut lines, self.reversals_title(), counted(&progress.reversals).into_iter());
        section(&mut lines, "Still open", progress.open.iter().cloned());
        let by_hand = by_hand(progress, &self.finding.partition.deny_all_policy());
        section(&mut lines, "What to do by hand, in the account", by_hand.into_iter());
        let leads = progress.leads.iter().take(MOST_LEADS).cloned();
        section(&mut lines, "Leads, for a person to look at", leads);
        section(&mut lines, "Failed", progress.failed.iter().filter(|it| !progress.open.contains(it)).cloned());
        section(&mut lines, "Good to know", progress.notes.iter().cloned());
        if let Some(id) = &progress.evidence {
            lines.push(String::new());
            lines.push(format!(
                "Evidence: what it could do, did and left behind follows within minutes, as report {id}"
            ));
        }
        if self.verdict().is_success() {
            section(&mut lines, "How to undo, in the account, or with `restore` all at once", self.undo().into_iter());
        }
        section(&mut lines, "Where to look", self.links());
        text::cut(&lines.join("\n"), 100_000)
    }

    fn ask(&self, question: &Question, lines: &mut Vec<String>) {
        lines.push(format!("Request: {}", question.request));
        lines.push(format!("Asked by: {}", text::line(&question.requester, 200)));
        lines.push(format!("Expires: {}", question.expires()));
        if question.needed > 1 {
            lines.push(format!("Takes: {} different approvers", question.needed));
        }
        lines.push(match question.struck {
            Some(_) if self.is_open() => "Meanwhile: what was to hold it back is not seen to".to_owned(),
            Some(barrier) => format!("Meanwhile: {}; that stays unless somebody declines", barrier.is()),
            None => "Meanwhile: nothing is changed".to_owned(),
        });
        section(lines, "What would be affected", question.affected.iter().cloned());
        lines.push(String::new());
        lines.push("To approve, and to decline:".to_owned());
        lines.extend(question.commands.iter().cloned());
    }

    /// Whatever it may do is not known to be stopped.
    fn is_open(&self) -> bool {
        matches!(self.verdict(), Verdict::NotContained | Verdict::Unverified)
    }

    /// What is said to be put back was read to be there.
    fn reversals_title(&self) -> &'static str {
        let is_undone = |it: &String| it.starts_with("was undone: ");
        match self.verdict().is_success() && self.progress.reversals.iter().all(is_undone) {
            true => "Undone by somebody, and put back",
            false => "What somebody did against it",
        }
    }

    /// One line for each change, whatever it took to make it hold.
    fn undo(&self) -> Vec<String> {
        let progress = self.progress;
        let applied = progress.changes.applied().into_iter().map(|it| it.deed);
        let (lifted, other): (Vec<_>, Vec<_>) = applied.partition(Change::contains);
        // The mark says what happened as long as anything of it stands.
        let marks = other.into_iter().filter(|it| matches!(it, Change::Tag { .. }));
        let before = by_hand::before(progress, &self.finding.partition.deny_all_policy());
        let words = |it: &Change| match it.undo(before.as_ref()) {
            Undo::By(commands) => commands,
            Undo::Never(why) => vec![format!("{}: {why}", it.target())],
        };
        let done = by_hand::each_once(lifted.into_iter().chain(marks), progress);
        let lines: Vec<_> = done.iter().flat_map(words).collect();
        let is_guarded = progress.guardrail.as_ref().is_some_and(Standing::is_there) && !lines.is_empty();
        is_guarded.then(|| GUARDED.to_owned()).into_iter().chain(lines).collect()
    }

    fn links(&self) -> impl Iterator<Item = String> {
        let identity = self.progress.identity.iter().map(|it| it.arn.clone());
        identity.chain([self.finding.id.clone()]).chain(self.finding.creator.clone())
    }

    fn note(&self) -> String {
        let done = self.progress.changes.applied().len() + self.progress.notices.applied().len();
        let reason = self.progress.reason.as_deref().unwrap_or_default();
        let failed = match self.progress.failed.first() {
            Some(first) => format!(" Failed: {} ({} in all).", text::line(first, 160), self.progress.failed.len()),
            None => String::new(),
        };
        let evidence =
            self.progress.evidence.as_ref().map_or_else(String::new, |id| format!(" Evidence: report {id}."));
        let note = format!(
            "iam-responder, playbook {}: {} - {}. {done} changes made.{evidence} {}.{failed}",
            self.playbook.id,
            self.who(),
            self.verdict().words(),
            text::line(reason, 200),
        );
        text::line(&note, 512)
    }

    /// 1 is critical: also whatever could not be contained.
    fn impact(&self) -> i32 {
        match self.verdict() {
            Verdict::NotContained | Verdict::Unverified | Verdict::SuspectsOpen => 1,
            _ if !self.progress.reversals.is_empty() => 1,
            Verdict::Contained
            | Verdict::Refused
            | Verdict::Observed
            | Verdict::InProgress
            | Verdict::Deferred
            | Verdict::Waiting => match self.finding.severity {
                it if it >= Severity::CRITICAL => 1,
                it if it >= Severity::HIGH => 2,
                _ => 3,
            },
        }
    }

    fn incident(&self, now: DateTime) -> IncidentFields {
        let identity = self.progress.identity.as_ref();
        let mut raw = json!({
            "finding": text::line(&self.finding.id, 1_000),
            "type": text::line(&self.finding.kind, 200),
            "playbook": self.playbook.id,
            "account": self.finding.account,
            "verdict": self.verdict(),
        });
        if let (Some(fields), Some(id)) = (raw.as_object_mut(), &self.progress.evidence) {
            fields.insert("evidence".to_owned(), json!(id));
        }
        let is_aws_arn = self.finding.id.starts_with("arn:aws") && self.finding.id.len() <= 1_000;
        let is_arn = is_aws_arn && Arn::parse(&self.finding.id).is_some();
        let principal = identity.map_or_else(|| self.finding.principal.target_key(), |it| it.id.to_string());
        IncidentFields {
            token: incident_token::incident(self.finding, identity, now),
            seen: self.finding.occurred_at.unwrap_or(now),
            raw: raw.to_string(),
            trigger_arn: is_arn.then(|| self.finding.id.clone()),
            related: self.related(),
            dedup: format!("iam-responder/{}/{principal}", self.finding.account),
        }
    }

    fn related(&self) -> Vec<(&'static str, String)> {
        let identity = self.progress.identity.iter().map(|it| ("The contained identity", it.arn.clone()));
        let creator = self.finding.creator.iter().map(|it| ("Who created it", it.clone()));
        identity.chain(creator).filter(|(_, arn)| Arn::parse(arn).is_some()).collect()
    }
}

/// `user alice (AIDA…) in account 111122223333`, with as much as is known.
fn who(finding: &Finding, identity: Option<&Identity>) -> String {
    let account = &finding.account;
    match (identity, &finding.principal) {
        (Some(it), _) => format!("{} {} ({}) in account {account}", it.kind.word(), it.name, it.id),
        (None, Principal::User { name: Some(name), .. }) => format!("user {name} in account {account}"),
        (None, Principal::User { id: Some(id), .. }) => format!("user {id} in account {account}"),
        (None, Principal::Role { name: Some(name), .. }) => format!("role {name} in account {account}"),
        (None, Principal::UserOrRole { name }) => format!("user or role {name} in account {account}"),
        (None, Principal::Root) => format!("the root user of account {account}"),
        (None, _) => match &finding.access_key {
            Some(key) => format!("the holder of {key} in account {account}"),
            None => format!("an identity in account {account}"),
        },
    }
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
