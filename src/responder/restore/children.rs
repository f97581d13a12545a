//! A restore of somebody who made others: they stay contained and are named, or those that follow from the response that
//! is taken back come back with it where a person says so, each by a restore of its own.
//!
//! INVARIANT: nobody is restored as a child but whose own record says that it is one, and that it is contained for
//! nothing else; none against what changed of it. `tests/test_children.py` and `tests/test_children_restored.py` hold it.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use clients::accounts::{Aws, Home};
use clients::ledger::Ledger;
use clients::round_trips::CallLog;
use domain::child::{Child, Link, Made, Parent};
use domain::command::{Restore, Subject};
use domain::finding::Principal;
use domain::history::Kept;
use domain::ids::UniqueId;
use domain::made::{Became, follows};
use domain::outcome::Failure;
use domain::restoration::report::{Progress, Report, Verdict};
use domain::settings::Restorer;

use super::{Attempt, one};
use crate::invocation::Call;

/// Telling waits no longer for what is known of them.
const PATIENCE: Duration = Duration::from_secs(2);
/// What one more restore needs at the least.
const ENOUGH: Duration = Duration::from_secs(30);

impl Attempt<'_> {
    /// What people are told of those whom it made: what is in force now.
    pub(super) async fn look_at_children(&self, progress: &mut Progress) {
        let (Some(identity), false) = (&progress.identity, progress.made.is_empty()) else { return };
        let looked = self.ledger.all_became(&self.command.subject.account, &identity.id, &progress.made);
        let became = tokio::time::timeout(PATIENCE, looked).await.unwrap_or_else(|_| {
            let unread = || Became::Unread("the ledger took too long".to_owned());
            progress.made.iter().map(|it| (it.clone(), unread())).collect()
        });
        for (child, became) in became {
            let Some(words) = became.words() else { continue };
            match &child.made {
                Made::User { .. } => progress.contained.push(format!("{}: {words}", child.words())),
                Made::Key { .. } => progress.deactivated.push(format!("{}: {words}", child.words())),
            }
        }
    }
}

/// Whose children are looked at, and what of it was taken back.
struct Maker {
    id: UniqueId,
    kept: Kept,
    /// The response; `None` where nothing is in force any more. An error says why nobody comes back with it.
    taken: Result<Option<String>, String>,
    /// By which it came; any, for whom the restore is about.
    line: Option<Vec<Link>>,
    /// It was only given a key: what else it made is nothing of this.
    is_owner: bool,
}

impl Maker {
    fn comes_back(&self, parent: &Parent) -> Result<(), String> {
        let taken = self.taken.as_ref().map_err(Clone::clone)?;
        follows(parent, &self.kept, taken.as_deref(), self.line.as_deref())
    }

    fn leads_to(&self, line: &[Link]) -> bool {
        line.split_last().is_some_and(|(_, before)| self.line.as_deref() == Some(before))
    }
}

const MAKER_STAYS: &str = "who made it was not restored";
const KEY_STAYS: &str = "what was done about the key that made it was not taken back";

struct Family<'a> {
    aws: &'a Aws,
    settings: &'a Restorer,
    command: &'a Restore,
    call: &'a Call,
    ledger: Ledger,
    report: Report,
    failed: Vec<String>,
    todo: VecDeque<(Child, Arc<Maker>)>,
    seen: BTreeSet<UniqueId>,
    /// How many there was no time for.
    late: usize,
}

pub(crate) async fn restore(aws: &Aws, settings: &Restorer, command: &Restore, call: &Call) -> (Report, Vec<String>) {
    let (report, failed) = one(aws, settings, command, call, false).await;
    let home = Home::new(aws, &CallLog::default());
    let ledger = Ledger::new(home.dynamodb.clone(), &settings.common.ledger_table, &call.request_id);
    let (todo, seen) = (VecDeque::new(), BTreeSet::new());
    let mut family = Family { aws, settings, command, call, ledger, report, failed, todo, seen, late: 0 };
    if let Err(failure) = family.begin().await {
        family.failed.push(format!("reading whom it made: {failure}"));
    }
    while let Some((child, maker)) = family.todo.pop_front() {
        family.look_at(&child, &maker).await;
    }
    family.end()
}

impl Family<'_> {
    async fn begin(&mut self) -> Result<(), Failure> {
        let Some(id) = self.maker().await? else { return Ok(()) };
        let kept = self.ledger.kept_by_id(&self.command.subject.account, &id).await?;
        let taken = match self.report.verdict {
            // Nobody wants that.
            _ if !self.command.children => Err(String::new()),
            Verdict::Restored | Verdict::Observed => Ok(self.report.response.clone()),
            Verdict::NothingToDo => Ok(self.command.response.clone()),
            _ => Err(MAKER_STAYS.to_owned()),
        };
        self.enter(Maker { id, kept, taken, line: None, is_owner: false });
        Ok(())
    }

    /// Whom the restore is about, also where IAM does not know it any more.
    async fn maker(&self) -> Result<Option<UniqueId>, Failure> {
        let Subject { account, principal, .. } = &self.command.subject;
        match (&self.report.id, principal.unique_id()) {
            (Some(_), _) if self.report.made.is_empty() => Ok(None),
            (Some(id), _) | (None, Some(id)) => Ok(Some(id.clone())),
            (None, None) => self.ledger.id_of(account, &principal.target_key()).await,
        }
    }

    fn enter(&mut self, maker: Maker) {
        let maker = Arc::new(maker);
        self.todo.extend(maker.kept.children.iter().map(|it| (it.clone(), Arc::clone(&maker))));
    }

    async fn look_at(&mut self, child: &Child, maker: &Maker) {
        let (became, whose) = match self.ledger.became(&self.command.subject.account, &maker.id, child).await {
            Ok(it) => it,
            Err(failure) => {
                self.failed.push(format!("reading what is kept of {}: {failure}", child.words()));
                return self.leave(child, "whether it is contained could not be read");
            }
        };
        let Some((id, kept)) = whose else { return };
        let is_user = child.id().is_some();
        let parent = kept.parents.iter().find(|it| it.event == child.event && it.id == maker.id).cloned();
        let line = parent.as_ref().map(|it| it.line.clone());
        let is_elsewhere = maker.is_owner && line.as_ref().is_none_or(|it| !maker.leads_to(it));
        if is_elsewhere || (is_user && !self.seen.insert(id.clone())) {
            return;
        }
        let comes_back = match &parent {
            Some(parent) if is_user => maker.comes_back(parent),
            _ => Err(MAKER_STAYS.to_owned()),
        };
        let taken = match (&became, comes_back) {
            (Became::Contained { response, .. }, Ok(())) => self.take_back(child, &id, response).await,
            (Became::Contained { response, .. }, Err(why)) => {
                self.stays(child, &id, response, &why);
                Err(MAKER_STAYS.to_owned())
            }
            (Became::Restored(_), comes_back) => comes_back.map(|()| None),
            (became, _) => {
                if let Some(words) = became.words() {
                    self.leave(child, &words);
                }
                Err(if is_user { MAKER_STAYS } else { KEY_STAYS }.to_owned())
            }
        };
        self.enter(Maker { id, kept, taken, line, is_owner: !is_user });
    }

    /// The response that is in force no more; otherwise why nobody comes back with it.
    async fn take_back(&mut self, child: &Child, id: &UniqueId, response: &str) -> Result<Option<String>, String> {
        if self.call.left() < ENOUGH {
            self.late += 1;
            self.stays(child, id, response, "it was not reached, the time ran out");
            return Err(MAKER_STAYS.to_owned());
        }
        let own = self.own(id, response);
        // What a dry run of who made it shows is one too.
        let is_foreseen = self.report.verdict == Verdict::Observed;
        let (its, failures) = one(self.aws, self.settings, &own, self.call, is_foreseen).await;
        self.failed.extend(failures.into_iter().map(|it| format!("{}: {it}", child.words())));
        let taken = match its.verdict {
            Verdict::Restored | Verdict::NothingToDo | Verdict::Observed => Ok(Some(response.to_owned())),
            Verdict::Drifted | Verdict::NotRestored | Verdict::InProgress | Verdict::Refused => {
                let drift = its.drift.iter().map(|it| format!("; {it}")).collect::<String>();
                let why = format!("{}: {}{drift}", its.verdict.words(), its.reason);
                self.stays(child, id, response, &why);
                Err(MAKER_STAYS.to_owned())
            }
        };
        self.report.children.push(its);
        taken
    }

    /// What takes back that it was made, and nothing else of it: by its unique ID alone, since whoever bears the name now
    /// is somebody else. Who looked at what changed of its maker has not looked at what changed of it.
    fn own(&self, id: &UniqueId, response: &str) -> Restore {
        let principal = Principal::User { name: None, id: Some(id.clone()) };
        let subject = Subject { principal, ..self.command.subject.clone() };
        Restore { subject, response: Some(response.to_owned()), force: false, ..self.command.clone() }
    }

    fn stays(&mut self, child: &Child, id: &UniqueId, response: &str, why: &str) {
        let why = if why.is_empty() { String::new() } else { format!(", {why}") };
        let own = Restore { children: false, ..self.own(id, response) };
        self.leave(child, &format!("it stays contained by {response}{why}. Restore it with {}", own.words()));
    }

    fn leave(&mut self, child: &Child, words: &str) {
        self.report.children_left.push(format!("{}: {words}", child.words()));
    }

    fn end(mut self) -> (Report, Vec<String>) {
        if self.late > 0 {
            let response = self.report.response.clone().or_else(|| self.command.response.clone());
            let again = Restore { response, force: false, ..self.command.clone() };
            let (late, again) = (self.late, again.words());
            self.failed.push(format!("the time ran out before {late} of those whom it made: to go on, send {again}"));
            self.failed.extend(self.report.children_left.iter().cloned());
        }
        (self.report, self.failed)
    }
}
