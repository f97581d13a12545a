//! When the behaviour was seen. Of an identity that is known by name alone, this is what tells it from one that
//! got the name later: there, a time that can't be read is no smaller matter than a name that can't.

use aws_smithy_types::DateTime;

use super::DecodeError;
use super::node::Node;
use crate::finding::Principal;
use crate::ids::AccessKeyId;

/// The first of the places where a time is said. Whoever has a unique ID or a long-term key needs none, so that
/// one that can't be read is passed over there.
pub(super) fn seen<const N: usize>(
    principal: &Principal,
    key: Option<&AccessKeyId>,
    places: [Node; N],
) -> Result<Option<DateTime>, DecodeError> {
    let is_needed = is_by_name_alone(principal, key);
    for place in places.iter().filter(|it| it.is_said() && !it.is_empty_text()) {
        match place.time() {
            Some(time) => return Ok(Some(time)),
            None if is_needed => return Err(place.malformed("a time")),
            None => {}
        }
    }
    match places.first() {
        Some(first) if is_needed => Err(first.malformed("a time")),
        _ => Ok(None),
    }
}

fn is_by_name_alone(principal: &Principal, key: Option<&AccessKeyId>) -> bool {
    match principal {
        Principal::User { id: None, .. } | Principal::UserOrRole { .. } => !key.is_some_and(AccessKeyId::is_long_term),
        Principal::Role { id: None, .. } => true,
        Principal::User { .. }
        | Principal::Role { .. }
        | Principal::KeyOwner
        | Principal::Root
        | Principal::NotContainable { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::parsed;

    fn check(principal: &Principal, key: Option<&str>, event: &Value) -> Result<Option<i64>, String> {
        let (node, key) = (Node::root(event), key.map(parsed));
        let seen = seen(principal, key.as_ref(), [node.at("service.last"), node.get("updated")]);
        seen.map(|it| it.map(|it| it.secs())).map_err(|it| it.path)
    }

    #[test]
    fn a_name_alone_needs_a_time_and_what_proves_more_does_not() {
        let by_name = Principal::User { name: Some(parsed("alice")), id: None };
        let by_id = Principal::User { name: None, id: Some(parsed("AIDACKCEVSQ6C2EXAMPLE")) };
        let readable = json!({"service": {"last": "2026-11-20T09:12:48Z"}, "updated": "no time"});
        let later = json!({"service": {}, "updated": "2026-11-20T09:12:48Z"});
        for it in [&readable, &later] {
            assert_eq!(check(&by_name, None, it), Ok(Some(1_795_165_968)));
        }
        let damaged = json!({"service": {"last": "20 November"}, "updated": "2026-11-20T09:12:48Z"});
        let lost = json!({"service": 7, "updated": "2026-11-20T09:12:48Z"});
        for it in [&damaged, &lost] {
            assert_eq!(check(&by_name, None, it), Err("service.last".to_owned()));
            assert_eq!(check(&by_name, Some("AKIAIOSFODNN7EXAMPLE"), it), Ok(Some(1_795_165_968)));
            assert_eq!(check(&by_id, Some("ASIAIOSFODNN7EXAMPLE"), it), Ok(Some(1_795_165_968)));
        }
        assert!(check(&by_name, Some("ASIAIOSFODNN7EXAMPLE"), &json!({})).is_err());
        assert_eq!(check(&by_id, None, &json!({})), Ok(None));
        assert_eq!(check(&Principal::KeyOwner, Some("AKIAIOSFODNN7EXAMPLE"), &json!({})), Ok(None));
    }
}
