//! Which messages belong together.

use crate::finding::{Finding, Principal};
use crate::identity::Identity;
use crate::ids::{AccountId, UniqueId};

/// The thread of an identity that was looked up.
pub fn thread_of(account: &AccountId, identity: &Identity) -> String {
    thread_of_id(account, &identity.id)
}

pub fn thread_of_id(account: &AccountId, id: &UniqueId) -> String {
    format!("target#{account}#{id}")
}

/// The thread of a target: the account and the unique ID, or what a finding calls it as long as nobody has looked.
/// A name may be another's by the next time, so that it is never the thread of an ID.
pub fn thread(account: &AccountId, identity: Option<&Identity>, finding: &Finding) -> String {
    let target = match (identity, finding.principal.unique_id()) {
        (Some(identity), _) => identity.id.to_string(),
        (None, Some(id)) => id.to_string(),
        (None, None) => match (&finding.principal, &finding.access_key) {
            (Principal::KeyOwner | Principal::NotContainable { .. }, Some(key)) => format!("key/{key}"),
            (principal, _) => principal.target_key(),
        },
    };
    format!("target#{account}#{target}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Threat;
    use crate::fixtures::{finding, identity, parsed};
    use crate::identity::IdentityKind;

    #[test]
    fn an_identity_has_one_thread_whatever_a_finding_calls_it() {
        let (mut finding, alice) = (finding(Threat::CompromisedCredential), identity(IdentityKind::User));
        let account = finding.account.clone();
        let of_alice = thread(&account, Some(&alice), &finding);
        assert_eq!(of_alice, "target#111122223333#AIDACKCEVSQ6C2EXAMPLE");
        assert_ne!(thread(&account, None, &finding), of_alice);
        finding.principal = Principal::User { name: Some(parsed("bob")), id: Some(alice.id.clone()) };
        assert_eq!(thread(&account, None, &finding), of_alice);
        finding.principal = Principal::KeyOwner;
        assert_eq!(thread(&account, None, &finding), "target#111122223333#key/AKIAIOSFODNN7EXAMPLE");
    }
}
