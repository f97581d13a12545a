//! What happened, as one value: the response of the invocation and the log line. Every text here is
//! safe for its sink whatever the identity is called.

use std::time::Duration;

use serde::Serialize;
use serde_json::{Value, json};

use super::contest::Fought;
use super::playbooks::Playbook;
use super::progress::Progress;
use crate::child::Parent;
use crate::finding::{Finding, Principal, Source, Threat};
use crate::history;
use crate::identity::Identity;
use crate::outcome::Summary;
use crate::round_trips::RoundTrips;
use crate::settings::Mode;
use crate::text;
use crate::verdict::Verdict;

/// One finding's response. Others read these names: changing one is a line in the CHANGELOG.
#[derive(Debug, Serialize)]
pub struct Report {
    pub finding_id: String,
    pub source: Source,
    pub threat: Threat,
    pub playbook: &'static str,
    pub mode: Mode,
    pub account: String,
    pub principal: Value,
    pub access_key: Option<String>,
    /// Who made it, where it is answered for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent: Option<Parent>,
    pub verdict: Verdict,
    pub reason: String,
    /// The request under which people are asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<String>,
    #[serde(skip)]
    pub is_uncovered: bool,
    #[serde(skip)]
    pub is_spared: bool,
    #[serde(skip)]
    pub told_trouble: Option<String>,
    pub actions: Vec<Summary>,
    /// What somebody undid, each time it was seen: an attacker is fighting back.
    pub reversals: Vec<String>,
    #[serde(skip)]
    pub times_undone: usize,
    /// What it took to put it back again and again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fight: Option<Fight>,
    /// What became of the guardrail, where it was wanted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub guardrail: Option<String>,
    pub notes: Vec<String>,
    pub open: Vec<String>,
    /// Who only could have acted for the attacker.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub leads: Vec<String>,
    /// What was attached, joined and active before, for whoever has to put it back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<Value>,
    pub timings_ms: Timings,
    pub round_trips: RoundTrips,
}

/// Over all invocations of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Fight {
    pub seconds: u64,
    pub reversals: usize,
    /// What was written without waiting for a look.
    pub writes: usize,
    pub throttled: usize,
}

impl Fight {
    pub(super) fn of(progress: &Progress) -> Option<Self> {
        let Fought { millis, writes, throttled } = progress.fought?;
        Some(Self { seconds: millis.div_ceil(1_000), reversals: progress.times_undone(), writes, throttled })
    }

    pub(super) fn words(&self) -> String {
        let Self { seconds, writes, throttled, .. } = self;
        format!(
            "It was fought for {seconds} s: {writes} writes without waiting for a look, of which IAM put off {throttled}."
        )
    }
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

/// More than that nobody looks at in an hour.
pub const MOST_LEADS: usize = 20;

pub fn millis(it: Duration) -> u64 {
    u64::try_from(it.as_millis()).unwrap_or(u64::MAX)
}

impl Report {
    pub fn of(
        progress: &Progress,
        finding: &Finding,
        playbook: &Playbook,
        mode: Mode,
        timings_ms: Timings,
        round_trips: RoundTrips,
    ) -> Self {
        Self {
            finding_id: text::line(&finding.id, 512),
            source: finding.source,
            threat: finding.threat,
            playbook: playbook.id,
            mode,
            account: finding.account.to_string(),
            principal: principal(finding, progress.identity.as_ref()),
            access_key: finding.access_key.as_ref().map(ToString::to_string),
            parent: finding.parent.clone(),
            verdict: progress.verdict(),
            reason: progress.reason.clone().unwrap_or_default(),
            request: progress.question.as_ref().map(|it| it.request.to_string()),
            is_uncovered: progress.is_uncovered,
            is_spared: progress.is_spared,
            told_trouble: progress.told_trouble.clone(),
            actions: [progress.changes.summary(), progress.notices.summary()].concat(),
            reversals: counted(&progress.reversals),
            times_undone: progress.times_undone(),
            fight: Fight::of(progress),
            guardrail: progress.guardrail.as_ref().map(|it| it.words(&finding.account)),
            notes: progress.notes.clone(),
            open: progress.open.clone(),
            leads: progress.leads.iter().take(MOST_LEADS).cloned().collect(),
            before: progress.snapshot.as_ref().map(history::snapshot),
            timings_ms,
            round_trips,
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
        Principal::UserOrRole { name } => json!({"type": "unknown", "name": name, "id": null}),
        Principal::KeyOwner => json!({"type": "unknown", "name": null, "id": null}),
        Principal::Root => json!({"type": "root", "name": "root", "id": null}),
        Principal::NotContainable { .. } => json!({"type": "not-containable", "name": null, "id": null}),
    }
}

/// Each line once, with how often it came.
pub(super) fn counted(lines: &[String]) -> Vec<String> {
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
