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

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use app::ports::PortError;
    use lambda_runtime::Context;
    use testkit::salon::salon;
    use testkit::turns::Run;
    use testkit::world::{Fault, World};

    use super::*;

    const CANCELLED: &str = include_str!("../../booking-stream/tests/dynamodb_event_cancelled.json");
    const POISON: &str =
        include_str!("../../booking-stream/tests/dynamodb_event_two_changes_and_poison.json");

    /// What was set aside.
    #[derive(Default)]
    struct Aside(Mutex<Vec<String>>);

    impl SetAside for Aside {
        async fn set_aside(&self, what: String) -> Result<(), PortError> {
            self.0.lock().unwrap().push(what);
            Ok(())
        }
    }

    /// The numbers of the records that must come again, and what was set aside.
    fn handled(world: &World, batch: &str) -> (Vec<String>, Vec<String>) {
        let aside = Aside::default();
        let event = LambdaEvent::new(serde_json::from_str(batch).unwrap(), Context::default());
        let Run::Finished(answer) = world.run(handle(world, world, world, &aside, event)) else {
            panic!("it crashed")
        };
        let again = answer.unwrap().batch_item_failures.into_iter().map(|it| it.item_identifier.unwrap());
        (again.collect(), aside.0.into_inner().unwrap())
    }

    #[test]
    fn a_cancelled_booking_is_told_of_and_by_the_same_id_when_its_record_comes_again() {
        let world = salon();
        assert_eq!(handled(&world, CANCELLED), (vec![], vec![]));
        assert_eq!(handled(&world, CANCELLED), (vec![], vec![]));
        let [first, again] = &world.bus()[..] else { panic!("{:?}", world.bus()) };
        assert_eq!((first.kind.name(), first), ("booking.cancelled", again));
    }

    #[test]
    fn what_cannot_be_read_is_set_aside_and_its_neighbours_are_told_of() {
        let world = salon();
        let (again, aside) = handled(&world, POISON);
        assert_eq!((again.len(), aside.len()), (0, 1));
        assert!(aside[0].contains(r#""pk":"BUSINESS#b#BOOKING#k""#), "{}", aside[0]);
        assert!(!world.bus().is_empty());
    }

    #[test]
    fn what_the_bus_did_not_take_comes_again() {
        let world = salon();
        world.plan_faults([(0, Fault::FailBefore)]);
        assert_eq!(handled(&world, CANCELLED), (vec!["200".to_owned()], vec![]));
        assert_eq!(world.bus(), []);
    }
}
