//! What a report is made of: whom it is about, what was found out, and what follows from that without judgement.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;
use serde::Serialize;
use serde_json::{Value, json};

use super::behaviour::{Did, Seen};
use super::chain::Link;
use super::could::Could;
use super::remains::Now;
use super::revision::Gist;
use super::room;
use super::standing::Standing;
use super::trail::{Event, time};
use crate::child::Child;
use crate::history::Kept;
use crate::identity::{Identity, IdentityKind};
use crate::ids::AccountId;
use crate::made::Became;
use crate::text;
use crate::verdict::Verdict;

/// Whom it is about, and the period.
#[derive(Debug, Clone)]
pub struct About<'a> {
    pub identity: &'a Identity,
    pub account: &'a AccountId,
    /// Seconds since 1970, as all times here.
    pub from: i64,
    pub to: i64,
    /// When what is suspected began.
    pub since: Option<i64>,
    /// When somebody was told first.
    pub detected: Option<i64>,
    /// How many reports there were, with this one.
    pub revision: i64,
    /// It is not there any more: what is known of that, in words.
    pub gone: Option<String>,
    /// When it is made again without anybody's asking.
    pub again_at: Option<i64>,
}

/// What was looked up in CloudTrail, and how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looked {
    pub account: String,
    pub region: String,
    /// The one attribute of the look-up: `Username=alice`.
    pub by: String,
    pub events: usize,
    pub pages: usize,
    /// Why it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

impl Looked {
    /// It read nothing at all of what the identity did by itself in a region.
    pub fn is_blind(&self) -> bool {
        self.pages == 0 && self.missing.is_some() && !self.by.starts_with("AccessKeyId=")
    }
}

/// Everything that was found out.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    pub standing: Standing<'a>,
    pub could: Could,
    /// Of the identity and its sessions, each once.
    pub events: Vec<Event>,
    pub sessions: Vec<Link>,
    pub looked: Vec<Looked>,
    /// What else could not be read, in words.
    pub unread: Vec<String>,
    /// Whether what was left behind is still there, by its event's ID.
    pub exists: Vec<(String, Now)>,
    /// The report before this one.
    pub before: Option<Gist>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Containment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// When everything was read to be in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<String>,
    /// Why the ledger could not be read: nothing is known of what was contained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_read: Option<String>,
    /// What the responses wanted and was not so when this report was made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_in_place: Vec<String>,
    pub responses: Vec<Value>,
    /// What it made with a flagged credential, and a response to that is in force: as the record of each says.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children: Vec<String>,
    /// What of that a person restored since.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub children_restored: Vec<String>,
    /// The same for a person, with what was done.
    #[serde(skip)]
    pub made: Vec<String>,
    /// What was done, with the request IDs that CloudTrail has too.
    pub actions: Vec<Value>,
}

/// What the report has no room for, beside what its lists count.
pub(super) struct NotTold {
    /// Values of the query for Athena.
    pub in_query: usize,
    /// Look-ups that are not complete.
    pub incomplete: usize,
}

/// For other programs: as they are, and not for a person to click.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Indicators {
    pub addresses: Vec<String>,
    pub user_agents: Vec<String>,
    pub access_keys: Vec<String>,
    pub identities: Vec<String>,
    /// How many more access keys there are than are listed.
    pub more_access_keys: usize,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contained: Option<String>,
    /// When a person took back the last of the responses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolved: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_detect: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_contain: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_resolve: Option<i64>,
    /// In seconds since 1970.
    #[serde(skip)]
    pub detected_at: Option<i64>,
    #[serde(skip)]
    pub contained_at: Option<i64>,
}

/// In a line for a phone.
const MOST_MISSED: usize = 5;

impl Containment {
    /// In words, as of `now`.
    pub fn words(&self, now: &str) -> String {
        let verdict = match (self.verdict, &self.read_at) {
            _ if self.not_read.is_some() => {
                "whether it is contained is not known, the ledger could not be read".to_owned()
            }
            (Some(verdict), Some(at)) => format!("{}, read at {at}", verdict.words()),
            (Some(verdict), None) => verdict.words().to_owned(),
            (None, _) if self.responses.is_empty() => "nothing was contained".to_owned(),
            (None, _) => "a response has begun, and has not ended".to_owned(),
        };
        if self.not_in_place.is_empty() {
            return verdict;
        }
        let more = self.not_in_place.len().saturating_sub(MOST_MISSED);
        let mut named: Vec<_> = self.not_in_place.iter().take(MOST_MISSED).cloned().collect();
        named.extend((more > 0).then(|| format!("and {more} more")));
        format!("{verdict}; not in place at {now}: {}", named.join(", "))
    }

    /// The identity is not seen to be contained, though somebody wanted that.
    pub fn is_open(&self) -> bool {
        let is_unended = self.verdict.is_none() && !self.responses.is_empty();
        let failed = self.verdict.is_some_and(|it| !it.is_success());
        failed || is_unended || self.not_read.is_some() || !self.not_in_place.is_empty()
    }
}

pub(super) fn containment(standing: &Standing<'_>) -> Containment {
    let none = Kept::default();
    let kept = standing.kept.as_ref().map_or(&none, |it| *it);
    let at = |millis: i64| DateTime::from_millis(millis).to_string();
    let responses = kept
        .responses
        .iter()
        .map(|it| json!({"id": it.id, "finding": it.finding, "at": at(it.at), "verdict": it.verdict}));
    let these = |is_so: &dyn Fn(&Became) -> bool| {
        standing.made.iter().filter(|(_, it)| is_so(it)).map(|(child, _)| child.words()).collect()
    };
    Containment {
        verdict: kept.verdict,
        read_at: kept.held_at.map(at),
        not_read: standing.kept.as_ref().err().map(|it| text::line(&it.why.to_string(), 200)),
        not_in_place: standing.lacking.clone(),
        responses: responses.collect(),
        children: these(&|it| it.is_in_force()),
        children_restored: these(&|it| matches!(it, Became::Restored(_))),
        made: standing.made.iter().filter_map(|(child, it)| made(child, it)).collect(),
        actions: kept.applied.clone(),
    }
}

fn made(child: &Child, became: &Became) -> Option<String> {
    let child = child.words();
    Some(match became {
        Became::Contained { response, .. } => format!("Made by it, and contained by {response}: {child}"),
        Became::Restored(by) => format!("Made by it, contained, and {by}: {child}"),
        it => format!("Made by it: {child}: {}", it.words()?),
    })
}

/// Nobody types more, and the query for Athena has room for as many.
const MOST_KEYS: usize = 1_000;

pub(super) fn contained_at(standing: &Standing<'_>) -> Option<i64> {
    let kept = standing.kept.as_ref().ok()?;
    kept.held_at.filter(|_| kept.verdict.is_some_and(Verdict::is_success)).map(|it| it / 1_000)
}

pub(super) fn times(about: &About<'_>, standing: &Standing<'_>) -> Times {
    let contained = contained_at(standing);
    let kept = standing.kept.as_ref().ok();
    let resolved =
        kept.and_then(|kept| kept.restored.as_ref().filter(|_| kept.responses.is_empty())).map(|it| it.at / 1_000);
    let between = |a: Option<i64>, b: Option<i64>| Some((b? - a?).max(0));
    Times {
        began: about.since.map(time),
        detected: about.detected.map(time),
        contained: contained.map(time),
        resolved: resolved.map(time),
        seconds_to_detect: between(about.since, about.detected),
        seconds_to_contain: between(about.detected, contained),
        seconds_to_resolve: between(about.detected, resolved),
        detected_at: about.detected,
        contained_at: contained,
    }
}

/// `identities`: the unique IDs of what it left behind.
pub(super) fn indicators(did: &Did, found: &Found<'_>, identities: Vec<String>) -> Indicators {
    let values = |seen: &[Seen]| seen.iter().map(|it| it.value.clone()).collect();
    // Those that acted before those that were only made.
    let acted = found.events.iter().map(|it| it.actor.key.clone()).filter(|it| !it.is_empty());
    let acted: BTreeSet<_> = acted.collect();
    let made: BTreeSet<_> = found.sessions.iter().map(|it| it.key.clone()).filter(|it| !acted.contains(it)).collect();
    let (keys, more_access_keys) = room::first(acted.into_iter().chain(made).collect(), MOST_KEYS, usize::MAX);
    Indicators {
        addresses: values(&did.addresses),
        user_agents: values(&did.user_agents),
        access_keys: keys,
        identities,
        more_access_keys,
    }
}

/// Regions in which nothing was found by the same look-up, and for the same reason, in one line, behind all others: a call
/// is recorded where it was made, so that every region is asked.
pub fn in_few_lines(looked: Vec<Looked>) -> Vec<Looked> {
    let (mut lines, empty): (Vec<_>, Vec<_>) = looked.into_iter().partition(|it| it.events > 0);
    let found = lines.len();
    for it in empty {
        let is_same = |line: &&mut Looked| {
            line.account == it.account && line.by == it.by && line.missing == it.missing && line.region != it.region
        };
        match lines.iter_mut().skip(found).find(is_same) {
            Some(line) => {
                line.region = format!("{}, {}", line.region, it.region);
                line.pages += it.pages;
            }
            None => lines.push(it),
        }
    }
    lines
}

pub(super) fn not_looked_at(found: &Found<'_>) -> Vec<String> {
    let mut missing = vec![
        "data events (objects in S3, items of DynamoDB, invocations of functions): CloudTrail's event history has none"
            .to_owned(),
        if found.could.simulation.answers.why_not().is_none() {
            "resource control policies, policies of resources, and service control policies but for what AWS's own \
             simulation was asked about"
        } else {
            "service and resource control policies, and policies of resources"
        }
        .to_owned(),
    ];
    if !found.could.roles_elsewhere.found().is_empty() {
        missing.push("whom the roles of other accounts trust that its policies let it try".to_owned());
    }
    let looked = found.looked.iter().filter(|it| it.pages > 0);
    let mut regions: Vec<_> = looked.flat_map(|it| it.region.split(", ")).collect();
    regions.sort_unstable();
    regions.dedup();
    missing.push(if regions.is_empty() {
        "CloudTrail, in any region".to_owned()
    } else {
        format!("CloudTrail in other regions than {}", regions.join(", "))
    });
    missing.extend(found.unread.iter().cloned());
    missing
}

pub(super) fn undo(about: &About<'_>) -> String {
    let field = if about.identity.kind == IdentityKind::User { "user" } else { "role" };
    let command =
        json!({"command": "restore", "account": about.account, field: about.identity.name, "by": "…", "reason": "…"});
    format!("send the restoring function {command}; keys stay inactive")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_in_which_nothing_was_found_are_one_line() {
        let looked = |region: &str, by: &str, events, missing: Option<&str>| Looked {
            account: "1".to_owned(),
            region: region.to_owned(),
            by: by.to_owned(),
            events,
            pages: 1,
            missing: missing.map(str::to_owned),
        };
        let refused = Some("AccessDenied");
        let all = vec![
            looked("a", "Username=alice", 0, None),
            looked("b", "Username=alice", 3, None),
            looked("c", "Username=alice", 0, None),
            looked("d", "Username=alice", 0, refused),
            looked("e", "Username=alice", 0, refused),
            looked("a", "AccessKeyId=x", 0, None),
        ];
        let lines = in_few_lines(all);
        let of: Vec<_> = lines.iter().map(|it| (it.region.as_str(), it.events, it.pages)).collect();
        assert_eq!(of, [("b", 3, 1), ("a, c", 0, 2), ("d, e", 0, 2), ("a", 0, 1)]);
    }
}
