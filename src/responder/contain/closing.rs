//! How a response ends: people are told, then the ledger and Security Hub; and what waited for it is
//! answered.

use clients::ledger::{Ending, IdentityLease, Kind, Lease, Ledger, digest};
use domain::containment::admission;
use domain::containment::guard;
use domain::containment::message;
use domain::containment::progress::Progress;
use domain::finding::{Finding, Source, Threat};
use domain::notice::Notice;
use domain::outcome::{Failure, Outcome};
use domain::settings::Mode;
use domain::told::Digest;
use domain::verdict::Verdict;
use futures_util::StreamExt;
use futures_util::stream;

use super::evidence;
use super::follow::Following;
use crate::invocation::now_millis;
use crate::notify::{self, Scene, keep, notify, send_all};

/// How many of those that waited are answered at the same time.
const PARALLEL_ANSWERS: usize = 8;
/// When somebody who could not be told is tried again; Lambda tries an event again after a minute.
const REDELIVERY_MILLIS: i64 = 60_000;

pub(super) struct Closing<'a> {
    pub(super) ledger: &'a Ledger,
    pub(super) scene: &'a Scene<'a>,
    pub(super) mode: Mode,
    /// Findings of the same event that go with it.
    pub(super) others: &'a [Finding],
    /// It is on the list of what is due, as long as it goes on without the lease on the name.
    pub(super) is_listed: bool,
    /// It is carried out under an approval: the request is due until people were told how it ended.
    pub(super) is_approved: bool,
    /// What people were told of an approval that could not be carried out yet.
    pub(super) told_trouble: Option<&'a str>,
    /// Whoever took it from that list settles it there.
    pub(super) is_due: bool,
    /// What people were told of it before calls nobody else.
    pub(super) joins_lesser: bool,
    pub(super) lease: Option<Lease>,
    pub(super) identity_lease: Option<IdentityLease>,
}

impl Closing<'_> {
    /// `is_quiet`: another one tells, or has told.
    ///
    /// INVARIANT: what people were told is kept only after it was delivered, and a finding's workflow status
    /// changes only after people were told. `tests/test_notices_delivered.py` holds it.
    pub(super) async fn run(&self, is_quiet: bool, progress: &mut Progress) {
        self.keep_suspects(progress).await;
        // Whoever goes on with a fight that is handed over knows nothing of them.
        for namesake in &mut progress.namesakes {
            notify::alert(self.scene, self.mode, namesake).await;
        }
        if progress.is_handed_over {
            return self.hand_over(progress).await;
        }
        let trouble = progress.trouble();
        let is_known = trouble.is_some() && trouble.as_deref() == self.told_trouble;
        let is_quiet = is_quiet || is_known || self.is_in_digest(progress).await;
        let is_refusal = !is_quiet && self.is_told_once(progress);
        if is_refusal {
            self.remember_refusal(progress).await;
        }
        let mut updates = if is_quiet { Vec::new() } else { notify(self.scene, self.mode, progress).await };
        if is_quiet && self.joins_lesser {
            notify::watch_question(self.scene, self.mode, progress).await;
        }
        updates.extend(self.updates_of_others(is_quiet, progress));
        let is_told = !is_quiet && progress.is_delivered();
        let is_alerted = !is_quiet && progress.is_alerted();
        let shared = &*progress;
        let (sent, closed, released, noted, refused, seen) = tokio::join!(
            send_all(self.scene, &updates, shared),
            self.close(shared),
            self.release(shared),
            self.note_told(is_quiet, is_told, is_alerted, shared),
            self.note_refusal_told(is_refusal && is_told, shared),
            self.note_others()
        );
        keep(progress, updates, sent);
        progress.told_trouble = trouble.filter(|_| is_known || is_told);
        let waiting = match closed {
            Ok(it) => it,
            Err(failure) => {
                progress.ledger_failed.push(format!("closing the record: {failure}"));
                Vec::new()
            }
        };
        let failed = [
            ("releasing the lease", released),
            ("keeping what is to be told again", noted),
            ("keeping what people were told", refused),
            ("noting the other findings", seen),
        ];
        for (what, result) in failed {
            if let Err(failure) = result {
                progress.ledger_failed.push(format!("{what}: {failure}"));
            }
        }
        self.answer(waiting, is_quiet || is_told, progress).await;
    }

    /// Whoever creates users and deletes them at once, by the thousand, must not drown an alert: they are lines of a
    /// digest, which keeps twenty and counts the rest.
    async fn is_in_digest(&self, progress: &Progress) -> bool {
        let finding = self.scene.finding;
        let is_nobody = finding.threat == Threat::UnauthorizedUser && progress.identity.is_none();
        if !is_nobody || !self.is_told_once(progress) || !self.scene.settings.common.has_alerts() {
            return false;
        }
        let line = message::refused_line(finding, progress.reason.as_deref().unwrap_or_default());
        let identity = format!("{}/{}", finding.account, finding.principal.target_key());
        let entry = digest::Entry { identity: &identity, finding: &finding.id, line: &line };
        match self.ledger.add_to_digest(Digest::Hourly, finding.severity, entry).await {
            Ok(()) => true,
            Err(failure) => {
                tracing::warn!("the digest could not be written, an alert is sent instead: {failure}");
                false
            }
        }
    }

    /// A refusal is told once, whoever comes with it again.
    fn is_told_once(&self, progress: &Progress) -> bool {
        let is_drill = self.scene.finding.source == Source::Drill;
        progress.verdict() == Verdict::Refused && !is_drill && self.mode != Mode::Observe
    }

    async fn remember_refusal(&self, progress: &mut Progress) {
        let news = progress.news();
        match self.ledger.is_refusal_told(&self.scene.finding.account, &news).await {
            Ok(true) => progress.past.told = Some(news),
            Ok(false) => {}
            // It is told once too often rather than never.
            Err(failure) => tracing::warn!("whether people were told of the refusal is not known: {failure}"),
        }
    }

    async fn note_refusal_told(&self, is_told: bool, progress: &Progress) -> Result<(), Failure> {
        if !is_told {
            return Ok(());
        }
        self.ledger.note_refusal_told(&self.scene.finding.account, &progress.news()).await
    }

    /// What was done is kept; the leases are left to the invocation that goes on, and so is telling.
    async fn hand_over(&self, progress: &mut Progress) {
        let Some(lease) = &self.identity_lease else { return };
        let applied = progress.applied().into_iter().take(200).collect();
        if let Err(failure) = self.ledger.keep_applied(lease, applied).await {
            progress.ledger_failed.push(format!("keeping what was done: {failure}"));
        }
        // What it made need not wait for the verdict, unless people are asked.
        if let Some(response) = progress.response.as_ref().filter(|_| self.mode == Mode::Enforce)
            && let Err(failure) = self.ledger.note_under_way(lease, response).await
        {
            progress.ledger_failed.push(format!("keeping that it goes on: {failure}"));
        }
    }

    fn updates_of_others(&self, is_quiet: bool, progress: &Progress) -> Vec<Notice> {
        if is_quiet || self.mode == Mode::Observe || progress.verdict() == Verdict::InProgress {
            return Vec::new();
        }
        let own = self.scene.finding.security_hub.as_ref();
        let others = self.others.iter().filter_map(|it| it.security_hub.as_ref());
        others.filter(|it| Some(*it) != own).cloned().map(Notice::UpdateFinding).collect()
    }

    /// A restore answers them too, and the finding itself where another has the lease on its name.
    async fn note_others(&self) -> Result<(), Failure> {
        if self.lease.is_none() && !self.is_listed {
            return Ok(());
        }
        let own = self.lease.is_none().then_some(self.scene.finding);
        for finding in own.into_iter().chain(self.others) {
            self.ledger.note_seen(finding).await?;
        }
        Ok(())
    }

    /// Leaves the outcome in the identity's record, and gives the identity back.
    async fn close(&self, progress: &Progress) -> Result<Vec<String>, Failure> {
        let Some(lease) = &self.identity_lease else { return Ok(Vec::new()) };
        let Some(identity) = &progress.identity else { return self.ledger.let_go(lease).await.map(|()| Vec::new()) };
        let incident = progress.incident();
        let ending = Ending {
            identity,
            verdict: progress.verdict(),
            incident: incident.as_deref(),
            held_at: progress.held_at,
            response: progress.response.as_deref(),
            not_taken: &progress.not_taken,
            applied: progress.applied().into_iter().take(200).collect(),
            told: progress.told(),
            is_rotated: progress.is_rotated(),
        };
        // A restore of who made it finds it by this.
        let noted = match &self.scene.finding.parent {
            Some(parent) => self.ledger.note_parent(&Ledger::record_of(identity), parent).await,
            None => Ok(()),
        };
        let waiting = self.ledger.close(lease, &ending).await;
        noted.and(waiting)
    }

    async fn release(&self, progress: &Progress) -> Result<(), Failure> {
        let is_ours = self.identity_lease.is_some();
        // A principal that was left alone stays a new one for the breaker.
        let record = progress.identity.as_ref().filter(|_| is_ours).map(Ledger::record_of);
        let Some(lease) = &self.lease else {
            return match record.filter(|_| self.is_listed) {
                Some(record) => self.ledger.note_contained(self.scene.finding, &record).await,
                None => Ok(()),
            };
        };
        let is_finished = progress.is_snapshot_saved
            || progress.verdict() == Verdict::InProgress
            || !(progress.has_struck() || lease.memory.is_resumed);
        self.ledger.release(lease, Some(self.scene.finding), record, is_finished).await
    }

    /// Who could not be told is told later, and so are the findings marked; what is deferred, and what is asked, is told
    /// once, though its incident could not be opened.
    async fn note_told(
        &self,
        is_quiet: bool,
        is_told: bool,
        is_alerted: bool,
        progress: &Progress,
    ) -> Result<(), Failure> {
        let finding = self.scene.finding;
        // Whoever left it with another, or put it off, has put it on the list for that.
        let is_put = matches!(progress.verdict(), Verdict::InProgress | Verdict::Deferred);
        let is_over = is_quiet || is_told || finding.source == Source::Drill;
        if self.is_listed && !self.is_due && is_over && !is_put {
            self.ledger.settle(finding).await?;
        }
        if self.mode == Mode::Observe || is_quiet || finding.source == Source::Drill {
            return Ok(());
        }
        if self.is_approved {
            return Ok(());
        }
        match (progress.verdict(), is_told) {
            // The request is due until people were told of it.
            (Verdict::Waiting, _) if !is_alerted => Ok(()),
            (Verdict::Waiting, _) => {
                if let Some(question) = progress.question.as_ref().filter(|it| !it.is_beyond) {
                    self.ledger.note_asked(&question.request).await?;
                }
                self.note_incident(progress).await
            }
            // Of the others the next one is told.
            (Verdict::Deferred, _) if !is_alerted && !admission::is_always_told(finding.threat) => Ok(()),
            // Telling it waits for no room: the next run does, and puts it back where it stands. What the ledger did
            // not take is tried again by whoever sent it.
            (Verdict::Deferred, _) if !is_alerted => match progress.ledger_failed.is_empty() {
                true => self.ledger.put_due(finding, Kind::Undelivered, now_millis()).await.map(|_| ()),
                false => Ok(()),
            },
            (Verdict::Deferred, _) => {
                self.ledger.note_deferral_told(finding).await?;
                if !admission::is_always_told(finding.threat) {
                    self.ledger.note_digest_told(finding.threat).await?;
                }
                self.note_incident(progress).await
            }
            (_, false) => {
                let at = now_millis() + REDELIVERY_MILLIS;
                let marked = self.others.iter().filter(|it| it.security_hub.is_some());
                for finding in std::iter::once(finding).chain(marked) {
                    self.ledger.put_due(finding, Kind::Undelivered, at).await?;
                }
                Ok(())
            }
            (_, true) => Ok(()),
        }
    }

    /// The next response to the identity opens no other.
    async fn note_incident(&self, progress: &Progress) -> Result<(), Failure> {
        match (progress.incident(), &progress.identity) {
            (Some(incident), Some(identity)) => self.ledger.note_incident(identity, &incident).await,
            _ => Ok(()),
        }
    }

    /// The findings that others left with us get our verdict, where it is theirs too; the others are due now. Where
    /// people could not be told, they wait for that.
    async fn answer(&self, waiting: Vec<String>, is_told: bool, progress: &mut Progress) {
        let shared = &*progress;
        let one = |id: String| async move { self.answer_one(&id, is_told, shared).await };
        let answered: Vec<_> = stream::iter(waiting).map(one).buffer_unordered(PARALLEL_ANSWERS).collect().await;
        for answer in answered {
            match answer {
                Ok(Some((notice, outcome))) => keep(progress, vec![notice], vec![outcome]),
                Ok(None) => {}
                Err(failure) => progress.ledger_failed.push(format!("answering a finding that waited: {failure}")),
            }
        }
    }

    async fn answer_one(
        &self,
        id: &str,
        is_told: bool,
        progress: &Progress,
    ) -> Result<Option<(Notice, Outcome)>, Failure> {
        let Some(finding) = self.ledger.waiting(id).await? else { return Ok(None) };
        if !self.is_ours(&finding, progress) {
            self.ledger.put_due(&finding, Kind::Waiting, now_millis()).await?;
            return Ok(None);
        }
        if !is_told {
            self.ledger.put_due(&finding, Kind::Undelivered, now_millis() + REDELIVERY_MILLIS).await?;
            return Ok(None);
        }
        Box::pin(self.follow(&finding, progress)).await?;
        let update = finding.security_hub.clone().map(Notice::UpdateFinding);
        let outcomes = send_all(self.scene, update.as_slice(), progress).await;
        self.ledger.settle(&finding).await?;
        Ok(update.zip(outcomes.into_iter().next()))
    }

    /// The credential that it flags is followed too. Where that fails, the finding stays due.
    async fn follow(&self, finding: &Finding, progress: &Progress) -> Result<(), Failure> {
        let Scene { settings, now, .. } = *self.scene;
        let asks = self.mode == Mode::Approve;
        let (_, followed) = Following { settings, ledger: self.ledger, asks, now }.one(finding, progress).await;
        match (followed?, &progress.identity) {
            (Some(followed), Some(identity)) => {
                evidence::list_for_another(self.ledger, finding, identity, &followed, now).await
            }
            _ => Ok(()),
        }
    }

    /// It means the same identity, and nothing that came after what was answered.
    fn is_ours(&self, finding: &Finding, progress: &Progress) -> bool {
        let (Some(identity), Some(before)) = (&progress.identity, &progress.snapshot) else { return false };
        let settings = self.scene.settings;
        self.scene.finding.threat.covers(finding.threat)
            && guard::is_about(settings, finding, identity, &before.keys)
            && progress.has_answered(self.scene.finding, finding)
    }
}
