//! Idempotency tokens: one principal, one quarter of an hour, the same whichever source reports it, so
//! that a finding that arrives twice starts one incident and one rotation. What falls on both sides of
//! a quarter's edge starts two.

use aws_smithy_types::DateTime;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::finding::Finding;
use crate::identity::Identity;

fn digest(finding: &Finding, identity: Option<&Identity>, now: DateTime) -> [u8; 32] {
    let principal = identity.map_or_else(|| finding.principal.target_key(), |it| it.id.to_string());
    let time = finding.occurred_at.unwrap_or(now).secs();
    let quarter = time.div_euclid(15 * 60) * 15 * 60;
    Sha256::digest(format!("{}|{principal}|{quarter}", finding.account)).into()
}

/// Incident Manager takes any text up to 128 characters.
pub fn incident(finding: &Finding, identity: Option<&Identity>, now: DateTime) -> String {
    hex::encode(digest(finding, identity, now))
}

/// Systems Manager wants the shape of a UUID.
pub fn automation(finding: &Finding, identity: Option<&Identity>, now: DateTime) -> String {
    let digest = digest(finding, identity, now);
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Uuid::new_v8(bytes).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Threat;
    use crate::fixtures::{finding, identity, parsed};
    use crate::identity::IdentityKind;

    fn token(change: impl Fn(&mut Finding)) -> String {
        let mut finding = finding(Threat::CompromisedCredential);
        finding.occurred_at = Some(DateTime::from_secs(900_000));
        change(&mut finding);
        incident(&finding, Some(&identity(IdentityKind::User)), DateTime::from_secs(0))
    }

    #[test]
    fn a_token_holds_for_a_quarter_of_an_hour_and_one_account() {
        let at = |secs| token(move |it| it.occurred_at = Some(DateTime::from_secs(secs)));
        assert_eq!(at(900_000), at(900_899));
        assert_ne!(at(900_000), at(900_900));
        assert_ne!(at(900_000), at(899_999));
        let elsewhere = token(|it| it.account = parsed("444455556666"));
        assert_ne!(elsewhere, at(900_000));
        let other_source = token(|it| it.id = "another finding".to_owned());
        assert_eq!(other_source, at(900_000));
    }

    #[test]
    fn an_automation_token_is_a_uuid() {
        let finding = finding(Threat::CompromisedCredential);
        let token = automation(&finding, None, DateTime::from_secs(0));
        assert_eq!(token.len(), 36);
        assert!(Uuid::parse_str(&token).is_ok());
    }
}
