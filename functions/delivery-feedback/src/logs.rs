//! What SNS tells of text messages: lines of its delivery log, which CloudWatch Logs brings.
//! <https://docs.aws.amazon.com/sns/latest/dg/sms_stats_cloudwatch.html>,
//! <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html#LambdaFunctionExample>

use std::io::Read;

use app::take_report::AboutMessage;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use domain::channel::Channel;
use domain::client::Cause;
use domain::feedback::Report;
use domain::message::Reason;
use flate2::read::GzDecoder;
use jiff::Timestamp;
use serde::Deserialize;

use crate::news::{News, Unreadable};

/// More than CloudWatch Logs packs into one event, whose packed size is at most 1 MB.
const MOST: u64 = 64 << 20;

/// An event of CloudWatch Logs.
#[derive(Debug, Deserialize)]
pub struct LogsEvent {
    awslogs: Packed,
}

#[derive(Debug, Deserialize)]
struct Packed {
    /// JSON, with gzip, in base64.
    data: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Lines {
    message_type: String,
    #[serde(default)]
    log_events: Vec<Line>,
}

/// A line of a log.
#[derive(Debug, Deserialize)]
pub struct Line {
    /// When it was written, in milliseconds since 1970.
    timestamp: i64,
    message: String,
}

/// What SNS writes of an sms.
#[derive(Deserialize)]
struct Written {
    notification: Notification,
    delivery: Delivery,
    status: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Notification {
    message_id: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Delivery {
    #[serde(default)]
    provider_response: String,
}

/// The lines of an event.
pub fn lines(event: &LogsEvent) -> Result<Vec<Line>, Unreadable> {
    let packed = STANDARD.decode(&event.awslogs.data).map_err(|_| Unreadable::Part("base64"))?;
    let mut text = Vec::new();
    GzDecoder::new(packed.as_slice())
        .take(MOST)
        .read_to_end(&mut text)
        .map_err(|_| Unreadable::Part("gzip"))?;
    let Lines { message_type, log_events } = serde_json::from_slice(&text)?;
    // CONTROL_MESSAGE asks whether anybody is there.
    Ok(if message_type == "DATA_MESSAGE" { log_events } else { Vec::new() })
}

/// Reads a line.
pub fn read(line: &Line) -> Result<Option<News>, Unreadable> {
    let Written { notification, delivery, status } = serde_json::from_str(&line.message)?;
    let report = match status.as_str() {
        "SUCCESS" => Report::Delivered,
        "FAILURE" => failure(&delivery.provider_response),
        _ => return Ok(None),
    };
    let at = Timestamp::from_millisecond(line.timestamp).map_err(|_| Unreadable::Part("timestamp"))?;
    let about = AboutMessage::Called(Channel::Sms, notification.message_id);
    Ok(Some(News::Report { about, report, at }))
}

/// What SNS says of an sms that did not arrive, by a part of it in small letters, and what that means. Whatever else it says is one time's
/// bad luck.
const FAILURES: [(&str, Reason, Option<Cause>); 8] = [
    ("opted out", Reason::AddressSuppressed, Some(Cause::Stop)),
    ("opt-out", Reason::AddressSuppressed, Some(Cause::Stop)),
    ("invalid phone number", Reason::InvalidAddress, Some(Cause::HardBounce)),
    ("phone number is invalid", Reason::InvalidAddress, Some(Cause::HardBounce)),
    ("no quota left", Reason::Quota, None),
    ("exceed max price", Reason::Quota, None),
    ("spend limit", Reason::Quota, None),
    ("message body is invalid", Reason::Refused, None),
];

fn failure(response: &str) -> Report {
    let response = response.to_lowercase();
    let found = FAILURES.iter().find(|(part, ..)| response.contains(part));
    let (reason, suppress) =
        found.map_or((Reason::NotDelivered, None), |(_, reason, suppress)| (*reason, *suppress));
    Report::Failed { reason, suppress }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::FailedEvent;

    fn unpacked(text: &str) -> Vec<Line> {
        lines(&serde_json::from_str(text).unwrap()).unwrap()
    }

    #[test]
    fn s4_lines_of_the_log_say_what_became_of_text_messages() {
        let lines = unpacked(include_str!("../tests/awslogs_sms.json"));
        let failed = |reason, suppress| Report::Failed { reason, suppress };
        let expected = [
            ("s1", Report::Delivered),
            ("s2", failed(Reason::AddressSuppressed, Some(Cause::Stop))),
            ("s3", failed(Reason::InvalidAddress, Some(Cause::HardBounce))),
            ("s4", failed(Reason::Quota, None)),
            ("s5", failed(Reason::NotDelivered, None)),
        ];
        let at = Timestamp::from_millisecond(1_795_176_034_558).unwrap();
        for ((id, report), line) in expected.iter().zip(&lines) {
            let about = AboutMessage::Called(Channel::Sms, (*id).to_owned());
            assert_eq!(read(line).unwrap(), Some(News::Report { about, report: *report, at }));
        }
        assert_eq!(lines.len(), expected.len() + 1);
        assert!(read(&lines[5]).is_err(), "the last is no JSON, and the others are read");
    }

    #[test]
    fn a_question_whether_anybody_is_there_has_no_lines() {
        assert!(unpacked(include_str!("../tests/awslogs_control.json")).is_empty());
    }

    #[test]
    fn an_event_that_comes_back_from_the_dlq_is_read_again() {
        let failed: FailedEvent =
            serde_json::from_str(include_str!("../tests/lambda_failed_awslogs.json")).unwrap();
        assert_eq!(lines(&failed.request_payload).unwrap().len(), 6);
    }
}
