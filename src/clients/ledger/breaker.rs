//! The circuit breaker: how many principals were contained automatically, by the hour.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};

use super::{Ledger, millis_now, number, principal, text};
use crate::errors::{failure, is};
use domain::finding::Finding;
use domain::outcome::Failure;

impl Ledger {
    /// Whether one more principal may be contained automatically this hour, in its account and in
    /// all. A principal already counted in this
    /// window is always admitted. The windows are whole hours.
    pub async fn admit(&self, finding: &Finding, (account, all): (u32, u32)) -> Result<bool, Failure> {
        let hour = millis_now() / 3_600_000;
        let name = format!("{}/{}", finding.account, principal(finding));
        let (own, total) = tokio::join!(
            self.count(format!("breaker#{}#{hour}", finding.account), &name, account, hour),
            self.count(format!("breaker#all#{hour}"), &name, all, hour)
        );
        Ok(own? && total?)
    }

    async fn count(&self, id: String, name: &str, limit: u32, hour: i64) -> Result<bool, Failure> {
        let counted = self
            .update(&id)
            .update_expression("ADD principals :set SET expires = :expires")
            .condition_expression(
                "attribute_not_exists(principals) OR contains(principals, :name) OR size(principals) < :limit",
            )
            .expression_attribute_values(":set", AttributeValue::Ss(vec![name.to_owned()]))
            .expression_attribute_values(":name", text(name))
            .expression_attribute_values(":limit", number(limit))
            .expression_attribute_values(":expires", number((hour + 48) * 3_600))
            .send()
            .await;
        match counted {
            Ok(_) => Ok(true),
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(false),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Keeps the deferred finding, and tells whether it is the first one of its hour: one digest is
    /// enough.
    pub async fn defer(&self, finding: &Finding) -> Result<bool, Failure> {
        let hour = millis_now() / 3_600_000;
        let kept = serde_json::json!([finding.id, finding.account, principal(finding)]).to_string();
        let output = self
            .update(&format!("deferred#{hour}"))
            .update_expression("ADD findings :finding")
            .expression_attribute_values(":finding", AttributeValue::Ss(vec![kept]))
            .return_values(ReturnValue::AllOld)
            .send()
            .await
            .map_err(|it| failure(&it))?;
        Ok(!output.attributes.unwrap_or_default().contains_key("findings"))
    }
}
