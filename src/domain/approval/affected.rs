//! What a containment would affect, for whoever decides about it: who acts with the identity, and since when
//! nobody did.

use aws_smithy_types::DateTime;

use crate::identity::{Identity, IdentityKind, Observed};
use crate::text;

/// What IAM tells of the use of an identity; each part may be missing, and then says why.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Usage {
    pub keys: Vec<KeyUse>,
    /// When the console password was last used.
    pub password: Option<DateTime>,
    /// When a role was last assumed, and where.
    pub role: Option<(DateTime, String)>,
    /// What could not be read, and why.
    pub unread: Vec<String>,
}

impl Usage {
    /// What tells that a user is not unused: something of it was used since then, or whether it was can't be read.
    pub fn is_used_since(&self, since: DateTime) -> Option<String> {
        if let Some(unread) = self.unread.first() {
            return Some(format!("whether it is unused could not be read: {}", text::line(unread, 300)));
        }
        let keys = self.keys.iter().filter_map(|it| Some(it.last.as_ref()?.0));
        let last = keys.chain(self.password).max_by_key(DateTime::secs)?;
        (last.secs() >= since.secs()).then(|| format!("it is not unused any more: it was used at {last}"))
    }
}

/// One access key. IAM tells the last use to within four hours.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_AccessKeyLastUsed.html>
#[derive(Debug, Clone, PartialEq)]
pub struct KeyUse {
    pub id: String,
    pub is_active: bool,
    /// When, which service, which region.
    pub last: Option<(DateTime, String, String)>,
}

/// One fact a line.
pub fn lines(identity: &Identity, observed: &Observed, usage: &Usage) -> Vec<String> {
    let mut lines = Vec::new();
    match identity.kind {
        IdentityKind::User => {
            lines.push(format!("looks like {}", looks_like(observed, usage)));
            lines.extend(identity.created.map(|it| format!("user: created at {it}")));
            lines.extend(usage.keys.iter().map(key));
            lines.push(match (&observed.login, &usage.password) {
                (Ok(true), Some(at)) => format!("console: has a password, last used {at}"),
                (Ok(true), None) => "console: has a password, never used as far as IAM knows".to_owned(),
                (Ok(false), _) => "console: no password".to_owned(),
                (Err(unread), _) => format!("console: could not be read: {unread}"),
            });
            lines.push(match &observed.groups {
                Ok(groups) if groups.is_empty() => "groups: none".to_owned(),
                Ok(groups) => format!("groups: {}", text::line(&groups.join(", "), 400)),
                Err(unread) => format!("groups: could not be read: {unread}"),
            });
        }
        IdentityKind::Role => lines.push(match &usage.role {
            Some((at, region)) => format!("role: last used {at} in {}", text::line(region, 40)),
            None => "role: not used in the last 400 days, as far as IAM knows".to_owned(),
        }),
    }
    lines.extend(usage.unread.iter().map(|it| format!("could not be read: {}", text::line(it, 300))));
    lines
}

fn key(it: &KeyUse) -> String {
    let status = if it.is_active { "active" } else { "inactive" };
    match &it.last {
        Some((at, service, region)) => {
            let (service, region) = (text::line(service, 40), text::line(region, 40));
            format!("access key {} ({status}): last used {at}, {service} in {region}", it.id)
        }
        None => format!("access key {} ({status}): never used", it.id),
    }
}

/// A guess, and said to be one.
fn looks_like(observed: &Observed, usage: &Usage) -> &'static str {
    let has_mfa = observed.mfa_devices.as_ref().is_ok_and(|it| !it.is_empty());
    let has_keys = usage.keys.iter().any(|it| it.is_active && it.last.is_some());
    match (observed.login.as_ref(), has_keys) {
        (Ok(true), false) => "a person: a console password, and no access key in use",
        (Ok(true), true) if has_mfa => "a person: a console password with MFA, and access keys",
        (Ok(true), true) => "a person or a program: a console password and access keys in use",
        (Ok(false), true) => "a program: access keys in use, and no console password",
        (Ok(false), false) => "nobody's: no console password, and no access key in use",
        (Err(_), _) => "nobody can tell: the console password could not be read",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{identity, observed};

    #[test]
    fn it_says_who_would_be_cut_off_and_since_when_nobody_acted() {
        let used = KeyUse {
            id: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            is_active: true,
            last: Some((DateTime::from_secs(0), "s3".to_owned(), "eu-west-1".to_owned())),
        };
        let unused = KeyUse { id: "AKIAI44QH8DHBEXAMPLE".to_owned(), is_active: false, last: None };
        let usage = Usage { keys: vec![used, unused], ..Usage::default() };
        let user = Identity { created: Some(DateTime::from_secs(60)), ..identity(IdentityKind::User) };
        let lines = lines(&user, &observed(), &usage);
        assert_eq!(
            lines,
            [
                "looks like a program: access keys in use, and no console password",
                "user: created at 1970-01-01T00:01:00Z",
                "access key AKIAIOSFODNN7EXAMPLE (active): last used 1970-01-01T00:00:00Z, s3 in eu-west-1",
                "access key AKIAI44QH8DHBEXAMPLE (inactive): never used",
                "console: no password",
                "groups: developers",
            ]
        );
    }

    #[test]
    fn who_used_anything_since_is_not_unused_and_what_is_unread_is_not_either() {
        let at = |secs| Some((DateTime::from_secs(secs), "s3".to_owned(), "eu-west-1".to_owned()));
        let key = |last| KeyUse { id: "AKIAIOSFODNN7EXAMPLE".to_owned(), is_active: true, last };
        let since = DateTime::from_secs(1_000);
        let unused = Usage { keys: vec![key(None), key(at(999))], ..Usage::default() };
        assert_eq!(unused.is_used_since(since), None);
        let password = Usage { password: Some(DateTime::from_secs(1_000)), ..unused.clone() };
        let used = Usage { keys: vec![key(at(1_000)), key(at(5))], ..Usage::default() };
        for it in [password, used] {
            assert!(it.is_used_since(since).unwrap().contains("1970-01-01T00:16:40Z"));
        }
        let unread = Usage { unread: vec!["throttled".to_owned()], ..unused };
        assert!(unread.is_used_since(since).unwrap().contains("could not be read: throttled"));
    }

    #[test]
    fn a_password_with_a_second_factor_looks_like_a_person() {
        let state = Observed { login: Ok(true), mfa_devices: Ok(vec!["mfa".to_owned()]), ..observed() };
        let lines = lines(&identity(IdentityKind::User), &state, &Usage::default());
        assert!(lines[0].contains("a person"), "{lines:?}");
        let unread = Usage { unread: vec!["last use of a key\n".to_owned()], ..Usage::default() };
        let role = super::lines(&identity(IdentityKind::Role), &state, &unread);
        assert_eq!(role[1], "could not be read: last use of a key?");
    }
}
