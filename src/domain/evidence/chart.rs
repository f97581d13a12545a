//! The timeline as a picture: one row for each reason why an event is told, from left to right in time.
//!
//! As wide as a phone, so that its text is as large there as the page's.

use maud::{Markup, html};

use super::behaviour::{Line, Why};
use super::blocks::LONGEST_CELL;
use super::report::Evidence;
use super::trail::time;
use crate::text;

const WIDTH: i64 = 340;
const LEFT: i64 = 8;
const RIGHT: i64 = 332;
const TOP: i64 = 44;
const ROW: i64 = 40;

const ROWS: &[(Why, &str)] = &[
    (Why::Left, "Left something behind"),
    (Why::Session, "Made a session"),
    (Why::Refused, "Was refused"),
    (Why::Change, "Changed something else"),
];

/// From when to when.
struct Axis {
    from: i64,
    to: i64,
}

impl Axis {
    fn x(&self, at: i64) -> i64 {
        let span = (self.to - self.from).max(1);
        LEFT + (at.clamp(self.from, self.to) - self.from) * (RIGHT - LEFT) / span
    }
}

impl Evidence {
    /// `None`: there is nothing to be seen.
    pub(super) fn chart(&self) -> Option<Markup> {
        let lines = &self.did.timeline;
        let marks: Vec<_> = [("detected", self.times.detected_at), ("contained", self.times.contained_at)]
            .into_iter()
            .filter_map(|(word, at)| Some((word, at?)))
            .collect();
        let all = || lines.iter().map(|it| it.seconds);
        let axis = Axis {
            from: all().chain(marks.iter().map(|it| it.1)).min()?,
            to: all().chain(marks.iter().map(|it| it.1)).max()?,
        };
        lines.first()?;
        let rows: Vec<_> = ROWS.iter().filter(|(why, _)| lines.iter().any(|it| it.why == *why)).collect();
        let bottom = TOP + ROW * i64::try_from(rows.len()).unwrap_or_default();
        let height = bottom + 24;
        Some(html! {
            svg role="img" aria-labelledby="chart-title" viewBox={ "0 0 " (WIDTH) " " (height) } {
                title #chart-title { "Timeline of " (lines.len()) " events, which the table below lists" }
                @for (n, (word, at)) in marks.iter().enumerate() { (mark(&axis, n, word, *at, bottom)) }
                @for (n, (why, words)) in rows.iter().enumerate() {
                    (row(&axis, TOP + ROW * i64::try_from(n).unwrap_or_default(), words, lines.iter().filter(|it| it.why == *why)))
                }
                text x=(LEFT) y=(height - 6) { (time(axis.from)) }
                text .end x=(RIGHT) y=(height - 6) { (time(axis.to)) }
            }
        })
    }
}

/// One below the other, since they are often close together.
fn mark(axis: &Axis, n: usize, word: &str, at: i64, bottom: i64) -> Markup {
    let (x, y) = (axis.x(at), 14 + 16 * i64::try_from(n).unwrap_or_default());
    let is_right = x > WIDTH / 2;
    html! {
        line .mark x1=(x) y1=(y - 8) x2=(x) y2=(bottom) {}
        text .end[is_right] x=(if is_right { x - 4 } else { x + 4 }) y=(y) { (word) }
    }
}

fn row<'a>(axis: &Axis, top: i64, words: &str, lines: impl Iterator<Item = &'a Line>) -> Markup {
    html! {
        text x=(LEFT) y=(top + 14) { (words) }
        line .row x1=(LEFT) y1=(top + 27) x2=(RIGHT) y2=(top + 27) {}
        @for line in lines {
            circle cx=(axis.x(line.seconds)) cy=(top + 27) r="5" {
                title { (line.at) " " (text::line(&line.what, LONGEST_CELL)) }
            }
        }
    }
}
