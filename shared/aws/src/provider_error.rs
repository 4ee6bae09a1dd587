//! What a provider's refusal means for the message.
//!
//! A message on a paid channel is never sent twice, so the question is always: can it have left? Only an answer that says no, or a
//! connection that never came about, lets it be tried again.

use app::ports::ProviderError;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

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

/// Codes that say we are not let in: nothing was taken, and an operator can mend it before the last attempt.
/// <https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html>
const NOT_LET_IN: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "AuthorizationErrorException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationToken",
    "NotAuthorized",
    "OptInRequired",
    "RequestExpired",
    "SignatureDoesNotMatch",
    "UnrecognizedClientException",
];

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
pub(crate) fn classed<E>(error: SdkError<E, HttpResponse>, codes: &Codes) -> ProviderError
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let Some(code) = error.code().map(str::to_owned) else {
        let never_connected = never_connected(&error);
        let source = Box::new(error);
        return if never_connected { ProviderError::Again(source) } else { ProviderError::Unknown(source) };
    };
    let broke = error.raw_response().is_some_and(|response| response.status().is_server_error());
    let source = Box::new(Answered { code: code.clone() });
    match code.as_str() {
        code if codes.invalid_address.contains(&code) => ProviderError::InvalidAddress(source),
        code if codes.not_taken.contains(&code) || UNAVAILABLE.contains(&code) => {
            ProviderError::Again(source)
        }
        code if is_throttling(code) => ProviderError::Throttled(source),
        code if NOT_LET_IN.contains(&code) => ProviderError::Again(source),
        code if broke || BROKE.contains(&code) => ProviderError::Unknown(source),
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

#[cfg(test)]
mod tests {
    use super::*;
    use aws_smithy_runtime_api::http::StatusCode;
    use aws_smithy_types::body::SdkBody;
    use aws_smithy_types::error::ErrorMetadata;

    const CODES: Codes =
        Codes { invalid_address: &["InvalidParameter"], not_taken: &["SendingPausedException"] };

    fn answered(status: u16, code: &str) -> ProviderError {
        let error = ErrorMetadata::builder().code(code).message("to +351912345678").build();
        let response = HttpResponse::new(StatusCode::try_from(status).unwrap(), SdkBody::empty());
        classed(SdkError::service_error(error, response), &CODES)
    }

    #[test]
    fn only_an_answer_that_says_no_lets_a_message_be_tried_again() {
        assert!(matches!(answered(400, "InvalidParameter"), ProviderError::InvalidAddress(_)));
        assert!(matches!(answered(400, "SendingPausedException"), ProviderError::Again(_)));
        assert!(matches!(answered(503, "ServiceUnavailable"), ProviderError::Again(_)));
        assert!(matches!(answered(400, "ThrottlingException"), ProviderError::Throttled(_)));
        assert!(matches!(answered(403, "ExpiredTokenException"), ProviderError::Again(_)));
        assert!(matches!(answered(500, "InternalError"), ProviderError::Unknown(_)));
        assert!(matches!(answered(502, "NeverSeenBefore"), ProviderError::Unknown(_)));
        assert!(matches!(answered(400, "MessageRejected"), ProviderError::Refused(_)));
        let lost = SdkError::<ErrorMetadata, HttpResponse>::timeout_error("no answer");
        assert!(matches!(classed(lost, &CODES), ProviderError::Unknown(_)));
    }

    #[test]
    fn what_the_provider_said_of_the_address_stays_out_of_the_logs() {
        let text = app::error::chain(&answered(400, "InvalidParameter"));
        assert_eq!(text, "the provider says the address cannot be reached: it answered InvalidParameter");
    }
}
