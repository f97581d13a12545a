//! What an identity did: counted, compared with its own earlier part of the period, and as a timeline.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::trail::{Event, time};
use super::weights::Weights;

/// More of a kind nobody reads.
const MOST: usize = 25;
const MOST_LINES: usize = 100;

#[derive(Debug, Clone, Default, Serialize)]
pub struct Did {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_seen: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_seen: Option<String>,
    pub calls: usize,
    pub failed: usize,
    pub services: Vec<Seen>,
    pub errors: Vec<Seen>,
    pub addresses: Vec<Seen>,
    pub user_agents: Vec<Seen>,
    pub regions: Vec<Seen>,
    /// How many more values of each kind there were than are listed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub more_values: BTreeMap<&'static str, usize>,
    /// What it used only from `split` on, of services, addresses, user agents and regions.
    pub new: Vec<New>,
    /// With what the new is compared.
    pub compared_with: String,
    pub timeline: Vec<Line>,
    /// How many more events of its timeline are not in it.
    pub more: usize,
}

/// One value, and by which events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Seen {
    pub value: String,
    pub calls: usize,
    pub first: String,
    pub last: String,
    /// The event in which it was seen first.
    pub event: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct New {
    pub kind: &'static str,
    #[serde(flatten)]
    pub seen: Seen,
}

/// What an event of the timeline is there for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// It left something behind that gives access, or takes sight.
    Left,
    /// It made a session.
    Session,
    /// It was refused.
    Refused,
    /// It changed something.
    Change,
}

/// One line of the timeline.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    pub at: String,
    pub why: Why,
    /// `at`, in seconds since 1970.
    #[serde(skip)]
    pub seconds: i64,
    pub what: String,
    pub evidence: String,
    pub actor: String,
}

/// From whom to whom a kind of value is read.
type Kind = (&'static str, fn(&Event) -> String);

const KINDS: &[Kind] = &[
    ("service", |it| it.source.clone()),
    ("address", |it| it.address.clone()),
    ("user agent", |it| it.user_agent.clone()),
    ("region", |it| it.region.clone()),
];

/// `events`: all of the identity and its sessions. `split`: when what is suspected began, in seconds since 1970.
pub fn did(events: &[Event], split: Option<i64>) -> Did {
    let mut events: Vec<&Event> = events.iter().collect();
    events.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let mut more_values = BTreeMap::new();
    let mut seen = |kind: &'static str, value: fn(&Event) -> String| {
        let mut found = seen(&events, value);
        cut(&mut found, kind, &mut more_values);
        found
    };
    let services = seen("services", |it| it.source.clone());
    let errors = seen("errors", |it| it.error.clone().unwrap_or_default());
    let addresses = seen("addresses", |it| it.address.clone());
    let user_agents = seen("user agents", |it| it.user_agent.clone());
    let regions = seen("regions", |it| it.region.clone());
    let (mut new, compared_with) = new(&events, split);
    cut(&mut new, "new values", &mut more_values);
    let (timeline, more) = timeline(&events);
    Did {
        first_seen: events.first().map(|it| time(it.at)),
        last_seen: events.last().map(|it| time(it.at)),
        calls: events.len(),
        failed: events.iter().filter(|it| it.error.is_some()).count(),
        services,
        errors,
        addresses,
        user_agents,
        regions,
        more_values,
        new,
        compared_with,
        timeline,
        more,
    }
}

impl Did {
    /// How many addresses there were, listed or not.
    pub fn count_of_addresses(&self) -> usize {
        self.addresses.len() + self.more_values.get("addresses").copied().unwrap_or_default()
    }
}

fn cut<T>(all: &mut Vec<T>, kind: &'static str, more: &mut BTreeMap<&'static str, usize>) {
    let rest = all.len().saturating_sub(MOST);
    if rest > 0 {
        more.insert(kind, rest);
    }
    all.truncate(MOST);
}

/// The commonest first.
fn seen(events: &[&Event], value: fn(&Event) -> String) -> Vec<Seen> {
    let mut found: BTreeMap<String, Seen> = BTreeMap::new();
    for event in events {
        let value = value(event);
        if value.is_empty() {
            continue;
        }
        let one = found.entry(value.clone()).or_insert_with(|| Seen {
            value,
            calls: 0,
            first: time(event.at),
            last: String::new(),
            event: event.id.clone(),
        });
        one.calls += 1;
        one.last = time(event.at);
    }
    let mut found: Vec<_> = found.into_values().collect();
    found.sort_by(|a, b| (b.calls, &a.value).cmp(&(a.calls, &b.value)));
    found
}

fn new(events: &[&Event], split: Option<i64>) -> (Vec<New>, String) {
    let Some(split) = split else {
        return (Vec::new(), "nothing: when what is suspected began is not known".to_owned());
    };
    let (earlier, later): (Vec<&Event>, Vec<&Event>) = events.iter().copied().partition(|it| it.at < split);
    if earlier.is_empty() {
        return (Vec::new(), format!("nothing: no event from before {} was found", time(split)));
    }
    let mut new = Vec::new();
    for (kind, value) in KINDS {
        let known: BTreeSet<_> = earlier.iter().map(|it| value(it)).collect();
        let found = seen(&later, *value).into_iter().filter(|it| !known.contains(&it.value));
        new.extend(found.map(|seen| New { kind, seen }));
    }
    (new, format!("its own {} events from before {}", earlier.len(), time(split)))
}

/// What changed something, made a session or was refused; what only read is counted above.
fn timeline(events: &[&Event]) -> (Vec<Line>, usize) {
    let told: Vec<_> = events.iter().filter(|it| !it.is_read || it.minted.is_some() || it.error.is_some()).collect();
    // What matters most is never left out for what was made by the hundred, or merely refused.
    let traces: Vec<_> = told.iter().filter_map(|it| Some((it.action(), it.trace.as_ref()?))).collect();
    let weights = Weights::of(traces.iter().map(|(action, trace)| (action.as_str(), *trace)));
    let mut kept: Vec<_> = told.iter().collect();
    kept.sort_by_cached_key(|it| {
        let weight = it.trace.as_ref().map(|trace| weights.of_one(&it.action(), trace));
        (weight.is_none(), weight, it.minted.is_none(), it.at, it.id.clone())
    });
    kept.truncate(MOST_LINES);
    kept.sort_by(|a, b| (a.at, &a.id).cmp(&(b.at, &b.id)));
    let more = told.len() - kept.len();
    let line = |event: &&&&Event| Line {
        at: time(event.at),
        why: why(event),
        seconds: event.at,
        what: what(event),
        evidence: event.id.clone(),
        actor: if event.actor.arn.is_empty() { event.actor.principal_id.clone() } else { event.actor.arn.clone() },
    };
    (kept.iter().map(line).collect(), more)
}

fn why(event: &Event) -> Why {
    match event {
        Event { trace: Some(_), .. } => Why::Left,
        Event { minted: Some(_), .. } => Why::Session,
        Event { error: Some(_), .. } => Why::Refused,
        _ => Why::Change,
    }
}

fn what(event: &Event) -> String {
    let mut what = event.action();
    if let Some(trace) = &event.trace {
        let object = if trace.object.is_empty() { String::new() } else { format!(" {}", trace.object) };
        what = format!("{what}: {}{object}", trace.what);
    }
    if let Some(minted) = &event.minted {
        what = format!("{what}: made session {}", minted.key);
    }
    match &event.error {
        Some(error) => format!("{what} (refused: {error})"),
        None => what,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::trail::tests::event;

    #[test]
    fn it_is_counted_and_what_is_new_is_named() {
        let write = Event { is_read: false, address: "203.0.113.9".to_owned(), ..event("CreateUser", 300) };
        let refused = Event { error: Some("AccessDenied".to_owned()), ..event("GetUser", 200) };
        let found = did(&[write, event("ListUsers", 100), refused], Some(250));
        assert_eq!((found.calls, found.failed), (3, 1));
        assert_eq!(found.first_seen.as_deref(), Some("1970-01-01T00:01:40Z"));
        assert_eq!((found.addresses[0].value.as_str(), found.addresses[0].calls), ("198.51.100.7", 2));
        assert_eq!(found.errors.len(), 1);
        let new: Vec<_> =
            found.new.iter().map(|it| (it.kind, it.seen.value.as_str(), it.seen.event.as_str())).collect();
        assert_eq!(new, [("address", "203.0.113.9", "CreateUser-300")]);
        let lines: Vec<_> = found.timeline.iter().map(|it| it.what.as_str()).collect();
        assert_eq!(lines, ["iam:GetUser (refused: AccessDenied)", "iam:CreateUser"]);
    }

    #[test]
    fn without_an_earlier_part_nothing_is_new() {
        let found = did(&[event("ListUsers", 100)], Some(50));
        assert!(found.new.is_empty() && found.compared_with.contains("no event from before"));
        assert!(did(&[], None).compared_with.contains("not known"));
    }

    /// Whoever comes rarely is behind no number of whom it knows.
    #[test]
    fn what_is_not_listed_is_counted_and_what_is_new_is_looked_for_in_all() {
        let from = |n: i64, at: i64| Event { address: format!("198.51.100.{n}"), ..event("ListUsers", at) };
        let mut events: Vec<_> = (0..30).flat_map(|n| [from(n, 10 + n), from(n, 500), from(n, 600)]).collect();
        events.push(from(200, 700));
        let found = did(&events, Some(250));
        assert_eq!((found.addresses.len(), found.more_values.get("addresses")), (MOST, Some(&6)));
        assert_eq!(found.count_of_addresses(), 31);
        let new: Vec<_> = found.new.iter().map(|it| it.seen.value.as_str()).collect();
        assert_eq!(new, ["198.51.100.200"]);
    }

    #[test]
    fn a_long_timeline_keeps_what_it_left_behind() {
        let mut events: Vec<_> = (0..200).map(|n| Event { is_read: false, ..event("TagUser", n) }).collect();
        let minted = super::super::trail::Minted { key: "ASIA".to_owned(), session: String::new(), role: None };
        events.push(Event { minted: Some(minted), ..event("AssumeRole", 500) });
        let found = did(&events, None);
        assert_eq!((found.timeline.len(), found.more), (MOST_LINES, 101));
        assert!(found.timeline.last().unwrap().what.contains("made session ASIA"));
    }
}
