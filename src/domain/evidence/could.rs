//! What an identity could do: is it an administrator, can it make itself one, what does it reach, which roles may it
//! assume.
//!
//! Judged as it was before containment. By written rules, and never by a model.

use serde::Serialize;

use super::answer::{Answer, Decision, Holdings};
use super::assume::Assumable;
use crate::ids::{AccountId, Partition};

/// What an action is done to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    User,
    /// Another one than the identity itself: one's own credentials give nothing new.
    OtherUser,
    Group,
    Role,
    Policy,
    /// A resource as its ARN's service, region, account and resource: `{a}` stands for the account.
    Arn(&'static str),
    /// What IAM checks against no resource.
    Anything,
}

/// A way to get something, by one action or by several together.
struct Way {
    name: &'static str,
    needs: &'static [(&'static str, On)],
    /// What it takes beside permissions.
    also: &'static str,
}

const fn way(name: &'static str, needs: &'static [(&'static str, On)], also: &'static str) -> Way {
    Way { name, needs, also }
}

/// All of these, and an action that no service has: who may do them to any resource may do everything.
const EVERYTHING: &[(&str, On)] = &[
    ("iam:CreateUser", On::User),
    ("iam:AttachRolePolicy", On::Role),
    ("sts:AssumeRole", On::Role),
    ("ec2:RunInstances", On::Anything),
    ("s3:DeleteBucket", On::Arn("s3:::*")),
    ("kms:ScheduleKeyDeletion", On::Arn("kms:*:{a}:key/*")),
    ("of-no-service:OfNoAction", On::Anything),
];

/// By each of these whoever may do it gets more than it has.
/// <https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsidentityandaccessmanagementiam.html>
const ESCALATIONS: &[Way] = &[
    way("make an access key of another user", &[("iam:CreateAccessKey", On::OtherUser)], ""),
    way("set a console password of another user", &[("iam:CreateLoginProfile", On::OtherUser)], ""),
    way("change the console password of another user", &[("iam:UpdateLoginProfile", On::OtherUser)], ""),
    way("attach a policy to a user", &[("iam:AttachUserPolicy", On::User)], ""),
    way("write an inline policy of a user", &[("iam:PutUserPolicy", On::User)], ""),
    way("attach a policy to a group", &[("iam:AttachGroupPolicy", On::Group)], ""),
    way("write an inline policy of a group", &[("iam:PutGroupPolicy", On::Group)], ""),
    way("put a user into a group", &[("iam:AddUserToGroup", On::Group)], ""),
    way("attach a policy to a role", &[("iam:AttachRolePolicy", On::Role)], "a role that it may assume"),
    way("write an inline policy of a role", &[("iam:PutRolePolicy", On::Role)], "a role that it may assume"),
    way("change whom a role trusts", &[("iam:UpdateAssumeRolePolicy", On::Role)], "a role that can do more"),
    way("write a new version of a policy", &[("iam:CreatePolicyVersion", On::Policy)], ""),
    way(
        "make another version of a policy count",
        &[("iam:SetDefaultPolicyVersion", On::Policy)],
        "an older version that allows more",
    ),
    way(
        "remove a permissions boundary",
        &[("iam:DeleteUserPermissionsBoundary", On::User)],
        "a boundary that holds something back",
    ),
    way(
        "run a Lambda function with a role",
        &[
            ("iam:PassRole", On::Role),
            ("lambda:CreateFunction", On::Arn("lambda:*:{a}:function:*")),
            ("lambda:InvokeFunction", On::Arn("lambda:*:{a}:function:*")),
        ],
        "a role that trusts lambda.amazonaws.com",
    ),
    way(
        "change the code of a Lambda function",
        &[("lambda:UpdateFunctionCode", On::Arn("lambda:*:{a}:function:*"))],
        "a function whose role can do more",
    ),
    way(
        "start an EC2 instance with a role",
        &[("iam:PassRole", On::Role), ("ec2:RunInstances", On::Anything)],
        "a role that trusts ec2.amazonaws.com, in an instance profile",
    ),
    way(
        "run commands on instances",
        &[("ssm:SendCommand", On::Arn("ec2:*:{a}:instance/*"))],
        "an instance whose role can do more",
    ),
    way(
        "create a CloudFormation stack with a role",
        &[("iam:PassRole", On::Role), ("cloudformation:CreateStack", On::Arn("cloudformation:*:{a}:stack/*"))],
        "a role that trusts cloudformation.amazonaws.com",
    ),
    way(
        "run a Glue job with a role",
        &[
            ("iam:PassRole", On::Role),
            ("glue:CreateJob", On::Arn("glue:*:{a}:job/*")),
            ("glue:StartJobRun", On::Arn("glue:*:{a}:job/*")),
        ],
        "a role that trusts glue.amazonaws.com",
    ),
    way(
        "build with a role in CodeBuild",
        &[
            ("iam:PassRole", On::Role),
            ("codebuild:CreateProject", On::Arn("codebuild:*:{a}:project/*")),
            ("codebuild:StartBuild", On::Arn("codebuild:*:{a}:project/*")),
        ],
        "a role that trusts codebuild.amazonaws.com",
    ),
    way(
        "run an ECS task with a role",
        &[
            ("iam:PassRole", On::Role),
            ("ecs:RegisterTaskDefinition", On::Anything),
            ("ecs:RunTask", On::Arn("ecs:*:{a}:task-definition/*")),
        ],
        "a role that trusts ecs-tasks.amazonaws.com",
    ),
    way(
        "start a SageMaker notebook with a role",
        &[
            ("iam:PassRole", On::Role),
            ("sagemaker:CreateNotebookInstance", On::Arn("sagemaker:*:{a}:notebook-instance/*")),
        ],
        "a role that trusts sagemaker.amazonaws.com",
    ),
];

const SECRETS: &[Way] = &[
    way("read secrets", &[("secretsmanager:GetSecretValue", On::Arn("secretsmanager:*:{a}:secret:*"))], ""),
    way(
        "read parameters",
        &[("ssm:GetParameter", On::Arn("ssm:*:{a}:parameter/*"))],
        "`kms:Decrypt` for those that are encrypted",
    ),
    way("decrypt with KMS keys", &[("kms:Decrypt", On::Arn("kms:*:{a}:key/*"))], "what was encrypted"),
    way("give others the use of KMS keys", &[("kms:CreateGrant", On::Arn("kms:*:{a}:key/*"))], ""),
];

const DATA: &[Way] = &[
    way("read objects in S3", &[("s3:GetObject", On::Arn("s3:::*/*"))], ""),
    way("write objects in S3", &[("s3:PutObject", On::Arn("s3:::*/*"))], ""),
    way("delete objects in S3", &[("s3:DeleteObject", On::Arn("s3:::*/*"))], ""),
    way("open buckets to others", &[("s3:PutBucketPolicy", On::Arn("s3:::*"))], ""),
    way("read DynamoDB tables", &[("dynamodb:Scan", On::Arn("dynamodb:*:{a}:table/*"))], ""),
    way("snapshot RDS databases", &[("rds:CreateDBSnapshot", On::Arn("rds:*:{a}:db:*"))], ""),
    way("share RDS snapshots", &[("rds:ModifyDBSnapshotAttribute", On::Arn("rds:*:{a}:snapshot:*"))], ""),
    way("share EBS snapshots", &[("ec2:ModifySnapshotAttribute", On::Arn("ec2:*::snapshot/*"))], ""),
];

const LOGGING: &[Way] = &[
    way("stop a trail", &[("cloudtrail:StopLogging", On::Arn("cloudtrail:*:{a}:trail/*"))], ""),
    way("delete a trail", &[("cloudtrail:DeleteTrail", On::Arn("cloudtrail:*:{a}:trail/*"))], ""),
    way("choose what a trail records", &[("cloudtrail:PutEventSelectors", On::Arn("cloudtrail:*:{a}:trail/*"))], ""),
    way("delete GuardDuty's detector", &[("guardduty:DeleteDetector", On::Arn("guardduty:*:{a}:detector/*"))], ""),
    way("switch GuardDuty off", &[("guardduty:UpdateDetector", On::Arn("guardduty:*:{a}:detector/*"))], ""),
    way("stop AWS Config", &[("config:StopConfigurationRecorder", On::Anything)], ""),
    way("delete log groups", &[("logs:DeleteLogGroup", On::Arn("logs:*:{a}:log-group:*"))], ""),
];

/// The actions that are asked about, so that a test can hold each against AWS's list.
pub fn actions() -> impl Iterator<Item = &'static str> {
    [ESCALATIONS, SECRETS, DATA, LOGGING].into_iter().flatten().flat_map(|it| it.needs).map(|(action, _)| *action)
}

/// One of the ways, answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Found {
    pub what: &'static str,
    pub actions: Vec<&'static str>,
    #[serde(flatten)]
    pub decision: Decision,
    #[serde(skip_serializing_if = "str::is_empty")]
    pub also_needs: &'static str,
}

/// The answers about one identity.
#[derive(Debug, Clone, Serialize)]
pub struct Could {
    pub administrator: Decision,
    /// Of these and the following only what is not answered with no.
    pub escalations: Vec<Found>,
    pub secrets: Vec<Found>,
    pub data: Vec<Found>,
    pub logging: Vec<Found>,
    pub roles: Vec<Assumable>,
    /// Roles that it might assume beyond those listed.
    pub more_roles: usize,
    /// What could not be read, or is no policy.
    pub unread: Vec<String>,
    /// What the answers are about: what differs from what stands there now.
    pub notes: Vec<String>,
}

impl Could {
    /// Where nothing could be asked.
    pub fn not_known(why: &str) -> Self {
        Self {
            administrator: Decision { answer: Answer::NotKnown, ..Decision::no() },
            escalations: Vec::new(),
            secrets: Vec::new(),
            data: Vec::new(),
            logging: Vec::new(),
            roles: Vec::new(),
            more_roles: 0,
            unread: vec![why.to_owned()],
            notes: Vec::new(),
        }
    }
}

/// Whom the questions are about.
pub struct Asker<'a> {
    pub holdings: &'a Holdings,
    pub account: &'a AccountId,
    pub partition: &'a Partition,
    pub arn: &'a str,
}

impl Asker<'_> {
    /// Everything but the roles.
    pub fn ask(&self) -> Could {
        let administrator = self.administrator();
        let all = |ways: &[Way]| {
            let found = ways.iter().map(|it| self.found(it));
            found.filter(|it| it.decision.answer != Answer::No).collect()
        };
        Could {
            administrator,
            escalations: all(ESCALATIONS),
            secrets: all(SECRETS),
            data: all(DATA),
            logging: all(LOGGING),
            roles: Vec::new(),
            more_roles: 0,
            unread: [self.holdings.unread.clone(), self.holdings.malformed()].concat(),
            notes: Vec::new(),
        }
    }

    fn administrator(&self) -> Decision {
        let arn = |on: On| self.template(on).replace('*', "0example0");
        self.together(EVERYTHING.iter().map(|(action, on)| match on {
            On::Anything => self.holdings.may(action, "*"),
            on => self.holdings.may(action, &arn(*on)),
        }))
    }

    fn found(&self, way: &Way) -> Found {
        let each = way.needs.iter().map(|(action, on)| match on {
            On::Anything => self.holdings.may(action, "*"),
            On::OtherUser => self.holdings.may_to_some(action, &self.template(*on), Some(self.arn)),
            on => self.holdings.may_to_some(action, &self.template(*on), None),
        });
        Found {
            what: way.name,
            actions: way.needs.iter().map(|(action, _)| *action).collect(),
            decision: self.together(each),
            also_needs: way.also,
        }
    }

    /// What needs several is as likely as the least likely of them.
    fn together(&self, each: impl Iterator<Item = Decision>) -> Decision {
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
            so_far.depends_on.extend(next.depends_on);
            so_far.by.extend(next.by);
            so_far.by.sort();
            so_far.by.dedup();
        }
        all.unwrap_or_else(Decision::no)
    }

    fn template(&self, on: On) -> String {
        let (partition, account) = (self.partition, self.account);
        match on {
            On::User | On::OtherUser => format!("arn:{partition}:iam::{account}:user/*"),
            On::Group => format!("arn:{partition}:iam::{account}:group/*"),
            On::Role => format!("arn:{partition}:iam::{account}:role/*"),
            On::Policy => format!("arn:{partition}:iam::{account}:policy/*"),
            On::Arn(rest) => format!("arn:{partition}:{}", rest.replace("{a}", account.as_str())),
            On::Anything => "*".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::document::Policy;
    use super::*;
    use crate::fixtures::parsed;

    fn could(statements: &Value) -> Could {
        let document = json!({"Version": "2012-10-17", "Statement": statements}).to_string();
        let policies = vec![Policy::new("policy", "p", Some("developers"), &document)];
        let holdings = Holdings { policies, ..Holdings::default() };
        let arn = "arn:aws:iam::111122223333:user/alice";
        Asker { holdings: &holdings, account: &parsed("111122223333"), partition: &parsed("aws"), arn }.ask()
    }

    #[test]
    fn an_administrator_may_everything() {
        let found = could(&json!({"Sid": "All", "Effect": "Allow", "Action": "*", "Resource": "*"}));
        assert_eq!(found.administrator.answer, Answer::Yes);
        let by = &found.administrator.by[0];
        assert_eq!((by.statement.as_str(), by.group.as_deref()), ("All", Some("developers")));
        assert_eq!(found.escalations.len(), ESCALATIONS.len());
        assert_eq!((found.secrets.len(), found.logging.len()), (SECRETS.len(), LOGGING.len()));
    }

    #[test]
    fn a_power_user_is_no_administrator() {
        let found = could(&json!({"Effect": "Allow", "NotAction": ["iam:*", "organizations:*"], "Resource": "*"}));
        assert_eq!(found.administrator.answer, Answer::No);
        let names: Vec<_> = found.escalations.iter().map(|it| it.what).collect();
        assert_eq!(names, ["change the code of a Lambda function", "run commands on instances"]);
        assert!(found.data.iter().all(|it| it.decision.answer == Answer::Yes));
    }

    #[test]
    fn passing_a_role_takes_the_service_too() {
        let pass = json!({"Effect": "Allow", "Action": "iam:PassRole", "Resource": "arn:aws:iam::*:role/app-*",
            "Condition": {"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}}});
        assert!(could(&pass).escalations.is_empty());
        let run = json!({"Effect": "Allow", "Action": "lambda:*", "Resource": "*"});
        let found = could(&json!([pass, run]));
        let way = found.escalations.iter().find(|it| it.what.starts_with("run a Lambda")).unwrap();
        assert_eq!(way.decision.answer, Answer::Depends);
        assert_eq!(way.decision.depends_on.iter().collect::<Vec<_>>(), ["iam:PassedToService"]);
        assert_eq!(way.decision.by.len(), 2);
        assert!(way.also_needs.contains("trusts lambda"));
    }

    #[test]
    fn ones_own_credentials_are_no_escalation() {
        let own =
            json!({"Effect": "Allow", "Action": "iam:*AccessKey*", "Resource": "arn:aws:iam::111122223333:user/alice"});
        assert!(could(&own).escalations.is_empty());
        let others = json!({"Effect": "Allow", "Action": "iam:*AccessKey*", "Resource": "arn:aws:iam::*:user/a*"});
        assert_eq!(could(&others).escalations.len(), 1);
    }

    #[test]
    fn a_reader_of_one_bucket_reads_that_bucket() {
        let found = could(&json!({"Effect": "Allow", "Action": "s3:Get*", "Resource": "arn:aws:s3:::reports/*"}));
        assert!(found.escalations.is_empty() && found.secrets.is_empty() && found.logging.is_empty());
        assert_eq!((found.data.len(), found.data[0].what), (1, "read objects in S3"));
        assert_eq!(found.data[0].decision.by[0].resources, ["arn:aws:s3:::reports/*"]);
    }

    /// A misspelt action would never be granted by anybody. The list is AWS's, by way of botocore's models.
    #[test]
    fn every_action_is_written_as_services_and_operations_are() {
        for action in actions() {
            let (service, name) = action.split_once(':').unwrap();
            assert!(service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()), "{action}");
            assert!(
                name.starts_with(|c: char| c.is_ascii_uppercase()) && name.bytes().all(|b| b.is_ascii_alphanumeric())
            );
        }
    }
}
