//! Doing things once, and in the right order, however many ask at the same time.

use std::thread;

use serde_json::{Value, json};

use crate::http::{Answer, Http};
use crate::salon::{Salon, TOKYO};
use crate::stack::Stack;

/// Sends the same POST from several threads at once.
fn at_once(api: &Http, path: &str, bodies: &[Value]) -> Vec<Answer> {
    thread::scope(|scope| {
        let calls: Vec<_> = bodies.iter().map(|body| scope.spawn(|| api.post(path, body))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

fn made(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status == 201).count()
}

#[test]
fn the_same_request_with_the_same_key_is_done_once() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let keyed = salon.api.with("idempotency-key", "order-1");
    let body = salon.booking(&salon.day(2, "15:00"));
    let first = keyed.post("/v1/bookings", &body);
    assert_eq!(first.status, 201);
    let again = keyed.post("/v1/bookings", &body);
    assert_eq!(again, first, "the same answer to the letter");

    let mut other = body.clone();
    other["start"] = json!(salon.day(2, "18:00").datetime().to_string());
    let reused = keyed.post("/v1/bookings", &other);
    assert_eq!((reused.status, reused.problem()), (422, "idempotency-key-reused"));
    assert_eq!(reused.field(), "Idempotency-Key");
    let elsewhere = keyed.post("/v1/locations", &json!({ "name": "x", "zone": TOKYO }));
    assert_eq!((elsewhere.status, elsewhere.problem()), (422, "idempotency-key-reused"));

    // A change of a booking, too: without the key the second confirmation is refused.
    let mut online = salon.booking(&salon.day(3, "15:00"));
    online["source"] = json!("online");
    let pending = salon.book_with(&online);
    let confirm = salon.api.with("idempotency-key", "confirm-1");
    let path = format!("/v1/bookings/{pending}/confirm");
    let confirmed = confirm.post(&path, &json!({}));
    assert_eq!(confirmed.status, 200);
    assert_eq!(confirm.post(&path, &json!({})), confirmed);
    assert_eq!(salon.api.post(&path, &json!({})).status, 409);

    stack.settle();
    let id = first.id();
    assert_eq!(
        salon.sent("sms", &salon.client.phone).len(),
        3,
        "one for each booking, one for the confirmation"
    );
    assert_eq!(salon.timeline(&id)["booking"]["revision"], 1);
}

#[test]
fn two_equal_posts_at_the_same_time_make_one_booking() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let keyed = salon.api.with("idempotency-key", "twice");
    let body = salon.booking(&salon.day(2, "15:00"));
    let answers = at_once(&keyed, "/v1/bookings", &[body.clone(), body]);
    assert_eq!(made(&answers), 2, "{answers:?}");
    assert_eq!(answers[0], answers[1], "both get the one answer");

    let body = salon.booking(&salon.day(3, "15:00"));
    let answers = at_once(&salon.api, "/v1/bookings", &[body.clone(), body]);
    assert_eq!(made(&answers), 1, "without a key the second is an overlap: {answers:?}");
    let refused = answers.iter().find(|answer| answer.status != 201).unwrap();
    assert_eq!((refused.status, refused.problem(), refused.field()), (409, "overlap", "start"));
    stack.settle();
    assert_eq!(salon.sent("sms", &salon.client.phone).len(), 2);
}

#[test]
fn of_ten_posts_for_one_slot_as_many_are_taken_as_the_resource_holds() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for capacity in [1, 3] {
        let resource = salon.new_resource(capacity);
        let mut body = salon.booking(&salon.day(2, "15:00"));
        body["resource_id"] = json!(resource);
        // Each overlaps each other, none starts when another does.
        let bodies: Vec<Value> = (0..10)
            .map(|minute| {
                let mut body = body.clone();
                body["start"] = json!(salon.day(2, &format!("15:{minute:02}")).datetime().to_string());
                body
            })
            .collect();
        let answers = at_once(&salon.api, "/v1/bookings", &bodies);
        let taken = made(&answers);
        let outcome: Vec<_> = answers.iter().map(|answer| (answer.status, answer.problem())).collect();
        assert_eq!(taken, usize::try_from(capacity).unwrap(), "capacity {capacity}: {outcome:?}");
        for answer in answers.iter().filter(|answer| answer.status != 201) {
            assert_eq!((answer.status, answer.problem()), (409, "overlap"), "{outcome:?}");
        }
    }
    stack.settle();
    assert_eq!(salon.sent("sms", &salon.client.phone).len(), 4, "what was refused tells nobody");
}

#[test]
fn a_cancelled_or_moved_booking_frees_its_time() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let (three, four) = (salon.day(2, "15:00"), salon.day(2, "16:00"));
    let first = salon.post_booking(&salon.booking(&three));
    assert_eq!(salon.api.post("/v1/bookings", &salon.booking(&three)).problem(), "overlap");
    let moved = json!({ "start": four.datetime().to_string() });
    salon.try_to(&first, "reschedule", moved.clone()).ok();
    let second = salon.post_booking(&salon.booking(&three));
    let onto_the_first = salon.try_to(&second, "reschedule", moved);
    assert_eq!(
        (onto_the_first.status, onto_the_first.problem(), onto_the_first.field()),
        (409, "overlap", "start")
    );
    salon.try_to(&first, "cancel", json!({})).ok();
    salon.post_booking(&salon.booking(&four));
}

#[test]
fn a_change_to_what_was_read_long_ago_is_refused() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    let path = format!("/v1/bookings/{booking}");
    let etag = salon.api.get(&path).etag;
    assert_eq!(etag, "\"1\"");
    let guarded = salon.api.with("if-match", &etag);
    let move_to =
        |time: &str| json!({ "start": salon.day(2, time).datetime().to_string(), "notify": "none" });
    let moved = guarded.post(&format!("{path}/reschedule"), &move_to("17:00"));
    assert_eq!((moved.status, moved.etag.as_str()), (200, "\"2\""));
    let stale = guarded.post(&format!("{path}/reschedule"), &move_to("18:00"));
    assert_eq!((stale.status, stale.problem()), (412, "stale"));
    assert_eq!(guarded.post(&format!("{path}/cancel"), &json!({})).status, 412);
    assert_eq!(salon.timeline(&booking)["booking"]["revision"], 2);

    let path = format!("/v1/locations/{}", salon.location);
    let guarded = salon.api.with("if-match", &salon.api.get(&path).etag);
    let location = json!({ "name": "Chiado 2", "zone": TOKYO });
    assert_eq!(guarded.put(&path, &location).status, 200);
    assert_eq!(guarded.put(&path, &location).status, 412);
}

#[test]
fn what_a_bookings_state_does_not_allow_is_refused_and_the_state_is_named() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let mut hour = 0;
    let mut in_state = |operations: &[&str], source: &str| {
        hour += 1;
        let mut body = salon.booking(&salon.day(2, &format!("{hour:02}:00")));
        body["source"] = json!(source);
        let id = salon.post_booking(&body);
        for operation in operations {
            salon.try_to(&id, operation, json!({})).ok();
        }
        id
    };
    let moved = json!({ "start": salon.day(3, "15:00").datetime().to_string() });
    let all = ["confirm", "reschedule", "cancel", "arrive", "complete", "no-show"];
    let cases: [(&str, String, &[&str]); 6] = [
        ("pending", in_state(&[], "online"), &["complete"]),
        ("confirmed", in_state(&[], "staff"), &["confirm", "complete"]),
        (
            "arrived",
            in_state(&["arrive"], "staff"),
            &["confirm", "reschedule", "cancel", "arrive", "no-show"],
        ),
        ("completed", in_state(&["arrive", "complete"], "staff"), &all),
        ("cancelled", in_state(&["cancel"], "staff"), &all),
        (
            "no_show",
            in_state(&["no-show"], "staff"),
            &["confirm", "reschedule", "cancel", "complete", "no-show"],
        ),
    ];
    stack.settle();
    let before = salon.everything();
    for (state, booking, refused) in &cases {
        for operation in *refused {
            let body = if *operation == "reschedule" { moved.clone() } else { json!({}) };
            let answer = salon.try_to(booking, operation, body);
            assert_eq!(
                (answer.status, answer.problem()),
                (409, "illegal-transition"),
                "{operation} of a booking that is {state}"
            );
            let detail = answer.json["detail"].as_str().unwrap();
            assert!(detail.contains(state), "{operation} of a booking that is {state}: {detail}");
        }
    }
    stack.settle();
    assert_eq!(salon.everything(), before);
    assert_eq!(
        salon.change(&cases[5].1, "arrive", json!({}))["status"],
        "arrived",
        "a no-show may be corrected"
    );
}
