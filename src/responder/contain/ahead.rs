//! Where a session of an earlier response is kept, whom the finding means is looked for beside the lease, and a place in
//! the hour's budget is taken beside it: two trips to the deny instead of three.
//!
//! INVARIANT: the strike waits for the lease and the budget, and goes by a name of which a read has shown the unique ID
//! within half a second of their answers. `tests/test_round_trips.py` holds it.

use std::pin::Pin;
use std::time::Instant;

use clients::accounts::Member;
use clients::iam::resolve::{Resolved, Unresolved};
use clients::ledger::{Ledger, Memory, Reservation};
use domain::containment::contest::ID_HOLDS;
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::settings::Mode;
use futures_util::future::MaybeDone;

use super::Attempt;

/// Whom the finding means, as it was before the ledger had answered.
pub(super) struct Looked {
    at: Instant,
    resolved: Result<Resolved, Unresolved>,
}

/// What comes of the one. The other goes on beside it, and `may_be_left` where that is all that is needed of it.
pub(super) async fn beside<T, F: Future>(
    one: impl Future<Output = T>,
    mut other: Pin<&mut MaybeDone<F>>,
    may_be_left: bool,
) -> T {
    if !may_be_left {
        return tokio::join!(one, other.as_mut()).0;
    }
    let on = async {
        other.as_mut().await;
        std::future::pending().await
    };
    tokio::select! {
        biased;
        it = one => it,
        it = on => it,
    }
}

impl Attempt<'_> {
    /// What the session may do.
    pub(super) fn scope(&self) -> Scope {
        match self.mode {
            Mode::Observe | Mode::Approve => Scope::Observe,
            Mode::Enforce => Scope::of(&self.finding.principal),
        }
    }

    /// The session need not be waited for.
    pub(super) fn is_warm(&self, scope: &Scope) -> bool {
        let (common, account, partition) = (&self.settings.common, &self.finding.account, &self.finding.partition);
        self.mode == Mode::Enforce && self.home.has_session(common, account, partition, scope)
    }

    /// The session, and with one that is there already whom the finding means.
    pub(super) async fn begin(&self, scope: &Scope, is_warm: bool) -> Result<(Member, Option<Looked>), Failure> {
        let mut member = self.assume(scope).await?;
        if !is_warm {
            return Ok((member, None));
        }
        let resolved = Box::pin(self.resolve(&mut member, scope)).await;
        Ok((member, Some(Looked { at: Instant::now(), resolved })))
    }

    /// A place before the lease says whether one is needed.
    pub(super) async fn reserve_ahead(&self, is_warm: bool) -> Reservation {
        if is_warm { self.reserve(Some(self.ledger), &Memory::default()).await } else { Reservation::default() }
    }

    /// Whom the finding means, and a place for it this hour.
    pub(super) async fn identify(
        &self,
        looked: Option<Looked>,
        place: Reservation,
        member: &mut Member,
        scope: &Scope,
        (ledger, memory): (Option<&Ledger>, &Memory),
    ) -> (Result<Resolved, Unresolved>, Reservation) {
        let Some(looked) = looked else {
            return tokio::join!(Box::pin(self.resolve(member, scope)), self.reserve(ledger, memory));
        };
        let place = self.admit(place, ledger, memory).await;
        // The name may be another's where the ledger took long to answer.
        let is_old = looked.at.elapsed() >= ID_HOLDS;
        (if is_old { Box::pin(self.resolve(member, scope)).await } else { looked.resolved }, place)
    }

    /// What the place is worth by what the lease said.
    async fn admit(&self, place: Reservation, ledger: Option<&Ledger>, memory: &Memory) -> Reservation {
        match ledger {
            Some(_) if !memory.is_known && place.is_admitted => place,
            // Those who turn out to need none may have had the last for a moment.
            Some(_) if !memory.is_known => self.reserve(ledger, memory).await,
            _ => place.needless(),
        }
    }

    /// Beside the strike.
    pub(super) async fn give_back_needless(&self, place: &mut Reservation) {
        if place.is_needless {
            self.ledger.give_back(place).await;
        }
    }
}
