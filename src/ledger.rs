//! Who is being contained by whom, the state before, and what was done: one DynamoDB table.
//!
//! Three kinds of items, by the beginning of their `id`:
//! - `lock#…`: the claim on a principal, with a lease and a fencing token. Of many concurrent
//!   invocations one executes; the others leave their finding and go.
//! - `record#…`: one identity by its unique ID. The before-state is written once: a retry can't
//!   overwrite it with the contained state.
//! - `breaker#…`: the principals contained in one hour, in one account or in all.
//!
//! No secret is ever in it.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};

use crate::action::Failure;
use crate::aws_error::{failure, is};
use crate::finding::{Finding, HubReference, Parse, Region};
use crate::identity::Identity;

/// Every action on the table.
pub const PERMISSIONS: &[&str] = &["dynamodb:GetItem", "dynamodb:UpdateItem"];

/// How long after the last response an incident counts as the one for its identity. GuardDuty repeats
/// a finding every six hours.
const INCIDENT_MILLIS: i64 = 24 * 3_600_000;

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
}

pub enum Claim {
    Won(Lease),
    /// Another invocation is at it, and will see to our finding too.
    Busy {
        owner: String,
    },
}

/// What an earlier response left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Past {
    pub verdict: Option<String>,
    pub incident: Option<String>,
}

/// What a response leaves.
pub struct Ending<'a> {
    pub identity: &'a Identity,
    pub verdict: &'a str,
    pub incident: Option<&'a str>,
    /// One JSON text an action.
    pub applied: Vec<String>,
}

fn text(it: impl Into<String>) -> AttributeValue {
    AttributeValue::S(it.into())
}

fn number(it: impl ToString) -> AttributeValue {
    AttributeValue::N(it.to_string())
}

fn millis(time: SystemTime) -> i64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |it| i64::try_from(it.as_millis()).unwrap_or(i64::MAX))
}

/// What a finding's claim is about. One that names only a key or an ID has a lock of its own: beside
/// one that names the user both run, and do nothing twice that must not be.
fn principal(finding: &Finding) -> String {
    match &finding.access_key {
        Some(key) if finding.principal == crate::finding::Principal::KeyOwner => format!("key/{key}"),
        _ => finding.principal.claim_key(),
    }
}

impl Ledger {
    pub fn new(client: Client, table: &str, owner: &str) -> Self {
        Self { client, table: table.to_owned(), owner: owner.to_owned() }
    }

    fn update(&self, id: &str) -> aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder {
        self.client.update_item().table_name(&self.table).key("id", text(id))
    }

    /// Claims the finding's principal until `until`, or leaves the finding with whoever has it.
    pub async fn claim(&self, finding: &Finding, until: SystemTime) -> Result<Claim, Failure> {
        let id = format!("lock#{}#{}", finding.account, principal(finding));
        // A lease that runs out between the two calls is tried for once more.
        for _ in 0..2 {
            let now = millis(SystemTime::now());
            let claimed = self
                .update(&id)
                .update_expression("SET holder = :me, lease_until = :until, fence = :now")
                .condition_expression("attribute_not_exists(lease_until) OR lease_until < :now OR holder = :me")
                .expression_attribute_values(":me", text(&self.owner))
                .expression_attribute_values(":until", number(millis(until)))
                .expression_attribute_values(":now", number(now))
                .return_values(ReturnValue::AllNew)
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
                .send()
                .await;
            let error = match claimed {
                Ok(output) => {
                    let item = output.attributes.unwrap_or_default();
                    return Ok(Claim::Won(Lease {
                        id,
                        fence: int(&item, "fence"),
                        is_known: item.contains_key("record_id"),
                    }));
                }
                Err(error) if is(&error, "ConditionalCheckFailedException") => error,
                Err(error) => return Err(failure(&error)),
            };
            let holder = match error.into_service_error() {
                aws_sdk_dynamodb::operation::update_item::UpdateItemError::ConditionalCheckFailedException(it) => {
                    it.item.as_ref().and_then(|it| string(it, "holder"))
                }
                _ => None,
            };
            if self.wait_along(&id, finding, now).await? {
                return Ok(Claim::Busy { owner: holder.unwrap_or_else(|| "another invocation".to_owned()) });
            }
        }
        Err(Failure {
            code: "Contended".to_owned(),
            message: "the lease changed hands twice".to_owned(),
            retryable: true,
        })
    }

    /// Leaves the finding for the holder to set to NOTIFIED. False when nobody holds it any more.
    async fn wait_along(&self, id: &str, finding: &Finding, now: i64) -> Result<bool, Failure> {
        let left = self
            .update(id)
            .update_expression("ADD waiting :finding")
            .condition_expression("lease_until >= :now")
            .expression_attribute_values(":finding", AttributeValue::Ss(vec![waiting(finding)]))
            .expression_attribute_values(":now", number(now))
            .send()
            .await;
        match left {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Whether one more principal may be contained automatically this hour, in its account and in
    /// all. One that is counted already may always. The hours are whole ones.
    pub async fn admit(&self, finding: &Finding, (account, all): (u32, u32)) -> Result<bool, Failure> {
        let hour = millis(SystemTime::now()) / 3_600_000;
        let name = format!("{}/{}", finding.account, principal(finding));
        let (own, total) = tokio::join!(
            self.count(format!("breaker#{}#{hour}", finding.account), &name, account, hour),
            self.count(format!("breaker#all#{hour}"), &name, all, hour)
        );
        Ok(own? && total?)
    }

    async fn count(&self, id: String, name: &str, limit: u32, hour: i64) -> Result<bool, Failure> {
        let counted = self
            .update(&id)
            .update_expression("ADD principals :set SET expires = :expires")
            .condition_expression(
                "attribute_not_exists(principals) OR contains(principals, :name) OR size(principals) < :limit",
            )
            .expression_attribute_values(":set", AttributeValue::Ss(vec![name.to_owned()]))
            .expression_attribute_values(":name", text(name))
            .expression_attribute_values(":limit", number(limit))
            .expression_attribute_values(":expires", number((hour + 48) * 3_600))
            .send()
            .await;
        match counted {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Keeps the deferred finding, and tells whether it is the first one of its hour: one digest is
    /// enough.
    pub async fn defer(&self, finding: &Finding) -> Result<bool, Failure> {
        let hour = millis(SystemTime::now()) / 3_600_000;
        let kept = serde_json::json!([finding.id, finding.account, principal(finding)]).to_string();
        let output = self
            .update(&format!("deferred#{hour}"))
            .update_expression("ADD findings :finding")
            .expression_attribute_values(":finding", AttributeValue::Ss(vec![kept]))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|it| failure(&it))?;
        Ok(!output.attributes.unwrap_or_default().contains_key("findings"))
    }

    fn record_id(identity: &Identity) -> String {
        let account = crate::finding::Arn::parse(&identity.arn).map_or("", |it| it.account);
        format!("record#{account}#{}", identity.id)
    }

    pub async fn past(&self, identity: &Identity) -> Result<Past, Failure> {
        let request = self.client.get_item().table_name(&self.table).key("id", text(Self::record_id(identity)));
        let item = request.consistent_read(true).send().await.map_err(|it| failure(&it))?.item.unwrap_or_default();
        // An incident of long ago is over, and says nothing about what happens today.
        let is_recent = millis(SystemTime::now()) - int(&item, "last_seen") < INCIDENT_MILLIS;
        let incident = string(&item, "incident").filter(|_| is_recent);
        Ok(Past { verdict: string(&item, "verdict"), incident })
    }

    /// Keeps the state before the first change that takes something away. The first to be written
    /// stays, whatever later tries saw.
    pub async fn keep_before(&self, identity: &Identity, before: &str) -> Result<(), Failure> {
        let request = self.update(&Self::record_id(identity)).update_expression(
            "SET arn = :arn, principal = :name, before_state = if_not_exists(before_state, :before), \
             first_seen = if_not_exists(first_seen, :now)",
        );
        let request = request
            .expression_attribute_values(":arn", text(&identity.arn))
            .expression_attribute_values(":name", text(identity.name.as_str()))
            .expression_attribute_values(":before", text(before))
            .expression_attribute_values(":now", number(millis(SystemTime::now())));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }

    /// Appends what was done, then gives the claim back. Returns the findings that were left with us
    /// meanwhile.
    pub async fn close(&self, lease: &Lease, ending: Option<Ending<'_>>) -> Result<Vec<HubReference>, Failure> {
        let record = ending.as_ref().map(|it| Self::record_id(it.identity));
        let (appended, released) = tokio::join!(self.append(lease, ending), self.release(lease, record));
        appended?;
        released
    }

    /// A holder whose lease was taken over meanwhile has an older fence and is refused.
    async fn append(&self, lease: &Lease, ending: Option<Ending<'_>>) -> Result<(), Failure> {
        let Some(ending) = ending else { return Ok(()) };
        let mut request = self
            .update(&Self::record_id(ending.identity))
            .condition_expression("attribute_not_exists(fence) OR fence <= :fence")
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":verdict", text(ending.verdict))
            .expression_attribute_values(":empty", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":done", AttributeValue::L(ending.applied.into_iter().map(text).collect()))
            .expression_attribute_values(":now", number(millis(SystemTime::now())));
        let mut expression = "SET fence = :fence, verdict = :verdict, last_seen = :now, \
                              applied = list_append(if_not_exists(applied, :empty), :done)"
            .to_owned();
        if let Some(incident) = ending.incident {
            expression.push_str(", incident = :incident");
            request = request.expression_attribute_values(":incident", text(incident));
        }
        match request.update_expression(expression).send().await {
            Ok(_) => Ok(()),
            // Whoever took over has the last word on the verdict; what we did is still in CloudTrail.
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                tracing::warn!("a later holder of the claim has written its verdict: ours is left out");
                Ok(())
            }
            Err(error) => Err(failure(&error)),
        }
    }

    async fn release(&self, lease: &Lease, record: Option<String>) -> Result<Vec<HubReference>, Failure> {
        let mut expression = "REMOVE lease_until, holder, waiting".to_owned();
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
