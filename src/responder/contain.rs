//! One identity's findings, from the lease to the report: the steps in their order, and the time budget.

use std::time::{Duration, Instant, SystemTime};

use aws_smithy_types::DateTime;
use clients::accounts::{Aws, Home};
use clients::ledger::{Acquired, Ledger};
use clients::patience::Patience;
use clients::round_trips::CallLog;
use domain::containment::admission::{self, Beside, Holder};
use domain::containment::grouping::Group;
use domain::containment::guard;
use domain::containment::playbooks::{self, Playbook};
use domain::containment::progress::matter;
use domain::containment::relay::Relay;
use domain::containment::report::{Report, Timings, millis};
use domain::finding::{Finding, Source};
use domain::outcome::Failure;
use domain::settings::{Mode, Responder};
use domain::verdict::Verdict;
use futures_util::future::maybe_done;
use tokio::sync::oneshot;

use crate::invocation::Call;
use crate::metrics;
use crate::note;
use crate::notify::Scene;

mod ahead;
mod apart;
mod ask;
mod attach;
mod beside;
mod budgets;
mod by_name;
mod closing;
mod contest;
mod disused;
mod entry;
mod evidence;
mod follow;
mod guardrail;
mod hold;
mod identify;
mod judge;
mod known;
mod named;
mod names;
mod namesakes;
mod pace;
mod progress;
mod relay;
mod sought;
mod strike;
pub(crate) mod turns;

use closing::Closing;
use follow::Following;
use progress::Running;
use strike::Engine;
use turns::{Turn, Turns};

/// How long before the last read nothing that is throttled is tried once more.
const LAST_TRY: Duration = Duration::from_secs(2);

/// What there has to be left for Slack to be asked before the ledger is closed.
const UNHURRIED: Duration = Duration::from_secs(20);

/// Responds to findings that look like ones about one identity: a report for each, the lead's first, and what has
/// to be tried again. Those that turn out not to go with the lead are responded to by themselves, beside it.
pub(crate) async fn contain(
    aws: &Aws,
    settings: &Responder,
    relay: &Relay,
    call: &Call,
    turns: &Turns,
) -> (Vec<Report>, Vec<String>) {
    let (apart, set_apart) = oneshot::channel();
    let rest = async {
        let groups: Vec<Group> = set_apart.await.unwrap_or_default();
        let relays: Vec<_> = groups.into_iter().enumerate().map(|(n, it)| relay.apart(it, n)).collect();
        let each = relays.iter().map(|relay| Box::pin(contain(aws, settings, relay, call, turns)));
        futures_util::future::join_all(each).await
    };
    let ((mut reports, mut failed), rest) = tokio::join!(contain_one(aws, settings, relay, call, turns, apart), rest);
    for (more, failures) in rest {
        reports.extend(more);
        failed.extend(failures);
    }
    (reports, failed)
}

async fn contain_one(
    aws: &Aws,
    settings: &Responder,
    relay: &Relay,
    call: &Call,
    turns: &Turns,
    apart: oneshot::Sender<Vec<Group>>,
) -> (Vec<Report>, Vec<String>) {
    let finding = &relay.group.lead;
    let started = Instant::now();
    let now = DateTime::from(SystemTime::now());
    let Some(playbook) = playbooks::select(finding.threat) else {
        unreachable!("a test holds that every threat has a playbook")
    };
    let mode = entry::mode(settings, relay);
    let asks = mode == Mode::Approve;
    let holding = playbooks::holding::select(finding.threat).filter(|_| asks && entry::strikes(settings, relay));
    let playbook = holding.unwrap_or(playbook);
    let calls = CallLog::default();
    let budget = call.budget();
    // The last read and its verdict come before the time-out.
    let until = started + budget.mul_f64(0.9);
    // One more try takes the SDK a second or two.
    let patience = Patience::until(until.checked_sub(LAST_TRY).unwrap_or(until));
    let home = Home::new(aws, &calls).patient(patience.clone());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &relay.holder);
    let attempt = Attempt {
        request_id: &call.request_id,
        settings,
        home: &home,
        ledger: &ledger,
        playbook,
        mode: if holding.is_some() { Mode::Enforce } else { mode },
        asks,
        finding,
        relay,
        now,
        until,
        lease_until: call.deadline,
    };
    let mut running = Running { others: relay.group.others.clone(), apart: Some(apart), ..Running::default() };
    relay.take_up(&mut running.progress);
    let (struck, to_ask) = oneshot::channel();
    let (held, is_held) = oneshot::channel();
    running.struck = asks.then_some(struck);
    let run = async {
        let turn = turns.next(&finding.account).await;
        let contained = async {
            tokio::select! {
                biased;
                () = attempt.run(&mut running, &turn) => {}
                () = turn.lend(&patience) => {}
            }
            // Nobody is asked beside it any more.
            drop((running.struck.take(), held));
        };
        let ((), beside) = tokio::join!(contained, attempt.ask_beside(to_ask, is_held));
        if asks {
            attempt.ask(&mut running, beside).await;
        }
    };
    if tokio::time::timeout(budget, run).await.is_err() {
        let reason = format!("the time ran out after {} s", budget.as_secs());
        let progress = &mut running.progress;
        progress.failed.push(reason.clone());
        // A verdict that is in came from a full read.
        if progress.verdict.is_none() {
            let is_untouched = progress.changes.is_empty();
            progress.conclude(if is_untouched { Verdict::NotContained } else { Verdict::Unverified }, reason);
        }
    }
    let verdict_at = started.elapsed();
    running.progress.throttled(patience.waits());

    let Running {
        mut progress, member, lease, identity_lease, is_quiet, joins_lesser, others, is_beside, memory, ..
    } = running;
    // An earlier try ended before it could say so.
    let is_begun = relay.is_continued() || (memory.is_unfinished && progress.response.is_some());
    let following = Following { settings, ledger: &ledger, asks, now };
    let followed = Box::pin(following.all(std::iter::once(finding).chain(&others), &mut progress)).await;
    let follows = evidence::list(settings, &ledger, finding, &progress, is_begun, &followed, now).await;
    if follows.is_none() && !followed.is_empty() {
        progress.ledger_failed.push("having it reported what it made: the report could not be asked for".to_owned());
    }
    progress.evidence = follows.as_ref().map(|it| it.words.clone());
    let left = call.left();
    let scene = Scene {
        settings,
        home: &home,
        member: member.as_ref(),
        playbook,
        finding,
        now,
        request_id: &call.request_id,
        is_hurried: left < UNHURRIED,
    };
    let identity_lease = identity_lease.into_inner();
    let is_listed = is_beside || relay.is_continued();
    let is_approved = relay.approval.is_some();
    let ending = Closing {
        ledger: &ledger,
        scene: &scene,
        mode,
        others: &others,
        lease,
        identity_lease,
        is_listed,
        is_approved,
        told_trouble: relay.told_trouble.as_deref(),
        is_due: relay.is_due,
        joins_lesser,
    };
    if tokio::time::timeout(left.mul_f64(0.8), ending.run(is_quiet, &mut progress)).await.is_err() {
        progress.failed.push("the time ran out before everyone was told".to_owned());
    }
    progress.failed.append(&mut progress.ledger_failed);
    if let Some(member) = member.as_ref().filter(|_| !progress.failed.is_empty()) {
        home.drop_session(member);
    }
    let beside = namesakes::reports(&mut progress, (finding, playbook, mode));
    if progress.is_handed_over {
        // An error would make Lambda begin the fight once more, beside the invocation that goes on and tells.
        progress.notes.append(&mut progress.failed);
    }
    let timings = Timings {
        behaviour_to_start: finding.occurred_at.map(|it| (now.secs() - it.secs()).saturating_mul(1_000)),
        first_barrier: calls.first_barrier_at().map(|it| millis(it.duration_since(started))),
        verdict: millis(verdict_at),
        total: millis(started.elapsed()),
    };
    let report = |finding: &Finding| Report::of(&progress, finding, playbook, mode, timings, calls.round_trips());
    let mut reports: Vec<_> = std::iter::once(finding).chain(&others).map(report).collect();
    if let Some(report) = reports.first() {
        note::report(report);
        metrics::log(metrics::of_response(report, progress.failed.len()));
    }
    beside.iter().for_each(note::report);
    reports.extend(beside);
    evidence::ask_for_report(settings, &home, follows.as_ref()).await;
    (reports, progress.failed)
}

type Leased = Result<Option<Acquired>, Failure>;

/// One response on its way to a verdict.
struct Attempt<'a> {
    request_id: &'a str,
    settings: &'a Responder,
    home: &'a Home,
    ledger: &'a Ledger,
    playbook: &'a Playbook,
    /// What is done now: where people are asked, nothing, or the reversible deny.
    mode: Mode,
    /// People are asked.
    asks: bool,
    finding: &'a Finding,
    relay: &'a Relay,
    now: DateTime,
    until: Instant,
    lease_until: SystemTime,
}

impl Attempt<'_> {
    /// Acquires the lease and assumes the role, resolves, guards, strikes and holds. Leaves its verdict in
    /// the progress.
    async fn run(&self, running: &mut Running, turn: &Turn<'_>) {
        running.progress.matter = matter(self.finding);
        if let Some(reason) = guard::refuse_target(self.settings, self.finding) {
            return running.progress.conclude(Verdict::Refused, reason);
        }
        let (acquired, lease) = oneshot::channel();
        let acquire = async {
            let it = self.acquire().await;
            let to_list = it.as_ref().ok().and_then(Option::as_ref).map(|it| self.to_list(it)).unwrap_or_default();
            // Whoever waits for it does so below.
            let _ = acquired.send(it);
            self.list(&to_list).await
        };
        let (listed, ()) = tokio::join!(acquire, self.go_on(lease, running, turn));
        match (listed, &mut running.lease) {
            (Ok(()), Some(lease)) => lease.left_is_listed(),
            (Ok(()), None) => {}
            (Err(failed), _) => running.progress.ledger_failed.push(failed),
        }
    }

    async fn go_on(&self, lease: oneshot::Receiver<Leased>, running: &mut Running, turn: &Turn<'_>) {
        let scope = self.scope();
        let is_warm = self.is_warm(&scope);
        let mut begun = Box::pin(maybe_done(self.begin(&scope, is_warm)));
        let asked = async { tokio::join!(lease, self.reserve_ahead(is_warm)) };
        let (acquired, mut place) = ahead::beside(asked, begun.as_mut(), is_warm).await;
        let Ok(acquired) = acquired else { return };
        let ledger = match acquired {
            Ok(Some(acquired)) => match self.enter(acquired, running) {
                Some((held, beside)) => {
                    self.part_news(&held, running, turn);
                    let memory = running.memory.clone();
                    let leave = self.leave(&held, beside, None, running);
                    tokio::join!(leave, self.leave_place(&held, place, &memory));
                    return;
                }
                None => Some(self.ledger),
            },
            Ok(None) => {
                self.remember(running).await;
                None
            }
            Err(failure) => {
                running.progress.ledger_failed.push(format!("acquiring the lease: {failure}"));
                None
            }
        };
        if Box::pin(self.is_left_alone(running)).await {
            return self.turn_away(&mut place, running, turn).await;
        }
        begun.as_mut().await;
        let Some(begun) = begun.as_mut().take_output() else { return };
        let (member, looked) = match begun {
            Ok((member, looked)) => (running.member.insert(member), looked),
            Err(failure) => {
                sought::without_session(&failure, &mut running.progress);
                return self.ledger.give_back(&mut place).await;
            }
        };
        let (resolved, mut place) = self.identify(looked, place, member, &scope, (ledger, &running.memory)).await;
        let Some(resolved) = self.check(resolved, running) else {
            return self.turn_away(&mut place, running, turn).await;
        };
        let mut mode = self.mode;
        if !place.is_admitted && !self.is_known(ledger, &resolved.identity).await {
            if !self.asks {
                return self.defer(place.why_none(), running, turn).await;
            }
            // People are asked all the same.
            mode = Mode::Approve;
            let (limits, threat) = (self.settings.max_containments, self.finding.threat);
            running.progress.notes.push(admission::not_struck(limits, threat, place.why_none()));
        }
        if !self.is_covered(&resolved, running) || self.is_used_again(&resolved, running).await {
            return self.turn_away(&mut place, running, turn).await;
        }
        let Some(resolved) = self.ready(resolved, mode, &scope, running).await else {
            return self.turn_away(&mut place, running, turn).await;
        };
        self.part(&resolved, running, turn);
        let identity = resolved.identity.clone();
        let Some(member) = running.member.clone() else { return };
        let group = Group { lead: self.finding.clone(), others: running.others.clone() };
        let relay = Relay { group, ..self.relay.clone() };
        let own_name = self.settings.own_name();
        // What people are asked about is theirs to decide, and a drill is no reason to hold back an account.
        let may_attach = self.playbook.has_adversary && !self.asks && self.finding.source != Source::Drill;
        let engine = Engine {
            member: &member,
            home: self.home,
            relay: &relay,
            own_name: own_name.as_deref(),
            turn,
            playbook: self.playbook,
            finding: self.finding,
            now: self.now,
            settle: self.settings.settle,
            options: self.settings.options,
            until: self.until,
            ledger,
            is_resumed: running.memory.is_resumed,
            is_continued: self.relay.is_continued(),
            lease: running.lease.as_ref(),
            lease_until: self.lease_until,
            identity_lease: &running.identity_lease,
            by_name: names::ByName::default(),
            guardrail: &guardrail::Guardrail::new(self.settings, may_attach, self.relay.guardrail.clone()),
        };
        let struck = running.struck.take();
        let run = Box::pin(engine.run(mode, resolved, struck, &mut running.progress));
        // In this order: the deny comes first.
        let (held, ()) = tokio::join!(biased; run, self.give_back_needless(&mut place));
        if let Some(held) = held {
            let beside = if held.holder == Some(Holder::Restore) { Beside::After } else { Beside::Join };
            let leave = self.leave(&held, beside, Some(&identity), running);
            tokio::join!(leave, self.ledger.give_back(&mut place));
        } else if running.progress.past.is_known {
            // By another name it is none that was counted, and no new one.
            self.ledger.give_back(&mut place).await;
        }
    }
}
