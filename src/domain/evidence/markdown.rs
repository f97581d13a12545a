//! The report as Markdown, for people. Whatever others wrote is escaped, and addresses are no links.

use std::fmt::Write;

use serde_json::Value;

use super::answer::{Decision, Grant};
use super::behaviour::Seen;
use super::could::Found;
use super::report::Evidence;
use crate::text::{defanged, markdown};

/// What others wrote, in a cell of a table or a line.
const LONG: usize = 200;

impl Evidence {
    pub fn markdown(&self) -> String {
        let mut page = Page::default();
        let principal = |field: &str| self.principal.get(field).and_then(Value::as_str).unwrap_or_default();
        page.line(&format!(
            "# Evidence: {} {} in account {}",
            principal("type"),
            safe(principal("name")),
            self.account
        ));
        let state = if self.is_provisional { "provisional: records that come late may be missing" } else { "final" };
        page.line(&format!(
            "Revision {}, made at {} ({state}). Period {} to {}. All times are UTC.",
            self.revision, self.made_at, self.from, self.to
        ));
        page.section("Summary");
        for (n, line) in self.summary.iter().enumerate() {
            page.item(&format!("{}. {}", n + 1, prose(line)));
        }
        self.containment(&mut page);
        self.could(&mut page);
        self.did(&mut page);
        self.left(&mut page);
        self.ending(&mut page);
        page.0
    }

    fn containment(&self, page: &mut Page) {
        page.section("Containment");
        match (self.containment.verdict, &self.containment.read_at) {
            (Some(verdict), Some(at)) => {
                page.line(&format!("Verdict {}: everything was last read to be in place at {at}.", verdict.name()))
            }
            (Some(verdict), None) => {
                page.line(&format!("Verdict {}: not everything was read to be in place.", verdict.name()))
            }
            (None, _) => page.line("The ledger has no containment of it."),
        }
        page.table(
            &["Time", "Action", "Target", "Outcome"],
            self.containment.actions.iter().map(|it| {
                let word = |field: &str| it.get(field).and_then(Value::as_str).unwrap_or_default();
                vec![
                    safe(word("at")),
                    safe(word("action")),
                    safe(word("target")),
                    safe(&format!("{}: {}", word("outcome"), word("detail"))),
                ]
            }),
        );
        let times = &self.times;
        let row = |what: &str, at: &Option<String>, seconds: Option<i64>| {
            let seconds = seconds.map_or_else(|| "".to_owned(), |it| format!("{it} s"));
            vec![what.to_owned(), at.clone().unwrap_or_else(|| "not known".to_owned()), seconds]
        };
        page.table(
            &["", "At", "Took"],
            [
                row("Began", &times.began, None),
                row("Detected", &times.detected, times.seconds_to_detect),
                row("Contained", &times.contained, times.seconds_to_contain),
                row("Resolved", &None, None),
            ],
        );
    }

    fn could(&self, page: &mut Page) {
        page.section("What it could do");
        let could = &self.could;
        page.item(&format!("- Administrator: {}{}", answer(&could.administrator), by(&could.administrator.by)));
        for (title, found) in [
            ("Get more rights", &could.escalations),
            ("Reach secrets", &could.secrets),
            ("Reach data", &could.data),
            ("Switch off logging", &could.logging),
        ] {
            page.item(format!("- {title}: {}", if found.is_empty() { "no" } else { "" }).trim_end());
            found.iter().for_each(|it| page.item(&way(it)));
        }
        page.item(format!("- Assume roles: {}", if could.roles.is_empty() { "no" } else { "" }).trim_end());
        for role in &could.roles {
            let keys = depends(&role.depends_on);
            page.item(&format!("  - {}: {}{keys}; {}", safe(&role.role), role.answer.word(), safe(&role.why)));
        }
        if could.more_roles > 0 {
            page.item(&format!("  - and {} more", could.more_roles));
        }
        for note in &could.notes {
            page.item(&format!("- Note: {}", prose(note)));
        }
        for unread in &could.unread {
            page.item(&format!("- Could not be read: {}", safe(unread)));
        }
    }

    fn did(&self, page: &mut Page) {
        page.section("What it did");
        let did = &self.did;
        match (&did.first_seen, &did.last_seen) {
            (Some(first), Some(last)) => {
                page.line(&format!("{} calls, {} of them refused, from {first} to {last}.", did.calls, did.failed))
            }
            _ => page.line("No event was found, which is no proof that there was none."),
        }
        for (title, seen, is_address) in [
            ("Service", &did.services, false),
            ("Error", &did.errors, false),
            ("Address", &did.addresses, true),
            ("User agent", &did.user_agents, true),
            ("Region", &did.regions, false),
        ] {
            page.table(&[title, "Calls", "First", "Last", "Evidence"], seen.iter().map(|it| row(it, is_address)));
        }
        page.line(
            format!("New, compared with {}: {}", did.compared_with, if did.new.is_empty() { "nothing." } else { "" })
                .trim_end(),
        );
        for it in &did.new {
            page.item(&format!(
                "- {} {} from {}, {} calls (event {})",
                it.kind,
                safe(&defanged(&it.seen.value)),
                it.seen.first,
                it.seen.calls,
                safe(&it.seen.event)
            ));
        }
        page.section("Timeline");
        page.table(
            &["Timestamp (UTC)", "Event", "Evidence", "Actor"],
            did.timeline.iter().map(|it| vec![it.at.clone(), safe(&it.what), safe(&it.evidence), safe(&it.actor)]),
        );
        if did.more > 0 {
            page.line(&format!("{} more are not listed.", did.more));
        }
    }

    fn left(&self, page: &mut Page) {
        page.section("What it left behind");
        if self.left.is_empty() {
            page.line("Nothing that gives access was found.");
        }
        page.table(
            &["Time", "What", "Now", "By", "Evidence"],
            self.left.iter().map(|it| {
                let id = it.trace.unique_id.as_ref().map_or_else(String::new, |it| format!(" ({it})"));
                let itself = if it.is_on_itself { ", of the identity itself" } else { "" };
                let detail = if it.trace.detail.is_empty() { String::new() } else { format!(": {}", it.trace.detail) };
                vec![
                    it.at.clone(),
                    safe(&format!("{} {}{id}{detail}{itself}", it.trace.what, it.trace.object)),
                    safe(it.now.as_deref().unwrap_or("not looked at")),
                    safe(&it.by),
                    safe(&format!("{} in {}", it.event, it.region)),
                ]
            }),
        );
        page.section("Sessions");
        if self.sessions.is_empty() {
            page.line("No session made by it was found.");
        }
        page.table(
            &["Made", "Key", "Session", "By", "Evidence", "Followed"],
            self.sessions.iter().map(|it| {
                let followed = it.not_followed.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
                vec![
                    super::behaviour::time(it.at),
                    safe(&it.key),
                    safe(&it.session),
                    safe(&it.by),
                    safe(&it.event),
                    safe(&followed),
                ]
            }),
        );
    }

    fn ending(&self, page: &mut Page) {
        page.section("Indicators");
        let indicators = &self.indicators;
        for (title, values) in [
            ("Addresses", &indicators.addresses),
            ("User agents", &indicators.user_agents),
            ("Access keys", &indicators.access_keys),
            ("Identities", &indicators.identities),
        ] {
            let values: Vec<_> = values.iter().take(25).map(|it| safe(&defanged(it))).collect();
            page.item(&format!("- {title}: {}", if values.is_empty() { "none".to_owned() } else { values.join(", ") }));
        }
        page.section("What was looked at");
        page.table(
            &["Region", "CloudTrail by", "Events", "Complete"],
            self.looked_at.iter().map(|it| {
                let complete = it.missing.as_ref().map_or_else(|| "yes".to_owned(), |why| format!("no: {why}"));
                vec![it.region.clone(), safe(&it.by), it.events.to_string(), safe(&complete)]
            }),
        );
        for (title, lines) in [
            ("What was not looked at", &self.not_looked_at),
            ("Open points", &self.open_points),
            ("Next steps", &self.next_steps),
        ] {
            page.section(title);
            lines.iter().for_each(|it| page.item(&format!("- {}", prose(it))));
        }
        page.section("How to undo");
        page.line(&prose(&self.undo));
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn line(&mut self, text: &str) {
        let _ = write!(self.0, "{text}\n\n");
    }

    fn item(&mut self, text: &str) {
        let _ = writeln!(self.0, "{text}");
    }

    fn section(&mut self, title: &str) {
        let gap = if self.0.ends_with("\n\n") { "" } else { "\n" };
        let _ = write!(self.0, "{gap}## {title}\n\n");
    }

    /// Nothing where there are no rows. Cells are safe already.
    fn table(&mut self, head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) {
        let mut rows = rows.into_iter().peekable();
        if rows.peek().is_none() {
            return;
        }
        let line = |cells: &[&str]| format!("| {} |", cells.join(" | "));
        self.item(&line(head));
        self.item(&line(&vec!["---"; head.len()]));
        for row in rows {
            self.item(&line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        self.item("");
    }
}

fn safe(text: &str) -> String {
    markdown(text, LONG)
}

/// A sentence of ours with what others wrote in it.
fn prose(text: &str) -> String {
    markdown(text, 1_000)
}

fn row(seen: &Seen, is_address: bool) -> Vec<String> {
    let value = if is_address { defanged(&seen.value) } else { seen.value.clone() };
    vec![safe(&value), seen.calls.to_string(), seen.first.clone(), seen.last.clone(), safe(&seen.event)]
}

fn way(found: &Found) -> String {
    let also =
        if found.also_needs.is_empty() { String::new() } else { format!("; needs {} too", prose(found.also_needs)) };
    format!(
        "  - {} ({}): {}{}{also}",
        found.what,
        found.actions.join(", "),
        answer(&found.decision),
        by(&found.decision.by)
    )
}

fn answer(decision: &Decision) -> String {
    format!("{}{}", decision.answer.word(), depends(&decision.depends_on))
}

fn depends(keys: &std::collections::BTreeSet<String>) -> String {
    if keys.is_empty() {
        return String::new();
    }
    format!(" ({})", keys.iter().take(10).map(|it| safe(it)).collect::<Vec<_>>().join(", "))
}

/// Every grant with its policy, statement and group.
fn by(grants: &[Grant]) -> String {
    if grants.is_empty() {
        return String::new();
    }
    let one = |it: &Grant| {
        let group = it.group.as_ref().map_or_else(String::new, |it| format!(" of group {}", safe(it)));
        format!("{} {}{group}, statement {}", it.kind, safe(&it.policy), safe(&it.statement))
    };
    format!(", by {}", grants.iter().map(one).collect::<Vec<_>>().join("; "))
}

#[cfg(test)]
mod tests {
    use crate::evidence::report::tests::{leaving, report};
    use crate::evidence::trail::Event;
    use crate::evidence::trail::tests::event;
    use crate::history::Kept;

    const HOSTILE: &str = "x](http://evil.example)|<img src=x>`\n# h \u{202e}";

    #[test]
    fn nothing_that_others_wrote_is_markup() {
        let mut left = leaving(HOSTILE, HOSTILE, Some(HOSTILE));
        left.actor.arn = HOSTILE.to_owned();
        left.region = HOSTILE.to_owned();
        let strange = Event {
            user_agent: HOSTILE.to_owned(),
            address: HOSTILE.to_owned(),
            error: Some(HOSTILE.to_owned()),
            id: HOSTILE.to_owned(),
            source: HOSTILE.to_owned(),
            ..event(HOSTILE, 60)
        };
        let document = serde_json::json!({"Statement": {"Sid": HOSTILE, "Effect": "Allow", "Action": "s3:*", "Resource": HOSTILE,
            "Condition": {"StringEquals": {HOSTILE: HOSTILE}}}});
        let document = document.to_string().replace("\"Resource\":\"x", "\"Resource\":\"*x");
        let page = report(&document, vec![left, strange], Vec::new(), &Kept::default()).markdown();
        assert!(page.contains("evil") && page.contains("What it left behind"));
        for markup in ["](", "<img", "|<", "\n# h", "\u{202e}", "http://"] {
            assert!(!page.contains(markup), "{markup}: {page}");
        }
        let rows = page.lines().filter(|it| it.starts_with('|'));
        for row in rows {
            let bars = row.replace("\\|", "").matches('|').count();
            assert!([4, 5, 6, 7].contains(&bars), "{row}");
        }
        // Raw for other programs.
        let value = serde_json::json!(report(&document, vec![event(HOSTILE, 60)], Vec::new(), &Kept::default()));
        assert!(value.to_string().contains("http://evil.example"));
    }

    #[test]
    fn every_section_is_there() {
        let page = report("{}", vec![event("ListUsers", 60)], Vec::new(), &Kept::default()).markdown();
        for section in [
            "Summary",
            "Containment",
            "What it could do",
            "What it did",
            "Timeline",
            "What it left behind",
            "Sessions",
            "Indicators",
            "What was looked at",
            "What was not looked at",
            "Open points",
            "Next steps",
            "How to undo",
        ] {
            assert!(page.contains(&format!("\n## {section}\n\n")), "{section}");
        }
        assert!(page.contains("198\\[.\\]51\\[.\\]100\\[.\\]7") && page.contains("Could not be read: inline policy p"));
    }
}
