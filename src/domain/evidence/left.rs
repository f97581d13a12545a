//! What an identity left behind: each thing with its creator, time and event, and whether it is still there.

use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use serde::Serialize;

use super::facts::{About, Found};
use super::persistence::{Gravity, Trace};
use super::trail::{Event, time};
use super::weights::Weights;
use crate::identity::IdentityKind;
use crate::suspects::Suspect;
use crate::text;

/// Something that it left behind.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Left {
    #[serde(flatten)]
    pub trace: Trace,
    pub action: String,
    pub at: String,
    pub by: String,
    pub event: String,
    /// Where it is.
    pub account: String,
    pub region: String,
    /// It is about the identity itself, which is contained with it.
    pub is_on_itself: bool,
    /// It is from before what is suspected began: it may be what the identity does every day.
    pub is_of_before: bool,
    /// Whether it is still there, where that was looked at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub now: Option<String>,
}

impl Left {
    /// `home`: the account of the identity.
    pub(super) fn suspect(&self, home: &str) -> Suspect {
        let (trace, id) = (&self.trace, text::distinct(self.trace.unique_id.as_ref().unwrap_or(&self.event), 128));
        let detail =
            if trace.detail.is_empty() { String::new() } else { format!(" ({})", text::line(&trace.detail, 200)) };
        let elsewhere = if self.account == home || self.account.is_empty() {
            String::new()
        } else {
            format!(" in account {}", text::line(&self.account, 20))
        };
        Suspect {
            words: format!(
                "open suspect: {} {} ({}){detail}{elsewhere}, by {} at {}, event {}",
                trace.what,
                text::line(&trace.object, 200),
                id,
                text::line(&self.by, 200),
                self.at,
                text::line(&self.event, 64)
            ),
            id,
            since: millis(&self.at),
        }
    }
}

fn millis(at: &str) -> i64 {
    let time = DateTime::from_str(at, Format::DateTime);
    time.ok().and_then(|it| it.to_millis().ok()).unwrap_or_default()
}

/// The gravest first, and of what is as grave the rarest: whoever makes one thing by the hundred hides no other by it.
pub(super) fn left(about: &About<'_>, found: &Found<'_>) -> Vec<Left> {
    let itself = Itself::of(about, found);
    let traces = found.events.iter().filter_map(|event| Some((event, event.trace.clone()?)));
    let mut left: Vec<_> = traces
        .map(|(event, trace)| Left {
            is_on_itself: itself.is_meant(event, &trace),
            is_of_before: about.since.is_some_and(|it| event.at < it),
            action: event.action(),
            at: time(event.at),
            by: event.actor.arn.clone(),
            event: event.id.clone(),
            account: event.account.clone(),
            region: event.region.clone(),
            now: found.exists.iter().find(|(id, _)| *id == event.id).map(|(_, now)| now.words()),
            trace,
        })
        .collect();
    let weights = Weights::of(left.iter().map(|it| (it.action.as_str(), &it.trace)));
    left.sort_by_cached_key(|it| (weights.of_one(&it.action, &it.trace), it.at.clone(), it.event.clone()));
    left
}

/// What of a user is about the identity itself, and with it denied and taken. CloudTrail names a user by its name, and
/// names are given anew: one counts as long as it is proven to have been the identity's.
///
/// Of a role nothing is: its containment revokes sessions of before, and leaves whom it trusts and what it may do.
struct Itself<'a> {
    /// A user's; `None` of a role.
    name: Option<&'a str>,
    home: &'a str,
    /// Between these the name was its own, both ends out: seconds since 1970.
    after: i64,
    before: i64,
    /// When everything was last read to be in place: what came later was not read with it.
    held_at: Option<i64>,
}

impl<'a> Itself<'a> {
    fn of(about: &About<'a>, found: &Found<'_>) -> Self {
        let (identity, home) = (about.identity, about.account.as_str());
        let name = identity.name.as_str();
        // Its own calls say what it was called then.
        let own = || found.events.iter().filter(|it| it.actor.principal_id == identity.id.as_str());
        let bore_it = |it: &&Event| it.actor.arn.is_empty() || it.actor.arn.rsplit('/').next() == Some(name);
        let is_there = about.gone.is_none() && found.unread.is_empty();
        let last_seen = own().filter(bore_it).map(|it| it.at.saturating_add(1)).max().unwrap_or(i64::MIN);
        let is_of_other = |it: &&Event| {
            let is_made = it.name == "CreateUser" && it.account == home;
            let made = it.trace.as_ref().filter(|it| is_made && it.user.as_deref() == Some(name));
            made.is_some_and(|it| it.unique_id.as_deref() != Some(identity.id.as_str()))
        };
        let other = found.events.iter().filter(is_of_other).map(|it| it.at).min().unwrap_or(i64::MAX);
        Self {
            name: (identity.kind == IdentityKind::User).then_some(name),
            home,
            after: own().filter(|it| !bore_it(it)).map(|it| it.at).max().unwrap_or(i64::MIN),
            before: other.min(if is_there { i64::MAX } else { last_seen }),
            held_at: found.standing.kept.as_ref().ok().and_then(|it| it.held_at),
        }
    }

    fn is_meant(&self, event: &Event, trace: &Trace) -> bool {
        let is_named = self.name.is_some() && trace.user.as_deref() == self.name && event.account == self.home;
        let was_its = self.after < event.at && event.at < self.before;
        let is_held = self.held_at.is_none_or(|it| event.at.saturating_mul(1_000) <= it);
        is_named && was_its && is_held && trace.gravity < Gravity::LetsIn
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evidence::report::tests::{READER, contained, leaving, report, report_with};
    use crate::evidence::trail::tests::event;
    use crate::fixtures::identity;
    use crate::history::Kept;

    const ALICE: &str = "arn:aws:iam::111122223333:user/alice";

    /// One of alice's calls that leaves something.
    pub(in crate::evidence) fn made(service: &str, name: &str, at: i64, request: Value, response: Value) -> Event {
        let source = format!("{service}.amazonaws.com");
        let whole =
            json!({"recipientAccountId": "111122223333", "requestParameters": request, "responseElements": response});
        let trace = crate::evidence::persistence::trace(&source, name, &whole);
        assert!(trace.is_some(), "{name}");
        Event { trace, source, is_read: false, ..event(name, at) }
    }

    /// An access key for alice.
    pub(in crate::evidence) fn key(at: i64, id: &str) -> Event {
        let answer = json!({"accessKey": {"userName": "alice", "accessKeyId": id}});
        made("iam", "CreateAccessKey", at, json!({"userName": "alice"}), answer)
    }

    /// By a role's session that alice made.
    fn by_session(event: Event) -> Event {
        let mut event = event;
        event.actor.principal_id = "AROAOTHER:x".to_owned();
        event
    }

    fn on_itself(report: &crate::evidence::report::Evidence) -> Vec<&str> {
        report.left.iter().filter(|it| it.is_on_itself).map(|it| it.event.as_str()).collect()
    }

    /// A role's session of it outlives the user: it deletes the contained user and makes one of the same name.
    #[test]
    fn whoever_is_made_anew_under_its_name_is_a_suspect_and_not_the_identity_itself() {
        let events = vec![key(60, "AKIAOWN"), leaving("alice", "", Some("AIDANEWALICE")), key(101, "AKIANEW")];
        let report = report(READER, events, Vec::new(), &contained(120));
        assert_eq!(on_itself(&report), ["CreateAccessKey-60"]);
        let ids: Vec<_> = report.suspects().into_iter().map(|it| it.id).collect();
        assert!(ids.contains(&"AIDANEWALICE".to_owned()) && ids.contains(&"AKIANEW".to_owned()), "{ids:?}");
    }

    #[test]
    fn of_one_that_is_gone_only_what_was_made_while_it_still_acted_is_on_itself() {
        let (alice, events) = (identity(IdentityKind::User), [key(60, "AKIA1"), by_session(key(70, "AKIA2"))]);
        let report =
            report_with(&alice, events.to_vec(), &Kept::default(), |about, _| about.gone = Some("x".to_owned()));
        assert_eq!(on_itself(&report), ["CreateAccessKey-60"]);
        let report =
            report_with(&alice, events.to_vec(), &Kept::default(), |_, found| found.unread = vec!["IAM".to_owned()]);
        assert_eq!(on_itself(&report), ["CreateAccessKey-60"]);
    }

    /// A user may take another's name, and the other one keep its keys.
    #[test]
    fn what_bore_another_name_then_is_not_on_itself() {
        let mut as_bob = event("ListUsers", 80);
        as_bob.actor.arn = "arn:aws:iam::111122223333:user/bob".to_owned();
        let mut as_alice = event("ListUsers", 90);
        as_alice.actor.arn = ALICE.to_owned();
        let events = vec![by_session(key(60, "AKIA1")), as_bob, as_alice, by_session(key(95, "AKIA2"))];
        assert_eq!(on_itself(&report(READER, events, Vec::new(), &contained(120))), ["CreateAccessKey-95"]);
    }

    #[test]
    fn what_came_after_the_containment_or_lifts_it_is_not_contained_with_it() {
        let deny = json!({"userName": "alice", "policyArn": "arn:aws:iam::aws:policy/AWSDenyAll"});
        let events = vec![
            by_session(key(60, "AKIA1")),
            by_session(made("iam", "DetachUserPolicy", 70, deny, Value::Null)),
            by_session(made("iam", "DeleteUserPermissionsBoundary", 80, json!({"userName": "alice"}), Value::Null)),
            by_session(key(121, "AKIA2")),
        ];
        let report = report(READER, events, Vec::new(), &contained(120));
        assert_eq!(on_itself(&report), ["CreateAccessKey-60"]);
        assert_eq!(report.suspects().len(), 3);
    }

    /// Containing a role revokes the sessions of before: whoever may assume it, and what it may do, stays as it is.
    #[test]
    fn what_an_intruder_changed_of_the_role_itself_is_a_suspect() {
        let app = identity(IdentityKind::Role);
        let trust = json!({"Statement": {"Effect": "Allow", "Action": "sts:AssumeRole",
            "Principal": {"AWS": "arn:aws:iam::111122223333:user/operator"}}});
        let changes = [
            ("UpdateAssumeRolePolicy", json!({"roleName": "app", "policyDocument": trust.to_string()})),
            (
                "AttachRolePolicy",
                json!({"roleName": "app", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"}),
            ),
            ("PutRolePolicy", json!({"roleName": "app", "policyName": "all"})),
            ("AddRoleToInstanceProfile", json!({"roleName": "app", "instanceProfileName": "box"})),
        ];
        for (name, request) in changes {
            let mut change = made("iam", name, 100, request, Value::Null);
            change.actor.principal_id = "AROADBQP57FF2AEXAMPLE:x".to_owned();
            let report = report_with(&app, vec![change], &contained(120), |_, _| {});
            assert!(!report.suspects().is_empty(), "{name}: {:?}", report.summary[4]);
        }
    }

    /// Key pairs cost nothing.
    #[test]
    fn what_takes_sight_counts_and_is_told_behind_four_hundred_lesser_things() {
        let junk = (0..400).map(|n| {
            let id = json!({"keyPairId": format!("key-{n}")});
            made("ec2", "CreateKeyPair", 100 + n, json!({"keyName": format!("k{n}")}), id)
        });
        let stop = made("cloudtrail", "StopLogging", 900, json!({"name": "audit"}), Value::Null);
        let report = report(READER, junk.chain([stop]).collect(), Vec::new(), &contained(1_000));
        assert_eq!(report.risk.level, crate::evidence::risk::Level::Critical, "{:?}", report.risk.because);
        assert!(report.did.timeline.iter().any(|it| it.what.contains("StopLogging")));
        assert!(report.suspects()[0].words.contains("stopped trail"));
        assert_eq!((report.left.len(), report.more_left, report.suspects().len()), (400, 1, 401));
        assert!(report.open_points.iter().any(|it| it.starts_with("1 more things")), "{:?}", report.open_points);
    }

    #[test]
    fn of_what_is_as_grave_the_rarest_is_told_first() {
        let users =
            (0..400).map(|n| made("iam", "CreateUser", 100 + n, json!({"userName": format!("u{n}")}), Value::Null));
        let attached = json!({"userName": "u7", "policyArn": "arn:aws:iam::aws:policy/AdministratorAccess"});
        let attached = made("iam", "AttachUserPolicy", 900, attached, Value::Null);
        let report = report(READER, users.chain([attached]).collect(), Vec::new(), &contained(1_000));
        assert!(report.suspects()[0].words.contains("attached a policy"), "{:?}", report.suspects()[0]);
        assert!(report.did.timeline.iter().any(|it| it.what.contains("AttachUserPolicy")));
    }

    /// A suspect is closed by its ID: two that share their first 125 characters are two.
    #[test]
    fn long_ids_of_suspects_stay_apart() {
        let url = |n: usize| format!("arn:aws:iam::111122223333:oidc-provider/{}{n}", "evil.example/".repeat(8));
        let events = (0..2).map(|n| leaving(&format!("m{n}"), "", Some(&url(n)))).collect();
        let suspects = report(READER, events, Vec::new(), &contained(120)).suspects();
        assert_ne!(suspects[0].id, suspects[1].id);
        assert!(suspects.iter().all(|it| it.id.len() <= 128 && it.words.contains(&it.id)));
    }

    /// A pipeline makes keys every day.
    #[test]
    fn what_was_made_before_anything_was_suspected_is_said_to_be_so() {
        let report = report(READER, vec![key(40, "AKIA1"), leaving("m", "", None)], Vec::new(), &contained(120));
        assert_eq!(report.left.iter().map(|it| it.is_of_before).collect::<Vec<_>>(), [true, false]);
        assert!(report.open_points.iter().any(|it| it.starts_with("1 of the things")), "{:?}", report.open_points);
        assert!(report.markdown().contains("from before what is suspected began"));
    }
}
