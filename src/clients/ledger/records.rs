//! What is known of one identity: what was done to it, how that ended, and whether it was restored.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::history::{Kept, Past, Restoration};
use domain::identity::Identity;
use domain::ids::{AccountId, Arn};
use domain::outcome::Failure;
use domain::verdict::Verdict;

use super::snapshots::APPEND;
use super::{Item, Lease, Ledger, int, millis_now, number, snapshots, string, text};
use crate::errors::{failure, is};

/// How long after the last response an incident counts as the one for its identity. GuardDuty repeats
/// a finding every six hours.
const INCIDENT_MILLIS: i64 = 24 * 3_600_000;

/// What a response leaves.
pub struct Ending<'a> {
    pub identity: &'a Identity,
    pub verdict: Verdict,
    pub incident: Option<&'a str>,
    /// The response in whose snapshot it is part.
    pub response: Option<&'a str>,
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

    pub(super) async fn item(&self, id: &str) -> Result<Item, Failure> {
        let request = self.client.get_item().table_name(&self.table).key("id", text(id)).consistent_read(true);
        Ok(request.send().await.map_err(|it| failure(&it))?.item.unwrap_or_default())
    }

    pub async fn past(&self, identity: &Identity) -> Result<Past, Failure> {
        let item = self.item(&Self::record_of(identity)).await?;
        // An incident of long ago is over, and says nothing about what happens today.
        let is_recent = millis_now() - int(&item, "last_seen") < INCIDENT_MILLIS;
        let incident = string(&item, "incident").filter(|_| is_recent);
        Ok(Past { verdict: verdict(&item), incident, responses: snapshots::open(&item) })
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
        if let Some(response) = ending.response {
            expression.push_str(", #ended = :verdict");
            request = request.expression_attribute_names("#ended", snapshots::ended(response));
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
}

const LAST_DRILL: &str = "drill#last";

fn verdict(item: &Item) -> Option<Verdict> {
    string(item, "verdict")?.parse().ok()
}

fn kept(item: &Item) -> Kept {
    let time = |name: &str| item.contains_key(name).then(|| int(item, name));
    let given_back = item.get("given_back").and_then(|it| it.as_ss().ok());
    let applied = item.get("applied").and_then(|it| it.as_l().ok()).into_iter().flatten();
    Kept {
        responses: snapshots::open(item),
        given_back: given_back.into_iter().flatten().cloned().collect(),
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
            given_back: Vec::new(),
        }),
    }
}
