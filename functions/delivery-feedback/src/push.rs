//! What a platform application of SNS tells of devices.
//! <https://docs.aws.amazon.com/sns/latest/dg/application-event-notifications.html>
//!
//! That page does not show the body; it is as receivers of such events have published it.

use app::take_report::AboutMessage;
use domain::channel::Channel;
use domain::feedback::Report;
use domain::message::Reason;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::news::{News, Unreadable};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Event {
    event_type: String,
    /// Of the message that could not be delivered.
    message_id: Option<String>,
    failure_type: Option<String>,
    time: Option<Timestamp>,
}

/// Failures by which the device is gone. SNS has disabled its endpoint with them, and the next push to it finds that out and takes it from
/// the card.
const GONE: [&str; 3] = ["InvalidPlatformToken", "EndpointDisabled", "EndpointNotFound"];

/// Reads an event. Of endpoints that were made, changed or deleted there is nothing to say.
pub fn read(event: Value) -> Result<Vec<News>, Unreadable> {
    let Event { event_type, message_id, failure_type, time } = serde_json::from_value(event)?;
    if event_type != "DeliveryFailure" {
        return Ok(Vec::new());
    }
    let id = message_id.ok_or(Unreadable::Part("MessageId"))?;
    let gone = failure_type.is_some_and(|failure| GONE.contains(&failure.as_str()));
    let reason = if gone { Reason::InvalidAddress } else { Reason::NotDelivered };
    Ok(vec![News::Report {
        about: AboutMessage::Called(Channel::Push, id),
        report: Report::Failed { reason, suppress: None },
        at: time.ok_or(Unreadable::Part("Time"))?,
    }])
}
