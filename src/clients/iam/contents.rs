//! What an identity's policies and groups say: what tells their content from what it was, which of them
//! hold a Deny, and which grant administrator access.

use domain::administrator::grants_administrator;
use domain::identity::{Contents, Identity, IdentityKind, PolicyNames, Read, is_aws_own};
use domain::policy_document::{self, fingerprint, has_deny};
use futures_util::{StreamExt, TryStreamExt, stream};

use super::IamRead;
use crate::errors::{is, unreadable};

const WHAT: &str = "policy documents";
const PARALLEL_READS: usize = 8;

/// How much is read of managed policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Depth {
    /// Which version counts, and of customers' own only: AWS changes its own for everybody. What was there once
    /// may be gone.
    Versions,
    /// What they say: it decides what is taken away, so that everything must be readable.
    Statements,
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) contents: Contents,
    /// ARNs and group names.
    pub(super) denying: Vec<String>,
    /// In words: kind and name.
    pub(super) granting: Vec<String>,
}

/// One policy or group.
#[derive(Default)]
struct One {
    fingerprint: Option<String>,
    denies: bool,
    grants: bool,
}

impl Found {
    fn add(&mut self, kind: &str, name: String, one: One) {
        let words = format!("{kind} {name}");
        if let Some(fingerprint) = one.fingerprint {
            self.contents.insert(words.clone(), fingerprint);
        }
        if one.grants {
            self.granting.push(words);
        }
        if one.denies {
            self.denying.push(name);
        }
    }
}

pub(super) async fn read(iam: &IamRead, identity: &Identity, names: PolicyNames, depth: Depth) -> Read<Found> {
    let PolicyNames { policies, inline, groups } = names;
    let inline = stream::iter(inline).map(async |name| Ok((inline_policy(iam, identity, &name).await?, name)));
    let policies = stream::iter(policies).map(async |arn| Ok((policy(iam, &arn, depth).await?, arn)));
    let groups = stream::iter(groups).map(async |name| Ok((group(iam, &name, depth).await?, name)));
    let (inline, policies, groups) = tokio::try_join!(
        inline.buffered(PARALLEL_READS).try_collect::<Vec<_>>(),
        policies.buffered(PARALLEL_READS).try_collect::<Vec<_>>(),
        groups.buffered(PARALLEL_READS).try_collect::<Vec<_>>()
    )?;
    let mut found = Found::default();
    for (kind, all) in [("inline policy", inline), ("policy", policies), ("group", groups)] {
        for (one, name) in all {
            // An inline policy is never taken away, so that its Deny needs no care.
            let denies = one.denies && kind != "inline policy";
            found.add(kind, name, One { denies, ..one });
        }
    }
    Ok(found)
}

fn of_document(document: &str) -> One {
    One { fingerprint: Some(fingerprint(document)), denies: has_deny(document), grants: grants_administrator(document) }
}

async fn inline_policy(iam: &IamRead, identity: &Identity, policy: &str) -> Read<One> {
    match inline_document(iam, identity, policy).await {
        Ok(document) => Ok(of_document(&document)),
        Err(error) if error.is_gone() => Ok(One::default()),
        Err(error) => Err(error),
    }
}

pub(super) async fn inline_document(iam: &IamRead, identity: &Identity, policy: &str) -> Read<String> {
    let name = identity.name.as_str();
    match identity.kind {
        IdentityKind::User => {
            let sent = iam.get_user_policy().user_name(name).policy_name(policy).send().await;
            sent.map(|it| it.policy_document).map_err(unreadable(WHAT))
        }
        IdentityKind::Role => {
            let sent = iam.get_role_policy().role_name(name).policy_name(policy).send().await;
            sent.map(|it| it.policy_document).map_err(unreadable(WHAT))
        }
    }
}

pub(super) async fn group_document(iam: &IamRead, group: &str, policy: &str) -> Read<String> {
    let sent = iam.get_group_policy().group_name(group).policy_name(policy).send().await;
    Ok(sent.map_err(unreadable(WHAT))?.policy_document)
}

/// The version of a managed policy that counts.
pub(super) struct Counted {
    pub(super) version: String,
    pub(super) document: String,
    /// As `Contents` has it; none of AWS's own.
    pub(super) fingerprint: Option<String>,
}

pub(super) async fn default_document(iam: &IamRead, arn: &str) -> Read<Counted> {
    let policy = iam.get_policy().policy_arn(arn).send().await.map_err(unreadable(WHAT))?.policy;
    let version = policy.as_ref().and_then(|it| it.default_version_id()).unwrap_or("v1").to_owned();
    let document = version_document(iam, arn, &version).await?;
    let id = policy.as_ref().and_then(|it| it.policy_id()).unwrap_or_default();
    let fingerprint = (!is_aws_own(arn)).then(|| format!("{id} {version}"));
    Ok(Counted { version, document, fingerprint })
}

/// Whether a managed policy, as it counts now, denies and does nothing else.
pub(super) async fn only_denies(iam: &IamRead, arn: &str) -> Read<bool> {
    iam.patiently(|| default_document(iam, arn)).await.map(|it| policy_document::only_denies(&it.document))
}

pub(super) async fn version_document(iam: &IamRead, arn: &str, version: &str) -> Read<String> {
    let sent = iam.get_policy_version().policy_arn(arn).version_id(version).send().await;
    let version = sent.map_err(unreadable(WHAT))?.policy_version;
    Ok(version.and_then(|it| it.document).unwrap_or_default())
}

/// The IDs of all versions, whichever counts: five at the most.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>
pub(super) async fn all_versions(iam: &IamRead, arn: &str) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_policy_versions().policy_arn(arn).into_paginator().send();
    while let Some(page) = pages.next().await {
        let versions = page.map_err(unreadable(WHAT))?.versions.unwrap_or_default();
        found.extend(versions.into_iter().filter_map(|it| it.version_id));
    }
    Ok(found)
}

/// A version never changes and its number is never used twice; one made anew under the same ARN has another ID.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_managed-versioning.html>
async fn policy(iam: &IamRead, arn: &str, depth: Depth) -> Read<One> {
    let is_customers = !is_aws_own(arn);
    if depth == Depth::Versions && !is_customers {
        return Ok(One::default());
    }
    let may_be_gone = depth == Depth::Versions;
    let policy = match iam.get_policy().policy_arn(arn).send().await {
        Ok(it) => it.policy,
        Err(error) if may_be_gone && is(&error, "NoSuchEntity") => return Ok(One::default()),
        Err(error) => return Err(unreadable(WHAT)(error)),
    };
    let id = policy.as_ref().and_then(|it| it.policy_id()).unwrap_or_default();
    let version = policy.as_ref().and_then(|it| it.default_version_id()).unwrap_or("v1");
    let fingerprint = is_customers.then(|| format!("{id} {version}"));
    if depth == Depth::Versions {
        return Ok(One { fingerprint, ..One::default() });
    }
    let document = version_document(iam, arn, version).await?;
    Ok(One { fingerprint, ..of_document(&document) })
}

/// A group is what its policies are.
async fn group(iam: &IamRead, group: &str, depth: Depth) -> Read<One> {
    let listed = tokio::try_join!(inline_of_group(iam, group), attached_to_group(iam, group));
    let (inline, attached) = match listed {
        Ok(it) => it,
        Err(error) if depth == Depth::Versions && error.is_gone() => return Ok(One::default()),
        Err(error) => return Err(error),
    };
    let inline =
        stream::iter(inline).map(async |name| Ok((of_document(&group_document(iam, group, &name).await?), name)));
    let attached = stream::iter(attached).map(async |arn| Ok((policy(iam, &arn, depth).await?, arn)));
    let (mut inline, attached) = tokio::try_join!(
        inline.buffered(PARALLEL_READS).try_collect::<Vec<(One, String)>>(),
        attached.buffered(PARALLEL_READS).try_collect::<Vec<_>>()
    )?;
    inline.extend(attached);
    Ok(One {
        fingerprint: Some(of_group(inline.iter().map(|(one, name)| (name.as_str(), one.fingerprint.as_deref())))),
        denies: inline.iter().any(|(one, _)| one.denies),
        grants: inline.iter().any(|(one, _)| one.grants),
    })
}

/// The fingerprint of a group, by those of its policies.
pub(super) fn of_group<'a>(policies: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut lines: Vec<_> = policies.map(|(name, it)| format!("{name}={}", it.unwrap_or("aws"))).collect();
    lines.sort();
    fingerprint(&lines.join("\n"))
}

pub(super) async fn inline_of_group(iam: &IamRead, group: &str) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_group_policies().group_name(group).into_paginator().send();
    while let Some(page) = pages.next().await {
        found.extend(page.map_err(unreadable(WHAT))?.policy_names);
    }
    Ok(found)
}

pub(super) async fn attached_to_group(iam: &IamRead, group: &str) -> Read<Vec<String>> {
    let mut found = Vec::new();
    let mut pages = iam.list_attached_group_policies().group_name(group).into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable(WHAT))?;
        found.extend(page.attached_policies().iter().filter_map(|it| it.policy_arn()).map(str::to_owned));
    }
    Ok(found)
}
