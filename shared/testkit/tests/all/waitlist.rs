//! The waitlist: a time that comes free is offered to one after the other, held for each, and never for two.

use app::change_booking::Change;
use app::error::AppError;
use app::once::Once;
use app::ports::{Item, Key};
use app::waitlist::{WaitlistFields, accept_offer, close_entry, join_waitlist};
use domain::booking::{Booking, Source, Status};
use domain::ids::WaitlistEntryId;
use domain::message::MessageStatus;
use domain::notification_type::NotificationType;
use domain::waitlist::{WaitlistEntry, WaitlistStatus};
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::{Value, json};
use testkit::disturb::Scenario;
use testkit::platform::interleave;
use testkit::salon::{TUESDAY_TEN, edit, haircut, instant, move_to, parsed, read, salon, salon_id};
use testkit::world::{Call, Changed, World};

fn fields(client: &str, more: Value) -> WaitlistFields {
    let mut fields = json!({
        "client_id": client, "location_id": "chiado", "service_id": "haircut",
        "from": "2026-11-23T08:00", "until": "2026-11-25T20:00",
    });
    for (name, value) in more.as_object().unwrap() {
        fields[name] = value.clone();
    }
    read(fields)
}

fn try_join(world: &World, fields: &WaitlistFields) -> Result<WaitlistEntry, AppError> {
    let once = Once::new(&format!("join {fields:?}"), b"join");
    let joined = world.request(|| async {
        join_waitlist(world, world, &salon_id(), fields, Some(&once), world.now()).await
    });
    joined.map(|done| done.value)
}

fn join(world: &World, client: &str, more: Value) -> WaitlistEntryId {
    try_join(world, &fields(client, more)).unwrap().id
}

fn accept(world: &World, key: &str, entry: &WaitlistEntryId) -> Result<Booking, AppError> {
    let once = Once::new(key, entry.as_str().as_bytes());
    let accepted = world.request(|| async {
        accept_offer(world, world, edit(&salon_id(), Some(&once), world.now()), entry).await
    });
    accepted.map(|done| done.value)
}

fn close(world: &World, entry: &WaitlistEntryId) {
    world
        .request(|| async { close_entry(world, edit(&salon_id(), None, world.now()), entry).await })
        .unwrap();
}

fn entry(world: &World, id: &WaitlistEntryId) -> WaitlistEntry {
    match world.get(&Key::WaitlistEntry(salon_id(), id.clone())).map(|stored| stored.item) {
        Some(Item::WaitlistEntry(entry)) => entry,
        other => panic!("no place: {other:?}"),
    }
}

/// How the places stand, in the order in which they were taken.
fn standing(world: &World, ids: &[WaitlistEntryId]) -> Vec<WaitlistStatus> {
    world.assert_holds_agree();
    ids.iter().map(|id| entry(world, id).status).collect()
}

/// Ana's booking for Tuesday at ten, and Rui, Eva and Leo waiting for a time like it.
fn waiting() -> (World, Vec<WaitlistEntryId>) {
    let world = salon();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    let ids = ["rui", "eva", "leo"].map(|client| join(&world, client, json!({})));
    world.pass(SignedDuration::from_mins(20));
    (world, ids.to_vec())
}

fn cancel(world: &World) {
    let id = world.booking_of("ana").unwrap().id;
    world.change("cancel", &id, Change::Cancel).unwrap();
}

/// The same, Ana's booking cancelled and the time offered to Rui.
fn offered() -> (World, Vec<WaitlistEntryId>) {
    let (world, ids) = waiting();
    cancel(&world);
    world.pass(SignedDuration::from_mins(1));
    (world, ids)
}

fn ids(world: &World) -> Vec<WaitlistEntryId> {
    let facts = ["rui", "eva", "leo"].map(|client| {
        world
            .waitlist()
            .into_iter()
            .find(|entry| entry.client_id.as_str() == client)
            .map(|entry| entry.id)
            .unwrap()
    });
    facts.to_vec()
}

use WaitlistStatus::{Booked, Closed, Offered, Waiting};

#[test]
fn to_join_the_waitlist_passes_every_test() {
    Scenario { prepare: &salon, act: &|world| drop(join(world, "rui", json!({}))) }.passes();
}

#[test]
fn a_time_that_comes_free_is_offered_to_the_first_in_turn_and_held() {
    let (world, ids) = offered();
    assert_eq!(standing(&world, &ids), [Offered, Waiting, Waiting]);
    let offers = || {
        let sent = world.outbox();
        let offers = sent.iter().filter(|sent| sent.message.kind == NotificationType::WaitlistOffer);
        offers.map(|sent| sent.message.recipient.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(offers(), ["rui"]);
    assert!(matches!(world.book("taken", &haircut("ana", TUESDAY_TEN)), Err(AppError::Overlap)));
    // An hour later it is Eva's turn, and after another Leo's; then it is free again.
    world.pass(SignedDuration::from_mins(62));
    assert_eq!(standing(&world, &ids), [Closed, Offered, Waiting]);
    world.pass(SignedDuration::from_mins(62));
    assert_eq!(standing(&world, &ids), [Closed, Closed, Offered]);
    world.pass(SignedDuration::from_mins(62));
    assert_eq!(standing(&world, &ids), [Closed, Closed, Closed]);
    assert_eq!(offers(), ["rui", "eva", "leo"]);
    world.book("free", &haircut("ana", TUESDAY_TEN)).unwrap();
}

#[test]
fn to_offer_a_time_passes_every_test() {
    Scenario {
        prepare: &|| {
            let (world, _) = waiting();
            cancel(&world);
            world
        },
        act: &|world| world.pass(SignedDuration::from_secs(1)),
    }
    .passes();
}

#[test]
fn to_end_an_offer_passes_every_test() {
    Scenario {
        prepare: &|| {
            let (world, _) = offered();
            world.pass_until(instant("2026-11-20T13:19:00Z"));
            world
        },
        act: &|world| world.pass(SignedDuration::from_mins(3)),
    }
    .passes();
}

#[test]
fn to_take_an_offer_passes_every_test() {
    Scenario {
        prepare: &|| offered().0,
        act: &|world| drop(accept(world, "accept", &ids(world)[0]).unwrap()),
    }
    .passes();
}

#[rstest]
#[case::that_waits(1)]
#[case::that_was_offered_a_time(0)]
fn to_close_a_place_passes_every_test(#[case] which: usize) {
    Scenario { prepare: &|| offered().0, act: &|world| close(world, &ids(world)[which]) }.passes();
}

#[test]
fn an_offer_that_is_taken_becomes_a_booking_like_one_made_online() {
    let (world, ids) = offered();
    let booking = accept(&world, "accept", &ids[0]).unwrap();
    assert_eq!((booking.source, booking.status), (Source::Online, Status::Pending));
    assert_eq!(
        (booking.start, booking.client_ids.clone()),
        (instant("2026-11-24T10:00:00Z"), vec![parsed("rui")])
    );
    assert_eq!(accept(&world, "accept", &ids[0]).unwrap(), booking, "the same request again");
    assert!(matches!(accept(&world, "other", &ids[0]), Err(AppError::NoOffer)));
    world.pass(SignedDuration::from_hours(3));
    assert_eq!(standing(&world, &ids), [Booked, Waiting, Waiting]);
    // Cancelled, the time goes to the next.
    world.change("cancel again", &booking.id, Change::Cancel).unwrap();
    world.pass(SignedDuration::from_mins(1));
    assert_eq!(standing(&world, &ids), [Booked, Offered, Waiting]);
}

#[test]
fn an_offer_that_was_never_made_or_has_run_out_cannot_be_taken() {
    let (world, ids) = offered();
    assert!(matches!(accept(&world, "waits", &ids[1]), Err(AppError::NoOffer)));
    // The check is late: the time counts.
    world.wait(SignedDuration::from_mins(60));
    assert!(matches!(accept(&world, "late", &ids[0]), Err(AppError::NoOffer)));
    let nobody = accept(&world, "nobody", &parsed("nobody"));
    assert!(matches!(nobody, Err(AppError::NotFound { .. })), "{nobody:?}");
}

#[test]
fn a_place_that_is_given_up_passes_the_time_on() {
    let (world, ids) = offered();
    close(&world, &ids[1]);
    close(&world, &ids[0]);
    assert_eq!(standing(&world, &ids), [Closed, Closed, Offered]);
    close(&world, &ids[0]);
    assert_eq!(standing(&world, &ids), [Closed, Closed, Offered]);
}

#[rstest]
#[case::moved_to_another_day(move_to("2026-11-25T15:00"), Offered)]
#[case::moved_a_little(move_to("2026-11-24T10:30"), Waiting)]
#[case::a_no_show(Change::NoShow, Waiting)]
#[case::confirmed_by_the_client(Change::Answer(true), Waiting)]
fn a_time_comes_free_when_the_booking_leaves_it(#[case] change: Change, #[case] expected: WaitlistStatus) {
    let (world, ids) = waiting();
    let id = world.booking_of("ana").unwrap().id;
    world.change("change", &id, change).unwrap();
    world.pass(SignedDuration::from_mins(1));
    assert_eq!(standing(&world, &ids)[0], expected);
}

#[rstest]
#[case::too_early(json!({ "until": "2026-11-24T09:59" }))]
#[case::too_late(json!({ "from": "2026-11-24T10:01" }))]
#[case::another_resource(json!({ "resource_id": "ines" }))]
#[case::another_location(json!({ "location_id": "alfama" }))]
#[case::a_longer_visit(json!({ "service_id": "colour" }))]
fn what_does_not_suit_is_not_offered(#[case] more: Value) {
    let world = salon();
    world.put([
        Item::Resource(read(json!({
            "business_id": "salon", "id": "ines", "location_id": "chiado", "name": "Inês", "kind": "specialist", "capacity": 1,
        }))),
        Item::Location(read(json!({ "business_id": "salon", "id": "alfama", "name": "Alfama" }))),
        Item::Service(read(json!({ "business_id": "salon", "id": "colour", "name": "Colour", "duration_minutes": 90 }))),
    ]);
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    let ids = [join(&world, "rui", more), join(&world, "eva", json!({}))];
    cancel(&world);
    world.pass(SignedDuration::from_mins(1));
    assert_eq!(standing(&world, &ids), [Waiting, Offered], "the next in turn has it");
}

#[test]
fn who_is_elsewhere_at_that_time_is_passed_over() {
    let world = salon();
    world.put([Item::Resource(read(json!({
        "business_id": "salon", "id": "ines", "location_id": "chiado", "name": "Inês", "kind": "specialist", "capacity": 1,
    })))]);
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    let mut with_ines = haircut("rui", "2026-11-24T10:30");
    with_ines.resource_id = parsed("ines");
    world.book("rui", &with_ines).unwrap();
    let ids = [join(&world, "rui", json!({})), join(&world, "eva", json!({}))];
    cancel(&world);
    world.pass(SignedDuration::from_mins(1));
    assert_eq!(standing(&world, &ids), [Waiting, Offered]);
}

#[test]
fn a_shorter_visit_leaves_the_rest_of_the_time_to_the_next_in_turn() {
    let world = salon();
    world.put([Item::Service(read(
        json!({ "business_id": "salon", "id": "fringe", "name": "Fringe", "duration_minutes": 15 }),
    ))]);
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    let ids = [join(&world, "rui", json!({ "service_id": "fringe" })), join(&world, "eva", json!({}))];
    cancel(&world);
    world.pass(SignedDuration::from_mins(62));
    assert_eq!(standing(&world, &ids), [Closed, Offered], "an hour fits where a quarter was offered");
    accept(&world, "eva", &ids[1]).unwrap();
    world.assert_holds_agree();
}

#[test]
fn a_record_that_comes_again_offers_nothing_twice_even_where_two_fit() {
    let (world, ids) = waiting();
    let key = Key::Resource(salon_id(), parsed("marta"));
    if let Some(Item::Resource(mut marta)) = world.get(&key).map(|stored| stored.item) {
        marta.capacity = 2;
        world.put([Item::Resource(marta)]);
    }
    cancel(&world);
    let records: Vec<_> = world.stream();
    for record in records.iter().chain(&records) {
        assert!(matches!(world.run(world.plan(record)), testkit::turns::Run::Finished(true)));
    }
    assert_eq!(standing(&world, &ids), [Offered, Waiting, Waiting]);
    accept(&world, "accept", &ids[0]).unwrap();
    for record in &records {
        world.run(world.plan(record));
    }
    assert_eq!(standing(&world, &ids), [Booked, Waiting, Waiting]);
}

#[test]
fn an_offer_taken_while_it_ends_is_one_or_the_other() {
    interleave(
        || {
            let (world, _) = offered();
            // The check comes due while the request, made a moment before, is under way.
            world.pass_until(instant("2026-11-20T13:19:59Z"));
            world
        },
        async |world| {
            let now = instant("2026-11-20T13:19:59Z");
            accept_offer(world, world, edit(&salon_id(), None, now), &ids(world)[0]).await
        },
        async |world| {
            let offer = entry(world, &ids(world)[0]).offer.unwrap();
            app::offer_slot::end_offer(world, (&salon_id(), &offer), instant("2026-11-20T13:20:00Z")).await
        },
        |world, _, accepted, ended| {
            let expected =
                if accepted.is_ok() { [Booked, Waiting, Waiting] } else { [Closed, Offered, Waiting] };
            assert_eq!(standing(world, &ids(world)), expected);
            assert_eq!(accepted.is_ok(), !ended.unwrap());
        },
    );
}

#[test]
fn two_times_that_come_free_at_once_are_offered_to_two() {
    let two = || {
        let world = salon();
        world.book("a", &haircut("ana", TUESDAY_TEN)).unwrap();
        world.book("b", &haircut("ana", "2026-11-24T15:00")).unwrap();
        for client in ["rui", "eva", "leo"] {
            join(&world, client, json!({}));
        }
        world.pass(SignedDuration::from_mins(20));
        for booking in world.bookings() {
            world.change(booking.id.as_str(), &booking.id, Change::Cancel).unwrap();
        }
        world
    };
    let offer = async |world: &World, which: usize| {
        let freed = world.stream().into_iter().filter(|it| matches!(it, Changed::Freed(_)));
        let record = freed.collect::<Vec<_>>().swap_remove(which);
        world.plan(&record).await
    };
    interleave(
        two,
        async |world| offer(world, 0).await,
        async |world| offer(world, 1).await,
        |world, _, one, other| {
            assert!(one && other);
            assert_eq!(standing(world, &ids(world)), [Offered, Offered, Waiting]);
        },
    );
}

#[rstest]
#[case(json!({ "client_id": "nobody" }), "client_id")]
#[case(json!({ "location_id": "nowhere" }), "location_id")]
#[case(json!({ "service_id": "nothing" }), "service_id")]
#[case(json!({ "resource_id": "nobody" }), "resource_id")]
#[case(json!({ "until": "2026-11-22T10:00" }), "until")]
#[case(json!({ "from": "2026-11-19T10:00", "until": "2026-11-20T11:00" }), "until")]
#[case(json!({ "until": "2031-01-01T10:00" }), "until")]
fn a_bad_place_on_the_waitlist_names_the_field(#[case] more: Value, #[case] field: &str) {
    let world = salon();
    let answer = try_join(&world, &fields("rui", more));
    assert!(matches!(&answer, Err(AppError::Invalid { field: named, .. }) if named == field), "{answer:?}");
}

#[test]
fn an_offer_whose_message_cannot_leave_any_more_is_withdrawn() {
    let (world, ids) = waiting();
    cancel(&world);
    // The stream has offered it, the queue has the message; the client takes the offer before it leaves.
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    accept(&world, "accept", &ids[0]).unwrap();
    world.pass(SignedDuration::from_mins(5));
    let offers = world.messages().into_iter().filter(|row| row.kind == NotificationType::WaitlistOffer);
    assert!(offers.map(|row| row.status).all(|status| status != MessageStatus::Accepted));
}

#[test]
fn an_offer_is_few_reads_and_one_write() {
    let (world, ids) = waiting();
    cancel(&world);
    let freed = world.stream().into_iter().find(|changed| matches!(changed, Changed::Freed(_))).unwrap();
    world.plan_faults([]);
    world.run(world.plan(&freed));
    // The waitlist; the service and the client, and beside them what the client has booked; what the offer needs. The day, the offer, the place.
    assert_eq!(world.calls(), [Call::Read, Call::Read, Call::Read, Call::Read, Call::Write(3)]);
    world.plan_faults([]);
    accept(&world, "accept", &ids[0]).unwrap();
    // The place, the offer, what the booking needs. The day, the part, the booking, the place, the offer, the answer.
    assert_eq!(world.calls(), [Call::Read, Call::Read, Call::Read, Call::Write(6)]);
    world.plan_faults([]);
    let nobody_waits = world.plan(&freed);
    world.run(nobody_waits);
    assert_eq!(world.calls().len(), 4, "it was offered before: nothing is written");
}

#[test]
fn a_place_that_has_changed_meanwhile_is_neither_taken_nor_closed() {
    let (world, ids) = offered();
    let business = salon_id();
    let first = app::edit_catalogue::Edit { if_match: Some(1), ..edit(&business, None, world.now()) };
    let taken = world.request(|| accept_offer(&world, &world, first, &ids[0]));
    assert!(matches!(taken, Err(AppError::Stale { current: 2 })), "{taken:?}");
    let closed = world.request(|| close_entry(&world, first, &ids[0]));
    assert!(matches!(closed, Err(AppError::Stale { current: 2 })), "{closed:?}");
    let second = app::edit_catalogue::Edit { if_match: Some(2), ..first };
    assert_eq!(world.request(|| close_entry(&world, second, &ids[0])).unwrap().value.status, Closed);
}
