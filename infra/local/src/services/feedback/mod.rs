//! What the providers tell the system of messages that left: at once, late, twice or in the wrong order, as they are told.

mod email;
mod push;
mod sms;
mod whatsapp;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Mutex;

use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::functions::{LogLine, Pending};
use super::telegram::Update;
use super::text::is_meant;
use super::{Channel, Entry, Services, lock};
use crate::seams::Stack;

pub(super) use sms::Refusal;

/// How soon feedback comes, unless told otherwise: late enough for the function to have written down what it sent.
const USUAL_DELAY_MS: u64 = 700;
/// Between two events of one message.
const BETWEEN_EVENTS_MS: u64 = 200;
/// Due times are rounded up to this, so that a burst of messages is handled in few steps.
const GRID_MS: i64 = 100;
/// What is due together is sent this many at a time.
const SENDS_AT_ONCE: usize = 16;
/// Log lines that CloudWatch hands to a function at once.
const LINES_AT_ONCE: usize = 100;

/// What can happen to a message after it left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// E-mail: SES will try to deliver it. WhatsApp: it is on its way.
    Sent,
    /// It has arrived.
    Delivered,
    /// E-mail: the address will never take it.
    Bounced,
    /// E-mail: the mailbox did not take it this time.
    SoftBounced,
    /// E-mail: the recipient called it spam.
    Complained,
    /// E-mail: SES found a virus in it and did not send it.
    Rejected,
    /// E-mail: it was opened.
    Opened,
    /// WhatsApp: it was read.
    Read,
    /// Sms, push, WhatsApp: it could not be delivered.
    Failed,
}

impl Event {
    /// The word the control API has for it.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Delivered => "delivered",
            Self::Bounced => "bounced",
            Self::SoftBounced => "soft_bounced",
            Self::Complained => "complained",
            Self::Rejected => "rejected",
            Self::Opened => "opened",
            Self::Read => "read",
            Self::Failed => "failed",
        }
    }

    /// What a channel's provider can tell.
    pub(super) fn of(channel: Channel) -> &'static [Self] {
        match channel {
            Channel::Email => &[
                Self::Sent,
                Self::Delivered,
                Self::Bounced,
                Self::SoftBounced,
                Self::Complained,
                Self::Rejected,
                Self::Opened,
            ],
            Channel::Sms => &[Self::Delivered, Self::Failed],
            Channel::Push => &[Self::Failed],
            Channel::Whatsapp => &[Self::Sent, Self::Delivered, Self::Read, Self::Failed],
            Channel::Telegram => &[],
        }
    }
}

/// What a provider tells by itself of each message. `POST /feedback/{channel}` replaces it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Policy {
    /// In the order they happen; the channel's usual ones if not given, nothing if empty.
    #[serde(skip_serializing_if = "Option::is_none")]
    events: Option<Vec<Event>>,
    /// Why it bounced or failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// How long after the message left the first event is told. The others follow.
    after_ms: u64,
    /// How often each is told.
    times: u32,
    /// Whether the last event is told first. Their own times stay in order.
    reverse: bool,
    /// Part of the messages this is for, 0 to 1; the rest has the usual feedback. All by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    /// Chooses that part by chance, always the same for the same seed; without it, it is spread evenly.
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u64>,
    /// Messages since the policy was given.
    #[serde(skip)]
    messages: u64,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            events: None,
            reason: None,
            after_ms: USUAL_DELAY_MS,
            times: 1,
            reverse: false,
            share: None,
            seed: None,
            messages: 0,
        }
    }
}

/// How one event is told.
#[derive(Clone, Debug, Default)]
pub(super) struct Telling {
    /// Why it bounced or failed.
    pub reason: Option<String>,
    /// When it happened; now by default.
    pub at: Option<Timestamp>,
    /// How long from now it is told.
    pub after_ms: u64,
    /// How often; once by default.
    pub times: Option<u32>,
    /// The topic it is told to, where the template does not say it.
    pub topic: Option<String>,
}

/// Something on its way to the system.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    /// To a topic.
    Topic { arn: String, message: String },
    /// To a log group.
    Log(LogLine),
    /// To a function, asynchronously.
    Invocation(Pending),
    /// To a bot's webhook.
    Update(Update),
}

#[derive(Default)]
struct Store {
    due: BTreeMap<(Timestamp, u64), Notice>,
    counter: u64,
    policies: BTreeMap<Channel, Policy>,
}

/// What is on its way, and what the providers were told to tell.
#[derive(Default)]
pub(super) struct Feedback(Mutex<Store>);

impl Feedback {
    /// Lets a notice arrive `after_ms` from `now`.
    pub(super) fn tell(&self, notice: Notice, now: Timestamp, after_ms: u64) {
        let after = SignedDuration::from_millis(i64::try_from(after_ms).unwrap_or(i64::MAX));
        let due = now.saturating_add(after).unwrap_or(Timestamp::MAX).as_millisecond();
        let due = if after_ms == 0 {
            due
        } else {
            due.div_euclid(GRID_MS).saturating_add(1).saturating_mul(GRID_MS)
        };
        let mut store = lock(&self.0);
        store.counter += 1;
        let key = (Timestamp::from_millisecond(due).unwrap_or(Timestamp::MAX), store.counter);
        store.due.insert(key, notice);
    }

    /// When the next notice arrives; it may have passed already.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        lock(&self.0).due.keys().next().map(|(due, _)| *due)
    }

    /// Takes what arrives first, with all that arrives at the same instant, if that is not after `now`.
    fn take_earliest(&self, now: Timestamp) -> Vec<Notice> {
        let mut store = lock(&self.0);
        let Some(instant) = store.due.keys().next().map(|(due, _)| *due).filter(|due| *due <= now) else {
            return Vec::new();
        };
        let later = store.due.split_off(&(instant, u64::MAX));
        std::mem::replace(&mut store.due, later).into_values().collect()
    }

    /// The policies by channel, and how much is on its way.
    pub(super) fn report(&self) -> serde_json::Value {
        let store = lock(&self.0);
        let policies: BTreeMap<String, Policy> = Channel::ALL
            .into_iter()
            .map(|channel| (channel.to_string(), store.policies.get(&channel).cloned().unwrap_or_default()))
            .collect();
        serde_json::json!({ "pending": store.due.len(), "policies": policies })
    }

    /// Forgets the policies and all that is on its way.
    pub(super) fn clear(&self) {
        let mut store = lock(&self.0);
        store.due.clear();
        store.policies.clear();
    }
}

impl Services {
    /// Tells a provider what to tell of the messages to come.
    ///
    /// # Errors
    /// The channel knows no such event, or a number is out of range.
    pub(super) fn set_policy(&self, channel: Channel, policy: Policy) -> Result<(), String> {
        for event in policy.events.iter().flatten() {
            check_event(channel, *event)?;
        }
        if let Some(share) = policy.share.filter(|share| !(0.0..=1.0).contains(share)) {
            return Err(format!("share is from 0 to 1, not {share}"));
        }
        lock(&self.feedback.0).policies.insert(channel, policy);
        Ok(())
    }

    /// A message leaves: puts it into the outbox, and lets its provider tell what the policy says.
    pub(super) fn leave(&self, entry: Entry) {
        self.outbox.record(entry.clone());
        self.follow(&entry);
    }

    fn follow(&self, entry: &Entry) {
        let policy = {
            let mut store = lock(&self.feedback.0);
            let policy = store.policies.entry(entry.channel).or_default();
            policy.messages += 1;
            if is_meant(policy.share, policy.seed, policy.messages) {
                policy.clone()
            } else {
                Policy::default()
            }
        };
        let events = policy.events.unwrap_or_else(|| usual_events(entry));
        let last = events.len().saturating_sub(1);
        let delay = |place: usize| policy.after_ms + BETWEEN_EVENTS_MS * place as u64;
        for (place, event) in events.into_iter().enumerate() {
            let told_at = if policy.reverse { last - place } else { place };
            let happened = SignedDuration::from_millis(i64::try_from(delay(place)).unwrap_or(i64::MAX));
            let telling = Telling {
                reason: policy.reason.clone(),
                at: entry.at.checked_add(happened).ok(),
                after_ms: delay(told_at),
                times: Some(policy.times),
                topic: None,
            };
            // Nobody may be listening: then there is nothing to tell.
            if let Err(problem) = self.tell_of(entry, event, &telling) {
                tracing::debug!(problem, "no feedback");
            }
        }
    }

    /// Tells an event of a message that left. Answers how many notices that makes.
    ///
    /// # Errors
    /// The channel knows no such event, or nobody would hear of it.
    pub(super) fn tell_of(&self, entry: &Entry, event: Event, how: &Telling) -> Result<usize, String> {
        check_event(entry.channel, event)?;
        let now = self.clock.now();
        let at = how.at.unwrap_or(now);
        let reason = how.reason.as_deref();
        let notices = match entry.channel {
            Channel::Email => email::notices(&self.config, entry, event, reason, at)?,
            Channel::Sms => vec![sms::log_line(entry, event, reason, at)],
            Channel::Push => {
                self.sns.disable(&entry.to);
                let arn = self.topic(how.topic.as_deref())?;
                vec![Notice::Topic { arn, message: push::failure(entry, reason, at) }]
            }
            Channel::Whatsapp => {
                let arn = self.topic(how.topic.as_deref())?;
                vec![Notice::Topic { arn, message: whatsapp::status(&self.config, entry, event, reason, at) }]
            }
            Channel::Telegram => Vec::new(),
        };
        if notices.is_empty() {
            return Err(format!("nobody listens to {} of {}", event.word(), entry.channel));
        }
        self.outbox.note(&entry.id, event.word().to_owned());
        let times = how.times.unwrap_or(1);
        for notice in (0..times).flat_map(|_| &notices) {
            self.feedback.tell(notice.clone(), now, how.after_ms);
        }
        Ok(notices.len() * times as usize)
    }

    /// Lets everything arrive that is due by `now`.
    pub(super) async fn arrive(&self, now: Timestamp, stack: &dyn Stack) {
        loop {
            let batch = self.feedback.take_earliest(now);
            if batch.is_empty() {
                return;
            }
            self.arrive_together(batch, stack).await;
        }
    }

    /// Lets the first notices arrive, all of the same instant. Answers how many there were.
    pub(super) async fn arrive_earliest(&self, now: Timestamp, stack: &dyn Stack) -> usize {
        let batch = self.feedback.take_earliest(now);
        let count = batch.len();
        self.arrive_together(batch, stack).await;
        count
    }

    async fn arrive_together(&self, batch: Vec<Notice>, stack: &dyn Stack) {
        let mut lines: BTreeMap<String, VecDeque<LogLine>> = BTreeMap::new();
        let mut others = Vec::new();
        for notice in batch {
            match notice {
                Notice::Log(line) => lines.entry(line.group.clone()).or_default().push_back(line),
                other => others.push(other),
            }
        }
        let logged: Vec<Pending> = lines
            .into_iter()
            .flat_map(|(group, lines)| {
                let lines: Vec<LogLine> = lines.into();
                lines
                    .chunks(LINES_AT_ONCE)
                    .flat_map(|chunk| self.log_invocations(&group, chunk))
                    .collect::<Vec<_>>()
            })
            .collect();
        others.extend(logged.into_iter().map(Notice::Invocation));
        futures::stream::iter(others)
            .map(|notice| async move {
                match notice {
                    Notice::Topic { arn, message } => self.publish(&arn, &message).await,
                    Notice::Invocation(pending) => {
                        self.invoke(pending, stack).await;
                    }
                    Notice::Update(update) => self.deliver_update(update, stack).await,
                    Notice::Log(_) => {}
                }
            })
            .buffered(SENDS_AT_ONCE)
            .collect::<()>()
            .await;
    }

    /// A text message that SNS took but will not deliver: only its log tells.
    pub(super) fn log_refusal(&self, refusal: &Refusal<'_>) {
        self.feedback.tell(Notice::Log(sms::refusal_line(refusal)), refusal.at, USUAL_DELAY_MS);
    }

    /// A text message from a phone, to a topic.
    ///
    /// # Errors
    /// There is no such topic.
    pub(super) fn receive_sms(&self, message: &sms::Inbound<'_>, how: &Telling) -> Result<usize, String> {
        let arn = self.topic(how.topic.as_deref())?;
        match sms::consent(message.text) {
            Some(true) => self.sns.opt_in(message.from),
            Some(false) => self.sns.opt_out(message.from),
            None => {}
        }
        let text = sms::inbound(&self.config, message);
        let times = how.times.unwrap_or(1);
        for _ in 0..times {
            let notice = Notice::Topic { arn: arn.clone(), message: text.clone() };
            self.feedback.tell(notice, self.clock.now(), how.after_ms);
        }
        Ok(times as usize)
    }

    /// A WhatsApp message from a phone, to a topic.
    ///
    /// # Errors
    /// There is no such topic.
    pub(super) fn receive_whatsapp(
        &self,
        message: &whatsapp::Inbound<'_>,
        how: &Telling,
    ) -> Result<usize, String> {
        let arn = self.topic(how.topic.as_deref())?;
        let now = self.clock.now();
        let text = whatsapp::inbound(&self.config, message, how.at.unwrap_or(now));
        let times = how.times.unwrap_or(1);
        for _ in 0..times {
            self.feedback.tell(Notice::Topic { arn: arn.clone(), message: text.clone() }, now, how.after_ms);
        }
        Ok(times as usize)
    }
}

pub(super) use sms::Inbound as InboundSms;
pub(super) use whatsapp::Inbound as InboundWhatsapp;

fn check_event(channel: Channel, event: Event) -> Result<(), String> {
    let known = Event::of(channel);
    if known.contains(&event) {
        return Ok(());
    }
    let words: Vec<&str> = known.iter().map(|event| event.word()).collect();
    match words.is_empty() {
        true => Err(format!("{channel} has no events")),
        false => Err(format!("{channel} knows {}, not {}", words.join(", "), event.word())),
    }
}

/// What a provider tells of a message for which all goes well.
fn usual_events(entry: &Entry) -> Vec<Event> {
    match entry.channel {
        Channel::Email => email::usual_events(&entry.to),
        Channel::Sms => vec![Event::Delivered],
        Channel::Whatsapp => vec![Event::Sent, Event::Delivered],
        Channel::Push | Channel::Telegram => Vec::new(),
    }
}
