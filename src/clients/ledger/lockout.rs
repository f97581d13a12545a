//! How often somebody tried the form's password: `lockout#<network or browser>#<minute>`. What follows from it is
//! `front`'s to say.

use aws_sdk_dynamodb::types::ReturnValue;
use domain::outcome::Failure;

use super::{Ledger, int, number};
use crate::errors::failure;

/// The attributes of a counter: the form's role may write no other.
pub const ATTRIBUTES: &[&str] = &["id", "expires", "tries"];

impl Ledger {
    /// Adds to a counter, so that no two see the same number; `expires` in seconds since 1970.
    pub async fn count_try(&self, counter: &str, by: i64, expires: i64) -> Result<u32, Failure> {
        let request = self
            .update(counter)
            .update_expression("SET expires = :expires ADD tries :by")
            .expression_attribute_values(":expires", number(expires))
            .expression_attribute_values(":by", number(by))
            .return_values(ReturnValue::UpdatedNew);
        let output = request.send().await.map_err(|it| failure(&it))?;
        let tries = int(&output.attributes.unwrap_or_default(), "tries");
        Ok(u32::try_from(tries.max(0)).unwrap_or(u32::MAX))
    }
}
