//! What is known of one identity: the snapshot, what was done to it, and whether it was restored.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::history::{Kept, Past, Restoration};
use domain::identity::Identity;
use domain::ids::{AccountId, Arn};
use domain::outcome::Failure;
use domain::verdict::Verdict;
use serde_json::Value;

use super::suspects::suspects;
use super::{IdentityLease, Item, Ledger, int, millis_now, number, string, strings, text};
use crate::errors::{failure, is};

/// How long after the last response an incident counts as the one for its identity. GuardDuty repeats
/// a finding every six hours.
const INCIDENT_MILLIS: i64 = 24 * 3_600_000;

/// An attacker who makes one key after the other adds a line each time, and an item holds 400 KB.
const MOST_PLANNED: usize = 300;

impl Ledger {
    pub fn record_of(identity: &Identity) -> String {
        let account = Arn::parse(&identity.arn).map_or("", |it| it.account);
        format!("record#{account}#{}", identity.id)
    }

    pub async fn kept(&self, identity: &Identity) -> Result<Kept, Failure> {
        Ok(kept(&self.item(&Self::record_of(identity)).await?))
    }

    /// The ID of the record that a principal's lease led to, for one that IAM does not know any more.
    pub async fn record_of_name(&self, account: &AccountId, principal: &str) -> Result<Option<String>, Failure> {
        Ok(string(&self.item(&Self::lock_id(account, principal)).await?, "record_id"))
    }

    /// The same record itself.
    pub async fn kept_of(&self, account: &AccountId, principal: &str) -> Result<Option<Kept>, Failure> {
        match self.record_of_name(account, principal).await? {
            Some(id) => Ok(Some(kept(&self.item(&id).await?))),
            None => Ok(None),
        }
    }

    /// Saves the snapshot before the first change that takes something away, and what is to be done. The
    /// first state to be written stays, whatever later tries saw.
    pub async fn save_snapshot(
        &self,
        identity: &Identity,
        before: &Value,
        planned: Vec<String>,
    ) -> Result<(), Failure> {
        let mut expression = "SET arn = :arn, principal = :name, before_state = if_not_exists(before_state, :before), \
                              first_seen = if_not_exists(first_seen, :now)"
            .to_owned();
        let mut request = self
            .update(&Self::record_of(identity))
            .expression_attribute_values(":arn", text(&identity.arn))
            .expression_attribute_values(":name", text(identity.name.as_str()))
            .expression_attribute_values(":before", text(before.to_string()))
            .expression_attribute_values(":now", number(millis_now()));
        let snapshot_only = request.clone().update_expression(expression.clone());
        if !planned.is_empty() {
            expression.push_str(" ADD planned :planned");
            request = request
                .condition_expression("attribute_not_exists(planned) OR size(planned) < :most")
                .expression_attribute_values(":most", number(MOST_PLANNED))
                .expression_attribute_values(":planned", AttributeValue::Ss(planned));
        }
        match request.update_expression(expression).send().await {
            Ok(_) => Ok(()),
            // A restore will name what it does not find among the planned as taken by somebody else.
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                snapshot_only.send().await.map(|_| ()).map_err(|it| failure(&it))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// When the last drill passed, in milliseconds since 1970.
    pub async fn last_drill(&self) -> Result<Option<i64>, Failure> {
        let item = self.item(LAST_DRILL).await?;
        Ok(item.contains_key("passed_at").then(|| int(&item, "passed_at")))
    }

    pub async fn keep_drill(&self, passed_at: i64) -> Result<(), Failure> {
        let request = self.update(LAST_DRILL).update_expression("SET passed_at = :at");
        let sent = request.expression_attribute_values(":at", number(passed_at)).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }

    /// Closes the record of a containment that was taken back: the next one begins anew. What was
    /// done stays in it.
    pub async fn keep_restoration(
        &self,
        lease: &IdentityLease,
        identity: &Identity,
        it: Restoration,
    ) -> Result<(), Failure> {
        let request = self
            .update(&Self::record_of(identity))
            .update_expression(format!(
                "SET fence = :fence, restored_at = :at, restored_by = :by, restored_reason = :reason, \
                 restored_state = if_not_exists(before_state, restored_state), {APPEND} REMOVE before_state, planned, verdict, incident, first_seen, told, is_rotated"
            ))
            // The second is a try of ours whose answer was lost.
            .condition_expression(
                "(attribute_exists(before_state) OR restored_at = :at) AND (attribute_not_exists(fence) OR fence <= :fence)",
            )
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":at", number(it.at))
            .expression_attribute_values(":by", text(it.by))
            .expression_attribute_values(":reason", text(it.reason))
            .expression_attribute_values(":empty", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":done", AttributeValue::L(it.applied.into_iter().map(text).collect()));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}

const LAST_DRILL: &str = "drill#last";

const APPEND: &str = "applied = list_append(if_not_exists(applied, :empty), :done)";

fn verdict(item: &Item) -> Option<Verdict> {
    string(item, "verdict")?.parse().ok()
}

/// What earlier responses left, from the record as it was at the beginning of this one.
pub(super) fn past(item: &Item, now: i64) -> Past {
    // An incident of long ago is over, and says nothing about what happens today.
    let is_recent = now - int(item, "last_seen") < INCIDENT_MILLIS;
    Past {
        verdict: verdict(item),
        incident: string(item, "incident").filter(|_| is_recent),
        first_seen: item.contains_key("first_seen").then(|| int(item, "first_seen")),
        told: string(item, "told"),
        is_rotated: item.contains_key("is_rotated"),
        suspects: suspects(item),
        is_struck: !strings(item, "planned").is_empty() && !item.contains_key("before_state"),
    }
}

fn closed(item: &Item) -> Vec<Value> {
    let closed = item.get("closed_suspects").and_then(|it| it.as_m().ok()).into_iter().flatten();
    closed.filter_map(|(_, it)| serde_json::from_str(it.as_s().ok()?).ok()).collect()
}

pub(super) fn kept(item: &Item) -> Kept {
    let time = |name: &str| item.contains_key(name).then(|| int(item, name));
    let planned = item.get("planned").and_then(|it| it.as_ss().ok());
    let applied = item.get("applied").and_then(|it| it.as_l().ok()).into_iter().flatten();
    Kept {
        before: string(item, "before_state").and_then(|it| serde_json::from_str(&it).ok()),
        planned: planned.into_iter().flatten().cloned().collect(),
        principal: string(item, "principal"),
        arn: string(item, "arn"),
        verdict: verdict(item),
        incident: string(item, "incident"),
        suspects: suspects(item),
        closed: closed(item),
        first_seen: time("first_seen"),
        last_seen: time("last_seen"),
        applied: applied.filter_map(|it| serde_json::from_str(it.as_s().ok()?).ok()).collect(),
        restored: time("restored_at").map(|at| Restoration {
            at,
            by: string(item, "restored_by").unwrap_or_default(),
            reason: string(item, "restored_reason").unwrap_or_default(),
            applied: Vec::new(),
        }),
    }
}
