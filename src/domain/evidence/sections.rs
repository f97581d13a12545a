//! What a report says, section by section. Addresses and programs are written so that nothing makes a link of them.

use serde_json::Value;

use super::answer::{Decision, Grant};
use super::behaviour::Seen;
use super::blocks::{Block, Item, LONGEST_CELL, items};
use super::could::Found;
use super::part::Part;
use super::report::Evidence;
use super::trail::time;
use crate::text::{cut, defanged};

impl Evidence {
    pub(super) fn title(&self) -> String {
        let principal = |field: &str| self.principal.get(field).and_then(Value::as_str).unwrap_or_default();
        format!("Evidence: {} {} in account {}", principal("type"), principal("name"), self.account)
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let state = if self.is_provisional { "provisional: records that come late may be missing" } else { "final" };
        let mut blocks = vec![Block::Line(format!(
            "Report {}, revision {}, made at {} ({state}). Period {} to {}. All times are UTC.",
            self.id, self.revision, self.made_at, self.from, self.to
        ))];
        if let Some(changes) = &self.changes {
            blocks.push(Block::Section("changes", "Changes"));
            blocks.push(Block::Line(format!("Since revision {}:", changes.since)));
            blocks.push(items(&changes.lines, "Nothing."));
        }
        blocks.extend([Block::Section("summary", "Summary"), Block::Numbered(self.summary.clone())]);
        for section in [Self::containment, Self::could, Self::did, Self::left, Self::indicators, Self::ending] {
            blocks.extend(section(self));
        }
        blocks
    }

    fn containment(&self) -> Vec<Block> {
        let proof = match (self.containment.verdict, &self.containment.read_at) {
            _ if self.containment.not_read.is_some() => {
                "The ledger could not be read: what was contained is not known.".to_owned()
            }
            (Some(verdict), Some(at)) => {
                format!("Verdict {}: everything was last read to be in place at {at}.", verdict.name())
            }
            (Some(verdict), None) => format!("Verdict {}: not everything was read to be in place.", verdict.name()),
            (None, _) if self.containment.responses.is_empty() => "The ledger has no containment of it.".to_owned(),
            (None, _) => "A response has begun, and has not ended.".to_owned(),
        };
        let word = |it: &Value, field: &str| it.get(field).and_then(Value::as_str).unwrap_or_default().to_owned();
        let response = |it: &Value| vec![word(it, "at"), word(it, "finding"), word(it, "verdict"), word(it, "id")];
        let action = |it: &Value| {
            let became = format!("{}: {}", word(it, "outcome"), word(it, "detail"));
            vec![word(it, "at"), word(it, "action"), word(it, "target"), became]
        };
        vec![
            Block::Section("containment", "Containment"),
            Block::Line(proof),
            Block::Items(
                self.containment
                    .not_in_place
                    .iter()
                    .map(|it| format!("Not in place at {}: {it}", self.made_at))
                    .chain(self.containment.made.iter().cloned())
                    .map(Item::new)
                    .collect(),
            ),
            Block::Table {
                head: &["Time", "Finding", "Verdict", "Response"],
                rows: self.containment.responses.iter().map(response).collect(),
            },
            Block::Table {
                head: &["Time", "Action", "Target", "Outcome"],
                rows: self.containment.actions.iter().map(action).collect(),
            },
            self.times_table(),
        ]
    }

    fn times_table(&self) -> Block {
        let times = &self.times;
        let (held, resolved) = match self.containment.not_read {
            Some(_) => ("not known", "not known"),
            None => ("not seen to hold", "not resolved: nobody restored it"),
        };
        let row = |what: &str, at: &Option<String>, seconds: Option<i64>, none: &str| {
            let took = seconds.map_or_else(|| "-".to_owned(), |it| format!("{it} s"));
            vec![what.to_owned(), at.clone().unwrap_or_else(|| none.to_owned()), took]
        };
        Block::Table {
            head: &["What", "At", "Took"],
            rows: vec![
                row("Began", &times.began, None, "not known"),
                row("Detected", &times.detected, times.seconds_to_detect, "not known"),
                row("Contained", &times.contained, times.seconds_to_contain, held),
                row("Resolved", &times.resolved, times.seconds_to_resolve, resolved),
            ],
        }
    }

    fn could(&self) -> Vec<Block> {
        let could = &self.could;
        let but = match could.administrator_but.as_slice() {
            [] => String::new(),
            some => format!(", but for {}, of the actions asked about", some.join(", ")),
        };
        let mut list = vec![Item {
            text: format!("Administrator: {}{but}", answer(&could.administrator)),
            under: self.grants(&could.administrator),
        }];
        let mut sections = vec![Block::Section("could", "What it could do")];
        let has_all = could.administrator.answer == super::answer::Answer::Yes && but.is_empty();
        if has_all {
            let all = could.open_ways().count();
            list.push(Item::new(format!(
                "Get more rights: an administrator has them. The {all} ways that the catalogue knows are in the JSON."
            )));
        }
        sections.push(Block::Items(list));
        for (title, part) in [
            ("Get more rights", &could.escalations),
            ("Reach secrets", &could.secrets),
            ("Reach data", &could.data),
            ("Switch off logging", &could.logging),
        ] {
            if has_all && title == "Get more rights" {
                continue;
            }
            sections.push(head(title, part, "not by the actions asked about."));
            let ways = part.iter().filter(|it| it.variant_of.is_none());
            sections.push(Block::Items(ways.map(|it| self.way(it, part.found(), has_all)).collect()));
        }
        sections.push(head("Assume roles of its account", &could.roles, "none of those asked about."));
        let roles = could.roles.iter().map(|it| {
            let keys = depends(it.answer.word(), &it.depends_on, it.more_keys);
            Item::new(format!("{}: {keys}; {}", cut(&it.role, LONGEST_CELL), it.why))
        });
        sections.push(Block::Items(roles.chain(more(could.more_roles)).collect()));
        let none = if could.unread.is_empty() { "none that its policies name." } else { "none that is known." };
        sections.push(head("Try roles of other accounts", &could.roles_elsewhere, none));
        let elsewhere = could.roles_elsewhere.iter().map(|it| Item {
            text: format!(
                "{}: {} by its own policies; whom they trust was not read",
                cut(&it.roles, LONGEST_CELL),
                answer(&it.decision)
            ),
            under: if has_all { Vec::new() } else { self.grants(&it.decision) },
        });
        sections.push(Block::Items(elsewhere.chain(more(could.more_roles_elsewhere)).collect()));
        let none = match could.versions_read {
            0 if could.is_a_version_unknown() => "none that is known.".to_owned(),
            0 => "none that it may make count.".to_owned(),
            read => format!("none of the {read} that it may make count gives it more, by the actions asked about."),
        };
        sections.push(head("Other versions of its policies", &could.versions, &none));
        let versions = could.versions.iter().map(|it| {
            let mut item = it.item(&answer(&it.decision));
            item.under.extend(if has_all { Vec::new() } else { self.grants(&it.decision) });
            item
        });
        sections.push(Block::Items(versions.collect()));
        sections.extend(could.simulation.blocks());
        let notes = could.notes.iter().map(|it| Item::new(format!("Note: {it}")));
        let not_asked = could.not_asked.iter().map(|it| Item::new(format!("Not asked: {it}")));
        let unread = could.unread.iter().map(|it| Item::new(format!("Could not be read: {it}")));
        sections.push(Block::Items(notes.chain(not_asked).chain(unread).collect()));
        sections
    }

    /// `has_all`: by whatever makes it an administrator, which is named already.
    fn way(&self, found: &Found, all: &[Found], has_all: bool) -> Item {
        let id = if found.id.is_empty() { String::new() } else { format!("{}: ", found.id) };
        let mut under = if has_all { Vec::new() } else { self.grants(&found.decision) };
        let by_aws = self.could.simulation.about(&found.actions);
        let more = [found.needs(), found.passes(), found.by_versions(), found.variants(all), by_aws];
        under.extend(more.into_iter().flatten());
        let text = format!("{id}{} ({}): {}", found.what, found.actions.join(", "), answer(&found.decision));
        Item { text, under }
    }

    /// Every statement with its policy and group.
    fn grants(&self, decision: &Decision) -> Vec<String> {
        let named = decision.by.iter().filter_map(|it| self.could.grants.get(it)).map(grant);
        named.chain((decision.more_by > 0).then(|| format!("and {} more statements", decision.more_by))).collect()
    }

    fn did(&self) -> Vec<Block> {
        let did = &self.did;
        let counted = match (&did.first_seen, &did.last_seen) {
            (Some(first), Some(last)) => {
                format!("{} calls, {} of them refused, from {first} to {last}.", did.calls, did.failed)
            }
            _ => "No event was found, which is no proof that there was none.".to_owned(),
        };
        let mut blocks = vec![Block::Section("did", "What it did"), Block::Line(counted)];
        const SERVICE: &[&str] = &["Service", "Calls", "First", "Last", "Evidence"];
        const ERROR: &[&str] = &["Error", "Calls", "First", "Last", "Evidence"];
        const ADDRESS: &[&str] = &["Address", "Calls", "First", "Last", "Evidence"];
        const PROGRAM: &[&str] = &["User agent", "Calls", "First", "Last", "Evidence"];
        const REGION: &[&str] = &["Region", "Calls", "First", "Last", "Evidence"];
        for (head, seen) in [
            (SERVICE, &did.services),
            (ERROR, &did.errors),
            (ADDRESS, &did.addresses),
            (PROGRAM, &did.user_agents),
            (REGION, &did.regions),
        ] {
            blocks.push(Block::Table { head, rows: seen.iter().map(row).collect() });
        }
        let more = did.more_values.iter().map(|(kind, more)| format!("{more} more {kind}"));
        let more: Vec<_> = more.collect();
        blocks.extend((!more.is_empty()).then(|| Block::Line(format!("Not listed: {}.", more.join(", ")))));
        let nothing = if did.new.is_empty() { " nothing." } else { "" };
        blocks.push(Block::Line(format!("New, compared with {}:{nothing}", did.compared_with)));
        let new = did.new.iter().map(|it| {
            let value = defanged(&cut(&it.seen.value, LONGEST_CELL));
            Item::new(format!(
                "{} {value} from {}, {} calls (event {})",
                it.kind, it.seen.first, it.seen.calls, it.seen.event
            ))
        });
        blocks.push(Block::Items(new.collect()));
        blocks.extend([Block::Section("timeline", "Timeline"), Block::Chart]);
        let lines = did.timeline.iter();
        blocks.push(Block::Table {
            head: &["Timestamp (UTC)", "Event", "Evidence", "Actor"],
            rows: lines.map(|it| vec![it.at.clone(), it.what.clone(), it.evidence.clone(), it.actor.clone()]).collect(),
        });
        if did.more > 0 {
            blocks.push(Block::Line(format!("{} more are not listed.", did.more)));
        }
        blocks
    }

    fn left(&self) -> Vec<Block> {
        let none = |is_empty: bool, words: &str| is_empty.then(|| Block::Line(words.to_owned()));
        let mut blocks = vec![Block::Section("left", "What it left behind")];
        blocks.extend(none(self.left.is_empty(), "Nothing that gives access was found."));
        let left = self.left.iter().map(|it| {
            let id = it.trace.unique_id.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
            let itself = if it.is_on_itself { ", of the identity itself" } else { "" };
            let before = if it.is_of_before { ", from before what is suspected began" } else { "" };
            let detail = if it.trace.detail.is_empty() { String::new() } else { format!(": {}", it.trace.detail) };
            vec![
                it.at.clone(),
                format!("{} {}{id}{detail}{itself}{before}", it.trace.what, it.trace.object),
                it.now.clone().unwrap_or_else(|| "not looked at".to_owned()),
                it.by.clone(),
                format!("{} in {} of account {}", it.event, it.region, it.account),
            ]
        });
        blocks.push(Block::Table { head: &["Time", "What", "Now", "By", "Evidence"], rows: left.collect() });
        blocks.extend((self.more_left > 0).then(|| Block::Line(format!("{} more are not listed.", self.more_left))));
        if !self.not_seen_again.is_empty() {
            blocks.push(Block::Line("Found by an earlier revision, and not seen again by this one:".to_owned()));
            let more = (self.more_not_seen_again > 0).then(|| format!("and {} more", self.more_not_seen_again));
            let lost = self.not_seen_again.iter().map(|it| it.what.clone());
            blocks.push(Block::Items(lost.chain(more).map(Item::new).collect()));
        }
        blocks.push(Block::Section("sessions", "Sessions"));
        blocks.extend(none(self.sessions.is_empty(), "No session made by it was found."));
        let sessions = self.sessions.iter().map(|it| {
            let followed = it.not_followed.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
            vec![time(it.at), it.key.clone(), it.session.clone(), it.by.clone(), it.event.clone(), followed]
        });
        blocks.push(Block::Table {
            head: &["Made", "Key", "Session", "By", "Evidence", "Followed"],
            rows: sessions.collect(),
        });
        let more = self.more_sessions;
        blocks.extend((more > 0).then(|| Block::Line(format!("{more} more sessions are not listed."))));
        blocks
    }

    fn indicators(&self) -> Vec<Block> {
        let indicators = &self.indicators;
        let not_listed = |kind| self.did.more_values.get(kind).copied().unwrap_or_default();
        let each = [
            ("Addresses", &indicators.addresses, not_listed("addresses")),
            ("User agents", &indicators.user_agents, not_listed("user agents")),
            ("Access keys", &indicators.access_keys, indicators.more_access_keys),
            ("Identities", &indicators.identities, 0),
        ];
        let item = |(title, values, not_listed): (&str, &Vec<String>, usize)| {
            let more = values.len().saturating_sub(MOST_INDICATORS) + not_listed;
            let values_told = values.iter().take(MOST_INDICATORS).map(|it| defanged(&cut(it, LONGEST_CELL)));
            Item {
                text: format!("{title}:{}", if values.is_empty() { " none" } else { "" }),
                under: values_told.chain((more > 0).then(|| format!("and {more} more"))).collect(),
            }
        };
        vec![Block::Section("indicators", "Indicators"), Block::Items(each.map(item).into())]
    }

    fn ending(&self) -> Vec<Block> {
        let looked = self.looked_at.iter().map(|it| {
            let complete = it.missing.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
            vec![it.account.clone(), it.region.clone(), it.by.clone(), it.events.to_string(), complete]
        });
        vec![
            Block::Section("looked-at", "What was looked at"),
            Block::Table { head: &["Account", "Region", "CloudTrail by", "Events", "Complete"], rows: looked.collect() },
            Block::Items((self.more_looked_at > 0).then(|| Item::new(format!("and {} more", self.more_looked_at))).into_iter().collect()),
            Block::Section("not-looked-at", "What was not looked at"),
            items(&self.not_looked_at, "nothing"),
            Block::Section("query", "Data events: the query"),
            Block::Line(
                "CloudTrail's event history has no data events. Where a trail records them, this finds them in Athena, \
                 with what was done by the users, roles and keys that it left behind:"
                    .to_owned(),
            ),
            Block::Code(self.athena_query.clone()),
            Block::Section("open-points", "Open points"),
            items(&self.open_points, "none"),
            Block::Section("next-steps", "Next steps"),
            items(&self.next_steps, "none"),
            Block::Section("undo", "How to undo"),
            Block::Line(self.undo.clone()),
        ]
    }
}

/// Of each kind.
const MOST_INDICATORS: usize = 25;

fn row(seen: &Seen) -> Vec<String> {
    vec![defanged(&seen.value), seen.calls.to_string(), seen.first.clone(), seen.last.clone(), seen.event.clone()]
}

/// `none`: what is said where everything was asked and nothing was found.
fn head<T>(title: &str, part: &Part<T>, none: &str) -> Block {
    let words = match (part.why_not(), part.found()) {
        (Some(why), _) => format!(" not asked: {why}."),
        (None, []) => format!(" {none}"),
        (None, _) => String::new(),
    };
    Block::Line(format!("{title}:{words}"))
}

fn more(count: usize) -> Option<Item> {
    (count > 0).then(|| Item::new(format!("and {count} more")))
}

fn answer(decision: &Decision) -> String {
    depends(decision.answer.word(), &decision.depends_on, decision.more_keys)
}

fn depends(word: &str, keys: &std::collections::BTreeSet<String>, more: usize) -> String {
    if keys.is_empty() {
        return word.to_owned();
    }
    let more = (keys.len() + more).saturating_sub(MOST_KEYS);
    let and_more = if more > 0 { format!(" and {more} more") } else { String::new() };
    let keys: Vec<_> = keys.iter().take(MOST_KEYS).map(|it| cut(it, 100)).collect();
    format!("{word} ({}{and_more})", keys.join(", "))
}

/// More than that nobody reads for one answer.
const MOST_KEYS: usize = 10;

/// Every grant with its policy, statement and group.
fn grant(grant: &Grant) -> String {
    let group = grant.group.as_ref().map_or_else(String::new, |it| format!(" of group {it}"));
    let (policy, statement) = (cut(&grant.policy, LONGEST_CELL), cut(&grant.statement, LONGEST_CELL));
    format!("by {} {policy}{group}, statement {statement}", grant.kind)
}

#[cfg(test)]
mod tests {
    use super::super::could::Could;
    use super::super::report::tests::{report, report_of};
    use crate::history::Kept;

    const TITLES: [&str; 6] = [
        "Get more rights",
        "Reach secrets",
        "Reach data",
        "Switch off logging",
        "Assume roles of its account",
        "Try roles of other accounts",
    ];

    #[test]
    fn what_could_not_be_asked_is_not_answered_with_no() {
        let could = Could::not_known("the account could not be entered");
        let report = report_of(could, Vec::new(), Vec::new(), &Kept::default());
        let summary = &report.summary[2];
        assert!(!summary.contains("no known way") && !summary.contains("0 roles"), "{summary}");
        assert_eq!(summary.matches("not asked").count(), 3, "{summary}");
        for title in TITLES {
            let line = format!("\n{title}: not asked: the account could not be entered.\n");
            assert!(report.markdown().contains(&line), "{title}");
        }
    }

    /// The catalogue has not every action of AWS.
    #[test]
    fn no_is_said_of_what_was_asked_about() {
        let report = report("{\"Statement\":[]}", Vec::new(), Vec::new(), &Kept::default());
        assert!(report.summary[2].contains("no known way to get more rights; no known way to reach secrets or data"));
        for title in &TITLES[..4] {
            assert!(report.markdown().contains(&format!("\n{title}: not by the actions asked about.\n")), "{title}");
        }
    }
}
