//! What SES tells of e-mails.
//! <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>

use std::collections::BTreeMap;

use app::ports::MessageRef;
use domain::client::Cause;
use domain::feedback::Report;
use domain::message::Reason;
use domain::subject::SubjectId;
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

use crate::news::{News, Unreadable};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Event {
    event_type: String,
    mail: Mail,
    bounce: Option<Bounce>,
    complaint: Option<Complaint>,
    delivery: Option<Moment>,
    open: Option<Moment>,
}

#[derive(Deserialize)]
struct Mail {
    timestamp: Timestamp,
    /// Each tag has a list of values. Ours name the message.
    #[serde(default)]
    tags: BTreeMap<String, Vec<String>>,
}

#[derive(Deserialize)]
struct Moment {
    timestamp: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Bounce {
    bounce_type: String,
    timestamp: Timestamp,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Complaint {
    timestamp: Timestamp,
    complaint_feedback_type: Option<String>,
}

/// Reads an event. Those that say nothing new of a message are nothing.
pub fn read(event: Value) -> Result<Vec<News>, Unreadable> {
    let event: Event = serde_json::from_value(event)?;
    let Some((report, at)) = reported(&event) else { return Ok(Vec::new()) };
    let Some(message) = named(&event.mail.tags)? else {
        tracing::warn!("an event of an e-mail that is not ours is dropped");
        return Ok(Vec::new());
    };
    Ok(vec![News::of_named(message, report, at)])
}

fn reported(event: &Event) -> Option<(Report, Timestamp)> {
    let failed = |reason, suppress| Report::Failed { reason, suppress };
    let sent = event.mail.timestamp;
    let moment = |moment: &Option<Moment>| moment.as_ref().map_or(sent, |moment| moment.timestamp);
    Some(match event.event_type.as_str() {
        "Delivery" => (Report::Delivered, moment(&event.delivery)),
        "Open" => (Report::Read, moment(&event.open)),
        "Bounce" => {
            let bounce = event.bounce.as_ref()?;
            let report = match bounce.bounce_type.as_str() {
                "Permanent" => failed(Reason::InvalidAddress, Some(Cause::HardBounce)),
                // Transient or Undetermined: SES has stopped trying, and the address may work another time.
                _ => failed(Reason::NotDelivered, None),
            };
            (report, bounce.timestamp)
        }
        "Complaint" => {
            let complaint = event.complaint.as_ref()?;
            // The reader took it out of the spam folder.
            if complaint.complaint_feedback_type.as_deref() == Some("not-spam") {
                return None;
            }
            (Report::Complaint, complaint.timestamp)
        }
        "Reject" => (failed(Reason::Refused, None), sent),
        // Send and DeliveryDelay say that it is still under way; Click, that it was read long ago.
        _ => return None,
    })
}

/// The message that the tags name, if they are ours.
fn named(tags: &BTreeMap<String, Vec<String>>) -> Result<Option<MessageRef>, Unreadable> {
    let tag = |name: &str| tags.get(name).and_then(|values| values.first()).map(String::as_str);
    let subject = match (tag("booking"), tag("occasion")) {
        (Some(id), None) => id.parse().map(SubjectId::Booking),
        (None, Some(id)) => id.parse().map(SubjectId::Occasion),
        _ => return Ok(None),
    };
    let (Some(business), Some(message)) = (tag("business"), tag("message")) else { return Ok(None) };
    let part = |_| Unreadable::Part("tags");
    Ok(Some(MessageRef {
        business_id: business.parse().map_err(part)?,
        subject: subject.map_err(part)?,
        message_id: message.parse().map_err(part)?,
    }))
}
