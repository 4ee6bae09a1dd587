//! Posting a due event to a webhook, and writing down how it was taken.
//!
//! Posted at least once: who dies between the post and the record of it has it posted again, with the same `webhook-id`, by which a receiver knows
//! what it had. There is no claim, since a second post costs a receiver that keeps to the standard nothing.

use domain::webhook::{Attempt, Delivery, DeliveryState, SwitchedOffReason, Webhook, WebhookUrl, Webhooks};
use jiff::{SignedDuration, Timestamp};

use crate::ports::{
    DueDelivery, EnqueueDelivery, Expect, Item, Key, PortError, Post, PostWebhook, Posted, Read,
    SetDeliveryTimer, Stored, Write, WriteError, WriteFacts, first,
};

/// How often the record of an attempt starts over because something changed under it.
const TRIES: u32 = 8;

/// The longest that a queue delays. Later than that is a timer's.
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-delay-queues.html>
const LONGEST_DELAY: SignedDuration = SignedDuration::from_mins(15);

/// What became of a due delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// The receiver has it.
    Delivered,
    /// It was not taken, and is due again at the instant (UTC).
    Again(Timestamp),
    /// It was not taken, and nothing more is tried.
    Failed,
    /// Its webhook is switched off or gone: nothing was posted.
    Off,
    /// It is not due yet, but at the instant (UTC).
    Early(Timestamp),
    /// It had been dealt with before.
    Settled,
    /// Nothing is known of it.
    Gone,
}

/// Posts what is `due`, at `wall` (UTC), where it still is.
///
/// # Errors
/// A port failed: it must come again.
pub async fn deliver_webhook(
    store: &(impl Read + WriteFacts),
    queue: &impl EnqueueDelivery,
    timers: &impl SetDeliveryTimer,
    receivers: &impl PostWebhook,
    due: &DueDelivery,
    wall: Timestamp,
) -> Result<Tried, PortError> {
    let now = wall.max(due.at);
    let Some(found) = Found::at(store, due).await? else { return Ok(Tried::Gone) };
    if found.delivery.state != DeliveryState::Pending {
        return Ok(Tried::Settled);
    }
    if found.delivery.due > now {
        bring(queue, timers, &found.delivery, now).await?;
        return Ok(Tried::Early(found.delivery.due));
    }
    let Some(webhook) = found.webhook().filter(|webhook| webhook.switched_off.is_none()) else {
        let given_up = Item::WebhookDelivery(found.delivery.clone().given_up());
        let write = Write { item: given_up, expect: Expect::Version(found.version) };
        return match store.write_facts(vec![write]).await {
            Ok(()) => Ok(Tried::Off),
            Err(WriteError::Conflict) => Err(changed()),
            Err(WriteError::Port(error)) => Err(error),
        };
    };
    let Delivery { event_id, body, .. } = &found.delivery;
    let (url, signatures) = (webhook.url.clone(), webhook.signatures(event_id, now, body));
    let post = Post { url: &url, id: event_id, at: now, signatures: &signatures, body };
    let Posted { result, took_ms, retry_after } = receivers.post(post).await;
    let attempt = Attempt { at: now, took_ms, result };
    let delivery = record(store, due, (&url, &attempt, retry_after), found).await?;
    match delivery.state {
        DeliveryState::Delivered => Ok(Tried::Delivered),
        DeliveryState::Failed => Ok(Tried::Failed),
        DeliveryState::Pending => {
            bring(queue, timers, &delivery, now).await?;
            Ok(Tried::Again(delivery.due))
        }
    }
}

/// A delivery and its business's webhooks as they are stored.
struct Found {
    delivery: Delivery,
    version: u64,
    webhooks: Option<(Webhooks, u64)>,
}

impl Found {
    async fn at(store: &impl Read, due: &DueDelivery) -> Result<Option<Self>, PortError> {
        let DueDelivery { business_id, webhook_id, delivery_id, .. } = due;
        let keys = vec![
            Key::WebhookDelivery(business_id.clone(), webhook_id.clone(), delivery_id.clone()),
            Key::Webhooks(business_id.clone()),
        ];
        let found: Vec<Stored> = store.read(keys).await?;
        let webhooks = first(&found, Item::webhooks).map(|(webhooks, version)| (webhooks.clone(), version));
        let delivery = first(&found, Item::webhook_delivery);
        Ok(delivery.map(|(delivery, version)| Self { delivery: delivery.clone(), version, webhooks }))
    }

    fn webhook(&self) -> Option<&Webhook> {
        self.webhooks.as_ref()?.0.find(&self.delivery.webhook_id)
    }
}

/// Writes down an attempt, with what follows from it for the webhook, and the task for staff where it is switched off. Starts over, without posting
/// again, where something changed meanwhile: other deliveries to the same webhook end at the same time.
async fn record(
    store: &(impl Read + WriteFacts),
    due: &DueDelivery,
    (url, attempt, retry_after): (&WebhookUrl, &Attempt, Option<SignedDuration>),
    mut found: Found,
) -> Result<Delivery, PortError> {
    for _ in 0..TRIES {
        let delivery = found.delivery.clone().after(attempt.clone(), retry_after);
        let item = Item::WebhookDelivery(delivery.clone());
        let mut writes = vec![Write { item, expect: Expect::Version(found.version) }];
        // What was learnt of one URL says nothing of another that a caller has given meanwhile.
        let webhook = found.webhook().filter(|webhook| webhook.url == *url);
        let changed = webhook.and_then(|webhook| webhook.after(attempt));
        if let Some((webhook, (webhooks, version))) = changed.zip(found.webhooks.as_ref()) {
            let off = webhook.switched_off.filter(|off| off.reason != SwitchedOffReason::ByRequest);
            if let Some(off) = off.filter(|off| off.at == attempt.at) {
                let task = webhook.task(&due.business_id, off);
                writes.push(Write { item: Item::Task(task), expect: Expect::Absent });
            }
            let webhooks = Item::Webhooks(webhooks.clone().with(webhook));
            writes.push(Write { item: webhooks, expect: Expect::Version(*version) });
        }
        match store.write_facts(writes).await {
            Ok(()) => return Ok(delivery),
            Err(WriteError::Conflict) => {}
            Err(WriteError::Port(error)) => return Err(error),
        }
        found = match Found::at(store, due).await? {
            Some(found) => found,
            None => return Ok(delivery),
        };
        // It stands there already, or another copy of it was taken, to which this one adds nothing.
        let Delivery { state, attempts, .. } = &found.delivery;
        if attempts.contains(attempt) || *state == DeliveryState::Delivered {
            return Ok(found.delivery);
        }
    }
    Err(changed())
}

fn changed() -> PortError {
    PortError::Retryable {
        operation: "recording how an event was taken",
        source: "others kept writing at the same time".into(),
    }
}

/// Has a delivery brought when it is due: by the queue itself within a quarter of an hour, by a timer later.
async fn bring(
    queue: &impl EnqueueDelivery,
    timers: &impl SetDeliveryTimer,
    delivery: &Delivery,
    now: Timestamp,
) -> Result<(), PortError> {
    let due = DueDelivery::of(delivery);
    let wait = delivery.due.duration_since(now);
    if wait > LONGEST_DELAY {
        return timers.set_delivery_timer(&due).await;
    }
    // Never early: a part of a second is one more.
    let seconds = wait.as_secs() + i64::from(wait.subsec_nanos() > 0);
    queue.enqueue_delivery(&due, u32::try_from(seconds.clamp(0, 900)).unwrap_or(0)).await
}
