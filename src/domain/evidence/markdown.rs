//! The report as Markdown, for people. Whatever others wrote is escaped, and addresses are no links.

use std::fmt::Write;

use super::blocks::{Block, Item, LONGEST_CELL, LONGEST_LINE};
use super::report::Evidence;
use crate::text::{is_plain, markdown};

impl Evidence {
    pub fn markdown(&self) -> String {
        let mut page = Page::default();
        page.line(&format!("# {}", prose(&self.title())));
        self.blocks().iter().for_each(|it| page.block(it));
        page.0.truncate(page.0.trim_end().len());
        page.0.push('\n');
        page.0
    }
}

#[derive(Default)]
struct Page(String);

impl Page {
    fn block(&mut self, block: &Block) {
        match block {
            Block::Section(_, title) => self.line(&format!("## {title}")),
            Block::Line(text) => self.line(&prose(text)),
            Block::Numbered(lines) => {
                let lines = lines.iter().enumerate().map(|(n, it)| format!("{}. {}", n + 1, prose(it)));
                self.line(&lines.collect::<Vec<_>>().join("\n"));
            }
            Block::Items(items) if items.is_empty() => {}
            Block::Items(items) => {
                self.line(&items.iter().flat_map(item).collect::<Vec<_>>().join("\n"));
            }
            Block::Table { rows, .. } if rows.is_empty() => {}
            Block::Table { head, rows } => self.table(head, rows),
            Block::Code(text) => self.code(text),
            Block::Chart => {}
        }
    }

    /// A paragraph of what is safe already.
    fn line(&mut self, text: &str) {
        let _ = write!(self.0, "{text}\n\n");
    }

    fn table(&mut self, head: &[&str], rows: &[Vec<String>]) {
        let line = |cells: &[&str]| format!("| {} |", cells.join(" | "));
        let mut lines = vec![line(head), line(&vec!["---"; head.len()])];
        for row in rows {
            let cells: Vec<_> = row.iter().map(|it| markdown(it, LONGEST_CELL)).collect();
            lines.push(line(&cells.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        self.line(&lines.join("\n"));
    }

    /// Between fences that the text does not have.
    fn code(&mut self, text: &str) {
        let mut fence = "```".to_owned();
        while text.contains(&fence) {
            fence.push('`');
        }
        let text: String = text.chars().map(|c| if c == '\n' || is_plain(c) { c } else { '?' }).collect();
        self.line(&format!("{fence}sql\n{text}\n{fence}"));
    }
}

fn item(item: &Item) -> Vec<String> {
    let under = item.under.iter().map(|it| format!("  - {}", prose(it)));
    std::iter::once(format!("- {}", prose(&item.text))).chain(under).collect()
}

/// A sentence of ours with what others wrote in it.
fn prose(text: &str) -> String {
    markdown(text, LONGEST_LINE)
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
        // In a block of code there is no markup, and its end stands in no text.
        let mut parts = page.split("```");
        let (page, code, rest) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
        assert!(code.starts_with("sql\nSELECT") && parts.next().is_none());
        let page = format!("{page}{rest}");
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
            "Data events: the query",
            "Open points",
            "Next steps",
            "How to undo",
        ] {
            assert!(page.contains(&format!("\n## {section}\n\n")), "{section}");
        }
        assert!(page.contains("198\\[.\\]51\\[.\\]100\\[.\\]7") && page.contains("Could not be read: inline policy p"));
    }
}
