//! What is known, as one value: JSON as it is, Markdown by `markdown`.
//!
//! Every claim has its evidence: an event's ID, a request's ID, a policy and statement, or when something was read.

use aws_smithy_types::DateTime;
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::behaviour::{Did, did, time};
use super::chain::Link;
use super::could::Could;
use super::left::{Left, left};
use super::risk::{Risk, risk};
use super::trail::Event;
use crate::history::Kept;
use crate::identity::{Identity, IdentityKind};
use crate::ids::AccountId;
use crate::suspects::Suspect;
use crate::text;
use crate::verdict::Verdict;

/// Late records come within minutes, in measured cases after up to 85: two hours are waited for.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html>
const SETTLED_SECONDS: i64 = 2 * 3_600;

/// Whom it is about, and the period.
#[derive(Debug, Clone)]
pub struct About<'a> {
    pub identity: &'a Identity,
    pub account: &'a AccountId,
    /// Seconds since 1970, as all times here.
    pub from: i64,
    pub to: i64,
    /// When what is suspected began.
    pub since: Option<i64>,
    /// When somebody was told first.
    pub detected: Option<i64>,
    /// How many reports there were, with this one.
    pub revision: i64,
}

/// What was looked up in CloudTrail, and how far.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Looked {
    pub region: String,
    /// The one attribute of the look-up: `Username=alice`.
    pub by: String,
    pub events: usize,
    pub pages: usize,
    /// Why it is not complete.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// Everything that was found out.
#[derive(Debug, Clone)]
pub struct Found<'a> {
    pub kept: &'a Kept,
    pub could: Could,
    /// Of the identity and its sessions, each once.
    pub events: Vec<Event>,
    pub sessions: Vec<Link>,
    pub looked: Vec<Looked>,
    /// What else could not be read, in words.
    pub unread: Vec<String>,
    /// Whether what was left behind is still there, by its event's ID.
    pub exists: Vec<(String, String)>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Containment {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub verdict: Option<Verdict>,
    /// When everything was read to be in place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_at: Option<String>,
    pub responses: Vec<Value>,
    /// What was done, with the request IDs that CloudTrail has too.
    pub actions: Vec<Value>,
}

/// For other programs: as they are, and not for a person to click.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Indicators {
    pub addresses: Vec<String>,
    pub user_agents: Vec<String>,
    pub access_keys: Vec<String>,
    pub identities: Vec<String>,
}

#[derive(Debug, Clone, Default, Serialize)]
pub struct Times {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub began: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contained: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_detect: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seconds_to_contain: Option<i64>,
}

#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    pub revision: i64,
    /// Records that come late may be missing.
    pub is_provisional: bool,
    pub made_at: String,
    pub account: String,
    pub principal: Value,
    pub from: String,
    pub to: String,
    pub summary: Vec<String>,
    pub risk: Risk,
    pub containment: Containment,
    pub could: Could,
    pub did: Did,
    pub left: Vec<Left>,
    pub sessions: Vec<Link>,
    pub indicators: Indicators,
    pub times: Times,
    pub looked_at: Vec<Looked>,
    pub not_looked_at: Vec<String>,
    pub open_points: Vec<String>,
    pub next_steps: Vec<String>,
    pub undo: String,
}

impl Evidence {
    pub fn of(about: &About<'_>, found: Found<'_>) -> Self {
        let did = did(&found.events, about.since);
        let left = left(about.identity, &found.events, &found.exists);
        let containment = containment(found.kept);
        let risk = risk(&found.could, &did, &left, containment.verdict.is_some_and(|it| !it.is_success()));
        let times = times(about, found.kept);
        let not_looked_at = not_looked_at(&found);
        let mut evidence = Self {
            revision: about.revision,
            is_provisional: contained_at(found.kept).is_none_or(|it| about.to < it + SETTLED_SECONDS),
            made_at: time(about.to),
            account: about.account.to_string(),
            principal: json!({"type": about.identity.kind, "name": about.identity.name, "id": about.identity.id, "arn": about.identity.arn}),
            from: time(about.from),
            to: time(about.to),
            summary: Vec::new(),
            risk,
            containment,
            indicators: indicators(&did, &found, &left),
            could: found.could,
            did,
            left,
            sessions: found.sessions,
            times,
            looked_at: found.looked,
            not_looked_at,
            open_points: Vec::new(),
            next_steps: Vec::new(),
            undo: undo(about),
        };
        evidence.open_points = evidence.open_points();
        evidence.next_steps = evidence.next_steps(about);
        evidence.summary = evidence.five_lines(about);
        evidence
    }

    /// What is kept of it beside the log: its five lines, and the hash by which the whole can be told from another.
    pub fn gist(&self) -> Value {
        json!({
            "revision": self.revision,
            "is_provisional": self.is_provisional,
            "made_at": self.made_at,
            "risk": self.risk,
            "summary": self.summary,
            "sha256": self.sha256(),
        })
    }

    /// Of the JSON as it is handed out.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(json!(self).to_string()))
    }

    /// The message that people get, the subject first.
    pub fn message(&self, new_suspects: &[Suspect]) -> (String, String) {
        let field = |name: &str| self.principal.get(name).and_then(Value::as_str).unwrap_or_default();
        let subject = format!(
            "Evidence: {} {} in {}: risk {}",
            field("type"),
            field("name"),
            self.account,
            self.risk.level.word()
        );
        let mut lines = self.summary.clone();
        if !new_suspects.is_empty() {
            lines.push(String::new());
            lines.push("NEW SUSPECTS:".to_owned());
            lines.extend(new_suspects.iter().take(20).map(|it| format!("- {}", it.words)));
            let more = new_suspects.len().saturating_sub(20);
            lines.extend((more > 0).then(|| format!("- and {more} more")));
        }
        lines.push(String::new());
        lines.extend(self.next_steps.iter().map(|it| format!("Next: {it}")));
        lines.push(format!("Revision {}, SHA-256 of its JSON: {}", self.revision, self.sha256()));
        (subject, lines.join("\n"))
    }

    /// Those that are to be kept with the identity until a person closes each.
    pub fn suspects(&self) -> Vec<Suspect> {
        let mut suspects: Vec<_> = self.left.iter().filter(|it| !it.is_on_itself).map(Left::suspect).collect();
        let is_contained = !self.containment.responses.is_empty();
        // A session outlives the deny of whoever made it, for twelve hours at most.
        let alive = self.sessions.iter().filter(|it| it.role.is_some() && is_contained);
        suspects.extend(alive.filter(|it| time(it.at + MOST_SESSION_SECONDS) > self.to).map(session));
        suspects
    }

    /// What a person reads on a phone.
    fn five_lines(&self, about: &About<'_>) -> Vec<String> {
        let (identity, did) = (about.identity, &self.did);
        let verdict = match (self.containment.verdict, &self.containment.read_at) {
            (Some(verdict), Some(at)) => format!("{}, read at {at}", verdict.words()),
            (Some(verdict), None) => verdict.words().to_owned(),
            (None, _) => "nothing was contained".to_owned(),
        };
        let answer = |words: &str, count: usize| {
            if count == 0 { format!("no {words}") } else { format!("{count} ways to {words}") }
        };
        let could = format!(
            "Could: administrator {}; {}; {}; {} roles to assume.",
            self.could.administrator.answer.word(),
            answer("get more rights", self.could.escalations.len()),
            answer("reach secrets or data", self.could.secrets.len() + self.could.data.len()),
            self.could.roles.len() + self.could.more_roles
        );
        let calls = match (&did.first_seen, &did.last_seen) {
            (Some(first), Some(last)) => format!(
                "{} calls from {first} to {last}, {} refused, {} addresses, {} sessions made",
                did.calls,
                did.failed,
                did.addresses.len(),
                self.sessions.len()
            ),
            _ => "no event was found, which is no proof that there was none".to_owned(),
        };
        let suspects = self.suspects().len();
        let provisional = if self.is_provisional { "; provisional, late records may be missing" } else { "" };
        vec![
            format!(
                "{} `{}` ({}) in account {}: {verdict}.",
                identity.kind.word(),
                identity.name,
                identity.id,
                about.account
            ),
            format!(
                "Risk {} by rule: {}.",
                self.risk.level.word(),
                if self.risk.because.is_empty() {
                    "none of the rules holds".to_owned()
                } else {
                    self.risk.because.join("; ")
                }
            ),
            could,
            format!("Did: {calls}."),
            format!(
                "Left behind: {}; not looked at: {}{provisional}.",
                if suspects == 0 {
                    "no suspects".to_owned()
                } else {
                    format!("{suspects} suspects, each for a person to look at")
                },
                self.not_looked_at.len()
            ),
        ]
    }

    fn open_points(&self) -> Vec<String> {
        let mut points = Vec::new();
        if self.is_provisional {
            points.push(
                "CloudTrail's records come late, by minutes and up to two hours: ask for the report again then"
                    .to_owned(),
            );
        }
        if self.did.calls == 0 {
            points.push("no event was found: inconclusive, and no proof that nothing was done".to_owned());
        }
        points.extend(
            self.looked_at
                .iter()
                .filter_map(|it| Some(format!("{} in {}: {}", it.by, it.region, it.missing.as_ref()?))),
        );
        points.extend(
            self.sessions
                .iter()
                .filter_map(|it| Some(format!("session {} was not followed: {}", it.key, it.not_followed.as_ref()?))),
        );
        points
    }

    fn next_steps(&self, about: &About<'_>) -> Vec<String> {
        let mut steps = Vec::new();
        let account = about.account;
        if self.containment.verdict.is_some_and(|it| !it.is_success()) {
            steps.push(
                "contain the identity: the last response did not end well, its alert says what is open".to_owned(),
            );
        }
        if !self.suspects().is_empty() {
            steps.push(
                "look at each suspect: contain it or delete it, then close it by `close-suspect` with who and why"
                    .to_owned(),
            );
        }
        let mut roles: Vec<_> = self.sessions.iter().filter_map(|it| it.role.as_deref()?.rsplit('/').next()).collect();
        roles.sort_unstable();
        roles.dedup();
        let names = roles.into_iter().take(10).map(|it| text::line(it, 64));
        steps.extend(names.map(|role| {
            format!(
                "revoke the sessions of role {role}: {}",
                json!({"command": "contain", "account": account, "role": role})
            )
        }));
        if !self.could.secrets.is_empty() {
            steps.push("rotate the secrets that it could read".to_owned());
        }
        if self.is_provisional {
            let field = if about.identity.kind == IdentityKind::User { "user" } else { "role" };
            let again = json!({"command": "report", "account": account, field: about.identity.name});
            steps.push(format!("ask for this report again in two hours: {again}"));
        }
        steps
    }
}

/// The longest that a role's session lasts.
const MOST_SESSION_SECONDS: i64 = 12 * 3_600;

fn session(link: &Link) -> Suspect {
    Suspect {
        id: text::line(&link.key, 128),
        words: format!(
            "open suspect: session {} ({}) was made by {} at {}, event {}: it may live for twelve hours",
            text::line(&link.key, 128),
            text::line(&link.session, 200),
            text::line(&link.by, 128),
            time(link.at),
            text::line(&link.event, 64)
        ),
        since: link.at.saturating_mul(1_000),
    }
}

fn containment(kept: &Kept) -> Containment {
    let at = |millis: i64| DateTime::from_millis(millis).to_string();
    let responses = kept
        .responses
        .iter()
        .map(|it| json!({"id": it.id, "finding": it.finding, "at": at(it.at), "verdict": it.verdict}));
    Containment {
        verdict: kept.verdict,
        read_at: kept.held_at.map(at),
        responses: responses.collect(),
        actions: kept.applied.clone(),
    }
}

fn contained_at(kept: &Kept) -> Option<i64> {
    kept.held_at.filter(|_| kept.verdict.is_some_and(Verdict::is_success)).map(|it| it / 1_000)
}

fn times(about: &About<'_>, kept: &Kept) -> Times {
    let contained = contained_at(kept);
    let between = |a: Option<i64>, b: Option<i64>| Some((b? - a?).max(0));
    Times {
        began: about.since.map(time),
        detected: about.detected.map(time),
        contained: contained.map(time),
        seconds_to_detect: between(about.since, about.detected),
        seconds_to_contain: between(about.detected, contained),
    }
}

fn indicators(did: &Did, found: &Found<'_>, left: &[Left]) -> Indicators {
    let values = |seen: &[super::behaviour::Seen]| seen.iter().map(|it| it.value.clone()).collect();
    let mut keys: Vec<_> = found.events.iter().map(|it| it.actor.key.clone()).filter(|it| !it.is_empty()).collect();
    keys.extend(found.sessions.iter().map(|it| it.key.clone()));
    keys.sort();
    keys.dedup();
    let identities = left.iter().filter_map(|it| it.trace.unique_id.clone()).collect();
    Indicators {
        addresses: values(&did.addresses),
        user_agents: values(&did.user_agents),
        access_keys: keys,
        identities,
    }
}

fn not_looked_at(found: &Found<'_>) -> Vec<String> {
    let mut missing = vec![
        "data events (objects in S3, items of DynamoDB, invocations of functions): CloudTrail's event history has none"
            .to_owned(),
        "service and resource control policies, and policies of resources".to_owned(),
    ];
    let mut regions: Vec<_> = found.looked.iter().map(|it| it.region.as_str()).collect();
    regions.sort_unstable();
    regions.dedup();
    missing.push(if regions.is_empty() {
        "CloudTrail, in any region".to_owned()
    } else {
        format!("CloudTrail in other regions than {}", regions.join(", "))
    });
    missing.extend(found.unread.iter().cloned());
    missing
}

fn undo(about: &About<'_>) -> String {
    let field = if about.identity.kind == IdentityKind::User { "user" } else { "role" };
    let command =
        json!({"command": "restore", "account": about.account, field: about.identity.name, "by": "…", "reason": "…"});
    format!("send the restoring function {command}; keys stay inactive")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::evidence::answer::Holdings;
    use crate::evidence::could::Asker;
    use crate::evidence::document::Policy;
    use crate::evidence::risk::Level;
    use crate::evidence::trail::Minted;
    use crate::evidence::trail::tests::event;
    use crate::fixtures::{identity, parsed};
    use crate::history::Response;

    fn could(document: &str) -> Could {
        let policies = vec![Policy::new("inline policy", "p", None, document)];
        let holdings = Holdings { policies, ..Holdings::default() };
        let arn = "arn:aws:iam::111122223333:user/alice";
        Asker { holdings: &holdings, account: &parsed("111122223333"), partition: &parsed("aws"), arn }.ask()
    }

    /// At 10,000 s, of everything from the first second on.
    pub(in crate::evidence) fn report(
        document: &str,
        events: Vec<Event>,
        sessions: Vec<Link>,
        kept: &Kept,
    ) -> Evidence {
        let (identity, account) = (identity(IdentityKind::User), parsed("111122223333"));
        let about = About {
            identity: &identity,
            account: &account,
            from: 0,
            to: 10_000,
            since: Some(50),
            detected: Some(80),
            revision: 1,
        };
        let looked = Looked {
            region: "us-east-1".to_owned(),
            by: "Username=alice".to_owned(),
            events: 1,
            pages: 1,
            missing: None,
        };
        let (could, looked) = (could(document), vec![looked]);
        Evidence::of(&about, Found { kept, could, events, sessions, looked, unread: Vec::new(), exists: Vec::new() })
    }

    fn contained(at: i64) -> Kept {
        let response = Response::new("compromised-credential", "f", DateTime::from_secs(90), Value::Null);
        let verdict = Some(Verdict::Contained);
        Kept { verdict, held_at: Some(at * 1_000), responses: vec![response], ..Kept::default() }
    }

    pub(in crate::evidence) fn leaving(object: &str, detail: &str, unique_id: Option<&str>) -> Event {
        let trace = Trace {
            what: "created user",
            object: object.to_owned(),
            unique_id: unique_id.map(str::to_owned),
            detail: detail.to_owned(),
            user: Some(object.to_owned()),
            role: None,
        };
        Event { trace: Some(trace), is_read: false, ..event("CreateUser", 100) }
    }

    use crate::evidence::persistence::Trace;

    const ADMINISTRATOR: &str = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    const READER: &str = r#"{"Statement":{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}}"#;

    #[test]
    fn a_benign_user_gives_a_calm_report() {
        let report = report(READER, vec![event("ListUsers", 40), event("ListUsers", 60)], Vec::new(), &Kept::default());
        assert_eq!((report.risk.level, report.risk.because.len()), (Level::Low, 0));
        assert!(report.suspects().is_empty() && report.summary.len() == 5);
        assert!(report.summary[4].contains("no suspects") && report.summary[4].contains("provisional"));
        assert!(!report.not_looked_at.is_empty());
    }

    #[test]
    fn what_an_intruder_left_is_a_suspect_with_its_evidence() {
        let minted = Minted {
            key: "ASIA1".to_owned(),
            session: "s".to_owned(),
            role: Some("arn:aws:iam::1:role/app".to_owned()),
        };
        let mut chain = crate::evidence::chain::Chain::default();
        chain.add(&[&Event { minted: Some(minted), ..event("AssumeRole", 100) }], "1");
        let events = vec![leaving("mallory", "", Some("AIDAMALLORY")), leaving("alice", "arn:x", None)];
        let report = report(ADMINISTRATOR, events, chain.links(), &contained(120));
        assert_eq!(report.risk.level, Level::Critical);
        let suspects = report.suspects();
        let ids: Vec<_> = suspects.iter().map(|it| it.id.as_str()).collect();
        assert_eq!(ids, ["AIDAMALLORY", "ASIA1"]);
        assert!(suspects[0].words.contains("mallory") && suspects[0].words.contains("event CreateUser-100"));
        assert!(report.left.iter().any(|it| it.is_on_itself));
        assert_eq!((report.times.seconds_to_detect, report.times.seconds_to_contain), (Some(30), Some(40)));
        assert!(report.next_steps.iter().any(|it| it.contains(r#""role":"app""#)));
    }

    #[test]
    fn a_report_is_final_when_late_records_are_in() {
        let is_provisional = |kept| report(READER, Vec::new(), Vec::new(), &kept).is_provisional;
        assert!(is_provisional(contained(9_000)) && is_provisional(Kept::default()));
        assert!(!is_provisional(contained(10_000 - SETTLED_SECONDS)));
        let failed = Kept { verdict: Some(Verdict::NotContained), ..contained(100) };
        assert!(is_provisional(failed.clone()));
        assert_eq!(report(READER, Vec::new(), Vec::new(), &failed).risk.level, Level::Critical);
    }

    #[test]
    fn nothing_found_is_inconclusive() {
        let report = report(READER, Vec::new(), Vec::new(), &contained(120));
        assert!(report.open_points.iter().any(|it| it.contains("inconclusive")));
        assert!(report.summary[3].contains("no proof"));
    }
}
