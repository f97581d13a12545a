//! The ladder of one problem: a warning, a reminder, a request to approve, an outcome; with a memory, from day to day.
//!
//! Days count and not sweeps: who was warned before a weekend without one has had the weekend too. Sweeping twice on
//! a day, or a day that is over, is once.
//!
//! INVARIANT: nobody is asked about before a warning of so many days ago, nor for what could not be confirmed today.

use serde::{Deserialize, Serialize};

use super::problems::Problem;
use super::step::{Ended, Ending, Step};
use crate::day::Day;
use crate::problem::Kind;

/// What is remembered of a problem.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Memory {
    pub first: Day,
    /// The last sweep's.
    pub day: Day,
    pub step: Step,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warned: Option<Day>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reminded: Option<Day>,
    /// How often a person was asked.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub asked: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<Ended>,
    /// When it was confirmed last, of what has to be: who was not for long comes first where there is no time for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<Day>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's own signature")]
fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// What is known of a problem today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// It is there. Whether its kind is acted on, and what became of the last request.
    Present {
        acts: bool,
        became: Option<Ending>,
    },
    Spared {
        reason: String,
    },
    Unconfirmed {
        reason: String,
    },
    Gone {
        reason: String,
    },
}

/// For how many days a decline holds: then the problem is warned of as a new one. The same of what was done to a user
/// whose keys work on.
pub const ANSWER_DAYS: u32 = 30;

/// How long people have to mend it themselves, and what can be done when they don't.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    pub grace_days: u32,
    /// What answers missing MFA holds the console back, and takes no key away.
    pub holds_console: bool,
}

impl Rules {
    /// When a reminder is due, in days after the warning: half way. None where there is no day between.
    fn reminder(self) -> Option<u32> {
        (self.grace_days >= 2).then(|| self.grace_days.div_ceil(2))
    }

    /// Whether a playbook finds anything to do.
    fn can_act(self, problem: &Problem) -> bool {
        problem.has_active_keys || (self.holds_console && problem.kind == Kind::MissingMfa)
    }

    /// Whether what was answered is another problem by now. What was deactivated stays so: a key that works was made,
    /// or activated by a person, since then.
    fn is_anew(self, ended: &Ended, problem: &Problem, today: Day) -> bool {
        let leaves_keys = self.holds_console && problem.kind == Kind::MissingMfa;
        match ended.how {
            Ending::Done if !leaves_keys => problem.has_active_keys && today > ended.day,
            // Who it is was answered, and nobody would be warned before they were asked about again.
            Ending::Declined { .. } | Ending::Refused { .. } if problem.kind.is_urgent() => false,
            _ => today.since(ended.day) >= ANSWER_DAYS,
        }
    }
}

/// One problem's step of today.
pub fn advance(rules: Rules, today: Day, problem: &Problem, standing: Standing, memory: Option<&Memory>) -> Memory {
    if let Some(same) = memory.filter(|it| it.day >= today) {
        return same.clone();
    }
    // What had left and is back is another problem.
    let memory = memory.filter(|it| !matches!(it.step, Step::Left { .. }));
    let mut next = memory.cloned().unwrap_or_else(|| Memory::new(today));
    next.day = today;
    next.step = match standing {
        Standing::Gone { reason } => Step::Left { reason },
        Standing::Unconfirmed { reason } => Step::Unconfirmed { reason },
        // Whoever is spared no longer is warned as anybody else.
        Standing::Spared { reason } => {
            next = Memory { first: next.first, ..Memory::new(today) };
            Step::Spared { reason }
        }
        Standing::Present { acts: false, .. } => Step::Listed,
        Standing::Present { acts: true, became } => climb(rules, problem, became, &mut next),
    };
    next
}

/// A problem that is there no more.
pub fn leave(today: Day, memory: &Memory, reason: String) -> Memory {
    step(today, memory, Step::Left { reason })
}

/// A problem of which nothing can be said today.
pub fn unconfirmed(today: Day, memory: &Memory, reason: String) -> Memory {
    step(today, memory, Step::Unconfirmed { reason })
}

fn step(today: Day, memory: &Memory, step: Step) -> Memory {
    if memory.day >= today { memory.clone() } else { Memory { day: today, step, ..memory.clone() } }
}

/// Instead of asking: a person is asked about the same user for something else already.
pub fn join(today: Day, asking: Memory, before: Option<&Memory>) -> Memory {
    match before {
        // It was asked about earlier on this day.
        Some(same) if same.day >= today => asking,
        Some(before) => Memory { asked: before.asked, step: Step::Joined, ..asking },
        None => Memory { asked: 0, step: Step::Joined, ..asking },
    }
}

impl Memory {
    fn new(day: Day) -> Self {
        Self {
            first: day,
            day,
            step: Step::Listed,
            warned: None,
            reminded: None,
            asked: 0,
            ended: None,
            confirmed: None,
        }
    }
}

fn climb(rules: Rules, problem: &Problem, became: Option<Ending>, next: &mut Memory) -> Step {
    let today = next.day;
    let became = became.filter(|_| next.asked > 0 && next.ended.is_none());
    if became == Some(Ending::Unasked) {
        next.asked -= 1;
    }
    if let Some(how) = became.as_ref().filter(|it| it.is_answer()) {
        next.ended = Some(Ended { day: today, how: how.clone() });
        return Step::Ended { ending: how.clone(), is_news: true };
    }
    if let Some(ended) = &next.ended {
        if !rules.is_anew(ended, problem, today) {
            return Step::Ended { ending: ended.how.clone(), is_news: false };
        }
        *next = Memory::new(today);
    }
    if problem.kind.is_urgent() {
        return ask(next, became);
    }
    let Some(warned) = next.warned else {
        next.warned = Some(today);
        return Step::Warned { days_left: rules.grace_days };
    };
    let since = today.since(warned);
    let days_left = rules.grace_days.saturating_sub(since);
    if days_left == 0 {
        return if rules.can_act(problem) { ask(next, became) } else { Step::Overdue };
    }
    if next.reminded.is_none() && rules.reminder().is_some_and(|it| since >= it) {
        next.reminded = Some(today);
        return Step::Reminded { days_left };
    }
    Step::Waiting { days_left }
}

/// A request lives until the next sweep, which asks again.
fn ask(next: &mut Memory, last: Option<Ending>) -> Step {
    next.asked = next.asked.saturating_add(1);
    Step::Asked { time: next.asked, last }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;
    use proptest::prelude::*;

    use super::*;
    use crate::fixtures::parsed;

    const RULES: Rules = Rules { grace_days: 7, holds_console: false };

    fn problem(kind: Kind) -> Problem {
        Problem {
            kind,
            id: format!("{}/alice@1", kind.name()),
            user: Some(parsed("alice")),
            arn: "arn:aws:iam::111122223333:user/alice".to_owned(),
            created: DateTime::from_secs(1),
            facts: String::new(),
            has_active_keys: true,
        }
    }

    fn day(number: u32) -> Day {
        parsed::<Day>("2026-11-29").plus(number)
    }

    fn present() -> Standing {
        Standing::Present { acts: true, became: None }
    }

    fn asked(time: u32) -> Step {
        Step::Asked { time, last: None }
    }

    fn became(how: Ending) -> Standing {
        Standing::Present { acts: true, became: Some(how) }
    }

    /// The memory after sweeps on these days.
    fn after(days: impl IntoIterator<Item = u32>) -> Memory {
        let of_day = |memory: Option<Memory>, n| {
            Some(advance(RULES, day(n), &problem(Kind::MissingMfa), present(), memory.as_ref()))
        };
        days.into_iter().fold(None, of_day).unwrap()
    }

    fn next(memory: &Memory, n: u32, standing: Standing) -> Memory {
        advance(RULES, day(n), &problem(Kind::MissingMfa), standing, Some(memory))
    }

    #[test]
    fn a_warning_a_reminder_and_then_a_person_is_asked_until_somebody_answers() {
        let steps: Vec<_> = (0..=9).map(|n| after(0..=n).step).collect();
        assert_eq!(steps[0], Step::Warned { days_left: 7 });
        assert_eq!(steps[1], Step::Waiting { days_left: 6 });
        assert_eq!(steps[4], Step::Reminded { days_left: 3 });
        assert_eq!(steps[6], Step::Waiting { days_left: 1 });
        assert_eq!(steps[7..], [asked(1), asked(2), asked(3)]);
    }

    #[test]
    fn days_count_and_not_sweeps() {
        assert_eq!(after([0, 5]).step, Step::Reminded { days_left: 2 });
        assert_eq!(after([0, 20]).step, asked(1));
    }

    #[test]
    fn a_second_sweep_of_a_day_changes_nothing() {
        let once = after(0..=7);
        assert_eq!(after((0..=7).chain([7, 7, 3])), once);
        assert_eq!(next(&once, 7, Standing::Gone { reason: String::new() }), once);
    }

    #[test]
    fn who_turned_mfa_on_leaves_and_begins_anew() {
        let left = next(&after(0..=5), 6, Standing::Gone { reason: "MFA is on".to_owned() });
        assert_eq!(left.step, Step::Left { reason: "MFA is on".to_owned() });
        assert_eq!(next(&left, 7, present()).step, Step::Warned { days_left: 7 });
    }

    #[test]
    fn what_could_not_be_confirmed_neither_goes_on_nor_is_forgotten() {
        let unread = next(&after(0..=6), 7, Standing::Unconfirmed { reason: "throttled".to_owned() });
        assert!(matches!(unread.step, Step::Unconfirmed { .. }) && unread.asked == 0);
        assert_eq!(next(&unread, 8, present()).step, asked(1));
    }

    #[test]
    fn whoever_is_spared_is_warned_anew_when_that_ends() {
        let spared = next(&after(0..=7), 8, Standing::Spared { reason: "exempt".to_owned() });
        assert_eq!(spared.first, day(0));
        assert_eq!(next(&spared, 9, present()).step, Step::Warned { days_left: 7 });
    }

    #[test]
    fn a_decline_holds_for_thirty_days_and_is_told_once() {
        declined_or_refused(&Ending::Declined { by: "Dana".to_owned() });
    }

    #[test]
    fn who_is_refused_is_not_asked_about_every_day() {
        declined_or_refused(&Ending::Refused { reason: "it is in PROTECTED_PRINCIPALS".to_owned() });
    }

    fn declined_or_refused(ending: &Ending) {
        let declined = next(&after(0..=7), 8, became(ending.clone()));
        assert_eq!(declined.step, Step::Ended { ending: ending.clone(), is_news: true });
        assert!(declined.step.is_told());
        let later = next(&declined, 8 + ANSWER_DAYS - 1, became(ending.clone()));
        assert_eq!(later.step, Step::Ended { ending: ending.clone(), is_news: false });
        assert!(!later.step.is_told());
        let anew = next(&later, 8 + ANSWER_DAYS, became(ending.clone()));
        assert_eq!((anew.step, anew.asked), (Step::Warned { days_left: 7 }, 0));
    }

    #[test]
    fn what_nobody_decided_or_what_failed_is_asked_again_and_says_so() {
        for (ending, time) in [
            (Ending::Expired, 2),
            (Ending::Open, 2),
            (Ending::Failed { reason: "denied".to_owned() }, 2),
            (Ending::Unasked, 1),
        ] {
            let again = next(&after(0..=7), 8, became(ending.clone()));
            assert_eq!(again.step, Step::Asked { time, last: Some(ending) });
        }
    }

    #[test]
    fn a_key_that_works_after_all_were_deactivated_begins_anew() {
        let done = next(&after(0..=7), 8, became(Ending::Done));
        assert_eq!(done.step, Step::Ended { ending: Ending::Done, is_news: true });
        let without = Problem { has_active_keys: false, ..problem(Kind::MissingMfa) };
        let quiet = Step::Ended { ending: Ending::Done, is_news: false };
        assert_eq!(advance(RULES, day(9), &without, present(), Some(&done)).step, quiet);
        assert_eq!(next(&done, 9, present()).step, Step::Warned { days_left: 7 });
    }

    #[test]
    fn who_is_held_back_at_the_console_keeps_the_keys_and_is_not_asked_about_for_them() {
        let rules = Rules { holds_console: true, ..RULES };
        let step =
            |memory: &Memory, n, standing| advance(rules, day(n), &problem(Kind::MissingMfa), standing, Some(memory));
        let done = step(&after(0..=7), 8, became(Ending::Done));
        assert_eq!(step(&done, 9, present()).step, Step::Ended { ending: Ending::Done, is_news: false });
    }

    #[test]
    fn where_nothing_can_be_taken_away_nobody_is_asked() {
        let without = Problem { has_active_keys: false, ..problem(Kind::MissingMfa) };
        let step = |rules| advance(rules, day(7), &without, present(), Some(&after(0..=6))).step;
        assert_eq!(step(RULES), Step::Overdue);
        assert_eq!(step(Rules { holds_console: true, ..RULES }), asked(1));
    }

    #[test]
    fn an_answer_to_what_was_never_asked_is_none() {
        let answer = Standing::Present { acts: true, became: Some(Ending::Done) };
        assert_eq!(
            advance(RULES, day(0), &problem(Kind::MissingMfa), answer, None).step,
            Step::Warned { days_left: 7 }
        );
    }

    #[test]
    fn an_unseen_user_is_asked_about_at_once_and_what_is_only_reported_never() {
        let unseen = advance(RULES, day(0), &problem(Kind::UnseenUser), present(), None);
        assert_eq!(unseen.step, asked(1));
        let listed = Standing::Present { acts: false, became: None };
        assert_eq!(advance(RULES, day(0), &problem(Kind::UnseenUser), listed, None).step, Step::Listed);
    }

    #[test]
    fn an_unseen_user_of_whom_a_person_said_who_it_is_is_not_asked_about_again() {
        let step =
            |n, standing, memory: &Memory| advance(RULES, day(n), &problem(Kind::UnseenUser), standing, Some(memory));
        let first = advance(RULES, day(0), &problem(Kind::UnseenUser), present(), None);
        let ending = Ending::Declined { by: "Dana".to_owned() };
        let declined = step(1, became(ending.clone()), &first);
        assert_eq!(step(400, present(), &declined).step, Step::Ended { ending, is_news: false });
        // Nobody has said so.
        assert_eq!(step(1, became(Ending::Expired), &first).step, Step::Asked { time: 2, last: Some(Ending::Expired) });
    }

    #[test]
    fn without_days_of_grace_nobody_is_asked_on_the_day_of_the_warning() {
        let rules = Rules { grace_days: 0, holds_console: false };
        let first = advance(rules, day(0), &problem(Kind::MissingMfa), present(), None);
        assert_eq!(first.step, Step::Warned { days_left: 0 });
        let second = advance(rules, day(1), &problem(Kind::MissingMfa), present(), Some(&first));
        assert_eq!(second.step, asked(1));
    }

    #[test]
    fn the_memory_comes_back_from_the_ledger_as_it_was() {
        let declined = became(Ending::Declined { by: "Dana".to_owned() });
        for memory in [
            after(0..=7),
            next(&after(0..=3), 4, Standing::Unconfirmed { reason: "x".to_owned() }),
            next(&after(0..=7), 8, became(Ending::Expired)),
            next(&after(0..=7), 8, became(Ending::Done)),
            next(&after(0..=7), 8, declined),
        ] {
            let text = serde_json::to_string(&memory).unwrap();
            assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
        }
    }

    fn standings() -> impl Strategy<Value = Standing> {
        let reason = || "r".to_owned();
        prop_oneof![
            4 => Just(present()),
            1 => Just(Standing::Present { acts: false, became: None }),
            1 => Just(Standing::Present { acts: true, became: Some(Ending::Done) }),
            1 => Just(Standing::Present { acts: true, became: Some(Ending::Declined { by: reason() }) }),
            1 => Just(Standing::Present { acts: true, became: Some(Ending::Expired) }),
            1 => Just(Standing::Spared { reason: reason() }),
            1 => Just(Standing::Unconfirmed { reason: reason() }),
            1 => Just(Standing::Gone { reason: reason() }),
        ]
    }

    proptest! {
        /// Whatever comes in whatever order: who is asked about was there today, and warned long enough ago.
        #[test]
        fn nobody_is_asked_about_without_a_warning(course in proptest::collection::vec((0u32..5, standings()), 1..60)) {
            let (mut memory, mut today, mut warned) = (None::<Memory>, 0, None);
            for (later, standing) in course {
                today += later;
                let is_new_day = memory.as_ref().is_none_or(|it| it.day < day(today));
                let after = advance(RULES, day(today), &problem(Kind::MissingMfa), standing.clone(), memory.as_ref());
                match &after.step {
                    Step::Warned { .. } if is_new_day => warned = Some(today),
                    Step::Asked { .. } if is_new_day => {
                        let is_present = matches!(standing, Standing::Present { acts: true, .. });
                        prop_assert!(is_present);
                        prop_assert!(warned.is_some_and(|it| today - it >= RULES.grace_days));
                    }
                    Step::Spared { .. } | Step::Left { .. } => warned = None,
                    _ => {}
                }
                memory = Some(after);
            }
        }
    }
}
