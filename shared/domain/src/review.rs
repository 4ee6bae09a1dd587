//! Reviews: what clients say of their visits (S74).

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use crate::booking::Booking;
use crate::ids::{BookingId, BusinessId, ClientId, ReviewId};
use crate::text::Notes;

/// What a client says of a visit: once, and for good.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Review {
    /// Whose.
    pub business_id: BusinessId,
    /// The id, see [`review_id`].
    pub id: ReviewId,
    /// Of which visit.
    pub booking_id: BookingId,
    /// Who says it.
    pub client_id: ClientId,
    /// How good it was.
    pub rating: Rating,
    /// In the client's own words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<Notes>,
    /// When it was said (UTC).
    pub at: Timestamp,
}

impl Review {
    /// The review without the client's own words, or `None` where it has none. What was thought of the visit stays.
    pub fn erased(&self) -> Option<Review> {
        self.text.as_ref().map(|_| Review { text: None, ..self.clone() })
    }
}

/// How good a visit was: 1 to 5, the best.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "u8", into = "u8")]
#[schema(minimum = 1, maximum = 5)]
pub struct Rating(u8);

/// Why a number is not a [`Rating`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 5")]
pub struct InvalidRating;

impl Rating {
    /// Whether staff should look into it.
    pub fn is_low(self) -> bool {
        self.0 <= 3
    }

    /// The number.
    pub fn number(self) -> u8 {
        self.0
    }
}

impl TryFrom<u8> for Rating {
    type Error = InvalidRating;
    fn try_from(number: u8) -> Result<Self, InvalidRating> {
        if (1..=5).contains(&number) { Ok(Self(number)) } else { Err(InvalidRating) }
    }
}

impl From<Rating> for u8 {
    fn from(rating: Rating) -> u8 {
        rating.0
    }
}

/// The id of a client's review of a visit that is over: always the same, and reviews sort by the end of the visit.
pub fn review_id(booking: &Booking, client: &ClientId) -> Option<ReviewId> {
    let mut hash = Sha256::new();
    // No id has a space in it.
    hash.update(format!("{} {} {client}", booking.business_id, booking.id));
    let hash = hex::encode(hash.finalize());
    format!("{:010x}{}", booking.end.as_second(), hash.get(..22)?).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s74_three_of_five_and_less_is_low() {
        let low: Vec<Result<bool, InvalidRating>> =
            (0..=6).map(|number| Rating::try_from(number).map(Rating::is_low)).collect();
        let none = Err(InvalidRating);
        assert_eq!(low, [none.clone(), Ok(true), Ok(true), Ok(true), Ok(false), Ok(false), none]);
        assert_eq!(serde_json::from_str::<Rating>("5").unwrap().number(), 5);
        assert!(serde_json::from_str::<Rating>("6").is_err());
    }
}
