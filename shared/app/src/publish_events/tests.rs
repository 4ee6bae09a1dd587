//! docs/events.md and docs/events.schema.json say what the code does. `WRITE_EVENTS=1 cargo test --package app events_are_documented` writes them anew.

use domain::booking::{Booking, Notify, Operation, Source};
use domain::event::EventType;
use domain::message::Message;
use domain::task::Task;
use serde_json::Value;

use super::*;
use crate::edit_webhooks::test_event;

const BUSINESS: &str = "01998a2f6c5e7a3b9d0e1f2a3b4c5d6e";
const MADE: &str = "2027-03-01T09:30:00Z";
const DONE: &str = "2027-03-01T16:05:00Z";

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn booking() -> Booking {
    let made: Booking = serde_json::from_value(json!({
        "business_id": BUSINESS, "id": "01998a2f7d6f7b4c8e1f2a3b4c5d6e7f", "location_id": "01998a2f0a1b7c2d8e3f4a5b6c7d8e9f",
        "resource_id": "01998a2f1b2c7d3e8f4a5b6c7d8e9fa0", "service_id": "01998a2f2c3d7e4f8a5b6c7d8e9fa0b1",
        "client_ids": ["01998a2f3d4e7f5a8b6c7d8e9fa0b1c2"], "start": "2027-03-02T10:00:00Z", "end": "2027-03-02T11:00:00Z",
        "zone": "Europe/Lisbon", "source": "online", "status": "pending", "revision": 0, "time_revision": 0, "history": [],
        "rules_version": 4, "price": { "minor": 4500, "currency": "EUR" },
    }))
    .unwrap();
    made.created(at(MADE), Notify::ByRules)
}

fn done(before: &Booking, operation: Operation) -> Booking {
    before.after(operation, at(DONE), Source::Staff, Notify::ByRules).unwrap()
}

fn message(status: &str) -> Message {
    let mut message = json!({
        "business_id": BUSINESS, "booking_id": booking().id, "id": "383eba220f62f457c26b2634366ae8bb", "type": "reminder",
        "step": "24h before start", "revision": 1, "client_id": "01998a2f3d4e7f5a8b6c7d8e9fa0b1c2", "channel": "sms",
        "status": status, "due": "2027-03-01T10:00:00Z", "attempts": 1, "segments": 1, "traces": [],
        "text": "See you tomorrow", "address": "+351912345678",
    });
    if status != "suppressed" {
        message["sent_at"] = "2027-03-01T10:00:01Z".into();
    }
    match status {
        "suppressed" => (message["reason"], message["attempts"]) = ("no_address".into(), 0.into()),
        "failed" => message["reason"] = "not_delivered".into(),
        "delivered" | "read" => message["delivered_at"] = "2027-03-01T10:00:04Z".into(),
        _ => {}
    }
    if status == "read" {
        message["read_at"] = "2027-03-01T10:12:30Z".into();
    }
    serde_json::from_value(message).unwrap()
}

fn task(closed: bool) -> Task {
    let mut task = json!({
        "business_id": BUSINESS, "id": "01998a2f4e5f7a6b8c7d8e9fa0b1c2d3", "kind": "client_reply", "booking_id": booking().id,
        "client_ids": ["01998a2f3d4e7f5a8b6c7d8e9fa0b1c2"], "since": DONE, "text": "Can I come an hour later?",
    });
    if closed {
        task["closed"] = json!({ "at": "2027-03-01T16:20:00Z", "outcome": "done" });
    }
    serde_json::from_value(task).unwrap()
}

/// A change that makes an event of this type.
fn example(kind: EventType) -> Option<Change> {
    let confirmed = || done(&booking(), Operation::Confirm);
    let arrived = || done(&confirmed(), Operation::Arrive);
    let move_it =
        Operation::Reschedule { start: at("2027-03-03T15:00:00Z"), end: at("2027-03-03T16:00:00Z") };
    let another = Operation::Change {
        resource_id: "01998a2f5f607b7c8d8e9fa0b1c2d3e4".parse().unwrap(),
        service_id: booking().service_id,
    };
    let of_booking = |before: Booking, operation| {
        let after = done(&before, operation);
        (Some(Item::Booking(before)), Item::Booking(after))
    };
    let of_message =
        |before: &str, after: &str| (Some(Item::Message(message(before))), Item::Message(message(after)));
    let (before, after) = match kind {
        EventType::BookingCreated => (None, Item::Booking(booking())),
        EventType::BookingConfirmed => of_booking(booking(), Operation::Confirm),
        EventType::BookingRescheduled => of_booking(confirmed(), move_it),
        EventType::BookingChanged => of_booking(confirmed(), another),
        EventType::BookingClientConfirmed => of_booking(confirmed(), Operation::Answer(true)),
        EventType::BookingClientDeclined => of_booking(confirmed(), Operation::Answer(false)),
        EventType::BookingCancelled => of_booking(confirmed(), Operation::Cancel),
        EventType::BookingArrived => of_booking(confirmed(), Operation::Arrive),
        EventType::BookingCompleted => of_booking(arrived(), Operation::Complete),
        EventType::BookingNoShow => of_booking(confirmed(), Operation::NoShow),
        EventType::MessageAccepted => of_message("sending", "accepted"),
        EventType::MessageDelivered => of_message("accepted", "delivered"),
        EventType::MessageRead => of_message("delivered", "read"),
        EventType::MessageFailed => of_message("accepted", "failed"),
        EventType::MessageUnknown => of_message("sending", "unknown"),
        EventType::MessageSuppressed => (None, Item::Message(message("suppressed"))),
        EventType::TaskCreated => (None, Item::Task(task(false))),
        EventType::TaskClosed => (Some(Item::Task(task(false))), Item::Task(task(true))),
        EventType::WebhookTest => return None,
    };
    Some(Change { before, after, version: 3, at: at("2027-03-01T16:05:01Z") })
}

fn event(kind: EventType) -> Event {
    match example(kind) {
        Some(change) => match &events_of(&change)[..] {
            [event] if event.kind == kind => event.clone(),
            other => panic!("{kind}: {other:?}"),
        },
        None => test_event(
            "0f62f457c26b2634366ae8bb383eba22".parse().unwrap(),
            &BUSINESS.parse().unwrap(),
            &"01998a2f6071708c9d8e9fa0b1c2d3e4".parse().unwrap(),
            at(DONE),
        ),
    }
}

fn check(name: &str, text: &str) {
    let path = format!("{}/../../docs/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("WRITE_EVENTS").is_some() {
        std::fs::write(&path, text).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap();
    assert!(written == text, "docs/{name} is behind the code");
}

#[test]
fn events_are_documented_with_one_example_of_each() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/events.md");
    let mut text = std::fs::read_to_string(path).unwrap();
    for kind in EventType::ALL {
        let event = event(*kind);
        let shown = serde_json::to_string_pretty(&event).unwrap();
        assert!(
            !shown.contains("+351912345678") && !shown.contains("See you") && !shown.contains("Can I come")
        );
        assert_eq!(serde_json::from_str::<Event>(&shown).unwrap(), event);
        let heading = format!("\n### `{kind}`\n");
        let place = text.find(&heading).unwrap_or_else(|| panic!("docs/events.md has no {kind}"));
        let from = place + text[place..].find("```json\n").unwrap() + "```json\n".len();
        let until = from + text[from..].find("```\n").unwrap();
        text.replace_range(from..until, &format!("{shown}\n"));
    }
    assert_eq!(text.matches("\n### `").count(), EventType::ALL.len(), "it shows no others");
    check("events.md", &text);
}

#[test]
fn events_are_documented_by_a_schema_of_their_envelope() {
    let schema = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Event",
        "type": "object",
        "required": ["id", "type", "at", "business_id", "data"],
        "properties": {
            "id": { "type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$" },
            "type": { "type": "string", "examples": EventType::ALL },
            "at": { "type": "string", "format": "date-time" },
            "business_id": { "type": "string", "pattern": "^[0-9A-Za-z_-]{1,64}$" },
            "data": { "type": "object" },
        },
    });
    for kind in EventType::ALL {
        let event = json!(event(*kind));
        let fields: BTreeSet<&String> = event.as_object().unwrap().keys().collect();
        let known: BTreeSet<&String> = schema["properties"].as_object().unwrap().keys().collect();
        assert_eq!(fields, known);
        assert!(
            event["data"].is_object() && schema["required"].as_array().map(Vec::len) == Some(fields.len())
        );
    }
    let text: Value = schema;
    check("events.schema.json", &(serde_json::to_string_pretty(&text).unwrap() + "\n"));
}
