//! Session policies: what one session of a member role may do. The role itself may do it to everybody in its
//! account; whoever steals a session has what both allow.
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>

use serde_json::{Value, json};

use crate::change::Change;
use crate::finding::Principal;
use crate::identity::{Identity, IdentityKind};
use crate::ids::{AccountId, Partition, PrincipalName};

/// STS takes 2,048 characters, and less of what packs badly: how it packs them is not documented.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>
pub const MOST: usize = 1_800;

/// What a session is for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Finding an identity, and reading its state as a restore does.
    Look,
    /// All that `observe` mode reads.
    Observe,
    /// Looking through all users of the account.
    Sweep,
    /// Containing any user of the account.
    Users,
    /// Containing this one role.
    Role(PrincipalName),
}

/// Every action by which a user is contained.
pub const USER_WRITES: &[&str] = &[
    "iam:AttachUserPolicy",
    "iam:DeleteLoginProfile",
    "iam:DetachUserPolicy",
    "iam:PutUserPermissionsBoundary",
    "iam:RemoveUserFromGroup",
    "iam:TagUser",
    "iam:UpdateAccessKey",
    "iam:UpdateSSHPublicKey",
    "iam:UpdateServiceSpecificCredential",
    "iam:UpdateSigningCertificate",
];

/// Every action by which a role is contained.
pub const ROLE_WRITES: &[&str] = &["iam:AttachRolePolicy", "iam:PutRolePolicy", "iam:TagRole"];

impl Scope {
    /// What it takes to contain whoever is named. A finding that gives no role's name may still turn out to mean
    /// one, which then needs a session of its own.
    pub fn of(principal: &Principal) -> Self {
        match principal {
            Principal::Role { name: Some(name), .. } => Self::Role(name.clone()),
            _ => Self::Users,
        }
    }

    /// What it takes to contain this identity.
    pub fn for_identity(identity: &Identity) -> Self {
        match identity.kind {
            IdentityKind::User => Self::Users,
            IdentityKind::Role => Self::Role(identity.name.clone()),
        }
    }

    /// Whether a session of it serves the next response in its account.
    pub fn is_for_many(&self) -> bool {
        matches!(self, Self::Observe | Self::Users)
    }

    /// The document. `reads`: what a session of this scope reads.
    pub fn policy(&self, reads: &[&str], account: &AccountId, partition: &Partition) -> String {
        // The actions tell users from roles, so that they need no resource.
        let writes = match self {
            Self::Look | Self::Observe | Self::Sweep => None,
            Self::Users => Some(Statement::new(USER_WRITES, vec!["*".to_owned()])),
            Self::Role(name) => Some(Statement::new(ROLE_WRITES, named(account, partition, "role", name.as_str()))),
        };
        let reads = Statement::new(reads, vec!["*".to_owned()]);
        document(std::iter::once(reads).chain(writes))
    }
}

/// A part of a restore, and the policy of the session that does it.
#[derive(Debug, Clone, PartialEq)]
pub struct Piece {
    pub changes: Vec<Change>,
    pub policy: String,
}

/// What a restore does, in its order, in as few sessions as their policies' size allows: each may do just this to
/// just this identity. Who may join somebody to a group may join anybody to it, because IAM checks that against the
/// group alone: that is done in a session which can do nothing else.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html>
pub fn pieces<'a>(changes: impl IntoIterator<Item = &'a Change>, identity: &Identity) -> Vec<Piece> {
    let (joining, others): (Vec<_>, Vec<_>) =
        changes.into_iter().partition(|it| matches!(it, Change::JoinGroup { .. }));
    [others, joining].into_iter().flat_map(|it| divided(it, identity)).collect()
}

fn divided(changes: Vec<&Change>, identity: &Identity) -> Vec<Piece> {
    let mut pieces: Vec<Piece> = Vec::new();
    for change in changes {
        let mut with = pieces.last().map(|it| it.changes.clone()).unwrap_or_default();
        with.push(change.clone());
        let grown = Piece::of(with, identity);
        match pieces.last_mut() {
            Some(last) if grown.policy.len() <= MOST => *last = grown,
            _ => pieces.push(Piece::of(vec![change.clone()], identity)),
        }
    }
    pieces
}

impl Piece {
    fn of(changes: Vec<Change>, identity: &Identity) -> Self {
        let mut statements: Vec<Statement> = Vec::new();
        for change in &changes {
            let next = Statement::of(change, identity);
            if !statements.iter_mut().any(|it| it.takes_in(&next)) {
                statements.push(next);
            }
        }
        Self { policy: document(statements), changes }
    }

    /// For when STS packs it to more than it takes. `None`: nothing is left to divide.
    pub fn halves(&self, identity: &Identity) -> Option<[Self; 2]> {
        let (first, second) = self.changes.split_at_checked(self.changes.len() / 2).filter(|it| !it.0.is_empty())?;
        Some([Self::of(first.to_vec(), identity), Self::of(second.to_vec(), identity)])
    }
}

/// What the rotation runbook does, which runs as whoever starts it: it reads this user and deactivates its keys. The
/// text of a runbook is kept in the account that is attacked, so that nothing but this is left to whoever changes it.
/// <https://docs.aws.amazon.com/systems-manager/latest/userguide/automation-setup.html>
pub fn rotation(document_name: &str, identity: &Identity, account: &AccountId, partition: &Partition) -> String {
    let of_ssm = |resource: &str| format!("arn:{partition}:ssm:*:{account}:{resource}");
    let runbook = vec![of_ssm(&format!("document/{document_name}")), of_ssm("automation-execution/*")];
    let keys = &["iam:GetUser", "iam:ListAccessKeys", "iam:UpdateAccessKey"];
    document([
        Statement::new(keys, vec![literal(&identity.arn)]),
        Statement::new(&["ssm:StartAutomationExecution"], runbook),
    ])
}

/// Reading about one identity, and nothing else.
pub fn investigation(reads: &[&str]) -> String {
    document([Statement::new(reads, vec!["*".to_owned()])])
}

/// Attaching this one policy to this one account and detaching it, and seeing whether it is there.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsorganizations.html>
pub fn guardrail(policy: &str, account: &AccountId, partition: &Partition) -> String {
    let of = |resource: &str| format!("arn:{partition}:organizations::*:{resource}");
    let target = of(&format!("account/o-*/{account}"));
    let policy = of(&format!("policy/o-*/service_control_policy/{policy}"));
    document([
        Statement::new(&["organizations:AttachPolicy", "organizations:DetachPolicy"], vec![policy, target.clone()]),
        Statement::new(&["organizations:ListPoliciesForTarget"], vec![target]),
        Statement::new(&["organizations:DescribeOrganization"], vec!["*".to_owned()]),
    ])
}

/// A drill makes its one user, under the path of all drills, and removes what it and earlier ones left: those whose
/// names begin so.
pub fn drill(path: &str, user: &str, all: &str, account: &AccountId, partition: &Partition) -> String {
    let users = |name: &str| vec![format!("arn:{partition}:iam::{account}:user{path}{name}")];
    let makes = &["iam:AttachUserPolicy", "iam:CreateAccessKey", "iam:CreateUser"];
    let removes = &[
        "iam:DeleteAccessKey",
        "iam:DeleteUser",
        "iam:DetachUserPolicy",
        "iam:ListAccessKeys",
        "iam:ListAttachedUserPolicies",
    ];
    document([
        Statement::new(&["iam:ListUsers"], vec!["*".to_owned()]),
        Statement::new(makes, users(&literal(user))),
        Statement::new(removes, users(&format!("{}*", literal(all)))),
    ])
}

/// What is allowed: these actions on these resources, with one of these values.
struct Statement {
    actions: Vec<String>,
    resources: Vec<String>,
    condition: Option<Condition>,
}

struct Condition {
    operator: &'static str,
    key: &'static str,
    values: Vec<String>,
}

impl Condition {
    fn policy(arn: &str) -> Self {
        Self { operator: "ArnEquals", key: "iam:PolicyARN", values: vec![literal(arn)] }
    }

    fn boundary(arn: &str) -> Self {
        Self { operator: "StringEquals", key: "iam:PermissionsBoundary", values: vec![literal(arn)] }
    }
}

impl Statement {
    fn new(actions: &[&str], resources: Vec<String>) -> Self {
        Self { actions: actions.iter().map(|it| (*it).to_owned()).collect(), resources, condition: None }
    }

    /// Just this change.
    fn of(change: &Change, identity: &Identity) -> Self {
        let identity_alone = vec![literal(&identity.arn)];
        let (resources, condition) = match change {
            Change::AttachPolicy { policy, .. }
            | Change::LiftDenyAll { policy, .. }
            | Change::LiftConsoleHold { policy, .. } => (identity_alone, Some(Condition::policy(policy))),
            Change::RestoreBoundary { policy: Some(policy), .. } => (identity_alone, Some(Condition::boundary(policy))),
            Change::JoinGroup { group, .. } => (group_named(identity, group), None),
            _ => (identity_alone, None),
        };
        Self { condition, ..Self::new(&[change.permission()], resources) }
    }

    /// Whether it now allows the other one too, and nothing that neither allowed.
    fn takes_in(&mut self, other: &Self) -> bool {
        let is_same_action = self.actions == other.actions;
        let is_same_resource = self.resources == other.resources;
        match (&mut self.condition, &other.condition) {
            (Some(mine), Some(theirs)) if is_same_action && is_same_resource && mine.key == theirs.key => {
                mine.values.extend(theirs.values.iter().cloned());
            }
            (None, None) if is_same_resource && is_same_action => {}
            (None, None) if is_same_resource => self.actions.extend(other.actions.iter().cloned()),
            (None, None) if is_same_action => self.resources.extend(other.resources.iter().cloned()),
            _ => return false,
        }
        true
    }

    fn json(&self) -> Value {
        let mut json = json!({"Effect": "Allow", "Action": self.actions, "Resource": self.resources});
        if let (Some(Condition { operator, key, values }), Some(fields)) = (&self.condition, json.as_object_mut()) {
            fields.insert("Condition".to_owned(), json!({*operator: {*key: values}}));
        }
        json
    }
}

fn document(statements: impl IntoIterator<Item = Statement>) -> String {
    let statements: Vec<_> = statements.into_iter().map(|it| it.json()).collect();
    json!({"Version": "2012-10-17", "Statement": statements}).to_string()
}

/// IAM's names are unique whatever the path, which is not known here; and none has a slash.
fn named(account: &AccountId, partition: &Partition, kind: &str, name: &str) -> Vec<String> {
    let name = literal(name);
    ["", "*/"].map(|path| format!("arn:{partition}:iam::{account}:{kind}/{path}{name}")).into()
}

/// A group is in the account of its user.
fn group_named(identity: &Identity, group: &str) -> Vec<String> {
    let of_account = identity.arn.split(":user/").next().unwrap_or_default();
    let group = literal(group);
    ["", "*/"].map(|path| format!("{of_account}:group/{path}{group}")).into()
}

/// A text that stands for itself alone: paths may have the characters of a wildcard or a variable in them.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_variables.html#policy-vars-specialchars>
fn literal(text: &str) -> String {
    let is_special = |c: char| matches!(c, '*' | '?' | '$');
    // Written out, so many would not fit: any one character stands for each.
    let are_many = text.chars().filter(|c| is_special(*c)).count() > 32;
    let mut literal = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !is_special(c) => literal.push(c),
            _ if are_many => literal.push('?'),
            c => literal.extend(['$', '{', c, '}']),
        }
    }
    literal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures::{identity, parsed};

    fn json(policy: &str) -> Value {
        serde_json::from_str(policy).unwrap()
    }

    fn attach(policy: &str) -> Change {
        Change::AttachPolicy { user: parsed("alice"), policy: policy.to_owned() }
    }

    fn join(group: &str) -> Change {
        Change::JoinGroup { user: parsed("alice"), group: group.to_owned() }
    }

    #[test]
    fn a_role_is_contained_in_a_session_for_it_alone() {
        let (account, partition) = (parsed("111122223333"), parsed("aws-cn"));
        let scope = Scope::of(&Principal::Role { name: Some(parsed("app")), id: None, session: None });
        let policy = json(&scope.policy(&["iam:GetRole"], &account, &partition));
        let [reads, writes] = policy["Statement"].as_array().unwrap().as_slice() else { panic!("{policy}") };
        assert_eq!((&reads["Action"], &reads["Resource"]), (&json!(["iam:GetRole"]), &json!(["*"])));
        assert_eq!(writes["Action"], json!(ROLE_WRITES));
        let arn = "arn:aws-cn:iam::111122223333:role/";
        assert_eq!(writes["Resource"], json!([format!("{arn}app"), format!("{arn}*/app")]));
    }

    #[test]
    fn who_is_not_named_as_a_role_is_looked_for_among_the_users() {
        let role = |name: Option<&str>| {
            let id = Some(parsed("AROACKCEVSQ6C2EXAMPLE"));
            Scope::of(&Principal::Role { name: name.map(parsed), id, session: None })
        };
        assert_eq!((role(None), Scope::of(&Principal::KeyOwner)), (Scope::Users, Scope::Users));
        assert_eq!(role(Some("app")), Scope::for_identity(&identity(IdentityKind::Role)));
        assert_eq!(Scope::Users, Scope::for_identity(&identity(IdentityKind::User)));
        assert!(Scope::Users.is_for_many() && !role(Some("app")).is_for_many());
    }

    #[test]
    fn a_restore_may_do_what_is_listed_and_nothing_else() {
        let alice = identity(IdentityKind::User);
        let (user, arn) = (alice.name.clone(), alice.arn.as_str());
        let ours = "arn:aws:iam::aws:policy/AWSDenyAll";
        let changes = [
            attach("arn:aws:iam::aws:policy/A"),
            attach("arn:aws:iam::111122223333:policy/B"),
            join("g"),
            join("h"),
            Change::RestoreBoundary { user: user.clone(), policy: Some("arn:aws:iam::aws:policy/C".to_owned()) },
            Change::LiftDenyAll { kind: IdentityKind::User, name: user.clone(), policy: ours.to_owned() },
            Change::Tag { kind: IdentityKind::User, name: user.clone(), tags: Vec::new() },
            Change::Untag { kind: IdentityKind::User, name: user, keys: Vec::new() },
        ];
        let [piece, joining] = pieces(&changes, &alice).try_into().unwrap();
        let group = |name: &str| format!("arn:aws:iam::111122223333:group/{name}");
        assert_eq!(
            json(&piece.policy)["Statement"],
            json!([
                {"Effect": "Allow", "Action": ["iam:AttachUserPolicy"], "Resource": [arn], "Condition": {"ArnEquals":
                    {"iam:PolicyARN": ["arn:aws:iam::aws:policy/A", "arn:aws:iam::111122223333:policy/B"]}}},
                {"Effect": "Allow", "Action": ["iam:PutUserPermissionsBoundary"], "Resource": [arn], "Condition":
                    {"StringEquals": {"iam:PermissionsBoundary": ["arn:aws:iam::aws:policy/C"]}}},
                {"Effect": "Allow", "Action": ["iam:DetachUserPolicy"], "Resource": [arn],
                    "Condition": {"ArnEquals": {"iam:PolicyARN": [ours]}}},
                {"Effect": "Allow", "Action": ["iam:TagUser", "iam:UntagUser"], "Resource": [arn]},
            ])
        );
        assert_eq!(
            json(&joining.policy)["Statement"],
            json!([{"Effect": "Allow", "Action": ["iam:AddUserToGroup"],
                "Resource": [group("g"), group("*/g"), group("h"), group("*/h")]}])
        );
        assert_eq!(pieces(&[], &alice), Vec::new());
    }

    #[test]
    fn what_is_too_long_for_one_session_is_done_in_several_and_in_its_order() {
        let alice = identity(IdentityKind::User);
        let long = |kind: &str, n: usize| format!("{kind}{n}-{}", "x".repeat(120));
        let policy = |n| attach(&format!("arn:aws:iam::111122223333:policy/{}", long("p", n)));
        let changes: Vec<_> = (0..10).map(policy).chain((0..10).map(|n| join(&long("g", n)))).collect();
        let pieces = pieces(&changes, &alice);
        assert!(pieces.len() > 1 && pieces.iter().all(|it| it.policy.len() <= MOST));
        let of_all: Vec<_> = pieces.iter().flat_map(|it| it.changes.clone()).collect();
        assert_eq!(of_all, changes);
        let [first, second] = pieces[0].halves(&alice).unwrap();
        assert_eq!([first.changes.clone(), second.changes].concat(), pieces[0].changes);
        assert!(first.policy.len() < pieces[0].policy.len() && !first.changes.is_empty());
        assert_eq!(Piece::of(vec![policy(0)], &alice).halves(&alice), None);
    }

    /// The longest that IAM has: 512 characters of path, 128 of name; 64 of a user's name.
    #[test]
    fn every_single_change_fits() {
        let name = "n".repeat(128);
        for fill in ["x", "*", "$"] {
            let path = format!("/{}/", fill.repeat(510));
            let mut alice = identity(IdentityKind::User);
            alice.arn = format!("arn:aws-us-gov:iam::111122223333:user{path}{}", "n".repeat(64));
            let policy = format!("arn:aws-us-gov:iam::111122223333:policy{path}{name}");
            for change in [
                attach(&policy),
                join(&name),
                Change::RestoreBoundary { user: parsed("alice"), policy: Some(policy.clone()) },
            ] {
                assert!(Piece::of(vec![change], &alice).policy.len() <= MOST, "{fill}");
            }
        }
    }

    #[test]
    fn a_path_is_no_pattern() {
        let piece = Piece::of(
            vec![attach("arn:aws:iam::111122223333:policy/*/a?${aws:username}")],
            &identity(IdentityKind::User),
        );
        let values = &json(&piece.policy)["Statement"][0]["Condition"]["ArnEquals"]["iam:PolicyARN"];
        assert_eq!(*values, json!(["arn:aws:iam::111122223333:policy/${*}/a${?}${$}{aws:username}"]));
    }

    #[test]
    fn a_runbook_reaches_no_user_but_the_one_it_is_started_for() {
        let alice = identity(IdentityKind::User);
        let policy = json(&rotation("Runbook", &alice, &parsed("111122223333"), &parsed("aws")));
        assert_eq!(policy["Statement"][0]["Resource"], json!([alice.arn]));
        let ssm = ["document/Runbook", "automation-execution/*"].map(|it| format!("arn:aws:ssm:*:111122223333:{it}"));
        assert_eq!(policy["Statement"][1]["Resource"], json!(ssm));
    }

    #[test]
    fn a_drill_makes_no_user_but_its_own() {
        let policy = json(&drill("/drills/", "drill-1", "drill-", &parsed("111122223333"), &parsed("aws")));
        assert_eq!(policy["Statement"][1]["Resource"], json!(["arn:aws:iam::111122223333:user/drills/drill-1"]));
    }
}
