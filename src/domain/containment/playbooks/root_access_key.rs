//! The root user has an access key, or was used: no IAM edit in the account holds root back, and
//! its key can't be set inactive from outside. A person is told what to do.

use super::{Case, Escalation, Plan, Playbook};
use crate::change::Change;
use crate::finding::Threat;
use crate::identity::Observed;

pub(super) const PLAYBOOK: Playbook = Playbook {
    id: Threat::RootAccessKey.playbook(),
    title: "Root user credential",
    threat: Threat::RootAccessKey,
    strike,
    plan,
    escalation: &[Escalation::Incident, Escalation::SecurityHub, Escalation::Alert],
    has_adversary: false,
    detaches: false,
};

/// What a person must do, in order.
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/id_root-user_manage_delete-key.html>
pub const STEPS: &[&str] = &[
    "sign in as the root user of the account, or use centralized root access from the management account",
    "deactivate, then delete every access key of the root user",
    "change the root password, check its e-mail address and its MFA devices",
    "look in CloudTrail for what the root user did since the first event of the finding",
    "deny the root user with a service control policy (aws:PrincipalArn = arn:aws:iam::*:root), if the account is a member",
];

fn strike(_: &Case, _: &Observed) -> Vec<Change> {
    Vec::new()
}

fn plan(_: &Case, _: &Observed) -> Plan {
    Plan::default()
}
