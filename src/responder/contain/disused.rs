//! What a sweep called unused is read again: its report was hours old, and an answer may take a day.

use aws_smithy_types::DateTime;
use clients::iam::resolve::Resolved;
use clients::iam::usage;
use domain::finding::{Source, Threat};
use domain::verdict::Verdict;

use super::Attempt;
use super::progress::Running;

const DAY: i64 = 86_400;

impl Attempt<'_> {
    /// Whether a user that was to be unused is not; then the verdict is in. No other finding is looked at so.
    pub(super) async fn is_used_again(&self, resolved: &Resolved, running: &mut Running) -> bool {
        let is_of_sweep = self.finding.source == Source::Sweep && self.finding.threat == Threat::UnusedUser;
        let Some(member) = running.member.as_ref().filter(|_| is_of_sweep) else { return false };
        let since = DateTime::from_secs(self.now.secs() - DAY * i64::from(self.settings.unused_days));
        let usage = usage::read(&member.read, &resolved.identity, &resolved.observed).await;
        let Some(reason) = usage.is_used_since(since) else { return false };
        running.progress.conclude(Verdict::Refused, reason);
        true
    }
}
