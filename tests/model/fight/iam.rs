//! IAM: two keys, a deny, a name; what is enforced late; and how many calls it answers.

/// SplitMix64: small, and the same everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).wrapping_add(0x1234_5678_9ABC_DEF1))
    }

    /// From 0 to 1.
    pub(crate) fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }

    pub(crate) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct State {
    pub(crate) is_denied: bool,
    pub(crate) keys: [bool; 2],
    /// It was deleted: nothing of it works any more.
    pub(crate) is_deleted: bool,
}

impl State {
    fn lets(&self, key: usize) -> bool {
        !self.is_deleted && !self.is_denied && self.keys.get(key).copied().unwrap_or_default()
    }
}

pub(crate) struct Iam {
    states: Vec<(f64, State)>,
    /// How often it was renamed: writes by a former name reach nobody.
    pub(crate) name: usize,
    /// Calls a second, what is left, and since when.
    tokens: Option<(f64, f64, f64)>,
}

impl Iam {
    pub(crate) fn new(bucket: Option<f64>) -> Self {
        let free = State { is_denied: false, keys: [true, true], is_deleted: false };
        Self { states: vec![(-1_000.0, free)], name: 0, tokens: bucket.map(|rate| (rate, rate, 0.0)) }
    }

    pub(crate) fn now(&self) -> State {
        self.states.last().unwrap().1
    }

    pub(crate) fn change(&mut self, at: f64, with: impl FnOnce(&mut State)) {
        let mut state = self.now();
        with(&mut state);
        if state != self.now() {
            self.states.push((at, state));
        }
    }

    /// Whether a call with that key is let through, by a host that knows the state of `lag` ago.
    pub(crate) fn lets(&self, key: usize, at: f64, lag: f64) -> bool {
        let known = self.states.partition_point(|it| it.0 <= at - lag);
        self.states.get(known.saturating_sub(1)).is_some_and(|it| it.1.lets(key))
    }

    /// A refused call takes nothing.
    pub(crate) fn answers(&mut self, at: f64) -> bool {
        let Some((rate, left, since)) = &mut self.tokens else { return true };
        *left = (*left + (at - *since) * *rate).min(*rate);
        *since = at;
        let answers = *left >= 1.0;
        if answers {
            *left -= 1.0;
        }
        answers
    }
}
