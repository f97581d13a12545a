//! What an identity could do: is it an administrator, can it make itself one, what does it reach, which roles may it
//! assume.
//!
//! Judged as it was before containment. By written rules, and never by a model.

use std::collections::BTreeMap;

use serde::Serialize;

use super::answer::{Answer, Decision, Grant, is_zero};
use super::assume::{Assumable, Assumed, Attempt};
use super::part::Part;
use super::simulation::Simulation;
use super::versions::Other;

/// One of the ways, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    /// In the catalogue.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub id: &'static str,
    pub what: &'static str,
    pub actions: Vec<&'static str>,
    #[serde(flatten)]
    pub decision: Decision,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub also_needs: String,
    /// The service that a role is passed to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub passes_to: Option<&'static str>,
    /// The roles that it may pass to the service; `None`: not looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// Another way that was found, which takes fewer of the same actions.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant_of: Option<&'static str>,
    /// Versions of its policies by which it leads to more, where it is making one count.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub versions: Vec<String>,
}

impl Found {
    /// Whether nothing is known that it lacks.
    pub fn is_open(&self) -> bool {
        self.roles.as_ref().is_none_or(|it| !it.is_empty())
    }

    /// For people: what it takes besides.
    pub(super) fn needs(&self) -> Option<String> {
        (!self.also_needs.is_empty()).then(|| format!("needs {} too", self.also_needs))
    }

    /// For people: the roles that it may pass, whose names others chose.
    pub(super) fn passes(&self) -> Option<String> {
        let roles = self.roles.as_ref()?;
        let service = self.passes_to.unwrap_or_default();
        Some(if roles.is_empty() {
            format!("no role that it may pass trusts {service} now")
        } else {
            format!("it may pass {}", roles.join(", "))
        })
    }

    /// For people: by which versions it leads to more.
    pub(super) fn by_versions(&self) -> Option<String> {
        (!self.versions.is_empty()).then(|| format!("more is given by {}", self.versions.join(", ")))
    }

    /// For people: those of the others that take more of the same.
    pub(super) fn variants(&self, all: &[Self]) -> Option<String> {
        let ids: Vec<_> = all.iter().filter(|it| it.variant_of == Some(self.id)).map(|it| it.id).collect();
        (!self.id.is_empty() && !ids.is_empty()).then(|| format!("variants {}", ids.join(", ")))
    }
}

/// What a report has no room for, and what is compared all the same.
#[derive(Debug, Clone, Default)]
pub(super) struct Uncut {
    /// By the service that they are passed to, of each to which some way passes one; `None`: not all were asked about.
    pub(super) passable: BTreeMap<&'static str, Option<BTreeMap<String, Answer>>>,
    /// Whom roles trust was read.
    pub(super) is_passing_asked: bool,
    /// Of its own account.
    pub(super) roles: BTreeMap<String, Answer>,
    /// Of others, as its policies name them.
    pub(super) roles_elsewhere: BTreeMap<String, Answer>,
    /// Of the actions by which an administrator is known.
    pub(super) probes: BTreeMap<&'static str, Answer>,
}

/// The answers about one identity.
#[derive(Debug, Clone, Serialize)]
pub struct Could {
    pub administrator: Decision,
    /// What is denied to it that an administrator was asked about.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub administrator_but: Vec<&'static str>,
    /// Of these and the following only what is not answered with no.
    pub escalations: Part<Found>,
    pub secrets: Part<Found>,
    pub data: Part<Found>,
    pub logging: Part<Found>,
    /// Of its own account.
    pub roles: Part<Assumable>,
    /// Roles that it might assume beyond those listed.
    pub more_roles: usize,
    /// Of other accounts: whom they trust is not read.
    pub roles_elsewhere: Part<Attempt>,
    #[serde(skip_serializing_if = "is_zero")]
    pub more_roles_elsewhere: usize,
    /// Of its own policies, that it may make count: those that give it more, or of which nobody knows.
    pub versions: Part<Other>,
    /// How many were judged.
    pub versions_read: usize,
    /// The statements that answers are by, each by its number.
    pub grants: BTreeMap<usize, Grant>,
    /// What could not be read, or is no policy.
    pub unread: Vec<String>,
    /// What there was too much of to ask.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_asked: Vec<String>,
    /// What the answers are about: what differs from what stands there now.
    pub notes: Vec<String>,
    /// AWS's own answers, beside those.
    pub simulation: Simulation,
    #[serde(skip)]
    pub(super) uncut: Uncut,
}

impl Could {
    /// Where nothing could be asked.
    pub fn not_known(why: &str) -> Self {
        Self {
            administrator: Decision::of(Answer::NotKnown),
            administrator_but: Vec::new(),
            escalations: Part::not_asked(why),
            secrets: Part::not_asked(why),
            data: Part::not_asked(why),
            logging: Part::not_asked(why),
            roles: Part::not_asked(why),
            more_roles: 0,
            roles_elsewhere: Part::not_asked(why),
            more_roles_elsewhere: 0,
            versions: Part::not_asked(why),
            versions_read: 0,
            grants: BTreeMap::new(),
            unread: vec![why.to_owned()],
            not_asked: Vec::new(),
            notes: Vec::new(),
            simulation: Simulation::not_asked(why),
            uncut: Uncut::default(),
        }
    }

    pub fn add_roles(&mut self, assumed: Assumed) {
        self.roles = Part::Asked(assumed.roles);
        self.more_roles = assumed.more;
        self.uncut.roles = assumed.all;
        self.not_asked.extend(assumed.not_asked);
    }

    /// To more rights: of those of which nothing is known that it lacks, each once.
    pub fn open_ways(&self) -> impl Iterator<Item = &Found> {
        self.escalations.iter().filter(|it| it.is_open() && it.variant_of.is_none())
    }
}
