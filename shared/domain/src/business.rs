//! Businesses (tenants) and their locations.

use std::borrow::Cow;
use std::collections::BTreeMap;

use jiff::SignedDuration;
use serde::{Deserialize, Serialize};
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::Schema;
use utoipa::{PartialSchema, ToSchema};

use crate::contact::Phone;
use crate::ids::{BusinessId, LocationId, StaffId};
use crate::messenger::{BotName, WhatsappNumberId, WhatsappTemplate};
use crate::notification_type::NotificationType;
use crate::quiet_hours::QuietHours;
use crate::schema;
use crate::sms::{SmsLimits, SmsPrice};
use crate::text::{Link, Name};
use crate::timing::Interval;
use crate::zone::Zone;

/// A language we have texts in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Locale {
    /// English.
    #[default]
    En,
    /// Russian.
    Ru,
}

impl Locale {
    /// Every language we have texts in.
    pub const ALL: [Locale; 2] = [Locale::En, Locale::Ru];
}

/// A business: the tenant, with what holds for all of its locations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Business {
    /// The id, part of every key.
    pub id: BusinessId,
    /// The name clients know it by; never empty (S61).
    pub name: Name,
    /// The zone of locations that have none of their own.
    pub zone: Zone,
    /// The language of clients who have none of their own.
    pub locale: Locale,
    /// The number clients may call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phone: Option<Phone>,
    /// Where clients book online.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub booking_url: Option<Link>,
    /// Whether the business has taken the paid sms option; off by default (S15).
    #[serde(default)]
    pub sms_enabled: bool,
    /// The name contracts know it by.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub legal_name: Option<Name>,
    /// Its site.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub site: Option<Link>,
    /// Where clients leave a review (S74).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review_url: Option<Link>,
    /// Where clients tip (S74).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tip_url: Option<Link>,
    /// What stands after the text of confirmations, by sms and e-mail (S30).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Name>,
    /// What a segment of an sms costs, by the beginning of the number (S68).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sms_prices: Vec<SmsPrice>,
    /// What the business allows itself and others in sms.
    #[serde(default, skip_serializing_if = "SmsLimits::are_none")]
    pub sms_limits: SmsLimits,
    /// The number that sms come from and answers go to, where the operator has assigned one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sms_number: Option<Phone>,
    /// The number that WhatsApp messages come from, where the operator has assigned one (S66).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub whatsapp_number_id: Option<WhatsappNumberId>,
    /// The WhatsApp template of each type that goes that way (S66).
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub whatsapp_templates: BTreeMap<NotificationType, WhatsappTemplate>,
    /// The bot that Telegram messages come from, where the business has given its token (S66).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telegram_bot: Option<BotName>,
    /// Where the business's app opens a booking, which push messages link to: the booking's id is put behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub app_url: Option<Link>,
    /// When messages wait; none means never (S27).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Minutes after the end of the visit at which a client not marked arrived becomes a no-show by itself.
    /// None, the default: only staff says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_show_after_minutes: Option<NoShowDelay>,
    /// How many minutes a time that has come free is held for a client on the waitlist.
    #[serde(default)]
    pub waitlist_hold_minutes: WaitlistHold,
}

/// Minutes for which a time is held for a client on the waitlist; an hour by default.
pub type WaitlistHold = Minutes<5, 1440>;

/// Minutes after the end of a visit.
pub type NoShowDelay = Minutes<1, 1440>;

/// A number of minutes from `MIN` to `MAX`; in JSON the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Minutes<const MIN: u32, const MAX: u32>(u32);

/// Why a number is not [`Minutes`] of these bounds.
#[derive(Debug, thiserror::Error)]
#[error("expected {min} to {max} minutes")]
pub struct InvalidMinutes {
    min: u32,
    max: u32,
}

impl<const MIN: u32, const MAX: u32> Minutes<MIN, MAX> {
    /// How long that is.
    pub fn duration(self) -> SignedDuration {
        SignedDuration::from_mins(i64::from(self.0))
    }

    /// The same as an interval; `None` where an interval is never so long or so short.
    pub fn interval(self) -> Option<Interval> {
        Interval::minutes(self.0)
    }
}

impl<const MIN: u32, const MAX: u32> PartialSchema for Minutes<MIN, MAX> {
    fn schema() -> RefOr<Schema> {
        schema::number(MIN, MAX)
    }
}

impl<const MIN: u32, const MAX: u32> ToSchema for Minutes<MIN, MAX> {
    fn name() -> Cow<'static, str> {
        Cow::Owned(format!("Minutes{MIN}To{MAX}"))
    }
}

impl<const MIN: u32, const MAX: u32> TryFrom<u32> for Minutes<MIN, MAX> {
    type Error = InvalidMinutes;
    fn try_from(minutes: u32) -> Result<Self, InvalidMinutes> {
        let fits = (MIN..=MAX).contains(&minutes);
        if fits { Ok(Self(minutes)) } else { Err(InvalidMinutes { min: MIN, max: MAX }) }
    }
}

impl<const MIN: u32, const MAX: u32> From<Minutes<MIN, MAX>> for u32 {
    fn from(minutes: Minutes<MIN, MAX>) -> u32 {
        minutes.0
    }
}

impl Default for WaitlistHold {
    fn default() -> Self {
        Self(60)
    }
}

/// A branch of a business.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Location {
    /// Whose it is.
    pub business_id: BusinessId,
    /// The id.
    pub id: LocationId,
    /// The name clients know it by.
    pub name: Name,
    /// The zone its wall times are in; none means that of the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub zone: Option<Zone>,
    /// Where to come.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Name>,
    /// Where to find it on a map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub map_url: Option<Link>,
    /// Quiet hours of its own, instead of those of the business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quiet_hours: Option<QuietHours>,
    /// Who is told about this location's bookings beside the staff who serve, and about clients who do not confirm or come (S33).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub manager_ids: Vec<StaffId>,
}

impl Location {
    /// The zone its wall times are in: its own, else that of its business.
    pub fn zone_in<'a>(&'a self, business: &'a Business) -> &'a Zone {
        self.zone.as_ref().unwrap_or(&business.zone)
    }
}
