//! Which calls of CloudTrail made somebody by a flagged credential. The investigating function names such calls by
//! their IDs and nothing else; whoever contains reads each anew and asks here what it is.
//!
//! INVARIANT: a call counts by the access key that CloudTrail says made it, and by no name; one that failed counts for
//! nothing. `tests/test_children.py` holds it.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;

use super::trail::Event;
use crate::child::{Child, Flagged, Followed, Link, MOST_LOOKED_AT, Made, Maker, Mark, Parent};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::history::Kept;
use crate::identity::Identity;
use crate::ids::{AccessKeyId, Parse, PrincipalName, UniqueId};
use crate::text;

const USER: &str = "CreateUser";
const KEY: &str = "CreateAccessKey";

/// How long before a behaviour was seen last its beginning is believed: GuardDuty tells of one that goes on every six
/// hours, so that what is older was told before, and with its first time in a finding that is months old come months of
/// what a pipeline makes with the same key.
/// <https://docs.aws.amazon.com/guardduty/latest/ug/guardduty_findings_cloudwatch.html>
const REACHES_BACK: i64 = 6 * HOUR;
/// And before the response, however late that is.
const REACHES_BACK_AT_MOST: i64 = 24 * HOUR;
const HOUR: i64 = 3_600;
/// Calls are looked at by so many seconds: those nearest to the detection first, and of those the oldest.
const STEP: i64 = 15 * 60;

/// The IDs of what may have been made by flagged credentials: those nearest to the detection first, so that what a
/// pipeline made with the same key before takes nobody's place. `gone`: what was not found by its name any more comes
/// last, so that whoever makes users and deletes them hides no other by them; it may be called otherwise by now. `seen`:
/// what needs no other look gives its room to what comes after.
pub fn made(
    events: &[Event],
    followed: &[Followed],
    detected: Option<i64>,
    gone: &BTreeSet<String>,
    seen: &BTreeSet<String>,
) -> Vec<String> {
    let is_by = |it: &Event, mark: &Followed| it.at >= mark.since && is_flagged(it, &mark.flagged);
    let is_made = |it: &&Event| it.source == IAM && [USER, KEY].contains(&it.name.as_str()) && it.error.is_none();
    let is_looked_for = |it: &&Event| is_event_id(&it.id) && followed.iter().any(|mark| is_by(it, mark));
    let is_new = |it: &&Event| !seen.contains(&it.id);
    let mut found: Vec<_> = events.iter().filter(is_made).filter(is_looked_for).filter(is_new).collect();
    let steps = |at: i64| detected.map_or(0, |detected| detected.saturating_sub(at).max(0) / STEP);
    // A user before the key that it is given.
    found.sort_by_key(|it| (gone.contains(&it.id), steps(it.at), it.at, it.name == KEY, it.id.clone()));
    found.into_iter().take(MOST_LOOKED_AT).map(|it| it.id.clone()).collect()
}

const IAM: &str = "iam.amazonaws.com";

/// By the key, which no session chooses.
fn is_flagged(event: &Event, flagged: &Flagged) -> bool {
    match flagged {
        Flagged::Key(key) => event.actor.key == key.as_str(),
        Flagged::User(id) => event.actor.principal_id == id.as_str() && !event.actor.key.is_empty(),
    }
}

/// Whether the caller is the identity by its unique ID, or a session of it.
fn is_of(event: &Event, id: &UniqueId) -> bool {
    let of_principal = event.actor.principal_id.split(':').next() == Some(id.as_str());
    of_principal || event.actor.issuer_id == id.as_str()
}

/// Whether it may be an event's ID: what is asked of CloudTrail, and kept.
pub fn is_event_id(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

/// Who was contained, by which response.
pub fn maker(finding: &Finding, identity: &Identity, response: &str) -> Maker {
    Maker {
        account: finding.account.clone(),
        partition: finding.partition.clone(),
        region: finding.region.clone(),
        id: identity.id.clone(),
        name: identity.name.clone(),
        response: response.to_owned(),
    }
}

/// Which credential a finding flags: the one that it names, or every key of whoever was made with one. None where it
/// does not say when a behaviour began.
pub fn flagged(finding: &Finding, identity: &Identity) -> Option<Flagged> {
    if finding.source == Source::Drill || began(finding).is_none() {
        return None;
    }
    match (finding.threat, &finding.access_key) {
        (Threat::CompromisedCredential, Some(key)) => Some(Flagged::Key(key.clone())),
        (Threat::PlantedKey, Some(key)) if finding.parent.is_some() => Some(Flagged::Key(key.clone())),
        (Threat::UnauthorizedUser, None) if finding.parent.is_some() => Some(Flagged::User(identity.id.clone())),
        _ => None,
    }
}

/// Who was made is its maker's from that moment on; of others only what tells of a behaviour says when that began.
fn began(finding: &Finding) -> Option<i64> {
    let began = if finding.source == Source::Child { finding.occurred_at } else { finding.began_at };
    Some(began?.secs())
}

/// Why nothing is looked for that somebody made whose credential is compromised; `None` where something is, or nobody
/// would expect it.
pub fn not_looked_for(finding: &Finding, identity: &Identity) -> Option<&'static str> {
    let is_expected = finding.threat == Threat::CompromisedCredential && finding.source != Source::Drill;
    match flagged(finding, identity) {
        None if !is_expected => None,
        None if finding.access_key.is_none() => Some("the finding names no access key"),
        None => Some("the finding does not say when a behaviour began"),
        Some(_) => None,
    }
}

/// The credential that a finding flags, with what people are to know where not all is looked at that the finding tells
/// of. `kept`: of the identity, before this response.
pub fn mark(
    finding: &Finding,
    identity: &Identity,
    response: &str,
    kept: &Kept,
    now: DateTime,
) -> Option<(Mark, Option<String>)> {
    let flagged = flagged(finding, identity)?;
    let seen = finding.occurred_at.map_or(now.secs(), |it| it.secs());
    let told = began(finding)?.min(seen);
    // By whole hours: a try a moment later means the same.
    let earliest = (now.secs() - REACHES_BACK_AT_MOST).div_euclid(HOUR) * HOUR;
    let earliest = if finding.source == Source::Child { told } else { earliest.max(seen - REACHES_BACK) };
    let restored = kept.restored.as_ref().map(|it| it.at.div_euclid(1_000) + 1);
    let since = told.max(earliest).max(restored.unwrap_or(told));
    let note = (since > told).then(|| {
        let why = match restored {
            Some(restored) if restored >= earliest => "it was restored then",
            _ => "what is older is as likely the owner's",
        };
        let (told, since) = (DateTime::from_secs(told), DateTime::from_secs(since));
        format!(
            "the behaviour began at {told}, and of what the credential made nothing is answered that is older than {since} \
             ({why}): see the report"
        )
    });
    let own = Link { id: identity.id.clone(), response: response.to_owned() };
    let above = finding.parent.iter().flat_map(|it| it.line.clone());
    let mark = Mark { flagged, since, finding: text::cut(&finding.id, 512), line: above.chain([own]).collect() };
    Some((mark, note))
}

/// What a call made, with the key that made it and what flags that, where it counts; otherwise why not.
pub fn child<'a>(
    event: &Event,
    id: &str,
    maker: &Maker,
    marks: &'a [Mark],
) -> Result<(Child, AccessKeyId, &'a Mark), &'static str> {
    if event.id != id || event.source != IAM || event.account != maker.account.as_str() {
        return Err("it is another call, or of another account");
    }
    if event.error.is_some() {
        return Err("the call failed");
    }
    let key = AccessKeyId::parse(&event.actor.key).map_err(|_| "no access key made it")?;
    if !is_of(event, &maker.id) {
        return Err("somebody else made it");
    }
    let mut of_key = marks.iter().filter(|it| is_flagged(event, &it.flagged)).peekable();
    of_key.peek().ok_or("another credential made it")?;
    let mark = of_key.find(|it| event.at >= it.since).ok_or("it was made before the behaviour began")?;
    let trace = event.trace.as_ref().ok_or("it made nothing")?;
    let made = trace.unique_id.as_deref().unwrap_or_default();
    let made = match event.name.as_str() {
        USER => {
            let id = UniqueId::parse(made).ok().filter(UniqueId::is_user).ok_or("it names no user's unique ID")?;
            let name = PrincipalName::parse(&trace.object).map_err(|_| "it names no user")?;
            Made::User { id, name }
        }
        KEY => {
            let id = AccessKeyId::parse(made).ok().filter(AccessKeyId::is_long_term).ok_or("it names no access key")?;
            let user = trace.user.as_deref().and_then(|it| PrincipalName::parse(it).ok());
            Made::Key { id, user: user.ok_or("it names no user")? }
        }
        _ => return Err("it makes neither a user nor a key"),
    };
    Ok((Child { event: event.id.clone(), made }, key, mark))
}

/// What is to be done about it, as a finding of its own: a user is denied everything, a key that an existing user was
/// given is deactivated and its owner left alone.
pub fn finding(event: &Event, child: &Child, key: AccessKeyId, maker: &Maker, mark: &Mark) -> Finding {
    let parent = Parent {
        id: maker.id.clone(),
        name: maker.name.clone(),
        access_key: key,
        finding: mark.finding.clone(),
        event: child.event.clone(),
        line: mark.line.clone(),
    };
    let (threat, principal, access_key) = match &child.made {
        Made::User { id, name } => {
            let principal = Principal::User { name: Some(name.clone()), id: Some(id.clone()) };
            (Threat::UnauthorizedUser, principal, None)
        }
        // Whose it is only AWS says: the name may be another's by now.
        Made::Key { id, .. } => (Threat::PlantedKey, Principal::KeyOwner, Some(id.clone())),
    };
    Finding {
        id: format!("child/{}/{}", maker.account, child.event),
        source: Source::Child,
        threat,
        severity: Severity::HIGH,
        account: maker.account.clone(),
        partition: maker.partition.clone(),
        region: maker.region.clone(),
        principal,
        access_key,
        kind: event.name.clone(),
        title: text::line(&format!("{} was {}", child.words(), parent.words()), 500),
        occurred_at: Some(DateTime::from_secs(event.at)),
        began_at: None,
        creator: Some(event.actor.arn.clone()),
        security_hub: None,
        parent: Some(parent),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::fixtures::{identity, parsed};
    use crate::identity::IdentityKind;

    const THIEF: &str = "AKIAIOSFODNN7EXAMPLE";
    const ID: &str = "0e1f2a3b-0000-4000-8000-000000000001";

    const RESPONSE: &str = "compromised-credential@1970-01-01T00:20:30Z";

    fn maker() -> Maker {
        Maker {
            account: parsed("111122223333"),
            partition: parsed("aws"),
            region: parsed("us-east-1"),
            id: parsed("AIDACKCEVSQ6C2EXAMPLE"),
            name: parsed("alice"),
            response: RESPONSE.to_owned(),
        }
    }

    fn mark(flagged: Flagged, since: i64) -> Mark {
        Mark { flagged, since, finding: "f".to_owned(), line: vec![maker().link()] }
    }

    fn marks() -> [Mark; 1] {
        [mark(Flagged::Key(parsed(THIEF)), 1_000)]
    }

    fn event(change: impl Fn(&mut Value)) -> Event {
        let mut event = json!({
            "eventID": ID,
            "eventTime": "1970-01-01T00:20:00Z",
            "eventSource": "iam.amazonaws.com",
            "eventName": "CreateUser",
            "recipientAccountId": "111122223333",
            "userIdentity": {"arn": "arn:aws:iam::111122223333:user/alice", "principalId": "AIDACKCEVSQ6C2EXAMPLE", "accessKeyId": THIEF},
            "requestParameters": {"userName": "mallory"},
            "responseElements": {"user": {"userName": "mallory", "userId": "AIDAMALLORY000EXAMPLE"}},
        });
        change(&mut event);
        Event::parse(&event.to_string()).unwrap()
    }

    fn key_event() -> Event {
        event(|it| {
            it["eventName"] = "CreateAccessKey".into();
            it["requestParameters"] = json!({"userName": "prod-admin"});
            it["responseElements"] = json!({"accessKey": {"userName": "prod-admin", "accessKeyId": "AKIAPLANTED000EXAMPL", "status": "Active"}});
        })
    }

    #[test]
    fn a_user_and_a_key_are_children_of_the_key_that_made_them() {
        let (maker, marks) = (maker(), marks());
        let (user, key, mark) = child(&event(|_| {}), ID, &maker, &marks).unwrap();
        assert_eq!(user.made, Made::User { id: parsed("AIDAMALLORY000EXAMPLE"), name: parsed("mallory") });
        let it = finding(&event(|_| {}), &user, key, &maker, mark);
        assert_eq!((it.threat, it.access_key), (Threat::UnauthorizedUser, None));
        assert_eq!(it.parent.unwrap().line, [maker.link()]);
        let planted = key_event();
        let (child, key, mark) = child(&planted, ID, &maker, &marks).unwrap();
        let it = finding(&planted, &child, key, &maker, mark);
        assert_eq!((it.threat, &it.principal), (Threat::PlantedKey, &Principal::KeyOwner));
        assert_eq!(it.access_key, Some(parsed("AKIAPLANTED000EXAMPL")));
        assert_eq!(Finding::from_kept(&it.kept()), Some(it));
    }

    #[test]
    fn nothing_else_is_one() {
        let changes: [fn(&mut Value); 11] = [
            |it| it["userIdentity"]["principalId"] = "AIDAOTHEROTHEROTHER00".into(),
            |it| it["userIdentity"]["accessKeyId"] = "AKIAI44QH8DHBEXAMPLE".into(),
            |it| it["userIdentity"]["accessKeyId"] = Value::Null,
            |it| it["errorCode"] = "AccessDenied".into(),
            |it| it["eventTime"] = "1970-01-01T00:16:39Z".into(),
            |it| it["eventSource"] = "identitystore.amazonaws.com".into(),
            |it| it["eventName"] = "CreateRole".into(),
            |it| it["recipientAccountId"] = "444455556666".into(),
            |it| it["eventID"] = "another-event".into(),
            |it| it["responseElements"]["user"]["userId"] = "AROADBQP57FF2AEXAMPLE".into(),
            |it| it["requestParameters"]["userName"] = "*".into(),
        ];
        for (n, change) in changes.into_iter().enumerate() {
            assert!(child(&event(change), ID, &maker(), &marks()).is_err(), "{n}");
        }
        assert!(child(&event(|_| {}), ID, &maker(), &[]).is_err());
    }

    #[test]
    fn of_a_user_who_was_made_every_key_counts_and_of_no_other() {
        let marks = [mark(Flagged::User(parsed("AIDACKCEVSQ6C2EXAMPLE")), 1_000)];
        let by = |id: &'static str| event(move |it| it["userIdentity"]["principalId"] = id.into());
        let is_child = |it: &Event| child(it, ID, &maker(), &marks).is_ok();
        assert!(is_child(&by("AIDACKCEVSQ6C2EXAMPLE")));
        assert!(!is_child(&by("AIDAOTHEROTHEROTHER00")));
        assert!(!is_child(&by("AROADBQP57FF2AEXAMPLE:AIDACKCEVSQ6C2EXAMPLE")));
    }

    #[test]
    fn several_credentials_are_flagged_each_since_its_own_time() {
        let other = "AKIAI44QH8DHBEXAMPLE";
        let marks = [
            mark(Flagged::Key(parsed(THIEF)), 1_201),
            mark(Flagged::Key(parsed(other)), 1_000),
            Mark { finding: "earlier".to_owned(), ..mark(Flagged::Key(parsed(other)), 900) },
        ];
        let by = |key: &'static str, at: &'static str| {
            event(move |it| {
                it["userIdentity"]["accessKeyId"] = key.into();
                it["eventTime"] = at.into();
            })
        };
        let of = |it: &Event| child(it, ID, &maker(), &marks).map(|it| it.2.finding.clone());
        assert_eq!(of(&by(THIEF, "1970-01-01T00:20:00Z")), Err("it was made before the behaviour began"));
        assert_eq!(of(&by(other, "1970-01-01T00:20:00Z")), Ok("f".to_owned()));
        assert_eq!(of(&by(other, "1970-01-01T00:15:00Z")), Ok("earlier".to_owned()));
    }

    fn theft(began: i64, seen: i64) -> Finding {
        let (began_at, occurred_at) = (Some(DateTime::from_secs(began)), Some(DateTime::from_secs(seen)));
        Finding { began_at, occurred_at, ..crate::fixtures::finding(Threat::CompromisedCredential) }
    }

    fn marked(it: &Finding, kept: &Kept, now: i64) -> Option<(i64, bool)> {
        let mark = super::mark(it, &identity(IdentityKind::User), RESPONSE, kept, DateTime::from_secs(now));
        mark.map(|(mark, note)| (mark.since, note.is_some()))
    }

    #[test]
    fn what_is_looked_for_is_what_the_flagged_credential_made_since_the_behaviour_began() {
        let (it, alice) = (theft(900, 1_000), identity(IdentityKind::User));
        let at = |it: &Finding, who: &Identity, response| {
            super::mark(it, who, response, &Kept::default(), DateTime::from_secs(1_500)).unwrap().0
        };
        let mark = at(&it, &alice, RESPONSE);
        assert_eq!((&mark.flagged, mark.since), (&Flagged::Key(parsed(THIEF)), 900));
        assert_eq!(mark.line, [super::maker(&it, &alice, RESPONSE).link()]);
        let marks = [mark];
        let (child, key, of) = child(&event(|_| {}), ID, &maker(), &marks).unwrap();
        let made = finding(&event(|_| {}), &child, key, &maker(), of);
        let mallory = Identity { id: parsed("AIDAMALLORY000EXAMPLE"), name: parsed("mallory"), ..alice.clone() };
        let next = at(&made, &mallory, "unauthorized-user@1970-01-01T00:21:00Z");
        assert_eq!((&next.flagged, next.since), (&Flagged::User(mallory.id.clone()), 1_200));
        assert_eq!(next.line.first(), marks[0].line.first(), "the places are those of the first");
        assert_eq!(next.line.len(), 2);
        for (without, why) in [
            (Finding { access_key: None, ..it.clone() }, Some("the finding names no access key")),
            (Finding { began_at: None, ..it.clone() }, Some("the finding does not say when a behaviour began")),
            (Finding { source: Source::Drill, ..it.clone() }, None),
            (Finding { threat: Threat::OverprivilegedUser, ..it.clone() }, None),
            (Finding { threat: Threat::UnauthorizedUser, access_key: None, ..it }, None),
        ] {
            assert_eq!(marked(&without, &Kept::default(), 1_500), None);
            assert_eq!(not_looked_for(&without, &alice), why);
        }
    }

    #[test]
    fn no_beginning_is_believed_that_is_hours_before_the_detection_or_before_a_restore() {
        let (kept, day) = (Kept::default(), 86_400);
        assert_eq!(
            marked(&theft(10 * day, 10 * day + REACHES_BACK), &kept, 10 * day + REACHES_BACK),
            Some((10 * day, false))
        );
        assert_eq!(marked(&theft(day, 10 * day), &kept, 10 * day), Some((10 * day - REACHES_BACK, true)));
        // A finding of long ago, whoever sends it now.
        let long_ago = marked(&theft(day, day), &kept, 10 * day + 7).unwrap();
        assert_eq!(long_ago, (9 * day, true));
        // A beginning after the end is none.
        assert_eq!(marked(&theft(10 * day + 5, 10 * day), &kept, 10 * day), Some((10 * day, false)));
        let restored = crate::history::Restoration {
            at: (10 * day - 60) * 1_000 + 500,
            by: String::new(),
            reason: String::new(),
            applied: Vec::new(),
            given_back: Vec::new(),
        };
        let kept = Kept { restored: Some(restored), ..Kept::default() };
        assert_eq!(marked(&theft(10 * day - 3_600, 10 * day), &kept, 10 * day), Some((10 * day - 59, true)));
    }

    #[test]
    fn what_is_handed_over_is_of_flagged_keys_since_then_and_the_nearest_first() {
        let followed =
            |key: &str, since| Followed { response: RESPONSE.to_owned(), flagged: Flagged::Key(parsed(key)), since };
        let other = event(|it| it["userIdentity"]["accessKeyId"] = "AKIAI44QH8DHBEXAMPLE".into());
        let failed = event(|it| it["errorCode"] = "AccessDenied".into());
        let (user, key) = (event(|_| {}), Event { id: "a-key-event".to_owned(), ..key_event() });
        let older = Event { id: "an-older-event".to_owned(), at: 200, ..event(|_| {}) };
        let all = [older, key, other.clone(), failed, user];
        let gone = BTreeSet::from([ID.to_owned()]);
        let none = &BTreeSet::new();
        let since = |since, gone: &BTreeSet<String>| made(&all, &[followed(THIEF, since)], Some(1_300), gone, none);
        assert_eq!(since(1_000, &BTreeSet::new()), [ID, "a-key-event"]);
        assert_eq!(since(100, &BTreeSet::new()), [ID, "a-key-event", "an-older-event"]);
        assert_eq!(since(100, &gone), ["a-key-event", "an-older-event", ID]);
        assert_eq!(since(1_201, &gone), Vec::<String>::new());
        let both = [followed(THIEF, 1_201), followed("AKIAI44QH8DHBEXAMPLE", 1_000)];
        assert_eq!(made(std::slice::from_ref(&other), &both, None, &gone, none), [ID]);
        let own = Followed { flagged: Flagged::User(parsed("AIDACKCEVSQ6C2EXAMPLE")), ..followed(THIEF, 0) };
        assert_eq!(made(&[other], &[own], None, &gone, none), [ID]);
        let many: Vec<_> =
            (0..=MOST_LOOKED_AT).map(|n| Event { id: format!("event-{n:03}"), ..event(|_| {}) }).collect();
        let after = |seen: &BTreeSet<String>| made(&many, &[followed(THIEF, 0)], None, none, seen);
        let first: BTreeSet<_> = after(none).into_iter().collect();
        assert_eq!((first.len(), after(&first)), (MOST_LOOKED_AT, vec!["event-060".to_owned()]));
    }
}
