//! Users and roles that came into being during a fight: IAM does not say who created them, so that
//! each is a suspect for a person to look at, and nobody's containment.

use std::time::{Duration, SystemTime};

use aws_smithy_types::DateTime;
use domain::identity::{Identity, Read, Unreadable};
use domain::text;

use super::IamRead;
use crate::errors::failure;

/// In words, everybody created within `window` until now, the identity itself excepted. IAM's dates are whole
/// seconds, so that the second in which the window begins counts.
pub async fn since(iam: &IamRead, identity: &Identity, window: Duration) -> Read<Vec<String>> {
    let from = DateTime::from(SystemTime::now() - window).secs();
    let (users, roles) = tokio::join!(users(iam, from), roles(iam, from));
    let mut found = users?;
    found.extend(roles?);
    found.retain(|(id, _)| id != identity.id.as_str());
    Ok(found.into_iter().map(|(_, words)| words).collect())
}

type Found = Read<Vec<(String, String)>>;

async fn users(iam: &IamRead, from: i64) -> Found {
    let mut found = Vec::new();
    let mut pages = iam.list_users().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|it| Unreadable::failed("users", failure(&it)))?;
        let new = page.users.into_iter().filter(|it| it.create_date.secs() >= from);
        found.extend(new.map(|it| (it.user_id.clone(), words("user", &it.arn, &it.user_id))));
    }
    Ok(found)
}

async fn roles(iam: &IamRead, from: i64) -> Found {
    let mut found = Vec::new();
    let mut pages = iam.list_roles().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|it| Unreadable::failed("roles", failure(&it)))?;
        let new = page.roles.into_iter().filter(|it| it.create_date.secs() >= from);
        found.extend(new.map(|it| (it.role_id.clone(), words("role", &it.arn, &it.role_id))));
    }
    Ok(found)
}

fn words(kind: &str, arn: &str, id: &str) -> String {
    format!("open suspect: {kind} {} ({id}) was created during the response", text::line(arn, 300))
}
