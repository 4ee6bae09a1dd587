//! Delivering one due message: decide again on today's facts, claim, send, record.
//!
//! The claim is a write that expects the row's version, with a lease as long as the invocation may last. Whoever comes while the lease
//! runs leaves the message in the queue. Whoever comes after it ended without a result knows that the message may have left:
//! on a free channel it is sent again, on a paid one it becomes `unknown` and a task for staff. Until it is sent again its row stays `sending`:
//! a message that may have left is never said to be withheld, only `unknown`.

use domain::booking::Failure;
use domain::compose::compose;
use domain::decide::{Decision, asks_for_future_booking, decide};
use domain::facts::{Facts, Subject};
use domain::ids::MessageId;
use domain::message::{Lease, Message, MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::recipient::Person;
use domain::rule::Strategy;
use domain::sms::{estimate, measure};
use domain::task::{Task, TaskKind};
use domain::template::{Content, Templates};
use domain::trace::{Check, Trace, Verdict};
use jiff::{SignedDuration, Timestamp};

use crate::error::chain;
use crate::load_facts::load_facts;
use crate::ports::{
    Address, ClientBookings, Due, DueWhat, Expect, Item, Key, PortError, Provider, ProviderError, Read,
    SetTimer, Write, WriteError, WriteFacts, WriteLedger, first,
};

/// How often a run starts over because the row changed under it.
const TRIES: u32 = 5;

/// Seconds to wait after each attempt that the provider did not take, a fifth more or less; after the last the message has failed. Eight hours in all.
const PAUSES: [i64; 11] = [60, 120, 300, 900, 3600, 3600, 3600, 3600, 3600, 3600, 3600];

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
    /// The provider's answer was lost, and it costs nothing to send it again.
    ProviderDown,
}

/// Who delivers, and how long: instants in UTC by the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Shift<'a> {
    /// Which record of which invocation: whose the lease is.
    pub holder: &'a str,
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
    shift: Shift<'_>,
) -> Result<Delivered, PortError> {
    let DueWhat::Message { message_id, kind, .. } = &due.what else {
        return Err(PortError::Permanent {
            operation: "delivering",
            source: "a check came into a message queue".into(),
        });
    };
    let along = [
        Key::Message(due.refs.business_id.clone(), due.refs.subject.clone(), message_id.clone()),
        Key::Templates(due.refs.business_id.clone(), *kind),
    ];
    for _ in 0..TRIES {
        let Some(loaded) = load_facts(store, &due.refs, &along).await? else {
            return Ok(Delivered::Gone);
        };
        let found = first(&loaded.along, Item::message).map(|(message, version)| (message.clone(), version));
        let Some((message, version)) = found else {
            return Ok(Delivered::Gone);
        };
        let may_have_left = message.status == MessageStatus::Sending;
        let (status, kind) = (message.status, message.kind);
        let facts = &loaded.facts;
        let templates = first(&loaded.along, Item::templates).map(|(templates, _)| templates);
        let attempt =
            Attempt { store, timers, facts, templates, due, shift, message, version, may_have_left };
        let done = match attempt.run(provider).await {
            Ok(delivered) => {
                let settled_as = match delivered {
                    Delivered::Accepted => MessageStatus::Accepted,
                    Delivered::Failed(_) => MessageStatus::Failed,
                    _ => status,
                };
                let fact = fact_of(facts, (kind, message_id), settled_as, shift.wall.max(due.at));
                let write = fact.map(|item| Write { item, expect: Expect::Version(loaded.version) });
                match write {
                    None => Ok(delivered),
                    Some(write) => store.write_facts(vec![write]).await.map(|()| delivered),
                }
            }
            Err(error) => Err(error),
        };
        match done {
            Ok(delivered) => return Ok(delivered),
            Err(WriteError::Conflict) => continue,
            Err(WriteError::Port(error)) => return Err(error),
        }
    }
    Ok(Delivered::Again(Why::Leased))
}

/// What a delivery changes about the booking or the occasion: a client who got a request to confirm was asked, and what failed for certain
/// lets a cascade go on. Written after the row, and again by every copy that finds the row settled so, until it stands.
fn fact_of(
    facts: &Facts,
    (kind, message_id): (NotificationType, &MessageId),
    status: MessageStatus,
    now: Timestamp,
) -> Option<Item> {
    match status {
        MessageStatus::Accepted if kind == NotificationType::ConfirmationRequest => {
            facts.booking()?.asked().map(Item::Booking)
        }
        MessageStatus::Failed if facts.rule(kind).strategy == Strategy::Cascade => {
            let failure = Failure { message_id: message_id.clone(), at: now };
            match &facts.subject {
                Subject::Booking(booking) => booking.failed(failure).map(Item::Booking),
                Subject::Occasion(occasion, _) => occasion.failed(failure).map(Item::Occasion),
            }
        }
        _ => None,
    }
}

/// One look at a message and what follows from it.
struct Attempt<'a, S, T> {
    store: &'a S,
    timers: &'a T,
    facts: &'a Facts,
    /// What the business has changed of the type's texts.
    templates: Option<&'a Templates>,
    due: &'a Due,
    shift: Shift<'a>,
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
            MessageStatus::Sending if self.message.lease.as_ref().is_some_and(|lease| wall < lease.until) => {
                return Ok(Delivered::Again(Why::Leased));
            }
            MessageStatus::Sending if self.message.channel.is_paid() => return self.leave_unknown().await,
            MessageStatus::Sending => {}
            _ => return Ok(Delivered::Settled),
        }
        let now = wall.max(self.due.at);
        let future_booking =
            asks_for_future_booking(self.message.kind) && self.has_future_booking(now).await?;
        let (decision, trace) = decide(self.facts, &self.message, future_booking, now);
        match decision {
            Decision::Send => self.send(provider, trace, now).await,
            Decision::Defer(until) => self.defer(trace, until).await,
            Decision::Suppress(reason) => self.withhold(trace, reason).await,
        }
    }

    async fn has_future_booking(&self, now: Timestamp) -> Result<bool, PortError> {
        let Some(client_id) = self.message.recipient.client() else { return Ok(false) };
        let bookings = self.store.bookings_of(&self.message.business_id, client_id, now).await?;
        let this = self.facts.booking().map(|booking| &booking.id);
        Ok(bookings.iter().any(|booking| Some(&booking.booking_id) != this))
    }

    async fn send(
        mut self,
        provider: &impl Provider,
        mut trace: Trace,
        now: Timestamp,
    ) -> Result<Delivered, WriteError> {
        let person = self.facts.person(&self.message.recipient);
        let Some(address) = person.and_then(|person| address(person, &self.message)) else {
            trace.note(Check::Address, Verdict::Suppress, "none");
            return self.withhold(trace, Reason::NoAddress).await;
        };
        let Message { recipient, kind, channel, .. } = &self.message;
        let content = match compose(self.facts, recipient, *kind, *channel, self.templates, provider.sender())
        {
            Ok(Some(content)) => content,
            Ok(None) => {
                trace.note(Check::Address, Verdict::Suppress, "nobody");
                return self.withhold(trace, Reason::NoAddress).await;
            }
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
            Err(error) => self.after(error, now).await,
        }
    }

    /// Takes the message for this invocation: from here on it may have left.
    async fn claim(&mut self, trace: Trace, content: &Content) -> Result<(), WriteError> {
        self.message.status = MessageStatus::Sending;
        self.message.lease = Some(Lease { until: self.shift.until, holder: self.shift.holder.to_owned() });
        self.message.attempts += 1;
        self.message.text = Some(content.text().to_owned());
        if let (Content::Sms { text }, Some(person)) = (content, self.facts.person(&self.message.recipient)) {
            let segments = measure(text).segments;
            self.message.segments = Some(segments);
            self.message.estimate =
                person.phone().and_then(|phone| estimate(&self.facts.business.sms_prices, phone, segments));
        }
        self.add(trace);
        self.write().await
    }

    async fn after(mut self, error: ProviderError, now: Timestamp) -> Result<Delivered, WriteError> {
        tracing::warn!(message.id = %self.message.id, error = %chain(&error), "the provider did not take a message");
        let reason = match error {
            ProviderError::Unknown(_) if self.message.channel.is_paid() => return self.leave_unknown().await,
            ProviderError::Unknown(_) => {
                self.may_have_left = true;
                return self.record(Delivered::Again(Why::ProviderDown)).await;
            }
            // Having perhaps left once, it is brought again by its queue, and is not planned anew.
            ProviderError::Again(_) | ProviderError::Throttled(_) if self.may_have_left => {
                return self.record(Delivered::Again(Why::ProviderDown)).await;
            }
            ProviderError::Again(_) => Reason::ProviderDown,
            ProviderError::Throttled(_) => Reason::Throttled,
            ProviderError::InvalidAddress(_) => Reason::InvalidAddress,
            ProviderError::Refused(_) => Reason::Refused,
        };
        let transient = matches!(reason, Reason::ProviderDown | Reason::Throttled);
        if let Some(pause) = pause(&self.message).filter(|_| transient) {
            let until = now + pause;
            let mut trace = Trace::new(now, self.facts.rules.version);
            let because = format!("attempt {}: {reason:?}, again at {until}", self.message.attempts);
            trace.note(Check::Provider, Verdict::Move, because);
            return self.defer(trace, until).await;
        }
        self.close(MessageStatus::Failed, reason);
        self.record(Delivered::Failed(reason)).await
    }

    /// Writes what came of it. The message must not be judged anew now, whatever else was written meanwhile: what the provider said stands.
    async fn record(mut self, delivered: Delivered) -> Result<Delivered, WriteError> {
        self.message.lease = None;
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
            subject: self.message.subject.clone(),
            client_ids: self.message.recipient.client().cloned().into_iter().collect(),
            since: self.shift.wall.max(self.due.at),
        };
        // The task first: a row that stands as unknown has one. Its id is the message's, so a repetition writes it again.
        self.store.write_facts(vec![Write { item: Item::Task(task), expect: Expect::Any }]).await?;
        self.message.status = MessageStatus::Unknown;
        self.message.lease = None;
        self.write().await?;
        Ok(Delivered::Unknown)
    }

    async fn withhold(mut self, trace: Trace, reason: Reason) -> Result<Delivered, WriteError> {
        let superseded = reason == Reason::NotOwed;
        self.close(if superseded { MessageStatus::Superseded } else { MessageStatus::Suppressed }, reason);
        self.message.lease = None;
        self.add(trace);
        self.write().await?;
        Ok(Delivered::Withheld(reason))
    }

    async fn defer(mut self, trace: Trace, until: Timestamp) -> Result<Delivered, WriteError> {
        // The timer first: a row that waits has one.
        self.timers.set_timer(&Due { at: until, ..self.due.clone() }).await?;
        self.message.status = MessageStatus::Deferred;
        self.message.due = until;
        self.message.lease = None;
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

/// How long to wait before the next attempt, if there is to be one. What the messages of one burst have in common is their moment, so
/// their ids spread them.
fn pause(message: &Message) -> Option<SignedDuration> {
    let seconds = *PAUSES.get(usize::try_from(message.attempts).ok()?.checked_sub(1)?)?;
    let spread = i64::from_str_radix(message.id.as_str().get(..4)?, 16).ok()?; // 0 to 65535
    Some(SignedDuration::from_secs(seconds * 4 / 5 + seconds * 2 / 5 * spread / 65_536))
}

fn address(person: Person<'_>, message: &Message) -> Option<Address> {
    use domain::channel::Channel;
    match message.channel {
        Channel::Email => person.email().cloned().map(Address::Email),
        Channel::Sms => person.phone().cloned().map(Address::Sms),
        Channel::Push => (!person.devices().is_empty()).then(|| Address::Push(person.devices().to_vec())),
    }
}
