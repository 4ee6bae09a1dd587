//! AWS End User Messaging Social: SendWhatsAppMessage.
//!
//! <https://docs.aws.amazon.com/social-messaging/latest/APIReference/API_SendWhatsAppMessage.html>. What AWS does not
//! check itself it hands to Meta, whose refusals of one message come later, as a `failed` event; see
//! <https://developers.facebook.com/docs/whatsapp/cloud-api/reference/messages> for the message.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::outbox::{Button, Entry, MessageTemplate};
use super::providers::ProviderError;
use super::{AwsError, Channel, Services};

/// Greatest length of the message.
const MAX_MESSAGE_BYTES: usize = 2_048_000;

/// Routes of the service.
pub(super) fn router() -> Router<Arc<Services>> {
    Router::new().route("/v1/whatsapp/send", post(send)).fallback(|| async {
        error("ResourceNotFoundException", "The local stack knows SendWhatsAppMessage only.")
    })
}

/// An error by its code, with the status that the API reference gives it.
fn error(code: &'static str, message: impl Into<String>) -> AwsError {
    let status = match code {
        "AccessDeniedException" | "AccessDeniedByMetaException" => StatusCode::FORBIDDEN,
        "ResourceNotFoundException" => StatusCode::NOT_FOUND,
        "ThrottledRequestException" => StatusCode::TOO_MANY_REQUESTS,
        "InternalServiceException" => StatusCode::INTERNAL_SERVER_ERROR,
        "DependencyException" => StatusCode::BAD_GATEWAY,
        _ => StatusCode::BAD_REQUEST,
    };
    AwsError { status, code, message: message.into(), member: "message" }
}

/// The codes that the provider can be told to refuse with.
const CODES: [&str; 8] = [
    "AccessDeniedByMetaException",
    "AccessDeniedException",
    "DependencyException",
    "InternalServiceException",
    "InvalidParametersException",
    "ResourceNotFoundException",
    "ThrottledRequestException",
    "ValidationException",
];

fn invalid(message: impl Into<String>) -> AwsError {
    error("InvalidParametersException", message)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SendWhatsAppMessage {
    origination_phone_number_id: Option<String>,
    /// Base64.
    message: Option<String>,
    meta_api_version: Option<String>,
}

async fn send(State(services): State<Arc<Services>>, body: Bytes) -> Result<Json<Value>, AwsError> {
    let accepted = services.call_provider(Channel::Whatsapp, || accept(&services, &body)).await;
    accepted.map(|message_id| Json(json!({ "messageId": message_id }))).map_err(|e| match e {
        ProviderError::Refused(refused) => refused,
        ProviderError::Throttled => error("ThrottledRequestException", "Rate exceeded"),
        ProviderError::Failed => error("InternalServiceException", "An internal error has occurred."),
        ProviderError::Told(code) => {
            let code = CODES.into_iter().find(|known| *known == code).unwrap_or("InvalidParametersException");
            error(code, "The provider was told to refuse.")
        }
    })
}

/// Checks a message and puts it into the outbox; answers its message id.
fn accept(services: &Services, body: &Bytes) -> Result<String, AwsError> {
    let validation = |message: String| error("ValidationException", message);
    let request: SendWhatsAppMessage = serde_json::from_slice(body).map_err(|e| validation(e.to_string()))?;
    let phone = request.origination_phone_number_id.unwrap_or_default();
    // The reference's pattern: an id, or an ARN that ends in one.
    if phone.len() > 100 || !(phone.starts_with("phone-number-id-") || phone.contains(":phone-number-id/")) {
        return Err(validation(format!("originationPhoneNumberId {phone:?} is not of its pattern")));
    }
    let version = request.meta_api_version.unwrap_or_default();
    if !version.starts_with('v') || !version[1..].starts_with(|c: char| c.is_ascii_digit()) {
        return Err(validation(format!("metaApiVersion {version:?} is not of the form v20.0")));
    }
    let blob = request.message.unwrap_or_default();
    let bytes = BASE64_STANDARD.decode(&blob).map_err(|_| validation("message is not base64".to_owned()))?;
    if bytes.is_empty() || bytes.len() > MAX_MESSAGE_BYTES {
        return Err(validation(format!("message has {} bytes, not 1 to {MAX_MESSAGE_BYTES}", bytes.len())));
    }
    let message: Value =
        serde_json::from_slice(&bytes).map_err(|_| invalid("The message is not a JSON object."))?;
    let entry = entry(services, &message, phone)?;
    let message_id = entry.provider_id.clone();
    services.leave(entry);
    Ok(message_id)
}

/// A readable message of Meta's JSON.
fn entry(services: &Services, message: &Value, phone: String) -> Result<Entry, AwsError> {
    let text = |path: &str| message.pointer(path).and_then(Value::as_str);
    if text("/messaging_product") != Some("whatsapp") {
        return Err(invalid("messaging_product must be whatsapp"));
    }
    let to = text("/to").filter(|to| is_number(to)).ok_or_else(|| invalid("to is not a phone number"))?;
    let message_id = Uuid::new_v4().to_string();
    let mut entry = Entry::new(services.clock.now(), Channel::Whatsapp, to.to_owned(), message_id);
    entry.from = Some(phone);
    entry.payload = Some(message.clone());
    match text("/type").unwrap_or("text") {
        "template" => {
            let name = text("/template/name").filter(|name| !name.is_empty());
            let language = text("/template/language/code").filter(|code| !code.is_empty());
            let (Some(name), Some(language)) = (name, language) else {
                return Err(invalid("template needs name and language.code"));
            };
            let components = message.pointer("/template/components").and_then(Value::as_array);
            let components = components.map(Vec::as_slice).unwrap_or_default();
            let of = |kind: &'static str| components.iter().filter(move |one| one["type"] == kind);
            let parameters: Vec<String> = of("header").chain(of("body")).flat_map(parameters).collect();
            entry.text = Some(parameters.join("\n")).filter(|text| !text.is_empty());
            entry.buttons = of("button")
                .map(|button| {
                    let data = parameters_of(button).next().unwrap_or_default();
                    let index = button["index"]
                        .as_str()
                        .map(str::to_owned)
                        .unwrap_or_else(|| button["index"].to_string());
                    match button["sub_type"].as_str() {
                        Some("quick_reply") => {
                            Button { text: format!("button {index}"), data: Some(data), url: None }
                        }
                        _ => Button { text: format!("button {index}"), data: None, url: Some(data) },
                    }
                })
                .collect();
            entry.template =
                Some(MessageTemplate { name: name.to_owned(), language: language.to_owned(), parameters });
        }
        "text" => {
            let body = text("/text/body").filter(|body| !body.is_empty());
            let body = body.ok_or_else(|| invalid("text.body is empty"))?;
            if body.chars().count() > 4096 {
                return Err(invalid("text.body is longer than 4096 characters"));
            }
            entry.text = Some(body.to_owned());
        }
        other => return Err(invalid(format!("the local stack has no messages of type {other}"))),
    }
    Ok(entry)
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit())
}

fn parameters(component: &Value) -> Vec<String> {
    parameters_of(component).collect()
}

/// The text of each parameter, or what else it holds.
fn parameters_of(component: &Value) -> impl Iterator<Item = String> {
    component["parameters"].as_array().into_iter().flatten().map(|parameter| {
        let told = ["text", "payload"].iter().find_map(|key| parameter[*key].as_str());
        told.map_or_else(|| parameter.to_string(), str::to_owned)
    })
}
