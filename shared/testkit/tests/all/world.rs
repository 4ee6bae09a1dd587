//! The world itself behaves like the services it stands for; a kinder one would prove nothing.

use app::ports::{Expect, Item, Key, Read, Write, WriteError, WriteFacts};
use domain::business::Business;
use rstest::rstest;
use testkit::salon::{business, parsed, salon, salon_id};
use testkit::turns::Run;
use testkit::world::{Call, Fault, Faults, Service, World};

fn profile(id: &str) -> Item {
    let [profile, ..] = business(id);
    profile
}

fn write(world: &World, writes: Vec<(Item, Expect)>) -> Run<Result<(), WriteError>> {
    let writes = writes.into_iter().map(|(item, expect)| Write { item, expect }).collect();
    world.run(world.write_facts(writes))
}

fn version(world: &World, id: &str) -> Option<u64> {
    world.get(&Key::Business(parsed(id))).map(|stored| stored.version)
}

#[rstest]
#[case::absent_where_nothing_is("new", Expect::Absent, Some(1))]
#[case::absent_where_something_is("salon", Expect::Absent, None)]
#[case::the_version_that_is_there("salon", Expect::Version(1), Some(2))]
#[case::another_version("salon", Expect::Version(2), None)]
#[case::a_version_where_nothing_is("new", Expect::Version(1), None)]
#[case::anything("salon", Expect::Any, Some(1))]
fn a_write_happens_when_what_it_expects_is_there(
    #[case] id: &str,
    #[case] expect: Expect,
    #[case] becomes: Option<u64>,
) {
    let world = salon();
    match (write(&world, vec![(profile(id), expect)]), becomes) {
        (Run::Finished(Ok(())), Some(expected)) => assert_eq!(version(&world, id), Some(expected)),
        (Run::Finished(Err(WriteError::Conflict)), None) => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_transaction_writes_all_or_nothing() {
    let world = salon();
    let writes = vec![(profile("one"), Expect::Absent), (profile("salon"), Expect::Absent)];
    assert!(matches!(write(&world, writes), Run::Finished(Err(WriteError::Conflict))));
    assert_eq!(version(&world, "one"), None);
}

#[rstest]
#[case(Fault::FailBefore, false)]
#[case(Fault::FailAfter, true)]
#[case(Fault::Throttle, false)]
#[case(Fault::Conflict, false)]
#[case(Fault::ConflictAfter, true)]
#[case(Fault::CrashBefore, false)]
#[case(Fault::CrashAfter, true)]
fn a_fault_comes_before_or_after_the_effect(#[case] fault: Fault, #[case] happened: bool) {
    let world = salon();
    world.plan_faults([(0, fault)]);
    let run = write(&world, vec![(profile("new"), Expect::Absent)]);
    assert!(!matches!(run, Run::Finished(Ok(()))), "{run:?}");
    assert_eq!(version(&world, "new").is_some(), happened);
    // The next call is as good as ever.
    let read = world.run(world.read(vec![Key::Business(salon_id())]));
    let Run::Finished(Ok(found)) = read else { panic!("{read:?}") };
    assert!(matches!(&found[0].item, Item::Business(Business { id, .. }) if *id == salon_id()));
}

#[test]
fn several_use_cases_are_under_way_and_go_on_in_any_order() {
    let world = salon();
    let mut one =
        world.start(world.write_facts(vec![Write { item: profile("one"), expect: Expect::Absent }]));
    let mut other = world.start(world.read(vec![Key::Business(parsed("one"))]));
    assert!(one.begin().is_none() && other.begin().is_none());
    let (write, read) = (one.waits_for()[0], other.waits_for()[0]);
    assert_eq!((write.1, read.1), (Call::Write(1), Call::Read));
    assert!(matches!(one.make(write.0), Some(Run::Finished(Ok(())))));
    let Some(Run::Finished(Ok(found))) = other.make(read.0) else { panic!("it has ended") };
    assert_eq!(found.len(), 1, "the read that was begun first and made last sees the write");
}

#[test]
fn a_use_case_that_is_dropped_makes_no_more_calls() {
    let world = salon();
    let mut dead =
        world.start(world.write_facts(vec![Write { item: profile("one"), expect: Expect::Absent }]));
    assert!(dead.begin().is_none());
    drop(dead);
    assert_eq!((version(&world, "one"), world.calls().len()), (None, 0));
}

/// Every call to the tables fails.
#[derive(Debug)]
struct NoTables;

impl Faults for NoTables {
    fn next(&mut self, call: Call, _: jiff::Timestamp) -> Option<Fault> {
        (call.service() == Service::Tables).then_some(Fault::FailBefore)
    }
}

#[test]
fn faults_come_from_where_the_test_says_and_are_counted() {
    let world = salon();
    world.set_faults(NoTables);
    assert!(matches!(write(&world, vec![(profile("one"), Expect::Absent)]), Run::Finished(Err(_))));
    assert_eq!(world.happened().into_iter().collect::<Vec<_>>(), [((Service::Tables, Fault::FailBefore), 1)]);
}
