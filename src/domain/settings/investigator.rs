//! The settings of the function that reports on an identity.

use std::time::Duration;

use super::reader::{Reader, hours, investigator_role, parsed};
use super::{Common, Untouchable};
use crate::ids::Region;

/// A day: what an intruder did before it was noticed is mostly younger.
const LOOKBACK_HOURS: u64 = 24;

#[derive(Debug, Clone)]
pub struct Investigator {
    pub common: Common,
    pub untouchable: Untouchable,
    /// How far back CloudTrail is asked.
    pub lookback: Duration,
    /// Where it is asked beside the responder's own region, the finding's, and the one where IAM's events are.
    pub regions: Vec<Region>,
}

impl Investigator {
    pub(super) fn read(read: &mut Reader) -> Self {
        let member_role = investigator_role(read);
        Self {
            common: Common::read(read, member_role),
            untouchable: Untouchable::read(read),
            lookback: Duration::from_secs(3_600 * read.optional("LOOKBACK_HOURS", hours).unwrap_or(LOOKBACK_HOURS)),
            regions: read.list("INVESTIGATED_REGIONS", parsed),
        }
    }
}
