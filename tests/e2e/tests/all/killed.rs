//! Sandboxes that die at work: nothing is lost, and nothing is repeated that costs money.

use jiff::SignedDuration;
use serde_json::json;

use crate::salon::{Salon, TOKYO};
use crate::stack::Stack;

/// Longer than the visibility timeout of the queues. The stack waits for the lease, which runs by the wall clock.
const UNTIL_REDELIVERED: SignedDuration = SignedDuration::from_mins(5);

#[test]
fn killed_between_claim_and_record_an_sms_is_unknown_and_an_email_is_sent_again() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    // Where each of them dies, in both functions.
    let moments = [
        ("the claim is written, nothing was sent", "after", "PutItem", "PutItem"),
        ("on the way to the provider", "before", "Publish", "SendEmail"),
        ("the provider took it, nothing was recorded", "after", "Publish", "SendEmail"),
    ];
    let bookings: Vec<(String, String, String)> = moments
        .iter()
        .enumerate()
        .map(|(index, (_, when, sms, email))| {
            stack.fault("kill", json!({ "function": "deliver-sms", "when": when, "operation": sms }));
            stack.fault("kill", json!({ "function": "deliver-email", "when": when, "operation": email }));
            let client = salon.new_client();
            let mut body = salon.booking(&salon.day(2, &format!("{}:00", 12 + index)));
            body["client_ids"] = json!([client.id]);
            let id = salon.post_booking(&body);
            stack.wait_for_deaths("deliver-sms", index + 1);
            stack.wait_for_deaths("deliver-email", index + 1);
            (id, client.phone, client.email)
        })
        .collect();
    for (id, ..) in &bookings {
        let created = salon.statuses(id, "booking_created");
        assert!(created.contains(&"sms sending".to_owned()) && created.contains(&"email sending".to_owned()));
    }
    for function in ["deliver-sms", "deliver-email"] {
        let early = stack.fault("redeliver", json!({ "source": function }));
        let left_in_the_queue = early["answer"]["batchItemFailures"].as_array().unwrap().len();
        assert_eq!(left_in_the_queue, 1, "{function}: nobody touches what is still leased");
    }

    stack.run_on(UNTIL_REDELIVERED);
    for ((id, phone, email), (moment, ..)) in bookings.iter().zip(moments) {
        assert_eq!(
            salon.statuses(id, "booking_created"),
            ["email accepted", "sms unknown", "push accepted"],
            "{moment}"
        );
        // Only the death after the provider's yes has left anything before the redelivery.
        let left_before = usize::from(moment.starts_with("the provider took it"));
        assert_eq!(salon.sent("sms", phone).len(), left_before, "{moment}: never sent again");
        assert_eq!(salon.sent("email", email).len(), left_before + 1, "{moment}: sent again");
    }
    let mut told: Vec<_> = salon
        .tasks()
        .into_iter()
        .map(|task| (task["kind"].clone(), task["booking_id"].as_str().unwrap().to_owned()))
        .collect();
    told.sort_by(|a, b| a.1.cmp(&b.1));
    let mut expected: Vec<_> =
        bookings.iter().map(|(id, ..)| (json!("unknown_message"), id.clone())).collect();
    expected.sort_by(|a, b| a.1.cmp(&b.1));
    assert_eq!(told, expected, "one task for each, none twice");

    stack.run_on(UNTIL_REDELIVERED);
    assert!(salon.sent("sms", &bookings[0].1).is_empty(), "and it stays so");
    for queue in ["SmsDlq", "EmailDlq"] {
        assert_eq!(stack.messages_in(queue), Vec::<String>::new());
    }
}

/// The calls of a delivery, in order, with what becomes of an sms whose sandbox dies before and after each: the claim is the second, and the last
/// writes down what the provider said.
const DELIVERY: [(&str, &str, &str); 4] = [
    ("BatchGetItem", "accepted", "accepted"),
    ("the claim", "accepted", "unknown"),
    ("the provider", "unknown", "unknown"),
    ("the record", "unknown", "accepted"),
];

#[test]
fn killed_at_any_of_its_calls_a_delivery_loses_nothing_and_repeats_nothing_that_costs() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    salon.book(&salon.day(5, "09:00"));
    let functions = ["deliver-sms", "deliver-email"];
    for function in functions {
        let clean = stack.invocations(function);
        let calls = clean.last().unwrap()["aws_calls"].as_object().unwrap().clone();
        let count: u64 = calls.values().filter_map(|count| count.as_u64()).sum();
        assert_eq!(count, 4, "{function}: {calls:?}");
    }
    let mut bookings = Vec::new();
    for (index, (what, before, after)) in DELIVERY.into_iter().enumerate() {
        for (when, sms) in [("before", before), ("after", after)] {
            for function in functions {
                stack.fault("kill", json!({ "function": function, "when": when, "call": index + 1 }));
            }
            let client = salon.new_client();
            let hour = SignedDuration::from_hours(i64::try_from(bookings.len()).unwrap());
            let mut body = salon.booking(&(salon.day(5, "10:00") + hour));
            body["client_ids"] = json!([client.id]);
            let id = salon.post_booking(&body);
            for function in functions {
                stack.wait_for_deaths(function, bookings.len() + 1);
            }
            bookings.push((id, client, format!("{when} {what}"), sms));
        }
    }
    stack.run_on(UNTIL_REDELIVERED);
    stack.run_on(UNTIL_REDELIVERED);
    for (id, client, moment, sms) in &bookings {
        assert_eq!(
            salon.statuses(id, "booking_created"),
            ["email accepted".to_owned(), format!("sms {sms}"), "push accepted".to_owned()],
            "{moment}"
        );
        let left = salon.sent("sms", &client.phone).len();
        let certain = *sms == "accepted";
        assert!(left == 1 || (left == 0 && !certain), "{moment}: {left} sms");
        let emails = salon.sent("email", &client.email).len();
        assert!((1..=2).contains(&emails), "{moment}: {emails} e-mails");
    }
    let unknown = bookings.iter().filter(|(.., sms)| *sms == "unknown").count();
    assert_eq!(salon.tasks().len(), unknown, "a task for each that is unknown");
}

#[test]
fn killed_before_the_claim_a_message_is_delivered_once() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for function in ["deliver-sms", "deliver-email", "deliver-push"] {
        stack.fault("kill", json!({ "function": function, "when": "before", "operation": "PutItem" }));
    }
    salon.post_booking(&salon.booking(&salon.day(2, "15:00")));
    for function in ["deliver-sms", "deliver-email", "deliver-push"] {
        stack.wait_for_deaths(function, 1);
    }
    stack.run_on(UNTIL_REDELIVERED);
    assert_eq!(salon.left().len(), 3, "{:?}", salon.left());
    assert!(salon.tasks().is_empty());
}

#[test]
fn killed_at_any_of_its_calls_planning_loses_nothing_and_repeats_nothing() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let clean = salon.book(&salon.day(5, "00:00"));
    let calls: u64 = stack
        .invocations("booking-stream")
        .last()
        .map(|run| run["aws_calls"].as_object().unwrap().values().filter_map(|count| count.as_u64()).sum())
        .unwrap();
    assert!(calls >= 6, "read, ledger, timers, rows, queues: {calls}");

    let mut bookings = vec![clean];
    for call in 1..=calls {
        for when in ["before", "after"] {
            stack.fault("kill", json!({ "function": "booking-stream", "when": when, "call": call }));
            let visit =
                salon.day(5, "00:00") + SignedDuration::from_hours(i64::try_from(bookings.len()).unwrap());
            bookings.push(salon.post_booking(&salon.booking(&visit)));
            stack.wait_for_deaths("booking-stream", bookings.len() - 1);
            // Its repetition is over, so that the next kill is the next booking's.
            stack.settle();
        }
    }
    stack.settle();
    for booking in &bookings {
        assert_eq!(
            salon.statuses(booking, "booking_created"),
            ["email accepted", "sms accepted", "push accepted"]
        );
        assert_eq!(salon.schedules_of(booking).len(), 4, "three reminders and a check");
    }
    assert_eq!(salon.left().len(), bookings.len() * 3, "each once");

    // A cancellation that dies on its way to withdraw the timers.
    for (booking, call) in bookings.iter().zip(1..=calls) {
        stack.fault("kill", json!({ "function": "booking-stream", "when": "before", "call": call }));
        salon.try_to(booking, "cancel", json!({})).ok();
        stack.settle();
    }
    salon.run_to(&salon.day(8, "00:00"));
    let cancelled = usize::try_from(calls).unwrap();
    let kept = bookings.len() - cancelled;
    let left = salon.left();
    let count = |what: &str| left.iter().filter(|line| line.contains(what)).count();
    assert_eq!(count("booking_cancelled"), cancelled * 2);
    assert_eq!(count("reminder"), kept * 3, "none for the cancelled");
    assert_eq!(count("running_late"), kept * 2);
    assert_eq!(count("unrecorded"), 0, "sent twice: the ledger knows the latest only");
    assert_eq!(left.len(), bookings.len() * 3 + cancelled * 2 + kept * 5);
    assert_eq!(stack.schedules().len(), 0);
    assert_eq!(stack.messages_in("StreamFailures"), Vec::<String>::new());
}

#[test]
fn s55_killed_around_its_write_the_check_finds_a_late_client_once() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let first = salon.book(&salon.day(1, "15:00"));
    let mut body = salon.booking(&salon.day(1, "15:01"));
    body["resource_id"] = json!(salon.new_resource(1));
    let second = salon.book_with(&body);
    let kill = |when: &str| {
        let fault = json!({ "function": "booking-check", "when": when, "operation": "TransactWriteItems" });
        stack.fault("kill", fault);
    };
    kill("before");
    salon.run_to(&(salon.day(1, "15:10") + SignedDuration::from_secs(30)));
    stack.wait_for_deaths("booking-check", 1);
    kill("after");
    salon.run_to(&salon.day(1, "15:30"));
    stack.wait_for_deaths("booking-check", 2);
    for booking in [&first, &second] {
        assert_eq!(salon.statuses(booking, "running_late"), ["sms accepted", "push accepted"]);
        let history = salon.timeline(booking)["booking"]["history"].to_string();
        assert_eq!(history.matches("running_late").count(), 1, "written down once: {history}");
    }
    assert_eq!(salon.left().iter().filter(|line| line.contains("running_late")).count(), 4);
    assert_eq!(salon.tasks().len(), 2);
}

#[test]
fn killed_around_its_write_the_api_makes_one_booking_of_a_repeated_request() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    for (day, when) in [(2, "before"), (3, "after")] {
        let fault = json!({ "function": "booking-api", "when": when, "operation": "TransactWriteItems" });
        stack.fault("kill", fault);
        let api = salon.api.with("idempotency-key", when);
        let body = salon.booking(&salon.day(day, "15:00"));
        let lost = api.post("/v1/bookings", &body);
        assert_eq!(lost.status, 500, "{when}: {}", lost.text);
        let first = api.post("/v1/bookings", &body);
        assert_eq!(first.status, 201, "{when}: {}", first.text);
        assert_eq!(api.post("/v1/bookings", &body), first, "{when}");
        assert_eq!(salon.api.post("/v1/bookings", &body).problem(), "overlap", "{when}: it holds its time");
    }
    stack.settle();
    for (channel, to) in
        [("email", &salon.client.email), ("sms", &salon.client.phone), ("push", &salon.client.device)]
    {
        assert_eq!(salon.sent(channel, to).len(), 2, "{channel}");
    }
}
