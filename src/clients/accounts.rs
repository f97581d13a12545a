//! Clients: our own account's, and a member account's after assuming its remediation role.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_iam::config::{Credentials, Region};
use aws_sdk_ssm::config::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use domain::ids::{AccessKeyId, AccountId, Parse, Partition};
use domain::outcome::Failure;
use domain::settings::{Common, Secret};

use crate::connections::{Connections, Endpoints};
use crate::errors;
use crate::iam::{self, IamDrill, IamRead, IamWrite};
use crate::patience::Patience;
use crate::round_trips::CallLog;

/// What every client shares: credentials, region, connections, retries, timeouts.
#[derive(Debug, Clone)]
pub struct Aws {
    sdk: SdkConfig,
    connections: Connections,
    endpoints: Endpoints,
}

impl Aws {
    /// Everything that an event need not wait for: certificates, and connections to what stands before
    /// a deny. One that can't be opened is no failure.
    pub async fn load(endpoint_url: Option<&str>) -> Self {
        let connections = Connections::new();
        let sdk = sdk_config(endpoint_url, (&connections).into()).await;
        let region = sdk.region().and_then(|it| domain::ids::Region::parse(it.as_ref()).ok());
        let endpoints = Endpoints::of(region.as_ref(), endpoint_url).await;
        connections.open(&endpoints).await;
        Self { sdk, connections, endpoints }
    }

    /// Runs what responds to one event, on connections that can be trusted.
    pub async fn during<T>(&self, respond: impl Future<Output = T>) -> T {
        // What was closed while the process was frozen is seen to be closed now.
        tokio::task::yield_now().await;
        let is_new = self.connections.renew();
        let open = async {
            if is_new {
                self.connections.open(&self.endpoints).await;
            }
            std::future::pending().await
        };
        let response = tokio::select! {
            biased;
            response = respond => response,
            response = open => response,
        };
        self.connections.rest();
        response
    }
}

async fn sdk_config(endpoint_url: Option<&str>, http_client: SharedHttpClient) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(2))
        .operation_attempt_timeout(Duration::from_secs(4))
        .operation_timeout(Duration::from_secs(12))
        .build();
    let retries = RetryConfig::standard()
        .with_max_attempts(4)
        .with_initial_backoff(Duration::from_millis(200))
        .with_max_backoff(Duration::from_secs(2));
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(http_client)
        .timeout_config(timeouts)
        .retry_config(retries);
    if let Some(url) = endpoint_url {
        loader = loader.endpoint_url(url);
    }
    loader.load().await
}

/// The clients of our own account, for one response.
pub struct Home {
    pub sts: aws_sdk_sts::Client,
    pub sns: aws_sdk_sns::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub incidents: aws_sdk_ssmincidents::Client,
    sdk: SdkConfig,
    calls: CallLog,
    patience: Patience,
}

/// The clients of a member account.
#[derive(Clone)]
pub struct Member {
    pub read: IamRead,
    pub write: IamWrite,
    pub ssm: aws_sdk_ssm::Client,
    pub patience: Patience,
}

impl Home {
    pub fn new(Aws { sdk, .. }: &Aws, calls: &CallLog) -> Self {
        // A ledger that does not answer must not hold up the strike.
        let ledger_timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(1))
            .operation_attempt_timeout(Duration::from_millis(1_200))
            .operation_timeout(Duration::from_secs(3))
            .build();
        Self {
            sts: aws_sdk_sts::Client::from_conf(
                aws_sdk_sts::config::Builder::from(sdk).interceptor(calls.clone()).build(),
            ),
            sns: aws_sdk_sns::Client::from_conf(
                aws_sdk_sns::config::Builder::from(sdk).interceptor(calls.clone()).build(),
            ),
            dynamodb: aws_sdk_dynamodb::Client::from_conf(
                aws_sdk_dynamodb::config::Builder::from(sdk)
                    .timeout_config(ledger_timeouts)
                    .interceptor(calls.clone())
                    .build(),
            ),
            ssm: aws_sdk_ssm::Client::from_conf(
                aws_sdk_ssm::config::Builder::from(sdk).interceptor(calls.clone()).build(),
            ),
            incidents: aws_sdk_ssmincidents::Client::from_conf(
                aws_sdk_ssmincidents::config::Builder::from(sdk).interceptor(calls.clone()).build(),
            ),
            sdk: sdk.clone(),
            calls: calls.clone(),
            patience: Patience::default(),
        }
    }

    /// From now on, what is throttled is tried again for as long.
    pub fn patient(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Only a fight that outlasts its invocation needs it.
    pub(crate) fn lambda(&self) -> aws_sdk_lambda::Client {
        let config = aws_sdk_lambda::config::Builder::from(&self.sdk).interceptor(self.calls.clone());
        aws_sdk_lambda::Client::from_conf(config.build())
    }

    /// Only a drill sends events.
    pub fn events(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.sdk)
    }

    /// IAM as the holder of an access key sees it.
    pub fn iam_of(&self, access_key: &AccessKeyId, secret: &Secret) -> IamRead {
        let (id, secret) = (access_key.as_str(), secret.expose());
        let credentials = Credentials::new(id, secret, None, None, "access key of a drill");
        let sdk = self.sdk.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build();
        iam::both(&sdk, &CallLog::default(), &Patience::default()).0
    }

    /// Findings are updated in the region they were found in.
    pub fn security_hub(&self, region: &domain::ids::Region) -> aws_sdk_securityhub::Client {
        let config = aws_sdk_securityhub::config::Builder::from(&self.sdk)
            .region(Region::new(region.to_string()))
            .interceptor(self.calls.clone());
        aws_sdk_securityhub::Client::from_conf(config.build())
    }

    /// Assumes our role in the account that owns the identity, with the external ID. The session is
    /// used for this one finding or command.
    pub async fn assume(&self, common: &Common, account: &AccountId, partition: &Partition) -> Result<Member, Failure> {
        let sdk = self.session(common, account, partition).await?;
        let (read, write) = iam::both(&sdk, &self.calls, &self.patience);
        let ssm = aws_sdk_ssm::config::Builder::from(&sdk).interceptor(self.calls.clone()).build();
        Ok(Member { read, write, ssm: aws_sdk_ssm::Client::from_conf(ssm), patience: self.patience.clone() })
    }

    /// The same for the users of drills, in the account for drills.
    pub async fn assume_for_drills(
        &self,
        common: &Common,
        account: &AccountId,
        partition: &Partition,
    ) -> Result<IamDrill, Failure> {
        Ok(iam::for_drills(&self.session(common, account, partition).await?, &self.calls))
    }

    async fn session(&self, common: &Common, account: &AccountId, partition: &Partition) -> Result<SdkConfig, Failure> {
        let role = common.member_role_arn(account, partition);
        let request = self.sts.assume_role().role_arn(&role).role_session_name("iam-responder").duration_seconds(900);
        let request = request.external_id(common.external_id.expose());
        let output = self.patience.with(|| request.clone().send()).await.map_err(|it| {
            let failure = errors::failure(&it);
            Failure { message: format!("can't assume {role}: {}", failure.message), ..failure }
        })?;
        let session = output.credentials.ok_or_else(|| errors::incomplete("AssumeRole gave no credentials"))?;
        let credentials = Credentials::new(
            session.access_key_id,
            session.secret_access_key,
            Some(session.session_token),
            session.expiration.try_into().ok(),
            "AssumeRole",
        );
        Ok(self.sdk.to_builder().credentials_provider(SharedCredentialsProvider::new(credentials)).build())
    }
}
