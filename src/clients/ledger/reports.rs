//! Reports: a request as the form creates it, and the responder looks at it. The form writes no `state`, and
//! nothing of what is asked or decided: `REPORT_ATTRIBUTES` is all that its role writes, and it reads how far a request has come, and nothing of whom it is about.
//!
//! Two reports about the same key (or else the same user or role of an account) are one request for as long as the
//! first is open: `request#of#<subject>` names it. It is written first; whoever comes after a crash between the two
//! writes creates the request under the ID that it names.

use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValuesOnConditionCheckFailure;
use domain::approval::request::Reported;
use domain::approval::standing::{self, Standing};
use domain::ids::{Parse, RequestId};
use domain::outcome::Failure;
use serde_json::json;

use super::request_item::ruling;
use super::requests::BUCKET;
use super::{Item, Ledger, int, millis_now, number, string, text};
use crate::errors::{failure, is};

/// What the form's function may do with `request#…`.
pub const PERMISSIONS: &[&str] = &["dynamodb:GetItem", "dynamodb:UpdateItem"];

/// How long further reports about the same join: as long as a request waits by default.
const OPEN_MILLIS: i64 = 60 * 60_000;
/// When the list of what is due finds it, should the responder not be woken.
const LOST_MILLIS: i64 = 30_000;
/// How long a report is kept that nobody looked at; the responder keeps it for longer.
const KEPT_SECONDS: i64 = 30 * 24 * 3_600;

/// The request that a report has become, or is part of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub request: RequestId,
    pub is_joined: bool,
}

impl Ledger {
    /// Keeps a report. `id`: for a new request.
    pub async fn report(&self, id: &RequestId, it: &Reported) -> Result<Kept, Failure> {
        let request = self.claim_subject(id, it).await?;
        if request != *id && self.standing(&request).await?.is_some() {
            return Ok(Kept { request, is_joined: true });
        }
        self.create_report(&request, it).await?;
        Ok(Kept { is_joined: false, request })
    }

    /// How far a request has come.
    pub async fn standing(&self, id: &RequestId) -> Result<Option<Standing>, Failure> {
        let names: Vec<_> = (0..standing::ATTRIBUTES.len()).map(|it| format!("#a{it}")).collect();
        let request = self.client.get_item().table_name(&self.table).key("id", text(Self::request_item(id)));
        let request = request.consistent_read(true).projection_expression(names.join(", "));
        let named = names.into_iter().zip(standing::ATTRIBUTES.iter().map(|it| (*it).to_owned())).collect();
        let sent = request.set_expression_attribute_names(Some(named)).send().await;
        Ok(sent.map_err(|it| failure(&it))?.item.as_ref().and_then(read_standing))
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

    async fn create_report(&self, id: &RequestId, it: &Reported) -> Result<(), Failure> {
        let request = self
            .update(&Self::request_item(id))
            .update_expression(
                "SET reported = :reported, report_of = :subject, due_bucket = :bucket, due_at = :soon, \
                 expires = :expires",
            )
            .condition_expression("attribute_not_exists(reported)")
            .expression_attribute_values(":reported", text(json!(it).to_string()))
            .expression_attribute_values(":subject", text(it.subject()))
            .expression_attribute_values(":bucket", text(BUCKET))
            .expression_attribute_values(":soon", number(millis_now() + LOST_MILLIS))
            .expression_attribute_values(":expires", number(millis_now() / 1_000 + KEPT_SECONDS));
        match request.send().await {
            Ok(_) => Ok(()),
            // A try of ours whose answer was lost, or another's that came first.
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(()),
            Err(error) => Err(failure(&error)),
        }
    }

    /// The next report about the same is a request of its own.
    pub async fn close_report(&self, id: &RequestId, it: &Reported) -> Result<(), Failure> {
        self.point_no_more(&format!("request#of#{}", it.subject()), id).await
    }
}

/// What the responder asked, or the form reported; a read of a key that nobody wrote is none.
fn read_standing(item: &Item) -> Option<Standing> {
    let time = |name: &str| item.contains_key(name).then(|| int(item, name));
    let standing = Standing {
        stored: string(item, "state").and_then(|it| it.parse().ok()),
        ruling: ruling(item),
        expires_at: time("expires_at"),
        ended_at: time("ended_at"),
        verdict: string(item, "verdict").and_then(|it| it.parse().ok()),
        joined: string(item, "joined").and_then(|it| RequestId::parse(&it).ok()),
    };
    (item.contains_key("report_of") || standing.stored.is_some()).then_some(standing)
}
