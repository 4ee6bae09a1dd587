//! Use cases against each other, interleaved at every call.

use app::change_booking::{Change, Manner, change_booking};
use app::create_booking::{By, NewBooking, create_booking};
use app::error::AppError;
use app::once::{Done, Once};
use app::ports::{Item, Key};
use domain::booking::{Booking, Notify, Status};
use domain::ids::BookingId;
use domain::message::{Message, MessageStatus};
use domain::notification_type::NotificationType;
use jiff::SignedDuration;
use rstest::rstest;
use testkit::platform::interleave;
use testkit::salon::{TUESDAY_TEN, haircut, instant, move_to, salon, salon_id};
use testkit::world::{Changed, World};

async fn book(world: &World, key: Option<&str>, new: &NewBooking) -> Result<Done<Booking>, AppError> {
    let once = key.map(|key| Once::new(key, format!("{new:?}").as_bytes()));
    let made = create_booking(world, world, &salon_id(), new, once.as_ref(), world.now()).await?;
    Ok(Done { value: made.value.booking, etag: made.etag })
}

async fn change(world: &World, id: &BookingId, change: Change) -> Result<Done<Booking>, AppError> {
    let manner = Manner { notify: Notify::ByRules, by: By::Staff };
    change_booking(world, (&salon_id(), id), change, manner, None, None, world.now()).await
}

async fn plan(world: &World) {
    while let Some(changed) = world.stream_record() {
        let done = world.plan(&changed).await;
        world.finish_record(done);
    }
}

async fn deliver_next(world: &World) {
    if let Some(received) = world.receive() {
        let done = world.take(&received.due).await;
        world.finish(&received, done);
    }
}

fn with_capacity(capacity: u32) -> World {
    let world = salon();
    let key = Key::Resource(salon_id(), "marta".parse().unwrap());
    if let Some(Item::Resource(mut marta)) = world.get(&key).map(|stored| stored.item) {
        marta.capacity = capacity;
        world.put([Item::Resource(marta)]);
    }
    world
}

fn the_booking(world: &World) -> BookingId {
    world.bookings()[0].id.clone()
}

/// Rui's booking for Tuesday at ten, at eight o'clock on that day: the sms that reminds of it is in the queue.
fn reminder_due() -> World {
    let world = salon();
    world.book("book", &haircut("rui", TUESDAY_TEN)).unwrap();
    world.pass_until(instant("2026-11-24T07:59:59Z"));
    // The clock moves, the timer fires.
    world.step(instant("2026-11-24T08:00:00Z"));
    assert_eq!(world.queue().len(), 1);
    world
}

fn reminders(world: &World) -> Vec<(Message, usize)> {
    let left = |message: &Message| world.outbox().iter().filter(|sent| sent.message_id == message.id).count();
    let reminders = world.messages().into_iter().filter(|message| {
        message.kind == NotificationType::Reminder && message.channel == domain::channel::Channel::Sms
    });
    reminders.map(|message| (message.clone(), left(&message))).collect()
}

/// The salon with a booking on Tuesday afternoon, so that there is a day to be written over.
fn half_full() -> World {
    let world = salon();
    world.book("afternoon", &haircut("eva", "2026-11-24T15:00")).unwrap();
    world
}

#[rstest]
#[case::on_an_empty_day(salon)]
#[case::on_a_day_with_another_booking(half_full)]
fn of_two_bookings_for_the_same_time_exactly_one_is_made(#[case] prepare: fn() -> World) {
    interleave(
        prepare,
        async |world| book(world, None, &haircut("ana", TUESDAY_TEN)).await,
        async |world| book(world, None, &haircut("rui", "2026-11-24T10:30")).await,
        |world, _, ana, rui| {
            let won = usize::from(ana.is_ok()) + usize::from(rui.is_ok());
            assert_eq!(won, 1);
            let lost = ana.err().or(rui.err());
            assert!(matches!(lost, Some(AppError::Overlap)), "{lost:?}");
            world.assert_holds_agree();
            world.pass_all();
            world.assert_all_over();
        },
    );
}

#[test]
fn bookings_over_midnight_guard_both_days() {
    interleave(
        salon,
        async |world| book(world, None, &haircut("ana", "2026-11-24T23:30")).await,
        async |world| book(world, None, &haircut("rui", "2026-11-25T00:00")).await,
        |_, _, ana, rui| assert!(ana.is_ok() != rui.is_ok()),
    );
}

#[test]
fn a_resource_for_two_takes_two_at_a_time_and_no_third() {
    interleave(
        || with_capacity(2),
        async |world| book(world, None, &haircut("ana", TUESDAY_TEN)).await,
        async |world| book(world, None, &haircut("rui", TUESDAY_TEN)).await,
        |world, _, ana, rui| {
            assert!(ana.is_ok() && rui.is_ok());
            let third = world.book("third", &haircut("eva", TUESDAY_TEN));
            assert!(matches!(third, Err(AppError::Overlap)));
        },
    );
}

#[test]
fn the_same_request_at_the_same_time_makes_one_booking_and_both_hear_of_it() {
    interleave(
        salon,
        async |world| book(world, Some("key"), &haircut("ana", TUESDAY_TEN)).await,
        async |world| book(world, Some("key"), &haircut("ana", TUESDAY_TEN)).await,
        |_, _, one, other| assert_eq!(one.unwrap(), other.unwrap()),
    );
}

#[test]
fn two_moves_to_the_same_time_let_one_through() {
    interleave(
        || {
            let world = salon();
            world.book("a", &haircut("ana", TUESDAY_TEN)).unwrap();
            world.book("b", &haircut("rui", "2026-11-24T12:00")).unwrap();
            world
        },
        async |world| change(world, &nth(world, 0), move_to("2026-11-25T10:00")).await,
        async |world| change(world, &nth(world, 1), move_to("2026-11-25T10:30")).await,
        |world, _, one, other| {
            assert!(one.is_ok() != other.is_ok());
            world.assert_holds_agree();
        },
    );
}

/// The bookings whose records are in the stream, in the order in which they were made.
fn nth(world: &World, n: usize) -> BookingId {
    let mut ids: Vec<BookingId> = ["ana", "rui"]
        .into_iter()
        .filter_map(|client| world.booking_of(client))
        .map(|booking| booking.id)
        .collect();
    ids.swap_remove(n)
}

#[test]
fn a_cancellation_and_an_arrival_at_the_same_time_leave_one_of_them() {
    interleave(
        || {
            let world = salon();
            world.book("a", &haircut("ana", TUESDAY_TEN)).unwrap();
            world
        },
        async |world| change(world, &nth(world, 0), Change::Cancel).await,
        async |world| change(world, &nth(world, 0), Change::Arrive).await,
        |world, _, cancelled, arrived| {
            assert!(cancelled.is_ok() != arrived.is_ok());
            world.pass_all();
            world.assert_all_over();
        },
    );
}

#[test]
fn two_copies_of_a_message_at_the_same_time_let_it_leave_once() {
    let twice = || {
        let world = reminder_due();
        world.copy_queue();
        world
    };
    interleave(twice, deliver_next, deliver_next, |world, _, (), ()| {
        world.pass_until(instant("2026-11-24T09:30:00Z"));
        assert_eq!(reminders(world)[0].1, 1);
        world.assert_at_rest();
    });
}

#[test]
fn a_booking_moved_while_its_reminder_is_delivered_is_reminded_of_once_for_each_time() {
    interleave(
        reminder_due,
        async |world| {
            change(world, &the_booking(world), move_to("2026-11-25T15:00")).await.unwrap();
            plan(world).await;
        },
        deliver_next,
        |world, (moved, delivered), (), ()| {
            world.assert_at_rest();
            world.pass_until(instant("2026-11-25T14:00:00Z"));
            let reminders = reminders(world);
            assert_eq!(reminders.len(), 2);
            let (old, new) = (&reminders[0], &reminders[1]);
            assert_eq!((new.0.status, new.1), (MessageStatus::Accepted, 1));
            // The old one left only where it was read and claimed, which are two calls, before planning withdrew it.
            assert!(
                old.1 == 0 || delivered >= 2,
                "{moved} calls of the move, then {delivered} of the delivery"
            );
            world.pass_all();
            world.assert_all_over();
        },
    );
}

#[test]
fn nothing_leaves_for_a_booking_cancelled_before_the_message_was_claimed() {
    // Cancelling reads the booking, then its day, then writes.
    const WRITTEN: usize = 3;
    // Delivering reads, then claims.
    const CLAIMED: usize = 2;
    interleave(
        || {
            let world = reminder_due();
            world.cancel_under_way();
            world
        },
        async |world| {
            change(world, &the_booking(world), Change::Cancel).await.unwrap();
            plan(world).await;
        },
        deliver_next,
        |world, (cancelling, delivering), (), ()| {
            world.assert_at_rest();
            world.pass_all();
            world.assert_all_over();
            let expected = usize::from(cancelling < WRITTEN && delivering >= CLAIMED);
            assert_eq!(reminders(world)[0].1, expected);
        },
    );
}

#[test]
fn planning_and_delivering_at_the_same_time_lose_and_repeat_nothing() {
    interleave(
        || {
            let world = salon();
            let id = world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap().value.id;
            while world.stream_record().is_some() {
                world.step(world.now());
            }
            world.change("move", &id, move_to("2026-11-25T15:00")).unwrap();
            world
        },
        plan,
        async |world| {
            deliver_next(world).await;
            deliver_next(world).await;
            deliver_next(world).await;
        },
        |world, _, (), ()| {
            world.pass(SignedDuration::from_mins(20));
            world.assert_at_rest();
            let told = world.messages().into_iter().filter(|message| {
                message.kind == NotificationType::BookingRescheduled
                    && message.status == MessageStatus::Accepted
            });
            assert_eq!(told.count(), 3);
        },
    );
}

#[test]
fn a_late_run_of_planning_takes_nothing_from_a_newer_one() {
    interleave(
        || {
            let world = salon();
            world.book("book", &haircut("rui", TUESDAY_TEN)).unwrap();
            world
        },
        async |world| {
            let refs = world.stream_record().unwrap();
            assert!(world.plan(&refs).await);
        },
        async |world| {
            let id = world.bookings()[0].id.clone();
            change(world, &id, move_to("2026-11-25T15:00")).await.unwrap();
            assert!(world.plan(&Changed::Subject(world.refs(&id))).await);
        },
        |world, _, (), ()| {
            // The newer run was the last that the stream asked for.
            while world.stream_record().is_some() {
                world.finish_record(true);
            }
            world.assert_at_rest();
            world.pass_until(instant("2026-11-25T15:00:00Z"));
            let reminded = reminders(world);
            let at_the_new_time =
                reminded.iter().filter(|(message, left)| message.revision == 2 && *left == 1);
            assert_eq!(at_the_new_time.count(), 1, "{reminded:?}");
            world.pass_all();
            world.assert_all_over();
        },
    );
}

#[test]
fn an_arrival_while_attendance_is_checked_stands() {
    interleave(
        || {
            let world = salon();
            world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
            world.pass_until(instant("2026-11-24T10:09:59Z"));
            world.step(instant("2026-11-24T10:10:00Z"));
            world
        },
        deliver_next,
        async |world| change(world, &the_booking(world), Change::Arrive).await.map(drop),
        |world, _, (), arrived| {
            arrived.unwrap();
            let id = the_booking(world);
            assert_eq!(world.booking(&id).status, Status::Arrived);
            world.pass_all();
            world.assert_all_over();
            let late = world.outbox().into_iter().filter(|s| s.message.kind == NotificationType::RunningLate);
            assert_eq!(late.count(), 0);
        },
    );
}
