//! The ports in memory, with faults.
//!
//! Every port call first waits for its [turn](crate::turns), so that a test can let one use case go a given number of calls and no further,
//! or several in any order; it then has the fault that its [`Faults`] say, if there is one; then it takes effect; then the
//! [invariants](crate::invariants) are checked.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::future::pending;
use std::sync::{Mutex, MutexGuard};

use app::close_task::ByHand;
use app::offer_slot::{Freed, freed};
use app::ports::{
    Address, Calendar, CancelTimer, ClientBookings, Due, DueDelivery, DueWhat, Enqueue, EnqueueDelivery,
    Expect, FindTimers, Item, Key, Kind, List, ListDeliveries, Listed, NamedTimers, NewId, OnBus, OpenRows,
    Outgoing, Page, Participation, PortError, Post, PostWebhook, Posted, Provider, ProviderError,
    PublishEvents, Read, ReadLedger, Receipt, Refs, SetDeliveryTimer, SetTimer, Stored, Write, WriteError,
    WriteFacts, WriteLedger,
};
use app::publish_events::Change;
use domain::booking::Booking;
use domain::channel::Channel;
use domain::event::Event;
use domain::ids::{BookingId, BusinessId, CampaignId, ClientId, EventId, MessageId, WebhookId};
use domain::message::Message;
use domain::occasion::Occasion;
use domain::subject::SubjectId;
use domain::task::Task;
use domain::template::Content;
use domain::waitlist::WaitlistEntry;
use domain::webhook::{PostError, PostResult};
use jiff::{SignedDuration, Timestamp};

use crate::invariants;
use crate::store::{Store, Timers};
use crate::turns::{Turns, turn};

/// A call of a port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// [`Read`], [`List`], [`ReadLedger`], [`OpenRows`], [`ClientBookings`] or [`Calendar`].
    Read,
    /// [`WriteFacts`] or [`WriteLedger`] with so many items.
    Write(usize),
    /// [`DeleteFacts`](app::ports::DeleteFacts).
    Delete,
    /// [`SetTimer`], [`CancelTimer`] or [`FindTimers`].
    Timer,
    /// [`Enqueue`].
    Enqueue,
    /// [`Provider`].
    Send(Channel),
    /// [`PublishEvents`].
    Publish,
    /// [`PostWebhook`].
    Post,
    /// No call: a use case waits until an instant (UTC).
    Sleep(Timestamp),
}

/// Whom a call goes to: what fails together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Service {
    /// DynamoDB.
    Tables,
    /// EventBridge Scheduler.
    Scheduler,
    /// SQS.
    Queues,
    /// The channel's provider.
    Provider(Channel),
    /// EventBridge.
    Bus,
    /// Whoever receives a webhook's posts.
    Receiver,
    /// The sandbox's own clock.
    Clock,
}

impl Call {
    /// Whom it goes to.
    pub fn service(self) -> Service {
        match self {
            Call::Read | Call::Write(_) | Call::Delete => Service::Tables,
            Call::Timer => Service::Scheduler,
            Call::Enqueue => Service::Queues,
            Call::Send(channel) => Service::Provider(channel),
            Call::Publish => Service::Bus,
            Call::Post => Service::Receiver,
            Call::Sleep(_) => Service::Clock,
        }
    }
}

/// What goes wrong at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It fails, and nothing has happened. A provider says that it did not take the message.
    FailBefore,
    /// It has happened, but the answer is lost.
    FailAfter,
    /// The answer is lost, and nothing has happened. For providers: elsewhere it is [`Fault::FailBefore`].
    LostBefore,
    /// It is throttled.
    Throttle,
    /// A write finds that another came first.
    Conflict,
    /// A write happened, its answer was lost, the SDK repeated it and met its own first try. Single writes only: transactions have a
    /// token against that.
    ConflictAfter,
    /// It happens twice. Not for providers: their clients never repeat.
    Twice,
    /// The provider will never take it. Not among [`Fault::ALL`]: the end is another.
    Refuse,
    /// The sandbox dies, and nothing has happened.
    CrashBefore,
    /// It has happened, then the sandbox dies.
    CrashAfter,
}

impl Fault {
    /// Every fault that the platform makes good.
    pub const ALL: [Fault; 9] = [
        Fault::FailBefore,
        Fault::FailAfter,
        Fault::LostBefore,
        Fault::Throttle,
        Fault::Conflict,
        Fault::ConflictAfter,
        Fault::Twice,
        Fault::CrashBefore,
        Fault::CrashAfter,
    ];

    /// Whether the fault can happen to such a call and is not the same as a simpler one.
    pub fn can_hit(self, call: Call) -> bool {
        match self {
            _ if call.service() == Service::Clock => false,
            Fault::FailBefore | Fault::Throttle | Fault::CrashBefore => true,
            Fault::FailAfter | Fault::CrashAfter => call != Call::Read,
            Fault::LostBefore => matches!(call, Call::Send(_) | Call::Post),
            Fault::Refuse => matches!(call, Call::Send(_)),
            Fault::Conflict => matches!(call, Call::Write(_)),
            Fault::ConflictAfter => call == Call::Write(1),
            Fault::Twice => matches!(call, Call::Timer | Call::Enqueue | Call::Delete),
        }
    }
}

/// Says what goes wrong.
pub trait Faults: std::fmt::Debug + Send {
    /// What goes wrong at the next call, at `wall` (UTC), if anything does. What cannot happen to the call does not.
    fn next(&mut self, call: Call, wall: Timestamp) -> Option<Fault>;
}

/// Faults by the number of the call, from 0.
#[derive(Debug, Default)]
struct Planned {
    made: usize,
    faults: BTreeMap<usize, Fault>,
}

impl Faults for Planned {
    fn next(&mut self, _: Call, _: Timestamp) -> Option<Fault> {
        self.made += 1;
        self.faults.get(&(self.made - 1)).copied()
    }
}

/// What a stream record is about, as in `functions/booking-stream`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// A booking or an occasion.
    Subject(Refs),
    /// A time that a booking gave up.
    Freed(Freed),
    /// A client's card.
    Client(BusinessId, ClientId),
    /// A client's erasure.
    Erasure(BusinessId, ClientId),
    /// A business's settings.
    Rollout(BusinessId),
    /// An assisted message, of which staff said what they did.
    ByHand(ByHand),
    /// A campaign.
    Campaign(BusinessId, CampaignId),
}

impl Changed {
    fn of(item: &Item) -> Option<Self> {
        match item {
            Item::Booking(booking) => Some(Changed::Subject(Refs::from(booking))),
            Item::Occasion(occasion) => Some(Changed::Subject(Refs::from(occasion))),
            Item::Client(client) => Some(Changed::Client(client.business_id.clone(), client.id.clone())),
            Item::Erasure(erasure) => {
                Some(Changed::Erasure(erasure.business_id.clone(), erasure.client_id.clone()))
            }
            Item::Rollout(rollout) => Some(Changed::Rollout(rollout.business_id.clone())),
            Item::Task(task) => ByHand::of(task).map(Changed::ByHand),
            Item::Campaign(campaign) => {
                Some(Changed::Campaign(campaign.business_id.clone(), campaign.id.clone()))
            }
            _ => None,
        }
    }
}

/// A message in a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its id in the queue.
    pub id: u64,
    /// What it says.
    pub due: Due,
    /// From when on it can be received (UTC).
    pub visible_at: Timestamp,
}

/// An event that is to be posted, waiting in its queue or for its timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedDelivery {
    /// What is due.
    pub due: DueDelivery,
    /// From when on it can be received (UTC).
    pub visible_at: Timestamp,
}

/// What the receiver of a webhook got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// At which URL.
    pub url: String,
    /// `webhook-id`.
    pub id: EventId,
    /// `webhook-timestamp` (UTC).
    pub at: Timestamp,
    /// `webhook-signature`.
    pub signatures: String,
    /// The body.
    pub body: String,
}

/// What a provider took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Which message.
    pub message_id: MessageId,
    /// Its row as it stood then.
    pub message: Message,
    /// To which address.
    pub to: Address,
    /// With what text.
    pub content: Content,
    /// When, by the clock on the wall (UTC).
    pub at: Timestamp,
}

/// Everything there is. All public methods lock it for a moment only.
#[derive(Debug)]
pub struct State {
    pub(crate) wall: Timestamp,
    pub(crate) items: Store,
    /// What has changed and whose stream records are not dealt with yet, oldest first.
    pub(crate) stream: VecDeque<Changed>,
    pub(crate) timers: Timers,
    pub(crate) queue: Vec<Queued>,
    pub(crate) outbox: Vec<Sent>,
    /// How often each message left.
    pub(crate) left: HashMap<MessageId, usize>,
    /// Messages of which, for some time, nobody knew whether they had left.
    pub(crate) uncertain: BTreeSet<MessageId>,
    /// What the streams of both tables bring to whoever tells of events, oldest first; see [`World::tell_of_events`].
    pub(crate) changes: Option<VecDeque<Change>>,
    /// What is on the bus, in the order in which it got there.
    pub(crate) bus: Vec<Event>,
    /// Events on their way to webhooks.
    pub(crate) deliveries: Vec<QueuedDelivery>,
    /// What receivers of webhooks got.
    pub(crate) received: Vec<Received>,
    /// What receivers answer, the next first; when there is nothing left, 204.
    pub(crate) answers: VecDeque<PostResult>,
    /// See [`World::cancel_under_way`].
    pub(crate) cancelled_under_way: bool,
    /// What was counted against limits.
    pub(crate) meters: HashMap<(BusinessId, String), u64>,
    pub(crate) twice: bool,
    pub(crate) crashed: bool,
    pub(crate) violations: Vec<String>,
    pub(crate) turns: Turns,
    /// See [`World::losses_happen`].
    pub(crate) losses: bool,
    /// See [`World::check_less`].
    checks_all: bool,
    /// See [`World::keep_journal`].
    journal: Option<Vec<(Timestamp, Item)>>,
    calls: Vec<Call>,
    planned: Planned,
    faults: Option<Box<dyn Faults>>,
    happened: BTreeMap<(Service, Fault), u64>,
    ids: u64,
}

impl State {
    /// The messages in the ledger.
    pub(crate) fn messages(&self) -> impl Iterator<Item = &Message> {
        self.items.values().filter_map(|stored| match &stored.item {
            Item::Message(message) => Some(message),
            _ => None,
        })
    }

    /// Whether a timer is set for what is due under this name, at its time.
    pub(crate) fn has_timer(&self, what: &str, at: Timestamp) -> bool {
        self.timers.get(&format!("{what}-{}", at.as_second())).is_some_and(|due| due.at == at)
    }

    pub(crate) fn message(&self, id: &MessageId) -> Option<&Message> {
        self.items.message(id).and_then(|stored| stored.item.message())
    }

    pub(crate) fn put_in_queue(&mut self, due: &Due, delay_seconds: u32) {
        // Through JSON, as in SQS.
        let due: Due = match self.checks_all {
            true => serde_json::from_str(&serde_json::to_string(due).unwrap()).unwrap(),
            false => due.clone(),
        };
        self.ids += 1;
        let visible_at = self.wall + SignedDuration::from_secs(i64::from(delay_seconds));
        self.queue.push(Queued { id: self.ids, due, visible_at });
    }

    /// How often a message left; an assisted one left when it became a task for staff.
    pub(crate) fn left_of(&self, message: &Message) -> usize {
        let key = Key::Task(message.business_id.clone(), message.id.as_str().parse().unwrap());
        match message.channel {
            Channel::Assisted => usize::from(self.items.get(&key).is_some()),
            _ => self.left.get(&message.id).copied().unwrap_or(0),
        }
    }

    /// What goes wrong at a call.
    fn fault(&mut self, call: Call) -> Option<Fault> {
        let fault = match &mut self.faults {
            Some(faults) => faults.next(call, self.wall),
            None => self.planned.next(call, self.wall),
        };
        let fault = fault.filter(|fault| fault.can_hit(call))?;
        *self.happened.entry((call.service(), fault)).or_default() += 1;
        Some(fault)
    }

    /// Writes all or nothing, with versions as in `shared/aws/src/tables.rs`.
    fn write(&mut self, writes: &[Write]) -> Result<(), Refused> {
        assert!(writes.len() <= 100, "DynamoDB takes at most 100 items in a transaction");
        let keys: HashSet<Key> = writes.iter().map(|write| write.item.key()).collect();
        assert_eq!(keys.len(), writes.len(), "DynamoDB refuses a transaction that names an item twice");
        let there = |write: &Write| self.items.get(&write.item.key()).map(|stored| stored.version);
        if writes.iter().any(|write| match write.expect {
            Expect::Absent => there(write).is_some(),
            Expect::Version(version) => there(write) != Some(version),
            Expect::Any => false,
        }) {
            return Err(Refused::Conflict);
        }
        for Write { item, expect } in writes {
            let version = match expect {
                Expect::Version(version) => version + 1,
                Expect::Absent | Expect::Any => 1,
            };
            if self.checks_all {
                let read_back: Item = serde_json::from_str(&serde_json::to_string(item).unwrap()).unwrap();
                assert_eq!(&read_back, item, "what is written reads back the same");
            }
            if let Some(journal) = &mut self.journal {
                journal.push((self.wall, item.clone()));
            }
            let before = self.items.insert(Stored { item: item.clone(), version });
            if let Some(changes) = &mut self.changes
                && is_told_of(item)
            {
                let before = before.as_ref().map(|stored| stored.item.clone());
                changes.push_back(Change { before, after: item.clone(), version, at: self.wall });
            }
            let before = before.as_ref().and_then(|stored| stored.item.booking());
            let freed = before.zip(item.booking()).and_then(|(before, after)| freed(before, after));
            self.stream.extend(Changed::of(item));
            self.stream.extend(freed.map(Changed::Freed));
        }
        Ok(())
    }
}

/// Whether the stream's filters let a change of this item through to whoever tells of events.
fn is_told_of(item: &Item) -> bool {
    match item {
        Item::Booking(_) | Item::Message(_) | Item::Task(_) => true,
        Item::WebhookDelivery(delivery) => delivery.asked,
        _ => false,
    }
}

/// The world in memory. Implements every port but [`Provider`], which is [`Carrier`].
#[derive(Debug)]
pub struct World {
    state: Mutex<State>,
}

impl World {
    /// An empty world at `wall` (UTC).
    pub fn new(wall: Timestamp) -> Self {
        Self {
            state: Mutex::new(State {
                wall,
                items: Store::default(),
                stream: VecDeque::new(),
                timers: Timers::default(),
                queue: Vec::new(),
                outbox: Vec::new(),
                left: HashMap::new(),
                uncertain: BTreeSet::new(),
                changes: None,
                bus: Vec::new(),
                deliveries: Vec::new(),
                received: Vec::new(),
                answers: VecDeque::new(),
                cancelled_under_way: false,
                meters: HashMap::new(),
                twice: false,
                crashed: false,
                violations: Vec::new(),
                turns: Turns::default(),
                losses: false,
                checks_all: true,
                journal: None,
                calls: Vec::new(),
                planned: Planned::default(),
                faults: None,
                happened: BTreeMap::new(),
                ids: 0,
            }),
        }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The clock on the wall (UTC).
    pub fn now(&self) -> Timestamp {
        self.state().wall
    }

    /// Puts the clock on the wall forward.
    pub fn wait(&self, so_long: SignedDuration) {
        self.state().wall += so_long;
    }

    /// Puts items there as they are, past every port.
    pub fn put(&self, items: impl IntoIterator<Item = Item>) {
        let mut state = self.state();
        for item in items {
            state.items.insert(Stored { item, version: 1 });
        }
    }

    /// The item at `key`.
    pub fn get(&self, key: &Key) -> Option<Stored> {
        self.state().items.get(key).cloned()
    }

    /// What the providers took so far.
    pub fn outbox(&self) -> Vec<Sent> {
        self.state().outbox.clone()
    }

    /// What the providers took after so many others.
    pub fn outbox_after(&self, count: usize) -> Vec<Sent> {
        self.state().outbox.get(count..).unwrap_or_default().to_vec()
    }

    /// The ledger's messages, by due time, type and channel.
    pub fn messages(&self) -> Vec<Message> {
        let mut messages: Vec<Message> = self.state().messages().cloned().collect();
        messages.sort_by_key(|message| (message.due, message.kind, message.channel, message.id.clone()));
        messages
    }

    /// Every booking, by id.
    pub fn bookings(&self) -> Vec<Booking> {
        let state = self.state();
        let bookings = state.items.values().filter_map(|stored| match &stored.item {
            Item::Booking(booking) => Some(booking.clone()),
            _ => None,
        });
        let mut bookings: Vec<Booking> = bookings.collect();
        bookings.sort_by(|a, b| a.id.cmp(&b.id));
        bookings
    }

    /// Every occasion, by id.
    pub fn occasions(&self) -> Vec<Occasion> {
        let state = self.state();
        let mut occasions: Vec<Occasion> =
            state.items.values().filter_map(|stored| stored.item.occasion().cloned()).collect();
        occasions.sort_by(|a, b| a.id.cmp(&b.id));
        occasions
    }

    /// Everything that is stored, as a scan of the tables would show it: every item as JSON, behind its key, and what is counted.
    pub fn scan(&self) -> Vec<String> {
        let state = self.state();
        let line = |stored: &Stored| {
            format!("{:?} {}", stored.item.key(), serde_json::to_string(&stored.item).unwrap())
        };
        let counts = state.meters.iter().map(|count| format!("{count:?}"));
        state.items.values().map(line).chain(counts).collect()
    }

    /// How much was written in conversations.
    pub fn entries(&self) -> usize {
        self.state().items.values().filter(|stored| stored.item.entry().is_some()).count()
    }

    /// Every task, by id.
    pub fn tasks(&self) -> Vec<Task> {
        let state = self.state();
        let mut tasks: Vec<Task> =
            state.items.values().filter_map(|stored| stored.item.task().cloned()).collect();
        tasks.sort_by(|a, b| a.id.cmp(&b.id));
        tasks
    }

    /// Every place on the waitlist, by id.
    pub fn waitlist(&self) -> Vec<WaitlistEntry> {
        let state = self.state();
        let mut places: Vec<WaitlistEntry> =
            state.items.values().filter_map(|stored| stored.item.waitlist_entry().cloned()).collect();
        places.sort_by(|a, b| a.id.cmp(&b.id));
        places
    }

    /// The stream records that are not dealt with yet, oldest first.
    pub fn stream(&self) -> Vec<Changed> {
        self.state().stream.iter().cloned().collect()
    }

    /// Puts a copy of everything the queues hold beside it.
    pub fn copy_queue(&self) {
        let mut state = self.state();
        for copy in state.queue.clone() {
            state.put_in_queue(&copy.due, 0);
        }
    }

    /// Puts a stream record there once more for every booking, every occasion and every campaign.
    pub fn repeat_stream(&self) {
        let mut state = self.state();
        let mut changed: Vec<Changed> = state
            .items
            .values()
            .filter(|stored| matches!(stored.item, Item::Booking(_) | Item::Occasion(_) | Item::Campaign(_)))
            .filter_map(|stored| Changed::of(&stored.item))
            .collect();
        changed.sort_by_key(|changed| format!("{changed:?}"));
        state.stream.extend(changed);
    }

    /// What the queues hold.
    pub fn queue(&self) -> Vec<Queued> {
        self.state().queue.clone()
    }

    /// What the timers are set to.
    pub fn timers(&self) -> Vec<Due> {
        self.state().timers.values().cloned().collect()
    }

    /// Forgets the calls so far and plans faults by the number of the calls to come, from 0. A fault that cannot happen to the call of
    /// its number does not happen.
    pub fn plan_faults(&self, faults: impl IntoIterator<Item = (usize, Fault)>) {
        let mut state = self.state();
        state.calls.clear();
        state.planned = Planned { made: 0, faults: faults.into_iter().collect() };
    }

    /// Plans one more fault, at the call that comes after so many others.
    pub fn plan_fault_after(&self, calls: usize, fault: Fault) {
        let mut state = self.state();
        let number = state.planned.made + calls;
        state.planned.faults.insert(number, fault);
    }

    /// From now on these say what goes wrong, and no longer a plan.
    pub fn set_faults(&self, faults: impl Faults + 'static) {
        self.state().faults = Some(Box::new(faults));
    }

    /// The calls since faults were last planned.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How often each fault has happened, and where.
    pub fn happened(&self) -> BTreeMap<(Service, Fault), u64> {
        self.state().happened.clone()
    }

    /// Timers and queue messages get lost in this test: from now on it is no violation that nothing will bring a row. What stands when all is
    /// over is compared as ever.
    pub fn losses_happen(&self) {
        self.state().losses = true;
    }

    /// Loses the timers that `which` says, and lets [losses happen](Self::losses_happen).
    pub fn lose_timers(&self, which: impl Fn(&Due) -> bool) {
        self.losses_happen();
        let mut state = self.state();
        let lost: Vec<String> = state.timers.values().filter(|due| which(due)).map(Due::timer_name).collect();
        assert!(!lost.is_empty(), "there is nothing to lose");
        for name in lost {
            state.timers.remove(&name);
        }
    }

    /// From now on neither the [invariants](crate::invariants) are checked after every call, nor whether all that is written reads back the
    /// same: for worlds that are looked at from outside, and large.
    pub fn check_less(&self) {
        self.state().checks_all = false;
    }

    /// From now on every item that is written is kept with the time of its writing (UTC).
    pub fn keep_journal(&self) {
        self.state().journal = Some(Vec::new());
    }

    /// Takes what was written since the journal was last taken, oldest first.
    pub fn take_journal(&self) -> Vec<(Timestamp, Item)> {
        self.state().journal.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// Takes the stream records that are not dealt with, oldest first: for whoever brings them to their function by other means than
    /// [`World::step`].
    pub fn take_stream(&self) -> Vec<Changed> {
        self.state().stream.drain(..).collect()
    }

    /// Takes what the queues hold, in the order in which it was put there.
    pub fn take_queue(&self) -> Vec<Queued> {
        std::mem::take(&mut self.state().queue)
    }

    /// From now on events are told of: the streams also bring what changes to [`World::publish`].
    pub fn tell_of_events(&self) {
        self.state().changes = Some(VecDeque::new());
    }

    /// What is on the bus, in the order in which it got there.
    pub fn bus(&self) -> Vec<Event> {
        self.state().bus.clone()
    }

    /// Events on their way to webhooks.
    pub fn deliveries_under_way(&self) -> Vec<QueuedDelivery> {
        self.state().deliveries.clone()
    }

    /// What receivers of webhooks got.
    pub fn received(&self) -> Vec<Received> {
        self.state().received.clone()
    }

    /// Receivers answer with these from now on, and when there is nothing left, with 204.
    pub fn receivers_answer(&self, results: impl IntoIterator<Item = PostResult>) {
        self.state().answers = results.into_iter().collect();
    }

    /// When the next timer fires (UTC).
    pub fn next_timer(&self) -> Option<Timestamp> {
        self.state().timers.next()
    }

    /// Takes the timers that fire until an instant (UTC).
    pub fn fire_timers(&self, until: Timestamp) -> Vec<Due> {
        self.state().timers.fire(until)
    }

    /// From now on every stream record and queue message arrives twice.
    pub fn deliver_everything_twice(&self) {
        self.state().twice = true;
    }

    /// A booking is cancelled in this test while a delivery is under way: what was judged before the cancellation may leave after it. That
    /// window cannot be closed, since the facts and the ledger are two tables and the provider a third thing.
    pub fn cancel_under_way(&self) {
        self.state().cancelled_under_way = true;
    }

    /// Waits until an instant (UTC): whoever lets use cases go on says when that is.
    pub async fn sleep_until(&self, at: Timestamp) {
        turn(self, Call::Sleep(at)).await;
    }

    /// The provider for one delivery, which knows what it carries.
    pub fn carrier(&self, due: &Due) -> Carrier<'_> {
        let message_id = match &due.what {
            DueWhat::Message { message_id, .. } => message_id.clone(),
            DueWhat::Check { .. } | DueWhat::Campaign { .. } => {
                panic!("a message is carried, and nothing else")
            }
        };
        Carrier { world: self, message_id }
    }

    async fn call<T: Send>(
        &self,
        call: Call,
        effect: impl Fn(&mut State) -> Result<T, Refused> + Send,
    ) -> Result<T, Refused> {
        turn(self, call).await;
        let crash = {
            let mut state = self.state();
            state.calls.push(call);
            let fault = state.fault(call);
            let result = match fault {
                None => Some(effect(&mut state)),
                Some(Fault::FailBefore) => Some(Err(Refused::Failed)),
                Some(Fault::FailAfter) => {
                    let _ = effect(&mut state);
                    Some(Err(Refused::Lost))
                }
                Some(Fault::LostBefore) => Some(Err(Refused::Lost)),
                Some(Fault::Throttle) => Some(Err(Refused::Throttled)),
                Some(Fault::Refuse) => Some(Err(Refused::Forever)),
                Some(Fault::Conflict) => Some(Err(Refused::Conflict)),
                Some(Fault::ConflictAfter) => {
                    let _ = effect(&mut state);
                    Some(Err(Refused::Conflict))
                }
                Some(Fault::Twice) => {
                    let _ = effect(&mut state);
                    Some(effect(&mut state))
                }
                Some(Fault::CrashBefore) => None,
                Some(Fault::CrashAfter) => {
                    let _ = effect(&mut state);
                    None
                }
            };
            if state.checks_all {
                invariants::check(&mut state);
            }
            state.crashed = result.is_none();
            result
        };
        match crash {
            Some(result) => result,
            None => pending().await,
        }
    }

    pub(crate) async fn port<T: Send>(
        &self,
        call: Call,
        effect: impl Fn(&mut State) -> T + Send,
    ) -> Result<T, PortError> {
        self.call(call, move |state| Ok(effect(state))).await.map_err(Refused::port_error)
    }

    async fn parts(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        wanted: impl Fn(&Participation) -> bool + Send + Sync,
    ) -> Result<Vec<Participation>, PortError> {
        self.port(Call::Read, |state| {
            let mut parts: Vec<Participation> = state
                .items
                .parts_of(business_id, client_id)
                .filter_map(|stored| match &stored.item {
                    Item::Participation(part) if wanted(part) => Some(part.clone()),
                    _ => None,
                })
                .collect();
            parts.sort_by_key(|part| (part.start, part.booking_id.clone()));
            parts
        })
        .await
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        if writes.is_empty() {
            return Ok(());
        }
        self.call(Call::Write(writes.len()), |state| state.write(&writes)).await.map_err(|refused| {
            match refused {
                Refused::Conflict => WriteError::Conflict,
                other => WriteError::Port(other.port_error()),
            }
        })
    }
}

/// Why a call did not give its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Refused {
    Failed,
    Lost,
    Throttled,
    Conflict,
    Forever,
}

impl Refused {
    fn port_error(self) -> PortError {
        let operation = "a call in the test's world";
        match self {
            Refused::Throttled => PortError::Throttled { operation, source: "as planned".into() },
            _ => PortError::Retryable { operation, source: "as planned".into() },
        }
    }
}

impl Read for World {
    async fn read(&self, keys: Vec<Key>) -> Result<Vec<Stored>, PortError> {
        assert!(keys.len() <= 100, "DynamoDB reads at most 100 keys at once");
        let distinct: HashSet<&Key> = keys.iter().collect();
        assert_eq!(distinct.len(), keys.len(), "DynamoDB refuses a batch that names a key twice");
        self.port(Call::Read, |state| keys.iter().filter_map(|key| state.items.get(key).cloned()).collect())
            .await
    }
}

impl List for World {
    async fn list(&self, business_id: &BusinessId, kind: Kind, page: Page) -> Result<Listed, PortError> {
        self.port(Call::Read, |state| {
            let mut all: Vec<(String, Stored)> = state
                .items
                .list(business_id, kind, page.after.as_ref())
                .take(usize::try_from(page.limit).unwrap() + 1)
                .map(|(id, stored)| (id.clone(), stored.clone()))
                .collect();
            let limit = usize::try_from(page.limit).unwrap();
            let next = (all.len() > limit).then(|| all[limit - 1].0.clone());
            all.truncate(limit);
            Listed { items: all.into_iter().map(|(_, stored)| stored).collect(), next }
        })
        .await
    }
}

impl WriteFacts for World {
    async fn write_facts(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        let ledger = |write: &Write| matches!(write.item, Item::Message(_) | Item::Check(_));
        assert!(!writes.iter().any(ledger), "facts only");
        self.write(writes).await
    }
}

impl WriteLedger for World {
    async fn write_ledger(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        let ledger = |write: &Write| matches!(write.item, Item::Message(_) | Item::Check(_));
        assert!(writes.iter().all(ledger), "ledger rows only");
        self.write(writes).await
    }
}

impl ReadLedger for World {
    async fn ledger_of(
        &self,
        business_id: &BusinessId,
        subject: &SubjectId,
    ) -> Result<Vec<Stored>, PortError> {
        self.port(Call::Read, |state| state.items.ledger_of(business_id, subject).cloned().collect()).await
    }
}

impl ClientBookings for World {
    async fn bookings_of(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
    ) -> Result<Vec<Participation>, PortError> {
        self.parts(business_id, client_id, |part| part.start >= from && part.ahead).await
    }

    async fn parts_within(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Participation>, PortError> {
        self.parts(business_id, client_id, |part| from <= part.start && part.start < until).await
    }
}

impl Calendar for World {
    async fn bookings_after(
        &self,
        business_id: &BusinessId,
        after: &(Timestamp, Option<BookingId>),
        until: Timestamp,
        limit: u32,
    ) -> Result<Vec<(Timestamp, BookingId)>, PortError> {
        self.port(Call::Read, |state| {
            let from_there = |(start, id): &&(Timestamp, BookingId)| match &after.1 {
                Some(last) => (start, id) > (&after.0, last),
                None => *start > after.0,
            };
            let limit = usize::try_from(limit).unwrap();
            let there = state.items.calendar_of(business_id).filter(from_there);
            there.filter(|(start, _)| *start < until).take(limit).cloned().collect()
        })
        .await
    }
}

impl SetTimer for World {
    async fn set_timer(&self, due: &Due) -> Result<bool, PortError> {
        assert!(due.timer_name().len() <= 64, "a schedule's name has at most 64 characters");
        self.port(Call::Timer, |state| state.timers.set(due, state.wall)).await
    }
}

impl FindTimers for World {
    async fn timers_named(&self, prefix: &str) -> Result<NamedTimers, PortError> {
        self.port(Call::Timer, |state| state.timers.named(prefix)).await
    }

    async fn timer(&self, name: &str) -> Result<Option<Due>, PortError> {
        self.port(Call::Timer, |state| state.timers.get(name).cloned()).await
    }
}

impl OpenRows for World {
    async fn open_rows(
        &self,
        shard: u8,
        after: &(Timestamp, Option<Key>),
        until: Timestamp,
    ) -> Result<Vec<(Timestamp, Key)>, PortError> {
        self.port(Call::Read, |state| {
            let rows = state.items.open_rows(shard, after).take_while(|(due, _)| *due < until);
            rows.take(100).map(|(due, key)| (due, key.clone())).collect()
        })
        .await
    }
}

impl CancelTimer for World {
    async fn cancel_timer(&self, due: &Due) -> Result<(), PortError> {
        self.port(Call::Timer, |state| {
            state.timers.remove(&due.timer_name());
        })
        .await
    }
}

impl Enqueue for World {
    async fn enqueue(&self, due: &Due, delay_seconds: u32) -> Result<(), PortError> {
        assert!(delay_seconds <= 900, "SQS delays by at most 900 seconds");
        self.port(Call::Enqueue, |state| state.put_in_queue(due, delay_seconds)).await
    }
}

impl PublishEvents for World {
    async fn publish(&self, events: &[&Event]) -> Result<Vec<OnBus>, PortError> {
        assert!(events.len() <= 10, "EventBridge takes at most 10 events at once");
        self.port(Call::Publish, |state| {
            state.bus.extend(events.iter().map(|event| (*event).clone()));
            vec![OnBus::Taken; events.len()]
        })
        .await
    }
}

impl EnqueueDelivery for World {
    async fn enqueue_delivery(&self, due: &DueDelivery, delay_seconds: u32) -> Result<(), PortError> {
        assert!(delay_seconds <= 900, "SQS delays by at most 900 seconds");
        self.port(Call::Enqueue, |state| {
            let visible_at = state.wall + SignedDuration::from_secs(i64::from(delay_seconds));
            state.deliveries.push(QueuedDelivery { due: due.clone(), visible_at });
        })
        .await
    }
}

impl SetDeliveryTimer for World {
    async fn set_delivery_timer(&self, due: &DueDelivery) -> Result<(), PortError> {
        assert!(due.timer_name().len() <= 64, "a schedule's name has at most 64 characters");
        self.port(Call::Timer, |state| {
            // One of the same name stays.
            let timer = QueuedDelivery { due: due.clone(), visible_at: due.at };
            if !state.deliveries.contains(&timer) {
                state.deliveries.push(timer);
            }
        })
        .await
    }
}

impl ListDeliveries for World {
    async fn deliveries(
        &self,
        business_id: &BusinessId,
        webhook_id: &WebhookId,
        page: Page,
    ) -> Result<Listed, PortError> {
        self.port(Call::Read, |state| {
            let mut all: Vec<(String, Stored)> = state
                .items
                .values()
                .filter_map(|stored| Some((stored.item.webhook_delivery()?, stored)))
                .filter(|(delivery, _)| {
                    delivery.business_id == *business_id && delivery.webhook_id == *webhook_id
                })
                .map(|(delivery, stored)| (delivery.id.to_string(), stored.clone()))
                .filter(|(id, _)| page.after.as_ref().is_none_or(|after| id < after))
                .collect();
            all.sort_by(|(a, _), (b, _)| b.cmp(a));
            let limit = usize::try_from(page.limit).unwrap();
            let next = (all.len() > limit).then(|| all[limit - 1].0.clone());
            all.truncate(limit);
            Listed { items: all.into_iter().map(|(_, stored)| stored).collect(), next }
        })
        .await
    }
}

impl PostWebhook for World {
    async fn post(&self, post: Post<'_>) -> Posted {
        let posted = self.call(Call::Post, |state| {
            state.received.push(Received {
                url: post.url.as_str().to_owned(),
                id: post.id.clone(),
                at: post.at,
                signatures: post.signatures.to_owned(),
                body: post.body.to_owned(),
            });
            Ok(state.answers.pop_front().unwrap_or(PostResult::Answered(204)))
        });
        let result = posted.await.unwrap_or_else(|refused| {
            PostResult::Unanswered(match refused {
                Refused::Lost => PostError::Timeout,
                _ => PostError::Unreachable,
            })
        });
        Posted { result, took_ms: 120, retry_after: None }
    }
}

impl NewId for World {
    fn new_id(&self) -> String {
        let mut state = self.state();
        state.ids += 1;
        format!("id-{:06}", state.ids)
    }

    fn new_secret(&self) -> String {
        let mut state = self.state();
        state.ids += 1;
        format!("{:016x}{:048x}", state.ids, state.ids)
    }
}

/// A provider that puts what it takes into the world's outbox.
#[derive(Debug)]
pub struct Carrier<'a> {
    world: &'a World,
    message_id: MessageId,
}

impl Provider for Carrier<'_> {
    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let Outgoing { to, content, .. } = outgoing;
        let channel = match (to, content) {
            (Address::Email(_), Content::Email { .. }) => Channel::Email,
            (Address::Sms(_), Content::Sms { .. }) => Channel::Sms,
            (Address::Push(_), Content::Push { .. }) => Channel::Push,
            (Address::Whatsapp { .. }, Content::Whatsapp { .. }) => Channel::Whatsapp,
            (Address::Telegram { .. }, Content::Telegram { .. }) => Channel::Telegram,
            _ => panic!("the text is for another channel than the address"),
        };
        let taken = self.world.call(Call::Send(channel), |state| {
            let message = state.message(&self.message_id).expect("what leaves is in the ledger").clone();
            let sent = Sent {
                message_id: self.message_id.clone(),
                message,
                to: to.clone(),
                content: content.clone(),
                at: state.wall,
            };
            invariants::check_leaving(state, &sent.message);
            state.outbox.push(sent);
            *state.left.entry(self.message_id.clone()).or_default() += 1;
            Ok(Receipt { provider_id: format!("provider-{}", state.outbox.len()), dead_devices: vec![] })
        });
        taken.await.map_err(|refused| match refused {
            Refused::Throttled => ProviderError::Throttled("as planned".into()),
            Refused::Lost => {
                self.world.state().uncertain.insert(self.message_id.clone());
                ProviderError::Unknown("as planned".into())
            }
            Refused::Forever => ProviderError::InvalidAddress("as planned".into()),
            Refused::Failed | Refused::Conflict => ProviderError::Again("as planned".into()),
        })
    }
}
