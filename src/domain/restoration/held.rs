//! What must still hold the identity back when a restore looks at it: the deny, as a policy or a boundary, and the
//! revocation of a role's sessions. Where it does not, the containment did not last, and whoever restores must know.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde_json::{Value, json};

use super::drift::{Case, meant};
use crate::change::{CONSOLE_HOLD, REVOCATION_POLICY};
use crate::history::{DENY_UNCLEAR, FORMER_REVOCATION, Response};
use crate::verdict::Verdict;

/// The longest that a role's session lasts.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_update-role-settings.html>
pub(super) const LONGEST_SESSION: i64 = 12 * 3_600;

/// Whether what it meant to do was in place when it ended, as far as is known: one that says otherwise told people.
fn held(it: &Response) -> bool {
    it.is_quarantine() && it.verdict != Some(Verdict::NotContained)
}

impl Case<'_> {
    pub(super) fn held_drift(&self, time: DateTime) -> Vec<String> {
        let denies = [self.deny_drift(), self.unclear_deny(), self.console_drift()];
        let revocations = [self.revocation_text_drift(), self.revocation_drift(time)];
        denies.into_iter().chain(revocations).flatten().collect()
    }

    /// Whether the boundary that denies everything is one of ours: it is our second choice, and a person may set it
    /// beside what we attached.
    pub(super) fn is_boundary_ours(&self) -> bool {
        let planned = self.responses().any(|it| meant(it, "SetDenyAllBoundary").next().is_some());
        let was_attached = self.now.is_attached(self.deny_all) || self.did("LiftDenyAll");
        self.is_quarantined() && (planned || !was_attached)
    }

    /// Whether this restore did it already.
    pub(super) fn did(&self, change: &str) -> bool {
        self.taken.done.iter().any(|it| it.split(' ').next() == Some(change))
    }

    fn deny_drift(&self) -> Option<String> {
        let denies = |it: &&Response| {
            held(it) && ["AttachDenyAll", "AttachDenyAllToRole"].iter().any(|name| meant(it, name).next().is_some())
        };
        let stands = self.now.is_attached(self.deny_all) || self.now.is_boundary(self.deny_all);
        let is_lifted = self.did("LiftDenyAll") || self.did("RestoreBoundary");
        let was_denied = self.responses().any(|it| denies(&it));
        (was_denied && !stands && !is_lifted)
            .then(|| format!("{} was taken away since, and not by us: the containment did not last", self.deny_all))
    }

    fn console_drift(&self) -> Option<String> {
        let holds =
            |it: &Response| it.verdict.is_some_and(Verdict::is_success) && meant(it, "HoldConsole").next().is_some();
        let stands = self.attached().iter().any(|it| self.is_console_hold(it));
        let is_gone = self.responses().any(holds) && !stands && !self.did("LiftConsoleHold");
        is_gone.then(|| format!("the policy {CONSOLE_HOLD} was taken away since, and not by us: it did not last"))
    }

    fn unclear_deny(&self) -> Option<String> {
        let is_unclear = self.before.get(DENY_UNCLEAR) == Some(&Value::Bool(true));
        (is_unclear && self.now.is_attached(self.deny_all)).then(|| {
            format!(
                "whether {} was attached before the containment is not known: with `force` it is lifted, whosever it is",
                self.deny_all
            )
        })
    }

    /// Up to when the responses in force revoked sessions.
    pub(super) fn revoked_until(&self) -> Option<DateTime> {
        let dates = self.responses().filter(|it| held(it)).flat_map(|it| meant(it, "RevokeSessions"));
        let dates = dates.filter_map(|it| DateTime::from_str(it.rsplit(' ').next()?, Format::DateTime).ok());
        dates.max_by_key(DateTime::secs)
    }

    /// Whether the sessions that they revoked are so still.
    pub(super) fn is_revoked(&self) -> bool {
        let until = self.revoked_until().map(|it| it.secs());
        matches!(&self.now.revoked_before, Ok(Some(cutoff)) if until.is_none_or(|it| cutoff.secs() >= it))
    }

    fn revocation_text_drift(&self) -> Option<String> {
        let text = self.now.not_a_revocation.as_ref().filter(|_| !self.is_user())?;
        let former = self.before.get(FORMER_REVOCATION);
        (former != Some(&json!(text))).then(|| {
            format!("inline policy {REVOCATION_POLICY} was changed since: it says something else than that sessions are revoked")
        })
    }

    fn revocation_drift(&self, time: DateTime) -> Option<String> {
        let until = self.revoked_until()?;
        let stands = self.is_revoked() || self.now.is_attached(self.deny_all);
        let is_lifted = self.did("LiftRevocation") || self.did("LiftDenyAll");
        let is_over = until.secs() + LONGEST_SESSION <= time.secs();
        (!self.is_user() && !stands && !is_lifted && !is_over).then(|| {
            format!(
                "the sessions of role {} from before {until} are not revoked any more: {REVOCATION_POLICY} was changed or \
                 taken away since, and not by us",
                self.identity.name
            )
        })
    }
}
