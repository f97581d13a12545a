//! Who may decide: an allow-list of Slack's user IDs, and what is known of whom they are in AWS.
//!
//! An approver is as strong as the workspace's single sign-on. Slack's e-mail addresses and names are not asked
//! for: their bearer may change them.

use std::collections::{BTreeMap, BTreeSet};

/// Who decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approver {
    /// `U…` or `W…`.
    pub user: String,
    /// `T…`, of our own workspace.
    pub team: String,
    /// For people, and other people's text: it goes through `text.rs` before it is shown.
    pub called: String,
    /// The ARN of the same person's IAM user or role, where `APPROVER_IDENTITIES` says.
    pub identity: Option<String>,
}

#[derive(Debug, Clone, Default)]
pub struct Approvers {
    allowed: BTreeSet<String>,
    identities: BTreeMap<String, String>,
}

impl Approvers {
    /// Slack's user IDs, and the ARNs of the same persons in AWS.
    pub fn new(allowed: impl IntoIterator<Item = String>, identities: BTreeMap<String, String>) -> Self {
        Self { allowed: allowed.into_iter().collect(), identities }
    }

    pub(super) fn find(&self, team: &str, user: &str, called: &str) -> Option<Approver> {
        let user = self.allowed.get(user)?.clone();
        let identity = self.identities.get(&user).cloned();
        Some(Approver { user, team: team.to_owned(), called: called.to_owned(), identity })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "arn:aws:iam::111122223333:user/team/alice";

    #[test]
    fn who_is_on_the_list_is_found_with_the_identity_that_was_written_down() {
        let identities = BTreeMap::from([("U111".to_owned(), ALICE.to_owned())]);
        let approvers = Approvers::new(["U111".to_owned(), "W222".to_owned()], identities);
        assert_eq!(approvers.find("T1", "U111", "alice").unwrap().identity.as_deref(), Some(ALICE));
        assert_eq!(approvers.find("T1", "W222", "bob").unwrap().identity, None);
        assert_eq!((approvers.find("T1", "U333", "alice"), approvers.find("T1", "", "")), (None, None));
    }
}
