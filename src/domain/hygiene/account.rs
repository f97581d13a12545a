//! One account's sweep of a day: from its problems, what was confirmed of them and what is remembered, to what is told
//! and asked. The sweeper only reads IAM, and writes this.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::confirmation::{Confirmation, Confirmed};
use super::ladder::{self, Memory, Rules, Standing};
use super::problems::Problem;
use super::step::{Ending, Inquiry, Step};
use crate::day::Day;
use crate::ids::PrincipalName;
use crate::problem::Kind;
use crate::settings::Sweeper;
use crate::text;

/// A problem as it is told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    pub kind: Kind,
    /// The problem's ID; absent in rows of before there were any.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub id: String,
    /// Absent of root's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<PrincipalName>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub arn: String,
    /// Of the user, or of the key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created: Option<Day>,
    pub facts: String,
    /// What came before, where people should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
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
    /// By the problems' IDs.
    pub inquiries: BTreeMap<String, Inquiry>,
    /// Rows of the report that could not be read, or are missing: whoever is missed may be one of them.
    pub has_unreadable_rows: bool,
    /// Unseen problems of an earlier sweep, by their IDs, of which an event told since.
    pub told_since: BTreeSet<String>,
}

/// The problems of which a request may have ended since the last sweep.
pub fn asked_about(memories: &BTreeMap<String, Memory>) -> Vec<&str> {
    let is_open = |it: &Memory| it.asked > 0 && it.ended.is_none();
    memories.iter().filter(|(_, it)| is_open(it)).map(|(id, _)| id.as_str()).collect()
}

/// Whose missing MFA is to be confirmed before anybody is told; in an account in which there is no time for all, in turns.
pub fn candidates(problems: &[Problem], memories: &BTreeMap<String, Memory>) -> Vec<PrincipalName> {
    let mut candidates: Vec<_> = problems.iter().filter(|it| it.kind == Kind::MissingMfa).collect();
    candidates.sort_by_key(|it| memories.get(&it.id).and_then(|it| it.confirmed));
    candidates.into_iter().filter_map(|it| it.user.clone()).collect()
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
            let standing = self.standing(&mut problem, memory.as_ref());
            // Nobody was told of what the report alone says, or that it is over was told already.
            if memory.is_none() && matches!(standing, Standing::Gone { .. }) {
                continue;
            }
            let is_confirmed = problem.kind == Kind::MissingMfa && matches!(standing, Standing::Present { .. });
            let mut next = ladder::advance(self.rules(), self.today, &problem, standing, memory.as_ref());
            if next.step.is_asked() && problem.user.as_ref().is_some_and(|it| !asked_about.insert(it.clone())) {
                next = ladder::join(self.today, next, memory.as_ref());
            }
            let confirmed = memory.as_ref().and_then(|it| it.confirmed);
            next.confirmed = if is_confirmed { Some(self.today) } else { confirmed };
            let count = swept.kinds.entry(problem.kind).or_default();
            match &next.step {
                Step::Left { .. } => count.left += 1,
                _ => {
                    count.now += 1;
                    count.new += u32::from(next.first == self.today);
                }
            }
            let spared = self.spared(&problem).filter(|_| next.step == Step::Listed);
            let note = spared.or_else(|| note(memory.as_ref(), &next));
            swept.entries.push(Entry { note, ..Entry::of(&problem, &next) });
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
                let reason = "rows of the credential report could not be read, or are missing".to_owned();
                ladder::unconfirmed(self.today, &memory, reason)
            } else {
                let is_told = self.told_since.contains(&id);
                let reason = if is_told { "an event told of it since" } else { "it is seen no more" };
                ladder::leave(self.today, &memory, reason.to_owned())
            };
            let count = swept.kinds.entry(kind).or_default();
            match next.step {
                Step::Left { .. } => count.left += 1,
                _ => count.now += 1,
            }
            swept.entries.push(Entry {
                kind,
                id: id.clone(),
                note: None,
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
        Rules { grace_days: self.settings.mfa_grace_days, holds_console: self.settings.holds_console }
    }

    fn standing(&self, problem: &mut Problem, memory: Option<&Memory>) -> Standing {
        match self.spared(problem) {
            // Nobody is asked, and still it is named.
            Some(_) if problem.kind.is_urgent() => return Standing::Present { acts: false, became: None },
            Some(reason) => return Standing::Spared { reason },
            None => {}
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
        Standing::Present { acts, became: self.became(problem, memory) }
    }

    /// Of a problem that began anew an earlier answer says nothing.
    fn became(&self, problem: &Problem, memory: Option<&Memory>) -> Option<Ending> {
        let memory = memory.filter(|it| it.asked > 0)?;
        let since = if memory.step.is_asked() { memory.day } else { memory.first };
        let inquiry = self.inquiries.get(&problem.id).filter(|it| it.day >= since);
        Some(inquiry.map_or(Ending::Unasked, |it| it.ending.clone().unwrap_or(Ending::Open)))
    }

    fn spared(&self, problem: &Problem) -> Option<String> {
        if self.settings.protected_principals.iter().any(|it| it.matches(&problem.arn)) {
            return Some("protected".to_owned());
        }
        self.settings.exempt.iter().find(|it| it.spares(&problem.arn, self.today)).map(ToString::to_string)
    }
}

/// That it is no problem any more was told on an earlier day.
fn is_over(memory: &Memory, today: Day) -> bool {
    matches!(memory.step, Step::Left { .. }) && memory.day < today
}

/// Whoever was spared until now learns why that is over.
fn note(before: Option<&Memory>, now: &Memory) -> Option<String> {
    let Step::Spared { reason } = &before?.step else { return None };
    let is_spared = matches!(now.step, Step::Spared { .. });
    (!is_spared).then(|| format!("it was {reason}"))
}

impl Entry {
    fn of(problem: &Problem, memory: &Memory) -> Self {
        Self {
            kind: problem.kind,
            id: problem.id.clone(),
            note: None,
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
    use crate::identity::{AccessKey, Unreadable};
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
        inquiries: BTreeMap<String, Inquiry>,
        /// For how many there is time to confirm them.
        room: usize,
    }

    impl Account {
        fn new(given: &[(&str, &str)]) -> Self {
            Self {
                settings: settings(given),
                confirmation: confirmed(true, &[]),
                memories: BTreeMap::new(),
                inquiries: BTreeMap::new(),
                room: usize::MAX,
            }
        }

        fn sweep(&mut self, day: u32, problems: &[Problem]) -> Swept {
            self.sweep_with(day, problems, false)
        }

        fn sweep_with(&mut self, day: u32, problems: &[Problem], has_unreadable_rows: bool) -> Swept {
            let of_day = candidates(problems, &self.memories).into_iter().take(self.room);
            let confirmations = of_day.map(|it| (it, self.confirmation.clone())).collect();
            let sweep = Sweep {
                settings: &self.settings,
                today: parsed::<Day>("2026-11-29").plus(day),
                problems: problems.to_vec(),
                confirmations: &confirmations,
                memories: self.memories.clone(),
                inquiries: self.inquiries.clone(),
                has_unreadable_rows,
                told_since: BTreeSet::new(),
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
        for day in [7, 8] {
            let swept = account.sweep(day, &both);
            assert!(matches!(steps(&swept)[..], [Step::Asked { time: 1, .. }, Step::Joined]), "{swept:?}");
            assert_eq!(swept.asked().map(|it| it.kind).collect::<Vec<_>>(), [Kind::MissingMfa]);
        }
        let alone = account.sweep(9, &both[..1]);
        assert_eq!(alone.asked().count(), 1, "{alone:?}");
    }

    #[test]
    fn where_there_is_no_time_for_all_everybodys_turn_comes() {
        let mut account = Account::new(&[]);
        let all = ["a", "b", "c", "d", "e"].map(|it| problem(Kind::MissingMfa, it));
        account.room = 2;
        let warned = |swept: &Swept| {
            let warned = swept.entries.iter().filter(|it| matches!(it.step, Step::Warned { .. }));
            warned.map(|it| it.user.as_ref().unwrap().to_string()).collect::<Vec<_>>()
        };
        let days: Vec<_> = (0..3).map(|day| warned(&account.sweep(day, &all))).collect();
        assert_eq!(days, [vec!["a", "b"], vec!["c", "d"], vec!["e"]]);
        assert_eq!(candidates(&all, &account.memories).first(), Some(&parsed("b")));
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
        assert_eq!(ended.entries[1].note.as_deref(), Some("it was exempt until 2026-11-30: lobby"));
    }

    #[test]
    fn a_persons_answer_is_of_the_problem_that_they_were_asked_about() {
        let mut account = Account::new(&[]);
        let alice = [problem(Kind::MissingMfa, "alice")];
        let of_day = |day: u32| parsed::<Day>("2026-11-29").plus(day);
        account.sweep(0, &alice);
        assert!(asked_about(&account.memories).is_empty());
        account.sweep(7, &alice);
        assert_eq!(asked_about(&account.memories), ["missing-mfa/alice@5"]);
        let asked = |day, ending| [("missing-mfa/alice@5".to_owned(), Inquiry { day: of_day(day), ending })].into();
        account.inquiries = asked(7, Some(Ending::Done));
        let done = account.sweep(8, &alice);
        assert_eq!(steps(&done), [&Step::Ended { ending: Ending::Done, is_news: true }]);
        // The keys work again: another problem, to which nobody has answered.
        account.sweep(9, &alice);
        let anew = account.sweep(16, &alice);
        assert_eq!(steps(&anew), [&Step::Asked { time: 1, last: None }]);
        // Nobody was asked on that day, and on the next somebody was who has not answered.
        assert_eq!(steps(&account.sweep(17, &alice)), [&Step::Asked { time: 1, last: Some(Ending::Unasked) }]);
        account.inquiries = asked(17, None);
        assert_eq!(steps(&account.sweep(18, &alice)), [&Step::Asked { time: 2, last: Some(Ending::Open) }]);
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
