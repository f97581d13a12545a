//! Who fights back with the identity's own keys.

use super::iam::{Iam, Random};

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
    pub(crate) tactic: Tactic,
    pub(crate) lag: (f64, f64),
    pub(crate) writes: usize,
}

impl Attacker {
    /// One poll. Gives whether anything was let through.
    pub(crate) fn poll(&mut self, iam: &mut Iam, at: f64, random: &mut Random) -> bool {
        (0..2).any(|key| self.with_key(key, iam, at, random))
    }

    fn is_let(&self, key: usize, iam: &mut Iam, at: f64, random: &mut Random) -> bool {
        let lag = random.between(self.lag.0, self.lag.1);
        iam.answers(at) && iam.lets(key, at, lag)
    }

    fn with_key(&mut self, key: usize, iam: &mut Iam, at: f64, random: &mut Random) -> bool {
        let is_detached = self.is_let(key, iam, at, random);
        if is_detached {
            self.writes += usize::from(iam.now().is_denied);
            iam.change(at, |it| it.is_denied = false);
        }
        if self.tactic == Tactic::Thrifty && !is_detached {
            // The other key tells the same.
            return key == 0 && iam.now().is_denied;
        }
        // There is no boundary: the call costs, and changes nothing.
        let mut has_worked = is_detached | (self.tactic != Tactic::Thrifty && self.is_let(key, iam, at, random));
        for activated in 0..2 {
            if self.is_let(key, iam, at, random) {
                has_worked = true;
                self.writes += 1;
                iam.change(at, |it| it.keys[activated] = true);
            }
        }
        match self.tactic {
            Tactic::Recreates if has_worked && at > 3.0 => iam.change(at, |it| it.is_deleted = true),
            Tactic::Renames if has_worked && at > 1.0 => iam.name += 1,
            _ => {}
        }
        has_worked
    }
}
