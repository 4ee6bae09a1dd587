//! AWS in small: who calls the use cases, when, in what order, and again when they fail or die.
//!
//! - API requests: the caller asks again until there is an answer.
//! - The stream: lanes, each in order, one batch of a lane at a time; the batch is taken up again from the first record that failed.
//! - Queues: batches in any order, so many at a time; what is not done shows itself again after two minutes, and goes to the DLQ after eight
//!   times, from where the operator brings it back when the trouble is over.
//! - Timers: up to a minute late, sometimes twice, sometimes lost.
//! - The sweeper: every quarter of an hour around what got lost; in between it would find nothing.
//! - Reports of providers: late, twice and in any order; what is not taken comes again.
//! - Sandboxes: their clocks are a little off, they die at any call, and at the end of their time.
//!
//! Every call of a port takes its time, so that whatever is under way at the same time meets in every order.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::hash::{Hash, Hasher};

use app::change_booking::{Change, Manner, change_booking};
use app::check_booking::check_booking;
use app::create_booking::create_booking;
use app::deliver::{Delivered, Shift, deliver};
use app::edit_catalogue::{self, BusinessPatch, Edit};
use app::edit_settings::{Apply, RuleChange, Scope, Settings, edit_settings};
use app::error::AppError;
use app::offer_slot::offer_slot;
use app::once::Once;
use app::plan_client::plan_client;
use app::plan_subject::plan_subject;
use app::ports::{Due, DueWhat, Item, Key, MessageRef};
use app::roll_out::roll_out;
use app::sweep::{self, Swept, sweep};
use app::take_report::{AboutMessage, Taken, take_report};
use domain::booking::Booking;
use domain::channel::Channel;
use domain::client::{Cause, Client, Suppression};
use domain::feedback::Report;
use domain::ids::MessageId;
use domain::message::Reason;
use domain::subject::SubjectId;
use fastrand::Rng;
use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use serde_json::json;
use testkit::salon::{PAGES, read};
use testkit::turns::{Run, Started};
use testkit::world::{Call, Changed, Sent, Service, World};

use crate::people::{Act, Card, Deed, Year, between, manner, wall};
use crate::planted::Counter;
use crate::town::{Town, chance};
use crate::weather::Climate;

/// How long a received queue message stays hidden, as in template.yaml.
const VISIBILITY: SignedDuration = SignedDuration::from_secs(120);

/// How often a queue message is received before it goes to the DLQ, as in template.yaml.
const RECEIVES: u32 = 8;

/// How long a function that works on a queue may take, as in template.yaml.
pub const INVOCATION: SignedDuration = SignedDuration::from_secs(20);

/// How long a request or a batch from the stream may take, as in template.yaml.
pub const LONG_INVOCATION: SignedDuration = SignedDuration::from_secs(30);

/// How many batches of a delivering function are under way at a time, as in template.yaml.
pub const CONCURRENCY: usize = 2;

/// How many lanes the stream has.
const LANES: usize = 6;

/// How many things may happen before a run is said never to end.
const PATIENCE: u64 = 30_000_000;

/// What may happen at a time.
enum Event {
    /// Somebody does something, for the first time or again, with the key of the first time.
    Act(usize),
    /// A call of a task is made.
    Call(u64, u64),
    /// A task's time is up.
    Deadline(u64),
    /// A timer that fired reaches its queue.
    Fire(Box<Due>),
    /// A queue, or a lane of the stream, is looked at.
    Look,
    /// The operator brings back what is in the DLQs.
    Redrive,
    /// The sweeper looks for what got lost.
    Sweep,
    /// A provider reports, for the first time or again.
    Report(usize),
}

/// What a task works on.
enum Work {
    Request(usize),
    Records { lane: usize, batch: Vec<Changed> },
    Queued { queue: usize, sandbox: usize, batch: Vec<(Timestamp, u64)> },
    Sweep,
    Report(usize),
}

/// What a task answers.
enum Done {
    Swept(Swept),
    Request(Box<Result<Option<Booking>, AppError>>),
    Each(Vec<bool>),
}

struct Task<'w> {
    started: Started<'w, Done>,
    work: Work,
    /// The latest call that has its time.
    timed: u64,
}

#[derive(Default)]
struct Lane {
    records: VecDeque<Changed>,
    busy: bool,
    not_before: Option<Timestamp>,
}

struct Entry {
    due: Due,
    receives: u32,
}

#[derive(Default)]
struct Queue {
    /// By the time at which they show themselves, and id.
    entries: BTreeMap<(Timestamp, u64), Entry>,
    dead: Vec<Due>,
    /// Which of its sandboxes are at work.
    busy: [bool; CONCURRENCY],
}

/// What a provider reports of a message.
#[derive(Debug, Clone)]
pub struct Reported {
    /// Which message.
    pub message_id: MessageId,
    /// How the report names it.
    about: AboutMessage,
    /// What it says.
    pub report: Report,
    /// When that was (UTC).
    at: Timestamp,
    /// Whether it was taken.
    pub taken: bool,
}

/// How a run went, as far as the platform knows.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// Requests that were refused for what they asked: an overlap, an illegal transition.
    pub refused: u64,
    /// Batches that died.
    pub died: u64,
    /// Batches that died because their time was up.
    pub timed_out: u64,
    /// Messages brought back from DLQs.
    pub redriven: u64,
    /// Reports that providers made.
    pub reports: u64,
    /// Timers that were lost.
    pub lost: u64,
    /// Timers that a sweep set again, and copies that it put into queues.
    pub swept: u64,
    /// Queue messages, timers and batches that came twice.
    pub twice: u64,
}

/// A town, its people and the platform at work.
pub struct Platform<'w> {
    world: &'w World,
    counter: &'w Counter<'w>,
    town: &'w Town,
    rng: Rng,
    climate: Climate,
    year: Year,
    acts: Vec<(Act, u64)>,
    events: BTreeMap<(Timestamp, u64), Event>,
    number: u64,
    tasks: BTreeMap<u64, Task<'w>>,
    lanes: Vec<Lane>,
    queues: [Queue; 4],
    /// When sweeps are to come.
    sweeps: BTreeSet<Timestamp>,
    /// How much of the outbox has been thought of.
    heard: usize,
    /// What the providers report, and about which message.
    pub reports: Vec<Reported>,
    /// When something about a booking, a message, a client or a business went wrong (UTC), by id.
    pub marks: BTreeMap<String, Vec<Timestamp>>,
    /// How it went.
    pub tally: Tally,
}

impl<'w> Platform<'w> {
    /// A platform before anything has happened.
    pub fn new(
        world: &'w World,
        counter: &'w Counter<'w>,
        town: &'w Town,
        rng: Rng,
        climate: Climate,
        mut year: Year,
    ) -> Self {
        let acts = std::mem::take(&mut year.acts);
        let mut platform = Self {
            world,
            counter,
            town,
            rng,
            climate,
            year,
            acts: Vec::new(),
            events: BTreeMap::new(),
            number: 0,
            tasks: BTreeMap::new(),
            lanes: (0..LANES).map(|_| Lane::default()).collect(),
            queues: Default::default(),
            sweeps: BTreeSet::new(),
            heard: 0,
            reports: Vec::new(),
            marks: BTreeMap::new(),
            tally: Tally::default(),
        };
        for (at, act) in acts {
            platform.plan_act(at, act);
        }
        platform
    }

    fn number(&mut self) -> u64 {
        self.number += 1;
        self.number
    }

    fn at(&mut self, at: Timestamp, event: Event) {
        let number = self.number();
        self.events.insert((at, number), event);
    }

    fn plan_act(&mut self, at: Timestamp, act: Act) {
        let seed = self.rng.u64(..);
        self.acts.push((act, seed));
        self.at(at, Event::Act(self.acts.len() - 1));
    }

    /// Lets everything happen that is to come until an instant (UTC).
    ///
    /// # Errors
    /// A text when it never comes to an end.
    pub fn run_until(&mut self, until: Timestamp) -> Result<(), String> {
        for _ in 0..PATIENCE {
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let timer = self.world.next_timer();
            let next = event.into_iter().chain(timer).min();
            let Some(next) = next.filter(|next| *next <= until) else { return Ok(()) };
            self.world.wait(next.duration_since(self.world.now()).max(SignedDuration::ZERO));
            if timer.is_some_and(|timer| timer <= next) {
                self.fire();
            } else if let Some((_, event)) = self.events.pop_first() {
                self.happen(event);
            }
            self.pump();
        }
        Err("it never comes to an end".to_owned())
    }

    fn fire(&mut self) {
        let now = self.world.now();
        self.lose_one();
        for due in self.world.fire_timers(now) {
            if self.rng.u32(..10_000) < self.climate.lost {
                self.lost(&due);
                continue;
            }
            let late = match self.rng.u32(..10) {
                0 => SignedDuration::from_millis(self.rng.i64(0..60_000)),
                _ => SignedDuration::from_millis(self.rng.i64(0..3_000)),
            };
            if self.twice() {
                let later = SignedDuration::from_millis(self.rng.i64(0..90_000));
                self.at(now + late + later, Event::Fire(Box::new(due.clone())));
            }
            self.at(now + late, Event::Fire(Box::new(due)));
        }
    }

    /// A timer that is still to come gets lost now and then.
    fn lose_one(&mut self) {
        if self.rng.u32(..10_000) >= self.climate.lost {
            return;
        }
        let now = self.world.now();
        let ahead: Vec<Due> = self.world.timers().into_iter().filter(|due| due.at > now).collect();
        if !ahead.is_empty() {
            let due = &ahead[self.rng.usize(..ahead.len())];
            self.world.lose_timers(|other| other == due);
            self.lost(due);
        }
    }

    /// A timer is lost: the sweeper, which always comes, finds something around its time, and for as long as what it mends may fail.
    fn lost(&mut self, due: &Due) {
        self.tally.lost += 1;
        self.mark(due, due.at);
        let every = sweep::EVERY.as_secs();
        let now = self.world.now().as_second();
        let first = (due.at.as_second() - 2 * every).max(now) / every + 1;
        for turn in first..first + 12 {
            let at = Timestamp::from_second(turn * every).expect("an instant");
            if self.sweeps.insert(at) {
                self.at(at, Event::Sweep);
            }
        }
    }

    fn twice(&mut self) -> bool {
        let twice = self.rng.u32(..10_000) < self.climate.twice;
        self.tally.twice += u64::from(twice);
        twice
    }

    fn happen(&mut self, event: Event) {
        let now = self.world.now();
        match event {
            Event::Act(number) => self.act(number),
            Event::Call(id, call) => {
                let Some(task) = self.tasks.get_mut(&id) else { return };
                // A call that was given up with the others of its kind waits no more.
                if task.started.waits_for().iter().any(|(number, _)| *number == call) {
                    let run = task.started.make(call);
                    self.went_on(id, run);
                }
            }
            Event::Deadline(id) => {
                if self.tasks.contains_key(&id) {
                    self.tally.timed_out += 1;
                    self.went_on(id, Some(Run::Crashed));
                }
            }
            // The Scheduler tries again while the queue does not answer.
            Event::Fire(due) => match self.climate.out_until(Service::Queues, now) {
                Some(_) => self.at(now + SignedDuration::from_secs(60), Event::Fire(due)),
                None => self.put(*due, now),
            },
            Event::Look => {}
            Event::Report(number) => {
                let (world, seen) = (self.world, self.seen());
                let Reported { about, report, at, .. } = self.reports[number].clone();
                let started = world.start(async move {
                    let taken = take_report(world, world, &about, report, at, seen).await;
                    Done::Each(vec![matches!(taken, Ok(taken) if taken != Taken::Again)])
                });
                self.begin(started, Work::Report(number), INVOCATION);
            }
            Event::Sweep => {
                let (world, seen) = (self.world, self.seen());
                let started = world.start(async move { Done::Swept(sweep(world, world, world, seen).await) });
                self.begin(started, Work::Sweep, LONG_INVOCATION);
            }
            Event::Redrive => {
                for queue in 0..self.queues.len() {
                    for due in std::mem::take(&mut self.queues[queue].dead) {
                        self.tally.redriven += 1;
                        self.put(due, now);
                    }
                }
            }
        }
    }

    fn put(&mut self, due: Due, visible: Timestamp) {
        let queue = match &due.what {
            DueWhat::Message { channel: Channel::Email, .. } => 0,
            DueWhat::Message { channel: Channel::Sms, .. } => 1,
            DueWhat::Message { channel: Channel::Push, .. } => 2,
            DueWhat::Check { .. } => 3,
            DueWhat::Campaign { .. } => panic!("there are no campaigns in the simulation"),
            DueWhat::Message { channel, .. } => panic!("nothing goes by {channel} in the simulation"),
        };
        if self.twice() {
            let later = SignedDuration::from_millis(self.rng.i64(0..2_000));
            let number = self.number();
            let copy = Entry { due: due.clone(), receives: 0 };
            self.queues[queue].entries.insert((visible + later, number), copy);
            self.at(visible + later, Event::Look);
        }
        let number = self.number();
        self.queues[queue].entries.insert((visible, number), Entry { due, receives: 0 });
        self.at(visible, Event::Look);
    }

    // -------------------------------------------------------------- what is there to do

    /// Takes what the use cases have set off, and starts whatever can start.
    fn pump(&mut self) {
        for changed in self.world.take_stream() {
            let mut hasher = DefaultHasher::new();
            match &changed {
                Changed::Subject(refs) => refs.subject.hash(&mut hasher),
                Changed::Freed(freed) => freed.offer_id.hash(&mut hasher),
                Changed::Client(_, client) => client.hash(&mut hasher),
                Changed::Rollout(business) => business.hash(&mut hasher),
                Changed::ByHand(_) => panic!("nothing is sent by hand in the simulation"),
                Changed::Campaign(..) => panic!("there are no campaigns in the simulation"),
                Changed::Erasure(..) => panic!("nobody is erased in the simulation"),
            }
            let lane = usize::try_from(hasher.finish() % LANES as u64).unwrap_or(0);
            self.lanes[lane].records.push_back(changed);
        }
        for sent in self.world.outbox_after(self.heard) {
            self.heard += 1;
            self.draw_reports(&sent);
        }
        for queued in self.world.take_queue() {
            self.put(queued.due, queued.visible_at);
        }
        for lane in 0..LANES {
            self.start_lane(lane);
        }
        for queue in 0..self.queues.len() {
            self.start_queue(queue);
        }
    }

    /// What the provider will report of a message it took, if it reports at all.
    fn draw_reports(&mut self, sent: &Sent) {
        let (about, mut reports) = match sent.message.channel {
            // Mail carries our own name for the message; of an sms there is only the provider's.
            Channel::Email => {
                let reports = match self.rng.u32(..100) {
                    0..60 => vec![Report::Delivered],
                    60..80 => vec![Report::Delivered, Report::Read],
                    80..82 => vec![Report::Delivered, Report::Complaint],
                    82..85 => vec![failed(Reason::InvalidAddress, Some(Cause::HardBounce))],
                    85..88 => vec![failed(Reason::NotDelivered, None)],
                    88..90 => vec![failed(Reason::NotDelivered, None), Report::Delivered],
                    _ => vec![],
                };
                (AboutMessage::Named(MessageRef::of(&sent.message)), reports)
            }
            Channel::Sms => {
                let reports = match self.rng.u32(..100) {
                    0..80 => vec![Report::Delivered],
                    80..86 => vec![failed(Reason::NotDelivered, None)],
                    _ => vec![],
                };
                (AboutMessage::Called(Channel::Sms, format!("provider-{}", self.heard)), reports)
            }
            _ => return,
        };
        if let Some(first) = reports.first().copied().filter(|_| chance(&mut self.rng, 10)) {
            reports.push(first);
        }
        for report in reports {
            let longest = if chance(&mut self.rng, 10) { 6 * 3600 } else { 300 };
            let at = sent.at + SignedDuration::from_millis(self.rng.i64(500..longest * 1000));
            let (message_id, about) = (sent.message_id.clone(), about.clone());
            self.reports.push(Reported { message_id, about, report, at, taken: false });
            self.tally.reports += 1;
            let late = SignedDuration::from_millis(self.rng.i64(100..90_000));
            self.at(at + late, Event::Report(self.reports.len() - 1));
        }
    }

    fn start_lane(&mut self, number: usize) {
        let now = self.world.now();
        let lane = &mut self.lanes[number];
        if lane.busy || lane.records.is_empty() || lane.not_before.is_some_and(|from| now < from) {
            return;
        }
        lane.busy = true;
        let most = self.rng.usize(1..=lane.records.len().min(100));
        let batch: Vec<Changed> = lane.records.iter().take(most).cloned().collect();
        let (world, seen) = (self.world, self.seen());
        let records = batch.clone();
        let started = world.start(async move {
            let mut distinct: Vec<&Changed> = Vec::new();
            let mut of_record = Vec::new();
            for record in &records {
                let at = distinct.iter().position(|known| *known == record).unwrap_or_else(|| {
                    distinct.push(record);
                    distinct.len() - 1
                });
                of_record.push(at);
            }
            let done = join_all(distinct.into_iter().map(|changed| plan(world, changed, seen))).await;
            Done::Each(of_record.into_iter().map(|at| done[at]).collect())
        });
        self.begin(started, Work::Records { lane: number, batch }, LONG_INVOCATION);
    }

    fn start_queue(&mut self, number: usize) {
        let now = self.world.now();
        while let Some(sandbox) = self.queues[number].busy.iter().position(|busy| !busy) {
            let shown: Vec<(Timestamp, u64)> =
                self.queues[number].entries.range(..=(now, u64::MAX)).map(|(id, _)| *id).take(20).collect();
            if shown.is_empty() {
                return;
            }
            // In any order, up to ten at a time.
            let from = self.rng.usize(..shown.len());
            let most = self.rng.usize(1..=10);
            let mut batch = Vec::new();
            for id in shown.into_iter().cycle().skip(from).take(most) {
                let Some(mut entry) = self.queues[number].entries.remove(&id) else { continue };
                if entry.receives >= RECEIVES {
                    self.mark(&entry.due, now);
                    let over = self.trouble_over(now) + SignedDuration::from_mins(10);
                    self.queues[number].dead.push(entry.due);
                    self.at(over, Event::Redrive);
                    continue;
                }
                entry.receives += 1;
                let hidden = (now + VISIBILITY, id.1);
                batch.push((hidden, entry.due.clone()));
                self.queues[number].entries.insert(hidden, entry);
                self.at(hidden.0, Event::Look);
            }
            if batch.is_empty() {
                continue;
            }
            let (world, counter, seen, until) = (self.world, self.counter, self.seen(), now + INVOCATION);
            let invocation = self.number();
            let ids: Vec<(Timestamp, u64)> = batch.iter().map(|(id, _)| *id).collect();
            let started = world.start(async move {
                let records = batch.iter().enumerate().map(|(record, (_, due))| async move {
                    let holder = format!("{invocation}/{record}");
                    let shift = Shift { holder: &holder, wall: seen, until, pages: PAGES };
                    take(world, counter, (number, sandbox), due, shift).await
                });
                Done::Each(join_all(records).await)
            });
            self.queues[number].busy[sandbox] = true;
            self.begin(started, Work::Queued { queue: number, sandbox, batch: ids }, INVOCATION);
        }
    }

    /// The end of every outage that goes on.
    fn trouble_over(&self, now: Timestamp) -> Timestamp {
        let ends =
            crate::weather::SERVICES.iter().filter_map(|service| self.climate.out_until(*service, now));
        ends.max().unwrap_or(now)
    }

    /// What a sandbox's clock shows now.
    fn seen(&mut self) -> Timestamp {
        let skew = self.climate.skew;
        self.world.now() + SignedDuration::from_millis(self.rng.i64(-skew..=skew))
    }

    // -------------------------------------------------------------- tasks

    fn begin(&mut self, started: Started<'w, Done>, work: Work, lasts: SignedDuration) {
        let id = self.number();
        let now = self.world.now();
        self.tasks.insert(id, Task { started, work, timed: 0 });
        self.at(now + lasts, Event::Deadline(id));
        let run = self.tasks.get_mut(&id).and_then(|task| task.started.begin());
        self.went_on(id, run);
    }

    /// A task went as far as it came: gives its new calls their time, or ends it.
    fn went_on(&mut self, id: u64, run: Option<Run<Done>>) {
        let now = self.world.now();
        match run {
            None => {
                let Some(task) = self.tasks.get_mut(&id) else { return };
                let new: Vec<(u64, Call)> =
                    task.started.waits_for().into_iter().filter(|(number, _)| *number > task.timed).collect();
                task.timed = new.iter().map(|(number, _)| *number).max().unwrap_or(task.timed);
                for (number, call) in new {
                    let takes = self.takes(call);
                    self.at(now + takes, Event::Call(id, number));
                }
            }
            Some(run) => {
                let Some(task) = self.tasks.remove(&id) else { return };
                drop(task.started);
                if matches!(run, Run::Crashed) {
                    self.tally.died += 1;
                }
                self.ended(task.work, run);
            }
        }
    }

    /// How long a call takes.
    fn takes(&mut self, call: Call) -> SignedDuration {
        let slow = self.rng.u32(..10_000) < self.climate.slow;
        let millis = match call {
            Call::Sleep(until) => return until.duration_since(self.world.now()).max(SignedDuration::ZERO),
            _ if slow => 3_000..40_000,
            Call::Send(_) => 20..200,
            _ => 2..40,
        };
        SignedDuration::from_millis(self.rng.i64(millis))
    }

    fn ended(&mut self, work: Work, run: Run<Done>) {
        let now = self.world.now();
        match (work, run) {
            (Work::Sweep, Run::Finished(Done::Swept(swept))) => {
                self.tally.swept += swept.lost_schedules + swept.queued;
            }
            (Work::Report(number), Run::Finished(Done::Each(each))) if each == [true] => {
                self.reports[number].taken = true;
            }
            (Work::Report(number), _) => self.at(now + VISIBILITY, Event::Report(number)),
            // The next one comes anyway.
            (Work::Sweep, _) => {}
            (Work::Request(number), Run::Finished(Done::Request(answer))) => self.answered(number, *answer),
            (Work::Request(number), _) => self.ask_again(number),
            (Work::Records { lane, batch }, run) => {
                let done = match run {
                    Run::Finished(Done::Each(each)) => each.iter().take_while(|done| **done).count(),
                    _ => 0,
                };
                for failed in &batch[done..] {
                    for id in ids_of(failed) {
                        self.marks.entry(id).or_default().push(now);
                    }
                }
                let again = self.twice();
                let done = if again { 0 } else { done };
                self.lanes[lane].records.drain(..done);
                self.lanes[lane].busy = false;
                if done < batch.len() {
                    let from = now + SignedDuration::from_millis(self.rng.i64(1_000..20_000));
                    self.lanes[lane].not_before = Some(from);
                    self.at(from, Event::Look);
                }
            }
            (Work::Queued { queue, sandbox, batch }, run) => {
                self.queues[queue].busy[sandbox] = false;
                let done = match run {
                    Run::Finished(Done::Each(each)) => each,
                    _ => vec![false; batch.len()],
                };
                for (id, done) in batch.into_iter().zip(done) {
                    if done {
                        self.queues[queue].entries.remove(&id);
                    } else if let Some(due) =
                        self.queues[queue].entries.get(&id).map(|entry| entry.due.clone())
                    {
                        self.mark(&due, now);
                    }
                }
            }
        }
    }

    fn mark(&mut self, due: &Due, now: Timestamp) {
        if let DueWhat::Message { message_id, .. } = &due.what {
            self.marks.entry(message_id.to_string()).or_default().push(now);
        }
        if let DueWhat::Message { refs, .. } | DueWhat::Check { refs, .. } = &due.what
            && let SubjectId::Booking(id) = &refs.subject
        {
            self.marks.entry(id.to_string()).or_default().push(now);
        }
    }

    // -------------------------------------------------------------- people

    fn ask_again(&mut self, number: usize) {
        let pause = between(&mut self.rng, SignedDuration::from_secs(1), SignedDuration::from_secs(90));
        self.at(self.world.now() + pause, Event::Act(number));
    }

    fn answered(&mut self, number: usize, answer: Result<Option<Booking>, AppError>) {
        let now = self.world.now();
        match answer {
            Err(AppError::Port(_) | AppError::Busy) => self.ask_again(number),
            Err(_) => self.tally.refused += 1,
            Ok(booking) => match (self.acts[number].0.clone(), booking) {
                (Act::Book(visit), Some(booking)) => self.year.visits[visit].booking = Some(booking.id),
                (Act::Change(visit, Deed::Plain(Change::Arrive)), Some(booking))
                    if self.year.visits[visit].completed =>
                {
                    let later = between(&mut self.rng, SignedDuration::ZERO, SignedDuration::from_mins(20));
                    let over = booking.end.max(now) + later;
                    self.plan_act(over, Act::Change(visit, Deed::Plain(Change::Complete)));
                }
                _ => {}
            },
        }
    }

    /// The booking of a visit as it is.
    fn booking(&self, visit: usize) -> Option<Booking> {
        let visit = &self.year.visits[visit];
        let key = Key::Booking(self.town.shops[visit.shop].id.clone(), visit.booking.clone()?);
        match self.world.get(&key)?.item {
            Item::Booking(booking) => Some(booking),
            _ => None,
        }
    }

    fn attend(&mut self, number: usize) {
        let now = self.world.now();
        let Some(booking) = self.booking(number).filter(|booking| booking.status.is_ahead()) else { return };
        let visit = &self.year.visits[number];
        let then = booking.start + visit.comes.unwrap_or(SignedDuration::from_mins(25));
        let soon = SignedDuration::from_mins(2);
        if now + soon < then {
            self.plan_act(then, Act::Attend(number));
        } else if visit.comes.is_none() {
            if visit.marked {
                self.plan_act(now, Act::Change(number, Deed::Plain(Change::NoShow)));
                if chance(&mut self.rng, 10) {
                    self.plan_act(
                        now + SignedDuration::from_mins(12),
                        Act::Change(number, Deed::Plain(Change::Arrive)),
                    );
                }
            }
        } else if booking.status == domain::booking::Status::Pending {
            self.plan_act(now, Act::Change(number, Deed::Plain(Change::Confirm)));
            self.plan_act(now + soon, Act::Attend(number));
        } else {
            self.plan_act(now, Act::Change(number, Deed::Plain(Change::Arrive)));
        }
    }

    fn act(&mut self, number: usize) {
        let (act, seed) = self.acts[number].clone();
        let (world, town, now) = (self.world, self.town, self.seen());
        let once = move || Once::new(&format!("act {number}"), b"the only one");
        // The same each time it is asked.
        let (notify, by) = manner(&mut Rng::with_seed(seed));
        let started = match act {
            Act::Attend(visit) => return self.attend(visit),
            Act::Book(visit) => {
                let visit = &self.year.visits[visit];
                let (shop, new) = (&town.shops[visit.shop].id, visit.new.clone());
                world.start(async move {
                    let made = create_booking(world, world, shop, &new, Some(&once()), now).await;
                    Done::Request(Box::new(made.map(|done| Some(done.value.booking))))
                })
            }
            Act::Change(visit, deed) => {
                let Some(booking) = self.booking(visit) else { return };
                let place = &town.shops[self.year.visits[visit].shop].places[self.year.visits[visit].place];
                let change = match deed {
                    Deed::Plain(change) => change,
                    Deed::Move(by) => Change::Reschedule {
                        start: read(json!(wall(booking.start + by, &place.zone))),
                        end: None,
                    },
                };
                // A visit is not moved into the past.
                if matches!(&change, Change::Reschedule { .. }) && booking.start < self.world.now() {
                    return;
                }
                world.start(async move {
                    let ids = (&booking.business_id, &booking.id);
                    let manner = Manner { notify, by };
                    let done = change_booking(world, ids, change, manner, None, Some(&once()), now).await;
                    Done::Request(Box::new(done.map(|done| Some(done.value))))
                })
            }
            Act::Card(shop, client, card) => {
                let shop = &town.shops[shop];
                let key = Key::Client(shop.id.clone(), shop.clients[client].clone());
                world.start(async move {
                    let (business_id, once) = (&shop.id, once());
                    let edit = Edit { business_id, once: Some(&once), if_match: None, now };
                    let done = edit_catalogue::update(world, edit, key, &[], |item| match item {
                        Some(Item::Client(client)) => Ok(Item::Client(changed_card(client, &card, now))),
                        _ => Err(AppError::NotFound { what: "client" }),
                    });
                    Done::Request(Box::new(done.await.map(|_| None)))
                })
            }
            Act::Rule(shop, kind, rule, all) => {
                let business_id = &town.shops[shop].id;
                let rule = rule.map(read);
                let kind = read(json!(kind));
                let change = RuleChange { scope: Scope::Business, kind, rule, new_resources: false };
                let apply = if all { Apply::AllUpcoming } else { Apply::NewBookingsOnly };
                world.start(async move {
                    let once = once();
                    let edit = Edit { business_id, once: Some(&once), if_match: None, now };
                    let about = Key::Rules(business_id.clone());
                    let done =
                        edit_settings(world, edit, &about, &[], apply, |settings| change.apply(settings));
                    Done::Request(Box::new(done.await.map(|_| None)))
                })
            }
            Act::Shop(shop, patch) => {
                let business_id = &town.shops[shop].id;
                let patch: BusinessPatch = read(patch);
                world.start(async move {
                    let once = once();
                    let edit = Edit { business_id, once: Some(&once), if_match: None, now };
                    let about = Key::Business(business_id.clone());
                    let change = |settings: Settings| match settings.item {
                        Some(Item::Business(business)) => {
                            Ok(Settings { item: Some(Item::Business(patch.apply(business)?)), ..settings })
                        }
                        _ => Err(AppError::NotFound { what: "business" }),
                    };
                    let done = edit_settings(world, edit, &about, &[], Apply::AllUpcoming, change);
                    Done::Request(Box::new(done.await.map(|_| None)))
                })
            }
            Act::Quiet(shop, place, hours) => {
                let business_id = &town.shops[shop].id;
                let about = Key::Location(business_id.clone(), town.shops[shop].places[place].id.clone());
                let hours: Option<domain::quiet_hours::QuietHours> = read(hours);
                world.start(async move {
                    let once = once();
                    let edit = Edit { business_id, once: Some(&once), if_match: None, now };
                    let change = |settings: Settings| match settings.item {
                        Some(Item::Location(location)) => {
                            let location =
                                domain::business::Location { quiet_hours: hours.clone(), ..location };
                            Ok(Settings { item: Some(Item::Location(location)), ..settings })
                        }
                        _ => Err(AppError::NotFound { what: "location" }),
                    };
                    let done = edit_settings(world, edit, &about, &[], Apply::AllUpcoming, change);
                    Done::Request(Box::new(done.await.map(|_| None)))
                })
            }
        };
        self.begin(started, Work::Request(number), LONG_INVOCATION);
    }
}

fn failed(reason: Reason, suppress: Option<Cause>) -> Report {
    Report::Failed { reason, suppress }
}

fn ids_of(changed: &Changed) -> Vec<String> {
    match changed {
        Changed::Subject(refs) => vec![match &refs.subject {
            SubjectId::Booking(id) => id.to_string(),
            SubjectId::Occasion(id) => id.to_string(),
        }],
        Changed::Client(business, client) => vec![format!("{business}/{client}")],
        Changed::Rollout(business) => vec![business.to_string()],
        Changed::Freed(_) | Changed::ByHand(_) | Changed::Campaign(..) | Changed::Erasure(..) => Vec::new(),
    }
}

/// Deals with a stream record as the stream's function does.
async fn plan(world: &World, changed: &Changed, now: Timestamp) -> bool {
    match changed {
        Changed::Subject(refs) => plan_subject(world, world, world, refs, now).await.is_ok(),
        Changed::Client(business, client) => {
            plan_client(world, world, world, (business, client), now).await.is_ok()
        }
        Changed::Freed(freed) => offer_slot(world, freed, now).await.is_ok(),
        Changed::Rollout(business) => roll_out(world, business).await.is_ok(),
        Changed::ByHand(_) | Changed::Campaign(..) | Changed::Erasure(..) => false,
    }
}

/// Deals with a queue message as the deliverers and the checker do. `true` when it may leave the queue.
async fn take(
    world: &World,
    counter: &Counter<'_>,
    sandbox: (usize, usize),
    due: &Due,
    shift: Shift<'_>,
) -> bool {
    match &due.what {
        DueWhat::Check { .. } => check_booking(world, world, due, shift.wall).await.is_ok(),
        DueWhat::Campaign { .. } => false,
        DueWhat::Message { message_id, .. } => {
            let sender = counter.sender(world.carrier(due), message_id.clone(), sandbox, shift.until);
            let delivered = deliver(counter, world, &sender, due, shift).await;
            matches!(delivered, Ok(delivered) if !matches!(delivered, Delivered::Again(_)))
        }
    }
}

/// The client after a change on the card.
fn changed_card(mut client: Client, card: &Card, now: Timestamp) -> Client {
    fn toggle<T: Ord>(set: &mut std::collections::BTreeSet<T>, member: T) {
        if !set.remove(&member) {
            set.insert(member);
        }
    }
    match card {
        Card::BanChannel(channel) => toggle(&mut client.bans.channels, read(json!(channel))),
        Card::BanType(kind) => toggle(&mut client.bans.types, read(json!(kind))),
        Card::Stop | Card::Bounce => {
            let (address, cause) = match card {
                Card::Stop => (client.phone.as_ref().map(|phone| phone.as_str().to_owned()), Cause::Stop),
                _ => (client.email.as_ref().map(|email| email.as_str().to_owned()), Cause::HardBounce),
            };
            if let Some(address) = address {
                let before = client.suppressions.len();
                client.suppressions.retain(|known| known.address != address);
                if client.suppressions.len() == before {
                    client.suppressions.push(Suppression { address, cause, since: now });
                }
            }
        }
        Card::Phone(phone) => client.phone = read(phone.clone()),
        Card::Email(email) => client.email = read(email.clone()),
        Card::Devices(devices) => client.devices = read(devices.clone()),
    }
    client
}
