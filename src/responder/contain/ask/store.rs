//! What is asked, as it is stored: once, and nobody is asked twice about the same.

use std::collections::BTreeSet;
use std::time::Duration;

use clients::iam::usage;
use clients::ledger::{Aimed, Joined};
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
use domain::outcome::Failure;
use domain::text;

use super::super::known::Known;
use super::{Asking, Attempt};
use crate::invocation::now_millis;
use crate::own;

/// Of a threat in an account, so many requests are asked singly; the others are told in one list.
const MOST_SINGLY: usize = 5;
/// Another invocation that is about to ask takes a moment.
const MOMENT: Duration = Duration::from_millis(250);
const MOMENTS: usize = 8;

impl Attempt<'_> {
    /// Stores what is asked. `None`: there is nothing to do.
    pub(super) async fn put(&self, known: &Known) -> Result<Option<Asking>, Failure> {
        let changes = self.planned(&known.identity, &known.before);
        if !changes.iter().any(|it| Kind::of(it).is_some()) {
            return Ok(None);
        }
        let (usage, (barred, unclear)) = tokio::join!(
            usage::read(&known.member.read, &known.identity, &known.before),
            own::of_identity(&self.settings.approvals.identities, self.finding, &known.member, &known.identity)
        );
        let mut affected = affected::lines(&known.identity, &known.before, &usage);
        affected.extend(unclear);
        // Who wants it asked is no approver of it.
        let barred = barred.into_iter().chain(self.relay.opened_by.clone().filter(|it| !it.is_empty())).collect();
        let asked = Asked { barred, ..self.asked(known, &changes, affected) };
        match self.request_id(&asked) {
            Some(id) => self.store(&id, asked).await.map(Some),
            None => Ok(None),
        }
    }

    /// What is asked for is the whole playbook, over the state before any of it.
    fn planned(&self, identity: &Identity, before: &Observed) -> Vec<Change> {
        let Some(playbook) = playbooks::select(self.finding.threat) else { return Vec::new() };
        let case = Case { finding: self.finding, identity, now: self.now, options: self.settings.options };
        (playbook.plan)(&case, before).changes
    }

    fn asked(&self, known: &Known, changes: &[Change], affected: Vec<String>) -> Asked {
        let (finding, identity) = (self.finding, &known.identity);
        let kinds = kinds(finding.threat, identity.kind, self.settings.options.into());
        let plan = plan_words(changes.iter().filter(|it| Kind::of(it).is_some()));
        let hash = plan_hash(&finding.account, &identity.id, finding.threat, &kinds, &plan);
        let now = now_millis();
        let lasts = self.settings.approvals.lasts_for(finding.source);
        let lasts = i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX);
        let requester = self.relay.requester.clone().unwrap_or_else(|| finding.source.word().to_owned());
        Asked {
            finding: finding.clone(),
            others: known.others.clone(),
            target: Target::of(identity),
            plan,
            kinds,
            plan_hash: hash,
            affected,
            requester: text::line(&requester, 200),
            needed: self.settings.approvals.required_for(self.playbook.id),
            asked_at: now,
            expires_at: now.saturating_add(lasts),
            struck: known.struck.clone(),
            is_beyond: false,
            barred: BTreeSet::new(),
            opened_by: self.relay.opened_by.clone(),
        }
    }

    /// The same for the same finding in the same invocation, however often Lambda tries that.
    fn request_id(&self, asked: &Asked) -> Option<RequestId> {
        let (account, playbook) = (self.finding.account.as_str(), self.playbook.id);
        let parts = [self.relay.holder.as_str(), account, asked.target.id.as_str(), playbook];
        self.relay.asking.clone().or_else(|| request_id(&parts))
    }

    async fn store(&self, id: &RequestId, mut asked: Asked) -> Result<Asking, Failure> {
        if let Some(open) = self.open_already(id, &asked).await? {
            return Ok(open);
        }
        let is_new = match self.take_place(id, &mut asked).await {
            Ok(it) => it,
            Err(failure) => return Err(self.give_back(id, &asked, failure).await),
        };
        let (mut is_told, mut is_waiting) = (false, true);
        if !is_new
            && let Some(kept) = self.ledger.request(id).await?
            && let Some(first) = &kept.asked
        {
            is_told = kept.told_at.is_some();
            is_waiting = kept.state(now_millis()) == State::Waiting;
            asked = first.clone();
        }
        if is_waiting {
            self.count_command(id, &asked).await?;
        }
        Ok(Asking { id: id.clone(), asked, is_new: true, is_told, is_joined: false })
    }

    /// It could not be asked: its places are the next one's.
    async fn give_back(&self, id: &RequestId, asked: &Asked, failure: Failure) -> Failure {
        let given = tokio::join!(self.ledger.aim_no_more(id, asked), self.ledger.leave_single(id, self.finding));
        let more = [given.0, given.1].into_iter().filter_map(Result::err);
        more.fold(failure, |it, more| Failure {
            message: format!("{}; giving its place back: {more}", it.message),
            ..it
        })
    }

    /// Whether it was written now, and not by an earlier try.
    async fn take_place(&self, id: &RequestId, asked: &mut Asked) -> Result<bool, Failure> {
        asked.is_beyond = !self.ledger.take_single(id, asked, MOST_SINGLY).await?;
        self.ledger.ask(id, asked).await
    }

    /// The request that asks the same about the identity already, with this finding kept beside it.
    async fn open_already(&self, id: &RequestId, asked: &Asked) -> Result<Option<Asking>, Failure> {
        let mut instead_of = None;
        let mut moments = 0;
        loop {
            let other = match self.ledger.aim(id, asked, instead_of.as_ref()).await? {
                Aimed::Ours { before } => return self.open_before(id, &before, asked).await,
                Aimed::Others(other) => other,
            };
            let open = self.ledger.request(&other).await?;
            if let Some(asking) = self.join_open(id, open.as_ref(), asked).await? {
                return Ok(Some(asking));
            }
            // Over, or not written yet.
            if open.is_some() || moments == MOMENTS {
                instead_of = Some(other);
            } else {
                moments += 1;
                tokio::time::sleep(MOMENT).await;
            }
        }
    }

    /// One that a graver request came before, and that is open still now that the graver one is over.
    async fn open_before(
        &self,
        id: &RequestId,
        before: &[RequestId],
        asked: &Asked,
    ) -> Result<Option<Asking>, Failure> {
        for other in before {
            let open = self.ledger.request(other).await?;
            if let Some(asking) = self.join_open(id, open.as_ref(), asked).await? {
                self.ledger.aim(other, &asking.asked, Some(id)).await?;
                self.ledger.aim_no_more(id, asked).await?;
                return Ok(Some(asking));
            }
        }
        Ok(None)
    }

    async fn join_open(
        &self,
        id: &RequestId,
        open: Option<&Request>,
        asked: &Asked,
    ) -> Result<Option<Asking>, Failure> {
        let Some(open) = open.filter(|it| it.id != *id && is_same_question(it, asked)) else { return Ok(None) };
        let Some(kept) = &open.asked else { return Ok(None) };
        let is_joined = match self.ledger.join(open, self.finding, asked.struck.as_ref()).await? {
            Joined::Kept => true,
            Joined::Known => false,
            // Decided since it was read: what comes next is a question of its own.
            Joined::Over => return Ok(None),
        };
        // What an offer would have become is not there yet.
        let is_unwritten = self.relay.opened_by.is_some() && self.ledger.request(id).await?.is_none();
        // Whoever reads a report notes it once people were told.
        if self.relay.asking.is_some() && !is_unwritten && self.finding.source != Source::Report {
            self.ledger.note_joined(id, &open.id).await?;
        }
        self.count_command(&open.id, kept).await?;
        let struck = kept.struck.clone().or_else(|| asked.struck.clone());
        let (id, is_told) = (open.id.clone(), open.told_at.is_some());
        Ok(Some(Asking { id, asked: Asked { struck, ..kept.clone() }, is_new: false, is_told, is_joined }))
    }

    /// Who asks for it by command has approved it by command.
    async fn count_command(&self, id: &RequestId, asked: &Asked) -> Result<(), Failure> {
        if self.finding.source == Source::Command {
            let by = Decider::commanding("the command `contain`".to_owned());
            self.ledger.decide(id, &asked.plan_hash, Decision::Approve, &by).await?;
        }
        Ok(())
    }
}

/// Whether its answer is the other's: open, about the same identity, for something as grave.
fn is_same_question(open: &Request, asked: &Asked) -> bool {
    let is_open = matches!(open.state(now_millis()), State::Waiting | State::Approved);
    let is_same = |it: &Asked| {
        it.target.id == asked.target.id
            && it.finding.account == asked.finding.account
            && it.threat().covers(asked.threat())
    };
    is_open && open.asked.as_ref().is_some_and(is_same)
}
