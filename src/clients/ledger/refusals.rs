//! Which refusals people were told of: a finding that leads to nobody comes again and again, by whatever name.

use domain::ids::AccountId;
use domain::outcome::Failure;

use super::{Ledger, digest, int, millis_now, number};
use crate::errors::failure;

/// After that, one that still comes is told again.
const TOLD_SECONDS: i64 = 30 * 24 * 3_600;

impl Ledger {
    /// `news`: what there is to tell, as `Progress::news`.
    pub async fn is_refusal_told(&self, account: &AccountId, news: &str) -> Result<bool, Failure> {
        let item = self.item(&refusal(account, news)).await?;
        Ok(int(&item, "told_at") > millis_now() - TOLD_SECONDS * 1_000)
    }

    /// People were told.
    pub async fn note_refusal_told(&self, account: &AccountId, news: &str) -> Result<(), Failure> {
        let now = millis_now();
        let request = self
            .update(&refusal(account, news))
            .update_expression("SET told_at = :now, expires = :expires")
            .expression_attribute_values(":now", number(now))
            .expression_attribute_values(":expires", number(now / 1_000 + TOLD_SECONDS));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}

fn refusal(account: &AccountId, news: &str) -> String {
    format!("refused#{account}#{}", digest(news))
}
