//! Sessions of our roles in other accounts: each with a policy of its own, those that serve many identities of an
//! account kept from response to response.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_iam::config::Credentials;
use aws_sdk_sts::operation::assume_role::builders::AssumeRoleFluentBuilder;
use domain::outcome::Failure;
use domain::session_policy::Scope;

use crate::cloudtrail;
use crate::errors::{self, incomplete};
use crate::iam::{credential_report, holdings, observe, remains, resolve, simulate};

/// How long a session lasts: as short as STS makes it.
pub(crate) const SECONDS: i32 = 900;

/// A kept session must outlast the response that uses it, which is an invocation of at most 300 s.
const NEEDED: Duration = Duration::from_secs(320);

/// Everything that a session of this scope reads.
pub fn reads(scope: &Scope) -> Vec<&'static str> {
    let user = [observe::USER_PERMISSIONS, observe::USER_CONTENTS_PERMISSIONS].concat();
    let both = [observe::CONTENTS_PERMISSIONS, resolve::PERMISSIONS].concat();
    let to_take = [observe::STATEMENTS_PERMISSIONS, resolve::KEY_PERMISSIONS].concat();
    let mut reads = match scope {
        Scope::Look => [both, user, observe::ROLE_PERMISSIONS.to_vec()].concat(),
        Scope::Observe => [both, user, to_take, observe::ROLE_PERMISSIONS.to_vec()].concat(),
        Scope::Users => [both, user, to_take, resolve::ROLE_PERMISSIONS.to_vec()].concat(),
        Scope::Role(_) => [both, observe::ROLE_PERMISSIONS.to_vec()].concat(),
        Scope::Sweep => credential_report::PERMISSIONS.to_vec(),
    };
    reads.sort_unstable();
    reads
}

/// Everything that a report reads in a member account.
pub fn investigation_reads() -> Vec<&'static str> {
    let user = [observe::USER_PERMISSIONS, observe::USER_CONTENTS_PERMISSIONS].concat();
    let both = [observe::CONTENTS_PERMISSIONS, observe::STATEMENTS_PERMISSIONS, resolve::PERMISSIONS].concat();
    let aside =
        [remains::PERMISSIONS, simulate::PERMISSIONS, holdings::PERMISSIONS, &[cloudtrail::PERMISSION]].concat();
    let mut reads = [both, user, observe::ROLE_PERMISSIONS.to_vec(), aside].concat();
    reads.sort_unstable();
    reads
}

/// What was kept, by the role's ARN and the scope.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<HashMap<(String, Scope), Credentials>>>);

impl Kept {
    fn all(&self) -> std::sync::MutexGuard<'_, HashMap<(String, Scope), Credentials>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn find(&self, role: &str, scope: &Scope) -> Option<Credentials> {
        let mut all = self.all();
        let needed = SystemTime::now() + NEEDED;
        all.retain(|_, it| it.expiry().is_some_and(|expiry| expiry > needed));
        all.get(&(role.to_owned(), scope.clone())).cloned()
    }

    pub(crate) fn keep(&self, role: &str, scope: &Scope, session: &Credentials) {
        if scope.is_for_many() {
            self.all().insert((role.to_owned(), scope.clone()), session.clone());
        }
    }

    /// Drops this one, and none that another response has put in its place.
    pub(crate) fn drop(&self, session: &Credentials) {
        self.all().retain(|_, it| it.access_key_id() != session.access_key_id());
    }
}

pub(crate) async fn assume(request: AssumeRoleFluentBuilder) -> Result<Credentials, Failure> {
    let output = request.send().await.map_err(|it| errors::failure(&it))?;
    let session = output.credentials.ok_or_else(|| incomplete("AssumeRole gave no credentials"))?;
    Ok(Credentials::new(
        session.access_key_id,
        session.secret_access_key,
        Some(session.session_token),
        session.expiration.try_into().ok(),
        "AssumeRole",
    ))
}

/// STS could not take the session policy for its size. What is wrong with a policy otherwise is wrong with its
/// halves too, and found out by the first that can't be divided.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html#API_AssumeRole_Errors>
pub(crate) fn is_too_large(failure: &Failure) -> bool {
    ["PackedPolicyTooLarge", "MalformedPolicyDocument", "ValidationError"].contains(&failure.code.as_str())
}

#[cfg(test)]
mod tests {
    use domain::ids::{Parse, PrincipalName};

    use super::*;

    fn session(key: &str, lasts: Duration) -> Credentials {
        Credentials::new(key, "secret", None, Some(SystemTime::now() + lasts), "test")
    }

    #[test]
    fn a_session_is_kept_while_it_outlasts_a_response() {
        let kept = Kept::default();
        kept.keep("role", &Scope::Users, &session("A", NEEDED + Duration::from_secs(5)));
        kept.keep("other", &Scope::Users, &session("B", NEEDED));
        assert_eq!(kept.find("role", &Scope::Users).unwrap().access_key_id(), "A");
        assert!(kept.find("role", &Scope::Look).is_none());
        assert!(kept.find("other", &Scope::Users).is_none());
        assert_eq!(kept.all().len(), 1);
    }

    #[test]
    fn a_session_for_one_role_is_not_kept() {
        let kept = Kept::default();
        let scope = Scope::Role(PrincipalName::parse("app").unwrap());
        kept.keep("role", &scope, &session("A", Duration::from_secs(900)));
        assert!(kept.find("role", &scope).is_none());
    }

    #[test]
    fn what_took_its_place_stays() {
        let kept = Kept::default();
        let (old, new) = (session("A", Duration::from_secs(900)), session("B", Duration::from_secs(900)));
        kept.keep("role", &Scope::Users, &old);
        kept.keep("role", &Scope::Users, &new);
        kept.drop(&old);
        assert!(kept.find("role", &Scope::Users).is_some());
        kept.drop(&new);
        assert!(kept.find("role", &Scope::Users).is_none());
    }
}
