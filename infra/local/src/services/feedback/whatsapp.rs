//! What AWS End User Messaging Social tells of WhatsApp messages.
//!
//! <https://docs.aws.amazon.com/social-messaging/latest/userguide/managing-event-destination-dlrs.html>: AWS's own
//! header, and in it, as a text, the entry of Meta's webhook. The header's `messageId` is the one that
//! SendWhatsAppMessage answered; Meta's own ids begin with `wamid.`.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Event;
use crate::services::{Entry, ServicesConfig};

/// Our account at Meta, which owns the phone numbers.
const WABA: &str = "365731266123456";
/// Our phone number at Meta.
const PHONE_NUMBER_ID: &str = "321010217712345";
/// Our phone number, as Meta shows it.
const DISPLAY_NUMBER: &str = "12065550100";

/// A message from a phone.
pub(in crate::services) struct Inbound<'a> {
    /// The phone's number, with or without a plus sign.
    pub from: &'a str,
    /// Our number, as AWS names it, such as `phone-number-id-0123456789abcdef`; without it, one that is nobody's.
    pub to: Option<&'a str>,
    /// What it says; of a button, what is written on it.
    pub text: &'a str,
    /// The payload of the template's button that was pressed.
    pub button: Option<&'a str>,
    /// The message id, as SendWhatsAppMessage answered it, of the message that this replies to.
    pub reply_to: Option<&'a str>,
}

/// Meta's id of a message that SendWhatsAppMessage answered with `message_id`.
pub(in crate::services) fn wamid(message_id: &str) -> String {
    format!("wamid.{}", message_id.replace('-', "").to_uppercase())
}

/// Meta's title of an error, for those the messages meet most.
/// <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
fn title(code: u32) -> &'static str {
    match code {
        130429 => "Rate limit hit",
        130472 => "User's number is part of an experiment",
        131026 => "Message undeliverable",
        131031 => "Account has been locked",
        131047 => "Re-engagement message",
        131048 => "Spam rate limit hit",
        131049 => "Meta chose not to deliver",
        131050 => "User has stopped marketing messages from business",
        131053 => "Media upload error",
        131056 => "Pair rate limit hit",
        132000 => "Template param count mismatch",
        132001 => "Template does not exist",
        132007 => "Template format character policy violated",
        132015 => "Template is paused",
        132016 => "Template is disabled",
        _ => "Something went wrong",
    }
}

/// A status event. `reason` is Meta's error code, by default 131026.
/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status>
pub(super) fn status(
    config: &ServicesConfig,
    entry: &Entry,
    event: Event,
    reason: Option<&str>,
    at: Timestamp,
) -> String {
    let mut status = json!({
        "id": wamid(&entry.provider_id),
        "status": event.word(),
        "timestamp": at.as_second().to_string(),
        "recipient_id": entry.to.trim_start_matches('+'),
    });
    // What the sender called the message when it was handed over comes back with each status.
    if let Some(name) = entry.payload.as_ref().and_then(|sent| sent.get("biz_opaque_callback_data")) {
        status["biz_opaque_callback_data"] = name.clone();
    }
    if event == Event::Failed {
        let code = reason.and_then(|code| code.parse().ok()).unwrap_or(131_026);
        status["errors"] = json!([{
            "code": code,
            "title": title(code),
            "message": title(code),
            "error_data": { "details": format!("{}.", title(code)) },
            "href": "https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes/",
        }]);
    } else {
        status["conversation"] =
            json!({ "id": Uuid::new_v4().simple().to_string(), "origin": { "type": "utility" } });
        status["pricing"] = json!({ "billable": true, "pricing_model": "CBP", "category": "utility" });
    }
    event_json(config, entry.from.as_deref(), &entry.provider_id, json!({ "statuses": [status] }), at)
}

/// A message from a phone, a text or a pressed button of a template.
pub(super) fn inbound(config: &ServicesConfig, inbound: &Inbound<'_>, at: Timestamp) -> String {
    let number = inbound.from.trim_start_matches('+');
    let message_id = Uuid::new_v4().to_string();
    let mut message = json!({
        "from": number,
        "id": wamid(&message_id),
        "timestamp": at.as_second().to_string(),
    });
    if let Some(replied) = inbound.reply_to {
        message["context"] = json!({ "from": DISPLAY_NUMBER, "id": wamid(replied) });
    }
    match inbound.button {
        Some(payload) => {
            message["type"] = json!("button");
            message["button"] = json!({ "payload": payload, "text": inbound.text });
        }
        None => {
            message["type"] = json!("text");
            message["text"] = json!({ "body": inbound.text });
        }
    }
    let value = json!({
        "contacts": [{ "profile": { "name": "Local" }, "wa_id": number }],
        "messages": [message],
    });
    event_json(config, inbound.to, &message_id, value, at)
}

fn event_json(
    config: &ServicesConfig,
    number: Option<&str>,
    message_id: &str,
    mut value: Value,
    at: Timestamp,
) -> String {
    value["messaging_product"] = json!("whatsapp");
    value["metadata"] = json!({ "display_phone_number": DISPLAY_NUMBER, "phone_number_id": PHONE_NUMBER_ID });
    let entry = json!({ "id": WABA, "changes": [{ "value": value, "field": "messages" }] });
    let arn = |kind: &str, id: &str| {
        let ServicesConfig { region, account, .. } = config;
        format!("arn:aws:social-messaging:{region}:{account}:{kind}/{id}")
    };
    // By its id or by its ARN, as SendWhatsAppMessage takes it.
    let number = number.and_then(|number| number.rsplit('/').next()).unwrap_or("local");
    let number = number.trim_start_matches("phone-number-id-");
    json!({
        "context": {
            "MetaWabaIds": [{ "wabaId": WABA, "arn": arn("waba", "local") }],
            "MetaPhoneNumberIds": [{ "metaPhoneNumberId": PHONE_NUMBER_ID, "arn": arn("phone-number-id", number) }],
        },
        "whatsAppWebhookEntry": entry.to_string(),
        "aws_account_id": config.account,
        "message_timestamp": at.strftime("%Y-%m-%dT%H:%M:%S%.9fZ").to_string(),
        "messageId": message_id,
    })
    .to_string()
}
