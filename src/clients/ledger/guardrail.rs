//! The guardrail on an account: `guardrail#<account>` says that it is ours, and for whom it was attached, as records.
//! It is in the index `due` until it is detached.
//!
//! Whoever attaches or detaches it holds the item meanwhile, so that nobody detaches what another has just come to rely
//! on. That it is meant to be attached is written before it is: whoever is killed between the two leaves it on the list.

use std::collections::BTreeSet;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::ReturnValue;
use domain::ids::{AccountId, Parse};
use domain::outcome::Failure;

use super::{Item, Ledger, holds, int, millis, millis_now, number, set, string, strings, text};
use crate::errors::{failure, is};

const BUCKET: &str = "guardrail";
/// How long one attaching or detaching may take, with every answer late.
const LEASE: Duration = Duration::from_secs(120);
/// How soon it is looked at again.
const AGAIN_MILLIS: i64 = 60_000;

/// What is known of the guardrail on an account, while nobody else changes it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Guarded {
    pub policy: Option<String>,
    /// Records of those that it was attached for.
    pub held_for: BTreeSet<String>,
    /// It was meant to be attached, and was not there before. All times in milliseconds since 1970.
    pub intent_at: Option<i64>,
    pub attached_at: Option<i64>,
    pub told_at: Option<i64>,
}

impl Guarded {
    /// What is attached was attached by us.
    pub fn is_ours(&self) -> bool {
        self.intent_at.is_some() || self.attached_at.is_some()
    }
}

impl Ledger {
    /// Takes the account's guardrail. `None`: another has it.
    pub async fn enter_guardrail(&self, account: &AccountId) -> Result<Option<Guarded>, Failure> {
        let now = SystemTime::now();
        let sent = self
            .update(&item_of(account))
            .update_expression("SET holder = :me, lease_until = :until")
            .condition_expression("attribute_not_exists(lease_until) OR lease_until < :now")
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":until", number(millis(now + LEASE)))
            .expression_attribute_values(":now", number(millis(now)))
            .return_values(ReturnValue::AllNew)
            .send()
            .await;
        match sent {
            Ok(output) => Ok(Some(guarded(&output.attributes.unwrap_or_default()))),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(None),
            Err(error) => Err(failure(&error)),
        }
    }

    /// It is not attached now, and is going to be for this identity too: from here on it is due.
    pub async fn intend_guardrail(&self, account: &AccountId, policy: &str, record: &str) -> Result<(), Failure> {
        let request = self
            .update(&item_of(account))
            .update_expression(
                "SET intent_at = :now, policy_id = :policy, due_bucket = :bucket, due_at = :at REMOVE attached_at ADD \
                 held_for :record",
            )
            .expression_attribute_values(":policy", text(policy))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":at", number(millis_now() + AGAIN_MILLIS))
            .expression_attribute_values(":record", set(record));
        self.of_holder(request).await
    }

    /// It is attached by us, for this identity too; gives the account's guardrail back.
    pub async fn guardrail_is_attached(&self, account: &AccountId, policy: &str, record: &str) -> Result<(), Failure> {
        let request = self
            .update(&item_of(account))
            .update_expression(
                "SET attached_at = if_not_exists(attached_at, :now), policy_id = :policy, due_bucket = :bucket, due_at = \
                 :at REMOVE holder, lease_until ADD held_for :record",
            )
            .expression_attribute_values(":policy", text(policy))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":at", number(millis_now() + AGAIN_MILLIS))
            .expression_attribute_values(":record", set(record));
        self.of_holder(request).await
    }

    /// Gives the account's guardrail back as it is.
    pub async fn leave_guardrail(&self, account: &AccountId) -> Result<(), Failure> {
        self.of_holder(self.update(&item_of(account)).update_expression("REMOVE holder, lease_until")).await
    }

    /// Gives it back; it is looked at again at `at`. `told_at`: people were told of it.
    pub async fn put_guardrail_off(&self, account: &AccountId, at: i64, told_at: Option<i64>) -> Result<(), Failure> {
        let mut sets = "SET due_at = :at".to_owned();
        let mut request = self.update(&item_of(account)).expression_attribute_values(":at", number(at));
        if let Some(told_at) = told_at {
            sets.push_str(", told_at = :told");
            request = request.expression_attribute_values(":told", number(told_at));
        }
        self.of_holder(request.update_expression(format!("{sets} REMOVE holder, lease_until"))).await
    }

    /// Nothing of ours is attached to the account; gives it back.
    pub async fn forget_guardrail(&self, account: &AccountId) -> Result<(), Failure> {
        let request = self.update(&item_of(account)).update_expression(
            "REMOVE holder, lease_until, held_for, policy_id, intent_at, attached_at, told_at, due_bucket, due_at",
        );
        self.of_holder(request).await
    }

    /// The accounts whose guardrail is to be looked at.
    pub async fn due_guardrails(&self, most: i32) -> Result<Vec<AccountId>, Failure> {
        let request = self.query(BUCKET, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        let items = found.map_err(|it| failure(&it))?.items.unwrap_or_default();
        let account = |it: &Item| AccountId::parse(string(it, "id")?.strip_prefix("guardrail#")?).ok();
        Ok(items.iter().filter_map(account).collect())
    }

    /// Whoever held it for too long does nothing to it any more.
    async fn of_holder(&self, request: UpdateItemFluentBuilder) -> Result<(), Failure> {
        let request =
            request.condition_expression("holder = :me").expression_attribute_values(":me", text(&self.owner));
        if holds(request).await? {
            return Ok(());
        }
        let message = "the account's guardrail was taken over by another invocation".to_owned();
        Err(Failure { code: "LeaseLost".to_owned(), message, retryable: true })
    }
}

fn item_of(account: &AccountId) -> String {
    format!("guardrail#{account}")
}

fn guarded(item: &Item) -> Guarded {
    let time = |name: &str| item.contains_key(name).then(|| int(item, name));
    Guarded {
        policy: string(item, "policy_id"),
        held_for: strings(item, "held_for").into_iter().collect(),
        intent_at: time("intent_at"),
        attached_at: time("attached_at"),
        told_at: time("told_at"),
    }
}
