//! The events: a batch of the queue, lines of a log, or a request of Telegram.

use app::error::chain;
use app::ports::{
    ClientBookings, FindClients, FindMessage, PortError, Read, SetTimer, WriteFacts, WriteLedger,
};
use app::take_reply::{Heard, take_reply};
use app::take_report::{Taken, take_report};
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use jiff::Timestamp;
use lambda_runtime::Error;
use runtime::batch::{Record, guarded};
use runtime::now;
use serde::Deserialize;
use serde_json::Value;

use crate::logs::{self, LogsEvent};
use crate::news::{self, News};
use crate::telegram;

/// What the function is called with.
#[derive(Deserialize)]
#[serde(untagged)]
pub enum Event {
    /// What SNS brings through the queue.
    Batch(SqsEvent),
    /// What CloudWatch Logs brings by itself. Lambda brings it twice more where it fails, and then to the DLQ.
    /// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
    Logs(LogsEvent),
    /// What Telegram brings through the API.
    Telegram(telegram::Request),
}

/// What such an event becomes in a DLQ, and comes back as from there. <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html>
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedEvent {
    /// What it was called with.
    pub request_payload: LogsEvent,
}

/// Some of a log's lines must come again.
#[derive(Debug, thiserror::Error)]
#[error("some lines of the log must come again")]
struct ComeAgain;

/// Takes an event in, each record of a batch and each line of a log by itself.
///
/// # Errors
/// Of a log: where a line must come again. Of a batch none: each record's failure is reported in the answer.
pub async fn handle(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings + FindClients + FindMessage),
    timers: &impl SetTimer,
    event: Event,
) -> Result<Value, Error> {
    match event {
        Event::Batch(batch) => {
            let mut response = SqsBatchResponse::default();
            // One after the other: what a client writes is taken in the order in which it comes, as far as there is one.
            for message in batch.records {
                let record = guarded(take_record(store, timers, &message)).await.unwrap_or(Record::Again);
                if record == Record::Again {
                    response.add_failure(message.message_id.unwrap_or_default());
                }
            }
            Ok(serde_json::to_value(response)?)
        }
        Event::Logs(event) => match take_lines(store, timers, &event).await {
            Record::Done => Ok(Value::Null),
            Record::Again => Err(ComeAgain.into()),
        },
        Event::Telegram(request) => {
            let answered = guarded(telegram::answer(store, &request)).await;
            Ok(answered.unwrap_or_else(|| serde_json::json!({ "statusCode": 500 })))
        }
    }
}

async fn take_record(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings + FindClients + FindMessage),
    timers: &impl SetTimer,
    message: &SqsMessage,
) -> Record {
    let body = message.body.as_deref().unwrap_or_default();
    if let Ok(FailedEvent { request_payload }) = serde_json::from_str(body) {
        return take_lines(store, timers, &request_payload).await;
    }
    match news::read(body, sent(message)) {
        Ok(news) => take_all(store, timers, news).await,
        Err(error) => {
            let id = message.message_id.as_deref().unwrap_or_default();
            tracing::error!(record.id = id, error = %chain(&error), "a record could not be read");
            Record::Again
        }
    }
}

/// When the queue got it (UTC).
fn sent(message: &SqsMessage) -> Timestamp {
    let millisecond = message.attributes.get("SentTimestamp").and_then(|text| text.parse().ok());
    millisecond.and_then(|at| Timestamp::from_millisecond(at).ok()).unwrap_or_else(now)
}

async fn take_lines(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings + FindClients + FindMessage),
    timers: &impl SetTimer,
    event: &LogsEvent,
) -> Record {
    let lines = match logs::lines(event) {
        Ok(lines) => lines,
        Err(error) => {
            tracing::error!(error = %chain(&error), "lines of a log could not be unpacked");
            return Record::Again;
        }
    };
    let mut outcome = Record::Done;
    for line in &lines {
        let record = match logs::read(line) {
            Ok(news) => {
                let taken = guarded(take_all(store, timers, news.into_iter().collect())).await;
                taken.unwrap_or(Record::Again)
            }
            Err(error) => {
                tracing::error!(error = %chain(&error), "a line of a log could not be read");
                Record::Again
            }
        };
        if record == Record::Again {
            outcome = Record::Again;
        }
    }
    outcome
}

/// Takes everything, however much of it must come again.
async fn take_all(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings + FindClients + FindMessage),
    timers: &impl SetTimer,
    news: Vec<News>,
) -> Record {
    let mut outcome = Record::Done;
    for one in news {
        match take(store, timers, &one).await {
            Ok(Record::Done) => {}
            Ok(Record::Again) => outcome = Record::Again,
            Err(error) => {
                tracing::error!(error = %chain(&error), "feedback could not be taken");
                outcome = Record::Again;
            }
        }
    }
    outcome
}

async fn take(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings + FindClients + FindMessage),
    timers: &impl SetTimer,
    news: &News,
) -> Result<Record, PortError> {
    match news {
        News::Report { about, report, at } => {
            // Boxed, as all that is deep: the compiler lays out no future of any depth.
            let taken = Box::pin(take_report(store, timers, about, *report, *at, now())).await?;
            tracing::info!(?about, ?report, ?taken, "a report");
            Ok(if taken == Taken::Again { Record::Again } else { Record::Done })
        }
        News::Reply(reply) => {
            let heard = Box::pin(take_reply(store, reply, now())).await?;
            tracing::info!(reply.id, ?heard, "a reply");
            Ok(if heard == Heard::Again { Record::Again } else { Record::Done })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case::logs(include_str!("../tests/awslogs_sms.json"), "logs")]
    #[case::telegram(include_str!("../tests/telegram_text.json"), "telegram")]
    #[case::batch(
        r#"{"Records":[{"messageId":"1","body":"{}","attributes":{},"messageAttributes":{}}]}"#,
        "batch"
    )]
    fn each_source_is_told_by_its_shape(#[case] text: &str, #[case] expected: &str) {
        let kind = match serde_json::from_str(text).unwrap() {
            Event::Batch(_) => "batch",
            Event::Logs(_) => "logs",
            Event::Telegram(_) => "telegram",
        };
        assert_eq!(kind, expected);
    }
}
