//! Which calls of CloudTrail made somebody by a flagged credential. The investigating function names such calls by
//! their IDs and nothing else; whoever contains reads each anew and asks here what it is.
//!
//! INVARIANT: a call counts by the access key that CloudTrail says made it, and by no name; one that failed counts for
//! nothing. `tests/test_children.py` holds it.

use std::collections::BTreeSet;

use aws_smithy_types::DateTime;

use super::trail::Event;
use crate::child::{self, Child, Flagged, MOST_LOOKED_AT, Made, Maker, Parent};
use crate::finding::{Finding, Principal, Severity, Source, Threat};
use crate::identity::Identity;
use crate::ids::{AccessKeyId, Parse, PrincipalName, UniqueId};
use crate::text;

const USER: &str = "CreateUser";
const KEY: &str = "CreateAccessKey";

/// The IDs of what may have been made by the credential that a report is about, the oldest first. `key`: what the finding
/// names; without one, every key of the identity's own. `gone`: what was not found by its name any more comes last, so
/// that whoever makes users and deletes them hides no other by them; it may be called otherwise by now.
pub fn made(
    events: &[Event],
    key: Option<&AccessKeyId>,
    identity: &Identity,
    since: Option<i64>,
    gone: &BTreeSet<String>,
) -> Vec<String> {
    let is_by = |it: &Event| match key {
        Some(key) => it.actor.key == key.as_str(),
        None => it.actor.principal_id == identity.id.as_str() && !it.actor.key.is_empty(),
    };
    let is_made = |it: &&Event| it.source == IAM && [USER, KEY].contains(&it.name.as_str()) && it.error.is_none();
    let is_since = |it: &&Event| since.is_none_or(|since| it.at >= since);
    let mut found: Vec<_> =
        events.iter().filter(is_made).filter(is_since).filter(|it| is_by(it) && is_event_id(&it.id)).collect();
    // A user before the key that it is given.
    found.sort_by_key(|it| (gone.contains(&it.id), it.at, it.name == KEY, it.id.clone()));
    found.into_iter().take(MOST_LOOKED_AT).map(|it| it.id.clone()).collect()
}

const IAM: &str = "iam.amazonaws.com";

/// Whether the caller is the identity by its unique ID, or a session of it.
fn is_of(event: &Event, id: &UniqueId) -> bool {
    let of_principal = event.actor.principal_id.split(':').next() == Some(id.as_str());
    of_principal || event.actor.issuer_id == id.as_str()
}

/// Whether it may be an event's ID: what is asked of CloudTrail, and kept.
pub fn is_event_id(text: &str) -> bool {
    (8..=64).contains(&text.len()) && text.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'-')
}

/// Whose calls are looked for once a response to the finding has held the identity back: those of the credential that the
/// finding names, or of whoever was made with one. Nobody's where it names none, or not when its behaviour began.
pub fn maker(finding: &Finding, identity: &Identity) -> Option<Maker> {
    let flagged = match (finding.threat, &finding.access_key) {
        (Threat::CompromisedCredential, Some(key)) => Flagged::Key(key.clone()),
        (Threat::PlantedKey, Some(key)) if finding.parent.is_some() => Flagged::Key(key.clone()),
        (Threat::UnauthorizedUser, None) if finding.parent.is_some() => Flagged::User(identity.id.clone()),
        _ => return None,
    };
    let own = child::item(&finding.account, &identity.id, &flagged);
    Some(Maker {
        account: finding.account.clone(),
        partition: finding.partition.clone(),
        region: finding.region.clone(),
        id: identity.id.clone(),
        name: identity.name.clone(),
        finding: text::cut(&finding.id, 512),
        since: finding.began()?.secs(),
        line: finding.parent.as_ref().map_or(own, |it| it.line.clone()),
        flagged,
    })
}

/// What a call made, with the key that made it, where it is the maker's and counts; otherwise why not.
pub fn child(event: &Event, id: &str, maker: &Maker) -> Result<(Child, AccessKeyId), &'static str> {
    if event.id != id || event.source != IAM || event.account != maker.account.as_str() {
        return Err("it is another call, or of another account");
    }
    if event.error.is_some() {
        return Err("the call failed");
    }
    if event.at < maker.since {
        return Err("it was made before the behaviour began");
    }
    let key = AccessKeyId::parse(&event.actor.key).map_err(|_| "no access key made it")?;
    let is_makers = match &maker.flagged {
        Flagged::Key(flagged) => key == *flagged,
        Flagged::User(id) => event.actor.principal_id == id.as_str(),
    };
    if !is_makers || !is_of(event, &maker.id) {
        return Err("another credential made it");
    }
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
    Ok((Child { event: event.id.clone(), made }, key))
}

/// What is to be done about it, as a finding of its own: a user is denied everything, a key that an existing user was
/// given is deactivated and its owner left alone.
pub fn finding(event: &Event, child: &Child, key: AccessKeyId, maker: &Maker) -> Finding {
    let parent = Parent {
        id: maker.id.clone(),
        name: maker.name.clone(),
        access_key: key,
        finding: maker.finding.clone(),
        event: child.event.clone(),
        line: maker.line.clone(),
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

    fn maker(flagged: Flagged) -> Maker {
        Maker {
            account: parsed("111122223333"),
            partition: parsed("aws"),
            region: parsed("us-east-1"),
            id: parsed("AIDACKCEVSQ6C2EXAMPLE"),
            name: parsed("alice"),
            finding: "f".to_owned(),
            flagged,
            since: 1_000,
            line: "line".to_owned(),
        }
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
        let maker = maker(Flagged::Key(parsed(THIEF)));
        let (user, key) = child(&event(|_| {}), ID, &maker).unwrap();
        assert_eq!(user.made, Made::User { id: parsed("AIDAMALLORY000EXAMPLE"), name: parsed("mallory") });
        let it = finding(&event(|_| {}), &user, key, &maker);
        assert_eq!((it.threat, it.access_key), (Threat::UnauthorizedUser, None));
        let planted = key_event();
        let (child, key) = child(&planted, ID, &maker).unwrap();
        let it = finding(&planted, &child, key, &maker);
        assert_eq!((it.threat, &it.principal), (Threat::PlantedKey, &Principal::KeyOwner));
        assert_eq!(it.access_key, Some(parsed("AKIAPLANTED000EXAMPL")));
        assert_eq!(Finding::from_kept(&it.kept()), Some(it));
    }

    #[test]
    fn nothing_else_is_one() {
        let maker = maker(Flagged::Key(parsed(THIEF)));
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
            assert!(child(&event(change), ID, &maker).is_err(), "{n}");
        }
    }

    #[test]
    fn of_a_user_who_was_made_every_key_counts_and_of_no_other() {
        let maker = maker(Flagged::User(parsed("AIDACKCEVSQ6C2EXAMPLE")));
        let by = |id: &'static str| event(move |it| it["userIdentity"]["principalId"] = id.into());
        assert!(child(&by("AIDACKCEVSQ6C2EXAMPLE"), ID, &maker).is_ok());
        assert!(child(&by("AIDAOTHEROTHEROTHER00"), ID, &maker).is_err());
        assert!(child(&by("AROADBQP57FF2AEXAMPLE:AIDACKCEVSQ6C2EXAMPLE"), ID, &maker).is_err());
    }

    #[test]
    fn what_is_looked_for_is_what_the_flagged_credential_made_since_the_behaviour_began() {
        let (mut it, alice) = (crate::fixtures::finding(Threat::CompromisedCredential), identity(IdentityKind::User));
        it.began_at = Some(DateTime::from_secs(900));
        let maker = super::maker(&it, &alice).unwrap();
        assert_eq!((&maker.flagged, maker.since), (&Flagged::Key(parsed(THIEF)), 900));
        assert_eq!(maker.line, "children#111122223333#AIDACKCEVSQ6C2EXAMPLE#AKIAIOSFODNN7EXAMPLE");
        let (child, key) = child(&event(|_| {}), ID, &maker).unwrap();
        let made = finding(&event(|_| {}), &child, key, &maker);
        let mallory = Identity { id: parsed("AIDAMALLORY000EXAMPLE"), name: parsed("mallory"), ..alice.clone() };
        let next = super::maker(&made, &mallory).unwrap();
        assert_eq!((&next.flagged, next.since), (&Flagged::User(mallory.id.clone()), 1_200));
        assert_eq!(next.line, maker.line, "the places are those of the first");
        for without in [
            Finding { access_key: None, ..it.clone() },
            Finding { began_at: None, occurred_at: None, ..it.clone() },
            Finding { threat: Threat::OverprivilegedUser, ..it.clone() },
            Finding { threat: Threat::UnauthorizedUser, access_key: None, ..it },
        ] {
            assert_eq!(super::maker(&without, &alice), None);
        }
    }

    #[test]
    fn what_is_handed_over_is_of_the_one_key_and_since_then() {
        let alice = identity(IdentityKind::User);
        let other = event(|it| it["userIdentity"]["accessKeyId"] = "AKIAI44QH8DHBEXAMPLE".into());
        let failed = event(|it| it["errorCode"] = "AccessDenied".into());
        let (user, key) = (event(|_| {}), Event { id: "a-key-event".to_owned(), ..key_event() });
        let all = [key, other.clone(), failed, user];
        let flagged = parsed(THIEF);
        let since = |since| made(&all, Some(&flagged), &alice, Some(since), &BTreeSet::new());
        assert_eq!(since(1_000), [ID, "a-key-event"]);
        assert_eq!(since(1_201), Vec::<String>::new());
        let gone = BTreeSet::from([ID.to_owned()]);
        assert_eq!(made(&all, Some(&flagged), &alice, None, &gone), ["a-key-event", ID]);
        assert_eq!(made(&[other], None, &alice, None, &BTreeSet::new()), [ID]);
    }
}
