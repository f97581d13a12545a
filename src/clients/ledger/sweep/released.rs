//! What of an account's last sweep was released, in `released#<account>`: written by who counts, and by nobody whom the
//! rows are written by.

use domain::day::Day;
use domain::ids::AccountId;
use domain::outcome::Failure;

use super::super::{Ledger, number, string, text};
use super::expires;
use crate::errors::failure;

fn released_id(account: &AccountId) -> String {
    format!("released#{account}")
}

impl Ledger {
    /// `begun_by`: the first execution of the day. `share`: JSON.
    pub async fn keep_share(&self, account: &AccountId, day: Day, begun_by: &str, share: &str) -> Result<(), Failure> {
        let kept = self
            .update(&released_id(account))
            .update_expression("SET #day = :day, begun_by = :begun_by, #share = :share, expires = :expires")
            .expression_attribute_names("#day", "day")
            .expression_attribute_names("#share", "share")
            .expression_attribute_values(":day", text(day.to_string()))
            .expression_attribute_values(":begun_by", text(begun_by))
            .expression_attribute_values(":share", text(share))
            .expression_attribute_values(":expires", number(expires()))
            .send()
            .await;
        kept.map(|_| ()).map_err(|it| failure(&it))
    }

    /// What was released on that day, with the first execution of the day.
    pub async fn share(&self, account: &AccountId, day: Day) -> Result<Option<(String, String)>, Failure> {
        let item = self.item(&released_id(account)).await?;
        let is_of_day = string(&item, "day") == Some(day.to_string());
        Ok(string(&item, "begun_by").zip(string(&item, "share")).filter(|_| is_of_day))
    }
}
