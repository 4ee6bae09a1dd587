//! Connecting to AWS: credentials from the environment, TLS by ring with Amazon's roots embedded.
//!
//! Lambda puts the role's credentials into the environment and replaces the sandbox before they end, so there is nothing to look up and
//! nothing to refresh. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore, rustls_provider::CryptoMode};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
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
    let roots = TrustStore::empty().with_pem_certificate(ROOTS);
    let tls = TlsContext::builder()
        .with_trust_store(roots)
        .build()
        .map_err(|error| ConnectError::Tls(error.into()))?;
    let http = aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .tls_context(tls)
        .build_https();
    let mut config = SdkConfig::builder()
        // The SDK's defaults as of a date, so that an update changes none unseen.
        .behavior_version(BehaviorVersion::v2026_01_12())
        .region(Region::new(read("AWS_REGION")?))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .http_client(http)
        .sleep_impl(SharedAsyncSleep::new(TokioSleep::new()))
        .time_source(SharedTimeSource::new(SystemTimeSource::new()))
        .retry_config(RetryConfig::standard())
        .timeout_config(
            // Well within the ten seconds a delivery has.
            TimeoutConfig::builder()
                .connect_timeout(Duration::from_secs(1))
                .operation_attempt_timeout(Duration::from_secs(3))
                .operation_timeout(Duration::from_secs(8))
                .build(),
        );
    if let Ok(endpoint) = std::env::var("AWS_ENDPOINT_URL") {
        config = config.endpoint_url(endpoint);
    }
    Ok(config.build())
}
