//! A report as blocks, before it is Markdown or HTML: what it says is said once.
//!
//! The text of a block is plain. Whoever renders it makes it safe for where it is shown.

/// What others wrote is as long as they like.
pub(super) const LONGEST_CELL: usize = 300;
pub(super) const LONGEST_LINE: usize = 1_500;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// With an ID that stays the same, so that people can link to it.
    Section(&'static str, &'static str),
    Line(String),
    Numbered(Vec<String>),
    Items(Vec<Item>),
    /// Not there where it has no rows.
    Table {
        head: &'static [&'static str],
        rows: Vec<Vec<String>>,
    },
    /// To be copied as it is.
    Code(String),
    /// The chart of the timeline, where there can be one.
    Chart,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Item {
    pub text: String,
    pub under: Vec<String>,
}

impl Item {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), under: Vec::new() }
    }
}

/// Of these plain texts, or a word where there are none.
pub(super) fn items<'a>(texts: impl IntoIterator<Item = &'a String>, none: &str) -> Block {
    let items: Vec<_> = texts.into_iter().map(Item::new).collect();
    if items.is_empty() { Block::Line(none.to_owned()) } else { Block::Items(items) }
}
