//! Messages: one intended or sent text to one recipient on one channel, as it stands in the ledger.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::channel::Channel;
use crate::ids::{BusinessId, CheckId, ClientId, Digest16, MessageId};
use crate::notification_type::NotificationType;
use crate::recipient::Recipient;
use crate::sms::Estimate;
use crate::subject::SubjectId;
use crate::timing::Timing;
use crate::trace::Trace;

/// What makes a message this message and no other. It leaves at most once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageKey<'a> {
    /// Whose.
    pub business_id: &'a BusinessId,
    /// Of which booking or occasion.
    pub subject: &'a SubjectId,
    /// Of which revision: the event's for news, the one that set the time for reminders. An occasion has but one, 1.
    pub revision: u64,
    /// About what.
    pub kind: NotificationType,
    /// Which step of the rule.
    pub step: &'a Timing,
    /// To whom.
    pub recipient: &'a Recipient,
    /// How.
    pub channel: Channel,
}

impl MessageKey<'_> {
    /// The message's id: 32 hex digits of a SHA-256, so equal keys give equal ids on every machine, forever.
    pub fn id(&self) -> MessageId {
        let Self { business_id, subject, revision, kind, step, recipient, channel } = self;
        digest(format_args!("message|{business_id}|{subject}|{revision}|{kind}|{step}|{recipient}|{channel}"))
    }
}

/// The id of a check: one for each kind and each time the visit was set to.
pub fn check_id(
    business_id: &BusinessId,
    subject: &SubjectId,
    kind: CheckKind,
    time_revision: u64,
) -> CheckId {
    digest(format_args!("check|{business_id}|{subject}|{time_revision}|{kind:?}"))
}

/// An id that is a hash: 32 hex digits of a SHA-256, the same for the same text on every machine, forever.
pub(crate) fn digest<Id: From<Digest16>>(text: std::fmt::Arguments<'_>) -> Id {
    let mut hash = Hashing(Sha256::new());
    // Hashing takes every text.
    let _ = std::fmt::Write::write_fmt(&mut hash, text);
    let mut half = [0; 16];
    half.copy_from_slice(&hash.0.finalize()[..16]);
    Id::from(Digest16(half))
}

/// What is written into it is hashed, without being put together first.
struct Hashing(Sha256);

impl std::fmt::Write for Hashing {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}

/// Where a message stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageStatus {
    /// Waits for its time.
    Planned,
    /// Waits for another time than its own: the end of quiet hours, just before they begin, or the provider.
    Deferred,
    /// Due, on its way to the provider.
    Queued,
    /// Being handed to the provider, under a lease; without one, handed to it without an answer and to be tried again.
    Sending,
    /// The provider took it.
    Accepted,
    /// It has arrived, as the provider reports.
    Delivered,
    /// It was opened.
    Read,
    /// The provider refused it for good.
    Failed,
    /// Perhaps sent; the provider never said. Never repeated by itself on a paid channel.
    Unknown,
    /// Not sent, for the reason given.
    Suppressed,
    /// No longer owed: the booking changed before it left.
    Superseded,
}

impl MessageStatus {
    /// Waiting to leave: planning may still change or withdraw it.
    pub fn is_open(self) -> bool {
        matches!(self, MessageStatus::Planned | MessageStatus::Deferred | MessageStatus::Queued)
    }

    /// The recipient has it, or may have it.
    pub fn may_have_arrived(self) -> bool {
        use MessageStatus::{Accepted, Delivered, Read, Unknown};
        matches!(self, Accepted | Delivered | Read | Unknown)
    }

    /// Closed without any attempt to send: planning may open it again.
    pub fn was_withheld(self) -> bool {
        matches!(self, MessageStatus::Suppressed | MessageStatus::Superseded)
    }
}

/// Why a message was suppressed or failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The booking no longer calls for it.
    NotOwed,
    /// The recipient has no address on the channel.
    NoAddress,
    /// The address is suppressed: STOP, a hard bounce or a complaint.
    AddressSuppressed,
    /// Forbidden on the client card.
    Banned,
    /// The client has not agreed to marketing.
    MarketingOptOut,
    /// The client wants nothing on the channel that can be done without.
    OptOut,
    /// The type, or the channel for the type, is switched off by the rule that prevails.
    SwitchedOff,
    /// A channel that stands before it in the cascade serves.
    Cascade,
    /// The operation was made without a notice.
    NotifyOff,
    /// The business has not taken the sms option.
    SmsOff,
    /// The business has not set up the messenger, or has no WhatsApp template for the type.
    ChannelOff,
    /// The business sends no sms to that country.
    CountryNotAllowed,
    /// The recipient has had as many sms as the business allows in a day.
    RecipientLimit,
    /// The booking is not confirmed and the rule waits for that.
    NotConfirmed,
    /// The client has a future booking already.
    FutureBooking,
    /// Its time, or its use, had passed.
    TooLate,
    /// Quiet hours held it back beyond its use.
    QuietHours,
    /// The text could not be made from the template.
    TemplateError,
    /// The provider says the address cannot be reached, now or ever.
    InvalidAddress,
    /// The provider could not be reached, and the last attempt was used up.
    ProviderDown,
    /// The provider throttled, and the last attempt was used up.
    Throttled,
    /// The provider's quota or a spending limit was used up, and so was the last attempt.
    Quota,
    /// The provider will not take it: the account, the sender or the content is at fault.
    Refused,
    /// The provider took it and could not deliver it.
    NotDelivered,
    /// Staff decided not to send it (S67).
    NotSent,
}

/// A claim on a message that is being sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lease {
    /// Until when (UTC, wall clock) the invocation may be at work.
    pub until: Timestamp,
    /// Which record of which invocation: two that claim at the same instant, or in one batch, still differ.
    pub holder: String,
}

/// A message in the ledger.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// Whose.
    pub business_id: BusinessId,
    /// Of which booking or occasion.
    #[serde(flatten)]
    pub subject: SubjectId,
    /// See [`MessageKey::id`].
    pub id: MessageId,
    /// About what.
    #[serde(rename = "type")]
    pub kind: NotificationType,
    /// Which step of the rule.
    pub step: Timing,
    /// Of which revision of the booking.
    pub revision: u64,
    /// To whom.
    #[serde(flatten)]
    pub recipient: Recipient,
    /// How.
    pub channel: Channel,
    /// Where it stands.
    pub status: MessageStatus,
    /// Why it did not leave, if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// When it is to leave (UTC), quiet hours counted in.
    pub due: Timestamp,
    /// When it was handed to the provider (UTC).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_at: Option<Timestamp>,
    /// When it had arrived (UTC), as the provider reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When it was first opened (UTC), as the provider reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read_at: Option<Timestamp>,
    /// In a cascade: when it counts as not delivered unless a report says otherwise by then (UTC), and the next channel has its turn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undelivered_at: Option<Timestamp>,
    /// The address it was handed to the provider for, as suppressions name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<String>,
    /// The text as it left, or was about to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Of an sms: how many parts it is billed as (S65).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segments: Option<u32>,
    /// Of an sms: what it is expected to cost, where the business has given prices (S68).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub estimate: Option<Estimate>,
    /// The provider's own id for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub provider_id: Option<String>,
    /// How often it was handed to the provider.
    #[serde(default)]
    pub attempts: u32,
    /// Whether an attempt before the latest ended without the provider's answer: it may have left then.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub may_have_left: bool,
    /// While `sending`: who is at work on it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lease: Option<Lease>,
    /// The judgement at planning and the latest one at sending.
    pub traces: Vec<Trace>,
}

impl Message {
    /// How it stands when it ends and has not left, as far as that is known.
    pub fn ended(&self, status: MessageStatus) -> MessageStatus {
        if self.may_have_left { MessageStatus::Unknown } else { status }
    }

    /// The message without what would tell of a client who was erased: the text, and the client's address. `None` where it holds nothing of the
    /// kind. What went to another client is that client's.
    pub fn erased(&self, client_id: &ClientId) -> Option<Message> {
        let theirs = match self.recipient.client() {
            Some(id) => id == client_id,
            None => true,
        };
        let to_client = self.recipient.client() == Some(client_id);
        let holds = theirs && (self.text.is_some() || (to_client && self.address.is_some()));
        let address = self.address.clone().filter(|_| !to_client);
        // Telegram's own id of a message has the chat in it.
        let named = self.provider_id.clone().filter(|_| !(to_client && self.channel == Channel::Telegram));
        holds.then(|| Message { text: None, address, provider_id: named, ..self.clone() })
    }
}

/// What a check looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckKind {
    /// The visit has begun and the client is not marked arrived.
    Late,
    /// The visit has ended and the client was never marked arrived.
    NoShow,
    /// The client has not confirmed by the set time (S53).
    Unconfirmed,
    /// A waitlist offer has run out and goes to the next in turn.
    OfferEnds,
    /// A message of a cascade shows no delivery, so the next channel has its turn. The check's id is the message's.
    Undelivered,
}

/// A check in the ledger: a timer, so that planning can find and withdraw it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CheckRow {
    /// Whose.
    pub business_id: BusinessId,
    /// Of which booking or occasion.
    #[serde(flatten)]
    pub subject: SubjectId,
    /// See [`check_id`].
    pub id: CheckId,
    /// What it looks for.
    pub kind: CheckKind,
    /// When (UTC).
    pub due: Timestamp,
    /// Whether it no longer applies.
    pub withdrawn: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_has_the_same_id_on_every_machine() {
        let business = "b".parse().unwrap();
        let booking = SubjectId::Booking("k".parse().unwrap());
        let client = Recipient::Client("c".parse().unwrap());
        let step = "24h before start".parse().unwrap();
        let key = MessageKey {
            business_id: &business,
            subject: &booking,
            revision: 3,
            kind: NotificationType::Reminder,
            step: &step,
            recipient: &client,
            channel: Channel::Sms,
        };
        // Written down: ids already in ledgers and schedules must never change.
        assert_eq!(key.id().as_str(), "383eba220f62f457c26b2634366ae8bb");
        assert_ne!(key.id(), MessageKey { revision: 4, ..key.clone() }.id());
        assert_ne!(key.id(), MessageKey { channel: Channel::Push, ..key.clone() }.id());
    }
}
