//! What AWS End User Messaging Social tells of WhatsApp messages: a header of AWS's, and in it, as a text, what WhatsApp says.
//! <https://docs.aws.amazon.com/social-messaging/latest/userguide/managing-event-destination-dlrs.html>

use app::ports::MessageRef;
use domain::feedback::Report;
use domain::message::Reason;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::news::{News, Unreadable};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    whats_app_webhook_entry: String,
}

#[derive(Deserialize)]
struct Entry {
    #[serde(default)]
    changes: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    value: Said,
}

#[derive(Deserialize)]
struct Said {
    #[serde(default)]
    statuses: Vec<Status>,
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
    }
    Ok(news)
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
