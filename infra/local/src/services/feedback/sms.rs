//! What SNS tells of text messages: its delivery log, and two-way messages.

use jiff::Timestamp;
use serde_json::json;
use uuid::Uuid;

use super::{Event, LogLine, Notice};
use crate::services::{Entry, ServicesConfig};
use crate::template::{ACCOUNT, REGION};

/// A text message that SNS took and did not deliver.
pub(in crate::services) struct Refusal<'a> {
    /// The number it was for.
    pub to: &'a str,
    /// The message id that SNS answered.
    pub message_id: &'a str,
    /// `Transactional` or `Promotional`.
    pub kind: &'a str,
    /// Why, as the delivery log says it.
    pub reason: &'static str,
    /// When it was taken.
    pub at: Timestamp,
}

/// A text message from a phone.
pub(in crate::services) struct Inbound<'a> {
    /// The phone's number.
    pub from: &'a str,
    /// Our number.
    pub to: &'a str,
    /// What it says.
    pub text: &'a str,
    /// The message id of ours that it follows.
    pub previous: Option<&'a str>,
}

/// The line SNS writes of a message that it delivered or not.
pub(super) fn log_line(entry: &Entry, event: Event, reason: Option<&str>, at: Timestamp) -> Notice {
    let kind = entry.kind.as_deref().unwrap_or("Promotional");
    let failed = event == Event::Failed;
    let response = reason.unwrap_or(match failed {
        true => "Unknown error attempting to reach phone",
        false => "Message has been accepted by phone carrier",
    });
    Notice::Log(line(&entry.to, &entry.provider_id, kind, entry.at, at, failed, response))
}

/// The line SNS writes of a message it did not even try to deliver.
pub(super) fn refusal_line(refusal: &Refusal<'_>) -> LogLine {
    let Refusal { to, message_id, kind, reason, at } = refusal;
    line(to, message_id, kind, *at, *at, true, reason)
}

/// <https://docs.aws.amazon.com/sns/latest/dg/sms_stats_cloudwatch.html>, with samples in
/// <https://repost.aws/knowledge-center/monitor-sns-texts-cloudwatch>
fn line(
    to: &str,
    message_id: &str,
    kind: &str,
    sent: Timestamp,
    at: Timestamp,
    failed: bool,
    response: &str,
) -> LogLine {
    let waited = at.duration_since(sent).as_millis().max(0) as u64;
    let mut delivery = json!({
        "mnc": if failed { 0 } else { 270 },
        "destination": to,
        "priceInUSD": 0.00645,
        "smsType": kind,
        "mcc": if failed { 0 } else { 310 },
        "providerResponse": response,
        "dwellTimeMs": waited.min(600),
        "dwellTimeMsUntilDeviceAck": waited,
    });
    if !failed {
        delivery["phoneCarrier"] = json!("Local Carrier");
    }
    let group = format!("sns/{REGION}/{ACCOUNT}/DirectPublishToPhoneNumber");
    LogLine {
        group: if failed { format!("{group}/Failure") } else { group },
        line: json!({
            "notification": {
                "messageId": message_id,
                "timestamp": sent.strftime("%Y-%m-%d %H:%M:%S%.3f").to_string(),
            },
            "delivery": delivery,
            "status": if failed { "FAILURE" } else { "SUCCESS" },
        })
        .to_string(),
        at,
    }
}

/// What a topic gets: <https://docs.aws.amazon.com/sms-voice/latest/userguide/two-way-sms-payload.html>
pub(super) fn inbound(config: &ServicesConfig, message: &Inbound<'_>) -> String {
    let word = message.text.trim().to_uppercase();
    // A number's registered keyword: one of the carriers' own, or what the account has for everything else.
    let keyword = match consent(message.text) {
        Some(_) => word,
        None => format!("KEYWORD_{}", config.account),
    };
    let mut payload = json!({
        "originationNumber": message.from,
        "destinationNumber": message.to,
        "messageKeyword": keyword,
        "messageBody": message.text,
        "inboundMessageId": Uuid::new_v4(),
    });
    if let Some(previous) = message.previous {
        payload["previousPublishedMessageId"] = json!(previous);
    }
    payload.to_string()
}

/// Whether a message opts its number out (false) or in again (true) before anyone else reads it.
/// <https://docs.aws.amazon.com/sns/latest/dg/sms_manage.html#sms_manage_optout>
pub(super) fn consent(text: &str) -> Option<bool> {
    const OUT: [&str; 10] =
        ["ARRET", "CANCEL", "END", "OPT-OUT", "OPTOUT", "QUIT", "REMOVE", "STOP", "TD", "UNSUBSCRIBE"];
    let word = text.trim().to_uppercase();
    match word.as_str() {
        "START" | "UNSTOP" => Some(true),
        word => OUT.contains(&word).then_some(false),
    }
}
