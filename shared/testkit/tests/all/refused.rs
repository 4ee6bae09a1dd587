//! What a provider will not take, or not yet.

use domain::message::{MessageStatus, Reason};
use jiff::SignedDuration;
use rstest::rstest;
use testkit::salon::{TUESDAY_TEN, haircut, instant, salon};
use testkit::world::{Call, Fault, World};

/// A client's booking just planned, and the calls of the first delivery still to come.
fn due(client: &str) -> World {
    let world = salon();
    world.book("book", &haircut(client, TUESDAY_TEN)).unwrap();
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    world
}

#[rstest]
#[case::email("eva")]
#[case::sms("rui")]
#[case::push("leo")]
fn an_address_refused_for_good_is_not_tried_again(#[case] client: &str) {
    let world = due(client);
    world.plan_faults((0..1_000).map(|call| (call, Fault::Refuse)));
    world.pass(SignedDuration::from_hours(1));
    let sends = world.calls().into_iter().filter(|call| *call == Call::Send).count();
    assert_eq!((sends, world.outbox().len()), (1, 0));
    let news = &world.messages().into_iter().find(|message| message.attempts > 0).unwrap();
    assert_eq!((news.status, news.reason), (MessageStatus::Failed, Some(Reason::InvalidAddress)));
}

#[rstest]
#[case::down(Fault::FailBefore)]
#[case::throttled(Fault::Throttle)]
fn what_a_provider_does_not_take_for_a_while_leaves_once_when_it_does(#[case] fault: Fault) {
    let world = due("rui");
    // Each delivery reads, claims, sends, sets a timer for the next attempt and records.
    world.plan_faults((0..5).map(|delivery| (delivery * 5 + 2, fault)));
    world.pass(SignedDuration::from_hours(4));
    let sends = world.calls().into_iter().filter(|call| *call == Call::Send).count();
    assert_eq!((sends, world.outbox().len()), (6, 1));
    world.assert_at_rest();
}

#[test]
fn an_email_that_may_have_left_is_unknown_when_it_is_no_longer_owed() {
    let world = due("eva");
    // It leaves, and the answer is lost. Before it comes again the booking is cancelled.
    world.plan_faults([(2, Fault::FailAfter)]);
    world.bring();
    let id = world.bookings()[0].id.clone();
    world.change("cancel", &id, app::change_booking::Change::Cancel).unwrap();
    world.pass_until(instant("2026-11-20T13:00:00Z"));
    let created =
        world.messages().into_iter().find(|message| message.revision == 1 && message.attempts > 0).unwrap();
    assert_eq!(created.status, MessageStatus::Unknown);
    world.pass_all();
    world.assert_all_over();
}

#[test]
fn an_email_under_which_the_sandbox_died_is_unknown_when_it_is_no_longer_owed() {
    let world = due("eva");
    world.plan_faults([(2, Fault::CrashAfter)]);
    world.bring();
    let id = world.bookings()[0].id.clone();
    world.change("cancel", &id, app::change_booking::Change::Cancel).unwrap();
    world.pass_until(instant("2026-11-20T13:00:00Z"));
    let created =
        world.messages().into_iter().find(|message| message.revision == 1 && message.attempts > 0).unwrap();
    assert_eq!(created.status, MessageStatus::Unknown);
    world.pass_all();
    world.assert_all_over();
}
