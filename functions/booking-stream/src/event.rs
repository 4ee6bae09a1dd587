//! The batch from the stream: which bookings changed, and which records must come again.

use std::collections::HashMap;

use app::error::chain;
use app::plan_booking::plan_booking;
use app::plan_client::plan_client;
use app::ports::{CancelTimer, ClientBookings, Enqueue, Item, Read, ReadLedger, Refs, SetTimer, WriteLedger};
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::ids::{BusinessId, ClientId};
use futures::StreamExt;
use lambda_runtime::{Error, LambdaEvent};
use runtime::batch::{Record, guarded};
use runtime::now;

/// How many bookings are planned at the same time.
const AT_ONCE: usize = 16;

/// What has to be planned anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Changed {
    /// A booking.
    Booking(Refs),
    /// A client, so whatever that client has ahead.
    Client(BusinessId, ClientId),
}

/// Plans everything a batch is about once, however many of its records are about it, and reports the records of what failed.
/// Lambda brings back everything from the first of them on, which does no harm.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
pub async fn handle(
    store: &(impl Read + ReadLedger + WriteLedger + ClientBookings),
    timers: &(impl SetTimer + CancelTimer),
    queues: &impl Enqueue,
    event: LambdaEvent<Event>,
) -> Result<DynamoDbEventResponse, Error> {
    let (changed, mut failed) = read(event.payload.records);
    let outcomes: Vec<_> = futures::stream::iter(changed)
        .map(|(changed, records)| async move {
            let outcome = guarded(async {
                let planned = match &changed {
                    Changed::Booking(refs) => plan_booking(store, timers, queues, refs, now()).await,
                    Changed::Client(business, client) => {
                        plan_client(store, timers, queues, (business, client), now()).await
                    }
                };
                match planned {
                    Ok(planned) => {
                        tracing::info!(?changed, ?planned, "planned");
                        Record::Done
                    }
                    Err(error) => {
                        tracing::error!(?changed, error = %chain(&error), "could not plan");
                        Record::Again
                    }
                }
            });
            (outcome.await, records)
        })
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let again = outcomes.into_iter().filter(|(outcome, _)| *outcome == Record::Again);
    failed.extend(again.flat_map(|(_, records)| records));
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures.extend(failed.into_iter().map(|number| {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(number);
        failure
    }));
    Ok(response)
}

/// What a batch is about with its records' sequence numbers, and the numbers of records that cannot be read.
fn read(records: Vec<EventRecord>) -> (HashMap<Changed, Vec<String>>, Vec<String>) {
    let (mut changed, mut failed) = (HashMap::<_, Vec<String>>::new(), Vec::new());
    for record in records {
        let number = record.change.sequence_number.unwrap_or_default();
        match serde_dynamo::from_item(record.change.new_image) {
            Ok(Item::Booking(booking)) => {
                changed.entry(Changed::Booking(Refs::from(&booking))).or_default().push(number);
            }
            Ok(Item::Client(client)) => {
                changed.entry(Changed::Client(client.business_id, client.id)).or_default().push(number);
            }
            // The template's filter lets nothing else through.
            Ok(_) => {}
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
        let (changed, failed) = read(event.records);
        let found: Vec<_> =
            changed.into_iter().map(|(changed, numbers)| (format!("{changed:?}"), numbers)).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].0.starts_with("Booking(Refs {"), "{found:?}");
        assert_eq!(found[0].1, ["100", "101"]);
        assert_eq!(failed, ["102"]);
    }
}
