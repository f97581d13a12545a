//! What people decide about a request, and the button that says so.
//!
//! A button's value is `v1|<request>|<plan hash>|approve`, `…|decline` or, under an alert, `…|open` or `…|ack`: the request's ID, the plan's SHA-256 as 64
//! lower-case hexadecimal digits; the `action_id` is the last word. The plan itself is looked up. Whoever signs for
//! Slack could still ask about another request, which is why the hash is compared with the ledger's: a decision is
//! about the plan that was shown, or none.

use std::fmt;
use std::str::FromStr;

use crate::ids::{Arn, Parse, RequestId};

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

/// What a button asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    Decide(Decision),
    /// That people are asked about a finding which nobody is contained for.
    Open,
    /// That others need not be told: somebody has seen the alert.
    Acknowledge,
}

impl Wish {
    pub const ALL: [Self; 4] =
        [Self::Decide(Decision::Approve), Self::Decide(Decision::Decline), Self::Open, Self::Acknowledge];

    pub fn word(self) -> &'static str {
        match self {
            Self::Decide(decision) => decision.word(),
            Self::Open => "open",
            Self::Acknowledge => "ack",
        }
    }
}

impl FromStr for Wish {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.word() == word).ok_or(())
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
    pub wish: Wish,
}

impl Button {
    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('|');
        let (version, request, hash, word) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let is_hash = hash.len() == 64 && hash.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_ours = parts.next().is_none() && version == "v1" && is_hash;
        let (request, wish) = (RequestId::parse(request).ok()?, word.parse().ok()?);
        is_ours.then(|| Self { request, plan_hash: hash.to_owned(), wish })
    }
}

/// The value of a button.
pub fn button(request: &str, hash: &str, wish: Wish) -> String {
    format!("v1|{request}|{hash}|{}", wish.word())
}

/// A name without what stands before it.
pub(crate) fn bare(name: &str) -> &str {
    name.rsplit(['/', ':']).next().unwrap_or(name).trim()
}

/// Nobody decides about themselves, as far as that can be told: `names` are all by which the decider is known,
/// and `about` those of the requester and of the target. Who bears the same name in another account is another; of a
/// name without an account that can't be told.
pub fn is_own<'a>(names: impl IntoIterator<Item = &'a str>, about: &[&str]) -> bool {
    let about: Vec<_> = about.iter().map(|it| it.to_lowercase()).collect();
    names.into_iter().any(|it| about.iter().any(|other| is_same(&it.to_lowercase(), other)))
}

fn is_same(one: &str, other: &str) -> bool {
    let are_apart = account(one).zip(account(other)).is_some_and(|(one, other)| one != other);
    !bare(one).is_empty() && bare(one) == bare(other) && !are_apart
}

fn account(name: &str) -> Option<&str> {
    Arn::parse(name.trim()).map(|it| it.account).filter(|it| !it.is_empty())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn nobody_decides_about_themselves_under_any_of_their_names() {
        assert!(is_own(["alice"], &["dana", "arn:aws:iam::111122223333:user/team/Alice"]));
        assert!(is_own(["slack:T1/U2", "arn:aws:iam::111122223333:user/dana"], &["dana"]));
        assert!(!is_own(["dana"], &["alice", ""]) && !is_own([""], &[""]));
    }

    #[test]
    fn who_bears_the_same_name_in_another_account_is_another() {
        let (one, other) = ("arn:aws:iam::111122223333:user/dana", "arn:aws:iam::444455556666:user/dana");
        assert!(!is_own([one], &[other]) && is_own([one], &[one]) && is_own([one], &["dana"]));
    }

    #[test]
    fn only_the_whole_value_is_a_buttons() {
        let hash = "0f".repeat(32);
        let good = format!("v1|abcdefghijklmnopqrstuvwxyz|{hash}|approve");
        let read = Button::parse(&good).unwrap();
        assert_eq!(button(read.request.as_str(), &read.plan_hash, read.wish), good);
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
        fn what_is_rendered_is_read_again(request in "[a-z2-7]{26}", hash in "[0-9a-f]{64}", n in 0usize..4) {
            let value = button(&request, &hash, Wish::ALL[n]);
            let read = Button::parse(&value).unwrap();
            prop_assert_eq!((read.request.as_str(), read.plan_hash, read.wish), (&*request, hash, Wish::ALL[n]));
            prop_assert!(value.len() <= 2000);
        }

        #[test]
        fn any_value_is_read_or_not(value in any::<String>()) {
            let _ = Button::parse(&value);
        }
    }

    #[test]
    fn a_word_is_read_as_it_is_written() {
        for decision in Decision::ALL {
            assert_eq!(decision.word().parse(), Ok(decision));
            assert_eq!(Wish::Decide(decision).word(), decision.word());
        }
        assert_eq!(
            (Decision::Approve.to_string(), Decision::Decline.to_string()),
            ("approved".to_owned(), "declined".to_owned())
        );
        assert!("ack".parse::<Decision>().is_err() && "nothing".parse::<Wish>().is_err());
    }
}
