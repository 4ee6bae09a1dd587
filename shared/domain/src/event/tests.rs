use super::*;
use crate::booking::{Notify, Operation, Source};
use crate::task::{Closed, TaskOutcome};
use rstest::rstest;
use serde::de::DeserializeOwned;
use serde_json::json;

fn read<T: DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

const NOW: &str = "2026-11-20T12:00:00Z";

fn booking() -> Booking {
    let made: Booking = read(json!({
        "business_id": "b", "id": "k", "location_id": "l", "resource_id": "r", "service_id": "s", "client_ids": ["c"],
        "start": "2026-11-24T10:00:00Z", "end": "2026-11-24T11:00:00Z", "zone": "Europe/Lisbon", "source": "staff",
        "status": "confirmed", "revision": 0, "time_revision": 0, "history": [],
    }));
    made.created(at(NOW), Notify::ByRules)
}

fn pending() -> Booking {
    Booking { status: crate::booking::Status::Pending, ..booking() }
}

fn done(before: &Booking, operation: Operation) -> Booking {
    before.after(operation, at("2026-11-20T13:00:00Z"), Source::Staff, Notify::ByRules).unwrap()
}

fn names(happened: Vec<Happened>) -> Vec<&'static str> {
    happened.into_iter().map(|(kind, _)| kind.name()).collect()
}

#[test]
fn a_booking_that_was_not_there_is_a_created_one() {
    assert_eq!(of_booking(None, &booking()), [(EventType::BookingCreated, Some(at(NOW)))]);
}

#[rstest]
#[case::confirm(Operation::Confirm, &["booking.confirmed"])]
#[case::reschedule(
    Operation::Reschedule { start: at("2026-11-25T10:00:00Z"), end: at("2026-11-25T11:00:00Z") },
    &["booking.rescheduled"],
)]
#[case::longer(
    Operation::Reschedule { start: at("2026-11-24T10:00:00Z"), end: at("2026-11-24T11:30:00Z") },
    &["booking.changed"],
)]
#[case::other_resource(
    Operation::Change { resource_id: "r2".parse().unwrap(), service_id: "s".parse().unwrap() },
    &["booking.changed"],
)]
#[case::clients_come_and_go(Operation::Participants(vec!["d".parse().unwrap()]), &["booking.changed"])]
#[case::asked(Operation::RequestConfirmation, &[])]
#[case::client_comes(Operation::Answer(true), &["booking.client_confirmed"])]
#[case::client_does_not(Operation::Answer(false), &["booking.client_declined"])]
#[case::cancel(Operation::Cancel, &["booking.cancelled"])]
#[case::no_show(Operation::NoShow, &["booking.no_show"])]
#[case::late(Operation::RunLate, &[])]
#[case::unconfirmed(Operation::StayUnconfirmed, &[])]
fn what_is_done_to_a_booking_is_an_event(#[case] operation: Operation, #[case] expected: &[&str]) {
    let before = pending();
    assert_eq!(names(of_booking(Some(&before), &done(&before, operation))), expected);
}

#[test]
fn a_visit_arrives_and_is_completed() {
    let before = booking();
    let arrived = done(&before, Operation::Arrive);
    assert_eq!(names(of_booking(Some(&before), &arrived)), ["booking.arrived"]);
    let completed = done(&arrived, Operation::Complete);
    assert_eq!(names(of_booking(Some(&arrived), &completed)), ["booking.completed"]);
    // Two changes seen as one, as when a record was given up in between.
    assert_eq!(names(of_booking(Some(&before), &completed)), ["booking.arrived", "booking.completed"]);
}

#[test]
fn an_edit_is_a_change_and_what_the_system_notes_is_none() {
    let before = booking();
    let noted = Booking { notes: Some("Likes tea".parse().unwrap()), ..before.clone() };
    assert_eq!(of_booking(Some(&before), &noted), [(EventType::BookingChanged, None)]);
    let replanned = Booking { rules_version: 7, ..before.clone() };
    assert_eq!(of_booking(Some(&before), &replanned), []);
    assert_eq!(of_booking(Some(&before), &before), [], "a record brought again");
}

#[test]
fn an_event_forgotten_by_the_history_is_not_taken_for_a_new_one() {
    let mut before = booking();
    for number in 0..40 {
        let operation = Operation::Change {
            resource_id: format!("r{number}").parse().unwrap(),
            service_id: "s".parse().unwrap(),
        };
        let after = before
            .after(
                operation,
                at(NOW) + jiff::SignedDuration::from_mins(number),
                Source::Staff,
                Notify::ByRules,
            )
            .unwrap();
        assert_eq!(names(of_booking(Some(&before), &after)), ["booking.changed"], "{number}");
        before = after;
    }
}

fn message(status: &str) -> Message {
    read(json!({
        "business_id": "b", "booking_id": "k", "id": "0123456789abcdef0123456789abcdef", "type": "reminder",
        "step": "24h before start", "revision": 1, "client_id": "c", "channel": "sms", "status": status,
        "due": "2026-11-23T10:00:00Z", "attempts": 1, "traces": [], "sent_at": "2026-11-23T10:00:01Z",
        "delivered_at": "2026-11-23T10:00:05Z", "read_at": "2026-11-23T10:01:00Z",
    }))
}

#[rstest]
#[case("planned", "suppressed", &["message.suppressed"])]
#[case("sending", "accepted", &["message.accepted"])]
#[case("accepted", "delivered", &["message.delivered"])]
#[case("delivered", "read", &["message.read"])]
#[case("accepted", "failed", &["message.failed"])]
#[case("failed", "delivered", &["message.delivered"])]
#[case("sending", "unknown", &["message.unknown"])]
#[case("accepted", "accepted", &[])]
#[case("planned", "deferred", &[])]
#[case("queued", "sending", &[])]
#[case("planned", "superseded", &[])]
#[case("suppressed", "planned", &[])]
fn where_a_message_stands_is_an_event_where_it_stood_otherwise(
    #[case] before: &str,
    #[case] after: &str,
    #[case] expected: &[&str],
) {
    assert_eq!(names(of_message(Some(&message(before)), &message(after))), expected);
}

#[test]
fn a_message_that_begins_its_life_withheld_is_told_of_and_one_that_waits_is_not() {
    assert_eq!(names(of_message(None, &message("suppressed"))), ["message.suppressed"]);
    assert_eq!(of_message(None, &message("planned")), []);
    let read = of_message(Some(&message("accepted")), &message("read"));
    assert_eq!(read, [(EventType::MessageRead, Some(at("2026-11-23T10:01:00Z")))]);
}

#[test]
fn a_task_is_created_and_closed_once() {
    let open: Task = read(json!({
        "business_id": "b", "id": "t", "kind": "running_late", "booking_id": "k", "client_ids": ["c"],
        "since": "2026-11-24T10:10:00Z",
    }));
    let end = Closed { at: at("2026-11-24T10:20:00Z"), outcome: TaskOutcome::Done };
    let closed = Task { closed: Some(end), ..open.clone() };
    assert_eq!(of_task(None, &open), [(EventType::TaskCreated, Some(open.since))]);
    assert_eq!(of_task(Some(&open), &closed), [(EventType::TaskClosed, Some(end.at))]);
    assert_eq!(of_task(Some(&closed), &closed), []);
    assert_eq!(names(of_task(None, &closed)), ["task.created", "task.closed"]);
}

#[test]
fn an_event_has_the_same_id_on_every_machine_and_another_for_each_version() {
    let business = "b".parse().unwrap();
    let id = |version, kind| event_id(&business, "BOOKING#k", version, kind).to_string();
    let first = id(3, EventType::BookingCancelled);
    // Written down: receivers know events they had by these.
    assert_eq!(first, "e71c29d9f4abc6c5b8e4ed61a6b985f4");
    assert_ne!(first, id(4, EventType::BookingCancelled));
    assert_ne!(first, id(3, EventType::BookingChanged));
}

#[rstest]
#[case("*", 18)]
#[case("booking.*", 10)]
#[case("message.*", 6)]
#[case("task.*", 2)]
#[case("booking.no_show", 1)]
fn a_filter_lets_through_what_it_names(#[case] filter: EventFilter, #[case] count: usize) {
    let wanted = EventType::ALL.iter().filter(|kind| **kind != EventType::WebhookTest);
    assert_eq!(wanted.filter(|kind| filter.takes(**kind)).count(), count);
}

#[rstest]
#[case("")]
#[case("book*")]
#[case("booking.c*")]
#[case("booking.")]
#[case("booking")]
#[case("clients.*")]
#[case("booking.paid")]
#[case("webhook.*")]
#[case("webhook.test")]
#[case("**")]
#[case("*.created")]
fn a_filter_that_lets_nothing_through_is_refused(#[case] text: &str) {
    assert_eq!(text.parse::<EventFilter>(), Err(InvalidEventFilter));
}

#[test]
fn every_type_is_written_as_it_is_named() {
    for kind in EventType::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), json!(kind.name()));
        assert_eq!(read::<EventType>(json!(kind.name())), *kind);
    }
}
