//! Users and roles that came into being shortly before or during a response: IAM does not say who created them, so that
//! each is a suspect for a person to look at, and nobody's containment.

use aws_smithy_types::DateTime;
use domain::identity::{Identity, Read, Unreadable};
use domain::suspects::Suspect;
use domain::text;

use super::IamRead;
use crate::errors::failure;

/// Everybody created since `from`, in milliseconds since 1970, the identity itself excepted. IAM's dates are
/// whole seconds, so that the second in which the window begins counts. `but_under`: a path whose users are nobody's.
pub async fn since(iam: &IamRead, identity: &Identity, from: i64, but_under: Option<&str>) -> Read<Vec<Suspect>> {
    let from = from / 1_000;
    let (users, roles) = tokio::join!(users(iam, from, but_under), roles(iam, from));
    let mut found = users?;
    found.extend(roles?);
    found.retain(|it| it.id != identity.id.as_str());
    Ok(found)
}

type Found = Read<Vec<Suspect>>;

async fn users(iam: &IamRead, from: i64, but_under: Option<&str>) -> Found {
    let is_meant = |path: &str| but_under.is_none_or(|it| !path.starts_with(it));
    let mut found = Vec::new();
    let mut pages = iam.list_users().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|it| Unreadable::failed("users", failure(&it)))?;
        let new = page.users.into_iter().filter(|it| it.create_date.secs() >= from && is_meant(&it.path));
        found.extend(new.map(|it| suspect("user", &it.arn, it.user_id, it.create_date)));
    }
    Ok(found)
}

async fn roles(iam: &IamRead, from: i64) -> Found {
    let mut found = Vec::new();
    let mut pages = iam.list_roles().into_paginator().send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|it| Unreadable::failed("roles", failure(&it)))?;
        let new = page.roles.into_iter().filter(|it| it.create_date.secs() >= from);
        found.extend(new.map(|it| suspect("role", &it.arn, it.role_id, it.create_date)));
    }
    Ok(found)
}

fn suspect(kind: &str, arn: &str, id: String, created: DateTime) -> Suspect {
    let words = format!("open suspect: {kind} {} ({id}) was created at {created}", text::line(arn, 300));
    Suspect { id, words, since: created.secs().saturating_mul(1_000) }
}
