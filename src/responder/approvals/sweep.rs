//! Requests of the daily sweep: one ends when the next sweep asks anew, and every end is kept for the next sweep.

use clients::accounts::Aws;
use clients::ledger::End;
use domain::approval::request::{Asked, Request, State};
use domain::finding::Source;
use domain::hygiene::release::problem_of;
use domain::hygiene::step::Ending;
use domain::ids::RequestId;
use domain::outcome::Failure;
use domain::settings::Responder;
use domain::text;

use super::{Desk, Looked};
use crate::invocation::{Call, now_millis};

/// What has become of the request of an earlier sweep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Earlier {
    /// It came to nothing: the next sweep asks anew.
    Over,
    /// A finding that is no sweep's joined it, or its user is denied meanwhile: people are asked already.
    Open,
    /// Somebody decided.
    Answered,
}

/// The next sweep asks anew: what nobody decided until now is over.
///
/// INVARIANT: a finding that joined a sweep's request ends with it only by a decision, or with a word to people.
/// `tests/test_sweep_requests.py` holds it.
pub(crate) async fn supersede(
    aws: &Aws,
    settings: &Responder,
    call: &Call,
    id: &RequestId,
) -> Result<Earlier, Failure> {
    let desk = Desk::new(aws, settings, call);
    let Some(request) = desk.ledger.request(id).await? else { return Ok(Earlier::Over) };
    let is_its = request.asked.as_ref().is_some_and(is_only_its);
    if is_its && desk.ledger.expire_request(id).await? {
        desk.try_look(id).await?;
    }
    let state = desk.ledger.request(id).await?.map(|it| it.state(now_millis()));
    Ok(match state {
        Some(State::Waiting) => Earlier::Open,
        Some(State::Approved | State::Declined | State::Done) => Earlier::Answered,
        Some(State::Offered | State::Reported | State::Expired | State::Failed) | None => Earlier::Over,
    })
}

/// Whether nothing but sweeps asks, and nothing was done meanwhile: then nobody has to be told that it ran out.
pub(super) fn is_only_its(asked: &Asked) -> bool {
    let mut findings = std::iter::once(&asked.finding).chain(&asked.others);
    asked.struck.is_none() && findings.all(|it| it.source == Source::Sweep)
}

impl Desk<'_> {
    /// Nobody decided. No alert says so: the digest of the next sweep does, which asks again.
    pub(super) async fn let_pass(&self, request: &Request) -> Result<Looked, Failure> {
        let end = End { state: State::Expired, verdict: "Expired", reason: "nobody decided" };
        self.close(request, &end).await.map(|()| Looked::default())
    }

    /// The next sweep is to know how what an earlier one asked has ended, also when that joined another question.
    pub(super) async fn tell_sweep(&self, request: &Request, end: &End<'_>) -> Result<(), Failure> {
        let (Some(asked), Some(ending)) = (&request.asked, ending(end)) else { return Ok(()) };
        for finding in std::iter::once(&asked.finding).chain(&asked.others) {
            if let Some(problem) = problem_of(finding) {
                self.ledger.note_sweep_ended(&finding.account, problem, &ending).await?;
            }
        }
        Ok(())
    }
}

fn ending(end: &End<'_>) -> Option<Ending> {
    let reason = || text::line(end.reason, 300);
    match end.state {
        State::Done => Some(Ending::Done),
        State::Declined => Some(Ending::Declined { by: reason() }),
        State::Expired => Some(Ending::Expired),
        State::Failed => Some(Ending::Failed { reason: reason() }),
        State::Offered | State::Reported | State::Waiting | State::Approved => None,
    }
}
