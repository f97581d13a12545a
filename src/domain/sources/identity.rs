//! Whom a set of fields names. GuardDuty, attack sequences and both Security Hubs describe the
//! holder of a credential by the same four things: type, name, principal ID, access key.

use super::DecodeError;
use super::node::Node;
use crate::finding::Principal;
use crate::ids::{AccessKeyId, AccountId, Invalid, Parse, PrincipalName, UniqueId};

/// The four fields, where the event has them.
pub(super) struct Claim<'a> {
    pub(super) kind: Node<'a>,
    pub(super) name: Node<'a>,
    pub(super) principal_id: Node<'a>,
    pub(super) access_key: Option<AccessKeyId>,
}

enum PrincipalId<'a> {
    Unique {
        id: UniqueId,
        session: Option<String>,
    },
    Account,
    /// `ACCOUNT:name`: a session from GetFederationToken, under a name its caller chose.
    Federated {
        name: &'a str,
    },
}

/// The types of CloudTrail's `userIdentity` element decide; where the type is absent, the prefix
/// of the principal ID does.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>
pub(super) fn principal(claim: &Claim) -> Result<Principal, DecodeError> {
    let kind = claim.kind.optional()?;
    let id = principal_id(&claim.principal_id)?;
    let is_root_name = claim.name.text().is_some_and(|it| it.eq_ignore_ascii_case("root"));
    match (kind, id) {
        (Some("Root"), Some(PrincipalId::Account) | None) => Ok(Principal::Root),
        (None, Some(PrincipalId::Account)) if is_root_name || !claim.name.is_present() => Ok(Principal::Root),
        (Some("IAMUser"), None) => user(claim, None),
        (None, None) if claim.name.is_present() && long_term_key(claim) => user(claim, None),
        (Some("IAMUser") | None, Some(PrincipalId::Unique { id, session: None })) if id.is_user() => {
            user(claim, Some(id))
        }
        (Some("AssumedRole" | "Role"), None) => role(claim, None, None),
        (Some("AssumedRole" | "Role") | None, Some(PrincipalId::Unique { id, session })) if !id.is_user() => {
            role(claim, Some(id), session)
        }
        (Some("FederatedUser"), Some(PrincipalId::Federated { name })) => federated(claim, name),
        (None, None) if long_term_key(claim) => Ok(Principal::KeyOwner),
        (None, None) if claim.access_key.is_some() => Ok(Principal::NotContainable {
            reason: "the finding names a temporary access key and not whose it is".to_owned(),
        }),
        (None, None) => Err(claim.principal_id.malformed("the principal, by its ID, its name or an access key")),
        (Some("Root" | "IAMUser" | "AssumedRole" | "Role" | "FederatedUser") | None, _) => {
            Ok(contradiction("the type of the principal and its ID don't go together"))
        }
        (Some(other), _) => Ok(Principal::NotContainable {
            reason: format!(
                "IAM has no user or role to contain for a principal of the type `{}`",
                crate::text::line(other, 40)
            ),
        }),
    }
}

fn user(claim: &Claim, id: Option<UniqueId>) -> Result<Principal, DecodeError> {
    let (name, id_in_name) = name_or_id(&claim.name)?;
    match (id, id_in_name) {
        (Some(a), Some(b)) if a != b => Ok(contradiction("it gives two different unique IDs")),
        (a, b) => match a.or(b) {
            Some(id) if !id.is_user() => Ok(contradiction("it calls a role's unique ID a user")),
            None if name.is_none() => Err(claim.name.malformed(PrincipalName::EXPECTED)),
            id => Ok(Principal::User { name, id }),
        },
    }
}

fn role(claim: &Claim, id: Option<UniqueId>, session: Option<String>) -> Result<Principal, DecodeError> {
    if long_term_key(claim) {
        return Ok(contradiction("it gives a role a long-term access key, which only users have"));
    }
    let name = claim.name.parse::<PrincipalName>()?;
    if name.is_none() && id.is_none() {
        return Err(claim.name.malformed(PrincipalName::EXPECTED));
    }
    Ok(Principal::Role { name, id, session })
}

/// The user who called GetFederationToken is whom to contain; the federated name is only what that
/// user called the session.
fn federated(claim: &Claim, session_name: &str) -> Result<Principal, DecodeError> {
    let (name, id) = name_or_id(&claim.name)?;
    match name {
        Some(name) if name.as_str() != session_name => Ok(Principal::User { name: Some(name), id: None }),
        None if id.is_some() => Ok(Principal::User { name: None, id }),
        _ => Ok(Principal::NotContainable {
            reason: "the finding names a federated session and not the user who issued it".to_owned(),
        }),
    }
}

/// Some findings have the unique ID where the name belongs.
pub(super) fn name_or_id(node: &Node) -> Result<(Option<PrincipalName>, Option<UniqueId>), DecodeError> {
    match node.optional()? {
        Some(text) => text_name_or_id(text).map_err(|it| node.malformed(it.expected)),
        None => Ok((None, None)),
    }
}

pub(super) fn text_name_or_id(text: &str) -> Result<(Option<PrincipalName>, Option<UniqueId>), Invalid> {
    match UniqueId::parse(text) {
        Ok(id) => Ok((None, Some(id))),
        Err(_) => Ok((Some(PrincipalName::parse(text)?), None)),
    }
}

fn principal_id<'a>(node: &Node<'a>) -> Result<Option<PrincipalId<'a>>, DecodeError> {
    let Some(text) = node.optional()? else { return Ok(None) };
    let (head, session) = match text.split_once(':') {
        Some((head, session)) => (head, Some(session)),
        None => (text, None),
    };
    match (AccountId::parse(head), session) {
        (Ok(_), None) => return Ok(Some(PrincipalId::Account)),
        (Ok(_), Some(name)) => return Ok(Some(PrincipalId::Federated { name })),
        (Err(_), _) => {}
    }
    let id = UniqueId::parse(head).map_err(|_| node.malformed("an IAM principal ID"))?;
    Ok(Some(PrincipalId::Unique { id, session: session.map(str::to_owned) }))
}

fn long_term_key(claim: &Claim) -> bool {
    claim.access_key.as_ref().is_some_and(AccessKeyId::is_long_term)
}

pub(super) fn contradiction(what: &str) -> Principal {
    Principal::NotContainable { reason: format!("the finding contradicts itself: {what}") }
}

/// Two descriptions of the same principal, or the contradiction between them.
pub(super) fn merge(a: Principal, b: Principal) -> Principal {
    use Principal::{KeyOwner, Role, User};
    fn one<T: PartialEq>(a: Option<T>, b: Option<T>) -> Result<Option<T>, ()> {
        match (a, b) {
            (Some(a), Some(b)) if a != b => Err(()),
            (a, b) => Ok(a.or(b)),
        }
    }
    let merged = match (a, b) {
        (User { name: a, id: x }, User { name: b, id: y }) => {
            one(a, b).and_then(|name| Ok(User { name, id: one(x, y)? }))
        }
        (Role { name: a, id: x, session: s }, Role { name: b, id: y, session: t }) => {
            one(a, b).and_then(|name| Ok(Role { name, id: one(x, y)?, session: one(s, t)? }))
        }
        (KeyOwner, known @ User { .. }) | (known @ User { .. }, KeyOwner) => Ok(known),
        (a, b) if a == b => Ok(a),
        _ => Err(()),
    };
    merged.unwrap_or_else(|()| contradiction("it names two different identities"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn check(value: Value) -> Result<Principal, DecodeError> {
        let node = Node::root(&value);
        let access_key = node.get("accessKeyId").parse()?;
        principal(&Claim {
            kind: node.get("userType"),
            name: node.get("userName"),
            principal_id: node.get("principalId"),
            access_key,
        })
    }

    fn reason(value: Value) -> String {
        match check(value).unwrap() {
            Principal::NotContainable { reason } => reason,
            other => panic!("{other:?} should not be containable"),
        }
    }

    #[test]
    fn users_roles_and_root_are_told_apart() {
        let user =
            check(json!({"userType": "IAMUser", "userName": "alice", "principalId": "AIDACKCEVSQ6C2EXAMPLE"})).unwrap();
        assert_eq!(user.target_key(), "user/alice");
        let role = check(json!({"userType": "AssumedRole", "userName": "app", "principalId": "AROADBQP57FF2AEXAMPLE:i-0abc", "accessKeyId": "ASIAIOSFODNN7EXAMPLE"})).unwrap();
        assert!(matches!(role, Principal::Role { session: Some(session), .. } if session == "i-0abc"));
        assert_eq!(
            check(json!({"userType": "Root", "userName": "Root", "principalId": "111122223333"})).unwrap(),
            Principal::Root
        );
        assert_eq!(check(json!({"accessKeyId": "AKIAIOSFODNN7EXAMPLE"})).unwrap(), Principal::KeyOwner);
    }

    #[test]
    fn a_federated_session_leads_to_its_issuer_or_to_nobody() {
        let issuer =
            check(json!({"userType": "FederatedUser", "userName": "alice", "principalId": "111122223333:deploy"}))
                .unwrap();
        assert_eq!(issuer.target_key(), "user/alice");
        assert!(
            reason(json!({"userType": "FederatedUser", "userName": "deploy", "principalId": "111122223333:deploy"}))
                .contains("issued")
        );
    }

    #[test]
    fn contradictions_are_refused() {
        for it in [
            json!({"userType": "IAMUser", "userName": "alice", "principalId": "AROADBQP57FF2AEXAMPLE:x"}),
            json!({"userType": "AssumedRole", "userName": "app", "principalId": "AIDACKCEVSQ6C2EXAMPLE"}),
            json!({"userType": "AssumedRole", "userName": "app", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"}),
            json!({"userType": "IAMUser", "userName": "Root", "principalId": "111122223333"}),
            json!({"userType": "IAMUser", "userName": "AIDAAAAAAAAAAAAAAAAAA", "principalId": "AIDACKCEVSQ6C2EXAMPLE"}),
        ] {
            assert!(reason(it.clone()).contains("contradict"), "{it}");
        }
    }

    #[test]
    fn other_principals_need_a_person() {
        assert!(reason(json!({"userType": "IdentityCenterUser", "userName": "x"})).contains("IdentityCenterUser"));
        assert!(reason(json!({"accessKeyId": "ASIAIOSFODNN7EXAMPLE"})).contains("temporary"));
    }

    #[test]
    fn nothing_is_not_a_principal() {
        assert_eq!(check(json!({})).unwrap_err().path, "principalId");
        assert_eq!(check(json!({"userType": "IAMUser", "userName": "../x"})).unwrap_err().path, "userName");
    }
}
