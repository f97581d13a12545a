//! Which identity a claim means: from a name, a key or an ID to the immutable unique ID.

use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::DateTime;
use domain::containment::guard::about_root;
use domain::finding::{Finding, Principal, Source};
use domain::identity::{Identity, IdentityKind, Observed, Unreadable, Why};
use domain::ids::{AccessKeyId, AccountId, Parse, PrincipalName, UniqueId};
use domain::outcome::Failure;

use super::IamRead;
use super::observe::{
    access_keys, attached_role_policies, attached_user_policies, revocation, role_profile, user_profile,
    with_revocation,
};
use crate::errors::{self, failure, incomplete};
use crate::patience::Throttled;

mod by_id;

use by_id::by_id;

/// Every IAM action that following a name or an ID needs, beside those of `observe`.
pub const PERMISSIONS: &[&str] = &["iam:ListRoles", "iam:ListUsers"];

/// On top of them, where a name or an ID turns out to be a role's, and for roles that a user may have assumed.
pub const ROLE_PERMISSIONS: &[&str] = &["iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies"];

/// On top of them, where only an access key is known.
pub const KEY_PERMISSIONS: &[&str] = &["iam:GetAccessKeyLastUsed"];

/// Whom somebody means, before IAM was asked.
#[derive(Debug, Clone, Copy)]
pub struct Claimed<'a> {
    pub account: &'a AccountId,
    pub principal: &'a Principal,
    pub access_key: Option<&'a AccessKeyId>,
    /// It came into being a moment ago, and may not be visible everywhere until then.
    pub visible_by: Option<SystemTime>,
}

impl<'a> From<&'a Finding> for Claimed<'a> {
    fn from(finding: &'a Finding) -> Self {
        Self {
            account: &finding.account,
            principal: &finding.principal,
            access_key: finding.access_key.as_ref(),
            visible_by: (finding.source == Source::CloudTrail).then(|| visible_by(finding.occurred_at)),
        }
    }
}

/// By when a new user is visible everywhere. An event about one that is older need not wait: whoever is
/// not there was deleted.
fn visible_by(created: Option<DateTime>) -> SystemTime {
    let now = SystemTime::now();
    // A time to come is not believed.
    let created = created.and_then(|it| SystemTime::try_from(it).ok()).filter(|it| *it <= now);
    created.unwrap_or(now) + VISIBLE
}

const VISIBLE: Duration = Duration::from_secs(8);

/// A claim that leads to nobody whom we may contain, or could not be followed.
#[derive(Debug)]
pub enum Unresolved {
    /// There is no such identity, or not the one that is meant.
    Refused(String),
    Failed(Failure),
}

impl From<Failure> for Unresolved {
    fn from(it: Failure) -> Self {
        Self::Failed(it)
    }
}

impl Throttled for Unresolved {
    fn is_throttled(&self) -> bool {
        matches!(self, Self::Failed(failure) if failure.is_throttled())
    }
}

/// The identity, and as much of its state as the strike needs.
pub struct Resolved {
    pub identity: Identity,
    pub observed: Observed,
    /// When its name was last seen to lead to it, whatever was read beside that: a name can become another's.
    pub read_at: Instant,
}

/// Follows a claim to the identity with its immutable ID. Names are only where the search begins.
pub async fn resolve(iam: &IamRead, claimed: Claimed<'_>) -> Result<Resolved, Unresolved> {
    match claimed.principal {
        Principal::User { name: Some(name), id } => user_by_name(iam, claimed, name, id.as_ref()).await,
        Principal::User { name: None, id: Some(id) } => by_id(iam, IdentityKind::User, id).await,
        Principal::Role { name: Some(name), .. } => role(iam, name).await,
        Principal::Role { name: None, id: Some(id), .. } => by_id(iam, IdentityKind::Role, id).await,
        Principal::UserOrRole { name } => user_or_role(iam, claimed, name).await,
        Principal::KeyOwner => key_owner(iam, claimed).await,
        Principal::User { name: None, id: None } | Principal::Role { name: None, id: None, .. } => {
            Err(Unresolved::Refused("the finding gives no name to look for".to_owned()))
        }
        Principal::Root => Err(Unresolved::Refused("root has no IAM identity".to_owned())),
        Principal::NotContainable { reason } => Err(Unresolved::Refused(reason.clone())),
    }
}

/// The same for a command: where it names a unique ID, nobody else, whoever bears the name now.
///
/// INVARIANT: nobody is restored, or answered for, in place of another. `tests/test_restore_by_name.py` holds it.
pub async fn meant(iam: &IamRead, claimed: Claimed<'_>) -> Result<Resolved, Unresolved> {
    let found = resolve(iam, claimed).await?;
    match claimed.principal.unique_id().filter(|it| **it != found.identity.id) {
        Some(id) => Err(Unresolved::Refused(format!("there is no {id} in account {} any more", claimed.account))),
        None => Ok(found),
    }
}

async fn user_by_name(
    iam: &IamRead,
    claimed: Claimed<'_>,
    name: &PrincipalName,
    id: Option<&UniqueId>,
) -> Result<Resolved, Unresolved> {
    match read_user(iam, name, claimed.visible_by).await? {
        // The finding's user may have been renamed, and another may bear the name now.
        found if found.as_ref().is_none_or(|it| id.is_some_and(|id| *id != it.identity.id)) => {
            if let Some(id) = id {
                match by_id(iam, IdentityKind::User, id).await {
                    Err(Unresolved::Refused(_)) => {}
                    other => return other,
                }
            }
            match found {
                Some(namesake) => Ok(namesake),
                None => Err(Unresolved::Refused(format!("there is no user `{name}` in account {}", claimed.account))),
            }
        }
        Some(found) => {
            refuse_foreign_key(claimed, &found)?;
            Ok(found)
        }
        None => Err(Unresolved::Refused(format!("there is no user `{name}` in account {}", claimed.account))),
    }
}

/// Without a unique ID in the finding, the key is what tells the user from a namesake.
fn refuse_foreign_key(claimed: Claimed<'_>, found: &Resolved) -> Result<(), Unresolved> {
    let Some(key) = claimed.access_key.filter(|it| it.is_long_term()) else {
        return Ok(());
    };
    if claimed.principal.unique_id().is_some() {
        return Ok(());
    }
    match &found.observed.keys {
        // Not known is not "it is his": the next try may be able to read them.
        Err(unreadable) => Err(Unresolved::Failed(Failure {
            code: match &unreadable.why {
                Why::Throttled(failure) => failure.code.clone(),
                _ => "KeysUnreadable".to_owned(),
            },
            message: format!(
                "{unreadable}: cannot tell whether access key {key} belongs to user `{}` or to a namesake",
                found.identity.name
            ),
            retryable: true,
        })),
        Ok(keys) if !keys.iter().any(|it| it.id == *key) => Err(Unresolved::Refused(format!(
            "access key {key} does not belong to user `{}`: cannot confirm the finding's user",
            found.identity.name
        ))),
        Ok(_) => Ok(()),
    }
}

/// A user and a role may bear the same name. Only one that is alone in bearing it can be meant; whether it
/// agrees with what else is known is asked like of everybody.
async fn user_or_role(iam: &IamRead, claimed: Claimed<'_>, name: &PrincipalName) -> Result<Resolved, Unresolved> {
    let (user, role) = tokio::join!(read_user(iam, name, claimed.visible_by), role(iam, name));
    let role = match role {
        Ok(it) => Some(it),
        Err(Unresolved::Refused(_)) => None,
        Err(failed @ Unresolved::Failed(_)) => return Err(failed),
    };
    match (user?, role) {
        (Some(user), Some(role)) => Err(Unresolved::Refused(format!(
            "the finding names `{name}` and not whether it is a user or a role, and both exist: `{}` ({}) and `{}` ({})",
            user.identity.arn, user.identity.id, role.identity.arn, role.identity.id
        ))),
        (Some(user), None) => Ok(user),
        (None, Some(role)) => Ok(role),
        (None, None) => {
            let nobody = format!("there is no user and no role `{name}` in account {}", claimed.account);
            // What GuardDuty calls the root user, and what anybody may call a user.
            let is_root = name.as_str().eq_ignore_ascii_case("root");
            Err(Unresolved::Refused(if is_root {
                format!("{nobody}: it is the root user; {}", about_root())
            } else {
                nobody
            }))
        }
    }
}

/// How long the strike waits to see whether the deny is there already.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// The user, its keys and its policies, in one round trip. `None` when there is no such user.
async fn read_user(
    iam: &IamRead,
    name: &PrincipalName,
    visible_by: Option<SystemTime>,
) -> Result<Option<Resolved>, Failure> {
    let mut pause = Duration::from_millis(250);
    loop {
        let ((user, read_at), keys, attached) = tokio::join!(
            async { (iam.urgently(|| iam.get_user().user_name(name.as_str()).send()).await, Instant::now()) },
            access_keys(iam, name),
            tokio::time::timeout(PATIENCE, attached_user_policies(iam, name))
        );
        let attached = attached.unwrap_or_else(|_| Err(Unreadable::not_read("attached policies")));
        let user = match user {
            Ok(it) => it.user.ok_or_else(|| incomplete("GetUser gave no user"))?,
            // A new user is not visible everywhere at once.
            Err(error) if visible_by.is_some_and(|it| SystemTime::now() < it) && errors::is(&error, "NoSuchEntity") => {
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_secs(1));
                continue;
            }
            Err(error) if errors::is(&error, "NoSuchEntity") => return Ok(None),
            Err(error) => return Err(failure(&error)),
        };
        let identity = user_identity(&user)?;
        let observed = Observed { profile: Ok(user_profile(&user)), keys, attached, ..Observed::nothing_read() };
        return Ok(Some(Resolved { identity, observed, read_at }));
    }
}

/// The unique ID of the user who bears the name now; `None` where nobody does.
pub async fn user_id(iam: &IamRead, name: &str) -> Result<Option<String>, Failure> {
    match iam.patiently(|| iam.get_user().user_name(name).send()).await {
        Ok(it) => Ok(it.user.map(|it| it.user_id)),
        Err(error) if errors::is(&error, "NoSuchEntity") => Ok(None),
        Err(error) => Err(failure(&error)),
    }
}

/// The same one, where it still bears the name: one call, which nothing else is waited for beside. `None`: another does,
/// or nobody.
pub async fn confirmed(iam: &IamRead, resolved: Resolved) -> Result<Option<Resolved>, Failure> {
    let Resolved { identity, observed, .. } = resolved;
    let name = identity.name.as_str();
    let (found, profile) = match identity.kind {
        IdentityKind::User => match iam.urgently(|| iam.get_user().user_name(name).send()).await {
            Ok(it) => {
                let user = it.user.ok_or_else(|| incomplete("GetUser gave no user"))?;
                (user_identity(&user)?, user_profile(&user))
            }
            Err(error) if errors::is(&error, "NoSuchEntity") => return Ok(None),
            Err(error) => return Err(failure(&error)),
        },
        IdentityKind::Role => match iam.urgently(|| iam.get_role().role_name(name).send()).await {
            Ok(it) => {
                let role = it.role.ok_or_else(|| incomplete("GetRole gave no role"))?;
                (role_identity(&role)?, role_profile(&role))
            }
            Err(error) if errors::is(&error, "NoSuchEntity") => return Ok(None),
            Err(error) => return Err(failure(&error)),
        },
    };
    let is_same = found.id == identity.id;
    let observed = Observed { profile: Ok(profile), ..observed };
    Ok(is_same.then(|| Resolved { identity: found, observed, read_at: Instant::now() }))
}

/// Who bears a name now, and as much of its state as tells whether it was struck; `None` where nobody does.
pub async fn bearer(iam: &IamRead, kind: IdentityKind, name: &PrincipalName) -> Result<Option<Resolved>, Failure> {
    match kind {
        IdentityKind::User => read_user(iam, name, None).await,
        IdentityKind::Role => match role(iam, name).await {
            Ok(found) => Ok(Some(found)),
            Err(Unresolved::Refused(_)) => Ok(None),
            Err(Unresolved::Failed(failure)) => Err(failure),
        },
    }
}

/// The same identity under the name it has now. Roles can't be renamed.
pub async fn find_again(iam: &IamRead, identity: &Identity) -> Result<Identity, Unresolved> {
    match identity.kind {
        IdentityKind::User => Ok(by_id(iam, identity.kind, &identity.id).await?.identity),
        IdentityKind::Role => Err(Unresolved::Refused(format!("the role with the unique ID {} is gone", identity.id))),
    }
}

/// What is said of a key of which AWS names an owner who is not seen to have it.
pub const OWNER_UNCLEAR: &str = "OwnerUnclear";
/// So often it is asked: whoever renames the owner must be at it each time.
const ASKED: u32 = 3;

/// The key is nobody's only where AWS names nobody. Whoever it named may be called otherwise at the next read.
async fn key_owner(iam: &IamRead, claimed: Claimed<'_>) -> Result<Resolved, Unresolved> {
    let Some(key) = claimed.access_key else {
        return Err(Unresolved::Refused("the finding names neither a principal nor a key".to_owned()));
    };
    let foreign = || Unresolved::Refused(format!("access key {key} belongs to no user of account {}", claimed.account));
    for asked in 1..=ASKED {
        let used = match iam.get_access_key_last_used().access_key_id(key.as_str()).send().await {
            Ok(it) => it,
            // AWS answers AccessDenied for keys of other accounts, and models no error at all.
            Err(error) if errors::is(&error, "NoSuchEntity") => return Err(foreign()),
            Err(error) => return Err(Unresolved::Failed(failure(&error))),
        };
        let name = used.user_name().filter(|it| !it.is_empty()).ok_or_else(foreign)?;
        let name = PrincipalName::parse(name).map_err(|_| incomplete("GetAccessKeyLastUsed gave an odd name"))?;
        if let Some(found) = read_user(iam, &name, None).await? {
            match refuse_foreign_key(claimed, &found) {
                Ok(()) => return Ok(found),
                Err(Unresolved::Refused(_)) => {}
                Err(failed) => return Err(failed),
            }
        }
        if asked < ASKED {
            tokio::time::sleep(Duration::from_millis(250)).await;
        }
    }
    Err(Unresolved::Failed(Failure {
        code: OWNER_UNCLEAR.to_owned(),
        message: format!("AWS names an owner of access key {key}, and no user of that name was seen to have it"),
        retryable: true,
    }))
}

async fn role(iam: &IamRead, name: &PrincipalName) -> Result<Resolved, Unresolved> {
    let ((role, read_at), revocation, attached) = tokio::join!(
        async { (iam.urgently(|| iam.get_role().role_name(name.as_str()).send()).await, Instant::now()) },
        revocation(iam, name),
        tokio::time::timeout(PATIENCE, attached_role_policies(iam, name))
    );
    let attached = attached.unwrap_or_else(|_| Err(Unreadable::not_read("attached policies")));
    let role = match role {
        Ok(it) => it.role.ok_or_else(|| incomplete("GetRole gave no role"))?,
        Err(error) if errors::is(&error, "NoSuchEntity") => {
            return Err(Unresolved::Refused(format!("there is no role `{name}`")));
        }
        Err(error) => return Err(Unresolved::Failed(failure(&error))),
    };
    let identity = role_identity(&role)?;
    let observed = with_revocation(
        Observed { profile: Ok(role_profile(&role)), attached, ..Observed::nothing_read() },
        revocation,
    );
    Ok(Resolved { identity, observed, read_at })
}

fn role_identity(role: &aws_sdk_iam::types::Role) -> Result<Identity, Failure> {
    Ok(Identity {
        kind: IdentityKind::Role,
        name: PrincipalName::parse(&role.role_name).map_err(|_| incomplete("GetRole gave an odd name"))?,
        id: UniqueId::parse(&role.role_id).map_err(|_| incomplete("GetRole gave an odd ID"))?,
        arn: role.arn.clone(),
        path: role.path.clone(),
        created: Some(role.create_date),
    })
}

pub(super) fn user_identity(user: &aws_sdk_iam::types::User) -> Result<Identity, Failure> {
    Ok(Identity {
        kind: IdentityKind::User,
        name: PrincipalName::parse(&user.user_name).map_err(|_| incomplete("GetUser gave an odd name"))?,
        id: UniqueId::parse(&user.user_id).map_err(|_| incomplete("GetUser gave an odd ID"))?,
        arn: user.arn.clone(),
        path: user.path.clone(),
        created: Some(user.create_date),
    })
}
