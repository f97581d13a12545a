//! How often somebody may try the password.
//!
//! A decision over counters that the ledger keeps, one for each source network and minute: nothing sleeps, and
//! whoever has tried too often is told at once when to come again, before anything is hashed. A minute is the
//! longest that a failing crowd locks anybody out; where it never stops, its network's tries are gone at the
//! beginning of each minute. That is why a generated secret is let in whatever the crowd does, since comparing it
//! costs nothing, and why a browser that was let in once has a counter of its own.
//! <https://owasp.org/www-community/Slow_Down_Online_Guessing_Attacks_with_Device_Cookies>

use std::net::IpAddr;

use aws_smithy_types::DateTime;

/// Tries a minute that a network has, or a browser that was let in before.
pub const LIMIT: u32 = 5;

/// Failed tries a minute, from everywhere, at which a network has one try only: a crowd from many networks slows
/// all down that nobody knows, and closes to none.
pub const CROWD: u32 = 60;

/// Where a request came from, as far as it says who: IPv4 to 24 bits, IPv6 to 64, which is what one customer has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network(String);

impl Network {
    pub fn of(source: Option<IpAddr>) -> Self {
        Self(match source.map(|it| it.to_canonical()) {
            Some(IpAddr::V4(it)) => {
                let [a, b, c, _] = it.octets();
                format!("{a}.{b}.{c}.0/24")
            }
            Some(IpAddr::V6(it)) => {
                let [a, b, c, d, ..] = it.segments();
                format!("{:x}:{:x}:{:x}:{:x}::/64", a, b, c, d)
            }
            None => "unknown".to_owned(),
        })
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whose tries are counted together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Guest {
    Network(Network),
    /// A browser that was let in before, by the number in its cookie.
    Known(String),
}

/// The items of the ledger in which a try is counted, before the password is looked at, with `ADD`, so that no two
/// requests see the same number. They are of no use after their minute. `own` is counted first: beyond [`LIMIT`] it
/// locks out by itself, and `all`, which one item has to bear for everybody, is left as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counters {
    pub own: String,
    pub all: String,
    /// In seconds since 1970.
    pub expires: i64,
}

/// How many tries there were in this minute, with this one; `all` is 0 where it was left as it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tries {
    pub own: u32,
    pub all: u32,
}

impl Guest {
    pub(super) fn counters(&self, now: DateTime) -> Counters {
        let minute = now.secs().div_euclid(60);
        let own = match self {
            Self::Network(it) => it.as_str().to_owned(),
            Self::Known(it) => format!("device-{it}"),
        };
        Counters {
            own: format!("lockout#{own}#{minute}"),
            all: format!("lockout#all#{minute}"),
            expires: (minute + 2) * 60,
        }
    }

    /// `None` lets the guest try; else how many seconds to wait, 60 at most.
    pub(super) fn locked_out(&self, tries: Tries, now: DateTime) -> Option<i64> {
        let limit = match self {
            Self::Network(_) if tries.all > CROWD => 1,
            _ => LIMIT,
        };
        (tries.own > limit).then(|| 60 - now.secs().rem_euclid(60))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network(source: &str) -> String {
        Network::of(Some(source.parse().unwrap())).0
    }

    #[test]
    fn a_network_is_what_one_customer_has() {
        assert_eq!(network("203.0.113.9"), "203.0.113.0/24");
        assert_eq!(network("::ffff:203.0.113.9"), "203.0.113.0/24");
        assert_eq!(network("2001:db8:0:1:2:3:4:5"), "2001:db8:0:1::/64");
        assert_eq!(network("2001:db8:0:1:ffff::"), "2001:db8:0:1::/64");
        assert_ne!(network("2001:db8:0:2::1"), network("2001:db8:0:1::1"));
        assert_eq!(Network::of(None).0, "unknown");
    }

    #[test]
    fn the_sixth_try_of_a_minute_waits_for_the_next() {
        let guest = Guest::Network(Network::of(Some("203.0.113.9".parse().unwrap())));
        let now = DateTime::from_secs(1_000_000_010);
        let locked = |own, all| guest.locked_out(Tries { own, all }, now);
        assert_eq!((locked(1, 1), locked(LIMIT, LIMIT), locked(LIMIT + 1, 6)), (None, None, Some(10)));
        let next = DateTime::from_secs(1_000_000_020);
        assert_ne!(guest.counters(now), guest.counters(next));
        assert_eq!(guest.counters(now).own, "lockout#203.0.113.0/24#16666666");
    }

    #[test]
    fn a_crowd_slows_strangers_down_and_closes_to_nobody() {
        let stranger = Guest::Network(Network::of(None));
        let known = Guest::Known("0f".to_owned());
        let now = DateTime::from_secs(0);
        let locked = |guest: &Guest, own| guest.locked_out(Tries { own, all: 100_000 }, now).is_some();
        assert_eq!((locked(&stranger, 1), locked(&stranger, 2)), (false, true));
        assert_eq!((locked(&known, LIMIT), locked(&known, LIMIT + 1)), (false, true));
    }

    proptest! {
        #[test]
        fn nobody_waits_longer_than_a_minute(own in any::<u32>(), all in any::<u32>(), now in 0i64..4_000_000_000) {
            let now = DateTime::from_secs(now);
            for guest in [Guest::Network(Network::of(None)), Guest::Known("x".to_owned())] {
                let wait = guest.locked_out(Tries { own, all }, now);
                prop_assert!(wait.is_none_or(|it| (1..=60).contains(&it)));
                prop_assert!(own != 1 || wait.is_none());
            }
        }
    }
}
