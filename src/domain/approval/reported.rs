//! What somebody reported with the form: a claim, which the form's function keeps as `report#<id>`.
//!
//! INVARIANT: whoever has the form's role decides nothing by what a report says, or by how many there are. It is read
//! once, within these bounds, and what follows from it is written elsewhere. `tests/test_front_thieves.py` holds it.

use crate::ids::{AccessKeyId, AccountId, PrincipalName};

/// The attributes of a report: the form's role may write no other (`dynamodb:Attributes`), and none of them is in the
/// index of what is due.
pub const ATTRIBUTES: &[&str] = &["id", "reported", "unread_bucket", "unread_since"];

/// Who asked for what was reported: all who report share one name and password, so that it is nobody in particular,
/// and bars no approver.
pub const REQUESTER: &str = "the report form";

/// The longest text that the form takes, in characters.
pub const MAX_TEXT: usize = 500;
/// The longest name of who is logged in, and of a network.
const MAX_NAME: usize = 64;
/// The longest item that is read at all: each character of the text may be escaped.
const MAX_BYTES: usize = 8 * 1024;
/// How far two clocks may differ.
const AHEAD_MILLIS: i64 = 5 * 60_000;

#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    pub account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<PrincipalName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<PrincipalName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKeyId>,
    /// What happened, in the reporter's words.
    pub text: String,
    /// Who is logged in at the form.
    pub by: String,
    /// Where the report came from, as a network: `192.0.2.0/24`.
    pub network: String,
    /// Milliseconds since 1970.
    pub at: i64,
}

impl Reported {
    /// `None`: the form writes no such thing. `now` in milliseconds since 1970.
    pub fn read(kept: &str, now: i64) -> Option<Self> {
        let it: Self = serde_json::from_str(kept).ok().filter(|_| kept.len() <= MAX_BYTES)?;
        let fits = |text: &str, most: usize| (1..=most).contains(&text.chars().count());
        let is_sound = fits(&it.text, MAX_TEXT) && fits(&it.by, MAX_NAME) && fits(&it.network, MAX_NAME);
        (is_sound && (0..=now.saturating_add(AHEAD_MILLIS)).contains(&it.at)).then_some(it)
    }

    /// What makes two reports one matter: the key where there is one, else the user or role.
    pub fn subject(&self) -> String {
        let who = match (&self.access_key, &self.user, &self.role) {
            (Some(key), _, _) => format!("key/{key}"),
            (None, Some(user), _) => format!("user/{user}"),
            (None, None, Some(role)) => format!("role/{role}"),
            (None, None, None) => "-".to_owned(),
        };
        format!("{}#{who}", self.account)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const NOW: i64 = 1_795_914_000_000;

    fn kept(changes: Value) -> String {
        let mut kept = json!({
            "account": "111122223333", "user": "alice", "text": "pushed", "by": "report", "network": "192.0.2.0/24",
            "at": NOW,
        });
        for (name, value) in changes.as_object().unwrap() {
            kept[name] = value.clone();
        }
        kept.to_string()
    }

    #[test]
    fn what_the_form_keeps_is_read_and_nothing_else_is() {
        let it = Reported::read(&kept(json!({"text": "\u{1}".repeat(MAX_TEXT)})), NOW).unwrap();
        assert_eq!(Reported::read(&json!(it).to_string(), NOW), Some(it));
        for bad in [
            json!({"text": "x".repeat(MAX_TEXT + 1)}),
            json!({"text": ""}),
            json!({"text": 1}),
            json!({"by": "x".repeat(65)}),
            json!({"network": "x".repeat(65)}),
            json!({"account": "1"}),
            json!({"user": "al ice"}),
            json!({"access_key": "AKIA"}),
            json!({"at": NOW + AHEAD_MILLIS + 1}),
            json!({"at": -1}),
            json!({"state": "done"}),
        ] {
            assert_eq!(Reported::read(&kept(bad.clone()), NOW), None, "{bad}");
        }
        for bad in ["", "x", "[]", "{}", "null"] {
            assert_eq!(Reported::read(bad, NOW), None, "{bad}");
        }
    }
}
