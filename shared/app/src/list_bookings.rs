//! Listing a business's or a client's bookings in the order of their start.

use domain::booking::{Booking, Status};
use domain::ids::{BookingId, BusinessId, ClientId, LocationId, ResourceId, SeriesId};
use jiff::{SignedDuration, Timestamp};

use crate::error::AppError;
use crate::pages::{Portion, sift};
use crate::ports::{Calendar, ClientBookings, Item, Key, Listed, PortError, Read};

/// How much of the calendar one list shows: it is kept by months, each of which is a call of its own.
const PERIOD: SignedDuration = SignedDuration::from_hours(24 * 366);

/// How much of the calendar is shown where no end is given.
const USUAL: SignedDuration = SignedDuration::from_hours(24 * 31);

/// Which bookings are looked for: all that fit what is given.
#[derive(Debug, Clone, Default)]
pub struct BookingFilter {
    /// Those that start at this instant (UTC) or later: now without it, or of a client's bookings the first.
    pub from: Option<Timestamp>,
    /// Those that start before this instant (UTC), at most 366 days after `from`: 31 days after `from` without it, or of a client's bookings after
    /// the last.
    pub until: Option<Timestamp>,
    /// Those in which this client takes part.
    pub client_id: Option<ClientId>,
    /// Those of this resource.
    pub resource_id: Option<ResourceId>,
    /// Those at this location.
    pub location_id: Option<LocationId>,
    /// Those of this series.
    pub series_id: Option<SeriesId>,
    /// Those that stand so; none means however they stand.
    pub statuses: Vec<Status>,
}

impl BookingFilter {
    fn takes(&self, booking: &Booking) -> bool {
        self.client_id.as_ref().is_none_or(|id| booking.client_ids.contains(id))
            && self.resource_id.as_ref().is_none_or(|id| booking.resource_id == *id)
            && self.location_id.as_ref().is_none_or(|id| booking.location_id == *id)
            && self.series_id.as_ref().is_none_or(|id| booking.series.as_ref().is_some_and(|it| it.id == *id))
            && (self.statuses.is_empty() || self.statuses.contains(&booking.status))
    }

    /// From when until when is looked.
    fn period(&self, now: Timestamp) -> Result<(Timestamp, Timestamp), AppError> {
        let (from, until) = match self.client_id {
            // A client's bookings stand together, however many years they are apart.
            Some(_) => (self.from.unwrap_or(Timestamp::UNIX_EPOCH), self.until.unwrap_or(Timestamp::MAX)),
            None => {
                let from = self.from.unwrap_or(now);
                let until = self.until.or_else(|| from.checked_add(USUAL).ok()).unwrap_or(Timestamp::MAX);
                if until.duration_since(from) > PERIOD {
                    return Err(AppError::invalid("until", "an instant at most 366 days after from"));
                }
                (from, until)
            }
        };
        if until <= from {
            return Err(AppError::invalid("until", "an instant after from"));
        }
        Ok((from, until))
    }
}

/// A place in a calendar: the start (UTC), to the second, and which booking.
type Place = (Timestamp, Option<BookingId>);

/// One page of the bookings that are looked for, the earliest start first, at `now` (UTC); `cursor` is what the page before gave as next. Looks at
/// 1,000 bookings or some more: a page may hold fewer than `limit`, and none, although more follow.
///
/// # Errors
/// [`AppError::Invalid`] names the cursor or the end of the period.
pub async fn list_bookings<S: Read + Calendar + ClientBookings>(
    ports: &S,
    business_id: &BusinessId,
    filter: &BookingFilter,
    cursor: Option<&str>,
    limit: usize,
    now: Timestamp,
) -> Result<Listed, AppError> {
    let (from, until) = filter.period(now)?;
    let after = match cursor {
        Some(cursor) => read_cursor(cursor)
            .ok_or_else(|| AppError::invalid("cursor", "what the page before gave as next"))?,
        // The calendar knows whole seconds: just before the one that `from` is in.
        None => (second_before(from), None),
    };
    let wanted = |item: &Item| {
        item.booking()
            .is_some_and(|booking| from <= booking.start && booking.start < until && filter.takes(booking))
    };
    let (items, next) = match &filter.client_id {
        Some(client_id) => {
            let mut places: Vec<Place> = ports
                .parts_within(business_id, client_id, from, until)
                .await?
                .into_iter()
                .map(|part| (whole_second(part.start), Some(part.booking_id)))
                .collect();
            places.sort();
            let places = &places;
            let portion = |after: Place, limit| {
                let rest = places.iter().filter(move |place| **place > after).cloned().collect();
                bookings_at(ports, business_id, rest, limit)
            };
            sift(limit, after, portion, wanted).await?
        }
        None => {
            let portion = |after: Place, limit| async move {
                let page = ports.bookings_after(business_id, &after, until, limit).await?;
                let places = page.into_iter().map(|(start, id)| (start, Some(id))).collect();
                bookings_at(ports, business_id, places, limit).await
            };
            sift(limit, after, portion, wanted).await?
        }
    };
    Ok(Listed { items, next: next.and_then(|place| write_cursor(&place)) })
}

/// The first `limit` bookings at these places as they are now.
async fn bookings_at(
    ports: &impl Read,
    business_id: &BusinessId,
    mut places: Vec<Place>,
    limit: u32,
) -> Result<Portion<Place>, PortError> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let more = places.len() >= limit;
    places.truncate(limit);
    let keys: Vec<Key> =
        places.iter().filter_map(|(_, id)| Some(Key::Booking(business_id.clone(), id.clone()?))).collect();
    let mut found = if keys.is_empty() { Vec::new() } else { ports.read(keys).await? };
    let places = places.into_iter().map(|place| {
        let is_it = |item: &Item| item.booking().is_some_and(|booking| Some(&booking.id) == place.1.as_ref());
        let at = found.iter().position(|stored| is_it(&stored.item));
        let stored = at.map(|at| found.swap_remove(at));
        (place, stored)
    });
    Ok(Portion { places: places.collect(), more })
}

fn whole_second(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second()).unwrap_or(instant)
}

fn second_before(instant: Timestamp) -> Timestamp {
    Timestamp::from_second(instant.as_second() - 1).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// Reads the place of a booking in a calendar as [`write_cursor`] writes it.
pub(crate) fn read_cursor(text: &str) -> Option<Place> {
    let (start, id) = text.split_once(',')?;
    Some((start.parse().ok()?, Some(id.parse().ok()?)))
}

/// Writes the place of a booking in a calendar.
pub(crate) fn write_cursor((start, id): &Place) -> Option<String> {
    id.as_ref().map(|id| format!("{start},{id}"))
}
