//! Who there is: businesses in several zones with their settings, and their clients. All drawn from the seed.

use app::ports::Item;
use domain::ids::{BusinessId, ClientId, LocationId, ResourceId, ServiceId};
use fastrand::Rng;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use testkit::salon::{parsed, read};

/// Zones that differ in offset, in hemisphere, in the size and the hour of the change of the clocks, or that have none.
const ZONES: [&str; 12] = [
    "Europe/Lisbon",
    "Europe/Berlin",
    "Europe/Moscow",
    "America/New_York",
    "America/Sao_Paulo",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Asia/Kathmandu",
    "Africa/Cairo",
    "Pacific/Chatham",
    "Asia/Tokyo",
];

/// Everybody.
pub struct Town {
    /// The businesses.
    pub shops: Vec<Shop>,
    /// What stands in the tables at the beginning.
    pub items: Vec<Item>,
}

/// A business.
pub struct Shop {
    /// Its id.
    pub id: BusinessId,
    /// Its locations.
    pub places: Vec<Place>,
    /// What can be booked.
    pub services: Vec<ServiceId>,
    /// Who comes.
    pub clients: Vec<ClientId>,
}

/// A location.
pub struct Place {
    /// Its id.
    pub id: LocationId,
    /// Its zone.
    pub zone: TimeZone,
    /// Who serves there.
    pub resources: Vec<ResourceId>,
}

/// One of several things.
pub fn pick<'a, T>(rng: &mut Rng, among: &'a [T]) -> &'a T {
    &among[rng.usize(..among.len())]
}

/// Whether something with so many chances in a hundred happens.
pub fn chance(rng: &mut Rng, percent: u32) -> bool {
    rng.u32(..100) < percent
}

/// Quiet hours as a business may set them, or none.
pub fn quiet_hours(rng: &mut Rng) -> Value {
    match rng.u32(..8) {
        0..4 => json!({ "from": "23:00", "until": "08:00" }),
        4 => json!({ "from": "21:30", "until": "09:00" }),
        5 => json!({ "from": "13:00", "until": "15:00" }),
        6 => json!({ "from": "22:00", "until": "07:00", "channels": ["email", "sms"] }),
        _ => Value::Null,
    }
}

/// A phone nobody else has.
pub fn phone(rng: &mut Rng) -> Value {
    json!(format!("+3519{:08}", rng.u32(..100_000_000)))
}

/// A device nobody else has.
pub fn device(rng: &mut Rng) -> Value {
    let number = rng.u32(..);
    json!({ "id": format!("device-{number}"), "platform": pick(rng, &["fcm", "apns"]), "token": format!("token-{number}") })
}

/// A town of so many businesses.
pub fn town(rng: &mut Rng) -> Town {
    let mut town = Town { shops: Vec::new(), items: Vec::new() };
    for number in 0..rng.u32(2..4) {
        let shop = shop(rng, &format!("shop-{number}"), &mut town.items);
        town.shops.push(shop);
    }
    town
}

fn shop(rng: &mut Rng, id: &str, items: &mut Vec<Item>) -> Shop {
    let zone = *pick(rng, &ZONES);
    let no_show = if chance(rng, 60) { json!(rng.u32(15..120)) } else { Value::Null };
    items.push(Item::Business(read(without_nulls(json!({
        "id": id, "name": "Salon Aurora", "zone": zone, "locale": pick(rng, &["en", "ru"]),
        "sms_enabled": chance(rng, 85), "quiet_hours": quiet_hours(rng), "no_show_after_minutes": no_show,
        "booking_url": "https://aurora.example/book", "review_url": "https://aurora.example/review",
    })))));
    let mut places = Vec::new();
    for number in 0..rng.u32(1..3) {
        let own_zone = if chance(rng, 25) { Some(*pick(rng, &ZONES)) } else { None };
        let quiet = if chance(rng, 25) { quiet_hours(rng) } else { Value::Null };
        let place_id = format!("place-{number}");
        items.push(Item::Location(read(without_nulls(json!({
            "business_id": id, "id": place_id, "name": "Chiado", "zone": own_zone, "quiet_hours": quiet,
        })))));
        let mut resources = Vec::new();
        for resource in 0..rng.u32(1..3) {
            let resource_id = format!("{place_id}-resource-{resource}");
            items.push(Item::Resource(read(json!({
                "business_id": id, "id": resource_id, "location_id": place_id, "name": "Marta", "kind": "specialist",
                "capacity": rng.u32(1..3),
            }))));
            resources.push(parsed(&resource_id));
        }
        let zone = TimeZone::get(own_zone.unwrap_or(zone)).expect("a zone that exists");
        places.push(Place { id: parsed(&place_id), zone, resources });
    }
    let mut services = Vec::new();
    for (service, minutes, again) in [("haircut", 60, Some("21d")), ("color", 120, None)] {
        items.push(Item::Service(read(without_nulls(json!({
            "business_id": id, "id": service, "name": service, "duration_minutes": minutes, "rebooking_after": again,
        })))));
        services.push(parsed(service));
    }
    let mut clients = Vec::new();
    for number in 0..rng.u32(6..16) {
        let client_id = format!("client-{number}");
        items.push(Item::Client(read(without_nulls(json!({
            "business_id": id, "id": client_id, "name": "Ana",
            "phone": if chance(rng, 85) { phone(rng) } else { Value::Null },
            "email": if chance(rng, 70) { json!(format!("{client_id}@{id}.example")) } else { Value::Null },
            "devices": if chance(rng, 50) { json!([device(rng)]) } else { json!([]) },
            "zone": if chance(rng, 10) { json!(pick(rng, &ZONES)) } else { Value::Null },
            "bans": { "channels": if chance(rng, 5) { json!([pick(rng, &["sms", "email", "push"])]) } else { json!([]) }, "types": [] },
        })))));
        clients.push(parsed(&client_id));
    }
    Shop { id: parsed(id), places, services, clients }
}

fn without_nulls(mut value: Value) -> Value {
    if let Value::Object(fields) = &mut value {
        fields.retain(|_, field| !field.is_null());
    }
    value
}

/// A type with a rule for it, as a business may set it.
pub fn rule(rng: &mut Rng) -> (&'static str, Value) {
    let all = [
        (
            "reminder",
            json!({ "enabled": true, "steps": [
            { "timing": "24h before start", "channels": ["push"] }, { "timing": "2h before start", "channels": ["sms", "email"] }] }),
        ),
        (
            "reminder",
            json!({ "enabled": true, "late": "send_now", "steps": [
            { "timing": "at 18:00 1d before", "channels": ["sms", "email"] }, { "timing": "30m before start", "channels": ["push"] }] }),
        ),
        (
            "reminder",
            json!({ "enabled": true, "strategy": "cascade", "quiet": "drop", "steps": [
            { "timing": "1d before start", "channels": ["push", "sms", "email"] }] }),
        ),
        (
            "reminder",
            json!({ "enabled": true, "quiet": "send", "steps": [{ "timing": "2h before start", "channels": ["sms"] }] }),
        ),
        (
            "reminder",
            json!({ "enabled": true, "while_pending": false, "late": "skip", "steps": [
            { "timing": "3h before start", "channels": ["sms", "push"] }, { "timing": "at 08:30 on the day", "channels": ["sms"] }] }),
        ),
        (
            "reminder",
            json!({ "enabled": false, "steps": [{ "timing": "2h before start", "channels": ["sms"] }] }),
        ),
        (
            "booking_created",
            json!({ "enabled": true, "strategy": "cascade", "steps": [
            { "timing": "immediately", "channels": ["push", "sms", "email"] }] }),
        ),
        (
            "booking_created",
            json!({ "enabled": true, "steps": [
            { "timing": "10m after", "channels": ["sms"], "sources": ["online"] },
            { "timing": "immediately", "channels": ["email"] }] }),
        ),
        (
            "booking_created",
            json!({ "enabled": false, "steps": [{ "timing": "immediately", "channels": ["email"] }] }),
        ),
        (
            "booking_confirmed",
            json!({ "enabled": true, "strategy": "cascade", "steps": [
            { "timing": "immediately", "channels": ["sms", "email"] }] }),
        ),
        (
            "booking_rescheduled",
            json!({ "enabled": true, "strategy": "cascade", "steps": [
            { "timing": "5m after", "channels": ["email", "push", "sms"] }] }),
        ),
        (
            "booking_cancelled",
            json!({ "enabled": true, "steps": [{ "timing": "immediately", "channels": ["sms", "email", "push"] }] }),
        ),
        (
            "booking_changed",
            json!({ "enabled": true, "steps": [{ "timing": "immediately", "channels": ["sms", "push"] }] }),
        ),
        (
            "confirmation_request",
            json!({ "enabled": true, "strategy": "cascade", "steps": [
            { "timing": "1d before start", "channels": ["sms", "email"] }] }),
        ),
        (
            "confirmation_request",
            json!({ "enabled": true, "steps": [
            { "timing": "at 12:00 2d before", "channels": ["sms", "push"] }] }),
        ),
        (
            "running_late",
            json!({ "enabled": true, "steps": [{ "timing": "15m after start", "channels": ["sms", "push"] }] }),
        ),
        (
            "running_late",
            json!({ "enabled": false, "steps": [{ "timing": "15m after start", "channels": ["sms"] }] }),
        ),
        (
            "missed_booking",
            json!({ "enabled": true, "steps": [{ "timing": "1h after", "channels": ["email", "sms"] }] }),
        ),
        (
            "no_show_recovery",
            json!({ "enabled": true, "after": ["cancelled", "no_show"], "steps": [
            { "timing": "2h after", "channels": ["sms", "email"] }] }),
        ),
        (
            "no_show_recovery",
            json!({ "enabled": true, "after": ["cancelled"], "strategy": "cascade", "steps": [
            { "timing": "3d after", "channels": ["push", "sms"] }] }),
        ),
        (
            "review_request",
            json!({ "enabled": true, "steps": [{ "timing": "1h after end", "channels": ["email", "push"] }] }),
        ),
        (
            "rebooking_reminder",
            json!({ "enabled": true, "strategy": "cascade", "steps": [
            { "timing": "per service", "channels": ["sms", "push", "email"] }] }),
        ),
        (
            "rebooking_reminder",
            json!({ "enabled": true, "steps": [{ "timing": "14d after end", "channels": ["email"] }] }),
        ),
    ];
    all[rng.usize(..all.len())].clone()
}
