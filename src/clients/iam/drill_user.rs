//! The users of drills, in the account for drills and under the path for them: made, tried, removed.

use domain::command::DrillKind;
use domain::identity::Identity;
use domain::ids::{AccessKeyId, Parse, Partition};
use domain::outcome::Failure;
use domain::settings::{CREATED_BY_DRILLS, DRILL_PATH, DRILL_USERS, Secret};

use super::{IamDrill, IamRead, resolve};
use crate::errors::{self, failure, incomplete};

/// Every IAM action of the role in the account for drills.
pub const PERMISSIONS: &[&str] = &[
    "iam:AttachUserPolicy",
    "iam:CreateAccessKey",
    "iam:CreateUser",
    "iam:DeleteAccessKey",
    "iam:DeleteUser",
    "iam:DetachUserPolicy",
    "iam:ListAccessKeys",
    "iam:ListAttachedUserPolicies",
    "iam:ListUsers",
];

/// What the drill's user may do before: enough to see that its key works, and harmless.
const POLICY: &str = "IAMReadOnlyAccess";

/// IAM as the drill's role sees it.
#[derive(Debug, Clone)]
pub struct DrillUsers(IamDrill);

/// A key of a drill's user.
#[derive(Debug)]
pub struct Key {
    pub id: AccessKeyId,
    pub secret: Secret,
}

/// How the names of the users of a kind of drill begin.
pub(crate) const fn names(kind: DrillKind) -> &'static str {
    match kind {
        DrillKind::Reported => DRILL_USERS,
        DrillKind::Created => CREATED_BY_DRILLS,
    }
}

impl DrillUsers {
    pub fn new(iam: IamDrill) -> Self {
        Self(iam)
    }

    pub fn name(kind: DrillKind, drill: &str) -> String {
        format!("{}{drill}", names(kind))
    }

    pub async fn create(&self, name: &str, partition: &Partition) -> Result<Identity, Failure> {
        let request = self.0.create_user().user_name(name).path(DRILL_PATH);
        let user = request.send().await.map_err(|it| failure(&it))?.user;
        let user = user.ok_or_else(|| incomplete("CreateUser gave no user"))?;
        let policy = format!("arn:{partition}:iam::aws:policy/{POLICY}");
        let attached = self.0.attach_user_policy().user_name(name).policy_arn(policy).send().await;
        attached.map_err(|it| failure(&it))?;
        resolve::user_identity(&user)
    }

    pub async fn create_key(&self, name: &str) -> Result<Key, Failure> {
        let created = self.0.create_access_key().user_name(name).send().await.map_err(|it| failure(&it))?;
        let key = created.access_key.ok_or_else(|| incomplete("CreateAccessKey gave no key"))?;
        let id = AccessKeyId::parse(&key.access_key_id);
        let id = id.map_err(|_| incomplete("CreateAccessKey gave an odd ID"))?;
        Ok(Key { id, secret: Secret::new(key.secret_access_key) })
    }

    /// Every user of drills of the kind: one of the other may be under way. Whoever else is under their path is left
    /// alone.
    pub async fn remove_all(&self, kind: DrillKind) -> Result<(), Failure> {
        let mut pages = self.0.list_users().path_prefix(DRILL_PATH).into_paginator().send();
        while let Some(page) = pages.next().await {
            for user in page.map_err(|it| failure(&it))?.users {
                let is_created = user.user_name.starts_with(CREATED_BY_DRILLS);
                let is_ours = user.user_name.starts_with(DRILL_USERS) && is_created == (kind == DrillKind::Created);
                if user.path == DRILL_PATH && is_ours {
                    self.remove(&user.user_name).await?;
                }
            }
        }
        Ok(())
    }

    async fn remove(&self, name: &str) -> Result<(), Failure> {
        let keys = self.0.list_access_keys().user_name(name).send().await.map_err(|it| failure(&it))?;
        for key in keys.access_key_metadata().iter().filter_map(|it| it.access_key_id()) {
            let deleted = self.0.delete_access_key().user_name(name).access_key_id(key).send().await;
            deleted.map_err(|it| failure(&it))?;
        }
        let attached = self.0.list_attached_user_policies().user_name(name).send().await.map_err(|it| failure(&it))?;
        for policy in attached.attached_policies().iter().filter_map(|it| it.policy_arn()) {
            let detached = self.0.detach_user_policy().user_name(name).policy_arn(policy).send().await;
            detached.map_err(|it| failure(&it))?;
        }
        self.0.delete_user().user_name(name).send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}

/// IAM as the holder of the key sees it.
#[derive(Debug, Clone)]
pub struct AsHolder(IamRead);

impl AsHolder {
    pub fn new(iam: IamRead) -> Self {
        Self(iam)
    }

    /// Whether AWS refuses the key what its user may do. `GetCallerIdentity` would say nothing: it always
    /// succeeds.
    pub async fn is_refused(&self, name: &str) -> Result<bool, Failure> {
        match self.0.get_user().user_name(name).send().await {
            Ok(_) => Ok(false),
            Err(error) if errors::is(&error, "AccessDenied") || errors::is(&error, "InvalidClientTokenId") => Ok(true),
            Err(error) => Err(failure(&error)),
        }
    }
}
