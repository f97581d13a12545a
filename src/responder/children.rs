//! What a flagged credential made is answered: the investigating function names calls of CloudTrail, and here each is read
//! anew, judged, and answered by the usual trip of a finding.
//!
//! INVARIANT: nothing is contained but what CloudTrail itself says was made by a credential that a response of ours is
//! about, as long as that is in force, whatever is named. `tests/test_children.py` and `tests/test_children_line.py` hold it.

use std::collections::BTreeMap;
use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::cloudtrail::Trail;
use clients::ledger::Ledger;
use clients::ledger::children::{Seen, Watch};
use domain::child::{Child, Link, MOST_LOOKED_AT, Maker, Mark};
use domain::containment::guard;
use domain::containment::report::Report;
use domain::evidence::children;
use domain::evidence::trail::Event;
use domain::evidence::unanswered::Unanswered;
use domain::finding::Finding;
use domain::history::InForce;
use domain::ids::{Parse, Region};
use domain::outcome::Failure;
use domain::settings::Responder;
use futures_util::future::join_all;
use tokio::time::Instant;

use crate::invocation::Call;
use crate::line;

mod answer;
mod tell;

/// How many of those whose credential is flagged are looked at in one run: the next run comes in a minute.
const MOST: i32 = 20;
/// How many calls of one of them are read in one run, of which AWS answers two a second.
const MOST_READ: usize = 20;
/// So many of what needs no answer are kept; a report names sixty.
const MOST_DISMISSED: usize = 400;
/// What containing somebody needs at the least.
const ENOUGH: Duration = Duration::from_secs(60);
/// How often a call or a key is looked for that AWS does not show, before a person is told: the runs are a minute apart.
const TRIES: i64 = 5;

/// The reports, and what failed.
type Ended = (Vec<Report>, Vec<String>);

/// Somebody whom a flagged credential made, or gave a key.
struct Found {
    child: Child,
    finding: Finding,
    /// When it was made, in seconds since 1970.
    at: i64,
    /// Whose places it takes one of.
    first: Link,
}

/// What of a watch counts now.
#[derive(Default)]
struct Marks {
    in_force: Vec<Mark>,
    /// Nobody knows yet whether they count.
    held_back: Vec<Mark>,
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
            let marks = self.marks(&watch).await?;
            let is_void = marks.in_force.is_empty() && marks.held_back.is_empty();
            if watch.is_over || is_void {
                return self.end(&watch, &marks).await;
            }
            if !marks.in_force.is_empty() {
                self.take_up(&watch, &marks, &mut ended).await;
            }
            self.ledger.leave_children(id).await
        };
        let looked: Result<(), Failure> = looked.await;
        if let Err(failure) = looked {
            ended.1.push(format!("looking at {id}: {failure}"));
        }
        ended
    }

    async fn take_up(&self, watch: &Watch, marks: &Marks, ended: &mut Ended) {
        let (mut found, mut unanswered) = (Vec::new(), Vec::new());
        // What was found before it failed is answered.
        if let Err(failure) = self.find(watch, marks, &mut found, &mut unanswered).await {
            ended.1.push(format!("looking at what {} made: {failure}", watch.maker.id));
        }
        // Whoever was given a key may be one of the users.
        let (users, keys): (Vec<_>, Vec<_>) = found.into_iter().partition(|it| it.child.id().is_some());
        for some in [&users, &keys] {
            self.answer_all(watch, some, &users, &mut unanswered, ended).await;
        }
        if let Err(failure) = self.leave_to_people(watch, &unanswered).await {
            ended.1.push(format!("telling what {} made and nobody answered: {failure}", watch.maker.id));
        }
    }

    /// Each counts as long as every response of its line is in force.
    async fn marks(&self, watch: &Watch) -> Result<Marks, Failure> {
        let mut known: BTreeMap<&[Link], InForce> = BTreeMap::new();
        let mut marks = Marks::default();
        for mark in &watch.marks {
            let line = mark.line.as_slice();
            let is = match known.get(line) {
                Some(it) => *it,
                None => line::in_force(self.ledger, &watch.maker.account, line).await?,
            };
            known.insert(line, is);
            match is {
                InForce::Yes | InForce::NotHeld => marks.in_force.push(mark.clone()),
                InForce::NotYet => marks.held_back.push(mark.clone()),
                InForce::No => {}
            }
        }
        Ok(marks)
    }

    /// Nothing more is looked for. What was named until then and could not be looked at is left to people.
    async fn end(&self, watch: &Watch, marks: &Marks) -> Result<(), Failure> {
        if !marks.in_force.is_empty() {
            let named = self.ledger.named_calls(&watch.maker.account, &watch.maker.id).await?;
            let left = named.iter().filter(|it| !watch.has_seen(it));
            let left: Vec<_> =
                left.map(|it| Unanswered::call(it, "it was not looked at, or could not be read")).collect();
            self.leave_to_people(watch, &left).await?;
        }
        self.ledger.end_children(watch).await
    }

    /// What was named and is what a flagged credential made, as CloudTrail says now.
    async fn find(
        &self,
        watch: &Watch,
        marks: &Marks,
        found: &mut Vec<Found>,
        unanswered: &mut Vec<Unanswered>,
    ) -> Result<(), Failure> {
        let maker = &watch.maker;
        let named = self.ledger.named_calls(&maker.account, &maker.id).await?;
        let room = MOST_LOOKED_AT.saturating_sub(watch.looked.len()).min(MOST_READ);
        let has_room = watch.dismissed.len() + watch.unrelated.len() < MOST_DISMISSED;
        let new: Vec<_> = named.into_iter().filter(|it| has_room && !watch.has_seen(it)).take(room).collect();
        if new.is_empty() || guard::refuse_account(&self.settings.untouchable, &maker.account).is_some() {
            return Ok(());
        }
        let mut trail = self.trail(maker).await?;
        for id in new {
            if self.call.left() < ENOUGH {
                break;
            }
            let until = Instant::now() + self.call.left().mul_f64(0.2);
            match trail.find(&id, until).await? {
                Some(event) => self.judge(watch, marks, &id, &event, found).await?,
                None if self.ledger.count_call_try(&watch.id, &id).await? < TRIES => {}
                None => unanswered.push(Unanswered::call(&id, "the report names it, and CloudTrail does not have it")),
            }
        }
        Ok(())
    }

    async fn judge(
        &self,
        watch: &Watch,
        marks: &Marks,
        id: &str,
        event: &Event,
        found: &mut Vec<Found>,
    ) -> Result<(), Failure> {
        let maker = &watch.maker;
        match children::child(event, id, maker, &marks.in_force) {
            Ok((child, key, mark)) => {
                let Some(first) = mark.line.first().cloned() else { return Ok(()) };
                let finding = children::finding(event, &child, key, maker, mark);
                found.push(Found { child, finding, at: event.at, first });
                Ok(())
            }
            Err(_) if children::child(event, id, maker, &marks.held_back).is_ok() => Ok(()),
            Err(why) => {
                let maker = maker.id.as_str();
                tracing::warn!(event = id, maker, why, "no child of a flagged credential: {why}");
                self.ledger.note_seen_call(watch, id, Seen::Unrelated).await
            }
        }
    }

    /// CloudTrail where IAM's calls are, with a session that reads nothing else.
    async fn trail(&self, maker: &Maker) -> Result<Trail, Failure> {
        let region = maker.partition.iam_region().and_then(|it| Region::parse(it).ok());
        let region = region.unwrap_or_else(|| self.settings.common.region.clone());
        self.home.assume_to_look_up(&self.settings.common, &maker.account, &maker.partition, &region).await
    }
}
