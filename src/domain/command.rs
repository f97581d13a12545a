//! What a person asks for with `aws lambda invoke`, beside a containment.

use crate::day::Day;
use crate::finding::Principal;
use crate::ids::{AccountId, Partition, RequestId};

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
    /// End the day's sweep: count what is asked for, and tell people.
    SweepDigest(Run),
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

/// An identity as a person names it.
#[derive(Debug, Clone, PartialEq)]
pub struct Subject {
    pub account: AccountId,
    pub partition: Partition,
    pub principal: Principal,
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
