//! Connecting to AWS: credentials from the environment, TLS by ring with Amazon's roots embedded.
//!
//! Lambda puts the role's credentials into the environment and replaces the sandbox before they end, so there is nothing to look up and
//! nothing to refresh. <https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>

use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_smithy_async::rt::sleep::{SharedAsyncSleep, TokioSleep};
use aws_smithy_async::time::{SharedTimeSource, SystemTimeSource};
use aws_smithy_runtime_api::client::behavior_version::BehaviorVersion;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::SdkConfig;
use aws_types::region::Region;

use crate::https::{Afterwards, Https};

/// How long a connection may take to open.
const PATIENCE: Duration = Duration::from_secs(1);

/// A variable is not in the environment.
#[derive(Debug, thiserror::Error)]
#[error("the environment has no {0}")]
pub struct Missing(&'static str);

/// What every client is built from. Reads `AWS_REGION`, `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN` and, for a local
/// stack, `AWS_ENDPOINT_URL`.
///
/// # Errors
/// [`Missing`] names the variable.
pub fn connect() -> Result<SdkConfig, Missing> {
    with(Https::new(PATIENCE, Afterwards::Kept))
}

/// As [`connect`], with a connection to DynamoDB opened for the first call: while a sandbox starts it has more of a processor than later, and
/// nobody waits for it yet. Where it cannot be opened, the first call opens one, and says what is wrong.
///
/// # Errors
/// [`Missing`] names the variable.
pub async fn connect_ahead() -> Result<SdkConfig, Missing> {
    let https = Https::new(PATIENCE, Afterwards::Kept);
    let config = with(https.clone())?;
    let region = config.region().map(Region::as_ref).unwrap_or_default();
    let dynamodb = match config.endpoint_url() {
        Some(endpoint) => endpoint.to_owned(),
        None => format!("https://dynamodb.{region}.amazonaws.com"),
    };
    if let Ok(dynamodb) = dynamodb.parse() {
        let _ = https.open(dynamodb).await;
    }
    Ok(config)
}

fn with(https: Https) -> Result<SdkConfig, Missing> {
    let read = |name: &'static str| std::env::var(name).map_err(|_| Missing(name));
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
        .http_client(https.shared())
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
pub fn for_providers(config: &SdkConfig) -> SdkConfig {
    config
        .to_builder()
        .http_client(Https::new(PATIENCE, Afterwards::Closed).shared())
        .retry_config(RetryConfig::disabled())
        .timeout_config(timeouts(Duration::from_secs(5), Duration::from_secs(5)))
        .build()
}

/// What a client for somebody at a terminal is built from: far from the Region, perhaps, and in less of a hurry than a function.
#[cfg(feature = "account")]
pub fn in_no_hurry(config: &SdkConfig) -> SdkConfig {
    config
        .to_builder()
        .http_client(Https::new(Duration::from_secs(5), Afterwards::Kept).shared())
        .timeout_config(timeouts(Duration::from_secs(10), Duration::from_secs(30)))
        .build()
}

/// A delivery makes at most three calls to DynamoDB before the provider's and one after: 3 + 3 + 3 + 5 + 3 seconds are within the
/// twenty that `template.yaml` gives it.
fn timeouts(attempt: Duration, operation: Duration) -> TimeoutConfig {
    TimeoutConfig::builder().operation_attempt_timeout(attempt).operation_timeout(operation).build()
}
