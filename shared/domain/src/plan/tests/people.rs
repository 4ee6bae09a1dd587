//! Who is told: participants who come in and leave, series, staff and managers.

use super::*;
use crate::booking::Series;
use crate::ids::ClientId;
use NotificationType as Type;

const MADE: &str = "2026-11-20T12:00:00Z";
const LATER: &str = "2026-11-21T12:00:00Z";

fn participants(ids: &[&str]) -> Operation {
    Operation::Participants(ids.iter().map(|id| id.parse::<ClientId>().unwrap()).collect())
}

fn kinds(lines: &[String]) -> BTreeSet<&str> {
    lines.iter().filter_map(|line| line.split(' ').next()).collect()
}

#[test]
fn each_participant_has_messages_of_their_own() {
    let mut facts = salon();
    facts.clients.push(client("c2"));
    facts.booking_mut().client_ids.push("c2".parse().unwrap());
    facts.clients[1].bans.channels.insert(Channel::Sms);
    assert!(told_to(&facts, MADE, "c").contains(&format!("booking_created immediately sms: {MADE}")));
    assert!(told_to(&facts, MADE, "c2").contains(&"booking_created immediately sms: Banned".to_owned()));
    for id in ["c", "c2"] {
        assert_eq!(kinds(&told_to(&facts, MADE, id)).first(), Some(&"booking_created"), "{id}");
        assert!(
            told_to(&facts, MADE, id)
                .contains(&"reminder 1h before start push: 2026-11-23T09:00:00Z".to_owned())
        );
    }
}

#[test]
fn whoever_comes_in_is_told_of_the_booking_as_it_is_and_nobody_else_is() {
    let mut facts = salon();
    facts.clients.push(client("c2"));
    after(&mut facts, moved_to("2026-11-24T15:00:00Z"), "2026-11-20T15:00:00Z");
    let before = told_to(&facts, LATER, "c");
    after(&mut facts, participants(&["c", "c2"]), LATER);
    assert_eq!(told_to(&facts, LATER, "c"), before);
    let joined = told_to(&facts, LATER, "c2");
    assert_eq!(
        kinds(&joined),
        ["booking_created", "reminder"].into(),
        "the move was before their time: {joined:?}"
    );
    assert!(joined.contains(&format!("booking_created immediately sms: {LATER}")));
    assert!(joined.contains(&"reminder 24h before start push: 2026-11-23T15:00:00Z".to_owned()));
}

#[test]
fn whoever_comes_in_late_has_the_same_grace_as_a_booking_made_then() {
    let mut facts = salon();
    facts.clients.push(client("c2"));
    after(&mut facts, participants(&["c", "c2"]), "2026-11-22T20:00:00Z");
    let push = |recipient| {
        let lines = told_to(&facts, "2026-11-22T20:00:00Z", recipient);
        lines.into_iter().find(|line| line.starts_with("reminder 24h before start push")).unwrap()
    };
    assert_eq!(push("c"), "reminder 24h before start push: 2026-11-22T10:00:00Z");
    assert_eq!(push("c2"), "reminder 24h before start push: TooLate");
}

#[test]
fn whoever_leaves_is_told_of_a_cancellation_and_hears_no_more() {
    let mut facts = salon();
    facts.clients.push(client("c2"));
    facts.booking_mut().client_ids.push("c2".parse().unwrap());
    let before = told_to(&facts, LATER, "c");
    after(&mut facts, participants(&["c"]), LATER);
    let left = [
        format!("booking_cancelled immediately email: {LATER}"),
        format!("booking_cancelled immediately sms: {LATER}"),
    ];
    assert_eq!(told_to(&facts, LATER, "c2"), left);
    assert_eq!(told_to(&facts, LATER, "c"), before);
    after(&mut facts, Operation::Cancel, "2026-11-21T13:00:00Z");
    assert_eq!(told_to(&facts, LATER, "c2"), left, "out of it already");
    assert_eq!(kinds(&told_to(&facts, LATER, "c")), ["booking_cancelled"].into());
}

#[test]
fn whoever_comes_back_is_told_again_and_no_longer_of_the_cancellation() {
    let mut facts = salon();
    facts.clients.push(client("c2"));
    facts.booking_mut().client_ids.push("c2".parse().unwrap());
    after(&mut facts, participants(&["c"]), LATER);
    after(&mut facts, participants(&["c", "c2"]), "2026-11-21T13:00:00Z");
    let back = told_to(&facts, LATER, "c2");
    assert_eq!(kinds(&back), ["booking_created", "reminder"].into());
    assert!(back.contains(&"booking_created immediately sms: 2026-11-21T13:00:00Z".to_owned()));
    after(&mut facts, participants(&["c"]), "2026-11-21T14:00:00Z");
    let gone = told_to(&facts, LATER, "c2");
    assert_eq!(kinds(&gone), ["booking_cancelled"].into());
    assert!(gone.iter().all(|line| line.ends_with("2026-11-21T14:00:00Z")), "{gone:?}");
}

#[test]
fn the_same_participants_are_no_news() {
    let mut facts = salon();
    let before = lines(&plan(&facts, at(LATER)));
    after(&mut facts, participants(&["c"]), LATER);
    assert_eq!(lines(&plan(&facts, at(LATER))), before);
}

#[test]
fn a_series_is_told_once_and_each_of_its_bookings_is_reminded_of() {
    let of_series = |index| {
        let mut facts = salon_with_staff();
        let series = format!(r#"{{"id":"s","index":{index},"count":3}}"#);
        facts.booking_mut().series = Some(serde_json::from_str::<Series>(&series).unwrap());
        facts
    };
    let (first, second) = (of_series(0), of_series(1));
    assert_eq!(told(&first, MADE, Type::BookingCreated).len(), 3);
    assert_eq!(told(&first, MADE, Type::StaffBookingCreated).len(), 6);
    assert_eq!(told(&second, MADE, Type::BookingCreated), Vec::<String>::new());
    assert_eq!(told(&second, MADE, Type::StaffBookingCreated), Vec::<String>::new());
    assert_eq!(told(&first, MADE, Type::Reminder), told(&second, MADE, Type::Reminder));
    assert_eq!(told(&second, MADE, Type::Reminder).len(), 3);
    // What happens to one booking of the series later is its own news.
    let mut cancelled = second.clone();
    after(&mut cancelled, Operation::Cancel, LATER);
    assert_eq!(told(&cancelled, LATER, Type::BookingCancelled).len(), 2);
    // Whoever comes in later has not had the notice of the first.
    let mut joined = second;
    joined.clients.push(client("c2"));
    after(&mut joined, participants(&["c", "c2"]), LATER);
    assert_eq!(told(&joined, LATER, Type::BookingCreated).len(), 3);
}

// ------------------------------------------------------------------ staff

#[test]
fn s33_s70_staff_who_serve_and_managers_are_told_of_bookings_made_changed_and_cancelled() {
    let news = |operation: Option<Operation>, by_whom: &str, when: &str| {
        let mut facts = salon_with_staff();
        if let Some(operation) = operation {
            after(&mut facts, operation, when);
        }
        told_to(&facts, when, by_whom)
    };
    let told = |kind: &str, when: &str| {
        ["email", "push", "sms"].map(|channel| format!("{kind} immediately {channel}: {when}"))
    };
    let change = Operation::Change { resource_id: "r".parse().unwrap(), service_id: "s2".parse().unwrap() };
    for staff in ["staff:w", "staff:m"] {
        assert_eq!(news(None, staff, MADE), told("staff_booking_created", MADE));
        assert_eq!(
            news(Some(moved_to("2026-11-24T15:00:00Z")), staff, LATER),
            told("staff_booking_changed", LATER)
        );
        assert_eq!(news(Some(change.clone()), staff, LATER), told("staff_booking_changed", LATER));
        assert_eq!(news(Some(Operation::Cancel), staff, LATER), told("staff_booking_cancelled", LATER));
    }
    assert_eq!(news(None, "staff:x", MADE), Vec::<String>::new());
}

#[test]
fn s33_a_manager_who_serves_is_told_once() {
    let mut facts = salon_with_staff();
    facts.resource.as_mut().unwrap().staff_ids.push("m".parse().unwrap());
    let plan = plan(&facts, at(MADE));
    let ids: BTreeSet<&MessageId> = plan.messages.iter().map(|message| &message.id).collect();
    assert_eq!(ids.len(), plan.messages.len(), "each message once");
    assert_eq!(told_to(&facts, MADE, "staff:m").len(), 3);
}

#[test]
fn s31_s34_the_tick_is_about_the_clients_sms_and_none_is_about_everybodys() {
    let sms = |notify, enabled| {
        let mut facts = salon_with_staff();
        facts.rule_mut(Type::StaffBookingCreated).enabled = enabled;
        made(&mut facts, Source::Staff, Status::Confirmed, notify, MADE);
        let lines = told_to(&facts, MADE, "staff:w");
        lines.into_iter().filter(|line| line.contains(" sms:")).collect::<Vec<_>>()
    };
    let leaves = [format!("staff_booking_created immediately sms: {MADE}")];
    assert_eq!(sms(Notify::ByRules, true), leaves);
    assert_eq!(sms(Notify::NoSms, true), leaves);
    assert_eq!(sms(Notify::Yes, true), leaves);
    assert_eq!(sms(Notify::Nothing, true), ["staff_booking_created immediately sms: NotifyOff"]);
    assert_eq!(sms(Notify::Yes, false), Vec::<String>::new(), "staff's own type is off");
}

#[test]
fn s70_staff_who_join_later_get_no_old_news() {
    let mut facts = salon_with_staff();
    let lines = told_to(&facts, "2026-11-21T11:59:59Z", "staff:w");
    assert!(lines.iter().all(|line| line.ends_with(MADE)), "{lines:?}");
    let lines = told_to(&facts, LATER, "staff:w");
    assert_eq!(lines.len(), 3);
    assert!(lines.iter().all(|line| line.ends_with("TooLate")), "{lines:?}");
    after(&mut facts, Operation::Cancel, "2026-11-23T09:00:00Z");
    let lines = told_to(&facts, "2026-11-24T09:00:00Z", "staff:w");
    assert!(lines.iter().all(|line| line.ends_with("TooLate")), "{lines:?}");
}

#[test]
fn s33_the_clients_bans_are_not_the_staffs() {
    let mut facts = salon_with_staff();
    facts.clients[0].bans.channels.extend(Channel::ALL);
    assert!(told_to(&facts, MADE, "c").iter().all(|line| line.ends_with("Banned")));
    assert!(told_to(&facts, MADE, "staff:w").iter().all(|line| line.ends_with(MADE)));
}

#[test]
fn s27_the_night_of_staff_is_their_own() {
    let mut facts = salon_with_staff();
    facts.staff.iter_mut().for_each(|staff| staff.zone = Some("Asia/Kathmandu".parse().unwrap()));
    made(&mut facts, Source::Online, Status::Pending, Notify::ByRules, "2026-11-20T17:30:00Z");
    let sms = "staff_booking_created immediately sms: 2026-11-21T02:15:00Z (deferred)"; // 08:00 in Kathmandu
    assert!(told_to(&facts, MADE, "staff:w").contains(&sms.to_owned()));
    assert!(
        told_to(&facts, MADE, "c")
            .contains(&"booking_created immediately sms: 2026-11-20T17:30:00Z".to_owned())
    );
}

#[test]
fn a_person_who_is_gone_has_no_address() {
    let mut facts = salon_with_staff();
    (facts.clients, facts.staff) = (vec![], vec![]);
    let lines = lines(&plan(&facts, at(MADE)));
    assert!(!lines.is_empty());
    assert!(lines.iter().all(|line| line.ends_with("NoAddress")), "{lines:?}");
}

#[test]
fn who_has_left_hears_of_it_once_and_not_of_others_who_leave() {
    let mut facts = salon();
    for id in ["d", "e"] {
        facts.clients.push(client(id));
    }
    let with = |ids: &[&str]| Operation::Participants(ids.iter().map(|id| id.parse().unwrap()).collect());
    after(&mut facts, with(&["c", "d", "e"]), "2026-11-20T12:10:00Z");
    after(&mut facts, with(&["c", "e"]), "2026-11-20T12:20:00Z");
    after(&mut facts, with(&["c"]), "2026-11-20T12:30:00Z");
    let now = "2026-11-20T12:30:00Z";
    let emails = |id: &str| -> Vec<String> {
        told_to(&facts, now, id).into_iter().filter(|line| line.contains("email")).collect()
    };
    assert_eq!(emails("d"), ["booking_cancelled immediately email: 2026-11-20T12:20:00Z"]);
    assert_eq!(emails("e"), ["booking_cancelled immediately email: 2026-11-20T12:30:00Z"]);
}

#[test]
fn s70_staff_hear_of_no_change_to_a_booking_that_is_off() {
    let mut facts = salon_with_staff();
    facts.rule_mut(NotificationType::StaffBookingCancelled).enabled = false;
    after(&mut facts, moved_to("2026-11-25T15:00:00Z"), "2026-11-20T12:10:00Z");
    assert_eq!(told(&facts, "2026-11-20T12:10:00Z", NotificationType::StaffBookingChanged).len(), 6);
    after(&mut facts, Operation::Cancel, "2026-11-20T12:20:00Z");
    let now = "2026-11-20T12:20:00Z";
    assert_eq!(told(&facts, now, NotificationType::StaffBookingChanged), Vec::<String>::new());
}
