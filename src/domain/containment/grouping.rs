//! Findings about one identity are one response: the gravest decides what is done, all of them get its
//! verdict.

use serde::{Deserialize, Serialize};

use super::admission::is_by_person;
use crate::finding::{Finding, Principal, Source, Threat};
use crate::ids::AccessKeyId;
use crate::settings::Responder;

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

/// One group for each identity.
pub fn group(findings: Vec<Finding>) -> Vec<Group> {
    let mut groups: Vec<Vec<Finding>> = Vec::new();
    for finding in findings {
        // It may say of two groups that they are one: by its name of the first, by its key of the other.
        let mut merged = Vec::new();
        let mut apart = Vec::new();
        for group in groups {
            let is_same = group.iter().any(|it| is_same(it, &finding));
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
    let mut lead = (best < findings.len()).then(|| findings.remove(best))?;
    let full = |it: &&Finding| matches!(&it.principal, Principal::User { name: Some(_), id: Some(_) });
    let is_vague = matches!(&lead.principal, Principal::KeyOwner | Principal::User { .. }) && !full(&&lead);
    if let Some(named) = findings.iter().find(full).filter(|_| is_vague) {
        lead.principal = named.principal.clone();
    }
    Some(Group { lead, others: findings })
}

/// Why a group is left to another function: nothing that is cheap for an attacker, such as creating users
/// by the thousand, may stand before a compromised credential.
pub fn left_to_another(settings: &Responder, lead: &Finding) -> Option<&'static str> {
    let is_imported = matches!(lead.source, Source::SecurityHub | Source::SecurityHubV2);
    match (settings.is_hygiene, lead.threat) {
        (true, Threat::UnusedUser | Threat::UnauthorizedUser) => None,
        (true, _) => Some("the responder's own function responds to it"),
        // Every finding of Security Hub goes to both: its rule can't tell them apart.
        (false, Threat::UnusedUser) if is_imported => Some("the function for hygiene responds to it"),
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
        let found = group(vec![
            owner.clone(),
            Finding {
                access_key: owner.access_key.clone(),
                ..about(Threat::UnusedUser, Some("alice"), Some("AIDACKCEVSQ6C2EXAMPLE"))
            },
        ]);
        assert!(found[0].lead.principal.unique_id().is_some() && found[0].lead.threat == Threat::CompromisedCredential);
        let another = Finding { access_key: Some(parsed("AKIAI44QH8DHBEXAMPLE")), ..owner.clone() };
        assert_eq!(sizes(vec![owner, another]), [1, 1]);
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
