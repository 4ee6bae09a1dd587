//! Ten thousand messages that fall due at eight o'clock, at a provider that takes so many a second.

use std::fmt;

use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use testkit::salon::{parsed, read};
use testkit::world::{Call, Fault, Faults, World};

use crate::people::{Act, Visit, Year};
use crate::planted::Counter;
use crate::platform::{CONCURRENCY, Platform};
use crate::town::{Place, Shop, Town};
use crate::weather::Climate;

/// How many messages the provider takes in a second: what SES allows a new account.
/// <https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas.html>
pub const RATE: u32 = 14;

/// How many bookings a resource takes at a time.
const CAPACITY: u32 = 50;

/// What became of the burst.
#[derive(Debug)]
pub struct Drained {
    /// How many messages were due.
    pub due: u64,
    /// How many left.
    pub left: u64,
    /// From eight o'clock until the last had left.
    pub took: SignedDuration,
    /// Calls of ports from eight o'clock on.
    pub calls: u64,
    /// How often the provider refused one for being too many.
    pub throttled: u64,
}

impl fmt::Display for Drained {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { due, left, took, calls, throttled } = self;
        let seconds = took.as_secs_f64();
        writeln!(f, "{left} of {due} messages left in {seconds:.0} s on the world's clock")?;
        writeln!(
            f,
            "the provider takes {RATE} a second: {:.0} s at the least",
            *due as f64 / f64::from(RATE)
        )?;
        writeln!(f, "it was asked too often {throttled} times")?;
        write!(f, "{:.1} calls for each message", *calls as f64 / *left as f64)
    }
}

/// A provider with a rate.
#[derive(Debug, Default)]
struct Limited {
    second: i64,
    taken: u32,
}

impl Faults for Limited {
    fn next(&mut self, call: Call, wall: Timestamp) -> Option<Fault> {
        if !matches!(call, Call::Send(_)) {
            return None;
        }
        if wall.as_second() != self.second {
            *self = Self { second: wall.as_second(), taken: 0 };
        }
        self.taken += 1;
        (self.taken > RATE).then_some(Fault::Throttle)
    }
}

/// Lets so many messages fall due at once, and watches them leave.
pub fn burst(messages: u32) -> Drained {
    let instant = |text: &str| text.parse::<Timestamp>().expect("an instant");
    let (begin, eight) = (instant("2026-11-23T09:00:00Z"), instant("2026-11-24T08:00:00Z"));
    let (town, year) = full_house(messages, begin);
    let world = World::new(begin);
    world.put(town.items.iter().cloned());
    world.check_less();
    world.cancel_under_way();
    world.set_faults(Limited::default());
    let climate =
        Climate { faults: 0, refusals: 0, lost: 0, slow: 0, twice: 0, skew: 0, outages: Vec::new() };
    // Each sandbox keeps its share of the rate.
    let counter = Counter::new(&world, None).paced(RATE / CONCURRENCY as u32);
    let mut platform = Platform::new(&world, &counter, &town, Rng::with_seed(8), climate, year);
    platform.run_until(eight - SignedDuration::from_secs(1)).expect("it comes to eight o'clock");
    let (calls, sent) = (world.calls().len(), world.outbox().len());
    assert_eq!(sent, 0, "nothing leaves before eight");
    platform.run_until(Timestamp::MAX).expect("it comes to an end");
    let outbox = world.outbox();
    let last = outbox.last().map_or(eight, |sent| sent.at);
    let calls = (world.calls().len() - calls) as u64;
    let throttled = world.happened().values().sum();
    let took = last.duration_since(eight);
    Drained { due: u64::from(messages), left: outbox.len() as u64, took, calls, throttled }
}

/// A business with so many visits at half past nine, each with one reminder: two hours before, and so at the end of the night.
fn full_house(messages: u32, begin: Timestamp) -> (Town, Year) {
    let rule =
        |timing: &str| json!({ "enabled": true, "steps": [{ "timing": timing, "channels": ["email"] }] });
    let off =
        |timing: &str| json!({ "enabled": false, "steps": [{ "timing": timing, "channels": ["email"] }] });
    let rules = json!({ "business_id": "hall", "version": 1, "changed": {
        "reminder": rule("2h before start"), "booking_created": off("immediately"), "running_late": off("10m after start"),
    }});
    let mut items: Vec<serde_json::Value> = vec![
        json!({ "entity": "business", "id": "hall", "name": "Hall", "zone": "Europe/Lisbon", "locale": "en", "sms_enabled": true,
            "quiet_hours": { "from": "23:00", "until": "08:00", "channels": ["email"] } }),
        json!({ "entity": "location", "business_id": "hall", "id": "hall", "name": "Hall" }),
        json!({ "entity": "service", "business_id": "hall", "id": "show", "name": "Show", "duration_minutes": 60 }),
    ];
    for entity in ["rules", "rules_version"] {
        let mut item = rules.clone();
        item["entity"] = json!(entity);
        items.push(item);
    }
    let mut visits = Vec::new();
    let mut acts = Vec::new();
    let mut resources = Vec::new();
    for number in 0..messages {
        let (client, resource) = (format!("client-{number}"), format!("row-{}", number / CAPACITY));
        items.push(json!({
            "entity": "client", "business_id": "hall", "id": client, "name": "Ana", "email": format!("{client}@mail.example"),
        }));
        if number % CAPACITY == 0 {
            items.push(json!({
                "entity": "resource", "business_id": "hall", "id": resource, "location_id": "hall", "name": resource,
                "kind": "room", "capacity": CAPACITY,
            }));
            resources.push(parsed(&resource));
        }
        let new = read(json!({
            "location_id": "hall", "resource_id": resource, "service_id": "show", "client_ids": [client],
            "start": "2026-11-24T09:30", "source": "staff",
        }));
        visits.push(Visit {
            shop: 0,
            place: 0,
            new,
            booking: None,
            comes: None,
            marked: false,
            completed: false,
        });
        let at = begin + SignedDuration::from_millis(i64::from(number) * 500);
        acts.push((at, Act::Book(number as usize)));
    }
    let zone = jiff::tz::TimeZone::get("Europe/Lisbon").expect("a zone");
    let place = Place { id: parsed("hall"), zone, resources };
    let shop =
        Shop { id: parsed("hall"), places: vec![place], services: vec![parsed("show")], clients: Vec::new() };
    let town = Town { shops: vec![shop], items: items.into_iter().map(read).collect() };
    (town, Year { visits, acts, moments: Vec::new() })
}
