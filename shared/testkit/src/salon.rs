//! A salon in Lisbon: the default rules, sms taken, quiet from 23:00 to 08:00, a no-show half an hour after the end of the visit.

use app::change_booking::{Change, Manner, change_booking};
use app::create_booking::{By, MadeBooking, NewBooking, create_booking};
use app::edit_catalogue::Edit;
use app::error::AppError;
use app::once::{Done, Once};
use app::ports::{Item, Key, Refs};
use domain::booking::{Booking, Notify};
use domain::ids::{BookingId, BusinessId};
use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::world::World;

/// When the tests begin: a Friday at noon in Lisbon, where winter time is UTC.
pub const FRIDAY_NOON: &str = "2026-11-20T12:00:00Z";

/// A visit on the Tuesday after.
pub const TUESDAY_TEN: &str = "2026-11-24T10:00";

/// Where clients' own pages are.
pub const PAGES: &str = "https://pages.example";

/// The salon's id.
pub fn salon_id() -> BusinessId {
    parsed("salon")
}

/// What a text says: an id, an instant.
pub fn parsed<T: std::str::FromStr>(text: &str) -> T {
    text.parse().unwrap_or_else(|_| panic!("{text:?} is not what was expected"))
}

/// What JSON says.
pub fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// The salon on Friday at noon: one location, the specialist Marta, haircuts of an hour, and the clients `ana`, who can be reached on
/// every channel, `rui`, who has a phone only, `eva`, who has e-mail only, and `leo`, who has a device only.
pub fn salon() -> World {
    let world = World::new(parsed(FRIDAY_NOON));
    world.put(business("salon"));
    world
}

/// A business like the salon under another id, with the same ids within it.
pub fn business(id: &str) -> [Item; 9] {
    let secret: String = id.bytes().map(|byte| format!("{byte:02x}")).collect();
    [
        Item::Business(read(json!({
            "id": id, "name": "Salon Aurora", "zone": "Europe/Lisbon", "locale": "en", "sms_enabled": true,
            "quiet_hours": { "from": "23:00", "until": "08:00" }, "no_show_after_minutes": 30,
        }))),
        // Every business has keys of its own.
        Item::LinkKeys(read(json!({
            "business_id": id,
            "keys": [{ "id": 0, "secret": format!("{secret:0>64}"), "made_at": "2026-01-01T00:00:00Z" }],
        }))),
        Item::Location(read(
            json!({ "business_id": id, "id": "chiado", "name": "Chiado", "zone": "Europe/Lisbon" }),
        )),
        Item::Resource(read(json!({
            "business_id": id, "id": "marta", "location_id": "chiado", "name": "Marta", "kind": "specialist", "capacity": 1,
        }))),
        Item::Service(read(
            json!({ "business_id": id, "id": "haircut", "name": "Haircut", "duration_minutes": 60 }),
        )),
        Item::Client(read(json!({
            "business_id": id, "id": "ana", "name": "Ana", "phone": "+351912345678", "email": "ana@example.com",
            "devices": [{ "id": "phone", "platform": "fcm", "token": "token-1" }],
        }))),
        Item::Client(read(
            json!({ "business_id": id, "id": "rui", "name": "Rui", "phone": "+351912345679" }),
        )),
        Item::Client(read(
            json!({ "business_id": id, "id": "eva", "name": "Eva", "email": "eva@example.com" }),
        )),
        Item::Client(read(json!({
            "business_id": id, "id": "leo", "name": "Leo",
            "devices": [{ "id": "tablet", "platform": "apns", "token": "token-2" }],
        }))),
    ]
}

/// A booking by staff for one client with Marta, at a wall time in Lisbon.
pub fn haircut(client: &str, start: &str) -> NewBooking {
    read(json!({
        "location_id": "chiado", "resource_id": "marta", "service_id": "haircut", "client_ids": [client],
        "start": start, "source": "staff",
    }))
}

/// The same made by the client online.
pub fn online(client: &str, start: &str) -> NewBooking {
    NewBooking { source: By::Online, ..haircut(client, start) }
}

impl World {
    /// Makes a booking as the API does, with an idempotency key.
    ///
    /// # Errors
    /// What the caller has to mend.
    pub fn book(&self, key: &str, new: &NewBooking) -> Result<Done<Booking>, AppError> {
        let Done { value, etag } = self.make(key, new)?;
        Ok(Done { value: value.booking, etag })
    }

    /// The same, with what staff is told of it.
    ///
    /// # Errors
    /// What the caller has to mend.
    pub fn make(&self, key: &str, new: &NewBooking) -> Result<Done<MadeBooking>, AppError> {
        let once = Once::new(key, format!("{new:?}").as_bytes());
        self.request(|| async { create_booking(self, self, &salon_id(), new, Some(&once), self.now()).await })
    }

    /// Changes a booking as staff does through the API, with an idempotency key.
    ///
    /// # Errors
    /// What the caller has to mend.
    pub fn change(&self, key: &str, booking: &BookingId, change: Change) -> Result<Done<Booking>, AppError> {
        let once = Once::new(key, format!("{booking} {change:?}").as_bytes());
        self.request(|| async {
            let (business, manner) = (salon_id(), Manner { notify: Notify::ByRules, by: By::Staff });
            let change = change.clone();
            change_booking(self, (&business, booking), change, manner, None, Some(&once), self.now()).await
        })
    }

    /// A booking of the salon as it is.
    pub fn booking(&self, id: &BookingId) -> Booking {
        match self.get(&Key::Booking(salon_id(), id.clone())).map(|stored| stored.item) {
            Some(Item::Booking(booking)) => booking,
            other => panic!("no booking: {other:?}"),
        }
    }

    /// The salon's first booking of a client.
    pub fn booking_of(&self, client: &str) -> Option<Booking> {
        let mut bookings = self.bookings();
        bookings.retain(|booking| booking.client_ids.iter().any(|id| id.as_str() == client));
        bookings.into_iter().next()
    }

    /// Where the booking's facts are.
    pub fn refs(&self, id: &BookingId) -> Refs {
        Refs::from(&self.booking(id))
    }
}

/// What an edit of the salon's things brings along.
pub fn edit<'a>(business_id: &'a BusinessId, once: Option<&'a Once>, now: Timestamp) -> Edit<'a> {
    Edit { business_id, once, if_match: None, now }
}

/// A move to a wall time in Lisbon.
pub fn move_to(start: &str) -> Change {
    Change::Reschedule { start: read(json!(start)), end: None }
}

/// An instant.
pub fn instant(text: &str) -> Timestamp {
    parsed(text)
}
