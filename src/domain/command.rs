//! What a person asks for with `aws lambda invoke`, beside a containment.

use aws_smithy_types::DateTime;
use serde_json::{Value, json};

use crate::day::Day;
use crate::finding::Principal;
use crate::ids::{AccessKeyId, AccountId, Partition, PrincipalName, Region, RequestId, UniqueId};

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
    Drill { kind: DrillKind, if_older_than_days: f64 },
    /// Send the digests that are due.
    Digest,
    /// Say that somebody has seen a critical alert.
    Acknowledge(Acknowledge),
    /// Look at a critical alert: somebody clicked. Nothing of it is believed but the ID.
    Acknowledged(RequestId),
    /// Answer a request for approval.
    Decide(Decide),
    /// Lift the deny of what was declined, where one was set while people were asked: a schedule asks every minute.
    LiftDeclined,
    /// List the requests that are open.
    Requests,
    /// Look at a request: somebody decided, or reported. Nothing of it is believed but the ID.
    WakeUp(RequestId),
    /// Look through an account's users.
    Sweep(Sweep),
    /// Begin the day's sweep: which accounts there are.
    SweepAccounts(Run),
    /// Count what all accounts ask for, and say what is to be asked.
    SweepRelease(Release),
    /// Say which problems of an account were released.
    SweepShare(OfAccount),
    /// Ask about one problem that a sweep found, or do something about it.
    SweepAct(Act),
    /// End the day's sweep: tell people.
    SweepDigest(End),
    /// Report what an identity could do, did and left behind.
    Report(Report),
}

/// What raises the alarm of a drill.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum DrillKind {
    /// The drill reports its user on the bus.
    #[default]
    Reported,
    /// Nobody does: by CloudTrail and the account's own rule, that the user was made.
    Created,
}

impl DrillKind {
    pub const ALL: [Self; 2] = [Self::Reported, Self::Created];

    /// As commands and reports write it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Created => "created",
        }
    }
}

/// How a person sends it, in both of AWS's CLIs: a payload on the command line is Base64 in the second and text in the
/// first. Either waits for 60 s by default and then sends it again; no function runs for as long as it waits here.
pub(crate) fn typed(payload: &Value, function: &str) -> String {
    format!(
        "echo '{payload}' | aws lambda invoke --cli-read-timeout 320 --function-name {function} \
         --payload fileb:///dev/stdin answer.json"
    )
}

/// A person has seen an alert. Who that is, is only stated.
#[derive(Debug, Clone, PartialEq)]
pub struct Acknowledge {
    pub alert: RequestId,
    pub by: String,
    pub reason: String,
}

/// A person answers. Who that is, is only stated.
#[derive(Debug, Clone, PartialEq)]
pub struct Decide {
    pub request: RequestId,
    pub is_approval: bool,
    pub by: String,
    pub reason: String,
}

/// One account's sweep.
#[derive(Debug, Clone, PartialEq)]
pub struct Sweep {
    pub account: AccountId,
    /// The day that it counts for. Without one nothing is remembered: a person only looks.
    pub day: Option<Day>,
}

/// The sweep of a day, by what the state machine calls its execution: another start on that day is none.
#[derive(Debug, Clone, PartialEq)]
pub struct Run {
    pub day: Day,
    pub execution: String,
}

/// What there is to tell of a day.
#[derive(Debug, Clone, PartialEq)]
pub struct End {
    pub run: Run,
    /// Not everything that was released was sent.
    pub is_partly_sent: bool,
}

/// What a day's sweep asks for is to be asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Release {
    pub run: Run,
    /// The person who wants it though it was stopped, and why; of the state machine's own run there is none.
    pub by: Option<String>,
}

/// What of an account's day was released.
#[derive(Debug, Clone, PartialEq)]
pub struct OfAccount {
    pub day: Day,
    pub account: AccountId,
}

/// One problem, as the message that asks for it names it: everything else is read from what was released.
#[derive(Debug, Clone, PartialEq)]
pub struct Act {
    pub day: Day,
    pub account: AccountId,
    pub problem: String,
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
    /// And the users whom it made, who were contained for that.
    pub children: bool,
    /// Of a decline, by itself: whoever has it done tells what fails, once.
    pub is_lift: bool,
}

impl Restore {
    /// What a person sends, who says again who it is and why, and has looked at what changed before any `force`.
    pub fn words(&self) -> String {
        let Subject { account, principal, .. } = &self.subject;
        let mut it = json!({"command": "restore", "account": account, "by": "…", "reason": "…"});
        let mut set = |field: &str, value: Value| it.as_object_mut().and_then(|it| it.insert(field.to_owned(), value));
        if let Some((field, name)) = principal.target_key().split_once('/') {
            set(field, name.into());
        }
        if let Some(response) = &self.response {
            set("response", response.as_str().into());
        }
        if self.children {
            set("children", true.into());
        }
        it.to_string()
    }
}
