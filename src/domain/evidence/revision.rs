//! Reports on one identity, one after the other: CloudTrail's records come late, so that the first report is made again
//! after twenty minutes and after two hours, and says each time what changed.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/how-cloudtrail-works.html>

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use serde_json::json;
use sha2::{Digest, Sha256};

use super::answer::Answer;
use crate::text;

/// When it is made again, in seconds after it was first asked for.
const PASSES: [i64; 2] = [20 * 60, 2 * 3_600];
/// After so many seconds a report that fails again and again is given up.
const GIVEN_UP: i64 = 6 * 3_600;
/// How many of each kind are named.
const MOST: usize = 10;

/// What is kept of a report: its five lines, the hash by which the whole can be told from another, and with what the
/// next one is compared. An item of the ledger holds 400 KB, and a report may be larger.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Gist {
    pub revision: i64,
    pub is_provisional: bool,
    pub made_at: String,
    pub risk: String,
    pub administrator: String,
    pub summary: Vec<String>,
    pub sha256: String,
    pub calls: usize,
    /// The events by which it left something behind, each with what that was in words.
    pub left: Vec<(String, String)>,
    /// How many more there were than are in `left`.
    pub more_left: usize,
    /// What earlier ones found so, and this one did not.
    pub not_seen_again: Vec<(String, String)>,
    pub sessions: Vec<String>,
    /// How many more there were than are in `sessions`.
    pub more_sessions: usize,
    pub addresses: Vec<String>,
    pub escalations: Vec<String>,
    /// Of its policies, that it may make count, and that give it more.
    pub versions: Vec<String>,
    /// There may be more of them.
    pub is_a_version_unknown: bool,
    /// AWS's own simulation allowed what nothing read of its policies does.
    pub is_allowed_more_by_aws: bool,
    /// Not everything was simulated.
    pub is_simulated_in_part: bool,
    pub not_looked_at: Vec<String>,
}

/// What an earlier revision found, and this one did not: gone from what can be read, and from no report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Lost {
    pub event: String,
    pub what: String,
}

/// How a report differs from the one before it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Changes {
    /// The revision that it is compared with.
    pub since: i64,
    pub made_at: String,
    /// In words; empty where nothing changed.
    pub lines: Vec<String>,
}

impl Gist {
    /// What this one and those before it found of which there is nothing now. `events`: of all that was found now.
    pub(super) fn lost(&self, events: &BTreeSet<&str>) -> Vec<Lost> {
        let all = self.left.iter().chain(&self.not_seen_again);
        let lost = all.filter(|(event, _)| !events.contains(event.as_str()));
        lost.map(|(event, what)| Lost { event: event.clone(), what: what.clone() }).collect()
    }

    /// How `now` differs from this one.
    pub fn changes(&self, now: &Self) -> Changes {
        let mut lines = Vec::new();
        let mut word = |what: &str, before: &str, after: &str| {
            if before != after {
                lines.push(format!("{what}: {after}, before {before}"));
            }
        };
        word("risk", &self.risk, &now.risk);
        word("administrator", &self.administrator, &now.administrator);
        word("calls found", &self.calls.to_string(), &now.calls.to_string());
        let known = |event: &String| self.left.iter().any(|(it, _)| it == event);
        let left = now.left.iter().filter(|(event, _)| !known(event)).map(|(_, words)| words.clone());
        news(&mut lines, "left behind", left);
        // Beyond what the next one has room for nobody can say.
        let is_lost = |event: &String| {
            let is_there = |all: &[(String, String)]| all.iter().any(|(it, _)| it == event);
            is_there(&now.not_seen_again) || (now.more_left == 0 && !is_there(&now.left))
        };
        let lost = self.left.iter().filter(|(event, _)| is_lost(event)).map(|(_, words)| words.clone());
        news(&mut lines, "left behind, not seen again", lost);
        // What could not be asked is not gone.
        let is_asked = now.administrator != Answer::NotKnown.word();
        let no_more: &[String] = if is_asked { &self.escalations } else { &[] };
        let ways = now.escalations.iter().filter(|it| !self.escalations.contains(it)).cloned();
        news(&mut lines, "way to more rights", ways);
        let gone = no_more.iter().filter(|it| !now.escalations.contains(it)).cloned();
        news(&mut lines, "way to more rights, no more", gone);
        let versions = now.versions.iter().filter(|it| !self.versions.contains(it));
        news(&mut lines, "gives it more when it counts", versions.cloned());
        let gone = self.versions.iter().filter(|it| !now.is_a_version_unknown && !now.versions.contains(it));
        news(&mut lines, "gives it more when it counts, no more", gone.cloned());
        for (what, before, after) in
            [("session", &self.sessions, &now.sessions), ("not looked at", &self.not_looked_at, &now.not_looked_at)]
        {
            news(&mut lines, what, after.iter().filter(|it| !before.contains(it)).cloned());
            let is_known = if what == "session" { now.more_sessions == 0 } else { is_asked };
            let gone = before.iter().filter(|it| is_known && !after.contains(it));
            news(&mut lines, &format!("{what}, no more"), gone.cloned());
        }
        let addresses = now.addresses.iter().filter(|it| !self.addresses.contains(it));
        news(&mut lines, "address", addresses.map(|it| text::defanged(it)));
        Changes { since: self.revision, made_at: self.made_at.clone(), lines }
    }

    /// As the next one is compared with it: what this one could not ask is as it was before.
    pub fn after(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|_| self.administrator == Answer::NotKnown.word()) {
            self.escalations.clone_from(&before.escalations);
        }
        if let Some(before) = before.filter(|_| self.is_a_version_unknown) {
            let lost: Vec<_> = before.versions.iter().filter(|it| !self.versions.contains(it)).cloned().collect();
            self.versions.extend(lost);
        }
        self.is_allowed_more_by_aws |= self.is_simulated_in_part && before.is_some_and(|it| it.is_allowed_more_by_aws);
        self
    }

    /// What people are told by it, of which they hear once though a pass is made again and again because something
    /// failed: neither its number nor how many calls were refused meanwhile. `suspects`: those that are new to them.
    pub fn matter(&self, pass: Option<i64>, suspects: &[String], link: Option<&str>) -> String {
        let left: Vec<_> = self.left.iter().map(|(event, _)| event).collect();
        let could = json!([self.administrator, self.escalations, self.versions]);
        let what = json!([pass, self.risk, could, left, self.sessions, self.addresses]);
        hex::encode(Sha256::digest(json!([what, suspects, link.is_some()]).to_string()))
    }
}

fn news(lines: &mut Vec<String>, what: &str, found: impl Iterator<Item = String>) {
    let found: Vec<_> = found.collect();
    let more = found.len().saturating_sub(MOST);
    lines.extend(found.into_iter().take(MOST).map(|it| format!("{what}: {it}")));
    lines.extend((more > 0).then(|| format!("{what}: {more} more")));
}

/// When a report is to be made again that was first asked for at `asked` and made at `made`, in seconds since 1970.
/// `None`: it is final.
pub fn next_pass(asked: i64, made: i64) -> Option<i64> {
    PASSES.into_iter().map(|it| asked.saturating_add(it)).find(|it| *it > made)
}

/// Whether it is given up, of which people hear.
pub fn is_given_up(asked: i64, now: i64) -> bool {
    now.saturating_sub(asked) > GIVEN_UP
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::report::Evidence;
    use crate::evidence::report::tests::{READER, contained, leaving, looked, report, report_with};
    use crate::evidence::risk::Level;
    use crate::fixtures::identity;
    use crate::identity::IdentityKind;

    #[test]
    fn a_report_is_made_again_after_twenty_minutes_and_after_two_hours() {
        assert_eq!(next_pass(1_000, 1_030), Some(1_000 + 1_200));
        assert_eq!(next_pass(1_000, 2_200), Some(1_000 + 7_200));
        // One that a person asked for in between counts.
        assert_eq!(next_pass(1_000, 4_000), Some(1_000 + 7_200));
        assert_eq!(next_pass(1_000, 8_200), None);
        assert!(!is_given_up(1_000, 8_300) && is_given_up(1_000, 23_000));
    }

    #[test]
    fn a_revision_says_what_is_new_and_what_is_no_more() {
        let before = Gist {
            revision: 1,
            risk: "low".to_owned(),
            calls: 1,
            left: vec![("e1".to_owned(), "created user a".to_owned())],
            addresses: vec!["198.51.100.7".to_owned()],
            not_looked_at: vec!["policies".to_owned()],
            ..Gist::default()
        };
        assert_eq!(before.changes(&before).lines, Vec::<String>::new());
        let mut after =
            Gist { revision: 2, risk: "high".to_owned(), calls: 3, not_looked_at: Vec::new(), ..before.clone() };
        after.left.push(("e2".to_owned(), "created user b".to_owned()));
        after.addresses.push("203.0.113.9".to_owned());
        after.sessions.extend((0..12).map(|n| format!("ASIA{n}")));
        let changes = before.changes(&after);
        assert_eq!(changes.since, 1);
        assert_eq!(
            changes.lines[..3],
            ["risk: high, before low", "calls found: 3, before 1", "left behind: created user b"]
        );
        assert!(changes.lines.contains(&"session: 2 more".to_owned()));
        assert!(changes.lines.contains(&"address: 203[.]0[.]113[.]9".to_owned()));
        assert!(changes.lines.contains(&"not looked at, no more: policies".to_owned()));
    }

    #[test]
    fn what_could_not_be_asked_is_not_said_to_be_no_more() {
        let ways = vec!["pass a role".to_owned()];
        let gap = vec!["whom roles of other accounts trust".to_owned()];
        let administrator = "yes".to_owned();
        let before = Gist { administrator, escalations: ways.clone(), not_looked_at: gap.clone(), ..Gist::default() };
        let unread = Gist { administrator: "not known".to_owned(), ..Gist::default() };
        assert_eq!(before.changes(&unread).lines, ["administrator: not known, before yes"]);
        let kept = Gist { not_looked_at: gap, ..unread.after(Some(&before)) };
        assert_eq!(kept.changes(&before).lines, ["administrator: yes, before not known"]);
    }

    #[test]
    fn a_version_that_gives_more_is_news_and_no_more_only_where_all_were_asked() {
        let version = vec!["version v1 of arn:aws:iam::111122223333:policy/team".to_owned()];
        let (before, now) = (Gist::default(), Gist { versions: version.clone(), ..Gist::default() });
        assert_eq!(before.changes(&now).lines, [format!("gives it more when it counts: {}", version[0])]);
        assert_ne!(before.matter(None, &[], None), now.matter(None, &[], None));
        assert_eq!(now.changes(&before).lines, [format!("gives it more when it counts, no more: {}", version[0])]);
        let unread = Gist { is_a_version_unknown: true, ..before };
        assert_eq!(now.changes(&unread).lines, Vec::<String>::new());
        assert_eq!(unread.after(Some(&now)).versions, version);
    }

    #[test]
    fn people_hear_of_a_matter_once() {
        let first = Gist { revision: 1, made_at: "now".to_owned(), calls: 3, ..Gist::default() };
        let again = Gist { revision: 2, made_at: "later".to_owned(), calls: 9, ..Gist::default() };
        let of = |it: &Gist, pass, suspects: &[String], link| it.matter(Some(pass), suspects, link);
        assert_eq!(of(&first, 1, &[], None), of(&again, 1, &[], None));
        let more = Gist { risk: "critical".to_owned(), ..again.clone() };
        let suspect = ["AIDAMALLORY".to_owned()];
        for other in [
            of(&more, 1, &[], None),
            of(&again, 2, &[], None),
            of(&again, 1, &suspect, None),
            of(&again, 1, &[], Some("kept")),
        ] {
            assert_ne!(of(&first, 1, &[], None), other);
        }
    }

    #[test]
    fn what_there_is_no_room_for_is_not_called_lost() {
        let left = |events: &[&str]| events.iter().map(|it| ((*it).to_owned(), format!("created {it}"))).collect();
        let before = Gist { left: left(&["e1", "e2"]), sessions: vec!["ASIA1".to_owned()], ..Gist::default() };
        let now = Gist { left: left(&["e1"]), ..Gist::default() };
        let lines = before.changes(&now).lines;
        assert_eq!(lines, ["left behind, not seen again: created e2", "session, no more: ASIA1"]);
        let full = Gist { more_left: 1, more_sessions: 1, ..now.clone() };
        assert_eq!(before.changes(&full).lines, Vec::<String>::new());
        let lost = Gist { not_seen_again: left(&["e2"]), ..full };
        assert_eq!(before.changes(&lost).lines, ["left behind, not seen again: created e2"]);
        // The one after that has it too.
        let events = BTreeSet::from(["e1"]);
        assert_eq!(lost.lost(&events), [Lost { event: "e2".to_owned(), what: "created e2".to_owned() }]);
    }

    #[test]
    fn what_an_older_version_kept_is_read() {
        let gist: Gist = serde_json::from_str(r#"{"revision": 3, "risk": "low", "sha256": "x", "odd": 1}"#).unwrap();
        assert_eq!((gist.revision, gist.calls), (3, 0));
    }

    #[test]
    fn a_revision_keeps_what_an_earlier_one_found_and_says_that_it_was_not_seen_again() {
        let alice = identity(IdentityKind::User);
        let first = report(READER, vec![leaving("mallory", "", Some("AIDAM"))], Vec::new(), &contained(120));
        let next = |before: &Evidence, from: i64| {
            report_with(&alice, Vec::new(), &contained(120), |about, found| {
                about.from = from;
                found.before = Some(before.gist());
                found.looked = vec![looked(Some("the time ran out"))];
            })
        };
        let second = next(&first, 0);
        assert!(second.summary[4].contains("1 that an earlier revision found"), "{:?}", second.summary);
        assert!(second.markdown().contains("mallory, event CreateUser-100"), "{}", second.markdown());
        let said = |it: &Evidence| it.changes.as_ref().unwrap().lines.iter().any(|it| it.contains("mallory"));
        assert!(said(&second));
        // The one after it has it as well, and it is no news there.
        let third = next(&second, 0);
        assert_eq!(third.not_seen_again, second.not_seen_again);
        assert!(!said(&third) && third.risk.level == first.risk.level);
        // What is older than the period is another story.
        assert!(next(&first, 10_001).not_seen_again.is_empty());
    }

    /// Two hours after: CloudTrail is throttled by whoever wants it to be.
    #[test]
    fn a_revision_that_could_read_less_says_what_it_does_not_have_any_more() {
        let first = report(READER, vec![leaving("mallory", "", Some("AIDAM"))], Vec::new(), &contained(120));
        let second = report_with(&identity(IdentityKind::User), Vec::new(), &contained(120), |_, found| {
            found.looked = vec![looked(Some("the time ran out"))];
        });
        assert_eq!((first.risk.level, first.suspects().len()), (Level::High, 1));
        let changes = first.gist().changes(&second.gist());
        assert!(changes.lines.iter().any(|it| it.contains("mallory")), "{:?} {:?}", changes.lines, second.summary);
        assert!(second.risk.level >= first.risk.level, "{:?}", second.summary);
    }
}
