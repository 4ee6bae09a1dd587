//! Clients: who comes, and how they may be reached.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::business::Locale;
use crate::channel::Channel;
use crate::contact::{Email, Phone};
use crate::ids::{BusinessId, ClientId, DeviceId};
use crate::messenger::ChatId;
use crate::notification_type::NotificationType;
use crate::text::{DeviceToken, Name, Tag};
use crate::zone::Zone;

/// A client of one business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Client {
    /// Whose client.
    pub business_id: BusinessId,
    /// The id.
    pub id: ClientId,
    /// How to address the client.
    pub name: Name,
    /// Where sms go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// Where e-mail goes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<Email>,
    /// Where push messages go.
    #[serde(default)]
    pub devices: Vec<Device>,
    /// Where Telegram messages go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telegram: Option<ChatId>,
    /// The client's language; none means that of the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// Where the client lives by the clock, if known to differ from the location; quiet hours count there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// What the business has forbidden on the client card.
    #[serde(default)]
    pub bans: Bans,
    /// Whether the client has agreed to marketing: without it no campaign, and everything else (S43).
    #[serde(default)]
    pub marketing_consent: bool,
    /// Since when the client has wanted no marketing, by the client's own word (UTC). An import does not undo that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unsubscribed_at: Option<Timestamp>,
    /// Words by which the business sorts its clients: at most 20.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    #[schema(max_items = 20)]
    pub tags: BTreeSet<Tag>,
    /// Channels on which the client wants nothing that can be done without, see [`NotificationType::may_be_declined`]. The client's own choice.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub opt_outs: BTreeSet<Channel>,
    /// Addresses that must not be written to, whatever anybody sets.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressions: Vec<Suppression>,
    /// Since when nothing is known of the client any more (UTC): who that was, was erased on request. Nobody is written to here again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased_at: Option<Timestamp>,
}

impl Client {
    /// What is left of the card from `at` (UTC) on: the id, to which bookings and messages still refer, so that their counts stay.
    pub fn erased(&self, at: Timestamp) -> Client {
        Client {
            business_id: self.business_id.clone(),
            id: self.id.clone(),
            name: Name::nobody(),
            phone: None,
            email: None,
            devices: Vec::new(),
            telegram: None,
            locale: None,
            zone: None,
            bans: Bans::none(),
            marketing_consent: false,
            unsubscribed_at: None,
            opt_outs: BTreeSet::new(),
            tags: BTreeSet::new(),
            suppressions: Vec::new(),
            erased_at: Some(self.erased_at.unwrap_or(at)),
        }
    }
}

/// An address that must not be written to. It holds for whoever of the business's clients has this address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Suppression {
    /// The e-mail address in small letters, the phone in E.164, `whatsapp:` and the phone, or `telegram:` and the chat.
    pub address: String,
    /// Why.
    pub cause: Cause,
    /// Since when (UTC).
    pub since: Timestamp,
}

/// Why an address is suppressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The client answered STOP.
    Stop,
    /// The address does not exist.
    HardBounce,
    /// The client reported a message as spam.
    Complaint,
}

/// What the business never wants sent to a client (S44, S45). Beats every other setting (S36).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Bans {
    /// Channels never used.
    #[serde(default)]
    #[schema(value_type = Vec<Channel>)]
    pub channels: BTreeSet<Channel>,
    /// Types never sent.
    #[serde(default)]
    #[schema(value_type = Vec<NotificationType>)]
    pub types: BTreeSet<NotificationType>,
}

impl Bans {
    /// Nothing is forbidden.
    pub const fn none() -> Self {
        Self { channels: BTreeSet::new(), types: BTreeSet::new() }
    }
}

/// A phone or tablet with the business's app on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Device {
    /// The id.
    pub id: DeviceId,
    /// Whose push service reaches it.
    pub platform: Platform,
    /// The token the push service gave the app.
    pub token: DeviceToken,
}

/// A push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Apple Push Notification service.
    Apns,
    /// Firebase Cloud Messaging.
    Fcm,
}
