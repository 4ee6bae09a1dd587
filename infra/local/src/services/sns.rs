//! SNS: text messages and mobile push, by its query API.
//!
//! <https://docs.aws.amazon.com/sns/latest/api/API_Operations.html>

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use jiff::tz::TimeZone;
use quick_xml::escape::escape;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::feedback::Refusal;
use super::outbox::Entry;
use super::providers::ProviderError;
use super::{Channel, Services, lock};

const NAMESPACE: &str = "http://sns.amazonaws.com/doc/2010-03-31/";
/// Characters of one text message, all its parts together.
const MAX_SMS_CHARS: usize = 1_600;
/// Bytes of a push message, its JSON for all platforms together.
const MAX_PUSH_BYTES: usize = 262_144;

/// A device registered with a platform application.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Endpoint {
    application: String,
    token: String,
    user_data: String,
    enabled: bool,
}

/// What of SNS outlives a run of the stack.
#[derive(Clone, Default, Serialize, Deserialize)]
pub(super) struct Saved {
    endpoints: BTreeMap<String, Endpoint>,
    opted_out: BTreeSet<String>,
}

#[derive(Default)]
struct Store {
    saved: Saved,
    changed: bool,
    /// Text messages delivered in a calendar month (year and month, UTC).
    sms_in_month: ((i16, i8), u32),
}

/// Endpoints and opted-out numbers.
pub(super) struct Sns(Mutex<Store>);

impl Sns {
    pub(super) fn new(saved: Saved) -> Self {
        Self(Mutex::new(Store { saved, ..Store::default() }))
    }

    /// Whether there is something to write down since the last time.
    pub(super) fn has_changed(&self) -> bool {
        lock(&self.0).changed
    }

    /// What to write down.
    pub(super) fn state(&self) -> Saved {
        let mut store = lock(&self.0);
        store.changed = false;
        store.saved.clone()
    }

    pub(super) fn opted_out(&self) -> BTreeSet<String> {
        lock(&self.0).saved.opted_out.clone()
    }

    /// A number wants no more messages.
    pub(super) fn opt_out(&self, number: &str) {
        let mut store = lock(&self.0);
        store.changed |= store.saved.opted_out.insert(number.to_owned());
    }

    /// A number wants messages again.
    pub(super) fn opt_in(&self, number: &str) {
        let mut store = lock(&self.0);
        store.changed |= store.saved.opted_out.remove(number);
    }

    /// A device cannot be reached: its endpoint takes no more messages.
    pub(super) fn disable(&self, endpoint: &str) {
        let mut store = lock(&self.0);
        if let Some(endpoint) = store.saved.endpoints.get_mut(endpoint) {
            endpoint.enabled = false;
            store.changed = true;
        }
    }

    pub(super) fn set_opted_out(&self, numbers: BTreeSet<String>) {
        let mut store = lock(&self.0);
        store.saved.opted_out = numbers;
        store.changed = true;
    }
}

/// Routes of the service.
pub(super) fn router() -> Router<Arc<Services>> {
    Router::new().route("/", post(call))
}

/// The errors that the provider can be told to refuse with.
const CODES: [(StatusCode, &str); 8] = [
    (StatusCode::BAD_REQUEST, "EndpointDisabled"),
    (StatusCode::BAD_REQUEST, "InvalidParameter"),
    (StatusCode::BAD_REQUEST, "KMSAccessDenied"),
    (StatusCode::BAD_REQUEST, "ParameterValueInvalid"),
    (StatusCode::BAD_REQUEST, "PlatformApplicationDisabled"),
    (StatusCode::FORBIDDEN, "AuthorizationError"),
    (StatusCode::NOT_FOUND, "NotFound"),
    (StatusCode::TOO_MANY_REQUESTS, "Throttled"),
];

/// An error in SNS's XML.
#[derive(Debug)]
struct SnsError {
    status: StatusCode,
    code: &'static str,
    message: String,
}

impl SnsError {
    fn new(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into() }
    }

    fn invalid(what: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "InvalidParameter", format!("Invalid parameter: {what}"))
    }

    fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, "NotFound", message)
    }
}

impl IntoResponse for SnsError {
    fn into_response(self) -> Response {
        let at_fault = if self.status.is_server_error() { "Receiver" } else { "Sender" };
        let xml = format!(
            "<ErrorResponse xmlns=\"{NAMESPACE}\"><Error><Type>{at_fault}</Type><Code>{}</Code><Message>{}</Message></Error><RequestId>{}</RequestId></ErrorResponse>",
            self.code,
            escape(&self.message),
            Uuid::new_v4(),
        );
        (self.status, [(header::CONTENT_TYPE, "text/xml")], xml).into_response()
    }
}

/// The form fields of a request.
struct Fields(HashMap<String, String>);

impl Fields {
    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn required(&self, name: &str) -> Result<&str, SnsError> {
        self.get(name)
            .ok_or_else(|| SnsError::invalid(format_args!("{name} Reason: no value for required parameter")))
    }

    /// A map as the query protocol writes it: `<name>.entry.1.<key>`, `<name>.entry.1.<value>`, and so on.
    fn map(&self, name: &str, key: &str, value: &str) -> BTreeMap<&str, &str> {
        (1..)
            .map_while(|n| {
                let part = |part: &str| self.get(&format!("{name}.entry.{n}.{part}"));
                part(key).map(|key| (key, part(value).unwrap_or_default()))
            })
            .collect()
    }
}

async fn call(State(services): State<Arc<Services>>, body: Bytes) -> Result<Response, SnsError> {
    let fields = Fields(form_urlencoded::parse(&body).into_owned().collect());
    let action = fields.get("Action").unwrap_or_default();
    let result = match action {
        "Publish" => publish(&services, &fields).await?,
        "CreatePlatformEndpoint" => create_endpoint(&services, &fields)?,
        "GetEndpointAttributes" => get_endpoint(&services, &fields)?,
        "SetEndpointAttributes" => set_endpoint(&services, &fields)?,
        "DeleteEndpoint" => delete_endpoint(&services, &fields)?,
        "CheckIfPhoneNumberIsOptedOut" => {
            let opted_out =
                lock(&services.sns.0).saved.opted_out.contains(phone_number(&fields, "phoneNumber")?);
            element("isOptedOut", &opted_out.to_string())
        }
        "OptInPhoneNumber" => {
            services.sns.opt_in(phone_number(&fields, "phoneNumber")?);
            String::new()
        }
        other => {
            let message = format!("Could not find operation {other} in the local stack.");
            return Err(SnsError::new(StatusCode::BAD_REQUEST, "InvalidAction", message));
        }
    };
    let xml = format!(
        "<{action}Response xmlns=\"{NAMESPACE}\"><{action}Result>{result}</{action}Result><ResponseMetadata><RequestId>{}</RequestId></ResponseMetadata></{action}Response>",
        Uuid::new_v4(),
    );
    Ok(([(header::CONTENT_TYPE, "text/xml")], xml).into_response())
}

fn element(name: &str, text: &str) -> String {
    format!("<{name}>{}</{name}>", escape(text))
}

/// A phone number as SNS takes it: up to 15 digits, the plus sign may be missing.
fn phone_number<'a>(fields: &'a Fields, name: &str) -> Result<&'a str, SnsError> {
    let number = fields.required(name)?;
    let digits = number.strip_prefix('+').unwrap_or(number);
    let valid = (2..=15).contains(&digits.len())
        && !digits.starts_with('0')
        && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then_some(number).ok_or_else(|| {
        SnsError::invalid(format_args!("PhoneNumber Reason: {number} is not valid to publish to"))
    })
}

async fn publish(services: &Services, fields: &Fields) -> Result<String, SnsError> {
    let (channel, targets) =
        match (fields.get("PhoneNumber"), fields.get("TargetArn"), fields.get("TopicArn")) {
            (Some(_), None, None) => (Channel::Sms, 1),
            (None, Some(_), None) => (Channel::Push, 1),
            (None, None, Some(_)) => return Err(SnsError::not_found("Topic does not exist")),
            (None, None, None) => (Channel::Push, 0),
            _ => (Channel::Push, 2),
        };
    if targets == 0 {
        return Err(SnsError::invalid("TopicArn or TargetArn Reason: no value for required parameter"));
    }
    if targets == 2 {
        return Err(SnsError::invalid("Only one of PhoneNumber, TargetArn and TopicArn can be given"));
    }
    let sent = services
        .call_provider(channel, || match channel {
            Channel::Sms => send_sms(services, fields),
            _ => send_push(services, fields),
        })
        .await;
    sent.map(|message_id| element("MessageId", &message_id)).map_err(|e| match e {
        ProviderError::Refused(refused) => refused,
        ProviderError::Throttled => SnsError::new(StatusCode::BAD_REQUEST, "Throttling", "Rate exceeded"),
        ProviderError::Told(code) => {
            let (status, code) = CODES
                .into_iter()
                .find(|(_, known)| *known == code)
                .unwrap_or((StatusCode::BAD_REQUEST, "InvalidParameter"));
            SnsError::new(status, code, "The provider was told to refuse.")
        }
        ProviderError::Failed => SnsError::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "InternalFailure",
            "The request processing has failed because of an unknown error, exception or failure.",
        ),
    })
}

/// The message's text or, with `MessageStructure=json`, its texts by protocol.
fn message_by_protocol(fields: &Fields) -> Result<BTreeMap<String, String>, SnsError> {
    let message = fields
        .get("Message")
        .filter(|text| !text.is_empty())
        .ok_or_else(|| SnsError::invalid("Empty message"))?;
    match fields.get("MessageStructure") {
        None => Ok(BTreeMap::from([("default".to_owned(), message.to_owned())])),
        Some("json") => {
            let Ok(Value::Object(entries)) = serde_json::from_str(message) else {
                return Err(SnsError::invalid("Message Structure - JSON message body failed to parse"));
            };
            let texts: BTreeMap<String, String> = entries
                .into_iter()
                .filter_map(|(key, value)| Some((key, value.as_str()?.to_owned())))
                .collect();
            if !texts.contains_key("default") {
                return Err(SnsError::invalid("Message Structure - No default entry in JSON message body"));
            }
            Ok(texts)
        }
        Some(_) => Err(SnsError::invalid("MessageStructure Reason: must be json")),
    }
}

fn send_sms(services: &Services, fields: &Fields) -> Result<String, SnsError> {
    let number = phone_number(fields, "PhoneNumber")?;
    let mut texts = message_by_protocol(fields)?;
    let text = texts.remove("sms").or_else(|| texts.remove("default")).unwrap_or_default();
    if text.chars().count() > MAX_SMS_CHARS {
        return Err(SnsError::invalid("Message too long"));
    }
    let attributes = fields.map("MessageAttributes", "Name", "Value.StringValue");
    if let Some(kind) =
        attributes.get("AWS.SNS.SMS.SMSType").filter(|kind| !["Transactional", "Promotional"].contains(kind))
    {
        return Err(SnsError::invalid(format_args!(
            "SMSType Reason: {kind} is neither Transactional nor Promotional"
        )));
    }
    let now = services.clock.now();
    let message_id = Uuid::new_v4().to_string();
    // AWS takes a message to an opted-out number, and beyond the spend limit, and tells only its delivery log
    // that it was not delivered.
    let kind = attributes.get("AWS.SNS.SMS.SMSType").copied().unwrap_or("Promotional");
    let mut store = lock(&services.sns.0);
    let date = now.to_zoned(TimeZone::UTC).date();
    let month = (date.year(), date.month());
    if store.sms_in_month.0 != month {
        store.sms_in_month = (month, 0);
    }
    let over_limit = services.providers.limits().per_month.is_some_and(|limit| store.sms_in_month.1 >= limit);
    let refused = match () {
        () if store.saved.opted_out.contains(number) => Some("Phone number is opted out"),
        () if over_limit => Some("No quota left for account"),
        () => None,
    };
    if let Some(reason) = refused {
        drop(store);
        services.log_refusal(&Refusal { to: number, message_id: &message_id, kind, reason, at: now });
        return Ok(message_id);
    }
    store.sms_in_month.1 += 1;
    drop(store);
    let mut entry = Entry::new(now, Channel::Sms, number.to_owned(), message_id.clone());
    entry.from = attributes.get("AWS.SNS.SMS.SenderID").map(|&sender| sender.to_owned());
    entry.kind = Some(kind.to_owned());
    entry.text = Some(text);
    services.leave(entry);
    Ok(message_id)
}

fn send_push(services: &Services, fields: &Fields) -> Result<String, SnsError> {
    let arn = fields.required("TargetArn")?;
    let texts = message_by_protocol(fields)?;
    if fields.get("Message").is_some_and(|message| message.len() > MAX_PUSH_BYTES) {
        return Err(SnsError::invalid("Message too long"));
    }
    let store = lock(&services.sns.0);
    let endpoint = store.saved.endpoints.get(arn).ok_or_else(|| {
        SnsError::invalid("TargetArn Reason: No endpoint found for the target arn specified")
    })?;
    if !endpoint.enabled {
        return Err(SnsError::new(StatusCode::BAD_REQUEST, "EndpointDisabled", "Endpoint is disabled"));
    }
    let platform = platform_of(&endpoint.application);
    let message_id = Uuid::new_v4().to_string();
    let mut entry = Entry::new(services.clock.now(), Channel::Push, arn.to_owned(), message_id.clone());
    match texts.get(platform) {
        Some(json) => {
            let payload: Value = serde_json::from_str(json).map_err(|_| {
                SnsError::invalid(format_args!(
                    "Message Reason: Invalid notification for protocol {platform}: Notification is malformed"
                ))
            })?;
            (entry.subject, entry.text) = title_and_body(&payload);
            entry.payload = Some(payload);
        }
        None => {
            entry.text = texts.get("default").cloned();
            entry.payload = entry.text.clone().map(Value::String);
        }
    }
    entry.platform = Some(platform.to_owned());
    entry.token = Some(endpoint.token.clone());
    drop(store);
    services.leave(entry);
    Ok(message_id)
}

/// What the device shows, from APNs's or FCM's JSON (FCM's both as SNS takes it, legacy and v1).
fn title_and_body(payload: &Value) -> (Option<String>, Option<String>) {
    let alerts = ["/aps/alert", "/notification", "/fcmV1Message/message/notification", "/data"];
    let Some(alert) = alerts.iter().find_map(|path| payload.pointer(path)) else {
        return (None, None);
    };
    let text = |key: &str| alert.get(key).and_then(Value::as_str).map(str::to_owned);
    match alert {
        Value::String(body) => (None, Some(body.clone())),
        _ => (text("title"), text("body").or_else(|| text("message"))),
    }
}

/// `APNS` of `arn:aws:sns:us-east-1:000000000000:app/APNS/local`.
fn platform_of(application: &str) -> &str {
    application.split('/').nth(1).unwrap_or_default()
}

/// `arn:…:app/APNS/local` of `arn:…:endpoint/APNS/local/<id>`.
pub(super) fn application_of(endpoint: &str) -> String {
    let application = endpoint.rsplit_once('/').map_or(endpoint, |(application, _)| application);
    application.replacen(":endpoint/", ":app/", 1)
}

fn create_endpoint(services: &Services, fields: &Fields) -> Result<String, SnsError> {
    let application = fields.required("PlatformApplicationArn")?;
    let token = fields.required("Token")?;
    if !services.config.platform_applications.iter().any(|known| known == application) {
        return Err(SnsError::not_found("PlatformApplication does not exist"));
    }
    if token.is_empty() {
        return Err(SnsError::invalid("Token Reason: cannot be empty"));
    }
    let attributes = fields.map("Attributes", "key", "value");
    let given_enabled = attributes.get("Enabled").map(|enabled| is_true(enabled));
    let given_data = fields.get("CustomUserData").or_else(|| attributes.get("CustomUserData").copied());
    let mut store = lock(&services.sns.0);
    let existing =
        store.saved.endpoints.iter().find(|(_, e)| e.application == application && e.token == token);
    if let Some((arn, endpoint)) = existing {
        let same = given_enabled.is_none_or(|enabled| enabled == endpoint.enabled)
            && given_data.is_none_or(|data| data == endpoint.user_data);
        return if same {
            Ok(element("EndpointArn", arn))
        } else {
            Err(SnsError::invalid(format_args!(
                "Token Reason: Endpoint {arn} already exists with the same Token, but different attributes."
            )))
        };
    }
    let arn = format!("{}/{}", application.replacen(":app/", ":endpoint/", 1), Uuid::new_v4());
    let answer = element("EndpointArn", &arn);
    let endpoint = Endpoint {
        application: application.to_owned(),
        token: token.to_owned(),
        user_data: given_data.unwrap_or_default().to_owned(),
        enabled: given_enabled.unwrap_or(true),
    };
    store.saved.endpoints.insert(arn, endpoint);
    store.changed = true;
    Ok(answer)
}

fn get_endpoint(services: &Services, fields: &Fields) -> Result<String, SnsError> {
    let store = lock(&services.sns.0);
    let endpoint = store
        .saved
        .endpoints
        .get(fields.required("EndpointArn")?)
        .ok_or_else(|| SnsError::not_found("Endpoint does not exist"))?;
    let enabled = endpoint.enabled.to_string();
    let mut attributes = vec![("Enabled", enabled.as_str()), ("Token", &endpoint.token)];
    if !endpoint.user_data.is_empty() {
        attributes.push(("CustomUserData", &endpoint.user_data));
    }
    let entries: String = attributes
        .into_iter()
        .map(|(key, value)| format!("<entry>{}{}</entry>", element("key", key), element("value", value)))
        .collect();
    Ok(format!("<Attributes>{entries}</Attributes>"))
}

fn set_endpoint(services: &Services, fields: &Fields) -> Result<String, SnsError> {
    let arn = fields.required("EndpointArn")?;
    let mut store = lock(&services.sns.0);
    let endpoint =
        store.saved.endpoints.get_mut(arn).ok_or_else(|| SnsError::not_found("Endpoint does not exist"))?;
    for (key, value) in fields.map("Attributes", "key", "value") {
        match key {
            "Enabled" => endpoint.enabled = is_true(value),
            "Token" => value.clone_into(&mut endpoint.token),
            "CustomUserData" => value.clone_into(&mut endpoint.user_data),
            _ => {
                return Err(SnsError::invalid(format_args!(
                    "Attributes Reason: Invalid attribute name: {key}"
                )));
            }
        }
    }
    store.changed = true;
    Ok(String::new())
}

/// Deletes an endpoint; one that does not exist is as good as deleted.
fn delete_endpoint(services: &Services, fields: &Fields) -> Result<String, SnsError> {
    let mut store = lock(&services.sns.0);
    store.saved.endpoints.remove(fields.required("EndpointArn")?);
    store.changed = true;
    Ok(String::new())
}

fn is_true(text: &str) -> bool {
    text.eq_ignore_ascii_case("true")
}
