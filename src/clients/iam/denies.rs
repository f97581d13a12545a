//! Which of a user's policies and groups hold a Deny: taking one away could give the user more than it
//! had.

use domain::identity::{Read, Unreadable};
use domain::policy_document::has_deny;
use futures_util::{StreamExt, TryStreamExt, stream};

use super::IamRead;
use crate::errors::unreadable;

const WHAT: &str = "policy documents";
const PARALLEL_READS: usize = 8;

/// The ARNs and group names among them that hold a Deny.
pub(super) async fn among(
    iam: &IamRead,
    policies: &Read<Vec<String>>,
    groups: &Read<Vec<String>>,
) -> Read<Vec<String>> {
    let (Ok(policies), Ok(groups)) = (policies, groups) else {
        return Err(Unreadable::not_read(WHAT));
    };
    let policies = stream::iter(policies.clone()).map(|arn| async move { Ok((policy_denies(iam, &arn).await?, arn)) });
    let groups = stream::iter(groups.clone()).map(|name| async move { Ok((group_denies(iam, &name).await?, name)) });
    let (policies, groups) = tokio::try_join!(
        policies.buffered(PARALLEL_READS).try_collect::<Vec<_>>(),
        groups.buffered(PARALLEL_READS).try_collect::<Vec<_>>()
    )?;
    Ok(policies.into_iter().chain(groups).filter(|(denies, _)| *denies).map(|(_, name)| name).collect())
}

async fn policy_denies(iam: &IamRead, arn: &str) -> Read<bool> {
    let policy = iam.get_policy().policy_arn(arn).send().await.map_err(unreadable(WHAT))?;
    let version = policy.policy().and_then(|it| it.default_version_id()).unwrap_or("v1").to_owned();
    let output = iam.get_policy_version().policy_arn(arn).version_id(version).send().await.map_err(unreadable(WHAT))?;
    Ok(output.policy_version().and_then(|it| it.document()).is_none_or(has_deny))
}

async fn group_denies(iam: &IamRead, group: &str) -> Read<bool> {
    let mut pages = iam.list_group_policies().group_name(group).into_paginator().send();
    while let Some(page) = pages.next().await {
        for name in page.map_err(unreadable(WHAT))?.policy_names {
            let request = iam.get_group_policy().group_name(group).policy_name(name);
            if has_deny(request.send().await.map_err(unreadable(WHAT))?.policy_document()) {
                return Ok(true);
            }
        }
    }
    let mut pages = iam.list_attached_group_policies().group_name(group).into_paginator().send();
    while let Some(page) = pages.next().await {
        for policy in page.map_err(unreadable(WHAT))?.attached_policies() {
            if policy_denies(iam, policy.policy_arn().unwrap_or_default()).await? {
                return Ok(true);
            }
        }
    }
    Ok(false)
}
