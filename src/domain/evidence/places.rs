//! Many patterns followed side by side: the places in which each could be, as a row of bits that a character moves on.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::glob::Piece;

/// All patterns one behind the other, a bit for each of their places.
#[derive(Default)]
pub(super) struct Machine {
    pieces: Vec<Option<Piece>>,
    pub(super) patterns: Vec<Pattern>,
    known: HashMap<Vec<Piece>, usize>,
    pub(super) words: usize,
    any: Vec<u64>,
    one: Vec<u64>,
    pub(super) is_at: BTreeMap<char, Vec<u64>>,
}

pub(super) struct Pattern {
    /// Its bits, word by word.
    bits: Vec<(usize, u64)>,
    start: usize,
    end: usize,
    /// It ends with `*`, which matches whatever follows.
    tail: Option<usize>,
}

impl Machine {
    pub(super) fn add(&mut self, pattern: &[Piece]) -> usize {
        if let Some(known) = self.known.get(pattern) {
            return *known;
        }
        let start = self.pieces.len();
        for piece in pattern {
            // Two stars are one.
            if *piece != Piece::Any || self.pieces.len() == start || self.pieces.last() != Some(&Some(Piece::Any)) {
                self.pieces.push(Some(*piece));
            }
        }
        let end = self.pieces.len();
        let tail = (pattern.last() == Some(&Piece::Any)).then(|| end - 1);
        self.pieces.push(None);
        let mut bits: Vec<(usize, u64)> = Vec::new();
        for bit in start..=end {
            match bits.last_mut() {
                Some((word, mask)) if *word == bit / 64 => *mask |= 1 << (bit % 64),
                _ => bits.push((bit / 64, 1 << (bit % 64))),
            }
        }
        self.patterns.push(Pattern { bits, start, end, tail });
        self.known.insert(pattern.to_vec(), self.patterns.len() - 1);
        self.patterns.len() - 1
    }

    pub(super) fn finish(&mut self) {
        self.words = self.pieces.len().div_ceil(64);
        let empty = vec![0; self.words];
        (self.any, self.one) = (empty.clone(), empty.clone());
        for (bit, piece) in self.pieces.iter().enumerate() {
            match piece {
                None => {}
                Some(Piece::Any) => set(&mut self.any, bit),
                Some(Piece::One) => set(&mut self.one, bit),
                Some(Piece::Is(c)) => set(self.is_at.entry(*c).or_insert_with(|| empty.clone()), bit),
            }
        }
    }

    pub(super) fn start(&self) -> Vec<u64> {
        let mut places = vec![0; self.words];
        self.patterns.iter().for_each(|it| set(&mut places, it.start));
        self.past_stars(&mut places);
        places
    }

    pub(super) fn step(&self, places: &[u64], c: char) -> Vec<u64> {
        let named = self.is_at.get(&c);
        let mut carry = 0;
        let each = places.iter().zip(&self.any).zip(&self.one).enumerate();
        let moved = each.map(|(word, ((places, any), one))| {
            let named = named.and_then(|it| it.get(word)).copied().unwrap_or_default();
            let hit = places & (one | named);
            let next = (hit << 1) | carry | (places & any);
            carry = hit >> 63;
            next
        });
        let mut next: Vec<u64> = moved.collect();
        self.past_stars(&mut next);
        next
    }

    /// A star takes nothing, too.
    fn past_stars(&self, places: &mut [u64]) {
        let mut carry = 0;
        for (places, any) in places.iter_mut().zip(&self.any) {
            let stars = *places & any;
            *places |= (stars << 1) | carry;
            carry = stars >> 63;
        }
    }

    pub(super) fn is_alive(&self, places: &[u64], pattern: usize) -> bool {
        let bits = self.patterns.get(pattern).map(|it| it.bits.as_slice()).unwrap_or_default();
        bits.iter().any(|(word, mask)| places.get(*word).is_some_and(|it| it & mask != 0))
    }

    pub(super) fn matches(&self, places: &[u64], pattern: usize) -> bool {
        self.patterns.get(pattern).is_some_and(|it| has(places, it.end))
    }

    pub(super) fn matches_whatever_follows(&self, places: &[u64], pattern: usize) -> bool {
        self.patterns.get(pattern).and_then(|it| it.tail).is_some_and(|it| has(places, it))
    }

    /// The characters that patterns wait for.
    pub(super) fn named(&self, places: &[u64]) -> BTreeSet<char> {
        let all = places.iter().enumerate().flat_map(|(word, bits)| bits_of(word, *bits));
        all.filter_map(|bit| match self.pieces.get(bit) {
            Some(Some(Piece::Is(c))) => Some(*c),
            _ => None,
        })
        .collect()
    }

    /// The same of some patterns; `None` where one of them takes any character, or there are none.
    pub(super) fn only_named(&self, places: &[u64], patterns: &[usize]) -> Option<BTreeSet<char>> {
        if patterns.is_empty() {
            return None;
        }
        let mut named = BTreeSet::new();
        for (word, mask) in patterns.iter().filter_map(|it| self.patterns.get(*it)).flat_map(|it| &it.bits) {
            for bit in bits_of(*word, places.get(*word).copied().unwrap_or_default() & mask) {
                match self.pieces.get(bit) {
                    Some(Some(Piece::Is(c))) => drop(named.insert(*c)),
                    Some(Some(_)) => return None,
                    _ => {}
                }
            }
        }
        Some(named)
    }
}

fn set(places: &mut [u64], bit: usize) {
    if let Some(word) = places.get_mut(bit / 64) {
        *word |= 1 << (bit % 64);
    }
}

fn has(places: &[u64], bit: usize) -> bool {
    places.get(bit / 64).is_some_and(|it| it & (1 << (bit % 64)) != 0)
}

fn bits_of(word: usize, mut bits: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (bits != 0).then(|| bits.trailing_zeros())?;
        bits &= bits - 1;
        usize::try_from(bit).ok().map(|it| word * 64 + it)
    })
}
