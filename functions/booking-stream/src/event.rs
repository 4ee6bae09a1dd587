//! The batch from the stream: which bookings changed, and which records must come again.

use std::collections::HashMap;

use app::close_task::{ByHand, take_by_hand};
use app::erase_client::go_on;
use app::error::chain;
use app::offer_slot::{Freed, freed, offer_slot};
use app::plan_client::plan_client;
use app::plan_subject::{Planned, plan_subject};
use app::ports::{
    Calendar, CancelTimer, ClientBookings, ClientOccasions, DeleteFacts, Enqueue, FindMessage, Item, Key,
    List, ListConversation, PortError, Read, ReadLedger, Refs, SetAside, SetTimer, WriteFacts, WriteLedger,
};
use app::roll_out::roll_out;
use app::run_campaign::bring_campaign;
use aws::failures::{About, Note};
use aws_lambda_events::dynamodb::{Event, EventRecord};
use aws_lambda_events::streams::{DynamoDbBatchItemFailure, DynamoDbEventResponse};
use domain::ids::{BusinessId, CampaignId, ClientId};
use domain::subject::SubjectId;
use futures::StreamExt;
use lambda_runtime::{Error, LambdaEvent};
use runtime::batch::{Record, guarded};
use runtime::metrics::{Metric, Metrics};
use runtime::now;

/// How many bookings are planned at the same time.
const AT_ONCE: usize = 16;

/// What has to be planned anew.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Changed {
    /// A booking or an occasion.
    Subject(Refs),
    /// A time that a booking gave up, so whoever waits for one.
    Freed(Freed),
    /// A client, so whatever that client may still hear of.
    Client(BusinessId, ClientId),
    /// A client who is being erased, so whatever is known of that client.
    Erasure(BusinessId, ClientId),
    /// The settings, so whatever the business has ahead.
    Rollout(BusinessId),
    /// An assisted message, of which staff said what they did.
    ByHand(ByHand),
    /// A campaign, so its next clients.
    Campaign(BusinessId, CampaignId),
}

impl Changed {
    /// How it is set aside.
    fn about(&self) -> About {
        match self {
            Changed::Subject(refs) => About::item(&match refs.subject.clone() {
                SubjectId::Booking(id) => Key::Booking(refs.business_id.clone(), id),
                SubjectId::Occasion(id) => Key::Occasion(refs.business_id.clone(), id),
            }),
            Changed::Freed(freed) => About::Freed(freed.clone()),
            Changed::Client(business, id) => About::item(&Key::Client(business.clone(), id.clone())),
            Changed::Erasure(business, id) => About::item(&Key::Erasure(business.clone(), id.clone())),
            Changed::Rollout(business) => About::item(&Key::Rollout(business.clone())),
            Changed::ByHand(by_hand) => About::item(&by_hand.task_key()),
            Changed::Campaign(business, id) => About::item(&Key::Campaign(business.clone(), id.clone())),
        }
    }
}

/// A record that cannot be read, however often it comes.
#[derive(Debug)]
struct Poison {
    sequence_number: String,
    /// The item that it is about.
    about: About,
    why: String,
}

/// Plans everything a batch is about once, however many of its records are about it. What may work on another try is reported by its
/// records' sequence numbers, and Lambda brings back everything from the first of them on, which does no harm. What never will is set
/// aside, since a record that keeps coming back holds up all that came after it.
/// <https://docs.aws.amazon.com/lambda/latest/dg/services-ddb-batchfailurereporting.html>
pub async fn handle(
    store: &(
         impl Read
         + List
         + ReadLedger
         + WriteLedger
         + WriteFacts
         + DeleteFacts
         + ClientBookings
         + ClientOccasions
         + ListConversation
         + Calendar
         + FindMessage
     ),
    timers: &(impl SetTimer + CancelTimer),
    queues: &impl Enqueue,
    failures: &impl SetAside,
    metrics: &Metrics,
    event: LambdaEvent<Event>,
) -> Result<DynamoDbEventResponse, Error> {
    let (changed, poison) = read(event.payload.records);
    let plan = |changed: Changed| async move {
        match &changed {
            Changed::Subject(refs) => plan_subject(store, timers, queues, refs, now()).await,
            Changed::Client(business, client) => {
                plan_client(store, timers, queues, (business, client), now()).await
            }
            Changed::Freed(freed) => offer_slot(store, freed, now()).await.map(|offered| {
                tracing::info!(offered, "a time came free");
                Planned::default()
            }),
            Changed::ByHand(by_hand) => {
                take_by_hand(store, timers, by_hand, now()).await.map(|()| Planned::default())
            }
            Changed::Campaign(business, id) => {
                bring_campaign(store, timers, queues, (business, id), now()).await.map(|goes_on| {
                    tracing::info!(goes_on, "a campaign was written");
                    Planned::default()
                })
            }
            Changed::Erasure(business, client) => {
                let stage = go_on(store, timers, queues, (business, client), now()).await?;
                tracing::info!(?stage, "a client is erased");
                Ok(Planned::default())
            }
            Changed::Rollout(business) => roll_out(store, business).await.map(|bookings| {
                tracing::info!(bookings, "settings rolled out");
                Planned::default()
            }),
        }
    };
    let planned = futures::stream::iter(changed).map(|(changed, numbers)| async move {
        let (what, about) = (format!("{changed:?}"), changed.about());
        let mut to_leave = 0;
        let record = match guarded(plan(changed)).await {
            Some(Ok(planned)) => {
                tracing::info!(what, ?planned, "planned");
                to_leave = planned.to_leave;
                Record::Done
            }
            Some(Err(error)) if !matches!(error, PortError::Permanent { .. }) => {
                tracing::warn!(what, error = %chain(&error), "could not plan this time");
                Record::Again
            }
            Some(Err(error)) => set_aside(failures, about, chain(&error)).await,
            None => set_aside(failures, about, "planning panicked".to_owned()).await,
        };
        (record, numbers, to_leave)
    });
    let planned: Vec<_> = planned.buffer_unordered(AT_ONCE).collect().await;
    metrics.tell(&planned_of(planned.iter().map(|(_, _, to_leave)| *to_leave)), now());
    let mut outcomes: Vec<_> = planned.into_iter().map(|(record, numbers, _)| (record, numbers)).collect();
    for Poison { sequence_number, about, why } in poison {
        outcomes.push((set_aside(failures, about, why).await, vec![sequence_number]));
    }
    let again =
        outcomes.into_iter().filter(|(record, _)| *record == Record::Again).flat_map(|(_, numbers)| numbers);
    let mut response = DynamoDbEventResponse::default();
    response.batch_item_failures.extend(again.map(|number| {
        let mut failure = DynamoDbBatchItemFailure::default();
        failure.item_identifier = Some(number);
        failure
    }));
    Ok(response)
}

/// What a batch tells: how many messages are to leave, new ones and ones that moved. Nothing where nothing changed.
fn planned_of(to_leave: impl Iterator<Item = usize>) -> Vec<Metric> {
    let sum: usize = to_leave.sum();
    match u64::try_from(sum) {
        Ok(sum) if sum > 0 => vec![Metric::count("Planned", sum)],
        _ => vec![],
    }
}

async fn set_aside(failures: &impl SetAside, about: About, why: String) -> Record {
    let what = format!("{about:?}");
    tracing::error!(what, why, "cannot be planned and is set aside");
    match (Note { about, why }).set_aside(failures).await {
        Ok(()) => Record::Done,
        Err(error) => {
            tracing::error!(what, error = %chain(&error), "could not even be set aside");
            Record::Again
        }
    }
}

/// What a batch is about with its records' sequence numbers, and what cannot be read.
fn read(records: Vec<EventRecord>) -> (HashMap<Changed, Vec<String>>, Vec<Poison>) {
    let (mut changed, mut poison) = (HashMap::<_, Vec<String>>::new(), Vec::new());
    for record in records {
        let sequence_number = record.change.sequence_number.unwrap_or_default();
        let about = match serde_dynamo::from_item(record.change.new_image) {
            Ok(Item::Booking(booking)) => {
                // The old image says nothing that plans: only what time has come free. A new booking has none.
                if let Ok(Item::Booking(before)) = serde_dynamo::from_item(record.change.old_image)
                    && let Some(freed) = freed(&before, &booking)
                {
                    changed.entry(Changed::Freed(freed)).or_default().push(sequence_number.clone());
                }
                Changed::Subject(Refs::from(&booking))
            }
            Ok(Item::Occasion(occasion)) => Changed::Subject(Refs::from(&occasion)),
            Ok(Item::Erasure(erasure)) => Changed::Erasure(erasure.business_id, erasure.client_id),
            Ok(Item::Rollout(rollout)) => Changed::Rollout(rollout.business_id),
            Ok(Item::Client(client)) => Changed::Client(client.business_id, client.id),
            Ok(Item::Campaign(campaign)) => Changed::Campaign(campaign.business_id, campaign.id),
            Ok(Item::Task(task)) => match ByHand::of(&task) {
                Some(by_hand) => Changed::ByHand(by_hand),
                None => continue,
            },
            // The template's filter lets nothing else through.
            Ok(_) => continue,
            Err(error) => {
                let about =
                    About::Item { pk: text(&record.change.keys, "pk"), sk: text(&record.change.keys, "sk") };
                poison.push(Poison { sequence_number, about, why: chain(&error) });
                continue;
            }
        };
        changed.entry(about).or_default().push(sequence_number);
    }
    (changed, poison)
}

fn text(keys: &serde_dynamo::Item, name: &str) -> String {
    match keys.get(name) {
        Some(serde_dynamo::AttributeValue::S(text)) => text.clone(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_booking_that_changed_twice_is_planned_once_and_poison_is_told_by_its_number() {
        let event: Event =
            serde_json::from_str(include_str!("../tests/dynamodb_event_two_changes_and_poison.json"))
                .unwrap();
        let (changed, poison) = read(event.records);
        let found: Vec<_> =
            changed.into_iter().map(|(changed, numbers)| (format!("{changed:?}"), numbers)).collect();
        assert_eq!(found.len(), 1);
        assert!(found[0].0.starts_with("Subject(Refs {"), "{found:?}");
        assert_eq!(found[0].1, ["100", "101"]);
        let poison: Vec<_> =
            poison.into_iter().map(|poison| (poison.sequence_number, poison.about)).collect();
        let key = Key::Booking("b".parse().unwrap(), "k".parse().unwrap());
        assert_eq!(poison, [("102".to_owned(), About::item(&key))]);
    }

    #[test]
    fn messages_that_are_to_leave_are_counted_over_the_batch() {
        assert_eq!(planned_of([2, 0, 3].into_iter()), [Metric::count("Planned", 5)]);
        assert_eq!(planned_of([0].into_iter()), []);
    }

    #[test]
    fn a_cancelled_booking_is_planned_and_its_time_comes_free() {
        let event: Event =
            serde_json::from_str(include_str!("../tests/dynamodb_event_cancelled.json")).unwrap();
        let (changed, poison) = read(event.records);
        assert!(poison.is_empty());
        let freed = changed.iter().find_map(|(changed, numbers)| match changed {
            Changed::Freed(freed) => Some((freed, numbers)),
            _ => None,
        });
        let (freed, numbers) = freed.unwrap();
        assert_eq!((freed.resource_id.as_str(), numbers.as_slice()), ("r", &["200".to_owned()][..]));
        assert_eq!(freed.start, "2026-11-23T10:00:00Z".parse().unwrap());
        assert!(changed.keys().any(|changed| matches!(changed, Changed::Subject(_))));
        assert_eq!(changed.len(), 2);
    }
}
