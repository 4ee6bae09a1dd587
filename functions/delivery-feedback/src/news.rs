//! What providers tell us, read: each of their formats becomes the same few things.

use app::ports::MessageRef;
use app::take_reply::Reply;
use app::take_report::AboutMessage;
use domain::feedback::Report;
use jiff::Timestamp;
use serde_json::Value;

use crate::{push, ses, sms, whatsapp};

/// What a provider tells.
#[derive(Debug, Clone, PartialEq)]
pub enum News {
    /// What became of a message.
    Report {
        /// Of which.
        about: AboutMessage,
        /// What.
        report: Report,
        /// When (UTC).
        at: Timestamp,
    },
    /// What a client answers.
    Reply(Reply),
}

impl News {
    /// A report of a message that we named when we handed it over.
    pub fn of_named(message: MessageRef, report: Report, at: Timestamp) -> Self {
        News::Report { about: AboutMessage::Named(message), report, at }
    }
}

/// Something that a provider should not have sent so.
#[derive(Debug, thiserror::Error)]
pub enum Unreadable {
    /// It is not the JSON that was expected.
    #[error("it is not the JSON that was expected")]
    Json(#[from] serde_json::Error),
    /// A part of it is no text of that kind.
    #[error("its {0} cannot be read")]
    Part(&'static str),
}

/// What SNS says once to a topic that SES is to tell of its events. <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-add-event-destination-sns.html>
const GREETING: &str = "Successfully validated SNS topic";

/// Reads what was `sent` through the queue at that time (UTC). What is none of ours is logged, and nothing.
pub fn read(body: &str, sent: Timestamp) -> Result<Vec<News>, Unreadable> {
    if body.starts_with(GREETING) {
        return Ok(Vec::new());
    }
    let event: Value = serde_json::from_str(body)?;
    let has = |field: &str| event.get(field).is_some();
    if has("eventType") && has("mail") {
        ses::read(event)
    } else if has("inboundMessageId") {
        sms::read(event, sent)
    } else if has("whatsAppWebhookEntry") {
        whatsapp::read(event)
    } else if has("EventType") && has("EndpointArn") {
        push::read(event)
    } else {
        tracing::warn!("an event of a kind that is not known is dropped");
        Ok(Vec::new())
    }
}
