//! How a response begins: the lease, what it does beside somebody who has it, and the circuit breaker.

use clients::accounts::Member;
use clients::ledger::{Acquired, Kind, Ledger, Memory, Reservation};
use domain::containment::admission::{self, Beside, Held, NoPlace};
use domain::containment::relay::Relay;
use domain::finding::{Finding, Source};
use domain::history::Past;
use domain::identity::Identity;
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::settings::{Mode, Responder};
use domain::verdict::Verdict;

use super::Attempt;
use super::progress::Running;
use super::turns::Turn;
use crate::invocation::{millis, now_millis};

/// After a lease ran out its holder may still be ending.
const GRACE_MILLIS: i64 = 5_000;

/// What is done about a group of findings: what people approved is carried out in any mode, and what somebody wants
/// asked is asked.
pub(super) fn mode(settings: &Responder, relay: &Relay) -> Mode {
    if relay.approval.is_some() {
        return Mode::Enforce;
    }
    match settings.mode_for(&relay.group.lead) {
        _ if relay.opened_by.is_some() => Mode::Approve,
        // People are being asked about it: nothing but their answer carries it out.
        Mode::Enforce if relay.asking.is_some() => Mode::Approve,
        mode => mode,
    }
}

/// Whether the reversible deny goes in while people are asked. What only a person reported or wants asked, or a sweep
/// counted, is not acted upon before somebody has answered, nor what people are being asked about already.
pub(super) fn strikes(settings: &Responder, relay: &Relay) -> bool {
    let is_claim = matches!(relay.group.lead.source, Source::Report | Source::Sweep) || relay.opened_by.is_some();
    let is_asked_already = relay.asking.is_some() && relay.approval.is_none();
    settings.approvals.strike_while_waiting && !is_claim && !is_asked_already
}

impl Attempt<'_> {
    /// `observe` mode writes nothing, the ledger included; `approve` mode takes the lease when it is carried out.
    pub(super) async fn acquire(&self) -> Result<Option<Acquired>, Failure> {
        match self.mode {
            Mode::Observe | Mode::Approve => Ok(None),
            Mode::Enforce => {
                self.ledger.acquire(self.finding, self.lease_until, self.takes_place(false)).await.map(Some)
            }
        }
    }

    /// Who has the lease, when the finding is for that one or for later. Otherwise the response goes on, with
    /// the lease or beside it.
    pub(super) fn enter(&self, acquired: Acquired, running: &mut Running) -> Option<(Held, Beside)> {
        match acquired {
            Acquired::Lease(won) => {
                running.memory = won.memory.clone();
                running.lease = Some(won);
                None
            }
            Acquired::Busy { held, memory } => {
                running.memory = memory;
                running.is_beside = true;
                match self.beside(&held) {
                    Beside::Strike => None,
                    beside => Some((held, beside)),
                }
            }
        }
    }

    fn beside(&self, held: &Held) -> Beside {
        match admission::beside(held, self.finding) {
            // It is known already that the holder's answer is not its, or people approved more than is done while
            // they are asked.
            Beside::Join if self.relay.is_apart || self.relay.approval.is_some() => Beside::Strike,
            beside => beside,
        }
    }

    /// Without the lease on the name, nothing would miss this response if it was killed: it is due until it ends.
    /// What killed holders left on the lease is due as well.
    pub(super) fn to_list(&self, acquired: &Acquired) -> Vec<(Finding, i64)> {
        // The request is due as long as it is not carried out.
        if self.relay.approval.is_some() {
            return Vec::new();
        }
        match acquired {
            Acquired::Lease(won) => won.left().map(|it| (it.clone(), now_millis())).collect(),
            Acquired::Busy { held, .. } if self.beside(held) == Beside::Strike => {
                vec![(self.finding.clone(), millis(self.lease_until) + GRACE_MILLIS)]
            }
            Acquired::Busy { .. } => Vec::new(),
        }
    }

    pub(super) async fn list(&self, findings: &[(Finding, i64)]) -> Result<(), String> {
        for (finding, at) in findings {
            let listed = self.ledger.put_due(finding, Kind::Unfinished, *at).await;
            listed.map_err(|it| format!("keeping what is due: {it}"))?;
        }
        Ok(())
    }

    /// Leaves the finding with who has the identity. It is due should that one be killed; when that one ends
    /// badly it stays due, and when it ends well it answers what waits.
    pub(super) async fn leave(&self, held: &Held, beside: Beside, identity: Option<&Identity>, running: &mut Running) {
        running.is_quiet = true;
        let who = &held.owner;
        let reason = match beside {
            Beside::After => format!("invocation {who} is restoring it, and the finding is no news to that"),
            Beside::Join | Beside::Strike => format!("already being contained by invocation {who}"),
        };
        running.progress.conclude(Verdict::InProgress, reason);
        if self.relay.approval.is_some() {
            return;
        }
        let others = std::mem::take(&mut running.others);
        for finding in std::iter::once(self.finding).chain(&others) {
            if let Err(failure) = self.wait(finding, held, beside, identity).await {
                let failed = format!("leaving the finding with who has the identity: {failure}");
                running.progress.ledger_failed.push(failed);
            }
        }
        running.others = others;
    }

    async fn wait(
        &self,
        finding: &Finding,
        held: &Held,
        beside: Beside,
        identity: Option<&Identity>,
    ) -> Result<(), Failure> {
        let ledger = self.ledger;
        let at = held.until.max(now_millis()) + GRACE_MILLIS;
        let (put, seen) = tokio::join!(ledger.put_due(finding, Kind::Waiting, at), ledger.note_seen(finding));
        put?;
        seen?;
        let id = identity.map(|it| it.id.as_str()).or(held.struck.as_deref());
        let (Beside::Join, Some(id)) = (beside, id) else { return Ok(()) };
        let record = Ledger::record_id(&finding.account, id);
        if !ledger.wait_along(&record, &Ledger::due_id(finding)).await? {
            // It has ended meanwhile, or very many wait already.
            ledger.put_due(finding, Kind::Waiting, now_millis()).await?;
        }
        Ok(())
    }

    /// A person's word goes through, and what has begun goes on.
    fn takes_place(&self, is_known: bool) -> bool {
        let is_begun = self.relay.is_continued() || self.relay.approval.is_some();
        !is_begun && admission::is_counted(self.finding.source, is_known)
    }

    /// What was counted here is given back, unless it is that of whoever the finding is left with.
    pub(super) async fn leave_place(&self, held: &Held, mut place: Reservation, memory: &Memory) {
        if !admission::is_place_of(held, self.finding, memory.is_known, now_millis()) {
            self.ledger.give_back(&mut place).await;
        }
    }

    /// A place in the hour's budget, where one is needed. `ledger`: absent where it is out of reach; then
    /// what adds is done all the same.
    pub(super) async fn reserve(&self, ledger: Option<&Ledger>, memory: &Memory) -> Reservation {
        let Some(ledger) = ledger.filter(|_| self.takes_place(memory.is_known)) else {
            return Reservation::uncounted(true);
        };
        match ledger.reserve(self.finding, self.settings.max_containments).await {
            Ok(it) => it,
            Err(failure) => {
                tracing::error!("the circuit breaker can't be read: {failure}");
                Reservation::unread(admission::is_admitted_unread(self.finding.threat))
            }
        }
    }

    /// Whoever was contained within a day is no new one, by whatever name it was. Asked only where there is no
    /// room: it costs a trip.
    pub(super) async fn is_known(&self, ledger: Option<&Ledger>, identity: &Identity) -> bool {
        match ledger {
            Some(ledger) => ledger.past(identity).await.is_ok_and(|it: Past| it.is_known),
            None => false,
        }
    }

    /// Kept on the list of what is due. Each compromised credential is told; of the others the first one of an
    /// hour.
    pub(super) async fn defer(&self, why: NoPlace, running: &mut Running, turn: &Turn<'_>) {
        let threat = self.finding.threat;
        turn.put_off();
        let whom = running.progress.identity.as_ref().map(|it| format!("{}/{}", it.kind.word(), it.name));
        let kept = async {
            let is_told = self.ledger.put_deferred(self.finding, whom.as_deref()).await?;
            for other in &running.others {
                self.ledger.put_deferred(other, whom.as_deref()).await?;
            }
            if is_told || admission::is_always_told(threat) {
                return Ok(is_told);
            }
            self.ledger.is_digest_told(threat).await
        };
        let kept: Result<bool, Failure> = kept.await;
        // What was taken from the list is there still.
        let is_listed = kept.is_ok() || self.relay.is_due;
        let reason = admission::deferred(self.settings.max_containments, threat, why, is_listed);
        running.progress.conclude(Verdict::Deferred, reason);
        match kept {
            Ok(is_told) => running.is_quiet = is_told,
            Err(failure) => {
                let failed = format!("keeping the deferred finding: {failure}");
                running.progress.ledger_failed.push(failed);
            }
        }
    }

    pub(super) async fn assume(&self, scope: &Scope) -> Result<Member, Failure> {
        self.home.assume(&self.settings.common, &self.finding.account, &self.finding.partition, scope).await
    }
}
