//! Reminders, requests to confirm, and what the checks find.

use super::*;
use NotificationType as Type;

const MADE: &str = "2026-11-20T12:00:00Z";

#[rstest]
#[case("1h before start", "2026-11-23T09:00:00Z")]
#[case("2h before start", "2026-11-23T08:00:00Z")]
#[case("24h before start", "2026-11-22T10:00:00Z")]
fn s25_a_reminder_by_sms_alone_an_hour_two_or_a_day_before(#[case] timing: &str, #[case] due: &str) {
    let mut facts = salon();
    facts.rules.changed.insert(Type::Reminder, rule(&[(timing, &[Channel::Sms])]));
    assert_eq!(told(&facts, MADE, Type::Reminder), [format!("{timing} sms: {due}")]);
}

#[rstest]
#[case::a_day_before("1d before start", "2026-11-22T10:00:00Z")]
#[case::the_morning_of_the_day("at 09:00 on the day", "2026-11-23T09:00:00Z")]
#[case::the_day_before_at("at 18:00 1d before", "2026-11-22T18:00:00Z")]
#[case::minutes("45m before start", "2026-11-23T09:15:00Z")]
fn s54_s56_a_reminder_leaves_at_the_set_time(#[case] timing: &str, #[case] due: &str) {
    let mut facts = salon();
    facts.rules.changed.insert(Type::Reminder, rule(&[(timing, &[Channel::Email])]));
    assert_eq!(told(&facts, MADE, Type::Reminder), [format!("{timing} email: {due}")]);
}

#[test]
fn s56_a_time_on_the_day_after_the_start_is_too_late() {
    let mut facts = salon();
    facts.rules.changed.insert(Type::Reminder, rule(&[("at 10:00 on the day", &[Channel::Email])]));
    assert_eq!(told(&facts, MADE, Type::Reminder), ["at 10:00 on the day email: TooLate"]);
}

#[test]
fn s71_reminders_are_as_many_as_are_set() {
    let mut facts = salon();
    let steps: &[(&str, &[Channel])] = &[
        ("3d before start", &[Channel::Email]),
        ("1d before start", &[Channel::Push, Channel::Email]),
        ("3h before start", &[Channel::Sms]),
        ("30m before start", &[Channel::Push]),
    ];
    facts.rules.changed.insert(Type::Reminder, rule(steps));
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, "2026-11-19T12:00:00Z");
    assert_eq!(
        told(&facts, MADE, Type::Reminder),
        [
            "1d before start email: 2026-11-22T10:00:00Z",
            "1d before start push: 2026-11-22T10:00:00Z",
            "30m before start push: 2026-11-23T09:30:00Z",
            "3d before start email: 2026-11-20T10:00:00Z",
            "3h before start sms: 2026-11-23T08:00:00Z (deferred)",
        ]
    );
}

#[test]
fn s39_s72_a_booking_may_have_reminder_times_of_its_own_at_its_making_and_later() {
    let mut facts = salon();
    facts.booking_mut().reminders =
        Some(vec!["5h before start".parse().unwrap(), "90m before start".parse().unwrap()]);
    let own = [
        "5h before start push: 2026-11-23T08:00:00Z (deferred)",
        "5h before start sms: 2026-11-23T08:00:00Z (deferred)",
        "90m before start push: 2026-11-23T08:30:00Z",
        "90m before start sms: 2026-11-23T08:30:00Z",
    ];
    assert_eq!(told(&facts, MADE, Type::Reminder), own, "on the channels of the rule");
    facts.booking_mut().reminders = Some(vec![]);
    assert_eq!(told(&facts, MADE, Type::Reminder), Vec::<String>::new(), "none at all");
    facts.booking_mut().reminders = None;
    assert_eq!(told(&facts, MADE, Type::Reminder).len(), 3, "those of the rule");
    facts.rule_mut(Type::Reminder).enabled = false;
    facts.booking_mut().reminders = Some(vec!["90m before start".parse().unwrap()]);
    assert_eq!(told(&facts, MADE, Type::Reminder), Vec::<String>::new(), "the type is off");
}

#[test]
fn s39_a_change_of_a_bookings_own_times_replaces_what_was_planned() {
    let mut facts = salon();
    let (mut ledger, mut checks) = (vec![], vec![]);
    applied(&facts, &mut ledger, &mut checks, at(MADE));
    facts.booking_mut().reminders = Some(vec!["90m before start".parse().unwrap()]);
    applied(&facts, &mut ledger, &mut checks, at("2026-11-20T13:00:00Z"));
    let open: Vec<String> = ledger
        .iter()
        .filter(|row| row.kind == Type::Reminder && row.status.is_open())
        .map(|row| format!("{} {} {}", row.step, row.channel, row.due))
        .collect();
    assert_eq!(open.len(), 2, "{open:?}");
    assert!(open.iter().all(|line| line.starts_with("90m before start")), "{open:?}");
}

#[rstest]
#[case::send_now(LatePolicy::SendNow, "2026-11-23T09:50:00Z", "2026-11-23T09:50:00Z")]
#[case::send_now_but_begun(LatePolicy::SendNow, "2026-11-23T10:00:00Z", "TooLate")]
#[case::skip(LatePolicy::Skip, "2026-11-22T10:00:01Z", "TooLate")]
#[case::skip_in_time(LatePolicy::Skip, "2026-11-22T10:00:00Z", "2026-11-22T10:00:00Z")]
#[case::grace(LatePolicy::Grace, "2026-11-22T12:00:00Z", "2026-11-22T12:00:00Z")]
#[case::grace_over(LatePolicy::Grace, "2026-11-22T19:00:00Z", "TooLate")]
fn s71_a_timing_already_past_goes_by_the_policy_of_the_rule(
    #[case] late: LatePolicy,
    #[case] when: &str,
    #[case] expected: &str,
) {
    let mut facts = salon();
    facts
        .rules
        .changed
        .insert(Type::Reminder, Rule { late, ..rule(&[("24h before start", &[Channel::Email])]) });
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, when);
    assert_eq!(told(&facts, when, Type::Reminder), [format!("24h before start email: {expected}")]);
    // The same for a booking that is moved so that the time is past.
    let mut facts = salon();
    facts
        .rules
        .changed
        .insert(Type::Reminder, Rule { late, ..rule(&[("24h before start", &[Channel::Email])]) });
    facts.booking_mut().start = at("2026-11-28T10:00:00Z");
    after(&mut facts, moved_to("2026-11-23T10:00:00Z"), when);
    assert_eq!(told(&facts, when, Type::Reminder), [format!("24h before start email: {expected}")]);
}

#[test]
fn s28_without_the_wait_a_pending_booking_is_reminded_of() {
    let mut facts = salon();
    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, MADE);
    let reminders = told(&facts, MADE, Type::Reminder);
    assert!(reminders.iter().all(|line| !line.contains("NotConfirmed")), "{reminders:?}");
    facts.rule_mut(Type::Reminder).while_pending = false;
    let waiting = told(&facts, MADE, Type::Reminder);
    assert_eq!(waiting.len(), 3);
    assert!(waiting.iter().all(|line| line.ends_with(": NotConfirmed")), "{waiting:?}");
}

#[test]
fn s28_a_withheld_reminder_is_opened_again_by_the_confirmation_and_decided_so() {
    let mut facts = salon();
    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, MADE);
    facts.rule_mut(Type::Reminder).while_pending = false;
    let (mut ledger, mut checks) = (vec![], vec![]);
    applied(&facts, &mut ledger, &mut checks, at(MADE));
    let find = |ledger: &[Message]| {
        ledger.iter().find(|row| row.kind == Type::Reminder && row.channel == Channel::Sms).unwrap().clone()
    };
    let sms = find(&ledger);
    assert_eq!((sms.status, sms.reason), (MessageStatus::Suppressed, Some(Reason::NotConfirmed)));
    assert_eq!(decide(&facts, &sms, false, sms.due).0, Decision::Suppress(Reason::NotConfirmed));
    // A minute after its time, with a third of the lead not yet gone.
    after(&mut facts, Operation::Confirm, "2026-11-23T08:01:00Z");
    applied(&facts, &mut ledger, &mut checks, at("2026-11-23T08:01:00Z"));
    let sms = find(&ledger);
    assert_eq!((sms.status, sms.due), (MessageStatus::Queued, at("2026-11-23T08:01:00Z")));
    assert_eq!(decide(&facts, &sms, false, sms.due).0, Decision::Send);
}

// ------------------------------------------------------------------ confirmation

fn asking() -> Facts {
    let mut facts = salon_with_staff();
    facts.rule_mut(Type::ConfirmationRequest).enabled = true;
    facts
}

#[test]
fn s53_the_client_is_asked_a_day_before_until_there_is_an_answer() {
    let mut facts = asking();
    let asked = ["1d before start email: 2026-11-22T10:00:00Z", "1d before start sms: 2026-11-22T10:00:00Z"];
    assert_eq!(told(&facts, MADE, Type::ConfirmationRequest), asked);
    let noted = facts.booking_mut().asked().unwrap();
    assert_eq!(noted.confirmation, Confirmation::Requested);
    assert_eq!(noted.asked(), None, "once");
    *facts.booking_mut() = noted;
    assert_eq!(told(&facts, MADE, Type::ConfirmationRequest), asked, "having been asked changes nothing");
    for comes in [true, false] {
        let mut answered = facts.clone();
        after(&mut answered, Operation::Answer(comes), "2026-11-21T12:00:00Z");
        assert_eq!(told(&answered, MADE, Type::ConfirmationRequest), Vec::<String>::new());
        let reminders = if comes { 3 } else { 0 };
        assert_eq!(told(&answered, MADE, Type::Reminder).len(), reminders, "who comes is reminded");
        // Another time has to be confirmed anew.
        after(&mut answered, moved_to("2026-11-25T15:00:00Z"), "2026-11-21T13:00:00Z");
        assert_eq!(answered.booking().unwrap().confirmation, Confirmation::None);
        assert_eq!(
            told(&answered, MADE, Type::ConfirmationRequest),
            ["1d before start email: 2026-11-24T15:00:00Z", "1d before start sms: 2026-11-24T15:00:00Z"]
        );
    }
}

#[test]
fn s53_nobody_is_asked_by_default() {
    assert_eq!(told(&salon(), MADE, Type::ConfirmationRequest), Vec::<String>::new());
    assert_eq!(check_due(&salon_with_staff(), CheckKind::Unconfirmed), None);
}

#[test]
fn s40_staff_asks_by_hand_although_the_type_is_off() {
    let mut facts = salon();
    facts.booking_mut().confirmation = Confirmation::None;
    after(&mut facts, Operation::RequestConfirmation, "2026-11-21T12:00:00Z");
    assert_eq!(facts.booking().unwrap().confirmation, Confirmation::Requested);
    assert_eq!(
        told(&facts, MADE, Type::ConfirmationRequest),
        ["immediately email: 2026-11-21T12:00:00Z", "immediately sms: 2026-11-21T12:00:00Z"]
    );
    facts.clients[0].bans.channels.insert(Channel::Sms);
    assert!(
        told(&facts, MADE, Type::ConfirmationRequest).contains(&"immediately sms: Banned".to_owned()),
        "a ban holds all the same"
    );
    facts.clients[0].bans.channels.clear();
    let mut moved = facts.clone();
    after(&mut moved, moved_to("2026-11-25T15:00:00Z"), "2026-11-21T13:00:00Z");
    assert_eq!(
        told(&moved, MADE, Type::ConfirmationRequest),
        Vec::<String>::new(),
        "it was about the old time"
    );
    after(&mut facts, Operation::Answer(true), "2026-11-21T13:00:00Z");
    assert_eq!(told(&facts, MADE, Type::ConfirmationRequest), Vec::<String>::new());
}

#[test]
fn s40_staff_asks_by_hand_although_the_rule_is_off_and_names_no_channel() {
    let mut facts = salon();
    facts.rules.changed.insert(Type::ConfirmationRequest, Rule { enabled: false, ..rule(&[]) });
    after(&mut facts, Operation::RequestConfirmation, "2026-11-21T12:00:00Z");
    assert_eq!(
        told(&facts, MADE, Type::ConfirmationRequest),
        ["immediately email: 2026-11-21T12:00:00Z", "immediately sms: 2026-11-21T12:00:00Z"]
    );
}

#[test]
fn s40_each_time_staff_asks_is_a_request_of_its_own() {
    let mut facts = salon();
    let (mut ledger, mut checks) = (vec![], vec![]);
    after(&mut facts, Operation::RequestConfirmation, "2026-11-21T12:00:00Z");
    applied(&facts, &mut ledger, &mut checks, at("2026-11-21T12:00:00Z"));
    for row in &mut ledger {
        if row.kind == Type::ConfirmationRequest {
            row.status = MessageStatus::Accepted;
        }
    }
    after(&mut facts, Operation::Answer(false), "2026-11-21T13:00:00Z");
    after(&mut facts, Operation::RequestConfirmation, "2026-11-21T14:00:00Z");
    applied(&facts, &mut ledger, &mut checks, at("2026-11-21T14:00:00Z"));
    let queued: Vec<Timestamp> = ledger
        .iter()
        .filter(|row| row.kind == Type::ConfirmationRequest && row.status == MessageStatus::Queued)
        .map(|row| row.due)
        .collect();
    assert_eq!(queued, [at("2026-11-21T14:00:00Z"); 2], "by email and by sms");
}

#[test]
fn s53_the_managers_are_told_three_hours_before_of_a_client_who_has_not_confirmed() {
    let mut facts = asking();
    assert_eq!(check_due(&facts, CheckKind::Unconfirmed), Some(at("2026-11-23T07:00:00Z")));
    assert_eq!(told(&facts, MADE, Type::StaffUnconfirmed), Vec::<String>::new(), "nothing was found yet");
    let mut answered = facts.clone();
    after(&mut answered, Operation::Answer(true), "2026-11-21T12:00:00Z");
    assert_eq!(check_due(&answered, CheckKind::Unconfirmed), None);

    after(&mut facts, Operation::StayUnconfirmed, "2026-11-23T07:00:00Z");
    assert_eq!(check_due(&facts, CheckKind::Unconfirmed), None, "once for each time of the visit");
    let now = at("2026-11-23T07:00:00Z");
    let found = |m: &PlannedMessage| m.kind == Type::StaffUnconfirmed && m.recipient.to_string() == "staff:m";
    let line = "staff_unconfirmed 3h before start email: 2026-11-23T07:00:00Z";
    assert_eq!(lines_of(&plan(&facts, now), found), [line]);
    assert_eq!(told(&facts, MADE, Type::StaffUnconfirmed).len(), 1, "whoever serves is not told");
    // An answer in the meantime makes it void.
    let message = plan(&facts, now).messages.into_iter().find(found).unwrap();
    let message = row(&facts, &message);
    assert_eq!(decide(&facts, &message, false, now).0, Decision::Send);
    after(&mut facts, Operation::Answer(true), "2026-11-23T07:00:01Z");
    assert_eq!(decide(&facts, &message, false, now).0, Decision::Suppress(Reason::NotOwed));
}

#[test]
fn s53_s55_what_a_check_finds_is_told_when_it_is_found_however_late_the_check() {
    let mut facts = asking();
    facts.rule_mut(Type::StaffUnconfirmed).late = LatePolicy::Skip;
    after(&mut facts, Operation::StayUnconfirmed, "2026-11-23T09:30:00Z");
    assert_eq!(told(&facts, MADE, Type::StaffUnconfirmed), ["3h before start email: 2026-11-23T09:30:00Z"]);
    after(&mut facts, Operation::RunLate, "2026-11-23T10:12:00Z");
    facts.rules.changed.insert(Type::RunningLate, rule(&[("30m after start", &[Channel::Push])]));
    assert_eq!(
        told(&facts, MADE, Type::RunningLate),
        ["30m after start push: 2026-11-23T10:12:00Z"],
        "the check has waited already"
    );
}

#[test]
fn s53_the_check_looks_where_somebody_was_asked_and_the_managers_want_to_know() {
    let due = |facts: &Facts| check_due(facts, CheckKind::Unconfirmed);
    let mut facts = salon_with_staff();
    assert_eq!(due(&facts), None, "nobody is asked");
    after(&mut facts, Operation::RequestConfirmation, "2026-11-21T12:00:00Z");
    assert_eq!(due(&facts), Some(at("2026-11-23T07:00:00Z")), "asked by hand");
    facts.rule_mut(Type::StaffUnconfirmed).enabled = false;
    assert_eq!(due(&facts), None);
    facts.rules.changed.insert(Type::StaffUnconfirmed, rule(&[("at 20:00 1d before", &[Channel::Sms])]));
    assert_eq!(due(&facts), Some(at("2026-11-22T20:00:00Z")));
    after(&mut facts, Operation::Cancel, "2026-11-21T13:00:00Z");
    assert_eq!(due(&facts), None);
    let mut late = asking();
    made(&mut late, Source::Staff, Status::Confirmed, Notify::ByRules, "2026-11-23T08:00:00Z");
    assert_eq!(due(&late), None, "made after the check's time");
}

// ------------------------------------------------------------------ late

#[test]
fn s55_the_client_and_the_managers_are_told_of_a_late_client() {
    let mut facts = salon_with_staff();
    let late = facts.booking_mut().after(
        Operation::RunLate,
        at("2026-11-23T10:10:00Z"),
        Source::System,
        Notify::ByRules,
    );
    *facts.booking_mut() = late.unwrap();
    let late = |recipient| {
        let mut lines = told_to(&facts, "2026-11-23T10:10:00Z", recipient);
        lines.retain(|line| line.contains("running_late"));
        lines
    };
    assert_eq!(
        late("c"),
        [
            "running_late 10m after start push: 2026-11-23T10:10:00Z",
            "running_late 10m after start sms: 2026-11-23T10:10:00Z"
        ]
    );
    assert_eq!(late("staff:m"), ["staff_running_late immediately push: 2026-11-23T10:10:00Z"]);
    assert_eq!(late("staff:w"), Vec::<String>::new());
    // It is of use until the visit ends.
    assert!(
        told(&facts, "2026-11-23T11:00:00Z", Type::RunningLate).iter().all(|line| line.contains("TooLate"))
    );
}

#[rstest]
#[case::client_only(true, false, true)]
#[case::managers_only(false, true, true)]
#[case::nobody(false, false, false)]
fn s55_somebody_must_want_to_know_of_a_late_client(
    #[case] client: bool,
    #[case] managers: bool,
    #[case] looked_for: bool,
) {
    let mut facts = salon_with_staff();
    facts.rule_mut(Type::RunningLate).enabled = client;
    facts.rule_mut(Type::StaffRunningLate).enabled = managers;
    let due = looked_for.then(|| at("2026-11-23T10:10:00Z"));
    assert_eq!(check_due(&facts, CheckKind::Late), due);
}

#[test]
fn the_no_show_check_is_the_businesss_own_choice() {
    let mut facts = salon();
    assert_eq!(check_due(&facts, CheckKind::NoShow), None);
    facts.business.no_show_after_minutes = Some(30.try_into().unwrap());
    assert_eq!(check_due(&facts, CheckKind::NoShow), Some(at("2026-11-23T11:30:00Z")));
    assert_eq!(check_due(&facts, CheckKind::OfferEnds), None, "a booking is no offer");
    let ids: BTreeSet<CheckId> = plan(&facts, at(MADE)).checks.into_iter().map(|check| check.id).collect();
    assert_eq!(ids.len(), 2, "the late check and this one");
}

#[test]
fn s71_reminders_survive_however_much_happens_to_a_booking() {
    let mut facts = salon();
    let before = told(&facts, MADE, Type::Reminder);
    for round in 0..crate::booking::HISTORY {
        after(&mut facts, Operation::Answer(round % 2 == 1), "2026-11-20T13:00:00Z");
    }
    assert_eq!(told(&facts, MADE, Type::Reminder), before);
    assert_eq!(facts.booking().unwrap().history.len(), crate::booking::HISTORY);
}

#[test]
fn s53_who_has_said_no_is_not_reminded() {
    let mut facts = salon();
    let now = "2026-11-20T13:00:00Z";
    assert_eq!(told(&facts, now, NotificationType::Reminder).len(), 3);
    after(&mut facts, Operation::Answer(false), now);
    assert_eq!(told(&facts, now, NotificationType::Reminder), Vec::<String>::new());
    after(&mut facts, Operation::Answer(true), now);
    assert_eq!(told(&facts, now, NotificationType::Reminder).len(), 3);
}

#[test]
fn s39_times_of_its_own_do_not_switch_a_type_on() {
    let mut facts = salon();
    facts.booking_mut().reminders = Some(vec!["3h before start".parse().unwrap()]);
    assert_eq!(told(&facts, MADE, Type::Reminder).len(), 2, "sms and push, as the rule has them");
    facts.rule_mut(Type::Reminder).enabled = false;
    assert_eq!(told(&facts, MADE, Type::Reminder), Vec::<String>::new());
}

#[test]
fn s40_a_request_by_hand_is_of_no_use_when_the_visit_has_begun() {
    let mut facts = salon();
    after(&mut facts, Operation::RequestConfirmation, "2026-11-20T13:00:00Z");
    let planned = plan(&facts, at("2026-11-20T13:00:00Z"));
    let is_it = |m: &&PlannedMessage| m.kind == Type::ConfirmationRequest && m.step == Timing::Immediately;
    let request = row(&facts, planned.messages.iter().find(is_it).unwrap());
    assert_eq!(decide(&facts, &request, false, at("2026-11-23T09:59:59Z")).0, Decision::Send);
    assert_eq!(
        decide(&facts, &request, false, at("2026-11-23T10:00:00Z")).0,
        Decision::Suppress(Reason::TooLate)
    );
}

#[test]
fn s28_a_confirmation_that_comes_too_late_brings_no_reminder_back() {
    let mut facts = salon();
    facts.booking_mut().status = Status::Pending;
    facts.rule_mut(Type::Reminder).while_pending = false;
    // Ten of twenty-four hours too late.
    after(&mut facts, Operation::Confirm, "2026-11-22T20:00:00Z");
    let told = told(&facts, "2026-11-22T20:00:00Z", Type::Reminder);
    assert!(told.contains(&"24h before start push: TooLate".to_owned()), "{told:?}");
    assert!(told.contains(&"1h before start push: 2026-11-23T09:00:00Z".to_owned()), "{told:?}");
}

#[rstest]
#[case::just_before("2026-11-23T10:09:59Z", 1)]
#[case::at_that_instant("2026-11-23T10:10:00Z", 0)]
fn s55_a_visit_entered_when_the_client_should_have_been_found_late_makes_nobody_late(
    #[case] when: &str,
    #[case] checks: usize,
) {
    let mut facts = salon();
    made(&mut facts, Source::Staff, Status::Confirmed, Notify::ByRules, when);
    assert_eq!(plan(&facts, at(when)).checks.len(), checks);
}
