//! Requests made twice: with an idempotency key one effect and one answer, without it the conflict that the API documents.

use app::change_booking::{Change, Manner, change_booking};
use app::create_booking::{By, create_booking};
use app::edit_catalogue::{self, BusinessPatch, Edit};
use app::error::AppError;
use app::once::Once;
use app::ports::{Item, Key};
use domain::booking::Notify;
use jiff::SignedDuration;
use testkit::salon::{TUESDAY_TEN, haircut, move_to, online, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Call, Fault, World};

const STAFF: Manner = Manner { notify: Notify::ByRules, by: By::Staff };

fn finished<T>(run: Run<T>) -> T {
    match run {
        Run::Finished(value) => value,
        Run::Crashed => panic!("it crashed"),
    }
}

#[test]
fn a_key_used_again_gets_the_first_answer_and_changes_nothing() {
    let world = salon();
    let first = world.book("key", &haircut("ana", TUESDAY_TEN)).unwrap();
    let before = world.end_state();
    assert_eq!(world.book("key", &haircut("ana", TUESDAY_TEN)).unwrap(), first);
    assert_eq!(world.end_state(), before);

    let moved = world.change("move", &first.value.id, move_to("2026-11-25T15:00")).unwrap();
    let again = world.change("move", &first.value.id, move_to("2026-11-25T15:00")).unwrap();
    assert_eq!((again.value.revision, again), (2, moved));
}

#[test]
fn a_key_used_for_another_request_is_refused() {
    let world = salon();
    world.book("key", &haircut("ana", TUESDAY_TEN)).unwrap();
    let before = world.end_state();
    let other = world.book("key", &haircut("rui", "2026-11-24T12:00"));
    assert!(matches!(other, Err(AppError::KeyReused)), "{other:?}");
    assert_eq!(world.end_state(), before);
}

#[test]
fn a_key_may_be_used_anew_after_a_day() {
    let world = salon();
    world.book("key", &haircut("ana", TUESDAY_TEN)).unwrap();
    // DynamoDB forgets expired rows within days, not at once: the old answer is still there.
    world.wait(SignedDuration::from_hours(25));
    let (business, new) = (salon_id(), haircut("rui", "2026-11-24T12:00"));
    let once = Once::new("key", b"another");
    let made = create_booking(&world, &world, &business, &new, Some(&once), world.now());
    finished(world.run(made)).unwrap();
}

#[test]
fn without_a_key_a_repeated_booking_overlaps_with_itself() {
    let world = salon();
    let (business, new) = (salon_id(), haircut("ana", TUESDAY_TEN));
    let book = || create_booking(&world, &world, &business, &new, None, world.now());
    // The answer to the first is lost on its way.
    world.plan_faults([(2, Fault::FailAfter)]);
    assert!(matches!(finished(world.run(book())), Err(AppError::Port(_))));
    assert!(matches!(finished(world.run(book())), Err(AppError::Overlap)));
}

#[test]
fn without_a_key_a_repeated_cancellation_meets_a_cancelled_booking() {
    let world = salon();
    let id = world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap().value.id;
    let business = salon_id();
    let cancel = |if_match| {
        change_booking(&world, (&business, &id), Change::Cancel, STAFF, if_match, None, world.now())
    };
    finished(world.run(cancel(None))).unwrap();
    assert!(matches!(finished(world.run(cancel(None))), Err(AppError::IllegalTransition(_))));
    assert!(matches!(finished(world.run(cancel(Some(1)))), Err(AppError::Stale { current: 2 })));
}

#[test]
fn an_edit_of_an_older_version_is_refused() {
    let world = salon();
    let business_id = salon_id();
    let turn_off_sms = || {
        let edit = Edit { business_id: &business_id, once: None, if_match: Some(1), now: world.now() };
        let patch = BusinessPatch { sms_enabled: Some(false), ..BusinessPatch::default() };
        edit_catalogue::update(&world, edit, Key::Business(salon_id()), &[], move |before| match before {
            Some(Item::Business(business)) => patch.apply(business).map(Item::Business),
            _ => Err(AppError::NotFound { what: "business" }),
        })
    };
    assert_eq!(finished(world.run(turn_off_sms())).unwrap().etag, 2);
    assert!(matches!(finished(world.run(turn_off_sms())), Err(AppError::Stale { current: 2 })));
}

#[test]
fn where_others_always_come_first_the_caller_is_told_to_try_again_and_nothing_has_changed() {
    let world = salon();
    let before = world.end_state();
    let new = haircut("ana", TUESDAY_TEN);
    world.plan_faults((0..1_000).map(|call| (call, Fault::Conflict)));
    let refused = world.run(create_booking(&world, &world, &salon_id(), &new, None, world.now()));
    assert!(matches!(finished(refused), Err(AppError::Busy)));
    assert_eq!(world.end_state(), before);
}

#[test]
fn a_booking_is_one_read_and_one_transaction() {
    let world: World = salon();
    world.plan_faults([]);
    world.book("key", &haircut("ana", TUESDAY_TEN)).unwrap();
    // What it needs and, beside it, what else the client has booked; then the booking, the client's part, the day, the answer.
    assert_eq!(world.calls(), [Call::Read, Call::Read, Call::Write(4)]);

    world.plan_faults([]);
    world.book("other", &online("rui", "2026-11-24T12:00")).unwrap();
    assert_eq!(world.calls(), [Call::Read, Call::Write(4)], "a client who books online is warned of nothing");
}
