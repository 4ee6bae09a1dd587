//! Providers that are badly unwell, what they report later, and many messages at once.

use std::collections::BTreeMap;
use std::time::Instant;

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::salon::{Client, Salon, TOKYO};
use crate::stack::Stack;

/// Longer than all pauses of a delivery that is tried again some times.
const UNTIL_TRIED_AGAIN: SignedDuration = SignedDuration::from_hours(6);

/// The row of the news that a booking was made, on a channel.
#[track_caller]
fn created(salon: &Salon<'_>, booking: &str, channel: &str) -> Value {
    let rows = salon.messages(booking);
    let is_it = |row: &&Value| row["type"] == "booking_created" && row["channel"] == channel;
    rows.iter().find(is_it).unwrap_or_else(|| panic!("no {channel} in {rows:?}")).clone()
}

/// Lets a provider report something of a message.
#[track_caller]
fn report(stack: &Stack, row: &Value, report: Value) {
    let id = row["provider_id"].as_str().unwrap();
    stack.control.post(&format!("/outbox/{id}/feedback"), &report).ok();
    stack.settle();
}

#[track_caller]
fn status(salon: &Salon<'_>, booking: &str, channel: &str) -> String {
    created(salon, booking, channel)["status"].as_str().unwrap().to_owned()
}

#[test]
fn reports_move_a_message_up_and_never_back() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    let (email, sms) = (created(&salon, &booking, "email"), created(&salon, &booking, "sms"));
    assert_eq!((email["status"].as_str(), sms["status"].as_str()), (Some("accepted"), Some("accepted")));
    report(&stack, &email, json!({ "event": "delivered", "times": 2 }));
    assert_eq!(status(&salon, &booking, "email"), "delivered");
    report(&stack, &email, json!({ "event": "opened" }));
    assert_eq!(status(&salon, &booking, "email"), "read");
    report(&stack, &email, json!({ "event": "delivered" }));
    report(&stack, &email, json!({ "event": "soft_bounced" }));
    assert_eq!(status(&salon, &booking, "email"), "read", "never back");
    let row = created(&salon, &booking, "email");
    assert!(row["delivered_at"].is_string() && row["read_at"].is_string(), "{row}");
    report(&stack, &sms, json!({ "event": "delivered" }));
    assert_eq!(status(&salon, &booking, "sms"), "delivered", "by the log of text messages");

    // Out of order: it bounced for a while, and arrived in the end.
    let booking = salon.book(&salon.day(2, "16:00"));
    let email = created(&salon, &booking, "email");
    report(&stack, &email, json!({ "event": "soft_bounced" }));
    assert_eq!(created(&salon, &booking, "email")["reason"], "not_delivered");
    report(&stack, &email, json!({ "event": "delivered" }));
    let row = created(&salon, &booking, "email");
    assert_eq!((row["status"].as_str(), row["reason"].is_null()), (Some("delivered"), true));
    assert_eq!(stack.messages_in("FeedbackDlq"), Vec::<String>::new());
}

#[test]
fn an_address_that_bounces_or_opts_out_is_written_to_no_more() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    report(&stack, &created(&salon, &booking, "email"), json!({ "event": "bounced", "times": 3 }));
    let failed = json!({ "event": "failed", "reason": "Phone number is opted out" });
    report(&stack, &created(&salon, &booking, "sms"), failed);
    assert_eq!(
        salon.statuses(&booking, "booking_created"),
        ["email failed invalid_address", "sms failed address_suppressed", "push accepted"]
    );
    let card = salon.api.get(&format!("/v1/clients/{}", salon.client.id)).ok();
    let causes: Vec<&Value> =
        card["suppressions"].as_array().unwrap().iter().map(|it| &it["cause"]).collect();
    assert_eq!(causes, ["hard_bounce", "stop"], "each once: {card}");
    let next = salon.book(&salon.day(3, "15:00"));
    assert_eq!(
        salon.statuses(&next, "booking_created"),
        ["email suppressed address_suppressed", "sms suppressed address_suppressed", "push accepted"]
    );
}

#[test]
fn a_dead_device_leaves_the_card_and_the_others_stay() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let card = format!("/v1/clients/{}", salon.client.id);
    let first = salon.book(&salon.day(2, "15:00"));
    report(&stack, &created(&salon, &first, "push"), json!({ "event": "failed" }));
    assert_eq!(status(&salon, &first, "push"), "failed");
    let tablet = json!({ "platform": "apns", "token": "tablet-of-maria" });
    salon.api.post(&format!("{card}/devices"), &tablet).ok();
    stack.settle();
    // Its endpoint is disabled by now, which the next message finds out; the tablet takes it.
    let second = salon.book(&salon.day(3, "15:00"));
    assert_eq!(status(&salon, &second, "push"), "accepted");
    assert_eq!(salon.sent("push", "tablet-of-maria").len(), 1);
    let devices = salon.api.get(&card).ok()["devices"].take();
    let tokens: Vec<&str> =
        devices.as_array().unwrap().iter().map(|it| it["token"].as_str().unwrap()).collect();
    assert_eq!(tokens, ["tablet-of-maria"]);
}

/// Sends what is told of a made booking by sms, else by e-mail.
fn cascade(salon: &Salon<'_>, next_after_minutes: Option<u32>) {
    let mut rule = json!({ "enabled": true, "strategy": "cascade",
        "steps": [{ "timing": "immediately", "channels": ["sms", "email"] }] });
    if let Some(minutes) = next_after_minutes {
        rule["next_after_minutes"] = json!(minutes);
    }
    salon.api.put("/v1/rules/booking_created", &rule).ok();
}

#[test]
fn s4_a_cascade_goes_on_when_a_provider_reports_a_failure_later() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    cascade(&salon, None);
    let booking = salon.book(&salon.day(2, "15:00"));
    assert_eq!(salon.statuses(&booking, "booking_created"), ["email suppressed cascade", "sms accepted"]);
    let failed = json!({ "event": "failed", "reason": "Phone carrier is currently unreachable/unavailable" });
    report(&stack, &created(&salon, &booking, "sms"), failed);
    assert_eq!(status(&salon, &booking, "email"), "accepted");
    assert_eq!(created(&salon, &booking, "sms")["reason"], "not_delivered");
}

#[test]
fn s4_a_cascade_goes_on_when_no_delivery_is_seen_in_time() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    cascade(&salon, Some(10));
    let (silent, seen) = (salon.book(&salon.day(2, "15:00")), salon.book(&salon.day(2, "16:00")));
    report(&stack, &created(&salon, &seen, "sms"), json!({ "event": "delivered" }));
    stack.run_on(SignedDuration::from_mins(9));
    assert_eq!(status(&salon, &silent, "email"), "suppressed", "not yet");
    stack.run_on(SignedDuration::from_mins(2));
    assert_eq!(status(&salon, &silent, "email"), "accepted");
    assert_eq!(status(&salon, &seen, "email"), "suppressed", "it was seen to arrive");
    stack.run_on(SignedDuration::from_mins(60));
    assert_eq!(salon.sent("email", &salon.client.email).len(), 1, "once");
}

/// Books a visit for each of so many new clients, and does not wait.
fn book_for_many(salon: &Salon<'_>, many: i64) -> Vec<(String, Client)> {
    let booked = (0..many).map(|number| {
        let client = salon.new_client();
        let mut body = salon.booking(&(salon.day(5, "00:00") + SignedDuration::from_hours(number)));
        body["client_ids"] = json!([client.id]);
        (salon.post_booking(&body), client)
    });
    booked.collect()
}

#[test]
fn a_provider_that_fails_half_the_time_loses_nothing_and_repeats_nothing_that_costs() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for channel in ["email", "sms", "push"] {
        stack.provider(channel, json!({ "mode": "fail", "share": 0.5, "seed": 7 }));
    }
    let bookings = book_for_many(&salon, 12);
    stack.settle();
    stack.run_on(UNTIL_TRIED_AGAIN);
    let mut unknown = 0;
    for (booking, client) in &bookings {
        assert_eq!(status(&salon, booking, "email"), "accepted");
        assert_eq!(status(&salon, booking, "push"), "accepted");
        let sms = status(&salon, booking, "sms");
        assert!(sms == "accepted" || sms == "unknown", "{sms}");
        unknown += usize::from(sms == "unknown");
        let left = salon.sent("sms", &client.phone).len();
        assert_eq!(
            left,
            usize::from(sms == "accepted"),
            "nobody knows of an sms whether it left, so it is not repeated"
        );
        assert_eq!(salon.sent("email", &client.email).len(), 1);
    }
    assert!((1..12).contains(&unknown), "half of them, by chance: {unknown}");
    assert_eq!(salon.tasks().len(), unknown);
}

#[test]
fn providers_that_take_so_many_a_second_get_all_and_each_once() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for channel in ["email", "sms", "push"] {
        stack.provider(channel, json!({ "per_second": 2 }));
    }
    let bookings = book_for_many(&salon, 12);
    stack.settle();
    stack.run_on(UNTIL_TRIED_AGAIN);
    for (booking, client) in &bookings {
        let rows = salon.statuses(booking, "booking_created");
        assert_eq!(rows.len(), 3);
        assert!(rows.iter().all(|row| row.ends_with("accepted")), "{rows:?}");
        assert_eq!(salon.sent("sms", &client.phone).len(), 1);
        assert_eq!(salon.sent("email", &client.email).len(), 1);
    }
    assert!(salon.tasks().is_empty());
}

#[test]
fn a_provider_slower_than_we_wait_is_asked_again_where_that_is_free() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for channel in ["email", "sms"] {
        stack.provider(channel, json!({ "mode": "fail", "delay_ms": 7000, "for_next": 1 }));
    }
    let booking = salon.book(&salon.day(2, "15:00"));
    stack.run_on(SignedDuration::from_mins(10));
    assert_eq!(
        salon.statuses(&booking, "booking_created"),
        ["email accepted", "sms unknown", "push accepted"]
    );
    assert_eq!(salon.sent("email", &salon.client.email).len(), 1);
    assert!(salon.sent("sms", &salon.client.phone).is_empty());
}

/// How many messages the burst has: enough here to go over several batches; `cargo xtask bench burst` asks for a thousand.
fn burst() -> usize {
    std::env::var("BURST").ok().and_then(|many| many.parse().ok()).unwrap_or(60)
}

#[test]
#[expect(clippy::print_stdout, reason = "`cargo xtask bench burst` reads it")]
fn messages_that_fall_due_together_at_eight_drain_at_the_pace_of_the_provider() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let many = burst();
    // Written at night, they wait for eight o'clock.
    salon.api.patch("/v1/business", &json!({ "quiet_hours": { "from": "22:00", "until": "08:00" } })).ok();
    salon.run_to(&salon.day(0, "23:00"));
    let letter = json!({ "channels": ["sms"], "text": "We have moved to Rua 12." });
    for _ in 0..many {
        salon.api.post(&format!("/v1/clients/{}/messages", salon.client.id), &letter).ok();
    }
    stack.settle();
    assert_eq!(stack.schedules().len(), many, "each has its timer");
    let before: usize = stack.invocations("deliver-sms").len();
    let start = Instant::now();
    salon.run_to(&salon.day(1, "08:01"));
    let took = start.elapsed();
    stack.run_on(SignedDuration::from_mins(30));
    assert_eq!(salon.sent("sms", &salon.client.phone).len(), many, "none lost, none twice");
    let mut calls = BTreeMap::<String, u64>::new();
    for run in &stack.invocations("deliver-sms")[before..] {
        for (operation, count) in run["aws_calls"].as_object().unwrap() {
            *calls.entry(operation.clone()).or_default() += count.as_u64().unwrap();
        }
    }
    let all: u64 = calls.values().sum();
    assert_eq!(stack.messages_in("SmsDlq"), Vec::<String>::new());
    // What `cargo xtask bench burst` prints.
    println!(
        "{many} sms due at 08:00 left in {:.1} s, {:.1} a second; {:.2} AWS calls each: {calls:?}",
        took.as_secs_f64(),
        many as f64 / took.as_secs_f64(),
        all as f64 / many as f64
    );
    assert!(all as f64 <= many as f64 * 4.5, "a read, a claim, the provider and the record: {calls:?}");
}
