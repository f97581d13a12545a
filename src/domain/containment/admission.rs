//! Whether a response may begin now: the circuit breaker's rules. The ledger counts.

use crate::finding::Source;

/// A person's word goes through, and so does a drill, which is no containment to be counted.
pub fn is_by_person(source: Source) -> bool {
    matches!(source, Source::Command | Source::SecurityHubCustomAction | Source::Drill)
}

/// Whether the breaker counts it. `is_known`: the principal was responded to before, so that it is no
/// new one.
pub fn is_counted(source: Source, is_known: bool) -> bool {
    !is_by_person(source) && !is_known
}

/// What a deferred response says: `account` and `all` are the limits of the hour.
pub fn deferred((account, all): (u32, u32)) -> String {
    format!("more than {account} principals of the account or {all} in all this hour: `contain` goes through")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_never_held_up_and_nobody_is_counted_twice() {
        for source in [Source::Command, Source::SecurityHubCustomAction, Source::Drill] {
            assert!(!is_counted(source, false));
        }
        assert!(is_counted(Source::GuardDuty, false));
        assert!(!is_counted(Source::GuardDuty, true));
    }
}
