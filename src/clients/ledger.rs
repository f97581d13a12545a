//! Who is being contained by whom, the snapshots, and what was done: one DynamoDB table.
//!
//! Seven kinds of items, by the beginning of their `id`:
//! - `lock#…`: the lease on a principal, with a fencing token. Of many concurrent
//!   invocations one executes; the others leave their finding and go.
//! - `record#…`: one identity by its unique ID. Each response's snapshot is written once: a retry can't
//!   overwrite it with the contained state.
//! - `breaker#…`: the principals contained in one hour, in one account or in all.
//! - `deferred#…`: the findings that the breaker put off in one hour.
//! - `told#…` and `digest#…`: what people were told of without a containment, and are to be.
//! - `drill#last`: when the last drill passed.
//!
//! No secret is ever in it.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use sha2::{Digest, Sha256};

use crate::errors::{failure, is};
use domain::finding::{Finding, HubReference, Principal};
use domain::history::Restored;
use domain::ids::{AccountId, Parse, Region};
use domain::outcome::Failure;

mod breaker;
mod digest;
mod records;
mod snapshots;

pub use records::Ending;
pub use snapshots::Opened;

/// Every action on the table.
pub const PERMISSIONS: &[&str] = &["dynamodb:GetItem", "dynamodb:UpdateItem"];

type Item = HashMap<String, AttributeValue>;

pub struct Ledger {
    client: Client,
    table: String,
    /// The invocation that holds what is claimed here.
    owner: String,
}

/// The right to respond to a principal, until the lease runs out. The fence is when it was claimed:
/// whoever claimed earlier has lost it.
#[derive(Debug, Clone)]
pub struct Lease {
    id: String,
    fence: i64,
    /// The principal was responded to before, so that it is no new one.
    pub is_known: bool,
    /// A previous attempt applied containment and stopped before saving the snapshot: a deny found now is
    /// ours.
    pub is_resumed: bool,
    pub restored: Option<Restored>,
}

pub enum Acquired {
    Lease(Lease),
    /// Another invocation is at it, and will see to our finding too.
    Busy {
        owner: String,
    },
}

fn text(it: impl Into<String>) -> AttributeValue {
    AttributeValue::S(it.into())
}

fn number(it: impl ToString) -> AttributeValue {
    AttributeValue::N(it.to_string())
}

fn set(it: impl Into<String>) -> AttributeValue {
    AttributeValue::Ss(vec![it.into()])
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}

fn millis_now() -> i64 {
    millis(SystemTime::now())
}

/// Whom a finding's lease is about. One that names only a key or an ID has a lock of its own: beside
/// one that names the user both run, and do nothing twice that must not be.
fn principal(finding: &Finding) -> String {
    match &finding.access_key {
        Some(key) if finding.principal == Principal::KeyOwner => format!("key/{key}"),
        _ => finding.principal.target_key(),
    }
}

/// A finding in few bytes: a principal may be reported thousands of times.
fn mark(finding: &Finding) -> String {
    hex::encode(Sha256::digest(&finding.id)).chars().take(16).collect()
}

impl Ledger {
    pub fn new(client: Client, table: &str, owner: &str) -> Self {
        Self { client, table: table.to_owned(), owner: owner.to_owned() }
    }

    fn update(&self, id: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("id", text(id))
    }

    fn lock_id(account: &AccountId, principal: &str) -> String {
        format!("lock#{account}#{principal}")
    }

    /// Acquires the lease on the finding's principal until `until`, or leaves the finding with whoever has it.
    pub async fn acquire(&self, finding: &Finding, until: SystemTime) -> Result<Acquired, Failure> {
        let id = Self::lock_id(&finding.account, &principal(finding));
        // A lease that runs out between the two calls is tried for once more.
        for _ in 0..2 {
            let now = millis_now();
            let owner = match self.take(&id, until, now, Some(&mark(finding))).await? {
                Acquired::Busy { owner } => owner,
                won @ Acquired::Lease(_) => return Ok(won),
            };
            if self.wait_along(&id, finding, now).await? {
                return Ok(Acquired::Busy { owner });
            }
        }
        Err(Failure {
            code: "Contended".to_owned(),
            message: "the lease changed hands twice".to_owned(),
            retryable: true,
        })
    }

    /// Acquires the lease on a principal for a command, which leaves nothing behind when another is at it.
    pub async fn acquire_for(
        &self,
        account: &AccountId,
        principal: &str,
        until: SystemTime,
    ) -> Result<Acquired, Failure> {
        self.take(&Self::lock_id(account, principal), until, millis_now(), None).await
    }

    async fn take(&self, id: &str, until: SystemTime, now: i64, mark: Option<&str>) -> Result<Acquired, Failure> {
        let mut request = self
            .update(id)
            .condition_expression("attribute_not_exists(lease_until) OR lease_until < :now OR holder = :me")
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":until", number(millis(until)))
            .expression_attribute_values(":now", number(now))
            .return_values(ReturnValue::AllNew)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        let mut expression = "SET holder = :me, lease_until = :until, fence = :now, \
                              unfinished = if_not_exists(unfinished, :now)"
            .to_owned();
        if let Some(mark) = mark {
            expression.push_str(" ADD seen :seen");
            request = request.expression_attribute_values(":seen", set(mark));
        }
        let error = match request.update_expression(expression).send().await {
            Ok(output) => {
                let item = output.attributes.unwrap_or_default();
                return Ok(Acquired::Lease(Lease {
                    id: id.to_owned(),
                    fence: int(&item, "fence"),
                    is_known: item.contains_key("record_id"),
                    is_resumed: int(&item, "unfinished") < now,
                    restored: restored(&item, mark),
                }));
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => error,
            Err(error) => return Err(failure(&error)),
        };
        let holder = match error.into_service_error() {
            UpdateItemError::ConditionalCheckFailedException(it) => {
                it.item.as_ref().and_then(|it| string(it, "holder"))
            }
            _ => None,
        };
        Ok(Acquired::Busy { owner: holder.unwrap_or_else(|| "another invocation".to_owned()) })
    }

    /// Leaves the finding for the holder to set to NOTIFIED. False when nobody holds it any more.
    async fn wait_along(&self, id: &str, finding: &Finding, now: i64) -> Result<bool, Failure> {
        let left = self
            .update(id)
            .update_expression("ADD waiting :finding, seen :seen")
            .condition_expression("lease_until >= :now")
            .expression_attribute_values(":finding", set(waiting(finding)))
            .expression_attribute_values(":seen", set(mark(finding)))
            .expression_attribute_values(":now", number(now))
            .send()
            .await;
        match left {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Appends what was done, then releases the lease. Returns the findings that were left with us
    /// meanwhile. `is_finished`: nothing was struck without the snapshot being saved.
    pub async fn close(
        &self,
        lease: &Lease,
        ending: Option<Ending<'_>>,
        is_finished: bool,
    ) -> Result<Vec<HubReference>, Failure> {
        let record = ending.as_ref().map(|it| Self::record_of(it.identity));
        let append = async {
            match &ending {
                Some(ending) => self.append(lease, ending).await,
                None => Ok(()),
            }
        };
        let (appended, released) = tokio::join!(append, self.release(lease, record, is_finished));
        appended?;
        released
    }

    /// Releases the lease, with the record that it led to.
    pub async fn release(
        &self,
        lease: &Lease,
        record: Option<String>,
        is_finished: bool,
    ) -> Result<Vec<HubReference>, Failure> {
        let mut expression = "REMOVE lease_until, holder, waiting".to_owned();
        if is_finished {
            expression.push_str(", unfinished");
        }
        let mut request = self
            .update(&lease.id)
            .condition_expression("fence = :fence")
            .expression_attribute_values(":fence", number(lease.fence))
            .return_values(ReturnValue::AllOld);
        if let Some(record) = record {
            expression.insert_str(0, "SET record_id = :record ");
            request = request.expression_attribute_values(":record", text(record));
        }
        let item = match request.update_expression(expression).send().await {
            Ok(output) => output.attributes.unwrap_or_default(),
            // Given back by a try whose answer was lost, or taken over: it is not ours any more.
            Err(error) if is(&error, "ConditionalCheckFailedException") => return Ok(Vec::new()),
            Err(error) => return Err(failure(&error)),
        };
        let left = item.get("waiting").and_then(|it| it.as_ss().ok()).cloned().unwrap_or_default();
        Ok(left.iter().filter_map(|it| parse_waiting(it)).collect())
    }

    /// Notes on a principal's lease that a person took the containment back, and which findings were
    /// known then: they come again, and must not contain it again at once.
    pub async fn note_restored(
        &self,
        account: &AccountId,
        principal: &str,
        unique_id: &str,
        at: i64,
    ) -> Result<(), Failure> {
        let request = self
            .update(&Self::lock_id(account, principal))
            .update_expression(
                "SET restored_at = :at, restored_id = :id, noted = if_not_exists(seen, :none) REMOVE seen, record_id",
            )
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":id", text(unique_id))
            // A set is never empty.
            .expression_attribute_values(":none", set("-"));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}

fn restored(item: &Item, mark: Option<&str>) -> Option<Restored> {
    let noted = item.get("noted").and_then(|it| it.as_ss().ok());
    Some(Restored {
        at: int(item, "restored_at") / 1_000,
        unique_id: string(item, "restored_id")?,
        is_noted: noted.into_iter().flatten().any(|it| Some(it.as_str()) == mark),
    })
}

/// A finding that waits for another invocation's verdict.
fn waiting(finding: &Finding) -> String {
    match &finding.security_hub {
        Some(it) => serde_json::json!([it.id, it.product_arn, it.region]).to_string(),
        None => serde_json::json!([finding.id]).to_string(),
    }
}

fn parse_waiting(text: &str) -> Option<HubReference> {
    let [id, product_arn, region] = serde_json::from_str::<Vec<String>>(text).ok()?.try_into().ok()?;
    Some(HubReference { id, product_arn, region: Region::parse(&region).ok()? })
}

fn string(item: &Item, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

fn int(item: &Item, name: &str) -> i64 {
    item.get(name).and_then(|it| it.as_n().ok()).and_then(|it| it.parse().ok()).unwrap_or(0)
}
