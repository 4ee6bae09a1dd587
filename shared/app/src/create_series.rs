//! Making a series: bookings that repeat every so many days, all of them in one transaction or none.

use domain::booking::{Booking, Notify, Series};
use domain::ids::{BookingId, BusinessId, ClientId, LocationId, ResourceId, SeriesId, ServiceId};
use domain::money::Money;
use domain::schema;
use domain::text::Notes;
use domain::timing::{Interval, Timing};
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::create_booking::{
    By, HORIZON, NewBooking, TRIES, When, new_id, participations, put_together, referred, resource,
};
use crate::error::AppError;
use crate::holds::{self, Holds, days_of, slot_of};
use crate::once::{Done, Once, do_once};
use crate::ports::{Expect, Item, NewId, Read, Write, WriteFacts};

/// The most items of one transaction. <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>
const ITEMS: usize = 100;

/// A series to be made: the fields of a booking, how often it repeats and how many bookings it has.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewSeries {
    /// Where.
    pub location_id: LocationId,
    /// Whom or what it takes up; must be at the location.
    pub resource_id: ResourceId,
    /// What for.
    pub service_id: ServiceId,
    /// Who comes: 1 to 20.
    #[schema(value_type = BTreeSet<ClientId>, min_items = 1, max_items = 20)]
    pub client_ids: Vec<ClientId>,
    /// When the first booking starts.
    pub start: When,
    /// When the first booking ends; without it, after the service's duration.
    #[serde(default)]
    pub end: Option<When>,
    /// Who makes it.
    pub source: By,
    /// Whether the client is told now, once for all.
    #[serde(default)]
    pub notify: Notify,
    /// For staff only.
    #[serde(default)]
    pub notes: Option<Notes>,
    /// What each booking costs; without it, the service's price.
    #[serde(default)]
    #[schema(schema_with = schema::optional_amount)]
    pub price: Option<Money>,
    /// Reminder times of each booking, instead of the rule's (S39, S72).
    #[serde(default)]
    #[schema(max_items = 10)]
    pub reminders: Option<Vec<Timing>>,
    /// How long after each visit the client is invited again, instead of the service's interval (S41).
    #[serde(default)]
    pub rebooking_after: Option<Interval>,
    /// How long from one start to the next: `1d` to `90d`. The wall time at the location stays.
    pub every: Days,
    /// How many bookings: 2 to 26.
    pub count: Count,
}

/// A number of whole days, 1 to 90, written `7d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String, pattern = "^([1-9]|[1-8][0-9]|90)d$", examples("7d"))]
pub struct Days(u32);

/// Why a text is not [`Days`].
#[derive(Debug, thiserror::Error)]
#[error("expected days such as \"7d\" (1d to 90d)")]
pub struct InvalidDays;

impl TryFrom<String> for Days {
    type Error = InvalidDays;
    fn try_from(text: String) -> Result<Self, InvalidDays> {
        let digits = text.strip_suffix('d').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()));
        let days = digits.and_then(|digits| digits.parse().ok()).filter(|days| (1..=90).contains(days));
        days.map(Self).ok_or(InvalidDays)
    }
}

/// How many bookings a series has: 2 to 26.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "u32")]
#[schema(minimum = 2, maximum = 26)]
pub struct Count(u32);

/// Why a number is not a [`Count`].
#[derive(Debug, thiserror::Error)]
#[error("expected 2 to 26 bookings")]
pub struct InvalidCount;

impl TryFrom<u32> for Count {
    type Error = InvalidCount;
    fn try_from(count: u32) -> Result<Self, InvalidCount> {
        if (2..=26).contains(&count) { Ok(Self(count)) } else { Err(InvalidCount) }
    }
}

/// A series that was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeSeries {
    /// The id, which every booking of it carries.
    pub id: SeriesId,
    /// Its bookings by start.
    pub bookings: Vec<Booking>,
}

/// Makes a series at `now` (UTC).
///
/// # Errors
/// [`AppError::Invalid`] names the field; [`AppError::SeriesOverlap`] the booking at whose time the resource is taken.
pub async fn create_series<S: Read + WriteFacts>(
    ports: &S,
    ids: &impl NewId,
    business_id: &BusinessId,
    new: &NewSeries,
    once: Option<&Once>,
    now: Timestamp,
) -> Result<Done<MadeSeries>, AppError> {
    let series_id: SeriesId = new_id(ids)?;
    let ids = (0..new.count.0).map(|_| new_id(ids)).collect::<Result<Vec<BookingId>, _>>()?;
    let first = new.first();
    let (series_id, ids, first) = (&series_id, &ids, &first);
    let keys = referred(business_id, first);
    do_once(ports, TRIES, business_id, once, now, keys, |mut found| async move {
        let one = put_together(business_id, first, ids[0].clone(), &found, now)?;
        let bookings = occurrences(&one, new, series_id, ids, now)?;
        let mut days: Vec<_> =
            bookings.iter().flat_map(|booking| days_of(booking.start, booking.end)).collect();
        days.sort_unstable();
        days.dedup();
        // Each booking with its clients' parts, the days, the kept answer.
        let items = bookings.len() * (1 + first.client_ids.len()) + days.len() + 1;
        if items > ITEMS {
            return Err(AppError::invalid(
                "count",
                "fewer bookings: so many do not fit into one transaction",
            ));
        }
        found.extend(ports.read(holds::keys_of(business_id, &first.resource_id, &days).collect()).await?);
        let capacity = resource(&found, &first.resource_id)?.capacity;
        let mut holds = Holds::among(business_id, &found);
        for (number, booking) in (1..).zip(&bookings) {
            let overlap = |_| AppError::SeriesOverlap { number, start: booking.start };
            holds.hold(&booking.resource_id, &slot_of(booking), capacity).map_err(overlap)?;
        }
        let mut writes: Vec<Write> = holds.writes().collect();
        for booking in &bookings {
            writes.extend(participations(booking));
            writes.push(Write { item: Item::Booking(booking.clone()), expect: Expect::Absent });
        }
        Ok((writes, Done { etag: 1, value: MadeSeries { id: series_id.clone(), bookings } }))
    })
    .await
}

impl NewSeries {
    /// Its first booking.
    fn first(&self) -> NewBooking {
        let new = self.clone();
        NewBooking {
            location_id: new.location_id,
            resource_id: new.resource_id,
            service_id: new.service_id,
            client_ids: new.client_ids,
            start: new.start,
            end: new.end,
            source: new.source,
            notify: new.notify,
            notes: new.notes,
            price: new.price,
            reminders: new.reminders,
            rebooking_after: new.rebooking_after,
        }
    }
}

/// The bookings of a series whose first is `one`: each at the same wall time, and as long.
fn occurrences(
    one: &Booking,
    new: &NewSeries,
    series_id: &SeriesId,
    ids: &[BookingId],
    now: Timestamp,
) -> Result<Vec<Booking>, AppError> {
    let wall = one.zone.at(one.start).datetime();
    let beyond =
        || AppError::invalid("count", "a series whose last booking starts within the next three years");
    let mut starts = vec![one.start];
    for index in 1..i64::from(new.count.0) {
        let days = Span::new().days(index * i64::from(new.every.0));
        let start = wall.checked_add(days).ok().and_then(|wall| one.zone.instant(wall)).ok_or_else(beyond)?;
        if start.duration_since(now) > HORIZON {
            return Err(beyond());
        }
        starts.push(start);
    }
    let length = one.end.duration_since(one.start);
    let bookings = (0..).zip(ids).zip(&starts).map(|((index, id), start)| Booking {
        id: id.clone(),
        start: *start,
        end: *start + length,
        series: Some(Series {
            id: series_id.clone(),
            index,
            count: new.count.0,
            starts: if index == 0 { starts.clone() } else { Vec::new() },
        }),
        ..one.clone()
    });
    Ok(bookings.collect())
}
