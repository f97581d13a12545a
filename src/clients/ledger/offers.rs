//! Offers to ask people about a finding that nobody is contained for: `request#<id>` with the state `offered`, which
//! the function that takes clicks may say of that somebody wants it, and nothing else.

use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::approval::decision::{Decided, Decider};
use domain::approval::offer::Offer;
use domain::approval::request::State;
use domain::decision::Wish;
use domain::ids::RequestId;
use domain::outcome::Failure;

use super::decision::LOST_MILLIS;
use super::requests::{KEPT_SECONDS, ids};
use super::{Item, Ledger, int, millis_now, number, refused, set, string, text};
use crate::errors::{failure, is};

/// What somebody may click, or has: a list of its own, so that it stands before nothing that waits.
const BUCKET: &str = "offer";

impl Ledger {
    /// Stores an offer, once. `false`: what is there is an offer of another finding.
    pub async fn offer(&self, id: &RequestId, it: &Offer) -> Result<bool, Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression(
                "SET #state = :offered, finding = :finding, offer_subject = :subject, offer_text = :words, \
                 plan_hash = :hash, expires_at = :until, due_bucket = :bucket, due_at = :until, expires = :expires \
                 REMOVE decision, decided_by, decided_at, approvers",
            )
            .condition_expression("attribute_not_exists(#state)")
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":offered", text(State::Offered.word()))
            .expression_attribute_values(":finding", text(it.finding.kept()))
            .expression_attribute_values(":subject", text(&it.subject))
            .expression_attribute_values(":words", text(&it.text))
            .expression_attribute_values(":hash", text(&it.hash))
            .expression_attribute_values(":until", number(it.expires_at))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":expires", number(it.expires_at / 1_000 + KEPT_SECONDS))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
        match request.send().await {
            Ok(_) => Ok(true),
            // By an earlier try.
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                Ok(string(&refused(error), "plan_hash").is_some_and(|hash| hash == it.hash))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Somebody wants people to be asked: the first who does.
    pub async fn open_offer(&self, id: &RequestId, hash: &str, by: &Decider) -> Result<Decided, Failure> {
        let now = millis_now();
        let sent = self
            .update(&Self::request_item(id))
            .update_expression(
                "SET decision = :open, decided_by = :by, decided_at = :now, due_at = :soon ADD approvers :me",
            )
            .condition_expression(
                "#state = :offered AND attribute_not_exists(decision) AND expires_at > :now AND plan_hash = :hash",
            )
            .expression_attribute_names("#state", "state")
            .expression_attribute_values(":offered", text(State::Offered.word()))
            .expression_attribute_values(":open", text(Wish::Open.word()))
            .expression_attribute_values(":by", text(&by.words))
            .expression_attribute_values(":me", set(&by.id))
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":soon", number(now + LOST_MILLIS))
            .expression_attribute_values(":hash", text(hash))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(Decided::Now),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(refusal(&refused(error))),
            Err(error) => Err(failure(&error)),
        }
    }

    /// What was clicked, or ran out, and nobody looked at.
    pub async fn offers_due(&self, most: i32) -> Result<Vec<RequestId>, Failure> {
        let request = self.query(BUCKET, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        Ok(ids(found.map_err(|it| failure(&it))?.items.unwrap_or_default()))
    }
}

fn refusal(seen: &Item) -> Decided {
    let state = string(seen, "state").and_then(|it| it.parse::<State>().ok());
    match (state, string(seen, "decision")) {
        (None, _) => Decided::NotFound,
        (_, Some(decision)) => {
            let by = string(seen, "decided_by").unwrap_or_default();
            Decided::Before { decision, by, at: int(seen, "decided_at") }
        }
        (Some(State::Expired), _) => Decided::Expired,
        (Some(State::Offered), _) if int(seen, "expires_at") <= millis_now() => Decided::Expired,
        (Some(State::Offered), _) => Decided::OtherPlan,
        _ => Decided::NotWaiting,
    }
}
