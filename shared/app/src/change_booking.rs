//! Doing something to a booking: confirm, move, cancel, mark arrived, completed or missed.

use domain::booking::{Booking, Notify, Operation};
use domain::ids::{BookingId, BusinessId};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use crate::create_booking::{
    By, TRIES, When, day_of, days_of, hold, likely_days, participations, read_more_days, visit,
};
use crate::error::AppError;
use crate::once::{Done, Once, answered, write_once};
use crate::ports::{Expect, Item, Key, Read, Stored, Write, WriteError, WriteFacts};

/// What is to be done to a booking.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Staff confirms.
    Confirm,
    /// Called off.
    Cancel,
    /// The client is there.
    Arrive,
    /// The visit is over.
    Complete,
    /// The client did not come.
    NoShow,
    /// The visit moves: a new start, and a new end; without it the visit stays as long as it was.
    Reschedule {
        /// New start.
        start: When,
        /// New end.
        end: Option<When>,
    },
}

/// How a change is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manner {
    /// Whether the client is told.
    #[serde(default)]
    pub notify: Notify,
    /// Who does it.
    #[serde(default)]
    pub by: By,
}

/// Changes a booking at `now` (UTC), if it is still at revision `if_match`.
///
/// # Errors
/// [`AppError::NotFound`], [`AppError::IllegalTransition`], [`AppError::Overlap`], [`AppError::Stale`], or what is wrong with the new time.
pub async fn change_booking<S>(
    ports: &S,
    (business_id, booking_id): (&BusinessId, &BookingId),
    change: Change,
    manner: Manner,
    if_match: Option<u64>,
    once: Option<&Once>,
    now: Timestamp,
) -> Result<Done<Booking>, AppError>
where
    S: Read + WriteFacts,
{
    for _ in 0..TRIES {
        let mut keys = vec![Key::Booking(business_id.clone(), booking_id.clone())];
        keys.extend(once.map(|once| once.key(business_id)));
        let found = ports.read(keys).await?;
        if let Some(done) = answered(once, &found, now)? {
            return Ok(done);
        }
        let (booking, version) = booking(&found).ok_or(AppError::NotFound { what: "booking" })?;
        if let Some(expected) = if_match
            && expected != booking.revision
        {
            return Err(AppError::Stale { current: booking.revision });
        }
        let around = read_around(ports, booking, change).await?;
        let operation = operation(booking, change, &around)?;
        let after = booking.after(operation, now, manner.by.source(), manner.notify)?;
        let mut writes = writes_of(booking, &after, version);
        writes.extend(slots(booking, &after, &around)?);
        let done = Done { etag: after.revision, value: after };
        match write_once(ports, business_id, once, writes, &done, &found, now).await {
            Ok(()) => return Ok(done),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

fn booking(found: &[Stored]) -> Option<(&Booking, u64)> {
    found.iter().find_map(|stored| match &stored.item {
        Item::Booking(booking) => Some((booking, stored.version)),
        _ => None,
    })
}

/// Reads what the change needs beside the booking: for a change that frees the resource its days, for a move its days old and new.
async fn read_around(ports: &impl Read, booking: &Booking, change: Change) -> Result<Vec<Stored>, AppError> {
    let business = &booking.business_id;
    let day_keys = |days: &[Date]| -> Vec<Key> {
        days.iter().map(|day| Key::ResourceDay(business.clone(), booking.resource_id.clone(), *day)).collect()
    };
    let old = days_of(booking.start, booking.end);
    match change {
        Change::Confirm | Change::Arrive | Change::Complete => Ok(Vec::new()),
        Change::Cancel | Change::NoShow => Ok(ports.read(day_keys(&old)).await?),
        Change::Reschedule { start, end } => {
            // The days the new time can touch are few, whatever the zone, so they come with the same read as the rest.
            let mut likely = old.clone();
            likely.extend(likely_days(start));
            likely.sort_unstable();
            likely.dedup();
            let mut keys = day_keys(&likely);
            keys.push(Key::Location(business.clone(), booking.location_id.clone()));
            keys.push(Key::Resource(business.clone(), booking.resource_id.clone()));
            let mut found = ports.read(keys).await?;
            let (start, end) = new_visit(booking, start, end, &found)?;
            read_more_days(ports, booking, &days_of(start, end), &likely, &mut found).await?;
            Ok(found)
        }
    }
}

fn new_visit(
    booking: &Booking,
    start: When,
    end: Option<When>,
    around: &[Stored],
) -> Result<(Timestamp, Timestamp), AppError> {
    let location = around.iter().find_map(|stored| match &stored.item {
        Item::Location(location) => Some(location),
        _ => None,
    });
    let location = location.ok_or(AppError::NotFound { what: "location" })?;
    visit(location, start, end, booking.end.duration_since(booking.start))
}

fn operation(booking: &Booking, change: Change, around: &[Stored]) -> Result<Operation, AppError> {
    Ok(match change {
        Change::Confirm => Operation::Confirm,
        Change::Cancel => Operation::Cancel,
        Change::Arrive => Operation::Arrive,
        Change::Complete => Operation::Complete,
        Change::NoShow => Operation::NoShow,
        Change::Reschedule { start, end } => {
            let (start, end) = new_visit(booking, start, end, around)?;
            Operation::Reschedule { start, end }
        }
    })
}

/// The writes of a change to a booking, but for its hold on the resource.
pub(crate) fn writes_of(before: &Booking, after: &Booking, version: u64) -> Vec<Write> {
    let mut writes = vec![Write { item: Item::Booking(after.clone()), expect: Expect::Version(version) }];
    if before.start != after.start || before.status.is_ahead() != after.status.is_ahead() {
        writes.extend(participations(after));
    }
    writes
}

/// The writes that move or free the booking's hold on the resource. A no-show frees it too: what is left of the time can be booked again.
fn slots(before: &Booking, after: &Booking, around: &[Stored]) -> Result<Vec<Write>, AppError> {
    let over = matches!(after.status, domain::booking::Status::Cancelled | domain::booking::Status::NoShow);
    let moved = (before.start, before.end) != (after.start, after.end);
    if !over && !moved {
        return Ok(Vec::new());
    }
    let new_days = if over { Vec::new() } else { days_of(after.start, after.end) };
    let mut writes: Vec<Write> = days_of(before.start, before.end)
        .into_iter()
        .filter(|day| !new_days.contains(day))
        .map(|day| {
            let (mut held, expect) = day_of(before, day, around);
            held.release(&before.id);
            Write { item: Item::ResourceDay(held), expect }
        })
        .collect();
    if !over {
        let capacity = around.iter().find_map(|stored| match &stored.item {
            Item::Resource(resource) => Some(resource.capacity),
            _ => None,
        });
        let capacity = capacity.ok_or(AppError::NotFound { what: "resource" })?;
        writes.extend(hold(after, &new_days, capacity, around)?);
    }
    Ok(writes)
}
