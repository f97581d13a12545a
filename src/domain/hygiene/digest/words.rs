//! The digest in words, for the topic and for Slack.

use std::fmt::Write;

use super::super::account::{Count, Entry};
use super::super::release::Release;
use super::super::step::{Ending, Step};
use super::super::summary::is_listed_by_name;
use super::{Digest, MOST_BYTES, MOST_LINES, Row};
use crate::day::Day;
use crate::problem::Kind;
use crate::text;

impl Digest {
    pub fn subject(&self) -> String {
        let warned = self.told.iter().filter(|(_, it)| matches!(it.step, Step::Warned { .. })).count();
        let asked = match &self.release {
            Some(Release { stopped: Some(_), .. }) => "STOPPED".to_owned(),
            Some(_) if self.is_partly_sent => "NOT EVERYBODY WAS ASKED".to_owned(),
            Some(Release { asked, enforced: 0, .. }) => format!("{asked} to decide"),
            Some(Release { asked, enforced, .. }) => format!("{asked} to decide, {enforced} done unasked"),
            None if self.to_ask > 0 => "NOBODY WAS ASKED".to_owned(),
            None => "0 to decide".to_owned(),
        };
        let failed = match self.not_swept.len() {
            0 => String::new(),
            n => format!(", {n} accounts NOT swept"),
        };
        format!("iam-responder sweep {}: {asked}, {warned} warned{failed}", self.day)
    }

    pub fn text(&self) -> String {
        let mut out =
            format!("Sweep of {}: {} accounts, {} users, {} s.\n", self.day, self.accounts, self.users, self.seconds);
        if let Some(as_of) = &self.as_of {
            let _ = writeln!(out, "As of {as_of}, when the oldest of the credential reports was made.");
        }
        self.tell_release(&mut out);
        let skipped: Vec<_> = self.not_swept.iter().map(|it| format!("{}: {}", it.account, it.reason)).collect();
        section(&mut out, "NOT SWEPT", &skipped);
        for (title, is_in) in PARTS {
            let of = self.told.iter().filter(|(_, it)| is_in(it));
            section(&mut out, title, &of.map(|(account, it)| line(account, it)).collect::<Vec<_>>());
        }
        section(&mut out, "EXEMPTIONS THAT END", &self.exemptions);
        section(&mut out, "COULD NOT BE READ", &self.unreadable);
        section(&mut out, "FIRST SWEEP, A BASELINE", &self.baselines);
        if self.more > 0 {
            let _ = writeln!(out, "\n{} more are counted below and not named.", self.more);
        }
        let rows: Vec<_> = self.rows.iter().map(Row::words).collect();
        section(&mut out, "BY ACCOUNT (since the sweep before: + new, - gone)", &rows);
        if self.kinds.values().all(|it| *it == Count::default()) && self.not_swept.is_empty() {
            out.push_str("\nNo problems.\n");
        }
        out
    }

    fn tell_release(&self, out: &mut String) {
        if self.is_partly_sent && self.release.is_some() {
            out.push_str(
                "\nNOT EVERYBODY WAS ASKED: some of what is below did not come into the queue, as the execution of the \
                 state machine says. Start it again with the same input today, or the next sweep asks.\n",
            );
        }
        let words = match &self.release {
            Some(Release { stopped: Some(stopped), earlier, .. }) => {
                let command = release_command(self.day);
                let what = match earlier {
                    0 => "Nobody is asked and nothing is done today.".to_owned(),
                    n => format!(
                        "Nobody more is asked and nothing more is done today; at least {n} had been released before, \
                         and what was sent of them goes on."
                    ),
                };
                format!(
                    "STOPPED: {stopped}. {what} Look for what changed since yesterday. If that many are right, this \
                     asks about all of them, with the output SweepStateMachineArn of the stack:\n{command}"
                )
            }
            Some(Release { by: Some(by), .. }) => format!("Released by {}", text::line(by, 400)),
            Some(it) if (it.asked + it.enforced) as u64 != self.to_ask => format!(
                "Of {} under WAITS FOR A PERSON, {} are asked about and {} done unasked: the mode of the others is \
                 `observe`.",
                self.to_ask, it.asked, it.enforced
            ),
            Some(Release { enforced: 1.., .. }) => {
                "Some of those under WAITS FOR A PERSON are done unasked: their mode is `enforce`.".to_owned()
            }
            None if self.to_ask > 0 => "NOBODY WAS ASKED: the step that asks did not come through, as the execution \
                                        of the state machine says. Start it again with the same input today, or the next sweep \
                                        asks."
                .to_owned(),
            _ => return,
        };
        let _ = writeln!(out, "\n{words}");
    }
}

/// By which a person releases what was stopped.
fn release_command(day: Day) -> String {
    let input = serde_json::json!({"scheduled": day, "release": {"by": "YOUR NAME", "reason": "WHY"}});
    format!("aws stepfunctions start-execution --state-machine-arn $SWEEP --input '{input}'")
}

type Part = (&'static str, fn(&Entry) -> bool);

const PARTS: [Part; 10] = [
    ("WAITS FOR A PERSON", |it| matches!(it.step, Step::Asked { .. })),
    ("PROTECTED, AND NOT ASKED ABOUT", is_refused),
    ("DECIDED", |it| matches!(it.step, Step::Ended { .. }) && !is_refused(it)),
    ("OVERDUE, AND NO KEY TO TAKE AWAY", |it| it.step == Step::Overdue),
    ("NEW, AND NO EVENT TOLD OF IT", is_listed_by_name),
    ("REMINDED", |it| matches!(it.step, Step::Reminded { .. })),
    ("WARNED", |it| matches!(it.step, Step::Warned { .. })),
    ("COULD NOT BE CONFIRMED", |it| matches!(it.step, Step::Unconfirmed { .. })),
    ("UNSEEN NO MORE", |it| it.kind.is_urgent() && matches!(it.step, Step::Left { .. })),
    ("NO PROBLEM ANY MORE", |it| !it.kind.is_urgent() && matches!(it.step, Step::Left { .. })),
];

fn is_refused(entry: &Entry) -> bool {
    matches!(entry.step, Step::Ended { ending: Ending::Refused { .. }, .. })
}

pub(super) fn rank(entry: &Entry) -> usize {
    PARTS.iter().position(|(_, is_in)| is_in(entry)).unwrap_or(PARTS.len())
}

fn section(out: &mut String, title: &str, lines: &[String]) {
    if lines.is_empty() {
        return;
    }
    let _ = writeln!(out, "\n{title} ({})", lines.len());
    let mut shown = 0;
    for line in lines.iter().take(MOST_LINES).map(|it| text::line(it, 400)) {
        if out.len() + line.len() > MOST_BYTES {
            break;
        }
        let _ = writeln!(out, "- {line}");
        shown += 1;
    }
    if let Some(more @ 1..) = lines.len().checked_sub(shown) {
        let _ = writeln!(out, "- and {more} more");
    }
}

fn line(account: &str, entry: &Entry) -> String {
    let who = entry.user.as_ref().map_or_else(|| "root".to_owned(), ToString::to_string);
    let created = entry.created.map(|it| format!(", created {it}")).unwrap_or_default();
    let facts = if entry.facts.is_empty() { String::new() } else { format!(" ({})", entry.facts) };
    let step = match &entry.step {
        Step::Warned { days_left } | Step::Reminded { days_left } => format!("; {days_left} days left"),
        Step::Asked { time, last: None } => format!("; request {time}"),
        Step::Asked { time, last: Some(last) } => format!("; request {time}; the last one: {}", last.words()),
        Step::Overdue => "; only the user, or who resets the password, can mend it".to_owned(),
        Step::Ended { ending, .. } => format!("; {}", ending.words()),
        Step::Unconfirmed { reason } | Step::Left { reason } => format!("; {reason}"),
        _ => String::new(),
    };
    let note = entry.note.as_ref().map(|it| format!("; {it}")).unwrap_or_default();
    format!("{account} {who}{created}: {}{facts}{step}{note}", entry.kind.words())
}

impl Row {
    fn words(&self) -> String {
        let one = |(kind, count): (&Kind, &Count)| {
            let change = match (count.new, count.left) {
                (0, 0) => String::new(),
                (new, left) => format!(" (+{new} -{left})"),
            };
            format!("{} {}{change}", kind.name(), count.now)
        };
        let kinds = self.kinds.iter().filter(|(_, it)| **it != Count::default()).map(one);
        let services = self.service_credentials.iter().map(|(service, n)| format!("{n} credentials of {service}"));
        let all: Vec<_> = kinds.chain(services).collect();
        format!("{}: {} users; {}", self.account, self.users, all.join(", "))
    }
}
