//! The last use of an identity's credentials: what people are told who decide about it. Changes nothing, and holds
//! up nothing: what can't be read is said.

use aws_smithy_types::DateTime;
use domain::approval::affected::{KeyUse, Usage};
use domain::identity::{AccessKey, Identity, IdentityKind, Observed};

use super::IamRead;
use crate::errors::failure;

/// Every IAM action that it needs beside those of `observe`.
pub const PERMISSIONS: &[&str] = super::resolve::KEY_PERMISSIONS;

/// Reads the last use of each key and of the password, or of the role.
pub async fn read(iam: &IamRead, identity: &Identity, observed: &Observed) -> Usage {
    let name = identity.name.as_str();
    match identity.kind {
        IdentityKind::User => {
            let keys: Vec<_> = observed.keys.as_deref().unwrap_or_default().to_vec();
            let uses = futures_util::future::join_all(keys.iter().map(|it| key_use(iam, it)));
            let (uses, user) = tokio::join!(uses, iam.get_user().user_name(name).send());
            let mut usage = Usage::default();
            for found in uses {
                match found {
                    Ok(it) => usage.keys.push(it),
                    Err(why) => usage.unread.push(why),
                }
            }
            match user {
                Ok(it) => usage.password = it.user.and_then(|it| it.password_last_used),
                Err(error) => usage.unread.push(format!("last use of the password: {}", failure(&error))),
            }
            usage.unread.extend(observed.keys.as_ref().err().map(ToString::to_string));
            usage
        }
        IdentityKind::Role => match iam.get_role().role_name(name).send().await {
            Ok(it) => {
                let used = it.role.and_then(|it| it.role_last_used);
                let at = used.as_ref().and_then(|it| it.last_used_date);
                let region = used.and_then(|it| it.region).unwrap_or_else(|| "an unknown region".to_owned());
                Usage { role: at.map(|it| (it, region)), ..Usage::default() }
            }
            Err(error) => {
                Usage { unread: vec![format!("last use of the role: {}", failure(&error))], ..Usage::default() }
            }
        },
    }
}

async fn key_use(iam: &IamRead, key: &AccessKey) -> Result<KeyUse, String> {
    let found = iam.get_access_key_last_used().access_key_id(key.id.as_str()).send().await;
    let used = found.map_err(|it| format!("last use of access key {}: {}", key.id, failure(&it)))?;
    let last = used.access_key_last_used.and_then(|it| {
        let at: DateTime = it.last_used_date?;
        Some((at, it.service_name, it.region))
    });
    Ok(KeyUse { id: key.id.to_string(), is_active: key.active, last })
}
