//! Whether a response may begin now, and what it does beside one that is going on. The ledger counts and
//! holds the leases; what follows from them is decided here.

use aws_smithy_types::DateTime;

use crate::finding::{Finding, Source, Threat};

/// How long somebody who was contained is no new one.
pub const KNOWN_MILLIS: i64 = 24 * 3_600_000;
/// How long a deferred finding waits for its turn.
pub const DEFERRED_MILLIS: i64 = 24 * 3_600_000;

/// A person's word goes through, and so does a drill, which is no containment to be counted.
pub fn is_by_person(source: Source) -> bool {
    matches!(source, Source::Command | Source::SecurityHubCustomAction | Source::Drill)
}

/// Whether the breaker counts it. `is_known`: the principal was contained within a day, so that it is no
/// new one.
pub fn is_counted(source: Source, is_known: bool) -> bool {
    !is_by_person(source) && !is_known
}

/// A breaker that can't be read is open, but for a compromised credential: whoever can make it fail must
/// not go free by that.
pub fn is_admitted_unread(threat: Threat) -> bool {
    threat == Threat::CompromisedCredential
}

/// Whether each one that is deferred is told, and opens its incident. Of the others one digest an hour is
/// enough.
pub fn is_always_told(threat: Threat) -> bool {
    threat == Threat::CompromisedCredential
}

/// Whether it is taken up before others that are due: somebody may be acting with it now. Of the others an attacker
/// makes as many as he likes.
pub fn comes_first(threat: Threat) -> bool {
    matches!(threat, Threat::CompromisedCredential | Threat::RootAccessKey)
}

/// Why there is no place in the hour's budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoPlace {
    Full,
    /// The breaker could not be read.
    Unread,
}

impl NoPlace {
    /// `account` and `all` are the limits of the hour, for each threat.
    fn words(self, (account, all): (u32, u32), threat: Threat) -> String {
        let threat = threat.playbook();
        match self {
            Self::Full => {
                format!("more than {account} principals of the account or {all} in all for {threat} this hour")
            }
            Self::Unread => format!("how many there were for {threat} this hour could not be read"),
        }
    }
}

/// What a deferred response says. `is_listed`: the ledger has it on the list of what waits for room.
pub fn deferred(limits: (u32, u32), threat: Threat, why: NoPlace, is_listed: bool) -> String {
    let then = if is_listed {
        "it is taken up when there is room again, gravest first, and dropped after 24 h"
    } else {
        "the ledger could NOT keep it, and nothing takes it up but another report of it"
    };
    format!("{}: {then}; `contain` goes through at once", why.words(limits, threat))
}

/// Why nothing was done while people are asked, where the reversible deny would have been.
pub fn not_struck(limits: (u32, u32), threat: Threat, why: NoPlace) -> String {
    let why = why.words(limits, threat);
    format!("it was NOT denied everything meanwhile: {why}; `contain` goes through at once")
}

/// Deferred findings in the order in which they are taken up: the gravest first, then the oldest.
/// `since`: milliseconds since 1970.
pub fn order(finding: &Finding, since: i64) -> i64 {
    let severity = (finding.severity.0.clamp(0.0, 10.0) * 10.0).round() as i64;
    let rank = (4 - i64::from(finding.threat.gravity())) * 101 + (100 - severity);
    rank.saturating_mul(SLOT).saturating_add(since.clamp(0, SLOT - 1))
}

/// Since when a deferred finding waits, from its place in the order.
pub fn since(order: i64) -> i64 {
    order.rem_euclid(SLOT)
}

/// More milliseconds than there are since 1970 for a thousand years.
const SLOT: i64 = 100_000_000_000_000;

/// Who holds an identity's lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The invocation.
    pub owner: String,
    pub holder: Option<Holder>,
    /// Whom it struck; absent as long as it only looks for the identity.
    pub struck: Option<String>,
    /// It takes a place in the hour's budget, where who it is about is a new one.
    pub takes_place: bool,
    /// When it began, and when its lease runs out: milliseconds since 1970.
    pub since: i64,
    pub until: i64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// A response to the threat.
    Response(Threat),
    Restore,
}

impl Holder {
    const RESTORE: &str = "restore";

    /// As the ledger keeps it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Response(threat) => threat.playbook(),
            Self::Restore => Self::RESTORE,
        }
    }

    pub fn parse(word: &str) -> Option<Self> {
        if word == Self::RESTORE { Some(Self::Restore) } else { Threat::of_playbook(word).map(Self::Response) }
    }
}

/// What to do about a finding whose principal somebody is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    /// It is the holder's too: it is left with the holder, and taken up anew should that end badly.
    Join,
    /// Nothing new to a restore: it is looked at when that is through.
    After,
    /// The barriers go up at once; they are idempotent.
    Strike,
}

/// INVARIANT: a finding is left with a holder only when the holder has struck the identity that the
/// finding means, and its playbook covers the finding's. `tests/test_lease.py` holds it.
pub fn beside(held: &Held, finding: &Finding) -> Beside {
    match held.holder {
        Some(Holder::Restore) if restore_yields_until(finding) > held.since => Beside::Strike,
        Some(Holder::Restore) => Beside::After,
        Some(Holder::Response(threat)) if threat.covers(finding.threat) && agrees(held, finding) => Beside::Join,
        Some(Holder::Response(_)) | None => Beside::Strike,
    }
}

/// Whether a place that was counted for the finding is the holder's: of the same threat and hour, by the same name.
pub fn is_place_of(held: &Held, finding: &Finding, is_known: bool, now_millis: i64) -> bool {
    const HOUR: i64 = 3_600_000;
    let is_counted = held.takes_place && !is_known && held.holder == Some(Holder::Response(finding.threat));
    is_counted && held.since.div_euclid(HOUR) == now_millis.div_euclid(HOUR)
}

/// A name alone may be anybody's: but the holder went by it too, and found the one who bears it.
fn agrees(held: &Held, finding: &Finding) -> bool {
    let claimed = finding.principal.unique_id();
    held.struck.as_ref().is_some_and(|struck| claimed.is_none_or(|it| it.as_str() == struck))
}

/// Who gives the identity up to a response to this finding, as the ledger writes holders.
pub fn yielding(finding: &Finding) -> Vec<&'static str> {
    let weaker = Threat::ALL.into_iter().filter(|it| !it.covers(finding.threat) && finding.threat.covers(*it));
    weaker.map(|it| Holder::Response(it).word()).collect()
}

/// A restore that began before this moment gives the identity up, in milliseconds since 1970: something was
/// done after it began, or nobody can tell that it was before.
pub fn restore_yields_until(finding: &Finding) -> i64 {
    let seen = finding.occurred_at.and_then(|it: DateTime| it.to_millis().ok());
    match seen {
        _ if is_by_person(finding.source) => i64::MAX,
        _ if !finding.threat.is_behaviour() => 0,
        Some(seen) => seen,
        None => i64::MAX,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::{Principal, Severity};
    use crate::fixtures::{finding, parsed};

    #[test]
    fn a_person_is_never_held_up_and_nobody_is_counted_twice() {
        for source in [Source::Command, Source::SecurityHubCustomAction, Source::Drill] {
            assert!(!is_counted(source, false));
        }
        assert!(is_counted(Source::GuardDuty, false));
        assert!(!is_counted(Source::GuardDuty, true));
    }

    #[test]
    fn who_was_contained_is_known_for_a_day_and_what_was_put_off_waits_as_long() {
        assert_eq!([KNOWN_MILLIS, DEFERRED_MILLIS], [86_400_000; 2]);
    }

    #[test]
    fn the_gravest_comes_first_then_the_oldest() {
        let of = |threat, severity, since| {
            let mut finding = finding(threat);
            finding.severity = Severity(severity);
            order(&finding, since)
        };
        let now = 1_790_000_000_000;
        let sorted = [
            of(Threat::CompromisedCredential, 9.0, now),
            of(Threat::CompromisedCredential, 7.1, now),
            of(Threat::CompromisedCredential, 7.0, now - 5),
            of(Threat::CompromisedCredential, 7.0, now),
            of(Threat::UnauthorizedUser, 10.0, now - 9),
            of(Threat::UnusedUser, 4.0, 0),
        ];
        assert!(sorted.is_sorted() && sorted[0] > 0, "{sorted:?}");
        assert_eq!(sorted.map(since), [now, now, now - 5, now, now - 9, 0]);
    }

    fn held(holder: Option<Holder>, struck: Option<&str>) -> Held {
        let (owner, struck) = ("o".to_owned(), struck.map(str::to_owned));
        Held { owner, holder, struck, takes_place: true, since: 1_000_000, until: 2_000_000 }
    }

    #[test]
    fn a_finding_is_left_only_with_who_struck_the_same_and_covers_it() {
        let mut graver = finding(Threat::CompromisedCredential);
        graver.principal = Principal::User { name: Some(parsed("alice")), id: Some(parsed("AIDACKCEVSQ6C2EXAMPLE")) };
        let by = |threat, struck| beside(&held(Some(Holder::Response(threat)), struck), &graver);
        assert_eq!(by(Threat::CompromisedCredential, Some("AIDACKCEVSQ6C2EXAMPLE")), Beside::Join);
        assert_eq!(by(Threat::CompromisedCredential, Some("AIDAOTHEROTHEROTHER00")), Beside::Strike);
        assert_eq!(by(Threat::CompromisedCredential, None), Beside::Strike);
        assert_eq!(by(Threat::UnusedUser, Some("AIDACKCEVSQ6C2EXAMPLE")), Beside::Strike);
        assert_eq!(beside(&held(None, Some("AIDACKCEVSQ6C2EXAMPLE")), &graver), Beside::Strike);
        let lesser = finding(Threat::MissingMfa);
        let by = held(Some(Holder::Response(Threat::CompromisedCredential)), Some("AIDACKCEVSQ6C2EXAMPLE"));
        assert_eq!(beside(&by, &lesser), Beside::Join);
        let weaker = ["overprivileged-user", "unused-user", "unauthorized-user", "missing-mfa", "planted-key"];
        assert_eq!(yielding(&graver), weaker);
        assert_eq!(yielding(&lesser), Vec::<&str>::new());
    }

    #[test]
    fn a_place_is_the_holders_where_it_takes_one_in_the_same_hour_for_the_same_threat() {
        let finding = finding(Threat::CompromisedCredential);
        let by = |threat| held(Some(Holder::Response(threat)), None);
        let same = by(Threat::CompromisedCredential);
        assert!(is_place_of(&same, &finding, false, 3_599_999));
        assert!(!is_place_of(&same, &finding, true, 3_599_999) && !is_place_of(&same, &finding, false, 3_600_000));
        assert!(!is_place_of(&Held { takes_place: false, ..same }, &finding, false, 3_599_999));
        for other in [by(Threat::UnauthorizedUser), held(Some(Holder::Restore), None), held(None, None)] {
            assert!(!is_place_of(&other, &finding, false, 3_599_999), "{other:?}");
        }
    }

    #[test]
    fn a_restore_gives_way_to_what_happened_since_it_began() {
        let restore = held(Some(Holder::Restore), Some("AIDACKCEVSQ6C2EXAMPLE"));
        let seen = |threat, at: i64| {
            let mut finding = finding(threat);
            finding.occurred_at = Some(DateTime::from_millis(at));
            (beside(&restore, &finding), restore_yields_until(&finding) > restore.since)
        };
        assert_eq!(seen(Threat::CompromisedCredential, 1_000_001), (Beside::Strike, true));
        assert_eq!(seen(Threat::CompromisedCredential, 1_000_000), (Beside::After, false));
        assert_eq!(seen(Threat::UnusedUser, 1_000_001), (Beside::After, false));
        let mut command = finding(Threat::CompromisedCredential);
        (command.source, command.occurred_at) = (Source::Command, None);
        assert_eq!(beside(&restore, &command), Beside::Strike);
    }

    #[test]
    fn only_a_stolen_credential_is_admitted_unread_and_always_told_and_root_comes_first_beside_it() {
        for threat in Threat::ALL {
            let is_stolen = threat == Threat::CompromisedCredential;
            assert_eq!((is_admitted_unread(threat), is_always_told(threat)), (is_stolen, is_stolen), "{threat:?}");
            assert_eq!(comes_first(threat), is_stolen || threat == Threat::RootAccessKey, "{threat:?}");
        }
    }

    #[test]
    fn what_was_put_off_says_by_which_limits_and_what_goes_through() {
        let (limits, threat) = ((20, 100), Threat::UnusedUser);
        for why in [NoPlace::Full, NoPlace::Unread] {
            let all = [true, false].map(|is_listed| deferred(limits, threat, why, is_listed));
            for words in all.iter().chain([&not_struck(limits, threat, why)]) {
                let says_limits =
                    words.contains("more than 20 principals of the account or 100 in all for unused-user");
                assert_eq!(says_limits, why == NoPlace::Full, "{words}");
                assert!(words.contains("`contain` goes through at once"), "{words}");
            }
            assert_eq!(all.map(|it| it.contains("it is taken up when there is room again")), [true, false]);
        }
    }

    #[test]
    fn a_place_in_the_order_has_bounds() {
        let finding = finding(Threat::UnusedUser);
        assert_eq!(order(&finding, SLOT), order(&finding, SLOT - 1));
        assert_eq!(since(order(&finding, SLOT)), SLOT - 1);
        assert_eq!(order(&finding, -1), order(&finding, 0));
        let beyond = Finding { severity: Severity(99.0), ..finding.clone() };
        assert_eq!(order(&beyond, 0), order(&Finding { severity: Severity(10.0), ..finding }, 0));
    }

    #[test]
    fn a_holder_is_read_as_it_was_written() {
        for holder in Threat::ALL.map(Holder::Response).into_iter().chain([Holder::Restore]) {
            assert_eq!(Holder::parse(holder.word()), Some(holder));
        }
        assert_eq!((Holder::Restore.word(), Holder::parse("nobody")), ("restore", None));
    }

    #[test]
    fn a_restore_gives_way_to_what_a_person_asks_whatever_the_time_of_what_it_is_about() {
        for threat in [Threat::CompromisedCredential, Threat::UnusedUser] {
            let asked =
                Finding { source: Source::Command, occurred_at: Some(DateTime::from_secs(1)), ..finding(threat) };
            assert_eq!(restore_yields_until(&asked), i64::MAX, "{threat:?}");
        }
    }

    #[test]
    fn of_what_has_no_time_nobody_knows_that_it_was_before_the_restore() {
        let at = |threat| restore_yields_until(&Finding { occurred_at: None, ..finding(threat) });
        assert_eq!((at(Threat::CompromisedCredential), at(Threat::UnusedUser)), (i64::MAX, 0));
    }
}
