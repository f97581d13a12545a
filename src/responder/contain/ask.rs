//! Asking people, in `approve` mode: the plan is stored as a request, and nobody is asked twice about the same.
//!
//! INVARIANT: who is protected, is a namesake or is not to be found is never asked about.
//! `tests/test_approvals.py` holds it.

use std::time::Duration;

use clients::iam::resolve::Resolved;
use clients::iam::usage;
use clients::ledger::Aimed;
use domain::approval::affected;
use domain::approval::decision::Decider;
use domain::approval::request::{Asked, Request, State, Target, plan_hash, plan_words, request_id};
use domain::change::Change;
use domain::containment::playbooks::{self, Case};
use domain::coverage::{Kind, kinds};
use domain::decision::Decision;
use domain::finding::Source;
use domain::identity::{Identity, Observed};
use domain::ids::RequestId;
use domain::outcome::{Failure, Outcome};
use domain::text;
use domain::verdict::Verdict;

use super::Attempt;
use super::progress::Running;
use crate::invocation::now_millis;
use crate::slack::Poster;

/// Of a threat in an account, so many requests are asked singly; the others are told in one list.
const MOST_SINGLY: i64 = 5;
/// Another invocation that is about to ask takes a moment.
const MOMENT: Duration = Duration::from_millis(250);
const MOMENTS: usize = 8;

/// What became of asking.
enum Asking {
    /// People are to be told.
    New(RequestId, Asked),
    /// The same is asked already. `is_told`: people know.
    /// `is_joined`: this finding is kept with it since now.
    Open { id: RequestId, asked: Asked, is_told: bool, is_joined: bool },
}

impl Attempt<'_> {
    /// Of an earlier restore, which a finding that was known then is no news to.
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

    /// Asks, where there is something to do.
    pub(super) async fn ask(&self, running: &mut Running) {
        let progress = &running.progress;
        // What was reported is told with it.
        running.is_quiet |= self.finding.source == Source::Report && progress.verdict == Some(Verdict::Refused);
        let (Some(identity), Some(observed), Some(member)) =
            (progress.identity.clone(), progress.snapshot.clone(), running.member.clone())
        else {
            return;
        };
        let is_struck = match progress.verdict() {
            Verdict::Observed => false,
            Verdict::Contained | Verdict::SuspectsOpen | Verdict::NotContained | Verdict::Unverified => true,
            Verdict::Refused | Verdict::InProgress | Verdict::Deferred | Verdict::Waiting => return,
        };
        let changes = self.planned(&identity, &observed);
        if !changes.iter().any(|it| Kind::of(it).is_some()) {
            running.is_quiet = !is_struck;
            if is_struck {
                return;
            }
            let reason = "everything that would be asked for is in place: nobody was asked";
            return running.progress.conclude(Verdict::Observed, reason);
        }
        let usage = usage::read(&member.read, &identity, &observed).await;
        let affected = affected::lines(&identity, &observed, &usage);
        let mut asked = self.asked(running, &identity, &changes, affected);
        asked.struck = running.progress.response.clone().filter(|_| is_struck);
        let Some(id) = self.request_id(&asked) else { return };
        match self.store(&id, asked).await {
            Ok(Asking::New(id, asked)) => {
                running.is_quiet = asked.is_beyond;
                let reason = if is_struck {
                    "it waits for approval, and is denied everything meanwhile"
                } else if asked.is_beyond {
                    "it waits for approval, and is told in a list: more are open than are asked singly"
                } else {
                    "nothing was changed: it waits for approval"
                };
                self.waits(&id, &asked, reason, running);
            }
            Ok(Asking::Open { id, asked, is_told, is_joined }) => {
                running.is_quiet = is_told || asked.is_beyond;
                if is_joined && running.is_quiet {
                    self.show_joined(&id, &asked).await;
                }
                self.waits(&id, &asked, "the same waits for approval already", running);
            }
            Err(failure) => {
                let reason = format!("nothing was changed, and nobody could be asked: {failure}");
                running.progress.failed.push(format!("asking for approval: {failure}"));
                running.progress.conclude(Verdict::NotContained, reason);
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

    /// Where the deny that is to hold meanwhile does not, that is the verdict.
    fn waits(&self, id: &RequestId, asked: &Asked, reason: &str, running: &mut Running) {
        let progress = &mut running.progress;
        progress.question = Some(asked.question(id, &self.settings.function_name));
        match progress.verdict() {
            Verdict::NotContained | Verdict::Unverified => running.is_quiet = false,
            _ => progress.conclude(Verdict::Waiting, reason),
        }
    }

    /// What is asked for is the whole playbook, over the state before any of it.
    fn planned(&self, identity: &Identity, before: &Observed) -> Vec<Change> {
        let Some(playbook) = playbooks::select(self.finding.threat) else { return Vec::new() };
        let case = Case { finding: self.finding, identity, now: self.now, options: self.settings.options };
        (playbook.plan)(&case, before).changes
    }

    fn asked(&self, running: &Running, identity: &Identity, changes: &[Change], affected: Vec<String>) -> Asked {
        let finding = self.finding;
        let kinds = kinds(finding.threat, identity.kind, self.settings.options.into());
        let plan = plan_words(changes.iter().filter(|it| Kind::of(it).is_some()));
        let hash = plan_hash(&finding.account, &identity.id, finding.threat, &kinds, &plan);
        let now = now_millis();
        let lasts = i64::try_from(self.settings.approvals.lasts.as_millis()).unwrap_or(i64::MAX);
        let requester = match finding.source {
            Source::Report => self.relay.requester.clone().unwrap_or_default(),
            source => source.word().to_owned(),
        };
        Asked {
            finding: finding.clone(),
            others: running.others.clone(),
            target: Target::of(identity),
            plan,
            kinds,
            plan_hash: hash,
            affected,
            requester: text::line(&requester, 200),
            needed: self.settings.approvals.required_for(self.playbook.id),
            asked_at: now,
            expires_at: now.saturating_add(lasts),
            struck: None,
            is_beyond: false,
        }
    }

    /// The same for the same finding in the same invocation, however often Lambda tries that.
    fn request_id(&self, asked: &Asked) -> Option<RequestId> {
        let (account, playbook) = (self.finding.account.as_str(), self.playbook.id);
        let parts = [self.relay.holder.as_str(), account, asked.target.id.as_str(), playbook];
        self.relay.asking.clone().or_else(|| request_id(&parts))
    }

    async fn store(&self, id: &RequestId, mut asked: Asked) -> Result<Asking, Failure> {
        let mut instead_of = None;
        let mut moments = 0;
        while let Aimed::Others(other) = self.ledger.aim(id, &asked, instead_of.as_ref()).await? {
            let open = self.ledger.request(&other).await?;
            if let Some(open) = open.as_ref().filter(|it| self.is_same_question(it, &asked))
                && let Some(kept) = &open.asked
            {
                let is_joined = self.ledger.join(open, self.finding, asked.struck.as_deref()).await?;
                if self.relay.asking.is_some() {
                    self.ledger.note_joined(id, &other).await?;
                }
                let is_told = open.told_at.is_some();
                let struck = kept.struck.clone().or(asked.struck);
                let asked = Asked { struck, ..kept.clone() };
                return Ok(Asking::Open { id: other, asked, is_told, is_joined });
            }
            // Over, or not written yet.
            if open.is_some() || moments == MOMENTS {
                instead_of = Some(other);
            } else {
                moments += 1;
                tokio::time::sleep(MOMENT).await;
            }
        }
        asked.is_beyond = !self.ledger.take_single(id, self.finding, MOST_SINGLY).await?;
        let is_new = match self.ledger.ask(id, &asked).await {
            Ok(it) => it,
            Err(failure) => {
                // Its place is the next one's.
                self.ledger.leave_single(id, self.finding).await?;
                return Err(failure);
            }
        };
        if !is_new
            && let Some(kept) = self.ledger.request(id).await?
            && let Some(first) = kept.asked
        {
            let is_told = kept.told_at.is_some();
            return Ok(Asking::Open { id: id.clone(), asked: first, is_told, is_joined: false });
        }
        if self.finding.source == Source::Command {
            // Who asks by command has approved by command.
            let by = Decider::commanding("the command `contain`".to_owned());
            self.ledger.decide(id, &asked.plan_hash, Decision::Approve, &by).await?;
        }
        Ok(Asking::New(id.clone(), asked))
    }

    /// Whether its answer is this one's: open, about the same identity, for something as grave.
    fn is_same_question(&self, open: &Request, asked: &Asked) -> bool {
        let is_open = matches!(open.state(now_millis()), State::Waiting | State::Approved);
        let is_same = |it: &Asked| {
            it.target.id == asked.target.id
                && it.finding.account == asked.finding.account
                && it.threat().covers(asked.threat())
        };
        is_open && open.asked.as_ref().is_some_and(is_same)
    }
}
