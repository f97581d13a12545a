//! The accounts that a report looks into: the identity's own, and those in which its sessions acted.

use std::collections::BTreeMap;

use clients::accounts::Home;
use clients::cloudtrail::{By, Page, Span, Trail};
use clients::iam::IamRead;
use domain::containment::guard;
use domain::ids::{AccountId, Partition, Region};
use domain::outcome::Failure;
use domain::settings::Investigator;
use tokio::time::Instant;

struct Account {
    iam: IamRead,
    trails: Vec<Trail>,
}

pub(super) struct Accounts<'a> {
    home: &'a Home,
    settings: &'a Investigator,
    partition: &'a Partition,
    /// That of IAM's events first.
    regions: Vec<Region>,
    entered: BTreeMap<AccountId, Account>,
}

/// What is to be looked up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Task {
    pub(super) by: By,
    pub(super) place: Place,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// In each of the regions: a call of STS is recorded where it was made, and that is the caller's choice.
    Everywhere,
    /// Where IAM's events are.
    OfIam,
    /// Where it stopped.
    From { region: String, token: Option<String> },
}

/// What one look-up found, and where.
pub(super) struct Found {
    pub(super) account: AccountId,
    pub(super) region: String,
    pub(super) by: By,
    pub(super) page: Page,
}

impl<'a> Accounts<'a> {
    pub(super) fn new(
        home: &'a Home,
        settings: &'a Investigator,
        partition: &'a Partition,
        regions: Vec<Region>,
    ) -> Self {
        Self { home, settings, partition, regions, entered: BTreeMap::new() }
    }

    /// Takes the investigator's role there, once. An account outside of the organisation does not let it in.
    pub(super) async fn enter(&mut self, account: &AccountId) -> Result<(), Failure> {
        if self.entered.contains_key(account) {
            return Ok(());
        }
        if let Some(reason) = guard::refuse_account(&self.settings.untouchable, account) {
            return Err(Failure { code: "Refused".to_owned(), message: reason, retryable: false });
        }
        let common = &self.settings.common;
        let (iam, trails) = self.home.assume_to_investigate(common, account, self.partition, &self.regions).await?;
        self.entered.insert(account.clone(), Account { iam, trails });
        Ok(())
    }

    pub(super) fn iam(&self, account: &AccountId) -> Option<&IamRead> {
        self.entered.get(account).map(|it| &it.iam)
    }

    /// Everything that is to be looked up in each account, the regions side by side. Whatever is left of the time is
    /// shared by the look-ups of a region, and a share is kept for what follows from them.
    pub(super) async fn look_up(&mut self, tasks: &BTreeMap<AccountId, Vec<Task>>, span: Span) -> Vec<Found> {
        let iam_region = self.regions.first().map(ToString::to_string).unwrap_or_default();
        let trails = self.entered.iter_mut().flat_map(|(account, it)| {
            let tasks = tasks.get(account).map(Vec::as_slice).unwrap_or_default();
            it.trails.iter_mut().map(move |trail| (account, trail, tasks))
        });
        let each = trails.map(async |(account, trail, tasks)| {
            let is_here = |it: &&Task| match &it.place {
                Place::Everywhere => true,
                Place::OfIam => trail.region == iam_region,
                Place::From { region, .. } => trail.region == *region,
            };
            let mut found = Vec::new();
            let mut tasks: Vec<_> = tasks.iter().filter(is_here).cloned().collect();
            tasks.reverse();
            while let Some(task) = tasks.pop() {
                let left = span.until.saturating_duration_since(Instant::now());
                let sharing = u32::try_from(tasks.len() + 2).unwrap_or(u32::MAX);
                let span = Span { share: Instant::now() + left / sharing, ..span };
                let token = match task.place {
                    Place::From { token, .. } => token,
                    Place::Everywhere | Place::OfIam => None,
                };
                let page = trail.look_up(&task.by, token, span).await;
                found.push(Found { account: account.clone(), region: trail.region.clone(), by: task.by, page });
            }
            found
        });
        futures_util::future::join_all(each).await.into_iter().flatten().collect()
    }
}
