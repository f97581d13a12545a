//! An offer to ask people about a finding that nobody is contained for: an alert with a button. Whoever clicks it
//! decides nothing but that people are asked; whom it is about is looked up then, by the finding.

use sha2::{Digest, Sha256};

use crate::finding::{Finding, Principal, Threat};

#[derive(Debug, Clone, PartialEq)]
pub struct Offer {
    pub finding: Finding,
    /// The alert that it stands under.
    pub subject: String,
    pub text: String,
    /// Of the finding: a click is about what was shown, or about nothing.
    pub hash: String,
    /// Milliseconds since 1970.
    pub expires_at: i64,
    pub opened: Option<Opened>,
}

/// Who had people asked, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// For people, safe to show.
    pub by: String,
    /// Slack's user ID.
    pub user: Option<String>,
    pub at: i64,
}

impl Offer {
    pub fn new(finding: &Finding, subject: &str, text: &str, expires_at: i64) -> Self {
        let (finding, hash) = (finding.clone(), hash(finding));
        Self { finding, subject: subject.to_owned(), text: text.to_owned(), hash, expires_at, opened: None }
    }

    /// Whether what is kept still is what was shown.
    pub fn is_whole(&self) -> bool {
        hash(&self.finding) == self.hash
    }
}

/// Whether the finding names somebody who can be asked about.
pub fn can_be_asked(finding: &Finding) -> bool {
    let names_somebody = match &finding.principal {
        Principal::User { name, id } => name.is_some() || id.is_some(),
        Principal::Role { name, id, .. } => name.is_some() || id.is_some(),
        Principal::UserOrRole { .. } => true,
        Principal::KeyOwner => finding.access_key.as_ref().is_some_and(|it| it.is_long_term()),
        Principal::Root | Principal::NotContainable { .. } => false,
    };
    names_somebody && finding.threat != Threat::RootAccessKey
}

fn hash(finding: &Finding) -> String {
    hex::encode(Sha256::digest(format!("offer|{}", finding.kept())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{finding, parsed};

    #[test]
    fn an_offer_is_of_one_finding() {
        let it = Offer::new(&finding(Threat::CompromisedCredential), "a", "b", 1);
        assert!(it.is_whole());
        let other = Finding { account: parsed("444455556666"), ..it.finding.clone() };
        assert!(!Offer { finding: other, ..it }.is_whole());
    }

    #[test]
    fn nobody_is_offered_who_can_not_be_contained() {
        let named = finding(Threat::CompromisedCredential);
        assert!(can_be_asked(&named));
        let root = Finding { principal: Principal::Root, ..named.clone() };
        let nobody = Finding { principal: Principal::User { name: None, id: None }, ..named.clone() };
        let session = Finding { principal: Principal::KeyOwner, access_key: None, ..named };
        assert!(![root, nobody, session].iter().any(can_be_asked));
    }
}
