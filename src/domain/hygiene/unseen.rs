//! Users and keys that came since the last sweep and of which no event told: CloudTrail delivers its events as well as
//! it can. An account's first sweep is a baseline and names nobody.

use std::collections::{BTreeMap, BTreeSet};

use aws_smithy_types::DateTime;

use super::credential_report::{CredentialReport, Key, User};
use super::problems::Problem;
use crate::day::Day;
use crate::identity::Read;
use crate::ids::AccessKeyId;

/// CloudTrail tells within minutes, mostly: what came in the last hour before a report is the next sweep's to look at.
/// <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html>
const LATE: i64 = 3_600;

/// How far the time of the event of a user's creation is from what the report says, at most.
const APART: i64 = 300;

/// When the last sweep's report and this one's were made.
#[derive(Debug, Clone, Copy)]
pub struct Between {
    pub last: Option<DateTime>,
    pub as_of: DateTime,
}

impl Between {
    fn has(self, time: DateTime) -> bool {
        let from = self.last.map(|it| it.secs() - LATE);
        from.is_some_and(|from| (from..self.as_of.secs() - LATE).contains(&time.secs()))
    }
}

/// Users whose creation an event should have told of: those that came between two sweeps' reports, and those that
/// `is_known` from before.
pub fn users(report: &CredentialReport, between: Between, is_known: impl Fn(&str) -> bool) -> Vec<&User> {
    let is_asked = |it: &&User| between.has(it.created) || is_known(&Problem::unseen(it).id);
    report.users.iter().filter(is_asked).collect()
}

/// A key that an event should have told of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Suspect<'a> {
    pub user: &'a User,
    pub key: &'a Key,
    /// It was there at the last sweep, and did not work; or it has worked since then, and no event has told of that.
    pub was_inactive: bool,
    /// When a sweep named it first, if one has.
    pub named: Option<Day>,
}

/// Keys that work and came, or were activated, between two sweeps' reports; and those that a sweep `named` before.
/// `inactive`: those that did not work at the last sweep, or of whose activation no event told.
pub fn keys<'a>(
    report: &'a CredentialReport,
    between: Between,
    inactive: &BTreeSet<String>,
    named: impl Fn(&str) -> Option<Day>,
) -> Vec<Suspect<'a>> {
    let of_user = |user: &'a User| user.active_keys().map(move |key| (user, key));
    let suspect = |(user, key): (&'a User, &'a Key)| {
        let was_inactive = inactive.contains(&name(user, key));
        let named = named(&Problem::unseen_key(user, key).id);
        let is_asked = was_inactive || between.has(key.created) || named.is_some();
        is_asked.then_some(Suspect { user, key, was_inactive, named })
    };
    report.users.iter().flat_map(of_user).filter_map(suspect).collect()
}

/// What the next sweep is to know of the keys that do not work.
pub fn inactive_keys(report: &CredentialReport) -> BTreeSet<String> {
    let of_user =
        |user: &User| user.keys.iter().filter(|it| !it.is_active).map(|it| name(user, it)).collect::<Vec<_>>();
    report.users.iter().flat_map(of_user).collect()
}

/// The report has no IDs.
fn name(user: &User, key: &Key) -> String {
    format!("{}@{}", user.name, key.created.secs())
}

/// The events about one key, in seconds since 1970: when it was created, and activated last.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Told {
    pub created: Option<i64>,
    pub activated: Option<i64>,
}

/// A user's keys by IAM's own list: the ID of each, and when it was created, in seconds since 1970.
pub type Listed = Read<Vec<(AccessKeyId, i64)>>;

/// What is known of whether an event told of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    Told,
    Untold,
    /// It is named all the same, and nobody is to believe that none told of it.
    Unread(String),
    /// It was deleted since the report.
    Gone,
}

impl Suspect<'_> {
    /// Keys by their IDs: the report has none, and two keys may be of one minute. Those of one second can't be told
    /// apart in it, and each needs its event.
    pub fn seen(&self, listed: &Listed, told: &BTreeMap<AccessKeyId, Told>, between: Between) -> Seen {
        let listed = match listed {
            Ok(it) => it,
            Err(unread) if unread.is_gone() => return Seen::Gone,
            Err(unread) => return Seen::Unread(unread.to_string()),
        };
        let mut ids = listed.iter().filter(|(_, created)| *created == self.key.created.secs()).peekable();
        if ids.peek().is_none() {
            return Seen::Gone;
        }
        let is_told = |id| self.is_told(told.get(id).copied().unwrap_or_default(), between);
        if ids.all(|(id, _)| is_told(id)) { Seen::Told } else { Seen::Untold }
    }

    /// Of a key that was there and did not work only an activation since then tells; of one that was named, the sweep
    /// before that was a day or so earlier.
    fn is_told(&self, told: Told, between: Between) -> bool {
        let last = between.last.map_or(i64::MIN, |it| it.secs() - LATE);
        let since = self.named.map_or(last, |it| last.min(it.begins() - 2 * 86_400));
        if self.was_inactive { told.activated.is_some_and(|at| at >= since) } else { told.created.is_some() }
    }

    /// Under which the next sweep knows that an activation is what no event told of.
    pub fn activated(&self) -> Option<String> {
        self.was_inactive.then(|| name(self.user, self.key))
    }
}

/// Whether an event of this time is about what was created then, and no former namesake; both in seconds since 1970.
pub fn is_its_event(created: i64, at: i64) -> bool {
    (created - at).abs() <= APART
}

/// When the user or key of a problem was created, by the problem's ID.
pub fn created_at(id: &str) -> Option<i64> {
    let (_, time) = id.rsplit_once('@')?;
    time.split('/').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::super::credential_report::tests::{NO_KEY, report_of, user_row};
    use super::*;
    use crate::fixtures::parsed;
    use crate::identity::Unreadable;

    const DAY: i64 = 86_400;

    fn between(last: Option<i64>, as_of: i64) -> Between {
        Between { last: last.map(DateTime::from_secs), as_of: DateTime::from_secs(as_of) }
    }

    #[test]
    fn who_came_between_two_reports_is_new_but_for_the_last_hour() {
        let report = report_of(&[user_row("alice", "true,N/A", "true", NO_KEY, NO_KEY)]);
        let created = report.users[0].created.secs();
        let new = |last: Option<i64>, as_of| users(&report, between(last, as_of), |_| false).len();
        assert_eq!(new(Some(created - DAY), created + DAY), 1);
        assert_eq!(new(Some(created - DAY), created + LATE), 0, "its event may come yet");
        assert_eq!(new(Some(created + LATE), created + DAY), 1, "it was too young for the last sweep");
        assert_eq!(new(Some(created + LATE + 1), created + DAY), 0);
        assert_eq!(new(None, created + DAY), 0, "a first sweep is a baseline");
        let id = Problem::unseen(&report.users[0]).id;
        assert_eq!(users(&report, between(None, 0), |it| it == id).len(), 1);
        assert!(is_its_event(created, created + 5) && !is_its_event(created, created + DAY));
        let twice = format!("{id}/2");
        assert_eq!((created_at(&id), created_at(&twice), created_at("x/root")), (Some(created), Some(created), None));
    }

    #[test]
    fn a_key_that_came_or_works_again_is_told_by_its_own_event_alone() {
        let row = |active: bool| {
            user_row("robot", "false,N/A", "false", &format!("{active},2026-11-20T10:00:00Z,N/A"), NO_KEY)
        };
        let (working, resting) = (report_of(&[row(true)]), report_of(&[row(false)]));
        let created = working.users[0].keys[0].created.secs();
        let new = between(Some(created - DAY), created + DAY);
        let later = between(Some(created + DAY), created + 2 * DAY);
        let none = BTreeSet::new();
        let inactive = inactive_keys(&resting);
        assert_eq!(inactive.len(), 1);
        assert_eq!((keys(&resting, new, &none, |_| None).len(), inactive_keys(&working).len()), (0, 0));
        let [made] = keys(&working, new, &none, |_| None)[..] else { panic!() };
        assert!(keys(&working, later, &none, |_| None).is_empty());
        let [activated] = keys(&working, later, &inactive, |_| None)[..] else { panic!() };
        let id: AccessKeyId = parsed("AKIAIOSFODNN7EXAMPLE");
        let seen = |suspect: Suspect<'_>, told, between| {
            suspect.seen(&Ok(vec![(id.clone(), created)]), &[(id.clone(), told)].into(), between)
        };
        let creation = Told { created: Some(created + 5), activated: None };
        let activation = Told { created: None, activated: Some(created + DAY) };
        assert_eq!((seen(made, creation, new), seen(made, activation, new)), (Seen::Told, Seen::Untold));
        assert_eq!((seen(activated, activation, later), seen(activated, creation, later)), (Seen::Told, Seen::Untold));
        let old = Told { activated: Some(created - DAY), ..creation };
        assert_eq!(seen(activated, old, later), Seen::Untold);
        // The next day the event of its creation tells no more of it than before, and that of its activation may come.
        let names: BTreeSet<_> = activated.activated().into_iter().collect();
        let next = between(Some(created + 2 * DAY), created + 3 * DAY);
        let named = Day::of(DateTime::from_secs(created + 2 * DAY));
        let [again] = keys(&working, next, &names, |_| Some(named))[..] else { panic!() };
        assert_eq!((seen(again, creation, next), seen(again, activation, next)), (Seen::Untold, Seen::Told));
        assert_eq!((made.activated(), seen(again, old, next)), (None, Seen::Untold));
    }

    #[test]
    fn two_keys_of_one_minute_are_told_apart_by_their_ids() {
        let key = |at: &str| format!("true,2026-11-20T10:{at}Z,N/A");
        let report = report_of(&[user_row("robot", "false,N/A", "false", &key("00:00"), &key("00:30"))]);
        let created = report.users[0].keys[0].created.secs();
        let new = between(Some(created - DAY), created + DAY);
        let (first, second) =
            (parsed::<AccessKeyId>("AKIAIOSFODNN7EXAMPLE"), parsed::<AccessKeyId>("AKIAI44QH8DHBEXAMPLE"));
        let told = [(first.clone(), Told { created: Some(created), activated: None })].into();
        let seen = |listed: Listed| {
            keys(&report, new, &BTreeSet::new(), |_| None)
                .iter()
                .map(|it| it.seen(&listed, &told, new))
                .collect::<Vec<_>>()
        };
        let listed = vec![(first.clone(), created), (second.clone(), created + 30)];
        assert_eq!(seen(Ok(listed)), [Seen::Told, Seen::Untold]);
        assert_eq!(seen(Ok(vec![(first.clone(), created)])), [Seen::Told, Seen::Gone]);
        // Of one second: neither passes for the other.
        assert_eq!(seen(Ok(vec![(first, created), (second, created)])), [Seen::Untold, Seen::Gone]);
        assert!(matches!(seen(Err(Unreadable::not_read("access keys")))[..], [Seen::Unread(_), Seen::Unread(_)]));
    }
}
