//! AWS's own answers, by IAM's policy simulator, held against what is read here of policies.
//!
//! It knows what no policy of the account says: service control policies. Where the two disagree, a report says so, and
//! believes neither.
//! <https://docs.aws.amazon.com/IAM/latest/APIReference/API_EvaluationResult.html>

use std::collections::BTreeSet;

use serde::Serialize;

use super::answer::{Answer, few_keys, is_zero};
use super::asked::{ANY, gives_rights};
use super::blocks::{Block, Item, LONGEST_CELL};
use super::part::Part;
use crate::text::{cut, line};

/// What AWS was asked, and what is read here of the same.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    pub action: &'static str,
    /// `*`, or an ARN.
    pub resource: String,
    pub own: Answer,
}

/// AWS's answer about one action on one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Evaluated {
    pub action: String,
    pub resource: String,
    pub is_allowed: bool,
    /// By a statement, where it is not allowed.
    pub is_denied: bool,
    /// Condition keys of its policies that nobody has told AWS.
    pub missing: BTreeSet<String>,
    /// Whether service control policies allow it; not of an account on its own.
    pub by_organization: Option<bool>,
    pub by_boundary: Option<bool>,
    /// Policies that have a statement which decides.
    pub by: BTreeSet<String>,
}

impl Evaluated {
    fn answer(&self) -> Answer {
        if self.by_organization == Some(false) {
            // No key of its own policies lifts that.
            Answer::No
        } else if !self.missing.is_empty() {
            Answer::Depends
        } else if self.is_allowed {
            Answer::Yes
        } else {
            Answer::No
        }
    }

    /// What AWS knows of it, in words.
    fn why(&self) -> String {
        let by: Vec<_> = self.by.iter().take(MOST_POLICIES).map(|it| cut(it, LONGEST_POLICY)).collect();
        let by = if by.is_empty() { String::new() } else { format!(" by {}", by.join(", ")) };
        match (self.by_organization, self.by_boundary) {
            (Some(false), _) => "a service control policy, of whose conditions AWS does not tell".to_owned(),
            (_, Some(false)) => "the permissions boundary does not allow it".to_owned(),
            _ if self.is_allowed => format!("allowed{by}"),
            _ if self.is_denied => format!("denied{by}"),
            _ => "no policy allows it".to_owned(),
        }
    }
}

/// What was not simulated, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NotSimulated {
    pub actions: Vec<String>,
    pub why: String,
}

/// Everything that AWS answered, and did not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replies {
    pub evaluated: Vec<Evaluated>,
    pub not_simulated: Vec<NotSimulated>,
    /// Why nothing more was asked.
    pub stopped: Option<String>,
}

impl Replies {
    pub fn add(&mut self, more: Self) {
        self.evaluated.extend(more.evaluated);
        self.not_simulated.extend(more.not_simulated);
        self.stopped = self.stopped.take().or(more.stopped);
    }
}

/// Both answers to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Compared {
    pub action: &'static str,
    #[serde(skip_serializing_if = "is_any")]
    pub resource: String,
    /// By what is read here of its policies.
    pub own: Answer,
    pub aws: Answer,
    /// What decides, where AWS says no or says otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// What AWS's answer depends on.
    #[serde(skip_serializing_if = "BTreeSet::is_empty")]
    pub depends_on: BTreeSet<String>,
    #[serde(skip_serializing_if = "is_zero")]
    pub more_keys: usize,
    /// One says yes and the other no, or AWS allows what is a no here.
    #[serde(skip_serializing_if = "is_false")]
    pub differs: bool,
}

fn is_any(resource: &str) -> bool {
    resource == ANY
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_false(it: &bool) -> bool {
    !it
}

impl Compared {
    fn of(asked: &Asked, aws: &Evaluated, is_comparable: bool) -> Self {
        let answer = aws.answer();
        // What AWS allows now, whatever another key would change: somebody may have written a condition to hide it.
        let is_more = asked.own == Answer::No && aws.is_allowed && answer != Answer::No;
        let opposed = is_more || (asked.own, answer) == (Answer::Yes, Answer::No);
        let differs = opposed && is_comparable;
        let depends_on = if answer == Answer::Depends { aws.missing.clone() } else { BTreeSet::new() };
        let (depends_on, more_keys) = few_keys(depends_on);
        Self {
            action: asked.action,
            resource: asked.resource.clone(),
            own: asked.own,
            aws: answer,
            why: (differs || answer == Answer::No).then(|| aws.why()),
            depends_on,
            more_keys,
            differs,
        }
    }

    /// AWS decides what is left open here.
    fn is_more(&self) -> bool {
        matches!(self.own, Answer::Depends | Answer::NotKnown) && matches!(self.aws, Answer::Yes | Answer::No)
    }

    fn allows_more(&self) -> bool {
        self.differs && self.own == Answer::No
    }

    fn why(&self) -> &str {
        self.why.as_deref().unwrap_or_default()
    }

    fn row(&self) -> Vec<String> {
        let resource = if is_any(&self.resource) { "any".to_owned() } else { cut(&self.resource, LONGEST_CELL) };
        let (own, aws) = (self.own.word().to_owned(), self.aws.word().to_owned());
        vec![self.action.to_owned(), resource, own, aws, self.why().to_owned()]
    }

    fn words(&self) -> String {
        let at = if is_any(&self.resource) { String::new() } else { format!(" on {}", line(&self.resource, 200)) };
        format!("{}{at} ({} here, {} by AWS: {})", self.action, self.own.word(), self.aws.word(), self.why())
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Simulation {
    pub answers: Part<Compared>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_simulated: Vec<NotSimulated>,
    /// What it had and AWS could not be told: its answers are without that, and held against nothing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub without: Vec<String>,
}

impl Simulation {
    pub fn not_asked(why: &str) -> Self {
        Self { answers: Part::not_asked(why), not_simulated: Vec::new(), without: Vec::new() }
    }

    /// `without`: what AWS could not be told.
    pub fn of(asked: &[Asked], replies: Replies, without: Vec<String>) -> Self {
        let Replies { evaluated, not_simulated, stopped } = replies;
        let why = stopped.or_else(|| not_simulated.first().map(|it| it.why.clone()));
        if let Some(why) = why.filter(|_| evaluated.is_empty()) {
            return Self::not_asked(&why);
        }
        let compared = asked.iter().filter_map(|asked| {
            let is_of = |it: &&Evaluated| it.action.eq_ignore_ascii_case(asked.action) && it.resource == asked.resource;
            Some(Compared::of(asked, evaluated.iter().find(is_of)?, without.is_empty()))
        });
        Self { answers: Part::Asked(compared.collect()), not_simulated, without }
    }

    /// Where one says yes and the other no.
    pub fn differing(&self) -> impl Iterator<Item = &Compared> {
        self.answers.iter().filter(|it| it.differs)
    }

    /// AWS allows something that nothing read here allows.
    pub(super) fn allows_more(&self) -> bool {
        self.answers.iter().any(Compared::allows_more)
    }

    /// AWS did not answer everything, or not about all that it had.
    pub(super) fn is_in_part(&self) -> bool {
        self.answers.why_not().is_some() || !self.not_simulated.is_empty() || !self.without.is_empty()
    }

    /// The same of what gives more rights.
    pub(super) fn allows_more_rights(&self) -> bool {
        self.answers.iter().any(|it| it.allows_more() && gives_rights(it.action))
    }

    /// Beside a way that takes these actions.
    pub(super) fn about(&self, actions: &[&str]) -> Option<String> {
        let found: Vec<_> = self.differing().filter(|it| actions.contains(&it.action)).map(Compared::words).collect();
        (!found.is_empty()).then(|| format!("AWS's own simulation says otherwise: {}", found.join("; ")))
    }

    /// In a line for a phone.
    pub(super) fn in_short(&self) -> String {
        match self.differing().count() {
            0 => String::new(),
            count => format!("; AWS's own simulation says otherwise of {count} actions"),
        }
    }

    pub(super) fn open_point(&self) -> Option<String> {
        let differing: Vec<_> = self.differing().collect();
        let named: Vec<_> = differing.iter().take(MOST_NAMED).map(|it| it.words()).collect();
        let more = differing.len().saturating_sub(MOST_NAMED);
        let more = if more > 0 { format!("; and {more} more") } else { String::new() };
        (!named.is_empty()).then(|| {
            format!("what is read here of policies and AWS's own simulation disagree: {}{more}", named.join("; "))
        })
    }

    pub(super) fn blocks(&self) -> Vec<Block> {
        let title = "AWS's own simulation of its policies";
        if let Some(why) = self.answers.why_not() {
            let words =
                format!("{title}: not asked: {why}. The answers above are by what is read here of its policies.");
            return vec![Block::Line(words)];
        }
        let not_answered: usize = self.not_simulated.iter().map(|it| it.actions.len()).sum();
        let answered = match (self.answers.found().len(), not_answered) {
            (all, 0) => all.to_string(),
            (some, not) => format!("{some} of {}", some + not),
        };
        let differing: Vec<_> = self.differing().map(Compared::row).collect();
        let says = match (differing.len(), self.without.is_empty()) {
            (0, true) => "none says otherwise than what is read here".to_owned(),
            (0, false) => "they are held against nothing, because AWS could not be told all that it had".to_owned(),
            (count, _) => {
                format!("{count} say otherwise than what is read here, and a person has to look which is right")
            }
        };
        let mut blocks =
            vec![Block::Line(format!("{title}, as it was before containment: {answered} answers; {says}."))];
        blocks.extend(table(differing));
        let more: Vec<_> = self.answers.iter().filter(|it| it.is_more()).map(Compared::row).collect();
        if !more.is_empty() {
            blocks.push(Block::Line("AWS decides what is left open here:".to_owned()));
            blocks.extend(table(more));
        }
        let without = self.without.iter().map(|it| Item::new(format!("AWS's answers are without: {it}")));
        let not_simulated = self
            .not_simulated
            .iter()
            .map(|it| Item::new(format!("Not simulated: {}: {}", it.actions.join(", "), it.why)));
        blocks.push(Block::Items(without.chain(not_simulated).collect()));
        blocks
    }
}

fn table(mut rows: Vec<Vec<String>>) -> Vec<Block> {
    let more = rows.len().saturating_sub(MOST_ROWS);
    rows.truncate(MOST_ROWS);
    let more = (more > 0).then(|| Block::Line(format!("{more} more are in the JSON.")));
    let table = Block::Table { head: &["Action", "Resource", "Here", "AWS", "What decides for AWS"], rows };
    std::iter::once(table).chain(more).collect()
}

/// Of one answer, and of the whole for people: all are in the JSON.
const MOST_POLICIES: usize = 3;
const LONGEST_POLICY: usize = 200;
const MOST_ROWS: usize = 40;
const MOST_NAMED: usize = 5;

#[cfg(test)]
mod tests {
    use super::super::could::Could;
    use super::super::report::tests::{READER, could, report_of, report_with};
    use super::super::risk::Level;
    use super::*;
    use crate::fixtures::identity;
    use crate::history::Kept;
    use crate::identity::IdentityKind;

    const CREATE: &str = "iam:CreateUser";
    const READ: &str = "s3:GetObject";

    fn asked(action: &'static str, own: Answer) -> Asked {
        Asked { action, resource: ANY.to_owned(), own }
    }

    fn evaluated(action: &str, is_allowed: bool) -> Evaluated {
        Evaluated { action: action.to_owned(), resource: ANY.to_owned(), is_allowed, ..Evaluated::default() }
    }

    fn compared(own: Answer, aws: &Evaluated) -> Compared {
        Compared::of(&asked(CREATE, own), aws, true)
    }

    fn simulation(asked: &[Asked], evaluated: Vec<Evaluated>, without: &[&str]) -> Simulation {
        let replies = Replies { evaluated, ..Replies::default() };
        Simulation::of(asked, replies, without.iter().map(|it| (*it).to_owned()).collect())
    }

    fn with(simulation: Simulation) -> Could {
        Could { simulation, ..could(READER) }
    }

    #[test]
    fn only_a_yes_against_a_no_is_a_disagreement() {
        use Answer::{Depends, No, NotKnown, Yes};
        let (yes, no) = (evaluated(CREATE, true), evaluated(CREATE, false));
        let depends = Evaluated { missing: BTreeSet::from(["aws:SourceIp".to_owned()]), ..no.clone() };
        let denied_by_key = Evaluated { is_denied: true, ..depends.clone() };
        for (aws, says) in [(&yes, Yes), (&no, No), (&depends, Depends), (&denied_by_key, Depends)] {
            for own in [No, NotKnown, Depends, Yes] {
                let found = compared(own, aws);
                assert_eq!(found.aws, says);
                assert_eq!(found.differs, matches!((own, says), (Yes, No) | (No, Yes)), "{own:?} {says:?}");
                assert_eq!(found.is_more(), matches!(own, Depends | NotKnown) && matches!(says, Yes | No));
            }
        }
        assert_eq!(compared(Yes, &depends).depends_on, BTreeSet::from(["aws:SourceIp".to_owned()]));
    }

    #[test]
    fn what_aws_knows_more_is_why() {
        let no = evaluated(CREATE, false);
        let organization =
            Evaluated { by_organization: Some(false), missing: BTreeSet::from(["k".to_owned()]), ..no.clone() };
        // Keys of its own policies do not lift what an organisation forbids.
        let found = compared(Answer::Yes, &organization);
        assert!(found.differs && found.why().contains("service control policy"));
        let boundary = Evaluated { by_organization: Some(true), by_boundary: Some(false), ..no.clone() };
        assert!(compared(Answer::Yes, &boundary).why().contains("boundary"));
        let by = BTreeSet::from(["deny (user)".to_owned()]);
        let denied = Evaluated { is_denied: true, by, ..no.clone() };
        assert_eq!(compared(Answer::Yes, &denied).why(), "denied by deny (user)");
        assert_eq!(compared(Answer::Yes, &no).why(), "no policy allows it");
        assert_eq!(compared(Answer::Yes, &evaluated(CREATE, true)).why, None);
    }

    #[test]
    fn a_disagreement_is_an_open_point_and_what_aws_allows_more_is_grave() {
        let both = [asked(CREATE, Answer::No), asked(READ, Answer::Yes)];
        let found = simulation(&both, vec![evaluated(CREATE, true), evaluated(READ, false)], &[]);
        let report = report_of(with(found), Vec::new(), Vec::new(), &Kept::default());
        let [point] =
            report.open_points.iter().filter(|it| it.contains("disagree")).collect::<Vec<_>>().try_into().unwrap();
        assert!(point.contains("iam:CreateUser (no here, yes by AWS: allowed)"), "{point}");
        assert!(point.contains("s3:GetObject (yes here, no by AWS: no policy allows it)"), "{point}");
        assert!(
            report.summary[2].ends_with("; AWS's own simulation says otherwise of 2 actions."),
            "{:?}",
            report.summary
        );
        assert_eq!(report.risk.level, Level::High);
        assert!(report.risk.because.iter().any(|it| it.contains("simulation allows it to get more rights")));
        // Whoever keeps a revision from asking makes it no calmer by that.
        let next = |simulation: Simulation| {
            report_with(&identity(IdentityKind::User), Vec::new(), &Kept::default(), |_, found| {
                (found.before, found.could.simulation) = (Some(report.gist()), simulation.clone());
            })
        };
        let refused = next(Simulation::not_asked("throttled"));
        assert_eq!((refused.risk.level, refused.gist().is_simulated_in_part), (Level::High, true));
        assert!(refused.gist().after(Some(&report.gist())).is_allowed_more_by_aws);
        let answered = simulation(&[asked(CREATE, Answer::No)], vec![evaluated(CREATE, false)], &[]);
        assert!(next(answered).risk.level < Level::High);
        // What is no way to more rights is less.
        let found = simulation(&[asked(READ, Answer::No)], vec![evaluated(READ, true)], &[]);
        let report = report_of(with(found), Vec::new(), Vec::new(), &Kept::default());
        assert_eq!(report.risk.level, Level::Medium);
        // Nothing says otherwise.
        let found = simulation(&[asked(READ, Answer::No)], vec![evaluated(READ, false)], &[]);
        let report = report_of(with(found), Vec::new(), Vec::new(), &Kept::default());
        assert!(!report.open_points.iter().any(|it| it.contains("simulation")) && report.risk.level == Level::Low);
        assert!(report.markdown().contains("1 answers; none says otherwise"), "{}", report.markdown());
    }

    #[test]
    fn answers_about_less_than_it_had_are_held_against_nothing() {
        let found = simulation(&[asked(CREATE, Answer::Yes)], vec![evaluated(CREATE, false)], &["policy arn:x"]);
        assert_eq!((found.differing().count(), found.open_point()), (0, None));
        let page = report_of(with(found), Vec::new(), Vec::new(), &Kept::default()).markdown().replace('\\', "");
        assert!(page.contains("held against nothing") && page.contains("AWS's answers are without: policy arn:x"));
    }

    #[test]
    fn who_may_not_ask_says_so_in_one_line_and_what_was_not_asked_is_named() {
        let stopped = Some("`iam:SimulatePrincipalPolicy` is not allowed".to_owned());
        let none = NotSimulated { actions: vec![CREATE.to_owned()], why: "throttled".to_owned() };
        let refused = Replies { stopped: stopped.clone(), not_simulated: vec![none.clone()], ..Replies::default() };
        let found = Simulation::of(&[asked(CREATE, Answer::Yes)], refused, Vec::new());
        assert_eq!((found.blocks().len(), found.not_simulated.len()), (1, 0));
        // Once something was answered, it stays.
        let some = Replies { stopped, not_simulated: vec![none], evaluated: vec![evaluated(READ, true)] };
        let found = Simulation::of(&[asked(CREATE, Answer::Yes), asked(READ, Answer::Yes)], some, Vec::new());
        assert_eq!((found.answers.found().len(), found.not_simulated.len()), (1, 1));
        let report = report_of(with(found), Vec::new(), Vec::new(), &Kept::default());
        assert!(report.markdown().replace('\\', "").contains("Not simulated: iam:CreateUser: throttled"));
    }

    /// A policy that AWS can't evaluate fails every batch.
    #[test]
    fn a_simulation_that_answered_nothing_is_no_agreement() {
        let not_simulated = vec![NotSimulated { actions: vec![CREATE.to_owned()], why: "PolicyEvaluation".to_owned() }];
        let found =
            Simulation::of(&[asked(CREATE, Answer::Yes)], Replies { not_simulated, ..Replies::default() }, Vec::new());
        assert_eq!(found.answers.why_not(), Some("PolicyEvaluation"));
    }

    #[test]
    fn what_aws_allows_whatever_keys_are_missing_is_more_than_a_no_here() {
        let missing = BTreeSet::from(["aws:SourceIp".to_owned()]);
        let aws = |is_allowed| Evaluated { missing: missing.clone(), ..evaluated(CREATE, is_allowed) };
        let found = |is_allowed| simulation(&[asked(CREATE, Answer::No)], vec![aws(is_allowed)], &[]);
        let report = report_of(with(found(true)), Vec::new(), Vec::new(), &Kept::default());
        assert_eq!(report.risk.level, Level::High);
        assert!(
            report.markdown().replace('\\', "").contains("iam:CreateUser (no here, depends"),
            "{}",
            report.summary[2]
        );
        assert_eq!(found(false).differing().count(), 0);
    }

    /// Whoever is forbidden everything by an organisation gives two hundred rows.
    #[test]
    fn of_many_disagreements_the_rest_is_counted() {
        let actions: Vec<_> = super::super::asked::actions().into_iter().collect();
        let asked: Vec<_> = actions.iter().map(|it| asked(it, Answer::Yes)).collect();
        let found = simulation(&asked, actions.iter().map(|it| evaluated(it, false)).collect(), &[]);
        assert!(found.open_point().is_some_and(|it| it.ends_with(&format!("and {} more", actions.len() - MOST_NAMED))));
        let page = report_of(with(found), Vec::new(), Vec::new(), &Kept::default()).markdown();
        assert!(page.contains(&format!("{} more are in the JSON", actions.len() - MOST_ROWS)));
    }

    /// Whoever throttles IAM keeps AWS from being asked again.
    #[test]
    fn the_level_does_not_sink_while_aws_is_not_asked_again() {
        let kept = super::super::report::tests::contained(120);
        let alice = identity(IdentityKind::User);
        let more = with(simulation(&[asked(CREATE, Answer::No)], vec![evaluated(CREATE, true)], &[]));
        let first = report_with(&alice, Vec::new(), &kept, |_, found| found.could = more.clone());
        assert_eq!(first.risk.level, Level::High);
        let throttled = with(Simulation::not_asked("AWS asked for fewer calls"));
        let next = report_with(&alice, Vec::new(), &kept, |_, found| {
            found.could = throttled.clone();
            found.before = Some(first.gist());
        });
        assert_eq!(next.risk.level, first.risk.level, "{:?} {:?}", next.risk, next.changes);
    }
}
