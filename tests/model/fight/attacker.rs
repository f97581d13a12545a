//! Who fights back: with the identity's own keys, and with those of an accomplice.

use super::iam::{ACCOMPLICE, Iam, Random, State, VICTIM};

/// How far ahead of the end of what it can use it puts them back.
const AHEAD: f64 = 0.008;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tactic {
    /// Detaches the deny, deletes the boundary and activates both keys, with each key, at every poll.
    Strip,
    /// The same with as few calls as it takes: one where it is refused.
    Thrifty,
    /// Only in the 0.3 s after a look.
    AfterLooks,
    /// Is quiet until the settle time has passed since the strike.
    Waits,
    /// Strips once the strike is there, and is then quiet until the settle time has passed.
    StripsAndWaits,
    /// Calls a hundred times a second besides, for nothing but the throttle.
    Spends,
    /// Deletes the user and makes another one of its name.
    Recreates,
    /// Renames the user at each success.
    Renames,
    /// Takes the barriers off for a moment and puts them back, again each time that this comes to be
    /// enforced.
    PutsBack,
}

impl Tactic {
    pub(crate) const ALL: [Self; 8] = [
        Self::Strip,
        Self::Thrifty,
        Self::AfterLooks,
        Self::Waits,
        Self::StripsAndWaits,
        Self::Spends,
        Self::Recreates,
        Self::Renames,
    ];

    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Strip => "strips all, eight calls",
            Self::Thrifty => "strips all, one call where refused",
            Self::AfterLooks => "strips right after a look",
            Self::Waits => "waits for the settle time",
            Self::StripsAndWaits => "strips, then waits for the settle time",
            Self::Spends => "spends the budget, 100 calls/s",
            Self::Recreates => "deletes and recreates",
            Self::Renames => "renames",
            Self::PutsBack => "puts back before it is seen",
        }
    }

    /// Whether it does anything at that moment. `looked`: when the last look ended.
    pub(crate) fn is_awake(self, at: f64, looked: f64) -> bool {
        match self {
            Self::AfterLooks => at - looked < 0.3,
            Self::Waits => at > 12.5,
            Self::StripsAndWaits => !(2.0..=12.5).contains(&at),
            _ => true,
        }
    }
}

pub(crate) struct Attacker {
    tactic: Tactic,
    lag: (f64, f64),
    /// How long who puts back leaves the barriers off, the first time.
    leaves: f64,
    /// Whether it makes an administrator as long as it can.
    wants_accomplice: bool,
    /// When that one was made.
    pub(crate) made_at: Option<f64>,
    pub(crate) writes: usize,
    /// When a call with one of the victim's keys was let through last.
    pub(crate) used_at: f64,
    gap: Gap,
}

/// Of whoever puts back.
#[derive(Default)]
struct Gap {
    opened: Option<f64>,
    closed: Option<f64>,
    /// When it is to be closed, as long as it is open.
    until: Option<f64>,
}

impl Attacker {
    pub(crate) fn new(tactic: Tactic, lag: (f64, f64), leaves: f64, wants_accomplice: bool) -> Self {
        Self { tactic, lag, leaves, wants_accomplice, made_at: None, writes: 0, used_at: 0.0, gap: Gap::default() }
    }

    /// One poll with the keys of one of the two.
    pub(crate) fn poll(&mut self, by: usize, iam: &mut Iam, at: f64, random: &mut Random) {
        if self.tactic == Tactic::PutsBack && by == VICTIM {
            return self.open_or_close(iam, at, random);
        }
        for key in 0..2 - by {
            if self.with_key((by, key), iam, at, random) {
                return;
            }
        }
    }

    fn is_let(&mut self, (by, key): (usize, usize), iam: &mut Iam, at: f64, random: &mut Random) -> bool {
        let lag = random.between(self.lag.0, self.lag.1);
        let is_let = iam.answers(at) && iam.lets(by, key, at, lag);
        if is_let && by == VICTIM {
            self.used_at = at;
        }
        is_let
    }

    /// Gives whether anything was let through.
    fn with_key(&mut self, own: (usize, usize), iam: &mut Iam, at: f64, random: &mut Random) -> bool {
        let Some(mut has_worked) = self.strip(own, VICTIM, iam, at, random) else {
            // The other key tells the same.
            return own.1 == 0 && iam.now(VICTIM).is_denied;
        };
        let accomplice = iam.now(ACCOMPLICE);
        if !accomplice.is_deleted && (accomplice.is_denied || !accomplice.keys[0]) {
            has_worked |= self.strip(own, ACCOMPLICE, iam, at, random) == Some(true);
        }
        if has_worked && self.wants_accomplice && self.made_at.is_none() {
            self.make_accomplice(own, iam, at, random);
        }
        // What bears a policy can't be deleted.
        let is_fixed = iam.is_guarded(at) && iam.now(VICTIM).is_denied;
        match self.tactic {
            Tactic::Recreates if has_worked && at > 3.0 && !is_fixed => {
                iam.change(VICTIM, at, |it| it.is_deleted = true);
            }
            Tactic::Renames if has_worked && at > 1.0 => iam.names[VICTIM] += 1,
            _ => {}
        }
        has_worked
    }

    /// `None`: refused, and nothing more was tried.
    fn strip(
        &mut self,
        own: (usize, usize),
        target: usize,
        iam: &mut Iam,
        at: f64,
        random: &mut Random,
    ) -> Option<bool> {
        let is_guarded = iam.is_guarded(at);
        let is_detached = self.is_let(own, iam, at, random) && !is_guarded;
        if is_detached {
            self.writes += usize::from(iam.now(target).is_denied);
            iam.change(target, at, |it| it.is_denied = false);
        }
        // Whoever has an accomplice leaves the calls that IAM answers to that one.
        let is_thrifty = self.tactic == Tactic::Thrifty || (own.0 == VICTIM && self.made_at.is_some());
        if is_thrifty && !is_detached && !is_guarded {
            return None;
        }
        // There is no boundary: the call costs, and changes nothing.
        let mut has_worked = is_detached | (!is_thrifty && self.is_let(own, iam, at, random));
        for activated in 0..2 - target {
            if self.is_let(own, iam, at, random) {
                has_worked = true;
                self.writes += 1;
                iam.change(target, at, |it| it.keys[activated] = true);
            }
        }
        Some(has_worked)
    }

    /// A user, administrator access, and a key.
    fn make_accomplice(&mut self, own: (usize, usize), iam: &mut Iam, at: f64, random: &mut Random) {
        if (0..3).all(|_| self.is_let(own, iam, at, random)) {
            self.made_at = Some(at);
            self.writes += 3;
            let made = State { is_denied: false, keys: [true, false], is_deleted: false };
            iam.change(ACCOMPLICE, at, |it| *it = made);
        }
    }

    /// Calls only where it can be let through, by all it knows.
    fn open_or_close(&mut self, iam: &mut Iam, at: f64, random: &mut Random) {
        let own = (VICTIM, 0);
        if let Some(until) = self.gap.until {
            if at >= until && self.is_let(own, iam, at, random) && self.is_let(own, iam, at, random) {
                self.writes += 2;
                iam.change(VICTIM, at, |it| (it.is_denied, it.keys[0]) = (true, false));
                (self.gap.closed, self.gap.until) = (Some(at), None);
            }
            return;
        }
        let Gap { opened, closed, .. } = self.gap;
        let is_time = match (opened, closed) {
            (Some(opened), Some(closed)) => (opened + self.lag.0 - AHEAD..=closed + self.lag.1 + AHEAD).contains(&at),
            _ => at > 0.3,
        };
        if !is_time || !self.is_let(own, iam, at, random) || !self.is_let(own, iam, at, random) {
            return;
        }
        if !iam.is_guarded(at) {
            self.writes += 2;
            iam.change(VICTIM, at, |it| (it.is_denied, it.keys[0]) = (false, true));
            let until = closed.filter(|_| self.lag.0 == self.lag.1).map(|it| it + self.lag.0 - AHEAD);
            self.gap = Gap { opened: Some(at), until: Some(until.unwrap_or(at + self.leaves)), closed };
        }
    }
}
