//! The tests every use case must pass: each of its calls failed, repeated and died at, before and after its effect, and the whole of it
//! repeated. Each time the platform does what it would do, and the end is that of the undisturbed run.

use jiff::SignedDuration;

use crate::end_state::{EndState, MessageState};
use crate::world::{Call, Fault, World};

/// Long enough for whatever was due to leave, however often it came again.
const SOON: SignedDuration = SignedDuration::from_mins(20);

/// A use case in a situation. Nothing but what it sets off may be due within twenty minutes after it.
pub struct Scenario<'a> {
    /// Makes the world up to the moment at which the use case is called.
    pub prepare: &'a dyn Fn() -> World,
    /// Calls it the way it is called on AWS, repetitions included, until it is through.
    pub act: &'a dyn Fn(&World),
}

impl Scenario<'_> {
    /// All that every use case must pass.
    pub fn passes(&self) {
        let smooth = self.undisturbed();
        assert!(!smooth.calls.is_empty(), "the scenario does nothing");
        self.every_call_disturbed(&smooth);
        self.everything_twice(&smooth);
        self.writes_lost_again_and_again(&smooth);
    }

    fn undisturbed(&self) -> Smooth {
        let world = (self.prepare)();
        world.plan_faults([]);
        (self.act)(&world);
        let calls = world.calls();
        world.pass(SOON);
        world.assert_at_rest();
        let mid = world.end_state();
        world.pass_all();
        world.assert_all_over();
        Smooth { calls, mid, end: world.end_state() }
    }

    /// One fault at a time, at every call it can hit.
    fn every_call_disturbed(&self, smooth: &Smooth) {
        for (number, call) in smooth.calls.iter().enumerate() {
            for fault in Fault::ALL.into_iter().filter(|fault| fault.can_hit(*call)) {
                let context = format!("{fault:?} at call {number}, {call:?}");
                self.compare(smooth, &context, &[(number, fault)]);
            }
        }
    }

    /// Conflicts from every write on: somebody else keeps coming first.
    fn writes_lost_again_and_again(&self, smooth: &Smooth) {
        for (number, call) in
            smooth.calls.iter().enumerate().filter(|(_, call)| matches!(call, Call::Write(_)))
        {
            let storm: Vec<_> = (number..number + 8).map(|number| (number, Fault::Conflict)).collect();
            self.compare(smooth, &format!("conflicts from call {number}, {call:?}, on"), &storm);
        }
    }

    /// Every stream record and every queue message arrives twice.
    fn everything_twice(&self, smooth: &Smooth) {
        let world = (self.prepare)();
        world.deliver_everything_twice();
        (self.act)(&world);
        world.pass_all();
        world.assert_all_over();
        assert_same("everything twice", &smooth.end, &world.end_state());
    }

    fn compare(&self, smooth: &Smooth, context: &str, faults: &[(usize, Fault)]) {
        // Shown when the test fails.
        eprintln!("{context}");
        let world = (self.prepare)();
        world.plan_faults(faults.iter().copied());
        (self.act)(&world);
        world.plan_faults([]);
        world.pass(SOON);
        world.assert_at_rest();
        assert_same(context, &smooth.mid, &world.end_state());
        world.pass_all();
        world.assert_all_over();
        assert_same(context, &smooth.end, &world.end_state());
    }
}

struct Smooth {
    calls: Vec<Call>,
    /// Soon after the use case was through.
    mid: EndState,
    /// When all was over.
    end: EndState,
}

/// The disturbed end is the undisturbed one, but for messages of which nobody knew whether they had left: an sms of that kind is
/// `unknown`, has a task and left at most once; an e-mail or a push may have left again.
fn assert_same(context: &str, smooth: &EndState, disturbed: &EndState) {
    assert_eq!(smooth.facts, disturbed.facts, "{context}: the facts differ");
    let labels = |state: &EndState| state.messages.keys().cloned().collect::<Vec<_>>();
    assert_eq!(labels(smooth), labels(disturbed), "{context}: other messages");
    for (label, expected) in &smooth.messages {
        let found = &disturbed.messages[label];
        let has_task = disturbed.unknown_tasks.contains(label);
        let fits = if found.uncertain && found.paid {
            let unknown = found.status.starts_with("Unknown") && has_task && found.left <= 1;
            unknown || same(expected, found)
        } else if found.uncertain {
            same(expected, &MessageState { left: found.left.min(1), ..found.clone() }) && !has_task
        } else {
            same(expected, found) && !has_task
        };
        assert!(fits, "{context}: {label}: expected {expected:?}, found {found:?}, task: {has_task}");
    }
}

fn same(expected: &MessageState, found: &MessageState) -> bool {
    let known = |state: &MessageState| (state.status.clone(), state.waits, state.left);
    known(expected) == known(found)
}
