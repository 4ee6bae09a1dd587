//! How long planning a booking, deciding on a message and rendering it take.
//!
//! `cargo bench -p domain` measures wall time. `domain --repeat plan 1000` runs a thousand plans and nothing else, for counting
//! instructions: `cargo xtask bench domain` does both.

// A benchmark's fixture is as much a test as a test's.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::hint::black_box;

use criterion::Criterion;
use domain::channel::Channel;
use domain::compose::compose;
use domain::decide::decide;
use domain::facts::{Facts, Subject};
use domain::message::{Message, MessageStatus};
use domain::notification_type::NotificationType;
use domain::plan::{Outcome, plan};
use jiff::Timestamp;
use serde_json::{Value, json};

/// A busy booking, the instant it is planned at, and a reminder of it that has come due.
struct Fixture {
    facts: Facts,
    now: Timestamp,
    message: Message,
    due: Timestamp,
}

/// Made, confirmed, moved and found late, under ten rules of its business's own on three channels each.
fn fixture() -> Fixture {
    let on = |timings: &[&str]| -> Value {
        let step = |timing: &&str| json!({"timing": timing, "channels": ["email", "sms", "push"]});
        json!({"enabled": true, "steps": timings.iter().map(step).collect::<Vec<_>>(), "after": ["cancelled", "no_show"]})
    };
    let rules = json!({"business_id": "b", "version": 12, "changed": {
        "booking_created": on(&["immediately"]),
        "booking_confirmed": on(&["immediately"]),
        "booking_rescheduled": on(&["immediately"]),
        "booking_changed": on(&["immediately"]),
        "confirmation_request": on(&["1d before start"]),
        "reminder": on(&["at 18:00 1d before", "24h before start", "2h before start"]),
        "running_late": on(&["10m after start"]),
        "staff_booking_created": on(&["immediately"]),
        "staff_booking_changed": on(&["immediately"]),
        "staff_unconfirmed": on(&["3h before start"]),
    }});
    let booking = json!({
        "business_id": "b", "id": "k", "location_id": "l", "resource_id": "r", "service_id": "s", "client_ids": ["c"],
        "start": "2026-11-23T10:00:00Z", "end": "2026-11-23T11:00:00Z", "zone": "Europe/Lisbon",
        "source": "staff", "status": "confirmed", "revision": 3, "time_revision": 3,
        "history": [
            {"kind": "created", "revision": 1, "at": "2026-11-20T12:00:00Z", "by": "staff", "notify": true},
            {"kind": "confirmed", "revision": 2, "at": "2026-11-20T13:00:00Z", "by": "staff"},
            {"kind": "rescheduled", "revision": 3, "at": "2026-11-20T23:30:00Z", "by": "staff"},
            {"kind": "running_late", "revision": 3, "at": "2026-11-23T10:10:00Z", "by": "system"},
        ],
    });
    let facts = Facts {
        business: read(json!({
            "id": "b", "name": "Salon Aurora", "zone": "Europe/Lisbon", "locale": "en", "sms_enabled": true,
            "phone": "+351210000000", "booking_url": "https://aurora.example/book",
            "quiet_hours": {"from": "23:00", "until": "08:00"},
        })),
        rules: read(rules),
        subject: Subject::Booking(read(booking)),
        campaign: None,
        location: Some(read(
            json!({"business_id": "b", "id": "l", "name": "Chiado", "zone": "Europe/Lisbon"}),
        )),
        resource: Some(read(json!({
            "business_id": "b", "id": "r", "location_id": "l", "name": "Marta", "kind": "specialist", "capacity": 1,
            "staff_ids": ["m"],
        }))),
        service: Some(read(
            json!({"business_id": "b", "id": "s", "name": "Haircut", "duration_minutes": 60}),
        )),
        staff: vec![read(json!({
            "business_id": "b", "id": "m", "name": "Marta", "phone": "+351912345679", "email": "marta@example.com",
            "devices": [{"id": "e", "platform": "fcm", "token": "u"}],
        }))],
        clients: vec![read(json!({
            "business_id": "b", "id": "c", "name": "Ana", "phone": "+351912345678", "email": "ana@example.com",
            "devices": [{"id": "d", "platform": "fcm", "token": "t"}],
        }))],
    };
    let now = "2026-11-20T23:30:01Z".parse().unwrap();
    let planned = plan(&facts, now).messages;
    let leaves = |outcome| match outcome {
        Outcome::Leaves(due) | Outcome::Deferred(due) => Some(due),
        Outcome::Withheld(..) => None,
    };
    let reminder = planned
        .iter()
        .filter(|message| message.kind == NotificationType::Reminder && message.channel == Channel::Sms)
        .find_map(|message| Some((message, leaves(message.outcome)?)));
    let Some((planned, due)) = reminder else { panic!("no reminder leaves by sms") };
    let message = Message {
        business_id: facts.business.id.clone(),
        subject: facts.subject_id(),
        id: planned.id.clone(),
        kind: planned.kind,
        step: planned.step.clone(),
        revision: planned.revision,
        recipient: planned.recipient.clone(),
        channel: planned.channel,
        status: MessageStatus::Queued,
        reason: None,
        due,
        sent_at: None,
        delivered_at: None,
        read_at: None,
        undelivered_at: None,
        address: None,
        text: None,
        segments: None,
        estimate: None,
        provider_id: None,
        attempts: 0,
        may_have_left: false,
        lease: None,
        traces: vec![planned.trace.clone()],
    };
    Fixture { facts, now, message, due }
}

fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// A call that is measured.
type Call = fn(&Fixture);

/// What is measured, by name.
const MEASURED: [(&str, Call); 5] = [
    ("plan", |fixture| {
        black_box(plan(black_box(&fixture.facts), fixture.now));
    }),
    ("decide", |fixture| {
        black_box(decide(black_box(&fixture.facts), &fixture.message, false, fixture.due));
    }),
    ("render_sms", |fixture| render_on(fixture, Channel::Sms)),
    ("render_push", |fixture| render_on(fixture, Channel::Push)),
    ("render_email", |fixture| render_on(fixture, Channel::Email)),
];

fn render_on(fixture: &Fixture, channel: Channel) {
    let Fixture { facts, message, .. } = black_box(fixture);
    black_box(compose(facts, &message.recipient, message.kind, channel, None, None, None).unwrap());
}

fn main() {
    let fixture = fixture();
    let args: Vec<String> = std::env::args().skip(1).collect();
    if let [repeat, name, times] = args.as_slice()
        && repeat == "--repeat"
    {
        let Some((_, run)) = MEASURED.iter().find(|(known, _)| known == name) else {
            panic!("there is no {name}")
        };
        (0..times.parse().unwrap()).for_each(|_: u32| run(&fixture));
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    for (name, run) in MEASURED {
        criterion.bench_function(name, |bencher| bencher.iter(|| run(&fixture)));
    }
    criterion.final_summary();
}
