//! What was done to an identity: in its record, and what the record has no room for in parts.
//!
//! INVARIANT: what was done is never lost for want of room. `tests/test_record_size.py` holds it.

use aws_sdk_dynamodb::types::AttributeValue;
use domain::outcome::Failure;
use domain::text as texts;

use super::{APPEND, IdentityLease, Ledger, number, text};
use crate::errors::{failure, is};

/// Of what was done, how many bytes stay in the record itself; the others are in its parts. An item holds
/// 400 KB, and the snapshots and what was planned are in it too.
const MOST_APPLIED: usize = 40_000;
/// Of one thing that was done.
const LONGEST_APPLIED: usize = 1_000;
impl Ledger {
    /// Keeps what was done, and leaves the identity to the invocation that goes on.
    pub async fn keep_applied(&self, lease: &IdentityLease, applied: Vec<String>) -> Result<(), Failure> {
        let applied = applied.iter().map(|it| text(texts::cut(it, LONGEST_APPLIED)));
        self.append(lease, applied.collect()).await
    }

    /// What of it goes into the record, and how many parts there are then, where what was there rolls over into them.
    pub(super) async fn make_room(
        &self,
        lease: &IdentityLease,
        applied: &[String],
    ) -> Result<(Vec<AttributeValue>, Option<i64>), Failure> {
        let applied: Vec<_> = applied.iter().map(|it| texts::cut(it, LONGEST_APPLIED)).collect();
        let bytes: usize = applied.iter().map(String::len).sum();
        let mut chunks = chunks(applied);
        let last = chunks.pop().unwrap_or_default();
        if lease.applied + bytes <= MOST_APPLIED {
            return Ok((last, None));
        }
        let former = if lease.applied > 0 { Some(self.applied(lease).await?) } else { None };
        let mut parts = lease.parts;
        for chunk in former.into_iter().chain(chunks) {
            parts = self.save_part(&lease.id, parts, &chunk).await?;
        }
        Ok((last, Some(parts)))
    }

    /// What was done long ago.
    async fn applied(&self, lease: &IdentityLease) -> Result<Vec<AttributeValue>, Failure> {
        let mut item = self.item(&lease.id).await?;
        Ok(match item.remove("applied") {
            Some(AttributeValue::L(it)) => it,
            _ => Vec::new(),
        })
    }

    /// It goes into a part of its own, `first` or the first one after it that nobody else has written. Returns the next
    /// one.
    async fn save_part(&self, record: &str, first: i64, applied: &[AttributeValue]) -> Result<i64, Failure> {
        let mut part = first;
        loop {
            let request = self
                .update(&format!("{record}#part#{part}"))
                .update_expression("SET applied = :applied")
                .condition_expression("attribute_not_exists(applied) OR applied = :applied")
                .expression_attribute_values(":applied", AttributeValue::L(applied.to_vec()));
            part += 1;
            match request.send().await {
                Ok(_) => return Ok(part),
                Err(error) if is(&error, "ConditionalCheckFailedException") => {}
                Err(error) => return Err(failure(&error)),
            }
        }
    }

    /// Adds what was done to the record, and where it has no room for it to a part: who has the identity by now rolls
    /// the record over, and how many bytes others added is not known here.
    pub(super) async fn append(&self, lease: &IdentityLease, done: Vec<AttributeValue>) -> Result<(), Failure> {
        let bytes: usize = done.iter().filter_map(|it| it.as_s().ok()).map(String::len).sum();
        // So many of the longest lines still fit.
        let room = (2 * MOST_APPLIED).saturating_sub(bytes) / LONGEST_APPLIED;
        let request = self
            .update(&lease.id)
            .update_expression(format!("SET {APPEND}"))
            .condition_expression("attribute_not_exists(applied) OR size(applied) < :most")
            .expression_attribute_values(":most", number(room))
            .expression_attribute_values(":empty", AttributeValue::L(Vec::new()))
            .expression_attribute_values(":done", AttributeValue::L(done.clone()));
        match request.send().await {
            Ok(_) => Ok(()),
            Err(error) if is(&error, "ConditionalCheckFailedException") => {
                let parts = self.save_part(&lease.id, lease.parts, &done).await?;
                let request = self.update(&lease.id).update_expression("SET parts = :parts");
                let request = request.condition_expression("attribute_not_exists(parts) OR parts < :parts");
                match request.expression_attribute_values(":parts", number(parts)).send().await {
                    Err(error) if !is(&error, "ConditionalCheckFailedException") => Err(failure(&error)),
                    _ => Ok(()),
                }
            }
            Err(error) => Err(failure(&error)),
        }
    }
}

/// As much as stays in the record at a time.
fn chunks(applied: Vec<String>) -> Vec<Vec<AttributeValue>> {
    let (mut chunks, mut bytes) = (vec![Vec::new()], 0);
    for line in applied {
        if bytes + line.len() > MOST_APPLIED {
            chunks.push(Vec::new());
            bytes = 0;
        }
        bytes += line.len();
        if let Some(last) = chunks.last_mut() {
            last.push(text(line));
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_done_is_kept_whole_and_in_pieces_that_an_item_holds() {
        let lines: Vec<_> = (0..250).map(|n| format!("{n:0>1000}")).collect();
        let pieces = chunks(lines.clone());
        assert_eq!(pieces.concat(), lines.iter().map(text).collect::<Vec<_>>());
        assert!(pieces.iter().all(|it| it.len() <= MOST_APPLIED / LONGEST_APPLIED));
        assert_eq!(chunks(Vec::new()).len(), 1);
    }
}
