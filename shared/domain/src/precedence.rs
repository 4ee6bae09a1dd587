//! Precedence: which of all that is set about a message prevails, strongest first (SPEC §4).

use crate::booking::Notify;
use crate::channel::Channel;
use crate::client::{Bans, Cause};
use crate::message::Reason;
use crate::notification_type::NotificationType;

/// The levels, strongest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// 1. The address is suppressed: STOP, a hard bounce or a complaint.
    Suppression,
    /// 2. The business has banned the channel or the type on the client card (S36, S44, S45).
    Ban,
    /// 3. The client has not agreed to marketing, and this is marketing (S43).
    Marketing,
    /// 4. The operation was made without an sms, or without any notice (S31, S37).
    Silence,
    /// 5. Staff asked for the sms when making the booking (S34, S35).
    Tick,
    /// 6. The rule of the resource (S58).
    Resource,
    /// 7. The rule of the resource's kind (S57).
    ResourceKind,
    /// 8. The business's own rule: the switch of the type and of its channel (S13).
    Business,
    /// 9. The default.
    Default,
}

/// All that can be set about one message.
#[derive(Debug, Clone)]
pub struct Settings<'a> {
    /// Of which type it is.
    pub kind: NotificationType,
    /// How it would travel.
    pub channel: Channel,
    /// Why its address is suppressed, if it is.
    pub suppression: Option<Cause>,
    /// What is forbidden on the client card.
    pub bans: &'a Bans,
    /// Whether the client has agreed to marketing.
    pub marketing_consent: bool,
    /// What the operation said.
    pub notify: Notify,
    /// Whether the operation was the making of the booking, by staff.
    pub made_by_staff: bool,
    /// Whether the resource's own rule sends it, if there is one.
    pub resource: Option<bool>,
    /// Whether the rule of the resource's kind sends it, if there is one.
    pub resource_kind: Option<bool>,
    /// Whether the business's own rule sends it, if there is one.
    pub business: Option<bool>,
    /// Whether the default sends it.
    pub default: bool,
}

/// Which level decided, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ruling {
    /// The strongest level that has something to say.
    pub level: Level,
    /// Why the message is not sent; `None` when it is.
    pub against: Option<Reason>,
}

/// Asks the levels one after the other; the first that has something to say prevails.
pub fn ruling(settings: &Settings<'_>) -> Ruling {
    let Settings { kind, channel, .. } = *settings;
    let never = |level, reason| Ruling { level, against: Some(reason) };
    let switched = |level, on: bool| Ruling { level, against: (!on).then_some(Reason::SwitchedOff) };

    if let Some(cause) = settings.suppression
        && (!kind.is_awaited() || cause == Cause::Stop)
    {
        return never(Level::Suppression, Reason::AddressSuppressed);
    }
    if !kind.is_awaited()
        && (settings.bans.channels.contains(&channel) || settings.bans.types.contains(&kind))
    {
        return never(Level::Ban, Reason::Banned);
    }
    if kind.is_marketing() && !settings.marketing_consent {
        return never(Level::Marketing, Reason::MarketingOptOut);
    }
    match settings.notify {
        Notify::Nothing => return never(Level::Silence, Reason::NotifyOff),
        Notify::NoSms if channel == Channel::Sms => return never(Level::Silence, Reason::NotifyOff),
        Notify::Yes if channel == Channel::Sms && settings.made_by_staff => {
            return Ruling { level: Level::Tick, against: None };
        }
        Notify::NoSms | Notify::Yes | Notify::ByRules => {}
    }
    if let Some(on) = settings.resource {
        return switched(Level::Resource, on);
    }
    if let Some(on) = settings.resource_kind {
        return switched(Level::ResourceKind, on);
    }
    if let Some(on) = settings.business {
        return switched(Level::Business, on);
    }
    switched(Level::Default, settings.default)
}
