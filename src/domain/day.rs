//! Whole days of UTC: what a sweep counts in. It comes once a day, and a day on which it did not come counts
//! all the same.

use std::fmt;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::ids::{Invalid, Parse};

const SECONDS: i64 = 86_400;

/// A day, by its number since 1970; as it is written wherever people and programs read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Day(i64);

impl Day {
    pub fn of(time: DateTime) -> Self {
        Self(time.secs().div_euclid(SECONDS))
    }

    /// When it begins, in seconds since 1970.
    pub fn begins(self) -> i64 {
        self.0.saturating_mul(SECONDS)
    }

    /// How many days later this one is; none where it is earlier.
    pub fn since(self, earlier: Self) -> u32 {
        u32::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0)
    }

    pub fn plus(self, days: u32) -> Self {
        Self(self.0.saturating_add(i64::from(days)))
    }

    /// Why a sweep that begins `now` can't count for this day. Days bring the ladder forward: one that has not come would
    /// take the warned their time, and a first sweep of long ago as well. Who began before midnight goes on after it.
    pub fn refuse(self, now: Self) -> Option<String> {
        if self > now {
            return Some(format!("a day that has come: it is {now} in UTC"));
        }
        (now.since(self) > 1).then(|| format!("today or yesterday: it is {now} in UTC"))
    }
}

/// `2026-11-29`.
impl Parse for Day {
    const EXPECTED: &'static str = "a day such as `2026-11-29`";

    fn parse(text: &str) -> Result<Self, Invalid> {
        let time = Some(text).filter(|it| it.len() == 10);
        let time = time.and_then(|it| DateTime::from_str(&format!("{it}T00:00:00Z"), Format::DateTime).ok());
        time.map(Self::of).ok_or(Invalid { expected: Self::EXPECTED })
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = DateTime::from_secs(self.0.saturating_mul(SECONDS)).to_string();
        f.write_str(time.split('T').next().unwrap_or(&time))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sweep_counts_for_today_and_for_what_began_yesterday_and_for_no_other_day() {
        let now = Day::parse("2026-11-29").unwrap();
        assert_eq!((now.refuse(now), now.refuse(now.plus(1))), (None, None));
        assert!(now.plus(1).refuse(now).unwrap().contains("2026-11-29"));
        assert!(now.refuse(now.plus(2)).unwrap().contains("today or yesterday"));
    }

    #[test]
    fn a_day_reads_as_it_is_written() {
        let day = Day::parse("2026-11-29").unwrap();
        assert_eq!(day.to_string(), "2026-11-29");
        assert_eq!(serde_json::from_str::<Day>(&serde_json::to_string(&day).unwrap()).unwrap(), day);
        assert_eq!(day.plus(2).to_string(), "2026-12-01");
        assert_eq!((day.plus(2).since(day), day.since(day.plus(2))), (2, 0));
        for odd in ["2026-11-29T00", "2026-13-01", "26-11-29", "", "2026-11-2x"] {
            assert!(Day::parse(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn a_day_begins_at_midnight_and_lasts_until_the_next() {
        let day = Day::of(DateTime::from_secs(2 * 86_400));
        assert_eq!((day.begins(), day.to_string().as_str()), (172_800, "1970-01-03"));
        assert_eq!(Day::of(DateTime::from_secs(3 * 86_400 - 1)), day);
        assert_eq!(Day::of(DateTime::from_secs(-1)).begins(), -86_400);
        assert!(serde_json::from_str::<Day>("\"1970-01-32\"").is_err());
    }
}
