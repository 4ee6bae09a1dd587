//! Channels: how a message travels.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a message travels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Channel {
    /// E-mail by SES.
    Email,
    /// Text message by SNS; the business pays for each segment.
    Sms,
    /// Push to every device the client has registered, by SNS mobile push.
    Push,
    /// WhatsApp by AWS End User Messaging Social (S66).
    Whatsapp,
    /// Telegram, by the business's own bot (S66).
    Telegram,
    /// A task for staff, who send the text that we made by hand (S67).
    Assisted,
}

impl Channel {
    /// Every channel.
    pub const ALL: [Channel; 6] = [
        Channel::Email,
        Channel::Sms,
        Channel::Push,
        Channel::Whatsapp,
        Channel::Telegram,
        Channel::Assisted,
    ];

    /// The channel's name in the API, in keys and in logs.
    pub fn name(self) -> &'static str {
        match self {
            Channel::Email => "email",
            Channel::Sms => "sms",
            Channel::Push => "push",
            Channel::Whatsapp => "whatsapp",
            Channel::Telegram => "telegram",
            Channel::Assisted => "assisted",
        }
    }

    /// Whether a message that may have left is never sent again by itself: sms and WhatsApp cost money, and a chat shows a repetition for ever.
    pub fn sends_once(self) -> bool {
        matches!(self, Channel::Sms | Channel::Whatsapp | Channel::Telegram)
    }

    /// Whether quiet hours hold this channel back unless the business says otherwise (S27): all but e-mail.
    pub fn keeps_quiet_hours(self) -> bool {
        !matches!(self, Channel::Email)
    }
}

impl std::fmt::Display for Channel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
