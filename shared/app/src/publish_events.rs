//! Telling integrations what happened: on the bus, and to the webhooks that want to know.
//!
//! The stream brings each change at least once. An event's id and a delivery's id follow from the change, so a change that comes again makes no
//! other event: on the bus it may be there twice, with one id; a webhook's delivery is written once, and queued again, where it finds itself settled.

use std::collections::{BTreeMap, BTreeSet};

use domain::event::{Event, Happened, LEFT_OUT, event_id, of_booking, of_message, of_task};
use domain::ids::BusinessId;
use domain::webhook::{Delivery, Webhooks};
use futures::StreamExt;
use jiff::Timestamp;
use serde_json::json;

use crate::error::chain;
use crate::once::write_unless_there;
use crate::ports::{
    DueDelivery, EnqueueDelivery, Item, Key, OnBus, PortError, PublishEvents, Read, WriteFacts,
};

/// The most events that are put on the bus at a time.
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEvents.html>
const ON_BUS: usize = 10;

/// The most keys that are read at a time.
const KEYS: usize = 100;

/// How many deliveries are written at the same time.
const AT_ONCE: usize = 16;

/// A change as the stream tells it.
#[derive(Debug, Clone, PartialEq)]
pub struct Change {
    /// The thing as it was, if it was there.
    pub before: Option<Item>,
    /// As it is.
    pub after: Item,
    /// Its version from then on.
    pub version: u64,
    /// When it was written (UTC).
    pub at: Timestamp,
}

/// What became of a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Published {
    /// Whoever wants to know of it will.
    Done,
    /// Not everybody, and it must come again.
    Again(String),
    /// Not everybody, and that will not change: why.
    Never(String),
}

impl Published {
    /// Of the two what is to be done about both.
    fn and(self, other: Published) -> Published {
        match (self, other) {
            (Published::Again(why), _) | (_, Published::Again(why)) => Published::Again(why),
            (Published::Never(why), _) | (_, Published::Never(why)) => Published::Never(why),
            (Published::Done, Published::Done) => Published::Done,
        }
    }
}

impl From<PortError> for Published {
    fn from(error: PortError) -> Self {
        match error {
            PortError::Permanent { .. } => Published::Never(chain(&error)),
            _ => Published::Again(chain(&error)),
        }
    }
}

/// The events that a change makes.
pub fn events_of(change: &Change) -> Vec<Event> {
    let before = change.before.as_ref();
    let (business_id, thing, happened): (_, _, Vec<Happened>) = match &change.after {
        Item::Booking(after) => (
            &after.business_id,
            format!("BOOKING#{}", after.id),
            of_booking(before.and_then(Item::booking), after),
        ),
        Item::Message(after) => (
            &after.business_id,
            format!("MESSAGE#{}", after.id),
            of_message(before.and_then(Item::message), after),
        ),
        Item::Task(after) => {
            (&after.business_id, format!("TASK#{}", after.id), of_task(before.and_then(Item::task), after))
        }
        _ => return Vec::new(),
    };
    if happened.is_empty() {
        return Vec::new();
    }
    let mut data = json!(change.after);
    if let Some(fields) = data.as_object_mut() {
        fields.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
    }
    let event = |(kind, at): Happened| Event {
        id: event_id(business_id, &thing, change.version, kind),
        kind,
        at: at.unwrap_or(change.at),
        business_id: business_id.clone(),
        data: data.clone(),
    };
    happened.into_iter().map(event).collect()
}

/// Tells everybody of some changes. Says of each, in their order, what became of it.
pub async fn publish_events(
    store: &(impl Read + WriteFacts),
    bus: &impl PublishEvents,
    queue: &impl EnqueueDelivery,
    changes: &[Change],
) -> Vec<Published> {
    let mut published = vec![Published::Done; changes.len()];
    let mut note = |place: usize, outcome: Published| {
        if let Some(so_far) = published.get_mut(place) {
            *so_far = std::mem::replace(so_far, Published::Done).and(outcome);
        }
    };
    let events: Vec<(usize, Event)> = changes
        .iter()
        .enumerate()
        .flat_map(|(place, change)| events_of(change).into_iter().map(move |event| (place, event)))
        .collect();
    for some in events.chunks(ON_BUS) {
        let together: Vec<&Event> = some.iter().map(|(_, event)| event).collect();
        let taken = match bus.publish(&together).await {
            Ok(taken) => taken,
            // Refused as a whole it is the bus's fault or ours, and no event's: all of them come again.
            Err(error) => {
                tracing::error!(error = %chain(&error), "no event could be put on the bus");
                vec![OnBus::Again; some.len()]
            }
        };
        for ((place, event), on_bus) in some.iter().zip(taken) {
            match on_bus {
                OnBus::Taken => {}
                OnBus::Again => note(*place, Published::Again(format!("{} is not on the bus", event.id))),
                OnBus::Refused(why) => note(*place, Published::Never(why)),
            }
        }
    }
    let webhooks = match webhooks_of(store, &events).await {
        Ok(webhooks) => webhooks,
        Err(error) => {
            for (place, _) in &events {
                note(*place, Published::Again(chain(&error)));
            }
            BTreeMap::new()
        }
    };
    let mut deliveries: Vec<(usize, Delivery)> = Vec::new();
    for (place, event) in &events {
        let Some(webhooks) = webhooks.get(&event.business_id) else { continue };
        let at = change_at(changes, *place, event);
        for webhook in webhooks.webhooks.iter().filter(|webhook| webhook.wants(event.kind)) {
            deliveries.push((*place, Delivery::of(event, json!(event).to_string(), &webhook.id, at)));
        }
    }
    let written = futures::stream::iter(deliveries)
        .map(|(place, delivery)| async move { (place, write_and_enqueue(store, queue, delivery).await) });
    let asked = changes.iter().enumerate().filter_map(|(place, change)| match &change.after {
        Item::WebhookDelivery(delivery) if delivery.asked => Some((place, DueDelivery::of(delivery))),
        _ => None,
    });
    let asked = futures::stream::iter(asked)
        .map(|(place, due)| async move { (place, queue.enqueue_delivery(&due, 0).await) });
    for (place, outcome) in written.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        note(place, outcome.map_or_else(Published::from, |()| Published::Done));
    }
    for (place, outcome) in asked.buffer_unordered(AT_ONCE).collect::<Vec<_>>().await {
        note(place, outcome.map_or_else(Published::from, |()| Published::Done));
    }
    published
}

/// When an event became known: when the change was written, or when it happened where that is later by somebody's clock. The same whenever the change
/// comes again.
fn change_at(changes: &[Change], place: usize, event: &Event) -> Timestamp {
    changes.get(place).map_or(event.at, |change| change.at.max(event.at))
}

/// The webhooks of everybody to whom something happened.
async fn webhooks_of(
    store: &impl Read,
    events: &[(usize, Event)],
) -> Result<BTreeMap<BusinessId, Webhooks>, PortError> {
    let businesses: BTreeSet<&BusinessId> = events.iter().map(|(_, event)| &event.business_id).collect();
    let keys: Vec<Key> = businesses.into_iter().cloned().map(Key::Webhooks).collect();
    let mut found = BTreeMap::new();
    for some in keys.chunks(KEYS) {
        for stored in store.read(some.to_vec()).await? {
            if let Item::Webhooks(webhooks) = stored.item {
                found.insert(webhooks.business_id.clone(), webhooks);
            }
        }
    }
    Ok(found)
}

/// Writes a delivery, unless it is there, and queues it.
async fn write_and_enqueue(
    store: &(impl Read + WriteFacts),
    queue: &impl EnqueueDelivery,
    delivery: Delivery,
) -> Result<(), PortError> {
    let due = DueDelivery::of(&delivery);
    // An earlier try may have written it, and died before it was queued.
    write_unless_there(store, Item::WebhookDelivery(delivery)).await?;
    queue.enqueue_delivery(&due, 0).await
}

#[cfg(test)]
mod tests;
