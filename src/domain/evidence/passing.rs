//! Which roles an identity may pass to a service: a path that passes a role leads nowhere without one.

use std::collections::BTreeMap;

use super::answer::{Answer, Holdings};
use super::assume::{MOST_LOOKS, services};
use super::catalogue::PASS;
use super::could::Could;

/// More than that nobody reads for one path.
const MOST_ROLES: usize = 10;

impl Could {
    /// `trusts`: the ARN of every role of the account, and its trust policy. One that can't be read may trust anybody,
    /// and is no role that is known to trust the service.
    pub fn name_roles_to_pass(&mut self, holdings: &Holdings, trusts: &[(String, String)]) {
        let mut by_service: BTreeMap<String, Vec<&str>> = BTreeMap::new();
        for (role, trust) in trusts {
            for service in services(trust) {
                by_service.entry(service).or_default().push(role);
            }
        }
        let passing: Vec<_> = holdings.placed().into_iter().filter(|it| it.statement.is_about(PASS)).collect();
        self.uncut.is_passing_asked = true;
        let mut looks = 0;
        let mut passable: BTreeMap<&str, Option<Vec<String>>> = BTreeMap::new();
        let uncut = &mut self.uncut.passable;
        for path in self.escalations.found_mut() {
            let Some(service) = path.passes_to else { continue };
            let roles = passable.entry(service).or_insert_with(|| {
                let rules = holdings.rules(&passing, &holdings.passing_to(service));
                let question = rules.all();
                let (mut all, mut not_asked) = (BTreeMap::new(), 0);
                for role in by_service.get(service).into_iter().flatten() {
                    looks += question.looks();
                    if looks > MOST_LOOKS {
                        not_asked += 1;
                        continue;
                    }
                    let answer = question.may(role).answer;
                    if answer != Answer::No {
                        all.insert((*role).to_owned(), answer);
                    }
                }
                // As the account lists them.
                let named = by_service.get(service).into_iter().flatten().filter(|it| all.contains_key(**it));
                let roles: Vec<_> = named.take(MOST_ROLES).map(|it| (*it).to_owned()).collect();
                uncut.insert(service, (not_asked == 0).then_some(all));
                // Those that are named are enough for a person.
                if not_asked > 0 && roles.len() < MOST_ROLES {
                    self.not_asked.push(format!(
                        "of {not_asked} roles that trust {service}: whether it may pass them, since there are too many \
                         roles and statements"
                    ));
                }
                // That it may pass none is said where all were asked about.
                (not_asked == 0 || !roles.is_empty()).then_some(roles)
            });
            path.roles.clone_from(roles);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::evidence::asking::Asker;
    use crate::evidence::could::Found;
    use crate::evidence::document::Policy;
    use crate::fixtures::parsed;

    fn trusting(principal: &str) -> String {
        let statement = json!({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": principal}});
        json!({"Version": "2012-10-17", "Statement": statement}).to_string()
    }

    #[test]
    fn a_path_that_passes_a_role_names_those_that_it_may_pass() {
        let allow = |action: &str, resource: &str| json!({"Effect": "Allow", "Action": action, "Resource": resource});
        let statements =
            [allow("iam:PassRole", "arn:aws:iam::*:role/app-*"), allow("lambda:*", "*"), allow("ec2:*", "*")];
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let policies = vec![Policy::new("policy", "p", None, &document)];
        let holdings = Holdings { policies, ..Holdings::default() };
        let arn = "arn:aws:iam::111122223333:user/alice";
        let (account, partition) = (parsed("111122223333"), parsed("aws"));
        let mut could = Asker { holdings: &holdings, account: &account, partition: &partition, arn }.ask();
        let role = |name: &str| format!("arn:aws:iam::111122223333:role/{name}");
        let trusts = [
            (role("app-worker"), trusting("lambda.amazonaws.com")),
            (role("admin"), trusting("lambda.amazonaws.com")),
            (role("app-web"), trusting("ecs-tasks.amazonaws.com")),
            (role("app-broken"), "no policy".to_owned()),
        ];
        could.name_roles_to_pass(&holdings, &trusts);
        let of = |id: &str| could.escalations.iter().find(|it| it.id == id).unwrap();
        assert_eq!(of("lambda-001").roles.as_deref().unwrap(), [role("app-worker")]);
        assert!(of("lambda-001").is_open() && of("lambda-003").is_open() && of("lambda-003").roles.is_none());
        assert!(!of("ec2-001").is_open());
        assert!(could.escalations.iter().any(Found::is_open));
    }

    #[test]
    fn roles_beyond_what_may_be_looked_at_are_said_not_to_be_asked_about() {
        let patterns: Vec<_> = (0..500).map(|it| format!("arn:aws:iam::*:role/{it}-*")).collect();
        let statements = json!([
            {"Effect": "Allow", "Action": "iam:PassRole", "Resource": patterns},
            {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"},
        ]);
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let holdings = Holdings { policies: vec![Policy::new("policy", "p", None, &document)], ..Holdings::default() };
        let arn = "arn:aws:iam::111122223333:user/alice";
        let (account, partition) = (parsed("111122223333"), parsed("aws"));
        let mut could = Asker { holdings: &holdings, account: &account, partition: &partition, arn }.ask();
        // The one that it may pass is behind more than may be looked at.
        let names = (0..MOST_LOOKS / 500).map(|n| format!("other-{n}")).chain(["7-worker".to_owned()]);
        let trusts: Vec<_> = names
            .map(|it| (format!("arn:aws:iam::111122223333:role/{it}"), trusting("lambda.amazonaws.com")))
            .collect();
        could.name_roles_to_pass(&holdings, &trusts);
        let way = could.escalations.iter().find(|it| it.id == "lambda-001").unwrap();
        assert!(way.is_open() && way.roles.is_none(), "{way:?}");
        assert!(could.not_asked[0].starts_with("of 1 roles that trust lambda"), "{:?}", could.not_asked);
    }
}
