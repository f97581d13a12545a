//! The snapshot: the state before a response, from reads that the strike may have overtaken.

use crate::change::{OUR_TAGS, REVOCATION_POLICY};
use crate::identity::Observed;

/// The state as it was before the strike: from the reads before it, and from those beside it only
/// what the strike does not change.
pub fn before_strike(known: Observed, beside: Observed, deny_all: &str) -> Observed {
    let without = |ours: &str, it: Vec<String>| it.into_iter().filter(|name| name != ours).collect();
    let attached = known.attached.or_else(|_| beside.attached.map(|it| without(deny_all, it)));
    let was_revoked = matches!(known.revoked_before, Ok(Some(_)));
    let inline = beside.inline.map(|it| if was_revoked { it } else { without(REVOCATION_POLICY, it) });
    Observed { attached, inline, keys: known.keys.or(beside.keys), profile: known.profile.or(beside.profile), ..beside }
}

/// What an earlier try put in place is no part of the snapshot.
pub fn without_ours(before: &mut Observed, deny_all: &str) {
    for names in [&mut before.attached, &mut before.inline].into_iter().flatten() {
        names.retain(|it| it != deny_all && it != REVOCATION_POLICY);
    }
    if let Ok(profile) = &mut before.profile {
        profile.boundary.take_if(|it| it == deny_all);
        profile.tags.retain(|(key, _)| !OUR_TAGS.contains(&key.as_str()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::observed;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";

    #[test]
    fn what_the_strike_did_is_no_part_of_it() {
        let mut beside = observed();
        beside.inline.as_mut().unwrap().push(REVOCATION_POLICY.to_owned());
        beside.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let known = Observed { revoked_before: Ok(None), ..Observed::nothing_read() };
        let before = before_strike(known, beside.clone(), DENY_ALL);
        assert_eq!((before.inline, before.attached), (observed().inline, observed().attached));
        let known =
            Observed { revoked_before: Ok(Some(aws_smithy_types::DateTime::from_secs(0))), ..Observed::nothing_read() };
        assert_eq!(before_strike(known, beside.clone(), DENY_ALL).inline, beside.inline);
    }

    #[test]
    fn nor_is_what_an_earlier_try_did() {
        let mut before = observed();
        before.attached.as_mut().unwrap().push(DENY_ALL.to_owned());
        let profile = before.profile.as_mut().unwrap();
        profile.boundary = Some(DENY_ALL.to_owned());
        profile.tags = vec![("SecurityIncident".to_owned(), String::new()), ("team".to_owned(), String::new())];
        without_ours(&mut before, DENY_ALL);
        assert_eq!(before.attached, observed().attached);
        let profile = before.profile.unwrap();
        assert_eq!((profile.boundary, profile.tags.len()), (None, 1));
    }
}
