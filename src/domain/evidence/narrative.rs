//! The report in sentences: five lines for a phone, what is open, what to do next.

use std::cmp::Reverse;
use std::collections::BTreeSet;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::chain::Link;
use super::facts::{About, NotTold};
use super::left::Left;
use super::report::Evidence;
use super::revision::Gist;
use super::room;
use super::trail::time;
use crate::identity::IdentityKind;
use crate::suspects::Suspect;
use crate::text;

impl Evidence {
    /// What is kept of it beside the log.
    pub fn gist(&self) -> Gist {
        let mut left: Vec<_> = self.left.iter().collect();
        left.sort_by_key(|it| Reverse(it.trace.gravity));
        let left = left.into_iter().map(|it| {
            let words = format!("{} {}, event {}", it.trace.what, text::line(&it.trace.object, 100), it.event);
            (it.event.clone(), text::line(&words, 200))
        });
        let (left, more_left) = room::first(left.collect(), usize::MAX, MOST_BYTES_OF_GIST);
        Gist {
            revision: self.revision,
            is_provisional: self.is_provisional,
            made_at: self.made_at.clone(),
            risk: self.risk.level.word().to_owned(),
            administrator: self.could.administrator.answer.word().to_owned(),
            summary: self.summary.clone(),
            sha256: self.sha256(),
            calls: self.did.calls,
            left,
            more_left: more_left + self.more_left,
            not_seen_again: self.not_seen_again.iter().map(|it| (it.event.clone(), it.what.clone())).collect(),
            sessions: self.sessions.iter().map(|it| it.key.clone()).collect(),
            more_sessions: self.more_sessions,
            addresses: self.did.addresses.iter().map(|it| it.value.clone()).collect(),
            escalations: self.could.open_ways().map(|it| it.what.to_owned()).collect(),
            versions: self.could.versions_that_give_more().map(|it| text::line(&it.name(), 300)).collect(),
            is_a_version_unknown: self.could.is_a_version_unknown(),
            is_allowed_more_by_aws: self.could.simulation.allows_more(),
            is_simulated_in_part: self.could.simulation.is_in_part(),
            not_looked_at: self.not_looked_at.iter().map(|it| text::line(it, 200)).take(50).collect(),
        }
    }

    /// The JSON as it is handed out, kept and hashed: keys sorted. `jq`, by which an auditor checks the hash, writes one
    /// control character otherwise than we do, and no person reads any: but for line breaks each becomes `?`.
    pub fn json(&self) -> Value {
        let mut json = json!(self);
        text::clean(&mut json);
        json
    }

    /// Of the JSON as it is handed out.
    pub fn sha256(&self) -> String {
        hex::encode(Sha256::digest(self.json().to_string()))
    }

    /// The message that people get, the subject first. `link`: where the report is kept.
    pub fn message(&self, new_suspects: &[Suspect], link: Option<&str>) -> (String, String) {
        let field = |name: &str| self.principal.get(name).and_then(Value::as_str).unwrap_or_default();
        let again = if self.revision > 1 { format!(", revision {}", self.revision) } else { String::new() };
        let subject = format!(
            "Evidence{again}: {} {} in {}: risk {}",
            field("type"),
            field("name"),
            self.account,
            self.risk.level.word()
        );
        let mut lines = self.summary.clone();
        if let Some(changes) = &self.changes {
            lines.push(String::new());
            lines.push(format!("CHANGED SINCE REVISION {}:", changes.since));
            lines.extend(changes.lines.iter().map(|it| format!("- {}", text::line(it, 300))));
            lines.extend(changes.lines.is_empty().then(|| "- nothing".to_owned()));
        }
        if !new_suspects.is_empty() {
            lines.push(String::new());
            lines.push("NEW SUSPECTS:".to_owned());
            lines.extend(new_suspects.iter().take(20).map(|it| format!("- {}", it.words)));
            let more = new_suspects.len().saturating_sub(20);
            lines.extend((more > 0).then(|| format!("- and {more} more")));
        }
        lines.push(String::new());
        lines.extend(self.next_steps.iter().map(|it| format!("Next: {it}")));
        lines.push(format!(
            "Report: {}, in the answer to `report` and in the log of the investigating function",
            self.id
        ));
        lines.extend(link.map(|it| format!("Kept: {it}")));
        lines.push(format!("SHA-256 of its JSON: {}", self.sha256()));
        (subject, lines.join("\n"))
    }

    /// What a person reads on a phone.
    pub(super) fn five_lines(&self, about: &About<'_>) -> Vec<String> {
        let (identity, did) = (about.identity, &self.did);
        let verdict = self.containment.words(&self.made_at);
        let could = self.could_in_short();
        let calls = match (&did.first_seen, &did.last_seen) {
            (Some(first), Some(last)) => format!(
                "{} calls from {first} to {last}, {} refused, {} addresses, {} sessions made",
                did.calls,
                did.failed,
                did.count_of_addresses(),
                self.sessions.len() + self.more_sessions
            ),
            _ => "no event was found, which is no proof that there was none".to_owned(),
        };
        let suspects = self.suspects().len();
        let lost = self.not_seen_again.len() + self.more_not_seen_again;
        let lost =
            if lost == 0 { String::new() } else { format!("; {lost} that an earlier revision found, not seen again") };
        let provisional = if self.is_provisional { "; provisional, late records may be missing" } else { "" };
        let gone = self.gone.as_ref().map_or_else(String::new, |it| format!(" It is not there any more: {it}."));
        vec![
            format!(
                "{} `{}` ({}) in account {}: {verdict}.{gone}",
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
                "Left behind: {}{lost}; not looked at: {}{}{provisional}.",
                if suspects == 0 {
                    "no suspects".to_owned()
                } else {
                    format!("{suspects} suspects, each for a person to look at")
                },
                self.not_looked_at.len(),
                self.not_read_to_the_end()
            ),
        ]
    }

    /// Of CloudTrail.
    fn not_read_to_the_end(&self) -> String {
        let cut = self.looked_at.iter().filter(|it| it.missing.is_some()).flat_map(|it| it.region.split(", "));
        let regions: BTreeSet<_> = cut.map(str::to_owned).collect();
        if regions.is_empty() {
            return String::new();
        }
        let named = room::told(regions.into_iter(), MOST_REGIONS, |more| format!("{more} more"));
        format!("; CloudTrail not read to the end in {}", named.join(", "))
    }

    /// What to do where something of it is not in place.
    fn contain_again(&self, about: &About<'_>) -> Option<String> {
        let field = about.identity.kind.word();
        let command = json!({"command": "contain", "account": about.account, field: about.identity.id, "reason": "contained before"});
        (!self.containment.not_in_place.is_empty())
            .then(|| format!("contain the identity once more, and look who lifted it: {command}"))
    }

    fn could_in_short(&self) -> String {
        let could = &self.could;
        let ways = |why_not: Option<&str>, words: &str, count: usize| match (why_not, count) {
            (Some(_), _) => format!("whether it could {words} was not asked"),
            (None, 0) => format!("no known way to {words}"),
            (None, count) => format!("{count} ways to {words}"),
        };
        let but = match could.administrator_but.len() {
            0 => String::new(),
            count => format!(" but for {count} of the actions asked about"),
        };
        let roles = match could.roles.why_not() {
            Some(_) => "roles to assume: not asked".to_owned(),
            None => format!("{} roles to assume", could.roles.found().len() + could.more_roles),
        };
        let elsewhere = match could.roles_elsewhere.found().len() + could.more_roles_elsewhere {
            0 => String::new(),
            count => format!("; it may try roles of other accounts by {count} patterns"),
        };
        let reach = could.secrets.found().len() + could.data.found().len();
        let mut versions = could.versions_that_give_more().peekable();
        let versions = match (versions.peek().is_some(), versions.any(|it| it.makes_administrator())) {
            (false, _) => "",
            (true, false) => "; more by another version of a policy, which it may make count",
            (true, true) => "; administrator by another version of a policy, which it may make count",
        };
        format!(
            "Could: administrator {}{but}; {}; {}; {roles}{elsewhere}{versions}{}.",
            could.administrator.answer.word(),
            ways(could.escalations.why_not(), "get more rights", could.open_ways().count()),
            ways(could.secrets.why_not().or(could.data.why_not()), "reach secrets or data", reach),
            could.simulation.in_short(),
        )
    }

    pub(super) fn open_points(&self, about: &About<'_>, not_told: NotTold) -> Vec<String> {
        let mut points = Vec::new();
        if self.is_provisional {
            let again = match about.again_at {
                Some(at) => format!("it is made again at {}, or when it is asked for", time(at)),
                None => "it is not made again by itself, ask for it again then".to_owned(),
            };
            points.push(format!("CloudTrail's records come late, by minutes and up to two hours: {again}"));
        }
        let lost = self.not_seen_again.len() + self.more_not_seen_again;
        if lost > 0 {
            points.push(format!(
                "{lost} things that an earlier revision found were not seen again: CloudTrail could not be read as far, or \
                 they are older than the period by now"
            ));
        }
        points.extend(self.could.simulation.open_point());
        points.extend(self.not_told_apart(about));
        let unknown = self.left.iter().filter(|it| it.now.is_none()).count();
        if unknown > 0 {
            points.push(format!(
                "of {unknown} things that it left behind it was not looked at whether they are still there"
            ));
        }
        if self.more_left > 0 {
            points.push(format!(
                "{} more things that it left behind are not listed, the gravest are: all are in CloudTrail, and as many as \
                 fit are open suspects",
                self.more_left
            ));
        }
        if self.did.calls == 0 {
            points.push("no event was found: inconclusive, and no proof that nothing was done".to_owned());
        }
        if not_told.in_query > 0 {
            points.push(format!("the query for Athena has no room for {} more keys, IDs and names", not_told.in_query));
        }
        let incomplete = self.looked_at.iter().filter_map(|it| {
            Some(format!("{} in {} of account {}: {}", it.by, it.region, it.account, it.missing.as_ref()?))
        });
        points.extend(room::told(incomplete, MOST_LOOKS, |more| {
            format!("{more} more of the look-ups that are listed are not complete")
        }));
        if self.more_looked_at > 0 {
            let (more, incomplete) = (self.more_looked_at, not_told.incomplete);
            points.push(format!("{more} more look-ups are not listed, of which {incomplete} are not complete"));
        }
        let not_followed = self.sessions.iter();
        let not_followed = not_followed
            .filter_map(|it| Some(format!("session {} was not followed: {}", it.key, it.not_followed.as_ref()?)));
        let is_open = |it: &&Link| it.not_followed.is_some();
        // What is not listed was not followed: those that were come first.
        let more = self.sessions.iter().filter(is_open).count().saturating_sub(MOST_NOT_FOLLOWED) + self.more_sessions;
        points.extend(not_followed.take(MOST_NOT_FOLLOWED));
        points.extend((more > 0).then(|| format!("{more} more sessions were not followed")));
        points
    }

    /// Whose acts can't be told from an intruder's.
    fn not_told_apart(&self, about: &About<'_>) -> Vec<String> {
        let mut points = Vec::new();
        if about.identity.kind == IdentityKind::Role && self.did.calls > 0 {
            points.push(
                "everybody's sessions of the role are counted alike: what an intruder did can't be told from what those \
                 did who use it every day"
                    .to_owned(),
            );
        }
        let is_work = |it: &Left| !it.is_on_itself && !it.is_of_before;
        if about.identity.kind == IdentityKind::User && about.since.is_some() && self.left.iter().any(is_work) {
            points.push(
                "what was made meanwhile by whoever uses the identity by right, a pipeline for instance, can't be told \
                 from what an intruder made"
                    .to_owned(),
            );
        }
        let of_before = self.left.iter().filter(|it| it.is_of_before).count();
        if of_before > 0 {
            points.push(format!(
                "{of_before} of the things that it left behind are from before what is suspected began: they may be its \
                 everyday work, or say that it began earlier"
            ));
        } else if about.since.is_none() && !self.left.is_empty() {
            points.push(
                "when what is suspected began is not known: what the identity makes every day is among what it left behind"
                    .to_owned(),
            );
        }
        points
    }

    /// `roles`: account and name of those whose sessions it made.
    pub(super) fn next_steps(&self, about: &About<'_>, roles: Vec<(String, String)>) -> Vec<String> {
        let mut steps = Vec::new();
        let account = about.account;
        if self.containment.verdict.is_some_and(|it| !it.is_success()) {
            steps.push(
                "contain the identity: the last response did not end well, its alert says what is open".to_owned(),
            );
        }
        steps.extend(self.contain_again(about));
        if !self.suspects().is_empty() {
            steps.push(
                "look at each suspect: contain it or delete it, then close it by `close-suspect` with who and why"
                    .to_owned(),
            );
        }
        let (told, rest) = roles.split_at(roles.len().min(MOST_ROLES));
        steps.extend(told.iter().map(|(account, role)| {
            let role = text::line(role, 64);
            let command = json!({"command": "contain", "account": text::line(account, 20), "role": role});
            format!("revoke the sessions of role {role}: {command}")
        }));
        if !rest.is_empty() {
            let named =
                rest.iter().map(|(account, role)| format!("{}/{}", text::line(account, 20), text::line(role, 64)));
            let named = room::told(named, MOST_ROLES_NAMED, |more| format!("{more} more"));
            steps.push(format!("revoke in the same way those of {} more roles: {}", rest.len(), named.join(", ")));
        }
        if !self.could.secrets.found().is_empty() {
            steps.push("rotate the secrets that it could read".to_owned());
        }
        if self.is_provisional && about.again_at.is_none() {
            let field = if about.identity.kind == IdentityKind::User { "user" } else { "role" };
            let again = json!({"command": "report", "account": account, field: about.identity.name});
            steps.push(format!("ask for this report again in two hours: {again}"));
        }
        steps
    }
}

/// So many of each are told one by one.
const MOST_LOOKS: usize = 40;
const MOST_REGIONS: usize = 5;
const MOST_NOT_FOLLOWED: usize = 20;
const MOST_ROLES: usize = 10;
const MOST_ROLES_NAMED: usize = 15;
/// An item of the ledger holds 400 KB.
const MOST_BYTES_OF_GIST: usize = 100_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::facts::Looked;
    use crate::evidence::report::tests::{READER, contained, looked, report, report_with};
    use crate::evidence::trail::tests::event;
    use crate::fixtures::identity;
    use crate::history::Kept;
    use crate::verdict::Verdict;

    fn session(n: usize) -> Link {
        Link {
            key: format!("ASIA{n:04}"),
            session: String::new(),
            account: "111122223333".to_owned(),
            role: Some(format!("arn:aws:iam::111122223333:role/r{n:02}")),
            event: format!("e{n}"),
            at: 100,
            by: "AKIAIOSFODNN7EXAMPLE".to_owned(),
            depth: 1,
            not_followed: None,
        }
    }

    #[test]
    fn the_five_lines_say_in_which_regions_something_was_not_read_to_the_end() {
        let made = |regions: &[&str]| {
            let all: Vec<_> =
                regions.iter().map(|it| Looked { region: (*it).to_owned(), pages: 1, ..looked(Some("x")) }).collect();
            report_with(&identity(IdentityKind::User), Vec::new(), &contained(120), |_, found| {
                found.looked = [vec![looked(None)], all.clone()].concat();
            })
        };
        assert!(!made(&[]).summary[4].contains("CloudTrail"));
        let few = made(&["eu-west-1, sa-east-1", "eu-west-1"]).summary;
        assert!(few[4].contains("; CloudTrail not read to the end in eu-west-1, sa-east-1"), "{few:?}");
        assert!(made(&["a, b, c, d, e, f, g"]).summary[4].contains("in a, b, c, d, e, 2 more"));
    }

    #[test]
    fn each_role_whose_sessions_are_to_be_revoked_is_a_next_step_or_counted() {
        let steps = |n| report(READER, Vec::new(), (0..n).map(session).collect(), &contained(120)).next_steps;
        let named = |n: usize, all: &[String]| all.iter().any(|it| it.contains(&format!("r{n:02}")));
        let eleven = steps(11);
        assert!((0..11).all(|n| named(n, &eleven)), "{eleven:?}");
        let many = steps(40);
        assert!(many.iter().any(|it| it.contains("of 30 more roles") && it.ends_with("15 more")), "{many:?}");
    }

    /// The last of three reports on whom nobody has contained is no promise of another.
    #[test]
    fn a_report_that_is_not_made_again_does_not_say_so() {
        let kept = Kept { verdict: Some(Verdict::NotContained), ..contained(120) };
        let last = report(READER, Vec::new(), Vec::new(), &kept);
        assert!(last.open_points[0].contains("not made again by itself"), "{:?}", last.open_points);
        assert!(last.next_steps.iter().any(|it| it.contains(r#""command":"report""#)), "{:?}", last.next_steps);
        let alice = identity(IdentityKind::User);
        let first = report_with(&alice, Vec::new(), &kept, |about, _| about.again_at = Some(11_200));
        assert!(first.open_points[0].contains("made again at 1970-01-01T03:06:40Z"), "{:?}", first.open_points);
        assert!(!first.next_steps.iter().any(|it| it.contains(r#""command":"report""#)), "{:?}", first.next_steps);
    }

    #[test]
    fn what_can_not_be_told_apart_is_said() {
        let app = identity(IdentityKind::Role);
        let used = report_with(&app, vec![event("ListUsers", 60)], &contained(120), |_, _| {});
        assert!(
            used.open_points.iter().any(|it| it.contains("everybody's sessions of the role")),
            "{:?}",
            used.open_points
        );
        let left = vec![crate::evidence::report::tests::leaving("m", "", None)];
        let work = report(READER, left.clone(), Vec::new(), &contained(120));
        assert!(work.open_points.iter().any(|it| it.contains("a pipeline for instance")), "{:?}", work.open_points);
        let unknown = report_with(&identity(IdentityKind::User), left, &contained(120), |about, _| about.since = None);
        assert!(unknown.open_points.iter().any(|it| it.contains("is not known: what the identity makes every day")));
    }

    /// Session names, buckets and policies' `Sid` may look so; GitHub and GitLab make a link of it.
    /// <https://github.github.com/gfm/#autolinks-extension->
    #[test]
    fn a_name_that_looks_like_a_page_makes_no_link_in_markdown() {
        let left = vec![crate::evidence::report::tests::leaving("www.evil.example", "", None)];
        let page = report("{}", left, Vec::new(), &Kept::default()).markdown();
        // In a block of code nothing is a link.
        let around: String = page.split("```").step_by(2).collect();
        assert!(around.contains("www\\.evil.example") && !around.contains("www.evil"), "{around}");
    }
}
