//! Batches from SQS: one bad record never takes its neighbours with it, panics included.

use std::future::Future;
use std::panic::AssertUnwindSafe;

use app::error::chain;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::FutureExt;
use futures::future::join_all;
use serde::de::DeserializeOwned;

/// Whether a record is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Record {
    /// It may leave the queue.
    Done,
    /// It must come again when its visibility timeout ends.
    Again,
}

/// Handles each record of a batch, all at the same time, and reports the ones that must come again.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html>
pub async fn each_due<D, F, W>(event: SqsEvent, handle: F) -> SqsBatchResponse
where
    D: DeserializeOwned,
    F: Fn(D) -> W,
    W: Future<Output = Record>,
{
    let outcomes = event.records.iter().map(|message| async {
        let outcome = match decode(message) {
            Some(due) => guarded(handle(due)).await.unwrap_or(Record::Again),
            None => Record::Again,
        };
        (message.message_id.clone(), outcome)
    });
    let mut response = SqsBatchResponse::default();
    for (id, outcome) in join_all(outcomes).await {
        if outcome == Record::Again {
            response.add_failure(id.unwrap_or_default());
        }
    }
    response
}

/// What a record says is due. One that cannot be read is left to the queue, which brings it to its DLQ.
fn decode<D: DeserializeOwned>(message: &SqsMessage) -> Option<D> {
    let body = message.body.as_deref().unwrap_or_default();
    serde_json::from_str(body)
        .inspect_err(|error| {
            let id = message.message_id.as_deref().unwrap_or_default();
            tracing::error!(record.id = id, error = %chain(error), "a record could not be read");
        })
        .ok()
}

/// Runs a record's work; a panic in it is `None`, and takes nothing else with it.
pub async fn guarded<T>(work: impl Future<Output = T>) -> Option<T> {
    let done = AssertUnwindSafe(work).catch_unwind().await;
    done.inspect_err(|_| tracing::error!("a record's work panicked")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use app::ports::{Due, DueWhat};

    fn batch() -> SqsEvent {
        serde_json::from_str(include_str!("../tests/sqs_event_with_poison.json")).unwrap()
    }

    #[tokio::test]
    async fn a_poison_record_and_a_panic_fail_alone() {
        let response = each_due(batch(), |due: Due| async move {
            match due.what {
                DueWhat::Message { message_id, .. } if message_id.as_str() == "panics" => {
                    panic!("as planned")
                }
                DueWhat::Message { message_id, .. } if message_id.as_str() == "again" => Record::Again,
                _ => Record::Done,
            }
        })
        .await;
        let failed: Vec<_> =
            response.batch_item_failures.into_iter().map(|failure| failure.item_identifier).collect();
        assert_eq!(failed, ["record-poison", "record-panics", "record-again"]);
    }
}
