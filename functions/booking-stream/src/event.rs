//! The batch from the stream: which bookings changed, and which records must come again.

use std::collections::HashMap;

use app::deliver::chain;
use app::plan_booking::plan_booking;
use app::ports::{CancelTimer, Enqueue, Read, ReadLedger, Refs, SetTimer, WriteLedger};
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::booking::Booking;
use futures::StreamExt;
use lambda_runtime::{Error, LambdaEvent};
use runtime::batch::{Record, guarded};
use runtime::now;

/// How many bookings are planned at the same time.
const AT_ONCE: usize = 16;

/// Plans every booking of a batch once, however many of its records are in it, and reports the records of those that failed.
/// Lambda brings back everything from the first of them on, which does no harm.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
pub async fn handle(
    store: &(impl Read + ReadLedger + WriteLedger),
    timers: &(impl SetTimer + CancelTimer),
    queues: &impl Enqueue,
    event: LambdaEvent<Event>,
) -> Result<DynamoDbEventResponse, Error> {
    let (changed, mut failed) = bookings(event.payload.records);
    let outcomes: Vec<_> = futures::stream::iter(changed)
        .map(|(refs, records)| async move {
            let outcome = guarded(async {
                match plan_booking(store, timers, queues, &refs, now()).await {
                    Ok(planned) => {
                        tracing::info!(booking.id = %refs.booking_id, ?planned, "planned");
                        Record::Done
                    }
                    Err(error) => {
                        tracing::error!(booking.id = %refs.booking_id, error = %chain(&error), "could not plan");
                        Record::Again
                    }
                }
            });
            (outcome.await, records)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    failed.extend(
        outcomes
            .into_iter()
            .filter(|(outcome, _)| *outcome == Record::Again)
            .flat_map(|(_, records)| records),
    );
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures.extend(failed.into_iter().map(|number| {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(number);
        failure
    }));
    Ok(response)
}

/// The bookings a batch is about with their records' sequence numbers, and the numbers of records that cannot be read.
fn bookings(records: Vec<EventRecord>) -> (HashMap<Refs, Vec<String>>, Vec<String>) {
    let (mut changed, mut failed) = (HashMap::<Refs, Vec<String>>::new(), Vec::new());
    for record in records {
        let number = record.change.sequence_number.unwrap_or_default();
        match serde_dynamo::from_item::<_, Booking>(record.change.new_image) {
            Ok(booking) => changed.entry(Refs::from(&booking)).or_default().push(number),
            Err(error) => {
                tracing::error!(record.sequence_number = number, error = %chain(&error), "a stream record could not be read");
                failed.push(number);
            }
        }
    }
    (changed, failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_that_changed_twice_is_planned_once_and_poison_is_told_by_its_number() {
        let event: Event =
            serde_json::from_str(include_str!("../tests/dynamodb_event_two_changes_and_poison.json"))
                .unwrap();
        let (changed, failed) = bookings(event.records);
        let found: Vec<_> =
            changed.into_iter().map(|(refs, numbers)| (refs.booking_id.to_string(), numbers)).collect();
        assert_eq!(found, [("k".to_owned(), vec!["100".to_owned(), "101".to_owned()])]);
        assert_eq!(failed, ["102"]);
    }
}
