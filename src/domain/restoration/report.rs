//! What came of a restore, for the person who asked and for everybody who gets the alerts.

use serde::Serialize;
use serde_json::{Value, json};

use crate::change::Change;
use crate::child::Child;
use crate::command::Restore;
use crate::identity::Identity;
use crate::ids::UniqueId;
use crate::notice::Notice;
use crate::outcome::{Done, Failure, Log, Summary};
use crate::round_trips::RoundTrips;
use crate::settings::Mode;
use crate::text;

/// How it ended. Never better than what was read back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Verdict {
    /// Read to be as before the containment, but for what stays.
    Restored,
    /// Never contained, or restored already.
    NothingToDo,
    /// `observe` mode: nothing was written.
    Observed,
    /// It changed since the containment: nothing was written.
    Drifted,
    NotRestored,
    /// Another invocation is at the same principal.
    InProgress,
    /// Not an identity that may be restored: nothing was written.
    Refused,
}

impl Verdict {
    pub fn words(self) -> &'static str {
        match self {
            Self::Restored => "restored",
            Self::NothingToDo => "nothing to do",
            Self::Observed => "observed, nothing was changed",
            Self::Drifted => "changed since, nothing was restored",
            Self::NotRestored => "NOT RESTORED",
            Self::InProgress => "another invocation is at it",
            Self::Refused => "refused, nothing was changed",
        }
    }
}

/// Others read these names: changing one is a line in the CHANGELOG.
#[derive(Debug, Serialize)]
pub struct Report {
    pub mode: Mode,
    pub account: String,
    pub principal: Value,
    pub verdict: Verdict,
    pub reason: String,
    /// The response that is taken back, by its ID in the ledger.
    pub response: Option<String>,
    /// Those that stay in force: each is restored by its name.
    pub others: Vec<String>,
    pub by: String,
    pub why: String,
    pub forced: bool,
    /// What changed since the containment, and not by us.
    pub drift: Vec<String>,
    pub actions: Vec<Summary>,
    /// What stays as the containment left it, and how to replace it.
    pub stays: Vec<String>,
    pub notes: Vec<String>,
    /// Whom it is about, where that is known.
    #[serde(skip)]
    pub id: Option<UniqueId>,
    /// What it made with a flagged credential.
    #[serde(skip)]
    pub made: Vec<Child>,
    /// What became of those whom it made with a flagged credential and for whom `children` asked, each by itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<Report>,
    /// Those that stay as they are, and why: in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children_left: Vec<String>,
    pub round_trips: RoundTrips,
}

/// What is known of a restore so far; it outlives one that runs out of time.
#[derive(Debug)]
pub struct Progress {
    pub identity: Option<Identity>,
    pub mode: Mode,
    /// The name that it had when it was contained.
    pub principal: Option<String>,
    pub response: Option<String>,
    pub others: Vec<String>,
    pub changes: Log<Change>,
    pub notices: Log<Notice>,
    pub drift: Vec<String>,
    pub stays: Vec<String>,
    pub notes: Vec<String>,
    pub failed: Vec<String>,
    pub verdict: Option<Verdict>,
    pub reason: String,
    /// What it made with a flagged credential.
    pub made: Vec<Child>,
    /// The users among it that are contained, in words: as the record of each says.
    pub contained: Vec<String>,
    /// And the keys that were deactivated.
    pub deactivated: Vec<String>,
    /// An earlier restore could not tell anybody.
    pub is_untold: bool,
}

impl Progress {
    pub fn of(mode: Mode) -> Self {
        Self {
            identity: None,
            mode,
            principal: None,
            response: None,
            others: Vec::new(),
            changes: Log::default(),
            notices: Log::default(),
            drift: Vec::new(),
            stays: Vec::new(),
            notes: Vec::new(),
            failed: Vec::new(),
            verdict: None,
            reason: String::new(),
            made: Vec::new(),
            contained: Vec::new(),
            deactivated: Vec::new(),
            is_untold: false,
        }
    }

    pub fn conclude(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.verdict = Some(verdict);
        self.reason = reason.into();
    }

    pub fn fail(&mut self, what: &str, failure: &Failure) {
        let reason = format!("{what}: {failure}");
        self.failed.push(reason.clone());
        self.conclude(Verdict::NotRestored, reason);
    }

    pub fn report(&self, it: &Restore, round_trips: RoundTrips) -> Report {
        let principal = match &self.identity {
            Some(found) => json!({"type": found.kind, "name": found.name, "id": found.id}),
            None => json!(it.subject.principal),
        };
        Report {
            mode: self.mode,
            account: it.subject.account.to_string(),
            principal,
            verdict: self.verdict(),
            reason: self.reason.clone(),
            response: self.response.clone(),
            others: self.others.clone(),
            by: text::line(&it.by, 200),
            why: text::line(&it.reason, 500),
            forced: it.force,
            drift: self.drift.iter().map(|it| text::line(it, 500)).collect(),
            actions: [self.changes.summary(), self.notices.summary()].concat(),
            stays: self.stays.clone(),
            notes: self.notes.clone(),
            id: self.identity.as_ref().map(|it| it.id.clone()),
            made: self.made.clone(),
            children: Vec::new(),
            children_left: Vec::new(),
            round_trips,
        }
    }

    pub fn verdict(&self) -> Verdict {
        self.verdict.unwrap_or(Verdict::NotRestored)
    }

    /// Plain text for a phone at night.
    pub fn message(&self, it: &Restore) -> String {
        let mut lines = vec![self.headline(it), String::new()];
        lines.push(format!("By: {}", text::line(&it.by, 200)));
        lines.push(format!("Why: {}", text::line(&it.reason, 500)));
        lines.push(format!("Verdict: {} - {}", self.verdict().words(), text::line(&self.reason, 1_000)));
        lines.extend(self.response.iter().map(|it| format!("Response: {it}")));
        let sections = [
            ("What was done", self.changes.summary().into_iter().map(|it| it.words).collect()),
            ("Changed since the containment, and left so", self.drift.clone()),
            ("Stays as it is", self.stays.clone()),
            ("Other responses, which stay in force: restore each by its name", self.others.clone()),
            (self.about_children(it), self.contained.clone()),
            ("Keys that it made for others", self.deactivated.clone()),
            ("Failed", self.failed.clone()),
            ("Good to know", self.notes.clone()),
        ];
        for (title, items) in sections.into_iter().filter(|(_, items): &(_, Vec<String>)| !items.is_empty()) {
            lines.extend([String::new(), format!("{title}:")]);
            lines.extend(items.iter().map(|it| format!("- {}", text::line(it, 1_000))));
        }
        text::cut(&lines.join("\n"), 100_000)
    }

    fn about_children(&self, it: &Restore) -> &'static str {
        if it.children {
            "It made, and is contained until now: each that is restored is told of by itself"
        } else {
            "It made, which stays contained: restore each by itself, or those that follow from this with `children`"
        }
    }

    pub fn headline(&self, it: &Restore) -> String {
        let who = match &self.identity {
            Some(found) => format!("{} {} ({})", found.kind.word(), found.name, found.id),
            None => it.subject.principal.target_key().replace('/', " "),
        };
        format!("Restore: {}: {who} in account {}", self.verdict().words(), it.subject.account)
    }

    /// One JSON text for each change, for the ledger.
    pub fn applied(&self) -> Vec<String> {
        self.changes.applied().iter().map(Done::line).collect()
    }
}
