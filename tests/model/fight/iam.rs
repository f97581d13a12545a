//! IAM: whose keys there are, a deny, a name; what is enforced late; the guardrail; and how many calls it answers.

pub(crate) const VICTIM: usize = 0;
pub(crate) const ACCOMPLICE: usize = 1;
/// What is longer ago than that many changes is known everywhere.
const KEPT: usize = 2_048;

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
    /// It was deleted, or is not made yet: nothing of it works.
    pub(crate) is_deleted: bool,
}

impl State {
    fn lets(&self, key: usize) -> bool {
        !self.is_deleted && !self.is_denied && self.keys.get(key).copied().unwrap_or_default()
    }

    /// How many of the barriers are off.
    pub(crate) fn missing(&self) -> usize {
        usize::from(!self.is_denied) + self.keys.iter().filter(|it| **it).count()
    }
}

pub(crate) struct Iam {
    /// Of the victim and the accomplice.
    states: [Vec<(f64, State)>; 2],
    /// How often each was renamed: writes by a former name reach nobody.
    pub(crate) names: [usize; 2],
    /// From when on the guardrail binds.
    pub(crate) binds_at: Option<f64>,
    /// Calls a second, what is left, and since when.
    tokens: Option<(f64, f64, f64)>,
}

impl Iam {
    pub(crate) fn new(bucket: Option<f64>, binds_at: Option<f64>) -> Self {
        let free = State { is_denied: false, keys: [true, true], is_deleted: false };
        let nobody = State { is_denied: false, keys: [false, false], is_deleted: true };
        Self {
            states: [free, nobody].map(|it| vec![(-1_000.0, it)]),
            names: [0, 0],
            binds_at,
            tokens: bucket.map(|rate| (rate, rate, 0.0)),
        }
    }

    pub(crate) fn now(&self, who: usize) -> State {
        self.states[who].last().unwrap().1
    }

    pub(crate) fn change(&mut self, who: usize, at: f64, with: impl FnOnce(&mut State)) {
        let mut state = self.now(who);
        with(&mut state);
        if state != self.now(who) {
            let states = &mut self.states[who];
            states.push((at, state));
            if states.len() > 2 * KEPT {
                states.drain(..KEPT);
            }
        }
    }

    /// Whether a call with that key is let through, by a host that knows the state of `lag` ago.
    pub(crate) fn lets(&self, who: usize, key: usize, at: f64, lag: f64) -> bool {
        let states = &self.states[who];
        let known = states.partition_point(|it| it.0 <= at - lag);
        states.get(known.saturating_sub(1)).is_some_and(|it| it.1.lets(key))
    }

    /// Whether it was free at any moment since then, whatever is enforced.
    pub(crate) fn was_free_since(&self, who: usize, since: f64) -> bool {
        let states = &self.states[who];
        let first = states.partition_point(|it| it.0 <= since).saturating_sub(1);
        states.iter().skip(first).any(|it| it.1.lets(0) || it.1.lets(1))
    }

    /// Whether nobody in the account lifts a deny any more.
    pub(crate) fn is_guarded(&self, at: f64) -> bool {
        self.binds_at.is_some_and(|it| it <= at)
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
