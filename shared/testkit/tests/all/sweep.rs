//! The sweep: what got lost is found and put right, what is well is left alone, and two sweeps do what one does.

use app::change_booking::Change;
use app::ports::{Due, DueWhat, SetTimer};
use app::sweep::{EVERY, Swept};
use domain::ids::BookingId;
use domain::message::{CheckKind, MessageStatus};
use domain::notification_type::NotificationType;
use jiff::{SignedDuration, Timestamp};
use rstest::rstest;
use testkit::disturb::Scenario;
use testkit::platform::interleave;
use testkit::salon::{TUESDAY_TEN, haircut, instant, salon};
use testkit::turns::Run;
use testkit::world::{Fault, World};

/// The salon with one booking for Tuesday at ten, and the client was told.
fn told(client: &str) -> World {
    let world = salon();
    world.book("book", &haircut(client, TUESDAY_TEN)).unwrap();
    world.pass(SignedDuration::from_mins(20));
    world
}

fn the_booking(world: &World) -> BookingId {
    world.bookings()[0].id.clone()
}

fn is_reminder(due: &Due) -> bool {
    matches!(due.what, DueWhat::Message { kind: NotificationType::Reminder, .. })
}

fn is_late_check(due: &Due) -> bool {
    matches!(due.what, DueWhat::Check { kind: CheckKind::Late, .. })
}

/// Rui's only reminder is due on Tuesday at eight, in ten minutes, and its timer is lost.
fn timer_lost() -> World {
    let world = told("rui");
    world.pass_until(instant("2026-11-24T07:50:00Z"));
    world.lose_timers(is_reminder);
    world
}

/// The same, found only after it was due.
fn timer_never_came() -> World {
    let world = timer_lost();
    world.pass_until(instant("2026-11-24T08:06:00Z"));
    world
}

/// Ana was booked in, and what tells her so is gone from its queues, for half an hour.
fn copies_gone() -> World {
    let world = salon();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    while world.stream_record().is_some() {
        world.step(Timestamp::MAX);
    }
    world.losses_happen();
    assert_eq!(world.take_queue().len(), 3);
    world.wait(SignedDuration::from_mins(31));
    world
}

/// What told Ana of her booking was claimed on all channels, by sandboxes that died, and is gone from its queues.
fn leases_abandoned() -> World {
    let world = salon();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    while world.stream_record().is_some() {
        world.step(Timestamp::MAX);
    }
    world.losses_happen();
    for _ in 0..3 {
        // Each delivery reads, claims, and dies there.
        world.plan_fault_after(1, Fault::CrashAfter);
        assert!(world.bring());
    }
    world.take_queue();
    assert!(world.messages().iter().filter(|message| message.status == MessageStatus::Sending).count() == 3);
    world.plan_faults([]);
    world.wait(SignedDuration::from_mins(15));
    world
}

/// Rui did not come at ten, and the timer of the check for it was lost.
fn check_lost() -> World {
    let world = told("rui");
    world.pass_until(instant("2026-11-24T09:59:00Z"));
    world.lose_timers(is_late_check);
    world.pass_until(instant("2026-11-24T10:16:00Z"));
    world
}

/// Sweeps, and again as long as anything of it fails, as the next sweep does.
fn sweep(world: &World) -> Swept {
    for _ in 0..100 {
        if let Run::Finished(swept) = world.run(world.sweep())
            && swept.failures == 0
        {
            return swept;
        }
    }
    panic!("the sweep never succeeds");
}

/// Lets all happen until an instant (UTC), sweeping every quarter of an hour, and tells all that was found.
fn pass_sweeping(world: &World, until: Timestamp) -> Swept {
    let mut found = Swept::default();
    while world.now() < until {
        world.pass(EVERY);
        found += sweep(world);
    }
    found
}

#[rstest]
#[case::timer_lost(timer_lost, Swept { lost_schedules: 1, ..Swept::default() })]
#[case::timer_never_came(
    timer_never_came,
    Swept { due_not_queued: 1, queued: 1, oldest_overdue: SignedDuration::from_mins(6), ..Swept::default() }
)]
#[case::copies_gone(
    copies_gone,
    Swept { due_not_queued: 3, queued: 3, oldest_overdue: SignedDuration::from_mins(31), ..Swept::default() }
)]
#[case::check_lost(check_lost, Swept { overdue_checks: 1, queued: 1, ..Swept::default() })]
fn what_got_lost_is_found_and_put_right(#[case] prepare: fn() -> World, #[case] found: Swept) {
    let world = prepare();
    assert_eq!(sweep(&world), found);
    world.pass_all();
    world.assert_all_over();
    assert_eq!(
        sweep(&world),
        Swept { oldest_overdue: SignedDuration::ZERO, ..Swept::default() },
        "nothing is left to find"
    );
}

#[test]
fn an_abandoned_claim_ends_as_unknown_where_it_is_paid_and_is_sent_again_where_it_is_free() {
    let world = leases_abandoned();
    let found = sweep(&world);
    assert_eq!((found.abandoned_leases, found.queued), (3, 3));
    world.pass(SignedDuration::from_mins(5));
    let mut stand: Vec<String> = world
        .messages()
        .iter()
        .filter(|message| message.kind == NotificationType::BookingCreated)
        .map(|message| format!("{} {:?}", message.channel, message.status))
        .collect();
    stand.sort();
    assert_eq!(stand, ["email Accepted", "push Accepted", "sms Unknown"]);
    assert_eq!(world.outbox().len(), 2, "each died before its provider was asked");
}

#[rstest]
#[case::timer_lost(timer_lost)]
#[case::timer_never_came(timer_never_came)]
#[case::copies_gone(copies_gone)]
#[case::leases_abandoned(leases_abandoned)]
#[case::check_lost(check_lost)]
fn a_sweep_may_fail_be_repeated_and_die_at_every_call(#[case] prepare: fn() -> World) {
    Scenario { prepare: &prepare, act: &|world| _ = sweep(world) }.passes();
}

#[rstest]
#[case::timer_lost(timer_lost)]
#[case::timer_never_came(timer_never_came)]
#[case::check_lost(check_lost)]
fn two_sweeps_at_once_send_nothing_twice(#[case] prepare: fn() -> World) {
    let alone = {
        let world = prepare();
        sweep(&world);
        world.pass_all();
        world.end_state()
    };
    interleave(
        prepare,
        async |world| world.sweep().await,
        async |world| world.sweep().await,
        |world, calls, one, other| {
            assert_eq!((one.failures, other.failures), (0, 0), "{calls:?}");
            assert!(one.lost_schedules + other.lost_schedules <= 1, "{calls:?}: a timer is set anew once");
            world.pass_all();
            world.assert_all_over();
            assert_eq!(alone, world.end_state(), "{calls:?}");
        },
    );
}

#[test]
fn a_sweep_beside_a_delivery_sends_nothing_twice() {
    // The queue is slow: what is in it for half an hour is taken for lost.
    let prepare = || {
        let world = salon();
        world.book("book", &haircut("rui", TUESDAY_TEN)).unwrap();
        while world.stream_record().is_some() {
            world.step(Timestamp::MAX);
        }
        world.wait(SignedDuration::from_mins(31));
        world
    };
    interleave(
        prepare,
        async |world| world.sweep().await,
        async |world| {
            let received = world.receive().unwrap();
            let done = world.take(&received.due).await;
            world.finish(&received, done);
        },
        |world, calls, _, ()| {
            world.pass_all();
            world.assert_all_over();
            let told =
                world.outbox().iter().filter(|sent| sent.message.step.to_string() == "immediately").count();
            assert_eq!(told, 1, "{calls:?}");
        },
    );
}

#[test]
fn where_all_is_well_a_sweep_finds_nothing_and_calls_nobody() {
    let world = salon();
    world.book("book", &haircut("ana", TUESDAY_TEN)).unwrap();
    assert_eq!(pass_sweeping(&world, instant("2026-11-25T12:00:00Z")), Swept::default());
    world.pass_all();
    world.assert_all_over();
}

#[test]
fn every_timer_and_check_of_a_booking_may_be_lost_and_all_leaves_that_would_have() {
    let smooth = told("ana");
    smooth.pass_all();
    let world = told("ana");
    world.lose_timers(|_| true);
    let found = pass_sweeping(&world, instant("2026-11-25T12:00:00Z"));
    assert!(found.lost_schedules > 0 && found.due_not_queued == 0, "{found:?}");
    world.pass_all();
    world.assert_all_over();
    assert_eq!(smooth.end_state().messages, world.end_state().messages);
}

#[test]
fn timers_that_nobody_waits_for_are_withdrawn_and_the_others_stay() {
    let world = told("ana");
    world.book("other", &haircut("rui", "2026-11-24T12:00")).unwrap();
    world.pass(SignedDuration::from_mins(20));
    let before = world.timers();
    world.change("cancel", &the_booking(&world), Change::Cancel).unwrap();
    world.pass(SignedDuration::from_mins(20));
    let after = world.timers();
    let withdrawn: Vec<&Due> = before.iter().filter(|due| !after.contains(due)).collect();
    assert!(withdrawn.len() > 3 && !after.is_empty(), "{withdrawn:?}");
    // As if withdrawing them had failed.
    for due in &withdrawn {
        world.run(world.set_timer(due));
    }
    assert_eq!(pass_sweeping(&world, world.now() + SignedDuration::from_mins(45)), Swept::default());
    // Sixteen sweeps see every name once, where a hundred begin alike at most.
    let mut found = Swept::default();
    for _ in 0..18 {
        world.wait(EVERY);
        found += sweep(&world);
    }
    assert_eq!(
        found,
        Swept { orphaned_schedules: u64::try_from(withdrawn.len()).unwrap(), ..Swept::default() }
    );
    assert_eq!(world.timers(), after);
}

#[test]
fn of_two_timers_of_a_row_the_one_it_waits_for_stays() {
    let world = told("ana");
    let kept = world.timers();
    // As if every row had been put off and then back, and withdrawing the timers in between had failed.
    for due in &kept {
        let put_off = Due { at: due.at + SignedDuration::from_hours(3), ..due.clone() };
        world.run(world.set_timer(&put_off));
    }
    assert_eq!(pass_sweeping(&world, world.now() + SignedDuration::from_mins(45)), Swept::default());
    let mut found = Swept::default();
    for _ in 0..18 {
        world.wait(EVERY);
        found += sweep(&world);
    }
    let orphaned_schedules = u64::try_from(kept.len()).unwrap();
    assert_eq!(found, Swept { orphaned_schedules, ..Swept::default() });
    assert_eq!(world.timers(), kept);
}
