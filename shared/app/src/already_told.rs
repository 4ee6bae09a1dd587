//! Warning staff that a client has already been told of a booking like the one they make (S38): it was made or cancelled a short time ago.

use domain::booking::{Booking, EventKind};
use domain::channel::Channel;
use domain::ids::{BookingId, BusinessId};
use domain::notification_type::NotificationType;
use domain::subject::SubjectId;
use futures::future::try_join_all;
use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::create_booking::{By, CLIENTS, NewBooking};
use crate::ports::{ClientBookings, Item, Key, Participation, PortError, Read, ReadLedger};

/// How long a booking that was made or cancelled may be taken for the one that is made now.
const RECENTLY: SignedDuration = SignedDuration::from_hours(24);

/// What staff should know about a booking they made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Warning {
    /// The client has had the notice of another booking like it, or may have had it.
    AlreadyTold {
        /// The other booking.
        booking_id: BookingId,
        /// When the notice left (UTC).
        told_at: Timestamp,
        /// Of which type it was.
        #[serde(rename = "type")]
        notification_type: NotificationType,
        /// On which channel it left.
        channel: Channel,
    },
}

/// The clients' parts in bookings about the time of the one to be made, where staff makes it: one query for each client.
pub(crate) async fn parts_near(
    store: &impl ClientBookings,
    business_id: &BusinessId,
    new: &NewBooking,
) -> Result<Vec<Participation>, PortError> {
    // The day at the location is not known yet; in whatever zone, it is within a day of this one.
    let (from, until) = (midnight(new.start.date().yesterday()), midnight(new.start.date().tomorrow()));
    let (By::Staff, Some(from), Some(until)) = (new.source, from, until) else { return Ok(Vec::new()) };
    let until = until + SignedDuration::from_hours(24);
    let clients = new
        .client_ids
        .iter()
        .take(CLIENTS)
        .map(|client| store.parts_within(business_id, client, from, until));
    Ok(try_join_all(clients).await?.concat())
}

fn midnight(date: Result<Date, jiff::Error>) -> Option<Timestamp> {
    let midnight = date.ok()?.to_datetime(Time::midnight());
    Some(midnight.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// The notices that the clients of `booking` have had of bookings like it, by time. Reads nothing where `parts` is empty.
pub(crate) async fn already_told(
    store: &(impl Read + ReadLedger),
    booking: &Booking,
    parts: Vec<Participation>,
    now: Timestamp,
) -> Result<Vec<Warning>, PortError> {
    let day = |start| booking.zone.at(start).date();
    let mut ids: Vec<BookingId> = parts
        .into_iter()
        .filter(|part| part.booking_id != booking.id && day(part.start) == day(booking.start))
        .map(|part| part.booking_id)
        .collect();
    ids.sort_unstable();
    ids.dedup();
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let keys = ids.into_iter().take(100).map(|id| Key::Booking(booking.business_id.clone(), id)).collect();
    let found = store.read(keys).await?;
    let alike = found.iter().filter_map(|stored| stored.item.booking()).filter(|other| {
        let recent = other.history.iter().any(|event| {
            matches!(event.kind, EventKind::Created | EventKind::Cancelled) && now - RECENTLY <= event.at
        });
        other.service_id == booking.service_id && recent
    });
    let told = try_join_all(alike.map(|other| told_of(store, booking, other))).await?;
    let mut warnings: Vec<Warning> = told.concat();
    warnings.sort_by_key(|Warning::AlreadyTold { told_at, channel, .. }| (*told_at, *channel));
    Ok(warnings)
}

/// The notices of the making of `other` that a client of `booking` has, or may have.
async fn told_of(
    store: &impl ReadLedger,
    booking: &Booking,
    other: &Booking,
) -> Result<Vec<Warning>, PortError> {
    let subject = SubjectId::Booking(other.id.clone());
    let rows = store.ledger_of(&other.business_id, &subject).await?;
    let told = rows.into_iter().filter_map(|row| match row.item {
        Item::Message(message)
            if message.kind == NotificationType::BookingCreated
                && message.status.may_have_arrived()
                && message.recipient.client().is_some_and(|id| booking.client_ids.contains(id)) =>
        {
            Some(Warning::AlreadyTold {
                booking_id: other.id.clone(),
                told_at: message.sent_at.unwrap_or(message.due),
                notification_type: message.kind,
                channel: message.channel,
            })
        }
        _ => None,
    });
    Ok(told.collect())
}
