//! Occasions: reasons to write to one person that are not the state of a booking. A payment, a bonus, a letter, a code, an offer.
//!
//! Like a booking, an occasion is a fact: whoever writes it stops there, and the stream plans its messages.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::account::{AccountOperationKind, BonusAmount, BonusKind};
use crate::booking::{Failure, Notify, Source, with_failure};
use crate::channel::Channel;
use crate::ids::{
    BookingId, BusinessId, CampaignId, LocationId, OccasionId, ResourceId, ServiceId, WaitlistEntryId,
};
use crate::money::Money;
use crate::notification_type::NotificationType;
use crate::recipient::Recipient;
use crate::text::{Code, Letter, Name};
use crate::zone::Zone;

/// A reason to write to one person.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Occasion {
    /// Whose.
    pub business_id: BusinessId,
    /// The id.
    pub id: OccasionId,
    /// What it is about.
    #[serde(flatten)]
    pub about: About,
    /// Who is told.
    #[serde(flatten)]
    pub recipient: Recipient,
    /// Where it belongs; its quiet hours and zone then count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location_id: Option<LocationId>,
    /// When (UTC).
    pub at: Timestamp,
    /// Who wrote it down.
    pub by: Source,
    /// Whether it is told.
    #[serde(default, skip_serializing_if = "Notify::is_by_rules")]
    pub notify: Notify,
    /// The channels chosen for it; none means those of the rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub channels: Option<Vec<Channel>>,
    /// The version of the business's rules it is planned by.
    #[serde(default)]
    pub rules_version: u64,
    /// It no longer holds, so what has not left does not leave.
    #[serde(default)]
    pub withdrawn: bool,
    /// Messages that failed for certain.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<Failure>,
}

/// What an occasion is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(tag = "about", rename_all = "snake_case")]
pub enum About {
    /// Something happened on the client's account (S22–S24).
    AccountOperation {
        /// What.
        operation: AccountOperationKind,
        /// How much.
        amount: Money,
        /// What the account holds now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        balance: Option<Money>,
        /// Which booking it is for.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_booking: Option<BookingId>,
    },
    /// The client got a bonus (S76).
    Bonus {
        /// Why.
        bonus: BonusKind,
        /// How much.
        amount: BonusAmount,
        /// What the client has now.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        balance: Option<BonusAmount>,
    },
    /// Staff writes to one client (S42).
    Individual {
        /// The subject of the e-mail; without it, the business's name.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        subject: Option<Name>,
        /// The text, as it is.
        text: Letter,
        /// Which booking it is about.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        for_booking: Option<BookingId>,
    },
    /// A campaign has chosen the client (S46). What it says stands there.
    Campaign {
        /// Which.
        campaign_id: CampaignId,
    },
    /// A code that proves an address (S16).
    VerificationCode {
        /// The code.
        code: Code,
    },
    /// A time has come free for a client on the waitlist.
    WaitlistOffer {
        /// Whose place on the waitlist.
        entry_id: WaitlistEntryId,
        /// Whom or what it would take up.
        resource_id: ResourceId,
        /// What for.
        service_id: ServiceId,
        /// Start of the free time (UTC).
        start: Timestamp,
        /// End of the free time (UTC).
        end: Timestamp,
        /// In whose wall times it is spoken of.
        zone: Zone,
        /// Until when it is held for the client (UTC).
        until: Timestamp,
    },
}

impl Occasion {
    /// The type of its messages.
    pub fn kind(&self) -> NotificationType {
        match self.about {
            About::AccountOperation { .. } => NotificationType::AccountOperation,
            About::Bonus { .. } => NotificationType::BonusAccrued,
            About::Individual { .. } => NotificationType::Individual,
            About::Campaign { .. } => NotificationType::Campaign,
            About::VerificationCode { .. } => NotificationType::VerificationCode,
            About::WaitlistOffer { .. } => NotificationType::WaitlistOffer,
        }
    }

    /// The booking it refers to.
    pub fn for_booking(&self) -> Option<&BookingId> {
        match &self.about {
            About::AccountOperation { for_booking, .. } | About::Individual { for_booking, .. } => {
                for_booking.as_ref()
            }
            _ => None,
        }
    }

    /// The campaign it belongs to.
    pub fn for_campaign(&self) -> Option<&CampaignId> {
        match &self.about {
            About::Campaign { campaign_id } => Some(campaign_id),
            _ => None,
        }
    }

    /// The occasion without what was written to the recipient, or `None` where it holds nothing of the kind.
    pub fn erased(&self) -> Option<Occasion> {
        match &self.about {
            About::Individual { text, for_booking, .. } if *text != Letter::erased() => {
                let about = About::Individual {
                    subject: None,
                    text: Letter::erased(),
                    for_booking: for_booking.clone(),
                };
                Some(Occasion { about, ..self.clone() })
            }
            _ => None,
        }
    }

    /// The occasion with the note that a message failed for certain, or `None` when it has it.
    pub fn failed(&self, failure: Failure) -> Option<Occasion> {
        with_failure(&self.failures, failure).map(|failures| Occasion { failures, ..self.clone() })
    }
}
