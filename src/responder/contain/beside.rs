//! What goes on beside the strike and the hold: the snapshot is saved, and what a restore or a person needs to
//! know is read. Nothing here holds up a barrier.

use std::collections::BTreeSet;
use std::time::Duration;

use aws_smithy_types::DateTime;
use clients::iam::assumed_roles::{self, AssumedRoles};
use clients::iam::observe;
use clients::ledger::Opened;
use domain::change::Change;
use domain::containment::progress::Progress;
use domain::containment::snapshot;
use domain::finding::Source;
use domain::history::{self, Past, Response};
use domain::identity::{Contents, Identity, IdentityKind, Observed};
use tokio::sync::oneshot;

use super::strike::Engine;

/// Reading what policies say takes a few calls; an account that answers slower is not waited for.
const PATIENCE: Duration = Duration::from_secs(10);

impl Engine<'_> {
    /// Saves the snapshot and what is meant to be done, as a response of its own or as part of one that is open:
    /// its ID.
    pub(super) async fn save_snapshot(
        &self,
        identity: &Identity,
        before: &Observed,
        planned: &[Change],
        past: &Past,
    ) -> Result<String, String> {
        let ledger = self.ledger.ok_or("the ledger could not be reached")?;
        let mut open = past.responses.clone();
        let meant = past.intents.get(self.playbook.id);
        // Another response of the same playbook may have begun meanwhile, under another name of the identity.
        for _ in 0..3 {
            let response = self.response(before, planned, meant, &open);
            let newest = open.iter().rfind(|it| it.playbook == response.playbook).map(|it| it.id.as_str());
            match ledger.save_snapshot(identity, &response, newest).await.map_err(|it| it.to_string())? {
                Opened::Saved => return Ok(response.id),
                Opened::Overtaken => {
                    open = ledger.kept(identity).await.map_err(|it| it.to_string())?.responses;
                }
            }
        }
        Err("others began and were taken back at the same time".to_owned())
    }

    /// What is read while the barriers are watched. `saved`: once the snapshot is. `is_kept`: what policies say is in
    /// the ledger already, as far as is known before that.
    pub(super) async fn beside(
        &self,
        identity: Identity,
        before: Observed,
        is_kept: bool,
        saved: oneshot::Receiver<Saved>,
    ) -> Found {
        Beside { engine: self, identity, before, is_kept }.run(saved).await
    }

    /// Of the response that is likely to go on, before its snapshot is saved.
    pub(super) fn goes_on_with_contents(&self, open: &[Response]) -> bool {
        let last = open.iter().rfind(|it| it.playbook == self.playbook.id).or(open.last());
        last.is_some_and(|it| self.has_contents(it))
    }

    /// They were kept, or can't be any more: long after the snapshot, what is read is no state of before.
    fn has_contents(&self, it: &Response) -> bool {
        let is_too_late = self.now.secs() - it.at / 1_000 > SNAPSHOT_IS_FRESH;
        it.before.get(history::CONTENTS).is_some() || is_too_late
    }

    /// `meant`: by tries of the same playbook that ended before their snapshot.
    fn response(
        &self,
        before: &Observed,
        planned: &[Change],
        meant: Option<&BTreeSet<String>>,
        open: &[Response],
    ) -> Response {
        let planned_words = planned.iter().map(Change::words_of_record).chain(meant.into_iter().flatten().cloned());
        if let Some(begun) = snapshot::belongs_to(open, self.playbook.id, planned, meant.is_some()) {
            let planned = snapshot::within_bounds(planned_words, &begun.planned);
            return Response { planned, ..begun.clone() };
        }
        let planned_words = snapshot::within_bounds(planned_words, &BTreeSet::new());
        let mut before = before.clone();
        snapshot::without_theirs(&mut before, open, &self.finding.partition.deny_all_policy());
        let begun = Response::new(self.playbook.id, &self.finding.id, self.now, history::snapshot(&before));
        Response { planned: planned_words, ..begun }
    }
}

/// What is read while the barriers are watched.
struct Beside<'a> {
    engine: &'a Engine<'a>,
    identity: Identity,
    before: Observed,
    is_kept: bool,
}

/// What came of it.
#[derive(Default)]
pub(super) struct Found {
    leads: Vec<String>,
    notes: Vec<String>,
}

impl Found {
    pub(super) fn tell(self, progress: &mut Progress) {
        progress.leads.extend(self.leads);
        progress.notes.extend(self.notes);
    }
}

/// The response whose snapshot was saved, and those that were open before.
pub(super) type Saved = (Option<String>, Vec<Response>);

impl Beside<'_> {
    async fn run(self, saved: oneshot::Receiver<Saved>) -> Found {
        let mut found = Found::default();
        let (contents, leads) = tokio::join!(
            tokio::time::timeout(PATIENCE, self.keep_contents(saved)),
            tokio::time::timeout(PATIENCE, self.leads())
        );
        const LATE: &str = "IAM took too long";
        if let Err(why) = contents.unwrap_or_else(|_| Err(LATE.to_owned())) {
            found.notes.push(format!(
                "what the policies say could not be kept ({why}): a restore can't tell whether it changed, and asks for \
                 `force`"
            ));
        }
        match leads.unwrap_or_else(|_| Err(LATE.to_owned())) {
            Ok(AssumedRoles { leads, unread }) => {
                found.leads = leads;
                if unread > 0 {
                    found
                        .notes
                        .push(format!("{unread} more roles trust the user: when they were used last was not read"));
                }
            }
            Err(why) => found.notes.push(format!("which roles the user may have assumed could not be read: {why}")),
        }
        found
    }

    /// The playbooks that take policies away have read them before, and it is in their snapshots.
    async fn keep_contents(&self, saved: oneshot::Receiver<Saved>) -> Result<(), String> {
        let Some(ledger) = self.engine.ledger.filter(|_| self.before.contents.is_err()) else { return Ok(()) };
        let read = if self.is_kept { None } else { Some(self.contents().await) };
        let Ok((Some(response), open)) = saved.await else { return Ok(()) };
        if open.iter().any(|it| it.id == response && self.engine.has_contents(it)) {
            return Ok(());
        }
        let contents = match read {
            Some(it) => it?,
            None => self.contents().await?,
        };
        ledger.save_contents(&self.identity, &response, &contents).await.map_err(|it| it.to_string())
    }

    async fn contents(&self) -> Result<Contents, String> {
        let names = self.before.policy_names().map_err(|it| it.to_string())?;
        let read = observe::contents(&self.engine.member.read, &self.identity, names).await;
        read.map_err(|it| it.to_string())
    }

    /// Roles that live on when their user is denied.
    async fn leads(&self) -> Result<AssumedRoles, String> {
        let is_about_behaviour = self.engine.playbook.has_adversary && self.engine.finding.source != Source::Drill;
        if self.identity.kind != IdentityKind::User || !is_about_behaviour {
            return Ok(AssumedRoles::default());
        }
        let since =
            self.engine.finding.occurred_at.unwrap_or(DateTime::from_secs(self.engine.now.secs() - LONGEST_SESSION));
        assumed_roles::since(&self.engine.member.read, &self.identity, since).await.map_err(|it| it.to_string())
    }
}

/// For so many seconds a retry may add what the first try could not read: Lambda tries again for some minutes.
const SNAPSHOT_IS_FRESH: i64 = 15 * 60;

/// Where it is not known when the behaviour began: of a role's session, in seconds.
const LONGEST_SESSION: i64 = 12 * 3_600;
