//! What people do over the year: they book, move, cancel, come, come late or not at all; staff confirms, changes rules and client cards.

use app::change_booking::{BookingPatch, Change};
use app::create_booking::{By, NewBooking};
use domain::booking::Notify;
use domain::ids::BookingId;
use fastrand::Rng;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use testkit::salon::read;

use crate::town::{Place, Town, chance, device, phone, pick, quiet_hours, rule};

/// Something somebody does.
#[derive(Debug, Clone)]
pub enum Act {
    /// The visit of this number is booked.
    Book(usize),
    /// Something is done to it.
    Change(usize, Deed),
    /// The client comes, or is found not to have come.
    Attend(usize),
    /// Something is changed on the card of a shop's client.
    Card(usize, usize, Card),
    /// A shop changes the rule of a type; `true` for what is ahead already too.
    Rule(usize, &'static str, Option<Value>, bool),
    /// A shop changes its own settings.
    Shop(usize, Value),
    /// A shop changes the quiet hours of a location.
    Quiet(usize, usize, Value),
}

/// Something done to a booking.
#[derive(Debug, Clone)]
pub enum Deed {
    /// As the API takes it.
    Plain(Change),
    /// Moved by so much from where it is.
    Move(SignedDuration),
}

/// A change on a client card.
#[derive(Debug, Clone)]
pub enum Card {
    /// A channel is forbidden, or allowed again.
    BanChannel(&'static str),
    /// A type is forbidden, or allowed again.
    BanType(&'static str),
    /// The client answered STOP, or START.
    Stop,
    /// The e-mail address bounced.
    Bounce,
    /// Another phone; null takes it away.
    Phone(Value),
    /// Another e-mail address; null takes it away.
    Email(Value),
    /// Other devices.
    Devices(Value),
}

/// A visit to be.
pub struct Visit {
    /// Whose.
    pub shop: usize,
    /// Where.
    pub place: usize,
    /// What is asked for.
    pub new: NewBooking,
    /// The booking, once there is one.
    pub booking: Option<BookingId>,
    /// When the client comes, after the start; `None` does not come.
    pub comes: Option<SignedDuration>,
    /// Whether staff marks a no-show by hand.
    pub marked: bool,
    /// Whether staff says when it is over.
    pub completed: bool,
}

/// All that is going to be done, by time (UTC).
pub struct Year {
    /// The visits.
    pub visits: Vec<Visit>,
    /// The acts.
    pub acts: Vec<(Timestamp, Act)>,
    /// Moments at which trouble is interesting (UTC).
    pub moments: Vec<Timestamp>,
}

const MINUTE: SignedDuration = SignedDuration::from_mins(1);
const HOUR: SignedDuration = SignedDuration::from_hours(1);
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// A length of time between two others.
pub fn between(rng: &mut Rng, least: SignedDuration, most: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(rng.i64(least.as_secs()..=most.as_secs().max(least.as_secs())))
}

/// A wall time at a place, on the quarter of an hour, as the API takes it.
pub fn wall(at: Timestamp, zone: &TimeZone) -> String {
    let wall = at.to_zoned(zone.clone()).datetime();
    let quarter =
        DateTime::new(wall.year(), wall.month(), wall.day(), wall.hour(), wall.minute() / 15 * 15, 0, 0);
    quarter.unwrap_or(wall).strftime("%Y-%m-%dT%H:%M").to_string()
}

/// Draws a year with so many bookings.
pub fn year(rng: &mut Rng, town: &Town, bookings: u32, begin: Timestamp) -> Year {
    let mut year = Year { visits: Vec::new(), acts: Vec::new(), moments: Vec::new() };
    // Most of it happens on a few days, so that things meet.
    let days: Vec<Timestamp> = (0..10).map(|_| begin + DAY * rng.i32(1..350)).collect();
    for number in 0..bookings {
        let number = number as usize;
        let made = if chance(rng, 60) {
            *pick(rng, &days) + between(rng, SignedDuration::ZERO, DAY)
        } else {
            begin + between(rng, SignedDuration::ZERO, DAY * 355)
        };
        visit(rng, town, number, made, &mut year);
    }
    for (number, shop) in town.shops.iter().enumerate() {
        for _ in 0..rng.u32(4..12) {
            let at = *pick(rng, &year.moments) + between(rng, HOUR * -2, HOUR * 2);
            let act = match rng.u32(..10) {
                0..6 => {
                    let (kind, rule) = rule(rng);
                    let rule = chance(rng, 85).then_some(rule);
                    Act::Rule(number, kind, rule, chance(rng, 70))
                }
                6 => Act::Shop(number, json!({ "sms_enabled": chance(rng, 60) })),
                7 => Act::Shop(number, json!({ "quiet_hours": quiet_hours(rng) })),
                8 => Act::Shop(number, json!({ "no_show_after_minutes": rng.u32(10..200) })),
                _ => Act::Quiet(number, rng.usize(..shop.places.len()), quiet_hours(rng)),
            };
            year.acts.push((at.max(begin), act));
        }
    }
    year
}

fn visit(rng: &mut Rng, town: &Town, number: usize, made: Timestamp, year: &mut Year) {
    let shop_number = rng.usize(..town.shops.len());
    let shop = &town.shops[shop_number];
    let place_number = rng.usize(..shop.places.len());
    let place = &shop.places[place_number];
    let lead = match rng.u32(..20) {
        0..8 => between(rng, DAY, DAY * 4),
        8..12 => between(rng, HOUR * 2, DAY),
        12..14 => between(rng, MINUTE * 5, HOUR * 2),
        14 => between(rng, HOUR * -3, SignedDuration::ZERO),
        _ => between(rng, DAY * 4, DAY * 25),
    };
    let start = made + lead;
    let online = chance(rng, 50);
    let notify = pick(
        rng,
        &[json!("by_rules"), json!("by_rules"), json!("by_rules"), json!(true), json!(false), json!("none")],
    )
    .clone();
    let mut new = json!({
        "location_id": place.id, "resource_id": pick(rng, &place.resources), "service_id": pick(rng, &shop.services),
        "client_ids": clients(rng, shop.clients.len()).map(|client| &shop.clients[client]).collect::<Vec<_>>(),
        "start": wall(start, &place.zone), "source": if online { "online" } else { "staff" }, "notify": notify,
    });
    if chance(rng, 8) {
        new["reminders"] = own_reminders(rng);
    }
    let comes = match rng.u32(..20) {
        0..13 => Some(between(rng, MINUTE * -15, MINUTE * 8)),
        13..17 => Some(between(rng, MINUTE * 9, MINUTE * 45)),
        _ => None,
    };
    let (marked, completed) = (chance(rng, 40), chance(rng, 85));
    year.visits.push(Visit {
        shop: shop_number,
        place: place_number,
        new: read(new),
        booking: None,
        comes,
        marked,
        completed,
    });
    year.acts.push((made, Act::Book(number)));
    year.moments.extend([made, made, start - DAY, start - HOUR * 2, start, start + HOUR * 3]);
    follow(rng, number, (made, start), online, place, year);
    let when =
        |rng: &mut Rng| made + between(rng, SignedDuration::ZERO, start.duration_since(made).max(HOUR));
    if chance(rng, 20) {
        let client = rng.usize(..shop.clients.len());
        let at = when(rng);
        year.acts.push((at, Act::Card(shop_number, client, card(rng))));
    }
    if chance(rng, 20) {
        // Of one who comes.
        let id = &year.visits[number].new.client_ids[0];
        let client = shop.clients.iter().position(|client| client == id).unwrap_or(0);
        let at = when(rng);
        year.acts.push((at, Act::Card(shop_number, client, card(rng))));
    }
}

fn clients(rng: &mut Rng, among: usize) -> impl Iterator<Item = usize> + use<> {
    let first = rng.usize(..among);
    let second = (first + 1 + rng.usize(..among - 1)) % among;
    let two = chance(rng, 12);
    std::iter::once(first).chain(two.then_some(second))
}

fn own_reminders(rng: &mut Rng) -> Value {
    pick(
        rng,
        &[
            json!([]),
            json!(["3h before start"]),
            json!(["1d before start", "45m before start"]),
            json!(["at 09:00 on the day"]),
        ],
    )
    .clone()
}

/// What is done to a booking between its making and its start.
fn follow(
    rng: &mut Rng,
    number: usize,
    (made, start): (Timestamp, Timestamp),
    online: bool,
    place: &Place,
    year: &mut Year,
) {
    let ahead = start.duration_since(made).max(MINUTE * 10);
    let mut then = |at: Timestamp, deed: Deed| year.acts.push((at, Act::Change(number, deed)));
    if online && chance(rng, 85) {
        let at = made + between(rng, SignedDuration::from_secs(2), ahead.min(HOUR * 20));
        then(at, Deed::Plain(Change::Confirm));
    }
    for _ in 0..3 {
        // Often at once or soon after, where it meets what the change before has set off.
        let at = match rng.u32(..3) {
            0 => made + between(rng, SignedDuration::from_secs(1), MINUTE * 3),
            1 => made + between(rng, MINUTE, ahead.min(HOUR * 12)),
            _ => made + between(rng, MINUTE, ahead),
        };
        let deed = match rng.u32(..100) {
            0..16 => Deed::Move(between(rng, HOUR * -30, DAY * 3)),
            16..22 => Deed::Move(between(rng, HOUR * -3, HOUR * 3)),
            22..32 => Deed::Plain(Change::Cancel),
            32..38 => Deed::Plain(Change::RequestConfirmation),
            38..44 => Deed::Plain(Change::Answer(chance(rng, 70))),
            44..48 => Deed::Plain(edit(json!({ "resource_id": pick(rng, &place.resources) }))),
            48..52 => Deed::Plain(edit(json!({ "service_id": pick(rng, &["haircut", "color"]) }))),
            52..55 => Deed::Plain(edit(json!({ "reminders": own_reminders(rng) }))),
            _ => continue,
        };
        then(at, deed);
    }
    year.acts.push((start - MINUTE * 20, Act::Attend(number)));
}

fn edit(patch: Value) -> Change {
    Change::Edit(Box::new(read::<BookingPatch>(patch)))
}

fn card(rng: &mut Rng) -> Card {
    match rng.u32(..20) {
        0..2 => Card::BanChannel(pick::<&str>(rng, &["sms", "email", "push"])),
        2..4 => Card::BanType(pick::<&str>(
            rng,
            &["reminder", "booking_created", "booking_cancelled", "review_request"],
        )),
        4..6 => Card::Stop,
        6 => Card::Bounce,
        7..13 => Card::Phone(if chance(rng, 90) { phone(rng) } else { Value::Null }),
        13..16 => Card::Email(if chance(rng, 85) {
            json!(format!("new-{}@mail.example", rng.u32(..)))
        } else {
            Value::Null
        }),
        _ => Card::Devices(if chance(rng, 80) { json!([device(rng)]) } else { json!([]) }),
    }
}

/// How an act on a booking tells the client, and who does it.
pub fn manner(rng: &mut Rng) -> (Notify, By) {
    let notify = match rng.u32(..20) {
        0 => Notify::Yes,
        1 => Notify::NoSms,
        2 => Notify::Nothing,
        _ => Notify::ByRules,
    };
    (notify, if chance(rng, 30) { By::Online } else { By::Staff })
}
