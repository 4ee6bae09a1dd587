//! Holds: who takes up a resource on which UTC days, as it was read and as it shall be. The guard against overlapping bookings.

use std::collections::BTreeMap;

use domain::booking::{Booking, Status};
use domain::ids::{BookingId, BusinessId, ResourceId};
use domain::resource::{ResourceDay, Slot};
use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::error::AppError;
use crate::ports::{Expect, Item, Key, Stored, Write};

/// The UTC days that a time from `start` to `end` touches.
pub(crate) fn days_of(start: Timestamp, end: Timestamp) -> Vec<Date> {
    let first = start.to_zoned(TimeZone::UTC).date();
    let last = end.to_zoned(TimeZone::UTC).date();
    first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last).collect()
}

/// Whether a booking takes up its resource. A no-show does not: what is left of the time can be booked again.
pub(crate) fn holds(booking: &Booking) -> bool {
    !matches!(booking.status, Status::Cancelled | Status::NoShow)
}

/// A booking's hold.
pub(crate) fn slot_of(booking: &Booking) -> Slot {
    Slot { booking_id: booking.id.clone(), start: booking.start, end: booking.end }
}

/// The keys of a resource's days that `slot` touches.
pub(crate) fn keys_of<'a>(
    business_id: &'a BusinessId,
    resource_id: &'a ResourceId,
    days: &'a [Date],
) -> impl Iterator<Item = Key> + 'a {
    days.iter().map(|day| Key::ResourceDay(business_id.clone(), resource_id.clone(), *day))
}

/// Days of resources, each once. A day that was not read counts as one that nobody holds.
#[derive(Debug, Clone)]
pub(crate) struct Holds {
    business_id: BusinessId,
    days: BTreeMap<(ResourceId, Date), Day>,
}

#[derive(Debug, Clone)]
struct Day {
    held: ResourceDay,
    expect: Expect,
    changed: bool,
}

impl Holds {
    /// The days among what was `found`.
    pub(crate) fn among(business_id: &BusinessId, found: &[Stored]) -> Self {
        let days = found.iter().filter_map(|stored| {
            let held = stored.item.resource_day()?.clone();
            let key = (held.resource_id.clone(), held.day);
            Some((key, Day { held, expect: Expect::Version(stored.version), changed: false }))
        });
        Self { business_id: business_id.clone(), days: days.collect() }
    }

    /// The hold of this id on a resource, if there is one.
    pub(crate) fn slot(&self, resource_id: &ResourceId, id: &BookingId) -> Option<&Slot> {
        let days = self.days.values().filter(|day| day.held.resource_id == *resource_id);
        days.flat_map(|day| &day.held.slots).find(|slot| slot.booking_id == *id)
    }

    /// Adds a hold on each day it touches.
    ///
    /// # Errors
    /// [`AppError::Overlap`], and nothing changed, where more than `capacity` would hold the resource at some instant.
    pub(crate) fn hold(
        &mut self,
        resource_id: &ResourceId,
        slot: &Slot,
        capacity: u32,
    ) -> Result<(), AppError> {
        let mut changed = Vec::new();
        for date in days_of(slot.start, slot.end) {
            let key = (resource_id.clone(), date);
            let mut day = self.days.get(&key).cloned().unwrap_or_else(|| Day {
                held: ResourceDay::empty(self.business_id.clone(), resource_id.clone(), date),
                expect: Expect::Absent,
                changed: false,
            });
            if !day.held.hold(slot.clone(), capacity) {
                return Err(AppError::Overlap);
            }
            changed.push((key, Day { changed: true, ..day }));
        }
        self.days.extend(changed);
        Ok(())
    }

    /// Takes the hold of this id on a resource away, wherever it is.
    pub(crate) fn release(&mut self, resource_id: &ResourceId, id: &BookingId) {
        for day in self.days.values_mut().filter(|day| day.held.resource_id == *resource_id) {
            let before = day.held.slots.len();
            day.held.release(id);
            day.changed |= day.held.slots.len() != before;
        }
    }

    /// The writes of the days that have changed.
    pub(crate) fn writes(self) -> impl Iterator<Item = Write> {
        let changed = self.days.into_values().filter(|day| day.changed);
        changed.map(|day| Write { item: Item::ResourceDay(day.held), expect: day.expect })
    }
}
