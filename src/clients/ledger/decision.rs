//! The decision about a request: one conditional write, by whoever decides. It needs `dynamodb:UpdateItem` on
//! `request#…` and nothing else, so that Slack's function has no more than that.
//!
//! INVARIANT: the first decision wins, and every other one is told who made it. `tests/test_approvals.py` holds it.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValuesOnConditionCheckFailure};
use domain::approval::decision::{Decided, Decider};
use domain::approval::request::State;
use domain::decision::Decision;
use domain::ids::RequestId;
use domain::outcome::Failure;

use super::{Item, Ledger, int, millis_now, number, refused, set, string, strings, text};
use crate::errors::{failure, is};

/// What a function that only decides may do.
pub const PERMISSIONS: &[&str] = &["dynamodb:UpdateItem"];

/// When an offer that somebody clicked is found, should nobody be woken by it.
pub(super) const LOST_MILLIS: i64 = 30_000;

/// Who asked, and whom it is about: neither decides, as far as the decider's names tell.
const OF_OTHERS: [&str; 3] = ["requester", "target_arn", "target_name"];

/// How often it is tried again while others approve.
const TRIES: usize = 8;

impl Ledger {
    pub fn request_item(id: &RequestId) -> String {
        format!("request#{id}")
    }

    /// Decides, bound to the plan by its hash. `Decided::Now`: it is this one's decision, and the responder is to
    /// be woken; should that fail, it finds the decision by itself.
    pub async fn decide(
        &self,
        id: &RequestId,
        plan_hash: &str,
        decision: Decision,
        by: &Decider,
    ) -> Result<Decided, Failure> {
        for _ in 0..TRIES {
            let Err(seen) = self.write(self.final_word(id, decision, by), plan_hash, by).await? else {
                return Ok(Decided::Now);
            };
            if let Some(decided) = refusal(&seen, plan_hash, decision, by) {
                return Ok(decided);
            }
            let still_needed = int(&seen, "still_needed");
            if self.write(self.one_of_many(id, by, still_needed), plan_hash, by).await?.is_ok() {
                return Ok(Decided::Counted { still_needed: still_needed - 1 });
            }
        }
        let message = "others decide at the same time: try again".to_owned();
        Err(Failure { code: "Contended".to_owned(), message, retryable: true })
    }

    /// The item as it is, when a condition does not hold.
    async fn write(
        &self,
        (mut request, more): (UpdateItemFluentBuilder, &str),
        plan_hash: &str,
        by: &Decider,
    ) -> Result<Result<(), Item>, Failure> {
        let mut condition = format!(
            "#state = :waiting AND attribute_not_exists(decision) AND expires_at > :now AND plan_hash = :hash{more}"
        );
        if !by.names.is_empty() {
            let names: Vec<_> = (0..by.names.len()).map(|it| format!(":name{it}")).collect();
            for attribute in OF_OTHERS {
                condition.push_str(&format!(" AND NOT {attribute} IN ({})", names.join(", ")));
            }
            for (name, value) in names.into_iter().zip(&by.names) {
                request = request.expression_attribute_values(name, text(value));
            }
        }
        if let Some(user) = &by.user {
            condition.push_str(" AND NOT contains(barred, :user)");
            request = request.expression_attribute_values(":user", text(user));
        }
        let sent = request
            .condition_expression(condition)
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":waiting", text(State::Waiting.word()))
            .expression_attribute_values(":hash", text(plan_hash))
            .expression_attribute_values(":now", number(millis_now()))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Ok(())),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(Err(refused(error))),
            Err(error) => Err(failure(&error)),
        }
    }

    fn final_word(&self, id: &RequestId, decision: Decision, by: &Decider) -> (UpdateItemFluentBuilder, &'static str) {
        let request = self
            .update(&Self::request_item(id))
            .expression_attribute_values(":decision", text(decision.word()))
            .expression_attribute_values(":by", text(&by.words))
            .expression_attribute_values(":at", number(millis_now()));
        let decide = "SET decision = :decision, decided_by = :by, decided_at = :at";
        match decision {
            // One person's doubt is enough.
            Decision::Decline => (request.update_expression(decide), ""),
            Decision::Approve => {
                let expression = format!(
                    "{decide}, votes = list_append(if_not_exists(votes, :none), :vote), still_needed = :zero \
                     ADD approvers :me"
                );
                let request = voting(request, by)
                    .expression_attribute_values(":zero", number(0))
                    .expression_attribute_values(":one", number(1))
                    .expression_attribute_values(":my_id", text(&by.id));
                (request.update_expression(expression), " AND still_needed = :one AND NOT contains(approvers, :my_id)")
            }
        }
    }

    fn one_of_many(&self, id: &RequestId, by: &Decider, still_needed: i64) -> (UpdateItemFluentBuilder, &'static str) {
        let request = voting(self.update(&Self::request_item(id)), by)
            .update_expression(
                "SET still_needed = :fewer, votes = list_append(if_not_exists(votes, :none), :vote) ADD approvers :me",
            )
            .expression_attribute_values(":fewer", number(still_needed - 1))
            .expression_attribute_values(":seen", number(still_needed))
            .expression_attribute_values(":my_id", text(&by.id));
        (request, " AND still_needed = :seen AND NOT contains(approvers, :my_id)")
    }
}

fn voting(request: UpdateItemFluentBuilder, by: &Decider) -> UpdateItemFluentBuilder {
    request
        .expression_attribute_values(":none", AttributeValue::L(Vec::new()))
        .expression_attribute_values(":vote", AttributeValue::L(vec![text(&by.words)]))
        .expression_attribute_values(":me", set(&by.id))
}

/// Why it could not be decided. `None`: it can, with this approver and others.
fn refusal(seen: &Item, plan_hash: &str, decision: Decision, by: &Decider) -> Option<Decided> {
    let state = string(seen, "state").and_then(|it| it.parse::<State>().ok());
    if let Some(decision) = string(seen, "decision") {
        let by = string(seen, "decided_by").unwrap_or_default();
        return Some(Decided::Before { decision, by, at: int(seen, "decided_at") });
    }
    if seen.is_empty() {
        return Some(Decided::NotFound);
    }
    let is_barred = by.user.as_ref().is_some_and(|it| strings(seen, "barred").contains(it));
    let is_own = is_barred || OF_OTHERS.iter().filter_map(|it| string(seen, it)).any(|it| by.names.contains(&it));
    let has_approved = strings(seen, "approvers").contains(&by.id);
    match state {
        Some(State::Expired) => Some(Decided::Expired),
        Some(State::Waiting) if int(seen, "expires_at") <= millis_now() => Some(Decided::Expired),
        Some(State::Waiting) if string(seen, "plan_hash").as_deref() != Some(plan_hash) => Some(Decided::OtherPlan),
        Some(State::Waiting) if is_own => Some(Decided::Own),
        Some(State::Waiting) if decision == Decision::Approve && has_approved => Some(Decided::SameApprover),
        Some(State::Waiting) => None,
        _ => Some(Decided::NotWaiting),
    }
}
