//! Every use case passes the tests of [`testkit::disturb`]: failed, repeated and killed at every call, it ends as if nothing had been.

use app::change_booking::Change;
use app::create_business::create_business;
use app::edit_catalogue::{self, BusinessPatch, Edit};
use app::error::AppError;
use app::once::Once;
use app::plan_client::plan_client;
use app::ports::{Item, Key};
use domain::business::Locale;
use domain::channel::Channel;
use domain::client::Client;
use domain::ids::BookingId;
use domain::message::MessageStatus;
use domain::notification_type::NotificationType;
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use serde_json::json;
use testkit::disturb::Scenario;
use testkit::salon::{TUESDAY_TEN, haircut, instant, move_to, online, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::World;

/// The salon with one booking for Tuesday at ten; nothing was planned for it yet.
fn made_for(client: &str) -> (World, BookingId) {
    let world = salon();
    let id = world.book("book", &haircut(client, TUESDAY_TEN)).unwrap().value.id;
    (world, id)
}

/// The same, planned; its news are in the queues.
fn planned_for(client: &str) -> (World, BookingId) {
    let (world, id) = made_for(client);
    plan_all(&world);
    (world, id)
}

/// The same, and the client was told.
fn told(client: &str) -> (World, BookingId) {
    let (world, id) = made_for(client);
    world.pass(SignedDuration::from_mins(20));
    (world, id)
}

fn plan_all(world: &World) {
    while world.stream_record().is_some() {
        world.step(Timestamp::MAX);
    }
}

fn deliver_all(world: &World) {
    while !world.queue().is_empty() {
        if !world.bring() {
            world.wait(SignedDuration::from_secs(60));
        }
    }
}

fn only_booking(world: &World) -> BookingId {
    world.bookings()[0].id.clone()
}

#[test]
fn create_booking() {
    Scenario {
        prepare: &salon,
        act: &|world| drop(world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap()),
    }
    .passes();
}

#[rstest]
#[case::reschedule(move_to("2026-11-25T15:00"))]
#[case::cancel(Change::Cancel)]
#[case::arrive(Change::Arrive)]
#[case::no_show(Change::NoShow)]
fn change_booking(#[case] change: Change) {
    Scenario {
        prepare: &|| told("ana").0,
        act: &|world| drop(world.change("change", &only_booking(world), change.clone()).unwrap()),
    }
    .passes();
}

#[test]
fn change_booking_to_confirmed() {
    Scenario {
        prepare: &|| {
            let world = salon();
            world.book("book", &online("ana", TUESDAY_TEN)).unwrap();
            world.pass(SignedDuration::from_mins(20));
            world
        },
        act: &|world| drop(world.change("confirm", &only_booking(world), Change::Confirm).unwrap()),
    }
    .passes();
}

#[test]
fn change_booking_to_completed() {
    Scenario {
        prepare: &|| {
            let (world, id) = told("ana");
            world.change("arrive", &id, Change::Arrive).unwrap();
            world.pass(SignedDuration::from_mins(1));
            world
        },
        act: &|world| drop(world.change("complete", &only_booking(world), Change::Complete).unwrap()),
    }
    .passes();
}

#[test]
fn plan_booking_when_it_is_new() {
    Scenario { prepare: &|| made_for("ana").0, act: &plan_all }.passes();
}

#[rstest]
#[case::reschedule(move_to("2026-11-25T15:00"))]
#[case::cancel(Change::Cancel)]
fn plan_booking_when_it_has_changed(#[case] change: Change) {
    Scenario {
        prepare: &|| {
            let (world, id) = told("ana");
            world.change("change", &id, change.clone()).unwrap();
            world
        },
        act: &plan_all,
    }
    .passes();
}

#[test]
fn plan_booking_that_was_made_within_a_minute_of_a_reminder() {
    Scenario {
        prepare: &|| {
            let world = salon();
            // 24 hours and half a minute before the visit: the push reminder is queued with a delay, not timed.
            world.wait(instant("2026-11-23T09:59:30Z").duration_since(world.now()));
            world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
            world
        },
        act: &plan_all,
    }
    .passes();
}

/// Eva gave no number when she booked, and does so an hour later.
fn eva_with_a_number() -> World {
    let (world, _) = told("eva");
    give_number(&world);
    world
}

fn give_number(world: &World) {
    let key = Key::Client(salon_id(), parsed("eva"));
    let Some(Item::Client(eva)) = world.get(&key).map(|stored| stored.item) else {
        panic!("there is no Eva")
    };
    world.put([Item::Client(Client { phone: Some(parsed("+351912345670")), ..eva })]);
}

#[test]
fn plan_client_whose_card_has_changed() {
    Scenario { prepare: &eva_with_a_number, act: &|world| world.plan_client(&parsed("eva")) }.passes();
}

/// Eva has so many visits ahead when she gives her number.
fn eva_with_a_number_and_visits(visits: i8) -> World {
    let world = salon();
    for day in 0..visits {
        let start = format!("2026-12-{:02}T{:02}:00", 1 + day / 8, 9 + day % 8);
        world.book(&format!("book {day}"), &haircut("eva", &start)).unwrap();
    }
    world.pass(SignedDuration::from_mins(20));
    give_number(&world);
    world
}

#[test]
fn plan_client_with_several_visits() {
    Scenario {
        prepare: &|| eva_with_a_number_and_visits(3),
        act: &|world| world.plan_client(&parsed("eva")),
    }
    .passes();
}

#[test]
fn a_clients_visits_are_planned_eight_at_a_time() {
    let world = eva_with_a_number_and_visits(40);
    let (business, client) = (salon_id(), parsed("eva"));
    let mut run = world.start(plan_client(&world, &world, &world, (&business, &client), world.now()));
    let mut ended = run.begin();
    let (mut rounds, mut calls, mut most) = (0, 0, 0);
    while ended.is_none() {
        // Every call that is under way is answered, and each takes as long.
        let waits: Vec<u64> = run.waits_for().into_iter().map(|(number, _)| number).collect();
        (rounds, calls, most) = (rounds + 1, calls + waits.len(), most.max(waits.len()));
        for number in waits {
            ended = run.make(number);
        }
    }
    assert!(matches!(ended, Some(Run::Finished(Ok(planned))) if planned.changed == 40), "{ended:?}");
    assert_eq!(most, 8, "as many are under way");
    assert_eq!((calls, rounds), (2 + 40 * 4, 2 + 40 / 8 * 4), "a read of all, and four calls each");
}

#[test]
fn a_number_that_is_given_after_the_booking_is_reminded_at() {
    let world = eva_with_a_number();
    let sms = |world: &World| {
        let mut rows = world.messages();
        rows.retain(|row| row.channel == Channel::Sms && row.kind == NotificationType::Reminder);
        (rows.len(), rows[0].status)
    };
    assert_eq!(sms(&world), (1, MessageStatus::Suppressed));
    world.plan_client(&parsed("eva"));
    assert_eq!(sms(&world), (1, MessageStatus::Planned));
    world.pass(SignedDuration::from_hours(24 * 5));
    assert_eq!(sms(&world), (1, MessageStatus::Accepted));
}

#[test]
fn a_number_that_is_given_after_a_missed_visit_is_invited_at() {
    let (world, id) = told("eva");
    world.change("no-show", &id, Change::NoShow).unwrap();
    world.pass(SignedDuration::from_mins(5));
    let sms = |world: &World| {
        let mut rows = world.messages();
        rows.retain(|row| row.channel == Channel::Sms && row.kind == NotificationType::NoShowRecovery);
        (rows.len(), rows[0].status)
    };
    assert_eq!(sms(&world), (1, MessageStatus::Suppressed));
    give_number(&world);
    world.plan_client(&parsed("eva"));
    assert_eq!(sms(&world), (1, MessageStatus::Planned));
    world.pass_all();
    assert_eq!(sms(&world), (1, MessageStatus::Accepted));
    world.assert_all_over();
}

#[rstest]
#[case::email("eva")]
#[case::sms("rui")]
#[case::push("leo")]
fn deliver(#[case] client: &str) {
    Scenario { prepare: &|| planned_for(client).0, act: &deliver_all }.passes();
}

#[rstest]
#[case::sms("rui")]
#[case::push("leo")]
fn deliver_what_was_held_up_into_the_night(#[case] client: &str) {
    Scenario {
        prepare: &|| {
            let world = salon();
            world.wait(instant("2026-11-20T22:59:50Z").duration_since(world.now()));
            world.book("book", &haircut(client, TUESDAY_TEN)).unwrap();
            plan_all(&world);
            world.wait(SignedDuration::from_secs(20));
            world
        },
        act: &deliver_all,
    }
    .passes();
}

#[rstest]
#[case::email("eva")]
#[case::sms("rui")]
#[case::push("leo")]
fn deliver_what_was_cancelled_before_the_stream_told(#[case] client: &str) {
    Scenario {
        prepare: &|| {
            let (world, id) = planned_for(client);
            world.change("cancel", &id, Change::Cancel).unwrap();
            world
        },
        act: &deliver_all,
    }
    .passes();
}

#[rstest]
#[case::email("eva")]
#[case::sms("rui")]
#[case::push("leo")]
fn deliver_an_invitation_after_a_no_show(#[case] client: &str) {
    Scenario {
        prepare: &|| {
            let (world, id) = told(client);
            world.change("no-show", &id, Change::NoShow).unwrap();
            // The invitation goes a day after.
            world.pass(SignedDuration::from_mins(24 * 60 - 5));
            world
        },
        act: &|world| {
            world.step(Timestamp::MAX);
            deliver_all(world);
        },
    }
    .passes();
}

#[test]
fn check_attendance_finds_the_client_late() {
    Scenario {
        prepare: &|| {
            let (world, _) = told("ana");
            world.pass_until(instant("2026-11-24T10:09:00Z"));
            world
        },
        act: &|world| {
            world.step(Timestamp::MAX);
            deliver_all(world);
        },
    }
    .passes();
}

#[test]
fn check_attendance_finds_a_no_show() {
    Scenario {
        prepare: &|| {
            let (world, _) = told("ana");
            world.pass_until(instant("2026-11-24T11:29:00Z"));
            world
        },
        act: &|world| {
            world.step(Timestamp::MAX);
            deliver_all(world);
        },
    }
    .passes();
}

#[test]
fn edit_catalogue_creates() {
    Scenario {
        prepare: &salon,
        act: &|world| {
            let item = Item::Location(read(
                json!({ "business_id": "salon", "id": "alfama", "name": "Alfama", "zone": "Europe/Lisbon" }),
            ));
            let once = Once::new("create", b"alfama");
            world
                .request(|| async {
                    let business_id = &salon_id();
                    let edit = Edit { business_id, once: Some(&once), if_match: None, now: world.now() };
                    edit_catalogue::create(world, edit, item.clone(), &[]).await
                })
                .unwrap();
        },
    }
    .passes();
}

#[test]
fn edit_catalogue_updates() {
    Scenario {
        prepare: &salon,
        act: &|world| {
            let patch = BusinessPatch { sms_enabled: Some(false), ..BusinessPatch::default() };
            let once = Once::new("update", b"no sms");
            world
                .request(|| async {
                    let business_id = &salon_id();
                    let edit = Edit { business_id, once: Some(&once), if_match: Some(1), now: world.now() };
                    let key = Key::Business(salon_id());
                    edit_catalogue::update(world, edit, key, &[], |before| match before {
                        Some(Item::Business(business)) => patch.apply(business).map(Item::Business),
                        _ => Err(AppError::NotFound { what: "business" }),
                    })
                    .await
                })
                .unwrap();
        },
    }
    .passes();
}

/// It has no idempotency key: who takes in a business and gets no answer does it again, and an unused business may stay
/// behind. There is never one without its key.
#[test]
fn create_business_makes_both_or_neither() {
    use testkit::world::Fault;
    for fault in Fault::ALL {
        let world = World::new(instant(testkit::salon::FRIDAY_NOON));
        world.plan_faults([(0, fault)]);
        let make = || {
            create_business(
                &world,
                &world,
                read(json!("Salon Aurora")),
                parsed("Europe/Lisbon"),
                Locale::En,
                world.now(),
            )
        };
        let made = match world.run(make()) {
            Run::Finished(Ok(made)) => made,
            Run::Finished(Err(_)) | Run::Crashed => world.request(make).unwrap(),
        };
        assert!(world.get(&Key::Business(made.business_id.clone())).is_some());
        let facts = world.end_state().facts;
        let keys = facts.iter().filter(|line| line.starts_with("API key")).count();
        assert_eq!(
            facts.len(),
            4 * keys,
            "{fault:?}: each business has an API key, in two items, and keys for links: {facts:?}"
        );
    }
}
