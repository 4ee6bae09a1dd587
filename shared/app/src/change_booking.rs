//! Doing something to a booking: confirm, move, cancel, mark arrived, completed or missed.

use domain::booking::{Booking, Notify, Operation, Status};
use domain::ids::{BookingId, BusinessId};
use jiff::Timestamp;
use jiff::civil::Date;
use serde::Deserialize;

use crate::create_booking::{By, TRIES, When, day_of, days_of, hold, participations, visit};
use crate::error::AppError;
use crate::once::{Done, Once, answered, write_once};
use crate::ports::{Expect, Item, Key, Read, Stored, Write, WriteError, WriteFacts, first};

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
        let (booking, version) =
            first(&found, Item::booking).ok_or(AppError::NotFound { what: "booking" })?;
        if let Some(expected) = if_match
            && expected != booking.revision
        {
            return Err(AppError::Stale { current: booking.revision });
        }
        let around = read_around(ports, booking, change, now).await?;
        let operation = operation(booking, change, now)?;
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

/// Reads what the change needs beside the booking: the resource and its days, where it holds or frees some of them.
async fn read_around(
    ports: &impl Read,
    booking: &Booking,
    change: Change,
    now: Timestamp,
) -> Result<Vec<Stored>, AppError> {
    let business = &booking.business_id;
    let day_keys = |days: &[Date]| -> Vec<Key> {
        days.iter().map(|day| Key::ResourceDay(business.clone(), booking.resource_id.clone(), *day)).collect()
    };
    let old = days_of(booking.start, booking.end);
    match change {
        Change::Arrive if booking.status == Status::NoShow => {
            let mut keys = day_keys(&old);
            keys.push(Key::Resource(business.clone(), booking.resource_id.clone()));
            Ok(ports.read(keys).await?)
        }
        Change::Confirm | Change::Arrive | Change::Complete => Ok(Vec::new()),
        Change::Cancel | Change::NoShow => Ok(ports.read(day_keys(&old)).await?),
        Change::Reschedule { start, end } => {
            let (start, end) = new_visit(booking, start, end, now)?;
            let mut days = old;
            days.extend(days_of(start, end));
            days.sort_unstable();
            days.dedup();
            let mut keys = day_keys(&days);
            keys.push(Key::Resource(business.clone(), booking.resource_id.clone()));
            Ok(ports.read(keys).await?)
        }
    }
}

fn new_visit(
    booking: &Booking,
    start: When,
    end: Option<When>,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), AppError> {
    let duration = booking.end.duration_since(booking.start);
    let new = visit(&booking.zone, start, end, duration, now)?;
    if new == (booking.start, booking.end) {
        return Err(AppError::invalid("start", "a time other than the present one"));
    }
    Ok(new)
}

fn operation(booking: &Booking, change: Change, now: Timestamp) -> Result<Operation, AppError> {
    Ok(match change {
        Change::Confirm => Operation::Confirm,
        Change::Cancel => Operation::Cancel,
        Change::Arrive => Operation::Arrive,
        Change::Complete => Operation::Complete,
        Change::NoShow => Operation::NoShow,
        Change::Reschedule { start, end } => {
            let (start, end) = new_visit(booking, start, end, now)?;
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

/// The writes that move, free or take back the booking's hold on the resource. A no-show frees it too: what is left of the time can be
/// booked again.
fn slots(before: &Booking, after: &Booking, around: &[Stored]) -> Result<Vec<Write>, AppError> {
    let holds = |booking: &Booking| !matches!(booking.status, Status::Cancelled | Status::NoShow);
    let moved = (before.start, before.end) != (after.start, after.end);
    if holds(before) == holds(after) && !moved {
        return Ok(Vec::new());
    }
    let old_days = if holds(before) { days_of(before.start, before.end) } else { Vec::new() };
    let new_days = if holds(after) { days_of(after.start, after.end) } else { Vec::new() };
    let freed = old_days.into_iter().filter(|day| !new_days.contains(day)).map(|day| {
        let (mut held, expect) = day_of(before, day, around);
        held.release(&before.id);
        Write { item: Item::ResourceDay(held), expect }
    });
    let mut writes: Vec<Write> = freed.collect();
    if holds(after) {
        let (resource, _) = first(around, Item::resource).ok_or(AppError::NotFound { what: "resource" })?;
        match hold(after, &new_days, resource.capacity, around) {
            Ok(held) => writes.extend(held),
            // A client who came after all is there, whoever has taken the slot since.
            Err(AppError::Overlap) if !moved => {}
            Err(error) => return Err(error),
        }
    }
    Ok(writes)
}
