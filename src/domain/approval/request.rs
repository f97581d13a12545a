//! A request: what is asked, about whom, and how far it has come.

use std::collections::BTreeSet;
use std::str::FromStr;

use serde_json::json;
use sha2::{Digest, Sha256};

use crate::change::Change;
use crate::coverage::{Approval, Kind};
use crate::decision::Decision;
use crate::finding::{Finding, Threat};
use crate::identity::{Identity, IdentityKind};
use crate::ids::{AccessKeyId, AccountId, Parse, PrincipalName, RequestId, UniqueId};
use crate::question::{Question, commands};
use crate::text;

/// The attributes that the form writes of a request: its role may write no other (`dynamodb:Attributes`).
/// `state` is not among them, so that no report can pass for something that was asked or decided.
pub const REPORT_ATTRIBUTES: &[&str] =
    &["id", "due_at", "due_bucket", "expires", "report_of", "reported", "request_id", "runs_until"];

/// How far a request has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// It came from the form, and the responder has not looked at it.
    Reported,
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
    pub const ALL: [Self; 7] =
        [Self::Reported, Self::Waiting, Self::Approved, Self::Declined, Self::Expired, Self::Done, Self::Failed];

    /// As the ledger and the command `requests` write it.
    pub fn word(self) -> &'static str {
        match self {
            Self::Reported => "reported",
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

/// What somebody reported with the form: a claim, looked at by nobody.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    pub account: AccountId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<PrincipalName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub role: Option<PrincipalName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub access_key: Option<AccessKeyId>,
    /// What happened, in the reporter's words.
    pub text: String,
    /// Who is logged in at the form.
    pub by: String,
    /// Where the report came from, as a network: `192.0.2.0/24`.
    pub network: String,
    /// Milliseconds since 1970.
    pub at: i64,
}

impl Reported {
    /// What makes two reports one: the key where there is one, else the user or role.
    pub fn subject(&self) -> String {
        let who = match (&self.access_key, &self.user, &self.role) {
            (Some(key), _, _) => format!("key/{key}"),
            (None, Some(user), _) => format!("user/{user}"),
            (None, None, Some(role)) => format!("role/{role}"),
            (None, None, None) => "-".to_owned(),
        };
        format!("{}#{who}", self.account)
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
    /// The response by which the identity is denied everything while it waits, for a restore to name it.
    pub struck: Option<String>,
    /// There are many open ones of its threat and account: it is told of in a list.
    pub is_beyond: bool,
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
            is_struck: self.struck.is_some(),
            is_beyond: self.is_beyond,
        }
    }

    pub fn threat(&self) -> Threat {
        self.finding.threat
    }

    /// `by`: who approved, in words.
    pub fn approval(&self, request: &RequestId, by: &str) -> Approval {
        let (unique_id, kinds) = (self.target.id.clone(), self.kinds.clone());
        Approval { request: request.clone(), unique_id, kinds, by: text::line(by, 600) }
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

/// A request as the ledger has it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    pub id: RequestId,
    /// What the responder wrote last; absent for a report that it has not looked at.
    pub stored: Option<State>,
    pub reported: Option<Reported>,
    pub asked: Option<Asked>,
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
    /// Its message in Slack.
    pub card: Option<Card>,
}

/// A message in Slack that is changed when there is something else to show.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Card {
    /// The channel or person of the settings.
    pub posted_to: String,
    /// Where Slack put it.
    pub channel: String,
    pub ts: String,
    /// The mark of what it shows.
    pub shown: String,
}

impl Request {
    /// `now` in milliseconds since 1970.
    pub fn state(&self, now: i64) -> State {
        state(self.stored, self.ruling.as_ref(), self.asked.as_ref().map(|it| it.expires_at), now)
    }
}

/// Expiry is a comparison, whatever was written.
pub(super) fn state(stored: Option<State>, ruling: Option<&Ruling>, expires_at: Option<i64>, now: i64) -> State {
    match (stored, ruling.map(|it| it.decision), expires_at) {
        (None, ..) => State::Reported,
        (Some(State::Waiting), Some(Decision::Approve), _) => State::Approved,
        (Some(State::Waiting), Some(Decision::Decline), _) => State::Declined,
        (Some(State::Waiting), None, Some(expires_at)) if expires_at <= now => State::Expired,
        (Some(state), ..) => state,
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
            stored: Some(State::Waiting),
            reported: None,
            asked: Some(asked(Threat::UnusedUser)),
            ruling: None,
            votes: Vec::new(),
            approvers: Vec::new(),
            verdict: None,
            reason: None,
            joined: None,
            told_at: None,
            ended_at: None,
            attempts: 0,
            card: None,
        };
        assert_eq!((it.state(1_999), it.state(2_000)), (State::Waiting, State::Expired));
        it.ruling = Some(Ruling { decision: Decision::Approve, by: "Dana".to_owned(), at: 1_500 });
        assert_eq!(it.state(9_000), State::Approved);
        it.stored = Some(State::Done);
        assert_eq!(it.state(9_000), State::Done);
        // No report passes for something that was decided.
        it.stored = None;
        assert_eq!(it.state(9_000), State::Reported);
    }
}
