//! What follows from a day's sweep once all accounts are in: whether anything is asked for, about whom, and as which
//! finding. Decided by the function that asks, and not by the one that wrote the rows.
//!
//! INVARIANT: more than the budget allows is nothing at all, unless a person released it.
//! `tests/test_sweep_requests.py` holds it.

use std::collections::BTreeMap;

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::{Deserialize, Serialize};

use super::account::Entry;
use super::budget::{self, Asked, Budget};
use super::owner;
use super::summary::Summary;
use crate::finding::{Finding, Principal, Severity, Source};
use crate::ids::{AccountId, Partition, Region};
use crate::problem::Kind;
use crate::settings::Mode;
use crate::text;

/// Of how many users the owners are written to on one day.
const MOST_OWNERS: usize = 200;

/// What of one account was released, as it was counted: nothing else is acted upon, whatever its row says by then.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// When the credential report was made.
    pub as_of: String,
    pub entries: Vec<Entry>,
}

/// What became of a day, for its digest.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Release {
    /// How many a person is asked about, and how many are done unasked.
    pub asked: usize,
    pub enforced: usize,
    /// Why nothing is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Who released it though it was stopped, and why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// How many had been released before on this day, at least: what was sent of them goes on.
    #[serde(default, skip_serializing_if = "is_none_released")]
    pub earlier: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_none_released(earlier: &usize) -> bool {
    *earlier == 0
}

impl Release {
    /// `before`: what the same day's ledger had until now.
    #[must_use]
    pub fn after(self, before: Option<&Self>) -> Self {
        let earlier = before.map_or(0, |it| it.earlier.max(it.asked + it.enforced));
        Self { earlier, ..self }
    }
}

/// All accounts together.
#[derive(Debug, Default)]
pub struct Tally {
    counted: Vec<Asked>,
    asked: usize,
    enforced: usize,
    owners: usize,
    shares: BTreeMap<AccountId, Share>,
    /// Of one account more are asked for than its row names.
    unnamed: Option<String>,
}

impl Tally {
    /// `mode_of`: what is done about a kind; `None` where nothing is.
    pub fn add(&mut self, account: &AccountId, summary: &Summary, mode_of: impl Fn(Kind) -> Option<Mode>) {
        let named: Vec<_> = summary.told.iter().filter(|it| it.step.is_asked() && !it.id.is_empty()).collect();
        if usize::try_from(summary.asked).is_ok_and(|it| it > named.len()) {
            self.unnamed = Some(account.to_string());
        }
        let before = self.asked + self.enforced;
        let mut entries = Vec::new();
        for entry in named {
            match mode_of(entry.kind) {
                Some(Mode::Approve) => self.asked += 1,
                Some(Mode::Enforce) => self.enforced += 1,
                Some(Mode::Observe) | None => continue,
            }
            entries.push(entry);
        }
        let new = self.asked + self.enforced - before;
        if new > 0 {
            let asked = u32::try_from(new).unwrap_or(u32::MAX);
            self.counted.push(Asked { account: account.to_string(), asked, users: summary.users });
        }
        self.share(account, summary, entries);
    }

    /// Those whose owners are to be told; what was stopped tells nobody.
    pub fn tell_owners(&mut self, account: &AccountId, summary: &Summary) {
        let told = summary.told.iter().filter(|it| owner::is_told(&it.step) && !it.id.is_empty());
        let told: Vec<_> = told.take(MOST_OWNERS.saturating_sub(self.owners)).collect();
        self.owners += told.len();
        self.share(account, summary, told);
    }

    fn share(&mut self, account: &AccountId, summary: &Summary, entries: Vec<&Entry>) {
        if entries.is_empty() {
            return;
        }
        let share = self.shares.entry(account.clone()).or_default();
        share.as_of.clone_from(&summary.as_of);
        share.entries.extend(entries.into_iter().cloned());
    }

    /// `by`: the person who looked at it and wants it all the same.
    pub fn release(self, budget: Budget, by: Option<String>) -> (Release, BTreeMap<AccountId, Share>) {
        let unnamed = self.unnamed.map(|it| format!("of account {it} more are asked for than are named in its row"));
        let stopped = budget::exceeded(budget, &self.counted).or(unnamed).filter(|_| by.is_none());
        if stopped.is_some() {
            return (Release { stopped, ..Release::default() }, BTreeMap::new());
        }
        (Release { asked: self.asked, enforced: self.enforced, stopped: None, by, earlier: 0 }, self.shares)
    }
}

impl Share {
    /// The problems' IDs, each of which is a message of the queue.
    pub fn problems(self) -> Vec<String> {
        self.entries.into_iter().map(|it| it.id).collect()
    }
}

/// The finding of a problem, as any other that names a user. `as_of`: when the credential report was made; a user that
/// is younger is another's namesake.
pub fn finding(account: &AccountId, region: &Region, entry: &Entry, as_of: &str) -> Option<Finding> {
    let severity = if entry.kind.is_urgent() { Severity::HIGH } else { Severity(4.0) };
    // The row's own words stay out of it: who asks reads the user again, and says what it sees.
    let title = format!("IAM user {} {}", entry.user.as_ref()?, entry.kind.words());
    Some(Finding {
        id: format!("sweep/{account}/{}", entry.id),
        source: Source::Sweep,
        threat: entry.kind.threat()?,
        severity,
        account: account.clone(),
        partition: Partition::of_region(region),
        region: region.clone(),
        principal: Principal::User { name: entry.user.clone(), id: None },
        access_key: None,
        kind: format!("sweep/{}", entry.kind.name()),
        title: text::line(&title, 500),
        occurred_at: Some(DateTime::from_str(as_of, Format::DateTime).ok()?),
        creator: None,
        security_hub: None,
        began_at: None,
        parent: None,
    })
}

/// Which problem a finding of a sweep is about; `None` of every other finding.
pub fn problem_of(finding: &Finding) -> Option<&str> {
    let rest = finding.id.strip_prefix("sweep/").filter(|_| finding.source == Source::Sweep)?;
    rest.strip_prefix(finding.account.as_str())?.strip_prefix('/')
}

#[cfg(test)]
mod tests {
    use super::super::step::Step;
    use super::*;
    use crate::fixtures::parsed;

    const BUDGET: Budget = Budget { max_actions: 2, max_share: 100 };

    fn entry(kind: Kind, user: &str, step: Step) -> Entry {
        Entry {
            kind,
            id: format!("{}/{user}@5", kind.name()),
            user: Some(parsed(user)),
            arn: format!("arn:aws:iam::111122223333:user/{user}"),
            created: None,
            facts: "signed in never".to_owned(),
            note: None,
            first: parsed("2026-11-29"),
            step,
        }
    }

    fn asked(users: &[&str]) -> Summary {
        let told = users.iter().map(|it| entry(Kind::MissingMfa, it, Step::Asked { time: 1, last: None }));
        Summary { users: 20, asked: u32::try_from(users.len()).unwrap(), told: told.collect(), ..Summary::default() }
    }

    #[test]
    fn what_was_released_before_is_said_however_often_the_day_was_taken_over() {
        let released = |asked: usize| Release { asked, ..Release::default() };
        let second = released(1).after(Some(&released(5).after(None)));
        let stopped = Release { stopped: Some("too many".to_owned()), ..Release::default() };
        assert_eq!(stopped.clone().after(Some(&second)).earlier, 5);
        assert_eq!(stopped.clone().after(Some(&stopped)).earlier, 0);
    }

    fn released(summaries: &[Summary], mode: Option<Mode>, by: Option<&str>) -> (Release, Vec<String>) {
        let mut tally = Tally::default();
        for summary in summaries {
            tally.add(&parsed("111122223333"), summary, |_| mode);
        }
        let (release, shares) = tally.release(BUDGET, by.map(str::to_owned));
        (release, shares.into_values().flat_map(Share::problems).collect())
    }

    #[test]
    fn too_much_is_nothing_unless_a_person_released_it() {
        let many = [asked(&["a", "b"]), asked(&["c"])];
        let (release, items) = released(&many, Some(Mode::Approve), None);
        assert!(release.stopped.unwrap().contains("SWEEP_MAX_ACTIONS") && items.is_empty());
        let (release, items) = released(&many, Some(Mode::Approve), Some("Dana"));
        assert_eq!((release.asked, release.stopped, items.len()), (3, None, 3));
        assert_eq!(items[0], "missing-mfa/a@5");
    }

    #[test]
    fn what_only_observes_is_not_asked_for_and_counts_for_nothing() {
        let many = [asked(&["a", "b", "c"])];
        for mode in [None, Some(Mode::Observe)] {
            assert_eq!(released(&many, mode, None), (Release::default(), Vec::new()));
        }
        let (release, _) = released(&[asked(&["a", "b"])], Some(Mode::Enforce), None);
        assert_eq!((release.asked, release.enforced), (0, 2));
    }

    /// A day that two executions released before a third is stopped: what the first sent goes on too.
    #[test]
    fn what_an_execution_before_the_last_released_is_said_too() {
        let first = Release { asked: 5, ..Release::default() };
        let second = Release { asked: 1, ..Release::default() }.after(Some(&first));
        let third = Release { stopped: Some("too many".to_owned()), ..Release::default() }.after(Some(&second));
        assert!(third.earlier >= 5, "{third:?}");
    }

    #[test]
    fn who_is_not_named_is_not_asked_about_behind_anybodys_back() {
        let more = Summary { asked: 2, ..asked(&["a"]) };
        let (release, items) = released(&[more], Some(Mode::Approve), None);
        assert!(release.stopped.unwrap().contains("more are asked for") && items.is_empty());
    }

    #[test]
    fn its_finding_names_the_user_and_leads_back_to_the_problem() {
        let (account, region) = (parsed("111122223333"), parsed("us-east-1"));
        let step = Step::Asked { time: 1, last: None };
        let of = |kind, user| finding(&account, &region, &entry(kind, user, step.clone()), "2026-11-29T05:00:00Z");
        let it = of(Kind::MissingMfa, "a@b,c=d").unwrap();
        assert_eq!(problem_of(&it), Some("missing-mfa/a@b,c=d@5"));
        assert_eq!(it.title, "IAM user a@b,c=d can sign in to the console without MFA");
        assert_eq!(problem_of(&Finding { source: Source::GuardDuty, ..it.clone() }), None);
        assert_eq!(problem_of(&Finding { account: parsed("444455556666"), ..it }), None);
        assert_eq!(of(Kind::OldKey, "alice"), None);
        let undated = finding(&account, &region, &entry(Kind::MissingMfa, "alice", step), "yesterday");
        assert_eq!(undated, None);
    }
}
