//! SES event publishing: <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-examples.html>,
//! field by field in <https://docs.aws.amazon.com/ses/latest/dg/event-publishing-retrieving-sns-contents.html>.

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Event, Notice};
use crate::services::ses::bare_address;
use crate::services::text::milliseconds;
use crate::services::{Entry, ServicesConfig};

const PERMANENT: [&str; 4] = ["General", "NoEmail", "Suppressed", "OnAccountSuppressionList"];
const TRANSIENT: [&str; 6] = [
    "General",
    "MailboxFull",
    "MessageTooLarge",
    "CustomTimeoutExceeded",
    "ContentRejected",
    "AttachmentRejected",
];

/// SES's own test addresses bounce and complain; any other address takes its mail.
/// <https://docs.aws.amazon.com/ses/latest/dg/send-an-email-from-console.html#send-email-simulator>
pub(super) fn usual_events(to: &str) -> Vec<Event> {
    match bare_address(to) {
        "bounce@simulator.amazonses.com" => vec![Event::Sent, Event::Bounced],
        "complaint@simulator.amazonses.com" => vec![Event::Sent, Event::Delivered, Event::Complained],
        _ => vec![Event::Sent, Event::Delivered],
    }
}

/// An event of an e-mail for each event destination of its configuration set that takes it.
///
/// # Errors
/// SES knows no such subtype of a bounce.
pub(super) fn notices(
    config: &ServicesConfig,
    entry: &Entry,
    event: Event,
    reason: Option<&str>,
    at: Timestamp,
) -> Result<Vec<Notice>, String> {
    let (kind, member, detail) = detail(entry, event, reason, at)?;
    let message = json!({ "eventType": kind, "mail": mail(config, entry), member: detail }).to_string();
    Ok(config
        .event_destinations
        .iter()
        .filter(|to| Some(&to.configuration_set) == entry.configuration_set.as_ref())
        .filter(|to| to.types.iter().any(|wanted| *wanted == kind.to_lowercase()))
        .map(|to| Notice::Topic { arn: to.topic_arn.clone(), message: message.clone() })
        .collect())
}

/// The event's type, the name of its own object, and that object.
fn detail(
    entry: &Entry,
    event: Event,
    reason: Option<&str>,
    at: Timestamp,
) -> Result<(&'static str, &'static str, Value), String> {
    let recipients: Vec<&str> = recipients(entry).collect();
    let feedback_id = format!("0100{:012x}-{}-000000", at.as_millisecond(), Uuid::new_v4());
    let timestamp = milliseconds(at);
    Ok(match event {
        Event::Delivered => (
            "Delivery",
            "delivery",
            json!({
                "timestamp": timestamp,
                "processingTimeMillis": at.duration_since(entry.at).as_millis().max(0) as u64,
                "recipients": recipients,
                "smtpResponse": "250 2.6.0 Message received",
                "reportingMTA": "a8-70.smtp-out.amazonses.com",
            }),
        ),
        Event::Bounced | Event::SoftBounced => {
            let (kind, known): (&str, &[&str]) = match event {
                Event::Bounced => ("Permanent", &PERMANENT),
                _ => ("Transient", &TRANSIENT),
            };
            let subtype = reason.unwrap_or("General");
            if !known.contains(&subtype) {
                return Err(format!("a {kind} bounce is {}, not {subtype:?}", known.join(", ")));
            }
            let (status, diagnostic) = diagnostic(kind, subtype);
            let bounced: Vec<Value> = recipients
                .iter()
                .map(|address| {
                    json!({
                        "emailAddress": address,
                        "action": "failed",
                        "status": status,
                        "diagnosticCode": diagnostic,
                    })
                })
                .collect();
            (
                "Bounce",
                "bounce",
                json!({
                    "bounceType": kind,
                    "bounceSubType": subtype,
                    "bouncedRecipients": bounced,
                    "timestamp": timestamp,
                    "feedbackId": feedback_id,
                    "reportingMTA": "dsn; a8-70.smtp-out.amazonses.com",
                }),
            )
        }
        Event::Complained => (
            "Complaint",
            "complaint",
            json!({
                "complainedRecipients": recipients.iter().map(|address| json!({ "emailAddress": address })).collect::<Vec<_>>(),
                "timestamp": timestamp,
                "feedbackId": feedback_id,
                "complaintSubType": null,
                "userAgent": "Amazon SES Mailbox Simulator",
                "complaintFeedbackType": reason.unwrap_or("abuse"),
                "arrivalDate": milliseconds(entry.at),
            }),
        ),
        Event::Rejected => ("Reject", "reject", json!({ "reason": reason.unwrap_or("Bad content") })),
        Event::Opened => (
            "Open",
            "open",
            json!({ "ipAddress": "192.0.2.1", "timestamp": timestamp, "userAgent": "Mozilla/5.0" }),
        ),
        _ => ("Send", "send", json!({})),
    })
}

fn diagnostic(kind: &str, subtype: &str) -> (&'static str, &'static str) {
    match (kind, subtype) {
        ("Permanent", "Suppressed" | "OnAccountSuppressionList") => (
            "5.1.1",
            "Amazon SES did not send the message to this address because it is on the suppression list",
        ),
        ("Permanent", _) => ("5.1.1", "smtp; 550 5.1.1 user unknown"),
        (_, "MailboxFull") => ("4.2.2", "smtp; 452 4.2.2 mailbox full"),
        (_, "MessageTooLarge") => ("5.3.4", "smtp; 552 5.3.4 message too large"),
        (_, "ContentRejected" | "AttachmentRejected") => {
            ("5.6.0", "smtp; 554 5.6.0 message content rejected")
        }
        _ => ("4.4.7", "smtp; 421 4.4.7 message delayed"),
    }
}

/// The `mail` object, the same in every event of a message.
fn mail(config: &ServicesConfig, entry: &Entry) -> Value {
    let from = entry.from.as_deref().unwrap_or_default();
    let address = bare_address(from);
    let domain = address.rsplit('@').next().unwrap_or_default();
    let header = |name: &str, value: &str| json!({ "name": name, "value": value });
    let mut headers = vec![header("From", from), header("To", &entry.to)];
    headers.extend(entry.subject.iter().map(|subject| header("Subject", subject)));
    headers.push(header("MIME-Version", "1.0"));
    headers.extend(
        entry.headers.iter().filter(|one| one.name != "Bcc").map(|one| header(&one.name, &one.value)),
    );
    let mut tags = json!({
        "ses:source-ip": ["127.0.0.1"],
        "ses:from-domain": [domain],
        "ses:caller-identity": ["local"],
        "ses:outgoing-ip": ["192.0.2.0"],
    });
    if let Some(set) = &entry.configuration_set {
        tags["ses:configuration-set"] = json!([set]);
    }
    for (name, value) in &entry.tags {
        tags[name] = json!([value]);
    }
    json!({
        "timestamp": milliseconds(entry.at),
        "source": from,
        "sourceArn": format!("arn:aws:ses:{}:{}:identity/{domain}", config.region, config.account),
        "sendingAccountId": config.account,
        "messageId": entry.provider_id,
        "destination": recipients(entry).collect::<Vec<_>>(),
        "headersTruncated": false,
        "headers": headers,
        "commonHeaders": {
            "from": [from],
            "to": entry.to.split(", ").collect::<Vec<_>>(),
            "messageId": entry.provider_id,
            "subject": entry.subject,
        },
        "tags": tags,
    })
}

fn recipients(entry: &Entry) -> impl Iterator<Item = &str> {
    let further = entry.headers.iter().filter(|header| header.name == "Cc" || header.name == "Bcc");
    [entry.to.as_str()]
        .into_iter()
        .chain(further.map(|header| header.value.as_str()))
        .flat_map(|list| list.split(", "))
        .filter(|each| !each.is_empty())
        .map(bare_address)
}
