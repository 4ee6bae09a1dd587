//! Clients: who comes, and how they may be reached.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::business::Locale;
use crate::channel::Channel;
use crate::contact::{Email, Phone};
use crate::ids::{BusinessId, ClientId, DeviceId};
use crate::notification_type::NotificationType;
use crate::text::{DeviceToken, Name};
use crate::zone::Zone;

/// A client of one business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
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
    /// The client's language; none means that of the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locale: Option<Locale>,
    /// Where the client lives by the clock, if known to differ from the location; quiet hours count there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// What the business has forbidden on the client card.
    #[serde(default)]
    pub bans: Bans,
}

/// What the business never wants sent to a client (S44, S45). Beats every other setting (S36).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bans {
    /// Channels never used.
    #[serde(default)]
    pub channels: BTreeSet<Channel>,
    /// Types never sent.
    #[serde(default)]
    pub types: BTreeSet<NotificationType>,
}

/// A phone or tablet with the business's app on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Device {
    /// The id.
    pub id: DeviceId,
    /// Whose push service reaches it.
    pub platform: Platform,
    /// The token the push service gave the app.
    pub token: DeviceToken,
}

/// A push service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Platform {
    /// Apple Push Notification service.
    Apns,
    /// Firebase Cloud Messaging.
    Fcm,
}

impl Client {
    /// The client's addresses on `channel` as logs may show them.
    pub fn masked_address(&self, channel: Channel) -> Option<String> {
        match channel {
            Channel::Email => self.email.as_ref().map(Email::masked),
            Channel::Sms => self.phone.as_ref().map(Phone::masked),
            Channel::Push => match self.devices.len() {
                0 => None,
                1 => Some("1 device".to_owned()),
                many => Some(format!("{many} devices")),
            },
        }
    }
}
