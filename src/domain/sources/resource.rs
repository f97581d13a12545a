//! A resource of a Security Hub finding, in either of its formats, as the identity it means: the ARN of
//! a user or role, or an access key with whose it is beside it.

use super::DecodeError;
use super::identity::{Claim, Issuer, Key, Named, contradiction, merge, name_or_id, named, text_name_or_id};
use super::node::Node;
use crate::finding::Principal;
use crate::ids::{AccessKeyId, AccountId, Arn, Parse};

/// Where a format keeps what is to be known of a resource.
pub(super) struct Resource<'a> {
    pub(super) kind: Node<'a>,
    /// An ARN, a key ID, or `AWS::IAM::AccessKey:` and a key ID, of which `null` is a console session.
    pub(super) id: Node<'a>,
    /// The name that the details of a user or role give.
    pub(super) own_name: Node<'a>,
    pub(super) own_id: Node<'a>,
    pub(super) key: KeyDetails<'a>,
}

/// What is said beside an access key.
pub(super) struct KeyDetails<'a> {
    pub(super) kind: Node<'a>,
    pub(super) name: Node<'a>,
    pub(super) principal_id: Node<'a>,
    pub(super) access_key: Node<'a>,
    pub(super) account: Node<'a>,
    pub(super) issuer: Node<'a>,
}

/// Whom a finding names, and whose account that is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Identity {
    pub(super) account: AccountId,
    pub(super) principal: Principal,
    pub(super) access_key: Option<AccessKeyId>,
}

/// The account that the finding is about, and whether its product speaks for other accounts too.
pub(super) struct Owner<'a> {
    pub(super) stated: &'a AccountId,
    /// AWS's own products aggregate over an organisation: an analyzer's findings have its
    /// administrator's account. No other product may name an identity of another account.
    pub(super) is_aggregator: bool,
}

/// Whom the resources name, and what of them could not be read beside that.
pub(super) struct Found {
    pub(super) identity: Option<Identity>,
    pub(super) unreadable: Vec<DecodeError>,
}

/// Everyone whom the resources name must be the same one. No identity when none of them is one.
pub(super) fn identity<'a>(resources: impl Iterator<Item = Resource<'a>>, owner: &Owner) -> Result<Found, DecodeError> {
    let mut found: Option<Identity> = None;
    let mut unreadable = Vec::new();
    for resource in resources {
        match resource.identity(owner) {
            Ok(None) => {}
            Ok(Some(next)) => {
                found = Some(match found {
                    None => next,
                    Some(it) => join(it, next),
                });
            }
            Err(error) => unreadable.push(error),
        }
    }
    // A unique ID says who it is whatever stands beside it.
    if found.as_ref().is_none_or(|it| it.principal.unique_id().is_none())
        && let Some(error) = unreadable.first()
    {
        return Err(error.clone());
    }
    Ok(Found { identity: found, unreadable })
}

fn join(a: Identity, b: Identity) -> Identity {
    let same_account = a.account == b.account;
    let (key, same_key) = match (a.access_key, b.access_key) {
        (Some(a), Some(b)) => (Some(a.clone()), a == b),
        (a, b) => (a.or(b), true),
    };
    let principal = if same_account && same_key {
        merge(a.principal, b.principal)
    } else {
        contradiction("it names two different identities")
    };
    Identity { account: a.account, principal, access_key: key }
}

impl<'a> Resource<'a> {
    fn identity(&self, owner: &Owner) -> Result<Option<Identity>, DecodeError> {
        let (said, named) = match self.kind.optional()? {
            Some("AwsIamUser" | "AWS::IAM::User") => self.by_arn(Some("user"))?,
            Some("AwsIamRole" | "AWS::IAM::Role") => self.by_arn(Some("role"))?,
            Some("AwsIamAccessKey" | "AWSIAMAccessKey" | "AWS::IAM::AccessKey") => self.by_key(owner)?,
            _ => return Ok(None),
        };
        Ok(Some(owner.owned(said, named)))
    }

    /// The ARN's account is the owner's; the finding's may be that of an administrator.
    fn by_arn(&self, kind: Option<&str>) -> Result<(Option<AccountId>, Named), DecodeError> {
        let malformed = || self.id.malformed("the ARN of an IAM user or role");
        let arn = Arn::parse(self.id.required()?).filter(|it| it.service == "iam").ok_or_else(malformed)?;
        let account = AccountId::parse(arn.account).map_err(|_| malformed())?;
        if kind.is_none() && arn.resource == "root" {
            return Ok((Some(account), Named { principal: Principal::Root, access_key: None }));
        }
        let (found, name) = arn.kind_and_name().ok_or_else(malformed)?;
        if kind.is_some_and(|it| it != found) {
            return Err(malformed());
        }
        let (name, id_in_name) = text_name_or_id(name).map_err(|_| malformed())?;
        let (stated, _) = name_or_id(&self.own_name)?;
        let id = self.own_id.parse()?;
        let principal = match found {
            "user" => merge(Principal::User { name, id: id_in_name }, Principal::User { name: stated, id }),
            "role" => merge(
                Principal::Role { name, id: id_in_name, session: None },
                Principal::Role { name: stated, id, session: None },
            ),
            _ => return Err(malformed()),
        };
        Ok((Some(account), Named { principal, access_key: None }))
    }

    fn by_key(&self, owner: &Owner) -> Result<(Option<AccountId>, Named), DecodeError> {
        let text = self.id.required()?;
        if text.starts_with("arn:") {
            return self.by_arn_beside_a_key();
        }
        let in_id = text.rsplit(':').next().filter(|it| !matches!(*it, "null" | ""));
        let in_id = in_id.map_or(Key::Absent, |it| Key::of_text(&self.id, it));
        let access_key = match (in_id, Key::of(&self.key.access_key)) {
            (Key::Known(a), Key::Known(b)) if a != b => {
                return Err(self.key.access_key.malformed("the access key of the resource's ID"));
            }
            (known @ Key::Known(_), _) | (_, known @ Key::Known(_)) => known,
            (Key::Absent, other) | (other, _) => other,
        };
        let said: Option<AccountId> = self.key.account.parse()?;
        let issuer =
            Issuer { node: self.key.issuer.clone(), owner: said.clone().unwrap_or_else(|| owner.stated.clone()) };
        let named = named(&Claim {
            kind: self.key.kind.clone(),
            name: self.key.name.clone(),
            principal_id: self.key.principal_id.clone(),
            access_key,
            issuer,
        })?;
        Ok((said, named))
    }

    /// The user's or role's ARN in the place of the key's ID, and the key in the details.
    fn by_arn_beside_a_key(&self) -> Result<(Option<AccountId>, Named), DecodeError> {
        let (account, Named { principal, .. }) = self.by_arn(None)?;
        let (name, id_in_name) = name_or_id(&self.key.name)?;
        let beside = match &principal {
            Principal::User { .. } => Principal::User { name, id: id_in_name.or(self.key.principal_id.parse()?) },
            _ => principal.clone(),
        };
        let principal = merge(principal, beside);
        match Key::of(&self.key.access_key) {
            Key::Known(key) => Ok((account, Named { principal, access_key: Some(key) })),
            Key::Unreadable(node, _) if matches!(principal, Principal::User { id: None, .. }) => {
                Err(node.malformed(AccessKeyId::EXPECTED))
            }
            Key::Absent | Key::Unreadable(..) => Ok((account, Named { principal, access_key: None })),
        }
    }
}

impl Owner<'_> {
    pub(super) fn owned(&self, said: Option<AccountId>, named: Named) -> Identity {
        let Named { principal, access_key } = named;
        match said {
            Some(other) if other != *self.stated => {
                if self.is_aggregator && principal.unique_id().is_some() {
                    return Identity { account: other, principal, access_key };
                }
                let why = if self.is_aggregator {
                    "only a unique ID could tell it from a namesake"
                } else {
                    "its product speaks only for that account"
                };
                let reason = format!(
                    "the finding is about account {} and names an identity of account {other}: {why}",
                    self.stated
                );
                Identity { account: self.stated.clone(), principal: Principal::NotContainable { reason }, access_key }
            }
            _ => Identity { account: self.stated.clone(), principal, access_key },
        }
    }
}
