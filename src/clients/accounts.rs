//! Clients: our own account's, and a member account's after assuming our role there.

use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_iam::config::{Credentials, Region};
use aws_sdk_ssm::config::SharedCredentialsProvider;
use aws_smithy_runtime_api::client::http::SharedHttpClient;

use domain::change::Change;
use domain::command::DrillKind;
use domain::containment::guard::DRILL_PATH;
use domain::identity::Identity;
use domain::ids::{AccessKeyId, AccountId, Arn, Parse, Partition};
use domain::outcome::Failure;
use domain::session_policy::{self, Piece, Scope};
use domain::settings::{self, Common, Secret};

use crate::bucket::Bucket;
use crate::cloudtrail::{self, Trail};
use crate::connections::{Connections, Endpoints};
use crate::errors::incomplete;
use crate::guardrail::Guardrail;
use crate::iam::{self, IamDrill, IamRead, IamWrite, drill_user};
use crate::parameters::{self, Parameters};
use crate::patience::Patience;
use crate::round_trips::CallLog;
use crate::sessions::{self, Kept};
use crate::slack::{self, Slack};

/// What every client shares: credentials, region, connections, retries, timeouts; and sessions of other accounts.
#[derive(Debug, Clone)]
pub struct Aws {
    sdk: SdkConfig,
    connections: Connections,
    endpoints: Endpoints,
    kept: Kept,
    slack: slack::Kept,
    parameters: parameters::Kept,
}

/// After a secret of what faces the internet could not be read, so that a flood does not ask for it.
const PAUSE: Duration = Duration::from_secs(10);

impl Aws {
    /// Everything that an event need not wait for: certificates, and connections to what stands before
    /// a deny. One that can't be opened is no failure.
    pub async fn load(endpoint_url: Option<&str>) -> Self {
        let connections = Connections::new();
        let sdk = sdk_config(endpoint_url, (&connections).into()).await;
        let region = sdk.region().and_then(|it| domain::ids::Region::parse(it.as_ref()).ok());
        let endpoints = Endpoints::of(region.as_ref(), endpoint_url).await;
        Self::open(sdk, connections, endpoints).await
    }

    /// For what faces the internet, which assumes no role and changes no identity.
    pub async fn load_for_front(endpoint_url: Option<&str>) -> Self {
        let connections = Connections::new();
        let sdk = sdk_config(endpoint_url, (&connections).into()).await;
        let region = sdk.region().and_then(|it| domain::ids::Region::parse(it.as_ref()).ok());
        let endpoints = Endpoints::of_front(region.as_ref(), endpoint_url).await;
        Self::open(sdk, connections, endpoints).await
    }

    async fn open(sdk: SdkConfig, connections: Connections, endpoints: Endpoints) -> Self {
        connections.open(&endpoints).await;
        let (kept, slack, parameters) = Default::default();
        Self { sdk, connections, endpoints, kept, slack, parameters }
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

/// It is paced: what is tried again beside that is only what broke.
fn trail(sdk: &SdkConfig, region: &domain::ids::Region) -> Trail {
    let config = aws_sdk_cloudtrail::config::Builder::from(sdk)
        .region(Region::new(region.to_string()))
        .retry_config(RetryConfig::standard().with_max_attempts(2));
    Trail::new(aws_sdk_cloudtrail::Client::from_conf(config.build()), region.as_str())
}

/// The clients of our own account, for one response.
pub struct Home {
    pub sts: aws_sdk_sts::Client,
    pub sns: aws_sdk_sns::Client,
    pub dynamodb: aws_sdk_dynamodb::Client,
    pub ssm: aws_sdk_ssm::Client,
    pub incidents: aws_sdk_ssmincidents::Client,
    sdk: SdkConfig,
    connections: Connections,
    kept: Kept,
    slack: slack::Kept,
    parameters: parameters::Kept,
    calls: CallLog,
    patience: Patience,
}

/// The clients of a member account, over one session.
#[derive(Clone)]
pub struct Member {
    pub read: IamRead,
    pub write: IamWrite,
    pub patience: Patience,
    session: Credentials,
    /// From an earlier response.
    pub is_kept: bool,
}

impl Home {
    pub fn new(Aws { sdk, connections, kept, slack, parameters, .. }: &Aws, calls: &CallLog) -> Self {
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
            connections: connections.clone(),
            kept: kept.clone(),
            slack: slack.clone(),
            parameters: parameters.clone(),
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

    /// Slack, with the token of that parameter.
    pub fn slack(&self, parameter: &str, endpoint_url: Option<&str>) -> Slack {
        let parameters = Parameters::new(&self.ssm, &self.parameters, Duration::ZERO);
        Slack::new(&self.connections, parameters, parameter, endpoint_url, &self.slack)
    }

    /// The bucket of the reports.
    pub fn bucket(&self, name: &str) -> Bucket {
        Bucket::new(&self.sdk, &self.connections, name)
    }

    /// The secrets of what faces the internet.
    pub fn parameters(&self) -> Parameters {
        Parameters::new(&self.ssm, &self.parameters, PAUSE)
    }

    /// Only a drill sends events, and what faces the internet.
    pub fn events(&self) -> aws_sdk_eventbridge::Client {
        aws_sdk_eventbridge::Client::new(&self.sdk)
    }

    /// Only the daily sweep asks for the organisation's accounts.
    pub fn organizations(&self) -> aws_sdk_organizations::Client {
        let config = aws_sdk_organizations::config::Builder::from(&self.sdk).interceptor(self.calls.clone());
        aws_sdk_organizations::Client::from_conf(config.build())
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

    /// Assumes our role in the account that owns the identity, with the external ID and for no more than the scope.
    pub async fn assume(
        &self,
        common: &Common,
        account: &AccountId,
        partition: &Partition,
        scope: &Scope,
    ) -> Result<Member, Failure> {
        let role = common.member_role_arn(account, partition);
        if let Some(session) = self.kept.find(&role, scope) {
            return Ok(self.member(session, true));
        }
        let policy = scope.policy(&sessions::reads(scope), account, partition);
        let session = self.session(common, &role, policy).await?;
        self.kept.keep(&role, scope, &session);
        Ok(self.member(session, false))
    }

    /// Whether the session is there already, from an earlier response.
    pub fn has_session(&self, common: &Common, account: &AccountId, partition: &Partition, scope: &Scope) -> bool {
        self.kept.find(&common.member_role_arn(account, partition), scope).is_some()
    }

    /// A session that AWS does not let do its work is not kept for the next response: the role may have been made
    /// anew, or its sessions revoked.
    pub fn drop_session(&self, member: &Member) {
        self.kept.drop(&member.session);
    }

    /// Sessions of the restore role, each for its part of the changes to this identity.
    pub async fn assume_to_restore<'a>(
        &self,
        common: &Common,
        account: &AccountId,
        partition: &Partition,
        identity: &Identity,
        changes: impl IntoIterator<Item = &'a Change>,
    ) -> Result<Vec<(Vec<Change>, IamWrite)>, Failure> {
        let role = common.member_role_arn(account, partition);
        let pieces = session_policy::pieces(changes, identity);
        let each = pieces.into_iter().map(|piece| self.assume_for(common, &role, identity, piece));
        let sessions = futures_util::future::try_join_all(each).await?;
        Ok(sessions.into_iter().flatten().collect())
    }

    /// The piece in one session, or in several where STS does not take it.
    async fn assume_for(
        &self,
        common: &Common,
        role: &str,
        identity: &Identity,
        piece: Piece,
    ) -> Result<Vec<(Vec<Change>, IamWrite)>, Failure> {
        let (mut left, mut sessions) = (vec![piece], Vec::new());
        while let Some(piece) = left.pop() {
            match self.session(common, role, piece.policy.clone()).await {
                Ok(session) => sessions.push((piece.changes, self.member(session, false).write)),
                Err(failure) => match piece.halves(identity).filter(|_| sessions::is_too_large(&failure)) {
                    Some(halves) => left.extend(halves),
                    None => return Err(failure),
                },
            }
        }
        Ok(sessions)
    }

    /// A session that can start the rotation runbook, and what the runbook needs for this user. It runs as whoever
    /// starts it.
    pub async fn assume_to_rotate(
        &self,
        common: &Common,
        account: &AccountId,
        partition: &Partition,
        identity: &Identity,
        document: &str,
    ) -> Result<aws_sdk_ssm::Client, Failure> {
        let role = common.member_role_arn(account, partition);
        let policy = session_policy::rotation(document, identity, account, partition);
        let sdk = self.config(self.session(common, &role, policy).await?);
        let ssm = aws_sdk_ssm::config::Builder::from(&sdk).interceptor(self.calls.clone()).build();
        Ok(aws_sdk_ssm::Client::from_conf(ssm))
    }

    /// The driller's role, in the account for drills, for this user of a drill.
    pub async fn assume_for_drills(
        &self,
        common: &Common,
        account: &AccountId,
        partition: &Partition,
        kind: DrillKind,
        user: &str,
    ) -> Result<IamDrill, Failure> {
        let role = common.member_role_arn(account, partition);
        let policy = session_policy::drill(DRILL_PATH, user, drill_user::names(kind), account, partition);
        let session = self.session(common, &role, policy).await?;
        Ok(iam::for_drills(&self.config(session), &self.calls))
    }

    /// The guardrail's role, for this policy and this account.
    pub async fn assume_for_guardrail(
        &self,
        common: &Common,
        guardrail: &settings::Guardrail,
        account: &AccountId,
    ) -> Result<Guardrail, Failure> {
        let partition = Arn::parse(&guardrail.role_arn).and_then(|it| Partition::parse(it.partition).ok());
        let partition = partition.ok_or_else(|| incomplete("GUARDRAIL_ROLE_ARN is no ARN of a partition"))?;
        let policy = session_policy::guardrail(&guardrail.policy, account, &partition);
        let sdk = self.config(self.session(common, &guardrail.role_arn, policy).await?);
        // It is tried again where it is known what an answer means.
        let config = aws_sdk_organizations::config::Builder::from(&sdk)
            .retry_config(RetryConfig::disabled())
            .interceptor(self.calls.clone());
        let client = aws_sdk_organizations::Client::from_conf(config.build());
        Ok(Guardrail { client, policy: guardrail.policy.clone(), account: account.clone() })
    }

    /// A model takes seconds to answer, and is asked once.
    pub fn bedrock(&self, patience: Duration) -> aws_sdk_bedrockruntime::Client {
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(2))
            .operation_attempt_timeout(patience)
            .operation_timeout(patience)
            .build();
        let config = aws_sdk_bedrockruntime::config::Builder::from(&self.sdk)
            .timeout_config(timeouts)
            .retry_config(RetryConfig::disabled());
        aws_sdk_bedrockruntime::Client::from_conf(config.build())
    }

    /// The investigator's role: one session that reads IAM and CloudTrail in these regions, and nothing else.
    pub async fn assume_to_investigate(
        &self,
        common: &Common,
        account: &AccountId,
        partition: &Partition,
        regions: &[domain::ids::Region],
    ) -> Result<(IamRead, Vec<Trail>), Failure> {
        let role = common.member_role_arn(account, partition);
        let policy = session_policy::investigation(&sessions::investigation_reads());
        let sdk = self.config(self.session(common, &role, policy).await?);
        let trails = regions.iter().map(|it| trail(&sdk, it)).collect();
        Ok((iam::both(&sdk, &self.calls, &self.patience).0, trails))
    }

    /// Our own role: one session that reads CloudTrail's event history and nothing else.
    pub async fn assume_to_look_up(
        &self,
        common: &Common,
        account: &AccountId,
        partition: &Partition,
        region: &domain::ids::Region,
    ) -> Result<Trail, Failure> {
        let role = common.member_role_arn(account, partition);
        let policy = session_policy::investigation(&[cloudtrail::PERMISSION]);
        Ok(trail(&self.config(self.session(common, &role, policy).await?), region))
    }

    fn member(&self, session: Credentials, is_kept: bool) -> Member {
        let sdk = self.config(session.clone());
        let (read, write) = iam::both(&sdk, &self.calls, &self.patience);
        Member { read, write, patience: self.patience.clone(), session, is_kept }
    }

    fn config(&self, session: Credentials) -> SdkConfig {
        self.sdk.to_builder().credentials_provider(SharedCredentialsProvider::new(session)).build()
    }

    /// INVARIANT: no session is without a policy. `tests/test_sessions.py` holds it.
    async fn session(&self, common: &Common, role: &str, policy: String) -> Result<Credentials, Failure> {
        let request = self.sts.assume_role().role_arn(role).role_session_name("iam-responder");
        let request = request.external_id(common.external_id.expose()).duration_seconds(sessions::SECONDS);
        let request = request.policy(policy);
        let assumed = self.patience.with(|| sessions::assume(request.clone())).await;
        assumed.map_err(|it| Failure { message: format!("can't assume {role}: {}", it.message), ..it })
    }
}
