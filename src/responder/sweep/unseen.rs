//! Users and keys of which no event told: what the report shows, held against what the ledger keeps of the events.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use clients::accounts::Member;
use clients::iam::credential_report;
use clients::ledger::sweep::Head;
use domain::hygiene::credential_report::{CredentialReport, User};
use domain::hygiene::problems::Problem;
use domain::hygiene::summary::Summary;
use domain::hygiene::unseen::{self, Between, Seen};

use super::{Failed, Remembered, Trip};

pub(super) struct Unseen {
    pub(super) problems: Vec<Problem>,
    /// The IDs of those that an event told of.
    pub(super) told_since: BTreeSet<String>,
    /// For the next sweep: keys of whose activation no event told.
    pub(super) activated: Vec<String>,
}

impl Trip<'_> {
    /// Users and keys that came since the last sweep, and of which no event told; and those that an earlier one named.
    pub(super) async fn unseen(
        &self,
        member: &Member,
        report: &CredentialReport,
        head: &Head,
        as_of: DateTime,
        remembered: &Remembered,
    ) -> Result<Unseen, Failed> {
        let last = head.summary.as_deref().and_then(|it| serde_json::from_str::<Summary>(it).ok());
        let last = last.and_then(|it| DateTime::from_str(&it.as_of, Format::DateTime).ok());
        let between = Between { last, as_of };
        let named = |id: &str| remembered.memories.get(id).map(|it| it.first);
        let users = unseen::users(report, between, |it| named(it).is_some());
        let names: Vec<_> = users.iter().map(|it| it.name.clone()).collect();
        let told = self.ledger.created_users(self.account, &names).await?;
        let is_told =
            |user: &User| told.get(user.name.as_str()).is_some_and(|at| unseen::is_its_event(user.created.secs(), *at));
        let (told_users, users): (Vec<_>, Vec<_>) = users.into_iter().partition(|it| is_told(it));
        let suspects = unseen::keys(report, between, &remembered.inactive, named);
        let users_of = suspects.iter().map(|it| it.user.name.clone()).collect();
        let listed = credential_report::keys(&member.read, users_of, self.until).await;
        let ids: Vec<_> = listed.values().flatten().flatten().map(|(id, _)| id.clone()).collect();
        let told = self.ledger.key_events(self.account, &ids).await?;
        let mut found = Unseen {
            problems: users.into_iter().map(Problem::unseen).collect(),
            told_since: told_users.into_iter().map(|it| Problem::unseen(it).id).collect(),
            activated: Vec::new(),
        };
        for it in suspects {
            let Some(listed) = listed.get(&it.user.name) else { continue };
            let problem = Problem::unseen_key(it.user, it.key);
            let problem = match it.seen(listed, &told, between) {
                Seen::Untold => problem,
                Seen::Unread(why) => problem.with_doubt(&why),
                Seen::Told => {
                    found.told_since.insert(problem.id);
                    continue;
                }
                Seen::Gone => continue,
            };
            found.problems.push(problem);
            found.activated.extend(it.activated());
        }
        Ok(found)
    }
}
