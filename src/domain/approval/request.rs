//! A request: what is asked, about whom, and how far it has come.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::card::Card;
use super::offer::Offer;
use super::reported::Reported;
use crate::change::Change;
use crate::coverage::{Approval, Kind};
use crate::decision::Decision;
use crate::finding::{Finding, Threat};
use crate::identity::{Identity, IdentityKind};
use crate::ids::{AccountId, Parse, RequestId, UniqueId};
use crate::question::{Barrier, Question, commands};
use crate::text;

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It came from the form, and the responder has not looked at it.
    Reported,
    /// Under an alert: people are asked once somebody clicks.
    Offered,
    Waiting,
    /// Approved, and being carried out.
    Approved,
    Declined,
    Expired,
    /// Carried out, and it held.
    Done,
    /// It could not be asked, or was not carried out: the reason says why.
    Failed,
}

impl State {
    pub const ALL: [Self; 8] = [
        Self::Reported,
        Self::Offered,
        Self::Waiting,
        Self::Approved,
        Self::Declined,
        Self::Expired,
        Self::Done,
        Self::Failed,
    ];

    /// As the ledger and the command `requests` write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reported => "reported",
            Self::Offered => "offered",
            Self::Waiting => "waiting",
            Self::Approved => "approved",
            Self::Declined => "declined",
            Self::Expired => "expired",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

impl FromStr for State {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        Self::ALL.into_iter().find(|it| it.word() == word).ok_or(())
    }
}

/// Whom a request is about, as IAM told when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    pub kind: IdentityKind,
    pub name: String,
    pub id: UniqueId,
    pub arn: String,
}

impl Target {
    pub fn of(identity: &Identity) -> Self {
        Self {
            kind: identity.kind,
            name: identity.name.to_string(),
            id: identity.id.clone(),
            arn: identity.arn.clone(),
        }
    }
}

/// A strike while people are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// The response that it is, for a restore to name it.
    pub response: String,
    pub barrier: Barrier,
}

/// What is asked.
#[derive(Debug, Clone, PartialEq)]
pub struct Asked {
    pub finding: Finding,
    /// Findings about the same identity that came while it waited.
    pub others: Vec<Finding>,
    pub target: Target,
    /// The plan in `observe`'s words, one change a line.
    pub plan: Vec<String>,
    pub kinds: BTreeSet<Kind>,
    pub plan_hash: String,
    /// What would be affected, one fact a line.
    pub affected: Vec<String>,
    /// Who asked: a person by the name that is known, or the source of the finding.
    pub requester: String,
    /// How many different approvers it takes.
    pub needed: i64,
    /// Milliseconds since 1970, as all times here.
    pub asked_at: i64,
    pub expires_at: i64,
    /// What was done at once, and holds the identity back while it waits.
    pub struck: Option<Struck>,
    /// There are many open ones of its threat and account: it is told of in a list.
    pub is_beyond: bool,
    /// Approvers, by their Slack IDs, who are whom it is about, or may be: they don't decide it.
    pub barred: BTreeSet<String>,
    /// Somebody clicked an offer under an alert, by the Slack ID: whatever the mode is, nothing but an approval
    /// carries it out.
    pub opened_by: Option<String>,
}

impl Asked {
    /// As it is told. `function`: whom to send commands to.
    pub fn question(&self, request: &RequestId, function: &str) -> Question {
        Question {
            request: request.clone(),
            requester: self.requester.clone(),
            needed: self.needed,
            expires_at: self.expires_at,
            commands: commands(request, function),
            plan: self.plan.clone(),
            affected: self.affected.clone(),
            struck: self.struck.as_ref().map(|it| it.barrier),
            is_beyond: self.is_beyond,
        }
    }

    pub fn threat(&self) -> Threat {
        self.finding.threat
    }

    /// `by`: who approved, in words; `approvers`: as they are known in AWS.
    pub fn approval(&self, request: &RequestId, by: &str, approvers: Vec<String>) -> Approval {
        let (unique_id, kinds) = (self.target.id.clone(), self.kinds.clone());
        Approval { request: request.clone(), unique_id, kinds, by: text::line(by, 600), approvers }
    }

    /// Whether what is kept still is what was hashed when it was asked.
    pub fn is_whole(&self) -> bool {
        plan_hash(&self.finding.account, &self.target.id, self.threat(), &self.kinds, &self.plan) == self.plan_hash
    }
}

/// Who decided what, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    pub decision: Decision,
    /// For people, safe to show.
    pub by: String,
    pub at: i64,
}

/// What was approved as the responder read it when it began: what whoever decides writes later is not looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub by: String,
    pub at: i64,
    pub votes: Vec<String>,
    pub approvers: Vec<String>,
}

impl Begun {
    /// `None`: it is not approved.
    pub fn of(request: &Request) -> Option<Self> {
        let ruling = request.ruling.as_ref().filter(|it| it.decision == Decision::Approve)?;
        let (votes, approvers) = (request.votes.clone(), request.approvers.clone());
        Some(Self { by: ruling.by.clone(), at: ruling.at, votes, approvers })
    }

    pub fn ruling(&self) -> Ruling {
        Ruling { decision: Decision::Approve, by: self.by.clone(), at: self.at }
    }
}

/// What people know of a request that expired while its identity is held back, and since when: each by itself.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Expiry {
    pub told_at: Option<i64>,
    pub incident_at: Option<i64>,
}

/// A request as the ledger has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub id: RequestId,
    /// How it ended; absent as long as it is open.
    pub ended: Option<State>,
    pub reported: Option<Reported>,
    pub asked: Option<Asked>,
    /// What was offered under an alert.
    pub offer: Option<Offer>,
    pub ruling: Option<Ruling>,
    /// Everybody who approved, in words.
    pub votes: Vec<String>,
    /// Their IDs.
    pub approvers: Vec<String>,
    /// How it ended, in the words of a report: the verdict, and why.
    pub verdict: Option<String>,
    pub reason: Option<String>,
    /// Another request that asks for the same: its decision is this one's.
    pub joined: Option<RequestId>,
    /// When people were told that it waits.
    pub told_at: Option<i64>,
    pub ended_at: Option<i64>,
    /// How often it was looked at and left for later.
    pub attempts: i64,
    /// Of a decline, what became of what had been done: people may still have to be told.
    pub lifted: Option<String>,
    /// Why that could not be lifted yet, as people were told.
    pub lift_trouble: Option<String>,
    /// How far people know that it expired.
    pub expiry: Expiry,
    /// It was approved in time, and somebody has begun to carry it out.
    pub is_begun: bool,
    /// An earlier try had begun to carry it out, and may have done some of it.
    pub is_resumed: bool,
    /// Taken up until then, or failed and tried again then. The responder alone writes it.
    pub again_at: Option<i64>,
    /// Of what could not be carried out yet, what people were told, as `Progress::trouble`.
    pub told_trouble: Option<String>,
    /// Its message in Slack.
    pub card: Option<Card>,
}

impl Request {
    /// What began or failed has its next try at a time of its own, whoever asks for one: a person's decision is
    /// none of these.
    pub fn is_put_off(&self, now: i64) -> bool {
        let goes_on = match self.state(now) {
            State::Approved => self.is_begun,
            State::Reported | State::Offered | State::Expired => self.attempts > 0,
            _ => false,
        };
        goes_on && self.again_at.is_some_and(|it| it > now)
    }

    /// The responder has taken up a decision, and people are told of that: what whoever decides wrote alone may be gone
    /// again before anybody reads it.
    pub fn is_answered(&self) -> bool {
        self.is_begun || matches!(self.ended, Some(State::Declined | State::Done | State::Failed))
    }

    /// `now` in milliseconds since 1970.
    pub fn state(&self, now: i64) -> State {
        let Some(offer) = self.offer.as_ref().filter(|_| self.ended.is_none()) else {
            return state(self.ended, self.asked.as_ref().map(|it| it.expires_at), self.ruling.as_ref(), now);
        };
        let has_run_out = offer.opened.is_none() && offer.expires_at <= now;
        if has_run_out { State::Expired } else { State::Offered }
    }
}

/// It is over where the responder wrote that it ended, whatever else is written; expiry is a comparison.
/// `expires_at`: absent where nobody was asked.
pub(super) fn state(ended: Option<State>, expires_at: Option<i64>, ruling: Option<&Ruling>, now: i64) -> State {
    match (ended, expires_at, ruling.map(|it| it.decision)) {
        (Some(state), ..) => state,
        (None, None, _) => State::Reported,
        (None, Some(_), Some(Decision::Approve)) => State::Approved,
        (None, Some(_), Some(Decision::Decline)) => State::Declined,
        (None, Some(expires_at), None) if expires_at <= now => State::Expired,
        (None, Some(_), None) => State::Waiting,
    }
}

/// 130 bits of SHA-256 as Base32. `parts`: what tells one request from another, and what nobody can foresee, such
/// as the ID of the invocation; the same ones again are the same request, so that a retry asks no second time.
pub fn request_id(parts: &[&str]) -> Option<RequestId> {
    const LETTERS: &[u8; 32] = b"abcdefghijklmnopqrstuvwxyz234567";
    let hash = Sha256::digest(json!(parts).to_string());
    let (mut text, mut bits, mut count) = (String::new(), 0_u32, 0);
    for byte in hash.iter().take(17) {
        bits = (bits << 8) | u32::from(*byte);
        count += 8;
        while count >= 5 && text.len() < 26 {
            count -= 5;
            let letter = usize::try_from((bits >> count) & 31).unwrap_or_default();
            text.push(char::from(LETTERS.get(letter).copied().unwrap_or(b'a')));
        }
        bits &= (1 << count) - 1;
    }
    RequestId::parse(&text).ok()
}

/// The version of the serialisation below: a change of it is another version, so that no hash of one is taken for
/// that of another.
const VERSION: u8 = 1;

/// What a decision is bound to: whom it is about, and what is to be done.
pub fn plan_hash(
    account: &AccountId,
    id: &UniqueId,
    threat: Threat,
    kinds: &BTreeSet<Kind>,
    plan: &[String],
) -> String {
    let mut plan: Vec<_> = plan.to_vec();
    plan.sort();
    // `serde_json` writes these fields in this order.
    let canonical = json!([account, id, threat.playbook(), kinds, plan]).to_string();
    let mut hash = Sha256::new();
    hash.update([VERSION]);
    hash.update(canonical);
    hex::encode(hash.finalize())
}

/// A plan in words, as `observe` mode reports it.
pub fn plan_words<'a>(changes: impl IntoIterator<Item = &'a Change>) -> Vec<String> {
    changes.into_iter().map(ToString::to_string).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coverage::{Extras, kinds};
    use crate::fixtures::{finding, identity, parsed};

    pub(crate) fn asked(threat: Threat) -> Asked {
        let (finding, identity) = (finding(threat), identity(IdentityKind::User));
        let kinds = kinds(threat, identity.kind, Extras::default());
        let plan = vec!["deactivate".to_owned(), "attach".to_owned()];
        let plan_hash = plan_hash(&finding.account, &identity.id, threat, &kinds, &plan);
        Asked {
            finding,
            others: Vec::new(),
            target: Target::of(&identity),
            plan,
            kinds,
            plan_hash,
            affected: Vec::new(),
            requester: "guard-duty".to_owned(),
            needed: 1,
            asked_at: 1_000,
            expires_at: 2_000,
            struck: None,
            is_beyond: false,
            barred: BTreeSet::new(),
            opened_by: None,
        }
    }

    #[test]
    fn an_id_is_the_same_for_the_same_and_fits_anywhere() {
        let id = request_id(&["a", "b"]).unwrap();
        assert_eq!(Some(id.clone()), request_id(&["a", "b"]));
        assert_ne!(Some(id), request_id(&["ab", ""]));
        assert_eq!(RequestId::parse("../../etc/passwd").ok(), None);
    }

    #[test]
    fn a_hash_is_of_account_identity_and_plan_whatever_its_order() {
        let it = asked(Threat::UnusedUser);
        assert!(it.is_whole());
        let turned = Asked { plan: it.plan.iter().rev().cloned().collect(), ..it.clone() };
        assert!(turned.is_whole());
        let more = Asked { plan: vec!["attach".to_owned()], ..it.clone() };
        let other = Asked { target: Target { id: parsed("AIDACKCEVSQ6C2ANOTHER"), ..it.target.clone() }, ..it.clone() };
        let graver = Asked { finding: finding(Threat::CompromisedCredential), ..it.clone() };
        let elsewhere = Asked { finding: Finding { account: parsed("444455556666"), ..it.finding.clone() }, ..it };
        assert!([more, other, graver, elsewhere].iter().all(|it| !it.is_whole()));
    }

    #[test]
    fn a_request_expires_by_the_clock_and_a_decision_outlives_that() {
        let mut it = Request {
            id: parsed("abcdefghijklmnopqrstuvwxyz"),
            ended: None,
            reported: None,
            asked: Some(asked(Threat::UnusedUser)),
            offer: None,
            ruling: None,
            votes: Vec::new(),
            approvers: Vec::new(),
            verdict: None,
            reason: None,
            joined: None,
            told_at: None,
            ended_at: None,
            attempts: 0,
            lifted: None,
            lift_trouble: None,
            expiry: Expiry::default(),
            is_begun: false,
            is_resumed: false,
            again_at: None,
            told_trouble: None,
            card: None,
        };
        assert_eq!((it.state(1_999), it.state(2_000)), (State::Waiting, State::Expired));
        it.ruling = Some(Ruling { decision: Decision::Approve, by: "Dana".to_owned(), at: 1_500 });
        assert_eq!(it.state(9_000), State::Approved);
        assert!(!Request { again_at: Some(9_500), ..it.clone() }.is_put_off(9_000));
        let begun = Request { is_begun: true, again_at: Some(9_500), ..it.clone() };
        assert_eq!((begun.is_put_off(9_000), begun.is_put_off(9_500)), (true, false));
        let expired = Request { ruling: None, attempts: 1, again_at: Some(9_500), ..it.clone() };
        assert_eq!((expired.is_put_off(9_000), expired.is_put_off(9_500)), (true, false));
        assert!(!Request { attempts: 0, ..expired }.is_put_off(9_000));
        // No report passes for something that was decided.
        it.asked = None;
        assert_eq!(it.state(9_000), State::Reported);
        it.ended = Some(State::Done);
        assert_eq!(it.state(9_000), State::Done);
    }
}
