//! What a provider will not take, or not yet.

use app::deliver::{Delivered, Shift, deliver};
use app::ports::{Item, Outgoing, Provider, ProviderError, Receipt};
use domain::message::{MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::task::TaskKind;
use jiff::SignedDuration;
use rstest::rstest;
use serde_json::json;
use testkit::salon::{PAGES, TUESDAY_TEN, haircut, instant, parsed, read, salon};
use testkit::turns::Run;
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
    let sends = world.calls().into_iter().filter(|call| matches!(call, Call::Send(_))).count();
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
    let sends = world.calls().into_iter().filter(|call| matches!(call, Call::Send(_))).count();
    assert_eq!((sends, world.outbox().len()), (6, 1));
    world.assert_at_rest();
}

/// A provider at whose pace nothing gets its turn before the invocation ends.
struct NoTurn;

impl Provider for NoTurn {
    async fn ready(&self) -> bool {
        false
    }

    async fn send(&self, _: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        panic!("nothing leaves out of turn")
    }
}

#[test]
fn what_has_no_turn_at_the_providers_pace_waits_unclaimed_and_leaves_later() {
    let world = due("rui");
    let received = world.receive().unwrap();
    let shift = Shift {
        holder: "h",
        wall: world.now(),
        until: world.now() + SignedDuration::from_secs(20),
        pages: PAGES,
    };
    let Run::Finished(Ok(Delivered::Deferred(until))) =
        world.run(deliver(&world, &world, &NoTurn, &received.due, shift))
    else {
        panic!("it waits")
    };
    world.finish(&received, true);
    let wait = until.duration_since(world.now());
    assert!((48..=72).contains(&wait.as_secs()), "{wait}");
    let row = world.messages().into_iter().find(|message| message.status == MessageStatus::Deferred).unwrap();
    assert_eq!((row.attempts, row.lease.is_some()), (0, false), "nobody has claimed it");
    world.pass(SignedDuration::from_mins(2));
    assert_eq!(world.outbox().len(), 1);
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

#[test]
fn a_push_that_may_have_left_and_waits_out_the_night_is_unknown_when_it_is_no_longer_owed() {
    let world = salon();
    let id = world.book("book", &haircut("leo", "2026-11-24T22:59")).unwrap().value.id;
    world.pass_until(instant("2026-11-23T22:58:59Z"));
    // The reminder leaves, and the answer is lost; then nothing goes until it is night.
    world.plan_faults([(2, Fault::FailAfter)]);
    world.pass_until(instant("2026-11-23T22:59:05Z"));
    world.plan_faults((0..1_000).map(|call| (call, Fault::Throttle)));
    world.pass_until(instant("2026-11-23T23:00:01Z"));
    world.plan_faults([]);
    world.pass_until(instant("2026-11-23T23:10:00Z"));
    let is_reminder =
        |row: &domain::message::Message| row.kind == NotificationType::Reminder && row.attempts > 0;
    let reminder = || world.messages().into_iter().find(is_reminder).unwrap();
    let waits = reminder();
    assert_eq!((waits.status, waits.may_have_left), (MessageStatus::Deferred, true), "{waits:?}");
    world.change("cancel", &id, app::change_booking::Change::Cancel).unwrap();
    world.pass_until(instant("2026-11-23T23:15:00Z"));
    assert_eq!((reminder().status, reminder().reason), (MessageStatus::Unknown, Some(Reason::NotOwed)));
    world.pass_all();
    world.assert_all_over();
}

#[test]
fn an_sms_that_may_have_left_has_a_task_though_another_write_was_under_way_where_it_goes() {
    let world = due("rui");
    world.plan_faults([(2, Fault::CrashAfter)]);
    world.bring();
    world.pass(SignedDuration::from_secs(30));
    // Read, then the task: DynamoDB refuses it for a transaction that meets it there, and nothing stands in its place.
    world.plan_faults([(1, Fault::Conflict)]);
    world.bring();
    world.pass_all();
    let unknown = world.messages().into_iter().find(|row| row.status == MessageStatus::Unknown).unwrap();
    let tasks = world.tasks();
    assert!(tasks.iter().any(|task| task.message_id.as_ref() == Some(&unknown.id)), "{tasks:?}");
}

fn task_kinds(world: &World) -> Vec<TaskKind> {
    world.tasks().into_iter().map(|task| task.kind).collect()
}

#[rstest]
#[case::email("eva")]
#[case::sms("rui")]
#[case::push("leo")]
fn what_is_refused_for_good_is_one_task_for_staff(#[case] client: &str) {
    let world = due(client);
    world.plan_faults((0..1_000).map(|call| (call, Fault::Refuse)));
    world.pass(SignedDuration::from_hours(1));
    let failed: Vec<_> =
        world.tasks().into_iter().filter(|task| task.kind == TaskKind::FailedMessage).collect();
    // Leo's phone is the only way to him: had he others, nobody would miss it.
    assert_eq!(failed.len(), 1, "{failed:?}");
    let row = world.messages().into_iter().find(|row| row.status == MessageStatus::Failed).unwrap();
    assert_eq!((failed[0].message_id.as_ref(), failed[0].closed), (Some(&row.id), None));
    assert_eq!(failed[0].client_ids, [parsed(client)]);
}

#[test]
fn a_client_whom_no_message_of_a_booking_reaches_is_one_task() {
    let world = salon();
    world.put([Item::Client(read(json!({ "business_id": "salon", "id": "ivo", "name": "Ivo" })))]);
    let id = world.book("book", &haircut("ivo", TUESDAY_TEN)).unwrap().value.id;
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(task_kinds(&world), [TaskKind::UnreachableClient]);
    assert_eq!(world.tasks()[0].client_ids, [parsed("ivo")]);
    world.change("move", &id, testkit::salon::move_to("2026-11-25T15:00")).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(task_kinds(&world), [TaskKind::UnreachableClient], "it is the same booking and client");

    // Ana was told, and has sent STOP since: nothing is owed for that, but the new time is.
    let world = due("rui");
    let id = world.bookings()[0].id.clone();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(task_kinds(&world), []);
    let stop: app::suppress::SuppressionFields = read(json!({ "channel": "sms", "cause": "stop" }));
    let (business, rui) = (testkit::salon::salon_id(), parsed("rui"));
    let edit = || testkit::salon::edit(&business, None, world.now());
    let suppress = |client| app::suppress::suppressed(client, stop, world.now());
    world.request(|| app::edit_client::edit_client(&world, edit(), &rui, suppress)).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(task_kinds(&world), [], "he knows of his visit");
    world.change("move", &id, testkit::salon::move_to("2026-11-25T15:00")).unwrap();
    world.pass(SignedDuration::from_mins(5));
    assert_eq!(task_kinds(&world), [TaskKind::UnreachableClient]);
}

#[test]
fn the_task_to_call_a_client_stands_whatever_befalls_the_planning() {
    let prepare = || {
        let world = salon();
        world.put([Item::Client(read(json!({ "business_id": "salon", "id": "ivo", "name": "Ivo" })))]);
        world
    };
    let act = |world: &World| drop(world.book("book", &haircut("ivo", TUESDAY_TEN)).unwrap());
    testkit::disturb::Scenario { prepare: &prepare, act: &act }.passes();
}

/// Ana's booking under a rule that tells her of it by push, else by sms, else by e-mail.
fn cascading() -> World {
    let world = salon();
    let rule = json!({ "enabled": true, "strategy": "cascade",
        "steps": [{ "timing": "immediately", "channels": ["push", "sms", "email"] }] });
    let rules = json!({ "business_id": "salon", "version": 1, "changed": { "booking_created": rule } });
    world.put([Item::Rules(read(rules.clone())), Item::RulesVersion(read(rules))]);
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    while world.stream_record().is_some() {
        world.step(world.now());
    }
    world
}

fn told_by(world: &World) -> Vec<String> {
    let created = world.messages().into_iter().filter(|row| row.kind == NotificationType::BookingCreated);
    let mut told: Vec<String> = created.map(|row| format!("{} {:?}", row.channel, row.status)).collect();
    told.sort();
    told
}

#[test]
fn s4_a_cascade_goes_on_when_a_channel_fails_for_certain() {
    let world = cascading();
    world.pass(SignedDuration::from_mins(20));
    assert_eq!(told_by(&world), ["email Suppressed", "push Accepted", "sms Suppressed"]);

    let world = cascading();
    // The delivery of the push reads, claims and sends.
    world.plan_faults([(2, Fault::Refuse)]);
    world.pass(SignedDuration::from_mins(20));
    assert_eq!(told_by(&world), ["email Suppressed", "push Failed", "sms Accepted"]);
    world.assert_at_rest();
}

#[test]
fn s4_a_cascade_goes_on_whatever_befalls_the_note_of_the_failure() {
    for fault in Fault::ALL {
        // After the refusal: the row's write, the note on the booking.
        for call in 3..6 {
            let world = cascading();
            world.plan_faults([(2, Fault::Refuse), (call, fault)]);
            world.pass(SignedDuration::from_mins(20));
            // Where the refusal itself was lost the push goes again, and is taken.
            let told = told_by(&world);
            let once =
                ["push Accepted", "sms Accepted"].map(|line| told.iter().filter(|row| *row == line).count());
            assert!(matches!(once, [1, 0] | [0, 1]), "{fault:?} at call {call}: {told:?}");
            assert_eq!(told[0], "email Suppressed", "{fault:?} at call {call}");
            world.assert_at_rest();
        }
    }
}
