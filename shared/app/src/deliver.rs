//! Delivering one due message: decide again on today's facts, claim, send, record.
//!
//! The claim is a write that expects the row's version, with a lease as long as the invocation may last. Whoever comes while the lease
//! runs leaves the message in the queue. Whoever comes after it ended without a result knows that the message may have left:
//! on a free channel it is sent again, on a paid one it becomes `unknown` and a task for staff. Until it is sent again its row stays `sending`:
//! a message that may have left is never said to be withheld, only `unknown`.

use domain::client::Client;
use domain::decide::{Decision, asks_for_future_booking, decide};
use domain::facts::Facts;
use domain::message::{Message, MessageStatus, Reason};
use domain::task::{Task, TaskKind};
use domain::template::{Content, render};
use domain::trace::{Check, Trace, Verdict};
use jiff::Timestamp;

use crate::load_facts::load_facts;
use crate::ports::{
    Address, ClientBookings, Due, DueWhat, Expect, Item, Key, PortError, Provider, ProviderError, Read,
    SetTimer, Stored, Write, WriteError, WriteFacts, WriteLedger,
};

/// How often a run starts over because the row changed under it.
const TRIES: u32 = 5;

/// How many traces a message keeps: the judgement at planning and the latest at sending.
const TRACES: usize = 2;

/// What became of a due message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivered {
    /// The provider took it.
    Accepted,
    /// It does not leave.
    Withheld(Reason),
    /// It waits until the instant (UTC).
    Deferred(Timestamp),
    /// The provider refused it for good.
    Failed(Reason),
    /// It may have left and is not repeated.
    Unknown,
    /// It had been dealt with before.
    Settled,
    /// Nothing is known of it: its timer outlived it.
    Gone,
    /// Not now: it must be brought again.
    Again(Why),
}

/// Why a message must be brought again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// Another invocation is at work on it.
    Leased,
    /// The provider failed and did not take it.
    ProviderDown,
    /// The provider throttled.
    Throttled,
}

/// The clock's time and the end of this invocation's time, both UTC by the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Shift {
    /// Now.
    pub wall: Timestamp,
    /// When the invocation is over at the latest: until then nobody else touches a message it has claimed.
    pub until: Timestamp,
}

/// Delivers what is `due`.
pub async fn deliver(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings),
    timers: &impl SetTimer,
    provider: &impl Provider,
    due: &Due,
    shift: Shift,
) -> Result<Delivered, PortError> {
    let DueWhat::Message { message_id, .. } = &due.what else {
        return Err(PortError::Permanent {
            operation: "delivering",
            source: "a check came into a message queue".into(),
        });
    };
    let row = Key::Message(due.refs.business_id.clone(), due.refs.booking_id.clone(), message_id.clone());
    for _ in 0..TRIES {
        let Some(loaded) = load_facts(store, &due.refs, std::slice::from_ref(&row)).await? else {
            return Ok(Delivered::Gone);
        };
        let found = loaded.along.into_iter().find_map(|stored| match stored {
            Stored { item: Item::Message(message), version } => Some((message, version)),
            _ => None,
        });
        let Some((message, version)) = found else {
            return Ok(Delivered::Gone);
        };
        let may_have_left = message.status == MessageStatus::Sending;
        let facts = &loaded.facts;
        let attempt = Attempt { store, timers, facts, due, shift, message, version, may_have_left };
        match attempt.run(provider).await {
            Ok(delivered) => return Ok(delivered),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Ok(Delivered::Again(Why::Leased))
}

/// One look at a message and what follows from it.
struct Attempt<'a, S, T> {
    store: &'a S,
    timers: &'a T,
    facts: &'a Facts,
    due: &'a Due,
    shift: Shift,
    message: Message,
    version: u64,
    /// An earlier attempt ended without the provider's answer.
    may_have_left: bool,
}

impl<S, T> Attempt<'_, S, T>
where
    S: WriteLedger + WriteFacts + ClientBookings,
    T: SetTimer,
{
    async fn run(self, provider: &impl Provider) -> Result<Delivered, WriteError> {
        let Shift { wall, .. } = self.shift;
        match self.message.status {
            MessageStatus::Planned | MessageStatus::Deferred | MessageStatus::Queued => {}
            MessageStatus::Sending if self.message.lease_until.is_some_and(|until| wall < until) => {
                return Ok(Delivered::Again(Why::Leased));
            }
            MessageStatus::Sending if self.message.channel.is_paid() => return self.leave_unknown().await,
            MessageStatus::Sending => {}
            _ => return Ok(Delivered::Settled),
        }
        let now = wall.max(self.due.at);
        let future_booking =
            asks_for_future_booking(self.message.kind) && self.has_future_booking(now).await?;
        let (decision, trace) = decide(self.facts, &self.message.id, future_booking, now);
        match decision {
            Decision::Send => self.send(provider, trace, now).await,
            Decision::Defer(until) => self.defer(trace, until).await,
            Decision::Suppress(reason) => self.withhold(trace, reason).await,
        }
    }

    async fn has_future_booking(&self, now: Timestamp) -> Result<bool, PortError> {
        let bookings =
            self.store.bookings_of(&self.message.business_id, &self.message.client_id, now).await?;
        Ok(bookings.iter().any(|booking| booking.ahead && booking.booking_id != self.message.booking_id))
    }

    async fn send(
        mut self,
        provider: &impl Provider,
        mut trace: Trace,
        now: Timestamp,
    ) -> Result<Delivered, WriteError> {
        let client = self.facts.client(&self.message.client_id);
        let Some((client, address)) =
            client.and_then(|client| Some((client, address(client, &self.message)?)))
        else {
            trace.note(Check::Address, Verdict::Suppress, "none");
            return self.withhold(trace, Reason::NoAddress).await;
        };
        let content = match render(self.facts, client, self.message.kind, self.message.channel) {
            Ok(content) => content,
            Err(error) => {
                tracing::error!(message.id = %self.message.id, error = %chain(&error), "a text could not be made");
                trace.note(Check::Template, Verdict::Suppress, "a value is missing");
                return self.withhold(trace, Reason::TemplateError).await;
            }
        };
        self.claim(trace, &content).await?;
        match provider.send(&address, &content).await {
            Ok(provider_id) => {
                self.message.status = MessageStatus::Accepted;
                self.message.provider_id = Some(provider_id);
                self.message.sent_at = Some(now);
                self.record(Delivered::Accepted).await
            }
            Err(error) => self.after(error).await,
        }
    }

    /// Takes the message for this invocation: from here on it may have left.
    async fn claim(&mut self, trace: Trace, content: &Content) -> Result<(), WriteError> {
        self.message.status = MessageStatus::Sending;
        self.message.lease_until = Some(self.shift.until);
        self.message.attempts += 1;
        self.message.text = Some(content.text().to_owned());
        self.add(trace);
        self.write().await
    }

    async fn after(mut self, error: ProviderError) -> Result<Delivered, WriteError> {
        tracing::warn!(message.id = %self.message.id, error = %chain(&error), "the provider did not take a message");
        let delivered = match error {
            ProviderError::Unknown(_) if self.message.channel.is_paid() => return self.leave_unknown().await,
            ProviderError::Unknown(_) => {
                self.may_have_left = true;
                Delivered::Again(Why::ProviderDown)
            }
            ProviderError::Again(_) => Delivered::Again(Why::ProviderDown),
            ProviderError::Throttled(_) => Delivered::Again(Why::Throttled),
            ProviderError::InvalidAddress(_) => Delivered::Failed(Reason::InvalidAddress),
            ProviderError::Refused(_) => Delivered::Failed(Reason::Refused),
        };
        if let Delivered::Failed(reason) = delivered {
            self.close(MessageStatus::Failed, reason);
        } else if !self.may_have_left {
            self.message.status = MessageStatus::Queued;
        }
        self.record(delivered).await
    }

    /// Writes what came of it. The message must not be judged anew now, whatever else was written meanwhile: what the provider said stands.
    async fn record(mut self, delivered: Delivered) -> Result<Delivered, WriteError> {
        self.message.lease_until = None;
        self.write().await.map(|()| delivered).map_err(|error| match error {
            // Only a run that outlived its lease comes here; it is reported, and the row keeps what the later run wrote.
            WriteError::Conflict => WriteError::Port(PortError::Permanent {
                operation: "recording a delivery",
                source: "the lease had ended and another run took over".into(),
            }),
            port => port,
        })
    }

    async fn leave_unknown(mut self) -> Result<Delivered, WriteError> {
        let task = Task {
            business_id: self.message.business_id.clone(),
            id: self.message.id.as_str().parse().map_err(|_| PortError::Permanent {
                operation: "making a task",
                source: "the message's id is no task id".into(),
            })?,
            kind: TaskKind::UnknownMessage,
            booking_id: self.message.booking_id.clone(),
            client_ids: vec![self.message.client_id.clone()],
            since: self.shift.wall.max(self.due.at),
        };
        // The task first: a row that stands as unknown has one. Its id is the message's, so a repetition writes it again.
        self.store.write_facts(vec![Write { item: Item::Task(task), expect: Expect::Any }]).await?;
        self.message.status = MessageStatus::Unknown;
        self.message.lease_until = None;
        self.write().await?;
        Ok(Delivered::Unknown)
    }

    async fn withhold(mut self, trace: Trace, reason: Reason) -> Result<Delivered, WriteError> {
        let superseded = reason == Reason::NotOwed;
        self.close(if superseded { MessageStatus::Superseded } else { MessageStatus::Suppressed }, reason);
        self.message.lease_until = None;
        self.add(trace);
        self.write().await?;
        Ok(Delivered::Withheld(reason))
    }

    async fn defer(mut self, trace: Trace, until: Timestamp) -> Result<Delivered, WriteError> {
        // The timer first: a row that waits has one.
        self.timers.set_timer(&Due { at: until, ..self.due.clone() }).await?;
        self.message.status = MessageStatus::Deferred;
        self.message.due = until;
        self.message.lease_until = None;
        self.add(trace);
        self.write().await?;
        Ok(Delivered::Deferred(until))
    }

    /// Ends the message without its having left, as far as that is known.
    fn close(&mut self, status: MessageStatus, reason: Reason) {
        self.message.status = if self.may_have_left { MessageStatus::Unknown } else { status };
        self.message.reason = Some(reason);
    }

    fn add(&mut self, trace: Trace) {
        self.message.traces.truncate(TRACES - 1);
        self.message.traces.push(trace);
    }

    /// Writes the row over the version last seen.
    async fn write(&mut self) -> Result<(), WriteError> {
        let write =
            Write { item: Item::Message(self.message.clone()), expect: Expect::Version(self.version) };
        self.store.write_ledger(vec![write]).await?;
        self.version += 1;
        Ok(())
    }
}

fn address(client: &Client, message: &Message) -> Option<Address> {
    use domain::channel::Channel;
    match message.channel {
        Channel::Email => client.email.clone().map(Address::Email),
        Channel::Sms => client.phone.clone().map(Address::Sms),
        Channel::Push => (!client.devices.is_empty()).then(|| Address::Push(client.devices.clone())),
    }
}

/// An error with everything behind it, for the log.
pub fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
