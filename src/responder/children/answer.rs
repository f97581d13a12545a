//! Who was found is answered, as far as there are places.

use clients::iam::resolve::{self, Claimed, OWNER_UNCLEAR, Resolved, Unresolved};
use clients::ledger::children::{Place, Seen, Watch};
use clients::ledger::{Kind, Ledger};
use domain::approval::request::State;
use domain::child::{self, Made, Maker};
use domain::containment::grouping::Group;
use domain::containment::relay::Relay;
use domain::evidence::unanswered::Unanswered;
use domain::finding::Principal;
use domain::history::{InForce, Kept};
use domain::ids::{AccessKeyId, UniqueId};
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::verdict::Verdict;
use futures_util::future::join_all;

use super::{Desk, ENOUGH, Ended, Found, TRIES};
use crate::contain::contain;
use crate::contain::turns::Turns;
use crate::invocation::now_millis;

/// When what failed is tried again.
const PAUSE_MILLIS: i64 = 60_000;

/// Whether somebody is to be answered.
enum Admitted {
    To(Seat),
    /// It needs no answer, or is left to a person: no other look is needed.
    Not(Seen),
    /// A person is told.
    Unanswered(Unanswered),
    /// The next run looks again.
    Later,
}

/// A place, and whose it is: a name may be another's by now.
struct Seat {
    place: Place,
    user: UniqueId,
}

/// Whose a key is.
enum Owner {
    Somebody(UniqueId),
    /// Nobody's any more.
    Nobody,
    /// Of somebody whom another response denies everything, so that it is of no use.
    Held,
    /// The same of somebody who was made with a flagged credential; or its owner was restored since.
    Harmless,
    /// People are asked about its owner, or it is not known yet whether they are denied everything.
    Undecided,
    Unreadable(Failure),
}

impl Desk<'_> {
    /// Places are taken one after the other; those who have one are answered side by side.
    pub(super) async fn answer_all(
        &self,
        watch: &Watch,
        some: &[Found],
        users: &[Found],
        unanswered: &mut Vec<Unanswered>,
        ended: &mut Ended,
    ) {
        let mut admitted = Vec::new();
        for it in some {
            let has_new = admitted.iter().any(|(_, seat): &(_, Seat)| seat.place == Place::New);
            let done = match self.admit(watch, it, users, has_new).await {
                Ok(Admitted::To(seat)) => {
                    admitted.push((it, seat));
                    Ok(())
                }
                Ok(Admitted::Not(seen)) => self.ledger.note_seen_call(watch, &it.child.event, seen).await,
                Ok(Admitted::Unanswered(it)) => {
                    unanswered.push(it);
                    Ok(())
                }
                Ok(Admitted::Later) => Ok(()),
                Err(failure) => Err(failure),
            };
            if let Err(failure) = done {
                ended.1.push(format!("answering {}: {failure}", it.child.words()));
            }
        }
        for (answered, gone) in join_all(admitted.iter().map(|(it, seat)| self.answer(watch, it, seat))).await {
            ended.0.extend(answered.0);
            ended.1.extend(answered.1);
            unanswered.extend(gone);
        }
    }

    /// `has_new`: somebody was given a place just now, who may yet be refused.
    async fn admit(&self, watch: &Watch, it: &Found, users: &[Found], has_new: bool) -> Result<Admitted, Failure> {
        let (maker, child) = (&watch.maker, &it.child);
        if self.call.left() < ENOUGH {
            return Ok(Admitted::Later);
        }
        let user = match &child.made {
            Made::User { id, .. } if *id == maker.id || self.was_restored(maker, id, it.at).await? => {
                return Ok(Admitted::Not(Seen::Dismissed));
            }
            Made::User { id, .. } => id.clone(),
            Made::Key { id, .. } => match self.owner_of(maker, id, it, users).await? {
                Owner::Somebody(owner) => owner,
                Owner::Nobody => return Ok(Admitted::Unanswered(Unanswered::gone(child))),
                Owner::Held => return Ok(Admitted::Unanswered(Unanswered::held(child))),
                Owner::Harmless => return Ok(Admitted::Not(Seen::Dismissed)),
                Owner::Undecided => return Ok(Admitted::Later),
                Owner::Unreadable(failure) => {
                    tracing::warn!(key = id.as_str(), "whose the key is that was made could not be read: {failure}");
                    if self.ledger.count_call_try(&watch.id, &child.event).await? < TRIES {
                        return Ok(Admitted::Later);
                    }
                    return Ok(Admitted::Unanswered(Unanswered::unread(child, &failure.to_string())));
                }
            },
        };
        match self.ledger.take_place(&child::item(&maker.account, &it.first), &user, self.most).await? {
            Place::None if has_new => Ok(Admitted::Later),
            Place::None => Ok(Admitted::Unanswered(Unanswered::without_place(child, self.most))),
            place => Ok(Admitted::To(Seat { place, user })),
        }
    }

    /// What came of it, and what a person is told of it where there is nobody to contain any more.
    async fn answer(&self, watch: &Watch, it: &Found, seat: &Seat) -> (Ended, Option<Unanswered>) {
        let Found { child, finding, .. } = it;
        let holder = format!("{}/{}", self.call.request_id, Ledger::due_id(finding));
        let relay = Relay::new(Group { lead: finding.clone(), others: Vec::new() }, holder);
        let (reports, mut failed) = Box::pin(contain(self.aws, self.settings, &relay, self.call, &Turns::new(1))).await;
        let verdict = reports.first().map(|it| it.verdict);
        let gone = match self.note(watch, it, seat, verdict, !failed.is_empty()).await {
            Ok(gone) => gone,
            Err(failure) => {
                failed.push(format!("noting what became of {}: {failure}", child.words()));
                None
            }
        };
        ((reports, failed), gone)
    }

    async fn note(
        &self,
        watch: &Watch,
        it: &Found,
        seat: &Seat,
        verdict: Option<Verdict>,
        has_failed: bool,
    ) -> Result<Option<Unanswered>, Failure> {
        let Found { child, finding, first, .. } = it;
        let maker = &watch.maker;
        // Protected, gone, somebody else by now, left alone, or only looked at.
        let is_nobody = matches!(verdict, Some(Verdict::Refused | Verdict::Observed));
        if !is_nobody {
            self.ledger.note_child(maker, child).await?;
        } else if seat.place == Place::New {
            self.ledger.give_place_back(&child::item(&maker.account, first), &seat.user).await?;
        }
        // Those have put it on the list themselves.
        if has_failed && !matches!(verdict, Some(Verdict::InProgress | Verdict::Deferred)) {
            self.ledger.put_due(finding, Kind::Unfinished, now_millis() + PAUSE_MILLIS).await?;
        }
        if verdict == Some(Verdict::Refused) && self.is_gone(maker, &seat.user).await? {
            return Ok(Some(Unanswered::gone(child)));
        }
        let seen = if is_nobody { Seen::Dismissed } else { Seen::Looked };
        self.ledger.note_seen_call(watch, &child.event, seen).await.map(|()| None)
    }

    /// Nobody has that unique ID any more, by whatever name.
    async fn is_gone(&self, maker: &Maker, user: &UniqueId) -> Result<bool, Failure> {
        let common = &self.settings.common;
        let member = self.home.assume(common, &maker.account, &maker.partition, &Scope::Observe).await?;
        let principal = Principal::User { name: None, id: Some(user.clone()) };
        let claimed = Claimed { account: &maker.account, principal: &principal, access_key: None, visible_by: None };
        match resolve::resolve(&member.read, claimed).await {
            Ok(_) => Ok(false),
            Err(Unresolved::Refused(_)) => Ok(true),
            Err(Unresolved::Failed(failure)) => Err(failure),
        }
    }

    /// Whether a person restored the user after it was made: they have decided about it.
    async fn was_restored(&self, maker: &Maker, id: &UniqueId, made_at: i64) -> Result<bool, Failure> {
        let kept = self.ledger.kept_by_id(&maker.account, id).await?;
        Ok(is_restored(&kept, made_at))
    }

    /// `users`: whom this run found to be made. What they are is read in the owner's own record: whoever was a child once
    /// may be restored since.
    async fn owner_of(&self, maker: &Maker, key: &AccessKeyId, it: &Found, users: &[Found]) -> Result<Owner, Failure> {
        let common = &self.settings.common;
        let member = self.home.assume(common, &maker.account, &maker.partition, &Scope::Observe).await?;
        let principal = Principal::KeyOwner;
        let claimed =
            Claimed { account: &maker.account, principal: &principal, access_key: Some(key), visible_by: None };
        let Resolved { identity, observed, .. } = match resolve::resolve(&member.read, claimed).await {
            Ok(found) => found,
            Err(Unresolved::Refused(_)) => return Ok(Owner::Nobody),
            // What AWS answers for a key that is not there, and for one that may not be looked at; and where the owner
            // was called otherwise at every look.
            Err(Unresolved::Failed(failure)) if ["AccessDenied", OWNER_UNCLEAR].contains(&failure.code.as_str()) => {
                return Ok(Owner::Unreadable(failure));
            }
            Err(Unresolved::Failed(failure)) => return Err(failure),
        };
        let owner = identity.id;
        let kept = self.ledger.kept_by_id(&maker.account, &owner).await?;
        let was_answered = kept.parents.iter().any(|parent| parent.event == it.child.event);
        let was_made = kept.parents.iter().any(|parent| parent.line.first() == Some(&it.first));
        if (was_answered && is_restored(&kept, i64::MIN)) || (was_made && is_restored(&kept, it.at)) {
            return Ok(Owner::Harmless);
        }
        let is = kept.quarantined();
        // The record alone does not say that nobody has lifted it.
        if is == InForce::Yes && observed.is_denied_everything() {
            // What an owner made who was made itself is looked for with all its keys.
            return Ok(if was_made { Owner::Harmless } else { Owner::Held });
        }
        let is_undecided = is == InForce::NotYet || self.is_open(maker, (&owner, &kept), users).await?;
        Ok(if is_undecided { Owner::Undecided } else { Owner::Somebody(owner) })
    }

    /// Whether the owner's own containment is of this run, is asked about, or waits for its turn.
    async fn is_open(&self, maker: &Maker, owner: (&UniqueId, &Kept), users: &[Found]) -> Result<bool, Failure> {
        let (owner, kept) = owner;
        if users.iter().any(|it| it.child.id() == Some(owner)) {
            return Ok(true);
        }
        if let Some(asked) = self.ledger.last_asked(&maker.account, owner).await? {
            return Ok(matches!(asked.state(now_millis()), State::Waiting | State::Approved));
        }
        let made = self.ledger.kept_by_id(&maker.account, &maker.id).await?.children;
        let is_untouched = kept.responses.is_empty() && kept.restored.is_none();
        Ok(is_untouched && made.iter().any(|it| it.id() == Some(owner)))
    }
}

fn is_restored(kept: &Kept, made_at: i64) -> bool {
    kept.restored.as_ref().is_some_and(|it| it.at / 1_000 >= made_at)
}
