//! One HTTP client for every service: connections outlive the event that opened them, and certificates
//! are loaded once.
//!
//! The SDK would build a client, with connections of its own, for each service client that is made; and
//! a response makes a dozen of them.
//!
//! INVARIANT: when warm, no connection is opened before the deny. `tests/test_connections.py` holds it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::config::endpoint as dynamodb;
use aws_sdk_iam::config::endpoint as iam;
use aws_sdk_sts::config::endpoint as sts;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::byte_stream::ByteStream;
use domain::ids::Region;

/// A connection that was not used for longer is not trusted: Lambda freezes the process between
/// events, and what AWS or a gateway closed meanwhile is not seen to be closed until a request on it
/// was given up. By the wall clock, because the others may stand still in a frozen process.
const TRUSTED: Duration = Duration::from_secs(4);

/// How long starting may wait for connections that nothing may need yet.
const OPENING: Duration = Duration::from_secs(2);

/// How many reads, of the user, its keys and its policies, go out together.
const IAM_CONNECTIONS: usize = 3;

/// The HTTP client that all service clients share.
#[derive(Debug, Clone)]
pub(crate) struct Connections(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    current: SharedHttpConnector,
    /// Ready for when `current` is not to be trusted: building one takes as long as reading every
    /// certificate, which is not for the time before the deny.
    spare: Option<SharedHttpConnector>,
    used: SystemTime,
}

impl Connections {
    pub(crate) fn new() -> Self {
        let state = State { current: connector(), spare: Some(connector()), used: SystemTime::now() };
        Self(Arc::new(Mutex::new(state)))
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For what is no service of AWS's.
    pub(crate) fn current(&self) -> SharedHttpConnector {
        self.state().current.clone()
    }

    /// Leaves connections behind that were idle for too long. True when there are none now.
    pub(crate) fn renew(&self) -> bool {
        let mut state = self.state();
        // A clock that was set back says nothing: then they are old.
        let is_trusted = state.used.elapsed().is_ok_and(|idle| idle < TRUSTED);
        if !is_trusted {
            state.current = state.spare.take().unwrap_or_else(connector);
        }
        state.used = SystemTime::now();
        !is_trusted
    }

    /// After an event: notes when the connections were used last, and has a spare one built.
    pub(crate) fn rest(&self) {
        let mut state = self.state();
        state.used = SystemTime::now();
        state.spare.get_or_insert_with(connector);
    }

    /// Opens connections to what stands before a deny: STS, IAM and the ledger. The requests are not
    /// signed, cost nothing and need no permission; whatever answers, the connection stays.
    pub(crate) async fn open(&self, endpoints: &Endpoints) {
        let each = endpoints.0.iter().map(|url| self.touch(url));
        if tokio::time::timeout(OPENING, futures_util::future::join_all(each)).await.is_err() {
            tracing::debug!("not every connection could be opened ahead");
        }
        self.state().used = SystemTime::now();
    }

    async fn touch(&self, url: &str) {
        let mut request = HttpRequest::empty();
        if request.set_method("HEAD").is_err() || request.set_uri(url).is_err() {
            return;
        }
        let connector = self.state().current.clone();
        if let Ok(response) = connector.call(request).await {
            // Only a connection whose answer was read to its end is used again.
            let _ = ByteStream::new(response.into_body()).collect().await;
        }
    }
}

/// One pool: the timeouts that matter are those of each operation.
fn connector() -> SharedHttpConnector {
    let settings = HttpConnectorSettings::builder().connect_timeout(Duration::from_secs(2)).build();
    let provider = tls::Provider::rustls(tls::rustls_provider::CryptoMode::AwsLc);
    SharedHttpConnector::new(
        Connector::builder()
            .connector_settings(settings)
            .pool_idle_timeout(Duration::from_secs(20))
            .tls_provider(provider)
            .build(),
    )
}

impl HttpClient for Connections {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        self.state().current.clone()
    }
}

impl From<&Connections> for SharedHttpClient {
    fn from(connections: &Connections) -> Self {
        Self::new(connections.clone())
    }
}

/// Where a response connects to before its deny, once for each connection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Endpoints(Vec<String>);

impl Endpoints {
    /// `endpoint_url` stands for every service.
    pub(crate) async fn of(region: Option<&Region>, endpoint_url: Option<&str>) -> Self {
        if let Some(url) = endpoint_url {
            return Self(vec![url.to_owned(); IAM_CONNECTIONS + 2]);
        }
        let Some(region) = region.map(ToString::to_string) else {
            return Self::default();
        };
        let mut found = Vec::new();
        if let Some(url) = sts_url(&region).await {
            found.push(url);
        }
        if let Some(url) = iam_url(&region).await {
            found.extend(vec![url; IAM_CONNECTIONS]);
        }
        if let Some(url) = dynamodb_url(&region).await {
            found.push(url);
        }
        Self(found)
    }

    /// The ledger alone: of what faces the internet nothing stands before a deny.
    pub(crate) async fn of_front(region: Option<&Region>, endpoint_url: Option<&str>) -> Self {
        let url = match (endpoint_url, region) {
            (Some(url), _) => Some(url.to_owned()),
            (None, Some(region)) => dynamodb_url(&region.to_string()).await,
            (None, None) => None,
        };
        Self(url.into_iter().collect())
    }
}

macro_rules! resolved {
    ($name:ident, $service:ident) => {
        async fn $name(region: &str) -> Option<String> {
            let params = $service::Params::builder().region(region).build().ok()?;
            let resolver = $service::DefaultResolver::new();
            let endpoint = $service::ResolveEndpoint::resolve_endpoint(&resolver, &params).await.ok()?;
            Some(endpoint.url().to_owned())
        }
    };
}

resolved!(sts_url, sts);
resolved!(iam_url, iam);
resolved!(dynamodb_url, dynamodb);

#[cfg(test)]
mod tests {
    use domain::ids::Parse;

    use super::*;

    #[tokio::test]
    async fn the_endpoints_are_those_of_the_sdk() {
        let endpoints = |region: &'static str| async move {
            let region = Region::parse(region).unwrap();
            let mut found = Endpoints::of(Some(&region), None).await.0;
            found.dedup();
            found
        };
        assert_eq!(
            endpoints("eu-west-1").await,
            [
                "https://sts.eu-west-1.amazonaws.com",
                "https://iam.amazonaws.com",
                "https://dynamodb.eu-west-1.amazonaws.com"
            ]
        );
        assert_eq!(endpoints("us-gov-west-1").await[1], "https://iam.us-gov.amazonaws.com");
        assert_eq!(endpoints("cn-north-1").await[1], "https://iam.cn-north-1.amazonaws.com.cn");
    }

    #[tokio::test]
    async fn connections_that_rested_for_long_are_left_behind() {
        let connections = Connections::new();
        assert!(!connections.renew());
        connections.rest();
        connections.state().used = SystemTime::now() - TRUSTED;
        assert!(connections.renew());
        assert!(connections.state().spare.is_none());
        connections.rest();
        assert!(connections.state().spare.is_some() && !connections.renew());
    }
}
