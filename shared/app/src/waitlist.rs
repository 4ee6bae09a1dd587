//! A client's place on the waitlist: taken, given up, and turned into a booking when a time is offered.

use domain::booking::{Booking, Notify};
use domain::ids::{BookingId, BusinessId, ClientId, LocationId, ResourceId, ServiceId, WaitlistEntryId};
use domain::occasion::{About, Occasion};
use domain::waitlist::{WaitlistEntry, WaitlistStatus};
use jiff::Timestamp;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::create_booking::{
    By, HORIZON, LONGEST, NewBooking, TRIES, When, new_id, of_this_business, participations, put_together,
    referred, resource,
};
use crate::edit_catalogue::Edit;
use crate::error::{AppError, check_version};
use crate::holds::{self, Holds, days_of, slot_of};
use crate::offer_slot::{end_offer, hold_id};
use crate::once::{Done, Once, do_once};
use crate::ports::{
    ClientBookings, Expect, Item, Key, List, NewId, Read, Stored, Write, WriteError, WriteFacts, first,
};

/// A place on the waitlist as a caller gives it.
#[derive(Debug, Clone, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct WaitlistFields {
    /// Who waits.
    pub client_id: ClientId,
    /// Where.
    pub location_id: LocationId,
    /// What for.
    pub service_id: ServiceId,
    /// With whom; without it, with anybody at the location.
    #[serde(default)]
    pub resource_id: Option<ResourceId>,
    /// The earliest start that suits.
    pub from: When,
    /// The latest start that suits.
    pub until: When,
}

/// Puts a client on the waitlist at `now` (UTC).
///
/// # Errors
/// [`AppError::Invalid`] names the field.
pub async fn join_waitlist<S: Read + WriteFacts>(
    ports: &S,
    ids: &impl NewId,
    business_id: &BusinessId,
    fields: &WaitlistFields,
    once: Option<&Once>,
    now: Timestamp,
) -> Result<Done<WaitlistEntry>, AppError> {
    let id: &WaitlistEntryId = &new_id(ids)?;
    let mut keys = vec![
        Key::Business(business_id.clone()),
        Key::Location(business_id.clone(), fields.location_id.clone()),
        Key::Service(business_id.clone(), fields.service_id.clone()),
        Key::Client(business_id.clone(), fields.client_id.clone()),
    ];
    keys.extend(fields.resource_id.iter().map(|id| Key::Resource(business_id.clone(), id.clone())));
    do_once(ports, TRIES, business_id, once, now, keys, |found| async move {
        let entry = entry(business_id, id.clone(), fields, &found, now)?;
        let write = Write { item: Item::WaitlistEntry(entry.clone()), expect: Expect::Absent };
        Ok((vec![write], Done { value: entry, etag: 1 }))
    })
    .await
}

fn entry(
    business_id: &BusinessId,
    id: WaitlistEntryId,
    fields: &WaitlistFields,
    found: &[Stored],
    now: Timestamp,
) -> Result<WaitlistEntry, AppError> {
    let (business, _) = first(found, Item::business).ok_or(AppError::NotFound { what: "business" })?;
    let (location, _) =
        first(found, Item::location).ok_or_else(|| of_this_business("location_id", "location"))?;
    first(found, Item::service).ok_or_else(|| of_this_business("service_id", "service"))?;
    first(found, Item::known_client).ok_or_else(|| of_this_business("client_id", "client"))?;
    if let Some(id) = &fields.resource_id
        && resource(found, id)?.location_id != fields.location_id
    {
        return Err(AppError::invalid("resource_id", "a resource at this location"));
    }
    let zone = location.zone_in(business);
    let at = |field: &str, when: When| {
        when.at(zone).ok_or_else(|| AppError::invalid(field, "a date and time that exist"))
    };
    let (from, until) = (at("from", fields.from)?, at("until", fields.until)?);
    if until < from || until <= now || until.duration_since(now) > HORIZON {
        let expected = "a time that is not before from, still to come, and within the next three years";
        return Err(AppError::invalid("until", expected));
    }
    Ok(WaitlistEntry {
        business_id: business_id.clone(),
        id,
        client_id: fields.client_id.clone(),
        location_id: fields.location_id.clone(),
        service_id: fields.service_id.clone(),
        resource_id: fields.resource_id.clone(),
        from,
        until,
        status: WaitlistStatus::Waiting,
        offer: None,
    })
}

fn the_entry(found: &[Stored], if_match: Option<u64>) -> Result<(&WaitlistEntry, u64), AppError> {
    let (entry, version) =
        first(found, Item::waitlist_entry).ok_or(AppError::NotFound { what: "place on the waitlist" })?;
    check_version(if_match, version)?;
    Ok((entry, version))
}

/// Gives up a place on the waitlist at `now` (UTC). A time that is held for it goes to the next in turn. One that is over stays as it is, so
/// that the request may be repeated without an idempotency key.
pub async fn close_entry<S: Read + List + WriteFacts + ClientBookings>(
    ports: &S,
    edit: Edit<'_>,
    entry_id: &WaitlistEntryId,
) -> Result<Done<WaitlistEntry>, AppError> {
    let Edit { business_id, if_match, now, .. } = edit;
    let mut if_match = if_match;
    for _ in 0..TRIES {
        let found = ports.read(vec![Key::WaitlistEntry(business_id.clone(), entry_id.clone())]).await?;
        // What is asked for holds for the first look: what comes after is this request's own doing, or does no harm to it.
        let (entry, version) = the_entry(&found, if_match.take())?;
        match (entry.status, &entry.offer) {
            (WaitlistStatus::Offered, Some(offer)) => {
                end_offer(ports, (business_id, offer), now).await?;
            }
            (WaitlistStatus::Booked | WaitlistStatus::Closed, _) => {
                return Ok(Done { value: entry.clone(), etag: version });
            }
            (WaitlistStatus::Waiting | WaitlistStatus::Offered, _) => {
                let closed = WaitlistEntry { status: WaitlistStatus::Closed, ..entry.clone() };
                let write = Write { item: Item::WaitlistEntry(closed), expect: Expect::Version(version) };
                match ports.write_facts(vec![write]).await {
                    Ok(()) | Err(WriteError::Conflict) => {}
                    Err(WriteError::Port(error)) => return Err(error.into()),
                }
            }
        }
    }
    Err(AppError::Busy)
}

/// Makes the booking that a client was offered, at `now` (UTC): it takes the place of the hold, in one transaction.
///
/// # Errors
/// [`AppError::NoOffer`] where none was made, or it has run out.
pub async fn accept_offer<S: Read + WriteFacts>(
    ports: &S,
    ids: &impl NewId,
    edit: Edit<'_>,
    entry_id: &WaitlistEntryId,
) -> Result<Done<Booking>, AppError> {
    let Edit { business_id, once, if_match, now } = edit;
    let id: &BookingId = &new_id(ids)?;
    let keys = vec![Key::WaitlistEntry(business_id.clone(), entry_id.clone())];
    do_once(ports, TRIES, business_id, once, now, keys, |found| async move {
        let (entry, entry_version) = the_entry(&found, if_match)?;
        let offered = entry.offer.as_ref().filter(|_| entry.status == WaitlistStatus::Offered);
        let offer_id = offered.ok_or(AppError::NoOffer)?;
        let offers = ports.read(vec![Key::Occasion(business_id.clone(), offer_id.clone())]).await?;
        let (offer, version) = first(&offers, Item::occasion).ok_or(AppError::NoOffer)?;
        let (new, start) = booking_of(entry, offer, now)?;
        let mut keys = referred(business_id, &new);
        // The hold may be longer than the visit.
        keys.extend(holds::keys_of(business_id, &new.resource_id, &days_of(start, start + LONGEST)));
        let around = ports.read(keys).await?;
        let booking = put_together(business_id, &new, id.clone(), &around, now)?;
        let mut holds = Holds::among(business_id, &around);
        holds.release(&new.resource_id, &hold_id(offer_id)?);
        holds.hold(&new.resource_id, &slot_of(&booking), resource(&around, &new.resource_id)?.capacity)?;
        let entry = WaitlistEntry { status: WaitlistStatus::Booked, ..entry.clone() };
        let offer = Occasion { withdrawn: true, ..offer.clone() };
        let mut writes: Vec<Write> = holds.writes().collect();
        writes.extend(participations(&booking));
        writes.extend([
            Write { item: Item::Booking(booking.clone()), expect: Expect::Absent },
            Write { item: Item::WaitlistEntry(entry), expect: Expect::Version(entry_version) },
            Write { item: Item::Occasion(offer), expect: Expect::Version(version) },
        ]);
        Ok((writes, Done { etag: booking.revision, value: booking }))
    })
    .await
}

/// The booking that an offer stands for, if it still does, and its start (UTC).
fn booking_of(
    entry: &WaitlistEntry,
    offer: &Occasion,
    now: Timestamp,
) -> Result<(NewBooking, Timestamp), AppError> {
    match &offer.about {
        About::WaitlistOffer { resource_id, service_id, start, end, until, .. }
            if !offer.withdrawn && now < *until =>
        {
            let new = NewBooking {
                location_id: entry.location_id.clone(),
                resource_id: resource_id.clone(),
                service_id: service_id.clone(),
                client_ids: vec![entry.client_id.clone()],
                start: When::Instant(*start),
                end: Some(When::Instant(*end)),
                source: By::Online,
                notify: Notify::ByRules,
                notes: None,
                price: None,
                reminders: None,
                rebooking_after: None,
            };
            Ok((new, *start))
        }
        _ => Err(AppError::NoOffer),
    }
}
