//! From a unique ID to the identity. IAM looks up by names alone: the ID is looked for in the list, and the name that it
//! has there may be another's when it is read.

use std::time::Duration;

use domain::identity::IdentityKind;
use domain::ids::{Parse, PrincipalName, UniqueId};
use domain::outcome::Failure;

use super::{IamRead, Resolved, Unresolved, bearer};
use crate::errors::{failure, incomplete};

/// How often it is looked for under yet another name.
const MOST_LISTS: usize = 4;
const PAUSE: Duration = Duration::from_millis(100);

/// INVARIANT: whoever is found has this ID. `tests/test_struck_by_name.py` holds it.
pub(super) async fn by_id(iam: &IamRead, kind: IdentityKind, id: &UniqueId) -> Result<Resolved, Unresolved> {
    let (mut pause, mut was_missed) = (PAUSE, false);
    for _ in 0..MOST_LISTS {
        match listed(iam, kind, id).await? {
            Listed::As(name) => {
                if let Some(found) = bearer(iam, kind, &name).await?.filter(|it| it.identity.id == *id) {
                    return Ok(found);
                }
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            // Renamed from a page that was not read yet to one that was, it is on none.
            Listed::Nowhere { is_paged: true } if !was_missed => was_missed = true,
            Listed::Nowhere { .. } => {
                return Err(Unresolved::Refused(format!("no {} has the unique ID {id}", kind.word())));
            }
        }
    }
    let message = format!("the {} with the unique ID {id} bore another name at each read", kind.word());
    Err(Unresolved::Failed(Failure { code: "NameChanges".to_owned(), message, retryable: true }))
}

enum Listed {
    As(PrincipalName),
    Nowhere { is_paged: bool },
}

async fn listed(iam: &IamRead, kind: IdentityKind, id: &UniqueId) -> Result<Listed, Failure> {
    let (id, mut read) = (id.as_str(), 0);
    let parsed = |name: &str| {
        let name = PrincipalName::parse(name).map_err(|_| incomplete("IAM listed an odd name"))?;
        Ok(Listed::As(name))
    };
    match kind {
        IdentityKind::User => {
            let mut pages = iam.list_users().into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|it| failure(&it))?;
                if let Some(found) = page.users.iter().find(|it| it.user_id == id) {
                    return parsed(&found.user_name);
                }
                read += 1;
            }
        }
        IdentityKind::Role => {
            let mut pages = iam.list_roles().into_paginator().send();
            while let Some(page) = pages.next().await {
                let page = page.map_err(|it| failure(&it))?;
                if let Some(found) = page.roles.iter().find(|it| it.role_id == id) {
                    return parsed(&found.role_name);
                }
                read += 1;
            }
        }
    }
    Ok(Listed::Nowhere { is_paged: read > 1 })
}
