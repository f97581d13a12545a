//! Who an identity was before containment: its name and its tags, by which conditions decide.

use std::collections::BTreeSet;

use serde_json::Value;

use super::condition::Context;
use super::simulating::{Fact, facts};
use crate::change::is_our_tag;
use crate::history::{Kept, OTHER_TAGS, Response, other_tags, tag_key};
use crate::identity::{Identity, IdentityKind, Observed, Profile};
use crate::ids::{Parse, PrincipalName};
use crate::text;

pub struct Was {
    /// With the name of then.
    pub identity: Identity,
    is_name_known: bool,
    tags: Tags,
    pub notes: Vec<String>,
}

/// Of a user.
#[derive(Default)]
struct Tags {
    known: Vec<(String, String)>,
    /// There were no others.
    is_all: bool,
}

impl Was {
    pub fn of(identity: &Identity, kept: &Kept, now: &Observed) -> Self {
        let mut was =
            Self { identity: identity.clone(), is_name_known: true, tags: Tags::default(), notes: Vec::new() };
        // A role keeps its name, and its sessions may bring tags of their own.
        if identity.kind == IdentityKind::User {
            was.name(identity, kept);
            if let Ok(profile) = &now.profile {
                was.tags = tags(&kept.responses, profile);
                if !was.tags.is_all {
                    was.notes.push(
                        "its tags are not those of before containment, or nobody knows: what is decided by one that may \
                         have changed depends on it"
                            .to_owned(),
                    );
                }
            }
        }
        was
    }

    /// By the record, which has the last one that a response found, and by what the responses meant to do to it.
    fn name(&mut self, identity: &Identity, kept: &Kept) {
        let meant = kept.responses.iter().flat_map(|it| &it.planned);
        let names = meant.filter_map(|it| it.split_once(' ')?.1.strip_prefix("user/"));
        let recorded = kept.principal.as_deref().filter(|_| !kept.responses.is_empty());
        let names: BTreeSet<_> = names.chain(recorded).collect();
        let name = recorded.and_then(|it| PrincipalName::parse(it).ok());
        if let (Some(name), Some(arn)) = (name, kept.arn.clone()) {
            (self.identity.name, self.identity.arn) = (name, arn);
        }
        self.is_name_known = names.len() < 2;
        if !self.is_name_known {
            let names = text::line(&names.into_iter().collect::<Vec<_>>().join(", "), 200);
            self.notes.push(format!(
                "it bore several names while responses were at it ({names}): what is decided by its name depends on \
                 it"
            ));
        } else if self.identity.arn != identity.arn {
            self.notes.push(format!("it was renamed since: judged by its name of before, {}", self.identity.arn));
        }
    }

    /// What is known of each of its requests.
    pub fn facts(&self) -> Vec<Fact> {
        const BY_NAME: &[&str] = &["aws:username", "aws:PrincipalArn"];
        let mut facts = facts(&self.identity);
        facts.retain(|it| self.is_name_known || !BY_NAME.contains(&it.key));
        facts
    }

    /// What every request of the identity has: its attacker chooses the rest.
    pub fn context(&self) -> Context {
        let facts = self.facts().into_iter();
        let mut context = facts.fold(Context::default(), |context, it| context.with(it.key, &[it.value.as_str()]));
        if self.identity.kind == IdentityKind::Role {
            context = context.without("aws:username");
        }
        if self.tags.is_all {
            context = context.complete(TAG);
        }
        self.tags.known.iter().fold(context, |context, (key, value)| context.with(&format!("{TAG}{key}"), &[value]))
    }
}

const TAG: &str = "aws:PrincipalTag/";

/// Those of now that every response found as well; ours, which responses write over, are those of the first snapshot.
fn tags(responses: &[Response], profile: &Profile) -> Tags {
    let Some(first) = responses.first() else { return Tags { known: profile.tags.clone(), is_all: true } };
    let texts = |it: &Value| -> Option<Vec<(String, String)>> {
        let fields = it.as_object().filter(|it| !it.contains_key("unreadable"))?;
        fields.iter().map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
    };
    let ours = first.before.get("tags").and_then(texts);
    let now: Vec<_> = other_tags(profile).into_iter().collect();
    let found: Vec<_> = responses.iter().map(|it| it.before.get(OTHER_TAGS).and_then(texts)).collect();
    let is_all = ours.is_some() && found.iter().all(|it| it.as_ref() == Some(&now));
    let is_same = |key: &str| {
        let tag = now.iter().find(|it| it.0 == tag_key(key));
        tag.is_some_and(|tag| found.iter().all(|it| it.as_ref().is_some_and(|it| it.contains(tag))))
    };
    let same = profile.tags.iter().filter(|(key, _)| !is_our_tag(key) && is_same(key)).cloned();
    Tags { known: same.chain(ours.into_iter().flatten()).collect(), is_all }
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::DateTime;

    use super::super::answer::{Answer, Holdings};
    use super::super::document::Policy;
    use super::*;
    use crate::change::INCIDENT_TAG;
    use crate::fixtures::{identity, observed, parsed};
    use crate::history::snapshot;
    use crate::identity::Unreadable;

    fn with_tags(tags: &[(&str, &str)]) -> Observed {
        let mut it = observed();
        it.profile.as_mut().unwrap().tags = tags.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
        it
    }

    fn kept(before: &[&Observed]) -> Kept {
        let response =
            |it: &&Observed| Response::new("compromised-credential", "f", DateTime::from_secs(1), snapshot(it));
        Kept { responses: before.iter().map(response).collect(), ..Kept::default() }
    }

    /// What is allowed where this key is this.
    fn answer(was: &Was, key: &str, value: &str) -> Answer {
        let document = serde_json::json!({"Version": "2012-10-17", "Statement": {"Effect": "Allow", "Action": "*",
            "Resource": "*", "Condition": {"StringEquals": {key: value}}}});
        let policies = vec![Policy::new("inline policy", "p", None, &document.to_string())];
        Holdings { policies, context: was.context(), ..Holdings::default() }.may("iam:CreateUser", "*").answer
    }

    fn tag(kept: &Kept, now: &Observed, key: &str, value: &str) -> Answer {
        answer(&Was::of(&identity(IdentityKind::User), kept, now), &format!("{TAG}{key}"), value)
    }

    #[test]
    fn tags_decide_as_long_as_they_are_those_of_before() {
        let (red, both, none) =
            (with_tags(&[("Team", "red")]), with_tags(&[("team", "red"), ("new", "x")]), with_tags(&[]));
        // Nobody contained it, or nobody changed anything.
        for kept in [Kept::default(), kept(&[&red])] {
            assert_eq!(tag(&kept, &red, "team", "red"), Answer::Yes);
            assert_eq!(tag(&kept, &red, "team", "blue"), Answer::No);
            assert_eq!(tag(&kept, &red, "other", "x"), Answer::No);
            assert!(Was::of(&identity(IdentityKind::User), &kept, &red).notes.is_empty());
        }
        let was = kept(&[&red]);
        // One was added: of the others more is known than of that.
        assert_eq!(tag(&was, &both, "team", "blue"), Answer::No);
        assert_eq!(tag(&was, &both, "new", "y"), Answer::Depends);
        // It was changed, or taken away.
        assert_eq!(tag(&was, &with_tags(&[("team", "blue")]), "team", "red"), Answer::Depends);
        assert_eq!(tag(&was, &none, "team", "red"), Answer::Depends);
        assert_eq!(Was::of(&identity(IdentityKind::User), &was, &none).notes.len(), 1);
        // By whichever response found others, or could not read them.
        assert_eq!(tag(&kept(&[&red, &none]), &red, "team", "blue"), Answer::Depends);
        assert_eq!(tag(&kept(&[&Observed::nothing_read()]), &red, "team", "blue"), Answer::Depends);
        let mut unread = red.clone();
        unread.profile = Err(Unreadable::not_read("profile"));
        assert_eq!(tag(&was, &unread, "team", "blue"), Answer::Depends);
    }

    #[test]
    fn what_we_write_on_it_decides_nothing() {
        let marked = with_tags(&[(INCIDENT_TAG, "Quarantined")]);
        assert_eq!(tag(&kept(&[&with_tags(&[])]), &marked, INCIDENT_TAG, "Quarantined"), Answer::No);
        assert_eq!(tag(&kept(&[&with_tags(&[(INCIDENT_TAG, "own")])]), &marked, INCIDENT_TAG, "own"), Answer::Yes);
    }

    #[test]
    fn a_user_that_was_renamed_since_is_judged_by_its_name_of_before() {
        let mut kept = kept(&[&observed()]);
        kept.principal = Some("alice".to_owned());
        kept.arn = Some("arn:aws:iam::111122223333:user/alice".to_owned());
        kept.responses[0].planned.insert("AttachDenyAll user/alice".to_owned());
        let mut now = identity(IdentityKind::User);
        (now.name, now.arn) = (parsed("alicia"), "arn:aws:iam::111122223333:user/alicia".to_owned());
        let was = Was::of(&now, &kept, &observed());
        assert_eq!((was.identity.name.as_str(), was.notes.len()), ("alice", 1));
        assert_eq!(answer(&was, "aws:username", "alice"), Answer::Yes);
        assert_eq!(answer(&was, "aws:PrincipalArn", "arn:aws:iam::111122223333:user/alice"), Answer::Yes);
        // Renamed in the middle of it: whether before it or by it nobody knows.
        kept.responses[0].planned.insert("AttachDenyAll user/alicia".to_owned());
        let was = Was::of(&now, &kept, &observed());
        assert_eq!(answer(&was, "aws:username", "alice"), Answer::Depends);
        assert_eq!((answer(&was, "aws:userid", now.id.as_str()), was.notes.len()), (Answer::Yes, 1));
        // Everything was given back: it is judged as it is.
        kept.responses.clear();
        let was = Was::of(&now, &kept, &observed());
        assert_eq!((was.identity.name.as_str(), answer(&was, "aws:username", "alicia")), ("alicia", Answer::Yes));
    }
}
