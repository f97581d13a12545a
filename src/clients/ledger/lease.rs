//! The lease on a principal as a finding names it: of many invocations that go by the same name one
//! executes, and whoever comes later learns what the holder is and whom it struck.

use std::time::SystemTime;

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue, ReturnValuesOnConditionCheckFailure};
use domain::containment::admission::{Held, Holder, KNOWN_MILLIS};
use domain::finding::{Finding, Threat};
use domain::history::Restored;
use domain::identity::Identity;
use domain::ids::AccountId;
use domain::outcome::Failure;

use super::due::{BUCKET, GRACE_MILLIS};
use super::left::{self, Left};
use super::{
    Item, Ledger, holds, int, mark, millis, millis_now, number, principal, refused, set, string, strings, text,
};
use crate::errors::{failure, is};

/// How many findings a principal is known by: an attacker may cause thousands.
const MOST_SEEN: usize = 2_000;

/// The right to respond to a principal, until it runs out. The fence is when it was acquired: whoever
/// acquired earlier has lost it.
#[derive(Debug, Clone)]
pub struct Lease {
    id: String,
    fence: i64,
    seen: usize,
    pub memory: Memory,
    /// Of the holder's own finding, the attribute that keeps it.
    own: Option<String>,
    left: Left,
    is_left_listed: bool,
}

impl Lease {
    /// What holders that were killed left undone, but for the finding that the lease is for now.
    pub fn left(&self) -> impl Iterator<Item = &Finding> {
        self.left.findings.iter()
    }

    /// All of it is on the list of what is due: the lease need not keep it any more.
    pub fn left_is_listed(&mut self) {
        self.is_left_listed = true;
    }
}

/// What the ledger remembers of a principal as a finding names it.
#[derive(Debug, Clone, Default)]
pub struct Memory {
    /// The principal was contained within a day, so that it is no new one.
    pub is_known: bool,
    /// A previous attempt applied containment and stopped before saving the snapshot: a deny found now is
    /// ours.
    pub is_resumed: bool,
    /// A previous attempt began, and nobody knows how far it came: it never ended.
    pub is_unfinished: bool,
    pub restored: Option<Restored>,
}

pub enum Acquired {
    Lease(Lease),
    /// Somebody is at it. The memory is what the holder had too.
    Busy {
        held: Held,
        memory: Memory,
    },
}

impl Ledger {
    /// Acquires the lease on the finding's principal until `until`. The lease itself is due when it runs
    /// out, with the finding: a holder that was killed is missed, whoever called it. What an earlier one left stays
    /// beside it. `takes_place`: of the hour's budget, unless the principal is known.
    pub async fn acquire(&self, finding: &Finding, until: SystemTime, takes_place: bool) -> Result<Acquired, Failure> {
        let now = millis_now();
        let word = Holder::Response(finding.threat).word();
        let request = self
            .update(&Self::lock_id(&finding.account, &principal(finding)))
            .update_expression(
                "SET holder = :me, lease_until = :until, fence = :now, playbook = :playbook, #finding = :finding, \
                 due_bucket = :bucket, due_at = :due, unfinished = if_not_exists(unfinished, :now), \
                 takes_place = :place \
                 REMOVE struck_id ADD unfinished_by :by",
            )
            .expression_attribute_names("#finding", left::attribute(finding))
            .expression_attribute_values(":finding", text(finding.kept()))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":place", AttributeValue::Bool(takes_place))
            .expression_attribute_values(":by", set(word));
        self.take(request, word, until, now, Some(finding)).await
    }

    /// Acquires the lease on an identity's name for a restore. What somebody left on it is due when the lease runs
    /// out, should the restore be killed; where nobody left anything, no time makes it due.
    pub async fn acquire_to_restore(
        &self,
        account: &AccountId,
        principal: &str,
        identity: &Identity,
        until: SystemTime,
    ) -> Result<Acquired, Failure> {
        let request = self
            .update(&Self::lock_id(account, principal))
            .update_expression(
                "SET holder = :me, lease_until = :until, fence = :now, playbook = :playbook, struck_id = :id, \
                 due_at = :due REMOVE takes_place",
            )
            .expression_attribute_values(":id", text(identity.id.as_str()));
        self.take(request, Holder::Restore.word(), until, millis_now(), None).await
    }

    /// What earlier responses and restores left for a principal, without the lease.
    pub async fn remembered(&self, finding: &Finding) -> Result<Memory, Failure> {
        let item = self.item(&Self::lock_id(&finding.account, &principal(finding))).await?;
        Ok(memory(&item, &mark(finding), millis_now()))
    }

    async fn take(
        &self,
        request: UpdateItemFluentBuilder,
        word: &str,
        until: SystemTime,
        now: i64,
        finding: Option<&Finding>,
    ) -> Result<Acquired, Failure> {
        let mark = &finding.map(mark).unwrap_or_default();
        let id = request.get_key().as_ref().and_then(|it| string(it, "id")).unwrap_or_default();
        let sent = request
            .condition_expression("attribute_not_exists(lease_until) OR lease_until < :now OR holder = :me")
            .expression_attribute_values(":me", text(&self.owner))
            .expression_attribute_values(":until", number(millis(until)))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":due", number(millis(until) + GRACE_MILLIS))
            .expression_attribute_values(":playbook", text(word))
            .return_values(ReturnValue::AllOld)
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(output) => {
                let item = output.attributes.unwrap_or_default();
                let seen = strings(&item, "seen").len();
                let own = finding.map(left::attribute);
                let left = left::left(&item, own.as_deref());
                let memory = memory(&item, mark, now);
                Ok(Acquired::Lease(Lease { id, fence: now, seen, memory, own, left, is_left_listed: false }))
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                let item = refused(error);
                Ok(Acquired::Busy { held: held(&item, "struck_id"), memory: memory(&item, mark, now) })
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Says on the lease whom the holder struck: who comes by the same name now can leave it to the holder.
    pub async fn note_struck(&self, lease: &Lease, identity: &Identity) -> Result<(), Failure> {
        let request = self
            .update(&lease.id)
            .update_expression("SET struck_id = :id")
            .condition_expression("fence = :fence")
            .expression_attribute_values(":id", text(identity.id.as_str()))
            .expression_attribute_values(":fence", number(lease.fence));
        // Given up meanwhile.
        holds(request).await.map(|_| ())
    }

    /// Says that the finding came, for a restore to know which ones it answers.
    pub async fn note_seen(&self, finding: &Finding) -> Result<(), Failure> {
        let lock = self.update(&Self::lock_id(&finding.account, &principal(finding)));
        let seen = set(mark(finding));
        let request = lock
            .clone()
            .update_expression("ADD seen :seen")
            .condition_expression("attribute_not_exists(seen) OR size(seen) < :most")
            .expression_attribute_values(":seen", seen.clone())
            .expression_attribute_values(":most", number(MOST_SEEN));
        match request.send().await {
            Ok(_) => Ok(()),
            // Those that come again are among the latest.
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                let anew = lock.update_expression("SET seen = :seen").expression_attribute_values(":seen", seen);
                anew.send().await.map(|_| ()).map_err(|it| failure(&it))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Releases the lease. `record`: of whom it led to, when something was done. `is_finished`: nothing was
    /// struck without the snapshot being saved. What somebody left on it, and that could not be put on the list, is
    /// due now.
    pub async fn release(
        &self,
        lease: &Lease,
        finding: Option<&Finding>,
        record: Option<String>,
        is_finished: bool,
    ) -> Result<(), Failure> {
        let mut sets = Vec::new();
        let mut removes: Vec<_> =
            ["lease_until", "holder", "playbook", "struck_id", "takes_place"].map(str::to_owned).into();
        let mut request = self
            .update(&lease.id)
            .condition_expression("fence = :fence")
            .expression_attribute_values(":fence", number(lease.fence));
        let is_left = !(lease.left.names.is_empty() || lease.is_left_listed);
        if is_left {
            sets.push("due_at = :now");
        } else {
            removes.extend(["due_bucket", "due_at"].map(str::to_owned));
        }
        let done = lease.own.iter().chain(lease.left.names.iter().filter(|_| !is_left));
        for (n, name) in done.enumerate() {
            removes.push(format!("#done{n}"));
            request = request.expression_attribute_names(format!("#done{n}"), name);
        }
        if is_finished {
            removes.extend(["unfinished", "unfinished_by"].map(str::to_owned));
        }
        if let Some(record) = record {
            sets.extend(["record_id = :record", "contained_at = :now"]);
            request = request.expression_attribute_values(":record", text(record));
        }
        if is_left || sets.contains(&"record_id = :record") {
            request = request.expression_attribute_values(":now", number(millis_now()));
        }
        let mut add = "";
        if let Some(finding) = finding {
            request = request.expression_attribute_values(":seen", set(mark(finding)));
            if lease.seen < MOST_SEEN {
                add = " ADD seen :seen";
            } else {
                sets.push("seen = :seen");
            }
        }
        let set = if sets.is_empty() { String::new() } else { format!("SET {} ", sets.join(", ")) };
        let expression = format!("{set}REMOVE {}{add}", removes.join(", "));
        // Released by a try whose answer was lost, or taken over: it is not ours any more.
        holds(request.update_expression(expression)).await.map(|_| ())
    }

    /// Notes on a principal that somebody else has the lease on to whom it led, as `release` does.
    pub async fn note_contained(&self, finding: &Finding, record: &str) -> Result<(), Failure> {
        let request = self
            .update(&Self::lock_id(&finding.account, &principal(finding)))
            .update_expression("SET record_id = :record, contained_at = :now")
            .expression_attribute_values(":record", text(record))
            .expression_attribute_values(":now", number(millis_now()));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
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
                "SET restored_at = :at, restored_id = :id, noted = if_not_exists(seen, :none) \
                 REMOVE seen, record_id, contained_at",
            )
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":id", text(unique_id))
            // A set is never empty.
            .expression_attribute_values(":none", set("-"));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}

fn memory(item: &Item, mark: &str, now: i64) -> Memory {
    let attaches = [Threat::CompromisedCredential, Threat::UnauthorizedUser].map(Threat::playbook);
    let by = strings(item, "unfinished_by");
    let is_unfinished = item.contains_key("unfinished") && int(item, "unfinished") < now;
    Memory {
        is_known: now - int(item, "contained_at") < KNOWN_MILLIS,
        is_unfinished,
        is_resumed: is_unfinished && by.iter().any(|it| attaches.contains(&it.as_str())),
        restored: restored(item, mark),
    }
}

fn restored(item: &Item, mark: &str) -> Option<Restored> {
    let noted = item.get("noted").and_then(|it: &AttributeValue| it.as_ss().ok());
    Some(Restored {
        at: int(item, "restored_at") / 1_000,
        unique_id: string(item, "restored_id")?,
        is_noted: noted.into_iter().flatten().any(|it| it == mark),
    })
}

/// `struck`: where the item says whom the holder struck.
pub(super) fn held(item: &Item, struck: &str) -> Held {
    Held {
        owner: string(item, "holder").unwrap_or_else(|| "another invocation".to_owned()),
        holder: string(item, "playbook").and_then(|it| Holder::parse(&it)),
        struck: string(item, struck),
        takes_place: item.get("takes_place").and_then(|it| it.as_bool().ok()).is_some_and(|it| *it),
        since: int(item, "fence"),
        until: int(item, "lease_until"),
    }
}
