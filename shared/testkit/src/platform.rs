//! Who calls the use cases: a client with an HTTP request, the stream, the queues, the timers. Each repeats what it repeats on AWS, and
//! the clock on the wall moves only here.

use std::future::Future;

use app::assist::Staff;
use app::check_booking::check_booking;
use app::close_task::take_by_hand;
use app::deliver::{Delivered, Shift, deliver};
use app::deliver_webhook::deliver_webhook;
use app::erase_client::go_on;
use app::error::AppError;
use app::offer_slot::offer_slot;
use app::plan_client::plan_client;
use app::plan_subject::plan_subject;
use app::ports::{Due, DueWhat, NewId};
use app::publish_events::{Change, Published, publish_events};
use app::roll_out::roll_out;
use app::run_campaign::{bring_campaign, run_campaign};
use app::sweep::{Swept, sweep};
use domain::channel::Channel;
use domain::ids::ClientId;
use domain::message::MessageStatus;
use jiff::{SignedDuration, Timestamp};

use crate::salon::{PAGES, salon_id};
use crate::turns::Run;
use crate::world::{Changed, Queued, World};

/// How long a received queue message stays hidden, as in template.yaml.
const VISIBILITY: SignedDuration = SignedDuration::from_secs(120);

/// How long an invocation lasts at the most: a message it has claimed is its own for so long.
const INVOCATION: SignedDuration = SignedDuration::from_secs(20);

/// How often anything is repeated before the test says that it never ends.
const PATIENCE: usize = 5_000;

impl World {
    /// A request as a client makes it: again when it got no answer, or one that says to try again.
    ///
    /// # Errors
    /// What the client has to mend.
    pub fn request<'a, T, F>(&'a self, make: impl Fn() -> F) -> Result<T, AppError>
    where
        F: Future<Output = Result<T, AppError>> + 'a,
    {
        for _ in 0..PATIENCE {
            match self.run(make()) {
                Run::Finished(Err(AppError::Port(_) | AppError::Busy)) | Run::Crashed => {
                    self.wait(SignedDuration::from_secs(1));
                }
                Run::Finished(answer) => return answer,
            }
        }
        panic!("a request is never answered");
    }

    /// Deals with a stream record as the stream's function does.
    pub async fn plan(&self, changed: &Changed) -> bool {
        match changed {
            Changed::Subject(refs) => plan_subject(self, self, self, refs, self.now()).await.is_ok(),
            Changed::Client(business, client) => {
                plan_client(self, self, self, (business, client), self.now()).await.is_ok()
            }
            Changed::Freed(freed) => offer_slot(self, freed, self.now()).await.is_ok(),
            Changed::Erasure(business, client) => {
                go_on(self, self, self, (business, client), self.now()).await.is_ok()
            }
            Changed::Rollout(business) => roll_out(self, business).await.is_ok(),
            Changed::ByHand(by_hand) => take_by_hand(self, self, by_hand, self.now()).await.is_ok(),
            Changed::Campaign(business, id) => {
                bring_campaign(self, self, self, (business, id), self.now()).await.is_ok()
            }
        }
    }

    /// Plans what a client of the salon has ahead as the stream does after a change on the card: again and again until it is done.
    pub fn plan_client(&self, client: &ClientId) {
        let business = salon_id();
        for _ in 0..100 {
            let planned = self.run(plan_client(self, self, self, (&business, client), self.now()));
            crate::invariants::check(&mut self.state());
            if matches!(planned, Run::Finished(Ok(_))) {
                return;
            }
            self.wait(SignedDuration::from_secs(1));
        }
        panic!("a client's bookings are never planned");
    }

    /// Deals with a queue message as the deliverers and the checker do. `true` when it may leave the queue.
    pub async fn take(&self, due: &Due) -> bool {
        let wall = self.now();
        match &due.what {
            DueWhat::Check { .. } => check_booking(self, self, due, wall).await.is_ok(),
            DueWhat::Campaign { .. } => run_campaign(self, due, wall).await.is_ok(),
            DueWhat::Message { .. } => {
                let holder = self.new_id();
                let shift = Shift { holder: &holder, wall, until: wall + INVOCATION, pages: PAGES };
                let delivered = match &due.what {
                    DueWhat::Message { channel: Channel::Assisted, .. } => {
                        deliver(self, self, &Staff(self), due, shift).await
                    }
                    _ => deliver(self, self, &self.carrier(due), due, shift).await,
                };
                matches!(delivered, Ok(delivered) if !matches!(delivered, Delivered::Again(_)))
            }
        }
    }

    /// Tells of what changed as the publisher does: each batch again until all of it is done.
    ///
    /// # Panics
    /// When it is never done.
    pub fn publish(&self) {
        for _ in 0..PATIENCE {
            let batch: Vec<Change> = self.state().changes.iter().flatten().take(100).cloned().collect();
            if batch.is_empty() {
                return;
            }
            let Run::Finished(published) = self.run(publish_events(self, self, self, &batch)) else {
                continue;
            };
            // Lambda brings back everything from the first that failed on.
            let done = published.iter().take_while(|outcome| **outcome == Published::Done).count();
            if let Some(changes) = &mut self.state().changes {
                changes.drain(..done);
            }
            self.wait(SignedDuration::from_secs(1));
        }
        panic!("what changed is never told");
    }

    /// Posts what is due at webhooks until an instant (UTC), as their queue and timers bring it, and puts the clock on the wall there.
    ///
    /// # Panics
    /// When it never ends.
    pub fn deliver_webhooks_until(&self, end: Timestamp) {
        for _ in 0..PATIENCE {
            let next = {
                let mut state = self.state();
                let next = state.deliveries.iter_mut().min_by_key(|queued| queued.visible_at);
                let next = next.filter(|queued| queued.visible_at <= end).map(|queued| {
                    let received = queued.clone();
                    queued.visible_at += VISIBILITY;
                    received
                });
                state.wall = state.wall.max(next.as_ref().map_or(end, |next| next.visible_at));
                next
            };
            let Some(next) = next else { return };
            let tried = self.run(deliver_webhook(self, self, self, self, &next.due, self.now()));
            if matches!(tried, Run::Finished(Ok(_))) {
                let hidden =
                    crate::world::QueuedDelivery { visible_at: next.visible_at + VISIBILITY, ..next };
                let mut state = self.state();
                let place = state.deliveries.iter().position(|queued| *queued == hidden);
                place.map(|place| state.deliveries.remove(place));
            }
        }
        panic!("posting never ends");
    }

    /// Sweeps as the sweeper does.
    pub async fn sweep(&self) -> Swept {
        sweep(self, self, self, self.now()).await
    }

    /// Receives the queue message that became visible first, if one is visible. It is hidden from now on, not gone.
    pub fn receive(&self) -> Option<Queued> {
        let mut state = self.state();
        let wall = state.wall;
        let first = state
            .queue
            .iter_mut()
            .filter(|copy| copy.visible_at <= wall)
            .min_by_key(|copy| (copy.visible_at, copy.id))?;
        first.visible_at = wall + VISIBILITY;
        Some(first.clone())
    }

    /// Ends the work on a received message: done, it leaves the queue; else it comes again.
    pub fn finish(&self, received: &Queued, done: bool) {
        let mut state = self.state();
        if let DueWhat::Message { message_id, .. } = &received.due.what
            && state.message(message_id).is_some_and(|row| row.status == MessageStatus::Sending)
        {
            state.uncertain.insert(message_id.clone());
        }
        if done {
            state.queue.retain(|copy| copy.id != received.id);
        }
        crate::invariants::check(&mut state);
    }

    /// The oldest stream record that is not dealt with.
    pub fn stream_record(&self) -> Option<Changed> {
        self.state().stream.front().cloned()
    }

    /// Ends the work on the oldest stream record: done, the next is at hand; else it comes again.
    pub fn finish_record(&self, done: bool) {
        let mut state = self.state();
        if done {
            state.stream.pop_front();
        }
        crate::invariants::check(&mut state);
    }

    /// One thing the platform does until `until` (UTC): a stream record, else a queue message, else the clock moves to what comes next.
    /// `false` when there is nothing.
    pub fn step(&self, until: Timestamp) -> bool {
        let twice = self.state().twice;
        if let Some(changed) = self.stream_record() {
            let done = matches!(self.run(self.plan(&changed)), Run::Finished(true));
            if done && twice {
                self.run(self.plan(&changed));
            }
            if !done {
                self.wait(SignedDuration::from_secs(1));
            }
            self.finish_record(done);
            return true;
        }
        self.bring() || self.move_clock(until)
    }

    /// Brings the next visible queue message to its function, whatever the stream holds. `false` when there is none.
    pub fn bring(&self) -> bool {
        let Some(received) = self.receive() else { return false };
        let done = matches!(self.run(self.take(&received.due)), Run::Finished(true));
        if done && self.state().twice {
            self.run(self.take(&received.due));
        }
        self.finish(&received, done);
        true
    }

    /// Moves the clock to the next instant at which a hidden message shows itself or a timer fires, and fires it.
    fn move_clock(&self, until: Timestamp) -> bool {
        let mut state = self.state();
        let shows = state.queue.iter().map(|copy| copy.visible_at).min();
        let fires = state.timers.next();
        let Some(next) = shows.into_iter().chain(fires).min().filter(|next| *next <= until) else {
            return false;
        };
        state.wall = state.wall.max(next);
        for due in state.timers.fire(next) {
            state.put_in_queue(&due, 0);
        }
        true
    }

    /// Lets everything happen that happens within `so_long`, then puts the clock there.
    pub fn pass(&self, so_long: SignedDuration) {
        let until = self.now() + so_long;
        self.pass_until(until);
    }

    /// Lets everything happen that happens until an instant (UTC), then puts the clock there.
    pub fn pass_until(&self, until: Timestamp) {
        for _ in 0..PATIENCE {
            if !self.step(until) {
                let mut state = self.state();
                state.wall = state.wall.max(until);
                return;
            }
        }
        panic!("it never comes to rest: {:?}", self.queue());
    }

    /// Lets everything happen that is still to come, to the last timer.
    pub fn pass_all(&self) {
        for _ in 0..PATIENCE {
            if !self.step(Timestamp::MAX) {
                return;
            }
        }
        panic!("it never comes to an end: {:?}", self.queue());
    }
}

/// Runs two use cases against each other: one goes some calls, then the other goes some, then the one goes to its end, then the other. Every
/// such pair of numbers gets a world of its own, which `judge` then sees with both answers.
pub fn interleave<A, B>(
    prepare: impl Fn() -> World,
    one: impl AsyncFn(&World) -> A,
    other: impl AsyncFn(&World) -> B,
    judge: impl Fn(&World, (usize, usize), A, B),
) {
    let calls_alone = |world: World, run: &dyn Fn(&World)| {
        world.plan_faults([]);
        run(&world);
        world.calls().len()
    };
    let most_one = calls_alone(prepare(), &|world| drop(world.run(one(world))));
    let most_other = calls_alone(prepare(), &|world| drop(world.run(other(world))));
    for first in 0..=most_one {
        for second in 0..=most_other {
            eprintln!("{first} calls, then {second}");
            let world = prepare();
            let mut a = world.start(one(&world));
            let mut b = world.start(other(&world));
            let (a_done, b_done) = (a.go(first), b.go(second));
            let a_done = a_done.unwrap_or_else(|| a.end());
            let b_done = b_done.unwrap_or_else(|| b.end());
            let (Run::Finished(a), Run::Finished(b)) = (a_done, b_done) else {
                panic!("nobody crashes here");
            };
            world.assert_sound();
            judge(&world, (first, second), a, b);
        }
    }
}
