//! Notification types: what a message is about.

use serde::{Deserialize, Serialize};

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NotificationType {
    /// The booking was made, by the client online or by staff (S17, S19).
    BookingCreated,
    /// Staff confirmed the booking (S18).
    BookingConfirmed,
    /// The time was moved (S21).
    BookingRescheduled,
    /// The booking was cancelled (S20).
    BookingCancelled,
    /// The visit is coming up; any number of steps (S25, S64, S71).
    Reminder,
    /// The visit has begun and the client is not there (S55).
    RunningLate,
    /// The client did not come (S26).
    MissedBooking,
    /// An invitation to book again after a no-show or a cancellation (S1–S3).
    NoShowRecovery,
}

impl NotificationType {
    /// Every type, in the order of SPEC.
    pub const ALL: [NotificationType; 8] = [
        NotificationType::BookingCreated,
        NotificationType::BookingConfirmed,
        NotificationType::BookingRescheduled,
        NotificationType::BookingCancelled,
        NotificationType::Reminder,
        NotificationType::RunningLate,
        NotificationType::MissedBooking,
        NotificationType::NoShowRecovery,
    ];

    /// The type's name in the API, in keys and in templates.
    pub fn name(self) -> &'static str {
        match self {
            NotificationType::BookingCreated => "booking_created",
            NotificationType::BookingConfirmed => "booking_confirmed",
            NotificationType::BookingRescheduled => "booking_rescheduled",
            NotificationType::BookingCancelled => "booking_cancelled",
            NotificationType::Reminder => "reminder",
            NotificationType::RunningLate => "running_late",
            NotificationType::MissedBooking => "missed_booking",
            NotificationType::NoShowRecovery => "no_show_recovery",
        }
    }
}

impl std::str::FromStr for NotificationType {
    type Err = UnknownType;
    fn from_str(name: &str) -> Result<Self, UnknownType> {
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or(UnknownType)
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
