//! Webhooks: where a business wants to be told of events, how what is posted there is signed, and what follows from how it was taken.
//!
//! Signed as Standard Webhooks asks: <https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>.

use std::net::IpAddr;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use url::{Host, Url};
use utoipa::ToSchema;

use crate::event::{Event, EventFilter, EventType};
use crate::ids::{BusinessId, DeliveryId, Digest16, EventId, WebhookId};
use crate::message::digest;
use crate::public_address::is_public;
use crate::task::{Task, TaskKind};
use crate::text::Name;

/// The most webhooks a business may have.
pub const WEBHOOKS: usize = 10;

/// How long after each failed attempt the next one comes. When these are used up, the delivery has failed.
pub const WAITS: [SignedDuration; 9] = [
    SignedDuration::from_secs(5),
    SignedDuration::from_mins(5),
    SignedDuration::from_mins(30),
    SignedDuration::from_hours(2),
    SignedDuration::from_hours(5),
    SignedDuration::from_hours(10),
    SignedDuration::from_hours(14),
    SignedDuration::from_hours(20),
    SignedDuration::from_hours(24),
];

/// The longest wait that a receiver may ask for.
const LONGEST_WAIT: SignedDuration = SignedDuration::from_hours(24);

/// How long nothing may arrive at a webhook before it is switched off.
const LASTING: SignedDuration = SignedDuration::from_hours(24 * 5);

/// How long an old secret still signs beside the new one, so that a receiver has time to take the new one.
const OLD_SECRET_KEPT: SignedDuration = SignedDuration::from_hours(24);

/// The most secrets that sign at a time, however often they are changed.
const SECRETS: usize = 3;

/// The most attempts that a delivery remembers: those of the schedule, and some that were asked for.
const ATTEMPTS: usize = 30;

// ------------------------------------------------------------------ where

/// Where events are posted. In its normal form, so that whoever calls it reads the same host in it that was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct WebhookUrl(String);

/// Why a text is not a [`WebhookUrl`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct InvalidWebhookUrl(pub &'static str);

/// Which hosts a webhook may be at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Public ones only, by https. The only one there is outside of a developer's machine.
    Public,
    /// This machine too, and there by http: for receivers in tests and on a local stack.
    Local,
}

impl Reach {
    /// Whether a webhook may be at this address.
    pub fn allows(self, address: IpAddr) -> bool {
        is_public(address) || (self == Reach::Local && address.is_loopback())
    }
}

/// Endings of names that no public name has.
const OWN_NETWORKS: [&str; 5] = [".localhost", ".local", ".internal", ".home.arpa", ".lan"];

impl WebhookUrl {
    /// Reads a URL that a caller gives. What its host's name leads to is checked again at every connection.
    ///
    /// # Errors
    /// [`InvalidWebhookUrl`] says what was expected.
    pub fn parse(text: &str, reach: Reach) -> Result<Self, InvalidWebhookUrl> {
        const FORM: &str = "an https:// URL of at most 500 characters, without user, password or fragment";
        let fits = text.len() <= 500 && text.bytes().all(|byte| byte.is_ascii_graphic());
        let url = Url::parse(text).ok().filter(|_| fits).ok_or(InvalidWebhookUrl(FORM))?;
        let (allowed, own) = match url.host() {
            Some(Host::Domain(name)) => (is_public_name(name), name == "localhost"),
            Some(Host::Ipv4(address)) => (reach.allows(address.into()), address.is_loopback()),
            Some(Host::Ipv6(address)) => (reach.allows(address.into()), address.is_loopback()),
            None => (false, false),
        };
        let local = reach == Reach::Local && own;
        let bare = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
        if !bare || !(url.scheme() == "https" || (local && url.scheme() == "http")) {
            return Err(InvalidWebhookUrl(FORM));
        }
        if !(allowed || local) {
            return Err(InvalidWebhookUrl("a URL whose host is on the public internet"));
        }
        // Ports below 1024 are other services'.
        if !local && url.port().is_some_and(|port| port < 1024) {
            return Err(InvalidWebhookUrl("a URL with no port, or one from 1024 on"));
        }
        Ok(Self(url.into()))
    }

    /// The URL.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The address that stands in it in place of a name.
    pub fn literal(&self) -> Option<IpAddr> {
        match Url::parse(&self.0).ok()?.host()? {
            Host::Domain(_) => None,
            Host::Ipv4(address) => Some(address.into()),
            Host::Ipv6(address) => Some(address.into()),
        }
    }
}

/// Whether a host's name may be known to everybody.
fn is_public_name(name: &str) -> bool {
    let name = name.trim_end_matches('.');
    name.contains('.') && !OWN_NETWORKS.iter().any(|ending| name.ends_with(ending))
}

// ------------------------------------------------------------------ signing

/// What the posts to a webhook are signed with, 24 to 64 bytes. In JSON `whsec_` and base64. Its `Debug` does not show it, so that no log does.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct SigningKey(Vec<u8>);

/// Why a text is not a [`SigningKey`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected whsec_ and 24 to 64 bytes as base64")]
pub struct InvalidSigningKey;

impl SigningKey {
    /// The key of these bytes.
    ///
    /// # Errors
    /// [`InvalidSigningKey`] unless they are 24 to 64.
    pub fn new(bytes: Vec<u8>) -> Result<Self, InvalidSigningKey> {
        if (24..=64).contains(&bytes.len()) { Ok(Self(bytes)) } else { Err(InvalidSigningKey) }
    }

    /// The signature of a post: its id, the second it is made at, and its body.
    pub fn sign(&self, id: &str, second: i64, body: &str) -> String {
        // HMAC takes keys of every length.
        let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(&self.0) else { return String::new() };
        mac.update(format!("{id}.{second}.{body}").as_bytes());
        format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()))
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SigningKey(…)")
    }
}

impl TryFrom<String> for SigningKey {
    type Error = InvalidSigningKey;
    fn try_from(text: String) -> Result<Self, InvalidSigningKey> {
        let bytes = text.strip_prefix("whsec_").and_then(|text| STANDARD.decode(text).ok());
        Self::new(bytes.ok_or(InvalidSigningKey)?)
    }
}

impl From<SigningKey> for String {
    fn from(key: SigningKey) -> String {
        format!("whsec_{}", STANDARD.encode(key.0))
    }
}

/// A key with its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Secret {
    /// The key.
    pub key: SigningKey,
    /// Until when (UTC) it signs; the newest has no end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

// ------------------------------------------------------------------ webhooks

/// The webhooks of a business, in the order in which they were made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhooks {
    /// Whose.
    pub business_id: BusinessId,
    /// At most [`WEBHOOKS`].
    pub webhooks: Vec<Webhook>,
}

impl Webhooks {
    /// The webhook with this id.
    pub fn find(&self, id: &WebhookId) -> Option<&Webhook> {
        self.webhooks.iter().find(|webhook| webhook.id == *id)
    }

    /// The same with a webhook in the place of the one with its id.
    pub fn with(mut self, changed: Webhook) -> Self {
        if let Some(place) = self.webhooks.iter_mut().find(|webhook| webhook.id == changed.id) {
            *place = changed;
        }
        self
    }
}

/// A webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// The id.
    pub id: WebhookId,
    /// Where events are posted.
    pub url: WebhookUrl,
    /// Which events.
    pub types: Vec<EventFilter>,
    /// What people know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Name>,
    /// What posts are signed with, the newest first.
    pub secrets: Vec<Secret>,
    /// When it was made (UTC).
    pub created_at: Timestamp,
    /// Rises with every change by a caller; what `If-Match` compares.
    pub revision: u64,
    /// Since when (UTC) nothing has arrived there that should have.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// Since when and why nothing is posted there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub switched_off: Option<SwitchedOff>,
}

/// That a webhook is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SwitchedOff {
    /// Since when (UTC).
    pub at: Timestamp,
    /// Why.
    pub reason: SwitchedOffReason,
}

/// Why a webhook is switched off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SwitchedOffReason {
    /// A caller asked for it.
    ByRequest,
    /// Nothing has arrived there for five days, though it was tried.
    Failing,
    /// It answered 410: nothing more is wanted there.
    Gone,
}

impl Webhook {
    /// Whether it is to be told of events of this type.
    pub fn wants(&self, kind: EventType) -> bool {
        self.switched_off.is_none() && self.types.iter().any(|filter| filter.takes(kind))
    }

    /// The signatures of a post at `at` (UTC), one for each secret that is valid then: `webhook-signature`.
    pub fn signatures(&self, id: &EventId, at: Timestamp, body: &str) -> String {
        let valid = self.secrets.iter().filter(|secret| secret.until.is_none_or(|until| at < until));
        let signed: Vec<String> =
            valid.map(|secret| secret.key.sign(id.as_str(), at.as_second(), body)).collect();
        signed.join(" ")
    }

    /// The webhook with a new secret at `now` (UTC). The one before signs beside it for a day more.
    pub fn rotated(mut self, key: SigningKey, now: Timestamp) -> Self {
        let until = now + OLD_SECRET_KEPT;
        self.secrets.retain(|secret| secret.until.is_none_or(|until| now < until));
        for secret in &mut self.secrets {
            secret.until.get_or_insert(until);
        }
        self.secrets.insert(0, Secret { key, until: None });
        self.secrets.truncate(SECRETS);
        self
    }

    /// The webhook after an attempt to post there, or `None` where that changes nothing of it.
    pub fn after(&self, attempt: &Attempt) -> Option<Self> {
        let switched_off = |reason| Some(SwitchedOff { at: attempt.at, reason });
        let mut next = self.clone();
        if attempt.was_taken() {
            next.failing_since = None;
        } else {
            let since = *next.failing_since.get_or_insert(attempt.at);
            if next.switched_off.is_none() && attempt.result == PostResult::Answered(410) {
                next.switched_off = switched_off(SwitchedOffReason::Gone);
            } else if next.switched_off.is_none() && attempt.at.duration_since(since) >= LASTING {
                next.switched_off = switched_off(SwitchedOffReason::Failing);
            }
        }
        (next != *self).then_some(next)
    }

    /// The task for staff that it was switched off at `off`, though nobody asked for it. Made twice it is the same task.
    pub fn task(&self, business_id: &BusinessId, off: SwitchedOff) -> Task {
        Task {
            business_id: business_id.clone(),
            id: digest(format_args!("webhook|{business_id}|{}|{}", self.id, off.at)),
            kind: TaskKind::WebhookSwitchedOff,
            subject: None,
            client_ids: Vec::new(),
            since: off.at,
            message_id: None,
            text: Some(self.url.as_str().to_owned()),
            links: Vec::new(),
            assignee: None,
            closed: None,
        }
    }
}

// ------------------------------------------------------------------ deliveries

/// One event on its way to one webhook, with every attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// Whose.
    pub business_id: BusinessId,
    /// To which webhook.
    pub webhook_id: WebhookId,
    /// The id.
    pub id: DeliveryId,
    /// Of which event: `webhook-id`, the same at every attempt.
    pub event_id: EventId,
    /// Of which type.
    #[serde(rename = "type")]
    pub kind: EventType,
    /// What is posted: the event as JSON text, the same at every attempt.
    pub body: String,
    /// How far it has come.
    pub state: DeliveryState,
    /// While pending: when the next attempt is due (UTC).
    pub due: Timestamp,
    /// Whether a caller has asked for the next attempt, so that the stream brings it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asked: bool,
    /// The attempts, oldest first, at most the last 30.
    pub attempts: Vec<Attempt>,
    /// When the event became known (UTC).
    pub made_at: Timestamp,
}

/// How far a delivery has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryState {
    /// Waits for its next attempt.
    Pending,
    /// It was taken.
    Delivered,
    /// It was not taken, and nothing more is tried: the attempts are used up, or the webhook is switched off or gone.
    Failed,
}

/// One attempt to post.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// When it began (UTC).
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What came of it. In JSON one field, `status` or `error`.
    #[serde(flatten)]
    pub result: PostResult,
}

/// What came of posting. Not: what was answered with it, since that is nobody's business here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub enum PostResult {
    /// It was answered with this HTTP status.
    #[serde(rename = "status")]
    Answered(u16),
    /// There was no answer.
    #[serde(rename = "error")]
    Unanswered(PostError),
}

/// Why there was no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PostError {
    /// Its host's name leads to an address that is not public.
    NotPublic,
    /// Nobody could be reached there: no such name, no connection, or no TLS that can be trusted.
    Unreachable,
    /// The connection broke before there was an answer. It may have arrived.
    Broken,
    /// There was no answer in time. It may have arrived.
    Timeout,
}

impl Attempt {
    /// Whether the receiver has it: any 2xx.
    pub fn was_taken(&self) -> bool {
        matches!(self.result, PostResult::Answered(200..=299))
    }
}

impl Delivery {
    /// The delivery of an event to a webhook, due at once. `at` (UTC) is when the event became known: the same for every repetition of it, and so is
    /// the delivery's id.
    pub fn of(event: &Event, body: String, webhook_id: &WebhookId, at: Timestamp) -> Self {
        let Digest16(hash) = half(&format!("delivery|{}|{webhook_id}|{}", event.business_id, event.id));
        Self {
            business_id: event.business_id.clone(),
            webhook_id: webhook_id.clone(),
            id: DeliveryId::at(at.as_second(), &Digest16(hash)),
            event_id: event.id.clone(),
            kind: event.kind,
            body,
            state: DeliveryState::Pending,
            due: at,
            asked: false,
            attempts: Vec::new(),
            made_at: at,
        }
    }

    /// The same, to be tried once more at `now` (UTC), however it stands.
    pub fn asked_again(self, now: Timestamp) -> Self {
        Self { state: DeliveryState::Pending, due: now, asked: true, ..self }
    }

    /// The delivery when its webhook is gone or switched off: nothing more is tried.
    pub fn given_up(self) -> Self {
        Self { state: DeliveryState::Failed, asked: false, ..self }
    }

    /// The delivery after an attempt. `retry_after` is how long the receiver asked to wait.
    pub fn after(mut self, attempt: Attempt, retry_after: Option<SignedDuration>) -> Self {
        self.asked = false;
        let ended = attempt.at + SignedDuration::from_millis(i64::try_from(attempt.took_ms).unwrap_or(0));
        let was_taken = attempt.was_taken();
        let is_gone = attempt.result == PostResult::Answered(410);
        self.attempts.push(attempt);
        let wait = self.wait(retry_after).filter(|_| !is_gone);
        (self.state, self.due) = match wait {
            _ if was_taken => (DeliveryState::Delivered, self.due),
            Some(wait) => (DeliveryState::Pending, ended + wait),
            None => (DeliveryState::Failed, self.due),
        };
        let excess = self.attempts.len().saturating_sub(ATTEMPTS);
        self.attempts.drain(..excess);
        self
    }

    /// How long to wait after the attempts so far; `None` when they are used up. A fifth more or less, by the delivery's id, so that what failed
    /// together does not come back together. Where the receiver asks for longer, it is longer, but not longer than a day.
    fn wait(&self, retry_after: Option<SignedDuration>) -> Option<SignedDuration> {
        let number = self.attempts.len();
        let wait = WAITS.get(number.checked_sub(1)?)?;
        let Digest16(hash) = half(&format!("wait|{}|{number}", self.id));
        // From 80 to 120 hundredths.
        let hundredths = 80 + i32::from(hash[0]) * 40 / 255;
        let wait = *wait * hundredths / 100;
        Some(retry_after.map_or(wait, |asked| wait.max(asked.min(LONGEST_WAIT))))
    }
}

fn half(text: &str) -> Digest16 {
    let mut half = [0; 16];
    half.copy_from_slice(&Sha256::digest(text)[..16]);
    Digest16(half)
}

#[cfg(test)]
mod tests;
