//! What is known of one identity: the snapshot, what was done to it, and whether it was restored.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::history::{Kept, Past, Restoration};
use domain::identity::Identity;
use domain::ids::{AccountId, Arn};
use domain::outcome::Failure;
use domain::verdict::Verdict;
use serde_json::Value;

use super::{Item, Lease, Ledger, int, millis_now, number, string, text};
use crate::errors::{failure, is};

/// How long after the last response an incident counts as the one for its identity. GuardDuty repeats
/// a finding every six hours.
const INCIDENT_MILLIS: i64 = 24 * 3_600_000;

/// What a response leaves.
pub struct Ending<'a> {
    pub identity: &'a Identity,
    pub verdict: Verdict,
    pub incident: Option<&'a str>,
    /// When it was last read to be in place, all of it: milliseconds since 1970.
    pub held_at: Option<i64>,
    /// One JSON text an action.
    pub applied: Vec<String>,
}

impl Ledger {
    pub fn record_id(account: &AccountId, unique_id: &str) -> String {
        format!("record#{account}#{unique_id}")
    }

    pub(super) fn record_of(identity: &Identity) -> String {
        let account = Arn::parse(&identity.arn).map_or("", |it| it.account);
        format!("record#{account}#{}", identity.id)
    }

    async fn item(&self, id: &str) -> Result<Item, Failure> {
        let request = self.client.get_item().table_name(&self.table).key("id", text(id)).consistent_read(true);
        Ok(request.send().await.map_err(|it| failure(&it))?.item.unwrap_or_default())
    }

    pub async fn past(&self, identity: &Identity) -> Result<Past, Failure> {
        let item = self.item(&Self::record_of(identity)).await?;
        // An incident of long ago is over, and says nothing about what happens today.
        let is_recent = millis_now() - int(&item, "last_seen") < INCIDENT_MILLIS;
        let incident = string(&item, "incident").filter(|_| is_recent);
        let held_at = item.contains_key("held_at").then(|| int(&item, "held_at"));
        Ok(Past { verdict: verdict(&item), incident, held_at })
    }

    pub async fn kept(&self, identity: &Identity) -> Result<Kept, Failure> {
        Ok(kept(&self.item(&Self::record_of(identity)).await?))
    }

    /// The record that a principal's lease led to, for one that IAM does not know any more.
    pub async fn kept_of(&self, account: &AccountId, principal: &str) -> Result<Option<Kept>, Failure> {
        let lease = self.item(&Self::lock_id(account, principal)).await?;
        match string(&lease, "record_id") {
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
        if !planned.is_empty() {
            expression.push_str(" ADD planned :planned");
            request = request.expression_attribute_values(":planned", AttributeValue::Ss(planned));
        }
        request.update_expression(expression).send().await.map(|_| ()).map_err(|it| failure(&it))
    }

    /// A holder whose lease was taken over meanwhile has an older fence: what it did is kept, its
    /// verdict is not.
    pub(super) async fn append(&self, lease: &Lease, ending: &Ending<'_>) -> Result<(), Failure> {
        let id = Self::record_of(ending.identity);
        let done = AttributeValue::L(ending.applied.iter().cloned().map(text).collect());
        let mut request = self
            .update(&id)
            .condition_expression("attribute_not_exists(fence) OR fence <= :fence")
            .expression_attribute_values(":fence", number(lease.fence))
            .expression_attribute_values(":verdict", text(ending.verdict.name()))
            .expression_attribute_values(":empty", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":done", done.clone())
            .expression_attribute_values(":now", number(millis_now()));
        let mut expression = format!("SET fence = :fence, verdict = :verdict, last_seen = :now, {APPEND}");
        if let Some(incident) = ending.incident {
            expression.push_str(", incident = :incident");
            request = request.expression_attribute_values(":incident", text(incident));
        }
        if let Some(held_at) = ending.held_at {
            expression.push_str(", held_at = :held");
            request = request.expression_attribute_values(":held", number(held_at));
        }
        match request.update_expression(expression).send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                tracing::warn!("a later holder of the lease has written its verdict: ours is left out");
                let request = self.update(&id).update_expression(format!("SET {APPEND}"));
                let request = request.expression_attribute_values(":empty", AttributeValue::L(Vec::new()));
                let sent = request.expression_attribute_values(":done", done).send().await;
                sent.map(|_| ()).map_err(|it| failure(&it))
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
    pub async fn keep_restoration(&self, lease: &Lease, identity: &Identity, it: Restoration) -> Result<(), Failure> {
        let request = self
            .update(&Self::record_of(identity))
            .update_expression(format!(
                "SET fence = :fence, restored_at = :at, restored_by = :by, restored_reason = :reason, \
                 restored_state = if_not_exists(before_state, restored_state), {APPEND} REMOVE before_state, planned, verdict, incident, first_seen, held_at"
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

fn kept(item: &Item) -> Kept {
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
