//! The limit on requests: exact over all sandboxes, a call for each slice, and gone with the minute.

use app::limit_requests::{Quota, RequestLimit};
use jiff::SignedDuration;
use rstest::rstest;
use testkit::salon::{parsed, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Fault, World};

fn ask(world: &World, sandbox: &RequestLimit) -> Quota {
    match world.run(sandbox.admit(world, &salon_id(), world.now())) {
        Run::Finished(quota) => quota.unwrap(),
        Run::Crashed => panic!("it crashed"),
    }
}

#[rstest]
#[case::the_default(600, 20)]
#[case::a_remainder(613, 20)]
#[case::few(31, 1)]
#[case::one(1, 1)]
fn a_minute_has_just_so_many_whatever_sandboxes_ask(#[case] limit: u64, #[case] slice: u64) {
    let world = salon();
    world.plan_faults([]);
    let sandboxes = [(); 3].map(|()| RequestLimit::per_minute(limit));
    let mut admitted = 0;
    // More than there are, in turns; each sandbox is asked until it has none.
    for number in 0..(limit + 10) * 3 {
        let quota = ask(&world, &sandboxes[usize::try_from(number % 3).unwrap()]);
        admitted += u64::from(quota.admitted);
        assert_eq!(quota.limit, limit);
    }
    assert_eq!(admitted, limit);
    // A call for each slice, and at most one more for each sandbox to learn that there are none, besides taking what is left.
    let calls = u64::try_from(world.calls().len()).unwrap();
    assert!(calls <= limit.div_ceil(slice) + 6, "{calls} calls");
}

#[test]
fn what_is_left_is_said_and_the_next_minute_begins_anew() {
    let world = salon();
    let (one, other) = (RequestLimit::per_minute(60), RequestLimit::per_minute(60));
    let begin = SignedDuration::from_secs(60 - world.now().as_second().rem_euclid(60));
    world.wait(begin + SignedDuration::from_secs(15));
    let quota = ask(&world, &one);
    assert_eq!(quota, Quota { admitted: true, limit: 60, remaining: 59, seconds_left: 45 });
    // The other knows of the slice that was taken: two of sixty.
    assert_eq!(ask(&world, &other).remaining, 57);
    for _ in 0..60 {
        ask(&world, &one);
    }
    let before = world.calls().len();
    let refused = ask(&world, &one);
    assert_eq!((refused.admitted, refused.remaining, refused.seconds_left), (false, 0, 45));
    assert_eq!(world.calls().len(), before, "a minute that is used up costs no calls");
    world.wait(SignedDuration::from_secs(45));
    assert_eq!(ask(&world, &one), Quota { admitted: true, limit: 60, remaining: 59, seconds_left: 60 });
}

#[test]
fn a_neighbours_requests_are_the_neighbours() {
    let world = salon();
    let sandbox = RequestLimit::per_minute(1);
    assert!(ask(&world, &sandbox).admitted);
    assert!(!ask(&world, &sandbox).admitted);
    let barber = parsed("barber");
    let Run::Finished(quota) = world.run(sandbox.admit(&world, &barber, world.now())) else {
        panic!("it crashed")
    };
    assert!(quota.unwrap().admitted);
}

#[test]
fn a_count_that_fails_says_so_and_costs_nothing_of_the_limit() {
    let world = salon();
    let sandbox = RequestLimit::per_minute(60);
    world.plan_faults([(0, Fault::FailBefore)]);
    let Run::Finished(quota) = world.run(sandbox.admit(&world, &salon_id(), world.now())) else {
        panic!("it crashed")
    };
    assert!(quota.is_err());
    assert_eq!(ask(&world, &sandbox).remaining, 59);
}
