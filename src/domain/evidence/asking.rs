//! The questions about one identity, asked one by one: all ways of the catalogue, whether it is an administrator, and
//! which roles elsewhere it may try.

use std::collections::{BTreeMap, BTreeSet};

use super::answer::{Answer, Decision, Holdings};
use super::asked::{GIVES_RIGHTS, GUARDED};
use super::assume::{ASSUME, Attempt};
use super::catalogue::{Kind, PASS, Path, paths};
use super::could::{Could, Found, Uncut};
use super::part::Part;
use super::resources::{is_of_others, resources};
use super::rules::{Placed, Rules};
use super::simulation::Simulation;
use crate::ids::{AccountId, Partition};
use crate::text::cut;

/// An action that no service has: who may do it may do whatever nothing denies.
const WHATEVER: &str = "of-no-service:OfNoAction";

/// Whom the questions are about.
#[derive(Clone, Copy)]
pub struct Asker<'a> {
    pub holdings: &'a Holdings,
    pub account: &'a AccountId,
    pub partition: &'a Partition,
    pub arn: &'a str,
}

/// Questions that are being asked, one by one: whoever asks may do something else in between.
pub struct Asking<'a> {
    asker: &'a Asker<'a>,
    pub(super) rules: Rules<'a>,
    passing: Vec<Placed<'a>>,
    left: &'static [Path],
    found: Vec<(Kind, Found)>,
    /// Of an action, and of the service that a role is passed to.
    pub(super) known: BTreeMap<(&'static str, Option<&'static str>), Decision>,
    /// A resource of which the answer about the action is so.
    pub(super) examples: BTreeMap<&'static str, String>,
}

impl Asker<'_> {
    /// Everything but the roles of its account.
    pub fn ask(&self) -> Could {
        let mut asking = self.begin();
        while asking.step() {}
        asking.end()
    }

    pub fn begin(&self) -> Asking<'_> {
        let placed = self.holdings.placed();
        Asking {
            asker: self,
            rules: self.holdings.rules(&placed, &self.holdings.context),
            passing: placed.into_iter().filter(|it| it.statement.is_about(PASS)).collect(),
            left: paths(),
            found: Vec::new(),
            known: BTreeMap::new(),
            examples: BTreeMap::new(),
        }
    }

    pub(super) fn template(&self, action: &str) -> String {
        let rest = resources(action).unwrap_or("*").replace("{a}", self.account.as_str());
        format!("arn:{}:{rest}", self.partition)
    }

    /// Every role, and what is of its own account.
    pub(super) fn elsewhere(&self) -> (String, String) {
        let (account, partition) = (self.account, self.partition);
        (format!("arn:{partition}:iam::*:role/*"), format!("arn:{partition}:iam::{account}:*"))
    }
}

impl Asking<'_> {
    /// Asks about the next way; whether there was one.
    pub fn step(&mut self) -> bool {
        let Some((path, left)) = self.left.split_first() else { return false };
        self.left = left;
        let found = self.found(path);
        if found.decision.answer != Answer::No {
            self.found.push((path.kind, found));
        }
        true
    }

    pub fn end(self) -> Could {
        let (administrator, administrator_but, probes) = self.administrator();
        let (mut elsewhere, roles_elsewhere) = self.roles_elsewhere();
        let more_roles_elsewhere = elsewhere.len().saturating_sub(MOST_ROLES_ELSEWHERE);
        elsewhere.truncate(MOST_ROLES_ELSEWHERE);
        let of = |kind: Kind| -> Vec<Found> {
            self.found.iter().filter(|(it, _)| *it == kind).map(|(_, it)| it.clone()).collect()
        };
        let mut escalations = of(Kind::Rights);
        name_variants(&mut escalations);
        let decisions = self.found.iter().map(|(_, it)| &it.decision).chain(elsewhere.iter().map(|it| &it.decision));
        let numbers: BTreeSet<usize> = decisions.chain([&administrator]).flat_map(|it| it.by.iter().copied()).collect();
        let holdings = self.asker.holdings;
        Could {
            grants: holdings.grants(&numbers),
            administrator,
            administrator_but,
            escalations: Part::Asked(escalations),
            secrets: Part::Asked(of(Kind::Secrets)),
            data: Part::Asked(of(Kind::Data)),
            logging: Part::Asked(of(Kind::Logging)),
            roles: Part::not_asked("whom roles trust was not read"),
            more_roles: 0,
            roles_elsewhere: Part::Asked(elsewhere),
            more_roles_elsewhere,
            versions: Part::not_asked("other versions of its policies were not read"),
            versions_read: 0,
            unread: [holdings.unread.clone(), holdings.malformed()].concat(),
            not_asked: Vec::new(),
            notes: Vec::new(),
            simulation: Simulation::not_asked("nobody asked"),
            uncut: Uncut { roles_elsewhere, probes, ..Uncut::default() },
        }
    }

    /// The answer, which of the actions asked about are denied to it, and the answer about each.
    fn administrator(&self) -> (Decision, Vec<&'static str>, BTreeMap<&'static str, Answer>) {
        let ask = |action: &&'static str| {
            let resource = match resources(action) {
                None => "*".to_owned(),
                Some(_) => self.asker.template(action).replace('*', "0example0"),
            };
            (*action, self.rules.about(action).may(&resource))
        };
        let rights: Vec<_> = GIVES_RIGHTS.iter().map(ask).collect();
        let guarded: Vec<_> = GUARDED.iter().map(ask).collect();
        let best = best(rights.iter().map(|(_, it)| it.clone()));
        let rest = guarded.iter().map(|(_, it)| it.clone()).filter(|it| it.answer != Answer::No);
        let all = together([ask(&WHATEVER).1, best].into_iter().chain(rest));
        let is_denied = |(action, it): &(&'static str, Decision)| (it.answer == Answer::No).then_some(*action);
        let denied = rights.iter().chain(&guarded).filter_map(is_denied);
        let but = if all.answer == Answer::No { Vec::new() } else { denied.collect() };
        let probes = rights.iter().chain(&guarded).map(|(action, it)| (*action, it.answer)).collect();
        (all.in_short(), but, probes)
    }

    fn found(&mut self, path: &'static Path) -> Found {
        let pass = path.passes_to.map(|it| self.may_somewhere(PASS, Some(it)));
        let mut actions: Vec<_> = path.passes_to.map(|_| PASS).into_iter().collect();
        let mut each: Vec<_> = pass.into_iter().collect();
        for need in &path.needs {
            let answers: Vec<_> = need.iter().map(|it| (*it, self.may_somewhere(it, None))).collect();
            let may = answers.iter().filter(|(_, it)| it.answer != Answer::No || need.len() == 1);
            actions.extend(may.map(|(action, _)| *action));
            each.push(best(answers.into_iter().map(|(_, it)| it)));
        }
        let role = path.passes_to.map(|it| format!("a role that trusts {it}"));
        let also = role.into_iter().chain((!path.also.is_empty()).then(|| path.also.to_owned()));
        Found {
            id: path.id,
            what: path.name,
            actions,
            decision: together(each).in_short(),
            also_needs: also.collect::<Vec<_>>().join(", and "),
            passes_to: path.passes_to,
            roles: None,
            variant_of: None,
            versions: Vec::new(),
        }
    }

    fn may_somewhere(&mut self, action: &'static str, service: Option<&'static str>) -> Decision {
        if let Some(known) = self.known.get(&(action, service)) {
            return known.clone();
        }
        let (asker, holdings) = (self.asker, self.asker.holdings);
        let passing;
        let question = match service {
            None => self.rules.about(action),
            Some(service) => {
                passing = holdings.rules(&self.passing, &holdings.passing_to(service));
                passing.all()
            }
        };
        let decision = match resources(action) {
            None => question.may("*"),
            Some(_) => {
                let but = is_of_others(action).then_some(asker.arn);
                let (decision, at) = question.best_of_some(&asker.template(action), but);
                self.examples.extend(at.filter(|_| service.is_none()).map(|it| (action, it)));
                decision
            }
        };
        self.known.insert((action, service), decision.clone());
        decision
    }

    /// Those that a report may list, and all.
    fn roles_elsewhere(&self) -> (Vec<Attempt>, BTreeMap<String, Answer>) {
        let (anywhere, own) = self.asker.elsewhere();
        let found = self.rules.about(ASSUME).patterns_to_some(&anywhere, &own);
        let all = found.iter().map(|(roles, it)| (roles.clone(), it.answer)).collect();
        let attempt =
            |(roles, it): (String, Decision)| Attempt { roles: cut(&roles, LONGEST_ROLES), decision: it.in_short() };
        (found.into_iter().map(attempt).collect(), all)
    }
}

/// Roles beyond so many are counted.
const MOST_ROLES_ELSEWHERE: usize = 50;
const LONGEST_ROLES: usize = 600;

/// What needs several is as likely as the least likely of them.
fn together(each: impl IntoIterator<Item = Decision>) -> Decision {
    let mut all: Option<Decision> = None;
    for next in each {
        let Some(so_far) = &mut all else {
            all = Some(next);
            continue;
        };
        if next.answer == Answer::No || so_far.answer == Answer::No {
            return Decision::no();
        }
        so_far.answer = so_far.answer.min(next.answer);
        add(so_far, next);
    }
    all.unwrap_or_else(Decision::no)
}

/// Where one of several is enough.
fn best(each: impl IntoIterator<Item = Decision>) -> Decision {
    let mut best = Decision::no();
    for next in each {
        match next.answer.cmp(&best.answer) {
            std::cmp::Ordering::Less => {}
            std::cmp::Ordering::Equal => add(&mut best, next),
            std::cmp::Ordering::Greater => best = next,
        }
    }
    best
}

fn add(to: &mut Decision, more: Decision) {
    to.depends_on.extend(more.depends_on);
    to.by.extend(more.by);
    to.by.sort_unstable();
    to.by.dedup();
    to.more_by += more.more_by;
}

/// Those that take all that another one takes, and more.
fn name_variants(found: &mut [Found]) {
    let all: Vec<_> = found.iter().map(|it| (it.id, it.passes_to, it.actions.clone(), it.decision.answer)).collect();
    for one in found {
        let is_base = |(_, passes_to, actions, answer): &&(&str, Option<&str>, Vec<&str>, Answer)| {
            *passes_to == one.passes_to
                && *answer >= one.decision.answer
                && actions.len() < one.actions.len()
                && actions.iter().all(|it| one.actions.contains(it))
        };
        // The one that takes least is no variant itself.
        one.variant_of = all.iter().filter(is_base).min_by_key(|it| it.2.len()).map(|it| it.0);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::catalogue::of;
    use super::super::document::Policy;
    use super::super::report::tests::report;
    use super::super::risk::Level;
    use super::super::trail::tests::event;
    use super::*;
    use crate::fixtures::parsed;
    use crate::history::Kept;

    fn policy(statements: &Value) -> Policy {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        Policy::new("policy", "p", Some("developers"), &document)
    }

    fn ask(holdings: &Holdings) -> Could {
        let arn = "arn:aws:iam::111122223333:user/alice";
        Asker { holdings, account: &parsed("111122223333"), partition: &parsed("aws"), arn }.ask()
    }

    fn could(statements: &Value) -> Could {
        ask(&Holdings { policies: vec![policy(statements)], ..Holdings::default() })
    }

    fn allow(action: &str, resource: &str) -> Value {
        json!({"Effect": "Allow", "Action": action, "Resource": resource})
    }

    fn ids(could: &Could) -> Vec<&'static str> {
        could.escalations.iter().map(|it| it.id).collect()
    }

    #[test]
    fn an_administrator_may_everything() {
        let found = could(&json!({"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}));
        assert_eq!(found.administrator.answer, Answer::Yes);
        assert!(found.administrator_but.is_empty());
        let by = &found.grants[&found.administrator.by[0]];
        assert_eq!((by.statement.as_str(), by.group.as_deref()), ("All", Some("developers")));
        let all = |kind: Kind| of(kind).count();
        assert_eq!(found.escalations.found().len(), all(Kind::Rights));
        assert_eq!(
            (found.secrets.found().len(), found.logging.found().len()),
            (all(Kind::Secrets), all(Kind::Logging))
        );
    }

    #[test]
    fn a_power_user_is_no_administrator() {
        let found = could(&json!({"Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": "*"}));
        assert_eq!(found.administrator.answer, Answer::No);
        assert!(found.escalations.iter().all(|it| it.passes_to.is_none() && !it.also_needs.is_empty()));
        let ids: Vec<_> = found.escalations.iter().filter(|it| it.variant_of.is_none()).map(|it| it.id).collect();
        assert!(ids.contains(&"lambda-003") && ids.contains(&"ssm-002") && !ids.contains(&"lambda-004"), "{ids:?}");
        assert!(found.data.iter().all(|it| it.decision.answer == Answer::Yes));
    }

    #[test]
    fn passing_a_role_takes_the_service_too() {
        let pass = json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/app-*",
            "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}});
        assert!(could(&pass).escalations.found().is_empty());
        let run = json!({"Effect": "Allow", "Action": ["lambda:*", "ec2:RunInstances"], "Resource": "*"});
        let found = could(&json!([pass, run]));
        let ids: Vec<_> = found.escalations.iter().map(|it| it.id).collect();
        assert!(ids.contains(&"lambda-001") && !ids.contains(&"ec2-001"), "{ids:?}");
        let way = found.escalations.iter().find(|it| it.id == "lambda-001").unwrap();
        assert_eq!((way.decision.answer, way.decision.by.len()), (Answer::Yes, 2));
        assert_eq!(way.actions, ["iam:PassRole", "lambda:CreateFunction", "lambda:InvokeFunction"]);
        assert!(way.also_needs.contains("trusts lambda.amazonaws.com") && way.is_open());
    }

    #[test]
    fn a_path_that_takes_more_of_the_same_is_a_variant() {
        let found = could(&json!({"Effect": "Allow", "Action": ["iam:CreateUser", "iam:*AccessKey"], "Resource": "*"}));
        let variants: Vec<_> = found.escalations.iter().map(|it| (it.id, it.variant_of)).collect();
        assert_eq!(variants, [("iam-004", None), ("iam-015", Some("iam-004"))]);
    }

    /// Where the lesser one depends on a condition, the greater one is no variant of it.
    #[test]
    fn a_path_that_is_surer_is_no_variant() {
        let found = could(&json!([
            {"Effect": "Allow", "Action": "lambda:UpdateFunctionCode", "Resource": "*",
                "Condition": {"StringEquals": {"aws:SourceVpc": "vpc-1"}}},
            {"Effect": "Allow", "Action": "lambda:InvokeFunction", "Resource": "*"},
        ]));
        let keys: Vec<_> =
            found.escalations.iter().map(|it| it.decision.depends_on.first().unwrap().as_str()).collect();
        assert_eq!(keys, ["aws:SourceVpc", "aws:SourceVpc"]);
    }

    #[test]
    fn ones_own_credentials_are_no_escalation() {
        let own =
            json!({"Effect": "Allow", "Action": "iam:*AccessKey*", "Resource": "arn:aws:iam::111122223333:user/alice"});
        assert!(could(&own).escalations.found().is_empty());
        let others = json!({"Effect": "Allow", "Action": "iam:*AccessKey*", "Resource": "arn:aws:iam::*:user/a*"});
        assert_eq!(could(&others).escalations.iter().map(|it| it.id).collect::<Vec<_>>(), ["iam-004"]);
    }

    #[test]
    fn a_reader_of_one_bucket_reads_that_bucket() {
        let found = could(&json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::reports/*"}));
        assert!([&found.escalations, &found.secrets, &found.logging].iter().all(|it| it.found().is_empty()));
        let [data] = found.data.found() else { panic!("{:?}", found.data) };
        assert_eq!(data.what, "read objects in S3");
        assert_eq!(found.grants[&data.decision.by[0]].resources, ["arn:aws:s3:::reports/*"]);
    }

    /// The usual delegated administrator: everything, bounded to what begins with its team's name.
    #[test]
    fn what_the_boundary_allows_to_some_resources_is_no_no() {
        let boundary = vec![policy(&json!([
            allow("iam:*AccessKey*", "arn:aws:iam::*:user/team-*"),
            allow("iam:PassRole", "arn:aws:iam::*:role/team-*"),
            allow("lambda:*", "*"),
            allow("secretsmanager:*", "arn:aws:secretsmanager:*:*:secret:team-*"),
        ]))];
        let holdings =
            Holdings { policies: vec![policy(&allow("*", "*"))], limits: vec![boundary], ..Holdings::default() };
        assert_eq!(holdings.may("iam:CreateAccessKey", "arn:aws:iam::111122223333:user/team-lead").answer, Answer::Yes);
        let found = ask(&holdings);
        assert!(ids(&found).contains(&"iam-004") && ids(&found).contains(&"lambda-001"), "{:?}", ids(&found));
        assert!(!found.secrets.found().is_empty());
    }

    #[test]
    fn a_deny_of_all_but_some_resources_is_no_no_for_those() {
        let deny = json!({"Effect": "Deny", "Action": "iam:*", "NotResource": "arn:aws:iam::*:user/svc-*"});
        let found = could(&json!([allow("*", "*"), deny]));
        assert!(ids(&found).contains(&"iam-004"), "{:?}", ids(&found));
    }

    #[test]
    fn a_role_of_another_account_that_its_policies_let_it_assume_is_named() {
        let document = json!({"Version": "2012-10-17",
            "Statement": allow("sts:AssumeRole", "arn:aws:iam::222222222222:role/OrganizationAccountAccessRole")});
        let report = report(&document.to_string(), vec![event("ListUsers", 60)], Vec::new(), &Kept::default());
        assert!(
            report.markdown().contains("OrganizationAccountAccessRole: yes by its own policies"),
            "{:?}",
            report.could
        );
        assert!(report.not_looked_at.iter().any(|it| it.contains("roles of other accounts")));
        assert!(report.summary[2].contains("roles of other accounts by 1 patterns"), "{:?}", report.summary);
        assert_eq!(report.risk.level, Level::High, "{:?}", report.risk);
    }

    #[test]
    fn secrets_and_data_that_another_action_reads_are_no_no() {
        for action in ["ssm:GetParameters", "ssm:GetParametersByPath", "ssm:GetParameterHistory"] {
            assert!(!could(&allow(action, "*")).secrets.found().is_empty(), "{action}");
        }
        for action in ["dynamodb:Query", "dynamodb:GetItem", "dynamodb:ExportTableToPointInTime", "s3:GetObjectVersion"]
        {
            assert!(!could(&allow(action, "*")).data.found().is_empty(), "{action}");
        }
        for action in
            ["cloudtrail:UpdateTrail", "guardduty:CreateFilter", "guardduty:DisassociateFromAdministratorAccount"]
        {
            assert!(!could(&allow(action, "*")).logging.found().is_empty(), "{action}");
        }
    }

    /// Taking a deny or a boundary from oneself is a way to more rights by one call.
    #[test]
    fn replacing_its_boundary_or_deleting_its_deny_is_a_way_to_more_rights() {
        for action in [
            "iam:PutUserPermissionsBoundary",
            "iam:PutRolePermissionsBoundary",
            "iam:DeleteUserPolicy",
            "iam:DetachUserPolicy",
            "iam:DetachRolePolicy",
            "iam:DeleteRolePolicy",
            "iam:UpdateSAMLProvider",
            "iam:CreateServiceSpecificCredential",
            "secretsmanager:PutResourcePolicy",
            "kms:PutKeyPolicy",
            "eks:CreateAccessEntry",
        ] {
            let found = could(&allow(action, "*"));
            assert!(!found.escalations.found().is_empty() || !found.secrets.found().is_empty(), "{action}");
        }
    }

    /// A guardrail that an administrator can take away.
    #[test]
    fn an_administrator_under_a_guardrail_is_not_said_to_be_none() {
        let deny = json!({"Effect": "Deny", "Action": ["kms:ScheduleKeyDeletion", "s3:DeleteBucket"], "Resource": "*"});
        let found = could(&json!([allow("*", "*"), deny]));
        assert_eq!(found.administrator.answer, Answer::Yes);
        assert_eq!(found.administrator_but, ["s3:DeleteBucket", "kms:ScheduleKeyDeletion"]);
    }

    /// Ten managed policies as long as IAM takes them.
    #[test]
    fn policies_as_long_as_iam_takes_them_fit_into_the_answer() {
        let policies = (0..10)
            .map(|n| {
                let all_but: Vec<_> = (0..90).map(|it| format!("arn:aws:s3:::{}-{n}-{it}", "b".repeat(45))).collect();
                let document = json!({"Version": "2012-10-17",
                    "Statement": {"Effect": "Allow", "Action": "*", "NotResource": all_but}})
                .to_string();
                assert!(document.len() < 6_144, "{}", document.len());
                Policy::new("policy", &format!("arn:aws:iam::111122223333:policy/p{n}"), None, &document)
            })
            .collect();
        let found = ask(&Holdings { policies, ..Holdings::default() });
        let length = json!(found).to_string().len();
        assert!(length < 1_000_000, "{length}");
    }

    #[test]
    fn roles_elsewhere_are_those_that_are_not_of_its_own_account() {
        let elsewhere = |statements: &Value| -> Vec<String> {
            could(statements).roles_elsewhere.iter().map(|it| it.roles.clone()).collect()
        };
        assert!(elsewhere(&allow("sts:*", "arn:aws:iam::111122223333:role/*")).is_empty());
        assert_eq!(elsewhere(&allow("*", "*")), ["*"]);
        let some = ["arn:aws:iam::*:role/deploy", "arn:aws:iam::111122223333:role/x", "arn:aws:iam::2222:user/x"];
        let some = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": some});
        assert_eq!(elsewhere(&some), ["arn:aws:iam::*:role/deploy"]);
        let deny = json!({"Effect": "Deny", "Action": "sts:*", "NotResource": "arn:aws:iam::111122223333:*"});
        assert!(elsewhere(&json!([some, deny])).is_empty());
        let report =
            report(&json!({"Statement": some}).to_string(), vec![event("ListUsers", 60)], Vec::new(), &Kept::default());
        assert_eq!(report.risk.level, Level::Medium, "{:?}", report.risk);
    }

    #[test]
    fn of_alternatives_those_are_named_that_it_may() {
        let found = could(&json!([allow("ssm:GetParametersByPath", "*"), allow("ssm:GetParameterH*", "*")]));
        assert_eq!(found.secrets.found()[0].actions, ["ssm:GetParametersByPath", "ssm:GetParameterHistory"]);
        assert_eq!((found.secrets.found()[0].decision.by.len(), found.secrets.found().len()), (2, 1));
    }
}
