//! Asynchronous invocations of functions, by the logs that CloudWatch hands on and by the clock.

use std::io::Write as _;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::Services;
use super::feedback::Notice;
use super::text::milliseconds;
use crate::sandbox::{Invocation, Outcome};
use crate::seams::Stack;

/// The stream SNS writes its lines to; it makes up a name.
const LOG_STREAM: &str = "c8a0b3f2-6f0b-4d3c-9a51-1f5e3d0f7a90";
/// Waits before the first and the second retry of a failed invocation, in seconds.
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html>
const RETRY_SECONDS: [u64; 2] = [60, 120];

/// A line of a log group.
#[derive(Clone, Debug)]
pub(super) struct LogLine {
    /// The group's name.
    pub group: String,
    /// What is written.
    pub line: String,
    /// When it was written.
    pub at: Timestamp,
}

/// An invocation that nobody waits for.
#[derive(Clone, Debug)]
pub(super) struct Pending {
    /// The function's ARN.
    pub function_arn: String,
    /// The event, JSON.
    pub event: String,
    /// Counts from 1.
    pub attempt: u32,
}

impl Services {
    /// The invocations of the functions that listen to a log group, for some of its lines.
    ///
    /// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/SubscriptionFilters.html#LambdaFunctionExample>
    pub(super) fn log_invocations(&self, group: &str, lines: &[LogLine]) -> Vec<Pending> {
        let listeners = self.config.log_subscriptions.iter().filter(|listener| listener.log_group == group);
        listeners
            .map(|listener| {
                let data = json!({
                    "messageType": "DATA_MESSAGE",
                    "owner": self.config.account,
                    "logGroup": group,
                    "logStream": LOG_STREAM,
                    "subscriptionFilters": [listener.name],
                    "logEvents": lines.iter().map(log_event).collect::<Vec<_>>(),
                });
                let event = json!({ "awslogs": { "data": BASE64_STANDARD.encode(gzip(data.to_string().as_bytes())) } });
                Pending { function_arn: listener.function_arn.clone(), event: event.to_string(), attempt: 1 }
            })
            .collect()
    }

    /// Invokes a function. A failure is tried again twice, or as the template says, and then told to the function's
    /// on-failure queue. Tells whether the function may have changed anything that others would see.
    pub(super) async fn invoke(&self, pending: Pending, stack: &dyn Stack) -> bool {
        let Some(invocation) = stack.invoke(&pending.function_arn, pending.event.clone()).await else {
            tracing::warn!(function = pending.function_arn, "there is no such function");
            return false;
        };
        if !matches!(invocation.outcome, Outcome::Ok(_)) {
            self.retry(pending, &invocation).await;
        }
        invocation.wrote
    }

    async fn retry(&self, pending: Pending, invocation: &Invocation) {
        let now = self.clock.now();
        let spec = self.config.functions.iter().find(|function| function.arn == pending.function_arn);
        let (retries, on_failure) =
            spec.map_or((2, None), |spec| (spec.async_retries, spec.async_on_failure.clone()));
        if pending.attempt <= retries {
            let place = (pending.attempt as usize - 1).min(RETRY_SECONDS.len() - 1);
            let again = Pending { attempt: pending.attempt + 1, ..pending };
            self.feedback.tell(Notice::Invocation(again), now, RETRY_SECONDS[place] * 1000);
            return;
        }
        tracing::warn!(function = pending.function_arn, "an asynchronous invocation is given up");
        let Some(queue) = on_failure else { return };
        let record = given_up(&pending, invocation, now).to_string();
        if let Err(problem) = self.queues.send(&queue, record).await {
            tracing::warn!(queue, problem, "an on-failure queue did not take a record");
        }
    }
}

fn log_event(line: &LogLine) -> Value {
    // CloudWatch's ids have 56 digits and rise with time.
    let id = format!("{:037}{:019}", line.at.as_millisecond(), Uuid::new_v4().as_u128() % 10_u128.pow(19));
    json!({ "id": id, "timestamp": line.at.as_millisecond(), "message": line.line })
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // Writing to memory does not fail.
    let _ = encoder.write_all(bytes);
    encoder.finish().unwrap_or_default()
}

/// The record of an on-failure destination:
/// <https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html#invocation-async-destinations>
fn given_up(pending: &Pending, invocation: &Invocation, now: Timestamp) -> Value {
    let parsed = |text: &[u8]| serde_json::from_slice::<Value>(text).unwrap_or(Value::Null);
    json!({
        "version": "1.0",
        "timestamp": milliseconds(now),
        "requestContext": {
            "requestId": invocation.request_id,
            "functionArn": format!("{}:$LATEST", pending.function_arn),
            "condition": "RetriesExhausted",
            "approximateInvokeCount": pending.attempt,
        },
        "requestPayload": parsed(pending.event.as_bytes()),
        "responseContext": { "statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled" },
        "responsePayload": parsed(invocation.outcome.payload()),
    })
}
