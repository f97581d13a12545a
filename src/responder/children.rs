//! What a flagged credential made is answered: the investigating function names calls of CloudTrail, and here each is read
//! anew, judged, and answered by the usual trip of a finding.
//!
//! INVARIANT: nothing is contained but what CloudTrail itself says was made by the credential that a response of ours was
//! about, whatever is named. `tests/test_children.py` holds it.

use std::collections::BTreeSet;
use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::cloudtrail::Trail;
use clients::iam::resolve::{self, Claimed, Unresolved};
use clients::ledger::children::{Place, Watch};
use clients::ledger::{Kind, Ledger};
use domain::child::{Child, MOST_LOOKED_AT, Made, Maker};
use domain::containment::grouping::Group;
use domain::containment::guard;
use domain::containment::relay::Relay;
use domain::containment::report::Report;
use domain::evidence::children;
use domain::finding::{Finding, Principal};
use domain::history::Response;
use domain::ids::{AccessKeyId, Parse, Region, UniqueId};
use domain::outcome::Failure;
use domain::session_policy::Scope;
use domain::settings::Responder;
use domain::verdict::Verdict;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::contain::contain;
use crate::contain::turns::Turns;
use crate::invocation::{Call, now_millis};

/// How many of those whose credential is flagged are looked at in one run: the next run comes in a minute.
const MOST: i32 = 20;
/// What containing somebody needs at the least.
const ENOUGH: Duration = Duration::from_secs(60);
/// When what failed is tried again.
const PAUSE_MILLIS: i64 = 60_000;

/// The reports, and what failed.
type Ended = (Vec<Report>, Vec<String>);

/// Somebody whom a flagged credential made, or gave a key.
struct Found {
    child: Child,
    finding: Finding,
}

struct Desk<'a> {
    aws: &'a Aws,
    home: &'a Home,
    ledger: &'a Ledger,
    settings: &'a Responder,
    call: &'a Call,
    /// How many places a line has.
    most: u32,
}

/// Looks at whatever was named since the last run.
pub(crate) async fn look(aws: &Aws, home: &Home, ledger: &Ledger, settings: &Responder, call: &Call) -> Ended {
    let Some(most) = settings.children else { return Ended::default() };
    let desk = Desk { aws, home, ledger, settings, call, most };
    let due = match ledger.due_children(MOST).await {
        Ok(it) => it,
        Err(failure) => return (Vec::new(), vec![format!("listing whose credentials are flagged: {failure}")]),
    };
    let (mut reports, mut failed) = Ended::default();
    for (more, failures) in join_all(due.iter().map(|id| desk.look_at(id))).await {
        reports.extend(more);
        failed.extend(failures);
    }
    (reports, failed)
}

impl Desk<'_> {
    async fn look_at(&self, id: &str) -> Ended {
        let mut ended = Ended::default();
        let looked = async {
            let Some(watch) = self.ledger.take_children(id, self.call.deadline).await? else { return Ok(()) };
            if watch.is_over {
                return self.ledger.end_children(id).await;
            }
            let mut found = Vec::new();
            // What was found before it failed is answered.
            if let Err(failure) = self.find(&watch, &mut found).await {
                ended.1.push(format!("looking at what {} made: {failure}", watch.maker.id));
            }
            let made: BTreeSet<UniqueId> = found.iter().filter_map(|it| it.child.id().cloned()).collect();
            // Whoever was given a key may be one of the users.
            let (users, keys): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it.child.id().is_some());
            for some in [users, keys] {
                self.answer_all(&watch, &some, &made, &mut ended).await;
            }
            self.ledger.leave_children(id).await
        };
        let looked: Result<(), Failure> = looked.await;
        if let Err(failure) = looked {
            ended.1.push(format!("looking at {id}: {failure}"));
        }
        ended
    }

    /// What was named and is what the flagged credential made, as CloudTrail says now.
    async fn find(&self, watch: &Watch, found: &mut Vec<Found>) -> Result<(), Failure> {
        let maker = &watch.maker;
        let named = self.ledger.named_calls(&maker.account, &maker.id).await?;
        let room = MOST_LOOKED_AT.saturating_sub(watch.looked.len());
        let new: Vec<_> = named.into_iter().filter(|it| !watch.looked.contains(it)).take(room).collect();
        if new.is_empty() || guard::refuse_account(&self.settings.untouchable, &maker.account).is_some() {
            return Ok(());
        }
        let mut trail = self.trail(maker).await?;
        for id in new {
            if self.call.left() < ENOUGH {
                break;
            }
            let until = Instant::now() + self.call.left().mul_f64(0.2);
            let event = trail.find(&id, until).await?;
            let judged = event.as_ref().ok_or("CloudTrail has no such call").and_then(|it| {
                let (child, key) = children::child(it, &id, maker)?;
                Ok(Found { finding: children::finding(it, &child, key, maker), child })
            });
            match judged {
                Ok(it) => found.push(it),
                Err(why) => {
                    tracing::warn!(
                        event = id.as_str(),
                        maker = maker.id.as_str(),
                        why,
                        "no child of a flagged credential: {why}"
                    );
                    self.ledger.note_looked(&watch.id, &id).await?;
                }
            }
        }
        Ok(())
    }

    /// CloudTrail where IAM's calls are, with a session that reads nothing else.
    async fn trail(&self, maker: &Maker) -> Result<Trail, Failure> {
        let region = maker.partition.iam_region().and_then(|it| Region::parse(it).ok());
        let region = region.unwrap_or_else(|| self.settings.common.region.clone());
        self.home.assume_to_look_up(&self.settings.common, &maker.account, &maker.partition, &region).await
    }

    /// Places are taken one after the other, the oldest call first; those who have one are answered side by side.
    async fn answer_all(&self, watch: &Watch, some: &[Found], made: &BTreeSet<UniqueId>, ended: &mut Ended) {
        let mut admitted = Vec::new();
        for it in some {
            let has_new = admitted.iter().any(|(_, place)| *place == Place::New);
            match self.admit(watch, it, made, has_new).await {
                Ok(Some(place)) => admitted.push((it, place)),
                Ok(None) => {}
                Err(failure) => ended.1.push(format!("answering {}: {failure}", it.child.words())),
            }
        }
        for (reports, failed) in join_all(admitted.iter().map(|(it, place)| self.answer(watch, it, *place))).await {
            ended.0.extend(reports);
            ended.1.extend(failed);
        }
    }

    /// `None`: it is not answered, or not in this run. `has_new`: somebody was given a place just now, who may yet be
    /// refused.
    async fn admit(
        &self,
        watch: &Watch,
        it: &Found,
        made: &BTreeSet<UniqueId>,
        has_new: bool,
    ) -> Result<Option<Place>, Failure> {
        let (maker, child) = (&watch.maker, &it.child);
        if self.call.left() < ENOUGH {
            return Ok(None);
        }
        let is_settled = match &child.made {
            Made::User { id, .. } => *id == maker.id,
            Made::Key { id, .. } => self.is_harmless(maker, id, made).await?,
        };
        if is_settled {
            return self.ledger.note_looked(&watch.id, &child.event).await.map(|()| None);
        }
        let place = self.ledger.take_place(&maker.line, child.user(), self.most).await?;
        if place != Place::None {
            return Ok(Some(place));
        }
        if !has_new {
            let words = child.words();
            tracing::warn!(event = child.event, most = self.most, "left to a person, all places are taken: {words}");
            self.ledger.note_looked(&watch.id, &child.event).await?;
        }
        Ok(None)
    }

    async fn answer(&self, watch: &Watch, it: &Found, place: Place) -> Ended {
        let Found { child, finding } = it;
        let holder = format!("{}/{}", self.call.request_id, Ledger::due_id(finding));
        let relay = Relay::new(Group { lead: finding.clone(), others: Vec::new() }, holder);
        let (reports, mut failed) = Box::pin(contain(self.aws, self.settings, &relay, self.call, &Turns::new(1))).await;
        let verdict = reports.first().map(|it| it.verdict);
        if let Err(failure) = self.note(watch, it, place, verdict, !failed.is_empty()).await {
            failed.push(format!("noting what became of {}: {failure}", child.words()));
        }
        (reports, failed)
    }

    async fn note(
        &self,
        watch: &Watch,
        it: &Found,
        place: Place,
        verdict: Option<Verdict>,
        has_failed: bool,
    ) -> Result<(), Failure> {
        let Found { child, finding } = it;
        let maker = &watch.maker;
        match verdict {
            // Protected, gone, somebody else by now, or only looked at.
            Some(Verdict::Refused | Verdict::Observed) if place == Place::New => {
                self.ledger.give_place_back(&maker.line, child.user()).await?;
            }
            Some(Verdict::Refused | Verdict::Observed) => {}
            _ => self.ledger.note_child(maker, child).await?,
        }
        // Those have put it on the list themselves.
        if has_failed && !matches!(verdict, Some(Verdict::InProgress | Verdict::Deferred)) {
            self.ledger.put_due(finding, Kind::Unfinished, now_millis() + PAUSE_MILLIS).await?;
        }
        self.ledger.note_looked(&watch.id, &child.event).await
    }

    /// Whether the key is nobody's any more, one of the maker's own, or of a user whom it made: whoever is denied everything
    /// has no use for it. `made`: those of this run.
    async fn is_harmless(&self, maker: &Maker, key: &AccessKeyId, made: &BTreeSet<UniqueId>) -> Result<bool, Failure> {
        let kept = self.ledger.kept_by_id(&maker.account, &maker.id).await?;
        // Whoever was only given a key is not denied.
        let itself = Some(&maker.id).filter(|_| kept.responses.iter().any(Response::is_quarantine));
        let contained: BTreeSet<_> = kept.children.iter().filter_map(Child::id).chain(made).chain(itself).collect();
        let common = &self.settings.common;
        let member = self.home.assume(common, &maker.account, &maker.partition, &Scope::Observe).await?;
        let principal = Principal::KeyOwner;
        let claimed =
            Claimed { account: &maker.account, principal: &principal, access_key: Some(key), visible_by: None };
        match resolve::resolve(&member.read, claimed).await {
            Ok(found) => Ok(contained.contains(&found.identity.id)),
            // It is nobody's any more.
            Err(Unresolved::Refused(_)) => Ok(true),
            // What AWS answers for a key that is not there any more; CloudTrail says that it was.
            Err(Unresolved::Failed(failure)) if failure.code == "AccessDenied" => {
                tracing::error!(
                    key = key.as_str(),
                    "the key that was made is nobody's, or its owner can't be read: {failure}"
                );
                Ok(true)
            }
            Err(Unresolved::Failed(failure)) => Err(failure),
        }
    }
}
