//! What a person types who does a change, or takes it back, without us: one command of the AWS CLI each.
//!
//! INVARIANT: whatever a policy, group or tag is called, it is one word of the shell, and no option of the CLI. The tests
//! below hold it.

use std::fmt::Write;

use serde_json::json;

use crate::change::{Change, REVOCATION_POLICY, is_our_tag};
use crate::identity::{CredentialKind, IdentityKind, Observed};
use crate::ids::PrincipalName;
use crate::policy_document::revocation;

/// How a person takes a change back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Undo {
    By(Vec<String>),
    Never(&'static str),
}

impl Change {
    /// The same for what the identity is called by now.
    #[must_use]
    pub fn by_name(mut self, name: &PrincipalName) -> Self {
        match &mut self {
            Self::AttachDenyAll { user: it, .. }
            | Self::SetDenyAllBoundary { user: it, .. }
            | Self::HoldConsole { user: it, .. }
            | Self::DeactivateAccessKey { user: it, .. }
            | Self::DeactivateCredential { user: it, .. }
            | Self::DeleteLoginProfile { user: it }
            | Self::DetachPolicy { user: it, .. }
            | Self::LeaveGroup { user: it, .. }
            | Self::RevokeSessions { role: it, .. }
            | Self::AttachDenyAllToRole { role: it, .. }
            | Self::Tag { name: it, .. }
            | Self::AttachPolicy { user: it, .. }
            | Self::JoinGroup { user: it, .. }
            | Self::RestoreBoundary { user: it, .. }
            | Self::LiftDenyAll { name: it, .. }
            | Self::LiftConsoleHold { user: it, .. }
            | Self::LiftRevocation { role: it }
            | Self::Untag { name: it, .. } => it.clone_from(name),
        }
        self
    }

    pub fn command(&self) -> String {
        match self {
            Self::AttachDenyAll { user, policy }
            | Self::HoldConsole { user, policy }
            | Self::AttachPolicy { user, policy } => of_user("attach-user-policy", user, &[("policy-arn", policy)]),
            Self::DetachPolicy { user, policy }
            | Self::LiftConsoleHold { user, policy }
            | Self::LiftDenyAll { kind: IdentityKind::User, name: user, policy } => {
                of_user("detach-user-policy", user, &[("policy-arn", policy)])
            }
            Self::AttachDenyAllToRole { role, policy } => {
                of_role("attach-role-policy", role, &[("policy-arn", policy)])
            }
            Self::LiftDenyAll { kind: IdentityKind::Role, name: role, policy } => {
                of_role("detach-role-policy", role, &[("policy-arn", policy)])
            }
            Self::SetDenyAllBoundary { user, policy } | Self::RestoreBoundary { user, policy: Some(policy) } => {
                of_user("put-user-permissions-boundary", user, &[("permissions-boundary", policy)])
            }
            Self::RestoreBoundary { user, policy: None } => of_user("delete-user-permissions-boundary", user, &[]),
            Self::DeactivateAccessKey { user, key } => {
                of_user("update-access-key", user, &[("access-key-id", key.as_str()), INACTIVE])
            }
            Self::DeactivateCredential { user, kind, id } => {
                let (operation, option) = match kind {
                    CredentialKind::ServiceSpecific => {
                        ("update-service-specific-credential", "service-specific-credential-id")
                    }
                    CredentialKind::SshKey => ("update-ssh-public-key", "ssh-public-key-id"),
                    CredentialKind::SigningCertificate => ("update-signing-certificate", "certificate-id"),
                };
                of_user(operation, user, &[(option, id), INACTIVE])
            }
            Self::DeleteLoginProfile { user } => of_user("delete-login-profile", user, &[]),
            Self::LeaveGroup { user, group } => of_user("remove-user-from-group", user, &[("group-name", group)]),
            Self::JoinGroup { user, group } => of_user("add-user-to-group", user, &[("group-name", group)]),
            Self::RevokeSessions { role, issued_before } => {
                let document = revocation(issued_before);
                of_role("put-role-policy", role, &[("policy-name", REVOCATION_POLICY), ("policy-document", &document)])
            }
            Self::LiftRevocation { role } => of_role("delete-role-policy", role, &[("policy-name", REVOCATION_POLICY)]),
            Self::Tag { kind, name, tags } => {
                let tags: Vec<_> = tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect();
                of("tag", *kind, name, &[("tags", &ascii(&json!(tags).to_string()))])
            }
            Self::Untag { kind, name, keys } => {
                let keys: Vec<_> = keys.iter().map(|it| word(it)).collect();
                format!("{} --tag-keys {}", of("untag", *kind, name, &[]), keys.join(" "))
            }
        }
    }

    /// The commands that take it back, or why none does. A leaked key is never activated again. `before`: the state
    /// before it, as far as it was read.
    pub fn undo(&self, before: Option<&Observed>) -> Undo {
        let back = match self {
            Self::AttachDenyAll { user, policy } => {
                vec![Self::LiftDenyAll { kind: IdentityKind::User, name: user.clone(), policy: policy.clone() }]
            }
            Self::AttachDenyAllToRole { role, policy } => {
                vec![Self::LiftDenyAll { kind: IdentityKind::Role, name: role.clone(), policy: policy.clone() }]
            }
            Self::HoldConsole { user, policy } => {
                vec![Self::LiftConsoleHold { user: user.clone(), policy: policy.clone() }]
            }
            Self::SetDenyAllBoundary { user, .. } => {
                let Some(Ok(former)) = before.map(|it| &it.profile) else {
                    return Undo::Never(
                        "the former permissions boundary is not known: find it before this one is deleted",
                    );
                };
                vec![Self::RestoreBoundary { user: user.clone(), policy: former.boundary.clone() }]
            }
            Self::DeactivateAccessKey { .. } => return Undo::Never("a leaked key stays inactive: create a new one"),
            Self::DeactivateCredential { .. } => {
                return Undo::Never("a leaked credential stays inactive: create a new one");
            }
            Self::DeleteLoginProfile { .. } => return Undo::Never("a password can't be restored: set a new one"),
            Self::DetachPolicy { user, policy } => {
                vec![Self::AttachPolicy { user: user.clone(), policy: policy.clone() }]
            }
            Self::LeaveGroup { user, group } => vec![Self::JoinGroup { user: user.clone(), group: group.clone() }],
            Self::RevokeSessions { role, .. } => vec![Self::LiftRevocation { role: role.clone() }],
            Self::Tag { kind, name, tags } => former_tags(*kind, name, tags, before),
            Self::AttachPolicy { .. }
            | Self::JoinGroup { .. }
            | Self::RestoreBoundary { .. }
            | Self::LiftDenyAll { .. }
            | Self::LiftConsoleHold { .. }
            | Self::LiftRevocation { .. }
            | Self::Untag { .. } => return Undo::Never("contain it again with the command `contain`"),
        };
        Undo::By(back.iter().map(Self::command).collect())
    }
}

const INACTIVE: (&str, &str) = ("status", "Inactive");

/// What was written over comes back, and the rest goes. IAM keeps a key's case and compares without it.
fn former_tags(
    kind: IdentityKind,
    name: &PrincipalName,
    tags: &[(String, String)],
    before: Option<&Observed>,
) -> Vec<Change> {
    let known = before.and_then(|it| it.profile.as_ref().ok()).map_or(&[][..], |it| it.tags.as_slice());
    let is_ours = |key: &str| is_our_tag(key) && tags.iter().any(|(it, _)| it.eq_ignore_ascii_case(key));
    let former: Vec<_> = known.iter().filter(|(key, _)| is_ours(key)).cloned().collect();
    let is_new = |key: &str| !former.iter().any(|(it, _)| it.eq_ignore_ascii_case(key));
    let keys: Vec<_> = tags.iter().map(|(key, _)| key.clone()).filter(|it| is_new(it)).collect();
    let put_back = (!former.is_empty()).then(|| Change::Tag { kind, name: name.clone(), tags: former.clone() });
    let remove = (!keys.is_empty()).then(|| Change::Untag { kind, name: name.clone(), keys });
    put_back.into_iter().chain(remove).collect()
}

fn of_user(operation: &str, user: &PrincipalName, options: &[(&str, &str)]) -> String {
    aws_iam(operation, "user", user, options)
}

fn of_role(operation: &str, role: &PrincipalName, options: &[(&str, &str)]) -> String {
    aws_iam(operation, "role", role, options)
}

fn of(verb: &str, kind: IdentityKind, name: &PrincipalName, options: &[(&str, &str)]) -> String {
    aws_iam(&format!("{verb}-{}", kind.word()), kind.word(), name, options)
}

fn aws_iam(operation: &str, kind: &str, name: &PrincipalName, options: &[(&str, &str)]) -> String {
    let mut command = format!("aws iam {operation}{}", option(&format!("{kind}-name"), name.as_str()));
    command.extend(options.iter().map(|(name, value)| option(name, value)));
    command
}

/// A value that begins with a dash would be taken for another option.
fn option(name: &str, value: &str) -> String {
    let between = if value.starts_with('-') { '=' } else { ' ' };
    format!(" --{name}{between}{}", word(value))
}

/// One word of a shell, whatever is in it.
fn word(text: &str) -> String {
    let is_plain = |it: u8| it.is_ascii_alphanumeric() || b"_-./:@+,".contains(&it);
    if !text.is_empty() && text.bytes().all(is_plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// JSON that no sink changes a character of.
fn ascii(json: &str) -> String {
    let mut ascii = String::new();
    for c in json.chars() {
        if c.is_ascii() {
            ascii.push(c);
        } else {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(ascii, "\\u{unit:04x}");
            }
        }
    }
    ascii
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{FINDING_TAG, INCIDENT_TAG};
    use crate::fixtures::{observed, parsed};

    #[test]
    fn whatever_something_is_called_it_is_one_word_and_no_option() {
        let policy = "arn:aws:iam::111122223333:policy/$(reboot)';`id`\"&|>/p".to_owned();
        let command = Change::DetachPolicy { user: parsed("--debug"), policy: policy.clone() }.command();
        let quoted = r#"'arn:aws:iam::111122223333:policy/$(reboot)'\'';`id`"&|>/p'"#;
        assert_eq!(command, format!("aws iam detach-user-policy --user-name=--debug --policy-arn {quoted}"));
        assert_eq!(Change::AttachPolicy { user: parsed("=ls"), policy }.command().split(' ').nth(4), Some("'=ls'"));
        assert_eq!(word(""), "''");
    }

    #[test]
    fn a_change_is_typed_as_it_is_made() {
        let (alice, app) = (parsed::<PrincipalName>("alice"), parsed::<PrincipalName>("app"));
        let typed = |it: &Change| it.command().strip_prefix("aws iam ").unwrap().to_owned();
        let key = Change::DeactivateAccessKey { user: alice.clone(), key: parsed("AKIAIOSFODNN7EXAMPLE") };
        assert_eq!(
            typed(&key),
            "update-access-key --user-name alice --access-key-id AKIAIOSFODNN7EXAMPLE --status Inactive"
        );
        let revoke =
            Change::RevokeSessions { role: app.clone(), issued_before: aws_smithy_types::DateTime::from_secs(0) };
        let typed_document = typed(&revoke);
        let document = typed_document.split_once("--policy-document '").unwrap().1.strip_suffix('\'').unwrap();
        assert_eq!(document, revocation(&aws_smithy_types::DateTime::from_secs(0)));
        assert!(typed(&key.by_name(&app)).starts_with("update-access-key --user-name app "));
        let tag =
            Change::Tag { kind: IdentityKind::Role, name: app, tags: vec![("k".to_owned(), "\u{202e}é'".to_owned())] };
        assert_eq!(typed(&tag), r#"tag-role --role-name app --tags '[{"Key":"k","Value":"\u202e\u00e9'\''"}]'"#);
    }

    #[test]
    fn the_former_boundary_comes_back_where_there_was_one() {
        let boundary = Change::SetDenyAllBoundary { user: parsed("alice"), policy: "deny".to_owned() };
        let mut before = observed();
        let by = |it: &str| Undo::By(vec![format!("aws iam {it}")]);
        assert_eq!(boundary.undo(Some(&before)), by("delete-user-permissions-boundary --user-name alice"));
        before.profile.as_mut().unwrap().boundary = Some("arn:own".to_owned());
        let put = "put-user-permissions-boundary --user-name alice --permissions-boundary arn:own";
        assert_eq!(boundary.undo(Some(&before)), by(put));
        assert!(matches!(boundary.undo(None), Undo::Never(_)));
    }

    #[test]
    fn tags_that_were_written_over_come_back_and_the_others_go() {
        let tags = [INCIDENT_TAG, FINDING_TAG].map(|it| (it.to_owned(), "ours".to_owned())).to_vec();
        let tag = Change::Tag { kind: IdentityKind::User, name: parsed("alice"), tags };
        let mut before = observed();
        let by = |it: &[&str]| Undo::By(it.iter().map(|it| format!("aws iam {it}")).collect());
        let all = "untag-user --user-name alice --tag-keys SecurityIncident FindingId";
        assert_eq!(tag.undo(Some(&before)), by(&[all]));
        assert_eq!(tag.undo(None), by(&[all]));
        let tags = &mut before.profile.as_mut().unwrap().tags;
        tags.extend([("findingid".to_owned(), "theirs".to_owned()), ("team".to_owned(), "blue".to_owned())]);
        let put_back = r#"tag-user --user-name alice --tags '[{"Key":"findingid","Value":"theirs"}]'"#;
        let rest = "untag-user --user-name alice --tag-keys SecurityIncident";
        assert_eq!(tag.undo(Some(&before)), by(&[put_back, rest]));
    }
}
