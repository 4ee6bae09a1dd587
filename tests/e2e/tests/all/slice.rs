//! A booking from its making to its end, and what its client hears.

use std::time::Instant;

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::salon::{Salon, TOKYO, spoken};
use crate::stack::{Stack, wait_until};

#[test]
fn s17_s18_s21_s64_s69_s74_an_online_booking_from_its_making_to_the_end_of_the_visit() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let visit = salon.day(2, "15:00");
    let mut body = salon.booking(&visit);
    body["source"] = json!("online");
    let booking = salon.book_with(&body);

    assert_eq!(salon.timeline(&booking)["booking"]["status"], "pending");
    let created =
        ["0 10:00 booking_created email", "0 10:00 booking_created push", "0 10:00 booking_created sms"];
    assert_eq!(salon.left(), created);
    let sms = &salon.sent("sms", &salon.client.phone)[0];
    assert_eq!(
        sms["text"],
        format!("Salon Aurora: You are booked for Haircut on {}, Chiado.", spoken(&visit)),
        "S61, the location's wall time"
    );
    let mail = &salon.sent("email", &salon.client.email)[0];
    assert_eq!(mail["subject"], "Your booking at Salon Aurora");
    assert_eq!(salon.statuses(&booking, "reminder"), ["push planned", "sms planned", "push planned"]);

    salon.run_to(&salon.day(0, "11:00"));
    salon.change(&booking, "confirm", json!({}));
    assert_eq!(salon.timeline(&booking)["booking"]["status"], "confirmed");
    let confirmed =
        [&created[..], &["0 11:00 booking_confirmed email", "0 11:00 booking_confirmed sms"]].concat();
    assert_eq!(salon.left(), confirmed);

    let before = salon.schedules_of(&booking);
    assert_eq!(before.len(), 4, "three reminders and the check whether the client is late: {before:?}");
    salon.run_to(&salon.day(1, "09:00"));
    let moved = salon.day(3, "12:00");
    salon.change(&booking, "reschedule", json!({ "start": moved.datetime().to_string() }));
    assert_eq!(
        salon.statuses(&booking, "reminder"),
        [
            "push superseded",
            "push planned",
            "sms superseded",
            "push superseded",
            "sms planned",
            "push planned"
        ],
        "by due time: those of the old time are superseded"
    );
    let after = salon.schedules_of(&booking);
    assert_eq!(after.len(), 4);
    assert!(after.iter().all(|name| !before.contains(name)), "schedules of the old time are gone");

    salon.run_to(&salon.day(3, "11:55"));
    let reminded = [
        &confirmed[..],
        &[
            "1 09:00 booking_rescheduled email",
            "1 09:00 booking_rescheduled push",
            "1 09:00 booking_rescheduled sms",
            "2 12:00 reminder push",
            "3 10:00 reminder sms",
            "3 11:00 reminder push",
        ],
    ]
    .concat();
    assert_eq!(salon.left(), reminded, "each reminder once, at the new time");
    let sms = salon.sent("sms", &salon.client.phone);
    assert_eq!(
        sms.last().unwrap()["text"],
        format!("Salon Aurora: We expect you for Haircut on {}, Chiado.", spoken(&moved))
    );

    salon.change(&booking, "arrive", json!({}));
    salon.run_to(&salon.day(3, "12:45"));
    assert_eq!(salon.change(&booking, "complete", json!({}))["status"], "completed");
    salon.run_to(&salon.day(6, "12:00"));
    let asked = ["3 14:45 review_request email", "3 14:45 review_request push", "3 14:45 review_request sms"];
    assert_eq!(
        salon.left(),
        [&reminded[..], &asked].concat(),
        "whoever came is asked how it was, and no more"
    );
    assert_eq!(salon.schedules_of(&booking), Vec::<String>::new());
    assert!(salon.tasks().is_empty());
}

#[test]
fn s20_nothing_but_the_cancellation_leaves_for_a_cancelled_booking() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    salon.run_to(&salon.day(0, "12:00"));
    salon.change(&booking, "cancel", json!({}));
    assert_eq!(salon.schedules_of(&booking), Vec::<String>::new());
    salon.run_to(&salon.day(8, "12:00"));
    assert_eq!(
        salon.left(),
        [
            "0 10:00 booking_created email",
            "0 10:00 booking_created push",
            "0 10:00 booking_created sms",
            "0 12:00 booking_cancelled email",
            "0 12:00 booking_cancelled sms",
        ]
    );
    assert_eq!(
        salon.statuses(&booking, "reminder"),
        ["push superseded", "sms superseded", "push superseded"]
    );
}

#[test]
fn s1_s26_after_a_no_show_the_client_hears_at_once_and_is_invited_a_day_later_unless_booked_again() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    let returning = salon.new_client();
    let missed = |start: &str| {
        let mut body = salon.booking(&salon.day(2, start));
        body["client_ids"] = json!([returning.id]);
        body
    };
    let missed_too = salon.book_with(&missed("16:00"));
    let mut again = missed("16:00");
    again["start"] = json!(salon.day(9, "16:00").datetime().to_string());

    salon.run_to(&salon.day(2, "15:05"));
    salon.change(&booking, "no-show", json!({}));
    salon.run_to(&salon.day(2, "16:05"));
    salon.change(&missed_too, "no-show", json!({}));
    assert_eq!(salon.statuses(&booking, "missed_booking"), ["email accepted"]);
    assert_eq!(salon.statuses(&missed_too, "missed_booking"), ["email accepted"]);
    assert_eq!(
        salon.statuses(&missed_too, "no_show_recovery"),
        ["email planned", "sms planned", "push planned"]
    );
    salon.book_with(&again);

    salon.run_to(&salon.day(4, "12:00"));
    assert_eq!(
        salon.statuses(&booking, "no_show_recovery"),
        ["email accepted", "sms accepted", "push accepted"]
    );
    assert_eq!(
        salon.statuses(&missed_too, "no_show_recovery"),
        [
            "email suppressed future_booking",
            "sms suppressed future_booking",
            "push suppressed future_booking"
        ]
    );
    let left = salon.left();
    let after_the_visits: Vec<&str> =
        left.iter().map(String::as_str).skip_while(|line| !line.contains("missed")).collect();
    assert_eq!(
        after_the_visits,
        [
            "2 15:05 missed_booking email",
            "2 16:05 booking_created email",
            "2 16:05 booking_created push",
            "2 16:05 booking_created sms",
            "2 16:05 missed_booking email",
            "3 15:05 no_show_recovery email",
            "3 15:05 no_show_recovery push",
            "3 15:05 no_show_recovery sms",
        ]
    );
    assert!(
        salon.sent("sms", &salon.client.phone).last().unwrap()["text"].as_str().unwrap().contains("glad")
    );
}

#[test]
fn s55_a_late_client_and_the_staff_hear_ten_minutes_after_the_start_and_not_if_the_client_came() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let late = salon.book(&salon.day(1, "15:00"));
    let in_time = salon.book(&salon.day(1, "16:00"));
    salon.run_to(&salon.day(1, "15:09"));
    assert_eq!(salon.statuses(&late, "running_late"), Vec::<String>::new());
    salon.run_to(&salon.day(1, "15:11"));
    assert_eq!(salon.statuses(&late, "running_late"), ["sms accepted", "push accepted"]);
    salon.run_to(&salon.day(1, "15:58"));
    salon.change(&in_time, "arrive", json!({}));
    salon.run_to(&salon.day(1, "18:00"));

    let left = salon.left();
    let about_lateness: Vec<&String> = left.iter().filter(|line| line.contains("running_late")).collect();
    assert_eq!(about_lateness, ["1 15:10 running_late push", "1 15:10 running_late sms"]);
    let texts: Vec<_> =
        salon.sent("sms", &salon.client.phone).iter().map(|sms| sms["text"].clone()).collect();
    assert!(texts.contains(&json!("Salon Aurora: Your visit was to start at 15:00. Are you on your way?")));
    let tasks = salon.tasks();
    assert_eq!(tasks.len(), 1, "{tasks:?}");
    assert_eq!((&tasks[0]["kind"], &tasks[0]["booking_id"]), (&json!("running_late"), &json!(late)));
    assert_eq!(salon.statuses(&in_time, "running_late"), Vec::<String>::new());
}

#[test]
fn a_client_not_marked_arrived_becomes_a_no_show_by_itself_where_the_business_says_so() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    salon.api.patch("/v1/business", &json!({ "no_show_after_minutes": 15 })).ok();
    let booking = salon.book(&salon.day(1, "15:00"));
    salon.run_to(&salon.day(1, "15:59"));
    assert_eq!(salon.timeline(&booking)["booking"]["status"], "confirmed");
    salon.run_to(&salon.day(1, "16:01"));
    assert_eq!(salon.timeline(&booking)["booking"]["status"], "no_show");
    assert_eq!(salon.left().last().unwrap(), "1 16:00 missed_booking email");
}

#[test]
fn s31_s37_without_the_tick_no_sms_leaves_and_the_other_channels_do() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let mut body = salon.booking(&salon.day(4, "15:00"));
    body["notify"] = json!(false);
    let without_sms = salon.book_with(&body);
    assert_eq!(
        salon.statuses(&without_sms, "booking_created"),
        ["email accepted", "sms suppressed notify_off", "push accepted"]
    );
    body["start"] = json!(salon.day(4, "17:00").datetime().to_string());
    body["notify"] = json!("none");
    let silent = salon.book_with(&body);
    assert_eq!(
        salon.statuses(&silent, "booking_created"),
        ["email suppressed notify_off", "sms suppressed notify_off", "push suppressed notify_off"]
    );
    assert_eq!(salon.left(), ["0 10:00 booking_created email", "0 10:00 booking_created push"]);
}

#[test]
fn s35_s36_the_tick_sends_an_sms_although_the_type_is_off_but_not_against_a_ban() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    salon.api.put("/v1/rules/booking_created", &json!({ "enabled": false, "steps": [] })).ok();
    let silent = salon.book(&salon.day(3, "10:00"));
    assert_eq!(salon.statuses(&silent, "booking_created"), Vec::<String>::new());
    let off = json!({ "enabled": false, "steps": [{ "timing": "immediately", "channels": ["email"] }] });
    salon.api.put("/v1/rules/booking_created", &off).ok();
    let mut body = salon.booking(&salon.day(3, "12:00"));
    body["notify"] = json!(true);
    let ticked = salon.book_with(&body);
    assert_eq!(salon.statuses(&ticked, "booking_created"), ["email suppressed switched_off", "sms accepted"]);

    let card = json!({ "name": "Maria Silva", "phone": salon.client.phone, "bans": { "channels": ["sms"] } });
    salon.api.put(&format!("/v1/clients/{}", salon.client.id), &card).ok();
    body["start"] = json!(salon.day(3, "14:00").datetime().to_string());
    let banned = salon.book_with(&body);
    assert_eq!(
        salon.statuses(&banned, "booking_created"),
        ["email suppressed switched_off", "sms suppressed banned"]
    );
    assert_eq!(salon.left(), ["0 10:00 booking_created sms"]);
}

#[test]
fn s15_without_the_sms_option_no_sms_leaves() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    salon.api.patch("/v1/business", &json!({ "sms_enabled": false })).ok();
    let booking = salon.book(&salon.day(3, "15:00"));
    assert_eq!(
        salon.statuses(&booking, "booking_created"),
        ["email accepted", "sms suppressed sms_off", "push accepted"]
    );
    assert_eq!(salon.left(), ["0 10:00 booking_created email", "0 10:00 booking_created push"]);
}

#[test]
fn s28_an_unconfirmed_booking_is_not_reminded_of_where_the_rule_waits_for_the_confirmation() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let rule = json!({
        "enabled": true, "while_pending": false,
        "steps": [{ "timing": "2h before start", "channels": ["sms"] }],
    });
    salon.api.put("/v1/rules/reminder", &rule).ok();
    let online = |time: &str| {
        let mut body = salon.booking(&salon.day(1, time));
        body["source"] = json!("online");
        salon.book_with(&body)
    };
    let (pending, confirmed) = (online("15:00"), online("16:00"));
    salon.change(&confirmed, "confirm", json!({}));
    salon.run_to(&salon.day(1, "14:59"));
    assert_eq!(salon.statuses(&pending, "reminder"), ["sms suppressed not_confirmed"]);
    assert_eq!(salon.statuses(&confirmed, "reminder"), ["sms accepted"]);
    assert_eq!(salon.left().last().unwrap(), "1 14:00 reminder sms");
}

#[test]
fn s25_s56_s71_the_business_sets_the_reminders_also_at_a_local_time_and_keeps_it_when_the_clocks_change() {
    let stack = Stack::start();
    let zone = TimeZone::get("Europe/Lisbon").unwrap();
    let from = stack.now() + SignedDuration::from_hours(72);
    for change in zone.following(from).take(2) {
        let sunday = change.timestamp().to_zoned(zone.clone()).date();
        let salon = Salon::open_on(&stack, "Europe/Lisbon", sunday.yesterday().unwrap());
        let rule = json!({ "enabled": true, "steps": [
            { "timing": "at 18:00 1d before", "channels": ["email", "sms"] },
            { "timing": "at 09:00 on the day", "channels": ["push"] },
            { "timing": "1h before start", "channels": ["sms"] },
        ]});
        salon.api.put("/v1/rules/reminder", &rule).ok();
        salon.book(&salon.day(1, "15:00"));
        salon.run_to(&salon.day(1, "14:59"));
        assert_eq!(
            salon.left()[3..],
            [
                "0 18:00 reminder email",
                "0 18:00 reminder sms",
                "1 09:00 reminder push",
                "1 14:00 reminder sms"
            ]
        );
    }
}

#[test]
fn a_reminder_goes_to_the_address_the_client_has_when_it_leaves() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let booking = salon.book(&salon.day(2, "15:00"));
    let card = json!({ "name": "Maria Silva", "phone": "+351912349999" });
    salon.api.put(&format!("/v1/clients/{}", salon.client.id), &card).ok();
    salon.run_to(&salon.day(2, "14:30"));
    assert_eq!(salon.statuses(&booking, "reminder"), ["push accepted", "sms accepted", "push accepted"]);
    assert_eq!(salon.sent("sms", &salon.client.phone).len(), 1, "the notice of the booking");
    assert_eq!(salon.sent("sms", "+351912349999").len(), 1, "the reminder");
}

#[test]
fn each_participant_has_messages_of_their_own() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let friend = salon.new_client();
    let mut body = salon.booking(&salon.day(2, "15:00"));
    body["client_ids"] = json!([salon.client.id, friend.id]);
    salon.book_with(&body);
    salon.run_to(&salon.day(2, "14:30"));
    for client in [&salon.client, &friend] {
        assert_eq!(salon.sent("email", &client.email).len(), 1);
        assert_eq!(salon.sent("sms", &client.phone).len(), 2, "the booking and the reminder");
        assert_eq!(salon.sent("push", &client.device).len(), 3, "the booking and two reminders");
    }
    assert_eq!(salon.left().len(), 12);
}

#[test]
fn s44_s45_what_the_client_card_bans_does_not_leave() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    let visit = salon.day(2, "15:00");
    let booking = salon.book(&visit);
    // Banned after planning: what counts is the card at the moment of sending.
    let card = json!({
        "name": "Maria Silva", "phone": salon.client.phone, "email": salon.client.email,
        "bans": { "channels": ["sms"], "types": ["booking_cancelled"] },
    });
    salon.api.put(&format!("/v1/clients/{}", salon.client.id), &card).ok();
    salon.run_to(&salon.day(2, "14:30"));
    assert_eq!(
        salon.statuses(&booking, "reminder"),
        ["push accepted", "sms suppressed banned", "push accepted"]
    );
    salon.change(&booking, "cancel", json!({}));
    assert_eq!(
        salon.statuses(&booking, "booking_cancelled"),
        ["email suppressed banned", "sms suppressed banned"]
    );
}

#[test]
fn report_the_time_from_the_post_of_a_booking_to_its_sms_in_the_outbox() {
    let stack = Stack::start();
    let salon = Salon::open(&stack, TOKYO);
    // The first starts every sandbox.
    salon.book(&salon.day(1, "00:00"));
    let mut times: Vec<u128> = (1..=10)
        .map(|hour| {
            let body = salon.booking(&salon.day(1, &format!("{hour:02}:00")));
            let posted = Instant::now();
            salon.post_booking(&body);
            wait_until("the sms is in the outbox", || {
                salon.sent("sms", &salon.client.phone).len() == hour + 1
            });
            posted.elapsed().as_millis()
        })
        .collect();
    times.sort_unstable();
    eprintln!("POST of a booking to its sms in the outbox: median {} ms of {times:?}", times[5]);
    stack.run_on(SignedDuration::from_secs(1));
    assert_eq!(salon.sent("sms", &salon.client.phone).len(), 11);
}
