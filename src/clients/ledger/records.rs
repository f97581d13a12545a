//! What is known of one identity: what was done to it, how that ended, and whether it was restored.

use domain::answered::{Answered, Answers};
use domain::command::DrillKind;
use domain::containment::admission::{Holder, KNOWN_MILLIS};
use domain::finding::Finding;
use domain::history::{Kept, Past, Restoration};
use domain::identity::Identity;
use domain::ids::{AccountId, Arn, UniqueId};
use domain::outcome::Failure;
use domain::suspects::{Suspect, Suspects};
use domain::verdict::Verdict;

use super::{Item, Ledger, children, int, millis_now, number, principal, snapshots, string, strings};
use crate::errors::failure;

/// How long after the last response an incident counts as the one for its identity. GuardDuty repeats
/// a finding every six hours.
const INCIDENT_MILLIS: i64 = 24 * 3_600_000;

impl Ledger {
    pub fn record_of(identity: &Identity) -> String {
        let account = Arn::parse(&identity.arn).map_or("", |it| it.account);
        format!("record#{account}#{}", identity.id)
    }

    /// What earlier responses left but for the suspects, without taking the identity.
    pub async fn past(&self, identity: &Identity) -> Result<Past, Failure> {
        Ok(past(&self.item(&Self::record_of(identity)).await?, millis_now()))
    }

    /// The same by the ID of the record.
    pub async fn past_of(&self, record: &str) -> Result<Past, Failure> {
        Ok(past(&self.item(record).await?, millis_now()))
    }

    pub async fn kept(&self, identity: &Identity) -> Result<Kept, Failure> {
        Ok(kept(&self.item(&Self::record_of(identity)).await?))
    }

    /// The same by the unique ID alone.
    pub async fn kept_by_id(&self, account: &AccountId, unique_id: &UniqueId) -> Result<Kept, Failure> {
        Ok(kept(&self.item(&Self::record_id(account, unique_id.as_str())).await?))
    }

    /// The ID of the record that a principal's lease led to, for one that IAM does not know any more.
    pub async fn record_of_name(&self, account: &AccountId, principal: &str) -> Result<Option<String>, Failure> {
        Ok(string(&self.item(&Self::lock_id(account, principal)).await?, "record_id"))
    }

    /// The record that a finding's principal last led to.
    pub async fn kept_by_name(&self, finding: &Finding) -> Result<Option<Kept>, Failure> {
        match self.record_of_name(&finding.account, &principal(finding)).await? {
            Some(record) => Ok(Some(self.kept_of(&record).await?)),
            None => Ok(None),
        }
    }

    /// A record by its ID.
    pub async fn kept_of(&self, record: &str) -> Result<Kept, Failure> {
        Ok(kept(&self.item(record).await?))
    }

    /// When the last drill of a kind passed, in milliseconds since 1970.
    pub async fn last_drill(&self, kind: DrillKind) -> Result<Option<i64>, Failure> {
        let item = self.item(last_drill(kind)).await?;
        Ok(item.contains_key("passed_at").then(|| int(&item, "passed_at")))
    }

    pub async fn keep_drill(&self, kind: DrillKind, passed_at: i64) -> Result<(), Failure> {
        let request = self.update(last_drill(kind)).update_expression("SET passed_at = :at");
        let sent = request.expression_attribute_values(":at", number(passed_at)).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }
}

const fn last_drill(kind: DrillKind) -> &'static str {
    match kind {
        DrillKind::Reported => "drill#last",
        DrillKind::Created => "drill#created",
    }
}

fn verdict(item: &Item) -> Option<Verdict> {
    string(item, "verdict")?.parse().ok()
}

/// What earlier responses left, from the record as it was at the beginning of this one.
/// Suspects are in an item of their own.
pub(super) fn past(item: &Item, now: i64) -> Past {
    // An incident of long ago is over, and says nothing about what happens today.
    let is_recent = now - int(item, "last_seen") < INCIDENT_MILLIS;
    Past {
        verdict: verdict(item),
        incident: string(item, "incident").filter(|_| is_recent),
        held_at: item.contains_key("held_at").then(|| int(item, "held_at")),
        first_seen: item.contains_key("first_seen").then(|| int(item, "first_seen")),
        told: string(item, "told"),
        is_rotated: item.contains_key("is_rotated"),
        suspects: Suspects::default(),
        unkept: strings(item, "unkept").iter().filter_map(|it| Suspect::of_short(it)).collect(),
        intents: snapshots::intents(item),
        is_open: item.contains_key("lease_until"),
        is_known: now - int(item, "contained_at") < KNOWN_MILLIS,
        responses: snapshots::open(item),
    }
}

pub(super) fn answers(item: &Item) -> Answers {
    let all = strings(item, "answered").iter().filter_map(|it| Answered::of_record(it)).collect();
    Answers { all, has_others: item.contains_key("has_others") }
}

pub(super) fn kept(item: &Item) -> Kept {
    let time = |name: &str| item.contains_key(name).then(|| int(item, name));
    let given_back = item.get("given_back").and_then(|it| it.as_ss().ok());
    let applied = item.get("applied").and_then(|it| it.as_l().ok()).into_iter().flatten();
    Kept {
        responses: snapshots::open(item),
        is_begun: !snapshots::intents(item).is_empty(),
        given_back: given_back.into_iter().flatten().cloned().collect(),
        principal: string(item, "principal"),
        arn: string(item, "arn"),
        verdict: verdict(item),
        incident: string(item, "incident"),
        first_seen: time("first_seen"),
        last_seen: time("last_seen"),
        held_at: time("held_at"),
        applied: applied.filter_map(|it| serde_json::from_str(it.as_s().ok()?).ok()).collect(),
        is_restored_told: item.contains_key("restored_told"),
        children: children::each(item, children::CHILDREN),
        parents: children::each(item, children::PARENTS),
        answered: answers(item),
        is_being_restored: string(item, "playbook").as_deref() == Some(Holder::Restore.word())
            && int(item, "lease_until") >= millis_now(),
        restored: time("restored_at").map(|at| Restoration {
            at,
            by: string(item, "restored_by").unwrap_or_default(),
            reason: string(item, "restored_reason").unwrap_or_default(),
            applied: Vec::new(),
            given_back: Vec::new(),
        }),
    }
}
