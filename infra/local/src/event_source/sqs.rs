//! SQS event source mappings
//! (<https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html>).

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::{
    DeleteMessageBatchRequestEntry, Message, MessageAttributeValue, MessageSystemAttributeName,
};
use axum::body::Bytes;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use serde_json::{Map, Value, json};
use tokio::sync::Semaphore;

use crate::activity::{IDLE_POLL, Signal};
use crate::clock::Clock;
use crate::error::chain;
use crate::event_source::LastBatches;
use crate::event_source::batch_response::failed_items;
use crate::event_source::visibility::{Failed, Visibility};
use crate::sandbox::{Function, Outcome};
use crate::template::{Queue, QueueMapping, REGION};

/// Takes the messages of one queue to one function.
#[derive(Debug)]
pub struct QueuePoller {
    /// The queues' client.
    pub sqs: Client,
    /// The function.
    pub function: Arc<Function>,
    /// How batches are made.
    pub mapping: QueueMapping,
    /// The queue.
    pub queue: Queue,
    /// The queue's URL.
    pub url: String,
    /// Who wakes this poller.
    pub signal: Arc<Signal>,
    /// What is hidden.
    pub visibility: Arc<Visibility>,
    /// For delivering a batch again.
    pub last: Arc<LastBatches>,
    /// The stack's time.
    pub clock: Arc<Clock>,
}

impl QueuePoller {
    /// Polls for ever.
    pub async fn run(self: Arc<Self>) {
        let permits = Arc::new(Semaphore::new(self.mapping.max_concurrency));
        loop {
            // The semaphore is never closed.
            let Ok(permit) = Arc::clone(&permits).acquire_owned().await else { return };
            let asked = self.signal.looking();
            let messages = match self.receive().await {
                Ok(messages) => messages,
                Err(problem) => {
                    tracing::warn!(queue = self.queue.name, problem, "cannot receive");
                    drop(permit);
                    tokio::time::sleep(Duration::from_millis(500)).await;
                    continue;
                }
            };
            if messages.is_empty() {
                drop(permit);
                if permits.available_permits() == self.mapping.max_concurrency {
                    self.signal.found_nothing(asked);
                }
                self.signal.rest(IDLE_POLL).await;
                continue;
            }
            let poller = Arc::clone(&self);
            tokio::spawn(async move {
                poller.deliver(messages).await;
                drop(permit);
                poller.signal.wake();
            });
        }
    }

    async fn receive(&self) -> Result<Vec<Message>, String> {
        let received = self
            .sqs
            .receive_message()
            .queue_url(&self.url)
            .max_number_of_messages(i32::try_from(self.mapping.batch_size).unwrap_or(10))
            .message_system_attribute_names(MessageSystemAttributeName::All)
            .message_attribute_names("All")
            .send()
            .await
            .map_err(|error| chain(&error))?;
        Ok(received.messages.unwrap_or_default())
    }

    async fn deliver(&self, messages: Vec<Message>) {
        let (gone_ahead, messages): (Vec<_>, Vec<_>) = messages
            .into_iter()
            .partition(|message| self.visibility.received(message.message_id().unwrap_or_default()));
        self.delete(&gone_ahead).await;
        if messages.is_empty() {
            return;
        }
        let received = Instant::now();
        let event = Bytes::from(event(&messages, &self.queue.arn, &self.clock).to_string());
        self.last.remember(&self.queue.logical_id, &self.function, &event);
        let invocation = self.function.invoke(event).await;
        let failed = self.failed(&invocation.outcome, &messages);
        let (failed, done): (Vec<_>, Vec<_>) =
            messages.into_iter().enumerate().partition(|(index, _)| failed.contains(index));
        let elapsed = i64::try_from(received.elapsed().as_secs()).unwrap_or(i64::MAX);
        let hidden_for = i64::from(self.queue.visibility_timeout).saturating_sub(elapsed);
        let now = self.clock.wall();
        let locked_until = match invocation.outcome {
            Outcome::Crash(_) => now.saturating_add(self.function.spec.timeout).unwrap_or(now),
            _ => now,
        };
        for (_, message) in failed {
            let hidden = Failed {
                queue: self.queue.name.clone(),
                url: self.url.clone(),
                receipt: message.receipt_handle.unwrap_or_default(),
                locked_until,
            };
            let id = message.message_id.unwrap_or_default();
            self.visibility.failed(&id, hidden, hidden_for);
        }
        let done: Vec<Message> = done.into_iter().map(|(_, message)| message).collect();
        self.delete(&done).await;
    }

    /// The positions of the messages that stay in the queue.
    fn failed(&self, outcome: &Outcome, messages: &[Message]) -> Vec<usize> {
        let all = || (0..messages.len()).collect();
        match outcome {
            Outcome::Ok(answer) if self.mapping.report_failures => {
                let ids: Vec<&str> =
                    messages.iter().map(|message| message.message_id().unwrap_or_default()).collect();
                failed_items(answer, &ids).unwrap_or_else(|_| all())
            }
            Outcome::Ok(_) => Vec::new(),
            _ => all(),
        }
    }

    async fn delete(&self, messages: &[Message]) {
        if messages.is_empty() {
            return;
        }
        let entries: Result<Vec<_>, _> = messages
            .iter()
            .enumerate()
            .map(|(index, message)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
                    .receipt_handle(message.receipt_handle().unwrap_or_default())
                    .build()
            })
            .collect();
        let Ok(entries) = entries else { return };
        let deleted =
            self.sqs.delete_message_batch().queue_url(&self.url).set_entries(Some(entries)).send().await;
        if let Err(error) = deleted {
            // They come back after their timeout, as on AWS.
            tracing::warn!(
                queue = self.queue.name,
                problem = chain(&error),
                "cannot delete handled messages"
            );
        }
    }
}

/// The event as Lambda makes it: <https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event>.
fn event(messages: &[Message], queue_arn: &str, clock: &Clock) -> Value {
    let records: Vec<Value> = messages
        .iter()
        .map(|message| {
            let mut record = json!({
                "messageId": message.message_id,
                "receiptHandle": message.receipt_handle,
                "body": message.body,
                "attributes": attributes(message, clock),
                "messageAttributes": message_attributes(message.message_attributes.as_ref()),
                "md5OfBody": message.md5_of_body,
                "eventSource": "aws:sqs",
                "eventSourceARN": queue_arn,
                "awsRegion": REGION,
            });
            if let (Some(md5), Some(fields)) = (&message.md5_of_message_attributes, record.as_object_mut()) {
                fields.insert("md5OfMessageAttributes".to_owned(), json!(md5));
            }
            record
        })
        .collect();
    json!({ "Records": records })
}

/// The system attributes, the times among them in the stack's time.
fn attributes(message: &Message, clock: &Clock) -> Map<String, Value> {
    let moved = |value: &str| {
        let wall = Timestamp::from_millisecond(value.parse().ok()?).ok()?;
        Some(clock.at(wall).as_millisecond().to_string())
    };
    message
        .attributes
        .iter()
        .flatten()
        .map(|(name, value)| {
            let value = match name.as_str() {
                "SentTimestamp" | "ApproximateFirstReceiveTimestamp" => {
                    moved(value).unwrap_or_else(|| value.clone())
                }
                _ => value.clone(),
            };
            (name.as_str().to_owned(), Value::String(value))
        })
        .collect()
}

fn message_attributes(attributes: Option<&HashMap<String, MessageAttributeValue>>) -> Map<String, Value> {
    attributes
        .into_iter()
        .flatten()
        .map(|(name, attribute)| {
            let mut shown = json!({
                "stringListValues": [],
                "binaryListValues": [],
                "dataType": attribute.data_type,
            });
            if let Some(fields) = shown.as_object_mut() {
                if let Some(text) = &attribute.string_value {
                    fields.insert("stringValue".to_owned(), json!(text));
                }
                if let Some(bytes) = &attribute.binary_value {
                    fields.insert("binaryValue".to_owned(), json!(STANDARD.encode(bytes)));
                }
            }
            (name.clone(), shown)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_event_is_shaped_as_lambda_shapes_it() {
        let message = Message::builder()
            .message_id("m-1")
            .receipt_handle("r-1")
            .body("{\"a\":1}")
            .md5_of_body("d41d")
            .attributes(MessageSystemAttributeName::ApproximateReceiveCount, "2")
            .attributes(MessageSystemAttributeName::SentTimestamp, "1545082649183")
            .message_attributes(
                "trace",
                MessageAttributeValue::builder().data_type("String").string_value("t").build().unwrap(),
            )
            .build();
        let event = event(&[message], "arn:aws:sqs:us-east-1:000000000000:q", &Clock::default());
        assert_eq!(
            event,
            json!({"Records": [{
                "messageId": "m-1",
                "receiptHandle": "r-1",
                "body": "{\"a\":1}",
                "attributes": {"ApproximateReceiveCount": "2", "SentTimestamp": "1545082649183"},
                "messageAttributes": {"trace": {
                    "stringValue": "t", "stringListValues": [], "binaryListValues": [], "dataType": "String"
                }},
                "md5OfBody": "d41d",
                "eventSource": "aws:sqs",
                "eventSourceARN": "arn:aws:sqs:us-east-1:000000000000:q",
                "awsRegion": "us-east-1",
            }]})
        );
    }

    #[test]
    fn times_in_the_event_are_the_stack_s() {
        let clock = Clock::default();
        clock.advance_to(clock.now() + jiff::SignedDuration::from_hours(24));
        let message =
            Message::builder().attributes(MessageSystemAttributeName::SentTimestamp, "1000").build();
        let sent: i64 = attributes(&message, &clock)["SentTimestamp"].as_str().unwrap().parse().unwrap();
        assert!((sent - 1000 - 24 * 3_600_000).abs() < 100, "{sent}");
    }
}
