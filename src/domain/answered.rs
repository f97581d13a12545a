//! Which findings the responses to an identity answered: what comes later may be part of a response that is there, and who
//! takes that back frees the identity from all of them.

use std::collections::BTreeSet;

use sha2::{Digest, Sha256};

use crate::text;

/// What is kept of it, also of responses that were taken back.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Answers {
    pub all: BTreeSet<Answered>,
    /// A finding waited for a response, and may have been answered by it.
    pub has_others: bool,
}

/// A finding that a response answered.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Answered {
    pub response: String,
    /// Of the finding's ID: findings are told from each other by it.
    digest: String,
    /// The beginning of its ID, for people.
    pub finding: String,
}

/// So many are kept.
const MOST: usize = 20;

impl Answered {
    pub fn new(response: &str, finding: &str) -> Self {
        Self { response: response.to_owned(), digest: digest(finding), finding: text::line(finding, 120) }
    }

    /// As the ledger keeps it. No response's ID has a space.
    pub fn words_of_record(&self) -> String {
        format!("{} {} {}", self.response, self.digest, self.finding)
    }

    pub fn of_record(words: &str) -> Option<Self> {
        let (response, rest) = words.split_once(' ')?;
        let (digest, finding) = rest.split_once(' ')?;
        Some(Self { response: response.to_owned(), digest: digest.to_owned(), finding: finding.to_owned() })
    }
}

impl Answers {
    /// With one more; where there is no room, one of the oldest response goes.
    #[must_use]
    pub fn with(mut self, new: Answered) -> Self {
        self.all.insert(new);
        let began = |it: &Answered| it.response.split_once('@').map(|(_, at)| at.to_owned());
        while self.all.len() > MOST {
            let Some(oldest) = self.all.iter().min_by_key(|it| began(it)).cloned() else { break };
            self.all.remove(&oldest);
        }
        self
    }

    /// It was in force at a time.
    pub fn knows(&self, response: &str) -> bool {
        self.all.iter().any(|it| it.response == response)
    }

    /// Another finding that the response answered too.
    pub fn beside(&self, response: &str, finding: &str) -> Option<&Answered> {
        let finding = digest(finding);
        self.all.iter().find(|it| it.response == response && it.digest != finding)
    }

    /// There may be some that are not kept.
    pub fn are_unsure(&self) -> bool {
        self.has_others || self.all.len() >= MOST
    }
}

fn digest(finding: &str) -> String {
    hex::encode(Sha256::digest(finding)).chars().take(16).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_read_back_and_bounded() {
        let one = Answered::new("unused-user@1970-01-01T00:00:01Z", "arn: of a finding");
        assert_eq!(Answered::of_record(&one.words_of_record()), Some(one.clone()));
        let mut all = Answers::default().with(one);
        assert!(!all.are_unsure());
        for n in 10..40 {
            all = all.with(Answered::new(&format!("unused-user@1970-01-01T00:00:{n}Z"), "f"));
        }
        assert_eq!((all.all.len(), all.are_unsure()), (MOST, true));
        assert!(all.knows("unused-user@1970-01-01T00:00:39Z") && !all.knows("unused-user@1970-01-01T00:00:01Z"));
    }
}
