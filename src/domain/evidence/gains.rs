//! What an identity would gain by another version of a policy: the same questions, answered of both.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Answer, Holdings};
use super::could::{Could, Found};
use super::part::Part;
use super::versions::{ADMINISTRATOR, Gain, Other, SET, Settable};

impl Could {
    /// Every answer that is better in `other`, what makes it an administrator first. What was not asked of this one is no
    /// gain of that one.
    pub fn gains(&self, other: &Self) -> Vec<Gain> {
        let mut gains = Vec::new();
        if other.administrator.answer > self.administrator.answer {
            gains.push(Gain::new(ADMINISTRATOR, other.administrator.answer));
        }
        let answer = |action: &str| other.uncut.probes.get(action).copied().unwrap_or(Answer::No);
        let lifted = self.administrator_but.iter().map(|it| (it, answer(it))).filter(|(_, it)| *it > Answer::No);
        gains.extend(lifted.map(|(it, answer)| Gain::new(&format!("use {it}, which is denied to it now"), answer)));
        for (before, after) in self.parts().into_iter().zip(other.parts()) {
            gains.extend(more(&ways(before), &ways(after)).map(|(what, answer)| Gain::new(what, answer)));
        }
        for (service, roles) in &other.uncut.passable {
            let (Some(before), Some(after)) = (self.passable(service), roles) else { continue };
            let is_open = |could: &Self| could.open_ways().any(|it| it.passes_to == Some(service));
            // Where none is passed now, the way is new.
            if is_open(self) && is_open(other) {
                let words = |it: &str| format!("pass role {it} to {service}");
                gains.extend(more(before, after).map(|(what, answer)| Gain::new(&words(what), answer)));
            }
        }
        let roles = more(&self.uncut.roles, &other.uncut.roles);
        gains.extend(roles.map(|(what, answer)| Gain::new(&format!("assume role {what}"), answer)));
        gains
    }

    /// What was asked of this one and could not be asked of the other, in words.
    pub fn not_compared(&self, other: &Self) -> Option<String> {
        let all = other.not_asked.iter().filter(|it| !self.not_asked.contains(it));
        let unread = other.unread.iter().filter(|it| !self.unread.contains(it));
        let mut all: Vec<_> = all.chain(unread).cloned().collect();
        let services: BTreeSet<_> = other.open_ways().filter_map(|it| it.passes_to).collect();
        let is_compared = |it: &&&str| self.passable(it).is_some() && other.passable(it).is_some();
        let passed = services.iter().filter(|it| !is_compared(it));
        all.extend(passed.map(|it| format!("which roles it could pass to {it} was not compared")));
        if self.roles.why_not().or(other.roles.why_not()).is_some() {
            all.push("which roles it could assume was not compared".to_owned());
        }
        (!all.is_empty()).then(|| all.join("; "))
    }

    /// Each way that is open to both, and is no surer to the other: as it is to the one, and to the other.
    pub(super) fn ways_of_both<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = (&'a Found, &'a Found)> {
        let parts = self.parts().into_iter().zip(other.parts());
        let both = parts.flat_map(|(before, after)| {
            after.iter().filter_map(move |then| {
                Some((before.iter().find(|it| (it.id, it.what) == (then.id, then.what))?, then))
            })
        });
        both.filter(|(now, then)| now.is_open() && then.is_open() && then.decision.answer <= now.decision.answer)
    }

    fn parts(&self) -> [&Part<Found>; 4] {
        [&self.escalations, &self.secrets, &self.data, &self.logging]
    }

    /// All that it may pass to that service, where all of them were asked about. Where no way passes one, there are none.
    fn passable(&self, service: &str) -> Option<&BTreeMap<String, Answer>> {
        static NONE: BTreeMap<String, Answer> = BTreeMap::new();
        match self.uncut.passable.get(service) {
            Some(asked) => asked.as_ref(),
            None => self.uncut.is_passing_asked.then_some(&NONE),
        }
    }

    /// `found`: the versions that were judged, and those that could not be; `holdings`: by what it may make them count.
    pub fn add_versions(&mut self, holdings: &Holdings, found: Vec<Other>) {
        self.versions_read = found.iter().filter(|it| it.not_known.is_none()).count();
        let told: Vec<_> = found.into_iter().filter(Other::is_worth_telling).collect();
        let numbers = told.iter().flat_map(|it| it.decision.by.iter().copied()).collect();
        self.grants.extend(holdings.grants(&numbers));
        let gives_more = told.iter().filter(|it| !it.gains.is_empty()).map(Other::name);
        let gives_more: Vec<_> = gives_more.collect();
        for way in self.escalations.found_mut().iter_mut().filter(|it| it.actions == [SET]) {
            way.versions.clone_from(&gives_more);
        }
        self.versions = Part::Asked(told);
    }

    /// Whether there may be one that gives it more and is not named.
    pub(super) fn is_a_version_unknown(&self) -> bool {
        let is_unknown = self.versions.iter().any(|it| it.not_known.is_some());
        self.versions.why_not().is_some() || is_unknown || !self.not_asked.is_empty() || !self.unread.is_empty()
    }

    /// Those by which it could do more.
    pub(super) fn versions_that_give_more(&self) -> impl Iterator<Item = &Other> {
        self.versions.iter().filter(|it| !it.gains.is_empty())
    }
}

/// Policies of which it could make a version count only then. What those would give is not asked.
pub fn newly_settable(before: &[Settable], after: &[Settable]) -> Vec<Gain> {
    let of = |all: &[Settable]| -> BTreeMap<String, Answer> {
        let words = |it: &Settable| format!("make another version of {} count, which was not read", it.policy);
        all.iter().map(|it| (words(it), it.decision.answer)).collect()
    };
    more(&of(before), &of(after)).map(|(what, answer)| Gain::new(what, answer)).collect()
}

/// Those of which nothing is known that it lacks.
fn ways(part: &Part<Found>) -> BTreeMap<String, Answer> {
    let words = |it: &Found| match it.id {
        "" => it.what.to_owned(),
        id => format!("{} ({id})", it.what),
    };
    part.iter().filter(|it| it.is_open()).map(|it| (words(it), it.decision.answer)).collect()
}

fn more<'a>(
    before: &'a BTreeMap<String, Answer>,
    after: &'a BTreeMap<String, Answer>,
) -> impl Iterator<Item = (&'a str, Answer)> {
    let had = move |what: &String| before.get(what).copied().unwrap_or(Answer::No);
    after.iter().filter(move |(what, answer)| **answer > had(what)).map(|(what, answer)| (what.as_str(), *answer))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::evidence::asking::Asker;
    use crate::evidence::assume::Assuming;
    use crate::evidence::document::Policy;
    use crate::evidence::report::Evidence;
    use crate::evidence::report::tests::{contained, report_of};
    use crate::evidence::risk::Level;
    use crate::evidence::wider::Widening;
    use crate::fixtures::parsed;

    const ALICE: &str = "arn:aws:iam::111122223333:user/alice";
    const TEAM: &str = "arn:aws:iam::111122223333:policy/team";
    const ROLE: &str = "arn:aws:iam::111122223333:role/app";

    fn allow(action: &str, resource: &str) -> Value {
        json!({"Effect": "Allow", "Action": action, "Resource": resource})
    }

    fn document(statements: &Value) -> String {
        json!({"Version": "2012-10-17", "Statement": statements}).to_string()
    }

    fn could(holdings: &Holdings) -> Could {
        let (account, partition) = (parsed("111122223333"), parsed("aws"));
        let mut could = Asker { holdings, account: &account, partition: &partition, arn: ALICE }.ask();
        let mut assuming = Assuming::new(holdings, ALICE);
        let account = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}});
        assuming.ask(ROLE, &document(&account));
        could.add_roles(assuming.end());
        could
    }

    /// Of a user that may set the versions of its one policy, which says nothing else.
    fn holdings() -> Holdings {
        let own = allow("iam:SetDefaultPolicyVersion", "arn:aws:iam::*:policy/team");
        let policies = vec![Policy::new("policy", TEAM, Some("developers"), &document(&own))];
        Holdings { policies, ..Holdings::default() }
    }

    fn wider((has, could): (&Holdings, &Could), (other, then): (&Holdings, &Could)) -> Vec<Gain> {
        let (account, partition) = (parsed("111122223333"), parsed("aws"));
        let base = Asker { holdings: has, account: &account, partition: &partition, arn: ALICE };
        let other = Asker { holdings: other, ..base };
        let mut widening = Widening::new((&base, could), (&other, then), TEAM);
        while widening.step() {}
        let (gains, not_known) = widening.end();
        assert!(not_known.is_empty(), "{not_known:?}");
        gains
    }

    fn gains(holdings: &Holdings, statements: &Value) -> Vec<(String, Answer)> {
        let other = holdings.with_version(TEAM, &document(statements)).unwrap();
        let (now, then) = (could(holdings), could(&other));
        let mut gains = now.gains(&then);
        gains.extend(newly_settable(&holdings.settable(), &other.settable()));
        let wider = wider((holdings, &now), (&other, &then)).into_iter();
        gains.extend(wider.filter(|it| it.what.contains("other accounts")));
        gains.into_iter().map(|it| (it.what, it.answer)).collect()
    }

    fn yes(what: &str) -> (String, Answer) {
        (what.to_owned(), Answer::Yes)
    }

    #[test]
    fn what_a_version_gives_that_is_not_had_is_a_gain() {
        let of = |statements: &Value| gains(&holdings(), statements);
        assert!(of(&json!([])).is_empty() && of(&allow("ec2:Describe*", "*")).is_empty());
        assert_eq!(of(&allow("*", "*"))[0], yes("be an administrator"));
        assert_eq!(of(&allow("iam:CreateAccessKey", "*")), [yes("make an access key of another user (iam-004)")]);
        assert_eq!(of(&allow("secretsmanager:GetSecretValue", "*")), [yes("read secrets")]);
        assert_eq!(of(&allow("sts:AssumeRole", ROLE)), [yes(&format!("assume role {ROLE}"))]);
        let elsewhere = "arn:aws:iam::444455556666:role/partner";
        assert_eq!(
            of(&allow("sts:AssumeRole", elsewhere)),
            [yes(&format!("try roles of other accounts, {elsewhere}"))]
        );
        let condition = json!({"StringEquals": {"aws:SourceVpc": "vpc-1"}});
        let depends =
            json!({"Effect": "Allow", "Action": "cloudtrail:StopLogging", "Resource": "*", "Condition": condition});
        assert_eq!(of(&depends), [("stop a trail".to_owned(), Answer::Depends)]);
    }

    #[test]
    fn what_bounds_it_bounds_another_version_too() {
        let limit = json!([allow("iam:Set*", "*"), allow("s3:GetObject", "*")]);
        let limits = vec![vec![Policy::new("boundary", "arn:aws:iam::111122223333:policy/b", None, &document(&limit))]];
        let bounded = Holdings { limits, ..holdings() };
        let gained = gains(&bounded, &allow("*", "*"));
        assert!(gained.contains(&yes("read objects in S3")), "{gained:?}");
        assert!(gained.iter().all(|it| it.0.contains("S3") || it.0.contains("policy")), "{gained:?}");
        // The boundary itself is a policy of its own, that it may not set.
        assert_eq!(bounded.settable().len(), 1);
        let bound = "arn:aws:iam::111122223333:policy/b";
        let other = bounded.with_version(bound, &document(&json!([]))).unwrap();
        assert!(could(&bounded).gains(&could(&other)).is_empty());
    }

    #[test]
    fn a_version_by_which_further_versions_could_be_set_is_said() {
        let mut has = holdings();
        let second = "arn:aws:iam::111122223333:policy/second";
        has.policies.push(Policy::new("policy", second, None, &document(&json!([]))));
        let gained = gains(&has, &allow("iam:SetDefaultPolicyVersion", "*"));
        assert_eq!(gained, [yes(&format!("make another version of {second} count, which was not read"))]);
    }

    fn reported(could: Could) -> Evidence {
        report_of(could, Vec::new(), Vec::new(), &contained(120))
    }

    #[test]
    fn a_version_that_makes_an_administrator_is_in_the_report_the_risk_and_the_catalogues_way() {
        let has = holdings();
        let all = has.with_version(TEAM, &document(&allow("*", "*"))).unwrap();
        let [of] = has.settable().try_into().unwrap();
        let mut could = could(&has);
        let gained = could.gains(&self::could(&all));
        let other = Other::judged(&of, "v1", gained, None);
        could.add_versions(&has, vec![other, Other::judged(&of, "v2", Vec::new(), None)]);
        assert_eq!((could.versions.found().len(), could.versions_read), (1, 2));
        let way = could.escalations.iter().find(|it| it.id == "iam-002").unwrap();
        assert_eq!(way.versions, [format!("version v1 of {TEAM}")]);
        assert!(could.escalations.iter().all(|it| it.id == "iam-002" || it.versions.is_empty()));
        let report = reported(could);
        assert_eq!(report.risk.level, Level::High);
        assert!(report.risk.because.iter().any(|it| it.contains("another version of a policy")), "{:?}", report.risk);
        assert!(
            report.summary[2].contains("administrator no")
                && report.summary[2].contains("administrator by another version")
        );
        let markdown = report.markdown();
        assert!(markdown.contains("it could be an administrator: yes"), "{markdown}");
        assert!(markdown.contains("of group developers, statement"), "{markdown}");
        assert_eq!(report.gist().versions, [format!("version v1 of {TEAM}")]);
    }

    #[test]
    fn a_version_that_could_not_be_read_is_not_known() {
        let has = holdings();
        let [of] = has.settable().try_into().unwrap();
        let mut could = could(&has);
        could.add_versions(&has, vec![Other::not_known(&of, Some("v1"), "AccessDenied")]);
        assert_eq!(could.versions_read, 0);
        let report = reported(could);
        assert!(report.risk.because.iter().any(|it| it.contains("not everything that decides")), "{:?}", report.risk);
        assert!(report.markdown().contains("what it would give is not known: AccessDenied"));
        assert!(report.gist().is_a_version_unknown);
    }

    #[test]
    fn what_is_denied_to_an_administrator_and_not_by_another_version_is_a_gain() {
        let denied = json!({"Effect": "Deny", "Action": "kms:ScheduleKeyDeletion", "Resource": "*"});
        let policies = vec![Policy::new("policy", TEAM, None, &document(&json!([allow("*", "*"), denied])))];
        let has = Holdings { policies, ..Holdings::default() };
        let lifted = [yes("use kms:ScheduleKeyDeletion, which is denied to it now")];
        assert_eq!(gains(&has, &allow("*", "*")), lifted);
        assert!(gains(&has, &json!([allow("*", "*"), denied])).is_empty());
    }

    /// A report lists fifty.
    #[test]
    fn roles_beyond_those_listed_are_compared_by_name_too() {
        let all = |names: std::ops::Range<usize>, account: &str| -> Vec<String> {
            names.map(|it| format!("arn:aws:iam::{account}:role/r{it:03}")).collect()
        };
        for (account, words) in [("111122223333", "assume role"), ("444455556666", "try roles of other accounts,")] {
            let assume =
                |roles: &[String]| json!([{"Effect": "Allow", "Action": ["sts:AssumeRole"], "Resource": roles}]);
            let set = allow("iam:SetDefaultPolicyVersion", TEAM);
            let policies = vec![
                Policy::new("policy", TEAM, None, &document(&assume(&all(0..60, account)))),
                Policy::new("inline policy", "own", None, &document(&set)),
            ];
            let has = Holdings { policies, ..Holdings::default() };
            let other = has.with_version(TEAM, &document(&assume(&all(1..61, account)))).unwrap();
            let asked = |holdings: &Holdings| {
                let mut could = could(holdings);
                let mut assuming = Assuming::new(holdings, ALICE);
                let trust =
                    json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}});
                all(0..70, "111122223333").iter().for_each(|it| assuming.ask(it, &document(&trust)));
                could.add_roles(assuming.end());
                could
            };
            let (now, then) = (asked(&has), asked(&other));
            let gained = now.gains(&then).into_iter().chain(wider((&has, &now), (&other, &then)));
            let gained: Vec<_> = gained.map(|it| it.what).collect();
            assert_eq!(gained, [format!("{words} arn:aws:iam::{account}:role/r060")]);
        }
    }

    /// It may pass a harmless role to a function now; by the other version an administrator's.
    #[test]
    fn a_role_that_it_could_pass_by_another_version_is_a_gain() {
        let trusting =
            json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": "lambda.amazonaws.com"}});
        let trusts = ["demo", "admin"].map(|it| (format!("arn:aws:iam::111122223333:role/{it}"), document(&trusting)));
        let named = |holdings: &Holdings| {
            let mut found = could(holdings);
            found.name_roles_to_pass(holdings, &trusts);
            found
        };
        let set = allow("iam:SetDefaultPolicyVersion", "arn:aws:iam::*:policy/team");
        let with = |role: &str| json!([set, allow("lambda:*", "*"), allow("iam:PassRole", role)]);
        let policies = vec![Policy::new("policy", TEAM, None, &document(&with("arn:aws:iam::*:role/demo")))];
        let has = Holdings { policies, ..Holdings::default() };
        let other = has.with_version(TEAM, &document(&with("*"))).unwrap();
        let roles = |it: &Could| it.escalations.iter().find_map(|it| it.roles.clone());
        assert_ne!(roles(&named(&has)), roles(&named(&other)));
        let gained = named(&has).gains(&named(&other));
        let gained: Vec<_> = gained.into_iter().map(|it| it.what).collect();
        assert_eq!(gained, ["pass role arn:aws:iam::111122223333:role/admin to lambda.amazonaws.com"]);
        // Where the roles were not read, what it could pass is not said to be the same.
        assert_eq!(named(&has).not_compared(&named(&other)), None);
        // Of what passes none now there is nothing to compare: all of it is new, and asked.
        let none = has.with_version(TEAM, &document(&set)).unwrap();
        assert_eq!(named(&none).not_compared(&named(&other)), None);
        assert!(named(&none).gains(&named(&other)).iter().any(|it| it.what.contains("lambda-001")));
        assert!(could(&has).not_compared(&could(&other)).unwrap().contains("pass to lambda.amazonaws.com"));
    }

    /// What was not asked of the other version is no answer.
    #[test]
    fn a_version_of_which_not_every_role_was_asked_is_no_version_without_gains() {
        let crown = "arn:aws:iam::111122223333:role/zz-crown";
        let has = holdings();
        let mut resources: Vec<_> = (0..300).map(|it| format!("arn:aws:s3:::{it:03}")).collect();
        resources.push(crown.to_owned());
        let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": resources});
        let other = has.with_version(TEAM, &document(&statement)).unwrap();
        let account =
            document(&json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": "111122223333"}}));
        let asked = |holdings: &Holdings| {
            let (id, partition) = (parsed("111122223333"), parsed("aws"));
            let mut could = Asker { holdings, account: &id, partition: &partition, arn: ALICE }.ask();
            let mut assuming = Assuming::new(holdings, ALICE);
            for n in 0..700 {
                assuming.ask(&format!("arn:aws:iam::111122223333:role/r{n}"), &account);
            }
            assuming.ask(crown, &account);
            could.add_roles(assuming.end());
            could
        };
        let (now, then) = (asked(&has), asked(&other));
        assert!(now.not_asked.is_empty() && !then.not_asked.is_empty());
        assert_eq!(now.not_compared(&now), None);
        let [of] = has.settable().try_into().unwrap();
        let judged = Other::judged(&of, "v1", now.gains(&then), now.not_compared(&then).as_deref());
        assert!(judged.is_worth_telling() && judged.not_known.unwrap().contains("whether it may assume them"));
    }
}
