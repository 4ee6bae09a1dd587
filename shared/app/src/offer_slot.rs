//! Offering a time that has come free to the clients on the waitlist, one after the other. The time is held for the one whose turn it is.
//!
//! Architecture invariant: an offer, the place it is for and its hold are written together, and so is what ends them. So no time is held for two,
//! none for nobody, and a run that dies leaves all or nothing. An offer's id follows from what freed the time: made twice, it is the same.

use domain::booking::{Booking, Notify, Source, Status};
use domain::ids::{BookingId, BusinessId, LocationId, OccasionId, ResourceId};
use domain::occasion::{About, Occasion};
use domain::recipient::Recipient;
use domain::resource::Slot;
use domain::waitlist::{WaitlistEntry, WaitlistStatus};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::create_booking::LONGEST;
use crate::edit_settings::rules_version;
use crate::holds::{self, Holds, days_of};
use crate::ports::{
    ClientBookings, Expect, Item, Key, Kind, List, Page, PortError, Read, Stored, Write, WriteError,
    WriteFacts, first,
};

/// How often a run starts over because somebody changed the waitlist or the day under it.
const TRIES: u32 = 20;

/// A time of a resource that has come free.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Freed {
    /// Whose.
    pub business_id: BusinessId,
    /// Where.
    pub location_id: LocationId,
    /// The resource.
    pub resource_id: ResourceId,
    /// Its start (UTC).
    pub start: Timestamp,
    /// Its end (UTC).
    pub end: Timestamp,
    /// Since when it is free (UTC): what an offer is counted from, by whatever clock that was.
    pub at: Timestamp,
    /// The id that an offer of it gets.
    pub offer_id: OccasionId,
}

/// The time that a booking gave up when it changed from `before` to `after`: it was ahead, and was cancelled, moved or put elsewhere.
pub fn freed(before: &Booking, after: &Booking) -> Option<Freed> {
    let place = |booking: &Booking| (booking.resource_id.clone(), booking.start);
    let gone = after.status == Status::Cancelled || place(before) != place(after);
    if !before.status.is_ahead() || !gone {
        return None;
    }
    Some(Freed {
        business_id: before.business_id.clone(),
        location_id: before.location_id.clone(),
        resource_id: before.resource_id.clone(),
        start: before.start,
        end: before.end,
        at: after.history.last()?.at,
        offer_id: offer_id(&format!("{}\n{}\n{}", before.business_id, before.id, after.revision))?,
    })
}

/// The id of the offer that follows from something. Half of a SHA-256 in hex, which is always an id.
fn offer_id(origin: &str) -> Option<OccasionId> {
    hex::encode(Sha256::digest(format!("offer\n{origin}"))).get(..32)?.parse().ok()
}

/// The id under which an offer stands among the holds of its resource: its own.
pub(crate) fn hold_id(offer_id: &OccasionId) -> Result<BookingId, PortError> {
    let refused = |_| PortError::Permanent { operation: "holding a time", source: "its id is no id".into() };
    offer_id.as_str().parse().map_err(refused)
}

/// Offers a time that has come free to the first on the waitlist whom it suits, at `now` (UTC). `false` when it suits nobody, or was offered
/// before, or is taken: also in part, by the booking that was moved by less than its length.
pub async fn offer_slot(
    store: &(impl Read + List + WriteFacts + ClientBookings),
    freed: &Freed,
    now: Timestamp,
) -> Result<bool, PortError> {
    let business = &freed.business_id;
    let now = now.max(freed.at);
    for _ in 0..TRIES {
        let Some(next) = next_in_turn(store, freed, now).await? else { return Ok(false) };
        let mut keys = keys_of(freed);
        keys.push(Key::Occasion(business.clone(), freed.offer_id.clone()));
        keys.extend(holds::keys_of(business, &freed.resource_id, &days_of(freed.start, freed.end)));
        let found = store.read(keys).await?;
        if first(&found, Item::occasion).is_some() {
            return Ok(false);
        }
        let mut holds = Holds::among(business, &found);
        let Some(mut writes) = offer(freed, &next, &found, &mut holds, now)? else { return Ok(false) };
        writes.extend(holds.writes());
        match store.write_facts(writes).await {
            Ok(()) => return Ok(true),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Err(kept_changing())
}

/// Ends an offer that was not taken, at `now` (UTC): its place on the waitlist is closed, and the next in turn is offered the time. `false`
/// when it was over already.
pub async fn end_offer(
    store: &(impl Read + List + WriteFacts + ClientBookings),
    (business, offer_id): (&BusinessId, &OccasionId),
    now: Timestamp,
) -> Result<bool, PortError> {
    for _ in 0..TRIES {
        let found = store.read(vec![Key::Occasion(business.clone(), offer_id.clone())]).await?;
        let Some((occasion, version)) = first(&found, Item::occasion).filter(|(it, _)| !it.withdrawn) else {
            return Ok(false);
        };
        let About::WaitlistOffer { entry_id, resource_id, start, end, .. } = &occasion.about else {
            return Ok(false);
        };
        let (Some(location_id), Some(following)) =
            (occasion.location_id.clone(), self::offer_id(offer_id.as_str()))
        else {
            return Ok(false);
        };
        let freed = Freed {
            business_id: business.clone(),
            location_id,
            resource_id: resource_id.clone(),
            start: *start,
            end: *end,
            at: now,
            offer_id: following,
        };
        let mut keys = keys_of(&freed);
        keys.push(Key::WaitlistEntry(business.clone(), entry_id.clone()));
        // How long the time is in all, its hold says.
        keys.extend(holds::keys_of(business, resource_id, &days_of(*start, *start + LONGEST)));
        let found = store.read(keys).await?;
        let mut holds = Holds::among(business, &found);
        let held = holds.slot(resource_id, &hold_id(offer_id)?).cloned();
        holds.release(resource_id, &hold_id(offer_id)?);
        let mut writes = vec![Write {
            item: Item::Occasion(Occasion { withdrawn: true, ..occasion.clone() }),
            expect: Expect::Version(version),
        }];
        writes.extend(closed(&found, offer_id));
        if let Some(held) = held {
            let freed = Freed { end: held.end, ..freed };
            if let Some(next) = next_in_turn(store, &freed, now).await? {
                writes.extend(offer(&freed, &next, &found, &mut holds, now)?.unwrap_or_default());
            }
        }
        writes.extend(holds.writes());
        match store.write_facts(writes).await {
            Ok(()) => return Ok(true),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Err(kept_changing())
}

fn kept_changing() -> PortError {
    PortError::Retryable { operation: "offering a time", source: "the waitlist kept changing".into() }
}

fn keys_of(freed: &Freed) -> Vec<Key> {
    let business = &freed.business_id;
    vec![
        Key::Business(business.clone()),
        Key::Rules(business.clone()),
        Key::Location(business.clone(), freed.location_id.clone()),
        Key::Resource(business.clone(), freed.resource_id.clone()),
    ]
}

/// The write that closes the place which the offer was for.
fn closed(found: &[Stored], offer_id: &OccasionId) -> Option<Write> {
    let of_this_offer = |entry: &&WaitlistEntry| {
        entry.status == WaitlistStatus::Offered && entry.offer.as_ref() == Some(offer_id)
    };
    let (entry, version) = first(found, |item| item.waitlist_entry().filter(of_this_offer))?;
    let entry = WaitlistEntry { status: WaitlistStatus::Closed, ..entry.clone() };
    Some(Write { item: Item::WaitlistEntry(entry), expect: Expect::Version(version) })
}

/// Whose turn it is.
struct Next {
    entry: WaitlistEntry,
    version: u64,
    /// When the visit would end (UTC).
    end: Timestamp,
}

/// The first on the waitlist whom a time suits, who has time then, and whose visit fits into it.
async fn next_in_turn(
    store: &(impl Read + List + ClientBookings),
    freed: &Freed,
    now: Timestamp,
) -> Result<Option<Next>, PortError> {
    let mut after = None;
    loop {
        let page = Page { after, limit: 100 };
        let listed = store.list(&freed.business_id, Kind::Waitlist, page).await?;
        for stored in &listed.items {
            let suits = |entry: &&WaitlistEntry| {
                entry.suits(&freed.location_id, &freed.resource_id, freed.start, now)
            };
            if let Some(entry) = stored.item.waitlist_entry().filter(suits)
                && let Some(end) = end_for(store, freed, entry).await?
            {
                return Ok(Some(Next { entry: entry.clone(), version: stored.version, end }));
            }
        }
        after = listed.next;
        if after.is_none() {
            return Ok(None);
        }
    }
}

/// When the visit of somebody on the waitlist would end, if it fits into the time and the client is not elsewhere then.
async fn end_for(
    store: &(impl Read + ClientBookings),
    freed: &Freed,
    entry: &WaitlistEntry,
) -> Result<Option<Timestamp>, PortError> {
    let business = &freed.business_id;
    let keys = vec![
        Key::Service(business.clone(), entry.service_id.clone()),
        Key::Client(business.clone(), entry.client_id.clone()),
    ];
    let (found, parts) = futures::try_join!(
        store.read(keys),
        store.parts_within(business, &entry.client_id, freed.start - LONGEST, freed.end)
    )?;
    let client = first(&found, Item::known_client);
    let (Some((service, _)), Some(_)) = (first(&found, Item::service), client) else {
        return Ok(None);
    };
    let end = freed.start + SignedDuration::from_mins(i64::from(service.duration_minutes));
    if end > freed.end {
        return Ok(None);
    }
    let ahead = parts.into_iter().filter(|part| part.ahead).take(100);
    let bookings: Vec<Key> = ahead.map(|part| Key::Booking(business.clone(), part.booking_id)).collect();
    if bookings.is_empty() {
        return Ok(Some(end));
    }
    let found = store.read(bookings).await?;
    let mut elsewhere = found.iter().filter_map(|stored| stored.item.booking());
    let busy = elsewhere.any(|other| other.status.is_ahead() && other.start < end && freed.start < other.end);
    Ok((!busy).then_some(end))
}

/// The writes of an offer but for its hold, which is added to `holds`; it takes up all of the time, so that whoever is next may need more of it.
/// `None` where the resource is taken, or not there any more.
fn offer(
    freed: &Freed,
    next: &Next,
    found: &[Stored],
    holds: &mut Holds,
    now: Timestamp,
) -> Result<Option<Vec<Write>>, PortError> {
    let (Some((business, _)), Some((location, _)), Some((resource, _))) =
        (first(found, Item::business), first(found, Item::location), first(found, Item::resource))
    else {
        return Ok(None);
    };
    let slot = Slot { booking_id: hold_id(&freed.offer_id)?, start: freed.start, end: freed.end };
    if holds.hold(&freed.resource_id, &slot, resource.capacity).is_err() {
        return Ok(None);
    }
    let occasion = Occasion {
        business_id: freed.business_id.clone(),
        id: freed.offer_id.clone(),
        about: About::WaitlistOffer {
            entry_id: next.entry.id.clone(),
            resource_id: freed.resource_id.clone(),
            service_id: next.entry.service_id.clone(),
            start: freed.start,
            end: next.end,
            zone: location.zone_in(business).clone(),
            until: (now + business.waitlist_hold_minutes.duration()).min(freed.start),
        },
        recipient: Recipient::Client(next.entry.client_id.clone()),
        location_id: Some(freed.location_id.clone()),
        at: now,
        by: Source::System,
        notify: Notify::ByRules,
        channels: None,
        rules_version: rules_version(found),
        withdrawn: false,
        failures: Vec::new(),
    };
    let (status, offer) = (WaitlistStatus::Offered, Some(freed.offer_id.clone()));
    let entry = WaitlistEntry { status, offer, ..next.entry.clone() };
    Ok(Some(vec![
        Write { item: Item::Occasion(occasion), expect: Expect::Absent },
        Write { item: Item::WaitlistEntry(entry), expect: Expect::Version(next.version) },
    ]))
}
