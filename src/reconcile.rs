//! Strike, observe, plan, guard, apply, and read back: one pass of bringing an identity to the
//! state that its playbook wants.
//!
//! The verdict comes from what was read afterwards, never from what was written.

use aws_smithy_types::DateTime;
use futures_util::StreamExt;
use futures_util::stream;

use crate::accounts::Member;
use crate::action::{Action, Done, Outcome};
use crate::apply::apply;
use crate::config::Mode;
use crate::finding::Finding;
use crate::identity::{Identity, Observed};
use crate::observe::{self, Resolved};
use crate::playbooks::{Case, Plan, Playbook};
use crate::report::Verdict;

/// What is known of one response so far. It outlives a response that runs out of time, so that the
/// report tells what was done until then.
#[derive(Debug, Default)]
pub struct Record {
    pub identity: Option<Identity>,
    /// The state before anything was taken away; what was added is in `done`.
    pub before: Option<Observed>,
    pub done: Vec<Done>,
    pub notes: Vec<String>,
    /// What still lets the identity act.
    pub open: Vec<String>,
    pub verdict: Option<Verdict>,
    pub reason: Option<String>,
    /// What has to be tried again.
    pub failed: Vec<String>,
}

impl Record {
    pub fn conclude(&mut self, verdict: Verdict, reason: impl Into<String>) {
        self.verdict = Some(verdict);
        self.reason = Some(reason.into());
    }
}

/// IAM takes parallel writes to one user, within reason.
const PARALLEL_WRITES: usize = 8;

pub async fn reconcile(
    member: &Member,
    playbook: &Playbook,
    mode: Mode,
    finding: &Finding,
    resolved: Resolved,
    now: DateTime,
    record: &mut Record,
) {
    let Resolved {
        identity,
        observed: known,
    } = resolved;
    let case = Case {
        finding,
        identity: &identity,
        now,
    };
    let strike = (playbook.strike)(&case, &known);
    match mode {
        Mode::Observe => {
            let observed = observe::observe(&member.iam, &identity).await;
            let Plan { actions, notes } = (playbook.plan)(&case, &observed);
            record.done.extend(actions.into_iter().map(|action| Done {
                action,
                outcome: Outcome::Planned,
            }));
            record.notes.extend(notes);
            let unread = unread(&observed);
            record
                .notes
                .extend(unread.iter().map(|it| format!("could not be read: {it}")));
            record.before = Some(observed);
            record.conclude(Verdict::Observed, "nothing was changed: the mode is `observe`");
        }
        Mode::Enforce => {
            let (before, struck) = tokio::join!(observe::observe(&member.iam, &identity), strike_all(member, &strike));
            record.done.extend(struck);
            let Plan { actions, notes } = (playbook.plan)(&case, &before);
            record.before = Some(before);
            record.notes.extend(notes);
            let rest: Vec<Action> = actions.into_iter().filter(|it| !was_struck(it, &strike)).collect();
            record.done.extend(apply_all(member, rest).await);
            let after = observe::observe(&member.iam, &identity).await;
            judge(playbook, &case, &after, record);
        }
    }
}

/// The read before the strike and the read beside it may differ in what the strike itself does.
fn was_struck(action: &Action, strike: &[Action]) -> bool {
    strike.iter().any(|it| {
        it == action
            || matches!(
                (it, action),
                (Action::RevokeSessions { .. }, Action::RevokeSessions { .. })
            )
    })
}

/// The barriers, all at once. Where no policy can be attached, the boundary is the other slot.
async fn strike_all(member: &Member, strike: &[Action]) -> Vec<Done> {
    let mut done = apply_all(member, strike.to_vec()).await;
    let is_full = |it: &Done| matches!(&it.outcome, Outcome::Failed(failure) if failure.is_quota());
    let fallback = done.iter().find_map(|it| match &it.action {
        Action::AttachDenyAll { user, policy } if is_full(it) => Some(Action::SetDenyAllBoundary {
            user: user.clone(),
            policy: policy.clone(),
        }),
        _ => None,
    });
    if let Some(action) = fallback {
        for it in &mut done {
            if let (Action::AttachDenyAll { .. }, Outcome::Failed(failure)) = (&it.action, &it.outcome) {
                it.outcome = Outcome::Skipped {
                    reason: format!("{failure}; the permissions boundary is used instead"),
                };
            }
        }
        let outcome = apply(member, &action).await;
        log_action(&action, &outcome);
        done.push(Done { action, outcome });
    }
    done
}

async fn apply_all(member: &Member, actions: Vec<Action>) -> Vec<Done> {
    let one = |action: Action| async move {
        let outcome = apply(member, &action).await;
        log_action(&action, &outcome);
        Done { action, outcome }
    };
    stream::iter(actions).map(one).buffered(PARALLEL_WRITES).collect().await
}

/// One line for each action, in the words that the report uses.
pub fn log_action(action: &Action, outcome: &Outcome) {
    let (step, target, detail) = (action.name(), action.target(), outcome.detail());
    match outcome {
        Outcome::Failed(_) => tracing::error!(step, target, outcome = outcome.word(), detail, "{action}"),
        _ => tracing::info!(step, target, outcome = outcome.word(), detail, "{action}"),
    }
}

fn unread(observed: &Observed) -> Vec<String> {
    observed
        .unreadable()
        .iter()
        .map(|it| format!("{} ({})", it.what, it.why))
        .collect()
}

/// What the playbook would still do, given what is there now, is what is still open.
fn judge(playbook: &Playbook, case: &Case, after: &Observed, record: &mut Record) {
    let Plan { actions, .. } = (playbook.plan)(case, after);
    let unread = unread(after);
    let is_known = |it: &Action| match it {
        Action::AttachDenyAll { .. } => after.attached.is_ok() && after.profile.is_ok(),
        Action::RevokeSessions { .. } => after.revoked_before.is_ok(),
        _ => true,
    };
    let open = actions.iter().filter(|it| it.contains() && is_known(it));
    record.open = open.map(|it| format!("still to do: {it}")).collect();
    record
        .open
        .extend(unread.iter().map(|it| format!("could not be read back: {it}")));
    let failed = record.done.iter().filter_map(|it| match &it.outcome {
        Outcome::Failed(failure) => Some(format!("{}: {failure}", it.action)),
        _ => None,
    });
    record.failed = failed.collect();
    if record.open.len() > unread.len() {
        record.conclude(
            Verdict::NotContained,
            "the state that was read back is not the wanted one",
        );
        record.failed.extend(record.open.clone());
    } else if !unread.is_empty() {
        record.conclude(Verdict::Unverified, "not everything could be read back");
        record.failed.extend(record.open.clone());
    } else {
        record.conclude(Verdict::Applied, "everything that the playbook wants is in place");
    }
}
