//! Making a booking: one transaction that also holds the resource and keeps the answer.

use std::collections::BTreeSet;

use domain::booking::{Booking, Confirmation, Notify, Source, Status};
use domain::ids::{BusinessId, ClientId, LocationId, ResourceId, ServiceId};
use domain::money::Money;
use domain::resource::{Resource, ResourceDay, Slot};
use domain::text::Notes;
use domain::timing::{Interval, Timing};
use domain::zone::Zone;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::edit_catalogue::check_price;
use crate::error::AppError;
use crate::once::{Done, Once, answered, write_once};
use crate::ports::{
    Expect, Item, Key, NewId, Participation, PortError, Read, Stored, Write, WriteError, WriteFacts, first,
};

/// How often a request starts over because another one took a slot of the same day.
pub(crate) const TRIES: u32 = 20;

/// The longest visit.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 7);

/// How far ahead a visit may start: three years.
const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366 * 3);

/// A booking to be made.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NewBooking {
    /// Where.
    pub location_id: LocationId,
    /// Whom or what it takes up; must be at the location.
    pub resource_id: ResourceId,
    /// What for.
    pub service_id: ServiceId,
    /// Who comes: 1 to 20.
    pub client_ids: Vec<ClientId>,
    /// When it starts.
    pub start: When,
    /// When it ends; without it, after the service's duration.
    #[serde(default)]
    pub end: Option<When>,
    /// Who makes it: `online` (then it is pending until staff confirms) or `staff` (then it is confirmed).
    pub source: By,
    /// Whether the client is told now.
    #[serde(default)]
    pub notify: Notify,
    /// For staff only.
    #[serde(default)]
    pub notes: Option<Notes>,
    /// What it costs; without it, the service's price.
    #[serde(default)]
    pub price: Option<Money>,
    /// Reminder times of its own, instead of the rule's (S39, S72); an empty list means no reminder.
    #[serde(default)]
    pub reminders: Option<Vec<Timing>>,
    /// How long after the visit the client is invited again, instead of the service's interval (S41).
    #[serde(default)]
    pub rebooking_after: Option<Interval>,
}

/// Who may do something to a booking through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum By {
    /// The client, online.
    Online,
    /// A staff member.
    #[default]
    Staff,
}

impl By {
    pub(crate) fn source(self) -> Source {
        match self {
            By::Online => Source::Online,
            By::Staff => Source::Staff,
        }
    }
}

/// A time as a caller gives it: the wall time at the location (`2026-11-24T10:00`), or an instant (`2026-11-24T10:00:00+01:00`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(try_from = "String")]
pub enum When {
    /// Wall time at the location.
    Local(DateTime),
    /// An instant.
    Instant(Timestamp),
}

/// Why a text is not a time.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected a date and time that exist, such as \"2026-11-24T10:00\" at the location or \"2026-11-24T10:00:00+01:00\""
)]
pub struct InvalidWhen;

impl TryFrom<String> for When {
    type Error = InvalidWhen;
    fn try_from(text: String) -> Result<Self, InvalidWhen> {
        let when = match text.parse::<Timestamp>() {
            Ok(instant) => When::Instant(instant),
            // No zone in brackets: whose wall time it is, the location says.
            Err(_) if text.contains('T') && text.len() <= 32 && !text.contains('[') => {
                When::Local(text.parse().map_err(|_| InvalidWhen)?)
            }
            Err(_) => return Err(InvalidWhen),
        };
        // Far enough for every booking, near enough for every sum of days.
        if (1970..=2200).contains(&when.date().year()) { Ok(when) } else { Err(InvalidWhen) }
    }
}

impl When {
    /// The instant it names on the clocks of `zone`.
    pub(crate) fn at(self, zone: &Zone) -> Option<Timestamp> {
        match self {
            When::Local(wall) => zone.instant(wall),
            When::Instant(instant) => Some(instant),
        }
    }

    fn date(self) -> Date {
        match self {
            When::Local(wall) => wall.date(),
            When::Instant(instant) => instant.to_zoned(TimeZone::UTC).date(),
        }
    }
}

/// Makes a booking at `now` (UTC).
///
/// # Errors
/// [`AppError::Invalid`] names the field; [`AppError::Overlap`] when the resource is taken.
pub async fn create_booking<S>(
    ports: &S,
    ids: &impl NewId,
    business_id: &BusinessId,
    new: &NewBooking,
    once: Option<&Once>,
    now: Timestamp,
) -> Result<Done<Booking>, AppError>
where
    S: Read + WriteFacts,
{
    check_clients(&new.client_ids)?;
    check_price(new.price.as_ref())?;
    check_reminders(new.reminders.as_deref())?;
    let id: domain::ids::BookingId = new_id(ids)?;
    for _ in 0..TRIES {
        let mut keys = vec![
            Key::Business(business_id.clone()),
            Key::Rules(business_id.clone()),
            Key::Location(business_id.clone(), new.location_id.clone()),
            Key::Resource(business_id.clone(), new.resource_id.clone()),
            Key::Service(business_id.clone(), new.service_id.clone()),
        ];
        keys.extend(new.client_ids.iter().map(|client| Key::Client(business_id.clone(), client.clone())));
        keys.extend(once.map(|once| once.key(business_id)));
        // The days the visit can touch are few, whatever the zone and the duration, so they come with the same read.
        let likely = likely_days(new.start);
        keys.extend(
            likely.iter().map(|day| Key::ResourceDay(business_id.clone(), new.resource_id.clone(), *day)),
        );
        let mut found = ports.read(keys).await?;
        if let Some(done) = answered(once, &found, now)? {
            return Ok(done);
        }
        let booking = put_together(business_id, new, id.clone(), &found, now)?;
        let days = days_of(booking.start, booking.end);
        read_more_days(ports, &booking, &days, &likely, &mut found).await?;
        let capacity = resource(&found, &new.resource_id)?.capacity;
        let mut writes = hold(&booking, &days, capacity, &found)?;
        writes.extend(participations(&booking));
        writes.push(Write { item: Item::Booking(booking.clone()), expect: Expect::Absent });
        let done = Done { etag: booking.revision, value: booking };
        match write_once(ports, business_id, once, writes, &done, &found, now).await {
            Ok(()) => return Ok(done),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

pub(crate) fn new_id<T: std::str::FromStr>(ids: &impl NewId) -> Result<T, AppError> {
    let refused = |_| PortError::Permanent { operation: "making an id", source: "it is no id".into() };
    ids.new_id().parse().map_err(refused).map_err(AppError::from)
}

fn check_clients(clients: &[ClientId]) -> Result<(), AppError> {
    let distinct: BTreeSet<&ClientId> = clients.iter().collect();
    if !(1..=20).contains(&clients.len()) || distinct.len() != clients.len() {
        return Err(AppError::invalid("client_ids", "1 to 20 different clients"));
    }
    Ok(())
}

/// A booking's own reminder times: at most ten before the start, each once.
pub(crate) fn check_reminders(reminders: Option<&[Timing]>) -> Result<(), AppError> {
    let timings = reminders.unwrap_or_default();
    if timings.len() > 10 {
        return Err(AppError::invalid("reminders", "at most 10 times"));
    }
    for (index, timing) in timings.iter().enumerate() {
        if !timing.leads_up() || timings[..index].contains(timing) {
            let expected = "a time before the start, such as \"24h before start\", each once";
            return Err(AppError::invalid(format!("reminders[{index}]"), expected));
        }
    }
    Ok(())
}

fn put_together(
    business_id: &BusinessId,
    new: &NewBooking,
    id: domain::ids::BookingId,
    found: &[Stored],
    now: Timestamp,
) -> Result<Booking, AppError> {
    let of_this_business =
        |field: &str, what: &str| AppError::invalid(field, format!("the id of a {what} of this business"));
    let missing_business = AppError::NotFound { what: "business" };
    let (business, _) = first(found, Item::business).ok_or(missing_business)?;
    let (location, _) =
        first(found, Item::location).ok_or_else(|| of_this_business("location_id", "location"))?;
    let zone = location.zone.as_ref().unwrap_or(&business.zone);
    let resource = resource(found, &new.resource_id)?;
    if resource.location_id != new.location_id {
        return Err(AppError::invalid("resource_id", "a resource at this location"));
    }
    let (service, _) =
        first(found, Item::service).ok_or_else(|| of_this_business("service_id", "service"))?;
    for (index, id) in new.client_ids.iter().enumerate() {
        if first(found, |item| item.client().filter(|client| &client.id == id)).is_none() {
            return Err(of_this_business(&format!("client_ids[{index}]"), "client"));
        }
    }
    let duration = SignedDuration::from_mins(i64::from(service.duration_minutes));
    let (start, end) = visit(zone, new.start, new.end, duration, now)?;
    let status = match new.source {
        By::Online => Status::Pending,
        By::Staff => Status::Confirmed,
    };
    let booking = Booking {
        business_id: business_id.clone(),
        id,
        location_id: new.location_id.clone(),
        resource_id: new.resource_id.clone(),
        service_id: new.service_id.clone(),
        client_ids: new.client_ids.clone(),
        start,
        end,
        zone: zone.clone(),
        source: new.source.source(),
        status,
        revision: 0,
        time_revision: 0,
        history: Vec::new(),
        confirmation: Confirmation::None,
        rules_version: first(found, Item::rules).map_or(0, |(rules, _)| rules.version),
        reminders: new.reminders.clone(),
        rebooking_after: new.rebooking_after,
        series: None,
        failures: Vec::new(),
        notes: new.notes.clone(),
        price: new.price.clone().or_else(|| service.price.clone()),
    };
    Ok(booking.created(now, new.notify))
}

/// Start and end of a visit as instants, checked. `now` in UTC.
pub(crate) fn visit(
    zone: &Zone,
    start: When,
    end: Option<When>,
    duration: SignedDuration,
    now: Timestamp,
) -> Result<(Timestamp, Timestamp), AppError> {
    let expected = "a date and time that exist";
    let start = start.at(zone).ok_or_else(|| AppError::invalid("start", expected))?;
    let end = match end {
        Some(end) => end.at(zone).ok_or_else(|| AppError::invalid("end", expected))?,
        None => start + duration,
    };
    if start.duration_since(now) > HORIZON {
        return Err(AppError::invalid("start", "a time within the next three years"));
    }
    if end <= start || end.duration_since(start) > LONGEST {
        return Err(AppError::invalid("end", "a time after the start, at most 7 days later"));
    }
    Ok((start, end))
}

fn resource<'a>(found: &'a [Stored], id: &ResourceId) -> Result<&'a Resource, AppError> {
    first(found, |item| item.resource().filter(|resource| &resource.id == id))
        .map(|(resource, _)| resource)
        .ok_or_else(|| AppError::invalid("resource_id", "the id of a resource of this business"))
}

/// The UTC days a visit that starts at `start`, in whatever zone, most likely touches.
fn likely_days(start: When) -> Vec<Date> {
    let date = start.date();
    [date.yesterday().ok(), Some(date), date.tomorrow().ok()].into_iter().flatten().collect()
}

/// The UTC days a visit touches.
pub(crate) fn days_of(start: Timestamp, end: Timestamp) -> Vec<Date> {
    let first = start.to_zoned(TimeZone::UTC).date();
    let last = end.to_zoned(TimeZone::UTC).date();
    first.series(jiff::Span::new().days(1)).take_while(|day| *day <= last).collect()
}

/// Reads the days of the resource that are not among `have` yet.
async fn read_more_days(
    ports: &impl Read,
    booking: &Booking,
    days: &[Date],
    have: &[Date],
    found: &mut Vec<Stored>,
) -> Result<(), AppError> {
    let more: Vec<Key> = days
        .iter()
        .filter(|day| !have.contains(day))
        .map(|day| Key::ResourceDay(booking.business_id.clone(), booking.resource_id.clone(), *day))
        .collect();
    if !more.is_empty() {
        found.extend(ports.read(more).await?);
    }
    Ok(())
}

/// The writes that hold the resource for a booking on each of `days`, given what was `found` there.
pub(crate) fn hold(
    booking: &Booking,
    days: &[Date],
    capacity: u32,
    found: &[Stored],
) -> Result<Vec<Write>, AppError> {
    days.iter()
        .map(|day| {
            let (mut held, expect) = day_of(booking, *day, found);
            let slot = Slot { booking_id: booking.id.clone(), start: booking.start, end: booking.end };
            if !held.hold(slot, capacity) {
                return Err(AppError::Overlap);
            }
            Ok(Write { item: Item::ResourceDay(held), expect })
        })
        .collect()
}

/// What holds a booking's resource on a day, and what a write to it expects.
pub(crate) fn day_of(booking: &Booking, day: Date, found: &[Stored]) -> (ResourceDay, Expect) {
    first(found, |item| item.resource_day().filter(|held| held.day == day))
        .map(|(held, version)| (held.clone(), Expect::Version(version)))
        .unwrap_or_else(|| {
            let empty = ResourceDay::empty(booking.business_id.clone(), booking.resource_id.clone(), day);
            (empty, Expect::Absent)
        })
}

/// The rows by which each client's bookings are found.
pub(crate) fn participations(booking: &Booking) -> impl Iterator<Item = Write> + '_ {
    booking.everybody().into_iter().map(|client_id| Write {
        item: Item::Participation(Participation {
            business_id: booking.business_id.clone(),
            booking_id: booking.id.clone(),
            start: booking.start,
            ahead: booking.status.is_ahead() && booking.client_ids.contains(&client_id),
            client_id,
        }),
        expect: Expect::Any,
    })
}
