//! What a platform application tells of a device that cannot be reached.

use jiff::Timestamp;
use serde_json::json;

use crate::services::text::milliseconds;
use crate::services::{Entry, sns};

/// The event `EventDeliveryFailure` of a platform application, for a permanent failure; SNS disables the endpoint with it.
/// <https://docs.aws.amazon.com/sns/latest/dg/application-event-notifications.html>
///
/// That page does not show the body; it is as receivers of such events have published it.
pub(super) fn failure(entry: &Entry, reason: Option<&str>, at: Timestamp) -> String {
    let reason = reason.unwrap_or("InvalidPlatformToken");
    let message = match reason {
        "InvalidPlatformToken" => "Platform token associated with the endpoint is not valid",
        "EndpointDisabled" => "Endpoint is disabled",
        other => other,
    };
    json!({
        "Service": "SNS",
        "EventType": "DeliveryFailure",
        "Resource": sns::application_of(&entry.to),
        "EndpointArn": entry.to,
        "MessageId": entry.provider_id,
        "DeliveryAttempts": 1,
        "FailureType": reason,
        "FailureMessage": message,
        "Time": milliseconds(at),
    })
    .to_string()
}
