//! The gist of the last report on an identity: an item holds 400 KB, and a report may be larger.

use aws_sdk_dynamodb::types::ReturnValue;
use domain::outcome::Failure;

use super::{Ledger, int, text};
use crate::errors::failure;

impl Ledger {
    /// The number of the report that is being made, from one on.
    pub async fn next_revision(&self, record: &str) -> Result<i64, Failure> {
        let request = self
            .update(&item_of(record))
            .update_expression("ADD revision :one")
            .expression_attribute_values(":one", super::number(1))
            .return_values(ReturnValue::AllNew);
        let output = request.send().await.map_err(|it| failure(&it))?;
        Ok(int(&output.attributes.unwrap_or_default(), "revision"))
    }

    pub async fn keep_evidence(&self, record: &str, gist: &str) -> Result<(), Failure> {
        let request = self.update(&item_of(record)).update_expression("SET gist = :gist");
        let sent = request.expression_attribute_values(":gist", text(gist)).send().await;
        sent.map(|_| ()).map_err(|it| failure(&it))
    }
}

/// `evidence#<account>#<unique ID>`, beside `record#<account>#<unique ID>`.
fn item_of(record: &str) -> String {
    format!("evidence#{}", record.trim_start_matches("record#"))
}
