//! Notification types: what a message is about.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

macro_rules! types {
    ($($(#[$doc:meta])* $variant:ident $name:literal $audience:ident;)*) => {
        /// What a message is about (SPEC §3).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(rename_all = "snake_case")]
        pub enum NotificationType {
            $($(#[$doc])* $variant,)*
        }

        impl NotificationType {
            /// Every type, in the order of SPEC.
            pub const ALL: &[NotificationType] = &[$(NotificationType::$variant,)*];

            /// The type's name in the API, in keys and in templates.
            pub fn name(self) -> &'static str {
                match self {
                    $(NotificationType::$variant => $name,)*
                }
            }

            /// Who is told.
            pub fn audience(self) -> Audience {
                match self {
                    $(NotificationType::$variant => Audience::$audience,)*
                }
            }
        }
    };
}

types! {
    /// The booking was made, by the client online or by staff (S17, S19, S69).
    BookingCreated "booking_created" Client;
    /// Staff confirmed the booking (S18).
    BookingConfirmed "booking_confirmed" Client;
    /// The time was moved (S21).
    BookingRescheduled "booking_rescheduled" Client;
    /// Another resource or service, at the same time.
    BookingChanged "booking_changed" Client;
    /// The booking was cancelled, by staff (S20) or by the client.
    BookingCancelled "booking_cancelled" Client;
    /// The client is asked to confirm the visit (S40, S53).
    ConfirmationRequest "confirmation_request" Client;
    /// The visit is coming up; any number of steps (S25, S64, S71).
    Reminder "reminder" Client;
    /// The visit has begun and the client is not there (S55).
    RunningLate "running_late" Client;
    /// The client did not come (S26).
    MissedBooking "missed_booking" Client;
    /// An invitation to book again after a no-show or a cancellation (S1–S3).
    NoShowRecovery "no_show_recovery" Client;
    /// After the visit: how was it? With an optional link to tip (S74).
    ReviewRequest "review_request" Client;
    /// Time to come again, by the service's own interval (S75, S41).
    RebookingReminder "rebooking_reminder" Client;
    /// Prepayment, penalty or deposit (S22–S24).
    AccountOperation "account_operation" Client;
    /// A bonus accrued, or a birthday gift (S76).
    BonusAccrued "bonus_accrued" Client;
    /// A time has come free for a client on the waitlist.
    WaitlistOffer "waitlist_offer" Client;
    /// To staff: a booking was made (S33, S70).
    StaffBookingCreated "staff_booking_created" Staff;
    /// To staff: a booking was moved or otherwise changed (S33, S70).
    StaffBookingChanged "staff_booking_changed" Staff;
    /// To staff: a booking was cancelled (S33, S70).
    StaffBookingCancelled "staff_booking_cancelled" Staff;
    /// To managers: the client has not confirmed (S53).
    StaffUnconfirmed "staff_unconfirmed" Managers;
    /// To managers: the client is late (S55).
    StaffRunningLate "staff_running_late" Managers;
    /// A code that proves an address (S16).
    VerificationCode "verification_code" Anyone;
    /// Staff writes to one client (S42).
    Individual "individual" Client;
    /// A mass send to a filtered client base (S46): marketing.
    Campaign "campaign" Client;
}

/// Who a type's messages go to (S33).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Audience {
    /// The booking's participants, or the client it is about.
    Client,
    /// The resource's staff, and the location's managers.
    Staff,
    /// The location's managers.
    Managers,
    /// Clients and staff alike.
    Anyone,
}

impl NotificationType {
    /// Whether it advertises: only then does a client's opt-out from marketing block it (S43).
    pub fn is_marketing(self) -> bool {
        self == NotificationType::Campaign
    }

    /// Whether a client can do without it, and so opt out of it by channel: what reminds, invites and asks. The news of a booking, an answer
    /// that is needed, and what staff writes come all the same.
    pub fn may_be_declined(self) -> bool {
        use NotificationType as Type;
        matches!(
            self,
            Type::Reminder
                | Type::NoShowRecovery
                | Type::ReviewRequest
                | Type::RebookingReminder
                | Type::BonusAccrued
                | Type::Campaign
        )
    }

    /// Whether the person asked for it a moment ago and waits for it: it knows no quiet hours, no ban and no sms option (S16).
    pub fn is_awaited(self) -> bool {
        self == NotificationType::VerificationCode
    }
}

impl std::str::FromStr for NotificationType {
    type Err = UnknownType;
    fn from_str(name: &str) -> Result<Self, UnknownType> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name).ok_or(UnknownType)
    }
}

/// Why a text is not a notification type.
#[derive(Debug, thiserror::Error)]
#[error("expected a notification type such as \"reminder\"")]
pub struct UnknownType;

impl std::fmt::Display for NotificationType {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}
