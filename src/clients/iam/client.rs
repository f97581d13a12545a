//! The clients of IAM: what reads, what writes and what drills each have their own operations and no other.

use std::time::{Duration, Instant};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_sdk_iam::Client;

use crate::patience::{Patience, Throttled};
use crate::round_trips::CallLog;

/// Reads only.
///
/// INVARIANT: no method of it changes anything. The lists below are all that it has: its client is private to
/// this file, so that what observes can't write. `tests/layout.rs` holds it.
#[derive(Debug, Clone)]
pub struct IamRead(Client, Patience);

/// The only way to change an identity; only `apply` takes it.
#[derive(Debug, Clone)]
pub struct IamWrite(Client);

/// Both, over one client.
pub(crate) fn both(sdk: &SdkConfig, calls: &CallLog, patience: &Patience) -> (IamRead, IamWrite) {
    let config = aws_sdk_iam::config::Builder::from(sdk).interceptor(calls.clone()).build();
    let client = Client::from_conf(config);
    (IamRead(client.clone(), patience.clone()), IamWrite(client))
}

/// One try, and no waiting: for whoever asks again soon, and has to see that AWS throttles.
fn at_once(client: &Client) -> Client {
    Client::from_conf(client.config().to_builder().retry_config(RetryConfig::disabled()).build())
}

impl IamWrite {
    #[must_use]
    pub fn at_once(&self) -> Self {
        Self(at_once(&self.0))
    }
}

impl IamRead {
    #[must_use]
    pub fn at_once(&self) -> Self {
        Self(at_once(&self.0), Patience::default())
    }

    /// For what nothing that stops an attacker waits for: leaves the account's calls to what does. Who has no time to
    /// try on keeps the SDK's tries.
    pub(crate) fn unhurried(&self) -> Self {
        if !self.1.tries_on() {
            return self.clone();
        }
        let retries = RetryConfig::standard().with_max_attempts(2).with_initial_backoff(Duration::from_millis(400));
        Self(Client::from_conf(self.0.config().to_builder().retry_config(retries).build()), self.1.clone())
    }

    /// Reads again while IAM throttles, and no longer than that.
    pub(crate) fn patient_until(&self, moment: Instant) -> Self {
        Self(self.0.clone(), Patience::until(moment))
    }

    /// Reads again while IAM throttles.
    pub(crate) async fn patiently<T, E: Throttled, F: Future<Output = Result<T, E>>>(
        &self,
        read: impl FnMut() -> F,
    ) -> Result<T, E> {
        self.1.with(read).await
    }

    /// The same for what a strike waits for.
    pub(crate) async fn urgently<T, E: Throttled, F: Future<Output = Result<T, E>>>(
        &self,
        read: impl FnMut() -> F,
    ) -> Result<T, E> {
        self.1.urgently(read).await
    }
}

macro_rules! operations {
    ($client:ident: $($operation:ident => $builder:ident,)*) => {
        impl $client {
            $(pub(crate) fn $operation(&self) -> aws_sdk_iam::operation::$operation::builders::$builder {
                self.0.$operation()
            })*
        }
    };
}

/// IAM gives 100 items at a time, and 1,000 when asked: in a large account a finding that names only an ID
/// would wait for fifty answers before the deny.
/// <https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListUsers.html>
macro_rules! lists {
    ($client:ident: $($operation:ident => $builder:ident,)*) => {
        impl $client {
            $(pub(crate) fn $operation(&self) -> aws_sdk_iam::operation::$operation::builders::$builder {
                self.0.$operation().max_items(1_000)
            })*
        }
    };
}

operations!(IamRead:
    generate_credential_report => GenerateCredentialReportFluentBuilder,
    get_account_summary => GetAccountSummaryFluentBuilder,
    get_access_key_last_used => GetAccessKeyLastUsedFluentBuilder,
    get_credential_report => GetCredentialReportFluentBuilder,
    get_group_policy => GetGroupPolicyFluentBuilder,
    get_instance_profile => GetInstanceProfileFluentBuilder,
    get_login_profile => GetLoginProfileFluentBuilder,
    get_open_id_connect_provider => GetOpenIDConnectProviderFluentBuilder,
    get_policy => GetPolicyFluentBuilder,
    get_policy_version => GetPolicyVersionFluentBuilder,
    get_role => GetRoleFluentBuilder,
    get_role_policy => GetRolePolicyFluentBuilder,
    get_saml_provider => GetSAMLProviderFluentBuilder,
    get_user => GetUserFluentBuilder,
    get_user_policy => GetUserPolicyFluentBuilder,
    simulate_principal_policy => SimulatePrincipalPolicyFluentBuilder,
);

lists!(IamRead:
    list_access_keys => ListAccessKeysFluentBuilder,
    list_attached_group_policies => ListAttachedGroupPoliciesFluentBuilder,
    list_attached_role_policies => ListAttachedRolePoliciesFluentBuilder,
    list_attached_user_policies => ListAttachedUserPoliciesFluentBuilder,
    list_group_policies => ListGroupPoliciesFluentBuilder,
    list_groups_for_user => ListGroupsForUserFluentBuilder,
    list_mfa_devices => ListMFADevicesFluentBuilder,
    list_policy_versions => ListPolicyVersionsFluentBuilder,
    list_role_policies => ListRolePoliciesFluentBuilder,
    list_roles => ListRolesFluentBuilder,
    list_service_specific_credentials => ListServiceSpecificCredentialsFluentBuilder,
    list_signing_certificates => ListSigningCertificatesFluentBuilder,
    list_ssh_public_keys => ListSSHPublicKeysFluentBuilder,
    list_user_policies => ListUserPoliciesFluentBuilder,
    list_users => ListUsersFluentBuilder,
);

operations!(IamWrite:
    add_user_to_group => AddUserToGroupFluentBuilder,
    attach_role_policy => AttachRolePolicyFluentBuilder,
    attach_user_policy => AttachUserPolicyFluentBuilder,
    delete_login_profile => DeleteLoginProfileFluentBuilder,
    delete_role_policy => DeleteRolePolicyFluentBuilder,
    delete_user_permissions_boundary => DeleteUserPermissionsBoundaryFluentBuilder,
    detach_role_policy => DetachRolePolicyFluentBuilder,
    detach_user_policy => DetachUserPolicyFluentBuilder,
    put_role_policy => PutRolePolicyFluentBuilder,
    put_user_permissions_boundary => PutUserPermissionsBoundaryFluentBuilder,
    remove_user_from_group => RemoveUserFromGroupFluentBuilder,
    tag_role => TagRoleFluentBuilder,
    tag_user => TagUserFluentBuilder,
    untag_role => UntagRoleFluentBuilder,
    untag_user => UntagUserFluentBuilder,
    update_access_key => UpdateAccessKeyFluentBuilder,
    update_service_specific_credential => UpdateServiceSpecificCredentialFluentBuilder,
    update_signing_certificate => UpdateSigningCertificateFluentBuilder,
    update_ssh_public_key => UpdateSSHPublicKeyFluentBuilder,
);

/// What drills do to users of their own, in the account for drills.
#[derive(Debug, Clone)]
pub struct IamDrill(Client);

pub(crate) fn for_drills(sdk: &SdkConfig, calls: &CallLog) -> IamDrill {
    let config = aws_sdk_iam::config::Builder::from(sdk).interceptor(calls.clone()).build();
    IamDrill(Client::from_conf(config))
}

operations!(IamDrill:
    attach_user_policy => AttachUserPolicyFluentBuilder,
    create_access_key => CreateAccessKeyFluentBuilder,
    create_user => CreateUserFluentBuilder,
    delete_access_key => DeleteAccessKeyFluentBuilder,
    delete_user => DeleteUserFluentBuilder,
    detach_user_policy => DetachUserPolicyFluentBuilder,
    list_access_keys => ListAccessKeysFluentBuilder,
    list_attached_user_policies => ListAttachedUserPoliciesFluentBuilder,
    list_users => ListUsersFluentBuilder,
);
