//! What Slack's Web API answers: taken, or refused in one of a few ways, each with what is done about it.
//!
//! Errors come with status 200 and `ok: false`; only a rate limit has a status of its own.
//! <https://docs.slack.dev/apis/web-api/#responses>

use serde_json::Value;

use crate::text;

/// Slack has the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Accepted {
    /// The message's ID in its channel.
    pub ts: String,
    /// Which is another one than was named where that is a person: a change has to name this one.
    pub channel: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Slack's word for it.
    pub code: String,
    pub trouble: Trouble,
}

/// What is done about a refusal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Sent again later, and not before so many seconds. Part of it may have happened: a second message is better
    /// than none.
    Later { after: Option<u64> },
    /// People are told once, by the topic: channel, membership or the workspace's rules want to be mended.
    Configuration,
    /// The token is read anew once; then as for a configuration.
    Secret,
    /// Too large, or not what Slack takes: sent again as plain text.
    Unfit,
    /// The message to change, or the thread's first one, is not there any more: sent as a new one.
    Gone,
}

const LATER: &[&str] = &[
    "ratelimited",
    "rate_limited",
    "message_limit_exceeded",
    "internal_error",
    "fatal_error",
    "service_unavailable",
    "request_timeout",
    "team_added_to_org",
];

const SECRET: &[&str] = &[
    "invalid_auth",
    "not_authed",
    "account_inactive",
    "token_revoked",
    "token_expired",
    "missing_scope",
    "no_permission",
    "not_allowed_token_type",
];

const GONE: &[&str] =
    &["message_not_found", "cant_update_message", "edit_window_closed", "thread_not_found", "cannot_reply_to_message"];

const CONFIGURATION: &[&str] = &[
    "channel_not_found",
    "not_in_channel",
    "is_archived",
    "ekm_access_denied",
    "access_denied",
    "team_access_not_granted",
    "org_login_required",
    "two_factor_setup_required",
    "accesslimited",
    "messages_tab_disabled",
    "deprecated_endpoint",
    "method_deprecated",
];

impl Trouble {
    /// What is not known is taken for a fault of the message: plain text is tried, and people are told if that fails.
    fn of(code: &str) -> Self {
        match code {
            it if LATER.contains(&it) => Self::Later { after: None },
            it if SECRET.contains(&it) => Self::Secret,
            it if GONE.contains(&it) => Self::Gone,
            it if CONFIGURATION.contains(&it) || it.starts_with("restricted_action") => Self::Configuration,
            _ => Self::Unfit,
        }
    }

    /// What a person is told to do about it.
    pub const fn remedy(self) -> &'static str {
        match self {
            Self::Later { .. } => "Slack did not take it for a day: look at status.slack.com",
            Self::Configuration => {
                "invite the app to the channel of SLACK_CHANNEL (APPROVER_CHANNEL), or name another: it must be an ID"
            }
            Self::Secret => {
                "put the app's bot token (scope chat:write) into the parameter that SLACK_TOKEN_PARAMETER names"
            }
            Self::Unfit | Self::Gone => "look at the log of the responder: Slack does not take this message",
        }
    }
}

/// Reads an answer. What is no answer of the Web API, such as a gateway's page, is Slack's fault and for later.
pub fn read(status: u16, retry_after: Option<&str>, body: &[u8]) -> Result<Accepted, Refused> {
    let refused = |code: &str, trouble| Err(Refused { code: text::line(code, 60), trouble });
    let answer: Value = serde_json::from_slice(body).unwrap_or_default();
    let after = retry_after.and_then(|it| it.trim().parse::<u64>().ok()).map(|it| it.min(LONGEST_WAIT));
    if status == 429 {
        return refused("ratelimited", Trouble::Later { after: Some(after.unwrap_or(DEFAULT_WAIT)) });
    }
    match (answer.get("ok").and_then(Value::as_bool), answer.get("ts").and_then(Value::as_str)) {
        (Some(true), Some(ts)) if status == 200 && is_ts(ts) => {
            let channel = answer.get("channel").and_then(Value::as_str).filter(|it| is_channel(it));
            Ok(Accepted { ts: ts.to_owned(), channel: channel.map(str::to_owned) })
        }
        (Some(true), _) => refused("incomplete_answer", Trouble::Later { after }),
        (Some(false), _) => {
            let code = answer.get("error").and_then(Value::as_str).unwrap_or("unknown_error");
            match Trouble::of(code) {
                Trouble::Later { .. } => refused(code, Trouble::Later { after }),
                other => refused(code, other),
            }
        }
        (None, _) => refused(&format!("HTTP {status}"), Trouble::Later { after }),
    }
}

/// Slack says how long; where it does not.
const DEFAULT_WAIT: u64 = 30;
const LONGEST_WAIT: u64 = 3_600;

/// It goes into later requests and the ledger.
fn is_ts(ts: &str) -> bool {
    (3..=40).contains(&ts.len()) && ts.bytes().all(|b| b.is_ascii_digit() || b == b'.')
}

fn is_channel(id: &str) -> bool {
    (9..=32).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trouble(body: &str) -> Trouble {
        read(200, None, body.as_bytes()).unwrap_err().trouble
    }

    #[test]
    fn each_error_has_its_answer() {
        for (codes, expected) in [
            (LATER, Trouble::Later { after: None }),
            (SECRET, Trouble::Secret),
            (GONE, Trouble::Gone),
            (CONFIGURATION, Trouble::Configuration),
            (&["restricted_action", "restricted_action_thread_locked"], Trouble::Configuration),
            (
                &["invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "msg_too_long", "no_text"],
                Trouble::Unfit,
            ),
            (&["invalid_arguments", "something_new"], Trouble::Unfit),
        ] {
            for code in codes {
                assert_eq!(trouble(&format!(r#"{{"ok":false,"error":"{code}"}}"#)), expected, "{code}");
            }
        }
    }

    #[test]
    fn only_a_whole_answer_counts_as_taken() {
        let taken = read(200, None, br#"{"ok":true,"channel":"C1","ts":"1700000000.123456"}"#);
        assert_eq!(taken, Ok(Accepted { ts: "1700000000.123456".to_owned(), channel: None }));
        let taken = read(200, None, br#"{"ok":true,"channel":"D0123456789","ts":"1700000000.123456"}"#);
        assert_eq!(taken.unwrap().channel.as_deref(), Some("D0123456789"));
        for (status, body) in [
            (200, r#"{"ok":true}"#),
            (200, r#"{"ok":true,"ts":"<script>"}"#),
            (200, r#"{"ok":true,"ts":"17000"#),
            (502, "<html>Bad Gateway</html>"),
            (502, r#"{"ok":true,"ts":"1700000000.123456"}"#),
            (200, ""),
            (200, "[]"),
        ] {
            let refused = read(status, None, body.as_bytes()).unwrap_err();
            assert_eq!(refused.trouble, Trouble::Later { after: None }, "{body}");
        }
    }

    #[test]
    fn slack_says_how_long_to_wait() {
        let after = |header| read(429, header, b"ratelimited").unwrap_err().trouble;
        assert_eq!(after(Some("7")), Trouble::Later { after: Some(7) });
        assert_eq!(after(Some("soon")), Trouble::Later { after: Some(DEFAULT_WAIT) });
        assert_eq!(after(Some("99999999")), Trouble::Later { after: Some(LONGEST_WAIT) });
        assert_eq!(after(None), Trouble::Later { after: Some(DEFAULT_WAIT) });
    }
}
