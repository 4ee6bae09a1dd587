//! What is new beside a booking's own news: staff, occasions, series, the waitlist, settings that are rolled out, own texts, a cascade.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::http::Http;
use crate::salon::{Salon, TOKYO};
use crate::stack::{Stack, list};

/// Makes a staff member with an e-mail address of the test's own.
fn staff(api: &Http, email: &str) -> String {
    api.post("/v1/staff", &json!({ "name": "Rui", "email": email })).id()
}

/// A manager of the salon's location, and a specialist who serves with its resource.
fn with_staff(salon: &Salon<'_>, manager: &str, specialist: &str) {
    let (manager, specialist) = (staff(&salon.api, manager), staff(&salon.api, specialist));
    let zone = salon.zone.iana_name().unwrap();
    let location = json!({ "name": "Chiado", "zone": zone, "address": "Rua 10", "manager_ids": [manager] });
    salon.api.put(&format!("/v1/locations/{}", salon.location), &location).ok();
    let resource = json!({
        "name": "Ines", "kind": "specialist", "location_id": salon.location, "capacity": 1, "staff_ids": [specialist],
    });
    salon.api.put(&format!("/v1/resources/{}", salon.resource), &resource).ok();
}

fn subjects(salon: &Salon<'_>, email: &str) -> Vec<String> {
    salon.sent("email", email).iter().map(|entry| entry["subject"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn s33_s53_s70_staff_hear_of_bookings_and_managers_of_clients_who_do_not_confirm() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let (manager, specialist) = ("manager1@example.com", "specialist1@example.com");
    with_staff(&salon, manager, specialist);
    let on = json!({ "enabled": true, "steps": [{ "timing": "1d before start", "channels": ["sms"] }] });
    salon.api.put("/v1/rules/confirmation_request", &on).ok();
    let booking = salon.book(&salon.day(2, "15:00"));
    assert_eq!(subjects(&salon, specialist).len(), 1, "the booking was made");
    assert_eq!(subjects(&salon, manager).len(), 1);
    salon.run_to(&salon.day(1, "16:00"));
    assert_eq!(salon.statuses(&booking, "confirmation_request"), ["sms accepted"]);
    assert_eq!(
        salon.timeline(&booking)["booking"]["confirmation"],
        "requested",
        "having been asked is a fact"
    );
    salon.run_to(&salon.day(2, "12:30"));
    assert_eq!(subjects(&salon, manager).len(), 2, "three hours before, nobody has confirmed");
    assert_eq!(subjects(&salon, specialist).len(), 1, "that is the managers' matter");
    let tasks = salon.tasks();
    assert_eq!(tasks.iter().filter(|task| task["kind"] == "unconfirmed").count(), 1, "{tasks:?}");
    salon.change(&booking, "confirmation", json!({ "confirmed": true }));
    assert_eq!(salon.timeline(&booking)["booking"]["confirmation"], "confirmed");
    salon.change(&booking, "cancel", json!({}));
    assert_eq!(subjects(&salon, specialist).len(), 2, "cancelled");
}

#[test]
fn s40_staff_asks_by_hand_although_the_type_is_off() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    assert_eq!(
        salon.statuses(&booking, "confirmation_request"),
        ["email suppressed switched_off", "sms suppressed switched_off"],
        "off by default, and the timeline says so"
    );
    salon.change(&booking, "request-confirmation", json!({}));
    let left: Vec<String> =
        salon.left().into_iter().filter(|line| line.contains("confirmation_request")).collect();
    assert_eq!(left, ["0 10:00 confirmation_request email", "0 10:00 confirmation_request sms"]);
}

#[test]
fn s16_s22_s42_s76_occasions_go_from_a_request_to_the_outbox() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let of_client = format!("/v1/clients/{}", salon.client.id);
    let mut made = Vec::new();
    let mut post = |path: &str, body: Value| {
        made.push(salon.api.post(path, &body).id());
        stack.settle();
    };
    let money = json!({ "minor": 1500, "currency": "EUR" });
    post(
        &format!("{of_client}/account-operations"),
        json!({ "operation": "penalty_charged", "amount": money }),
    );
    post(&format!("{of_client}/bonuses"), json!({ "bonus": "birthday_gift", "amount": { "points": 100 } }));
    post(&format!("{of_client}/messages"), json!({ "channels": ["sms"], "text": "Your scarf is here." }));
    post(
        "/v1/verification-codes",
        json!({ "client_id": salon.client.id, "channel": "sms", "code": "482913" }),
    );
    let sms: Vec<String> = salon
        .sent("sms", &salon.client.phone)
        .iter()
        .map(|entry| entry["text"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(sms.len(), 4, "{sms:?}");
    assert!(sms[0].contains("15.00") && sms[1].contains("100"), "{sms:?}");
    assert!(sms[2].contains("Your scarf is here.") && sms[3].contains("482913"), "{sms:?}");
    assert_eq!(salon.sent("email", &salon.client.email).len(), 2, "account operation and bonus");
    let timeline = salon.api.get(&format!("/v1/occasions/{}/timeline", made[2])).ok();
    assert_eq!(timeline["messages"][0]["status"], "accepted");
    assert_eq!(timeline["messages"][0]["segments"], 1);
}

#[test]
fn a_series_is_told_once_and_each_visit_is_reminded() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let mut body = salon.booking(&salon.day(2, "15:00"));
    body["every"] = json!("7d");
    body["count"] = json!(3);
    let series = salon.api.post("/v1/series", &body).ok();
    stack.settle();
    let bookings: Vec<String> = list(series["bookings"].clone())
        .iter()
        .map(|booking| booking["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(bookings.len(), 3);
    let created = |booking: &String| salon.statuses(booking, "booking_created");
    assert_eq!(created(&bookings[0]), ["email accepted", "sms accepted", "push accepted"]);
    assert_eq!(created(&bookings[1]), Vec::<String>::new());
    for booking in &bookings {
        assert_eq!(salon.statuses(booking, "reminder").len(), 3);
    }
    assert!(salon.sent("sms", &salon.client.phone)[0]["text"].as_str().unwrap().contains('3'));
}

#[test]
fn a_time_that_comes_free_is_offered_in_turn() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let (first, second) = (salon.new_client(), salon.new_client());
    let visit = salon.day(2, "15:00");
    let booking = salon.book(&visit);
    let wait = |client: &str| {
        let body = json!({
            "client_id": client, "location_id": salon.location, "service_id": salon.service,
            "from": salon.day(1, "09:00").datetime().to_string(), "until": salon.day(3, "18:00").datetime().to_string(),
        });
        salon.api.post("/v1/waitlist", &body).id()
    };
    let (one, other) = (wait(&first.id), wait(&second.id));
    salon.change(&booking, "cancel", json!({}));
    assert_eq!(salon.sent("sms", &first.phone).len(), 1, "the first in turn");
    assert_eq!(salon.sent("sms", &second.phone), Vec::<Value>::new());
    assert_eq!(salon.api.post("/v1/bookings", &salon.booking(&visit)).status, 409, "it is held");
    // Nobody takes it within the hour.
    stack.run_on(SignedDuration::from_mins(62));
    assert_eq!(salon.api.get(&format!("/v1/waitlist/{one}")).ok()["status"], "closed");
    assert_eq!(salon.sent("sms", &second.phone).len(), 1, "the next in turn");
    let taken = salon.api.post(&format!("/v1/waitlist/{other}/accept"), &json!({}));
    assert!(taken.status == 200 || taken.status == 201, "{taken:?}");
    assert_eq!(salon.api.get(&format!("/v1/waitlist/{other}")).ok()["status"], "booked");
}

#[test]
fn s4_a_cascade_uses_the_first_channel_that_works() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let rule = json!({ "enabled": true, "strategy": "cascade",
        "steps": [{ "timing": "immediately", "channels": ["push", "sms", "email"] }] });
    salon.api.put("/v1/rules/booking_created", &rule).ok();
    let served = salon.book(&salon.day(2, "11:00"));
    assert_eq!(
        salon.statuses(&served, "booking_created"),
        ["email suppressed cascade", "sms suppressed cascade", "push accepted"]
    );
}

#[test]
fn changed_rules_are_for_new_bookings_or_are_rolled_out_to_all_that_are_ahead() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let bookings: Vec<String> =
        (2..8).map(|day| salon.post_booking(&salon.booking(&salon.day(day, "15:00")))).collect();
    stack.settle();
    let rule = json!({ "enabled": true, "steps": [{ "timing": "3h before start", "channels": ["sms"] }] });
    let diff = salon.api.put("/v1/rules/reminder?dry_run=true", &rule).ok();
    assert_eq!((&diff["bookings"], &diff["complete"]), (&json!(6), &json!(true)), "{diff}");
    assert_eq!(diff["messages"]["vanish"], 12, "two pushes each: {diff}");
    assert_eq!(
        salon.api.get("/v1/rules/reminder").ok()["steps"].as_array().unwrap().len(),
        3,
        "nothing was written"
    );
    salon.api.put("/v1/rules/reminder", &rule).ok();
    stack.settle();
    let planned = ["push planned", "sms planned", "push planned"];
    assert_eq!(salon.statuses(&bookings[0], "reminder"), planned, "for new bookings only");
    let later = salon.book(&salon.day(9, "15:00"));
    assert_eq!(salon.statuses(&later, "reminder"), ["sms planned"]);
    salon.api.put("/v1/rules/reminder?apply=all_upcoming", &rule).ok();
    stack.settle();
    for booking in &bookings {
        let mut statuses = salon.statuses(booking, "reminder");
        statuses.sort();
        assert_eq!(statuses, ["push superseded", "push superseded", "sms planned", "sms superseded"]);
    }
    let rollout = salon.api.get("/v1/rollout").ok();
    assert_eq!((&rollout["done"], &rollout["bookings"]), (&json!(true), &json!(7)), "{rollout}");
}

#[test]
fn s5_s9_s11_s69_own_texts_leave_and_confirmed_bookings_come_with_a_calendar_file() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let own = json!({
        "texts": [{ "channel": "sms", "locale": "en", "text": "💈 {{ client.name }}, {{ booking.time }}!" }],
        "blocks": [{ "locale": "en", "text": "Bring your own towel.", "image": "https://aurora.example/towel.png",
                     "link": { "label": "How to find us", "url": "https://aurora.example/way" } }],
    });
    salon.api.put("/v1/templates/booking_created", &own).ok();
    salon.book(&salon.day(2, "15:00"));
    assert_eq!(salon.sent("sms", &salon.client.phone)[0]["text"], "💈 Maria Silva, 15:00!");
    let mail = &salon.sent("email", &salon.client.email)[0];
    let text = mail["text"].as_str().unwrap();
    assert!(text.contains("Bring your own towel.") && text.contains("https://aurora.example/way"), "{text}");
    let file = &mail["attachments"][0];
    assert_eq!(file["name"], "visit.ics", "{mail}");
    let wrong =
        json!({ "texts": [{ "channel": "sms", "locale": "en", "text": "Hello {{ client.surname }}" }] });
    let refused = salon.api.put("/v1/templates/booking_created", &wrong);
    assert_eq!(refused.status, 422);
    let problem = refused.text;
    assert!(problem.contains("texts[0].text") && problem.contains("line 1"), "{problem}");
    salon.book(&salon.day(2, "17:00"));
    assert_eq!(
        salon.sent("sms", &salon.client.phone)[1]["text"],
        "💈 Maria Silva, 17:00!",
        "the last good one stays"
    );
}

#[test]
fn a_booking_is_tried_before_it_is_made() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let before = salon.everything();
    let body = salon.booking(&salon.day(2, "15:00"));
    let tried = salon.api.post("/v1/bookings?dry_run=true", &body).ok();
    assert_eq!(salon.everything(), before, "nothing is written");
    let leaves: Vec<(String, String)> = list(tried["messages"].clone())
        .iter()
        .filter(|message| message["status"] != "suppressed")
        .map(|message| {
            (message["type"].as_str().unwrap().to_owned(), message["channel"].as_str().unwrap().to_owned())
        })
        .collect();
    let booking = salon.book_with(&body);
    let made: Vec<(String, String)> = salon
        .messages(&booking)
        .iter()
        .filter(|message| message["status"] != "suppressed")
        .map(|message| {
            (message["type"].as_str().unwrap().to_owned(), message["channel"].as_str().unwrap().to_owned())
        })
        .collect();
    assert_eq!(leaves.len(), 6, "{tried}");
    assert_eq!(leaves, made, "what was foretold is what is planned");
}

#[test]
fn s38_staff_is_warned_that_the_client_has_been_told_already() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let body = salon.booking(&salon.day(2, "15:00"));
    let booking = salon.book_with(&body);
    salon.change(&booking, "cancel", json!({}));
    let again = salon.api.post("/v1/bookings", &body).ok();
    assert_eq!(again["warnings"][0]["kind"], "already_told", "{again}");
    assert_eq!(again["warnings"][0]["booking_id"], json!(booking));
}
