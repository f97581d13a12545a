//! The bucket in which reports are kept. Objects are created in it, and never read, listed, overwritten or deleted.
//!
//! One `PUT`, signed here: the SDK of S3 would add a quarter to the binary for it.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/API_PutObject.html>

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_sts::config::ProvideCredentials;
use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SignableBody, SignableRequest, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4::SigningParams;
use aws_smithy_runtime_api::client::http::HttpConnector;
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_types::base64;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::byte_stream::ByteStream;
use domain::evidence::objects::Object;
use domain::outcome::Failure;
use sha2::{Digest, Sha256};

use crate::connections::Connections;

/// A report has some hundred kilobytes.
const PATIENCE: Duration = Duration::from_secs(5);
const TRIES: usize = 3;
/// Of an answer only its error's code is of interest.
const LONGEST_ANSWER: usize = 16 * 1024;

pub struct Bucket {
    sdk: SdkConfig,
    connections: Connections,
    /// Where its objects are, with a slash at the end.
    base: String,
    region: String,
}

impl Bucket {
    pub(crate) fn new(sdk: &SdkConfig, connections: &Connections, name: &str) -> Self {
        let region = sdk.region().map_or_else(String::new, ToString::to_string);
        let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
        let base = match sdk.endpoint_url() {
            Some(url) => format!("{}/{name}/", url.trim_end_matches('/')),
            None => format!("https://{name}.s3.{region}.{suffix}/"),
        };
        Self { sdk: sdk.clone(), connections: connections.clone(), base, region }
    }

    /// Creates it, or finds that it is there already: its name has the hash of what is in it.
    pub async fn create(&self, object: &Object) -> Result<(), Failure> {
        let mut left = TRIES;
        loop {
            left -= 1;
            let tried = tokio::time::timeout(PATIENCE, self.put(object)).await;
            match tried.unwrap_or_else(|_| Err(failure("TimedOut", "S3 did not answer in time", true))) {
                Err(it) if it.retryable && left > 0 => {}
                done => return done,
            }
        }
    }

    async fn put(&self, object: &Object) -> Result<(), Failure> {
        let request = self.signed(object).await?;
        let answer = self.connections.current().call(request).await;
        let answer = answer.map_err(|_| failure("Unreachable", "the connection to S3 failed", true))?;
        let status = answer.status().as_u16();
        if matches!(status, 200 | 412) {
            return Ok(());
        }
        let mut stream = ByteStream::new(answer.into_body());
        let mut text = Vec::new();
        while let Some(Ok(chunk)) = stream.next().await {
            text.extend_from_slice(&chunk);
            if text.len() > LONGEST_ANSWER {
                break;
            }
        }
        let text = String::from_utf8_lossy(&text);
        let code = between(&text, "<Code>", "</Code>").unwrap_or("Unknown");
        // Somebody else creates the same object at this moment.
        let is_passing = status >= 500 || status == 409;
        Err(failure(code, &format!("S3 answered {status} to `{}`", object.key), is_passing))
    }

    async fn signed(&self, object: &Object) -> Result<HttpRequest, Failure> {
        let unsigned = |why: &str| failure("NotSigned", why, false);
        let credentials = self.sdk.credentials_provider().ok_or_else(|| unsigned("there are no credentials"))?;
        let credentials = credentials.provide_credentials().await.map_err(|it| unsigned(&it.to_string()))?;
        let identity = Identity::from(credentials);
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.payload_checksum_kind = PayloadChecksumKind::XAmzSha256;
        let params = SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(SystemTime::now())
            .settings(settings)
            .build()
            .map_err(|it| unsigned(&it.to_string()))?
            .into();
        let uri = format!("{}{}", self.base, object.key);
        let checksum = base64::encode(Sha256::digest(&object.body));
        let headers = [
            ("content-type", object.content_type),
            // Nothing is overwritten, by whoever has the role.
            ("if-none-match", "*"),
            // A bucket that locks takes nothing without a checksum; its algorithm is named as the SDKs name it.
            ("x-amz-checksum-sha256", checksum.as_str()),
            ("x-amz-sdk-checksum-algorithm", "SHA256"),
        ];
        let body = SignableBody::Bytes(object.body.as_bytes());
        let signable = SignableRequest::new("PUT", uri.as_str(), headers.into_iter(), body);
        let signed = sign(signable.map_err(|it| unsigned(&it.to_string()))?, &params);
        let (instructions, _) = signed.map_err(|it| unsigned(&it.to_string()))?.into_parts();
        let (added, _) = instructions.into_parts();
        let mut request = HttpRequest::new(SdkBody::from(object.body.as_str()));
        let mut is_built = request.set_method("PUT").is_ok() && request.set_uri(uri).is_ok();
        let added = added.iter().map(|it| (it.name(), it.value()));
        for (name, value) in headers.into_iter().chain(added) {
            is_built &= request.headers_mut().try_insert(name.to_owned(), value.to_owned()).is_ok();
        }
        if is_built { Ok(request) } else { Err(unsigned("its name or its headers are none")) }
    }
}

fn failure(code: &str, message: &str, retryable: bool) -> Failure {
    Failure { code: code.to_owned(), message: message.to_owned(), retryable }
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    text.split_once(start)?.1.split_once(end).map(|(it, _)| it)
}
