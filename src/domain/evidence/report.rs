//! What is known, as one value: JSON as it is, Markdown by `markdown`.
//!
//! Every claim has its evidence: an event's ID, a request's ID, a policy and statement, or when something was read.

use serde::Serialize;
use serde_json::{Value, json};

use super::behaviour::{Did, did, time};
use super::chain::Link;
use super::could::Could;
use super::facts::{About, Containment, Found, Indicators, Looked, Times};
use super::facts::{contained_at, containment, indicators, not_looked_at, times, undo};
use super::left::{Left, left};
use super::risk::{Risk, risk};
use crate::suspects::Suspect;
use crate::text;

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
    /// How many more things it left behind.
    pub more_left: usize,
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
        let mut left = left(about.identity, &found.events, &found.exists);
        let more_left = left.len().saturating_sub(MOST_LEFT);
        left.truncate(MOST_LEFT);
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
            more_left,
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

    /// Those that are to be kept with the identity until a person closes each.
    pub fn suspects(&self) -> Vec<Suspect> {
        let mut suspects: Vec<_> = self.left.iter().filter(|it| !it.is_on_itself).map(Left::suspect).collect();
        let is_contained = !self.containment.responses.is_empty();
        // A session outlives the deny of whoever made it, for twelve hours at most.
        let alive = self.sessions.iter().filter(|it| it.role.is_some() && is_contained);
        suspects.extend(alive.filter(|it| time(it.at + MOST_SESSION_SECONDS) > self.to).map(session));
        suspects
    }
}

/// Late records come within minutes, in measured cases after up to 85: two hours are waited for.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html>
const SETTLED_SECONDS: i64 = 2 * 3_600;

/// An answer of the function holds 6 MB, and nobody reads more.
const MOST_LEFT: usize = 400;

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

#[cfg(test)]
pub(super) mod tests {
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::evidence::answer::Holdings;
    use crate::evidence::could::Asker;
    use crate::evidence::document::Policy;
    use crate::evidence::persistence::Trace;
    use crate::evidence::risk::Level;
    use crate::evidence::trail::tests::event;
    use crate::evidence::trail::{Event, Minted};
    use crate::fixtures::{identity, parsed};
    use crate::history::{Kept, Response};
    use crate::identity::IdentityKind;
    use crate::verdict::Verdict;

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
