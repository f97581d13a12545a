//! What people decide about a request, and the button that says so.
//!
//! A button's value is `v1|<request>|<plan hash>|approve` or `…|decline`: the request's ID, the plan's SHA-256 as 64
//! lower-case hexadecimal digits; the `action_id` is the last word. The plan itself is looked up. Whoever signs for
//! Slack could still ask about another request, which is why the hash is compared with the ledger's: a decision is
//! about the plan that was shown, or none.

use std::fmt;
use std::str::FromStr;

use crate::ids::{Parse, RequestId};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Decline,
}

impl Decision {
    pub const ALL: [Self; 2] = [Self::Approve, Self::Decline];

    /// As commands, buttons and the ledger write it. What has another `action_id` decides nothing.
    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
        }
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Approve => "approved",
            Self::Decline => "declined",
        })
    }
}

impl FromStr for Decision {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.word() == word).ok_or(())
    }
}

/// What a button of ours says when it is clicked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    pub request: RequestId,
    pub plan_hash: String,
    pub decision: Decision,
}

impl Button {
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('|');
        let (version, request, hash, word) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_ours = parts.next().is_none() && version == "v1" && is_hash;
        let (request, decision) = (RequestId::parse(request).ok()?, word.parse().ok()?);
        is_ours.then(|| Self { request, plan_hash: hash.to_owned(), decision })
    }
}

/// The value of a button.
pub fn button(request: &str, plan_hash: &str, decision: Decision) -> String {
    format!("v1|{request}|{plan_hash}|{}", decision.word())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_whole_value_is_a_buttons() {
        let hash = "0f".repeat(32);
        let good = format!("v1|abcdefghijklmnopqrstuvwxyz|{hash}|approve");
        let read = Button::parse(&good).unwrap();
        assert_eq!(button(read.request.as_str(), &read.plan_hash, read.decision), good);
        for bad in [
            String::new(),
            format!("v2|abcdefghijklmnopqrstuvwxyz|{hash}|approve"),
            format!("v1|abcdefghijklmnopqrstuvwxyz|{hash}|Approve"),
            format!("v1|abcdefghijklmnopqrstuvwxyz|{hash}|approve|"),
            format!("v1|abcdefghijklmnopqrstuvwxyz|{hash}"),
            format!("v1|abcdefghijklmnopqrstuvwxyz|{}|approve", hash.to_uppercase()),
            format!("v1|abcdefghijklmnopqrstuvwxyz|{}|approve", &hash[1..]),
            format!("v1|record#111122223333#AIDA|{hash}|approve"),
            format!("v1|short|{hash}|approve"),
            format!(" {good}"),
        ] {
            assert_eq!(Button::parse(&bad), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_again(request in "[a-z2-7]{26}", hash in "[0-9a-f]{64}", n in 0usize..2) {
            let value = button(&request, &hash, Decision::ALL[n]);
            let read = Button::parse(&value).unwrap();
            prop_assert_eq!((read.request.as_str(), read.plan_hash, read.decision), (&*request, hash, Decision::ALL[n]));
            prop_assert!(value.len() <= 2000);
        }

        #[test]
        fn any_value_is_read_or_not(value in any::<String>()) {
            let _ = Button::parse(&value);
        }
    }
}
