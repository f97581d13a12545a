//! What somebody reports, from what was typed: valid throughout, or every mistake with its field.

use domain::ids::{AccessKeyId, AccountId, Parse, PrincipalName};
use domain::text;

use super::Account;
use super::lockout::Network;
use super::pasted::{Likely, without_secrets};
use crate::fields::Fields;

/// How long the account of what happened may be, in characters.
pub(super) const MAX_TEXT: usize = 500;

/// A report, looked at by nobody: whether key and user belong together is the responder's to find out, in the
/// account that owns them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    pub account: AccountId,
    pub target: Target,
    /// In the reporter's words: other people's text, in lines of printable characters.
    pub text: String,
    /// Who is logged in. All who report share one credential, so that it names nobody.
    pub by: String,
    pub network: Network,
}

/// Whom it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// At least one of the two.
    User { name: Option<PrincipalName>, access_key: Option<AccessKeyId> },
    /// Its sessions are to be revoked.
    Role { name: PrincipalName },
}

/// A field of the form, by the name that it has in the page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Field {
    Account,
    OtherAccount,
    User,
    AccessKey,
    Role,
    Text,
}

impl Field {
    pub(super) const ALL: [Self; 6] =
        [Self::Account, Self::OtherAccount, Self::User, Self::AccessKey, Self::Role, Self::Text];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::OtherAccount => "other-account",
            Self::User => "user",
            Self::AccessKey => "access-key",
            Self::Role => "role",
            Self::Text => "text",
        }
    }

    pub(super) fn label(self) -> &'static str {
        match self {
            Self::Account => "Account",
            Self::OtherAccount => "Or the ID of another account",
            Self::User => "User name",
            Self::AccessKey => "Access key ID",
            Self::Role => "Or a role name",
            Self::Text => "What happened",
        }
    }
}

/// What was typed, without secrets; and what is wrong with it, in the order of the page.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Typed {
    values: Vec<(Field, String)>,
    pub(super) mistakes: Vec<(Field, String)>,
}

impl Typed {
    pub(super) fn read(fields: &Fields) -> Self {
        let mut typed = Self::default();
        for field in Field::ALL {
            // As a browser counts: a line break is one character.
            let text = fields.get(field.name()).replace("\r\n", "\n").trim().to_owned();
            let is_name = matches!(field, Field::User | Field::Role);
            let clean = without_secrets(&text, if is_name { Likely::Name } else { Likely::Text });
            if clean.is_some() {
                typed.mistakes.push((field, PASTED.to_owned()));
            }
            typed.values.push((field, clean.unwrap_or(text)));
        }
        typed
    }

    pub(super) fn get(&self, field: Field) -> &str {
        self.values.iter().find(|it| it.0 == field).map(|it| it.1.as_str()).unwrap_or_default()
    }

    pub(super) fn mistake(&self, field: Field) -> Option<&str> {
        self.mistakes.iter().find(|it| it.0 == field).map(|it| it.1.as_str())
    }

    /// One for each field: the gravest is found first.
    fn tell(&mut self, field: Field, mistake: impl Into<String>) {
        if self.mistake(field).is_none() {
            self.mistakes.push((field, mistake.into()));
            self.mistakes.sort_by_key(|it| it.0);
        }
    }

    /// Valid, or `mistakes` says why not.
    pub(super) fn check(&mut self, accounts: &[Account], by: &str, network: &Network) -> Option<Report> {
        let account = self.account(accounts);
        let target = self.target();
        let text = self.text();
        let report =
            Report { account: account?, target: target?, text: text?, by: by.to_owned(), network: network.clone() };
        self.mistakes.is_empty().then_some(report)
    }

    fn account(&mut self, accounts: &[Account]) -> Option<AccountId> {
        let (chosen, other) = (self.get(Field::Account).to_owned(), self.get(Field::OtherAccount).to_owned());
        let mut read = |field, text: &str| {
            let account = AccountId::parse(text).ok();
            if account.is_none() {
                self.tell(field, "An account ID is 12 digits, without spaces or hyphens.");
            }
            account
        };
        if accounts.is_empty() {
            return read(Field::Account, &chosen);
        }
        match (chosen.is_empty(), other.is_empty()) {
            (true, true) => self.tell(Field::Account, "Choose the account, or type its ID."),
            (false, false) if chosen != other => {
                self.tell(Field::OtherAccount, "Leave this empty, or choose no account above: these are two.");
            }
            (false, _) => match accounts.iter().find(|it| it.id.as_str() == chosen) {
                Some(account) => return Some(account.id.clone()),
                None => self.tell(Field::Account, "Choose an account of the list."),
            },
            (true, false) => return read(Field::OtherAccount, &other),
        }
        None
    }

    fn target(&mut self) -> Option<Target> {
        let name = |typed: &mut Self, field| {
            let text = typed.get(field).to_owned();
            // Names can look like that. Nobody's does.
            let is_key = AccessKeyId::parse(&text).is_ok();
            let name = PrincipalName::parse(&text).ok().filter(|_| !is_key);
            if !text.is_empty() && name.is_none() {
                typed.tell(field, words_for_name(&text));
            }
            name
        };
        let (user, role) = (name(self, Field::User), name(self, Field::Role));
        let access_key = self.access_key();
        let is_empty = |field| self.get(field).is_empty();
        match (is_empty(Field::User) && is_empty(Field::AccessKey), is_empty(Field::Role)) {
            (true, true) => self.tell(Field::User, "Give the user, the access key or the role."),
            (false, false) => {
                self.tell(Field::Role, "Give a user and its key, or a role, not both: report twice for two.")
            }
            (true, false) => return Some(Target::Role { name: role? }),
            (false, true) => return Some(Target::User { name: user, access_key }),
        }
        None
    }

    fn access_key(&mut self) -> Option<AccessKeyId> {
        let text = self.get(Field::AccessKey).to_owned();
        match AccessKeyId::parse(&text) {
            Ok(key) if key.is_long_term() => return Some(key),
            Ok(_) => self.tell(
                Field::AccessKey,
                "This key is temporary, and can't be deactivated by itself. Leave it out, and give the user or the role that it belongs to.",
            ),
            Err(_) if text.is_empty() => {}
            Err(_) => self.tell(
                Field::AccessKey,
                "An access key ID is AKIA and 16 more capital letters and digits. The secret does not belong here.",
            ),
        }
        None
    }

    fn text(&mut self) -> Option<String> {
        let text = self.get(Field::Text).to_owned();
        let count = text.chars().count();
        if text.is_empty() {
            self.tell(Field::Text, "Say in a few words what happened: a person decides by it.");
        } else if count > MAX_TEXT {
            self.tell(Field::Text, format!("Use {MAX_TEXT} characters at most. These are {count}."));
        } else {
            let lines = text.lines().map(|it| text::line(it, MAX_TEXT));
            return Some(lines.collect::<Vec<_>>().join("\n"));
        }
        None
    }
}

const PASTED: &str = "A secret key was pasted here. It was removed and is kept nowhere, but it must count as stolen: deactivate that key and make a new one.";

fn words_for_name(text: &str) -> &'static str {
    if AccessKeyId::parse(text).is_ok() {
        "This is an access key ID. It has a field of its own."
    } else if text.contains(['/', ':']) {
        "Give the name alone: what follows the last / of the ARN."
    } else {
        "A name is 1 to 64 letters, digits and +=,.@_- without spaces."
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
    const KEY: &str = "AKIAIOSFODNN7EXAMPLE";

    pub(in crate::form) fn accounts() -> Vec<Account> {
        let account = |id, name: &str| Account { id: AccountId::parse(id).unwrap(), name: name.to_owned() };
        vec![account("111122223333", "Shop"), account("444455556666", "Payments <b>")]
    }

    /// The text is given where the test does not.
    fn read(accounts: &[Account], fields: &[(&str, &str)]) -> (Option<Report>, Typed) {
        let encode =
            |it: &str| percent_encoding::utf8_percent_encode(it, percent_encoding::NON_ALPHANUMERIC).to_string();
        let mut pairs: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={}", encode(value))).collect();
        if !fields.iter().any(|it| it.0 == "text") {
            pairs.push("text=pushed+to+GitHub".to_owned());
        }
        let mut typed = Typed::read(&Fields::read(pairs.join("&").as_bytes()).unwrap());
        let report = typed.check(accounts, "report", &Network::of(None));
        assert_eq!(report.is_none(), !typed.mistakes.is_empty(), "{typed:?}");
        (report, typed)
    }

    fn mistakes(fields: &[(&str, &str)]) -> Vec<&'static str> {
        let (report, typed) = read(&accounts(), fields);
        assert_eq!(report, None);
        typed.mistakes.iter().map(|it| it.0.name()).collect()
    }

    #[test]
    fn a_key_a_user_or_a_role_is_enough() {
        let target = |fields: &[(&str, &str)]| {
            let fields = [&[("account", "111122223333")], fields].concat();
            read(&accounts(), &fields).0.unwrap().target
        };
        let (user, key) = (PrincipalName::parse("alice").ok(), AccessKeyId::parse(KEY).ok());
        assert_eq!(target(&[("access-key", KEY)]), Target::User { name: None, access_key: key.clone() });
        assert_eq!(target(&[("user", " alice ")]), Target::User { name: user.clone(), access_key: None });
        assert_eq!(
            target(&[("user", "alice"), ("access-key", KEY)]),
            Target::User { name: user.clone(), access_key: key }
        );
        assert_eq!(target(&[("role", "alice")]), Target::Role { name: user.unwrap() });
    }

    #[test]
    fn an_account_is_chosen_or_typed() {
        let account = |accounts: &[Account], fields: &[(&str, &str)]| {
            let fields = [&[("user", "alice")], fields].concat();
            read(accounts, &fields).0.map(|it| it.account.to_string())
        };
        assert_eq!(account(&accounts(), &[("account", "444455556666")]).unwrap(), "444455556666");
        assert_eq!(account(&accounts(), &[("other-account", "777788889999")]).unwrap(), "777788889999");
        assert_eq!(account(&[], &[("account", "777788889999")]).unwrap(), "777788889999");
        assert_eq!(account(&[], &[]), None);
        assert_eq!(mistakes(&[("user", "alice")]), ["account"]);
        assert_eq!(mistakes(&[("user", "alice"), ("account", "777788889999")]), ["account"]);
        assert_eq!(mistakes(&[("user", "alice"), ("other-account", "7777-8888-9999")]), ["other-account"]);
        assert_eq!(
            mistakes(&[("user", "alice"), ("account", "111122223333"), ("other-account", "777788889999")]),
            ["other-account"]
        );
    }

    #[test]
    fn every_mistake_is_beside_its_field_and_all_are_told_at_once() {
        let account = ("account", "111122223333");
        assert_eq!(mistakes(&[("text", "")]), ["account", "user", "text"]);
        assert_eq!(
            mistakes(&[account, ("user", "al ice"), ("access-key", "AKIA"), ("text", "x")]),
            ["user", "access-key"]
        );
        assert_eq!(mistakes(&[account, ("user", "arn:aws:iam::111122223333:user/alice")]), ["user"]);
        assert_eq!(mistakes(&[account, ("user", "alice"), ("role", "Admin")]), ["role"]);
        assert_eq!(mistakes(&[account, ("access-key", "ASIAIOSFODNN7EXAMPLE")]), ["access-key"]);
        assert_eq!(mistakes(&[account, ("user", "alice"), ("text", &"ä".repeat(501))]), ["text"]);
        let (report, _) = read(&accounts(), &[account, ("user", "alice"), ("text", &"ä\r\n".repeat(250))]);
        assert_eq!(report.unwrap().text.chars().count(), 499);
        let (_, typed) = read(&accounts(), &[account, ("user", KEY)]);
        assert!(typed.mistake(Field::User).unwrap().contains("access key ID"));
    }

    #[test]
    fn what_was_typed_is_kept_but_for_secrets() {
        let (_, typed) = read(&accounts(), &[("user", "al ice"), ("text", "one\r\ntwo")]);
        assert_eq!((typed.get(Field::User), typed.get(Field::Text)), ("al ice", "one\ntwo"));
        for field in Field::ALL {
            let fields = [("account", "111122223333"), ("user", "alice"), (field.name(), SECRET)];
            let fields: Vec<_> = fields.into_iter().rev().collect();
            let unique: Vec<_> = fields
                .iter()
                .enumerate()
                .filter(|(n, it)| !fields[..*n].iter().any(|other| other.0 == it.0))
                .map(|it| *it.1)
                .collect();
            let (report, typed) = read(&accounts(), &unique);
            assert_eq!(report, None);
            assert!(!format!("{typed:?}").contains(SECRET));
            assert!(typed.mistake(field).unwrap().contains("secret key"), "{field:?}");
        }
    }

    #[test]
    fn the_text_is_printable_and_keeps_its_lines() {
        let fields = [("account", "111122223333"), ("user", "alice"), ("text", "one\r\ntwo\u{202e}\u{0}\r\rthree")];
        assert_eq!(read(&accounts(), &fields).0.unwrap().text, "one\ntwo????three");
    }
}
