//! Who is being contained by whom, the snapshots, and what was done: one DynamoDB table.
//!
//! Kinds of items, by the beginning of their `id`:
//! - `lock#…`: the lease on a principal as a finding names it, with a fencing token; what a restore left
//!   for the name; and the finding itself, for whoever has to take it up should the holder be killed, each in an
//!   attribute of its own.
//! - `record#…`: one identity by its unique ID. The lease on the identity itself, whatever the findings
//!   call it; what was meant to be done, until it is in a snapshot; each response's snapshot, written once: a
//!   retry can't overwrite it with the contained state; what people were told. What was done long ago is in
//!   its parts, `record#…#part#<n>`: an item holds 400 KB.
//! - `suspects#…`: who is suspected around that identity, and whom a person closed.
//! - `evidence#…`: the reports on that identity: what was asked for, how many were made, the gist of the last. In the
//!   index `due` as well.
//! - `children#…`: whose credential is flagged, and what of what it made was looked at. In the index `due` as well.
//! - `breaker#…`: the principals contained in one hour for one threat, in one account or in all.
//! - `deferred#…`: whether the hour's digest of deferred findings was delivered.
//! - `due#…`: a finding that is to be taken up (again). Together with the leases they are in the index `due`.
//! - `told#…` and `digest#…`: what people were told of without a containment, and are to be.
//! - `request#…`: what people are asked, and what they decided; `asked#…`: which of them is open about an identity,
//!   and which are asked singly. In the index `due` as well.
//! - `ack#…`: a critical alert, until somebody acknowledges it. In the index `due` as well. `acked#…`: who clicked.
//! - `report#…`: what somebody reported with the form. In an index of their own, `unread`, until the responder has
//!   read them.
//! - `refused#…`: a refusal that people were told of.
//! - `lockout#…`: how often somebody tried the form's password in one minute.
//! - `drill#last`, `drill#created`: when the last drill of each kind passed.
//! - `slack#…`: the thread of a target in Slack, and what Slack is still to get for it.
//! - `guardrail#…`: that the guardrail on an account is ours, and for whom. In the index `due` as well.
//! - `sweep#…`: what the daily sweep remembers of an account, and of a day.
//! - `released#…`: what of an account's last sweep is to be asked or done; the sweeper can't write it.
//!
//! No secret is ever in it.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::AttributeValue;
use domain::finding::{Finding, Principal};
use domain::ids::AccountId;
use domain::outcome::Failure;
use sha2::{Digest, Sha256};

use crate::errors::{failure, is};

mod applied;
mod asked;
mod breaker;
mod cards;
pub mod children;
pub mod decision;
pub mod digest;
mod due;
pub mod evidence;
mod guardrail;
mod identity;
mod lease;
mod left;
mod lifts;
pub mod lockout;
mod made;
mod offers;
mod open_requests;
mod records;
mod refusals;
pub mod reports;
mod request_item;
mod requests;
pub mod slack;
mod snapshots;
mod suspects;
pub mod sweep;
mod watched;

pub use asked::Aimed;
pub use breaker::Reservation;
pub use due::{Due, Kind, Listed};
pub use guardrail::Guarded;
pub use identity::{Ending, Hold, IdentityLease};
pub use lease::{Acquired, Lease, Memory};
pub use left::Left;
pub use open_requests::Open;
pub use requests::{End, Joined};
pub use snapshots::Opened;
pub use suspects::Named;
pub use watched::Kept as KeptAlert;

/// Every action on the table.
pub const PERMISSIONS: &[&str] = &["dynamodb:GetItem", "dynamodb:UpdateItem"];

/// What listing what is due needs on top of them, on the index.
pub const DUE_PERMISSIONS: &[&str] = &["dynamodb:Query"];

const APPEND: &str = "applied = list_append(if_not_exists(applied, :empty), :done)";

type Item = HashMap<String, AttributeValue>;

pub struct Ledger {
    client: Client,
    table: String,
    /// The invocation that holds what is leased here.
    owner: String,
}

impl Ledger {
    pub fn new(client: Client, table: &str, owner: &str) -> Self {
        Self { client, table: table.to_owned(), owner: owner.to_owned() }
    }

    fn update(&self, id: &str) -> UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("id", text(id))
    }

    async fn item(&self, id: &str) -> Result<Item, Failure> {
        let request = self.client.get_item().table_name(&self.table).key("id", text(id)).consistent_read(true);
        Ok(request.send().await.map_err(|it| failure(&it))?.item.unwrap_or_default())
    }

    fn lock_id(account: &AccountId, principal: &str) -> String {
        format!("lock#{account}#{principal}")
    }

    pub fn record_id(account: &AccountId, unique_id: &str) -> String {
        format!("record#{account}#{unique_id}")
    }
}

/// Whom a finding's lease is about. One that names only a key or an ID has a lock of its own; both meet at
/// the identity's record.
fn principal(finding: &Finding) -> String {
    match &finding.access_key {
        Some(key) if finding.principal == Principal::KeyOwner => format!("key/{key}"),
        _ => finding.principal.target_key(),
    }
}

/// A finding in few bytes: a principal may be reported thousands of times.
fn mark(finding: &Finding) -> String {
    digest(&finding.id)
}

fn digest(text: &str) -> String {
    hex::encode(Sha256::digest(text)).chars().take(16).collect()
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

/// Whether the condition of a write held, which is done then.
async fn holds(request: UpdateItemFluentBuilder) -> Result<bool, Failure> {
    match request.send().await {
        Ok(_) => Ok(true),
        Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
        Err(error) => Err(failure(&error)),
    }
}

/// The item that stood against the condition of a write.
fn refused(error: SdkError<UpdateItemError>) -> Item {
    match error.into_service_error() {
        UpdateItemError::ConditionalCheckFailedException(it) => it.item.unwrap_or_default(),
        _ => Item::new(),
    }
}

fn string(item: &Item, name: &str) -> Option<String> {
    item.get(name)?.as_s().ok().cloned()
}

fn int(item: &Item, name: &str) -> i64 {
    item.get(name).and_then(|it| it.as_n().ok()).and_then(|it| it.parse().ok()).unwrap_or(0)
}

fn strings(item: &Item, name: &str) -> Vec<String> {
    item.get(name).and_then(|it| it.as_ss().ok()).cloned().unwrap_or_default()
}
