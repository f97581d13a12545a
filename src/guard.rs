//! Whom no plan may touch. Pure, and asked before the first write.

use crate::config::Config;
use crate::finding::{Finding, Principal, UniqueId};
use crate::identity::{Identity, IdentityKind};
use crate::playbooks::root_access_key;
use crate::text;

/// Why nothing may be done about the finding, as far as the finding itself tells.
pub fn refuse_claim(config: &Config, finding: &Finding) -> Option<String> {
    if !config.member_accounts.is_empty() && !config.member_accounts.contains(&finding.account) {
        return Some(format!("account {} is not in MEMBER_ACCOUNTS", finding.account));
    }
    match &finding.principal {
        Principal::NotContainable { reason } => Some(reason.clone()),
        Principal::Root => {
            let steps: Vec<_> =
                root_access_key::STEPS.iter().enumerate().map(|(n, it)| format!("{}. {it}", n + 1)).collect();
            Some(format!("no IAM edit holds the root user back; a person must: {}", steps.join("; ")))
        }
        Principal::User { .. } | Principal::Role { .. } | Principal::KeyOwner => None,
    }
}

/// Why nothing may be done to the identity that was found.
pub fn refuse_identity(config: &Config, finding: &Finding, identity: &Identity) -> Option<String> {
    let own = config.own_roles(&finding.account, &finding.partition);
    if identity.kind == IdentityKind::Role {
        if own.contains(&identity.arn) || identity.name.as_str() == config.remediation_role_name {
            return Some("it is one of this responder's own roles".to_owned());
        }
        if identity.path.starts_with("/aws-service-role/") {
            return Some(
                "it is a service-linked role, which only its service can change: revoke what uses it there".to_owned(),
            );
        }
        if identity.path.starts_with("/aws-reserved/") || identity.name.as_str().starts_with("AWSReservedSSO_") {
            return Some(
                "it is a role of IAM Identity Center, which IAM can't edit: end the person's sessions and disable \
                 the user in Identity Center, then deny its identitystore:UserId by a service control policy for 12 hours"
                    .to_owned(),
            );
        }
    }
    let is_protected =
        |it: &&crate::config::IdentityPattern| it.matches(&identity.arn) || it.matches(identity.id.as_str());
    if config.protected_principals.iter().any(|it| is_protected(&it)) {
        return Some("it is in PROTECTED_PRINCIPALS".to_owned());
    }
    refuse_namesake(finding, identity)
}

/// An identity that merely bears the name is never touched: its unique ID must be the finding's, and
/// where the finding has none, it must have existed when the finding's behaviour was seen.
fn refuse_namesake(finding: &Finding, identity: &Identity) -> Option<String> {
    if let Some(claimed) = claimed_id(&finding.principal) {
        let differs = *claimed != identity.id;
        return differs.then(|| {
            format!(
                "`{}` is a namesake: its unique ID is {}, the finding names {claimed}",
                text::line(identity.name.as_str(), 64),
                identity.id
            )
        });
    }
    match (identity.created, finding.occurred_at) {
        (Some(created), Some(seen)) if created.secs() > seen.secs() => Some(format!(
            "`{}` is a namesake: it was created at {created}, after the behaviour seen at {seen}",
            text::line(identity.name.as_str(), 64)
        )),
        _ => None,
    }
}

pub fn claimed_id(principal: &Principal) -> Option<&UniqueId> {
    match principal {
        Principal::User { id, .. } | Principal::Role { id, .. } => id.as_ref(),
        Principal::KeyOwner | Principal::Root | Principal::NotContainable { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::config::tests::config;
    use crate::finding::Threat;
    use crate::playbooks::tests::{finding, identity, parsed};

    fn refusal(
        settings: &[(&str, &str)],
        change: impl Fn(&mut Finding, &mut Identity),
        kind: IdentityKind,
    ) -> Option<String> {
        let (mut finding, mut identity) = (finding(Threat::CompromisedCredential), identity(kind));
        change(&mut finding, &mut identity);
        let config = config(settings).unwrap();
        refuse_claim(&config, &finding).or_else(|| refuse_identity(&config, &finding, &identity))
    }

    #[test]
    fn an_ordinary_identity_is_not_refused() {
        assert_eq!(refusal(&[], |_, _| {}, IdentityKind::User), None);
        assert_eq!(refusal(&[], |_, _| {}, IdentityKind::Role), None);
    }

    #[test]
    fn protected_principals_are_refused_by_arn_and_by_id() {
        for it in ["arn:aws:iam::*:user/alice", "arn:aws:iam::111122223333:user/alice", "AIDACKCEVSQ6C2EXAMPLE"] {
            let reason = refusal(&[("PROTECTED_PRINCIPALS", it)], |_, _| {}, IdentityKind::User);
            assert_eq!(reason.as_deref(), Some("it is in PROTECTED_PRINCIPALS"), "{it}");
        }
    }

    #[test]
    fn own_and_unmodifiable_roles_are_refused() {
        let path = |path: &'static str| move |_: &mut Finding, it: &mut Identity| it.path = path.to_owned();
        assert!(
            refusal(&[], path("/aws-service-role/x.amazonaws.com/"), IdentityKind::Role)
                .unwrap()
                .contains("service-linked")
        );
        assert!(
            refusal(&[], path("/aws-reserved/sso.amazonaws.com/"), IdentityKind::Role)
                .unwrap()
                .contains("Identity Center")
        );
        let own = |_: &mut Finding, it: &mut Identity| it.name = parsed("SecurityRemediationRole");
        assert!(refusal(&[], own, IdentityKind::Role).unwrap().contains("own roles"));
        let arn =
            |_: &mut Finding, it: &mut Identity| it.arn = "arn:aws:iam::999988887777:role/iam-responder".to_owned();
        assert!(refusal(&[], arn, IdentityKind::Role).unwrap().contains("own roles"));
    }

    #[test]
    fn namesakes_are_refused() {
        let other = |it: &mut Finding, _: &mut Identity| {
            it.principal = Principal::User { name: Some(parsed("alice")), id: Some(parsed("AIDAOTHEROTHEROTHER00")) }
        };
        assert!(refusal(&[], other, IdentityKind::User).unwrap().contains("namesake"));
        let younger = |_: &mut Finding, it: &mut Identity| it.created = Some(DateTime::from_secs(1_001));
        assert!(refusal(&[], younger, IdentityKind::User).unwrap().contains("namesake"));
        let older = |_: &mut Finding, it: &mut Identity| it.created = Some(DateTime::from_secs(999));
        assert_eq!(refusal(&[], older, IdentityKind::User), None);
    }

    #[test]
    fn only_listed_accounts_are_touched_when_there_is_a_list() {
        assert!(
            refusal(&[("MEMBER_ACCOUNTS", "444455556666")], |_, _| {}, IdentityKind::User)
                .unwrap()
                .contains("MEMBER_ACCOUNTS")
        );
        assert_eq!(refusal(&[("MEMBER_ACCOUNTS", "444455556666,111122223333")], |_, _| {}, IdentityKind::User), None);
    }
}
