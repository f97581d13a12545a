//! How much a sweep may ask for: more than that is no forgetful employee but a mistake, of a report, a setting or a
//! person, and stops before the first action.

use serde::{Deserialize, Serialize};

/// What may be asked for in one sweep: in all accounts together, and of each account's users.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    pub max_actions: u32,
    /// In per cent. One user may always be asked about: of three users it is a third.
    pub max_share: u32,
}

/// What one account asks for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asked {
    pub account: String,
    pub asked: u32,
    pub users: u32,
}

/// Why nothing of a sweep is released. A person decides.
pub fn exceeded(budget: Budget, accounts: &[Asked]) -> Option<String> {
    let all: u64 = accounts.iter().map(|it| u64::from(it.asked)).sum();
    if all > u64::from(budget.max_actions) {
        return Some(format!("{all} actions are asked for, and SWEEP_MAX_ACTIONS is {}", budget.max_actions));
    }
    let is_over =
        |it: &&Asked| it.asked > 1 && u64::from(it.asked) * 100 > u64::from(it.users) * u64::from(budget.max_share);
    let over = accounts.iter().find(is_over)?;
    Some(format!(
        "actions are asked for about {} of the {} users of account {}, and SWEEP_MAX_SHARE is {}%",
        over.asked, over.users, over.account, budget.max_share
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Budget = Budget { max_actions: 10, max_share: 20 };

    fn asked(account: &str, asked: u32, users: u32) -> Asked {
        Asked { account: account.to_owned(), asked, users }
    }

    #[test]
    fn too_many_in_all_stop_it() {
        let of_two = |second| exceeded(BUDGET, &[asked("1", 5, 100), asked("2", second, 100)]);
        assert_eq!(of_two(5), None);
        assert!(of_two(6).unwrap().contains("SWEEP_MAX_ACTIONS"));
        let huge = exceeded(BUDGET, &[asked("1", u32::MAX, u32::MAX), asked("2", u32::MAX, u32::MAX)]);
        assert!(huge.is_some());
    }

    #[test]
    fn too_many_of_one_account_stop_it() {
        assert_eq!(exceeded(BUDGET, &[asked("1", 4, 20), asked("2", 1, 1), asked("3", 0, 0)]), None);
        assert!(exceeded(BUDGET, &[asked("1", 1, 100), asked("2", 5, 20)]).unwrap().contains("account 2"));
        assert!(exceeded(BUDGET, &[asked("1", 2, 0)]).is_some());
    }

    #[test]
    fn nothing_is_always_allowed() {
        assert_eq!(exceeded(Budget { max_actions: 0, max_share: 0 }, &[asked("1", 0, 5)]), None);
        assert!(exceeded(Budget { max_actions: 0, max_share: 100 }, &[asked("1", 1, 5)]).is_some());
    }
}
