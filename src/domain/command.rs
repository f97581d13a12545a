//! What a person asks for with `aws lambda invoke`, beside a containment.

use aws_smithy_types::DateTime;
use serde_json::{Value, json};

use crate::finding::Principal;
use crate::ids::{AccessKeyId, AccountId, Partition, PrincipalName, Region, UniqueId};

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// Take a containment back.
    Restore(Restore),
    /// Tell what is known of an identity.
    Status(Subject),
    /// Take up what is due: the schedule asks every minute.
    Due,
    /// Close a suspect that is kept with an identity, or all of them.
    CloseSuspect(CloseSuspect),
    /// Give up findings that the breaker put off.
    DropDeferred(DropDeferred),
    /// Hold a fire drill, unless the last one that passed is younger.
    Drill { if_older_than_days: f64 },
    /// Send the digests that are due.
    Digest,
    /// Report what an identity could do, did and left behind.
    Report(Report),
}

/// An identity as a person names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    pub account: AccountId,
    pub partition: Partition,
    pub principal: Principal,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    pub subject: Subject,
    /// Where the finding was; CloudTrail is asked there too.
    pub region: Region,
    /// A key or session that the finding names.
    pub access_key: Option<AccessKeyId>,
    /// When what is suspected began.
    pub since: Option<DateTime>,
    /// When somebody was told of it.
    pub detected: Option<DateTime>,
}

impl Report {
    /// As a function asks another for it.
    pub fn json(&self) -> Value {
        let time = |it: Option<DateTime>| it.map(|it| it.to_string());
        let named = |name: &Option<PrincipalName>, id: &Option<UniqueId>| match id {
            Some(id) => Some(id.to_string()),
            None => name.as_ref().map(ToString::to_string),
        };
        let (user, role) = match &self.subject.principal {
            Principal::User { name, id } => (named(name, id), None),
            Principal::Role { name, id, .. } => (None, named(name, id)),
            _ => (None, None),
        };
        let mut json = json!({"command": "report", "account": self.subject.account, "region": self.region});
        let given = [
            ("user", user),
            ("role", role),
            ("access_key", self.access_key.as_ref().map(ToString::to_string)),
            ("since", time(self.since)),
            ("detected", time(self.detected)),
        ];
        if let Some(fields) = json.as_object_mut() {
            fields.extend(given.into_iter().filter_map(|(field, value)| Some((field.to_owned(), value?.into()))));
        }
        json
    }
}

/// A person looked at a suspect: it is no verdict of ours.
#[derive(Debug, Clone, PartialEq)]
pub struct CloseSuspect {
    pub subject: Subject,
    /// As the report names it, or `all`.
    pub suspect: String,
    pub by: String,
    pub reason: String,
}

/// All of an account, or those about one principal.
#[derive(Debug, Clone, PartialEq)]
pub struct DropDeferred {
    pub account: AccountId,
    /// As the findings name it.
    pub principal: Option<Principal>,
    pub by: String,
    pub reason: String,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Restore {
    pub subject: Subject,
    pub reason: String,
    pub by: String,
    /// The response to take back, by its ID in the ledger; the last where none is named.
    pub response: Option<String>,
    /// Also when the identity changed since it was contained.
    pub force: bool,
}
