//! The settings of the function that reports on an identity.

use std::time::Duration;

use super::reader::{Reader, hours, investigator_role, model, parsed};
use super::{Common, Untouchable};
use crate::ids::Region;

/// A day: what an intruder did before it was noticed is mostly younger.
const LOOKBACK_HOURS: u64 = 24;

/// As S3 names them, without a dot: none goes with its certificates.
/// <https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html>
pub(super) fn bucket(text: &str) -> Result<String, String> {
    let is_name = (3..=63).contains(&text.len())
        && text.bytes().all(|it| it.is_ascii_lowercase() || it.is_ascii_digit() || it == b'-');
    if is_name { Ok(text.to_owned()) } else { Err(format!("expected the name of a bucket, not {text:?}")) }
}

#[derive(Debug, Clone)]
pub struct Investigator {
    pub common: Common,
    pub untouchable: Untouchable,
    /// How far back CloudTrail is asked.
    pub lookback: Duration,
    /// Where it is asked beside the responder's own region, the finding's, and the one where IAM's events are.
    pub regions: Vec<Region>,
    /// Where each report is kept.
    pub bucket: Option<String>,
    /// The model or inference profile that writes a summary in prose. Absent where none is wanted.
    pub summary_model: Option<String>,
}

impl Investigator {
    pub(super) fn read(read: &mut Reader) -> Self {
        let member_role = investigator_role(read);
        Self {
            common: Common::read(read, member_role),
            untouchable: Untouchable::read(read),
            lookback: Duration::from_secs(3_600 * read.optional("LOOKBACK_HOURS", hours).unwrap_or(LOOKBACK_HOURS)),
            regions: read.list("INVESTIGATED_REGIONS", parsed),
            bucket: read.optional("EVIDENCE_BUCKET", bucket),
            summary_model: read.optional("SUMMARY_MODEL", model),
        }
    }
}
