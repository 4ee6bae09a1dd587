//! One business never reaches what is another's, whatever ids it gives.

use app::change_booking::{Change, Manner, change_booking};
use app::create_booking::{By, NewBooking, create_booking};
use app::create_series::create_series;
use app::deliver::{Delivered, Shift, deliver};
use app::edit_catalogue::{self, Edit, ResourceFields};
use app::error::AppError;
use app::once::Once;
use app::ports::{DueWhat, Item, Kind, List, Page, Refs};
use app::timeline::timeline;
use app::waitlist::{WaitlistFields, accept_offer, close_entry, join_waitlist};
use app::write_occasion::{IndividualFields, write_occasion};
use domain::booking::Notify;
use domain::ids::{BookingId, BusinessId};
use domain::message::MessageStatus;
use domain::notification_type::NotificationType;
use domain::subject::SubjectId;
use rstest::rstest;
use serde_json::json;
use testkit::salon::{PAGES, TUESDAY_TEN, business, edit, haircut, move_to, parsed, read, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Changed, World};

/// The salon, with a location, a resource, a service and a client nobody else has, and a barber next door whose things have
/// the same ids otherwise.
fn neighbours() -> (World, BookingId) {
    let world = salon();
    world.put(business("barber"));
    world.put([
        Item::Location(read(json!({ "business_id": "salon", "id": "alfama", "name": "Alfama", "zone": "Europe/Lisbon" }))),
        Item::Resource(read(json!({
            "business_id": "salon", "id": "ines", "location_id": "chiado", "name": "Inês", "kind": "specialist", "capacity": 1,
        }))),
        Item::Service(read(json!({ "business_id": "salon", "id": "colour", "name": "Colour", "duration_minutes": 90 }))),
        Item::Client(read(json!({ "business_id": "salon", "id": "mia", "name": "Mia", "phone": "+351912345670" }))),
    ]);
    let id = world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap().value.id;
    (world, id)
}

fn barber() -> BusinessId {
    parsed("barber")
}

fn finished<T>(run: Run<T>) -> T {
    match run {
        Run::Finished(value) => value,
        Run::Crashed => panic!("it crashed"),
    }
}

#[rstest]
#[case("location_id", NewBooking { location_id: parsed("alfama"), ..haircut("rui", TUESDAY_TEN) })]
#[case("resource_id", NewBooking { resource_id: parsed("ines"), ..haircut("rui", TUESDAY_TEN) })]
#[case("service_id", NewBooking { service_id: parsed("colour"), ..haircut("rui", TUESDAY_TEN) })]
#[case("client_ids[0]", haircut("mia", TUESDAY_TEN))]
fn a_booking_of_anothers_things_names_the_field_and_changes_nothing(
    #[case] field: &str,
    #[case] new: NewBooking,
) {
    let (world, _) = neighbours();
    let before = world.end_state();
    let refused = finished(world.run(create_booking(&world, &world, &barber(), &new, None, world.now())));
    assert!(matches!(&refused, Err(AppError::Invalid { field: named, .. }) if named == field), "{refused:?}");
    assert_eq!(world.end_state(), before);
}

#[rstest]
fn anothers_booking_is_not_found_and_does_not_change(
    #[values(
        Change::Confirm,
        Change::Cancel,
        Change::Arrive,
        Change::Complete,
        Change::NoShow,
        move_to("2026-11-25T15:00")
    )]
    change: Change,
) {
    let (world, id) = neighbours();
    let before = world.end_state();
    let manner = Manner { notify: Notify::ByRules, by: By::Staff };
    let (barber, now) = (barber(), world.now());
    let refused =
        finished(world.run(change_booking(&world, (&barber, &id), change, manner, None, None, now)));
    assert!(matches!(refused, Err(AppError::NotFound { .. })), "{refused:?}");
    assert_eq!(world.end_state(), before);
}

#[test]
fn anothers_timeline_is_not_found() {
    let (world, id) = neighbours();
    let subject = SubjectId::Booking(id);
    let refused = finished(world.run(timeline(&world, &barber(), &subject, world.now())));
    assert!(matches!(refused, Err(AppError::NotFound { .. })));
    assert!(finished(world.run(timeline(&world, &salon_id(), &subject, world.now()))).is_ok());
}

#[test]
fn a_resource_at_anothers_location_is_refused() {
    let (world, _) = neighbours();
    let before = world.end_state();
    let fields: ResourceFields =
        read(json!({ "location_id": "alfama", "name": "Chair", "kind": "equipment" }));
    let business_id = barber();
    let needs = fields.needs(&business_id).unwrap();
    let item = Item::Resource(fields.with_id(business_id.clone(), parsed("chair"), vec![]).unwrap());
    let edit = Edit { business_id: &business_id, once: None, if_match: None, now: world.now() };
    let refused = finished(world.run(edit_catalogue::create(&world, edit, item, &needs)));
    assert!(
        matches!(&refused, Err(AppError::Invalid { field, .. }) if field == "location_id"),
        "{refused:?}"
    );
    assert_eq!(world.end_state(), before);
}

#[test]
fn lists_hold_ones_own_things_only() {
    let (world, _) = neighbours();
    let ids = |business: &BusinessId| {
        let page = Page { after: None, limit: 100 };
        let listed = finished(world.run(world.list(business, Kind::Clients, page))).unwrap();
        listed.items.len()
    };
    assert_eq!((ids(&salon_id()), ids(&barber())), (5, 4));
}

#[test]
fn an_idempotency_key_is_ones_own() {
    let (world, id) = neighbours();
    // The very key and the very request that the salon used.
    let new = haircut("ana", TUESDAY_TEN);
    let once = Once::new("book", format!("{new:?}").as_bytes());
    let made = finished(world.run(create_booking(&world, &world, &barber(), &new, Some(&once), world.now())));
    let made = made.unwrap().value.booking;
    assert_eq!(made.business_id, barber());
    assert_ne!(made.id, id);
}

#[test]
fn a_due_message_with_anothers_booking_moves_nothing() {
    let (world, id) = neighbours();
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    let before = world.end_state();
    let mut due = world.queue()[0].due.clone();
    let DueWhat::Message { refs, .. } = &mut due.what else { panic!("{due:?}") };
    refs.business_id = barber();
    let shift = Shift { holder: "somebody", wall: world.now(), until: world.now(), pages: PAGES };
    let delivered = finished(world.run(deliver(&world, &world, &world.carrier(&due), &due, shift)));
    assert_eq!(delivered.unwrap(), Delivered::Gone);
    let refs = Refs { business_id: barber(), ..world.refs(&id) };
    assert!(finished(world.run(world.plan(&Changed::Subject(refs)))));
    assert_eq!(world.end_state(), before);
}

#[test]
fn a_visit_to_the_barber_is_no_future_booking_at_the_salon() {
    let (world, id) = neighbours();
    let later = haircut("ana", "2026-12-24T10:00");
    finished(world.run(create_booking(&world, &world, &barber(), &later, None, world.now()))).unwrap();
    world.change("missed", &id, Change::NoShow).unwrap();
    world.pass(jiff::SignedDuration::from_hours(48));
    let invited = world.messages().into_iter().filter(|message| {
        message.kind == NotificationType::NoShowRecovery && message.status == MessageStatus::Accepted
    });
    assert_eq!(invited.count(), 3);
}

#[test]
fn facts_about_anothers_things_are_refused_and_change_nothing() {
    let (world, id) = neighbours();
    let wait = |client: &str| -> WaitlistFields {
        read(json!({
            "client_id": client, "location_id": "chiado", "service_id": "haircut",
            "from": "2026-11-23T08:00", "until": "2026-11-25T20:00",
        }))
    };
    let (salon, barber, now) = (salon_id(), barber(), world.now());
    let place = finished(world.run(join_waitlist(&world, &world, &salon, &wait("mia"), None, now))).unwrap();
    let before = world.end_state();
    let (place, by_the_barber) = (&place.value.id, edit(&barber, None, now));
    let invalid = |error: AppError, field: &str| {
        assert!(matches!(&error, AppError::Invalid { field: named, .. } if named == field), "{error:?}");
    };
    let not_found = |error: AppError| assert!(matches!(error, AppError::NotFound { .. }), "{error:?}");

    let joined = finished(world.run(join_waitlist(&world, &world, &barber, &wait("mia"), None, now)));
    invalid(joined.unwrap_err(), "client_id");
    not_found(finished(world.run(accept_offer(&world, &world, by_the_barber, place))).unwrap_err());
    not_found(finished(world.run(close_entry(&world, by_the_barber, place))).unwrap_err());

    let letter: IndividualFields = read(json!({ "channels": "all", "text": "Hello" }));
    let to_mia = letter.clone().to(parsed("mia"));
    not_found(finished(world.run(write_occasion(&world, &world, &barber, &to_mia, None, now))).unwrap_err());
    let about_the_booking = IndividualFields { booking_id: Some(id.clone()), ..letter }.to(parsed("ana"));
    let written = finished(world.run(write_occasion(&world, &world, &barber, &about_the_booking, None, now)));
    invalid(written.unwrap_err(), "booking_id");

    let series = read(json!({
        "location_id": "chiado", "resource_id": "ines", "service_id": "haircut", "client_ids": ["ana"],
        "start": TUESDAY_TEN, "source": "staff", "every": "7d", "count": 2,
    }));
    let made = finished(world.run(create_series(&world, &world, &barber, &series, None, now)));
    invalid(made.unwrap_err(), "resource_id");

    // The salon's own edit reaches none of the barber's things either.
    world.put([Item::Client(read(json!({ "business_id": "barber", "id": "bo", "name": "Bo" })))]);
    let patch = read(json!({ "client_ids": ["bo"] }));
    let edited = world.change("edit", &id, Change::Edit(Box::new(patch)));
    invalid(edited.unwrap_err(), "client_ids[0]");
    let after = world.end_state();
    assert_eq!(after.facts.len(), before.facts.len() + 1, "Bo, and nothing else");
}
