//! Who may decide: an allow-list of Slack's user IDs, and what is known of whom they are in AWS.
//!
//! An approver is as strong as the workspace's single sign-on. Slack's e-mail addresses and names are not asked
//! for: their bearer may change them.

use std::collections::{BTreeMap, BTreeSet};

use domain::ids::Arn;

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

impl Approver {
    /// Everything by which this person is known, to be compared with the requester and the target: nobody decides
    /// their own matter. Of an approver whose identity nobody wrote down only the first can be told.
    pub fn names(&self) -> Vec<String> {
        let in_slack = format!("slack:{}/{}", self.team, self.user);
        [in_slack].into_iter().chain(self.identity.clone()).collect()
    }
}

#[derive(Debug, Clone, Default)]
pub struct Approvers {
    allowed: BTreeSet<String>,
    identities: BTreeMap<String, String>,
}

impl Approvers {
    /// From `U111,U222` and `U111=arn:aws:iam::111122223333:user/alice`.
    pub fn parse(allowed: &str, identities: &str) -> Result<Self, String> {
        let elements = |text: &str| {
            let elements = text.split(',').map(str::trim).filter(|it| !it.is_empty());
            elements.map(str::to_owned).collect::<Vec<_>>()
        };
        let mut approvers = Self::default();
        for (n, user) in elements(allowed).into_iter().enumerate() {
            if !is_user(&user) {
                return Err(format!("approver {}: expected a Slack user ID such as `U02ABCDEF`", n + 1));
            }
            approvers.allowed.insert(user);
        }
        if approvers.allowed.is_empty() {
            return Err("expected at least one approver".to_owned());
        }
        for (n, pair) in elements(identities).into_iter().enumerate() {
            let problem = |what| format!("identity {}: {what}", n + 1);
            let (user, arn) = pair.split_once('=').ok_or_else(|| problem("expected `<Slack user ID>=<ARN>`"))?;
            if !approvers.allowed.contains(user) {
                return Err(problem("the Slack user ID is not among the approvers"));
            }
            let is_identity = |it: Arn| it.service == "iam" && it.kind_and_name().is_some();
            if !Arn::parse(arn).is_some_and(is_identity) {
                return Err(problem("expected the ARN of an IAM user or role"));
            }
            if approvers.identities.insert(user.to_owned(), arn.to_owned()).is_some() {
                return Err(problem("the Slack user ID is there twice"));
            }
        }
        Ok(approvers)
    }

    pub(super) fn find(&self, team: &str, user: &str, called: &str) -> Option<Approver> {
        let user = self.allowed.get(user)?.clone();
        let identity = self.identities.get(&user).cloned();
        Some(Approver { user, team: team.to_owned(), called: called.to_owned(), identity })
    }
}

fn is_user(text: &str) -> bool {
    let is_rest =
        |it: &str| (2..=30).contains(&it.len()) && it.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    text.strip_prefix(['U', 'W']).is_some_and(is_rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: &str = "arn:aws:iam::111122223333:user/team/alice";

    #[test]
    fn an_approver_is_known_by_every_name_that_was_written_down() {
        let approvers = Approvers::parse("U111, W222", &format!("U111={ALICE}")).unwrap();
        assert_eq!(approvers.find("T1", "U111", "alice").unwrap().names(), ["slack:T1/U111", ALICE]);
        assert_eq!(approvers.find("T1", "W222", "bob").unwrap().names(), ["slack:T1/W222"]);
        assert_eq!((approvers.find("T1", "U333", "alice"), approvers.find("T1", "", "")), (None, None));
    }

    #[test]
    fn a_list_that_would_let_nobody_or_the_wrong_one_decide_is_refused() {
        for (allowed, identities) in [
            ("", ""),
            (" , ", ""),
            ("alice", ""),
            ("U111,@bob", ""),
            ("*", ""),
            ("U111", "U222=arn:aws:iam::111122223333:user/alice"),
            ("U111", "U111=alice"),
            ("U111", "U111=arn:aws:s3:::bucket/alice"),
            ("U111", "U111"),
            ("U111", "U111=arn:aws:iam::111122223333:user/a,U111=arn:aws:iam::111122223333:user/b"),
        ] {
            assert!(Approvers::parse(allowed, identities).is_err(), "{allowed} {identities}");
        }
    }
}
