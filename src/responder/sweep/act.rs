//! One problem that a sweep asks for, as the message of the queue names it: its finding takes the way of every other,
//! by the modes, the guard, the circuit breaker and the requests. Everything is read again.
//!
//! INVARIANT: nobody is asked about, and nothing done, for what was not released on that day: the item that says so is
//! nothing that the sweeper may write. `tests/test_sweep_requests.py` and `tests/test_sweep_thieves.py` hold it.

use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::round_trips::CallLog;
use domain::approval::request::request_id;
use domain::command::Act;
use domain::containment::grouping::Group;
use domain::containment::relay::Relay;
use domain::containment::report::Report;
use domain::finding::Finding;
use domain::hygiene::account::Entry;
use domain::hygiene::owner;
use domain::hygiene::release::{Share, finding};
use domain::hygiene::step::{Ending, Step};
use domain::hygiene::unseen;
use domain::ids::{Parse, RequestId};
use domain::outcome::Failure;
use domain::settings::{Mode, Responder};
use domain::text;
use domain::verdict::Verdict;

use super::release::mode_of;
use crate::approvals::{self, Earlier};
use crate::contain::contain;
use crate::contain::turns::Turns;
use crate::invocation::Call;

type Ended = (Vec<Report>, Vec<String>);

/// How a report that only foresees begins what it could not read.
const UNREAD: &str = "could not be read: ";

pub(crate) async fn act(aws: &Aws, settings: &Responder, act: &Act, call: &Call) -> Ended {
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let trip = Trip { aws, settings, ledger: &ledger, act, call };
    match trip.run().await {
        Ok(ended) => ended,
        Err(failure) => (Vec::new(), vec![format!("asking for {} of {}: {failure}", act.problem, act.account)]),
    }
}

/// What a message names, as it was released.
struct Named {
    entry: Entry,
    as_of: String,
    /// The first of the day.
    execution: String,
}

pub(super) struct Trip<'a> {
    pub(super) aws: &'a Aws,
    pub(super) settings: &'a Responder,
    ledger: &'a Ledger,
    pub(super) act: &'a Act,
    call: &'a Call,
}

impl Trip<'_> {
    async fn run(&self) -> Result<Ended, Failure> {
        let Some(Named { entry, as_of, execution }) = self.entry().await? else {
            return Ok(self.nothing("it is asked for no more"));
        };
        let limits = self.settings.sweep.as_ref();
        let mode = limits.and_then(|it| mode_of(self.settings, it, entry.kind));
        let region = &self.settings.common.region;
        let (Some(mode), Some(finding)) = (mode, finding(&self.act.account, region, &entry, &as_of)) else {
            return Ok(self.nothing("its kind is only reported"));
        };
        if owner::is_told(&entry.step) {
            return self.write_to_owner(&entry, &finding, mode).await.map(|()| Ended::default());
        }
        match mode {
            Mode::Observe => Ok(self.nothing("the mode of its playbook is `observe`")),
            _ if self.was_seen(&entry).await? => Ok(self.nothing("an event told of it since")),
            Mode::Approve => self.ask(&entry, finding, &execution).await,
            Mode::Enforce => self.enforce(finding, &execution).await,
        }
    }

    fn nothing(&self, why: &str) -> Ended {
        tracing::info!(account = self.act.account.as_str(), problem = self.act.problem, "sweep: not asked: {why}");
        Ended::default()
    }

    /// As it was released, where the account was not swept for another day since.
    async fn entry(&self) -> Result<Option<Named>, Failure> {
        let Act { day, account, problem } = self.act;
        let (head, share) = tokio::join!(self.ledger.sweep_head(account), self.ledger.share(account, *day));
        let is_current = head?.day == Some(day.to_string());
        let Some((execution, share)) = share?.filter(|_| is_current) else { return Ok(None) };
        let Ok(Share { as_of, entries }) = serde_json::from_str::<Share>(&share) else { return Ok(None) };
        Ok(entries.into_iter().find(|it| it.id == *problem).map(|entry| Named { entry, as_of, execution }))
    }

    /// The event of a user's creation may come after the sweep.
    async fn was_seen(&self, entry: &Entry) -> Result<bool, Failure> {
        let Some(user) = entry.user.as_ref().filter(|_| entry.kind.is_urgent()) else { return Ok(false) };
        let told = self.ledger.created_users(&self.act.account, std::slice::from_ref(user)).await?;
        let created = unseen::created_at(&entry.id);
        Ok(told.get(user.as_str()).zip(created).is_some_and(|(at, created)| unseen::is_its_event(created, *at)))
    }

    /// Under a request of its own, of which there is one a day; yesterday's is over when nobody decided it.
    ///
    /// INVARIANT: who was answered about between the sweep and this is not asked about again.
    async fn ask(&self, entry: &Entry, finding: Finding, execution: &str) -> Result<Ended, Failure> {
        let Act { day, account, problem } = self.act;
        let Some(id) = self.request(execution) else { return Ok(self.nothing("there is no ID for it")) };
        // What a message of this day asked already is no earlier question.
        let earlier = self.ledger.sweep_asked(account, problem).await?.filter(|(asked, _)| *asked < *day);
        if let Some((_, earlier)) = &earlier {
            // What was answered before a first request is of an earlier time, which the sweep knew.
            let is_again = matches!(entry.step, Step::Asked { time: 2.., .. });
            let why = match approvals::supersede(self.aws, self.settings, self.call, earlier).await? {
                Earlier::Open => Some("it waits with another finding"),
                Earlier::Answered if is_again => Some("it was decided since"),
                Earlier::Answered | Earlier::Over => None,
            };
            if let Some(why) = why {
                self.ledger.note_sweep_left(self.act, earlier).await?;
                return Ok(self.nothing(why));
            }
        }
        self.ledger.note_sweep_asked(self.act, &id).await?;
        let (reports, mut failed) = self.contain(self.relay(finding).asking(id.clone(), None)).await;
        let joined = reports.iter().filter_map(|it| RequestId::parse(it.request.as_deref()?).ok()).find(|it| *it != id);
        if let Some(joined) = joined {
            self.ledger.note_sweep_joined(self.act, &joined).await?;
        }
        // Nobody is asked: the next sweep says so.
        let mut refused = reports.iter().filter(|it| it.verdict == Verdict::Refused);
        if let Some(ending) = refused.find_map(ending) {
            self.ledger.note_sweep_ended(account, problem, &ending).await?;
        }
        // Nobody is asked for what could not be read; the queue brings it again.
        let unread = reports.iter().filter(|it| it.verdict == Verdict::Observed).flat_map(|it| &it.notes);
        failed.extend(unread.filter(|it| it.starts_with(UNREAD)).cloned());
        Ok((reports, failed))
    }

    async fn enforce(&self, finding: Finding, execution: &str) -> Result<Ended, Failure> {
        let Act { account, problem, .. } = self.act;
        if let Some(id) = self.request(execution) {
            self.ledger.note_sweep_asked(self.act, &id).await?;
        }
        let (reports, failed) = self.contain(self.relay(finding)).await;
        if let Some(ending) = reports.first().and_then(ending) {
            self.ledger.note_sweep_ended(account, problem, &ending).await?;
        }
        Ok((reports, failed))
    }

    /// `execution`: the first of the day, whoever took it over or released it.
    fn request(&self, execution: &str) -> Option<RequestId> {
        let Act { day, account, problem } = self.act;
        request_id(&["sweep", execution, &day.to_string(), account.as_str(), problem])
    }

    fn relay(&self, lead: Finding) -> Relay {
        Relay::new(Group { lead, others: Vec::new() }, format!("{}/sweep", self.call.request_id))
    }

    async fn contain(&self, relay: Relay) -> Ended {
        Box::pin(contain(self.aws, self.settings, &relay, self.call, &Turns::new(1))).await
    }
}

/// What the next sweep is told of what was done unasked, or refused; `None` of what goes on.
fn ending(report: &Report) -> Option<Ending> {
    match report.verdict {
        Verdict::InProgress | Verdict::Deferred | Verdict::Waiting => None,
        // By the unique ID, which no report has: that lasts. What else refuses may be another tomorrow, or of the user's own
        // doing.
        Verdict::Refused if report.is_spared => Some(Ending::Refused { reason: text::line(&report.reason, 300) }),
        it if it.is_success() => Some(Ending::Done),
        it => Some(Ending::Failed { reason: text::line(&format!("{}: {}", it.name(), report.reason), 300) }),
    }
}
