//! The circuit breaker: how many principals were contained automatically, by threat and hour.
//!
//! INVARIANT: a place that led to nobody is given back, unless another delivery is at the same principal; an error here
//! defers no compromised credential. `tests/test_breaker.py` holds it.

use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use domain::containment::admission::NoPlace;
use domain::finding::{Finding, Threat};
use domain::outcome::Failure;

use super::{Ledger, int, millis_now, number, principal, set, strings, text};
use crate::errors::{failure, is};

/// A place in the hour's budget, or none. What was counted for it can be given back.
#[derive(Debug, Default)]
pub struct Reservation {
    pub is_admitted: bool,
    /// To be given back, and admitted all the same.
    pub is_needless: bool,
    /// Nobody knows how many places there are.
    is_unread: bool,
    /// The counters that counted the principal anew.
    counted: Vec<String>,
    name: String,
}

impl Reservation {
    /// Nothing was counted for it.
    pub fn uncounted(is_admitted: bool) -> Self {
        Self { is_admitted, ..Self::default() }
    }

    /// The breaker could not be read.
    pub fn unread(is_admitted: bool) -> Self {
        Self { is_admitted, is_unread: true, ..Self::default() }
    }

    /// Why it is none.
    pub fn why_none(&self) -> NoPlace {
        if self.is_unread { NoPlace::Unread } else { NoPlace::Full }
    }

    /// None was needed.
    #[must_use]
    pub fn needless(self) -> Self {
        Self { is_admitted: true, is_needless: true, ..self }
    }
}

enum Counted {
    Anew,
    /// It is among those counted: another response to the same principal was.
    Already,
    Full,
}

impl Ledger {
    /// Reserves a place for one more principal this hour, in its account and in all. Each threat has a
    /// budget of its own: what is cheap to cause must not use up what is grave. A principal already counted
    /// in this window is always admitted. The windows are whole hours.
    pub async fn reserve(&self, finding: &Finding, (account, all): (u32, u32)) -> Result<Reservation, Failure> {
        if account == 0 || all == 0 {
            return Ok(Reservation::default());
        }
        let hour = millis_now() / 3_600_000;
        let name = format!("{}/{}", finding.account, principal(finding));
        let threat = finding.threat.playbook();
        let (own_id, all_id) =
            (format!("breaker#{threat}#{}#{hour}", finding.account), format!("breaker#{threat}#all#{hour}"));
        let (own, total) =
            tokio::join!(self.count(&own_id, &name, account, hour), self.count(&all_id, &name, all, hour));
        let is_anew = |it: &Result<Counted, Failure>| matches!(it, Ok(Counted::Anew));
        let counted = [(own_id, is_anew(&own)), (all_id, is_anew(&total))];
        let counted = counted.into_iter().filter_map(|(id, is_anew)| is_anew.then_some(id)).collect();
        let is_full = |it: &Result<Counted, Failure>| matches!(it, Ok(Counted::Full));
        let is_admitted = own.is_ok() && total.is_ok() && !is_full(&own) && !is_full(&total);
        let mut reservation = Reservation { is_admitted, is_needless: false, is_unread: false, counted, name };
        if !is_admitted {
            self.give_back(&mut reservation).await;
        }
        own.and(total).map(|_| reservation)
    }

    /// Nobody was contained for it: the place is another's. One that can't be given back stays used for the
    /// hour, which errs on the side of the breaker.
    pub async fn give_back(&self, reservation: &mut Reservation) {
        let name = &reservation.name;
        let one = |id: String| async move {
            let request = self.update(&id).update_expression("DELETE principals :set");
            if let Err(error) = request.expression_attribute_values(":set", set(name)).send().await {
                tracing::warn!("{id} could not be given back: {}", failure(&error));
            }
        };
        futures_util::future::join_all(std::mem::take(&mut reservation.counted).into_iter().map(one)).await;
    }

    async fn count(&self, id: &str, name: &str, limit: u32, hour: i64) -> Result<Counted, Failure> {
        let counted = self
            .update(id)
            .update_expression("ADD principals :set SET expires = :expires")
            .condition_expression(
                "attribute_not_exists(principals) OR contains(principals, :name) OR size(principals) < :limit",
            )
            .expression_attribute_values(":set", AttributeValue::Ss(vec![name.to_owned()]))
            .expression_attribute_values(":name", text(name))
            .expression_attribute_values(":limit", number(limit))
            .expression_attribute_values(":expires", number((hour + 48) * 3_600))
            .return_values(ReturnValue::AllOld)
            .send()
            .await;
        match counted {
            Ok(output) => {
                let was = strings(&output.attributes.unwrap_or_default(), "principals");
                Ok(if was.iter().any(|it| it == name) { Counted::Already } else { Counted::Anew })
            }
            Err(error) if is(&error, "ConditionalCheckFailedException") => Ok(Counted::Full),
            Err(error) => Err(failure(&error)),
        }
    }

    /// Counts a deferred finding, and tells whether the hour's digest of its threat was delivered.
    pub async fn is_digest_told(&self, threat: Threat) -> Result<bool, Failure> {
        let hour = millis_now() / 3_600_000;
        let output = self
            .update(&format!("deferred#{}#{hour}", threat.playbook()))
            .update_expression("ADD findings :one SET expires = :expires")
            .expression_attribute_values(":one", number(1))
            .expression_attribute_values(":expires", number((hour + 48) * 3_600))
            .return_values(ReturnValue::AllNew)
            .send()
            .await
            .map_err(|it| failure(&it))?;
        Ok(int(&output.attributes.unwrap_or_default(), "told_at") > 0)
    }

    pub async fn note_digest_told(&self, threat: Threat) -> Result<(), Failure> {
        let now = millis_now();
        let request = self.update(&format!("deferred#{}#{}", threat.playbook(), now / 3_600_000));
        let request = request.update_expression("SET told_at = :now").expression_attribute_values(":now", number(now));
        request.send().await.map(|_| ()).map_err(|it| failure(&it))
    }
}
