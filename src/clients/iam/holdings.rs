//! What the policies say that decide about an identity, and whom roles trust: for a report. Changes nothing.

use std::collections::BTreeSet;

use domain::change::REVOCATION_POLICY;
use domain::evidence::before::{Before, Changed};
use domain::evidence::document::Policy;
use domain::identity::{Identity, Read};
use domain::policy_document::fingerprint;
use futures_util::{StreamExt, stream};

use super::IamRead;
use super::contents::{
    Counted, all_versions, attached_to_group, default_document, group_document, inline_document, inline_of_group,
    of_group, version_document,
};
use crate::errors::unreadable;

/// On top of what reading the policies takes.
pub const PERMISSIONS: &[&str] = &["iam:ListPolicyVersions"];

const PARALLEL_READS: usize = 8;

/// Whose policies could be read, and which could not.
#[derive(Debug, Default)]
pub struct Documents {
    pub policies: Vec<Policy>,
    pub boundary: Option<Policy>,
    /// In words.
    pub unread: Vec<String>,
    /// What differs, or may, from what a response found.
    pub changed: BTreeSet<(Changed, String)>,
}

/// Every document, each with where it comes from. One that can't be read takes no other with it.
pub async fn documents(iam: &IamRead, identity: &Identity, before: &Before) -> Documents {
    let names = &before.names;
    let inline = stream::iter(&names.inline).map(async |name| {
        let read = iam.patiently(|| inline_document(iam, identity, name)).await;
        vec![policy("inline policy", name, None, read)]
    });
    let attached = stream::iter(&names.policies).map(async |arn| {
        let read = iam.patiently(|| default_document(iam, arn)).await;
        vec![managed("policy", arn, None, read)]
    });
    let groups = stream::iter(&names.groups).map(async |name| (name, group(iam, name).await));
    let boundary = async {
        let arn = before.boundary.as_ref()?;
        Some(managed("boundary", arn, None, iam.patiently(|| default_document(iam, arn)).await))
    };
    let (inline, attached, groups, boundary) = tokio::join!(
        inline.buffered(PARALLEL_READS).collect::<Vec<_>>(),
        attached.buffered(PARALLEL_READS).collect::<Vec<_>>(),
        groups.buffered(PARALLEL_READS).collect::<Vec<_>>(),
        boundary
    );
    let mut found = Documents { unread: before.unread.clone(), ..Documents::default() };
    // Of a group that has no policies any more there is nothing else.
    let left = groups.iter().filter_map(|(name, (_, print))| before.differs(format!("group {name}"), print.as_ref()?));
    found.changed.extend(left);
    let of_groups = groups.into_iter().map(|(_, (read, _))| read);
    for read in inline.into_iter().chain(attached).chain(of_groups).flatten() {
        match read {
            Ok(policy) => {
                found.changed.extend(before.changed(&policy));
                found.policies.push(before.dated(policy));
            }
            Err(words) => found.unread.push(words),
        }
    }
    match boundary {
        Some(Ok(policy)) => found.boundary = Some(policy),
        Some(Err(words)) => found.unread.push(words),
        None => {}
    }
    if let Some(text) = &before.former {
        found.policies.push(Policy::new("inline policy", REVOCATION_POLICY, None, text));
    }
    found
}

fn policy(kind: &'static str, name: &str, group: Option<&str>, read: Read<String>) -> Result<Policy, String> {
    let of = group.map_or_else(String::new, |it| format!(" of group {it}"));
    let print = |document: &str| (kind == "inline policy").then(|| fingerprint(document));
    read.map(|document| Policy { fingerprint: print(&document), ..Policy::new(kind, name, group, &document) })
        .map_err(|it| format!("{kind} {name}{of} ({})", it.why))
}

fn managed(kind: &'static str, arn: &str, group: Option<&str>, read: Read<Counted>) -> Result<Policy, String> {
    let (version, fingerprint, read) = match read {
        Ok(it) => (Some(it.version), it.fingerprint, Ok(it.document)),
        Err(error) => (None, None, Err(error)),
    };
    Ok(Policy { version, fingerprint, ..policy(kind, arn, group, read)? })
}

/// Its policies, and its fingerprint.
async fn group(iam: &IamRead, group: &str) -> (Vec<Result<Policy, String>>, Option<String>) {
    let listed = async || tokio::try_join!(inline_of_group(iam, group), attached_to_group(iam, group));
    let (inline, attached) = match iam.patiently(listed).await {
        Ok(it) => it,
        Err(error) => return (vec![Err(format!("group {group} ({})", error.why))], None),
    };
    let mut found = Vec::new();
    for name in inline {
        let read = iam.patiently(|| group_document(iam, group, &name)).await;
        found.push(policy("inline policy", &name, Some(group), read));
    }
    for arn in attached {
        let read = iam.patiently(|| default_document(iam, &arn)).await;
        found.push(managed("policy", &arn, Some(group), read));
    }
    // A group is what its policies are: where one could not be read, nobody knows whether it is another.
    let all: Option<Vec<_>> = found.iter().map(|it| it.as_ref().ok()).collect();
    let print = all.map(|all| of_group(all.iter().map(|it| (it.origin.name.as_str(), it.fingerprint.as_deref()))));
    (found.into_iter().map(|it| it.map(|it| Policy { fingerprint: print.clone(), ..it })).collect(), print)
}

/// The versions of a policy but for the one that was read as what counts, each with what it says: another one may count
/// since then. One that can't be read takes no other with it.
pub async fn versions(iam: &IamRead, arn: &str, counted: Option<&str>) -> Read<Vec<(String, Read<String>)>> {
    let listed = iam.patiently(|| all_versions(iam, arn)).await?;
    let others = listed.into_iter().filter(|it| Some(it.as_str()) != counted);
    let read = stream::iter(others).map(async |version| {
        let document = iam.patiently(|| version_document(iam, arn, &version)).await;
        (version, document)
    });
    Ok(read.buffered(PARALLEL_READS).collect().await)
}

/// Every role of the account with its trust policy.
pub async fn trusts(iam: &IamRead) -> Read<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut pages = iam.list_roles().into_paginator().send();
    while let Some(page) = pages.next().await {
        let roles = page.map_err(unreadable("roles"))?.roles;
        found.extend(roles.into_iter().filter_map(|it| Some((it.arn, it.assume_role_policy_document?))));
    }
    Ok(found)
}
