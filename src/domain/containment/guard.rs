//! Whom no plan may touch. Pure, and asked before the first write.

use aws_smithy_types::DateTime;

use super::admission::is_by_person;
use super::playbooks::root_access_key;
use crate::day::Day;
use crate::finding::{Finding, Principal, Source, Threat};
use crate::history::Restored;
use crate::identity::{AccessKey, Identity, IdentityKind, Read};
use crate::ids::{AccountId, Arn, PrincipalName};
use crate::settings::{Responder, Untouchable};
use crate::text;

/// Why nothing may be done about the finding, as far as the finding itself tells.
pub fn refuse_target(settings: &Responder, finding: &Finding) -> Option<String> {
    if let Some(reason) = refuse_account(&settings.untouchable, &finding.account) {
        return Some(reason);
    }
    match &finding.principal {
        Principal::NotContainable { reason } => Some(reason.clone()),
        Principal::Root => Some(about_root()),
        Principal::User { .. } | Principal::Role { .. } | Principal::UserOrRole { .. } | Principal::KeyOwner => None,
    }
}

/// What a person must do about the root user.
pub fn about_root() -> String {
    let steps: Vec<_> = root_access_key::STEPS.iter().enumerate().map(|(n, it)| format!("{}. {it}", n + 1)).collect();
    format!("no IAM edit holds the root user back; a person must: {}", steps.join("; "))
}

pub fn refuse_account(untouchable: &Untouchable, account: &AccountId) -> Option<String> {
    let is_out = !untouchable.member_accounts.is_empty() && !untouchable.member_accounts.contains(account);
    is_out.then(|| format!("account {account} is not in MEMBER_ACCOUNTS"))
}

pub fn refuse_own(untouchable: &Untouchable, identity: &Identity) -> Option<String> {
    let is_own = identity.kind == IdentityKind::Role && untouchable.is_own_role(&identity.arn);
    is_own.then(|| "it is one of this responder's own roles".to_owned())
}

/// Why nothing may be done to the identity that was found.
pub fn refuse_identity(settings: &Responder, finding: &Finding, identity: &Identity) -> Option<String> {
    if let Some(reason) = refuse_own(&settings.untouchable, identity) {
        return Some(reason);
    }
    if finding.source == Source::Drill && !identity.path.starts_with(DRILL_PATH) {
        return Some(format!("it is no user of a drill: its path does not begin with {DRILL_PATH}"));
    }
    if identity.kind == IdentityKind::Role {
        if identity.path.starts_with("/aws-service-role/") {
            return Some(
                "it is a service-linked role, which only its service can change: revoke what uses it there".to_owned(),
            );
        }
        // The path tells, which nobody else can use; the name is anybody's.
        // https://docs.aws.amazon.com/singlesignon/latest/userguide/referencingpermissionsets.html
        if identity.path.starts_with("/aws-reserved/") {
            return Some(
                "it is a role of IAM Identity Center, which IAM can't edit: end the person's sessions and disable \
                 the user in Identity Center, then deny its identitystore:UserId by a service control policy for 12 hours"
                    .to_owned(),
            );
        }
    }
    refuse_protected(settings, finding, identity).or_else(|| refuse_namesake(finding, identity))
}

/// What a person is excused from, up to its last day. No behaviour is.
pub fn refuse_exempt(settings: &Responder, finding: &Finding, identity: &Identity, now: DateTime) -> Option<String> {
    let is_neglect = matches!(finding.threat, Threat::MissingMfa | Threat::UnusedUser);
    let exempt = settings.exempt.iter().find(|it| is_neglect && it.spares(&identity.arn, Day::of(now)))?;
    Some(format!("it is {exempt}"))
}

/// Whether it is our settings that refuse it, and no name that was taken or time that passes.
pub fn is_spared(settings: &Responder, finding: &Finding, identity: &Identity, now: DateTime) -> bool {
    refuse_own(&settings.untouchable, identity)
        .or_else(|| refuse_protected(settings, finding, identity))
        .or_else(|| refuse_exempt(settings, finding, identity, now))
        .is_some()
}

/// An ID protects whoever bears it. An ARN protects whom the finding names by it: who was called so when it
/// behaved so, whatever it is called now. Where the finding gives no name, or no unique ID to hold it to, the one
/// it has now counts.
///
/// A name can be taken, an ID can't: whoever renames its user to a protected name afterwards is contained all the
/// same, and a protected user that somebody renames stays protected.
fn refuse_protected(settings: &Responder, finding: &Finding, identity: &Identity) -> Option<String> {
    let is_protected = |text: &str| settings.protected_principals.iter().any(|it| it.matches(text));
    if is_protected(identity.id.as_str()) {
        return Some("it is in PROTECTED_PRINCIPALS".to_owned());
    }
    let now = Arn::parse(&identity.arn)?;
    let is_other = |it: &&PrincipalName| !it.as_str().eq_ignore_ascii_case(identity.name.as_str());
    let name = finding.principal.unique_id().and_then(|_| finding.principal.name());
    let Some(name) = name.filter(is_other) else {
        return is_protected(&identity.arn).then(|| {
            "it is in PROTECTED_PRINCIPALS by its name: make sure that nobody else took the name, then act by hand"
                .to_owned()
        });
    };
    let then = format!("arn:{}:iam::{}:{}{}{name}", now.partition, now.account, identity.kind.word(), identity.path);
    is_protected(&then).then(|| {
        format!(
            "it is in PROTECTED_PRINCIPALS by the name `{}` that the finding gives; it is called `{}` now",
            text::line(name.as_str(), 64),
            text::line(identity.name.as_str(), 64)
        )
    })
}

/// An identity that merely bears the name is never touched: its unique ID must be the finding's, and
/// where the finding has none, it must have existed when the finding's behaviour was seen.
fn refuse_namesake(finding: &Finding, identity: &Identity) -> Option<String> {
    if let Some(claimed) = finding.principal.unique_id() {
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

/// Whether the finding, followed by itself, would lead to this identity, which another one led to. `keys`: those
/// that it has.
pub fn is_about(settings: &Responder, finding: &Finding, identity: &Identity, keys: &Read<Vec<AccessKey>>) -> bool {
    refuse_identity(settings, finding, identity).is_none() && is_named(finding, identity) && has_key(finding, keys)
}

fn is_named(finding: &Finding, identity: &Identity) -> bool {
    match &finding.principal {
        Principal::User { id: Some(id), .. } | Principal::Role { id: Some(id), .. } => *id == identity.id,
        Principal::User { name, .. } => identity.kind == IdentityKind::User && name.as_ref() == Some(&identity.name),
        Principal::Role { name, .. } => identity.kind == IdentityKind::Role && name.as_ref() == Some(&identity.name),
        Principal::UserOrRole { name } => *name == identity.name,
        Principal::KeyOwner => identity.kind == IdentityKind::User && finding.access_key.is_some(),
        Principal::Root | Principal::NotContainable { .. } => false,
    }
}

/// Without a unique ID in the finding, the key is what tells the user from a namesake.
fn has_key(finding: &Finding, keys: &Read<Vec<AccessKey>>) -> bool {
    let key = finding.access_key.as_ref().filter(|it| it.is_long_term() && finding.principal.unique_id().is_none());
    key.is_none_or(|key| keys.as_ref().is_ok_and(|keys| keys.iter().any(|it| it.id == *key)))
}

pub use crate::settings::DRILL_PATH;

/// How long a finding that describes a state, and no behaviour, stays answered by a restore. A person
/// who means it for good suppresses the finding or protects the principal.
const RESTORE_HOLDS: i64 = 7 * 24 * 3_600;

/// A person took the containment back, and knew what this finding tells. A newer behaviour is news.
pub fn refuse_restored(
    restored: Option<&Restored>,
    finding: &Finding,
    identity: &Identity,
    now: DateTime,
) -> Option<String> {
    let it = restored.filter(|it| it.unique_id == identity.id.as_str() && !is_by_person(finding.source))?;
    let at = DateTime::from_secs(it.at);
    match (finding.threat.is_behaviour(), finding.occurred_at) {
        (true, Some(seen)) => {
            (seen.secs() <= it.at).then(|| format!("it was restored at {at}, after the behaviour seen at {seen}"))
        }
        _ if it.is_noted && now.secs() < it.at + RESTORE_HOLDS => {
            let until = DateTime::from_secs(it.at + RESTORE_HOLDS);
            Some(format!(
                "it was restored at {at}, and this finding was known then: it counts again from {until} on, unless \
                 it is suppressed or the principal protected"
            ))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{finding, identity, parsed};
    use crate::identity::Observed;
    use crate::settings::tests::config;

    fn refusal(
        settings: &[(&str, &str)],
        change: impl Fn(&mut Finding, &mut Identity),
        kind: IdentityKind,
    ) -> Option<String> {
        let (mut finding, mut identity) = (finding(Threat::CompromisedCredential), identity(kind));
        change(&mut finding, &mut identity);
        let config = config(settings).unwrap();
        refuse_target(&config, &finding).or_else(|| refuse_identity(&config, &finding, &identity))
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
            assert!(reason.unwrap().starts_with("it is in PROTECTED_PRINCIPALS"), "{it}");
        }
    }

    #[test]
    fn who_is_exempt_is_excused_from_neglect_until_the_last_day_and_from_no_behaviour() {
        let config = config(&[("EXEMPT", "arn:aws:iam::*:user/alice=2026-11-29 lobby")]).unwrap();
        let refused = |threat, day: &str| {
            let now = DateTime::from_str(&format!("{day}T23:00:00Z"), aws_smithy_types::date_time::Format::DateTime);
            refuse_exempt(&config, &finding(threat), &identity(IdentityKind::User), now.unwrap())
        };
        for threat in [Threat::MissingMfa, Threat::UnusedUser] {
            assert_eq!(refused(threat, "2026-11-29").as_deref(), Some("it is exempt until 2026-11-29: lobby"));
            assert_eq!(refused(threat, "2026-11-30"), None);
        }
        assert_eq!(refused(Threat::UnauthorizedUser, "2026-11-29"), None);
    }

    #[test]
    fn a_protected_name_is_the_one_that_the_finding_gives() {
        let protected = [("PROTECTED_PRINCIPALS", "arn:aws:iam::*:user/breakglass")];
        let named = |then: Option<&'static str>, now: &'static str| {
            let change = move |finding: &mut Finding, it: &mut Identity| {
                finding.principal = Principal::User { name: then.map(parsed), id: Some(it.id.clone()) };
                (it.name, it.arn) = (parsed(now), format!("arn:aws:iam::111122223333:user/{now}"));
            };
            refusal(&protected, change, IdentityKind::User)
        };
        assert_eq!(named(Some("alice"), "breakglass"), None);
        assert!(named(Some("breakglass"), "alice").unwrap().contains("called `alice` now"));
        assert!(named(Some("breakglass"), "breakglass").unwrap().contains("by its name"));
        assert!(named(None, "breakglass").is_some());
        assert_eq!(named(Some("alice"), "bob"), None);
    }

    #[test]
    fn a_role_of_identity_center_is_one_by_its_path() {
        let named = |path: &'static str| {
            move |_: &mut Finding, it: &mut Identity| {
                (it.name, it.path) = (parsed("AWSReservedSSO_Admin_0123456789abcdef"), path.to_owned());
            }
        };
        assert!(refusal(&[], named("/aws-reserved/sso.amazonaws.com/"), IdentityKind::Role).is_some());
        assert_eq!(refusal(&[], named("/"), IdentityKind::Role), None);
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
        let arn = |arn: &'static str| move |_: &mut Finding, it: &mut Identity| it.arn = arn.to_owned();
        for own in [
            "arn:aws:iam::111122223333:role/SecurityRemediationRole",
            "arn:aws:iam::111122223333:role/SecurityRestoreRole",
            "arn:aws:iam::999988887777:role/iam-responder",
            "arn:aws:iam::999988887777:role/iam-responder-restorer",
            "arn:aws:iam::999988887777:role/iam-responder-hygiene",
        ] {
            let settings = [
                ("RESTORER_ROLE_ARN", "arn:aws:iam::999988887777:role/iam-responder-restorer"),
                ("HYGIENE_ROLE_ARN", "arn:aws:iam::999988887777:role/iam-responder-hygiene"),
            ];
            assert!(refusal(&settings, arn(own), IdentityKind::Role).unwrap().contains("own roles"), "{own}");
        }
    }

    #[test]
    fn a_restore_answers_what_was_known_and_nothing_newer() {
        let restored = Restored { at: 1_000, unique_id: "AIDACKCEVSQ6C2EXAMPLE".to_owned(), is_noted: true };
        let refuses = |threat, seen: i64, now: i64, it: &Restored| {
            let mut finding = finding(threat);
            finding.source = Source::GuardDuty;
            finding.occurred_at = Some(DateTime::from_secs(seen));
            refuse_restored(Some(it), &finding, &identity(IdentityKind::User), DateTime::from_secs(now)).is_some()
        };
        assert!(refuses(Threat::CompromisedCredential, 1_000, 2_000, &restored));
        assert!(!refuses(Threat::CompromisedCredential, 1_001, 2_000, &restored));
        assert!(refuses(Threat::UnusedUser, 1_001, 999 + RESTORE_HOLDS, &restored));
        assert!(!refuses(Threat::UnusedUser, 1_001, 1_000 + RESTORE_HOLDS, &restored));
        let unknown = Restored { is_noted: false, ..restored.clone() };
        assert!(!refuses(Threat::UnusedUser, 1_001, 2_000, &unknown));
        let namesakes = Restored { unique_id: "AIDAOTHEROTHEROTHER00".to_owned(), ..restored };
        assert!(!refuses(Threat::CompromisedCredential, 1_000, 2_000, &namesakes));
    }

    #[test]
    fn a_drill_touches_only_its_own() {
        let drill = |path: &'static str| {
            move |finding: &mut Finding, it: &mut Identity| {
                finding.source = Source::Drill;
                it.path = path.to_owned();
            }
        };
        assert!(refusal(&[], drill("/"), IdentityKind::User).unwrap().contains("no user of a drill"));
        assert_eq!(refusal(&[], drill(DRILL_PATH), IdentityKind::User), None);
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

    #[test]
    fn who_came_into_being_in_the_second_of_the_behaviour_may_have_done_it() {
        let same = |_: &mut Finding, it: &mut Identity| it.created = Some(DateTime::from_secs(1_000));
        assert_eq!(refusal(&[], same, IdentityKind::User), None);
    }

    #[test]
    fn what_no_edit_holds_back_is_for_a_person_who_is_told_the_steps() {
        let root = |it: &mut Finding, _: &mut Identity| it.principal = Principal::Root;
        let refused = refusal(&[], root, IdentityKind::User).unwrap();
        let steps: Vec<_> = (1..).zip(root_access_key::STEPS).map(|(n, it)| format!("{n}. {it}")).collect();
        assert!(refused.ends_with(&steps.join("; ")), "{refused}");
        let reason = "a federated session".to_owned();
        let other = |it: &mut Finding, _: &mut Identity| {
            it.principal = Principal::NotContainable { reason: reason.clone() };
        };
        assert_eq!(refusal(&[], other, IdentityKind::User), Some(reason.clone()));
    }

    /// A path is anybody's choice for a user, and no mark of AWS's own.
    #[test]
    fn a_user_under_the_path_of_a_services_roles_is_contained() {
        for path in ["/aws-service-role/x/", "/aws-reserved/x/"] {
            assert_eq!(refusal(&[], |_, it| it.path = path.to_owned(), IdentityKind::User), None, "{path}");
        }
    }

    #[test]
    fn settings_spare_whom_they_name_and_no_namesake() {
        let config = config(&[
            ("PROTECTED_PRINCIPALS", "arn:aws:iam::*:user/breakglass"),
            ("EXEMPT", "arn:aws:iam::*:user/lobby=2026-11-29 lobby"),
        ])
        .unwrap();
        let spares = |threat, kind, name: &str| {
            let it = identity(kind);
            let arn = format!("arn:aws:iam::111122223333:{}/{name}", kind.word());
            let identity = Identity { arn, created: Some(DateTime::from_secs(2_000)), ..it };
            is_spared(&config, &finding(threat), &identity, DateTime::from_secs(1_700_000_000))
        };
        assert!(spares(Threat::CompromisedCredential, IdentityKind::User, "breakglass"));
        assert!(spares(Threat::MissingMfa, IdentityKind::User, "lobby"));
        assert!(spares(Threat::CompromisedCredential, IdentityKind::Role, "SecurityRemediationRole"));
        assert!(!spares(Threat::CompromisedCredential, IdentityKind::User, "lobby"));
        assert!(!spares(Threat::MissingMfa, IdentityKind::User, "alice"));
    }

    #[test]
    fn a_finding_is_about_whom_it_would_lead_to_by_itself() {
        let config = config(&[]).unwrap();
        let key = |id| AccessKey { id: parsed(id), active: true };
        let about = |principal: Principal, access_key: Option<&str>, kind| {
            let access_key = access_key.map(parsed);
            let finding = Finding { principal, access_key, ..finding(Threat::CompromisedCredential) };
            is_about(&config, &finding, &identity(kind), &Ok(vec![key("AKIAIOSFODNN7EXAMPLE")]))
        };
        let (own, other) = (Some("AKIAIOSFODNN7EXAMPLE"), Some("AKIAI44QH8DHBEXAMPLE"));
        let user =
            |name: Option<&str>, id: Option<&str>| Principal::User { name: name.map(parsed), id: id.map(parsed) };
        let role = |name: Option<&str>, id: Option<&str>| Principal::Role {
            name: name.map(parsed),
            id: id.map(parsed),
            session: None,
        };
        let unclear = |name| Principal::UserOrRole { name: parsed(name) };
        let (is_user, is_role) = (IdentityKind::User, IdentityKind::Role);
        for (principal, access_key, kind, expected) in [
            (user(Some("alice"), None), own, is_user, true),
            (user(Some("alice"), None), None, is_user, true),
            (user(Some("alice"), None), other, is_user, false),
            // The unique ID says it, whatever the key.
            (user(None, Some("AIDACKCEVSQ6C2EXAMPLE")), other, is_user, true),
            (user(Some("alice"), Some("AIDAOTHEROTHEROTHER00")), own, is_user, false),
            (user(Some("bob"), None), own, is_user, false),
            (user(Some("app"), None), None, is_role, false),
            // A session's key is none that IAM lists.
            (user(Some("alice"), None), Some("ASIAIOSFODNN7EXAMPLE"), is_user, true),
            (role(Some("app"), None), None, is_role, true),
            (role(Some("other"), None), None, is_role, false),
            (role(Some("alice"), None), None, is_user, false),
            (role(None, Some("AROADBQP57FF2AEXAMPLE")), None, is_role, true),
            (unclear("alice"), own, is_user, true),
            (unclear("bob"), own, is_user, false),
            (Principal::KeyOwner, own, is_user, true),
            (Principal::KeyOwner, other, is_user, false),
            (Principal::KeyOwner, None, is_user, false),
            (Principal::KeyOwner, own, is_role, false),
            (Principal::Root, own, is_user, false),
        ] {
            let words = format!("{principal:?} {access_key:?} {kind:?}");
            assert_eq!(about(principal, access_key, kind), expected, "{words}");
        }
        let finding = finding(Threat::CompromisedCredential);
        assert!(!is_about(&config, &finding, &identity(is_user), &Ok(Vec::new())));
        assert!(!is_about(&config, &finding, &identity(is_user), &Observed::nothing_read().keys));
    }

    #[test]
    fn until_when_a_restore_answers_is_said() {
        let restored = Restored { at: 1_000, unique_id: "AIDACKCEVSQ6C2EXAMPLE".to_owned(), is_noted: true };
        let refused = |source| {
            let finding = Finding { source, ..finding(Threat::UnusedUser) };
            refuse_restored(Some(&restored), &finding, &identity(IdentityKind::User), DateTime::from_secs(2_000))
        };
        assert!(refused(Source::SecurityHub).unwrap().contains("counts again from 1970-01-08T00:16:40Z on"));
        assert_eq!(refused(Source::Command), None);
    }
}
