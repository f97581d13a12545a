//! Asking people, in `approve` mode: the plan is stored as a request, and nobody is asked twice about the same.
//!
//! INVARIANT: who is protected, is a namesake or is not to be found is never asked about.
//! `tests/test_approvals.py` holds it.

use std::time::Duration;

use clients::iam::resolve::Resolved;
use domain::approval::request::{Asked, State};
use domain::containment::escalation;
use domain::containment::progress::{Progress, matter};
use domain::finding::{Severity, Source};
use domain::identity::Identity;
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::settings::Mode;
use domain::verdict::Verdict;
use tokio::sync::oneshot;

use super::Attempt;
use super::known::Known;
use super::progress::Running;
use crate::invocation::now_millis;
use crate::notify::{Scene, notify};
use crate::slack::Poster;

mod store;

/// What people read where nobody knows how far an earlier response came.
const CUT_OFF: &str =
    "an earlier response was cut off, and what it did was not seen to hold: `contain` sees to it at once";
/// What is not seen to hold so long after it should have been is told beside the hold.
const OVERDUE: Duration = Duration::from_secs(3);

/// What became of asking.
struct Asking {
    id: RequestId,
    asked: Asked,
    /// It was stored for this finding, and not for an earlier one.
    is_new: bool,
    /// People know of it.
    is_told: bool,
    /// This finding is kept with an earlier one's since now.
    is_joined: bool,
}

impl Asking {
    /// One that is told in a list, but for its incident where it is critical.
    fn is_quiet(&self) -> bool {
        let is_critical = self.asked.finding.severity >= Severity::CRITICAL;
        self.is_told || (self.asked.is_beyond && !(self.is_new && is_critical))
    }
}

/// What was asked beside the hold.
pub(super) struct Beside {
    known: Known,
    asking: Result<Asking, Failure>,
    /// People were told before it was seen to hold.
    is_told_early: bool,
    incident: Option<String>,
    failed: Vec<String>,
}

impl Attempt<'_> {
    /// Of an earlier restore, which a finding that was known then is no news to, and of one that was cut off.
    pub(super) async fn remember(&self, running: &mut Running) {
        if !self.asks {
            return;
        }
        match self.ledger.remembered(self.finding).await {
            Ok(memory) => running.memory = memory,
            Err(failure) => running.progress.ledger_failed.push(format!("reading the ledger: {failure}")),
        }
    }

    /// Whether what was approved is still what would be done; otherwise the verdict is in.
    pub(super) fn is_covered(&self, resolved: &Resolved, running: &mut Running) -> bool {
        let extras = self.settings.options.into();
        let refused = |it: &domain::coverage::Approval| it.refuses(&resolved.identity, self.finding.threat, extras);
        let Some(reason) = self.relay.approval.as_ref().and_then(refused) else { return true };
        running.progress.is_uncovered = true;
        running.is_quiet = true;
        running.progress.conclude(Verdict::Refused, reason);
        false
    }

    /// Asks about who was struck, beside the hold: a fight puts no question off. Tells once that takes too long;
    /// until then it is left to the alert that says how it ended. `held`: closed once it has ended.
    pub(super) async fn ask_beside(
        &self,
        struck: oneshot::Receiver<Known>,
        held: oneshot::Receiver<()>,
    ) -> Option<Beside> {
        let known = struck.await.ok()?;
        let asking = self.put(&known).await.transpose()?;
        let mut beside = Beside { known, asking, is_told_early: false, incident: None, failed: Vec::new() };
        if tokio::time::timeout(self.settings.settle + OVERDUE, held).await.is_err() {
            self.tell_early(&mut beside).await;
        }
        Some(beside)
    }

    /// Asks, where there is something to do, or ends what was asked beside the hold.
    pub(super) async fn ask(&self, running: &mut Running, beside: Option<Beside>) {
        if let Some(beside) = beside {
            return self.end_beside(beside, running).await;
        }
        let progress = &running.progress;
        // Of what was reported and comes to no question, whoever reads reports tells.
        running.is_quiet |= self.finding.source == Source::Report;
        let (Some(Verdict::Observed), Some(identity), Some(before), Some(member)) =
            (progress.verdict, progress.identity.clone(), progress.snapshot.clone(), running.member.clone())
        else {
            return;
        };
        let (changes, others) = (Vec::new(), running.others.clone());
        let known = Known { member, identity, before, struck: None, changes, others };
        match self.put(&known).await {
            Ok(None) => self.nothing_to_ask(&known.identity, running).await,
            Ok(Some(asking)) => self.is_asked(&asking, running).await,
            Err(failure) => {
                let reason = format!("nothing was changed, and nobody could be asked: {failure}");
                running.progress.failed.push(format!("asking for approval: {failure}"));
                running.progress.conclude(Verdict::NotContained, reason);
            }
        }
    }

    async fn nothing_to_ask(&self, identity: &Identity, running: &mut Running) {
        running.is_quiet = !self.was_cut_off(running) || self.is_carried_out(identity).await;
        if running.is_quiet {
            let reason = "everything that would be asked for is in place: nobody was asked";
            return running.progress.conclude(Verdict::Observed, reason);
        }
        let reason = format!("everything that would be asked for is in place: {CUT_OFF}");
        running.progress.conclude(Verdict::Unverified, reason);
    }

    /// A response that began in another mode never ended, and this is what takes its finding up.
    fn was_cut_off(&self, running: &Running) -> bool {
        self.relay.is_due && running.memory.is_unfinished
    }

    /// Whether what was begun is taken up again under an approval.
    async fn is_carried_out(&self, identity: &Identity) -> bool {
        match self.ledger.last_asked(&self.finding.account, &identity.id).await {
            Ok(request) => request.is_some_and(|it| it.state(now_millis()) == State::Approved),
            Err(failure) => {
                tracing::warn!("whether it is carried out under an approval is not known: {failure}");
                false
            }
        }
    }

    async fn is_asked(&self, asking: &Asking, running: &mut Running) {
        let Asking { id, asked, is_new, is_joined, .. } = asking;
        running.is_quiet = asking.is_quiet();
        running.joins_lesser = !is_new && !escalation::is_critical_question(&asked.finding);
        if self.was_cut_off(running) {
            running.progress.notes.push(CUT_OFF.to_owned());
        }
        if *is_joined && running.is_quiet {
            self.show_joined(id, asked).await;
        }
        if asked.is_beyond && !running.is_quiet {
            running.progress.past.incident = self.incident_of(running.progress.identity.as_ref()).await;
        }
        let reason = match (is_new, asked.is_beyond, &asked.struck) {
            (false, ..) => "the same waits for approval already".to_owned(),
            (true, true, None) => {
                "it waits for approval, and is told in a list: more are open than are asked singly".to_owned()
            }
            (true, false, None) => "nothing was changed: it waits for approval".to_owned(),
            (true, _, Some(it)) => format!("it waits for approval, and {} meanwhile", it.barrier.is()),
        };
        running.progress.question = Some(asked.question(id, &self.settings.function_name));
        // Where what is to hold meanwhile does not, that is the verdict.
        match running.progress.verdict() {
            Verdict::NotContained | Verdict::Unverified => running.is_quiet = false,
            _ => running.progress.conclude(Verdict::Waiting, reason),
        }
    }

    async fn end_beside(&self, mut beside: Beside, running: &mut Running) {
        let is_told = beside.asking.as_ref().is_ok_and(|it| it.is_told);
        if running.progress.is_handed_over && !is_told {
            self.tell_early(&mut beside).await;
        }
        let Beside { known, asking, is_told_early, incident, failed } = beside;
        running.progress.failed.extend(failed);
        let asking = match asking {
            Ok(it) => it,
            Err(failure) => {
                running.progress.failed.push(format!("asking for approval: {failure}"));
                if running.progress.verdict().is_success() {
                    let what = known.struck.map_or("it was struck", |it| it.barrier.is());
                    let reason = format!("{what}, and nobody could be asked: {failure}");
                    running.progress.conclude(Verdict::NotContained, reason);
                }
                return;
            }
        };
        if running.progress.is_handed_over {
            running.progress.question = Some(asking.asked.question(&asking.id, &self.settings.function_name));
            return;
        }
        self.is_asked(&asking, running).await;
        // How it went on is news to whoever was told while it did.
        running.is_quiet &= !is_told_early && running.progress.reversals.is_empty();
        running.progress.past.incident = incident.or(running.progress.past.incident.take());
    }

    /// Tells that it waits, while what holds it back is still fought over.
    async fn tell_early(&self, beside: &mut Beside) {
        let Ok(asking) = &mut beside.asking else { return };
        if asking.is_quiet() {
            return;
        }
        let known = &beside.known;
        let mut progress = Progress {
            matter: matter(self.finding),
            identity: Some(known.identity.clone()),
            question: Some(asking.asked.question(&asking.id, &self.settings.function_name)),
            ..Progress::default()
        };
        known.changes.iter().for_each(|it| progress.changes.push(it.clone()));
        progress.past.incident = self.incident_of(Some(&known.identity)).await;
        let what = known.struck.as_ref().map_or("it was struck", |it| it.barrier.is());
        progress.conclude(Verdict::Waiting, format!("it waits for approval: {what}, and that is not seen to hold yet"));
        let scene = Scene {
            settings: self.settings,
            home: self.home,
            member: Some(&known.member),
            playbook: self.playbook,
            finding: self.finding,
            now: self.now,
            request_id: self.request_id,
            is_hurried: false,
        };
        notify(&scene, Mode::Approve, &mut progress).await;
        beside.failed.append(&mut progress.failed);
        beside.incident = progress.incident();
        if !progress.is_alerted() {
            return;
        }
        beside.is_told_early = true;
        let noted = async {
            if !asking.asked.is_beyond {
                asking.is_told = true;
                self.ledger.note_asked(&asking.id).await?;
            }
            match &beside.incident {
                Some(incident) => self.ledger.note_incident(&known.identity, incident).await,
                None => Ok(()),
            }
        };
        if let Err(failure) = noted.await {
            beside.failed.push(format!("keeping what people were told: {failure}"));
        }
    }

    /// The one that was opened about it within a day. Where the ledger can't say, another is opened.
    async fn incident_of(&self, identity: Option<&Identity>) -> Option<String> {
        match self.ledger.past(identity?).await {
            Ok(past) => past.incident,
            Err(failure) => {
                tracing::warn!("whether there is an incident is not known: {failure}");
                None
            }
        }
    }

    /// What is in the channel says that there is more to it by now. Nobody is told anew: trouble with it is none of
    /// the response's.
    async fn show_joined(&self, id: &RequestId, asked: &Asked) {
        let Some(poster) = Poster::asking(self.home, self.settings, false).filter(|_| !asked.is_beyond) else { return };
        if let Outcome::Failed(failure) = poster.show(id, &asked.finding.account, &asked.target.id).await {
            tracing::warn!(request = id.as_str(), "the card could not be changed: {failure}");
        }
    }
}
