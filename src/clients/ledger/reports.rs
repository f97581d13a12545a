//! Reports: a request as the form creates it, and the responder looks at it. The form writes no `state`, and
//! nothing of what is asked or decided: `REPORT_ATTRIBUTES` is all that its role needs.
//!
//! Two reports about the same key (or else the same user or role of an account) are one request for as long as the
//! first is open: `request#of#<subject>` names it. It is written first; whoever comes after a crash between the two
//! writes creates the request under the ID that it names.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::approval::request::Reported;
use domain::ids::{Parse, RequestId};
use domain::outcome::Failure;
use serde_json::json;

use super::requests::BUCKET;
use super::{Item, Ledger, millis_now, number, set, string, text};
use crate::errors::{failure, is};

/// What the form's function may do with `request#…`.
pub const PERMISSIONS: &[&str] = &["dynamodb:GetItem", "dynamodb:UpdateItem"];

/// How long further reports about the same join: as long as a request waits by default.
const OPEN_MILLIS: i64 = 60 * 60_000;
/// When the list of what is due finds it, should the responder not be woken.
const LOST_MILLIS: i64 = 30_000;
/// How long a report is kept that nobody looked at; the responder keeps it for longer.
const KEPT_SECONDS: i64 = 30 * 24 * 3_600;
/// Links to the state of one request.
const MOST_TOKENS: i64 = 50;

/// The request that a report has become, or is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub request: RequestId,
    pub is_joined: bool,
}

impl Ledger {
    /// Keeps a report. `id`: for a new request; `token_hash`: SHA-256, in hex, of the link to its state.
    pub async fn report(&self, id: &RequestId, it: &Reported, token_hash: &str) -> Result<Kept, Failure> {
        let request = self.claim_subject(id, it).await?;
        if request != *id && self.add_token(&request, token_hash).await? {
            return Ok(Kept { request, is_joined: true });
        }
        self.create_report(&request, it, token_hash).await?;
        Ok(Kept { is_joined: false, request })
    }

    async fn claim_subject(&self, id: &RequestId, it: &Reported) -> Result<RequestId, Failure> {
        let now = millis_now();
        let sent = self
            .update(&format!("request#of#{}", it.subject()))
            .update_expression("SET request_id = :id, runs_until = :until, expires = :expires")
            .condition_expression("attribute_not_exists(runs_until) OR runs_until < :now OR request_id = :id")
            .expression_attribute_values(":id", text(id.as_str()))
            .expression_attribute_values(":until", number(now + OPEN_MILLIS))
            .expression_attribute_values(":expires", number(now / 1_000 + KEPT_SECONDS))
            .expression_attribute_values(":now", number(now))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(id.clone()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                let item = match error.into_service_error() {
                    UpdateItemError::ConditionalCheckFailedException(it) => it.item.unwrap_or_default(),
                    _ => Item::new(),
                };
                let other = string(&item, "request_id").and_then(|it| RequestId::parse(&it).ok());
                Ok(other.unwrap_or_else(|| id.clone()))
            }
            Err(error) => Err(failure(&error)),
        }
    }

    /// Whether there is such a request. One whose links are too many gets no more, and is joined all the same.
    async fn add_token(&self, request: &RequestId, token_hash: &str) -> Result<bool, Failure> {
        let sent = self
            .update(&Self::request_item(request))
            .update_expression("ADD state_tokens :token")
            .condition_expression("attribute_exists(reported) AND size(state_tokens) < :most")
            .expression_attribute_values(":token", set(token_hash))
            .expression_attribute_values(":most", number(MOST_TOKENS))
            .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld)
            .send()
            .await;
        match sent {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => match error.into_service_error() {
                UpdateItemError::ConditionalCheckFailedException(it) => {
                    Ok(it.item.is_some_and(|it| it.contains_key("reported")))
                }
                _ => Ok(false),
            },
            Err(error) => Err(failure(&error)),
        }
    }

    async fn create_report(&self, id: &RequestId, it: &Reported, token_hash: &str) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression(
                "SET reported = :reported, report_of = :subject, due_bucket = :bucket, due_at = :soon, \
                 expires = :expires ADD state_tokens :token",
            )
            .condition_expression("attribute_not_exists(reported)")
            .expression_attribute_values(":reported", text(json!(it).to_string()))
            .expression_attribute_values(":subject", text(it.subject()))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":soon", number(millis_now() + LOST_MILLIS))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS))
            .expression_attribute_values(":token", set(token_hash));
        match request.send().await {
            Ok(_) => Ok(()),
            // A try of ours whose answer was lost, or another's that came first.
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// The next report about the same is a request of its own.
    pub async fn close_report(&self, id: &RequestId, it: &Reported) -> Result<(), Failure> {
        let request = self
            .update(&format!("request#of#{}", it.subject()))
            .update_expression("REMOVE runs_until")
            .condition_expression("request_id = :id")
            .expression_attribute_values(":id", text(id.as_str()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }
}
