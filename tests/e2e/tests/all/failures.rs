//! What goes wrong around the functions: repeated and shuffled deliveries, poison, providers that are not well.

use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::salon::{Salon, TOKYO};
use crate::stack::{Stack, wait_until};

/// Longer than the visibility timeout of the queues.
const UNTIL_REDELIVERED: SignedDuration = SignedDuration::from_mins(5);

/// Longer than all receptions a queue allows, with the visibility timeout between them.
const UNTIL_GIVEN_UP: SignedDuration = SignedDuration::from_mins(40);

#[test]
fn delivered_twice_by_stream_or_queue_nothing_leaves_twice() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    let again = |sources: &[&str]| {
        let before = salon.everything();
        for source in sources {
            for _ in 0..2 {
                let answer = stack.fault("redeliver", json!({ "source": source }));
                assert_eq!(answer["outcome"], "ok", "{source}");
                assert_eq!(answer["answer"]["batchItemFailures"], json!([]), "{source}");
            }
        }
        stack.settle();
        assert_eq!(salon.everything(), before, "{sources:?}");
    };
    let delivering = ["deliver-email", "deliver-sms", "deliver-push"];
    again(&["booking-stream"]);
    again(&delivering);
    salon.run_to(&salon.day(2, "15:11"));
    again(&["booking-stream", "booking-check", "deliver-sms", "deliver-push"]);
    salon.change(&booking, "no-show", json!({}));
    salon.run_to(&salon.day(4, "15:00"));
    again(&["booking-stream", "booking-check"]);
    again(&delivering);
    assert_eq!(salon.left().len(), 3 + 3 + 2 + 1 + 3);
}

#[test]
fn a_stream_batch_out_of_order_and_delivered_twice_ends_in_the_same_messages() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let visits = ["11:00", "12:00", "13:00", "14:00"];
    let bookings: Vec<String> = visits
        .iter()
        .map(|time| {
            stack.fault("shuffle", json!({ "function": "booking-stream" }));
            let id = salon.post_booking(&salon.booking(&salon.day(2, time)));
            let later = salon.day(3, time).datetime().to_string();
            salon.try_to(&id, "reschedule", json!({ "start": later })).ok();
            id
        })
        .collect();
    stack.settle();
    stack.fault("shuffle", json!({ "function": "booking-stream" }));
    salon.try_to(&bookings[0], "cancel", json!({})).ok();
    salon.run_to(&salon.day(3, "10:59"));
    assert_eq!(salon.statuses(&bookings[0], "booking_cancelled"), ["email accepted", "sms accepted"]);
    let left = salon.left();
    let of = |what: &str| left.iter().filter(|line| line.contains(what)).cloned().collect::<Vec<_>>();
    assert_eq!(of("booking_cancelled").len(), 2);
    assert_eq!(of("booking_rescheduled").len(), 4 * 3);
    assert!(of("booking_created").len() <= 4 * 3, "news that moved on meanwhile need not leave");
    assert_eq!(
        of("reminder"),
        ["2 12:00 reminder push", "2 13:00 reminder push", "2 14:00 reminder push", "3 10:00 reminder sms",]
    );
    assert_eq!(of("unrecorded"), Vec::<String>::new());
}

#[test]
fn a_poison_message_ends_in_the_dlq_and_takes_no_neighbour_with_it() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for poison in ["no JSON at all", r#"{"due":"message"}"#] {
        let sent = stack.control.send("POST", "/queues/SmsQueue/messages", poison);
        assert_eq!(sent.status, 202);
    }
    let booking = salon.book(&salon.day(2, "15:00"));
    assert_eq!(
        salon.statuses(&booking, "booking_created"),
        ["email accepted", "sms accepted", "push accepted"]
    );
    assert_eq!(stack.messages_in("SmsDlq"), Vec::<String>::new(), "it is tried again first");
    stack.run_on(UNTIL_GIVEN_UP);
    let mut dead = stack.messages_in("SmsDlq");
    dead.sort();
    assert_eq!(dead, ["no JSON at all", r#"{"due":"message"}"#]);
    assert_eq!(salon.left().len(), 3);
}

#[test]
fn a_poison_stream_record_ends_in_stream_failures_and_other_bookings_are_planned() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let poison = json!({
        "pk": { "S": "BUSINESS#poison#BOOKING#poison" },
        "sk": { "S": "BOOKING" },
        "entity": { "S": "booking" },
        "start": { "S": "when the cows come home" },
        "client_ids": { "N": "7" },
    });
    stack.dynamodb("PutItem", "BookingsTable", json!({ "Item": poison }));
    let bookings: Vec<String> = (9..15)
        .map(|hour| salon.post_booking(&salon.booking(&salon.day(2, &format!("{hour:02}:00")))))
        .collect();
    wait_until("the poison is given up", || !stack.messages_in("StreamFailures").is_empty());
    stack.settle();
    let failures = stack.messages_in("StreamFailures");
    assert_eq!(failures.len(), 1, "{failures:?}");
    let failure: Value = serde_json::from_str(&failures[0]).unwrap();
    assert_eq!(failure["item"], json!({ "pk": "BUSINESS#poison#BOOKING#poison", "sk": "BOOKING" }));
    assert!(!failure["why"].as_str().unwrap().is_empty(), "{failure}");
    for booking in &bookings {
        assert_eq!(
            salon.statuses(booking, "booking_created"),
            ["email accepted", "sms accepted", "push accepted"]
        );
        assert_eq!(salon.schedules_of(booking).len(), 4);
    }
    assert_eq!(salon.left().len(), 6 * 3);
}

#[test]
fn a_throttling_provider_is_tried_again_and_the_message_leaves_once() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for channel in ["email", "sms", "push"] {
        stack.provider(channel, json!({ "mode": "throttle", "for_next": 2 }));
    }
    let booking = salon.book(&salon.day(2, "15:00"));
    assert_eq!(salon.left(), Vec::<String>::new());
    // It waits in its queue or for a timer of its own, with a delay that rises from try to try.
    stack.run_on(UNTIL_GIVEN_UP);
    assert_eq!(salon.left().len(), 3, "{:?}", salon.left());
    let rows = salon.messages(&booking);
    let attempts: Vec<_> = rows.iter().filter(|row| row["type"] == "booking_created").collect();
    assert!(attempts.iter().all(|row| row["status"] == "accepted" && row["attempts"] == 3), "{attempts:?}");
    assert!(salon.tasks().is_empty());
}

#[test]
fn a_throttled_sns_is_tried_again_and_sms_and_push_leave_once() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    stack.fault("throttle", json!({ "service": "sns", "count": 2 }));
    let booking = salon.book(&salon.day(2, "15:00"));
    stack.run_on(UNTIL_GIVEN_UP);
    let mut statuses = salon.statuses(&booking, "booking_created");
    statuses.sort();
    assert_eq!(statuses, ["email accepted", "push accepted", "sms accepted"]);
    assert_eq!(salon.left().len(), 3);
}

#[test]
fn a_provider_that_breaks_is_asked_again_where_that_is_free_and_never_where_it_is_paid() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for channel in ["email", "sms", "push"] {
        stack.provider(channel, json!({ "mode": "fail", "for_next": 1 }));
    }
    let failed = salon.book(&salon.day(2, "15:00"));
    assert_eq!(salon.left(), Vec::<String>::new());
    stack.provider("sms", json!({ "mode": "accept_then_fail", "for_next": 1 }));
    let accepted = salon.book(&salon.day(2, "16:00"));
    stack.run_on(UNTIL_REDELIVERED);
    for booking in [&failed, &accepted] {
        assert_eq!(
            salon.statuses(booking, "booking_created"),
            ["email accepted", "sms unknown", "push accepted"]
        );
    }
    let tasks = salon.tasks();
    assert_eq!(tasks.len(), 2);
    assert!(tasks.iter().all(|task| task["kind"] == "unknown_message"), "{tasks:?}");
    let count = |channel, to: &str| salon.sent(channel, to).len();
    assert_eq!(count("email", &salon.client.email), 2);
    assert_eq!(count("push", &salon.client.device), 2);
    assert_eq!(count("sms", &salon.client.phone), 1, "the one that was accepted, not repeated");
}

#[test]
fn a_provider_whose_answer_is_lost_is_asked_again_by_email_and_never_by_sms() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for channel in ["email", "sms"] {
        stack.provider(channel, json!({ "timeout_after_effect": true, "for_next": 1 }));
    }
    let booking = salon.book(&salon.day(2, "15:00"));
    stack.run_on(UNTIL_REDELIVERED);
    assert_eq!(
        salon.statuses(&booking, "booking_created"),
        ["email accepted", "sms unknown", "push accepted"]
    );
    assert_eq!(salon.tasks().len(), 1);
    assert_eq!(salon.sent("sms", &salon.client.phone).len(), 1);
    assert_eq!(
        salon.sent("email", &salon.client.email).len(),
        2,
        "an e-mail too many rather than one too few"
    );
}

#[test]
fn a_message_that_is_many_times_in_one_batch_leaves_once() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    let schedules = stack.schedules();
    let input = |part: &str| {
        let of_part = |schedule: &&Value| schedule["target"].as_str().unwrap().ends_with(part);
        let schedule = schedules.iter().find(of_part).unwrap();
        let fires = schedule["next_fire"].as_str().unwrap();
        schedule["input"].as_str().unwrap().replace("<aws.scheduler.scheduled-time>", fires)
    };
    for (function, queue) in [("deliver-sms", "SmsQueue"), ("deliver-push", "PushQueue")] {
        let body = input(queue);
        let record =
            |copy: u32| json!({ "messageId": format!("{queue}-{copy}"), "body": body, "attributes": {} });
        let batch = json!({ "Records": (0..8).map(record).collect::<Vec<_>>() });
        stack.control.post(&format!("/invoke/{function}"), &batch).ok();
    }
    assert_eq!(salon.sent("sms", &salon.client.phone).len(), 1 + 1, "the notice and one reminder");
    assert_eq!(salon.sent("push", &salon.client.device).len(), 1 + 1);
    salon.run_to(&salon.day(2, "14:59"));
    assert_eq!(salon.statuses(&booking, "reminder"), ["push accepted", "sms accepted", "push accepted"]);
    assert_eq!(salon.left().len(), 6);
}
