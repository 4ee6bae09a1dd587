//! Identifiers: opaque, at most 64 characters of `[0-9A-Za-z_-]`, so that they are safe inside keys, URLs and schedule names.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected an id of 1 to 64 characters: letters, digits, '-' or '_'")]
pub struct InvalidId;

fn checked(text: String) -> Result<String, InvalidId> {
    let fits = (1..=64).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    if fits { Ok(text) } else { Err(InvalidId) }
}

/// Half of a SHA-256, which makes an id of 32 hex digits.
pub(crate) struct Digest16(pub(crate) [u8; 16]);

macro_rules! id {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
        #[serde(try_from = "String", into = "String")]
        #[schema(pattern = "^[0-9A-Za-z_-]{1,64}$")]
        pub struct $name(String);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidId;
            fn try_from(text: String) -> Result<Self, InvalidId> {
                checked(text).map(Self)
            }
        }

        impl From<Digest16> for $name {
            fn from(digest: Digest16) -> Self {
                Self(hex::encode(digest.0))
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidId;
            fn from_str(text: &str) -> Result<Self, InvalidId> {
                checked(text.to_owned()).map(Self)
            }
        }

        impl From<$name> for String {
            fn from(id: $name) -> String {
                id.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

id! {
    /// A business: the tenant. Part of every key.
    BusinessId;
    /// A branch of a business.
    LocationId;
    /// A specialist, a piece of equipment or a room.
    ResourceId;
    /// What is booked.
    ServiceId;
    /// A client of one business.
    ClientId;
    /// A booking.
    BookingId;
    /// A booking that repeats: every booking of the series carries it.
    SeriesId;
    /// A staff member.
    StaffId;
    /// An occasion to write to somebody, see [`crate::occasion::Occasion`].
    OccasionId;
    /// A client's place on the waitlist.
    WaitlistEntryId;
    /// A client's phone or tablet that can receive push messages.
    DeviceId;
    /// A work item for staff.
    TaskId;
    /// A mass send to a filtered client base, see [`crate::campaign::Campaign`].
    CampaignId;
    /// An API key.
    KeyId;
    /// A client's review of a visit, see [`crate::review::review_id`].
    ReviewId;
    /// Something written in a conversation.
    EntryId;
    /// A message in the ledger; a hash of what the message is, see [`crate::message::MessageKey`].
    MessageId;
    /// An attendance check in the ledger; a hash, see [`crate::message::check_id`].
    CheckId;
    /// An event that integrations are told of; a hash, see [`crate::event::event_id`].
    EventId;
    /// Where a business wants to be told of events.
    WebhookId;
    /// One event on its way to one webhook, see [`crate::webhook::Delivery`]: the second (UTC) since 1970 and a hash, so that ids sort by time.
    DeliveryId;
}

impl DeliveryId {
    /// The id of what was made at a second, of a hash.
    pub(crate) fn at(second: i64, digest: &Digest16) -> Self {
        Self(format!("{second:010}-{}", hex::encode(digest.0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_cannot_break_out_of_a_key() {
        assert!("b-1_Z".parse::<BookingId>().is_ok());
        for bad in ["", "a#b", "a/b", "a b", "é", &"x".repeat(65)] {
            assert!(bad.parse::<BookingId>().is_err(), "{bad:?} was taken");
        }
    }
}
