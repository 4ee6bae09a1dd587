//! What a provider's refusal means for the message.
//!
//! A message on a paid channel is never sent twice, so the question is always: can it have left? Only an answer that says no, or a
//! connection that never came about, lets it be tried again.

use app::ports::ProviderError;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::retry::RetryConfig;
use aws_types::SdkConfig;

use crate::error::is_throttling;

/// A provider's error codes that mean something of their own. All others of the 4xx kind are a refusal.
pub(crate) struct Codes {
    /// The address cannot be reached, now or ever.
    pub(crate) invalid_address: &'static [&'static str],
    /// It did not take the message and may take it later.
    pub(crate) not_taken: &'static [&'static str],
}

/// Codes that say the service was not there: it took nothing.
const UNAVAILABLE: &[&str] = &["ServiceUnavailable", "ServiceUnavailableException"];

/// Codes that say the service broke while at it: nobody knows.
const BROKE: &[&str] =
    &["InternalFailure", "InternalError", "InternalServerError", "InternalServiceErrorException"];

/// The configuration of a client that sends messages: without the SDK's retries, each of which could send the message once more.
pub(crate) fn without_retries(config: &SdkConfig) -> SdkConfig {
    config.to_builder().retry_config(RetryConfig::disabled()).build()
}

/// An error of ours, before anything was sent.
pub(crate) fn refused(why: &'static str) -> ProviderError {
    ProviderError::Refused(why.into())
}

/// A provider's answer without its words, since these may repeat the address.
#[derive(Debug, thiserror::Error)]
#[error("it answered {code}")]
struct Answered {
    code: String,
}

/// Classes an SDK error.
pub(crate) fn classed<E, R>(error: SdkError<E, R>, codes: &Codes) -> ProviderError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    R: std::fmt::Debug + Send + Sync + 'static,
{
    let Some(code) = error.code().map(str::to_owned) else {
        let never_connected = never_connected(&error);
        let source = Box::new(error);
        return if never_connected { ProviderError::Again(source) } else { ProviderError::Unknown(source) };
    };
    let source = Box::new(Answered { code: code.clone() });
    match code.as_str() {
        code if codes.invalid_address.contains(&code) => ProviderError::InvalidAddress(source),
        code if codes.not_taken.contains(&code) || UNAVAILABLE.contains(&code) => {
            ProviderError::Again(source)
        }
        code if is_throttling(code) => ProviderError::Throttled(source),
        code if BROKE.contains(&code) => ProviderError::Unknown(source),
        _ => ProviderError::Refused(source),
    }
}

/// Whether the connection itself never came about, so that nothing can have left.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.downcast_ref::<hyper_util::client::legacy::Error>().is_some_and(|error| error.is_connect()) {
            return true;
        }
        next = error.source();
    }
    false
}
