//! Bringing changed settings to the bookings that are ahead already, page by page: each run takes one page and writes how far it came, and
//! the stream brings the next. Every booking it touches is planned anew by the stream.

use domain::booking::Booking;
use domain::ids::{BookingId, BusinessId};
use futures::future::try_join_all;
use jiff::Timestamp;

use crate::ports::{
    Calendar, Expect, Item, Key, PortError, Read, Rollout, Write, WriteError, WriteFacts, first,
};

/// How many bookings one run takes.
const PAGE: u32 = 50;

/// How often a booking is tried that changes under the run.
const TRIES: u32 = 5;

/// Takes the next page of a business's rollout, if there is one. Run twice, it brings the same bookings to the same version.
///
/// # Errors
/// [`PortError`]; the page is then taken again.
pub async fn roll_out(
    store: &(impl Read + WriteFacts + Calendar),
    business_id: &BusinessId,
) -> Result<u64, PortError> {
    let found = store.read(vec![Key::Rollout(business_id.clone())]).await?;
    let Some((rollout, version)) = first(&found, Item::rollout).filter(|(rollout, _)| !rollout.done) else {
        return Ok(0);
    };
    let page = store.bookings_after(business_id, &rollout.after, Timestamp::MAX, PAGE).await?;
    let ids: Vec<BookingId> = page.iter().map(|(_, id)| id.clone()).collect();
    let brought = bring(store, rollout, &ids).await?;
    let next = Rollout {
        after: page.last().map_or_else(|| rollout.after.clone(), |(start, id)| (*start, Some(id.clone()))),
        bookings: rollout.bookings + brought,
        done: page.is_empty(),
        ..rollout.clone()
    };
    match store.write_facts(vec![Write { item: Item::Rollout(next), expect: Expect::Version(version) }]).await
    {
        // Whoever came first goes on from there.
        Ok(()) | Err(WriteError::Conflict) => Ok(brought),
        Err(WriteError::Port(error)) => Err(error),
    }
}

/// Brings bookings to the rollout's version; answers how many of them are ahead, those included that an earlier run has brought there.
async fn bring(
    store: &(impl Read + WriteFacts),
    rollout: &Rollout,
    ids: &[BookingId],
) -> Result<u64, PortError> {
    let mut left = ids.to_vec();
    let mut brought = 0;
    for _ in 0..TRIES {
        if left.is_empty() {
            return Ok(brought);
        }
        let keys = left.iter().map(|id| Key::Booking(rollout.business_id.clone(), id.clone())).collect();
        let found = store.read(keys).await?;
        let ahead = found.iter().filter_map(|stored| {
            let booking = stored.item.booking()?;
            booking.status.is_ahead().then_some((booking, stored.version))
        });
        let (there, behind): (Vec<_>, Vec<_>) =
            ahead.partition(|(booking, _)| booking.rules_version >= rollout.version);
        brought += there.len() as u64;
        let written = try_join_all(behind.into_iter().map(|(booking, version)| async move {
            let next = Booking { rules_version: rollout.version, ..booking.clone() };
            let write = Write { item: Item::Booking(next), expect: Expect::Version(version) };
            match store.write_facts(vec![write]).await {
                Ok(()) => Ok(None),
                Err(WriteError::Conflict) => Ok(Some(booking.id.clone())),
                Err(WriteError::Port(error)) => Err(error),
            }
        }))
        .await?;
        brought += written.iter().filter(|again| again.is_none()).count() as u64;
        left = written.into_iter().flatten().collect();
    }
    Err(PortError::Retryable { operation: "rolling out settings", source: "bookings kept changing".into() })
}
