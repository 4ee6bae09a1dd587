//! Use cases under way: each stops at every call of a port and goes on when it is told, so that several can be under way at once and go on
//! in any order.

use std::collections::BTreeMap;
use std::future::{Future, poll_fn};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use crate::world::{Call, World};

/// How many calls a use case may make before the test says that it never ends.
const PATIENCE: usize = 5_000;

/// How a run of a use case ended.
#[derive(Debug)]
pub enum Run<T> {
    /// It gave its answer.
    Finished(T),
    /// The sandbox died under it.
    Crashed,
}

/// The calls that wait for their turn.
#[derive(Debug, Default)]
pub(crate) struct Turns {
    /// Whose future is being polled.
    task: u64,
    /// By task and number of the call.
    waiting: BTreeMap<(u64, u64), (Call, Waker)>,
    /// Whose turn it is.
    admitted: Option<(u64, u64)>,
    last: u64,
}

impl Turns {
    fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    fn of(task: u64) -> Range<(u64, u64)> {
        (task, 0)..(task + 1, 0)
    }
}

/// A call that waits for its turn. Dropped, it waits no more.
struct Ticket<'a> {
    world: &'a World,
    id: Option<(u64, u64)>,
}

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        if let Some(id) = self.id {
            let mut state = self.world.state();
            state.turns.waiting.remove(&id);
            state.turns.admitted = state.turns.admitted.filter(|admitted| *admitted != id);
        }
    }
}

/// Waits until it is the call's turn.
pub(crate) async fn turn(world: &World, call: Call) {
    let mut ticket = Ticket { world, id: None };
    poll_fn(|context| {
        let mut state = world.state();
        let turns = &mut state.turns;
        let id = match ticket.id {
            Some(id) => id,
            None => (turns.task, turns.number()),
        };
        ticket.id = Some(id);
        if turns.admitted == Some(id) {
            turns.admitted = None;
            turns.waiting.remove(&id);
            return Poll::Ready(());
        }
        turns.waiting.insert(id, (call, context.waker().clone()));
        Poll::Pending
    })
    .await;
}

/// A use case that has been started and goes on only when told. Dropped, it is dead.
pub struct Started<'a, T> {
    world: &'a World,
    task: u64,
    future: Pin<Box<dyn Future<Output = T> + 'a>>,
}

impl<T> Started<'_, T> {
    /// Lets it go as far as it comes without another call.
    pub fn begin(&mut self) -> Option<Run<T>> {
        self.world.state().turns.task = self.task;
        let polled = self.future.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        let crashed = std::mem::take(&mut self.world.state().crashed);
        match polled {
            Poll::Ready(value) => Some(Run::Finished(value)),
            Poll::Pending if crashed => Some(Run::Crashed),
            Poll::Pending => None,
        }
    }

    /// The calls it waits for, by number, the earliest first.
    pub fn waits_for(&self) -> Vec<(u64, Call)> {
        let state = self.world.state();
        let waiting = state.turns.waiting.range(Turns::of(self.task));
        waiting.map(|((_, number), (call, _))| (*number, *call)).collect()
    }

    /// Lets the call of this number be made, and goes on to the next. `None` while it has not ended.
    ///
    /// # Panics
    /// When no such call waits.
    pub fn make(&mut self, number: u64) -> Option<Run<T>> {
        let id = (self.task, number);
        let waker = {
            let mut state = self.world.state();
            let waiting = state.turns.waiting.get(&id).map(|(_, waker)| waker.clone());
            state.turns.admitted = Some(id);
            waiting.expect("a call that is made has waited for its turn")
        };
        waker.wake();
        self.begin()
    }

    /// Lets it make at most so many calls more, in their order. `None` when it has not ended by then.
    pub fn go(&mut self, calls: usize) -> Option<Run<T>> {
        let mut run = self.begin();
        for _ in 0..calls {
            if run.is_some() {
                break;
            }
            let next = self.waits_for().first().map(|(number, _)| *number);
            run = self.make(next.expect("a use case waits for nothing but its calls"));
        }
        run
    }

    /// Lets it go to its end.
    pub fn end(mut self) -> Run<T> {
        self.go(PATIENCE).expect("a use case never ends")
    }
}

impl World {
    /// Starts a use case.
    pub fn start<'a, T>(&'a self, work: impl Future<Output = T> + 'a) -> Started<'a, T> {
        let task = self.state().turns.number();
        Started { world: self, task, future: Box::pin(work) }
    }

    /// Runs a use case to its end.
    pub fn run<'a, T>(&'a self, work: impl Future<Output = T> + 'a) -> Run<T> {
        self.start(work).end()
    }
}
