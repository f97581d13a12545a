//! Roles that a user may have assumed: their sessions live on when the user is denied. Leads for a person, and
//! nobody's containment.

use aws_smithy_types::DateTime;
use domain::identity::{Identity, Read};
use domain::policy_document::trusts;
use domain::text;
use futures_util::future::join_all;

use super::IamRead;
use crate::errors::unreadable;

const WHAT: &str = "roles";
/// Of so many roles the last use is read: a lead that nobody reads is none.
const MOST: usize = 20;

/// What was found, and of how many roles that trust the user nothing was read.
#[derive(Debug, Default)]
pub struct AssumedRoles {
    /// In words.
    pub leads: Vec<String>,
    pub unread: usize,
}

/// Every role whose trust policy names the user and that was used since then, with what revokes its
/// sessions. IAM tells a role's last use up to four hours late.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_RoleLastUsed.html>
pub async fn since(iam: &IamRead, user: &Identity, since: DateTime) -> Read<AssumedRoles> {
    let mut trusting = Vec::new();
    let mut pages = iam.list_roles().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(unreadable(WHAT))?;
        let named = page
            .roles
            .into_iter()
            .filter(|it| it.assume_role_policy_document().is_some_and(|document| trusts(document, &user.arn)));
        trusting.extend(named.map(|it| it.role_name));
    }
    let unread = trusting.len().saturating_sub(MOST);
    trusting.truncate(MOST);
    let used = join_all(trusting.iter().map(|name| last_used(iam, name))).await;
    let mut leads = Vec::new();
    for (name, used) in trusting.iter().zip(used) {
        let name = text::line(name, 64);
        let command = format!("send {{\"command\":\"contain\",\"account\":\"{}\",\"role\":\"{name}\"}}", account(user));
        match used {
            Ok(Some(at)) if at.secs() >= since.secs() => leads.push(format!(
                "role {name} trusts the user and was last used at {at}: if the user did, its session lives on; to revoke the \
                 role's sessions, {command}"
            )),
            Ok(_) => {}
            Err(error) => leads.push(format!(
                "role {name} trusts the user, and its last use could not be read ({}): to revoke the role's sessions, \
                 {command}",
                error.why
            )),
        }
    }
    Ok(AssumedRoles { leads, unread })
}

async fn last_used(iam: &IamRead, role: &str) -> Read<Option<DateTime>> {
    let output = iam.get_role().role_name(role).send().await.map_err(unreadable(WHAT))?;
    Ok(output.role.and_then(|it| it.role_last_used).and_then(|it| it.last_used_date))
}

fn account(identity: &Identity) -> &str {
    domain::ids::Arn::parse(&identity.arn).map_or("", |it| it.account)
}
