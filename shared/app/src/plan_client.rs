//! Planning anew what a client may still hear of, after the client's card has changed: a phone that was added, a ban that was lifted.

use std::future::ready;

use domain::ids::{BusinessId, ClientId};
use futures::stream::{self, StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};

use crate::plan_subject::{Planned, plan_subject};
use crate::ports::{
    CancelTimer, ClientBookings, Enqueue, Key, PortError, Read, ReadLedger, Refs, SetTimer, WriteFacts,
    WriteLedger,
};

/// How long after the start of a visit its last message may be due: the longest visit, and the longest time after which a client is invited again.
const AFTERWARDS: SignedDuration = SignedDuration::from_hours(24 * (7 + 366));

/// How many bookings are planned at the same time. Each has calls of its own under way at once, one for each timer.
const AT_ONCE: usize = 8;

/// The most items one read takes. <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>
const PAGE: usize = 100;

/// Plans every booking of the client that may still owe a message at `now` (UTC): those that are ahead, and those that were held, missed or
/// cancelled so lately that an invitation, a review or news of it may be waiting.
pub async fn plan_client(
    store: &(impl Read + ReadLedger + WriteLedger + WriteFacts + ClientBookings),
    timers: &(impl SetTimer + CancelTimer),
    queues: &impl Enqueue,
    (business_id, client_id): (&BusinessId, &ClientId),
    now: Timestamp,
) -> Result<Planned, PortError> {
    let parts = store.parts_within(business_id, client_id, now - AFTERWARDS, Timestamp::MAX).await?;
    let mut sum = Planned::default();
    for page in parts.chunks(PAGE) {
        let keys = page.iter().map(|part| Key::Booking(business_id.clone(), part.booking_id.clone()));
        let found = store.read(keys.collect()).await?;
        let refs: Vec<Refs> =
            found.iter().filter_map(|stored| stored.item.booking()).map(Refs::from).collect();
        let planned = refs.iter().map(|refs| plan_subject(store, timers, queues, refs, now));
        sum = stream::iter(planned)
            .buffer_unordered(AT_ONCE)
            .try_fold(sum, |sum, planned| {
                ready(Ok(Planned {
                    changed: sum.changed + planned.changed,
                    to_leave: sum.to_leave + planned.to_leave,
                    queued: sum.queued + planned.queued,
                }))
            })
            .await?;
    }
    Ok(sum)
}
