//! The report as one HTML file, for a phone, for an auditor and for paper: no script, nothing from elsewhere.
//!
//! `maud` escapes every value; the style below is the only thing that it does not escape. No value stands in a script,
//! a style, an address or the name of an attribute.
//! INVARIANT: whatever others wrote is shown as text. Held by `tests` and by `tests/test_report_page.py`.

use aws_smithy_types::base64;
use maud::{DOCTYPE, Markup, PreEscaped, html};
use sha2::{Digest, Sha256};

use super::blocks::{Block, Item, LONGEST_CELL, LONGEST_LINE};
use super::report::Evidence;
use crate::text::{self, is_plain};

impl Evidence {
    pub fn html(&self) -> String {
        let blocks = self.blocks();
        let title = text::line(&self.title(), LONGEST_CELL);
        let style = base64::encode(Sha256::digest(STYLE));
        let policy = format!("default-src 'none'; style-src 'sha256-{style}'; base-uri 'none'; form-action 'none'");
        html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta http-equiv="content-security-policy" content=(policy);
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="referrer" content="no-referrer";
                    meta name="robots" content="noindex, nofollow";
                    meta name="format-detection" content="telephone=no, date=no, address=no, email=no";
                    title { (title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    main {
                        h1 { (title) }
                        p { a href="#sections" { "Sections" } }
                        p .level { "Risk " strong { (self.risk.level.word()) } ", by written rules" }
                        @for block in &blocks { (self.block(block)) }
                    }
                    (contents(&blocks))
                    footer { p { "SHA-256 of its JSON: " code { (self.sha256()) } } }
                }
            }
        }
        .into_string()
    }

    fn block(&self, block: &Block) -> Markup {
        match block {
            Block::Section(id, title) => html! { h2 id=(id) { (title) } },
            Block::Line(text) => html! { p { (prose(text)) } },
            Block::Numbered(lines) => html! { ol { @for line in lines { li { (prose(line)) } } } },
            Block::Items(items) if items.is_empty() => html! {},
            Block::Items(items) => html! { ul { @for it in items { (item(it)) } } },
            Block::Table { rows, .. } if rows.is_empty() => html! {},
            Block::Table { head, rows } => table(head, rows),
            Block::Code(text) => {
                html! { pre tabindex="0" role="region" aria-label="To be copied" { code { (code(text)) } } }
            }
            Block::Chart => html! { @if let Some(chart) = self.chart() { (chart) } },
        }
    }
}

/// At the end, where it stands in nobody's way on a phone; a link at the beginning leads there.
fn contents(blocks: &[Block]) -> Markup {
    let sections = blocks.iter().filter_map(|it| match it {
        Block::Section(id, title) => Some((id, title)),
        _ => None,
    });
    html! {
        nav #sections aria-label="Sections" { ul { @for (id, title) in sections { li { a href={ "#" (id) } { (title) } } } } }
    }
}

fn item(item: &Item) -> Markup {
    html! {
        li {
            (prose(&item.text))
            @if !item.under.is_empty() { ul { @for it in &item.under { li { (prose(it)) } } } }
        }
    }
}

/// On a phone each row is a card, and each cell says its column.
fn table(head: &[&str], rows: &[Vec<String>]) -> Markup {
    html! {
        table {
            thead { tr { @for it in head { th scope="col" { (it) } } } }
            tbody {
                @for row in rows {
                    tr { @for (column, cell) in head.iter().zip(row) { td data-column=(column) { (text::line(cell, LONGEST_CELL)) } } }
                }
            }
        }
    }
}

/// A sentence of ours with what others wrote in it.
fn prose(text: &str) -> String {
    text::line(text, LONGEST_LINE)
}

fn code(text: &str) -> String {
    text.chars().map(|c| if c == '\n' || is_plain(c) { c } else { '?' }).collect()
}

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1a1a1a;--soft:#4a4a4a;--paper:#fff;--line:#767676;--tint:#f1f3f5;--dot:#a4001d;--act:#0b4f8a}\
@media(prefers-color-scheme:dark){:root{--ink:#f2f2f2;--soft:#c9c9c9;--paper:#161616;--line:#9a9a9a;--tint:#242628;--dot:#ff9c9c;--act:#9fd0ff}}\
*{box-sizing:border-box}\
body{margin:0 auto;max-width:64rem;padding:1rem;background:var(--paper);color:var(--ink);font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}\
h1{font-size:1.5rem;line-height:1.25;margin:.5rem 0}\
h2{font-size:1.2rem;margin:2rem 0 .5rem;border-bottom:2px solid var(--line)}\
.level{font-size:1.15rem;border-left:6px solid var(--dot);padding-left:.75rem}\
.level strong{text-transform:uppercase}\
ul,ol{padding-left:1.25rem}\
li{margin:.25rem 0}\
a{color:var(--act)}\
nav ul{columns:2}\
table{width:100%;border-collapse:collapse;margin:.75rem 0;font-size:.9rem}\
th,td{text-align:left;vertical-align:top;padding:.35rem .5rem .35rem 0;border-bottom:1px solid var(--line)}\
@media not screen and (max-width:40rem){th{white-space:nowrap;overflow-wrap:normal}}\
pre{background:var(--tint);padding:.75rem;white-space:pre-wrap;font-size:.85rem}\
svg{display:block;width:100%;max-width:32rem;height:auto;margin:.75rem 0}\
svg text{font:11px system-ui,sans-serif;fill:var(--ink)}\
svg .end{text-anchor:end}\
svg .row{stroke:var(--line)}\
svg .mark{stroke:var(--act);stroke-dasharray:4 3}\
svg circle{fill:var(--dot);stroke:var(--paper)}\
footer{color:var(--soft);font-size:.85rem}\
:focus-visible{outline:3px solid var(--act);outline-offset:2px}\
@media screen and (max-width:40rem){thead{position:absolute;clip-path:inset(50%);height:1px;overflow:hidden}\
table,tbody,tr,td{display:block}tr{border-bottom:2px solid var(--line);padding:.4rem 0}td{border:0;padding:.1rem 0}\
td::before{content:attr(data-column)': ';font-weight:600}}\
@media print{:root{color-scheme:light;--ink:#000;--soft:#333;--paper:#fff;--line:#666;--tint:#fff;--dot:#000;--act:#000}\
body{max-width:none;padding:0;font-size:10pt}nav{display:none}h2{break-after:avoid}tr,li,svg,pre{break-inside:avoid}pre{border:1px solid #666}}";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::evidence::chain::Link;
    use crate::evidence::report::tests::{leaving, report};
    use crate::evidence::trail::Event;
    use crate::evidence::trail::tests::event;
    use crate::history::Kept;
    use crate::verdict::Verdict;

    /// A report in which everything that somebody else may have written is this.
    fn full_of(text: &str) -> Evidence {
        let word = || text.to_owned();
        let mut left = leaving(text, text, Some(text));
        left.actor.arn = word();
        (left.region, left.id) = (word(), word());
        let strange = Event {
            id: word(),
            user_agent: word(),
            address: word(),
            error: Some(word()),
            source: word(),
            region: word(),
            ..event(text, 60)
        };
        let link = Link {
            key: word(),
            session: word(),
            account: word(),
            role: Some(word()),
            event: word(),
            at: 70,
            by: word(),
            depth: 1,
            not_followed: Some(word()),
        };
        let kept = Kept {
            verdict: Some(Verdict::Contained),
            held_at: Some(90_000),
            applied: vec![json!({"at": text, "action": text, "target": text, "outcome": text, "detail": text})],
            ..Kept::default()
        };
        let document = json!({"Version": "2012-10-17", "Statement": {"Sid": text, "Effect": "Allow", "Action": ["s3:*", "iam:*User*"],
            "Resource": "*", "Condition": {"StringEquals": {text: text}}}});
        let document = document.to_string().replace('%', "%25");
        let mut report = report(&document, vec![left, strange], vec![link], &kept);
        report.principal = json!({"type": text, "name": text, "id": text, "arn": text});
        report.could.notes = vec![word()];
        report.could.unread = vec![word()];
        report.not_looked_at.push(word());
        report.looked_at.iter_mut().for_each(|it| (it.by, it.missing) = (word(), Some(word())));
        report.containment.responses = vec![json!({"id": text, "finding": text, "at": text})];
        report
    }

    fn tags(page: &str) -> Vec<&str> {
        let text = page.split_once("</style>").unwrap().1;
        text.split('<').skip(1).map(|it| it.split('>').next().unwrap()).collect()
    }

    const HOSTILE: &[&str] = &[
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</title></style><svg onload=alert(1)>",
        "javascript:alert(1)",
        "&lt;b&gt;&#60;",
        "]]><!--",
        "\u{202e}\u{200b}\0\n\r",
    ];

    #[test]
    fn whatever_others_wrote_is_text() {
        let plain = full_of("plain").html();
        assert!(plain.matches("plain").count() > 30, "it is in few places: {plain}");
        for hostile in HOSTILE {
            let page = full_of(&format!("x{hostile}x")).html();
            assert_eq!(tags(&page), tags(&plain), "{hostile}");
            assert!(!page.contains(|c: char| c != '\n' && !is_plain(c)), "{hostile}");
        }
    }

    #[test]
    fn it_stands_alone() {
        let page = full_of("http://evil.example/x").html();
        for part in ["<script", " src=", "@import", "url(", "=\"http", "<link", "<iframe", "<object", "foreignObject"] {
            assert!(!page.contains(part), "{part}");
        }
        let addresses = page.matches("href=").count();
        assert!(addresses > 10 && page.matches("href=\"#").count() == addresses);
        assert!(page.contains("default-src 'none'") && !page.contains("unsafe"));
        assert_eq!(page.matches("id=\"summary\"").count(), 1);
    }

    #[test]
    fn it_says_what_the_markdown_says() {
        let report = full_of("plain");
        let (page, markdown) = (report.html(), report.markdown());
        let titles = report.blocks().into_iter().filter_map(|it| match it {
            Block::Section(_, title) => Some(title),
            _ => None,
        });
        assert!(titles.clone().count() > 12);
        for title in titles {
            assert!(page.contains(&format!(">{title}</h2>")) && markdown.contains(&format!("## {title}")), "{title}");
        }
        let cells = page.matches("<td").count();
        let rows: usize = markdown.lines().filter(|it| it.starts_with("| ") && !it.starts_with("| ---")).count();
        assert!(cells > rows && rows > 15, "{cells} {rows}");
    }

    #[test]
    fn the_chart_has_each_event_of_the_timeline_and_is_left_out_where_there_is_none() {
        let report = full_of("plain");
        let page = report.html();
        assert_eq!(page.matches("<circle").count(), report.did.timeline.len());
        assert!(page.contains(">detected<") && page.contains(">contained<") && page.contains("Left something behind"));
        let nothing = super::super::report::tests::report("{}", Vec::new(), Vec::new(), &Kept::default());
        assert!(!nothing.html().contains("<svg"));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(30))]
        #[test]
        fn no_text_makes_an_element(text in "[<>&\"'/=a-z !\\-\\[\\]\\PC]{1,40}") {
            static PLAIN: std::sync::LazyLock<String> = std::sync::LazyLock::new(|| full_of("plain").html());
            let page = full_of(&format!("x{text}x")).html();
            prop_assert_eq!(tags(&page), tags(&PLAIN));
        }
    }
}
