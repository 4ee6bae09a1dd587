//! Delivering one due message: decide again on today's facts, claim, send, record.
//!
//! The claim is a write that expects the row's version, with a lease as long as the invocation may last. Whoever comes while the lease
//! runs leaves the message in the queue. Whoever comes after it ended without a result knows that the message may have left:
//! on a free channel it is sent again, on a paid one it becomes `unknown` and a task for staff. Until it is sent again its row stays `sending`:
//! a message that may have left is never said to be withheld, only `unknown`.

use domain::channel::Channel;
use domain::compose::{Pages, bill, compose};
use domain::decide::{Decision, asks_for_future_booking, decide};
use domain::facts::Facts;
use domain::ids::DeviceId;
use domain::link;
use domain::message::{Lease, Message, MessageStatus, Reason};
use domain::notification_type::NotificationType;
use domain::recipient::Person;
use domain::task::{Task, TaskKind};
use domain::template::{Content, Templates};
use domain::trace::{Check, Trace, Verdict};
use jiff::{SignedDuration, Timestamp};

use crate::error::chain;
use crate::limits::{Over, count_sms};
use crate::load_facts::load_facts;
use crate::once::write_unless_there;
use crate::ports::{
    Address, ClientBookings, Due, DueWhat, Expect, Item, Key, Meter, Outgoing, PortError, Provider,
    ProviderError, Read, Receipt, SetTimer, Stored, TelegramBot, Write, WriteError, WriteFacts, WriteLedger,
    first,
};
use crate::settle::{message_task, settle, without_devices};

/// How often a run starts over because the row changed under it.
const TRIES: u32 = 5;

/// Seconds to wait after each attempt that the provider did not take, a fifth more or less; after the last the message has failed. Eight hours in all.
const PAUSES: [i64; 11] = [60, 120, 300, 900, 3600, 3600, 3600, 3600, 3600, 3600, 3600];

/// Seconds to wait, a fifth more or less, when the invocation ends before the message's turn at the provider's pace.
const TURN_PAUSE: i64 = 60;

/// How many hours to wait, a fifth more or less, when a quota or a limit is used up; and how often before the message has failed.
const QUOTA_PAUSE: (i64, u32) = (3, 24);

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
    /// The invocation ends before its turn at the provider's pace.
    NoTurn,
}

/// Who delivers, how long, and where clients' own pages are: instants in UTC by the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Shift<'a> {
    /// Which record of which invocation: whose the lease is.
    pub holder: &'a str,
    /// Now.
    pub wall: Timestamp,
    /// When the invocation is over at the latest: until then nobody else touches a message it has claimed.
    pub until: Timestamp,
    /// What stands before `/c/` in the addresses of clients' own pages.
    pub pages: &'a str,
}

/// Delivers what is `due`.
pub async fn deliver(
    store: &(impl Read + WriteLedger + WriteFacts + ClientBookings + Meter),
    timers: &impl SetTimer,
    provider: &impl Provider,
    due: &Due,
    shift: Shift<'_>,
) -> Result<Delivered, PortError> {
    let DueWhat::Message { message_id, kind, channel, refs } = &due.what else {
        return Err(PortError::Permanent {
            operation: "delivering",
            source: "something other than a message came into a message queue".into(),
        });
    };
    let business_id = &refs.business_id;
    let mut along = vec![
        Key::Message(business_id.clone(), refs.subject.clone(), message_id.clone()),
        Key::Templates(business_id.clone(), *kind),
        Key::LinkKeys(business_id.clone()),
    ];
    if *channel == Channel::Telegram {
        along.push(Key::TelegramBot(business_id.clone()));
    }
    for _ in 0..TRIES {
        let Some(loaded) = load_facts(store, refs, &along).await? else {
            return Ok(Delivered::Gone);
        };
        let found = first(&loaded.along, Item::message).map(|(message, version)| (message.clone(), version));
        let Some((mut message, version)) = found else {
            return Ok(Delivered::Gone);
        };
        message.may_have_left |= message.status == MessageStatus::Sending;
        let facts = &loaded.facts;
        let templates = first(&loaded.along, Item::templates).map(|(templates, _)| templates);
        let bot = first(&loaded.along, Item::telegram_bot).map(|(bot, _)| bot);
        let mut attempt = Attempt {
            store,
            timers,
            facts,
            found: &loaded.along,
            templates,
            bot,
            due,
            shift,
            message,
            version,
        };
        let done = match attempt.run(provider).await {
            // Written after the row, and again by every copy that finds the row settled so, until it stands.
            Ok(delivered) => settle(store, timers, &loaded, &attempt.message, None, shift.wall.max(due.at))
                .await
                .map(|()| delivered),
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

/// One look at a message and what follows from it.
struct Attempt<'a, S, T> {
    store: &'a S,
    timers: &'a T,
    facts: &'a Facts,
    /// Everything that was read.
    found: &'a [Stored],
    /// What the business has changed of the type's texts.
    templates: Option<&'a Templates>,
    /// The business's Telegram bot.
    bot: Option<&'a TelegramBot>,
    due: &'a Due,
    shift: Shift<'a>,
    message: Message,
    version: u64,
}

impl<S, T> Attempt<'_, S, T>
where
    S: Read + WriteLedger + WriteFacts + ClientBookings + Meter,
    T: SetTimer,
{
    async fn run(&mut self, provider: &impl Provider) -> Result<Delivered, WriteError> {
        let Shift { wall, .. } = self.shift;
        match self.message.status {
            MessageStatus::Planned | MessageStatus::Deferred | MessageStatus::Queued => {}
            MessageStatus::Sending if self.message.lease.as_ref().is_some_and(|lease| wall < lease.until) => {
                return Ok(Delivered::Again(Why::Leased));
            }
            MessageStatus::Sending if self.message.channel.sends_once() => return self.leave_unknown().await,
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
        &mut self,
        provider: &impl Provider,
        mut trace: Trace,
        now: Timestamp,
    ) -> Result<Delivered, WriteError> {
        let person = self.facts.person(&self.message.recipient);
        let Some(address) = person.and_then(|person| self.address(person)) else {
            trace.note(Check::Address, Verdict::Suppress, "none");
            return self.withhold(trace, Reason::NoAddress).await;
        };
        let Message { recipient, kind, channel, .. } = &self.message;
        let keys = first(self.found, Item::link_keys);
        let pages = keys.map(|(keys, _)| Pages { url: self.shift.pages, keys, now });
        let (own, sender) = (self.templates, provider.sender());
        let content = match compose(self.facts, recipient, *kind, *channel, own, sender, pages) {
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
        if let Some((segments, estimate)) = bill(self.facts, recipient, &content) {
            (self.message.segments, self.message.estimate) = (Some(segments), estimate);
        }
        self.message.address = person.and_then(|person| person.address(self.message.channel));
        if !provider.ready().await {
            if self.message.may_have_left {
                return Ok(Delivered::Again(Why::NoTurn));
            }
            let until = now + spread(&self.message, TURN_PAUSE);
            trace.note(
                Check::Provider,
                Verdict::Move,
                format!("no turn at the provider's pace, again at {until}"),
            );
            return self.defer(trace, until).await;
        }
        match count_sms(self.store, &self.facts.business, &self.message, now).await? {
            None => {}
            Some(Over::Number) => {
                trace.note(Check::Limits, Verdict::Suppress, "the number has had its sms for the day");
                return self.withhold(trace, Reason::RecipientLimit).await;
            }
            Some(Over::Month(task)) => {
                let until = now + spread(&self.message, QUOTA_PAUSE.0 * 3600);
                trace.note(
                    Check::Limits,
                    Verdict::Move,
                    format!("the month's limit is spent, again at {until}"),
                );
                self.add_task(*task).await?;
                return self.defer(trace, until).await;
            }
        }
        self.claim(trace, &content).await?;
        let sms_number = self.facts.business.sms_number.as_ref();
        let outgoing = Outgoing { message: &self.message, to: &address, content: &content, sms_number };
        match provider.send(outgoing).await {
            Ok(Receipt { provider_id, dead_devices }) => {
                self.message.status = MessageStatus::Accepted;
                self.message.provider_id = Some(provider_id);
                self.message.sent_at = Some(now);
                self.message.undelivered_at = self.gives_way_at(now);
                self.record().await?;
                self.forget(&dead_devices).await;
                Ok(Delivered::Accepted)
            }
            Err(error) => self.after(error, &address, now).await,
        }
    }

    fn address(&self, person: Person<'_>) -> Option<Address> {
        match self.message.channel {
            Channel::Email => person.email().cloned().map(Address::Email),
            Channel::Sms => person.phone().cloned().map(Address::Sms),
            Channel::Push => (!person.devices().is_empty()).then(|| Address::Push(person.devices().to_vec())),
            Channel::Whatsapp => Some(Address::Whatsapp {
                from: self.facts.business.whatsapp_number_id.clone()?,
                to: person.phone()?.clone(),
            }),
            Channel::Telegram => {
                Some(Address::Telegram { token: self.bot?.token.clone(), chat: person.telegram()?.clone() })
            }
            Channel::Assisted => Some(Address::Assisted),
        }
    }

    /// When the next channel of a cascade has its turn unless this message is seen to arrive.
    fn gives_way_at(&self, now: Timestamp) -> Option<Timestamp> {
        let Message { kind, channel, .. } = self.message;
        let rule = self.facts.rule(kind);
        let is_last = |channels: &[Channel]| channels.last().is_none_or(|last| *last == channel);
        let of_step = rule.steps.iter().find(|step| step.timing == self.message.step);
        if of_step.is_some_and(|step| is_last(&step.channels)) {
            return None;
        }
        now.checked_add(rule.gives_way_after()?).ok()
    }

    /// Takes dead devices from the recipient's card. Where that does not succeed, the next push message finds them dead again.
    async fn forget(&self, dead: &[DeviceId]) {
        let Some(write) = without_devices(self.found, &self.message.recipient, dead) else { return };
        if let Err(error) = self.store.write_facts(vec![write]).await {
            tracing::warn!(message.id = %self.message.id, error = %chain(&error), "dead devices stay for now");
        }
    }

    /// Takes the message for this invocation: from here on it may have left.
    async fn claim(&mut self, trace: Trace, content: &Content) -> Result<(), WriteError> {
        self.message.status = MessageStatus::Sending;
        self.message.lease = Some(Lease { until: self.shift.until, holder: self.shift.holder.to_owned() });
        self.message.attempts += 1;
        self.message.text = kept(&self.message, content);
        self.add(trace);
        self.write().await
    }

    async fn after(
        &mut self,
        error: ProviderError,
        address: &Address,
        now: Timestamp,
    ) -> Result<Delivered, WriteError> {
        tracing::warn!(message.id = %self.message.id, error = %chain(&error), "the provider did not take a message");
        let reason = match error {
            ProviderError::Unknown(_) if self.message.channel.sends_once() => {
                return self.leave_unknown().await;
            }
            ProviderError::Unknown(_) => {
                self.message.may_have_left = true;
                self.record().await?;
                return Ok(Delivered::Again(Why::ProviderDown));
            }
            // Having perhaps left once, it is brought again by its queue, and is not planned anew.
            ProviderError::Again(_) | ProviderError::Throttled(_) | ProviderError::Quota(_)
                if self.message.may_have_left =>
            {
                self.record().await?;
                return Ok(Delivered::Again(Why::ProviderDown));
            }
            ProviderError::Again(_) => Reason::ProviderDown,
            ProviderError::Throttled(_) => Reason::Throttled,
            ProviderError::Quota(_) => Reason::Quota,
            ProviderError::OptedOut(_) => Reason::AddressSuppressed,
            ProviderError::InvalidAddress(_) => Reason::InvalidAddress,
            ProviderError::Refused(_) => Reason::Refused,
        };
        if let Some(pause) = pause(&self.message, reason) {
            let until = now + pause;
            let mut trace = Trace::new(now, self.facts.rules.version);
            let because = format!("attempt {}: {reason:?}, again at {until}", self.message.attempts);
            trace.note(Check::Provider, Verdict::Move, because);
            return self.defer(trace, until).await;
        }
        self.close(MessageStatus::Failed, reason);
        self.record().await?;
        if let (Address::Push(devices), Reason::InvalidAddress) = (address, reason) {
            let dead: Vec<DeviceId> = devices.iter().map(|device| device.id.clone()).collect();
            self.forget(&dead).await;
        }
        Ok(Delivered::Failed(reason))
    }

    /// Writes what came of it. The message must not be judged anew now, whatever else was written meanwhile: what the provider said stands.
    async fn record(&mut self) -> Result<(), WriteError> {
        self.message.lease = None;
        self.write().await.map_err(|error| match error {
            // Only a run that outlived its lease comes here; it is reported, and the row keeps what the later run wrote.
            WriteError::Conflict => WriteError::Port(PortError::Permanent {
                operation: "recording a delivery",
                source: "the lease had ended and another run took over".into(),
            }),
            port => port,
        })
    }

    async fn leave_unknown(&mut self) -> Result<Delivered, WriteError> {
        let since = self.shift.wall.max(self.due.at);
        let task = message_task(&self.message, TaskKind::UnknownMessage, since)?;
        // The task first: a row that stands as unknown has one.
        self.add_task(task).await?;
        self.message.status = MessageStatus::Unknown;
        self.message.lease = None;
        self.write().await?;
        Ok(Delivered::Unknown)
    }

    /// Writes a task down, unless it is there: its id says what it is about, and what staff has made of it stands.
    async fn add_task(&self, task: Task) -> Result<(), PortError> {
        write_unless_there(self.store, Item::Task(task)).await
    }

    async fn withhold(&mut self, trace: Trace, reason: Reason) -> Result<Delivered, WriteError> {
        let superseded = reason == Reason::NotOwed;
        self.close(if superseded { MessageStatus::Superseded } else { MessageStatus::Suppressed }, reason);
        self.message.lease = None;
        self.add(trace);
        self.write().await?;
        Ok(Delivered::Withheld(reason))
    }

    async fn defer(&mut self, trace: Trace, until: Timestamp) -> Result<Delivered, WriteError> {
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
        self.message.status = self.message.ended(status);
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

/// How long to wait before the next attempt, if there is to be one.
fn pause(message: &Message, reason: Reason) -> Option<SignedDuration> {
    let seconds = match reason {
        Reason::ProviderDown | Reason::Throttled => {
            *PAUSES.get(usize::try_from(message.attempts).ok()?.checked_sub(1)?)?
        }
        Reason::Quota if message.attempts < QUOTA_PAUSE.1 => QUOTA_PAUSE.0 * 3600,
        _ => return None,
    };
    Some(spread(message, seconds))
}

/// So many seconds, a fifth more or less. What the messages of one burst have in common is their moment, so their ids spread them.
fn spread(message: &Message, seconds: i64) -> SignedDuration {
    let digits = message.id.as_str().get(..4).unwrap_or_default();
    let spread = i64::from_str_radix(digits, 16).unwrap_or(0); // 0 to 65535
    SignedDuration::from_secs(seconds * 4 / 5 + seconds * 2 / 5 * spread / 65_536)
}
/// What the log keeps of a text. A code proves an address to whoever reads it, and a link acts for its reader.
fn kept(message: &Message, content: &Content) -> Option<String> {
    (message.kind != NotificationType::VerificationCode).then(|| link::masked(content.text()))
}
