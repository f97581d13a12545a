//! What an approval covers: one identity by its unique ID, and kinds of change.
//!
//! A plan is made again when it is carried out. Whoever adds a key between the question and the answer must not
//! escape by it, so that an approval names kinds and not keys; and an approval of less must never carry more.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::change::Change;
use crate::decision::is_own;
use crate::finding::Threat;
use crate::identity::{Identity, IdentityKind};
use crate::ids::{RequestId, UniqueId};

/// A kind of change, as people approve it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Deny a user everything.
    DenyUser,
    /// Revoke a role's older sessions. Where its inline policies leave no room for that, the role is denied
    /// everything instead.
    RevokeSessions,
    /// Deny a user what is done in a session of the console without MFA.
    HoldConsole,
    /// Deny a role everything, new sessions included.
    DenyRole,
    /// Deactivate access keys and other credentials.
    DeactivateCredentials,
    /// Delete a console password, which nothing gives back.
    DeletePassword,
    /// Detach policies and leave groups.
    TakePermissions,
}

impl Kind {
    /// `None`: a mark, or what only a restore does.
    pub fn of(change: &Change) -> Option<Self> {
        match change {
            Change::AttachDenyAll { .. } | Change::SetDenyAllBoundary { .. } => Some(Self::DenyUser),
            Change::HoldConsole { .. } => Some(Self::HoldConsole),
            Change::RevokeSessions { .. } => Some(Self::RevokeSessions),
            Change::AttachDenyAllToRole { .. } => Some(Self::DenyRole),
            Change::DeactivateAccessKey { .. } | Change::DeactivateCredential { .. } => {
                Some(Self::DeactivateCredentials)
            }
            Change::DeleteLoginProfile { .. } => Some(Self::DeletePassword),
            Change::DetachPolicy { .. } | Change::LeaveGroup { .. } => Some(Self::TakePermissions),
            Change::Tag { .. }
            | Change::AttachPolicy { .. }
            | Change::JoinGroup { .. }
            | Change::RestoreBoundary { .. }
            | Change::LiftDenyAll { .. }
            | Change::LiftConsoleHold { .. }
            | Change::LiftRevocation { .. }
            | Change::Untag { .. } => None,
        }
    }

    /// Whether a restore takes it back whole, so that it can be done while somebody is asked. A key that was
    /// deactivated stays so.
    pub fn is_reversible_deny(self) -> bool {
        matches!(self, Self::DenyUser | Self::RevokeSessions)
    }
}

/// What the settings add to the responses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Extras {
    /// `REMOVE_LOGIN_PROFILE`
    pub deletes_passwords: bool,
    /// `QUARANTINE_ROLES`
    pub denies_roles: bool,
    /// `MISSING_MFA_ACTION`
    pub holds_console: bool,
}

/// Every kind of change that the answer to a threat may come to, by the settings of the moment.
pub fn kinds(threat: Threat, identity: IdentityKind, extras: Extras) -> BTreeSet<Kind> {
    let mut kinds = BTreeSet::new();
    match (threat, identity) {
        (Threat::CompromisedCredential, IdentityKind::User) => {
            kinds.extend([Kind::DenyUser, Kind::DeactivateCredentials]);
            kinds.extend(extras.deletes_passwords.then_some(Kind::DeletePassword));
        }
        (Threat::CompromisedCredential, IdentityKind::Role) => {
            kinds.insert(Kind::RevokeSessions);
            kinds.extend(extras.denies_roles.then_some(Kind::DenyRole));
        }
        (Threat::UnauthorizedUser, IdentityKind::User) => {
            kinds.extend([Kind::DenyUser, Kind::DeactivateCredentials]);
            kinds.extend(extras.deletes_passwords.then_some(Kind::DeletePassword));
        }
        (Threat::OverprivilegedUser, IdentityKind::User) => {
            kinds.extend([Kind::DeactivateCredentials, Kind::TakePermissions]);
        }
        (Threat::UnusedUser | Threat::PlantedKey, IdentityKind::User) => {
            kinds.insert(Kind::DeactivateCredentials);
        }
        (Threat::MissingMfa, IdentityKind::User) => {
            kinds.insert(if extras.holds_console { Kind::HoldConsole } else { Kind::DeactivateCredentials });
        }
        (Threat::RootAccessKey, _) | (_, IdentityKind::Role) => {}
    }
    kinds
}

/// An approval that a response is carried out under.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Approval {
    pub request: RequestId,
    pub unique_id: UniqueId,
    pub kinds: BTreeSet<Kind>,
    /// Who approved, in words that are safe to show.
    pub by: String,
    /// By which those who approved are known in AWS, where somebody wrote it down: ARNs or unique IDs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub approvers: Vec<String>,
}

impl Approval {
    /// Why it does not cover this response.
    ///
    /// INVARIANT: nothing is done under an approval to another unique ID, or of a kind that nobody approved.
    /// `tests/test_approvals.py` holds it.
    pub fn refuses(&self, identity: &Identity, threat: Threat, extras: Extras) -> Option<String> {
        if identity.id != self.unique_id {
            let (found, approved) = (&identity.id, &self.unique_id);
            return Some(format!("the approval is for {approved}, and the name leads to {found} now"));
        }
        // It may bear another name than when people were asked.
        if is_own(self.approvers.iter().map(String::as_str), &[&identity.arn, identity.id.as_str()]) {
            return Some("who approved is whom it is about".to_owned());
        }
        let more: Vec<_> = kinds(threat, identity.kind, extras).difference(&self.kinds).copied().collect();
        (!more.is_empty()).then(|| format!("the approval does not cover {more:?}: the settings changed since"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{identity, parsed};

    fn approval() -> Approval {
        Approval {
            request: parsed("abcdefghijklmnopqrstuvwxyz"),
            unique_id: parsed("AIDACKCEVSQ6C2EXAMPLE"),
            kinds: kinds(Threat::UnusedUser, IdentityKind::User, Extras::default()),
            by: "Dana".to_owned(),
            approvers: Vec::new(),
        }
    }

    #[test]
    fn an_approval_is_for_one_unique_id_and_its_kinds() {
        let (it, user) = (approval(), identity(IdentityKind::User));
        let extras = Extras::default();
        assert_eq!(it.refuses(&user, Threat::UnusedUser, extras), None);
        let namesake = Identity { id: parsed("AIDACKCEVSQ6C2ANOTHER"), ..user.clone() };
        assert!(it.refuses(&namesake, Threat::UnusedUser, extras).is_some());
        assert!(it.refuses(&user, Threat::CompromisedCredential, extras).is_some());
        assert!(it.refuses(&user, Threat::OverprivilegedUser, extras).is_some());
    }

    #[test]
    fn nobodys_approval_covers_themselves_under_the_name_of_the_moment() {
        let user = identity(IdentityKind::User);
        for own in [user.arn.to_uppercase(), user.id.to_string()] {
            let it = Approval { approvers: vec![own], ..approval() };
            assert!(it.refuses(&user, Threat::UnusedUser, Extras::default()).unwrap().contains("who approved"));
        }
    }

    #[test]
    fn what_the_settings_added_since_is_asked_anew() {
        let user = identity(IdentityKind::User);
        let threat = Threat::CompromisedCredential;
        let it = Approval { kinds: kinds(threat, IdentityKind::User, Extras::default()), ..approval() };
        let with_password = Extras { deletes_passwords: true, ..Extras::default() };
        assert_eq!(it.refuses(&user, threat, Extras::default()), None);
        assert!(it.refuses(&user, threat, with_password).unwrap().contains("DeletePassword"));
    }
}
