//! Which accounts of an organisation are swept. Whoever is not is named, with the reason: never silently missing.

use serde::{Deserialize, Serialize};

use crate::ids::{AccountId, Parse};
use crate::settings::Sweeper;
use crate::text;

/// An account as Organizations lists it.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed {
    pub id: String,
    pub name: String,
    pub state: String,
    /// Such as `o-…/r-…/ou-…/111122223333/`.
    pub paths: Vec<String>,
}

/// An account that can't be swept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Skipped {
    pub account: String,
    pub reason: String,
}

#[derive(Debug, Default, PartialEq)]
pub struct Chosen {
    pub accounts: Vec<AccountId>,
    pub skipped: Vec<Skipped>,
    /// Those that the settings leave out are only counted.
    pub left_out: usize,
}

pub fn choose(listed: Vec<Listed>, settings: &Sweeper) -> Chosen {
    let mut chosen = Chosen::default();
    for account in listed {
        let skip = |reason: String| {
            let name = text::line(&format!("{} ({})", account.id, account.name), 100);
            Skipped { account: name, reason }
        };
        match (AccountId::parse(&account.id), is_wanted(&account, settings)) {
            (_, Some(false)) => chosen.left_out += 1,
            (Err(_), _) => chosen.skipped.push(skip("Organizations gave no 12-digit ID".to_owned())),
            (_, None) => chosen.skipped.push(skip("Organizations gave no path to choose by".to_owned())),
            (Ok(_), _) if account.state != "ACTIVE" => {
                let state = if account.state.is_empty() { "unknown" } else { &account.state };
                chosen.skipped.push(skip(format!("its state is {}", text::line(state, 40))));
            }
            (Ok(id), Some(true)) => chosen.accounts.push(id),
        }
    }
    chosen.accounts.sort();
    chosen.accounts.dedup();
    chosen
}

/// By the units above it, at any depth; `None` where that can't be told.
fn is_wanted(account: &Listed, settings: &Sweeper) -> Option<bool> {
    if settings.include_units.is_empty() && settings.exclude_units.is_empty() {
        return Some(true);
    }
    if account.paths.is_empty() {
        return None;
    }
    let is_under = |units: &[String]| {
        let mut parts = account.paths.iter().flat_map(|it| it.split('/'));
        parts.any(|part| units.iter().any(|unit| unit == part))
    };
    let is_included = settings.include_units.is_empty() || is_under(&settings.include_units);
    Some(is_included && !is_under(&settings.exclude_units))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hygiene::account::tests::settings;

    fn account(id: &str, state: &str, path: &str) -> Listed {
        let paths = Some(path).filter(|it| !it.is_empty()).map(|it| format!("o-abcdefghij/r-root/{it}{id}/"));
        Listed { id: id.to_owned(), name: "n".to_owned(), state: state.to_owned(), paths: paths.into_iter().collect() }
    }

    fn ids(chosen: &Chosen) -> Vec<&str> {
        chosen.accounts.iter().map(AccountId::as_str).collect()
    }

    #[test]
    fn only_active_accounts_are_swept_and_the_others_are_named() {
        let states = ["ACTIVE", "SUSPENDED", "PENDING_ACTIVATION", "CLOSED", "ODD", ""];
        let listed = states.iter().enumerate().map(|(n, it)| account(&format!("00000000000{n}"), it, "")).collect();
        let chosen = choose(listed, &settings(&[]));
        assert_eq!((ids(&chosen), chosen.skipped.len()), (vec!["000000000000"], 5));
        assert!(chosen.skipped[0].account.contains("000000000001") && chosen.skipped[0].reason.contains("SUSPENDED"));
        assert!(chosen.skipped[4].reason.contains("unknown"));
    }

    #[test]
    fn units_are_chosen_at_any_depth() {
        let listed = || {
            vec![
                account("000000000001", "ACTIVE", "ou-root-prod0001/ou-root-deep0001/"),
                account("000000000002", "ACTIVE", "ou-root-prod0001/"),
                account("000000000003", "ACTIVE", "ou-root-test0001/"),
                account("000000000004", "ACTIVE", ""),
            ]
        };
        let of = |given: &[(&str, &str)]| choose(listed(), &settings(given));
        assert_eq!(ids(&of(&[("SWEEP_UNITS", "ou-root-prod0001")])), ["000000000001", "000000000002"]);
        let but = [("SWEEP_UNITS", "r-root"), ("SWEEP_UNITS_EXCEPT", "ou-root-deep0001,ou-root-test0001")];
        let chosen = of(&but);
        assert_eq!((ids(&chosen), chosen.left_out), (vec!["000000000002"], 2));
        assert_eq!(chosen.skipped.len(), 1, "one without a path is named");
        // A unit is no prefix of another's.
        assert_eq!(ids(&of(&[("SWEEP_UNITS", "ou-root-prod000")])), Vec::<&str>::new());
    }
}
