//! The guardrail in Organizations: one service control policy, attached to one account or not.
//! <https://docs.aws.amazon.com/organizations/latest/APIReference/API_AttachPolicy.html>

use std::time::Duration;

use aws_sdk_organizations::Client;
use aws_sdk_organizations::types::PolicyType;
use domain::guardrail::{Answer, answer, is_lost};
use domain::ids::AccountId;
use domain::outcome::Failure;

use crate::errors::{failure, incomplete};

pub const PERMISSIONS: &[&str] = &[
    "organizations:AttachPolicy",
    "organizations:DescribeOrganization",
    "organizations:DetachPolicy",
    "organizations:ListPoliciesForTarget",
];

const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Over a session for this policy and this account.
pub struct Guardrail {
    pub(crate) client: Client,
    pub(crate) policy: String,
    pub(crate) account: AccountId,
}

/// What attaching it found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    Now,
    Already,
}

impl Guardrail {
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// No service control policy binds in the management account, and AWS attaches one there without a word.
    /// <https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps.html>
    pub async fn is_management_account(&self) -> Result<bool, Failure> {
        let described =
            again(async || self.client.describe_organization().send().await.map_err(|it| failure(&it))).await?;
        let id = described.organization().and_then(|it| it.master_account_id());
        let id = id.ok_or_else(|| incomplete("DescribeOrganization gave no management account"))?;
        Ok(id == self.account.as_str())
    }

    /// Whether it is attached to the account itself: what its units have is not listed.
    pub async fn is_attached(&self) -> Result<bool, Failure> {
        let mut token = None;
        loop {
            let page = again(async || {
                let request = self.client.list_policies_for_target().target_id(self.account.as_str());
                let request = request.filter(PolicyType::ServiceControlPolicy).set_next_token(token.clone());
                request.send().await.map_err(|it| failure(&it))
            })
            .await?;
            if page.policies().iter().any(|it| it.id() == Some(self.policy.as_str())) {
                return Ok(true);
            }
            token = page.next_token.filter(|it| !it.is_empty());
            if token.is_none() {
                return Ok(false);
            }
        }
    }

    /// One that is there after an answer was lost is ours: it is asked only where it was not there before.
    pub async fn attach(&self) -> Result<Attached, Failure> {
        let mut may_be_ours = false;
        let attached = again(async || {
            let request = self.client.attach_policy().policy_id(&self.policy).target_id(self.account.as_str());
            let sent = request.send().await.map_err(|it| failure(&it));
            may_be_ours |= sent.as_ref().is_err_and(|it| is_lost(&it.code));
            sent
        })
        .await;
        match attached {
            Ok(_) => Ok(Attached::Now),
            Err(failure) if answer(&failure.code) == Answer::IsThere => {
                Ok(if may_be_ours { Attached::Now } else { Attached::Already })
            }
            Err(failure) => Err(failure),
        }
    }

    /// Also where it is detached already.
    pub async fn detach(&self) -> Result<(), Failure> {
        let detached = again(async || {
            let request = self.client.detach_policy().policy_id(&self.policy).target_id(self.account.as_str());
            request.send().await.map_err(|it| failure(&it))
        })
        .await;
        match detached {
            Ok(_) => Ok(()),
            Err(failure) if answer(&failure.code) == Answer::IsNotThere => Ok(()),
            Err(failure) => Err(failure),
        }
    }
}

/// Tries on while Organizations is busy with another change, or asks for fewer: its calls are shared by the whole
/// organisation.
async fn again<T>(mut call: impl AsyncFnMut() -> Result<T, Failure>) -> Result<T, Failure> {
    let mut pause = FIRST_PAUSE;
    loop {
        match call().await {
            Err(failure) if answer(&failure.code) == Answer::Again && pause <= LONGEST_PAUSE => {
                tokio::time::sleep(pause.mul_f64(0.5 + fastrand::f64() / 2.0)).await;
                pause *= 2;
            }
            other => return other,
        }
    }
}
