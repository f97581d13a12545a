//! IAM's wildcards: `*` is any text, `?` one character, over the whole text.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_resource.html>

use std::collections::VecDeque;

/// One place of a pattern.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Piece {
    Any,
    One,
    Is(char),
}

/// A pattern as it is written.
pub fn pieces(pattern: &str) -> Vec<Piece> {
    let piece = |c| match c {
        '*' => Piece::Any,
        '?' => Piece::One,
        c => Piece::Is(c),
    };
    pattern.chars().map(piece).collect()
}

/// The pattern that matches this text alone.
pub fn literal(text: &str) -> Vec<Piece> {
    text.chars().map(Piece::Is).collect()
}

/// Whether the pattern matches the text.
pub fn matches(pattern: &[Piece], text: &str) -> bool {
    matches_chars(pattern, &text.chars().collect::<Vec<_>>())
}

/// The same, of a text that many patterns are held against.
pub fn matches_chars(pattern: &[Piece], text: &[char]) -> bool {
    let (mut at, mut from) = (0, 0);
    // Where the last `*` stands, and up to where it reaches so far.
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (pattern.get(at), text.get(from)) {
            (Some(Piece::Any), _) => {
                star = Some((at, from));
                at += 1;
            }
            (Some(Piece::One), Some(_)) => (at, from) = (at + 1, from + 1),
            (Some(Piece::Is(c)), Some(t)) if c == t => (at, from) = (at + 1, from + 1),
            (None, None) => return true,
            _ => match star {
                Some((pattern_at, reached)) if reached < text.len() => {
                    star = Some((pattern_at, reached + 1));
                    (at, from) = (pattern_at + 1, reached + 1);
                }
                _ => return false,
            },
        }
    }
}

/// What stands where both patterns take any text: no name that anybody wrote a rule about.
const ANYTHING: &str = "0example0";

/// A text that both patterns match, if there is one: one of few steps, so that it is what somebody would write.
pub fn meet(a: &[Piece], b: &[Piece]) -> Option<String> {
    let width = b.len() + 1;
    // How each pair of places was reached first: from which pair, and by writing what.
    let mut reached: Vec<Option<(usize, Step)>> = vec![None; (a.len() + 1) * width];
    let mut open = VecDeque::from([0]);
    *reached.first_mut()? = Some((0, Step::Nothing));
    while let Some(at) = open.pop_front() {
        let (i, j) = (at / width, at % width);
        let (x, y) = (a.get(i), b.get(j));
        let mut next = Vec::new();
        match (x, y) {
            (Some(Piece::Any), Some(Piece::Any)) => next.push((i + 1, j + 1, Step::Anything)),
            (Some(Piece::Any), Some(y)) => next.extend([(i, j + 1, Step::of(*y)), (i + 1, j, Step::Nothing)]),
            (Some(x), Some(Piece::Any)) => next.extend([(i + 1, j, Step::of(*x)), (i, j + 1, Step::Nothing)]),
            (Some(Piece::Any), None) => next.push((i + 1, j, Step::Nothing)),
            (None, Some(Piece::Any)) => next.push((i, j + 1, Step::Nothing)),
            (Some(x), Some(y)) => next.extend(Step::both(*x, *y).map(|it| (i + 1, j + 1, it))),
            _ => {}
        }
        if let (Some(Piece::Any), Some(Piece::Any)) = (x, y) {
            next.extend([(i + 1, j, Step::Nothing), (i, j + 1, Step::Nothing)]);
        }
        for (i, j, step) in next {
            let to = i * width + j;
            if let Some(slot @ None) = reached.get_mut(to) {
                *slot = Some((at, step));
                open.push_back(to);
            }
        }
    }
    let mut at = reached.len() - 1;
    let mut written = Vec::new();
    while at > 0 {
        let (from, step) = (*reached.get(at)?)?;
        written.push(step);
        at = from;
    }
    let mut text = String::new();
    for step in written.into_iter().rev() {
        match step {
            Step::Nothing => {}
            Step::Anything => text.push_str(ANYTHING),
            Step::Write(c) => text.push(c),
        }
    }
    Some(text)
}

#[derive(Debug, Clone, Copy)]
enum Step {
    Nothing,
    Anything,
    Write(char),
}

impl Step {
    fn of(piece: Piece) -> Self {
        match piece {
            Piece::Any => Self::Anything,
            Piece::One => Self::Write('0'),
            Piece::Is(c) => Self::Write(c),
        }
    }

    fn both(x: Piece, y: Piece) -> Option<Self> {
        match (x, y) {
            (Piece::Is(x), Piece::Is(y)) => (x == y).then_some(Self::Write(x)),
            (Piece::Is(c), _) | (_, Piece::Is(c)) => Some(Self::Write(c)),
            _ => Some(Self::Write('0')),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_pattern_is_about_the_whole_text() {
        let matches = |pattern: &str, text: &str| matches(&pieces(pattern), text);
        assert!(matches("arn:aws:s3:::b/*", "arn:aws:s3:::b/a:b/c") && !matches("arn:aws:s3:::b/*", "arn:aws:s3:::b"));
        assert!(matches("a*b*c", "abbc") && !matches("a*b*c", "abb") && matches("*", "") && !matches("?", ""));
        assert!(super::matches(&literal("*"), "*") && !super::matches(&literal("*"), "x"));
    }

    #[test]
    fn two_patterns_meet_in_a_text() {
        let meet = |a: &str, b: &str| meet(&pieces(a), &pieces(b));
        assert_eq!(meet("arn:*:user/team-*", "arn:aws:iam::1:user/*").unwrap(), "arn:aws:iam::1:user/team-0example0");
        assert_eq!(meet("arn:aws:s3:::b", "arn:aws:s3:::*/*"), None);
        assert_eq!(meet("*", "*"), Some("0example0".to_owned()));
        assert_eq!((meet("", ""), meet("a", "")), (Some(String::new()), None));
    }

    proptest! {
        #[test]
        fn where_they_meet_both_match(a in "[ab*?]{0,8}", b in "[ab*?]{0,8}", text in "[ab]{0,6}") {
            let (a, b) = (pieces(&a), pieces(&b));
            match meet(&a, &b) {
                Some(found) => prop_assert!(matches(&a, &found) && matches(&b, &found), "{found}"),
                None => prop_assert!(!(matches(&a, &text) && matches(&b, &text)), "{text}"),
            }
        }
    }
}
