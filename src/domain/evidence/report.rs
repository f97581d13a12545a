//! What is known, as one value: JSON as it is, Markdown by `markdown`.
//!
//! Every claim has its evidence: an event's ID, a request's ID, a policy and statement, or when something was read.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde::Serialize;
use serde_json::{Value, json};

use super::behaviour::{Did, did};
use super::chain::Link;
use super::could::Could;
use super::facts::{About, Containment, Found, Indicators, Looked, NotTold, Times};
use super::facts::{contained_at, containment, indicators, not_looked_at, times, undo};
use super::left::{Left, left};
use super::revision::{Changes, Lost};
use super::risk::{Known, Level, Risk, risk};
use super::room;
use super::trail::time;
use crate::suspects::Suspect;
use crate::text;

#[derive(Debug, Clone, Serialize)]
pub struct Evidence {
    /// What a person names it by: account, unique ID and revision.
    pub id: String,
    pub revision: i64,
    /// How it differs from the report before it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub changes: Option<Changes>,
    /// Records that come late may be missing.
    pub is_provisional: bool,
    pub made_at: String,
    pub account: String,
    pub principal: Value,
    /// It is not there any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gone: Option<String>,
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
    /// What an earlier revision of the period found so, and this one did not.
    pub not_seen_again: Vec<Lost>,
    pub more_not_seen_again: usize,
    pub sessions: Vec<Link>,
    /// How many more sessions it made.
    pub more_sessions: usize,
    pub indicators: Indicators,
    pub times: Times,
    pub looked_at: Vec<Looked>,
    /// How many more look-ups there were, or should have been.
    pub more_looked_at: usize,
    pub not_looked_at: Vec<String>,
    pub open_points: Vec<String>,
    pub next_steps: Vec<String>,
    pub undo: String,
    /// For what CloudTrail's event history does not have.
    pub athena_query: String,
    /// Of everything, whatever the lists have room for.
    #[serde(skip)]
    suspects: Vec<Suspect>,
}

impl Evidence {
    pub fn of(about: &About<'_>, mut found: Found<'_>) -> Self {
        let did = did(&found.events, about.since);
        // Judged is all of it; what there is no room for is cut after that, the gravest last.
        let left = left(about, &found);
        // What it was made of is not read any more.
        let before = found.before.take();
        let recent = before.as_ref().filter(|it| it.made_at >= time(about.from));
        let events = left.iter().map(|it| it.event.as_str()).collect();
        let (not_seen_again, more_not_seen_again) =
            room::first(recent.map(|it| it.lost(&events)).unwrap_or_default(), MOST_LOST, MOST_BYTES_OF_LOST);
        let containment = containment(&found.standing);
        let is_allowed_more = recent.is_some_and(|it| it.is_allowed_more_by_aws);
        let risk = risk(&Known {
            could: &found.could,
            did: &did,
            left: &left,
            sessions: &found.sessions,
            looked: &found.looked,
            unread: &found.unread,
            has_lost: !not_seen_again.is_empty() || (is_allowed_more && found.could.simulation.is_in_part()),
            is_open: containment.is_open(),
            before: recent.and_then(|it| Level::of_word(&it.risk)),
        });
        let times = times(about, &found.standing);
        let not_looked_at = not_looked_at(&found);
        let sessions = in_weight(std::mem::take(&mut found.sessions), |it| (it.not_followed.is_some(), Reverse(it.at)));
        let suspects = suspects(about, &left, &sessions, !containment.responses.is_empty());
        let roles = roles(&sessions);
        found.sessions = sessions;
        let (mut left, more_left) = room::first(left, MOST_LEFT, MOST_BYTES_OF_LEFT);
        left.sort_by(|a, b| (&a.at, &a.event).cmp(&(&b.at, &b.event)));
        let made = left.iter().filter_map(|it| it.trace.unique_id.clone()).collect();
        let indicators = indicators(&did, &found, made);
        let (sessions, more_sessions) = room::first(found.sessions, MOST_SESSIONS, usize::MAX);
        // Those that were cut short before those that are whole, and both before those that were not made.
        let looked = in_weight(found.looked, |it| (it.pages == 0, it.missing.is_none()));
        let incomplete = looked.iter().skip(MOST_LOOKED).filter(|it| it.missing.is_some()).count();
        let (looked_at, more_looked_at) = room::first(looked, MOST_LOOKED, usize::MAX);
        let mut evidence = Self {
            id: format!("{}/{}/{}", about.account, about.identity.id, about.revision),
            revision: about.revision,
            changes: None,
            gone: about.gone.clone(),
            is_provisional: contained_at(&found.standing).is_none_or(|it| about.to < it + SETTLED_SECONDS),
            made_at: time(about.to),
            account: about.account.to_string(),
            principal: json!({"type": about.identity.kind, "name": about.identity.name, "id": about.identity.id, "arn": about.identity.arn}),
            from: time(about.from),
            to: time(about.to),
            summary: Vec::new(),
            risk,
            containment,
            indicators,
            could: found.could,
            did,
            left,
            more_left,
            not_seen_again,
            more_not_seen_again,
            sessions: in_weight(sessions, |it| (it.depth, it.at, it.key.clone())),
            more_sessions,
            times,
            looked_at,
            more_looked_at,
            not_looked_at,
            open_points: Vec::new(),
            next_steps: Vec::new(),
            undo: undo(about),
            athena_query: String::new(),
            suspects,
        };
        let (query, not_in_query) = evidence.query(about);
        evidence.athena_query = query;
        evidence.open_points = evidence.open_points(about, NotTold { in_query: not_in_query, incomplete });
        evidence.next_steps = evidence.next_steps(about, roles);
        evidence.summary = evidence.five_lines(about);
        evidence.changes = before.map(|it| it.changes(&evidence.gist()));
        evidence
    }

    /// Those that are to be kept with the identity until a person closes each: all, the gravest first.
    pub fn suspects(&self) -> Vec<Suspect> {
        self.suspects.clone()
    }
}

fn suspects(about: &About<'_>, left: &[Left], sessions: &[Link], is_contained: bool) -> Vec<Suspect> {
    let home = about.account.as_str();
    let left = left.iter().filter(|it| !it.is_on_itself).map(|it| it.suspect(home));
    // A session may outlive the deny of whoever made it.
    let alive =
        sessions.iter().filter(|it| is_contained && it.outlives_its_maker_until().is_some_and(|it| it > about.to));
    left.chain(alive.map(session)).collect()
}

/// Account and name of each role whose sessions there are, those first that were followed.
fn roles(sessions: &[Link]) -> Vec<(String, String)> {
    let mut seen = BTreeSet::new();
    let role = |it: &Link| Some((it.account.clone(), it.role.as_deref()?.rsplit('/').next()?.to_owned()));
    sessions.iter().filter_map(role).filter(|it| seen.insert(it.clone())).collect()
}

fn in_weight<T, K: Ord>(mut all: Vec<T>, weight: impl FnMut(&T) -> K) -> Vec<T> {
    all.sort_by_cached_key(weight);
    all
}

/// Late records come within minutes, in measured cases after up to 85: two hours are waited for.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html>
const SETTLED_SECONDS: i64 = 2 * 3_600;

/// Of each list so many, and where somebody else's words are long, so many bytes.
const MOST_LEFT: usize = 400;
const MOST_BYTES_OF_LEFT: usize = 600_000;
const MOST_LOST: usize = 200;
const MOST_BYTES_OF_LOST: usize = 60_000;
const MOST_SESSIONS: usize = 200;
const MOST_LOOKED: usize = 300;

fn session(link: &Link) -> Suspect {
    let id = text::distinct(&link.key, 128);
    let (whose, lives) = if link.is_of_root() { ("of root, ", "a quarter of an hour") } else { ("", "twelve hours") };
    Suspect {
        words: format!(
            "open suspect: session {id} ({whose}{}) in account {} was made by {} at {}, event {}: it may live for {lives}",
            text::line(&link.session, 200),
            text::line(&link.account, 20),
            text::line(&link.by, 128),
            time(link.at),
            text::line(&link.event, 64)
        ),
        id,
        since: link.at.saturating_mul(1_000),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_smithy_types::DateTime;

    use super::*;
    use crate::evidence::answer::Holdings;
    use crate::evidence::asking::Asker;
    use crate::evidence::document::Policy;
    use crate::evidence::left::tests::key;
    use crate::evidence::persistence::{Gravity, Trace};
    use crate::evidence::trail::tests::event;
    use crate::evidence::trail::{Event, Minted};
    use crate::fixtures::{identity, parsed};
    use crate::history::{Kept, Response};
    use crate::identity::{Identity, IdentityKind};
    use crate::verdict::Verdict;

    pub(in crate::evidence) fn could(document: &str) -> Could {
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
        report_of(could(document), events, sessions, kept)
    }

    pub(in crate::evidence) fn report_of(
        could: Could,
        events: Vec<Event>,
        sessions: Vec<Link>,
        kept: &Kept,
    ) -> Evidence {
        let alice = identity(IdentityKind::User);
        report_with(&alice, events, kept, |_, found| (found.could, found.sessions) = (could.clone(), sessions.clone()))
    }

    /// The same of whomever, and with whatever else.
    pub(in crate::evidence) fn report_with(
        identity: &Identity,
        events: Vec<Event>,
        kept: &Kept,
        change: impl Fn(&mut About<'_>, &mut Found<'_>),
    ) -> Evidence {
        let account = parsed("111122223333");
        let mut about = About {
            identity,
            account: &account,
            from: 0,
            to: 10_000,
            since: Some(50),
            detected: Some(80),
            revision: 1,
            gone: None,
            again_at: None,
        };
        let mut found = Found {
            standing: kept.into(),
            could: could(READER),
            events,
            sessions: Vec::new(),
            looked: vec![looked(None)],
            unread: Vec::new(),
            exists: Vec::new(),
            before: None,
        };
        change(&mut about, &mut found);
        Evidence::of(&about, found)
    }

    pub(in crate::evidence) fn looked(missing: Option<&str>) -> Looked {
        Looked {
            account: "111122223333".to_owned(),
            region: "us-east-1".to_owned(),
            by: "Username=alice".to_owned(),
            events: 0,
            pages: usize::from(missing.is_none()),
            missing: missing.map(str::to_owned),
        }
    }

    pub(in crate::evidence) fn contained(at: i64) -> Kept {
        let response = Response::new("compromised-credential", "f", DateTime::from_secs(90), Value::Null);
        let verdict = Some(Verdict::Contained);
        Kept { verdict, held_at: Some(at * 1_000), responses: vec![response], ..Kept::default() }
    }

    pub(in crate::evidence) fn leaving(object: &str, detail: &str, unique_id: Option<&str>) -> Event {
        let trace = Trace {
            what: "created user",
            gravity: Gravity::OfIdentity,
            object: object.to_owned(),
            unique_id: unique_id.map(str::to_owned),
            detail: detail.to_owned(),
            lets_in: detail.strip_prefix("lets in ").map(str::to_owned).into_iter().collect(),
            user: Some(object.to_owned()),
            role: None,
            thing: None,
        };
        Event { trace: Some(trace), is_read: false, ..event("CreateUser", 100) }
    }

    const ADMINISTRATOR: &str = r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#;
    pub(in crate::evidence) const READER: &str =
        r#"{"Statement":{"Effect":"Allow","Action":"ec2:Describe*","Resource":"*"}}"#;

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
        let events = vec![leaving("mallory", "", Some("AIDAMALLORY")), key(101, "AKIANEW")];
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

    fn root_event() -> Event {
        let text = json!({
            "eventID": "e", "eventTime": "1970-01-01T02:40:00Z", "eventSource": "sts.amazonaws.com", "eventName": "AssumeRoot",
            "awsRegion": "us-east-1", "recipientAccountId": "111122223333",
            "userIdentity": {"type": "IAMUser", "arn": "arn:aws:iam::111122223333:user/alice",
                "principalId": "AIDACKCEVSQ6C2EXAMPLE", "accessKeyId": "AKIAIOSFODNN7EXAMPLE"},
            "requestParameters": {"targetPrincipal": "222222222222",
                "taskPolicyArn": {"arn": "arn:aws:iam::aws:policy/root-task/S3UnlockBucketPolicy"}},
            "responseElements": {"credentials": {"accessKeyId": "ASIAROOT", "sessionToken": "x", "expiration": "x"}},
        });
        Event::parse(&text.to_string()).unwrap()
    }

    /// <https://docs.aws.amazon.com/IAM/latest/UserGuide/cloudtrail-integration.html>
    #[test]
    fn a_root_session_of_a_member_account_is_followed_there_and_is_a_suspect() {
        let event = root_event();
        let mut chain = crate::evidence::chain::Chain::default();
        chain.add(&[&event], "111122223333");
        let accounts: Vec<_> = chain.take_next().into_iter().map(|it| it.account).collect();
        let report = report(READER, vec![event], chain.links(), &contained(9_700));
        assert_eq!(accounts, ["222222222222"]);
        let suspects = report.suspects();
        assert!(suspects.iter().any(|it| it.id == "ASIAROOT" && it.words.contains("a quarter of an hour")));
        assert_eq!(report.risk.level, Level::Critical, "{:?}", report.risk.because);
    }
}
