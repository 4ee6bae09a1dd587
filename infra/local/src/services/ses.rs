//! SES v2: SendEmail, with AWS's checks, quota and rate.
//!
//! <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_SendEmail.html>

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex};

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use jiff::{SignedDuration, Timestamp};
use mail_parser::{Address, MessageParser, MimeHeaders as _, PartType};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::outbox::{Attachment, Entry, Header};
use super::providers::{Limits, ProviderError};
use super::{AwsError, Channel, Services, lock};

/// A message's greatest size after encoding.
const MAX_MESSAGE_BYTES: usize = 40 * 1024 * 1024;
/// Recipients of one message: to, cc and bcc together.
const MAX_RECIPIENTS: usize = 50;

/// When e-mails were accepted in the last 24 hours of the stack's time, for quota and rate.
#[derive(Default)]
pub(super) struct Ses {
    accepted: Mutex<VecDeque<Timestamp>>,
}

/// Routes of the service.
pub(super) fn router() -> Router<Arc<Services>> {
    Router::new().route("/v2/email/outbound-emails", post(send_email)).fallback(|| async {
        error(StatusCode::NOT_FOUND, "NotFoundException", "The local stack knows SendEmail only.")
    })
}

/// The errors that the provider can be told to refuse with.
const CODES: [(StatusCode, &str); 9] = [
    (StatusCode::BAD_REQUEST, "AccountSuspendedException"),
    (StatusCode::BAD_REQUEST, "BadRequestException"),
    (StatusCode::BAD_REQUEST, "LimitExceededException"),
    (StatusCode::BAD_REQUEST, "MailFromDomainNotVerifiedException"),
    (StatusCode::BAD_REQUEST, "MessageRejected"),
    (StatusCode::BAD_REQUEST, "SendingPausedException"),
    (StatusCode::FORBIDDEN, "AccessDeniedException"),
    (StatusCode::NOT_FOUND, "NotFoundException"),
    (StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
];

fn error(status: StatusCode, code: &'static str, message: impl Into<String>) -> AwsError {
    AwsError { status, code, message: message.into(), member: "message" }
}

fn bad_request(message: impl Into<String>) -> AwsError {
    error(StatusCode::BAD_REQUEST, "BadRequestException", message)
}

fn rejected(message: impl Into<String>) -> AwsError {
    error(StatusCode::BAD_REQUEST, "MessageRejected", message)
}

fn too_many(message: &str) -> AwsError {
    error(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException", message)
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SendEmail {
    from_email_address: Option<String>,
    #[serde(default)]
    destination: Destination,
    #[serde(default)]
    reply_to_addresses: Vec<String>,
    content: Content,
    configuration_set_name: Option<String>,
    #[serde(default)]
    email_tags: Vec<Tag>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Tag {
    name: String,
    value: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
struct Destination {
    to_addresses: Vec<String>,
    cc_addresses: Vec<String>,
    bcc_addresses: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Content {
    simple: Option<Simple>,
    raw: Option<Raw>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Simple {
    subject: Text,
    body: Body,
    #[serde(default)]
    headers: Vec<HeaderField>,
    #[serde(default)]
    attachments: Vec<AttachmentField>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Body {
    text: Option<Text>,
    html: Option<Text>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Text {
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HeaderField {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AttachmentField {
    file_name: String,
    /// Base64.
    raw_content: String,
    content_type: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Raw {
    /// Base64.
    data: String,
}

async fn send_email(State(services): State<Arc<Services>>, body: Bytes) -> Result<Json<Value>, AwsError> {
    let accepted = services.call_provider(Channel::Email, || accept(&services, &body)).await;
    accepted.map(|message_id| Json(json!({ "MessageId": message_id }))).map_err(|e| match e {
        ProviderError::Refused(refused) => refused,
        ProviderError::Throttled => too_many("Maximum sending rate exceeded."),
        ProviderError::Told(code) => {
            let (status, code) = CODES
                .into_iter()
                .find(|(_, known)| *known == code)
                .unwrap_or((StatusCode::BAD_REQUEST, "MessageRejected"));
            error(status, code, "The provider was told to refuse.")
        }
        ProviderError::Failed => error(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalFailure",
            "The request processing has failed because of an unknown error, exception or failure.",
        ),
    })
}

/// Checks an e-mail and puts it into the outbox; answers its message id.
fn accept(services: &Services, body: &Bytes) -> Result<String, AwsError> {
    let request: SendEmail = serde_json::from_slice(body)
        .map_err(|e| error(StatusCode::BAD_REQUEST, "SerializationException", e.to_string()))?;
    let now = services.clock.now();
    let message_id = format!("0100{:012x}-{}-000000", now.as_millisecond(), Uuid::new_v4());
    let mut entry = Entry::new(now, Channel::Email, String::new(), message_id.clone());
    let mut destination = request.destination;
    let mut from = request.from_email_address;
    match (request.content.simple, request.content.raw) {
        (Some(simple), None) => read_simple(simple, &mut entry)?,
        (None, Some(raw)) => read_raw(&raw, &mut entry, &mut from, &mut destination)?,
        _ => {
            return Err(bad_request(
                "Content must be exactly one of Simple and Raw; the local stack has no templates.",
            ));
        }
    }
    let from = from.ok_or_else(|| bad_request("Missing required header 'From'."))?;
    check_addresses(&from, &destination, &request.reply_to_addresses)?;
    check_identity(&services.config.email_from, &services.config.region, &from)?;
    if let Some(set) = &request.configuration_set_name
        && !services.config.configuration_sets.contains(set)
    {
        let message = format!("Configuration set <{set}> does not exist.");
        return Err(error(StatusCode::NOT_FOUND, "NotFoundException", message));
    }
    entry.configuration_set = request.configuration_set_name;
    entry.tags = tags(request.email_tags)?;
    services.ses.count(now, services.providers.limits())?;

    let further = [
        ("Cc", &destination.cc_addresses),
        ("Bcc", &destination.bcc_addresses),
        ("Reply-To", &request.reply_to_addresses),
    ];
    for (name, addresses) in further.into_iter().filter(|(_, addresses)| !addresses.is_empty()) {
        entry.headers.push(Header { name: name.to_owned(), value: addresses.join(", ") });
    }
    entry.to = destination.to_addresses.join(", ");
    entry.from = Some(from);
    services.leave(entry);
    Ok(message_id)
}

/// The rules of `MessageTag`: up to 256 ASCII letters, digits, underscores and dashes.
/// <https://docs.aws.amazon.com/ses/latest/APIReference-V2/API_MessageTag.html>
fn tags(tags: Vec<Tag>) -> Result<BTreeMap<String, String>, AwsError> {
    let valid = |text: &str| {
        (1..=256).contains(&text.len())
            && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-')
    };
    tags.into_iter()
        .map(|Tag { name, value }| match valid(&name) && valid(&value) {
            true => Ok((name, value)),
            false => Err(bad_request(format!(
                "Invalid tag <{name}>: up to 256 letters, digits, underscores and dashes in name and value."
            ))),
        })
        .collect()
}

fn read_simple(simple: Simple, entry: &mut Entry) -> Result<(), AwsError> {
    if simple.body.text.is_none() && simple.body.html.is_none() {
        return Err(bad_request("Body must have Text or Html."));
    }
    check_headers(&simple.headers)?;
    let size: usize = [
        &Some(simple.subject.data.as_str()),
        &simple.body.text.as_ref().map(|t| t.data.as_str()),
        &simple.body.html.as_ref().map(|t| t.data.as_str()),
    ]
    .into_iter()
    .flatten()
    .map(|text| text.len())
    .chain(simple.attachments.iter().map(|attachment| attachment.raw_content.len()))
    .sum();
    check_size(size)?;
    for attachment in simple.attachments {
        if BASE64_STANDARD.decode(&attachment.raw_content).is_err() {
            return Err(bad_request(format!("Attachment {} is not base64.", attachment.file_name)));
        }
        entry.attachments.push(Attachment {
            name: attachment.file_name,
            media_type: attachment.content_type.unwrap_or_else(|| "application/octet-stream".to_owned()),
            content: attachment.raw_content,
        });
    }
    entry.subject = Some(simple.subject.data);
    entry.text = simple.body.text.map(|text| text.data);
    entry.html = simple.body.html.map(|html| html.data);
    entry.headers =
        simple.headers.into_iter().map(|HeaderField { name, value }| Header { name, value }).collect();
    Ok(())
}

/// Reads a MIME message. What the request says itself of sender and recipients goes before the message's own headers.
fn read_raw(
    raw: &Raw,
    entry: &mut Entry,
    from: &mut Option<String>,
    destination: &mut Destination,
) -> Result<(), AwsError> {
    check_size(raw.data.len())?;
    let bytes = BASE64_STANDARD.decode(&raw.data).map_err(|_| bad_request("Raw data is not base64."))?;
    let message =
        MessageParser::default().parse(&bytes).ok_or_else(|| bad_request("Raw data is not a message."))?;
    let addresses = |header: Option<&Address<'_>>| -> Vec<String> {
        header
            .into_iter()
            .flat_map(Address::iter)
            .filter_map(|each| each.address().map(str::to_owned))
            .collect()
    };
    if from.is_none() {
        *from = addresses(message.from()).into_iter().next();
    }
    if destination.recipients().next().is_none() {
        destination.to_addresses = addresses(message.to());
        destination.cc_addresses = addresses(message.cc());
        destination.bcc_addresses = addresses(message.bcc());
    }
    entry.subject = message.subject().map(str::to_owned);
    let body = |html: bool| {
        message.parts.iter().find_map(|part| match &part.body {
            PartType::Text(text) if !html && part.attachment_name().is_none() => Some(text.to_string()),
            PartType::Html(text) if html && part.attachment_name().is_none() => Some(text.to_string()),
            _ => None,
        })
    };
    entry.text = body(false);
    entry.html = body(true);
    let told_already = ["from", "to", "cc", "bcc", "subject"];
    entry.headers = message
        .headers_raw()
        .filter(|(name, _)| !told_already.contains(&name.to_ascii_lowercase().as_str()))
        .map(|(name, value)| Header { name: name.to_owned(), value: value.trim().to_owned() })
        .collect();
    entry.attachments = message
        .attachments()
        .map(|part| Attachment {
            name: part.attachment_name().unwrap_or("unnamed").to_owned(),
            media_type: part.content_type().map_or_else(
                || "application/octet-stream".to_owned(),
                |t| {
                    t.subtype()
                        .map_or_else(|| t.ctype().to_owned(), |subtype| format!("{}/{subtype}", t.ctype()))
                },
            ),
            content: BASE64_STANDARD.encode(part.contents()),
        })
        .collect();
    Ok(())
}

impl Destination {
    fn recipients(&self) -> impl Iterator<Item = &String> {
        self.to_addresses.iter().chain(&self.cc_addresses).chain(&self.bcc_addresses)
    }
}

fn check_size(bytes: usize) -> Result<(), AwsError> {
    if bytes > MAX_MESSAGE_BYTES {
        return Err(bad_request(format!(
            "Message length is more than {MAX_MESSAGE_BYTES} bytes long: '{bytes}'."
        )));
    }
    Ok(())
}

/// The rules of `MessageHeader`: printable ASCII, name up to 126, value up to 995, together up to 996 characters.
fn check_headers(headers: &[HeaderField]) -> Result<(), AwsError> {
    for HeaderField { name, value } in headers {
        if name.is_empty() || name.len() > 126 || !name.bytes().all(|b| (33..=126).contains(&b) && b != b':')
        {
            return Err(bad_request(format!(
                "Invalid header name <{name}>: 1 to 126 printable ASCII characters except colon."
            )));
        }
        if value.len() > 995 || !value.bytes().all(|b| (32..=126).contains(&b)) {
            return Err(bad_request(format!(
                "Invalid value of header <{name}>: up to 995 printable ASCII characters."
            )));
        }
        if name.len() + value.len() > 996 {
            return Err(bad_request(format!(
                "Header <{name}> is longer than 996 characters with its value."
            )));
        }
    }
    Ok(())
}

fn check_addresses(from: &str, destination: &Destination, reply_to: &[String]) -> Result<(), AwsError> {
    let count = destination.recipients().count();
    if count == 0 {
        return Err(bad_request("Destination must have at least one recipient."));
    }
    if count > MAX_RECIPIENTS {
        return Err(bad_request(format!("Recipient count exceeds {MAX_RECIPIENTS}.")));
    }
    for each in [from]
        .into_iter()
        .chain(destination.recipients().map(String::as_str))
        .chain(reply_to.iter().map(String::as_str))
    {
        let address = bare_address(each);
        let Some((local, domain)) = address.rsplit_once('@').filter(|(_, domain)| !domain.is_empty()) else {
            return Err(bad_request("Missing final '@domain'"));
        };
        if local.is_empty() || !local.bytes().all(|b| (33..=126).contains(&b)) {
            return Err(bad_request("Local address contains control or whitespace"));
        }
        if !domain.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.".contains(&b)) {
            return Err(bad_request("Domain contains illegal character"));
        }
    }
    Ok(())
}

/// The address without a display name: `Salon <hello@example.com>` is `hello@example.com`.
pub(super) fn bare_address(text: &str) -> &str {
    match (text.rfind('<'), text.rfind('>')) {
        (Some(open), Some(close)) if open < close => &text[open + 1..close],
        _ => text,
    }
    .trim()
}

/// The sender's domain must be that of the verified identity.
fn check_identity(verified: &str, region: &str, from: &str) -> Result<(), AwsError> {
    let domain = |text: &str| bare_address(text).rsplit('@').next().unwrap_or_default().to_ascii_lowercase();
    if domain(verified) == domain(from) {
        return Ok(());
    }
    Err(rejected(format!(
        "Email address is not verified. The following identities failed the check in region {}: {from}",
        region.to_ascii_uppercase()
    )))
}

impl Ses {
    /// Counts an e-mail against rate and quota.
    fn count(&self, now: Timestamp, limits: Limits) -> Result<(), AwsError> {
        let mut accepted = lock(&self.accepted);
        while accepted.front().is_some_and(|at| now.duration_since(*at) >= SignedDuration::from_hours(24)) {
            accepted.pop_front();
        }
        let second = SignedDuration::from_secs(1);
        let in_this_second = accepted.iter().rev().take_while(|at| now.duration_since(**at) < second).count();
        if in_this_second >= limits.per_second as usize {
            return Err(too_many("Maximum sending rate exceeded."));
        }
        if accepted.len() >= limits.daily_quota as usize {
            return Err(too_many("Daily message quota exceeded."));
        }
        accepted.push_back(now);
        Ok(())
    }
}
