//! Taking a containment back: the way it came, the deny last, and never a credential.
//!
//! It runs in a function of its own, with a role that the responder can't assume: what contains can
//! only take permissions away, and what gives them back does nothing but that.
//!
//! INVARIANT: the deny is lifted after everything else was given back, and no credential is made to work.
//! `tests/test_restore.py` and `tests/test_restore_any_user.py` hold it.

use std::collections::BTreeSet;
use std::time::SystemTime;

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home, Member};
use clients::iam::observe;
use clients::iam::resolve::{self, Claimed, Unresolved};
use clients::ledger::{IdentityLease, Ledger};
use clients::round_trips::CallLog;
use domain::change::Change;
use domain::command::Restore;
use domain::containment::guard;
use domain::history::{Kept, Restoration};
use domain::identity::Identity;
use domain::outcome::Outcome;
use domain::restoration::plan::{self, Undoing};
use domain::restoration::report::{Progress, Report, Verdict};
use domain::restoration::taken::{Taken, choose};
use domain::session_policy::Scope;
use domain::settings::{Mode, Restorer};
use domain::text;

use crate::invocation::{Call, RESERVE};
use crate::note::note;

mod children;
mod leases;
mod leftover;
mod order;
mod strayed;
mod tell;
mod writers;

pub(crate) use children::restore;
use leases::{Leases, names};
use order::Work;
use writers::Writers;

const TAKEN_OVER: &str = "something new was reported of the identity during the restore, and a response took it over: \
                          its deny stays, and so does its mark. Look at that response's alert, then send the command again";

/// One restore on its way to a verdict.
struct Attempt<'a> {
    settings: &'a Restorer,
    home: &'a Home,
    ledger: &'a Ledger,
    command: &'a Restore,
    now: DateTime,
    lease_until: SystemTime,
    request_id: &'a str,
    /// Whoever it follows is only observed.
    is_foreseen: bool,
}

/// Restores, tells, and releases the lease: the report, and what has to be tried again. `is_foreseen`: nothing is
/// changed, whatever the mode is.
async fn one(
    aws: &Aws,
    settings: &Restorer,
    command: &Restore,
    call: &Call,
    is_foreseen: bool,
) -> (Report, Vec<String>) {
    let calls = CallLog::default();
    let home = Home::new(aws, &calls);
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let budget = call.budget();
    let now = SystemTime::now().into();
    let (lease_until, request_id) = (call.deadline, call.request_id.as_str());
    let attempt =
        Attempt { settings, home: &home, ledger: &ledger, command, now, lease_until, request_id, is_foreseen };
    let mut progress = Progress::of(settings.mode);
    let mut leases = None;
    if tokio::time::timeout(budget, attempt.run(&mut progress, &mut leases)).await.is_err() {
        let reason = format!("the time ran out after {} s: send the command again to go on", budget.as_secs());
        progress.failed.push(reason.clone());
        progress.conclude(Verdict::NotRestored, reason);
    }
    let ending = async {
        attempt.look_at_children(&mut progress).await;
        attempt.tell_and_release(&mut progress, leases.as_ref()).await;
    };
    if tokio::time::timeout(RESERVE.mul_f64(0.8), ending).await.is_err() {
        progress.failed.push("the time ran out before everyone was told".to_owned());
    }
    let report = progress.report(command, calls.round_trips());
    let json = serde_json::to_string(&report).unwrap_or_default();
    tracing::info!(verdict = ?report.verdict, report = json, "restore {:?}: {}", report.verdict, report.reason);
    (report, progress.failed)
}

impl Attempt<'_> {
    async fn run(&self, progress: &mut Progress, leases: &mut Option<Leases>) {
        let subject = &self.command.subject;
        if let Some(reason) = guard::refuse_account(&self.settings.untouchable, &subject.account) {
            return progress.conclude(Verdict::Refused, reason);
        }
        let (common, account, partition) = (&self.settings.common, &subject.account, &subject.partition);
        let member = match self.home.assume(common, account, partition, &Scope::Look).await {
            Ok(it) => it,
            Err(failure) => return progress.fail("taking the restore role", &failure),
        };
        let claimed =
            Claimed { account: &subject.account, principal: &subject.principal, access_key: None, visible_by: None };
        let (identity, keys) = match resolve::meant(&member.read, claimed).await {
            Ok(it) => (it.identity, it.observed.keys.unwrap_or_default()),
            Err(Unresolved::Refused(reason)) => return progress.conclude(Verdict::Refused, reason),
            Err(Unresolved::Failed(failure)) => return progress.fail("finding the identity", &failure),
        };
        progress.identity = Some(identity.clone());
        if let Some(reason) = guard::refuse_own(&self.settings.untouchable, &identity) {
            return progress.conclude(Verdict::Refused, reason);
        }
        let kept = match self.ledger.kept(&identity).await {
            Ok(it) => it,
            Err(failure) => return progress.fail("reading the ledger", &failure),
        };
        let keys = keys.into_iter().map(|it| it.id.to_string());
        let Some(taken) = self.choose(&kept, progress) else {
            let names = names(&identity, kept.principal.as_deref(), keys.collect());
            return self.clear_leftover(&member, &identity, (&names, &kept), progress, leases).await;
        };
        // Whatever was contained can be taken back, also where most playbooks only observe.
        progress.mode = self.mode_of(&taken.response.playbook);
        if progress.mode == Mode::Observe {
            return self.foresee(&member, &identity, &taken, progress).await;
        }
        let names = names(&identity, kept.principal.as_deref(), keys.chain(taken.keys()).collect());
        let Some(kept) = self.hold(&identity, &names, progress, leases).await else { return };
        // What was read without the lease may be old.
        let Some(taken) = self.choose(&kept, progress) else { return };
        let Some(lease) = leases.as_ref().and_then(|it| it.identity.as_ref()) else { return };
        self.undo(&member, &identity, &names, &taken, lease, progress).await;
    }

    /// Takes the identity, by every name and by itself, and what is kept of it. `None`: the verdict is in.
    async fn hold(
        &self,
        identity: &Identity,
        names: &[String],
        progress: &mut Progress,
        leases: &mut Option<Leases>,
    ) -> Option<Kept> {
        let busy = |owner: &str| format!("invocation {owner} is at it: send the command again when it is through");
        let leases = leases.insert(Leases::default());
        match leases.acquire(self.ledger, &self.command.subject.account, identity, names, self.lease_until).await {
            Ok(None) => {}
            Ok(Some(held)) => {
                progress.conclude(Verdict::InProgress, busy(&held.owner));
                return None;
            }
            Err(failure) => {
                progress.fail("acquiring the leases", &failure);
                return None;
            }
        }
        match self.ledger.hold_to_restore(identity, self.lease_until).await {
            Ok(Ok((lease, kept))) => {
                leases.identity = Some(lease);
                Some(kept)
            }
            Ok(Err(held)) => {
                progress.conclude(Verdict::InProgress, busy(&held.owner));
                None
            }
            Err(failure) => {
                progress.fail("acquiring the lease on the identity", &failure);
                None
            }
        }
    }

    /// The response to take back; `None` when there is none, and the verdict says why.
    fn choose(&self, kept: &Kept, progress: &mut Progress) -> Option<Taken> {
        progress.made.clone_from(&kept.children);
        match choose(kept, self.command.response.as_deref()) {
            Ok(Some(taken)) => {
                progress.response = Some(taken.response.id.clone());
                progress.others = taken.others();
                progress.principal.clone_from(&kept.principal);
                Some(taken)
            }
            Ok(None) => {
                progress.is_untold = kept.restored.is_some() && !kept.is_restored_told;
                progress.conclude(Verdict::NothingToDo, nothing_to_do(kept));
                None
            }
            // It goes on with those whom it made.
            Err(_) if self.command.children && self.was_taken_back(kept) => {
                progress.conclude(Verdict::NothingToDo, "the response was taken back before");
                None
            }
            Err(reason) => {
                progress.conclude(Verdict::Refused, reason);
                None
            }
        }
    }

    /// It is none of those in force, and was.
    fn was_taken_back(&self, kept: &Kept) -> bool {
        self.command.response.as_ref().is_some_and(|it| kept.answered.knows(it))
    }

    fn mode_of(&self, playbook: &str) -> Mode {
        if self.is_foreseen { Mode::Observe } else { self.settings.mode_of(playbook) }
    }

    async fn foresee(&self, member: &Member, identity: &Identity, taken: &Taken, progress: &mut Progress) {
        let Some(undoing) = self.plan(member, identity, taken, progress).await else { return };
        for change in undoing.changes() {
            note(&progress.changes, change.clone(), Outcome::Planned);
        }
        progress.drift = undoing.drift;
        progress.stays = undoing.stays;
        progress.conclude(Verdict::Observed, "nothing was changed: the mode is `observe`");
    }

    async fn undo(
        &self,
        member: &Member,
        identity: &Identity,
        names: &[String],
        taken: &Taken,
        lease: &IdentityLease,
        progress: &mut Progress,
    ) {
        let Some(undoing) = self.plan(member, identity, taken, progress).await else { return };
        progress.drift.clone_from(&undoing.drift);
        progress.stays.clone_from(&undoing.stays);
        if !undoing.drift.is_empty() && !self.command.force {
            let reason =
                "it changed since the containment: look at each difference, then send the command with `force`";
            return progress.conclude(Verdict::Drifted, reason);
        }
        if let Some(reason) = &undoing.obstacle {
            progress.failed.push(reason.clone());
            return progress.conclude(Verdict::NotRestored, reason);
        }
        let writers = match Writers::assume(self, identity, undoing.changes()).await {
            Ok(it) => it,
            Err(failure) => return progress.fail("taking the restore role", &failure),
        };
        let work = Work { member, writers: &writers, identity, taken: Some(taken), lease };
        self.apply_in_order(&work, undoing, progress).await;
        if progress.verdict.is_some() {
            return;
        }
        let Some(left) = self.look_again(&work, progress).await else { return };
        let left: Vec<_> =
            left.changes().filter(|it| !self.is_given_up(it, progress)).map(ToString::to_string).collect();
        if !left.is_empty() {
            progress.failed.extend(progress.changes.failures());
            progress.failed.extend(left.iter().map(|it| format!("still to do: {it}")));
            self.tell_of_vanished(progress, &left);
            return progress.conclude(Verdict::NotRestored, "the state that was read back is not the one before");
        }
        self.keep(identity, names, taken, lease, progress).await;
    }

    /// `None` when the state could not be read whole: nothing is decided by half of it.
    async fn plan(
        &self,
        member: &Member,
        identity: &Identity,
        taken: &Taken,
        progress: &mut Progress,
    ) -> Option<Undoing> {
        let mut now = observe::observe(&member.read, identity, false).await;
        let contents = match taken.policy_names(&now) {
            Ok(names) => observe::contents(&member.read, identity, names).await,
            Err(unread) => Err(unread),
        };
        // All of that was read by the name, beside the ID.
        let still = observe::is_there(&member.read, identity).await;
        let unread = now.unreadable().into_iter().chain(contents.as_ref().err()).chain(still.as_ref().err());
        let unread: BTreeSet<_> = unread.map(ToString::to_string).collect();
        if !unread.is_empty() {
            let unread = unread.into_iter().collect::<Vec<_>>().join(", ");
            let reason = format!("could not be read: {unread}");
            progress.failed.push(reason.clone());
            progress.conclude(Verdict::NotRestored, reason);
            return None;
        }
        now.contents = contents;
        Some(plan::plan(identity, &now, taken, self.command.subject.partition.deny_all_policy().as_str(), self.now))
    }

    /// Why nothing may be given back or taken away now.
    async fn stopped(&self, lease: &IdentityLease) -> Option<String> {
        match self.ledger.still_holds(lease).await {
            Ok(true) => None,
            Ok(false) => Some(TAKEN_OVER.to_owned()),
            Err(failure) => Some(format!(
                "whether something new was reported is not known, and nothing more was done: send the command again: {failure}"
            )),
        }
    }

    /// What is not there any more can't be given back; with `force` the rest is.
    fn is_given_up(&self, change: &Change, progress: &Progress) -> bool {
        self.command.force && progress.changes.failure(change).is_some_and(|it| it.is_gone())
    }

    /// The next containment begins anew, and what was known until now does not bring it about.
    async fn keep(
        &self,
        identity: &Identity,
        names: &[String],
        taken: &Taken,
        lease: &IdentityLease,
        progress: &mut Progress,
    ) {
        let at = self.now.to_millis().unwrap_or_default();
        let account = &self.command.subject.account;
        let note = |name| self.ledger.note_restored(account, name, identity.id.as_str(), at);
        for noted in futures_util::future::join_all(names.iter().map(|it| note(it))).await {
            if let Err(failure) = noted {
                return progress.fail("noting the restore in the ledger", &failure);
            }
        }
        let (by, reason) = (text::line(&self.command.by, 200), text::line(&self.command.reason, 500));
        let applied = progress.changes.applied();
        let given_back = applied.iter().map(|it| taken.gave_back(&it.deed.words_of_record())).collect();
        let restoration = Restoration { at, by, reason, applied: progress.applied(), given_back };
        let kept = self.ledger.keep_restoration(lease, identity, &taken.response, &taken.left, restoration).await;
        if let Err(failure) = kept {
            // After the last look at it: its response has put the deny back.
            if self.ledger.still_holds(lease).await == Ok(false) {
                progress.failed.push(TAKEN_OVER.to_owned());
                return progress.conclude(Verdict::NotRestored, TAKEN_OVER);
            }
            return progress.fail("closing the record in the ledger", &failure);
        }
        let given_up =
            progress.changes.failures().into_iter().map(|it| format!("is gone, and was not given back: {it}"));
        progress.notes.extend(given_up);
        let reason = match taken.left.len() {
            0 => "everything but what stays was read to be as before",
            _ => "everything but what stays was read to be as before this response; others stay in force",
        };
        progress.conclude(Verdict::Restored, reason);
    }

    async fn tell_and_release(&self, progress: &mut Progress, leases: Option<&Leases>) {
        let is_news = match progress.verdict() {
            Verdict::Restored => true,
            Verdict::NotRestored => !self.command.is_lift,
            // The restore itself succeeded before, and its alert did not.
            Verdict::NothingToDo => progress.is_untold,
            _ => false,
        };
        if is_news && matches!(progress.mode, Mode::Approve | Mode::Enforce) && self.settings.common.has_alerts() {
            self.tell(progress).await;
        }
        let Some(leases) = leases else { return };
        let is_restored = progress.verdict() == Verdict::Restored;
        for failure in leases.release(self.ledger, is_restored).await {
            progress.failed.push(format!("releasing the lease: {failure}"));
        }
    }
}

fn nothing_to_do(kept: &Kept) -> String {
    match &kept.restored {
        Some(it) => {
            format!("it was restored at {} by {}: {}", DateTime::from_millis(it.at), it.by, it.reason)
        }
        None => "the ledger has no containment of this unique ID".to_owned(),
    }
}
