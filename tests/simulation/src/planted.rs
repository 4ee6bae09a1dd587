//! Bugs planted around the ports, to prove that the checks find what they are for. No code of the product knows of them.

use std::collections::HashMap;
use std::sync::Mutex;

use app::ports::{
    ClientBookings, Count, Expect, Item, Key, Meter, Outgoing, Participation, PortError, Provider,
    ProviderError, Read, Receipt, Stored, Write, WriteError, WriteFacts, WriteLedger,
};
use domain::ids::{BookingId, BusinessId, ClientId, MessageId};
use domain::message::MessageStatus;
use jiff::{SignedDuration, Timestamp};
use testkit::world::{Carrier, World};

use crate::simulate;

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A message may be claimed by two at once.
    DropTheClaim,
    /// A message is judged on the booking as it was made.
    IgnoreTheRevision,
    /// Quiet hours are not asked about again when a message leaves.
    SkipTheSecondQuietCheck,
    /// A message is marked as sent before it is.
    MarkBeforeSending,
}

impl Bug {
    /// Every bug.
    pub const ALL: [Bug; 4] =
        [Bug::DropTheClaim, Bug::IgnoreTheRevision, Bug::SkipTheSecondQuietCheck, Bug::MarkBeforeSending];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Bug::DropTheClaim => "drop-the-claim",
            Bug::IgnoreTheRevision => "ignore-the-revision",
            Bug::SkipTheSecondQuietCheck => "skip-the-second-quiet-check",
            Bug::MarkBeforeSending => "mark-before-sending",
        }
    }
}

/// Within how many seeds a bug must be caught.
pub const SEEDS: u64 = 60;

/// Plays seeds of so many bookings with a bug until a check finds it: the seed, and the first thing that was found.
pub fn caught(bug: Bug, bookings: u32) -> Option<(u64, String)> {
    (1..=SEEDS).find_map(|seed| simulate(seed, bookings, Some(bug)).violations.into_iter().next())
}

/// What sending takes at the most, as in `shared/runtime/src/pace.rs`.
const SEND: SignedDuration = SignedDuration::from_secs(11);

/// How a message was handed to its provider.
#[derive(Debug, Clone)]
pub struct Handed {
    /// Which message.
    pub message_id: MessageId,
    /// When that began (UTC).
    pub at: Timestamp,
    /// What the provider said; nothing where the sandbox died before it said anything.
    pub answer: Option<Answer>,
}

/// What a provider said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It took the message.
    Taken,
    /// Not this time.
    Again,
    /// Too many at once.
    Throttled,
    /// The answer was lost.
    Lost,
    /// Never.
    Never,
}

/// The ports as a delivery gets them: the world's, with a bug where one is planted, and with a record of what was handed to the providers.
pub struct Counter<'w> {
    world: &'w World,
    bug: Option<Bug>,
    handed: Mutex<Vec<Handed>>,
    /// How many messages a second each sandbox may send; none is no limit.
    pace: Option<u32>,
    /// When each sandbox may send its next message (UTC).
    next: Mutex<HashMap<(usize, usize), Timestamp>>,
    /// Bookings as they were when a delivery first saw them.
    first_seen: Mutex<HashMap<BookingId, Stored>>,
}

impl<'w> Counter<'w> {
    /// The ports of a world.
    pub fn new(world: &'w World, bug: Option<Bug>) -> Self {
        Self {
            world,
            bug,
            handed: Mutex::default(),
            pace: None,
            next: Mutex::default(),
            first_seen: Mutex::default(),
        }
    }

    /// With so many messages a second from each sandbox at the most.
    pub fn paced(self, per_second: u32) -> Self {
        Self { pace: Some(per_second), ..self }
    }

    /// What was handed to the providers, in order.
    pub fn handed(&self) -> Vec<Handed> {
        self.handed.lock().unwrap().clone()
    }

    /// The provider for one delivery in a sandbox, whose time is up at an instant (UTC).
    pub fn sender<'a>(
        &'a self,
        carrier: Carrier<'a>,
        message_id: MessageId,
        sandbox: (usize, usize),
        until: Timestamp,
    ) -> Sender<'a> {
        Sender { counter: self, carrier, message_id, sandbox, until }
    }

    /// A store's answer as the bug has it.
    fn bent(&self, stored: Stored) -> Stored {
        match (self.bug, &stored.item) {
            (Some(Bug::IgnoreTheRevision), Item::Booking(booking)) => {
                let mut first_seen = self.first_seen.lock().unwrap();
                let first = first_seen.entry(booking.id.clone()).or_insert_with(|| stored.clone());
                Stored { item: first.item.clone(), version: stored.version }
            }
            (Some(Bug::SkipTheSecondQuietCheck), Item::Business(business)) => {
                let business = domain::business::Business { quiet_hours: None, ..business.clone() };
                Stored { item: Item::Business(business), version: stored.version }
            }
            (Some(Bug::SkipTheSecondQuietCheck), Item::Location(location)) => {
                let location = domain::business::Location { quiet_hours: None, ..location.clone() };
                Stored { item: Item::Location(location), version: stored.version }
            }
            _ => stored,
        }
    }
}

impl Read for Counter<'_> {
    async fn read(&self, keys: Vec<Key>) -> Result<Vec<Stored>, PortError> {
        let found = self.world.read(keys).await?;
        Ok(found.into_iter().map(|stored| self.bent(stored)).collect())
    }
}

impl WriteFacts for Counter<'_> {
    async fn write_facts(&self, writes: Vec<Write>) -> Result<(), WriteError> {
        self.world.write_facts(writes).await
    }
}

impl WriteLedger for Counter<'_> {
    async fn write_ledger(&self, mut writes: Vec<Write>) -> Result<(), WriteError> {
        match self.bug {
            Some(Bug::DropTheClaim) => self.write_whatever_is_there(writes).await,
            Some(Bug::MarkBeforeSending) => {
                for write in &mut writes {
                    if let Item::Message(message) = &mut write.item
                        && message.lease.take().is_some()
                    {
                        message.status = MessageStatus::Accepted;
                    }
                }
                self.world.write_ledger(writes).await
            }
            _ => self.world.write_ledger(writes).await,
        }
    }
}

impl Counter<'_> {
    /// Writes over whatever version is there.
    async fn write_whatever_is_there(&self, mut writes: Vec<Write>) -> Result<(), WriteError> {
        loop {
            for write in &mut writes {
                let there = self.world.get(&write.item.key());
                write.expect = there.map_or(Expect::Absent, |stored| Expect::Version(stored.version));
            }
            match self.world.write_ledger(writes.clone()).await {
                Err(WriteError::Conflict) => {}
                other => return other,
            }
        }
    }
}

impl ClientBookings for Counter<'_> {
    async fn bookings_of(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
    ) -> Result<Vec<Participation>, PortError> {
        self.world.bookings_of(business_id, client_id, from).await
    }

    async fn parts_within(
        &self,
        business_id: &BusinessId,
        client_id: &ClientId,
        from: Timestamp,
        until: Timestamp,
    ) -> Result<Vec<Participation>, PortError> {
        self.world.parts_within(business_id, client_id, from, until).await
    }
}

impl Meter for Counter<'_> {
    async fn count(&self, business_id: &BusinessId, counts: &[Count]) -> Result<Option<usize>, PortError> {
        self.world.count(business_id, counts).await
    }
}

/// A provider that notes what it is handed and what it says.
pub struct Sender<'a> {
    counter: &'a Counter<'a>,
    carrier: Carrier<'a>,
    message_id: MessageId,
    sandbox: (usize, usize),
    until: Timestamp,
}

impl Provider for Sender<'_> {
    /// As in `shared/runtime/src/pace.rs`.
    async fn ready(&self) -> bool {
        let Some(per_second) = self.counter.pace else { return true };
        let turn = {
            let mut next = self.counter.next.lock().unwrap();
            let now = self.counter.world.now();
            let turn = next.get(&self.sandbox).map_or(now, |next| now.max(*next));
            if turn > self.until - SEND {
                return false;
            }
            next.insert(self.sandbox, turn + SignedDuration::from_millis(1000 / i64::from(per_second)));
            turn
        };
        self.counter.world.sleep_until(turn).await;
        true
    }

    async fn send(&self, outgoing: Outgoing<'_>) -> Result<Receipt, ProviderError> {
        let number = {
            let mut handed = self.counter.handed.lock().unwrap();
            let message_id = self.message_id.clone();
            handed.push(Handed { message_id, at: self.counter.world.now(), answer: None });
            handed.len() - 1
        };
        let said = self.carrier.send(outgoing).await;
        self.counter.handed.lock().unwrap()[number].answer = Some(match &said {
            Ok(_) => Answer::Taken,
            Err(ProviderError::Again(_)) => Answer::Again,
            Err(ProviderError::Throttled(_)) => Answer::Throttled,
            Err(ProviderError::Unknown(_)) => Answer::Lost,
            Err(ProviderError::Quota(_)) => Answer::Throttled,
            Err(
                ProviderError::InvalidAddress(_) | ProviderError::OptedOut(_) | ProviderError::Refused(_),
            ) => Answer::Never,
        });
        said
    }
}
