//! What a provider's answer means for the message: one table for every provider, [`TABLE`].
//!
//! A message on a paid channel is never sent twice, so the question is always: can it have left? Only an answer that says no, or a
//! connection that never came about, lets it be tried again. The second question is whose fault it is: an address is given up for its own
//! fault only, since it stays suppressed.

use app::ports::ProviderError;

use crate::error::{QUOTA, THROTTLED};

/// What was asked of a provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Api {
    /// E-mail. <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>
    SesSendEmail,
    /// An sms: `Publish` to a phone. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
    SnsPublishToPhone,
    /// A push message: `Publish` to the endpoint of a device. <https://docs.aws.amazon.com/sns/latest/api/API_Publish.html>
    SnsPublishToEndpoint,
    /// The endpoint of a device. <https://docs.aws.amazon.com/sns/latest/api/API_CreatePlatformEndpoint.html>
    SnsCreatePlatformEndpoint,
    /// WhatsApp. <https://docs.aws.amazon.com/social-messaging/latest/APIReference/API_SendWhatsAppMessage.html>
    SendWhatsAppMessage,
    /// Telegram, whose codes are the HTTP status: 400, 403. <https://core.telegram.org/bots/api#making-requests>
    TelegramSendMessage,
}

/// What an answer means: a variant of [`ProviderError`] each.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// [`ProviderError::Again`]
    Again,
    /// [`ProviderError::Throttled`]
    Throttled,
    /// [`ProviderError::Quota`]
    Quota,
    /// [`ProviderError::OptedOut`]
    OptedOut,
    /// [`ProviderError::InvalidAddress`]
    InvalidAddress,
    /// [`ProviderError::Refused`]
    Refused,
    /// [`ProviderError::Unknown`]
    Unknown,
}

/// A row of the table: answers that mean the same.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    /// To which calls; none means to any.
    pub api: Option<Api>,
    /// The error codes.
    pub codes: &'static [&'static str],
    /// What the message must speak of besides, in small letters; whatever its case there.
    pub says: Option<&'static str>,
    /// What they mean.
    pub class: Class,
    /// Why, or where that is written.
    pub why: &'static str,
}

const fn of(api: Api, codes: &'static [&'static str], class: Class, why: &'static str) -> Row {
    Row { api: Some(api), codes, says: None, class, why }
}

const fn saying(
    api: Api,
    codes: &'static [&'static str],
    says: &'static str,
    class: Class,
    why: &'static str,
) -> Row {
    Row { api: Some(api), codes, says: Some(says), class, why }
}

const fn any(codes: &'static [&'static str], class: Class, why: &'static str) -> Row {
    Row { api: None, codes, says: None, class, why }
}

/// Every answer that we know; the first row that fits holds. An answer that none fits is [`Class::Unknown`] where the provider broke (5xx),
/// else [`Class::Refused`].
pub const TABLE: &[Row] = &[
    // ---------------------------------------------------------------- SES
    saying(
        Api::SesSendEmail,
        &["Throttling", "ThrottlingException", "TooManyRequestsException", "LimitExceededException"],
        "daily",
        Class::Quota,
        "https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html: \"Daily message quota exceeded\"",
    ),
    of(
        Api::SesSendEmail,
        &["LimitExceededException"],
        Class::Quota,
        "a quota of the account, which no pause of seconds brings back",
    ),
    of(
        Api::SesSendEmail,
        &["SendingPausedException", "AccountSuspendedException"],
        Class::Again,
        "AWS or an operator has stopped the account's e-mail; it may go on before the last attempt",
    ),
    of(
        Api::SesSendEmail,
        &[
            "MailFromDomainNotVerifiedException",
            "MessageRejected",
            "BadRequestException",
            "NotFoundException",
        ],
        Class::Refused,
        "the sender or the content; what SES says does not tell the recipient's address apart from the sender's",
    ),
    // ---------------------------------------------------------------- sms by SNS
    saying(
        Api::SnsPublishToPhone,
        &["InvalidParameter"],
        "phonenumber",
        Class::InvalidAddress,
        "\"Invalid parameter: PhoneNumber Reason: … is not valid to publish to\"",
    ),
    of(
        Api::SnsPublishToPhone,
        &["InvalidParameter", "ParameterValueInvalid", "InvalidParameterValue", "ValidationException"],
        Class::Refused,
        "another parameter, such as \"Message too long\": the phone is as good as before",
    ),
    of(
        Api::SnsPublishToPhone,
        &["OptedOut", "OptedOutException"],
        Class::OptedOut,
        "https://docs.aws.amazon.com/sns/latest/dg/sms_manage.html#sms_manage_optout; mostly SNS takes the sms, and its delivery log tells",
    ),
    // ---------------------------------------------------------------- push by SNS
    saying(
        Api::SnsCreatePlatformEndpoint,
        &["InvalidParameter"],
        "already exists",
        Class::Refused,
        "\"Endpoint … already exists with the same Token, but different attributes\": somebody else made it, the device is alive",
    ),
    saying(
        Api::SnsCreatePlatformEndpoint,
        &["InvalidParameter"],
        "token",
        Class::InvalidAddress,
        "\"Invalid parameter: Token Reason: …\": what the app gave us is no token",
    ),
    of(
        Api::SnsCreatePlatformEndpoint,
        &["NotFound", "InvalidParameter"],
        Class::Refused,
        "the platform application is missing or is none, which is no fault of the device",
    ),
    of(
        Api::SnsPublishToEndpoint,
        &["EndpointDisabled", "NotFound"],
        Class::InvalidAddress,
        "https://docs.aws.amazon.com/sns/latest/dg/sns-mobile-push-manage-tokens.html: the token is gone for good",
    ),
    of(
        Api::SnsPublishToEndpoint,
        &["PlatformApplicationDisabled"],
        Class::Again,
        "the application's own credentials have ended; an operator can renew them before the last attempt",
    ),
    saying(
        Api::SnsPublishToEndpoint,
        &["InvalidParameter"],
        "targetarn",
        Class::InvalidAddress,
        "\"Invalid parameter: TargetArn Reason: …\": there is no such endpoint",
    ),
    of(
        Api::SnsPublishToEndpoint,
        &["InvalidParameter", "ParameterValueInvalid", "InvalidParameterValue", "ValidationException"],
        Class::Refused,
        "another parameter, such as \"Message too long\": the device is as good as before",
    ),
    // ---------------------------------------------------------------- WhatsApp
    of(
        Api::SendWhatsAppMessage,
        &["AccessDeniedByMetaException"],
        Class::Again,
        "the business has taken back what it allowed AWS at Meta; it can allow it anew before the last attempt",
    ),
    of(
        Api::SendWhatsAppMessage,
        &["DependencyException"],
        Class::Unknown,
        "AWS handed it on and something behind it failed",
    ),
    of(
        Api::SendWhatsAppMessage,
        &["InvalidParametersException", "ValidationException", "ResourceNotFoundException"],
        Class::Refused,
        "the message, its template or the business's number; that a phone has no WhatsApp comes later, as a report",
    ),
    // ---------------------------------------------------------------- Telegram
    saying(
        Api::TelegramSendMessage,
        &["403"],
        "blocked by the user",
        Class::OptedOut,
        "the client has blocked the bot",
    ),
    of(
        Api::TelegramSendMessage,
        &["403"],
        Class::InvalidAddress,
        "the person has left Telegram, never began the chat, or threw the bot out of it",
    ),
    saying(
        Api::TelegramSendMessage,
        &["400"],
        "chat not found",
        Class::InvalidAddress,
        "there is no such chat",
    ),
    saying(
        Api::TelegramSendMessage,
        &["400"],
        "peer_id_invalid",
        Class::InvalidAddress,
        "there is no such chat",
    ),
    of(Api::TelegramSendMessage, &["400"], Class::Refused, "the message"),
    of(Api::TelegramSendMessage, &["401", "404"], Class::Refused, "the bot's token is no longer good"),
    of(
        Api::TelegramSendMessage,
        &["429"],
        Class::Throttled,
        "https://core.telegram.org/bots/faq#my-bot-is-hitting-limits-how-do-i-avoid-this",
    ),
    // ---------------------------------------------------------------- any
    any(QUOTA, Class::Quota, "a quota of the account, and no rate"),
    any(
        THROTTLED,
        Class::Throttled,
        "https://docs.aws.amazon.com/sdkref/latest/guide/feature-retry-behavior.html",
    ),
    any(&["ThrottledRequestException"], Class::Throttled, "as AWS End User Messaging Social says it"),
    any(
        &["ServiceUnavailable", "ServiceUnavailableException"],
        Class::Again,
        "the service was not there: it took nothing",
    ),
    any(
        &[
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
        ],
        Class::Again,
        "we are not let in, so nothing was taken, and an operator can mend it before the last attempt: \
         https://docs.aws.amazon.com/sns/latest/api/CommonErrors.html",
    ),
    any(
        &[
            "InternalFailure",
            "InternalError",
            "InternalServerError",
            "InternalServiceError",
            "InternalServiceErrorException",
            "InternalServiceException",
        ],
        Class::Unknown,
        "the service broke while at it: nobody knows",
    ),
];

/// What a provider answered when it did not take a message.
#[derive(Debug, Clone, Copy)]
pub struct Answer<'a> {
    /// Its error code.
    pub code: &'a str,
    /// Its words. They may repeat the address, and go nowhere but into the table.
    pub message: &'a str,
    /// The HTTP status.
    pub status: u16,
}

/// The class of an answer, by the table.
fn class(api: Api, answer: Answer<'_>) -> Class {
    let message = answer.message.to_lowercase();
    let fits = |row: &&Row| {
        row.api.is_none_or(|of| of == api)
            && row.codes.contains(&answer.code)
            && row.says.is_none_or(|says| message.contains(says))
    };
    match TABLE.iter().find(fits) {
        Some(row) => row.class,
        None if answer.status >= 500 => Class::Unknown,
        None => Class::Refused,
    }
}

/// A provider's answer without its words.
#[derive(Debug, thiserror::Error)]
#[error("it answered {0}")]
struct Answered(String);

/// What an answer means for the message.
pub fn answered(api: Api, answer: Answer<'_>) -> ProviderError {
    let source = Box::new(Answered(answer.code.to_owned()));
    match class(api, answer) {
        Class::Again => ProviderError::Again(source),
        Class::Throttled => ProviderError::Throttled(source),
        Class::Quota => ProviderError::Quota(source),
        Class::OptedOut => ProviderError::OptedOut(source),
        Class::InvalidAddress => ProviderError::InvalidAddress(source),
        Class::Refused => ProviderError::Refused(source),
        Class::Unknown => ProviderError::Unknown(source),
    }
}

/// What it means that no answer came: where the connection itself never came about, nothing can have left.
pub fn unanswered(error: impl std::error::Error + Send + Sync + 'static) -> ProviderError {
    if never_connected(&error) {
        ProviderError::Again(error.into())
    } else {
        ProviderError::Unknown(error.into())
    }
}

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

/// An error of ours, before anything was sent.
pub fn refused(why: &'static str) -> ProviderError {
    ProviderError::Refused(why.into())
}

#[cfg(any(feature = "sesv2", feature = "sns", feature = "socialmessaging"))]
pub(crate) use sdk::classed;

/// From the errors of the SDK.
#[cfg(any(feature = "sesv2", feature = "sns", feature = "socialmessaging"))]
mod sdk {
    use app::ports::ProviderError;
    use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
    use aws_smithy_runtime_api::client::result::SdkError;
    use aws_smithy_types::error::metadata::ProvideErrorMetadata;

    use super::{Answer, Api, answered, unanswered};

    /// Classes an SDK error.
    pub(crate) fn classed<E>(api: Api, error: SdkError<E, HttpResponse>) -> ProviderError
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let Some(code) = error.code() else { return unanswered(error) };
        let status = error.raw_response().map_or(0, |response| response.status().as_u16());
        answered(api, Answer { code, message: error.message().unwrap_or_default(), status })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    const APIS: [Api; 6] = [
        Api::SesSendEmail,
        Api::SnsPublishToPhone,
        Api::SnsPublishToEndpoint,
        Api::SnsCreatePlatformEndpoint,
        Api::SendWhatsAppMessage,
        Api::TelegramSendMessage,
    ];

    /// A row that an earlier one hides would say something that does not hold.
    #[test]
    fn every_row_of_the_table_holds() {
        for row in TABLE {
            assert!(!row.why.is_empty());
            let says = row.says.unwrap_or_default();
            assert_eq!(says, says.to_lowercase(), "messages are compared in small letters");
            for code in row.codes {
                let message = format!("Of {}: +351912345678", says.to_uppercase());
                // What an API says otherwise of a code that all of them know stands above.
                let has_own =
                    |api: &Api| TABLE.iter().any(|row| row.api == Some(*api) && row.codes.contains(code));
                let mut apis = APIS.into_iter().filter(|api| match row.api {
                    Some(of) => of == *api,
                    None => !has_own(api),
                });
                let held = |api| class(api, Answer { code, message: &message, status: 400 }) == row.class;
                assert!(apis.clone().next().is_some() && apis.all(held), "{code}: {}", row.why);
            }
        }
    }

    #[rstest]
    #[case::a_phone_that_is_none(
        Api::SnsPublishToPhone,
        400,
        "InvalidParameter",
        "Invalid parameter: PhoneNumber Reason: +1 is not valid to publish to",
        Class::InvalidAddress
    )]
    #[case::a_good_phone_and_a_bad_text(
        Api::SnsPublishToPhone,
        400,
        "InvalidParameter",
        "Invalid parameter: Message too long",
        Class::Refused
    )]
    #[case::no_token(
        Api::SnsCreatePlatformEndpoint,
        400,
        "InvalidParameter",
        "Invalid parameter: Token Reason: iOS device tokens must be no more than 400 hexadecimal characters",
        Class::InvalidAddress
    )]
    #[case::a_token_that_another_made(
        Api::SnsCreatePlatformEndpoint,
        400,
        "InvalidParameter",
        "Invalid parameter: Token Reason: Endpoint arn:x already exists with the same Token, but different attributes.",
        Class::Refused
    )]
    #[case::no_application(
        Api::SnsCreatePlatformEndpoint,
        404,
        "NotFound",
        "PlatformApplication does not exist",
        Class::Refused
    )]
    #[case::a_dead_device(
        Api::SnsPublishToEndpoint,
        400,
        "EndpointDisabled",
        "Endpoint is disabled",
        Class::InvalidAddress
    )]
    #[case::too_fast(
        Api::SesSendEmail,
        429,
        "TooManyRequestsException",
        "Maximum sending rate exceeded.",
        Class::Throttled
    )]
    #[case::too_many_today(
        Api::SesSendEmail,
        429,
        "TooManyRequestsException",
        "Daily message quota exceeded.",
        Class::Quota
    )]
    #[case::too_many(Api::SesSendEmail, 400, "LimitExceededException", "", Class::Quota)]
    #[case::no_quota_is_a_rate(Api::SnsPublishToPhone, 400, "LimitExceededException", "", Class::Quota)]
    #[case::paused(Api::SesSendEmail, 400, "SendingPausedException", "", Class::Again)]
    #[case::not_there(Api::SnsPublishToPhone, 503, "ServiceUnavailable", "", Class::Again)]
    #[case::not_let_in(Api::SendWhatsAppMessage, 403, "AccessDeniedException", "", Class::Again)]
    #[case::expired(Api::SesSendEmail, 403, "ExpiredTokenException", "", Class::Again)]
    #[case::broke(Api::SnsPublishToPhone, 500, "InternalError", "", Class::Unknown)]
    #[case::behind_it(Api::SendWhatsAppMessage, 502, "DependencyException", "", Class::Unknown)]
    #[case::never_seen_and_broke(Api::SnsPublishToPhone, 502, "NeverSeenBefore", "", Class::Unknown)]
    #[case::never_seen(Api::SnsPublishToPhone, 400, "NeverSeenBefore", "", Class::Refused)]
    #[case::rejected(
        Api::SesSendEmail,
        400,
        "MessageRejected",
        "Email address is not verified.",
        Class::Refused
    )]
    #[case::throttled(Api::SendWhatsAppMessage, 429, "ThrottledRequestException", "", Class::Throttled)]
    #[case::blocked(
        Api::TelegramSendMessage,
        403,
        "403",
        "Forbidden: bot was blocked by the user",
        Class::OptedOut
    )]
    #[case::deactivated(
        Api::TelegramSendMessage,
        403,
        "403",
        "Forbidden: user is deactivated",
        Class::InvalidAddress
    )]
    #[case::no_chat(
        Api::TelegramSendMessage,
        400,
        "400",
        "Bad Request: chat not found",
        Class::InvalidAddress
    )]
    #[case::a_bad_message(
        Api::TelegramSendMessage,
        400,
        "400",
        "Bad Request: message is too long",
        Class::Refused
    )]
    #[case::a_lost_token(Api::TelegramSendMessage, 401, "401", "Unauthorized", Class::Refused)]
    #[case::telegram_broke(Api::TelegramSendMessage, 502, "502", "Bad Gateway", Class::Unknown)]
    fn only_an_answer_that_says_no_lets_a_message_be_tried_again(
        #[case] api: Api,
        #[case] status: u16,
        #[case] code: &str,
        #[case] message: &str,
        #[case] expected: Class,
    ) {
        assert_eq!(class(api, Answer { code, message, status }), expected);
    }

    #[test]
    fn what_the_provider_said_of_the_address_stays_out_of_the_logs() {
        let message = "Invalid parameter: PhoneNumber Reason: +351912345678 is not valid to publish to";
        let answer = Answer { code: "InvalidParameter", message, status: 400 };
        let text = app::error::chain(&answered(Api::SnsPublishToPhone, answer));
        assert_eq!(text, "the provider says the address cannot be reached: it answered InvalidParameter");
    }

    #[cfg(feature = "sns")]
    #[test]
    fn an_answer_that_was_lost_may_have_left() {
        use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
        use aws_smithy_runtime_api::client::result::SdkError;
        use aws_smithy_types::error::ErrorMetadata;

        let lost = SdkError::<ErrorMetadata, HttpResponse>::timeout_error("no answer");
        assert!(matches!(classed(Api::SnsPublishToPhone, lost), ProviderError::Unknown(_)));
    }
}
