//! What CloudTrail has of an identity and of its sessions, in every account in which they acted.

use std::collections::{BTreeMap, BTreeSet};

use clients::cloudtrail::{By, MOST_EVENTS, OUT_OF_TIME, Span};
use clients::iam::remains;
use domain::child::{Flagged, Followed};
use domain::command::Report;
use domain::evidence::chain::{Chain, Next};
use domain::evidence::facts::{Looked, in_few_lines};
use domain::evidence::known::Known;
use domain::evidence::remains::Now;
use domain::evidence::trail::Event;
use domain::identity::{Identity, IdentityKind, Observed};
use domain::ids::{AccountId, Parse};
use futures_util::{StreamExt, stream};
use tokio::time::Instant;

use super::accounts::{Accounts, Found, Place, Task};
use super::whom::Whom;

/// What was left behind is looked at one by one.
const MOST_LOOKED_AT: usize = 60;
const PARALLEL: usize = 8;

/// Each is a call in every region.
const MOST_UNEXPLAINED: usize = 8;
/// The same of flagged keys and sessions, beside the one that the report is about.
const MOST_FLAGGED: usize = 8;

const IAM: &str = "iam.amazonaws.com";
/// Looked up one by one where all that was asked of IAM is too much: by these access is given that lasts.
const GRAVEST: &[&str] = &[
    "CreateUser",
    "CreateAccessKey",
    "CreateLoginProfile",
    "UpdateLoginProfile",
    "CreateRole",
    "UpdateAssumeRolePolicy",
    "AttachUserPolicy",
    "PutUserPolicy",
    "AttachRolePolicy",
    "PutRolePolicy",
    "UpdateUser",
];

#[derive(Default)]
pub(super) struct LookedUp {
    /// Of the identity and its sessions, each once.
    pub(super) events: Vec<Event>,
    pub(super) chain: Chain,
    pub(super) looked: Vec<Looked>,
    /// Who deleted it, in words, where it is gone and CloudTrail tells.
    pub(super) deleted: Option<String>,
    /// Look-ups that stopped for others to be made.
    unfinished: Tasks,
}

type Tasks = BTreeMap<AccountId, Vec<Task>>;

/// What changed something where IAM's events are first, which no number of reads hides: it serves the user under each of
/// its names, its keys and all its sessions. Then the identity, the sessions that it made, and those that they made; and
/// with what is left of the time, whatever had to stop.
pub(super) async fn look(
    accounts: &mut Accounts<'_>,
    whom: &Whom,
    now: &Observed,
    (command, followed): (&Report, &[Followed]),
    span: Span,
) -> LookedUp {
    let (identity, home) = (&whom.identity, &command.subject.account);
    let mut found = LookedUp::default();
    let mut known = Known::default();
    let mut plan = Plan::of(whom, now);
    // Who assumed the role is somebody else, whose sessions are the role's own all the same.
    let mut assumed = Chain::default();
    let mut next = BTreeMap::from([(home.clone(), plan.first(whom, command, followed))]);
    while !next.is_empty() {
        if Instant::now() >= span.until {
            found.give_up(&mut assumed, &next, OUT_OF_TIME);
            break;
        }
        for account in next.keys().cloned().collect::<Vec<_>>() {
            if let Err(failure) = accounts.enter(&account).await {
                let tasks = next.remove(&account).unwrap_or_default();
                let why = format!("account {account} could not be entered ({failure})");
                found.give_up(&mut assumed, &BTreeMap::from([(account, tasks)]), &why);
            }
        }
        for it in accounts.look_up(&next, span).await {
            known.add(found.take_in(it));
        }
        if identity.kind == IdentityKind::Role {
            assumed.add(&known.assumptions(&identity.arn), home.as_str());
        }
        let own = known.of(identity, &found.chain.keys());
        found.chain.add(&own, home.as_str());
        next = by_account(assumed.take_next().into_iter().chain(found.chain.take_next()));
        let more = plan.more(&found.looked, &known, home);
        if !more.is_empty() {
            next.entry(home.clone()).or_default().extend(more);
        }
        if next.is_empty() {
            next = std::mem::take(&mut found.unfinished);
        }
    }
    for link in assumed.links() {
        found.looked.extend(link.not_followed.map(|why| not_looked(&link.account, &link.key, &why)));
    }
    found.looked = in_few_lines(std::mem::take(&mut found.looked));
    let seen = whom.kept.as_ref().ok().and_then(|it| it.held_at).map(|it| it / 1_000);
    found.deleted = known.deletion(identity, home.as_str(), &plan.names, seen);
    found.events = known.of(identity, &found.chain.keys()).into_iter().cloned().collect();
    found
}

impl LookedUp {
    /// Notes how far a look-up came: the events that it found.
    fn take_in(&mut self, Found { account, region, by, page }: Found) -> Vec<Event> {
        let words = by.to_string();
        let is_its = |it: &&mut Looked| it.account == account.as_str() && it.region == region && it.by == words;
        let events = match self.looked.iter_mut().find(is_its) {
            Some(looked) => {
                looked.events += page.events.len();
                looked.pages += page.pages;
                looked.missing = page.missing;
                looked.events
            }
            None => {
                let (events, pages) = (page.events.len(), page.pages);
                let looked = Looked {
                    account: account.to_string(),
                    region: region.clone(),
                    by: words,
                    events,
                    pages,
                    missing: page.missing,
                };
                self.looked.push(looked);
                events
            }
        };
        if page.is_stopped && events < MOST_EVENTS {
            let place = Place::From { region, token: page.token };
            self.unfinished.entry(account).or_default().push(Task { by, place });
        }
        page.events
    }

    /// Says of each that it was not looked up.
    fn give_up(&mut self, assumed: &mut Chain, next: &Tasks, why: &str) {
        for (account, tasks) in next {
            // Of what has begun it is said how far it came.
            for task in tasks.iter().filter(|it| !matches!(it.place, Place::From { .. })) {
                if let By::AccessKey(key) = &task.by {
                    self.chain.give_up(key, why);
                    assumed.give_up(key, why);
                }
                self.looked.push(Looked { by: task.by.to_string(), ..not_looked(account.as_str(), "", why) });
            }
        }
    }
}

/// By what the identity itself is looked up.
struct Plan {
    kind: IdentityKind,
    /// Every name that it had, as far as that is known.
    names: BTreeSet<String>,
    /// Every key that it had.
    keys: BTreeSet<String>,
    planned: BTreeSet<By>,
}

impl Plan {
    fn of(whom: &Whom, now: &Observed) -> Self {
        let kept = whom.kept.as_ref().ok();
        let mut names = BTreeSet::from([whom.identity.name.to_string()]);
        names.extend(kept.and_then(|it| it.principal.clone()));
        let mut keys: BTreeSet<_> = now.keys.iter().flatten().map(|it| it.id.to_string()).collect();
        let before =
            kept.into_iter().flat_map(|it| &it.responses).filter_map(|it| it.before.get("access_keys")?.as_array());
        keys.extend(before.flatten().filter_map(|it| it["id"].as_str()).map(str::to_owned));
        Self { kind: whom.identity.kind, names, keys, planned: BTreeSet::new() }
    }

    fn first(&mut self, whom: &Whom, command: &Report, followed: &[Followed]) -> Vec<Task> {
        let mut tasks = self.tasks(Place::OfIam, [By::Writes]);
        let by: Vec<_> = match self.kind {
            IdentityKind::User => self.names.iter().cloned().map(By::Username).collect(),
            // Its name finds nothing: the events by which it was assumed name the keys.
            IdentityKind::Role => vec![By::Resource(whom.identity.arn.clone())],
        };
        // What a user did by a key of its own is found by its name.
        let of_followed = followed.iter().filter_map(|it| match &it.flagged {
            Flagged::Key(key) => Some(key),
            Flagged::User(_) => None,
        });
        let named = command.access_key.iter().chain(of_followed.take(MOST_FLAGGED)).map(ToString::to_string);
        let named: Vec<_> = named.filter(|it| !self.keys.contains(it)).map(By::AccessKey).collect();
        tasks.extend(self.tasks(Place::Everywhere, by.into_iter().chain(named)));
        let gone = whom.is_gone.then(|| By::Resource(whom.identity.name.to_string()));
        tasks.extend(self.tasks(Place::OfIam, gone));
        tasks
    }

    /// What follows from what was found: a user that gave itself another name is looked up by each that it had, and by
    /// its keys, which stay. The same where nobody knows whether it did, because there is too much to look through.
    fn more(&mut self, looked: &[Looked], known: &Known, home: &AccountId) -> Vec<Task> {
        let is_cut = |by: &By| {
            let by = by.to_string();
            looked.iter().any(|it| it.by == by && it.account == home.as_str() && it.pages > 0 && it.missing.is_some())
        };
        let mut tasks = Vec::new();
        if is_cut(&By::Writes) {
            tasks.extend(self.tasks(Place::OfIam, [By::Source(IAM.to_owned())]));
        }
        if is_cut(&By::Source(IAM.to_owned())) {
            tasks.extend(self.tasks(Place::OfIam, GRAVEST.iter().map(|it| By::Name(it))));
        }
        if self.kind == IdentityKind::User {
            let others = known.other_names(home.as_str(), &self.names);
            let is_name_cut = self.names.iter().cloned().any(|it| is_cut(&By::Username(it)));
            if is_name_cut {
                // By which call one was made may stand behind what was read; a session's key leads there.
                let made = known.unexplained().into_iter().take(MOST_UNEXPLAINED).map(By::Resource);
                tasks.extend(self.tasks(Place::Everywhere, made.collect::<Vec<_>>()));
            }
            if !others.is_empty() || is_name_cut || is_cut(&By::Writes) {
                let keys: Vec<_> = self.keys.iter().cloned().map(By::AccessKey).collect();
                tasks.extend(self.tasks(Place::Everywhere, keys));
            }
            tasks.extend(self.tasks(Place::Everywhere, others.iter().cloned().map(By::Username)));
            self.names.extend(others);
        }
        tasks
    }

    /// Each once.
    fn tasks(&mut self, place: Place, by: impl IntoIterator<Item = By>) -> Vec<Task> {
        let new = by.into_iter().filter(|it| self.planned.insert(it.clone()));
        new.map(|by| Task { by, place: place.clone() }).collect()
    }
}

/// An account's ID that is none is never entered.
fn by_account(next: impl Iterator<Item = Next>) -> Tasks {
    let mut all = Tasks::new();
    for it in next {
        if let Ok(account) = AccountId::parse(&it.account) {
            let task = Task { by: By::AccessKey(it.key), place: Place::Everywhere };
            let of_account = all.entry(account).or_default();
            if !of_account.contains(&task) {
                of_account.push(task);
            }
        }
    }
    all
}

fn not_looked(account: &str, key: &str, why: &str) -> Looked {
    let by = By::AccessKey(key.to_owned()).to_string();
    let region = "every region".to_owned();
    Looked { account: account.to_owned(), region, by, events: 0, pages: 0, missing: Some(why.to_owned()) }
}

/// What is known of one that is not there any more.
pub(super) fn gone(identity: &Identity, deleted: Option<String>) -> String {
    deleted.unwrap_or_else(|| format!("no event was found by which {} was deleted", identity.id))
}

/// Whether what the events left is still there, by the events' IDs.
pub(super) async fn exists(accounts: &Accounts<'_>, events: &[Event], until: Instant) -> Vec<(String, Now)> {
    let things = events.iter().filter_map(|event| {
        let thing = event.trace.as_ref()?.thing.as_ref()?;
        let iam = accounts.iam(&AccountId::parse(&event.account).ok()?)?;
        Some((event.id.clone(), iam, thing))
    });
    let each = stream::iter(things.take(MOST_LOOKED_AT)).map(async |(event, iam, thing)| {
        let now = tokio::time::timeout_at(until, remains::now(iam, thing)).await;
        (event, now.unwrap_or_else(|_| Now::NotRead(OUT_OF_TIME.to_owned())))
    });
    each.buffer_unordered(PARALLEL).collect().await
}
