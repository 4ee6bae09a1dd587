//! Queues as whoever runs the system handles them: found by the name of their stack, looked into, and emptied by hand.

use std::collections::BTreeMap;

use app::ports::PortError;
use aws_sdk_sqs::Client;
use aws_sdk_sqs::types::MessageSystemAttributeName;
use aws_types::SdkConfig;
use jiff::Timestamp;

use crate::error::port_error;
use crate::stack::logical_id;

/// How long what was taken stays hidden from others, in seconds: as long as whoever took it may need.
const HIDDEN: i32 = 600;

/// How long an empty queue is listened to, in seconds. With a wait all of SQS's servers are asked, and not some of them.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>
const WAIT: i32 = 1;

/// The most letters that are taken at a time.
const LETTERS: usize = 10_000;

/// The URLs of a stack's queues by their logical ids.
///
/// # Errors
/// SQS does not answer, or two queues have the same logical id.
pub async fn queues_of(config: &SdkConfig, stack: &str) -> Result<BTreeMap<String, String>, PortError> {
    let operation = "finding queues";
    let mut found = BTreeMap::new();
    let mut pages = Client::new(config)
        .list_queues()
        .queue_name_prefix(format!("{stack}-"))
        .max_results(1000)
        .into_paginator()
        .send();
    while let Some(page) = pages.next().await {
        let page = page.map_err(|error| port_error(operation, error))?;
        for url in page.queue_urls.unwrap_or_default() {
            let name = url.rsplit('/').next().unwrap_or_default();
            let Some(id) = logical_id(stack, name) else { continue };
            if let Some(other) = found.insert(id.to_owned(), url.clone()) {
                let source = format!("{other} and {url} are both {id} of {stack}").into();
                return Err(PortError::Permanent { operation, source });
            }
        }
    }
    Ok(found)
}

/// What lies in a queue, taken out of others' sight.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// What it says.
    pub body: String,
    /// Since when it lies in some queue (UTC).
    pub sent_at: Timestamp,
    receipt: String,
}

impl Letter {
    /// A letter as a test writes it: it lies nowhere.
    pub fn new(body: String, sent_at: Timestamp) -> Self {
        Self { body, sent_at, receipt: String::new() }
    }
}

/// One queue. Needs `sqs:ReceiveMessage`, `sqs:ChangeMessageVisibility`, `sqs:DeleteMessage` or `sqs:SendMessage` on it.
#[derive(Debug, Clone)]
pub struct LetterBox {
    client: Client,
    url: String,
}

impl LetterBox {
    /// The queue at this URL.
    pub fn new(config: &SdkConfig, url: String) -> Self {
        Self { client: Client::new(config), url }
    }

    /// Takes what lies in it, at most 10,000 letters. For ten minutes nobody else sees them.
    ///
    /// # Errors
    /// SQS does not answer.
    pub async fn take(&self) -> Result<Vec<Letter>, PortError> {
        let mut taken = Vec::new();
        while taken.len() < LETTERS {
            let received = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .max_number_of_messages(10)
                .visibility_timeout(HIDDEN)
                .wait_time_seconds(WAIT)
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
                .await
                .map_err(|error| port_error("taking letters", error))?;
            let messages = received.messages.unwrap_or_default();
            if messages.is_empty() {
                break;
            }
            taken.extend(messages.into_iter().filter_map(|message| {
                let sent_at = message.attributes.as_ref()?.get(&MessageSystemAttributeName::SentTimestamp)?;
                Some(Letter {
                    sent_at: Timestamp::from_millisecond(sent_at.parse().ok()?).ok()?,
                    body: message.body?,
                    receipt: message.receipt_handle?,
                })
            }));
        }
        Ok(taken)
    }

    /// Lets others see it again at once.
    ///
    /// # Errors
    /// SQS does not answer.
    pub async fn leave(&self, letter: &Letter) -> Result<(), PortError> {
        let shown = self
            .client
            .change_message_visibility()
            .queue_url(&self.url)
            .receipt_handle(&letter.receipt)
            .visibility_timeout(0)
            .send();
        shown.await.map(|_| ()).map_err(|error| port_error("leaving a letter", error))
    }

    /// Puts a letter in.
    ///
    /// # Errors
    /// SQS does not answer.
    pub async fn put(&self, body: &str) -> Result<(), PortError> {
        let sent = self.client.send_message().queue_url(&self.url).message_body(body).send().await;
        sent.map(|_| ()).map_err(|error| port_error("putting a letter", error))
    }

    /// Deletes a letter.
    ///
    /// # Errors
    /// SQS does not answer.
    pub async fn delete(&self, letter: &Letter) -> Result<(), PortError> {
        let deleted =
            self.client.delete_message().queue_url(&self.url).receipt_handle(&letter.receipt).send().await;
        deleted.map(|_| ()).map_err(|error| port_error("deleting a letter", error))
    }
}
