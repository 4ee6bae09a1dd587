//! Planning anew what a client has ahead, after the client's card has changed: a phone that was added, a ban that was lifted.

use domain::ids::{BusinessId, ClientId};
use jiff::Timestamp;

use crate::plan_subject::{Planned, plan_subject};
use crate::ports::{
    CancelTimer, ClientBookings, Enqueue, Item, Key, PortError, Read, ReadLedger, Refs, SetTimer,
    WriteLedger, first,
};

/// Plans every booking the client has ahead at `now` (UTC), one after the other.
pub async fn plan_client(
    store: &(impl Read + ReadLedger + WriteLedger + ClientBookings),
    timers: &(impl SetTimer + CancelTimer),
    queues: &impl Enqueue,
    (business_id, client_id): (&BusinessId, &ClientId),
    now: Timestamp,
) -> Result<Planned, PortError> {
    let mut sum = Planned::default();
    for part in store.bookings_of(business_id, client_id, now).await? {
        let found = store.read(vec![Key::Booking(business_id.clone(), part.booking_id)]).await?;
        let Some((booking, _)) = first(&found, Item::booking) else { continue };
        let planned = plan_subject(store, timers, queues, &Refs::from(booking), now).await?;
        sum.changed += planned.changed;
        sum.queued += planned.queued;
    }
    Ok(sum)
}
