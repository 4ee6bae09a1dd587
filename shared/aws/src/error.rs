//! From the SDK's errors to the classes the use cases know.

use app::ports::PortError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

/// Error codes that mean "too much at once", over all services we call.
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html>
pub(crate) const THROTTLED: &[&str] = &[
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "Throttled",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "SlowDown",
];

/// Error codes that mean that a quota of the account is used up, which is no matter of seconds.
pub(crate) const QUOTA: &[&str] =
    &["LimitExceededException", "ServiceQuotaExceededException", "QuotaExceededException"];

/// Error codes of a service that failed to do what may well work next time.
pub(crate) const PASSING: &[&str] = &[
    "InternalServerError",
    "InternalServerException",
    "InternalException",
    "InternalFailure",
    "InternalError",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "TransactionInProgressException",
];

/// Classes an SDK error by its code; without a code the request never got a proper answer and may be tried again.
pub(crate) fn port_error<E>(operation: &'static str, error: E) -> PortError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let code = error.code().map(str::to_owned);
    let source = Box::new(error);
    match code.as_deref() {
        Some(code) if THROTTLED.contains(&code) || QUOTA.contains(&code) => {
            PortError::Throttled { operation, source }
        }
        Some(code) if !PASSING.contains(&code) => PortError::Permanent { operation, source },
        _ => PortError::Retryable { operation, source },
    }
}
