//! Making a booking: one transaction that also holds the resource and keeps the answer.

use std::collections::BTreeSet;

use domain::booking::{Booking, Confirmation, Notify, Source, Status};
use domain::ids::{BookingId, BusinessId, ClientId, LocationId, ResourceId, ServiceId};
use domain::money::Money;
use domain::resource::Resource;
use domain::schema;
use domain::text::Notes;
use domain::timing::{Interval, Timing};
use domain::zone::Zone;
use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::already_told::{Warning, already_told, parts_near};
use crate::edit_catalogue::check_amount;
use crate::edit_settings::rules_version;
use crate::error::AppError;
use crate::holds::{self, Holds, days_of, slot_of};
use crate::once::{Done, Once, answered, place_of_answer, write_once};
use crate::ports::{
    ClientBookings, Expect, Item, Key, NewId, Participation, PortError, Read, ReadLedger, Stored, Write,
    WriteError, WriteFacts, first,
};

/// How often a request starts over because another one took a slot of the same day.
pub(crate) const TRIES: u32 = 20;

/// How many clients a booking takes.
pub(crate) const CLIENTS: usize = 20;

/// The longest visit.
pub(crate) const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 7);

/// How far ahead a visit may start: three years.
pub(crate) const HORIZON: SignedDuration = SignedDuration::from_hours(24 * 366 * 3);

/// A booking to be made.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewBooking {
    /// Where.
    pub location_id: LocationId,
    /// Whom or what it takes up; must be at the location.
    pub resource_id: ResourceId,
    /// What for.
    pub service_id: ServiceId,
    /// Who comes: 1 to 20.
    #[schema(value_type = BTreeSet<ClientId>, min_items = 1, max_items = 20)]
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
    #[schema(schema_with = schema::optional_amount)]
    pub price: Option<Money>,
    /// Reminder times of its own, instead of the rule's (S39, S72); an empty list means no reminder.
    #[serde(default)]
    #[schema(max_items = 10)]
    pub reminders: Option<Vec<Timing>>,
    /// How long after the visit the client is invited again, instead of the service's interval (S41).
    #[serde(default)]
    pub rebooking_after: Option<Interval>,
}

/// Who may do something to a booking through the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
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

impl PartialSchema for When {
    fn schema() -> RefOr<Schema> {
        let words = "The wall time at the location (`2027-03-02T10:00`), or an instant (`2027-03-02T10:00:00+01:00`).";
        let pattern = r"^(19[7-9]|20[0-9]|21[0-9])[0-9]-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]{1,9})?)?(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])?$";
        schema::text(words, pattern, "2027-03-02T10:00")
    }
}

impl ToSchema for When {}

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

    /// The date it names: of the wall time as it is, of an instant in UTC.
    pub(crate) fn date(self) -> Date {
        match self {
            When::Local(wall) => wall.date(),
            When::Instant(instant) => instant.to_zoned(TimeZone::UTC).date(),
        }
    }
}

/// A booking that was made, with what staff should know about it. As JSON the booking's own fields, and `warnings` where there are any.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct MadeBooking {
    /// The booking.
    #[serde(flatten)]
    pub booking: Booking,
    /// What staff should know.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<Warning>,
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
) -> Result<Done<MadeBooking>, AppError>
where
    S: Read + WriteFacts + ClientBookings + ReadLedger,
{
    let id: BookingId = new_id(ids)?;
    for _ in 0..TRIES {
        let keys = keys_for(business_id, new, once);
        let (found, parts) = futures::try_join!(ports.read(keys), parts_near(ports, business_id, new))?;
        if let Some(done) = answered(once, &found, now)? {
            return Ok(done);
        }
        let Prepared { booking, mut writes, found } =
            prepare(ports, business_id, new, id.clone(), found, now).await?;
        let warnings = already_told(ports, &booking, parts, now).await?;
        writes.extend(participations(&booking));
        writes.push(Write { item: Item::Booking(booking.clone()), expect: Expect::Absent });
        let done = Done { etag: booking.revision, value: MadeBooking { booking, warnings } };
        let place = place_of_answer(once, &found);
        match write_once(ports, business_id, once, writes, &done, place, now).await {
            Ok(()) => return Ok(done),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error.into()),
        }
    }
    Err(AppError::Busy)
}

/// Everything that is asked of a booking to be made but the client's other bookings: what it refers to, the days it can touch, the kept
/// answer. The days are few, whatever the zone and the duration, so they come with the same read.
pub(crate) fn keys_for(business_id: &BusinessId, new: &NewBooking, once: Option<&Once>) -> Vec<Key> {
    let mut keys = referred(business_id, new);
    keys.extend(once.map(|once| once.key(business_id)));
    keys.extend(holds::keys_of(business_id, &new.resource_id, &likely_days(new.start)));
    keys
}

/// The keys of what a booking to be made refers to.
pub(crate) fn referred(business_id: &BusinessId, new: &NewBooking) -> Vec<Key> {
    let mut keys = vec![
        Key::Business(business_id.clone()),
        Key::Rules(business_id.clone()),
        Key::Location(business_id.clone(), new.location_id.clone()),
        Key::Resource(business_id.clone(), new.resource_id.clone()),
        Key::Service(business_id.clone(), new.service_id.clone()),
    ];
    // A client who is named twice is refused, and a read names nobody twice.
    let clients: BTreeSet<&ClientId> = new.client_ids.iter().collect();
    keys.extend(clients.into_iter().take(CLIENTS).map(|id| Key::Client(business_id.clone(), id.clone())));
    keys
}

/// A booking that is checked and not written.
pub(crate) struct Prepared {
    /// The booking.
    pub booking: Booking,
    /// The writes that hold the resource for it.
    pub writes: Vec<Write>,
    /// What was found, the days it touches included.
    pub found: Vec<Stored>,
}

/// Checks a booking to be made and holds its resource. `found` is what was found of [`keys_for`].
pub(crate) async fn prepare(
    ports: &impl Read,
    business_id: &BusinessId,
    new: &NewBooking,
    id: BookingId,
    mut found: Vec<Stored>,
    now: Timestamp,
) -> Result<Prepared, AppError> {
    let booking = put_together(business_id, new, id, &found, now)?;
    let likely = likely_days(new.start);
    let mut days = days_of(booking.start, booking.end);
    days.retain(|day| !likely.contains(day));
    if !days.is_empty() {
        found.extend(ports.read(holds::keys_of(business_id, &new.resource_id, &days).collect()).await?);
    }
    let mut holds = Holds::among(business_id, &found);
    holds.hold(&new.resource_id, &slot_of(&booking), resource(&found, &new.resource_id)?.capacity)?;
    Ok(Prepared { booking, writes: holds.writes().collect(), found })
}

pub(crate) fn new_id<T: std::str::FromStr>(ids: &impl NewId) -> Result<T, AppError> {
    let refused = |_| PortError::Permanent { operation: "making an id", source: "it is no id".into() };
    ids.new_id().parse().map_err(refused).map_err(AppError::from)
}

/// Who comes: 1 to 20 clients, each once.
pub(crate) fn check_clients(clients: &[ClientId]) -> Result<(), AppError> {
    let distinct: BTreeSet<&ClientId> = clients.iter().collect();
    if !(1..=CLIENTS).contains(&clients.len()) || distinct.len() != clients.len() {
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
        if !timing.leads_up() || timings[..index].iter().any(|other| other.is_like(timing)) {
            let expected = "a time before the start, such as \"24h before start\", each once";
            return Err(AppError::invalid(format!("reminders[{index}]"), expected));
        }
    }
    Ok(())
}

/// The id in `field` is none of this business's.
pub(crate) fn of_this_business(field: &str, what: &str) -> AppError {
    AppError::invalid(field, format!("the id of a {what} of this business"))
}

/// The booking as it is to be made, checked against what was `found` but for the resource's days.
pub(crate) fn put_together(
    business_id: &BusinessId,
    new: &NewBooking,
    id: BookingId,
    found: &[Stored],
    now: Timestamp,
) -> Result<Booking, AppError> {
    check_clients(&new.client_ids)?;
    check_amount("price", new.price.as_ref())?;
    check_reminders(new.reminders.as_deref())?;
    let missing_business = AppError::NotFound { what: "business" };
    let (business, _) = first(found, Item::business).ok_or(missing_business)?;
    let (location, _) =
        first(found, Item::location).ok_or_else(|| of_this_business("location_id", "location"))?;
    let zone = location.zone_in(business);
    let resource = resource(found, &new.resource_id)?;
    if resource.location_id != new.location_id {
        return Err(AppError::invalid("resource_id", "a resource at this location"));
    }
    let (service, _) =
        first(found, Item::service).ok_or_else(|| of_this_business("service_id", "service"))?;
    clients_exist(&new.client_ids, found)?;
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
        rules_version: rules_version(found),
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

/// Whether all of the clients are among what was `found`.
pub(crate) fn clients_exist(ids: &[ClientId], found: &[Stored]) -> Result<(), AppError> {
    for (index, id) in ids.iter().enumerate() {
        if first(found, |item| item.known_client().filter(|client| &client.id == id)).is_none() {
            return Err(of_this_business(&format!("client_ids[{index}]"), "client"));
        }
    }
    Ok(())
}

/// The resource among what was `found`.
pub(crate) fn resource<'a>(found: &'a [Stored], id: &ResourceId) -> Result<&'a Resource, AppError> {
    first(found, |item| item.resource().filter(|resource| &resource.id == id))
        .map(|(resource, _)| resource)
        .ok_or_else(|| of_this_business("resource_id", "resource"))
}

/// The UTC days a visit that starts at `start`, in whatever zone, most likely touches.
fn likely_days(start: When) -> Vec<Date> {
    let date = start.date();
    [date.yesterday().ok(), Some(date), date.tomorrow().ok()].into_iter().flatten().collect()
}

/// The rows by which each client's bookings are found.
pub(crate) fn participations(booking: &Booking) -> impl Iterator<Item = Write> + '_ {
    booking.everybody().into_iter().map(|client_id| Write {
        item: Item::Participation(Participation {
            business_id: booking.business_id.clone(),
            booking_id: booking.id.clone(),
            start: booking.start,
            ahead: booking.status.is_ahead() && booking.client_ids.contains(&client_id),
            called_off: booking.status.is_off() || !booking.client_ids.contains(&client_id),
            client_id,
        }),
        expect: Expect::Any,
    })
}
