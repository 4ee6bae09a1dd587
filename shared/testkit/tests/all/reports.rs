//! What providers and staff report of messages, and what follows from it: cascades, suppressions, limits (S4, S67).

use app::close_task::{CloseFields, close_task};
use app::error::AppError;
use app::ports::{Item, Key, MessageRef};
use app::take_report::{AboutMessage, Taken, take_report};
use domain::channel::Channel;
use domain::client::{Cause, Client};
use domain::feedback::Report;
use domain::message::{Message, MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::task::{Task, TaskKind};
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use testkit::disturb::Scenario;
use testkit::platform::interleave;
use testkit::salon::{TUESDAY_TEN, edit, haircut, instant, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Call, Fault, World};

const BOUNCE: Report = Report::Failed { reason: Reason::InvalidAddress, suppress: Some(Cause::HardBounce) };
const LOST: Report = Report::Failed { reason: Reason::NotDelivered, suppress: None };

/// The salon with a rule for the news of a booking.
fn with_rule(rule: Value) -> World {
    let world = salon();
    let rules = json!({ "business_id": "salon", "version": 1, "changed": { "booking_created": rule } });
    world.put([Item::Rules(read(rules.clone())), Item::RulesVersion(read(rules))]);
    world
}

/// Ana's visit is told her by the first of these channels that works; the next has its turn after so many minutes without a delivery.
fn cascade(channels: &[&str], next_after: Option<u32>) -> World {
    let mut rule = json!({ "enabled": true, "strategy": "cascade",
        "steps": [{ "timing": "immediately", "channels": channels }] });
    if let Some(minutes) = next_after {
        rule["next_after_minutes"] = json!(minutes);
    }
    let world = with_rule(rule);
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    world.pass(SignedDuration::from_mins(1));
    world
}

fn news(world: &World) -> Vec<Message> {
    let mut rows = world.messages();
    rows.retain(|row| row.kind == NotificationType::BookingCreated);
    rows.sort_by_key(|row| row.channel.to_string());
    rows
}

fn told_by(world: &World) -> Vec<String> {
    news(world).iter().map(|row| format!("{} {:?}", row.channel, row.status)).collect()
}

fn of(world: &World, channel: Channel) -> Message {
    news(world).into_iter().find(|row| row.channel == channel).unwrap()
}

/// Brings a report as the queue does: again until it is taken.
fn report(world: &World, channel: Channel, report: Report) -> Taken {
    let message = of(world, channel);
    let about = match &message.provider_id {
        Some(id) if channel != Channel::Email => AboutMessage::Called(channel, id.clone()),
        _ => AboutMessage::Named(MessageRef::of(&message)),
    };
    for _ in 0..2_000 {
        let now = world.now();
        match world.run(take_report(world, world, &about, report, instant("2026-11-20T12:01:00Z"), now)) {
            Run::Finished(Ok(taken)) if taken != Taken::Again => return taken,
            _ => world.wait(SignedDuration::from_secs(1)),
        }
    }
    panic!("a report is never taken")
}

#[rstest]
fn s4_a_report_may_be_disturbed_at_every_call(
    #[values(Report::Delivered, Report::Read, Report::Complaint, BOUNCE, LOST)] reported: Report,
    #[values(&["email", "sms"], &["sms", "push"], &["push", "email"])] channels: &'static [&'static str],
) {
    Scenario {
        prepare: &|| cascade(channels, None),
        act: &|world| {
            let first = parsed_channel(channels[0]);
            report(world, first, reported);
            report(world, first, reported);
        },
    }
    .passes();
}

fn parsed_channel(name: &str) -> Channel {
    read(json!(name))
}

#[test]
fn s4_an_email_that_bounces_gives_way_to_the_next_channel_and_is_not_written_to_again() {
    let world = cascade(&["email", "sms", "push"], None);
    assert_eq!(told_by(&world), ["email Accepted", "push Suppressed", "sms Suppressed"]);
    assert_eq!(report(&world, Channel::Email, BOUNCE), Taken::Noted);
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(told_by(&world), ["email Failed", "push Suppressed", "sms Accepted"]);
    let Some(Item::Client(ana)) =
        world.get(&Key::Client(salon_id(), parsed("ana"))).map(|stored| stored.item)
    else {
        panic!("no Ana")
    };
    let known: Vec<_> = ana.suppressions.iter().map(|known| (known.address.as_str(), known.cause)).collect();
    assert_eq!(known, [("ana@example.com", Cause::HardBounce)]);
    // The sms fails too: it is the last one's turn.
    report(&world, Channel::Sms, LOST);
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(told_by(&world), ["email Failed", "push Accepted", "sms Failed"]);
    assert_eq!(report(&world, Channel::Email, BOUNCE), Taken::Known);
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(world.outbox().len(), 3);
    world.assert_at_rest();
}

#[rstest]
#[case::nothing_seen(None, &["email Accepted", "sms Accepted"])]
#[case::delivered_in_time(Some(Report::Delivered), &["email Delivered", "sms Suppressed"])]
#[case::read_in_time(Some(Report::Read), &["email Read", "sms Suppressed"])]
fn s4_a_message_without_a_delivery_in_time_gives_way(
    #[case] seen: Option<Report>,
    #[case] expected: &[&str],
) {
    let world = cascade(&["email", "sms"], Some(30));
    if let Some(seen) = seen {
        report(&world, Channel::Email, seen);
    }
    world.pass_until(instant("2026-11-20T12:29:59Z"));
    assert_eq!(told_by(&world)[1], "sms Suppressed", "not before its time");
    world.pass_until(instant("2026-11-20T12:40:00Z"));
    assert_eq!(told_by(&world), expected);
    // A delivery that is reported after all takes nothing back, and adds nothing.
    report(&world, Channel::Email, Report::Delivered);
    world.pass(SignedDuration::from_hours(2));
    assert_eq!(world.outbox().len(), if seen.is_none() { 2 } else { 1 });
    world.assert_at_rest();
}

#[test]
fn s4_reports_end_the_same_in_every_order() {
    let all = [Report::Delivered, Report::Read, BOUNCE, Report::Complaint];
    let end = |order: &[usize]| {
        let world = cascade(&["email", "sms"], None);
        for index in order {
            report(&world, Channel::Email, all[*index]);
        }
        let email = of(&world, Channel::Email);
        (email.status, email.reason, email.delivered_at, email.read_at)
    };
    let expected = end(&[0, 1, 2, 3]);
    assert_eq!((expected.0, expected.1), (MessageStatus::Read, None));
    for order in [[3, 2, 1, 0], [2, 0, 3, 1], [1, 3, 0, 2], [2, 3, 1, 0]] {
        assert_eq!(end(&order), expected, "{order:?}");
    }
}

#[test]
fn s4_two_reports_at_once_lose_neither() {
    let take = async |world: &World, reported| {
        let about = AboutMessage::Named(MessageRef::of(&of(world, Channel::Email)));
        take_report(world, world, &about, reported, instant("2026-11-20T12:01:00Z"), world.now()).await
    };
    interleave(
        || cascade(&["email", "sms"], None),
        async |world| take(world, Report::Complaint).await,
        async |world| take(world, Report::Read).await,
        |world, _, complaint, read| {
            assert!(complaint.is_ok() && read.is_ok());
            assert_eq!(of(world, Channel::Email).status, MessageStatus::Read);
            let ana = world.get(&Key::Client(salon_id(), parsed("ana"))).unwrap();
            assert_eq!(ana.item.client().unwrap().suppressions[0].cause, Cause::Complaint);
        },
    );
}

#[test]
fn a_report_of_nobodys_message_comes_again_for_a_while_and_is_dropped() {
    let world = salon();
    let stranger = AboutMessage::Called(Channel::Sms, "stranger".into());
    let taken = |minutes| {
        let (at, now) = (world.now(), world.now() + SignedDuration::from_mins(minutes));
        match world.run(take_report(&world, &world, &stranger, Report::Delivered, at, now)) {
            Run::Finished(Ok(taken)) => taken,
            _ => panic!("nothing fails here"),
        }
    };
    assert_eq!((taken(0), taken(9), taken(10)), (Taken::Again, Taken::Again, Taken::Stranger));
}

// ------------------------------------------------------------------ by hand

/// Ana's visit, which staff is to tell her of by hand, else by e-mail.
fn by_hand() -> World {
    let world = cascade(&["assisted", "email"], None);
    assert_eq!(told_by(&world), ["assisted Accepted", "email Suppressed"]);
    world
}

fn task(world: &World) -> Task {
    world.tasks().into_iter().find(|task| task.kind == TaskKind::AssistedMessage).unwrap()
}

fn close(world: &World, outcome: &str, if_match: Option<u64>) -> Result<(), AppError> {
    let (id, fields): (_, CloseFields) = (task(world).id, read(json!({ "outcome": outcome })));
    let closed = world.request(|| async {
        let business = salon_id();
        let edit = app::edit_catalogue::Edit { if_match, ..edit(&business, None, world.now()) };
        close_task(world, edit, &id, fields).await
    });
    closed.map(drop)
}

#[rstest]
fn s67_closing_an_assisted_message_may_be_disturbed_at_every_call(
    #[values("done", "dismissed")] outcome: &str,
) {
    Scenario { prepare: &by_hand, act: &|world| close(world, outcome, None).unwrap() }.passes();
}

#[rstest]
#[case("done", &["assisted Delivered", "email Suppressed"])]
#[case("dismissed", &["assisted Failed", "email Accepted"])]
fn s67_what_staff_did_with_an_assisted_message_is_what_became_of_it(
    #[case] outcome: &str,
    #[case] expected: &[&str],
) {
    let world = by_hand();
    let ready = task(&world);
    assert!(ready.text.is_some());
    assert_eq!(ready.text, of(&world, Channel::Assisted).text);
    assert!(ready.links.iter().any(|link| link.url.starts_with("https://wa.me/351912345678")));
    assert!(matches!(close(&world, outcome, Some(7)), Err(AppError::Stale { current: 1 })));
    close(&world, outcome, Some(1)).unwrap();
    assert_eq!(told_by(&world)[0], "assisted Accepted", "the stream brings it");
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(told_by(&world), expected);
    // The same again is no change, and another outcome is refused.
    close(&world, outcome, None).unwrap();
    let other = if outcome == "done" { "dismissed" } else { "done" };
    assert!(matches!(close(&world, other, None), Err(AppError::TaskClosed)));
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(told_by(&world), expected);
    world.assert_at_rest();
}

// ------------------------------------------------------------------ limits of sms, and devices

/// The salon with limits of sms, where a booking is told by sms.
fn limited(limits: Value) -> World {
    limited_where("+351", limits)
}

/// The same with a price for numbers that begin so.
fn limited_where(prefix: &str, limits: Value) -> World {
    let world =
        with_rule(json!({ "enabled": true, "steps": [{ "timing": "immediately", "channels": ["sms"] }] }));
    let Some(Item::Business(mut salon)) = world.get(&Key::Business(salon_id())).map(|stored| stored.item)
    else {
        panic!("no salon")
    };
    salon.sms_limits = read(limits);
    salon.sms_prices =
        read(json!([{ "prefix": prefix, "per_thousand": { "minor": 1000, "currency": "EUR" } }]));
    world.put([Item::Business(salon)]);
    world
}

fn book(world: &World, hours: [&str; 3]) -> Vec<String> {
    for hour in hours {
        world.book(hour, &haircut("rui", &format!("2026-11-24T{hour}:00"))).unwrap();
        world.pass(SignedDuration::from_mins(1));
    }
    let mut told: Vec<String> =
        news(world).iter().map(|row| format!("{:?} {:?}", row.status, row.reason)).collect();
    told.sort();
    told
}

#[test]
fn sms_go_to_the_countries_that_the_business_allows() {
    let world = limited(json!({ "countries": ["+44"] }));
    assert_eq!(book(&world, ["10", "12", "14"]), ["Suppressed Some(CountryNotAllowed)"; 3]);
    let world = limited(json!({ "countries": ["+44", "+351"] }));
    assert_eq!(book(&world, ["10", "12", "14"]), ["Accepted None"; 3]);
}

#[test]
fn one_number_gets_so_many_sms_in_a_day() {
    let world = limited(json!({ "per_number_and_day": 2 }));
    let told = book(&world, ["10", "12", "14"]);
    assert_eq!(told, ["Accepted None", "Accepted None", "Suppressed Some(RecipientLimit)"]);
}

#[rstest]
#[case::priced("+351")]
#[case::without_a_price_it_counts_as_the_dearest("+44")]
fn sms_wait_when_the_months_money_is_spent_and_staff_is_told_once(#[case] prefix: &str) {
    // A segment costs a cent.
    let world = limited_where(prefix, json!({ "per_month": { "minor": 2, "currency": "EUR" } }));
    let told = book(&world, ["10", "12", "14"]);
    let left = told.iter().filter(|told| told.starts_with("Accepted")).count();
    assert!(
        left < 3 && told.iter().filter(|told| told.starts_with("Deferred")).count() == 3 - left,
        "{told:?}"
    );
    let tasks = world.tasks().into_iter().filter(|task| task.kind == TaskKind::SpendingLimit).count();
    assert_eq!(tasks, 1);
}

#[test]
fn a_device_that_is_gone_leaves_the_card() {
    let world =
        with_rule(json!({ "enabled": true, "steps": [{ "timing": "immediately", "channels": ["push"] }] }));
    world.book("book", &haircut("leo", TUESDAY_TEN)).unwrap();
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    // The delivery of the push reads, claims and sends.
    world.plan_faults([(2, Fault::Refuse)]);
    world.pass(SignedDuration::from_mins(5));
    assert!(world.calls().contains(&Call::Send(Channel::Push)));
    assert_eq!(of(&world, Channel::Push).reason, Some(Reason::InvalidAddress));
    let leo = world.get(&Key::Client(salon_id(), parsed("leo"))).unwrap();
    assert_eq!(leo.item.client().map(|leo: &Client| leo.devices.len()), Some(0));
}
