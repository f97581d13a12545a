//! Whom a set of fields names. GuardDuty, attack sequences and both Security Hubs describe the
//! holder of a credential by the same four things: type, name, principal ID, access key.

use serde_json::Value;

use super::DecodeError;
use super::node::Node;
use crate::finding::Principal;
use crate::ids::{AccessKeyId, AccountId, Arn, Invalid, Parse, PrincipalName, UniqueId};

/// The four fields, where the event has them, and who issued the session.
pub(super) struct Claim<'a> {
    pub(super) kind: Node<'a>,
    pub(super) name: Node<'a>,
    pub(super) principal_id: Node<'a>,
    pub(super) access_key: Key<'a>,
    /// Read only where it decides: one that can't be read spoils nothing that does not need it.
    pub(super) issuer: Issuer<'a>,
}

/// Whom the fields name, and the key where one is known.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Named {
    pub(super) principal: Principal,
    pub(super) access_key: Option<AccessKeyId>,
}

/// What is said of the access key.
pub(super) enum Key<'a> {
    Absent,
    Known(AccessKeyId),
    /// Where it stands, and what it says if it is text.
    Unreadable(Node<'a>, &'a str),
}

impl<'a> Key<'a> {
    pub(super) fn of(node: &Node<'a>) -> Self {
        match node.parse() {
            Ok(None) => Self::Absent,
            Ok(Some(key)) => Self::Known(key),
            Err(_) => Self::Unreadable(node.clone(), node.text().unwrap_or_default()),
        }
    }

    /// A key that is a part of the text at the node.
    pub(super) fn of_text(node: &Node<'a>, text: &'a str) -> Self {
        match AccessKeyId::parse(text) {
            Ok(key) => Self::Known(key),
            Err(_) => Self::Unreadable(node.clone(), text),
        }
    }

    /// Only users and root have one. Also of a key that was cut off.
    fn is_long_term(&self) -> bool {
        match self {
            Self::Absent => false,
            Self::Known(key) => key.is_long_term(),
            Self::Unreadable(_, text) => text.starts_with("AKIA"),
        }
    }
}

enum PrincipalId<'a> {
    Unique {
        id: UniqueId,
        session: Option<String>,
    },
    Account(AccountId),
    /// `ACCOUNT:name`: a session from GetFederationToken, under a name its caller chose.
    Federated {
        account: AccountId,
        name: &'a str,
    },
}

impl PrincipalId<'_> {
    /// Whether it is of another account than the claim is about.
    fn is_of_another(&self, owner: &AccountId) -> bool {
        match self {
            Self::Unique { .. } => false,
            Self::Account(account) | Self::Federated { account, .. } => account != owner,
        }
    }
}

const SESSIONS_BY_OTHERS: &[&str] = &["FederatedUser", "SAMLUser", "WebIdentityUser"];

/// Whom the claim names. A key that can't be read spoils only a claim that needs it: what has a unique
/// ID, or is a role, is found without; a user known by name alone is told from a namesake by its key.
pub(super) fn named(claim: &Claim) -> Result<Named, DecodeError> {
    let key = &claim.access_key;
    let principal = principal(claim, key)?;
    let needs_key = match &principal {
        Principal::User { id, .. } => id.is_none(),
        Principal::UserOrRole { .. } | Principal::KeyOwner => true,
        Principal::Role { .. } | Principal::Root | Principal::NotContainable { .. } => false,
    };
    match key {
        Key::Unreadable(node, _) if needs_key => Err(node.malformed(AccessKeyId::EXPECTED)),
        Key::Known(key) => Ok(Named { principal, access_key: Some(key.clone()) }),
        Key::Absent | Key::Unreadable(..) => Ok(Named { principal, access_key: None }),
    }
}

/// The types of CloudTrail's `userIdentity` element decide; where the type is absent, the prefix
/// of the principal ID does.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/cloudtrail-event-reference-user-identity.html>
fn principal(claim: &Claim, key: &Key) -> Result<Principal, DecodeError> {
    let kind = claim.kind.optional()?;
    if let Some(kind) = kind.filter(|it| SESSIONS_BY_OTHERS.contains(it)) {
        return by_issuer(claim, kind);
    }
    if let Some(other) = kind.filter(|it| !matches!(*it, "Root" | "IAMUser" | "AssumedRole" | "Role")) {
        return Ok(nobody(&format!(
            "IAM has no user or role to contain for a principal of the type `{}`",
            crate::text::line(other, 40)
        )));
    }
    let id = principal_id(&claim.principal_id)?;
    if id.as_ref().is_some_and(|it| it.is_of_another(&claim.issuer.owner)) {
        return Ok(of_another_account());
    }
    let is_root_name = claim.name.text().is_some_and(|it| it.eq_ignore_ascii_case("root"));
    match (kind, id) {
        (Some("Root"), Some(PrincipalId::Account(_)) | None) => Ok(Principal::Root),
        (None, Some(PrincipalId::Account(_))) if is_root_name || !claim.name.is_present() => Ok(Principal::Root),
        (Some("IAMUser"), None) => user(claim, None),
        (None, None) if claim.name.is_present() && key.is_long_term() => user(claim, None),
        // Also `root`: whoever makes a user may call it so. IAM tells whether somebody bears the name.
        (None, None) if claim.name.is_present() => user_or_role(claim),
        (Some("IAMUser") | None, Some(PrincipalId::Unique { id, session: None })) if id.is_user() => {
            user(claim, Some(id))
        }
        (Some("AssumedRole" | "Role"), None) => role(claim, key, None, None),
        (Some("AssumedRole" | "Role") | None, Some(PrincipalId::Unique { id, session })) if !id.is_user() => {
            role(claim, key, Some(id), session)
        }
        (None, Some(PrincipalId::Federated { .. })) => by_issuer(claim, "FederatedUser"),
        (None, None) => match key {
            Key::Known(key) if key.is_long_term() => Ok(Principal::KeyOwner),
            Key::Known(_) => match claim.issuer.read()? {
                Some(issuer) => Ok(issuer),
                None => Ok(nobody("the finding names a temporary access key and not whose it is")),
            },
            Key::Unreadable(node, _) => Err(node.malformed(AccessKeyId::EXPECTED)),
            Key::Absent => Err(claim.principal_id.malformed("the principal, by its ID, its name or an access key")),
        },
        _ => Ok(contradiction("the type of the principal and its ID don't go together")),
    }
}

/// A name on a temporary key or a console session: who issued it says whose it is; else IAM does.
fn user_or_role(claim: &Claim) -> Result<Principal, DecodeError> {
    let (name, id) = name_or_id(&claim.name)?;
    let own = match (name, id) {
        (_, Some(id)) if id.is_user() => return Ok(Principal::User { name: None, id: Some(id) }),
        (_, Some(id)) => return Ok(Principal::Role { name: None, id: Some(id), session: None }),
        (Some(name), None) => name,
        (None, None) => return Err(claim.name.malformed(PrincipalName::EXPECTED)),
    };
    match claim.issuer.read()? {
        None => Ok(Principal::UserOrRole { name: own }),
        Some(Principal::Role { name, id, session }) => Ok(merge(
            Principal::Role { name, id, session },
            Principal::Role { name: Some(own), id: None, session: None },
        )),
        Some(Principal::User { name, id }) => {
            Ok(merge(Principal::User { name, id }, Principal::User { name: Some(own), id: None }))
        }
        Some(other) => Ok(other),
    }
}

fn user(claim: &Claim, id: Option<UniqueId>) -> Result<Principal, DecodeError> {
    let (name, id_in_name) = match (name_or_id(&claim.name), &id) {
        (Ok(it), _) => it,
        // The ID is enough, and stronger.
        (Err(_), Some(_)) => (None, None),
        (Err(error), None) => return Err(error),
    };
    match (id, id_in_name) {
        (Some(a), Some(b)) if a != b => Ok(contradiction("it gives two different unique IDs")),
        (a, b) => match a.or(b) {
            Some(id) if !id.is_user() => Ok(contradiction("it calls a role's unique ID a user")),
            None if name.is_none() => Err(claim.name.malformed(PrincipalName::EXPECTED)),
            id => Ok(Principal::User { name, id }),
        },
    }
}

fn role(claim: &Claim, key: &Key, id: Option<UniqueId>, session: Option<String>) -> Result<Principal, DecodeError> {
    if key.is_long_term() {
        return Ok(contradiction("it gives a role a long-term access key, which only users have"));
    }
    let name = match (claim.name.parse::<PrincipalName>(), &id) {
        (Ok(name), _) => name,
        // The ID is enough, and stronger.
        (Err(_), Some(_)) => None,
        (Err(error), None) => return Err(error),
    };
    let own = Principal::Role { name, id, session };
    match claim.issuer.read() {
        Ok(Some(issuer @ Principal::Role { .. })) => Ok(merge(own, issuer)),
        Ok(Some(Principal::NotContainable { reason })) => Ok(Principal::NotContainable { reason }),
        Ok(Some(_)) => Ok(contradiction("a role's session was issued by another than a role")),
        Ok(None) | Err(_) if matches!(&own, Principal::Role { name: None, id: None, .. }) => {
            Err(claim.name.malformed(PrincipalName::EXPECTED))
        }
        Ok(None) | Err(_) => Ok(own),
    }
}

/// A session under a name that its caller chose is contained at whoever issued it: the user who called
/// GetFederationToken, the role that an identity provider's person took.
fn by_issuer(claim: &Claim, kind: &str) -> Result<Principal, DecodeError> {
    let issuer = claim.issuer.read()?;
    if kind != "FederatedUser" {
        let unnamed = "the finding names a federated session and not the role that issued it";
        return Ok(issuer.unwrap_or_else(|| nobody(unnamed)));
    }
    let id = principal_id(&claim.principal_id)?;
    if id.as_ref().is_some_and(|it| it.is_of_another(&claim.issuer.owner)) {
        return Ok(of_another_account());
    }
    let session_name = match id {
        Some(PrincipalId::Federated { name, .. }) => name,
        None if issuer.is_some() => "",
        _ => return Ok(contradiction("the type of the principal and its ID don't go together")),
    };
    let (name, id) = name_or_id(&claim.name)?;
    let named = match name {
        Some(name) if !may_be_cut_from(session_name, name.as_str()) => {
            Some(Principal::User { name: Some(name), id: None })
        }
        None if id.is_some() => Some(Principal::User { name: None, id }),
        _ => None,
    };
    match (named, issuer) {
        (Some(named), Some(issuer @ Principal::User { .. })) => Ok(merge(named, issuer)),
        (_, Some(issuer)) => Ok(issuer),
        (Some(named), None) => Ok(named),
        (None, None) => Ok(nobody("the finding names a federated session and not the user who issued it")),
    }
}

/// Whether one may be the other with an end cut off. The name beside a federated session is its issuer's only
/// when it is surely not the session's own, which its caller chose.
fn may_be_cut_from(session_name: &str, name: &str) -> bool {
    let (a, b) = (session_name.to_ascii_lowercase(), name.to_ascii_lowercase());
    a.starts_with(&b) || b.starts_with(&a)
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
        (Ok(account), None) => return Ok(Some(PrincipalId::Account(account))),
        // https://docs.aws.amazon.com/STS/latest/APIReference/API_GetFederationToken.html
        (Ok(account), Some(name)) if name.len() >= 2 && PrincipalName::parse(name).is_ok() => {
            return Ok(Some(PrincipalId::Federated { account, name }));
        }
        (Ok(_), Some(_)) => return Err(node.malformed("an account ID and the name of a federated session")),
        (Err(_), _) => {}
    }
    let id = UniqueId::parse(head).map_err(|_| node.malformed("an IAM principal ID"))?;
    Ok(Some(PrincipalId::Unique { id, session: session.map(str::to_owned) }))
}

/// Who issued a session: CloudTrail's `sessionIssuer`, whole or its ARN alone.
/// <https://docs.aws.amazon.com/guardduty/latest/APIReference/API_Session.html>
pub(super) struct Issuer<'a> {
    pub(super) node: Node<'a>,
    /// Whose account it must be of.
    pub(super) owner: AccountId,
}

impl Issuer<'_> {
    fn read(&self) -> Result<Option<Principal>, DecodeError> {
        match self.node.value() {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => Ok(None),
            Some(Value::String(text)) => self.of_arn(&self.node, text).map(Some),
            Some(Value::Object(_)) => self.of_fields(),
            Some(_) => Err(self.node.malformed("who issued the session")),
        }
    }

    fn of_fields(&self) -> Result<Option<Principal>, DecodeError> {
        let (kind, arn) = (self.node.get("type"), self.node.get("arn"));
        let by_arn = arn.optional()?.map(|it| self.of_arn(&arn, it)).transpose()?;
        let name = || self.node.get("userName").parse::<PrincipalName>();
        let id = self.node.get("principalId").parse::<UniqueId>();
        let by_type = match kind.optional()? {
            Some("Root") => return Ok(Some(Principal::Root)),
            Some("Role") => Some(Principal::Role { name: name()?, id: id?, session: None }),
            Some("User" | "IAMUser") => Some(Principal::User { name: name()?, id: id? }),
            Some(_) => return Err(kind.malformed("`IAMUser`, `Role` or `Root`")),
            None => match id? {
                Some(id) if id.is_user() => Some(Principal::User { name: name()?, id: Some(id) }),
                Some(id) => Some(Principal::Role { name: name()?, id: Some(id), session: None }),
                None => None,
            },
        };
        let by_type = by_type.filter(|it| {
            !matches!(it, Principal::User { name: None, id: None } | Principal::Role { name: None, id: None, .. })
        });
        let of_another = self.node.get("accountId").parse::<AccountId>()?.is_some_and(|it| it != self.owner);
        Ok(match (by_arn, by_type) {
            _ if of_another => Some(contradiction("the session was issued in another account")),
            (Some(a), Some(b)) => Some(merge(a, b)),
            (a, b) => a.or(b),
        })
    }

    fn of_arn(&self, node: &Node, text: &str) -> Result<Principal, DecodeError> {
        let malformed = || node.malformed("the ARN of whoever issued the session");
        let arn = Arn::parse(text).filter(|it| it.service == "iam").ok_or_else(malformed)?;
        if AccountId::parse(arn.account).map_err(|_| malformed())? != self.owner {
            return Ok(contradiction("the session was issued in another account"));
        }
        if arn.resource == "root" {
            return Ok(Principal::Root);
        }
        let (kind, name) = arn.kind_and_name().ok_or_else(malformed)?;
        let (name, id) = text_name_or_id(name).map_err(|_| malformed())?;
        match kind {
            "user" => Ok(Principal::User { name, id }),
            "role" => Ok(Principal::Role { name, id, session: None }),
            _ => Err(malformed()),
        }
    }
}

fn nobody(reason: &str) -> Principal {
    Principal::NotContainable { reason: reason.to_owned() }
}

fn of_another_account() -> Principal {
    contradiction("its principal ID is of another account")
}

pub(super) fn contradiction(what: &str) -> Principal {
    Principal::NotContainable { reason: format!("the finding contradicts itself: {what}") }
}

/// Two descriptions of the same principal, or the contradiction between them.
pub(super) fn merge(a: Principal, b: Principal) -> Principal {
    use Principal::{KeyOwner, Role, User, UserOrRole};
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
        (KeyOwner, UserOrRole { name: a }) | (UserOrRole { name: a }, KeyOwner) => Ok(User { name: Some(a), id: None }),
        (UserOrRole { name: a }, User { name: b, id }) | (User { name: b, id }, UserOrRole { name: a }) => {
            one(Some(a), b).map(|name| User { name, id })
        }
        (UserOrRole { name: a }, Role { name: b, id, session })
        | (Role { name: b, id, session }, UserOrRole { name: a }) => {
            one(Some(a), b).map(|name| Role { name, id, session })
        }
        (a, b) if a == b => Ok(a),
        _ => Err(()),
    };
    merged.unwrap_or_else(|()| contradiction("it names two different identities"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn check(value: Value) -> Result<Principal, DecodeError> {
        let node = Node::root(&value);
        let claim = Claim {
            kind: node.get("userType"),
            name: node.get("userName"),
            principal_id: node.get("principalId"),
            access_key: Key::of(&node.get("accessKeyId")),
            issuer: Issuer { node: node.get("sessionIssuer"), owner: AccountId::parse("111122223333").unwrap() },
        };
        named(&claim).map(|it| it.principal)
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

    /// The session's name is its caller's choice: what may be it, cut off at an end, is nobody's name.
    #[test]
    fn a_damaged_id_makes_no_user_of_a_federated_sessions_name() {
        let session = |id: &str| check(json!({"userType": "FederatedUser", "userName": "ceo", "principalId": id}));
        for empty in ["111122223333:", "111122223333:c", "111122223333:a b"] {
            assert_eq!(session(empty).unwrap_err().path, "principalId", "{empty}");
        }
        for cut in ["111122223333:ce", "111122223333:ceo", "111122223333:CEO-laptop"] {
            assert!(matches!(session(cut).unwrap(), Principal::NotContainable { .. }), "{cut}");
        }
        assert_eq!(session("111122223333:nightly").unwrap().target_key(), "user/ceo");
        assert!(matches!(session("444455556666:nightly").unwrap(), Principal::NotContainable { .. }));
        for root in [json!("Root"), json!(null)] {
            assert!(reason(json!({"userType": root, "principalId": "444455556666"})).contains("another account"));
        }
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
    fn a_name_without_a_type_is_looked_up_as_both() {
        for key in [json!("ASIAIOSFODNN7EXAMPLE"), json!(null)] {
            let it = check(json!({"userName": "alice", "accessKeyId": key})).unwrap();
            assert_eq!(it.target_key(), "user-or-role/alice");
        }
        let by_issuer = check(json!({"userName": "app", "accessKeyId": "ASIAIOSFODNN7EXAMPLE",
            "sessionIssuer": {"type": "Role", "userName": "app", "arn": "arn:aws:iam::111122223333:role/team/app"}}));
        assert_eq!(by_issuer.unwrap().target_key(), "role/app");
    }

    #[test]
    fn a_name_alone_makes_nobody_the_root_user() {
        let named = check(json!({"userName": "Root", "accessKeyId": "ASIAIOSFODNN7EXAMPLE"})).unwrap();
        assert_eq!(named.target_key(), "user-or-role/Root");
        for root in [
            json!({"userName": "Root", "principalId": "111122223333", "accessKeyId": "ASIAIOSFODNN7EXAMPLE"}),
            json!({"userType": "Root", "userName": "Root", "accessKeyId": "ASIAIOSFODNN7EXAMPLE"}),
        ] {
            assert_eq!(check(root).unwrap(), Principal::Root);
        }
    }

    #[test]
    fn a_key_that_can_not_be_read_spoils_only_what_needs_it() {
        let odd = json!("ASIAIM");
        let role = check(json!({"userType": "AssumedRole", "userName": "app", "accessKeyId": odd})).unwrap();
        assert_eq!(role.target_key(), "role/app");
        let user = check(json!({"userType": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "accessKeyId": 7}));
        assert!(user.is_ok());
        let by_name = check(json!({"userType": "IAMUser", "userName": "alice", "accessKeyId": "AKIAIM"}));
        assert_eq!(by_name.unwrap_err().path, "accessKeyId");
        assert_eq!(check(json!({"userName": "alice", "accessKeyId": odd})).unwrap_err().path, "accessKeyId");
        assert!(
            reason(json!({"userType": "AssumedRole", "userName": "app", "accessKeyId": "AKIAIM"}))
                .contains("long-term")
        );
    }

    #[test]
    fn a_federated_session_is_contained_at_its_issuer() {
        let session = |issuer: Value| {
            check(json!({"userType": "FederatedUser", "userName": "deploy", "principalId": "111122223333:deploy",
                "sessionIssuer": issuer}))
        };
        let arn = "arn:aws:iam::111122223333:user/team/alice";
        assert_eq!(session(json!(arn)).unwrap().target_key(), "user/alice");
        let whole = json!({"type": "IAMUser", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "arn": arn, "userName": "alice"});
        assert!(session(whole).unwrap().unique_id().is_some());
        assert_eq!(session(json!("arn:aws:iam::111122223333:root")).unwrap(), Principal::Root);
        assert!(session(json!(7)).is_err());
        for foreign in [json!("arn:aws:iam::444455556666:user/alice"), json!({"arn": arn, "accountId": "444455556666"})]
        {
            assert!(matches!(session(foreign).unwrap(), Principal::NotContainable { .. }));
        }
        let saml = json!({"userType": "SAMLUser", "sessionIssuer": "arn:aws:iam::111122223333:role/app"});
        assert_eq!(check(saml).unwrap().target_key(), "role/app");
    }

    #[test]
    fn nothing_is_not_a_principal() {
        assert_eq!(check(json!({})).unwrap_err().path, "principalId");
        assert_eq!(check(json!({"userType": "IAMUser", "userName": "../x"})).unwrap_err().path, "userName");
    }
}
