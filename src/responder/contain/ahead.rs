//! Where a session of an earlier response is kept, whom the finding means is looked for beside the lease, and a place in
//! the hour's budget is taken beside it: two trips to the deny instead of three.
//!
//! INVARIANT: the strike waits for the lease and the budget, and goes by a name of which a read has shown the unique ID
//! less than half a second before, whatever was waited for since. `tests/test_round_trips.py` and `tests/test_struck_by_name.py` hold it.

use std::pin::Pin;

use clients::accounts::Member;
use clients::iam::resolve::{self, Claimed, Resolved, Unresolved};
use clients::ledger::{Ledger, Memory, Reservation};
use domain::containment::contest::ID_HOLDS;
use domain::finding::Principal;
use domain::identity::{Identity, IdentityKind};
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::settings::Mode;
use domain::verdict::Verdict;
use futures_util::future::MaybeDone;

use super::progress::Running;
use super::strike::MOST_RENAMES;
use super::{Attempt, sought};

/// Whom the finding means, where that was looked for already.
type Looked = Option<Result<Resolved, Unresolved>>;

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

fn principal_of(identity: &Identity) -> Principal {
    let (name, id) = (Some(identity.name.clone()), Some(identity.id.clone()));
    match identity.kind {
        IdentityKind::User => Principal::User { name, id },
        IdentityKind::Role => Principal::Role { name, id, session: None },
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
    pub(super) async fn begin(&self, scope: &Scope, is_warm: bool) -> Result<(Member, Looked), Failure> {
        let mut member = self.assume(scope).await?;
        if !is_warm {
            return Ok((member, None));
        }
        let resolved = Box::pin(self.resolve(&mut member, scope)).await;
        Ok((member, Some(resolved)))
    }

    /// A place before the lease says whether one is needed.
    pub(super) async fn reserve_ahead(&self, is_warm: bool) -> Reservation {
        if is_warm { self.reserve(Some(self.ledger), &Memory::default()).await } else { Reservation::default() }
    }

    /// Whom the finding means, and a place for it this hour.
    pub(super) async fn identify(
        &self,
        looked: Looked,
        place: Reservation,
        member: &mut Member,
        scope: &Scope,
        (ledger, memory): (Option<&Ledger>, &Memory),
    ) -> (Result<Resolved, Unresolved>, Reservation) {
        let Some(resolved) = looked else {
            return tokio::join!(Box::pin(self.resolve(member, scope)), self.reserve(ledger, memory));
        };
        (resolved, self.admit(place, ledger, memory).await)
    }

    /// Who is struck next: by a name that is theirs still, with a session for nobody else.
    pub(super) async fn ready(
        &self,
        resolved: Resolved,
        mode: Mode,
        scope: &Scope,
        running: &mut Running,
    ) -> Option<Resolved> {
        let needed = Scope::for_identity(&resolved.identity);
        if mode != Mode::Enforce {
            return Some(resolved);
        }
        // The finding did not name the role.
        if *scope != needed {
            match self.assume(&needed).await {
                Ok(it) => running.member = Some(it),
                Err(failure) => {
                    sought::without_session(&failure, &mut running.progress);
                    return None;
                }
            }
        }
        let member = running.member.clone()?;
        let mut resolved = resolved;
        for _ in 0..MOST_RENAMES {
            if resolved.read_at.elapsed() < ID_HOLDS {
                break;
            }
            let sought = resolved.identity.clone();
            let again = Box::pin(self.sought_again(&member, resolved)).await;
            resolved = self.check(again, running)?;
            if resolved.identity.id != sought.id {
                let reason = format!("{} is not there any more, and somebody else bears its name", sought.arn);
                running.progress.conclude(Verdict::Refused, reason);
                return None;
            }
        }
        if resolved.read_at.elapsed() < ID_HOLDS {
            return Some(resolved);
        }
        let reason =
            format!("{} is renamed again and again: by no name could it be struck in time", resolved.identity.arn);
        running.progress.failed.push(reason.clone());
        running.progress.conclude(Verdict::NotContained, reason);
        None
    }

    /// Whom the finding was seen to mean, by the name that it has now.
    async fn sought_again(&self, member: &Member, resolved: Resolved) -> Result<Resolved, Unresolved> {
        let principal = principal_of(&resolved.identity);
        if let Some(same) = resolve::confirmed(&member.read, resolved).await? {
            return Ok(same);
        }
        // By the unique ID, whatever else the finding named.
        let claimed = || Claimed { principal: &principal, access_key: None, ..Claimed::from(self.finding) };
        member.patience.urgently(|| resolve::resolve(&member.read, claimed())).await
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
