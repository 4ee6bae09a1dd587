//! What whoever runs the system does when something was given up, and what the sweeper does by itself.

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::salon::{Salon, TOKYO};
use crate::stack::{Stack, wait_until};

/// Longer than all receptions a queue allows, with the visibility timeout between them.
const UNTIL_GIVEN_UP: SignedDuration = SignedDuration::from_mins(40);

const TOLD: [&str; 3] = ["email accepted", "sms accepted", "push accepted"];

/// Takes an item of `Bookings` away, past every function, and gives it back when told.
struct Away {
    item: Value,
}

impl Away {
    fn take(stack: &Stack, pk: &str, sk: &str) -> Self {
        let key = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
        let item = stack.dynamodb("GetItem", "BookingsTable", json!({ "Key": key }))["Item"].take();
        assert!(item.is_object(), "{pk} {sk} is there");
        stack.dynamodb("DeleteItem", "BookingsTable", json!({ "Key": key }));
        Self { item }
    }

    fn bring_back(self, stack: &Stack) {
        stack.dynamodb("PutItem", "BookingsTable", json!({ "Item": self.item }));
    }
}

/// The partition key of the only business in the stack.
fn business_pk(stack: &Stack) -> String {
    let mut rows = stack.rows().into_iter().map(|row| serde_json::from_str::<Value>(&row).unwrap());
    let business = rows.find(|row| row["entity"]["S"] == "business").unwrap();
    business["pk"]["S"].as_str().unwrap().to_owned()
}

#[test]
fn what_ended_in_a_dlq_is_redriven_after_mending_and_leaves_once() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    // The reminders come due while the service that they tell of cannot be read.
    let away = Away::take(&stack, &business_pk(&stack), &format!("SERVICE#{}", salon.service));
    salon.run_to(&salon.day(2, "14:30"));
    stack.run_on(UNTIL_GIVEN_UP);
    let dead = stack.messages_in("SmsDlq").len() + stack.messages_in("PushDlq").len();
    assert!(dead >= 2, "{dead}");

    let looked = stack.operate(&["redrive", "--all", "--dry-run"]);
    assert!(looked.contains("SmsDlq: ") && looked.contains("reminder by sms"), "{looked}");
    assert!(!stack.messages_in("SmsDlq").is_empty(), "a dry run leaves everything where it is");
    away.bring_back(&stack);
    let before = salon.left();
    stack.operate(&["redrive", "--queue", "sms"]);
    assert!(stack.messages_in("SmsDlq").is_empty());
    assert!(!stack.messages_in("PushDlq").is_empty(), "only what was asked for");
    stack.operate(&["redrive", "--all"]);
    stack.settle();
    assert!(stack.messages_in("PushDlq").is_empty());
    // They are judged by what they were due for, and leave.
    assert_eq!(salon.statuses(&booking, "reminder"), ["push accepted", "sms accepted", "push accepted"]);
    assert_eq!(salon.left().len(), before.len() + 3, "each once: {:?}", salon.left());
    let again = stack.operate(&["redrive", "--all"]);
    assert!(again.contains("SmsDlq: empty"), "{again}");
}

#[test]
fn news_that_ended_in_a_dlq_leave_after_redriving() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    stack
        .fault("kill", json!({ "function": "deliver-email", "when": "before", "operation": "BatchGetItem" }));
    let booking = salon.post_booking(&salon.booking(&salon.day(2, "15:00")));
    let away = {
        // Planned, and then not to be delivered.
        wait_until("it is planned", || salon.messages(&booking).len() >= 3);
        Away::take(&stack, &business_pk(&stack), &format!("SERVICE#{}", salon.service))
    };
    stack.run_on(UNTIL_GIVEN_UP);
    assert_eq!(stack.messages_in("EmailDlq").len(), 1);
    away.bring_back(&stack);
    // A copy too many, as after a redrive that died.
    let copy = stack.messages_in("EmailDlq").remove(0);
    assert_eq!(stack.control.send("POST", "/queues/EmailDlq/messages", copy).status, 202);
    stack.operate(&["redrive", "--all"]);
    stack.settle();
    assert_eq!(salon.statuses(&booking, "booking_created")[0], "email accepted");
    assert_eq!(salon.sent("email", &salon.client.email).len(), 1);
}

#[test]
fn what_could_not_be_planned_is_replayed_after_mending() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let mut online = salon.booking(&salon.day(2, "15:00"));
    online["source"] = json!("online");
    let booking = salon.book_with(&online);
    let away = Away::take(&stack, &business_pk(&stack), &format!("RESOURCE#{}", salon.resource));
    salon.try_to(&booking, "confirm", json!({})).ok();
    wait_until("it is set aside", || !stack.messages_in("StreamFailures").is_empty());
    stack.settle();
    let note: Value = serde_json::from_str(&stack.messages_in("StreamFailures")[0]).unwrap();
    assert!(note["item"]["pk"].as_str().unwrap().ends_with(&booking), "{note}");

    let looked = stack.operate(&["replay", "--dry-run"]);
    assert!(looked.contains(&booking), "{looked}");
    assert!(!stack.messages_in("StreamFailures").is_empty());
    away.bring_back(&stack);
    stack.operate(&["replay"]);
    stack.settle();
    assert!(stack.messages_in("StreamFailures").is_empty());
    let confirmed = salon.statuses(&booking, "booking_confirmed");
    assert_eq!(
        confirmed,
        ["email accepted", "sms accepted"],
        "{:?}",
        salon.statuses(&booking, "booking_created")
    );
    let before = salon.left();
    let told = stack.operate(&["replay", "--upcoming", business_pk(&stack).trim_start_matches("BUSINESS#")]);
    assert!(told.contains("1 bookings ahead are planned anew"), "{told}");
    stack.settle();
    assert_eq!(salon.left(), before, "planning again sends nothing again");
}

#[test]
fn a_batch_that_lambda_gave_up_is_read_from_the_stream_and_planned() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    assert_eq!(salon.statuses(&booking, "booking_created"), TOLD);
    let (arn, shard, first, last) = stack.stream_of("BookingsTable");
    let report = json!({
        "requestContext": { "condition": "RetryAttemptsExhausted" },
        "DDBStreamBatchInfo": {
            "streamArn": arn, "shardId": shard, "startSequenceNumber": first, "endSequenceNumber": last, "batchSize": 1,
        },
    });
    // As if the booking had never been planned.
    let pk = format!("{}#BOOKING#{booking}", business_pk(&stack));
    for row in stack.rows().iter().map(|row| serde_json::from_str::<Value>(row).unwrap()) {
        let ledger = row["pk"]["S"] == pk.as_str()
            && ["message", "check"].contains(&row["entity"]["S"].as_str().unwrap());
        if ledger && row["status"]["S"] == "planned" {
            let key = json!({ "pk": row["pk"], "sk": row["sk"] });
            stack.dynamodb("DeleteItem", "MessagesTable", json!({ "Key": key }));
        }
    }
    let lost = salon.messages(&booking).len();
    let sent = stack.control.send("POST", "/queues/StreamFailures/messages", report.to_string());
    assert_eq!(sent.status, 202);
    stack.operate(&["replay"]);
    stack.settle();
    assert!(stack.messages_in("StreamFailures").is_empty());
    assert!(salon.messages(&booking).len() > lost, "the reminders are there again");
    assert_eq!(salon.left().len(), 3, "and what left has not left again");
    salon.run_to(&salon.day(2, "14:59"));
    assert_eq!(salon.statuses(&booking, "reminder"), ["push accepted", "sms accepted", "push accepted"]);
}

#[test]
fn a_sweep_where_all_is_well_asks_for_little_and_changes_nothing() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    salon.book(&salon.day(2, "15:00"));
    salon.run_to(&salon.day(2, "12:50"));
    let before = salon.everything();
    // The sms is due in ten minutes.
    let swept = stack.control.post("/invoke/sweeper", &json!({ "at": stack.now().to_string() }));
    assert_eq!(swept.status, 200, "{}", swept.text);
    assert_eq!(salon.everything(), before);
    let last = stack.invocations("sweeper").pop().unwrap();
    let calls = |operation: &str| {
        let made =
            last["aws_calls"].as_object().unwrap().iter().filter(|(name, _)| name.ends_with(operation));
        made.map(|(_, count)| count.as_u64().unwrap()).sum::<u64>()
    };
    let all = [
        "Query",
        "GetItem",
        "BatchGetItem",
        "CreateSchedule",
        "ListSchedules",
        "SendMessage",
        "DeleteSchedule",
    ];
    assert_eq!(all.map(calls), [16, 1, 0, 1, 2, 0, 0], "{last}");
}

#[test]
fn a_lost_timer_is_set_again_and_one_that_nobody_waits_for_is_withdrawn() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    let timers = salon.schedules_of(&booking).len();
    // The sms is due at 13:00. Its row is moved to 13:30, past every function: no timer is set for that, and nobody waits for the old one.
    let row = stack
        .rows()
        .iter()
        .map(|row| serde_json::from_str::<Value>(row).unwrap())
        .find(|row| row["type"]["S"] == "reminder" && row["channel"]["S"] == "sms")
        .unwrap();
    let to = salon.day(2, "13:30").timestamp();
    let mut moved = row.clone();
    moved["due"] = json!({ "S": to.to_string() });
    let (_, id) = row["open_sk"]["S"].as_str().unwrap().split_once('#').unwrap();
    moved["open_sk"] = json!({ "S": format!("{:012}.{:09}#{id}", to.as_second(), 0) });
    stack.dynamodb("PutItem", "MessagesTable", json!({ "Item": moved }));

    let sweep = |at: Timestamp| {
        let swept = stack.control.post("/invoke/sweeper", &json!({ "at": at.to_string() }));
        assert_eq!(swept.status, 200, "{}", swept.text);
    };
    // Each of sixteen sweeps looks at another sixteenth of the timers' names, older than an hour by the clock they see.
    let soon = stack.now() + SignedDuration::from_hours(2);
    for number in 0..16 {
        sweep(soon + SignedDuration::from_mins(15) * number);
    }
    assert_eq!(salon.schedules_of(&booking).len(), timers - 1, "the old one is withdrawn, the others stay");
    salon.run_to(&salon.day(2, "13:15"));
    sweep(stack.now());
    assert!(
        salon.schedules_of(&booking).iter().any(|name| name.ends_with(&format!("-{}", to.as_second()))),
        "{:?}",
        salon.schedules_of(&booking)
    );
    salon.run_to(&salon.day(2, "14:59"));
    let left = salon.left();
    assert!(left.contains(&"2 13:30 reminder sms".to_owned()), "{left:?}");
    assert_eq!(left.len(), 6, "{left:?}");
}
