//! The batch from a stream: what changed, and which records must come again.

use app::error::chain;
use app::ports::{EnqueueDelivery, Item, PublishEvents, Read, SetAside, WriteFacts};
use app::publish_events::{Change, Published, publish_events};
use aws::failures::{About, Note};
use aws_lambda_events::dynamodb::{Event, EventRecord, StreamRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use jiff::Timestamp;
use lambda_runtime::{Error, LambdaEvent};
use runtime::batch::guarded;
use serde_dynamo::AttributeValue;

/// A record of the stream.
#[derive(Debug)]
struct Record {
    sequence_number: String,
    /// The item it is about.
    about: About,
    /// What it says, or why it cannot be read.
    change: Result<Change, String>,
}

/// Tells everybody of a batch. What may work on another try is reported by its records' sequence numbers, and Lambda brings back everything from the
/// first of them on, which does no harm. What never will is set aside, since a record that keeps coming back holds up all that came after it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
pub async fn handle(
    store: &(impl Read + WriteFacts),
    bus: &impl PublishEvents,
    queue: &impl EnqueueDelivery,
    failures: &impl SetAside,
    event: LambdaEvent<Event>,
) -> Result<DynamoDbEventResponse, Error> {
    let records: Vec<Record> = event.payload.records.into_iter().map(read).collect();
    let changes: Vec<Change> =
        records.iter().filter_map(|record| record.change.as_ref().ok()).cloned().collect();
    let published = guarded(publish_events(store, bus, queue, &changes)).await;
    let mut published = published.map(Vec::into_iter);
    let mut response = DynamoDbEventResponse::default();
    for Record { sequence_number, about, change } in records {
        let outcome = match (change, &mut published) {
            (Err(why), _) => Published::Never(why),
            (Ok(_), Some(published)) => published.next().unwrap_or(Published::Done),
            // Whose panic it was is found as Lambda halves the batch.
            (Ok(_), None) if changes.len() > 1 => {
                Published::Again("telling of the batch panicked".to_owned())
            }
            (Ok(_), None) => Published::Never("telling of it panicked".to_owned()),
        };
        let again = match outcome {
            Published::Done => false,
            Published::Again(why) => {
                tracing::warn!(?about, why, "could not be told of this time");
                true
            }
            Published::Never(why) => {
                tracing::error!(?about, why, "cannot be told of and is set aside");
                let set_aside = Note { about, why }.set_aside(failures).await;
                let lost =
                    set_aside.inspect_err(|error| tracing::error!(error = %chain(error), "not even that"));
                lost.is_err()
            }
        };
        if again {
            let mut failure = DynamoDbBatchItemFailure::default();
            failure.item_identifier = Some(sequence_number);
            response.batch_item_failures.push(failure);
        }
    }
    Ok(response)
}

fn read(record: EventRecord) -> Record {
    let text = |name: &str| match record.change.keys.get(name) {
        Some(AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    };
    let about = About::Item { pk: text("pk"), sk: text("sk") };
    let sequence_number = record.change.sequence_number.clone().unwrap_or_default();
    Record { sequence_number, about, change: change(record.change) }
}

/// What a record says, or why it cannot be read.
fn change(record: StreamRecord) -> Result<Change, String> {
    let version = match record.new_image.get("row_version") {
        Some(AttributeValue::N(version)) => version.parse::<u64>().ok(),
        _ => None,
    };
    let version = version.ok_or("it has no version")?;
    let after: Item = serde_dynamo::from_item(record.new_image).map_err(|error| chain(&error))?;
    // What was there cannot be read, or nothing was: then all of it is news.
    let before = serde_dynamo::from_item(record.old_image).ok();
    let written = record.approximate_creation_date_time.timestamp_millis();
    let at = Timestamp::from_millisecond(written).map_err(|error| chain(&error))?;
    Ok(Change { before, after, version, at })
}
