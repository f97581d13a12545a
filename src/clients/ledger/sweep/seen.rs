//! Of which users and keys an event told: `sweep#seen#<account>#<user>` has when the user was created, and
//! `sweep#seen#<account>#/<hash of the ID>` when a key was created and activated last. No key's ID is in the ledger's rows
//! of a sweep.

use std::collections::BTreeMap;

use domain::hygiene::unseen::Told;
use domain::ids::{AccessKeyId, AccountId, PrincipalName};
use domain::outcome::Failure;
use domain::sources::{Credential, CredentialEvent};
use sha2::{Digest as _, Sha256};

use super::super::{Item, Ledger, int, millis_now, number, string};
use super::AT_ONCE;
use crate::errors::failure;

/// For which days a sweep may still ask.
const SEEN_DAYS: i64 = 90;

fn seen_id(account: &AccountId, user: &PrincipalName) -> String {
    format!("sweep#seen#{account}#{user}")
}

/// No user's name has a slash.
fn key_id(account: &AccountId, key: &AccessKeyId) -> String {
    format!("sweep#seen#{account}#/{}", hex::encode(Sha256::digest(key.as_str())))
}

impl Ledger {
    pub async fn note_credential_event(&self, it: &CredentialEvent) -> Result<(), Failure> {
        let (id, name) = match &it.what {
            Credential::UserCreated => (seen_id(&it.account, &it.user), "created_at"),
            Credential::KeyActivated(key) => (key_id(&it.account, key), "activated_at"),
            Credential::KeyCreated(key) => (key_id(&it.account, key), "created_at"),
        };
        let noted = self
            .update(&id)
            .update_expression("SET #name = :at, expires = :expires")
            .expression_attribute_names("#name", name)
            .expression_attribute_values(":at", number(it.at))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + SEEN_DAYS * 86_400))
            .send()
            .await;
        noted.map(|_| ()).map_err(|it| failure(&it))
    }

    /// When events say that these users were created, in seconds since 1970; those that none told of are missing.
    pub async fn created_users(
        &self,
        account: &AccountId,
        users: &[PrincipalName],
    ) -> Result<BTreeMap<String, i64>, Failure> {
        let prefix = format!("sweep#seen#{account}#");
        let mut found = BTreeMap::new();
        for some in users.chunks(AT_ONCE) {
            for item in self.items(some.iter().map(|it| seen_id(account, it)).collect()).await? {
                let name = string(&item, "id").and_then(|it| it.strip_prefix(&prefix).map(str::to_owned));
                if let Some(name) = name.filter(|_| item.contains_key("created_at")) {
                    found.insert(name, int(&item, "created_at"));
                }
            }
        }
        Ok(found)
    }

    /// What events told of these keys; of the others none did.
    pub async fn key_events(
        &self,
        account: &AccountId,
        keys: &[AccessKeyId],
    ) -> Result<BTreeMap<AccessKeyId, Told>, Failure> {
        let mut found = BTreeMap::new();
        for some in keys.chunks(AT_ONCE) {
            let ids: BTreeMap<_, _> = some.iter().map(|it| (key_id(account, it), it)).collect();
            for item in self.items(ids.keys().cloned().collect()).await? {
                let time = |name: &str| item.contains_key(name).then(|| int(&item, name));
                let told = Told { created: time("created_at"), activated: time("activated_at") };
                let key = |it: &Item| ids.get(&string(it, "id")?).copied().cloned();
                found.extend(key(&item).map(|it| (it, told)));
            }
        }
        Ok(found)
    }
}
