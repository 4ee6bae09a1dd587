//! Subjects: what messages are planned from.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::ids::{BookingId, OccasionId};

/// What a message is planned from. In JSON one field, `booking_id` or `occasion_id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
pub enum SubjectId {
    /// A booking.
    #[serde(rename = "booking_id")]
    Booking(BookingId),
    /// An occasion.
    #[serde(rename = "occasion_id")]
    Occasion(OccasionId),
}

impl std::fmt::Display for SubjectId {
    /// As keys name it: a booking by the bare id, an occasion as `occasion:id`, which is no booking's id.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            SubjectId::Booking(id) => write!(f, "{id}"),
            SubjectId::Occasion(id) => write!(f, "occasion:{id}"),
        }
    }
}
