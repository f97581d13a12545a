//! What the owner of a user is told, and where: a tag names somebody's Slack user ID.

use super::account::Entry;
use super::step::Step;
use crate::ids::AccountId;
use crate::problem::Kind;
use crate::settings::Mode;
use crate::text;

/// What stands below the message.
pub const REST: &str = "You get this because a tag of the user names you. Ask your security team about it";

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    pub subject: String,
    pub text: String,
}

/// The Slack user ID that the tag holds. IAM compares keys of tags without case.
pub fn address<'a>(tags: &'a [(String, String)], tag: &str) -> Option<&'a str> {
    let (_, value) = tags.iter().find(|(key, _)| key.eq_ignore_ascii_case(tag))?;
    let rest = value.strip_prefix(['U', 'W'])?;
    let is_id = (8..=30).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit());
    is_id.then_some(value)
}

/// Whether an owner is told of it.
pub fn is_told(step: &Step) -> bool {
    matches!(step, Step::Warned { .. } | Step::Reminded { .. })
}

/// `mode`: what is done about its kind; `holds_console`: as `MISSING_MFA_ACTION` says.
pub fn message(account: &AccountId, entry: &Entry, mode: Mode, holds_console: bool) -> Message {
    let user = entry.user.as_ref().map(ToString::to_string).unwrap_or_default();
    let days = match entry.step {
        Step::Warned { days_left } | Step::Reminded { days_left } => days_left,
        _ => 0,
    };
    let facts = text::line(&entry.facts, 300);
    Message {
        subject: format!("Your IAM user {user} {}", entry.kind.words()),
        text: format!(
            "Account {account}, user {user}: {facts}\n\nWhat to do:\n- Mend it within {days} days: turn MFA on, or delete \
             what you do not use\n- {}",
            then(mode, holds_console && entry.kind == Kind::MissingMfa)
        ),
    }
}

/// What happens to who does not.
fn then(mode: Mode, holds_console: bool) -> &'static str {
    match (mode, holds_console) {
        (Mode::Observe, _) => "Nothing is taken away after that, but your security team sees it every day",
        (Mode::Approve, false) => "After that a person is asked to take the access keys away",
        (Mode::Approve, true) => "After that a person is asked to deny what is done in the console without MFA",
        (Mode::Enforce, false) => "After that the access keys are taken away, and nobody is asked",
        (Mode::Enforce, true) => "After that what is done in the console without MFA is denied, and nobody is asked",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_mode_and_action_has_words_of_its_own() {
        let modes = [Mode::Observe, Mode::Approve, Mode::Enforce];
        let asks = modes.map(|it| [false, true].map(|holds| then(it, holds).contains("a person is asked")));
        assert_eq!(asks, [[false, false], [true, true], [false, false]]);
        assert!(
            !then(Mode::Enforce, true).contains("access keys") && !then(Mode::Approve, true).contains("access keys")
        );
    }

    #[test]
    fn only_a_slack_user_id_is_an_address() {
        let of = |value: &str| {
            address(&[("securityowner".to_owned(), value.to_owned())], "SecurityOwner").map(str::to_owned)
        };
        assert_eq!(of("U0123456789").as_deref(), Some("U0123456789"));
        for odd in ["", "C0123456789", "U012", "alice@example.com", "U01234567 89", "<!channel>", "u0123456789"] {
            assert_eq!(of(odd), None, "{odd}");
        }
        assert_eq!(address(&[], "SecurityOwner"), None);
    }
}
