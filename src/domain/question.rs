//! What people are asked, as every sink tells it: one request, and how it is answered without Slack.

use std::str::FromStr;

use aws_smithy_types::DateTime;
use serde_json::json;

use crate::command::typed;
use crate::ids::RequestId;

/// What holds an identity back while people are asked, and is lifted when somebody declines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Barrier {
    /// Whatever it does is denied.
    Deny,
    /// Of a role, the sessions of before. Whoever may assume it gets new ones.
    Revocation,
}

impl Barrier {
    const ALL: [Self; 2] = [Self::Deny, Self::Revocation];

    /// As the ledger writes it, and what people call it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Revocation => "revocation",
        }
    }

    pub fn is(self) -> &'static str {
        match self {
            Self::Deny => "it is denied everything",
            Self::Revocation => "its older sessions are revoked, and whoever may assume it gets new ones",
        }
    }

    pub fn stays(self) -> &'static str {
        match self {
            Self::Deny => "It STAYS denied everything",
            Self::Revocation => "Its older sessions STAY revoked, and whoever may assume it gets new ones",
        }
    }
}

impl FromStr for Barrier {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.word() == word).ok_or(())
    }
}

/// A request that waits.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub request: RequestId,
    pub requester: String,
    /// How many different approvers it takes.
    pub needed: i64,
    /// Milliseconds since 1970.
    pub expires_at: i64,
    /// How to answer it by `aws lambda invoke`.
    pub commands: Vec<String>,
    /// What would be done, one change a line.
    pub plan: Vec<String>,
    /// What would be affected, one fact a line.
    pub affected: Vec<String>,
    /// What holds the identity back while it waits.
    pub struck: Option<Barrier>,
    /// There are many open ones of its threat and account: it is told of in a list.
    pub is_beyond: bool,
}

impl Question {
    pub fn expires(&self) -> String {
        DateTime::from_millis(self.expires_at).to_string()
    }
}

/// To approve, and to decline.
pub fn commands(request: &RequestId, function: &str) -> Vec<String> {
    ["approve", "decline"].map(|word| command(word, request, function)).to_vec()
}

pub fn command(word: &str, request: &RequestId, function: &str) -> String {
    let payload = json!({"command": word, "request": request, "by": "YOUR NAME", "reason": "WHY"});
    typed(&payload, function)
}
