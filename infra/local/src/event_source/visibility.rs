//! Queue messages nobody can receive yet: hidden by a failed delivery, or sent with a delay.
//!
//! The queues count real seconds. The time machine moves on in the stack's time, so what ends early for it is
//! remembered here with the instant at which it ends.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::body::Bytes;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Request};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::clock::Clock;

/// The hidden messages of all queues.
#[derive(Debug)]
pub struct Visibility {
    clock: Arc<Clock>,
    hidden: Mutex<Hidden>,
}

#[derive(Debug, Default)]
struct Hidden {
    /// By message id.
    failed: BTreeMap<String, (Until, Failed)>,
    delayed: Vec<(Until, Delayed)>,
    /// Ids of delayed messages of which a copy went ahead.
    released: BTreeSet<String>,
}

/// When hiding ends.
#[derive(Debug, Clone, Copy)]
struct Until {
    /// By the stack's clock.
    stack: Timestamp,
    /// By the wall clock, which the queue goes by.
    wall: Timestamp,
}

/// A message hidden by a failed delivery.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failed {
    /// Its queue's name.
    pub queue: String,
    /// Its queue's URL.
    pub url: String,
    /// What the queue knows the reception by.
    pub receipt: String,
    /// By the wall clock, the end of what the failed invocation may have locked: it was told its deadline by that clock,
    /// which the time machine does not move. The message is not brought back earlier.
    pub locked_until: Timestamp,
}

/// A message sent with a delay.
#[derive(Debug, Clone)]
pub struct Delayed {
    /// Its queue's name.
    pub queue: String,
    message_id: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Delayed {
    /// The request that sends it again, without the delay.
    pub fn request(self) -> (Parts, Bytes) {
        let mut parts = Request::new(()).into_parts().0;
        parts.method = axum::http::Method::POST;
        parts.headers = self.headers;
        (parts, self.body)
    }
}

impl Visibility {
    /// Nothing hidden yet.
    pub fn new(clock: Arc<Clock>) -> Self {
        Self { clock, hidden: Mutex::default() }
    }

    /// A failed delivery leaves a message hidden for `seconds` more.
    pub fn failed(&self, message_id: &str, message: Failed, seconds: i64) {
        let until = self.in_seconds(seconds);
        self.hidden().failed.insert(message_id.to_owned(), (until, message));
    }

    /// A message came out of its queue. Tells whether a copy of it went ahead, so that this one is to be thrown away.
    pub fn received(&self, message_id: &str) -> bool {
        let mut hidden = self.hidden();
        hidden.failed.remove(message_id);
        hidden.released.remove(message_id)
    }

    /// Looks through a `SendMessage` or `SendMessageBatch` and its answer for delays, and tells the queue's name.
    pub fn sent(&self, headers: &HeaderMap, body: &[u8], answer: &[u8]) -> Option<String> {
        let request: Value = serde_json::from_slice(body).ok()?;
        let answer: Value = serde_json::from_slice(answer).ok()?;
        let url = request["QueueUrl"].as_str()?;
        let queue = queue_name(url).to_owned();
        let single = [request.clone()];
        let entries = request["Entries"].as_array().map_or(single.as_slice(), Vec::as_slice);
        for entry in entries {
            let delay = entry["DelaySeconds"].as_i64().unwrap_or(0);
            let message_id = match entry.get("Id") {
                Some(id) => answer["Successful"]
                    .as_array()
                    .and_then(|sent| sent.iter().find(|one| one.get("Id") == Some(id)))
                    .and_then(|sent| sent["MessageId"].as_str()),
                None => answer["MessageId"].as_str(),
            };
            if let (true, Some(message_id)) = (delay > 0, message_id) {
                let delayed = delayed(queue.clone(), message_id, url, headers, entry);
                let until = self.in_seconds(delay);
                self.hidden().delayed.push((until, delayed));
            }
        }
        Some(queue)
    }

    /// When the next message can be received, in the stack's time.
    pub fn next(&self) -> Option<Timestamp> {
        let mut hidden = self.hidden();
        hidden.forget_visible(self.clock.wall());
        let failed = hidden.failed.values().map(|(until, _)| until.stack);
        let delayed = hidden.delayed.iter().map(|(until, _)| until.stack);
        failed.chain(delayed).min()
    }

    /// Takes out every message whose hiding ends at or before `instant`; the caller makes them visible.
    pub fn take_until(&self, instant: Timestamp) -> (Vec<Failed>, Vec<Delayed>) {
        let mut hidden = self.hidden();
        hidden.forget_visible(self.clock.wall());
        let ids: Vec<String> = hidden
            .failed
            .iter()
            .filter(|(_, (until, _))| until.stack <= instant)
            .map(|(id, _)| id.clone())
            .collect();
        let failed =
            ids.iter().filter_map(|id| hidden.failed.remove(id)).map(|(_, message)| message).collect();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut hidden.delayed).into_iter().partition(|(until, _)| until.stack <= instant);
        hidden.delayed = later;
        let due: Vec<Delayed> = due.into_iter().map(|(_, message)| message).collect();
        hidden.released.extend(due.iter().map(|message| message.message_id.clone()));
        (failed, due)
    }

    fn in_seconds(&self, seconds: i64) -> Until {
        let wall = self.clock.wall() + SignedDuration::from_secs(seconds);
        Until { stack: self.clock.at(wall), wall }
    }

    fn hidden(&self) -> MutexGuard<'_, Hidden> {
        self.hidden.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Hidden {
    fn forget_visible(&mut self, wall: Timestamp) {
        self.failed.retain(|_, (until, _)| until.wall > wall);
        self.delayed.retain(|(until, _)| until.wall > wall);
    }
}

/// The last part of a queue's URL or ARN.
pub fn queue_name(url_or_arn: &str) -> &str {
    url_or_arn.rsplit(['/', ':']).next().unwrap_or(url_or_arn)
}

fn delayed(queue: String, message_id: &str, url: &str, headers: &HeaderMap, entry: &Value) -> Delayed {
    let mut message = entry.clone();
    if let Some(fields) = message.as_object_mut() {
        fields.remove("Id");
        fields.remove("DelaySeconds");
        fields.insert("QueueUrl".to_owned(), json!(url));
    }
    let mut headers = headers.clone();
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-amz-json-1.0"));
    headers.insert("x-amz-target", HeaderValue::from_static("AmazonSQS.SendMessage"));
    Delayed { queue, message_id: message_id.to_owned(), headers, body: message.to_string().into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn visibility() -> (Arc<Clock>, Visibility) {
        let clock = Arc::new(Clock::default());
        (Arc::clone(&clock), Visibility::new(clock))
    }

    fn failed() -> Failed {
        Failed {
            queue: "q".to_owned(),
            url: "http://h/0/q".to_owned(),
            receipt: "r".to_owned(),
            locked_until: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_failed_message_is_hidden_until_its_timeout_ends() {
        let (clock, visibility) = visibility();
        visibility.failed("m", failed(), 60);
        let until = visibility.next().unwrap();
        assert!(until > clock.now() + SignedDuration::from_secs(59));
        assert!(visibility.take_until(clock.now()).0.is_empty());
        assert_eq!(visibility.take_until(until).0, [failed()]);
        assert_eq!(visibility.next(), None);
    }

    #[test]
    fn a_message_received_again_is_no_longer_hidden() {
        let (_, visibility) = visibility();
        visibility.failed("m", failed(), 60);
        assert!(!visibility.received("m"));
        assert_eq!(visibility.next(), None);
    }

    #[test]
    fn a_delayed_message_can_go_ahead_once() {
        let (_, visibility) = visibility();
        let request =
            json!({"QueueUrl": "http://h/0/local-SmsQueue", "MessageBody": "hi", "DelaySeconds": 600});
        let queue =
            visibility.sent(&HeaderMap::new(), request.to_string().as_bytes(), br#"{"MessageId":"m"}"#);
        assert_eq!(queue.as_deref(), Some("local-SmsQueue"));
        let until = visibility.next().unwrap();
        let (_, delayed) = visibility.take_until(until);
        let (parts, body) = delayed[0].clone().request();
        assert_eq!(parts.headers["x-amz-target"], "AmazonSQS.SendMessage");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body, json!({"QueueUrl": "http://h/0/local-SmsQueue", "MessageBody": "hi"}));
        assert!(visibility.received("m"), "the original is thrown away");
        assert!(!visibility.received("m"));
    }

    #[test]
    fn delays_are_found_in_a_batch() {
        let (_, visibility) = visibility();
        let request = json!({"QueueUrl": "http://h/0/q", "Entries": [
            {"Id": "1", "MessageBody": "now"},
            {"Id": "2", "MessageBody": "later", "DelaySeconds": 5},
        ]});
        let answer = json!({"Successful": [{"Id": "2", "MessageId": "m2"}, {"Id": "1", "MessageId": "m1"}]});
        visibility.sent(&HeaderMap::new(), request.to_string().as_bytes(), answer.to_string().as_bytes());
        let (_, delayed) = visibility.take_until(visibility.next().unwrap());
        assert_eq!(delayed.len(), 1);
        assert_eq!(delayed[0].message_id, "m2");
    }
}
