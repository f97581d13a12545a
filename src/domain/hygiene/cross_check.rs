//! The credential report against IAM's own count of the account: it may be hours old, or cut short, and nobody would
//! know by the report alone.
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_GetAccountSummary.html>

use super::credential_report::CredentialReport;

/// What `GetAccountSummary` counts; each part may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    pub users: Option<i64>,
    pub root_has_mfa: Option<bool>,
    pub root_has_keys: Option<bool>,
}

/// Whether users may be missing from the report, so that who is not in it is not known to be gone.
pub fn is_short(report: &CredentialReport, counted: Counted) -> bool {
    counted.users.is_some_and(|it| it > rows(report))
}

/// Where they differ, for people.
pub fn differences(report: &CredentialReport, counted: Counted) -> Vec<String> {
    let mut found = Vec::new();
    let rows = rows(report);
    if let Some(users) = counted.users.filter(|it| *it != rows) {
        found.push(format!("the credential report has {rows} users and the account {users}: it is stale or cut short"));
    }
    let Some(root) = &report.root else { return found };
    if counted.root_has_mfa.is_some_and(|it| it != root.has_mfa) {
        let words = if root.has_mfa {
            "MFA for root, and the account has none"
        } else {
            "no MFA for root, and the account has"
        };
        found.push(format!("the credential report has {words}"));
    }
    if counted.root_has_keys == Some(false) && root.active_keys > 0 {
        found.push("the credential report has an access key of root, and the account none".to_owned());
    }
    found
}

/// Those that can't be read are users too.
fn rows(report: &CredentialReport) -> i64 {
    i64::try_from(report.users.len() + report.unreadable.len()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::super::credential_report::Root;
    use super::super::credential_report::tests::{NO_KEY, report_of, user_row};
    use super::*;

    fn report() -> CredentialReport {
        let row = user_row("alice", "true,N/A", "true", NO_KEY, NO_KEY);
        let root = Root { has_password: Some(true), has_mfa: true, active_keys: 1 };
        CredentialReport { root: Some(root), ..report_of(&[row]) }
    }

    #[test]
    fn what_agrees_or_is_not_counted_is_no_difference() {
        let same = Counted { users: Some(1), root_has_mfa: Some(true), root_has_keys: Some(true) };
        for counted in [same, Counted::default()] {
            assert_eq!((differences(&report(), counted), is_short(&report(), counted)), (Vec::new(), false));
        }
        let unread = CredentialReport { unreadable: vec!["row 3".to_owned()], ..report() };
        assert!(!is_short(&unread, Counted { users: Some(2), ..same }));
    }

    #[test]
    fn a_report_that_is_stale_or_cut_short_is_told() {
        let more = Counted { users: Some(3), root_has_mfa: Some(false), root_has_keys: Some(false) };
        let told = differences(&report(), more);
        assert_eq!(told.len(), 3, "{told:?}");
        assert!(told[0].contains("has 1 users and the account 3") && is_short(&report(), more));
        let fewer = Counted { users: Some(0), ..Counted::default() };
        assert!(!is_short(&report(), fewer) && differences(&report(), fewer).len() == 1);
    }
}
