//! The waitlist: clients who wait for a time to come free.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::ids::{BusinessId, ClientId, LocationId, OccasionId, ResourceId, ServiceId, WaitlistEntryId};

/// A client's place on the waitlist. Who came first is asked first.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitlistEntry {
    /// Whose waitlist.
    pub business_id: BusinessId,
    /// The id; ids sort by the time of making.
    pub id: WaitlistEntryId,
    /// Who waits.
    pub client_id: ClientId,
    /// Where.
    pub location_id: LocationId,
    /// What for.
    pub service_id: ServiceId,
    /// With whom; none means with anybody at the location.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource_id: Option<ResourceId>,
    /// The earliest start that suits (UTC).
    pub from: Timestamp,
    /// The latest start that suits (UTC).
    pub until: Timestamp,
    /// How it stands.
    pub status: WaitlistStatus,
    /// The offer that is out, or was the last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<OccasionId>,
}

/// How a place on the waitlist stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WaitlistStatus {
    /// Waits for a time.
    Waiting,
    /// A time is held for the client.
    Offered,
    /// The client took one.
    Booked,
    /// The client did not take the one that was offered, or gave up the place.
    Closed,
}

impl WaitlistEntry {
    /// Whether a time that has come free suits.
    pub fn suits(
        &self,
        location_id: &LocationId,
        resource_id: &ResourceId,
        start: Timestamp,
        now: Timestamp,
    ) -> bool {
        self.status == WaitlistStatus::Waiting
            && self.location_id == *location_id
            && self.resource_id.as_ref().is_none_or(|wanted| wanted == resource_id)
            && self.from <= start
            && start <= self.until
            && now < start
    }
}
