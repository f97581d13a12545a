//! What a button of ours says when it is clicked.
//!
//! The value is `v1|<request>|<plan hash>|approve` or `…|decline`: the request's ID of 26 letters `a-z` and
//! digits `2-7`; the plan's SHA-256 as 64 lower-case hexadecimal digits; the `action_id` is the last word. The plan
//! itself is looked up. Whoever signs for Slack could still ask about another request, which is why the hash is
//! compared with the ledger's: a decision is about the plan that was shown, or none.

/// What may be decided about a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision {
    Approve,
    Decline,
}

impl Decision {
    pub const ALL: [Self; 2] = [Self::Approve, Self::Decline];

    pub fn word(self) -> &'static str {
        match self {
            Self::Approve => "approve",
            Self::Decline => "decline",
        }
    }
}

/// The `action_id` of buttons that decide. What has another one decides nothing.
pub const ACTION_IDS: [&str; 2] = ["approve", "decline"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Button {
    pub request: String,
    pub plan_hash: String,
    pub decision: Decision,
}

impl Button {
    pub fn render(&self) -> String {
        format!("v1|{}|{}|{}", self.request, self.plan_hash, self.decision.word())
    }

    pub fn parse(value: &str) -> Option<Self> {
        let mut parts = value.split('|');
        let (version, request, hash, word) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let decision = Decision::ALL.into_iter().find(|it| it.word() == word)?;
        let is_hash = hash.len() == 64 && crate::mac::is_lower_hex(hash);
        let is_ours = parts.next().is_none() && version == "v1" && is_request_id(request) && is_hash;
        is_ours.then(|| Self { request: request.to_owned(), plan_hash: hash.to_owned(), decision })
    }
}

/// Whether this can be the ID of a request: what stands in the ledger's keys and in links.
pub fn is_request_id(text: &str) -> bool {
    text.len() == 26 && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_whole_value_is_one() {
        let hash = "0f".repeat(32);
        let good = format!("v1|abcdefghijklmnopqrstuvwxyz|{hash}|approve");
        assert_eq!(Button::parse(&good).unwrap().render(), good);
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
        assert_eq!(Decision::ALL.map(Decision::word), ACTION_IDS);
    }

    proptest! {
        #[test]
        fn what_is_rendered_is_read_again(request in "[a-z2-7]{26}", plan_hash in "[0-9a-f]{64}", n in 0usize..2) {
            let button = Button { request, plan_hash, decision: Decision::ALL[n] };
            prop_assert_eq!(Button::parse(&button.render()), Some(button.clone()));
            prop_assert!(button.render().len() <= 2000);
        }

        #[test]
        fn any_value_is_read_or_not(value in any::<String>()) {
            let _ = Button::parse(&value);
        }
    }
}
