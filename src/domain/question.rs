//! What people are asked, as every sink tells it: one request, and how it is answered without Slack.

use aws_smithy_types::DateTime;
use serde_json::json;

use crate::ids::RequestId;

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
    /// The identity is denied everything while it waits.
    pub is_struck: bool,
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

/// In both of AWS's CLIs: a payload on the command line is Base64 in the second and text in the first.
pub fn command(word: &str, request: &RequestId, function: &str) -> String {
    let payload = json!({"command": word, "request": request, "by": "YOUR NAME", "reason": "WHY"});
    format!("echo '{payload}' | aws lambda invoke --function-name {function} --payload fileb:///dev/stdin answer.json")
}
