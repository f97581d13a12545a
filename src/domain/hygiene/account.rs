//! One account's sweep of a day: from its problems, what was confirmed of them and what is remembered, to what is told
//! and asked. The sweeper only reads IAM, and writes this.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::ladder::{self, Memory, Rules, Standing, Step};
use super::problems::Problem;
use crate::day::Day;
use crate::identity::{AccessKey, Read};
use crate::ids::PrincipalName;
use crate::problem::Kind;
use crate::settings::Sweeper;
use crate::text;

/// What IAM said of a user whom the report shows without MFA.
#[derive(Debug, Clone)]
pub struct Confirmation {
    pub login: Read<bool>,
    pub mfa_devices: Read<Vec<String>>,
    pub keys: Read<Vec<AccessKey>>,
}

enum Confirmed {
    Yes { has_active_keys: bool },
    No(String),
    Unknown(String),
}

impl Confirmation {
    fn judge(&self) -> Confirmed {
        let unread = [self.login.as_ref().err(), self.mfa_devices.as_ref().err(), self.keys.as_ref().err()];
        if unread.iter().flatten().any(|it| it.is_gone()) {
            return Confirmed::No("the user is gone".to_owned());
        }
        match (&self.login, &self.mfa_devices, &self.keys) {
            (Ok(false), ..) => Confirmed::No("there is no console password any more".to_owned()),
            (_, Ok(devices), _) if !devices.is_empty() => Confirmed::No("MFA is on".to_owned()),
            (Ok(true), Ok(_), Ok(keys)) => Confirmed::Yes { has_active_keys: keys.iter().any(|it| it.active) },
            _ => {
                let all: Vec<_> = unread.iter().flatten().map(ToString::to_string).collect();
                Confirmed::Unknown(format!("could not be read: {}", all.join(", ")))
            }
        }
    }
}

/// A problem as it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: Kind,
    /// Absent of root's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<PrincipalName>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arn: String,
    /// Of the user, or of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Day>,
    pub facts: String,
    /// When it was seen first.
    pub first: Day,
    #[serde(flatten)]
    pub step: Step,
}

/// One kind in numbers, against the sweep before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Count {
    pub now: u32,
    pub new: u32,
    pub left: u32,
}

/// What a sweep of an account amounts to.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Swept {
    pub entries: Vec<Entry>,
    pub kinds: BTreeMap<Kind, Count>,
    /// By the problems' IDs: what the next sweep begins with.
    pub memories: BTreeMap<String, Memory>,
}

impl Swept {
    pub fn asked(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|it| it.step.is_asked())
    }
}

/// What a day's sweep of an account is judged by.
pub struct Sweep<'a> {
    pub settings: &'a Sweeper,
    pub today: Day,
    pub problems: Vec<Problem>,
    pub confirmations: &'a BTreeMap<PrincipalName, Confirmation>,
    /// Of the sweep before, by the problems' IDs.
    pub memories: BTreeMap<String, Memory>,
    /// Rows of the report that could not be read: whoever is missed may be one of them.
    pub has_unreadable_rows: bool,
}

/// Who needs MFA confirmed before anybody is told.
pub fn candidates(problems: &[Problem]) -> Vec<PrincipalName> {
    problems.iter().filter(|it| it.kind == Kind::MissingMfa).filter_map(|it| it.user.clone()).collect()
}

impl Sweep<'_> {
    pub fn judge(mut self) -> Swept {
        let mut swept = Swept::default();
        let mut problems = std::mem::take(&mut self.problems);
        // The gravest first: who is asked about for one thing is not asked about for another on the same day.
        problems.sort_by_key(|it| Kind::ALL.iter().position(|kind| *kind == it.kind));
        let mut asked_about = BTreeSet::new();
        for mut problem in problems {
            let memory = self.memories.remove(&problem.id).filter(|it| !is_over(it, self.today));
            let standing = self.standing(&mut problem);
            // Nobody was told of what the report alone says, or that it is over was told already.
            if memory.is_none() && matches!(standing, Standing::Gone { .. }) {
                continue;
            }
            let mut next = ladder::advance(self.rules(), self.today, &problem, standing, memory.as_ref());
            if next.step.is_asked() && problem.user.as_ref().is_some_and(|it| !asked_about.insert(it.clone())) {
                next = ladder::join(self.today, next, memory.as_ref());
            }
            let count = swept.kinds.entry(problem.kind).or_default();
            match &next.step {
                Step::Left { .. } => count.left += 1,
                _ => {
                    count.now += 1;
                    count.new += u32::from(next.first == self.today);
                }
            }
            swept.entries.push(Entry::of(&problem, &next));
            swept.memories.insert(problem.id, next);
        }
        self.remember_others(&mut swept);
        swept
    }

    /// What the report shows no more.
    fn remember_others(self, swept: &mut Swept) {
        for (id, memory) in self.memories {
            let Some(kind) = id.split('/').next().and_then(Kind::of_name) else { continue };
            if is_over(&memory, self.today) {
                continue;
            }
            let user = id.split_once('/').and_then(|(_, it)| it.rsplit_once('@')).map(|(name, _)| name);
            let next = if self.has_unreadable_rows {
                let reason = "rows of the credential report could not be read".to_owned();
                ladder::unconfirmed(self.today, &memory, reason)
            } else {
                ladder::leave(self.today, &memory, "it is seen no more".to_owned())
            };
            let count = swept.kinds.entry(kind).or_default();
            match next.step {
                Step::Left { .. } => count.left += 1,
                _ => count.now += 1,
            }
            swept.entries.push(Entry {
                kind,
                user: user.and_then(|it| crate::ids::Parse::parse(it).ok()),
                arn: String::new(),
                created: None,
                facts: String::new(),
                first: next.first,
                step: next.step.clone(),
            });
            swept.memories.insert(id, next);
        }
    }

    fn rules(&self) -> Rules {
        Rules { grace_days: self.settings.mfa_grace_days }
    }

    fn standing(&self, problem: &mut Problem) -> Standing {
        if let Some(reason) = self.spared(problem) {
            return Standing::Spared { reason };
        }
        if problem.kind == Kind::MissingMfa {
            let confirmation = problem.user.as_ref().and_then(|it| self.confirmations.get(it));
            match confirmation.map(Confirmation::judge) {
                Some(Confirmed::Yes { has_active_keys }) => problem.has_active_keys = has_active_keys,
                Some(Confirmed::No(reason)) => return Standing::Gone { reason },
                Some(Confirmed::Unknown(reason)) => return Standing::Unconfirmed { reason },
                None => return Standing::Unconfirmed { reason: "there was no time to confirm it".to_owned() },
            }
        }
        let acts = self.settings.acts_on.contains(&problem.kind) && problem.kind.threat().is_some();
        Standing::Present { acts, became: None }
    }

    fn spared(&self, problem: &Problem) -> Option<String> {
        if self.settings.protected_principals.iter().any(|it| it.matches(&problem.arn)) {
            return Some("protected".to_owned());
        }
        let exempt = self.settings.exempt.iter().find(|it| it.until >= self.today && it.who.matches(&problem.arn))?;
        Some(format!("exempt until {}: {}", exempt.until, exempt.reason))
    }
}

/// That it is no problem any more was told on an earlier day.
fn is_over(memory: &Memory, today: Day) -> bool {
    matches!(memory.step, Step::Left { .. }) && memory.day < today
}

impl Entry {
    fn of(problem: &Problem, memory: &Memory) -> Self {
        Self {
            kind: problem.kind,
            user: problem.user.clone(),
            arn: problem.arn.clone(),
            created: problem.user.as_ref().map(|_| Day::of(problem.created)),
            facts: text::line(&problem.facts, 300),
            first: memory.first,
            step: memory.step.clone(),
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::fixtures::parsed;
    use crate::identity::Unreadable;
    use crate::settings::Settings;

    pub(crate) fn settings(given: &[(&str, &str)]) -> Sweeper {
        let base =
            [("PART", "sweeper"), ("EXTERNAL_ID", "external"), ("AWS_REGION", "us-east-1"), ("LEDGER_TABLE", "ledger")];
        let all: BTreeMap<_, _> = base.into_iter().chain(given.iter().copied()).collect();
        match Settings::from_lookup(|name| all.get(name).map(|it| (*it).to_owned())).unwrap() {
            Settings::Sweeper(it) => *it,
            other => panic!("{other:?}"),
        }
    }

    fn problem(kind: Kind, user: &str) -> Problem {
        Problem {
            kind,
            id: format!("{}/{user}@5", kind.name()),
            user: Some(parsed(user)),
            arn: format!("arn:aws:iam::111122223333:user/{user}"),
            created: DateTime::from_secs(5),
            facts: "facts".to_owned(),
            has_active_keys: true,
        }
    }

    fn confirmed(login: bool, devices: &[&str]) -> Confirmation {
        let key = AccessKey { id: parsed("AKIAIOSFODNN7EXAMPLE"), active: true };
        let devices = devices.iter().map(|it| (*it).to_owned()).collect();
        Confirmation { login: Ok(login), mfa_devices: Ok(devices), keys: Ok(vec![key]) }
    }

    struct Account {
        settings: Sweeper,
        confirmation: Confirmation,
        memories: BTreeMap<String, Memory>,
    }

    impl Account {
        fn new(given: &[(&str, &str)]) -> Self {
            Self { settings: settings(given), confirmation: confirmed(true, &[]), memories: BTreeMap::new() }
        }

        fn sweep(&mut self, day: u32, problems: &[Problem]) -> Swept {
            self.sweep_with(day, problems, false)
        }

        fn sweep_with(&mut self, day: u32, problems: &[Problem], has_unreadable_rows: bool) -> Swept {
            let confirmations = candidates(problems).into_iter().map(|it| (it, self.confirmation.clone())).collect();
            let sweep = Sweep {
                settings: &self.settings,
                today: parsed::<Day>("2026-11-29").plus(day),
                problems: problems.to_vec(),
                confirmations: &confirmations,
                memories: self.memories.clone(),
                has_unreadable_rows,
            };
            let swept = sweep.judge();
            self.memories.clone_from(&swept.memories);
            swept
        }
    }

    fn steps(swept: &Swept) -> Vec<&Step> {
        swept.entries.iter().map(|it| &it.step).collect()
    }

    #[test]
    fn a_user_on_two_lists_is_asked_about_once() {
        let mut account = Account::new(&[("SWEEP_ACTS_ON", "unused-user,missing-mfa")]);
        let both = [problem(Kind::UnusedUser, "alice"), problem(Kind::MissingMfa, "alice")];
        account.sweep(0, &both);
        for (day, time) in [(7, 1), (8, 2)] {
            let swept = account.sweep(day, &both);
            assert_eq!(steps(&swept), [&Step::Asked { time }, &Step::Joined]);
            assert_eq!(swept.asked().map(|it| it.kind).collect::<Vec<_>>(), [Kind::MissingMfa]);
        }
        let alone = account.sweep(9, &both[..1]);
        assert_eq!(alone.asked().count(), 1, "{alone:?}");
    }

    #[test]
    fn what_was_not_confirmed_is_nobodys_warning() {
        for (confirmation, reason) in
            [(confirmed(false, &[]), "no console password"), (confirmed(true, &["u2f"]), "MFA is on")]
        {
            let mut account = Account::new(&[]);
            let alice = [problem(Kind::MissingMfa, "alice")];
            account.confirmation = confirmation.clone();
            assert_eq!(account.sweep(0, &alice), Swept::default());
            account.confirmation = confirmed(true, &[]);
            account.sweep(1, &alice);
            account.confirmation = confirmation;
            let Step::Left { reason: given } = steps(&account.sweep(8, &alice))[0].clone() else { panic!() };
            assert!(given.contains(reason), "{given}");
            let left = account.memories.clone();
            assert_eq!(account.sweep(9, &[]), Swept::default());
            // The report may be hours old, and show it still.
            account.memories = left;
            assert_eq!(account.sweep(9, &alice), Swept::default());
        }
    }

    #[test]
    fn who_is_gone_has_left_and_who_cant_be_read_has_not() {
        let gone =
            crate::outcome::Failure { code: "NoSuchEntity".to_owned(), message: String::new(), retryable: false };
        for (unread, is_left) in
            [(Unreadable::failed("keys", gone), true), (Unreadable::not_read("access keys"), false)]
        {
            let mut account = Account::new(&[]);
            let alice = [problem(Kind::MissingMfa, "alice")];
            account.sweep(0, &alice);
            account.confirmation.keys = Err(unread);
            let swept = account.sweep(7, &alice);
            assert_eq!(matches!(swept.entries[0].step, Step::Left { .. }), is_left);
            assert_eq!(matches!(swept.entries[0].step, Step::Unconfirmed { .. }), !is_left);
        }
    }

    #[test]
    fn nobody_is_missed_because_of_a_row_that_could_not_be_read() {
        let mut account = Account::new(&[]);
        account.sweep(0, &[problem(Kind::MissingMfa, "alice")]);
        let swept = account.sweep_with(7, &[], true);
        assert!(matches!(swept.entries[0].step, Step::Unconfirmed { .. }));
        assert_eq!(swept.entries[0].user, Some(parsed("alice")));
        assert_eq!(account.sweep(8, &[problem(Kind::MissingMfa, "alice")]).asked().count(), 1);
    }

    #[test]
    fn protected_and_exempt_ones_are_listed_as_such() {
        let given = [
            ("PROTECTED_PRINCIPALS", "arn:aws:iam::*:user/break-glass"),
            ("EXEMPT", "arn:aws:iam::111122223333:user/kiosk=2026-11-30 lobby"),
        ];
        let mut account = Account::new(&given);
        let users = ["break-glass", "kiosk"].map(|it| problem(Kind::MissingMfa, it));
        let spared = |reason: &str| Step::Spared { reason: reason.to_owned() };
        let expected = [spared("protected"), spared("exempt until 2026-11-30: lobby")];
        assert_eq!(steps(&account.sweep(0, &users)), expected.iter().collect::<Vec<_>>());
        let ended = account.sweep(2, &users);
        assert_eq!(steps(&ended), [&expected[0], &Step::Warned { days_left: 7 }]);
    }

    #[test]
    fn kinds_that_are_not_acted_on_are_counted_against_yesterday() {
        let mut account = Account::new(&[]);
        let kind = Kind::OldKey;
        let swept = account.sweep(0, &[problem(kind, "a"), problem(kind, "b")]);
        assert_eq!((swept.kinds[&kind], swept.asked().count()), (Count { now: 2, new: 2, left: 0 }, 0));
        let swept = account.sweep(1, &[problem(kind, "b"), problem(kind, "c")]);
        assert_eq!(swept.kinds[&kind], Count { now: 2, new: 1, left: 1 });
        assert!(account.sweep(60, &[problem(kind, "b")]).asked().next().is_none());
    }

    #[test]
    fn a_second_judgement_of_a_day_is_the_first() {
        let mut account = Account::new(&[]);
        let users = ["alice", "bob"].map(|it| problem(Kind::MissingMfa, it));
        account.sweep(0, &users);
        let once = account.sweep(7, &users[..1]);
        assert_eq!(account.sweep(7, &users[..1]), once);
    }
}
