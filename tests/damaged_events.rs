//! Every sample, damaged one field at a time: never another identity, never an action on less evidence,
//! never silent.

#![expect(clippy::unwrap_used, reason = "a test ends at the first surprise")]

mod support;

use domain::finding::{Finding, Principal, Threat};
use domain::ids::{AccessKeyId, PrincipalName, UniqueId};
use domain::sources::{Decoded, decode};
use domain::told::Told;
use serde_json::{Value, json};
use support::{files, settings};

/// Whom a finding names, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Evidence {
    account: String,
    id: Option<UniqueId>,
    name: Option<PrincipalName>,
    key: Option<AccessKeyId>,
    has_time: bool,
    is_root: bool,
}

/// `None`: whoever it names is not touched.
fn evidence(finding: &Finding) -> Option<Evidence> {
    let (id, name) = match &finding.principal {
        Principal::NotContainable { .. } => return None,
        Principal::User { name, id } | Principal::Role { name, id, .. } => (id.clone(), name.clone()),
        Principal::UserOrRole { name } => (None, Some(name.clone())),
        Principal::KeyOwner | Principal::Root => (None, None),
    };
    Some(Evidence {
        account: finding.account.to_string(),
        id,
        name,
        key: finding.access_key.clone().filter(AccessKeyId::is_long_term),
        has_time: finding.occurred_at.is_some(),
        is_root: finding.principal == Principal::Root,
    })
}

/// Findings that contain, and those that a person is asked about.
fn all(decoded: &Decoded) -> Vec<&Finding> {
    let told = decoded.told.iter().filter_map(|it| match it {
        Told::Finding(it) => Some(&it.finding),
        Told::Unreadable(_) => None,
    });
    decoded.findings.iter().chain(told).collect()
}

/// Every place in a document, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    if !at.is_empty() {
        found.push(at.to_owned());
    }
    match value {
        Value::Object(fields) => fields
            .iter()
            .for_each(|(k, v)| places(v, &format!("{at}/{}", k.replace('~', "~0").replace('/', "~1")), found)),
        Value::Array(items) => items.iter().enumerate().for_each(|(n, v)| places(v, &format!("{at}/{n}"), found)),
        _ => {}
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Removed,
    Null,
    Garbage,
    Number,
    List,
    Object,
    Empty,
}

const DAMAGES: [Damage; 7] =
    [Damage::Removed, Damage::Null, Damage::Garbage, Damage::Number, Damage::List, Damage::Object, Damage::Empty];

impl Damage {
    /// A field that is not there is a form in which events come, and so is an object without the fields that
    /// it had; one that is there and wrong is not.
    fn leaves_something(self) -> bool {
        !matches!(self, Self::Removed | Self::Null | Self::Empty | Self::Object)
    }

    fn apply(self, event: &Value, place: &str) -> Value {
        let mut event = event.clone();
        let value = match self {
            Self::Removed => {
                let (parent, key) = place.rsplit_once('/').unwrap();
                match event.pointer_mut(parent).unwrap() {
                    Value::Object(fields) => {
                        fields.remove(&key.replace("~1", "/").replace("~0", "~"));
                    }
                    Value::Array(items) => {
                        items.remove(key.parse().unwrap());
                    }
                    other => unreachable!("{other}"),
                }
                return event;
            }
            Self::Null => Value::Null,
            Self::Garbage => json!("\u{1f4a3} not what\nyou expect"),
            Self::Number => json!(-7.5),
            Self::List => json!([[], 7]),
            Self::Object => json!({"x": {}}),
            Self::Empty => json!(""),
        };
        *event.pointer_mut(place).unwrap() = value;
        event
    }
}

/// Where damage may make an event one of those that are left alone: what says that it is no news, that it is
/// of no matter, or whose word it is. AWS's own rules keep these fields as they are.
fn decides_whether_it_counts(place: &str, damage: Damage) -> bool {
    let last = place.rsplit('/').next().unwrap_or_default();
    let is_envelope = matches!(place, "/source" | "/detail-type" | "/resources" | "/resources/0" | "/detail");
    is_envelope
        || matches!(last, "title" | "Title" | "eventTypeCode" | "errorCode" | "eventName")
        || place.contains("/metadata")
        || place.contains("/userIdentity")
        || place.contains("/compliance")
        || place.contains("/Compliance")
        // Without it a finding about a bucket names nobody who acted.
        || (place.contains("accessKeyDetails") && !damage.leaves_something())
        || matches!(place, "/detail/resource") && damage == Damage::Object
}

struct Case<'a> {
    sample: &'a str,
    place: &'a str,
    damage: Damage,
    before: &'a Decoded,
    after: Decoded,
}

fn each_damage(mut check: impl FnMut(&Case)) -> usize {
    let settings = settings("responder", &[]);
    let mut count = 0;
    // A wake-up names nobody, and is found without it where it is lost.
    let is_about_somebody = |it: &Value| it.get("detail").is_some() && it["source"] != "iam-responder.front";
    for (sample, event) in files("events").into_iter().filter(|(_, it)| is_about_somebody(it)) {
        let before = decode(&event, &settings);
        assert!(!all(&before).is_empty(), "{sample}");
        let mut found = Vec::new();
        places(&event, "", &mut found);
        for place in found {
            for damage in DAMAGES {
                let damaged = damage.apply(&event, &place);
                let after = decode(&damaged, &settings);
                check(&Case { sample: &sample, place: &place, damage, before: &before, after });
                count += 1;
            }
        }
    }
    count
}

impl std::fmt::Display for Case<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} with {} {:?}: {:?}", self.sample, self.place, self.damage, self.after)
    }
}

#[test]
fn damage_never_leads_to_another_identity() {
    let count = each_damage(|case| {
        let known: Vec<Evidence> = all(case.before).into_iter().filter_map(evidence).collect();
        for it in all(&case.after).into_iter().filter_map(evidence) {
            let is_same = |known: &Evidence| {
                let agrees_by_id = it.id.is_some() && it.id == known.id;
                let names_nobody_else = (it.id.is_none() || known.id.is_none() || agrees_by_id)
                    && (it.name.is_none() || known.name.is_none() || it.name == known.name)
                    && (it.key.is_none() || known.key.is_none() || it.key == known.key);
                it.account == known.account && it.is_root == known.is_root && names_nobody_else
            };
            // The account's own bus is the owner where Health names none: IAM knows no foreign key there.
            let is_of_the_bus = case.sample.starts_with("health-") && it.id.is_none() && it.key.is_some();
            assert!(known.iter().any(is_same) || is_of_the_bus, "{case}");
        }
    });
    assert!(count > 15_000, "{count}");
}

#[test]
fn damage_never_leads_to_an_action_on_less_evidence() {
    each_damage(|case| {
        let known: Vec<Evidence> = all(case.before).into_iter().filter_map(evidence).collect();
        for finding in &case.after.findings {
            // States are no behaviour: the identity is told by its ARN.
            let Some(it) = evidence(finding).filter(|_| finding.threat != Threat::OverprivilegedUser) else { continue };
            let is_enough = it.id.is_some() || it.key.is_some() || it.is_root || (it.name.is_some() && it.has_time);
            let had_no_more = known.iter().all(|known| known.id.is_none() && known.key.is_none() && !known.has_time);
            assert!(is_enough || had_no_more, "{case}");
            // What tells an identity that is known by name alone from a later one must stay as it was.
            if case.damage.leaves_something() && it.id.is_none() && it.key.is_none() && !it.is_root {
                let times: Vec<_> = all(case.before).iter().map(|it| it.occurred_at).collect();
                assert!(
                    finding.threat != Threat::CompromisedCredential || times.contains(&finding.occurred_at),
                    "{case}"
                );
            }
            if case.damage.leaves_something() && !it.is_root {
                let keeps = |known: &Evidence| {
                    known.account != it.account
                        || known.name.is_some() && it.name.is_some() && known.name != it.name
                        || known.id.is_none()
                        || it.id.is_some()
                };
                assert!(known.iter().all(keeps), "{case}");
            }
        }
    });
}

#[test]
fn damage_is_never_silent() {
    let mut told = 0;
    each_damage(|case| {
        let is_about_misuse = all(case.before)
            .iter()
            .any(|it| it.threat == Threat::CompromisedCredential || it.kind.starts_with("Policy:IAMUser"));
        let says_something = !case.after.ignored.is_empty() || !case.after.malformed.is_empty();
        assert!(says_something || !all(&case.after).is_empty(), "{case}");
        if is_about_misuse && !decides_whether_it_counts(case.place, case.damage) {
            let was = all(case.before).len();
            let unreadable = case.after.told.iter().any(|it| matches!(it, Told::Unreadable(_)));
            let is_trusted = case.sample.starts_with("simulation") || case.sample.starts_with("drill");
            let is_told = unreadable || (is_trusted && !case.after.malformed.is_empty());
            // Removing a finding or an actor removes what it said.
            let is_removal = case.damage == Damage::Removed && case.place.ends_with(|it: char| it.is_ascii_digit());
            assert!(is_told || !all(&case.after).is_empty() || is_removal, "{case} of {was}");
            // Whom it named beside others is no less a person than those others.
            let misused =
                |decoded: &Decoded| all(decoded).iter().filter(|it| it.threat == Threat::CompromisedCredential).count();
            let is_fewer = misused(&case.after) < misused(case.before) && case.damage.leaves_something();
            assert!(is_told || !is_fewer, "{case} of {was}");
        }
        told += usize::from(case.after.told.iter().any(|it| matches!(it, Told::Unreadable(_))));
    });
    assert!(told > 1_000, "{told}");
}

/// Whoever may put events can send these, and a flood of bad ones must wake nobody.
#[test]
fn an_event_that_anybody_may_send_is_no_alert_when_it_can_not_be_read() {
    each_damage(|case| {
        if case.sample.starts_with("simulation") || case.sample.starts_with("drill") {
            let is_renamed = case.place == "/source" || case.place == "/detail-type";
            let unreadable = case.after.told.iter().any(|it| matches!(it, Told::Unreadable(_)));
            assert!(!unreadable || is_renamed, "{case}");
        }
    });
}

#[test]
fn one_entity_that_can_not_be_read_hides_no_other() {
    let settings = settings("responder", &[]);
    let mut event = support::sample("health-risk-credentials-exposed-own-bus");
    let entities = ["AKIAIOSFODNN7EXAMPLE", "not a key", "AKIAI44QH8DHBEXAMPLE", "AKIAIOSFODNN7EXAMPLE"];
    event["detail"]["affectedEntities"] = entities.iter().map(|it| json!({"entityValue": it})).collect();
    let decoded = decode(&event, &settings);
    assert_eq!(decoded.findings.len(), 2, "{decoded:?}");
    assert_eq!(decoded.malformed.len(), 1);
    let [Told::Unreadable(unreadable)] = decoded.told.as_slice() else { panic!("{decoded:?}") };
    assert_eq!(unreadable.account, "111122223333");
    assert!(unreadable.problems.iter().any(|it| it.contains("affectedEntities[1].entityValue")), "{unreadable:?}");
}

/// A key that was found where it must not be is not one of two for being the second that the event names.
#[test]
fn every_exposed_key_of_an_event_is_a_finding_of_its_own() {
    let settings = settings("responder", &[]);
    let mut event = support::sample("health-risk-credentials-exposed");
    let detail = &mut event["detail"];
    detail["affectedEntities"] = json!([{"entityValue": "111122223333"}, {"entityValue": "AKIAIOSFODNN7EXAMPLE"}]);
    detail["eventMetadata"] = json!({"publicKey": "AKIAI44QH8DHBEXAMPLE", "userName": "alice"});
    let decoded = decode(&event, &settings);
    let keys: Vec<_> = decoded.findings.iter().map(|it| (it.principal.target_key(), it.access_key_text())).collect();
    let own = ("key".to_owned(), "AKIAIOSFODNN7EXAMPLE");
    assert_eq!(keys, [own, ("user/alice".to_owned(), "AKIAI44QH8DHBEXAMPLE")]);
    event["detail"]["eventMetadata"]["publicKey"] = json!("AKIA");
    let decoded = decode(&event, &settings);
    assert_eq!((decoded.findings.len(), decoded.malformed.len()), (1, 1), "{decoded:?}");
}
