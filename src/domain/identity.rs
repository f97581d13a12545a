//! What IAM says: the identity behind a finding's claim, and the state it is in.
//!
//! Plain data: the clients fill it, playbooks, guard and reports read it.

use std::collections::BTreeMap;
use std::fmt;

use aws_smithy_types::DateTime;
use serde::Serialize;

use crate::ids::{AccessKeyId, Arn, PrincipalName, UniqueId};
use crate::outcome::Failure;

/// A principal that was found in the account that owns it, by its immutable ID.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    pub kind: IdentityKind,
    pub name: PrincipalName,
    pub id: UniqueId,
    pub arn: String,
    pub path: String,
    pub created: Option<DateTime>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum IdentityKind {
    User,
    Role,
}

impl IdentityKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Role => "role",
        }
    }
}

/// Something that could not be read, and why. What depends on it is not known, which is never the
/// same as "not there".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub what: &'static str,
    pub why: Why,
}

/// Why something could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It was left out on purpose, or the answer did not come in the time that was given to it.
    NotRead,
    /// The name leads to nobody.
    Gone(Failure),
    /// The name leads to another unique ID.
    Replaced(String),
    /// AWS asked for fewer calls.
    Throttled(Failure),
    /// AWS refused, or answered with something else.
    Failed(Failure),
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotRead => f.write_str("not read yet"),
            Self::Replaced(by) => f.write_str(by),
            Self::Gone(failure) | Self::Throttled(failure) | Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.what, self.why)
    }
}

impl Unreadable {
    pub fn not_read(what: &'static str) -> Self {
        Self { what, why: Why::NotRead }
    }

    /// From AWS's answer to a read.
    pub fn failed(what: &'static str, failure: Failure) -> Self {
        let why = match failure.code.as_str() {
            "NoSuchEntity" => Why::Gone(failure),
            _ if failure.is_throttled() => Why::Throttled(failure),
            _ => Why::Failed(failure),
        };
        Self { what, why }
    }

    /// The identity itself is gone: the name leads to nobody, or to another unique ID.
    pub fn is_gone(&self) -> bool {
        matches!(self.why, Why::Gone(_) | Why::Replaced(_))
    }
}

pub type Read<T> = Result<T, Unreadable>;

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AccessKey {
    pub id: AccessKeyId,
    pub active: bool,
}

/// What a user can act with beside access keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CredentialKind {
    /// CodeCommit, Keyspaces, Bedrock and CloudWatch keys.
    ServiceSpecific,
    SshKey,
    SigningCertificate,
}

impl CredentialKind {
    pub fn word(self) -> &'static str {
        match self {
            Self::ServiceSpecific => "service-specific credential",
            Self::SshKey => "SSH key",
            Self::SigningCertificate => "signing certificate",
        }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Credential {
    pub kind: CredentialKind,
    pub id: String,
    pub active: bool,
}

/// The tags and the permissions boundary come with the identity itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    pub boundary: Option<String>,
    pub tags: Vec<(String, String)>,
    /// The fingerprint of a role's trust policy.
    pub trust: Option<String>,
}

/// What tells the content of a policy or a group from another, by what it is and its name
/// (`inline policy bucket`, `group developers`).
pub type Contents = BTreeMap<String, String>;

/// The names of everything that decides what an identity may do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PolicyNames {
    /// ARNs, that of the permissions boundary among them.
    pub policies: Vec<String>,
    pub inline: Vec<String>,
    pub groups: Vec<String>,
}

/// The state of an identity, as far as it could be read.
#[derive(Debug, Clone, PartialEq)]
pub struct Observed {
    pub profile: Read<Profile>,
    pub keys: Read<Vec<AccessKey>>,
    pub credentials: Read<Vec<Credential>>,
    /// Whether there is a console password.
    pub login: Read<bool>,
    /// Serial numbers. An attacker may have added one; they are reported and left.
    pub mfa_devices: Read<Vec<String>>,
    /// ARNs of attached managed policies.
    pub attached: Read<Vec<String>>,
    pub inline: Read<Vec<String>>,
    pub groups: Read<Vec<String>>,
    /// Those of `attached` and `groups` that hold a Deny; read only for a playbook that takes them away.
    pub denying: Read<Vec<String>>,
    /// What grants administrator access, by what it is and its name; read with `denying`.
    pub granting: Read<Vec<String>>,
    /// Read only where a snapshot or a restore needs them.
    pub contents: Read<Contents>,
    /// Sessions issued before this moment are refused everything (roles only).
    pub revoked_before: Read<Option<DateTime>>,
    /// What stands under the name of that revocation and revokes nothing: its text (roles only).
    pub not_a_revocation: Option<String>,
    /// The policy that holds the console back is attached, and denies and does nothing else; read only for a report, and
    /// where it is to be attached.
    pub is_held: Read<bool>,
    /// The deny was found beside the strike, which attaches it too: whether it was there before is not known.
    pub is_deny_unclear: bool,
}

impl Observed {
    /// The identity itself is gone, or its name is another's by now: nothing else here is its own.
    pub fn is_gone(&self) -> bool {
        self.profile.as_ref().is_err_and(Unreadable::is_gone)
    }

    pub fn nothing_read() -> Self {
        Self::unread(&Why::NotRead)
    }

    /// Of one that is not there any more: whoever bears its name now is somebody else.
    pub fn gone() -> Self {
        let message = "it was deleted".to_owned();
        Self::unread(&Why::Gone(Failure { code: "NoSuchEntity".to_owned(), message, retryable: false }))
    }

    fn unread(why: &Why) -> Self {
        let unread = |what| Unreadable { what, why: why.clone() };
        Self {
            profile: Err(unread("profile")),
            keys: Err(unread("access keys")),
            credentials: Err(unread("other credentials")),
            login: Err(unread("console password")),
            mfa_devices: Err(unread("MFA devices")),
            attached: Err(unread("attached policies")),
            inline: Err(unread("inline policies")),
            groups: Err(unread("groups")),
            denying: Err(unread("policy documents")),
            granting: Err(unread("policy documents")),
            contents: Err(unread("policy documents")),
            revoked_before: Err(unread("session revocation")),
            not_a_revocation: None,
            is_held: Err(unread("the hold of the console")),
            is_deny_unclear: false,
        }
    }

    pub fn unreadable(&self) -> Vec<&Unreadable> {
        let each = [
            self.profile.as_ref().err(),
            self.keys.as_ref().err(),
            self.credentials.as_ref().err(),
            self.login.as_ref().err(),
            self.mfa_devices.as_ref().err(),
            self.attached.as_ref().err(),
            self.inline.as_ref().err(),
            self.groups.as_ref().err(),
            self.denying.as_ref().err(),
            self.revoked_before.as_ref().err(),
            // Without what is attached it is not known either.
            self.is_held.as_ref().err().filter(|it| it.why != Why::NotRead && self.attached.is_ok()),
        ];
        each.into_iter().flatten().collect()
    }

    /// The user's access keys that still work, as far as they are known.
    pub fn active_keys(&self) -> impl Iterator<Item = &AccessKeyId> {
        self.keys.iter().flatten().filter(|it| it.active).map(|it| &it.id)
    }

    pub fn active_credentials(&self) -> impl Iterator<Item = &Credential> {
        self.credentials.iter().flatten().filter(|it| it.active)
    }

    /// A barrier could not be read: whether it holds is not known.
    pub fn is_unknown(&self) -> bool {
        let barriers = [self.profile.as_ref().err(), self.keys.as_ref().err(), self.attached.as_ref().err()];
        barriers.into_iter().flatten().chain(self.revoked_before.as_ref().err()).any(|it| it.why != Why::NotRead)
    }

    /// AWS asked for fewer calls.
    pub fn is_throttled(&self) -> bool {
        self.unreadable().iter().any(|it| matches!(it.why, Why::Throttled(_)))
    }

    pub fn policy_names(&self) -> Read<PolicyNames> {
        let mut policies = self.attached.clone()?;
        let boundary = self.profile.as_ref().ok().and_then(|it| it.boundary.clone());
        policies.extend(boundary.filter(|it| !policies.contains(it)));
        Ok(PolicyNames { policies, inline: self.inline.clone()?, groups: self.groups.clone()? })
    }

    /// Whether AWS's own policy that denies everything is attached, or is the boundary.
    pub fn is_denied_everything(&self) -> bool {
        let is_deny_all = |arn: &str| is_aws_own(arn) && arn.ends_with(":policy/AWSDenyAll");
        let boundary = self.profile.as_ref().ok().and_then(|it| it.boundary.as_deref());
        self.attached.iter().flatten().any(|it| is_deny_all(it)) || boundary.is_some_and(is_deny_all)
    }

    pub fn is_attached(&self, policy: &str) -> bool {
        self.attached.as_ref().is_ok_and(|it| it.iter().any(|arn| arn == policy))
    }

    pub fn is_boundary(&self, policy: &str) -> bool {
        self.profile.as_ref().is_ok_and(|it| it.boundary.as_deref() == Some(policy))
    }
}

/// Whether a managed policy is AWS's own, which no customer can write: by its account, wherever else the words
/// stand.
pub fn is_aws_own(policy: &str) -> bool {
    Arn::parse(policy).is_some_and(|it| it.service == "iam" && it.account == "aws")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::observed;

    #[test]
    fn a_policy_is_aws_own_by_its_account_and_not_by_its_path() {
        let denied = |arn: &str| {
            let mut observed = observed();
            observed.attached.as_mut().unwrap().push(arn.to_owned());
            observed.is_denied_everything()
        };
        assert!(denied("arn:aws:iam::aws:policy/AWSDenyAll"));
        assert!(!denied("arn:aws:iam::111122223333:policy/AWSDenyAll"));
        assert!(!denied("arn:aws:iam::111122223333:policy/x:iam::aws:policy/AWSDenyAll"));
        assert!(!is_aws_own("arn:aws:iam::111122223333:policy/:iam::aws:/own"));
    }
}
