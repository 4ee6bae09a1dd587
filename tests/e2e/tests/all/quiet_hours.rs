//! Quiet hours: what comes due in the night waits for the morning of the place.

use jiff::SignedDuration;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde_json::json;

use crate::salon::{Salon, TOKYO};
use crate::stack::Stack;

const LISBON: &str = "Europe/Lisbon";
const KATHMANDU: &str = "Asia/Kathmandu";

fn with_quiet_hours<'a>(stack: &'a Stack, zone: &str, first_day: Option<Date>) -> Salon<'a> {
    let salon = match first_day {
        Some(day) => Salon::open_on(stack, zone, day),
        None => Salon::open(stack, zone),
    };
    salon.api.patch("/v1/business", &json!({ "quiet_hours": { "from": "23:00", "until": "08:00" } })).ok();
    salon
}

/// Books at 23:30 and looks what leaves when.
fn books_at_night(salon: &Salon<'_>) {
    salon.run_to(&salon.day(0, "23:30"));
    let booking = salon.book(&salon.day(3, "15:00"));
    assert_eq!(
        salon.statuses(&booking, "booking_created"),
        ["email accepted", "sms deferred", "push deferred"],
        "e-mail wakes nobody"
    );
    salon.run_to(&salon.day(1, "07:59"));
    assert_eq!(salon.left(), ["0 23:30 booking_created email"]);
    salon.run_to(&salon.day(1, "08:01"));
    assert_eq!(
        salon.left(),
        ["0 23:30 booking_created email", "1 08:00 booking_created push", "1 08:00 booking_created sms"]
    );
    let row = salon.messages(&booking).into_iter().find(|row| row["channel"] == "sms").unwrap();
    assert_eq!(row["due"], salon.day(1, "08:00").timestamp().to_string());
}

#[test]
fn s27_made_at_night_sms_and_push_wait_for_eight_at_the_location() {
    let stack = Stack::start();
    books_at_night(&with_quiet_hours(&stack, TOKYO, None));
    books_at_night(&with_quiet_hours(&stack, KATHMANDU, None));
}

#[test]
fn s27_the_nights_in_which_the_clocks_change_end_at_eight_too() {
    let stack = Stack::start();
    let zone = TimeZone::get(LISBON).unwrap();
    // The next change of each kind, from far enough ahead on.
    let from = stack.now() + SignedDuration::from_hours(72);
    let changes: Vec<Date> =
        zone.following(from).take(2).map(|change| change.timestamp().to_zoned(zone.clone()).date()).collect();
    let nights: Vec<i64> = changes
        .into_iter()
        .map(|change| {
            let salon = with_quiet_hours(&stack, LISBON, Some(change.yesterday().unwrap()));
            books_at_night(&salon);
            salon.day(1, "08:00").duration_since(&salon.day(0, "23:00")).as_hours()
        })
        .collect();
    assert!(nights.contains(&8) && nights.contains(&10), "one short night and one long: {nights:?}");
}

#[test]
fn s27_a_reminder_whose_morning_is_too_late_leaves_before_the_night() {
    let stack = Stack::start();
    let salon = with_quiet_hours(&stack, TOKYO, None);
    let early = salon.book(&salon.day(2, "07:30"));
    let later = salon.book(&salon.day(3, "08:30"));
    salon.run_to(&salon.day(3, "09:00"));
    let left = salon.left();
    let reminders: Vec<&str> =
        left.iter().filter(|line| line.contains("reminder")).map(String::as_str).collect();
    assert_eq!(
        reminders,
        [
            "1 08:00 reminder push",
            "1 22:55 reminder push",
            "1 22:55 reminder sms",
            "2 08:30 reminder push",
            "3 08:00 reminder push",
            "3 08:00 reminder sms",
        ],
        "for half past seven: the evening before; for half past eight: at the end of the night"
    );
    assert!(salon.statuses(&early, "reminder").iter().all(|status| status.ends_with("accepted")));
    assert!(salon.statuses(&later, "reminder").iter().all(|status| status.ends_with("accepted")));
}

#[test]
fn s27_made_moved_and_cancelled_in_one_night_the_client_hears_of_the_cancellation_only() {
    let stack = Stack::start();
    let salon = with_quiet_hours(&stack, TOKYO, None);
    salon.run_to(&salon.day(0, "23:10"));
    let booking = salon.book(&salon.day(3, "15:00"));
    salon.run_to(&salon.day(1, "01:00"));
    salon.change(&booking, "reschedule", json!({ "start": salon.day(3, "17:00").datetime().to_string() }));
    salon.run_to(&salon.day(1, "03:00"));
    salon.change(&booking, "cancel", json!({}));
    salon.run_to(&salon.day(5, "12:00"));
    assert_eq!(
        salon.left(),
        [
            "0 23:10 booking_created email",
            "1 01:00 booking_rescheduled email",
            "1 03:00 booking_cancelled email",
            "1 08:00 booking_cancelled sms",
        ]
    );
}
