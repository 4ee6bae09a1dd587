//! Connecting to AWS: credentials from the environment, TLS by ring with Amazon's roots embedded.
//!
//! Lambda puts the role's credentials into the environment and replaces the sandbox before they end, so there is nothing to look up and
//! nothing to refresh. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

/// Amazon Root CA 1 to 4 and Starfield G2: what every AWS endpoint's certificate leads to.
/// <https://www.amazontrust.com/repository/>; how they are renewed: docs/decisions/0001-tls-and-roots.md.
const ROOTS: &[u8] = include_bytes!("../roots/amazon.pem");

/// Why no connection could be prepared.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// A variable is not in the environment.
    #[error("the environment has no {0}")]
    Missing(&'static str),
    /// The embedded roots could not be read.
    #[error("TLS could not be set up")]
    Tls(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// What every client is built from. Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and, for a local
/// stack, `AWS_ENDPOINT_URL`.
///
/// # Errors
/// [`ConnectError`] names the variable that is missing.
pub fn connect() -> Result<SdkConfig, ConnectError> {
    let read = |name: &'static str| std::env::var(name).map_err(|_| ConnectError::Missing(name));
    let credentials = Credentials::new(
        read("AWS_ACCESS_KEY_ID")?,
        read("AWS_SECRET_ACCESS_KEY")?,
        std::env::var("AWS_SESSION_TOKEN").ok(),
        None,
        "environment",
    );
    let mut config = SdkConfig::builder()
        // The SDK's defaults as of a date, so that an update changes none unseen.
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(read("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(https(Builder::new())?)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .retry_config(RetryConfig::standard())
        .timeout_config(timeouts(Duration::from_millis(1500), Duration::from_secs(3)));
    if let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") {
        config = config.endpoint_url(endpoint);
    }
    Ok(config.build())
}

/// What a client that hands messages to a provider is built from.
///
/// - No retries by the SDK, each of which could send the message once more.
/// - No connection kept for later: after the sandbox was frozen it may be dead, and a message lost on it would count as one that may have left.
/// - More time: an answer that comes late is better than one that never comes.
///
/// # Errors
/// [`ConnectError`] when the roots cannot be read.
pub fn for_providers(config: &SdkConfig) -> Result<SdkConfig, ConnectError> {
    let config = config
        .to_builder()
        .http_client(https(Builder::new().pool_max_idle_per_host(0))?)
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(Duration::from_secs(5), Duration::from_secs(5)));
    Ok(config.build())
}

/// What a client for somebody at a terminal is built from: far from the Region, perhaps, and in less of a hurry than a function.
#[cfg(feature = "account")]
pub fn in_no_hurry(config: &SdkConfig) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(5))
        .operation_attempt_timeout(Duration::from_secs(10))
        .operation_timeout(Duration::from_secs(30));
    config.to_builder().timeout_config(timeouts.build()).build()
}

fn https(builder: Builder) -> Result<SharedHttpClient, ConnectError> {
    let roots = TrustStore::empty().with_pem_certificate(ROOTS);
    let tls = TlsContext::builder().with_trust_store(roots).build();
    let tls = tls.map_err(|error| ConnectError::Tls(error.into()))?;
    Ok(builder.tls_provider(Provider::Rustls(CryptoMode::Ring)).tls_context(tls).build_https())
}

/// A delivery makes at most three calls to DynamoDB before the provider's and one after: 3 + 3 + 3 + 5 + 3 seconds are within the
/// twenty that `template.yaml` gives it.
fn timeouts(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(Duration::from_secs(1))
        .operation_attempt_timeout(attempt)
        .operation_timeout(operation)
        .build()
}
