//! Findings about one identity are one response: the gravest decides what is done, and those that mean the
//! identity that it led to get its verdict.
//!
//! INVARIANT: a group says who is looked at together, never who somebody is. No finding lends its name or ID to
//! another, and one that does not mean the lead's identity, or whose lead leads nowhere, is responded to by itself.
//! `tests/test_grouping.py` holds it.

use aws_smithy_types::DateTime;
use serde::{Deserialize, Serialize};

use super::admission::is_by_person;
use super::guard;
use crate::finding::{Finding, Principal, Source, Threat};
use crate::history::Restored;
use crate::identity::{Identity, IdentityKind, Observed};
use crate::ids::AccessKeyId;
use crate::settings::{Mode, Responder};

/// Findings about one identity, as far as they say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Group {
    /// Decides which playbook answers.
    pub lead: Finding,
    pub others: Vec<Finding>,
}

impl Group {
    pub fn all(&self) -> impl Iterator<Item = &Finding> {
        std::iter::once(&self.lead).chain(&self.others)
    }
}

/// One group for each identity and mode: what only observes must not stand for what is to be done.
pub fn group(findings: Vec<Finding>, mode_of: impl Fn(Threat) -> Mode) -> Vec<Group> {
    let mut groups: Vec<Vec<Finding>> = Vec::new();
    for finding in findings {
        // It may say of two groups that they are one: by its name of the first, by its key of the other.
        let mut merged = Vec::new();
        let mut apart = Vec::new();
        for group in groups {
            let is_same = group.iter().any(|it| is_same(it, &finding) && mode_of(it.threat) == mode_of(finding.threat));
            if is_same && agree(group.iter().chain(&merged).chain([&finding])) {
                merged.extend(group);
            } else {
                apart.push(group);
            }
        }
        merged.push(finding);
        groups = apart;
        groups.push(merged);
    }
    groups.into_iter().filter_map(with_lead).collect()
}

/// A person's word counts most among equals; then how severe it is, then how late.
fn with_lead(mut findings: Vec<Finding>) -> Option<Group> {
    let rank = |it: &Finding| (it.threat.gravity(), is_by_person(it.source), it.severity, it.occurred_at);
    let mut best = 0;
    for (n, finding) in findings.iter().enumerate() {
        if findings.get(best).is_some_and(|it| rank(finding) > rank(it)) {
            best = n;
        }
    }
    let lead = (best < findings.len()).then(|| findings.remove(best))?;
    Some(Group { lead, others: findings })
}

/// The identity that the lead led to, as the others are measured by it.
pub struct Found<'a> {
    pub settings: &'a Responder,
    pub lead: &'a Finding,
    pub identity: &'a Identity,
    pub observed: &'a Observed,
    pub restored: Option<&'a Restored>,
    pub now: DateTime,
}

impl Found<'_> {
    /// Whether the lead's verdict is the other's too. Whatever may be otherwise is responded to by itself.
    pub fn answers(&self, other: &Finding) -> bool {
        let noted = self.restored.map(|it| Restored { is_noted: true, ..it.clone() });
        guard::is_about(self.settings, other, self.identity, &self.observed.keys)
            && guard::refuse_restored(noted.as_ref(), other, self.identity, self.now).is_none()
            && !self.is_of_new_sessions(other)
    }

    /// Seen after the revocation that answers the lead.
    fn is_of_new_sessions(&self, other: &Finding) -> bool {
        let (IdentityKind::Role, Ok(Some(cutoff))) = (self.identity.kind, &self.observed.revoked_before) else {
            return false;
        };
        let is_after = |it: &Finding| it.occurred_at.is_some_and(|seen| seen.secs() > cutoff.secs());
        is_after(other) && !is_after(self.lead)
    }
}

/// Why a group is left to another function: nothing that is cheap for an attacker, such as creating users
/// by the thousand, may stand before a compromised credential.
pub fn left_to_another(settings: &Responder, lead: &Finding) -> Option<&'static str> {
    let is_imported = matches!(lead.source, Source::SecurityHub | Source::SecurityHubV2);
    match (settings.is_hygiene, lead.threat) {
        (true, Threat::UnusedUser | Threat::UnauthorizedUser | Threat::MissingMfa) => None,
        (true, _) => Some("the responder's own function responds to it"),
        // Every finding of Security Hub goes to both: its rule can't tell them apart.
        (false, Threat::UnusedUser | Threat::MissingMfa) if is_imported => {
            Some("the function for hygiene responds to it")
        }
        (false, _) => None,
    }
}

/// Two unique IDs that differ are two identities, whatever they are called.
fn agree<'a>(findings: impl Iterator<Item = &'a Finding>) -> bool {
    let mut ids = findings.filter_map(|it| it.principal.unique_id());
    ids.next().is_none_or(|first| ids.all(|it| it == first))
}

fn is_same(a: &Finding, b: &Finding) -> bool {
    if a.account != b.account || (a.threat == Threat::RootAccessKey) != (b.threat == Threat::RootAccessKey) {
        return false;
    }
    let key = |it: &Finding| it.access_key.clone().filter(AccessKeyId::is_long_term);
    let is_same_key = key(a).is_some() && key(a) == key(b);
    match (&a.principal, &b.principal) {
        (Principal::User { name, id }, Principal::User { name: other, id: other_id })
        | (Principal::Role { name, id, .. }, Principal::Role { name: other, id: other_id, .. }) => {
            (id.is_some() && id == other_id) || (name.is_some() && name == other)
        }
        (Principal::KeyOwner, Principal::KeyOwner | Principal::User { .. })
        | (Principal::User { .. }, Principal::KeyOwner) => is_same_key,
        (Principal::Root, Principal::Root) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::finding::Severity;
    use crate::fixtures::{finding, parsed};

    fn about(threat: Threat, name: Option<&str>, id: Option<&str>) -> Finding {
        Finding {
            principal: Principal::User { name: name.map(parsed), id: id.map(parsed) },
            access_key: None,
            ..finding(threat)
        }
    }

    fn group(findings: Vec<Finding>) -> Vec<Group> {
        super::group(findings, |_| Mode::Enforce)
    }

    fn sizes(findings: Vec<Finding>) -> Vec<usize> {
        group(findings).iter().map(|it| it.all().count()).collect()
    }

    #[test]
    fn the_gravest_threat_leads() {
        let unused = about(Threat::UnusedUser, Some("alice"), None);
        let mild = Finding { severity: Severity(7.0), ..about(Threat::CompromisedCredential, Some("alice"), None) };
        let grave = Finding { severity: Severity(9.0), ..mild.clone() };
        let found = group(vec![unused.clone(), mild.clone(), grave.clone()]);
        assert_eq!(found, [Group { lead: grave.clone(), others: vec![unused, mild.clone()] }]);
        let asked = Finding { source: Source::SecurityHubCustomAction, ..mild };
        assert_eq!(group(vec![grave, asked])[0].lead.source, Source::SecurityHubCustomAction);
    }

    #[test]
    fn a_key_and_a_name_are_one_where_a_finding_says_so() {
        let key = "AKIAIOSFODNN7EXAMPLE";
        let owner = Finding {
            principal: Principal::KeyOwner,
            access_key: Some(parsed(key)),
            ..finding(Threat::CompromisedCredential)
        };
        let named = about(Threat::UnusedUser, Some("alice"), None);
        let both = Finding { access_key: Some(parsed(key)), ..about(Threat::UnusedUser, Some("alice"), None) };
        assert_eq!(sizes(vec![owner.clone(), named.clone()]), [1, 1]);
        assert_eq!(sizes(vec![owner.clone(), named, both]), [3]);
        let named = Finding {
            access_key: owner.access_key.clone(),
            ..about(Threat::UnusedUser, Some("alice"), Some("AIDACKCEVSQ6C2EXAMPLE"))
        };
        // Whose key it is, IAM tells, and no other finding.
        assert_eq!(
            group(vec![owner.clone(), named.clone()]),
            [Group { lead: owner.clone(), others: vec![named.clone()] }]
        );
        let observed = |it| if it == Threat::UnusedUser { Mode::Observe } else { Mode::Enforce };
        assert_eq!(super::group(vec![owner.clone(), named], observed).len(), 2);
        let another = Finding { access_key: Some(parsed("AKIAI44QH8DHBEXAMPLE")), ..owner.clone() };
        assert_eq!(sizes(vec![owner, another]), [1, 1]);
    }

    #[test]
    fn a_verdict_is_anothers_only_where_the_identities_agree() {
        let settings = crate::settings::tests::config(&[]).unwrap();
        let key = "AKIAIOSFODNN7EXAMPLE";
        let threat = Threat::CompromisedCredential;
        let lead = about(threat, Some("alice"), Some("AIDACKCEVSQ6C2EXAMPLE"));
        let now = DateTime::from_secs(10_000);
        let answers = |kind, observed: &Observed, restored: Option<&Restored>, other: &Finding| {
            let identity = Identity { created: Some(DateTime::from_secs(500)), ..crate::fixtures::identity(kind) };
            let (settings, lead, identity) = (&settings, &lead, &identity);
            Found { settings, lead, identity, observed, restored, now }.answers(other)
        };
        let user = |restored: Option<&Restored>, other: &Finding| {
            answers(IdentityKind::User, &crate::fixtures::observed(), restored, other)
        };
        let named = about(threat, Some("alice"), None);
        assert!(user(None, &named));
        assert!(!user(None, &about(threat, Some("alice"), Some("AIDACKCEVSQ6C2ANOTHER"))));
        assert!(!user(None, &about(threat, Some("bob"), None)));
        assert!(!user(None, &Finding { occurred_at: Some(DateTime::from_secs(499)), ..named.clone() }));
        let with_key = |key| Finding { access_key: Some(parsed(key)), ..named.clone() };
        assert!(user(None, &with_key(key)) && !user(None, &with_key("AKIAQQQQQQQQQEXAMPLE")));
        let owner = |key| Finding { principal: Principal::KeyOwner, ..with_key(key) };
        assert!(user(None, &owner(key)) && !user(None, &owner("AKIAQQQQQQQQQEXAMPLE")));
        let restored = Restored { at: 5_000, unique_id: "AIDACKCEVSQ6C2EXAMPLE".to_owned(), is_noted: false };
        assert!(!user(Some(&restored), &named));
        let role = |cutoff: i64, seen: i64| {
            let observed =
                Observed { revoked_before: Ok(Some(DateTime::from_secs(cutoff))), ..crate::fixtures::observed() };
            let principal = Principal::Role { name: Some(parsed("app")), id: None, session: None };
            let other = Finding { principal, occurred_at: Some(DateTime::from_secs(seen)), ..named.clone() };
            answers(IdentityKind::Role, &observed, None, &other)
        };
        assert!(role(2_000, 2_000) && !role(2_000, 2_001) && role(500, 2_001));
    }

    #[test]
    fn namesakes_and_accounts_are_apart() {
        let threat = Threat::CompromisedCredential;
        let one = about(threat, Some("alice"), Some("AIDACKCEVSQ6C2EXAMPLE"));
        let namesake = about(threat, Some("alice"), Some("AIDACKCEVSQ6C2ANOTHER"));
        let renamed = about(threat, Some("bob"), Some("AIDACKCEVSQ6C2EXAMPLE"));
        // A name alone fits both, and must not make them one.
        let vague = about(threat, Some("alice"), None);
        assert_eq!(sizes(vec![one.clone(), namesake.clone(), vague]), [1, 2]);
        let elsewhere = Finding { account: parsed("444455556666"), ..one.clone() };
        assert_eq!(sizes(vec![one, namesake, renamed, elsewhere]), [1, 2, 1]);
        let root = Finding { principal: Principal::Root, ..finding(Threat::RootAccessKey) };
        assert_eq!(sizes(vec![root.clone(), about(threat, Some("root"), None), root]), [1, 2]);
    }
}
