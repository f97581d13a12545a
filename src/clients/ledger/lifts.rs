//! What was declined and is still denied everything, in a bucket of its own in the index `due`, until the restoring
//! function has lifted it.

use aws_sdk_dynamodb::operation::update_item::builders::UpdateItemFluentBuilder;
use domain::ids::RequestId;
use domain::outcome::Failure;

use super::requests::{LIFT, ids};
use super::{Ledger, holds, millis_now, number, text};
use crate::errors::failure;

impl Ledger {
    /// What is declined and still denied everything, the oldest first.
    pub async fn requests_to_lift(&self, most: i32) -> Result<Vec<RequestId>, Failure> {
        let request = self.query(LIFT, most).key_condition_expression("due_bucket = :bucket AND due_at <= :now");
        let found = request.expression_attribute_values(":now", number(millis_now())).send().await;
        Ok(ids(found.map_err(|it| failure(&it))?.items.unwrap_or_default()))
    }

    /// Whoever takes it works on it, and nobody else looks at it until `until`: however that ends, it is looked at
    /// again then, after what waits longer. `false`: another has it, or it is over.
    pub async fn take_lift(&self, id: &RequestId, until: i64) -> Result<bool, Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET due_at = :at")
            .condition_expression("due_bucket = :lift AND due_at <= :now")
            .expression_attribute_values(":at", number(until))
            .expression_attribute_values(":now", number(millis_now()))
            .expression_attribute_values(":lift", text(LIFT));
        holds(request).await
    }

    /// It was lifted, or it can't be, and people know: it is due no more.
    pub async fn note_lifted(&self, id: &RequestId, verdict: &str) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET lifted = :verdict REMOVE due_bucket, due_at")
            .expression_attribute_values(":verdict", text(verdict));
        self.change_lift(request).await
    }

    /// It is looked at again at `at`. `lifted`: only people are still to be told.
    pub async fn put_lift_off(&self, id: &RequestId, at: i64, lifted: Option<&str>) -> Result<(), Failure> {
        let request = self.update(&Self::request_item(id)).expression_attribute_values(":at", number(at));
        let request = match lifted {
            Some(verdict) => request
                .update_expression("SET due_at = :at, lifted = :verdict")
                .expression_attribute_values(":verdict", text(verdict)),
            None => request.update_expression("SET due_at = :at"),
        };
        self.change_lift(request).await
    }

    /// It failed, is looked at again at `at`, and people know why: `trouble`.
    pub async fn note_lift_trouble(&self, id: &RequestId, at: i64, trouble: &str) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression("SET due_at = :at, lift_trouble = :trouble")
            .expression_attribute_values(":at", number(at))
            .expression_attribute_values(":trouble", text(trouble));
        self.change_lift(request).await
    }

    async fn change_lift(&self, request: UpdateItemFluentBuilder) -> Result<(), Failure> {
        let request = request.expression_attribute_values(":lift", text(LIFT));
        holds(request.condition_expression("due_bucket = :lift")).await.map(|_| ())
    }
}
