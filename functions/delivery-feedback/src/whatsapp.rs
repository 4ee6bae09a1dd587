//! What AWS End User Messaging Social tells of WhatsApp messages: a header of AWS's, and in it, as a text, what WhatsApp says.
//! <https://docs.aws.amazon.com/social-messaging/latest/userguide/managing-event-destination-dlrs.html>

use app::ports::MessageRef;
use app::take_reply::{Reply, Said, Writer};
use app::take_report::AboutMessage;
use domain::contact::Phone;
use domain::feedback::Report;
use domain::message::Reason;
use domain::messenger::WhatsappNumberId;
use domain::template::Action;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::news::{News, Unreadable};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    whats_app_webhook_entry: String,
    #[serde(default)]
    context: Context,
}

/// Whose accounts and numbers it is about, as AWS names them and as WhatsApp does.
#[derive(Default, Deserialize)]
struct Context {
    #[serde(rename = "MetaPhoneNumberIds", default)]
    numbers: Vec<Number>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Number {
    meta_phone_number_id: String,
    /// Ends in `phone-number-id/…`.
    arn: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    value: Content,
}

#[derive(Deserialize)]
struct Content {
    metadata: Option<Metadata>,
    #[serde(default)]
    statuses: Vec<Status>,
    #[serde(default)]
    messages: Vec<Message>,
}

#[derive(Deserialize)]
struct Metadata {
    phone_number_id: String,
}

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages>
#[derive(Deserialize)]
struct Message {
    /// The phone, without a `+`.
    from: String,
    id: String,
    timestamp: String,
    #[serde(rename = "type")]
    kind: String,
    text: Option<Text>,
    button: Option<Button>,
    reaction: Option<Reaction>,
}

#[derive(Deserialize)]
struct Text {
    body: String,
}

/// A button of a template. Ours carry what they do and the message they are under: `confirm:business/booking/id/message`.
#[derive(Deserialize)]
struct Button {
    payload: String,
    text: String,
}

#[derive(Deserialize)]
struct Reaction {
    emoji: Option<String>,
}

/// <https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status>
#[derive(Deserialize)]
struct Status {
    status: String,
    timestamp: String,
    /// What we named the message when we handed it over.
    biz_opaque_callback_data: Option<String>,
    #[serde(default)]
    errors: Vec<StatusError>,
}

#[derive(Deserialize)]
struct StatusError {
    code: u32,
}

/// Reads an event.
pub fn read(event: Value) -> Result<Vec<News>, Unreadable> {
    let event: Event = serde_json::from_value(event)?;
    let entry: Entry = serde_json::from_str(&event.whats_app_webhook_entry)?;
    let mut news = Vec::new();
    for Change { value } in entry.changes {
        for status in value.statuses {
            news.extend(reported(status)?);
        }
        let to = value.metadata.and_then(|metadata| number(&event.context, &metadata.phone_number_id));
        for message in value.messages {
            news.extend(replied(message, to.as_ref())?.map(News::Reply));
        }
    }
    Ok(news)
}

/// The number of ours that WhatsApp calls so, as we call it.
fn number(context: &Context, id: &str) -> Option<WhatsappNumberId> {
    let number = context.numbers.iter().find(|number| number.meta_phone_number_id == id)?;
    let (_, ours) = number.arn.rsplit_once('/')?;
    // In an ARN it stands without what its API puts in front of it.
    let prefix = if ours.starts_with("phone-number-id-") { "" } else { "phone-number-id-" };
    format!("{prefix}{ours}").parse().ok()
}

fn replied(message: Message, to: Option<&WhatsappNumberId>) -> Result<Option<Reply>, Unreadable> {
    let Some(to) = to else {
        tracing::warn!("a WhatsApp message to a number that is not ours is dropped");
        return Ok(None);
    };
    let phone: Phone = format!("+{}", message.from).parse().map_err(|_| Unreadable::Part("from"))?;
    let at = second(&message.timestamp)?;
    let (said, about) = match (message.text, message.button, message.reaction) {
        (Some(Text { body }), ..) => (Said::Text(body), None),
        (_, Some(Button { payload, text }), _) => pressed(&payload, text),
        (.., Some(Reaction { emoji })) => match emoji {
            Some(emoji) => (Said::Text(emoji), None),
            // A reaction was taken back.
            None => return Ok(None),
        },
        // A number or a name was changed: nobody wrote.
        _ if message.kind == "system" => return Ok(None),
        _ => (Said::Text(format!("[{}]", message.kind)), None),
    };
    let about = about.map(|named| (AboutMessage::Named(named), at));
    Ok(Some(Reply { from: Writer::Whatsapp { phone, to: to.clone() }, id: message.id, said, about, at }))
}

/// A button that is none of ours says what is written on it.
fn pressed(payload: &str, label: String) -> (Said, Option<MessageRef>) {
    let parts =
        payload.split_once(':').and_then(|(action, name)| Some((Action::named(action)?, name.parse().ok()?)));
    match parts {
        Some((action, named)) => (Said::Button { action, label }, Some(named)),
        None => (Said::Text(label), None),
    }
}

fn reported(status: Status) -> Result<Option<News>, Unreadable> {
    let report = match status.status.as_str() {
        "delivered" => Report::Delivered,
        // Played, of a voice message, comes after read.
        "read" | "played" => Report::Read,
        "failed" => Report::Failed { reason: reason(&status.errors), suppress: None },
        // Sent says what the provider's answer said.
        _ => return Ok(None),
    };
    let Some(name) = status.biz_opaque_callback_data else {
        tracing::warn!("a status of a WhatsApp message that is not ours is dropped");
        return Ok(None);
    };
    let message: MessageRef = name.parse().map_err(|_| Unreadable::Part("biz_opaque_callback_data"))?;
    Ok(Some(News::of_named(message, report, second(&status.timestamp)?)))
}

/// Seconds since 1970 as a text.
fn second(text: &str) -> Result<Timestamp, Unreadable> {
    let second = text.parse().ok().and_then(|second| Timestamp::from_second(second).ok());
    second.ok_or(Unreadable::Part("timestamp"))
}

/// What WhatsApp's codes mean. <https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes>
///
/// 131026 is not among those by which a number is given up: it comes also of a phone whose WhatsApp is too old.
const REASONS: [(Reason, &[u32]); 2] = [
    // Account or number locked or not paid for, sender not registered; outside of the window; template at fault.
    (
        Reason::Refused,
        &[
            368, 130497, 131031, 131042, 131045, 131047, 132000, 132001, 132005, 132007, 132012, 132015,
            132016, 133010,
        ],
    ),
    (Reason::Throttled, &[4, 80007, 130429, 131048, 131056]),
];

fn reason(errors: &[StatusError]) -> Reason {
    let of = |code: u32| REASONS.iter().find(|(_, codes)| codes.contains(&code)).map(|(reason, _)| *reason);
    errors.iter().find_map(|error| of(error.code)).unwrap_or(Reason::NotDelivered)
}
