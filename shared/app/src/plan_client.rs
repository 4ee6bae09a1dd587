//! Planning anew what a client may still hear of, after the client's card has changed: a phone that was added, a ban that was lifted.

use domain::ids::{BusinessId, ClientId};
use jiff::{SignedDuration, Timestamp};

use crate::plan_subject::{Planned, plan_subject};
use crate::ports::{
    CancelTimer, ClientBookings, Enqueue, Item, Key, PortError, Read, ReadLedger, Refs, SetTimer,
    WriteLedger, first,
};

/// How long after the start of a visit its last message may be due: the longest visit, and the longest time after which a client is invited again.
const AFTERWARDS: SignedDuration = SignedDuration::from_hours(24 * (7 + 366));

/// Plans every booking of the client that may still owe a message at `now` (UTC), one after the other: those that are ahead, and those that were
/// held, missed or cancelled so lately that an invitation, a review or news of it may be waiting.
pub async fn plan_client(
    store: &(impl Read + ReadLedger + WriteLedger + ClientBookings),
    timers: &(impl SetTimer + CancelTimer),
    queues: &impl Enqueue,
    (business_id, client_id): (&BusinessId, &ClientId),
    now: Timestamp,
) -> Result<Planned, PortError> {
    let mut sum = Planned::default();
    for part in store.parts_within(business_id, client_id, now - AFTERWARDS, Timestamp::MAX).await? {
        let found = store.read(vec![Key::Booking(business_id.clone(), part.booking_id)]).await?;
        let Some((booking, _)) = first(&found, Item::booking) else { continue };
        let planned = plan_subject(store, timers, queues, &Refs::from(booking), now).await?;
        sum.changed += planned.changed;
        sum.queued += planned.queued;
    }
    Ok(sum)
}
