//! What AWS's policy simulator is to be told, so that it answers about the identity as it was before containment: to leave
//! out what the responses put there, and to add what they took.
//!
//! Both are what differs between `before`, which judges by the snapshots, and what stands there now: by its name alone
//! nothing is ours.
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html>

use std::collections::BTreeSet;

use super::answer::{Answer, Holdings};
use super::asked::{ANY, actions};
use super::asking::Asking;
use super::before::Before;
use super::document::{Denies, Policy};
use super::simulation::Asked;
use crate::identity::{Identity, IdentityKind, Observed};
use crate::ids::Arn;

/// A policy that AWS is to leave out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Exclusion {
    /// By its ARN, wherever the identity has it from.
    Policy(String),
    /// Of the identity itself, and not of a group.
    Inline {
        name: String,
        of: IdentityKind,
        identity: String,
    },
    InlineOfGroup {
        name: String,
        group: String,
    },
    /// Whatever stands in its place.
    Boundary,
}

/// What is known of every request of the identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    pub key: &'static str,
    pub value: String,
    pub is_boolean: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The identity's ARN.
    pub of: String,
    pub left_out: Vec<Exclusion>,
    /// Documents.
    pub added: Vec<String>,
    /// The document that stands in for the boundary.
    pub boundary: Option<String>,
    pub facts: Vec<Fact>,
    /// What it had and AWS can't be told, in words.
    pub without: Vec<String>,
}

/// Of all that is added; ten policies and ten groups with ten each, as people write them, are half of that.
const MOST_BYTES: usize = 400_000;
/// Of one document.
const LONGEST: usize = 131_072;

impl Plan {
    /// `holdings`: with the documents of everything that `before` names, as far as they could be read.
    pub fn of(
        identity: &Identity,
        facts: Vec<Fact>,
        before: &Before,
        now: &Observed,
        holdings: &Holdings,
    ) -> Result<Self, String> {
        let (Ok(attached), Ok(inline), Ok(groups), Ok(profile)) =
            (&now.attached, &now.inline, &now.groups, &now.profile)
        else {
            return Err("what it has now could not be read".to_owned());
        };
        let names = &before.names;
        let is_ours = |name: &String, had: &Vec<String>| !had.contains(name);
        let our_policies = attached.iter().filter(|it| is_ours(it, &names.policies)).cloned();
        let our_inline = inline.iter().filter(|it| is_ours(it, &names.inline)).cloned();
        // What counts in part is left out as a whole, and that part is added.
        let in_part = holdings.policies.iter().filter(|it| it.allowing().is_some());
        let (managed, written): (Vec<_>, Vec<_>) = in_part.partition(|it| it.origin.kind == "policy");
        let (of_groups, written): (Vec<_>, Vec<_>) = written.into_iter().partition(|it| it.origin.group.is_some());
        let name = |it: &&Policy| it.origin.name.clone();
        let our_policies: BTreeSet<_> = our_policies.chain(managed.iter().map(name)).collect();
        let our_inline: BTreeSet<_> = our_inline.chain(written.iter().map(name)).collect();
        let is_bound_otherwise = profile.boundary != before.boundary;
        let exclusion = |name: &String| Exclusion::Inline {
            name: name.clone(),
            of: identity.kind,
            identity: identity.name.to_string(),
        };
        let mut left_out: Vec<_> = our_policies.iter().cloned().map(Exclusion::Policy).collect();
        left_out.extend(our_inline.iter().map(exclusion));
        left_out.extend(of_groups.iter().filter_map(|it| {
            Some(Exclusion::InlineOfGroup { name: it.origin.name.clone(), group: it.origin.group.clone()? })
        }));
        left_out.extend((is_bound_otherwise && before.boundary.is_none()).then_some(Exclusion::Boundary));
        // Whether AWS finds it by itself: what is left out by its ARN is left out of groups as well.
        let is_found = |policy: &Policy| {
            let (name, is_managed) = (&policy.origin.name, policy.origin.kind == "policy");
            let is_left_out = is_managed && our_policies.contains(name);
            match &policy.origin.group {
                Some(group) => groups.contains(group) && !is_left_out && (is_managed || policy.allowing().is_none()),
                None if is_managed => attached.contains(name) && !is_left_out,
                // What stood under the name of our revocation is nowhere, whatever stands there now.
                None => {
                    inline.contains(name) && !our_inline.contains(name) && before.former != Some(policy.text.clone())
                }
            }
        };
        let mut plan = Self {
            of: identity.arn.clone(),
            left_out,
            added: Vec::new(),
            boundary: None,
            facts,
            without: before.unknown.clone(),
        };
        let mut room = MOST_BYTES;
        for policy in holdings.policies.iter().filter(|it| !is_found(it)) {
            plan.add(policy, &mut room);
        }
        if let Some(boundary) = before.boundary.as_ref().filter(|_| is_bound_otherwise) {
            let had = holdings.limits.iter().flatten().find(|it| it.origin.name == *boundary);
            match had.filter(|it| is_legal(it)) {
                Some(had) => plan.boundary = Some(had.text.clone()),
                None => plan.without.push(format!("the permissions boundary {boundary}")),
            }
        }
        let is_read = |kind: &str, name: &String| {
            holdings
                .policies
                .iter()
                .any(|it| it.origin.group.is_none() && it.origin.kind == kind && it.origin.name == *name)
        };
        for (kind, had, has) in [("policy", &names.policies, attached), ("inline policy", &names.inline, inline)] {
            let lost = had.iter().filter(|it| !has.contains(it) && !is_read(kind, it));
            plan.without.extend(lost.map(|it| format!("{kind} {it}, which could not be read")));
        }
        for group in names.groups.iter().filter(|it| !groups.contains(it)) {
            let words = format!("group {group} (");
            let is_unread = holdings.unread.iter().any(|it| it.contains(&words));
            plan.without.extend(is_unread.then(|| format!("some of group {group}, which could not be read")));
        }
        Ok(plan)
    }

    /// One that AWS does not take would take all the others with it.
    fn add(&mut self, policy: &Policy, room: &mut usize) {
        let of = policy.origin.group.as_ref().map_or_else(String::new, |it| format!(" of group {it}"));
        let words = format!("{} {}{of}", policy.origin.kind, policy.origin.name);
        let in_part = policy.allowing();
        if in_part.is_some() && policy.denies == Denies::Undated {
            self.without.push(format!("what {words} denies, of which nobody knows whether it was there before"));
        }
        if in_part.is_some() && policy.document.as_ref().is_ok_and(|it| it.statements.iter().all(|it| !it.is_allow)) {
            return;
        }
        let text = in_part.as_ref().unwrap_or(&policy.text);
        let Some(left) = room.checked_sub(text.len()).filter(|_| is_legal(policy)) else {
            self.without.push(format!("{words}, which AWS would not take"));
            return;
        };
        // What several groups have counts once.
        if !self.added.contains(text) {
            *room = left;
            self.added.push(text.clone());
        }
    }
}

fn is_legal(policy: &Policy) -> bool {
    let is_plain = |c: char| matches!(c, '\t' | '\n' | '\r' | ' '..='\u{ff}');
    policy.document.is_ok() && policy.text.len() <= LONGEST && policy.text.chars().all(is_plain)
}

/// What every request of the identity has: its attacker chooses the rest. Without its tags, of which anybody may have
/// chosen keys that AWS does not take: where they decide, AWS's answer depends on them.
pub fn facts(identity: &Identity) -> Vec<Fact> {
    let fact = |key, value: &str| Fact { key, value: value.to_owned(), is_boolean: false };
    let account = Arn::parse(&identity.arn).map_or("", |it| it.account);
    let mut facts = vec![
        fact("aws:PrincipalArn", &identity.arn),
        fact("aws:PrincipalAccount", account),
        Fact { is_boolean: true, ..fact("aws:SecureTransport", "true") },
    ];
    match identity.kind {
        IdentityKind::User => facts.extend([
            fact("aws:username", identity.name.as_str()),
            fact("aws:userid", identity.id.as_str()),
            fact("aws:PrincipalType", "User"),
        ]),
        IdentityKind::Role => facts.push(fact("aws:PrincipalType", "AssumedRole")),
    }
    facts
}

impl Asking<'_> {
    /// Every action, on whatever resource.
    pub fn everywhere(&self) -> Vec<Asked> {
        let asked = |action| Asked { action, resource: ANY.to_owned(), own: self.rules.about(action).may(ANY).answer };
        actions().into_iter().map(asked).collect()
    }

    /// Each action that may be done to some resource and not to any, on one of which that is so. Once all was asked.
    pub fn somewhere(&self, everywhere: &[Asked]) -> Vec<Asked> {
        let asked = everywhere.iter().filter_map(|any| {
            let some = self.known.get(&(any.action, None))?;
            let is_more = some.answer > any.own && matches!(some.answer, Answer::Depends | Answer::Yes);
            let resource = self.examples.get(any.action).filter(|_| is_more)?;
            Some(Asked { action: any.action, resource: resource.clone(), own: some.answer })
        });
        asked.collect()
    }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;
    use serde_json::{Value, json};

    use super::super::asking::Asker;
    use super::super::before::before;
    use super::*;
    use crate::change::REVOCATION_POLICY;
    use crate::fixtures::{identity, observed, parsed};
    use crate::history::{Kept, Response, snapshot};
    use crate::identity::Unreadable;

    const DENY_ALL: &str = "arn:aws:iam::aws:policy/AWSDenyAll";
    const ADMINISTRATOR: &str = "arn:aws:iam::aws:policy/AdministratorAccess";

    fn text(effect: &str, action: &str) -> String {
        json!({"Version": "2012-10-17", "Statement": {"Effect": effect, "Action": action, "Resource": "*"}}).to_string()
    }

    fn policy(kind: &'static str, name: &str, group: Option<&str>, action: &str) -> Policy {
        Policy::new(kind, name, group, &text("Allow", action))
    }

    /// The user of the fixtures, with all that its policies say.
    fn holdings() -> Holdings {
        let policies = vec![
            policy("policy", ADMINISTRATOR, None, "*"),
            policy("inline policy", "s3", None, "s3:*"),
            policy("policy", DENY_ALL, Some("developers"), "ec2:*"),
            policy("inline policy", REVOCATION_POLICY, Some("developers"), "kms:*"),
        ];
        Holdings { policies, ..Holdings::default() }
    }

    fn kept(before: Value) -> Kept {
        let response = Response::new("compromised-credential", "f", DateTime::from_secs(1), before);
        Kept { responses: vec![response], ..Kept::default() }
    }

    fn plan(kept: &Kept, now: &Observed, holdings: &Holdings) -> Plan {
        let alice = identity(IdentityKind::User);
        Plan::of(&alice, facts(&alice), &before(kept, now, DENY_ALL), now, holdings).unwrap()
    }

    #[test]
    fn of_whom_nobody_contained_nothing_is_left_out_or_added() {
        let mut now = observed();
        now.attached = Ok(vec![ADMINISTRATOR.to_owned(), DENY_ALL.to_owned()]);
        let plan = plan(&Kept::default(), &now, &holdings());
        assert_eq!((plan.left_out, plan.added, plan.boundary, plan.without), (vec![], vec![], None, vec![]));
        assert_eq!(plan.of, "arn:aws:iam::111122223333:user/alice");
        assert!(plan.facts.iter().any(|it| it.key == "aws:username" && it.value == "alice"));
    }

    #[test]
    fn what_the_responses_put_there_is_left_out_and_what_they_took_is_added() {
        let mut now = observed();
        (now.attached, now.groups) = (Ok(vec![DENY_ALL.to_owned()]), Ok(Vec::new()));
        let plan = plan(&kept(snapshot(&observed())), &now, &holdings());
        assert_eq!(plan.left_out, [Exclusion::Policy(DENY_ALL.to_owned())]);
        let added: Vec<_> = ["*", "ec2:*", "kms:*"].map(|it| text("Allow", it)).into();
        assert_eq!((plan.added, plan.without), (added, vec![]));
    }

    /// A group may have AWS's policy from somebody else.
    #[test]
    fn what_a_group_has_of_a_policy_that_is_left_out_by_its_arn_is_added() {
        let mut now = observed();
        now.attached = Ok(vec![ADMINISTRATOR.to_owned(), DENY_ALL.to_owned()]);
        let plan = plan(&kept(snapshot(&observed())), &now, &holdings());
        assert_eq!(plan.left_out, [Exclusion::Policy(DENY_ALL.to_owned())]);
        assert_eq!(plan.added, [text("Allow", "ec2:*")]);
    }

    #[test]
    fn what_denies_in_what_came_since_is_kept_from_aws() {
        let both = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "kms:*", "Resource": "*"}, {"Effect": "Deny", "Action": "*", "Resource": "*"}
        ]});
        let mut now = observed();
        now.attached.as_mut().unwrap().push("arn:late".to_owned());
        now.groups.as_mut().unwrap().push("late".to_owned());
        let found = before(&kept(snapshot(&observed())), &now, DENY_ALL);
        let late = [
            Policy::new("policy", "arn:late", None, &text("Deny", "*")),
            Policy::new("inline policy", "bars", Some("late"), &both.to_string()),
        ];
        let mut holdings = holdings();
        holdings.policies.extend(late.map(|it| found.dated(it)));
        let plan = Plan::of(&identity(IdentityKind::User), Vec::new(), &found, &now, &holdings).unwrap();
        let of_group = Exclusion::InlineOfGroup { name: "bars".to_owned(), group: "late".to_owned() };
        assert_eq!(plan.left_out, [Exclusion::Policy("arn:late".to_owned()), of_group]);
        assert_eq!((plan.added.len(), plan.without), (1, vec![]));
        assert!(plan.added[0].contains("kms:*") && !plan.added[0].contains("Deny"), "{:?}", plan.added);
        // Of what may have been there before AWS is told nothing, and nothing is held against its answers.
        let undated = holdings.policies.iter().cloned().map(|it| it.with_denies(Denies::Undated)).collect();
        let holdings = Holdings { policies: undated, ..Holdings::default() };
        let plan = Plan::of(&identity(IdentityKind::User), Vec::new(), &found, &now, &holdings).unwrap();
        assert!(plan.without.iter().any(|it| it.contains("inline policy bars of group late denies")), "{plan:?}");
    }

    #[test]
    fn what_stood_under_our_revocations_name_is_added_and_ours_left_out() {
        let app = identity(IdentityKind::Role);
        let mut had = observed();
        (had.inline, had.not_a_revocation) = (Ok(vec![REVOCATION_POLICY.to_owned()]), Some(text("Allow", "iam:*")));
        let mut kept = kept(snapshot(&had));
        had.not_a_revocation = None;
        kept.responses[0].planned.insert("RevokeSessions app 2026-01-01T00:00:00Z".to_owned());
        let mut holdings = Holdings::default();
        holdings.policies.push(Policy::new("inline policy", REVOCATION_POLICY, None, &text("Allow", "iam:*")));
        had.attached = Ok(Vec::new());
        let mut found = before(&kept, &had, DENY_ALL);
        (found.names.policies, found.names.groups) = (Vec::new(), Vec::new());
        let plan = Plan::of(&app, facts(&app), &found, &had, &holdings).unwrap();
        let name = REVOCATION_POLICY.to_owned();
        assert_eq!(plan.left_out, [Exclusion::Inline { name, of: IdentityKind::Role, identity: "app".to_owned() }]);
        assert_eq!((plan.added, plan.without), (vec![text("Allow", "iam:*")], vec![]));
    }

    #[test]
    fn the_boundary_is_the_one_of_before() {
        let bounded = |boundary: Option<&str>| {
            let mut it = observed();
            it.profile.as_mut().unwrap().boundary = boundary.map(str::to_owned);
            it
        };
        let ours = bounded(Some(DENY_ALL));
        assert_eq!(plan(&kept(snapshot(&observed())), &ours, &holdings()).left_out, [Exclusion::Boundary]);
        let mut all = holdings();
        let was = kept(snapshot(&bounded(Some("arn:own"))));
        assert_eq!(plan(&was, &ours, &all).without, ["the permissions boundary arn:own"]);
        all.limits.push(vec![policy("boundary", "arn:own", None, "s3:*")]);
        let found = plan(&was, &ours, &all);
        assert_eq!((found.boundary, found.left_out, found.without), (Some(text("Allow", "s3:*")), vec![], vec![]));
        // It stands there: AWS finds it.
        assert_eq!(plan(&was, &bounded(Some("arn:own")), &all).boundary, None);
        // Somebody exchanged it: it bounds nothing, nor does what stands there.
        assert_eq!(plan(&was, &bounded(Some("arn:wider")), &all).left_out, [Exclusion::Boundary]);
    }

    #[test]
    fn what_aws_can_not_be_told_is_named() {
        let mut now = observed();
        (now.attached, now.groups, now.inline) = (Ok(Vec::new()), Ok(Vec::new()), Ok(Vec::new()));
        let mut holdings = Holdings::default();
        holdings.policies.push(Policy::new("policy", ADMINISTRATOR, None, "no policy"));
        holdings.unread.push("policy arn:x of group developers (AccessDenied)".to_owned());
        let without = plan(&kept(snapshot(&observed())), &now, &holdings).without;
        assert_eq!(without.len(), 3, "{without:?}");
        assert!(without.iter().any(|it| it.contains(ADMINISTRATOR) && it.contains("would not take")));
        assert!(without.iter().any(|it| it.contains("inline policy s3")));
        assert!(without.iter().any(|it| it.contains("some of group developers")));
        // A thousand policies do not fit, nor does a character that IAM does not know.
        let mut many = Holdings::default();
        for n in 0..1_000 {
            many.policies.push(policy("policy", &format!("arn:{n}"), None, &format!("iam:{}{n}", "x".repeat(1_000))));
        }
        many.policies.push(policy("policy", "arn:odd", None, "iam:\u{2026}"));
        let full = plan(&Kept::default(), &now, &many);
        assert_eq!(full.added.len() + full.without.len(), 1_001);
        assert!(full.added.concat().len() <= MOST_BYTES && full.without.len() > 500);
        assert!(full.without.iter().any(|it| it.contains("arn:odd")));
        now.groups = Err(Unreadable::not_read("groups"));
        let unknown = Plan::of(&identity(IdentityKind::User), Vec::new(), &Before::default(), &now, &holdings);
        assert!(unknown.unwrap_err().contains("could not be read"));
    }

    #[test]
    fn what_may_be_done_to_one_resource_is_asked_about_it() {
        let document = json!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::plans/*"},
            {"Effect": "Allow", "Action": "iam:*", "Resource": "*"},
        ]});
        let policies = vec![Policy::new("inline policy", "p", None, &document.to_string())];
        let holdings = Holdings { policies, ..Holdings::default() };
        let arn = "arn:aws:iam::111122223333:user/alice";
        let asker = Asker { holdings: &holdings, account: &parsed("111122223333"), partition: &parsed("aws"), arn };
        let mut asking = asker.begin();
        let everywhere = asking.everywhere();
        while asking.step() {}
        let own = |action: &str| everywhere.iter().find(|it| it.action == action).unwrap().own;
        assert_eq!([own("s3:GetObject"), own("iam:CreateUser")], [Answer::No, Answer::Yes]);
        let [one] = asking.somewhere(&everywhere).try_into().unwrap();
        assert!(one.action == "s3:GetObject" && one.own == Answer::Yes, "{one:?}");
        assert!(one.resource.starts_with("arn:aws:s3:::plans/"), "{one:?}");
    }
}
